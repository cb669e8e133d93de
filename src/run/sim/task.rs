//! The handle of a task, and what it shares with the running task.
// STATE       outcome: empty --T1 settle--> the output, or Cancelled --T2 the handle took it--> empty (and `taken`)
// INVARIANTS  I1 T1 happens exactly once, also when the task is cancelled, panics, or dies with its simulation.
// CANCEL      a handle is no owner: dropping it detaches the task.
use alloc::{boxed::Box, rc::Rc};
use core::{
    cell::Cell,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_core::FusedFuture;

use super::{
    table::{BoxFuture, Doom, Key},
    world::World,
};
pub use crate::task::Cancelled;
use crate::wait::phase::POLLED_AFTER_COMPLETION;

/// What the task and its handle share.
struct Join<T> {
    outcome: Cell<Option<Result<T, Cancelled>>>,
    settled: Cell<bool>,
    /// It was cancelled while it was being polled: whatever it returns comes too late.
    doomed: Cell<bool>,
    waiter: Cell<Option<Waker>>,
}

impl<T> Join<T> {
    /// T1, unless it was done before (I1).
    fn settle(&self, outcome: Result<T, Cancelled>) {
        if !self.settled.replace(true) {
            self.outcome.set(Some(outcome));
            if let Some(waker) = self.waiter.take() {
                waker.wake();
            }
        }
    }

    /// Puts a clone of `waker` in place of the one before; these are foreign code, during which the place is empty.
    fn register(&self, waker: &Waker) {
        let known = self.waiter.take().filter(|known| known.will_wake(waker));
        let old = self.waiter.replace(Some(known.unwrap_or_else(|| waker.clone())));
        drop(old);
    }
}

/// The task's end of `Join`; I1: settles it in any case.
struct Promise<T>(Rc<Join<T>>);

impl<T> Promise<T> {
    fn keep(self, output: T) {
        if !self.0.doomed.get() {
            self.0.settle(Ok(output));
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.0.settle(Err(Cancelled));
    }
}

/// A spawned task: waits for its output when awaited.
///
/// Dropping the handle detaches the task, which runs on. A task that awaits its own handle waits for ever.
///
/// # asyncio
/// Same as `asyncio.Task`, as `create_task` returns it. Differs in that cancelling drops the task's future, which
/// cannot refuse it, in that dropping the handle in the middle of a wait does not cancel the task, and in that the
/// output is given once.
///
/// # Cancel safety
/// Cancel safe: dropping this future gives up its place in line and nothing else.
///
/// # Errors
/// [`Cancelled`] when the task has no output: it was cancelled, it panicked, or its simulation was dropped.
///
/// # Panics
/// When polled after completion.
///
/// # Examples
/// ```
/// use testudo::run::Sim;
///
/// let sim = Sim::new();
/// let spawner = sim.spawner();
/// let sum = sim.block_on(async move {
///     let (a, b) = (spawner.spawn(async { 1 }), spawner.spawn(async { 2 }));
///     a.await.unwrap() + b.await.unwrap()
/// });
/// assert_eq!(sum.unwrap(), 3);
/// ```
#[doc(alias = "JoinHandle")]
pub struct Task<T> {
    join: Rc<Join<T>>,
    world: Rc<World>,
    key: Key,
    taken: bool,
}

impl<T: 'static> Task<T> {
    /// Splits a future into what the world runs and the handle of it; `start` puts the former into the world.
    pub(super) fn new<F>(world: &Rc<World>, fut: F, start: impl FnOnce(BoxFuture) -> Key) -> Self
    where
        F: Future<Output = T> + 'static,
    {
        let (outcome, settled, doomed) = (Cell::new(None), Cell::new(false), Cell::new(false));
        let join = Rc::new(Join { outcome, settled, doomed, waiter: Cell::new(None) });
        let promise = Promise(Rc::clone(&join));
        let key = start(Box::pin(async move {
            let output = fut.await;
            promise.keep(output);
        }));
        Self { join, world: Rc::clone(world), key, taken: false }
    }
}

impl<T> Task<T> {
    /// What tells waits for it apart.
    #[cfg(feature = "profile")]
    fn wait(&self) -> usize {
        Rc::as_ptr(&self.join).addr()
    }

    /// Cancels the task and returns whether that was still possible.
    ///
    /// Its future is dropped before this returns; if it is being polled right now (the task cancels itself, or what it
    /// calls does), at the end of that poll, and its output, if it has one by then, is dropped too.
    ///
    /// # asyncio
    /// Same as `Task.cancel`. Differs in taking effect at once: nothing of the task runs afterwards, but destructors.
    ///
    /// # Panics
    /// When a destructor of the future does; the task is cancelled nevertheless.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{Cancelled, Sim};
    ///
    /// let sim = Sim::new();
    /// let task = sim.spawn(async { 1 });
    /// assert!(task.cancel());
    /// assert!(!task.cancel());
    /// assert_eq!(sim.block_on(task).unwrap(), Err(Cancelled));
    /// ```
    #[doc(alias = "abort")]
    pub fn cancel(&self) -> bool {
        if self.join.settled.get() {
            return false;
        }
        match self.world.cancel(self.key) {
            Doom::Now(fut) => {
                #[cfg(all(feature = "profile", feature = "std"))]
                let _here = self.world.probed.enter(self.world.now());
                drop(fut);
                tell!(dropped_by_key(self.key.task));
            }
            Doom::Later => self.join.doomed.set(true),
            Doom::Never => return false,
        }
        true
    }

    /// Returns whether the task has ended: it returned, was cancelled, panicked, or lost its simulation.
    ///
    /// # asyncio
    /// Same as `Task.done`.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// let task = sim.spawn(async {});
    /// assert!(!task.is_finished());
    /// sim.run_until_stalled();
    /// assert!(task.is_finished());
    /// ```
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.join.settled.get()
    }

    /// Lets the task run on without a handle, as dropping the handle does, and says so.
    ///
    /// # Examples
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use testudo::run::Sim;
    ///
    /// let (sim, ran) = (Sim::new(), Rc::new(Cell::new(false)));
    /// let flag = Rc::clone(&ran);
    /// sim.spawn(async move { flag.set(true) }).detach();
    /// sim.run_until_stalled();
    /// assert!(ran.get());
    /// ```
    pub fn detach(self) {}
}

impl<T> Future for Task<T> {
    type Output = Result<T, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.join.settled.get() {
            self.join.register(cx.waker());
            tell!(join_blocked(self.key.task, self.wait()));
            return Poll::Pending;
        }
        // T2. I1: settled, so only an earlier poll can have taken it.
        let Some(outcome) = self.join.outcome.take() else { panic!("{POLLED_AFTER_COMPLETION}") };
        self.taken = true;
        tell!(join_resumed(self.key.task, self.wait()));
        Poll::Ready(outcome)
    }
}

impl<T> FusedFuture for Task<T> {
    fn is_terminated(&self) -> bool {
        self.taken
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        drop(self.join.waiter.take());
        tell!(join_cancelled(self.key.task, self.wait()));
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("key", &self.key).field("finished", &self.is_finished()).finish()
    }
}
