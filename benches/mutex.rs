//! Mutexes: fast paths, one waiter, cancellation, and 16 tasks that all want the lock.

use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Context;
use std::time::Duration;

use bumpalo::Bump;
use testudo_benches::entries;
use testudo_benches::harness::{self, Entry, Row, Sample, Unit, time};
use testudo_benches::peers::mutex::*;
use testudo_benches::poll::{other_waker, pending, pinned, ready, waker};
use testudo_benches::threads::{self, jain, yield_now};

/// Locks and unlocks a free mutex.
fn uncontended<M: Mutex>(n: u64, _: usize) -> Sample {
    let mutex = M::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || ready(pin!(black_box(&mutex).lock()), cx).bump())
}

/// The same without a future.
fn try_lock<M: Mutex>(n: u64, _: usize) -> Sample {
    let mutex = M::new();
    time(n, || black_box(&mutex).try_lock().expect("it is free").bump())
}

/// A waiter pends, the holder unlocks, the waiter is the holder.
fn handoff<M: Mutex>(n: u64, _: usize) -> Sample {
    let mutex = M::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut holder = Some(ready(pin!(mutex.lock()), cx));
    time(n, || {
        let mut lock = pin!(black_box(&mutex).lock());
        pending(lock.as_mut(), cx);
        drop(holder.take());
        holder = Some(ready(lock, cx));
    })
}

/// A lock future is registered and dropped while `others` wait.
fn cancel_waiting<M: Mutex>(n: u64, others: usize) -> Sample {
    let mutex = M::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let theirs = other_waker();
    let others_cx = &mut Context::from_waker(&theirs);
    let arena = Bump::new();
    let _holder = ready(pin!(mutex.lock()), cx);
    let mut locks = pinned(&arena, others, |_| mutex.lock());
    locks.iter_mut().for_each(|lock| pending(lock.as_mut(), others_cx));
    time(n, || pending(pin!(black_box(&mutex).lock()), cx))
}

/// A lock future that pends is polled again with the same waker.
fn poll_pending<M: Mutex>(n: u64, _: usize) -> Sample {
    let mutex = M::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let _holder = ready(pin!(mutex.lock()), cx);
    let mut lock = pin!(mutex.lock());
    pending(lock.as_mut(), cx);
    time(n, || pending(lock.as_mut(), cx))
}

/// 16 tasks on `threads` threads lock and unlock for `millis`; with `HOLD` they yield once while they hold the lock,
/// with `YIELD` once after.
fn contended<M: Mutex, const HOLD: bool, const YIELD: bool>(millis: u64, threads: usize) -> Sample {
    let (mutex, stop) = (M::new(), AtomicBool::new(false));
    let (mutex, stop) = (&mutex, &stop);
    let task = || async move {
        let mut ops = 0;
        while !stop.load(Ordering::Relaxed) {
            let mut guard = mutex.lock().await;
            guard.bump();
            if HOLD {
                yield_now().await;
            }
            drop(guard);
            ops += 1;
            if YIELD {
                yield_now().await;
            }
        }
        ops
    };
    match threads::run(threads, 16 / threads, Duration::from_millis(millis), stop, task) {
        Some((each, time)) => {
            let (ops, jain) = (each.iter().sum(), jain(&each));
            Sample { ops, time, extra: vec![jain, jain * ops as f64 / time.as_secs_f64() / 1e6] }
        }
        None => Sample { ops: 0, time: Duration::ZERO, extra: vec![f64::NAN; 2] },
    }
}

fn greedy<M: Mutex>(millis: u64, threads: usize) -> Sample {
    contended::<M, false, false>(millis, threads)
}

fn yielding<M: Mutex>(millis: u64, threads: usize) -> Sample {
    contended::<M, false, true>(millis, threads)
}

fn holding<M: Mutex>(millis: u64, threads: usize) -> Sample {
    contended::<M, true, false>(millis, threads)
}

/// The two updates that a lock with a flag for waiters cannot do without.
fn two_cas(n: u64, _: usize) -> Sample {
    let word = AtomicU64::new(0);
    let cas = |from, to| {
        let result = black_box(&word).compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
        assert!(result.is_ok(), "one thread");
    };
    time(n, || {
        cas(0, 1);
        cas(1, 0);
    })
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new("mutex/uncontended", "lock() of a free mutex, polled once, and unlock", {
            let mut entries = entries![uncontended: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
                FuturesIntrusiveUnfair, FuturesUtil, Embassy, Saa, ParkingLot];
            entries.push(Entry::floor("two compare-and-swaps", two_cas));
            entries
        }),
        Row::new("mutex/try_lock", "try_lock() of a free mutex, and unlock", {
            let mut entries = entries![try_lock: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
                FuturesIntrusiveUnfair, FuturesUtil, Embassy, Saa, ParkingLot];
            entries.push(Entry::floor("two compare-and-swaps", two_cas));
            entries
        }),
        Row::new(
            "mutex/handoff",
            "a waiter pends, the holder unlocks, the waiter holds the lock",
            entries![handoff: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
                FuturesIntrusiveUnfair, FuturesUtil, Embassy, Saa],
        ),
        Row::new(
            "mutex/poll_pending",
            "a second poll of a lock future that pends, same waker",
            entries![poll_pending: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
                FuturesIntrusiveUnfair, FuturesUtil, Embassy, Saa],
        ),
    ];
    for others in [0, 1_000, 100_000] {
        let mut entries = entries![cancel_waiting: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
            FuturesIntrusiveUnfair, FuturesUtil];
        if others == 0 {
            entries.extend(entries![cancel_waiting: Embassy]); // one slot: of many who wait it knows the last
        }
        let what = "a lock future is registered and dropped while others wait";
        rows.push(Row { arg: others, ..Row::new(format!("mutex/cancel_waiting_{others}"), what, entries) });
    }
    let contended = |name: &str, what, threads, entries| Row {
        unit: Unit::Mops,
        columns: &["Jain", "Mops/s x Jain"],
        arg: threads,
        counted: 0,
        ..Row::new(name, what, entries)
    };
    rows.push(contended(
        "mutex/greedy",
        "2 threads x 8 tasks lock and unlock in a loop",
        2,
        entries![greedy: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair, FuturesIntrusiveUnfair,
            FuturesUtil, Embassy, Saa],
    ));
    rows.push(contended(
        "mutex/yield",
        "2 threads x 8 tasks, each yields after it unlocked",
        2,
        entries![yielding: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair, FuturesIntrusiveUnfair,
            FuturesUtil, Embassy, Saa],
    ));
    rows.push(contended(
        "mutex/hold",
        "2 threads x 8 tasks, each yields while it holds the lock",
        2,
        entries![holding: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair, FuturesIntrusiveUnfair,
            FuturesUtil, Embassy, Saa],
    ));
    rows.push(contended(
        "mutex/hold_one_thread",
        "1 thread x 16 tasks, each yields while it holds the lock",
        1,
        entries![holding: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair, FuturesIntrusiveUnfair,
            FuturesUtil, Embassy, Saa],
    ));
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
