//! Generators on one thread: items one after the other, with pauses, wide ones, one within another, short ones.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use cpu_time::ThreadTime;
use futures_util::Stream;
use testudo_benches::entries;
use testudo_benches::harness::{self, Row, Sample, time};
use testudo_benches::peers::generator::*;
use testudo_benches::poll::waker;

/// Polls to the end, again and again while it pends; returns how many items there were.
#[inline(always)]
fn drain<S: Stream>(mut stream: Pin<&mut S>, cx: &mut Context<'_>) -> u64 {
    let mut count = 0;
    loop {
        match stream.as_mut().poll_next(cx) {
            Poll::Ready(Some(item)) => {
                black_box(item);
                count += 1;
            }
            Poll::Ready(None) => return count,
            Poll::Pending => {}
        }
    }
}

/// `n` items of one generator.
fn items<G: Generator>(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let start = ThreadTime::now();
    assert_eq!(drain(pin!(G::numbers(black_box(n))), cx), n);
    Sample::new(n, start.elapsed())
}

/// `n` items, and as many pauses.
fn pauses<G: Generator>(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let start = ThreadTime::now();
    assert_eq!(drain(pin!(G::pauses(black_box(n))), cx), n);
    Sample::new(n, start.elapsed())
}

/// `n` items of 256 bytes.
fn wide<G: Generator>(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let start = ThreadTime::now();
    assert_eq!(drain(pin!(G::wide(black_box(n))), cx), n);
    Sample::new(n, start.elapsed())
}

/// `n` items, one poll at a time behind a function that is not inlined: what a consumer far away sees.
fn one_by_one<G: Generator>(n: u64, _: usize) -> Sample {
    #[inline(never)]
    fn step<S: Stream>(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Option<S::Item> {
        match stream.poll_next(cx) {
            Poll::Ready(item) => item,
            Poll::Pending => panic!("pending"),
        }
    }
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut stream = pin!(G::numbers(u64::MAX));
    time(n, || assert!(step(stream.as_mut(), cx).is_some()))
}

/// A generator is made, gives four items, and ends.
fn short<G: Generator>(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || assert_eq!(drain(pin!(G::numbers(black_box(4))), cx), 4))
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "generator/items",
            "an item, nothing awaited in between",
            entries![items: Testudo, AsyncStream, AsyncFnStream, AsynkStrim, Genawaiter, Unfold, Boxed, Iterator],
        ),
        Row::new(
            "generator/one_by_one",
            "the same, polled by a function that is not inlined",
            entries![one_by_one: Testudo, AsyncStream, AsyncFnStream, AsynkStrim, Genawaiter, Unfold, Boxed, Iterator],
        ),
        Row::new(
            "generator/poll_pending",
            "an item that comes with the second poll",
            entries![pauses: Testudo, AsyncStream, AsyncFnStream, AsynkStrim, Genawaiter, Unfold, Boxed, Iterator],
        ),
        Row::new(
            "generator/wide",
            "an item of 256 bytes",
            entries![wide: Testudo, AsyncStream, AsyncFnStream, AsynkStrim, Genawaiter, Unfold, Boxed, Iterator],
        ),
        Row::new(
            "generator/short",
            "a generator is made, gives four items, and ends",
            entries![short: Testudo, AsyncStream, AsyncFnStream, AsynkStrim, Genawaiter, Unfold, Boxed, Iterator],
        ),
    ]
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
