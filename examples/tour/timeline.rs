//! What a program said and when, compared with what CPython printed.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Lines that CPython printed at one time, and that nothing in the program puts in order among themselves.
///
/// The lines of a step all come before those of the next one, even where both have the same time.
pub struct Step {
    at: Duration,
    lines: &'static [&'static str],
}

/// A step, `at` given in milliseconds.
pub const fn step(at: u64, lines: &'static [&'static str]) -> Step {
    Step { at: Duration::from_millis(at), lines }
}

/// One line, and its time in the program's own clock.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    pub at: Duration,
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t={:.2}  {}", self.at.as_secs_f64(), self.text)
    }
}

/// The lines said so far, in order.
#[derive(Clone, Default)]
pub struct Timeline {
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Timeline {
    /// Appends a line; `clock` is read when no other line can come in between.
    pub fn say(&self, clock: impl FnOnce() -> Duration, text: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(Line { at: clock(), text });
    }

    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// How strictly lines are compared.
#[derive(Clone, Copy)]
pub enum Order {
    /// Times, and the order of all lines: CPython's run queue is first in, first out, and so is `Sim`'s.
    Exact,
    /// The order of steps: a real clock is never exact, and threads run side by side.
    Causal,
}

/// Compares, and if something differs returns a text that shows what: `-` is CPython's line, `+` is ours.
pub fn differences(cpython: &[Step], seen: &[Line], order: Order) -> Result<(), String> {
    let expected: Vec<Line> = cpython
        .iter()
        .flat_map(|step| step.lines.iter().map(|&text| Line { at: step.at, text: text.to_owned() }))
        .collect();
    let seen = match order {
        Order::Exact => seen.to_vec(),
        Order::Causal => arranged(cpython, seen),
    };
    let same = |a: &Line, b: &Line| a.text == b.text && (a.at == b.at || matches!(order, Order::Causal));
    if expected.len() == seen.len() && expected.iter().zip(&seen).all(|(a, b)| same(a, b)) {
        return Ok(());
    }
    let mut text = String::new();
    let mut rest = expected.iter();
    for line in &seen {
        // Lines that CPython has before this one, if it has this one, are missing.
        let missing = rest.clone().position(|expected| same(expected, line));
        text.extend(rest.by_ref().take(missing.unwrap_or(0)).map(|line| format!("    - {line}\n")));
        if missing.is_some() {
            rest.next();
        }
        text += &format!("    {} {line}\n", if missing.is_some() { ' ' } else { '+' });
    }
    text.extend(rest.map(|line| format!("    - {line}\n")));
    Err(text)
}

/// The lines seen, those of one step in CPython's order if they are the same ones.
fn arranged(cpython: &[Step], seen: &[Line]) -> Vec<Line> {
    let mut arranged = seen.to_vec();
    let mut rest = arranged.as_mut_slice();
    for step in cpython {
        let (now, later) = rest.split_at_mut(step.lines.len().min(rest.len()));
        now.sort_by_key(|line| step.lines.iter().position(|&text| text == line.text));
        rest = later;
    }
    arranged
}

/// Whether a line came so late that the next step may have begun: nearly half a second, the shortest step there is.
pub fn is_late(cpython: &[Step], seen: &[Line]) -> bool {
    let late = |line: &Line, step: &Step| line.at > step.at + Duration::from_millis(400);
    cpython
        .iter()
        .flat_map(|step| step.lines.iter().map(move |&text| (step, text)))
        .any(|(step, text)| seen.iter().any(|line| line.text == text && late(line, step)))
}
