//! A queue on the heap: bounded or not, in one of three orders.
use core::fmt;

use alloc::vec::Vec;
use crossbeam_utils::CachePadded;

use super::{
    Buffer, Get, Put, PutAll, QueueJoin, QueueStream, TooManyDone, TryGetError, TryPutError,
    buffer::{Nothing, Refused, Shared, Store},
    chain::Chain,
    heap::{Kept, Locked},
    methods::queue_methods,
    ring::{Boxed, Pocket, Ring},
    sealed::Sealed,
};
use crate::{sys::atomic::AtomicUsize, wait::Handle};

/// A queue of items, on the heap.
///
/// | made by | order | capacity | kept in | `try_put`, `try_get` in interrupts |
/// |---|---|---|---|---|
/// | [`bounded(n)`](Queue::bounded) | first in, first out | n | a lock-free ring, allocated at once | yes |
/// | [`unbounded()`](Queue::unbounded) | first in, first out | any | lock-free rings, each twice as large as the one before, which stay until it is dropped | no |
/// | [`lifo(n)`](Queue::lifo) | last in, first out | n | a `Vec` behind an internal lock | no |
/// | [`priority(n)`](Queue::priority) | smallest first, then first in | n | a heap behind an internal lock | no |
///
/// The internal lock is held for the move of one item, and for the comparisons of `T: Ord`, which must not use this queue.
///
/// # asyncio
/// `asyncio.Queue`, `LifoQueue` and `PriorityQueue` of 3.13; `shutdown()` is [`close`](Queue::close),
/// `shutdown(immediate=True)` is [`close_now`](Queue::close_now). Of equal items the first in comes out first.
///
/// # Fairness
/// First come, first served, but for those who ask while there is an item, or room: they may get in before the first in
/// line 64 times, then it is served next; not counted are those who asked before it was in line, those who are getting in at
/// that very moment, and those who were offered something too and come for it sooner.
///
/// # Memory ordering
/// What was done before an item was put is seen by who gets it.
///
/// # Examples
/// ```
/// use testudo::{Queue, run::block_on};
///
/// let orders = Queue::bounded(2);
/// let served = std::thread::scope(|s| {
///     s.spawn(|| {
///         ["soup", "bread", "tea"].map(|order| orders.put_blocking(order).unwrap());
///         orders.close();
///     });
///     block_on(async {
///         let mut served = Vec::new();
///         while let Ok(order) = orders.get().await {
///             served.push(order);
///         }
///         served
///     })
/// });
/// assert_eq!(served, ["soup", "bread", "tea"]);
/// ```
#[doc(alias = "Channel")]
#[doc(alias = "LifoQueue")]
#[doc(alias = "PriorityQueue")]
#[doc(alias = "mpsc")]
pub struct Queue<T> {
    shared: Shared<Any<T>>,
}

impl<T> Queue<T> {
    /// Returns an empty queue of up to `n` items: first in, first out.
    ///
    /// # Panics
    /// If `n` is 0: asyncio's `maxsize=0` is [`unbounded`](Queue::unbounded).
    ///
    /// # Examples
    /// ```
    /// let queue = testudo::Queue::bounded(1);
    /// queue.try_put('a').unwrap();
    /// assert!(queue.try_put('b').is_err());
    /// ```
    pub fn bounded(n: usize) -> Self {
        Self { shared: Shared::new(Any::Ring(Ring::boxed(n))) }
    }

    /// Returns an empty queue of any number of items: first in, first out.
    ///
    /// Room is allocated as it is needed, and kept until the queue is dropped: at most four times the most items there were.
    ///
    /// # Examples
    /// ```
    /// let queue = testudo::Queue::unbounded();
    /// (0..1000).for_each(|i| queue.try_put(i).unwrap());
    /// assert_eq!(queue.try_get(), Ok(0));
    /// ```
    pub fn unbounded() -> Self {
        Self { shared: Shared::new(Any::Chain(Chain::new())) }
    }

    /// Returns an empty queue of up to `n` items: last in, first out.
    ///
    /// # Panics
    /// If `n` is 0. With `usize::MAX` it is unbounded.
    ///
    /// # Examples
    /// ```
    /// let queue = testudo::Queue::lifo(2);
    /// ['a', 'b'].map(|item| queue.try_put(item).unwrap());
    /// assert_eq!(queue.try_get(), Ok('b'));
    /// ```
    #[doc(alias = "LifoQueue")]
    #[doc(alias = "stack")]
    pub fn lifo(n: usize) -> Self {
        Self::locked(Kept::Lifo(Vec::new()), n)
    }

    /// Returns an empty queue of up to `n` items: smallest first, and among equals first in, first out.
    ///
    /// `Queue<Reverse<T>>`, with `core::cmp::Reverse`, is largest first.
    ///
    /// A comparison that panics lets the operation panic that needed it; no item is lost, but the order may be.
    ///
    /// # Panics
    /// If `n` is 0. With `usize::MAX` it is unbounded.
    ///
    /// # Examples
    /// ```
    /// let queue = testudo::Queue::priority(3);
    /// [(2, "tea"), (1, "soup"), (1, "bread")].map(|item| queue.try_put(item).unwrap());
    /// assert_eq!(queue.try_get(), Ok((1, "bread")));
    /// ```
    #[doc(alias = "PriorityQueue")]
    #[doc(alias = "heap")]
    pub fn priority(n: usize) -> Self
    where
        T: Ord,
    {
        Self::locked(Kept::heap(), n)
    }

    fn locked(kept: Kept<T>, capacity: usize) -> Self {
        Self { shared: Shared::new(Any::Locked(Locked::new(kept, capacity))) }
    }

    /// Says how many items there may be; `None`: any number.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::Queue::<u8>::bounded(2).capacity(), Some(2));
    /// assert_eq!(testudo::Queue::<u8>::unbounded().capacity(), None);
    /// ```
    #[doc(alias = "maxsize")]
    pub fn capacity(&self) -> Option<usize> {
        self.shared.store().capacity()
    }
}

queue_methods! { [T] Queue<T>, "testudo::Queue::bounded(2)", "Queue",
"Of a bounded queue, may be called from interrupts. O(1), and O(waiters woken): one.\n\nWhile somebody is in the middle of \
the opposite operation on the very slot, this says Full, or Empty, and does not wait." }

impl<T> Sealed for Queue<T> {}

impl<T> Buffer for Queue<T> {
    type Item = T;
    type Store = Any<T>;

    #[inline(always)]
    fn shared(&self) -> &Shared<Any<T>> {
        &self.shared
    }
}

/// One of the stores.
#[allow(clippy::large_enum_variant, reason = "one a queue, and the padding of the larger one is meant")]
pub enum Any<T> {
    Ring(Ring<Boxed<T>, CachePadded<AtomicUsize>>),
    Chain(Chain<T>),
    Locked(Locked<T>),
}

macro_rules! either {
    ($this:expr, $store:ident => $call:expr) => {
        match $this {
            Any::Ring($store) => $call,
            Any::Chain($store) => $call,
            Any::Locked($store) => $call,
        }
    };
}

impl<T> Store for Any<T> {
    type Item = T;

    #[inline(always)]
    fn begin_put(&self, pocket: &Pocket<T>) -> Result<(), Refused> {
        either!(self, store => store.begin_put(pocket))
    }

    #[inline(always)]
    fn end_put(&self, pocket: &Pocket<T>) {
        either!(self, store => store.end_put(pocket));
    }

    #[inline(always)]
    fn put_at_once(&self, item: T) -> Result<(), (Option<Refused>, T)> {
        either!(self, store => store.put_at_once(item))
    }

    #[inline(always)]
    fn begin_get(&self, pocket: &Pocket<T>) -> Result<(), Nothing> {
        either!(self, store => store.begin_get(pocket))
    }

    #[inline(always)]
    fn end_get(&self, pocket: &Pocket<T>) {
        either!(self, store => store.end_get(pocket));
    }

    #[inline(always)]
    fn get_at_once(&self) -> Option<Result<T, Nothing>> {
        either!(self, store => store.get_at_once())
    }

    fn undo_get(&self, pocket: &Pocket<T>) -> bool {
        either!(self, store => store.undo_get(pocket))
    }

    fn close(&self) -> bool {
        either!(self, store => store.close())
    }

    fn is_closed(&self) -> bool {
        either!(self, store => store.is_closed())
    }

    fn is_drained(&self) -> bool {
        either!(self, store => store.is_drained())
    }

    fn len(&self) -> usize {
        either!(self, store => store.len())
    }

    fn available(&self) -> usize {
        either!(self, store => store.available())
    }

    fn room(&self) -> usize {
        either!(self, store => store.room())
    }

    fn capacity(&self) -> Option<usize> {
        either!(self, store => store.capacity())
    }

    fn puts(&self) -> usize {
        either!(self, store => store.puts())
    }

    fn next(&self, puts: usize) -> usize {
        either!(self, store => store.next(puts))
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        either!(self, store => store.distance(from, to))
    }
}
