//! What the benchmarks share: the harness, hand polling, a two-thread executor, and one adapter for each peer.
//!
//! A row is a function generic over an adapter trait of [`peers`], so that every peer runs the same code. `README.md`
//! says what the rows are and how to run them.

pub mod harness;
pub mod peers;
pub mod poll;
pub mod threads;
