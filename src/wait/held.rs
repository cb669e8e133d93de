//! The list flag, held: what its holder may do with the nodes.
#![allow(unsafe_code)]
// The labels are those declared in word.rs.
use core::{fmt, marker::PhantomData, ptr, task::Waker};

use super::{
    front::IN_FRONT,
    future::header_of,
    node::{Node, at, complete, notify, unlink_inner},
    phase::Token,
    side::{Chain, Side},
    word::{Admit, Bits, WaitList, Word},
};
use crate::sys::{LEAN, Mask};

/// The flag is held, interrupts are masked if they have to be: the proof for every access to linked nodes.
///
/// Two words, so that it is moved in two registers: more would go through memory, in other pieces than it was written there.
pub(crate) struct Held<'a> {
    /// The list's address, and marks. Lean code has none: it takes a node out of the word at once, and looks in any case.
    list: *const WaitList,
    /// The word as it was last seen, FLAG in it.
    pub(super) seen: Word,
    mask: Mask,
    _list: PhantomData<&'a WaitList>,
}

/// The newest node of the word was taken out of the list.
const REMOVED: usize = 0b01;
/// What its holder did lets others go on, whom it has to see to.
const OWES: usize = 0b10;
const _: () = assert!(LEAN || align_of::<WaitList>() > REMOVED | OWES);
const _: () = assert!(size_of::<Held<'_>>() == size_of::<[usize; 2]>() || size_of::<Mask>() > 0);

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bits", &self.bits()).finish_non_exhaustive()
    }
}

impl<'a> Held<'a> {
    /// FLAG was just put in the word, which is `seen`.
    #[inline(always)]
    pub(super) fn new(list: &'a WaitList, seen: Word, mask: Mask) -> Self {
        Self { list, seen, mask, _list: PhantomData }
    }

    #[inline(always)]
    pub(super) fn list(&self) -> &'a WaitList {
        let list = if LEAN { self.list } else { self.list.map_addr(|addr| addr & !(REMOVED | OWES)) };
        // SAFETY: `new` has it from a reference that lives as long.
        unsafe { &*list }
    }

    #[inline(always)]
    fn has(&self, mark: usize) -> bool {
        !LEAN && self.list.addr() & mark != 0
    }

    #[inline(always)]
    fn mark(&mut self, mark: usize) {
        if !LEAN {
            self.list = self.list.map_addr(|addr| addr | mark);
        }
    }

    #[inline(always)]
    fn unmark(&mut self, mark: usize) {
        if !LEAN {
            self.list = self.list.map_addr(|addr| addr & !mark);
        }
    }

    /// The word was exchanged, and no removed node is in it.
    #[inline(always)]
    pub(super) fn exchanged(&mut self, to: Word) {
        self.seen = to;
        self.unmark(REMOVED);
    }

    /// The primitive's bits as last seen.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn bits(&self) -> Bits {
        self.seen.bits().without(Bits::FLAG)
    }

    /// The newest node, null if there is none.
    #[cfg_attr(feature = "std", inline(always))]
    pub(super) fn newest(&self) -> *mut Node {
        let newest = self.seen.node();
        // SAFETY: I1, I2: the removed node is valid and in place until the word is exchanged; the flag is held.
        if self.has(REMOVED) { unsafe { at(newest) }.older() } else { newest }
    }

    /// The oldest node, null if there is none. Completes the links: amortized O(1).
    #[cfg_attr(feature = "std", inline(always))]
    pub(super) fn oldest(&mut self) -> *mut Node {
        let newest = self.newest();
        // SAFETY: I4: `newest` heads this list and the flag is held.
        if newest.is_null() { newest } else { unsafe { complete(newest) } }
    }

    /// Looks at the word again after a failed compare-and-swap.
    #[cold]
    #[cfg_attr(not(feature = "std"), inline(always))] // little
    pub(super) fn refresh(&mut self, now: Word) {
        let before = core::mem::replace(&mut self.seen, now).node();
        if self.has(REMOVED) && now.node() != before {
            // Somebody was pushed on top of it: now it is an inner node like any other.
            self.unmark(REMOVED);
            // SAFETY: I4: the new newest heads this list, which the removed node is still part of.
            unsafe { complete(now.node()) };
            // SAFETY: I2: flag held; links completed; it is not the newest.
            unsafe { unlink_inner(before, now.node()) };
        }
    }

    /// T4: changes bits and, if a node was taken out of the word, the newest. Keeps FLAG. False: look again.
    #[must_use]
    pub(crate) fn change(&mut self, bits: Bits) -> bool {
        let bits = bits.with(Bits::FLAG);
        let to = if LEAN { self.seen.with_bits(bits) } else { Word::new(self.newest(), bits) };
        match self.list().swap(self.seen, to) {
            Ok(()) => self.exchanged(to),
            Err(now) => {
                self.refresh(now);
                return false;
            }
        }
        true
    }

    /// T4: takes a removed node out of the word at once.
    fn unhook(&mut self) {
        while self.has(REMOVED) && !self.change(self.bits()) {}
    }

    /// T3: lets go of the flag. On failure the word has changed and the flag is still held.
    #[inline]
    pub(crate) fn publish(mut self, bits: Bits) -> Result<Mask, Self> {
        if self.try_publish(bits) { Ok(self.mask) } else { Err(self) }
    }

    /// T3. True: the flag is not held any more, and only the mask is left to look after.
    #[inline(always)]
    fn try_publish(&mut self, bits: Bits) -> bool {
        let to = if LEAN { self.seen.with_bits(bits) } else { Word::new(self.newest(), bits) };
        self.list().swap(self.seen, to).map_err(|now| self.refresh(now)).is_ok()
    }

    /// T3 if nothing is owed, as most often; else gives the flag back.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn let_go_unless(mut self, owes: impl Fn(Bits) -> bool) -> Option<Self> {
        loop {
            let bits = self.bits();
            if owes(bits) {
                return Some(self);
            }
            if self.try_publish(bits) {
                self.mask.leave();
                return None;
            }
        }
    }

    /// What was done lets others go on: `let_go_quietly` gives the flag back.
    pub(crate) fn owe(&mut self) {
        self.mark(OWES);
    }

    /// T3, with `drop` off if nobody waits; gives the flag back if somebody does to whom something is owed, or who `calls`.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn let_go_quietly(mut self, calls: Bits, drop: Bits) -> Option<Self> {
        loop {
            let (bits, empty) = (self.bits(), self.newest().is_null());
            if !empty && (LEAN || self.has(OWES) || bits.has(calls)) {
                return Some(self);
            }
            if self.try_publish(if empty { bits.without(drop) } else { bits }) {
                self.mask.leave();
                return None;
            }
        }
    }

    /// T3 without a change to the bits, by somebody to whom what they owe is left. Interrupts stay masked.
    pub(crate) fn let_go(mut self) -> Mask {
        while !self.try_publish(self.bits()) {}
        self.mask
    }

    /// Takes a linked node out of the list, or out of `side`. O(1), amortized over registrations.
    ///
    /// # Safety
    /// (a) `node` is linked in one of the two, and stays valid until this `Held` has published or `unhook` was called.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) unsafe fn remove(&mut self, node: &Node, side: Option<&Side>) {
        let me = ptr::from_ref(node).cast_mut();
        if LEAN {
            // An inner node is the same in both lists, but for who remembers the oldest.
            return match side {
                Some(side) if ptr::eq(side.newest(), me) || (node.older().is_null() && !ptr::eq(self.oldest(), me)) => {
                    // SAFETY: (a): it is that list's newest, or its oldest.
                    unsafe { side.unlink(self, me) }
                }
                // SAFETY: (a).
                _ => unsafe { self.remove_at_once(me) },
            };
        }
        if ptr::eq(self.newest(), me) {
            debug_assert!(!self.has(REMOVED));
            let (older, oldest) = node.links(|l| (l.older, core::mem::replace(&mut l.newer, ptr::null_mut())));
            if !oldest.is_null() && !older.is_null() {
                // SAFETY: I2: linked, flag held.
                unsafe { at(older) }.links(|l| l.newer = oldest);
            }
            self.mark(REMOVED);
            return;
        }
        // SAFETY: (a).
        unsafe { self.remove_inner(me, side) }
    }

    /// As `remove`; the node is out of the word too (T4).
    ///
    /// # Safety
    /// (a) as for [`Held::remove`], and it is not the newest or the oldest of another list.
    #[cfg_attr(not(feature = "std"), inline(never))]
    unsafe fn remove_at_once(&mut self, me: *mut Node) {
        loop {
            self.oldest(); // completes
            let newest = self.newest();
            // SAFETY: (a).
            let (older, newer) = unsafe { at(me) }.links(|l| (l.older, l.newer));
            if !ptr::eq(newest, me) {
                // SAFETY: (a), I2: flag held; links completed; it is not the newest.
                return unsafe { unlink_inner(me, newest) };
            }
            let to = Word::new(older, self.seen.bits());
            match self.list().swap(self.seen, to) {
                Ok(()) => {
                    self.exchanged(to);
                    if !older.is_null() {
                        // SAFETY: I2: linked, flag held; `newer` is the oldest.
                        unsafe { at(older) }.links(|l| l.newer = newer);
                    }
                    return;
                }
                Err(now) => self.refresh(now),
            }
        }
    }

    /// Takes out a node that is not the newest of the list.
    ///
    /// # Safety
    /// (a) as for [`Held::remove`].
    #[inline(never)]
    unsafe fn remove_inner(&mut self, me: *mut Node, side: Option<&Side>) {
        // SAFETY: (a).
        let node = unsafe { at(me) };
        // Completed: an inner node is the same in both lists, but for who remembers the oldest.
        let oldest = self.oldest();
        let newest = match side {
            Some(side) if ptr::eq(side.newest(), me) => return side.pop_newest(self),
            Some(side) if node.older().is_null() && !ptr::eq(oldest, me) => side.newest(),
            _ => self.newest(),
        };
        // SAFETY: (a), I2: flag held; links completed; it is not the newest.
        unsafe { unlink_inner(me, newest) };
    }

    /// T4: takes what `admit` allows.
    pub(crate) fn take(&mut self, admit: impl Fn(Bits) -> Admit) -> bool {
        loop {
            let Admit::Take(bits) = admit(self.bits()) else { return false };
            if self.change(bits) {
                return true;
            }
        }
    }

    /// Completes the links of newcomers.
    pub(crate) fn complete(&mut self) {
        self.oldest();
    }

    /// The node that is first in line.
    pub(crate) fn head(&mut self) -> Option<Head<'_, 'a>> {
        let node = self.oldest();
        (!node.is_null()).then_some(Head { held: self, node })
    }

    /// T4: takes all nodes out of the word, as a chain. Err: look again.
    pub(crate) fn detach(&mut self, bits: Bits) -> Option<Chain> {
        let newest = self.newest();
        let to = Word::new(ptr::null_mut(), bits.with(Bits::FLAG));
        if let Err(now) = self.list().swap(self.seen, to) {
            self.refresh(now);
            return None;
        }
        self.exchanged(to);
        Some(Chain { newest })
    }
}

/// The first in line, under the flag.
pub(crate) struct Head<'h, 'a> {
    held: &'h mut Held<'a>,
    node: *mut Node,
}

impl<'h, 'a> Head<'h, 'a> {
    /// A node that is linked, with its links completed or alone, and reaches all of its wait.
    #[cfg_attr(feature = "std", inline(always))]
    pub(super) fn at(held: &'h mut Held<'a>, node: *mut Node) -> Self {
        Self { held, node }
    }

    /// The pointer by which it was linked.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn address(&self) -> *mut Node {
        self.node
    }

    #[cfg_attr(feature = "std", inline(always))]
    pub(super) fn node(&self) -> &Node {
        // SAFETY: I1, I2: the oldest is linked, and `held` holds the flag.
        unsafe { at(self.node) }
    }

    /// As `offer`, to the next behind a front, of which it is from here on (I9).
    #[cfg_attr(feature = "std", inline(always))]
    pub(super) fn offer_in_front(&mut self) -> Option<Waker> {
        self.node().take_waker_for(IN_FRONT)
    }

    /// As `offer`, to the only one in line, which is all of the front from here on (I9).
    #[inline(always)]
    pub(super) fn offer_alone(&mut self) -> Option<Waker> {
        self.node().take_waker_for(self.node)
    }

    /// Offers it what it waits for: it is to be woken and keeps its place. None: it was offered before.
    pub(crate) fn offer(&mut self) -> Option<Waker> {
        self.node().take_waker()
    }

    /// Counts that somebody got in before it after it was offered its turn. Saturates.
    pub(crate) fn overtaken(&mut self) {
        if !self.node().has_waker() {
            self.node().count_overtaken();
        }
    }

    /// Whether it was overtaken `limit` times.
    pub(crate) fn is_starved(&self, limit: u8) -> bool {
        self.node().tags().overtaken >= limit
    }

    /// What follows the node in its wait.
    ///
    /// # Safety
    /// (a) all waits of this list have an `X` as their header.
    pub(crate) unsafe fn header<X: Copy>(&self) -> X {
        // SAFETY: (a), I1: linked, and the flag is held.
        unsafe { header_of(self.node) }
    }

    /// The next in line.
    pub(crate) fn next(self) -> Option<Self> {
        let Self { held, node } = self;
        if ptr::eq(held.newest(), node) {
            return None;
        }
        // SAFETY: I1, I2: linked, links completed by `head`, and it is not the newest.
        let node = unsafe { at(node) }.newer();
        Some(Self { held, node })
    }

    /// Hands over, with `token` or what it has: the node is out of the list and Notified. None: it was woken before.
    pub(crate) fn hand_over(self, token: Option<Token>) -> Option<Waker> {
        let Self { held, node } = self;
        held.unhook();
        // SAFETY: I1: linked, and it stays valid until Notified is stored below.
        let this = unsafe { at(node) };
        // SAFETY: I1, I3: linked in this list; it stays valid until Notified is stored.
        unsafe { held.remove(this, None) };
        held.unhook();
        // SAFETY: I5: it is out of the word and in no list, its owner sees Waiting still.
        unsafe { notify(node, token) }
    }
}
