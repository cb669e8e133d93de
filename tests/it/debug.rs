//! Debug tells the state of every type, takes no lock, and does not show what is locked.
use std::sync::{Arc, Mutex as StdMutex};

use testudo::{BoundedSemaphore, Condition, Event, Mutex, Semaphore};

use crate::support::Probe;

/// Has no Debug of its own.
struct Opaque;

// EV-14
#[test]
fn an_event_shows_whether_it_is_set_and_whether_somebody_waits() {
    let (event, task) = (Event::new(), Probe::new());
    assert_eq!(format!("{event:?}"), "Event { set: false, waiters: false }");
    let wait = task.start(event.wait());
    assert_eq!(format!("{event:?}"), "Event { set: false, waiters: true }");
    event.set();
    assert_eq!(format!("{event:?}"), "Event { set: true, waiters: false }");
    event.clear();
    drop(wait);
    let gone = task.start(event.wait());
    drop(gone);
    assert_eq!(format!("{event:?}"), "Event { set: false, waiters: false }");
}

// LOCK-20
#[test]
fn a_mutex_shows_whether_it_is_locked_and_whether_somebody_waits() {
    let (lock, task) = (Mutex::new(Opaque), Probe::new());
    assert_eq!(format!("{lock:?}"), "Mutex { locked: false, waiters: false, .. }");
    let guard = lock.try_lock().unwrap();
    assert_eq!(format!("{lock:?}"), "Mutex { locked: true, waiters: false, .. }");
    let mut fut = task.start(lock.lock());
    assert_eq!(format!("{lock:?}"), "Mutex { locked: true, waiters: true, .. }");
    drop(guard);
    assert_eq!(format!("{lock:?}"), "Mutex { locked: false, waiters: true, .. }");
    drop(task.ready(&mut fut));
    assert_eq!(format!("{lock:?}"), "Mutex { locked: false, waiters: false, .. }");
}

// SEM-15
#[test]
fn a_semaphore_shows_its_permits_and_whether_somebody_waits() {
    let (semaphore, task) = (Semaphore::new(1), Probe::new());
    let text = |semaphore: &Semaphore| format!("{semaphore:?}");
    assert_eq!(text(&semaphore), "Semaphore { available_permits: 1, waiters: false, closed: false }");
    let permit = semaphore.try_acquire().unwrap();
    assert_eq!(format!("{permit:?}"), "Permit { count: 1, .. }");
    let mut fut = task.start(semaphore.acquire());
    assert!(format!("{fut:?}").starts_with("Acquire") && format!("{fut:?}").contains("Waiting"));
    assert_eq!(text(&semaphore), "Semaphore { available_permits: 0, waiters: true, closed: false }");
    drop(permit);
    drop(task.ready(&mut fut));
    semaphore.close();
    assert_eq!(text(&semaphore), "Semaphore { available_permits: 1, waiters: false, closed: true }");
    let bounded = format!("{:?}", BoundedSemaphore::new(2));
    assert!(bounded.starts_with("BoundedSemaphore { semaphore: Semaphore {") && bounded.contains("max_permits: 2"));
}

// COND-32
#[test]
fn a_condition_shows_whether_it_is_locked_and_whether_somebody_waits() {
    let (cond, task) = (Condition::new(Opaque), Probe::new());
    assert_eq!(format!("{cond:?}"), "Condition { locked: false, waiters: false, .. }");
    let guard = cond.try_lock().unwrap();
    assert_eq!(format!("{cond:?}"), "Condition { locked: true, waiters: false, .. }");
    let mut wait = task.start(cond.wait(guard));
    assert_eq!(format!("{cond:?}"), "Condition { locked: false, waiters: true, .. }");
    cond.notify_all(&cond.try_lock().unwrap());
    assert_eq!(format!("{cond:?}"), "Condition { locked: false, waiters: false, .. }");
    drop(task.ready(&mut wait));
}

#[test]
fn guards_show_the_data() {
    let (lock, cond) = (Mutex::new("data"), Condition::new(5));
    assert_eq!(format!("{:?}", lock.try_lock().unwrap()), "\"data\"");
    assert_eq!(format!("{}", lock.try_lock().unwrap()), "data");
    assert_eq!(format!("{:?} {}", cond.try_lock().unwrap(), 1), "5 1");
    assert_eq!(format!("{}", cond.try_lock().unwrap()), "5");
}

#[test]
fn futures_show_their_phase() {
    let (event, lock, cond) = (Event::new(), Mutex::new(Opaque), Condition::new(Opaque));
    let task = Probe::new();
    let phase = |fut: &dyn core::fmt::Debug| {
        let text = format!("{fut:?}");
        ["Idle", "Waiting", "Notified", "Done"].into_iter().find(|phase| text.contains(phase)).expect("a phase")
    };
    let mut wait = Box::pin(event.wait());
    assert_eq!(phase(&wait), "Idle");
    task.pends(&mut wait);
    assert_eq!(phase(&wait), "Waiting");
    event.set();
    assert_eq!(phase(&wait), "Notified");
    task.ready(&mut wait);
    assert_eq!(phase(&wait), "Done");
    assert!(format!("{wait:?}").starts_with("EventWait"));

    let guard = lock.try_lock().unwrap();
    let mut fut = Box::pin(lock.lock());
    assert_eq!(phase(&fut), "Idle");
    task.pends(&mut fut);
    drop(guard);
    assert_eq!(phase(&fut), "Waiting");
    drop(task.ready(&mut fut));
    assert_eq!(phase(&fut), "Done");
    assert!(format!("{fut:?}").starts_with("Lock"));

    assert!(format!("{:?}", cond.lock()).starts_with("ConditionLock"));
    assert!(format!("{:?}", cond.wait_until(|_| true)).starts_with("ConditionWaitFor"));
    let wait = task.start(cond.wait(cond.try_lock().unwrap()));
    assert_eq!(phase(&wait), "Waiting");
    assert!(format!("{wait:?}").starts_with("ConditionWait"));
}

#[test]
fn debug_inside_a_waker_and_a_predicate_does_not_deadlock() {
    let (event, lock) = (Arc::new(Event::new()), Arc::new(Mutex::new(0)));
    let cond = Arc::new(Condition::new(0));
    let seen = Arc::new(StdMutex::new(Vec::new()));
    let task = Probe::new();
    let log = {
        let (event, lock, cond, seen) = (event.clone(), lock.clone(), cond.clone(), seen.clone());
        move || seen.lock().unwrap().push(format!("{event:?} {lock:?} {cond:?}"))
    };
    task.on_wake(log.clone());
    task.on_clone(log.clone());
    task.on_drop(log.clone());
    let mut waits: Vec<_> = (0..40).map(|_| task.start(event.wait())).collect();
    event.set();
    for wait in &mut waits {
        task.ready(wait);
    }
    let guard = lock.try_lock().unwrap();
    let mut fut = task.start(lock.lock());
    drop(guard);
    drop(task.ready(&mut fut));
    let mut wait = task.start(cond.wait_until(move |n| {
        log();
        *n == 1
    }));
    let mut guard = cond.try_lock().unwrap();
    *guard = 1;
    cond.notify(&guard, 1);
    drop(guard);
    drop(task.ready(&mut wait));
    task.quiet();
    assert!(seen.lock().unwrap().len() > 80);
    drop((waits, fut, wait));
}
