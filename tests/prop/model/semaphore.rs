//! What a semaphore does, one call after the other: permits are offered to those in front for whom they suffice, and may be
//! taken by others, until the first in line was overtaken too often.
use std::collections::{HashSet, VecDeque};

use crate::hand::{Seen, Which};

#[derive(Debug)]
struct Place {
    who: usize,
    need: usize,
    /// None: permits were offered since the last poll.
    waker: Option<Which>,
}

#[derive(Debug, Default)]
pub(crate) struct Semaphore {
    pub(crate) free: usize,
    pub(crate) closed: bool,
    line: VecDeque<Place>,
    overtaken: u8,
    /// How often the first in line may be overtaken.
    limit: u8,
    /// Were in line when it was closed.
    told: HashSet<usize>,
}

/// What a poll says: a permit, or that it is closed.
pub(crate) type Answer = Option<Result<usize, ()>>;

impl Semaphore {
    pub(crate) fn new(free: usize, limit: u8) -> Self {
        Self { free, limit, ..Self::default() }
    }

    pub(crate) fn has_waiters(&self) -> bool {
        !self.line.is_empty()
    }

    /// By somebody who is not the first in line, and was not offered it.
    pub(crate) fn take(&mut self, need: usize) -> bool {
        self.take_counted(need, self.has_waiters())
    }

    fn take_counted(&mut self, need: usize, counted: bool) -> bool {
        let may = !self.closed && self.free >= need && !(self.has_waiters() && self.overtaken >= self.limit);
        if may {
            self.free -= need;
            self.overtaken += u8::from(counted);
        }
        may
    }

    pub(crate) fn poll(&mut self, who: usize, need: usize, waker: Which, seen: &mut Vec<Seen>) -> Answer {
        if self.told.remove(&who) {
            return Some(Err(()));
        }
        let at = self.line.iter().position(|place| place.who == who);
        if at == Some(0) && self.free >= need {
            self.free -= need;
            self.line.pop_front();
            let starved = std::mem::take(&mut self.overtaken) >= self.limit;
            if starved {
                self.offer(seen);
            }
            return Some(Ok(need));
        }
        let offered = at.is_some_and(|at| self.line[at].waker.is_none());
        if at != Some(0) && self.take_counted(need, self.has_waiters() && !offered) {
            self.line.retain(|place| place.who != who);
            return Some(Ok(need));
        }
        match at {
            Some(at) => self.line[at].waker = Some(waker),
            None if self.closed => return Some(Err(())),
            None => self.line.push_back(Place { who, need, waker: Some(waker) }),
        }
        None
    }

    pub(crate) fn add(&mut self, n: usize, seen: &mut Vec<Seen>) {
        self.free += n;
        self.offer(seen);
    }

    pub(crate) fn forget(&mut self, n: usize) -> usize {
        let gone = n.min(self.free);
        self.free -= gone;
        gone
    }

    fn offer(&mut self, seen: &mut Vec<Seen>) {
        let mut rest = self.free;
        let many = if self.overtaken >= self.limit { 1 } else { self.line.len() };
        for place in self.line.iter_mut().take(many) {
            let Some(left) = rest.checked_sub(place.need) else { return };
            rest = left;
            seen.extend(place.waker.take().map(|waker| Seen::Woken(place.who, waker)));
        }
    }

    pub(crate) fn cancel(&mut self, who: usize, seen: &mut Vec<Seen>) {
        self.told.remove(&who);
        let Some(at) = self.line.iter().position(|place| place.who == who) else { return };
        self.line.remove(at);
        if at == 0 {
            self.overtaken = 0;
        }
        self.offer(seen);
    }

    pub(crate) fn close(&mut self, seen: &mut Vec<Seen>) -> bool {
        self.told.extend(self.line.iter().map(|place| place.who));
        seen.extend(self.line.drain(..).filter_map(|place| Some(Seen::Woken(place.who, place.waker?))));
        !std::mem::replace(&mut self.closed, true)
    }
}
