//! Profiles and await graphs. A recording is one for the whole program, so this is a program of its own, one test at a time.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "tests have std")]
#![allow(clippy::unit_arg, reason = "what has no value is done")]

use std::sync::{Mutex, MutexGuard, PoisonError};

mod children;
mod formats;
mod graphs;
mod recording;
mod totals;

/// Only one of these tests runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
