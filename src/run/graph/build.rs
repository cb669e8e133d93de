//! A copy of the await graph, and its cycles.
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec,
    vec::Vec,
};
use core::{fmt, panic::Location, time::Duration};

use super::live::{Live, Wait};
use crate::probe::{Names, TaskId};

/// A task, and what it waits for.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) location: Option<&'static Location<'static>>,
    pub(super) links: Vec<Waits>,
}

/// One wait of a task.
#[derive(Clone, Debug)]
pub(super) struct Waits {
    /// "Mutex `stock`", or the child.
    pub(super) what: String,
    pub(super) verb: &'static str,
    pub(super) since: Option<Duration>,
    /// Who has it, or is waited for; indices of nodes, since when.
    pub(super) holders: Vec<(usize, Option<Duration>)>,
    /// Who told its waiters something last.
    pub(super) teller: Option<String>,
}

/// What was the case at some moment: who waits for what, who has it, since when.
///
/// Printed, it is a text tree, in which each task is there once, and then the cycles.
///
/// # Examples
/// ```
/// use testudo::{Mutex, run::Sim};
///
/// static A: Mutex<()> = Mutex::new(());
/// static B: Mutex<()> = Mutex::new(());
///
/// let sim = Sim::new();
/// let clock = sim.clock();
/// for (name, first, second) in [("left", &A, &B), ("right", &B, &A)] {
///     let clock = clock.clone();
///     sim.spawn_named(name, async move {
///         let _first = first.lock().await;
///         clock.sleep(core::time::Duration::from_secs(1)).await;
///         let _second = second.lock().await;
///     });
/// }
/// let stall = sim.run_until_stalled().unwrap();
/// let cycle = &stall.graph().cycles()[0];
/// assert_eq!(cycle.links().iter().map(|link| link.holder()).collect::<Vec<_>>(), ["right", "left"]);
/// ```
#[derive(Clone, Default)]
pub struct Graph {
    pub(super) now: Duration,
    pub(super) nodes: Vec<Node>,
    cycles: Vec<Cycle>,
}

/// Tasks that wait for each other.
#[derive(Clone, Debug)]
pub struct Cycle {
    links: Vec<Link>,
}

/// One step around a [`Cycle`]: who waits for what, and who has it.
#[derive(Clone, Debug)]
pub struct Link {
    waiter: String,
    what: String,
    holder: String,
    pub(super) nodes: (usize, usize),
}

impl Link {
    /// Returns the name of the task that waits.
    pub fn waiter(&self) -> &str {
        &self.waiter
    }

    /// Returns what it waits for.
    pub fn resource(&self) -> &str {
        &self.what
    }

    /// Returns the name of the task that has it.
    pub fn holder(&self) -> &str {
        &self.holder
    }
}

impl Cycle {
    /// Returns the steps: the holder of each is the waiter of the next.
    pub fn links(&self) -> &[Link] {
        &self.links
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cycle: ")?;
        self.links.iter().enumerate().try_for_each(|(i, Link { waiter, what, holder, .. })| {
            let sep = if i == 0 { "" } else { "; " };
            write!(f, "{sep}{waiter} waits for {what}, which {holder} has")
        })
    }
}

impl Graph {
    /// Returns the cycles: none of their tasks can ever go on, unless a wait is cancelled.
    pub fn cycles(&self) -> &[Cycle] {
        &self.cycles
    }

    /// Returns the names of the tasks, in the order in which they were made.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| &*node.name)
    }

    /// Says whether no task waits for anything that is known.
    pub fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| node.links.is_empty())
    }

    /// Returns when this was, since the watch or the simulation began.
    pub fn now(&self) -> Duration {
        self.now
    }

    pub(crate) fn of(live: &Live, names: &Names) -> Self {
        let mut graph = Builder::new(live, names).build();
        graph.cycles = graph.find_cycles();
        graph
    }

    fn find_cycles(&self) -> Vec<Cycle> {
        let next: Vec<Vec<(usize, usize)>> = self.nodes.iter().map(edges).collect();
        let mut cycles = Vec::new();
        let mut done = BTreeSet::new();
        for start in 0..self.nodes.len() {
            // The path, with how many edges of each node were followed.
            let mut path: Vec<(usize, usize)> = vec![(start, 0)];
            let mut on_path = BTreeSet::from([start]);
            while let Some(&mut (node, ref mut followed)) = path.last_mut() {
                let edge = next[node].get(*followed).copied().filter(|_| !done.contains(&node));
                *followed += 1;
                match edge {
                    Some((_, to)) if on_path.contains(&to) => cycles.push(self.cycle(&path, &next, to)),
                    Some((_, to)) if !done.contains(&to) => {
                        path.push((to, 0));
                        on_path.insert(to);
                    }
                    Some(_) => {}
                    None => {
                        path.pop();
                        on_path.remove(&node);
                        done.insert(node);
                    }
                }
            }
        }
        cycles
    }

    /// The end of the path from `to` on.
    fn cycle(&self, path: &[(usize, usize)], next: &[Vec<(usize, usize)>], to: usize) -> Cycle {
        let begin = path.iter().position(|&(node, _)| node == to).unwrap_or(0);
        let links = path[begin..].iter().map(|&(node, followed)| {
            let (wait, holder) = next[node][followed - 1];
            let [waiter, holder_name] = [node, holder].map(|node| self.nodes[node].name.clone());
            let what = self.nodes[node].links[wait].what.clone();
            Link { waiter, what, holder: holder_name, nodes: (node, holder) }
        });
        Cycle { links: links.collect() }
    }
}

/// Which wait leads to which task.
fn edges(node: &Node) -> Vec<(usize, usize)> {
    let of = |(i, wait): (usize, &Waits)| wait.holders.iter().map(move |&(to, _)| (i, to)).collect::<Vec<_>>();
    node.links.iter().enumerate().flat_map(of).collect()
}

struct Builder<'a> {
    live: &'a Live,
    names: &'a Names,
    index: BTreeMap<Option<TaskId>, usize>,
    nodes: Vec<Node>,
    /// Numbers for what has no name.
    numbers: BTreeMap<usize, usize>,
    /// How many tasks have a name.
    namesakes: BTreeMap<&'a str, usize>,
}

impl<'a> Builder<'a> {
    fn new(live: &'a Live, names: &'a Names) -> Self {
        let mut namesakes = BTreeMap::new();
        let given = live.tasks.values().filter_map(|task| task.name.as_deref());
        given.for_each(|name| *namesakes.entry(name).or_default() += 1);
        Self { live, names, index: BTreeMap::new(), nodes: Vec::new(), numbers: BTreeMap::new(), namesakes }
    }

    fn build(mut self) -> Graph {
        let live = self.live;
        for &task in live.tasks.keys() {
            self.node(Some(task));
        }
        let mut waits: Vec<&Wait> = live.waits.values().collect();
        waits.sort_unstable_by_key(|wait| wait.number);
        for wait in waits {
            let node = self.node(wait.task);
            let waits = self.waits(wait);
            self.nodes[node].links.push(waits);
        }
        for (&child, task) in &live.tasks {
            if let Some(outer) = task.within.filter(|outer| live.tasks.contains_key(outer)) {
                let (outer, child) = (self.node(Some(outer)), self.node(Some(child)));
                let leads = |wait: &Waits| wait.holders.iter().any(|&(to, _)| to == child);
                if self.nodes[outer].links.iter().any(leads) {
                    continue; // it waits for its group
                }
                let what = format!("child {}", self.nodes[child].name);
                let holders = vec![(child, None)];
                self.nodes[outer].links.push(Waits { what, verb: "await", since: None, holders, teller: None });
            }
        }
        Graph { now: live.now, nodes: self.nodes, cycles: Vec::new() }
    }

    fn node(&mut self, task: Option<TaskId>) -> usize {
        let (live, nodes, namesakes) = (self.live, &mut self.nodes, &self.namesakes);
        *self.index.entry(task).or_insert_with(|| {
            let known = task.and_then(|task| live.tasks.get(&task));
            let name = match task {
                None => String::from("(no task)"),
                Some(id) => match known.and_then(|task| task.name.as_deref()) {
                    Some(name) if namesakes.get(name).is_some_and(|&n| n > 1) => format!("{name} #{}", id.number()),
                    Some(name) => String::from(name),
                    None => format!("task-{}", id.number()),
                },
            };
            nodes.push(Node { name, location: known.and_then(|task| task.location), links: Vec::new() });
            nodes.len() - 1
        })
    }

    fn waits(&mut self, wait: &Wait) -> Waits {
        let (live, since) = (self.live, Some(wait.since));
        // Who waits where children have something waits for the children.
        let children =
            live.holds.get(&wait.on.address()).and_then(|holds| holds.iter().find(|hold| hold.on.is_children()));
        let on = children.map_or(wait.on, |hold| hold.on);
        if let Some(task) = on.task() {
            let node = self.node(Some(task));
            let what = format!("task {}", self.nodes[node].name);
            return Waits { what, verb: on.verb(), since, holders: vec![(node, None)], teller: None };
        }
        let address = self.names.canonical(on);
        let what = match self.names.find(on) {
            Some((_, name)) => format!("{} `{name}`", on.kind()),
            None => {
                let count = self.numbers.len() + 1;
                format!("{} #{}", on.kind(), self.numbers.entry(address).or_insert(count))
            }
        };
        // Who waits to be notified does not wait for who has the lock.
        let is_notified = on.kind() == "Condition" && on.verb() != "Condition::lock";
        let mut holders = Vec::new();
        let names = self.names;
        let holds = live.holds.values().flatten();
        for hold in holds.filter(|hold| !is_notified && names.canonical(hold.on) == address) {
            holders.push((self.node(hold.task), Some(hold.since)));
        }
        let teller = live.tellers.get(&on.address()).map(|&task| self.node(Some(task)));
        let teller = teller.map(|node| self.nodes[node].name.clone());
        Waits { what, verb: on.verb(), since, holders, teller }
    }
}
