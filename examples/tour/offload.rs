//! 15.11.2: three blocking operations, on the threads that each executor has for that.

use testudo::run::offload;

use crate::{
    executors::{Env, Executor, Pace, Played, play},
    timeline::{Step, step},
};

/// The lines that CPython prints. The order of all but the last one is left to the threads, there and here; this is that
/// of a single thread, which the simulation has beside it. The work takes real time, and no virtual time.
pub const CPYTHON: &[Step] = &[
    step(
        0,
        &[
            "Starting blocking operation 1000000",
            "Blocking operation 1000000 completed",
            "Starting blocking operation 2000000",
            "Blocking operation 2000000 completed",
            "Starting blocking operation 3000000",
            "Blocking operation 3000000 completed",
        ],
    ),
    step(0, &["Results: [499999500000, 1999999000000, 4499998500000]"]),
];

pub fn play(executor: Executor, pace: Pace) -> Played {
    play!(program, executor, pace)
}

/// ```python
/// loop = asyncio.get_running_loop()
/// with concurrent.futures.ThreadPoolExecutor() as pool:
///     tasks = [loop.run_in_executor(pool, blocking_operation, n) for n in (1000000, 2000000, 3000000)]
///     results = await asyncio.gather(*tasks)
/// print(f"Results: {results}")
/// ```
fn program<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    let main = async move {
        // All three are at work from here on: the pool gets them at once.
        let work = [1_000_000, 2_000_000, 3_000_000].map(|n| {
            let say = env.voice();
            offload(&env.pool(), move |_| blocking_operation(n, say))
        });
        let mut results = vec![];
        for result in work {
            match result.await {
                Ok(sum) => results.push(sum),
                Err(lost) => env.say(lost.to_string()),
            }
        }
        env.say(format!("Results: {results:?}"));
    };
    vec![main]
}

/// ```python
/// def blocking_operation(n):
///     print(f"Starting blocking operation {n}")
///     result = sum(range(n))
///     print(f"Blocking operation {n} completed")
///     return result
/// ```
fn blocking_operation(n: u64, say: impl Fn(String)) -> u64 {
    say(format!("Starting blocking operation {n}"));
    let result = (0..n).sum();
    say(format!("Blocking operation {n} completed"));
    result
}
