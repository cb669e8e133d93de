//! The executors of the tour, and what a program sees of them.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::{Pin, pin},
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use futures_executor::ThreadPool;
use testudo::{
    Event,
    run::{BlockingPool, Clock, Job, Outside, Pool, Sim, block_on, offload, profile::ProfileExt},
    task::{BoxTask, Spawn, SpawnedGroup},
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
    /// tokio on one thread
    TokioCurrentThread,
    /// smol's global executor
    Smol,
    /// The thread pool of futures
    Futures,
    /// embassy, as it runs on an operating system
    Embassy,
    /// edge-executor on one thread
    EdgeExecutor,
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
            $crate::executors::Executor::TokioCurrentThread => {
                $crate::executors::tokio_current_thread($sendable, $pace)
            }
            $crate::executors::Executor::Smol => $crate::executors::smol($sendable, $pace),
            $crate::executors::Executor::Futures => $crate::executors::futures($sendable, $pace),
            $crate::executors::Executor::Embassy => $crate::executors::embassy($sendable, $pace),
            $crate::executors::Executor::EdgeExecutor => $crate::executors::edge_executor($sendable, $pace),
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

/// Plays as one group of tasks that `spawner` starts; `run` drives the future that waits for them.
fn in_group<T, F>(
    (executor, name): (Executor, &'static str),
    (program, pace): (impl FnOnce(Real<T>) -> Vec<F>, Pace),
    spawner: impl Spawn,
    run: impl FnOnce(Pin<&mut dyn Future<Output = ()>>),
) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    let timeline = Timeline::default();
    let _watchdog = watch(executor, &timeline);
    run(pin!(async {
        let group = SpawnedGroup::<_, Infallible>::new(spawner);
        for task in program(Real::new(pace, &timeline)) {
            let task = task.profiled(name);
            drop(group.spawn(async {
                task.await;
                Ok(())
            }));
        }
        group.join().await.expect("no task is lost");
    }));
    (timeline.lines(), None)
}

/// Plays on async-executor, run by two threads until an [`Event`] stops them.
pub fn async_executor<F>(program: impl FnOnce(Real<AsyncIo>) -> Vec<F>, pace: Pace) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    let (executor, done) = (Arc::new(async_executor::Executor::new()), Event::new());
    let theirs = Arc::clone(&executor);
    let spawner = move |task: BoxTask| theirs.spawn(task).detach();
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| block_on(executor.run(done.wait())));
        }
        in_group((Executor::AsyncExecutor, "async-executor task"), (program, pace), spawner, |main| {
            block_on(main);
            done.set();
        })
    })
}

/// Plays on tokio's multi-threaded runtime.
pub fn tokio<F>(program: impl FnOnce(Real<TokioTime>) -> Vec<F>, pace: Pace) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let run = |main: Pin<&mut dyn Future<Output = ()>>| runtime.expect("tokio starts").block_on(main);
    in_group((Executor::Tokio, "tokio task"), (program, pace), |task: BoxTask| drop(tokio::spawn(task)), run)
}

/// Plays on tokio's runtime of one thread, this one.
pub fn tokio_current_thread<F>(program: impl FnOnce(Real<TokioTime>) -> Vec<F>, pace: Pace) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let run = |main: Pin<&mut dyn Future<Output = ()>>| runtime.expect("tokio starts").block_on(main);
    let of = (Executor::TokioCurrentThread, "tokio task");
    in_group(of, (program, pace), |task: BoxTask| drop(tokio::spawn(task)), run)
}

/// Plays on smol's global executor.
pub fn smol<F>(program: impl FnOnce(Real<AsyncIo>) -> Vec<F>, pace: Pace) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    let spawner = |task: BoxTask| smol::spawn(task).detach();
    in_group((Executor::Smol, "smol task"), (program, pace), spawner, |main| {
        smol::block_on(main);
    })
}

/// Plays on the thread pool of futures.
pub fn futures<F>(program: impl FnOnce(Real<AsyncIo>) -> Vec<F>, pace: Pace) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    let pool = ThreadPool::builder().pool_size(2).create().expect("threads start");
    let spawner = move |task: BoxTask| pool.spawn_ok(task);
    in_group((Executor::Futures, "futures task"), (program, pace), spawner, |main| {
        futures_executor::block_on(main);
    })
}

/// Plays on an executor of embassy, which lives as long as the process, and its tasks in a static.
pub fn embassy<F>(program: impl FnOnce(Real<AsyncIo>) -> Vec<F>, pace: Pace) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    #[embassy_executor::task(pool_size = 64)]
    async fn run(task: BoxTask) {
        task.await;
    }
    static SPAWNER: OnceLock<embassy_executor::SendSpawner> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let executor = Box::leak(Box::new(embassy_executor::Executor::new()));
            executor.run(|spawner| sender.send(spawner.make_send()).expect("this thread waits for it"));
        });
        receiver.recv().expect("embassy starts")
    });
    let spawner = |task: BoxTask| {
        if let Ok(token) = run(task) {
            spawner.spawn(token);
        }
    };
    in_group((Executor::Embassy, "embassy task"), (program, pace), spawner, |main| {
        block_on(main);
    })
}

/// Plays on edge-executor, run by this thread.
pub fn edge_executor<F>(program: impl FnOnce(Real<AsyncIo>) -> Vec<F>, pace: Pace) -> Played
where
    F: Future<Output = ()> + Send + 'static,
{
    let executor = Arc::new(edge_executor::Executor::<edge_executor::UnboundQueue>::new());
    let theirs = Arc::clone(&executor);
    let spawner = move |task: BoxTask| theirs.spawn(task).detach();
    in_group((Executor::EdgeExecutor, "edge-executor task"), (program, pace), spawner, |main| {
        block_on(executor.run(main));
    })
}
