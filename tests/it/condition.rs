//! `Condition`: the behaviours of `asyncio.Condition`, by their ids in the inventory.
use core::{future::IntoFuture, time::Duration};
use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::*},
    },
    thread,
};

use futures_core::FusedFuture;
use static_assertions::assert_not_impl_any;
use testudo::{
    Condition, ConditionGuard,
    run::{Sim, block_on},
    sync::ConditionWaitFor,
};

use crate::support::{Probe, Rng, Slot, panics, wakes};

/// A waiter without a predicate, in line for a notification.
macro_rules! waiting {
    ($task:expr, $cond:expr) => {
        $task.start($cond.wait($cond.try_lock().unwrap()))
    };
}

// COND-01, COND-31
#[test]
fn a_condition_has_a_lock() {
    let (cond, tasks) = (Condition::new(1), Probe::many(2));
    assert!(!cond.is_locked());
    let guard = tasks[0].now(cond.lock());
    assert!(cond.is_locked() && cond.try_lock().is_none());
    let mut fut = tasks[1].start(cond.lock());
    drop(guard);
    assert_eq!(wakes(&tasks), [0, 1]);
    *tasks[1].ready(&mut fut) += 1;
    assert!(!cond.is_locked());
    assert_eq!(*block_on(cond.lock()), 2);
    assert_eq!(*cond.lock_blocking(), 2);
    assert_eq!(Condition::from(3).into_inner(), 3);
    assert!(!*Condition::<bool>::default().get_mut());
}

#[test]
fn the_lock_of_a_condition_is_offered_and_passed_on_like_a_mutex() {
    let (cond, tasks) = (Condition::new(()), Probe::many(3));
    let guard = cond.try_lock().unwrap();
    let mut locks: Vec<_> = tasks.iter().map(|task| Some(task.start(cond.lock()))).collect();
    drop(guard);
    let barging = cond.try_lock().expect("offered, not handed over");
    drop(barging);
    locks[0] = None;
    assert_eq!(wakes(&tasks), [1, 1, 0]);
    drop(tasks[1].ready(locks[1].as_mut().unwrap()));
    assert_eq!(wakes(&tasks), [1, 1, 1]);
    drop(tasks[2].ready(locks[2].as_mut().unwrap()));
}

// COND-02 deviates by design: lock, data and waiters are one type. Two guards of different conditions: panics.rs
// COND-03, COND-04, COND-05, COND-17 cannot be written: wait and notify take the guard.

// COND-06
#[test]
fn wait_frees_the_lock_while_it_waits_and_not_before_it_is_in_line() {
    let (cond, task) = (Condition::new(()), Probe::new());
    let guard = cond.try_lock().unwrap();
    let mut wait = Box::pin(cond.wait(guard));
    assert!(cond.is_locked(), "nothing happens before the first poll");
    task.pends(&mut wait);
    let guard = cond.try_lock().expect("free while it waits");
    cond.notify(&guard, 1);
    drop(guard);
    drop(task.ready(&mut wait));
}

// COND-07
#[test]
fn wait_returns_with_the_lock() {
    let (cond, task) = (Condition::new(1), Probe::new());
    let mut wait = waiting!(task, cond);
    let mut guard = cond.try_lock().unwrap();
    *guard = 2;
    cond.notify_all(&guard);
    drop(guard);
    let guard = task.ready(&mut wait);
    assert!(cond.is_locked() && *guard == 2);
    drop(guard);
    assert!(!cond.is_locked());
}

// COND-08
#[test]
fn notify_does_not_free_the_lock() {
    let (cond, task) = (Condition::new(()), Probe::new());
    let mut wait = waiting!(task, cond);
    let guard = cond.try_lock().unwrap();
    cond.notify(&guard, 1);
    assert!(cond.is_locked());
    assert_eq!(task.wakes(), 0, "it could do nothing yet");
    task.pends(&mut wait);
    drop(guard);
    assert_eq!(task.wakes(), 1);
    drop(task.ready(&mut wait));
}

// COND-09
#[test]
fn notify_one_wakes_the_one_that_waited_longest() {
    let (cond, tasks) = (Condition::new(()), Probe::many(3));
    let mut waits: Vec<_> = tasks.iter().map(|task| waiting!(task, cond)).collect();
    for i in 0..3 {
        let guard = cond.try_lock().unwrap();
        cond.notify(&guard, 1);
        drop(guard);
        assert_eq!(wakes(&tasks), (0..3).map(|task| usize::from(task <= i)).collect::<Vec<_>>());
        drop(tasks[i].ready(&mut waits[i]));
    }
}

// COND-10
#[test]
fn notify_n_wakes_the_first_n_and_more_than_there_are_is_fine() {
    for n in [0, 1, 2, 4, 5, 6, usize::MAX - 1, usize::MAX] {
        let (cond, tasks) = (Condition::new(()), Probe::many(5));
        let mut waits: Vec<_> = tasks.iter().map(|task| waiting!(task, cond)).collect();
        let guard = cond.try_lock().unwrap();
        cond.notify(&guard, n);
        drop(guard);
        let mut returned = 0;
        for (task, wait) in tasks.iter().zip(&mut waits) {
            if task.wakes() == 1 {
                drop(task.ready(wait));
                returned += 1;
            } else {
                task.pends(wait);
            }
        }
        assert_eq!(returned, n.min(5));
    }
}

// COND-11
#[test]
fn two_notifications_in_one_hold_of_the_lock_wake_two() {
    let (cond, tasks) = (Condition::new(()), Probe::many(3));
    let mut waits: Vec<_> = tasks.iter().map(|task| waiting!(task, cond)).collect();
    let guard = cond.try_lock().unwrap();
    cond.notify(&guard, 1);
    cond.notify(&guard, 1);
    drop(guard);
    drop(tasks[0].ready(&mut waits[0]));
    drop(tasks[1].ready(&mut waits[1]));
    tasks[2].pends(&mut waits[2]);
    assert_eq!(wakes(&tasks), [1, 1, 0]);
}

// COND-12
#[test]
fn a_notification_is_not_remembered() {
    let (cond, task) = (Condition::new(()), Probe::new());
    let guard = cond.try_lock().unwrap();
    cond.notify(&guard, 5);
    cond.notify_all(&guard);
    let mut wait = task.start(cond.wait(guard));
    drop(cond.try_lock().unwrap());
    assert_eq!(task.wakes(), 0);
    task.pends(&mut wait);
}

// COND-13
#[test]
fn notify_all_wakes_those_who_wait_at_that_moment() {
    let (cond, tasks) = (Condition::new(()), Probe::many(5));
    let mut waits: Vec<_> = tasks[..4].iter().map(|task| waiting!(task, cond)).collect();
    let guard = cond.try_lock().unwrap();
    cond.notify_all(&guard);
    let mut late = tasks[4].start(cond.wait(guard));
    for (task, wait) in tasks.iter().zip(&mut waits) {
        // It waits again, and is not woken again.
        let guard = task.ready(wait);
        *wait = task.start(cond.wait(guard));
    }
    assert_eq!(wakes(&tasks), [1, 1, 1, 1, 0]);
    tasks[4].pends(&mut late);
    for (task, wait) in tasks.iter().zip(&mut waits) {
        task.pends(wait);
    }
    // `late` is the first in line now.
    cond.notify(&cond.try_lock().unwrap(), 1);
    drop(tasks[4].ready(&mut late));
    assert_eq!(wakes(&tasks), [1, 1, 1, 1, 1]);
}

// COND-14
#[test]
fn notified_waiters_get_the_lock_in_order_behind_those_who_queued_earlier() {
    let (cond, tasks) = (Condition::new(()), Probe::many(4));
    let mut first = waiting!(tasks[1], cond);
    let mut second = waiting!(tasks[2], cond);
    let guard = cond.try_lock().unwrap();
    let mut queued = tasks[0].start(cond.lock());
    cond.notify_all(&guard);
    let mut later = tasks[3].start(cond.lock());
    drop(guard);
    assert_eq!(wakes(&tasks), [1, 0, 0, 0]);
    drop(tasks[0].ready(&mut queued));
    assert_eq!(wakes(&tasks), [1, 1, 0, 0]);
    drop(tasks[1].ready(&mut first));
    assert_eq!(wakes(&tasks), [1, 1, 1, 0]);
    drop(tasks[2].ready(&mut second));
    assert_eq!(wakes(&tasks), [1, 1, 1, 1]);
    drop(tasks[3].ready(&mut later));
}

// COND-15, COND-19: a wait returns the guard; what the predicate saw is behind it
// COND-16
#[test]
fn wait_for_asks_first_and_keeps_the_lock_if_it_holds() {
    let (cond, task) = (Condition::new(3), Probe::new());
    let guard = task.now(cond.wait_for(cond.try_lock().unwrap(), |n| *n == 3));
    assert!(cond.is_locked());
    drop(guard);
    assert_eq!(*task.now(cond.wait_until(|n| *n == 3)), 3);
    assert_eq!(task.clones(), 0);
}

// COND-18
#[test]
fn the_predicate_is_asked_by_each_notification() {
    let (cond, task) = (Condition::new(0), Probe::new());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let mut wait = task.start(cond.wait_until(move |n| {
        count.fetch_add(1, SeqCst);
        *n >= 3
    }));
    for n in 1..=3 {
        assert_eq!((asked.load(SeqCst), task.wakes()), (n, 0));
        let mut guard = cond.try_lock().unwrap();
        *guard += 1;
        cond.notify(&guard, 1);
        drop(guard);
    }
    assert_eq!(task.wakes(), 1);
    assert_eq!(*task.ready(&mut wait), 3);
    assert_eq!(asked.load(SeqCst), 5, "once more when it had the lock");
}

#[test]
fn a_change_without_a_notification_is_not_seen() {
    let (cond, task) = (Condition::new(0), Probe::new());
    let mut wait = task.start(cond.wait_until(|n| *n == 1));
    *cond.try_lock().unwrap() = 1;
    assert_eq!(task.wakes(), 0);
    task.pends(&mut wait);
    cond.notify(&cond.try_lock().unwrap(), 1);
    drop(task.ready(&mut wait));
}

// COND-20
#[test]
fn the_predicate_is_called_with_the_lock_held() {
    let (cond, task) = (Arc::new(Condition::new(0)), Probe::new());
    let seen = cond.clone();
    let mut wait = task.start(cond.wait_until(move |n| {
        assert!(seen.is_locked() && seen.try_lock().is_none());
        *n == 1
    }));
    let mut guard = cond.try_lock().unwrap();
    *guard = 1;
    cond.notify(&guard, 1);
    drop(guard);
    drop(task.ready(&mut wait));
}

// COND-21
#[test]
fn a_waiter_that_waits_again_is_last_in_line() {
    let (cond, tasks) = (Condition::new(()), Probe::many(2));
    let mut first = waiting!(tasks[0], cond);
    let mut second = waiting!(tasks[1], cond);
    cond.notify(&cond.try_lock().unwrap(), 1);
    let guard = tasks[0].ready(&mut first);
    first = tasks[0].start(cond.wait(guard));
    cond.notify(&cond.try_lock().unwrap(), 1);
    assert_eq!(wakes(&tasks), [1, 1]);
    drop(tasks[1].ready(&mut second));
    tasks[0].pends(&mut first);
}

#[test]
fn a_waiter_whose_predicate_no_longer_holds_waits_again_last_in_line() {
    let (cond, tasks) = (Condition::new(0), Probe::many(2));
    let mut first = tasks[0].start(cond.wait_until(|n| *n > 0));
    let mut second = tasks[1].start(cond.wait_until(|n| *n > 0));
    let mut guard = cond.try_lock().unwrap();
    *guard = 1;
    cond.notify(&guard, 1);
    *guard = 0;
    drop(guard);
    assert_eq!(wakes(&tasks), [1, 0]);
    tasks[0].pends(&mut first);
    let mut guard = cond.try_lock().unwrap();
    *guard = 1;
    cond.notify(&guard, 1);
    drop(guard);
    assert_eq!(wakes(&tasks), [1, 1]);
    drop(tasks[1].ready(&mut second));
    cond.notify(&cond.try_lock().unwrap(), 1);
    drop(tasks[0].ready(&mut first));
}

#[test]
fn what_a_waiter_could_not_use_goes_to_one_that_can() {
    let (cond, tasks) = (Condition::new(0), Probe::many(3));
    let mut odd = tasks[0].start(cond.wait_until(|n| *n == 1));
    let mut even = tasks[1].start(cond.wait_until(|n| *n == 2));
    let mut any = waiting!(tasks[2], cond);
    let mut guard = cond.try_lock().unwrap();
    *guard = 1;
    cond.notify(&guard, 1);
    *guard = 2;
    drop(guard);
    assert_eq!(wakes(&tasks), [1, 0, 0]);
    tasks[0].pends(&mut odd);
    assert_eq!(wakes(&tasks), [1, 1, 0]);
    drop(tasks[1].ready(&mut even));
    tasks[2].pends(&mut any);
}

// COND-22
#[test]
fn a_dropped_wait_is_forgotten_at_once() {
    let (cond, tasks) = (Condition::new(()), Probe::many(2));
    let gone = waiting!(tasks[0], cond);
    let mut stays = waiting!(tasks[1], cond);
    drop(gone);
    assert_eq!(tasks[0].kept(), 0);
    cond.notify(&cond.try_lock().unwrap(), 1);
    assert_eq!(wakes(&tasks), [0, 1]);
    drop(tasks[1].ready(&mut stays));
}

// COND-23, COND-24 deviate by design: dropping takes no lock
#[test]
fn a_dropped_wait_takes_no_lock() {
    let (cond, task) = (Condition::new(()), Probe::new());
    let wait = waiting!(task, cond);
    let guard = cond.try_lock().unwrap();
    drop(wait);
    drop(guard);
    assert!(!cond.is_locked());

    let wait = waiting!(task, cond);
    let guard = cond.try_lock().unwrap();
    cond.notify(&guard, 1);
    drop(wait); // while it queues for the lock
    assert!(cond.is_locked());
    drop(guard);
    assert!(!cond.is_locked());
    assert_eq!(task.wakes(), 0);
}

// COND-25
#[test]
fn a_notification_of_a_dropped_waiter_goes_to_another() {
    let (cond, tasks) = (Condition::new(()), Probe::many(3));
    let first = waiting!(tasks[0], cond);
    let mut second = waiting!(tasks[1], cond);
    let mut third = waiting!(tasks[2], cond);
    cond.notify(&cond.try_lock().unwrap(), 1);
    assert_eq!(wakes(&tasks), [1, 0, 0]);
    drop(first);
    assert_eq!(wakes(&tasks), [1, 1, 0]);
    drop(tasks[1].ready(&mut second));
    tasks[2].pends(&mut third);
}

// COND-26
#[test]
fn so_does_that_of_one_that_queued_for_the_lock() {
    let (cond, tasks) = (Condition::new(()), Probe::many(3));
    let first = waiting!(tasks[0], cond);
    let mut second = waiting!(tasks[1], cond);
    let mut third = waiting!(tasks[2], cond);
    let guard = cond.try_lock().unwrap();
    cond.notify(&guard, 1);
    drop(first);
    assert_eq!(wakes(&tasks), [0, 0, 0]);
    drop(guard);
    assert_eq!(wakes(&tasks), [0, 1, 0]);
    drop(tasks[1].ready(&mut second));
    tasks[2].pends(&mut third);
}

// COND-27: better than asyncio, which passes on what was never received
#[test]
fn a_dropped_waiter_that_was_not_notified_passes_nothing_on() {
    let (cond, tasks) = (Condition::new(()), Probe::many(2));
    let first = waiting!(tasks[0], cond);
    let mut second = waiting!(tasks[1], cond);
    drop(first);
    drop(cond.try_lock().unwrap());
    tasks[1].pends(&mut second);
    assert_eq!(wakes(&tasks), [0, 0]);
}

// COND-28
#[test]
fn there_are_no_spurious_wake_ups() {
    let (cond, task) = (Condition::new(()), Probe::new());
    let mut wait = waiting!(task, cond);
    for _ in 0..3 {
        task.pends(&mut wait);
        drop(cond.try_lock().unwrap());
        let other = Probe::new();
        drop(waiting!(other, cond));
    }
    assert_eq!(task.wakes(), 0);
}

// COND-29 has no counterpart: there is no exception object.
// COND-30 deviates by design: a timeout around a wait loses the guard, so the lock is not held afterwards
#[test]
fn a_timeout_around_a_wait_leaves_the_lock_free() {
    let (sim, cond) = (Sim::new(), Condition::new(()));
    let clock = sim.clock();
    sim.block_on(async {
        let guard = cond.lock().await;
        let wait = core::pin::pin!(cond.wait(guard));
        let sleep = core::pin::pin!(clock.sleep(Duration::from_secs(1)));
        let first = futures_util::future::select(wait, sleep).await;
        assert!(matches!(first, futures_util::future::Either::Right(_)));
    })
    .unwrap();
    assert!(!cond.is_locked());
}

#[test]
fn a_condition_cannot_be_awaited() {
    assert_not_impl_any!(Condition<()>: IntoFuture);
}

#[test]
fn predicates_of_many_waiters_are_asked_in_order_until_enough_hold() {
    let (cond, tasks) = (Condition::new(0), Probe::many(6));
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut waits: Vec<_> = tasks
        .iter()
        .enumerate()
        .map(|(i, task)| {
            let asked = asked.clone();
            task.start(cond.wait_until(move |n| {
                asked.lock().unwrap().push(i);
                *n > 0 && i % 2 == 1
            }))
        })
        .collect();
    asked.lock().unwrap().clear();
    let mut guard = cond.try_lock().unwrap();
    *guard = 1;
    cond.notify(&guard, 2);
    assert_eq!(*asked.lock().unwrap(), [0, 1, 2, 3]);
    drop(guard);
    drop(tasks[1].ready(&mut waits[1]));
    drop(tasks[3].ready(&mut waits[3]));
    assert_eq!(wakes(&tasks), [0, 1, 0, 1, 0, 0]);
    tasks[5].pends(&mut waits[5]);
}

/// The chapter's example: consumers that need 5, 3 and 2 items.
#[test]
fn consumers_proceed_by_threshold() {
    let (sim, cond) = (Sim::new(), Rc::new(Condition::new(Vec::new())));
    let order = Rc::new(core::cell::RefCell::new(Vec::new()));
    for threshold in [5_usize, 3, 2] {
        let (cond, order) = (cond.clone(), order.clone());
        sim.spawn(async move {
            let guard = cond.wait_until(move |items| items.len() >= threshold).await;
            order.borrow_mut().push((threshold, guard.len()));
        })
        .detach();
    }
    let clock = sim.clock();
    sim.block_on(async {
        for item in 0..5 {
            let mut guard = cond.lock().await;
            guard.push(item);
            cond.notify_all(&guard);
            drop(guard);
            clock.sleep(Duration::ZERO).await;
        }
    })
    .unwrap();
    assert!(sim.run_until_stalled().is_none());
    assert_eq!(*order.borrow(), [(2, 2), (3, 3), (5, 5)]);
}

#[test]
fn guards_and_futures_may_own_their_condition() {
    let task = Probe::new();
    let cond = Arc::new(Condition::new(0));
    let guard = task.now(Condition::lock_with(cond.clone()));
    assert!(Arc::ptr_eq(ConditionGuard::handle(&guard), &cond));
    let mut wait = task.start(cond.wait(guard));
    let mut until = task.start(Condition::wait_until_with(cond.clone(), |n| *n == 1));
    let guard = task.now(Condition::lock_with(cond.clone()));
    let mut wait_for = task.start(cond.wait_for(guard, |n| *n == 1));
    assert_eq!(Arc::strong_count(&cond), 4);
    let mut guard = task.now(Condition::lock_with(cond.clone()));
    *guard = 1;
    cond.notify_all(&guard);
    drop(guard);
    drop(task.ready(&mut wait));
    drop(task.ready(&mut until));
    drop(task.ready(&mut wait_for));
    drop((wait, until, wait_for));
    assert_eq!(Arc::strong_count(&cond), 1);

    let cond = Rc::new(Condition::new(0));
    let mut until = task.start(Condition::wait_until_with(cond.clone(), |n| *n == 1));
    let mut guard = task.now(Condition::lock_with(cond.clone()));
    *guard = 1;
    cond.notify(&guard, 1);
    drop((guard, cond));
    assert_eq!(*task.ready(&mut until), 1);
}

#[test]
fn guards_of_different_handles_belong_to_one_condition() {
    let task = Probe::new();
    let cond = Arc::new(Condition::new(()));
    let guard = task.now(Condition::lock_with(cond.clone()));
    let wait = task.start(cond.wait(guard));
    let guard = cond.try_lock().unwrap();
    cond.notify_all(&guard);
    drop((guard, wait));
}

#[test]
fn the_data_may_be_unsized() {
    let task = Probe::new();
    let cond: &Condition<[u8]> = &Condition::new([0, 0]);
    let mut wait = task.start(cond.wait_until(|data| data[1] == 5));
    let mut guard = cond.try_lock().unwrap();
    guard[1] = 5;
    cond.notify(&guard, 1);
    drop(guard);
    assert_eq!(*task.ready(&mut wait), [0, 5]);
}

#[test]
fn predicates_may_have_state_and_any_size() {
    let task = Probe::new();
    let cond = Condition::new(0_u32);
    let mut history = [0_u32; 64];
    let mut calls = 0;
    let mut wait = task.start(cond.wait_until(move |n| {
        history[calls] = *n;
        calls += 1;
        history.iter().sum::<u32>() >= 6
    }));
    for n in 1..=3 {
        let mut guard = cond.try_lock().unwrap();
        *guard = n;
        cond.notify(&guard, 1);
        drop(guard);
        assert_eq!(task.wakes(), usize::from(n == 3));
    }
    drop(task.ready(&mut wait));
    fn of_no_size(n: &u32) -> bool {
        *n == 3
    }
    drop(task.now(cond.wait_until(of_no_size)));
    let boxed: Box<dyn FnMut(&u32) -> bool + Send> = Box::new(|n| *n == 4);
    drop(task.start(cond.wait_until(boxed)));
}

/// Any alignment: a notifier finds the predicate all the same.
#[test]
fn predicates_may_have_any_alignment() {
    #[derive(Clone, Copy)]
    #[repr(align(128))]
    struct Wide(u32);
    let task = Probe::new();
    let cond = Condition::new(0_u128);
    let (limit, wide) = (7_u128, Wide(7));
    let mut first = task.start(cond.wait_until(move |n| *n >= limit));
    let mut second = task.start(cond.wait_until(move |n| {
        let wide = wide;
        assert_eq!((&raw const wide).addr() % 128, 0);
        *n >= wide.0.into()
    }));
    let mut guard = cond.try_lock().unwrap();
    *guard = 7;
    cond.notify_all(&guard);
    drop(guard);
    drop(task.ready(&mut first));
    drop(task.ready(&mut second));
}

#[test]
fn futures_say_when_they_are_terminated() {
    let (cond, task) = (Condition::new(()), Probe::new());
    let mut lock = Box::pin(cond.lock());
    assert!(!lock.is_terminated());
    let guard = task.ready(&mut lock);
    assert!(lock.is_terminated());
    let mut wait = Box::pin(cond.wait(guard));
    assert!(!wait.is_terminated());
    task.pends(&mut wait);
    let guard = cond.try_lock().unwrap();
    cond.notify(&guard, 1);
    assert!(!wait.is_terminated());
    drop(guard);
    drop(task.ready(&mut wait));
    assert!(wait.is_terminated());
    let mut until = Box::pin(cond.wait_until(|()| true));
    assert!(!until.is_terminated());
    drop(task.ready(&mut until));
    assert!(until.is_terminated());
}

#[test]
fn threads_may_block_beside_tasks() {
    let cond = Arc::new(Condition::new(0));
    let blocked = {
        let cond = cond.clone();
        thread::spawn(move || {
            let mut guard = cond.lock_blocking();
            *guard += 1;
            cond.notify_all(&guard);
            let guard = cond.wait_blocking(guard);
            drop(guard);
            drop(cond.wait_until_blocking(|n| *n == 10));
        })
    };
    let (task, cond2) = (Probe::new(), cond.clone());
    let mut wait = Box::pin(async move { *cond2.wait_until(|n| *n == 10).await });
    while cond.try_lock().is_none_or(|n| *n == 0) {
        thread::yield_now();
    }
    task.pends(&mut wait);
    let mut guard = block_on(cond.wait_until(|n| *n == 1));
    *guard = 10;
    cond.notify_all(&guard);
    drop(guard);
    // It may be first in line for the lock: the others get it when it was polled.
    while task.poll(&mut wait).is_pending() {
        thread::yield_now();
    }
    blocked.join().unwrap();
}

// ---- predicates that are run in one go

type Pred = Box<dyn FnMut(&u32) -> bool + Send>;
type Until = ConditionWaitFor<'static, u32, Pred, Arc<Condition<u32>>>;

/// Waiters that ask, in line. While the data is 1 their predicates do what the test says; when it is 2 they hold.
#[derive(Clone)]
struct Herd {
    cond: Arc<Condition<u32>>,
    tasks: Arc<Vec<Probe>>,
    slots: Arc<Vec<Slot<Until>>>,
    /// Whose predicates were called while the data was 1.
    asked: Arc<std::sync::Mutex<Vec<usize>>>,
}

impl Herd {
    fn new(n: usize, act: impl Fn(&Self, usize) -> bool + Send + Sync + 'static) -> Self {
        let herd = Self {
            cond: Arc::default(),
            tasks: Arc::new(Probe::many(n)),
            slots: Arc::new((0..n).map(|_| Slot::empty()).collect()),
            asked: Arc::default(),
        };
        let act = Arc::new(act);
        for i in 0..n {
            let (all, act) = (herd.clone(), act.clone());
            let predicate: Pred = Box::new(move |data| {
                if *data == 1 {
                    all.asked.lock().unwrap().push(i);
                    return act(&all, i);
                }
                *data == 2
            });
            herd.slots[i].put(Box::pin(Condition::wait_until_with(herd.cond.clone(), predicate)));
            assert!(herd.poll(i).is_some_and(|ready| !ready));
        }
        herd
    }

    /// None: it was dropped, or is ready since an earlier poll.
    fn poll(&self, i: usize) -> Option<bool> {
        self.slots[i].poll(self.tasks[i].waker()).map(|poll| poll.is_ready())
    }

    fn drops(&self, i: usize) {
        assert!(self.slots[i].cancel(), "{i} is gone");
    }

    /// Notifies while the data is 1; then it is 2. Says whose predicates were called and who could go on, in order. All that
    /// are left go on with a second notification.
    fn notify(&self, n: usize) -> (Vec<usize>, Vec<usize>) {
        let mut guard = self.cond.try_lock().unwrap();
        *guard = 1;
        self.cond.notify(&guard, n);
        *guard = 2;
        drop(guard);
        let told = self.arrivals();
        self.cond.notify_all(&self.cond.try_lock().unwrap());
        self.arrivals();
        for slot in self.slots.iter() {
            assert!(!slot.cancel(), "forgotten");
        }
        assert!(!self.cond.is_locked());
        let asked = self.asked.lock().unwrap().clone();
        (asked, told)
    }

    /// Drops whoever is left: their predicates hold the herd.
    fn disband(&self) {
        for slot in self.slots.iter() {
            slot.cancel();
        }
    }

    /// Who is woken and goes on, one after the other.
    fn arrivals(&self) -> Vec<usize> {
        let mut seen = vec![0; self.tasks.len()];
        let mut arrived = Vec::new();
        while let Some(i) = (0..seen.len()).find(|&i| self.tasks[i].wakes() > seen[i]) {
            seen[i] = self.tasks[i].wakes();
            if self.poll(i) == Some(true) {
                arrived.push(i);
            }
        }
        arrived
    }
}

fn all_but(n: usize, gone: &[usize]) -> Vec<usize> {
    (0..n).filter(|i| !gone.contains(i)).collect()
}

#[test]
fn a_predicate_may_drop_any_other_waiter_before_or_behind_it() {
    for (by, gone) in (0..5).flat_map(|by| (0..5).map(move |gone| (by, gone))).filter(|(by, gone)| by != gone) {
        for (n, holds) in [(usize::MAX, false), (usize::MAX, true), (5, false), (5, true), (3, false)] {
            let herd = Herd::new(5, move |herd, i| {
                if i == by {
                    herd.drops(gone);
                }
                holds
            });
            let (asked, told) = herd.notify(n);
            assert_eq!(asked, all_but(5, &[gone][..usize::from(gone > by)]));
            assert_eq!(told, if holds { all_but(5, &[gone]) } else { vec![] });
        }
    }
}

#[test]
fn a_predicate_may_drop_all_other_waiters() {
    for by in [0, 1, 19, 39] {
        let herd = Herd::new(40, move |herd, i| {
            if i == by {
                (0..40).filter(|&other| other != by).for_each(|other| herd.drops(other));
            }
            true
        });
        assert_eq!(herd.notify(usize::MAX), ((0..=by).collect(), vec![by]));
    }
}

#[test]
fn a_notification_of_a_waiter_that_a_later_predicate_drops_goes_to_another() {
    for n in 2..6 {
        let herd = Herd::new(8, |herd, i| {
            if i == 1 {
                herd.drops(0);
            }
            true
        });
        let (asked, told) = herd.notify(n);
        // At once if the two were run in one go, else when the lock is freed and the data is 2.
        assert!(asked.into_iter().eq(0..=n) || cfg!(feature = "critical-section"));
        assert!(told.into_iter().eq(1..=n));
    }
}

#[test]
fn a_predicate_may_drop_waiters_of_earlier_notifications_of_the_same_call() {
    // One notification: 1, then 2, then 4 predicates are run in one go; 4 is in the third lot.
    for gone in 0..4 {
        let herd = Herd::new(9, move |herd, i| {
            if i == 4 {
                herd.drops(gone);
            }
            i == 6
        });
        assert_eq!(herd.notify(1), ((0..7).collect(), vec![6]));
    }
}

#[test]
fn notify_asks_in_order_and_nobody_behind_the_last_that_it_is_for() {
    for last in [0, 1, 2, 3, 6, 7, 15, 16, 17, 30, 31, 32, 46, 47, 48, 59] {
        let herd = Herd::new(60, move |_, i| i == last);
        assert_eq!(herd.notify(1), ((0..=last).collect(), vec![last]));
        let herd = Herd::new(60, move |_, i| i == 0 || i >= last);
        assert_eq!(herd.notify(3).0.last(), Some(&(last.max(1) + 1).min(59)));
    }
}

/// A waiter that is polled while it is claimed is polled again later.
#[test]
fn one_notification_claims_no_waiter_behind_the_first_if_that_is_satisfied() {
    let herd = Herd::new(3, |herd, i| {
        assert_eq!((i, herd.poll(1)), (0, Some(false)));
        assert_eq!(herd.tasks[1].wakes(), 0);
        herd.drops(2);
        true
    });
    assert_eq!(herd.notify(1), (vec![0], vec![0]));
}

#[test]
fn waiters_that_a_predicate_polls_go_on_all_the_same() {
    for n in [2, 5, usize::MAX] {
        let herd = Herd::new(5, |herd, _| {
            (0..5).for_each(|other| assert_eq!(herd.poll(other), Some(false)));
            true
        });
        assert_eq!(herd.notify(n), (all_but(n.min(5), &[]), all_but(n.min(5), &[])));
    }
}

#[test]
fn predicates_that_panic_between_others_are_their_owners_business() {
    for (n, told, last) in [(1, vec![0], 0), (3, vec![0, 2, 3], 3), (usize::MAX, vec![0, 2, 3, 5, 6, 8, 9, 11], 11)] {
        let herd = Herd::new(12, |herd, i| {
            if i == 8 && herd.asked.lock().unwrap().len() == 9 {
                herd.drops(7); // it has panicked
            }
            if i % 3 == 1 {
                std::panic::resume_unwind(Box::new("bad"));
            }
            true
        });
        let mut guard = herd.cond.try_lock().unwrap();
        *guard = 1;
        herd.cond.notify(&guard, n);
        *guard = 2;
        drop(guard);
        assert_eq!(*herd.asked.lock().unwrap(), (0..=last).collect::<Vec<_>>());
        let mut arrived = Vec::new();
        for i in 0..=last {
            if i == 7 {
                assert_eq!((herd.poll(i), herd.tasks[i].wakes()), (None, 0));
                continue;
            }
            assert_eq!(herd.tasks[i].wakes(), 1, "{i} of {n}");
            if i % 3 == 1 {
                let text = panics(|| herd.poll(i));
                assert_eq!(text, "the predicate of this wait panicked when a notifier called it");
            } else {
                assert_eq!(herd.poll(i), Some(true));
                arrived.push(i);
            }
        }
        assert_eq!(arrived, told);
        assert!(!herd.cond.is_locked());
        herd.disband();
    }
}

/// It unwinds through the notifier, and ends the walk: a later one begins anew.
#[test]
fn a_payload_that_panics_when_dropped_gives_all_waiters_back() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("bomb");
            }
        }
    }
    let herd = Herd::new(6, |_, i| {
        if i == 2 {
            std::panic::resume_unwind(Box::new(Bomb));
        }
        true
    });
    let mut guard = herd.cond.try_lock().unwrap();
    *guard = 1;
    assert_eq!(panics(|| herd.cond.notify_all(&guard)), "bomb");
    *guard = 2;
    drop(guard);
    assert_eq!(*herd.asked.lock().unwrap(), [0, 1, 2]);
    for i in [0, 1, 3, 4, 5] {
        assert_eq!(herd.tasks[i].wakes(), usize::from(i < 2), "2 has it, and is not dropped yet");
        if i < 2 {
            assert_eq!(herd.poll(i), Some(true));
        }
    }
    assert_eq!(panics(|| herd.poll(2)), "the predicate of this wait panicked when a notifier called it");
    assert_eq!(herd.arrivals(), [3, 4, 5]);
}

/// Predicates of one condition that notify another, whose predicates drop waiters of both.
#[test]
fn predicates_may_notify_other_conditions_and_drop_waiters_of_both() {
    for (n, inner_n) in [(usize::MAX, usize::MAX), (3, usize::MAX), (usize::MAX, 3), (2, 2), (1, 1)] {
        let outer = Arc::new(std::sync::Mutex::new(None::<Herd>));
        let of_outer = outer.clone();
        // The second of the inner herd drops the inner first and third, and the outer first and third.
        let inner = Herd::new(5, move |inner, i| {
            if i == 1 {
                let outer = of_outer.lock().unwrap().clone().unwrap();
                for gone in [0, 2] {
                    inner.drops(gone);
                    outer.drops(gone);
                }
            }
            i != 0
        });
        let of_inner = inner.clone();
        let herd = Herd::new(5, move |_, i| {
            if i == 1 {
                let mut guard = of_inner.cond.try_lock().unwrap();
                *guard = 1;
                of_inner.cond.notify(&guard, inner_n);
                *guard = 2;
            }
            i != 0
        });
        *outer.lock().unwrap() = Some(herd.clone());
        let (asked, told) = herd.notify(n);
        let behind = n.min(3);
        assert_eq!(asked, [&[0, 1][..], &all_but(2 + behind, &[0, 1, 2])].concat(), "{n}");
        assert_eq!(told, all_but(2 + behind, &[0, 2]), "{n}");
        let behind = inner_n.min(3);
        assert_eq!(*inner.asked.lock().unwrap(), [&[0, 1][..], &all_but(2 + behind, &[0, 1, 2])].concat());
        assert_eq!(inner.arrivals(), all_but(2 + behind, &[0, 2]));
        inner.disband();
        *outer.lock().unwrap() = None;
    }
}

#[test]
fn predicates_that_drop_at_random_strand_nobody() {
    for seed in 0..if cfg!(miri) { 3 } else { 300 } {
        let rng = Arc::new(std::sync::Mutex::new(Rng::new(seed)));
        let n = rng.lock().unwrap().below(8);
        let herd = Herd::new(40, move |herd, i| {
            let mut rng = rng.lock().unwrap();
            for _ in 0..rng.below(4) {
                let gone = rng.below(40);
                if gone != i {
                    herd.slots[gone].cancel();
                }
            }
            rng.one_in(3)
        });
        let (asked, told) = herd.notify(if n == 0 { usize::MAX } else { n });
        assert!(asked.is_sorted_by(|a, b| a < b), "{seed}");
        assert!(n == 0 || told.len() <= n, "{seed}: {told:?}");
    }
}
