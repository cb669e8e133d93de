//! The await graph as text, for Graphviz, and as JSON.
use alloc::{collections::BTreeSet, format, string::String, vec, vec::Vec};
use core::fmt;
use std::io::{self, Write};

use serde_json::json;

use super::build::{Cycle, Graph, Node, Waits};

/// What is still to be printed, the next last.
enum Line {
    Node { at: usize, depth: usize, prefix: String },
    Waits { of: usize, link: usize, depth: usize },
}

impl Graph {
    /// Those nobody waits for, then the others.
    fn roots(&self) -> Vec<usize> {
        let held: BTreeSet<usize> =
            self.nodes.iter().flat_map(|node| &node.links).flat_map(|wait| &wait.holders).map(|&(to, _)| to).collect();
        let (mut roots, rest): (Vec<_>, Vec<_>) = (0..self.nodes.len()).partition(|at| !held.contains(at));
        roots.extend(rest);
        roots
    }

    /// Writes it for Graphviz: `dot -Tsvg`. What is part of a cycle is red.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Examples
    /// ```
    /// let mut dot = Vec::new();
    /// testudo::graph::snapshot().write_dot(&mut dot).unwrap();
    /// assert!(dot.starts_with(b"digraph"));
    /// ```
    pub fn write_dot(&self, mut out: impl Write) -> io::Result<()> {
        let red: BTreeSet<_> = self.cycles().iter().flat_map(Cycle::links).map(|link| link.nodes).collect();
        writeln!(out, "digraph await {{\n  rankdir=LR; node [shape=box];")?;
        for (at, node) in self.nodes.iter().enumerate() {
            writeln!(out, "  t{at} [label={}];", quoted(&node.name))?;
            for (link, wait) in node.links.iter().enumerate() {
                let label = quoted(&format!("{}{}", wait.verb, since(wait)));
                if wait.holders.is_empty() {
                    writeln!(out, "  r{at}_{link} [shape=ellipse, label={}];", quoted(&wait.what))?;
                    writeln!(out, "  t{at} -> r{at}_{link} [label={label}];")?;
                }
                for &(to, _) in &wait.holders {
                    let color = if red.contains(&(at, to)) { ", color=red" } else { "" };
                    let label = quoted(&format!("{}: {}{}", wait.what, wait.verb, since(wait)));
                    writeln!(out, "  t{at} -> t{to} [label={label}{color}];")?;
                }
            }
        }
        writeln!(out, "}}")
    }

    /// Writes it as JSON: `now_ns`, `tasks` with what they wait for, `cycles`.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Examples
    /// ```
    /// let mut json = Vec::new();
    /// testudo::graph::snapshot().write_json(&mut json).unwrap();
    /// assert!(json.starts_with(b"{"));
    /// ```
    pub fn write_json(&self, out: impl Write) -> io::Result<()> {
        let ns = |time: core::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let waits = |wait: &Waits| {
            let holder = |&(to, time): &(usize, Option<_>)| json!({"task": to, "since_ns": time.map(ns)});
            json!({
                "on": wait.what, "verb": wait.verb, "since_ns": wait.since.map(ns), "last_notified_by": wait.teller,
                "held_by": wait.holders.iter().map(holder).collect::<Vec<_>>(),
            })
        };
        let task = |(id, node): (usize, &Node)| {
            let location = node.location.map(|location| format!("{location}"));
            let waits: Vec<_> = node.links.iter().map(waits).collect();
            json!({"id": id, "name": node.name, "location": location, "waits": waits})
        };
        let link = |link: &super::Link| json!({"task": link.waiter(), "on": link.resource(), "held_by": link.holder()});
        let cycle = |cycle: &Cycle| cycle.links().iter().map(link).collect::<Vec<_>>();
        let tasks: Vec<_> = self.nodes.iter().enumerate().map(task).collect();
        let cycles: Vec<_> = self.cycles().iter().map(cycle).collect();
        serde_json::to_writer(out, &json!({"now_ns": ns(self.now), "tasks": tasks, "cycles": cycles}))
            .map_err(io::Error::from)
    }

    /// Writes it as text, as `Display` does.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Examples
    /// ```
    /// testudo::graph::snapshot().write_text(std::io::stderr()).unwrap();
    /// ```
    pub fn write_text(&self, mut out: impl Write) -> io::Result<()> {
        write!(out, "{self}")
    }

    fn waits(&self, f: &mut fmt::Formatter<'_>, of: usize, link: usize, depth: usize) -> fmt::Result {
        let wait = &self.nodes[of].links[link];
        write!(f, "{:1$}", "", 2 * depth)?;
        write!(f, "waits for {} ({}){}", wait.what, wait.verb, since(wait))?;
        match &wait.teller {
            Some(teller) => writeln!(f, ", last notified by {teller}"),
            None => writeln!(f),
        }
    }
}

fn since(wait: &Waits) -> String {
    wait.since.map_or_else(String::new, |since| format!(" since {since:?}"))
}

/// A string of Graphviz; its escapes are those of Rust but for the quotes of characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printed = vec![false; self.nodes.len()];
        for root in self.roots() {
            if printed[root] {
                continue;
            }
            let mut stack = vec![Line::Node { at: root, depth: 0, prefix: String::new() }];
            while let Some(line) = stack.pop() {
                match line {
                    Line::Node { at, depth, prefix } => {
                        let node = &self.nodes[at];
                        write!(f, "{:1$}{prefix}{2}", "", 2 * depth, node.name)?;
                        if core::mem::replace(&mut printed[at], true) {
                            writeln!(f, ", see above")?;
                            continue;
                        }
                        match node.location {
                            Some(location) => writeln!(f, ", spawned at {location}")?,
                            None => writeln!(f)?,
                        }
                        let links = (0..node.links.len()).rev();
                        stack.extend(links.map(|link| Line::Waits { of: at, link, depth: depth + 1 }));
                    }
                    Line::Waits { of, link, depth } => {
                        self.waits(f, of, link, depth)?;
                        let holders = &self.nodes[of].links[link].holders;
                        stack.extend(holders.iter().rev().map(|&(at, since)| {
                            let prefix = since.map_or_else(String::new, |since| format!("held since {since:?} by "));
                            Line::Node { at, depth: depth + 1, prefix }
                        }));
                    }
                }
            }
        }
        self.cycles().iter().try_for_each(|cycle| writeln!(f, "{cycle}"))
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
