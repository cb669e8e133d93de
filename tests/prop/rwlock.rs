//! `RwLock`.
use std::{future::Future, pin::Pin};

use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::{RwLock, RwLockReadGuard, RwLockUpgradableGuard, RwLockWriteGuard};

use crate::{
    config,
    hand::{Crew, Log, Which, which},
    model::sides::{Kind, Sides},
    regressions,
};

#[derive(Clone, Debug)]
enum Op {
    /// A new wait; `begun`: it is polled once.
    Enter {
        kind: Kind,
        begun: bool,
    },
    Poll(usize, Which),
    Cancel(usize),
    Try(Kind),
    /// Gets in and leaves, so many times, if it may.
    Barge(Kind, usize),
    Leave(usize),
    Downgrade(usize, bool),
    TryUpgrade,
    /// Begins an upgrade; `begun`: it is polled once.
    Upgrade {
        begun: bool,
    },
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![4 => Just(Kind::Read), 2 => Just(Kind::Upgradable), 3 => Just(Kind::Write)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (kind(), prop::bool::weighted(0.9)).prop_map(|(kind, begun)| Op::Enter { kind, begun }),
        8 => (0..64usize, which()).prop_map(|(nth, which)| Op::Poll(nth, which)),
        3 => (0..64usize).prop_map(Op::Cancel),
        3 => kind().prop_map(Op::Try),
        2 => (kind(), 1..6usize).prop_map(|(kind, times)| Op::Barge(kind, times)),
        8 => (0..64usize).prop_map(Op::Leave),
        2 => (0..64usize, any::<bool>()).prop_map(|(nth, upgradable)| Op::Downgrade(nth, upgradable)),
        1 => Just(Op::TryUpgrade),
        2 => prop::bool::weighted(0.8).prop_map(|begun| Op::Upgrade { begun }),
    ]
}

/// A place inside.
enum Guard<'a> {
    Read(RwLockReadGuard<'a, u32>),
    Write(RwLockWriteGuard<'a, u32>),
    Upgradable(RwLockUpgradableGuard<'a, u32>),
}

impl Guard<'_> {
    fn kind(&self) -> Kind {
        match self {
            Self::Read(_) => Kind::Read,
            Self::Write(_) => Kind::Write,
            Self::Upgradable(_) => Kind::Upgradable,
        }
    }
}

type Wait<'a> = dyn Future<Output = Guard<'a>> + 'a;

fn enter<'a>(lock: &'a RwLock<u32>, kind: Kind) -> Pin<Box<Wait<'a>>> {
    // The futures themselves are polled at the first poll, and take their places then.
    match kind {
        Kind::Read => Box::pin(async { Guard::Read(lock.read().await) }),
        Kind::Write => Box::pin(async { Guard::Write(lock.write().await) }),
        Kind::Upgradable => Box::pin(async { Guard::Upgradable(lock.upgradable_read().await) }),
    }
}

/// A lock, its model, and who is inside. The data counts the writers.
struct Run<'a> {
    lock: &'a RwLock<u32>,
    model: Sides,
    writers: u32,
    guards: Vec<Guard<'a>>,
    crew: Crew<Wait<'a>>,
    /// What the members of the crew want, None: an upgrade.
    wants: Vec<Option<Kind>>,
    woken: Vec<crate::hand::Seen>,
}

impl<'a> Run<'a> {
    fn step(&mut self, op: &Op) -> TestCaseResult {
        self.woken.clear();
        match *op {
            Op::Enter { kind, begun } => {
                let who = self.crew.add(enter(self.lock, kind));
                self.wants.push(Some(kind));
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
                    match self.wants[who] {
                        None => self.model.give_up(&mut self.woken),
                        Some(_) => self.model.leave_line(who, &mut self.woken),
                    }
                }
            }
            Op::Try(kind) => self.try_enter(kind)?,
            Op::Barge(kind, times) => {
                for _ in 0..times {
                    let before = self.guards.len();
                    self.try_enter(kind)?;
                    if self.guards.len() > before {
                        self.leave(before);
                    }
                }
            }
            Op::Leave(nth) => {
                if !self.guards.is_empty() {
                    self.leave(nth % self.guards.len());
                }
            }
            Op::Downgrade(nth, upgradable) => self.downgrade(nth, upgradable),
            Op::TryUpgrade => {
                if let Some(guard) = self.take_upgradable() {
                    let guard = match guard.try_upgrade() {
                        Ok(guard) => Guard::Write(guard),
                        Err(guard) => Guard::Upgradable(guard),
                    };
                    prop_assert_eq!(guard.kind() == Kind::Write, self.model.try_upgrade());
                    self.own(Some(guard))?;
                }
            }
            Op::Upgrade { begun } => {
                if let Some(guard) = self.take_upgradable() {
                    let upgrade = guard.upgrade();
                    let who = self.crew.add(Box::pin(async { Guard::Write(upgrade.await) }));
                    self.wants.push(None);
                    if begun {
                        self.poll(who, Which::A)?;
                    }
                }
            }
        }
        self.check()
    }

    fn check(&mut self) -> TestCaseResult {
        prop_assert_eq!(self.crew.seen(), self.woken.clone());
        let inside = self.model.inside;
        prop_assert!(!inside.writer || (inside.readers == 0 && !inside.upgradable));
        prop_assert_eq!(self.lock.is_write_locked(), inside.writer);
        prop_assert_eq!(self.lock.readers(), inside.readers + usize::from(inside.upgradable));
        let shown = format!(
            "RwLock {{ readers: {}, write_locked: {}, waiters: {}, .. }}",
            self.lock.readers(),
            inside.writer,
            self.model.has_waiters()
        );
        prop_assert_eq!(format!("{:?}", self.lock), shown);
        Ok(())
    }

    fn poll(&mut self, who: usize, which: Which) -> TestCaseResult {
        let guard = self.crew.poll(who, which);
        let expected = match self.wants[who] {
            Some(kind) => self.model.poll(who, kind, which, &mut self.woken),
            None => self.model.poll_upgrade(who, which),
        };
        prop_assert_eq!(guard.is_some(), expected);
        self.own(guard)
    }

    fn try_enter(&mut self, kind: Kind) -> TestCaseResult {
        let guard = match kind {
            Kind::Read => self.lock.try_read().map(Guard::Read),
            Kind::Write => self.lock.try_write().map(Guard::Write),
            Kind::Upgradable => self.lock.try_upgradable_read().map(Guard::Upgradable),
        };
        prop_assert_eq!(guard.is_some(), self.model.take(kind));
        self.own(guard)
    }

    fn own(&mut self, guard: Option<Guard<'a>>) -> TestCaseResult {
        let Some(mut guard) = guard else { return Ok(()) };
        match &mut guard {
            Guard::Write(guard) => {
                prop_assert_eq!(**guard, self.writers);
                self.writers += 1;
                **guard = self.writers;
            }
            Guard::Read(guard) => prop_assert_eq!(**guard, self.writers),
            Guard::Upgradable(guard) => prop_assert_eq!(**guard, self.writers),
        }
        self.guards.push(guard);
        Ok(())
    }

    fn leave(&mut self, at: usize) {
        let guard = self.guards.remove(at);
        self.model.leave(guard.kind(), &mut self.woken);
    }

    fn take_upgradable(&mut self) -> Option<RwLockUpgradableGuard<'a, u32>> {
        let at = self.guards.iter().position(|guard| guard.kind() == Kind::Upgradable)?;
        match self.guards.remove(at) {
            Guard::Upgradable(guard) => Some(guard),
            _ => unreachable!(),
        }
    }

    fn downgrade(&mut self, nth: usize, upgradable: bool) {
        if self.guards.is_empty() {
            return;
        }
        let at = nth % self.guards.len();
        let guard = self.guards.remove(at);
        let from = guard.kind();
        let guard = match guard {
            Guard::Write(guard) if upgradable => Guard::Upgradable(guard.downgrade_to_upgradable()),
            Guard::Write(guard) => Guard::Read(guard.downgrade()),
            Guard::Upgradable(guard) => Guard::Read(guard.downgrade()),
            guard => guard,
        };
        if guard.kind() != from {
            self.model.change(from, guard.kind(), &mut self.woken);
        }
        self.guards.push(guard);
    }
}

fn play(script: &[Op]) -> TestCaseResult {
    let lock = RwLock::new(0);
    let mut run = Run {
        lock: &lock,
        model: Sides::default(),
        writers: 0,
        guards: Vec::new(),
        crew: Crew::new(&Log::default()),
        wants: Vec::new(),
        woken: Vec::new(),
    };
    for (step, op) in script.iter().enumerate() {
        run.step(op).map_err(|error| TestCaseError::fail(format!("step {step}, {op:?}: {error}")))?;
    }
    drop(run.guards);
    run.crew.finish();
    prop_assert!(!lock.is_locked());
    Ok(())
}

proptest! {
    #![proptest_config(config(2048, regressions!("rwlock")))]

    #[test]
    fn a_readers_writer_lock_is_as_its_model(script in vec(op(), 0..80)) {
        play(&script)?;
    }
}
