//! A waiter's entry in a list, and the links between entries.
#![allow(unsafe_code)]
// The labels are those declared in word.rs.
use core::{
    cell::Cell,
    mem::ManuallyDrop,
    ptr,
    task::{RawWakerVTable, Waker},
};

use super::{
    held::Held,
    phase::{Phase, Token},
};
use crate::sys::{
    self,
    atomic::{AtomicPtr, AtomicU8, Ordering::*},
    cell::UnsafeCell,
};

pub(super) struct Links {
    pub(super) older: *mut Node,
    pub(super) newer: *mut Node,
}

/// A waker; or, once it was taken, null, or what a [`Front`](super::front::Front) has to remember. Atomics, because the owner
/// looks at it without the flag too.
struct Slot {
    /// Null: there is no waker, and `data` is a word.
    table: AtomicPtr<RawWakerVTable>,
    data: AtomicPtr<()>,
}

impl Slot {
    fn empty() -> Self {
        Self { table: AtomicPtr::new(ptr::null_mut()), data: AtomicPtr::new(ptr::null_mut()) }
    }

    #[inline(always)]
    fn table(&self) -> *mut RawWakerVTable {
        self.table.load(Relaxed) // ORDER: relaxed: I2, I10
    }

    #[inline(always)]
    fn data(&self) -> *mut () {
        self.data.load(Acquire) // ORDER: E4 acquire
    }

    #[inline(always)]
    fn set(&self, table: *mut RawWakerVTable, data: *mut ()) {
        self.table.store(table, Relaxed); // ORDER: relaxed: I2, I10
        self.data.store(data, Release); // ORDER: E4 release
    }

    #[inline(always)]
    fn put(&self, waker: Waker) {
        debug_assert!(self.is_empty(), "I10");
        let waker = ManuallyDrop::new(waker);
        self.set(ptr::from_ref(waker.vtable()).cast_mut(), waker.data().cast_mut());
    }

    #[inline(always)]
    fn take(&self) -> Option<Waker> {
        let table = self.table();
        (!table.is_null()).then(|| self.exchange(table, ptr::null_mut()))
    }

    /// Takes the waker, if there is one, and leaves a word.
    #[inline(always)]
    fn take_for(&self, word: *mut ()) -> Option<Waker> {
        let table = self.table();
        if table.is_null() {
            self.set(table, word);
            return None;
        }
        Some(self.exchange(table, word))
    }

    /// Takes the waker of this table.
    #[inline(always)]
    fn exchange(&self, table: *mut RawWakerVTable, word: *mut ()) -> Waker {
        let data = self.data();
        self.set(ptr::null_mut(), word);
        // SAFETY: I10: `put` has it from a waker.
        let table: &'static RawWakerVTable = unsafe { &*table };
        // SAFETY: I10: the parts of a waker that was put here and is in no other place.
        unsafe { Waker::new(data, table) }
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.table().is_null()
    }
}

#[derive(Clone, Copy)]
pub(super) struct Tags {
    pub(super) token: Token,
    pub(super) overtaken: u8,
    /// It waits for a predicate, which a notifier has to run.
    pub(super) asks: bool,
    /// It was linked in a side list by its owner, and is there still.
    pub(super) aside: bool,
}

impl Tags {
    pub(super) const NONE: Self = Self { token: Token::None, overtaken: 0, asks: false, aside: false };
}

/// One waiter; the first field of every wait future.
pub(crate) struct Node {
    links: UnsafeCell<Links>,
    slot: Slot,
    tags: UnsafeCell<Tags>,
    phase: AtomicU8,
    /// The owner's: it was pushed on an empty list (T5).
    pub(super) alone: Cell<bool>,
}

impl Node {
    #[inline(always)]
    pub(crate) fn new(phase: Phase) -> Self {
        Self {
            links: UnsafeCell::new(Links { older: ptr::null_mut(), newer: ptr::null_mut() }),
            slot: Slot::empty(),
            tags: UnsafeCell::new(Tags::NONE),
            phase: AtomicU8::new(phase.0),
            alone: Cell::new(false),
        }
    }

    /// Where the wait stands.
    #[inline(always)]
    pub(crate) fn phase(&self) -> Phase {
        Phase(self.phase.load(Acquire)) // ORDER: E3 acquire
    }

    /// The owner's own step, on a node in no list.
    #[inline(always)]
    pub(crate) fn go(&self, phase: Phase) {
        self.phase.store(phase.0, Relaxed); // ORDER: relaxed: the owner is the only one that looks
    }

    #[inline(always)]
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase.0, Release); // ORDER: E3 release
    }

    #[inline(always)]
    pub(super) fn tags(&self) -> Tags {
        // SAFETY: I2: the caller holds the flag or the node is in no list; the reference ends here.
        self.tags.with(|tags| unsafe { *tags })
    }

    #[inline(always)]
    pub(super) fn set_tags(&self, new: Tags) {
        // SAFETY: I2: as in `tags`.
        self.tags.with_mut(|tags| unsafe { *tags = new })
    }

    #[inline(always)]
    pub(super) fn links<R>(&self, f: impl FnOnce(&mut Links) -> R) -> R {
        // SAFETY: I2: the caller holds the flag or the node is in no list; `f` is this module's and touches one node.
        self.links.with_mut(|links| f(unsafe { &mut *links }))
    }

    #[inline(always)]
    pub(super) fn older(&self) -> *mut Node {
        self.links(|l| l.older)
    }

    #[inline(always)]
    pub(super) fn newer(&self) -> *mut Node {
        self.links(|l| l.newer)
    }

    /// Gives a token to a node that is in no list, or is being taken out of one.
    #[inline(always)]
    pub(crate) fn set_token(&self, token: Token) {
        // SAFETY: I2: as in `tags`.
        self.tags.with_mut(|tags| unsafe { (*tags).token = token })
    }

    /// Gives a node that is in no list, or is being taken out of one, a token and a number that says more.
    pub(crate) fn tell(&self, token: Token, message: usize) {
        self.set_token(token);
        self.links(|l| l.older = ptr::without_provenance_mut(message));
    }

    /// The number that came with the token of a node that is in no list.
    pub(crate) fn message(&self) -> usize {
        self.links(|l| l.older.addr())
    }

    /// The token of a node that is in no list.
    pub(crate) fn token(&self) -> Token {
        // SAFETY: I2: as in `tags`.
        self.tags.with(|tags| unsafe { (*tags).token })
    }

    /// Clears the token of a node that is in no list.
    pub(crate) fn spend(&self) {
        self.set_token(Token::None);
    }

    /// The waker that is left in a node that is in no list.
    pub(crate) fn retire(&self) -> Option<Waker> {
        self.slot.take()
    }

    /// Gives a node that is in no list, and has no waker, one.
    #[inline(always)]
    pub(super) fn put_waker(&self, waker: Waker) {
        self.slot.put(waker);
    }

    /// Whether a linked node has a waker that would wake the same task. The owner may ask without the flag (I10).
    #[inline(always)]
    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        // E4: data that was written over that of the waker is seen with the table gone.
        let same_task = ptr::eq(self.slot.data(), waker.data());
        sys::pause_point();
        same_task && ptr::eq(self.slot.table(), waker.vtable())
    }
}

impl Drop for Node {
    #[inline]
    fn drop(&mut self) {
        drop(self.retire());
    }
}

/// Gives access to a linked node.
///
/// # Safety
/// (a) `node` is linked, and the flag is held for as long as the reference is used.
#[inline(always)]
pub(super) unsafe fn at<'n>(node: *const Node) -> &'n Node {
    // SAFETY: (a): I1, a linked node is valid and does not move.
    unsafe { &*node }
}

impl Node {
    /// Counts one overtaking; saturates.
    pub(super) fn count_overtaken(&self) {
        let overtaken = self.tags().overtaken.saturating_add(1);
        // SAFETY: I2: as in `tags`.
        self.tags.with_mut(|tags| unsafe { (*tags).overtaken = overtaken })
    }

    /// Gives a linked node a new waker in exchange; a node without one had been offered its turn and was overtaken.
    pub(crate) fn replace_waker(&self, _held: &mut Held<'_>, waker: Waker) -> Option<Waker> {
        let old = self.take_waker();
        self.put_waker(waker);
        if old.is_none() {
            self.count_overtaken();
        }
        old
    }

    /// The waker of a linked node. None: it was offered what it waits for.
    #[inline(always)]
    pub(super) fn take_waker(&self) -> Option<Waker> {
        self.slot.take()
    }

    /// As `take_waker`; it has a word from here on.
    #[inline(always)]
    pub(super) fn take_waker_for(&self, word: *mut Node) -> Option<Waker> {
        self.slot.take_for(word.cast())
    }

    /// Whether a linked node was offered what it waits for, and has not been polled since.
    #[inline(always)]
    pub(crate) fn is_offered(&self, _held: &mut Held<'_>) -> bool {
        !self.has_waker()
    }

    /// Whether a linked node has a waker. The owner may ask without the flag.
    #[inline(always)]
    pub(super) fn has_waker(&self) -> bool {
        !self.slot.is_empty()
    }

    /// What a linked node has in the place of its waker, null if it has one.
    #[inline(always)]
    pub(super) fn word(&self) -> *mut Node {
        if self.slot.is_empty() { self.slot.data().cast() } else { ptr::null_mut() }
    }

    /// As `word` says from here on, of a linked node without a waker.
    #[inline(always)]
    pub(super) fn set_word(&self, new: *mut Node) {
        debug_assert!(self.slot.is_empty(), "I9");
        self.slot.set(ptr::null_mut(), new.cast());
    }

    /// Whether its owner put a linked node aside, and no notifier has moved it.
    pub(crate) fn is_aside(&self, _held: &mut Held<'_>) -> bool {
        self.tags().aside
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
#[inline(always)]
pub(super) unsafe fn notify(node: *mut Node, token: Option<Token>) -> Option<Waker> {
    // SAFETY: (a), I3: valid until Notified is stored, the last access.
    let node = unsafe { at(node) };
    if let Some(token) = token {
        node.set_token(token);
    }
    let waker = node.take_waker();
    node.set_phase(Phase::NOTIFIED);
    waker
}

/// Links every node towards its younger, from `newest` down to the first that is linked, and returns the oldest.
///
/// # Safety
/// (a) `newest` is not null and heads a list whose flag is held.
pub(super) unsafe fn complete(newest: *mut Node) -> *mut Node {
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
pub(super) unsafe fn unlink_inner(node: *mut Node, newest: *mut Node) {
    // SAFETY: (a), I1.
    let (older, newer) = unsafe { at(node) }.links(|l| (l.older, l.newer));
    // SAFETY: (a), I2: its neighbour is linked.
    unsafe { at(newer) }.links(|l| l.older = older);
    // The oldest's elder is nobody, but the newest remembers who is the oldest.
    let remembers = if older.is_null() { newest } else { older };
    // SAFETY: (a), I2: linked.
    unsafe { at(remembers) }.links(|l| l.newer = newer);
}

/// Tasks that are numbers, as with executors that have none on the heap; 0 is null.
#[cfg(test)]
pub(super) mod numbered {
    use core::{
        ptr,
        task::{RawWaker, RawWakerVTable, Waker},
    };
    use std::sync::Mutex;

    static WOKEN: Mutex<Option<usize>> = Mutex::new(None);
    static TABLE: RawWakerVTable = RawWakerVTable::new(|task| RawWaker::new(task, &TABLE), wake, wake, |_| ());

    fn wake(task: *const ()) {
        *WOKEN.lock().unwrap() = Some(task.addr());
    }

    /// The waker of a task.
    pub(in crate::wait) fn waker(task: usize) -> Waker {
        // SAFETY: the functions of this table use no memory.
        unsafe { Waker::new(ptr::without_provenance(task), &TABLE) }
    }

    /// Which was woken last, once.
    pub(in crate::wait) fn woken() -> Option<usize> {
        WOKEN.lock().unwrap().take()
    }
}
