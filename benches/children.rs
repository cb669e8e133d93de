//! Sets of futures: all ready, one yield each, woken in random order, one straggler. Counts children; making the vector
//! of futures is part of it.

use std::cell::Cell;
use std::future::{Future, ready as value};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use testudo_benches::entries;
use testudo_benches::harness::{self, Entry, Row, Sample, time};
use testudo_benches::peers::children::*;
use testudo_benches::poll::{pending, waker};

/// Pending once, woken at once.
struct Yield(bool);

impl Future for Yield {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(1);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Pending until it is polled again, having left its waker in its place. With `None` it is ready at once.
struct Leaf {
    places: Rc<[Cell<Option<Waker>>]>,
    place: Option<usize>,
}

impl Future for Leaf {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let Some(place) = self.place else { return Poll::Ready(1) };
        let cell = &self.places[place];
        match cell.take() {
            None if self.woken(place) => {
                self.place = None;
                Poll::Ready(1)
            }
            waker => {
                let same = waker.filter(|waker| waker.will_wake(cx.waker()));
                cell.set(Some(same.unwrap_or_else(|| cx.waker().clone())));
                Poll::Pending
            }
        }
    }
}

impl Leaf {
    /// Whether its waker was taken: the cell behind its own says whether it had one.
    fn woken(&self, place: usize) -> bool {
        let begun = &self.places[self.places.len() / 2 + place];
        let was = begun.take();
        begun.set(Some(Waker::noop().clone()));
        was.is_some()
    }
}

fn places(n: usize) -> Rc<[Cell<Option<Waker>>]> {
    (0..2 * n).map(|_| Cell::new(None)).collect()
}

/// `0..n`, shuffled; always the same.
fn shuffled(n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for last in (1..n).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(last, (state % (last as u64 + 1)) as usize);
    }
    order
}

fn counted(mut sample: Sample, children: usize) -> Sample {
    sample.ops *= children as u64;
    sample
}

fn rounds(n: u64, children: usize) -> u64 {
    n.div_ceil(children as u64)
}

fn all_ready<F: Future<Output = usize>>(
    n: u64,
    children: usize,
    join: impl Fn(Vec<std::future::Ready<usize>>) -> F,
) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let sample = time(rounds(n, children), || {
        let futures = (0..children).map(|_| value(black_box(1))).collect();
        assert_eq!(finish(pin!(join(futures)), cx), children);
    });
    counted(sample, children)
}

fn yield_once<F: Future<Output = usize>>(n: u64, children: usize, join: impl Fn(Vec<Yield>) -> F) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let sample = time(rounds(n, children), || {
        let all = pin!(join((0..children).map(|_| Yield(black_box(false))).collect()));
        assert_eq!(finish(all, cx), children);
    });
    counted(sample, children)
}

/// Polls until it is ready; some peers return after a few dozen children and wake themselves.
fn finish<F: Future<Output = usize>>(mut all: Pin<&mut F>, cx: &mut Context<'_>) -> usize {
    loop {
        if let Poll::Ready(sum) = all.as_mut().poll(cx) {
            return sum;
        }
    }
}

/// Polls until the children in these places wait.
fn begin<F: Future>(mut all: Pin<&mut F>, cx: &mut Context<'_>, places: &[Cell<Option<Waker>>], waiting: [usize; 2]) {
    let waits = |place: usize| {
        let waker = places[place].take();
        let waits = waker.is_some();
        places[place].set(waker);
        waits
    };
    loop {
        pending(all.as_mut(), cx);
        if waiting.into_iter().all(waits) {
            return;
        }
    }
}

/// Woken one by one in random order, the parent polled after each.
fn one_by_one<F: Future<Output = usize>>(n: u64, children: usize, join: impl Fn(Vec<Leaf>) -> F) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let order = shuffled(children);
    let sample = time(rounds(n, children), || {
        let places = places(children);
        let leaf = |place| Leaf { places: places.clone(), place: Some(place) };
        let mut all = pin!(join((0..children).map(leaf).collect()));
        begin(all.as_mut(), cx, &places, [0, children - 1]);
        let (&last, first) = order.split_last().expect("there are some");
        for &place in first {
            places[place].take().expect("it waits").wake();
            pending(all.as_mut(), cx);
        }
        places[last].take().expect("it waits").wake();
        assert_eq!(finish(all, cx), children);
    });
    counted(sample, children)
}

/// All are ready but the one in the middle, which is woken later.
fn straggler<F: Future<Output = usize>>(n: u64, children: usize, join: impl Fn(Vec<Leaf>) -> F) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let places = places(children);
    let sample = time(rounds(n, children), || {
        let leaf = |place| Leaf { places: places.clone(), place: (place == children / 2).then_some(place) };
        let mut all = pin!(join((0..children).map(leaf).collect()));
        begin(all.as_mut(), cx, &places, [children / 2; 2]);
        places[children / 2].take().expect("it waits").wake();
        assert_eq!(finish(all, cx), children);
        places[children + children / 2].take();
    });
    counted(sample, children)
}

fn join_ready<J: Join>(n: u64, children: usize) -> Sample {
    all_ready(n, children, J::join)
}
fn join_yield<J: Join>(n: u64, children: usize) -> Sample {
    yield_once(n, children, J::join)
}
fn join_random<J: Join>(n: u64, children: usize) -> Sample {
    one_by_one(n, children, J::join)
}
fn join_straggler<J: Join>(n: u64, children: usize) -> Sample {
    straggler(n, children, J::join)
}
fn each_ready<C: Completed>(n: u64, children: usize) -> Sample {
    all_ready(n, children, C::each)
}
fn each_yield<C: Completed>(n: u64, children: usize) -> Sample {
    yield_once(n, children, C::each)
}
fn each_random<C: Completed>(n: u64, children: usize) -> Sample {
    one_by_one(n, children, C::each)
}
fn try_ready<J: TryJoin>(n: u64, children: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let sample = time(rounds(n, children), || {
        let futures = (0..children).map(|_| value(black_box(Ok(1)))).collect();
        assert_eq!(finish(pin!(J::join(futures)), cx), children);
    });
    counted(sample, children)
}

/// On a tokio runtime of one thread, which polls the set as well.
fn spawn_yield<S: Spawn>(n: u64, children: usize) -> Sample {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let sample = time(rounds(n, children), || {
        let futures = (0..children).map(|_| Yield(black_box(false))).collect();
        assert_eq!(runtime.block_on(S::join(futures)), children);
    });
    counted(sample, children)
}

/// All rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |name: &str, what, sizes: &[usize], entries: &dyn Fn(usize) -> Vec<Entry>| {
        for &arg in sizes {
            // Instructions are counted up to 1024 children.
            let counted = if arg > 1024 { 0 } else { 16 * arg as u64 };
            let row = Row::new(format!("children/{name}/{arg}"), what, entries(arg));
            rows.push(Row { arg, counted, ..row });
        }
    };
    const SIZES: [usize; 7] = [2, 8, 16, 30, 1024, 100_000, 1_000_000];
    add(
        "ready",
        "a vector of futures that are ready",
        &SIZES,
        &|_| entries![join_ready: Testudo, Futures, Unordered, Buffered, Concurrency],
    );
    add(
        "try_ready",
        "the same, in the form that stops at an error",
        &[8, 1024],
        &|_| entries![try_ready: Testudo, Futures, Buffered, Concurrency],
    );
    add(
        "yield",
        "each yields once",
        &SIZES,
        &|_| entries![join_yield: Testudo, Futures, Unordered, Buffered, Concurrency],
    );
    add("random", "woken one by one in random order, the set polled after each", &SIZES, &|size| {
        if size > 1024 {
            return entries![join_random: Testudo, Futures, Unordered, Buffered]; // the others are linear
        }
        entries![join_random: Testudo, Futures, Unordered, Buffered, Concurrency]
    });
    add(
        "straggler",
        "all are ready but one",
        &[8, 1024, 100_000, 1_000_000],
        &|_| entries![join_straggler: Testudo, Futures, Unordered, Buffered, Concurrency],
    );
    add("each_ready", "as they come: futures that are ready", &[8, 1024, 100_000, 1_000_000], &|size| {
        if size > 1024 {
            return entries![each_ready: Testudo, Unordered, Buffered];
        }
        entries![each_ready: Testudo, Unordered, Buffered, Concurrency]
    });
    add(
        "each_yield",
        "as they come: each yields once",
        &[8, 1024],
        &|_| entries![each_yield: Testudo, Unordered, Buffered, Concurrency],
    );
    add("each_random", "as they come: woken one by one in random order", &[8, 1024, 100_000, 1_000_000], &|size| {
        if size > 1024 {
            return entries![each_random: Testudo, Unordered, Buffered];
        }
        entries![each_random: Testudo, Unordered, Buffered, Concurrency]
    });
    add(
        "spawned",
        "tasks of a tokio runtime of one thread that yield once; this crate: one task",
        &[8, 1024],
        &|_| entries![spawn_yield: Testudo, JoinSet, TaskTracker],
    );
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
