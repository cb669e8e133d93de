//! Scenarios of giving up: deadlines, tokens, and many at once.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_lite::future::yield_now;
use testudo::{
    Barrier, Condition, Event, Mutex, Queue, RwLock, Semaphore,
    task::{CancelToken, Cancelled, Elapsed, SharedToken, timeout},
};

use crate::{
    children::{add_one, count, reach},
    scenarios::{Scenario, yield_times},
};

pub fn a_timeout_comes_at_its_deadline() -> Scenario {
    const WAITERS: usize = 6;
    let shared = Arc::new((CancelToken::new(), Event::new(), count(), AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert_eq!(afterwards.3.load(SeqCst), WAITERS));
    for waiter in 0..WAITERS {
        let shared = Arc::clone(&shared);
        scenario.task(async move {
            let (deadline, event, in_time, late) = &*shared;
            // Two deadlines: a token that is cancelled, and a task that runs on.
            assert_eq!(timeout(pending::<()>(), event.wait()).await, Ok(()));
            add_one(in_time).await;
            let outcome = timeout(deadline.cancelled(), async {
                yield_times(waiter).await;
                pending::<()>().await;
            });
            assert_eq!(outcome.await, Err(Elapsed));
            assert_eq!(timeout(deadline.cancelled(), async { waiter }).await, Ok(waiter), "what is ready comes first");
            late.fetch_add(1, SeqCst);
        });
    }
    scenario.task(async move {
        yield_times(5).await;
        theirs.1.set();
        reach(&theirs.2, WAITERS).await;
        assert_eq!(theirs.3.load(SeqCst), 0);
        theirs.0.cancel();
    });
    scenario
}

pub fn a_token_cancels_its_tree_and_nothing_else() -> Scenario {
    const BRANCHES: usize = 3;
    const LEAVES: usize = 4;
    let root = SharedToken::new();
    let branches: Vec<_> = (0..BRANCHES).map(|_| root.child()).collect();
    // How many run, and how many were cancelled, by branch.
    let shared = Arc::new((count(), [(); BRANCHES].map(|()| count())));
    let theirs = Arc::clone(&shared);
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || {
        assert!(afterwards.1.iter().all(|branch| *branch.try_lock().unwrap() == LEAVES));
    });
    for (n, branch) in branches.iter().enumerate() {
        for _ in 0..LEAVES {
            let (leaf, shared) = (branch.child(), Arc::clone(&shared));
            scenario.task(async move {
                add_one(&shared.0).await;
                assert_eq!(leaf.run(pending::<()>()).await, Err(Cancelled));
                add_one(&shared.1[n]).await;
            });
        }
    }
    scenario.task(async move {
        let (running, cancelled) = &*theirs;
        reach(running, BRANCHES * LEAVES).await;
        branches[1].cancel();
        reach(&cancelled[1], LEAVES).await;
        yield_times(5).await;
        assert_eq!((*cancelled[0].lock().await, *cancelled[2].lock().await), (0, 0));
        assert!(!root.is_cancelled());
        root.cancel();
    });
    scenario
}

/// What there is to wait for.
struct Everything {
    mutex: Mutex<usize>,
    semaphore: Semaphore,
    queue: Queue<usize>,
    event: Event,
    condition: Condition<usize>,
    rwlock: RwLock<usize>,
    barrier: Barrier,
    storm: CancelToken,
}

impl Everything {
    /// Waits for the `n`th kind of thing, and gives it back.
    async fn wait(&self, n: usize) {
        match n % 8 {
            0 => *self.mutex.lock().await += 1,
            1 => drop(self.semaphore.acquire_many(2).await),
            2 => drop(self.semaphore.acquire().await),
            3 => drop(self.queue.get().await.map(|item| self.queue.try_put(item).unwrap())),
            4 => self.event.wait().await,
            5 => drop(self.condition.wait_until(|&n| n > 0).await),
            6 => *self.rwlock.write().await += 1,
            _ => drop(self.barrier.wait().await),
        }
    }
}

pub fn a_storm_of_cancellations_leaves_everything_whole() -> Scenario {
    const TASKS: usize = 64;
    let all = Arc::new(Everything {
        mutex: Mutex::new(0),
        semaphore: Semaphore::new(0),
        queue: Queue::bounded(1),
        event: Event::new(),
        condition: Condition::new(0),
        rwlock: RwLock::new(0),
        barrier: Barrier::new(TASKS),
        storm: CancelToken::new(),
    });
    // How many wait; how many had what they waited for, and how many were cancelled.
    let shared = Arc::new((count(), AtomicUsize::new(0), AtomicUsize::new(0)));
    let afterwards = (Arc::clone(&all), Arc::clone(&shared));
    let mut scenario = Scenario::new(move || {
        let (all, (_, had, cancelled)) = (&*afterwards.0, &*afterwards.1);
        assert_eq!(had.load(SeqCst) + cancelled.load(SeqCst), TASKS);
        assert!(cancelled.load(SeqCst) >= TASKS / 8, "the barrier is not full");
        assert!(all.mutex.try_lock().is_some() && all.rwlock.try_write().is_some());
        assert_eq!((all.semaphore.available_permits(), all.queue.try_get(), all.barrier.waiting()), (2, Ok(1), 0));
        assert_eq!(format!("{:?}", all.event), "Event { set: true, waiters: false }");
        assert_eq!(format!("{:?}", all.condition), "Condition { locked: false, waiters: false, .. }");
    });
    for task in 0..TASKS {
        let (all, shared) = (Arc::clone(&all), Arc::clone(&shared));
        scenario.task(async move {
            add_one(&shared.0).await;
            let ended = match all.storm.run(all.wait(task)).await {
                Ok(()) => &shared.1,
                Err(Cancelled) => &shared.2,
            };
            ended.fetch_add(1, SeqCst);
        });
    }
    let (giver, start) = (Arc::clone(&all), Arc::clone(&shared));
    scenario.task(async move {
        let (mut data, room) = (giver.mutex.lock().await, giver.rwlock.read().await);
        reach(&start.0, TASKS).await;
        yield_times(2).await;
        *data += 1;
        giver.semaphore.add_permits(2);
        giver.queue.put(1).await.unwrap();
        giver.event.set();
        drop(data);
        drop(room);
        let mut n = giver.condition.lock().await;
        *n = 1;
        giver.condition.notify_all(&n);
    });
    scenario.task(async move {
        reach(&shared.0, TASKS).await;
        yield_now().await;
        all.storm.cancel();
    });
    scenario
}
