//! 15.11.1: the same program on another loop.

use std::time::Duration;

use testudo::task::gather;

use crate::{
    executors::{Env, Executor, Pace, Played, play},
    timeline::{Step, step},
};

/// What CPython prints, on the loop of asyncio and on that of uvloop 0.23. The text says so without a program to print; this
/// one shows it, and that each executor of the tour is one more loop.
pub const CPYTHON: &[Step] = &[
    step(0, &["Worker A starts.", "Worker B starts.", "Worker C starts."]),
    step(1000, &["Worker A ends."]),
    step(2000, &["Worker C ends."]),
    step(3000, &["Worker B ends."]),
    step(3000, &["Slept 6 seconds in 3."]),
];

pub fn play(executor: Executor, pace: Pace) -> Played {
    play!(tasks, executor, pace)
}

/// ```python
/// async def main():
///     slept = await asyncio.gather(worker("A", 1), worker("B", 3), worker("C", 2))
///     print(f"Slept {sum(slept)} seconds in {max(slept)}.")
///
/// uvloop.run(main())
/// ```
fn tasks<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    vec![async move {
        let (a, b, c) = gather((worker(&env, "A", 1), worker(&env, "B", 3), worker(&env, "C", 2))).await;
        env.say(format!("Slept {} seconds in {}.", a + b + c, a.max(b).max(c)));
    }]
}

/// ```python
/// async def worker(name, seconds):
///     print(f"Worker {name} starts.")
///     await asyncio.sleep(seconds)
///     print(f"Worker {name} ends.")
///     return seconds
/// ```
async fn worker(env: &impl Env, name: &str, seconds: u64) -> u64 {
    env.say(format!("Worker {name} starts."));
    env.sleep(Duration::from_secs(seconds)).await;
    env.say(format!("Worker {name} ends."));
    seconds
}
