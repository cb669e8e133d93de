//! The pool that there is by default.
use super::{Job, Pool};

/// The threads of the crate `blocking`, which smol and its kin use: up to 500, started as they are needed.
///
/// One pool for the whole process, which never ends and never refuses; the limit is `BLOCKING_MAX_THREADS` in the
/// environment. Dropping the work that no thread has begun with leaves an empty job in its queue. One allocation more.
///
/// # Examples
/// ```
/// use testudo::run::{BlockingPool, block_on, offload};
///
/// assert_eq!(block_on(offload(&BlockingPool, |_| 42)), Ok(42));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockingPool;

impl Pool for BlockingPool {
    fn execute(&self, job: Job) -> Result<(), Job> {
        blocking::unblock(move || job.run()).detach();
        Ok(())
    }
}
