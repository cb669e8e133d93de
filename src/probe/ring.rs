//! The last N events, without allocation.
#![allow(unsafe_code)]
// STATE       slot: FREE --T1 claim--> BUSY --T2 write--> FULL --T3 claim--> BUSY --T4 taken--> FREE, or T2 again
// INVARIANTS  I1 the content of a slot is touched by whoever has made it BUSY, and is an event while it is FULL.
// EDGES       E1 T2 (release) -> T3 (acquire): the event.   E2 T4 (release) -> T1 (acquire): it is read before it is written.
// INTERRUPT   all of it: a slot that somebody else is at work on is passed over, and counted.
use core::{fmt, mem::MaybeUninit};

use super::{Event, Probe};
use crate::sys::{
    atomic::{AtomicUsize, Ordering::*},
    cell::UnsafeCell,
    const_fn,
};

const FREE: usize = 0;
const BUSY: usize = 1;
const FULL: usize = 2;

struct Slot {
    mark: AtomicUsize,
    event: UnsafeCell<MaybeUninit<Event>>,
}

/// Keeps the last `N` events, and counts those it had to let go. No allocation, no lock; may be told things in interrupts.
///
/// Firmware [dumps](Ring::dump) it over whatever it has, when it stalls or panics.
///
/// # Examples
/// ```
/// use testudo::{Mutex, probe::{self, Event, Probe, Ring}};
///
/// static RING: Ring<2> = Ring::new();
/// static PROBE: &dyn Probe = &RING;
///
/// probe::install(&PROBE);
/// let lock = Mutex::new(());
/// drop(lock.try_lock());
/// drop(lock.try_lock());
/// probe::remove(&PROBE);
///
/// let mut last = Vec::new();
/// assert_eq!(RING.dump(|event| last.push(*event)), 2); // let go
/// assert!(matches!(last[..], [Event::Acquired { .. }, Event::Released { .. }]));
/// assert!(RING.is_empty());
/// ```
pub struct Ring<const N: usize> {
    slots: [Slot; N],
    next: AtomicUsize,
    lost: AtomicUsize,
}

// SAFETY: I1: an event is Send, and the marks keep threads apart.
unsafe impl<const N: usize> Sync for Ring<N> {}

impl<const N: usize> Ring<N> {
    const_fn! {
        /// Returns an empty ring.
        ///
        /// # Examples
        /// ```
        /// static RING: testudo::probe::Ring<64> = testudo::probe::Ring::new();
        /// assert!(RING.is_empty());
        /// ```
        pub const fn new() -> Self {
            Self {
                slots: crate::sys::array![
                    Slot { mark: AtomicUsize::new(FREE), event: UnsafeCell::new(MaybeUninit::uninit()) }; N
                ],
                next: AtomicUsize::new(0),
                lost: AtomicUsize::new(0),
            }
        }
    }

    /// Returns how many events it has.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::probe::Ring::<4>::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        // ORDER: relaxed: a count
        self.slots.iter().filter(|slot| slot.mark.load(Relaxed) >= FULL).count()
    }

    /// Says whether it has none.
    ///
    /// # Examples
    /// ```
    /// assert!(testudo::probe::Ring::<4>::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the events out, the oldest first, and returns how many were let go since the last dump.
    ///
    /// # Examples
    /// ```
    /// let ring = testudo::probe::Ring::<4>::new();
    /// assert_eq!(ring.dump(|event| println!("{event:?}")), 0);
    /// ```
    pub fn dump(&self, mut f: impl FnMut(&Event)) -> usize {
        // ORDER: relaxed: the marks say what is there
        let next = self.next.load(Relaxed);
        for n in (0..N).map(|i| next.wrapping_add(i)) {
            let Some(slot) = self.slots.get(n % N.max(1)) else { break };
            // ORDER: relaxed: the exchange checks it
            let mark = slot.mark.load(Relaxed);
            // T3. ORDER: E1 acquire
            if mark < FULL || slot.mark.compare_exchange(mark, BUSY, Acquire, Relaxed).is_err() {
                continue;
            }
            // SAFETY: I1: BUSY by T3.
            let event = slot.event.with(|event| unsafe { event.read() });
            // SAFETY: I1: FULL before T3.
            let event = unsafe { event.assume_init() };
            // T4. ORDER: E2 release
            slot.mark.store(FREE, Release);
            f(&event);
        }
        // ORDER: relaxed: a count
        self.lost.swap(0, Relaxed)
    }

    fn lose(&self) {
        // ORDER: relaxed: a count
        self.lost.fetch_add(1, Relaxed);
    }
}

impl<const N: usize> Probe for Ring<N> {
    fn event(&self, event: &Event) {
        // ORDER: relaxed: it only spreads the events
        let n = self.next.fetch_add(1, Relaxed);
        let Some(slot) = self.slots.get(n % N.max(1)) else { return self.lose() };
        // ORDER: relaxed: the exchange checks it
        let mark = slot.mark.load(Relaxed);
        // T1 or T3. ORDER: E2 acquire
        if mark == BUSY || slot.mark.compare_exchange(mark, BUSY, Acquire, Relaxed).is_err() {
            return self.lose();
        }
        if mark >= FULL {
            self.lose();
        }
        // SAFETY: I1: BUSY by T1 or T3.
        slot.event.with_mut(|content| unsafe { content.write(MaybeUninit::new(*event)) });
        // T2. ORDER: E1 release
        slot.mark.store(FULL, Release);
    }
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for Ring<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("len", &self.len()).field("capacity", &N).finish_non_exhaustive()
    }
}
