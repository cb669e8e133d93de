//! `Semaphore`.
use std::collections::HashMap;

use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::{Permit, Semaphore, sync::AcquireChecked};

use crate::{
    config,
    hand::{Crew, Log, Which, which},
    model, regressions,
};

#[derive(Clone, Debug)]
enum Op {
    /// A new wait; `begun`: it is polled once.
    Acquire {
        n: usize,
        begun: bool,
    },
    Poll(usize, Which),
    Cancel(usize),
    TryAcquire(usize),
    /// Drops a permit, or half of one.
    Release(usize, bool),
    /// Takes a permit and gives it back, so many times.
    Barge(usize),
    Merge,
    Add(usize),
    Forget(usize),
    ForgetPermit(usize),
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        120 => (prop_oneof![6 => Just(1), 3 => 2..4usize, 1 => 0..9usize], prop::bool::weighted(0.9))
            .prop_map(|(n, begun)| Op::Acquire { n, begun }),
        150 => (0..64usize, which()).prop_map(|(nth, which)| Op::Poll(nth, which)),
        50 => (0..64usize).prop_map(Op::Cancel),
        30 => (0..4usize).prop_map(Op::TryAcquire),
        80 => (0..64usize, any::<bool>()).prop_map(|(nth, half)| Op::Release(nth, half)),
        30 => (1..6usize).prop_map(Op::Barge),
        10 => Just(Op::Merge),
        60 => (0..6usize).prop_map(Op::Add),
        10 => (0..4usize).prop_map(Op::Forget),
        10 => (0..64usize).prop_map(Op::ForgetPermit),
        2 => Just(Op::Close),
    ]
}

/// A semaphore, its model, and the permits that are out.
struct Run<'a> {
    semaphore: &'a Semaphore,
    model: model::semaphore::Semaphore,
    permits: Vec<Permit<&'a Semaphore>>,
    crew: Crew<AcquireChecked<&'a Semaphore>>,
    needs: HashMap<usize, usize>,
}

impl Run<'_> {
    fn step(&mut self, op: &Op) -> TestCaseResult {
        let mut woken = Vec::new();
        match *op {
            Op::Acquire { n, begun } => {
                let who = self.crew.add(Box::pin(self.semaphore.acquire_checked(n)));
                self.needs.insert(who, n);
                if begun {
                    self.poll(who, Which::A, &mut woken)?;
                }
            }
            Op::Poll(nth, which) => {
                if let Some(who) = self.crew.pick(nth) {
                    self.poll(who, which, &mut woken)?;
                }
            }
            Op::Cancel(nth) => {
                if let Some(who) = self.crew.pick(nth) {
                    self.crew.cancel(who);
                    self.model.cancel(who, &mut woken);
                }
            }
            Op::TryAcquire(n) => self.try_acquire(n)?,
            Op::Release(nth, half) => {
                if !self.permits.is_empty() {
                    let mut permit = self.permits.swap_remove(nth % self.permits.len());
                    if half {
                        let n = permit.count() / 2;
                        self.permits.extend(permit.split(n));
                    }
                    let n = permit.count();
                    drop(permit);
                    if n > 0 {
                        self.model.add(n, &mut woken);
                    }
                }
            }
            Op::Barge(times) => {
                for _ in 0..times {
                    let before = self.permits.len();
                    self.try_acquire(1)?;
                    if self.permits.len() > before {
                        self.permits.pop();
                        self.model.add(1, &mut woken);
                    }
                }
            }
            Op::Merge => {
                if let Some(mut one) = self.permits.pop() {
                    let sum = one.count() + self.permits.last().map_or(0, Permit::count);
                    if let Some(other) = self.permits.pop() {
                        one.merge(other);
                    }
                    prop_assert_eq!(one.count(), sum);
                    self.permits.push(one);
                }
            }
            Op::Add(n) => {
                self.semaphore.add_permits(n);
                self.model.add(n, &mut woken);
            }
            Op::Forget(n) => prop_assert_eq!(self.semaphore.forget_permits(n), self.model.forget(n)),
            Op::ForgetPermit(nth) => {
                if !self.permits.is_empty() {
                    self.permits.swap_remove(nth % self.permits.len()).forget();
                }
            }
            Op::Close => prop_assert_eq!(self.semaphore.close(), self.model.close(&mut woken)),
        }
        prop_assert_eq!(self.crew.seen(), woken);
        let model = &self.model;
        let shown = format!(
            "Semaphore {{ available_permits: {}, waiters: {}, closed: {} }}",
            model.free,
            model.has_waiters(),
            model.closed
        );
        prop_assert_eq!(format!("{:?}", self.semaphore), shown);
        Ok(())
    }

    fn poll(&mut self, who: usize, which: Which, woken: &mut Vec<crate::hand::Seen>) -> TestCaseResult {
        let got = self.crew.poll(who, which);
        let expected = self.model.poll(who, self.needs[&who], which, woken);
        prop_assert_eq!(got.as_ref().map(|got| got.as_ref().map(Permit::count).map_err(drop)), expected);
        self.permits.extend(got.and_then(Result::ok));
        Ok(())
    }

    fn try_acquire(&mut self, n: usize) -> TestCaseResult {
        let permit = self.semaphore.try_acquire_many(n);
        prop_assert_eq!(permit.is_some(), self.model.take(n));
        self.permits.extend(permit);
        Ok(())
    }
}

fn play(script: &[Op], free: usize) -> TestCaseResult {
    let semaphore = Semaphore::new(free);
    let crew = Crew::new(&Log::default());
    let model = model::semaphore::Semaphore::new(free, 4);
    let mut run = Run { semaphore: &semaphore, model, permits: vec![], crew, needs: HashMap::new() };
    for (step, op) in script.iter().enumerate() {
        run.step(op).map_err(|error| TestCaseError::fail(format!("step {step}, {op:?}: {error}")))?;
    }
    drop(run.permits);
    semaphore.add_permits(10);
    run.crew.finish();
    Ok(())
}

proptest! {
    #![proptest_config(config(1024, regressions!("semaphore")))]

    #[test]
    fn a_semaphore_is_as_its_model(script in vec(op(), 0..80), free in 0..4usize) {
        play(&script, free)?;
    }
}
