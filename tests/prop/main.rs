//! Random scripts of operations and cancellations against sequential models: after every step the results, the wake-ups
//! and the calls of predicates are those of the model, in its order.
//!
//! A script that failed is kept in `regressions/` by its seed, and runs first from then on.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "tests have std")]

mod barrier;
mod children;
mod condition;
mod event;
mod hand;
mod model {
    pub(crate) mod barrier;
    pub(crate) mod condition;
    pub(crate) mod event;
    pub(crate) mod lock;
    pub(crate) mod once;
    pub(crate) mod queue;
    pub(crate) mod semaphore;
    pub(crate) mod sides;
}
mod mutex;
mod once;
mod queue;
mod rwlock;
mod schedule;
mod semaphore;
mod shelter;
mod token;

use proptest::test_runner::{Config, FileFailurePersistence};

/// How many scripts; failures are kept in `file`, wherever the tests run from.
fn config(cases: u32, file: &'static str) -> Config {
    let failure_persistence = Some(Box::new(FileFailurePersistence::Direct(file)) as Box<_>);
    Config { cases, failure_persistence, ..Config::default() }
}

/// The file in which the failures of a test are kept.
macro_rules! regressions {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prop/regressions/", $name, ".txt")
    };
}
use regressions;
