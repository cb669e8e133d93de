//! Any number of releases that run in reverse order.

// STATE       open --close--> closing, in the shelter      open --drop--> releasing, in the shelter
// INVARIANTS  I1 all releases are one future in the shelter: the next begins when the one before has ended or panicked.
// CANCEL      closing: the handle is dropped, the releases go on in the shelter.
use alloc::{boxed::Box, vec::Vec};
use core::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use super::guard::{Close, Exit};
use crate::{
    sys::{Panics, Unwinding},
    task::{Shelter, Shielded},
};

type Releasing<'e> = Pin<Box<dyn Future<Output = ()> + Send + 'e>>;
type Release<'e> = Box<dyn FnOnce(Exit) -> Releasing<'e> + Send + 'e>;

/// A stack of releases, for scopes whose resources are not known when the program is written.
///
/// [`close`](ExitStack::close) runs them, the last one first and one behind the other, and waits. When the stack is dropped
/// instead, or `close` is cancelled, they run in the shelter, in the same order. One that panics keeps none of the others from
/// running; the first panic goes on behind the last one.
///
/// The stack owns what its closures own: share a resource that is used meanwhile, by an `Arc` or a reference. Guards that are
/// local variables are also released in reverse order, but side by side: a release does not wait for the one before.
///
/// # asyncio
/// As `contextlib.AsyncExitStack` with `push_async_callback`. A release cannot suppress an error.
///
/// # What is not promised
/// As for [`Guard`](super::Guard).
///
/// # Examples
/// ```
/// use testudo::{flow::ExitStack, run::block_on, task::Shelter};
///
/// let log = std::sync::Mutex::new(vec![]);
/// let shelter = Shelter::new();
/// block_on(async {
///     let mut stack = ExitStack::new(&shelter);
///     for name in ["a", "b", "c"] {
///         let log = &log;
///         stack.push(move |_| async move { log.lock().unwrap().push(name) });
///     }
///     stack.close().await;
/// });
/// assert_eq!(*log.lock().unwrap(), ["c", "b", "a"]);
/// ```
#[doc(alias = "AsyncExitStack")]
pub struct ExitStack<'s, 'e> {
    shelter: &'s Shelter<'e>,
    releases: Vec<Release<'e>>,
    since: Unwinding,
}

impl<'s, 'e> ExitStack<'s, 'e> {
    /// Returns an empty stack, whose releases will run in `shelter`.
    ///
    /// # Examples
    /// ```
    /// let shelter = testudo::task::Shelter::new();
    /// assert!(testudo::flow::ExitStack::new(&shelter).is_empty());
    /// ```
    pub fn new(shelter: &'s Shelter<'e>) -> Self {
        Self { shelter, releases: Vec::new(), since: Unwinding::here() }
    }

    /// Adds a release. It runs before all that are there.
    ///
    /// # Examples
    /// See [`ExitStack`].
    #[doc(alias = "push_async_callback")]
    #[doc(alias = "enter_async_context")]
    pub fn push<L, Fut>(&mut self, release: L)
    where
        L: FnOnce(Exit) -> Fut + Send + 'e,
        Fut: Future<Output = ()> + Send + 'e,
    {
        self.releases.push(Box::new(move |exit| Box::pin(release(exit))));
    }

    /// Says how many releases there are.
    ///
    /// # Examples
    /// ```
    /// let shelter = testudo::task::Shelter::new();
    /// let mut stack = testudo::flow::ExitStack::new(&shelter);
    /// stack.push(|_| async {});
    /// assert_eq!(stack.len(), 1);
    /// # stack.defuse();
    /// ```
    pub fn len(&self) -> usize {
        self.releases.len()
    }

    /// Says whether there are none.
    ///
    /// # Examples
    /// See [`new`](ExitStack::new).
    pub fn is_empty(&self) -> bool {
        self.releases.is_empty()
    }

    /// Runs the releases, and waits until that is done.
    ///
    /// They are in the shelter when this returns its future.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When a release does, behind the last one; and when polled after completion.
    ///
    /// # Examples
    /// See [`ExitStack`].
    #[doc(alias = "aclose")]
    pub fn close(mut self) -> Close<Shielded<'s, ()>> {
        let unwind = Unwind::new(mem::take(&mut self.releases), Exit::Closed);
        Close { handle: self.shelter.shield(unwind) }
    }

    /// Drops the releases; none of them runs.
    ///
    /// # Examples
    /// ```
    /// let shelter = testudo::task::Shelter::new();
    /// let mut stack = testudo::flow::ExitStack::new(&shelter);
    /// stack.push(|_| async { unreachable!() });
    /// stack.defuse();
    /// assert!(shelter.is_empty());
    /// ```
    #[doc(alias = "pop_all")]
    pub fn defuse(mut self) {
        self.releases.clear();
    }
}

impl Drop for ExitStack<'_, '_> {
    fn drop(&mut self) {
        if !self.releases.is_empty() {
            let exit = if self.since.began() { Exit::Unwinding } else { Exit::Cancelled };
            self.shelter.adopt(Unwind::new(mem::take(&mut self.releases), exit));
        }
    }
}

impl fmt::Debug for ExitStack<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExitStack").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Runs releases, the last one first.
struct Unwind<'e> {
    releases: Vec<Release<'e>>,
    now: Option<Releasing<'e>>,
    exit: Exit,
    panics: Panics,
}

impl<'e> Unwind<'e> {
    fn new(releases: Vec<Release<'e>>, exit: Exit) -> Self {
        Self { releases, now: None, exit, panics: Panics::new() }
    }
}

impl Future for Unwind<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if let Some(now) = &mut this.now {
                if this.panics.catch(|| now.as_mut().poll(cx)).is_some_and(|poll| poll.is_pending()) {
                    return Poll::Pending;
                }
                let ended = this.now.take();
                this.panics.catch(|| drop(ended));
            }
            let Some(release) = this.releases.pop() else { break };
            this.now = this.panics.catch(|| release(this.exit));
        }
        mem::replace(&mut this.panics, Panics::new()).resume();
        Poll::Ready(())
    }
}
