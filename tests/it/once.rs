//! `OnceCell`: one initializer at a time, and everybody gets its value.
use core::{
    cell::Cell,
    future::{Future, pending, ready},
    pin::Pin,
};
use std::{
    panic::{RefUnwindSafe, UnwindSafe},
    rc::Rc,
    sync::{
        Arc, Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering::*},
    },
    thread,
};

use futures_core::FusedFuture;
use testudo::{Event, OnceCell, run::block_on};

use crate::support::{Inline, Probe, Slot, allocations, panics, permutations, poll_panics, wakes};

type Boxed<'a> = Pin<Box<dyn Future<Output = u32> + Send + 'a>>;

/// A task that initializes the cell with `value`, when `go` is set.
fn init<'a>(cell: &'a OnceCell<u32>, go: &'a Event, value: u32) -> Boxed<'a> {
    Box::pin(async move {
        let make = async || {
            go.wait().await;
            value
        };
        *cell.get_or_init(make).await
    })
}

/// A task that never comes to an end once it initializes.
fn stuck(cell: &OnceCell<u32>) -> Boxed<'_> {
    Box::pin(async { *cell.get_or_init(pending).await })
}

fn waits(cell: &OnceCell<u32>) -> Boxed<'_> {
    Box::pin(async { *cell.wait().await })
}

/// Calls a function when it is dropped.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_new_cell_is_empty() {
    let cell = OnceCell::<u32>::new();
    assert_eq!((cell.get(), cell.is_initialized()), (None, false));
    assert_eq!(OnceCell::<u32>::default().into_inner(), None);
}

#[test]
fn a_cell_is_set_once() {
    let cell = OnceCell::new();
    assert_eq!(cell.set(1), Ok(()));
    assert_eq!(cell.set(2), Err(2));
    assert_eq!((cell.get(), cell.is_initialized()), (Some(&1), true));
    assert_eq!(cell.into_inner(), Some(1));
}

#[test]
fn a_cell_can_be_emptied_and_set_again_by_its_owner() {
    let mut cell = OnceCell::from(1);
    *cell.get_mut().unwrap() = 2;
    assert_eq!((cell.take(), cell.take(), cell.get_mut()), (Some(2), None, None));
    assert_eq!(cell.set(3), Ok(()));
    assert_eq!(block_on(cell.wait()), &3);
}

#[test]
fn the_value_is_dropped_once() {
    let value = Rc::new(());
    let cell = OnceCell::from(value.clone());
    assert_eq!(Rc::strong_count(&value), 2);
    assert!(cell.set(value.clone()).is_err());
    drop(cell.clone());
    assert_eq!(Rc::strong_count(&value), 2);
    drop(cell);
    let mut cell = OnceCell::from(value.clone());
    drop(cell.take());
    assert_eq!(Rc::strong_count(&value), 1);
    drop(cell.set(value.clone()));
    drop(cell.into_inner());
    assert_eq!(Rc::strong_count(&value), 1);
    drop(OnceCell::<Rc<()>>::new());
}

#[test]
fn a_cell_shows_its_value_and_can_be_cloned() {
    let cell = OnceCell::new();
    assert_eq!(format!("{cell:?} {:?}", cell.clone()), "OnceCell(<uninit>) OnceCell(<uninit>)");
    cell.set(1).unwrap();
    assert_eq!(format!("{cell:?} {:?}", cell.clone()), "OnceCell(1) OnceCell(1)");
    let task = Probe::new();
    assert!(format!("{:?}", Box::pin(cell.wait())).contains("Idle"));
    let mut wait = Box::pin(cell.wait());
    task.ready(&mut wait);
    assert!(format!("{wait:?}").starts_with("OnceWait") && format!("{wait:?}").contains("Done"));
}

#[test]
fn one_initializer_runs_and_everybody_gets_its_value() {
    for n in [1, 2, 3, 33, 34, 100] {
        let (cell, go, tasks) = (OnceCell::new(), Event::new(), Probe::many(n));
        let mut waiters: Vec<_> = (0..n).map(|i| init(&cell, &go, i as u32)).collect();
        for (task, waiter) in tasks.iter().zip(&mut waiters) {
            task.pends(waiter);
        }
        go.set();
        assert_eq!(wakes(&tasks)[1..], vec![0; n - 1]);
        for (task, waiter) in tasks.iter().zip(&mut waiters) {
            assert_eq!(task.ready(waiter), 0);
            assert_eq!((task.wakes(), task.kept()), (1, 0));
        }
    }
}

#[test]
fn get_or_init_of_a_set_cell_takes_one_poll_and_no_waker() {
    let (cell, task) = (OnceCell::from(1), Probe::new());
    assert_eq!(task.now(cell.get_or_init(async || unreachable!())), &1);
    assert_eq!(task.now(cell.get_or_try_init(async || Err::<u32, _>(()))), Ok(&1));
    assert_eq!((task.now(cell.wait()), cell.wait_blocking()), (&1, &1));
    assert_eq!(task.clones(), 0);
}

#[test]
fn plain_closures_initialize_too() {
    let (cell, task) = (OnceCell::new(), Probe::new());
    assert_eq!(task.now(cell.get_or_init(|| ready(1))), &1);
}

#[test]
fn waiting_for_the_value_is_pending_until_it_is_set() {
    for n in [1, 2, 33, 100] {
        let (cell, tasks) = (OnceCell::new(), Probe::many(n));
        let mut waiters: Vec<_> = tasks.iter().map(|task| task.start(cell.wait())).collect();
        for (task, waiter) in tasks.iter().zip(&mut waiters) {
            task.pends(waiter);
        }
        cell.set(7).unwrap();
        assert_eq!(wakes(&tasks), vec![1; n]);
        for (task, waiter) in tasks.iter().zip(&mut waiters) {
            assert_eq!(task.ready(waiter), &7);
        }
    }
}

#[test]
fn who_waits_for_the_value_does_not_get_the_turn() {
    let (cell, go, tasks) = (OnceCell::new(), Event::new(), Probe::many(3));
    let mut first = stuck(&cell);
    tasks[0].pends(&mut first);
    let mut value = tasks[1].start(waits(&cell));
    let mut next = tasks[2].start(init(&cell, &go, 2));
    drop(first);
    assert_eq!(wakes(&tasks), [0, 0, 1]);
    go.set();
    assert_eq!((tasks[2].ready(&mut next), tasks[1].ready(&mut value)), (2, 2));
}

// ---- set while somebody initializes

#[test]
fn set_gives_the_value_back_while_somebody_initializes() {
    let (cell, task) = (OnceCell::new(), Probe::new());
    let first = task.start(stuck(&cell));
    assert_eq!((cell.set(1), cell.is_initialized()), (Err(1), false));
    drop(first);
    assert_eq!(cell.set(2), Ok(()));
}

#[test]
fn set_may_overtake_those_who_wait_for_their_turn() {
    let (cell, go, tasks) = (OnceCell::new(), Event::new(), Probe::many(3));
    let first = tasks[0].start(stuck(&cell));
    let mut line: Vec<_> = tasks[1..].iter().map(|task| task.start(init(&cell, &go, 1))).collect();
    drop(first);
    assert_eq!(wakes(&tasks), [0, 1, 0], "offered");
    assert_eq!(cell.set(7), Ok(()));
    assert_eq!(wakes(&tasks), [0, 1, 1]);
    assert_eq!((tasks[1].ready(&mut line[0]), tasks[2].ready(&mut line[1])), (7, 7));
}

// ---- an initializer that comes to nothing

#[test]
fn the_turn_of_a_cancelled_initializer_goes_to_the_next() {
    for order in permutations(4) {
        for k in 0..4 {
            let (cell, tasks) = (OnceCell::new(), Probe::many(5));
            let go = Event::new();
            let first = tasks[4].start(stuck(&cell));
            let mut line: Vec<_> = (0..4).map(|i| Some(tasks[i].start(init(&cell, &go, i as u32)))).collect();
            // Some before the initializer is dropped, some after.
            for &gone in &order[..k / 2] {
                line[gone] = None;
            }
            drop(first);
            for &gone in &order[k / 2..k] {
                line[gone] = None;
            }
            let next = (0..4).find(|&i| line[i].is_some()).unwrap();
            assert_eq!(tasks[next].wakes(), 1);
            go.set();
            assert_eq!(tasks[next].ready(line[next].as_mut().unwrap()), next as u32);
            for i in next + 1..4 {
                if let Some(waiter) = &mut line[i] {
                    assert_eq!(tasks[i].ready(waiter), next as u32);
                }
            }
            assert!(tasks.iter().all(|task| task.kept() == 0 && task.wakes() <= 1));
        }
    }
}

#[test]
fn the_turn_of_a_failed_initializer_goes_to_the_next() {
    let (cell, go, tasks) = (OnceCell::new(), Event::new(), Probe::many(3));
    let fails = async || {
        go.wait().await;
        Err("no")
    };
    let mut first = tasks[0].start(cell.get_or_try_init(fails));
    let mut second = tasks[1].start(cell.get_or_try_init(async || Ok::<_, ()>(2)));
    let mut third = tasks[2].start(cell.get_or_try_init(async || Ok::<_, ()>(3)));
    go.set();
    assert_eq!(tasks[0].ready(&mut first), Err("no"));
    assert_eq!(wakes(&tasks), [1, 1, 0]);
    assert_eq!((tasks[1].ready(&mut second), tasks[2].ready(&mut third)), (Ok(&2), Ok(&2)));
}

#[test]
fn the_turn_of_a_panicked_initializer_goes_to_the_next() {
    let (cell, go, tasks) = (OnceCell::new(), Event::new(), Probe::many(2));
    let bad = async || -> u32 {
        go.wait().await;
        panic!("bad initializer")
    };
    let mut first = tasks[0].start(cell.get_or_init(bad));
    let mut second = tasks[1].start(cell.get_or_init(async || 2));
    go.set();
    assert_eq!(poll_panics(&mut first, &tasks[0]), "bad initializer");
    assert_eq!(tasks[1].ready(&mut second), &2);
}

/// What an initializer holds is free before the next one runs.
#[test]
fn a_cancelled_initializer_is_dropped_before_its_turn_is_passed_on() {
    let (cell, tasks, dropped) = (OnceCell::new(), Probe::many(2), Cell::new(false));
    let holds = async || -> u32 {
        let _held = OnDrop(|| dropped.set(tasks[1].wakes() == 0));
        pending().await
    };
    let first = tasks[0].start(cell.get_or_init(holds));
    let mut second = tasks[1].start(cell.get_or_init(async || 2));
    drop(first);
    assert!(dropped.get());
    assert_eq!(tasks[1].ready(&mut second), &2);
}

/// "Futurelock": who was offered the turn and is not polled keeps nobody from it.
#[test]
fn who_is_not_polled_holds_up_nobody() {
    let (cell, go, tasks) = (OnceCell::new(), Event::new(), Probe::many(4));
    go.set();
    let first = tasks[0].start(stuck(&cell));
    let kept = tasks[1].start(init(&cell, &go, 1));
    let mut behind = tasks[2].start(init(&cell, &go, 2));
    drop(first);
    assert_eq!(tasks[3].now(init(&cell, &go, 3)), 3);
    assert_eq!(tasks[2].ready(&mut behind), 3);
    drop(kept);
}

#[test]
fn waiters_polled_again_stay_in_line() {
    let (cell, go, old, new) = (OnceCell::new(), Event::new(), Probe::new(), Probe::new());
    let first = old.start(stuck(&cell));
    let mut second = old.start(init(&cell, &go, 2));
    let mut value = old.start(waits(&cell));
    for _ in 0..3 {
        new.pends(&mut second);
        new.pends(&mut value);
    }
    assert_eq!((old.kept(), new.clones()), (0, 2));
    drop(first);
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
    go.set();
    assert_eq!((new.ready(&mut second), new.ready(&mut value)), (2, 2));
}

#[test]
fn dropped_waiters_are_forgotten_at_once() {
    for n in [1, 2, 3, 40] {
        for gone in [0, n / 2, n - 1] {
            let (cell, tasks) = (OnceCell::new(), Probe::many(n));
            let mut waiters: Vec<_> = tasks.iter().map(|task| Some(task.start(cell.wait()))).collect();
            waiters[gone] = None;
            assert_eq!(tasks[gone].kept(), 0);
            cell.set(7).unwrap();
            for (i, (task, waiter)) in tasks.iter().zip(&mut waiters).enumerate() {
                assert_eq!(task.wakes(), usize::from(i != gone));
                if let Some(waiter) = waiter {
                    assert_eq!(task.ready(waiter), &7);
                }
            }
        }
    }
}

#[test]
fn released_waiters_that_are_dropped_owe_nothing() {
    let (cell, go, tasks) = (OnceCell::new(), Event::new(), Probe::many(3));
    let mut first = tasks[0].start(init(&cell, &go, 1));
    let second = tasks[1].start(init(&cell, &go, 2));
    let value = tasks[2].start(waits(&cell));
    go.set();
    tasks[0].ready(&mut first);
    drop((second, value));
    assert!(tasks.iter().all(|task| task.kept() == 0 && task.wakes() == 1));
    assert_eq!(cell.set(3), Err(3));
}

#[test]
fn futures_that_were_not_polled_owe_nothing() {
    let (cell, go) = (OnceCell::new(), Event::new());
    drop((init(&cell, &go, 1), waits(&cell), Box::pin(cell.wait())));
    assert_eq!(cell.set(1), Ok(()));
}

#[test]
fn a_wait_says_when_it_is_terminated_and_panics_when_polled_then() {
    let (cell, task) = (OnceCell::new(), Probe::new());
    let mut wait = task.start(cell.wait());
    assert!(!wait.is_terminated());
    cell.set(1).unwrap();
    assert!(!wait.is_terminated());
    task.ready(&mut wait);
    assert!(wait.is_terminated());
    assert_eq!(poll_panics(&mut wait, &task), "polled after completion");
}

#[test]
fn threads_and_tasks_wait_for_one_value() {
    static CELL: OnceCell<String> = OnceCell::new();
    let task = Probe::new();
    let mut wait = task.start(CELL.wait());
    let blocked: Vec<_> = (0..3).map(|_| thread::spawn(|| CELL.wait_blocking().len())).collect();
    let racing: Vec<_> =
        (0..3).map(|_| thread::spawn(|| block_on(CELL.get_or_init(async || "four".into())).len())).collect();
    for thread in blocked.into_iter().chain(racing) {
        assert_eq!(thread.join().unwrap(), 4);
    }
    assert_eq!(task.ready(&mut wait), "four");
}

/// Initializers that fail, give up or are dropped: one at a time, and in the end one value.
#[test]
fn threads_that_race_to_initialize_get_one_value() {
    for round in 0..if cfg!(miri) { 5 } else { 500 } {
        let (cell, working) = (OnceCell::new(), AtomicUsize::new(0));
        thread::scope(|s| {
            for me in 0..4_usize {
                let (cell, working) = (&cell, &working);
                s.spawn(move || {
                    let task = Probe::new();
                    let make = async || {
                        assert_eq!(working.fetch_add(1, SeqCst), 0, "two initializers at once");
                        let _leaves = OnDrop(|| _ = working.fetch_sub(1, SeqCst));
                        match (me + round) % 4 {
                            0 => Err(()),
                            1 => pending().await,
                            _ => Ok(me),
                        }
                    };
                    let _ = task.poll(&mut Box::pin(cell.get_or_try_init(make)));
                    let _ = task.poll(&mut Box::pin(cell.wait()));
                    if me == 3 {
                        let _ = cell.set(3);
                    }
                    assert_eq!(block_on(cell.get_or_init(async || me)), cell.wait_blocking());
                });
            }
        });
        assert!(cell.is_initialized());
    }
}

// ---- cost

#[test]
fn a_cell_allocates_nothing() {
    let (tasks, go) = (Probe::many(3), Event::new());
    let (allocated, ()) = allocations(|| {
        let cell = OnceCell::new();
        let mut first = core::pin::pin!(cell.get_or_init(async || {
            go.wait().await;
            1
        }));
        let mut second = core::pin::pin!(cell.get_or_init(async || 2));
        let mut third = core::pin::pin!(cell.wait());
        assert!(tasks[0].poll_pinned(first.as_mut()).is_pending());
        assert!(tasks[1].poll_pinned(second.as_mut()).is_pending());
        assert!(tasks[2].poll_pinned(third.as_mut()).is_pending());
        go.set();
        assert!(tasks[0].poll_pinned(first.as_mut()).is_ready());
        assert!(tasks[1].poll_pinned(second.as_mut()).is_ready());
        assert!(tasks[2].poll_pinned(third.as_mut()).is_ready());
        let other = OnceCell::new();
        assert!(other.set(1).is_ok() && other.set(2).is_err() && other.get().is_some());
    });
    assert_eq!((allocated, wakes(&tasks)), (0, vec![1; 3]));
    assert!(tasks.iter().all(|task| task.clones() == 1));
}

// ---- wakers that panic or call back

#[test]
fn panicking_wakers_among_forty_strand_nobody() {
    for bad in [0, 1, 31, 32, 39] {
        for initializers in [false, true] {
            let (cell, go, tasks) = (OnceCell::new(), Event::new(), Probe::many(40));
            let first = Probe::new().start(stuck(&cell));
            let line = |task: &Probe| task.start(if initializers { init(&cell, &go, 1) } else { waits(&cell) });
            let mut waiters: Vec<_> = tasks.iter().map(line).collect();
            tasks[bad].on_wake(|| panic!("bad waker"));
            if initializers && bad == 0 {
                assert_eq!(panics(|| drop(first)), "bad waker"); // it is offered the turn
                assert_eq!(cell.set(7), Ok(()));
            } else {
                drop(first);
                assert_eq!(panics(|| cell.set(7)), "bad waker");
            }
            assert_eq!(wakes(&tasks), [1; 40], "{bad} {initializers}");
            for (task, waiter) in tasks.iter().zip(&mut waiters) {
                assert_eq!(task.ready(waiter), 7);
            }
        }
    }
}

#[test]
fn a_panicking_clone_leaves_the_cell_usable() {
    let (cell, go, bad, good) = (OnceCell::new(), Event::new(), Probe::new(), Probe::new());
    bad.on_clone(|| panic!("bad clone"));
    let mut value = waits(&cell);
    assert_eq!(poll_panics(&mut value, &bad), "bad clone");
    drop(value);
    let first = good.start(stuck(&cell));
    let mut second = init(&cell, &go, 2);
    assert_eq!(poll_panics(&mut second, &bad), "bad clone");
    drop(second);
    let mut third = good.start(init(&cell, &go, 3));
    drop(first);
    go.set();
    assert_eq!(good.ready(&mut third), 3);
}

#[test]
fn a_waker_may_do_everything_to_the_cell() {
    for way in 0..3 {
        let (cell, tasks) = (Arc::new(OnceCell::new()), Probe::many(80));
        let wait = |i: usize| -> Pin<Box<dyn Future<Output = usize> + Send>> {
            let cell = cell.clone();
            match i % 2 {
                0 => Box::pin(async move { *cell.wait().await }),
                _ => Box::pin(async move { *cell.get_or_init(pending).await }),
            }
        };
        let slots: Vec<_> = (0..80).map(|i| Slot::new(wait(i))).collect();
        let (inner, victim, busy) = (cell.clone(), slots[70].clone(), StdMutex::new(false));
        let hook = move || {
            if !core::mem::replace(&mut *busy.lock().unwrap(), true) {
                let _ = (inner.set(9), inner.get(), format!("{inner:?}"), victim.cancel());
                let (late, task) = (inner.clone(), Probe::new());
                let _ = task.poll(&mut Box::pin(async move { *late.wait().await }));
                let _ = task.poll(&mut Box::pin(async { *inner.get_or_init(async || 8).await }));
            }
        };
        match way {
            0 => tasks[10].on_wake(hook),
            1 => tasks[10].on_clone(hook),
            _ => tasks[10].on_drop(hook),
        }
        for (task, slot) in tasks.iter().zip(&slots) {
            let _ = slot.poll(task.waker());
        }
        let other = Probe::new();
        let _ = slots[10].poll(other.waker());
        let _ = slots[10].poll(tasks[10].waker());
        // The one that has the turn ends, unless there is a value already.
        slots[1].cancel();
        let value = match cell.set(7) {
            Ok(()) => 7,
            Err(_) => *cell.get().unwrap(),
        };
        tasks[10].quiet();
        for (i, (task, slot)) in tasks.iter().zip(&slots).enumerate() {
            if let Some(poll) = slot.poll(task.waker()) {
                assert_eq!(poll, core::task::Poll::Ready(value), "{i} was left behind");
            }
        }
        assert!(tasks.iter().all(|task| task.kept() == 0));
    }
}

#[test]
fn tasks_that_are_polled_by_their_wakers_all_get_the_value() {
    let cell = Arc::new(OnceCell::new());
    let go = Arc::new(Event::new());
    let task = |_| {
        let (cell, go) = (cell.clone(), go.clone());
        Inline::spawn(async move {
            let make = async || {
                go.wait().await;
                1
            };
            assert_eq!(cell.get_or_init(make).await, &1);
            assert_eq!(cell.wait().await, &1);
        })
    };
    let tasks: Vec<_> = (0..100).map(task).collect();
    go.set();
    assert!(tasks.iter().all(|task| task.is_done()));
}

// ---- types

#[test]
fn futures_of_a_shared_cell_are_send() {
    fn is_send<T: Send>(_: T) {}
    let cell = OnceCell::<u32>::new();
    is_send(cell.wait());
    is_send(cell.get_or_init(async || 1));
    is_send(cell.get_or_try_init(async || Ok::<_, ()>(1)));
}

#[test]
fn a_cell_may_be_seen_after_a_panic_if_its_value_may() {
    fn is_safe<T: UnwindSafe + RefUnwindSafe>(_: &T) {}
    is_safe(&OnceCell::<u32>::new());
}

/// A cell borrows like its value: for a shorter time than it lives.
#[test]
fn a_cell_may_hold_a_reference() {
    let text = String::from("text");
    let cell = OnceCell::new();
    cell.set(text.as_str()).unwrap();
    assert_eq!(block_on(cell.wait()), &"text");
}
