//! Semaphores: fast paths, one waiter, many, and cancellation.

use std::hint::black_box;
use std::mem::forget;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Context;

use bumpalo::Bump;
use testudo_benches::entries;
use testudo_benches::harness::{self, Entry, Row, Sample, time};
use testudo_benches::peers::semaphore::*;
use testudo_benches::poll::{other_waker, pending, pinned, ready, waker};

/// Takes a free permit and gives it back.
fn uncontended<S: Semaphore>(n: u64, _: usize) -> Sample {
    let semaphore = S::new(4);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || drop(ready(pin!(black_box(&semaphore).acquire()), cx)))
}

/// The same without a future.
fn try_acquire<S: Semaphore>(n: u64, _: usize) -> Sample {
    let semaphore = S::new(4);
    time(n, || assert!(black_box(&semaphore).try_acquire().is_some()))
}

/// A waiter pends, the holder gives the only permit back, the waiter is the holder.
fn handoff<S: Semaphore>(n: u64, _: usize) -> Sample {
    let semaphore = S::new(1);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut holder = Some(ready(pin!(semaphore.acquire()), cx));
    time(n, || {
        let mut wait = pin!(black_box(&semaphore).acquire());
        pending(wait.as_mut(), cx);
        drop(holder.take());
        holder = Some(ready(wait, cx));
    })
}

/// `waiters` pend, as many permits are added, each takes one. Counts waiters.
fn broadcast<S: Semaphore>(n: u64, waiters: usize) -> Sample {
    let semaphore = S::new(0);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut arena = Bump::new();
    let rounds = n.div_ceil(waiters as u64);
    let mut sample = time(rounds, || {
        arena.reset();
        let mut waits = pinned(&arena, waiters, |_| black_box(&semaphore).acquire());
        waits.iter_mut().for_each(|wait| pending(wait.as_mut(), cx));
        semaphore.add(waiters);
        waits.iter_mut().for_each(|wait| forget(ready(wait.as_mut(), cx)));
    });
    sample.ops *= waiters as u64;
    sample
}

/// A wait is registered and dropped while `others` wait.
fn cancel_waiting<S: Semaphore>(n: u64, others: usize) -> Sample {
    let semaphore = S::new(0);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let theirs = other_waker();
    let others_cx = &mut Context::from_waker(&theirs);
    let arena = Bump::new();
    let mut waits = pinned(&arena, others, |_| semaphore.acquire());
    waits.iter_mut().for_each(|wait| pending(wait.as_mut(), others_cx));
    time(n, || pending(pin!(black_box(&semaphore).acquire()), cx))
}

/// A wait that pends is polled again with the same waker.
fn poll_pending<S: Semaphore>(n: u64, _: usize) -> Sample {
    let semaphore = S::new(0);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut wait = pin!(semaphore.acquire());
    pending(wait.as_mut(), cx);
    time(n, || pending(wait.as_mut(), cx))
}

/// The two updates that a count of permits cannot do without.
fn two_cas(n: u64, _: usize) -> Sample {
    let word = AtomicU64::new(4);
    let cas = |from, to| {
        let result = black_box(&word).compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
        assert!(result.is_ok(), "one thread");
    };
    time(n, || {
        cas(4, 3);
        cas(3, 4);
    })
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new("semaphore/uncontended", "acquire() of a free permit, polled once, and release", {
            let mut entries = entries![uncontended: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
                FuturesIntrusiveUnfair, Embassy, Saa];
            entries.push(Entry::floor("two compare-and-swaps", two_cas));
            entries
        }),
        Row::new("semaphore/try_acquire", "try_acquire() of a free permit, and release", {
            let mut entries = entries![try_acquire: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
                FuturesIntrusiveUnfair, Embassy, Saa];
            entries.push(Entry::floor("two compare-and-swaps", two_cas));
            entries
        }),
        Row::new(
            "semaphore/handoff",
            "a waiter pends, the permit is released, the waiter holds it",
            entries![handoff: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
                FuturesIntrusiveUnfair, Embassy, Saa],
        ),
        Row::new(
            "semaphore/poll_pending",
            "a second poll of a wait that pends, same waker",
            entries![poll_pending: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
                FuturesIntrusiveUnfair, Embassy, Saa],
        ),
    ];
    for others in [0, 1_000, 100_000] {
        let mut entries = entries![cancel_waiting: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
            FuturesIntrusiveUnfair];
        if others == 0 {
            entries.extend(entries![cancel_waiting: Embassy]); // one slot: of many who wait it knows the last
        }
        let what = "a wait is registered and dropped while others wait";
        rows.push(Row { arg: others, ..Row::new(format!("semaphore/cancel_waiting_{others}"), what, entries) });
    }
    for waiters in [1, 8, 64, 1_000] {
        let entries = entries![broadcast: Testudo, AsyncLock, Tokio, Asyncband, Maitake, FuturesIntrusiveFair,
            FuturesIntrusiveUnfair];
        let what = "N wait, N permits are added, each takes one: for each waiter";
        rows.push(Row { arg: waiters, ..Row::new(format!("semaphore/broadcast_{waiters}"), what, entries) });
    }
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
