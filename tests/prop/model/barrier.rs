//! What a barrier does, one call after the other.
use std::collections::HashMap;

use crate::hand::{Seen, Which};

#[derive(Debug)]
pub(crate) struct Barrier {
    pub(crate) parties: usize,
    pub(crate) broken: bool,
    line: Vec<(usize, Which)>,
    /// What those were told who were in line: an index, or None for the error.
    told: HashMap<usize, Option<usize>>,
}

impl Barrier {
    pub(crate) fn new(parties: usize) -> Self {
        Self { parties, broken: false, line: Vec::new(), told: HashMap::new() }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.line.len()
    }

    pub(crate) fn poll(&mut self, who: usize, waker: Which, seen: &mut Vec<Seen>) -> Option<Option<usize>> {
        if let Some(told) = self.told.remove(&who) {
            return Some(told);
        }
        if let Some(place) = self.line.iter_mut().find(|place| place.0 == who) {
            place.1 = waker;
        } else if self.broken {
            return Some(None);
        } else if self.line.len() + 1 == self.parties {
            self.release(Some, seen);
            return Some(Some(self.parties - 1));
        } else {
            self.line.push((who, waker));
        }
        None
    }

    pub(crate) fn cancel(&mut self, who: usize) {
        self.line.retain(|place| place.0 != who);
        self.told.remove(&who);
    }

    pub(crate) fn end(&mut self, broken: bool, seen: &mut Vec<Seen>) {
        self.broken = broken;
        self.release(|_| None, seen);
    }

    fn release(&mut self, tell: impl Fn(usize) -> Option<usize>, seen: &mut Vec<Seen>) {
        for (index, (who, waker)) in self.line.drain(..).enumerate() {
            self.told.insert(who, tell(index));
            seen.push(Seen::Woken(who, waker));
        }
    }
}
