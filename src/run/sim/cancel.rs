//! Cancelling a future at every place where it can be cancelled.
// STATE       Running --T1 the inner future is ready--> Done
//             Running --T2 so many polls were made, and this one would be one more--> Done
//             Running --T3 so many polls were made, and this was the last--> Done
// INVARIANTS  I1 the inner future is there exactly while Running; it is dropped in T1, T2 and T3, in place.
// CANCEL      Running: the inner future is dropped.
use alloc::{sync::Arc, task::Wake};
use core::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{Sim, SimBuilder};
use crate::{
    sys::atomic::{AtomicBool, Ordering::*},
    wait::phase::POLLED_AFTER_COMPLETION,
};

/// More polls than any future needs that does not wait for others.
const TOO_MANY: usize = 10_000;

pin_project! {
    /// Cancels a future after a number of polls; made by [`cancel_after`] and [`cancel_before`].
    ///
    /// # Cancel safety
    /// As the inner future, which is dropped with this one.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{CancelAfter, Sim, cancel_after};
    ///
    /// let twice: CancelAfter<_> = cancel_after(2, async { 7 });
    /// assert_eq!(Sim::new().block_on(twice).unwrap(), Some(7));
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct CancelAfter<F> {
        #[pin]
        inner: Option<F>,
        left: usize,
        at_once: bool,
    }
}

/// Polls a future `polls` times at most and drops it as soon as the last of these polls has returned; gives its output,
/// or None when it was dropped.
///
/// With 0 polls it is dropped in place of its first one. In a [`Sim`] other tasks run between the polls.
///
/// # Cancel safety
/// As the inner future, which is dropped with this one.
///
/// # Examples
/// ```
/// use testudo::{Mutex, run::{Sim, cancel_after}};
///
/// let (sim, lock) = (Sim::new(), Mutex::new(1));
/// let guard = lock.try_lock();
/// assert!(sim.block_on(cancel_after(1, lock.lock())).unwrap().is_none());
/// drop(guard);
/// assert_eq!(sim.block_on(cancel_after(1, lock.lock())).unwrap().as_deref(), Some(&1));
/// ```
pub fn cancel_after<F: Future>(polls: usize, fut: F) -> CancelAfter<F> {
    CancelAfter { inner: Some(fut), left: polls, at_once: true }
}

/// Polls a future `polls` times at most and drops it in place of the next poll: after it was woken, and maybe given
/// something; gives its output, or None when it was dropped.
///
/// # Cancel safety
/// As the inner future, which is dropped with this one.
///
/// # Examples
/// ```
/// use testudo::{Event, run::{Sim, cancel_before}};
///
/// let (sim, event) = (Sim::new(), std::rc::Rc::new(Event::new()));
/// let setter = event.clone();
/// sim.spawn(async move { setter.set() });
/// assert!(sim.block_on(cancel_before(0, event.wait())).unwrap().is_none());
/// assert!(event.is_set());
/// ```
pub fn cancel_before<F: Future>(polls: usize, fut: F) -> CancelAfter<F> {
    CancelAfter { inner: Some(fut), left: polls, at_once: false }
}

impl<F: Future> Future for CancelAfter<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { panic!("{POLLED_AFTER_COMPLETION}") };
        let Some(left) = this.left.checked_sub(1) else {
            this.inner.set(None); // T2
            return Poll::Ready(None);
        };
        *this.left = left;
        let poll = inner.poll(cx);
        if poll.is_ready() || (left == 0 && *this.at_once) {
            this.inner.set(None); // T1, T3, I1
            return Poll::Ready(match poll {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            });
        }
        Poll::Pending
    }
}

impl<F: Future> FusedFuture for CancelAfter<F> {
    fn is_terminated(&self) -> bool {
        self.inner.is_none()
    }
}

impl<F> fmt::Debug for CancelAfter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelAfter").field("polls_left", &self.left).field("done", &self.inner.is_none()).finish()
    }
}

/// Says whether it was woken.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDER: relaxed: the polls are on this thread, or follow a wake that publishes by itself
        self.0.store(true, Relaxed);
    }
}

/// Cancels a future at each place where it can be: for k = 0, 1, … makes it, polls it k times, drops it, and calls
/// `check` with k, until a future is ready by itself or waits for others; returns how often it was cancelled.
///
/// A future is polled again only when it was woken. One that waits for others ends the series with the drop of it; to
/// let others run, see [`SimBuilder::cancel_at_every_poll`].
///
/// # asyncio
/// Same as calling `Task.cancel` at every `await` that suspends; asyncio has no such tool.
///
/// # Panics
/// When `make`, `check` or a future does; and when a future wakes itself ten thousand times.
///
/// # Examples
/// ```
/// use core::time::Duration;
/// use testudo::{Mutex, run::{Sim, cancel_at_every_poll}};
///
/// let (lock, clock) = (Mutex::new(0), Sim::new().clock());
/// let add_twice = || async {
///     let mut sum = lock.lock().await;
///     *sum += 1;
///     clock.sleep(Duration::ZERO).await; // suspends once
///     *sum += 1;
/// };
/// let places = cancel_at_every_poll(add_twice, |_| {
///     assert!(lock.try_lock().is_some(), "the lock is given back");
/// });
/// assert_eq!(places, 2); // before its first poll, and after it
/// ```
pub fn cancel_at_every_poll<F: Future>(mut make: impl FnMut() -> F, mut check: impl FnMut(usize)) -> usize {
    for k in 0..TOO_MANY {
        let dropped = poll_times(k, make());
        check(k);
        match dropped {
            Dropped::Between => {}
            Dropped::Blocked => return k + 1,
            Dropped::Ready => return k,
        }
    }
    panic!("still not ready after {TOO_MANY} polls");
}

/// In which state a future was dropped.
enum Dropped {
    /// It might have been polled once more.
    Between,
    /// It waited for others.
    Blocked,
    Ready,
}

fn poll_times<F: Future>(k: usize, fut: F) -> Dropped {
    let flag = Arc::new(Flag::default());
    let waker = Waker::from(Arc::clone(&flag));
    let mut fut = pin!(fut);
    for _ in 0..k {
        if fut.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return Dropped::Ready;
        }
        // ORDER: relaxed: as above
        if !flag.0.swap(false, Relaxed) {
            return Dropped::Blocked;
        }
    }
    Dropped::Between
}

impl SimBuilder {
    /// Cancels a future at each place where it can be, while other tasks run beside it; returns how often.
    ///
    /// For k = 0, 1, … builds a simulation, lets `make` spawn what it wants and return the future, and drives that until
    /// it was polled k times. Then it is dropped: at once in one run, in place of its next poll in another, when it was
    /// woken and may have been given something. Then the tasks left run on, and `check` gets the simulation and k. The
    /// last k is the one with which the future is ready, or waits for ever.
    ///
    /// # Panics
    /// When `make`, `check`, the future or a task does; and when a future needs more than ten thousand polls.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// use testudo::{Semaphore, run::{Policy, Sim}};
    ///
    /// for seed in 0..20 {
    ///     let permits = Rc::new(Semaphore::new(1));
    ///     let places = Sim::builder().policy(Policy::Random).seed(seed).cancel_at_every_poll(
    ///         |sim| {
    ///             let (own, other) = (permits.clone(), permits.clone());
    ///             sim.spawn(async move { drop(other.acquire().await) });
    ///             async move { drop(own.acquire().await) }
    ///         },
    ///         |sim, _| {
    ///             assert!(sim.run_until_stalled().is_none(), "the other task got its permit");
    ///             assert_eq!(permits.available_permits(), 1);
    ///         },
    ///     );
    ///     assert!(places > 0);
    /// }
    /// ```
    #[track_caller]
    pub fn cancel_at_every_poll<F: Future>(
        &self,
        mut make: impl FnMut(&Sim) -> F,
        mut check: impl FnMut(&Sim, usize),
    ) -> usize {
        let mut places = 0;
        for k in 0..TOO_MANY {
            let mut last = false;
            // With no poll at all both are the same.
            for at_once in [false, true].into_iter().take(1 + usize::from(k > 0)) {
                let sim = self.clone().build();
                let fut = make(&sim);
                let fut = CancelAfter { inner: Some(fut), left: k, at_once };
                let cancelled = matches!(sim.block_on(fut), Ok(None));
                sim.run_until_stalled();
                check(&sim, k);
                places += usize::from(cancelled);
                last |= !cancelled;
            }
            if last {
                return places;
            }
        }
        panic!("still not ready after {TOO_MANY} polls");
    }
}
