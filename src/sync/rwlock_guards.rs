//! The guards of an [`RwLock`].
#![allow(unsafe_code)]
// STATE       a guard is a place inside; I1 and I2 of rwlock.rs
// INVARIANTS  I1 a guard owns one place inside, of its kind, from `new` to its drop or to `into_handle`.
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
};

use super::{
    guard::prints_as_data,
    rwlock::{RwLock, Upgrade, Upgrading},
    sides::Need,
};
use crate::{sys::Unwinding, wait::Handle};

/// What all three have in common; `unwinding`: what the writer keeps besides.
macro_rules! guard {
    ($name:ident, $need:ident, { $($field:ident: $type:ty = $value:expr)? }) => {
        impl<'a, T: ?Sized, H: Handle<Target = RwLock<T>>> $name<'a, T, H> {
            /// For the owner of such a place inside (I1).
            #[inline]
            pub(super) fn new(handle: H) -> Self {
                tell!(acquired(&handle.entry.sides.line, "RwLock", 1));
                Self { handle, $($field: $value,)? _data: PhantomData }
            }

            /// Returns the handle through which the lock was taken.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use testudo::{RwLock, ", stringify!($name), " as Guard};")]
            ///
            /// let lock = RwLock::new(1);
            #[doc = concat!("let guard: Guard<'_, i32> = testudo::run::block_on(lock.", guard!(@verb $need), "());")]
            /// assert!(core::ptr::eq(*Guard::handle(&guard), &lock));
            /// ```
            pub fn handle(this: &Self) -> &H {
                &this.handle
            }
        }

        impl<T: ?Sized, H: Handle<Target = RwLock<T>>> Deref for $name<'_, T, H> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                // SAFETY: I1: it is inside, `&self` keeps `&mut` away.
                unsafe { self.handle.data() }
            }
        }

        prints_as_data!($name, RwLock);
    };
    (@verb Read) => { "read" };
    (@verb Write) => { "write" };
    (@verb Upgradable) => { "upgradable_read" };
}

/// For those that become another.
macro_rules! into_handle {
    ($name:ident) => {
        impl<'a, T: ?Sized, H: Handle<Target = RwLock<T>>> $name<'a, T, H> {
            /// The handle, without leaving (I1).
            #[inline]
            fn into_handle(self) -> H {
                tell!(released(&self.handle.entry.sides.line, "RwLock", 1));
                let this = ManuallyDrop::new(self);
                // SAFETY: I1: `this` is neither used nor dropped any more, and has nothing else to drop.
                unsafe { core::ptr::read(&this.handle) }
            }
        }
    };
}

/// A reader's place inside an [`RwLock`]; dropping it leaves.
///
/// # Interrupts
/// May be dropped in interrupts. O(waiters offered).
///
/// # Memory ordering
/// The next writer sees everything that was done before the guard was dropped.
///
/// # Examples
/// ```
/// let lock = testudo::RwLock::new(1);
/// let guard = lock.try_read().unwrap();
/// assert_eq!(*guard, 1);
/// ```
#[must_use = "dropping the guard leaves the lock"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'a, T: ?Sized, H: Handle<Target = RwLock<T>> = &'a RwLock<T>> {
    handle: H,
    // `&guard` gives `&T`: Sync needs `T: Sync`, which the handle alone does not ask for.
    _data: PhantomData<(&'a (), T)>,
}

/// The writer's place inside an [`RwLock`]; dropping it leaves.
///
/// # Interrupts
/// May be dropped in interrupts. O(waiters offered).
///
/// # Memory ordering
/// Whoever gets in next sees everything that was done before the guard was dropped.
///
/// # Examples
/// ```
/// let lock = testudo::RwLock::new(String::new());
/// lock.try_write().unwrap().push('x');
/// assert_eq!(*lock.try_read().unwrap(), "x");
/// ```
#[must_use = "dropping the guard leaves the lock"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'a, T: ?Sized, H: Handle<Target = RwLock<T>> = &'a RwLock<T>> {
    handle: H,
    unwinding: Unwinding,
    // As in `RwLockReadGuard`.
    _data: PhantomData<(&'a (), T)>,
}

/// The place inside an [`RwLock`] of a reader that may become the writer; dropping it leaves.
///
/// # Interrupts
/// May be dropped in interrupts. O(waiters offered).
///
/// # Memory ordering
/// The next writer sees everything that was done before the guard was dropped.
///
/// # Examples
/// ```
/// let lock = testudo::RwLock::new(1);
/// let guard = lock.try_upgradable_read().unwrap();
/// let reader = lock.try_read().unwrap();
/// assert_eq!(*guard + *reader, 2);
/// ```
#[doc(alias = "RwLockUpgradableReadGuard")]
#[must_use = "dropping the guard leaves the lock"]
#[clippy::has_significant_drop]
pub struct RwLockUpgradableGuard<'a, T: ?Sized, H: Handle<Target = RwLock<T>> = &'a RwLock<T>> {
    handle: H,
    // As in `RwLockReadGuard`.
    _data: PhantomData<(&'a (), T)>,
}

guard!(RwLockReadGuard, Read, {});
guard!(RwLockWriteGuard, Write, { unwinding: Unwinding = Unwinding::here() });
guard!(RwLockUpgradableGuard, Upgradable, {});
into_handle!(RwLockWriteGuard);
into_handle!(RwLockUpgradableGuard);

impl<'a, T: ?Sized, H: Handle<Target = RwLock<T>>> RwLockWriteGuard<'a, T, H> {
    /// Becomes a reader, and lets other readers in; no writer comes between.
    ///
    /// # Panics
    /// If the waker of a reader panics; it is a reader then, and leaves.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(1);
    /// let guard = lock.try_write().unwrap().downgrade();
    /// assert_eq!(*guard + *lock.try_read().unwrap(), 2);
    /// ```
    pub fn downgrade(self) -> RwLockReadGuard<'a, T, H> {
        self.mark();
        let guard = RwLockReadGuard::new(self.into_handle());
        guard.handle.entry.change(Need::Write, Need::Read);
        guard
    }

    /// Becomes an upgradable reader, and lets other readers in; no writer comes between.
    ///
    /// # Panics
    /// If the waker of a reader panics; it is an upgradable reader then, and leaves.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(1);
    /// let guard = lock.try_write().unwrap().downgrade_to_upgradable();
    /// assert!(lock.try_read().is_some() && lock.try_write().is_none());
    /// *guard.try_upgrade().unwrap() = 2;
    /// ```
    #[doc(alias = "downgrade_to_upgradeable")]
    pub fn downgrade_to_upgradable(self) -> RwLockUpgradableGuard<'a, T, H> {
        self.mark();
        let guard = RwLockUpgradableGuard::new(self.into_handle());
        guard.handle.entry.change(Need::Write, Need::Upgradable);
        guard
    }

    /// Notes that a panic began while it was the writer.
    #[inline]
    fn mark(&self) {
        if self.unwinding.began() {
            self.handle.entry.poison(true);
        }
    }
}

impl<'a, T: ?Sized, H: Handle<Target = RwLock<T>>> RwLockUpgradableGuard<'a, T, H> {
    /// Becomes the writer if there are no other readers.
    ///
    /// # Errors
    /// The guard itself, if there are.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(1).
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(1);
    /// let reader = lock.try_read();
    /// let guard = lock.try_upgradable_read().unwrap().try_upgrade().unwrap_err();
    /// drop(reader);
    /// *guard.try_upgrade().unwrap() = 2;
    /// ```
    pub fn try_upgrade(self) -> Result<RwLockWriteGuard<'a, T, H>, Self> {
        if self.handle.entry.try_upgrade(false) { Ok(RwLockWriteGuard::new(self.into_handle())) } else { Err(self) }
    }

    /// Waits until all other readers have left, and becomes the writer; no other writer comes between.
    ///
    /// From the first poll on nobody gets in, until it was the writer. A future that is dropped before has left the lock: the
    /// data is as it was, and those it kept out get in. Who wants to stay inside as a reader tries
    /// [`try_upgrade`](RwLockUpgradableGuard::try_upgrade).
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the guard.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let lock = testudo::RwLock::new(1);
    /// let guard = lock.upgradable_read().await;
    /// *guard.upgrade().await += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// # });
    /// ```
    pub fn upgrade(self) -> Upgrade<'a, T, H> {
        Upgrading::future(self.into_handle())
    }

    /// Blocks this thread until all other readers have left, and becomes the writer.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(1);
    /// *lock.upgradable_read_blocking().upgrade_blocking() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[cfg(feature = "std")]
    pub fn upgrade_blocking(self) -> RwLockWriteGuard<'a, T, H> {
        self.try_upgrade().unwrap_or_else(|guard| crate::wait::thread::park_until_ready(guard.upgrade()))
    }

    /// Becomes an ordinary reader: another may get in as the upgradable one.
    ///
    /// # Panics
    /// If the waker of a waiter panics; it is a reader then, and leaves.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::RwLock::new(1);
    /// let guard = lock.try_upgradable_read().unwrap().downgrade();
    /// assert!(lock.try_upgradable_read().is_some());
    /// ```
    pub fn downgrade(self) -> RwLockReadGuard<'a, T, H> {
        let guard = RwLockReadGuard::new(self.into_handle());
        guard.handle.entry.change(Need::Upgradable, Need::Read);
        guard
    }
}

impl<T: ?Sized, H: Handle<Target = RwLock<T>>> DerefMut for RwLockWriteGuard<'_, T, H> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: I1: it is the writer, and it is borrowed mutably.
        unsafe { self.handle.data_mut() }
    }
}

impl<T: ?Sized, H: Handle<Target = RwLock<T>>> Drop for RwLockReadGuard<'_, T, H> {
    #[inline]
    fn drop(&mut self) {
        tell!(released(&self.handle.entry.sides.line, "RwLock", 1));
        self.handle.entry.release(Need::Read);
    }
}

impl<T: ?Sized, H: Handle<Target = RwLock<T>>> Drop for RwLockWriteGuard<'_, T, H> {
    #[inline]
    fn drop(&mut self) {
        self.mark();
        tell!(released(&self.handle.entry.sides.line, "RwLock", 1));
        self.handle.entry.release(Need::Write);
    }
}

impl<T: ?Sized, H: Handle<Target = RwLock<T>>> Drop for RwLockUpgradableGuard<'_, T, H> {
    #[inline]
    fn drop(&mut self) {
        tell!(released(&self.handle.entry.sides.line, "RwLock", 1));
        self.handle.entry.release(Need::Upgradable);
    }
}
