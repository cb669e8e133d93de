//! `TaskGroup`: asyncio's behaviours by their ids in the inventory (TG-..), the defects of other crates by theirs (P..), and
//! what is ours. "Same": as CPython 3.13; "differs": by design, said in the docs.
use core::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::{Future, pending, poll_fn},
    mem::ManuallyDrop,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
};

use futures_core::FusedFuture;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use testudo::{
    Event, Semaphore,
    run::{Clock, Sim, block_on},
    task::{Cancelled, GroupError, GroupRun, LocalTaskGroup, TaskGroup, TaskHandle, timeout},
};

use crate::support::{Probe, allocations, in_a_child, panics};

// ---- tools

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    pub(crate) fn all(&self) -> String {
        self.0.borrow().join(" ")
    }

    pub(crate) fn take(&self) -> String {
        self.0.take().join(" ")
    }

    /// Notes its drop.
    pub(crate) fn guard(&self, name: &str) -> impl Drop + use<> {
        struct Guard(Log, String);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.note(format!("-{}", self.1));
            }
        }
        Guard(self.clone(), name.to_owned())
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

async fn after<T>(clock: &Clock, n: u64, value: T) -> T {
    clock.sleep(ms(n)).await;
    value
}

/// Lets others run once.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

type Never = Result<(), &'static str>;

fn never() -> impl Future<Output = Never> {
    pending()
}

fn errors<R: core::fmt::Debug, E: Clone>(outcome: Result<R, GroupError<E>>) -> Vec<E> {
    outcome.expect_err("it failed").iter().cloned().collect()
}

// ---- asyncio's behaviours

/// TG-01. Same.
#[test]
fn leaving_the_block_waits_for_all_children_and_the_handles_have_the_results() {
    let sim = Sim::new();
    let clock = sim.clock();
    let tg = LocalTaskGroup::new();
    let outcome = sim.block_on(tg.run(async {
        Ok::<_, Infallible>((tg.spawn(after(&clock, 20, Ok(42))), tg.spawn(after(&clock, 10, Ok(11)))))
    }));
    let (one, two) = outcome.unwrap().unwrap();
    assert!(one.is_finished() && two.is_finished());
    assert_eq!(sim.now(), ms(20));
    assert_eq!((block_on(one), block_on(two)), (Ok(42), Ok(11)));
}

/// TG-02. Same.
#[test]
fn children_are_added_while_the_block_runs() {
    let sim = Sim::new();
    let clock = sim.clock();
    let tg = LocalTaskGroup::new();
    let outcome = sim.block_on(tg.run(async {
        let one = tg.spawn(after(&clock, 10, Ok(1)));
        clock.sleep(ms(5)).await;
        let two = tg.spawn(after(&clock, 10, Ok(2)));
        Ok::<_, Cancelled>(one.await? + two.await?)
    }));
    assert_eq!(outcome.unwrap(), Ok(3));
    assert_eq!(sim.now(), ms(15));
}

/// TG-03, TASK-01. Same.
#[test]
fn a_child_that_is_cancelled_alone_is_no_failure() {
    let sim = Sim::new();
    let clock = sim.clock();
    let tg = LocalTaskGroup::new();
    let outcome = sim.block_on(tg.run(async {
        let (one, two) = (tg.spawn(after(&clock, 100, Ok(1))), tg.spawn(after(&clock, 10, Ok(2))));
        clock.sleep(ms(1)).await;
        assert!(one.cancel() && one.cancel(), "it has not ended before the group is polled");
        let (one, two) = (one.await, two.await);
        Ok::<_, Infallible>((one, two))
    }));
    assert_eq!(outcome.unwrap(), Ok((Err(Cancelled), Ok(2))));
    assert_eq!(sim.now(), ms(10), "the timer of the cancelled one is gone");
}

/// TG-04, TG-07, TG-30. Same; the siblings are dropped, in the order of spawning.
#[test]
fn a_failing_child_cancels_its_siblings_and_all_errors_of_that_moment_come_back_in_order() {
    let (sim, log) = (Sim::new(), Log::default());
    let clock = sim.clock();
    let tg = LocalTaskGroup::new();
    let outcome = sim.block_on(tg.run(async {
        for name in ["a", "b"] {
            let guard = log.guard(name);
            drop(tg.spawn(async move {
                let _guard = guard;
                never().await
            }));
        }
        for (at, error) in [(10, "first"), (10, "second"), (20, "too late")] {
            drop(tg.spawn(after(&clock, at, Err::<(), _>(error))));
        }
        let _body = log.guard("body");
        never().await
    }));
    let error = outcome.unwrap().unwrap_err();
    assert_eq!((error.first(), error.rest(), error.count()), (Some(&"first"), &["second"][..], 2));
    assert_eq!(error.to_string(), "unhandled errors in a task group (2 in all), first: first");
    assert_eq!(error.into_iter().collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(log.all(), "-a -b -body");
    assert_eq!(sim.now(), ms(10));
}

/// TG-05. Same; the block is dropped.
#[test]
fn a_failing_child_ends_the_block_at_its_await() {
    let tg = TaskGroup::new();
    let mut reached = false;
    let outcome = block_on(tg.run(async {
        drop(tg.spawn(async { Err::<(), _>("no") }));
        never().await?;
        reached = true;
        Ok(())
    }));
    assert_eq!(errors(outcome), ["no"]);
    assert!(!reached);
}

/// TG-06, TG-07, TG-10. With a token: a graceful child goes on for a while, its value is kept, its error joins the others.
#[test]
fn a_graceful_child_is_asked_to_end_and_waited_for() {
    let sim = Sim::new();
    let clock = sim.clock();
    let tg = LocalTaskGroup::new();
    let kept = RefCell::new(None);
    let outcome = sim.block_on(tg.run(async {
        let value = tg.spawn_graceful(async |stop| {
            stop.cancelled().await;
            Ok(after(&clock, 50, 7).await)
        });
        *kept.borrow_mut() = Some(value);
        drop(tg.spawn_graceful(async |stop| {
            stop.cancelled().await;
            after(&clock, 20, Err::<(), _>("in cleaning up")).await
        }));
        drop(tg.spawn(after(&clock, 10, Err::<(), _>("first"))));
        Ok(())
    }));
    assert_eq!(errors(outcome.unwrap()), ["first", "in cleaning up"]);
    assert_eq!(sim.now(), ms(60));
    assert_eq!(block_on(kept.take().unwrap()), Ok(7));
}

/// TG-08. Differs: a dropped future cannot wait, so that graceful children are dropped too.
#[test]
fn dropping_the_run_while_it_waits_for_children_drops_them_all_in_order() {
    let (probe, log) = (Probe::new(), Log::default());
    let tg = LocalTaskGroup::new();
    let mut run = probe.start(tg.run(async {
        for name in ["a", "b"] {
            let guard = log.guard(name);
            drop(tg.spawn(async move {
                let _guard = guard;
                never().await
            }));
        }
        let guard = log.guard("graceful");
        drop(tg.spawn_graceful(async move |stop| {
            let _guard = guard;
            stop.cancelled().await;
            never().await
        }));
        Ok(())
    }));
    probe.pends(&mut run);
    assert_eq!(log.all(), "");
    drop(run);
    assert_eq!(log.all(), "-a -b -graceful");
    assert_eq!(probe.kept(), 0, "a waker is left behind");
}

/// TG-09. Same.
#[test]
fn dropping_the_run_in_the_block_drops_the_block_and_then_the_children() {
    let (probe, log) = (Probe::new(), Log::default());
    let tg = LocalTaskGroup::new();
    let run = probe.start(tg.run(async {
        let _body = log.guard("body");
        let guard = log.guard("a");
        drop(tg.spawn(async move {
            let _guard = guard;
            never().await
        }));
        never().await
    }));
    drop(run);
    assert_eq!(log.all(), "-body -a");
}

/// TG-27. Differs: what is dropped says nothing any more: the error goes with the group.
#[test]
fn a_run_that_is_dropped_in_the_step_in_which_a_child_fails_keeps_no_error() {
    let (probe, event, error) = (Probe::new(), Event::new(), Rc::new(()));
    let (theirs, event) = (error.clone(), &event);
    let tg = LocalTaskGroup::new();
    let run = probe.start(tg.run(async {
        drop(tg.spawn(async move {
            event.wait().await;
            Err::<(), _>(theirs)
        }));
        pending::<Result<(), Rc<()>>>().await
    }));
    event.set();
    assert_eq!((probe.wakes(), Rc::strong_count(&error)), (1, 2));
    drop(run);
    assert_eq!((Rc::strong_count(&error), probe.kept()), (1, 0));
}

/// TG-11, and run 2: a child that has not begun when the block fails never does. Same.
#[test]
fn an_error_of_the_block_cancels_the_children_and_comes_last() {
    let (sim, log) = (Sim::new(), Log::default());
    let clock = sim.clock();
    let tg = LocalTaskGroup::new();
    let early = sim.block_on(tg.run(async {
        drop(tg.spawn(async {
            log.note("ran");
            Ok(())
        }));
        Err::<(), _>("body")
    }));
    assert_eq!(errors(early.unwrap()), ["body"]);
    assert_eq!(log.all(), "");

    let tg = LocalTaskGroup::new();
    let late = sim.block_on(tg.run(async {
        drop(tg.spawn_graceful(async |stop| {
            stop.cancelled().await;
            Err::<(), _>("child")
        }));
        clock.sleep(ms(1)).await;
        Err::<(), _>("body")
    }));
    assert_eq!(errors(late.unwrap()), ["child", "body"]);
}

/// TG-13. Same: groups nest, if the body says so.
#[test]
fn the_error_of_an_inner_group_is_an_error_of_the_outer_one() {
    type Inner = GroupError<&'static str>;
    let outer = TaskGroup::new();
    let outcome = block_on(outer.run(async {
        drop(outer.spawn(async {
            let inner = TaskGroup::new();
            inner
                .run(async {
                    drop(inner.spawn(async { Err::<(), _>("inner") }));
                    Ok(())
                })
                .await
        }));
        Ok::<(), Inner>(())
    }));
    let error = outcome.unwrap_err();
    assert_eq!(error.count(), 1);
    assert_eq!(error.first().and_then(|inner| inner.first()), Some(&"inner"));
}

/// TG-14, TG-15. Same.
#[test]
fn a_failing_child_of_the_outer_group_cancels_the_inner_group() {
    let log = Log::default();
    let outer = LocalTaskGroup::new();
    let outcome = block_on(outer.run(async {
        drop(outer.spawn(async {
            yield_now().await;
            Err::<(), _>("outer")
        }));
        let inner = LocalTaskGroup::new();
        let guard = log.guard("inner child");
        let ended = inner.run(async {
            drop(inner.spawn(async move {
                let _guard = guard;
                never().await
            }));
            Ok(())
        });
        let _ = ended.await;
        log.note("reached");
        Ok(())
    }));
    assert_eq!(errors(outcome), ["outer"]);
    assert_eq!(log.all(), "-inner child");
}

/// TG-16. Same: what is no error goes on as it is, after the children have ended.
#[test]
fn a_panic_of_the_block_drops_the_children_and_goes_on() {
    let log = Log::default();
    let text = panics(|| {
        let tg = LocalTaskGroup::new();
        let _ = block_on(tg.run(async {
            let guard = log.guard("a");
            drop(tg.spawn(async move {
                let _guard = guard;
                never().await
            }));
            yield_now().await;
            if log.all().is_empty() {
                panic!("body");
            }
            Ok(())
        }));
    });
    assert_eq!((text.as_str(), log.all().as_str()), ("body", "-a"));
}

/// TG-17. Same: memory does not grow with the children that have ended.
#[test]
fn the_memory_of_children_that_have_ended_is_used_again() {
    let tg = LocalTaskGroup::new();
    let run = tg.run(async {
        for _ in 0..10 {
            tg.spawn(async { Ok(()) }).await?;
        }
        let (count, ()) = allocations_async(async {
            for _ in 0..1000 {
                let _ = tg.spawn(async { Ok(()) }).await;
            }
        })
        .await;
        Ok::<_, Cancelled>(count)
    });
    assert_eq!(block_on(run), Ok(1000), "one for each child, no more");
}

/// How often this thread allocates while the future runs.
async fn allocations_async<F: Future>(fut: F) -> (usize, F::Output) {
    let mut fut = pin!(fut);
    let mut count = 0;
    let output = poll_fn(|cx| {
        let (n, poll) = allocations(|| fut.as_mut().poll(cx));
        count += n;
        poll
    })
    .await;
    (count, output)
}

/// TG-18. Same.
#[test]
fn children_spawn_children_also_when_the_block_has_ended() {
    fn count_down<'c>(tg: &'c TaskGroup<'c>, n: usize, sum: &'c core::sync::atomic::AtomicUsize) {
        drop(tg.spawn(async move {
            yield_now().await;
            sum.fetch_add(n, core::sync::atomic::Ordering::Relaxed);
            if n > 1 {
                count_down(tg, n - 1, sum);
            }
            Ok(())
        }));
    }
    let sum = Default::default();
    let tg = TaskGroup::new();
    block_on(tg.run(async {
        count_down(&tg, 10, &sum);
        Ok(())
    }))
    .unwrap();
    assert_eq!(sum.into_inner(), 55);
}

/// TG-19. Same.
#[test]
fn children_that_spawn_without_end_are_stopped_by_a_failure() {
    fn multiply<'c>(tg: &'c LocalTaskGroup<'c, &'static str>, born: &'c Cell<usize>) {
        for _ in 0..2 {
            drop(tg.spawn(async move {
                born.set(born.get() + 1);
                yield_now().await;
                multiply(tg, born);
                Ok(())
            }));
        }
    }
    let sim = Sim::new();
    let clock = sim.clock();
    let born = Cell::new(0);
    let tg = LocalTaskGroup::new();
    let outcome = sim.block_on(tg.run(async {
        multiply(&tg, &born);
        drop(tg.spawn(async {
            for _ in 0..5 {
                yield_now().await;
            }
            let _ = &clock;
            Err::<(), _>("enough")
        }));
        Ok(())
    }));
    assert_eq!(errors(outcome.unwrap()), ["enough"]);
    assert!(born.get() < 200, "{}", born.get());
}

/// TG-20. Differs: the handle says it, nothing is raised.
#[test]
fn who_spawns_while_the_group_is_ending_gets_a_cancelled_handle() {
    let log = Log::default();
    let tg = LocalTaskGroup::new();
    let outcome = block_on(tg.run(async {
        drop(tg.spawn_graceful(async |stop| {
            stop.cancelled().await;
            let guard = log.guard("late");
            let late = tg.spawn(async move {
                let _guard = guard;
                Ok(1)
            });
            assert_eq!(log.all(), "-late");
            log.note(format!("{:?}", late.await));
            Ok(())
        }));
        yield_now().await;
        Err::<(), _>("no")
    }));
    assert_eq!(errors(outcome), ["no"]);
    assert_eq!(log.all(), "-late Err(Cancelled)");
}

/// TG-21. Differs: as TG-20.
#[test]
fn who_spawns_after_the_end_gets_a_cancelled_handle() {
    let tg = TaskGroup::new();
    block_on(tg.run(async { Ok::<_, Infallible>(()) })).unwrap();
    let handle = tg.spawn(async { Ok(1) });
    assert!(handle.is_finished() && !handle.cancel());
    assert_eq!(block_on(handle), Err(Cancelled));
}

/// TG-22. Differs: it starts with the run.
#[test]
fn a_child_may_be_spawned_before_the_run() {
    let tg = TaskGroup::new();
    let early = tg.spawn(async { Ok(1) });
    assert!(!early.is_finished());
    assert_eq!(block_on(tg.run(early)), Ok(1));
}

/// TG-23. Same.
#[test]
fn a_group_runs_once() {
    let tg = TaskGroup::<Infallible>::new();
    block_on(tg.run(async { Ok(()) })).unwrap();
    assert_eq!(panics(|| block_on(tg.run(async { Ok(()) }))), "a task group runs once");

    let (tg, probe) = (TaskGroup::<Infallible>::new(), Probe::new());
    let first = probe.start(tg.run(pending::<Result<(), _>>()));
    assert_eq!(panics(|| block_on(tg.run(async { Ok(()) }))), "a task group runs once");
    drop(first);
}

/// TG-26, TMO-21. Same: nothing of the cancellation is left in the task.
#[test]
fn the_parent_goes_on_after_a_group_that_failed_or_was_too_late() {
    let sim = Sim::new();
    let clock = sim.clock();
    let value = sim.block_on(async {
        for _ in 0..3 {
            let tg = LocalTaskGroup::new();
            let failed = tg.run(async {
                drop(tg.spawn(async { Err::<(), _>("no") }));
                never().await
            });
            assert_eq!(errors(failed.await), ["no"]);
            let tg = LocalTaskGroup::<&str>::new();
            let late = timeout(
                clock.sleep(ms(1)),
                tg.run(async {
                    drop(tg.spawn(never()));
                    Ok(())
                }),
            );
            assert!(late.await.is_err());
        }
        clock.sleep(ms(1)).await;
        5
    });
    assert_eq!((value.unwrap(), sim.now()), (5, ms(4)));
}

/// TG-29. Same.
#[test]
fn a_group_without_children_does_not_suspend() {
    let tg = TaskGroup::<Infallible>::new();
    assert_eq!(Probe::new().now(tg.run(async { Ok(3) })), Ok(3));
}

/// TG-31. Same as 3.15, but that `run` says so.
#[test]
fn cancel_ends_a_group_without_an_error_from_outside_from_inside_and_before_the_run() {
    let (probe, log) = (Probe::new(), Log::default());
    let tg = LocalTaskGroup::<&str>::new();
    let mut run = probe.start(tg.run(async {
        let guard = log.guard("a");
        drop(tg.spawn(async move {
            let _guard = guard;
            never().await
        }));
        never().await
    }));
    let wakes = probe.wakes();
    tg.cancel();
    tg.cancel();
    assert_eq!(probe.wakes() - wakes, 1, "the run sleeps, and is woken once");
    assert!(probe.ready(&mut run).unwrap_err().is_cancelled());
    assert_eq!(log.all(), "-a");
    assert!(run.is_terminated());

    let tg = LocalTaskGroup::<&str>::new();
    let inside = tg.run(async {
        drop(tg.spawn(async {
            tg.cancel();
            never().await
        }));
        never().await
    });
    assert!(probe.now(inside).unwrap_err().is_cancelled());

    let tg = LocalTaskGroup::<&str>::new();
    tg.cancel();
    let unborn = log.guard("unborn");
    let before = tg.run(async {
        drop(tg.spawn(async {
            let _unborn = unborn;
            log.note("ran");
            Ok(())
        }));
        never().await
    });
    let error = probe.now(before).unwrap_err();
    assert_eq!((log.all().as_str(), error.to_string().as_str()), ("-a -unborn", "the task group was cancelled"));
}

/// As TG-31: a value that is ready is never thrown away.
#[test]
fn a_block_that_has_its_value_keeps_it_when_the_group_is_cancelled() {
    let tg = LocalTaskGroup::<&str>::new();
    let run = tg.run(async {
        drop(tg.spawn(never()));
        drop(tg.spawn(async {
            yield_now().await;
            tg.cancel();
            Ok(())
        }));
        Ok(9)
    });
    assert_eq!(block_on(run), Ok(9));
}

/// TASK-07. Same.
#[test]
fn a_child_that_cancels_itself_is_dropped_when_it_waits_next() {
    let tg = LocalTaskGroup::<&str>::new();
    // Without a drop of its own: a child borrows it.
    let own = RefCell::new(None::<ManuallyDrop<TaskHandle<'_, i32>>>);
    let outcome = block_on(tg.run(async {
        let child = tg.spawn(async {
            assert!(own.borrow().as_ref().unwrap().cancel());
            never().await?;
            Ok(1)
        });
        *own.borrow_mut() = Some(ManuallyDrop::new(child));
        yield_now().await;
        yield_now().await;
        let own = ManuallyDrop::into_inner(own.borrow_mut().take().unwrap());
        assert!(own.is_finished());
        Ok(own.await)
    }));
    assert_eq!(outcome, Ok(Err(Cancelled)));
}

/// TASK-02. Same.
#[test]
fn a_child_that_is_cancelled_before_it_begins_never_runs() {
    let log = Log::default();
    let tg = LocalTaskGroup::<Cancelled>::new();
    block_on(tg.run(async {
        let child = tg.spawn(async {
            log.note("ran");
            Ok(())
        });
        child.cancel();
        assert_eq!(child.await, Err(Cancelled));
        Ok(())
    }))
    .unwrap();
    assert_eq!(log.all(), "");
}

// ---- defects of others

/// P2, moro: a child that is woken later spawns a sibling and awaits it.
#[test]
fn p2_a_child_that_awaits_a_sibling_it_has_just_spawned_is_not_forgotten() {
    let sim = Sim::new();
    let clock = sim.clock();
    let tg = LocalTaskGroup::<Cancelled>::new();
    let outcome = sim.block_on(tg.run(async {
        // Numbers that were used before are behind the cursor, new ones in front of it.
        for _ in 0..3 {
            drop(tg.spawn(after(&clock, 1, Ok(()))));
        }
        let late = tg.spawn(async {
            clock.sleep(ms(10)).await;
            let sibling = tg.spawn(async { Ok(1) });
            clock.sleep(ms(10)).await;
            Ok(sibling.await? + tg.spawn(async { Ok(2) }).await? + tg.spawn(after(&clock, 5, Ok(3))).await?)
        });
        late.await
    }));
    assert_eq!(outcome.unwrap(), Ok(6));
    assert_eq!(sim.now(), ms(25));
}

/// P3, moro: any panic of a child aborts the process.
#[test]
fn p3_a_panicking_child_drops_its_siblings_and_the_panic_goes_on_in_the_parent() {
    let log = Log::default();
    let text = panics(|| {
        let tg = LocalTaskGroup::new();
        let _ = block_on(tg.run(async {
            for name in ["a", "b"] {
                let guard = log.guard(name);
                drop(tg.spawn(async move {
                    let _guard = guard;
                    never().await
                }));
            }
            drop(tg.spawn(async { if true { panic!("child") } else { Ok(()) } }));
            let guard = log.guard("after");
            drop(tg.spawn(async move {
                let _guard = guard;
                never().await
            }));
            let _body = log.guard("body");
            never().await
        }));
    });
    assert_eq!((text.as_str(), log.all().as_str()), ("child", "-a -b -after -body"));
}

/// As P3: with an error before it, and with a graceful sibling, which ends first.
#[test]
fn a_panic_goes_before_errors_and_waits_for_the_graceful_children() {
    let sim = Sim::new();
    let clock = sim.clock();
    let log = Log::default();
    let text = panics(|| {
        let tg = LocalTaskGroup::new();
        let _ = sim.block_on(tg.run(async {
            drop(tg.spawn_graceful(async |stop| {
                stop.cancelled().await;
                clock.sleep(ms(30)).await;
                log.note("closed");
                Ok(())
            }));
            drop(tg.spawn(async { Err::<(), _>("error") }));
            drop(tg.spawn(async { if true { panic!("child") } else { Ok(()) } }));
            Ok(())
        }));
    });
    assert_eq!((text.as_str(), log.all().as_str(), sim.now()), ("child", "closed", ms(30)));
}

/// As P3: children whose drop panics too.
#[test]
fn the_first_of_several_panics_goes_on_and_all_children_are_dropped() {
    struct Bomb(Log);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.note("boom");
            panic!("drop");
        }
    }
    let log = Log::default();
    fn add<'c>(tg: &'c LocalTaskGroup<'c, &'static str>, log: &Log) {
        let bomb = Bomb(log.clone());
        drop(tg.spawn(async move {
            let _bomb = bomb;
            never().await
        }));
    }
    let text = panics(|| {
        let tg = LocalTaskGroup::new();
        let _ = block_on(tg.run(async {
            (0..3).for_each(|_| add(&tg, &log));
            drop(tg.spawn(async { if true { panic!("child") } else { Ok(()) } }));
            Ok(())
        }));
    });
    assert_eq!((text.as_str(), log.all().as_str()), ("child", "boom boom boom"));

    let log = Log::default();
    let text = panics(|| {
        let tg = LocalTaskGroup::new();
        let run = Probe::new().start(tg.run(async {
            (0..3).for_each(|_| add(&tg, &log));
            Ok(())
        }));
        drop(run);
    });
    assert_eq!((text.as_str(), log.all().as_str()), ("drop", "boom boom boom"));
}

/// The same, and so does the waker of who awaits it.
#[test]
fn a_panic_of_a_waker_does_not_end_the_process_while_that_of_a_child_is_on_its_way() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("drop");
        }
    }
    in_a_child("group::a_panic_of_a_waker_does_not_end_the_process_while_that_of_a_child_is_on_its_way", || {
        let (probe, awaiting) = (Probe::new(), Probe::new());
        let tg = LocalTaskGroup::<()>::new();
        let bomb = Bomb;
        let handle = Cell::new(None);
        let run = probe.start(tg.run(async {
            handle.set(Some(tg.spawn(async move {
                let _bomb = bomb;
                pending::<Result<(), ()>>().await
            })));
            pending::<Result<(), ()>>().await
        }));
        let mut handle = awaiting.start(handle.take().expect("it was spawned"));
        awaiting.on_wake(|| panic!("wake"));
        assert_eq!(panics(|| drop(run)), "drop");
        assert_eq!((awaiting.wakes(), awaiting.ready(&mut handle)), (1, Err(Cancelled)));
    });
}

/// P11, futures-rs #2387 and Oxide's RFD 609: children stand still while the consumer awaits something else.
#[test]
fn p11_children_go_on_while_the_block_waits_for_something_one_of_them_holds() {
    let semaphore = Semaphore::new(1);
    let tg = TaskGroup::new();
    let outcome = block_on(tg.run(async {
        let holder = tg.spawn(async {
            let permit = semaphore.acquire().await;
            yield_now().await;
            drop(permit);
            Ok(())
        });
        yield_now().await;
        // The holder is in the middle of its section, and nobody awaits it.
        let permit = semaphore.acquire().await;
        drop(permit);
        holder.await
    }));
    assert_eq!(outcome, Ok(()));
}

/// JoinSet's `join_all` panics when a child was merely aborted.
#[test]
fn a_cancelled_child_is_no_panic_for_who_joins_it() {
    let tg = TaskGroup::<Cancelled>::new();
    let outcomes = block_on(tg.run(async {
        let handles: Vec<_> = (0..4)
            .map(|n| {
                tg.spawn(async move {
                    yield_now().await;
                    Ok(n)
                })
            })
            .collect();
        handles[1].cancel();
        let mut outcomes = Vec::new();
        for handle in handles {
            outcomes.push(handle.await);
        }
        Ok(outcomes)
    }));
    assert_eq!(outcomes.unwrap(), [Ok(0), Err(Cancelled), Ok(2), Ok(3)]);
}

// ---- ours

/// Counts its live instances, and yields now and then.
async fn counted(live: Rc<Cell<isize>>, yields: usize) -> Never {
    struct Live(Rc<Cell<isize>>);
    impl Drop for Live {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    live.set(live.get() + 1);
    let _live = Live(live);
    for _ in 0..yields {
        yield_now().await;
    }
    Ok(())
}

#[test]
fn a_group_that_is_dropped_at_any_poll_drops_every_child_once() {
    let mut ended = false;
    for cut in 0.. {
        assert!(cut < 100);
        let (live, probe) = (Rc::new(Cell::new(0)), Probe::new());
        let tg = LocalTaskGroup::new();
        let mut run = Box::pin(tg.run(async {
            for n in 0..5 {
                drop(tg.spawn(counted(live.clone(), n)));
            }
            let nested = tg.spawn(async {
                yield_now().await;
                drop(tg.spawn(counted(live.clone(), 4)));
                counted(live.clone(), 2).await
            });
            drop(tg.spawn_graceful(|_| counted(live.clone(), 3)));
            let _ = nested.await;
            Ok(())
        }));
        let done = (0..cut).any(|_| probe.poll(&mut run).is_ready());
        drop(run);
        assert_eq!(live.get(), 0, "after {cut} polls");
        assert_eq!(probe.kept(), 0, "after {cut} polls");
        if done {
            ended = true;
            break;
        }
    }
    assert!(ended);
}

#[test]
fn children_that_spawn_in_their_drop_are_refused() {
    struct SpawnsInDrop<'c>(&'c LocalTaskGroup<'c, &'static str>, Log);
    impl Drop for SpawnsInDrop<'_> {
        fn drop(&mut self) {
            let guard = self.1.guard("refused");
            let handle = self.0.spawn(async move {
                let _guard = guard;
                Ok(())
            });
            self.1.note(if handle.is_finished() { "finished" } else { "alive" });
            assert_eq!(block_on(handle), Err(Cancelled));
        }
    }
    for fails in [true, false] {
        let (log, probe) = (Log::default(), Probe::new());
        let tg = LocalTaskGroup::new();
        let mut run = Box::pin(tg.run(async {
            let bomb = SpawnsInDrop(&tg, log.clone());
            drop(tg.spawn(async move {
                let _bomb = bomb;
                never().await
            }));
            yield_now().await;
            if fails { Err("no") } else { never().await }
        }));
        probe.pends(&mut run);
        if fails {
            assert_eq!(errors(probe.ready(&mut run)), ["no"]);
        }
        drop(run);
        assert_eq!(log.all(), "-refused finished");
    }
}

#[test]
fn a_child_that_spawns_in_the_poll_in_which_it_panics_is_followed_by_nobody() {
    let log = Log::default();
    let text = panics(|| {
        let tg = LocalTaskGroup::<&str>::new();
        let _ = block_on(tg.run(async {
            drop(tg.spawn(async {
                let guard = log.guard("sibling");
                drop(tg.spawn(async {
                    let _guard = guard;
                    log.note("ran");
                    Ok(())
                }));
                if true { panic!("child") } else { Ok(()) }
            }));
            Ok(())
        }));
    });
    assert_eq!((text.as_str(), log.all().as_str()), ("child", "-sibling"));
}

#[test]
fn at_most_so_many_children_run_at_a_time_in_the_order_of_spawning() {
    let sim = Sim::new();
    let clock = sim.clock();
    let (running, most) = (Cell::new(0), Cell::new(0));
    let log = Log::default();
    let tg = LocalTaskGroup::<Infallible>::new().max_concurrency(3);
    sim.block_on(tg.run(async {
        for n in 0..10 {
            let (running, most, log, clock) = (&running, &most, &log, &clock);
            drop(tg.spawn(async move {
                log.note(n.to_string());
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                clock.sleep(ms(10)).await;
                running.set(running.get() - 1);
                Ok(())
            }));
        }
        Ok(())
    }))
    .unwrap()
    .unwrap();
    assert_eq!((most.get(), sim.now()), (3, ms(40)));
    assert_eq!(log.all(), "0 1 2 3 4 5 6 7 8 9");

    let tg = TaskGroup::<Infallible>::new().max_concurrency(0);
    let child = tg.spawn(async { Ok(1) });
    assert_eq!(block_on(tg.run(async { Ok(child.await) })), Ok(Ok(1)), "none at all would hang");
}

#[test]
fn children_that_wait_for_their_turn_are_dropped_when_the_group_fails() {
    let log = Log::default();
    let tg = LocalTaskGroup::new().max_concurrency(1);
    let outcome = block_on(tg.run(async {
        drop(tg.spawn(async {
            yield_now().await;
            Err::<(), _>("no")
        }));
        for name in ["a", "b"] {
            let guard = log.guard(name);
            drop(tg.spawn(async {
                let _guard = guard;
                log.note("ran");
                Ok(())
            }));
        }
        Ok(())
    }));
    assert_eq!(errors(outcome), ["no"]);
    // The one whose turn it is when the first one has ended starts in the same pass.
    assert!(["-a -b", "ran -a -b"].contains(&log.all().as_str()), "{}", log.all());
}

#[test]
fn a_child_is_polled_when_it_was_woken_and_the_block_too() {
    let (probe, gates): (_, [Event; 3]) = (Probe::new(), Default::default());
    let (polls, body): ([Cell<usize>; 3], _) = (Default::default(), Cell::new(0));
    let tg = LocalTaskGroup::<Infallible>::new();
    let mut run = Box::pin(tg.run(async {
        for (gate, polls) in gates.iter().zip(&polls) {
            drop(tg.spawn(async move {
                let mut wait = pin!(gate.wait());
                poll_fn(|cx| {
                    polls.set(polls.get() + 1);
                    wait.as_mut().poll(cx)
                })
                .await;
                Ok(())
            }));
        }
        let mut never = pin!(pending::<()>());
        poll_fn(|cx| {
            body.set(body.get() + 1);
            never.as_mut().poll(cx)
        })
        .await;
        Ok(())
    }));
    probe.pends(&mut run);
    gates[1].set();
    probe.pends(&mut run);
    probe.pends(&mut run);
    assert_eq!((polls.each_ref().map(Cell::get), body.get()), ([1, 2, 1], 1));
    gates[0].set();
    gates[2].set();
    assert_eq!(probe.wakes(), 2, "one for each time it slept");
}

#[test]
fn a_spawn_from_another_thread_wakes_a_run_that_sleeps() {
    let tg = TaskGroup::<Cancelled>::new();
    let done = Event::new();
    std::thread::scope(|s| {
        let (tg, done) = (&tg, &done);
        let helper = s.spawn(move || {
            for n in 0..100 {
                let handle = tg.spawn(async move { Ok(n) });
                assert_eq!(block_on(handle), Ok(n));
            }
            done.set();
        });
        block_on(tg.run(async {
            done.wait().await;
            Ok(())
        }))
        .unwrap();
        helper.join().unwrap();
    });
}

#[test]
fn threads_that_spawn_and_cancel_lose_no_child() {
    let rounds = if cfg!(miri) { 2 } else { 200 };
    for round in 0..rounds {
        let ended = core::sync::atomic::AtomicUsize::new(0);
        let dropped = Arc::new(());
        let tg = TaskGroup::<Cancelled>::new();
        let spawned = std::thread::scope(|s| {
            let (tg, ended, dropped) = (&tg, &ended, &dropped);
            let spawner = s.spawn(move || {
                let handles = (0..20).map(|_| {
                    let token = Arc::clone(dropped);
                    tg.spawn(async move {
                        yield_now().await;
                        ended.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
                        drop(token);
                        Ok(())
                    })
                });
                let handles: Vec<_> = handles.collect();
                handles.into_iter().map(block_on).filter(Result::is_ok).count()
            });
            let canceller = s.spawn(move || {
                (0..round).for_each(|_| core::hint::spin_loop());
                tg.cancel();
            });
            let _ = block_on(tg.run(pending::<Result<(), _>>()));
            canceller.join().unwrap();
            spawner.join().unwrap()
        });
        assert_eq!(spawned, ended.into_inner());
        assert_eq!(Arc::strong_count(&dropped), 1);
    }
}

#[test]
fn a_value_outlives_the_group_in_its_handle_and_is_dropped_once() {
    let value = Rc::new(());
    {
        let tg = LocalTaskGroup::<Infallible>::new();
        let kept = block_on(tg.run(async {
            let (kept, lost) = (tg.spawn(async { Ok(value.clone()) }), tg.spawn(async { Ok(value.clone()) }));
            drop(lost);
            Ok(kept)
        }))
        .unwrap();
        assert_eq!(Rc::strong_count(&value), 2);
        let mut kept = kept;
        assert!(block_on(&mut kept).is_ok());
        assert_eq!(Rc::strong_count(&value), 1);
        assert!(kept.is_terminated());
        assert_eq!(panics(|| block_on(&mut kept).is_ok()), "polled after completion");
    }
    let tg = LocalTaskGroup::<Infallible>::new();
    let unread = block_on(tg.run(async { Ok(tg.spawn(async { Ok(value.clone()) })) })).unwrap();
    assert_eq!(Rc::strong_count(&value), 2);
    drop(unread);
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn a_run_is_fused_and_panics_when_polled_again() {
    let (tg, probe) = (TaskGroup::<Infallible>::new(), Probe::new());
    let mut run = Box::pin(tg.run(async { Ok(1) }));
    assert!(!run.is_terminated());
    assert_eq!(probe.ready(&mut run), Ok(1));
    assert!(run.is_terminated());
    assert_eq!(panics(|| probe.poll(&mut run).is_ready()), "polled after completion");
}

#[test]
fn a_run_that_is_dropped_before_its_first_poll_leaves_the_group_as_it_is() {
    let tg = TaskGroup::<Cancelled>::new();
    let child = tg.spawn(async { Ok(1) });
    drop(tg.run(pending::<Result<(), _>>()));
    assert_eq!(block_on(tg.run(child)), Ok(1));
}

#[test]
fn a_group_allocates_once_a_child_and_a_handful_of_times_itself() {
    let tg = TaskGroup::<Infallible>::new();
    let run = tg.run(async {
        for _ in 0..50 {
            drop(tg.spawn(async { Ok(()) }));
        }
        Ok(())
    });
    let (count, outcome) = allocations(|| Probe::new().now(run));
    assert!(outcome.is_ok());
    // One a child; the probe, the ready set, the slots and the free list, which double.
    assert!((50..=50 + 12).contains(&count), "{count}");
}

#[test]
fn a_hundred_thousand_children_end() {
    let n = if cfg!(miri) { 300 } else { 100_000 };
    let tg = TaskGroup::<Infallible>::new();
    let sum = core::sync::atomic::AtomicUsize::new(0);
    block_on(tg.run(async {
        for _ in 0..n {
            drop(tg.spawn(async {
                yield_now().await;
                sum.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
                Ok(())
            }));
        }
        Ok(())
    }))
    .unwrap();
    assert_eq!(sum.into_inner(), n);
}

#[test]
fn groups_show_where_they_stand() {
    let (tg, probe) = (TaskGroup::<Infallible>::new(), Probe::new());
    let show = |word: &str, cancelled| {
        format!("TaskGroup {{ inbox: Inbox {{ phase: \"{word}\", cancelled: {cancelled} }}, .. }}")
    };
    assert_eq!(format!("{tg:?}"), show("new", false));
    let handle = tg.spawn(async { Ok(()) });
    assert_eq!(format!("{handle:?}"), "TaskHandle { finished: false }");
    let run = probe.start(tg.run(pending::<Result<(), _>>()));
    assert_eq!(format!("{tg:?}"), show("running", false));
    assert_eq!(format!("{run:?}"), "GroupRun { phase: Running, children: 0, .. }");
    tg.cancel();
    drop(run);
    assert_eq!(format!("{tg:?}"), show("ended", true));
}

// ---- Send and Sync

type Body = core::future::Ready<Result<u8, Infallible>>;
type LocalBody = core::future::Ready<Result<Rc<u8>, Infallible>>;

assert_impl_all!(TaskGroup<'static, u8>: Send, Sync, core::fmt::Debug, Default);
assert_not_impl_any!(LocalTaskGroup<'static, u8>: Send, Sync);
assert_impl_all!(TaskHandle<'static, Cell<u8>>: Send, Sync, Unpin);
assert_not_impl_any!(TaskHandle<'static, Rc<u8>>: Send, Sync);
assert_impl_all!(GroupRun<'static, Body, u8, Infallible, testudo::task::Sendable>: Send, FusedFuture);
assert_not_impl_any!(GroupRun<'static, LocalBody, Rc<u8>, u8, testudo::task::Sendable>: Send);
assert_not_impl_any!(GroupRun<'static, Body, u8, Rc<u8>, testudo::task::Sendable>: Send);
assert_not_impl_any!(GroupRun<'static, Body, u8, u8, testudo::task::Local>: Send);
assert_impl_all!(GroupError<std::io::Error>: Send, Sync, core::error::Error);

#[test]
fn a_group_is_send_where_it_borrows_and_spawns() {
    fn assert_send<F: Future + Send>(fut: F) -> F {
        fut
    }
    let word = String::from("testudo");
    let run = assert_send(async {
        let tg = TaskGroup::<Cancelled>::new();
        tg.run(async {
            let child = tg.spawn(async {
                let sibling = tg.spawn(async { Ok(word.len()) });
                yield_now().await;
                sibling.await
            });
            child.await
        })
        .await
    });
    assert_eq!(block_on(run), Ok(7));
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_group_has_six_words_and_nothing_to_drop() {
    assert!(size_of::<TaskGroup<'static, String>>() <= 48);
    assert!(!core::mem::needs_drop::<TaskGroup<'static, String>>());
    assert!(size_of::<TaskHandle<'static, [u64; 100]>>() <= 16);
    assert!(size_of::<GroupError<u64>>() <= 48);
}

/// A future by hand, for what `async` cannot say.
struct Once<T>(Option<T>);

impl<T: Unpin> Future for Once<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        self.0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

#[test]
fn a_future_that_is_ready_once_is_polled_once() {
    let tg = TaskGroup::<Infallible>::new();
    assert_eq!(block_on(tg.run(Once(Some(Ok(4))))), Ok(4));
}

/// One that was woken in the poll in which the body ends the group has its turn, although the pass is broken off before it.
#[test]
fn a_graceful_child_that_was_woken_in_the_poll_that_ends_the_group_is_not_forgotten() {
    for how in ["fails", "panics", "cancels"] {
        let (go, closed) = (Event::new(), Cell::new(false));
        let run = async {
            let tg = LocalTaskGroup::<&str>::new();
            tg.run(async {
                drop(tg.spawn_graceful(async |_| {
                    go.wait().await;
                    closed.set(true);
                    Ok(())
                }));
                go.wait().await;
                match how {
                    "fails" => return Err("no bread"),
                    "panics" => panic!("no bread"),
                    _ => tg.cancel(),
                }
                pending::<Never>().await
            })
            .await
        };
        let probe = Probe::new();
        let (mut run, mut seen, mut ended) = (probe.start(run), probe.wakes(), false);
        go.set();
        while !ended && probe.wakes() != seen {
            seen = probe.wakes();
            ended = catch_unwind(AssertUnwindSafe(|| probe.poll(&mut run).is_ready())).unwrap_or(true);
        }
        assert!(ended && closed.get(), "the body {how}");
    }
}

/// A place that is free because a child failed is no turn for the next: that one has not started, graceful or not.
#[test]
fn nobody_who_waits_for_a_turn_starts_when_a_child_has_failed() {
    let started = Cell::new(false);
    let tg = LocalTaskGroup::new().max_concurrency(1);
    let outcome = block_on(tg.run(async {
        drop(tg.spawn(async { Err::<(), _>("no bread") }));
        drop(tg.spawn_graceful(async |_| Ok(started.replace(true))));
        drop(tg.spawn(async { Ok(started.replace(true)) }));
        pending::<Never>().await
    }));
    assert_eq!(errors(outcome), ["no bread"]);
    assert!(!started.get());
}
