//! What a condition does, one call after the other.
use std::collections::HashMap;

use super::lock::Lock;
use crate::hand::{Seen, Which};

/// What a wait is for, once it has the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needs {
    Nothing,
    Notification,
    AtLeast(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    One,
    All,
}

#[derive(Debug)]
struct Wait {
    needs: Needs,
    /// It has the lock of the guard that it was given, until its first poll.
    holding: bool,
    told: Option<Told>,
}

#[derive(Debug, Default)]
pub(crate) struct Condition {
    pub(crate) lock: Lock,
    pub(crate) data: u32,
    waits: HashMap<usize, Wait>,
    /// Waiting for a notification.
    side: Vec<(usize, Which)>,
    /// Notifications that came back, for the owner of the lock to pass on.
    owed: usize,
}

impl Condition {
    pub(crate) fn has_waiters(&self) -> bool {
        !self.side.is_empty()
    }

    pub(crate) fn add(&mut self, who: usize, needs: Needs, holding: bool) {
        self.waits.insert(who, Wait { needs, holding, told: None });
    }

    /// Says whether `who` is ready: it has the lock then.
    pub(crate) fn poll(&mut self, who: usize, waker: Which, seen: &mut Vec<Seen>) -> bool {
        if let Some(place) = self.side.iter_mut().find(|place| place.0 == who) {
            place.1 = waker;
            return false;
        }
        let wait = self.waits.get_mut(&who).unwrap();
        if !std::mem::take(&mut wait.holding) && !self.lock.poll(who, waker) {
            return false;
        }
        if wait.needs.met(who, wait.told, self.data, seen) {
            self.waits.remove(&who);
            return true;
        }
        self.owed += usize::from(wait.told.take() == Some(Told::One));
        self.pass_on(seen);
        self.side.push((who, waker));
        self.lock.free(seen);
        false
    }

    pub(crate) fn cancel(&mut self, who: usize, seen: &mut Vec<Seen>) {
        let wait = self.waits.remove(&who).unwrap();
        self.side.retain(|place| place.0 != who);
        let mut owns = wait.holding || self.lock.was_handed(who);
        if !owns {
            self.lock.leave_line(who, seen);
        }
        if wait.told == Some(Told::One) {
            self.owed += 1;
            owns |= self.lock.take(); // nobody else would pass it on
        }
        if owns {
            self.unlock(seen);
        }
    }

    pub(crate) fn unlock(&mut self, seen: &mut Vec<Seen>) {
        self.pass_on(seen);
        self.lock.free(seen);
    }

    fn pass_on(&mut self, seen: &mut Vec<Seen>) {
        let owed = std::mem::take(&mut self.owed);
        self.notify(owed, Told::One, seen);
    }

    /// Moves up to `n` that can go on to the line for the lock.
    pub(crate) fn notify(&mut self, mut n: usize, told: Told, seen: &mut Vec<Seen>) {
        self.side.retain(|&(who, waker)| {
            let wait = self.waits.get_mut(&who).unwrap();
            let goes_on = n > 0 && wait.needs.met(who, Some(told), self.data, seen);
            if goes_on {
                n -= 1;
                wait.told = Some(told);
                self.lock.get_in_line(who, waker);
            }
            !goes_on
        });
    }
}

impl Needs {
    fn met(self, who: usize, told: Option<Told>, data: u32, seen: &mut Vec<Seen>) -> bool {
        match self {
            Needs::Nothing => true,
            Needs::Notification => told.is_some(),
            Needs::AtLeast(level) => {
                seen.push(Seen::Asked(who));
                data >= level
            }
        }
    }
}
