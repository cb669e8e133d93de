//! 15.8.1: a task group, of which one task fails.

use std::time::Duration;

use testudo::task::{LocalTaskGroup, TaskGroup};

use crate::{
    executors::{Env, Executor, Pace, Played, Real, Timer, Virtual, play},
    timeline::{Step, step},
};

/// What CPython prints with `except*`, and the textbook too. It has `except Exception as error` and no `except*`, and with
/// that CPython prints the text of the `ExceptionGroup`: "unhandled errors in a TaskGroup (1 sub-exception)".
pub const CPYTHON: &[Step] = &[
    step(1000, &["Task A completed successfully."]),
    step(2000, &["Task B encountered an error."]),
    step(2000, &["Exception in TaskGroup: Error in task B"]),
    step(7000, &["Main loop completed."]), // task C is gone, it would have come at 3 s
];

pub fn play(executor: Executor, pace: Pace) -> Played {
    play!(local, sendable, executor, pace)
}

/// ```python
/// try:
///     async with asyncio.TaskGroup() as tg:
///         tg.create_task(task("A", 1))
///         tg.create_task(task("B", 2))
///         tg.create_task(task("C", 3))
/// except* ValueError as group:
///     for error in group.exceptions:
///         print(f"Exception in TaskGroup: {error}")
/// await asyncio.sleep(5)
/// print("Main loop completed.")
/// ```
macro_rules! program {
    ($env:ident, $Group:ident) => {
        async move {
            let tg = $Group::new();
            let outcome = tg.run(async {
                for (name, seconds) in [('A', 1), ('B', 2), ('C', 3)] {
                    drop(tg.spawn(task(&$env, name, seconds))); // the handle: the group waits for it anyway
                }
                Ok(())
            });
            if let Err(group) = outcome.await {
                for error in group {
                    $env.say(format!("Exception in TaskGroup: {error}"));
                }
            }
            $env.sleep(Duration::from_secs(5)).await;
            $env.say("Main loop completed.");
        }
    };
}

/// In the simulation, whose futures stay on its thread.
fn local(env: Virtual) -> Vec<impl Future<Output = ()>> {
    vec![program!(env, LocalTaskGroup)]
}

/// On executors with threads: a group of `Send` children can be sent itself.
fn sendable<T: Timer>(env: Real<T>) -> Vec<impl Future<Output = ()> + Send> {
    vec![program!(env, TaskGroup)]
}

/// ```python
/// async def task(name, seconds):
///     await asyncio.sleep(seconds)
///     if name == "B":
///         print(f"Task {name} encountered an error.")
///         raise ValueError(f"Error in task {name}")
///     print(f"Task {name} completed successfully.")
/// ```
async fn task(env: &impl Env, name: char, seconds: u64) -> Result<(), String> {
    env.sleep(Duration::from_secs(seconds)).await;
    if name == 'B' {
        env.say(format!("Task {name} encountered an error."));
        return Err(format!("Error in task {name}"));
    }
    env.say(format!("Task {name} completed successfully."));
    Ok(())
}
