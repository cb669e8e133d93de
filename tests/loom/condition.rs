//! Condition.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use testudo::{
    Condition, ConditionGuard,
    sync::{ConditionLock, ConditionWait, ConditionWaitFor},
};

use crate::{
    event::cancel,
    support::{Spawned, Waiter, block_on, explore, explore_within, spawn},
};

type Shared = Arc<Condition<usize>>;
type Guard = ConditionGuard<'static, usize, Shared>;
type Lock = Waiter<ConditionLock<'static, usize, Shared>>;
type Wait = Waiter<ConditionWait<'static, usize, Shared>>;
type WaitFor = Waiter<ConditionWaitFor<'static, usize, fn(&usize) -> bool, Shared>>;

fn new() -> Shared {
    Arc::new(Condition::new(0))
}

/// The lock, which is free.
fn own(condition: &Shared) -> Guard {
    lock(condition).arrive()
}

/// A wait for the lock that has not begun.
fn lock(condition: &Shared) -> Lock {
    Waiter::new(Condition::lock_with(Arc::clone(condition)))
}

/// Waiters for the lock, which is held, in line.
fn queue<const N: usize>(condition: &Shared) -> [Lock; N] {
    std::array::from_fn(|_| Waiter::waiting(Condition::lock_with(Arc::clone(condition))))
}

/// Waiters for a notification.
fn plain<const N: usize>(condition: &Shared) -> [Wait; N] {
    std::array::from_fn(|_| Waiter::waiting(condition.wait(own(condition))))
}

/// Waiters for a predicate.
fn asking<const N: usize>(condition: &Shared, predicate: fn(&usize) -> bool) -> [WaitFor; N] {
    std::array::from_fn(|_| Waiter::waiting(condition.wait_for(own(condition), predicate)))
}

fn is_one(value: &usize) -> bool {
    *value == 1
}

fn is_two(value: &usize) -> bool {
    *value == 2
}

/// Polls a waiter on another thread.
fn poll<F: Future + 'static>(mut waiter: Waiter<F>) -> Spawned<Waiter<F>> {
    spawn(move || {
        waiter.poll();
        waiter
    })
}

/// Takes the lock on another thread if it is free, stores `value`, and frees it.
fn barge(condition: &Shared, value: usize) -> Spawned<()> {
    let condition = Arc::clone(condition);
    spawn(move || {
        if let Some(mut guard) = condition.try_lock() {
            *guard = value;
        }
    })
}

/// Nobody was forgotten with the lock, and nobody is left in line.
fn is_idle(condition: &Shared) -> bool {
    condition.try_lock().is_some()
}

// Waiting and notifying.

/// No wake-up is lost: the waiter is in line before the lock is free.
#[test]
fn notify_x_wait() {
    explore(|| {
        let condition = new();
        let guard = own(&condition);
        let notifier = spawn({
            let condition = Arc::clone(&condition);
            move || {
                let mut guard = block_on(condition.lock());
                *guard = 1;
                condition.notify(&guard, 1);
            }
        });
        assert_eq!(*block_on(condition.wait(guard)), 1);
        notifier.join();
        assert!(is_idle(&condition));
    });
}

#[test]
fn notify_x_wait_for() {
    explore(|| {
        let condition = new();
        let notifier = spawn({
            let condition = Arc::clone(&condition);
            move || {
                let mut guard = block_on(condition.lock());
                *guard = 1;
                condition.notify(&guard, 1);
            }
        });
        let guard = block_on(condition.lock());
        assert_eq!(*block_on(condition.wait_for(guard, is_one)), 1);
        notifier.join();
        assert!(is_idle(&condition));
    });
}

#[test]
fn notify_all_x_wait_until_x_wait_until() {
    explore(|| {
        let condition = new();
        let notifier = spawn({
            let condition = Arc::clone(&condition);
            move || {
                let mut guard = block_on(condition.lock());
                *guard = 1;
                condition.notify_all(&guard);
            }
        });
        let other = spawn({
            let condition = Arc::clone(&condition);
            move || assert_eq!(*block_on(condition.wait_until(is_one)), 1)
        });
        assert_eq!(*block_on(condition.wait_until(is_one)), 1);
        notifier.join();
        other.join();
        assert!(is_idle(&condition));
    });
}

/// Two that wait for each other in turn.
#[test]
fn wait_until_x_wait_until() {
    explore(|| {
        let condition = new();
        let other = spawn({
            let condition = Arc::clone(&condition);
            move || {
                let mut guard = block_on(condition.wait_until(is_one));
                *guard = 2;
                condition.notify(&guard, 1);
            }
        });
        let mut guard = block_on(condition.lock());
        *guard = 1;
        condition.notify(&guard, 1);
        drop(block_on(condition.wait_for(guard, is_two)));
        other.join();
        assert!(is_idle(&condition));
    });
}

/// A notified waiter is polled as the lock is freed.
#[test]
fn unlock_x_poll_of_a_moved_waiter() {
    explore(|| {
        let condition = new();
        let [a] = plain(&condition);
        let [b] = asking(&condition, is_one);
        let mut guard = own(&condition);
        *guard = 1;
        condition.notify(&guard, 2);
        let (a, b) = (poll(a), poll(b));
        drop(guard);
        let (a, b) = (a.join(), b.join());
        if b.is_ready() {
            drop(b);
            drop(a.arrive());
        } else {
            drop(a.arrive());
            drop(b.arrive());
        }
        assert!(is_idle(&condition));
    });
}

/// From the poll on it is the new task that is woken.
#[test]
fn notify_x_poll_by_another_task() {
    explore(|| {
        let condition = new();
        let [mut a] = plain(&condition);
        let guard = own(&condition);
        a.move_to_another_task();
        let a = poll(a);
        condition.notify(&guard, 1);
        drop(guard);
        drop(a.join().arrive());
        assert!(is_idle(&condition));
    });
}

#[test]
fn notify_x_poll_by_another_task_of_one_that_asks() {
    explore(|| {
        let condition = new();
        let [mut a] = asking(&condition, is_one);
        let mut guard = own(&condition);
        a.move_to_another_task();
        let a = poll(a);
        *guard = 1;
        condition.notify_all(&guard);
        drop(guard);
        drop(a.join().arrive());
        assert!(is_idle(&condition));
    });
}

/// A wait that is dropped before its first poll frees the lock.
#[test]
fn drop_of_a_wait_that_has_not_begun_x_lock() {
    explore(|| {
        let condition = new();
        let guard = own(&condition);
        let lock = poll(lock(&condition));
        drop(condition.wait(guard));
        drop(lock.join().arrive());
        assert!(is_idle(&condition));
    });
}

/// T1 against somebody who gets in line for the lock.
#[test]
fn park_x_lock() {
    explore(|| {
        let condition = new();
        let guard = own(&condition);
        let lock = poll(lock(&condition));
        let waiter = Waiter::waiting(condition.wait(guard));
        let guard = lock.join().arrive();
        condition.notify(&guard, 1);
        drop(guard);
        drop(waiter.arrive());
    });
}

#[test]
fn park_x_cancel_of_another_waiter() {
    explore(|| {
        let condition = new();
        let [a, b] = plain(&condition);
        let guard = own(&condition);
        let cancel = cancel(a);
        let waiter = Waiter::waiting(condition.wait(guard));
        cancel.join();
        let guard = own(&condition);
        condition.notify(&guard, 2);
        drop(guard);
        drop(b.arrive());
        drop(waiter.arrive());
    });
}

// Cancelling: a token goes to exactly one other waiter.

/// One token, one of the first two of three is dropped: the other gets it, the third does not.
fn notify_one_x_cancel(at: usize) {
    explore(move || {
        let condition = new();
        let [a, b, mut c] = plain(&condition);
        let (leaving, staying) = if at == 0 { (a, b) } else { (b, a) };
        let guard = own(&condition);
        let cancel = cancel(leaving);
        condition.notify(&guard, 1);
        drop(guard);
        cancel.join();
        drop(staying.arrive());
        c.stay();
        assert!(is_idle(&condition));
    });
}

#[test]
fn notify_one_x_cancel_of_the_first() {
    notify_one_x_cancel(0);
}

#[test]
fn notify_one_x_cancel_of_the_second() {
    notify_one_x_cancel(1);
}

/// One token, the first two of three are dropped by different threads.
#[test]
fn notify_one_x_cancel_x_cancel() {
    // 2 preemptions: three threads that all take the flag.
    explore_within(2, || {
        let condition = new();
        let [a, b, c] = plain(&condition);
        let guard = own(&condition);
        let (one, other) = (cancel(a), cancel(b));
        condition.notify(&guard, 1);
        one.join();
        other.join();
        drop(guard);
        drop(c.arrive());
        assert!(is_idle(&condition));
    });
}

/// Everybody was told: nobody is owed anything.
#[test]
fn notify_all_x_cancel() {
    explore(|| {
        let condition = new();
        let [a, b] = plain(&condition);
        let [c] = asking(&condition, is_one);
        let mut guard = own(&condition);
        let cancel = cancel(a);
        *guard = 1;
        condition.notify_all(&guard);
        drop(guard);
        cancel.join();
        drop(b.arrive());
        drop(c.arrive());
        assert!(is_idle(&condition));
    });
}

#[test]
fn notify_all_x_cancel_of_one_that_asks() {
    explore(|| {
        let condition = new();
        let [a, b] = asking(&condition, is_one);
        let [c] = plain(&condition);
        let mut guard = own(&condition);
        let cancel = cancel(b);
        *guard = 1;
        condition.notify_all(&guard);
        drop(guard);
        cancel.join();
        drop(a.arrive());
        drop(c.arrive());
        assert!(is_idle(&condition));
    });
}

/// The very waiter whose predicate the notifier runs is dropped: it waits for that, and its token goes on.
#[test]
fn notify_one_x_cancel_of_the_claimed() {
    explore(|| {
        let condition = new();
        let [a, b] = asking(&condition, is_one);
        let [mut c] = asking(&condition, is_one);
        let mut guard = own(&condition);
        let cancel = cancel(a);
        *guard = 1;
        condition.notify(&guard, 1);
        drop(guard);
        cancel.join();
        drop(b.arrive());
        c.stay();
        assert!(is_idle(&condition));
    });
}

/// The waiter that is dropped does not hold, the next does.
#[test]
fn notify_one_x_cancel_of_one_that_does_not_hold() {
    explore(|| {
        let condition = new();
        let [a] = asking(&condition, is_two);
        let [b] = asking(&condition, is_one);
        let mut guard = own(&condition);
        let cancel = cancel(a);
        *guard = 1;
        condition.notify(&guard, 2);
        drop(guard);
        cancel.join();
        drop(b.arrive());
        assert!(is_idle(&condition));
    });
}

/// The claimed waiter is polled: it stays, and is woken.
#[test]
fn notify_one_x_poll_of_the_claimed() {
    explore(|| {
        let condition = new();
        let [a] = asking(&condition, is_one);
        let mut guard = own(&condition);
        let a = poll(a);
        *guard = 1;
        condition.notify(&guard, 1);
        drop(guard);
        drop(a.join().arrive());
        assert!(is_idle(&condition));
    });
}

/// It was moved to the lock's queue already.
#[test]
fn unlock_x_cancel_of_a_moved_waiter() {
    explore(|| {
        let condition = new();
        let [a, b, mut c] = plain(&condition);
        let guard = own(&condition);
        condition.notify(&guard, 1);
        let cancel = cancel(a);
        drop(guard);
        cancel.join();
        drop(b.arrive());
        c.stay();
        assert!(is_idle(&condition));
    });
}

#[test]
fn unlock_x_cancel_of_a_moved_waiter_x_cancel_of_the_next() {
    // 2 preemptions: three threads that all take the flag, two of which carry out.
    explore_within(2, || {
        let condition = new();
        let [a, b, c] = plain(&condition);
        let guard = own(&condition);
        condition.notify(&guard, 1);
        let (one, other) = (cancel(a), cancel(b));
        drop(guard);
        one.join();
        other.join();
        drop(c.arrive());
        assert!(is_idle(&condition));
    });
}

/// It is polled, and dropped with the lock.
#[test]
fn unlock_x_poll_and_drop_of_a_moved_waiter() {
    explore(|| {
        let condition = new();
        let [a] = plain(&condition);
        let [mut b] = asking(&condition, is_one);
        let mut guard = own(&condition);
        *guard = 1;
        condition.notify(&guard, 1);
        let short = poll(a);
        drop(guard);
        // With the guard if it arrived: then the notification is spent.
        let short = short.join();
        let spent = short.is_ready();
        drop(short);
        if spent {
            b.stay();
        } else {
            drop(b.arrive());
        }
        assert!(is_idle(&condition));
    });
}

// Merging: the notifier finds the flag taken and leaves its request.

/// T3 -> T4: whoever has the flag is no notifier; the request is carried out before the lock is free.
#[test]
fn e1_ask_publishes_how_many() {
    explore(|| {
        let condition = new();
        let [a, b] = plain(&condition);
        let [mut c] = plain(&condition);
        let guard = own(&condition);
        let [queued] = queue(&condition);
        let cancel = cancel(queued);
        condition.notify(&guard, 2);
        drop(guard);
        cancel.join();
        drop(a.arrive());
        drop(b.arrive());
        c.stay();
        assert!(is_idle(&condition));
    });
}

/// The same while a predicate is run: the flag is gone when the notifier comes back.
#[test]
fn notify_one_that_asks_x_cancel_in_the_queue() {
    explore(|| {
        let condition = new();
        let [a, b] = asking(&condition, is_one);
        let mut guard = own(&condition);
        let [queued] = queue(&condition);
        let cancel = cancel(queued);
        *guard = 1;
        condition.notify(&guard, 1);
        drop(guard);
        cancel.join();
        drop(a.arrive());
        drop(b);
        assert!(is_idle(&condition));
    });
}

#[test]
fn notify_one_that_asks_x_cancel_in_the_queue_x_cancel_of_the_claimed() {
    // 2 preemptions: three threads that all take the flag.
    explore_within(2, || {
        let condition = new();
        let [a, b] = asking(&condition, is_one);
        let mut guard = own(&condition);
        let [queued] = queue(&condition);
        let (one, other) = (cancel(queued), cancel(a));
        *guard = 1;
        condition.notify(&guard, 1);
        one.join();
        other.join();
        drop(guard);
        drop(b.arrive());
        assert!(is_idle(&condition));
    });
}

/// A waiter comes back with a token that it cannot use, while the flag is busy.
#[test]
fn token_that_comes_back_x_cancel() {
    explore(|| {
        let condition = new();
        let [a] = asking(&condition, is_one);
        let [b] = asking(&condition, is_two);
        let [c] = plain(&condition);
        let mut guard = own(&condition);
        *guard = 1;
        condition.notify(&guard, 1);
        *guard = 2;
        drop(guard);
        let (a, cancel) = (poll(a), cancel(c));
        let mut a = a.join();
        cancel.join();
        drop(b.arrive());
        a.stay();
        let mut guard = own(&condition);
        *guard = 1;
        condition.notify(&guard, 1);
        drop(guard);
        drop(a.arrive());
    });
}

/// The predicate held when it was notified and does not when it gets the lock: it passes the token on and waits again.
#[test]
fn wait_until_x_barging_change() {
    // 2 preemptions: three threads that all take the flag.
    explore_within(2, || {
        let condition = new();
        let [a] = asking(&condition, is_one);
        let [b] = asking(&condition, is_two);
        let mut guard = own(&condition);
        *guard = 1;
        let (a, barge) = (poll(a), barge(&condition, 2));
        condition.notify(&guard, 1);
        drop(guard);
        barge.join();
        let mut a = a.join();
        if a.is_ready() {
            // Before the change, or else it would wait.
            assert_eq!(*a.arrive(), 1);
        } else if condition.try_lock().is_some_and(|guard| *guard == 1) {
            // There was none.
            assert_eq!(*a.arrive(), 1);
        } else {
            a.poll();
            drop(b.arrive());
            a.stay();
            let mut guard = own(&condition);
            *guard = 1;
            condition.notify(&guard, 1);
            drop(guard);
            drop(a.arrive());
        }
        assert!(is_idle(&condition));
    });
}

// The canceller of a waiter with a token finds the lock free: it takes it and carries out (I3).

#[test]
fn i3_canceller_adopts_x_try_lock() {
    explore(|| {
        let condition = new();
        let [a, b, mut c] = plain(&condition);
        let guard = own(&condition);
        condition.notify(&guard, 1);
        drop(guard);
        assert!(a.is_woken());
        let (cancel, barge) = (cancel(a), barge(&condition, 1));
        cancel.join();
        barge.join();
        drop(b.arrive());
        c.stay();
        assert!(is_idle(&condition));
    });
}

#[test]
fn i3_canceller_adopts_x_notify() {
    explore(|| {
        let condition = new();
        let [a] = plain(&condition);
        let [b] = asking(&condition, is_one);
        let [c] = plain(&condition);
        let mut guard = own(&condition);
        *guard = 1;
        condition.notify(&guard, 1);
        drop(guard);
        let cancel = cancel(a);
        let notified = condition.try_lock().is_some_and(|guard| {
            condition.notify(&guard, 1);
            true
        });
        cancel.join();
        drop(b.arrive());
        let mut c = c;
        if notified {
            drop(c.arrive());
        } else {
            c.stay();
        }
        assert!(is_idle(&condition));
    });
}

#[test]
fn i3_canceller_adopts_x_canceller_adopts() {
    explore(|| {
        let condition = new();
        let [a, b, c, d] = plain(&condition);
        let guard = own(&condition);
        condition.notify(&guard, 2);
        drop(guard);
        let cancel = cancel(a);
        drop(b);
        cancel.join();
        drop(c.arrive());
        drop(d.arrive());
        assert!(is_idle(&condition));
    });
}

#[test]
fn i3_canceller_adopts_x_cancel_of_the_next() {
    explore(|| {
        let condition = new();
        let [a, b, c] = plain(&condition);
        let guard = own(&condition);
        condition.notify(&guard, 1);
        drop(guard);
        let cancel = cancel(a);
        drop(b);
        cancel.join();
        drop(c.arrive());
        assert!(is_idle(&condition));
    });
}

#[test]
fn i3_canceller_adopts_x_poll_of_the_queue() {
    explore(|| {
        let condition = new();
        let [a, b] = plain(&condition);
        let guard = own(&condition);
        condition.notify(&guard, 1);
        let [queued] = queue(&condition);
        drop(guard);
        let (cancel, queued) = (cancel(a), poll(queued));
        cancel.join();
        drop(queued.join().arrive());
        drop(b.arrive());
        assert!(is_idle(&condition));
    });
}

/// A lock that is handed over while its new owner notifies, finds the flag taken, and frees it again: whoever has handed it
/// over finds the lock free with a request left.
#[test]
fn i3_hand_over_x_notify_by_the_new_owner() {
    explore(|| {
        let condition = new();
        let [a] = plain(&condition);
        let guard = own(&condition);
        let [mut head] = queue(&condition);
        drop(guard);
        for _ in 0..3 {
            assert!(is_idle(&condition));
        }
        let guard = condition.try_lock().unwrap();
        let owner = spawn({
            let condition = Arc::clone(&condition);
            move || {
                if head.poll() {
                    condition.notify(&head.arrive(), 1);
                    return None;
                }
                Some(head)
            }
        });
        drop(guard);
        if let Some(head) = owner.join() {
            condition.notify(&head.arrive(), 1);
        }
        drop(a.arrive());
        assert!(is_idle(&condition));
    });
}

// Two notifiers with references to one guard.

#[test]
fn notify_x_notify() {
    explore(|| {
        let condition = new();
        let [a, b, mut c] = plain(&condition);
        let guard = Arc::new(own(&condition));
        let other = spawn({
            let (condition, guard) = (Arc::clone(&condition), Arc::clone(&guard));
            move || condition.notify(&guard, 1)
        });
        condition.notify(&guard, 1);
        other.join();
        drop(guard);
        drop(a.arrive());
        drop(b.arrive());
        c.stay();
        assert!(is_idle(&condition));
    });
}

#[test]
fn notify_x_notify_of_those_that_ask() {
    explore(|| {
        let condition = new();
        let [a, b] = asking(&condition, is_one);
        let [mut c] = asking(&condition, is_one);
        let mut guard = own(&condition);
        *guard = 1;
        let guard = Arc::new(guard);
        let other = spawn({
            let (condition, guard) = (Arc::clone(&condition), Arc::clone(&guard));
            move || condition.notify(&guard, 1)
        });
        condition.notify(&guard, 1);
        other.join();
        drop(guard);
        drop(a.arrive());
        drop(b.arrive());
        c.stay();
        assert!(is_idle(&condition));
    });
}

#[test]
fn notify_x_notify_x_cancel_of_one_that_asks() {
    // 2 preemptions: three threads that all take the flag.
    explore_within(2, || {
        let condition = new();
        let [a, b] = asking(&condition, is_one);
        let mut guard = own(&condition);
        *guard = 1;
        let guard = Arc::new(guard);
        let other = spawn({
            let (condition, guard) = (Arc::clone(&condition), Arc::clone(&guard));
            move || condition.notify(&guard, 1)
        });
        let cancel = cancel(a);
        condition.notify(&guard, 1);
        other.join();
        cancel.join();
        drop(guard);
        drop(b.arrive());
        assert!(is_idle(&condition));
    });
}

/// A notifier that runs a predicate finds the flag taken by the other one, which goes on in its place; the waiter is dropped.
#[test]
fn notify_x_notify_then_cancel_of_one_that_asks() {
    // 4 preemptions: both are in the midst of handing the waiter from one to the other.
    explore_within(4, || {
        let condition = new();
        let [a] = asking(&condition, is_one);
        let mut guard = own(&condition);
        *guard = 1;
        let guard = Arc::new(guard);
        let other = spawn({
            let (condition, guard) = (Arc::clone(&condition), Arc::clone(&guard));
            move || condition.notify(&guard, 1)
        });
        condition.notify(&guard, 1);
        drop(a);
        other.join();
        drop(guard);
        assert!(is_idle(&condition));
    });
}

// Several predicates for one hold of the flag: a lot, of two here.

/// The first or the second of a lot is dropped by another thread, which waits until it is given back; both hold.
#[test]
fn lot_x_cancel() {
    for at in 0..2 {
        explore(move || {
            let condition = new();
            let [a, b] = asking(&condition, is_one);
            let [c] = asking(&condition, is_one);
            let mut guard = own(&condition);
            *guard = 1;
            let (gone, stays) = if at == 0 { (a, b) } else { (b, a) };
            let cancel = cancel(gone);
            condition.notify(&guard, 2);
            drop(guard);
            cancel.join();
            drop(stays.arrive());
            drop(c.arrive()); // with the token of the one that was dropped
            assert!(is_idle(&condition));
        });
    }
}

/// As above, and the one that is dropped does not hold.
#[test]
fn lot_x_cancel_of_one_that_does_not_hold() {
    explore(|| {
        let condition = new();
        let [a] = asking(&condition, is_one);
        let [b] = asking(&condition, is_two);
        let mut guard = own(&condition);
        *guard = 1;
        let cancel = cancel(b);
        condition.notify_all(&guard);
        drop(guard);
        cancel.join();
        drop(a.arrive());
        assert!(is_idle(&condition));
    });
}

/// A waiter of the next lot is dropped while the walk has this one out: it does not stand where that one is taken out.
#[test]
fn lot_x_cancel_of_one_behind_it() {
    explore(|| {
        let condition = new();
        let [a, b, c] = asking(&condition, is_one);
        let mut guard = own(&condition);
        *guard = 1;
        let cancel = cancel(c);
        condition.notify_all(&guard);
        drop(guard);
        cancel.join();
        drop(a.arrive());
        drop(b.arrive());
        assert!(is_idle(&condition));
    });
}

#[test]
fn lot_x_poll_by_another_task() {
    for at in 0..2 {
        explore(move || {
            let condition = new();
            let mut pair = asking::<2>(&condition, is_one);
            let mut guard = own(&condition);
            *guard = 1;
            pair[at].move_to_another_task();
            let [a, b] = pair;
            let (moved, other) = if at == 0 { (a, b) } else { (b, a) };
            let moved = poll(moved);
            condition.notify(&guard, 2);
            drop(guard);
            let moved = moved.join();
            if at == 0 || moved.is_ready() {
                drop(moved.arrive());
                drop(other.arrive());
            } else {
                drop(other.arrive());
                drop(moved.arrive());
            }
            assert!(is_idle(&condition));
        });
    }
}

/// Two notifiers with references to one guard, one lot.
#[test]
fn lot_x_notify() {
    explore(|| {
        let condition = new();
        let [a, b] = asking(&condition, is_one);
        let [c] = asking(&condition, is_one);
        let mut guard = own(&condition);
        *guard = 1;
        let guard = Arc::new(guard);
        let other = spawn({
            let (condition, guard) = (Arc::clone(&condition), Arc::clone(&guard));
            move || condition.notify(&guard, 1)
        });
        condition.notify(&guard, 2);
        other.join();
        drop(guard);
        drop(a.arrive());
        drop(b.arrive());
        drop(c.arrive());
        assert!(is_idle(&condition));
    });
}

/// A predicate drops the other one of its lot, which it withdraws, while another thread takes out the one behind them.
#[test]
fn withdraw_x_cancel() {
    for by in 0..2 {
        explore(move || {
            let condition = new();
            let other = Arc::new(Mutex::new(None::<WaitFor>));
            let wait = || {
                let other = Arc::clone(&other);
                Waiter::waiting(condition.wait_for(own(&condition), move |value: &usize| {
                    if *value == 1 {
                        let gone = other.lock().unwrap().take();
                        drop(gone);
                    }
                    *value == 1
                }))
            };
            let first = (by == 0).then(wait);
            let [gone] = asking(&condition, is_one);
            let stays = first.unwrap_or_else(wait);
            *other.lock().unwrap() = Some(gone);
            let [behind] = plain(&condition);
            let mut guard = own(&condition);
            *guard = 1;
            let cancel = cancel(behind);
            condition.notify_all(&guard);
            drop(guard);
            cancel.join();
            assert!(other.lock().unwrap().is_none());
            drop(stays.arrive());
            assert!(is_idle(&condition));
        });
    }
}

/// The second of a lot panics, and the notifier may find the flag taken: the claims are given back with that.
#[test]
fn lot_whose_second_predicate_panics_x_cancel_in_the_queue() {
    explore(|| {
        let condition = new();
        let [a] = asking(&condition, is_one);
        let mut b = Waiter::waiting(
            // Nothing is printed: no hook runs.
            condition.wait_for(own(&condition), |value: &usize| *value == 1 && resume_unwind(Box::new(()))),
        );
        let [c] = asking(&condition, is_one);
        let mut guard = own(&condition);
        *guard = 1;
        let [queued] = queue(&condition);
        let cancel = cancel(queued);
        condition.notify_all(&guard);
        drop(guard);
        cancel.join();
        drop(a.arrive());
        assert!(b.is_woken());
        assert!(catch_unwind(AssertUnwindSafe(|| b.poll())).is_err());
        drop(b);
        drop(c.arrive());
        assert!(is_idle(&condition));
    });
}

// Panics.

/// The guard is dropped by a panic while a canceller has the flag, with a request left.
#[test]
fn poison_x_notify_x_cancel() {
    explore(|| {
        let condition = new();
        let [a] = plain(&condition);
        let guard = own(&condition);
        let [queued] = queue(&condition);
        let cancel = cancel(queued);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let guard = guard;
            condition.notify(&guard, 1);
            resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        cancel.join();
        assert!(condition.is_poisoned());
        drop(a.arrive());
        assert!(is_idle(&condition));
    });
}

/// A notifier runs a predicate that panics, and finds the flag taken: the owner panics all the same, and the predicate is not
/// run for another notification.
#[test]
fn notify_one_whose_predicate_panics_x_cancel_in_the_queue() {
    explore(|| {
        let condition = new();
        let calls = Arc::new(AtomicUsize::new(0));
        let mut a = Waiter::waiting(condition.wait_for(own(&condition), {
            let calls = Arc::clone(&calls);
            // False when it begins to wait, then it panics. Nothing is printed: no hook runs.
            move |_: &usize| calls.fetch_add(1, SeqCst) != 0 && resume_unwind(Box::new(()))
        }));
        let [b] = plain(&condition);
        let guard = own(&condition);
        let [queued] = queue(&condition);
        let cancel = cancel(queued);
        condition.notify(&guard, 1);
        drop(guard);
        cancel.join();
        assert!(a.is_woken());
        assert!(catch_unwind(AssertUnwindSafe(|| a.poll())).is_err());
        assert_eq!(calls.load(SeqCst), 3, "one to begin, one that panicked in the notifier, one that panicked here");
        drop(a);
        drop(b.arrive());
        assert!(is_idle(&condition));
    });
}
