//! What a once cell does, one call after the other: a free turn is offered to the first in line, and whoever is polled takes it.
use std::collections::VecDeque;

use crate::hand::{Seen, Which};

/// What an initializer does when it is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pends,
    Fails,
    Ends,
}

#[derive(Debug, Default)]
pub(crate) struct Once {
    pub(crate) value: Option<usize>,
    pub(crate) turn: Option<usize>,
    /// For the turn. None: it was offered since the last poll.
    line: VecDeque<(usize, Option<Which>)>,
    /// For the value.
    side: Vec<(usize, Which)>,
}

impl Once {
    pub(crate) fn poll_wait(&mut self, who: usize, waker: Which) -> Option<usize> {
        match self.side.iter_mut().find(|place| place.0 == who) {
            Some(place) => place.1 = waker,
            None if self.value.is_none() => self.side.push((who, waker)),
            None => {}
        }
        self.value
    }

    /// Its value is its number.
    pub(crate) fn poll_init(
        &mut self,
        who: usize,
        waker: Which,
        fate: Fate,
        seen: &mut Vec<Seen>,
    ) -> Option<Result<usize, ()>> {
        if let Some(value) = self.value {
            return Some(Ok(value));
        }
        if self.turn.is_none() {
            self.line.retain(|place| place.0 != who);
            self.turn = Some(who);
        }
        if self.turn != Some(who) {
            match self.line.iter_mut().find(|place| place.0 == who) {
                Some(place) => place.1 = Some(waker),
                None => self.line.push_back((who, Some(waker))),
            }
            return None;
        }
        match fate {
            Fate::Pends => None,
            Fate::Fails => {
                self.free(seen);
                Some(Err(()))
            }
            Fate::Ends => {
                self.tell(who, seen);
                Some(Ok(who))
            }
        }
    }

    pub(crate) fn set(&mut self, value: usize, seen: &mut Vec<Seen>) -> Result<(), usize> {
        if self.value.is_some() || self.turn.is_some() {
            return Err(value);
        }
        self.tell(value, seen);
        Ok(())
    }

    pub(crate) fn cancel(&mut self, who: usize, seen: &mut Vec<Seen>) {
        self.side.retain(|place| place.0 != who);
        self.line.retain(|place| place.0 != who);
        if self.turn.is_none_or(|turn| turn == who) && self.value.is_none() {
            self.free(seen);
        }
    }

    fn free(&mut self, seen: &mut Vec<Seen>) {
        self.turn = None;
        let offered = self.line.front_mut().and_then(|(who, waker)| Some(Seen::Woken(*who, waker.take()?)));
        seen.extend(offered);
    }

    fn tell(&mut self, value: usize, seen: &mut Vec<Seen>) {
        (self.value, self.turn) = (Some(value), None);
        seen.extend(self.side.drain(..).map(|(who, waker)| Seen::Woken(who, waker)));
        seen.extend(self.line.drain(..).filter_map(|(who, waker)| Some(Seen::Woken(who, waker?))));
    }
}
