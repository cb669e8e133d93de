//! The report about tasks that nothing can wake any more.
use alloc::{borrow::Cow, vec::Vec};
use core::{error::Error, fmt, panic::Location, time::Duration};

/// Nothing can run, no timer is set, and no [`External`](super::External) is alive: the tasks left wait for ever.
///
/// Or a timer is set, and the clock is [held](super::Clock::hold): they wait until somebody moves it.
/// Its `Display` text names each blocked task on a line of its own.
///
/// # asyncio
/// Differs: asyncio's loop sleeps for ever in this case.
///
/// # Examples
/// ```
/// use core::future::pending;
/// use testudo::run::Sim;
///
/// let sim = Sim::new();
/// let reader = sim.spawn_named("reader", pending::<()>());
/// let stall = sim.block_on(reader).unwrap_err();
/// assert_eq!(stall.blocked().len(), 2);
/// assert_eq!(stall.blocked()[0].name(), "reader");
/// assert!(stall.to_string().contains("main: polled 1 time"));
/// ```
#[derive(Clone)]
pub struct Stall {
    now: Duration,
    next: Option<Duration>,
    blocked: Vec<Blocked>,
    #[cfg(all(feature = "profile", feature = "std"))]
    graph: crate::run::graph::Graph,
}

impl Stall {
    pub(super) fn new(
        now: Duration,
        next: Option<Duration>,
        blocked: Vec<Blocked>,
        #[cfg(all(feature = "profile", feature = "std"))] graph: crate::run::graph::Graph,
    ) -> Self {
        Self {
            now,
            next,
            blocked,
            #[cfg(all(feature = "profile", feature = "std"))]
            graph,
        }
    }

    /// Returns who waits for what, and who has it. The `Display` text ends in it, if that is known of any task.
    ///
    /// # Examples
    /// ```
    /// use testudo::{Event, run::Sim};
    ///
    /// let stall = Sim::new().block_on(async { Event::new().wait().await }).unwrap_err();
    /// assert!(stall.graph().to_string().contains("waits for Event"));
    /// ```
    #[cfg(all(feature = "profile", feature = "std"))]
    pub fn graph(&self) -> &crate::run::graph::Graph {
        &self.graph
    }

    /// Returns the blocked tasks, in the order in which they were spawned.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let stall = Sim::new().block_on(core::future::pending::<()>()).unwrap_err();
    /// assert_eq!(stall.blocked()[0].name(), "main");
    /// ```
    pub fn blocked(&self) -> &[Blocked] {
        &self.blocked
    }

    /// Returns the virtual time of the stall.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.advance(Duration::from_secs(3));
    /// let stall = sim.block_on(core::future::pending::<()>()).unwrap_err();
    /// assert_eq!(stall.now(), Duration::from_secs(3));
    /// ```
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Returns the deadline to which the clock would have jumped, had it not been [held](super::Clock::hold).
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// let _hold = sim.clock().hold();
    /// let stall = sim.block_on(sim.clock().sleep(Duration::from_secs(3))).unwrap_err();
    /// assert_eq!(stall.next_deadline(), Some(Duration::from_secs(3)));
    /// ```
    pub fn next_deadline(&self) -> Option<Duration> {
        self.next
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, s) = (self.blocked.len(), if self.blocked.len() == 1 { "" } else { "s" });
        write!(f, "stalled at {:?} with {n} blocked task{s}, ", self.now)?;
        match self.next {
            Some(deadline) => write!(f, "the clock is held before {deadline:?}, and there is no external source")?,
            None => f.write_str("no timer and no external source")?,
        }
        self.blocked.iter().try_for_each(|task| write!(f, "\n  {task}"))?;
        #[cfg(all(feature = "profile", feature = "std"))]
        if !self.graph.is_empty() {
            write!(f, "\nawait graph:\n{}", self.graph)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `unwrap` prints this one, and is where most people meet it.
        fmt::Display::fmt(self, f)
    }
}

impl Error for Stall {}

/// One task of a [`Stall`]: what it is called, where it was spawned, how often and when last it was polled.
///
/// # Examples
/// ```
/// use core::{future::pending, time::Duration};
/// use testudo::run::Sim;
///
/// let sim = Sim::new();
/// sim.spawn_named("reader", pending::<()>());
/// let stall = sim.run_until_stalled().unwrap();
/// let reader = &stall.blocked()[0];
/// assert_eq!((reader.name(), reader.polls(), reader.since()), ("reader", 1, Duration::ZERO));
/// ```
#[derive(Clone, Debug)]
pub struct Blocked {
    pub(super) name: Cow<'static, str>,
    pub(super) location: &'static Location<'static>,
    pub(super) polls: u64,
    pub(super) since: Duration,
}

impl Blocked {
    /// Returns the task's name: the one it was spawned with, `main`, or `task-` and its number.
    ///
    /// # Examples
    /// ```
    /// use core::future::pending;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.spawn(pending::<()>());
    /// assert_eq!(sim.run_until_stalled().unwrap().blocked()[0].name(), "task-1");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns where the task was spawned.
    ///
    /// # Examples
    /// ```
    /// use core::future::pending;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.spawn(pending::<()>());
    /// let stall = sim.run_until_stalled().unwrap();
    /// assert_eq!(stall.blocked()[0].location().file(), file!());
    /// ```
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// Returns how often the task was polled.
    ///
    /// # Examples
    /// ```
    /// use core::future::pending;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.spawn(pending::<()>());
    /// assert_eq!(sim.run_until_stalled().unwrap().blocked()[0].polls(), 1);
    /// ```
    pub fn polls(&self) -> u64 {
        self.polls
    }

    /// Returns the virtual time of its last poll: since then it is blocked.
    ///
    /// # Examples
    /// ```
    /// use core::{future::pending, time::Duration};
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.advance(Duration::from_secs(3));
    /// sim.spawn(pending::<()>());
    /// assert_eq!(sim.run_until_stalled().unwrap().blocked()[0].since(), Duration::from_secs(3));
    /// ```
    pub fn since(&self) -> Duration {
        self.since
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.polls == 1 { "" } else { "s" };
        write!(f, "{}: polled {} time{s}, blocked since {:?}", self.name, self.polls, self.since)?;
        write!(f, ", spawned at {}", self.location)
    }
}
