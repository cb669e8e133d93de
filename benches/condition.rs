//! One producer and many consumers, each of which waits for a value of its own.

use std::task::Context;
use std::time::Duration;

use bumpalo::Bump;
use cpu_time::ThreadTime;
use testudo_benches::entries;
use testudo_benches::harness::{self, Row, Sample};
use testudo_benches::peers::condition::*;
use testudo_benches::poll::{ReadySet, pending, pinned};

/// The thresholds 1..=`consumers` in an order that favours nobody (a fixed shuffle).
fn shuffled(consumers: usize) -> Vec<u64> {
    let mut thresholds: Vec<u64> = (1..=consumers as u64).collect();
    let mut state = 1_u64;
    for index in (1..consumers).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thresholds.swap(index, (state >> 33) as usize % (index + 1));
    }
    thresholds
}

/// `consumers` waits are registered, then the producer takes as many steps and polls those who were woken, after each;
/// one operation is a step. With few consumers several boards are made at a time, so that the clock weighs nothing.
fn herd<B: Board>(n: u64, consumers: usize) -> Sample {
    let groups = 1000_usize.div_ceil(consumers);
    let thresholds = shuffled(consumers);
    let (woken, wakers) = ReadySet::new(consumers);
    let mut contexts: Vec<_> = wakers.iter().map(Context::from_waker).collect();
    let mut arena = Bump::new();
    let (mut time, mut polls) = (Duration::ZERO, 0);
    for _ in 0..n {
        let boards: Vec<B> = (0..groups).map(|_| B::new()).collect();
        let each = boards.iter();
        let mut waits: Vec<_> =
            each.map(|board| pinned(&arena, consumers, |index| board.reached(thresholds[index]))).collect();
        let start = ThreadTime::now();
        for (board, waits) in boards.iter().zip(&mut waits) {
            waits.iter_mut().zip(&mut contexts).for_each(|(wait, cx)| pending(wait.as_mut(), cx));
            let mut done = 0;
            for step in 1..=consumers {
                board.step();
                woken.drain(|index| {
                    polls += 1;
                    let ready = waits[index].as_mut().poll(&mut contexts[index]).is_ready();
                    assert_eq!(ready, thresholds[index] == step as u64, "{}: threshold {}", B::NAME, thresholds[index]);
                    done += usize::from(ready);
                });
                assert_eq!(done, step, "{}: a consumer waits on", B::NAME);
            }
        }
        time += start.elapsed();
        polls += groups * consumers;
        drop(waits);
        drop(boards);
        arena.reset();
    }
    let ops = n * (groups * consumers) as u64;
    Sample { ops, time, extra: vec![woken.wakes() as f64 / ops as f64, polls as f64 / ops as f64] }
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let row = |(consumers, counted)| Row {
        columns: &["wakes/step", "polls/step"],
        arg: consumers,
        counted,
        ..Row::new(
            format!("condition/herd_{consumers}"),
            "consumers wait for a value each, a producer counts up to them; time a step",
            entries![herd: Testudo, Asyncband, AsyncEvent, Embassy, FuturesIntrusive, FuturesIntrusiveEvent,
                TokioNotify, TokioWatch, Maitake, EventListener, Sorted],
        )
    };
    [(10, 1), (100, 1), (1_000, 1)].map(row).into()
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
