//! `SpawnedGroup`, on the simulation; on other executors in `tests/interop`.
use core::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    task::Poll,
    time::Duration,
};
use std::{
    rc::Rc,
    sync::{Arc, Mutex},
};

use futures_core::FusedFuture;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use testudo::{
    run::{Sim, Spawner, block_on},
    task::{BoxTask, Cancelled, GroupError, LocalBoxTask, Spawn, SpawnedGroup, SpawnedHandle},
};

use crate::support::{Probe, allocations, panics};

/// An executor that keeps its tasks until somebody takes them.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<BoxTask>>>);

impl Shelf {
    fn take(&self) -> Vec<BoxTask> {
        core::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Spawn for Shelf {
    fn spawn(&self, task: BoxTask) -> Result<(), BoxTask> {
        self.0.lock().unwrap().push(task);
        Ok(())
    }
}

fn never() -> impl Future<Output = Result<(), &'static str>> {
    pending()
}

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

#[test]
fn join_waits_for_all_and_the_handles_have_the_values() {
    let sim = Sim::new();
    let group = SpawnedGroup::<_, ()>::new(sim.spawner());
    let children: Vec<_> = (0..5_u64)
        .map(|n| {
            let clock = sim.clock();
            group.spawn_local(async move {
                clock.sleep(Duration::from_millis(n)).await;
                Ok(Rc::new(n))
            })
        })
        .collect();
    assert_eq!(sim.block_on(group.join()).unwrap(), Ok(()));
    assert_eq!(sim.now(), Duration::from_millis(4));
    for (n, child) in children.into_iter().enumerate() {
        assert_eq!(*block_on(child).unwrap(), n as u64);
    }
}

#[test]
fn the_first_error_cancels_the_others_and_all_errors_come_back_in_order() {
    let sim = Sim::new();
    let group = SpawnedGroup::new(sim.spawner());
    let alive = Arc::new(());
    let inside = alive.clone();
    let held = group.spawn(async move {
        let _inside = inside;
        never().await
    });
    drop(group.spawn(async { Err::<(), _>("first") }));
    drop(group.spawn(async { Err::<(), _>("second") }));
    let error = sim.block_on(group.join()).unwrap().unwrap_err();
    // The second was cancelled before its first step.
    assert_eq!(error.iter().collect::<Vec<_>>(), [&"first"]);
    assert_eq!(Arc::strong_count(&alive), 1);
    assert_eq!(sim.block_on(held).unwrap(), Err(Cancelled));

    let group = SpawnedGroup::new(sim.spawner());
    for name in ["first", "second"] {
        drop(group.spawn(async move {
            yield_now().await;
            Err::<(), _>(name)
        }));
    }
    let error = sim.block_on(group.join()).unwrap().unwrap_err();
    assert_eq!(error.into_iter().collect::<Vec<_>>(), ["first", "second"], "ready in the same round: the value first");
}

#[test]
fn a_child_that_is_cancelled_alone_is_no_failure() {
    let sim = Sim::new();
    let group = SpawnedGroup::new(sim.spawner());
    let (one, two) = (group.spawn(never()), group.spawn(async { Ok(2) }));
    let join = async {
        yield_now().await;
        assert!(one.cancel() && !two.cancel());
        (one.await, two.await, group.join().await)
    };
    assert_eq!(sim.block_on(join).unwrap(), (Err(Cancelled), Ok(2), Ok(())));
}

#[test]
fn a_child_that_is_cancelled_before_its_first_poll_never_runs() {
    for whole in [true, false] {
        let (sim, ran) = (Sim::new(), Rc::new(Cell::new(false)));
        let group = SpawnedGroup::<_, ()>::new(sim.spawner());
        let flag = ran.clone();
        let child = group.spawn_local(async move {
            flag.set(true);
            Ok(())
        });
        if whole {
            group.cancel();
        } else {
            child.cancel();
        }
        assert_eq!(sim.block_on(group.join()).unwrap(), Ok(()));
        assert_eq!(block_on(child), Err(Cancelled));
        assert!(!ran.get());
    }
}

#[test]
fn dropping_the_group_or_its_join_cancels_the_children_at_their_next_poll() {
    for joins in [true, false] {
        let (sim, alive) = (Sim::new(), Arc::new(()));
        let group = SpawnedGroup::new(sim.spawner());
        let inside = alive.clone();
        let child = group.spawn(async move {
            let _inside = inside;
            never().await
        });
        assert!(sim.run_until_stalled().is_some());
        if joins {
            drop(Probe::new().start(group.join()));
        } else {
            drop(group);
        }
        assert_eq!(Arc::strong_count(&alive), 2);
        assert!(sim.run_until_stalled().is_none());
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(block_on(child), Err(Cancelled));
    }
}

#[test]
fn a_task_that_its_executor_drops_is_reported_and_hangs_nobody() {
    for polled in [true, false] {
        let (shelf, probe) = (Shelf::default(), Probe::new());
        let group = SpawnedGroup::new(shelf.clone());
        let (child, other) = (group.spawn(never()), group.spawn(async { Ok(1) }));
        let mut tasks = shelf.take();
        if polled {
            probe.pends(&mut tasks[0]);
        }
        block_on(tasks.pop().unwrap());
        let mut join = probe.start(group.join());
        drop(tasks);
        assert_eq!(probe.wakes(), 1);
        let error = probe.ready(&mut join).unwrap_err();
        assert_eq!((error.lost(), error.count(), error.is_cancelled()), (1, 0, false));
        assert_eq!(error.to_string(), "a task group has lost tasks (1 dropped by the executor)");
        assert_eq!((block_on(child), block_on(other)), (Err(Cancelled), Ok(1)));
    }
}

#[test]
fn a_task_that_is_dropped_after_the_group_was_cancelled_is_not_lost() {
    let shelf = Shelf::default();
    let group = SpawnedGroup::new(shelf.clone());
    let child = group.spawn(never());
    group.cancel();
    drop(shelf.take());
    assert_eq!(block_on(group.join()), Ok(()));
    assert!(child.is_finished());
}

#[test]
fn a_task_that_the_spawner_refuses_is_lost() {
    struct Full;
    impl Spawn for Full {
        fn spawn(&self, task: BoxTask) -> Result<(), BoxTask> {
            Err(task)
        }
    }
    let group = SpawnedGroup::new(Full);
    let child = group.spawn(never());
    assert_eq!(block_on(child), Err(Cancelled));
    assert_eq!(block_on(group.join()).unwrap_err().lost(), 1);
}

#[test]
fn a_panic_cancels_the_others_and_goes_on_from_join() {
    let sim = Sim::new();
    let group = SpawnedGroup::new(sim.spawner());
    let held = group.spawn(never());
    let broken = group.spawn(async { if true { panic!("child") } else { Ok(()) } });
    drop(group.spawn(async { Err::<(), _>("no") }));
    assert_eq!(panics(|| sim.block_on(group.join()).unwrap()), "child");
    assert_eq!((block_on(held), block_on(broken)), (Err(Cancelled), Err(Cancelled)));
}

#[test]
fn a_drop_that_panics_is_a_panic_of_the_child() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("drop");
        }
    }
    let sim = Sim::new();
    let group = SpawnedGroup::new(sim.spawner());
    let child = group.spawn(async {
        let _bomb = Bomb;
        never().await
    });
    assert!(sim.run_until_stalled().is_some());
    group.cancel();
    assert_eq!(panics(|| sim.block_on(group.join()).unwrap()), "drop");
    assert!(child.is_finished());
}

#[test]
fn a_handle_gives_its_value_once() {
    let sim = Sim::new();
    let group = SpawnedGroup::<_, ()>::new(sim.spawner());
    let mut child = group.spawn(async { Ok(1) });
    assert_eq!(format!("{child:?}"), "SpawnedHandle { finished: false }");
    assert_eq!(sim.block_on(&mut child).unwrap(), Ok(1));
    assert!(child.is_terminated() && child.is_finished());
    assert_eq!(panics(|| block_on(&mut child).is_ok()), "polled after completion");
    let shown = "SpawnedGroup { live: 0, token: CancelToken { cancelled: false, waiters: false }, .. }";
    assert_eq!(format!("{group:?}"), shown);
}

#[test]
fn a_child_costs_two_allocations_besides_those_of_the_executor() {
    let shelf = Shelf(Arc::new(Mutex::new(Vec::with_capacity(10))));
    let group = SpawnedGroup::new(shelf.clone());
    let (count, ()) = allocations(|| (0..10).for_each(|_| drop(group.spawn(never()))));
    assert_eq!(count, 20);
    drop(shelf.take());
}

#[test]
fn children_are_counted_at_every_poll() {
    for cut in 0..20 {
        let (sim, live) = (Sim::new(), Rc::new(()));
        let group = SpawnedGroup::<_, ()>::new(sim.spawner());
        for n in 0..4 {
            let inside = live.clone();
            drop(group.spawn_local(async move {
                let _inside = inside;
                for _ in 0..n {
                    yield_now().await;
                }
                Ok(())
            }));
        }
        let _ = sim.block_on(async {
            for _ in 0..cut {
                yield_now().await;
            }
        });
        drop(group);
        assert!(sim.run_until_stalled().is_none());
        assert_eq!(Rc::strong_count(&live), 1, "after {cut}");
    }
}

type Local = fn(LocalBoxTask);

assert_impl_all!(SpawnedGroup<fn(BoxTask), u8>: Send, Sync);
assert_not_impl_any!(SpawnedGroup<fn(BoxTask), Rc<u8>>: Send, Sync);
assert_not_impl_any!(SpawnedGroup<Spawner, u8>: Send, Sync);
assert_impl_all!(SpawnedHandle<Cell<u8>>: Send, Sync, Unpin);
assert_not_impl_any!(SpawnedHandle<Rc<u8>>: Send, Sync);
assert_impl_all!(Spawner: Spawn<BoxTask>, Spawn<LocalBoxTask>);
assert_impl_all!(Local: Spawn<LocalBoxTask>);
assert_not_impl_any!(Local: Spawn<BoxTask>);
assert_impl_all!(GroupError<u8>: Send, Sync);

#[test]
fn a_value_without_a_handle_is_dropped_before_join_returns() {
    struct Value(Arc<Mutex<Vec<&'static str>>>, bool);
    impl Drop for Value {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("value");
            assert!(!self.1, "in the value's drop");
        }
    }
    for fails in [false, true] {
        let (log, shelf) = (Arc::default(), Shelf::default());
        let group = SpawnedGroup::<_, ()>::new(shelf.clone());
        let value = Value(Arc::clone(&log), fails);
        drop(group.spawn(async { Ok(value) }));
        let probe = Probe::new();
        let on_idle = Arc::clone(&log);
        probe.on_wake(move || on_idle.lock().unwrap().push("join"));
        let mut join = probe.start(group.join());
        shelf.take().into_iter().for_each(block_on);
        assert_eq!(*log.lock().unwrap(), ["value", "join"]);
        if fails {
            assert_eq!(panics(|| probe.poll(&mut join)), "in the value's drop");
        } else {
            assert_eq!(probe.ready(&mut join), Ok(()));
        }
    }
}
