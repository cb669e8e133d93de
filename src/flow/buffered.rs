//! Streams of futures of which several run at a time, as children of a group.
// STATE       running: children that were spawned and whose outcome was not given yet, at most `size`
//                 T1 the stream gives a future     it is spawned; T2 an outcome comes, in order or not, and is given
// INVARIANTS  I1 the group drives the children, this only receives: no child stands still while the consumer awaits.
// CANCEL      next: nothing is lost. Dropped: the children are cancelled; take_running keeps them.
use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::{
    sync::{Queue, QueueStream},
    task::{Cancelled, TaskGroup, TaskHandle},
};

/// Runs the futures of `stream` as children of `tg`, at most `n` at a time, and returns a stream of their outputs in the
/// order of `stream`.
///
/// The group drives them: they go on while the consumer awaits something else, as long as the group is run, so the consumer
/// belongs into its body or one of its children. The stream itself is asked for more only by `next`. An output is
/// [`Cancelled`] when the group was cancelled or is ending. Dropping the stream cancels those that run.
///
/// # asyncio
/// Has none; same as a semaphore around tasks, and awaiting these in order. Differs from `buffered` of futures, whose
/// futures stand still while nobody asks for the next output (futures-rs#2387).
///
/// # Panics
/// When `n` is 0.
///
/// # Examples
/// ```
/// use core::pin::pin;
/// use testudo::{flow::{buffered, generator, next}, run::block_on, task::{Cancelled, TaskGroup}};
///
/// let tg = TaskGroup::new();
/// let all = block_on(tg.run(async {
///     let jobs = generator(async |mut y| {
///         for n in [3, 1, 2] {
///             y.emit(async move { n * n }).await?;
///         }
///         Ok(())
///     });
///     let mut squares = pin!(buffered(&tg, jobs, 2));
///     let mut all = vec![];
///     while let Some(square) = next(&mut squares).await {
///         all.push(square?);
///     }
///     Ok::<_, Cancelled>(all)
/// }));
/// assert_eq!(all.unwrap(), [9, 1, 4]);
/// ```
#[doc(alias = "Semaphore")]
#[track_caller]
pub fn buffered<'c, S, E>(tg: &'c TaskGroup<'c, E>, stream: S, n: usize) -> Buffered<'c, S, E>
where
    S: Stream<Item: Future<Output: Send + 'c> + Send + 'c>,
    E: Send + 'c,
{
    assert!(n != 0, "a buffer needs room for one future");
    Buffered { source: Source { tg, stream, ended: false }, size: n, running: VecDeque::new() }
}

/// As [`buffered`](buffered()), with the outputs in the order in which they come.
///
/// # Panics
/// When `n` is 0.
///
/// # Examples
/// ```
/// use core::pin::pin;
/// use testudo::{Event, flow::{buffer_unordered, next}, run::block_on, task::{Cancelled, TaskGroup}};
///
/// let event = Event::new();
/// let tg = TaskGroup::new();
/// let order = block_on(tg.run(async {
///     let jobs = futures_util::stream::iter([0, 1]).map(|n| {
///         let event = &event;
///         async move {
///             if n == 0 { event.wait().await } else { event.set() }
///             n
///         }
///     });
///     # use futures_util::StreamExt as _;
///     let mut jobs = pin!(buffer_unordered(&tg, jobs, 2));
///     Ok::<_, Cancelled>([next(&mut jobs).await, next(&mut jobs).await])
/// }));
/// assert_eq!(order.unwrap(), [Some(Ok(1)), Some(Ok(0))]);
/// ```
#[track_caller]
pub fn buffer_unordered<'c, S, E>(tg: &'c TaskGroup<'c, E>, stream: S, n: usize) -> BufferUnordered<'c, S, E>
where
    S: Stream<Item: Future<Output: Send + 'c> + Send + 'c>,
    E: Send + 'c,
{
    assert!(n != 0, "a buffer needs room for one future");
    let reports = Arc::new(Queue::unbounded());
    let outcomes = Queue::stream_with(Arc::clone(&reports));
    let source = Source { tg, stream, ended: false };
    BufferUnordered { source, size: n, reports, outcomes, slots: Vec::new(), free: Vec::new() }
}

pin_project! {
    /// The stream, and the group for what it gives.
    struct Source<'c, S, E> {
        tg: &'c TaskGroup<'c, E>,
        #[pin]
        stream: S,
        ended: bool,
    }
}

impl<S: Stream, E> Source<'_, S, E> {
    /// The next future; None when there is none now, or ever.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<S::Item> {
        let this = self.project();
        if *this.ended {
            return None;
        }
        let Poll::Ready(item) = this.stream.poll_next(cx) else { return None };
        *this.ended = item.is_none();
        item
    }
}

type Out<S> = <<S as Stream>::Item as Future>::Output;

pin_project! {
    /// The stream of [`buffered`](buffered()).
    #[must_use = "streams do nothing unless polled"]
    pub struct Buffered<'c, S, E>
    where
        S: Stream<Item: Future>,
    {
        #[pin]
        source: Source<'c, S, E>,
        size: usize,
        running: VecDeque<TaskHandle<'c, Out<S>>>,
    }

    impl<S, E> PinnedDrop for Buffered<'_, S, E>
    where
        S: Stream<Item: Future>,
    {
        fn drop(this: Pin<&mut Self>) {
            this.project().running.iter().for_each(|child| {
                child.cancel();
            });
        }
    }
}

impl<'c, S: Stream<Item: Future>, E> Buffered<'c, S, E> {
    /// Takes the handles of those that run, in order: dropping the stream will not cancel them, and no output is lost.
    ///
    /// # Examples
    /// ```
    /// use core::{future::ready, pin::pin};
    /// use testudo::{flow::{buffered, next}, run::block_on, task::{Cancelled, TaskGroup}};
    ///
    /// let tg = TaskGroup::new();
    /// let rest = block_on(tg.run(async {
    ///     let mut numbers = pin!(buffered(&tg, futures_util::stream::iter((0..3).map(ready)), 3));
    ///     let first = next(&mut numbers).await;
    ///     let mut all = vec![first.unwrap()?];
    ///     for child in numbers.as_mut().take_running() {
    ///         all.push(child.await?);
    ///     }
    ///     Ok::<_, Cancelled>(all)
    /// }));
    /// assert_eq!(rest.unwrap(), [0, 1, 2]);
    /// ```
    pub fn take_running(self: Pin<&mut Self>) -> VecDeque<TaskHandle<'c, Out<S>>> {
        core::mem::take(self.project().running)
    }
}

impl<'c, S, E> Stream for Buffered<'c, S, E>
where
    S: Stream<Item: Future<Output: Send + 'c> + Send + 'c>,
    E: Send + 'c,
{
    type Item = Result<Out<S>, Cancelled>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let fill = |source: &mut Pin<&mut Source<'c, S, E>>, running: &mut VecDeque<_>, cx: &mut Context<'_>| {
            while running.len() < *this.size {
                let Some(work) = source.as_mut().poll(cx) else { break };
                running.push_back(source.tg.spawn(async { Ok(work.await) })); // T1, I1
            }
        };
        fill(&mut this.source, this.running, cx);
        let Some(first) = this.running.front_mut() else {
            return if this.source.ended { Poll::Ready(None) } else { Poll::Pending };
        };
        let outcome = ready!(Pin::new(first).poll(cx)); // T2
        this.running.pop_front();
        fill(&mut this.source, this.running, cx);
        Poll::Ready(Some(outcome))
    }
}

impl<S: Stream<Item: Future>, E> fmt::Debug for Buffered<'_, S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffered").field("size", &self.size).field("running", &self.running.len()).finish()
    }
}

/// What a child tells, by its number.
type Reports<T> = Queue<(usize, Result<T, Cancelled>)>;

/// Tells how a child ended, also if it is dropped.
struct Report<T> {
    to: Arc<Reports<T>>,
    slot: usize,
    told: bool,
}

impl<T> Report<T> {
    fn tell(mut self, output: T) {
        self.told = true;
        let _ = self.to.try_put((self.slot, Ok(output)));
    }
}

impl<T> Drop for Report<T> {
    fn drop(&mut self) {
        if !self.told {
            let _ = self.to.try_put((self.slot, Err(Cancelled)));
        }
    }
}

pin_project! {
    /// The stream of [`buffer_unordered`].
    #[must_use = "streams do nothing unless polled"]
    pub struct BufferUnordered<'c, S, E>
    where
        S: Stream<Item: Future>,
    {
        #[pin]
        source: Source<'c, S, E>,
        size: usize,
        reports: Arc<Reports<Out<S>>>,
        #[pin]
        outcomes: QueueStream<Arc<Reports<Out<S>>>>,
        slots: Vec<Option<TaskHandle<'c, ()>>>,
        free: Vec<usize>,
    }

    impl<S, E> PinnedDrop for BufferUnordered<'_, S, E>
    where
        S: Stream<Item: Future>,
    {
        fn drop(this: Pin<&mut Self>) {
            this.project().slots.iter().flatten().for_each(|child| {
                child.cancel();
            });
        }
    }
}

impl<'c, S, E> Stream for BufferUnordered<'c, S, E>
where
    S: Stream<Item: Future<Output: Send + 'c> + Send + 'c>,
    E: Send + 'c,
{
    type Item = Result<Out<S>, Cancelled>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        while this.slots.len() - this.free.len() < *this.size {
            let Some(work) = this.source.as_mut().poll(cx) else { break };
            let slot = this.free.pop().unwrap_or_else(|| {
                this.slots.push(None);
                this.slots.len() - 1
            });
            let report = Report { to: Arc::clone(this.reports), slot, told: false };
            let work = async move {
                report.tell(work.await);
                Ok(())
            };
            this.slots[slot] = Some(this.source.tg.spawn(work)); // T1, I1
        }
        if this.slots.len() == this.free.len() {
            return if this.source.ended { Poll::Ready(None) } else { Poll::Pending };
        }
        let Some((slot, outcome)) = ready!(this.outcomes.poll_next(cx)) else { unreachable!("nobody closes it") };
        this.slots[slot] = None; // T2
        this.free.push(slot);
        Poll::Ready(Some(outcome))
    }
}

impl<S: Stream<Item: Future>, E> fmt::Debug for BufferUnordered<'_, S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.slots.len() - self.free.len();
        f.debug_struct("BufferUnordered").field("size", &self.size).field("running", &running).finish()
    }
}
