//! `Queue` and `ArrayQueue`. The names in brackets are the rules of asyncio and the classes of bugs that a test is there for.
use core::{
    cmp::Reverse,
    pin::{Pin, pin},
    sync::atomic::{AtomicUsize, Ordering::*},
};
use std::{rc::Rc, sync::Arc, thread};

use futures_core::{FusedFuture, FusedStream, Stream};
use futures_util::StreamExt;
use testudo::{ArrayQueue, Closed, Queue, TryGetError, TryPutError, run::block_on};

use crate::support::{Probe, allocations, in_a_child, panics, poll_panics, wakes};

/// Runs a test on a queue of each kind, of two items.
macro_rules! each_kind {
    ($queue:ident => $body:block) => {
        each_kind!(2, $queue => $body);
    };
    ($n:literal, $queue:ident => $body:block) => {{
        {
            let $queue = ArrayQueue::<_, $n>::new();
            $body
        }
        for make in [Queue::bounded, Queue::lifo, Queue::priority] {
            let $queue = make($n);
            $body
        }
    }};
}

// ---- order

#[test]
fn items_come_out_in_the_order_in_which_they_went_in() {
    // [QUE-02]
    let (array, bounded, unbounded) = (ArrayQueue::<_, 3>::new(), Queue::bounded(3), Queue::unbounded());
    for round in 0..20 {
        for n in 1..=3 {
            (0..n).for_each(|i| array.try_put(round + i).unwrap());
            (0..n).for_each(|i| bounded.try_put(round + i).unwrap());
            (0..n).for_each(|i| unbounded.try_put(round + i).unwrap());
            for i in 0..n {
                assert_eq!(array.try_get(), Ok(round + i));
                assert_eq!(bounded.try_get(), Ok(round + i));
                assert_eq!(unbounded.try_get(), Ok(round + i));
            }
        }
    }
}

#[test]
fn last_in_first_out_and_smallest_first() {
    // [QUE-03, QUE-04, QUE-05]
    let (lifo, priority, largest) = (Queue::lifo(10), Queue::priority(10), Queue::priority(10));
    for (i, n) in [5, 3, 8, 3, 1, 9, 3].into_iter().enumerate() {
        lifo.try_put(n).unwrap();
        priority.try_put((n, Equal(i))).unwrap();
        largest.try_put(Reverse(n)).unwrap();
    }
    let all: Vec<_> = core::iter::from_fn(|| lifo.try_get().ok()).collect();
    assert_eq!(all, [3, 9, 1, 3, 8, 3, 5]);
    let all: Vec<_> = core::iter::from_fn(|| priority.try_get().ok()).map(|(n, Equal(i))| (n, i)).collect();
    assert_eq!(all, [(1, 4), (3, 1), (3, 3), (3, 6), (5, 0), (8, 2), (9, 5)]);
    let all: Vec<_> = core::iter::from_fn(|| largest.try_get().ok()).map(|Reverse(n)| n).collect();
    assert_eq!(all, [9, 8, 5, 3, 3, 3, 1]);
}

/// A number that is equal to all others.
#[derive(Clone, Copy, Debug)]
struct Equal(usize);

impl PartialEq for Equal {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Equal {}
impl PartialOrd for Equal {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Equal {
    fn cmp(&self, _: &Self) -> core::cmp::Ordering {
        core::cmp::Ordering::Equal
    }
}

#[test]
fn an_unbounded_queue_is_never_full() {
    // [QUE-01]
    let queue = Queue::unbounded();
    (0..10_000).for_each(|i| queue.try_put(i).unwrap());
    assert_eq!((queue.len(), queue.capacity(), queue.is_full()), (10_000, None, false));
}

/// Its rings are of 8, 16, 32, … items: bursts of every size around them, drained to every depth.
#[test]
fn an_unbounded_queue_keeps_order_and_counts_as_it_grows() {
    let (queue, mut put, mut got, mut done) = (Queue::unbounded(), 0, 0, 0);
    for burst in (1..70).chain([500, 3, 1000, 1]) {
        for _ in 0..burst {
            queue.try_put(Box::new(put)).unwrap();
            put += 1;
        }
        for _ in 0..(put - got) / (burst % 3 + 1) {
            assert_eq!(queue.try_get(), Ok(Box::new(got)));
            got += 1;
        }
        if burst % 2 == 0 {
            (done..got).for_each(|_| queue.task_done().unwrap());
            done = got;
        }
        assert_eq!((queue.len(), queue.unfinished()), (put - got, put - done));
    }
    queue.close();
    assert_eq!(queue.try_put(Box::new(0)), Err(TryPutError::Closed(Box::new(0))));
    (got..put).for_each(|i| assert_eq!(queue.try_get(), Ok(Box::new(i))));
    assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    (done..put).for_each(|_| queue.task_done().unwrap());
    assert!(queue.task_done().is_err());
}

#[test]
fn an_unbounded_queue_that_has_grown_allocates_no_more() {
    let queue = Queue::unbounded();
    let fill_and_drain = || {
        (0..100).for_each(|i| queue.try_put(i).unwrap());
        (0..100).for_each(|i| assert_eq!(queue.try_get(), Ok(i)));
    };
    assert_eq!(allocations(fill_and_drain).0, 2 * 3, "rings of 16, 32 and 64, behind the one of 8");
    assert_eq!(allocations(fill_and_drain).0, 2, "one of 128, which has room for all");
    assert_eq!(allocations(|| (0..50).for_each(|_| fill_and_drain())).0, 0);
}

#[test]
fn a_getter_waits_across_the_rings_of_an_unbounded_queue() {
    let queue = Queue::unbounded();
    let task = Probe::new();
    for round in 0..40 {
        let mut get = task.start(queue.get());
        (0..=round).for_each(|i| queue.try_put(i).unwrap());
        assert_eq!(task.ready(&mut get), Ok(0));
        (1..=round).for_each(|i| assert_eq!(task.now(queue.get()), Ok(i)));
    }
    let mut get = task.start(queue.get());
    queue.close();
    assert_eq!(task.ready(&mut get), Err(Closed(())));
}

#[test]
fn an_unbounded_queue_that_is_closed_while_it_grows_gives_all_back() {
    for put in 0..40 {
        let drops = AtomicUsize::new(0);
        let queue = Queue::unbounded();
        (0..put).for_each(|_| assert!(queue.try_put(Dropped(&drops, false)).is_ok()));
        if put % 2 == 0 {
            assert_eq!(queue.close_now(), put);
            assert_eq!((queue.len(), queue.unfinished()), (0, 0));
        } else {
            assert!(queue.close() && !queue.close());
            assert_eq!(queue.len(), put);
            assert!(queue.try_put(Dropped(&drops, false)).is_err());
            drops.fetch_sub(1, Relaxed);
        }
        drop(queue);
        assert_eq!(drops.load(Relaxed), put);
    }
}

#[test]
fn who_was_woken_and_has_not_been_polled_is_not_asked_again() {
    // Each further operation finds it in line: that costs no wake, and a poll in vain makes it count again.
    each_kind!(2, queue => {
        let tasks = Probe::many(2);
        let mut gets: Vec<_> = tasks.iter().map(|task| task.start(queue.get())).collect();
        let _ = [1, 2].map(|item| queue.try_put(item).unwrap());
        assert_eq!(wakes(&tasks), [1, 1]);
        let _ = [queue.try_get().unwrap(), queue.try_get().unwrap()];
        tasks[0].pends(&mut gets[0]);
        queue.try_put(3).unwrap();
        assert_eq!(wakes(&tasks), [2, 1]);
        assert_eq!(tasks[0].ready(&mut gets[0]), Ok(3));
        tasks[1].pends(&mut gets[1]);
        queue.try_put(4).unwrap();
        assert_eq!(wakes(&tasks), [2, 2]);
        assert_eq!(tasks[1].ready(&mut gets[1]), Ok(4));
    });
}

#[test]
fn who_returns_in_vain_is_told_when_there_is_more_than_those_before_it_take() {
    let (queue, tasks) = (Queue::bounded(4), Probe::many(3));
    let mut gets: Vec<_> = tasks.iter().map(|task| task.start(queue.get())).collect();
    (0..3).for_each(|item| queue.try_put(item).unwrap());
    (0..3).for_each(|item| assert_eq!(queue.try_get(), Ok(item)));
    tasks[2].pends(&mut gets[2]); // the other two have yet to come
    (3..5).for_each(|item| queue.try_put(item).unwrap());
    assert_eq!(wakes(&tasks), [1, 1, 1]);
    queue.try_put(5).unwrap();
    assert_eq!(wakes(&tasks), [1, 1, 2]);
    for (task, get) in tasks.iter().zip(&mut gets).rev() {
        assert!(task.ready(get).is_ok());
    }
    assert!(queue.is_empty());
}

#[test]
fn every_capacity_works() {
    fn check<const N: usize>() {
        let (array, boxed) = (ArrayQueue::<_, N>::new(), Queue::bounded(N));
        for round in 0..40 {
            for fill in 1..=N {
                for i in 0..fill {
                    assert_eq!((array.len(), boxed.len()), (i, i));
                    assert!(!array.is_full() && !boxed.is_full());
                    array.try_put(Box::new(round * 100 + i)).unwrap();
                    boxed.try_put(Box::new(round * 100 + i)).unwrap();
                }
                assert_eq!((array.is_full(), boxed.is_full()), (fill == N, fill == N));
                if fill == N {
                    assert!(array.try_put(Box::new(0)).unwrap_err().is_full());
                    assert!(boxed.try_put(Box::new(0)).unwrap_err().is_full());
                }
                for i in 0..fill {
                    assert_eq!(array.try_get(), Ok(Box::new(round * 100 + i)));
                    assert_eq!(boxed.try_get(), Ok(Box::new(round * 100 + i)));
                }
                assert!(array.is_empty() && boxed.is_empty());
                assert_eq!(array.try_get(), Err(TryGetError::Empty));
            }
        }
        assert_eq!(array.unfinished(), 40 * N * (N + 1) / 2);
        assert_eq!(boxed.unfinished(), 40 * N * (N + 1) / 2);
    }
    check::<1>();
    check::<2>();
    check::<3>();
    check::<4>();
    check::<7>();
    check::<8>();
}

#[test]
fn large_items_go_every_way_and_come_back_whole() {
    let count = Rc::new(());
    let large = |n: u64| ([n; 32], Rc::clone(&count));
    each_kind!(queue => {
        queue.try_put(large(1)).unwrap();
        block_on(queue.put(large(1))).unwrap();
        let refused = queue.try_put(large(2)).unwrap_err();
        assert!(matches!(refused, TryPutError::Full(_)) && refused.into_inner() == large(2));
        assert_eq!(Rc::strong_count(&count), 3);
        assert!(queue.try_get() == Ok(large(1)) && block_on(queue.get()) == Ok(large(1)));
        assert_eq!((queue.try_get(), Rc::strong_count(&count)), (Err(TryGetError::Empty), 1));
        queue.close();
        let refused = queue.try_put(large(3)).unwrap_err();
        assert!(matches!(refused, TryPutError::Closed(_)) && refused.into_inner() == large(3));
        assert_eq!(block_on(queue.put(large(4))).unwrap_err().0, large(4));
    });
    let queue = Queue::unbounded();
    (0..40).for_each(|n| queue.try_put(large(n)).unwrap()); // into a second ring, and a third
    assert!((0..20).all(|n| queue.try_get() == Ok(large(n))));
    assert_eq!(Rc::strong_count(&count), 21);
    drop(queue);
    assert_eq!(Rc::strong_count(&count), 1);
}

#[test]
fn no_capacity_is_a_mistake() {
    let text = "a queue has room for at least one item";
    assert!(panics(|| Queue::<u8>::bounded(0)).contains(text));
    assert!(panics(|| Queue::<u8>::lifo(0)).contains(text));
    assert!(panics(|| Queue::<u8>::priority(0)).contains(text));
    assert_eq!(Queue::<u8>::lifo(usize::MAX).capacity(), None);
}

// ---- waiting

#[test]
fn with_room_put_does_not_wait_and_with_items_get_does_not() {
    // [QUE-06, QUE-08, QUE-10, QUE-11]
    each_kind!(queue => {
        let task = Probe::new();
        assert_eq!(task.now(queue.put(1)), Ok(()));
        assert_eq!(queue.try_put(2), Ok(()));
        assert_eq!(queue.try_put(3), Err(TryPutError::Full(3)));
        assert!(task.now(queue.get()).is_ok());
        assert!(queue.try_get().is_ok());
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        assert_eq!((task.clones(), task.wakes()), (0, 0));
    });
}

#[test]
fn put_waits_for_room_and_get_for_an_item() {
    // [QUE-07, QUE-09, QUE-12, QUE-13, QUE-26]
    each_kind!(1, queue => {
        let tasks = Probe::many(4);
        let mut get = tasks[0].start(queue.get());
        queue.try_put(1).unwrap();
        assert_eq!(tasks[0].wakes(), 1);
        assert_eq!(tasks[0].ready(&mut get), Ok(1));
        queue.try_put(2).unwrap();
        let mut put = tasks[1].start(queue.put(3));
        let mut other = tasks[2].start(queue.put(4));
        assert_eq!(queue.unfinished(), 2);
        assert_eq!(queue.try_get(), Ok(2));
        assert_eq!(wakes(&tasks), [1, 1, 0, 0]);
        assert_eq!(tasks[1].ready(&mut put), Ok(()));
        assert_eq!(tasks[3].now(queue.get()), Ok(3));
        assert_eq!(wakes(&tasks), [1, 1, 1, 0]);
        assert_eq!(tasks[2].ready(&mut other), Ok(()));
        assert_eq!(queue.try_get(), Ok(4));
        assert_eq!(queue.unfinished(), 4);
        tasks.iter().for_each(|task| assert_eq!(task.kept(), 0));
    });
}

#[test]
fn emptying_the_queue_lets_several_putters_in_and_filling_it_several_getters() {
    // [QUE-14]
    each_kind!(queue => {
        let _ = [1, 2].map(|item| queue.try_put(item).unwrap());
        let tasks = Probe::many(3);
        let mut puts: Vec<_> = tasks.iter().map(|task| task.start(queue.put(3))).collect();
        let _ = [1, 2].map(|_| queue.try_get().unwrap());
        assert_eq!(wakes(&tasks), [1, 1, 0]);
        for (task, put) in tasks.iter().zip(&mut puts).take(2) {
            task.ready(put).unwrap();
        }
        let _ = [1, 2].map(|_| queue.try_get().unwrap());
        assert_eq!(wakes(&tasks), [1, 1, 1]);
        tasks[2].ready(&mut puts[2]).unwrap();
        queue.try_get().unwrap();
        let mut gets: Vec<_> = tasks.iter().map(|task| task.start(queue.get())).collect();
        let _ = [1, 2].map(|item| queue.try_put(item).unwrap());
        assert_eq!(wakes(&tasks), [2, 2, 1]);
        for (task, get) in tasks.iter().zip(&mut gets).take(2) {
            task.ready(get).unwrap();
        }
        tasks[2].pends(&mut gets[2]);
    });
}

#[test]
fn blocking_forms_hand_over_between_threads() {
    each_kind!(1, queue => {
        thread::scope(|s| {
            s.spawn(|| (0..100).for_each(|i| queue.put_blocking(i).unwrap()));
            (0..100).for_each(|i| assert_eq!(queue.get_blocking(), Ok(i)));
        });
        queue.close();
        assert_eq!(queue.get_blocking(), Err(Closed(())));
        assert_eq!(queue.put_blocking(7), Err(Closed(7)));
    });
}

#[test]
fn nothing_allocates_in_an_array_queue() {
    let task = Probe::new();
    let (n, ()) = allocations(|| {
        let queue = ArrayQueue::<_, 1>::new();
        for i in 0..10 {
            let mut get = pin!(queue.get());
            assert!(task.poll_pinned(get.as_mut()).is_pending());
            queue.try_put(i).unwrap();
            let mut put = pin!(queue.put(i));
            assert!(task.poll_pinned(put.as_mut()).is_pending());
            assert!(task.poll_pinned(get).is_ready());
            assert!(task.poll_pinned(put).is_ready());
            let mut stream = pin!(queue.stream());
            assert!(task.poll_pinned(pin!(stream.next())).is_ready());
            let mut join = pin!(queue.join());
            assert!(task.poll_pinned(join.as_mut()).is_pending());
            let _ = [1, 2].map(|_| queue.task_done().unwrap());
            assert!(task.poll_pinned(join).is_ready());
        }
        queue.close();
    });
    assert_eq!(n, 0);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn an_array_queue_is_its_slots_and_64_bytes() {
    fn check<T, const N: usize>() {
        assert!(size_of::<ArrayQueue<T, N>>() <= N * (8 + size_of::<T>().next_multiple_of(8)) + 64);
    }
    check::<u8, 1>();
    check::<u64, 1>();
    check::<u64, 16>();
    check::<[u64; 32], 4>();
    let queue = ArrayQueue::<u64, 1>::new();
    assert!(size_of_val(&queue.put(1)) <= 64, "{}", size_of_val(&queue.put(1)));
    assert!(size_of_val(&queue.get()) <= 64, "{}", size_of_val(&queue.get()));
    assert!(size_of_val(&queue.join()) <= 64, "{}", size_of_val(&queue.join()));
}

// ---- cancelling

#[test]
fn a_cancelled_getter_loses_nothing() {
    // [QUE-15, QUE-16, QUE-17, QUE-18; bugs 2, 22]
    each_kind!(queue => {
        let tasks = Probe::many(2);
        let (first, mut second) = (tasks[0].start(queue.get()), tasks[1].start(queue.get()));
        drop(first);
        assert_eq!(tasks[0].kept(), 0);
        queue.try_put(1).unwrap();
        assert_eq!(wakes(&tasks), [0, 1]);
        assert_eq!(tasks[1].ready(&mut second), Ok(1));
        let (first, second) = (tasks[0].start(queue.get()), tasks[1].start(queue.get()));
        queue.try_put(2).unwrap();
        assert_eq!(wakes(&tasks), [1, 1]);
        drop(first); // woken
        assert_eq!(wakes(&tasks), [1, 2]);
        drop(second); // woken
        assert_eq!(queue.len(), 1);
        assert_eq!(queue.try_get(), Ok(2));
        drop(queue.get());
    });
}

#[test]
fn a_cancelled_putter_has_put_nothing_and_passes_the_room_on() {
    // [QUE-20, QUE-21]
    each_kind!(1, queue => {
        queue.try_put(Arc::new(0)).unwrap();
        let tasks = Probe::many(2);
        let item = Arc::new(1);
        let first = tasks[0].start(queue.put(item.clone()));
        let mut second = tasks[1].start(queue.put(Arc::new(2)));
        queue.try_get().unwrap();
        assert_eq!(wakes(&tasks), [1, 0]);
        drop(first); // woken
        assert_eq!(Arc::strong_count(&item), 1);
        assert_eq!(wakes(&tasks), [1, 1]);
        assert_eq!(tasks[1].ready(&mut second), Ok(()));
        let third = tasks[0].start(queue.put(item.clone()));
        drop(third); // waiting
        drop(queue.put(item.clone())); // idle
        assert_eq!(Arc::strong_count(&item), 1);
        assert_eq!(queue.try_get(), Ok(Arc::new(2)));
        assert!(queue.is_empty());
        assert_eq!((queue.unfinished(), tasks[0].kept()), (2, 0));
    });
}

#[test]
fn the_first_in_line_is_overtaken_at_most_64_times() {
    // [bugs 17, 18]
    each_kind!(queue => {
        let tasks = Probe::many(2);
        let mut get = tasks[0].start(queue.get());
        for i in 0..64 {
            queue.try_put(i).unwrap();
            assert_eq!(queue.try_get(), Ok(i));
            tasks[0].pends(&mut get);
        }
        queue.try_put(7).unwrap();
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        tasks[1].pends(&mut Box::pin(queue.get()));
        assert_eq!(tasks[0].ready(&mut get), Ok(7));
        // And putters.
        let _ = [1, 2].map(|item| queue.try_put(item).unwrap());
        let mut put = tasks[0].start(queue.put(8));
        for i in 0..64 {
            queue.try_get().unwrap();
            queue.try_put(i).unwrap();
            tasks[0].pends(&mut put);
        }
        queue.try_get().unwrap();
        assert_eq!(queue.try_put(9), Err(TryPutError::Full(9)));
        assert_eq!(tasks[0].ready(&mut put), Ok(()));
        assert!(queue.is_full());
        // Counted anew for the next.
        let mut put = tasks[0].start(queue.put(8));
        for i in 0..64 {
            queue.try_get().unwrap();
            queue.try_put(i).unwrap();
        }
        tasks[0].pends(&mut put);
        drop(put);
        queue.try_get().unwrap();
        queue.try_put(1).unwrap();
    });
}

#[test]
fn those_who_were_offered_something_too_overtake_nobody() {
    each_kind!(8, queue => {
        let tasks = Probe::many(8);
        let mut gets: Vec<_> = tasks.iter().map(|task| task.start(queue.get())).collect();
        (0..8).for_each(|i| queue.try_put(i).unwrap());
        assert_eq!(wakes(&tasks), [1; 8]);
        for i in (0..8).rev() {
            tasks[i].ready(&mut gets[i]).unwrap();
        }
        (0..8).for_each(|i| queue.try_put(i).unwrap());
        let mut puts: Vec<_> = tasks.iter().map(|task| task.start(queue.put(9))).collect();
        (0..8).for_each(|_| assert!(queue.try_get().is_ok()));
        assert_eq!(wakes(&tasks), [2; 8]);
        for i in (0..8).rev() {
            tasks[i].ready(&mut puts[i]).unwrap();
        }
        assert!(queue.is_full());
    });
}

#[test]
fn who_is_refused_because_it_is_the_first_ones_turn_is_not_woken_until_that_one_has_gone() {
    // With two items: the second in line would be offered the other one, refused it, and wake itself for ever.
    each_kind!(queue => {
        let tasks = Probe::many(2);
        let mut first = tasks[0].start(queue.get());
        let mut second = tasks[1].start(queue.get());
        for i in 0..64 {
            queue.try_put(i).unwrap();
            assert_eq!(queue.try_get(), Ok(i));
        }
        queue.try_put(5).unwrap();
        queue.try_put(5).unwrap();
        let woken = tasks[1].wakes();
        tasks[1].pends(&mut second);
        tasks[1].pends(&mut second);
        assert_eq!(tasks[1].wakes(), woken);
        assert_eq!(tasks[0].ready(&mut first), Ok(5));
        assert_eq!(tasks[1].wakes(), woken + 1);
        assert_eq!(tasks[1].ready(&mut second), Ok(5));
    });
}

#[test]
fn a_getter_that_is_kept_and_never_polled_does_not_stop_the_others_at_once() {
    // [bug 18] futurelock
    let queue = ArrayQueue::<_, 2>::new();
    let task = Probe::new();
    let _kept = task.start(queue.get());
    for i in 0..64 {
        queue.try_put(i).unwrap();
        assert_eq!(queue.try_get(), Ok(i));
    }
}

// ---- closing

#[test]
fn after_close_nothing_is_put_and_what_was_put_is_drained() {
    // [SHUT-01, SHUT-02, SHUT-06, SHUT-10, SHUT-11]
    each_kind!(queue => {
        let task = Probe::new();
        queue.try_put(1).unwrap();
        assert!(queue.close() && !queue.close() && queue.is_closed());
        assert_eq!(queue.try_put(2), Err(TryPutError::Closed(2)));
        assert_eq!(task.now(queue.put(2)), Err(Closed(2)));
        let mut join = task.start(queue.join());
        assert_eq!(task.now(queue.get()), Ok(1));
        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
        assert_eq!(task.now(queue.get()), Err(Closed(())));
        queue.task_done().unwrap();
        task.ready(&mut join);
        task.now(queue.join());
        assert!(queue.task_done().is_err());
    });
}

#[test]
fn close_ends_all_who_wait() {
    // [SHUT-03, SHUT-04, SHUT-05; bug 5]
    each_kind!(1, queue => {
        let tasks = Probe::many(3);
        let mut gets: Vec<_> = tasks.iter().map(|task| task.start(queue.get())).collect();
        queue.close();
        assert_eq!(wakes(&tasks), [1; 3]);
        for (task, get) in tasks.iter().zip(&mut gets) {
            assert_eq!(task.ready(get), Err(Closed(())));
        }
        assert_eq!(queue.try_put(0), Err(TryPutError::Closed(0)));
    });
    each_kind!(1, queue => {
        let tasks = Probe::many(3);
        queue.try_put(0).unwrap();
        let mut puts: Vec<_> = (0..3).map(|i| tasks[i].start(queue.put(i))).collect();
        assert_eq!(queue.try_get(), Ok(0)); // the first has been promised the room
        queue.close();
        for (i, put) in puts.iter_mut().enumerate() {
            assert_eq!(tasks[i].ready(put), Err(Closed(i)));
        }
        assert_eq!(wakes(&tasks), [1; 3]);
        assert_eq!(queue.unfinished(), 1);
    });
}

#[test]
fn the_last_getter_of_a_closed_queue_ends_the_others() {
    each_kind!(queue => {
        let tasks = Probe::many(3);
        let mut gets: Vec<_> = tasks.iter().map(|task| task.start(queue.get())).collect();
        queue.try_put(1).unwrap();
        queue.close();
        assert_eq!(wakes(&tasks), [1, 0, 0]);
        assert_eq!(tasks[0].ready(&mut gets[0]), Ok(1));
        assert_eq!(wakes(&tasks), [1, 1, 1]);
        assert_eq!(tasks[1].ready(&mut gets[1]), Err(Closed(())));
        assert_eq!(tasks[2].ready(&mut gets[2]), Err(Closed(())));
    });
}

#[test]
fn close_now_drops_what_is_left_and_counts_it_as_done() {
    // [SHUT-07, SHUT-08, SHUT-09]
    each_kind!(3, queue => {
        let (task, item) = (Probe::new(), Arc::new(()));
        (0..3).for_each(|_| queue.try_put(item.clone()).unwrap());
        queue.try_get().unwrap();
        queue.try_put(item.clone()).unwrap();
        let mut put = task.start(queue.put(item.clone()));
        let mut join = task.start(queue.join());
        assert_eq!(queue.close_now(), 3);
        assert_eq!(task.ready(&mut put), Err(Closed(item.clone())));
        drop(put);
        assert_eq!((Arc::strong_count(&item), queue.unfinished(), queue.len()), (1, 1, 0));
        task.pends(&mut join);
        queue.task_done().unwrap();
        task.ready(&mut join);
        assert!(queue.task_done().is_err());
        assert_eq!(queue.close_now(), 0);
        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    });
}

// ---- join

#[test]
fn join_waits_until_as_many_were_done_as_were_put() {
    // [QUE-23, QUE-24, QUE-25]
    each_kind!(queue => {
        let task = Probe::new();
        task.now(queue.join());
        task.now(queue.join());
        assert!(queue.task_done().is_err());
        let _ = [1, 2].map(|item| queue.try_put(item).unwrap());
        let mut join = task.start(queue.join());
        let _ = [1, 2].map(|_| queue.try_get().unwrap());
        task.pends(&mut join);
        queue.task_done().unwrap();
        assert_eq!(task.wakes(), 0);
        queue.task_done().unwrap();
        assert_eq!(task.wakes(), 1);
        // [QUE-27] even if more is put meanwhile
        queue.try_put(3).unwrap();
        task.ready(&mut join);
        assert!(join.is_terminated());
        let join = task.start(queue.join());
        drop(join);
        assert_eq!(queue.unfinished(), 1);
    });
}

#[test]
fn many_joiners_are_told_at_once() {
    let (queue, tasks) = (ArrayQueue::<_, 1>::new(), Probe::many(40));
    queue.try_put(1).unwrap();
    let mut joins: Vec<_> = tasks.iter().map(|task| task.start(queue.join())).collect();
    queue.try_get().unwrap();
    queue.task_done().unwrap();
    assert_eq!(wakes(&tasks), [1; 40]);
    for (task, join) in tasks.iter().zip(&mut joins) {
        task.ready(join);
    }
}

// ---- streams and sinks

#[test]
fn a_stream_ends_when_the_queue_is_closed_and_drained() {
    each_kind!(queue => {
        let task = Probe::new();
        let mut stream = Box::pin(queue.stream());
        assert!(task.poll(&mut Box::pin(stream.next())).is_pending());
        queue.try_put(1).unwrap();
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.now(stream.next()), Some(1));
        assert!(!stream.is_terminated());
        queue.try_put(2).unwrap();
        queue.close();
        assert_eq!(task.now(stream.next()), Some(2));
        assert_eq!(task.now(stream.next()), None);
        assert_eq!(task.now(stream.next()), None);
        assert!(stream.is_terminated());
    });
}

#[test]
fn put_all_waits_for_room_and_loses_nothing() {
    each_kind!(queue => {
        let task = Probe::new();
        let mut items = 1..=5;
        let mut all = Box::pin(queue.put_all(&mut items));
        task.pends(&mut all);
        assert_eq!(queue.len(), 2);
        queue.try_get().unwrap();
        assert_eq!(task.wakes(), 1);
        task.pends(&mut all);
        queue.close();
        assert_eq!(task.ready(&mut all), Err(Closed(4)));
        assert!(all.is_terminated());
        assert_eq!(panics(|| task.poll(&mut all)), "polled after completion");
        drop(all);
        assert_eq!(items.next(), Some(5));
    });
}

// ---- misuse, panics, re-entrancy

#[test]
fn polled_after_completion_it_panics_with_the_shared_text() {
    let (queue, task) = (ArrayQueue::<_, 1>::new(), Probe::new());
    let mut put = Box::pin(queue.put(1));
    task.ready(&mut put).unwrap();
    assert!(put.is_terminated());
    assert_eq!(poll_panics(&mut put, &task), "polled after completion");
    let mut get = Box::pin(queue.get());
    task.ready(&mut get).unwrap();
    assert_eq!(poll_panics(&mut get, &task), "polled after completion");
    let mut join = task.start(queue.join());
    queue.task_done().unwrap();
    task.ready(&mut join);
    assert_eq!(poll_panics(&mut join, &task), "polled after completion");
}

#[test]
fn a_get_whose_poll_panics_keeps_the_item() {
    // [bug 9]
    each_kind!(1, queue => {
        for dropped in [false, true] {
            let tasks = Probe::many(2);
            queue.try_put(1).unwrap();
            tasks[1].on_wake(|| panic!("bad waker"));
            let mut put = tasks[1].start(queue.put(2));
            let mut get = Box::pin(queue.get());
            assert_eq!(poll_panics(&mut get, &tasks[0]), "bad waker");
            assert!(!get.is_terminated());
            if dropped {
                drop(get);
                assert_eq!(queue.try_get(), Ok(1));
            } else {
                assert_eq!(tasks[0].ready(&mut get), Ok(1));
            }
            tasks[1].ready(&mut put).unwrap();
            assert_eq!(queue.try_get(), Ok(2));
            (0..2).for_each(|_| queue.task_done().unwrap());
            assert_eq!(queue.unfinished(), 0);
        }
    });
}

#[test]
fn a_put_whose_poll_panics_has_put() {
    // [bug 9]
    each_kind!(queue => {
        for dropped in [false, true] {
            let tasks = Probe::many(2);
            tasks[1].on_wake(|| panic!("bad waker"));
            let mut get = tasks[1].start(queue.get());
            let mut put = Box::pin(queue.put(2));
            assert_eq!(poll_panics(&mut put, &tasks[0]), "bad waker");
            if dropped {
                drop(put);
            } else {
                assert_eq!(tasks[0].ready(&mut put), Ok(()));
            }
            assert_eq!(tasks[1].ready(&mut get), Ok(2));
            let mut get = tasks[1].start(queue.get());
            assert_eq!(panics(|| queue.try_put(3)), "bad waker");
            assert_eq!(tasks[1].ready(&mut get), Ok(3));
        }
    });
}

#[test]
fn close_with_panicking_wakers_ends_everybody() {
    // [bugs 5, 9]
    in_a_child("queue::close_with_panicking_wakers_ends_everybody", || {
        let (queue, tasks) = (ArrayQueue::<u8, 1>::new(), Probe::many(40));
        tasks.iter().for_each(|task| task.on_wake(|| panic!("bad waker")));
        let mut gets: Vec<_> = tasks.iter().map(|task| task.start(queue.get())).collect();
        assert_eq!(panics(|| queue.close()), "bad waker");
        assert_eq!(wakes(&tasks), [1; 40]);
        for (task, get) in tasks.iter().zip(&mut gets) {
            assert_eq!(task.ready(get), Err(Closed(())));
        }
    });
}

#[test]
fn wakers_may_use_the_queue() {
    // [bugs 7, 8]
    let queue = Arc::new(ArrayQueue::<usize, 1>::new());
    let tasks = Probe::many(2);
    let again = queue.clone();
    tasks[0].on_wake(move || {
        assert_eq!(again.try_get(), Ok(1));
        again.try_put(2).unwrap();
        drop(again.get());
        assert_eq!(again.len(), 1);
    });
    let again = queue.clone();
    tasks[0].on_clone(move || {
        let _ = again.try_put(1);
        let _ = again.try_get();
    });
    let mut get = tasks[0].start(queue.get());
    queue.try_put(1).unwrap();
    assert_eq!(tasks[0].ready(&mut get), Ok(2));
    let again = queue.clone();
    tasks[1].on_wake(move || {
        again.close();
    });
    let mut get = tasks[1].start(queue.get());
    let mut other = Probe::new().start(queue.get());
    queue.try_put(3).unwrap();
    assert_eq!(tasks[1].ready(&mut get), Ok(3));
    assert_eq!(tasks[1].ready(&mut other), Err(Closed(())));
}

/// A comparison that panics when told to.
#[derive(Debug, PartialEq, Eq)]
struct Fussy(usize, Rc<core::cell::Cell<bool>>);

impl PartialOrd for Fussy {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Fussy {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        assert!(!self.1.get(), "bad comparison");
        self.0.cmp(&other.0)
    }
}

#[test]
fn a_comparison_that_panics_loses_nothing_and_locks_nothing() {
    let (queue, bad, task) = (Queue::priority(8), Rc::new(core::cell::Cell::new(false)), Probe::new());
    let item = |n| Fussy(n, bad.clone());
    let _ = [3, 1, 2].map(|n| queue.try_put(item(n)).unwrap());
    bad.set(true);
    assert_eq!(panics(|| queue.try_put(item(0))), "bad comparison");
    assert_eq!(panics(|| queue.try_get().is_ok()), "bad comparison");
    assert_eq!(poll_panics(&mut Box::pin(queue.get()), &task), "bad comparison");
    let mut get = Box::pin(queue.get());
    assert_eq!(poll_panics(&mut get, &task), "bad comparison");
    let mut put = Box::pin(queue.put(item(5)));
    assert_eq!(poll_panics(&mut put, &task), "bad comparison");
    bad.set(false);
    assert_eq!(task.ready(&mut put), Ok(()));
    let mut all = vec![task.ready(&mut get).unwrap().0];
    all.extend(core::iter::from_fn(|| queue.try_get().ok()).map(|item| item.0));
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 5]);
    assert!(queue.is_empty() && !queue.is_full());
    assert_eq!(queue.unfinished(), 5);
}

// ---- dropping

/// Counts how often it is dropped, and panics then if told to.
struct Dropped<'a>(&'a AtomicUsize, bool);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
        assert!(!self.1, "bad drop");
    }
}

#[test]
fn a_dropped_queue_drops_what_is_in_it_once() {
    for taken in 0..4 {
        for put in 0..4 {
            let drops = [const { AtomicUsize::new(0) }; 4];
            let (array, queues) = (ArrayQueue::<_, 3>::new(), [Queue::bounded(3), Queue::lifo(3), Queue::unbounded()]);
            for _ in 0..taken {
                array.try_put(Dropped(&drops[3], false)).unwrap();
                drop(array.try_get());
                for (queue, drops) in queues.iter().zip(&drops) {
                    queue.try_put(Dropped(drops, false)).unwrap();
                    drop(queue.try_get());
                }
            }
            for _ in 0..put {
                let _ = array.try_put(Dropped(&drops[3], false));
                for (queue, drops) in queues.iter().zip(&drops) {
                    let _ = queue.try_put(Dropped(drops, false));
                }
            }
            drop((array, queues));
            drops.iter().for_each(|drops| assert_eq!(drops.load(Relaxed), taken + put));
        }
    }
}

#[test]
fn items_that_panic_when_dropped_are_all_dropped() {
    in_a_child("queue::items_that_panic_when_dropped_are_all_dropped", || {
        let drops = AtomicUsize::new(0);
        let queue = ArrayQueue::<_, 3>::new();
        (0..3).for_each(|i| assert!(queue.try_put(Dropped(&drops, i != 1)).is_ok()));
        assert_eq!(panics(|| drop(queue)), "bad drop");
        assert_eq!(drops.swap(0, Relaxed), 3);
        let queue = Queue::unbounded();
        (0..30).for_each(|i| assert!(queue.try_put(Dropped(&drops, i % 7 == 0)).is_ok()));
        assert_eq!(panics(|| drop(queue)), "bad drop");
        assert_eq!(drops.swap(0, Relaxed), 30);
        let queue = Queue::bounded(3);
        (0..3).for_each(|i| assert!(queue.try_put(Dropped(&drops, i != 1)).is_ok()));
        assert_eq!(panics(|| queue.close_now()), "bad drop");
        assert_eq!((drops.load(Relaxed), queue.unfinished(), queue.len()), (3, 0, 0));
    });
}

// ---- what is shown

#[test]
fn errors_say_what_happened_without_showing_the_item() {
    struct Opaque;
    let (queue, text) = (Queue::bounded(1), |error: &dyn core::error::Error| format!("{error}; {error:?}"));
    queue.try_put(Opaque).unwrap();
    assert_eq!(text(&queue.try_put(Opaque).unwrap_err()), "the queue is full; Full(..)");
    assert_eq!(text(&TryGetError::Empty), "the queue is empty; Empty");
    queue.close();
    assert_eq!(text(&queue.try_put(Opaque).unwrap_err()), "the queue is closed; Closed(..)");
    assert_eq!(text(&block_on(queue.put(Opaque)).unwrap_err()), "the queue is closed; Closed(..)");
    assert_eq!(text(&TryGetError::Closed), "the queue is closed and empty; Closed");
    assert_eq!(
        text(&queue.task_done().map(|()| queue.task_done()).unwrap().unwrap_err()),
        "task_done was called more often than items were put; TooManyDone"
    );
}

#[test]
fn debug_shows_the_state() {
    // [QUE-28, QUE-29]
    let (queue, task) = (Queue::bounded(1), Probe::new());
    queue.try_put(1).unwrap();
    let _put = task.start(queue.put(2));
    let shown = "Queue { len: 1, capacity: Some(1), getters: false, putters: true, unfinished: 1, closed: false }";
    assert_eq!(format!("{queue:?}"), shown);
    let queue = ArrayQueue::<u8, 1>::new();
    let _get = task.start(queue.get());
    queue.close();
    let shown = "ArrayQueue { len: 0, capacity: 1, getters: false, putters: false, unfinished: 0, closed: true }";
    assert_eq!(format!("{queue:?}"), shown);
    assert_eq!(format!("{:?}", queue.get()), "Get { wait: Wait { phase: Idle, .. } }");
    assert_eq!(format!("{:?}", queue.put(1)), "Put { wait: Wait { phase: Idle, .. } }");
    assert_eq!(format!("{:?}", queue.stream()), "QueueStream { get: None, .. }");
    assert_eq!(format!("{:?}", queue.put_all([])), "PutAll { count: 0, put: None, .. }");
}

#[test]
fn a_scripted_stream_is_a_stream() {
    fn is_stream<S: Stream<Item = u8> + FusedStream>(stream: S) -> Pin<Box<S>> {
        Box::pin(stream)
    }
    let queue = Rc::new(Queue::<u8>::unbounded());
    let stream = is_stream(Queue::stream_with(queue.clone()));
    queue.try_put(1).unwrap();
    queue.close();
    assert_eq!(block_on(stream.collect::<Vec<_>>()), [1]);
}
