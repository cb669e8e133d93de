//! In virtual time totals are exact.
use std::{rc::Rc, time::Duration};

use testudo::{
    Condition, Event, Mutex,
    run::{
        Sim,
        profile::{self, Profile, Recorder, ResourceStats},
    },
};

use crate::alone;

const MS: Duration = Duration::from_millis(1);

fn resource<'p>(profile: &'p Profile, name: &str) -> &'p ResourceStats {
    profile.resources().iter().find(|stats| stats.name() == name).unwrap_or_else(|| panic!("{name}: {profile:?}"))
}

/// Three tasks hold a lock for 10 ms each: they wait 0, 10 and 20 ms.
pub(crate) fn three_in_line() -> Profile {
    let sim = Sim::new();
    let recording = Recorder::new().virtual_time().start().expect("no other recording");
    let lock = Rc::new(Mutex::new(()));
    profile::name(&*lock, "stock");
    for name in ["first", "second", "third"] {
        let (lock, clock) = (Rc::clone(&lock), sim.clock());
        sim.spawn_named(name, async move {
            let _guard = lock.lock().await;
            clock.sleep(10 * MS).await;
        });
    }
    assert!(sim.run_until_stalled().is_none());
    recording.stop()
}

#[test]
fn waits_for_a_lock_add_up_to_the_moment() {
    let _alone = alone();
    let profile = three_in_line();
    let stock = resource(&profile, "Mutex `stock`");
    assert_eq!((stock.waits(), stock.uncontended(), stock.cancelled(), stock.overtakings()), (2, 1, 0, 0));
    assert_eq!((stock.waited(), stock.mean(), stock.p99()), (30 * MS, 15 * MS, 20 * MS));
    assert_eq!(stock.longest_hold(), (10 * MS, Some("first")));
    let slept = resource(&profile, "Clock #1");
    assert_eq!((slept.waits(), slept.waited()), (3, 30 * MS));
    let polls: Vec<_> = profile.tasks().iter().map(|task| (task.name().to_owned(), task.polls())).collect();
    assert_eq!(polls, [("first".into(), 2), ("second".into(), 3), ("third".into(), 3)]);
    assert_eq!(profile.dropped(), 0);
}

#[test]
fn off_cpu_stacks_are_exact_in_virtual_time() {
    let _alone = alone();
    let mut folded = Vec::new();
    three_in_line().write_folded(profile::Cpu::Off, &mut folded).unwrap();
    let expected = "first;Clock::sleep #1 10000000\nsecond;Clock::sleep #1 10000000\nsecond;Mutex::lock `stock` 10000000\n\
                    third;Clock::sleep #1 10000000\nthird;Mutex::lock `stock` 20000000\n";
    assert_eq!(String::from_utf8(folded).unwrap(), expected);
}

#[test]
fn a_cancelled_wait_is_counted_and_ends_when_it_is_dropped() {
    let _alone = alone();
    let sim = Sim::new();
    let recording = Recorder::new().virtual_time().start().unwrap();
    let (event, clock) = (Rc::new(Event::new()), sim.clock());
    profile::name(&*event, "never");
    let waiting = Rc::clone(&event);
    let task = sim.spawn(async move { waiting.wait().await });
    sim.block_on(async move { clock.sleep(7 * MS).await }).unwrap();
    task.cancel();
    sim.advance(MS);
    let profile = recording.stop();
    let never = resource(&profile, "Event `never`");
    assert_eq!((never.waits(), never.cancelled(), never.waited()), (1, 1, 7 * MS));
}

/// Waits for the lock and waits aside are told apart, and what a waiter has let go it does not hold.
#[test]
fn a_monitor_is_held_only_between_its_waits() {
    let _alone = alone();
    let sim = Sim::new();
    let recording = Recorder::new().virtual_time().start().unwrap();
    let level = Rc::new(Condition::new(0));
    profile::name(&*level, "level");
    let (cond, clock) = (Rc::clone(&level), sim.clock());
    sim.spawn_named("waiter", async move {
        let guard = cond.wait_until(|level| *level == 3).await;
        clock.sleep(2 * MS).await;
        drop(guard);
    });
    let clock = sim.clock();
    sim.spawn_named("filler", async move {
        for _ in 0..3 {
            clock.sleep(5 * MS).await;
            let mut guard = level.lock().await;
            *guard += 1;
            level.notify_all(&guard);
        }
    });
    assert!(sim.run_until_stalled().is_none());
    let profile = recording.stop();
    let stats = resource(&profile, "Condition `level`");
    assert_eq!((stats.waits(), stats.waited(), stats.longest_hold()), (1, 15 * MS, (2 * MS, Some("waiter"))));
    assert_eq!(profile.tasks()[0].polls(), 3, "first, when satisfied, after its sleep");
}

/// From the wake to the poll it is not the resource that a task waits for.
#[test]
fn a_task_that_was_woken_is_runnable_until_it_is_polled() {
    let _alone = alone();
    let sim = Sim::new();
    let recording = Recorder::new().virtual_time().start().unwrap();
    let event = Rc::new(Event::new());
    profile::name(&*event, "go");
    let waiting = Rc::clone(&event);
    sim.spawn_named("waiter", async move { waiting.wait().await });
    assert!(sim.run_until_stalled().is_some());
    sim.advance(4 * MS);
    event.set();
    sim.advance(3 * MS);
    assert!(sim.run_until_stalled().is_none());
    let mut folded = Vec::new();
    recording.stop().write_folded(profile::Cpu::Off, &mut folded).unwrap();
    assert_eq!(String::from_utf8(folded).unwrap(), "waiter;Event::wait `go` 4000000\nwaiter;runnable 3000000\n");
}

/// A simulation gives the slot and the waker of a task that has ended to the next one.
#[test]
fn a_task_in_the_place_of_one_that_has_ended_is_another_task() {
    let _alone = alone();
    let sim = Sim::new();
    let recording = Recorder::new().virtual_time().start().unwrap();
    let event = Rc::new(Event::new());
    profile::name(&*event, "go");
    for name in ["first", "second", "third"] {
        let waiting = Rc::clone(&event);
        let task = sim.spawn_named(name, async move { waiting.wait().await });
        assert!(sim.run_until_stalled().is_some());
        event.set();
        assert!(sim.run_until_stalled().is_none() && task.is_finished());
        event.clear();
    }
    let profile = recording.stop();
    let polls: Vec<_> = profile.tasks().iter().map(|task| (task.name().to_owned(), task.polls())).collect();
    assert_eq!(polls, [("first".into(), 2), ("second".into(), 2), ("third".into(), 2)]);
    assert_eq!(resource(&profile, "Event `go`").waits(), 3);
}
