//! Items behind a lock: last in first out, or smallest first.
//!
//! Counters say who may put and get; the lock, taken outside the list flags, is held for the move of one item alone, and for
//! the comparisons of `T: Ord`, which are foreign code.
// STATE       all counters count in steps of ONE and wrap; bit 0 of tail is CLOSED
//                 T1 begin a put   tail += 1 if not CLOSED and tail - freed < capacity
//                 T2 end a put     under the lock: the item goes in, ready += 1
//                 T3 begin a get   head += 1 if head is behind ready
//                 T4 end a get     under the lock: an item comes out, freed += 1
//                 T5 close         tail -> tail | CLOSED
// INVARIANTS  I1 head <= ready <= tail, freed <= head: whoever did T3 finds an item at T4.
//             I2 a comparison that panics leaves all items in, in some order; a T2 has been done then, a T4 has not.
// EDGES       E1 T2 (release) -> T3 (acquire): the items that a getter may have are in.
//             E2 T2 and T4 end with a fence, and joiners and waiters look after one: who gets in line and then sees no change is seen.
// INTERRUPT   none of it: the lock may be held by what was interrupted. Masked with `critical-section`, comparisons included.
use alloc::vec::Vec;
use core::cmp::Ordering as Order;

use super::{
    buffer::{Nothing, Refused, Store},
    ring::Pocket,
};
use crate::{
    sync::{Mutex, MutexGuard},
    sys::{
        self, Mask, Spin,
        atomic::{AtomicUsize, Ordering::*},
    },
};

/// Items of which the one with the smallest `T`, then the smallest number, comes out first: a binary heap.
pub(super) struct Heap<T> {
    items: Vec<(T, u64)>,
    count: u64,
    compare: fn(&T, &T) -> Order,
}

impl<T> Heap<T> {
    fn is_before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.items[a], &self.items[b]);
        (self.compare)(&a.0, &b.0).then(a.1.cmp(&b.1)).is_lt()
    }

    fn push(&mut self, item: T, number: u64) {
        let mut at = self.items.len();
        self.items.push((item, number));
        while at > 0 && self.is_before(at, (at - 1) / 2) {
            self.items.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn pop(&mut self) -> Option<T> {
        // I2: nothing is taken out before all is compared.
        let last = self.items.len().checked_sub(1)?;
        self.items.swap(0, last);
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let least = if right < last && self.is_before(right, left) { right } else { left };
            if least >= last || !self.is_before(least, at) {
                break;
            }
            self.items.swap(at, least);
            at = least;
        }
        self.items.pop().map(|(item, _)| item)
    }
}

/// In which order items come out.
pub(super) enum Kept<T> {
    Lifo(Vec<T>),
    Heap(Heap<T>),
}

impl<T> Kept<T> {
    pub(super) fn heap() -> Self
    where
        T: Ord,
    {
        Self::Heap(Heap { items: Vec::new(), count: 0, compare: T::cmp })
    }

    fn push(&mut self, item: T) {
        match self {
            Self::Lifo(items) => items.push(item),
            Self::Heap(heap) => {
                heap.count += 1;
                heap.push(item, heap.count);
            }
        }
    }

    fn pop(&mut self) -> Option<T> {
        match self {
            Self::Lifo(items) => items.pop(),
            Self::Heap(heap) => heap.pop(),
        }
    }

    /// Puts back what was popped, in front.
    fn push_front(&mut self, item: T) {
        match self {
            Self::Lifo(items) => items.push(item),
            Self::Heap(heap) => heap.push(item, 0),
        }
    }
}

const CLOSED: usize = 1;
const ONE: usize = 2;

/// The items, and who may put and get.
pub struct Locked<T> {
    kept: Mutex<Kept<T>>,
    /// In steps of ONE.
    capacity: usize,
    tail: AtomicUsize,
    ready: AtomicUsize,
    head: AtomicUsize,
    freed: AtomicUsize,
}

impl<T> Locked<T> {
    /// At most `capacity` items; with `usize::MAX` any number.
    pub(super) fn new(kept: Kept<T>, capacity: usize) -> Self {
        assert_ne!(capacity, 0, "a queue has room for at least one item");
        let capacity = capacity.saturating_mul(ONE);
        let zero = || AtomicUsize::new(0);
        Self { kept: Mutex::new(kept), capacity, tail: zero(), ready: zero(), head: zero(), freed: zero() }
    }

    fn lock(&self) -> (MutexGuard<'_, Kept<T>>, Mask) {
        let mask = Mask::enter();
        let spin = Spin::new();
        loop {
            match self.kept.try_lock() {
                Some(guard) => return (guard, mask),
                None => spin.pause(),
            }
        }
    }

    fn add(counter: &AtomicUsize, n: usize) {
        counter.fetch_add(n, AcqRel); // ORDER: E1 release
        sys::fence_after_rmw(); // E2
    }

    fn load(counter: &AtomicUsize) -> usize {
        counter.load(Acquire) // ORDER: E1 acquire
    }

    /// T1 or T3.
    fn change(counter: &AtomicUsize, f: impl FnMut(usize) -> Option<usize>) -> Result<usize, usize> {
        counter.fetch_update(AcqRel, Acquire, f) // ORDER: E1 acquire: the other counters are looked at after this one
    }
}

/// T2, whatever the comparisons do (I2).
struct Ready<'a>(&'a AtomicUsize);

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(ONE, AcqRel); // ORDER: E1 release
        sys::fence_after_rmw(); // E2
    }
}

/// Takes a T3 back, whatever the comparisons do (I2).
struct Untaken<'a>(&'a AtomicUsize);

impl Drop for Untaken<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(ONE, AcqRel); // ORDER: E1 release
        sys::fence_after_rmw(); // E2
    }
}

impl<T> Store for Locked<T> {
    type Item = T;

    #[inline(never)]
    fn begin_put(&self, pocket: &Pocket<T>) -> Result<(), Refused> {
        let room = |tail: usize| tail.wrapping_sub(Self::load(&self.freed)) < self.capacity;
        let tried = Self::change(&self.tail, |tail| {
            (tail & CLOSED == 0 && (self.capacity == usize::MAX || room(tail))).then_some(tail.wrapping_add(ONE))
        });
        match tried {
            Ok(_) => {
                pocket.begin();
                Ok(())
            }
            Err(tail) => Err(if tail & CLOSED != 0 { Refused::Closed } else { Refused::Full }),
        }
    }

    #[inline(never)]
    fn end_put(&self, pocket: &Pocket<T>) {
        let Some(item) = pocket.try_take() else { return };
        let _ready = Ready(&self.ready); // after the lock is free again
        let (mut kept, mask) = self.lock();
        kept.push(item);
        drop(kept);
        mask.leave();
    }

    #[inline(never)]
    fn begin_get(&self, _: &Pocket<T>) -> Result<(), Nothing> {
        let tried = Self::change(&self.head, |head| {
            let some = head != Self::load(&self.ready);
            some.then_some(head.wrapping_add(ONE))
        });
        match tried {
            Ok(_) => Ok(()),
            Err(head) if Self::load(&self.tail) == head | CLOSED => Err(Nothing::Drained),
            Err(_) => Err(Nothing::Empty),
        }
    }

    #[inline(never)]
    fn end_get(&self, pocket: &Pocket<T>) {
        if !pocket.is_empty() {
            return;
        }
        let (mut kept, mask) = self.lock();
        let item = kept.pop();
        drop(kept);
        mask.leave();
        pocket.put(item.unwrap_or_else(|| unreachable!("a getter that has begun finds an item"))); // I1
        Self::add(&self.freed, ONE);
    }

    fn undo_get(&self, pocket: &Pocket<T>) -> bool {
        let _untaken = Untaken(&self.head); // after the lock is free again
        if let Some(item) = pocket.try_take() {
            Self::add(&self.freed, 0_usize.wrapping_sub(ONE));
            let (mut kept, mask) = self.lock();
            kept.push_front(item);
            drop(kept);
            mask.leave();
        }
        false
    }

    fn close(&self) -> bool {
        self.tail.fetch_or(CLOSED, AcqRel) & CLOSED == 0 // T5. ORDER: E1 release and acquire
    }

    fn is_closed(&self) -> bool {
        Self::load(&self.tail) & CLOSED != 0
    }

    fn is_drained(&self) -> bool {
        let tail = Self::load(&self.tail);
        tail & CLOSED != 0 && tail == Self::load(&self.head) | CLOSED
    }

    fn len(&self) -> usize {
        let head = Self::load(&self.head);
        let ready = Self::load(&self.ready);
        ready.wrapping_sub(head) / ONE
    }

    fn available(&self) -> usize {
        self.len()
    }

    fn room(&self) -> usize {
        let freed = Self::load(&self.freed);
        let used = self.puts().wrapping_sub(freed);
        self.capacity.saturating_sub(used) / ONE
    }

    fn capacity(&self) -> Option<usize> {
        (self.capacity != usize::MAX).then_some(self.capacity / ONE)
    }

    fn puts(&self) -> usize {
        Self::load(&self.tail) & !CLOSED
    }

    fn next(&self, puts: usize) -> usize {
        puts.wrapping_add(ONE)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) / ONE
    }
}

#[cfg(all(test, feature = "std", not(testudo_loom)))]
impl<T> Locked<T> {
    /// As if it had been used until the third item from now, after which all numbers wrap.
    pub(super) fn set_last_lap(&self) {
        for counter in [&self.tail, &self.ready, &self.head, &self.freed] {
            counter.store(0_usize.wrapping_sub(3 * ONE), Relaxed); // ORDER: relaxed: one thread
        }
    }
}
