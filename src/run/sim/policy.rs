//! Which of the runnable tasks comes next.
// INVARIANTS  I1 a policy chooses an index into the line, and never orders the line itself: so a choice is a step of a
//                schedule, and the same steps over `Fifo` give the same run.
//             I2 a task that yields (it was woken during its own poll) comes after all others: with `Lifo` each time,
//                with `Pct` once in four times. So one that spins until another has run does not hang the simulation.
use alloc::{collections::VecDeque, string::String, vec::Vec};

use super::{
    random::SplitMix64,
    schedule::{Act, Schedule, Step},
};

/// Which of the runnable tasks a [`Sim`](super::Sim) polls next.
///
/// | policy | next task | for |
/// |---|---|---|
/// | `Fifo` | the one that became runnable first, as in asyncio | examples, traces |
/// | `Lifo` | the one that became runnable last, those that yield last of all | what relies on asyncio's order |
/// | `Random` | any, drawn by the seed | finding orders nobody thought of |
/// | `Pct` | the one of highest priority; priorities are drawn, and lowered `depth - 1` times | rare orders of few tasks |
/// | `Replay` | as recorded | running a failure again |
///
/// Whatever the policy, the same program with the same seed runs in the same order.
///
/// # Examples
/// ```
/// use testudo::run::{Policy, Sim};
///
/// let sim = Sim::builder().policy(Policy::Random).seed(7).build();
/// assert_eq!(sim.block_on(async { 1 + 1 }).unwrap(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// In the order in which they became runnable.
    #[default]
    Fifo,
    /// In the reverse order; a task that yields comes after all others.
    Lifo,
    /// Any of them, drawn anew for each poll.
    Random,
    /// Probabilistic concurrency testing (Burckhardt and others, 2010): finds a bug that needs `depth` ordering
    /// constraints among n tasks and k polls with a probability of at least 1/(n k^(depth-1)) for each seed, when k is
    /// known, as `check` knows it. A task that yields is put behind all others once in four times.
    Pct {
        /// How many ordering constraints; 1 draws priorities only.
        depth: u32,
    },
    /// As recorded by [`Sim::schedule`](super::Sim::schedule); seed and spurious polls are the schedule's.
    Replay(Schedule),
}

/// How often a task is woken without a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spurious {
    Never,
    /// Before a poll, with this probability in units of 2^-32.
    Chance(u64),
    /// Before each n-th poll.
    Every(u64),
}

/// What was drawn for `Policy::Pct`.
#[derive(Debug)]
struct Pct {
    /// The polls before which the task that is next is put behind all others.
    changes: Vec<u64>,
}

#[derive(Debug)]
enum Rule {
    Fifo,
    Lifo,
    Random,
    Pct(Pct),
    Replay { steps: Vec<Step>, done: usize },
}

/// A policy at work.
#[derive(Debug)]
pub(super) struct Picker {
    rule: Rule,
    random: SplitMix64,
    spurious: Spurious,
    /// For each slot: the highest is next. Only for `Lifo` and `Pct`.
    ranks: Vec<i64>,
    count: i64,
}

impl Picker {
    /// `horizon`: how many polls the run will have, if that is known.
    pub(super) fn new(policy: Policy, seed: u64, spurious: Spurious, horizon: Option<u64>) -> Self {
        let mut random = SplitMix64::new(seed);
        let mut spurious = spurious;
        let rule = match policy {
            Policy::Fifo => Rule::Fifo,
            Policy::Lifo => Rule::Lifo,
            Policy::Random => Rule::Random,
            Policy::Pct { depth } => {
                // Where it is not known, all orders of magnitude are as likely.
                let change = |_| {
                    let horizon = horizon.unwrap_or_else(|| 4 << random.below(14));
                    random.below(horizon.max(1))
                };
                Rule::Pct(Pct { changes: (1..depth).map(change).collect() })
            }
            Policy::Replay(schedule) => {
                spurious = Spurious::Never;
                Rule::Replay { steps: schedule.steps().to_vec(), done: 0 }
            }
        };
        Self { rule, random, spurious, ranks: Vec::new(), count: 0 }
    }

    /// Whether the poll of this number may go to another task than the first in line.
    #[inline]
    pub(super) fn may_deviate(&self, poll: u64) -> bool {
        match &self.rule {
            Rule::Fifo => self.spurious != Spurious::Never,
            Rule::Replay { steps, done } => steps.get(*done).is_some_and(|step| step.at <= poll),
            Rule::Lifo | Rule::Random | Rule::Pct(_) => true,
        }
    }

    /// Whether it wants to know who comes in line.
    #[inline]
    pub(super) fn ranks(&self) -> bool {
        matches!(self.rule, Rule::Lifo | Rule::Pct(_))
    }

    fn rank(&mut self, slot: usize) -> &mut i64 {
        if self.ranks.len() <= slot {
            self.ranks.resize(slot + 1, 0);
        }
        &mut self.ranks[slot]
    }

    /// A task was born in this slot.
    pub(super) fn born(&mut self, slot: usize) {
        if let Rule::Pct(_) = self.rule {
            *self.rank(slot) = (self.random.next() >> 1) as i64;
        }
    }

    /// A task came in line; `yielded`: it was woken during its own poll, the last one.
    pub(super) fn came(&mut self, slot: usize, yielded: bool) {
        self.count += 1;
        let count = self.count;
        match &self.rule {
            Rule::Lifo => *self.rank(slot) = if yielded { -count } else { count }, // I2
            // I2: and below those that were lowered.
            Rule::Pct(pct) if yielded && self.random.below(4) == 0 => {
                *self.rank(slot) = -(pct.changes.len() as i64) - count;
            }
            _ => {}
        }
    }

    /// What is done before the poll of this number, besides the choice of its task; to be asked again after a `Wake` or
    /// a `Hold`.
    pub(super) fn before(&mut self, poll: u64, slots: usize) -> Option<Before> {
        if let Rule::Replay { steps, done } = &mut self.rule {
            *done += steps[*done..].iter().take_while(|step| step.at < poll).count();
            let step = steps.get(*done).filter(|step| step.at == poll)?;
            let before = match step.act {
                Act::Wake(task) => Before::Wake(task),
                Act::Hold => Before::Hold,
                Act::Take(_) => return None,
            };
            *done += 1;
            return Some(before);
        }
        let due = match self.spurious {
            Spurious::Never => false,
            Spurious::Chance(chance) => self.random.next() >> 32 < chance,
            Spurious::Every(n) => poll % n == n - 1,
        };
        due.then(|| Before::WakeFrom(self.random.below(slots as u64) as usize))
    }

    /// The index of the task to be polled next (I1).
    pub(super) fn pick(&mut self, poll: u64, queue: &VecDeque<usize>) -> usize {
        let highest = |ranks: &[i64]| (0..queue.len()).max_by_key(|&i| ranks[queue[i]]).unwrap_or(0);
        match &mut self.rule {
            Rule::Fifo => 0,
            Rule::Lifo => highest(&self.ranks),
            Rule::Random => self.random.below(queue.len() as u64) as usize,
            Rule::Pct(Pct { changes }) => {
                for (i, change) in changes.iter_mut().enumerate() {
                    if *change <= poll {
                        *change = u64::MAX;
                        let slot = queue[highest(&self.ranks)];
                        self.ranks[slot] = -(i as i64) - 1;
                    }
                }
                highest(&self.ranks)
            }
            Rule::Replay { steps, done } => match steps.get(*done) {
                Some(&Step { at, act: Act::Take(skipped) }) if at == poll => {
                    *done += 1;
                    skipped.min(queue.len() as u64 - 1) as usize
                }
                _ => 0,
            },
        }
    }
}

/// See [`Picker::before`].
pub(super) enum Before {
    /// The task of this number is woken for nothing.
    Wake(u64),
    /// The first blocked task from this slot on is.
    WakeFrom(usize),
    /// The first in line is put aside until no other can run.
    Hold,
}

/// The deviations so far.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    steps: Vec<Step>,
    /// The same in words, when somebody wants to read them.
    story: Option<Vec<String>>,
}

impl Recorder {
    pub(super) fn tell(&mut self) {
        self.story = Some(Vec::new());
    }

    pub(super) fn told(&self) -> bool {
        self.story.is_some()
    }

    pub(super) fn push(&mut self, at: u64, act: Act, words: Option<String>) {
        self.steps.push(Step { at, act });
        if let Some(story) = &mut self.story {
            story.extend(words);
        }
    }

    pub(super) fn schedule(&self, seed: u64) -> Schedule {
        Schedule::new(seed, self.steps.clone())
    }

    #[cfg(feature = "std")]
    pub(super) fn story(&self) -> Vec<String> {
        self.story.clone().unwrap_or_default()
    }
}
