//! The wait list's word: its state, the flag, registering, and letting go.
//!
//! A [`WaitList`] is one word: the newest node's address, the list flag, and three bits of its primitive's state. A newcomer
//! pushes itself with one compare-and-swap and links only towards its elder (as WordLock of parking_lot does); whoever next
//! takes the flag completes the links the other way. A `Side` is a second list under the same flag: nodes that are about
//! to be woken (Event) or wait for something else than the word (Condition).
#![allow(unsafe_code)]
// STATE       word: node address | bit 0 FLAG (somebody works on the lists) | bits 1-3 the primitive's
//             older / newer: neighbours; newest.newer is the oldest once completed, null before; oldest.older is null
//                 T1 push      w -> me | bits, me.older = node(w); needs no flag
//                 T2 hold      w -> w | FLAG                        T3 publish  w -> newest | bits (FLAG off)
//                 T4 change    bits, or the newest node, under FLAG T5 leave    me | bits -> null | new bits, if pushed alone
//             Lean code (`sys::LEAN`) has fewer ways: no T5, no look without FLAG (I10), T4 for each node that leaves the word.
// INVARIANTS  I1 a linked node is valid and stays where it is until it is unlinked: its future unlinks it before it dies.
//             I2 links, wakers and tags of linked nodes are touched only by the holder of FLAG (`&mut Held`), but for I10; a
//                node's owner may touch them while the node is in no list.
//             I3 a node's phase leaves Waiting only under FLAG, and comes back to it from Claimed with or without; storing
//                Notified is the notifier's last access to the node.
//             I4 the node in the word was linked by its push; all nodes are reached from it through `older`.
//             I5 a foreign node is out of the word before Notified is stored, so no pusher links to a node that may be gone.
//             I6 whoever lets go of FLAG has first done what the state owes; who finds FLAG taken leaves its part in the word.
//             I7 a Claimed node is linked, and in one lot, on its notifier's stack. The notifier gives it back; or its owner
//                does, from within a predicate of another node that this notifier runs: all such lots of more than one node
//                are in this thread's chain, for as long as they run.
//             I8 a walk whose lot is out, with FLAG let go, stands on no node: nobody but its walker moves or ends it.
//             I9 the nodes that have a word in the place of their wakers are the oldest, in a row: the front. The first of
//                them has the address of the last; the last, if it is another, has what all of them take, and one. Until
//                the line is closed, which is when they go one by one.
//             I10 a node's waker is put there by its owner alone, and taken out, under FLAG, by who is about to wake it. So an owner
//                that finds it there, having seen all that was done under FLAG until then, has not been told of anything. Its two
//                halves are taken table first, and looked at data first.
// EDGES       E1 T1 (release) -> T2 (acquire): the holder sees the links, waker and tags of every pushed node.
//             E2 T3 (release) -> T2 (acquire): one holder sees what the last one did.
//             E3 Notified (release) -> owner's load (acquire): the owner sees its token, and the notifier is done with the node.
//             E4 data written over a waker's (release) -> owner's look (acquire): the owner sees that the table is gone.
use core::{fmt, ptr, task::Waker};

use super::{
    batch::Batch,
    held::Held,
    node::{Node, at},
    phase::Phase,
    side::Chain,
};
use crate::sys::{
    self, LEAN, Mask, Panics, Spin,
    atomic::{AtomicPtr, Ordering::*},
    const_fn,
};

/// The bits of a word beside the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits(usize);

impl Bits {
    pub(super) const FLAG: Self = Self(1);
    pub(super) const MASK: usize = 0b1111;
    pub(crate) const NONE: Self = Self(0);

    /// The primitive's own bit number `n`, 0 to 2.
    pub(crate) const fn own(n: usize) -> Self {
        assert!(n < 3);
        Self(2 << n)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// The content of a [`WaitList`]'s word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(*mut Node);

impl Word {
    /// The word of a list without nodes.
    pub(crate) const fn empty(bits: Bits) -> Self {
        Self(ptr::without_provenance_mut(bits.0))
    }

    #[inline(always)]
    pub(super) fn new(node: *mut Node, bits: Bits) -> Self {
        Self(node.map_addr(|addr| addr | bits.0))
    }

    #[inline(always)]
    pub(super) fn node(self) -> *mut Node {
        self.0.map_addr(|addr| addr & !Bits::MASK)
    }

    #[inline(always)]
    pub(crate) fn bits(self) -> Bits {
        Bits(self.0.addr() & Bits::MASK)
    }

    /// The same node, other bits.
    #[inline(always)]
    pub(super) fn with_bits(self, bits: Bits) -> Self {
        Self(self.0.map_addr(|addr| addr & !Bits::MASK | bits.0))
    }

    /// Whether no node is in the list.
    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        self.0.addr() & !Bits::MASK == 0
    }

    /// Whether somebody holds the flag.
    #[inline(always)]
    pub(crate) fn is_held(self) -> bool {
        self.bits().has(Bits::FLAG)
    }
}

/// What a newcomer may do in some state of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admit {
    /// Take it; these are the bits afterwards.
    Take(Bits),
    /// Get in line.
    Wait,
    /// Look again in a moment: the holder of the flag is about to serve everybody who waits now.
    Pause,
}

/// Waiters of one primitive and three bits of its state, in one word.
pub(crate) struct WaitList {
    word: AtomicPtr<Node>,
}

impl WaitList {
    const_fn! {
        /// An empty list in state `bits`.
        pub(crate) const fn new(bits: Bits) -> Self {
            Self { word: AtomicPtr::new(Word::empty(bits).0) }
        }
    }

    /// The word now; what was written before its bits were set is seen.
    #[inline(always)]
    pub(crate) fn load(&self) -> Word {
        Word(self.word.load(Acquire)) // ORDER: E2 acquire
    }

    /// The word now, as a guess for a compare-and-swap.
    #[inline(always)]
    pub(crate) fn guess(&self) -> Word {
        Word(self.word.load(Relaxed)) // ORDER: relaxed: only a guess, checked by compare-and-swap
    }

    /// Changes the bits of an unchanged word (T4 without the flag: a primitive's own transition).
    #[inline(always)]
    pub(crate) fn try_change(&self, from: Word, bits: Bits) -> Result<(), Word> {
        self.swap(from, from.with_bits(bits))
    }

    /// Whether the word is that one and nobody holds the flag; what was done under it before is seen then. One RMW.
    #[inline(always)]
    pub(super) fn is_still(&self, word: Word) -> bool {
        !word.is_held() && self.swap(word, word).is_ok()
    }

    #[cfg_attr(feature = "std", inline(always))]
    #[cfg_attr(not(feature = "std"), inline(never))] // smaller
    pub(super) fn swap(&self, from: Word, to: Word) -> Result<(), Word> {
        // ORDER: E2 release and acquire: every RMW of the word goes both ways, so no edge is broken by one in between
        self.word.compare_exchange(from.0, to.0, AcqRel, Acquire).map(drop).map_err(Word)
    }

    /// T2 on an unchanged, unheld word, which also gets new bits.
    #[inline(always)]
    pub(crate) fn try_hold(&self, from: Word, bits: Bits) -> Result<Held<'_>, Word> {
        self.try_hold_masked(from, bits, Mask::enter()).map_err(|(now, _)| now)
    }

    #[inline(always)]
    fn try_hold_masked(&self, from: Word, bits: Bits, mask: Mask) -> Result<Held<'_>, (Word, Mask)> {
        debug_assert!(!from.is_held());
        let to = from.with_bits(bits.with(Bits::FLAG));
        if let Err(now) = self.swap(from, to) {
            return Err((now, mask));
        }
        sys::pause_point();
        Ok(Held::new(self, to, mask))
    }

    /// T2 on an unchanged, unheld word, which gets new bits and from which all nodes are taken.
    #[inline(always)]
    pub(crate) fn try_detach(&self, from: Word, bits: Bits) -> Result<(Held<'_>, Chain), Word> {
        debug_assert!(!from.is_held());
        let mask = Mask::enter();
        let to = Word::new(ptr::null_mut(), bits.with(Bits::FLAG));
        self.swap(from, to)?;
        sys::pause_point();
        Ok((Held::new(self, to, mask), Chain { newest: from.node() }))
    }

    /// T2 unless somebody else holds the flag, who then does what there is to do (I6).
    #[cfg_attr(feature = "std", inline)]
    #[cfg_attr(not(feature = "std"), inline(never))] // smaller
    pub(crate) fn hold_if_free(&self) -> Option<Held<'_>> {
        let mut word = self.guess();
        loop {
            if word.is_held() {
                return None;
            }
            match self.try_hold(word, word.bits()) {
                Ok(held) => return Some(held),
                Err(now) => word = now,
            }
        }
    }

    /// As [`hold_if_free`](WaitList::hold_if_free), in the masked section that goes on.
    pub(crate) fn retake(&self, mut mask: Mask) -> Option<Held<'_>> {
        let mut word = self.guess();
        while !word.is_held() {
            match self.try_hold_masked(word, word.bits(), mask) {
                Ok(held) => return Some(held),
                Err((now, back)) => (word, mask) = (now, back),
            }
        }
        None
    }

    /// T2; waits for another holder's section to end. For registering, polling again and cancelling, not for signalling (but for
    /// the next masked section of a walk, whose holders cannot be stopped).
    #[cfg_attr(feature = "std", inline)]
    #[cfg_attr(not(feature = "std"), inline(never))] // smaller
    pub(crate) fn hold(&self) -> Held<'_> {
        self.hold_if_free().unwrap_or_else(|| self.hold_soon())
    }

    #[cold]
    #[cfg_attr(not(feature = "std"), inline(always))] // smaller
    fn hold_soon(&self) -> Held<'_> {
        let spin = Spin::new();
        loop {
            spin.pause();
            if let Some(held) = self.hold_if_free() {
                return held;
            }
        }
    }

    /// T1: takes what `admit` allows, or gets `me` in line with `waker`, the bits `without` off. Says whether it was taken;
    /// then it is Notified.
    ///
    /// # Safety
    /// (a) `me` is Idle, stays valid and in place until it is in no list again, and (b) is aligned for [`Bits`].
    #[inline]
    pub(crate) unsafe fn enroll(
        &self,
        mut word: Word,
        me: *mut Node,
        waker: Waker,
        without: Bits,
        admit: impl Fn(Bits) -> Admit,
    ) -> bool {
        // SAFETY: (a).
        let node = unsafe { at(me) };
        debug_assert_eq!(me.addr() & Bits::MASK, 0);
        node.put_waker(waker);
        let spin = Spin::new();
        loop {
            let to = match admit(word.bits()) {
                Admit::Take(bits) => word.with_bits(bits),
                Admit::Pause => {
                    spin.pause();
                    word = self.load();
                    continue;
                }
                Admit::Wait => {
                    node.links(|l| l.older = word.node());
                    node.go(Phase::WAITING); // published by the push, E1
                    node.alone.set(word.is_empty());
                    Word::new(me, word.bits().without(without))
                }
            };
            // A state that takes without changing anything (an event that is set) needs no RMW: E2 acquire was the load.
            match if to == word { Ok(()) } else { self.swap(word, to) } {
                Ok(()) if to.node() == me => return false,
                Ok(()) => {
                    node.go(Phase::NOTIFIED);
                    return true;
                }
                Err(now) => word = now,
            }
        }
    }

    /// Whether `node` was pushed on an empty list and was still alone in `word`, and nobody held the flag.
    #[inline(always)]
    pub(crate) fn was_alone(word: Word, node: &Node) -> bool {
        // Nothing can get in front of a node that was pushed alone: if it is the newest, it is the only one.
        node.alone.get() && ptr::eq(word.node(), node) && !word.is_held()
    }

    /// T5: takes out the only node of `word`, and leaves `bits` behind. One RMW.
    #[inline(always)]
    pub(crate) fn try_empty(&self, word: Word, bits: Bits) -> bool {
        self.swap(word, Word::new(ptr::null_mut(), bits)).is_ok()
    }

    /// T5, if `node` is [alone](WaitList::was_alone), and `then` gives bits to leave behind.
    #[inline]
    pub(crate) fn try_leave(&self, node: &Node, then: impl FnOnce(Bits) -> Option<Bits>) -> bool {
        let word = self.guess();
        Self::was_alone(word, node) && then(word.bits()).is_some_and(|bits| self.try_empty(word, bits))
    }

    /// Lets go of the flag when `step` says that nothing is owed any more (I6), and wakes outside it.
    ///
    /// `step` sees the state, moves nodes, fills the batch, which begins with `first`, and says which bits to leave behind.
    #[inline(always)]
    pub(crate) fn settle<'a>(
        &'a self,
        held: Held<'a>,
        first: Option<Waker>,
        mut step: impl FnMut(&mut Held<'a>, &mut Batch) -> Step,
    ) {
        if !LEAN {
            self.settle_by(held, first, step);
        } else {
            let step: &mut dyn FnMut(&mut Held<'a>, &mut Batch) -> Step = &mut step; // one for all primitives: smaller
            self.settle_by(held, first, step);
        }
    }

    #[cold]
    #[inline(never)]
    fn settle_by<'a>(
        &'a self,
        held: Held<'a>,
        first: Option<Waker>,
        mut step: impl FnMut(&mut Held<'a>, &mut Batch) -> Step,
    ) {
        let mut batch = Batch::new();
        batch.extend(first);
        let mut now = held;
        loop {
            let (bits, more) = match step(&mut now, &mut batch) {
                Step::Again => continue,
                Step::LetGo(bits) => (bits, false),
                Step::Pass(bits) => (bits, true),
            };
            match now.publish(bits) {
                Ok(mask) => mask.leave(),
                Err(again) => {
                    now = again;
                    continue;
                }
            }
            if !more {
                return batch.wake();
            }
            let rest = Rest { list: self, step: &mut step };
            batch.wake();
            core::mem::forget(rest);
            match self.hold_if_free() {
                Some(held) => now = held,
                None => return,
            }
        }
    }
}

/// Goes on with a walk when a waker panics.
struct Rest<'l, 's, F: FnMut(&mut Held<'l>, &mut Batch) -> Step> {
    list: &'l WaitList,
    step: &'s mut F,
}

impl<'l, F: FnMut(&mut Held<'l>, &mut Batch) -> Step> Drop for Rest<'l, '_, F> {
    fn drop(&mut self) {
        if let Some(held) = self.list.hold_if_free() {
            let step: &mut dyn FnMut(&mut Held<'l>, &mut Batch) -> Step = self.step;
            // A second panic must not leave a drop that the first one runs.
            let mut panics = Panics::new();
            panics.catch(|| self.list.settle_by(held, None, step));
            panics.resume();
        }
    }
}

/// What a step of [`WaitList::settle`] decided.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The word was changed or found changed: ask again.
    Again,
    /// Nothing is owed in this state: leave these bits.
    LetGo(Bits),
    /// Leave these bits, wake the batch, and come back: more is owed.
    Pass(Bits),
}

// A panic in foreign code leaves every list in order.
impl core::panic::UnwindSafe for WaitList {}
impl core::panic::RefUnwindSafe for WaitList {}

impl fmt::Debug for WaitList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.guess();
        f.debug_struct("WaitList").field("waiters", &!word.is_empty()).field("bits", &word.bits()).finish()
    }
}
