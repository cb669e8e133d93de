#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code, missing_docs, missing_debug_implementations, unreachable_pub)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

#[macro_use]
mod tell;
mod sys;
mod wait;

pub mod flow;
#[cfg(feature = "profile")]
pub mod probe;
pub mod run;
pub mod sync;
pub mod task;

#[cfg(all(feature = "profile", feature = "std"))]
#[doc(inline)]
pub use run::graph;
#[cfg(feature = "alloc")]
#[doc(inline)]
pub use sync::Queue;
#[doc(inline)]
pub use sync::{
    ArrayQueue, Barrier, BarrierTurn, BoundedSemaphore, BrokenBarrier, Closed, Condition, ConditionGuard, Event, Mutex,
    MutexGuard, OnceCell, Permit, RwLock, RwLockReadGuard, RwLockUpgradableGuard, RwLockWriteGuard, Semaphore,
    SemaphoreClosed, TooManyDone, TooManyPermits, TryGetError, TryPutError,
};
pub use wait::Handle;
