//! Nothing is lost, or it is said how much.
use std::sync::Arc;

use testudo::{
    Mutex, Semaphore,
    run::{
        block_on,
        profile::{ProfileExt, Recorder},
    },
};

use crate::alone;

const TASKS: usize = 10_000;

/// 10 000 tasks on two threads of an executor, each polled to its end; returns the recording.
fn crowd(recorder: Recorder) -> testudo::run::profile::Profile {
    let recording = recorder.start().expect("no other recording");
    let (lock, gate) = (Arc::new(Mutex::new(0)), Arc::new(Semaphore::new(0)));
    let executor = async_executor::Executor::new();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (lock, gate) = (Arc::clone(&lock), Arc::clone(&gate));
            let work = async move {
                gate.acquire().await.forget();
                *lock.lock().await += 1;
            };
            executor.spawn(work.profiled("worker"))
        })
        .collect();
    gate.add_permits(TASKS);
    let done = testudo::Event::new();
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| block_on(executor.run(done.wait())));
        }
        block_on(async {
            for task in tasks {
                task.await;
            }
        });
        done.set();
    });
    assert_eq!(*lock.try_lock().unwrap(), TASKS);
    recording.stop()
}

#[test]
fn two_threads_and_ten_thousand_tasks_lose_no_event() {
    let _alone = alone();
    let profile = crowd(Recorder::new());
    assert_eq!(profile.dropped(), 0);
    let workers: Vec<_> = profile.tasks().iter().filter(|task| task.name() == "worker").collect();
    assert_eq!(workers.len(), TASKS);
    assert!(workers.iter().all(|task| task.polls() >= 1));
    let passed = |kind: &str| {
        let of_kind = profile.resources().iter().filter(|stats| stats.name().starts_with(kind));
        of_kind.map(|stats| stats.waits() + stats.uncontended()).sum::<usize>()
    };
    assert_eq!((passed("Semaphore"), passed("Mutex")), (TASKS, TASKS));
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let _alone = alone();
    let all = crowd(Recorder::new()).events() as u64;
    let few = crowd(Recorder::new().capacity(5_000));
    assert!(few.events() <= 5_000 && few.dropped() > 0);
    // The schedule of two threads is another one each time, but each task tells at least of: spawn, poll, semaphore taken,
    // resumed, forgotten, lock taken, resumed, released, poll over, completed, dropped.
    assert!(few.events() as u64 + few.dropped() >= 11 * TASKS as u64 && all >= 11 * TASKS as u64);
}

#[test]
fn there_is_one_recording_at_a_time_and_one_after_it_begins_empty() {
    let _alone = alone();
    let first = Recorder::new().start().unwrap();
    assert!(Recorder::new().start().is_none());
    drop(Mutex::new(()).try_lock());
    assert_eq!(first.stop().events(), 2);
    let second = Recorder::new().start().unwrap();
    assert_eq!(second.stop().events(), 0);
}
