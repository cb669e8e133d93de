//! 15.10.1: a queue as a buffer; the consumer works on five items at a time.

use std::{pin::pin, sync::Arc, time::Duration};

use testudo::{
    Queue,
    flow::{chunks, next},
};

use crate::{
    executors::{Env, Executor, Pace, Played, play},
    timeline::{Step, step},
};

/// What CPython prints; the textbook leaves some of it out. The producer says that it has produced an item after it was
/// put: on threads the consumer may be faster.
pub const CPYTHON: &[Step] = &[
    step(50, &["Produced: 0"]),
    step(100, &["Produced: 1"]),
    step(150, &["Produced: 2"]),
    step(200, &["Produced: 3"]),
    step(250, &["Produced: 4", "Processing buffer: [0, 1, 2, 3, 4]"]),
    step(300, &["Produced: 5"]),
    step(350, &["Produced: 6"]),
    step(400, &["Produced: 7"]),
    step(450, &["Produced: 8"]),
    step(500, &["Produced: 9", "Processing buffer: [5, 6, 7, 8, 9]"]),
    step(550, &["Produced: 10"]),
    step(600, &["Produced: 11"]),
    step(650, &["Produced: 12"]),
    step(700, &["Produced: 13"]),
    step(750, &["Produced: 14", "Processing buffer: [10, 11, 12, 13, 14]"]),
    step(800, &["Produced: 15"]),
    step(850, &["Produced: 16"]),
    step(900, &["Produced: 17"]),
    step(950, &["Produced: 18"]),
    step(1000, &["Produced: 19", "Processing buffer: [15, 16, 17, 18, 19]"]),
];

/// As the textbook has it: `None` is the last item.
pub fn play_sentinel(executor: Executor, pace: Pace) -> Played {
    play!(with_sentinel, executor, pace)
}

/// The better way: the producer closes the queue, and no item has to mean something else.
pub fn play_close(executor: Executor, pace: Pace) -> Played {
    play!(with_close, executor, pace)
}

/// Without a list of one's own: the queue as a stream, in chunks.
pub fn play_chunks(executor: Executor, pace: Pace) -> Played {
    play!(with_chunks, executor, pace)
}

/// The tasks of the program.
///
/// ```python
/// queue = asyncio.Queue()
/// await asyncio.gather(producer(), consumer())
/// ```
fn with_sentinel<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    let queue = Arc::new(Queue::unbounded());
    testudo::probe::name(&*queue, "unbounded");
    let task = |produces| {
        let (env, queue) = (env.clone(), Arc::clone(&queue));
        async move {
            if produces {
                producer(&env, &queue).await;
            } else {
                consumer(&env, &queue).await;
            }
        }
    };
    [true, false].into_iter().map(task).collect()
}

/// ```python
/// async def producer():
///     for i in range(20):
///         await asyncio.sleep(0.05)
///         await queue.put(i)
///         print(f"Produced: {i}")
///     await queue.put(None)
/// ```
async fn producer(env: &impl Env, queue: &Queue<Option<u32>>) {
    for item in 0..20 {
        env.sleep(Duration::from_millis(50)).await;
        let _ = queue.put(Some(item)).await;
        env.say(format!("Produced: {item}"));
    }
    let _ = queue.put(None).await;
}

/// ```python
/// async def consumer():
///     buffer = []
///     while (item := await queue.get()) is not None:
///         buffer.append(item)
///         if len(buffer) == 5:
///             print(f"Processing buffer: {buffer}")
///             buffer.clear()
///     if buffer:
///         print(f"Processing remaining buffer: {buffer}")
/// ```
async fn consumer(env: &impl Env, queue: &Queue<Option<u32>>) {
    let mut buffer = Vec::new();
    while let Ok(Some(item)) = queue.get().await {
        buffer.push(item);
        process(env, &mut buffer);
    }
    process_rest(env, &buffer);
}

fn process(env: &impl Env, buffer: &mut Vec<u32>) {
    if buffer.len() == 5 {
        env.say(format!("Processing buffer: {buffer:?}"));
        buffer.clear();
    }
}

fn process_rest(env: &impl Env, buffer: &[u32]) {
    if !buffer.is_empty() {
        env.say(format!("Processing remaining buffer: {buffer:?}"));
    }
}

/// The same without a sentinel, and with a bound: a producer that is too fast waits.
fn with_close<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    let queue = Arc::new(Queue::bounded(5));
    testudo::probe::name(&*queue, "bounded");
    let task = |produces| {
        let (env, queue) = (env.clone(), Arc::clone(&queue));
        async move {
            if produces {
                for item in 0..20 {
                    env.sleep(Duration::from_millis(50)).await;
                    if queue.put(item).await.is_err() {
                        return; // nobody wants any more
                    }
                    env.say(format!("Produced: {item}"));
                }
                queue.close();
            } else {
                let mut buffer = Vec::new();
                while let Ok(item) = queue.get().await {
                    buffer.push(item);
                    process(&env, &mut buffer);
                }
                process_rest(&env, &buffer);
            }
        }
    };
    [true, false].into_iter().map(task).collect()
}

/// The consumer keeps no list, which would be lost with it if it were cancelled.
fn with_chunks<E: Env>(env: E) -> Vec<impl Future<Output = ()>> {
    let queue = Arc::new(Queue::bounded(5));
    let task = |produces| {
        let (env, queue) = (env.clone(), Arc::clone(&queue));
        async move {
            if produces {
                for item in 0..20 {
                    env.sleep(Duration::from_millis(50)).await;
                    if queue.put(item).await.is_err() {
                        return;
                    }
                    env.say(format!("Produced: {item}"));
                }
                queue.close();
            } else {
                let mut fives = pin!(chunks(queue.stream(), 5));
                while let Some(buffer) = next(&mut fives).await {
                    env.say(format!("Processing buffer: {buffer:?}"));
                }
            }
        }
    };
    [true, false].into_iter().map(task).collect()
}
