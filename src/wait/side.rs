//! A second list under the same flag, and the walk of a notifier through it.
#![allow(unsafe_code)]
// The labels are those declared in word.rs.
use core::{fmt, ptr, task::Waker};

use super::{
    batch::Batch,
    held::{Head, Held},
    lot::Lot,
    node::{Links, Node, Tags, at, complete, notify, unlink_inner},
    phase::{Phase, Token},
    word::Word,
};
use crate::sys::{
    atomic::{AtomicPtr, Ordering::*},
    const_fn,
};

/// Nodes taken out of the word together.
#[derive(Debug)]
#[must_use]
pub(crate) struct Chain {
    pub(super) newest: *mut Node,
}

impl Chain {
    /// Notifies the node if it is the only one; else gives the chain back.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn notify_sole(self, _held: &mut Held<'_>, token: Token) -> Result<Option<Waker>, Self> {
        // SAFETY: I2: taken out of the word as a whole, flag held; a chain that was in the word is not empty.
        if !unsafe { at(self.newest) }.older().is_null() {
            return Err(self);
        }
        // SAFETY: taken out under the flag; I5: the word is empty of it.
        Ok(unsafe { notify(self.newest, Some(token)) })
    }
}

/// A second list of nodes under the flag of a [`WaitList`]. Its links are always complete.
pub(crate) struct Side {
    newest: AtomicPtr<Node>,
}

impl core::panic::UnwindSafe for Side {}
impl core::panic::RefUnwindSafe for Side {}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").field("waiters", &!self.is_empty()).finish()
    }
}

impl Side {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { newest: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    pub(super) fn newest(&self) -> *mut Node {
        self.newest.load(Relaxed) // ORDER: relaxed: written under the flag, or a hint
    }

    fn set_newest(&self, node: *mut Node) {
        self.newest.store(node, Relaxed); // ORDER: relaxed: under the flag, E2 carries it
    }

    /// Whether it is empty: exact under the flag, a hint without.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn is_empty(&self) -> bool {
        self.newest().is_null()
    }

    /// Appends a chain.
    pub(crate) fn append(&self, _held: &mut Held<'_>, chain: Chain) {
        if chain.newest.is_null() {
            return;
        }
        // SAFETY: I2, I4: the chain was taken out of the word as a whole; the flag is held.
        let oldest = unsafe { complete(chain.newest) };
        let last = self.newest();
        if !last.is_null() {
            // SAFETY: I2: linked, flag held.
            let first = unsafe { at(last) }.links(|l| core::mem::replace(&mut l.newer, oldest));
            // SAFETY: I2: linked, flag held.
            unsafe { at(oldest) }.links(|l| l.older = last);
            // SAFETY: I2: linked, flag held.
            unsafe { at(chain.newest) }.links(|l| l.newer = first);
        }
        self.set_newest(chain.newest);
    }

    /// Links a node that is in no list, with its waker; `asks`: it waits for a predicate.
    ///
    /// # Safety
    /// (a) as for [`WaitList::enroll`].
    pub(crate) unsafe fn link(&self, _held: &mut Held<'_>, me: *mut Node, waker: Waker, asks: bool) {
        // SAFETY: (a).
        let node = unsafe { at(me) };
        let last = self.newest();
        let first = if last.is_null() {
            me
        } else {
            // SAFETY: I2: linked, flag held.
            unsafe { at(last) }.links(|l| core::mem::replace(&mut l.newer, me))
        };
        node.put_waker(waker);
        node.links(|l| *l = Links { older: last, newer: first });
        node.set_tags(Tags { asks, aside: true, ..Tags::NONE });
        node.alone.set(false);
        node.set_phase(Phase::WAITING);
        self.set_newest(me);
    }

    /// Takes out the newest.
    pub(super) fn pop_newest(&self, _held: &mut Held<'_>) {
        // SAFETY: I2: the newest is linked, flag held.
        let (older, oldest) = unsafe { at(self.newest()) }.links(|l| (l.older, l.newer));
        if !older.is_null() {
            // SAFETY: I2: linked, flag held.
            unsafe { at(older) }.links(|l| l.newer = oldest);
        }
        self.set_newest(older);
    }

    /// Takes out a linked node.
    ///
    /// # Safety
    /// (a) `node` is linked in this list.
    pub(super) unsafe fn unlink(&self, held: &mut Held<'_>, node: *mut Node) {
        let newest = self.newest();
        if ptr::eq(newest, node) {
            self.pop_newest(held);
        } else {
            // SAFETY: (a), I2: links are complete, and it is not the newest.
            unsafe { unlink_inner(node, newest) };
        }
    }

    /// Notifies from the oldest on until the batch is full. True: somebody is left.
    pub(crate) fn notify_batch(&self, held: &mut Held<'_>, batch: &mut Batch, token: Token) -> bool {
        self.notify_each(held, batch, |node| node.set_token(token))
    }

    /// Instead of a list of its own: marks all who were in the word's list when it was last seen, by the newest of them.
    pub(crate) fn mark(&self, held: &mut Held<'_>) {
        self.set_newest(held.seen.node());
    }

    /// A node of the word's list is about to be taken out: if it was the newest with a mark, its elder is from here on.
    #[inline(always)]
    pub(crate) fn unmark(&self, _held: &mut Held<'_>, node: &Node) {
        if ptr::eq(self.newest(), node) {
            self.set_newest(node.older());
        }
    }

    /// Notifies the oldest of those with a mark, if there is one and `batch` has room.
    #[inline(always)]
    pub(crate) fn notify_oldest(&self, held: &mut Held<'_>, batch: &mut Batch, token: Token) -> bool {
        if self.is_empty() || batch.is_full() {
            return false;
        }
        let oldest = held.oldest();
        // SAFETY: I2: the newest with a mark is linked, so there is an oldest; flag held.
        self.unmark(held, unsafe { at(oldest) });
        batch.extend(Head::at(held, oldest).hand_over(Some(token)));
        true
    }

    /// As `notify_batch`; `tell` leaves each what it is to find.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn notify_each(&self, _held: &mut Held<'_>, batch: &mut Batch, mut tell: impl FnMut(&Node)) -> bool {
        let newest = self.newest();
        if newest.is_null() {
            return false;
        }
        // SAFETY: I2: linked, flag held.
        let mut node = unsafe { at(newest) }.newer();
        // The links are mended once for the whole batch: nobody else looks at them before.
        while !batch.is_full() {
            // SAFETY: I2: linked, flag held.
            let this = unsafe { at(node) };
            let next = this.newer();
            tell(this);
            // SAFETY: I5: nodes of a side list are not in the word; it is out of the list from here on.
            batch.extend(unsafe { notify(node, None) });
            if ptr::eq(node, newest) {
                self.set_newest(ptr::null_mut());
                return false;
            }
            node = next;
        }
        // SAFETY: I2: linked, flag held.
        unsafe { at(node) }.links(|l| l.older = ptr::null_mut());
        // SAFETY: I2: linked, flag held.
        unsafe { at(newest) }.links(|l| l.newer = node);
        true
    }
}

/// Behind the last node of a walk that has not ended.
const END: *mut Node = ptr::without_provenance_mut(1);

/// Where a notifier stands on its way through a [`Side`]: a node, END behind the last, null when nobody walks.
///
/// Written under the flag; or by the walker, while it has a lot out (I8).
pub(crate) struct Walk {
    at: AtomicPtr<Node>,
}

impl Walk {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { at: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    fn node(&self) -> *mut Node {
        self.at.load(Relaxed) // ORDER: relaxed: under the flag, E2 carries it
    }

    fn set(&self, node: *mut Node) {
        // ORDER: relaxed: under the flag, E2 carries it; or by the walker, whose next RMW of the word does
        self.at.store(node, Relaxed);
    }

    /// Whether somebody walks.
    pub(crate) fn is_active(&self, _held: &mut Held<'_>) -> bool {
        !self.node().is_null()
    }

    /// Begins at the oldest.
    pub(crate) fn begin(&self, _held: &mut Held<'_>, side: &Side) {
        let newest = side.newest();
        // SAFETY: I2: linked, flag held.
        self.set(if newest.is_null() { END } else { unsafe { at(newest) }.newer() });
    }

    /// Ends before the last.
    pub(crate) fn end(&self, _held: &mut Held<'_>) {
        self.set(ptr::null_mut());
    }

    /// Goes on to the next younger node.
    fn advance(&self, side: &Side) {
        self.go_behind(self.node(), side);
    }

    fn go_behind(&self, node: *mut Node, side: &Side) {
        // SAFETY: I2: the node is linked in that list, flag held.
        self.set(if ptr::eq(node, side.newest()) { END } else { unsafe { at(node) }.newer() });
    }

    /// A node is about to be taken out by its owner: do not stand on it.
    pub(crate) fn avoid(&self, _held: &mut Held<'_>, side: &Side, node: &Node) {
        if ptr::eq(self.node(), node) {
            self.advance(side);
        }
    }

    /// What to do with the node on which the walk stands; None at the end.
    pub(crate) fn look(&self, _held: &mut Held<'_>) -> Option<Found> {
        let node = self.node();
        if ptr::eq(node, END) {
            return None;
        }
        // SAFETY: I2: the walk stands on a linked node, flag held.
        Some(Found::of(unsafe { at(node) }))
    }

    /// Claims the node on which the walk stands, which asks, and those behind it that ask too, `most` in all. From here on the
    /// flag may be let go.
    pub(crate) fn claim(&self, _held: &mut Held<'_>, side: &Side, lot: &Lot, most: usize) {
        let newest = side.newest();
        lot.claim(self.node(), most, |node| {
            if ptr::eq(node, newest) {
                return None;
            }
            // SAFETY: I2: linked, flag held.
            let next = unsafe { at(node) }.newer();
            // SAFETY: I2: linked, flag held.
            matches!(Found::of(unsafe { at(next) }), Found::Asks).then_some(next)
        });
        self.set(END); // I8
    }

    /// Gives a lot back whose predicates were run, and goes on behind the last of them. The satisfied get in the word's list
    /// with `token`; says how many.
    pub(crate) fn give_back(&self, held: &mut Held<'_>, side: &Side, lot: &Lot, token: Token) -> usize {
        self.go_behind(lot.last(), side);
        let mut movers = Movers::new();
        lot.give_back(token, |node, token| movers.add(held, side, node, token));
        movers.join(held);
        lot.satisfied()
    }

    /// Gives a lot back and ends the walk, without the flag.
    pub(crate) fn abandon(&self, lot: &Lot) {
        self.set(ptr::null_mut()); // I8: nobody else has moved it
        lot.give_up();
    }

    /// Moves the node to the end of the word's list, with `token`, and goes on.
    pub(crate) fn requeue(&self, held: &mut Held<'_>, side: &Side, token: Token) {
        let node = self.node();
        self.advance(side);
        let mut movers = Movers::new();
        movers.add(held, side, node, token);
        movers.join(held);
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").finish_non_exhaustive()
    }
}

/// A node on a walk.
#[derive(Debug)]
pub(crate) enum Found {
    /// Any notification will do.
    Plain,
    /// Its predicate panicked, in a walk that could not go on.
    Panicked,
    /// Another notifier, whose walk could not go on, is about to give it back.
    Busy,
    /// Its predicate decides.
    Asks,
}

impl Found {
    /// What a linked node is, the flag being held.
    #[cfg_attr(feature = "std", inline(always))]
    fn of(node: &Node) -> Self {
        if node.phase() == Phase::CLAIMED {
            return Self::Busy; // E3 acquire otherwise: what the last claimer did is seen
        }
        let tags = node.tags();
        match tags.token {
            _ if !tags.asks => Self::Plain,
            Token::Panicked => Self::Panicked,
            _ => Self::Asks,
        }
    }
}

/// Nodes on their way from a side list to the end of the word's, under one hold of the flag.
struct Movers {
    first: *mut Node,
    last: *mut Node,
}

impl Movers {
    fn new() -> Self {
        Self { first: ptr::null_mut(), last: ptr::null_mut() }
    }

    /// Takes a node of `side`, with `token`.
    fn add(&mut self, held: &mut Held<'_>, side: &Side, node: *mut Node, token: Token) {
        // SAFETY: I4: the walk has come by it in this side list.
        unsafe { side.unlink(held, node) };
        // SAFETY: I1: its owner takes it out under the flag only, which is held.
        let this = unsafe { at(node) };
        this.set_tags(Tags { token, asks: this.tags().asks, ..Tags::NONE });
        this.links(|l| (l.older, l.newer) = (self.last, ptr::null_mut()));
        if self.first.is_null() {
            self.first = node;
        }
        self.last = node;
    }

    /// T4: puts them in the word.
    fn join(self, held: &mut Held<'_>) {
        while !self.first.is_null() {
            let newest = held.newest();
            // SAFETY: I1: as in `add`.
            unsafe { at(self.first) }.links(|l| l.older = newest);
            let to = Word::new(self.last, held.seen.bits());
            match held.list().swap(held.seen, to) {
                Ok(()) => return held.exchanged(to),
                Err(now) => held.refresh(now),
            }
        }
    }
}
