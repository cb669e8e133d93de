//! Results in the order in which they come.
use alloc::vec::Vec;
use core::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::{FusedStream, Stream};

use super::{children::Row, ready::Claim};

/// Returns a stream of the futures' outputs in the order in which they are done, each with its number.
///
/// The futures run side by side on this task, while the stream is polled and no longer: between two items they stand still,
/// and so does whoever waits for something that one of them holds. Those that are done in the same poll come by number,
/// going on behind the one that came last, so that no number keeps the others from their turn.
///
/// Allocates nothing for up to 30 futures of a vector, one block otherwise.
///
/// # asyncio
/// Same as `async for` over `asyncio.as_completed` (3.13). Differs in that the children start at the first poll, stand still
/// between two items, and are dropped with the stream; [`into_remaining`](AsCompleted::into_remaining) takes them out.
///
/// # Cancel safety
/// Cancel safe: an item that was not returned stays in the stream. Dropping the stream itself drops the children.
///
/// # Interrupts
/// A child of more than 30 must not be woken from an interrupt, as that may free memory.
///
/// # Panics
/// Polling it does when a child does, and from then on. Polling it after its end gives `None` again.
///
/// # Examples
/// ```
/// use futures_lite::StreamExt;
/// use testudo::{Event, task::as_completed};
///
/// # testudo::run::block_on(async {
/// let (slow, fast) = (Event::new(), Event::new());
/// fast.set();
/// let mut done = as_completed([slow.wait(), fast.wait()]);
/// assert_eq!(done.next().await, Some((1, ())));
/// slow.set();
/// assert_eq!(done.next().await, Some((0, ())));
/// assert_eq!(done.next().await, None);
/// # });
/// ```
#[doc(alias("FuturesUnordered", "JoinSet", "FIRST_COMPLETED"))]
pub fn as_completed<I>(list: I) -> AsCompleted<I::Item>
where
    I: IntoIterator<Item: Future>,
{
    AsCompleted { children: Row::new(list.into_iter().collect()) }
}

/// Returns a stream as [`as_completed`] does, with the memory of a [`ReadyBlock`](super::ReadyBlock).
///
/// # Cancel safety
/// Cancel safe: an item that was not returned stays in the stream. Dropping the stream itself drops the children.
///
/// # Interrupts
/// The children's wakers may be woken, cloned and dropped in interrupts, if the parent's may.
///
/// # Panics
/// When there are more futures than the block has room for. Later: as [`as_completed`].
///
/// # Examples
/// ```
/// use futures_lite::StreamExt;
/// use testudo::task::{ReadyBlock, as_completed_in};
///
/// static READY: ReadyBlock<1> = ReadyBlock::new();
///
/// # testudo::run::block_on(async {
/// let claim = READY.claim().expect("nobody else uses it");
/// let mut done = as_completed_in(claim, ['a', 'b'].map(core::future::ready));
/// assert_eq!(done.next().await, Some((0, 'a')));
/// # });
/// ```
pub fn as_completed_in<I>(claim: Claim, list: I) -> AsCompleted<I::Item>
where
    I: IntoIterator<Item: Future>,
{
    AsCompleted { children: Row::with_claim(list.into_iter().collect(), claim) }
}

/// The stream of [`as_completed`].
#[must_use = "streams do nothing unless polled"]
pub struct AsCompleted<F: Future> {
    children: Row<F, Infallible>,
}

impl<F: Future> AsCompleted<F> {
    /// Says how many futures are not done.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::task::as_completed([(), ()].map(core::future::ready)).len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.children.left()
    }

    /// Says whether all futures are done.
    ///
    /// # Examples
    /// ```
    /// let none: [core::future::Ready<()>; 0] = [];
    /// assert!(testudo::task::as_completed(none).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the futures out that are not done, with their numbers, as they are: nothing that they have done is lost.
    ///
    /// Futures that are not `Unpin` cannot be moved any more: box them (`Box::pin`) before, or keep the stream, which may
    /// be moved.
    ///
    /// # Examples
    /// ```
    /// use core::future::{Ready, ready};
    /// use futures_lite::StreamExt;
    /// use testudo::task::as_completed;
    ///
    /// # testudo::run::block_on(async {
    /// let mut done = as_completed([ready('a'), ready('b')]);
    /// assert_eq!(done.next().await, Some((0, 'a')));
    /// let mut rest = as_completed(done.into_remaining().into_iter().map(|(number, f)| async move { (number, f.await) }));
    /// assert_eq!(rest.next().await, Some((0, (1, 'b'))));
    /// # });
    /// ```
    #[must_use = "the futures are dropped with it"]
    pub fn into_remaining(self) -> Vec<(usize, F)>
    where
        F: Unpin,
    {
        self.children.into_futures()
    }
}

impl<F: Future> Stream for AsCompleted<F> {
    type Item = (usize, F::Output);

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let children = &mut self.get_mut().children;
        if children.is_done() {
            return Poll::Ready(None);
        }
        children.poll(cx, |number, output| Err((number, output)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<F: Future> FusedStream for AsCompleted<F> {
    fn is_terminated(&self) -> bool {
        self.children.left() == 0
    }
}

impl<F: Future> fmt::Debug for AsCompleted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsCompleted").field(&self.children).finish()
    }
}
