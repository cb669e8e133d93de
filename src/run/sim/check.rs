//! Running a program under many schedules, and reporting the shortest that breaks it.
// STATE       run: many cases --T1 one failed--> shrink (shrink.rs) --T2 the last run tells its story--> Failure
// INVARIANTS  I1 a case is determined by its seed and its policy, so the schedule it recorded is all that a replay needs.
//             I2 the program is run from the beginning each time, in a simulation of its own; a panic ends that run only.
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::{any::Any, error::Error, fmt};

use super::{Policy, Schedule, Sim, SimBuilder, Stall, quiet::catch, shrink};

/// The environment variable that makes [`check`](fn@check) run one schedule only.
const REPLAY: &str = "TESTUDO_REPLAY";
/// What a program may poll in one run: who needs more is stuck in a circle.
const MAX_POLLS: u64 = 1_000_000;

/// Runs a program under `n` schedules, and panics with the shortest schedule that makes it fail, if there is one.
///
/// The program gets a fresh [`Sim`] each time. It may spawn tasks and return, or run them itself; what is left
/// afterwards is run to its end. It fails when anything panics, when it returns an error, when a task waits for ever
/// (cancel those that are meant to), and when it polls a million times. The first schedules are asyncio's order and
/// its reverse; then come [`Policy::Random`], with and without spurious polls, and [`Policy::Pct`]. The first few are
/// run twice, and must take the same course, unless there is an [`External`](super::External).
///
/// The message names the steps in words, and ends in a line that runs just this failure again: set the environment
/// variable as it says, or call [`replay`]. Panics are printed then, with a backtrace if wanted, but not in the search.
///
/// # Panics
/// When the program fails.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use testudo::{Mutex, run::check};
///
/// check(50, |sim| {
///     let sum = Rc::new(Mutex::new(0));
///     for _ in 0..3 {
///         let sum = sum.clone();
///         sim.spawn(async move { *sum.lock().await += 1 });
///     }
///     sim.run_until_stalled();
///     assert_eq!(*sum.try_lock().unwrap(), 3);
/// });
/// ```
#[track_caller]
pub fn check<V: Verdict>(n: usize, program: impl FnMut(&Sim) -> V) {
    Check::new(n).run(program);
}

/// Runs a program under the one schedule that this line stands for, as [`check`](fn@check) printed it.
///
/// # Panics
/// When the program fails, and when the line is not a schedule.
///
/// # Examples
/// ```
/// use testudo::run::replay;
///
/// replay("0:0+1", |sim| {
///     let tasks = [1, 2].map(|n| sim.spawn(async move { n }));
///     for task in tasks {
///         sim.block_on(task).unwrap().unwrap();
///     }
/// });
/// ```
#[track_caller]
pub fn replay<V: Verdict>(line: &str, program: impl FnMut(&Sim) -> V) {
    let schedule = parse(line);
    if let Err(failure) = Check::new(1).replay(&schedule, program) {
        panic!("{failure}");
    }
}

#[track_caller]
fn parse(line: &str) -> Schedule {
    match line.parse() {
        Ok(schedule) => schedule,
        Err(error) => panic!("{line:?} is {error}"),
    }
}

/// What a program for [`check`](fn@check) may return: nothing, or a `Result` whose error is a failure.
///
/// # Examples
/// ```
/// use testudo::run::Verdict;
///
/// assert!(Ok::<(), &str>(()).verdict().is_ok());
/// assert_eq!(Err::<(), _>("late").verdict().unwrap_err().to_string(), "error: \"late\"");
/// ```
pub trait Verdict {
    /// Returns the reason of the failure, if it is one.
    ///
    /// # Errors
    /// When the program failed.
    fn verdict(self) -> Result<(), Cause>;
}

impl Verdict for () {
    fn verdict(self) -> Result<(), Cause> {
        Ok(())
    }
}

impl<T: Verdict, E: fmt::Debug + 'static> Verdict for Result<T, E> {
    fn verdict(self) -> Result<(), Cause> {
        match self {
            Ok(inner) => inner.verdict(),
            Err(error) => Err(match (&error as &dyn Any).downcast_ref::<Stall>() {
                Some(stall) => Cause::Stall(stall.clone()),
                None => Cause::Error(format!("{error:?}")),
            }),
        }
    }
}

/// Why a program failed.
///
/// # Examples
/// ```
/// use testudo::run::{Cause, Check};
///
/// let failure = Check::new(1).try_run(|_| -> () { panic!("no") }).unwrap_err();
/// assert!(matches!(failure.cause(), Cause::Panic(text) if text.starts_with("no (at ")));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The program, a task, or a destructor panicked with this text.
    Panic(String),
    /// Tasks wait for ever.
    Stall(Stall),
    /// The program returned an error; this is its debug text.
    Error(String),
    /// The same seed gave two different runs: the program depends on something outside of the simulation.
    NotDeterministic,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(text) => write!(f, "panic: {text}"),
            Self::Stall(stall) => fmt::Display::fmt(stall, f),
            Self::Error(text) => write!(f, "error: {text}"),
            Self::NotDeterministic => f.write_str(
                "the same seed gave two different runs (hash maps, threads, real time, state kept between the runs?)",
            ),
        }
    }
}

/// How [`Check`] found a program failing: why, and the shortest schedule with which it does.
///
/// Its `Display` text is what [`check`](fn@check) panics with.
///
/// # Examples
/// ```
/// use testudo::run::{Check, Sim};
///
/// let program = |sim: &Sim| sim.spawn(core::future::pending::<()>()).detach();
/// let failure = Check::new(10).try_run(program).unwrap_err();
/// assert!(failure.schedule().is_empty(), "it fails under every schedule");
/// assert!(failure.to_string().contains("TESTUDO_REPLAY=0:"));
/// assert!(Check::new(10).replay(failure.schedule(), program).is_err());
/// ```
#[derive(Clone)]
pub struct Failure(Box<Report>);

#[derive(Clone)]
struct Report {
    cause: Cause,
    schedule: Schedule,
    hash: u64,
    story: Vec<String>,
    /// Which case, with which policy, and how many steps it had; none for a replay.
    found: Option<(usize, Policy, usize)>,
    runs: usize,
}

impl Failure {
    /// Returns the reason.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Check;
    ///
    /// let failure = Check::new(1).try_run(|_| Err::<(), _>(5)).unwrap_err();
    /// assert_eq!(failure.cause().to_string(), "error: 5");
    /// ```
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// Returns the shortest schedule that was found to fail.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Check;
    ///
    /// let failure = Check::new(1).seed(7).try_run(|_| -> () { panic!("no") }).unwrap_err();
    /// assert_eq!(failure.schedule().to_string(), "7:");
    /// ```
    pub fn schedule(&self) -> &Schedule {
        &self.0.schedule
    }

    /// Returns the [hash](Sim::schedule_hash) of the run that failed with that schedule.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{Check, Sim};
    ///
    /// let failure = Check::new(1).try_run(|_| -> () { panic!("no") }).unwrap_err();
    /// assert_eq!(failure.schedule_hash(), Sim::new().schedule_hash());
    /// ```
    pub fn schedule_hash(&self) -> u64 {
        self.0.hash
    }

    /// Returns the steps of the schedule in words, with the names of the tasks.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Check;
    ///
    /// let failure = Check::new(1).try_run(|_| -> () { panic!("no") }).unwrap_err();
    /// assert!(failure.story().is_empty());
    /// ```
    pub fn story(&self) -> &[String] {
        &self.0.story
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.0.cause)?;
        if let Some((case, policy, steps)) = &self.0.found {
            writeln!(
                f,
                "  in case {case} ({policy:?}), {steps} steps shrunk to {} in {} runs:",
                self.0.schedule.len(),
                self.0.runs
            )?;
        }
        for words in &self.0.story {
            writeln!(f, "  {words}")?;
        }
        let line = &self.0.schedule;
        write!(f, "  run it again with {REPLAY}={line} or testudo::run::replay(\"{line}\", ...)")
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `unwrap` prints this one, and is where most people meet it.
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failure {}

/// One run, and what came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) cause: Option<Cause>,
    pub(super) schedule: Schedule,
    pub(super) hash: u64,
    pub(super) polls: u64,
    outside: bool,
    story: Vec<String>,
}

/// [`check`](fn@check) with choices.
///
/// # Examples
/// ```
/// use testudo::run::{Check, Policy};
///
/// Check::new(20).seed(100).policies([Policy::Pct { depth: 3 }]).run(|sim| {
///     sim.spawn(async {}).detach();
/// });
/// ```
#[derive(Clone, Debug)]
#[must_use = "a check does nothing until `run`"]
pub struct Check {
    cases: usize,
    seed: u64,
    policies: Vec<Policy>,
    max_polls: u64,
}

impl Check {
    /// Prepares a check of `n` schedules.
    ///
    /// # Examples
    /// ```
    /// assert!(testudo::run::Check::new(3).try_run(|_| ()).is_ok());
    /// ```
    pub fn new(n: usize) -> Self {
        Self { cases: n, seed: 0, policies: Vec::new(), max_polls: MAX_POLLS }
    }

    /// Sets the seed of the first case, 0 if this is not called; the next one has the next seed.
    ///
    /// # Examples
    /// ```
    /// testudo::run::Check::new(1).seed(7).run(|sim| assert_eq!(sim.seed(), 7));
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the policies, of which the cases take one after the other.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{Check, Policy};
    ///
    /// Check::new(2).policies([Policy::Fifo, Policy::Lifo]).run(|sim| sim.spawn(async {}).detach());
    /// ```
    pub fn policies(mut self, policies: impl IntoIterator<Item = Policy>) -> Self {
        self.policies = policies.into_iter().collect();
        self
    }

    /// Sets how many polls a run may have until it counts as a failure; a million if this is not called.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Check;
    ///
    /// let two_polls = |sim: &testudo::run::Sim| sim.block_on(sim.spawn(async {}));
    /// assert!(Check::new(1).max_polls(1).try_run(move |sim| two_polls(sim).map(drop)).is_err());
    /// ```
    pub fn max_polls(mut self, n: u64) -> Self {
        self.max_polls = n;
        self
    }

    /// Runs the program under all schedules, as [`check`](fn@check) does.
    ///
    /// # Panics
    /// When it fails; when `TESTUDO_REPLAY` is set and not a schedule.
    ///
    /// # Examples
    /// ```
    /// testudo::run::Check::new(3).run(|sim| sim.block_on(async {}));
    /// ```
    #[track_caller]
    pub fn run<V: Verdict>(&self, mut program: impl FnMut(&Sim) -> V) {
        let result = match std::env::var(REPLAY) {
            Ok(line) => self.replay(&parse(&line), &mut program),
            Err(_) => self.try_run(&mut program),
        };
        if let Err(failure) = result {
            panic!("{failure}");
        }
    }

    /// Runs the program under all schedules, and returns the first failure, shrunk.
    ///
    /// # Errors
    /// When the program fails.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Check;
    ///
    /// assert!(Check::new(3).try_run(|sim| sim.block_on(core::future::pending::<()>())).is_err());
    /// ```
    pub fn try_run<V: Verdict>(&self, mut program: impl FnMut(&Sim) -> V) -> Result<(), Failure> {
        let mut run = |builder: SimBuilder| once(true, builder.max_polls(self.max_polls), &mut program);
        let mut horizon = None;
        for case in 0..self.cases {
            let (policy, builder) = self.case(case);
            let builder = builder.horizon(horizon);
            let mut outcome = run(builder.clone());
            horizon = Some(outcome.polls.max(horizon.unwrap_or(0)));
            if case < 3 && outcome.cause.is_none() && !outcome.outside && run(builder).hash != outcome.hash {
                outcome.cause = Some(Cause::NotDeterministic);
                return Err(Failure::new(outcome, Some((case, policy, 0)), 2));
            }
            if outcome.cause.is_some() {
                let steps = outcome.schedule.len();
                let (mut least, runs) = shrink::shrink(outcome, &mut |schedule| run(on(schedule)));
                // T2. A program that is not deterministic may not fail again: then the story is left out.
                let told = run(on(&least.schedule).tell());
                if told.hash == least.hash && told.cause.is_some() {
                    least = told;
                }
                return Err(Failure::new(least, Some((case, policy, steps)), runs));
            }
        }
        Ok(())
    }

    /// Runs the program under this schedule.
    ///
    /// # Errors
    /// When the program fails.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{Check, Schedule};
    ///
    /// assert!(Check::new(1).replay(&Schedule::default(), |_| ()).is_ok());
    /// ```
    pub fn replay<V: Verdict>(&self, schedule: &Schedule, mut program: impl FnMut(&Sim) -> V) -> Result<(), Failure> {
        let outcome = once(false, on(schedule).max_polls(self.max_polls).tell(), &mut program);
        if outcome.cause.is_some() { Err(Failure::new(outcome, None, 1)) } else { Ok(()) }
    }

    /// The policy of a case, and its simulation (I1).
    fn case(&self, case: usize) -> (Policy, SimBuilder) {
        let builder = Sim::builder().seed(self.seed.wrapping_add(case as u64));
        let (policy, spurious) = match case {
            _ if !self.policies.is_empty() => (self.policies[case % self.policies.len()].clone(), 0.0),
            0 => (Policy::Fifo, 0.0),
            1 => (Policy::Lifo, 0.0),
            _ => match case % 4 {
                0 => (Policy::Pct { depth: 2 }, 0.0),
                1 => (Policy::Pct { depth: 3 }, 0.0),
                2 => (Policy::Random, 0.0),
                _ => (Policy::Random, 0.125),
            },
        };
        (policy.clone(), builder.policy(policy).spurious_polls(spurious))
    }
}

impl Failure {
    fn new(outcome: Outcome, found: Option<(usize, Policy, usize)>, runs: usize) -> Self {
        let Outcome { cause, schedule, hash, story, .. } = outcome;
        Self(Box::new(Report { cause: cause.expect("it failed"), schedule, hash, story, found, runs }))
    }
}

fn on(schedule: &Schedule) -> SimBuilder {
    Sim::builder().policy(Policy::Replay(schedule.clone()))
}

/// Runs the program once, in a simulation of its own (I2).
fn once<V: Verdict>(quiet: bool, builder: SimBuilder, program: &mut impl FnMut(&Sim) -> V) -> Outcome {
    let sim = builder.build();
    let ran = catch(quiet, || {
        program(&sim).verdict()?;
        sim.run_until_stalled().map_or(Ok(()), |stall| Err(Cause::Stall(stall)))
    });
    let world = &sim.world;
    let (schedule, hash, polls) = (sim.schedule(), sim.schedule_hash(), sim.polls());
    let (outside, story) = (world.outside.get(), world.tasks().recorder.story());
    let dropped = catch(quiet, || drop(sim));
    let result = ran.map_err(Cause::Panic).and_then(|verdict| verdict).and(dropped.map_err(Cause::Panic));
    Outcome { cause: result.err(), schedule, hash, polls, outside, story }
}
