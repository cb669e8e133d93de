//! Scenarios of what is not an event, a lock or a condition: permits, rounds, values, items.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures_lite::future::yield_now;
use testudo::{
    ArrayQueue, Barrier, Condition, OnceCell, Queue, RwLock, Semaphore,
    sync::{Closed, TryPutError},
};

use crate::scenarios::{Scenario, with_patience, yield_times};

/// How many are inside, and how many were at most.
#[derive(Default)]
struct Crowd(AtomicUsize, AtomicUsize);

impl Crowd {
    async fn enter(&self, turns: usize) {
        self.1.fetch_max(self.0.fetch_add(1, SeqCst) + 1, SeqCst);
        yield_times(turns).await;
        self.0.fetch_sub(1, SeqCst);
    }
}

pub fn a_semaphore_lets_in_no_more_than_it_has_permits_for() -> Scenario {
    const PERMITS: usize = 3;
    const TASKS: usize = 8;
    const ROUNDS: usize = 50;
    let shared = Arc::new((Semaphore::new(PERMITS), Crowd::default(), AtomicUsize::new(0)));
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || {
        let (semaphore, crowd, turns) = &*afterwards;
        assert!((1..=PERMITS).contains(&crowd.1.load(SeqCst)));
        assert_eq!(turns.load(SeqCst), TASKS * ROUNDS);
        assert_eq!(format!("{semaphore:?}"), "Semaphore { available_permits: 3, waiters: false, closed: false }");
    });
    for task in 0..TASKS {
        let shared = Arc::clone(&shared);
        scenario.task(async move {
            let (semaphore, crowd, turns) = &*shared;
            for round in 0..ROUNDS {
                // Every third request is given up after a while, whatever has become of it, and made anew.
                let impatient = with_patience((task + round) % 5, semaphore.acquire());
                let permit = if round % 3 == 0 { impatient.await } else { None };
                let _permit = match permit {
                    Some(permit) => permit,
                    None => semaphore.acquire().await,
                };
                crowd.enter(round % 4).await;
                turns.fetch_add(1, SeqCst);
            }
        });
    }
    scenario
}

pub fn large_and_small_requests_for_permits_are_all_served() -> Scenario {
    const ROUNDS: usize = 40;
    let shared = Arc::new((Semaphore::new(4), AtomicUsize::new(0)));
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || {
        assert_eq!((afterwards.0.available_permits(), afterwards.1.load(SeqCst)), (4, 0));
    });
    for need in [1, 4, 2, 1, 3] {
        let shared = Arc::clone(&shared);
        scenario.task(async move {
            for _ in 0..ROUNDS {
                let permit = shared.0.acquire_many(need).await;
                assert!(shared.1.fetch_add(need, SeqCst) + need <= 4);
                yield_now().await;
                shared.1.fetch_sub(need, SeqCst);
                drop(permit);
            }
        });
    }
    scenario
}

pub fn readers_share_an_rwlock_and_writers_are_alone() -> Scenario {
    const WRITERS: usize = 3;
    const READERS: usize = 5;
    const ROUNDS: usize = 40;
    let lock = Arc::new(RwLock::new((0, 0)));
    let afterwards = Arc::clone(&lock);
    let mut scenario = Scenario::new(move || {
        let pair = afterwards.try_write().unwrap();
        assert_eq!(*pair, (2 * WRITERS * ROUNDS, 2 * WRITERS * ROUNDS));
    });
    for _ in 0..WRITERS {
        let lock = Arc::clone(&lock);
        scenario.task(async move {
            for round in 0..ROUNDS {
                let mut pair = lock.write().await;
                pair.0 += 1;
                yield_times(round % 3).await;
                pair.1 += 1;
                drop(pair);
                // Reads first, and writes what nobody can have changed meanwhile.
                let seen = lock.upgradable_read().await;
                let before = *seen;
                yield_times(round % 2).await;
                let mut pair = seen.upgrade().await;
                assert_eq!(*pair, before);
                *pair = (before.0 + 1, before.1 + 1);
            }
        });
    }
    for reader in 0..READERS {
        let lock = Arc::clone(&lock);
        scenario.task(async move {
            for round in 0..ROUNDS {
                if let Some(pair) = with_patience(reader + round % 7, lock.read()).await {
                    let seen = *pair;
                    assert_eq!(seen.0, seen.1);
                    yield_times(round % 2).await;
                    assert_eq!(*pair, seen);
                }
            }
        });
    }
    scenario
}

pub fn a_barrier_keeps_its_rounds_apart() -> Scenario {
    const PARTIES: usize = 5;
    const ROUNDS: usize = 60;
    let shared = Arc::new((Barrier::new(PARTIES), AtomicUsize::new(0), AtomicUsize::new(0)));
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || {
        assert_eq!(afterwards.1.load(SeqCst), PARTIES * ROUNDS);
        assert_eq!(afterwards.2.load(SeqCst), ROUNDS, "leaders");
        assert!(afterwards.0.waiting() == 0 && !afterwards.0.is_broken());
    });
    for _ in 0..PARTIES {
        let shared = Arc::clone(&shared);
        scenario.task(async move {
            let (barrier, arrived, leaders) = &*shared;
            for round in 1..=ROUNDS {
                arrived.fetch_add(1, SeqCst);
                let turn = barrier.wait().await.unwrap();
                let seen = arrived.load(SeqCst);
                assert!((PARTIES * round..PARTIES * (round + 1)).contains(&seen), "{seen} in round {round}");
                leaders.fetch_add(usize::from(turn.is_leader()), SeqCst);
            }
        });
    }
    scenario
}

pub fn a_party_that_gives_up_takes_its_arrival_back() -> Scenario {
    const IMPATIENT: usize = 10;
    // How many have given up; the barrier is never full of those alone.
    let shared = Arc::new((Barrier::new(IMPATIENT + 1), Condition::new(0), AtomicUsize::new(0)));
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || {
        assert_eq!(afterwards.2.load(SeqCst), IMPATIENT + 1);
        assert_eq!(afterwards.0.waiting(), 0);
    });
    for patience in 0..=IMPATIENT {
        let shared = Arc::clone(&shared);
        scenario.task(async move {
            let (barrier, given_up, passed) = &*shared;
            if patience < IMPATIENT {
                assert!(with_patience(patience, barrier.wait()).await.is_none());
                let mut count = given_up.lock().await;
                *count += 1;
                given_up.notify_all(&count);
            }
            drop(given_up.wait_until(|&count| count == IMPATIENT).await);
            barrier.wait().await.unwrap();
            passed.fetch_add(1, SeqCst);
        });
    }
    scenario
}

pub fn a_cell_is_initialized_once_though_initializers_fail_and_are_cancelled() -> Scenario {
    const TASKS: usize = 12;
    let shared = Arc::new((OnceCell::new(), AtomicUsize::new(0)));
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || {
        assert_eq!(afterwards.0.get(), Some(&7));
        assert_eq!(afterwards.1.load(SeqCst), 1, "initializers that came to their end");
    });
    for task in 0..TASKS {
        let shared = Arc::clone(&shared);
        scenario.task(async move {
            let cell = &shared.0;
            match task % 3 {
                0 => {
                    // Never comes to its end, and is dropped, running or in line.
                    let stuck = cell.get_or_init(std::future::pending);
                    assert!(with_patience(task, stuck).await.is_none_or(|&value| value == 7));
                }
                1 => {
                    let failed = cell.get_or_try_init(|| async {
                        yield_times(task).await;
                        Err(task)
                    });
                    // Its own failure, or a value that somebody else had made by its turn.
                    assert!(failed.await.map_or_else(|error| error == task, |&value| value == 7));
                }
                _ => assert_eq!(*cell.wait().await, 7),
            }
        });
    }
    for _ in 0..3 {
        let shared = Arc::clone(&shared);
        scenario.task(async move {
            let (cell, done) = &*shared;
            let value = cell.get_or_init(|| async {
                yield_times(3).await;
                done.fetch_add(1, SeqCst);
                7
            });
            assert_eq!(*value.await, 7);
        });
    }
    scenario
}

macro_rules! transfer {
    ($name:ident, $queue:expr) => {
        pub fn $name() -> Scenario {
            const PRODUCERS: usize = 3;
            const CONSUMERS: usize = 4;
            const ITEMS: usize = 60;
            let shared = Arc::new(($queue, AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)));
            let afterwards = Arc::clone(&shared);
            let mut scenario = Scenario::new(move || {
                let (queue, _, sum, count) = &*afterwards;
                let all = PRODUCERS * ITEMS;
                assert_eq!((count.load(SeqCst), sum.load(SeqCst)), (all, all * (all - 1) / 2));
                assert!(queue.is_closed() && queue.is_empty());
                assert_eq!(queue.unfinished(), all);
            });
            for producer in 0..PRODUCERS {
                let shared = Arc::clone(&shared);
                scenario.task(async move {
                    let (queue, producers, ..) = &*shared;
                    for item in 0..ITEMS {
                        let item = producer * ITEMS + item;
                        // At times it tries first.
                        let tried = if item % 4 == 0 { queue.try_put(item) } else { Err(TryPutError::Full(item)) };
                        if let Err(full) = tried {
                            queue.put(full.into_inner()).await.unwrap();
                        }
                    }
                    if producers.fetch_add(1, SeqCst) + 1 == PRODUCERS {
                        assert!(queue.close());
                    }
                });
            }
            for consumer in 0..CONSUMERS {
                let shared = Arc::clone(&shared);
                scenario.task(async move {
                    let (queue, _, sum, count) = &*shared;
                    for round in 0.. {
                        let got = match with_patience((consumer + round) % 4, queue.get()).await {
                            Some(got) => got,
                            None => queue.get().await,
                        };
                        match got {
                            Ok(item) => sum.fetch_add(item, SeqCst),
                            Err(Closed(())) => return,
                        };
                        count.fetch_add(1, SeqCst);
                    }
                });
            }
            scenario
        }
    };
}

transfer! { every_item_put_into_a_queue_is_got_once, Queue::bounded(2) }
transfer! { every_item_put_into_an_array_queue_is_got_once, ArrayQueue::<_, 2>::new() }

pub fn joining_a_queue_waits_for_all_that_was_put() -> Scenario {
    const WORKERS: usize = 3;
    const ITEMS: usize = 30;
    let shared = Arc::new((Queue::priority(4), AtomicUsize::new(0)));
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert_eq!((afterwards.0.unfinished(), afterwards.0.len()), (0, 0)));
    for worker in 0..WORKERS {
        let shared = Arc::clone(&shared);
        scenario.task(async move {
            let (queue, done) = &*shared;
            while let Ok(item) = queue.get().await {
                yield_times((item + worker) % 3).await;
                done.fetch_add(1, SeqCst);
                queue.task_done().unwrap();
            }
        });
    }
    scenario.task(async move {
        let (queue, done) = &*shared;
        for lap in 1..=3 {
            for item in 0..ITEMS {
                queue.put(item).await.unwrap();
            }
            queue.join().await;
            assert_eq!(done.load(SeqCst), lap * ITEMS);
        }
        queue.close();
    });
    scenario
}
