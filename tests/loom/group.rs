//! TaskGroup: spawning and cancelling from other threads, and handles on them.

use std::sync::Arc;

use testudo::task::{Cancelled, LocalTaskGroup, TaskHandle};

use crate::support::{Data, Waiter, block_on, explore, explore_within, race, spawn};

/// The models need groups and handles that threads can own.
fn group() -> &'static LocalTaskGroup<'static, Cancelled> {
    Box::leak(Box::new(LocalTaskGroup::new()))
}

/// E1 of inbox.rs, E1 of job.rs: what comes with a child is seen by the run, what it returns by the handle.
#[test]
fn e1_a_child_that_is_spawned_from_another_thread_runs_and_its_value_comes_back() {
    explore_within(2, || {
        let (tg, data) = (group(), Data::new());
        let helper = {
            let data = data.clone();
            spawn(move || {
                data.write(7);
                let inside = data.clone();
                let child = tg.spawn(async move {
                    assert_eq!(inside.read(), 7);
                    inside.write(8);
                    Ok(())
                });
                assert_eq!(block_on(child), Ok(()));
                assert_eq!(data.read(), 8);
                tg.cancel();
            })
        };
        let _ = block_on(tg.run(std::future::pending::<Result<(), _>>()));
        helper.join();
    });
}

#[test]
fn a_spawn_during_the_end_of_the_run_is_taken_or_refused() {
    explore(|| {
        let tg = group();
        let helper = spawn(move || Waiter::new(tg.spawn(async { Ok(1) })));
        assert_eq!(block_on(tg.run(async { Ok(5) })), Ok(5));
        let outcome = helper.join().arrive();
        assert!(outcome == Ok(1) || outcome == Err(Cancelled));
    });
}

#[test]
fn a_spawn_during_the_drop_of_the_run_is_refused() {
    explore(|| {
        let tg = group();
        let mut run = Waiter::new(tg.run(std::future::pending::<Result<(), _>>()));
        assert!(!run.poll());
        let helper = spawn(move || Waiter::new(tg.spawn(async { Ok(1) })));
        drop(run);
        assert_eq!(helper.join().arrive(), Err(Cancelled));
    });
}

#[test]
fn a_cancel_from_another_thread_wakes_the_run() {
    explore(|| {
        let tg = group();
        let canceller = spawn(move || {
            race();
            tg.cancel();
        });
        let outcome = block_on(tg.run(std::future::pending::<Result<(), _>>()));
        assert!(outcome.unwrap_err().is_cancelled());
        canceller.join();
    });
}

/// E2 of job.rs: whoever leaves last frees the job; loom's leak check and cells see both.
#[test]
fn e2_a_handle_that_is_dropped_as_its_child_ends_frees_it_once() {
    explore(|| {
        let (tg, value) = (group(), Arc::new(()));
        let inside = value.clone();
        let handle = tg.spawn(async move { Ok(inside) });
        let dropper = spawn(move || drop(handle));
        assert!(block_on(tg.run(async { Ok(()) })).is_ok());
        dropper.join();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

/// E3 of job.rs.
#[test]
fn e3_a_handle_that_cancels_on_another_thread_is_told_the_end() {
    explore_within(2, || {
        let (tg, data) = (group(), Data::new());
        let handle: TaskHandle<'_, ()> = tg.spawn(std::future::pending());
        let canceller = {
            let data = data.clone();
            spawn(move || {
                data.write(3);
                assert!(handle.cancel());
                assert_eq!(block_on(handle), Err(Cancelled));
            })
        };
        assert!(block_on(tg.run(async { Ok(()) })).is_ok());
        canceller.join();
        assert_eq!(data.read(), 3);
    });
}
