//! `TaskGroupArray`: children of one type, which lie in the group.
#![allow(unsafe_code)]
// INVARIANTS  I1 a child is put in only by `&'static self` or `Pin<&'c Self>`: a place that was used does not move, and goes away
//                with the group only, which does not happen before all futures that were polled are dropped (fixed.rs I4).
//             I2 a child's future is polled and dropped by `GroupRunArray<'c>` only, whose type says that what the future borrows
//                is there. A group drops none of them, so that they may borrow it: those that no run has taken over are leaked.
//             I3 the group is invariant in the futures' type, since they lie in cells: none is put in that borrows for a shorter
//                time than the others.
//             I4 a job's future, value and error are reached as job.rs says, whatever the thread.
//             I5 a run is pinned with what it is made of.
// INTERRUPT   cancel, spawn: yes, if the wakers may; spawn is O(N).
use core::{
    fmt,
    future::Future,
    marker::{PhantomData, PhantomPinned},
    pin::Pin,
};

use super::{
    Shared,
    fixed::{Fixed, Turn},
    job::TaskHandle,
    place::Places,
    run::Drive,
    store::FIRST,
};
use crate::{
    sys::const_fn,
    task::ready::{Claim, Open, Round},
};

/// A `TaskGroup` with places for `N` children of one type, which lie in it: no allocation.
///
/// [`spawn`](TaskGroupArray::spawn) from the body, from children, from other threads and interrupts, and before
/// [`run`](TaskGroupArray::run), which drives the body and all children and returns when all have ended. The first error cancels
/// the rest, which is dropping them; the group waits for all of them, and returns all errors. A place is free again when its child
/// has ended and the handle is gone; when all are taken, the future is given back.
///
/// It is pinned by being `static`, or in a [`pin!`](core::pin::pin) with the methods that end in `_pinned`. Children of different
/// types are `Pin<&mut dyn Future>`s, or an enum; those that borrow the group to spawn siblings are boxes, or the group is `static`.
/// It may be run again when a run has ended. Children of a group that is never run are leaked, and their handles wait for ever.
///
/// | run | a wake-up costs |
/// |---|---|
/// | [`run`](TaskGroupArray::run) | a poll of the body and of every child |
/// | [`run_in`](TaskGroupArray::run_in) a [`ReadyBlock`](crate::task::ReadyBlock) | a poll of who was woken |
///
/// # asyncio
/// Same as `asyncio.TaskGroup`, with the differences of `TaskGroup`. There are no graceful children: a
/// [`CancelToken`](crate::task::CancelToken) of the program's own asks children to end.
///
/// # Send
/// It is `Send` and `Sync` if the futures, their values and their errors are `Send`; without, it stays on its thread and works there.
///
/// # Panics
/// A child's panic drops the others, and goes on from `run` (std; without, at once). When it is dropped although a run was forgotten
/// ([`core::mem::forget`]) that had begun, the program ends: children that were polled would go away without being dropped.
///
/// # Examples
/// ```
/// use core::pin::pin;
/// use testudo::{run::block_on, task::TaskGroupArray};
///
/// let words = ["carrum", "testudo"];
/// let tg = pin!(TaskGroupArray::<_, 2>::new());
/// let tg = tg.into_ref();
/// let total = block_on(tg.run_pinned(async {
///     let length = |word: &'static str| async move { Ok(word.len()) };
///     let lengths = words.map(|word| tg.spawn_pinned(length(word)).ok().unwrap());
///     let mut total = 0;
///     for length in lengths {
///         total += length.await.map_err(|_| "cancelled")?;
///     }
///     Ok::<_, &str>(total)
/// }));
/// assert_eq!(total.unwrap(), 13);
/// ```
///
/// Children of different types:
/// ```
/// use core::{future::{Future, ready}, pin::{Pin, pin}};
/// use testudo::{run::block_on, task::{Cancelled, TaskGroupArray}};
///
/// type Child<'c> = Pin<&'c mut dyn Future<Output = Result<u8, Cancelled>>>;
///
/// let (one, two) = (pin!(async { Ok::<u8, Cancelled>(1) }), pin!(ready(Ok::<u8, Cancelled>(2))));
/// let tg = pin!(TaskGroupArray::<Child<'_>, 2>::new());
/// let tg = tg.into_ref();
/// let sum = block_on(tg.run_pinned(async {
///     let (one, two) = (tg.spawn_pinned(one).ok().unwrap(), tg.spawn_pinned(two).ok().unwrap());
///     Ok::<_, Cancelled>(one.await? + two.await?)
/// }));
/// assert_eq!(sum, Ok(3));
/// ```
///
/// Children that spawn siblings:
/// ```
/// use core::{future::Future, pin::Pin, task::{Context, Poll}};
/// use testudo::{run::block_on, task::{Cancelled, TaskGroupArray}};
///
/// struct Countdown(u8);
/// static TG: TaskGroupArray<Countdown, 2> = TaskGroupArray::new();
///
/// impl Future for Countdown {
///     type Output = Result<(), Cancelled>;
///
///     fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
///         if self.0 > 0 {
///             drop(TG.spawn(Countdown(self.0 - 1)).ok().expect("there is room"));
///         }
///         Poll::Ready(Ok(()))
///     }
/// }
/// let run = TG.run(async { Ok(TG.spawn(Countdown(100)).is_ok()) });
/// assert_eq!(block_on(run), Ok(true));
/// ```
///
/// What a child borrows has to be there as long as the group is run:
/// ```compile_fail,E0597
/// use core::pin::pin;
/// use testudo::{run::block_on, task::{Cancelled, TaskGroupArray}};
///
/// async fn child(n: &u8) -> Result<u8, Cancelled> {
///     Ok(*n)
/// }
/// let tg = pin!(TaskGroupArray::<_, 1>::new());
/// let tg = tg.into_ref();
/// block_on(tg.run_pinned(async {
///     let local = 1;
///     drop(tg.spawn_pinned(child(&local)));
///     Ok::<_, Cancelled>(())
/// })).unwrap();
/// ```
///
/// A handle does not outlive its group:
/// ```compile_fail,E0597
/// use core::future::{Ready, ready};
/// use testudo::task::TaskGroupArray;
///
/// let handle;
/// {
///     let tg = Box::pin(TaskGroupArray::<Ready<Result<u8, ()>>, 1>::new());
///     handle = tg.as_ref().spawn_pinned(ready(Ok(1)));
/// }
/// drop(handle);
/// ```
#[must_use = "a group does nothing unless it is run"]
pub struct TaskGroupArray<F: Future<Output: Outcome>, const N: usize> {
    shared: Shared<ErrorOf<F>>,
    turn: Turn,
    places: Places<F, ValueOf<F>, ErrorOf<F>, N>,
    /// Futures, values and errors are in it.
    _owned: PhantomData<*mut F>,
    _pinned: PhantomPinned,
}

// SAFETY: I4: each of them is touched by one at a time.
unsafe impl<F: Future<Output: Outcome + Send> + Send, const N: usize> Send for TaskGroupArray<F, N> {}
// SAFETY: I4: as above.
unsafe impl<F: Future<Output: Outcome + Send> + Send, const N: usize> Sync for TaskGroupArray<F, N> {}

/// What a child returns: a `Result`. Sealed.
pub trait Outcome: sealed::Sealed {
    /// The value of its `Ok`.
    type Value;
    /// That of its `Err`.
    type Error;
}

impl<T, E> Outcome for Result<T, E> {
    type Value = T;
    type Error = E;
}

mod sealed {
    pub trait Sealed {}

    impl<T, E> Sealed for Result<T, E> {}
}

/// The value of a child that is an `F`.
pub(super) type ValueOf<F> = <<F as Future>::Output as Outcome>::Value;
/// Its error.
pub(super) type ErrorOf<F> = <<F as Future>::Output as Outcome>::Error;

impl<F: Future<Output = Result<T, E>>, T, E, const N: usize> TaskGroupArray<F, N> {
    const_fn! {
        /// Returns a group without children.
        ///
        /// # Examples
        /// ```
        /// use core::future::Ready;
        /// use testudo::task::{Cancelled, TaskGroupArray};
        ///
        /// static TG: TaskGroupArray<Ready<Result<(), Cancelled>>, 4> = TaskGroupArray::new();
        /// assert_eq!((TG.len(), TG.capacity()), (0, 4));
        /// ```
        pub const fn new() -> Self {
            Self {
                shared: Shared::new(),
                turn: Turn::new(),
                places: Places::new(),
                _owned: PhantomData,
                _pinned: PhantomPinned,
            }
        }
    }

    /// Spawns a child, which starts in its turn when the group runs. Returns its handle, which may be dropped.
    ///
    /// May be called from the body, from children, from other threads, and before the first `run`.
    ///
    /// # Interrupts
    /// May be called from interrupts, if the wakers may. O(N).
    ///
    /// # Errors
    /// The future, if all places are taken or the group is ending or has ended.
    ///
    /// # Examples
    /// ```
    /// use core::future::{Ready, ready};
    /// use testudo::{run::block_on, task::{Cancelled, TaskGroupArray}};
    ///
    /// static TG: TaskGroupArray<Ready<Result<u8, Cancelled>>, 1> = TaskGroupArray::new();
    ///
    /// let sum = block_on(TG.run(async {
    ///     let one = TG.spawn(ready(Ok(1))).unwrap();
    ///     let two = TG.spawn(ready(Ok(2))).unwrap_err(); // full, so it is done here
    ///     Ok(one.await? + two.await?)
    /// }));
    /// assert_eq!(sum, Ok(3));
    /// ```
    #[doc(alias = "create_task")]
    #[doc(alias = "start_soon")]
    pub fn spawn(&'static self, fut: F) -> Result<TaskHandle<'static, T>, F> {
        Pin::static_ref(self).spawn_pinned(fut)
    }

    /// As [`spawn`](TaskGroupArray::spawn), in a group that is pinned otherwise than by being `static`.
    ///
    /// # Errors
    /// The future, if all places are taken or the group is ending or has ended.
    ///
    /// # Examples
    /// See [`TaskGroupArray`].
    pub fn spawn_pinned<'c>(self: Pin<&'c Self>, fut: F) -> Result<TaskHandle<'c, T>, F> {
        let this = self.get_ref();
        // SAFETY: (a): the handle borrows the group. (b): I1.
        let (handle, ring) = unsafe { this.places.spawn(&this.shared.inbox, fut) }?;
        this.shared.ring(ring);
        Ok(handle)
    }

    /// Runs the body and all children until all have ended, and returns what the body does.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the body and the children, which are dropped in the order of spawning.
    ///
    /// # Errors
    /// [`GroupErrorArray`](crate::task::GroupErrorArray) when a child or the body failed, or the group was cancelled before the body
    /// had a value. A panic goes before errors, and errors before cancelling.
    ///
    /// # Panics
    /// When a child or the body does, after all have been dropped. When another run has not ended, and when polled after
    /// completion.
    ///
    /// # Examples
    /// ```
    /// use core::future::{Pending, pending};
    /// use testudo::{run::block_on, task::TaskGroupArray};
    ///
    /// static TG: TaskGroupArray<Pending<Result<(), &str>>, 1> = TaskGroupArray::new();
    ///
    /// let failed = block_on(TG.run(async {
    ///     drop(TG.spawn(pending()).unwrap()); // dropped when the body fails
    ///     Err::<(), _>("no bread")
    /// }));
    /// assert_eq!(failed.unwrap_err().first(), Some(&"no bread"));
    /// ```
    #[doc(alias = "__aexit__")]
    pub fn run<B, R>(&'static self, body: B) -> GroupRunArray<'static, B, R, F, N>
    where
        B: Future<Output = Result<R, E>>,
    {
        Pin::static_ref(self).run_pinned(body)
    }

    /// As [`run`](TaskGroupArray::run), for a group that is pinned otherwise than by being `static`.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the body and the children, which are dropped in the order of spawning.
    ///
    /// # Errors
    /// As `run`.
    ///
    /// # Panics
    /// As `run`.
    ///
    /// # Examples
    /// See [`TaskGroupArray`].
    pub fn run_pinned<B, R>(self: Pin<&Self>, body: B) -> GroupRunArray<'_, B, R, F, N>
    where
        B: Future<Output = Result<R, E>>,
    {
        let this = self.get_ref();
        GroupRunArray::new(&this.shared, body, Fixed::new(&this.turn, Round::new(N + FIRST)))
    }

    /// As [`run`](TaskGroupArray::run), with the memory of a [`ReadyBlock`](crate::task::ReadyBlock): who was woken is polled, and
    /// nobody else. The block has room for the children, and for two more.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the body and the children, which are dropped in the order of spawning.
    ///
    /// # Interrupts
    /// The children's wakers may be woken, cloned and dropped in interrupts, if the parent's may.
    ///
    /// # Errors
    /// As `run`.
    ///
    /// # Panics
    /// When the block has not so much room. Later: as `run`.
    ///
    /// # Examples
    /// ```
    /// use core::future::{Ready, ready};
    /// use testudo::{run::block_on, task::{Cancelled, ReadyBlock, TaskGroupArray}};
    ///
    /// static READY: ReadyBlock<1> = ReadyBlock::new();
    /// static TG: TaskGroupArray<Ready<Result<u8, Cancelled>>, 4> = TaskGroupArray::new();
    ///
    /// let claim = READY.claim().expect("nobody else uses it");
    /// let answer = block_on(TG.run_in(claim, async { TG.spawn(ready(Ok(42))).unwrap().await }));
    /// assert_eq!(answer, Ok(42));
    /// ```
    pub fn run_in<B, R>(&'static self, claim: Claim, body: B) -> GroupRunArray<'static, B, R, F, N, Claim>
    where
        B: Future<Output = Result<R, E>>,
    {
        Pin::static_ref(self).run_in_pinned(claim, body)
    }

    /// As [`run_in`](TaskGroupArray::run_in), for a group that is pinned otherwise than by being `static`.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the body and the children, which are dropped in the order of spawning.
    ///
    /// # Errors
    /// As `run`.
    ///
    /// # Panics
    /// As `run_in`.
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use testudo::{run::block_on, task::{Cancelled, ReadyBlock, TaskGroupArray}};
    ///
    /// static READY: ReadyBlock<1> = ReadyBlock::new();
    ///
    /// let tg = pin!(TaskGroupArray::<_, 1>::new());
    /// let tg = tg.into_ref();
    /// let child = async { Ok::<_, Cancelled>(42) };
    /// let claim = READY.claim().expect("nobody else uses it");
    /// let run = tg.run_in_pinned(claim, async { tg.spawn_pinned(child).ok().unwrap().await });
    /// assert_eq!(block_on(run), Ok(42));
    /// ```
    pub fn run_in_pinned<B, R>(self: Pin<&Self>, claim: Claim, body: B) -> GroupRunArray<'_, B, R, F, N, Claim>
    where
        B: Future<Output = Result<R, E>>,
    {
        let this = self.get_ref();
        GroupRunArray::new(&this.shared, body, Fixed::new(&this.turn, claim.open(N + FIRST)))
    }

    /// Cancels the group: children and body are dropped.
    ///
    /// From within the body, takes effect when that waits next, or ends: if it has a value then, that is the group's. Before the
    /// first `run`, takes effect when the body waits for the first time; no child starts. After a run, does nothing.
    ///
    /// # asyncio
    /// Same as `TaskGroup.cancel` of 3.15. Differs in that `run` says so, if the body had no value.
    ///
    /// # Interrupts
    /// May be called from interrupts, if the wakers may. O(1).
    ///
    /// # Examples
    /// ```
    /// use core::future::{Pending, pending};
    /// use testudo::{run::block_on, task::{Cancelled, TaskGroupArray}};
    ///
    /// static TG: TaskGroupArray<Pending<Result<(), Cancelled>>, 1> = TaskGroupArray::new();
    ///
    /// let value = block_on(TG.run(async {
    ///     drop(TG.spawn(pending()).unwrap());
    ///     TG.cancel();
    ///     Ok(42)
    /// }));
    /// assert_eq!(value, Ok(42));
    /// ```
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// Says how many places are taken: by children that have not ended, and by those whose handles are there. O(N).
    ///
    /// # Examples
    /// ```
    /// use core::future::{Ready, ready};
    /// use testudo::{run::block_on, task::{Cancelled, TaskGroupArray}};
    ///
    /// static TG: TaskGroupArray<Ready<Result<(), Cancelled>>, 4> = TaskGroupArray::new();
    /// let handle = TG.spawn(ready(Ok(()))).unwrap();
    /// assert_eq!(TG.len(), 1);
    /// block_on(TG.run(async { handle.await })).unwrap();
    /// assert!(TG.is_empty());
    /// ```
    pub fn len(&self) -> usize {
        self.places.taken()
    }

    /// Says whether no place is taken. O(N).
    ///
    /// # Examples
    /// See [`len`](TaskGroupArray::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says how many places there are.
    ///
    /// # Examples
    /// See [`new`](TaskGroupArray::new).
    pub const fn capacity(&self) -> usize {
        N
    }
}

impl<F: Future<Output = Result<T, E>>, T, E, const N: usize> Default for TaskGroupArray<F, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Future<Output: Outcome>, const N: usize> fmt::Debug for TaskGroupArray<F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TaskGroupArray");
        out.field("inbox", &self.shared.inbox).field("running", &self.turn.is_taken()).field("capacity", &N);
        out.finish_non_exhaustive()
    }
}

/// What runs the children of an array.
type DriveOf<'c, B, R, F, const N: usize, W> = Drive<'c, B, R, Children<'c, F, W, N>>;
type Children<'c, F, W, const N: usize> = Fixed<'c, F, ValueOf<F>, ErrorOf<F>, W, N>;

/// The future of [`TaskGroupArray::run`].
#[must_use = "futures do nothing unless polled"]
pub struct GroupRunArray<'c, B, R, F: Future<Output: Outcome>, const N: usize, W: Open = Round> {
    pub(super) drive: DriveOf<'c, B, R, F, N, W>,
}

impl<'c, B, R, F: Future<Output: Outcome>, const N: usize, W: Open> GroupRunArray<'c, B, R, F, N, W> {
    pub(super) fn drive(self: Pin<&mut Self>) -> Pin<&mut DriveOf<'c, B, R, F, N, W>> {
        // SAFETY: I5: it is Unpin only if that is, has no drop of its own, and moves nothing out of it.
        unsafe { self.map_unchecked_mut(|this| &mut this.drive) }
    }
}
