//! The summary for a terminal.
use core::{cmp::Reverse, time::Duration};
use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};

use super::model::Profile;

/// How many rows a table has.
const ROWS: usize = 30;

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(head);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

fn time(time: Duration) -> alloc::string::String {
    alloc::format!("{time:.1?}")
}

fn count(n: usize) -> alloc::string::String {
    alloc::format!("{n}")
}

impl Profile {
    /// Writes two tables, of 30 rows at most: what was waited for, and what the tasks did.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{Sim, profile::Recorder};
    ///
    /// let sim = Sim::new();
    /// let recording = Recorder::new().virtual_time().start().unwrap();
    /// sim.spawn_named("sleeper", sim.clock().sleep(core::time::Duration::from_secs(3)));
    /// sim.run_until_stalled();
    /// let mut text = Vec::new();
    /// recording.stop().write_summary(&mut text).unwrap();
    /// assert!(String::from_utf8(text).unwrap().contains("sleeper"));
    /// ```
    pub fn write_summary(&self, mut out: impl Write) -> io::Result<()> {
        let head = [
            "resource",
            "waits",
            "at once",
            "contended",
            "mean",
            "p99",
            "longest hold",
            "by",
            "overtaken",
            "cancelled",
        ];
        let mut resources = table(&head);
        for stats in self.resources().iter().take(ROWS) {
            let (hold, holder) = stats.longest_hold();
            let all = (stats.waits() + stats.uncontended()).max(1);
            resources.add_row([
                stats.name().into(),
                count(stats.waits()),
                count(stats.uncontended()),
                alloc::format!("{} %", 100 * stats.waits() / all),
                time(stats.mean()),
                time(stats.p99()),
                time(hold),
                holder.unwrap_or("-").into(),
                count(stats.overtakings()),
                count(stats.cancelled()),
            ]);
        }
        let mut tasks = table(&["task", "polls", "busy", "longest poll"]);
        let mut sorted: alloc::vec::Vec<_> = self.tasks().iter().collect();
        sorted.sort_by_key(|stats| Reverse((stats.busy(), stats.polls())));
        for stats in sorted.into_iter().take(ROWS) {
            let row = [stats.name().into(), count(stats.polls()), time(stats.busy()), time(stats.longest_poll())];
            tasks.add_row(row);
        }
        writeln!(out, "{resources}\n{tasks}")?;
        let (n, lost) = (self.events(), self.dropped());
        writeln!(out, "{} resources, {} tasks, {n} events, {lost} lost", self.resources().len(), self.tasks().len())
    }
}
