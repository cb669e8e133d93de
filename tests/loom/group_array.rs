//! TaskGroupArray: places that other threads take and give back, and runs one after another.

use std::{
    future::{Future, Ready, pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
};

use testudo::task::{Cancelled, TaskGroupArray};

use crate::support::{Data, Waiter, block_on, explore, explore_within, race, spawn};

type Child = Pin<Box<dyn Future<Output = Result<usize, Cancelled>>>>;
type Group<F, const N: usize> = &'static TaskGroupArray<F, N>;

/// The models need groups and handles that threads can own.
fn group<F, T: 'static, E: 'static, const N: usize>() -> Group<F, N>
where
    F: Future<Output = Result<T, E>> + 'static,
{
    Box::leak(Box::new(TaskGroupArray::new()))
}

/// E1 of inbox.rs, E1 of job.rs, in a run that polls all.
#[test]
fn a_child_that_is_spawned_from_another_thread_runs_and_its_value_comes_back() {
    explore_within(2, || {
        let (tg, data) = (group::<Child, _, _, 1>(), Data::new());
        let helper = {
            let data = data.clone();
            spawn(move || {
                data.write(7);
                let inside = data.clone();
                let child = tg.spawn(Box::pin(async move {
                    assert_eq!(inside.read(), 7);
                    inside.write(8);
                    Ok(1)
                }));
                assert_eq!(block_on(child.ok().expect("there is room")), Ok(1));
                assert_eq!(data.read(), 8);
                tg.cancel();
            })
        };
        let _ = block_on(tg.run(pending::<Result<(), _>>()));
        helper.join();
    });
}

/// E1 of place.rs: who takes a place sees that the one before is done with it; two do not take the same.
#[test]
fn e1_a_place_that_a_handle_gives_back_on_another_thread_is_taken_once() {
    explore(|| {
        let (tg, value) = (group::<Ready<Result<Arc<()>, Cancelled>>, _, _, 1>(), Arc::new(()));
        let handle = tg.spawn(ready(Ok(value.clone()))).unwrap_or_else(|_| panic!("there is room"));
        assert!(block_on(tg.run(async { Ok(()) })).is_ok());
        let dropper = spawn(move || drop(handle));
        let inside = value.clone();
        let outcome = block_on(tg.run(async { Ok(tg.spawn(ready(Ok(inside))).is_ok()) }));
        dropper.join();
        assert_eq!((outcome.is_ok(), tg.len()), (true, 0));
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn two_threads_that_spawn_do_not_take_the_same_place() {
    explore_within(2, || {
        let tg = group::<Ready<Result<usize, Cancelled>>, _, _, 1>();
        let other = spawn(move || tg.spawn(ready(Ok(1))).map(Waiter::new));
        let own = tg.spawn(ready(Ok(2))).map(Waiter::new);
        let other = other.join();
        assert!(own.is_ok() != other.is_ok(), "one of them");
        assert!(block_on(tg.run(async { Ok(()) })).is_ok());
        for (taken, value) in [(own, 2), (other, 1)] {
            match taken {
                Ok(handle) => assert_eq!(handle.arrive(), Ok(value)),
                Err(future) => assert_eq!(block_on(future), Ok(value)),
            }
        }
    });
}

#[test]
fn a_spawn_during_the_end_of_the_run_is_taken_or_the_future_comes_back() {
    explore(|| {
        let tg = group::<Ready<Result<usize, Cancelled>>, _, _, 1>();
        let helper = spawn(move || tg.spawn(ready(Ok(1))).map(Waiter::new));
        assert_eq!(block_on(tg.run(async { Ok(5) })), Ok(5));
        match helper.join() {
            Ok(handle) => assert_eq!(handle.arrive(), Ok(1)),
            Err(future) => assert_eq!(block_on(future), Ok(1)),
        }
        assert_eq!(tg.len(), 0);
    });
}

#[test]
fn a_cancel_from_another_thread_wakes_the_run() {
    explore(|| {
        let tg = group::<Ready<Result<usize, Cancelled>>, _, _, 1>();
        let canceller = spawn(move || {
            race();
            tg.cancel();
        });
        let outcome = block_on(tg.run(pending::<Result<(), _>>()));
        assert!(outcome.unwrap_err().is_cancelled());
        canceller.join();
    });
}

/// E1 of fixed.rs: the second run finds everything as the first has left it.
#[test]
fn e1_a_run_begins_after_the_one_before_on_another_thread() {
    explore_within(2, || {
        let (tg, data) = (group::<Ready<Result<usize, Cancelled>>, _, _, 1>(), Data::new());
        let other = {
            let data = data.clone();
            spawn(move || {
                let mut run = Box::pin(tg.run(async {
                    data.write(1);
                    Ok(())
                }));
                assert!(block_on(run.as_mut()).is_ok());
            })
        };
        // It panics while the other one runs.
        let run = async move {
            let seen = data.read();
            Ok(seen)
        };
        let late = spawn(move || {
            race();
            let taken = format!("{tg:?}").contains("ended");
            taken.then(|| catch_unwind(AssertUnwindSafe(|| block_on(tg.run(run)))).ok())
        });
        if let Some(Some(outcome)) = late.join() {
            assert_eq!(outcome, Ok(1), "it came after the first");
        }
        other.join();
    });
}
