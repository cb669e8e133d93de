//! Scenarios of what flows: generators, chunks, streams of queues; and of resources with an end that is awaited.

use std::{
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_lite::future::or;
use testudo::{
    Condition, Event, Queue, Semaphore,
    flow::{AsyncGen, Exit, ExitStack, buffer_unordered, chunks, generator, next},
    task::{Cancelled, Shelter, TaskGroup},
};

use crate::{
    children::{add_one, count, reach},
    scenarios::{Scenario, with_patience, yield_times},
};

pub fn a_stream_of_a_queue_ends_when_the_queue_is_closed() -> Scenario {
    const ITEMS: usize = 100;
    let shared = Arc::new((Queue::bounded(3), AtomicUsize::new(0)));
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert_eq!(afterwards.1.load(SeqCst), ITEMS * (ITEMS - 1) / 2));
    for _ in 0..3 {
        let shared = Arc::clone(&shared);
        scenario.task(async move {
            let mut items = pin!(shared.0.stream());
            while let Some(item) = next(&mut items).await {
                shared.1.fetch_add(item, SeqCst);
            }
        });
    }
    scenario.task(async move {
        shared.0.put_all(0..ITEMS).await.unwrap();
        assert!(shared.0.close());
    });
    scenario
}

pub fn a_generator_passes_items_on_and_cleans_up_when_it_is_closed() -> Scenario {
    const ITEMS: usize = 40;
    let shared = Arc::new((Queue::bounded(1), Event::new(), Condition::new(false)));
    let theirs = Arc::clone(&shared);
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert!(*afterwards.2.try_lock().unwrap(), "it has cleaned up"));
    scenario.task(async move {
        let (source, end, cleaned) = &*shared;
        let mut numbers = pin!(generator(async |mut y| {
            let outcome = loop {
                let Ok(item) = source.get().await else { break Ok(()) };
                let sent = y.emit(item).await;
                if sent.is_err() {
                    break sent;
                }
            };
            end.wait().await;
            *cleaned.lock().await = true;
            outcome
        }));
        for n in 0..ITEMS {
            // A `next` that is given up leaves it as it was.
            let number = match with_patience(n % 4, next(&mut numbers)).await {
                Some(number) => number,
                None => next(&mut numbers).await,
            };
            assert_eq!(number, Some(n));
        }
        numbers.aclose().await;
        assert_eq!(next(&mut numbers).await, None);
        source.close_now();
    });
    scenario.task(async move {
        for item in 0.. {
            if theirs.0.put(item).await.is_err() {
                return;
            }
            if item == ITEMS {
                theirs.1.set();
            }
        }
    });
    scenario
}

pub fn chunks_lose_nothing_when_their_consumer_gives_up() -> Scenario {
    const ITEMS: usize = 50;
    let shared = Arc::new((Queue::bounded(2), AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert_eq!(afterwards.1.load(SeqCst), ITEMS));
    scenario.task(async move {
        let mut chunks = pin!(chunks(shared.0.stream(), 7));
        let mut expected = 0..ITEMS;
        for round in 0.. {
            let chunk = match with_patience(round % 5, next(&mut chunks)).await {
                Some(chunk) => chunk,
                None => continue,
            };
            let Some(chunk) = chunk else { break };
            assert_eq!(chunk, Vec::from_iter(expected.by_ref().take(7)));
            shared.1.fetch_add(chunk.len(), SeqCst);
        }
    });
    scenario.task(async move {
        for item in 0..ITEMS {
            theirs.0.put(item).await.unwrap();
            yield_times(item % 3).await;
        }
        theirs.0.close();
    });
    scenario
}

pub fn buffered_futures_run_so_many_at_a_time() -> Scenario {
    const ITEMS: usize = 30;
    const AT_A_TIME: usize = 4;
    let shared = Arc::new((Queue::bounded(2), AtomicUsize::new(0), AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let afterwards = Arc::clone(&shared);
    let mut scenario = Scenario::new(move || assert_eq!(afterwards.1.load(SeqCst), ITEMS * (ITEMS - 1) / 2));
    scenario.task(async move {
        let (source, sum, inside) = &*shared;
        let group = TaskGroup::<Cancelled>::new();
        let body = async {
            let jobs = futures_util::StreamExt::map(source.stream(), |item: usize| async move {
                assert!(inside.fetch_add(1, SeqCst) < AT_A_TIME);
                yield_times(item % 5).await;
                inside.fetch_sub(1, SeqCst);
                item
            });
            let mut outputs = pin!(buffer_unordered(&group, jobs, AT_A_TIME));
            while let Some(output) = next(&mut outputs).await {
                sum.fetch_add(output?, SeqCst);
            }
            Ok(())
        };
        group.run(body).await.unwrap();
    });
    scenario.task(async move {
        theirs.0.put_all(0..ITEMS).await.unwrap();
        theirs.0.close();
    });
    scenario
}

pub fn a_guard_releases_its_resource_when_its_user_is_cancelled() -> Scenario {
    const USERS: usize = 12;
    let pool = Arc::new(Semaphore::new(2));
    let shared = Arc::new((Shelter::new(), count(), [AtomicUsize::new(0), AtomicUsize::new(0)]));
    let (keeper, afterwards) = (Arc::clone(&shared), (Arc::clone(&shared), Arc::clone(&pool)));
    let mut scenario = Scenario::new(move || {
        let ((shelter, _, exits), pool) = (&*afterwards.0, &afterwards.1);
        assert_eq!((pool.available_permits(), shelter.len()), (2, 0));
        assert_eq!(exits.each_ref().map(|n| n.load(SeqCst)), [USERS / 2; 2]);
    });
    for user in 0..USERS {
        let (shared, pool) = (Arc::clone(&shared), Arc::clone(&pool));
        scenario.task(async move {
            let (open, exits) = (Event::new(), Arc::clone(&shared));
            let work = async {
                let permit = Semaphore::acquire_with(pool, 1).await;
                let resource = shared.0.guard(permit, move |permit, exit| async move {
                    yield_times(2).await;
                    exits.2[usize::from(exit == Exit::Cancelled)].fetch_add(1, SeqCst);
                    drop(permit);
                });
                if user % 2 == 0 {
                    return resource.close().await;
                }
                open.set();
                pending().await
            };
            or(open.wait(), work).await;
            add_one(&shared.1).await;
        });
    }
    scenario.task(async move { keeper.0.run(reach(&keeper.1, USERS)).await });
    scenario
}

pub fn an_exit_stack_releases_in_reverse_order() -> Scenario {
    let log = Arc::new(Condition::new(vec![]));
    let afterwards = Arc::clone(&log);
    let mut scenario = Scenario::new(move || assert_eq!(*afterwards.try_lock().unwrap(), [2, 1, 0, 5, 4, 3]));
    scenario.task(async move {
        let shelter = Shelter::new();
        let fill = |first: usize| {
            let mut stack = ExitStack::new(&shelter);
            for n in first..first + 3 {
                let log = Arc::clone(&log);
                stack.push(move |_| async move {
                    yield_times(n).await;
                    log.lock().await.push(n);
                });
            }
            stack
        };
        fill(0).close().await;
        drop(fill(3)); // as if it were cancelled
        shelter.drain().await;
    });
    scenario
}
