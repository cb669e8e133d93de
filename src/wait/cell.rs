//! A cell for the waker of one waiter, for places where there is never a second one.
//!
//! Registering, waking and taking are lock-free and may be called from interrupts; only one side registers at a time.
use core::task::Waker;

use crate::sys::{AtomicWaker, const_fn};

/// Room for one waker.
#[derive(Debug)]
pub(crate) struct WaitCell {
    waker: AtomicWaker,
}

#[cfg_attr(not(feature = "std"), allow(dead_code, reason = "without std a simulation spins"))]
impl WaitCell {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { waker: AtomicWaker::new() }
        }
    }

    /// Puts a clone of `waker` in place of the one before. Look at what is waited for afterwards, not before.
    #[inline]
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Wakes the waiter, if there is one, and forgets it.
    #[inline]
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Forgets the waiter: its waker is handed out unwoken.
    #[inline]
    pub(crate) fn take(&self) -> Option<Waker> {
        self.waker.take()
    }
}
