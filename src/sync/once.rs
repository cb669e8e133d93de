//! A value that is written once, by whoever of those that need it comes first.
#![allow(unsafe_code)]
// STATE       word: TAKEN, SET, ASIDE (side may hold somebody), and those who wait for their turn to initialize; side: those
//             who wait for the value, and everybody once there is one
//                 T1 take        w -> w | TAKEN                         not SET
//                 T2 give up     w & !TAKEN; the head is woken          by the owner of the turn
//                 T3 set         w -> w | SET                           by the owner of the turn, which is used up
//                 T4 tell        all are moved to side and notified     SET
//                 T5 aside       in side, w | ASIDE                     not SET
//             empty --T1--> TAKEN --T3--> TAKEN | SET        TAKEN --T2--> empty
// INVARIANTS  I1 the turn is owned by one `Turn`, or one future on its way to it. While not SET, only its owner touches the data.
//             I2 SET goes off through `&mut self` only; the data is initialized while SET, and then nobody writes it.
//             I3 while the turn is free and the flag is not held, the head, if there is one, has been offered it.
//             I4 nobody gets in line once SET; who then holds the flag does not let go for good while anybody waits.
// EDGES       E1 T3 (release) -> get, wait, get_or_init (acquire): the value is seen.
//             E2 T2 (release) -> T1 (acquire): one initializer sees what the last one did.
// CANCEL      Waiting: place in line; an offer goes to the next. Initializing: its future is dropped, then the turn is given up.
// INTERRUPT   get, set, is_initialized: yes; set is O(waiters), the others O(1). get_or_init, wait: tasks only.
use core::{
    fmt,
    future::Future,
    mem::MaybeUninit,
    panic::{RefUnwindSafe, UnwindSafe},
};

use crate::{
    sys::{cell::UnsafeCell, const_fn},
    wait::{Admit, Bits, Held, Node, Side, Source, Step, Token, Wait, WaitList, Word, wait_future},
};

/// A cell that is written once and read by many: a value that the first task that needs it makes, while others wait.
///
/// One initializer runs at a time. When it fails, panics or is dropped half-way, the next waiter runs its own.
///
/// # asyncio
/// asyncio has none; `Future`, set once and awaited by many, comes nearest.
///
/// # Fairness
/// The turn to initialize is offered to the waiters in the order in which they came. It is theirs when they are polled, so one
/// that is kept but not polled keeps nobody else from initializing.
///
/// # Examples
/// ```
/// use testudo::{OnceCell, run::block_on};
///
/// static CONFIG: OnceCell<String> = OnceCell::new();
///
/// block_on(async {
///     let config = CONFIG.get_or_init(async || "from a file".to_string()).await;
///     assert_eq!(config, "from a file");
/// });
/// assert!(CONFIG.get().is_some());
/// ```
#[doc(alias = "OnceLock")]
#[doc(alias = "SetOnce")]
#[doc(alias = "LazyLock")]
pub struct OnceCell<T> {
    list: WaitList,
    side: Side,
    data: UnsafeCell<MaybeUninit<T>>,
}

const TAKEN: Bits = Bits::own(0);
const SET: Bits = Bits::own(1);
const ASIDE: Bits = Bits::own(2);

// SAFETY: I1, I2: it hands out `&T` to all threads (`T: Sync`), and a value may be set by one and dropped by another (`T: Send`).
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}
// As for std's: through `&OnceCell` one reaches a whole `&T`, or puts a `T` in.
impl<T: UnwindSafe + RefUnwindSafe> RefUnwindSafe for OnceCell<T> {}

impl<T> OnceCell<T> {
    const_fn! {
        /// Returns an empty cell.
        ///
        /// # Examples
        /// ```
        /// static CELL: testudo::OnceCell<u32> = testudo::OnceCell::new();
        /// assert!(CELL.get().is_none());
        /// ```
        pub const fn new() -> Self {
            Self {
                list: WaitList::new(Bits::NONE),
                side: Side::new(),
                data: UnsafeCell::new(MaybeUninit::uninit()),
            }
        }
    }

    /// Returns the value, if there is one. One load.
    ///
    /// # Interrupts
    /// May be called from interrupts.
    ///
    /// # Memory ordering
    /// What was written before the value was set is seen.
    ///
    /// # Examples
    /// ```
    /// let cell = testudo::OnceCell::from(1);
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: I2: SET was seen (E1), and stays while `self` is borrowed.
        self.is_initialized().then(|| unsafe { self.value() })
    }

    /// Returns the value, if there is one, to be changed.
    ///
    /// # Examples
    /// ```
    /// let mut cell = testudo::OnceCell::from(1);
    /// *cell.get_mut().unwrap() += 1;
    /// assert_eq!(cell.get(), Some(&2));
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut T> {
        if !self.is_initialized() {
            return None;
        }
        // SAFETY: I2: SET, and `&mut self` keeps everybody else away.
        Some(self.data.with_mut(|data| unsafe { &mut *data.cast::<T>() }))
    }

    /// Returns the value, if there is one.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::OnceCell::from(1).into_inner(), Some(1));
    /// ```
    pub fn into_inner(mut self) -> Option<T> {
        self.take()
    }

    /// Takes the value out, if there is one, and leaves an empty cell.
    ///
    /// # Examples
    /// ```
    /// let mut cell = testudo::OnceCell::from(1);
    /// assert_eq!(cell.take(), Some(1));
    /// assert_eq!(cell.set(2), Ok(()));
    /// ```
    pub fn take(&mut self) -> Option<T> {
        if !self.is_initialized() {
            return None;
        }
        self.list = WaitList::new(Bits::NONE);
        // SAFETY: I2: it was SET, and is no longer: the value is moved out once.
        Some(self.data.with_mut(|data| unsafe { data.cast::<T>().read() }))
    }

    /// Says whether there is a value. One load.
    ///
    /// # Interrupts
    /// May be called from interrupts.
    ///
    /// # Memory ordering
    /// If true, what was written before the value was set is seen.
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::OnceCell::<u32>::new().is_initialized());
    /// ```
    #[doc(alias = "initialized")]
    #[doc(alias = "is_set")]
    #[inline]
    pub fn is_initialized(&self) -> bool {
        self.list.load().bits().has(SET) // ORDER: E1 acquire
    }

    /// Sets the value, and releases everybody who waits.
    ///
    /// Never waits: if another thread or an interrupted task is at work on the list, that one does the rest.
    ///
    /// # Interrupts
    /// May be called from interrupts and signal handlers, if the wakers may. O(waiters).
    ///
    /// # Memory ordering
    /// What was written before `set` is seen by whoever gets the value.
    ///
    /// # Errors
    /// Gives `value` back if there is one already, or if somebody is initializing the cell at this moment:
    /// [`is_initialized`](OnceCell::is_initialized) tells which. It does not overtake an initializer that is at work.
    ///
    /// # Panics
    /// If a waker panics; the value is set and all waiters are woken first.
    ///
    /// # Examples
    /// ```
    /// let cell = testudo::OnceCell::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// ```
    #[inline]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut word = Word::empty(Bits::NONE);
        loop {
            let Admit::Take(bits) = admit(word.bits()) else { return Err(value) };
            if bits.has(SET) {
                return Err(value);
            }
            match self.list.try_change(word, bits) {
                // T1
                Ok(()) => {
                    Turn(self).set(value);
                    return Ok(());
                }
                Err(now) => word = now,
            }
        }
    }

    /// Returns the value, which `init` makes if nobody else has.
    ///
    /// If another initializer is running, waits for it; runs `init` if that one gives up. Do not await the same cell inside
    /// `init`: it would wait for itself.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the work of `init`, if that had begun.
    /// A notification it had already received goes to the next waiter.
    ///
    /// # Panics
    /// When polled after completion. If `init` panics; the next waiter initializes.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let cell = testudo::OnceCell::new();
    /// assert_eq!(cell.get_or_init(async || 1).await, &1);
    /// assert_eq!(cell.get_or_init(async || 2).await, &1);
    /// # });
    /// ```
    pub async fn get_or_init<F: FnOnce() -> Fut, Fut: Future<Output = T>>(&self, init: F) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        match self.turn().await {
            Ok(turn) => {
                let value = init().await;
                turn.set(value)
            }
            Err(value) => value,
        }
    }

    /// Returns the value, which `init` makes if nobody else has; or the error of `init`, which leaves the cell empty.
    ///
    /// As [`get_or_init`](OnceCell::get_or_init). After an error the next waiter runs its own initializer.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the work of `init`, if that had begun.
    /// A notification it had already received goes to the next waiter.
    ///
    /// # Errors
    /// Those of `init`.
    ///
    /// # Panics
    /// When polled after completion. If `init` panics; the next waiter initializes.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let cell = testudo::OnceCell::new();
    /// assert_eq!(cell.get_or_try_init(async || "one".parse::<u32>()).await.ok(), None);
    /// assert_eq!(cell.get_or_try_init(async || "1".parse::<u32>()).await, Ok(&1));
    /// # });
    /// ```
    pub async fn get_or_try_init<E, F: FnOnce() -> Fut, Fut: Future<Output = Result<T, E>>>(
        &self,
        init: F,
    ) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        match self.turn().await {
            Ok(turn) => {
                let value = init().await?;
                Ok(turn.set(value))
            }
            Err(value) => Ok(value),
        }
    }

    /// Waits until there is a value.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// let cell = testudo::OnceCell::new();
    /// std::thread::scope(|s| {
    ///     s.spawn(|| cell.set(1));
    ///     assert_eq!(testudo::run::block_on(cell.wait()), &1);
    /// });
    /// ```
    #[inline]
    pub fn wait(&self) -> OnceWait<'_, T> {
        OnceWait { wait: Wait::new(ValueSource(self), false) }
    }

    /// Blocks this thread until there is a value.
    ///
    /// # Examples
    /// ```
    /// let cell = testudo::OnceCell::new();
    /// std::thread::scope(|s| {
    ///     s.spawn(|| cell.set(1));
    ///     assert_eq!(cell.wait_blocking(), &1);
    /// });
    /// ```
    #[cfg(feature = "std")]
    pub fn wait_blocking(&self) -> &T {
        self.get().unwrap_or_else(|| crate::wait::thread::park_until_ready(self.wait()))
    }

    /// Waits for the turn to initialize, or for the value.
    fn turn(&self) -> Wait<TurnSource<'_, T>> {
        Wait::new(TurnSource(self), false)
    }

    /// The value.
    ///
    /// # Safety
    /// (a) SET was seen, and stays for as long as the reference lives.
    #[inline(always)]
    unsafe fn value(&self) -> &T {
        // SAFETY: (a), I2.
        self.data.with(|data| unsafe { &*data.cast::<T>() })
    }

    /// T2 or T3 by the owner of the turn, which gives it up.
    fn leave(&self, change: impl Fn(Bits) -> Bits) {
        let mut word = self.list.guess();
        loop {
            let bits = change(word.bits());
            let nobody = word.is_empty() && !bits.has(ASIDE);
            let tried = if nobody || word.is_held() {
                self.list.try_change(word, bits) // ORDER: E1 release, E2 release
            } else {
                match self.list.try_hold(word, bits) {
                    Ok(held) => return self.settle(held), // ORDER: E1 release, E2 release
                    Err(now) => Err(now),
                }
            };
            match tried {
                Ok(()) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Lets go of the flag so that I3 and I4 hold.
    #[inline]
    fn settle(&self, held: Held<'_>) {
        if let Some(held) = held.let_go_unless(|bits| bits.has(SET) || !bits.has(TAKEN)) {
            self.serve(held);
        }
    }

    /// The offer of T2, T4, and what T5 leaves in the word.
    fn serve(&self, held: Held<'_>) {
        self.list.settle(held, None, |held, batch| {
            let aside = if self.side.is_empty() { Bits::NONE } else { ASIDE };
            let bits = held.bits().without(ASIDE).with(aside); // T5
            if !bits.has(SET) {
                let head = if bits.has(TAKEN) { None } else { held.head() };
                if let Some(mut head) = head {
                    if batch.is_full() {
                        return Step::Pass(bits);
                    }
                    batch.extend(head.offer()); // T2
                }
                return Step::LetGo(bits);
            }
            if held.head().is_some() {
                // T4
                if let Some(chain) = held.detach(bits) {
                    self.side.append(held, chain);
                }
                return Step::Again;
            }
            match self.side.notify_batch(held, batch, Token::All) {
                true => Step::Pass(bits),
                false => Step::LetGo(bits.without(ASIDE)),
            }
        });
    }
}

/// Takes a free turn, or finds that there is a value.
#[inline(always)]
fn admit(bits: Bits) -> Admit {
    if bits.has(SET) {
        Admit::Take(bits)
    } else if bits.has(TAKEN) {
        Admit::Wait
    } else {
        Admit::Take(bits.with(TAKEN))
    }
}

impl<T> Drop for OnceCell<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        Self { list: WaitList::new(TAKEN.with(SET)), side: Side::new(), data: UnsafeCell::new(MaybeUninit::new(value)) }
    }
}

/// A new cell with a clone of the value, or an empty one.
impl<T: Clone> Clone for OnceCell<T> {
    fn clone(&self) -> Self {
        self.get().map_or_else(Self::new, |value| Self::from(value.clone()))
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("OnceCell");
        match self.get() {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<uninit>")),
        };
        shown.finish()
    }
}

/// The turn to initialize (I1); dropping it passes it on.
struct Turn<'a, T>(&'a OnceCell<T>);

impl<'a, T> Turn<'a, T> {
    fn new(cell: &'a OnceCell<T>) -> Self {
        tell!(acquired(&cell.list, "OnceCell", 1));
        Self(cell)
    }

    /// T3.
    fn set(self, value: T) -> &'a T {
        let cell = self.0;
        core::mem::forget(self);
        tell!(released(&cell.list, "OnceCell", 1));
        // SAFETY: I1: this is the owner of the turn, and nothing is SET.
        cell.data.with_mut(|data| unsafe { (*data).write(value) });
        cell.leave(|bits| bits.with(SET));
        // SAFETY: SET above, and `cell` is borrowed for as long as the reference lives.
        unsafe { cell.value() }
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        tell!(released(&self.0.list, "OnceCell", 1));
        self.0.leave(|bits| bits.without(TAKEN)); // T2
    }
}

/// Waits for the turn, or for the value.
struct TurnSource<'a, T>(&'a OnceCell<T>);

impl<'a, T> Source for TurnSource<'a, T> {
    const VERB: &'static str = "OnceCell::get_or_init";

    type Output = Result<Turn<'a, T>, &'a T>;
    type Header = ();

    fn header(&self) {}

    fn list(&self) -> &WaitList {
        &self.0.list
    }

    fn side(&self) -> Option<&Side> {
        Some(&self.0.side)
    }

    fn admit(&self, bits: Bits) -> Admit {
        admit(bits) // T1. ORDER: E1 acquire, E2 acquire
    }

    fn is_in_line(&self, held: &mut Held<'_>, _: &Node) -> bool {
        !held.bits().has(SET) // it may be in side; T4 notifies it
    }

    fn settle(&self, held: Held<'_>) {
        self.0.settle(held);
    }

    fn finish(&self, _: Token) -> Option<Self::Output> {
        Some(match self.0.get() {
            Some(value) => Err(value),
            None => Ok(Turn::new(self.0)), // I1: it was not told of a value, so it has the turn
        })
    }

    fn give_back(&self, token: Token) {
        drop(self.finish(token));
    }
}

/// Waits for the value.
pub(super) struct ValueSource<'a, T>(&'a OnceCell<T>);

impl<'a, T> Source for ValueSource<'a, T> {
    const VERB: &'static str = "OnceCell::wait";

    type Output = &'a T;
    type Header = ();

    fn header(&self) {}

    fn list(&self) -> &WaitList {
        &self.0.list
    }

    fn side(&self) -> Option<&Side> {
        Some(&self.0.side)
    }

    /// All begin with a look at the value, in `finish`.
    #[inline(always)]
    fn try_take(&self) -> Result<(), Word> {
        Ok(())
    }

    fn admit(&self, _: Bits) -> Admit {
        Admit::Wait // T4 notifies it
    }

    fn settle(&self, held: Held<'_>) {
        self.0.settle(held);
    }

    #[inline(always)]
    fn finish(&self, _: Token) -> Option<Self::Output> {
        self.0.get()
    }

    fn park(&self, _: Token, link: impl FnOnce(&mut Held<'_>, &Side, bool)) {
        let mut held = self.0.list.hold();
        link(&mut held, &self.0.side, false);
        self.0.serve(held); // T5; or T4, if there is a value by now
    }

    fn give_back(&self, _: Token) {} // everybody was told
}

wait_future! {
    /// The future of [`OnceCell::wait`].
    pub struct OnceWait['a, T]['a, T]['a, T](ValueSource<'a, T>) -> &'a T
}
