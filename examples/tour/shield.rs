//! 15.7.1: a critical task that is shielded, and a regular one that is cancelled.
//!
//! The textbook's program does not run: `create_task(shield(..))` is a `TypeError`. These are its repaired forms.

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, join, select};
use testudo::task::{Cancelled, ShelterArray};

use crate::{
    executors::{Env, Executor, Pace, Played, play},
    timeline::{Step, step},
};

/// What CPython prints with `ensure_future(shield(..))` and `gather(.., return_exceptions=True)`. "Regular task completed.",
/// which the textbook prints, cannot appear: that task sleeps for 2 s and is cancelled at 1 s.
pub const CPYTHON_GATHERED: &[Step] = &[
    step(0, &["Critical task started."]),
    step(1000, &["Cancelling regular tasks."]),
    step(5000, &["Critical task completed."]),
    step(5000, &["Main loop completed."]),
];

/// What CPython prints when `critical` is cancelled too, at 1 s, and `main` lives on for 5 s: only this tests the shield.
pub const CPYTHON_CANCELLED: &[Step] = &[
    step(0, &["Critical task started."]),
    step(1000, &["Cancelling regular tasks."]),
    step(1000, &["Main loop completed."]),
    step(5000, &["Critical task completed."]),
];

pub fn play_gathered(executor: Executor, pace: Pace) -> Played {
    play!(gathered, executor, pace)
}

pub fn play_cancelled(executor: Executor, pace: Pace) -> Played {
    play!(cancelled, executor, pace)
}

/// ```python
/// critical = asyncio.ensure_future(asyncio.shield(critical_task()))
/// regular = asyncio.create_task(regular_task())
/// await asyncio.sleep(1)
/// print("Cancelling regular tasks.")
/// regular.cancel()
/// await asyncio.gather(critical, regular, return_exceptions=True)
/// print("Main loop completed.")
/// ```
fn gathered<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    vec![async move {
        let shelter = pin!(ShelterArray::<_, 1>::new());
        let shelter = shelter.as_ref();
        let main = async {
            let Ok(critical) = shelter.shield_pinned(critical_task(env.clone())) else { return };
            let regular = async {
                let regular = pin!(regular_task(&env));
                let pause = pin!(env.sleep(Duration::from_secs(1)));
                match select(regular, pause).await {
                    Either::Left(((), _)) => Ok(()),
                    Either::Right(_) => {
                        env.say("Cancelling regular tasks.");
                        Err(Cancelled)
                    }
                }
            };
            let outcomes = join(critical, regular).await;
            if outcomes != (Ok(()), Err(Cancelled)) {
                env.say(format!("It ended with {outcomes:?}.")); // as it may on a machine that is late
            }
            env.say("Main loop completed.");
        };
        shelter.run(main).await;
    }]
}

/// The same, but at 1 s both are cancelled.
fn cancelled<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    vec![async move {
        let shelter = pin!(ShelterArray::<_, 1>::new());
        let shelter = shelter.as_ref();
        let main = async {
            let Ok(critical) = shelter.shield_pinned(critical_task(env.clone())) else { return };
            {
                let both = pin!(join(critical, regular_task(&env)));
                let pause = pin!(env.sleep(Duration::from_secs(1)));
                let Either::Right(_) = select(both, pause).await else { return };
                env.say("Cancelling regular tasks.");
            } // both are dropped here
            env.say("Main loop completed.");
        };
        shelter.run(main).await; // and lives on until the shelter is empty
    }]
}

/// ```python
/// async def critical_task():
///     print("Critical task started.")
///     await asyncio.sleep(5)
///     print("Critical task completed.")
/// ```
async fn critical_task<E: Env>(env: E) {
    env.say("Critical task started.");
    env.sleep(Duration::from_secs(5)).await;
    env.say("Critical task completed.");
}

/// ```python
/// async def regular_task():
///     await asyncio.sleep(2)
///     print("Regular task completed.")
/// ```
async fn regular_task<E: Env>(env: &E) {
    env.sleep(Duration::from_secs(2)).await;
    env.say("Regular task completed.");
}
