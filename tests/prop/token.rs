//! `CancelToken`: trees of `SharedToken`s.
use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::task::{CancelToken, CancelWait, SharedToken};

use crate::{
    config,
    hand::{Crew, Log, Which, which},
    regressions,
};

#[derive(Clone, Debug)]
enum Op {
    Child(usize),
    Drop(usize),
    Cancel(usize),
    /// A wait on a token, begun.
    Wait(usize),
    Poll(usize, Which),
    Abandon(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..64usize).prop_map(Op::Child),
        2 => (0..64usize).prop_map(Op::Drop),
        1 => (0..64usize).prop_map(Op::Cancel),
        5 => (0..64usize).prop_map(Op::Wait),
        3 => (0..64usize, which()).prop_map(|(nth, which)| Op::Poll(nth, which)),
        2 => (0..64usize).prop_map(Op::Abandon),
    ]
}

/// A token as it should be: its parent, and whether it was cancelled. A dropped parent passes requests on all the same, for
/// its children keep it.
struct Model {
    parent: Option<usize>,
    cancelled: bool,
}

fn is_below(all: &[Model], mut token: usize, ancestor: usize) -> bool {
    while token != ancestor {
        match all[token].parent {
            Some(parent) => token = parent,
            None => return false,
        }
    }
    true
}

fn play(script: &[Op]) -> TestCaseResult {
    let mut tokens = vec![Some(SharedToken::new())];
    let mut model = vec![Model { parent: None, cancelled: false }];
    let mut crew: Crew<CancelWait<SharedToken>> = Crew::new(&Log::default());
    // Of each waiter: its token, and whether it is to be ready.
    let mut waits: Vec<(usize, bool)> = Vec::new();
    for (step, op) in script.iter().enumerate() {
        let pick = |nth: usize| {
            let alive: Vec<_> = (0..tokens.len()).filter(|&n| tokens[n].is_some()).collect();
            alive.get(nth % alive.len().max(1)).copied()
        };
        match *op {
            Op::Child(nth) => {
                if let Some(at) = pick(nth) {
                    let child = tokens[at].as_ref().map(SharedToken::child);
                    tokens.push(child);
                    let cancelled = model[at].cancelled;
                    model.push(Model { parent: Some(at), cancelled });
                }
            }
            Op::Drop(nth) => {
                if let Some(at) = pick(nth).filter(|&at| at != 0) {
                    tokens[at] = None;
                }
            }
            Op::Cancel(nth) => {
                if let Some(at) = pick(nth) {
                    tokens[at].as_ref().unwrap().cancel();
                    let below: Vec<_> = (0..model.len()).filter(|&n| is_below(&model, n, at)).collect();
                    below.into_iter().for_each(|n| model[n].cancelled = true);
                }
            }
            Op::Wait(nth) => {
                if let Some(at) = pick(nth) {
                    let who = crew.add(Box::pin(CancelToken::cancelled_with(tokens[at].clone().unwrap())));
                    assert_eq!(who, waits.len());
                    let ready = crew.poll(who, Which::A).is_some();
                    prop_assert_eq!(ready, model[at].cancelled, "step {}", step);
                    waits.push((at, ready));
                }
            }
            Op::Poll(nth, which) => {
                if let Some(who) = crew.pick(nth) {
                    let ready = crew.poll(who, which).is_some();
                    prop_assert_eq!(ready, model[waits[who].0].cancelled, "step {}", step);
                }
            }
            Op::Abandon(nth) => {
                if let Some(who) = crew.pick(nth) {
                    crew.cancel(who);
                }
            }
        }
        for (token, model) in tokens.iter().zip(&model) {
            if let Some(token) = token {
                prop_assert_eq!(token.is_cancelled(), model.cancelled, "step {}", step);
            }
        }
        crew.seen();
    }
    tokens[0].as_ref().unwrap().cancel();
    crew.finish();
    Ok(())
}

proptest! {
    #![proptest_config(config(512, regressions!("token")))]

    #[test]
    fn a_tree_of_tokens_is_as_its_model(script in vec(op(), 0..60)) {
        play(&script)?;
    }
}
