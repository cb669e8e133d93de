//! One binary for the integration tests: a file per topic.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "tests have std")]

mod as_completed;
mod barrier;
mod block_on;
mod cancel;
mod children;
mod condition;
mod debug;
mod event;
mod exact;
mod fairness;
mod gather;
mod group;
mod layout;
mod mutex;
mod once;
mod panics;
mod queue;
mod reenter;
mod regressions;
mod rwlock;
mod semaphore;
mod sim;
mod spawned;
mod stress;
mod support;
mod timeout;
mod token;
