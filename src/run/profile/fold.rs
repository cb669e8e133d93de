//! Events, one by one, folded into a model.
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use super::{
    model::{Outcome, Poll, Profile, Task, Wait, Woken},
    recorder::Stamped,
    stats::{ResourceStats, TaskStats},
};
use crate::{
    probe::{Event, Names, Resource, Subject, TaskId},
    run::graph::{Graph, Live},
};

impl Profile {
    /// The events of each thread, in their order.
    pub(super) fn new(
        buffers: Vec<Vec<Stamped>>,
        given: Names,
        names: &[(Subject, String)],
        end: u64,
        dropped: u64,
    ) -> Self {
        let mut events: Vec<Stamped> = buffers.into_iter().flatten().collect();
        events.sort_by_key(|stamped| stamped.at); // stable: each thread's keep their order
        let last = events.last().map_or(0, |stamped| stamped.at);
        let end = end.max(last);
        let mut builder = Builder { end, names: given, ..Builder::default() };
        let mut live = Live::default();
        for (subject, name) in names {
            live.name(*subject, name);
            match subject {
                Subject::Task(task) => drop(builder.task_names.insert(*task, name.clone())),
                Subject::Span(span) => builder.names.add(*span, name),
            }
        }
        for Stamped { at, event } in &events {
            live.set_now(Duration::from_nanos(*at));
            live.apply(event);
            builder.apply(*at, event);
        }
        live.set_now(Duration::from_nanos(end));
        let graph = Graph::of(&live, &builder.names);
        builder.finish(graph, events.len(), dropped)
    }
}

/// Where being overtaken means something.
const LINES: [&str; 5] = ["Mutex::lock", "Condition::lock", "Semaphore::acquire", "Queue::get", "Queue::put"];

/// A poll under way.
#[derive(Debug)]
struct Open {
    begin: u64,
    inner: u64,
    path: Vec<usize>,
}

#[derive(Default)]
struct Builder {
    end: u64,
    names: Names,
    task_names: BTreeMap<TaskId, String>,
    index: BTreeMap<TaskId, usize>,
    tasks: Vec<Task>,
    polling: BTreeMap<usize, Open>,
    stacks: BTreeMap<Vec<usize>, u64>,
    resources: BTreeMap<(usize, &'static str), usize>,
    stats: Vec<ResourceStats>,
    waits: Vec<Wait>,
    /// Of waits that are not over, by what tells them apart.
    open: BTreeMap<(usize, usize), usize>,
    lines: BTreeMap<(usize, &'static str), BTreeSet<usize>>,
    holds: BTreeMap<usize, Vec<(Option<usize>, u64, usize)>>,
    /// Where children have something: who waits there waits for them, by this verb.
    children: BTreeMap<usize, Resource>,
}

impl Builder {
    fn task(&mut self, id: TaskId, at: u64) -> usize {
        let (tasks, names) = (&mut self.tasks, &self.task_names);
        *self.index.entry(id).or_insert_with(|| {
            let name = names.get(&id).cloned().unwrap_or_else(|| format!("task-{}", id.number()));
            tasks.push(Task {
                name,
                location: None,
                within: None,
                has_children: false,
                spawned: at,
                ended: None,
                polls: Vec::new(),
                wakes: Vec::new(),
                waits: Vec::new(),
            });
            tasks.len() - 1
        })
    }

    /// What it is, if children have it: a wait for them.
    fn seen(&self, on: Resource) -> Resource {
        self.children.get(&on.address()).copied().unwrap_or(on)
    }

    fn resource(&mut self, on: Resource, at: u64) -> usize {
        let address = if on.task().is_some() { on.address() } else { self.names.canonical(on) };
        if let Some(&known) = self.resources.get(&(address, on.kind())) {
            return known;
        }
        let name = match (on.task(), self.names.find(on)) {
            (Some(task), _) => {
                let task = self.task(task, at);
                format!("Task `{}`", self.tasks[task].name)
            }
            (None, Some((_, name))) => format!("{} `{name}`", on.kind()),
            (None, None) => {
                let before = self.resources.keys().filter(|(_, kind)| *kind == on.kind()).count();
                format!("{} #{}", on.kind(), before + 1)
            }
        };
        self.stats.push(ResourceStats { name, ..ResourceStats::default() });
        self.resources.insert((address, on.kind()), self.stats.len() - 1);
        self.stats.len() - 1
    }

    fn apply(&mut self, at: u64, event: &Event) {
        match *event {
            Event::Spawned { task, location, .. } => {
                let task = self.task(task, at);
                self.tasks[task].location = Some(location);
            }
            Event::PollBegin { task, within } => self.begin(task, within, at),
            Event::PollEnd { task } => self.poll_end(task, at),
            Event::Woken { task, by } => {
                let (task, by) = (self.task(task, at), by.map(|by| self.task(by, at)));
                let poll = self.tasks[task].polls.len() + usize::from(self.polling.contains_key(&task));
                self.tasks[task].wakes.push(Woken { at, by, poll });
            }
            Event::Blocked { task, on, wait } => self.blocked(task, on, wait, at),
            Event::Resumed { on, wait, .. } => self.over(on, wait, at, Outcome::Over),
            Event::Cancelled { on, wait, .. } => self.over(on, wait, at, Outcome::Cancelled),
            Event::Acquired { task, on, n } => {
                if on.is_children() {
                    self.children.insert(on.address(), on);
                }
                let (task, resource) = (task.map(|task| self.task(task, at)), self.resource(on, at));
                self.holds.entry(resource).or_default().push((task, at, n));
            }
            Event::Released { task, on, n } => self.released(task, on, n, at),
            Event::Completed { task } | Event::Dropped { task } => {
                let task = self.task(task, at);
                self.tasks[task].ended.get_or_insert(at);
            }
            _ => {}
        }
    }

    fn begin(&mut self, task: TaskId, within: Option<TaskId>, at: u64) {
        let (task, within) = (self.task(task, at), within.map(|within| self.task(within, at)));
        self.tasks[task].within = within;
        let mut path = Vec::new();
        if let Some(within) = within {
            self.tasks[within].has_children = true;
            path = self.polling.get(&within).map_or(path, |open| open.path.clone());
        }
        path.push(task);
        self.polling.insert(task, Open { begin: at, inner: 0, path });
    }

    fn poll_end(&mut self, task: TaskId, at: u64) {
        let task = self.task(task, at);
        let Some(open) = self.polling.remove(&task) else { return };
        let all = at.saturating_sub(open.begin);
        let own = all.saturating_sub(open.inner);
        self.tasks[task].polls.push(Poll { begin: open.begin, end: at, own });
        if let [.., outer, _] = open.path[..] {
            if let Some(outer) = self.polling.get_mut(&outer) {
                outer.inner += all;
            }
        }
        *self.stacks.entry(open.path).or_default() += own;
    }

    fn blocked(&mut self, task: Option<TaskId>, on: Resource, wait: usize, at: u64) {
        let on = self.seen(on);
        if self.open.contains_key(&(on.address(), wait)) {
            self.over(on, wait, at, Outcome::Over); // parked aside after it had waited for the lock
        }
        let (task, resource) = (task.map(|task| self.task(task, at)), self.resource(on, at));
        let number = self.waits.len();
        self.waits.push(Wait { task, resource, verb: on.verb(), begin: at, end: self.end, outcome: Outcome::Open });
        if let Some(task) = task {
            self.tasks[task].waits.push(number);
        }
        self.open.insert((on.address(), wait), number);
        if LINES.contains(&on.verb()) {
            self.lines.entry((resource, on.verb())).or_default().insert(number);
        }
    }

    fn over(&mut self, on: Resource, wait: usize, at: u64, outcome: Outcome) {
        let number = self.open.remove(&(on.address(), wait));
        if number.is_none() && outcome == Outcome::Cancelled {
            return; // it had not begun
        }
        let on = self.seen(on);
        let resource = match number {
            Some(number) => self.waits[number].resource,
            None => self.resource(on, at),
        };
        if outcome == Outcome::Over {
            let verb = number.map_or(on.verb(), |number| self.waits[number].verb);
            let first = self.lines.get(&(resource, verb)).and_then(BTreeSet::first);
            let is_late = first.is_some_and(|&first| number.is_none_or(|number| first < number));
            self.stats[resource].overtakings += usize::from(is_late);
        }
        match number {
            Some(number) => {
                let wait = &mut self.waits[number];
                (wait.end, wait.outcome) = (at, outcome);
                if let Some(line) = self.lines.get_mut(&(resource, wait.verb)) {
                    line.remove(&number);
                }
                self.stats[resource].cancelled += usize::from(outcome == Outcome::Cancelled);
            }
            None => self.stats[resource].uncontended += usize::from(outcome == Outcome::Over),
        }
    }

    fn released(&mut self, task: Option<TaskId>, on: Resource, mut n: usize, at: u64) {
        let (task, resource) = (task.map(|task| self.task(task, at)), self.resource(on, at));
        let Some(holds) = self.holds.get_mut(&resource) else { return };
        while n > 0 {
            let own = holds.iter().rposition(|&(holder, ..)| holder == task);
            let Some(which) = own.or(holds.len().checked_sub(1)) else { break };
            let (holder, since, left) = &mut holds[which];
            let taken = n.min(*left);
            n -= taken;
            *left -= taken;
            let (time, longest) = (at.saturating_sub(*since), &mut self.stats[resource].longest);
            if time > longest.0 || longest.1.is_none() {
                *longest = (time, holder.map(|holder| self.tasks[holder].name.clone()).or(longest.1.take()));
            }
            if *left == 0 {
                holds.remove(which);
            }
        }
        if holds.is_empty() && on.is_children() {
            self.children.remove(&on.address());
        }
    }

    fn finish(mut self, graph: Graph, events: usize, dropped: u64) -> Profile {
        for wait in &self.waits {
            self.stats[wait.resource].waits.push(wait.end.saturating_sub(wait.begin));
        }
        self.stats.iter_mut().for_each(|stats| stats.waits.sort_unstable());
        let labels = self.stats.iter().map(|stats| stats.name.to_string()).collect();
        self.stats.sort_by_key(|stats| core::cmp::Reverse(stats.waited()));
        let length = |poll: &Poll| poll.end - poll.begin;
        let stats = |task: &Task| TaskStats {
            name: task.name.clone(),
            polls: task.polls.len(),
            busy: task.polls.iter().map(length).sum(),
            longest: task.polls.iter().map(length).max().unwrap_or(0),
        };
        Profile {
            task_stats: self.tasks.iter().map(stats).collect(),
            tasks: self.tasks,
            waits: self.waits,
            labels,
            stacks: self.stacks,
            end: self.end,
            resource_stats: self.stats,
            graph,
            events,
            dropped,
        }
    }
}
