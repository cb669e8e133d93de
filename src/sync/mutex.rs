//! A lock that tasks wait for, around the data it protects.
#![allow(unsafe_code)]
// STATE       word: LOCKED, ASKED (Condition's), POISONED, and the waiters
//                 T1 take           w -> w | LOCKED                        free, with or without waiters
//                 T2 free           w -> w & !LOCKED                       nobody waits, or the flag is taken
//                 T3 offer          the head's waker is taken and woken; w & !LOCKED
//                 T4 hand over      the head is taken out and Notified; LOCKED stays
//             free --T1--> LOCKED --T2, T3--> free       LOCKED --T4--> LOCKED by the head
// INVARIANTS  I1 LOCKED is owned by one guard, one future that was handed it, or one call on its way through `settle`.
//             I2 only the owner of LOCKED touches the data.
//             I3 while the lock is free and the flag is not held, the head, if there is one, has been offered it.
//             I4 a head that was overtaken LIMIT times since it was first offered the lock is handed it; releases by T2 that
//                find the flag taken are not counted.
// EDGES       E1 T2, T3 (release) -> T1 (acquire): one owner sees what the last one did; after T4, E3 of word.rs.
// CANCEL      Waiting: place in line; an offer goes to the next. Notified: the lock it was handed is freed.
// INTERRUPT   try_lock: yes, O(1). dropping a guard: yes, O(waiters that came since the last release), O(1) with
//             critical-section. lock: tasks only.
use core::{
    cell::Cell,
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    task::Waker,
};

use super::guard::prints_as_data;
use crate::{
    sys::{LEAN, Unwinding, cell::UnsafeCell, const_fn},
    wait::{Admit, Bits, Handle, Held, Reaches, Source, Step, Token, Wait, WaitList, Word, wait_future, wake_alone},
};

/// How often a waiter may be overtaken once it was offered the lock.
const LIMIT: u8 = 4;

const LOCKED: Bits = Bits::own(0);
/// A [`Condition`](crate::Condition) has notifications left that its lock's owner has to carry out.
pub(super) const ASKED: Bits = Bits::own(1);
const POISONED: Bits = Bits::own(2);

/// A mutual exclusion lock around a `T`.
///
/// # asyncio
/// Same as `asyncio.Lock`, but the data is inside, and a released lock is *offered*, not reserved: see below.
///
/// # Fairness
/// Waiters are served in the order in which they came. A released lock is offered to the first in line: it is woken and
/// keeps its place, and until it is polled the lock can be taken by others: by newcomers, and by waiters behind it that are
/// polled. So a future that is kept but not polled keeps neither the other futures of its task nor newcomers from the lock
/// (no "futurelock"). It is not for ever: a waiter that was overtaken 4 times owns the lock from that release on, polled or
/// not, and those in line behind it are woken when it was polled or dropped. (A release that meets a wait that is being
/// cancelled or polled again on another thread is not counted.)
///
/// # Panics
/// A panic that drops a guard leaves the data as it is and the lock usable. With `std`, `is_poisoned`
/// tells those who want to know.
///
/// # Examples
/// ```
/// use testudo::{Mutex, run::block_on};
///
/// static TOTAL: Mutex<u32> = Mutex::new(0);
///
/// block_on(async {
///     *TOTAL.lock().await += 7;
/// });
/// assert_eq!(*TOTAL.try_lock().unwrap(), 7);
/// ```
#[doc(alias = "Lock")]
pub struct Mutex<T: ?Sized> {
    pub(super) list: WaitList,
    data: UnsafeCell<T>,
}

// SAFETY: I2: the data goes from owner to owner (E1), so `T: Send` is needed and `T: Sync` is not.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: I2: with no guard left, it is the data and a word. `T: Send` as for any container.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    const_fn! {
    /// Returns a free lock around `data`.
    ///
    /// # Examples
    /// ```
    /// static LOCK: testudo::Mutex<Vec<u8>> = testudo::Mutex::new(Vec::new());
    /// assert!(!LOCK.is_locked());
    /// ```
    pub const fn new(data: T) -> Self {
        Self { list: WaitList::new(Bits::NONE), data: UnsafeCell::new(data) }
    }
    }

    /// Returns the data.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::Mutex::new(3).into_inner(), 3);
    /// ```
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until the lock is free, and takes it.
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
    /// let lock = testudo::Mutex::new(1);
    /// *lock.lock().await += 1;
    /// assert_eq!(*lock.lock().await, 2);
    /// # });
    /// ```
    #[doc(alias = "acquire")]
    #[inline]
    pub fn lock(&self) -> Lock<'_, T> {
        Self::lock_with(self)
    }

    /// Takes the lock as [`lock`](Mutex::lock) does, through any handle: the guard of an `Arc<Mutex<T>>` is `'static`.
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
    /// use std::sync::Arc;
    /// use testudo::{Mutex, run::block_on};
    ///
    /// let lock = Arc::new(Mutex::new(0));
    /// let mut guard = block_on(Mutex::lock_with(Arc::clone(&lock)));
    /// std::thread::spawn(move || *guard = 5).join().unwrap();
    /// assert_eq!(*block_on(lock.lock()), 5);
    /// ```
    #[doc(alias = "lock_owned")]
    #[doc(alias = "lock_arc")]
    #[inline]
    pub fn lock_with<'a, H: Handle<Target = Self>>(this: H) -> Lock<'a, T, H> {
        Lock { wait: Wait::new(LockSource { handle: this, _type: PhantomData }, false) }
    }

    /// Takes the lock if it is free, even if others wait for it.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(1).
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::Mutex::new(());
    /// let guard = lock.try_lock();
    /// assert!(guard.is_some() && lock.try_lock().is_none());
    /// ```
    #[doc(alias = "acquire_nowait")]
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.try_take().is_ok().then(|| MutexGuard::new(self))
    }

    /// Takes the lock if it is free, through any handle.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// let lock = Rc::new(testudo::Mutex::new(1));
    /// assert_eq!(*testudo::Mutex::try_lock_with(Rc::clone(&lock)).unwrap(), 1);
    /// ```
    pub fn try_lock_with<'a, H: Handle<Target = Self>>(this: H) -> Option<MutexGuard<'a, T, H>> {
        this.try_take().is_ok().then(|| MutexGuard::new(this))
    }

    /// Blocks this thread until the lock is free, and takes it.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::Mutex::new(0);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| *lock.lock_blocking() += 1);
    ///     s.spawn(|| *lock.lock_blocking() += 1);
    /// });
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[cfg(feature = "std")]
    pub fn lock_blocking(&self) -> MutexGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| crate::wait::thread::park_until_ready(self.lock()))
    }

    /// Says whether somebody has the lock. One load.
    ///
    /// # Interrupts
    /// May be called from interrupts.
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::Mutex::new(()).is_locked());
    /// ```
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.list.load().bits().has(LOCKED) // ORDER: E1 acquire
    }

    /// Returns the data, which nobody else can reach.
    ///
    /// # Examples
    /// ```
    /// let mut lock = testudo::Mutex::new(1);
    /// *lock.get_mut() = 2;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: I2: `&mut self`, so no guard and no waiter is left.
        self.data.with_mut(|data| unsafe { &mut *data })
    }

    /// Says whether a guard was dropped by a panic since the last [`clear_poison`](Mutex::clear_poison).
    ///
    /// Nothing else comes of it: the lock works on.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::Mutex::new(0);
    /// std::thread::scope(|s| {
    ///     let panicked = s.spawn(|| {
    ///         let _guard = lock.lock_blocking();
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
        self.list.load().bits().has(POISONED) // ORDER: E1 acquire
    }

    /// Says that the data is in order again.
    ///
    /// # Examples
    /// ```
    /// testudo::Mutex::new(0).clear_poison();
    /// ```
    #[cfg(feature = "std")]
    pub fn clear_poison(&self) {
        let mut word = self.list.guess();
        while let Err(now) = self.list.try_change(word, word.bits().without(POISONED)) {
            word = now;
        }
    }

    /// T1; Err: the word of a lock that is taken.
    #[inline(always)]
    pub(super) fn try_take(&self) -> Result<(), Word> {
        // Most often it is free and nobody waits: no look before.
        let mut word = Word::empty(Bits::NONE);
        while !word.bits().has(LOCKED) {
            match self.list.try_change(word, word.bits().with(LOCKED)) {
                Ok(()) => return Ok(()), // ORDER: E1 acquire
                Err(now) => word = now,
            }
        }
        Err(word)
    }

    pub(super) fn admit(bits: Bits) -> Admit {
        if bits.has(LOCKED) { Admit::Wait } else { Admit::Take(bits.with(LOCKED)) }
    }

    /// T2 or T3. Some: ASKED is set, and the owner has to see to it first.
    #[inline(always)]
    pub(super) fn unlock(&self, unwinding: Unwinding, asked: &Cell<bool>) -> Option<Held<'_>> {
        let quick = !LEAN && !unwinding.began() && self.list.try_change(Word::empty(LOCKED), Bits::NONE).is_ok(); // ORDER: E1 release
        if quick { None } else { self.unlock_contended(unwinding, asked) }
    }

    fn unlock_contended(&self, unwinding: Unwinding, asked: &Cell<bool>) -> Option<Held<'_>> {
        let mark = if unwinding.began() { POISONED } else { Bits::NONE };
        let mut word = self.list.guess();
        loop {
            let bits = word.bits().with(mark);
            let tried = if word.is_held() || (word.is_empty() && !bits.has(ASKED)) {
                self.list.try_change(word, bits.without(LOCKED)) // T2. ORDER: E1 release
            } else {
                match self.list.try_hold(word, bits) {
                    Ok(held) if bits.has(ASKED) => return Some(held),
                    Ok(held) => {
                        self.release(held, asked);
                        return None;
                    }
                    Err(now) => Err(now),
                }
            };
            match tried {
                Ok(()) => return None,
                Err(now) => word = now,
            }
        }
    }

    /// T3 or T4 by the owner, who has the flag.
    pub(super) fn release(&self, mut held: Held<'_>, asked: &Cell<bool>) {
        let mut waker = None;
        if let Some(mut head) = held.head() {
            head.overtaken();
            if LEAN || head.is_starved(LIMIT) {
                return self.serve(held, None, true, asked);
            }
            waker = head.offer();
        }
        let free = held.bits().without(LOCKED);
        match held.publish(free) {
            Ok(mask) => {
                mask.leave(); // T3. ORDER: E1 release
                if let Some(waker) = waker {
                    wake_alone(waker);
                }
            }
            Err(held) => self.serve(held, waker, true, asked),
        }
    }

    /// Lets go of the flag so that I3 and I4 hold. `asked` afterwards: the caller has become the owner, because ASKED was
    /// set and the lock was free.
    #[inline]
    pub(super) fn settle(&self, held: Held<'_>, asked: &Cell<bool>) {
        if LEAN {
            return self.serve(held, None, false, asked);
        }
        if let Some(held) = held.let_go_unless(|bits| !bits.has(LOCKED)) {
            self.serve(held, None, false, asked);
        }
    }

    /// Does what the state owes: an offer or a hand-over to the head. `owner`: the lock is the caller's, and is freed.
    fn serve(&self, held: Held<'_>, first: Option<Waker>, mut owner: bool, asked: &Cell<bool>) {
        self.list.settle(held, first, |held, batch| {
            asked.set(false);
            let bits = held.bits();
            if bits.has(LOCKED) && !owner {
                return Step::LetGo(bits);
            }
            if bits.has(ASKED) && !owner {
                asked.set(true);
                return Step::LetGo(bits.with(LOCKED)); // T1
            }
            let free = bits.without(LOCKED);
            let Some(mut head) = held.head() else { return Step::LetGo(free) };
            if batch.is_full() && !owner {
                return Step::Pass(free);
            }
            if !head.is_starved(LIMIT) {
                batch.extend(head.offer());
                return Step::LetGo(free); // T3. ORDER: E1 release
            }
            if !owner {
                owner = held.change(bits.with(LOCKED)); // T1, for the head
                return Step::Again;
            }
            owner = false;
            batch.extend(head.hand_over(None)); // T4
            Step::LetGo(held.bits())
        });
    }

    /// The data, for the owner of the lock.
    ///
    /// # Safety
    /// (a) the caller has LOCKED for as long as the reference lives, and there is no other.
    pub(super) unsafe fn data_mut<'d>(&self) -> &'d mut T {
        // SAFETY: (a), I2.
        self.data.with_mut(|data| unsafe { &mut *data })
    }

    /// The data, for the owner of the lock.
    ///
    /// # Safety
    /// (a) the caller has LOCKED for as long as the reference lives, and there is no `&mut`.
    pub(super) unsafe fn data<'d>(&self) -> &'d T {
        // SAFETY: (a), I2.
        self.data.with(|data| unsafe { &*data })
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.list.guess();
        f.debug_struct("Mutex")
            .field("locked", &word.bits().has(LOCKED))
            .field("waiters", &!word.is_empty())
            .finish_non_exhaustive()
    }
}

pub(super) struct LockSource<'a, T: ?Sized, H> {
    handle: H,
    _type: Reaches<'a, T>,
}

impl<'a, T: ?Sized, H: Handle<Target = Mutex<T>>> Source for LockSource<'a, T, H> {
    const VERB: &'static str = "Mutex::lock";

    type Output = MutexGuard<'a, T, H>;
    type Header = ();

    fn header(&self) {}

    #[inline(always)]
    fn list(&self) -> &WaitList {
        &self.handle.list
    }

    #[inline(always)]
    fn try_take(&self) -> Result<(), Word> {
        self.handle.try_take()
    }

    #[inline(always)]
    fn admit(&self, bits: Bits) -> Admit {
        Mutex::<T>::admit(bits)
    }

    fn settle(&self, held: Held<'_>) {
        self.handle.settle(held, &Cell::new(false));
    }

    #[inline(always)]
    fn finish(&self, _: Token) -> Option<Self::Output> {
        Some(MutexGuard::new(self.handle.clone()))
    }

    fn give_back(&self, _: Token) {
        drop(MutexGuard::<T, H>::new(self.handle.clone()));
    }
}

wait_future! {
    /// The future of [`Mutex::lock`].
    pub struct Lock['a, T: ?Sized, H: Handle<Target = Mutex<T>> = &'a Mutex<T>]
        ['a, T: ?Sized, H: Handle<Target = Mutex<T>>]['a, T, H](LockSource<'a, T, H>) -> MutexGuard<'a, T, H>
}

/// The right to use the data of a [`Mutex`]; dropping it frees the lock.
///
/// # Interrupts
/// May be dropped in interrupts. O(1), amortized over the waiters.
///
/// # Memory ordering
/// The next owner sees everything that was done before the guard was dropped.
///
/// # Examples
/// ```
/// let lock = testudo::Mutex::new(String::new());
/// lock.try_lock().unwrap().push('x');
/// assert_eq!(*lock.try_lock().unwrap(), "x");
/// ```
#[must_use = "dropping the guard frees the lock"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized, H: Handle<Target = Mutex<T>> = &'a Mutex<T>> {
    handle: H,
    unwinding: Unwinding,
    // `&guard` gives `&T`: Sync needs `T: Sync`, which the handle alone does not ask for.
    _data: PhantomData<(&'a (), T)>,
}

impl<'a, T: ?Sized, H: Handle<Target = Mutex<T>>> MutexGuard<'a, T, H> {
    /// For the owner of LOCKED (I1).
    #[inline]
    fn new(handle: H) -> Self {
        tell!(acquired(&handle.list, "Mutex", 1));
        Self { handle, unwinding: Unwinding::here(), _data: PhantomData }
    }

    /// Returns the handle through which the lock was taken.
    ///
    /// # Examples
    /// ```
    /// let lock = testudo::Mutex::new(1);
    /// let guard = lock.try_lock().unwrap();
    /// assert!(core::ptr::eq(*testudo::MutexGuard::handle(&guard), &lock));
    /// ```
    pub fn handle(this: &Self) -> &H {
        &this.handle
    }
}

impl<T: ?Sized, H: Handle<Target = Mutex<T>>> Deref for MutexGuard<'_, T, H> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: I1, I2: a guard owns LOCKED, `&self` keeps `&mut` away.
        unsafe { self.handle.data() }
    }
}

impl<T: ?Sized, H: Handle<Target = Mutex<T>>> DerefMut for MutexGuard<'_, T, H> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: I1, I2: a guard owns LOCKED, and it is borrowed mutably.
        unsafe { self.handle.data_mut() }
    }
}

impl<T: ?Sized, H: Handle<Target = Mutex<T>>> Drop for MutexGuard<'_, T, H> {
    #[inline]
    fn drop(&mut self) {
        tell!(released(&self.handle.list, "Mutex", 1));
        if let Some(held) = self.handle.unlock(self.unwinding, &Cell::new(false)) {
            self.handle.release(held, &Cell::new(false)); // a mutex of its own is never ASKED
        }
    }
}

prints_as_data!(MutexGuard, Mutex);
