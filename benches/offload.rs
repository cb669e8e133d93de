//! Blocking work on threads: what the way there and back costs, by pool; and what a job is made of, on one thread.

use std::cell::Cell;
use std::fmt::Debug;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::Context;
use std::time::Instant;

use testudo::run::{BlockingPool, Job, Pool, block_on, offload};
use testudo_benches::entries;
use testudo_benches::harness::{self, Entry, Peer, Role, Row, Sample, time};
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

/// `arg` is the row: one after the other, or 64 at a time.
fn rounds<F: Future<Output = u64>>(n: u64, arg: usize, make: impl FnMut(u64) -> F) -> Sample {
    if arg == 0 { trips(n, make) } else { stream(n, make) }
}

fn tokio_own(n: u64, arg: usize) -> Sample {
    let runtime = tokio_runtime();
    let _inside = runtime.enter();
    let pool = |job: Job| drop(tokio::task::spawn_blocking(move || job.run()));
    rounds(n, arg, |item| through(&pool, item))
}

fn tokio_peer(n: u64, arg: usize) -> Sample {
    let runtime = tokio_runtime();
    let _inside = runtime.enter();
    rounds(n, arg, |item| {
        let work = tokio::task::spawn_blocking(move || black_box(item));
        async { work.await.expect("the pool lives") }
    })
}

fn blocking_own(n: u64, arg: usize) -> Sample {
    rounds(n, arg, |item| through(&BlockingPool, item))
}

fn blocking_peer(n: u64, arg: usize) -> Sample {
    rounds(n, arg, |item| blocking::unblock(move || black_box(item)))
}

fn rayon_own(n: u64, arg: usize) -> Sample {
    let pool = |job: Job| rayon::spawn(move || job.run());
    rounds(n, arg, |item| through(&pool, item))
}

fn rayon_peer(n: u64, arg: usize) -> Sample {
    rounds(n, arg, |item| {
        let (send, receiver) = TokioOneshot::open();
        rayon::spawn(move || send(black_box(item)));
        async { receiver.await.expect("the pool lives") }
    })
}

/// A channel for the output of one job.
trait Oneshot: Peer {
    type Closed: Debug + PartialEq;

    fn open() -> (impl FnOnce(u64) + Send + 'static, impl Future<Output = Result<u64, Self::Closed>> + Send);
}

struct TokioOneshot;

impl Peer for TokioOneshot {
    const NAME: &'static str = "tokio oneshot + Box";
}

impl Oneshot for TokioOneshot {
    type Closed = tokio::sync::oneshot::error::RecvError;

    fn open() -> (impl FnOnce(u64) + Send + 'static, impl Future<Output = Result<u64, Self::Closed>> + Send) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let send = move |item| {
            let _ = sender.send(item);
        };
        (send, receiver)
    }
}

struct FuturesOneshot;

impl Peer for FuturesOneshot {
    const NAME: &'static str = "futures oneshot + Box";
}

impl Oneshot for FuturesOneshot {
    type Closed = futures_channel::oneshot::Canceled;

    fn open() -> (impl FnOnce(u64) + Send + 'static, impl Future<Output = Result<u64, Self::Closed>> + Send) {
        let (sender, receiver) = futures_channel::oneshot::channel();
        let send = move |item| {
            let _ = sender.send(item);
        };
        (send, receiver)
    }
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
fn inline_boxed<O: Oneshot>(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let (send, receiver) = O::open();
        let job: Box<dyn FnOnce() + Send> = Box::new(move || send(black_box(7)));
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

fn cancel_boxed<O: Oneshot>(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let (send, receiver) = O::open();
        let job: Box<dyn FnOnce() + Send> = Box::new(move || send(black_box(7)));
        pending(pin!(receiver), cx);
        job();
    })
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let inline = |name, what, own, peers: Vec<Entry>| {
        Row::new(name, what, [vec![entry("testudo offload", Role::Own, own)], peers].concat())
    };
    let mut rows = vec![
        inline(
            "offload/inline",
            "a job is made, awaited, run on the same thread, its output taken",
            inline_own,
            entries![inline_boxed: TokioOneshot, FuturesOneshot],
        ),
        inline(
            "offload/cancel_waiting",
            "a job is made, awaited, its future dropped, and then the job run",
            cancel_own,
            entries![cancel_boxed: TokioOneshot, FuturesOneshot],
        ),
    ];
    let pools: [(&str, [(&str, harness::Body); 2]); 3] = [
        ("tokio", [("testudo offload", tokio_own), ("tokio spawn_blocking", tokio_peer)]),
        ("blocking", [("testudo BlockingPool", blocking_own), ("blocking unblock", blocking_peer)]),
        ("rayon", [("testudo offload", rayon_own), ("rayon spawn + tokio oneshot", rayon_peer)]),
    ];
    for (pool, [(own, own_body), (peer, peer_body)]) in pools {
        let entries = vec![entry(own, Role::Own, own_body), entry(peer, Role::Peer, peer_body)];
        for (arg, name, what) in [
            (0, "trip", "to a thread of the pool and back, one after the other"),
            (1, "stream", "to a thread of the pool and back, 64 at a time"),
        ] {
            let row = Row::new(format!("offload/{pool}_{name}"), what, entries.clone());
            rows.push(Row { arg, counted: 0, ..row });
        }
    }
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
