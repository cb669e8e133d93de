//! Readers-writer locks: fast paths, one waiter, a crowd of readers, cancellation, and 16 tasks of which some write.

use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;
use std::time::Duration;

use bumpalo::Bump;
use testudo_benches::entries;
use testudo_benches::harness::{self, Row, Sample, Unit, time};
use testudo_benches::peers::mutex::Held;
use testudo_benches::peers::rwlock::*;
use testudo_benches::poll::{other_waker, pending, pinned, ready, waker};
use testudo_benches::threads::{self, jain, yield_now};

/// A reader gets in and leaves; nobody else is there.
fn uncontended_read<L: RwLock>(n: u64, _: usize) -> Sample {
    let lock = L::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        black_box(ready(pin!(black_box(&lock).read()), cx).get());
    })
}

/// The same for the writer.
fn uncontended_write<L: RwLock>(n: u64, _: usize) -> Sample {
    let lock = L::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || ready(pin!(black_box(&lock).write()), cx).bump())
}

/// A writer pends, the last one leaves, the writer is inside.
fn handoff<L: RwLock>(n: u64, _: usize) -> Sample {
    let lock = L::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut holder = Some(ready(pin!(lock.write()), cx));
    time(n, || {
        let mut write = pin!(black_box(&lock).write());
        pending(write.as_mut(), cx);
        drop(holder.take());
        holder = Some(ready(write, cx));
    })
}

/// `crowd` readers wait for a writer, which leaves, and all get in and leave.
fn broadcast<L: RwLock>(n: u64, crowd: usize) -> Sample {
    let lock = L::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut arena = Bump::new();
    let mut total = Sample::new(0, Duration::ZERO);
    for _ in 0..n {
        arena.reset();
        let mut reads = pinned(&arena, crowd, |_| lock.read());
        let one = time(1, || {
            let writer = ready(pin!(lock.write()), cx);
            reads.iter_mut().for_each(|read| pending(read.as_mut(), cx));
            drop(writer);
            for read in &mut reads {
                black_box(ready(read.as_mut(), cx).get());
            }
        });
        total.ops += 1;
        total.time += one.time;
    }
    total
}

/// A write future is registered and dropped while `others` wait.
fn cancel_waiting<L: RwLock>(n: u64, others: usize) -> Sample {
    let lock = L::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let theirs = other_waker();
    let others_cx = &mut Context::from_waker(&theirs);
    let arena = Bump::new();
    let _holder = ready(pin!(lock.write()), cx);
    let mut reads = pinned(&arena, others, |_| lock.read());
    reads.iter_mut().for_each(|read| pending(read.as_mut(), others_cx));
    time(n, || pending(pin!(black_box(&lock).read()), cx))
}

/// 16 tasks on `threads` threads, each of which writes every tenth time and reads otherwise, for `millis`; with `YIELD` they
/// yield once after each.
fn mixed<L: RwLock, const YIELD: bool>(millis: u64, threads: usize) -> Sample {
    let (lock, stop) = (L::new(), AtomicBool::new(false));
    let (lock, stop) = (&lock, &stop);
    let task = || async move {
        let mut ops = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            if ops % 10 == 9 {
                lock.write().await.bump();
            } else {
                black_box(lock.read().await.get());
            }
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

fn greedy<L: RwLock>(millis: u64, threads: usize) -> Sample {
    mixed::<L, false>(millis, threads)
}

fn yielding<L: RwLock>(millis: u64, threads: usize) -> Sample {
    mixed::<L, true>(millis, threads)
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new(
            "rwlock/uncontended_read",
            "read() of a free lock, polled once, and leave",
            entries![uncontended_read: Testudo, AsyncLock, Tokio, Asyncband, Maitake, Embassy, Saa],
        ),
        Row::new(
            "rwlock/uncontended_write",
            "write() of a free lock, polled once, and leave",
            entries![uncontended_write: Testudo, AsyncLock, Tokio, Asyncband, Maitake, Embassy, Saa],
        ),
        Row::new(
            "rwlock/handoff",
            "a writer pends, the writer leaves, the other is inside",
            entries![handoff: Testudo, AsyncLock, Tokio, Asyncband, Maitake, Embassy, Saa],
        ),
    ];
    for crowd in [8, 64] {
        let what = "so many readers pend, the writer leaves, all get in and leave";
        let entries = entries![broadcast: Testudo, AsyncLock, Tokio, Asyncband, Maitake, Saa];
        rows.push(Row { arg: crowd, counted: 100, ..Row::new(format!("rwlock/broadcast_{crowd}"), what, entries) });
    }
    for others in [0, 1_000] {
        let mut entries = entries![cancel_waiting: Testudo, AsyncLock, Tokio, Asyncband, Maitake];
        if others == 0 {
            entries.extend(entries![cancel_waiting: Embassy]); // one slot: of many who wait it knows the last
        }
        let what = "a read future is registered and dropped while others wait for a writer";
        rows.push(Row { arg: others, ..Row::new(format!("rwlock/cancel_waiting_{others}"), what, entries) });
    }
    let mixed = |name: &str, what, entries| Row {
        unit: Unit::Mops,
        columns: &["Jain", "Mops/s x Jain"],
        arg: 2,
        counted: 0,
        ..Row::new(name, what, entries)
    };
    rows.push(mixed(
        "rwlock/greedy",
        "2 threads x 8 tasks, every tenth time they write, else they read",
        entries![greedy: Testudo, AsyncLock, Tokio, Asyncband, Maitake, Embassy, Saa],
    ));
    rows.push(mixed(
        "rwlock/yield",
        "2 threads x 8 tasks, every tenth time they write, each yields after it left",
        entries![yielding: Testudo, AsyncLock, Tokio, Asyncband, Maitake, Embassy, Saa],
    ));
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
