//! `SpawnedGroup` on every executor: values, the first error, cancelling, panics, and an executor that goes away.

use std::{future::pending, rc::Rc, sync::Arc, thread};

use async_executor::{Executor, LocalExecutor};
use futures_executor::{LocalPool, ThreadPool};
use futures_util::task::LocalSpawnExt as _;
use testudo::{
    Event,
    run::{Sim, block_on},
    task::{BoxTask, Cancelled, LocalBoxTask, Spawn, SpawnedGroup},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::LocalSet,
};

use crate::{
    executors::{Edge, STATIC, embassy_spawner, in_embassy},
    watched,
};

/// What a group does, on any executor.
async fn tour<S: Spawn<BoxTask> + Clone>(spawner: S) {
    let group = SpawnedGroup::<_, ()>::new(spawner.clone());
    let children: Vec<_> = (0..20).map(|n| group.spawn(async move { Ok(n) })).collect();
    group.join().await.unwrap();
    for (n, child) in children.into_iter().enumerate() {
        assert_eq!(child.await, Ok(n));
    }

    let (group, alive) = (SpawnedGroup::new(spawner.clone()), Arc::new(()));
    for _ in 0..5 {
        let inside = alive.clone();
        drop(group.spawn(async move {
            let _inside = inside;
            pending::<Result<(), _>>().await
        }));
    }
    drop(group.spawn(async { Err::<(), _>("no") }));
    assert_eq!(group.join().await.unwrap_err().first(), Some(&"no"));
    assert_eq!(Arc::strong_count(&alive), 1, "all had dropped what they held");

    let group = SpawnedGroup::<_, ()>::new(spawner);
    let (one, other) = (group.spawn(pending::<Result<(), ()>>()), group.spawn(pending::<Result<(), ()>>()));
    assert!(one.cancel());
    assert_eq!(one.await, Err(Cancelled));
    group.cancel();
    assert_eq!((other.await, group.join().await), (Err(Cancelled), Ok(())));
}

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread().build().unwrap(), Builder::new_multi_thread().worker_threads(2).build().unwrap()]
}

#[test]
fn a_group_runs_on_tokio_from_inside_and_outside() {
    watched(|| {
        for runtime in runtimes() {
            runtime.block_on(tour(|task: BoxTask| drop(tokio::spawn(task))));
        }
        let [_, threads] = runtimes();
        let handle = threads.handle().clone();
        block_on(tour(move |task: BoxTask| drop(handle.spawn(task))));
    });
}

#[test]
fn a_group_runs_on_smol_on_async_executor_and_on_the_simulation() {
    watched(|| {
        smol::block_on(tour(|task: BoxTask| smol::spawn(task).detach()));
        let executor = Arc::new(Executor::new());
        let theirs = Arc::clone(&executor);
        block_on(executor.run(tour(move |task: BoxTask| theirs.spawn(task).detach())));
        block_on(STATIC.run(tour(|task: BoxTask| STATIC.spawn(task).detach())));
        let sim = Sim::new();
        sim.block_on(tour(sim.spawner())).unwrap();
    });
}

#[test]
fn a_group_runs_on_a_thread_pool_of_futures_and_on_a_thread_for_each_child() {
    watched(|| {
        let pool = ThreadPool::builder().pool_size(2).create().unwrap();
        block_on(tour(move |task: BoxTask| pool.spawn_ok(task)));
        block_on(tour(|task: BoxTask| drop(thread::spawn(|| pollster::block_on(task)))));
    });
}

#[test]
fn a_group_runs_on_embassy_and_on_edge_executor() {
    watched(|| {
        block_on(tour(|task: BoxTask| embassy_spawner().spawn(in_embassy(task).unwrap())));
        let executor = Arc::new(Edge::new());
        let theirs = Arc::clone(&executor);
        block_on(executor.run(tour(move |task: BoxTask| theirs.spawn(task).detach())));
    });
}

#[test]
fn a_child_that_finds_no_place_in_embassy_is_lost_and_keeps_nobody_waiting() {
    #[embassy_executor::task(pool_size = 2)]
    async fn one_of_two(task: BoxTask) {
        task.await;
    }
    watched(|| {
        let spawner = embassy_spawner();
        let go = Arc::new(Event::new());
        let group = SpawnedGroup::<_, ()>::new(move |task: BoxTask| {
            // What has no place has been dropped by this.
            if let Ok(token) = one_of_two(task) {
                spawner.spawn(token);
            }
        });
        let children = [(); 3].map(|()| {
            let go = Arc::clone(&go);
            group.spawn(async move {
                go.wait().await;
                Ok(())
            })
        });
        let [one, two, three] = children;
        assert_eq!(block_on(three), Err(Cancelled));
        go.set();
        assert_eq!((block_on(one), block_on(two)), (Ok(()), Ok(())));
        assert_eq!(block_on(group.join()).unwrap_err().lost(), 1);
    });
}

#[test]
fn a_local_group_runs_on_every_executor_that_stays_on_its_thread() {
    async fn local<S: Spawn<LocalBoxTask>>(spawner: S) {
        let group = SpawnedGroup::<_, ()>::new(spawner);
        let child = group.spawn_local(async { Ok(Rc::new(5)) });
        group.join().await.unwrap();
        assert_eq!(child.await, Ok(Rc::new(5)));
    }
    watched(|| {
        let [runtime, _] = runtimes();
        LocalSet::new().block_on(&runtime, local(|task: LocalBoxTask| drop(tokio::task::spawn_local(task))));
        let executor = Rc::new(LocalExecutor::new());
        let theirs = Rc::clone(&executor);
        block_on(executor.run(local(move |task: LocalBoxTask| theirs.spawn(task).detach())));
        let executor = Rc::new(edge_executor::LocalExecutor::<edge_executor::UnboundQueue>::new());
        let theirs = Rc::clone(&executor);
        block_on(executor.run(local(move |task: LocalBoxTask| theirs.spawn(task).detach())));
        let mut pool = LocalPool::new();
        let spawner = pool.spawner();
        pool.run_until(local(move |task: LocalBoxTask| spawner.spawn_local(task).unwrap()));
        let sim = Sim::new();
        sim.block_on(local(sim.spawner())).unwrap();
    });
}

#[test]
fn an_executor_that_goes_away_hangs_nobody() {
    watched(|| {
        let [_, runtime] = runtimes();
        let handle = runtime.handle().clone();
        let group = SpawnedGroup::new(move |task: BoxTask| drop(handle.spawn(task)));
        let before = group.spawn(pending::<Result<(), ()>>());
        drop(runtime);
        let after = group.spawn(pending::<Result<(), ()>>());
        assert_eq!((block_on(before), block_on(after)), (Err(Cancelled), Err(Cancelled)));
        assert_eq!(block_on(group.join()).unwrap_err().lost(), 2);
    });
}
