//! The executors: each function runs tasks to their end.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    thread,
};

use async_executor::{Executor, LocalExecutor};
use testudo::{
    Event,
    run::{Policy, Sim, block_on},
};
use tokio::runtime::{Builder, Runtime};

/// A task that any executor can run.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

pub fn simulation(tasks: Vec<Task>) {
    simulate(&Sim::new(), tasks);
}

pub fn random_simulation(seed: u64, tasks: Vec<Task>) {
    simulate(&Sim::builder().policy(Policy::Random).seed(seed).build(), tasks);
}

fn simulate(sim: &Sim, tasks: Vec<Task>) {
    for task in tasks {
        sim.spawn(task).detach();
    }
    if let Some(stall) = sim.run_until_stalled() {
        panic!("{stall}");
    }
}

/// All tasks in one future: a wake-up of any one polls every one.
pub fn one_future(mut tasks: Vec<Task>) {
    block_on(poll_fn(|cx| {
        tasks.retain_mut(|task| task.as_mut().poll(cx).is_pending());
        if tasks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }));
}

pub fn thread_for_each(tasks: Vec<Task>) {
    thread::scope(|threads| {
        for task in tasks {
            threads.spawn(|| block_on(task));
        }
    });
}

pub fn async_executor(tasks: Vec<Task>) {
    let (executor, done) = (Executor::new(), Event::new());
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| block_on(executor.run(done.wait())));
        }
        let tasks: Vec<_> = tasks.into_iter().map(|task| executor.spawn(task)).collect();
        block_on(async {
            for task in tasks {
                task.await;
            }
        });
        done.set();
    });
}

pub fn local_executor(tasks: Vec<Task>) {
    let executor = LocalExecutor::new();
    let tasks: Vec<_> = tasks.into_iter().map(|task| executor.spawn(task)).collect();
    block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
}

pub fn smol(tasks: Vec<Task>) {
    let tasks: Vec<_> = tasks.into_iter().map(smol::spawn).collect();
    smol::block_on(async {
        for task in tasks {
            task.await;
        }
    });
}

pub fn tokio_current_thread(tasks: Vec<Task>) {
    tokio(&Builder::new_current_thread().build().unwrap(), tasks);
}

pub fn tokio_multi_thread(tasks: Vec<Task>) {
    tokio(&Builder::new_multi_thread().worker_threads(2).build().unwrap(), tasks);
}

fn tokio(runtime: &Runtime, tasks: Vec<Task>) {
    let tasks: Vec<_> = tasks.into_iter().map(|task| runtime.spawn(task)).collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
}
