//! A group that ends when what it has put in a shelter has ended too.
// STATE       the group runs --its value, its errors or its panic--> the shelter is drained --empty--> Done
// CANCEL      the group first: its body, then its children. What is in the shelter stays, and is the next keeper's.
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{ShelterArray, ShelterOf, keeper::Run};
use crate::{
    sys::{Payload, catch},
    task::GroupRun,
};

/// What may keep futures beside a group: a reference to a shelter. Sealed.
pub trait Haven: sealed::Sealed {
    /// The future that drives `body` and the shelter.
    type Run<B: Future>: Future<Output = B::Output> + FusedFuture;

    /// See `Shelter::run`.
    #[doc(hidden)]
    fn run_in<B: Future>(self, body: B) -> Self::Run<B>;
}

mod sealed {
    pub trait Sealed {}

    impl<M> Sealed for &super::ShelterOf<'_, M> {}
    impl<F: core::future::Future, const N: usize> Sealed for &super::ShelterArray<F, N> {}
}

impl<'s, M> Haven for &'s ShelterOf<'_, M> {
    type Run<B: Future> = Run<'s, B, M>;

    fn run_in<B: Future>(self, body: B) -> Run<'s, B, M> {
        self.run(body)
    }
}

impl<'s, F: Future, const N: usize> Haven for &'s ShelterArray<F, N> {
    type Run<B: Future> = Run<'s, B, (F, F::Output)>;

    fn run_in<B: Future>(self, body: B) -> Self::Run<B> {
        self.run(body)
    }
}

impl<B, R, E, K> GroupRun<'_, B, R, E, K>
where
    B: Future<Output = Result<R, E>>,
{
    /// Keeps `shelter` while the group runs, and returns when the group has ended and the shelter is empty: what the body and the
    /// children have shielded in it is finished before, whatever becomes of the group.
    ///
    /// | what happens | the children | what is in the shelter |
    /// |---|---|---|
    /// | the body and all children end | | is finished, then this returns |
    /// | one fails, or [`cancel`](crate::task::Group::cancel) | are dropped, or asked to end | the same |
    /// | one panics, or the body | are dropped | the same, then the panic goes on (std; without, at once) |
    /// | this future is dropped | are dropped | stays there, and waits for the shelter's next keeper; an error or a panic that waited for it is lost |
    ///
    /// Declare the shelter before the group, and outside of what may drop this future: around a `timeout`, or in a `static`. One
    /// that others fill too is waited for until it is empty, so give the group one of its own. This future must not itself be
    /// in that shelter.
    ///
    /// # asyncio
    /// As `await asyncio.shield(x)` in a child of a `TaskGroup`: the child is cancelled, `x` goes on. Differs in that `async with`
    /// does not wait for `x`.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the body and the children. What is in the shelter stays in it.
    ///
    /// # Errors
    /// As [`run`](crate::task::Group::run).
    ///
    /// # Panics
    /// As [`run`](crate::task::Group::run), when the shelter is empty.
    ///
    /// # Examples
    /// ```
    /// use core::future::pending;
    /// use testudo::{Event, run::block_on, task::{Shelter, TaskGroup}};
    ///
    /// let (failed, saved) = (Event::new(), Event::new());
    /// let shelter = Shelter::new();
    /// let tg = TaskGroup::new();
    /// let outcome = block_on(tg.run(async {
    ///     drop(tg.spawn(async {
    ///         let save = shelter.shield(async {
    ///             failed.wait().await;
    ///             saved.set();
    ///         });
    ///         Ok(save.await) // cancelled here, and not what it waits for
    ///     }));
    ///     drop(tg.spawn(async {
    ///         failed.set();
    ///         Err::<(), _>("no bread")
    ///     }));
    ///     pending::<Result<(), _>>().await
    /// }).sheltered_by(&shelter));
    /// assert_eq!(outcome.unwrap_err().first(), Some(&"no bread"));
    /// assert!(saved.is_set());
    /// ```
    #[doc(alias = "shield")]
    pub fn sheltered_by<H: Haven>(self, shelter: H) -> Sheltered<H::Run<Caught<Self>>> {
        Sheltered { run: shelter.run_in(Caught { future: self }) }
    }
}

pin_project! {
    /// A future whose panic is an output.
    pub struct Caught<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panic>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        match catch(|| future.poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => Poll::Ready(Err(Panic(payload))),
        }
    }
}

/// What a group panicked with.
#[derive(Debug)]
pub struct Panic(Payload);

pin_project! {
    /// The future of [`GroupRun::sheltered_by`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Sheltered<K> {
        #[pin]
        run: K,
    }
}

impl<K: Future<Output = Result<T, Panic>>, T> Future for Sheltered<K> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match self.project().run.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(outcome)) => Poll::Ready(outcome),
            Poll::Ready(Err(Panic(payload))) => payload.resume(),
        }
    }
}

impl<K: FusedFuture<Output = Result<T, Panic>>, T> FusedFuture for Sheltered<K> {
    fn is_terminated(&self) -> bool {
        self.run.is_terminated()
    }
}

impl<F> fmt::Debug for Caught<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caught").finish_non_exhaustive()
    }
}

impl<K: fmt::Debug> fmt::Debug for Sheltered<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sheltered").field(&self.run).finish()
    }
}
