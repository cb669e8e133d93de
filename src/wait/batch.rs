//! Wakers taken out under the list flag and woken after it.
//!
//! A batch holds up to `sys::BATCH` wakers on the stack. A waker that panics does not keep the others from being woken.
#![allow(unsafe_code)]
// INVARIANTS  I1 the slots in `next..len` are initialized, no others are.
use core::{fmt, mem::MaybeUninit, task::Waker};

use crate::sys::{BATCH, Panics, Unwinding};

/// It never holds more than one: `next` is 0, and `len` says whether there is one.
const ALONE: bool = BATCH == 1;

pub(crate) struct Batch {
    slots: [MaybeUninit<Waker>; BATCH],
    next: usize,
    len: usize,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &(self.len - self.next)).finish()
    }
}

impl Batch {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { slots: [const { MaybeUninit::uninit() }; BATCH], next: 0, len: 0 }
    }

    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// Puts a waker in; does nothing with `None`.
    ///
    /// It is not full: the caller asks [`Batch::is_full`] first.
    #[inline(always)]
    pub(crate) fn extend(&mut self, waker: Option<Waker>) {
        debug_assert!(waker.is_none() || !self.is_full());
        if let Some(waker) = waker {
            let this = if ALONE { 0 } else { self.len };
            self.slots[this].write(waker);
            self.len = this + 1;
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Waker> {
        if ALONE {
            // SAFETY: I1: `len` was 1 and no longer is.
            return (core::mem::take(&mut self.len) > 0).then(|| unsafe { self.slots[0].assume_init_read() });
        }
        let slot = self.slots[..self.len].get(self.next)?;
        self.next += 1;
        // SAFETY: I1: it was in `next..len` and no longer is.
        Some(unsafe { slot.assume_init_read() })
    }

    /// Wakes all, in the order in which they came, and is empty; then the first panic goes on.
    #[inline]
    pub(crate) fn wake(&mut self) {
        if ALONE || self.len - self.next <= 1 {
            // Nobody else to think of.
            return if let Some(waker) = self.pop() {
                (self.next, self.len) = (0, 0);
                wake_alone(waker);
            };
        }
        let mut panics = Panics::new();
        while self.next < self.len {
            panics.catch(|| {
                while let Some(waker) = self.pop() {
                    waker.wake();
                }
            });
        }
        (self.next, self.len) = (0, 0);
        panics.resume();
    }
}

/// Where wakers go that are taken out.
pub(crate) trait Wakers {
    fn is_full(&self) -> bool;

    /// Puts a waker in, if there is one, where there is room.
    fn extend(&mut self, waker: Option<Waker>);
}

impl Wakers for Batch {
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.is_full()
    }

    #[inline(always)]
    fn extend(&mut self, waker: Option<Waker>) {
        self.extend(waker);
    }
}

/// Room for one.
impl Wakers for Option<Waker> {
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.is_some()
    }

    #[inline(always)]
    fn extend(&mut self, waker: Option<Waker>) {
        debug_assert!(self.is_none());
        *self = waker;
    }
}

/// Wakes one when there is nobody else to wake. In a thread that is unwinding its panic goes no further.
#[inline]
pub(crate) fn wake_alone(waker: Waker) {
    if Unwinding::is_on() {
        let mut panics = Panics::new();
        panics.catch(|| waker.wake());
        panics.resume();
    } else {
        waker.wake();
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // Only when a waker panicked and nobody could catch it.
        while let Some(waker) = self.pop() {
            waker.wake();
        }
    }
}
