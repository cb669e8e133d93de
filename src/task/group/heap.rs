//! `TaskGroup`: children on the heap, of any types.
// INVARIANTS  I1 a group has nothing to drop, and is invariant in 'c: so it may be borrowed for as long as it lives, and a
//                child may borrow what lives no longer than that. Children are reached through `'c` borrows of it alone.
//             I2 a child's future is polled and dropped by `GroupRun<'c>` only, while 'c is alive; if that is forgotten, never.
// INTERRUPT   cancel: yes, O(1), if the wakers may. spawn: where allocating may be done.
use core::{fmt, future::Future, marker::PhantomData};

use super::{
    Shared,
    children::Children,
    job::{Child, TaskHandle},
    run::GroupRun,
};
use crate::{
    sys::const_fn,
    task::{
        CancelToken,
        marker::{Local, Sendable},
    },
    tell::told,
};

/// A group of children that run in the task that runs the group, and may borrow from it. Their errors are `E`.
///
/// [`spawn`](Group::spawn) from the body, from children, or before [`run`](Group::run), which drives the body and all children
/// and returns when all have ended: no child outlives it, and none stands still while the body waits for something.
/// The first error cancels the rest; the group waits for all of them, and returns all errors. Cancelling a child is dropping
/// it, but for those of [`spawn_graceful`](Group::spawn_graceful), which are asked to end and waited for.
///
/// A child is polled when it was woken, in the order of spawning. One allocation for each. Children of a group that is never
/// run are leaked, and their handles wait for ever.
///
/// Where children use `?`, name the error type: `TaskGroup::<String>::new()`. To hear of every failure and let the others
/// run on, return the `Result` as the value: `Ok(fetch().await)`.
///
/// # asyncio
/// Same as `asyncio.TaskGroup`: `async with TaskGroup() as tg: …` is `tg.run(async { … })`. Differs in that cancelling
/// is dropping, so a child cannot refuse it or fail in it; in that spawning into a group that is ending gives a
/// handle that says [`Cancelled`](crate::task::Cancelled), instead of raising; and in that children run in the parent's task, one at a time. Children in
/// tasks of their own: [`SpawnedGroup`](crate::task::SpawnedGroup).
///
/// # Panics
/// A child's panic drops the others, and goes on from `run` (std; without, at once).
///
/// # Examples
/// ```
/// use testudo::{run::block_on, task::TaskGroup};
///
/// let words = ["carrum", "testudo"];
/// let tg = TaskGroup::new();
/// let total = block_on(tg.run(async {
///     let lengths = words.each_ref().map(|word| tg.spawn(async move { Ok(word.len()) }));
///     let mut total = 0;
///     for length in lengths {
///         total += length.await.map_err(|_| "cancelled")?;
///     }
///     Ok::<_, &str>(total)
/// }));
/// assert_eq!(total.unwrap(), 13);
/// ```
///
/// What a child borrows has to outlive the group:
/// ```compile_fail,E0597
/// use testudo::{run::block_on, task::{Cancelled, TaskGroup}};
///
/// let tg = TaskGroup::new();
/// block_on(tg.run(async {
///     let local = 1;
///     drop(tg.spawn(async { Ok(local + 1) }));
///     Ok::<_, Cancelled>(())
/// })).unwrap();
/// ```
pub type TaskGroup<'c, E = core::convert::Infallible> = Group<'c, E, Sendable>;

/// A [`TaskGroup`] whose children need not be `Send`.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use testudo::{run::block_on, task::{Cancelled, LocalTaskGroup}};
///
/// let sum = Rc::new(Cell::new(0));
/// let tg = LocalTaskGroup::new();
/// block_on(tg.run(async {
///     for n in 1..=3 {
///         let sum = Rc::clone(&sum);
///         drop(tg.spawn(async move { Ok(sum.set(sum.get() + n)) }));
///     }
///     Ok::<_, Cancelled>(())
/// })).unwrap();
/// assert_eq!(sum.get(), 6);
/// ```
///
/// It stays on its thread:
/// ```compile_fail,E0277
/// use testudo::task::{Cancelled, LocalTaskGroup};
///
/// let tg = LocalTaskGroup::<Cancelled>::new();
/// std::thread::scope(|s| s.spawn(|| drop(tg.spawn(async { Ok(()) }))));
/// ```
pub type LocalTaskGroup<'c, E = core::convert::Infallible> = Group<'c, E, Local>;

/// A [`TaskGroup`] or a [`LocalTaskGroup`].
#[must_use = "a group does nothing unless it is run"]
pub struct Group<'c, E, K> {
    shared: Shared<E>,
    /// Asks the graceful children to end.
    token: CancelToken,
    limit: usize,
    _kind: PhantomData<K>,
    _invariant: PhantomData<fn(&'c ()) -> &'c ()>,
}

impl<'c, E, K> Group<'c, E, K> {
    const_fn! {
        const fn with(limit: usize) -> Self {
            Self { shared: Shared::new(), token: CancelToken::new(), limit, _kind: PhantomData, _invariant: PhantomData }
        }
    }

    const_fn! {
        /// Returns a group without children.
        ///
        /// # Examples
        /// ```
        /// use testudo::{run::block_on, task::{Cancelled, TaskGroup}};
        ///
        /// let tg = TaskGroup::new();
        /// assert_eq!(block_on(tg.run(async { Ok::<_, Cancelled>(1) })), Ok(1));
        /// ```
        pub const fn new() -> Self {
            Self::with(usize::MAX)
        }
    }

    /// Lets at most `n` children run at a time, at least one; the others wait for their turn, in the order of spawning.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::{Cancelled, TaskGroup}};
    ///
    /// let tg = TaskGroup::<Cancelled>::new().max_concurrency(2);
    /// block_on(tg.run(async {
    ///     (0..10).for_each(|_| drop(tg.spawn(async { Ok(()) })));
    ///     Ok(())
    /// })).unwrap();
    /// ```
    pub fn max_concurrency(self, n: usize) -> Self {
        Self { limit: n.max(1), ..self }
    }

    /// Runs the body and all children until all have ended, and returns what the body does.
    ///
    /// What has to be finished although a child is cancelled goes to a shelter: [`sheltered_by`](GroupRun::sheltered_by).
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the body and the children, which are dropped in the order of spawning,
    /// the graceful ones too.
    ///
    /// # Errors
    /// [`GroupError`](crate::task::GroupError) when a child or the body failed, or the group was cancelled before the body had a value. A panic goes before
    /// errors, and errors before cancelling.
    ///
    /// # Panics
    /// When a child or the body does, after all have been dropped. When the group was run before, and when polled after
    /// completion.
    ///
    /// # Examples
    /// ```
    /// use core::future::pending;
    /// use testudo::{run::block_on, task::TaskGroup};
    ///
    /// let tg = TaskGroup::new();
    /// let failed = block_on(tg.run(async {
    ///     drop(tg.spawn(pending::<Result<(), _>>())); // dropped when the next one fails
    ///     drop(tg.spawn(async { Err::<(), _>("no bread") }));
    ///     pending::<Result<(), _>>().await
    /// }));
    /// assert_eq!(failed.unwrap_err().first(), Some(&"no bread"));
    /// ```
    #[doc(alias = "__aexit__")]
    pub fn run<B, R>(&'c self, body: B) -> GroupRun<'c, B, R, E, K>
    where
        B: Future<Output = Result<R, E>>,
    {
        GroupRun::new(&self.shared, body, Children::new(self.limit, &self.token))
    }

    /// Cancels the group: children and body are dropped, and the graceful children are asked to end.
    ///
    /// From within the body, takes effect when that waits next, or ends: if it has a value then, that is the group's. Before `run`,
    /// takes effect when the body waits for the first time; no child starts. After it, does nothing.
    ///
    /// # asyncio
    /// Same as `TaskGroup.cancel` of 3.15. Differs in that `run` says so, if the body had no value.
    ///
    /// # Interrupts
    /// May be called from interrupts, if the wakers may. O(1).
    ///
    /// # Examples
    /// ```
    /// use core::{convert::Infallible, future::pending};
    /// use testudo::{run::block_on, task::TaskGroup};
    ///
    /// let tg = TaskGroup::new();
    /// let value = block_on(tg.run(async {
    ///     drop(tg.spawn(pending::<Result<(), Infallible>>()));
    ///     tg.cancel();
    ///     Ok(42)
    /// }));
    /// assert_eq!(value.unwrap(), 42);
    /// ```
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    #[cfg_attr(feature = "profile", track_caller)]
    fn start<T>(&'c self, fut: impl Future<Output = Result<T, E>> + 'c, graceful: bool) -> TaskHandle<'c, T> {
        if self.shared.inbox.is_closed() {
            return TaskHandle::refused();
        }
        let (fut, tag) = told(fut, "group child", "TaskGroup::run");
        tag.holds(self.shared.bell.waiters());
        let (child, handle) = Child::new(fut, graceful, tag);
        match self.shared.inbox.push(child) {
            Ok(ring) => self.shared.ring(ring),
            Err(child) => drop(child), // the handle is told
        }
        handle
    }
}

impl<'c, E: Send + 'c> Group<'c, E, Sendable> {
    /// Spawns a child, which starts in its turn when the group runs. Returns its handle, which may be dropped.
    ///
    /// May be called from the body, from children, from other threads, and before `run`. When the group is ending, the
    /// future is dropped, and the handle says [`Cancelled`](crate::task::Cancelled).
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::{Cancelled, TaskGroup}};
    ///
    /// let tg = TaskGroup::new();
    /// let answer = block_on(tg.run(async {
    ///     let child = tg.spawn(async {
    ///         let sibling = tg.spawn(async { Ok(41) });
    ///         Ok(1 + sibling.await?)
    ///     });
    ///     child.await
    /// }));
    /// assert_eq!(answer.unwrap(), 42);
    /// # let _: Result<i32, testudo::task::GroupError<Cancelled>> = answer;
    /// ```
    #[doc(alias = "create_task")]
    #[doc(alias = "start_soon")]
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn spawn<T: Send + 'c>(&'c self, fut: impl Future<Output = Result<T, E>> + Send + 'c) -> TaskHandle<'c, T> {
        self.start(fut, false)
    }

    /// Spawns a child that is not dropped when the group is cancelled or fails, but asked to end, through the token, and
    /// waited for.
    ///
    /// One that has not started by then is dropped; so are all when `run` is dropped: a `timeout` or a `token.run(..)` *around*
    /// `run` asks nobody. Put it into the body.
    ///
    /// # Examples
    /// A server that is told to stop:
    /// ```
    /// use testudo::{run::block_on, task::{CancelToken, Cancelled, TaskGroup}};
    ///
    /// static STOP: CancelToken = CancelToken::new(); // cancelled by a signal handler
    ///
    /// let tg = TaskGroup::new();
    /// let outcome = block_on(tg.run(async {
    ///     let connection = tg.spawn_graceful(async |stop| {
    ///         stop.cancelled().await;
    ///         Ok("closed")
    ///     });
    ///     drop(tg.spawn(async { Ok(STOP.cancel()) }));
    ///     STOP.cancelled().await;
    ///     tg.cancel();
    ///     Ok::<_, Cancelled>(connection)
    /// }));
    /// assert_eq!(block_on(outcome.unwrap()), Ok("closed"));
    /// ```
    /// One of its siblings fails:
    /// ```
    /// use testudo::{Event, run::block_on, task::TaskGroup};
    ///
    /// let closed = Event::new();
    /// let tg = TaskGroup::new();
    /// let failed = block_on(tg.run(async {
    ///     let connection = tg.spawn_graceful(async |stop| {
    ///         stop.cancelled().await;
    ///         Ok(closed.set())
    ///     });
    ///     drop(connection); // the handle: it runs on
    ///     drop(tg.spawn(async { Err::<(), _>("no bread") }));
    ///     Ok(())
    /// }));
    /// assert_eq!(failed.unwrap_err().first(), Some(&"no bread"));
    /// assert!(closed.is_set());
    /// ```
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn spawn_graceful<T: Send + 'c, F>(&'c self, make: impl FnOnce(&'c CancelToken) -> F) -> TaskHandle<'c, T>
    where
        F: Future<Output = Result<T, E>> + Send + 'c,
    {
        self.start(make(&self.token), true)
    }
}

impl<'c, E: 'c> Group<'c, E, Local> {
    /// Spawns a child, as [`TaskGroup::spawn`](Group::spawn) does.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::{Cancelled, LocalTaskGroup}};
    ///
    /// let tg = LocalTaskGroup::new();
    /// let child = block_on(tg.run(async { tg.spawn(async { Ok(7) }).await }));
    /// assert_eq!(child, Ok(7));
    /// # let _: Result<i32, testudo::task::GroupError<Cancelled>> = child;
    /// ```
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn spawn<T: 'c>(&'c self, fut: impl Future<Output = Result<T, E>> + 'c) -> TaskHandle<'c, T> {
        self.start(fut, false)
    }

    /// Spawns a child that is asked to end, as [`TaskGroup::spawn_graceful`](Group::spawn_graceful) does.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::{Cancelled, LocalTaskGroup}};
    ///
    /// let tg = LocalTaskGroup::new();
    /// let run = tg.run(async {
    ///     drop(tg.spawn_graceful(async |stop| Ok(stop.cancelled().await)));
    ///     tg.cancel();
    ///     Ok::<_, Cancelled>(1)
    /// });
    /// assert_eq!(block_on(run), Ok(1));
    /// ```
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn spawn_graceful<T: 'c, F>(&'c self, make: impl FnOnce(&'c CancelToken) -> F) -> TaskHandle<'c, T>
    where
        F: Future<Output = Result<T, E>> + 'c,
    {
        self.start(make(&self.token), true)
    }
}

impl<E, K> Default for Group<'_, E, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E, K> fmt::Debug for Group<'_, E, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup").field("inbox", &self.shared.inbox).finish_non_exhaustive()
    }
}
