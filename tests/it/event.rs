//! `Event`: the behaviours of `asyncio.Event`, by their ids in the inventory.
use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use futures_core::FusedFuture;
use testudo::{Event, run::block_on};

use crate::support::{Probe, wakes};

// EV-01
#[test]
fn a_new_event_is_not_set() {
    let event = Event::new();
    assert!(!event.is_set());
    event.set();
    assert!(event.is_set());
    event.clear();
    assert!(!event.is_set());
    assert!(!Event::default().is_set());
}

#[test]
fn clearing_an_event_that_is_not_set_does_nothing() {
    let (event, task) = (Event::new(), Probe::new());
    event.clear();
    assert!(!event.is_set());
    let mut wait = task.start(event.wait());
    event.clear();
    task.pends(&mut wait);
    assert_eq!(task.wakes(), 0);
}

// EV-02
#[test]
fn waiting_for_a_set_event_takes_one_poll_and_no_waker() {
    let (event, task) = (Event::new(), Probe::new());
    event.set();
    task.now(event.wait());
    assert_eq!(task.clones(), 0);
}

// EV-03
#[test]
fn waiting_for_an_unset_event_is_pending_until_set() {
    let (event, task) = (Event::new(), Probe::new());
    let mut wait = task.start(event.wait());
    task.pends(&mut wait);
    event.set();
    assert_eq!(task.wakes(), 1);
    task.ready(&mut wait);
}

// EV-04
#[test]
fn set_releases_everybody_who_waits() {
    for n in [1, 2, 3, 31, 32, 33, 64, 65, 100] {
        let (event, tasks) = (Event::new(), Probe::many(n));
        let mut waits: Vec<_> = tasks.iter().map(|task| task.start(event.wait())).collect();
        event.set();
        assert_eq!(wakes(&tasks), vec![1; n]);
        for (task, wait) in tasks.iter().zip(&mut waits) {
            task.ready(wait);
        }
    }
}

#[test]
fn waiters_are_woken_in_the_order_in_which_they_came() {
    let (event, tasks) = (Event::new(), Probe::many(100));
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    for (i, task) in tasks.iter().enumerate() {
        let order = order.clone();
        task.on_wake(move || order.lock().unwrap().push(i));
    }
    let waits: Vec<_> = tasks.iter().map(|task| task.start(event.wait())).collect();
    event.set();
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
    drop(waits);
}

#[test]
fn a_set_from_within_a_set_leaves_the_waking_to_that_one() {
    let (event, tasks) = (Arc::new(Event::new()), Probe::many(40));
    let (woken, inside) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for task in &tasks {
        let (event, woken, inside) = (event.clone(), woken.clone(), inside.clone());
        task.on_wake(move || {
            let before = woken.fetch_add(1, SeqCst) + 1;
            event.set();
            inside.fetch_add(woken.load(SeqCst) - before, SeqCst);
        });
    }
    let mut waits: Vec<_> = tasks.iter().map(|task| task.start(event.wait())).collect();
    event.set();
    assert_eq!((woken.load(SeqCst), inside.load(SeqCst)), (40, 0));
    for (task, wait) in tasks.iter().zip(&mut waits) {
        task.ready(wait);
    }
}

// EV-05
#[test]
fn a_latecomer_passes_before_the_released_ones_have_run() {
    let (event, early, late) = (Event::new(), Probe::new(), Probe::new());
    let mut wait = early.start(event.wait());
    event.set();
    late.now(event.wait());
    early.ready(&mut wait);
}

// EV-06
#[test]
fn clear_makes_later_waits_wait() {
    let (event, task) = (Event::new(), Probe::new());
    event.set();
    task.now(event.wait());
    event.clear();
    let mut wait = task.start(event.wait());
    event.set();
    task.ready(&mut wait);
}

// EV-07
#[test]
fn set_then_clear_releases_everybody_who_was_waiting() {
    let (event, tasks) = (Event::new(), Probe::many(40));
    let mut waits: Vec<_> = tasks.iter().map(|task| task.start(event.wait())).collect();
    event.set();
    event.clear();
    assert!(!event.is_set());
    for (task, wait) in tasks.iter().zip(&mut waits) {
        assert_eq!(task.wakes(), 1);
        task.ready(wait);
    }
}

// EV-08
#[test]
fn after_a_pulse_newcomers_wait() {
    let (event, old, new) = (Event::new(), Probe::new(), Probe::new());
    let mut wait = old.start(event.wait());
    event.set();
    event.clear();
    let mut other = new.start(event.wait());
    old.ready(&mut wait);
    new.pends(&mut other);
    assert_eq!(new.wakes(), 0);
}

// EV-09
#[test]
fn set_again_and_again_wakes_each_waiter_once() {
    let (event, tasks) = (Event::new(), Probe::many(3));
    let mut waits: Vec<_> = tasks.iter().map(|task| task.start(event.wait())).collect();
    event.set();
    event.clear();
    event.set();
    event.set();
    assert_eq!(wakes(&tasks), [1, 1, 1]);
    for (task, wait) in tasks.iter().zip(&mut waits) {
        task.ready(wait);
    }
}

// EV-10: the value is `()`
#[test]
fn a_wait_returns_nothing() {
    let event = Event::new();
    event.set();
    let nothing: () = block_on(event.wait());
    assert_eq!(nothing, ());
}

// EV-11
#[test]
fn a_dropped_wait_is_forgotten_at_once() {
    let (event, task) = (Event::new(), Probe::new());
    let wait = task.start(event.wait());
    assert_eq!(task.kept(), 1);
    drop(wait);
    assert_eq!(task.kept(), 0);
    event.set();
    assert_eq!(task.wakes(), 0);
}

// EV-12
#[test]
fn cancelling_one_waiter_does_not_disturb_the_others() {
    for gone in 0..5 {
        for set_first in [false, true] {
            let (event, tasks) = (Event::new(), Probe::many(5));
            let mut waits: Vec<_> = tasks.iter().map(|task| Some(task.start(event.wait()))).collect();
            if set_first {
                event.set();
            }
            waits[gone] = None;
            event.set();
            for (i, (task, wait)) in tasks.iter().zip(&mut waits).enumerate() {
                if let Some(wait) = wait {
                    assert_eq!(task.wakes(), 1, "{i} of {gone}");
                    task.ready(wait);
                }
            }
        }
    }
}

// EV-13
#[test]
fn a_released_waiter_that_is_dropped_owes_nothing() {
    let (event, gone, stays) = (Event::new(), Probe::new(), Probe::new());
    let first = gone.start(event.wait());
    event.set();
    event.clear();
    let mut second = stays.start(event.wait());
    drop(first);
    stays.pends(&mut second);
    assert_eq!((gone.wakes(), stays.wakes()), (1, 0));
}

#[test]
fn a_wait_gets_in_line_at_its_first_poll() {
    let (event, task) = (Event::new(), Probe::new());
    let mut wait = Box::pin(event.wait());
    event.set();
    event.clear();
    task.pends(&mut wait);
    event.set();
    task.ready(&mut wait);
}

#[test]
fn a_wait_that_was_not_polled_is_not_woken() {
    let event = Event::new();
    let wait = event.wait();
    event.set();
    drop(wait);
    event.clear();
    drop(Box::pin(event.wait()));
}

#[test]
fn a_released_wait_may_be_polled_late() {
    let (event, task) = (Event::new(), Probe::new());
    let mut wait = task.start(event.wait());
    for _ in 0..3 {
        event.set();
        event.clear();
    }
    let mut other = task.start(event.wait());
    task.ready(&mut wait);
    task.pends(&mut other);
}

#[test]
fn a_wait_says_when_it_is_terminated() {
    let (event, task) = (Event::new(), Probe::new());
    let mut wait = Box::pin(event.wait());
    assert!(!wait.is_terminated());
    task.pends(&mut wait);
    assert!(!wait.is_terminated());
    event.set();
    assert!(!wait.is_terminated());
    task.ready(&mut wait);
    assert!(wait.is_terminated());
}

#[test]
fn a_wait_may_own_its_event() {
    let task = Probe::new();
    let shared = Arc::new(Event::new());
    let mut wait = task.start(Event::wait_with(shared.clone()));
    shared.set();
    drop(shared);
    task.ready(&mut wait);

    let local = Rc::new(Event::new());
    let mut wait = task.start(Event::wait_with(local.clone()));
    local.set();
    drop(local);
    task.ready(&mut wait);
}

#[test]
fn a_static_event_needs_no_handle() {
    static EVENT: Event = Event::new();
    let waiter = thread::spawn(|| block_on(EVENT.wait()));
    EVENT.set();
    waiter.join().unwrap();
    EVENT.wait_blocking();
}

#[test]
fn blocking_and_async_waiters_wait_in_one_line() {
    let event = Arc::new(Event::new());
    let task = Probe::new();
    let mut wait = task.start(event.wait());
    let blocked: Vec<_> = (0..3)
        .map(|_| {
            let event = event.clone();
            thread::spawn(move || event.wait_blocking())
        })
        .collect();
    thread::yield_now();
    event.set();
    for thread in blocked {
        thread.join().unwrap();
    }
    task.ready(&mut wait);
}
