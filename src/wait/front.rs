//! The front of a line: those, from the oldest on, who have been offered something and have not come for it in vain.
//!
//! An offer begins behind the front, so it never walks past those who were offered something before. The front takes no
//! room: what is known of it stands in its first and its last node, where their wakers were.
#![allow(unsafe_code)]
// The labels are those declared in word.rs.
use core::{ptr, task::Waker};

use super::{
    held::{Head, Held},
    line::Lender,
    node::{Node, at},
};

/// The word of who is in a front and has nothing to remember.
pub(super) const IN_FRONT: *mut Node = ptr::without_provenance_mut(1);

/// A front, read under the flag; `keep` writes it back.
#[derive(Debug)]
#[must_use]
pub(super) struct Front {
    /// Of the list; null when it is empty.
    oldest: *mut Node,
    /// Of the front; null when it is empty.
    last: *mut Node,
    /// What all of it takes.
    takes: usize,
}

impl Front {
    /// Reads it. O(1), amortized over registrations.
    ///
    /// # Safety
    /// (a) all waits of this list are for `stock`, and nobody was taken out of the front but after `leave`.
    #[cfg_attr(feature = "std", inline(always))]
    pub(super) unsafe fn of<L: Lender + ?Sized>(held: &mut Held<'_>, stock: &L) -> Self {
        let oldest = held.oldest();
        if oldest.is_null() {
            return Self { oldest, last: oldest, takes: 0 };
        }
        // SAFETY: I2: linked, flag held.
        let last = unsafe { at(oldest) }.word();
        let takes = if last.is_null() {
            0
        } else if ptr::eq(last, oldest) {
            // SAFETY: (a), I1: linked, and the flag is held.
            unsafe { stock.share(oldest) }
        } else {
            // SAFETY: (a), I9: it has been in the front since it was remembered, so it is linked; flag held.
            unsafe { at(last) }.word().addr().wrapping_sub(1)
        };
        Self { oldest, last, takes }
    }

    /// The only one in line, if it is behind an empty front. O(1).
    #[inline(always)]
    pub(super) fn sole<'h, 'a>(held: &'h mut Held<'a>) -> Option<Head<'h, 'a>> {
        let newest = held.newest();
        if newest.is_null() {
            return None;
        }
        // SAFETY: I2: linked, flag held.
        let node = unsafe { at(newest) };
        (node.older().is_null() && node.has_waker()).then(|| Head::at(held, newest)) // I9
    }

    /// Whether `node`, which is linked, is in the front of its list.
    #[cfg_attr(feature = "std", inline(always))]
    pub(super) fn has(_held: &mut Held<'_>, node: &Node) -> bool {
        !node.word().is_null() // I9
    }

    /// Whether it ends before the elder of `node`, if that, which is linked, has one. So neither is in it, nor is `node` the next.
    #[inline(always)]
    pub(super) fn ends_before_elder(held: &mut Held<'_>, node: &Node) -> bool {
        let elder = node.older();
        // SAFETY: I2: linked, flag held.
        !elder.is_null() && !Self::has(held, node) && !Self::has(held, unsafe { at(elder) })
    }

    /// What all of it takes.
    pub(super) fn takes(&self) -> usize {
        self.takes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last.is_null()
    }

    /// Whether nobody is behind it. So it is in an empty list too, where it does not matter: newcomers take TOLD off.
    #[cfg_attr(feature = "std", inline(always))]
    pub(super) fn reaches_newest(&self, held: &Held<'_>) -> bool {
        ptr::eq(self.last, held.newest())
    }

    /// The first behind it.
    pub(super) fn next<'h, 'a>(&self, held: &'h mut Held<'a>) -> Option<Head<'h, 'a>> {
        if self.is_empty() { held.head() } else { Head::at(held, self.last).next() }
    }

    /// Whether `node` is the first behind it.
    pub(super) fn is_next(&self, _held: &mut Held<'_>, node: &Node) -> bool {
        ptr::eq(node.older(), self.last)
    }

    /// Who is `next` is offered its `share`: it is to be woken. None: it was before, and has not been polled since.
    #[cfg_attr(feature = "std", inline(always))]
    pub(super) fn push(&mut self, next: &mut Head<'_, '_>, share: usize) -> Option<Waker> {
        self.last = next.address();
        self.takes = self.takes.wrapping_add(share);
        next.offer_in_front()
    }

    /// `node`, which is in the front of the list of `oldest`, is about to be taken out, with its `share`. O(1).
    ///
    /// # Safety
    /// (a) `oldest` is the oldest of the list in which `node` is linked, and its links are complete.
    #[cfg_attr(feature = "std", inline(always))]
    pub(super) unsafe fn leave(_held: &mut Held<'_>, oldest: *mut Node, node: &Node, share: usize) {
        // SAFETY: (a), I2: linked, flag held.
        let first = unsafe { at(oldest) };
        let last = first.word();
        if ptr::eq(last, node) {
            if ptr::eq(oldest, node) {
                return; // it was all of the front
            }
            let takes = node.word().wrapping_byte_sub(share);
            first.set_word(node.older());
            if !ptr::eq(oldest, node.older()) {
                // SAFETY: (a), I9: linked, flag held.
                unsafe { at(node.older()) }.set_word(takes);
            }
            return;
        }
        // SAFETY: I9: it has been in the front since it was remembered, so it is linked; flag held.
        let end = unsafe { at(last) };
        end.set_word(end.word().wrapping_byte_sub(share));
        if ptr::eq(oldest, node) {
            // SAFETY: (a), I9: there is a younger one, linked; flag held. It may be the last.
            unsafe { at(node.newer()) }.set_word(last);
        }
    }

    /// `node`, which is in it, came in vain: it is the next to be offered something, and those behind it come after it.
    /// O(those behind it), each of which was offered something before.
    ///
    /// # Safety
    /// (a) all waits of this list are for `stock`.
    #[cold]
    pub(super) unsafe fn cut<L: Lender + ?Sized>(mut self, held: &mut Held<'_>, node: &Node, stock: &L) {
        while !self.is_empty() && Self::has(held, node) {
            // SAFETY: (a), I9: in the front, so it is linked; flag held.
            self.takes = self.takes.wrapping_sub(unsafe { stock.share(self.last) });
            // SAFETY: I2, I9: linked, flag held.
            let last = unsafe { at(self.last) };
            last.set_word(ptr::null_mut());
            self.last = last.older();
        }
        self.keep(held);
    }

    /// I9: writes it back.
    #[cfg_attr(feature = "std", inline(always))]
    pub(super) fn keep(self, _held: &mut Held<'_>) {
        if self.is_empty() {
            return;
        }
        // SAFETY: I2: linked, flag held.
        unsafe { at(self.oldest) }.set_word(self.last);
        if !ptr::eq(self.oldest, self.last) {
            // SAFETY: I2: linked, flag held.
            unsafe { at(self.last) }.set_word(ptr::without_provenance_mut(self.takes.wrapping_add(1)));
        }
    }
}
