//! Where children wait to be taken over by the group's run: pushed by any thread, taken by one.
#![allow(unsafe_code)]
// STATE       word: the child that was pushed last | AWAKE (the run will look here before it sleeps), CANCEL, CLOSED, RUN
//                 T1 push      w -> me | bits | AWAKE, me.next = child(w), unless CLOSED; without AWAKE before: ring
//                 T2 drain     w -> bits, all children taken
//                 T3 sleep     no child, AWAKE -> no child, by the run, unless CANCEL came
//                 T4 wake      w -> w | AWAKE, by the run, which sets RUN the first time
//                 T5 cancel    w -> w | CANCEL | AWAKE; without AWAKE before: ring
//                 T6 close     w -> w | CLOSED, all children taken
//                 T7 reopen    CLOSED -> as new, by a run that has the turn, and nobody else
// INVARIANTS  I1 what the word points to came from `Child::into_raw`, each behind it too, each once.
//             I2 CLOSED goes off by T7 alone, and nothing is pushed while it is on.
// EDGES       E1 T1 (release) -> T2, T6 (acquire): the child.
// INTERRUPT   cancel, push: yes, O(1).
use core::{fmt, marker::PhantomData, ptr};

use super::job::{Child, Header};
use crate::sys::{
    atomic::{AtomicPtr, Ordering::*},
    const_fn,
};

const AWAKE: usize = 1;
const CANCEL: usize = 2;
const CLOSED: usize = 4;
const RUN: usize = 8;
const BITS: usize = 15;

/// The inbox of a group whose errors are `E`. It has nothing to drop: what lies in it when it goes away is leaked.
pub(super) struct Inbox<E> {
    word: AtomicPtr<Header>,
    _error: PhantomData<fn(E) -> E>,
}

/// Somebody has to tell the run, which sleeps.
#[must_use]
pub(super) struct Ring(pub(super) bool);

fn bits(word: *mut Header) -> usize {
    word.addr() & BITS
}

fn child(word: *mut Header) -> *mut Header {
    word.map_addr(|at| at & !BITS)
}

fn with(child: *mut Header, bits: usize) -> *mut Header {
    child.map_addr(|at| at | bits)
}

impl<E> Inbox<E> {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { word: AtomicPtr::new(ptr::null_mut()), _error: PhantomData }
        }
    }

    /// Replaces the word by what `f` makes of it, unless that is nothing; returns the word before.
    fn update(&self, mut f: impl FnMut(*mut Header) -> Option<*mut Header>) -> Result<*mut Header, *mut Header> {
        // ORDER: relaxed: a guess, checked by the exchange
        let mut word = self.word.load(Relaxed);
        while let Some(to) = f(word) {
            // ORDER: E1 release and acquire
            match self.word.compare_exchange_weak(word, to, AcqRel, Relaxed) {
                Ok(_) => return Ok(word),
                Err(now) => word = now,
            }
        }
        Err(word)
    }

    /// T1. Err: closed.
    pub(super) fn push(&self, new: Child<E>) -> Result<Ring, Child<E>> {
        let raw = new.into_raw(ptr::null_mut());
        let push = |word| {
            (bits(word) & CLOSED == 0).then(|| {
                // SAFETY: (a): it is in no list, and goes back to raw at once.
                let (me, _) = unsafe { Child::<E>::from_raw(raw) };
                with(me.into_raw(child(word)), bits(word) | AWAKE)
            })
        };
        match self.update(push) {
            Ok(before) => Ok(Ring(bits(before) & AWAKE == 0)),
            // SAFETY: (a): nobody else got it.
            Err(_) => Err(unsafe { Child::from_raw(raw) }.0),
        }
    }

    /// Whether it takes no more children.
    pub(super) fn is_closed(&self) -> bool {
        // ORDER: relaxed: a hint, `push` finds out
        bits(self.word.load(Relaxed)) & CLOSED != 0
    }

    /// Whether somebody has asked for the end of the group.
    pub(super) fn is_cancelled(&self) -> bool {
        // ORDER: relaxed: nothing comes with it
        bits(self.word.load(Relaxed)) & CANCEL != 0
    }

    /// Whether children wait here; a hint.
    #[inline]
    pub(super) fn has_children(&self) -> bool {
        // ORDER: relaxed: a hint, the run does T3 before it sleeps
        !child(self.word.load(Relaxed)).is_null()
    }

    /// T2. In the order in which they came.
    pub(super) fn drain(&self) -> Chain<E> {
        let drain = |word| (!child(word).is_null()).then(|| with(ptr::null_mut(), bits(word)));
        // E1 acquire
        Chain::of(self.update(drain).map_or(ptr::null_mut(), child))
    }

    /// T3. False: there is something to look at, stay awake.
    pub(super) fn sleep(&self, cancels: bool) -> bool {
        let ignored = if cancels { 0 } else { CANCEL };
        let sleep = |word| {
            let quiet = child(word).is_null() && bits(word) & CANCEL & !ignored == 0;
            quiet.then(|| with(ptr::null_mut(), bits(word) & !AWAKE))
        };
        self.update(sleep).is_ok()
    }

    /// T4. True: this is the first time.
    pub(super) fn wake(&self, first: bool) -> bool {
        let run = if first { RUN } else { 0 };
        let wake =
            |word| (bits(word) & (AWAKE | run) != AWAKE | run).then(|| with(child(word), bits(word) | AWAKE | run));
        bits(self.update(wake).unwrap_or_else(|word| word)) & RUN == 0
    }

    /// T7, if it is closed: the run before has ended.
    pub(super) fn reopen(&self) {
        let reopen = |word| (bits(word) & CLOSED != 0).then_some(ptr::null_mut());
        let _ = self.update(reopen); // else it is as it was
    }

    /// T5.
    pub(super) fn cancel(&self) -> Ring {
        let cancel = |word| Some(with(child(word), bits(word) | CANCEL | AWAKE));
        let before = self.update(cancel).unwrap_or_else(|word| word);
        Ring(bits(before) & (AWAKE | CLOSED) == 0)
    }

    /// T6, only if there is nothing in it. False: look again.
    pub(super) fn close_empty(&self) -> bool {
        let close = |word| child(word).is_null().then(|| with(ptr::null_mut(), bits(word) | CLOSED));
        self.update(close).is_ok()
    }

    /// T6. What lay in it, in the order in which it came.
    pub(super) fn close(&self) -> Chain<E> {
        let close = |word| Some(with(ptr::null_mut(), bits(word) | CLOSED));
        Chain::of(self.update(close).map_or(ptr::null_mut(), child))
    }
}

impl<E> fmt::Debug for Inbox<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDER: relaxed: a moment's view
        let word = bits(self.word.load(Relaxed));
        let phase = match word & (RUN | CLOSED) {
            0 => "new",
            RUN => "running",
            _ => "ended",
        };
        f.debug_struct("Inbox").field("phase", &phase).field("cancelled", &(word & CANCEL != 0)).finish()
    }
}

/// Children on their way from the inbox; those that are left are cancelled when it is dropped.
pub(super) struct Chain<E> {
    first: *mut Header,
    _error: PhantomData<fn() -> E>,
}

impl<E> Chain<E> {
    /// Turns a list around that begins with the newest.
    fn of(mut newest: *mut Header) -> Self {
        let mut first = ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: (a), I1: the list was taken as a whole.
            let (child, older) = unsafe { Child::<E>::from_raw(newest) };
            first = child.into_raw(first);
            newest = older;
        }
        Self { first, _error: PhantomData }
    }
}

impl<E> Iterator for Chain<E> {
    type Item = Child<E>;

    fn next(&mut self) -> Option<Child<E>> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: (a), I1.
        let (child, next) = unsafe { Child::from_raw(self.first) };
        self.first = next;
        Some(child)
    }
}

impl<E> Drop for Chain<E> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
