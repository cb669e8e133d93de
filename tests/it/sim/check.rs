//! `run::check`: planted mistakes are found, shrunk to a handful of steps, and found again from the printed line.
use testudo::{
    Event, Mutex as Lock, Semaphore,
    run::{Cause, Check, Failure, InvalidSchedule, Schedule, check, replay},
};

use super::*;

// ---- the programs

/// A signal as people write it, which looks at the flag, and leaves its waker only after it did something else.
#[derive(Default)]
struct Signal {
    set: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Signal {
    fn set(&self) {
        self.set.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    async fn wait(&self, clock: &Clock) {
        if self.set.get() {
            return;
        }
        yield_now(clock).await; // writes a line into a log, say
        let mut first = true;
        poll_fn(|cx| {
            if core::mem::take(&mut first) {
                self.waker.replace(Some(cx.waker().clone()));
                return Poll::Pending; // the mistake: it has to look again
            }
            if self.set.get() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// A reader and a writer, and some others that only make noise.
fn lost_wake_up(sim: &Sim) {
    let signal = Rc::new(Signal::default());
    let (reader, writer) = (signal.clone(), signal);
    let (clock, clock_w) = (sim.clock(), sim.clock());
    sim.spawn_named("reader", async move { reader.wait(&clock).await });
    sim.spawn_named("writer", async move {
        for _ in 0..3 {
            yield_now(&clock_w).await;
        }
        writer.set();
    });
    noise(sim, 4, 6);
}

fn noise(sim: &Sim, tasks: usize, polls: usize) {
    for _ in 0..tasks {
        let clock = sim.clock();
        sim.spawn(async move {
            for _ in 0..polls {
                yield_now(&clock).await;
            }
        });
    }
}

/// Two locks, taken in either order: asyncio's order of steps keeps the two apart.
fn deadlock(sim: &Sim) {
    let locks = Rc::new((Lock::new(()), Lock::new(())));
    let both = locks.clone();
    let clock = sim.clock();
    sim.spawn_named("ab", async move {
        let _a = both.0.lock().await;
        yield_now(&clock).await;
        let _b = both.1.lock().await;
    });
    let clock = sim.clock();
    sim.spawn_named("ba", async move {
        for _ in 0..3 {
            yield_now(&clock).await;
        }
        let _b = locks.1.lock().await;
        yield_now(&clock).await;
        let _a = locks.0.lock().await;
    });
    noise(sim, 3, 5);
}

/// A worker takes an item out, works on it, and counts it: who cancels it in between loses the item.
fn cancelled_worker(sim: &Sim) -> Result<(), String> {
    let (items, counted) = (Rc::new(Cell::new(3)), Rc::new(Cell::new(0)));
    let (own, done, clock) = (items.clone(), counted.clone(), sim.clock());
    let worker = sim.spawn_named("worker", async move {
        while own.get() > 0 {
            own.set(own.get() - 1);
            yield_now(&clock).await; // the mistake: the item is nowhere while this is pending
            done.set(done.get() + 1);
        }
    });
    let clock = sim.clock();
    sim.spawn_named("watchdog", async move {
        for _ in 0..8 {
            yield_now(&clock).await;
        }
        worker.cancel();
    });
    noise(sim, 3, 5);
    sim.run_until_stalled();
    match items.get() + counted.get() {
        3 => Ok(()),
        n => Err(format!("{n} items of 3")),
    }
}

/// A round of messages must not end while the first task is half done: only a starved task shows it.
fn half_done(sim: &Sim) {
    let half = Rc::new(Cell::new(false));
    let (own, clock) = (half.clone(), sim.clock());
    sim.spawn_named("transfer", async move {
        own.set(true);
        yield_now(&clock).await;
        own.set(false);
    });
    let events = Rc::new((Event::new(), Event::new()));
    let back = events.clone();
    sim.spawn_named("pong", async move {
        for _ in 0..12 {
            back.0.wait().await;
            back.0.clear();
            back.1.set();
        }
    });
    sim.spawn_named("ping", async move {
        for _ in 0..12 {
            events.0.set();
            events.1.wait().await;
            events.1.clear();
        }
        assert!(!half.get(), "money is gone");
    });
}

// ---- what is asked of all of them

fn parsed(failure: &Failure) -> Schedule {
    let text = failure.to_string();
    let line = text.lines().last().unwrap();
    let printed = line.split("TESTUDO_REPLAY=").nth(1).unwrap().split(' ').next().unwrap();
    assert!(line.contains(&format!("testudo::run::replay(\"{printed}\", ")), "{line}");
    printed.parse().unwrap()
}

/// Finds it, replays it from the printed line, and looks at the size.
fn found(steps: usize, program: impl Fn(&Sim) -> Result<(), String> + Copy) -> Failure {
    assert!(Check::new(1).try_run(program).is_ok(), "asyncio's order does not show it");
    let failure = Check::new(100).try_run(program).unwrap_err();
    let schedule = parsed(&failure);
    assert_eq!(&schedule, failure.schedule());
    assert!((1..=steps).contains(&schedule.len()), "{failure}");
    assert_eq!(failure.story().len(), schedule.len(), "{failure}");
    for _ in 0..3 {
        let again = Check::new(1).replay(&schedule, program).unwrap_err();
        assert_eq!(again.schedule_hash(), failure.schedule_hash());
        assert_eq!(again.schedule(), &schedule);
        let kind = |failure: &Failure| core::mem::discriminant(failure.cause());
        assert_eq!(kind(&again), kind(&failure));
    }
    let text = panics(|| replay(&schedule.to_string(), program));
    assert!(text.ends_with(&format!("replay(\"{schedule}\", ...)")), "{text}");
    let text = panics(|| check(100, program));
    assert_eq!(text, failure.to_string(), "the whole search repeats");
    failure
}

#[test]
fn a_planted_lost_wake_up_is_found_and_shrunk_to_one_step() {
    let failure = found(1, |sim| {
        lost_wake_up(sim);
        Ok(())
    });
    let Cause::Stall(stall) = failure.cause() else { panic!("{failure}") };
    assert_eq!(stall.blocked().len(), 1);
    assert_eq!(stall.blocked()[0].name(), "reader");
    assert!(failure.story()[0].contains("reader"), "{failure}");
}

#[test]
fn a_planted_deadlock_is_found_and_shrunk_to_two_steps() {
    let failure = found(2, |sim| {
        deadlock(sim);
        Ok(())
    });
    let Cause::Stall(stall) = failure.cause() else { panic!("{failure}") };
    let mut names: Vec<_> = stall.blocked().iter().map(Blocked::name).collect();
    names.sort_unstable();
    assert_eq!(names, ["ab", "ba"]);
}

#[test]
fn a_planted_cancellation_bug_is_found_and_shrunk_to_two_steps() {
    let failure = found(2, cancelled_worker);
    assert_eq!(failure.cause().to_string(), "error: \"2 items of 3\"");
}

#[test]
fn a_planted_starvation_is_found_and_shrunk_to_one_step() {
    let failure = found(1, |sim| {
        half_done(sim);
        Ok(())
    });
    let cause = failure.cause().to_string();
    assert!(cause.contains("money is gone (at ") && cause.contains("tests/it/sim/check.rs:"), "{failure}");
    assert!(failure.story()[0].contains("transfer is put aside"), "{failure}");
}

#[test]
fn pct_finds_rare_orders_that_fifo_and_random_do_not() {
    let cases = |policy| Check::new(100).policies([policy]).try_run(half_done);
    assert!(cases(Policy::Fifo).is_ok());
    assert!(cases(Policy::Random).is_ok());
    for depth in [2, 3] {
        let finds = (0..20).filter(|&seed| {
            let check = Check::new(1).policies([Policy::Pct { depth }]).seed(1000 + seed);
            check.try_run(half_done).is_err()
        });
        assert!(finds.count() >= 1, "depth {depth}");
    }
}

/// Three constraints: b comes between two steps of a, and c between two steps of b.
#[test]
fn pct_of_depth_three_finds_two_changes_of_priority() {
    fn program(sim: &Sim) {
        let state = Rc::new(Cell::new(0));
        let step = |name: &'static str, from: u32, to: u32| {
            let (state, gate) = (state.clone(), Rc::new(Event::new()));
            let opener = gate.clone();
            sim.spawn_named(name, async move {
                if state.get() == from {
                    state.set(to);
                }
                opener.set();
                gate.wait().await;
            });
        };
        for (name, from, to) in [("c", 2, 3), ("b", 1, 2), ("a", 0, 1)] {
            step(name, from, to);
        }
        sim.run_until_stalled();
        assert_ne!(state.get(), 3);
    }
    assert!(Check::new(50).policies([Policy::Fifo]).try_run(program).is_ok());
    let failure = Check::new(50).policies([Policy::Pct { depth: 3 }]).try_run(program).unwrap_err();
    assert!(failure.schedule().len() <= 3, "{failure}");
}

// ---- the rules of a check

#[test]
fn a_correct_program_passes_all_policies_and_spurious_polls() {
    let runs = Cell::new(0);
    check(40, |sim| {
        runs.set(runs.get() + 1);
        let permits = Rc::new(Semaphore::new(2));
        for _ in 0..6 {
            let permits = permits.clone();
            let clock = sim.clock();
            sim.spawn(async move {
                let _permit = permits.acquire().await;
                clock.sleep(Duration::from_millis(1)).await;
            });
        }
        assert!(sim.run_until_stalled().is_none());
        assert_eq!(sim.now(), Duration::from_millis(3));
        assert_eq!(permits.available_permits(), 2);
        Ok::<(), Stall>(())
    });
    assert_eq!(runs.get(), 43, "the first three are run twice");
}

#[test]
fn what_fails_always_has_an_empty_schedule() {
    let stalls = |sim: &Sim| sim.block_on(pending::<()>());
    let failure = Check::new(10).try_run(stalls).unwrap_err();
    assert_eq!(failure.schedule().to_string(), "0:");
    assert!(matches!(failure.cause(), Cause::Stall(_)), "a stall that is returned is a stall: {failure}");
    let failure = Check::new(10).seed(9).policies([Policy::Random]).try_run(|sim| {
        noise(sim, 3, 3);
        Err::<(), _>(7)
    });
    let failure = failure.unwrap_err();
    assert_eq!((failure.schedule().to_string().as_str(), failure.cause().to_string().as_str()), ("9:", "error: 7"));
}

#[test]
fn a_destructor_that_panics_is_a_failure() {
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.0, "late");
        }
    }
    let waker = Rc::new(RefCell::new(None));
    let failure = Check::new(1).try_run(|sim| {
        let (kept, spawner) = (waker.clone(), sim.spawner());
        sim.spawn(async move {
            let bomb = Bomb(true);
            spawner.spawn(async move {
                let _bomb = bomb;
                pending::<()>().await;
            });
            kept.replace(Some(()));
        });
        sim.block_on(async {}).map(drop)
    });
    assert!(failure.is_err());
}

#[test]
fn a_program_that_never_ends_is_a_failure() {
    let spin = |sim: &Sim| {
        let clock = sim.clock();
        sim.spawn(async move {
            loop {
                yield_now(&clock).await;
            }
        });
    };
    let failure = Check::new(1).max_polls(500).try_run(spin).unwrap_err();
    assert!(failure.cause().to_string().starts_with("panic: the simulation still runs after 500 polls"), "{failure}");
}

#[test]
fn a_spinning_task_hangs_no_policy() {
    check(60, |sim| {
        let flag = Rc::new(Cell::new(false));
        for _ in 0..3 {
            let (flag, clock) = (flag.clone(), sim.clock());
            sim.spawn(async move {
                while !flag.get() {
                    yield_now(&clock).await;
                }
            });
        }
        sim.spawn(async move { flag.set(true) });
        assert!(sim.run_until_stalled().is_none());
        assert!(sim.polls() < 500, "{}", sim.polls());
    });
}

#[test]
fn a_program_that_depends_on_the_world_outside_is_told_so() {
    let runs = Cell::new(0);
    let program = |sim: &Sim| {
        runs.set(runs.get() + 1);
        noise(sim, runs.get(), 1);
    };
    let failure = Check::new(5).try_run(program).unwrap_err();
    assert!(matches!(failure.cause(), Cause::NotDeterministic), "{failure}");
    let with_source = |sim: &Sim| {
        drop(sim.external());
        program(sim);
    };
    assert!(Check::new(5).try_run(with_source).is_ok(), "an outside source is an excuse");
}

#[test]
fn schedules_are_read_as_they_are_written() {
    for text in ["0:", "18446744073709551615:0+1", "7:3+1,9w2", "1:2w3,2h,2+4,5h"] {
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.to_string(), text);
        assert_eq!(format!("{schedule:?}"), format!("Schedule(\"{text}\")"));
    }
    let unsorted: Schedule = " 1:5h,2+4,2h,2w3,2+9\n".parse().unwrap();
    assert_eq!(unsorted.to_string(), "1:2w3,2h,2+4,5h");
    for text in ["", "7", "x:", "7:3", "7:3+", "7:+1", "7:3+1,", "7:h", "7:3x1", "-1:", "7:3w"] {
        assert_eq!(text.parse::<Schedule>(), Err(InvalidSchedule), "{text}");
    }
    assert_eq!(panics(|| replay("7", |_| ())), "\"7\" is not a schedule, which looks like 7:3+1,9w2");
}

/// What the tasks did, and the rest of what must repeat.
fn course(builder: SimBuilder) -> (String, u64, Schedule) {
    let (sim, out) = (builder.build(), Log::default());
    for (i, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let task = sim.spawn(counter(out.clone(), sim.clock(), name, 4));
        if i == 2 {
            sim.spawn(async move { task.cancel() });
        }
    }
    sim.spawn(sleeper(out.clone(), sim.clock(), "s", 2));
    sim.run_until_stalled();
    (out.take().join(" "), sim.schedule_hash(), sim.schedule())
}

#[test]
fn a_replay_repeats_every_policy_exactly() {
    let mut courses = std::collections::HashSet::new();
    for seed in 0..60 {
        for policy in [Policy::Fifo, Policy::Lifo, Policy::Random, Policy::Pct { depth: 3 }] {
            for spurious in [0.0, 0.3, 1.0] {
                let builder = Sim::builder().seed(seed).policy(policy.clone()).spurious_polls(spurious);
                let (order, hash, schedule) = course(builder.clone());
                assert_eq!((order.clone(), hash, schedule.clone()), course(builder), "the same seed twice");
                let text = schedule.to_string();
                let again = course(Sim::builder().policy(Policy::Replay(text.parse().unwrap())));
                assert_eq!((order, hash, schedule), again, "{policy:?}, {spurious}: {text}");
                courses.insert(hash);
            }
        }
    }
    assert!(courses.len() > 300, "{}", courses.len());
}

#[test]
fn lifo_is_the_reverse_and_lets_yielders_wait() {
    let (sim, out) = (Sim::builder().policy(Policy::Lifo).build(), Log::default());
    for name in ["a", "b", "c"] {
        sim.spawn(counter(out.clone(), sim.clock(), name, 2));
    }
    sim.run_until_stalled();
    assert_eq!(out.take().join(" "), "c0 b0 a0 c1 b1 a1");
}

#[test]
fn a_step_that_is_impossible_does_what_is_nearest() {
    let (sim, out) =
        (Sim::builder().policy(Policy::Replay("0:0+99,2h,2w77,50+1".parse().unwrap())).build(), Log::default());
    for name in ["a", "b", "c"] {
        let out = out.clone();
        sim.spawn(async move { log(&out, name) });
    }
    sim.run_until_stalled();
    assert_eq!(out.take().concat(), "cab");
    assert_eq!(sim.schedule().to_string(), "0:0+2");
}

#[test]
fn a_held_task_waits_until_no_other_can_run() {
    let (sim, out) = (Sim::builder().policy(Policy::Replay("0:0h".parse().unwrap())).build(), Log::default());
    for name in ["a", "b", "c"] {
        sim.spawn(counter(out.clone(), sim.clock(), name, 2));
    }
    sim.spawn(sleeper(out.clone(), sim.clock(), "s", 1));
    sim.run_until_stalled();
    assert_eq!(out.take().join(" "), "b0 c0 b1 c1 a0 a1 s@1", "but the clock does not jump");
}

#[test]
fn the_environment_variable_replays_one_schedule() {
    if std::env::var_os("TESTUDO_REPLAY").is_some() {
        let runs = Cell::new(0);
        check(50, |sim| {
            runs.set(runs.get() + 1);
            noise(sim, 2, 1);
            sim.run_until_stalled();
            assert_eq!((sim.seed(), sim.schedule().to_string().as_str()), (3, "3:0+1"));
        });
        assert_eq!(runs.get(), 1);
        return;
    }
    let this = std::env::current_exe().unwrap();
    let args = ["--exact", "sim::check::the_environment_variable_replays_one_schedule"];
    let run = |line| std::process::Command::new(&this).args(args).env("TESTUDO_REPLAY", line).output().unwrap();
    let child = run("3:0+1");
    assert!(child.status.success() && String::from_utf8_lossy(&child.stdout).contains("1 passed"), "{child:?}");
    assert!(!run("3:").status.success(), "another schedule is another run");
}

// ---- spurious polls

#[test]
fn spurious_polls_wake_only_who_is_blocked_and_only_while_others_run() {
    let sim = Sim::builder().spurious_polls_every(1).build();
    let polls = Rc::new(Cell::new(0));
    let count = polls.clone();
    let blocked = sim.spawn(poll_fn(move |_| {
        count.set(count.get() + 1);
        Poll::<()>::Pending
    }));
    let stall = sim.run_until_stalled().unwrap();
    assert_eq!(stall.blocked().len(), 1, "a stall stays one");
    assert_eq!(polls.get(), 1);
    sim.block_on(counter(Log::default(), sim.clock(), "a", 10)).unwrap();
    assert!(polls.get() > 5, "{}", polls.get());
    blocked.cancel();
    let polls = sim.polls();
    sim.block_on(async {}).unwrap();
    assert_eq!(sim.polls(), polls + 1, "who is gone is not woken");
}

#[test]
fn the_probability_of_spurious_polls_is_kept() {
    let rate = |probability| {
        let sim = Sim::builder().seed(5).spurious_polls(probability).build();
        (0..8).for_each(|_| sim.spawn(pending::<()>()).detach());
        sim.run_until_stalled();
        sim.block_on(counter(Log::default(), sim.clock(), "a", 4000)).unwrap();
        sim.schedule().len() as f64 / sim.polls() as f64
    };
    assert_eq!(rate(0.0), 0.0);
    assert!((0.08..0.12).contains(&rate(0.1)), "{}", rate(0.1));
    assert!((0.45..=0.5).contains(&rate(1.0)), "after each poll with a reason one without: {}", rate(1.0));
    assert_eq!(panics(|| Sim::builder().spurious_polls(1.5)), "a probability is between 0 and 1");
    assert_eq!(panics(|| Sim::builder().spurious_polls_every(0)), "every 0th poll is none");
}

assert_impl_all!(Schedule: Send, Sync, Clone, Eq, core::hash::Hash);
assert_impl_all!(Failure: Send, Sync, core::error::Error);
