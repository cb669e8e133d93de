//! Asynchronous generators: a stream written as an async closure, with an end that may await.
// STATE       see body.rs
// CANCEL      next, aclose: the generator stands still where it is, and goes on with the next poll.
use core::{
    fmt,
    future::Future,
    ops::DerefMut,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedFuture, FusedStream, Stream};

pub use self::body::{Emit, Emitter};
use crate::wait::POLLED_AFTER_COMPLETION;

mod body;
#[cfg(feature = "alloc")]
mod boxed;
mod fallible;

#[cfg(feature = "alloc")]
pub use self::boxed::{BoxBody, BoxEmitter, BoxGen, generator_boxed};
pub use self::fallible::{Stop, TryEmitter, try_generator};

/// Returns a generator: the stream of what `body` emits.
///
/// The body is made and runs with the first poll, and goes on only while the stream is polled; it may borrow. Each item is
/// taken before the body goes on. The stream is fused: when the body has returned or panicked it gives None for ever.
/// Pin it (`pin!`, `Box::pin`) to use it, or rustc says that `PhantomPinned` cannot be unpinned; it is `Send` if the body is. Nothing
/// is allocated.
///
/// Where `T` has a lifetime in it, rustc may not see that the future around the generator is `Send` ("implementation of
/// `AsyncFnOnce` is not general enough", rust-lang/rust#126350): let a function return the `impl AsyncGen`, or take
/// [`generator_boxed`](super::generator_boxed).
///
/// # asyncio
/// Same as an `async def` with `yield`. Differs in that a `next` that is cancelled leaves the generator as it was, while
/// asyncio's is dead then; in that [`aclose`](AsyncGen::aclose) makes `emit` return an error, where asyncio throws; and in
/// that a generator which is dropped drops its body at once, whose async clean-up does not run, while asyncio may run that
/// some time later. `asend` and `athrow` do not exist: share a queue or a cell with the body.
///
/// # Examples
/// ```
/// use core::pin::pin;
/// use testudo::{flow::{AsyncGen, generator, next}, run::block_on};
///
/// let mut log = vec![];
/// block_on(async {
///     let mut numbers = pin!(generator(async |mut y| {
///         for n in 0.. {
///             if y.emit(n).await.is_err() {
///                 break; // closed
///             }
///         }
///         log.push("cleaned up"); // this could await
///         Ok(())
///     }));
///     assert_eq!(next(&mut numbers).await, Some(0));
///     assert_eq!(next(&mut numbers).await, Some(1));
///     numbers.aclose().await;
///     assert_eq!(next(&mut numbers).await, None);
/// });
/// assert_eq!(log, ["cleaned up"]);
/// ```
#[doc(alias = "async_generator")]
#[doc(alias = "yield")]
pub fn generator<T, F>(body: F) -> impl AsyncGen<Item = T>
where
    F: for<'g> AsyncFnOnce(Emitter<'g, T>) -> Result<(), Closed>,
{
    body::plain(body)
}

/// A stream that can be closed in an orderly way; made by [`generator`](super::generator()).
///
/// A pinned reference or box of one is one as well.
pub trait AsyncGen: FusedStream {
    /// Asks the body to end, and polls it until it has.
    ///
    /// # Panics
    /// When the body does.
    fn poll_aclose(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Closes the generator: its `emit` returns an error, and this waits until the body has cleaned up and returned.
    ///
    /// A body that awaits something else goes on to its next `emit`. One that has not begun is dropped and nothing of it
    /// runs; closing one that has ended does nothing. From the first poll on there are no more items, also if this
    /// future is dropped: whoever polls next, by `aclose` or `next`, goes on with the clean-up.
    ///
    /// # asyncio
    /// Same as `agen.aclose()`. Differs in that a body which emits again is dropped at that point, where asyncio raises
    /// RuntimeError; and in that it may be called at any time, also when a `next` was cancelled half-way.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When the body does, or when polled after completion.
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use testudo::{flow::{AsyncGen, generator, next}, run::block_on};
    ///
    /// let mut numbers = pin!(generator(async |mut y| y.emit(1).await));
    /// block_on(numbers.aclose());
    /// assert_eq!(block_on(next(&mut numbers)), None);
    /// ```
    fn aclose(&mut self) -> Aclose<'_, Self>
    where
        Self: Sized + Unpin,
    {
        Aclose { stream: Some(self) }
    }
}

impl<P> AsyncGen for Pin<P>
where
    P: DerefMut + Unpin,
    P::Target: AsyncGen,
{
    fn poll_aclose(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().as_mut().poll_aclose(cx)
    }
}

impl<G: AsyncGen + Unpin + ?Sized> AsyncGen for &mut G {
    fn poll_aclose(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut **self).poll_aclose(cx)
    }
}

/// The generator is being closed: nobody wants the item that was to be emitted. Not the [`Closed`](crate::Closed) of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the generator is being closed")
    }
}

impl core::error::Error for Closed {}

/// Waits for the next item of a stream; None when there is none any more.
///
/// # asyncio
/// Same as `anext`, with None for StopAsyncIteration.
///
/// # Cancel safety
/// Cancel safe: dropping this future gives up its place in line and nothing else.
///
/// # Panics
/// When the stream does, or when polled after completion.
///
/// # Examples
/// ```
/// use core::pin::pin;
/// use testudo::{flow::{generator, next}, run::block_on};
///
/// let mut numbers = pin!(generator(async |mut y| y.emit(1).await));
/// assert_eq!(block_on(next(&mut numbers)), Some(1));
/// assert_eq!(block_on(next(&mut numbers)), None);
/// ```
#[doc(alias = "anext")]
pub fn next<S: Stream + Unpin + ?Sized>(stream: &mut S) -> Next<'_, S> {
    Next { stream: Some(stream) }
}

/// The future of [`next`].
#[must_use = "futures do nothing unless polled"]
pub struct Next<'a, S: ?Sized> {
    stream: Option<&'a mut S>,
}

impl<S: Stream + Unpin + ?Sized> Future for Next<'_, S> {
    type Output = Option<S::Item>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let stream = self.stream.as_deref_mut().expect(POLLED_AFTER_COMPLETION);
        let item = ready!(Pin::new(stream).poll_next(cx));
        self.stream = None;
        Poll::Ready(item)
    }
}

impl<S: Stream + Unpin + ?Sized> FusedFuture for Next<'_, S> {
    fn is_terminated(&self) -> bool {
        self.stream.is_none()
    }
}

impl<S: ?Sized> fmt::Debug for Next<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("done", &self.stream.is_none()).finish_non_exhaustive()
    }
}

/// The future of [`AsyncGen::aclose`].
#[must_use = "futures do nothing unless polled"]
pub struct Aclose<'a, G: ?Sized> {
    stream: Option<&'a mut G>,
}

impl<G: AsyncGen + Unpin + ?Sized> Future for Aclose<'_, G> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let stream = self.stream.as_deref_mut().expect(POLLED_AFTER_COMPLETION);
        ready!(Pin::new(stream).poll_aclose(cx));
        self.stream = None;
        Poll::Ready(())
    }
}

impl<G: AsyncGen + Unpin + ?Sized> FusedFuture for Aclose<'_, G> {
    fn is_terminated(&self) -> bool {
        self.stream.is_none()
    }
}

impl<G: ?Sized> fmt::Debug for Aclose<'_, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aclose").field("done", &self.stream.is_none()).finish_non_exhaustive()
    }
}

/// What does not compile.
///
/// A generator is not `Send` if its body keeps something that is not, or if its items or errors are not:
/// ```compile_fail
/// fn is_send(_: impl Send) {}
/// is_send(testudo::flow::generator(async |mut y| {
///     let own = std::rc::Rc::new(1);
///     y.emit(*own).await
/// }));
/// ```
/// ```compile_fail,E0277
/// fn is_send(_: impl Send) {}
/// is_send(testudo::flow::generator(async |mut y| y.emit(std::rc::Rc::new(1)).await));
/// ```
/// ```compile_fail,E0277
/// fn is_send(_: impl Send) {}
/// is_send(testudo::flow::try_generator::<u8, std::rc::Rc<u8>, _>(async |mut y| y.emit(1).await));
/// ```
/// Its address matters:
/// ```compile_fail,E0277
/// fn is_unpin(_: impl Unpin) {}
/// is_unpin(testudo::flow::generator(async |mut y| y.emit(1).await));
/// ```
/// An emitter does not get out of its body, neither into what was before, nor into another task, nor as an item:
/// ```compile_fail
/// let stash = std::cell::RefCell::new(None);
/// let numbers = testudo::flow::generator(async |y| {
///     *stash.borrow_mut() = Some(y);
///     Ok(())
/// });
/// # let numbers: &dyn futures_core::Stream<Item = u32> = &numbers;
/// ```
/// ```compile_fail,E0521
/// let numbers = testudo::flow::generator(async |mut y| {
///     std::thread::spawn(move || drop(y.emit(1)));
///     Ok(())
/// });
/// ```
/// ```compile_fail,E0521
/// let mut stash = None;
/// let numbers = testudo::flow::generator_boxed(|y| {
///     stash = Some(y);
///     Box::pin(async { Ok(()) })
/// });
/// # let numbers: testudo::flow::BoxGen<'_, u32> = numbers;
/// ```
/// AGEN-17, 18: a generator is asked for one item at a time, and for none while it is being closed:
/// ```compile_fail,E0499
/// # use core::pin::pin;
/// # use testudo::flow::{generator, next};
/// let mut numbers = pin!(generator(async |mut y| y.emit(1).await));
/// let (one, two) = (next(&mut numbers), next(&mut numbers));
/// # drop((one, two));
/// ```
/// ```compile_fail,E0499
/// # use core::pin::pin;
/// # use testudo::flow::{AsyncGen, generator, next};
/// let mut numbers = pin!(generator(async |mut y| y.emit(1).await));
/// let (close, one) = (numbers.aclose(), next(&mut numbers));
/// # drop((close, one));
/// ```
#[cfg(all(doctest, feature = "alloc"))]
struct DoesNotCompile;
