//! A monitor: a lock, its data, and tasks that wait for the data to be as they need it.
#![allow(unsafe_code)]
// STATE       a Mutex, whose word also has ASKED; side: waiters for a notification; walk: where a notifier stands in side;
//             asked: notifications that are still to be carried out (with ASKED)
//                 T1 park        in side, then the lock is freed                    by the owner of the lock
//                 T2 satisfied   side -> the lock's queue, with a token             by a notifier, who owns the lock
//                 T3 ask         asked += n, ASKED                                  the flag is taken, or a token comes back
//                 T4 carry out   ASKED off, n = asked, T2                           by the owner of the lock, before it frees it
//             waiter: holds the lock --T1--> in side --T2--> in the lock's queue --> holds the lock --> done, or T1 again
// INVARIANTS  I1 side grows only by T1, so not while somebody else owns the lock: a walk sees a list that only shrinks.
//             I2 the predicate of a linked node is run by the notifier that claims it; by its owner once it is in no list.
//             I3 while ASKED is set, the lock is owned or the flag is held; whoever lets go of the flag and finds the lock
//                free takes it and carries out.
//             I4 a token that was counted is spent on a waiter that returns, or comes back by T3.
// EDGES       E1 T3 (release) -> T4 (acquire): who carries out sees how many were asked for.
// CANCEL      in side: place in line. In the queue or handed the lock: the token is passed on, the lock is freed.
// INTERRUPT   try_lock: yes, O(1). notify and dropping a guard: yes, and run the predicates of waiters there. wait: tasks only.
use core::{
    cell::Cell,
    fmt,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr,
};

use super::{
    guard::prints_as_data,
    mutex::{ASKED, Mutex},
    until::{ConditionLock, ConditionWait, ConditionWaitFor, Locked, Notified, Running, Waiting, When},
};
use crate::{
    sys::{
        EAGER, Unwinding,
        atomic::{AtomicUsize, Ordering::*},
        const_fn,
        lots::LOT,
    },
    wait::{Found, Handle, Held, Lot, Side, Token, Wait, WaitList, Walk},
};

/// A lock, the data it protects, and waiters for the data to change: a monitor.
///
/// A notifier, who has the lock, evaluates the predicates of the waiters and wakes only those that hold: a thousand waiters
/// of which one can go on cost one wake and one poll. A satisfied waiter gets in line for the lock, behind those that
/// are there already, and wakes when the lock is offered to it.
///
/// # asyncio
/// `asyncio.Condition` with its data inside. Differs: `notify(n)` is never spent on a waiter whose predicate is false; a
/// cancelled wait takes no lock; a notification of a cancelled waiter goes to another one, and only then.
///
/// # Fairness
/// That of [`Mutex`]; among waiters of a notification, first come, first served.
///
/// # Examples
/// ```
/// use testudo::{Condition, run::block_on};
///
/// static ITEMS: Condition<Vec<u32>> = Condition::new(Vec::new());
///
/// let consumer = std::thread::spawn(|| block_on(async {
///     ITEMS.wait_until(|items| items.len() >= 2).await.drain(..).sum::<u32>()
/// }));
/// for item in [3, 4] {
///     let mut items = ITEMS.lock_blocking();
///     items.push(item);
///     ITEMS.notify(&items, 1);
/// }
/// assert_eq!(consumer.join().unwrap(), 7);
/// ```
#[doc(alias = "Condvar")]
#[doc(alias = "Monitor")]
pub struct Condition<T: ?Sized> {
    pub(super) side: Side,
    pub(super) walk: Walk,
    asked: AtomicUsize,
    pub(super) mutex: Mutex<T>,
}

impl<T> Condition<T> {
    const_fn! {
    /// Returns a condition around `data`, its lock free.
    ///
    /// # Examples
    /// ```
    /// static READY: testudo::Condition<bool> = testudo::Condition::new(false);
    /// assert!(!*READY.try_lock().unwrap());
    /// ```
    pub const fn new(data: T) -> Self {
        Self { side: Side::new(), walk: Walk::new(), asked: AtomicUsize::new(0), mutex: Mutex::new(data) }
    }
    }

    /// Returns the data.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::Condition::new(3).into_inner(), 3);
    /// ```
    pub fn into_inner(self) -> T {
        self.mutex.into_inner()
    }
}

impl<T: ?Sized> Condition<T> {
    /// Waits until the lock is free, and takes it.
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
    /// let level = testudo::Condition::new(1);
    /// *level.lock().await += 1;
    /// assert_eq!(*level.lock().await, 2);
    /// # });
    /// ```
    #[doc(alias = "acquire")]
    #[inline]
    pub fn lock(&self) -> ConditionLock<'_, T> {
        Self::lock_with(self)
    }

    /// Takes the lock as [`lock`](Condition::lock) does, through any handle.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use testudo::{Condition, run::block_on};
    ///
    /// let level = Arc::new(Condition::new(0));
    /// let guard = block_on(Condition::lock_with(Arc::clone(&level)));
    /// std::thread::spawn(move || drop(guard)).join().unwrap();
    /// assert!(level.try_lock().is_some());
    /// ```
    #[inline]
    pub fn lock_with<'a, H: Handle<Target = Self>>(this: H) -> ConditionLock<'a, T, H> {
        ConditionLock { wait: Wait::new(Waiting::new(Locked, this), false) }
    }

    /// Takes the lock if it is free, even if others wait for it.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(1).
    ///
    /// # Examples
    /// ```
    /// let level = testudo::Condition::new(1);
    /// assert!(level.try_lock().is_some_and(|level| *level == 1));
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Option<ConditionGuard<'_, T>> {
        self.mutex.try_take().is_ok().then(|| ConditionGuard::new(self))
    }

    /// Takes the lock if it is free, through any handle.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// let level = Rc::new(testudo::Condition::new(1));
    /// assert_eq!(*testudo::Condition::try_lock_with(Rc::clone(&level)).unwrap(), 1);
    /// ```
    pub fn try_lock_with<'a, H: Handle<Target = Self>>(this: H) -> Option<ConditionGuard<'a, T, H>> {
        this.mutex.try_take().is_ok().then(|| ConditionGuard::new(this))
    }

    /// Blocks this thread until the lock is free, and takes it.
    ///
    /// # Examples
    /// ```
    /// let level = testudo::Condition::new(1);
    /// *level.lock_blocking() += 1;
    /// assert_eq!(level.into_inner(), 2);
    /// ```
    #[cfg(feature = "std")]
    pub fn lock_blocking(&self) -> ConditionGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| crate::wait::thread::park_until_ready(self.lock()))
    }

    /// Frees the lock, waits for a notification, and takes the lock again.
    ///
    /// Gets in line before the lock is free, at the first poll. There are no spurious wake-ups. Prefer
    /// [`wait_for`](Condition::wait_for): a notification does not say that the data is as you need it when you get the lock.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    /// The lock is not taken again: the guard is gone with the future.
    ///
    /// # Panics
    /// If `guard` is another condition's, naming both addresses; when polled after completion.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// use futures_lite::future::zip;
    /// let turn = testudo::Condition::new(0);
    /// let waiter = async { *turn.wait(turn.lock().await).await };
    /// let notifier = async {
    ///     let mut guard = turn.lock().await;
    ///     *guard = 5;
    ///     turn.notify(&guard, 1);
    /// };
    /// assert_eq!(zip(waiter, notifier).await.0, 5);
    /// # });
    /// ```
    #[inline]
    pub fn wait<'a, H: Handle<Target = Self>>(&self, guard: ConditionGuard<'a, T, H>) -> ConditionWait<'a, T, H> {
        self.check(&guard, "wait");
        let handle = guard.into_handle();
        ConditionWait { wait: Wait::new(Waiting::new(Notified, handle), true) }
    }

    /// Waits, with the lock free meanwhile, until `predicate` holds, and returns with the lock.
    ///
    /// The predicate is called with the lock held, first by this future, then by notifiers on their threads: hence `Send`, and
    /// `'static`, since a future may be leaked while it waits (`move` what it compares with into it). It holds when this
    /// returns. A waiter whose predicate held when it was notified, but not when it got the lock, passes the notification on
    /// and waits again, last in line.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    /// Dropping it while a notifier on another thread runs its predicate waits for that to return, and for those that are run with
    /// it (up to 16 in all with `std`): a predicate must not drop its own future, nor wait for a thread that drops one.
    ///
    /// # Panics
    /// If `guard` is another condition's, naming both addresses; when polled after completion; when `predicate` does. If that
    /// happened in a notifier, the notifier goes on (with `std`) and this future panics when it is polled.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let level = testudo::Condition::new(3);
    /// let guard = level.lock().await;
    /// let guard = level.wait_for(guard, |level| *level >= 3).await;
    /// assert_eq!(*guard, 3);
    /// # });
    /// ```
    /// A predicate that borrows is refused: a notifier could call it after the borrow has ended.
    /// ```compile_fail,E0597
    /// let level = testudo::Condition::new(0);
    /// let mut calls = 0;
    /// core::mem::forget(Box::pin(level.wait_until(|_| {
    ///     calls += 1;
    ///     false
    /// })));
    /// ```
    /// What it compares with belongs to the predicate; `move` of a reference is still a borrow:
    /// ```
    /// # struct Shelf { items: testudo::Condition<Vec<u32>>, room: usize }
    /// # impl Shelf {
    /// async fn is_full(&self) {
    ///     let room = self.room; // not `self.room` in the predicate
    ///     drop(self.items.wait_until(move |items| items.len() >= room).await);
    /// }
    /// # }
    /// ```
    #[doc(alias = "wait_while")]
    #[inline]
    pub fn wait_for<'a, P, H>(&self, guard: ConditionGuard<'a, T, H>, predicate: P) -> ConditionWaitFor<'a, T, P, H>
    where
        P: FnMut(&T) -> bool + Send + 'static,
        H: Handle<Target = Self>,
    {
        self.check(&guard, "wait_for");
        Self::waiting_for(guard.into_handle(), predicate, true)
    }

    /// Takes the lock and waits, with the lock free meanwhile, until `predicate` holds: [`lock`](Condition::lock), then
    /// [`wait_for`](Condition::wait_for), in one future. See there why the predicate is `Send + 'static`.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    /// Dropping it while a notifier on another thread runs its predicate waits for that to return, and for those that are run with
    /// it (up to 16 in all with `std`): a predicate must not drop its own future, nor wait for a thread that drops one.
    ///
    /// # Panics
    /// As [`wait_for`](Condition::wait_for).
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let level = testudo::Condition::new(3);
    /// *level.wait_until(|level| *level >= 3).await -= 1;
    /// assert_eq!(level.into_inner(), 2);
    /// # });
    /// ```
    #[inline]
    pub fn wait_until<P>(&self, predicate: P) -> ConditionWaitFor<'_, T, P>
    where
        P: FnMut(&T) -> bool + Send + 'static,
    {
        Self::waiting_for(self, predicate, false)
    }

    /// Waits as [`wait_until`](Condition::wait_until) does, through any handle.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    /// A notification it had already received goes to the next waiter.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use testudo::{Condition, run::block_on};
    ///
    /// let level = Arc::new(Condition::new(3));
    /// let guard = block_on(Condition::wait_until_with(Arc::clone(&level), |level| *level == 3));
    /// assert_eq!(*guard, 3);
    /// ```
    #[inline]
    pub fn wait_until_with<'a, P, H>(this: H, predicate: P) -> ConditionWaitFor<'a, T, P, H>
    where
        P: FnMut(&T) -> bool + Send + 'static,
        H: Handle<Target = Self>,
    {
        Self::waiting_for(this, predicate, false)
    }

    /// Blocks this thread as [`wait`](Condition::wait) suspends a task.
    ///
    /// # Panics
    /// If `guard` is another condition's, naming both addresses.
    ///
    /// # Examples
    /// ```
    /// let turn = testudo::Condition::new(0);
    /// std::thread::scope(|s| {
    ///     let guard = turn.lock_blocking();
    ///     s.spawn(|| {
    ///         let guard = turn.lock_blocking();
    ///         turn.notify_all(&guard);
    ///     });
    ///     drop(turn.wait_blocking(guard));
    /// });
    /// ```
    #[cfg(feature = "std")]
    pub fn wait_blocking<'a, H: Handle<Target = Self>>(
        &self,
        guard: ConditionGuard<'a, T, H>,
    ) -> ConditionGuard<'a, T, H> {
        crate::wait::thread::park_until_ready(self.wait(guard))
    }

    /// Blocks this thread as [`wait_for`](Condition::wait_for) suspends a task. The predicate may borrow.
    ///
    /// # Panics
    /// If `guard` is another condition's, naming both addresses; when `predicate` does, here or in a notifier.
    ///
    /// # Examples
    /// ```
    /// let level = testudo::Condition::new(3);
    /// let guard = level.lock_blocking();
    /// assert_eq!(*level.wait_for_blocking(guard, |level| *level == 3), 3);
    /// ```
    #[cfg(feature = "std")]
    pub fn wait_for_blocking<'a, P, H>(&self, guard: ConditionGuard<'a, T, H>, predicate: P) -> ConditionGuard<'a, T, H>
    where
        P: FnMut(&T) -> bool + Send,
        H: Handle<Target = Self>,
    {
        self.check(&guard, "wait_for");
        // Not `'static`: as in `wait_until_blocking`.
        crate::wait::thread::park_until_ready(Self::waiting_for(guard.into_handle(), predicate, true))
    }

    /// Blocks this thread as [`wait_until`](Condition::wait_until) suspends a task. The predicate may borrow.
    ///
    /// # Panics
    /// When `predicate` does, here or in a notifier.
    ///
    /// # Examples
    /// ```
    /// let level = testudo::Condition::new(0);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         let mut guard = level.lock_blocking();
    ///         *guard = 3;
    ///         level.notify_all(&guard);
    ///     });
    ///     assert_eq!(*level.wait_until_blocking(|level| *level == 3), 3);
    /// });
    /// ```
    #[cfg(feature = "std")]
    pub fn wait_until_blocking<P>(&self, predicate: P) -> ConditionGuard<'_, T>
    where
        P: FnMut(&T) -> bool + Send,
    {
        // Not `'static`: this frame cannot be left, and so the future cannot be leaked, before it is done.
        crate::wait::thread::park_until_ready(Self::waiting_for(self, predicate, false))
    }

    /// Lets up to `n` waiters go on, first come, first served: those without a predicate, and those whose predicate holds.
    ///
    /// They go on when they get the lock, after `guard` is dropped. Not remembered if nobody waits. Never waits itself; one
    /// load if nobody waits, else as many predicate calls as there are waiters before the `n`-th that can go on.
    ///
    /// # Interrupts
    /// May be called from interrupts: the predicates of waiting tasks run there. With `critical-section` each of them runs with
    /// interrupts masked.
    ///
    /// # Panics
    /// If `guard` is another condition's, naming both addresses.
    ///
    /// # Examples
    /// ```
    /// let level = testudo::Condition::new(0);
    /// let guard = level.try_lock().unwrap();
    /// level.notify(&guard, 1);
    /// ```
    #[doc(alias = "notify_one")]
    #[inline]
    pub fn notify<H: Handle<Target = Self>>(&self, guard: &ConditionGuard<'_, T, H>, n: usize) {
        self.check(guard, "notify");
        tell!(notified(self.list(), "Condition::notify", n));
        if n > 0 && !self.side.is_empty() {
            self.notify_waiters(guard, n);
        }
    }

    /// Lets all waiters go on that have no predicate or whose predicate holds.
    ///
    /// # Panics
    /// If `guard` is another condition's, naming both addresses.
    ///
    /// # Examples
    /// ```
    /// let level = testudo::Condition::new(0);
    /// let mut guard = level.try_lock().unwrap();
    /// *guard += 1;
    /// level.notify_all(&guard);
    /// ```
    #[inline]
    pub fn notify_all<H: Handle<Target = Self>>(&self, guard: &ConditionGuard<'_, T, H>) {
        self.notify(guard, ALL);
    }

    /// Says whether somebody has the lock. One load.
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::Condition::new(()).is_locked());
    /// ```
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.mutex.is_locked()
    }

    /// Returns the data, which nobody else can reach.
    ///
    /// # Examples
    /// ```
    /// let mut level = testudo::Condition::new(1);
    /// *level.get_mut() = 2;
    /// assert_eq!(level.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.mutex.get_mut()
    }

    /// Says whether a guard was dropped by a panic since the last [`clear_poison`](Condition::clear_poison).
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::Condition::new(()).is_poisoned());
    /// ```
    #[cfg(feature = "std")]
    pub fn is_poisoned(&self) -> bool {
        self.mutex.is_poisoned()
    }

    /// Says that the data is in order again.
    ///
    /// # Examples
    /// ```
    /// testudo::Condition::new(()).clear_poison();
    /// ```
    #[cfg(feature = "std")]
    pub fn clear_poison(&self) {
        self.mutex.clear_poison();
    }

    fn waiting_for<'a, P, H>(handle: H, predicate: P, holding: bool) -> ConditionWaitFor<'a, T, P, H>
    where
        P: FnMut(&T) -> bool + Send,
        H: Handle<Target = Self>,
    {
        let until = When::new(predicate);
        ConditionWaitFor { wait: Wait::new(Waiting::new(until, handle), holding) }
    }

    #[inline]
    fn check<H: Handle<Target = Self>>(&self, guard: &ConditionGuard<'_, T, H>, verb: &str) {
        if !ptr::addr_eq(&*guard.handle, self) {
            foreign_guard(verb, ptr::from_ref(self).cast(), ptr::from_ref(&*guard.handle).cast());
        }
    }

    pub(super) fn list(&self) -> &WaitList {
        &self.mutex.list
    }

    #[cold]
    fn notify_waiters(&self, data: &T, n: usize) {
        match self.list().hold_if_free() {
            Some(held) => self.walk(held, data, n),
            None => self.ask(n),
        }
    }

    /// T3. Saturates: more than there can be waiters is all.
    pub(super) fn ask(&self, n: usize) {
        // ORDER: E1 release, by the RMW of the word below
        let _ = self.asked.fetch_update(AcqRel, Relaxed, |asked| Some(asked.saturating_add(n)));
        let mut word = self.list().guess();
        while let Err(now) = self.list().try_change(word, word.bits().with(ASKED)) {
            word = now;
        }
    }

    /// T4, by the owner of the lock.
    pub(super) fn carry_out<'c>(&'c self, mut held: Held<'c>, data: &T) {
        // Off first: what is asked for from now on sets it again.
        while !held.change(held.bits().without(ASKED)) {}
        let n = self.asked.swap(0, AcqRel); // ORDER: E1 acquire
        self.walk(held, data, n);
    }

    /// T2 for up to `n` waiters, by the owner of the lock; lets go of the flag.
    fn walk<'c>(&'c self, mut held: Held<'c>, data: &T, mut n: usize) {
        if self.walk.is_active(&mut held) {
            // Another thread notifies with a reference to the same guard.
            held.let_go().leave();
            return self.ask(n);
        }
        let token = if n == ALL { Token::All } else { Token::One }; // I4
        self.walk.begin(&mut held, &self.side); // I1: nobody is added behind it
        let mut most = 0;
        while n > 0 {
            match self.walk.look(&mut held) {
                None => break,
                Some(Found::Plain) => {
                    self.walk.requeue(&mut held, &self.side, token);
                    n -= usize::from(n != ALL);
                }
                Some(Found::Busy) => {
                    self.walk.end(&mut held);
                    held.let_go().leave();
                    return self.ask(n);
                }
                Some(Found::Panicked) => self.walk.requeue(&mut held, &self.side, Token::Panicked),
                Some(Found::Asks) => {
                    // So many at least have to be asked, if there are as many; then ever more.
                    most = n.max(2 * most).min(LOT);
                    let lot = Lot::new();
                    self.walk.claim(&mut held, &self.side, &lot, most);
                    let mask = held.let_go();
                    let running = Running::new(&lot, self, n);
                    running.ask(data);
                    let Some(again) = self.list().retake(mask) else { return };
                    held = again;
                    running.done();
                    let told = self.walk.give_back(&mut held, &self.side, &lot, token);
                    n -= if n == ALL { 0 } else { told };
                }
            }
            if EAGER {
                // One node a masked section.
                held.let_go().leave();
                held = self.list().hold();
            }
        }
        self.walk.end(&mut held);
        held.let_go().leave();
    }

    /// Frees the lock, after T4.
    #[inline]
    pub(super) fn unlock(&self, unwinding: Unwinding) {
        tell!(released(self.list(), "Condition", 1));
        let adopted = Adopted::new(self);
        while let Some(held) = self.mutex.unlock(unwinding, adopted.cell()) {
            // A predicate that unwinds through here (only without std) leaves the lock to be freed.
            adopted.cell().set(true);
            // SAFETY: mutex I2: LOCKED is the caller's, whose guard is being dropped.
            self.carry_out(held, unsafe { self.mutex.data() });
            adopted.cell().set(false);
        }
    }

    /// Lets go of the flag; carries out and frees the lock if it was left to do so (I3).
    pub(super) fn settle(&self, held: Held<'_>) {
        self.mutex.settle(held, Adopted::new(self).cell());
    }
}

/// Frees the lock when it is dropped, if it has come to own it: a settling call found it free and ASKED (I3).
pub(super) struct Adopted<'c, T: ?Sized>(&'c Condition<T>, Cell<bool>);

impl<'c, T: ?Sized> Adopted<'c, T> {
    #[inline]
    pub(super) fn new(condition: &'c Condition<T>) -> Self {
        Self(condition, Cell::new(false))
    }

    #[inline]
    pub(super) fn cell(&self) -> &Cell<bool> {
        &self.1
    }
}

impl<T: ?Sized> Drop for Adopted<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.1.get() {
            self.0.unlock(Unwinding::here());
        }
    }
}

/// All waiters.
const ALL: usize = usize::MAX;

#[cold]
#[track_caller]
fn foreign_guard(verb: &str, this: *const (), other: *const ()) -> ! {
    panic!("Condition::{verb}: the guard belongs to the condition at {other:p}, not to the one at {this:p}")
}

impl<T: Default> Default for Condition<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Condition<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

impl<T: ?Sized> fmt::Debug for Condition<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("locked", &self.is_locked())
            .field("waiters", &!self.side.is_empty())
            .finish_non_exhaustive()
    }
}

/// The right to use the data of a [`Condition`], to notify, and to wait; dropping it frees the lock.
///
/// # Memory ordering
/// The next owner sees everything that was done before the guard was dropped.
///
/// # Examples
/// ```
/// let level = testudo::Condition::new(1);
/// let mut guard = level.try_lock().unwrap();
/// *guard += 1;
/// level.notify_all(&guard);
/// assert_eq!(*guard, 2);
/// ```
#[must_use = "dropping the guard frees the lock"]
#[clippy::has_significant_drop]
pub struct ConditionGuard<'a, T: ?Sized, H: Handle<Target = Condition<T>> = &'a Condition<T>> {
    handle: H,
    unwinding: Unwinding,
    // `&guard` gives `&T`: Sync needs `T: Sync`, which the handle alone does not ask for.
    _data: PhantomData<(&'a (), T)>,
}

impl<'a, T: ?Sized, H: Handle<Target = Condition<T>>> ConditionGuard<'a, T, H> {
    /// For the owner of LOCKED.
    #[inline]
    pub(super) fn new(handle: H) -> Self {
        tell!(acquired(handle.list(), "Condition", 1));
        Self { handle, unwinding: Unwinding::here(), _data: PhantomData }
    }

    /// Gives up the guard, not the lock.
    #[inline]
    fn into_handle(self) -> H {
        let this = ManuallyDrop::new(self);
        // SAFETY: mutex I1: LOCKED goes with the handle; `this` is not used again, nor dropped.
        unsafe { ptr::read(&this.handle) }
    }

    /// Returns the handle through which the lock was taken.
    ///
    /// # Examples
    /// ```
    /// let level = testudo::Condition::new(1);
    /// let guard = level.try_lock().unwrap();
    /// assert!(core::ptr::eq(*testudo::ConditionGuard::handle(&guard), &level));
    /// ```
    pub fn handle(this: &Self) -> &H {
        &this.handle
    }
}

impl<T: ?Sized, H: Handle<Target = Condition<T>>> Deref for ConditionGuard<'_, T, H> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: mutex I1, I2: a guard owns LOCKED, `&self` keeps `&mut` away.
        unsafe { self.handle.mutex.data() }
    }
}

impl<T: ?Sized, H: Handle<Target = Condition<T>>> DerefMut for ConditionGuard<'_, T, H> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: mutex I1, I2: a guard owns LOCKED, and it is borrowed mutably.
        unsafe { self.handle.mutex.data_mut() }
    }
}

impl<T: ?Sized, H: Handle<Target = Condition<T>>> Drop for ConditionGuard<'_, T, H> {
    #[inline]
    fn drop(&mut self) {
        self.handle.unlock(self.unwinding);
    }
}

prints_as_data!(ConditionGuard, Condition);
