//! `Barrier`.
use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::sync::{Barrier, BarrierTurn, BarrierWait};

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
    Abort,
    Reset,
}

fn op() -> impl Strategy<Value = Op> {
    // A round is released in batches of 32.
    let count = prop_oneof![20 => 1..4usize, 1 => 30..70usize];
    prop_oneof![
        6 => (count, prop::bool::weighted(0.9)).prop_map(|(count, begun)| Op::Wait { count, begun }),
        6 => (0..64usize, which()).prop_map(|(nth, which)| Op::Poll(nth, which)),
        3 => (0..64usize).prop_map(Op::Cancel),
        1 => Just(Op::Abort),
        2 => Just(Op::Reset),
    ]
}

fn play(parties: usize, script: &[Op]) -> TestCaseResult {
    let barrier = Barrier::new(parties);
    let mut model = model::barrier::Barrier::new(parties);
    let mut crew: Crew<BarrierWait<&Barrier>> = Crew::new(&Log::default());
    for (step, op) in script.iter().enumerate() {
        let mut woken = Vec::new();
        let mut poll = |crew: &mut Crew<BarrierWait<_>>, who, which| {
            let turn: Option<Result<BarrierTurn, _>> = crew.poll(who, which);
            let expected = model.poll(who, which, &mut woken);
            prop_assert_eq!(turn.map(|turn| turn.ok().map(|turn| turn.index)), expected, "step {}", step);
            if let Some(Ok(turn)) = turn {
                prop_assert_eq!(turn.is_leader(), turn.index == parties - 1);
            }
            Ok(())
        };
        match *op {
            Op::Wait { count, begun } => {
                for _ in 0..count {
                    let who = crew.add(Box::pin(barrier.wait()));
                    if begun {
                        poll(&mut crew, who, Which::A)?;
                    }
                }
            }
            Op::Poll(nth, which) => {
                if let Some(who) = crew.pick(nth) {
                    poll(&mut crew, who, which)?;
                }
            }
            Op::Cancel(nth) => {
                if let Some(who) = crew.pick(nth) {
                    crew.cancel(who);
                    model.cancel(who);
                }
            }
            Op::Abort => {
                barrier.abort();
                model.end(true, &mut woken);
            }
            Op::Reset => {
                barrier.reset();
                model.end(false, &mut woken);
            }
        }
        prop_assert_eq!(crew.seen(), woken, "step {}", step);
        prop_assert_eq!(barrier.waiting(), model.waiting(), "step {}", step);
        prop_assert_eq!(barrier.is_broken(), model.broken, "step {}", step);
    }
    barrier.abort();
    crew.finish();
    Ok(())
}

proptest! {
    #![proptest_config(config(1024, regressions!("barrier")))]

    #[test]
    fn a_barrier_is_as_its_model(
        parties in prop_oneof![8 => 1..6usize, 1 => 30..70usize],
        script in vec(op(), 0..80),
    ) {
        play(parties, &script)?;
    }
}
