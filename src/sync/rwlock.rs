//! A lock that many readers or one writer have, around the data it protects.
#![allow(unsafe_code)]
// STATE       the sides of sides.rs, and the data
// INVARIANTS  I1 a guard, a future that took and has not said so, or one call on its way between two guards owns what T1 of
//                sides.rs added: as a reader, an upgradable reader, or the writer.
//             I2 the data is read by those who own a place inside, and changed by the writer alone: I1 of sides.rs.
// EDGES       those of sides.rs
// CANCEL      in line: the place; an offer goes to the next. An upgrade that is dropped leaves the lock.
// INTERRUPT   try_*, dropping a guard: yes, O(waiters offered). read, write, upgradable_read, upgrade: tasks only.
use core::{fmt, marker::PhantomData};

use super::{
    rwlock_guards::{RwLockReadGuard, RwLockUpgradableGuard, RwLockWriteGuard},
    sides::{Entry, MAX_READERS, Need, Sides},
};
use crate::{
    sys::{
        atomic::{AtomicBool, Ordering::*},
        cell::UnsafeCell,
        const_fn,
    },
    wait::{Handle, InLine, InLinePolicy, Place, Reaches, Wait, wait_future},
};

/// A lock around a `T` that many may read, or one may change.
///
/// | inside | may get in |
/// |---|---|
/// | nobody | anybody |
/// | readers | readers, one upgradable reader |
/// | an upgradable reader, with or without readers | readers |
/// | an upgradable reader that waits for its upgrade | nobody |
/// | a writer | nobody |
///
/// Who has the lock and waits for it once more, waits for itself: also a reader that reads again, while a writer waits.
///
/// # asyncio
/// There is none.
///
/// # Fairness
/// Waiters are served in the order in which they came; readers that stand next to each other are woken together. The lock
/// is *offered* to those in front: they are woken, keep their place, and get in when they are polled. Who asks meanwhile may
/// get in before the first in line, a reader also while readers are inside for whom a writer waits; but only four times,
/// then the first in line is next. So neither readers nor writers starve, and a future that is kept but not polled does not
/// keep the other futures of its task from the lock (no "futurelock") until they overtook it four times.
///
/// # Panics
/// A panic that drops a guard leaves the data as it is and the lock usable. With `std`, `is_poisoned` tells those who want
/// to know.
///
/// # Examples
/// ```
/// use testudo::{RwLock, run::block_on};
///
/// static PRICES: RwLock<Vec<u32>> = RwLock::new(Vec::new());
///
/// block_on(async {
///     PRICES.write().await.push(7);
///     let (one, other) = (PRICES.read().await, PRICES.read().await);
///     assert_eq!(one[0] + other[0], 14);
/// });
/// ```
pub struct RwLock<T: ?Sized> {
    pub(super) entry: Entry,
    data: UnsafeCell<T>,
}

// SAFETY: I2: readers share the data (`T: Sync`), the writer may move it to its thread (`T: Send`).
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}
// SAFETY: with no guard left, it is the data and three words. `T: Send` as for any container, `T: Sync` is not needed.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}

impl<T> RwLock<T> {
    const_fn! {
        /// Returns a free lock around `data`.
        ///
        /// # Examples
        /// ```
        /// static LOCK: testudo::RwLock<Vec<u8>> = testudo::RwLock::new(Vec::new());
        /// assert!(!LOCK.is_locked());
        /// ```
        pub const fn new(data: T) -> Self {
            Self { entry: Entry::new(), data: UnsafeCell::new(data) }
        }
    }

    /// Returns the data.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::RwLock::new(3).into_inner(), 3);
    /// ```
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// How many readers may be inside at a time.
    pub const MAX_READERS: usize = MAX_READERS;

    /// Waits until no writer is inside, and gets in as a reader.
    ///
    /// Gets in line at the first poll.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    ///
    /// # Panics
    /// If there are [`MAX_READERS`](RwLock::MAX_READERS) readers. When polled after completion.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let lock = testudo::RwLock::new(1);
    /// let (one, other) = (lock.read().await, lock.read().await);
    /// assert_eq!(*one + *other, 2);
    /// # });
    /// ```
    #[doc(alias = "rdlock")]
    #[doc(alias = "lock_shared")]
    #[inline]
    pub fn read(&self) -> Read<'_, T> {
        Self::read_with(self)
    }

    /// Waits as [`read`](RwLock::read) does, through any handle: the guard of an `Arc<RwLock<T>>` is `'static`.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    ///
    /// # Panics
    /// As [`read`](RwLock::read).
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use testudo::{RwLock, run::block_on};
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard = block_on(RwLock::read_with(Arc::clone(&lock)));
    /// std::thread::spawn(move || assert_eq!(*guard, 1)).join().unwrap();
    /// assert!(!lock.is_locked());
    /// ```
    #[doc(alias = "read_owned")]
    #[doc(alias = "read_arc")]
    #[inline]
    pub fn read_with<'a, H: Handle<Target = Self>>(this: H) -> Read<'a, T, H> {
        Read { wait: Entering::wait(this) }
    }

    /// Gets in if no writer is inside and none upgrades, even if others wait, until the first of them was overtaken four
    /// times.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(1).
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(());
    /// let (one, other) = (lock.try_read(), lock.try_read());
    /// assert!(one.is_some() && other.is_some() && lock.try_write().is_none());
    /// ```
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        Self::try_read_with(self)
    }

    /// Gets in as [`try_read`](RwLock::try_read) does, through any handle.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// let lock = Rc::new(testudo::RwLock::new(1));
    /// assert_eq!(*testudo::RwLock::try_read_with(Rc::clone(&lock)).unwrap(), 1);
    /// ```
    #[doc(alias = "try_read_owned")]
    #[inline]
    pub fn try_read_with<'a, H: Handle<Target = Self>>(this: H) -> Option<RwLockReadGuard<'a, T, H>> {
        this.entry.try_take(Need::Read).then(|| RwLockReadGuard::new(this))
    }

    /// Blocks this thread until no writer is inside, and gets in as a reader.
    ///
    /// # Panics
    /// If there are [`MAX_READERS`](RwLock::MAX_READERS) readers.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(1);
    /// assert_eq!(*lock.read_blocking(), 1);
    /// ```
    #[cfg(feature = "std")]
    pub fn read_blocking(&self) -> RwLockReadGuard<'_, T> {
        self.try_read().unwrap_or_else(|| crate::wait::thread::park_until_ready(self.read()))
    }

    /// Waits until nobody is inside, and gets in as the writer.
    ///
    /// Gets in line at the first poll.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let lock = testudo::RwLock::new(1);
    /// *lock.write().await += 1;
    /// assert_eq!(*lock.read().await, 2);
    /// # });
    /// ```
    #[doc(alias = "wrlock")]
    #[doc(alias = "lock_exclusive")]
    #[inline]
    pub fn write(&self) -> Write<'_, T> {
        Self::write_with(self)
    }

    /// Waits as [`write`](RwLock::write) does, through any handle: the guard of an `Arc<RwLock<T>>` is `'static`.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    ///
    /// # Panics
    /// As [`write`](RwLock::write).
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use testudo::{RwLock, run::block_on};
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard = block_on(RwLock::write_with(Arc::clone(&lock)));
    /// std::thread::spawn(move || assert_eq!(*guard, 1)).join().unwrap();
    /// assert!(!lock.is_locked());
    /// ```
    #[doc(alias = "write_owned")]
    #[doc(alias = "write_arc")]
    #[inline]
    pub fn write_with<'a, H: Handle<Target = Self>>(this: H) -> Write<'a, T, H> {
        Write { wait: Entering::wait(this) }
    }

    /// Gets in if nobody is inside, even if others wait, until the first of them was overtaken four
    /// times.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(1).
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(());
    /// let guard = lock.try_write();
    /// assert!(guard.is_some() && lock.try_write().is_none() && lock.try_read().is_none());
    /// ```
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        Self::try_write_with(self)
    }

    /// Gets in as [`try_write`](RwLock::try_write) does, through any handle.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// let lock = Rc::new(testudo::RwLock::new(1));
    /// assert_eq!(*testudo::RwLock::try_write_with(Rc::clone(&lock)).unwrap(), 1);
    /// ```
    #[doc(alias = "try_write_owned")]
    #[inline]
    pub fn try_write_with<'a, H: Handle<Target = Self>>(this: H) -> Option<RwLockWriteGuard<'a, T, H>> {
        this.entry.try_take(Need::Write).then(|| RwLockWriteGuard::new(this))
    }

    /// Blocks this thread until nobody is inside, and gets in as the writer.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(0);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| *lock.write_blocking() += 1);
    ///     s.spawn(|| *lock.write_blocking() += 1);
    /// });
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[cfg(feature = "std")]
    pub fn write_blocking(&self) -> RwLockWriteGuard<'_, T> {
        self.try_write().unwrap_or_else(|| crate::wait::thread::park_until_ready(self.write()))
    }

    /// Waits until neither a writer nor another upgradable reader is inside, and gets in as a reader
    /// that may become the writer.
    ///
    /// Gets in line at the first poll.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    ///
    /// # Panics
    /// If there are [`MAX_READERS`](RwLock::MAX_READERS) readers. When polled after completion.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let lock = testudo::RwLock::new(1);
    /// let guard = lock.upgradable_read().await;
    /// assert_eq!((*guard, *lock.read().await), (1, 1));
    /// *guard.upgrade().await = 2;
    /// assert_eq!(lock.into_inner(), 2);
    /// # });
    /// ```
    #[doc(alias = "upgradeable_read")]
    #[inline]
    pub fn upgradable_read(&self) -> UpgradableRead<'_, T> {
        Self::upgradable_read_with(self)
    }

    /// Waits as [`upgradable_read`](RwLock::upgradable_read) does, through any handle: the guard of an `Arc<RwLock<T>>` is `'static`.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    ///
    /// # Panics
    /// As [`upgradable_read`](RwLock::upgradable_read).
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use testudo::{RwLock, run::block_on};
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let guard = block_on(RwLock::upgradable_read_with(Arc::clone(&lock)));
    /// std::thread::spawn(move || assert_eq!(*guard, 1)).join().unwrap();
    /// assert!(!lock.is_locked());
    /// ```
    #[doc(alias = "upgradable_read_owned")]
    #[doc(alias = "upgradable_read_arc")]
    #[inline]
    pub fn upgradable_read_with<'a, H: Handle<Target = Self>>(this: H) -> UpgradableRead<'a, T, H> {
        UpgradableRead { wait: Entering::wait(this) }
    }

    /// Gets in if neither a writer nor another upgradable reader is inside, even if others wait, until the first of them was overtaken four
    /// times.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(1).
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(());
    /// let guard = lock.try_upgradable_read();
    /// assert!(guard.is_some() && lock.try_read().is_some() && lock.try_upgradable_read().is_none());
    /// ```
    #[inline]
    pub fn try_upgradable_read(&self) -> Option<RwLockUpgradableGuard<'_, T>> {
        Self::try_upgradable_read_with(self)
    }

    /// Gets in as [`try_upgradable_read`](RwLock::try_upgradable_read) does, through any handle.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// let lock = Rc::new(testudo::RwLock::new(1));
    /// assert_eq!(*testudo::RwLock::try_upgradable_read_with(Rc::clone(&lock)).unwrap(), 1);
    /// ```
    #[doc(alias = "try_upgradable_read_owned")]
    #[inline]
    pub fn try_upgradable_read_with<'a, H: Handle<Target = Self>>(this: H) -> Option<RwLockUpgradableGuard<'a, T, H>> {
        this.entry.try_take(Need::Upgradable).then(|| RwLockUpgradableGuard::new(this))
    }

    /// Blocks this thread until neither a writer nor another upgradable reader is inside, and gets in as a reader
    /// that may become the writer.
    ///
    /// # Panics
    /// If there are [`MAX_READERS`](RwLock::MAX_READERS) readers.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(1);
    /// *lock.upgradable_read_blocking().try_upgrade().unwrap() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[cfg(feature = "std")]
    pub fn upgradable_read_blocking(&self) -> RwLockUpgradableGuard<'_, T> {
        self.try_upgradable_read().unwrap_or_else(|| crate::wait::thread::park_until_ready(self.upgradable_read()))
    }

    /// Says whether somebody is inside. One load.
    ///
    /// # Interrupts
    /// May be called from interrupts.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(());
    /// let _guard = lock.try_read();
    /// assert!(lock.is_locked() && !lock.is_write_locked());
    /// ```
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.entry.look().is_locked()
    }

    /// Says whether a writer is inside. One load.
    ///
    /// # Interrupts
    /// May be called from interrupts.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(());
    /// let _guard = lock.try_write();
    /// assert!(lock.is_write_locked());
    /// ```
    #[doc(alias = "is_locked_exclusive")]
    pub fn is_write_locked(&self) -> bool {
        self.entry.look().is_write_locked()
    }

    /// Says how many readers are inside, an upgradable one among them. One load.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(());
    /// let _guards = (lock.try_read(), lock.try_upgradable_read());
    /// assert_eq!(lock.readers(), 2);
    /// ```
    #[doc(alias = "reader_count")]
    pub fn readers(&self) -> usize {
        self.entry.look().readers()
    }

    /// Returns the data, which nobody else can reach.
    ///
    /// # Examples
    /// ```
    /// let mut lock = testudo::RwLock::new(1);
    /// *lock.get_mut() = 2;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: I2: `&mut self`, so no guard and no waiter is left.
        self.data.with_mut(|data| unsafe { &mut *data })
    }

    /// Says whether a writer's guard was dropped by a panic since the last [`clear_poison`](RwLock::clear_poison).
    ///
    /// Nothing else comes of it: the lock works on.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(0);
    /// std::thread::scope(|s| {
    ///     let panicked = s.spawn(|| {
    ///         let _guard = lock.write_blocking();
    ///         panic!("half-way");
    ///     });
    ///     assert!(panicked.join().is_err());
    /// });
    /// assert!(lock.is_poisoned());
    /// lock.clear_poison();
    /// assert!(!lock.is_poisoned());
    /// ```
    #[cfg(feature = "std")]
    pub fn is_poisoned(&self) -> bool {
        self.entry.look().is_poisoned()
    }

    /// Says that the data is in order again.
    ///
    /// # Examples
    /// ```
    /// testudo::RwLock::new(0).clear_poison();
    /// ```
    #[cfg(feature = "std")]
    pub fn clear_poison(&self) {
        self.entry.poison(false);
    }

    /// The data, for the writer.
    ///
    /// # Safety
    /// (a) the caller is the writer for as long as the reference lives, and there is no other.
    pub(super) unsafe fn data_mut<'d>(&self) -> &'d mut T {
        // SAFETY: (a), I2.
        self.data.with_mut(|data| unsafe { &mut *data })
    }

    /// The data, for whoever is inside.
    ///
    /// # Safety
    /// (a) the caller is inside for as long as the reference lives, and there is no `&mut`.
    pub(super) unsafe fn data<'d>(&self) -> &'d T {
        // SAFETY: (a), I2.
        self.data.with(|data| unsafe { &*data })
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

impl<T: ?Sized> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.entry.look();
        f.debug_struct("RwLock")
            .field("readers", &view.readers())
            .field("write_locked", &view.is_write_locked())
            .field("waiters", &view.waiters)
            .finish_non_exhaustive()
    }
}

/// What somebody gets in as.
pub(super) trait Side<'a, T: ?Sized, H> {
    const NEED: Need;
    /// As `Source::VERB`.
    #[cfg_attr(not(feature = "profile"), allow(dead_code))]
    const VERB: &'static str;
    type Guard;

    /// For who owns such a place inside (I1).
    fn guard(handle: H) -> Self::Guard;
}

/// Declares one side.
macro_rules! side {
    ($name:ident, $need:ident, $guard:ident, $verb:literal) => {
        #[derive(Debug)]
        pub(super) struct $name;

        impl<'a, T: ?Sized, H: Handle<Target = RwLock<T>>> Side<'a, T, H> for $name {
            const NEED: Need = Need::$need;
            const VERB: &'static str = $verb;
            type Guard = $guard<'a, T, H>;

            #[inline(always)]
            fn guard(handle: H) -> Self::Guard {
                $guard::new(handle)
            }
        }
    };
}
side!(Reader, Read, RwLockReadGuard, "RwLock::read");
side!(Writer, Write, RwLockWriteGuard, "RwLock::write");
side!(Upgradable, Upgradable, RwLockUpgradableGuard, "RwLock::upgradable_read");

/// A wait for a place inside.
pub(super) struct Entering<'a, T: ?Sized, H, S> {
    handle: H,
    _type: Reaches<'a, T>,
    _side: PhantomData<fn() -> S>,
}

impl<'a, T: ?Sized, H: Handle<Target = RwLock<T>>, S: Side<'a, T, H>> Entering<'a, T, H, S> {
    #[inline(always)]
    fn wait(handle: H) -> Wait<InLine<Self>> {
        Wait::new(InLine::new(Self { handle, _type: PhantomData, _side: PhantomData }), false)
    }

    /// Nobody is in line and it cannot get in: a writer is inside, or too many readers.
    #[cold]
    fn refuse_too_many(&self) {
        let readers = self.handle.readers();
        assert!(
            S::NEED == Need::Write || readers < MAX_READERS,
            "RwLock: {readers} readers have it, there are never more"
        );
    }
}

impl<'a, T: ?Sized, H: Handle<Target = RwLock<T>>, S: Side<'a, T, H>> InLinePolicy for Entering<'a, T, H, S> {
    const VERB: &'static str = S::VERB;

    type Stock = Sides;
    type Output = S::Guard;

    #[inline(always)]
    fn stock(&self) -> &Sides {
        &self.handle.entry.sides
    }

    #[inline(always)]
    fn need(&self) -> Need {
        S::NEED
    }

    #[inline(always)]
    fn try_take(&self, place: Place) -> bool {
        let taken = self.stock().try_take(S::NEED, place);
        if !taken && place == Place::Alone {
            self.refuse_too_many(); // not in line yet: the flag is not held
        }
        taken
    }

    #[inline]
    fn finish(&self, _: bool) -> S::Guard {
        S::guard(self.handle.clone())
    }

    fn give_back(&self) {
        self.handle.entry.release(S::NEED);
    }
}

/// A wait of an upgradable reader, which it owns, for all other readers to leave.
pub(super) struct Upgrading<'a, T: ?Sized, H: Handle<Target = RwLock<T>>> {
    handle: H,
    /// Its owner's alone; atomic, so that the future is Sync.
    upgraded: AtomicBool,
    _type: Reaches<'a, T>,
}

impl<'a, T: ?Sized, H: Handle<Target = RwLock<T>>> Upgrading<'a, T, H> {
    /// For the owner of an upgradable reader's place (I1).
    pub(super) fn future(handle: H) -> Upgrade<'a, T, H> {
        Upgrade {
            wait: Wait::new(InLine::new(Self { handle, upgraded: AtomicBool::new(false), _type: PhantomData }), false),
        }
    }
}

impl<T: ?Sized, H: Handle<Target = RwLock<T>>> Drop for Upgrading<'_, T, H> {
    fn drop(&mut self) {
        // ORDER: relaxed: its owner's alone
        if !self.upgraded.load(Relaxed) {
            self.handle.entry.give_up();
        }
    }
}

impl<'a, T: ?Sized, H: Handle<Target = RwLock<T>>> InLinePolicy for Upgrading<'a, T, H> {
    const VERB: &'static str = "RwLock::upgrade";

    type Stock = Entry;
    type Output = RwLockWriteGuard<'a, T, H>;

    #[inline(always)]
    fn stock(&self) -> &Entry {
        &self.handle.entry
    }

    #[inline(always)]
    fn need(&self) {}

    #[inline(always)]
    fn try_take(&self, _: Place) -> bool {
        let upgraded = self.stock().try_upgrade(true);
        self.upgraded.store(upgraded, Relaxed); // ORDER: relaxed: its owner's alone
        upgraded
    }

    #[inline]
    fn finish(&self, _: bool) -> Self::Output {
        RwLockWriteGuard::new(self.handle.clone())
    }

    fn give_back(&self) {
        self.stock().release(Need::Write);
    }
}

wait_future! {
    /// The future of [`RwLock::read`].
    pub struct Read['a, T: ?Sized, H: Handle<Target = RwLock<T>> = &'a RwLock<T>]
        ['a, T: ?Sized, H: Handle<Target = RwLock<T>>]['a, T, H](
        InLine<Entering<'a, T, H, Reader>>
    ) -> RwLockReadGuard<'a, T, H>
}

wait_future! {
    /// The future of [`RwLock::write`].
    pub struct Write['a, T: ?Sized, H: Handle<Target = RwLock<T>> = &'a RwLock<T>]
        ['a, T: ?Sized, H: Handle<Target = RwLock<T>>]['a, T, H](
        InLine<Entering<'a, T, H, Writer>>
    ) -> RwLockWriteGuard<'a, T, H>
}

wait_future! {
    /// The future of [`RwLock::upgradable_read`].
    pub struct UpgradableRead['a, T: ?Sized, H: Handle<Target = RwLock<T>> = &'a RwLock<T>]
        ['a, T: ?Sized, H: Handle<Target = RwLock<T>>]['a, T, H](
        InLine<Entering<'a, T, H, Upgradable>>
    ) -> RwLockUpgradableGuard<'a, T, H>
}

wait_future! {
    /// The future of [`RwLockUpgradableGuard::upgrade`].
    pub struct Upgrade['a, T: ?Sized, H: Handle<Target = RwLock<T>> = &'a RwLock<T>]
        ['a, T: ?Sized, H: Handle<Target = RwLock<T>>]['a, T, H](
        InLine<Upgrading<'a, T, H>>
    ) -> RwLockWriteGuard<'a, T, H>
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use alloc::{boxed::Box, sync::Arc, task::Wake};
    use core::{future::Future, task::Context};
    use std::task::Waker;

    struct Wakes;

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {}
    }

    /// I4 of sides.rs. The first to leave makes room for one, which need not take it at once: the second does as well.
    #[test]
    fn readers_that_wait_for_the_count_alone_are_told_each_time_that_one_leaves() {
        let lock = RwLock::new(());
        lock.entry.set_readers(MAX_READERS - 2);
        let inside = [lock.try_read().unwrap(), lock.try_read().unwrap()];
        let wakes = [Arc::new(Wakes), Arc::new(Wakes), Arc::new(Wakes)];
        // Behind a writer, or they would be refused.
        let mut writer = Box::pin(lock.write());
        assert!(writer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut line: [_; 3] = core::array::from_fn(|_| Box::pin(lock.read()));
        for (wait, wakes) in line.iter_mut().zip(&wakes) {
            assert!(wait.as_mut().poll(&mut Context::from_waker(&Waker::from(wakes.clone()))).is_pending());
        }
        drop(writer);
        // Whose waker was taken was woken.
        let waiting = || wakes.each_ref().map(|wakes| Arc::strong_count(wakes) == 2);
        for (leaves, left) in inside.into_iter().zip([[false, true, true], [false, false, true]]) {
            drop(leaves);
            assert_eq!(waiting(), left);
        }
        drop(line);
        lock.entry.set_readers(0);
    }
}
