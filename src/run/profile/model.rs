//! What a recording comes to: tasks with their polls, waits, and who had what.
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::{fmt, panic::Location};

use super::stats::{ResourceStats, TaskStats};
use crate::run::graph::Graph;

/// One poll: from, to, and how much of it was not that of tasks within.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poll {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) own: u64,
}

/// When, by whom, and for which poll.
#[derive(Clone, Copy, Debug)]
pub(super) struct Woken {
    pub(super) at: u64,
    pub(super) by: Option<usize>,
    pub(super) poll: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) location: Option<&'static Location<'static>>,
    pub(super) within: Option<usize>,
    pub(super) has_children: bool,
    pub(super) spawned: u64,
    pub(super) ended: Option<u64>,
    pub(super) polls: Vec<Poll>,
    pub(super) wakes: Vec<Woken>,
    /// Indices of waits.
    pub(super) waits: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Over,
    Cancelled,
    Open,
}

#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) task: Option<usize>,
    pub(super) resource: usize,
    pub(super) verb: &'static str,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) outcome: Outcome,
}

/// What a recording has: totals here, and writers for viewers.
///
/// # Examples
/// ```
/// use testudo::{Mutex, run::{block_on, profile::Recorder}};
///
/// let recording = Recorder::new().start().unwrap();
/// let lock = Mutex::new(0);
/// *block_on(lock.lock()) += 1;
/// let profile = recording.stop();
/// assert_eq!((profile.resources()[0].waits(), profile.resources()[0].uncontended()), (0, 1));
/// ```
#[derive(Clone)]
pub struct Profile {
    pub(super) tasks: Vec<Task>,
    pub(super) waits: Vec<Wait>,
    pub(super) labels: Vec<String>,
    /// Time on the CPU by who polled whom.
    pub(super) stacks: BTreeMap<Vec<usize>, u64>,
    pub(super) end: u64,
    pub(super) task_stats: Vec<TaskStats>,
    pub(super) resource_stats: Vec<ResourceStats>,
    pub(super) graph: Graph,
    pub(super) events: usize,
    pub(super) dropped: u64,
}

impl Profile {
    /// Returns what the tasks did, in the order in which they were first seen.
    pub fn tasks(&self) -> &[TaskStats] {
        &self.task_stats
    }

    /// Returns what was waited for, the longest waits together first.
    pub fn resources(&self) -> &[ResourceStats] {
        &self.resource_stats
    }

    /// Returns how many events there was no room for. If there are any, totals are too small.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how many events it has.
    pub fn events(&self) -> usize {
        self.events
    }

    /// Returns who waited for whom at the end.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").field("events", &self.events).field("dropped", &self.dropped).finish_non_exhaustive()
    }
}
