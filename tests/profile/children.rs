//! Children are tasks without anybody's doing, and who waits for them is seen to.
use std::{rc::Rc, time::Duration};

use testudo::{
    Event, Mutex, graph, probe,
    run::{
        Sim, Spawner, Stall, block_on,
        profile::{ProfileExt, Recorder},
    },
    task::{Cancelled, LocalShelter, LocalTaskGroup, Shelter, SpawnedGroup, TaskGroup, shield_local},
};

use crate::alone;

/// Runs `parent`, a task of that name, which hangs.
fn hang<F: Future + 'static>(parent: impl FnOnce(Rc<Mutex<()>>, Spawner) -> F) -> Stall {
    let sim = Sim::new();
    let lock = Rc::new(Mutex::new(()));
    probe::name(&*lock, "lock");
    sim.spawn_named("parent", parent(lock, sim.spawner())).detach();
    sim.run_until_stalled().expect("it hangs")
}

fn only_cycle(stall: &Stall) -> String {
    let [cycle] = stall.graph().cycles() else { panic!("one cycle: {stall}") };
    cycle.to_string()
}

#[test]
fn a_parent_that_has_what_its_child_waits_for_is_a_cycle() {
    let _alone = alone();
    let stall = hang(async |lock, _| {
        let (lock, tg) = (&*lock, TaskGroup::new());
        let _guard = lock.lock().await;
        tg.run(async {
            drop(tg.spawn(async { Ok(drop(lock.lock().await)) }));
            Ok::<_, Cancelled>(())
        })
        .await
    });
    assert_eq!(
        only_cycle(&stall),
        "cycle: parent waits for TaskGroup #1, which group child has; \
         group child waits for Mutex `lock`, which parent has"
    );
    let text = stall.graph().to_string();
    assert!(text.contains("waits for TaskGroup #1 (TaskGroup::run) since 0ns"), "{text}");
    let child = text.lines().find(|line| line.contains("group child, spawned at")).unwrap_or_else(|| panic!("{text}"));
    assert!(child.contains(file!()), "spawned where the program says so: {child}");
    assert!(!text.contains("await)"), "it waits for its child once: {text}");
}

#[test]
fn siblings_that_wait_for_each_other_are_a_cycle_and_told_apart() {
    let _alone = alone();
    let stall = hang(async |lock, _| {
        let tg = TaskGroup::new();
        let (lock, has) = (&*lock, &Event::new());
        tg.run(async {
            let second = tg.spawn(async {
                has.wait().await;
                Ok(drop(lock.lock().await))
            });
            drop(tg.spawn(async {
                let _guard = lock.lock().await;
                has.set();
                second.await
            }));
            Ok::<_, Cancelled>(())
        })
        .await
    });
    let [cycle] = stall.graph().cycles() else { panic!("one cycle: {stall}") };
    let [first, second] = cycle.links() else { panic!("two links: {cycle}") };
    let (handle, lock) = if first.resource().contains("lock") { (second, first) } else { (first, second) };
    assert_eq!(handle.resource(), format!("task {}", handle.holder()));
    assert_eq!(lock.resource(), "Mutex `lock`");
    assert_ne!(handle.waiter(), handle.holder());
    assert!(handle.waiter().starts_with("group child #") && handle.holder().starts_with("group child #"), "{cycle}");
}

#[test]
fn who_joins_a_spawned_group_waits_for_its_children() {
    let _alone = alone();
    let stall = hang(async |lock, spawner| {
        let group = SpawnedGroup::<_, ()>::new(spawner);
        let theirs = Rc::clone(&lock);
        let _guard = lock.lock().await;
        drop(group.spawn_local(async move { Ok(drop(theirs.lock().await)) }));
        group.join().await
    });
    assert_eq!(
        only_cycle(&stall),
        "cycle: parent waits for SpawnedGroup #1, which spawned child has; \
         spawned child waits for Mutex `lock`, which parent has"
    );
}

#[test]
fn who_awaits_the_handle_of_a_spawned_child_waits_for_it() {
    let _alone = alone();
    let stall = hang(async |lock, spawner| {
        let group = SpawnedGroup::<_, ()>::new(spawner);
        let theirs = Rc::clone(&lock);
        let _guard = lock.lock().await;
        group.spawn_local(async move { Ok(drop(theirs.lock().await)) }).await
    });
    assert_eq!(
        only_cycle(&stall),
        "cycle: parent waits for task spawned child, which spawned child has; \
         spawned child waits for Mutex `lock`, which parent has"
    );
}

#[test]
fn who_awaits_a_shielded_future_waits_for_it() {
    let _alone = alone();
    let stall = hang(async |lock, spawner| {
        let theirs = Rc::clone(&lock);
        let _guard = lock.lock().await;
        shield_local(&spawner, async move { drop(theirs.lock().await) }).await
    });
    assert_eq!(
        only_cycle(&stall),
        "cycle: parent waits for Shelter #1, which shielded has; shielded waits for Mutex `lock`, which parent has"
    );
}

#[test]
fn who_drives_a_sheltered_future_waits_for_it() {
    let _alone = alone();
    let stall = hang(async |lock, _| {
        let theirs = Rc::clone(&lock);
        let shelter = LocalShelter::new();
        let _guard = lock.lock().await;
        shelter.shield(async move { drop(theirs.lock().await) }).await
    });
    assert_eq!(
        only_cycle(&stall),
        "cycle: parent waits for Shelter #1, which sheltered has; \
         sheltered waits for Mutex `lock`, which parent has"
    );
}

/// 20 ms of virtual time, in which two children sleep 10 ms each, one after the other.
#[test]
fn a_profile_has_children_with_their_polls_wakes_and_waits() {
    let _alone = alone();
    let sim = Sim::new();
    let recording = Recorder::new().virtual_time().start().unwrap();
    let clock = sim.clock();
    let parent = async move {
        let tg = LocalTaskGroup::new().max_concurrency(1);
        tg.run(async {
            for _ in 0..2 {
                let clock = clock.clone();
                drop(tg.spawn(async move { Ok(clock.sleep(Duration::from_millis(10)).await) }));
            }
            Ok::<_, Cancelled>(())
        })
        .await
    };
    sim.spawn_named("parent", parent).detach();
    assert!(sim.run_until_stalled().is_none());
    let profile = recording.stop();
    let children: Vec<_> = profile.tasks().iter().filter(|task| task.name() == "group child").collect();
    assert_eq!(children.iter().map(|task| task.polls()).collect::<Vec<_>>(), [2, 2]);
    let group = profile.resources().iter().find(|of| of.name() == "TaskGroup #1").expect("it is waited for");
    assert_eq!((group.waits(), group.waited()), (1, Duration::from_millis(20)));
    assert_eq!(group.longest_hold(), (Duration::from_millis(20), Some("group child")), "since it was spawned");
    assert!(profile.graph().is_empty(), "{}", profile.graph());
    let mut folded = Vec::new();
    profile.write_folded(testudo::run::profile::Cpu::Off, &mut folded).unwrap();
    let folded = String::from_utf8(folded).unwrap();
    assert!(folded.contains("parent;TaskGroup::run #1 20000000"), "{folded}");
}

#[test]
fn a_child_that_wakes_its_sibling_is_an_arrow_from_one_to_the_other() {
    let _alone = alone();
    let recording = Recorder::new().start().unwrap();
    let (tg, event) = (TaskGroup::new(), Event::new());
    let run = tg.run(async {
        drop(tg.spawn(async { Ok(event.wait().await) }));
        drop(tg.spawn(async { Ok(event.set()) }));
        Ok::<_, Cancelled>(())
    });
    block_on(run).unwrap();
    let mut trace = Vec::new();
    recording.stop().write_chrome(&mut trace).unwrap();
    let trace: serde_json::Value = serde_json::from_slice(&trace).unwrap();
    let ends = |phase: &str| {
        let events = trace["traceEvents"].as_array().unwrap().iter();
        events.filter(|event| event["ph"] == phase).map(|event| event["tid"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((ends("s"), ends("f")), (vec![2], vec![1]), "tracks are in the order of spawning");
}

#[test]
fn a_group_that_is_over_or_dropped_leaves_nothing_in_the_graph() {
    let _alone = alone();
    let _watch = graph::watch();
    let never = Event::new();
    let run = |hangs: bool| {
        let never = &never;
        async move {
            let tg = TaskGroup::new();
            let shelter = Shelter::new();
            let group = async {
                let first = tg.spawn(async { Ok(1) });
                drop(shelter.shield(async { 2 }));
                if hangs {
                    drop(tg.spawn(async { Ok(never.wait().await) }));
                }
                first.await
            };
            drop(tg.run(group).await);
            shelter.drain().await;
        }
        .profiled("parent")
    };
    block_on(run(false));
    assert!(graph::snapshot().tasks().next().is_none(), "{}", graph::snapshot());
    let mut hanging = Box::pin(run(true));
    assert!(block_on(futures_lite::future::poll_once(&mut hanging)).is_none());
    assert_eq!(graph::snapshot().tasks().filter(|task| task.contains("child")).count(), 1);
    drop(hanging);
    assert!(graph::snapshot().is_empty() && graph::snapshot().tasks().next().is_none(), "{}", graph::snapshot());
}

/// What was made before anybody listened is no task, and tells nothing but its waits.
#[test]
fn a_child_that_was_spawned_before_the_watch_is_not_told() {
    let _alone = alone();
    let tg = TaskGroup::new();
    let early = tg.spawn(async { Ok::<_, Cancelled>(1) });
    let watch = graph::watch();
    let late = tg.spawn(async { Ok(2) });
    assert_eq!(graph::snapshot().tasks().collect::<Vec<_>>(), ["group child"]);
    let sum = block_on(tg.run(async { Ok(early.await? + late.await?) }));
    assert_eq!(sum, Ok(3));
    drop(watch);
}
