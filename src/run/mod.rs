//! Driving futures: on a thread, or in a deterministic simulation.
//!
//! Nothing else in the crate needs this module: its types run on any executor.
//!
//! | driver | for | time | needs |
//! |---|---|---|---|
#![cfg_attr(feature = "std", doc = "| [`block_on`] | one future on the current thread | the caller's | std |")]
#![cfg_attr(
    feature = "sim",
    doc = "| [`Sim`] | tests: repeatable schedules, stalls are errors | virtual, jumps | sim |"
)]
#![cfg_attr(
    all(feature = "sim", feature = "std"),
    doc = "| [`check`](fn@check) | tests: a program under many schedules, the shortest failing one | virtual | sim, std |"
)]
#![cfg_attr(feature = "alloc", doc = "\nBlocking work goes to the threads of a [`Pool`]: [`offload`].")]

#[cfg(feature = "std")]
mod block_on;
#[cfg(all(feature = "profile", feature = "std"))]
pub mod graph;
#[cfg(feature = "alloc")]
mod offload;
#[cfg(feature = "profile")]
pub mod profile;
#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
mod sim;
#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
mod spawn;

#[cfg(feature = "std")]
pub use self::block_on::block_on;
#[cfg(feature = "offload")]
pub use self::offload::BlockingPool;
#[cfg(feature = "alloc")]
pub use self::offload::{Job, JobCx, Lost, Offload, Pool, offload};
#[cfg(all(feature = "proptest", target_has_atomic = "ptr"))]
pub use self::sim::schedules;
#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
pub use self::sim::{
    Blocked, CancelAfter, Cancelled, Clock, External, Hold, InvalidSchedule, Outside, Policy, Schedule, Sim,
    SimBuilder, Sleep, Spawner, Stall, Task, cancel_after, cancel_at_every_poll, cancel_before,
};
#[cfg(all(feature = "sim", feature = "std", target_has_atomic = "ptr"))]
pub use self::sim::{Cause, Check, Failure, Verdict, check, replay};
