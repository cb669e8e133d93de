//! One adapter for each crate and job, in the best form that crate offers.
//!
//! A crate without a manual-reset event gets one from its notifications and an `AtomicBool`; such names end in `+ flag`.

pub mod barrier;
pub mod children;
pub mod condition;
pub mod event;
pub mod generator;
pub mod group;
pub mod mutex;
pub mod once;
pub mod queue;
pub mod rwlock;
pub mod semaphore;
pub mod shield;
pub mod token;

pub use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex as Cs;
