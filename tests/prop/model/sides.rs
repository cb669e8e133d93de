//! What a readers-writer lock does, one call after the other: those in front are offered what is there, anybody may take it.
use std::collections::VecDeque;

use crate::hand::{Seen, Which};

/// How often the first in line may be overtaken.
const LIMIT: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Upgradable,
    Write,
}

/// Who is inside.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inside {
    /// Without an upgradable one.
    pub(crate) readers: usize,
    pub(crate) upgradable: bool,
    pub(crate) upgrading: bool,
    pub(crate) writer: bool,
}

impl Inside {
    /// Lets one in, if it may.
    fn join(&mut self, kind: Kind) -> bool {
        let may = match kind {
            Kind::Read => !self.writer && !self.upgrading,
            Kind::Upgradable => !self.writer && !self.upgradable,
            Kind::Write => !self.writer && !self.upgradable && self.readers == 0,
        };
        if may {
            match kind {
                Kind::Read => self.readers += 1,
                Kind::Upgradable => self.upgradable = true,
                Kind::Write => self.writer = true,
            }
        }
        may
    }
}

#[derive(Debug)]
struct Place {
    who: usize,
    kind: Kind,
    /// None: it was offered its turn since the last poll.
    waker: Option<Which>,
}

#[derive(Debug, Default)]
pub(crate) struct Sides {
    pub(crate) inside: Inside,
    line: VecDeque<Place>,
    barged: u8,
    upgrade: Option<Place>,
}

impl Sides {
    pub(crate) fn has_waiters(&self) -> bool {
        !self.line.is_empty()
    }

    /// Without a place in line.
    pub(crate) fn take(&mut self, kind: Kind) -> bool {
        if self.line.is_empty() {
            let taken = self.inside.join(kind);
            if taken {
                self.barged = 0;
            }
            return taken;
        }
        self.barge(kind)
    }

    fn barge(&mut self, kind: Kind) -> bool {
        let taken = self.barged < LIMIT && self.inside.join(kind);
        self.barged += u8::from(taken);
        taken
    }

    /// Says whether `who` is inside now.
    pub(crate) fn poll(&mut self, who: usize, kind: Kind, waker: Which, seen: &mut Vec<Seen>) -> bool {
        let at = match self.line.iter().position(|place| place.who == who) {
            Some(at) => at,
            None if self.take(kind) => return true,
            None => {
                self.line.push_back(Place { who, kind, waker: Some(waker) });
                // In line it looks once more, if what it needs is there.
                let mut free = self.inside;
                if !free.join(kind) {
                    return false;
                }
                self.line.len() - 1
            }
        };
        let taken = if at == 0 {
            let taken = self.inside.join(kind);
            if taken {
                self.barged = 0;
            }
            taken
        } else if self.line[at].waker.is_none() {
            self.inside.join(kind)
        } else {
            self.barge(kind)
        };
        if taken {
            self.line.remove(at);
        } else {
            self.line[at].waker = Some(waker);
            self.offer(seen);
        }
        taken
    }

    /// Those in front are woken for whom there is room.
    fn offer(&mut self, seen: &mut Vec<Seen>) {
        let mut rest = self.inside;
        for place in &mut self.line {
            if !rest.join(place.kind) {
                break;
            }
            seen.extend(place.waker.take().map(|waker| Seen::Woken(place.who, waker)));
        }
    }

    pub(crate) fn leave(&mut self, kind: Kind, seen: &mut Vec<Seen>) {
        match kind {
            Kind::Read => self.inside.readers -= 1,
            Kind::Upgradable => self.inside.upgradable = false,
            Kind::Write => self.inside.writer = false,
        }
        if self.inside.upgrading && self.inside.readers == 0 {
            let upgrade = self.upgrade.as_mut().expect("somebody upgrades");
            seen.extend(upgrade.waker.take().map(|waker| Seen::Woken(upgrade.who, waker)));
        }
        self.offer(seen);
    }

    /// One that is inside stays as another.
    pub(crate) fn change(&mut self, from: Kind, to: Kind, seen: &mut Vec<Seen>) {
        match from {
            Kind::Read => unreachable!(),
            Kind::Upgradable => self.inside.upgradable = false,
            Kind::Write => self.inside.writer = false,
        }
        assert!(self.inside.join(to));
        self.offer(seen);
    }

    pub(crate) fn try_upgrade(&mut self) -> bool {
        let free = self.inside.readers == 0;
        if free {
            (self.inside.upgradable, self.inside.upgrading, self.inside.writer) = (false, false, true);
        }
        free
    }

    /// Says whether it is the writer now.
    pub(crate) fn poll_upgrade(&mut self, who: usize, waker: Which) -> bool {
        let done = self.try_upgrade();
        if !done {
            self.inside.upgrading = true;
        }
        self.upgrade = (!done).then_some(Place { who, kind: Kind::Write, waker: Some(waker) });
        done
    }

    /// An upgrade is dropped.
    pub(crate) fn give_up(&mut self, seen: &mut Vec<Seen>) {
        self.upgrade = None;
        (self.inside.upgradable, self.inside.upgrading) = (false, false);
        self.offer(seen);
    }

    pub(crate) fn leave_line(&mut self, who: usize, seen: &mut Vec<Seen>) {
        if let Some(at) = self.line.iter().position(|place| place.who == who) {
            self.line.remove(at);
            if at == 0 {
                self.barged = 0;
            }
            self.offer(seen);
        }
    }
}
