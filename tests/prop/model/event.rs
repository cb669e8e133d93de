//! What an event does, one call after the other.
use std::collections::HashSet;

use crate::hand::{Seen, Which};

#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) set: bool,
    line: Vec<(usize, Which)>,
    /// Found in line by a `set`.
    released: HashSet<usize>,
}

impl Event {
    pub(crate) fn has_waiters(&self) -> bool {
        !self.line.is_empty()
    }

    pub(crate) fn poll(&mut self, who: usize, waker: Which) -> bool {
        if self.released.remove(&who) {
            return true;
        }
        match self.line.iter_mut().find(|place| place.0 == who) {
            Some(place) => place.1 = waker,
            None if self.set => return true,
            None => self.line.push((who, waker)),
        }
        false
    }

    pub(crate) fn cancel(&mut self, who: usize) {
        self.line.retain(|place| place.0 != who);
        self.released.remove(&who);
    }

    pub(crate) fn set(&mut self) -> Vec<Seen> {
        self.set = true;
        self.released.extend(self.line.iter().map(|place| place.0));
        self.line.drain(..).map(|(who, waker)| Seen::Woken(who, waker)).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.set = false;
    }
}
