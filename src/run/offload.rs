//! Blocking work on other threads, awaited by a task.
// STATE       see job.rs
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::FusedFuture;

use self::job::{Half, Outcome, pair};
pub use self::job::{Job, JobCx};
use crate::wait::POLLED_AFTER_COMPLETION;

#[cfg(feature = "offload")]
mod blocking;
mod job;

#[cfg(feature = "offload")]
pub use self::blocking::BlockingPool;

/// Runs `work` on a thread of `pool`, and returns a future of what it returns.
///
/// The work is handed to the pool at once. If the future is dropped before a thread has begun with it, it is dropped
/// too and never runs; after that it runs on, can [ask](JobCx::is_cancelled), and its result is dropped there. Wakes
/// from that thread, so any executor will do. One allocation for it all.
///
/// # asyncio
/// Same as `loop.run_in_executor` and `asyncio.to_thread`. Differs in that the work can find out that it is cancelled; a
/// closure takes its arguments, and what it needs of the caller's context, along.
///
/// Under [`Sim`](super::Sim) a pool's threads are an outside source: `offload(&sim.outside(pool), ..)`.
///
/// # Cancel safety
/// Not cancel safe: dropping this future loses the result, and the work itself if no thread has begun with it.
///
/// # Errors
/// [`Lost`] when the pool refused the job or dropped it unrun, as a pool does that is being shut down.
///
/// # Panics
/// The future panics with the work's own panic, or when polled after completion. (Without std a panic stays where it is,
/// and the future gives `Lost`.)
///
/// # Examples
/// ```
/// use testudo::run::{Job, block_on, offload};
///
/// let threads = |job: Job| drop(std::thread::spawn(move || job.run()));
/// let sum = block_on(offload(&threads, |_| (1..=1000).sum::<u32>()));
/// assert_eq!(sum, Ok(500_500));
/// ```
/// To have no more than so many at a time, let each one bring a permit of a semaphore along:
/// ```
/// use std::sync::Arc;
/// use testudo::{Semaphore, run::{Job, block_on, offload}};
///
/// let threads = |job: Job| drop(std::thread::spawn(move || job.run()));
/// let at_most = Arc::new(Semaphore::new(2));
/// let mut work = vec![];
/// for n in 0..5 {
///     let permit = block_on(Semaphore::acquire_with(Arc::clone(&at_most), 1));
///     work.push(offload(&threads, move |_| {
///         let _permit = permit; // given back when the work is done, also if nobody waits for it any more
///         n
///     }));
/// }
/// let sum: i32 = work.into_iter().map(|work| block_on(work).unwrap()).sum();
/// assert_eq!((sum, at_most.available_permits()), (10, 2));
/// ```
#[doc(alias = "CapacityLimiter")]
#[doc(alias = "run_in_executor")]
#[doc(alias = "to_thread")]
#[doc(alias = "spawn_blocking")]
pub fn offload<P, T, F>(pool: &P, work: F) -> Offload<T>
where
    P: Pool + ?Sized,
    F: FnOnce(&JobCx<'_>) -> T + Send + 'static,
    T: Send + 'static,
{
    let (job, half) = pair(work);
    drop(pool.execute(job)); // refused: dropped, and so the future gives Lost
    Offload { half: Some(half) }
}

/// Something that runs jobs on threads of its own.
///
/// | pool | as a `Pool` |
/// |---|---|
/// | a thread for each job | <code>&#124;job: Job&#124; drop(std::thread::spawn(move &#124;&#124; job.run()))</code> |
/// | rayon | <code>&#124;job: Job&#124; rayon::spawn(move &#124;&#124; job.run())</code> |
/// | tokio | <code>&#124;job: Job&#124; drop(tokio::task::spawn_blocking(move &#124;&#124; job.run()))</code> |
/// | `blocking`, of smol and its kin | `BlockingPool` (feature `offload`) |
/// | any of them beside a simulation | `Sim::outside(pool)` (feature `sim`) |
///
/// # Examples
/// With rayon, and with tokio:
/// ```
/// use testudo::run::{Job, block_on, offload};
///
/// let rayon = |job: Job| rayon::spawn(move || job.run());
/// assert_eq!(block_on(offload(&rayon, |_| 1)), Ok(1));
///
/// let tokio = |job: Job| drop(tokio::task::spawn_blocking(move || job.run()));
/// let runtime = tokio::runtime::Runtime::new().unwrap();
/// assert_eq!(runtime.block_on(async { offload(&tokio, |_| 2).await }), Ok(2));
/// ```
/// One that can refuse:
/// ```
/// use std::sync::mpsc::{self, SendError};
/// use testudo::run::{Job, Lost, Pool, block_on, offload};
///
/// struct Worker(mpsc::Sender<Job>);
///
/// impl Pool for Worker {
///     fn execute(&self, job: Job) -> Result<(), Job> {
///         self.0.send(job).map_err(|SendError(job)| job)
///     }
/// }
///
/// let (sender, jobs) = mpsc::channel();
/// let (worker, thread) = (Worker(sender), std::thread::spawn(move || jobs.iter().take(1).for_each(Job::run)));
/// assert_eq!(block_on(offload(&worker, |_| 1)), Ok(1));
/// thread.join().unwrap();
/// assert_eq!(block_on(offload(&worker, |_| 2)), Err(Lost));
/// ```
#[doc(alias = "Executor")]
#[doc(alias = "ThreadPoolExecutor")]
pub trait Pool {
    /// Has the job run some time, on some thread.
    ///
    /// # Errors
    /// The job, if it is refused.
    fn execute(&self, job: Job) -> Result<(), Job>;
}

impl<F: Fn(Job)> Pool for F {
    fn execute(&self, job: Job) -> Result<(), Job> {
        self(job);
        Ok(())
    }
}

/// The work was dropped before it ran, or refused: its pool is shut down. Not the `Lost` of [`task`](crate::task), which executors give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool dropped the work before it ran")
    }
}

impl core::error::Error for Lost {}

/// The future of [`offload`].
#[must_use = "work that no thread has begun with is dropped with this"]
pub struct Offload<T> {
    half: Option<Half<T>>,
}

impl<T> Future for Offload<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let half = self.half.as_ref().expect(POLLED_AFTER_COMPLETION);
        ready!(half.poll_done(cx));
        Poll::Ready(match self.half.take().and_then(Half::take) {
            Some(Outcome::Output(output)) => Ok(output),
            Some(Outcome::Panicked(panics)) => {
                panics.resume();
                Err(Lost) // this thread is unwinding already
            }
            None => Err(Lost),
        })
    }
}

impl<T> FusedFuture for Offload<T> {
    fn is_terminated(&self) -> bool {
        self.half.is_none()
    }
}

impl<T> fmt::Debug for Offload<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offload").field("done", &self.half.is_none()).finish()
    }
}
