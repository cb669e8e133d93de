//! Small histories: whatever two or three threads do to a queue, some order of their operations explains what these returned,
//! and what is left. The operations of one thread are in order, those of two are not: nothing here orders them.
use std::sync::Arc;

use testudo::{ArrayQueue, Queue};

use crate::{
    model::{Done, Kept, Model, Op, Verbs, explains},
    support::{Spawned, explore_within, race, spawn},
};

/// When the threads have ended.
const LATER: usize = 100;

/// The operations, each putting a number that says who it is.
fn ops(who: u8) -> [Op; 6] {
    [Op::Put(who), Op::Get, Op::GetOrLeave, Op::Close, Op::PutOrLeave(who), Op::Done]
}

/// Does what is in `script`, and says what came of it.
fn play(queue: &impl Verbs, thread: usize, script: &[Op]) -> Vec<Done> {
    let step = |(began, &op)| {
        race();
        Done { thread, op, said: queue.step(op), began, ended: LATER }
    };
    script.iter().enumerate().map(step).collect()
}

/// A thread for each script, on a queue in which there are `before` items already.
fn check<Q: Verbs + Send + 'static>(bound: usize, make: fn() -> (Q, Model), before: u8, scripts: &[Vec<Op>]) {
    let scripts = scripts.to_vec();
    explore_within(bound, move || {
        let (queue, mut model) = make();
        let queue = Arc::new(queue);
        (0..before).for_each(|n| assert_eq!(queue.step(Op::Put(n)), model.step(Op::Put(n))));
        let threads: Vec<_> = (1..scripts.len())
            .map(|thread| {
                let (queue, script) = (queue.clone(), scripts[thread].clone());
                spawn(move || play(&*queue, thread, &script))
            })
            .collect();
        let mut history = play(&*queue, 0, &scripts[0]);
        history.extend(threads.into_iter().flat_map(Spawned::join));
        // What is left, and that nothing else is.
        let rest = play(&*queue, 0, &[Op::Get, Op::Get, Op::Get, Op::Get, Op::Done, Op::Put(9), Op::Get]);
        history.extend(rest.into_iter().map(|done| Done { began: LATER + 1 + done.began, ended: 2 * LATER, ..done }));
        assert!(explains(&model, &history), "{history:#?}");
    });
}

/// Every two of four operations beside every two others.
fn check_twice_two<Q: Verbs + Send + 'static>(make: fn() -> (Q, Model)) {
    let script = |who: u8, n: usize| vec![ops(who)[n / 4], ops(who + 1)[n % 4]];
    for (a, b) in (0..16).flat_map(|a| (0..=a).map(move |b| (a, b))) {
        check(2, make, 0, &[script(10, a), script(20, b)]);
    }
}

/// Every three operations.
fn check_three<Q: Verbs + Send + 'static>(make: fn() -> (Q, Model), before: u8) {
    for (a, b, c) in (0..6).flat_map(|a| (0..=a).flat_map(move |b| (0..=b).map(move |c| (a, b, c)))) {
        check(1, make, before, &[vec![ops(10)[a]], vec![ops(20)[b]], vec![ops(30)[c]]]);
    }
}

fn one() -> (ArrayQueue<u8, 1>, Model) {
    (ArrayQueue::new(), Model::new(Kept::fifo(), 1))
}

fn two() -> (ArrayQueue<u8, 2>, Model) {
    (ArrayQueue::new(), Model::new(Kept::fifo(), 2))
}

/// Under loom the first of its rings has one slot.
fn unbounded() -> (Queue<u8>, Model) {
    (Queue::unbounded(), Model::new(Kept::fifo(), usize::MAX))
}

fn lifo() -> (Queue<u8>, Model) {
    (Queue::lifo(1), Model::new(Kept::lifo(), 1))
}

#[test]
fn some_order_explains_twice_two_on_one_slot() {
    check_twice_two(one);
}

#[test]
fn some_order_explains_twice_two_on_two_slots() {
    check_twice_two(two);
}

#[test]
fn some_order_explains_three_on_one_slot() {
    check_three(one, 0);
}

#[test]
fn some_order_explains_three_on_one_slot_that_is_full() {
    check_three(one, 1);
}

#[test]
fn some_order_explains_three_on_two_slots_with_one_item() {
    check_three(two, 1);
}

#[test]
fn some_order_explains_three_without_a_limit() {
    check_three(unbounded, 1);
}

#[test]
fn some_order_explains_three_behind_the_lock() {
    check_three(lifo, 0);
}
