//! Synchronization: each primitive is a policy over the wait list.

mod condition;
mod event;
mod mutex;
mod until;

pub use condition::{Condition, ConditionGuard};
pub use event::{Event, EventWait};
pub use mutex::{Lock, Mutex, MutexGuard};
pub use until::{ConditionLock, ConditionWait, ConditionWaitFor};
