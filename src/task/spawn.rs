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
/// // A LocalSet: tasks that stay on their thread.
/// let local = tokio::task::LocalSet::new();
/// local.block_on(&runtime, async {
///     let group = SpawnedGroup::<_, ()>::new(|task: LocalBoxTask| { tokio::task::spawn_local(task); });
///     let value = group.spawn_local(async { Ok(std::rc::Rc::new(4)) });
///     assert_eq!(*value.await.unwrap(), 4);
/// });
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
