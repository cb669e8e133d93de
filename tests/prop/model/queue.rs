//! A queue, and what explains a history of one.
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use testudo::{ArrayQueue, Closed, Queue, TryGetError, TryPutError};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Put(u8),
    Get,
    /// Waits, and gives up after the first poll.
    PutOrLeave(u8),
    GetOrLeave,
    Done,
    Close,
    CloseNow,
}

impl Op {
    fn puts(self) -> bool {
        matches!(self, Self::Put(_) | Self::PutOrLeave(_))
    }
}

/// What an operation returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Put(bool),
    Full,
    Got(u8),
    Empty,
    Closed,
    Count(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum Kept {
    Fifo(VecDeque<u8>),
    Lifo(Vec<u8>),
    Heap(BinaryHeap<Reverse<u8>>),
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    kept: Kept,
    capacity: usize,
    pub(crate) closed: bool,
    pub(crate) unfinished: usize,
    /// How many of the next puts were worked off already.
    early: usize,
}

impl Kept {
    pub(crate) fn fifo() -> Self {
        Self::Fifo(VecDeque::new())
    }

    pub(crate) fn lifo() -> Self {
        Self::Lifo(vec![])
    }

    pub(crate) fn heap() -> Self {
        Self::Heap(BinaryHeap::new())
    }
}

impl Model {
    pub(crate) fn new(kept: Kept, capacity: usize) -> Self {
        Self { kept, capacity, closed: false, unfinished: 0, early: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.kept {
            Kept::Fifo(kept) => kept.len(),
            Kept::Lifo(kept) => kept.len(),
            Kept::Heap(kept) => kept.len(),
        }
    }

    /// A put that was let in before it was closed; or an item is worked off that is put later. False: it was not.
    fn step_late(&mut self, op: Op) -> bool {
        if !op.puts() {
            self.early += 1;
            return true;
        }
        let closed = std::mem::take(&mut self.closed);
        let put = self.step(op) == Said::Put(true);
        self.closed = closed;
        put
    }

    pub(crate) fn step(&mut self, op: Op) -> Said {
        match op {
            Op::Put(_) | Op::PutOrLeave(_) if self.closed => Said::Closed,
            Op::Put(_) | Op::PutOrLeave(_) if self.len() == self.capacity => Said::Full,
            Op::Put(item) | Op::PutOrLeave(item) => {
                match &mut self.kept {
                    Kept::Fifo(kept) => kept.push_back(item),
                    Kept::Lifo(kept) => kept.push(item),
                    Kept::Heap(kept) => kept.push(Reverse(item)),
                }
                match self.early.checked_sub(1) {
                    Some(early) => self.early = early,
                    None => self.unfinished += 1,
                }
                Said::Put(true)
            }
            Op::Get | Op::GetOrLeave => {
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
pub(crate) trait Verbs: Sync {
    fn step(&self, op: Op) -> Said;
    fn state(&self) -> (usize, usize, bool);
}

fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
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
                    Op::PutOrLeave(item) => match poll_once(self.put(item)) {
                        Some(Ok(())) => Said::Put(true),
                        Some(Err(Closed(back))) if back == item => Said::Closed,
                        Some(Err(_)) => unreachable!("another item comes back"),
                        None => Said::Full,
                    },
                    Op::GetOrLeave => match poll_once(self.get()) {
                        Some(Ok(item)) => Said::Got(item),
                        Some(Err(Closed(()))) => Said::Closed,
                        None => Said::Empty,
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

/// An operation: whose it is, when it began and ended, and what it returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) thread: usize,
    pub(crate) op: Op,
    pub(crate) said: Said,
    pub(crate) began: usize,
    pub(crate) ended: usize,
}

impl Done {
    fn precedes(&self, other: &Self) -> bool {
        self.ended < other.began || self.thread == other.thread && self.began < other.began
    }

    /// It says Full or Empty, and another operation was under way: who is in the middle of one keeps its slot. Or, if a put goes
    /// `by_steps`, it was let in before a close, or called worked off, and came to lie among the others only later.
    fn is_excused(&self, history: &[Self], by_steps: bool) -> bool {
        let overlaps = |other: &&Self| other.thread != self.thread && !other.precedes(self) && !self.precedes(other);
        let mut others = history.iter().filter(overlaps);
        match (self.op, self.said) {
            (_, Said::Full | Said::Empty) => others.next().is_some(),
            (Op::Done, Said::Put(true)) => {
                by_steps && others.any(|other| other.op.puts() && other.said == Said::Put(true))
            }
            (op, Said::Put(true)) if op.puts() => by_steps && others.any(|other| matches!(other.op, Op::Close)),
            _ => false,
        }
    }
}

/// Whether some order of what the threads did explains what they saw.
pub(crate) fn explains(model: &Model, history: &[Done]) -> bool {
    let by_steps = !matches!(model.kept, Kept::Fifo(_));
    let mut left: Vec<_> = history.iter().map(|done| (*done, done.is_excused(history, by_steps))).collect();
    is_linear(model, &mut left)
}

fn is_linear(model: &Model, left: &mut Vec<(Done, bool)>) -> bool {
    if left.is_empty() {
        return model.early == 0;
    }
    for at in 0..left.len() {
        let (done, excused) = left[at];
        if left.iter().any(|(other, _)| other.precedes(&done)) {
            continue;
        }
        left.swap_remove(at);
        let mut next = model.clone();
        let fits = next.step(done.op) == done.said;
        if fits && is_linear(&next, left) {
            return true;
        }
        if excused {
            let mut next = model.clone();
            let fits = matches!(done.said, Said::Full | Said::Empty) || next.step_late(done.op);
            if fits && is_linear(&next, left) {
                return true;
            }
        }
        left.push((done, excused));
        let last = left.len() - 1;
        left.swap(at, last);
    }
    false
}
