//! 15.10.2: results in the order in which they come.

use std::{pin::pin, time::Duration};

use testudo::{flow::next, task::as_completed};

use crate::{
    executors::{Env, Executor, Pace, Played, play},
    timeline::{Step, step},
};

/// What CPython prints, and the textbook too. It calls that lazy, but all three are started at once, there and here.
pub const CPYTHON: &[Step] = &[
    step(1000, &["Data 2 fetched after 1 seconds."]),
    step(1000, &["Processed: Data 2"]),
    step(2000, &["Data 3 fetched after 2 seconds."]),
    step(2000, &["Processed: Data 3"]),
    step(3000, &["Data 1 fetched after 3 seconds."]),
    step(3000, &["Processed: Data 1"]),
];

pub fn play(executor: Executor, pace: Pace) -> Played {
    play!(tasks, executor, pace)
}

/// ```python
/// for task in asyncio.as_completed([fetch(1, 3), fetch(2, 1), fetch(3, 2)]):
///     print(f"Processed: {await task}")
/// ```
fn tasks<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    vec![async move {
        let mut done = pin!(as_completed([fetch(&env, 1, 3), fetch(&env, 2, 1), fetch(&env, 3, 2)]));
        while let Some((_, data)) = next(&mut done).await {
            env.say(format!("Processed: {data}"));
        }
    }]
}

/// ```python
/// async def fetch(number, delay):
///     await asyncio.sleep(delay)
///     print(f"Data {number} fetched after {delay} seconds.")
///     return f"Data {number}"
/// ```
async fn fetch(env: &impl Env, number: u32, delay: u64) -> String {
    env.sleep(Duration::from_secs(delay)).await;
    env.say(format!("Data {number} fetched after {delay} seconds."));
    format!("Data {number}")
}
