//! Engine 2: children, their places and their results.
//!
//! | keeps children in | of | ready set | used by |
//! |---|---|---|---|
//! | [`Fixed`] | [`Slot`]s of a tuple or array, where the parent lies | [`Scan`] or a static block | gather |
//! | [`Row`] | the vector that they came in, never moved | [`Few`] or a [`Block`] on the heap | gather, as_completed |
//!
//! Who was woken, and in which order they are polled, is decided in `ready/`.
// STATE       a child: Future --T1 ready--> Output (kept here, or handed out: Gone);  Future --T2 dropped--> Gone
//             a set: New or Idle --T3 poll--> Polling --T4--> Idle or Done; a panic leaves Polling behind, and T3 refuses it
// INVARIANTS  I1 a Slot's future is pinned with its set: it is only polled, and dropped where it lies.
//             I2 the vector of a Row has length 0 and is never grown: its futures lie in its buffer, which does not move.
//             I3 child i < len of a Row holds its future while it is live in the ready set, and nothing after.
//             I4 outputs has room for len; place i is written before child i stops being live, unless i is the hole.
// CANCEL      the futures are dropped in their order, then the outputs; one that panics does not keep the others.
use core::convert::Infallible;

use crate::wait::POLLED_AFTER_COMPLETION;

mod fixed;
#[cfg(feature = "alloc")]
mod row;

pub(crate) use fixed::Fixed;
pub(crate) use fixed::{Drive, Slot, Slots};
#[cfg(feature = "alloc")]
pub(crate) use row::Row;

/// The panic text of a set of children that is polled although polling a child has panicked.
const POLLED_AFTER_PANIC: &str = "polled after a child panicked";

/// Where a set of children is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Never polled: its children may be moved.
    New,
    /// To be polled.
    Idle,
    /// In a poll, or left by a panic.
    Polling,
    /// Its result was handed out.
    Done,
}

impl State {
    /// Its children may be moved out.
    fn assert_new(self) {
        assert!(self == Self::New, "polled before");
    }

    /// T3.
    #[inline]
    fn begin(&mut self) {
        match self {
            Self::New | Self::Idle => *self = Self::Polling,
            Self::Polling => panic!("{POLLED_AFTER_PANIC}"),
            Self::Done => panic!("{POLLED_AFTER_COMPLETION}"),
        }
    }
}

/// What is made of a child's output: [`Every`] or [`First`].
pub trait Mode<O> {
    /// What is kept of it.
    type Kept;
    /// What ends the whole set.
    type Error;

    /// Tells one from the other.
    fn split(output: O) -> Result<Self::Kept, Self::Error>;
}

/// Every output is kept.
#[derive(Debug)]
pub enum Every {}

impl<O> Mode<O> for Every {
    type Kept = O;
    type Error = Infallible;

    #[inline(always)]
    fn split(output: O) -> Result<O, Infallible> {
        Ok(output)
    }
}

/// The first error ends the set.
#[derive(Debug)]
pub enum First {}

impl<T, E> Mode<Result<T, E>> for First {
    type Kept = T;
    type Error = E;

    #[inline(always)]
    fn split(output: Result<T, E>) -> Result<T, E> {
        output
    }
}

/// Calls `f` with `0..len`; goes on behind a call that panics.
fn each(len: usize, f: impl FnMut(usize)) {
    struct Rest<F: FnMut(usize)> {
        next: usize,
        len: usize,
        f: F,
    }
    impl<F: FnMut(usize)> Rest<F> {
        fn run(&mut self) {
            while self.next < self.len {
                self.next += 1;
                (self.f)(self.next - 1);
            }
        }
    }
    impl<F: FnMut(usize)> Drop for Rest<F> {
        fn drop(&mut self) {
            self.run();
        }
    }
    Rest { next: 0, len, f }.run();
}
