//! Permits and items: a handler that adds or takes one, after every instruction of an operation on a line of three.
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use testudo::{ArrayQueue, Queue, Semaphore};

use super::{FLAGS, Op, at_every_instruction, interrupted};

static PERMITS: Semaphore = Semaphore::new(0);
static SLOTS: ArrayQueue<usize, 2> = ArrayQueue::new();
static BUFFER: LazyLock<Queue<usize>> = LazyLock::new(|| Queue::bounded(2));

/// How often the handler put an item, and how often it got one.
static PUT: AtomicUsize = AtomicUsize::new(0);
static GOT: AtomicUsize = AtomicUsize::new(0);

pub(super) fn add_permit() {
    PERMITS.add_permits(1);
}

pub(super) fn borrow_permit() {
    drop(PERMITS.try_acquire());
}

/// What a line did.
struct Outcome {
    /// How many instructions the operation had, or after which one the handler acted.
    seen: usize,
    /// How many there were, how many of them got what they wait for, and how many wait still.
    alive: usize,
    done: usize,
    left: usize,
}

/// A line of waiters made by `make`; `before`, then `op`, or `signal` for it, and in its midst the handler; then whoever was
/// woken is polled until there is none. `take` gets what they get.
fn line_case<F: Future>(
    (at, action, op): (usize, usize, Op),
    make: impl Fn(usize) -> F,
    before: impl FnOnce(),
    signal: impl FnOnce(),
    mut take: impl FnMut(F::Output),
) -> Outcome {
    let mut line: [Pin<&mut Option<F>>; 3] = [pin!(None), pin!(None), pin!(None)];
    for nth in 0..op.in_line() {
        line[nth].set(Some(make(nth)));
        assert!(FLAGS[nth].poll(line[nth].as_mut().as_pin_mut().unwrap()).is_none());
    }
    before();
    PUT.store(0, SeqCst);
    GOT.store(0, SeqCst);
    let mut done = 0;
    let seen = match op {
        Op::Begin(nth) | Op::Again(nth, _) => {
            if line[nth].is_none() {
                line[nth].set(Some(make(nth)));
            }
            let (wait, flag) = (line[nth].as_mut().as_pin_mut().unwrap(), op.flags()[nth]);
            let mut output = None;
            let seen = interrupted(at, action, || output = flag.poll(wait));
            if let Some(output) = output {
                line[nth].set(None);
                take(output);
                done += 1;
            }
            seen
        }
        Op::Cancel(nth) => interrupted(at, action, || line[nth].set(None)),
        Op::Signal => interrupted(at, action, signal),
    };
    let alive = done + line.iter().filter(|wait| wait.is_some()).count();
    let mut polls = 0;
    while let Some(nth) = (0..3).find(|&nth| line[nth].is_some() && op.flags()[nth].is_woken()) {
        if let Some(output) = op.flags()[nth].poll(line[nth].as_mut().as_pin_mut().unwrap()) {
            line[nth].set(None);
            take(output);
            done += 1;
        }
        polls += 1;
        assert!(polls < 10, "{op:?}, {at}: woken for nothing");
    }
    line.into_iter().for_each(|mut wait| wait.set(None));
    Outcome { seen, alive, done, left: alive - done }
}

/// Nobody waits while there is a permit, and none is lost or doubled.
fn added_permits(at: usize, op: Op) -> usize {
    let case = (at, super::ADD_PERMIT, op);
    let outcome = line_case(case, |_| PERMITS.acquire(), || (), || PERMITS.add_permits(1), |permit| permit.forget());
    let added = usize::from(outcome.seen == at) + usize::from(op == Op::Signal);
    assert_eq!(outcome.done, added.min(outcome.alive), "{op:?}, {at}");
    assert_eq!(PERMITS.forget_permits(usize::MAX), added - outcome.done, "{op:?}, {at}");
    outcome.seen
}

/// One permit is free, or the operation frees it: everybody has it in turn.
fn borrowed_permits(at: usize, op: Op) -> usize {
    let free = || {
        if op != Op::Signal {
            PERMITS.add_permits(1);
        }
    };
    let case = (at, super::BORROW_PERMIT, op);
    let outcome = line_case(case, |_| PERMITS.acquire(), free, || PERMITS.add_permits(1), drop);
    assert_eq!(outcome.left, 0, "{op:?}, {at}");
    assert_eq!(PERMITS.forget_permits(usize::MAX), 1, "{op:?}, {at}");
    outcome.seen
}

macro_rules! queue {
    ($name:ident, $queue:ident) => {
        pub(super) mod $name {
            use super::*;

            pub(in crate::step) fn put() {
                PUT.fetch_add(usize::from($queue.try_put(90).is_ok()), SeqCst);
            }

            pub(in crate::step) fn get() {
                GOT.fetch_add(usize::from($queue.try_get().is_ok()), SeqCst);
            }

            /// Empties the queue. Says how many there were.
            fn drain() -> usize {
                std::iter::from_fn(|| $queue.try_get().ok()).count()
            }

            /// Getters, and an item for the first of them or the operation puts one. The handler puts or gets.
            pub(super) fn getters(at: usize, action: usize, op: Op) -> usize {
                let put = || $queue.try_put(1).unwrap();
                let before = || {
                    if op != Op::Signal {
                        put()
                    }
                };
                let mut items = Vec::with_capacity(3);
                let outcome =
                    line_case((at, action, op), |_| $queue.get(), before, put, |item| items.push(item.unwrap()));
                let (put, got) = (1 + PUT.load(SeqCst), GOT.load(SeqCst));
                assert!(put - 1 + got <= usize::from(outcome.seen == at), "{op:?}, {at}");
                assert_eq!(outcome.done, (put - got).min(outcome.alive), "{op:?}, {at}: {items:?}");
                items.sort_unstable();
                assert!(items.is_sorted_by(|one, next| one < next), "{op:?}, {at}: {items:?} come twice");
                assert_eq!(drain(), put - got - outcome.done, "{op:?}, {at}");
                outcome.seen
            }

            /// Putters, and room for the first of them or the operation makes some. The handler puts or gets.
            pub(super) fn putters(at: usize, action: usize, op: Op) -> usize {
                assert!($queue.try_put(1).is_ok() && $queue.try_put(2).is_ok());
                let get = || assert!($queue.try_get().is_ok());
                let before = || {
                    if op != Op::Signal {
                        get()
                    }
                };
                let make = |nth| $queue.put(10 + nth);
                let outcome = line_case((at, action, op), make, before, get, |done| done.unwrap());
                let (put, got) = (PUT.load(SeqCst), GOT.load(SeqCst));
                let room = 1 + got - put;
                assert_eq!(outcome.done, room.min(outcome.alive), "{op:?}, {at}");
                assert_eq!(drain(), 2 - room + outcome.done, "{op:?}, {at}");
                outcome.seen
            }
        }
    };
}

queue!(array, SLOTS);
queue!(heap, BUFFER);

/// All cases of an operation.
pub(super) fn cases(op: Op) {
    at_every_instruction(&format!("Semaphore, {op:?}, added"), |at| added_permits(at, op));
    at_every_instruction(&format!("Semaphore, {op:?}, borrowed"), |at| borrowed_permits(at, op));
    for (action, name) in [(0, "put"), (1, "get")] {
        let (slots, buffer) = (super::SLOTS_PUT + action, super::BUFFER_PUT + action);
        at_every_instruction(&format!("ArrayQueue, {op:?}, getters, {name}"), |at| array::getters(at, slots, op));
        at_every_instruction(&format!("ArrayQueue, {op:?}, putters, {name}"), |at| array::putters(at, slots, op));
        at_every_instruction(&format!("Queue, {op:?}, getters, {name}"), |at| heap::getters(at, buffer, op));
        at_every_instruction(&format!("Queue, {op:?}, putters, {name}"), |at| heap::putters(at, buffer, op));
    }
}
