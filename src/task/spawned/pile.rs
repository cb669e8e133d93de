//! What many threads put down and one picks up.
#![allow(unsafe_code)]
// STATE       top: the entry that was put down last
//                 T1 push      top -> me, me.below = top
//                 T2 take all  top -> null
// INVARIANTS  I1 `top` and what is below it are boxes that nobody else has.
// EDGES       E1 T1 (release) -> T2 (acquire): the entries.
use alloc::{boxed::Box, vec::Vec};
use core::{fmt, ptr};

use crate::sys::{
    atomic::{AtomicPtr, Ordering::*},
    cell::UnsafeCell,
};

struct Entry<T> {
    item: T,
    below: *mut Entry<T>,
}

/// Items in the order in which they came. Lock-free; one allocation for each.
pub(super) struct Pile<T> {
    top: AtomicPtr<Entry<T>>,
    _owns: core::marker::PhantomData<UnsafeCell<Vec<T>>>,
}

// SAFETY: I1: items go from thread to thread, none is shared.
unsafe impl<T: Send> Send for Pile<T> {}
// SAFETY: the same.
unsafe impl<T: Send> Sync for Pile<T> {}

impl<T> Pile<T> {
    pub(super) fn new() -> Self {
        Self { top: AtomicPtr::new(ptr::null_mut()), _owns: core::marker::PhantomData }
    }

    /// T1.
    pub(super) fn push(&self, item: T) {
        // ORDER: relaxed: a guess, checked by the exchange
        let mut top = self.top.load(Relaxed);
        let new = Box::into_raw(Box::new(Entry { item, below: top }));
        // ORDER: E1 release
        while let Err(now) = self.top.compare_exchange_weak(top, new, Release, Relaxed) {
            top = now;
            // SAFETY: I1: not in the pile yet.
            unsafe { (*new).below = top };
        }
    }

    /// T2. The oldest first.
    pub(super) fn take(&self) -> Vec<T> {
        // ORDER: E1 acquire
        let mut top = self.top.swap(ptr::null_mut(), Acquire);
        let mut all = Vec::new();
        while !top.is_null() {
            // SAFETY: I1.
            let Entry { item, below } = *unsafe { Box::from_raw(top) };
            all.push(item);
            top = below;
        }
        all.reverse();
        all
    }
}

impl<T> Drop for Pile<T> {
    fn drop(&mut self) {
        self.take();
    }
}

impl<T> fmt::Debug for Pile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDER: relaxed: a moment's view
        let empty = self.top.load(Relaxed).is_null();
        f.debug_struct("Pile").field("empty", &empty).finish()
    }
}
