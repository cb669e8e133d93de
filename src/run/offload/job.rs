//! The block that a job and its future share: one allocation with the closure, later the outcome; a waker; one word.
#![allow(unsafe_code)]
// STATE       word: QUEUED = 0 --T1 the job takes the closure--> CLAIMED --T2--> DONE: the outcome lies ready
//                   T3 WAKER on: a waker lies in its cell; off: the future takes it back
//                   T4 GONE: the future is dropped before DONE, and takes the waker; the closure too, if QUEUED
//                   T5 JOB, FUTURE: that side is through with the block; whoever is second frees it
// INVARIANTS  I1 the closure is whose who came first of T1 and T4; the outcome is the job's until T2 and the future's
//                then, or the job's if T2 found GONE.
//             I2 the waker cell is the job's from a T2 that found WAKER on, and the future's otherwise.
//             I3 the block is freed by the second T5, and nobody uses it after its own.
//             I4 there is one Job and one future to a block, and F and T are those that it was made with.
// EDGES       E1 T2 (release) -> the future sees DONE (acquire): the outcome.
//             E2 T3 (release) -> T2 (acquire): the waker.
//             E3 T5 (release) -> the other T5 (acquire): all that either side did comes before the block is freed.
// CANCEL      QUEUED: the closure is dropped unrun. CLAIMED: it runs on, can ask, and its outcome is dropped by the job.
// INTERRUPT   nothing: a job frees memory.
use alloc::boxed::Box;
use core::{
    fmt,
    marker::PhantomData,
    mem,
    ptr::NonNull,
    task::{Context, Poll, Waker},
};

#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
use crate::run::External;
use crate::sys::{
    Panics,
    atomic::{AtomicUsize, Ordering::*},
    cell::UnsafeCell,
};

const CLAIMED: usize = 1;
const DONE: usize = 1 << 1;
const WAKER: usize = 1 << 2;
const GONE: usize = 1 << 3;
const JOB: usize = 1 << 4;
const FUTURE: usize = 1 << 5;

/// What came of a job.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    Output(T),
    /// With std only.
    Panicked(Panics),
}

/// What is at the end of the block.
enum Stage<F, T> {
    Closure(F),
    Outcome(Outcome<T>),
    Empty,
}

/// What the two sides know of each other.
#[derive(Debug)]
pub(super) struct Header {
    word: AtomicUsize,
    waker: UnsafeCell<Option<Waker>>,
    #[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
    outside: UnsafeCell<Option<External>>,
    vtable: &'static VTable,
}

/// A block; the header comes first, so that a pointer to it is one to the block.
#[repr(C)]
struct Block<F, T> {
    header: Header,
    stage: UnsafeCell<Stage<F, T>>,
}

#[derive(Debug)]
struct VTable {
    /// Runs the closure, or drops it, if the job has it (I1). Stores the outcome.
    run: unsafe fn(NonNull<Header>, bool),
    /// Drops what is in the stage.
    clear: unsafe fn(NonNull<Header>),
    /// Moves the outcome into an `Option<Outcome<T>>`.
    take: unsafe fn(NonNull<Header>, *mut ()),
    free: unsafe fn(NonNull<Header>),
}

impl<F, T> Block<F, T>
where
    F: FnOnce(&JobCx<'_>) -> T,
{
    const VTABLE: VTable = VTable { run: Self::run, clear: Self::clear, take: Self::take, free: Self::free };

    /// Takes what is in the stage.
    ///
    /// # Safety
    /// (a) `header` is that of a `Block<F, T>`, (b) its stage is the caller's (I1).
    unsafe fn swap(header: NonNull<Header>, new: Stage<F, T>) -> Stage<F, T> {
        // SAFETY: (a), I3: the caller is not through with it.
        let block = unsafe { header.cast::<Self>().as_ref() };
        // SAFETY: (b).
        block.stage.with_mut(|stage| mem::replace(unsafe { &mut *stage }, new))
    }

    unsafe fn run(header: NonNull<Header>, wanted: bool) {
        // SAFETY: I4, I1: the job has claimed it.
        let stage = unsafe { Self::swap(header, Stage::Empty) };
        let Stage::Closure(closure) = stage else { unreachable!("claimed once") };
        if !wanted {
            return drop(closure);
        }
        let mut panics = Panics::new();
        // SAFETY: I3: the job is not through with it.
        let cx = JobCx { word: &unsafe { header.as_ref() }.word };
        let outcome = panics.catch(|| closure(&cx)).map_or(Outcome::Panicked(panics), Outcome::Output);
        // SAFETY: I4, I1: not DONE yet.
        drop(unsafe { Self::swap(header, Stage::Outcome(outcome)) });
    }

    unsafe fn clear(header: NonNull<Header>) {
        // SAFETY: I4; the caller has it.
        drop(unsafe { Self::swap(header, Stage::Empty) });
    }

    unsafe fn take(header: NonNull<Header>, into: *mut ()) {
        // SAFETY: I4; the caller has it.
        let stage = unsafe { Self::swap(header, Stage::Empty) };
        let outcome = if let Stage::Outcome(outcome) = stage { Some(outcome) } else { None };
        // SAFETY: I4: T is that of the future, which asks for it.
        unsafe { *into.cast::<Option<Outcome<T>>>() = outcome }
    }

    unsafe fn free(header: NonNull<Header>) {
        // SAFETY: I3, I4.
        drop(unsafe { Box::from_raw(header.cast::<Self>().as_ptr()) });
    }
}

/// Makes a block, and returns both ends of it.
pub(super) fn pair<T, F>(closure: F) -> (Job, Half<T>)
where
    F: FnOnce(&JobCx<'_>) -> T + Send + 'static,
    T: Send + 'static,
{
    let header = Header {
        word: AtomicUsize::new(0),
        waker: UnsafeCell::new(None),
        #[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
        outside: UnsafeCell::new(None),
        vtable: &Block::<F, T>::VTABLE,
    };
    let block = Box::new(Block { header, stage: UnsafeCell::new(Stage::<F, T>::Closure(closure)) });
    let header = NonNull::from(Box::leak(block)).cast();
    (Job { header }, Half { header, _output: PhantomData })
}

/// Through with the block (T5).
///
/// # Safety
/// (a) `side` is the caller's side, which does not use the block after this.
unsafe fn leave(header: NonNull<Header>, side: usize) {
    // SAFETY: I3, (a).
    let block = unsafe { header.as_ref() };
    let free = block.vtable.free;
    // ORDER: E3 release, acquire
    let before = block.word.fetch_or(side, AcqRel);
    if before & (JOB | FUTURE) != 0 {
        // SAFETY: I3: the other side was first.
        unsafe { free(header) }
    }
}

/// A piece of blocking work, on its way to a thread; made by [`offload`](super::offload).
///
/// One pointer. A job that is dropped unrun says so to whoever awaits it, who gets [`Lost`](super::Lost).
///
/// # Examples
/// ```
/// use testudo::run::{Job, block_on, offload};
///
/// let threads = |job: Job| drop(std::thread::spawn(move || job.run()));
/// assert_eq!(block_on(offload(&threads, |_| 6 * 7)), Ok(42));
/// ```
#[must_use = "a job that is dropped is lost"]
pub struct Job {
    header: NonNull<Header>,
}

// SAFETY: I4: what is in the block is Send, as `pair` asks for, and each side touches its own part only (I1, I2).
unsafe impl Send for Job {}
// SAFETY: a shared Job offers nothing but its word.
unsafe impl Sync for Job {}

impl Job {
    /// Does the work, on this thread; nothing, if nobody wants it any more.
    ///
    /// A panic of the work goes to whoever awaits it (with std; it goes on here without).
    ///
    /// # Panics
    /// When a waker does, or the destructor of a result that nobody wants any more.
    ///
    /// # Examples
    /// See [`Pool`](super::Pool).
    pub fn run(self) {
        self.end(true);
    }

    /// Whether nobody wants the result any more: a pool may drop such a job.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Mutex;
    /// use testudo::run::{Job, offload};
    ///
    /// let queue = Mutex::new(vec![]);
    /// drop(offload(&|job: Job| queue.lock().unwrap().push(job), |_| 1));
    /// assert!(queue.lock().unwrap()[0].is_cancelled());
    /// ```
    pub fn is_cancelled(&self) -> bool {
        // ORDER: relaxed: only the bit itself counts
        self.header().word.load(Relaxed) & GONE != 0
    }

    /// A simulation is told that its task may be woken from outside until this job has ended.
    #[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
    pub(in crate::run) fn hold(&mut self, external: External) {
        // SAFETY: I4: the only Job, here exclusively; nobody else uses it.
        let before = self.header().outside.with_mut(|outside| unsafe { &mut *outside }.replace(external));
        drop(before);
    }

    #[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
    pub(in crate::run) fn let_go(&mut self) {
        // SAFETY: as in `hold`.
        drop(self.header().outside.with_mut(|outside| unsafe { &mut *outside }.take()));
    }

    fn header(&self) -> &Header {
        // SAFETY: I3.
        unsafe { self.header.as_ref() }
    }

    fn end(self, wanted: bool) {
        let header = self.header;
        mem::forget(self);
        // SAFETY: I3: `end` is the one that leaves. ORDER: relaxed: the closure came along with the job
        let before = unsafe { header.as_ref() }.word.fetch_or(CLAIMED, Relaxed); // T1
        let end = End { header, claimed: before & GONE == 0 };
        if end.claimed {
            // SAFETY: I3.
            let run = unsafe { end.header.as_ref() }.vtable.run;
            // SAFETY: I1, I4.
            unsafe { run(end.header, wanted) }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        Self { header: self.header }.end(false);
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// Ends a job whether or not its closure panics: T2, T5, and then the wake-up.
struct End {
    header: NonNull<Header>,
    /// T1 came before T4.
    claimed: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        // SAFETY: I3: `leave` is below.
        let header = unsafe { self.header.as_ref() };
        // SAFETY: I4: only the job uses it.
        #[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
        let _outside = header.outside.with_mut(|outside| unsafe { &mut *outside }.take());
        // ORDER: E1 release, E2 acquire
        let before = header.word.fetch_or(DONE, AcqRel); // T2
        let mut waker = None;
        if before & WAKER != 0 {
            // SAFETY: I2.
            waker = header.waker.with_mut(|cell| unsafe { &mut *cell }.take());
        }
        let left = Leaves { header: self.header, side: JOB };
        if before & GONE != 0 && self.claimed {
            let clear = header.vtable.clear;
            // SAFETY: I1, I4: the outcome is the job's.
            unsafe { clear(self.header) }
        }
        drop(left);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Leaves, also if a destructor before that panics.
struct Leaves {
    header: NonNull<Header>,
    side: usize,
}

impl Drop for Leaves {
    fn drop(&mut self) {
        // SAFETY: (a): made for that, as the last but one thing its owner does.
        unsafe { leave(self.header, self.side) }
    }
}

/// What the work is told while it runs.
pub struct JobCx<'a> {
    word: &'a AtomicUsize,
}

impl JobCx<'_> {
    /// Says whether the future was dropped: nobody wants the result any more. One load.
    ///
    /// # asyncio
    /// Has none. Same as `trio.from_thread.check_cancelled`, which raises.
    ///
    /// # Examples
    /// ```
    /// use std::sync::mpsc;
    /// use testudo::run::{Job, offload};
    ///
    /// let threads = |job: Job| drop(std::thread::spawn(move || job.run()));
    /// let (started, (ended, end)) = (mpsc::channel(), mpsc::channel());
    /// let work = offload(&threads, move |cx| {
    ///     started.0.send(()).unwrap();
    ///     while !cx.is_cancelled() {}
    ///     ended.send(()).unwrap();
    /// });
    /// started.1.recv().unwrap();
    /// drop(work);
    /// assert!(end.recv().is_ok());
    /// ```
    pub fn is_cancelled(&self) -> bool {
        // ORDER: relaxed: only the bit itself counts
        self.word.load(Relaxed) & GONE != 0
    }
}

impl fmt::Debug for JobCx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobCx").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// The future's end of a block; whoever has it polls it to its end or drops it.
pub(super) struct Half<T> {
    header: NonNull<Header>,
    _output: PhantomData<fn() -> T>,
}

// SAFETY: I4: as for Job; T is Send, as `pair` asks for.
unsafe impl<T: Send> Send for Half<T> {}
// SAFETY: a shared Half offers nothing.
unsafe impl<T: Send> Sync for Half<T> {}

impl<T> Half<T> {
    fn header(&self) -> &Header {
        // SAFETY: I3: left by `take` and `Drop` only, which end it.
        unsafe { self.header.as_ref() }
    }

    /// Whether `take` may be called; if not, the waker will be woken when it may.
    pub(super) fn poll_done(&self, cx: &Context<'_>) -> Poll<()> {
        let header = self.header();
        // ORDER: E1 acquire
        let mut word = header.word.load(Acquire);
        if word & (DONE | WAKER) == WAKER {
            // T3. ORDER: E1 acquire
            word = header.word.fetch_and(!WAKER, Acquire);
        }
        if word & DONE != 0 {
            return Poll::Ready(());
        }
        // SAFETY: I2: WAKER is off, and was so at no T2.
        let old = header.waker.with_mut(|cell| unsafe { &mut *cell }.take());
        let new = old.filter(|old| old.will_wake(cx.waker())).unwrap_or_else(|| cx.waker().clone());
        // SAFETY: I2: as before.
        header.waker.with_mut(|cell| unsafe { *cell = Some(new) });
        // T3. ORDER: E2 release, E1 acquire
        if header.word.fetch_or(WAKER, AcqRel) & DONE == 0 {
            return Poll::Pending;
        }
        // SAFETY: I2: T2 found WAKER off.
        drop(header.waker.with_mut(|cell| unsafe { &mut *cell }.take()));
        Poll::Ready(())
    }

    /// What came of the job, of which `poll_done` has said that it is DONE. None: it was dropped unrun.
    pub(super) fn take(self) -> Option<Outcome<T>> {
        let mut outcome: Option<Outcome<T>> = None;
        let take = self.header().vtable.take;
        // SAFETY: I1: DONE, and not GONE. I4: an `Option<Outcome<T>>`.
        unsafe { take(self.header, (&raw mut outcome).cast()) }
        let header = self.header;
        mem::forget(self);
        // SAFETY: (a): forgotten.
        unsafe { leave(header, FUTURE) }
        outcome
    }
}

impl<T> Drop for Half<T> {
    fn drop(&mut self) {
        let header = self.header();
        // ORDER: E1 acquire
        let mut word = header.word.load(Acquire);
        while word & DONE == 0 {
            // T4. ORDER: E1 acquire
            match header.word.compare_exchange_weak(word, word & !WAKER | GONE, Acquire, Acquire) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        let mut waker = None;
        if word & DONE == 0 {
            // SAFETY: I2: T4 came before T2.
            waker = header.waker.with_mut(|cell| unsafe { &mut *cell }.take());
        }
        let left = Leaves { header: self.header, side: FUTURE };
        if word & DONE != 0 || word & CLAIMED == 0 {
            let clear = header.vtable.clear;
            // SAFETY: I1, I4: the outcome, or the closure.
            unsafe { clear(self.header) }
        }
        drop(left);
        drop(waker);
    }
}
