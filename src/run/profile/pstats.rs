//! Python's profile format: the marshalled dictionary of `pstats`.
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use std::io::{self, Write};

use super::{
    model::{Profile, Task},
    write::What,
};

/// A function of pstats: file, line, name.
type Function = (String, u32, String);

/// How often, own time, all time.
#[derive(Clone, Copy, Default)]
struct Total(u64, u64, u64);

impl Total {
    fn add(&mut self, other: Self) {
        *self = Self(self.0 + other.0, self.1 + other.1, self.2 + other.2);
    }
}

#[derive(Default)]
struct Row {
    total: Total,
    callers: BTreeMap<Function, Total>,
}

impl Profile {
    /// Writes what Python's `pstats` loads, and snakeviz opens: a wait is a function that its task calls.
    ///
    /// A task's own time is that in its polls; its cumulative time is all of its life. All tasks are called by `<task>`.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::profile::Recorder;
    ///
    /// let mut stats = Vec::new();
    /// Recorder::new().start().unwrap().stop().write_pstats(&mut stats).unwrap();
    /// assert!(stats.starts_with(b"{") && stats.ends_with(b"0"));
    /// ```
    pub fn write_pstats(&self, mut out: impl Write) -> io::Result<()> {
        let mut bytes = Vec::from(*b"{");
        for (function, row) in &self.rows() {
            put_function(&mut bytes, function);
            put_total(&mut bytes, row.total, Some(&row.callers));
        }
        bytes.push(b'0');
        out.write_all(&bytes)
    }

    fn rows(&self) -> BTreeMap<Function, Row> {
        let root = (String::from("~"), 0, String::from("<task>"));
        let mut rows: BTreeMap<Function, Row> = BTreeMap::new();
        let mut add = |function: &Function, caller: Option<&Function>, total: Total| {
            let row = rows.entry(function.clone()).or_default();
            row.total.add(total);
            if let Some(caller) = caller {
                row.callers.entry(caller.clone()).or_default().add(total);
            }
        };
        add(&root, None, Total::default());
        for task in &self.tasks {
            let function = function(task);
            let caller = task.within.map_or_else(|| root.clone(), |outer| self::function(&self.tasks[outer]));
            let mut all = 0;
            for segment in self.segments(task) {
                let time = segment.end - segment.begin;
                all += time;
                if segment.what != What::Running {
                    let wait = (String::from("~"), 0, self.what(segment.what));
                    add(&wait, Some(&function), Total(1, time, time));
                }
            }
            let own = task.polls.iter().map(|poll| poll.own).sum();
            add(&function, Some(&caller), Total(1, own, all));
            if task.within.is_none() {
                add(&root, None, Total(1, 0, all));
            }
        }
        rows
    }
}

fn function(task: &Task) -> Function {
    match task.location {
        Some(location) => (String::from(location.file()), location.line(), task.name.clone()),
        None => (String::from("~"), 0, format!("task {}", task.name)),
    }
}

fn put_function(out: &mut Vec<u8>, (file, line, name): &Function) {
    put_tuple(out, 3);
    put_text(out, file);
    put_int(out, u64::from(*line));
    put_text(out, name);
}

/// Primitive calls, calls, own seconds, all seconds; of a function also its callers.
fn put_total(out: &mut Vec<u8>, Total(calls, own, all): Total, callers: Option<&BTreeMap<Function, Total>>) {
    put_tuple(out, if callers.is_some() { 5 } else { 4 });
    put_int(out, calls);
    put_int(out, calls);
    put_seconds(out, own);
    put_seconds(out, all);
    if let Some(callers) = callers {
        out.push(b'{');
        for (caller, total) in callers {
            put_function(out, caller);
            put_total(out, *total, None);
        }
        out.push(b'0');
    }
}

fn put_tuple(out: &mut Vec<u8>, len: u32) {
    out.push(b'(');
    out.extend(len.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'u');
    out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_seconds(out: &mut Vec<u8>, ns: u64) {
    out.push(b'g');
    out.extend((ns as f64 / 1e9).to_le_bytes());
}

/// In 32 bits, or in digits of 15.
fn put_int(out: &mut Vec<u8>, int: u64) {
    if let Ok(int) = i32::try_from(int) {
        out.push(b'i');
        return out.extend(int.to_le_bytes());
    }
    let mut digits = Vec::new();
    let mut rest = int;
    while rest > 0 {
        digits.extend(((rest & 0x7fff) as u16).to_le_bytes());
        rest >>= 15;
    }
    out.push(b'l');
    out.extend(((digits.len() / 2) as i32).to_le_bytes());
    out.extend(digits);
}
