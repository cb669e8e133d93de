//! One binary for the integration tests: a file per topic.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "tests have std")]

mod as_completed;
mod barrier;
mod block_on;
mod buffered;
mod cancel;
mod children;
mod chunks;
mod condition;
mod debug;
mod event;
mod exact;
mod fairness;
mod gather;
mod generator;
mod group;
mod guard;
mod layout;
mod mutex;
mod offload;
mod once;
mod panics;
mod queue;
mod reenter;
mod regressions;
mod rwlock;
mod semaphore;
mod shelter;
mod shelter_layout;
mod sim;
mod spawned;
mod stress;
mod support;
mod timeout;
mod token;
