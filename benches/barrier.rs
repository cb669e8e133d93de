//! Barriers on one thread: a party alone, full rounds, cancellation, a second poll.

use std::hint::black_box;
use std::pin::pin;
use std::task::Context;
use std::time::Duration;

use bumpalo::Bump;
use cpu_time::ThreadTime;
use testudo_benches::entries;
use testudo_benches::harness::{self, Row, Sample, time};
use testudo_benches::peers::barrier::*;
use testudo_benches::poll::{other_waker, pending, pinned, ready, waker};

/// So many that no round is ever complete. (asyncband makes room for all of them at once.)
const ENDLESS: u32 = 1 << 31;

/// Arrives at a barrier of one.
fn uncontended<B: Barrier>(n: u64, _: usize) -> Sample {
    let barrier = B::new(1);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || assert!(ready(pin!(black_box(&barrier).wait()), cx)))
}

/// All `parties` arrive, the last one releases the others, all complete. Time for each party.
fn round<B: Barrier>(n: u64, parties: usize) -> Sample {
    let groups = 1000_usize.div_ceil(parties);
    let barriers: Vec<B> = (0..groups).map(|_| B::new(parties as u32)).collect();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut arena = Bump::new();
    let mut phases = [Duration::ZERO; 3];
    for _ in 0..n {
        let mut waits = pinned(&arena, groups * (parties - 1), |index| barriers[index / (parties - 1)].wait());
        let mut last = pinned(&arena, groups, |index| barriers[index].wait());
        let start = ThreadTime::now();
        waits.iter_mut().for_each(|wait| pending(wait.as_mut(), cx));
        let arrived = ThreadTime::now();
        last.iter_mut().for_each(|wait| _ = ready(wait.as_mut(), cx));
        let released = ThreadTime::now();
        waits.drain(..).for_each(|mut wait| _ = ready(wait.as_mut(), cx));
        let completed = ThreadTime::now();
        phases[0] += arrived.duration_since(start);
        phases[1] += released.duration_since(arrived);
        phases[2] += completed.duration_since(released);
        drop(waits);
        drop(last);
        arena.reset();
    }
    let ops = n * (groups * parties) as u64;
    let extra = phases.iter().map(|phase| phase.as_secs_f64() * 1e9 / ops as f64).collect();
    Sample { ops, time: phases.iter().sum(), extra }
}

/// An arrival is made and dropped while `others` wait.
fn cancel_waiting<B: Barrier>(n: u64, others: usize) -> Sample {
    let barrier = B::new(ENDLESS);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let theirs = other_waker();
    let others_cx = &mut Context::from_waker(&theirs);
    let arena = Bump::new();
    let mut waits = pinned(&arena, others, |_| barrier.wait());
    waits.iter_mut().for_each(|wait| pending(wait.as_mut(), others_cx));
    time(n, || pending(pin!(black_box(&barrier).wait()), cx))
}

/// An arrival is polled again with the same waker.
fn poll_pending<B: Barrier>(n: u64, _: usize) -> Sample {
    let barrier = B::new(ENDLESS);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut wait = pin!(barrier.wait());
    pending(wait.as_mut(), cx);
    time(n, || pending(wait.as_mut(), cx))
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new(
            "barrier/uncontended",
            "wait() at a barrier of one",
            entries![uncontended: Testudo, AsyncLock, Tokio, Asyncband],
        ),
        Row::new(
            "barrier/poll_pending",
            "a second poll of a wait that pends, same waker",
            entries![poll_pending: Testudo, AsyncLock, Tokio],
        ),
    ];
    for parties in [2, 16, 1_000] {
        rows.push(Row {
            columns: &["arrive", "last", "complete"],
            arg: parties,
            counted: 1,
            ..Row::new(
                format!("barrier/round_{parties}"),
                "all parties arrive, the last one releases the others, all complete; time for each of them",
                entries![round: Testudo, AsyncLock, Tokio, Asyncband],
            )
        });
    }
    for others in [0, 1_000] {
        rows.push(Row {
            arg: others,
            ..Row::new(
                format!("barrier/cancel_waiting_{others}"),
                "a wait arrives and is dropped while others wait (only testudo withdraws it)",
                entries![cancel_waiting: Testudo, AsyncLock, Tokio],
            )
        });
    }
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
