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

#[cfg(feature = "std")]
mod block_on;
#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
mod sim;

#[cfg(feature = "std")]
pub use self::block_on::block_on;
#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
pub use self::sim::{Blocked, Cancelled, Clock, External, Policy, Sim, SimBuilder, Sleep, Spawner, Stall, Task};
