//! SpawnedGroup: children on other threads, `join`, handles, and errors.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use testudo::task::{Cancelled, LocalBoxTask, Spawn, SpawnedGroup};

use crate::support::{Data, Spawned, block_on, explore, explore_within, race, spawn};

/// An executor that keeps its tasks until a model takes them.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<LocalBoxTask>>>);

impl Shelf {
    /// Runs the oldest task on another thread.
    fn run(&self) -> Spawned<()> {
        let task = self.0.lock().unwrap().remove(0);
        spawn(move || block_on(task))
    }
}

impl Spawn<LocalBoxTask> for Shelf {
    fn spawn(&self, task: LocalBoxTask) -> Result<(), LocalBoxTask> {
        self.0.lock().unwrap().push(task);
        Ok(())
    }
}

/// T2 -> join.
#[test]
fn e1_what_the_children_did_is_seen_after_join() {
    explore_within(2, || {
        let (shelf, data) = (Shelf::default(), [Data::new(), Data::new()]);
        let group = SpawnedGroup::<_, usize>::new(shelf.clone());
        for data in data.clone() {
            drop(group.spawn_local(async move {
                data.write(5);
                Ok(())
            }));
        }
        let threads = [shelf.run(), shelf.run()];
        assert_eq!(block_on(group.join()), Ok(()));
        assert_eq!(data.map(|data| data.read()), [5, 5]);
        threads.into_iter().for_each(Spawned::join);
    });
}

/// T1 -> T2 of handle.rs.
#[test]
fn e1_a_handle_sees_what_its_child_did() {
    explore(|| {
        let (shelf, data) = (Shelf::default(), Data::new());
        let group = SpawnedGroup::<_, ()>::new(shelf.clone());
        let inside = data.clone();
        let child = group.spawn_local(async move {
            inside.write(5);
            Ok(6)
        });
        let thread = shelf.run();
        assert_eq!(block_on(child), Ok(6));
        assert_eq!(data.read(), 5);
        thread.join();
    });
}

#[test]
fn errors_of_two_threads_both_come_back() {
    explore_within(2, || {
        let shelf = Shelf::default();
        let group = SpawnedGroup::new(shelf.clone());
        for n in 0..2 {
            drop(group.spawn_local(async move { Err::<(), _>(n) }));
        }
        let threads = [shelf.run(), shelf.run()];
        let error = block_on(group.join()).unwrap_err();
        // One that had not begun when the other failed never does.
        assert!((1..=2).contains(&error.count()));
        threads.into_iter().for_each(Spawned::join);
    });
}

#[test]
fn a_group_that_is_cancelled_as_a_child_is_polled_ends() {
    explore(|| {
        let shelf = Shelf::default();
        let group = SpawnedGroup::<_, ()>::new(shelf.clone());
        let child = group.spawn_local(pending::<Result<(), ()>>());
        let thread = shelf.run();
        race();
        group.cancel();
        assert_eq!(block_on(group.join()), Ok(()));
        assert_eq!(block_on(child), Err(Cancelled));
        thread.join();
    });
}

#[test]
fn a_child_that_is_cancelled_as_it_is_polled_ends() {
    explore(|| {
        let shelf = Shelf::default();
        let group = SpawnedGroup::<_, ()>::new(shelf.clone());
        let child = group.spawn_local(pending::<Result<(), ()>>());
        let thread = shelf.run();
        race();
        assert!(child.cancel());
        assert_eq!(block_on(child), Err(Cancelled));
        assert_eq!(block_on(group.join()), Ok(()));
        thread.join();
    });
}

#[test]
fn a_task_that_is_dropped_on_another_thread_ends_the_join_and_the_handle() {
    explore(|| {
        let shelf = Shelf::default();
        let group = SpawnedGroup::<_, ()>::new(shelf.clone());
        let child = group.spawn_local(pending::<Result<(), ()>>());
        let dropper = spawn(move || drop(shelf.0.lock().unwrap().pop()));
        assert_eq!(block_on(group.join()).unwrap_err().lost(), 1);
        assert_eq!(block_on(child), Err(Cancelled));
        dropper.join();
    });
}
