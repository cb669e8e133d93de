//! A future with a deadline.
// STATE       Running --T1 the future is ready, or the deadline is: both are dropped--> Done
// CANCEL      both futures are dropped.
use core::{
    error::Error,
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;

use crate::wait::POLLED_AFTER_COMPLETION;

/// Runs a future until it is ready or the deadline is, which is any future: the sleep of any runtime, an event, `pending`.
///
/// The future is polled first, and at least once: when both are ready, the value wins. At the deadline it is dropped, before
/// this returns; it cannot clean up. The deadline is dropped, and so its timer, as soon as the future is ready.
///
/// # asyncio
/// Same as `asyncio.wait_for` and `asyncio.timeout`. Differs in that the deadline is a future and not a number, in that
/// a future whose deadline has passed is polled once (`wait_for(coro, 0)` never starts it, `timeout(0)` does), and in
/// that of two nested deadlines that come together the inner one is reported (there: the outer one).
///
/// # Cancel safety
/// Not cancel safe: dropping this future loses what the future it runs loses when it is dropped.
///
/// # Errors
/// [`Elapsed`] when the deadline came while the future was pending.
///
/// # Panics
/// When polled after completion.
///
/// # Examples
/// ```
/// use core::{future::pending, time::Duration};
/// use testudo::{run::Sim, task::{Elapsed, timeout}};
///
/// let sim = Sim::new();
/// let clock = sim.clock();
/// let late = sim.block_on(timeout(clock.sleep(Duration::from_secs(1)), pending::<()>()));
/// assert_eq!(late.unwrap(), Err(Elapsed));
/// let prompt = sim.block_on(timeout(clock.sleep(Duration::from_secs(1)), async { 42 }));
/// assert_eq!(prompt.unwrap(), Ok(42));
/// ```
#[doc(alias = "wait_for")]
#[doc(alias = "timeout_at")]
#[doc(alias = "TimeoutError")]
#[inline]
pub fn timeout<D: IntoFuture, F: IntoFuture>(deadline: D, fut: F) -> Timeout<D::IntoFuture, F::IntoFuture> {
    Timeout { both: Some(Both { fut: fut.into_future(), deadline: deadline.into_future() }) }
}

pin_project_lite::pin_project! {
    /// The future of [`timeout`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Timeout<D, F> {
        #[pin]
        both: Option<Both<D, F>>,
    }
}

pin_project_lite::pin_project! {
    struct Both<D, F> {
        #[pin]
        fut: F,
        #[pin]
        deadline: D,
    }
}

impl<D: Future, F: Future> Timeout<D, F> {
    /// Puts another deadline in place of this one; gives it back if it is too late for one. It counts from the next poll on,
    /// which is the caller's to see to.
    ///
    /// # asyncio
    /// Same as `Timeout.reschedule`.
    ///
    /// # Errors
    /// The deadline, when the future or the old deadline was ready.
    ///
    /// # Examples
    /// ```
    /// use core::{future::pending, pin::pin, time::Duration};
    /// use testudo::{run::Sim, task::{Elapsed, timeout}};
    ///
    /// let sim = Sim::new();
    /// let clock = sim.clock();
    /// let mut never = pin!(timeout(clock.sleep(Duration::from_secs(1)), pending::<()>()));
    /// never.as_mut().reschedule(clock.sleep(Duration::from_secs(9))).unwrap();
    /// assert_eq!(sim.block_on(never).unwrap(), Err(Elapsed));
    /// assert_eq!(sim.now(), Duration::from_secs(9));
    /// ```
    #[doc(alias = "reset")]
    pub fn reschedule(self: Pin<&mut Self>, deadline: D) -> Result<(), D> {
        match self.project().both.as_pin_mut() {
            Some(both) => {
                both.project().deadline.set(deadline);
                Ok(())
            }
            None => Err(deadline),
        }
    }
}

impl<D: Future, F: Future> Future for Timeout<D, F> {
    type Output = Result<F::Output, Elapsed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(both) = this.both.as_mut().as_pin_mut() else { panic!("{POLLED_AFTER_COMPLETION}") };
        let both = both.project();
        let outcome = match both.fut.poll(cx) {
            Poll::Ready(value) => Ok(value),
            Poll::Pending if both.deadline.poll(cx).is_ready() => Err(Elapsed),
            Poll::Pending => return Poll::Pending,
        };
        this.both.set(None); // T1
        Poll::Ready(outcome)
    }
}

impl<D: Future, F: Future> FusedFuture for Timeout<D, F> {
    fn is_terminated(&self) -> bool {
        self.both.is_none()
    }
}

impl<D, F> fmt::Debug for Timeout<D, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("done", &self.both.is_none()).finish_non_exhaustive()
    }
}

/// The deadline came first.
///
/// # Examples
/// ```
/// assert_eq!(testudo::task::Elapsed.to_string(), "the deadline has elapsed");
/// ```
#[doc(alias = "TimeoutError")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has elapsed")
    }
}

impl Error for Elapsed {}
