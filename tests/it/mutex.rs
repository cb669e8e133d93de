//! `Mutex`: the behaviours of `asyncio.Lock`, by their ids in the inventory.
use core::future::IntoFuture;
use std::{rc::Rc, sync::Arc, thread};

use futures_core::FusedFuture;
use static_assertions::assert_not_impl_any;
use testudo::{
    Mutex, MutexGuard,
    run::{Sim, block_on},
};

use crate::support::{Probe, panics, wakes};

// LOCK-01
#[test]
fn a_new_lock_is_free() {
    let lock = Mutex::new(1);
    assert!(!lock.is_locked());
    let guard = lock.try_lock().unwrap();
    assert!(lock.is_locked());
    drop(guard);
    assert!(!lock.is_locked());
    assert!(!Mutex::<u8>::default().is_locked());
}

// LOCK-02
#[test]
fn taking_a_free_lock_takes_one_poll_and_no_waker() {
    let (lock, task) = (Mutex::new(5), Probe::new());
    assert_eq!(*task.now(lock.lock()), 5);
    assert_eq!(task.clones(), 0);
}

// LOCK-03
#[test]
fn one_release_lets_one_waiter_in() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(3));
    let guard = lock.try_lock().unwrap();
    let mut locks: Vec<_> = tasks.iter().map(|task| task.start(lock.lock())).collect();
    drop(guard);
    assert_eq!(wakes(&tasks), [1, 0, 0]);
    let guard = tasks[0].ready(&mut locks[0]);
    tasks[1].pends(&mut locks[1]);
    tasks[2].pends(&mut locks[2]);
    drop(guard);
    assert_eq!(wakes(&tasks), [1, 1, 0]);
}

// LOCK-04
#[test]
fn waiters_are_served_in_the_order_in_which_they_came() {
    let (lock, tasks) = (Mutex::new(Vec::new()), Probe::many(10));
    let guard = lock.try_lock().unwrap();
    let mut locks: Vec<_> = tasks.iter().map(|task| task.start(lock.lock())).collect();
    drop(guard);
    for (i, (task, fut)) in tasks.iter().zip(&mut locks).enumerate() {
        assert_eq!(task.wakes(), 1);
        task.ready(fut).push(i);
    }
    assert_eq!(*lock.try_lock().unwrap(), (0..10).collect::<Vec<_>>());
}

// LOCK-05 deviates by design: a lock is offered, not reserved, so that a waiter which nobody polls blocks nobody
#[test]
fn a_lock_that_is_offered_can_be_taken_by_others() {
    let (lock, waiter, other) = (Mutex::new(()), Probe::new(), Probe::new());
    let guard = lock.try_lock().unwrap();
    let mut fut = waiter.start(lock.lock());
    drop(guard);
    assert!(!lock.is_locked());
    let guard = lock.try_lock().expect("offered, not handed over");
    waiter.pends(&mut fut);
    drop(guard);
    let guard = other.now(lock.lock());
    waiter.pends(&mut fut);
    drop(guard);
    drop(waiter.ready(&mut fut));
}

// LOCK-06
#[test]
fn a_dropped_waiter_is_forgotten_at_once() {
    let (lock, gone, stays) = (Mutex::new(()), Probe::new(), Probe::new());
    let guard = lock.try_lock().unwrap();
    let first = gone.start(lock.lock());
    let mut second = stays.start(lock.lock());
    drop(first);
    assert_eq!(gone.kept(), 0);
    drop(guard);
    assert_eq!((gone.wakes(), stays.wakes()), (0, 1));
    drop(stays.ready(&mut second));
}

// LOCK-07
#[test]
fn release_and_cancel_of_the_first_in_either_order_serve_the_second() {
    for release_first in [false, true] {
        let (lock, tasks) = (Mutex::new(()), Probe::many(3));
        let guard = lock.try_lock().unwrap();
        let mut locks: Vec<_> = tasks.iter().map(|task| Some(task.start(lock.lock()))).collect();
        if release_first {
            drop(guard);
            locks[0] = None;
        } else {
            locks[0] = None;
            drop(guard);
        }
        assert_eq!(wakes(&tasks), [usize::from(release_first), 1, 0]);
        let guard = tasks[1].ready(locks[1].as_mut().unwrap());
        tasks[2].pends(locks[2].as_mut().unwrap());
        drop(guard);
        drop(tasks[2].ready(locks[2].as_mut().unwrap()));
    }
}

// LOCK-08, LOCK-09
#[test]
fn an_offer_that_is_dropped_goes_to_the_next_and_only_to_him() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(4));
    let guard = lock.try_lock().unwrap();
    let mut locks: Vec<_> = tasks.iter().map(|task| Some(task.start(lock.lock()))).collect();
    drop(guard);
    locks[0] = None;
    assert_eq!(wakes(&tasks), [1, 1, 0, 0]);
    locks[1] = None;
    assert_eq!(wakes(&tasks), [1, 1, 1, 0]);
    let _guard = tasks[2].ready(locks[2].as_mut().unwrap());
    tasks[3].pends(locks[3].as_mut().unwrap());
    assert_eq!(tasks[3].wakes(), 0);
}

// LOCK-10
#[test]
fn cancelled_waiters_do_not_slow_down_the_next() {
    let (lock, tasks, late) = (Mutex::new(()), Probe::many(3), Probe::new());
    let guard = lock.try_lock().unwrap();
    let locks: Vec<_> = tasks.iter().map(|task| task.start(lock.lock())).collect();
    drop(locks);
    drop(guard);
    assert_eq!(wakes(&tasks), [0, 0, 0]);
    drop(late.now(lock.lock()));
    assert_eq!(late.clones(), 0);
}

// LOCK-11 cannot be written: only a guard releases.
// LOCK-12
#[test]
fn releasing_without_waiters_leaves_it_free() {
    let lock = Mutex::new(());
    for _ in 0..3 {
        drop(block_on(lock.lock()));
        assert!(!lock.is_locked());
    }
}

// LOCK-13
#[test]
fn a_guard_may_be_dropped_by_another_thread() {
    let (lock, task) = (Arc::new(Mutex::new(1)), Probe::new());
    let mut guard = task.now(Mutex::lock_with(lock.clone()));
    let mut fut = task.start(lock.lock());
    thread::spawn(move || *guard += 1).join().unwrap();
    assert_eq!(task.wakes(), 1);
    assert_eq!(*task.ready(&mut fut), 2);
}

// LOCK-14
#[test]
fn it_is_not_reentrant() {
    let (lock, task) = (Mutex::new(()), Probe::new());
    let _guard = task.now(lock.lock());
    let mut again = task.start(lock.lock());
    task.pends(&mut again);
    assert!(lock.try_lock().is_none());
}

// LOCK-15
#[test]
fn the_lock_is_freed_by_an_error_a_panic_and_a_cancellation() {
    let lock = Mutex::new(());
    let failed = block_on(async {
        let _guard = lock.lock().await;
        Err::<(), _>("error")?;
        Ok::<_, &str>(())
    });
    assert!(failed.is_err() && !lock.is_locked() && !lock.is_poisoned());

    let task = Probe::new();
    let body = task.start(async {
        let _guard = lock.lock().await;
        core::future::pending::<()>().await;
    });
    assert!(lock.is_locked());
    drop(body);
    assert!(!lock.is_locked() && !lock.is_poisoned());

    let text = panics(|| {
        block_on(async {
            let _guard = lock.lock().await;
            panic!("half-way");
        })
    });
    assert_eq!(text, "half-way");
    assert!(!lock.is_locked() && lock.is_poisoned());
}

// LOCK-16
#[test]
fn the_guard_is_the_data() {
    let mut lock = Mutex::from(String::from("a"));
    lock.try_lock().unwrap().push('b');
    assert_eq!(*block_on(lock.lock()), "ab");
    assert_eq!(lock.try_lock().unwrap().to_string(), "ab");
    lock.get_mut().push('c');
    assert_eq!(lock.into_inner(), "abc");
}

// LOCK-17
#[test]
fn the_lock_itself_cannot_be_awaited() {
    assert_not_impl_any!(Mutex<()>: IntoFuture);
    assert_not_impl_any!(MutexGuard<'static, ()>: IntoFuture);
}

// LOCK-18: more than asyncio: waiters of one lock may run on several executors
#[test]
fn waiters_on_different_executors_share_a_lock() {
    let lock = Arc::new(Mutex::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let lock = lock.clone();
            thread::spawn(move || {
                for _ in 0..50 {
                    *block_on(lock.lock()) += 1;
                    *lock.lock_blocking() += 1;
                }
            })
        })
        .collect();
    let sim = Sim::new();
    let external = sim.external();
    for _ in 0..2 {
        let lock = lock.clone();
        sim.spawn(async move {
            for _ in 0..50 {
                *lock.lock().await += 1;
            }
        })
        .detach();
    }
    while sim.block_on(async { *lock.lock().await }).unwrap() < 300 {}
    drop(external);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*lock.try_lock().unwrap(), 300);
}

// LOCK-19
#[test]
fn a_timed_out_lock_does_not_hold_it_and_does_not_block_the_next() {
    let (lock, task, next) = (Mutex::new(()), Probe::new(), Probe::new());
    let guard = lock.try_lock().unwrap();
    drop(task.start(lock.lock()));
    let mut fut = next.start(lock.lock());
    drop(guard);
    drop(next.ready(&mut fut));
    assert!(!lock.is_locked());
}

#[test]
fn a_waiter_behind_the_first_waits_while_the_first_is_asked() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(2));
    let guard = lock.try_lock().unwrap();
    let mut first = tasks[0].start(lock.lock());
    let mut second = tasks[1].start(lock.lock());
    drop(guard);
    assert_eq!(wakes(&tasks), [1, 0]);
    let guard = tasks[0].ready(&mut first);
    tasks[1].pends(&mut second);
    drop(guard);
    drop(tasks[1].ready(&mut second));
}

#[test]
fn a_lock_waits_from_its_first_poll_on() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(2));
    let guard = lock.try_lock().unwrap();
    let mut made_first = Box::pin(lock.lock());
    let mut polled_first = tasks[1].start(lock.lock());
    tasks[0].pends(&mut made_first);
    drop(guard);
    assert_eq!(wakes(&tasks), [0, 1]);
    drop(tasks[1].ready(&mut polled_first));
    assert_eq!(wakes(&tasks), [1, 1]);
    drop(tasks[0].ready(&mut made_first));
}

#[test]
fn guards_and_futures_may_own_their_lock() {
    let task = Probe::new();
    let lock = Arc::new(Mutex::new(1));
    let guard = Mutex::try_lock_with(lock.clone()).unwrap();
    let mut fut = task.start(Mutex::lock_with(lock.clone()));
    assert!(Arc::ptr_eq(MutexGuard::handle(&guard), &lock));
    assert!(Mutex::try_lock_with(lock.clone()).is_none());
    drop(guard);
    let guard = task.ready(&mut fut);
    drop(fut);
    assert_eq!(Arc::strong_count(&lock), 2);
    drop(guard);
    assert_eq!(Arc::strong_count(&lock), 1);

    let lock = Rc::new(Mutex::new(1));
    let guard = task.now(Mutex::lock_with(lock.clone()));
    drop(lock);
    assert_eq!(*guard, 1);
}

#[test]
fn the_data_may_be_unsized() {
    let task = Probe::new();
    let lock: Arc<Mutex<[u8]>> = Arc::new(Mutex::new([1, 2, 3]));
    let mut guard = task.now(lock.lock());
    guard[1] = 5;
    let mut fut = task.start(Mutex::lock_with(lock.clone()));
    drop(guard);
    assert_eq!(*task.ready(&mut fut), [1, 5, 3]);
    let lock: &Mutex<dyn core::fmt::Debug> = &Mutex::new(7);
    assert_eq!(format!("{:?}", task.now(lock.lock())), "7");
}

#[test]
fn a_lock_says_when_it_is_terminated() {
    let (lock, task) = (Mutex::new(()), Probe::new());
    let mut fut = Box::pin(lock.lock());
    assert!(!fut.is_terminated());
    drop(task.ready(&mut fut));
    assert!(fut.is_terminated());
}

#[test]
fn data_is_dropped_once() {
    let data = Arc::new(());
    let lock = Mutex::new(data.clone());
    drop(lock.try_lock());
    drop(lock);
    assert_eq!(Arc::strong_count(&data), 1);
    assert_eq!(Arc::strong_count(&Mutex::new(data.clone()).into_inner()), 2);
    assert_eq!(Arc::strong_count(&data), 1);
}
