//! What a task did, and what was waited for: totals.
use alloc::{string::String, vec::Vec};
use core::time::Duration;

/// What a task did.
#[derive(Clone, Debug)]
pub struct TaskStats {
    pub(super) name: String,
    pub(super) polls: usize,
    pub(super) busy: u64,
    pub(super) longest: u64,
}

impl TaskStats {
    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how often it was polled.
    pub fn polls(&self) -> usize {
        self.polls
    }

    /// Returns how long its polls were, all together.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy)
    }

    /// Returns how long its longest poll was.
    pub fn longest_poll(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }
}

/// What was waited for.
#[derive(Clone, Debug, Default)]
pub struct ResourceStats {
    pub(super) name: String,
    pub(super) waits: Vec<u64>,
    pub(super) uncontended: usize,
    pub(super) cancelled: usize,
    pub(super) overtakings: usize,
    pub(super) longest: (u64, Option<String>),
}

impl ResourceStats {
    /// Returns what it is, and its name or a number.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many waits there were in earnest, those that were cancelled too.
    pub fn waits(&self) -> usize {
        self.waits.len()
    }

    /// Returns how many were over at their first poll.
    pub fn uncontended(&self) -> usize {
        self.uncontended
    }

    /// Returns how many of the waits were cancelled.
    pub fn cancelled(&self) -> usize {
        self.cancelled
    }

    /// Returns how often somebody came before one who had waited longer.
    pub fn overtakings(&self) -> usize {
        self.overtakings
    }

    /// Returns how long all waits were together.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waits.iter().sum())
    }

    /// Returns the mean of the waits.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.waits.iter().sum::<u64>().checked_div(self.waits.len() as u64).unwrap_or(0))
    }

    /// Returns the least that 99 % of the waits were not longer than.
    pub fn p99(&self) -> Duration {
        let rank = (self.waits.len() * 99).div_ceil(100);
        Duration::from_nanos(rank.checked_sub(1).map_or(0, |rank| self.waits[rank]))
    }

    /// Returns how long it was had for at most, and by which task.
    pub fn longest_hold(&self) -> (Duration, Option<&str>) {
        (Duration::from_nanos(self.longest.0), self.longest.1.as_deref())
    }
}
