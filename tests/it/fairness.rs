//! Fairness: service in order, overtaking at most four times, and the futurelock program of Oxide's RFD 609.
use core::{
    cell::Cell,
    future::Future,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};
use std::{rc::Rc, sync::Arc};

use futures_util::FutureExt;
use testudo::{
    Condition, Mutex,
    run::{Clock, Sim},
};

use crate::support::{Probe, wakes};

// ---- order

#[test]
fn a_hundred_waiters_are_served_in_order() {
    let (lock, tasks) = (Mutex::new(Vec::new()), Probe::many(100));
    let guard = lock.try_lock().unwrap();
    let mut locks: Vec<_> = tasks.iter().map(|task| task.start(lock.lock())).collect();
    drop(guard);
    for (i, (task, fut)) in tasks.iter().zip(&mut locks).enumerate() {
        assert_eq!(tasks.iter().map(Probe::wakes).sum::<usize>(), i + 1);
        task.ready(fut).push(i);
    }
    assert_eq!(*lock.try_lock().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn tasks_that_lock_again_and_again_take_turns() {
    // Each task lets the others run while it has the lock, so the others queue; then it asks again at once.
    let (sim, lock) = (Sim::new(), Rc::new(Mutex::new(Vec::new())));
    for task in 0..3 {
        let (lock, clock) = (lock.clone(), sim.clock());
        sim.spawn(async move {
            for _ in 0..40 {
                let mut guard = lock.lock().await;
                guard.push(task);
                clock.sleep(Duration::from_millis(1)).await;
            }
        })
        .detach();
    }
    assert!(sim.run_until_stalled().is_none());
    let order = lock.try_lock().unwrap().clone();
    assert_eq!(order.len(), 120);
    // Whoever waits is overtaken four times at most by each of those that can come before it.
    for task in 0..3 {
        let last = order.iter().rposition(|&t| t == task).unwrap();
        let longest = order[..last].split(|&t| t == task).map(<[_]>::len).max().unwrap();
        assert!(longest <= 10, "{task} waited for {longest} others: {order:?}");
    }
}

// ---- overtaking

/// How often `try_lock` succeeds, of `n` tries, while the first in line is offered the lock and `between` runs each time.
fn overtakes(lock: &Mutex<()>, n: usize, mut between: impl FnMut()) -> usize {
    (0..n)
        .filter(|_| {
            let guard = lock.try_lock();
            let taken = guard.is_some();
            between();
            drop(guard);
            taken
        })
        .count()
}

#[test]
fn a_waiter_is_overtaken_four_times_and_then_owns_the_lock() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(2));
    let guard = lock.try_lock().unwrap();
    let mut first = tasks[0].start(lock.lock());
    let mut second = tasks[1].start(lock.lock());
    drop(guard);
    assert_eq!(overtakes(&lock, 1000, || ()), 4);
    assert!(lock.is_locked(), "it owns the lock, though it was not polled");
    assert_eq!(wakes(&tasks), [1, 0]);
    tasks[1].pends(&mut second);
    drop(tasks[0].ready(&mut first));
    // The second has its own count.
    assert_eq!(overtakes(&lock, 1000, || ()), 4);
    drop(tasks[1].ready(&mut second));
    assert_eq!(overtakes(&lock, 1000, || ()), 1000);
}

#[test]
fn polling_while_it_is_overtaken_counts_once() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(2));
    let guard = lock.try_lock().unwrap();
    let mut fut = tasks[0].start(lock.lock());
    drop(guard);
    let count = overtakes(&lock, 1000, || {
        // By the same task, by another, and again.
        if !lock.is_locked() || tasks[0].wakes() == 5 {
            return;
        }
        tasks[0].pends(&mut fut);
        tasks[1].pends(&mut fut);
        tasks[0].pends(&mut fut);
    });
    assert_eq!(count, 4);
    assert!(lock.is_locked());
    drop(tasks[0].ready(&mut fut));
}

#[test]
fn newcomers_overtake_four_times_too() {
    let (lock, task, other) = (Mutex::new(()), Probe::new(), Probe::new());
    let guard = lock.try_lock().unwrap();
    let mut fut = task.start(lock.lock());
    drop(guard);
    for _ in 0..4 {
        drop(other.now(lock.lock()));
    }
    let mut late = other.start(lock.lock());
    drop(task.ready(&mut fut));
    drop(other.ready(&mut late));
}

#[test]
fn a_waiter_that_was_never_offered_the_lock_is_not_overtaken() {
    let (lock, task) = (Mutex::new(()), Probe::new());
    let guard = lock.try_lock().unwrap();
    let mut fut = task.start(lock.lock());
    for _ in 0..100 {
        assert!(lock.try_lock().is_none());
        task.pends(&mut fut);
    }
    drop(guard);
    assert_eq!(overtakes(&lock, 1000, || ()), 4);
    drop(task.ready(&mut fut));
}

#[test]
fn each_waiter_has_a_count_of_its_own() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(10));
    let guard = lock.try_lock().unwrap();
    let mut locks: Vec<_> = tasks.iter().map(|task| task.start(lock.lock())).collect();
    drop(guard);
    for i in 0..10 {
        assert_eq!(overtakes(&lock, i, || ()), i.min(4), "{i}");
        drop(tasks[i].ready(&mut locks[i]));
    }
}

#[test]
fn the_lock_of_a_condition_and_its_notified_waiters_are_overtaken_four_times() {
    for way in 0..3 {
        let (cond, task) = (Condition::new(false), Probe::new());
        let parked = Probe::new();
        let mut wait = (way == 1).then(|| parked.start(cond.wait(cond.try_lock().unwrap())));
        let mut until = (way == 2).then(|| parked.start(cond.wait_until(|go| *go)));
        let mut guard = cond.try_lock().unwrap();
        let mut lock = (way == 0).then(|| task.start(cond.lock()));
        *guard = true;
        cond.notify(&guard, 1);
        drop(guard);
        let taken = (0..1000).filter(|_| cond.try_lock().is_some()).count();
        assert_eq!(taken, 4, "{way}");
        assert!(cond.is_locked());
        drop(lock.as_mut().map(|fut| task.ready(fut)));
        drop(wait.as_mut().map(|fut| parked.ready(fut)));
        drop(until.as_mut().map(|fut| parked.ready(fut)));
        assert!(!cond.is_locked());
    }
}

// ---- futurelock

/// A future that holds a place in line is not polled while its task waits for the same lock in another arm.
#[test]
fn a_task_gets_the_lock_though_an_arm_of_it_that_it_does_not_poll_is_first_in_line() {
    let (lock, task) = (Mutex::new(()), Probe::new());
    let guard = lock.try_lock().unwrap();
    let mut arm = task.start(lock.lock());
    drop(guard);
    assert_eq!(task.wakes(), 1);
    // Now the task is polled, and asks for the lock with another future.
    drop(task.now(lock.lock()));
    drop(task.ready(&mut arm));
}

/// The program of the RFD: the second request is made while somebody else still has the lock, so it queues behind the
/// first. The release wakes the task, and the task polls the second only.
#[test]
fn a_task_gets_the_lock_though_it_queued_twice_and_polls_the_second_only() {
    let (lock, task) = (Mutex::new(()), Probe::new());
    let guard = lock.try_lock().unwrap();
    let mut arm = task.start(lock.lock());
    let mut other = task.start(lock.lock());
    drop(guard);
    assert_eq!(task.wakes(), 1, "the task is woken");
    assert!(!lock.is_locked(), "and the lock is free");
    drop(task.ready(&mut other));
    drop(task.ready(&mut arm));
}

async fn do_async_thing(lock: &Mutex<Vec<&'static str>>, label: &'static str, clock: &Clock) {
    let mut guard = lock.lock().await;
    guard.push(label);
    clock.sleep(Duration::from_secs(1)).await;
}

/// The program of Oxide's RFD 609 in virtual time: another task has the lock for five seconds, the timer fires after half a
/// second. `late`: how long after that the other arm asks for the lock.
fn rfd_609(late: Duration, biased: bool) -> Vec<&'static str> {
    let (sim, lock) = (Sim::new(), Arc::new(Mutex::new(vec![])));
    let (clock, background) = (sim.clock(), lock.clone());
    let main = async {
        let timer = sim.clock();
        sim.spawn_named("background", async move {
            let mut guard = Mutex::lock_with(background).await;
            guard.push("background");
            timer.sleep(Duration::from_secs(5)).await;
        })
        .detach();
        clock.sleep(Duration::ZERO).await;
        let mut op1 = pin!(do_async_thing(&lock, "op1", &clock).fuse());
        let mut half = pin!(clock.sleep(Duration::from_millis(500)).fuse());
        let other = async {
            clock.sleep(late).await;
            do_async_thing(&lock, "op2", &clock).await;
        };
        if biased {
            futures_util::select_biased! {
                () = op1 => panic!("the lock is not free yet"),
                () = half => other.await,
            }
        } else {
            futures_util::select! {
                () = op1 => panic!("the lock is not free yet"),
                () = half => other.await,
            }
        }
        op1.await;
    };
    match sim.block_on(main) {
        Ok(()) => lock.try_lock().unwrap().clone(),
        Err(stall) => panic!("futurelock: {stall}"),
    }
}

#[test]
fn the_program_of_rfd_609_finishes() {
    for biased in [true, false] {
        assert_eq!(rfd_609(Duration::ZERO, biased), ["background", "op2", "op1"]);
    }
}

#[test]
fn the_program_of_rfd_609_finishes_when_the_lock_is_offered_before_the_second_request() {
    for biased in [true, false] {
        assert_eq!(rfd_609(Duration::from_secs(10), biased), ["background", "op2", "op1"]);
    }
}

/// The same by hand, and with the arm polled now and then, as a task in a loop over `select!` does.
#[test]
fn an_arm_that_is_polled_now_and_then_is_served_at_last() {
    let (lock, task) = (Mutex::new(()), Probe::new());
    let guard = lock.try_lock().unwrap();
    let mut arm = task.start(lock.lock());
    drop(guard);
    for _ in 0..4 {
        let guard = task.now(lock.lock());
        task.pends(&mut arm);
        drop(guard);
    }
    assert!(lock.is_locked(), "handed over at last");
    drop(task.ready(&mut arm));
}

/// Two tasks and one lock; one of them asks in a loop without ever letting go of the thread while the lock is free.
#[test]
fn a_greedy_task_does_not_starve_a_polite_one() {
    let (sim, lock) = (Sim::new(), Rc::new(Mutex::new(())));
    let turns = Rc::new(Cell::new(0));
    let (polite, counted) = (lock.clone(), turns.clone());
    let (clock, greedy) = (sim.clock(), lock.clone());
    sim.spawn(async move {
        while counted.get() < 10 {
            let guard = greedy.lock().await;
            clock.sleep(Duration::from_millis(1)).await;
            drop(guard);
        }
    })
    .detach();
    let clock = sim.clock();
    let done = sim.block_on(async {
        for _ in 0..10 {
            drop(polite.lock().await);
            turns.set(turns.get() + 1);
        }
        clock.now()
    });
    assert!(done.unwrap() <= Duration::from_millis(60), "four overtakings each, at a millisecond");
}

/// The limit of an offer: it wakes the first in line only. Who is behind a future that nobody polls is not woken for it, but
/// gets the lock as soon as it is polled for another reason.
#[test]
fn a_waiter_behind_one_that_nobody_polls_is_served_when_it_is_polled() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(2));
    let guard = lock.try_lock().unwrap();
    let mut arm = tasks[0].start(lock.lock());
    let mut other = tasks[1].start(lock.lock());
    drop(guard);
    assert_eq!(wakes(&tasks), [1, 0]);
    let guard = tasks[1].ready(&mut other);
    tasks[0].pends(&mut arm);
    drop(guard);
    assert_eq!(wakes(&tasks), [2, 0]);
    drop(tasks[0].ready(&mut arm));
}

#[test]
fn waiters_that_overtake_in_the_line_do_so_four_times() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(8));
    let guard = lock.try_lock().unwrap();
    let mut arm = tasks[0].start(lock.lock());
    let mut others: Vec<_> = tasks[1..].iter().map(|task| task.start(lock.lock())).collect();
    drop(guard);
    for i in [3, 0, 6, 1] {
        drop(tasks[i + 1].ready(&mut others[i]));
    }
    assert!(lock.is_locked(), "handed over");
    for i in [2, 4, 5] {
        tasks[i + 1].pends(&mut others[i]);
    }
    drop(tasks[0].ready(&mut arm));
    for i in [2, 4, 5] {
        drop(tasks[i + 1].ready(&mut others[i]));
    }
    assert!(!lock.is_locked());
}

#[test]
fn a_waiter_behind_one_that_is_dropped_unpolled_is_served() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(2));
    let guard = lock.try_lock().unwrap();
    let arm = tasks[0].start(lock.lock());
    let mut other = pin!(lock.lock());
    assert!(other.as_mut().poll(&mut Context::from_waker(tasks[1].waker())).is_pending());
    drop(guard);
    drop(arm);
    assert_eq!(wakes(&tasks), [1, 1]);
    assert!(matches!(tasks[1].poll_pinned(other), Poll::Ready(_)));
}
