//! A number of permits that tasks take and give back.
// STATE       permits: how many are free, and BARGED: how often somebody got in before the first in line, or SHUT
//                 T1 take      free >= n, and nobody waits; or by the first in line (BARGED = 0); or BARGED < LIMIT, by one that
//                              was offered it too, or BARGED += 1
//                 T2 release   free += n; then the line is told (T2 of line.rs)
//                 T3 close     SHUT; then the line is closed (T5 of line.rs)
//             line: those who wait for n permits each
// INVARIANTS  I1 a permit is free, or owned by one `Permit`, or by one future that took it and has not said so, or forgotten.
//             I2 the first in line is overtaken at most LIMIT times: then only it takes permits, as soon as there are enough. Who
//                was offered permits as well as the first, and comes for them sooner, takes its own: that is not counted.
// EDGES       E1 T2 (release) -> T1 (acquire): who takes a permit sees what was done before it was released.
// CANCEL      Waiting: place in line; an offer goes to the next.
//             Once SHUT no permit is taken: who sees `close` return and all permits back knows that nobody is at work.
// INTERRUPT   try_acquire, dropping a permit, add_permits, close: yes; O(waiters offered). acquire: tasks only.
use core::fmt;

mod closed;
#[cfg(test)]
mod tests;

pub use self::closed::SemaphoreClosed;
use crate::{
    sys::{
        LEAN,
        atomic::{AtomicUsize, Ordering::*},
        const_fn,
    },
    wait::{Handle, InLine, InLinePolicy, Line, Place, Stock, Wait, wait_future},
};

use super::bounded::TooManyPermits;
use sealed::Sealed as _;

/// Permits that tasks take and give back: at most as many at a time are at work as there are permits.
///
/// Permits are offered to waiters, not handed over: those in front for whom there are enough are woken, keep their place, and
/// take them when they are polled.
///
/// # asyncio
/// `asyncio.Semaphore`; a `Permit` gives itself back when it is dropped, which is `release()`. [`BoundedSemaphore`](crate::BoundedSemaphore) is
/// `asyncio.BoundedSemaphore`.
///
/// # Fairness
/// First come, first served, but for those who ask while permits are free: they may get in before the first in line four
/// times, then it is served next; not counted are those who had asked before it came, and those who were offered permits too
/// and come for them sooner. So a large request is not starved by small ones.
///
/// # Examples
/// ```
/// # testudo::run::block_on(async {
/// let doors = testudo::Semaphore::new(2);
/// let one = doors.acquire().await;
/// let _two = doors.acquire().await;
/// assert!(doors.try_acquire().is_none());
/// drop(one);
/// assert_eq!(doors.available_permits(), 1);
/// # });
/// ```
pub struct Semaphore {
    line: Line<usize>,
    permits: AtomicUsize,
}

/// A waiter that was overtaken this often is served next.
const LIMIT: usize = 4;

/// Low bits: how often the first in line was overtaken.
const BARGED: usize = 0b111;

/// The line is closed or about to be: in the place of BARGED.
const SHUT: usize = BARGED;

/// One permit.
const ONE: usize = BARGED + 1;

/// As many permits as there may be: half of what fits, for releases that add before they look.
const ALL: usize = Semaphore::MAX_PERMITS * ONE + BARGED;

/// How many may be added before a look: so few that the count does not wrap, whoever else is about to look.
const FEW: usize = Semaphore::MAX_PERMITS / 1024;

impl Semaphore {
    /// How many permits there may be.
    pub const MAX_PERMITS: usize = usize::MAX / ONE / 2;

    const_fn! {
        /// Returns a semaphore with `permits` free permits.
        ///
        /// # Panics
        /// If there are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
        ///
        /// # Examples
        /// ```
        /// static SLOTS: testudo::Semaphore = testudo::Semaphore::new(3);
        /// assert_eq!(SLOTS.available_permits(), 3);
        /// ```
        pub const fn new(permits: usize) -> Self {
            assert!(permits <= Self::MAX_PERMITS, "Semaphore::new: more than Semaphore::MAX_PERMITS permits");
            Self { line: Line::new(), permits: AtomicUsize::new(permits * ONE) }
        }
    }

    /// Waits for a permit.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When the semaphore is closed, before or while it waits: see [`acquire_checked`](Semaphore::acquire_checked). When
    /// polled after completion.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let doors = testudo::Semaphore::new(1);
    /// let _permit = doors.acquire().await;
    /// assert_eq!(doors.available_permits(), 0);
    /// # });
    /// ```
    #[inline]
    pub fn acquire(&self) -> Acquire<&Self> {
        Self::acquire_with(self, 1)
    }

    /// Waits for `n` permits, all at once.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// As [`acquire`](Semaphore::acquire); if `n` is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let doors = testudo::Semaphore::new(3);
    /// let permits = doors.acquire_many(2).await;
    /// assert_eq!((permits.count(), doors.available_permits()), (2, 1));
    /// # });
    /// ```
    #[inline]
    pub fn acquire_many(&self, n: usize) -> Acquire<&Self> {
        Self::acquire_with(self, n)
    }

    /// Waits for `n` permits, through any handle.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// As [`acquire_many`](Semaphore::acquire_many).
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use testudo::{Semaphore, run::block_on};
    ///
    /// let doors = Arc::new(Semaphore::new(1));
    /// let permit = block_on(Semaphore::acquire_with(Arc::clone(&doors), 1));
    /// std::thread::spawn(move || drop(permit)).join().unwrap();
    /// assert_eq!(doors.available_permits(), 1);
    /// ```
    #[doc(alias = "acquire_owned")]
    #[inline]
    pub fn acquire_with<H: Handle<Target: Permits>>(this: H, n: usize) -> Acquire<H> {
        Acquire { wait: wait(this, n, Opened) }
    }

    /// Waits for `n` permits, or until the semaphore is closed.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Errors
    /// [`SemaphoreClosed`] when the semaphore is closed, before or while it waits.
    ///
    /// # Panics
    /// When polled after completion; if `n` is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let doors = testudo::Semaphore::new(0);
    /// doors.close();
    /// assert!(doors.acquire_checked(1).await.is_err());
    /// # });
    /// ```
    #[inline]
    pub fn acquire_checked(&self, n: usize) -> AcquireChecked<&Self> {
        Self::acquire_checked_with(self, n)
    }

    /// Waits for `n` permits or until the semaphore is closed, through any handle.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Errors
    /// [`SemaphoreClosed`] when the semaphore is closed, before or while it waits.
    ///
    /// # Panics
    /// As [`acquire_checked`](Semaphore::acquire_checked).
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// let doors = Arc::new(testudo::Semaphore::new(1));
    /// let permit = testudo::run::block_on(testudo::Semaphore::acquire_checked_with(Arc::clone(&doors), 1));
    /// assert_eq!(permit.unwrap().count(), 1);
    /// ```
    #[inline]
    pub fn acquire_checked_with<H: Handle<Target: Permits>>(this: H, n: usize) -> AcquireChecked<H> {
        AcquireChecked { wait: wait(this, n, Checked) }
    }

    /// Takes a permit if one is free, even if others wait for it. None also when the semaphore is closed.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(1).
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(1);
    /// let permit = doors.try_acquire();
    /// assert!(permit.is_some() && doors.try_acquire().is_none());
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Option<Permit<&Self>> {
        Self::try_acquire_with(self, 1)
    }

    /// Takes `n` permits, all or none.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(1).
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(2);
    /// assert!(doors.try_acquire_many(3).is_none());
    /// assert_eq!(doors.try_acquire_many(2).unwrap().count(), 2);
    /// ```
    #[inline]
    pub fn try_acquire_many(&self, n: usize) -> Option<Permit<&Self>> {
        Self::try_acquire_with(self, n)
    }

    /// Takes `n` permits, all or none, through any handle.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// let doors = Rc::new(testudo::Semaphore::new(2));
    /// let permits = testudo::Semaphore::try_acquire_with(Rc::clone(&doors), 2);
    /// assert_eq!(doors.available_permits(), 0);
    /// ```
    #[doc(alias = "try_acquire_owned")]
    #[inline]
    pub fn try_acquire_with<H: Handle<Target: Permits>>(this: H, n: usize) -> Option<Permit<H>> {
        let semaphore = this.semaphore();
        let taken = semaphore.try_take(n, Line::<usize>::place(semaphore.line.look())); // SHUT comes before CLOSED
        taken.then(|| Permit::new(this, n))
    }

    /// Blocks this thread until it has a permit.
    ///
    /// # Panics
    /// When the semaphore is closed.
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(1);
    /// assert_eq!(doors.acquire_blocking().count(), 1);
    /// ```
    #[cfg(feature = "std")]
    pub fn acquire_blocking(&self) -> Permit<&Self> {
        self.acquire_many_blocking(1)
    }

    /// Blocks this thread until it has `n` permits.
    ///
    /// # Panics
    /// When the semaphore is closed; if `n` is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(2);
    /// assert_eq!(doors.acquire_many_blocking(2).count(), 2);
    /// ```
    #[cfg(feature = "std")]
    pub fn acquire_many_blocking(&self, n: usize) -> Permit<&Self> {
        self.try_acquire_many(n).unwrap_or_else(|| crate::wait::thread::park_until_ready(self.acquire_many(n)))
    }

    /// Adds `n` permits, for those who wait in the order in which they came.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(waiters offered).
    ///
    /// # Panics
    /// If more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS) were free then; nothing is added.
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(0);
    /// doors.add_permits(2);
    /// assert_eq!(doors.available_permits(), 2);
    /// ```
    #[doc(alias = "release")]
    pub fn add_permits(&self, n: usize) {
        if let Err(TooManyPermits { permits, .. }) = self.try_add(n, Self::MAX_PERMITS) {
            panic!("Semaphore::add_permits: {permits} free permits are more than Semaphore::MAX_PERMITS");
        }
    }

    /// Takes up to `n` free permits away for good, and says how many it were.
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(2);
    /// assert_eq!(doors.forget_permits(3), 2);
    /// assert_eq!(doors.available_permits(), 0);
    /// ```
    pub fn forget_permits(&self, n: usize) -> usize {
        let mut now = self.permits.load(Relaxed); // ORDER: relaxed: only a guess, checked by compare-and-swap
        loop {
            let fewer = n.min(now / ONE);
            // ORDER: E1 acquire
            match self.permits.compare_exchange_weak(now, now - fewer * ONE, AcqRel, Relaxed) {
                Ok(_) => return fewer,
                Err(other) => now = other,
            }
        }
    }

    /// Says how many permits are free. One load.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::Semaphore::new(2).available_permits(), 2);
    /// ```
    #[inline]
    pub fn available_permits(&self) -> usize {
        self.permits.load(Acquire) / ONE // ORDER: E1 acquire
    }

    /// Says whether a waiter would wait: no permit is free. One load.
    ///
    /// # Examples
    /// ```
    /// assert!(testudo::Semaphore::new(0).is_locked());
    /// ```
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.available_permits() == 0
    }

    /// Closes it: nobody gets a permit any more, and all who wait are told. Says whether it was open.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(waiters).
    ///
    /// # Panics
    /// If a waker panics; all waiters are woken first.
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(1);
    /// assert!(doors.close() && !doors.close());
    /// assert!(doors.try_acquire().is_none());
    /// ```
    pub fn close(&self) -> bool {
        self.permits.fetch_or(SHUT, AcqRel); // T3. ORDER: E1, both ways: it keeps the releases before it in one chain
        self.line.close(self)
    }

    /// Says whether it was closed. One load.
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::Semaphore::new(1).is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        Line::<usize>::is_closed(self.line.look())
    }

    /// T1.
    #[cfg_attr(feature = "std", inline(always))]
    #[cfg_attr(not(feature = "std"), inline(never))] // smaller
    fn try_take(&self, n: usize, place: Place) -> bool {
        match place {
            _ if LEAN => self.try_take_from(place, n),
            Place::Alone => self.try_take_from(Place::Alone, n),
            Place::Behind => self.try_barge(n),
            Place::Head => self.try_take_from(Place::Head, n),
            Place::Offered => self.try_take_from(Place::Offered, n),
        }
    }

    /// T1, before the first in line.
    #[cold]
    fn try_barge(&self, n: usize) -> bool {
        self.try_take_from(Place::Behind, n)
    }

    /// T1, one loop for each `place` that is a constant.
    #[inline(always)]
    fn try_take_from(&self, place: Place, n: usize) -> bool {
        let limit = if matches!(place, Place::Alone | Place::Head) { SHUT } else { LIMIT }; // I2
        self.try_change(n, |now| {
            (now & BARGED < limit).then_some(match place {
                Place::Alone | Place::Offered => now,
                Place::Behind => now + 1,
                Place::Head => now & !BARGED,
            })
        })
    }

    /// T1: `n` less than `then` makes of what there is, if it allows it.
    #[inline(always)]
    fn try_change(&self, n: usize, then: impl Fn(usize) -> Option<usize>) -> bool {
        let mut now = self.permits.load(Relaxed); // ORDER: relaxed: only a guess, checked by compare-and-swap
        loop {
            if now / ONE < n {
                return false;
            }
            let Some(then) = then(now) else { return false };
            // ORDER: E1 acquire
            match self.permits.compare_exchange_weak(now, then - n * ONE, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
    }

    /// T2. Saturates: those that would be too many are lost.
    #[inline(always)]
    fn release(&self, n: usize) {
        if LEAN || n > FEW {
            self.release_many(n);
        } else {
            let before = self.permits.fetch_add(n * ONE, AcqRel); // ORDER: E1 release
            if before + n * ONE > ALL {
                self.lose_surplus();
            }
        }
        self.line.supplied(self);
    }

    /// T2, without a moment at which there are too many.
    #[cold]
    fn release_many(&self, n: usize) {
        let mut now = self.permits.load(Relaxed); // ORDER: relaxed: only a guess, checked by compare-and-swap
        loop {
            let more = n.min(Self::MAX_PERMITS.saturating_sub(now / ONE));
            // ORDER: E1 release
            match self.permits.compare_exchange_weak(now, now + more * ONE, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// Those that are too many are lost, if they are still there.
    #[cold]
    fn lose_surplus(&self) {
        let mut now = self.permits.load(Relaxed); // ORDER: relaxed: only a guess, checked by compare-and-swap
        while now > ALL {
            // ORDER: E1, both ways: it keeps the releases before it in one chain
            match self.permits.compare_exchange_weak(now, ALL & !BARGED | now & BARGED, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// T2, unless there would be more than `max`.
    pub(super) fn try_add(&self, n: usize, max: usize) -> Result<(), TooManyPermits> {
        let mut now = self.permits.load(Relaxed); // ORDER: relaxed: only a guess, checked by compare-and-swap
        loop {
            let permits = (now / ONE).saturating_add(n);
            if permits > max {
                return Err(TooManyPermits::new(permits, max));
            }
            // ORDER: E1 release
            match self.permits.compare_exchange_weak(now, now + n * ONE, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(other) => now = other,
            }
        }
        self.line.supplied(self);
        Ok(())
    }
}

impl Stock for Semaphore {
    type Need = usize;

    #[inline(always)]
    fn line(&self) -> &Line<usize> {
        &self.line
    }

    fn rest(&self) -> usize {
        self.available_permits()
    }

    fn grant(rest: &mut usize, n: usize) -> bool {
        rest.checked_sub(n).map(|left| *rest = left).is_some()
    }

    fn share(n: usize) -> usize {
        n
    }

    fn beyond(rest: usize, taken: usize) -> Option<usize> {
        rest.checked_sub(taken)
    }

    fn is_starved(&self) -> bool {
        self.permits.load(Relaxed) & BARGED >= LIMIT // ORDER: relaxed: it ends under the flag, by the first in line
    }

    /// I2: counted anew for the next.
    fn head_leaves(&self) {
        let mut now = self.permits.load(Relaxed); // ORDER: relaxed: only a guess, checked by compare-and-swap
        while !matches!(now & BARGED, 0 | SHUT) {
            // ORDER: E1, both ways: it keeps the releases before it in one chain
            match self.permits.compare_exchange_weak(now, now & !BARGED, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.line.look();
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("waiters", &!word.is_empty())
            .field("closed", &Line::<usize>::is_closed(word))
            .finish()
    }
}

/// What permits are taken from: a [`Semaphore`] or a [`BoundedSemaphore`](crate::BoundedSemaphore). Sealed.
pub trait Permits: sealed::Sealed {}

pub(super) mod sealed {
    pub trait Sealed {
        fn semaphore(&self) -> &super::Semaphore;

        /// How many permits there can be at most.
        fn most(&self) -> usize;

        /// T2, of permits that were taken.
        fn take_back(&self, n: usize);
    }
}

impl Permits for Semaphore {}

impl sealed::Sealed for Semaphore {
    #[inline(always)]
    fn semaphore(&self) -> &Semaphore {
        self
    }

    #[inline(always)]
    fn most(&self) -> usize {
        Self::MAX_PERMITS
    }

    #[inline(always)]
    fn take_back(&self, n: usize) {
        self.release(n);
    }
}

/// Some permits of a [`Semaphore`]; dropping it gives them back.
///
/// # Interrupts
/// May be dropped in interrupts. O(waiters offered).
///
/// # Memory ordering
/// Who takes a permit sees everything that was done before it was dropped.
///
/// # Examples
/// ```
/// let doors = testudo::Semaphore::new(3);
/// let mut permits = doors.try_acquire_many(3).unwrap();
/// let one = permits.split(1).unwrap();
/// drop(permits);
/// assert_eq!(doors.available_permits(), 2);
/// ```
#[must_use = "dropping a permit gives it back"]
#[clippy::has_significant_drop]
pub struct Permit<H: Handle<Target: Permits>> {
    handle: H,
    n: usize,
}

impl<H: Handle<Target: Permits>> Permit<H> {
    #[inline]
    fn new(handle: H, n: usize) -> Self {
        tell!(acquired(&handle.semaphore().line, "Semaphore", n));
        Self { handle, n }
    }

    /// Says how many permits these are.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::Semaphore::new(2).try_acquire_many(2).unwrap().count(), 2);
    /// ```
    pub fn count(&self) -> usize {
        self.n
    }

    /// Takes them away from the semaphore for good.
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(1);
    /// doors.try_acquire().unwrap().forget();
    /// assert_eq!(doors.available_permits(), 0);
    /// ```
    pub fn forget(mut self) {
        tell!(released(&self.handle.semaphore().line, "Semaphore", self.n));
        self.n = 0;
    }

    /// Splits `n` permits off; None if there are fewer.
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(2);
    /// let mut both = doors.try_acquire_many(2).unwrap();
    /// assert!(both.split(3).is_none());
    /// drop(both.split(1));
    /// assert_eq!((both.count(), doors.available_permits()), (1, 1));
    /// ```
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.n = self.n.checked_sub(n)?;
        Some(Self { handle: self.handle.clone(), n })
    }

    /// Adds the permits of `other`.
    ///
    /// # Panics
    /// If `other` is another semaphore's, naming both addresses; both are given back then.
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(2);
    /// let mut one = doors.try_acquire().unwrap();
    /// one.merge(doors.try_acquire().unwrap());
    /// assert_eq!(one.count(), 2);
    /// ```
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        let (mine, its) = (self.handle.semaphore(), other.handle.semaphore());
        assert!(
            core::ptr::eq(mine, its),
            "Permit::merge: the permit belongs to the semaphore at {its:p}, not to the one at {mine:p}"
        );
        self.n = self.n.saturating_add(core::mem::take(&mut other.n));
    }

    /// Returns the handle through which they were taken.
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::Semaphore::new(1);
    /// let permit = doors.try_acquire().unwrap();
    /// assert!(core::ptr::eq(*permit.handle(), &doors));
    /// ```
    pub fn handle(&self) -> &H {
        &self.handle
    }
}

impl<H: Handle<Target: Permits>> Drop for Permit<H> {
    #[inline]
    fn drop(&mut self) {
        if self.n > 0 {
            tell!(released(&self.handle.semaphore().line, "Semaphore", self.n));
            self.handle.take_back(self.n);
        }
    }
}

impl<H: Handle<Target: Permits>> fmt::Debug for Permit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("count", &self.n).finish_non_exhaustive()
    }
}

/// What an acquiring future returns.
pub(super) trait Answer {
    type Output<H: Handle<Target: Permits>>;

    fn answer<H: Handle<Target: Permits>>(permit: Result<Permit<H>, SemaphoreClosed>) -> Self::Output<H>;
}

/// A permit; a closed semaphore is a mistake.
pub(super) struct Opened;

impl Answer for Opened {
    type Output<H: Handle<Target: Permits>> = Permit<H>;

    #[track_caller]
    fn answer<H: Handle<Target: Permits>>(permit: Result<Permit<H>, SemaphoreClosed>) -> Permit<H> {
        permit.unwrap_or_else(|closed| panic!("Semaphore::acquire: {closed}"))
    }
}

/// A permit or an error.
pub(super) struct Checked;

impl Answer for Checked {
    type Output<H: Handle<Target: Permits>> = Result<Permit<H>, SemaphoreClosed>;

    fn answer<H: Handle<Target: Permits>>(permit: Result<Permit<H>, SemaphoreClosed>) -> Self::Output<H> {
        permit
    }
}

pub(super) struct Acquiring<H, A> {
    handle: H,
    n: usize,
    _answer: A,
}

#[track_caller]
fn wait<H: Handle<Target: Permits>, A: Answer>(handle: H, n: usize, answer: A) -> Wait<InLine<Acquiring<H, A>>> {
    let most = handle.most();
    assert!(n <= most, "Semaphore::acquire: {n} permits are wanted, there are never more than {most}");
    Wait::new(InLine::new(Acquiring { handle, n, _answer: answer }), false)
}

impl<H: Handle<Target: Permits>, A: Answer> InLinePolicy for Acquiring<H, A> {
    const VERB: &'static str = "Semaphore::acquire";

    type Stock = Semaphore;
    type Output = A::Output<H>;

    #[inline(always)]
    fn stock(&self) -> &Semaphore {
        self.handle.semaphore()
    }

    #[inline(always)]
    fn need(&self) -> usize {
        self.n
    }

    #[inline(always)]
    fn try_take(&self, place: Place) -> bool {
        self.stock().try_take(self.n, place)
    }

    #[inline]
    fn finish(&self, taken: bool) -> Self::Output {
        A::answer(taken.then(|| Permit::new(self.handle.clone(), self.n)).ok_or(SemaphoreClosed))
    }

    fn give_back(&self) {
        self.handle.take_back(self.n);
    }
}

wait_future! {
    /// The future of [`Semaphore::acquire`].
    pub struct Acquire[H: Handle<Target: Permits>][H: Handle<Target: Permits>][H](InLine<Acquiring<H, Opened>>) -> Permit<H>
}

wait_future! {
    /// The future of [`Semaphore::acquire_checked`].
    pub struct AcquireChecked[H: Handle<Target: Permits>][H: Handle<Target: Permits>][H](
        InLine<Acquiring<H, Checked>>
    ) -> Result<Permit<H>, SemaphoreClosed>
}
