//! `Barrier`: the behaviours of `asyncio.Barrier`, by their ids in the inventory, and what is ours.
use core::{error::Error, future::Future, pin::Pin};
use std::{
    rc::Rc,
    sync::{
        Arc, Mutex as StdMutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::*},
    },
    thread,
};

use futures_core::FusedFuture;
use testudo::{Barrier, BarrierTurn, BrokenBarrier, run::block_on, sync::BarrierWait};

use crate::support::{Inline, Probe, Slot, allocations, panics, permutations, poll_panics, wakes};

type Turn = Result<BarrierTurn, BrokenBarrier>;
type Waits<'a> = Vec<Pin<Box<BarrierWait<&'a Barrier>>>>;

/// All of `tasks` in line.
fn line<'a>(barrier: &'a Barrier, tasks: &[Probe]) -> Waits<'a> {
    tasks.iter().map(|task| task.start(barrier.wait())).collect()
}

/// What all are told now.
#[track_caller]
fn told(tasks: &[Probe], waits: &mut Waits<'_>) -> Vec<Turn> {
    tasks.iter().zip(waits).map(|(task, wait)| task.ready(wait)).collect()
}

fn indices(turns: &[Turn]) -> Vec<usize> {
    turns.iter().map(|turn| turn.unwrap().index).collect()
}

// BARR-01
#[test]
fn a_barrier_needs_a_party() {
    assert_eq!(panics(|| Barrier::new(0)), "a barrier needs at least one party");
    assert_eq!(panics(|| Barrier::new(usize::MAX)), "too many parties for a barrier");
    assert_eq!(Barrier::new(1).parties(), 1);
}

// BARR-02, BARR-06
#[test]
fn waits_are_pending_until_the_last_party_comes() {
    for parties in [2, 3, 32, 33, 34, 65, 100] {
        let (barrier, tasks, last) = (Barrier::new(parties), Probe::many(parties - 1), Probe::new());
        let mut waits = vec![];
        for (at, task) in tasks.iter().enumerate() {
            assert_eq!(barrier.waiting(), at);
            waits.push(task.start(barrier.wait()));
        }
        assert_eq!((barrier.waiting(), wakes(&tasks)), (parties - 1, vec![0; parties - 1]));
        let turn = last.now(barrier.wait()).unwrap();
        assert_eq!((barrier.waiting(), last.clones()), (0, 0), "the last one does not wait");
        assert_eq!(wakes(&tasks), vec![1; parties - 1]);
        // BARR-03
        assert_eq!(indices(&told(&tasks, &mut waits)), (0..parties - 1).collect::<Vec<_>>());
        assert_eq!((turn.index, turn.is_leader()), (parties - 1, true));
    }
}

// BARR-03
#[test]
fn one_party_of_each_round_is_the_leader() {
    let barrier = Barrier::new(3);
    for _ in 0..3 {
        let tasks = Probe::many(2);
        let mut waits = line(&barrier, &tasks);
        assert!(Probe::new().now(barrier.wait()).unwrap().is_leader());
        assert!(told(&tasks, &mut waits).iter().all(|turn| !turn.unwrap().is_leader()));
    }
}

#[test]
fn the_order_in_which_they_are_polled_later_does_not_matter() {
    for order in permutations(4) {
        let (barrier, tasks) = (Barrier::new(5), Probe::many(4));
        let mut waits = line(&barrier, &tasks);
        Probe::new().now(barrier.wait()).unwrap();
        for i in order {
            assert_eq!(tasks[i].ready(&mut waits[i]).unwrap().index, i);
        }
    }
}

// BARR-04
#[test]
fn one_party_never_waits() {
    let (barrier, task) = (Barrier::new(1), Probe::new());
    for _ in 0..3 {
        let turn = task.now(barrier.wait()).unwrap();
        assert_eq!((turn.index, turn.is_leader(), barrier.waiting()), (0, true, 0));
    }
    assert_eq!(task.clones(), 0);
}

// BARR-05
#[test]
fn the_same_tasks_may_wait_again_at_once() {
    let (barrier, tasks) = (Barrier::new(2), Probe::many(2));
    for round in 0..5 {
        let (early, late) = (&tasks[round % 2], &tasks[(round + 1) % 2]);
        let mut wait = early.start(barrier.wait());
        assert_eq!(late.now(barrier.wait()).unwrap().index, 1);
        assert_eq!(early.ready(&mut wait).unwrap().index, 0);
    }
}

// BARR-07: there is no draining
#[test]
fn the_next_round_may_begin_and_end_before_the_last_one_has_left() {
    let (barrier, tasks) = (Barrier::new(2), Probe::many(4));
    let mut waits: Waits<'_> = vec![];
    for task in &tasks {
        waits.push(task.start(barrier.wait()));
        assert_eq!(Probe::new().now(barrier.wait()).unwrap().index, 1);
    }
    let mut next = Probe::new().start(barrier.wait());
    assert_eq!(indices(&told(&tasks, &mut waits)), [0; 4]);
    assert_eq!(barrier.waiting(), 1);
    Probe::new().pends(&mut next);
}

/// Each waker polls its task, which waits again at once: in the middle of the release of the round before.
#[test]
fn who_comes_back_while_a_round_is_released_belongs_to_the_next() {
    for parties in [2, 3, 40, 100] {
        let (barrier, log) = (Arc::new(Barrier::new(parties)), Arc::new(StdMutex::new(Vec::new())));
        let task = |_| {
            let (barrier, log) = (barrier.clone(), log.clone());
            Inline::spawn(async move {
                for round in 0..3 {
                    let turn = barrier.wait().await.unwrap();
                    log.lock().unwrap().push((round, turn.index));
                }
            })
        };
        let tasks: Vec<_> = (0..parties).map(task).collect();
        assert!(tasks.iter().all(|task| task.is_done()), "{parties}");
        let mut log = log.lock().unwrap().clone();
        log.sort_unstable();
        let all: Vec<_> = (0..3).flat_map(|round| (0..parties).map(move |index| (round, index))).collect();
        assert_eq!(log, all);
        assert_eq!(barrier.waiting(), 0);
    }
}

// BARR-08, BARR-19
#[test]
fn nothing_is_held_after_a_wait() {
    let barrier = Barrier::new(1);
    assert_eq!(panics(|| block_on(async { barrier.wait().await.map(|_| panic!("in the body")) })), "in the body");
    assert!(!barrier.is_broken() && block_on(barrier.wait()).is_ok());
}

// BARR-09, BARR-10
#[test]
fn a_cancelled_arrival_is_withdrawn() {
    let (barrier, gone, stays) = (Barrier::new(2), Probe::new(), Probe::new());
    drop(gone.start(barrier.wait()));
    assert_eq!((barrier.waiting(), barrier.is_broken(), gone.kept()), (0, false, 0));
    let mut wait = stays.start(barrier.wait());
    stays.pends(&mut wait);
    assert_eq!((barrier.waiting(), stays.wakes()), (1, 0));
    // Somebody else takes the place.
    assert_eq!(gone.now(barrier.wait()).unwrap().index, 1);
    assert_eq!(stays.ready(&mut wait).unwrap().index, 0);
}

// BARR-09
#[test]
fn the_others_wait_on_when_one_is_cancelled() {
    for n in [3, 40] {
        for gone in [0, 1, n / 2, n - 2] {
            let (barrier, tasks) = (Barrier::new(n), Probe::many(n - 1));
            let mut waits: Vec<_> = line(&barrier, &tasks).into_iter().map(Some).collect();
            waits[gone] = None;
            assert_eq!(barrier.waiting(), n - 2);
            let new = Probe::new();
            let mut wait = new.start(barrier.wait());
            assert_eq!(wakes(&tasks), vec![0; n - 1]);
            assert_eq!(Probe::new().now(barrier.wait()).unwrap().index, n - 1);
            let mut left = vec![];
            for (task, wait) in tasks.iter().zip(&mut waits) {
                left.extend(wait.as_mut().map(|wait| task.ready(wait)));
            }
            left.push(new.ready(&mut wait));
            // BARR-13: asyncio gives an index twice here
            assert_eq!(indices(&left), (0..n - 1).collect::<Vec<_>>());
        }
    }
}

#[test]
fn who_is_cancelled_after_the_release_had_its_turn() {
    let (barrier, tasks) = (Barrier::new(3), Probe::many(2));
    let mut waits = line(&barrier, &tasks);
    Probe::new().now(barrier.wait()).unwrap();
    drop(waits.remove(0));
    let mut next = tasks[0].start(barrier.wait());
    assert_eq!(tasks[1].ready(&mut waits[0]).unwrap().index, 1);
    tasks[0].pends(&mut next);
    assert_eq!((barrier.waiting(), tasks[0].kept()), (1, 1));
}

/// A waker cancels somebody who was not told yet.
#[test]
fn who_is_cancelled_in_the_middle_of_a_release_takes_an_index_along() {
    for gone in [1, 20, 31, 32, 33, 50, 98] {
        let (barrier, tasks) = (Arc::new(Barrier::new(100)), Probe::many(99));
        let slots: Vec<_> = (0..99).map(|_| Slot::new(Barrier::wait_with(barrier.clone()))).collect();
        let victim = slots[gone].clone();
        tasks[0].on_wake(move || _ = victim.cancel());
        for (task, slot) in tasks.iter().zip(&slots) {
            assert!(slot.poll(task.waker()).unwrap().is_pending());
        }
        assert_eq!(Probe::new().now(barrier.wait()).unwrap().index, 99);
        let mut seen = vec![];
        for (i, (task, slot)) in tasks.iter().zip(&slots).enumerate() {
            match slot.poll(task.waker()) {
                Some(core::task::Poll::Ready(turn)) => seen.push(turn.unwrap().index),
                other => assert!(other.is_none() && i == gone, "{i} was left behind"),
            }
        }
        assert!(seen.is_sorted_by(|a, b| a < b) && seen.len() == 98 && seen[97] <= 98, "{gone}: {seen:?}");
        assert_eq!(barrier.waiting(), 0);
    }
}

// BARR-11
#[test]
fn reset_with_nobody_waiting_changes_nothing() {
    let (barrier, tasks) = (Barrier::new(2), Probe::many(1));
    barrier.reset();
    assert!(!barrier.is_broken());
    let mut waits = line(&barrier, &tasks);
    assert!(Probe::new().now(barrier.wait()).is_ok());
    barrier.reset();
    assert!(told(&tasks, &mut waits)[0].is_ok());
}

// BARR-12
#[test]
fn reset_breaks_the_waits_of_now_and_leaves_the_barrier_usable() {
    for n in [2, 3, 33, 34, 100] {
        let (barrier, tasks) = (Barrier::new(n), Probe::many(n - 1));
        let mut waits = line(&barrier, &tasks);
        barrier.reset();
        assert_eq!((barrier.waiting(), barrier.is_broken(), wakes(&tasks)), (0, false, vec![1; n - 1]));
        // The same tasks at once, before they have seen the error.
        let mut again = line(&barrier, &tasks);
        assert!(told(&tasks, &mut waits).iter().all(Result::is_err));
        assert_eq!(barrier.waiting(), n - 1);
        Probe::new().now(barrier.wait()).unwrap();
        assert!(told(&tasks, &mut again).iter().all(Result::is_ok));
    }
}

// BARR-14, BARR-15, BARR-17
#[test]
fn a_complete_round_is_released_for_good() {
    for f in [Barrier::reset, Barrier::abort] {
        let (barrier, tasks, next) = (Barrier::new(3), Probe::many(2), Probe::new());
        let mut waits = line(&barrier, &tasks);
        Probe::new().now(barrier.wait()).unwrap();
        let mut late = next.start(barrier.wait());
        f(&barrier);
        assert!(told(&tasks, &mut waits).iter().all(Result::is_ok));
        assert!(next.ready(&mut late).is_err(), "the round of now is broken");
    }
}

/// A waker breaks the barrier in the middle of a release: the rest of that round goes on.
#[test]
fn a_round_that_is_being_released_is_released_for_good() {
    for f in [Barrier::reset, Barrier::abort] {
        let (barrier, tasks) = (Arc::new(Barrier::new(100)), Probe::many(99));
        let breaks = barrier.clone();
        tasks[0].on_wake(move || f(&breaks));
        let mut waits = line(&barrier, &tasks);
        Probe::new().now(barrier.wait()).unwrap();
        assert_eq!(indices(&told(&tasks, &mut waits)), (0..99).collect::<Vec<_>>());
        assert_eq!(wakes(&tasks), [1; 99]);
    }
}

// BARR-16
#[test]
fn abort_breaks_the_waits_of_now_and_all_later_ones() {
    for n in [2, 3, 33, 34, 100] {
        let (barrier, tasks, late) = (Barrier::new(n), Probe::many(n - 1), Probe::new());
        let mut waits = line(&barrier, &tasks);
        barrier.abort();
        assert_eq!((barrier.waiting(), barrier.is_broken(), wakes(&tasks)), (0, true, vec![1; n - 1]));
        assert!(told(&tasks, &mut waits).iter().all(Result::is_err));
        for _ in 0..n {
            assert!(late.now(barrier.wait()).is_err());
        }
        assert_eq!(late.clones(), 0);
        barrier.abort();
        assert!(barrier.is_broken());
    }
    let one = Barrier::new(1);
    one.abort();
    assert!(block_on(one.wait()).is_err());
}

// BARR-18
#[test]
fn reset_mends_a_broken_barrier() {
    let (barrier, tasks) = (Barrier::new(2), Probe::many(1));
    barrier.abort();
    barrier.reset();
    assert!(!barrier.is_broken());
    let mut waits = line(&barrier, &tasks);
    assert!(Probe::new().now(barrier.wait()).is_ok());
    assert!(told(&tasks, &mut waits)[0].is_ok());
}

// BARR-20
#[test]
fn a_barrier_shows_how_many_wait_and_whether_it_is_broken() {
    let (barrier, task) = (Barrier::new(2), Probe::new());
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 2, waiting: 0, broken: false }");
    let wait = task.start(barrier.wait());
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 2, waiting: 1, broken: false }");
    assert!(format!("{wait:?}").starts_with("BarrierWait") && format!("{wait:?}").contains("Waiting"));
    barrier.abort();
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 2, waiting: 0, broken: true }");
}

#[test]
fn the_error_says_what_happened() {
    let barrier = Barrier::new(2);
    barrier.abort();
    let error: Box<dyn Error + Send + Sync> = Box::new(block_on(barrier.wait()).unwrap_err());
    assert_eq!(error.to_string(), "the barrier was broken or reset");
}

#[test]
fn a_wait_arrives_at_its_first_poll() {
    let (barrier, task) = (Barrier::new(2), Probe::new());
    let mut idle = Box::pin(barrier.wait());
    drop(Box::pin(barrier.wait()));
    assert_eq!(barrier.waiting(), 0);
    task.pends(&mut idle);
    task.pends(&mut idle);
    assert_eq!((barrier.waiting(), task.clones()), (1, 1), "polled twice, it has arrived once");
    // Begun before, polled after: it is broken by what happened in between only if that still holds.
    let mut late = Box::pin(barrier.wait());
    barrier.reset();
    assert!(task.ready(&mut idle).is_err());
    task.pends(&mut late);
}

#[test]
fn a_wait_may_change_its_task() {
    let (barrier, old, new) = (Barrier::new(2), Probe::new(), Probe::new());
    let mut wait = old.start(barrier.wait());
    new.pends(&mut wait);
    assert_eq!((old.kept(), new.kept()), (0, 1));
    Probe::new().now(barrier.wait()).unwrap();
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
    new.ready(&mut wait).unwrap();
}

#[test]
fn a_wait_says_when_it_is_terminated_and_panics_when_polled_then() {
    let (barrier, task) = (Barrier::new(2), Probe::new());
    let mut wait = task.start(barrier.wait());
    let mut last = Box::pin(barrier.wait());
    assert!(!wait.is_terminated() && !last.is_terminated());
    task.ready(&mut last).unwrap();
    task.ready(&mut wait).unwrap();
    assert!(wait.is_terminated() && last.is_terminated());
    assert_eq!(poll_panics(&mut wait, &task), "polled after completion");
    assert_eq!(poll_panics(&mut last, &task), "polled after completion");
    assert_eq!(barrier.waiting(), 0);
}

#[test]
fn a_wait_may_own_its_barrier() {
    let shared = Arc::new(Barrier::new(2));
    let task = Probe::new();
    let mut wait = task.start(Barrier::wait_with(shared.clone()));
    task.now(Barrier::wait_with(shared)).unwrap();
    task.ready(&mut wait).unwrap();

    let local = Rc::new(Barrier::new(2));
    let gone = task.start(Barrier::wait_with(local.clone()));
    drop(gone);
    assert_eq!((local.waiting(), Rc::strong_count(&local)), (0, 1));
}

#[test]
fn threads_and_tasks_wait_in_one_line() {
    static BARRIER: Barrier = Barrier::new(4);
    let task = Probe::new();
    let mut wait = task.start(BARRIER.wait());
    let threads: Vec<_> = (0..3).map(|_| thread::spawn(|| BARRIER.wait_blocking().unwrap().index)).collect();
    let mut seen: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!((seen, task.ready(&mut wait).unwrap().index), (vec![1, 2, 3], 0));
}

/// Each round has one leader, and sees what all did before it.
#[test]
fn rounds_of_threads_do_not_mix() {
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 2000 };
    let (barrier, leaders, steps) = (Barrier::new(3), AtomicUsize::new(0), [const { AtomicUsize::new(0) }; 3]);
    let done = AtomicBool::new(false);
    thread::scope(|s| {
        let meets: Vec<_> = (0..3)
            .map(|me| {
                let (barrier, leaders, steps) = (&barrier, &leaders, &steps);
                s.spawn(move || {
                    for round in 0..ROUNDS {
                        steps[me].store(2 * round + 1, Relaxed);
                        let turn = barrier.wait_blocking().unwrap();
                        leaders.fetch_add(usize::from(turn.is_leader()), Relaxed);
                        assert!(steps.iter().all(|step| step.load(Relaxed) > 2 * round));
                        steps[me].store(2 * round + 2, Relaxed);
                        barrier.wait_blocking().unwrap();
                    }
                })
            })
            .collect();
        s.spawn(|| {
            while !done.load(Relaxed) {
                assert!(barrier.waiting() < 3 && !barrier.is_broken());
                thread::yield_now();
            }
        });
        meets.into_iter().for_each(|meet| meet.join().unwrap());
        done.store(true, Relaxed);
    });
    assert_eq!((leaders.into_inner(), barrier.waiting()), (ROUNDS, 0));
}

/// Visitors that give up, aborts and resets: whoever waits is told in the end, and nothing is left behind.
#[test]
fn threads_that_arrive_give_up_and_break_the_barrier_leave_it_as_new() {
    let barrier = Barrier::new(2);
    let running = AtomicUsize::new(4);
    thread::scope(|s| {
        for me in 0..4 {
            let (barrier, running) = (&barrier, &running);
            s.spawn(move || {
                let task = Probe::new();
                for round in 0..if cfg!(miri) { 20 } else { 5000 } {
                    let mut wait = Box::pin(barrier.wait());
                    match (task.poll(&mut wait).is_ready(), (round + me) % 5) {
                        (true, _) | (_, 0 | 1) => {}
                        (_, 2) => drop(block_on(wait)),
                        (_, 3) => barrier.reset(),
                        _ => drop(task.poll(&mut wait)),
                    }
                }
                running.fetch_sub(1, Relaxed);
            });
        }
        // Those that wait alone at the end are sent home.
        while running.load(Relaxed) > 0 {
            barrier.abort();
            barrier.reset();
            thread::yield_now();
        }
    });
    assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
    let mut wait = Probe::new().start(barrier.wait());
    assert!(Probe::new().now(barrier.wait()).is_ok() && Probe::new().ready(&mut wait).is_ok());
}

// ---- cost

#[test]
fn a_round_costs_one_wake_one_clone_and_two_polls_for_each_but_the_last() {
    for parties in [2, 100] {
        let (barrier, tasks, last) = (Barrier::new(parties), Probe::many(parties - 1), Probe::new());
        let mut waits: Waits<'_> = tasks.iter().map(|_| Box::pin(barrier.wait())).collect();
        let (allocated, ()) = allocations(|| {
            for (task, wait) in tasks.iter().zip(&mut waits) {
                task.pends(wait);
            }
            last.now(barrier.wait()).unwrap();
            for (task, wait) in tasks.iter().zip(&mut waits) {
                task.ready(wait).unwrap();
            }
            barrier.reset();
            barrier.abort();
        });
        assert_eq!(allocated, 0);
        assert!(tasks.iter().all(|task| task.clones() == 1 && task.wakes() == 1 && task.kept() == 0));
        assert_eq!((last.clones(), last.wakes()), (0, 0));
    }
}

// ---- wakers that panic

#[test]
fn panicking_wakers_among_forty_strand_nobody() {
    for bad in [0, 1, 31, 32, 38] {
        for how in 0..3 {
            let (barrier, tasks, last) = (Barrier::new(40), Probe::many(39), Probe::new());
            tasks[bad].on_wake(|| panic!("bad waker"));
            let mut waits = line(&barrier, &tasks);
            match how {
                0 => assert_eq!(panics(|| barrier.abort()), "bad waker"),
                1 => assert_eq!(panics(|| barrier.reset()), "bad waker"),
                _ => {
                    let mut wait = Box::pin(barrier.wait());
                    assert_eq!(poll_panics(&mut wait, &last), "bad waker");
                    // It had its turn, of which it may be told yet.
                    assert_eq!(last.ready(&mut wait).unwrap().index, 39);
                }
            }
            assert_eq!(wakes(&tasks), [1; 39]);
            assert_eq!(
                told(&tasks, &mut waits).iter().filter(|turn| turn.is_ok()).count(),
                if how == 2 { 39 } else { 0 }
            );
            barrier.reset();
            let mut again = line(&barrier, &tasks[..2]);
            assert_eq!(barrier.waiting(), 2);
            tasks[bad].quiet();
            barrier.reset();
            assert!(told(&tasks[..2], &mut again).iter().all(Result::is_err));
        }
    }
}

#[test]
fn a_panicking_clone_is_no_arrival() {
    let (barrier, bad, good) = (Barrier::new(2), Probe::new(), Probe::new());
    bad.on_clone(|| panic!("bad clone"));
    let mut wait = Box::pin(barrier.wait());
    assert_eq!(poll_panics(&mut wait, &bad), "bad clone");
    assert_eq!(barrier.waiting(), 0);
    good.pends(&mut wait);
    assert_eq!(poll_panics(&mut wait, &bad), "bad clone");
    assert_eq!(barrier.waiting(), 1);
    let mut other = Box::pin(barrier.wait());
    assert!(bad.ready(&mut other).is_ok() && good.ready(&mut wait).is_ok());
    let mut dropped = Box::pin(barrier.wait());
    assert_eq!(poll_panics(&mut dropped, &bad), "bad clone");
    drop(dropped);
    assert_eq!(barrier.waiting(), 0);
}

#[test]
fn a_panicking_drop_of_a_waker_withdraws_the_arrival_all_the_same() {
    let (barrier, bad, good) = (Barrier::new(3), Probe::new(), Probe::new());
    bad.on_drop(|| panic!("bad drop"));
    let gone = bad.start(barrier.wait());
    let mut stays = good.start(barrier.wait());
    assert_eq!(panics(|| drop(gone)), "bad drop");
    assert_eq!(barrier.waiting(), 1);
    bad.quiet();
    let mut other = bad.start(barrier.wait());
    assert!(good.now(barrier.wait()).is_ok() && good.ready(&mut stays).is_ok() && bad.ready(&mut other).is_ok());
}

// ---- wakers that call back

/// A line of 40 around one whose waker calls `act` when it is woken, cloned or dropped; then the barrier is reset.
fn in_a_line(act: impl Fn(&Arc<Barrier>) + Send + Sync + Copy + 'static) {
    for way in 0..3 {
        for at in [0, 20, 39] {
            let (barrier, tasks) = (Arc::new(Barrier::new(41)), Probe::many(40));
            let inner = barrier.clone();
            let busy = AtomicBool::new(false);
            let hook = move || {
                if !busy.swap(true, SeqCst) {
                    act(&inner);
                }
            };
            match way {
                0 => tasks[at].on_wake(hook),
                1 => tasks[at].on_clone(hook),
                _ => tasks[at].on_drop(hook),
            }
            let mut waits: Waits<'_> = tasks.iter().map(|_| Box::pin(barrier.wait())).collect();
            let mut done = [false; 40];
            for i in 0..40 {
                done[i] = tasks[i].poll(&mut waits[i]).is_ready();
            }
            // Another waker comes and goes.
            if !done[at] {
                let other = Probe::new();
                done[at] = other.poll(&mut waits[at]).is_ready() || tasks[at].poll(&mut waits[at]).is_ready();
            }
            barrier.reset();
            tasks[at].quiet();
            for i in 0..40 {
                if !done[i] {
                    assert!(tasks[i].ready(&mut waits[i]).is_ok() || tasks[i].wakes() > 0, "{i} of {at}");
                }
            }
            barrier.reset();
            assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
            assert!(tasks.iter().all(|task| task.kept() == 0));
        }
    }
}

#[test]
fn a_waker_may_reset_the_barrier() {
    in_a_line(|barrier| barrier.reset());
}

#[test]
fn a_waker_may_abort_and_reset_the_barrier() {
    in_a_line(|barrier| {
        barrier.abort();
        assert!(barrier.is_broken() && barrier.waiting() == 0);
        barrier.reset();
    });
}

#[test]
fn a_waker_may_arrive_and_withdraw() {
    in_a_line(|barrier| {
        let task = Probe::new();
        let mut wait = Box::pin(Barrier::wait_with(barrier.clone()));
        if task.poll(&mut wait).is_pending() {
            assert!(barrier.waiting() > 0 && format!("{barrier:?}").starts_with("Barrier"));
        }
    });
}

#[test]
fn a_waker_may_cancel_all_the_others() {
    for at in [0, 20, 38] {
        let (barrier, tasks) = (Arc::new(Barrier::new(80)), Probe::many(79));
        let slots: Vec<_> = (0..79).map(|_| Slot::new(Barrier::wait_with(barrier.clone()))).collect();
        let all = slots.clone();
        tasks[at].on_wake(move || all.iter().for_each(|slot| _ = slot.cancel()));
        for (task, slot) in tasks.iter().zip(&slots) {
            assert!(slot.poll(task.waker()).unwrap().is_pending());
        }
        Probe::new().now(barrier.wait()).unwrap();
        assert!(tasks.iter().all(|task| task.kept() == 0));
        assert_eq!(barrier.waiting(), 0);
        let mut wait = tasks[0].start(barrier.wait());
        tasks[0].pends(&mut wait);
    }
}

/// A future that was not polled since it was released keeps nobody.
#[test]
fn a_released_wait_that_is_not_polled_holds_up_nobody() {
    let (barrier, tasks) = (Barrier::new(2), Probe::many(2));
    let kept = tasks[0].start(barrier.wait());
    tasks[1].now(barrier.wait()).unwrap();
    for _ in 0..3 {
        let mut wait = tasks[1].start(barrier.wait());
        tasks[1].now(barrier.wait()).unwrap();
        tasks[1].ready(&mut wait).unwrap();
    }
    drop(kept);
}

fn _is_send<F: Future + Send>(_: F) {}

#[test]
fn waits_of_every_handle_are_send() {
    _is_send(Barrier::new(1).wait());
    _is_send(Barrier::wait_with(Arc::new(Barrier::new(1))));
}
