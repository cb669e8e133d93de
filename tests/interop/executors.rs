//! The executors: each function runs tasks to their end, and those that they spawn.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, OnceLock, mpsc},
    task::Poll,
    thread,
};

use async_executor::{Executor, LocalExecutor, StaticExecutor};
use embassy_executor::SendSpawner;
use futures_executor::{LocalPool, ThreadPool};
use futures_util::{
    stream::{FuturesUnordered, StreamExt as _},
    task::LocalSpawnExt as _,
};
use testudo::{
    Event,
    run::{Policy, Sim, block_on},
    task::{Cancelled, LocalTaskGroup},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::LocalSet,
};

use crate::scenarios::Tasks;

/// A task that any executor can run.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

pub fn simulation(tasks: Tasks) {
    simulate(&Sim::new(), tasks);
}

pub fn random_simulation(tasks: Tasks) {
    simulate(&Sim::builder().policy(Policy::Random).seed(tasks.round).build(), tasks);
}

fn simulate(sim: &Sim, tasks: Tasks) {
    let _others = tasks.outside.then(|| sim.external());
    if let Err(stall) = sim.block_on(tasks.run_on(|task| sim.spawn(task).detach())) {
        panic!("{stall}");
    }
}

/// All tasks in one future: a wake-up of any one polls every one.
pub fn one_future(tasks: Tasks) {
    let all = RefCell::new(Vec::<Task>::new());
    let mut main = pin!(tasks.run_on(|task| all.borrow_mut().push(task)));
    block_on(poll_fn(|cx| {
        let poll = main.as_mut().poll(cx);
        all.borrow_mut().retain_mut(|task| task.as_mut().poll(cx).is_pending());
        poll
    }));
}

/// As children of one group, which is a future too.
pub fn task_group(tasks: Tasks) {
    let group = LocalTaskGroup::<Cancelled>::new();
    let spawn = |task: Task| {
        drop(group.spawn(async {
            task.await;
            Ok(())
        }));
    };
    let main = async {
        tasks.run_on(spawn).await;
        Ok(())
    };
    block_on(group.run(main)).unwrap();
}

pub fn thread_for_each(tasks: Tasks) {
    block_on(tasks.run_on(|task| drop(thread::spawn(|| block_on(task)))));
}

pub fn pollster_threads(tasks: Tasks) {
    pollster::block_on(tasks.run_on(|task| drop(thread::spawn(|| pollster::block_on(task)))));
}

/// A waker of its own for each task, in one future.
pub fn futures_unordered(tasks: Tasks) {
    let all = RefCell::new(FuturesUnordered::<Task>::new());
    let mut main = pin!(tasks.run_on(|task| all.borrow().push(task)));
    pollster::block_on(poll_fn(|cx| {
        let poll = main.as_mut().poll(cx);
        while let Poll::Ready(Some(())) = all.borrow_mut().poll_next_unpin(cx) {}
        poll
    }));
}

pub fn local_pool(tasks: Tasks) {
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    pool.run_until(tasks.run_on(|task| spawner.spawn_local(task).unwrap()));
}

pub fn thread_pool(tasks: Tasks) {
    let pool = ThreadPool::builder().pool_size(2).create().unwrap();
    futures_executor::block_on(tasks.run_on(|task| pool.spawn_ok(task)));
}

pub fn async_executor(tasks: Tasks) {
    let (executor, done) = (Arc::new(Executor::new()), Arc::new(Event::new()));
    for _ in 0..2 {
        let (executor, done) = (Arc::clone(&executor), Arc::clone(&done));
        thread::spawn(move || block_on(executor.run(done.wait())));
    }
    block_on(tasks.run_on(|task| executor.spawn(task).detach()));
    done.set();
}

pub fn local_executor(tasks: Tasks) {
    let executor = LocalExecutor::new();
    block_on(executor.run(tasks.run_on(|task| executor.spawn(task).detach())));
}

/// One for all threads: each of them runs whatever is there, until its own tasks have ended.
pub static STATIC: StaticExecutor = StaticExecutor::new();

pub fn static_executor(tasks: Tasks) {
    block_on(STATIC.run(tasks.run_on(|task| STATIC.spawn(task).detach())));
}

pub fn smol(tasks: Tasks) {
    smol::block_on(tasks.run_on(|task| smol::spawn(task).detach()));
}

pub fn tokio_current_thread(tasks: Tasks) {
    tokio(&Builder::new_current_thread().build().unwrap(), tasks);
}

pub fn tokio_multi_thread(tasks: Tasks) {
    tokio(&Builder::new_multi_thread().worker_threads(2).build().unwrap(), tasks);
}

fn tokio(runtime: &Runtime, tasks: Tasks) {
    runtime.block_on(tasks.run_on(|task| drop(tokio::spawn(task))));
}

pub fn tokio_local_set(tasks: Tasks) {
    let runtime = Builder::new_current_thread().build().unwrap();
    LocalSet::new().block_on(&runtime, tasks.run_on(|task| drop(tokio::task::spawn_local(task))));
}

pub fn embassy(tasks: Tasks) {
    block_on(tasks.run_on(|task| embassy_spawner().spawn(in_embassy(task).unwrap())));
}

/// The spawner of one executor for all, on a thread that ends with the process: an executor of embassy lives for ever.
pub fn embassy_spawner() -> SendSpawner {
    static SPAWNER: OnceLock<SendSpawner> = OnceLock::new();
    *SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let executor = Box::leak(Box::new(embassy_executor::Executor::new()));
            executor.run(|spawner| sender.send(spawner.make_send()).unwrap());
        });
        receiver.recv().unwrap()
    })
}

/// The tasks of embassy have places in a static: this many at a time.
#[embassy_executor::task(pool_size = 4096)]
pub async fn in_embassy(task: Task) {
    task.await;
}

pub fn edge_executor(tasks: Tasks) {
    let (executor, done) = (Arc::new(Edge::new()), Arc::new(Event::new()));
    let (theirs, end) = (Arc::clone(&executor), Arc::clone(&done));
    thread::spawn(move || edge_executor::block_on(theirs.run(end.wait())));
    block_on(tasks.run_on(|task| executor.spawn(task).detach()));
    done.set();
}

pub fn edge_local_executor(tasks: Tasks) {
    let executor = edge_executor::LocalExecutor::<'_, edge_executor::UnboundQueue>::new();
    edge_executor::block_on(executor.run(tasks.run_on(|task| executor.spawn(task).detach())));
}

pub type Edge = edge_executor::Executor<'static, edge_executor::UnboundQueue>;
