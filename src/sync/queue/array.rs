//! A queue without allocation.
use core::fmt;

use super::{
    Buffer, Get, Put, PutAll, QueueJoin, QueueStream, TooManyDone, TryGetError, TryPutError,
    buffer::Shared,
    methods::queue_methods,
    ring::{Fixed, Ring},
    sealed::Sealed,
};
use crate::{
    sys::{atomic::AtomicUsize, const_fn},
    wait::Handle,
};

/// A first-in, first-out queue of up to `N` items, which are kept in place: no allocation.
///
/// Any number of tasks put and get. Putting and getting are lock-free: one compare-and-swap each while nobody waits.
///
/// # asyncio
/// `asyncio.Queue(maxsize=N)` of 3.13; `shutdown()` is [`close`](ArrayQueue::close), `shutdown(immediate=True)` is
/// [`close_now`](ArrayQueue::close_now).
///
/// # Fairness
/// First come, first served, but for those who ask while there is an item, or room: they may get in before the first in
/// line 64 times, then it is served next; not counted are those who asked before it was in line, those who are getting in at
/// that very moment, and those who were offered something too and come for it sooner.
///
/// # Interrupts
/// `try_put`, `try_get` and everything that says something: lock-free, from interrupts too.
///
/// # Memory ordering
/// What was done before an item was put is seen by who gets it.
///
/// # Examples
/// ```
/// static ORDERS: testudo::ArrayQueue<&str, 8> = testudo::ArrayQueue::new();
///
/// let kitchen = std::thread::spawn(|| ORDERS.get_blocking());
/// ORDERS.try_put("soup").unwrap();
/// assert_eq!(kitchen.join().unwrap(), Ok("soup"));
/// ```
#[doc(alias = "Channel")]
pub struct ArrayQueue<T, const N: usize> {
    shared: Shared<Ring<Fixed<T, N>, AtomicUsize>>,
}

impl<T, const N: usize> ArrayQueue<T, N> {
    const_fn! {
        /// Returns an empty queue.
        ///
        /// # Panics
        /// Does not compile if `N` is 0.
        ///
        /// # Examples
        /// ```
        /// static ORDERS: testudo::ArrayQueue<&str, 8> = testudo::ArrayQueue::new();
        /// assert_eq!(ORDERS.capacity(), 8);
        /// ```
        pub const fn new() -> Self {
            const { assert!(N > 0, "an ArrayQueue has room for at least one item") };
            Self { shared: Shared::new(Ring::new()) }
        }
    }

    /// Says how many items there may be.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::ArrayQueue::<u8, 2>::new().capacity(), 2);
    /// ```
    #[doc(alias = "maxsize")]
    pub const fn capacity(&self) -> usize {
        N
    }
}

queue_methods! { [T, const N: usize] ArrayQueue<T, N>, "testudo::ArrayQueue::<_, 2>::new()", "ArrayQueue",
"May be called from interrupts. O(1), and O(waiters woken): one.\n\nWhile somebody is in the middle of the opposite operation on the \
very slot, this says Full, or Empty, and does not wait." }

impl<T, const N: usize> Default for ArrayQueue<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Sealed for ArrayQueue<T, N> {}

impl<T, const N: usize> Buffer for ArrayQueue<T, N> {
    type Item = T;
    type Store = Ring<Fixed<T, N>, AtomicUsize>;

    #[inline(always)]
    fn shared(&self) -> &Shared<Self::Store> {
        &self.shared
    }
}
