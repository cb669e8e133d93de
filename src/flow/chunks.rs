//! Streams of many items at a time.
// STATE       gathered: items that came and were not given yet; ended: the stream has given None
//                 T1 an item comes                 gathered grows; the first one of a chunk starts the deadline
//                 T2 full, too late, or the end    gathered is given, and the deadline is dropped
// INVARIANTS  I1 an item is in `gathered` from the poll in which it comes until it is given: no future in between has it.
// CANCEL      next: nothing is lost (I1). Dropped: into_remainder and take_remainder give what was gathered.
use alloc::vec::Vec;
use core::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

/// Returns a stream of chunks of `n` items of `stream`; the last one may be shorter.
///
/// Nothing is lost when a `next` is cancelled. To go on with another stream of chunks, or without one, take what was
/// gathered so far with [`into_remainder`](Chunks::into_remainder) and give it to the next by
/// [`with_gathered`](Chunks::with_gathered). Allocates a chunk when its first item comes.
///
/// # asyncio
/// Has none: the consumer keeps a list, and what is in it is lost when that task is cancelled. Same as
/// `itertools.batched` for iterators.
///
/// # Panics
/// When `n` is 0.
///
/// # Examples
/// ```
/// use core::pin::pin;
/// use testudo::{flow::{chunks, generator, next}, run::block_on};
///
/// let mut pairs = pin!(chunks(generator(async |mut y| {
///     for n in 0..5 {
///         y.emit(n).await?;
///     }
///     Ok(())
/// }), 2));
/// assert_eq!(block_on(next(&mut pairs)), Some(vec![0, 1]));
/// assert_eq!(block_on(next(&mut pairs)), Some(vec![2, 3]));
/// assert_eq!(block_on(next(&mut pairs)), Some(vec![4]));
/// assert_eq!(block_on(next(&mut pairs)), None);
/// ```
#[doc(alias = "batched")]
#[track_caller]
pub fn chunks<S: Stream>(stream: S, n: usize) -> Chunks<S> {
    Chunks { stream, gather: Gather::new(n) }
}

/// As [`chunks`](chunks()), but a chunk is given when `deadline` is over as well, counted from its first item.
///
/// `deadline` makes a future for each chunk: the sleep of any runtime. An item that comes at the same time as it comes
/// first. No chunk is empty, and while there is nothing to give no deadline runs.
///
/// # asyncio
/// Has none; same as a loop over `asyncio.wait_for(queue.get(), timeout)`.
///
/// # Panics
/// When `n` is 0.
///
/// # Examples
/// ```
/// use core::{pin::pin, time::Duration};
/// use testudo::{flow::{chunks_timeout, generator, next}, run::Sim};
///
/// let sim = Sim::new();
/// let clock = sim.clock();
/// let ticks = generator(async |mut y| {
///     for n in 0..5 {
///         clock.sleep(Duration::from_secs(n)).await;
///         y.emit(n).await?;
///     }
///     Ok(())
/// });
/// let mut chunks = pin!(chunks_timeout(ticks, 10, || clock.sleep(Duration::from_millis(2500))));
/// assert_eq!(sim.block_on(next(&mut chunks)).unwrap(), Some(vec![0, 1]));
/// assert_eq!(sim.now(), Duration::from_millis(2500));
/// assert_eq!(sim.block_on(next(&mut chunks)).unwrap(), Some(vec![2]));
/// ```
#[track_caller]
pub fn chunks_timeout<S, D, F>(stream: S, n: usize, deadline: D) -> ChunksTimeout<S, D, F>
where
    S: Stream,
    D: FnMut() -> F,
    F: Future,
{
    ChunksTimeout { stream, gather: Gather::new(n), deadline, running: None }
}

/// What was gathered.
struct Gather<T> {
    items: Vec<T>,
    size: usize,
    ended: bool,
}

impl<T> Gather<T> {
    #[track_caller]
    fn new(size: usize) -> Self {
        assert!(size != 0, "a chunk needs room for one item");
        Self { items: Vec::new(), size, ended: false }
    }

    /// T1. Asks for memory for a whole chunk at once, within reason.
    fn push(&mut self, item: Option<T>) {
        match item {
            Some(item) => {
                if self.items.capacity() == 0 {
                    self.items.reserve(self.size.min(1024));
                }
                self.items.push(item);
            }
            None => self.ended = true,
        }
    }

    /// T2, if there is no reason to wait.
    fn take_if_due(&mut self) -> Poll<Option<Vec<T>>> {
        if self.items.len() > self.size {
            let rest = self.items.split_off(self.size);
            return Poll::Ready(Some(mem::replace(&mut self.items, rest)));
        }
        if self.items.len() == self.size || self.ended {
            return Poll::Ready(Some(mem::take(&mut self.items)).filter(|items| !items.is_empty()));
        }
        Poll::Pending
    }

    fn put_back(&mut self, mut items: Vec<T>) {
        items.append(&mut self.items);
        self.items = items;
    }

    fn is_terminated(&self) -> bool {
        self.ended && self.items.is_empty()
    }

    /// Of chunks, where the stream has `hint` items.
    fn size_hint(&self, (low, high): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let count = |more: usize| more.saturating_add(self.items.len()).div_ceil(self.size);
        if self.ended { (count(0), Some(count(0))) } else { (count(low), high.map(count)) }
    }
}

pin_project! {
    /// The stream of [`chunks`](chunks()).
    #[must_use = "streams do nothing unless polled"]
    pub struct Chunks<S: Stream> {
        #[pin]
        stream: S,
        gather: Gather<S::Item>,
    }
}

pin_project! {
    /// The stream of [`chunks_timeout`].
    #[must_use = "streams do nothing unless polled"]
    pub struct ChunksTimeout<S: Stream, D, F> {
        #[pin]
        stream: S,
        gather: Gather<S::Item>,
        deadline: D,
        #[pin]
        running: Option<F>,
    }
}

impl<S: Stream> Stream for Chunks<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if let Poll::Ready(chunk) = this.gather.take_if_due() {
                return Poll::Ready(chunk);
            }
            this.gather.push(ready!(this.stream.as_mut().poll_next(cx)));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.gather.size_hint(self.stream.size_hint())
    }
}

impl<S, D, F> Stream for ChunksTimeout<S, D, F>
where
    S: Stream,
    D: FnMut() -> F,
    F: Future,
{
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if let Poll::Ready(chunk) = this.gather.take_if_due() {
                this.running.set(None);
                return Poll::Ready(chunk);
            }
            if this.gather.items.is_empty() {
                this.running.set(None); // what it ran for was taken
            } else if this.running.is_none() {
                this.running.set(Some((this.deadline)()));
            }
            match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(item) => this.gather.push(item),
                Poll::Pending => break,
            }
        }
        let Some(running) = this.running.as_mut().as_pin_mut() else { return Poll::Pending };
        ready!(running.poll(cx));
        this.running.set(None);
        Poll::Ready(Some(mem::take(&mut this.gather.items)))
    }
}

macro_rules! remainder {
    ($name:ident [$($gen:tt)*] $example:literal) => {
        impl<S: Stream, $($gen)*> $name<S, $($gen)*> {
            /// Puts items in front: what another stream of chunks had gathered.
            ///
            /// # Examples
            /// ```
            /// use testudo::{flow::*, run::block_on};
            ///
            /// let queue = testudo::Queue::unbounded();
            /// (3..6).for_each(|n| queue.try_put(n).unwrap());
            #[doc = concat!("let mut chunks = std::pin::pin!(", $example, ".with_gathered(vec![1, 2]));")]
            /// assert_eq!(block_on(next(&mut chunks)), Some(vec![1, 2, 3, 4]));
            /// ```
            pub fn with_gathered(mut self, items: Vec<S::Item>) -> Self {
                self.gather.put_back(items);
                self
            }

            /// Returns what was gathered and not given yet; drops the stream.
            ///
            /// # Examples
            /// ```
            /// use testudo::flow::*;
            ///
            /// let queue = testudo::Queue::unbounded();
            /// (0..6).for_each(|n| queue.try_put(n).unwrap());
            #[doc = concat!("let chunks = ", $example, ".with_gathered(vec![9]);")]
            /// assert_eq!(chunks.into_remainder(), [9]);
            /// ```
            pub fn into_remainder(self) -> Vec<S::Item> {
                self.gather.items
            }

            /// Takes what was gathered and not given yet; the chunk begins anew.
            ///
            /// # Examples
            /// ```
            /// use testudo::flow::*;
            ///
            /// let queue = testudo::Queue::unbounded();
            #[doc = concat!("let mut chunks = std::pin::pin!(", $example, ".with_gathered(vec![9]));")]
            /// assert_eq!(chunks.as_mut().take_remainder(), [9]);
            /// assert!(chunks.as_mut().take_remainder().is_empty());
            /// ```
            pub fn take_remainder(self: Pin<&mut Self>) -> Vec<S::Item> {
                mem::take(&mut self.project().gather.items)
            }
        }

        impl<S, $($gen)*> fmt::Debug for $name<S, $($gen)*>
        where
            S: Stream,
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Gather { items, size, ended } = &self.gather;
                f.debug_struct(stringify!($name))
                    .field("size", size)
                    .field("gathered", &items.len())
                    .field("ended", ended)
                    .finish_non_exhaustive()
            }
        }
    };
}
remainder!(Chunks [] "chunks(queue.stream(), 4)");
remainder!(ChunksTimeout [D, F] "chunks_timeout(queue.stream(), 4, std::future::pending::<()>)");

impl<S: Stream> FusedStream for Chunks<S> {
    fn is_terminated(&self) -> bool {
        self.gather.is_terminated()
    }
}

impl<S, D, F> FusedStream for ChunksTimeout<S, D, F>
where
    S: Stream,
    D: FnMut() -> F,
    F: Future,
{
    fn is_terminated(&self) -> bool {
        self.gather.is_terminated()
    }
}
