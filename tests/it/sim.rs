//! `run::Sim`: order, virtual time, stalls, policies; `sim/tasks.rs` has the rest.
use core::{
    cell::{Cell, OnceCell, RefCell},
    future::{Future, pending, poll_fn, ready},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use std::{
    rc::Rc,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use futures_core::FusedFuture;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use testudo::run::{Blocked, Cancelled, Clock, External, Policy, Sim, SimBuilder, Sleep, Spawner, Stall, Task};

use crate::support::{allocations, panics};

mod cancel;
mod check;
mod tasks;
mod time;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

type Log = Rc<RefCell<Vec<String>>>;

fn log(log: &Log, line: impl Into<String>) {
    log.borrow_mut().push(line.into());
}

/// Lets every task that can run now run once.
fn yield_now(clock: &Clock) -> Sleep {
    clock.sleep(Duration::ZERO)
}

/// Returns the waker of the task that awaits it.
async fn waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

/// Is pending until the flag is set; leaves its waker.
async fn flag(flag: Rc<(Cell<bool>, RefCell<Option<Waker>>)>) {
    poll_fn(|cx| {
        flag.1.replace(Some(cx.waker().clone()));
        if flag.0.get() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Calls a function when dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

// ---- order

async fn counter(out: Log, clock: Clock, name: &'static str, n: u32) -> &'static str {
    for i in 0..n {
        log(&out, format!("{name}{i}"));
        yield_now(&clock).await;
    }
    name
}

async fn sleeper(out: Log, clock: Clock, name: &'static str, d: u64) {
    clock.sleep(secs(d)).await;
    log(&out, format!("{name}@{d}"));
}

async fn parent(out: Log, clock: Clock, spawner: Spawner) {
    log(&out, "p");
    let a = spawner.spawn(counter(out.clone(), clock.clone(), "x", 2));
    let b = spawner.spawn(counter(out.clone(), clock.clone(), "y", 1));
    log(&out, "p2");
    log(&out, format!("got {}", a.await.unwrap()));
    log(&out, format!("got {}", b.await.unwrap()));
    clock.sleep(secs(2)).await;
    log(&out, "p3");
}

/// Recorded from CPython 3.13.0, the same program with `create_task`, `sleep`, and a loop with a virtual clock.
#[test]
fn tasks_run_in_the_order_of_asyncio() {
    let (sim, out) = (Sim::new(), Log::default());
    let (clock, spawner) = (sim.clock(), sim.spawner());
    sim.spawn(counter(out.clone(), clock.clone(), "e", 2)).detach();
    let main = async {
        log(&out, "m");
        let p = spawner.spawn(parent(out.clone(), clock.clone(), spawner.clone()));
        let sleepers =
            [("s", 3), ("t", 1), ("u", 2)].map(|(name, d)| spawner.spawn(sleeper(out.clone(), clock.clone(), name, d)));
        let c = spawner.spawn(counter(out.clone(), clock.clone(), "c", 3));
        yield_now(&clock).await;
        log(&out, "m2");
        p.await.unwrap();
        for task in sleepers {
            task.await.unwrap();
        }
        c.await.unwrap();
        log(&out, "m3");
    };
    sim.block_on(main).unwrap();
    let cpython = "e0 m e1 p p2 c0 m2 x0 y0 c1 x1 c2 got_x got_y t@1 u@2 p3 s@3 m3";
    assert_eq!(out.take().join(" ").replace("got ", "got_"), cpython);
    assert_eq!(sim.now(), secs(3));
}

#[test]
fn tasks_woken_by_wakers_run_in_the_order_of_the_wakes() {
    let (sim, out) = (Sim::new(), Log::default());
    let wakers = Rc::new(RefCell::new(Vec::new()));
    for i in 0..5 {
        let (out, wakers) = (out.clone(), wakers.clone());
        let mut polls = 0;
        sim.spawn(poll_fn(move |cx| {
            polls += 1;
            if polls == 1 {
                wakers.borrow_mut().push(cx.waker().clone());
                return Poll::Pending;
            }
            log(&out, i.to_string());
            Poll::Ready(())
        }));
    }
    sim.run_until_stalled();
    for i in [3, 1, 4, 1, 3, 0, 2] {
        wakers.borrow()[i].wake_by_ref();
    }
    assert!(sim.run_until_stalled().is_none());
    assert_eq!(out.take().concat(), "31402");
    assert_eq!(sim.polls(), 10);
}

#[test]
fn a_task_woken_during_its_poll_is_queued_once() {
    let sim = Sim::new();
    let mut polls = 0;
    sim.block_on(poll_fn(|cx| {
        polls += 1;
        for _ in 0..3 {
            cx.waker().wake_by_ref();
            drop(cx.waker().clone());
        }
        if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
    }))
    .unwrap();
    assert_eq!((polls, sim.polls()), (2, 2));
    assert!(sim.run_until_stalled().is_none());
    assert_eq!(sim.polls(), 2, "the wake of the last poll is forgotten with the task");
}

#[test]
fn block_on_leaves_the_other_tasks_for_the_next_call() {
    let (sim, out) = (Sim::new(), Log::default());
    let task = sim.spawn(counter(out.clone(), sim.clock(), "a", 3));
    sim.block_on(async { log(&out, "first") }).unwrap();
    sim.block_on(async { log(&out, "second") }).unwrap();
    assert!(!task.is_finished());
    assert_eq!(sim.block_on(task).unwrap(), Ok("a"));
    assert_eq!(out.take().join(" "), "a0 first a1 second a2");
}

#[test]
fn a_hundred_thousand_tasks_run_quickly() {
    let sim = Sim::new();
    let clock = sim.clock();
    let sum = Rc::new(Cell::new(0_u64));
    let start = std::time::Instant::now();
    for i in 0..100_000 {
        let (clock, sum) = (clock.clone(), sum.clone());
        sim.spawn(async move {
            clock.sleep(Duration::from_nanos(i % 1000)).await;
            sum.set(sum.get() + i);
        });
    }
    assert!(sim.run_until_stalled().is_none());
    assert_eq!(sum.get(), 99_999 * 100_000 / 2);
    assert_eq!(sim.polls(), 200_000);
    assert!(start.elapsed() < secs(20), "{:?}", start.elapsed());
}

// ---- time

#[test]
fn equal_deadlines_fire_in_the_order_of_the_first_polls() {
    let (sim, out) = (Sim::new(), Log::default());
    let clock = sim.clock();
    let late = clock.sleep(secs(1));
    for (i, sleep) in [clock.sleep(secs(1)), clock.sleep(secs(1)), late].into_iter().enumerate() {
        let out = out.clone();
        sim.spawn(async move {
            sleep.await;
            log(&out, i.to_string());
        });
    }
    sim.run_until_stalled();
    assert_eq!(out.take().concat(), "012");
    assert_eq!(sim.polls(), 6);
}

#[test]
fn sleepers_wake_by_deadline_and_the_clock_jumps() {
    let (sim, out) = (Sim::new(), Log::default());
    for d in [5, 1, 4, 2, 3] {
        sim.spawn(sleeper(out.clone(), sim.clock(), "s", d));
    }
    assert!(sim.run_until_stalled().is_none());
    assert_eq!(out.take().join(" "), "s@1 s@2 s@3 s@4 s@5");
    assert_eq!(sim.now(), secs(5));
}

#[test]
fn a_sleep_of_zero_yields_once_to_everybody() {
    let (sim, out) = (Sim::new(), Log::default());
    for name in ["a", "b", "c"] {
        sim.spawn(counter(out.clone(), sim.clock(), name, 2));
    }
    sim.run_until_stalled();
    assert_eq!(out.take().join(" "), "a0 b0 c0 a1 b1 c1");
    assert_eq!((sim.now(), sim.polls()), (Duration::ZERO, 9));
}

#[test]
fn a_dropped_sleep_leaves_no_timer() {
    let sim = Sim::new();
    let clock = sim.clock();
    sim.block_on(async {
        let mut sleep = clock.sleep(secs(9));
        let mut sleep_pinned = pin!(clock.sleep(secs(8)));
        poll_fn(|cx| {
            assert!(pin!(&mut sleep).poll(cx).is_pending());
            assert!(sleep_pinned.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(format!("{sim:?}").contains("timers: 2"));
        drop(sleep);
        assert!(format!("{sim:?}").contains("timers: 1"));
    })
    .unwrap();
    assert!(format!("{sim:?}").contains("timers: 0"));
    assert!(sim.run_until_stalled().is_none());
    assert_eq!(sim.now(), Duration::ZERO);
}

#[test]
fn a_fired_or_cancelled_sleeper_leaves_no_timer() {
    let sim = Sim::new();
    let tasks = [1, 2, 3].map(|d| sim.spawn(sim.clock().sleep(secs(d))));
    sim.block_on(sim.clock().sleep(secs(1))).unwrap();
    assert!(tasks[1].cancel());
    assert!(format!("{sim:?}").contains("timers: 1"));
    sim.run_until_stalled();
    assert_eq!(sim.now(), secs(3));
    assert!(format!("{sim:?}").contains("timers: 0"));
}

#[test]
fn a_sleep_wakes_the_waker_of_its_last_poll_and_counts_from_its_creation() {
    let sim = Sim::new();
    let mut sleep = sim.clock().sleep(secs(5));
    sim.block_on(sim.clock().sleep(secs(3))).unwrap();
    let poll = |sleep: &mut Sleep, cx: &mut Context<'_>| pin!(sleep).poll(cx).is_ready();
    let first = sim.spawn(pending::<()>());
    sim.block_on(poll_fn(|cx| Poll::Ready(poll(&mut sleep, cx)))).unwrap();
    assert!(!sleep.is_terminated());
    sim.block_on(poll_fn(|cx| if poll(&mut sleep, cx) { Poll::Ready(()) } else { Poll::Pending })).unwrap();
    assert_eq!((sim.now(), sleep.is_terminated(), first.is_finished()), (secs(5), true, false));
    assert_eq!(panics(|| sim.block_on(sleep)), "polled after completion");
}

#[test]
fn advance_wakes_by_deadline_and_polls_nothing() {
    let (sim, out) = (Sim::new(), Log::default());
    for d in [3, 1, 2, 9] {
        sim.spawn(sleeper(out.clone(), sim.clock(), "s", d));
    }
    sim.block_on(yield_now(&sim.clock())).unwrap();
    let polls = sim.polls();
    sim.advance(secs(3));
    assert_eq!((sim.now(), sim.polls()), (secs(3), polls));
    sim.block_on(async {}).unwrap();
    assert_eq!(out.take().join(" "), "s@1 s@2 s@3");
    assert_eq!(sim.now(), secs(3));
}

#[test]
fn the_end_of_time_can_be_slept_to() {
    let sim = Sim::new();
    sim.advance(secs(1));
    sim.block_on(sim.clock().sleep(Duration::MAX)).unwrap();
    assert_eq!(sim.now(), Duration::MAX);
    sim.advance(secs(1));
    assert_eq!(sim.now(), Duration::MAX);
}

// ---- stalls

#[test]
fn a_stall_names_every_blocked_task_once() {
    let sim = Sim::new();
    let clock = sim.clock();
    let reader = sim.spawn_named("reader", async move {
        clock.sleep(secs(2)).await;
        pending::<u32>().await
    });
    sim.spawn_named(String::from("writer"), pending::<()>());
    sim.spawn(async {});
    sim.spawn(pending::<()>());
    let line = line!() + 1;
    let stall = sim.block_on(reader).unwrap_err();
    let names: Vec<_> = stall.blocked().iter().map(Blocked::name).collect();
    assert_eq!(names, ["reader", "writer", "task-4", "main"]);
    assert_eq!(stall.blocked().iter().map(Blocked::polls).collect::<Vec<_>>(), [2, 1, 1, 1]);
    assert_eq!(stall.blocked().iter().map(Blocked::since).collect::<Vec<_>>(), [secs(2), secs(0), secs(0), secs(0)]);
    assert_eq!((stall.now(), stall.blocked()[3].location().line()), (secs(2), line));
    let text = stall.to_string();
    for name in names {
        assert_eq!(text.matches(&format!("\n  {name}: polled")).count(), 1, "{text}");
    }
    assert!(
        text.starts_with(
            "stalled at 2s with 4 blocked tasks, no timer and no external source\n  reader: polled 2 times"
        )
    );
    assert!(text.contains(file!()), "{text}");
    assert_eq!(format!("{stall:?}"), text);
    let _: &dyn core::error::Error = &stall;
}

#[test]
fn a_stalled_simulation_goes_on_when_it_is_woken() {
    let sim = Sim::new();
    let gate = Rc::new((Cell::new(false), RefCell::new(None)));
    let task = sim.spawn(flag(gate.clone()));
    let stall = sim.run_until_stalled().unwrap();
    assert_eq!(stall.blocked()[0].name(), "task-1");
    gate.0.set(true);
    gate.1.take().unwrap().wake();
    assert!(sim.run_until_stalled().is_none());
    assert!(task.is_finished());
}

#[test]
fn a_task_that_awaits_itself_is_reported() {
    let sim = Sim::new();
    let me = Rc::new(RefCell::new(None::<Task<()>>));
    let own = me.clone();
    let task = sim.spawn_named("narcissus", async move {
        let me = own.borrow_mut().take().unwrap();
        me.await.unwrap();
    });
    me.replace(Some(task));
    assert_eq!(sim.run_until_stalled().unwrap().blocked()[0].name(), "narcissus");
}

#[test]
fn a_stall_drops_the_main_future() {
    let sim = Sim::new();
    let dropped = Cell::new(false);
    let guard = OnDrop(|| dropped.set(true));
    let stall = sim.block_on(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    assert!(stall.is_err() && dropped.get());
    assert!(sim.run_until_stalled().is_none());
}

// ---- policies

fn random_order(seed: u64) -> (String, u64) {
    let (sim, out) = (Sim::builder().policy(Policy::Random).seed(seed).build(), Log::default());
    for name in ["a", "b", "c", "d"] {
        sim.spawn(counter(out.clone(), sim.clock(), name, 3));
    }
    assert!(sim.run_until_stalled().is_none());
    (out.take().join(" "), sim.schedule_hash())
}

#[test]
fn one_seed_gives_one_schedule_and_other_seeds_give_others() {
    let mut seen = std::collections::HashSet::new();
    for seed in 0..50 {
        let (order, hash) = random_order(seed);
        assert_eq!((order.clone(), hash), random_order(seed));
        seen.insert((order, hash));
    }
    assert_eq!(seen.len(), 50);
}

#[test]
fn a_random_schedule_runs_every_order_of_three_tasks() {
    let mut seen = std::collections::HashMap::<String, u32>::new();
    for seed in 0..600 {
        let (sim, out) = (Sim::builder().policy(Policy::Random).seed(seed).build(), Log::default());
        for name in ["a", "b", "c"] {
            let out = out.clone();
            sim.spawn(async move { log(&out, name) });
        }
        sim.run_until_stalled();
        *seen.entry(out.take().concat()).or_default() += 1;
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.values().all(|&n| n > 60), "{seen:?}");
}

#[test]
fn the_hash_of_a_schedule_is_that_of_fnv_1a() {
    let sim = Sim::new();
    assert_eq!(sim.schedule_hash(), 0xcbf2_9ce4_8422_2325);
    sim.spawn(async {});
    sim.spawn(async {});
    sim.run_until_stalled();
    let bytes = [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ b).wrapping_mul(0x100_0000_01b3));
    assert_eq!(sim.schedule_hash(), hash);
}

#[test]
fn block_on_inside_a_task_of_the_same_simulation_panics() {
    let sim = Rc::new(Sim::new());
    let inner = sim.clone();
    let text = panics(|| sim.block_on(async move { inner.block_on(async {}) }));
    assert_eq!(text, "Sim::block_on called inside a task of the same Sim");
    let inner = sim.clone();
    let text = panics(|| sim.block_on(async move { inner.run_until_stalled() }));
    assert_eq!(text, "Sim::run_until_stalled called inside a task of the same Sim");
    assert_eq!(sim.block_on(async { Sim::new().block_on(async { 3 }).unwrap() }).unwrap(), 3);
}

#[test]
fn the_main_future_may_borrow_and_tasks_need_not_be_send() {
    let sim = Sim::new();
    let mut text = String::from("a");
    let shared = Rc::new(Cell::new(1));
    let own = shared.clone();
    let task = sim.spawn(async move { own.get() });
    sim.block_on(async { text.push_str(&task.await.unwrap().to_string()) }).unwrap();
    assert_eq!(text, "a1");
}

#[test]
fn everything_has_a_debug_text() {
    let sim = Sim::new();
    let (task, clock) = (sim.spawn(pending::<()>()), sim.clock());
    assert_eq!(format!("{sim:?}"), "Sim { now: 0ns, tasks: 1, timers: 0, polls: 0 }");
    assert_eq!(format!("{clock:?}"), "Clock { now: 0ns }");
    assert!(format!("{:?}", clock.sleep(secs(1))).starts_with("Sleep { deadline: 1s"));
    assert!(format!("{task:?}").ends_with("finished: false }"));
    assert_eq!(format!("{:?}", sim.spawner()), "Spawner { tasks: 1 }");
    assert_eq!(format!("{:?}", Sim::builder()), "SimBuilder { seed: 0, policy: Fifo }");
    assert_eq!(Cancelled.to_string(), "cancelled");
}

assert_impl_all!(External: Send, Sync, Unpin);
assert_impl_all!(Stall: Send, Sync, Unpin, core::error::Error);
assert_impl_all!(SimBuilder: Send, Sync, Clone);
assert_impl_all!(Task<core::marker::PhantomPinned>: Unpin);
assert_impl_all!(Sleep: Unpin);
assert_not_impl_any!(Sim: Send, Sync);
assert_not_impl_any!(Task<()>: Send, Sync);
assert_not_impl_any!(Clock: Send, Sync);
assert_not_impl_any!(Spawner: Send, Sync);
