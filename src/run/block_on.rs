//! Driving one future on the current thread.
use core::future::Future;

use crate::wait::thread::park_until_ready;

/// Runs a future to its end on this thread and returns its output; the thread sleeps while the future waits.
///
/// The future need not be `Send` and may borrow; its wakers may be woken from any thread. Code inside it may block or
/// park the thread by itself without harm. May be used inside itself; the outer future stands still meanwhile.
/// Allocates once per thread, and once more when it is used inside itself.
///
/// # asyncio
/// Same as `asyncio.run` for the one future; it starts no loop, timers or tasks. Differs in that it can be nested.
///
/// # Panics
/// When the future does: the panic goes on from here. The thread may call it again.
///
/// # Examples
/// ```
/// use core::{future::poll_fn, task::Poll};
/// use testudo::run::block_on;
///
/// let mut polls = 0;
/// let answer = block_on(poll_fn(|cx| {
///     polls += 1;
///     let waker = cx.waker().clone();
///     if polls == 1 {
///         std::thread::spawn(move || waker.wake());
///         return Poll::Pending;
///     }
///     Poll::Ready(42)
/// }));
/// assert_eq!((answer, polls), (42, 2));
/// ```
#[doc(alias = "run")]
pub fn block_on<F: Future>(fut: F) -> F::Output {
    park_until_ready(fut)
}
