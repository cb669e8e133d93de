//! `Condition`.
use std::{future::Future, pin::Pin};

use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::{Condition, ConditionGuard};

use crate::{
    config,
    hand::{Crew, Log, Seen, Which, which},
    model::{
        self,
        condition::{Needs, Told},
    },
    regressions,
};

#[derive(Clone, Debug)]
enum Op {
    /// `lock`, or `wait_until` for a level; `begun`: it is polled once.
    Come {
        level: Option<u32>,
        begun: bool,
    },
    /// `wait`, or `wait_for` a level, if the lock is there to be had.
    Wait {
        level: Option<u32>,
        begun: bool,
    },
    Poll(usize, Which),
    Cancel(usize),
    TryLock,
    Unlock,
    /// The rest: if the lock is there to be had, which is kept.
    Write(u32),
    Notify(usize),
    NotifyAll,
}

/// The levels that are waited for, and that the data has.
const LEVELS: std::ops::Range<u32> = 0..4;

fn op() -> impl Strategy<Value = Op> {
    let begun = || prop::bool::weighted(0.9);
    prop_oneof![
        2 => (prop::option::of(LEVELS), begun()).prop_map(|(level, begun)| Op::Come { level, begun }),
        6 => (prop::option::weighted(0.7, LEVELS), begun()).prop_map(|(level, begun)| Op::Wait { level, begun }),
        6 => (0..64usize, which()).prop_map(|(nth, which)| Op::Poll(nth, which)),
        4 => (0..64usize).prop_map(Op::Cancel),
        1 => Just(Op::TryLock),
        5 => Just(Op::Unlock),
        3 => LEVELS.prop_map(Op::Write),
        4 => (0..4usize).prop_map(Op::Notify),
        1 => Just(Op::NotifyAll),
    ]
}

type Guard<'a> = ConditionGuard<'a, u32>;

/// A condition, its model, and the one guard that there may be.
struct Run<'a> {
    condition: &'a Condition<u32>,
    model: model::condition::Condition,
    guard: Option<Guard<'a>>,
    crew: Crew<dyn Future<Output = Guard<'a>> + 'a>,
    log: Log,
}

impl<'a> Run<'a> {
    fn step(&mut self, op: &Op) -> TestCaseResult {
        let mut seen = Vec::new();
        match *op {
            Op::Come { level, begun } => {
                let future: Pin<Box<dyn Future<Output = _>>> = match level {
                    None => Box::pin(self.condition.lock()),
                    Some(level) => Box::pin(self.condition.wait_until(self.predicate(level))),
                };
                self.add(future, level.map_or(Needs::Nothing, Needs::AtLeast), false, begun, &mut seen)?;
            }
            Op::Wait { level, begun } => {
                if let Some(guard) = self.take()? {
                    let future: Pin<Box<dyn Future<Output = _>>> = match level {
                        None => Box::pin(self.condition.wait(guard)),
                        Some(level) => Box::pin(self.condition.wait_for(guard, self.predicate(level))),
                    };
                    self.add(future, level.map_or(Needs::Notification, Needs::AtLeast), true, begun, &mut seen)?;
                }
            }
            Op::Poll(nth, which) => {
                if let Some(who) = self.crew.pick(nth) {
                    self.poll(who, which, &mut seen)?;
                }
            }
            Op::Cancel(nth) => {
                if let Some(who) = self.crew.pick(nth) {
                    self.crew.cancel(who);
                    self.model.cancel(who, &mut seen);
                }
            }
            Op::TryLock => self.guard = self.take()?,
            Op::Unlock => {
                if self.guard.take().is_some() {
                    self.model.unlock(&mut seen);
                }
            }
            Op::Write(level) => self.with_guard(|guard, _, model| {
                **guard = level;
                model.data = level;
            })?,
            Op::Notify(n) => self.with_guard(|guard, condition, model| {
                condition.notify(guard, n);
                model.notify(n, Told::One, &mut seen);
            })?,
            Op::NotifyAll => self.with_guard(|guard, condition, model| {
                condition.notify_all(guard);
                model.notify(usize::MAX, Told::All, &mut seen);
            })?,
        }
        prop_assert_eq!(self.crew.seen(), seen);
        let (locked, waiters) = (self.model.lock.locked, self.model.has_waiters());
        prop_assert_eq!(self.condition.is_locked(), locked);
        let shown = format!("Condition {{ locked: {locked}, waiters: {waiters}, .. }}");
        prop_assert_eq!(format!("{:?}", self.condition), shown);
        Ok(())
    }

    /// The predicate of the next one to come.
    fn predicate(&self, level: u32) -> impl FnMut(&u32) -> bool + Send + use<> {
        let (who, log) = (self.crew.next(), self.log.clone());
        move |data| {
            log.push(Seen::Asked(who));
            *data >= level
        }
    }

    fn add(
        &mut self,
        future: Pin<Box<dyn Future<Output = Guard<'a>> + 'a>>,
        needs: Needs,
        holding: bool,
        begun: bool,
        seen: &mut Vec<Seen>,
    ) -> TestCaseResult {
        let who = self.crew.add(future);
        self.model.add(who, needs, holding);
        if begun { self.poll(who, Which::A, seen) } else { Ok(()) }
    }

    fn poll(&mut self, who: usize, which: Which, seen: &mut Vec<Seen>) -> TestCaseResult {
        let guard = self.crew.poll(who, which);
        prop_assert_eq!(guard.is_some(), self.model.poll(who, which, seen));
        if let Some(guard) = guard {
            prop_assert_eq!(*guard, self.model.data);
            prop_assert!(self.guard.replace(guard).is_none(), "two owners");
        }
        Ok(())
    }

    /// The guard that there is, or one of `try_lock`.
    fn take(&mut self) -> Result<Option<Guard<'a>>, TestCaseError> {
        if self.guard.is_some() {
            prop_assert!(self.condition.try_lock().is_none());
            return Ok(self.guard.take());
        }
        let guard = self.condition.try_lock();
        prop_assert_eq!(guard.is_some(), self.model.lock.take());
        Ok(guard)
    }

    fn with_guard(
        &mut self,
        f: impl FnOnce(&mut Guard<'a>, &Condition<u32>, &mut model::condition::Condition),
    ) -> TestCaseResult {
        self.guard = self.take()?;
        if let Some(guard) = &mut self.guard {
            f(guard, self.condition, &mut self.model);
        }
        Ok(())
    }
}

fn play(script: &[Op]) -> TestCaseResult {
    let condition = Condition::new(0);
    let log = Log::default();
    let model = model::condition::Condition::default();
    let mut run = Run { condition: &condition, model, guard: None, crew: Crew::new(&log), log };
    for (step, op) in script.iter().enumerate() {
        run.step(op).map_err(|error| TestCaseError::fail(format!("step {step}, {op:?}: {error}")))?;
    }
    // Once everybody who was woken is done the lock is free, and whoever waits for a notification can go on.
    drop(run.guard);
    run.crew.run();
    let mut guard = condition.try_lock().expect("nobody has the lock");
    *guard = LEVELS.end;
    condition.notify_all(&guard);
    drop(guard);
    run.crew.finish();
    Ok(())
}

proptest! {
    #![proptest_config(config(1024, regressions!("condition")))]

    #[test]
    fn a_condition_is_as_its_model(script in vec(op(), 0..80)) {
        play(&script)?;
    }
}
