//! Executors: what a task costs on `run::Sim` and on others, and the operations that `ci/uvloop.sh` has Python do.

use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use async_executor::LocalExecutor;
use cpu_time::ThreadTime;
use futures_executor::{LocalPool, LocalSpawner};
use futures_util::future::RemoteHandle;
use futures_util::task::LocalSpawnExt;
use testudo::run::{Sim, Spawner, block_on};
use testudo::{Event, Queue};
use testudo_benches::entries;
use testudo_benches::harness::{self, Peer, Role, Row, Sample};

/// An executor on this thread.
trait Executor: Peer {
    type Spawner: Clone + 'static;
    type Handle: Future;

    fn spawn(spawner: &Self::Spawner, task: impl Future<Output = ()> + Send + 'static) -> Self::Handle;
    /// Runs a future, and the tasks that it spawns, until it is ready.
    fn run<F: Future>(main: impl FnOnce(Self::Spawner) -> F) -> F::Output;
}

struct Ours;

impl Peer for Ours {
    const NAME: &'static str = "testudo Sim, Fifo";
    const ROLE: Role = Role::Own;
}

impl Executor for Ours {
    type Spawner = Spawner;
    type Handle = testudo::run::Task<()>;

    fn spawn(spawner: &Spawner, task: impl Future<Output = ()> + Send + 'static) -> Self::Handle {
        spawner.spawn(task)
    }

    fn run<F: Future>(main: impl FnOnce(Spawner) -> F) -> F::Output {
        let sim = Sim::new();
        sim.block_on(main(sim.spawner())).expect("no stall")
    }
}

struct Smol;

impl Peer for Smol {
    const NAME: &'static str = "async-executor LocalExecutor";
}

impl Executor for Smol {
    type Spawner = Rc<LocalExecutor<'static>>;
    type Handle = async_executor::Task<()>;

    fn spawn(spawner: &Self::Spawner, task: impl Future<Output = ()> + Send + 'static) -> Self::Handle {
        spawner.spawn(task)
    }

    fn run<F: Future>(main: impl FnOnce(Self::Spawner) -> F) -> F::Output {
        let executor = Rc::new(LocalExecutor::new());
        block_on(executor.run(main(executor.clone())))
    }
}

struct Tokio;

impl Peer for Tokio {
    const NAME: &'static str = "tokio current-thread";
}

impl Executor for Tokio {
    type Spawner = tokio::runtime::Handle;
    type Handle = tokio::task::JoinHandle<()>;

    fn spawn(spawner: &Self::Spawner, task: impl Future<Output = ()> + Send + 'static) -> Self::Handle {
        spawner.spawn(task)
    }

    fn run<F: Future>(main: impl FnOnce(Self::Spawner) -> F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(main(runtime.handle().clone()))
    }
}

struct Futures;

impl Peer for Futures {
    const NAME: &'static str = "futures LocalPool";
}

impl Executor for Futures {
    type Spawner = LocalSpawner;
    type Handle = RemoteHandle<()>;

    fn spawn(spawner: &LocalSpawner, task: impl Future<Output = ()> + Send + 'static) -> Self::Handle {
        spawner.spawn_local_with_handle(task).expect("a running pool")
    }

    fn run<F: Future>(main: impl FnOnce(LocalSpawner) -> F) -> F::Output {
        let mut pool = LocalPool::new();
        let main = main(pool.spawner());
        pool.run_until(main)
    }
}

/// Lets the others run.
async fn yield_now() {
    let mut done = false;
    poll_fn(|cx| {
        if done {
            return Poll::Ready(());
        }
        done = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs `n` operations inside of the executor, and times them there.
fn timed<E: Executor, F: Future<Output = ()>>(n: u64, main: impl FnOnce(E::Spawner) -> F) -> Sample {
    E::run(async |spawner| {
        let start = ThreadTime::now();
        main(spawner).await;
        Sample::new(n, start.elapsed())
    })
}

/// `n` tasks, one after another: each is spawned and awaited.
fn spawn_join<E: Executor>(n: u64, _: usize) -> Sample {
    timed::<E, _>(n, async move |spawner| {
        for _ in 0..n {
            E::spawn(&spawner, async {}).await;
        }
    })
}

/// `n` tasks, `batch` at a time, each of which yields ten times.
fn ten_yields<E: Executor>(n: u64, batch: usize) -> Sample {
    let rounds = n.div_ceil(batch as u64);
    timed::<E, _>(rounds * batch as u64, async move |spawner| {
        for _ in 0..rounds {
            let task = |_| {
                E::spawn(&spawner, async {
                    for _ in 0..10 {
                        yield_now().await;
                    }
                })
            };
            let tasks: Vec<_> = (0..batch).map(task).collect();
            for task in tasks {
                task.await;
            }
        }
    })
}

/// `n` tasks, `batch` at a time, that do nothing: `asyncio.gather` of as many coroutines.
fn gather<E: Executor>(n: u64, batch: usize) -> Sample {
    let rounds = n.div_ceil(batch as u64);
    timed::<E, _>(rounds * batch as u64, async move |spawner| {
        for _ in 0..rounds {
            let tasks: Vec<_> = (0..batch).map(|_| E::spawn(&spawner, async {})).collect();
            for task in tasks {
                task.await;
            }
        }
    })
}

/// Two tasks and two events: `n` round trips.
fn ping_pong<E: Executor>(n: u64, _: usize) -> Sample {
    timed::<E, _>(n, async move |spawner| {
        let events = Arc::new((Event::new(), Event::new()));
        let back = events.clone();
        let pong = E::spawn(&spawner, async move {
            for _ in 0..n {
                back.0.wait().await;
                back.0.clear();
                back.1.set();
            }
        });
        for _ in 0..n {
            events.0.set();
            events.1.wait().await;
            events.1.clear();
        }
        pong.await;
    })
}

/// A producer and a consumer with a queue of `room`: `n` items.
fn queue<E: Executor>(n: u64, room: usize) -> Sample {
    timed::<E, _>(n, async move |spawner| {
        let queue = Arc::new(Queue::bounded(room));
        let producer = queue.clone();
        let task = E::spawn(&spawner, async move {
            for i in 0..n {
                producer.put(i).await.expect("open");
            }
        });
        for i in 0..n {
            assert_eq!(queue.get().await, Ok(i));
        }
        task.await;
    })
}

macro_rules! row {
    ($name:literal, $what:literal, $body:ident, $arg:expr) => {
        Row { arg: $arg, ..Row::new($name, $what, entries![$body: Ours, Smol, Tokio, Futures]) }
    };
}

fn main() {
    harness::main(vec![
        row!("executors/spawn_join", "a task is spawned and awaited", spawn_join, 0),
        row!("executors/ten_yields", "a task of 100 that yields ten times is spawned and awaited", ten_yields, 100),
        row!("executors/gather", "a task of 100 that are spawned together and awaited", gather, 100),
        row!("executors/ping_pong", "a round trip of two tasks over two of our events", ping_pong, 0),
        row!("executors/queue_1", "an item goes through our queue with room for 1", queue, 1),
        row!("executors/queue_64", "an item goes through our queue with room for 64", queue, 64),
    ]);
}
