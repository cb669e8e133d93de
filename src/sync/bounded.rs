//! A semaphore with a maximum.
use core::fmt;

use super::semaphore::{Acquire, AcquireChecked, Permit, Permits, Semaphore, sealed::Sealed};
use crate::sys::const_fn;

/// A semaphore that refuses to have more free permits than it began with.
///
/// What is compared is the number of permits that are free now: one that is added while another is out is not noticed, and the
/// other is lost when it is dropped.
///
/// [`Semaphore::acquire_with`] and its like take permits through any handle to it too.
///
/// # asyncio
/// `asyncio.BoundedSemaphore`, whose `release()` raises `ValueError`.
///
/// # Examples
/// ```
/// let doors = testudo::BoundedSemaphore::new(2);
/// doors.try_acquire().unwrap().forget();
/// assert!(doors.add_permits(1).is_ok());
/// let error = doors.add_permits(1).unwrap_err();
/// assert_eq!(error.to_string(), "3 permits would be free, of which there are 2");
/// ```
pub struct BoundedSemaphore {
    semaphore: Semaphore,
    max: usize,
}

impl BoundedSemaphore {
    const_fn! {
        /// Returns a semaphore with `permits` permits, all of them free.
        ///
        /// # Panics
        /// If there are more than [`Semaphore::MAX_PERMITS`].
        ///
        /// # Examples
        /// ```
        /// assert_eq!(testudo::BoundedSemaphore::new(2).max_permits(), 2);
        /// ```
        pub const fn new(permits: usize) -> Self {
            Self { semaphore: Semaphore::new(permits), max: permits }
        }
    }

    /// Says how many permits may be free.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::BoundedSemaphore::new(2).max_permits(), 2);
    /// ```
    pub fn max_permits(&self) -> usize {
        self.max
    }

    /// Adds `n` permits.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(waiters offered).
    ///
    /// # Errors
    /// [`TooManyPermits`] if more than [`max_permits`](BoundedSemaphore::max_permits) were free then; nothing is added.
    ///
    /// # Examples
    /// ```
    /// assert!(testudo::BoundedSemaphore::new(2).add_permits(1).is_err());
    /// ```
    #[doc(alias = "release")]
    pub fn add_permits(&self, n: usize) -> Result<(), TooManyPermits> {
        self.semaphore.try_add(n, self.max)
    }

    /// Waits for a permit.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// As [`Semaphore::acquire`].
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let doors = testudo::BoundedSemaphore::new(1);
    /// assert_eq!(doors.acquire().await.count(), 1);
    /// # });
    /// ```
    #[inline]
    #[track_caller]
    pub fn acquire(&self) -> Acquire<&Self> {
        Semaphore::acquire_with(self, 1)
    }

    /// Waits for `n` permits, all at once.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// As [`Semaphore::acquire`]; if `n` is more than [`max_permits`](BoundedSemaphore::max_permits): it would wait for ever.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let doors = testudo::BoundedSemaphore::new(2);
    /// assert_eq!(doors.acquire_many(2).await.count(), 2);
    /// # });
    /// ```
    #[inline]
    #[track_caller]
    pub fn acquire_many(&self, n: usize) -> Acquire<&Self> {
        Semaphore::acquire_with(self, n)
    }

    /// Waits for `n` permits, or until the semaphore is closed.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Errors
    /// [`SemaphoreClosed`](crate::SemaphoreClosed) when the semaphore is closed, before or while it waits.
    ///
    /// # Panics
    /// When polled after completion; if `n` is more than [`max_permits`](BoundedSemaphore::max_permits).
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let doors = testudo::BoundedSemaphore::new(1);
    /// doors.close();
    /// assert!(doors.acquire_checked(1).await.is_err());
    /// # });
    /// ```
    #[inline]
    #[track_caller]
    pub fn acquire_checked(&self, n: usize) -> AcquireChecked<&Self> {
        Semaphore::acquire_checked_with(self, n)
    }

    /// Takes a permit if one is free, as [`Semaphore::try_acquire`].
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::BoundedSemaphore::new(1);
    /// let permit = doors.try_acquire();
    /// assert!(permit.is_some() && doors.try_acquire().is_none());
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Option<Permit<&Self>> {
        Semaphore::try_acquire_with(self, 1)
    }

    /// Takes `n` permits, all or none.
    ///
    /// # Examples
    /// ```
    /// assert!(testudo::BoundedSemaphore::new(2).try_acquire_many(3).is_none());
    /// ```
    #[inline]
    pub fn try_acquire_many(&self, n: usize) -> Option<Permit<&Self>> {
        Semaphore::try_acquire_with(self, n)
    }

    /// Blocks this thread until it has a permit.
    ///
    /// # Panics
    /// When the semaphore is closed.
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::BoundedSemaphore::new(1);
    /// assert_eq!(doors.acquire_blocking().count(), 1);
    /// ```
    #[cfg(feature = "std")]
    pub fn acquire_blocking(&self) -> Permit<&Self> {
        self.acquire_many_blocking(1)
    }

    /// Blocks this thread until it has `n` permits.
    ///
    /// # Panics
    /// When the semaphore is closed; if `n` is more than [`max_permits`](BoundedSemaphore::max_permits).
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::BoundedSemaphore::new(2);
    /// assert_eq!(doors.acquire_many_blocking(2).count(), 2);
    /// ```
    #[cfg(feature = "std")]
    pub fn acquire_many_blocking(&self, n: usize) -> Permit<&Self> {
        self.try_acquire_many(n).unwrap_or_else(|| crate::wait::thread::park_until_ready(self.acquire_many(n)))
    }

    /// Takes up to `n` free permits away for good, and says how many it were.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::BoundedSemaphore::new(2).forget_permits(3), 2);
    /// ```
    pub fn forget_permits(&self, n: usize) -> usize {
        self.semaphore.forget_permits(n)
    }

    /// Says how many permits are free. One load.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::BoundedSemaphore::new(2).available_permits(), 2);
    /// ```
    #[inline]
    pub fn available_permits(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// Says whether no permit is free. One load.
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::BoundedSemaphore::new(2).is_locked());
    /// ```
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.semaphore.is_locked()
    }

    /// Closes it, as [`Semaphore::close`]. Says whether it was open.
    ///
    /// # Examples
    /// ```
    /// let doors = testudo::BoundedSemaphore::new(1);
    /// assert!(doors.close() && doors.try_acquire().is_none());
    /// ```
    pub fn close(&self) -> bool {
        self.semaphore.close()
    }

    /// Says whether it was closed. One load.
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::BoundedSemaphore::new(1).is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.semaphore.is_closed()
    }
}

impl Permits for BoundedSemaphore {}

impl Sealed for BoundedSemaphore {
    #[inline(always)]
    fn semaphore(&self) -> &Semaphore {
        &self.semaphore
    }

    #[inline(always)]
    fn most(&self) -> usize {
        self.max
    }

    /// Those that would be too many are lost: others were added in their place.
    fn take_back(&self, mut n: usize) {
        while n > 0 {
            match self.add_permits(n) {
                Ok(()) => return,
                Err(too_many) => n = n.saturating_sub(too_many.permits - too_many.max),
            }
        }
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedSemaphore").field("semaphore", &self.semaphore).field("max_permits", &self.max).finish()
    }
}

/// More permits would be free than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooManyPermits {
    /// How many would be free.
    pub permits: usize,
    /// How many may be free.
    pub max: usize,
}

impl TooManyPermits {
    pub(super) fn new(permits: usize, max: usize) -> Self {
        Self { permits, max }
    }
}

impl fmt::Display for TooManyPermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} permits would be free, of which there are {}", self.permits, self.max)
    }
}

impl core::error::Error for TooManyPermits {}
