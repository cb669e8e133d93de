//! Mutex. Its data is in a cell that loom watches: every model is one of E1 too.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use testudo::{Mutex, MutexGuard, sync::Lock};

use crate::{
    event::cancel,
    support::{Spawned, Waiter, block_on, explore, spawn},
};

type Shared = Arc<Mutex<usize>>;
type Wait = Waiter<Lock<'static, usize, Shared>>;
type Guard = MutexGuard<'static, usize, Shared>;

fn new() -> Shared {
    Arc::new(Mutex::new(0))
}

/// A wait that has not begun.
fn lock(mutex: &Shared) -> Wait {
    Waiter::new(Mutex::lock_with(Arc::clone(mutex)))
}

fn try_lock(mutex: &Shared) -> Option<Guard> {
    Mutex::try_lock_with(Arc::clone(mutex))
}

/// A lock that is held, and waiters in line for it.
fn held<const N: usize>(mutex: &Shared) -> (Guard, [Wait; N]) {
    let guard = try_lock(mutex).unwrap();
    (guard, std::array::from_fn(|_| Waiter::waiting(Mutex::lock_with(Arc::clone(mutex)))))
}

/// As `held`, when the first in line was overtaken so often that it is handed the lock as the guard is dropped.
fn starved<const N: usize>(mutex: &Shared) -> (Guard, [Wait; N]) {
    let (guard, waiters) = held(mutex);
    drop(guard);
    for _ in 0..3 {
        assert!(try_lock(mutex).is_some());
    }
    (try_lock(mutex).unwrap(), waiters)
}

/// Begins a wait on another thread.
fn push(mutex: &Shared) -> Spawned<Wait> {
    poll(lock(mutex))
}

/// Polls a waiter on another thread.
fn poll(mut waiter: Wait) -> Spawned<Wait> {
    spawn(move || {
        waiter.poll();
        waiter
    })
}

/// Takes the lock on another thread if it is free, counts, and frees it.
fn barge(mutex: &Shared) -> Spawned<()> {
    let mutex = Arc::clone(mutex);
    spawn(move || {
        if let Some(mut guard) = try_lock(&mutex) {
            *guard += 1;
        }
    })
}

/// All threads are done: who has the lock gives it up, then whoever was woken gets it, one after the other.
fn all_arrive(waiters: impl IntoIterator<Item = Wait>) {
    let mut waiters = Vec::from_iter(waiters);
    assert!(waiters.iter().filter(|waiter| waiter.is_ready()).count() <= 1, "two owners");
    while !waiters.is_empty() {
        let ready = waiters.iter().position(Wait::is_ready).or_else(|| waiters.iter().position(Wait::is_woken));
        *waiters.remove(ready.expect("a wake-up is lost")).arrive() += 1;
    }
}

/// T2, T3 -> T1. Also: no wake-up is lost.
#[test]
fn e1_unlock_publishes() {
    explore(|| {
        let mutex = new();
        let other = spawn({
            let mutex = Arc::clone(&mutex);
            move || *block_on(Mutex::lock_with(mutex)) += 1
        });
        *block_on(mutex.lock()) += 1;
        other.join();
        assert_eq!(*try_lock(&mutex).unwrap(), 2);
    });
}

#[test]
fn e1_unlock_publishes_to_three_threads() {
    explore(|| {
        let mutex = new();
        let others = [(); 2].map(|()| {
            let mutex = Arc::clone(&mutex);
            spawn(move || *block_on(Mutex::lock_with(mutex)) += 1)
        });
        *block_on(mutex.lock()) += 1;
        others.into_iter().for_each(Spawned::join);
        assert_eq!(*try_lock(&mutex).unwrap(), 3);
    });
}

/// T4 -> the head: the lock is handed over.
#[test]
fn e1_hand_over_publishes() {
    explore(|| {
        let mutex = new();
        let (mut guard, [mut head]) = starved(&mutex);
        let head = spawn(move || {
            if head.poll() || head.poll() {
                assert_eq!(*head.arrive(), 1);
                return None;
            }
            Some(head)
        });
        *guard = 1;
        drop(guard);
        if let Some(head) = head.join() {
            assert!(try_lock(&mutex).is_none(), "it was handed over");
            assert_eq!(*head.arrive(), 1);
        }
    });
}

#[test]
fn try_lock_x_unlock() {
    explore(|| {
        let mutex = new();
        let mut guard = try_lock(&mutex).unwrap();
        let barge = barge(&mutex);
        *guard += 1;
        drop(guard);
        barge.join();
        assert!(*try_lock(&mutex).unwrap() >= 1);
    });
}

#[test]
fn try_lock_x_try_lock() {
    explore(|| {
        let mutex = new();
        let barges = [barge(&mutex), barge(&mutex)];
        if let Some(mut guard) = try_lock(&mutex) {
            *guard += 1;
        }
        barges.into_iter().for_each(Spawned::join);
        assert!(*try_lock(&mutex).unwrap() >= 1);
    });
}

#[test]
fn lock_x_unlock() {
    explore(|| {
        let mutex = new();
        let (guard, []) = held(&mutex);
        let push = push(&mutex);
        drop(guard);
        all_arrive([push.join()]);
    });
}

#[test]
fn lock_x_lock_x_unlock() {
    explore(|| {
        let mutex = new();
        let (guard, []) = held(&mutex);
        let (a, b) = (push(&mutex), push(&mutex));
        drop(guard);
        all_arrive([a.join(), b.join()]);
    });
}

#[test]
fn unlock_x_cancel_of_the_only_waiter() {
    explore(|| {
        let mutex = new();
        let (guard, [a]) = held(&mutex);
        let cancel = cancel(a);
        drop(guard);
        cancel.join();
        assert!(try_lock(&mutex).is_some());
    });
}

/// The offer goes to the next.
#[test]
fn unlock_x_cancel_of_the_head() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b, c]) = held(&mutex);
        let cancel = cancel(a);
        drop(guard);
        cancel.join();
        assert!(!c.is_woken(), "one at a time");
        all_arrive([b, c]);
    });
}

#[test]
fn unlock_x_cancel_of_the_second() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b, c]) = held(&mutex);
        let cancel = cancel(b);
        drop(guard);
        cancel.join();
        assert!(!c.is_woken(), "one at a time");
        all_arrive([a, c]);
    });
}

#[test]
fn unlock_x_cancel_of_the_last() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b]) = held(&mutex);
        let cancel = cancel(b);
        drop(guard);
        cancel.join();
        all_arrive([a]);
    });
}

#[test]
fn unlock_x_cancel_x_cancel() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b, c]) = held(&mutex);
        let (one, other) = (cancel(a), cancel(b));
        drop(guard);
        one.join();
        other.join();
        all_arrive([c]);
    });
}

/// The offered head leaves while somebody barges in.
#[test]
fn try_lock_x_cancel_of_the_offered_head() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b]) = held(&mutex);
        drop(guard);
        let (barge, cancel) = (barge(&mutex), cancel(a));
        if let Some(mut guard) = try_lock(&mutex) {
            *guard += 1;
        }
        barge.join();
        cancel.join();
        all_arrive([b]);
    });
}

#[test]
fn unlock_x_poll_of_the_head_x_try_lock() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b]) = held(&mutex);
        let (head, barge) = (poll(a), barge(&mutex));
        drop(guard);
        barge.join();
        all_arrive([head.join(), b]);
    });
}

/// An offered head that finds the lock free takes it, while others get in line and barge in: the lone node comes out of the
/// word, or is put back in front.
#[test]
fn poll_of_the_offered_head_x_lock_x_try_lock() {
    explore(|| {
        let mutex = new();
        let (guard, [a]) = held(&mutex);
        drop(guard);
        let (head, push) = (poll(a), push(&mutex));
        if let Some(mut guard) = try_lock(&mutex) {
            *guard += 1;
        }
        all_arrive([head.join(), push.join()]);
    });
}

#[test]
fn poll_of_the_offered_head_x_cancel_of_the_second() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b, c]) = held(&mutex);
        drop(guard);
        let (head, cancel) = (poll(a), cancel(b));
        let head = head.join();
        cancel.join();
        all_arrive([head, c]);
    });
}

/// A waiter that is not the first is polled as the first leaves: it takes the lock or is woken.
#[test]
fn poll_of_the_second_x_cancel_of_the_offered_head() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b]) = held(&mutex);
        drop(guard);
        let (second, cancel) = (poll(b), cancel(a));
        cancel.join();
        all_arrive([second.join()]);
    });
}

/// From the poll on it is the new task that is woken.
#[test]
fn unlock_x_poll_by_another_task() {
    explore(|| {
        let mutex = new();
        let (guard, [mut a, b]) = held(&mutex);
        a.move_to_another_task();
        let a = poll(a);
        drop(guard);
        all_arrive([a.join(), b]);
    });
}

/// A head that was offered the lock and lost it to somebody else is polled while that one frees it.
#[test]
fn unlock_x_poll_of_the_overtaken_head() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b]) = held(&mutex);
        drop(guard);
        let guard = try_lock(&mutex).unwrap();
        let a = poll(a);
        drop(guard);
        all_arrive([a.join(), b]);
    });
}

#[test]
fn hand_over_x_cancel_of_the_head() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b]) = starved(&mutex);
        let cancel = cancel(a);
        drop(guard);
        cancel.join();
        all_arrive([b]);
    });
}

#[test]
fn hand_over_x_cancel_of_the_second() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b, c]) = starved(&mutex);
        let cancel = cancel(b);
        drop(guard);
        cancel.join();
        all_arrive([a, c]);
    });
}

/// Nobody gets in between.
#[test]
fn hand_over_x_try_lock_x_try_lock() {
    explore(|| {
        let mutex = new();
        let (guard, [a]) = starved(&mutex);
        let barges = [(); 2].map(|()| {
            let mutex = Arc::clone(&mutex);
            spawn(move || assert!(try_lock(&mutex).is_none(), "it was handed over"))
        });
        drop(guard);
        barges.into_iter().for_each(Spawned::join);
        all_arrive([a]);
    });
}

#[test]
fn hand_over_x_lock() {
    explore(|| {
        let mutex = new();
        let (guard, [a]) = starved(&mutex);
        let push = push(&mutex);
        drop(guard);
        all_arrive([push.join(), a]);
    });
}

/// The head that was handed the lock is dropped while another thread, which has just handed it over, is still at work.
#[test]
fn hand_over_x_poll_and_drop_x_lock() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b]) = starved(&mutex);
        let push = push(&mutex);
        let poll = spawn(move || {
            let mut a = a;
            a.poll();
        });
        drop(guard);
        poll.join();
        all_arrive([b, push.join()]);
    });
}

/// A wait that is begun and dropped at once.
#[test]
fn short_lock_x_unlock_x_lock() {
    explore(|| {
        let mutex = new();
        let (guard, []) = held(&mutex);
        let short = spawn({
            let mutex = Arc::clone(&mutex);
            move || {
                lock(&mutex).poll();
            }
        });
        let push = push(&mutex);
        drop(guard);
        short.join();
        all_arrive([push.join()]);
    });
}

/// T3 with POISONED: who sees the half-done data sees the mark too.
#[test]
fn poison_x_lock() {
    explore(|| {
        let mutex = new();
        let guard = try_lock(&mutex).unwrap();
        let waiter = push(&mutex);
        // Nothing is printed: no hook runs.
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut guard = guard;
            *guard = 1;
            resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        let guard = waiter.join().arrive();
        assert!(*guard == 1 && mutex.is_poisoned());
    });
}

#[test]
fn poison_x_try_lock_x_clear_poison() {
    explore(|| {
        let mutex = new();
        let guard = try_lock(&mutex).unwrap();
        let other = spawn({
            let mutex = Arc::clone(&mutex);
            move || {
                if let Some(guard) = try_lock(&mutex) {
                    assert!(*guard == 1 && mutex.is_poisoned());
                    mutex.clear_poison();
                    assert!(!mutex.is_poisoned());
                    return true;
                }
                false
            }
        });
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut guard = guard;
            *guard = 1;
            resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        assert_eq!(other.join(), !mutex.is_poisoned());
        assert!(!mutex.is_locked());
    });
}

/// clear_poison() changes one bit of a word in which everything else happens too.
#[test]
fn clear_poison_x_unlock_x_cancel() {
    explore(|| {
        let mutex = new();
        let (guard, [a, b]) = held(&mutex);
        let cancel = cancel(a);
        let clear = spawn({
            let mutex = Arc::clone(&mutex);
            move || mutex.clear_poison()
        });
        drop(guard);
        cancel.join();
        clear.join();
        all_arrive([b]);
    });
}
