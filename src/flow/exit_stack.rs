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
    task::{Local, Sendable, ShelterOf, Shielded},
};

/// A release that runs.
type Releasing<'e> = Pin<Box<dyn Future<Output = ()> + Send + 'e>>;
/// The same, on its thread.
type LocalReleasing<'e> = Pin<Box<dyn Future<Output = ()> + 'e>>;

/// Whether what is in a stack is `Send`. Sealed.
pub trait Releases: sealed::Sealed + Sized {
    /// A release to come.
    type Release<'e>: FnOnce(Exit) -> Self::Releasing<'e>;
    /// A release that runs.
    type Releasing<'e>: Future<Output = ()> + Unpin;

    /// Puts the releases of a stack in its shelter.
    #[doc(hidden)]
    fn shield<'s, 'e>(shelter: &'s ShelterOf<'e, Self>, unwind: Unwind<'e, Self>) -> Shielded<'s, (), Self>;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Sendable {}
    impl Sealed for super::Local {}
}

impl Releases for Sendable {
    type Release<'e> = Box<dyn FnOnce(Exit) -> Releasing<'e> + Send + 'e>;
    type Releasing<'e> = Releasing<'e>;

    fn shield<'s, 'e>(shelter: &'s ShelterOf<'e, Self>, unwind: Unwind<'e, Self>) -> Shielded<'s, (), Self> {
        shelter.shield(unwind)
    }
}

impl Releases for Local {
    type Release<'e> = Box<dyn FnOnce(Exit) -> LocalReleasing<'e> + 'e>;
    type Releasing<'e> = LocalReleasing<'e>;

    fn shield<'s, 'e>(shelter: &'s ShelterOf<'e, Self>, unwind: Unwind<'e, Self>) -> Shielded<'s, (), Self> {
        shelter.shield(unwind)
    }
}

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
///
/// In a `LocalShelter` it takes releases that are not `Send`:
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use testudo::{flow::ExitStack, run::block_on, task::LocalShelter};
///
/// let open = Rc::new(Cell::new(true));
/// let shelter = LocalShelter::new();
/// let mut stack = ExitStack::new(&shelter);
/// let theirs = Rc::clone(&open);
/// stack.push(move |_| async move { theirs.set(false) });
/// block_on(stack.close());
/// assert!(!open.get());
/// ```
#[doc(alias = "AsyncExitStack")]
pub struct ExitStack<'s, 'e, M: Releases = Sendable> {
    shelter: &'s ShelterOf<'e, M>,
    releases: Vec<M::Release<'e>>,
    since: Unwinding,
}

impl<'e> ExitStack<'_, 'e> {
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
}

impl<'e> ExitStack<'_, 'e, Local> {
    /// Adds a release. It runs before all that are there.
    ///
    /// # Examples
    /// See [`ExitStack`].
    pub fn push<L, Fut>(&mut self, release: L)
    where
        L: FnOnce(Exit) -> Fut + 'e,
        Fut: Future<Output = ()> + 'e,
    {
        self.releases.push(Box::new(move |exit| Box::pin(release(exit))));
    }
}

impl<'s, 'e, M: Releases> ExitStack<'s, 'e, M> {
    /// Returns an empty stack, whose releases will run in `shelter`.
    ///
    /// # Examples
    /// ```
    /// let shelter = testudo::task::Shelter::new();
    /// assert!(testudo::flow::ExitStack::new(&shelter).is_empty());
    /// ```
    pub fn new(shelter: &'s ShelterOf<'e, M>) -> Self {
        Self { shelter, releases: Vec::new(), since: Unwinding::here() }
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
    pub fn close(mut self) -> Close<Shielded<'s, (), M>> {
        let unwind = Unwind::new(mem::take(&mut self.releases), Exit::Closed);
        Close { handle: M::shield(self.shelter, unwind) }
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

impl<M: Releases> Drop for ExitStack<'_, '_, M> {
    fn drop(&mut self) {
        if !self.releases.is_empty() {
            let exit = if self.since.began() { Exit::Unwinding } else { Exit::Cancelled };
            // If this thread is unwinding, a second panic must not leave this.
            let mut panics = Panics::new();
            panics.catch(|| drop(M::shield(self.shelter, Unwind::new(mem::take(&mut self.releases), exit))));
            panics.resume();
        }
    }
}

impl<M: Releases> fmt::Debug for ExitStack<'_, '_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExitStack").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Runs releases, the last one first.
#[doc(hidden)]
pub struct Unwind<'e, M: Releases> {
    releases: Vec<M::Release<'e>>,
    now: Option<M::Releasing<'e>>,
    exit: Exit,
    panics: Panics,
}

impl<'e, M: Releases> Unwind<'e, M> {
    fn new(releases: Vec<M::Release<'e>>, exit: Exit) -> Self {
        Self { releases, now: None, exit, panics: Panics::new() }
    }
}

impl<M: Releases> fmt::Debug for Unwind<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unwind").field("len", &self.releases.len()).finish_non_exhaustive()
    }
}

// What runs is in a box of its own.
impl<M: Releases> Unpin for Unwind<'_, M> {}

impl<M: Releases> Future for Unwind<'_, M> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if let Some(now) = &mut this.now {
                if this.panics.catch(|| Pin::new(&mut *now).poll(cx)).is_some_and(|poll| poll.is_pending()) {
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
