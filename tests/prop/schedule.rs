//! `run::schedules`: this crate's primitives under random interleavings, and failing interleavings that shrink.
use std::{cell::Cell, rc::Rc, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use testudo::{
    Condition, Event, Mutex, Queue, RwLock, Semaphore,
    run::{Clock, Policy, Schedule, Sim, schedules},
};

async fn yields(clock: &Clock, n: u32) {
    for _ in 0..n {
        clock.sleep(Duration::ZERO).await;
    }
}

fn simulation(schedule: Schedule) -> Sim {
    Sim::builder().policy(Policy::Replay(schedule)).build()
}

/// As a schedule has no spurious polls, these come from a policy.
fn spurious(seed: u64, policy: Policy) -> Sim {
    Sim::builder().policy(policy).seed(seed).spurious_polls(0.3).build()
}

/// Locks, permits and queue items go around between `n` tasks; nothing is lost and nobody waits for ever.
fn town(sim: &Sim, n: u32) {
    let lock = Rc::new(Mutex::new(0));
    let rw = Rc::new(RwLock::new(0));
    let permits = Rc::new(Semaphore::new(2));
    let board = Rc::new(Condition::new(0));
    let queue = Rc::new(Queue::bounded(1));
    let start = Rc::new(Event::new());
    for i in 0..n {
        let (lock, rw, permits, clock) = (lock.clone(), rw.clone(), permits.clone(), sim.clock());
        let (board, queue, start) = (board.clone(), queue.clone(), start.clone());
        sim.spawn(async move {
            start.wait().await;
            let _permit = permits.acquire().await;
            *lock.lock().await += 1;
            yields(&clock, i % 3).await;
            if i % 2 == 0 {
                *rw.write().await += 1;
            } else {
                drop(rw.read().await);
            }
            queue.put(i).await.unwrap();
            let mut guard = board.lock().await;
            *guard += 1;
            Condition::notify_all(&board, &guard);
        });
    }
    let (taker, done, all) = (queue.clone(), board.clone(), start);
    let main = async {
        all.set();
        let mut sum = 0;
        for _ in 0..n {
            sum += taker.get().await.unwrap();
        }
        drop(done.wait_until(move |&count: &u32| count == n).await);
        sum
    };
    assert_eq!(sim.block_on(main).unwrap(), n * (n - 1) / 2);
    assert!(sim.run_until_stalled().is_none());
    assert_eq!((*lock.try_lock().unwrap(), permits.available_permits()), (n, 2));
    assert_eq!(*rw.try_read().unwrap(), n.div_ceil(2));
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_primitives_bear_any_interleaving(schedule in schedules(), n in 1..7_u32) {
        town(&simulation(schedule), n);
    }

    #[test]
    fn the_primitives_bear_spurious_polls(seed: u64, pick in 0..4_usize, n in 1..7_u32) {
        town(&spurious(seed, [Policy::Fifo, Policy::Lifo, Policy::Random, Policy::Pct { depth: 3 }][pick].clone()), n);
    }

    #[test]
    fn a_schedule_is_read_as_it_is_written(schedule in schedules()) {
        prop_assert_eq!(schedule.to_string().parse::<Schedule>(), Ok(schedule));
    }
}

/// A counter that is read, and written only after a suspension: an update is lost when another task comes in between.
fn lost_update(sim: &Sim) -> u32 {
    let count = Rc::new(Cell::new(0));
    for turn in 0..2 {
        let (count, clock) = (count.clone(), sim.clock());
        sim.spawn(async move {
            yields(&clock, 2 * turn).await;
            let read = count.get();
            yields(&clock, 1).await;
            count.set(read + 1);
        });
    }
    sim.run_until_stalled();
    count.get()
}

#[test]
fn a_failing_interleaving_shrinks_to_two_steps() {
    assert_eq!(lost_update(&Sim::new()), 2, "asyncio's order does not show it");
    let config = Config { cases: 2000, failure_persistence: None, ..Config::default() };
    let error = TestRunner::new(config).run(&schedules(), |schedule| match lost_update(&simulation(schedule)) {
        2 => Ok(()),
        n => Err(TestCaseError::fail(format!("{n} of 2"))),
    });
    let Err(TestError::Fail(_, least)) = error else { panic!("not found: {error:?}") };
    assert!((1..=2).contains(&least.len()) && least.seed() == 0, "{least}");
}
