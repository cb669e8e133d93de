//! Children: futures that run inside, or beside, the future that started them.
//!
//! | what | for |
//! |---|---|
//! | [`gather`](gather()), [`try_gather`] | several futures at once: all outputs, or the first error |
#![cfg_attr(feature = "alloc", doc = "| [`as_completed`] | results in the order in which they come |")]
//! | [`ReadyBlock`] | exact wake-ups without heap, for children that interrupts wake |

#[cfg(feature = "alloc")]
mod as_completed;
mod children;
mod gather;
#[cfg(feature = "alloc")]
mod gather_vec;
mod ready;

#[cfg(feature = "alloc")]
pub use as_completed::{AsCompleted, as_completed, as_completed_in};
pub use gather::{All, ByArray, ByTuple, Gather, TryAll, TryGather, gather, gather_in, try_gather, try_gather_in};
#[cfg(feature = "alloc")]
pub use gather_vec::{AllVec, ByIterator, ByVec, TryAllVec};
pub use ready::{Claim, ReadyBlock};
