//! Tokens and deadlines.

use std::future::{Future, pending as never, ready as at_once};
use std::hint::black_box;
use std::pin::pin;
use std::task::Context;

use bumpalo::Bump;
use testudo::task::{CancelToken, SharedToken, timeout};
use testudo_benches::entries;
use testudo_benches::harness::{self, Entry, Role, Row, Sample, time};
use testudo_benches::peers::token::Token;
use testudo_benches::poll::{pending, pinned, ready, waker};
use tokio_util::sync::CancellationToken;

/// A token that is not cancelled is asked.
fn is_cancelled<T: Token>(n: u64, _: usize) -> Sample {
    let root = T::new();
    let child = root.child();
    time(n, || assert!(!black_box(&child).is_cancelled()))
}

/// A child is made and dropped, while there are others.
fn child<T: Token>(n: u64, others: usize) -> Sample {
    let root = T::new();
    let others: Vec<_> = (0..others).map(|_| root.child()).collect();
    let sample = time(n, || drop(black_box(&root).child()));
    drop(others);
    sample
}

/// The same on the stack.
fn child_on_the_stack(n: u64, others: usize) -> Sample {
    let root = CancelToken::new();
    let mut all: Vec<_> = (0..others).map(|_| Box::pin(root.child())).collect();
    all.iter_mut().for_each(|child| assert!(!child.as_mut().token().is_cancelled()));
    time(n, || {
        let child = pin!(black_box(&root).child());
        black_box(child.token());
    })
}

/// A tree is made, a wait on each child begins, and all are cancelled. Counts children.
fn cancel<T: Token>(n: u64, children: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut sample = time(n.div_ceil(children as u64), || {
        let root = T::new();
        let all: Vec<_> = (0..children).map(|_| root.child()).collect();
        let arena = Bump::new();
        let mut waits = pinned(&arena, children, |n| all[n].cancelled());
        waits.iter_mut().for_each(|wait| pending(wait.as_mut(), cx));
        black_box(&root).cancel();
        waits.iter_mut().for_each(|wait| ready(wait.as_mut(), cx));
    });
    sample.ops *= children as u64;
    sample
}

/// A future that is ready is run.
fn run_ready<T: Token>(n: u64, _: usize) -> Sample {
    let root = T::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || assert_eq!(ready(pin!(black_box(&root).run(at_once(1))), cx), Some(1)))
}

/// A future that pends is run and dropped.
fn run_pending<T: Token>(n: u64, _: usize) -> Sample {
    let root = T::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || pending(pin!(black_box(&root).run(never::<()>())), cx))
}

fn polled<F: Future<Output = u64>>(n: u64, mut make: impl FnMut() -> F) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || assert_eq!(ready(pin!(make()), cx), 1))
}

fn timeout_ready(n: u64, _: usize) -> Sample {
    polled(n, || {
        let timed = timeout(never::<()>(), at_once(black_box(1)));
        async { timed.await.unwrap_or(0) }
    })
}

fn bare_ready(n: u64, _: usize) -> Sample {
    polled(n, || at_once(black_box(1)))
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new(
            "token/is_cancelled",
            "a child that is not cancelled is asked",
            entries![is_cancelled: SharedToken, CancellationToken],
        ),
        Row::new(
            "token/run_ready",
            "run() of a future that is ready",
            entries![run_ready: SharedToken, CancellationToken],
        ),
        Row::new(
            "token/run_pending",
            "run() of a future that pends, polled once and dropped",
            entries![run_pending: SharedToken, CancellationToken],
        ),
        Row::new(
            "token/timeout_ready",
            "timeout() of a future that is ready",
            vec![
                Entry { peer: "testudo timeout", role: Role::Own, body: timeout_ready },
                Entry::floor("the future alone", bare_ready),
            ],
        ),
    ];
    for others in [0, 1_000] {
        let mut entries = entries![child: SharedToken, CancellationToken];
        entries.push(Entry { peer: "testudo CancelToken", role: Role::Own, body: child_on_the_stack });
        let what = "a child is made and dropped, while there are others";
        rows.push(Row { arg: others, ..Row::new(format!("token/child_{others}"), what, entries) });
    }
    for children in [1, 64, 1_000] {
        let entries = entries![cancel: SharedToken, CancellationToken];
        let what = "a tree of N children is made, each is waited for, the root is cancelled: for each child";
        rows.push(Row { arg: children, ..Row::new(format!("token/cancel_{children}"), what, entries) });
    }
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
