//! Who waits for whom.
use std::{rc::Rc, time::Duration};

use testudo::{
    Condition, Event, Mutex, Semaphore, graph,
    probe::{self, Probe, Ring},
    run::{Sim, Stall, block_on, profile::ProfileExt},
};

use crate::alone;

/// `left` has A and wants B, `right` has B and wants A; `waiter` waits for a notification that `left` would send.
fn deadlock() -> Stall {
    let sim = Sim::new();
    let parts = Rc::new((Mutex::new(()), Mutex::new(()), Condition::new(false)));
    probe::name(&parts.0, "a");
    probe::name(&parts.1, "b");
    probe::name(&parts.2, "done");
    let (p, clock) = (Rc::clone(&parts), sim.clock());
    sim.spawn_named("left", async move {
        let _a = p.0.lock().await;
        let guard = p.2.lock().await;
        p.2.notify_all(&guard);
        drop(guard);
        clock.sleep(Duration::from_secs(1)).await;
        let _b = p.1.lock().await;
    });
    let (p, clock) = (Rc::clone(&parts), sim.clock());
    sim.spawn_named("right", async move {
        let _b = p.1.lock().await;
        clock.sleep(Duration::from_secs(2)).await;
        let _a = p.0.lock().await;
    });
    sim.spawn_named("waiter", async move {
        drop(parts.2.wait_until(|done| *done).await);
    });
    sim.run_until_stalled().expect("a deadlock")
}

#[test]
fn a_deadlock_of_two_mutexes_and_a_condition_is_a_cycle_with_both_holders() {
    let _alone = alone();
    let stall = deadlock();
    let [cycle] = stall.graph().cycles() else { panic!("{stall}") };
    let links: Vec<_> = cycle.links().iter().map(|link| (link.waiter(), link.holder())).collect();
    assert_eq!(links, [("left", "right"), ("right", "left")]);
    let text = stall.to_string();
    assert!(
        text.contains("waits for Condition `done` (Condition::wait_for) since 0ns, last notified by left"),
        "{text}"
    );
    assert!(
        text.ends_with("cycle: left waits for Mutex `b`, which right has; right waits for Mutex `a`, which left has\n")
    );
    assert_eq!(text.matches(", spawned at").count(), 3 + 3, "each node once, after the list of blocked tasks: {text}");
    let mut dot = Vec::new();
    stall.graph().write_dot(&mut dot).unwrap();
    assert_eq!(String::from_utf8(dot).unwrap().matches("color=red").count(), 2);
    let mut json = Vec::new();
    stall.graph().write_json(&mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["cycles"][0][0]["held_by"], "right");
    assert_eq!(json["tasks"].as_array().unwrap().len(), 3);
    assert_eq!(json["tasks"][0]["waits"][0]["since_ns"], 1_000_000_000_u64);
}

/// The lock of a condition may be a link as well.
#[test]
fn a_cycle_through_the_lock_of_a_condition_is_named() {
    let _alone = alone();
    let sim = Sim::new();
    let parts = Rc::new((Mutex::new(()), Mutex::new(()), Condition::new(())));
    let (one, two, three) = (Rc::clone(&parts), Rc::clone(&parts), Rc::clone(&parts));
    let [c1, c2, c3] = [sim.clock(), sim.clock(), sim.clock()];
    sim.spawn_named("one", async move {
        let _held = one.0.lock().await;
        c1.sleep(Duration::from_secs(1)).await;
        drop(one.1.lock().await);
    });
    sim.spawn_named("two", async move {
        let _held = two.1.lock().await;
        c2.sleep(Duration::from_secs(1)).await;
        drop(two.2.lock().await);
    });
    sim.spawn_named("three", async move {
        let _held = three.2.lock().await;
        c3.sleep(Duration::from_secs(1)).await;
        drop(three.0.lock().await);
    });
    let stall = sim.run_until_stalled().unwrap();
    let [cycle] = stall.graph().cycles() else { panic!("{stall}") };
    let holders: Vec<_> = cycle.links().iter().map(|link| link.holder()).collect();
    assert_eq!(holders, ["two", "three", "one"]);
}

#[test]
fn a_task_that_awaits_another_and_a_permit_lead_to_their_holders() {
    let _alone = alone();
    let sim = Sim::new();
    let permits = Rc::new(Semaphore::new(2));
    let (mine, its) = (Rc::clone(&permits), permits);
    let child = sim.spawn_named("child", async move { its.acquire_many(2).await.count() });
    sim.spawn_named("parent", async move {
        let _permits = mine.acquire_many(1).await;
        child.await.unwrap();
    });
    // The child ran first, and gave its permits back.
    assert!(sim.run_until_stalled().is_none());

    let permits = Rc::new(Semaphore::new(2));
    let spawner = sim.spawner();
    sim.spawn_named("parent", async move {
        let _permit = permits.acquire().await;
        let its = Rc::clone(&permits);
        spawner.spawn_named("child", async move { its.acquire_many(2).await.count() }).await.unwrap();
    });
    let stall = sim.run_until_stalled().unwrap();
    let [cycle] = stall.graph().cycles() else { panic!("{stall}") };
    assert_eq!(
        cycle.to_string(),
        "cycle: parent waits for task child, which child has; child waits for Semaphore #1, which parent has"
    );
}

/// Two threads that hang; a third looks from time to time, as a timer would, and says who has what.
#[test]
fn a_timer_on_another_thread_names_a_deadlock_of_two_threads() {
    let _alone = alone();
    let _watch = graph::watch();
    let (locks, has, stop) = ([Mutex::new(()), Mutex::new(())], [Event::new(), Event::new()], Event::new());
    probe::name(&locks[0], "left lock");
    probe::name(&locks[1], "right lock");
    let hang = |mine: usize, name| {
        let (locks, has, stop) = (&locks, &has, &stop);
        let task = async move {
            let _mine = locks[mine].lock().await;
            has[mine].set();
            has[1 - mine].wait().await;
            drop(locks[1 - mine].lock().await);
        };
        move || block_on(futures_lite::future::or(task.profiled(name), stop.wait()))
    };
    std::thread::scope(|threads| {
        threads.spawn(hang(0, "left"));
        threads.spawn(hang(1, "right"));
        let timer = threads.spawn(|| {
            loop {
                let graph = graph::snapshot();
                if let [cycle] = graph.cycles() {
                    break cycle.to_string();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let cycle = timer.join().unwrap();
        assert!(cycle.contains("left waits for Mutex `right lock`, which right has"), "{cycle}");
        assert!(cycle.contains("right waits for Mutex `left lock`, which left has"), "{cycle}");
        stop.set();
    });
    assert!(graph::snapshot().is_empty());
}

/// A task that ends, or gives up, leaves nothing behind.
#[test]
fn what_is_over_is_not_in_the_graph() {
    let _alone = alone();
    let _watch = graph::watch();
    static EVENT: Event = Event::new();
    static LOCK: Mutex<()> = Mutex::new(());
    let mut waiting = Box::pin(EVENT.wait().profiled("gives up"));
    block_on(futures_lite::future::poll_once(&mut waiting));
    assert!(!graph::snapshot().is_empty());
    drop(waiting);
    block_on(async { drop(LOCK.lock().await) }.profiled("ends"));
    let graph = graph::snapshot();
    assert!(graph.is_empty() && graph.tasks().next().is_none(), "{graph}");
}

/// Two simulations on two threads do not see each other.
#[test]
fn a_simulation_sees_only_its_own_tasks() {
    let _alone = alone();
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                for _ in 0..100 {
                    let sim = Sim::new();
                    sim.spawn_named("alone", async { Event::new().wait().await });
                    let stall = sim.run_until_stalled().unwrap();
                    assert_eq!(stall.graph().tasks().collect::<Vec<_>>(), ["alone"]);
                }
            });
        }
    });
}

#[test]
fn a_ring_keeps_the_last_events_of_two_threads_and_counts_the_others() {
    static RING: Ring<1024> = Ring::new();
    static PROBE: &dyn Probe = &RING;
    let _alone = alone();
    assert!(probe::install(&PROBE));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| (0..5_000).for_each(|_| drop(Mutex::new(()).try_lock())));
        }
    });
    assert!(probe::remove(&PROBE));
    let mut kept = 0;
    let lost = RING.dump(|_| kept += 1);
    assert_eq!(kept + lost, 20_000);
    assert!(kept > 0 && RING.is_empty());
}

/// What is dropped between two runs is not of the second one.
#[test]
fn a_task_that_is_cancelled_between_runs_neither_waits_nor_has_anything() {
    let _alone = alone();
    let sim = Sim::new();
    let locks = Rc::new((Mutex::new(()), Mutex::new(())));
    let theirs = Rc::clone(&locks);
    let doomed = sim.spawn_named("doomed", async move {
        let _has = theirs.0.lock().await;
        let _twice = theirs.0.lock().await;
    });
    assert!(sim.run_until_stalled().unwrap().graph().to_string().contains("doomed"));
    assert!(doomed.cancel());
    sim.spawn_named("other", async move {
        let _has = locks.1.lock().await;
        let _twice = locks.1.lock().await;
    });
    let text = sim.run_until_stalled().unwrap().graph().to_string();
    assert!(text.contains("other") && !text.contains("doomed"), "{text}");
}
