//! A thread as the waiter: how the thread-blocking forms drive a future.
//!
//! Each thread makes its waker once and keeps it, so that no blocking wait allocates but the first one of its thread,
//! and one inside another.
// STATE       notified: false --T1 wake--> true (unpark is sent) --T2 before a poll--> false
// INVARIANTS  I1 the thread parks only after it saw `notified` unset, and again if it still is: the token of
//                `thread::park` says nothing, for code inside a poll may have used it up (a channel of std does).
//             I2 a waker kept too long notifies a later wait of its thread: one poll too many, nothing else.
// EDGES       E1 T1 (release) -> T2 (acquire): what was written before the wake is seen by the poll that follows.
use alloc::{sync::Arc, task::Wake};
use core::{
    cell::Cell,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use std::thread::{self, Thread};

use crate::sys::atomic::{AtomicBool, Ordering::*};

std::thread_local! {
    /// The parker of this thread, while nobody is parked with it.
    static IDLE: Cell<Option<Parked>> = const { Cell::new(None) };
}

/// What a waker needs to rouse a thread.
#[derive(Debug)]
struct Parker {
    thread: Thread,
    notified: AtomicBool,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // T1. ORDER: E1 release
        if !self.notified.swap(true, Release) {
            self.thread.unpark();
        }
    }
}

/// A parker in use, and its waker; goes back to the thread's cache when dropped.
#[derive(Debug)]
struct Parked {
    parker: Arc<Parker>,
    waker: Waker,
}

impl Parked {
    fn new() -> Self {
        let parker = Arc::new(Parker { thread: thread::current(), notified: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&parker));
        Self { parker, waker }
    }

    /// The thread's own one (I2), or a new one where that is in use or gone (a destructor of a thread-local may block).
    fn take() -> Self {
        IDLE.try_with(Cell::take).ok().flatten().unwrap_or_else(Self::new)
    }
}

/// Drives `fut` on this thread, which sleeps while there is nothing to do.
pub(crate) fn park_until_ready<F: Future>(fut: F) -> F::Output {
    let mut fut = pin!(fut);
    let home = Home(Some(Parked::take()));
    let Some(parked) = &home.0 else { unreachable!("emptied by drop only") };
    let mut cx = Context::from_waker(&parked.waker);
    loop {
        // T2. ORDER: E1 acquire
        parked.parker.notified.swap(false, Acquire);
        if let Poll::Ready(output) = fut.as_mut().poll(&mut cx) {
            return output;
        }
        // I1. ORDER: relaxed: T2 reads it again
        while !parked.parker.notified.load(Relaxed) {
            thread::park();
        }
    }
}

/// Gives the parker back, also when the future panics.
#[derive(Debug)]
struct Home(Option<Parked>);

impl Drop for Home {
    fn drop(&mut self) {
        // A thread that is ending has no cache any more; then the parker dies here.
        let parked = self.0.take();
        let _ = IDLE.try_with(|idle| idle.set(parked));
    }
}
