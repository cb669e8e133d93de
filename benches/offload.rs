//! Blocking work on threads: what the way there and back costs, by pool; and what a job is made of, on one thread.

use std::cell::Cell;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::Context;
use std::time::Instant;

use testudo::run::{BlockingPool, Job, Pool, block_on, offload};
use testudo_benches::harness::{self, Entry, Role, Row, Sample, time};
use testudo_benches::poll::{pending, ready, waker};

fn entry(peer: &'static str, role: Role, body: harness::Body) -> Entry {
    Entry { peer, role, body }
}

/// `n` pieces of work one after the other, in real time.
fn trips<F: Future<Output = u64>>(n: u64, mut make: impl FnMut(u64) -> F) -> Sample {
    let start = Instant::now();
    block_on(async {
        for item in 0..n {
            assert_eq!(make(item).await, item);
        }
    });
    Sample::new(n, start.elapsed())
}

/// `n` pieces of work, 64 of them under way at a time.
fn stream<F: Future<Output = u64>>(n: u64, mut make: impl FnMut(u64) -> F) -> Sample {
    let start = Instant::now();
    block_on(async {
        let mut sum = 0;
        for first in (0..n).step_by(64) {
            let batch: Vec<F> = (first..n.min(first + 64)).map(&mut make).collect();
            for work in batch {
                sum += work.await;
            }
        }
        assert_eq!(sum, n * (n - 1) / 2);
    });
    Sample::new(n, start.elapsed())
}

fn through<P: Pool>(pool: &P, item: u64) -> impl Future<Output = u64> + use<P> {
    let work = offload(pool, move |_| black_box(item));
    async { work.await.expect("the pool lives") }
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("tokio starts")
}

fn tokio_own(n: u64, arg: usize) -> Sample {
    let runtime = tokio_runtime();
    let _inside = runtime.enter();
    let pool = |job: Job| drop(tokio::task::spawn_blocking(move || job.run()));
    if arg == 0 { trips(n, |item| through(&pool, item)) } else { stream(n, |item| through(&pool, item)) }
}

fn tokio_peer(n: u64, arg: usize) -> Sample {
    let runtime = tokio_runtime();
    let _inside = runtime.enter();
    let make = |item| {
        let work = tokio::task::spawn_blocking(move || black_box(item));
        async { work.await.expect("the pool lives") }
    };
    if arg == 0 { trips(n, make) } else { stream(n, make) }
}

fn blocking_own(n: u64, arg: usize) -> Sample {
    let make = |item| through(&BlockingPool, item);
    if arg == 0 { trips(n, make) } else { stream(n, make) }
}

fn blocking_peer(n: u64, arg: usize) -> Sample {
    let make = |item| blocking::unblock(move || black_box(item));
    if arg == 0 { trips(n, make) } else { stream(n, make) }
}

fn rayon_own(n: u64, arg: usize) -> Sample {
    let pool = |job: Job| rayon::spawn(move || job.run());
    if arg == 0 { trips(n, |item| through(&pool, item)) } else { stream(n, |item| through(&pool, item)) }
}

fn rayon_peer(n: u64, arg: usize) -> Sample {
    let make = |item| {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        rayon::spawn(move || {
            let _ = sender.send(black_box(item));
        });
        async { receiver.await.expect("the pool lives") }
    };
    if arg == 0 { trips(n, make) } else { stream(n, make) }
}

/// A job is made, awaited, run on this thread, and its output taken.
fn inline_own(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let job = Cell::new(None);
        let mut work = pin!(offload(&|new| job.set(Some(new)), |_| black_box(7)));
        pending(work.as_mut(), cx);
        let Some(job) = job.into_inner() else { panic!("no job") };
        job.run();
        assert_eq!(ready(work, cx), Ok(7));
    })
}

/// The same with a closure in a box and a channel.
fn inline_tokio(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let job: Box<dyn FnOnce() + Send> = Box::new(move || {
            let _ = sender.send(black_box(7));
        });
        let mut work = pin!(receiver);
        pending(work.as_mut(), cx);
        job();
        assert_eq!(ready(work, cx), Ok(7));
    })
}

/// The same with another channel.
fn inline_futures(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let (sender, receiver) = futures_channel::oneshot::channel();
        let job: Box<dyn FnOnce() + Send> = Box::new(move || {
            let _ = sender.send(black_box(7));
        });
        let mut work = pin!(receiver);
        pending(work.as_mut(), cx);
        job();
        assert_eq!(ready(work, cx), Ok(7));
    })
}

/// A job is made, its future dropped, and the job after it.
fn cancel_own(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let job = Cell::new(None);
        pending(pin!(offload(&|new| job.set(Some(new)), |_| black_box(7))), cx);
        let Some(job) = job.into_inner() else { panic!("no job") };
        job.run();
    })
}

fn cancel_tokio(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let job: Box<dyn FnOnce() + Send> = Box::new(move || {
            let _ = sender.send(black_box(7));
        });
        pending(pin!(receiver), cx);
        job();
    })
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new(
            "offload/inline",
            "a job is made, awaited, run on the same thread, its output taken",
            vec![
                entry("testudo offload", Role::Own, inline_own),
                entry("tokio oneshot + Box", Role::Peer, inline_tokio),
                entry("futures oneshot + Box", Role::Peer, inline_futures),
            ],
        ),
        Row::new(
            "offload/cancel_waiting",
            "a job is made, awaited, its future dropped, and then the job run",
            vec![
                entry("testudo offload", Role::Own, cancel_own),
                entry("tokio oneshot + Box", Role::Peer, cancel_tokio),
            ],
        ),
    ];
    let pools: [(&str, [Entry; 2]); 3] = [
        (
            "tokio",
            [entry("testudo offload", Role::Own, tokio_own), entry("tokio spawn_blocking", Role::Peer, tokio_peer)],
        ),
        (
            "blocking",
            [
                entry("testudo BlockingPool", Role::Own, blocking_own),
                entry("blocking unblock", Role::Peer, blocking_peer),
            ],
        ),
        (
            "rayon",
            [
                entry("testudo offload", Role::Own, rayon_own),
                entry("rayon spawn + tokio oneshot", Role::Peer, rayon_peer),
            ],
        ),
    ];
    for (pool, entries) in pools {
        for (arg, name, what) in [
            (0, "trip", "to a thread of the pool and back, one after the other"),
            (1, "stream", "to a thread of the pool and back, 64 at a time"),
        ] {
            let row = Row::new(format!("offload/{pool}_{name}"), what, entries.to_vec());
            rows.push(Row { arg, counted: 0, ..row });
        }
    }
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
