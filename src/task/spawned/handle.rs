//! What a spawned child and its handle share.
// STATE       done: false --T1 the value, or that there is none--> true; T2 the handle takes it
//             cancel: false --T3 the handle asks--> true
// INVARIANTS  I1 T1 happens once, also when the task is dropped: it is over then, whatever happens to its memory.
//             I2 the value's lock is free but for T1 and T2, and T2 comes after T1: nobody ever finds it taken.
// EDGES       E1 T1 (release) -> T2 (acquire): the value.
// INTERRUPT   cancel: yes, if the wakers may.
use alloc::sync::Arc;
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_core::FusedFuture;

use crate::{
    sync::Mutex,
    sys::atomic::{AtomicBool, Ordering::*},
    task::Cancelled,
    tell::Tag,
    wait::{POLLED_AFTER_COMPLETION, cell::WaitCell},
};

pub(super) struct State<T> {
    value: Mutex<Option<Result<T, Cancelled>>>,
    done: AtomicBool,
    cancel: AtomicBool,
    /// Who awaits the handle.
    waiter: WaitCell,
    /// The task.
    task: WaitCell,
    /// Who it is to probes.
    tag: Tag,
}

impl<T> State<T> {
    pub(super) fn new(tag: Tag) -> Arc<Self> {
        Arc::new(Self {
            value: Mutex::new(None),
            done: AtomicBool::new(false),
            cancel: AtomicBool::new(false),
            waiter: WaitCell::new(),
            task: WaitCell::new(),
            tag,
        })
    }

    /// T1.
    pub(super) fn finish(&self, value: Result<T, Cancelled>) {
        if let Some(mut place) = self.value.try_lock() {
            *place = Some(value); // I2
        }
        // ORDER: E1 release
        self.done.store(true, Release);
        drop(self.task.take());
        self.waiter.wake();
    }

    /// The task is polled with this waker: a later T3 wakes it. True: T3 has come.
    pub(super) fn listen(self: &Arc<Self>, waker: &Waker) -> bool {
        if Arc::strong_count(self) > 1 {
            self.task.register(waker);
        }
        self.is_cancelled()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        // ORDER: relaxed: nothing comes with it, and the waker's cell orders it with T3
        self.cancel.load(Relaxed)
    }

    fn is_done(&self) -> bool {
        // ORDER: E1 acquire
        self.done.load(Acquire)
    }
}

/// The handle of a child of a [`SpawnedGroup`](crate::task::SpawnedGroup): waits for its value when awaited.
///
/// Dropping the handle changes nothing for the child.
///
/// # asyncio
/// Same as the task that `TaskGroup.create_task` returns. Differs in that the value is given once, and in that the
/// error of a child goes to the group, not here.
///
/// # Cancel safety
/// Cancel safe: dropping this future gives up its place in line and nothing else.
///
/// # Errors
/// [`Cancelled`] when the child has no value: it failed, was cancelled, or its executor has dropped it.
///
/// # Panics
/// When polled after completion.
///
/// # Examples
/// ```
/// use testudo::{run::Sim, task::SpawnedGroup};
///
/// let sim = Sim::new();
/// let group = SpawnedGroup::<_, ()>::new(sim.spawner());
/// let child = group.spawn(async { Ok(7) });
/// assert_eq!(sim.block_on(child).unwrap(), Ok(7));
/// ```
#[must_use = "the child runs without its handle, which may be dropped"]
pub struct SpawnedHandle<T> {
    pub(super) state: Arc<State<T>>,
    pub(super) taken: bool,
}

impl<T> SpawnedHandle<T> {
    /// Cancels the child: its future is dropped when its task is polled next. Returns false when it has ended.
    ///
    /// That is no failure of the group. A child that is ready in the poll in which it is cancelled keeps its value.
    ///
    /// # Interrupts
    /// May be called from interrupts, if the wakers may.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::Sim, task::{Cancelled, SpawnedGroup}};
    ///
    /// let sim = Sim::new();
    /// let group = SpawnedGroup::<_, ()>::new(sim.spawner());
    /// let never = group.spawn(core::future::pending::<Result<(), ()>>());
    /// assert!(never.cancel());
    /// assert_eq!(sim.block_on(never).unwrap(), Err(Cancelled));
    /// ```
    #[doc(alias = "abort")]
    pub fn cancel(&self) -> bool {
        if self.state.is_done() {
            return false;
        }
        // ORDER: relaxed: the waker's cell orders it with `listen`
        self.state.cancel.store(true, Relaxed);
        self.state.task.wake();
        true
    }

    /// Says whether the child has ended: it has a value, failed, was cancelled or lost.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::Sim, task::SpawnedGroup};
    ///
    /// let sim = Sim::new();
    /// let group = SpawnedGroup::<_, ()>::new(sim.spawner());
    /// let child = group.spawn(async { Ok(7) });
    /// assert!(!child.is_finished());
    /// sim.block_on(group.join()).unwrap().unwrap();
    /// assert!(child.is_finished());
    /// ```
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.state.is_done()
    }
}

impl<T> Future for SpawnedHandle<T> {
    type Output = Result<T, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.state.is_done() {
            self.state.waiter.register(cx.waker());
            if !self.state.is_done() {
                self.state.tag.awaited();
                return Poll::Pending;
            }
        }
        self.state.tag.joined();
        // T2, I2.
        let value = self.state.value.try_lock().and_then(|mut value| value.take());
        self.taken = true;
        let Some(value) = value else { panic!("{POLLED_AFTER_COMPLETION}") };
        Poll::Ready(value)
    }
}

impl<T> FusedFuture for SpawnedHandle<T> {
    fn is_terminated(&self) -> bool {
        self.taken
    }
}

impl<T> Drop for SpawnedHandle<T> {
    fn drop(&mut self) {
        drop(self.state.waiter.take());
        self.state.tag.left();
    }
}

impl<T> fmt::Debug for SpawnedHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnedHandle").field("finished", &self.is_finished()).finish()
    }
}
