//! Synchronization: each primitive is a policy over the wait list.

mod barrier;
mod bounded;
mod condition;
mod event;
mod guard;
mod mutex;
#[cfg(feature = "profile")]
mod named;
mod once;
mod queue;
mod rwlock;
mod rwlock_guards;
mod semaphore;
mod sides;
mod until;

pub use barrier::{Barrier, BarrierTurn, BarrierWait, BrokenBarrier};
pub use bounded::{BoundedSemaphore, TooManyPermits};
pub use condition::{Condition, ConditionGuard};
pub use event::{Event, EventWait};
pub use mutex::{Lock, Mutex, MutexGuard};
pub use once::{OnceCell, OnceWait};
#[cfg(feature = "alloc")]
pub use queue::Queue;
pub use queue::{
    ArrayQueue, Buffer, Closed, Get, Put, PutAll, QueueJoin, QueueStream, TooManyDone, TryGetError, TryPutError,
};
pub use rwlock::{Read, RwLock, UpgradableRead, Upgrade, Write};
pub use rwlock_guards::{RwLockReadGuard, RwLockUpgradableGuard, RwLockWriteGuard};
pub use semaphore::{Acquire, AcquireChecked, Permit, Permits, Semaphore, SemaphoreClosed};
pub use until::{ConditionLock, ConditionWait, ConditionWaitFor};
