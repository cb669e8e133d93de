//! A schedule as data: where a run left the order of asyncio.
// INVARIANTS  I1 steps are sorted by poll; of one poll, wakes come first, then holds, then one take at most.
use alloc::vec::Vec;
use core::{
    error::Error,
    fmt::{self, Write},
    num::ParseIntError,
    str::FromStr,
};

/// What happened before a poll that [`Policy::Fifo`](super::Policy::Fifo) would not have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Act {
    /// The task of this number was woken without a reason.
    Wake(u64),
    /// The task at the head of the line was put aside until no other could run.
    Hold,
    /// So many tasks at the head of the line were sent to its end.
    Take(u64),
}

/// One deviation, before the poll of this number (the first poll is 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Step {
    pub(super) at: u64,
    pub(super) act: Act,
}

/// The order in which a [`Sim`](super::Sim) polled its tasks, as a short text that can be run again.
///
/// It holds the seed, and only what differs from [`Policy::Fifo`](super::Policy::Fifo), each with the number of polls
/// that were made before:
///
/// | text | reads |
/// |---|---|
/// | `7:` | seed 7, and asyncio's order from beginning to end |
/// | `7:3+1` | after 3 polls the first task in line went to its end |
/// | `7:3h` | after 3 polls the first task in line was put aside until no other could run |
/// | `7:3+1,9w2` | and after 9 polls task 2 was woken for nothing |
///
/// A step that is impossible when it is run again, as the program or the steps before it changed, does what is nearest,
/// or nothing. The text needs no quotes in a shell.
///
/// # Examples
/// ```
/// use testudo::run::{Policy, Schedule, Sim};
///
/// let sim = Sim::builder().policy(Policy::Lifo).build();
/// (0..3).for_each(|_| sim.spawn(async {}).detach());
/// sim.run_until_stalled();
/// assert_eq!(sim.schedule().to_string(), "0:0+2,1+1");
///
/// let schedule: Schedule = "0:0+2,1+1".parse().unwrap();
/// let again = Sim::builder().policy(Policy::Replay(schedule)).build();
/// (0..3).for_each(|_| again.spawn(async {}).detach());
/// again.run_until_stalled();
/// assert_eq!(again.schedule_hash(), sim.schedule_hash());
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Schedule {
    seed: u64,
    steps: Vec<Step>,
}

impl Schedule {
    /// Brings the steps in order (I1).
    pub(super) fn new(seed: u64, mut steps: Vec<Step>) -> Self {
        let place = |act| match act {
            Act::Wake(_) => 0,
            Act::Hold => 1,
            Act::Take(_) => 2,
        };
        steps.sort_by_key(|step| (step.at, place(step.act)));
        steps.dedup_by(|next, step| next.at == step.at && matches!((next.act, step.act), (Act::Take(_), Act::Take(_))));
        Self { seed, steps }
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns the seed of the run, see [`Sim::seed`](super::Sim::seed).
    ///
    /// # Examples
    /// ```
    /// let schedule: testudo::run::Schedule = "7:3+1".parse().unwrap();
    /// assert_eq!(schedule.seed(), 7);
    /// ```
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the number of steps: how often the run left the order of [`Policy::Fifo`](super::Policy::Fifo).
    ///
    /// # Examples
    /// ```
    /// let schedule: testudo::run::Schedule = "7:3+1,9w2".parse().unwrap();
    /// assert_eq!(schedule.len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Returns whether it is the schedule of [`Policy::Fifo`](super::Policy::Fifo).
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.block_on(async {}).unwrap();
    /// assert!(sim.schedule().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.seed)?;
        for (i, step) in self.steps.iter().enumerate() {
            if i > 0 {
                f.write_char(',')?;
            }
            match step.act {
                Act::Take(skipped) => write!(f, "{}+{skipped}", step.at)?,
                Act::Wake(task) => write!(f, "{}w{task}", step.at)?,
                Act::Hold => write!(f, "{}h", step.at)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule(\"{self}\")")
    }
}

/// The text is not that of a [`Schedule`].
///
/// # Examples
/// ```
/// use testudo::run::{InvalidSchedule, Schedule};
///
/// assert_eq!("seven".parse::<Schedule>(), Err(InvalidSchedule));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InvalidSchedule;

impl fmt::Display for InvalidSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a schedule, which looks like 7:3+1,9w2")
    }
}

impl Error for InvalidSchedule {}

impl From<ParseIntError> for InvalidSchedule {
    fn from(_: ParseIntError) -> Self {
        Self
    }
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let (seed, rest) = text.trim().split_once(':').ok_or(InvalidSchedule)?;
        let seed = seed.parse()?;
        if rest.is_empty() {
            return Ok(Self { seed, steps: Vec::new() });
        }
        let step = |text: &str| {
            if let Some((at, skipped)) = text.split_once('+') {
                return Ok(Step { at: at.parse()?, act: Act::Take(skipped.parse()?) });
            }
            if let Some(at) = text.strip_suffix('h') {
                return Ok(Step { at: at.parse()?, act: Act::Hold });
            }
            let (at, task) = text.split_once('w').ok_or(InvalidSchedule)?;
            Ok(Step { at: at.parse()?, act: Act::Wake(task.parse()?) })
        };
        let steps: Result<_, InvalidSchedule> = rest.split(',').map(step).collect();
        Ok(Self::new(seed, steps?))
    }
}
