//! How the crate starts a task on somebody else's executor.
use alloc::boxed::Box;
use core::{future::Future, pin::Pin};

/// A task for any executor.
pub type BoxTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task for an executor that stays on its thread.
pub type LocalBoxTask = Pin<Box<dyn Future<Output = ()>>>;

/// Starts tasks: one method, which every `Fn(BoxTask)` has.
///
/// `T` is what it starts: [`BoxTask`], or [`LocalBoxTask`] where tasks stay on their thread.
///
/// | executor | spawner |
/// |---|---|
/// | tokio | <code>\|task: BoxTask\| { tokio::spawn(task); }</code> |
/// | tokio, from anywhere | <code>move \|task: BoxTask\| { handle.spawn(task); }</code>, of a `tokio::runtime::Handle` |
/// | tokio's `LocalSet` | <code>\|task: LocalBoxTask\| { tokio::task::spawn_local(task); }</code> |
/// | smol | <code>\|task: BoxTask\| smol::spawn(task).detach()</code> |
/// | async-executor | <code>move \|task: BoxTask\| executor.spawn(task).detach()</code>, of an `Arc<Executor>` or a `&'static` one |
/// | its `LocalExecutor` | <code>move \|task: LocalBoxTask\| executor.spawn(task).detach()</code>, of an `Rc` |
/// | futures' `ThreadPool` | <code>move \|task: BoxTask\| pool.spawn_ok(task)</code> |
/// | embassy | <code>move \|task: BoxTask\| if let Ok(token) = run(task) { spawner.spawn(token) }</code>, of a `SendSpawner`; see below |
/// | [`Sim`](crate::run::Sim) | [`sim.spawner()`](crate::run::Spawner), for both |
///
/// # Errors
/// [`spawn`](Spawn::spawn) gives the task back when it is refused: the executor is full, or is shutting down.
///
/// # Examples
/// The snippets, run:
/// ```
/// use std::sync::Arc;
/// use testudo::{run::Sim, task::{BoxTask, LocalBoxTask, Spawn, SpawnedGroup}};
///
/// async fn three<S: Spawn<BoxTask>>(spawner: S) {
///     let group = SpawnedGroup::<_, ()>::new(spawner);
///     let tasks = [1, 2, 3].map(|n| group.spawn(async move { Ok(n) }));
///     group.join().await.unwrap();
///     for (task, n) in tasks.into_iter().zip(1..) {
///         assert_eq!(task.await, Ok(n));
///     }
/// }
///
/// // tokio
/// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
/// runtime.block_on(three(|task: BoxTask| { tokio::spawn(task); }));
/// let handle = runtime.handle().clone();
/// testudo::run::block_on(three(move |task: BoxTask| { handle.spawn(task); }));
///
/// // smol
/// smol::block_on(three(|task: BoxTask| smol::spawn(task).detach()));
///
/// // async-executor
/// let executor = Arc::new(async_executor::Executor::new());
/// let theirs = executor.clone();
/// smol::block_on(executor.run(three(move |task: BoxTask| theirs.spawn(task).detach())));
///
/// // Sim
/// let sim = Sim::new();
/// sim.block_on(three(sim.spawner())).unwrap();
///
/// // futures
/// let pool = futures_executor::ThreadPool::builder().pool_size(1).create().unwrap();
/// testudo::run::block_on(three(move |task: BoxTask| pool.spawn_ok(task)));
///
/// // A LocalSet: tasks that stay on their thread.
/// let local = tokio::task::LocalSet::new();
/// local.block_on(&runtime, async {
///     let group = SpawnedGroup::<_, ()>::new(|task: LocalBoxTask| { tokio::task::spawn_local(task); });
///     let value = group.spawn_local(async { Ok(std::rc::Rc::new(4)) });
///     assert_eq!(*value.await.unwrap(), 4);
/// });
/// ```
/// On embassy tasks have places in a static, so many of each kind. One that finds none is dropped, which whoever waits for it
/// is told: a group has [lost](crate::task::GroupError::lost) it, a [`shield`](crate::task::shield()) is `Lost`.
/// ```
/// use std::sync::mpsc;
/// use testudo::{run::block_on, task::{BoxTask, shield}};
///
/// #[embassy_executor::task(pool_size = 16)]
/// async fn run(task: BoxTask) {
///     task.await;
/// }
///
/// // Here on a thread that ends with the process; on a microcontroller, `main` has the spawner.
/// let (sender, receiver) = mpsc::channel();
/// std::thread::spawn(move || {
///     let executor = Box::leak(Box::new(embassy_executor::Executor::new()));
///     executor.run(|spawner| sender.send(spawner.make_send()).unwrap());
/// });
/// let spawner = receiver.recv().unwrap();
/// let embassy = move |task: BoxTask| if let Ok(token) = run(task) { spawner.spawn(token) };
/// assert_eq!(block_on(shield(&embassy, async { 5 })), Ok(5));
/// ```
#[doc(alias = "Executor")]
#[doc(alias = "create_task")]
pub trait Spawn<T = BoxTask> {
    /// Starts a task, or gives it back.
    ///
    /// # Errors
    /// The task, when it was not started and never will be.
    ///
    /// # Examples
    /// ```
    /// use testudo::task::{BoxTask, Spawn};
    ///
    /// struct Full;
    /// impl Spawn for Full {
    ///     fn spawn(&self, task: BoxTask) -> Result<(), BoxTask> {
    ///         Err(task)
    ///     }
    /// }
    /// assert!(Full.spawn(Box::pin(async {})).is_err());
    /// ```
    fn spawn(&self, task: T) -> Result<(), T>;
}

impl<T, F: Fn(T)> Spawn<T> for F {
    fn spawn(&self, task: T) -> Result<(), T> {
        self(task);
        Ok(())
    }
}
