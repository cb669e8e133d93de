//! `Queue` and `ArrayQueue`: one thread against a sequential model, and small histories of three threads, for each of which
//! some order of their operations has to explain what they returned.
use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::{ArrayQueue, Queue};

use crate::{
    config,
    model::queue::{Done, Kept, Model, Op, Verbs, explains},
    regressions,
};

mod waiters;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..8_u8).prop_map(Op::Put),
        10 => Just(Op::Get),
        4 => (0..8_u8).prop_map(Op::PutOrLeave),
        4 => Just(Op::GetOrLeave),
        6 => Just(Op::Done),
        1 => Just(Op::Close),
        1 => Just(Op::CloseNow),
    ]
}

/// Each kind of queue, and its model.
fn kinds() -> Vec<(Box<dyn Verbs>, Model)> {
    vec![
        (Box::new(ArrayQueue::<_, 1>::new()), Model::new(Kept::fifo(), 1)),
        (Box::new(ArrayQueue::<_, 3>::new()), Model::new(Kept::fifo(), 3)),
        (Box::new(Queue::bounded(2)), Model::new(Kept::fifo(), 2)),
        (Box::new(Queue::unbounded()), Model::new(Kept::fifo(), usize::MAX)),
        (Box::new(Queue::lifo(3)), Model::new(Kept::lifo(), 3)),
        (Box::new(Queue::priority(3)), Model::new(Kept::heap(), 3)),
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

fn race(scripts: &[Vec<Op>; 3]) -> TestCaseResult {
    for (kind, (queue, model)) in kinds().into_iter().enumerate() {
        let (clock, start) = (AtomicUsize::new(0), Barrier::new(3));
        let history = thread::scope(|s| {
            let threads = [0, 1, 2].map(|thread| {
                let (queue, clock, start, script) = (&queue, &clock, &start, &scripts[thread]);
                s.spawn(move || {
                    start.wait();
                    let step = |&op| {
                        let began = clock.fetch_add(1, SeqCst);
                        let said = queue.step(op);
                        Done { thread, op, said, began, ended: clock.fetch_add(1, SeqCst) }
                    };
                    script.iter().map(step).collect::<Vec<_>>()
                })
            });
            threads.map(|thread| thread.join().unwrap()).concat()
        });
        prop_assert!(explains(&model, &history), "kind {}: {:#?}", kind, history);
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
        3 => (0..8_u8).prop_map(Op::PutOrLeave),
        3 => Just(Op::GetOrLeave),
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
