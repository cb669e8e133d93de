//! `Event`.
use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::sync::{Event, EventWait};

use crate::{
    config,
    hand::{Crew, Log, Which, which},
    model, regressions,
};

#[derive(Clone, Debug)]
enum Op {
    /// New waits; `begun`: each is polled once.
    Wait {
        count: usize,
        begun: bool,
    },
    Poll(usize, Which),
    Cancel(usize),
    Set,
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    // A broadcast is done in batches of 32.
    let count = prop_oneof![20 => 1..4usize, 1 => 30..70usize];
    prop_oneof![
        4 => (count, prop::bool::weighted(0.9)).prop_map(|(count, begun)| Op::Wait { count, begun }),
        6 => (0..64usize, which()).prop_map(|(nth, which)| Op::Poll(nth, which)),
        3 => (0..64usize).prop_map(Op::Cancel),
        1 => Just(Op::Set),
        2 => Just(Op::Clear),
    ]
}

fn play(script: &[Op]) -> TestCaseResult {
    let event = Event::new();
    let mut model = model::event::Event::default();
    let mut crew: Crew<EventWait<&Event>> = Crew::new(&Log::default());
    for (step, op) in script.iter().enumerate() {
        let mut woken = Vec::new();
        match *op {
            Op::Wait { count, begun } => {
                for _ in 0..count {
                    let who = crew.add(Box::pin(event.wait()));
                    if begun {
                        prop_assert_eq!(crew.poll(who, Which::A).is_some(), model.poll(who, Which::A), "step {}", step);
                    }
                }
            }
            Op::Poll(nth, which) => {
                if let Some(who) = crew.pick(nth) {
                    prop_assert_eq!(crew.poll(who, which).is_some(), model.poll(who, which), "step {}", step);
                }
            }
            Op::Cancel(nth) => {
                if let Some(who) = crew.pick(nth) {
                    crew.cancel(who);
                    model.cancel(who);
                }
            }
            Op::Set => {
                event.set();
                woken = model.set();
            }
            Op::Clear => {
                event.clear();
                model.clear();
            }
        }
        prop_assert_eq!(crew.seen(), woken, "step {}", step);
        let shown = format!("Event {{ set: {}, waiters: {} }}", model.set, model.has_waiters());
        prop_assert_eq!(event.is_set(), model.set, "step {}", step);
        prop_assert_eq!(format!("{event:?}"), shown, "step {}", step);
    }
    event.set();
    crew.finish();
    Ok(())
}

proptest! {
    #![proptest_config(config(512, regressions!("event")))]

    #[test]
    fn an_event_is_as_its_model(script in vec(op(), 0..80)) {
        play(&script)?;
    }
}
