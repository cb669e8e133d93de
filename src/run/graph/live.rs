//! What is the case now: events folded.
use alloc::{borrow::ToOwned, collections::BTreeMap, string::String, vec::Vec};
use core::{panic::Location, time::Duration};

use crate::probe::{Event, Resource, Subject, TaskId};

#[derive(Clone, Debug, Default)]
pub(super) struct Task {
    pub(super) name: Option<String>,
    pub(super) location: Option<&'static Location<'static>>,
    pub(super) within: Option<TaskId>,
}

#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) task: Option<TaskId>,
    pub(super) on: Resource,
    pub(super) since: Duration,
    /// Waits by the order in which they began.
    pub(super) number: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) task: Option<TaskId>,
    pub(super) on: Resource,
    pub(super) n: usize,
    pub(super) since: Duration,
}

/// Who waits, and who has what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(super) now: Duration,
    pub(super) tasks: BTreeMap<TaskId, Task>,
    pub(super) waits: BTreeMap<(usize, usize), Wait>,
    pub(super) holds: BTreeMap<usize, Vec<Hold>>,
    pub(super) tellers: BTreeMap<usize, TaskId>,
    count: u64,
}

impl Live {
    pub(crate) fn set_now(&mut self, now: Duration) {
        self.now = now;
    }

    #[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
    pub(crate) fn spawned(&mut self, task: TaskId, name: &str, location: &'static Location<'static>) {
        let entry = self.tasks.entry(task).or_default();
        (entry.name, entry.location) = (Some(name.to_owned()), Some(location));
    }

    pub(crate) fn name(&mut self, subject: Subject, name: &str) {
        match subject {
            Subject::Task(task) => self.tasks.entry(task).or_default().name = Some(name.to_owned()),
            Subject::Span(_) => {} // kept by `probe`
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match *event {
            Event::Spawned { task, location, .. } => self.tasks.entry(task).or_default().location = Some(location),
            Event::PollBegin { task, within } => self.tasks.entry(task).or_default().within = within,
            Event::Blocked { task, on, wait } => {
                self.count += 1;
                let wait_of = Wait { task, on, since: self.now, number: self.count };
                self.waits.insert((on.address(), wait), wait_of);
            }
            Event::Resumed { on, wait, .. } | Event::Cancelled { on, wait, .. } => {
                self.waits.remove(&(on.address(), wait));
            }
            Event::Acquired { task, on, n } => {
                let holds = self.holds.entry(on.address()).or_default();
                holds.push(Hold { task, on, n, since: self.now });
            }
            Event::Released { task, on, n } => self.release(task, on.address(), n),
            Event::Notified { task: Some(task), on, .. } => {
                self.tellers.insert(on.address(), task);
            }
            Event::Completed { task } | Event::Dropped { task } => {
                self.tasks.remove(&task);
            }
            Event::Clock { now } => self.now = now,
            _ => {}
        }
    }

    /// By whoever has it, if it was given to another task meanwhile.
    fn release(&mut self, task: Option<TaskId>, address: usize, mut n: usize) {
        let Some(holds) = self.holds.get_mut(&address) else { return };
        while n > 0 {
            let Some(at) = holds.iter().rposition(|hold| hold.task == task).or(holds.len().checked_sub(1)) else {
                break;
            };
            let taken = n.min(holds[at].n);
            n -= taken;
            holds[at].n -= taken;
            if holds[at].n == 0 {
                holds.remove(at);
            }
        }
        if holds.is_empty() {
            self.holds.remove(&address);
        }
    }
}
