//! A bounded ring of slots, for any number of putters and getters: one compare-and-swap and one store an operation.
//!
//! After Vyukov; with laps instead of one running number, so that any capacity works, 1 too, and so that a queue may run for
//! ever on 32 bits.
#![allow(unsafe_code)]
// STATE       head, tail: lap | CLOSED (tail only) | index;  a slot: lap, or lap | FULL
//                 T1 claim     tail -> the next place, when its slot is at tail's lap;      T2 publish  slot: lap -> lap | FULL
//                 T3 take      head -> the next place, when its slot is at head's lap and FULL; T4 free  slot: -> the next lap
//                 T5 close     tail -> tail | CLOSED
// INVARIANTS  I1 a slot belongs to whoever did T1 until it does T2, and to whoever did T3 until it does T4.
//             I2 a slot that is FULL holds an item.
//             I3 head is not ahead of tail, tail is at most the capacity ahead of head; no T1 after T5.
//             I4 a pocket is touched by the one poll, drop or call that has its future, or itself, in hand.
//             I5 a pocket that is full holds an item, which it drops unless that is moved out.
// EDGES       E1 T2 (release) -> T3's look at the slot (acquire): the item is seen.
//             E2 T4 (release) -> T1's look at the slot (acquire): the last item was moved out before the next is moved in.
//             E3 T1 and T3 are followed by a fence: who gets in line and then finds nothing claimed is seen by the claimer.
// INTERRUPT   all of it: nobody waits for the other between T1 and T2 or T3 and T4. Masked there with `critical-section`.
use core::{cell::Cell, mem::MaybeUninit};

#[cfg(feature = "alloc")]
use alloc::boxed::Box;
#[cfg(feature = "alloc")]
use crossbeam_utils::CachePadded;

use super::buffer::{Nothing, Refused, Store};
use crate::sys::{
    self, Mask, Panics,
    atomic::{AtomicUsize, Ordering::*},
    cell::UnsafeCell,
    const_fn,
};

/// In a slot's word: it holds an item.
const FULL: usize = 1;

/// Room for one item.
pub struct Slot<T> {
    lap: AtomicUsize,
    item: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: I1: an item is moved in by one thread and out by another, never shared: so `T: Sync` is not needed.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { lap: AtomicUsize::new(0), item: UnsafeCell::new(MaybeUninit::uninit()) }
        }
    }

    /// Between T1 and T2: moves in what is in a pocket. One copy.
    #[inline(always)]
    fn fill(&self, from: &Pocket<T>) {
        assert!(from.full.replace(false), "the pocket is empty");
        // SAFETY: I1: the caller's alone; E2: the last item is out. I4, I5: the pocket's has been given up above.
        self.item.with_mut(|at| unsafe { at.copy_from_nonoverlapping(from.item.as_ptr(), 1) });
    }

    /// Between T1 and T2: moves in. One copy.
    #[inline(always)]
    fn put(&self, item: T) {
        // SAFETY: I1: the caller's alone; E2: the last item is out.
        self.item.with_mut(|at| unsafe { at.cast::<T>().write(item) });
    }

    /// Between T3 and T4: moves out, into an empty pocket. One copy.
    #[inline(always)]
    fn empty(&self, to: &Pocket<T>) {
        debug_assert!(!to.full.get());
        // SAFETY: I1: the caller's alone; I2, E1: there is an item, which is the pocket's below. I4, I5: that was empty.
        self.item.with_mut(|at| unsafe { to.item.as_ptr().copy_from_nonoverlapping(at, 1) });
        to.full.set(true);
    }

    /// Between T3 and T4: moves out. One copy.
    #[inline(always)]
    fn take(&self) -> T {
        // SAFETY: I1: the caller's alone; I2, E1: there is an item, which is the caller's from here on.
        self.item.with_mut(|at| unsafe { at.cast::<T>().read() })
    }
}

/// Where slots are kept.
pub trait Slots {
    /// What is in them.
    type Item;

    /// All of them, at least one.
    fn slots(&self) -> &[Slot<Self::Item>];

    /// The bit CLOSED: a power of two above every index.
    fn closed(&self) -> usize;
}

/// The bit above all indices of `n` slots.
const fn closed_bit(n: usize) -> usize {
    assert!(n > 0, "a queue has room for at least one item");
    assert!(n < usize::MAX / 8, "a queue of this capacity does not fit into memory");
    (n + 1).next_power_of_two()
}

/// Slots in place.
pub struct Fixed<T, const N: usize>([Slot<T>; N]);

impl<T, const N: usize> Fixed<T, N> {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self(sys::array![Slot::new(); N])
        }
    }
}

impl<T, const N: usize> Slots for Fixed<T, N> {
    type Item = T;

    #[inline(always)]
    fn slots(&self) -> &[Slot<T>] {
        &self.0
    }

    #[inline(always)]
    fn closed(&self) -> usize {
        const { closed_bit(N) }
    }
}

/// Slots on the heap.
#[cfg(feature = "alloc")]
pub struct Boxed<T> {
    slots: Box<[Slot<T>]>,
    closed: usize,
}

#[cfg(feature = "alloc")]
impl<T> Boxed<T> {
    fn new(n: usize) -> Self {
        let closed = closed_bit(n);
        Self { slots: (0..n).map(|_| Slot::new()).collect(), closed }
    }
}

#[cfg(feature = "alloc")]
impl<T> Slots for Boxed<T> {
    type Item = T;

    #[inline(always)]
    fn slots(&self) -> &[Slot<T>] {
        &self.slots
    }

    #[inline(always)]
    fn closed(&self) -> usize {
        self.closed
    }
}

/// A place in the ring, in its own cache line or not.
pub trait Place {
    /// The number.
    fn at(&self) -> &AtomicUsize;
}

impl Place for AtomicUsize {
    #[inline(always)]
    fn at(&self) -> &AtomicUsize {
        self
    }
}

#[cfg(feature = "alloc")]
impl Place for CachePadded<AtomicUsize> {
    #[inline(always)]
    fn at(&self) -> &AtomicUsize {
        self
    }
}

/// The ring.
pub struct Ring<S: Slots, P: Place> {
    tail: P,
    head: P,
    slots: S,
}

impl<T, const N: usize> Ring<Fixed<T, N>, AtomicUsize> {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { tail: AtomicUsize::new(0), head: AtomicUsize::new(0), slots: Fixed::new() }
        }
    }
}

#[cfg(feature = "alloc")]
impl<T> Ring<Boxed<T>, CachePadded<AtomicUsize>> {
    pub(super) fn boxed(n: usize) -> Self {
        let place = || CachePadded::new(AtomicUsize::new(0));
        Self { tail: place(), head: place(), slots: Boxed::new(n) }
    }
}

impl<S: Slots, P: Place> Ring<S, P> {
    /// The slot at a place, and the lap.
    #[inline(always)]
    fn slot(&self, place: usize) -> (&Slot<S::Item>, usize) {
        let closed = self.slots.closed();
        (&self.slots.slots()[place & (closed - 1)], place & !(2 * closed - 1))
    }

    /// The place after one that is not CLOSED.
    #[inline(always)]
    fn after(&self, place: usize) -> usize {
        let closed = self.slots.closed();
        if (place & (closed - 1)) + 1 < self.slots.slots().len() {
            place + 1
        } else {
            (place & !(2 * closed - 1)).wrapping_add(2 * closed)
        }
    }

    #[inline(always)]
    pub(super) fn head(&self) -> usize {
        self.head.at().load(Acquire) // ORDER: E3 acquire: whatever a getter did that took before
    }

    /// With CLOSED.
    #[inline(always)]
    fn tail(&self) -> usize {
        self.tail.at().load(Acquire) // ORDER: E3 acquire: whatever a putter or a closer did before
    }

    /// T3 and T4, and in between what is to be done.
    #[inline(always)]
    fn get_by<R>(&self, take: impl FnOnce(&Slot<S::Item>) -> R) -> Result<R, Nothing> {
        let mask = Mask::enter();
        let mut head = self.head.at().load(Relaxed); // ORDER: relaxed: only a guess, checked by compare-and-swap
        loop {
            let (slot, lap) = self.slot(head);
            // ORDER: E1 acquire
            if slot.lap.load(Acquire) == lap | FULL {
                // T3. ORDER: E3 release and acquire; a failure is a guess again
                match self.head.at().compare_exchange_weak(head, self.after(head), AcqRel, Relaxed) {
                    Ok(_) => {
                        sys::fence_after_rmw(); // E3
                        let item = take(slot);
                        slot.lap.store(lap.wrapping_add(2 * self.slots.closed()), Release); // T4. ORDER: E2 release
                        mask.leave();
                        return Ok(item);
                    }
                    Err(now) => head = now,
                }
            } else {
                // Empty, or somebody is moving an item into it; unless the place is an old one.
                let now = self.head.at().load(Relaxed); // ORDER: relaxed: only a guess, after the slot (acquire)
                if now == head {
                    let drained = self.tail() == head | self.slots.closed();
                    return Err(if drained { Nothing::Drained } else { Nothing::Empty });
                }
                head = now;
            }
        }
    }

    /// T1 and T2, and in between what is to be done with `from`, which comes back else.
    #[inline(always)]
    fn put_by<F>(&self, from: F, fill: impl FnOnce(&Slot<S::Item>, F)) -> Result<(), (Refused, F)> {
        let mask = Mask::enter();
        let mut tail = self.tail.at().load(Relaxed); // ORDER: relaxed: only a guess, checked by compare-and-swap
        loop {
            if tail & self.slots.closed() != 0 {
                return Err((Refused::Closed, from)); // I3
            }
            let (slot, lap) = self.slot(tail);
            // ORDER: E2 acquire
            if slot.lap.load(Acquire) == lap {
                // T1. ORDER: E3 release and acquire; a failure is a guess again
                match self.tail.at().compare_exchange_weak(tail, self.after(tail), AcqRel, Relaxed) {
                    Ok(_) => {
                        sys::fence_after_rmw(); // E3
                        fill(slot, from);
                        slot.lap.store(lap | FULL, Release); // T2. ORDER: E1 release
                        mask.leave();
                        return Ok(());
                    }
                    Err(now) => tail = now,
                }
            } else {
                // Full, or somebody is moving the last item out of it; unless the place is an old one.
                let now = self.tail.at().load(Relaxed); // ORDER: relaxed: only a guess, after the slot (acquire)
                if now == tail {
                    return Err((Refused::Full, from));
                }
                tail = now;
            }
        }
    }
}

impl<S: Slots, P: Place> Store for Ring<S, P> {
    type Item = S::Item;

    #[inline(always)]
    fn begin_put(&self, pocket: &Pocket<S::Item>) -> Result<(), Refused> {
        self.put_by(pocket, Slot::fill).map_err(|(why, _)| why)
    }

    #[inline(always)]
    fn put_at_once(&self, item: S::Item) -> Result<(), (Option<Refused>, S::Item)> {
        self.put_by(item, Slot::put).map_err(|(why, item)| (Some(why), item))
    }

    #[inline(always)]
    fn begin_get(&self, pocket: &Pocket<S::Item>) -> Result<(), Nothing> {
        self.get_by(|slot| slot.empty(pocket))
    }

    #[inline(always)]
    fn get_at_once(&self) -> Option<Result<S::Item, Nothing>> {
        Some(self.get_by(Slot::take))
    }

    fn undo_get(&self, pocket: &Pocket<S::Item>) -> bool {
        // Its place is gone: it goes to the end.
        let _ = self.begin_put(pocket);
        true
    }

    fn close(&self) -> bool {
        let closed = self.slots.closed();
        self.tail.at().fetch_or(closed, AcqRel) & closed == 0 // T5. ORDER: E3 release and acquire
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.tail() & self.slots.closed() != 0
    }

    fn is_drained(&self) -> bool {
        let tail = self.tail();
        tail & self.slots.closed() != 0 && tail == self.head() | self.slots.closed()
    }

    fn len(&self) -> usize {
        // `head` first: later it may be ahead of this tail.
        let head = self.head();
        self.distance(head, self.puts()).min(self.slots.slots().len())
    }

    fn available(&self) -> usize {
        self.len()
    }

    fn room(&self) -> usize {
        self.slots.slots().len() - self.len()
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.slots.slots().len())
    }

    #[inline]
    fn puts(&self) -> usize {
        self.tail() & !self.slots.closed()
    }

    fn next(&self, place: usize) -> usize {
        self.after(place)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        let closed = self.slots.closed();
        let (below, lap) = (closed - 1, !(2 * closed - 1));
        let laps = (to & lap).wrapping_sub(from & lap) >> (2 * closed).trailing_zeros();
        laps.wrapping_mul(self.slots.slots().len()).wrapping_add(to & below).wrapping_sub(from & below)
    }
}

#[cfg(all(test, feature = "std", not(testudo_loom)))]
impl<S: Slots, P: Place> Ring<S, P> {
    /// As if it had been used until its last lap, after which all numbers wrap.
    pub(super) fn set_last_lap(&self) {
        let lap = !(2 * self.slots.closed() - 1);
        let laps = self.slots.slots().iter().map(|slot| &slot.lap);
        // ORDER: relaxed: one thread
        laps.chain([self.tail.at(), self.head.at()]).for_each(|number| number.store(lap, Relaxed));
    }
}

impl<S: Slots, P: Place> Drop for Ring<S, P> {
    fn drop(&mut self) {
        let mut panics = Panics::new();
        let pocket = Pocket::empty();
        while self.begin_get(&pocket).is_ok() {
            panics.catch(|| drop(pocket.take()));
        }
        panics.resume();
    }
}

/// What a putter is about to put, or what a getter has got and not yet handed out.
pub struct Pocket<T> {
    item: Cell<MaybeUninit<T>>,
    /// It holds an item (I5).
    full: Cell<bool>,
    begun: Cell<bool>,
}

// SAFETY: I4: a shared pocket is not touched; what is in it is moved, never shared: so `T: Sync` is not needed.
unsafe impl<T: Send> Sync for Pocket<T> {}

impl<T> Pocket<T> {
    #[inline(always)]
    pub(super) const fn empty() -> Self {
        Self { item: Cell::new(MaybeUninit::uninit()), full: Cell::new(false), begun: Cell::new(false) }
    }

    #[inline(always)]
    pub(super) const fn with(item: T) -> Self {
        Self { item: Cell::new(MaybeUninit::new(item)), full: Cell::new(true), begun: Cell::new(false) }
    }

    #[inline(always)]
    pub(super) fn put(&self, item: T) {
        debug_assert!(!self.full.get());
        self.item.set(MaybeUninit::new(item));
        self.full.set(true);
    }

    /// What has to be in it.
    #[inline(always)]
    pub(super) fn take(&self) -> T {
        assert!(self.full.replace(false), "the pocket is empty");
        // SAFETY: I5 (looked at above): from here on it is the caller's. I4: nobody else reads or writes it.
        unsafe { self.item.as_ptr().cast::<T>().read() }
    }

    #[inline(always)]
    pub(super) fn try_take(&self) -> Option<T> {
        self.full.get().then(|| self.take())
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        !self.full.get()
    }

    /// Its holder has a right to an item, or to room.
    #[inline(always)]
    pub(super) fn begin(&self) {
        self.begun.set(true);
    }

    #[inline(always)]
    pub(super) fn has_begun(&self) -> bool {
        self.begun.get()
    }
}

impl<T> Drop for Pocket<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.full.replace(false) {
            // SAFETY: I5 (looked at above), and dropped once: it is no longer full.
            unsafe { self.item.get_mut().assume_init_drop() };
        }
    }
}
