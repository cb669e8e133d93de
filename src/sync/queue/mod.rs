//! A buffer between tasks: those who put wait while it is full, those who get wait while it is empty.

use core::fmt;

#[cfg(feature = "alloc")]
#[allow(missing_debug_implementations, reason = "nobody outside can name the store")]
mod any;
mod array;
#[allow(missing_debug_implementations, reason = "nobody outside can name the store")]
mod buffer;
#[cfg(feature = "alloc")]
#[allow(missing_debug_implementations, reason = "nobody outside can name the store")]
mod chain;
#[cfg(feature = "alloc")]
#[allow(missing_debug_implementations, reason = "nobody outside can name the store")]
mod heap;
mod methods;
#[allow(missing_debug_implementations, reason = "nobody outside can name the store")]
mod ring;
mod wait;

#[cfg(feature = "alloc")]
pub use any::Queue;
pub use array::ArrayQueue;
pub use wait::{Get, Put, PutAll, QueueJoin, QueueStream};

/// What items are put into and got from: a queue. Sealed.
pub trait Buffer: sealed::Sealed {
    /// What is in it.
    type Item;

    #[doc(hidden)]
    type Store: buffer::Store<Item = Self::Item>;

    #[doc(hidden)]
    fn shared(&self) -> &buffer::Shared<Self::Store>;
}

mod sealed {
    pub trait Sealed {}
}

/// The queue is closed; a refused item is in it. Not the [`Closed`](crate::flow::Closed) of generators.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Closed<T = ()>(pub T);

impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Closed").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is closed")
    }
}

impl<T> core::error::Error for Closed<T> {}

/// An item was not put, and is in here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TryPutError<T> {
    /// There is no room now.
    Full(T),
    /// There will be none any more.
    Closed(T),
}

impl<T> TryPutError<T> {
    /// Returns the item.
    ///
    /// # Examples
    /// ```
    /// let queue = testudo::ArrayQueue::<_, 1>::new();
    /// queue.try_put(1).unwrap();
    /// assert_eq!(queue.try_put(2).unwrap_err().into_inner(), 2);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }

    /// Says whether there was no room, and may be later.
    ///
    /// # Examples
    /// ```
    /// let queue = testudo::ArrayQueue::<_, 1>::new();
    /// queue.try_put(1).unwrap();
    /// assert!(queue.try_put(2).unwrap_err().is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl<T> fmt::Debug for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(if self.is_full() { "Full" } else { "Closed" }).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "the queue is full" } else { "the queue is closed" })
    }
}

impl<T> core::error::Error for TryPutError<T> {}

/// There was no item to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryGetError {
    /// Not now.
    Empty,
    /// And there will be none any more.
    Closed,
}

impl fmt::Display for TryGetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty",
            Self::Closed => "the queue is closed and empty",
        })
    }
}

impl core::error::Error for TryGetError {}

/// `task_done` was called more often than items were put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooManyDone;

impl fmt::Display for TooManyDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task_done was called more often than items were put")
    }
}

impl core::error::Error for TooManyDone {}
