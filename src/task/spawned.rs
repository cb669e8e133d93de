//! Children in tasks of their own, on any executor.
// STATE       live: the children that have not ended, and 1 while the group is there
//                 T1 spawn     live += 1
//                 T2 leave     live -= 1; who makes it 0 sets `idle`
//             a child: Running --T3 ready--> | --T4 the group or the handle has cancelled it--> | Ended, then T2
//                              --T5 its task is dropped: lost, unless the group was cancelled--> |
// INVARIANTS  I1 a child does T2 once, as its last act, when its future is dropped, its value too if nobody has the handle, and
//                its failure is in the pile.
//             I2 nobody spawns after `join`, which takes the group: `idle` is set once.
// EDGES       E1 T2 (release) -> join (acquire): what the children have done, and their failures.
// CANCEL      the group or `join` dropped: the children are cancelled, each drops its future when it is polled next.
// INTERRUPT   cancel: yes, O(children), if the wakers may.
use alloc::{boxed::Box, sync::Arc};
use core::{
    fmt,
    future::Future,
    ops::Deref,
    pin::Pin,
    task::{Context, Poll},
};

use super::{
    cancel::{CancelRun, CancelToken, Cancelled},
    group::GroupError,
    spawn::{BoxTask, LocalBoxTask, Spawn},
};
use crate::{
    sync::Event,
    sys::{
        Panics,
        atomic::{AtomicUsize, Ordering::*},
    },
    tell::{Told, told},
    wait::{Handle, handle::sealed::Sealed},
};

mod handle;
mod pile;

pub use self::handle::SpawnedHandle;
use self::{handle::State, pile::Pile};

/// A group of children that run in tasks of their own, in parallel where the executor does that. Their errors are `E`.
///
/// `S` is the spawner, see [`Spawn`]. Children are `'static`: nothing keeps a group in place until they have ended. As in
/// a [`TaskGroup`](crate::task::TaskGroup), the first error cancels the rest, [`join`](SpawnedGroup::join) waits for all and
/// returns all errors. Dropping the group cancels the children, but cannot wait for them. Two allocations for each child,
/// besides the executor's own.
///
/// There is no block: what stands beside the group is not cancelled when a child fails. Who feeds the children has to be a child
/// as well, or waits for those that are gone. There is no `max_concurrency` either (let each child take a permit of a
/// [`Semaphore`](crate::Semaphore)), no `spawn_graceful` (give children a [`SharedToken`](crate::task::SharedToken)), no `sheltered_by`.
///
/// # asyncio
/// Same as `asyncio.TaskGroup`, whose children are tasks too. Differs in that cancelling is dropping, and in that there is no block.
///
/// # Examples
/// Workers, and a queue that feeds them:
/// ```
/// use std::sync::Arc;
/// use testudo::{Queue, task::{BoxTask, SpawnedGroup}};
///
/// let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
/// let sum: u32 = runtime.block_on(async {
///     let group = SpawnedGroup::<_, &str>::new(|task: BoxTask| { tokio::spawn(task); });
///     let jobs = Arc::new(Queue::bounded(8));
///     let workers = [(); 3].map(|()| {
///         let jobs = jobs.clone();
///         group.spawn(async move {
///             let mut sum = 0;
///             while let Ok(job) = jobs.get().await {
///                 sum += job;
///             }
///             Ok(sum) // the queue is closed and empty
///         })
///     });
///     drop(group.spawn(async move {
///         for job in 1..=100 {
///             jobs.put(job).await.map_err(|_| "closed")?;
///         }
///         jobs.close();
///         Ok(())
///     }));
///     group.join().await.unwrap();
///     let mut sum = 0;
///     for worker in workers {
///         sum += worker.await.unwrap();
///     }
///     sum
/// });
/// assert_eq!(sum, 5050);
/// ```
/// A failure:
/// ```
/// use testudo::task::{BoxTask, SpawnedGroup};
///
/// let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
/// let failed = runtime.block_on(async {
///     let group = SpawnedGroup::new(|task: BoxTask| { tokio::spawn(task); });
///     drop(group.spawn(async { Ok(()) }));
///     drop(group.spawn(async { Err::<(), _>("no bread") }));
///     drop(group.spawn(core::future::pending::<Result<(), _>>()));
///     group.join().await
/// });
/// assert_eq!(failed.unwrap_err().first(), Some(&"no bread"));
/// ```
///
/// A child borrows nothing:
/// ```compile_fail,E0597
/// let sim = testudo::run::Sim::new();
/// let local = 1;
/// let group = testudo::task::SpawnedGroup::<_, ()>::new(sim.spawner());
/// drop(group.spawn(async { Ok(local + 1) }));
/// ```
#[doc(alias = "TaskGroup")]
#[doc(alias = "JoinSet")]
#[doc(alias = "TaskTracker")]
#[must_use = "dropping the group cancels its children"]
pub struct SpawnedGroup<S, E> {
    spawner: S,
    core: CoreRef<E>,
}

struct Core<E> {
    token: CancelToken,
    live: AtomicUsize,
    idle: Event,
    errors: Pile<E>,
    panics: Pile<Panics>,
    lost: AtomicUsize,
}

impl<E> Core<E> {
    /// T2.
    fn leave(&self) {
        // ORDER: E1 release, and acquire for who sets `idle`
        if self.live.fetch_sub(1, AcqRel) == 1 {
            self.idle.set();
        }
    }
}

/// The group as its children reach it; leads to its token.
struct CoreRef<E>(Arc<Core<E>>);

impl<E> Clone for CoreRef<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> Deref for CoreRef<E> {
    type Target = CancelToken;

    fn deref(&self) -> &CancelToken {
        &self.0.token
    }
}

impl<E> Sealed for CoreRef<E> {}
impl<E> Handle for CoreRef<E> {}

impl<S, E> SpawnedGroup<S, E> {
    /// Returns a group without children.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::Sim, task::SpawnedGroup};
    ///
    /// let sim = Sim::new();
    /// let group = SpawnedGroup::<_, ()>::new(sim.spawner());
    /// assert!(sim.block_on(group.join()).unwrap().is_ok());
    /// ```
    pub fn new(spawner: S) -> Self {
        let core = Core {
            token: CancelToken::new(),
            live: AtomicUsize::new(1),
            idle: Event::new(),
            errors: Pile::new(),
            panics: Pile::new(),
            lost: AtomicUsize::new(0),
        };
        Self { spawner, core: CoreRef(Arc::new(core)) }
    }

    /// Spawns a child and returns its handle, which may be dropped.
    ///
    /// If the group was cancelled, it never runs. If the spawner refuses it, it is lost, see [`join`](SpawnedGroup::join).
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::Sim, task::SpawnedGroup};
    ///
    /// let sim = Sim::new();
    /// let group = SpawnedGroup::<_, ()>::new(sim.spawner());
    /// let child = group.spawn(async { Ok(7) });
    /// assert_eq!(sim.block_on(child).unwrap(), Ok(7));
    /// ```
    #[doc(alias = "create_task")]
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn spawn<T: Send + 'static>(&self, fut: impl Future<Output = Result<T, E>> + Send + 'static) -> SpawnedHandle<T>
    where
        S: Spawn<BoxTask>,
        E: Send + 'static,
    {
        let (child, handle) = self.child(fut);
        drop(self.spawner.spawn(Box::pin(child))); // T5, if it is refused
        handle
    }

    /// Spawns a child that stays on its thread, as [`spawn`](SpawnedGroup::spawn) does.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// use testudo::{run::Sim, task::SpawnedGroup};
    ///
    /// let sim = Sim::new();
    /// let group = SpawnedGroup::<_, ()>::new(sim.spawner());
    /// let child = group.spawn_local(async { Ok(Rc::new(7)) });
    /// assert_eq!(sim.block_on(child).unwrap(), Ok(Rc::new(7)));
    /// ```
    #[cfg_attr(feature = "profile", track_caller)]
    pub fn spawn_local<T: 'static>(&self, fut: impl Future<Output = Result<T, E>> + 'static) -> SpawnedHandle<T>
    where
        S: Spawn<LocalBoxTask>,
        E: 'static,
    {
        let (child, handle) = self.child(fut);
        drop(self.spawner.spawn(Box::pin(child))); // T5, if it is refused
        handle
    }

    /// T1.
    #[cfg_attr(feature = "profile", track_caller)]
    fn child<F: Future<Output = Result<T, E>>, T>(&self, fut: F) -> (Child<F, T, E>, SpawnedHandle<T>) {
        // ORDER: relaxed: made by one who is counted
        self.core.0.live.fetch_add(1, Relaxed);
        let (run, tag) = told(CancelToken::run_with(self.core.clone(), fut), "spawned child", "SpawnedGroup::join");
        tag.holds(self.core.0.idle.waiters());
        let state = State::new(tag);
        let child = Child { run: Some(run), core: self.core.clone(), state: Some(Arc::clone(&state)), begun: false };
        (child, SpawnedHandle { state, taken: false })
    }

    /// Cancels the children: each drops its future when its task is polled next, before its first poll too.
    ///
    /// # Interrupts
    /// May be called from interrupts, if the wakers may. O(children).
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::Sim, task::SpawnedGroup};
    ///
    /// let sim = Sim::new();
    /// let group = SpawnedGroup::<_, ()>::new(sim.spawner());
    /// drop(group.spawn(core::future::pending::<Result<(), ()>>()));
    /// group.cancel();
    /// assert!(sim.block_on(group.join()).unwrap().is_ok());
    /// ```
    pub fn cancel(&self) {
        self.core.cancel();
    }

    /// Waits until all children have ended.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the group, whose children are cancelled.
    ///
    /// # Errors
    /// [`GroupError`] when a child failed, or its executor dropped or refused it ([`lost`](GroupError::lost)). That a child, or
    /// the group, was cancelled is no error.
    ///
    /// # Panics
    /// When a child did: the panic goes on from here, and the other children were cancelled (std; without, a child that
    /// panics is lost).
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::Sim, task::SpawnedGroup};
    ///
    /// let sim = Sim::new();
    /// let group = SpawnedGroup::new(sim.spawner());
    /// drop(group.spawn(async { Err::<(), _>("no") }));
    /// assert_eq!(sim.block_on(group.join()).unwrap().unwrap_err().first(), Some(&"no"));
    /// ```
    pub async fn join(self) -> Result<(), GroupError<E>> {
        let core = &*self.core.0;
        core.leave();
        core.idle.wait().await; // E1 acquire
        let mut panics = core.panics.take().into_iter();
        if let Some(first) = panics.next() {
            first.resume();
        }
        // ORDER: relaxed: E1 has come before
        let mut error = GroupError::of_lost(core.lost.load(Relaxed));
        core.errors.take().into_iter().for_each(|e| error.push(e));
        if error.is_cancelled() { Ok(()) } else { Err(error) }
    }
}

impl<S, E> Drop for SpawnedGroup<S, E> {
    fn drop(&mut self) {
        self.core.cancel();
    }
}

impl<S, E> fmt::Debug for SpawnedGroup<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDER: relaxed: a moment's view
        let live = self.core.0.live.load(Relaxed).saturating_sub(1);
        f.debug_struct("SpawnedGroup").field("live", &live).field("token", &self.core.0.token).finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// What the executor gets.
    struct Child<F, T, E> {
        #[pin]
        run: Option<Told<CancelRun<F, CoreRef<E>>>>,
        core: CoreRef<E>,
        state: Option<Arc<State<T>>>,
        begun: bool,
    }

    impl<F, T, E> PinnedDrop for Child<F, T, E> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.state.is_some() && !this.core.is_cancelled() {
                // T5. ORDER: relaxed: E1 comes later
                this.core.0.lost.fetch_add(1, Relaxed);
            }
            end(this.run, this.core, this.state, Err(Cancelled));
        }
    }
}

/// T3, T4, T5: the future is dropped, then the handle and the group are told.
fn end<R, T, E>(
    mut run: Pin<&mut Option<R>>,
    core: &CoreRef<E>,
    state: &mut Option<Arc<State<T>>>,
    value: Result<T, Cancelled>,
) {
    struct Leave<'a, E>(&'a Core<E>);
    impl<E> Drop for Leave<'_, E> {
        fn drop(&mut self) {
            self.0.leave(); // I1
        }
    }
    let Some(state) = state.take() else { return };
    let _leave = Leave(&core.0);
    let mut panics = Panics::new();
    panics.catch(|| run.set(None));
    panics.catch(|| state.finish(value));
    panics.catch(|| drop(state)); // and the value, if there is no handle
    if panics.has_caught() {
        core.0.panics.push(panics);
        core.cancel();
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> Future for Child<F, T, E> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(state) = this.state else { return Poll::Ready(()) };
        let cancelled = state.listen(cx.waker());
        let first = !core::mem::replace(this.begun, true);
        let mut panics = Panics::new();
        let value = match this.run.as_mut().as_pin_mut() {
            Some(run) if !(cancelled || first && this.core.is_cancelled()) => panics.catch(|| run.poll(cx)),
            _ => Some(Poll::Ready(Err(Cancelled))),
        };
        let value = match value {
            Some(Poll::Ready(Ok(Ok(value)))) => Ok(value),
            Some(Poll::Ready(Ok(Err(error)))) => {
                this.core.0.errors.push(error);
                panics.catch(|| this.core.cancel());
                Err(Cancelled)
            }
            Some(Poll::Pending) if !state.is_cancelled() => return Poll::Pending,
            Some(_) => Err(Cancelled), // T4
            None => {
                this.core.0.panics.push(core::mem::replace(&mut panics, Panics::new()));
                panics.catch(|| this.core.cancel());
                Err(Cancelled)
            }
        };
        if panics.has_caught() {
            this.core.0.panics.push(panics);
        }
        end(this.run, this.core, this.state, value);
        Poll::Ready(())
    }
}
