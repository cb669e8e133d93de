//! The children that a run has taken over: their slots, and those that wait for their turn.
#![allow(unsafe_code)]
// INVARIANTS  I1 children of a `Sendable` group are Send, and so are their values and errors; those of a `Local` one stay here.
use alloc::{collections::VecDeque, vec::Vec};
use core::marker::PhantomData;

use super::{Sendable, inbox::Chain, job::Child};
use crate::{
    sys::Panics,
    task::ready::{self, Block, Ready},
};

/// The numbers in the ready set: the body, the bell, and the children behind them.
pub(super) const BODY: usize = 0;
pub(super) const BELL: usize = 1;
pub(super) const FIRST: usize = 2;

/// The children that were taken over.
pub(super) struct Children<E, K> {
    pub(super) ready: Block,
    pub(super) wakers: ready::Shared,
    pub(super) slots: Vec<Option<Child<E>>>,
    free: Vec<usize>,
    pub(super) live: usize,
    /// Those that wait for their turn.
    pub(super) waiting: VecDeque<Child<E>>,
    limit: usize,
    spawned: usize,
    /// A slot was used again: their order is not that of the children any more.
    shuffled: bool,
    _kind: PhantomData<K>,
}

// SAFETY: I1.
unsafe impl<E: Send> Send for Children<E, Sendable> {}

impl<E, K> Children<E, K> {
    pub(super) fn new(limit: usize) -> Self {
        let mut ready = Block::growing();
        for number in [BODY, BELL] {
            drop(ready.insert(number)); // nobody waits yet
        }
        let wakers = ready.shared().clone();
        Self {
            ready,
            wakers,
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
            waiting: VecDeque::new(),
            limit,
            spawned: 0,
            shuffled: false,
            _kind: PhantomData,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0 && self.waiting.is_empty()
    }

    /// Takes over what was spawned; it starts if there is room.
    pub(super) fn admit(&mut self, chain: Chain<E>) {
        for child in chain {
            child.header().number.set(self.spawned);
            self.spawned += 1;
            if self.live == self.limit { self.waiting.push_back(child) } else { self.start(child) }
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

    /// Takes a child out of its slot.
    pub(super) fn remove(&mut self, slot: usize) -> Option<Child<E>> {
        let child = self.slots[slot].take()?;
        self.ready.retire(slot + FIRST);
        self.free.push(slot);
        self.live -= 1;
        Some(child)
    }

    /// A slot is free: the next one starts.
    pub(super) fn start_next(&mut self) {
        if let Some(next) = self.waiting.pop_front() {
            self.start(next);
        }
    }

    /// Cancels all but those `spare`d, in the order in which they were spawned.
    pub(super) fn cancel(&mut self, panics: &mut Panics, spare: impl Fn(&Child<E>) -> bool) {
        let waiting = core::mem::take(&mut self.waiting);
        if self.shuffled {
            let number = |slot: &usize| self.slots[*slot].as_ref().map(|child| child.header().number.get());
            let mut order: Vec<usize> = (0..self.slots.len()).filter(|slot| number(slot).is_some()).collect();
            order.sort_unstable_by_key(number);
            order.into_iter().for_each(|slot| self.cancel_slot(slot, panics, &spare));
        } else {
            (0..self.slots.len()).for_each(|slot| self.cancel_slot(slot, panics, &spare));
        }
        for child in waiting {
            panics.catch(|| drop(child));
        }
    }

    fn cancel_slot(&mut self, slot: usize, panics: &mut Panics, spare: &impl Fn(&Child<E>) -> bool) {
        if self.slots[slot].as_ref().is_some_and(|child| !spare(child)) {
            let child = self.remove(slot);
            panics.catch(|| drop(child));
        }
    }
}
