//! 15.9: an asynchronous context manager, left normally and cancelled half-way.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use futures_util::future::{Either, select};
use testudo::{flow::Exit, task::ShelterArray};

use crate::{
    executors::{Env, Executor, Pace, Played, play},
    timeline::{Step, step},
};

/// What CPython prints, run with a real clock: the exit is awaited in both cases, and `main` waits for it.
pub const CPYTHON: &[Step] = &[
    step(500, &["Connection opened."]),
    step(500, &["Fetching users."]),
    step(3500, &["Connection closed."]),
    step(3500, &["Users: ['Alice', 'Bob']"]),
    step(4000, &["Connection opened."]),
    step(4000, &["Fetching users."]),
    step(4500, &["Cancelling."]),
    step(5500, &["Connection closed."]),
    step(5500, &["Cancelled."]),
];

pub fn play(executor: Executor, pace: Pace) -> Played {
    play!(tasks, executor, pace)
}

/// ```python
/// async def main():
///     print(f"Users: {await fetch_users()}")
///     task = asyncio.create_task(fetch_users())
///     await asyncio.sleep(1)
///     print("Cancelling.")
///     task.cancel()
///     try:
///         await task
///     except asyncio.CancelledError:
///         print("Cancelled.")
/// ```
fn tasks<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    vec![async move {
        // The release is a future of one type, so an array will do: `Send` where the executor's timers are.
        let release = |(): (), _: Exit| close(env.clone());
        let shelter = pin!(ShelterArray::<_, 1>::new());
        let shelter = shelter.as_ref();
        let users = fetch_users(&env, shelter, release).await;
        env.say(format!("Users: ['{}']", users.join("', '")));
        {
            let task = pin!(fetch_users(&env, shelter, release));
            let pause = pin!(env.sleep(Duration::from_secs(1)));
            let Either::Right(_) = select(task, pause).await else { return };
            env.say("Cancelling.");
        } // the task is dropped, in the middle of it
        shelter.drain().await;
        env.say("Cancelled.");
    }]
}

/// ```python
/// @asynccontextmanager
/// async def connection():
///     await asyncio.sleep(0.5)
///     print("Connection opened.")
///     try:
///         yield "connection"
///     finally:
///         await asyncio.sleep(1)
///         print("Connection closed.")
///
/// async def fetch_users():
///     async with connection():
///         print("Fetching users.")
///         await asyncio.sleep(2)
///         return ["Alice", "Bob"]
/// ```
async fn fetch_users<E, F, L>(env: &E, shelter: Pin<&ShelterArray<F, 1>>, release: L) -> Vec<&'static str>
where
    E: Env,
    F: Future<Output = ()>,
    L: FnOnce((), Exit) -> F,
{
    env.sleep(Duration::from_millis(500)).await;
    env.say("Connection opened.");
    let Ok(connection) = shelter.guard_pinned((), release) else { return vec![] };
    env.say("Fetching users.");
    env.sleep(Duration::from_secs(2)).await;
    connection.close().await;
    vec!["Alice", "Bob"]
}

async fn close<E: Env>(env: E) {
    env.sleep(Duration::from_secs(1)).await;
    env.say("Connection closed.");
}
