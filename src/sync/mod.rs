//! Synchronization: each primitive is a policy over the wait list.

mod condition;
mod event;
mod mutex;

pub use condition::{Condition, ConditionGuard, ConditionLock, ConditionWait, ConditionWaitFor};
pub use event::{Event, EventWait};
pub use mutex::{Lock, Mutex, MutexGuard};
