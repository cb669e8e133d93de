//! What a mutex does, one call after the other: a free lock is offered to the first in line and may be taken by anybody.
use std::collections::VecDeque;

use crate::hand::{Seen, Which};

/// How often a waiter may be overtaken once it was offered the lock.
const LIMIT: u8 = 4;

#[derive(Debug)]
struct Place {
    who: usize,
    /// None: the lock was offered since the last poll.
    waker: Option<Which>,
    overtaken: u8,
}

impl Place {
    fn wake(&mut self, seen: &mut Vec<Seen>) {
        seen.extend(self.waker.take().map(|waker| Seen::Woken(self.who, waker)));
    }

    /// Somebody else took the lock; counted once for each offer.
    fn miss(&mut self) {
        self.overtaken += u8::from(self.waker.is_none());
    }
}

#[derive(Debug, Default)]
pub(crate) struct Lock {
    pub(crate) locked: bool,
    line: VecDeque<Place>,
    /// Got the lock without a poll.
    handed: Option<usize>,
}

impl Lock {
    pub(crate) fn has_waiters(&self) -> bool {
        !self.line.is_empty()
    }

    pub(crate) fn take(&mut self) -> bool {
        !std::mem::replace(&mut self.locked, true)
    }

    pub(crate) fn get_in_line(&mut self, who: usize, waker: Which) {
        self.line.push_back(Place { who, waker: Some(waker), overtaken: 0 });
    }

    /// Says whether `who` has the lock now.
    pub(crate) fn poll(&mut self, who: usize, waker: Which) -> bool {
        if self.was_handed(who) {
            return true;
        }
        match self.line.iter().position(|place| place.who == who) {
            None if self.take() => return true,
            None => self.get_in_line(who, waker),
            Some(at) if self.take() => return self.line.remove(at).is_some(),
            Some(at) => {
                self.line[at].miss();
                self.line[at].waker = Some(waker);
            }
        }
        false
    }

    pub(crate) fn free(&mut self, seen: &mut Vec<Seen>) {
        if let Some(head) = self.line.front_mut() {
            head.miss();
            head.wake(seen);
            if head.overtaken == LIMIT {
                self.handed = self.line.pop_front().map(|head| head.who);
                return;
            }
        }
        self.locked = false;
    }

    /// Who was handed the lock has it from here on.
    pub(crate) fn was_handed(&mut self, who: usize) -> bool {
        self.handed.take_if(|handed| *handed == who).is_some()
    }

    pub(crate) fn leave_line(&mut self, who: usize, seen: &mut Vec<Seen>) {
        self.line.retain(|place| place.who != who);
        if let Some(head) = self.line.front_mut().filter(|_| !self.locked) {
            head.wake(seen);
        }
    }
}
