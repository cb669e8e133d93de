//! A deterministic simulation: tasks on one thread, in an order that repeats, in virtual time.
// STATE       see table.rs (tasks), ready.rs (wake-ups), clock.rs (timers), task.rs (handles), policy.rs (whose turn)
// INVARIANTS  I1 the handles (`Spawner`, `Clock`, `Task`) keep the world's memory, not its tasks: `Sim` drops those.
use alloc::{borrow::Cow, rc::Rc, sync::Arc};
use core::{
    fmt,
    future::Future,
    panic::Location,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

mod build;
mod cancel;
#[cfg(feature = "std")]
mod check;
mod clock;
mod outside;
mod policy;
#[cfg(feature = "profile")]
mod probed;
#[cfg(feature = "std")]
mod quiet;
mod random;
mod ready;
mod schedule;
#[cfg(feature = "std")]
mod shrink;
mod stall;
#[cfg(feature = "proptest")]
mod strategy;
mod table;
mod task;
mod world;

#[cfg(feature = "std")]
pub use self::check::{Cause, Check, Failure, Verdict, check, replay};
#[cfg(feature = "proptest")]
pub use self::strategy::schedules;
pub use self::{
    build::SimBuilder,
    cancel::{CancelAfter, cancel_after, cancel_at_every_poll, cancel_before},
    clock::{Clock, Hold, Sleep},
    outside::Outside,
    policy::Policy,
    ready::External,
    schedule::{InvalidSchedule, Schedule},
    stall::{Blocked, Stall},
    task::{Cancelled, Task},
};
use self::{table::Label, world::World};

/// A deterministic executor for tests: the same program runs in the same order each time, in virtual time.
///
/// A task is polled once for each time it becomes runnable, in asyncio's order unless the [`Policy`] says otherwise.
/// When none can run, the [clock](Sim::clock) jumps to the next deadline, so nothing ever waits for real time. When
/// there is no deadline either, that is reported as a [`Stall`] at once, instead of hanging; where another thread or an
/// interrupt wakes tasks, hold an [`External`]. Tasks and handles stay on one thread; wakers may go anywhere.
///
/// Tasks need not be `Send`, and the clock's sleeps are not: a program whose tasks have to be (`BoxTask`, `TaskGroup::spawn`) takes its
/// pauses as a closure, and yields in a simulation; or it uses `LocalTaskGroup` and `spawn_local` there.
///
/// # asyncio
/// Same order of steps as asyncio's event loop. Differs in that [`Sim::block_on`] returns as soon as its future is
/// ready (asyncio finishes that round of the loop, and the next), and in that tasks left over go on with the next call.
///
/// # Interrupts
/// Waking a waker: yes. It never allocates and takes no lock. Everything else: no.
///
/// # Examples
/// ```
/// use core::time::Duration;
/// use testudo::run::Sim;
///
/// let sim = Sim::new();
/// let clock = sim.clock();
/// let task = sim.spawn(async move {
///     clock.sleep(Duration::from_secs(60)).await;
///     "late"
/// });
/// assert_eq!(sim.block_on(task).unwrap(), Ok("late"));
/// assert_eq!(sim.now(), Duration::from_secs(60));
/// ```
pub struct Sim {
    world: Rc<World>,
}

impl Sim {
    /// Creates a simulation with [`Policy::Fifo`].
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// assert_eq!(Sim::new().block_on(async { 1 }).unwrap(), 1);
    /// ```
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder, to choose the policy and the seed.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{Policy, Sim};
    ///
    /// let sim = Sim::builder().policy(Policy::Random).seed(7).build();
    /// assert_eq!(sim.polls(), 0);
    /// ```
    pub fn builder() -> SimBuilder {
        SimBuilder::new()
    }

    /// Spawns a task, which is runnable from now on and gets its first poll in its turn.
    ///
    /// In reports it is called `task-` and its number, counted from 1; the future of `block_on` is counted too.
    ///
    /// # asyncio
    /// Same as `asyncio.create_task`. Differs in that the simulation owns the task: it lives without its handle.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// let task = sim.spawn(async { 42 });
    /// assert_eq!(sim.block_on(task).unwrap(), Ok(42));
    /// ```
    #[doc(alias = "create_task")]
    #[track_caller]
    pub fn spawn<F>(&self, fut: F) -> Task<F::Output>
    where
        F: Future + 'static,
    {
        self.world.spawn(Label { name: None, location: Location::caller() }, fut)
    }

    /// Spawns a task as [`Sim::spawn`] does, and gives it a name for reports.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.spawn_named("writer", core::future::pending::<()>());
    /// assert_eq!(sim.run_until_stalled().unwrap().blocked()[0].name(), "writer");
    /// ```
    #[track_caller]
    pub fn spawn_named<F>(&self, name: impl Into<Cow<'static, str>>, fut: F) -> Task<F::Output>
    where
        F: Future + 'static,
    {
        self.world.spawn(Label { name: Some(name.into()), location: Location::caller() }, fut)
    }

    /// Returns a handle that spawns tasks from within tasks.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// let spawner = sim.spawner();
    /// let sum = sim.block_on(async move { 1 + spawner.spawn(async { 2 }).await.unwrap() });
    /// assert_eq!(sum.unwrap(), 3);
    /// ```
    pub fn spawner(&self) -> Spawner {
        Spawner { world: Rc::clone(&self.world) }
    }

    /// Returns the virtual clock, also for use within tasks.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.block_on(sim.clock().sleep(Duration::from_secs(1))).unwrap();
    /// assert_eq!(sim.clock().now(), Duration::from_secs(1));
    /// ```
    pub fn clock(&self) -> Clock {
        Clock::new(Rc::clone(&self.world))
    }

    /// Returns a token that makes the simulation wait for wake-ups from outside, instead of jumping or stalling.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// let source = sim.external();
    /// std::thread::spawn(move || drop(source));
    /// assert!(sim.block_on(core::future::pending::<()>()).is_err());
    /// ```
    pub fn external(&self) -> External {
        self.world.outside.set(true);
        External::new(Arc::clone(&self.world.ready))
    }

    /// Runs a future, and the tasks beside it, until it is ready, and returns its output.
    ///
    /// The future may borrow. It is a task like the others, named `main`, and becomes runnable with this call: first of
    /// all, but for tasks that were runnable before. Tasks that have not ended when it is ready stay as they are.
    ///
    /// # asyncio
    /// Same as `loop.run_until_complete`. Differs in returning at once, see [`Sim`].
    ///
    /// # Errors
    /// [`Stall`] when the future is not ready, and nothing can make it so any more. The future is dropped.
    ///
    /// # Panics
    /// When the future or a task does: that panic goes on from here, and the task's handle gives [`Cancelled`]. When
    /// called inside a task of the same simulation.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let words = ["a", "b"];
    /// let joined = Sim::new().block_on(async { words.concat() });
    /// assert_eq!(joined.unwrap(), "ab");
    /// ```
    #[doc(alias = "run")]
    #[doc(alias = "run_until_complete")]
    #[track_caller]
    pub fn block_on<F: Future>(&self, fut: F) -> Result<F::Output, Stall> {
        let world = &*self.world;
        let _running = world.enter("block_on");
        let main = world.main(Label { name: Some("main".into()), location: Location::caller() });
        let mut fut = pin!(fut);
        loop {
            match world.next() {
                Some(slot) if slot == main.slot => {
                    let waker = world.begin_main(slot);
                    #[cfg(feature = "profile")]
                    let _polling = world.polling(slot);
                    if let Poll::Ready(output) = fut.as_mut().poll(&mut Context::from_waker(&waker)) {
                        return Ok(output);
                    }
                    world.end_main(slot, waker);
                }
                Some(slot) => world.poll(slot),
                None if world.idle() => {}
                None => return Err(world.stall()),
            }
        }
    }

    /// Runs all tasks, and lets time pass for them, until none can go on any more.
    ///
    /// Returns who is left: None when every task has ended.
    ///
    /// # Panics
    /// As [`Sim::block_on`].
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.spawn(sim.clock().sleep(Duration::from_secs(5)));
    /// assert!(sim.run_until_stalled().is_none());
    /// assert_eq!(sim.now(), Duration::from_secs(5));
    /// ```
    pub fn run_until_stalled(&self) -> Option<Stall> {
        let world = &*self.world;
        let _running = world.enter("run_until_stalled");
        loop {
            match world.next() {
                Some(slot) => world.poll(slot),
                None if world.idle() => {}
                None => break,
            }
        }
        Some(world.stall()).filter(|stall| !stall.blocked().is_empty())
    }

    /// Returns the virtual time since the start.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    ///
    /// assert_eq!(testudo::run::Sim::new().now(), Duration::ZERO);
    /// ```
    pub fn now(&self) -> Duration {
        self.world.now()
    }

    /// Moves the clock on by `duration` and wakes the sleepers that are due then, by deadline; polls nothing.
    ///
    /// # Examples
    /// ```
    /// use core::time::Duration;
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.advance(Duration::from_millis(5));
    /// assert_eq!(sim.now(), Duration::from_millis(5));
    /// ```
    pub fn advance(&self, duration: Duration) {
        self.world.advance_to(self.now().saturating_add(duration));
    }

    /// Moves the clock on to the next deadline, as [`Clock::advance_to_next`] does.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::run::Sim::new().advance_to_next(), None);
    /// ```
    pub fn advance_to_next(&self) -> Option<Duration> {
        self.clock().advance_to_next()
    }

    /// Returns the seed: what the program itself draws should begin with it, so that a failure can be run again.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::run::Sim::builder().seed(7).build().seed(), 7);
    /// ```
    pub fn seed(&self) -> u64 {
        self.world.seed
    }

    /// Returns the schedule so far: where it left the order of [`Policy::Fifo`].
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{Policy, Sim};
    ///
    /// let run = |policy| {
    ///     let sim = Sim::builder().policy(policy).seed(3).build();
    ///     (0..10).for_each(|_| sim.spawn(async {}).detach());
    ///     sim.run_until_stalled();
    ///     sim
    /// };
    /// let sim = run(Policy::Random);
    /// assert_eq!(run(Policy::Replay(sim.schedule())).schedule_hash(), sim.schedule_hash());
    /// ```
    pub fn schedule(&self) -> Schedule {
        self.world.tasks().recorder.schedule(self.world.seed)
    }

    /// Returns a hash of the schedule so far: equal when the same tasks were polled in the same order.
    ///
    /// It is 64-bit FNV-1a over the numbers of the polled tasks, 8 bytes each, lowest first: the same on all targets.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{Policy, Sim};
    ///
    /// let hash = |seed| {
    ///     let sim = Sim::builder().policy(Policy::Random).seed(seed).build();
    ///     (0..10).for_each(|_| sim.spawn(async {}).detach());
    ///     sim.run_until_stalled();
    ///     sim.schedule_hash()
    /// };
    /// assert_eq!(hash(1), hash(1));
    /// assert_ne!(hash(1), hash(2));
    /// ```
    pub fn schedule_hash(&self) -> u64 {
        self.world.tasks().hash
    }

    /// Returns how many polls there were so far.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.block_on(async {}).unwrap();
    /// assert_eq!(sim.polls(), 1);
    /// ```
    pub fn polls(&self) -> u64 {
        self.world.tasks().polls
    }
}

impl Default for Sim {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.world.close(); // I1
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timers = self.world.timers().len();
        f.debug_struct("Sim")
            .field("now", &self.now())
            .field("tasks", &self.world.tasks().len())
            .field("timers", &timers)
            .field("polls", &self.polls())
            .finish()
    }
}

/// Spawns tasks of a [`Sim`], also from within them; made by [`Sim::spawner`].
///
/// Clones spawn in the same simulation. Once that is dropped, a spawned future is dropped at once.
///
/// # Examples
/// ```
/// use testudo::run::{Cancelled, Sim};
///
/// let (sim, other) = (Sim::new(), Sim::new());
/// let spawner = sim.spawner();
/// drop(sim);
/// assert_eq!(other.block_on(spawner.spawn(async { 1 })).unwrap(), Err(Cancelled));
/// ```
#[derive(Clone)]
pub struct Spawner {
    world: Rc<World>,
}

impl Spawner {
    /// Spawns a task, as [`Sim::spawn`] does.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.spawner().spawn(async {});
    /// assert!(sim.run_until_stalled().is_none());
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, fut: F) -> Task<F::Output>
    where
        F: Future + 'static,
    {
        self.world.spawn(Label { name: None, location: Location::caller() }, fut)
    }

    /// Spawns a task with a name, as [`Sim::spawn_named`] does.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::Sim;
    ///
    /// let sim = Sim::new();
    /// sim.spawner().spawn_named("writer", async {});
    /// assert!(sim.run_until_stalled().is_none());
    /// ```
    #[track_caller]
    pub fn spawn_named<F>(&self, name: impl Into<Cow<'static, str>>, fut: F) -> Task<F::Output>
    where
        F: Future + 'static,
    {
        self.world.spawn(Label { name: Some(name.into()), location: Location::caller() }, fut)
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").field("tasks", &self.world.tasks().len()).finish()
    }
}
