//! Streams of many items at a time.
use core::{
    cell::Cell,
    future::pending,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use futures_core::{FusedStream, Stream};
use futures_util::stream;
use proptest::prelude::*;
use testudo::{
    Event, Queue,
    flow::{chunks, chunks_timeout, generator, next},
    run::Sim,
};

use crate::support::{Probe, allocations, panics};

fn poll<S: Stream>(probe: &Probe, stream: &mut Pin<&mut S>) -> Poll<Option<S::Item>> {
    stream.as_mut().poll_next(&mut Context::from_waker(probe.waker()))
}

#[test]
fn size_of_zero_is_refused_at_once() {
    let text = panics(|| chunks(stream::iter([1]), 0));
    assert!(text.contains("room for one item"), "{text}");
    let text = panics(|| chunks_timeout(stream::iter([1]), 0, pending::<()>));
    assert!(text.contains("room for one item"), "{text}");
}

#[test]
fn last_chunk_may_be_shorter_and_none_is_empty() {
    let probe = Probe::new();
    for (items, sizes) in [(0, vec![]), (1, vec![1]), (2, vec![2]), (3, vec![2, 1]), (4, vec![2, 2])] {
        let mut pairs = pin!(chunks(stream::iter(0..items), 2));
        assert_eq!(pairs.size_hint(), (sizes.len(), Some(sizes.len())));
        for (index, size) in sizes.into_iter().enumerate() {
            assert!(!pairs.is_terminated());
            let expected: Vec<_> = (index * 2..index * 2 + size).collect();
            assert_eq!(poll(&probe, &mut pairs), Poll::Ready(Some(expected)));
        }
        for _ in 0..2 {
            assert_eq!(poll(&probe, &mut pairs), Poll::Ready(None));
            assert!(pairs.is_terminated());
        }
    }
}

#[test]
fn full_chunk_is_one_allocation() {
    let probe = Probe::new();
    let mut fives = pin!(chunks(stream::iter(0..20), 5));
    let (count, _) = allocations(|| while let Poll::Ready(Some(_)) = poll(&probe, &mut fives) {});
    assert_eq!(count, 4);
}

#[test]
fn huge_size_asks_for_no_huge_memory() {
    let mut all = pin!(chunks(stream::iter(0..3), usize::MAX));
    assert_eq!(poll(&Probe::new(), &mut all), Poll::Ready(Some(vec![0, 1, 2])));
}

#[test]
fn next_that_is_cancelled_keeps_what_was_gathered() {
    let (probe, queue) = (Probe::new(), Queue::unbounded());
    let mut threes = pin!(chunks(queue.stream(), 3));
    for n in 0..2 {
        queue.try_put(n).unwrap();
        drop(probe.start(next(&mut threes)));
    }
    queue.try_put(2).unwrap();
    assert_eq!(probe.now(next(&mut threes)), Some(vec![0, 1, 2]));
}

#[test]
fn dropped_and_made_again_nothing_is_lost() {
    let (probe, queue) = (Probe::new(), Queue::unbounded());
    let mut gathered = vec![];
    for n in 0..2 {
        queue.try_put(n).unwrap();
        let mut threes = pin!(chunks(queue.stream(), 3).with_gathered(gathered));
        drop(probe.start(next(&mut threes)));
        gathered = threes.as_mut().take_remainder();
        assert_eq!(gathered.len(), n + 1);
    }
    queue.try_put(2).unwrap();
    let mut threes = pin!(chunks_timeout(queue.stream(), 3, pending::<()>).with_gathered(gathered));
    assert_eq!(probe.now(next(&mut threes)), Some(vec![0, 1, 2]));
}

#[test]
fn more_than_a_chunk_in_front_is_given_chunk_by_chunk() {
    let probe = Probe::new();
    let mut pairs = pin!(chunks(stream::iter([5]), 2).with_gathered(vec![0, 1, 2, 3, 4]));
    for expected in [vec![0, 1], vec![2, 3], vec![4, 5]] {
        assert_eq!(poll(&probe, &mut pairs), Poll::Ready(Some(expected)));
    }
    assert_eq!(poll(&probe, &mut pairs), Poll::Ready(None));
}

#[test]
fn deadline_runs_from_the_first_item_of_a_chunk_and_only_then() {
    let probe = Probe::new();
    let (queue, late, made) = (Queue::unbounded(), Event::new(), Cell::new(0));
    let mut threes = pin!(chunks_timeout(queue.stream(), 3, || {
        made.set(made.get() + 1);
        late.wait()
    }));
    assert!(poll(&probe, &mut threes).is_pending());
    assert_eq!(made.get(), 0);
    queue.try_put(1).unwrap();
    assert!(poll(&probe, &mut threes).is_pending());
    assert!(poll(&probe, &mut threes).is_pending());
    assert_eq!(made.get(), 1);
    late.set();
    assert_eq!(poll(&probe, &mut threes), Poll::Ready(Some(vec![1])));
    assert!(poll(&probe, &mut threes).is_pending()); // late is still set, and nothing is there to give
    assert_eq!(made.get(), 1);
    queue.try_put(2).unwrap();
    assert_eq!(poll(&probe, &mut threes), Poll::Ready(Some(vec![2])));
    (3..6).for_each(|n| queue.try_put(n).unwrap());
    assert_eq!(poll(&probe, &mut threes), Poll::Ready(Some(vec![3, 4, 5]))); // full: the deadline does not count
    queue.close();
    assert_eq!(poll(&probe, &mut threes), Poll::Ready(None));
}

#[test]
fn taken_remainder_takes_its_deadline_along() {
    let probe = Probe::new();
    let (queue, late) = (Queue::unbounded(), Event::new());
    let mut threes = pin!(chunks_timeout(queue.stream(), 3, || late.wait()));
    queue.try_put(1).unwrap();
    assert!(poll(&probe, &mut threes).is_pending());
    assert_eq!(threes.as_mut().take_remainder(), [1]);
    late.set();
    assert!(poll(&probe, &mut threes).is_pending(), "an empty chunk");
}

/// The items of the program come at 1, 2, 4, 7, 11 s and so on.
#[test]
fn chunks_come_in_virtual_time() {
    let sim = Sim::new();
    let clock = sim.clock();
    let second = Duration::from_secs(1);
    let seen = sim.block_on(async {
        let items = generator(async |mut y| {
            for n in 1..=5 {
                clock.sleep(second * n).await;
                y.emit(n).await?;
            }
            Ok(())
        });
        let mut chunks = pin!(chunks_timeout(items, 2, || clock.sleep(second * 3)));
        let mut seen = vec![];
        while let Some(chunk) = next(&mut chunks).await {
            seen.push((clock.now().as_secs(), chunk));
        }
        seen
    });
    assert_eq!(seen.unwrap(), [(3, vec![1, 2]), (9, vec![3]), (13, vec![4]), (15, vec![5])]);
}

proptest! {
    /// Items, pauses, cancelled nexts, taken remainders, in any order: all items come, in order, in chunks of no more than
    /// the size.
    #[test]
    fn nothing_is_lost_whatever_is_cancelled(
        size in 1_usize..5,
        steps in prop::collection::vec(0..6_u8, 0..40),
    ) {
        let (probe, queue) = (Probe::new(), Queue::unbounded());
        let (mut sent, mut seen) = (0, vec![]);
        let late = Event::new();
        let make = || chunks_timeout(queue.stream(), size, || late.wait());
        let mut stream = Box::pin(make());
        for step in steps {
            match step {
                0..=2 => {
                    queue.try_put(sent).unwrap();
                    sent += 1;
                }
                3 => {
                    if let Poll::Ready(Some(chunk)) = poll(&probe, &mut stream.as_mut()) {
                        prop_assert!(!chunk.is_empty() && chunk.len() <= size);
                        seen.extend(chunk);
                    }
                }
                4 => late.set(),
                _ => {
                    late.clear();
                    let gathered = stream.as_mut().take_remainder();
                    stream.set(make().with_gathered(gathered));
                }
            }
        }
        queue.close();
        while let Some(chunk) = probe.now(next(&mut stream)) {
            seen.extend(chunk);
        }
        prop_assert_eq!(seen, (0..sent).collect::<Vec<_>>());
    }
}
