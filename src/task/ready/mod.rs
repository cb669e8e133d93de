//! Who of the children was woken: the ready set of engine 2.
//!
//! | kind | memory | who is polled | for |
//! |---|---|---|---|
//! | [`Scan`] | none: children get the parent's waker | all of them | tuples, arrays |
//! | [`Round`] | three words | all of them | groups without heap |
//! | [`Few`] | one word | those that are not done | short vectors |
//! | [`Block`] on the heap | one allocation, a byte for each child | those that were woken | vectors, groups, shelters |
//! | [`Block`] in a [`ReadyBlock`] | a `static` | those that were woken | children woken from interrupts, no heap |
//!
//! All poll in the same order: by number, one pass for each poll of the parent. A child that is woken behind the one
//! that is being polled is polled in this pass, any other in the next.
use core::task::{Context, Waker};

mod block;
mod pass;
mod round;

pub use block::ReadyBlock;
#[cfg(feature = "alloc")]
pub(crate) use pass::Block;
pub use pass::Claim;
pub(crate) use round::Round;

/// A ready set, as its one consumer sees it. For each poll of the parent: `begin`; `next` and `poll_child` until `None`, or
/// less; `end` if the parent is not ready.
pub trait Ready {
    /// Begins a pass, where the one before was broken off. False: nobody was woken, and this waker waits already.
    fn begin(&mut self, waker: &Waker) -> bool;

    /// The next child that is to be polled; once a pass each.
    fn next(&mut self) -> Option<usize>;

    /// Calls `f` with the context that child `index` is to be polled with.
    fn poll_child<R>(&self, index: usize, cx: &mut Context<'_>, f: impl FnOnce(&mut Context<'_>) -> R) -> R;

    /// Child `index` is there no more. Its wakers do nothing from now on.
    fn retire(&mut self, index: usize);

    /// The parent waits: from now on a child that is woken wakes it, at once if one was woken since its turn, or had none
    /// because the pass was broken off.
    fn end(&mut self, waker: &Waker);
}

/// A ready set whose children come and go.
pub trait Open: Ready {
    /// Whether a child's waker stays the same as long as it lives.
    const STEADY: bool;

    /// Adds child `index`, to be polled. Returns the parent's waker if the parent waits: to be woken when no lock is held.
    #[must_use = "the parent waits"]
    fn insert(&mut self, index: usize) -> Option<Waker>;
}

/// The ready set without memory: everybody counts as woken.
#[derive(Debug)]
pub struct Scan;

/// A ready set of less than `usize::BITS` children: all that are not done count as woken.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub(crate) struct Few {
    live: usize,
    /// Those that are left in this part of the pass.
    now: usize,
    /// Those of its second part.
    then: usize,
    cursor: usize,
}

#[cfg(feature = "alloc")]
impl Few {
    /// Children `0..len`.
    pub(crate) fn new(len: usize) -> Self {
        Self { live: (1 << len) - 1, now: 0, then: 0, cursor: 0 }
    }

    /// Whether child `index` is there.
    pub(crate) fn is_live(&self, index: usize) -> bool {
        self.live >> index & 1 != 0
    }
}

#[cfg(feature = "alloc")]
impl Ready for Few {
    #[inline(always)]
    fn begin(&mut self, _: &Waker) -> bool {
        self.now = self.live >> self.cursor << self.cursor;
        self.then = self.live & !self.now;
        true
    }

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.now == 0 {
            self.now = core::mem::take(&mut self.then);
            if self.now == 0 {
                self.cursor = 0;
                return None;
            }
        }
        let index = self.now.trailing_zeros() as usize;
        self.now &= self.now - 1;
        self.cursor = index + 1;
        Some(index)
    }

    #[inline(always)]
    fn poll_child<R>(&self, _: usize, cx: &mut Context<'_>, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        f(cx)
    }

    #[inline(always)]
    fn retire(&mut self, index: usize) {
        self.live &= !(1 << index);
    }

    #[inline(always)]
    fn end(&mut self, _: &Waker) {}
}
