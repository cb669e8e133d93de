//! One binary for the integration tests: a file per topic.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "tests have std")]
#![allow(clippy::unit_arg, reason = "what has no value is done")]

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
mod group_array;
mod guard;
mod keepers;
mod layout;
mod managers;
mod mutex;
mod offload;
mod once;
mod orphans;
mod panics;
mod queue;
mod reenter;
mod regressions;
mod rwlock;
mod semaphore;
mod shelter;
mod shelter_group;
mod shelter_layout;
mod shield;
mod sim;
mod spawned;
mod stress;
mod support;
mod timeout;
mod token;
mod waits;
