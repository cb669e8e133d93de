//! Exact costs: wakes, polls, clones of wakers, calls of predicates, and no allocation anywhere.
use core::{future::Future, pin::Pin};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::*},
    },
    thread,
};

use testudo::{
    ArrayQueue, Barrier, BoundedSemaphore, Condition, Event, Mutex, MutexGuard, OnceCell, Queue, RwLock, Semaphore,
    run::block_on,
};

use crate::support::{Probe, Slot, allocations, wakes};

/// Runs `f`, which must not allocate.
#[track_caller]
fn free<R>(f: impl FnOnce() -> R) -> R {
    let (n, result) = allocations(f);
    assert_eq!(n, 0, "allocated");
    result
}

fn boxed<F: Future>(n: usize, f: impl Fn() -> F) -> Vec<Pin<Box<F>>> {
    (0..n).map(|_| Box::pin(f())).collect()
}

#[test]
fn the_counting_allocator_counts() {
    assert!(allocations(|| Box::new(1)).0 > 0);
    assert_eq!(allocations(|| 1).0, 0);
}

// ---- nobody waits

#[test]
fn uncontended_operations_cost_nothing() {
    let task = Probe::new();
    block_on(async {}); // the first wait of a thread makes its waker
    free(|| {
        let event = Event::new();
        event.set();
        task.now(event.wait());
        event.clear();
        assert!(!event.is_set());

        let lock = Mutex::new(1);
        drop(lock.try_lock());
        drop(task.now(lock.lock()));
        drop(lock.lock_blocking());

        let cond = Condition::new(1);
        drop(cond.try_lock());
        let guard = task.now(cond.lock());
        cond.notify(&guard, 1);
        cond.notify_all(&guard);
        drop(task.now(cond.wait_for(guard, |n| *n == 1)));
        drop(task.now(cond.wait_until(|n| *n == 1)));
        drop(cond.wait_until_blocking(|n| *n == 1));

        let semaphore = Semaphore::new(2);
        drop((task.now(semaphore.acquire()), semaphore.try_acquire()));
        drop(task.now(semaphore.acquire_checked(2)));
        drop(semaphore.acquire_blocking());
        semaphore.add_permits(1);
        drop(task.now(BoundedSemaphore::new(1).acquire()));
        semaphore.close();

        let lock = RwLock::new(1);
        drop((task.now(lock.read()), task.now(lock.upgradable_read()), lock.try_read()));
        drop(task.now(task.now(lock.upgradable_read()).upgrade()).downgrade());
        drop(task.now(lock.write()));

        let barrier = Barrier::new(1);
        task.now(barrier.wait()).unwrap();
        barrier.abort();
        barrier.reset();

        let cell = OnceCell::new();
        assert_eq!(*task.now(cell.get_or_init(async || 7)), 7);
        task.now(cell.wait());

        let queue = ArrayQueue::<_, 2>::new();
        task.now(queue.put(1)).unwrap();
        queue.try_put(2).unwrap();
        assert_eq!((task.now(queue.get()), queue.try_get()), (Ok(1), Ok(2)));
        queue.task_done().unwrap();
        queue.task_done().unwrap();
        task.now(queue.join());
        queue.close();
    });
    let queues = [Queue::bounded(2), Queue::unbounded(), Queue::lifo(2), Queue::priority(2)];
    for queue in &queues {
        queue.try_put(0).unwrap(); // an unbounded one makes its first block
        queue.try_get().unwrap();
        free(|| {
            task.now(queue.put(1)).unwrap();
            queue.try_put(2).unwrap();
            assert!(task.now(queue.get()).is_ok() && queue.try_get().is_ok());
        });
    }
    assert_eq!((task.clones(), task.wakes()), (0, 0));
}

#[test]
fn uncontended_operations_through_an_arc_cost_nothing() {
    let task = Probe::new();
    let (event, lock, cond) = (Arc::new(Event::new()), Arc::new(Mutex::new(1)), Arc::new(Condition::new(1)));
    free(|| {
        event.set();
        task.now(Event::wait_with(event.clone()));
        drop(Mutex::try_lock_with(lock.clone()));
        drop(task.now(Mutex::lock_with(lock.clone())));
        drop(task.now(Condition::lock_with(cond.clone())));
        drop(task.now(Condition::wait_until_with(cond.clone(), |n| *n == 1)));
    });
    assert_eq!(task.clones(), 0);
    assert_eq!([Arc::strong_count(&event), Arc::strong_count(&lock), Arc::strong_count(&cond)], [1; 3]);
}

// ---- Event

#[test]
fn event_waiters_cost_two_polls_one_clone_and_one_wake_each() {
    for n in [1, 100] {
        let (event, tasks) = (Event::new(), Probe::many(n));
        let mut waits = boxed(n, || event.wait());
        free(|| {
            for (task, wait) in tasks.iter().zip(&mut waits) {
                task.pends(wait);
            }
            event.set();
            for (task, wait) in tasks.iter().zip(&mut waits) {
                task.ready(wait);
            }
        });
        assert!(tasks.iter().all(|task| task.clones() == 1 && task.wakes() == 1 && task.kept() == 0));
    }
}

#[test]
fn set_then_clear_costs_the_same() {
    let (event, tasks) = (Event::new(), Probe::many(100));
    let mut waits = boxed(100, || event.wait());
    free(|| {
        for (task, wait) in tasks.iter().zip(&mut waits) {
            task.pends(wait);
        }
        event.set();
        event.clear();
        event.set();
        event.clear();
        for (task, wait) in tasks.iter().zip(&mut waits) {
            task.ready(wait);
        }
    });
    assert_eq!(wakes(&tasks), [1; 100]);
}

#[test]
fn a_waiter_that_comes_back_during_the_walk_is_not_woken_by_it() {
    let event = Arc::new(Event::new());
    let tasks = Probe::many(100);
    let slots: Vec<_> = (0..100).map(|_| Slot::new(Event::wait_with(event.clone()))).collect();
    for (task, slot) in tasks.iter().zip(&slots) {
        let (event, slot, waker) = (event.clone(), slot.clone(), task.waker().clone());
        task.on_wake(move || {
            event.clear();
            assert!(slot.poll(&waker).unwrap().is_ready(), "released");
            slot.put(Box::pin(Event::wait_with(event.clone())));
            assert!(slot.poll(&waker).unwrap().is_pending(), "waits again");
        });
    }
    for (task, slot) in tasks.iter().zip(&slots) {
        assert!(slot.poll(task.waker()).unwrap().is_pending());
    }
    event.set();
    assert_eq!(wakes(&tasks), [1; 100]);
    assert!(!event.is_set());
    event.set();
    assert_eq!(wakes(&tasks), [2; 100], "now they are woken again, once");
    tasks.iter().for_each(Probe::quiet);
    assert!(slots.iter().all(Slot::cancel));
}

#[test]
fn polling_again_costs_a_clone_only_for_another_task() {
    let (event, one, two) = (Event::new(), Probe::new(), Probe::new());
    let mut wait = one.start(event.wait());
    free(|| {
        for _ in 0..10 {
            one.pends(&mut wait);
        }
    });
    assert_eq!(one.clones(), 1);
    free(|| {
        for _ in 0..10 {
            two.pends(&mut wait);
        }
    });
    assert_eq!((one.clones(), one.kept()), (1, 0));
    assert_eq!((two.clones(), two.kept()), (1, 1));
    event.set();
    assert_eq!((one.wakes(), two.wakes()), (0, 1));
}

// ---- Mutex

#[test]
fn two_waiters_on_a_held_lock_cost_two_polls_each() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(2));
    let mut locks = boxed(2, || lock.lock());
    let guard = lock.try_lock().unwrap();
    free(|| {
        tasks[0].pends(&mut locks[0]);
        tasks[1].pends(&mut locks[1]);
        drop(guard);
        assert_eq!((tasks[0].wakes(), tasks[1].wakes()), (1, 0));
        drop(tasks[0].ready(&mut locks[0]));
        assert_eq!((tasks[0].wakes(), tasks[1].wakes()), (1, 1));
        drop(tasks[1].ready(&mut locks[1]));
    });
    assert!(tasks.iter().all(|task| task.clones() == 1 && task.wakes() == 1 && task.kept() == 0));
}

#[test]
fn a_hundred_waiters_on_a_held_lock_cost_two_polls_each() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(100));
    let mut locks = boxed(100, || lock.lock());
    let guard = lock.try_lock().unwrap();
    free(|| {
        for (task, fut) in tasks.iter().zip(&mut locks) {
            task.pends(fut);
        }
        drop(guard);
        for (task, fut) in tasks.iter().zip(&mut locks) {
            drop(task.ready(fut));
        }
    });
    assert!(tasks.iter().all(|task| task.clones() == 1 && task.wakes() == 1 && task.kept() == 0));
}

#[test]
fn each_overtaking_costs_one_clone_and_one_wake_if_the_waiter_is_polled_and_nothing_if_not() {
    for polled in [false, true] {
        let (lock, task) = (Mutex::new(()), Probe::new());
        let guard = lock.try_lock().unwrap();
        let mut fut = task.start(lock.lock());
        drop(guard);
        free(|| {
            for _ in 0..4 {
                let guard = lock.try_lock().unwrap();
                if polled {
                    task.pends(&mut fut);
                }
                drop(guard);
            }
            drop(task.ready(&mut fut));
        });
        let n = if polled { 5 } else { 1 };
        assert_eq!((task.clones(), task.wakes(), task.kept()), (n, n, 0));
    }
}

#[test]
fn cancelling_costs_no_wake() {
    let (event, lock, cond) = (Event::new(), Mutex::new(()), Condition::new(()));
    let tasks = Probe::many(100);
    let mut wait = Box::pin(cond.wait(cond.try_lock().unwrap()));
    let guard = lock.try_lock().unwrap();
    let mut events = boxed(100, || event.wait());
    let mut locks = boxed(100, || lock.lock());
    let mut untils = boxed(100, || cond.wait_until(|()| false));
    free(|| {
        tasks[0].pends(&mut wait);
        for i in 0..100 {
            tasks[i].pends(&mut events[i]);
            tasks[i].pends(&mut locks[i]);
            tasks[i].pends(&mut untils[i]);
        }
        drop((events, locks, untils, wait));
        drop(guard);
        event.set();
        cond.notify_all(&cond.try_lock().unwrap());
    });
    assert_eq!(wakes(&tasks), [0; 100]);
    assert!(tasks.iter().all(|task| task.kept() == 0));
}

// ---- Condition

#[test]
fn a_thousand_waiters_of_which_one_is_satisfied_cost_one_wake_and_one_poll() {
    for (n, at, calls) in [(1, 500, 501), (1, 0, 1), (1, 999, 1000), (usize::MAX, 500, 1000), (2, 500, 1000)] {
        let cond = Condition::new(None);
        let (tasks, asked) = (Probe::many(1000), Arc::new(AtomicUsize::new(0)));
        let mut waits: Vec<_> = (0..1000)
            .map(|i| {
                let asked = asked.clone();
                Box::pin(cond.wait_until(move |data| {
                    asked.fetch_add(1, SeqCst);
                    *data == Some(i)
                }))
            })
            .collect();
        free(|| {
            for (task, wait) in tasks.iter().zip(&mut waits) {
                task.pends(wait);
            }
            asked.store(0, SeqCst);
            let mut guard = cond.try_lock().unwrap();
            *guard = Some(at);
            cond.notify(&guard, n);
            drop(guard);
            assert_eq!(asked.load(SeqCst), calls);
            assert_eq!(tasks.iter().map(Probe::wakes).sum::<usize>(), 1);
            assert_eq!(tasks[at].wakes(), 1);
            drop(tasks[at].ready(&mut waits[at]));
            assert_eq!(asked.load(SeqCst), calls + 1);
        });
        assert!(tasks.iter().all(|task| task.clones() == 1));
        assert_eq!(tasks.iter().map(Probe::wakes).sum::<usize>(), 1);
    }
}

#[test]
fn a_notification_is_never_spent_on_an_unsatisfied_waiter() {
    for n in 1..=3 {
        let (cond, tasks) = (Condition::new(0), Probe::many(7));
        let mut waits: Vec<_> =
            (0..7).map(|i| tasks[i].start(cond.wait_until(move |data| *data > 0 && i % 2 == 1))).collect();
        let mut guard = cond.try_lock().unwrap();
        *guard = 1;
        for _ in 0..n {
            cond.notify(&guard, 1);
        }
        drop(guard);
        for i in 0..n {
            assert_eq!(tasks[2 * i + 1].wakes(), 1);
            drop(tasks[2 * i + 1].ready(&mut waits[2 * i + 1]));
        }
        assert_eq!(tasks.iter().map(Probe::wakes).sum::<usize>(), n);
    }
}

#[test]
fn condition_waiters_cost_two_polls_one_clone_and_one_wake_each() {
    let (cond, tasks) = (Condition::new(false), Probe::many(100));
    let mut waits = boxed(100, || cond.wait_until(|go| *go));
    free(|| {
        for (task, wait) in tasks.iter().zip(&mut waits) {
            task.pends(wait);
        }
        let mut guard = cond.try_lock().unwrap();
        *guard = true;
        cond.notify_all(&guard);
        assert_eq!(tasks.iter().map(Probe::wakes).sum::<usize>(), 0, "nobody is woken before the lock is free");
        drop(guard);
        for (i, (task, wait)) in tasks.iter().zip(&mut waits).enumerate() {
            assert_eq!(tasks.iter().map(Probe::wakes).sum::<usize>(), i + 1, "one after another");
            drop(task.ready(wait));
        }
    });
    assert!(tasks.iter().all(|task| task.clones() == 1 && task.wakes() == 1 && task.kept() == 0));
}

#[test]
fn passing_a_notification_on_costs_no_allocation_and_one_wake() {
    let (cond, tasks) = (Condition::new(()), Probe::many(3));
    let mut waits: Vec<_> = tasks.iter().map(|task| Some(task.start(cond.wait(cond.try_lock().unwrap())))).collect();
    free(|| {
        let guard = cond.try_lock().unwrap();
        cond.notify(&guard, 1);
        drop(guard);
        // The box is freed, which is no allocation.
        waits[0] = None;
        waits[1] = None;
        drop(tasks[2].ready(waits[2].as_mut().unwrap()));
    });
    assert_eq!(wakes(&tasks), [1, 1, 1]);
}

// ---- permits, readers, rounds, values, items

/// A line of `n`: each is polled once, `go` lets all of them go on, each is polled a second time.
#[track_caller]
fn two_polls_each<F: Future>(n: usize, make: impl Fn() -> F, go: impl FnOnce()) {
    let (tasks, mut waits) = (Probe::many(n), boxed(n, make));
    free(|| {
        for (task, wait) in tasks.iter().zip(&mut waits) {
            task.pends(wait);
        }
        go();
        for (task, wait) in tasks.iter().zip(&mut waits) {
            drop(task.ready(wait));
        }
    });
    assert!(tasks.iter().all(|task| task.clones() == 1 && task.wakes() == 1 && task.kept() == 0));
}

#[test]
fn every_waiter_of_the_others_costs_two_polls_one_clone_and_one_wake_too() {
    for n in [1, 2, 100] {
        let semaphore = Semaphore::new(0);
        two_polls_each(n, || semaphore.acquire(), || semaphore.add_permits(1));
        two_polls_each(n, || semaphore.acquire_checked(2), || semaphore.add_permits(1));
        let lock = RwLock::new(());
        let guard = lock.try_write();
        two_polls_each(n, || lock.read(), || drop(guard));
        let guard = lock.try_read();
        two_polls_each(n, || lock.write(), || drop(guard));
        let guard = lock.try_write();
        two_polls_each(n, || lock.upgradable_read(), || drop(guard));
        let (barrier, last) = (Barrier::new(n + 1), Probe::new());
        two_polls_each(n, || barrier.wait(), || assert!(last.now(barrier.wait()).unwrap().is_leader()));
        two_polls_each(n, || barrier.wait(), || barrier.reset());
        let cell = OnceCell::new();
        two_polls_each(n, || cell.wait(), || cell.set(7).unwrap());
        let queue = ArrayQueue::<_, 100>::new();
        two_polls_each(n, || queue.get(), || (0..n).for_each(|item| queue.try_put(item).unwrap()));
        (0..100).for_each(|item| queue.try_put(item).unwrap());
        two_polls_each(n, || queue.put(7), || (0..n).for_each(|item| assert_eq!(queue.try_get(), Ok(item))));
        two_polls_each(n, || queue.join(), || (0..100 + 2 * n).for_each(|_| queue.task_done().unwrap()));
        two_polls_each(n, || queue.put(7), || assert!(queue.close()));
        for queue in [Queue::bounded(100), Queue::lifo(100), Queue::priority(100)] {
            (0..100).for_each(|item| queue.try_put(item).unwrap()); // it grows as it is filled for the first time
            (0..100).for_each(|_| _ = queue.try_get().unwrap());
            two_polls_each(n, || queue.get(), || (0..n).for_each(|item| queue.try_put(item).unwrap()));
            (0..100).for_each(|item| queue.try_put(item).unwrap());
            two_polls_each(n, || queue.put(7), || (0..n).for_each(|_| _ = queue.try_get().unwrap()));
            assert_eq!(queue.close_now(), 100);
        }
    }
}

// ---- what is kept

#[test]
fn no_waker_and_no_handle_is_kept() {
    let (event, lock, cond) = (Arc::new(Event::new()), Arc::new(Mutex::new(())), Arc::new(Condition::new(())));
    let counts = || [Arc::strong_count(&event), Arc::strong_count(&lock), Arc::strong_count(&cond)];
    let task = Probe::new();
    for complete in [false, true] {
        let guard = Mutex::try_lock_with(lock.clone()).unwrap();
        let cond_guard = task.now(Condition::lock_with(cond.clone()));
        let mut event_wait = task.start(Event::wait_with(event.clone()));
        let mut lock_wait = task.start(Mutex::lock_with(lock.clone()));
        let mut cond_lock = task.start(Condition::lock_with(cond.clone()));
        let mut wait = task.start(cond.wait(cond_guard));
        assert!(task.kept() >= 4 - 1, "the lock of the condition was offered, which took its waker");
        if complete {
            event.set();
            event.clear();
            drop(guard);
            task.ready(&mut event_wait);
            drop(task.ready(&mut lock_wait));
            let cond_guard = task.ready(&mut cond_lock);
            cond.notify(&cond_guard, 1);
            drop(cond_guard);
            drop(task.ready(&mut wait));
            assert_eq!(task.kept(), 0, "kept though complete");
        } else {
            drop(guard);
        }
        drop((event_wait, lock_wait, cond_lock, wait));
        assert_eq!(task.kept(), 0);
        assert_eq!(counts(), [1, 1, 1]);
        assert!(!lock.is_locked() && !cond.is_locked());
    }
}

#[test]
fn a_completed_future_keeps_its_handle_and_the_guard_has_its_own() {
    let (lock, task) = (Arc::new(Mutex::new(())), Probe::new());
    let mut fut = Box::pin(Mutex::lock_with(lock.clone()));
    let guard = task.ready(&mut fut);
    drop(fut);
    assert!(Arc::ptr_eq(MutexGuard::handle(&guard), &lock));
    assert_eq!(Arc::strong_count(&lock), 2);
    drop(guard);
    assert_eq!(Arc::strong_count(&lock), 1);
}

#[test]
fn moving_a_waiter_to_another_task_frees_the_first_waker_at_once() {
    let (cond, tasks) = (Condition::new(()), Probe::many(3));
    let mut wait = tasks[0].start(cond.wait(cond.try_lock().unwrap()));
    tasks[1].pends(&mut wait);
    assert_eq!((tasks[0].kept(), tasks[1].kept()), (0, 1));
    let guard = cond.try_lock().unwrap();
    cond.notify(&guard, 1);
    tasks[2].pends(&mut wait);
    assert_eq!((tasks[1].kept(), tasks[2].kept()), (0, 1));
    drop(guard);
    assert_eq!(wakes(&tasks), [0, 0, 1]);
    drop(tasks[0].ready(&mut wait));
}

// ---- threads

#[test]
fn a_thread_that_blocks_again_and_again_allocates_nothing() {
    let (lock, cond) = (Mutex::new(0), Condition::new(0));
    thread::scope(|s| {
        let other = s.spawn(|| {
            for i in 0..50 {
                let mut guard = cond.wait_until_blocking(move |n| *n == 2 * i + 1);
                *guard += 1;
                cond.notify(&guard, 1);
                drop(guard);
                *lock.lock_blocking() += 1;
            }
        });
        // The first wait of a thread makes its waker.
        block_on(async { *lock.lock().await += 1 });
        free(|| {
            for i in 0..50 {
                let mut guard = cond.wait_until_blocking(move |n| *n == 2 * i);
                *guard += 1;
                cond.notify(&guard, 1);
                drop(guard);
                *lock.lock_blocking() += 1;
            }
        });
        other.join().unwrap();
    });
    assert_eq!(lock.into_inner(), 101);
}
