//! The children on the heap that a run has taken over: their slots, and those that wait for their turn.
#![allow(unsafe_code)]
// INVARIANTS  I1 children of a `Sendable` group are Send, and so are their values and errors; those of a `Local` one stay here.
use alloc::{collections::VecDeque, vec::Vec};
use core::marker::PhantomData;

use super::{
    error::GroupError,
    inbox::{Chain, Inbox},
    job::Child,
    store::{BELL, BODY, FIRST, Store},
};
use crate::{
    sys::Panics,
    task::{
        CancelToken,
        marker::Sendable,
        ready::{Block, Open, Ready},
    },
};

/// The children that were taken over.
pub(super) struct Children<'c, E, K> {
    ready: Block,
    slots: Vec<Option<Child<E>>>,
    free: Vec<usize>,
    live: usize,
    /// Those that wait for their turn.
    waiting: VecDeque<Child<E>>,
    /// Asks the graceful ones to end.
    token: &'c CancelToken,
    limit: usize,
    spawned: usize,
    /// A slot was used again: their order is not that of the children any more.
    shuffled: bool,
    _kind: PhantomData<K>,
}

// SAFETY: I1.
unsafe impl<E: Send> Send for Children<'_, E, Sendable> {}

impl<'c, E, K> Children<'c, E, K> {
    pub(super) fn new(limit: usize, token: &'c CancelToken) -> Self {
        let mut ready = Block::growing();
        for number in [BODY, BELL] {
            drop(ready.insert(number)); // nobody waits yet
        }
        Self {
            ready,
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
            waiting: VecDeque::new(),
            token,
            limit,
            spawned: 0,
            shuffled: false,
            _kind: PhantomData,
        }
    }

    fn start(&mut self, child: Child<E>) {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(slot) {
            Some(place) => {
                *place = Some(child);
                self.shuffled = true;
            }
            None => self.slots.push(Some(child)),
        }
        self.live += 1;
        if let Some(parent) = self.ready.insert(slot + FIRST) {
            parent.wake();
        }
    }

    fn cancel_slot(&mut self, slot: usize, panics: &mut Panics, all: bool) {
        if self.slots[slot].as_ref().is_some_and(|child| all || !child.header().graceful) {
            let child = self.remove(slot);
            panics.catch(|| drop(child));
        }
    }
}

impl<E, K> Store for Children<'_, E, K> {
    type Error = E;
    type Errors = GroupError<E>;
    type Ready = Block;

    fn enter(&mut self, _: &Inbox<E>) {}

    #[inline(always)]
    fn ready(&mut self) -> &mut Block {
        &mut self.ready
    }

    #[inline(always)]
    fn parts(&mut self, slot: usize) -> (&Block, Option<&mut Child<E>>) {
        (&self.ready, self.slots.get_mut(slot).and_then(Option::as_mut))
    }

    fn len(&self) -> usize {
        self.live + self.waiting.len()
    }

    fn admit(&mut self, chain: Chain<E>) {
        for child in chain {
            child.header().number.set(self.spawned);
            self.spawned = self.spawned.wrapping_add(1);
            if self.live == self.limit { self.waiting.push_back(child) } else { self.start(child) }
        }
    }

    fn remove(&mut self, slot: usize) -> Option<Child<E>> {
        let child = self.slots[slot].take()?;
        self.ready.retire(slot + FIRST);
        self.free.push(slot);
        self.live -= 1;
        Some(child)
    }

    fn start_next(&mut self) {
        if let Some(next) = self.waiting.pop_front() {
            self.start(next);
        }
    }

    fn ask_to_end(&self) {
        self.token.cancel();
    }

    fn cancel(&mut self, panics: &mut Panics, all: bool) {
        let waiting = core::mem::take(&mut self.waiting);
        if self.shuffled {
            let number = |slot: &usize| self.slots[*slot].as_ref().map(|child| child.header().number.get());
            let mut order: Vec<usize> = (0..self.slots.len()).filter(|slot| number(slot).is_some()).collect();
            order.sort_unstable_by_key(number);
            order.into_iter().for_each(|slot| self.cancel_slot(slot, panics, all));
        } else {
            (0..self.slots.len()).for_each(|slot| self.cancel_slot(slot, panics, all));
        }
        for child in waiting {
            panics.catch(|| drop(child));
        }
    }
}
