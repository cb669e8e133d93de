//! Panics in wakers, in predicates and under guards strand nobody; misuse panics with a text that helps.
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use testudo::{Condition, Event, Mutex};

use crate::support::{Probe, in_a_child, panics, poll_panics, wakes};

// ---- wakers that panic when woken

#[test]
fn one_panicking_waker_among_forty_strands_nobody() {
    for bad in [0, 1, 20, 31, 32, 33, 39] {
        let (event, tasks) = (Event::new(), Probe::many(40));
        tasks[bad].on_wake(|| panic!("bad waker"));
        let mut waits: Vec<_> = tasks.iter().map(|task| task.start(event.wait())).collect();
        assert_eq!(panics(|| event.set()), "bad waker");
        assert_eq!(wakes(&tasks), [1; 40], "{bad}");
        for (task, wait) in tasks.iter().zip(&mut waits) {
            task.ready(wait);
            assert_eq!(task.kept(), 0);
        }
        event.clear();
        let mut again = tasks[0].start(event.wait());
        tasks[0].quiet();
        event.set();
        tasks[0].ready(&mut again);
    }
}

#[test]
fn panicking_wakers_strand_nobody_and_the_first_panic_goes_on() {
    in_a_child("panics::panicking_wakers_strand_nobody_and_the_first_panic_goes_on", || {
        for n in [1, 2, 32, 33, 34, 40, 65] {
            let (event, tasks) = (Event::new(), Probe::many(n));
            for (i, task) in tasks.iter().enumerate() {
                task.on_wake(move || panic!("waker {i}"));
            }
            let mut waits: Vec<_> = tasks.iter().map(|task| task.start(event.wait())).collect();
            assert_eq!(panics(|| event.set()), "waker 0");
            assert_eq!(wakes(&tasks), vec![1; n]);
            for (task, wait) in tasks.iter().zip(&mut waits) {
                task.ready(wait);
            }
        }
    });
}

/// Calls a function when it is dropped, here by a panic: a second panic that got out would end the process.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn set_while_unwinding_survives_panicking_wakers() {
    in_a_child("panics::set_while_unwinding_survives_panicking_wakers", || {
        for n in [1, 2, 32, 33, 70] {
            let (event, tasks) = (Event::new(), Probe::many(n));
            tasks.iter().for_each(|task| task.on_wake(|| panic!("bad waker")));
            let waits: Vec<_> = tasks.iter().map(|task| task.start(event.wait())).collect();
            let text = panics(|| {
                let _sets = OnDrop(|| event.set());
                panic!("first");
            });
            assert_eq!(text, "first");
            assert_eq!(wakes(&tasks), vec![1; n]);
            drop(waits);
        }
    });
}

#[test]
fn freeing_a_lock_while_unwinding_survives_a_panicking_waker() {
    in_a_child("panics::freeing_a_lock_while_unwinding_survives_a_panicking_waker", || {
        let (lock, cond, task) = (Mutex::new(()), Condition::new(()), Probe::new());
        task.on_wake(|| panic!("bad waker"));
        let mut waits = (None, None, None);
        let text = panics(|| {
            let _guards = (lock.try_lock().unwrap(), cond.try_lock().unwrap());
            waits.0 = Some(task.start(lock.lock()));
            waits.1 = Some(task.start(cond.lock()));
            panic!("first");
        });
        assert_eq!(text, "first");
        assert_eq!(task.wakes(), 2);
        drop(task.ready(waits.0.as_mut().unwrap()));
        drop(task.ready(waits.1.as_mut().unwrap()));
        // One that was handed the lock, and one that is dropped with what it was notified of.
        let text = panics(|| {
            waits.2 = Some(task.start(cond.wait(cond.try_lock().unwrap())));
            let _wait = task.start(cond.wait(cond.try_lock().unwrap()));
            let guard = cond.try_lock().unwrap();
            cond.notify_all(&guard);
            panic!("second");
        });
        assert_eq!(text, "second");
        drop(task.ready(waits.2.as_mut().unwrap()));
        assert!(!lock.is_locked() && !cond.is_locked());
    });
}

#[test]
fn cancelling_while_unwinding_survives_panicking_wakers() {
    in_a_child("panics::cancelling_while_unwinding_survives_panicking_wakers", || {
        let (lock, tasks) = (Mutex::new(()), Probe::many(2));
        tasks[1].on_wake(|| panic!("bad waker"));
        let guard = lock.try_lock().unwrap();
        let first = tasks[0].start(lock.lock());
        let mut second = tasks[1].start(lock.lock());
        drop(guard);
        let text = panics(|| {
            let _first = first; // the offer goes to the second
            panic!("first");
        });
        assert_eq!(text, "first");
        drop(tasks[1].ready(&mut second));
    });
}

#[test]
fn a_panicking_waker_of_a_lock_leaves_it_usable() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(3));
    let guard = lock.try_lock().unwrap();
    tasks[0].on_wake(|| panic!("bad waker"));
    let mut locks: Vec<_> = tasks.iter().map(|task| Some(task.start(lock.lock()))).collect();
    assert_eq!(panics(|| drop(guard)), "bad waker");
    assert!(!lock.is_locked() && !lock.is_poisoned());
    drop(tasks[0].ready(locks[0].as_mut().unwrap()));
    // As the next is woken, it panics too, when the first gives up his place.
    let guard = tasks[1].ready(locks[1].as_mut().unwrap());
    tasks[2].on_wake(|| panic!("bad too"));
    assert_eq!(panics(|| drop(guard)), "bad too");
    drop(tasks[2].ready(locks[2].as_mut().unwrap()));
    assert!(!lock.is_locked());
}

#[test]
fn a_panicking_waker_met_by_a_cancellation_strands_nobody() {
    let (lock, tasks) = (Mutex::new(()), Probe::many(3));
    let guard = lock.try_lock().unwrap();
    let mut locks: Vec<_> = tasks.iter().map(|task| Some(task.start(lock.lock()))).collect();
    tasks[1].on_wake(|| panic!("bad waker"));
    drop(guard);
    assert_eq!(panics(|| locks[0] = None), "bad waker");
    assert_eq!(tasks[0].kept(), 0);
    drop(tasks[1].ready(locks[1].as_mut().unwrap()));
    drop(tasks[2].ready(locks[2].as_mut().unwrap()));
}

#[test]
fn panicking_wakers_among_forty_condition_waiters_strand_nobody() {
    let (cond, tasks) = (Condition::new(()), Probe::many(40));
    tasks.iter().for_each(|task| task.on_wake(|| panic!("bad waker")));
    let mut waits: Vec<_> = tasks.iter().map(|task| task.start(cond.wait(cond.try_lock().unwrap()))).collect();
    let guard = cond.try_lock().unwrap();
    cond.notify_all(&guard);
    assert_eq!(panics(|| drop(guard)), "bad waker");
    for i in 0..40 {
        assert_eq!(tasks[i].wakes(), 1);
        let guard = tasks[i].ready(&mut waits[i]);
        if i < 39 {
            assert_eq!(panics(|| drop(guard)), "bad waker");
        }
    }
    assert!(!cond.is_locked() && !cond.is_poisoned());
}

#[test]
fn a_panicking_waker_met_while_a_wait_parks_leaves_the_wait_in_line() {
    let (cond, tasks) = (Condition::new(()), Probe::many(2));
    let mut wait = Box::pin(cond.wait(cond.try_lock().unwrap()));
    let mut queued = tasks[1].start(cond.lock());
    tasks[1].on_wake(|| panic!("bad waker"));
    assert_eq!(poll_panics(&mut wait, &tasks[0]), "bad waker");
    let guard = tasks[1].ready(&mut queued);
    cond.notify(&guard, 1);
    drop(guard);
    assert_eq!(tasks[0].wakes(), 1);
    drop(tasks[0].ready(&mut wait));
}

// ---- wakers that panic when cloned or dropped

#[test]
fn a_panicking_clone_leaves_everything_usable() {
    let (event, lock, cond) = (Event::new(), Mutex::new(()), Condition::new(()));
    let (bad, good) = (Probe::new(), Probe::new());
    bad.on_clone(|| panic!("bad clone"));

    let mut wait = Box::pin(event.wait());
    assert_eq!(poll_panics(&mut wait, &bad), "bad clone");
    good.pends(&mut wait);
    assert_eq!(poll_panics(&mut wait, &bad), "bad clone");
    let mut other = good.start(event.wait());
    event.set();
    good.ready(&mut wait);
    good.ready(&mut other);

    let guard = lock.try_lock().unwrap();
    let mut fut = Box::pin(lock.lock());
    assert_eq!(poll_panics(&mut fut, &bad), "bad clone");
    good.pends(&mut fut);
    assert_eq!(poll_panics(&mut fut, &bad), "bad clone");
    drop(guard);
    drop(good.ready(&mut fut));

    // In the middle of a wait that still has the lock.
    let mut wait = Box::pin(cond.wait(cond.try_lock().unwrap()));
    assert_eq!(poll_panics(&mut wait, &bad), "bad clone");
    assert!(cond.is_locked());
    good.pends(&mut wait);
    assert_eq!(poll_panics(&mut wait, &bad), "bad clone");
    cond.notify(&cond.try_lock().unwrap(), 1);
    drop(good.ready(&mut wait));

    let mut wait = Box::pin(cond.wait(cond.try_lock().unwrap()));
    assert_eq!(poll_panics(&mut wait, &bad), "bad clone");
    drop(wait);
    assert!(!cond.is_locked());

    let mut wait = Box::pin(cond.wait_until(|()| false));
    assert_eq!(poll_panics(&mut wait, &bad), "bad clone");
    drop(wait);
    assert!(!cond.is_locked());
    assert_eq!(good.kept(), 0);
}

#[test]
fn a_clone_that_panics_as_a_wait_parks_again_passes_the_notification_on() {
    let (cond, tasks) = (Condition::new(0), Probe::many(2));
    let mut first = tasks[0].start(cond.wait_until(|n| *n == 1));
    let mut second = tasks[1].start(cond.wait_until(|n| *n == 2));
    let mut guard = cond.try_lock().unwrap();
    *guard = 1;
    cond.notify(&guard, 1);
    *guard = 2;
    drop(guard);
    tasks[0].on_clone(|| panic!("bad clone"));
    assert_eq!(poll_panics(&mut first, &tasks[0]), "bad clone");
    drop(first);
    assert_eq!(wakes(&tasks), [1, 1]);
    drop(tasks[1].ready(&mut second));
    assert!(!cond.is_locked());
}

#[test]
fn a_panicking_drop_of_a_waker_leaves_everything_usable() {
    let (event, lock, cond) = (Event::new(), Mutex::new(()), Condition::new(()));
    let (bad, good) = (Probe::new(), Probe::new());
    bad.on_drop(|| panic!("bad drop"));

    // Replaced.
    let mut wait = bad.start(event.wait());
    assert_eq!(poll_panics(&mut wait, &good), "bad drop");
    good.pends(&mut wait);
    event.set();
    good.ready(&mut wait);
    event.clear();

    // Dropped with its future.
    let gone = bad.start(event.wait());
    let mut stays = good.start(event.wait());
    assert_eq!(panics(|| drop(gone)), "bad drop");
    event.set();
    good.ready(&mut stays);

    let guard = lock.try_lock().unwrap();
    let gone = bad.start(lock.lock());
    let mut stays = good.start(lock.lock());
    assert_eq!(panics(|| drop(gone)), "bad drop");
    let mut replaced = bad.start(lock.lock());
    assert_eq!(poll_panics(&mut replaced, &good), "bad drop");
    drop(guard);
    drop(good.ready(&mut stays));
    drop(good.ready(&mut replaced));

    let gone = bad.start(cond.wait(cond.try_lock().unwrap()));
    let mut stays = good.start(cond.wait(cond.try_lock().unwrap()));
    let guard = cond.try_lock().unwrap();
    cond.notify(&guard, 1);
    assert_eq!(panics(|| drop(gone)), "bad drop");
    drop(guard);
    drop(good.ready(&mut stays));
    assert!(!cond.is_locked() && !lock.is_locked());
    bad.quiet();
    assert_eq!((bad.kept(), good.kept()), (0, 0));
}

/// The clone frees the lock, so that the waiter takes it in the same poll, and the clone, which is of no use any more,
/// is dropped: if that panics, the lock must not be lost.
#[test]
fn a_drop_that_panics_as_the_lock_is_taken_does_not_lose_the_lock() {
    let lock = Arc::new(Mutex::new(()));
    let guard = std::sync::Mutex::new(Mutex::try_lock_with(lock.clone()));
    let bad = Probe::new();
    bad.on_clone(move || drop(guard.lock().unwrap().take()));
    bad.on_drop(|| panic!("bad drop"));
    let mut fut = Box::pin(lock.lock());
    let polled = catch_unwind(AssertUnwindSafe(|| bad.poll(&mut fut).is_ready()));
    bad.quiet();
    drop(fut);
    assert!(lock.try_lock().is_some(), "nobody has it, and nobody will free it ({polled:?})");
}

/// As above, in a later poll: the node is out of the list, and the future must not take it out once more.
#[test]
fn a_drop_that_panics_as_a_queued_lock_is_taken_does_not_corrupt_the_line() {
    let lock = Arc::new(Mutex::new(()));
    let guard = std::sync::Mutex::new(Mutex::try_lock_with(lock.clone()));
    let (first, bad, next) = (Probe::new(), Probe::new(), Probe::new());
    let mut fut = first.start(lock.lock());
    let mut behind = next.start(lock.lock());
    bad.on_clone(move || drop(guard.lock().unwrap().take()));
    bad.on_drop(|| panic!("bad drop"));
    let polled = catch_unwind(AssertUnwindSafe(|| bad.poll(&mut fut).is_ready()));
    bad.quiet();
    // As long as the future lives the lock may be its; it is polled again, as `select` would do.
    let again = catch_unwind(AssertUnwindSafe(|| first.poll(&mut fut).is_ready()));
    drop(fut);
    assert_eq!(next.wakes(), 1, "{polled:?} {again:?}");
    drop(next.ready(&mut behind));
}

// ---- panics under guards

#[test]
fn a_panic_under_a_guard_poisons_and_the_lock_works_on() {
    let (lock, task) = (Mutex::new(1), Probe::new());
    let mut fut = None;
    let text = panics(|| {
        let mut guard = lock.try_lock().unwrap();
        fut = Some(task.start(lock.lock()));
        *guard = 2;
        panic!("half-way");
    });
    assert_eq!(text, "half-way");
    assert!(lock.is_poisoned() && !lock.is_locked());
    assert_eq!(task.wakes(), 1);
    assert_eq!(*task.ready(fut.as_mut().unwrap()), 2);
    assert!(lock.is_poisoned(), "until it is cleared");
    lock.clear_poison();
    assert!(!lock.is_poisoned());
    lock.clear_poison();
    drop(lock.try_lock().unwrap());
    assert!(!lock.is_poisoned());
}

#[test]
fn poison_is_seen_and_cleared_with_a_guard_in_hand_and_waiters_in_line() {
    let (lock, task) = (Mutex::new(()), Probe::new());
    panics(|| {
        let _guard = lock.try_lock().unwrap();
        panic!();
    });
    let guard = lock.try_lock().unwrap();
    let mut fut = task.start(lock.lock());
    assert!(lock.is_poisoned());
    lock.clear_poison();
    assert!(!lock.is_poisoned() && lock.is_locked());
    drop(guard);
    drop(task.ready(&mut fut));
}

#[test]
fn a_guard_made_and_dropped_while_unwinding_does_not_poison() {
    struct Locks<'a>(&'a Mutex<()>, &'a Condition<()>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            drop(self.0.try_lock().unwrap());
            drop(self.1.try_lock().unwrap());
        }
    }
    let (lock, cond) = (Mutex::new(()), Condition::new(()));
    panics(|| {
        let _locks = Locks(&lock, &cond);
        panic!();
    });
    assert!(!lock.is_poisoned() && !cond.is_poisoned());
}

#[test]
fn a_panic_under_a_condition_guard_poisons_and_what_it_notified_goes_on() {
    let (cond, tasks) = (Condition::new(0), Probe::many(2));
    let mut waits: Vec<_> = tasks.iter().map(|task| task.start(cond.wait_until(|n| *n == 1))).collect();
    panics(|| {
        let mut guard = cond.try_lock().unwrap();
        *guard = 1;
        cond.notify_all(&guard);
        panic!("half-way");
    });
    assert!(cond.is_poisoned() && !cond.is_locked());
    for (task, wait) in tasks.iter().zip(&mut waits) {
        drop(task.ready(wait));
    }
    cond.clear_poison();
    assert!(!cond.is_poisoned());
}

// ---- predicates

#[test]
fn a_predicate_that_panics_in_its_own_poll_frees_the_lock() {
    let (cond, task) = (Condition::new(()), Probe::new());
    let mut until = Box::pin(cond.wait_until(|()| panic!("bad predicate")));
    assert_eq!(poll_panics(&mut until, &task), "bad predicate");
    drop(until);
    assert!(!cond.is_locked());

    let mut wait = Box::pin(cond.wait_for(cond.try_lock().unwrap(), |()| panic!("bad predicate")));
    let mut queued = task.start(cond.lock());
    assert_eq!(poll_panics(&mut wait, &task), "bad predicate");
    drop(wait);
    assert_eq!(task.wakes(), 1);
    drop(task.ready(&mut queued));
    assert!(!cond.is_poisoned(), "the predicate cannot have left the data half-way");
}

/// A wait whose predicate panicked in its own poll has the lock still; polled again, it asks again.
#[test]
fn a_wait_whose_predicate_panicked_in_its_own_poll_asks_again() {
    let (cond, task) = (Condition::new(()), Probe::new());
    let mut calls = 0;
    let mut until = Box::pin(cond.wait_until(move |()| {
        calls += 1;
        assert!(calls > 1, "bad predicate");
        true
    }));
    assert_eq!(poll_panics(&mut until, &task), "bad predicate");
    assert!(cond.is_locked());
    drop(task.ready(&mut until));
    drop(until);
    assert!(!cond.is_locked());
}

#[test]
fn a_predicate_that_panics_in_a_notifier_is_its_owners_business() {
    for verb in 0..3 {
        let (cond, tasks) = (Condition::new(0), Probe::many(3));
        let mut first = tasks[0].start(cond.wait_until(|n| *n == 1));
        let mut bad = tasks[1].start(cond.wait_until(|n| {
            assert!(*n == 0, "bad predicate");
            false
        }));
        let mut last = tasks[2].start(cond.wait_until(|n| *n == 1));
        let mut guard = cond.try_lock().unwrap();
        *guard = 1;
        match verb {
            0 => cond.notify_all(&guard),
            1 => cond.notify(&guard, 2),
            _ => {
                cond.notify(&guard, 1);
                cond.notify(&guard, 1);
            }
        }
        drop(guard);
        assert!(!cond.is_poisoned());
        assert_eq!(wakes(&tasks), [1, 0, 0]);
        drop(tasks[0].ready(&mut first));
        assert_eq!(wakes(&tasks), [1, 1, 0]);
        assert!(poll_panics(&mut bad, &tasks[1]).contains("predicate"));
        drop(bad);
        assert_eq!(wakes(&tasks), [1, 1, 1]);
        drop(tasks[2].ready(&mut last));
        assert!(!cond.is_locked());
    }
}

#[test]
fn a_predicate_that_panicked_once_in_a_notifier_panics_when_polled_though_it_holds_now() {
    let (cond, tasks) = (Condition::new(()), Probe::many(2));
    let mut calls = 0;
    let mut bad = tasks[0].start(cond.wait_until(move |()| {
        calls += 1;
        assert!(calls != 2, "bad predicate");
        calls > 2
    }));
    let mut plain = tasks[1].start(cond.wait(cond.try_lock().unwrap()));
    // The panic costs no notification.
    cond.notify(&cond.try_lock().unwrap(), 1);
    assert_eq!(poll_panics(&mut bad, &tasks[0]), "the predicate of this wait panicked when a notifier called it");
    drop(bad);
    drop(tasks[1].ready(&mut plain));
}

#[test]
fn a_wait_whose_predicate_panicked_may_be_dropped_unpolled() {
    for early in [false, true] {
        let (cond, tasks) = (Condition::new(0), Probe::many(2));
        let bad = tasks[0].start(cond.wait_until(|n| {
            assert!(*n == 0, "bad predicate");
            false
        }));
        let mut last = tasks[1].start(cond.wait_until(|n| *n == 1));
        let mut guard = cond.try_lock().unwrap();
        *guard = 1;
        cond.notify(&guard, 1);
        if early {
            drop(bad);
            drop(guard);
        } else {
            drop(guard);
            drop(bad);
        }
        drop(tasks[1].ready(&mut last));
        assert!(!cond.is_locked());
    }
}

#[test]
fn panicking_predicates_of_all_waiters_strand_nobody() {
    let (cond, tasks) = (Condition::new(0), Probe::many(40));
    let mut waits: Vec<_> = tasks
        .iter()
        .map(|task| {
            Some(task.start(cond.wait_until(|n| {
                assert!(*n == 0, "bad predicate");
                false
            })))
        })
        .collect();
    let mut guard = cond.try_lock().unwrap();
    *guard = 1;
    cond.notify_all(&guard);
    drop(guard);
    for (task, wait) in tasks.iter().zip(&mut waits) {
        assert_eq!(task.wakes(), 1);
        assert_eq!(poll_panics(wait.as_mut().unwrap(), task), "bad predicate");
        *wait = None;
    }
    assert!(!cond.is_locked());
}

#[test]
fn a_payload_that_panics_when_dropped_does_not_break_the_condition() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("bomb");
            }
        }
    }
    let (cond, tasks) = (Condition::new(0), Probe::many(2));
    let bad = tasks[0].start(cond.wait_until(|n| {
        if *n == 1 {
            std::panic::panic_any(Bomb);
        }
        false
    }));
    let mut plain = tasks[1].start(cond.wait(cond.try_lock().unwrap()));
    let mut guard = cond.try_lock().unwrap();
    *guard = 1;
    let _ = catch_unwind(AssertUnwindSafe(|| cond.notify_all(&guard)));
    *guard = 2;
    cond.notify_all(&guard);
    drop(guard);
    drop(bad);
    drop(tasks[1].ready(&mut plain));
    assert!(!cond.is_locked());
}

#[test]
fn predicates_are_called_by_a_guard_that_unwinds() {
    // A passed-on notification is carried out by whoever frees the lock, here while it panics.
    let (cond, tasks) = (Condition::new(0), Probe::many(3));
    let first = tasks[0].start(cond.wait(cond.try_lock().unwrap()));
    let mut bad = tasks[1].start(cond.wait_until(|n| {
        assert!(*n == 0, "bad predicate");
        false
    }));
    let mut fits = tasks[2].start(cond.wait_until(|n| *n == 1));
    let text = panics(|| {
        let mut guard = cond.try_lock().unwrap();
        cond.notify(&guard, 1);
        *guard = 1;
        drop(first);
        panic!("half-way");
    });
    assert_eq!(text, "half-way");
    assert_eq!(poll_panics(&mut bad, &tasks[1]), "bad predicate");
    drop(bad);
    drop(tasks[2].ready(&mut fits));
}

// ---- misuse

#[test]
fn every_future_panics_when_polled_after_completion() {
    const TEXT: &str = "polled after completion";
    let (event, lock, cond) = (Event::new(), Mutex::new(()), Arc::new(Condition::new(())));
    let task = Probe::new();
    event.set();
    let mut wait = Box::pin(event.wait());
    task.ready(&mut wait);
    assert_eq!(poll_panics(&mut wait, &task), TEXT);
    assert_eq!(poll_panics(&mut wait, &task), TEXT);
    let mut fut = Box::pin(lock.lock());
    drop(task.ready(&mut fut));
    assert_eq!(poll_panics(&mut fut, &task), TEXT);
    let mut fut = Box::pin(cond.lock());
    drop(task.ready(&mut fut));
    assert_eq!(poll_panics(&mut fut, &task), TEXT);
    let mut fut = Box::pin(cond.wait_until(|()| true));
    drop(task.ready(&mut fut));
    assert_eq!(poll_panics(&mut fut, &task), TEXT);
    let mut fut = Box::pin(cond.wait_for(cond.try_lock().unwrap(), |()| true));
    drop(task.ready(&mut fut));
    assert_eq!(poll_panics(&mut fut, &task), TEXT);
    let mut fut = Box::pin(Condition::wait_until_with(cond.clone(), |()| true));
    drop(task.ready(&mut fut));
    assert_eq!(poll_panics(&mut fut, &task), TEXT);
    let mut fut = task.start(cond.wait(cond.try_lock().unwrap()));
    cond.notify(&cond.try_lock().unwrap(), 1);
    drop(task.ready(&mut fut));
    assert_eq!(poll_panics(&mut fut, &task), TEXT);
    assert!(!cond.is_locked() && !lock.is_locked(), "a panic takes nothing");
}

#[test]
fn a_future_that_completed_in_a_later_poll_panics_too() {
    let (event, lock, task) = (Event::new(), Mutex::new(()), Probe::new());
    let mut wait = task.start(event.wait());
    event.set();
    task.ready(&mut wait);
    assert_eq!(poll_panics(&mut wait, &task), "polled after completion");
    let guard = lock.try_lock().unwrap();
    let mut fut = task.start(lock.lock());
    drop(guard);
    drop(task.ready(&mut fut));
    assert_eq!(poll_panics(&mut fut, &task), "polled after completion");
}

#[test]
fn a_foreign_guard_panics_and_names_both_conditions() {
    let (one, other) = (Condition::new(0), Condition::new(0));
    let text_of = |verb: &str, text: String| {
        assert!(text.contains(verb), "{text}");
        assert!(text.contains(&format!("{:p}", &raw const one)), "{text}");
        assert!(text.contains(&format!("{:p}", &raw const other)), "{text}");
        assert!(!other.is_locked());
    };
    let guard = || other.try_lock().unwrap();
    text_of("wait", panics(|| drop(one.wait(guard()))));
    text_of("wait_for", panics(|| drop(one.wait_for(guard(), |_| true))));
    text_of("notify", panics(|| one.notify(&guard(), 1)));
    text_of("notify", panics(|| one.notify(&guard(), 0)));
    text_of("notify", panics(|| one.notify_all(&guard())));
    text_of("wait", panics(|| drop(one.wait_blocking(guard()))));
    assert!(!one.is_locked() && !one.is_poisoned());
}

#[test]
fn a_foreign_guard_of_an_arc_is_found_out_too() {
    let (one, other) = (Arc::new(Condition::new(0)), Arc::new(Condition::new(0)));
    let guard = Probe::new().now(Condition::lock_with(other.clone()));
    let text = panics(|| drop(one.wait(guard)));
    assert!(text.contains(&format!("{:p}", Arc::as_ptr(&other))), "{text}");
    assert!(!other.is_locked());
    assert_eq!(Arc::strong_count(&other), 1);
}

#[test]
fn a_panicking_waker_does_not_hide_that_the_event_is_set() {
    let (event, task) = (Event::new(), Probe::new());
    task.on_wake(|| panic!("bad waker"));
    let _wait = task.start(event.wait());
    panics(|| event.set());
    assert!(event.is_set());
    event.set();
    assert_eq!(task.wakes(), 1);
}
