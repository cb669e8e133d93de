//! 15.9.1: an asynchronous generator; and the same one left by `break`, with a clean-up that awaits.

use std::{pin::pin, time::Duration};

use testudo::flow::{AsyncGen, generator, next};

use crate::{
    executors::{Env, Executor, Pace, Played, play},
    timeline::{Step, step},
};

const STEP: Duration = Duration::from_millis(100);

/// What CPython prints; the textbook leaves the middle out.
pub const CPYTHON: &[Step] = &[
    step(100, &["Received number: 0"]),
    step(200, &["Received number: 1"]),
    step(300, &["Received number: 2"]),
    step(400, &["Received number: 3"]),
    step(500, &["Received number: 4"]),
    step(600, &["Received number: 5"]),
    step(700, &["Received number: 6"]),
    step(800, &["Received number: 7"]),
    step(900, &["Received number: 8"]),
    step(1000, &["Received number: 9"]),
];

/// What CPython prints if the generator is closed by `contextlib.aclosing`; without that the clean-up comes later, or not
/// at all.
pub const CPYTHON_CLOSED: &[Step] = &[
    step(100, &["got 0"]),
    step(200, &["got 1"]),
    step(300, &["generator cleaned up"]),
    step(300, &["after the loop"]),
    step(1300, &["one second later"]),
];

pub fn play_all(executor: Executor, pace: Pace) -> Played {
    play!(all, executor, pace)
}

pub fn play_closed(executor: Executor, pace: Pace) -> Played {
    play!(closed, executor, pace)
}

/// ```python
/// async def async_generator(n):
///     for i in range(n):
///         await asyncio.sleep(0.1)
///         yield i
/// ```
fn numbers(env: &impl Env, n: u32) -> impl AsyncGen<Item = u32> {
    generator(async move |mut y| {
        for i in 0..n {
            env.sleep(STEP).await;
            y.emit(i).await?;
        }
        Ok(())
    })
}

/// ```python
/// async for number in async_generator(10):
///     print(f"Received number: {number}")
/// ```
fn all<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    let consumer = async move {
        let mut numbers = pin!(numbers(&env, 10));
        while let Some(number) = next(&mut numbers).await {
            env.say(format!("Received number: {number}"));
        }
    };
    vec![consumer]
}

/// The same with a `finally`: an `emit` that fails says that the generator is being closed.
///
/// ```python
/// try:
///     for i in range(n):
///         await asyncio.sleep(0.1)
///         yield i
/// finally:
///     await asyncio.sleep(0.1)
///     print("generator cleaned up")
/// ```
fn careful(env: &impl Env, n: u32) -> impl AsyncGen<Item = u32> {
    generator(async move |mut y| {
        let mut outcome = Ok(());
        for i in 0..n {
            env.sleep(STEP).await;
            outcome = y.emit(i).await;
            if outcome.is_err() {
                break;
            }
        }
        env.sleep(STEP).await;
        env.say("generator cleaned up");
        outcome
    })
}

/// ```python
/// async with contextlib.aclosing(gen(10)) as g:
///     async for i in g:
///         print("got", i)
///         if i == 1:
///             break
/// print("after the loop")
/// await asyncio.sleep(1)
/// print("one second later")
/// ```
fn closed<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    let consumer = async move {
        let mut numbers = pin!(careful(&env, 10));
        while let Some(i) = next(&mut numbers).await {
            env.say(format!("got {i}"));
            if i == 1 {
                break;
            }
        }
        numbers.aclose().await;
        env.say("after the loop");
        env.sleep(Duration::from_secs(1)).await;
        env.say("one second later");
    };
    vec![consumer]
}
