//! Bugs that other crates had, each by its cause. The numbers are those of the list of bug classes.
//!
//! | class | where else, or only |
//! |---|---|
//! | 2, 3 cancelled when notified | `cancel`; the loom models named `…_x_cancel…` |
//! | 5 close races | loom `close_x_…` of `semaphore` and `queue`; `stress_semaphore_close`, `stress_queue_close`; `semaphore::a_closed_…` |
//! | 9 panics | `panics`, and a section of each file |
//! | 14 auto traits | `layout` |
//! | 15 withdrawn arrivals | `barrier::a_cancelled_arrival_is_withdrawn`, loom `wait_x_cancel` of `barrier`; handles are cloned by `Arc` |
//! | 16 order | `cancel::waiters_dropped_…`, `fairness`; tests/prop, where wake-ups are compared in their order |
//! | 17 starvation | `rwlock::a_stream_of_readers_…`, `semaphore::a_large_request_…`, `queue::the_first_in_line_…`; tests/prop |
//! | 18 futurelock | `fairness`, `rwlock::the_program_of_rfd_609_finishes`, `queue::a_getter_that_is_kept_…` |
//! | 19 counters | `semaphore::counts_do_not_overflow`; in src `readers_never_wrap`, `numbers_wrap` |
//! | 20 orderings | the loom models named after edges; ThreadSanitizer |
//! | 21 interrupts | tests/signal stops at every instruction, `src/wait/stall` in every held section, tests/firmware under QEMU |
//! | 23 progress that is no signal | `semaphore::those_behind_…_as_it_leaves`, `rwlock::an_upgrade_that_is_dropped_…`, `once::the_turn_of_…`, `queue::the_last_getter_…`, `queue::a_get_whose_poll_panics_…` |
//! | 24 weak exchanges | each stands in a loop that tries again; no test here makes one fail |
//! | 25 costs | `exact` |
//! | 26 Debug | `debug` |
use core::{future::Future, pin::pin, task::Poll, time::Duration};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc, Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering::*},
    },
    thread,
};

use testudo::{
    Condition, Event, Mutex, Queue, Semaphore,
    run::{Sim, block_on},
};

use crate::support::{Inline, Probe, Slot, wakes};

// ---- 1: an early-out that believed a list to be empty

#[test]
fn an_empty_looking_line_is_not_skipped_after_it_was_emptied_and_filled_again() {
    let (event, lock, cond) = (Event::new(), Mutex::new(()), Condition::new(()));
    let (gone, stays) = (Probe::new(), Probe::new());
    for n in [1, 2, 5] {
        let guard = lock.try_lock().unwrap();
        drop((0..n).map(|_| gone.start(event.wait())).collect::<Vec<_>>());
        drop((0..n).map(|_| gone.start(lock.lock())).collect::<Vec<_>>());
        drop((0..n).map(|_| gone.start(cond.wait(cond.try_lock().unwrap()))).collect::<Vec<_>>());
        let mut event_wait = stays.start(event.wait());
        let mut lock_wait = stays.start(lock.lock());
        let mut cond_wait = stays.start(cond.wait(cond.try_lock().unwrap()));
        let before = stays.wakes();
        event.set();
        event.clear();
        drop(guard);
        cond.notify(&cond.try_lock().unwrap(), 1);
        assert_eq!(stays.wakes(), before + 3);
        stays.ready(&mut event_wait);
        drop(stays.ready(&mut lock_wait));
        drop(stays.ready(&mut cond_wait));
    }
    assert_eq!(gone.wakes(), 0);
}

#[test]
fn the_oldest_stays_first_whoever_leaves_before_the_line_is_looked_at() {
    // Newcomers are linked one way only until somebody looks: leave in each place before that.
    for n in 2..6 {
        for gone in 0..n {
            for late in 0..3 {
                let (lock, tasks) = (Mutex::new(()), Probe::many(n + late));
                let guard = lock.try_lock().unwrap();
                let mut locks: Vec<_> = tasks[..n].iter().map(|task| Some(task.start(lock.lock()))).collect();
                locks[gone] = None;
                locks.extend(tasks[n..].iter().map(|task| Some(task.start(lock.lock()))));
                drop(guard);
                for i in (0..n + late).filter(|&i| i != gone) {
                    assert_eq!(tasks[i].wakes(), 1);
                    drop(tasks[i].ready(locks[i].as_mut().unwrap()));
                }
                assert!(!lock.is_locked());
            }
        }
    }
}

// ---- 3: cancelled while it re-acquires the lock after a notification (tokio #3892)

#[test]
fn a_notified_waiter_that_is_dropped_in_the_locks_queue_leaves_it_intact() {
    let (cond, tasks) = (Condition::new(()), Probe::many(5));
    let notified = tasks[1].start(cond.wait(cond.try_lock().unwrap()));
    let guard = cond.try_lock().unwrap();
    let mut before = tasks[0].start(cond.lock());
    cond.notify(&guard, 1);
    let mut after = tasks[2].start(cond.lock());
    drop(notified);
    drop(guard);
    drop(tasks[0].ready(&mut before));
    drop(tasks[2].ready(&mut after));
    assert_eq!(wakes(&tasks), [1, 0, 1, 0, 0]);
    assert!(!cond.is_locked());
}

// ---- 4: a wake-all that is not atomic (tokio #3661, #5396, #5458)

/// Two waits of one task: when the first is seen ready, the second, which was in line as well, is released too, however
/// the event is cleared meanwhile.
#[test]
fn all_waits_of_one_task_are_released_by_one_set() {
    for n in [2, 33, 40, 70] {
        let event = Arc::new(Event::new());
        let task = Probe::new();
        let waits: Vec<_> = (0..n).map(|_| Slot::new(Event::wait_with(event.clone()))).collect();
        for wait in &waits {
            assert!(wait.poll(task.waker()).unwrap().is_pending());
        }
        let clears = event.clone();
        task.on_wake(move || clears.clear());
        event.set();
        assert!(!event.is_set());
        assert!(waits.iter().all(|wait| wait.poll(task.waker()).unwrap().is_ready()));
    }
}

/// A waker that polls another wait of the same line, which is released but was not told yet.
#[test]
fn a_wait_that_is_polled_during_the_walk_is_released_by_it() {
    for (first, second) in [(0, 1), (0, 39), (31, 32), (31, 39), (39, 0)] {
        let event = Arc::new(Event::new());
        let tasks = Probe::many(40);
        let slots: Vec<_> = (0..40).map(|_| Slot::new(Event::wait_with(event.clone()))).collect();
        for (task, slot) in tasks.iter().zip(&slots) {
            assert!(slot.poll(task.waker()).unwrap().is_pending());
        }
        let other = Arc::new(Probe::new());
        let (clears, slot, waker) = (event.clone(), slots[second].clone(), other.clone());
        tasks[first].on_wake(move || {
            clears.clear();
            let _ = slot.poll(waker.waker());
        });
        event.set();
        for (i, slot) in slots.iter().enumerate() {
            if let Some(poll) = slot.poll(tasks[i].waker()) {
                assert!(poll.is_ready(), "{i} was left behind by {first} and {second}");
                assert!(tasks[i].wakes() == 1 || i == second && other.wakes() == 1);
            }
        }
    }
}

#[test]
fn a_notification_of_everybody_does_not_reach_a_waiter_that_came_back() {
    let (cond, tasks) = (Condition::new(()), Probe::many(3));
    let mut waits: Vec<_> = tasks.iter().map(|task| task.start(cond.wait(cond.try_lock().unwrap()))).collect();
    cond.notify_all(&cond.try_lock().unwrap());
    let guard = tasks[0].ready(&mut waits[0]);
    waits[0] = tasks[0].start(cond.wait(guard));
    drop(tasks[1].ready(&mut waits[1]));
    drop(tasks[2].ready(&mut waits[2]));
    tasks[0].pends(&mut waits[0]);
    assert_eq!(wakes(&tasks), [1, 1, 1]);
}

// ---- 7: see also reenter.rs
/// tokio #5429: a waker that is dropped under the lock of the list, and whose task waits on the same list.
#[test]
fn dropping_a_waker_may_drop_a_task_that_waits_in_the_same_line() {
    let (event, lock) = (Arc::new(Event::new()), Arc::new(Mutex::new(())));
    let _guard = lock.try_lock().unwrap();
    let (outer, inner) = (Probe::new(), Probe::new());
    let waits = Slot::of(inner.start(Event::wait_with(event.clone())));
    let locks = Slot::of(inner.start(Mutex::lock_with(lock.clone())));
    outer.on_drop(move || {
        waits.cancel();
        locks.cancel();
    });
    let mut event_wait = outer.start(event.wait());
    let mut lock_wait = outer.start(lock.lock());
    // Replaced by another task's: the old ones are dropped.
    let other = Probe::new();
    other.pends(&mut event_wait);
    other.pends(&mut lock_wait);
    assert_eq!(inner.kept(), 0);
}

// ---- 8: an executor that polls inside wake() (ngx-rust #295)

#[test]
fn an_executor_that_polls_inside_wake_runs_event_waiters() {
    let event = Arc::new(Event::new());
    let count = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (event, count) = (event.clone(), count.clone());
            Inline::spawn(async move {
                for _ in 0..3 {
                    Event::wait_with(event.clone()).await;
                    event.clear();
                    count.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    for round in 1..=3 {
        event.set();
        assert_eq!(count.load(SeqCst), 100 * round);
    }
    assert!(tasks.iter().all(|task| task.is_done()));
}

#[test]
fn an_executor_that_polls_inside_wake_runs_lock_holders() {
    let lock = Arc::new(Mutex::new(0));
    let guard = lock.try_lock().unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let lock = lock.clone();
            Inline::spawn(async move {
                for _ in 0..3 {
                    *Mutex::lock_with(lock.clone()).await += 1;
                }
            })
        })
        .collect();
    assert!(!tasks.iter().any(|task| task.is_done()));
    drop(guard);
    assert!(tasks.iter().all(|task| task.is_done()));
    assert_eq!(*lock.try_lock().unwrap(), 300);
}

#[test]
fn an_executor_that_polls_inside_wake_runs_producers_and_consumers() {
    let cond = Arc::new(Condition::new(Vec::new()));
    let sum = Arc::new(AtomicUsize::new(0));
    let mut tasks = vec![];
    for _ in 0..3 {
        let (cond, sum) = (cond.clone(), sum.clone());
        tasks.push(Inline::spawn(async move {
            for _ in 0..20 {
                let mut items = Condition::wait_until_with(cond.clone(), |items: &Vec<usize>| !items.is_empty()).await;
                sum.fetch_add(items.pop().unwrap(), SeqCst);
                cond.notify(&items, 1);
            }
        }));
    }
    for _ in 0..3 {
        let cond = cond.clone();
        tasks.push(Inline::spawn(async move {
            for i in 0..20 {
                let mut items = Condition::wait_until_with(cond.clone(), |items: &Vec<usize>| items.len() < 2).await;
                items.push(i);
                cond.notify(&items, 1);
            }
        }));
    }
    assert!(tasks.iter().all(|task| task.is_done()), "{cond:?}");
    assert_eq!(sum.load(SeqCst), 3 * (0..20).sum::<usize>());
}

#[test]
fn an_executor_that_polls_inside_wake_passes_the_ball() {
    // Two tasks and two events, and each wake runs the other task.
    let (ping, pong) = (Arc::new(Event::new()), Arc::new(Event::new()));
    let tasks = [(ping.clone(), pong.clone()), (pong, ping.clone())].map(|(mine, other)| {
        Inline::spawn(async move {
            for _ in 0..50 {
                Event::wait_with(mine.clone()).await;
                mine.clear();
                other.set();
            }
        })
    });
    ping.set();
    assert!(tasks.iter().all(|task| task.is_done()));
}

// ---- 10: never polled; polled with one waker, then with another; moved between tasks (tokio #4751, async-oneshot #1)

#[test]
fn the_last_waker_is_woken() {
    let (event, lock, cond) = (Event::new(), Mutex::new(()), Condition::new(()));
    let tasks = Probe::many(3);
    let guard = lock.try_lock().unwrap();
    let mut event_wait = tasks[0].start(event.wait());
    let mut lock_wait = tasks[0].start(lock.lock());
    let mut cond_wait = tasks[0].start(cond.wait(cond.try_lock().unwrap()));
    for task in &tasks[1..] {
        task.pends(&mut event_wait);
        task.pends(&mut lock_wait);
        task.pends(&mut cond_wait);
    }
    // In the lock's queue, too.
    let cond_guard = cond.try_lock().unwrap();
    cond.notify(&cond_guard, 1);
    tasks[1].pends(&mut cond_wait);
    tasks[2].pends(&mut cond_wait);
    event.set();
    drop((guard, cond_guard));
    assert_eq!(wakes(&tasks), [0, 0, 3]);
    tasks[0].ready(&mut event_wait);
    drop(tasks[0].ready(&mut lock_wait));
    drop(tasks[0].ready(&mut cond_wait));
    assert!(tasks.iter().all(|task| task.kept() == 0));
}

#[test]
fn a_future_may_move_to_another_thread_between_polls() {
    let (event, lock) = (Arc::new(Event::new()), Arc::new(Mutex::new(0)));
    let cond = Arc::new(Condition::new(0));
    let task = Probe::new();
    let guard = lock.try_lock().unwrap();
    let event_wait = task.start(Event::wait_with(event.clone()));
    let lock_wait = task.start(Mutex::lock_with(lock.clone()));
    let cond_wait = task.start(Condition::wait_until_with(cond.clone(), |n| *n == 1));
    let moved = thread::spawn(move || {
        block_on(async {
            event_wait.await;
            *lock_wait.await += 1;
            *cond_wait.await += 1;
        });
    });
    thread::yield_now();
    event.set();
    drop(guard);
    let mut guard = block_on(cond.lock());
    *guard = 1;
    cond.notify_all(&guard);
    drop(guard);
    moved.join().unwrap();
    assert_eq!((*lock.lock_blocking(), *cond.lock_blocking()), (1, 2));
    assert_eq!(task.kept(), 0);
}

#[test]
fn an_offered_lock_may_be_taken_by_another_task_than_was_woken() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(2));
    let guard = lock.try_lock().unwrap();
    let mut fut = tasks[0].start(lock.lock());
    drop(guard);
    drop(tasks[1].ready(&mut fut));
    assert_eq!(wakes(&tasks), [1, 0]);
    assert_eq!(tasks[1].clones(), 0);
}

// ---- 11: a waker that is kept keeps its task alive (tokio #7884, n0-watcher #62)

#[test]
fn a_task_is_freed_when_its_waits_are_dropped_though_the_primitive_lives_on() {
    let (event, lock, cond) = (Arc::new(Event::new()), Arc::new(Mutex::new(())), Arc::new(Condition::new(())));
    let _guard = Mutex::try_lock_with(lock.clone()).unwrap();
    let kept = Arc::new(());
    let mut tasks = vec![];
    for i in 0..4 {
        let (event, lock, cond, mine) = (event.clone(), lock.clone(), cond.clone(), kept.clone());
        let task = Probe::new();
        let fut = task.start(async move {
            let _mine = mine;
            match i {
                0 => Event::wait_with(event).await,
                1 => drop(Mutex::lock_with(lock).await),
                2 => drop(Condition::wait_until_with(cond, |()| false).await),
                _ => {
                    let guard = Condition::lock_with(cond.clone()).await;
                    drop(cond.wait(guard).await);
                }
            }
        });
        tasks.push((task, fut));
    }
    assert_eq!(Arc::strong_count(&kept), 5);
    for (task, fut) in tasks {
        drop(fut);
        assert_eq!(task.kept(), 0);
    }
    assert_eq!(Arc::strong_count(&kept), 1);
}

// ---- 12: the primitive is freed by the task that it wakes (tokio #2340, #8542; event-listener #100)

#[test]
fn the_woken_task_may_free_everything_but_the_signallers_handle() {
    let event = Arc::new(Event::new());
    let task = Probe::new();
    let slot = Slot::of(task.start(Event::wait_with(event.clone())));
    let (waker, freed) = (task.waker().clone(), slot.clone());
    task.on_wake(move || {
        assert!(freed.poll(&waker).unwrap().is_ready());
        freed.cancel();
    });
    event.set();
    assert_eq!(Arc::strong_count(&event), 1);

    let lock = Arc::new(Mutex::new(()));
    let guard = Mutex::try_lock_with(lock.clone()).unwrap();
    let slot = Slot::of(task.start(Mutex::lock_with(lock.clone())));
    let (waker, freed, last) = (task.waker().clone(), slot.clone(), StdMutex::new(Some(lock)));
    task.on_wake(move || {
        drop(last.lock().unwrap().take());
        assert!(freed.poll(&waker).unwrap().is_ready());
        freed.cancel();
    });
    // The guard's is the last handle when its waker returns.
    drop(guard);
}

#[test]
fn the_woken_thread_may_free_the_event_while_set_returns() {
    let rounds = if cfg!(miri) { 10 } else { 500 };
    let (tx, rx) = std::sync::mpsc::channel::<Arc<Event>>();
    let waiter = thread::spawn(move || {
        for event in rx {
            block_on(Event::wait_with(event));
        }
    });
    for _ in 0..rounds {
        let event = Arc::new(Event::new());
        tx.send(event.clone()).unwrap();
        event.set();
        drop(event);
    }
    drop(tx);
    waiter.join().unwrap();
}

#[test]
fn the_next_owner_may_free_the_lock_while_the_guard_is_dropped() {
    let rounds = if cfg!(miri) { 10 } else { 500 };
    let (tx, rx) = std::sync::mpsc::channel::<Arc<Mutex<u32>>>();
    let waiter = thread::spawn(move || {
        for lock in rx {
            *block_on(Mutex::lock_with(lock)) += 1;
        }
    });
    for _ in 0..rounds {
        let lock = Arc::new(Mutex::new(0));
        let guard = Mutex::try_lock_with(lock.clone()).unwrap();
        tx.send(lock).unwrap();
        drop(guard);
    }
    drop(tx);
    waiter.join().unwrap();
}

// ---- 18: see fairness.rs

// ---- 20: what was written before a signal is seen after it

#[test]
fn everything_before_set_is_seen_after_wait() {
    static DATA: AtomicUsize = AtomicUsize::new(0);
    let event = Event::new();
    thread::scope(|s| {
        s.spawn(|| {
            DATA.store(7, Relaxed);
            event.set();
        });
        s.spawn(|| {
            block_on(event.wait());
            assert_eq!(DATA.load(Relaxed), 7);
        });
        s.spawn(|| {
            while !event.is_set() {
                thread::yield_now();
            }
            assert_eq!(DATA.load(Relaxed), 7);
        });
    });
}

// ---- 22: a timeout that races with the notification (parking_lot 0.12.4, event-listener 1.1.1)

#[test]
fn a_notification_that_comes_with_the_timeout_is_not_lost() {
    for timeout in [4, 5, 6] {
        let sim = Sim::new();
        let cond = Rc::new(Condition::new(0_u32));
        let served = Rc::new(RefCell::new(Vec::new()));
        for i in 0..3 {
            let (cond, served, clock) = (cond.clone(), served.clone(), sim.clock());
            sim.spawn(async move {
                let guard = cond.lock().await;
                let mut wait = pin!(cond.wait(guard));
                // The timer is polled first: if both are ready, the notification is in hand and is dropped.
                let mut sleep = pin!(clock.sleep(Duration::from_secs(if i == 0 { timeout } else { 1000 })));
                let got = core::future::poll_fn(|cx| {
                    if sleep.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(false);
                    }
                    wait.as_mut().poll(cx).map(|_guard| true)
                })
                .await;
                if got {
                    served.borrow_mut().push((i, clock.now().as_secs()));
                }
            })
            .detach();
        }
        let clock = sim.clock();
        let notifier = async {
            clock.sleep(Duration::from_secs(5)).await;
            cond.notify(&cond.lock().await, 1);
            clock.sleep(Duration::from_secs(100)).await;
        };
        sim.block_on(notifier).unwrap();
        assert_eq!(served.borrow().len(), 1, "{timeout}: {served:?}");
        assert_eq!(served.borrow()[0].1, 5);
    }
}

#[test]
fn a_lock_that_comes_with_the_timeout_is_not_lost() {
    for order in 0..2 {
        let (sim, lock) = (Sim::new(), Rc::new(Mutex::new(0)));
        let (clock, first) = (sim.clock(), lock.clone());
        sim.spawn(async move {
            let mut wait = pin!(first.lock());
            let mut sleep = pin!(clock.sleep(Duration::from_secs(5)));
            core::future::poll_fn(|cx| {
                let locked = if order == 0 { wait.as_mut().poll(cx).is_ready() } else { false };
                let late = sleep.as_mut().poll(cx).is_ready();
                let locked = locked || !late && wait.as_mut().poll(cx).is_ready();
                if locked || late { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        })
        .detach();
        let second = lock.clone();
        let guard = lock.try_lock().unwrap();
        let task = sim.spawn(async move { *second.lock().await += 1 });
        let clock = sim.clock();
        sim.block_on(async {
            clock.sleep(Duration::from_secs(5)).await;
            drop(guard);
            task.await.unwrap();
        })
        .unwrap();
        assert_eq!(*lock.try_lock().unwrap(), 1);
    }
}

/// What comes with the timeout of the first goes to the second, whichever of timer and wait is asked first.
#[test]
fn a_permit_or_an_item_that_comes_with_the_timeout_is_not_lost() {
    for (timeout, timer_first) in [4, 5, 6].into_iter().flat_map(|timeout| [(timeout, false), (timeout, true)]) {
        let (sim, doors, items) = (Sim::new(), Rc::new(Semaphore::new(0)), Rc::new(Queue::bounded(1)));
        let served = Rc::new(RefCell::new(Vec::new()));
        // It sleeps before the others do, so that it comes before a timeout of the same moment.
        let (giver, clock) = ((doors.clone(), items.clone()), sim.clock());
        sim.spawn(async move {
            clock.sleep(Duration::from_secs(5)).await;
            giver.0.add_permits(1);
            giver.1.put('a').await.unwrap();
        })
        .detach();
        for (i, timeout) in [(0, timeout), (1, 1000)] {
            let (doors, items, served, clock) = (doors.clone(), items.clone(), served.clone(), sim.clock());
            sim.spawn(async move {
                let mut wait = pin!(async {
                    let _permit = doors.acquire().await;
                    items.get().await.unwrap()
                });
                let mut sleep = pin!(clock.sleep(Duration::from_secs(timeout)));
                let got = core::future::poll_fn(|cx| {
                    if timer_first && sleep.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(None);
                    }
                    match wait.as_mut().poll(cx) {
                        Poll::Pending if sleep.as_mut().poll(cx).is_ready() => Poll::Ready(None),
                        polled => polled.map(Some),
                    }
                })
                .await;
                served.borrow_mut().extend(got.map(|item| (i, item)));
            })
            .detach();
        }
        let clock = sim.clock();
        sim.block_on(async move { clock.sleep(Duration::from_secs(10)).await }).unwrap();
        let is_late = timeout < 5 || timeout == 5 && timer_first;
        assert_eq!(*served.borrow(), [(usize::from(is_late), 'a')], "{timeout}");
        // If the first was served, the second has the permit now.
        assert_eq!((doors.available_permits(), items.len()), (usize::from(is_late), 0), "{timeout}");
    }
}
