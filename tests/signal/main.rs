//! A POSIX signal handler signals the thread that it interrupts, anywhere in an operation on the same event or lock.
//! Nothing hangs, and no wake-up is lost.
//!
//! Everything that the handlers call, wakers included, is async-signal-safe. What stands for the mask of interrupts where
//! there is an operating system is not: `critical-section/std` masks no signals, and takes a mutex.
#![cfg(all(unix, not(feature = "critical-section")))]
#![allow(clippy::std_instead_of_core, reason = "tests have std")]
use std::{env, mem, ptr, time::Duration};

use libc::{c_int, c_void, siginfo_t};

mod flag;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod step;
mod storm;

type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

fn install(signal: c_int, handler: Handler) {
    // SAFETY: all zeros is a valid value: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: `action` is valid, and the handlers here are async-signal-safe.
    let error = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    assert_eq!(error, 0);
}

/// How long to try: `TESTUDO_SIGNAL_SECS`, or one second.
fn seconds() -> Duration {
    let secs = env::var("TESTUDO_SIGNAL_SECS").map_or(1.0, |secs| secs.parse().expect("a number of seconds"));
    Duration::from_secs_f64(secs)
}
