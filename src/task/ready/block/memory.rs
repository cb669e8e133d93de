//! The consumer's end of a block.
#![allow(unsafe_code)]
// The labels are those of block.rs.
use core::{ptr, task::Waker};

use super::{ALL, ARMED, BITS, EMPTY, Group, Shared};
use crate::sys::atomic::Ordering::*;

/// A waker, told from others while it lives.
fn identity(waker: &Waker) -> (usize, usize) {
    (waker.data().addr(), ptr::from_ref(waker.vtable()).addr())
}

/// The consumer's end of a block: knows which groups are marked, and arms. The order of a pass is made in `pass.rs`.
pub(in crate::task::ready) struct Memory {
    pub(super) shared: Shared,
    /// How many groups there are.
    pub(super) groups: usize,
    /// How many of them are marked.
    marked: usize,
    /// Whether the cell was lent by block T6 and not seen to be given back.
    pub(super) lent: bool,
    /// Whose waker was lent last.
    identity: (usize, usize),
}

impl Memory {
    pub(super) fn new(shared: Shared, groups: usize) -> Self {
        Self { shared, groups, marked: 0, lent: false, identity: (0, 0) }
    }

    pub(in crate::task::ready) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(in crate::task::ready) fn groups(&self) -> usize {
        self.groups
    }

    pub(in crate::task::ready) fn marked(&self) -> usize {
        self.marked
    }

    #[inline(always)]
    fn group(&self, index: usize) -> &Group {
        debug_assert!(index < self.groups);
        // SAFETY: block I2: the reference of `self.shared`; block I6.
        unsafe { &*self.shared.group(index) }
    }

    /// Reads or changes something of a group that is the consumer's alone.
    #[inline(always)]
    fn with_marks<R>(&mut self, index: usize, f: impl FnOnce(&mut [usize; 2]) -> R) -> R {
        // SAFETY: block I4.
        self.group(index).marks.with_mut(|marks| f(unsafe { &mut *marks }))
    }

    /// Which children of the group there are.
    #[inline(always)]
    pub(in crate::task::ready) fn live(&self, group: usize) -> usize {
        // SAFETY: block I4: `&self`, so nobody changes it.
        self.group(group).live.with(|live| unsafe { *live })
    }

    /// Changes which there are.
    #[inline(always)]
    pub(in crate::task::ready) fn set_live(&mut self, group: usize, bits: usize) {
        // SAFETY: block I4.
        self.group(group).live.with_mut(|live| unsafe { *live = bits });
    }

    /// Remembers that the group is to be visited. Twice is once.
    pub(in crate::task::ready) fn mark(&mut self, group: usize) {
        let (word, bit) = (group / BITS, 1 << (group % BITS));
        let before = self.with_marks(word, |marks| {
            let before = marks[0];
            marks[0] |= bit;
            before
        });
        self.marked += usize::from(before & bit == 0);
        if before == 0 {
            self.with_marks(word / BITS, |marks| marks[1] |= 1 << (word % BITS));
        }
    }

    fn unmark(&mut self, group: usize) {
        let (word, bit) = (group / BITS, 1 << (group % BITS));
        let (before, after) = self.with_marks(word, |marks| {
            let before = marks[0];
            marks[0] &= !bit;
            (before, marks[0])
        });
        self.marked -= usize::from(before & bit != 0);
        if after == 0 {
            self.with_marks(word / BITS, |marks| marks[1] &= !(1 << (word % BITS)));
        }
    }

    /// Whether the group is to be visited: it was popped, and may be taken from (block I1).
    pub(in crate::task::ready) fn is_marked(&mut self, group: usize) -> bool {
        self.with_marks(group / BITS, |marks| marks[0]) >> (group % BITS) & 1 != 0
    }

    /// The first marked group from `from` on.
    pub(in crate::task::ready) fn find(&mut self, from: usize) -> Option<usize> {
        if self.marked == 0 || from >= self.groups {
            return None;
        }
        let word = from / BITS;
        let bits = self.with_marks(word, |marks| marks[0]) & (!0 << (from % BITS));
        if bits != 0 {
            return Some(word * BITS + bits.trailing_zeros() as usize);
        }
        let words = self.groups.div_ceil(BITS);
        let mut mask = !0 << ((word + 1) % BITS);
        for upper in (word + 1) / BITS..words.div_ceil(BITS) {
            let bits = self.with_marks(upper, |marks| marks[1]) & mask;
            if bits != 0 {
                let word = upper * BITS + bits.trailing_zeros() as usize;
                let bits = self.with_marks(word, |marks| marks[0]);
                return Some(word * BITS + bits.trailing_zeros() as usize);
            }
            mask = !0;
        }
        None
    }

    /// Whether groups were pushed since the last look. One load.
    #[inline(always)]
    pub(in crate::task::ready) fn is_pushed(&self) -> bool {
        // ORDER: relaxed: block T4 follows, or block T6, which looks again
        let head = self.shared.header().head.load(Relaxed);
        head.addr() > ARMED.addr() // EMPTY is less
    }

    /// Whether nothing was pushed since block T6 with this very waker: there is nothing to do, and it will be woken.
    pub(in crate::task::ready) fn is_armed_by(&self, waker: &Waker) -> bool {
        // While ARMED the waker is the one that was lent, alive, and any block T2 from now on wakes it. A read-modify-write
        // confirms it: a load alone may be late.
        self.lent && self.identity == identity(waker) && self.shared.header().confirm_armed()
    }

    /// block T4: marks what was pushed, and tells `seen` of each group.
    pub(in crate::task::ready) fn collect(&mut self, mut seen: impl FnMut(usize)) {
        let mut at = self.shared.header().pop_all();
        if at == ARMED {
            return self.regain();
        }
        while at != EMPTY && at != ARMED {
            // SAFETY: block I1, block I2: a group of this block.
            let group = unsafe { &*at };
            let index = group.index;
            // block E2 published it. ORDER: relaxed: nobody pushes the group again before block T5
            at = group.next.load(Relaxed);
            self.mark(index);
            seen(index);
        }
    }

    /// block T4 found ARMED: nobody does block T3.
    fn regain(&mut self) {
        // ORDER: relaxed: the cell is the consumer's (block I3)
        self.shared.header().lent.store(false, Relaxed);
        self.lent = false;
    }

    /// Those of a group that were woken and not taken, as far as can be seen. One load.
    #[inline(always)]
    pub(in crate::task::ready) fn peek(&self, group: usize) -> usize {
        // ORDER: relaxed: block T5 follows
        self.group(group).ready.load(Relaxed)
    }

    /// block T5: takes those of `bits` that were woken, of a group that is marked.
    #[inline]
    pub(in crate::task::ready) fn take(&mut self, group: usize, bits: usize) -> usize {
        let ready = &self.group(group).ready;
        let before = if bits == ALL {
            // ORDER: block E1 acquire
            ready.swap(0, Acquire)
        } else {
            // ORDER: block E1 acquire
            ready.fetch_and(!bits, Acquire)
        };
        if before & !bits == 0 {
            self.unmark(group);
        }
        before & bits
    }

    /// block T1 by the consumer, which marks the group in place of block T2.
    pub(in crate::task::ready) fn add(&mut self, group: usize, bits: usize) {
        // ORDER: relaxed: the consumer itself takes them
        if self.group(group).ready.fetch_or(bits, Relaxed) == 0 {
            self.mark(group);
        }
    }

    /// Whether the cell is the consumer's (block I3).
    fn owns_cell(&mut self) -> bool {
        self.lent = self.lent && self.shared.header().confirm_lent();
        !self.lent
    }

    /// The parent waits: block T6, so that the next block T2 wakes it. If there is something to do already it is woken here.
    pub(in crate::task::ready) fn arm(&mut self, waker: &Waker) {
        // Or somebody is still at block T3: it cannot be armed yet.
        if !self.owns_cell() || self.marked != 0 {
            return waker.wake_by_ref();
        }
        let header = self.shared.header();
        // SAFETY: block I3.
        header.cell.with_mut(|cell| fill(unsafe { &mut *cell }, waker));
        // ORDER: relaxed: block E3 publishes it
        header.lent.store(true, Relaxed);
        // ORDER: block E3 release
        match header.head.compare_exchange(EMPTY, ARMED, Release, Relaxed) {
            Ok(_) => (self.lent, self.identity) = (true, identity(waker)),
            Err(_) => {
                // ORDER: relaxed: the cell is still the consumer's
                header.lent.store(false, Relaxed);
                waker.wake_by_ref();
            }
        }
    }

    /// The waker of a parent that waits: it does so no more.
    pub(in crate::task::ready) fn disarm(&mut self) -> Option<Waker> {
        // ORDER: relaxed: the exchange checks it
        if self.shared.header().head.load(Relaxed) != ARMED {
            return None;
        }
        self.collect(|_| ());
        if self.lent { None } else { self.empty_cell() }
    }

    fn empty_cell(&mut self) -> Option<Waker> {
        // SAFETY: block I3: the caller has seen that it is the consumer's.
        self.shared.header().cell.with_mut(|cell| unsafe { (*cell).take() })
    }
}

/// Leaves in the cell what wakes as `waker` does.
fn fill(cell: &mut Option<Waker>, waker: &Waker) {
    if !cell.as_ref().is_some_and(|old| old.will_wake(waker)) {
        *cell = Some(waker.clone());
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.collect(|_| ());
        let parent = if self.owns_cell() { self.empty_cell() } else { None };
        if self.shared.is_static() {
            while let Some(group) = self.find(0) {
                self.take(group, ALL);
            }
            // ORDER: block E7 release
            self.shared.header().refs.store(0, Release);
        }
        drop(parent);
    }
}
