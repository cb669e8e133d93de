//! Wakers that call back into the primitive that wakes, clones or drops them.
use std::sync::{
    Arc, Mutex as StdMutex,
    atomic::{AtomicUsize, Ordering::*},
};

use testudo::{
    Condition, ConditionGuard, Event, Mutex, MutexGuard,
    sync::{ConditionLock, EventWait, Lock},
};

use crate::support::{Probe, Slot, wakes};

type OwnedWait = EventWait<Arc<Event>>;
type OwnedLock = Lock<'static, u32, Arc<Mutex<u32>>>;
type OwnedGuard = MutexGuard<'static, u32, Arc<Mutex<u32>>>;
type OwnedConditionLock = ConditionLock<'static, u32, Arc<Condition<u32>>>;
type OwnedConditionGuard = ConditionGuard<'static, u32, Arc<Condition<u32>>>;

/// Which of a waker's functions calls back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    Wake,
    Clone,
    Drop,
}

const ALL: [From; 3] = [From::Wake, From::Clone, From::Drop];

/// Arms `task`. Says how often it was called.
fn arm(task: &Probe, from: From, act: impl Fn() + Send + Sync + 'static) -> Arc<AtomicUsize> {
    let called = Arc::new(AtomicUsize::new(0));
    let count = called.clone();
    let act = move || {
        if count.fetch_add(1, SeqCst) < 3 {
            act();
        }
    };
    match from {
        From::Wake => task.on_wake(act),
        From::Clone => task.on_clone(act),
        From::Drop => task.on_drop(act),
    }
    called
}

// ---- Event

/// A line of waiters around one that calls back, in each of the three ways; then everybody is released.
fn in_an_event_line(act: impl Fn(&Arc<Event>, &Slot<OwnedWait>, &Slot<OwnedWait>) + Send + Sync + Copy + 'static) {
    for from in ALL {
        for released_by_drop in [false, true] {
            let event = Arc::new(Event::new());
            let wait = || Event::wait_with(event.clone());
            let (others, task, spare) = (Probe::many(40), Probe::new(), Probe::new());
            let slots: Vec<_> = (0..40).map(|_| Slot::new(wait())).collect();
            let new = Slot::new(wait());
            let called = {
                let (event, victim, new) = (event.clone(), slots[35].clone(), new.clone());
                let spare = spare.waker().clone();
                arm(&task, from, move || {
                    act(&event, &victim, &new);
                    let _ = new.poll(&spare);
                })
            };
            let mine = Slot::new(wait());
            for i in 0..40 {
                let polled = slots[i].poll(others[i].waker());
                assert!(polled.is_none_or(|poll| poll.is_pending() || event.is_set()));
                if i == 3 {
                    let _ = mine.poll(task.waker());
                }
            }
            if released_by_drop {
                mine.cancel();
                let _ = mine.poll(task.waker());
            }
            // Twice, for the first may have been undone by the callback.
            event.set();
            event.set();
            task.quiet();
            for (i, slot) in slots.iter().enumerate() {
                if let Some(poll) = slot.poll(others[i].waker()) {
                    assert!(poll.is_ready(), "{from:?}: {i} was left behind");
                }
            }
            if let Some(poll) = mine.poll(task.waker()) {
                assert!(poll.is_ready(), "{from:?}: the one that calls back was left behind");
            }
            drop((mine, slots, new));
            assert!(called.load(SeqCst) > 0 || released_by_drop || from == From::Drop, "{from:?}");
            assert!(wakes(&others).iter().all(|&n| n <= 1), "{from:?}");
            event.clear();
            assert_eq!(format!("{event:?}"), "Event { set: false, waiters: false }");
        }
    }
}

#[test]
fn a_waker_may_set_the_event() {
    in_an_event_line(|event, _, _| event.set());
}

#[test]
fn a_waker_may_clear_the_event() {
    in_an_event_line(|event, _, _| event.clear());
}

#[test]
fn a_waker_may_pulse_the_event() {
    in_an_event_line(|event, _, _| {
        event.set();
        event.clear();
        event.set();
        event.clear();
    });
}

#[test]
fn a_waker_may_look_at_the_event() {
    in_an_event_line(|event, _, _| {
        let _ = event.is_set();
        assert!(format!("{event:?}").starts_with("Event"));
    });
}

#[test]
fn a_waker_may_cancel_another_wait() {
    in_an_event_line(|_, victim, _| _ = victim.cancel());
}

#[test]
fn a_waker_may_begin_another_wait() {
    in_an_event_line(|event, _, new| {
        event.clear();
        new.put(Box::pin(Event::wait_with(event.clone())));
    });
}

#[test]
fn a_waker_may_do_everything_to_the_event() {
    in_an_event_line(|event, victim, new| {
        event.clear();
        new.put(Box::pin(Event::wait_with(event.clone())));
        victim.cancel();
        event.set();
        event.clear();
        assert!(format!("{event:?} {}", event.is_set()).ends_with("false"));
    });
}

#[test]
fn a_waker_may_cancel_all_the_others() {
    for at in [0, 20, 39] {
        let event = Arc::new(Event::new());
        let tasks = Probe::many(80);
        let slots: Vec<_> = (0..80).map(|_| Slot::new(Event::wait_with(event.clone()))).collect();
        let all = slots.clone();
        tasks[at].on_wake(move || all.iter().for_each(|slot| _ = slot.cancel()));
        for (task, slot) in tasks.iter().zip(&slots) {
            assert!(slot.poll(task.waker()).unwrap().is_pending());
        }
        event.set();
        assert!(tasks.iter().all(|task| task.kept() == 0));
        assert!(wakes(&tasks)[..=at].iter().all(|&n| n == 1));
        assert!(wakes(&tasks)[at..].iter().all(|&n| n <= 1));
    }
}

#[test]
fn a_waker_may_cancel_its_own_wait() {
    for from in [From::Wake, From::Drop] {
        let event = Arc::new(Event::new());
        let tasks = Probe::many(3);
        let slots: Vec<_> = (0..3).map(|_| Slot::new(Event::wait_with(event.clone()))).collect();
        let own = slots[1].clone();
        arm(&tasks[1], from, move || _ = own.cancel());
        for (task, slot) in tasks.iter().zip(&slots) {
            assert!(slot.poll(task.waker()).unwrap().is_pending());
        }
        // The clone is replaced, and dropped.
        let other = Probe::new();
        if from == From::Drop {
            let _ = slots[1].poll(other.waker());
        }
        event.set();
        assert_eq!((tasks[0].wakes(), tasks[2].wakes()), (1, 1));
        assert!(slots[0].poll(tasks[0].waker()).unwrap().is_ready());
        assert!(slots[2].poll(tasks[2].waker()).unwrap().is_ready());
    }
}

#[test]
fn a_waker_that_sets_while_it_is_cloned_is_not_left_behind() {
    let (event, task) = (Arc::new(Event::new()), Probe::new());
    let sets = event.clone();
    task.on_clone(move || sets.set());
    task.now(event.wait());
    event.clear();
    let sets = event.clone();
    task.on_clone(move || {
        sets.set();
        sets.clear();
    });
    let mut wait = task.start(event.wait());
    task.quiet();
    event.set();
    task.ready(&mut wait);
}

#[test]
fn a_waker_that_pulses_while_it_replaces_another_releases_its_wait() {
    let (event, old, new) = (Arc::new(Event::new()), Probe::new(), Probe::new());
    let mut wait = old.start(event.wait());
    let sets = event.clone();
    new.on_clone(move || {
        sets.set();
        sets.clear();
    });
    let polled = new.poll(&mut wait);
    new.quiet();
    assert!(polled.is_ready() || new.wakes() + old.wakes() > 0);
    if polled.is_pending() {
        new.ready(&mut wait);
    }
}

// ---- Mutex

/// A line of waiters around one that calls back; then everybody is served.
fn in_a_lock_line(
    act: impl Fn(&Arc<Mutex<u32>>, &Slot<OwnedLock>, &StdMutex<Option<OwnedGuard>>) + Send + Sync + Copy + 'static,
) {
    for from in ALL {
        for at in 0..3 {
            let lock = Arc::new(Mutex::new(0));
            let held = Arc::new(StdMutex::new(Mutex::try_lock_with(lock.clone())));
            let tasks = Probe::many(4);
            let slots: Vec<_> = (0..4).map(|_| Slot::new(Mutex::lock_with(lock.clone()))).collect();
            let (own, victim, guard) = (lock.clone(), slots[3].clone(), held.clone());
            arm(&tasks[at], from, move || act(&own, &victim, &guard));
            for (task, slot) in tasks.iter().zip(&slots) {
                drop(slot.poll(task.waker()));
            }
            // Other wakers come and go.
            let other = Probe::new();
            drop(slots[at].poll(other.waker()));
            drop(slots[at].poll(tasks[at].waker()));
            let guard = held.lock().unwrap().take();
            drop(guard);
            for _ in 0..20 {
                let guard = held.lock().unwrap().take();
                drop(guard);
                for (task, slot) in tasks.iter().zip(&slots) {
                    if let Some(core::task::Poll::Ready(mut guard)) = slot.poll(task.waker()) {
                        *guard += 1;
                    }
                }
            }
            tasks[at].quiet();
            assert!(slots.iter().all(|slot| !slot.cancel()), "{from:?} {at}: left behind");
            assert!(!lock.is_locked(), "{from:?} {at}");
            assert!(tasks.iter().all(|task| task.kept() == 0), "{from:?} {at}");
        }
    }
}

#[test]
fn a_waker_may_try_the_lock() {
    in_a_lock_line(|lock, _, _| lock.try_lock().into_iter().for_each(|mut guard| *guard += 1));
}

#[test]
fn a_waker_may_take_the_lock_and_keep_it() {
    in_a_lock_line(|lock, _, kept| {
        if let Some(guard) = Mutex::try_lock_with(lock.clone()) {
            let old = kept.lock().unwrap().replace(guard);
            drop(old);
        }
    });
}

#[test]
fn a_waker_may_free_the_lock() {
    in_a_lock_line(|_, _, held| {
        let guard = held.lock().unwrap().take();
        drop(guard);
    });
}

#[test]
fn a_waker_may_cancel_another_lock() {
    in_a_lock_line(|_, victim, _| _ = victim.cancel());
}

#[test]
fn a_waker_may_begin_another_lock_and_cancel_it() {
    in_a_lock_line(|lock, _, _| {
        let task = Probe::new();
        let mut fut = Box::pin(lock.lock());
        let _ = task.poll(&mut fut);
    });
}

#[test]
fn a_waker_may_look_at_the_lock() {
    in_a_lock_line(|lock, _, _| assert!(format!("{lock:?} {}", lock.is_locked()).starts_with("Mutex")));
}

#[test]
fn a_waker_may_do_everything_to_the_lock() {
    in_a_lock_line(|lock, victim, held| {
        let guard = held.lock().unwrap().take();
        drop(guard);
        victim.cancel();
        let guard = Mutex::try_lock_with(lock.clone());
        let task = Probe::new();
        let mut fut = Box::pin(lock.lock());
        let _ = task.poll(&mut fut);
        drop(guard);
        let _ = task.poll(&mut fut);
    });
}

#[test]
fn a_waker_may_cancel_its_own_lock_and_the_next_is_served() {
    let lock = Arc::new(Mutex::new(0));
    let guard = lock.try_lock().unwrap();
    let tasks = Probe::many(3);
    let slots: Vec<_> = (0..3).map(|_| Slot::new(Mutex::lock_with(lock.clone()))).collect();
    for i in 0..2 {
        let own = slots[i].clone();
        tasks[i].on_wake(move || _ = own.cancel());
    }
    for (task, slot) in tasks.iter().zip(&slots) {
        assert!(slot.poll(task.waker()).unwrap().is_pending());
    }
    drop(guard);
    assert_eq!(wakes(&tasks), [1, 1, 1]);
    assert!(slots[2].poll(tasks[2].waker()).unwrap().is_ready());
}

// ---- Condition

/// Two plain waiters, one with a predicate, one that calls back, and one queued for the lock.
fn in_a_condition_line(act: impl Fn(&Scene) + Send + Sync + Copy + 'static) {
    for from in ALL {
        let cond = Arc::new(Condition::new(0));
        let scene = Arc::new(Scene { cond: cond.clone(), held: StdMutex::new(None), queued: Slot::empty() });
        let tasks = Probe::many(5);
        let waiting = |task: &Probe| {
            let wait = cond.wait(Condition::try_lock_owned(&cond).expect("free"));
            let slot = Slot::new(wait);
            assert!(slot.poll(task.waker()).unwrap().is_pending());
            slot
        };
        let first = waiting(&tasks[0]);
        let until = Slot::new(Condition::wait_until_with(cond.clone(), |n| *n > 0));
        drop(until.poll(tasks[1].waker()));
        let mine = Slot::new(Condition::wait_until_with(cond.clone(), |n| *n > 0));
        let seen = scene.clone();
        arm(&tasks[2], from, move || act(&seen));
        drop(mine.poll(tasks[2].waker()));
        let last = waiting(&tasks[3]);
        let mut guard = Condition::try_lock_owned(&cond).expect("free");
        scene.queued.put(Box::pin(Condition::lock_with(cond.clone())));
        drop(scene.queued.poll(tasks[4].waker()));
        *guard += 1;
        cond.notify_all(&guard);
        *scene.held.lock().unwrap() = Some(guard);
        let other = Probe::new();
        drop(mine.poll(other.waker()));
        drop(mine.poll(tasks[2].waker()));
        for _ in 0..20 {
            let guard = scene.held.lock().unwrap().take();
            if let Some(guard) = guard {
                cond.notify_all(&guard);
            }
            drop(first.poll(tasks[0].waker()));
            drop(until.poll(tasks[1].waker()));
            drop(mine.poll(tasks[2].waker()));
            drop(last.poll(tasks[3].waker()));
            drop(scene.queued.poll(tasks[4].waker()));
        }
        tasks[2].quiet();
        assert!(!first.cancel() && !until.cancel() && !mine.cancel() && !last.cancel(), "{from:?}: left behind");
        assert!(!scene.queued.cancel(), "{from:?}: left behind");
        assert!(!cond.is_locked(), "{from:?}");
        assert!(tasks.iter().all(|task| task.kept() == 0), "{from:?}");
    }
}

struct Scene {
    cond: Arc<Condition<u32>>,
    held: StdMutex<Option<OwnedConditionGuard>>,
    queued: Slot<OwnedConditionLock>,
}

trait TryLockOwned {
    fn try_lock_owned(this: &Arc<Condition<u32>>) -> Option<OwnedConditionGuard>;
}

impl TryLockOwned for Condition<u32> {
    fn try_lock_owned(this: &Arc<Condition<u32>>) -> Option<OwnedConditionGuard> {
        let mut fut = Box::pin(Self::lock_with(this.clone()));
        match Probe::new().poll(&mut fut) {
            core::task::Poll::Ready(guard) => Some(guard),
            core::task::Poll::Pending => None,
        }
    }
}

#[test]
fn a_waker_may_try_the_lock_of_a_condition() {
    in_a_condition_line(|scene| drop(scene.cond.try_lock()));
}

#[test]
fn a_waker_may_notify() {
    in_a_condition_line(|scene| {
        if let Some(guard) = scene.cond.try_lock() {
            scene.cond.notify(&guard, 1);
            scene.cond.notify_all(&guard);
        }
    });
}

#[test]
fn a_waker_may_free_the_lock_of_a_condition() {
    in_a_condition_line(|scene| {
        let guard = scene.held.lock().unwrap().take();
        drop(guard);
    });
}

#[test]
fn a_waker_may_wait_for_the_condition() {
    in_a_condition_line(|scene| {
        let task = Probe::new();
        let mut until = Box::pin(scene.cond.wait_until(|n| *n == 100));
        let _ = task.poll(&mut until);
        if let Some(guard) = scene.cond.try_lock() {
            let mut wait = Box::pin(scene.cond.wait(guard));
            let _ = task.poll(&mut wait);
        }
    });
}

#[test]
fn a_waker_may_cancel_another_wait_for_the_lock() {
    in_a_condition_line(|scene| {
        let fut = scene.queued.take();
        drop(fut);
    });
}

#[test]
fn a_waker_may_look_at_the_condition() {
    in_a_condition_line(|scene| {
        assert!(format!("{:?} {}", scene.cond, scene.cond.is_locked()).starts_with("Condition"));
    });
}

#[test]
fn a_waker_may_do_everything_to_the_condition() {
    in_a_condition_line(|scene| {
        let guard = scene.held.lock().unwrap().take();
        drop(guard);
        let guard = scene.cond.try_lock();
        if let Some(guard) = &guard {
            scene.cond.notify(guard, 1);
        }
        let task = Probe::new();
        let mut until = Box::pin(scene.cond.wait_until(|n| *n == 100));
        let _ = task.poll(&mut until);
        drop(guard);
        let _ = task.poll(&mut until);
        scene.queued.cancel();
    });
}

// ---- predicates

#[test]
fn a_predicate_may_use_the_condition() {
    let (cond, tasks) = (Arc::new(Condition::new(0_u32)), Probe::many(4));
    let scene = Arc::new(Scene { cond: cond.clone(), held: StdMutex::new(None), queued: Slot::empty() });
    let victim = Slot::new(Condition::wait_until_with(cond.clone(), |_| false));
    drop(victim.poll(tasks[1].waker()));
    let (seen, gone, waker) = (scene.clone(), victim.clone(), tasks[2].waker().clone());
    let mut calls = 0;
    let mut wait = tasks[0].start(cond.wait_until(move |n| {
        calls += 1;
        assert!(seen.cond.try_lock().is_none());
        assert!(format!("{:?}", seen.cond).contains("locked: true"));
        if calls == 2 {
            seen.queued.put(Box::pin(Condition::lock_with(seen.cond.clone())));
            assert!(seen.queued.poll(&waker).unwrap().is_pending());
            gone.cancel();
        }
        *n == 1
    }));
    let mut last = tasks[3].start(cond.wait_until(|n| *n == 1));
    let mut guard = cond.try_lock().unwrap();
    *guard = 1;
    cond.notify_all(&guard);
    drop(guard);
    assert_eq!(wakes(&tasks), [0, 0, 1, 0], "it queued before the waiters were moved to the lock's queue");
    drop(scene.queued.poll(tasks[2].waker()));
    drop(tasks[0].ready(&mut wait));
    drop(tasks[3].ready(&mut last));
    assert!(!victim.cancel() && !cond.is_locked());
}

#[test]
fn a_predicate_may_poll_its_own_future_and_drop_its_neighbours() {
    type Pred = Box<dyn FnMut(&u32) -> bool + Send>;
    for gone in [0, 2] {
        let (cond, tasks) = (Arc::new(Condition::new(0_u32)), Probe::many(3));
        let slots: Vec<_> = (0..3).map(|_| Slot::empty()).collect();
        for i in 0..3 {
            let (all, waker) = (slots.clone(), tasks[1].waker().clone());
            let mut calls = 0;
            let predicate: Pred = Box::new(move |n| {
                calls += 1;
                if i == 1 && calls == 2 {
                    all[gone].cancel();
                    assert!(all[1].poll(&waker).unwrap().is_pending(), "claimed");
                }
                *n == 1
            });
            slots[i].put(Box::pin(Condition::wait_until_with(cond.clone(), predicate)));
            drop(slots[i].poll(tasks[i].waker()));
        }
        let mut guard = cond.try_lock().unwrap();
        *guard = 1;
        cond.notify_all(&guard);
        drop(guard);
        for i in [0, 1, 2] {
            match slots[i].poll(tasks[i].waker()) {
                None => assert_eq!(i, gone),
                Some(poll) => assert!(poll.is_ready(), "{i}"),
            }
        }
        assert!(!cond.is_locked());
    }
}

#[test]
fn a_predicate_may_notify_through_a_shared_guard() {
    let (cond, tasks) = (Arc::new(Condition::new(0_u32)), Probe::many(3));
    let shared: Arc<StdMutex<Option<Arc<OwnedConditionGuard>>>> = Arc::default();
    let (inner, guard) = (cond.clone(), shared.clone());
    let mut first = tasks[0].start(cond.wait_until(move |_| {
        let guard = guard.lock().unwrap().clone();
        if let Some(guard) = guard {
            inner.notify(&guard, 1);
        }
        false
    }));
    let mut waits: Vec<_> = tasks[1..].iter().map(|task| task.start(cond.wait(cond.try_lock().unwrap()))).collect();
    let guard = Arc::new(Condition::try_lock_owned(&cond).expect("free"));
    *shared.lock().unwrap() = Some(guard.clone());
    cond.notify(&guard, 1);
    *shared.lock().unwrap() = None;
    drop(guard);
    drop(tasks[1].ready(&mut waits[0]));
    drop(tasks[2].ready(&mut waits[1]));
    tasks[0].pends(&mut first);
}
