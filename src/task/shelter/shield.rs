//! A future that runs in a task of its own, and outlives whoever waits for it.
#![allow(unsafe_code)]
// The labels are those declared in slot.rs. Its place has no home: it is Kept from the beginning, by its task.
use alloc::boxed::Box;
use core::{
    error::Error,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{
    heap::Boxed,
    site::Site,
    slot::{Core, Slot, set_payload, table_of},
    state::State,
    ticket::Ticket,
};
use crate::{
    sys::catch,
    task::{BoxTask, LocalBoxTask, Spawn},
    tell::{Told, told},
    wait::POLLED_AFTER_COMPLETION,
};

/// Starts a future on an executor, at once, and returns a handle that waits for its result.
///
/// It runs whether the handle is polled, kept or dropped. Two allocations, one of them the executor's task.
///
/// # asyncio
/// Same as `asyncio.shield`: cancelling who waits does not cancel the future; the end of the loop does. The task is owned by its
/// executor, so it is not lost when nobody refers to it; and a clone of the handle reaches the result afterwards.
///
/// # Cancel safety
/// Cancel safe: dropping this future gives up its place in line and nothing else.
///
/// # What is not promised
/// An executor that is dropped drops the future; so does one that refuses it. Then the handle gets [`Lost`].
///
/// # Examples
/// ```
/// use testudo::{run::Sim, task::shield};
///
/// let sim = Sim::new();
/// let work = shield(&sim.spawner(), async { "saved" });
/// let waiter = work.clone();
/// drop(waiter); // cancelled
/// assert_eq!(sim.block_on(work).unwrap(), Ok("saved"));
/// ```
#[doc(alias = "create_task")]
#[cfg_attr(feature = "profile", track_caller)]
pub fn shield<S, F>(spawner: &S, future: F) -> Shield<F::Output>
where
    S: Spawn<BoxTask> + ?Sized,
    F: Future<Output: Send> + Send + 'static,
{
    let (task, handle) = start(future);
    drop(spawner.spawn(Box::pin(task))); // refused: it is lost
    handle
}

/// As [`shield()`], on an executor that stays on its thread, for a future that does too.
///
/// # Cancel safety
/// Cancel safe: dropping this future gives up its place in line and nothing else.
///
/// # Examples
/// ```
/// use testudo::{run::Sim, task::shield_local};
///
/// let sim = Sim::new();
/// let clock = sim.clock();
/// let work = shield_local(&sim.spawner(), async move {
///     clock.sleep(std::time::Duration::from_secs(5)).await;
///     "saved"
/// });
/// let waiter = work.clone();
/// drop(waiter); // cancelled
/// assert_eq!(sim.block_on(work).unwrap(), Ok("saved"));
/// ```
#[cfg_attr(feature = "profile", track_caller)]
pub fn shield_local<S, F>(spawner: &S, future: F) -> Shield<F::Output>
where
    S: Spawn<LocalBoxTask> + ?Sized,
    F: Future + 'static,
{
    let (task, handle) = start(future);
    drop(spawner.spawn(Box::pin(Local(task, PhantomData))));
    handle
}

/// A task that stays on its thread with its future; the handle touches the output only.
struct Local(Runner, PhantomData<*mut ()>);

impl Future for Local {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

#[cfg_attr(feature = "profile", track_caller)]
fn start<F: Future + 'static>(future: F) -> (Runner, Shield<F::Output>) {
    let (future, tag) = told(future, "shielded", "Shelter::shield");
    let slot = Box::new(Slot::with(future, table_of::<Told<F>, Boxed>(), 2, State::Kept));
    tag.holds(&slot.core().list);
    let core = NonNull::from(Box::leak(slot)).cast::<Core>();
    // SAFETY: I2: one reference is the handle's, the other the task's; it has no home.
    let site = unsafe { Site::new(core, None) };
    // SAFETY: I2: as above; the outputs are `F::Output`s.
    (Runner(Some(site)), Shield { ticket: unsafe { Ticket::new(site) } })
}

/// The task: the keeper of one future.
struct Runner(Option<Site>);

impl Runner {
    fn claim(site: Site) {
        site.core().go(|state| (state == State::Kept).then_some(State::BusyKept)); // T1
    }
}

impl Future for Runner {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Without std a panic goes through here, and has ended it.
        let site = self.0.take().expect(POLLED_AFTER_COMPLETION);
        Self::claim(site);
        // SAFETY: I1: claimed; it has not ended, so the stage is Future.
        match catch(|| unsafe { site.poll_caught(cx) }) {
            Ok(false) => {
                self.0 = Some(site);
                site.rest(true);
                return Poll::Pending;
            }
            Ok(true) => {}
            // SAFETY: I1: claimed. `poll_caught` has cleared the place.
            Err(payload) => unsafe { set_payload(site.at(), payload) },
        }
        site.end();
        Poll::Ready(())
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(site) = self.0.take() {
            Self::claim(site);
            site.abort();
        }
    }
}

pin_project! {
    /// The handle of a future that [`shield()`] has started: waits for its result.
    ///
    /// Handles of a result that is `Clone` can be cloned; each gets a clone, and the last one the result itself. When it is there,
    /// one of those that wait is woken, and wakes the next when it has taken its own. A panic of the future goes on from the first
    /// handle that is polled behind it; the others panic too.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When polled after completion, and when the future does.
    ///
    /// # Examples
    /// See [`shield()`].
    #[must_use = "nobody waits for the result without it"]
    pub struct Shield<T> {
        #[pin]
        ticket: Ticket<'static, T>,
    }
}

// SAFETY: I1: `&Shield` gives access to atomics, and makes handles, which need `T: Send`.
unsafe impl<T: Send> Sync for Shield<T> {}

impl<T> Shield<T> {
    /// Says whether the result is there, or was taken by this handle. One load.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::Sim, task::shield};
    ///
    /// let sim = Sim::new();
    /// let work = shield(&sim.spawner(), async {});
    /// assert!(!work.is_finished());
    /// sim.run_until_stalled();
    /// assert!(work.is_finished());
    /// # drop(work);
    /// ```
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.ticket.is_finished()
    }
}

/// # Panics
/// When this handle has returned the result.
impl<T: Clone> Clone for Shield<T> {
    fn clone(&self) -> Self {
        Self { ticket: self.ticket.duplicate() }
    }
}

impl<T> Future for Shield<T> {
    type Output = Result<T, Lost>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().ticket.poll(cx).map_err(|_| Lost)
    }
}

impl<T> FusedFuture for Shield<T> {
    fn is_terminated(&self) -> bool {
        self.ticket.is_used_up()
    }
}

impl<T> fmt::Debug for Shield<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// The executor has dropped, or refused, what it was to run: there is no result.
///
/// # Examples
/// ```
/// use testudo::{run::block_on, task::{BoxTask, Lost, shield}};
///
/// let work = shield(&|task: BoxTask| drop(task), async {});
/// assert_eq!(block_on(work), Err(Lost));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the executor has dropped the task")
    }
}

impl Error for Lost {}
