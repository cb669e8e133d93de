//! The executors of the tour, and what a program sees of them.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use testudo::{
    Event,
    run::{BlockingPool, Clock, Job, Outside, Pool, Sim, block_on, offload, profile::ProfileExt},
};

use crate::{
    timeline::{Line, Timeline},
    watchdog::Watchdog,
};

/// What a program needs besides testudo: to sleep and to say something.
pub trait Env: Clone {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;
    fn say(&self, text: impl Into<String>);
    /// What says something from another thread.
    fn voice(&self) -> impl Fn(String) + Send + 'static;
    /// Threads for blocking work.
    fn pool(&self) -> impl Pool;
    /// Asks the world outside, which takes `latency` for its answer. Virtual time is none of its business: `ask` is told
    /// how much of that, in real time, is left for it to wait.
    fn outside<F>(&self, latency: Duration, ask: impl FnOnce(Duration) -> F) -> impl Future<Output = F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static;
}

/// What a program said, and who was left waiting if it could not end.
pub type Played = (Vec<Line>, Option<String>);

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(clippy::enum_variant_names, reason = "these are names of crates")]
pub enum Executor {
    /// The deterministic simulation of testudo, in virtual time
    Sim,
    /// async-executor on two threads
    AsyncExecutor,
    /// tokio with two worker threads
    Tokio,
    /// smol's global executor
    Smol,
}

impl Executor {
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// How fast a real clock runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pace(u32);

impl Pace {
    pub const REAL: Self = Self(1);
    /// Half a second takes 25 ms.
    pub const FAST: Self = Self(20);

    pub fn slower(self) -> Self {
        Self((self.0 / 4).max(1))
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clock x{}", self.0)
    }
}

/// Plays a program, a `fn(impl Env) -> Vec<impl Future>`, on an executor.
///
/// This is a macro because the futures are of another type on each executor, `Send` on all but `Sim`, and a generic
/// function has no way to ask for that. A program that has to may come in two forms, the first one for `Sim`.
macro_rules! play {
    ($program:path, $executor:expr, $pace:expr) => {
        $crate::executors::play!($program, $program, $executor, $pace)
    };
    ($local:path, $sendable:path, $executor:expr, $pace:expr) => {
        match $executor {
            $crate::executors::Executor::Sim => $crate::executors::sim($local),
            $crate::executors::Executor::AsyncExecutor => $crate::executors::async_executor($sendable, $pace),
            $crate::executors::Executor::Tokio => $crate::executors::tokio($sendable, $pace),
            $crate::executors::Executor::Smol => $crate::executors::smol($sendable, $pace),
        }
    };
}
pub(crate) use play;

/// Virtual time.
#[derive(Clone)]
pub struct Virtual {
    clock: Clock,
    timeline: Timeline,
    worker: Outside<Worker>,
}

/// One thread that does its jobs in order, as the simulation does its tasks.
#[derive(Clone)]
struct Worker(mpsc::Sender<Job>);

impl Worker {
    fn start() -> Self {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || jobs.into_iter().for_each(Job::run));
        Self(sender)
    }
}

impl Pool for Worker {
    fn execute(&self, job: Job) -> Result<(), Job> {
        self.0.send(job).map_err(|mpsc::SendError(job)| job)
    }
}

impl Env for Virtual {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        self.clock.sleep(duration)
    }

    fn say(&self, text: impl Into<String>) {
        self.timeline.say(|| self.clock.now(), text.into());
    }

    fn voice(&self) -> impl Fn(String) + Send + 'static {
        let (timeline, now) = (self.timeline.clone(), self.clock.now()); // which stands still meanwhile
        move |text| timeline.say(|| now, text)
    }

    fn pool(&self) -> impl Pool {
        self.worker.clone()
    }

    async fn outside<F>(&self, latency: Duration, ask: impl FnOnce(Duration) -> F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.sleep(latency).await;
        let answer = ask(Duration::ZERO); // on the worker, for which the clock stands still
        offload(&self.worker, move |_| block_on(answer)).await.expect("the worker loses no job")
    }
}

/// The timers of some executor.
pub trait Timer: Clone + Send + Sync + 'static {
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send;
    fn pool() -> impl Pool;
}

/// Those of `async-io`, which smol uses and which run on any executor.
#[derive(Clone)]
pub struct AsyncIo;

impl Timer for AsyncIo {
    async fn sleep(duration: Duration) {
        smol::Timer::after(duration).await;
    }

    fn pool() -> impl Pool {
        BlockingPool
    }
}

/// Those of tokio.
#[derive(Clone)]
pub struct TokioTime;

impl Timer for TokioTime {
    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn pool() -> impl Pool {
        |job: Job| drop(tokio::task::spawn_blocking(move || job.run()))
    }
}

/// Real time, run faster.
#[derive(Clone)]
pub struct Real<T> {
    pace: Pace,
    start: Instant,
    timeline: Timeline,
    timer: PhantomData<T>,
}

impl<T> Real<T> {
    fn new(pace: Pace, timeline: &Timeline) -> Self {
        Self { pace, start: Instant::now(), timeline: timeline.clone(), timer: PhantomData }
    }
}

impl<T: Timer> Env for Real<T> {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        T::sleep(duration / self.pace.0)
    }

    fn say(&self, text: impl Into<String>) {
        self.timeline.say(|| self.start.elapsed() * self.pace.0, text.into());
    }

    fn voice(&self) -> impl Fn(String) + Send + 'static {
        let (timeline, start, pace) = (self.timeline.clone(), self.start, self.pace.0);
        move |text| timeline.say(|| start.elapsed() * pace, text)
    }

    fn pool(&self) -> impl Pool {
        T::pool()
    }

    fn outside<F>(&self, latency: Duration, ask: impl FnOnce(Duration) -> F) -> impl Future<Output = F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        ask(latency / self.pace.0)
    }
}

/// Ends a program that hangs.
fn watch(executor: Executor, timeline: &Timeline) -> Watchdog {
    let timeline = timeline.clone();
    Watchdog::new(executor.name(), Duration::from_secs(30), move || timeline.to_string())
}

/// Plays on the simulation.
pub fn sim<F>(program: impl FnOnce(Virtual) -> Vec<F>) -> Played
where
    F: Future<Output = ()> + 'static,
{
    let (sim, timeline) = (Sim::new(), Timeline::default());
    let _watchdog = watch(Executor::Sim, &timeline);
    let worker = sim.outside(Worker::start());
    for task in program(Virtual { clock: sim.clock(), timeline: timeline.clone(), worker }) {
        sim.spawn_named("sim task", task).detach();
    }
    let stall = sim.run_until_stalled();
    (timeline.lines(), stall.map(|stall| stall.to_string()))
}

/// Plays on async-executor, run by two threads until an [`Event`] stops them.
pub fn async_executor<F>(program: impl FnOnce(Real<AsyncIo>) -> Vec<F>, pace: Pace) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    let (executor, done, timeline) = (async_executor::Executor::new(), Event::new(), Timeline::default());
    let _watchdog = watch(Executor::AsyncExecutor, &timeline);
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| block_on(executor.run(done.wait())));
        }
        let tasks: Vec<_> = program(Real::new(pace, &timeline))
            .into_iter()
            .map(|task| executor.spawn(task.profiled("async-executor task")))
            .collect();
        block_on(async {
            for task in tasks {
                task.await;
            }
        });
        done.set();
    });
    (timeline.lines(), None)
}

/// Plays on tokio's multi-threaded runtime.
pub fn tokio<F>(program: impl FnOnce(Real<TokioTime>) -> Vec<F>, pace: Pace) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    let timeline = Timeline::default();
    let _watchdog = watch(Executor::Tokio, &timeline);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    runtime.expect("tokio starts").block_on(async {
        let tasks: Vec<_> = program(Real::new(pace, &timeline))
            .into_iter()
            .map(|task| tokio::spawn(task.profiled("tokio task")))
            .collect();
        for task in tasks {
            task.await.expect("no task panics");
        }
    });
    (timeline.lines(), None)
}

/// Plays on smol's global executor.
pub fn smol<F>(program: impl FnOnce(Real<AsyncIo>) -> Vec<F>, pace: Pace) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    let timeline = Timeline::default();
    let _watchdog = watch(Executor::Smol, &timeline);
    smol::block_on(async {
        let tasks: Vec<_> = program(Real::new(pace, &timeline))
            .into_iter()
            .map(|task| smol::spawn(task.profiled("smol task")))
            .collect();
        for task in tasks {
            task.await;
        }
    });
    (timeline.lines(), None)
}
