//! A spawner whose tasks are tasks of the profile.
use alloc::boxed::Box;
use core::panic::Location;

use super::Profiled;
use crate::task::{BoxTask, LocalBoxTask, Spawn};

/// Spawns elsewhere, and makes each task one of profiles and graphs, as [`profiled`](super::ProfileExt::profiled) does.
///
/// The tasks have its name, and the location of [`new`](Self::new). Each costs one more allocation.
///
/// # Errors
/// [`spawn`](Spawn::spawn) gives back what the spawner refused.
///
/// # Examples
/// ```
/// use testudo::{run::{block_on, profile::{ProfiledSpawner, Recorder}}, task::{BoxTask, SpawnedGroup}};
///
/// let recording = Recorder::new().start().unwrap();
/// let spawner = ProfiledSpawner::new(|task: BoxTask| smol::spawn(task).detach(), "worker");
/// let group = SpawnedGroup::<_, ()>::new(spawner);
/// let (one, two) = (group.spawn(async { Ok(1) }), group.spawn(async { Ok(2) }));
/// let sum = block_on(async { one.await.unwrap() + two.await.unwrap() });
/// let profile = recording.stop();
/// assert_eq!(sum, 3);
/// assert_eq!(profile.tasks().iter().filter(|task| task.name() == "worker").count(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct ProfiledSpawner<S> {
    spawner: S,
    name: &'static str,
    location: &'static Location<'static>,
}

impl<S> ProfiledSpawner<S> {
    /// Gives the tasks of `spawner` this name.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::{Sim, profile::ProfiledSpawner}, task::{BoxTask, Spawn}};
    ///
    /// let sim = Sim::new();
    /// let spawner = ProfiledSpawner::new(sim.spawner(), "waiter");
    /// let task: BoxTask = Box::pin(async { testudo::Event::new().wait().await });
    /// assert!(spawner.spawn(task).is_ok());
    /// assert!(sim.run_until_stalled().unwrap().graph().to_string().contains("waiter"));
    /// ```
    #[track_caller]
    pub fn new(spawner: S, name: &'static str) -> Self {
        Self { spawner, name, location: Location::caller() }
    }
}

impl<S: Spawn<BoxTask>> Spawn<BoxTask> for ProfiledSpawner<S> {
    fn spawn(&self, task: BoxTask) -> Result<(), BoxTask> {
        self.spawner.spawn(Box::pin(Profiled::new(task, self.name, self.location)))
    }
}

/// As for [`BoxTask`].
impl<S: Spawn<LocalBoxTask>> Spawn<LocalBoxTask> for ProfiledSpawner<S> {
    fn spawn(&self, task: LocalBoxTask) -> Result<(), LocalBoxTask> {
        self.spawner.spawn(Box::pin(Profiled::new(task, self.name, self.location)))
    }
}
