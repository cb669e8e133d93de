//! 15.2.1: a producer, and three consumers that wait for different numbers of items.

use std::{sync::Arc, time::Duration};

use testudo::Condition;

use crate::{
    executors::{Env, Executor, Pace, Played, play},
    timeline::{Step, step},
};

/// What CPython prints. The textbook has it otherwise: it serves the consumers in the order in which they came, 5, 3, 2,
/// which no condition does. The first one to go on is the one whose predicate holds first, that of 2 items.
pub const CPYTHON: &[Step] = &[
    step(500, &["Produced: 0"]),
    step(1000, &["Produced: 1"]),
    step(1000, &["Consumed: [0, 1]"]),          // the textbook has no such line
    step(1000, &["Consumer received: [0, 1]"]), // nor this one
    step(1500, &["Produced: 2"]),
    step(2000, &["Produced: 3"]),
    step(2500, &["Produced: 4"]),
    step(2500, &["Consumed: [2, 3, 4]"]),          // textbook: [0, 1, 2, 3, 4]
    step(2500, &["Consumer received: [2, 3, 4]"]), // missing there
    step(3000, &["Produced: 5"]),
    step(3500, &["Produced: 6"]),
    step(4000, &["Produced: 7"]), // then textbook: Consumed: [5, 6, 7]
    step(4500, &["Produced: 8"]),
    step(5000, &["Produced: 9"]),
    step(5000, &["Consumed: [5, 6, 7, 8, 9]"]),          // textbook: [8, 9]
    step(5000, &["Consumer received: [5, 6, 7, 8, 9]"]), // missing there
];

pub fn play(executor: Executor, pace: Pace) -> Played {
    play!(tasks, executor, pace)
}

/// The tasks of the program.
///
/// ```python
/// shelf, condition = [], asyncio.Condition()
/// await asyncio.gather(producer(), consumer(5), consumer(3), consumer(2))
/// ```
fn tasks<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    let shelf = Arc::new(Condition::new(Vec::new()));
    testudo::probe::name(&*shelf, "shelf");
    let roles = [None, Some(5), Some(3), Some(2)];
    let task = |role| {
        let (env, shelf) = (env.clone(), Arc::clone(&shelf));
        async move {
            match role {
                None => producer(&env, &shelf).await,
                Some(count) => consumer(&env, &shelf, count).await,
            }
        }
    };
    roles.into_iter().map(task).collect()
}

/// ```python
/// async def producer():
///     for item in range(10):
///         await asyncio.sleep(0.5)
///         async with condition:
///             shelf.append(item)
///             print(f"Produced: {item}")
///             condition.notify_all()
/// ```
async fn producer(env: &impl Env, shelf: &Condition<Vec<u32>>) {
    for item in 0..10 {
        env.sleep(Duration::from_millis(500)).await;
        let mut items = shelf.lock().await;
        items.push(item);
        env.say(format!("Produced: {item}"));
        shelf.notify_all(&items);
    }
}

/// ```python
/// async def consumer(count):
///     async with condition:
///         await condition.wait_for(lambda: len(shelf) >= count)
///         items = [shelf.pop(0) for _ in range(count)]
///         print(f"Consumed: {items}")
///     print(f"Consumer received: {items}")
/// ```
async fn consumer(env: &impl Env, shelf: &Condition<Vec<u32>>, count: usize) {
    let mut guard = shelf.wait_until(move |items| items.len() >= count).await;
    let items: Vec<u32> = guard.drain(..count).collect();
    env.say(format!("Consumed: {items:?}"));
    drop(guard);
    env.say(format!("Consumer received: {items:?}"));
}
