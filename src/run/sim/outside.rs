//! Real threads beside virtual time.
use alloc::sync::Arc;
use core::fmt;

use super::{Sim, ready::Ready};
use crate::run::{External, Job, Pool};

impl Sim {
    /// Returns `pool` in a form in which the simulation waits for its jobs: until one has ended, and has woken whoever
    /// awaits it, the clock does not jump and nothing is a stall.
    ///
    /// Work on threads takes no virtual time.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::{Job, Sim, offload};
    ///
    /// let sim = Sim::new();
    /// let threads = sim.outside(|job: Job| drop(std::thread::spawn(move || job.run())));
    /// let clock = sim.clock();
    /// sim.spawn(async move { clock.sleep(Duration::from_secs(1)).await });
    /// let work = offload(&threads, |_| std::thread::sleep(Duration::from_millis(20)));
    /// assert_eq!(sim.block_on(work).unwrap(), Ok(()));
    /// assert_eq!(sim.now(), Duration::ZERO);
    /// ```
    pub fn outside<P: Pool>(&self, pool: P) -> Outside<P> {
        Outside { pool, ready: Arc::clone(&self.world.ready) }
    }
}

/// A pool beside a simulation; made by [`Sim::outside`].
#[derive(Clone)]
pub struct Outside<P> {
    pool: P,
    ready: Arc<Ready>,
}

impl<P: Pool> Pool for Outside<P> {
    fn execute(&self, mut job: Job) -> Result<(), Job> {
        job.hold(External::new(Arc::clone(&self.ready)));
        self.pool.execute(job).map_err(|mut job| {
            job.let_go();
            job
        })
    }
}

impl<P: fmt::Debug> fmt::Debug for Outside<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("pool", &self.pool).finish_non_exhaustive()
    }
}
