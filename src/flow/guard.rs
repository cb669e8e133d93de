//! A resource whose end has to be awaited: `async with`.

// STATE       open --close--> closing, in the shelter      open --drop--> releasing, in the shelter      open --defuse--> gone
// INVARIANTS  I1 the release is called once, when the guard is closed or dropped, unless it is defused; its future is in the
//                shelter before anybody polls it.
// CANCEL      closing: the handle is dropped, the release goes on in the shelter.
use core::{
    fmt,
    future::Future,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

#[cfg(feature = "alloc")]
use crate::task::ShelterOf;
use crate::{
    sys::{Panics, Unwinding},
    task::{Berth, Reserved, ShelterArray, Shielded},
};

/// Why a resource is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// [`Guard::close`] was called: all went well, as far as the guard knows.
    Closed,
    /// The scope was dropped half-way, or left without closing.
    Cancelled,
    /// A panic has dropped the guard. Without `std` that counts as [`Cancelled`](Exit::Cancelled).
    Unwinding,
}

/// A resource, and what has to be awaited when it is given up.
///
/// [`close`](Guard::close) releases it and waits. When the guard is dropped instead (because the scope was cancelled, left with
/// `?`, or a panic goes through it) or `close` is itself cancelled, the release goes on in the shelter: whoever keeps or drains
/// that finishes it. It is called once, whatever happens.
///
/// # asyncio
/// As `async with`; `__aexit__` is `release`, and [`Exit`] tells it why. It is finished even if it is cancelled, which kills an
/// `__aexit__`. It cannot suppress an error: look at the `Result` of the scope instead.
///
/// # What is not promised
/// [`mem::forget`](core::mem::forget) of the guard, and the end of the process: then nothing is released. If the shelter is
/// dropped before it is drained, the release is dropped where it is; see `Shelter`.
///
/// # Send
/// No closure is async and no macro is needed: a future that holds a guard is `Send` if the resource and the release are.
///
/// # Examples
/// ```
/// use testudo::{flow::Exit, run::block_on, task::Shelter};
///
/// let log = std::sync::Mutex::new(vec![]);
/// let shelter = Shelter::new();
/// block_on(shelter.run(async {
///     let release = |name, exit| {
///         let log = &log;
///         async move { log.lock().unwrap().push((name, exit)) }
///     };
///     let a = shelter.guard("a", release);
///     let b = shelter.guard("b", release);
///     assert_eq!(*a, "a");
///     a.close().await;
///     drop(b); // as if the scope were cancelled
/// }));
/// assert_eq!(*log.lock().unwrap(), [("a", Exit::Closed), ("b", Exit::Cancelled)]);
/// ```
#[doc(alias = "async with")]
#[doc(alias = "asynccontextmanager")]
#[must_use = "a guard that is dropped releases its resource at once"]
pub struct Guard<R, L, Fut, B>
where
    L: FnOnce(R, Exit) -> Fut,
    Fut: Future<Output = ()>,
    B: Berth<Fut>,
{
    /// None once it was closed or defused.
    held: Option<(R, L, B)>,
    since: Unwinding,
    _release: PhantomData<fn() -> Fut>,
}

/// A [`Guard`] whose release has a place in a [`ShelterArray`].
pub type ArrayGuard<'s, R, L, Fut> = Guard<R, L, Fut, Reserved<'s, Fut>>;

impl<R, L, Fut, B> Guard<R, L, Fut, B>
where
    L: FnOnce(R, Exit) -> Fut,
    Fut: Future<Output = ()>,
    B: Berth<Fut>,
{
    fn new(resource: R, release: L, berth: B) -> Self {
        Self { held: Some((resource, release, berth)), since: Unwinding::here(), _release: PhantomData }
    }

    /// Releases the resource, and waits until that is done.
    ///
    /// The release is begun, and in the shelter, when this returns its future. If the shelter aborts it, the future is ready.
    ///
    /// # asyncio
    /// The normal end of `async with`.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When the release does, and when polled after completion.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::Shelter};
    ///
    /// let closed = testudo::Event::new();
    /// let shelter = Shelter::new();
    /// let guard = shelter.guard(7, |_, _| async { closed.set() });
    /// drop(guard.close()); // cancelled at once
    /// block_on(shelter.drain());
    /// assert!(closed.is_set());
    /// ```
    #[doc(alias = "__aexit__")]
    pub fn close(mut self) -> Close<B::Handle> {
        let (resource, release, berth) = self.held.take().expect("it is open");
        Close { handle: berth.shield(release(resource, Exit::Closed)) }
    }

    /// Takes the resource out; nothing is released.
    ///
    /// # Examples
    /// ```
    /// let shelter = testudo::task::Shelter::new();
    /// let guard = shelter.guard(7, |_, _| async { unreachable!() });
    /// assert_eq!(guard.defuse(), 7);
    /// assert!(shelter.is_empty());
    /// ```
    #[doc(alias = "pop_all")]
    #[must_use = "nobody else releases it"]
    pub fn defuse(mut self) -> R {
        let (resource, ..) = self.held.take().expect("it is open");
        resource
    }
}

impl<R, L, Fut, B> Drop for Guard<R, L, Fut, B>
where
    L: FnOnce(R, Exit) -> Fut,
    Fut: Future<Output = ()>,
    B: Berth<Fut>,
{
    fn drop(&mut self) {
        let Some((resource, release, berth)) = self.held.take() else { return };
        let exit = if self.since.began() { Exit::Unwinding } else { Exit::Cancelled };
        // If this thread is unwinding, a second panic must not leave this.
        let mut panics = Panics::new();
        panics.catch(|| berth.adopt(release(resource, exit)));
        panics.resume();
    }
}

impl<R, L, Fut, B> Deref for Guard<R, L, Fut, B>
where
    L: FnOnce(R, Exit) -> Fut,
    Fut: Future<Output = ()>,
    B: Berth<Fut>,
{
    type Target = R;

    fn deref(&self) -> &R {
        let (resource, ..) = self.held.as_ref().expect("it is open");
        resource
    }
}

impl<R, L, Fut, B> DerefMut for Guard<R, L, Fut, B>
where
    L: FnOnce(R, Exit) -> Fut,
    Fut: Future<Output = ()>,
    B: Berth<Fut>,
{
    fn deref_mut(&mut self) -> &mut R {
        let (resource, ..) = self.held.as_mut().expect("it is open");
        resource
    }
}

impl<R: fmt::Debug, L, Fut, B> fmt::Debug for Guard<R, L, Fut, B>
where
    L: FnOnce(R, Exit) -> Fut,
    Fut: Future<Output = ()>,
    B: Berth<Fut>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&**self).finish()
    }
}

pin_project! {
    /// The future of [`Guard::close`] and `ExitStack::close`.
    #[must_use = "without it nobody waits until the resource is released"]
    pub struct Close<H> {
        #[pin]
        pub(super) handle: H,
    }
}

impl<M> Future for Close<Shielded<'_, (), M>> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Aborted: nothing is left to wait for.
        self.project().handle.poll(cx).map(drop)
    }
}

impl<M> FusedFuture for Close<Shielded<'_, (), M>> {
    fn is_terminated(&self) -> bool {
        self.handle.is_terminated()
    }
}

impl<H: fmt::Debug> fmt::Debug for Close<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Close").field(&self.handle).finish()
    }
}

#[cfg(feature = "alloc")]
impl<'e, M> ShelterOf<'e, M> {
    /// Guards a resource: `release` is called with it when the guard is closed or dropped, and its future finished in this shelter.
    /// See [`Guard`].
    ///
    /// Allocates when it is closed or dropped, once.
    ///
    /// # asyncio
    /// As `async with`, behind `__aenter__`: acquire first, then guard.
    ///
    /// # Examples
    /// See [`Guard`].
    pub fn guard<'s, R, L, Fut>(&'s self, resource: R, release: L) -> Guard<R, L, Fut, &'s Self>
    where
        L: FnOnce(R, Exit) -> Fut,
        Fut: Future<Output = ()>,
        &'s Self: Berth<Fut>,
    {
        Guard::new(resource, release, self)
    }
}

impl<Fut: Future<Output = ()>, const N: usize> ShelterArray<Fut, N> {
    /// Guards a resource: `release` is called with it when the guard is closed or dropped, and its future finished in this shelter,
    /// in a place that is reserved for it until then. See [`Guard`].
    ///
    /// # Errors
    /// The resource and its release, if all places are taken.
    ///
    /// # Examples
    /// See [`guard_pinned`](ShelterArray::guard_pinned).
    pub fn guard<R, L>(&'static self, resource: R, release: L) -> Result<ArrayGuard<'static, R, L, Fut>, (R, L)>
    where
        L: FnOnce(R, Exit) -> Fut,
    {
        Pin::static_ref(self).guard_pinned(resource, release)
    }

    /// As [`guard`](ShelterArray::guard), in an array that is pinned otherwise than by being `static`.
    ///
    /// # Errors
    /// The resource and its release, if all places are taken.
    ///
    /// # Examples
    /// ```
    /// use core::{cell::Cell, pin::pin};
    /// use testudo::{run::block_on, task::ShelterArray};
    ///
    /// let open = Cell::new(1);
    /// let open = &open;
    /// let shelter = pin!(ShelterArray::<_, 1>::new());
    /// let guard = shelter.as_ref().guard_pinned(1, |n, _| async move { open.set(open.get() - n) }).ok().unwrap();
    /// block_on(guard.close());
    /// assert_eq!(open.get(), 0);
    /// ```
    pub fn guard_pinned<'s, R, L>(
        self: Pin<&'s Self>,
        resource: R,
        release: L,
    ) -> Result<ArrayGuard<'s, R, L, Fut>, (R, L)>
    where
        L: FnOnce(R, Exit) -> Fut,
    {
        match self.reserve() {
            Some(berth) => Ok(Guard::new(resource, release, berth)),
            None => Err((resource, release)),
        }
    }
}
