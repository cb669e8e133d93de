//! The builder of a simulation.
use core::fmt;

use super::{
    Sim,
    policy::{Picker, Policy, Spurious},
    world::World,
};

/// Chooses how a [`Sim`] schedules; made by [`Sim::builder`].
///
/// # Examples
/// ```
/// use testudo::run::{Policy, Sim};
///
/// let builder = Sim::builder().policy(Policy::Random);
/// for seed in 0..10 {
///     assert_eq!(builder.clone().seed(seed).build().block_on(async { 1 }).unwrap(), 1);
/// }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct SimBuilder {
    seed: u64,
    policy: Policy,
    spurious: Spurious,
    max_polls: u64,
    horizon: Option<u64>,
    tell: bool,
}

impl SimBuilder {
    pub(super) fn new() -> Self {
        Self {
            seed: 0,
            policy: Policy::Fifo,
            spurious: Spurious::Never,
            max_polls: u64::MAX,
            horizon: None,
            tell: false,
        }
    }

    /// Sets the seed of what the policy draws; 0 if this is not called.
    ///
    /// # Examples
    /// ```
    /// let sim = testudo::run::Sim::builder().seed(7).build();
    /// assert_eq!(sim.seed(), 7);
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the policy; [`Policy::Fifo`] if this is not called.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{Policy, Sim};
    ///
    /// let sim = Sim::builder().policy(Policy::Random).build();
    /// assert_eq!(sim.polls(), 0);
    /// ```
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Wakes a blocked task, drawn by the seed, for nothing before a poll with this probability (0 to 1).
    ///
    /// A future must bear it: whoever polls it may have other reasons. After such a poll there is another one only when a
    /// task was polled for a reason: who runs is not starved, and a stall stays one.
    ///
    /// # Panics
    /// When the probability is not between 0 and 1.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::builder().spurious_polls(1.0).build();
    /// let clock = sim.clock();
    /// let sleeper = sim.spawn(clock.sleep(Duration::from_secs(1)));
    /// sim.block_on(async { for _ in 0..10 { clock.sleep(Duration::ZERO).await } }).unwrap();
    /// sim.block_on(sleeper).unwrap().unwrap();
    /// assert!(sim.polls() > 20, "{}", sim.polls());
    /// ```
    pub fn spurious_polls(mut self, probability: f64) -> Self {
        assert!((0.0..=1.0).contains(&probability), "a probability is between 0 and 1");
        self.spurious = Spurious::Chance((probability * 4_294_967_296.0) as u64);
        self
    }

    /// Wakes a blocked task, drawn by the seed, for nothing before each `n`-th poll; see [`SimBuilder::spurious_polls`].
    ///
    /// # Panics
    /// When `n` is 0.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::builder().spurious_polls_every(2).build();
    /// let clock = sim.clock();
    /// sim.spawn(clock.sleep(Duration::from_secs(1)));
    /// sim.block_on(async { for _ in 0..10 { clock.sleep(Duration::ZERO).await } }).unwrap();
    /// assert!(sim.schedule().len() > 5);
    /// ```
    pub fn spurious_polls_every(mut self, n: u64) -> Self {
        assert!(n > 0, "every 0th poll is none");
        self.spurious = Spurious::Every(n);
        self
    }

    /// Makes the run panic instead of making more than so many polls: a program that never ends becomes a failure.
    ///
    /// # Examples
    /// ```should_panic
    /// use core::{future::poll_fn, task::Poll};
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::builder().max_polls(1000).build();
    /// let spins = poll_fn(|cx| {
    ///     cx.waker().wake_by_ref();
    ///     Poll::<()>::Pending
    /// });
    /// assert!(sim.block_on(spins).is_err());
    /// ```
    pub fn max_polls(mut self, n: u64) -> Self {
        self.max_polls = n;
        self
    }

    /// How many polls the run is going to have, for `Pct`.
    #[cfg(feature = "std")]
    pub(super) fn horizon(mut self, polls: Option<u64>) -> Self {
        self.horizon = polls;
        self
    }

    /// The steps are recorded in words, too.
    #[cfg(feature = "std")]
    pub(super) fn tell(mut self) -> Self {
        self.tell = true;
        self
    }

    /// Builds the simulation.
    ///
    /// # Examples
    /// ```
    /// let sim = testudo::run::Sim::builder().build();
    /// assert_eq!(sim.polls(), 0);
    /// ```
    pub fn build(self) -> Sim {
        let seed = if let Policy::Replay(schedule) = &self.policy { schedule.seed() } else { self.seed };
        let picker = Picker::new(self.policy, seed, self.spurious, self.horizon);
        let world = World::new(picker, seed, self.max_polls);
        if self.tell {
            world.tasks_mut().recorder.tell();
        }
        Sim { world }
    }
}

impl fmt::Debug for SimBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SimBuilder");
        debug.field("seed", &self.seed).field("policy", &self.policy);
        if self.spurious != Spurious::Never {
            debug.field("spurious_polls", &self.spurious);
        }
        if self.max_polls != u64::MAX {
            debug.field("max_polls", &self.max_polls);
        }
        debug.finish()
    }
}
