//! The methods that every queue has, written once.

/// Generics and type of a queue, how an example makes one of two items, its name, and what it says about interrupts.
macro_rules! queue_methods {
    ([$($gen:tt)*] $queue:ty, $make:literal, $name:literal, $interrupts:literal) => {
        impl<$($gen)*> $queue {
            /// Puts an item, and waits while there is no room.
            ///
            /// The item is dropped with the future if that is dropped before it is ready. With a waiting time:
            /// `try_put` gives it back.
            ///
            /// # Cancel safety
            /// Cancel safe: dropping this future gives up its place in line and nothing else.
            ///
            /// # Errors
            #[doc = concat!("[`Closed`](crate::Closed) with the item, when the queue is closed, before or while it waits.")]
            ///
            /// # Panics
            /// When polled after completion.
            ///
            /// # Examples
            /// ```
            /// # testudo::run::block_on(async {
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.put("soup").await.unwrap();
            /// assert_eq!(queue.len(), 1);
            /// # });
            /// ```
            #[doc(alias = "send")]
            #[doc(alias = "push")]
            #[inline]
            pub fn put(&self, item: T) -> Put<&Self> {
                Put::new(self, item)
            }

            /// Puts as [`put`](Self::put) does, through any handle: the future of an `Arc` is `'static`.
            ///
            /// # Cancel safety
            /// Cancel safe: dropping this future gives up its place in line and nothing else.
            ///
            /// # Errors
            /// As [`put`](Self::put).
            ///
            /// # Panics
            /// When polled after completion.
            ///
            /// # Examples
            /// ```
            /// use std::sync::Arc;
            #[doc = concat!("let queue = Arc::new(", $make, ");")]
            #[doc = concat!("let put = testudo::", $name, "::put_with(Arc::clone(&queue), 7);")]
            /// std::thread::spawn(|| testudo::run::block_on(put)).join().unwrap().unwrap();
            /// assert_eq!(queue.try_get(), Ok(7));
            /// ```
            #[inline]
            pub fn put_with<H: Handle<Target = Self>>(this: H, item: T) -> Put<H> {
                Put::new(this, item)
            }

            /// Gets the next item, and waits while there is none.
            ///
            /// # Cancel safety
            /// Cancel safe: dropping this future gives up its place in line and nothing else.
            ///
            /// # Errors
            /// [`Closed`](crate::Closed) when the queue is closed and nothing is left in it.
            ///
            /// # Panics
            /// When polled after completion. If a waker of somebody else panics, this does: the item is kept, and returned
            /// by the next poll; dropped instead, the future puts the item back, in front if the queue has a lock, at the end
            /// of a ring if there is room, which else drops it.
            ///
            /// # Examples
            /// ```
            /// # testudo::run::block_on(async {
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put("soup").unwrap();
            /// assert_eq!(queue.get().await, Ok("soup"));
            /// # });
            /// ```
            #[doc(alias = "recv")]
            #[doc(alias = "receive")]
            #[doc(alias = "pop")]
            #[inline]
            pub fn get(&self) -> Get<&Self> {
                Get::new(self)
            }

            /// Gets as [`get`](Self::get) does, through any handle: the future of an `Arc` is `'static`.
            ///
            /// # Cancel safety
            /// Cancel safe: dropping this future gives up its place in line and nothing else.
            ///
            /// # Errors
            /// As [`get`](Self::get).
            ///
            /// # Panics
            /// As [`get`](Self::get).
            ///
            /// # Examples
            /// ```
            /// use std::sync::Arc;
            #[doc = concat!("let queue = Arc::new(", $make, ");")]
            #[doc = concat!("let get = testudo::", $name, "::get_with(Arc::clone(&queue));")]
            /// let thread = std::thread::spawn(|| testudo::run::block_on(get));
            /// queue.try_put(7).unwrap();
            /// assert_eq!(thread.join().unwrap(), Ok(7));
            /// ```
            #[inline]
            pub fn get_with<H: Handle<Target = Self>>(this: H) -> Get<H> {
                Get::new(this)
            }

            /// Puts an item if there is room now.
            ///
            /// # Interrupts
            #[doc = $interrupts]
            ///
            /// # Errors
            /// [`TryPutError`] with the item. Full also while others have waited for this room so long that it is theirs.
            ///
            /// # Panics
            /// If a waker panics; the item is put.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put(1).unwrap();
            /// queue.try_put(2).unwrap();
            /// assert_eq!(queue.try_put(3).unwrap_err().into_inner(), 3);
            /// ```
            #[doc(alias = "put_nowait")]
            #[doc(alias = "try_send")]
            #[inline]
            pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
                match self.shared.try_put(item) {
                    Ok(()) => Ok(()),
                    Err((super::buffer::Refused::Full, item)) => Err(TryPutError::Full(item)),
                    Err((super::buffer::Refused::Closed, item)) => Err(TryPutError::Closed(item)),
                }
            }

            /// Gets the next item if there is one now.
            ///
            /// # Interrupts
            #[doc = $interrupts]
            ///
            /// # Errors
            /// [`TryGetError`]. Empty also while others have waited for this item so long that it is theirs.
            ///
            /// # Panics
            /// If a waker panics; the item is put back then, as if by a [`get`](Self::get) that is dropped.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put(1).unwrap();
            /// assert_eq!(queue.try_get(), Ok(1));
            /// assert_eq!(queue.try_get(), Err(testudo::TryGetError::Empty));
            /// ```
            #[doc(alias = "get_nowait")]
            #[doc(alias = "try_recv")]
            #[inline]
            pub fn try_get(&self) -> Result<T, TryGetError> {
                self.shared.try_get().map_err(|why| match why {
                    super::buffer::Nothing::Empty => TryGetError::Empty,
                    super::buffer::Nothing::Drained => TryGetError::Closed,
                })
            }

            /// Puts an item, and blocks this thread while there is no room.
            ///
            /// # Errors
            /// As [`put`](Self::put).
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.put_blocking("soup").unwrap();
            /// assert_eq!(queue.len(), 1);
            /// ```
            #[cfg(feature = "std")]
            pub fn put_blocking(&self, item: T) -> Result<(), super::Closed<T>> {
                match self.try_put(item) {
                    Ok(()) => Ok(()),
                    Err(TryPutError::Closed(item)) => Err(super::Closed(item)),
                    Err(TryPutError::Full(item)) => crate::wait::thread::park_until_ready(self.put(item)),
                }
            }

            /// Gets the next item, and blocks this thread while there is none.
            ///
            /// # Errors
            /// As [`get`](Self::get).
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put("soup").unwrap();
            /// assert_eq!(queue.get_blocking(), Ok("soup"));
            /// ```
            #[cfg(feature = "std")]
            pub fn get_blocking(&self) -> Result<T, super::Closed> {
                match self.try_get() {
                    Ok(item) => Ok(item),
                    Err(TryGetError::Closed) => Err(super::Closed(())),
                    Err(TryGetError::Empty) => crate::wait::thread::park_until_ready(self.get()),
                }
            }

            /// Puts all items of an iterator, one after the other, and says how many.
            ///
            /// What is not put stays in the iterator, for who passes `&mut items`.
            ///
            /// # Cancel safety
            /// Not cancel safe: dropping this future loses the one item that it was about to put.
            ///
            /// # Errors
            /// [`Closed`](crate::Closed) with the first item that is refused.
            ///
            /// # Panics
            /// When polled after completion.
            ///
            /// # Examples
            /// ```
            /// # testudo::run::block_on(async {
            #[doc = concat!("let queue = ", $make, ";")]
            /// assert_eq!(queue.put_all(["soup", "bread"]).await, Ok(2));
            /// queue.close();
            /// let mut late = ["tea", "cake"].into_iter();
            /// assert_eq!(queue.put_all(&mut late).await.unwrap_err().0, "tea");
            /// assert_eq!(late.next(), Some("cake"));
            /// # });
            /// ```
            #[doc(alias = "send_all")]
            #[doc(alias = "extend")]
            pub fn put_all<I: IntoIterator<Item = T>>(&self, items: I) -> PutAll<&Self, I::IntoIter> {
                PutAll::new(self, items.into_iter())
            }

            /// Puts as [`put_all`](Self::put_all) does, through any handle: the future of an `Arc` is `'static`.
            ///
            /// # Cancel safety
            /// Not cancel safe: dropping this future loses the one item that it was about to put.
            ///
            /// # Errors
            /// As [`put_all`](Self::put_all).
            ///
            /// # Panics
            /// When polled after completion.
            ///
            /// # Examples
            /// ```
            /// use std::sync::Arc;
            #[doc = concat!("let queue = Arc::new(", $make, ");")]
            #[doc = concat!("let put = testudo::", $name, "::put_all_with(Arc::clone(&queue), [1, 2]);")]
            /// assert_eq!(std::thread::spawn(|| testudo::run::block_on(put)).join().unwrap(), Ok(2));
            /// assert_eq!(queue.try_get(), Ok(1));
            /// ```
            pub fn put_all_with<H: Handle<Target = Self>, I: IntoIterator<Item = T>>(
                this: H,
                items: I,
            ) -> PutAll<H, I::IntoIter> {
                PutAll::new(this, items.into_iter())
            }

            /// Returns a stream of the items, which ends when the queue is closed and nothing is left in it.
            ///
            /// # Cancel safety
            /// Cancel safe: dropping this future gives up its place in line and nothing else.
            ///
            /// # Examples
            /// ```
            /// use futures_util::StreamExt;
            ///
            /// # testudo::run::block_on(async {
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.put_all([1, 2]).await.unwrap();
            /// queue.close();
            /// assert_eq!(queue.stream().collect::<Vec<_>>().await, [1, 2]);
            /// # });
            /// ```
            #[doc(alias = "iter")]
            #[doc(alias = "into_stream")]
            pub fn stream(&self) -> QueueStream<&Self> {
                QueueStream::new(self)
            }

            /// Returns a stream as [`stream`](Self::stream) does, through any handle.
            ///
            /// # Cancel safety
            /// Cancel safe: dropping this future gives up its place in line and nothing else.
            ///
            /// # Examples
            /// ```
            /// use futures_util::StreamExt;
            ///
            /// # testudo::run::block_on(async {
            #[doc = concat!("let queue = std::sync::Arc::new(", $make, ");")]
            #[doc = concat!("let mut items = std::pin::pin!(testudo::", $name, "::stream_with(queue.clone()));")]
            /// queue.try_put("soup").unwrap();
            /// assert_eq!(items.next().await, Some("soup"));
            /// # });
            /// ```
            pub fn stream_with<H: Handle<Target = Self>>(this: H) -> QueueStream<H> {
                QueueStream::new(this)
            }

            /// Says that an item that was got has been worked off.
            ///
            /// # asyncio
            /// As `task_done()`, which raises `ValueError`. Those who never join need not call it.
            ///
            /// # Interrupts
            #[doc = $interrupts]
            ///
            /// # Memory ordering
            /// What was done before it is seen after a `join` that it ends.
            ///
            /// # Errors
            /// [`TooManyDone`] if that was said of all items that were ever put.
            ///
            /// # Panics
            /// If a waker panics; all joiners are woken first.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put("soup").unwrap();
            /// queue.try_get().unwrap();
            /// assert!(queue.task_done().is_ok());
            /// assert!(queue.task_done().is_err());
            /// ```
            pub fn task_done(&self) -> Result<(), TooManyDone> {
                self.shared.task_done()
            }

            /// Waits for a moment at which every item that was put has been worked off.
            ///
            /// A moment counts from the first poll on. One between this call and the first poll does too, if its `task_done` has
            /// returned by then.
            ///
            /// # asyncio
            /// As `join()`: it counts `task_done`, not what is in the queue, and closing changes nothing about that.
            ///
            /// # Cancel safety
            /// Cancel safe: dropping this future gives up its place in line and nothing else.
            ///
            /// # Panics
            /// When polled after completion.
            ///
            /// # Examples
            /// ```
            /// # testudo::run::block_on(async {
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.put("soup").await.unwrap();
            /// queue.get().await.unwrap();
            /// queue.task_done().unwrap();
            /// queue.join().await;
            /// # });
            /// ```
            pub fn join(&self) -> QueueJoin<&Self> {
                QueueJoin::new(self)
            }

            /// Waits as [`join`](Self::join) does, through any handle.
            ///
            /// # Cancel safety
            /// Cancel safe: dropping this future gives up its place in line and nothing else.
            ///
            /// # Panics
            /// When polled after completion.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = std::rc::Rc::new(", $make, ");")]
            /// queue.try_put("soup").unwrap();
            #[doc = concat!("let join = testudo::", $name, "::join_with(queue.clone());")]
            /// queue.try_get().unwrap();
            /// queue.task_done().unwrap();
            /// testudo::run::block_on(join);
            /// ```
            pub fn join_with<H: Handle<Target = Self>>(this: H) -> QueueJoin<H> {
                QueueJoin::new(this)
            }

            /// Blocks this thread as [`join`](Self::join) waits.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put("soup").unwrap();
            /// std::thread::scope(|s| {
            ///     s.spawn(|| {
            ///         queue.get_blocking().unwrap();
            ///         queue.task_done().unwrap();
            ///     });
            ///     queue.join_blocking();
            /// });
            /// assert_eq!(queue.unfinished(), 0);
            /// ```
            #[cfg(feature = "std")]
            pub fn join_blocking(&self) {
                crate::wait::thread::park_until_ready(self.join());
            }

            /// Says how many items were put and not yet worked off.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put("soup").unwrap();
            /// queue.try_get().unwrap();
            /// assert_eq!(queue.unfinished(), 1);
            /// ```
            #[doc(alias = "unfinished_tasks")]
            pub fn unfinished(&self) -> usize {
                self.shared.unfinished()
            }

            /// Closes it: nothing is put any more, those who wait to put get their items back, and who gets drains it.
            ///
            /// What was put, as `Ok` says, can be got. Says whether it was open.
            ///
            /// # asyncio
            /// `shutdown()` of 3.13.
            ///
            /// # Interrupts
            #[doc = concat!($interrupts, " O(waiters).")]
            ///
            /// # Panics
            /// If a waker panics; all waiters are woken first.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put(1).unwrap();
            /// assert!(queue.close());
            /// assert!(queue.try_put(2).is_err());
            /// assert_eq!(queue.try_get(), Ok(1));
            /// assert_eq!(queue.try_get(), Err(testudo::TryGetError::Closed));
            /// ```
            #[doc(alias = "shutdown")]
            #[doc(alias = "disconnect")]
            pub fn close(&self) -> bool {
                self.shared.close()
            }

            /// Closes it and drops what is in it, which counts as worked off. Says how many items that were.
            ///
            /// Waits for those who are in the middle of a put. To keep the items: `close`, and `try_get` while there are some.
            ///
            /// # asyncio
            /// `shutdown(immediate=True)` of 3.13.
            ///
            /// # Panics
            /// If a waker, or dropping an item, panics; everybody is woken and everything dropped first.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put(1).unwrap();
            /// assert_eq!(queue.close_now(), 1);
            /// assert_eq!(queue.try_get(), Err(testudo::TryGetError::Closed));
            /// ```
            #[doc(alias = "clear")]
            pub fn close_now(&self) -> usize {
                self.shared.close_now()
            }

            /// Says whether it was closed. One load.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put(1).unwrap();
            /// assert!(!queue.is_closed());
            /// ```
            pub fn is_closed(&self) -> bool {
                use super::buffer::Store;
                self.shared.store().is_closed()
            }

            /// Says how many items are in it: what was so a moment ago, while others use it.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// queue.try_put(1).unwrap();
            /// assert_eq!(queue.len(), 1);
            /// ```
            #[doc(alias = "qsize")]
            pub fn len(&self) -> usize {
                use super::buffer::Store;
                self.shared.store().len()
            }

            /// Says whether nothing is in it, a moment ago.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// assert!(queue.is_empty());
            /// queue.try_put(1).unwrap();
            /// ```
            #[doc(alias = "empty")]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Says whether there is no room in it, a moment ago.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = ", $make, ";")]
            /// [1, 2].map(|item| queue.try_put(item).unwrap());
            /// assert!(queue.is_full());
            /// ```
            #[doc(alias = "full")]
            pub fn is_full(&self) -> bool {
                use super::buffer::Store;
                self.shared.store().room() == 0
            }
        }

        impl<$($gen)*> fmt::Debug for $queue {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [getters, putters] = self.shared.has_waiters();
                f.debug_struct($name)
                    .field("len", &self.len())
                    .field("capacity", &self.capacity())
                    .field("getters", &getters)
                    .field("putters", &putters)
                    .field("unfinished", &self.unfinished())
                    .field("closed", &self.is_closed())
                    .finish()
            }
        }
    };
}
pub(super) use queue_methods;
