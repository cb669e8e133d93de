//! An end to runs that hang.

use std::{
    convert::Infallible,
    process,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

/// Ends the process with code 1 unless it is dropped in time, and prints how far things have come.
pub struct Watchdog(#[expect(dead_code, reason = "hangs up when dropped")] Sender<Infallible>);

impl Watchdog {
    pub fn new(what: impl Into<String>, limit: Duration, so_far: impl FnOnce() -> String + Send + 'static) -> Self {
        let what = what.into();
        let (alive, ended) = mpsc::channel();
        thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("tour: {what}: not done after {limit:?}\n{}", so_far());
                process::exit(1);
            }
        });
        Self(alive)
    }
}
