//! `Queue` and `ArrayQueue`: one thread against a sequential model, and small histories of three threads, for each of which
//! some order of their operations has to explain what they returned.
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::{ArrayQueue, Queue, TryGetError, TryPutError};

use crate::{config, regressions};

#[derive(Clone, Copy, Debug)]
enum Op {
    Put(u8),
    Get,
    Done,
    Close,
    CloseNow,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..8_u8).prop_map(Op::Put),
        10 => Just(Op::Get),
        6 => Just(Op::Done),
        1 => Just(Op::Close),
        1 => Just(Op::CloseNow),
    ]
}

/// What an operation returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Put(bool),
    Full,
    Got(u8),
    Empty,
    Closed,
    Count(usize),
}

#[derive(Clone, Debug)]
enum Kept {
    Fifo(VecDeque<u8>),
    Lifo(Vec<u8>),
    Heap(BinaryHeap<Reverse<u8>>),
}

#[derive(Clone, Debug)]
struct Model {
    kept: Kept,
    capacity: usize,
    closed: bool,
    unfinished: usize,
}

impl Model {
    fn len(&self) -> usize {
        match &self.kept {
            Kept::Fifo(kept) => kept.len(),
            Kept::Lifo(kept) => kept.len(),
            Kept::Heap(kept) => kept.len(),
        }
    }

    fn step(&mut self, op: Op) -> Said {
        match op {
            Op::Put(_) if self.closed => Said::Closed,
            Op::Put(_) if self.len() == self.capacity => Said::Full,
            Op::Put(item) => {
                match &mut self.kept {
                    Kept::Fifo(kept) => kept.push_back(item),
                    Kept::Lifo(kept) => kept.push(item),
                    Kept::Heap(kept) => kept.push(Reverse(item)),
                }
                self.unfinished += 1;
                Said::Put(true)
            }
            Op::Get => {
                let got = match &mut self.kept {
                    Kept::Fifo(kept) => kept.pop_front(),
                    Kept::Lifo(kept) => kept.pop(),
                    Kept::Heap(kept) => kept.pop().map(|Reverse(item)| item),
                };
                got.map_or(if self.closed { Said::Closed } else { Said::Empty }, Said::Got)
            }
            Op::Done => {
                let done = self.unfinished > 0;
                self.unfinished -= usize::from(done);
                Said::Put(done)
            }
            Op::Close => Said::Put(!std::mem::replace(&mut self.closed, true)),
            Op::CloseNow => {
                self.closed = true;
                let count = self.len();
                self.kept = Kept::Fifo(VecDeque::new());
                self.unfinished = self.unfinished.saturating_sub(count);
                Said::Count(count)
            }
        }
    }
}

/// The verbs, for both types.
trait Verbs: Sync {
    fn step(&self, op: Op) -> Said;
    fn state(&self) -> (usize, usize, bool);
}

macro_rules! verbs {
    ([$($gen:tt)*] $queue:ty) => {
        impl<$($gen)*> Verbs for $queue {
            fn step(&self, op: Op) -> Said {
                match op {
                    Op::Put(item) => match self.try_put(item) {
                        Ok(()) => Said::Put(true),
                        Err(TryPutError::Full(back)) if back == item => Said::Full,
                        Err(TryPutError::Closed(back)) if back == item => Said::Closed,
                        Err(_) => unreachable!("another item comes back"),
                    },
                    Op::Get => match self.try_get() {
                        Ok(item) => Said::Got(item),
                        Err(TryGetError::Empty) => Said::Empty,
                        Err(TryGetError::Closed) => Said::Closed,
                    },
                    Op::Done => Said::Put(self.task_done().is_ok()),
                    Op::Close => Said::Put(self.close()),
                    Op::CloseNow => Said::Count(self.close_now()),
                }
            }

            fn state(&self) -> (usize, usize, bool) {
                (self.len(), self.unfinished(), self.is_closed())
            }
        }
    };
}
verbs!([const N: usize] ArrayQueue<u8, N>);
verbs!([] Queue<u8>);

/// Each kind of queue, and its model.
fn kinds() -> Vec<(Box<dyn Verbs>, Model)> {
    let model = |kept, capacity| Model { kept, capacity, closed: false, unfinished: 0 };
    let fifo = || Kept::Fifo(VecDeque::new());
    vec![
        (Box::new(ArrayQueue::<_, 1>::new()), model(fifo(), 1)),
        (Box::new(ArrayQueue::<_, 3>::new()), model(fifo(), 3)),
        (Box::new(Queue::bounded(2)), model(fifo(), 2)),
        (Box::new(Queue::unbounded()), model(fifo(), usize::MAX)),
        (Box::new(Queue::lifo(3)), model(Kept::Lifo(vec![]), 3)),
        (Box::new(Queue::priority(3)), model(Kept::Heap(BinaryHeap::new()), 3)),
    ]
}

fn play(script: &[Op]) -> TestCaseResult {
    for (kind, (queue, mut model)) in kinds().into_iter().enumerate() {
        for (step, &op) in script.iter().enumerate() {
            prop_assert_eq!(queue.step(op), model.step(op), "kind {}, step {}, {:?}", kind, step, op);
            prop_assert_eq!(queue.state(), (model.len(), model.unfinished, model.closed));
        }
    }
    Ok(())
}

/// An operation of a thread: when it began and ended, and what it returned.
#[derive(Clone, Copy, Debug)]
struct Done {
    op: Op,
    said: Said,
    began: usize,
    ended: usize,
    /// It says Full or Empty, and another operation was under way: who is in the middle of one keeps its slot.
    excused: bool,
}

/// Whether some order of the operations explains what they returned.
fn is_linear(model: &Model, left: &mut Vec<Done>) -> bool {
    if left.is_empty() {
        return true;
    }
    let first_end = left.iter().map(|done| done.ended).min().unwrap_or(0);
    for at in 0..left.len() {
        let done = left[at];
        if done.began > first_end {
            continue;
        }
        left.swap_remove(at);
        let mut next = model.clone();
        let fits = next.step(done.op) == done.said;
        if (fits && is_linear(&next, left)) || (done.excused && is_linear(model, left)) {
            return true;
        }
        left.push(done);
        let last = left.len() - 1;
        left.swap(at, last);
    }
    false
}

fn race(scripts: &[Vec<Op>; 3]) -> TestCaseResult {
    for (kind, (queue, model)) in kinds().into_iter().enumerate() {
        let (clock, start) = (AtomicUsize::new(0), Barrier::new(3));
        let mut history = thread::scope(|s| {
            let threads = scripts.each_ref().map(|script| {
                let (queue, clock, start) = (&queue, &clock, &start);
                s.spawn(move || {
                    start.wait();
                    let step = |&op| {
                        let began = clock.fetch_add(1, SeqCst);
                        let said = queue.step(op);
                        Done { op, said, began, ended: clock.fetch_add(1, SeqCst), excused: false }
                    };
                    script.iter().map(step).collect::<Vec<_>>()
                })
            });
            threads.map(|thread| thread.join().unwrap()).concat()
        });
        for at in 0..history.len() {
            let Done { said, began, ended, .. } = history[at];
            let overlaps = |(i, other): (usize, &Done)| i != at && other.began < ended && began < other.ended;
            history[at].excused = matches!(said, Said::Full | Said::Empty) && history.iter().enumerate().any(overlaps);
        }
        let shown = format!("kind {kind}: {history:#?}");
        prop_assert!(is_linear(&model, &mut history), "{}", shown);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(512, regressions!("queue")))]

    #[test]
    fn a_queue_is_as_its_model(script in vec(op(), 0..60)) {
        play(&script)?;
    }
}

/// Histories without `close_now`, which is not one step.
fn racing_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..8_u8).prop_map(Op::Put),
        5 => Just(Op::Get),
        1 => Just(Op::Done),
        1 => Just(Op::Close),
    ]
}

proptest! {
    #![proptest_config(config(128, regressions!("queue_race")))]

    #[test]
    fn some_order_explains_what_three_threads_see(
        scripts in [vec(racing_op(), 1..6), vec(racing_op(), 1..6), vec(racing_op(), 1..6)]
    ) {
        race(&scripts)?;
    }
}
