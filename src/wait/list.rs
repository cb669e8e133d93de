//! The wait list: one word, one flag, one intrusive FIFO; the only pointer code in the crate.
//!
//! A [`WaitList`] is one word: the newest node's address, the list flag, and three bits of its primitive's state. A newcomer
//! pushes itself with one compare-and-swap and links only towards its elder (as WordLock of parking_lot does); whoever next
//! takes the flag completes the links the other way. A [`Side`] is a second list under the same flag: nodes that are about
//! to be woken (Event) or wait for something else than the word (Condition).
#![allow(unsafe_code)]
// STATE       word: node address | bit 0 FLAG (somebody works on the lists) | bits 1-3 the primitive's
//             older / newer: neighbours; newest.newer is the oldest once completed, null before; oldest.older is null
//                 T1 push      w -> me | bits, me.older = node(w); needs no flag
//                 T2 hold      w -> w | FLAG                        T3 publish  w -> newest | bits (FLAG off)
//                 T4 change    bits, or the newest node, under FLAG T5 leave    me | bits -> null | bits, if pushed alone
// INVARIANTS  I1 a linked node is valid and stays where it is until it is unlinked: its future unlinks it before it dies.
//             I2 links, wakers and tags of linked nodes are touched only by the holder of FLAG (`&mut Held`); a node's
//                owner may touch them while the node is in no list.
//             I3 a node's phase leaves Waiting only under FLAG (and comes back to it from Claimed with or without); storing Notified is the notifier's last access to it.
//             I4 the node in the word was linked by its push; all nodes are reached from it through `older`.
//             I5 a foreign node is out of the word before Notified is stored, so no pusher links to a node that may be gone.
//             I6 whoever lets go of FLAG has first done what the state owes; who finds FLAG taken leaves its part in the word.
// EDGES       E1 T1 (release) -> T2 (acquire): the holder sees the links, waker and tags of every pushed node.
//             E2 T3 (release) -> T2 (acquire): one holder sees what the last one did.
//             E3 Notified (release) -> owner's load (acquire): the owner sees its token, and the notifier is done with the node.
use core::{cell::Cell, fmt, ptr, task::Waker};

use super::{
    batch::Batch,
    phase::{Phase, Token},
};
use crate::sys::{
    self, Mask, Spin,
    atomic::{AtomicPtr, AtomicU8, Ordering::*},
    cell::UnsafeCell,
    const_fn,
};

/// The bits of a word beside the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits(usize);

impl Bits {
    const FLAG: Self = Self(1);
    const MASK: usize = 0b1111;
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
    #[inline(always)]
    fn new(node: *mut Node, bits: Bits) -> Self {
        Self(node.map_addr(|addr| addr | bits.0))
    }

    #[inline(always)]
    fn node(self) -> *mut Node {
        self.0.map_addr(|addr| addr & !Bits::MASK)
    }

    #[inline(always)]
    pub(crate) fn bits(self) -> Bits {
        Bits(self.0.addr() & Bits::MASK)
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

struct Links {
    older: *mut Node,
    newer: *mut Node,
    waker: Option<Waker>,
}

#[derive(Clone, Copy)]
struct Tags {
    token: Token,
    overtaken: u8,
    /// It waits for a predicate, which a notifier has to run.
    asks: bool,
}

/// One waiter; the first field of every wait future.
pub(crate) struct Node {
    links: UnsafeCell<Links>,
    tags: UnsafeCell<Tags>,
    phase: AtomicU8,
    alone: Cell<bool>,
    holding: Cell<bool>,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self {
            links: UnsafeCell::new(Links { older: ptr::null_mut(), newer: ptr::null_mut(), waker: None }),
            tags: UnsafeCell::new(Tags { token: Token::None, overtaken: 0, asks: false }),
            phase: AtomicU8::new(Phase::Idle as u8),
            alone: Cell::new(false),
            holding: Cell::new(false),
        }
    }

    /// Where the wait stands.
    #[inline(always)]
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Acquire) {
            // ORDER: E3 acquire
            0 => Phase::Idle,
            1 => Phase::Waiting,
            2 => Phase::Claimed,
            3 => Phase::Notified,
            _ => Phase::Done,
        }
    }

    #[inline(always)]
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Release); // ORDER: E3 release
    }

    /// A mark of the owner's: it holds the lock that this wait gives up and gets back.
    pub(crate) fn holding(&self) -> &Cell<bool> {
        &self.holding
    }

    fn tags(&self) -> Tags {
        // SAFETY: I2: the caller holds the flag or the node is in no list; the reference ends here.
        self.tags.with(|tags| unsafe { *tags })
    }

    fn set_tags(&self, new: Tags) {
        // SAFETY: I2: as in `tags`.
        self.tags.with_mut(|tags| unsafe { *tags = new })
    }

    fn links<R>(&self, f: impl FnOnce(&mut Links) -> R) -> R {
        // SAFETY: I2: the caller holds the flag or the node is in no list; `f` is this module's and touches one node.
        self.links.with_mut(|links| f(unsafe { &mut *links }))
    }

    fn older(&self) -> *mut Node {
        self.links(|l| l.older)
    }

    fn newer(&self) -> *mut Node {
        self.links(|l| l.newer)
    }

    /// The token of a node that is in no list.
    pub(crate) fn token(&self) -> Token {
        self.tags().token
    }

    /// The waker that is left in a node that is in no list.
    pub(crate) fn retire(&self) -> Option<Waker> {
        self.links(|l| l.waker.take())
    }
}

/// Gives access to a linked node.
///
/// # Safety
/// (a) `node` is linked, and the flag is held for as long as the reference is used.
#[inline(always)]
unsafe fn at<'n>(node: *const Node) -> &'n Node {
    // SAFETY: (a): I1, a linked node is valid and does not move.
    unsafe { &*node }
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
            Self { word: AtomicPtr::new(ptr::without_provenance_mut(bits.0)) }
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
        self.swap(from, Word::new(from.node(), bits))
    }

    #[inline(always)]
    fn swap(&self, from: Word, to: Word) -> Result<(), Word> {
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
        let to = Word::new(from.node(), bits.with(Bits::FLAG));
        if let Err(now) = self.swap(from, to) {
            return Err((now, mask));
        }
        sys::pause_point();
        Ok(Held { list: self, seen: to, removed: ptr::null_mut(), mask })
    }

    /// T2 on an unchanged, unheld word, which gets new bits and from which all nodes are taken.
    #[inline(always)]
    pub(crate) fn try_detach(&self, from: Word, bits: Bits) -> Result<(Held<'_>, Chain), Word> {
        debug_assert!(!from.is_held());
        let mask = Mask::enter();
        let to = Word::new(ptr::null_mut(), bits.with(Bits::FLAG));
        self.swap(from, to)?;
        sys::pause_point();
        Ok((Held { list: self, seen: to, removed: ptr::null_mut(), mask }, Chain { newest: from.node() }))
    }

    /// T2 unless somebody else holds the flag, who then does what there is to do (I6).
    #[inline]
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

    /// T2; waits for another holder's O(1) section to end. For registering and cancelling only, never for signalling.
    #[inline]
    pub(crate) fn hold(&self) -> Held<'_> {
        let spin = Spin::new();
        loop {
            match self.hold_if_free() {
                Some(held) => return held,
                None => spin.pause(),
            }
        }
    }

    /// T1: takes what `admit` allows, or gets `node` in line with `waker`. Says whether it was taken.
    ///
    /// # Safety
    /// (a) `me` is Idle, stays valid and in place until it is in no list again, and (b) is aligned for [`Bits`].
    #[inline]
    pub(crate) unsafe fn enroll(&self, me: *mut Node, waker: Waker, admit: impl Fn(Bits) -> Admit) -> bool {
        // SAFETY: (a).
        let node = unsafe { at(me) };
        debug_assert_eq!(me.addr() & Bits::MASK, 0);
        node.links(|l| l.waker = Some(waker));
        let mut word = self.load();
        let spin = Spin::new();
        loop {
            let to = match admit(word.bits()) {
                Admit::Take(bits) => Word::new(word.node(), bits),
                Admit::Pause => {
                    spin.pause();
                    word = self.load();
                    continue;
                }
                Admit::Wait => {
                    node.links(|l| l.older = word.node());
                    node.phase.store(Phase::Waiting as u8, Relaxed); // ORDER: relaxed: published by the push, E1
                    node.alone.set(word.is_empty());
                    Word::new(me, word.bits())
                }
            };
            // A state that takes without changing anything (an event that is set) needs no RMW: E2 acquire was the load.
            match if to == word { Ok(()) } else { self.swap(word, to) } {
                Ok(()) if to.node() == me => return false,
                Ok(()) => {
                    node.set_phase(Phase::Idle);
                    return true;
                }
                Err(now) => word = now,
            }
        }
    }

    /// T5: takes out a node that was pushed on an empty list and is still alone and unheld. One RMW.
    #[inline]
    pub(crate) fn try_leave(&self, node: &Node) -> bool {
        let word = self.guess();
        // Nothing can get in front of a node that was pushed alone: if it is the newest, it is the only one.
        node.alone.get()
            && ptr::eq(word.node(), node)
            && !word.is_held()
            && self.swap(word, Word::new(ptr::null_mut(), word.bits())).is_ok()
    }

    /// Lets go of the flag when `step` says that nothing is owed any more (I6), and wakes outside it.
    ///
    /// `step` sees the state, moves nodes, fills the batch, and says which bits to leave behind.
    #[inline]
    pub(crate) fn settle<'a>(&'a self, held: Held<'a>, mut step: impl FnMut(&mut Held<'a>, &mut Batch) -> Step) {
        let mut held = Some(held);
        while let Some(mut now) = held.take() {
            let mut batch = Batch::new();
            let more = loop {
                let (bits, more) = match step(&mut now, &mut batch) {
                    Step::Again => continue,
                    Step::LetGo(bits) => (bits, false),
                    Step::Pass(bits) => (bits, true),
                };
                match now.publish(bits) {
                    Ok(_unmasked) => break more,
                    Err(again) => now = again,
                }
            };
            if more {
                let rest = Rest { list: self, step: &mut step };
                batch.wake();
                core::mem::forget(rest);
                held = self.hold_if_free();
            } else {
                batch.wake();
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
            self.list.settle(held, step);
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

impl fmt::Debug for WaitList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.guess();
        f.debug_struct("WaitList").field("waiters", &!word.is_empty()).field("bits", &word.bits()).finish()
    }
}

/// The flag is held, interrupts are masked if they have to be: the proof for every access to linked nodes.
pub(crate) struct Held<'a> {
    list: &'a WaitList,
    /// The word as it was last seen, FLAG in it.
    seen: Word,
    /// The caller's own node, taken out but still in the word, or null.
    removed: *mut Node,
    mask: Mask,
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bits", &self.bits()).finish_non_exhaustive()
    }
}

impl<'a> Held<'a> {
    /// The primitive's bits as last seen.
    #[inline(always)]
    pub(crate) fn bits(&self) -> Bits {
        self.seen.bits().without(Bits::FLAG)
    }

    /// The newest node, null if there is none.
    fn newest(&self) -> *mut Node {
        if self.removed.is_null() {
            return self.seen.node();
        }
        // SAFETY: I1, I2: `removed` is the caller's own node and still in place; the flag is held.
        unsafe { at(self.removed) }.older()
    }

    /// The oldest node, null if there is none. Completes the links: amortized O(1).
    fn oldest(&mut self) -> *mut Node {
        let newest = self.newest();
        // SAFETY: I4: `newest` heads this list and the flag is held.
        if newest.is_null() { newest } else { unsafe { complete(newest) } }
    }

    /// Looks at the word again after a failed compare-and-swap.
    fn refresh(&mut self) {
        self.seen = self.list.load();
        if !self.removed.is_null() && self.seen.node() != self.removed {
            // Somebody was pushed on top of it: now it is an inner node like any other.
            let removed = core::mem::replace(&mut self.removed, ptr::null_mut());
            // SAFETY: I4: the new newest heads this list, which `removed` is still part of.
            unsafe { complete(self.seen.node()) };
            // SAFETY: I2: flag held; links completed; it is not the newest.
            unsafe { unlink_inner(removed, self.seen.node()) };
        }
    }

    /// T4: changes bits and, if a node was taken out of the word, the newest. Keeps FLAG. False: look again.
    #[must_use]
    pub(crate) fn change(&mut self, bits: Bits) -> bool {
        let to = Word::new(self.newest(), bits.with(Bits::FLAG));
        let done = self.list.swap(self.seen, to).is_ok();
        if done {
            self.seen = to;
            self.removed = ptr::null_mut();
        } else {
            self.refresh();
        }
        done
    }

    /// T4: takes a removed node out of the word at once.
    fn unhook(&mut self) {
        while !self.removed.is_null() && !self.change(self.bits()) {}
    }

    /// T3: lets go of the flag. On failure the word has changed and the flag is still held.
    #[inline]
    pub(crate) fn publish(mut self, bits: Bits) -> Result<Mask, Self> {
        let to = Word::new(self.newest(), bits);
        if self.list.swap(self.seen, to).is_ok() {
            return Ok(self.mask);
        }
        self.refresh();
        Err(self)
    }

    /// T3 without a change to the bits, by somebody to whom what they owe is left. Interrupts stay masked.
    pub(crate) fn let_go(mut self) -> Mask {
        loop {
            let bits = self.bits();
            match self.publish(bits) {
                Ok(mask) => return mask,
                Err(again) => self = again,
            }
        }
    }

    /// Takes a linked node out of the list, or out of `side`. O(1), amortized over registrations.
    ///
    /// # Safety
    /// (a) `node` is linked in one of the two, and stays valid until this `Held` has published or `unhook` was called.
    pub(crate) unsafe fn remove(&mut self, node: &Node, side: Option<&Side>) {
        let me = ptr::from_ref(node).cast_mut();
        if ptr::eq(self.newest(), me) {
            debug_assert!(self.removed.is_null());
            let (older, oldest) = node.links(|l| (l.older, core::mem::replace(&mut l.newer, ptr::null_mut())));
            if !oldest.is_null() && !older.is_null() {
                // SAFETY: I2: linked, flag held.
                unsafe { at(older) }.links(|l| l.newer = oldest);
            }
            self.removed = me;
            return;
        }
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

    /// Takes `node` out and what `admit` allows with it, if `node` is the oldest. Err: not now.
    ///
    /// # Safety
    /// (a) `node` is linked, and stays valid until this `Held` has published.
    pub(crate) unsafe fn take(mut self, node: &Node, admit: impl Fn(Bits) -> Admit) -> Result<Option<Self>, Self> {
        loop {
            let Admit::Take(bits) = admit(self.bits()) else { return Err(self) };
            if !ptr::eq(self.oldest(), node) {
                return Err(self);
            }
            if !ptr::eq(self.newest(), node) {
                // There are others: take it before the list changes.
                if self.change(bits) {
                    // SAFETY: (a).
                    unsafe { self.remove(node, None) };
                    return Ok(Some(self));
                }
                continue;
            }
            // Alone: out of the list and FLAG off in one step.
            // SAFETY: (a).
            unsafe { self.remove(node, None) };
            match self.publish(bits) {
                Ok(_unmasked) => return Ok(None),
                Err(again) => self = again,
            }
            // Either it is still in the word, and was not taken out; or newcomers made `refresh` take it out.
            if self.removed.is_null() {
                self.push_oldest(node);
            }
            self.removed = ptr::null_mut();
        }
    }

    /// Puts a node back in front of all others.
    fn push_oldest(&mut self, node: &Node) {
        let me = ptr::from_ref(node).cast_mut();
        let (oldest, newest) = (self.oldest(), self.newest());
        // SAFETY: I2: linked, flag held. There is a newer node, or `node` would still be in the word.
        unsafe { at(oldest) }.links(|l| l.older = me);
        // SAFETY: I2: linked, flag held.
        unsafe { at(newest) }.links(|l| l.newer = me);
        node.links(|l| (l.older, l.newer) = (ptr::null_mut(), oldest));
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
        if self.list.swap(self.seen, Word::new(ptr::null_mut(), bits.with(Bits::FLAG))).is_err() {
            self.refresh();
            return None;
        }
        self.seen = Word::new(ptr::null_mut(), bits.with(Bits::FLAG));
        self.removed = ptr::null_mut();
        Some(Chain { newest })
    }
}

/// The first in line, under the flag.
pub(crate) struct Head<'h, 'a> {
    held: &'h mut Held<'a>,
    node: *mut Node,
}

impl Head<'_, '_> {
    fn node(&self) -> &Node {
        // SAFETY: I1, I2: the oldest is linked, and `held` holds the flag.
        unsafe { at(self.node) }
    }

    /// Offers it what it waits for: it is to be woken and keeps its place. None: it was offered before.
    pub(crate) fn offer(&mut self) -> Option<Waker> {
        self.node().links(|l| l.waker.take())
    }

    /// Counts that somebody got in before it after it was offered its turn. Saturates.
    pub(crate) fn overtaken(&mut self) {
        if self.node().links(|l| l.waker.is_none()) {
            self.node().count_overtaken();
        }
    }

    /// Whether it was overtaken `limit` times.
    pub(crate) fn is_starved(&self, limit: u8) -> bool {
        self.node().tags().overtaken >= limit
    }

    /// Hands over: the node is out of the list and Notified. The waker is None if it was woken before.
    pub(crate) fn hand_over(self) -> Option<Waker> {
        let Self { held, node } = self;
        held.unhook();
        // SAFETY: I1: linked, and it stays valid until Notified is stored below.
        let this = unsafe { at(node) };
        // SAFETY: linked in this list; it stays valid until Notified is stored.
        unsafe { held.remove(this, None) };
        held.unhook();
        // SAFETY: I5: it is out of the word and in no list, its owner sees Waiting still.
        unsafe { notify(node, None) }
    }
}

impl Node {
    /// Counts one overtaking; saturates.
    fn count_overtaken(&self) {
        let tags = self.tags();
        self.set_tags(Tags { overtaken: tags.overtaken.saturating_add(1), ..tags });
    }

    /// Gives a linked node a new waker in exchange; a node without one had been offered its turn and was overtaken.
    pub(crate) fn replace_waker(&self, _held: &mut Held<'_>, waker: Waker) -> Option<Waker> {
        let old = self.links(|l| l.waker.replace(waker));
        if old.is_none() {
            self.count_overtaken();
        }
        old
    }

    /// Whether the waker in a linked node would wake the same task.
    pub(crate) fn will_wake(&self, _held: &mut Held<'_>, waker: &Waker) -> bool {
        self.links(|l| l.waker.as_ref().is_some_and(|mine| mine.will_wake(waker)))
    }

    /// The token of a linked node.
    pub(crate) fn linked_token(&self, _held: &mut Held<'_>) -> Token {
        self.tags().token
    }
}

/// Tells the owner of a node that is in no list, and takes its waker. `None` keeps the token it has.
///
/// # Safety
/// (a) `node` was just taken out of a list under a flag that is still held, and is out of the word (I5).
unsafe fn notify(node: *mut Node, token: Option<Token>) -> Option<Waker> {
    // SAFETY: (a), I3: valid until Notified is stored, the last access.
    let node = unsafe { at(node) };
    if let Some(token) = token {
        node.set_tags(Tags { token, ..node.tags() });
    }
    let waker = node.links(|l| l.waker.take());
    node.set_phase(Phase::Notified);
    waker
}

/// Links every node towards its younger, from `newest` down to the first that is linked, and returns the oldest.
///
/// # Safety
/// (a) `newest` is not null and heads a list whose flag is held.
unsafe fn complete(newest: *mut Node) -> *mut Node {
    // SAFETY: (a), I1.
    let head = unsafe { at(newest) };
    let known = head.newer();
    if !known.is_null() {
        return known;
    }
    let mut this = newest;
    let oldest = loop {
        // SAFETY: (a), I4: reached through `older`.
        let older = unsafe { at(this) }.older();
        if older.is_null() {
            break this;
        }
        // SAFETY: (a), I4: reached through `older`.
        let wrap = unsafe { at(older) }.links(|l| core::mem::replace(&mut l.newer, this));
        if !wrap.is_null() {
            break wrap;
        }
        this = older;
    };
    head.links(|l| l.newer = oldest);
    oldest
}

/// Takes out a node that is not the newest.
///
/// # Safety
/// (a) `node` is linked in the completed list of `newest`, is not `newest`, and the flag is held.
unsafe fn unlink_inner(node: *mut Node, newest: *mut Node) {
    // SAFETY: (a), I1.
    let (older, newer) = unsafe { at(node) }.links(|l| (l.older, l.newer));
    // SAFETY: (a), I2: its neighbour is linked.
    unsafe { at(newer) }.links(|l| l.older = older);
    // The oldest's elder is nobody, but the newest remembers who is the oldest.
    let remembers = if older.is_null() { newest } else { older };
    // SAFETY: (a), I2: linked.
    unsafe { at(remembers) }.links(|l| l.newer = newer);
}

/// Nodes taken out of the word together.
#[derive(Debug)]
#[must_use]
pub(crate) struct Chain {
    newest: *mut Node,
}

/// A second list of nodes under the flag of a [`WaitList`]. Its links are always complete.
pub(crate) struct Side {
    newest: AtomicPtr<Node>,
}

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

    fn newest(&self) -> *mut Node {
        self.newest.load(Relaxed) // ORDER: relaxed: written under the flag, or a hint
    }

    fn set_newest(&self, node: *mut Node) {
        self.newest.store(node, Relaxed); // ORDER: relaxed: under the flag, E2 carries it
    }

    /// Whether it is empty: exact under the flag, a hint without.
    #[inline(always)]
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
        node.links(|l| *l = Links { older: last, newer: first, waker: Some(waker) });
        node.set_tags(Tags { token: Token::None, overtaken: 0, asks });
        node.alone.set(false);
        node.set_phase(Phase::Waiting);
        self.set_newest(me);
    }

    /// Takes out the newest.
    fn pop_newest(&self, _held: &mut Held<'_>) {
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
    unsafe fn unlink(&self, held: &mut Held<'_>, node: *mut Node) {
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
        loop {
            let newest = self.newest();
            if newest.is_null() || batch.is_full() {
                return !newest.is_null();
            }
            // SAFETY: I2: linked, flag held.
            let oldest = unsafe { at(newest) }.newer();
            // SAFETY: I4: it is linked in this list.
            unsafe { self.unlink(held, oldest) };
            // SAFETY: just taken out; I5: nodes of a side list are not in the word.
            batch.extend(unsafe { notify(oldest, Some(token)) });
        }
    }
}

/// Where a notifier stands on its way through a [`Side`]; null when nobody walks.
///
/// Written under the flag; or by the walker, while it claims the node it stands on.
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
        self.at.store(node, Relaxed); // ORDER: relaxed: under the flag, E2 carries it
    }

    /// Whether somebody walks.
    pub(crate) fn is_active(&self, _held: &mut Held<'_>) -> bool {
        !self.node().is_null()
    }

    /// Begins at the oldest.
    pub(crate) fn begin(&self, _held: &mut Held<'_>, side: &Side) {
        let newest = side.newest();
        // SAFETY: I2: linked, flag held.
        self.set(if newest.is_null() { newest } else { unsafe { at(newest) }.newer() });
    }

    /// Ends before the last.
    pub(crate) fn end(&self, _held: &mut Held<'_>) {
        self.set(ptr::null_mut());
    }

    /// Goes on to the next younger node.
    fn advance(&self, side: &Side) {
        let node = self.node();
        // SAFETY: I2: the walk stands on a linked node, flag held.
        self.set(if ptr::eq(node, side.newest()) { ptr::null_mut() } else { unsafe { at(node) }.newer() });
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
        if node.is_null() {
            return None;
        }
        // SAFETY: I2: the walk stands on a linked node, flag held.
        let this = unsafe { at(node) };
        if !this.tags().asks {
            return Some(Found::Plain);
        }
        this.set_phase(Phase::Claimed);
        Some(Found::Asks(Claim { node }))
    }

    /// Leaves the node where it is and goes on.
    pub(crate) fn skip(&self, _held: &mut Held<'_>, side: &Side) {
        self.advance(side);
    }

    /// Moves the node to the end of the word's list, with `token`, and goes on.
    pub(crate) fn requeue(&self, held: &mut Held<'_>, side: &Side, token: Token) {
        let node = self.node();
        self.advance(side);
        // SAFETY: I4: the walk stood on a node of this side list.
        unsafe { side.unlink(held, node) };
        // SAFETY: I1: its owner takes it out under the flag only, which is held.
        let this = unsafe { at(node) };
        this.set_tags(Tags { token, overtaken: 0, asks: this.tags().asks });
        loop {
            let newest = held.newest();
            this.links(|l| (l.older, l.newer) = (newest, ptr::null_mut()));
            let to = Word::new(node, held.seen.bits());
            if held.list.swap(held.seen, to).is_ok() {
                held.seen = to;
                held.removed = ptr::null_mut();
                return;
            }
            held.refresh();
        }
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
    /// Its predicate decides.
    Asks(Claim),
}

/// A claimed node: it stays where it is when the flag is let go, and its owner waits.
pub(crate) struct Claim {
    node: *mut Node,
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}

impl Claim {
    /// What follows the node in its future: the source, valid for as long as this lives.
    pub(crate) fn source(&self) -> *const () {
        self.node.cast_const().wrapping_add(1).cast()
    }

    /// Gives the node back, the flag being held.
    pub(crate) fn release(self, _held: &mut Held<'_>) {
        // SAFETY: I1: a claimed node stays linked.
        unsafe { at(self.node) }.set_phase(Phase::Waiting);
    }

    /// Gives the node back and ends the walk that stands on it, without the flag.
    pub(crate) fn abandon(self, walk: &Walk) {
        walk.set(ptr::null_mut());
        // SAFETY: I1: a claimed node stays linked; this is the last access.
        unsafe { at(self.node) }.set_phase(Phase::Waiting);
    }
}
