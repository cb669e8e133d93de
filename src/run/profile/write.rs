//! Writers for trace viewers and flame graphs.
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use std::io::{self, Write};

use serde_json::{Value, json};

use super::model::{Outcome, Poll, Profile, Task, Wait};

/// Which time a flame graph shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// In polls.
    On,
    /// Between them: waiting, or woken and not polled yet.
    Off,
}

/// What a task does between two moments.
pub(super) struct Segment {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Running,
    /// Woken, and not polled yet.
    Runnable,
    /// For this resource, in this way.
    Waiting(usize, &'static str),
    /// For a task within.
    Child,
    /// For something that tells no probe.
    Other,
}

impl Profile {
    /// What a task did, without overlaps: when it waits for several things, for the one that is over first.
    pub(super) fn segments(&self, task: &Task) -> Vec<Segment> {
        let ended = task.ended.unwrap_or(self.end);
        let mut segments = Vec::new();
        let mut waits = task.waits.iter().map(|&wait| &self.waits[wait]).peekable();
        let mut wakes = task.wakes.iter().peekable();
        let mut open: Vec<&Wait> = Vec::new();
        let mut last_end = task.spawned;
        let end = Poll { begin: ended, end: ended, own: 0 };
        for (at, poll) in task.polls.iter().chain([&end]).enumerate() {
            while waits.peek().is_some_and(|wait| wait.begin <= last_end) {
                open.extend(waits.next());
            }
            open.retain(|wait| wait.end > last_end || wait.outcome == Outcome::Open);
            while wakes.peek().is_some_and(|wake| wake.poll < at) {
                wakes.next();
            }
            let woken = match wakes.peek() {
                _ if at == 0 => last_end,
                Some(wake) if wake.poll == at => wake.at.clamp(last_end, poll.begin.max(last_end)),
                _ => poll.begin,
            };
            let what = match open.iter().min_by_key(|wait| wait.end) {
                Some(wait) => What::Waiting(wait.resource, wait.verb),
                None if task.has_children => What::Child,
                None => What::Other,
            };
            for (begin, end, what) in
                [(last_end, woken, what), (woken, poll.begin, What::Runnable), (poll.begin, poll.end, What::Running)]
            {
                if end > begin {
                    segments.push(Segment { begin, end, what });
                }
            }
            last_end = poll.end.max(last_end);
        }
        segments
    }

    pub(super) fn what(&self, what: What) -> String {
        match what {
            What::Running => String::from("running"),
            What::Runnable => String::from("runnable"),
            What::Waiting(resource, verb) => self.verb(resource, verb),
            What::Child => String::from("waiting for a task within"),
            What::Other => String::from("waiting"),
        }
    }

    /// "Mutex::lock `stock`".
    fn verb(&self, resource: usize, verb: &str) -> String {
        let label = &self.labels[resource];
        format!("{verb} {}", label.split_once(' ').map_or(label.as_str(), |(_, name)| name))
    }

    /// Writes trace events as JSON: tasks are tracks, polls are slices, waits are asynchronous slices, wakes are arrows.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{block_on, profile::{ProfileExt, Recorder}};
    ///
    /// let recording = Recorder::new().start().unwrap();
    /// block_on(async {}.profiled("main"));
    /// let mut trace = Vec::new();
    /// recording.stop().write_chrome(&mut trace).unwrap();
    /// assert!(trace.starts_with(b"{\"traceEvents\":["));
    /// ```
    pub fn write_chrome(&self, mut out: impl Write) -> io::Result<()> {
        let micros = |ns: u64| ns as f64 / 1000.0;
        let meta = |tid: usize, name: &str| json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": tid, "args": {"name": name}});
        let mut list = List { out: &mut out, count: 0 };
        list.begin("{\"traceEvents\":[")?;
        list.add(&json!({"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "args": {"name": "tasks"}}))?;
        list.add(&meta(0, "(no task)"))?;
        let mut arrows = 0;
        for (at, task) in self.tasks.iter().enumerate() {
            let tid = at + 1;
            list.add(&meta(tid, &task.name))?;
            for poll in &task.polls {
                list.add(&json!({
                    "ph": "X", "cat": "poll", "name": task.name, "pid": 1, "tid": tid,
                    "ts": micros(poll.begin), "dur": micros(poll.end - poll.begin),
                }))?;
            }
            for wake in &task.wakes {
                let (Some(by), Some(poll)) = (wake.by, task.polls.get(wake.poll)) else { continue };
                arrows += 1;
                let (from, to) = (micros(wake.at), micros(poll.begin.max(wake.at)));
                list.add(&json!({"ph": "s", "cat": "wake", "name": "wake", "id": arrows, "pid": 1, "tid": by + 1, "ts": from}))?;
                list.add(&json!({
                    "ph": "f", "bp": "e", "cat": "wake", "name": "wake", "id": arrows, "pid": 1, "tid": tid, "ts": to,
                }))?;
            }
        }
        for (id, wait) in self.waits.iter().enumerate() {
            let (name, tid) = (self.verb(wait.resource, wait.verb), wait.task.map_or(0, |task| task + 1));
            let outcome = match wait.outcome {
                Outcome::Over => "over",
                Outcome::Cancelled => "cancelled",
                Outcome::Open => "not over",
            };
            list.add(&json!({
                "ph": "b", "cat": "wait", "name": name, "id": id, "pid": 1, "tid": tid, "ts": micros(wait.begin),
                "args": {"resource": self.labels[wait.resource], "outcome": outcome},
            }))?;
            list.add(&json!({
                "ph": "e", "cat": "wait", "name": name, "id": id, "pid": 1, "tid": tid, "ts": micros(wait.end),
            }))?;
        }
        writeln!(out, "\n],\"displayTimeUnit\":\"ns\",\"otherData\":{{\"dropped_events\":{}}}}}", self.dropped())
    }

    /// Writes folded stacks, a line each with its nanoseconds: input of `inferno` and `flamegraph.pl`.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{Sim, profile::{Cpu, Recorder}};
    ///
    /// let sim = Sim::new();
    /// let recording = Recorder::new().virtual_time().start().unwrap();
    /// sim.spawn_named("sleeper", sim.clock().sleep(core::time::Duration::from_micros(3)));
    /// sim.run_until_stalled();
    /// let mut folded = Vec::new();
    /// recording.stop().write_folded(Cpu::Off, &mut folded).unwrap();
    /// assert_eq!(String::from_utf8(folded).unwrap(), "sleeper;Clock::sleep #1 3000\n");
    /// ```
    pub fn write_folded(&self, cpu: Cpu, mut out: impl Write) -> io::Result<()> {
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        let name = |text: &str| text.replace([';', '\n', '\r'], ",");
        let path = |path: &[usize]| path.iter().map(|&at| name(&self.tasks[at].name)).collect::<Vec<_>>().join(";");
        match cpu {
            Cpu::On => {
                self.stacks.iter().for_each(|(stack, own)| *lines.entry(path(stack)).or_default() += own);
            }
            Cpu::Off => {
                for (at, task) in self.tasks.iter().enumerate() {
                    for segment in self.segments(task).iter().filter(|segment| segment.what != What::Running) {
                        let line = format!("{};{}", path(&[at]), name(&self.what(segment.what)));
                        *lines.entry(line).or_default() += segment.end - segment.begin;
                    }
                }
            }
        }
        lines.iter().filter(|&(_, ns)| *ns > 0).try_for_each(|(line, ns)| writeln!(out, "{line} {ns}"))
    }

    /// Writes speedscope's format: a profile for each task, in which it runs, waits for this or that, or is runnable.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::profile::Recorder;
    ///
    /// let mut json = Vec::new();
    /// Recorder::new().start().unwrap().stop().write_speedscope(&mut json).unwrap();
    /// assert!(String::from_utf8(json).unwrap().contains("speedscope"));
    /// ```
    pub fn write_speedscope(&self, mut out: impl Write) -> io::Result<()> {
        let (mut frames, mut numbers) = (Vec::new(), BTreeMap::new());
        let mut frame = |name: String| {
            *numbers.entry(name.clone()).or_insert_with(|| {
                frames.push(json!({"name": name}));
                frames.len() - 1
            })
        };
        // One event after the other: as one value they would take many times the memory of the profile.
        let (schema, version) = ("https://www.speedscope.app/file-format-schema.json", env!("CARGO_PKG_VERSION"));
        write!(out, "{{\"$schema\":\"{schema}\",\"exporter\":\"testudo {version}\",\"profiles\":[")?;
        for (nth, task) in self.tasks.iter().enumerate() {
            let (own, begin) = (frame(task.name.clone()), task.spawned);
            let (name, comma) = (Value::from(task.name.as_str()), if nth == 0 { "" } else { "," });
            write!(
                out,
                "{comma}\n{{\"type\":\"evented\",\"name\":{name},\"unit\":\"nanoseconds\",\"startValue\":{begin},"
            )?;
            write!(out, "\"events\":[{{\"type\":\"O\",\"frame\":{own},\"at\":{begin}}}")?;
            let mut last = task.ended.unwrap_or(self.end).max(begin);
            for Segment { begin, end, what } in self.segments(task) {
                let what = frame(self.what(what));
                write!(out, ",\n{{\"type\":\"O\",\"frame\":{what},\"at\":{begin}}}")?;
                write!(out, ",{{\"type\":\"C\",\"frame\":{what},\"at\":{end}}}")?;
                last = last.max(end);
            }
            write!(out, ",\n{{\"type\":\"C\",\"frame\":{own},\"at\":{last}}}],\"endValue\":{last}}}")?;
        }
        write!(out, "],\"shared\":{}}}", json!({"frames": frames}))
    }

    /// Writes who waited for whom at the end, as text; [`graph`](Profile::graph) has more forms.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::profile::Recorder;
    ///
    /// let mut text = Vec::new();
    /// Recorder::new().start().unwrap().stop().write_graph(&mut text).unwrap();
    /// ```
    pub fn write_graph(&self, out: impl Write) -> io::Result<()> {
        self.graph().write_text(out)
    }
}

/// A JSON array, written one by one.
struct List<'a, W> {
    out: &'a mut W,
    count: usize,
}

impl<W: Write> List<'_, W> {
    fn begin(&mut self, head: &str) -> io::Result<()> {
        self.out.write_all(head.as_bytes())
    }

    fn add(&mut self, value: &Value) -> io::Result<()> {
        self.out.write_all(if self.count == 0 { b"\n" } else { b",\n" })?;
        self.count += 1;
        serde_json::to_writer(&mut *self.out, value).map_err(io::Error::from)
    }
}
