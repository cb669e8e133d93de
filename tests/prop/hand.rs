//! Polling by hand, with wakers that log.
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use proptest::prelude::*;

/// One of the two wakers of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    A,
    B,
}

pub(crate) fn which() -> impl Strategy<Value = Which> {
    prop_oneof![3 => Just(Which::A), 1 => Just(Which::B)]
}

/// What a step may do besides returning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A waker of this waiter was woken.
    Woken(usize, Which),
    /// The predicate of this waiter was called.
    Asked(usize),
}

/// What happened, in its order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    pub(crate) fn push(&self, seen: Seen) {
        self.0.lock().unwrap().push(seen);
    }

    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Tag {
    seen: Seen,
    log: Log,
}

impl Wake for Tag {
    fn wake(self: Arc<Self>) {
        self.log.push(self.seen);
    }
}

/// A future and its two wakers.
struct Member<F: ?Sized> {
    number: usize,
    /// None: dropped.
    future: Option<Pin<Box<F>>>,
    tags: [Arc<Tag>; 2],
    /// Not polled since it was made or woken.
    due: bool,
}

impl<F: Future + ?Sized> Member<F> {
    fn poll(&mut self, which: Which) -> Poll<F::Output> {
        self.due = false;
        // A new waker each time: those of one tag are the same to `Waker::will_wake`.
        let waker = Waker::from(self.tags[which as usize].clone());
        self.future.as_mut().expect("not dropped").as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// It is ready or dropped: it keeps no waker.
    fn let_go(&self) {
        for tag in &self.tags {
            assert_eq!(Arc::strong_count(tag), 1, "waiter {} left its waker behind", self.number);
        }
    }
}

/// The futures that are neither ready nor dropped.
pub(crate) struct Crew<F: ?Sized> {
    log: Log,
    members: Vec<Member<F>>,
    next: usize,
}

impl<F: Future + ?Sized> Crew<F> {
    pub(crate) fn new(log: &Log) -> Self {
        Self { log: log.clone(), members: Vec::new(), next: 0 }
    }

    /// The number that the next one gets.
    pub(crate) fn next(&self) -> usize {
        self.next
    }

    /// Adds a future, which is not polled yet.
    pub(crate) fn add(&mut self, future: Pin<Box<F>>) -> usize {
        let number = self.next;
        self.next += 1;
        let tag = |which| Arc::new(Tag { seen: Seen::Woken(number, which), log: self.log.clone() });
        self.members.push(Member { number, future: Some(future), tags: [tag(Which::A), tag(Which::B)], due: true });
        number
    }

    /// Which one a script means by `nth`.
    pub(crate) fn pick(&self, nth: usize) -> Option<usize> {
        (!self.members.is_empty()).then(|| self.members[nth % self.members.len()].number)
    }

    fn at(&self, number: usize) -> usize {
        self.members.iter().position(|member| member.number == number).expect("a member")
    }

    /// Polls; who is ready is a member no longer.
    pub(crate) fn poll(&mut self, number: usize, which: Which) -> Option<F::Output> {
        let at = self.at(number);
        match self.members[at].poll(which) {
            Poll::Pending => None,
            Poll::Ready(output) => {
                self.members.remove(at).let_go();
                Some(output)
            }
        }
    }

    /// Drops one.
    pub(crate) fn cancel(&mut self, number: usize) {
        let mut member = self.members.remove(self.at(number));
        member.future = None;
        member.let_go();
    }

    /// What happened since the last call.
    pub(crate) fn seen(&mut self) -> Vec<Seen> {
        let seen = self.log.take();
        for seen in &seen {
            if let Seen::Woken(number, _) = *seen {
                self.members.iter_mut().filter(|member| member.number == number).for_each(|member| member.due = true);
            }
        }
        seen
    }

    /// Polls those that were woken, as an executor does, until there is none; drops what they return.
    pub(crate) fn run(&mut self) {
        self.seen();
        while let Some(number) = self.members.iter().find(|member| member.due).map(|member| member.number) {
            drop(self.poll(number, Which::A));
            self.seen();
        }
    }

    /// As `run`, after which nobody may be left.
    pub(crate) fn finish(mut self) {
        self.run();
        let stranded: Vec<_> = self.members.iter().map(|member| member.number).collect();
        assert!(stranded.is_empty(), "nobody wakes {stranded:?}");
    }
}
