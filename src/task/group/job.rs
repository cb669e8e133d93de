//! A child of a group: its future, and then its outcome, in one piece of memory that the group and the handle share: an allocation,
//! or a place (place.rs).
#![allow(unsafe_code)]
// STATE       word: DONE, CANCEL (asked for by the handle), NO_GROUP, NO_HANDLE
//                 T1 end       stage: Running -> Ended or Taken, then DONE      (group)
//                 T2 take      stage: Ended -> Taken                            (handle, after DONE)
//                 T3 leave     NO_GROUP or NO_HANDLE; the second of the two frees the job
// INVARIANTS  I1 `stage` belongs to the group until DONE, then to the handle, and at last to who frees.
//             I2 a `Child` is the only one of its job and a `TaskHandle` too: until T3 each may touch the header.
//             I3 the job does not move: its future is pinned, and dropped in place by T1 (never, if the group is forgotten).
//             I4 a pointer to a job reaches all of it, and `table` is the one for its types.
// EDGES       E1 T1 (release) -> T2 (acquire): the outcome.
//             E2 T3 (release) -> the other's T3 (acquire): every access comes before freeing.
//             E3 cancel (release) -> the group's look at CANCEL (acquire).
#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use core::{
    cell::Cell,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    ptr::{self, NonNull},
    task::{Context, Poll},
};

use futures_core::FusedFuture;

use crate::{
    sys::{
        Panics,
        atomic::{AtomicU8, Ordering::*},
        cell::UnsafeCell,
    },
    task::Cancelled,
    tell::Tag,
    wait::{POLLED_AFTER_COMPLETION, cell::WaitCell},
};

const DONE: u8 = 1;
const CANCEL: u8 = 2;
const NO_GROUP: u8 = 4;
const NO_HANDLE: u8 = 8;

/// The part of a job that its group and its handle see. Aligned for the bits of the inbox.
#[repr(align(16))]
pub(super) struct Header {
    table: &'static Table,
    /// The group's: the next in the inbox.
    next: Cell<*mut Header>,
    /// The group's: how many were spawned before it.
    pub(super) number: Cell<usize>,
    word: AtomicU8,
    #[cfg_attr(not(feature = "alloc"), allow(dead_code, reason = "only groups on the heap have graceful children"))]
    pub(super) graceful: bool,
    /// The group's: `task` was filled.
    listens: Cell<bool>,
    /// Who waits for the outcome.
    waiter: WaitCell,
    /// The child's own waker, if it has a handle.
    task: WaitCell,
    /// Who it is to probes.
    tag: Tag,
}

/// What there is to know of a job's types and of where it lies.
pub(super) struct Table {
    /// Polls the future; `error` is an `Option<E>`. Ready: T1 has to follow.
    poll: unsafe fn(*mut Header, &mut Context<'_>, error: *mut ()) -> Poll<()>,
    /// Drops the future; the outcome is `Cancelled`.
    cancel: unsafe fn(*mut Header),
    /// Moves the outcome to `to`, a `Option<Result<T, Cancelled>>`.
    take: unsafe fn(*mut Header, to: *mut ()),
    free: unsafe fn(*mut Header),
}

#[repr(C)]
pub(super) struct Job<F, T, E> {
    header: Header,
    stage: UnsafeCell<Stage<F, T>>,
    _error: PhantomData<fn() -> E>,
}

enum Stage<F, T> {
    Running(F),
    Ended(Result<T, Cancelled>),
    Taken,
}

impl<F: Future<Output = Result<T, E>>, T, E> Job<F, T, E> {
    #[cfg(feature = "alloc")]
    const TABLE: Table = Self::table(Self::free);

    /// The table of jobs that are freed so.
    pub(super) const fn table(free: unsafe fn(*mut Header)) -> Table {
        Table { poll: Self::poll, cancel: Self::cancel, take: Self::take, free }
    }

    pub(super) fn new(table: &'static Table, fut: F, graceful: bool, tag: Tag) -> Self {
        let header = Header {
            table,
            next: Cell::new(ptr::null_mut()),
            number: Cell::new(0),
            word: AtomicU8::new(0),
            graceful,
            listens: Cell::new(false),
            waiter: WaitCell::new(),
            task: WaitCell::new(),
            tag,
        };
        Self { header, stage: UnsafeCell::new(Stage::Running(fut)), _error: PhantomData }
    }

    /// The future of a job that was never polled.
    pub(super) fn into_future(self) -> F {
        let Stage::Running(fut) = self.stage.into_inner() else { unreachable!("it never ran") };
        fut
    }

    /// Gives `f` the stage.
    ///
    /// # Safety
    /// (a) `this` is a live job of these types, and (b) its stage is the caller's (I1).
    unsafe fn stage<R>(this: *mut Header, f: impl FnOnce(*mut Stage<F, T>) -> R) -> R {
        // SAFETY: (a), I4: the header is at offset 0.
        let cell = unsafe { &(*this.cast::<Self>()).stage };
        cell.with_mut(f)
    }

    /// # Safety
    /// (a) and (b) of `stage`; `error` points to an `Option<E>`.
    unsafe fn poll(this: *mut Header, cx: &mut Context<'_>, error: *mut ()) -> Poll<()> {
        let poll = |stage: *mut Stage<F, T>| {
            // SAFETY: (a), (b): nobody else has it, and it stays where it is.
            let Stage::Running(fut) = (unsafe { &mut *stage }) else { unreachable!("not polled after T1") };
            // SAFETY: I3.
            unsafe { Pin::new_unchecked(fut) }.poll(cx)
        };
        // SAFETY: (a), (b).
        let outcome = match unsafe { Self::stage(this, poll) } {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => return Poll::Pending,
        };
        let outcome = outcome.map_err(|e| {
            // SAFETY: what the caller says of `error`.
            unsafe { error.cast::<Option<E>>().write(Some(e)) };
            Cancelled
        });
        // SAFETY: (a), (b).
        unsafe { Self::end(this, Stage::Ended(outcome)) };
        Poll::Ready(())
    }

    /// # Safety
    /// (a) and (b) of `stage`.
    unsafe fn cancel(this: *mut Header) {
        // SAFETY: (a), (b).
        unsafe { Self::end(this, Stage::Ended(Err(Cancelled))) };
    }

    /// Drops the future in place and puts `next` there, also when that panics.
    ///
    /// # Safety
    /// (a) and (b) of `stage`.
    unsafe fn end(this: *mut Header, next: Stage<F, T>) {
        struct Then<F, T>(*mut Stage<F, T>, Option<Stage<F, T>>);
        impl<F, T> Drop for Then<F, T> {
            fn drop(&mut self) {
                if let Some(next) = self.1.take() {
                    // SAFETY: I1: what was there has been dropped, if not to its end.
                    unsafe { self.0.write(next) };
                }
            }
        }
        let swap = |stage: *mut Stage<F, T>| {
            let _then = Then(stage, Some(next));
            // SAFETY: (b), I3: in place.
            unsafe { stage.drop_in_place() };
        };
        // SAFETY: (a), (b).
        unsafe { Self::stage(this, swap) };
    }

    /// # Safety
    /// (a) and (b) of `stage`; `to` points to an `Option<Result<T, Cancelled>>`.
    unsafe fn take(this: *mut Header, to: *mut ()) {
        // SAFETY: (a), (b): the reference ends here.
        let take = |stage: *mut Stage<F, T>| core::mem::replace(unsafe { &mut *stage }, Stage::Taken);
        // SAFETY: (a), (b).
        if let Stage::Ended(outcome) = unsafe { Self::stage(this, take) } {
            // SAFETY: what the caller says of `to`.
            unsafe { to.cast::<Option<Result<T, Cancelled>>>().write(Some(outcome)) };
        }
    }

    /// # Safety
    /// (a) of `stage`, and nobody touches it any more.
    #[cfg(feature = "alloc")]
    unsafe fn free(this: *mut Header) {
        // SAFETY: (a): it came from a box.
        drop(unsafe { Box::from_raw(this.cast::<Self>()) });
    }
}

/// What the first of the two that leave, or both, do with a job.
#[derive(Clone, Copy)]
struct JobPtr(NonNull<Header>);

impl JobPtr {
    fn header(&self) -> &Header {
        // SAFETY: I2: who holds this has not left.
        unsafe { self.0.as_ref() }
    }

    fn word(&self) -> u8 {
        self.header().word.load(Acquire) // ORDER: E1 acquire, E2 acquire, E3 acquire
    }

    /// T3. Who finds the other gone needs no more than a look: nobody else writes the word.
    fn leave(self, me: u8, other: u8) {
        // ORDER: E2 release and acquire
        if self.word() & other != 0 || self.header().word.fetch_or(me, AcqRel) & other != 0 {
            let free = self.header().table.free;
            // SAFETY: I4, and both have left.
            unsafe { free(self.0.as_ptr()) };
        }
    }
}

/// The group's end of a job whose errors are `E`. Dropping it cancels the child, unless it has ended.
pub(super) struct Child<E> {
    job: JobPtr,
    _error: PhantomData<fn() -> E>,
}

impl<E> Child<E> {
    /// A job on the heap. The caller sees to it that the future lives long enough, and to what is Send.
    #[cfg(feature = "alloc")]
    pub(super) fn new<'c, F, T>(fut: F, graceful: bool, tag: Tag) -> (Self, TaskHandle<'c, T>)
    where
        F: Future<Output = Result<T, E>> + 'c,
    {
        let job = Box::new(Job::<F, T, E>::new(&Job::<F, T, E>::TABLE, fut, graceful, tag));
        // SAFETY: I4: from a box.
        let job = unsafe { NonNull::new_unchecked(Box::into_raw(job).cast()) };
        // SAFETY: (a), (b): a new one, in memory of its own.
        unsafe { Self::of(job) }
    }

    /// The two ends of a new job.
    ///
    /// # Safety
    /// (a) `job` is that of a `Job<_, T, E>`, to all of which it reaches (I4), and has no ends yet. (b) I3, and it is there until
    /// it is freed.
    pub(super) unsafe fn of<'c, T>(job: NonNull<Header>) -> (Self, TaskHandle<'c, T>) {
        let job = JobPtr(job);
        (Self { job, _error: PhantomData }, TaskHandle { job: Some(job), taken: false, _reaches: PhantomData })
    }

    pub(super) fn header(&self) -> &Header {
        self.job.header()
    }

    /// Polls the future, whose waker stays the same as long as it lives if `steady`. Ready: it has ended, maybe with an error.
    #[inline(always)]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, steady: bool) -> Poll<Option<E>> {
        if self.is_cancelled() {
            self.cancel();
            return Poll::Ready(None);
        }
        let mut error = None::<E>;
        let (this, poll) = (self.job.0.as_ptr(), self.job.header().table.poll);
        // SAFETY: I1, I4: not ended, for an ended child is not polled; errors of this job are `E`.
        if unsafe { poll(this, cx, (&raw mut error).cast()) }.is_ready() {
            self.tell();
            return Poll::Ready(error);
        }
        let header = self.job.header();
        if !(steady && header.listens.get()) {
            if self.job.word() & NO_HANDLE == 0 {
                header.task.register(cx.waker());
                header.listens.set(true);
            } else if header.listens.take() {
                drop(header.task.take()); // of a task that may be another one by now
            }
        }
        if self.is_cancelled() {
            self.cancel(); // by itself, or before it listened
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    fn is_cancelled(&self) -> bool {
        self.job.word() & CANCEL != 0 // E3 acquire
    }

    /// Drops the future; the outcome is `Cancelled`. Does nothing with a child that has ended.
    pub(super) fn cancel(&mut self) {
        /// T1, whether the drop panics or not.
        struct Tell<'a, E>(&'a Child<E>);
        impl<E> Drop for Tell<'_, E> {
            fn drop(&mut self) {
                let mut panics = Panics::new(); // the waker's, perhaps while the future's is on its way
                panics.catch(|| self.0.tell());
                panics.resume();
            }
        }
        if self.job.word() & DONE == 0 {
            let (this, cancel) = (self.job.0.as_ptr(), self.job.header().table.cancel);
            let _tell = Tell(self);
            // SAFETY: I1, I4: not ended.
            unsafe { cancel(this) };
        }
    }

    /// T1: the outcome is there.
    fn tell(&self) {
        let header = self.job.header();
        // ORDER: E1 release, and acquire so that NO_HANDLE is seen with what came before it
        if header.word.fetch_or(DONE, AcqRel) & NO_HANDLE == 0 {
            header.waiter.wake();
        }
    }

    /// For a list: gives the job away, and says what was behind it in its list.
    pub(super) fn into_raw(self, next: *mut Header) -> *mut Header {
        self.job.header().next.set(next);
        core::mem::ManuallyDrop::new(self).job.0.as_ptr()
    }

    /// Takes a job back, and what was behind it in its list.
    ///
    /// # Safety
    /// (a) `raw` came from `into_raw` of a `Child<E>`, and is taken back once.
    pub(super) unsafe fn from_raw(raw: *mut Header) -> (Self, *mut Header) {
        // SAFETY: (a).
        let job = JobPtr(unsafe { NonNull::new_unchecked(raw) });
        let next = job.header().next.get();
        (Self { job, _error: PhantomData }, next)
    }
}

impl<E> Drop for Child<E> {
    fn drop(&mut self) {
        /// T3, whether the drop of the future panics or not.
        struct Leave(JobPtr);
        impl Drop for Leave {
            fn drop(&mut self) {
                let mut panics = Panics::new();
                if self.0.word() & NO_HANDLE == 0 && self.0.header().listens.get() {
                    panics.catch(|| drop(self.0.header().task.take()));
                }
                panics.catch(|| self.0.leave(NO_GROUP, NO_HANDLE));
                panics.resume();
            }
        }
        let _leave = Leave(self.job);
        self.cancel();
    }
}

/// The handle of a group's child: waits for its outcome when awaited.
///
/// Dropping the handle changes nothing for the child. Neither does dropping it in the middle of a wait. A child that awaits
/// its own handle waits for ever.
///
/// # asyncio
/// Same as the task that `TaskGroup.create_task` returns. Differs in that the outcome is given once, and in that the error
/// of a child goes to the group, not here.
///
/// # Cancel safety
/// Cancel safe: dropping this future gives up its place in line and nothing else.
///
/// # Errors
/// [`Cancelled`] when the child has no value: it failed, was cancelled, or was spawned too late. For `?` the error type of the
/// group needs `From<Cancelled>` (`Box<dyn Error + Send + Sync>` has it); if the child failed, its own error comes first.
///
/// # Panics
/// When polled after completion.
///
/// # Examples
/// ```
/// use testudo::{run::block_on, task::{Cancelled, GroupError, TaskGroup}};
///
/// let tg = TaskGroup::new();
/// let sum = block_on(tg.run(async {
///     let (one, two) = (tg.spawn(async { Ok(1) }), tg.spawn(async { Ok(2) }));
///     Ok::<_, Cancelled>(one.await? + two.await?)
/// }));
/// assert_eq!(sum.unwrap(), 3);
/// ```
#[must_use = "the child runs without its handle, which may be dropped"]
pub struct TaskHandle<'c, T> {
    job: Option<JobPtr>,
    taken: bool,
    _reaches: PhantomData<(&'c (), T)>,
}

impl<T> TaskHandle<'_, T> {
    /// The handle of a child that was refused.
    #[cfg(feature = "alloc")]
    pub(super) const fn refused() -> Self {
        Self { job: None, taken: false, _reaches: PhantomData }
    }

    /// Cancels the child: its future is dropped when the group is polled next. Returns false when it has ended.
    ///
    /// That is no failure of the group. A child that is ready in the poll in which it is cancelled keeps its value; one that waits
    /// for its turn (`max_concurrency`) is dropped when that comes.
    ///
    /// # Interrupts
    /// May be called from interrupts, if the wakers may.
    ///
    /// # Examples
    /// ```
    /// use core::{convert::Infallible, future::pending};
    /// use testudo::{run::block_on, task::{Cancelled, TaskGroup}};
    ///
    /// let tg = TaskGroup::new();
    /// let outcome = block_on(tg.run(async {
    ///     let never = tg.spawn(pending::<Result<(), Infallible>>());
    ///     assert!(never.cancel());
    ///     Ok(never.await)
    /// }));
    /// assert_eq!(outcome.unwrap(), Err(Cancelled));
    /// ```
    #[doc(alias = "abort")]
    pub fn cancel(&self) -> bool {
        let Some(job) = self.job else { return false };
        // ORDER: E3 release, E1 acquire
        let word = job.header().word.fetch_or(CANCEL, AcqRel);
        if word & DONE == 0 && word & CANCEL == 0 {
            job.header().task.wake();
        }
        word & DONE == 0
    }

    /// Says whether the child has ended: it has a value, failed, or was cancelled.
    ///
    /// # asyncio
    /// Same as `Task.done`.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::{Cancelled, TaskGroup}};
    ///
    /// let tg = TaskGroup::new();
    /// block_on(tg.run(async {
    ///     let child = tg.spawn(async { Ok(1) });
    ///     assert!(!child.is_finished()); // it has not begun
    ///     assert_eq!(child.await, Ok(1));
    ///     Ok::<_, Cancelled>(())
    /// })).unwrap();
    /// ```
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.job.is_none_or(|job| job.word() & DONE != 0)
    }
}

impl<T> Future for TaskHandle<'_, T> {
    type Output = Result<T, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut outcome = Some(Err(Cancelled));
        if let Some(job) = self.job {
            if job.word() & DONE == 0 {
                job.header().waiter.register(cx.waker());
                if job.word() & DONE == 0 {
                    job.header().tag.awaited();
                    return Poll::Pending;
                }
            }
            job.header().tag.joined();
            let take = job.header().table.take;
            // SAFETY: I1: DONE was seen, E1 acquire; I4: the values of this job are `T`.
            unsafe { take(job.0.as_ptr(), (&raw mut outcome).cast()) }; // T2
            self.leave();
        } else if self.taken {
            panic!("{POLLED_AFTER_COMPLETION}");
        }
        self.taken = true;
        Poll::Ready(outcome.unwrap_or(Err(Cancelled)))
    }
}

impl<T> TaskHandle<'_, T> {
    /// T3.
    fn leave(&mut self) {
        if let Some(job) = self.job.take() {
            let mut panics = Panics::new();
            if job.word() & DONE == 0 {
                panics.catch(|| drop(job.header().waiter.take()));
            }
            job.header().tag.left();
            panics.catch(|| job.leave(NO_HANDLE, NO_GROUP));
            panics.resume();
        }
    }
}

impl<T> FusedFuture for TaskHandle<'_, T> {
    fn is_terminated(&self) -> bool {
        self.taken
    }
}

impl<T> Drop for TaskHandle<'_, T> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T> Unpin for TaskHandle<'_, T> {}

// SAFETY: I1, I2: of a job's content a handle reaches the value alone, which moves to its thread: T is Send. Who frees the job
// finds no future in it (I3), and the header is atomics, wakers and a tag.
unsafe impl<T: Send> Send for TaskHandle<'_, T> {}
// SAFETY: `&TaskHandle` reaches the header's word and wakers alone.
unsafe impl<T: Send> Sync for TaskHandle<'_, T> {}

impl<T> fmt::Debug for TaskHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("finished", &self.is_finished()).finish()
    }
}
