//! `Mutex`.
use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::sync::{Lock, Mutex, MutexGuard};

use crate::{
    config,
    hand::{Crew, Log, Which, which},
    model, regressions,
};

#[derive(Clone, Debug)]
enum Op {
    /// A new wait; `begun`: it is polled once.
    Lock {
        begun: bool,
    },
    Poll(usize, Which),
    Cancel(usize),
    TryLock,
    Unlock,
    /// Takes a free lock and frees it, so many times.
    Barge(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => prop::bool::weighted(0.9).prop_map(|begun| Op::Lock { begun }),
        5 => (0..64usize, which()).prop_map(|(nth, which)| Op::Poll(nth, which)),
        2 => (0..64usize).prop_map(Op::Cancel),
        2 => Just(Op::TryLock),
        4 => Just(Op::Unlock),
        2 => (1..6usize).prop_map(Op::Barge),
    ]
}

/// A mutex, its model, and the one guard that there may be. The data counts the owners.
struct Run<'a> {
    mutex: &'a Mutex<u32>,
    model: model::lock::Lock,
    owners: u32,
    guard: Option<MutexGuard<'a, u32>>,
    crew: Crew<Lock<'a, u32>>,
}

impl<'a> Run<'a> {
    fn step(&mut self, op: &Op) -> TestCaseResult {
        let mut woken = Vec::new();
        match *op {
            Op::Lock { begun } => {
                let who = self.crew.add(Box::pin(self.mutex.lock()));
                if begun {
                    self.poll(who, Which::A)?;
                }
            }
            Op::Poll(nth, which) => {
                if let Some(who) = self.crew.pick(nth) {
                    self.poll(who, which)?;
                }
            }
            Op::Cancel(nth) => {
                if let Some(who) = self.crew.pick(nth) {
                    self.crew.cancel(who);
                    if self.model.was_handed(who) {
                        self.model.free(&mut woken);
                    } else {
                        self.model.leave_line(who, &mut woken);
                    }
                }
            }
            Op::TryLock => self.try_lock()?,
            Op::Unlock => {
                if self.guard.take().is_some() {
                    self.model.free(&mut woken);
                }
            }
            Op::Barge(times) => {
                for _ in 0..times {
                    if self.guard.is_none() {
                        self.try_lock()?;
                    }
                    if self.guard.take().is_some() {
                        self.model.free(&mut woken);
                    }
                }
            }
        }
        prop_assert_eq!(self.crew.seen(), woken);
        prop_assert_eq!(self.mutex.is_locked(), self.model.locked);
        let shown = format!("Mutex {{ locked: {}, waiters: {}, .. }}", self.model.locked, self.model.has_waiters());
        prop_assert_eq!(format!("{:?}", self.mutex), shown);
        Ok(())
    }

    fn poll(&mut self, who: usize, which: Which) -> TestCaseResult {
        let guard = self.crew.poll(who, which);
        prop_assert_eq!(guard.is_some(), self.model.poll(who, which));
        self.own(guard)
    }

    fn try_lock(&mut self) -> TestCaseResult {
        let guard = self.mutex.try_lock();
        prop_assert_eq!(guard.is_some(), self.model.take());
        self.own(guard)
    }

    fn own(&mut self, guard: Option<MutexGuard<'a, u32>>) -> TestCaseResult {
        if let Some(mut guard) = guard {
            prop_assert_eq!(*guard, self.owners);
            self.owners += 1;
            *guard = self.owners;
            prop_assert!(self.guard.replace(guard).is_none(), "two owners");
        }
        Ok(())
    }
}

fn play(script: &[Op]) -> TestCaseResult {
    let mutex = Mutex::new(0);
    let crew = Crew::new(&Log::default());
    let mut run = Run { mutex: &mutex, model: model::lock::Lock::default(), owners: 0, guard: None, crew };
    for (step, op) in script.iter().enumerate() {
        run.step(op).map_err(|error| TestCaseError::fail(format!("step {step}, {op:?}: {error}")))?;
    }
    drop(run.guard);
    run.crew.finish();
    prop_assert!(!mutex.is_locked());
    Ok(())
}

proptest! {
    #![proptest_config(config(1024, regressions!("mutex")))]

    #[test]
    fn a_mutex_is_as_its_model(script in vec(op(), 0..80)) {
        play(&script)?;
    }
}
