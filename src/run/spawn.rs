//! The simulation as a spawner.
use super::Spawner;
use crate::task::{BoxTask, LocalBoxTask, Spawn};

/// A task that is spawned once the simulation is gone is dropped.
impl Spawn<BoxTask> for Spawner {
    fn spawn(&self, task: BoxTask) -> Result<(), BoxTask> {
        self.spawn(task).detach();
        Ok(())
    }
}

/// As for [`BoxTask`].
impl Spawn<LocalBoxTask> for Spawner {
    fn spawn(&self, task: LocalBoxTask) -> Result<(), LocalBoxTask> {
        self.spawn(task).detach();
        Ok(())
    }
}
