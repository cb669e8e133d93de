//! The ready set of children that come and go, without memory: everybody counts as woken.
// STATE       a pass goes through all numbers; what is added behind the cursor is in it, and for what is added before it the
//             parent is woken at the end
use core::task::{Context, Waker};

use super::{Open, Ready};

/// See above.
#[derive(Debug)]
pub struct Round {
    len: usize,
    /// The next child to look at.
    cursor: usize,
    /// Somebody was added before that.
    missed: bool,
}

impl Round {
    /// Children `0..len`; those that are not there are named too.
    pub(crate) fn new(len: usize) -> Self {
        Self { len, cursor: 0, missed: false }
    }
}

impl Ready for Round {
    fn begin(&mut self, _: &Waker) -> bool {
        (self.cursor, self.missed) = (0, false);
        true
    }

    fn next(&mut self) -> Option<usize> {
        let index = self.cursor;
        self.cursor += usize::from(index < self.len);
        (index < self.len).then_some(index)
    }

    fn poll_child<R>(&self, _: usize, cx: &mut Context<'_>, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        f(cx)
    }

    fn retire(&mut self, _: usize) {}

    fn end(&mut self, waker: &Waker) {
        if self.missed {
            waker.wake_by_ref();
        }
    }
}

impl Open for Round {
    const STEADY: bool = false;

    fn insert(&mut self, index: usize) -> Option<Waker> {
        self.missed |= index < self.cursor;
        None
    }
}
