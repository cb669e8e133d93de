//! Scenarios of children: gathered, grouped, spawned, shielded, and on threads of a pool.

use std::{
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_lite::future::{Boxed, poll_once, yield_now};
use testudo::{
    Condition, Event,
    flow::next,
    run::{BlockingPool, Job, JobCx, offload},
    task::{BoxTask, Cancelled, Shelter, SpawnedGroup, TaskGroup, as_completed, gather, shield, try_gather},
};

use crate::scenarios::{Scenario, with_patience, yield_times};

impl Scenario {
    /// What a task of the scenario starts others with, on the same executor.
    fn spawner(&self) -> impl Fn(BoxTask) + Clone + Send + Sync + 'static {
        let house = Arc::clone(self.tasks.house());
        move |task| house.spawn(task)
    }
}

/// A number that tasks wait for, and change.
pub type Count = Arc<Condition<usize>>;

pub fn count() -> Count {
    Arc::new(Condition::new(0))
}

/// Waits until the number is `n`, or more.
pub async fn reach(count: &Condition<usize>, n: usize) {
    drop(count.wait_until(move |&now| now >= n).await);
}

pub async fn add_one(count: &Condition<usize>) {
    let mut now = count.lock().await;
    *now += 1;
    count.notify_all(&now);
}

pub fn gathered_outputs_come_in_order_though_they_are_made_in_reverse() -> Scenario {
    const PARTS: usize = 8;
    let made = count();
    let afterwards = Arc::clone(&made);
    let mut scenario = Scenario::new(move || assert_eq!(*afterwards.try_lock().unwrap(), PARTS + 1));
    let start = Arc::clone(&made);
    scenario.task(async move {
        let mut parts = vec![];
        for part in 0..PARTS {
            let made = Arc::clone(&made);
            parts.push(async move {
                reach(&made, PARTS - part).await;
                add_one(&made).await;
                part
            });
        }
        assert_eq!(gather(parts).await, Vec::from_iter(0..PARTS));
    });
    scenario.task(async move { add_one(&start).await });
    scenario
}

pub fn a_failed_gather_drops_the_rest_before_it_returns() -> Scenario {
    let (alive, failure) = (Arc::new(()), Arc::new(Event::new()));
    let afterwards = Arc::clone(&alive);
    let mut scenario = Scenario::new(move || assert_eq!(Arc::strong_count(&afterwards), 1));
    let fail = Arc::clone(&failure);
    scenario.task(async move {
        let mut parts: Vec<Boxed<Result<(), u32>>> = vec![];
        for _ in 0..5 {
            let alive = Arc::clone(&alive);
            parts.push(Box::pin(async move {
                pending::<()>().await;
                drop(alive);
                Ok(())
            }));
        }
        parts.push(Box::pin(async move {
            failure.wait().await;
            Err(7)
        }));
        assert_eq!(try_gather(parts).await, Err(7));
        assert_eq!(Arc::strong_count(&alive), 2, "this one, and the one of the check");
    });
    scenario.task(async move {
        yield_times(3).await;
        fail.set();
    });
    scenario
}

pub fn outputs_come_as_they_are_completed() -> Scenario {
    const ORDER: [usize; 5] = [3, 1, 4, 0, 2];
    let shared = Arc::new((ORDER.map(|_| Event::new()), Condition::new(0)));
    let theirs = Arc::clone(&shared);
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert_eq!(*afterwards.1.try_lock().unwrap(), ORDER.len()));
    scenario.task(async move {
        let mut parts = vec![];
        for part in 0..ORDER.len() {
            let shared = Arc::clone(&shared);
            parts.push(async move {
                shared.0[part].wait().await;
                10 * part
            });
        }
        let mut completed = as_completed(parts);
        for part in ORDER {
            assert_eq!(next(&mut completed).await, Some((part, 10 * part)));
            add_one(&shared.1).await;
        }
        assert_eq!(next(&mut completed).await, None);
    });
    scenario.task(async move {
        for (seen, part) in ORDER.into_iter().enumerate() {
            reach(&theirs.1, seen).await;
            theirs.0[part].set();
        }
    });
    scenario
}

pub fn a_task_group_waits_for_children_and_grandchildren() -> Scenario {
    const CHILDREN: usize = 6;
    let shared = Arc::new((count(), Event::new(), AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert_eq!(afterwards.2.load(SeqCst), CHILDREN));
    scenario.task(async move {
        let (running, go, ended) = &*shared;
        let group = TaskGroup::<Cancelled>::new();
        let body = async {
            for _ in 0..CHILDREN {
                drop(group.spawn(async {
                    drop(group.spawn(async {
                        add_one(running).await;
                        go.wait().await;
                        ended.fetch_add(1, SeqCst);
                        Ok(())
                    }));
                    Ok(())
                }));
            }
            Ok("the body")
        };
        assert_eq!(group.run(body).await.unwrap(), "the body");
        assert_eq!(ended.load(SeqCst), CHILDREN);
    });
    scenario.task(async move {
        reach(&theirs.0, CHILDREN).await;
        theirs.1.set();
    });
    scenario
}

pub fn a_failing_child_cancels_its_siblings_which_clean_up() -> Scenario {
    let shared = Arc::new((count(), Event::new(), AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert_eq!(afterwards.2.load(SeqCst), 3, "graceful children"));
    scenario.task(async move {
        let (running, failure, cleaned) = &*shared;
        let group = TaskGroup::new();
        let body = async {
            for _ in 0..3 {
                drop(group.spawn_graceful(|token| async move {
                    add_one(running).await;
                    token.cancelled().await;
                    yield_times(2).await; // asks others for their turns, though it is cancelled
                    cleaned.fetch_add(1, SeqCst);
                    Err::<(), _>("one more")
                }));
            }
            drop(group.spawn(async {
                failure.wait().await;
                Err::<(), _>("the first")
            }));
            pending::<Result<(), _>>().await
        };
        let error = group.run(body).await.unwrap_err();
        assert_eq!((error.first(), error.count()), (Some(&"the first"), 4));
        assert_eq!(error.rest(), ["one more"; 3]);
    });
    scenario.task(async move {
        reach(&theirs.0, 3).await;
        theirs.1.set();
    });
    scenario
}

pub fn a_spawned_group_brings_every_value_home() -> Scenario {
    const CHILDREN: usize = 12;
    let running = count();
    let afterwards = Arc::clone(&running);
    let mut scenario = Scenario::new(move || assert_eq!(*afterwards.try_lock().unwrap(), CHILDREN));
    let spawner = scenario.spawner();
    scenario.task(async move {
        let group = SpawnedGroup::<_, ()>::new(spawner);
        let mut children = vec![];
        for n in 0..CHILDREN {
            let running = Arc::clone(&running);
            children.push(group.spawn(async move {
                add_one(&running).await;
                reach(&running, CHILDREN).await; // they are there side by side
                yield_times(n % 3).await;
                Ok(n * n)
            }));
        }
        for (n, child) in children.into_iter().enumerate().rev() {
            assert_eq!(child.await, Ok(n * n));
        }
        group.join().await.unwrap();
    });
    scenario
}

pub fn the_first_error_cancels_a_spawned_group() -> Scenario {
    const CHILDREN: usize = 8;
    let running = count();
    let afterwards = Arc::clone(&running);
    let mut scenario = Scenario::new(move || assert_eq!(Arc::strong_count(&afterwards), 1, "what the children held"));
    let spawner = scenario.spawner();
    scenario.task(async move {
        let group = SpawnedGroup::new(spawner);
        let mut children = vec![];
        for _ in 0..CHILDREN {
            let running = Arc::clone(&running);
            children.push(group.spawn(async move {
                add_one(&running).await;
                pending::<()>().await;
                drop(running);
                Ok(())
            }));
        }
        reach(&running, CHILDREN).await;
        drop(group.spawn(async {
            yield_now().await;
            Err::<(), _>("no")
        }));
        for child in children {
            assert_eq!(child.await, Err(Cancelled));
        }
        let error = group.join().await.unwrap_err();
        assert_eq!((error.first(), error.count(), error.lost()), (Some(&"no"), 1, 0));
    });
    scenario
}

pub fn a_shield_goes_on_without_whoever_waited() -> Scenario {
    let shared = Arc::new((Event::new(), Event::new()));
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert!(afterwards.1.is_set()));
    let spawner = scenario.spawner();
    scenario.task(async move {
        let (go, saved) = (Arc::clone(&shared), Arc::clone(&shared));
        let work = shield(&spawner, async move {
            go.0.wait().await;
            saved.1.set();
            "saved"
        });
        for patience in 0..5 {
            assert_eq!(with_patience(patience, work.clone()).await, None);
        }
        shared.0.set();
        assert_eq!(work.await, Ok("saved"));

        let saved = Arc::clone(&shared);
        shared.1.clear();
        drop(shield(&spawner, async move {
            yield_times(3).await;
            saved.1.set();
        }));
        shared.1.wait().await;
    });
    scenario
}

pub fn a_shelter_finishes_what_was_left() -> Scenario {
    const WORKS: usize = 10;
    let shared = Arc::new((Shelter::new(), Event::new(), AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert_eq!((afterwards.2.load(SeqCst), afterwards.0.len()), (WORKS, 0)));
    let all_in = count();
    let drainer = Arc::clone(&all_in);
    for work in 0..WORKS {
        let (shared, all_in) = (Arc::clone(&shared), Arc::clone(&all_in));
        scenario.task(async move {
            let theirs = Arc::clone(&shared);
            let mut shielded = pin!(shared.0.shield(async move {
                theirs.1.wait().await;
                theirs.2.fetch_add(1, SeqCst);
                work
            }));
            assert!(poll_once(shielded.as_mut()).await.is_none());
            add_one(&all_in).await;
            // Some wait for it, the others leave.
            if work % 2 == 0 {
                assert_eq!(shielded.await, Ok(work));
            }
        });
    }
    scenario.task(async move {
        reach(&drainer, WORKS).await;
        theirs.1.set();
        theirs.0.drain().await;
        assert_eq!(theirs.2.load(SeqCst), WORKS);
    });
    scenario
}

fn threads(job: Job) {
    drop(std::thread::spawn(move || job.run()));
}

pub fn offloaded_work_wakes_the_task_that_waits() -> Scenario {
    const WORKERS: usize = 4;
    let done = Arc::new(AtomicUsize::new(0));
    let afterwards = Arc::clone(&done);
    let mut scenario = Scenario::new(move || assert_eq!(afterwards.load(SeqCst), WORKERS));
    scenario.tasks.outside = true;
    for worker in 0..WORKERS {
        let done = Arc::clone(&done);
        scenario.task(async move {
            for round in 0..3 {
                let n = 100 * (worker + round);
                let work = move |_: &JobCx<'_>| (0..n).sum::<usize>();
                let pending = if round == 0 { offload(&BlockingPool, work) } else { offload(&threads, work) };
                assert_eq!(pending.await, Ok((0..n).sum()));
            }
            done.fetch_add(1, SeqCst);
        });
    }
    scenario
}

pub fn offloaded_work_is_told_that_nobody_waits() -> Scenario {
    let told = Arc::new(Event::new());
    let afterwards = Arc::clone(&told);
    let mut scenario = Scenario::new(move || assert!(afterwards.is_set()));
    scenario.tasks.outside = true;
    scenario.task(async move {
        let (begun, tell) = (Arc::new(Event::new()), Arc::clone(&told));
        let begin = Arc::clone(&begun);
        let mut work = offload(&threads, move |cx| {
            begin.set();
            while !cx.is_cancelled() {
                std::thread::yield_now();
            }
            tell.set();
        });
        begun.wait().await;
        assert!(poll_once(&mut work).await.is_none());
        drop(work);
        told.wait().await;
    });
    scenario
}
