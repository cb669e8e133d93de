//! Children: futures that run inside, or beside, the future that started them.
//!
//! | what | for |
//! |---|---|
//! | [`gather`](gather()), [`try_gather`] | several futures at once: all outputs, or the first error |
#![cfg_attr(feature = "alloc", doc = "| [`as_completed`] | results in the order in which they come |")]
//! | [`ReadyBlock`] | exact wake-ups without heap, for children that interrupts wake |
//! | [`CancelToken`], [`CancelToken::run`] | a request to stop, for a tree of tasks |
//! | [`timeout`] | a future with a deadline |
#![cfg_attr(
    feature = "alloc",
    doc = "| [`TaskGroup`], [`LocalTaskGroup`] | children that borrow, run in the parent's task |"
)]
//! | [`TaskGroupArray`] | the same in places of a fixed number, without an allocator |
#![cfg_attr(
    all(feature = "alloc", target_has_atomic = "ptr"),
    doc = "| [`SpawnedGroup`], [`Spawn`] | children in tasks of their own, on any executor |"
)]
#![cfg_attr(
    feature = "alloc",
    doc = "| [`Shelter`], [`LocalShelter`] | futures that are finished although whoever waited for them is gone |"
)]
//! | [`ShelterArray`] | the same without an allocator |
#![cfg_attr(
    feature = "alloc",
    doc = "| [`shield()`] | a future that runs in a task of its own, whoever waits for it |"
)]

#[cfg(feature = "alloc")]
mod as_completed;
mod cancel;
mod children;
mod gather;
#[cfg(feature = "alloc")]
mod gather_vec;
mod group;
mod marker;
mod orphans;
mod ready;
mod shelter;
#[cfg(feature = "alloc")]
mod spawn;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod spawned;
mod timeout;

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use self::cancel::SharedToken;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use self::spawned::{SpawnedGroup, SpawnedHandle};
pub use self::{
    cancel::{CancelRun, CancelToken, CancelWait, Cancelled, ChildToken},
    group::{GroupErrorArray, GroupRunArray, Outcome, TaskGroupArray, TaskHandle},
    marker::Sendable,
    orphans::{Orphanage, WithOrphans},
    ready::{Claim, ReadyBlock},
    timeout::{Elapsed, Timeout, timeout},
};
#[cfg(feature = "alloc")]
pub use self::{
    group::{Group, GroupError, GroupRun, LocalTaskGroup, TaskGroup},
    marker::Local,
    spawn::{BoxTask, LocalBoxTask, Spawn},
};
#[cfg(feature = "alloc")]
pub use as_completed::{AsCompleted, as_completed, as_completed_in};
pub use gather::{All, ByArray, ByTuple, Gather, TryAll, TryGather, gather, gather_in, try_gather, try_gather_in};
#[cfg(feature = "alloc")]
pub use gather_vec::{AllVec, ByIterator, ByVec, TryAllVec};
pub use shelter::{Berth, Drain, Reserved, Run, ShelterArray, Shielded};
#[cfg(feature = "alloc")]
pub use shelter::{Haven, LocalShelter, Lost, Shelter, ShelterOf, Sheltered, Shield, shield, shield_local};
