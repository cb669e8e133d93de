//! `TaskGroupArray`: what it shares with `TaskGroup`, in both kinds of runs, and what is its own: places.
use core::{
    cell::{Cell, RefCell},
    future::{Future, Ready, pending, poll_fn, ready},
    marker::PhantomPinned,
    mem,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::*},
    },
};

use futures_core::FusedFuture;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use testudo::{
    Event, Semaphore,
    run::{Sim, block_on, cancel_at_every_poll},
    task::{Cancelled, GroupErrorArray, GroupRunArray, ReadyBlock, TaskGroupArray, TaskHandle},
};

use crate::{
    group::Log,
    support::{Probe, allocations, in_a_child, panics},
};

// ---- tools

type Boxed<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + 'c>>;
type Tg<'c, T, E, const N: usize> = TaskGroupArray<Boxed<'c, T, E>, N>;

fn boxed<'c, T, E>(fut: impl Future<Output = Result<T, E>> + 'c) -> Boxed<'c, T, E> {
    Box::pin(fut)
}

/// A group on the stack.
macro_rules! group {
    ($tg:ident: $ty:ty) => {
        let $tg = pin!(<$ty>::new());
        let $tg = $tg.into_ref();
    };
}

/// Spawns a child for which there is room.
#[track_caller]
fn add<'c, F, T, E, const N: usize>(tg: Pin<&'c TaskGroupArray<F, N>>, fut: F) -> TaskHandle<'c, T>
where
    F: Future<Output = Result<T, E>>,
{
    tg.spawn_pinned(fut).ok().expect("there is room")
}

/// Runs a group in both ways, with a block that nobody else has: `both!(|tg: type, run| ..)`.
macro_rules! both {
    (|$tg:ident: $ty:ty, $run:ident| $body:block) => {{
        for exact in [false, true] {
            static READY: ReadyBlock<1> = ReadyBlock::new();
            group!($tg: $ty);
            if exact {
                let claim = RefCell::new(READY.claim());
                assert!(claim.borrow().is_some());
                #[allow(unused_macros)]
                macro_rules! $run {
                    ($future:expr) => {
                        $tg.run_in_pinned(claim.borrow_mut().take().or_else(|| READY.claim()).unwrap(), $future)
                    };
                }
                $body
            } else {
                #[allow(unused_macros)]
                macro_rules! $run {
                    ($future:expr) => {
                        $tg.run_pinned($future)
                    };
                }
                $body
            }
        }
    }};
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

type Never = Result<(), &'static str>;

async fn never<G>(_guard: G) -> Never {
    pending().await
}

fn errors<R: core::fmt::Debug, E: Clone, const N: usize>(outcome: Result<R, GroupErrorArray<E, N>>) -> Vec<E> {
    outcome.expect_err("it failed").iter().cloned().collect()
}

// ---- what it shares with TaskGroup

#[test]
fn leaving_the_block_waits_for_all_children_and_the_handles_have_the_results() {
    both!(|tg: Tg<'_, u64, Cancelled, 2>, run| {
        let sim = Sim::new();
        let clock = sim.clock();
        let after = async |n| {
            clock.sleep(Duration::from_millis(n)).await;
            Ok(n)
        };
        let outcome = sim.block_on(run!(async { Ok((add(tg, boxed(after(20))), add(tg, boxed(after(10))))) }));
        let (one, two) = outcome.unwrap().unwrap();
        assert!(one.is_finished() && two.is_finished());
        assert_eq!(sim.now(), Duration::from_millis(20));
        assert_eq!((block_on(one), block_on(two)), (Ok(20), Ok(10)));
    });
}

#[test]
fn a_failing_child_cancels_its_siblings_and_the_errors_of_that_moment_come_back_in_order() {
    both!(|tg: Tg<'_, (), &str, 5>, run| {
        let log = Log::default();
        let outcome = block_on(run!(async {
            drop(add(tg, boxed(never(log.guard("a")))));
            drop(add(tg, boxed(ready(Err("first")))));
            drop(add(tg, boxed(never(log.guard("b")))));
            drop(add(tg, boxed(ready(Err("second")))));
            let _body = log.guard("body");
            never(()).await
        }));
        let error = outcome.unwrap_err();
        assert_eq!((error.first(), error.rest().copied().collect::<Vec<_>>()), (Some(&"first"), vec!["second"]));
        assert_eq!(error.to_string(), "unhandled errors in a task group (2 in all), first: first");
        assert_eq!(error.into_iter().collect::<Vec<_>>(), ["first", "second"]);
        assert_eq!(log.take(), "-a -b -body");
        assert!(tg.is_empty());
    });
}

/// The body's error joins those of all children: `N + 1`, which is what there is room for.
#[test]
fn all_children_and_the_body_may_fail_at_once() {
    both!(|tg: Tg<'_, (), u8, 3>, run| {
        let outcome = block_on(run!(async {
            for n in 1..=3 {
                drop(add(tg, boxed(ready(Err(n)))));
            }
            yield_now().await;
            Err::<(), _>(9)
        }));
        let errors = errors(outcome);
        assert!(errors == [1, 2, 3, 9] || errors == [1, 2, 3], "{errors:?}");
    });
    group!(tg: Tg<'_, (), u8, 3>);
    let gate = Event::new();
    let outcome = block_on(tg.run_pinned(async {
        let fail = async |n| {
            gate.wait().await;
            Err(n)
        };
        (1..=3).for_each(|n| drop(add(tg, boxed(fail(n)))));
        yield_now().await;
        yield_now().await;
        gate.set();
        Err::<(), _>(9)
    }));
    assert_eq!(errors(outcome), [9], "an error of the body stops the pass");
}

#[test]
fn a_panicking_child_drops_its_siblings_and_the_panic_goes_on_in_the_parent() {
    both!(|tg: Tg<'_, (), &str, 3>, run| {
        let log = Log::default();
        let text = panics(|| {
            block_on(run!(async {
                drop(add(tg, boxed(never(log.guard("a")))));
                drop(add(tg, boxed(async { panic!("child") })));
                drop(add(tg, boxed(never(log.guard("b")))));
                let _body = log.guard("body");
                never(()).await
            }))
        });
        assert_eq!((text.as_str(), log.take().as_str()), ("child", "-a -b -body"));
        assert!(tg.is_empty());
        assert_eq!(block_on(run!(async { Ok(1) })), Ok(1), "it may be run again");
    });
}

#[test]
fn a_panic_of_the_block_drops_the_children_and_goes_on() {
    both!(|tg: Tg<'_, (), &str, 1>, run| {
        let log = Log::default();
        let text = panics(|| {
            block_on(run!(async {
                drop(add(tg, boxed(never(log.guard("a")))));
                yield_now().await;
                if log.take().is_empty() {
                    panic!("body");
                }
                Ok(())
            }))
        });
        assert_eq!((text.as_str(), log.take().as_str()), ("body", "-a"));
    });
}

#[test]
fn cancel_ends_a_group_without_an_error_from_outside_from_inside_and_before_the_run() {
    both!(|tg: Tg<'_, (), &str, 2>, run| {
        let (log, probe) = (Log::default(), Probe::new());
        // from outside
        let mut outside = probe.start(run!(async {
            drop(add(tg, boxed(never(log.guard("a")))));
            never(()).await
        }));
        let woken = probe.wakes();
        tg.cancel();
        assert_eq!(probe.wakes(), woken + 1);
        assert!(probe.ready(&mut outside).unwrap_err().is_cancelled());
        assert_eq!(log.take(), "-a");
        drop(outside);
        // after the end: nothing
        tg.cancel();
        // from inside
        let inside = block_on(run!(async {
            drop(add(tg, boxed(never(log.guard("b")))));
            yield_now().await;
            tg.cancel();
            never(()).await
        }));
        assert_eq!(inside.unwrap_err().to_string(), "the task group was cancelled");
        assert_eq!(log.take(), "-b");
    });
    both!(|tg: Tg<'_, (), &str, 2>, run| {
        let log = Log::default();
        drop(add(tg, boxed(async { Ok(log.note("it ran")) })));
        tg.cancel();
        let before = block_on(run!(never(())));
        assert!(before.unwrap_err().is_cancelled());
        assert_eq!(log.take(), "");
        assert!(tg.is_empty(), "the child is dropped");
        assert_eq!(block_on(run!(async { Ok(2) })), Ok(2), "the next run is not cancelled");
    });
}

#[test]
fn a_block_that_has_its_value_keeps_it_when_the_group_is_cancelled() {
    both!(|tg: Tg<'_, (), &str, 1>, run| {
        let outcome = block_on(run!(async {
            drop(add(tg, boxed(pending())));
            tg.cancel();
            Ok(42)
        }));
        assert_eq!(outcome, Ok(42));
    });
}

#[test]
fn a_child_that_is_cancelled_alone_is_no_failure() {
    both!(|tg: Tg<'_, u8, &str, 2>, run| {
        let outcome = block_on(run!(async {
            let (one, two) = (add(tg, boxed(pending())), add(tg, boxed(ready(Ok(2)))));
            yield_now().await;
            assert!(one.cancel() && one.cancel(), "it has not ended before the group is polled");
            Ok((one.await, two.await))
        }));
        assert_eq!(outcome, Ok((Err(Cancelled), Ok(2))));
    });
}

#[test]
fn children_spawn_children_also_when_the_block_has_ended() {
    both!(|tg: Tg<'_, (), &str, 2>, run| {
        static SUM: AtomicUsize = AtomicUsize::new(0);
        fn count_down<'c>(tg: Pin<&'c Tg<'c, (), &'static str, 2>>, n: usize) {
            drop(add(
                tg,
                boxed(async move {
                    yield_now().await;
                    SUM.fetch_add(n, SeqCst);
                    if n > 1 {
                        count_down(tg, n - 1);
                    }
                    Ok(())
                }),
            ));
        }
        // The children borrow the group itself, so one of its own.
        let _ = (&tg, stringify!(run));
        group!(own: Tg<'_, (), &'static str, 2>);
        let outcome = block_on(own.run_pinned(async { Ok(count_down(own, 10)) }));
        assert_eq!((outcome, SUM.swap(0, SeqCst)), (Ok(()), 55));
    });
}

/// Children of a group that is `static`, of a type that has a name.
#[test]
fn children_of_a_static_group_spawn_siblings() {
    struct Child(usize);
    static TG: TaskGroupArray<Child, 3> = TaskGroupArray::new();
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    impl Future for Child {
        type Output = Result<(), &'static str>;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            if self.0 > 0 {
                drop(TG.spawn(Child(self.0 - 1)).ok().expect("there is room"));
            }
            ENDED.fetch_add(1, Relaxed);
            Poll::Ready(Ok(()))
        }
    }
    for round in 1..=2 {
        let outcome = block_on(TG.run(async { Ok(drop(TG.spawn(Child(100)).ok().unwrap())) }));
        assert_eq!((outcome, ENDED.load(Relaxed), TG.len()), (Ok(()), 101 * round, 0));
    }
}

#[test]
fn children_that_spawn_in_their_drop_are_refused() {
    struct SpawnsInDrop<'c>(Pin<&'c Tg<'c, (), &'static str, 3>>, &'c Cell<usize>);
    impl Drop for SpawnsInDrop<'_> {
        fn drop(&mut self) {
            let refused = self.0.spawn_pinned(boxed(async { unreachable!("it never runs") })).is_err();
            self.1.set(self.1.get() + usize::from(refused));
        }
    }
    let refused = Cell::new(0);
    group!(tg: Tg<'_, (), &'static str, 3>);
    let outcome = block_on(tg.run_pinned(async {
        drop(add(tg, boxed(never(SpawnsInDrop(tg, &refused)))));
        yield_now().await;
        Err::<(), _>("body")
    }));
    assert_eq!((errors(outcome), refused.get()), (vec!["body"], 1));
}

// ---- places

/// The future comes back as it is: not polled, not dropped.
#[test]
fn a_full_group_gives_the_future_back_and_a_place_is_free_when_child_and_handle_are_gone() {
    both!(|tg: Tg<'_, u8, &str, 2>, run| {
        let log = Log::default();
        let outcome = block_on(run!(async {
            let one = add(tg, boxed(ready(Ok(1))));
            drop(add(tg, boxed(ready(Ok(2)))));
            let guard = log.guard("third");
            let third = boxed(async move {
                let _guard = guard;
                Ok(3)
            });
            let Err(third) = tg.spawn_pinned(third) else { panic!("it is full") };
            assert_eq!((log.take().as_str(), tg.len(), tg.capacity()), ("", 2, 2));
            yield_now().await;
            yield_now().await;
            assert_eq!(tg.len(), 1, "the handle of the first keeps its place");
            assert!(one.is_finished());
            let third = add(tg, third);
            assert!(tg.spawn_pinned(boxed(pending())).is_err());
            let first = one.await.unwrap();
            let fourth = add(tg, boxed(ready(Ok(4))));
            Ok(first + third.await.unwrap() + fourth.await.unwrap())
        }));
        assert_eq!((outcome, log.take().as_str(), tg.len()), (Ok(8), "-third", 0));
    });
}

#[test]
fn who_spawns_while_the_group_is_ending_or_after_the_end_gets_the_future_back() {
    both!(|tg: Tg<'_, u8, &str, 2>, run| {
        drop(add(tg, boxed(ready(Ok(1))))); // before the run
        assert_eq!(block_on(run!(async { Ok(1) })), Ok(1));
        let Err(fut) = tg.spawn_pinned(boxed(ready(Ok(7)))) else { panic!("it has ended") };
        assert_eq!((block_on(fut), tg.len()), (Ok(7), 0));
        let again = block_on(run!(async { Ok(add(tg, boxed(ready(Ok(8)))).await) }));
        assert_eq!(again, Ok(Ok(8)), "it may be run again");
    });
}

#[test]
fn places_are_used_again_without_end_and_nothing_is_allocated() {
    static TG: TaskGroupArray<Ready<Result<usize, Cancelled>>, 3> = TaskGroupArray::new();
    static READY: ReadyBlock<1> = ReadyBlock::new();
    async fn body() -> Result<usize, Cancelled> {
        let mut sum = 0;
        for n in 0..1000 {
            sum += TG.spawn(ready(Ok(n))).ok().unwrap().await?;
        }
        Ok(sum)
    }
    let probe = Probe::new();
    fn finish(probe: &Probe, run: impl Future<Output = Result<usize, GroupErrorArray<Cancelled, 3>>>) {
        let mut run = pin!(run);
        loop {
            if let Poll::Ready(sum) = probe.poll_pinned(run.as_mut()) {
                return assert_eq!(sum, Ok(499_500));
            }
        }
    }
    let (count, ()) = allocations(|| {
        finish(&probe, TG.run(body()));
        finish(&probe, TG.run_in(READY.claim().unwrap(), body()));
    });
    assert_eq!((count, probe.kept()), (0, 0));
}

/// A future that is not `Unpin` is polled and dropped at one address.
#[test]
fn a_child_does_not_move() {
    struct Stays(Option<*const Self>, Rc<Cell<usize>>, PhantomPinned);
    impl Future for Stays {
        type Output = Result<(), &'static str>;
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            // SAFETY: nothing is moved out of it.
            let this = unsafe { self.get_unchecked_mut() };
            let here: *const Self = this;
            assert_eq!(*this.0.get_or_insert(here), here);
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
    impl Drop for Stays {
        fn drop(&mut self) {
            let here: *const Self = self;
            assert!(self.0.is_none_or(|at| at == here));
            self.1.set(self.1.get() + 1);
        }
    }
    let dropped = Rc::new(Cell::new(0));
    group!(tg: TaskGroupArray<Stays, 3>);
    let outcome = block_on(tg.run_pinned(async {
        for _ in 0..3 {
            drop(add(tg, Stays(None, dropped.clone(), PhantomPinned)));
        }
        for _ in 0..3 {
            yield_now().await;
        }
        Err::<(), _>("body")
    }));
    assert_eq!((errors(outcome), dropped.get()), (vec!["body"], 3));
}

#[test]
fn a_value_outlives_the_run_in_its_handle_and_is_dropped_once() {
    both!(|tg: Tg<'_, Rc<u8>, &str, 2>, run| {
        let value = Rc::new(3);
        let outcome = block_on(run!(async {
            drop(add(tg, boxed(ready(Ok(value.clone()))))); // nobody takes it
            Ok((add(tg, boxed(ready(Ok(value.clone())))), 1))
        }));
        let (handle, _) = outcome.unwrap();
        assert_eq!((Rc::strong_count(&value), tg.len()), (2, 1));
        assert_eq!(block_on(handle), Ok(Rc::new(3)));
        assert_eq!((Rc::strong_count(&value), tg.len()), (1, 0));
    });
}

#[test]
fn a_value_whose_drop_panics_gives_its_place_back() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("value");
        }
    }
    group!(tg: Tg<'_, Bomb, &str, 1>);
    let text = panics(|| {
        let handle = block_on(tg.run_pinned(async { Ok(add(tg, boxed(async { Ok(Bomb) }))) })).ok().unwrap();
        assert_eq!(tg.len(), 1);
        drop(handle);
    });
    assert_eq!((text.as_str(), tg.len()), ("value", 0));
}

#[test]
fn children_are_dropped_in_the_order_of_spawning_also_when_places_were_used_again() {
    both!(|tg: Tg<'_, (), &str, 4>, run| {
        let log = Log::default();
        let outcome = block_on(run!(async {
            let first = add(tg, boxed(ready(Ok(()))));
            for name in ["a", "b"] {
                drop(add(tg, boxed(never(log.guard(name)))));
            }
            first.await.unwrap();
            for name in ["c", "d"] {
                drop(add(tg, boxed(never(log.guard(name)))));
            }
            yield_now().await;
            Err::<(), _>("body")
        }));
        assert_eq!((errors(outcome), log.take().as_str()), (vec!["body"], "-a -b -c -d"));
    });
}

// ---- dropping

/// A child that counts itself.
async fn counted(live: Rc<Cell<isize>>, yields: usize) -> Result<(), &'static str> {
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
fn a_run_that_is_dropped_at_any_poll_drops_every_child_once() {
    both!(|tg: Tg<'_, (), &str, 3>, run| {
        let live = Rc::new(Cell::new(0));
        let body = async || {
            for round in 0..4 {
                for yields in [0, 1, 3] {
                    let _ = tg.spawn_pinned(boxed(counted(live.clone(), yields + round % 2)));
                }
                yield_now().await;
            }
            Ok(())
        };
        let places = cancel_at_every_poll(
            || run!(body()),
            |at| {
                assert_eq!((live.get(), tg.len()), (0, 0), "dropped after {at} polls");
            },
        );
        assert!(places > 5, "{places}");
    });
}

#[test]
fn a_run_that_is_dropped_before_its_first_poll_leaves_the_group_as_it_is() {
    both!(|tg: Tg<'_, u8, &str, 1>, run| {
        let child = add(tg, boxed(ready(Ok(1))));
        drop(run!(async { Ok(()) }));
        assert_eq!(tg.len(), 1);
        assert_eq!(block_on(run!(async { Ok(child.await) })), Ok(Ok(1)));
    });
}

#[test]
fn dropping_the_run_drops_the_block_and_then_the_children_and_keeps_no_waker() {
    both!(|tg: Tg<'_, (), &str, 2>, run| {
        let (log, probe) = (Log::default(), Probe::new());
        let run = probe.start(run!(async {
            let _body = log.guard("body");
            let handle = add(tg, boxed(never(log.guard("a"))));
            drop(add(tg, boxed(never(log.guard("b")))));
            let _ = handle.await;
            Ok(())
        }));
        assert!(probe.kept() > 0);
        drop(run);
        assert_eq!((log.take().as_str(), probe.kept(), tg.len()), ("-body -a -b", 0, 0));
    });
}

/// The place is the child's and its handle's: both have to leave it.
#[test]
fn a_handle_whose_waker_panics_as_it_is_dropped_gives_its_place_back() {
    let (probe, awaiting) = (Probe::new(), Probe::new());
    group!(tg: Tg<'_, (), &'static str, 1>);
    let go = Event::new();
    let handle = RefCell::new(None);
    let mut run = probe.start(tg.run_pinned(async {
        *handle.borrow_mut() = Some(add(tg, boxed(async { Ok(go.wait().await) })));
        go.wait().await;
        yield_now().await;
        Ok(tg.spawn_pinned(boxed(never(()))).is_ok())
    }));
    let awaited = awaiting.start(handle.take().expect("it was spawned"));
    awaiting.on_drop(|| panic!("drop"));
    assert_eq!(panics(|| drop(awaited)), "drop");
    awaiting.quiet();
    go.set();
    let mut outcome = probe.poll(&mut run);
    while outcome.is_pending() {
        tg.cancel(); // the child in the place that came back never ends
        outcome = probe.poll(&mut run);
    }
    assert_eq!(outcome, Poll::Ready(Ok(true)));
}

/// A child without a handle has no use for the waker that a handle would cancel it with.
#[test]
fn a_run_that_moves_to_another_task_leaves_no_waker_behind() {
    let (first, second) = (Probe::new(), Probe::new());
    group!(tg: Tg<'_, (), &'static str, 1>);
    let handle = RefCell::new(None);
    let mut run = first.start(tg.run_pinned(async {
        *handle.borrow_mut() = Some(add(tg, boxed(never(()))));
        pending::<Never>().await
    }));
    assert!(first.kept() > 0);
    drop(handle.take());
    second.pends(&mut run);
    assert_eq!(first.kept(), 0);
}

#[test]
fn a_group_is_run_by_one_at_a_time() {
    group!(tg: Tg<'_, (), &str, 1>);
    let (probe, log) = (Probe::new(), Log::default());
    let first = probe.start(tg.run_pinned(async {
        drop(add(tg, boxed(never(log.guard("a")))));
        never(()).await
    }));
    let text = panics(|| probe.now(tg.run_pinned(async { Ok(()) })));
    assert_eq!(text, "a task group is run by one at a time");
    assert_eq!(log.take(), "", "the other one was let alone");
    drop(first);
    assert_eq!(log.take(), "-a");
    assert_eq!(block_on(tg.run_pinned(async { Ok(1) })), Ok(1));
}

/// A child that was polled may be in a list: it must not go away without being dropped.
#[test]
fn a_group_whose_run_was_forgotten_ends_the_program_when_it_is_dropped() {
    const CHILD: &str = "TESTUDO_FORGETS";
    if std::env::var_os(CHILD).is_some() {
        group!(tg: Tg<'_, (), &str, 1>);
        let run = Probe::new().start(tg.run_pinned(async { add(tg, boxed(pending())).await.map_err(|_| "") }));
        mem::forget(run);
        return;
    }
    if cfg!(miri) {
        return;
    }
    let this = std::env::current_exe().unwrap();
    let test = "group_array::a_group_whose_run_was_forgotten_ends_the_program_when_it_is_dropped";
    let child = std::process::Command::new(this).args(["--exact", test]).env(CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(text.contains("running 1 test"), "no such test: {text}");
    assert!(text.contains("a task group was dropped whose run was forgotten"), "{text}");
    assert!(!child.status.success());
}

/// One that is `static` stays, and its children with it.
#[test]
fn a_static_group_whose_run_was_forgotten_stays_taken() {
    static TG: TaskGroupArray<core::future::Pending<Result<(), &str>>, 1> = TaskGroupArray::new();
    let run = Probe::new().start(TG.run(async { TG.spawn(pending()).ok().unwrap().await.map_err(|_| "") }));
    mem::forget(run);
    assert_eq!(panics(|| block_on(TG.run(async { Ok(()) }))), "a task group is run by one at a time");
}

// ---- wakers

#[test]
fn in_a_block_a_child_is_polled_when_it_was_woken_and_without_one_all_are() {
    static READY: ReadyBlock<1> = ReadyBlock::new();
    for (exact, polls_of_others) in [(true, 1), (false, 3)] {
        let (gate, count, probe) = (Event::new(), Cell::new(0), Probe::new());
        group!(tg: Tg<'_, (), &str, 3>);
        let body = async {
            for _ in 0..2 {
                let count = &count;
                drop(add(
                    tg,
                    boxed(poll_fn(move |_| {
                        count.set(count.get() + 1);
                        Poll::<Never>::Pending
                    })),
                ));
            }
            let woken = async {
                gate.wait().await;
                yield_now().await;
                Ok(())
            };
            add(tg, boxed(woken)).await.map_err(|_| "")?;
            Err::<(), _>("end")
        };
        let drive = |run: Pin<&mut dyn Future<Output = Result<(), GroupErrorArray<&'static str, 3>>>>| {
            let mut run = run;
            assert!(probe.poll_pinned(run.as_mut()).is_pending());
            gate.set();
            assert!(probe.poll_pinned(run.as_mut()).is_pending());
            let outcome = probe.poll_pinned(run.as_mut());
            let Poll::Ready(outcome) = outcome else {
                assert!(probe.poll_pinned(run.as_mut()).is_ready());
                return;
            };
            assert_eq!(errors(outcome), ["end"]);
        };
        if exact {
            drive(pin!(tg.run_in_pinned(READY.claim().unwrap(), body)));
        } else {
            drive(pin!(tg.run_pinned(body)));
        }
        assert!(
            (2 * polls_of_others..=2 * polls_of_others + 2 * usize::from(!exact)).contains(&count.get()),
            "{count:?}"
        );
    }
}

/// Without a block a child's waker is the parent's, which changes when the run moves to another task.
#[test]
fn a_handle_that_cancels_wakes_the_task_that_polls_the_run_now() {
    both!(|tg: Tg<'_, (), &str, 1>, run| {
        let (before, now, own) = (Probe::new(), Probe::new(), Probe::new());
        let kept = RefCell::new(None);
        let mut run = before.start(run!(async {
            *kept.borrow_mut() = Some(add(tg, boxed(pending())));
            Ok(())
        }));
        now.pends(&mut run);
        let handle = kept.take().unwrap();
        let (woken_before, woken_now) = (before.wakes(), now.wakes());
        assert!(handle.cancel());
        assert_eq!((before.wakes(), now.wakes()), (woken_before, woken_now + 1));
        assert_eq!(now.ready(&mut run), Ok(()));
        assert_eq!(own.now(handle), Err(Cancelled));
    });
}

/// A child that comes in a place that this pass has gone by is polled soon.
#[test]
fn a_child_that_is_spawned_into_an_early_place_is_not_forgotten() {
    both!(|tg: Tg<'_, u8, &str, 3>, run| {
        let probe = Probe::new();
        let mut run = probe.start(run!(async {
            let early = add(tg, boxed(ready(Ok(0))));
            let late = async {
                yield_now().await;
                Ok(1)
            };
            let late = add(tg, boxed(late));
            early.await.unwrap();
            late.await.unwrap();
            Ok(add(tg, boxed(ready(Ok(7)))).await)
        }));
        for _ in 0..10 {
            let woken = probe.wakes();
            match probe.poll(&mut run) {
                Poll::Ready(outcome) => return assert_eq!(outcome, Ok(Ok(7))),
                Poll::Pending => assert!(probe.wakes() > woken, "nobody polls it any more"),
            }
        }
        panic!("it takes too long");
    });
}

#[test]
fn a_child_that_is_spawned_by_a_later_sibling_when_the_body_has_ended_runs() {
    // The sibling has the second place; the first is free again by then, and behind the pass.
    static READY: ReadyBlock<1> = ReadyBlock::new();
    for exact in [false, true] {
        let ran = Cell::new(false);
        group!(tg: Tg<'_, (), &str, 2>);
        let body = async {
            drop(add(tg, boxed(ready(Ok(())))));
            let spawns = async {
                yield_now().await;
                drop(add(tg, boxed(async { Ok(ran.set(true)) })));
                Ok(())
            };
            drop(add(tg, boxed(spawns)));
            Ok(5)
        };
        let outcome = if exact {
            block_on(tg.run_in_pinned(READY.claim().unwrap(), body))
        } else {
            block_on(tg.run_pinned(body))
        };
        assert_eq!((outcome, ran.get()), (Ok(5), true));
    }
}

#[test]
fn a_waker_that_cancels_or_spawns_is_no_trouble() {
    static TG: TaskGroupArray<Ready<Result<(), &str>>, 2> = TaskGroupArray::new();
    static GATE: Event = Event::new();
    let probe = Probe::new();
    let mut run = probe.start(TG.run(async {
        GATE.wait().await;
        never(()).await
    }));
    probe.on_wake(|| {
        let _ = TG.spawn(ready(Ok(())));
        TG.cancel();
    });
    GATE.set();
    assert!(probe.ready(&mut run).unwrap_err().is_cancelled());
    assert!(TG.is_empty());
}

#[test]
#[should_panic(expected = "more children than the block has room for")]
fn a_block_without_room_for_all_children_and_two_more_is_refused() {
    static READY: ReadyBlock<1> = ReadyBlock::new();
    const TOO_MANY: usize = usize::BITS as usize - 1;
    static TG: TaskGroupArray<Ready<Result<(), &str>>, TOO_MANY> = TaskGroupArray::new();
    drop(TG.run_in(READY.claim().unwrap(), async { Ok(()) }));
}

#[test]
fn a_block_is_free_again_when_the_run_has_ended() {
    static READY: ReadyBlock<1> = ReadyBlock::new();
    group!(tg: Tg<'_, (), &str, 2>);
    let mut run = Box::pin(tg.run_in_pinned(READY.claim().unwrap(), async { Ok(()) }));
    assert!(READY.claim().is_none());
    assert_eq!(block_on(run.as_mut()), Ok(()));
    assert!(run.is_terminated() && READY.claim().is_some());
}

// ---- threads

#[test]
fn a_spawn_and_a_cancel_from_another_thread_wake_a_run_that_sleeps() {
    static TG: TaskGroupArray<Ready<Result<u8, &str>>, 2> = TaskGroupArray::new();
    static BEGUN: Event = Event::new();
    let helper = std::thread::spawn(|| {
        BEGUN.wait_blocking();
        assert_eq!(block_on(TG.spawn(ready(Ok(5))).ok().unwrap()), Ok(5));
        TG.cancel();
    });
    let outcome = block_on(TG.run(async {
        BEGUN.set();
        never(()).await
    }));
    assert!(outcome.unwrap_err().is_cancelled());
    helper.join().unwrap();
}

#[test]
fn threads_that_spawn_cancel_and_drop_handles_lose_no_child() {
    static TG: TaskGroupArray<Boxed2, 4> = TaskGroupArray::new();
    static READY: ReadyBlock<1> = ReadyBlock::new();
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    type Boxed2 = Pin<Box<dyn Future<Output = Result<usize, &'static str>> + Send>>;
    struct Live;
    impl Drop for Live {
        fn drop(&mut self) {
            LIVE.fetch_sub(1, SeqCst);
        }
    }
    const ROUNDS: usize = if cfg!(miri) { 3 } else { 200 };
    for round in 0..ROUNDS {
        let left = Arc::new(AtomicUsize::new(3));
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let left = left.clone();
                std::thread::spawn(move || {
                    let mut spawned = 0;
                    for n in 0..20 {
                        LIVE.fetch_add(1, SeqCst);
                        let live = Live;
                        let child: Boxed2 = Box::pin(async move {
                            let _live = live;
                            yield_now().await;
                            Ok(n)
                        });
                        let Ok(handle) = TG.spawn(child) else {
                            std::thread::yield_now();
                            continue;
                        };
                        spawned += 1;
                        match (thread + n) % 3 {
                            0 => drop(handle),
                            1 => {
                                handle.cancel();
                            }
                            _ => assert!(matches!(block_on(handle), Ok(m) if m == n)),
                        }
                    }
                    if left.fetch_sub(1, SeqCst) == 1 {
                        TG.cancel();
                    }
                    spawned
                })
            })
            .collect();
        let body = pending::<Result<(), &str>>();
        let outcome =
            if round % 2 == 0 { block_on(TG.run(body)) } else { block_on(TG.run_in(READY.claim().unwrap(), body)) };
        assert!(outcome.unwrap_err().is_cancelled());
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((LIVE.load(SeqCst), TG.len()), (0, 0), "round {round}");
    }
}

// ---- polls after the end, what it shows, how large it is

#[test]
fn a_run_is_fused_and_panics_when_polled_again() {
    both!(|tg: Tg<'_, (), &str, 1>, run| {
        let probe = Probe::new();
        let mut run = Box::pin(run!(async { Ok(1) }));
        assert!(!run.is_terminated());
        assert_eq!(probe.ready(&mut run), Ok(1));
        assert!(run.is_terminated());
        let text = panics(|| probe.poll(&mut run).is_ready());
        assert_eq!(text, "polled after completion");
    });
}

#[test]
fn groups_show_where_they_stand() {
    group!(tg: Tg<'_, (), &str, 1>);
    let start = "TaskGroupArray { inbox: Inbox { phase: \"new\", cancelled: false }, running: false, capacity: 1, .. }";
    assert_eq!(format!("{tg:?}"), start);
    let probe = Probe::new();
    let run = probe.start(tg.run_pinned(async { add(tg, boxed(pending())).await.map_err(|_| "") }));
    assert_eq!(format!("{run:?}"), "GroupRun { phase: Running, children: 1, .. }");
    assert!(format!("{tg:?}").contains("running: true"));
    drop(run);
    assert!(format!("{tg:?}").contains("phase: \"ended\""));
}

type Neither = Rc<u8>;
type SendNotSync = Cell<u8>;

#[test]
fn a_group_is_send_and_sync_if_its_futures_values_and_errors_are_send() {
    type Of<T, E> = TaskGroupArray<Ready<Result<T, E>>, 1>;
    type Run<R, T, E> = GroupRunArray<'static, Ready<Result<R, E>>, R, Ready<Result<T, E>>, 1>;
    assert_impl_all!(Of<SendNotSync, SendNotSync>: Send, Sync);
    assert_not_impl_any!(Of<Neither, u8>: Send, Sync);
    assert_not_impl_any!(Of<u8, Neither>: Send, Sync);
    assert_not_impl_any!(TaskGroupArray<Boxed<'static, u8, u8>, 1>: Send, Sync);
    assert_not_impl_any!(Of<u8, u8>: Unpin);
    assert_impl_all!(Run<SendNotSync, SendNotSync, SendNotSync>: Send, FusedFuture);
    assert_not_impl_any!(Run<Neither, u8, u8>: Send);
    assert_not_impl_any!(Run<u8, Neither, u8>: Send);
    assert_not_impl_any!(Run<u8, u8, Neither>: Send);
    fn assert_send<F: Future + Send>(_: F) {}
    static TG: Of<u8, &'static str> = TaskGroupArray::new();
    assert_send(async {
        TG.run(async { TG.spawn(ready(Ok(1))).map_err(|_| "full")?.await.map_err(|_| "gone") }).await
    });
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_place_adds_fourteen_words_to_its_future_and_a_group_has_five() {
    type Of<const N: usize> = TaskGroupArray<Ready<Result<u64, Cancelled>>, N>;
    let place = size_of::<Of<2>>() - size_of::<Of<1>>();
    // Thirteen without the feature `profile`; a multiple of 16.
    assert!(place <= (14 * 8 + size_of::<Ready<Result<u64, Cancelled>>>() + 8).next_multiple_of(16), "{place}");
    assert!(size_of::<Of<0>>() <= 5 * 8, "{}", size_of::<Of<0>>());
}

#[test]
fn a_group_without_places_runs_its_body() {
    both!(|tg: Tg<'_, (), &str, 0>, run| {
        assert!(tg.spawn_pinned(boxed(pending())).is_err());
        assert_eq!(block_on(run!(async { Ok(3) })), Ok(3));
        assert_eq!(errors(block_on(run!(async { Err::<(), _>("body") }))), ["body"]);
    });
}

/// Others may take what a child holds while the body waits: none stands still.
#[test]
fn children_go_on_while_the_block_waits_for_something_one_of_them_holds() {
    both!(|tg: Tg<'_, (), &str, 2>, run| {
        let semaphore = Semaphore::new(1);
        let outcome = block_on(run!(async {
            let holds = async {
                let _permit = semaphore.acquire().await;
                yield_now().await;
                Ok(())
            };
            drop(add(tg, boxed(holds)));
            yield_now().await;
            let _permit = semaphore.acquire().await;
            Ok(1)
        }));
        assert_eq!(outcome, Ok(1));
    });
}

#[test]
fn a_drop_that_panics_keeps_no_sibling() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("drop");
        }
    }
    both!(|tg: Tg<'_, (), &str, 3>, run| {
        let (log, probe) = (Log::default(), Probe::new());
        let run = probe.start(run!(async {
            drop(add(tg, boxed(never(log.guard("a")))));
            drop(add(tg, boxed(never(Bomb))));
            drop(add(tg, boxed(never(log.guard("b")))));
            never(()).await
        }));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(run))).is_err());
        assert_eq!((log.take().as_str(), tg.len()), ("-a -b", 0));
        assert_eq!(block_on(run!(async { Ok(1) })), Ok(1));
    });
}

#[test]
fn a_group_on_the_stack_is_dropped_with_children_that_never_ran() {
    in_a_child("group_array::a_group_on_the_stack_is_dropped_with_children_that_never_ran", || {
        // Such a child is leaked: it has nothing on the heap here.
        let tg = pin!(TaskGroupArray::<Ready<Result<(), Cancelled>>, 1>::new());
        let tg = tg.into_ref();
        drop(tg.spawn_pinned(ready(Ok(()))).ok().unwrap());
        drop(tg.run_pinned(async { Ok(()) }));
    });
}
