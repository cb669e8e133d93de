//! Tasks of several executors that share one primitive.

use std::{
    future::{Future, pending},
    pin::pin,
    sync::{Arc, Barrier as Start},
    thread,
    time::Duration,
};

use async_executor::LocalExecutor;
use futures_lite::future::poll_once;
use testudo::{
    ArrayQueue, Barrier, Condition, Event, Mutex, RwLock, Semaphore,
    run::{Sim, block_on},
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    each_executor,
    executors::{self, Task},
    scenarios::Tasks,
    watched,
};

fn tokio() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

#[test]
fn a_tokio_task_signals_a_smol_task_and_a_blocked_thread() {
    watched(|| {
        let event = Arc::new(Event::new());
        let ready = Arc::new(Start::new(2));
        let thread = thread::spawn({
            let (event, ready) = (Arc::clone(&event), Arc::clone(&ready));
            move || {
                ready.wait();
                event.wait_blocking();
            }
        });
        let mut wait = Box::pin(Event::wait_with(Arc::clone(&event)));
        assert!(block_on(poll_once(wait.as_mut())).is_none());
        let task = smol::spawn(wait);
        ready.wait();
        let runtime = tokio();
        let signal = runtime.spawn(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            event.set();
        });
        smol::block_on(task);
        thread.join().unwrap();
        runtime.block_on(signal).unwrap();
    });
}

/// The functions of all executors.
fn everybody() -> Vec<fn(Tasks)> {
    macro_rules! functions {
        ($($_rounds:literal $executor:ident,)*) => { vec![$(executors::$executor as fn(Tasks)),*] };
    }
    each_executor!(functions)
}

/// One task, which tasks elsewhere wake.
fn alone(task: impl Future<Output = ()> + Send + 'static) -> Tasks {
    let mut tasks = Tasks::new(vec![Box::pin(task)]);
    tasks.outside = true;
    tasks
}

#[test]
fn a_task_of_each_executor_wakes_a_task_of_each_other() {
    const ROUNDS: u32 = 20;
    watched(|| {
        for ping in everybody() {
            thread::scope(|threads| {
                for pong in everybody() {
                    let there = Arc::new((ArrayQueue::<u32, 1>::new(), Semaphore::new(0)));
                    let back = Arc::clone(&there);
                    threads.spawn(move || {
                        pong(alone(async move {
                            while let Ok(round) = back.0.get().await {
                                assert!(round < ROUNDS);
                                back.1.add_permits(1);
                            }
                        }));
                    });
                    ping(alone(async move {
                        for round in 0..ROUNDS {
                            there.0.put(round).await.unwrap();
                            there.1.acquire().await.forget();
                        }
                        there.0.close();
                    }));
                }
            });
        }
    });
}

#[test]
fn a_tokio_a_smol_and_an_embassy_task_signal_one_another() {
    const LAPS: usize = 100;
    let members: [fn(Tasks); 3] = [executors::tokio_multi_thread, executors::smol, executors::embassy];
    for (from, to) in [(0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)] {
        watched(move || {
            let events = Arc::new([Event::new(), Event::new()]);
            thread::scope(|threads| {
                for (me, run) in [(0, members[from]), (1, members[to])] {
                    let events = Arc::clone(&events);
                    threads.spawn(move || {
                        run(alone(async move {
                            for _ in 0..LAPS {
                                if me == 0 {
                                    events[1].set();
                                }
                                events[me].wait().await;
                                events[me].clear();
                                if me == 1 {
                                    events[0].set();
                                }
                            }
                        }));
                    });
                }
            });
        });
    }
}

/// Takes every `members`-th turn.
async fn take_turns(turn: Arc<Condition<usize>>, me: usize, members: usize, laps: usize) {
    for lap in 0..laps {
        let mut now = turn.wait_until(move |now| now % members == me).await;
        assert_eq!(*now, lap * members + me);
        *now += 1;
        turn.notify(&now, 1);
    }
}

#[test]
fn the_turn_goes_round_all_executors_and_a_blocked_thread() {
    const LAPS: usize = 200;
    let members = everybody();
    watched(move || {
        let turn = Arc::new(Condition::new(0));
        let n = members.len() + 1;
        thread::scope(|threads| {
            for (me, run) in members.into_iter().enumerate() {
                let task = take_turns(Arc::clone(&turn), me, n, LAPS);
                threads.spawn(move || run(alone(task)));
            }
            threads.spawn(|| {
                for _ in 0..LAPS {
                    let mut now = turn.wait_until_blocking(|now| now % n == n - 1);
                    *now += 1;
                    turn.notify(&now, 1);
                }
            });
        });
        assert_eq!(*turn.try_lock().unwrap(), n * LAPS);
    });
}

#[test]
fn a_lock_taken_on_tokio_may_be_freed_by_a_thread_for_a_smol_task() {
    watched(|| {
        let lock = Arc::new(Mutex::new(1));
        let runtime = tokio();
        let mut guard = runtime.block_on(runtime.spawn(Mutex::lock_with(Arc::clone(&lock)))).unwrap();
        let mut wait = Box::pin(Mutex::lock_with(Arc::clone(&lock)));
        assert!(block_on(poll_once(wait.as_mut())).is_none());
        let task = smol::spawn(async move { *wait.await });
        thread::spawn(move || *guard += 1).join().unwrap();
        assert_eq!(smol::block_on(task), 2);
    });
}

#[test]
fn a_timeout_of_tokio_gives_up_a_wait_and_its_notification_goes_to_the_next() {
    watched(|| {
        tokio().block_on(async {
            let items = Condition::new(0);
            let timed = tokio::time::timeout(Duration::from_millis(10), items.wait_until(|&n| n > 0)).await;
            assert!(timed.is_err());
            let mut first = Box::pin(tokio::time::timeout(Duration::from_secs(50), items.wait_until(|&n| n > 0)));
            let mut second = pin!(items.wait_until(|&n| n > 0));
            assert!(poll_once(first.as_mut()).await.is_none());
            assert!(poll_once(second.as_mut()).await.is_none());
            let mut now = items.lock().await;
            *now += 1;
            items.notify(&now, 1);
            drop(now);
            drop(first);
            assert_eq!(*second.await, 1);
        });
    });
}

/// An executor that runs tasks for a moment and then is dropped with them.
type Dropped = fn(Vec<Task>);

#[test]
fn an_executor_that_is_dropped_takes_its_waiters_out_of_line() {
    let dropped: [Dropped; 5] = [
        |tasks| {
            let sim = Sim::new();
            for task in tasks {
                sim.spawn(task).detach();
            }
            assert_eq!(sim.run_until_stalled().unwrap().blocked().len(), 3);
        },
        |tasks| {
            let executor = LocalExecutor::new();
            for task in tasks {
                executor.spawn(task).detach();
            }
            while executor.try_tick() {}
        },
        |tasks| {
            let executor = async_executor::Executor::new();
            for task in tasks {
                executor.spawn(task).detach();
            }
            while executor.try_tick() {}
        },
        |tasks| drop_tokio(&Builder::new_current_thread().build().unwrap(), tasks),
        |tasks| drop_tokio(&Builder::new_multi_thread().worker_threads(2).build().unwrap(), tasks),
    ];
    fn drop_tokio(runtime: &Runtime, tasks: Vec<Task>) {
        for task in tasks {
            runtime.spawn(task);
        }
        runtime.block_on(futures_lite::future::yield_now());
    }
    for run_and_drop in dropped {
        watched(move || {
            let shared = Arc::new((Semaphore::new(0), RwLock::new(()), ArrayQueue::<u32, 1>::new(), Barrier::new(2)));
            let guard = shared.1.try_read().unwrap();
            let [a, b, c] = [(); 3].map(|()| Arc::clone(&shared));
            run_and_drop(vec![
                Box::pin(async move {
                    let turns = futures_lite::future::zip(a.3.wait(), a.0.acquire_many(2)).await;
                    unreachable!("{turns:?}");
                }),
                Box::pin(async move { drop(b.1.write().await) }),
                Box::pin(async move {
                    let items = futures_lite::future::zip(c.2.get(), c.2.get()).await;
                    unreachable!("{items:?}");
                }),
            ]);
            drop(guard);
            shared.0.add_permits(2);
            assert_eq!(format!("{:?}", shared.0), "Semaphore { available_permits: 2, waiters: false, closed: false }");
            assert!(shared.1.try_write().is_some() && shared.3.waiting() == 0);
            shared.2.try_put(1).unwrap();
            assert_eq!(shared.2.try_get(), Ok(1));
            assert_eq!(Arc::strong_count(&shared), 1);
        });
        watched(move || {
            let shared = Arc::new((Event::new(), Mutex::new(()), Condition::new(0)));
            let guard = shared.1.try_lock().unwrap();
            let [a, b, c] = [(); 3].map(|()| Arc::clone(&shared));
            run_and_drop(vec![
                Box::pin(async move {
                    a.0.wait().await;
                    pending().await
                }),
                Box::pin(async move { drop(b.1.lock().await) }),
                Box::pin(async move { drop(c.2.wait_until(|&n| n > 0).await) }),
            ]);
            shared.0.set();
            drop(guard);
            let mut now = shared.2.try_lock().unwrap();
            *now = 1;
            shared.2.notify_all(&now);
            drop(now);
            assert_eq!(format!("{:?}", shared.0), "Event { set: true, waiters: false }");
            assert_eq!(format!("{:?}", shared.1), "Mutex { locked: false, waiters: false, .. }");
            assert_eq!(format!("{:?}", shared.2), "Condition { locked: false, waiters: false, .. }");
            assert_eq!(Arc::strong_count(&shared), 1);
        });
    }
}
