//! 15.3.1: three workers that wait for an initialization.

use std::{sync::Arc, time::Duration};

use testudo::Event;

use crate::{
    executors::{Env, Executor, Pace, Played, play},
    timeline::{Step, step},
};

/// What CPython prints, and the textbook too. The order within a step is that of CPython's run queue; threads may have
/// another one.
pub const CPYTHON: &[Step] = &[
    step(
        0,
        &[
            "Initialization started...",
            "Worker A is waiting for initialization to complete.",
            "Worker B is waiting for initialization to complete.",
            "Worker C is waiting for initialization to complete.",
        ],
    ),
    step(2000, &["Initialization completed."]),
    step(2000, &["Worker A starts working.", "Worker B starts working.", "Worker C starts working."]),
];

pub fn play(executor: Executor, pace: Pace) -> Played {
    play!(tasks, executor, pace)
}

/// The tasks of the program.
///
/// ```python
/// ready = asyncio.Event()
/// await asyncio.gather(initialize(), worker("A"), worker("B"), worker("C"))
/// ```
fn tasks<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    let ready = Arc::new(Event::new());
    testudo::probe::name(&*ready, "ready");
    let roles = [None, Some("A"), Some("B"), Some("C")];
    let task = |role| {
        let (env, ready) = (env.clone(), Arc::clone(&ready));
        async move {
            match role {
                None => initialize(&env, &ready).await,
                Some(name) => worker(&env, &ready, name).await,
            }
        }
    };
    roles.into_iter().map(task).collect()
}

/// ```python
/// async def initialize():
///     print("Initialization started...")
///     await asyncio.sleep(2)
///     print("Initialization completed.")
///     ready.set()
/// ```
async fn initialize(env: &impl Env, ready: &Event) {
    env.say("Initialization started...");
    env.sleep(Duration::from_secs(2)).await;
    env.say("Initialization completed.");
    ready.set();
}

/// ```python
/// async def worker(name):
///     print(f"Worker {name} is waiting for initialization to complete.")
///     await ready.wait()
///     print(f"Worker {name} starts working.")
/// ```
async fn worker(env: &impl Env, ready: &Event, name: &str) {
    env.say(format!("Worker {name} is waiting for initialization to complete."));
    ready.wait().await;
    env.say(format!("Worker {name} starts working."));
}
