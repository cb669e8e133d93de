//! `ArrayQueue` and `Queue`. An item is a box: loom reports one that is lost, and cells inside the slots report every race.
mod history;

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_core::Stream;
use testudo::{ArrayQueue, Closed, Queue, TryGetError, TryPutError, sync::Get};

use crate::support::{Data, Sleeper, Spawned, Waiter, explore, explore_within, race, spawn};

type One = Arc<ArrayQueue<Box<usize>, 1>>;
type Two = Arc<ArrayQueue<Box<usize>, 2>>;

/// Drives a future as `support::block_on` does. One that wakes itself while somebody is in the middle of a put lets others go on.
fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let sleeper = Sleeper::new();
    let waker = Waker::from(Arc::clone(&sleeper));
    loop {
        sleeper.begin();
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        loom::thread::yield_now();
        sleeper.sleep();
    }
}

fn one() -> One {
    Arc::default()
}

fn two() -> Two {
    Arc::default()
}

/// Does something to the queue on another thread.
fn on<Q: 'static, T: 'static>(queue: &Arc<Q>, f: impl FnOnce(&Q) -> T + 'static) -> Spawned<T> {
    let queue = Arc::clone(queue);
    spawn(move || f(&queue))
}

/// Puts on another thread, waiting for room.
fn put<const N: usize>(queue: &Arc<ArrayQueue<Box<usize>, N>>, item: usize) -> Spawned<Result<(), Closed<Box<usize>>>> {
    on(queue, move |queue| drive(queue.put(Box::new(item))))
}

/// Gets in line for an item.
fn getter<const N: usize>(queue: &Arc<ArrayQueue<Box<usize>, N>>) -> Waiter<Get<Arc<ArrayQueue<Box<usize>, N>>>> {
    Waiter::waiting(ArrayQueue::get_with(queue.clone()))
}

/// Gets on another thread, waiting for an item.
fn get<const N: usize>(queue: &Arc<ArrayQueue<Box<usize>, N>>) -> Spawned<Result<Box<usize>, Closed>> {
    on(queue, |queue| drive(queue.get()))
}

fn try_put<const N: usize>(queue: &ArrayQueue<Box<usize>, N>, item: usize) -> bool {
    race();
    queue.try_put(Box::new(item)).is_ok()
}

fn try_get<const N: usize>(queue: &ArrayQueue<Box<usize>, N>) -> Option<usize> {
    race();
    queue.try_get().ok().map(|item| *item)
}

// ---- try_ only

#[test]
fn e1_what_is_put_is_seen_by_who_gets_it() {
    explore(|| {
        let (queue, data) = (one(), Data::new());
        let putter = spawn({
            let (queue, data) = (queue.clone(), data.clone());
            move || {
                data.write(1);
                assert!(try_put(&queue, 1));
            }
        });
        if let Some(item) = try_get(&queue) {
            assert_eq!((item, data.read()), (1, 1));
        }
        putter.join();
    });
}

#[test]
fn e2_what_is_got_makes_room_for_the_next() {
    explore(|| {
        let (queue, data) = (one(), Data::new());
        assert!(try_put(&queue, 1));
        let getter = spawn({
            let (queue, data) = (queue.clone(), data.clone());
            move || {
                data.write(1);
                assert_eq!(try_get(&queue), Some(1));
            }
        });
        if try_put(&queue, 2) {
            assert_eq!(data.read(), 1);
        }
        getter.join();
        assert_eq!(try_get(&queue).unwrap_or(2), 2);
    });
}

#[test]
fn two_try_puts_on_one_slot() {
    explore(|| {
        let queue = one();
        let other = on(&queue, |queue| try_put(queue, 1));
        let mine = try_put(&queue, 2);
        assert!(mine != other.join());
        assert_eq!(try_get(&queue), Some(if mine { 2 } else { 1 }));
        assert_eq!(try_get(&queue), None);
    });
}

#[test]
fn two_try_puts_and_a_try_get_on_two_slots() {
    explore(|| {
        let queue = two();
        assert!(try_put(&queue, 0));
        let threads = [1, 2].map(|item| on(&queue, move |queue| try_put(queue, item)));
        let got = try_get(&queue);
        assert_eq!(got, Some(0));
        let put = threads.map(Spawned::join);
        assert!(put[0] || put[1]);
        let rest: Vec<_> = std::iter::from_fn(|| try_get(&queue)).collect();
        assert_eq!(rest.len(), put.iter().filter(|put| **put).count());
    });
}

#[test]
fn two_try_gets_take_two_items_once_each() {
    explore(|| {
        let queue = two();
        assert!(try_put(&queue, 1) && try_put(&queue, 2));
        let other = on(&queue, try_get);
        let mine = try_get(&queue).unwrap();
        assert_eq!(mine + other.join().unwrap(), 3);
        assert!(try_put(&queue, 3) && try_put(&queue, 4) && !try_put(&queue, 5));
    });
}

// ---- waiting

#[test]
fn e3_a_getter_in_line_is_seen_by_the_putter() {
    explore(|| {
        let queue = one();
        let getter = get(&queue);
        assert!(try_put(&queue, 1));
        assert_eq!(getter.join(), Ok(Box::new(1)));
    });
}

#[test]
fn e3_a_putter_in_line_is_seen_by_the_getter() {
    explore(|| {
        let queue = one();
        assert!(try_put(&queue, 1));
        let putter = put(&queue, 2);
        assert_eq!(try_get(&queue), Some(1));
        assert_eq!(putter.join(), Ok(()));
        assert_eq!(try_get(&queue), Some(2));
    });
}

#[test]
fn put_put_and_get_get_over_one_slot() {
    explore(|| {
        let queue = one();
        let putter = on(&queue, |queue| {
            for item in [1, 2] {
                drive(queue.put(Box::new(item))).unwrap();
            }
        });
        assert_eq!(drive(queue.get()), Ok(Box::new(1)));
        assert_eq!(drive(queue.get()), Ok(Box::new(2)));
        putter.join();
    });
}

#[test]
fn two_putters_and_a_getter_over_one_slot() {
    // 3 preemptions take minutes.
    explore_within(2, || {
        let queue = one();
        let putters = [put(&queue, 1), put(&queue, 2)];
        let got = [drive(queue.get()).unwrap(), drive(queue.get()).unwrap()];
        assert_eq!(*got[0] + *got[1], 3);
        putters.into_iter().for_each(|putter| putter.join().unwrap());
    });
}

#[test]
fn two_getters_and_a_putter_over_two_slots() {
    // 3 preemptions take minutes.
    explore_within(2, || {
        let queue = two();
        let getters = [(); 2].map(|()| {
            let mut getter = Waiter::new(ArrayQueue::get_with(queue.clone()));
            spawn(move || {
                getter.poll();
                getter
            })
        });
        assert!(try_put(&queue, 1) && try_put(&queue, 2));
        let got = getters.map(Spawned::join).map(|getter| *getter.arrive().unwrap());
        assert_eq!(got[0] + got[1], 3);
    });
}

#[test]
fn two_putters_for_two_getters_in_line() {
    // Each publishes its own slot; both getters are told.
    explore(|| {
        let queue = two();
        let getters = [(); 2].map(|()| getter(&queue));
        let other = on(&queue, |queue| assert!(try_put(queue, 1)));
        assert!(try_put(&queue, 2));
        other.join();
        let got = getters.map(|getter| *getter.arrive().unwrap());
        assert_eq!(got[0] + got[1], 3);
    });
}

#[test]
fn a_cancelled_getter_passes_the_offer_on() {
    explore(|| {
        let queue = one();
        let [first, second] = [(); 2].map(|()| getter(&queue));
        let cancel = spawn(move || drop(first));
        assert!(try_put(&queue, 1));
        cancel.join();
        assert_eq!(second.arrive(), Ok(Box::new(1)));
    });
}

#[test]
fn a_cancelled_putter_passes_the_room_on() {
    explore(|| {
        let queue = one();
        assert!(try_put(&queue, 1));
        let [first, second] = [2, 3].map(|item| Waiter::waiting(ArrayQueue::put_with(queue.clone(), Box::new(item))));
        let cancel = spawn(move || drop(first));
        assert_eq!(try_get(&queue), Some(1));
        cancel.join();
        assert_eq!(second.arrive(), Ok(()));
        assert_eq!(try_get(&queue), Some(3));
    });
}

#[test]
fn a_stolen_item_is_waited_for_again() {
    explore(|| {
        let queue = one();
        let getter = get(&queue);
        assert!(try_put(&queue, 1));
        let stolen = try_get(&queue);
        if stolen.is_some() {
            while !try_put(&queue, 2) {
                loom::thread::yield_now();
            }
        }
        assert_eq!(*getter.join().unwrap(), if stolen.is_some() { 2 } else { 1 });
    });
}

#[test]
fn i1_a_try_get_in_vain_x_two_puts_for_two_getters() {
    // Who finds nothing has overtaken nobody, so that nobody is kept from being told by it.
    explore(|| {
        let queue = two();
        let [mut first, second] = [(); 2].map(|()| getter(&queue));
        for _ in 0..3 {
            assert!(try_put(&queue, 0) && try_get(&queue) == Some(0)); // once more, and it is the first one's turn
        }
        assert!(!first.poll());
        let other = on(&queue, try_get);
        assert!(try_put(&queue, 1) && try_put(&queue, 2));
        let stolen = other.join();
        let got = *first.arrive().unwrap();
        let last = if stolen.is_some() { stolen } else { Some(*second.arrive().unwrap()) };
        assert_eq!(Some(got), last.map(|last| 3 - last));
    });
}

#[test]
fn cancel_of_the_offered_getter_x_try_get() {
    explore(|| {
        let queue = one();
        let [first, mut second] = [(); 2].map(|()| getter(&queue));
        assert!(try_put(&queue, 1));
        let cancel = spawn(move || drop(first));
        let stolen = try_get(&queue).is_some();
        cancel.join();
        if stolen {
            assert!(!second.poll());
            assert!(try_put(&queue, 1));
        }
        assert_eq!(second.arrive(), Ok(Box::new(1)));
    });
}

#[test]
fn cancel_of_the_offered_putter_x_try_put() {
    explore(|| {
        let queue = one();
        assert!(try_put(&queue, 1));
        let [first, mut second] =
            [2, 3].map(|item| Waiter::waiting(ArrayQueue::put_with(queue.clone(), Box::new(item))));
        assert_eq!(try_get(&queue), Some(1));
        let cancel = spawn(move || drop(first));
        let stolen = try_put(&queue, 4);
        cancel.join();
        if stolen {
            assert!(!second.poll());
            assert_eq!(try_get(&queue), Some(4));
        }
        assert_eq!(second.arrive(), Ok(()));
        assert_eq!(try_get(&queue), Some(3));
    });
}

// ---- closing

#[test]
fn close_x_close() {
    explore(|| {
        let queue = one();
        let other = on(&queue, |queue| queue.close());
        let mine = queue.close();
        assert!(mine != other.join());
        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    });
}

#[test]
fn close_x_cancel_of_the_offered_getter() {
    explore(|| {
        let queue = one();
        let [first, second] = [(); 2].map(|()| getter(&queue));
        assert!(try_put(&queue, 1));
        let closer = on(&queue, |queue| queue.close());
        race();
        drop(first);
        closer.join();
        assert_eq!(second.arrive(), Ok(Box::new(1)));
        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    });
}

#[test]
fn close_x_poll_of_the_offered_getter() {
    explore(|| {
        let queue = one();
        let [first, second] = [(); 2].map(|()| getter(&queue));
        assert!(try_put(&queue, 1));
        let closer = on(&queue, |queue| queue.close());
        assert_eq!(first.arrive(), Ok(Box::new(1)));
        closer.join();
        assert_eq!(second.arrive(), Err(Closed(())));
    });
}

#[test]
fn close_x_cancel_of_the_only_getter_x_get() {
    // 3 preemptions take minutes.
    explore_within(2, || {
        let queue = one();
        let first = getter(&queue);
        let cancel = spawn(move || drop(first));
        let closer = on(&queue, |queue| queue.close());
        assert_eq!(drive(queue.get()), Err(Closed(())));
        cancel.join();
        closer.join();
    });
}

#[test]
fn close_x_cancel_of_a_putter() {
    explore(|| {
        let queue = one();
        assert!(try_put(&queue, 1));
        let [first, second] = [2, 3].map(|item| Waiter::waiting(ArrayQueue::put_with(queue.clone(), Box::new(item))));
        let closer = on(&queue, |queue| queue.close());
        race();
        drop(first);
        closer.join();
        assert_eq!(second.arrive(), Err(Closed(Box::new(3))));
        assert_eq!(try_get(&queue), Some(1));
        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    });
}

#[test]
fn close_x_poll_of_the_offered_putter() {
    explore(|| {
        let queue = one();
        assert!(try_put(&queue, 1));
        let putter = Waiter::waiting(ArrayQueue::put_with(queue.clone(), Box::new(2)));
        assert_eq!(try_get(&queue), Some(1));
        let closer = on(&queue, |queue| queue.close());
        let put = putter.arrive();
        closer.join();
        match put {
            Ok(()) => assert_eq!(try_get(&queue), Some(2)),
            Err(Closed(item)) => assert_eq!(*item, 2),
        }
        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    });
}

#[test]
fn close_now_x_cancel_of_the_offered_getter() {
    explore(|| {
        let queue = one();
        let [first, second] = [(); 2].map(|()| getter(&queue));
        assert!(try_put(&queue, 1));
        let closer = on(&queue, |queue| queue.close_now());
        race();
        drop(first);
        assert_eq!(closer.join(), 1);
        assert_eq!(second.arrive(), Err(Closed(())));
    });
}

#[test]
fn close_now_x_close_now() {
    explore(|| {
        let queue = two();
        assert!(try_put(&queue, 1) && try_put(&queue, 2));
        let other = on(&queue, |queue| queue.close_now());
        let mine = queue.close_now();
        assert_eq!(mine + other.join(), 2);
        assert_eq!(queue.unfinished(), 0);
    });
}

#[test]
fn close_x_put_all_x_stream() {
    // 3 preemptions take minutes.
    explore_within(2, || {
        let queue = one();
        let putter = on(&queue, |queue| match drive(queue.put_all([Box::new(1), Box::new(2)])) {
            Ok(count) => count,
            Err(Closed(item)) => *item - 1,
        });
        let closer = on(&queue, |queue| queue.close());
        let mut items = pin!(queue.stream());
        let mut next = || drive(std::future::poll_fn(|cx| items.as_mut().poll_next(cx)));
        let got: Vec<_> = std::iter::from_fn(&mut next).map(|item| *item).collect();
        assert!(got.iter().copied().eq(1..=putter.join()));
        closer.join();
    });
}

#[test]
fn close_and_a_waiting_getter() {
    explore(|| {
        let queue = one();
        let getter = get(&queue);
        assert!(queue.close());
        assert_eq!(getter.join(), Err(Closed(())));
    });
}

#[test]
fn close_and_a_waiting_putter() {
    explore(|| {
        let queue = one();
        assert!(try_put(&queue, 1));
        let putter = put(&queue, 2);
        assert!(queue.close());
        assert_eq!(putter.join(), Err(Closed(Box::new(2))));
        assert_eq!(try_get(&queue), Some(1));
        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    });
}

#[test]
fn what_was_put_can_be_got_after_a_close_that_races_with_it() {
    explore(|| {
        let queue = one();
        let closer = on(&queue, |queue| queue.close());
        let put = queue.try_put(Box::new(1));
        closer.join();
        match put {
            Ok(()) => assert_eq!(try_get(&queue), Some(1)),
            Err(TryPutError::Closed(item)) => assert_eq!(*item, 1),
            Err(TryPutError::Full(_)) => unreachable!("there is room"),
        }
        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    });
}

#[test]
fn e2_close_and_the_getter_of_the_last_item_end_those_who_wait() {
    explore(|| {
        let queue = two();
        let mut waiting = getter(&queue);
        assert!(try_put(&queue, 1));
        let closer = on(&queue, |queue| queue.close());
        let mine = try_get(&queue);
        closer.join();
        assert!(waiting.is_woken());
        assert!(waiting.poll());
        match mine {
            Some(1) => assert_eq!(waiting.arrive(), Err(Closed(()))),
            None => assert_eq!(waiting.arrive(), Ok(Box::new(1))),
            Some(_) => unreachable!("only one item was put"),
        }
    });
}

#[test]
fn close_a_put_and_a_get() {
    explore(|| {
        let queue = one();
        let (putter, getter) = (put(&queue, 1), get(&queue));
        queue.close();
        match putter.join() {
            Ok(()) => assert_eq!(getter.join(), Ok(Box::new(1))),
            Err(Closed(item)) => {
                assert_eq!(*item, 1);
                assert_eq!(getter.join(), Err(Closed(())));
            }
        }
    });
}

#[test]
fn close_now_a_put_and_a_get() {
    explore(|| {
        let queue = one();
        let (putter, getter) = (put(&queue, 1), get(&queue));
        let dropped = queue.close_now();
        let (put, got) = (putter.join().is_ok(), getter.join().is_ok());
        assert_eq!(usize::from(put), usize::from(got) + dropped);
        assert_eq!(queue.unfinished(), usize::from(got));
    });
}

// ---- join

#[test]
fn e1_what_was_done_is_seen_after_join() {
    explore(|| {
        let (queue, data) = (one(), Data::new());
        assert!(try_put(&queue, 1));
        let worker = spawn({
            let (queue, data) = (queue.clone(), data.clone());
            move || {
                data.write(1);
                queue.task_done().unwrap();
            }
        });
        drive(queue.join());
        assert_eq!(data.read(), 1);
        worker.join();
    });
}

#[test]
fn two_task_dones_and_a_join() {
    explore(|| {
        let queue = two();
        assert!(try_put(&queue, 1) && try_put(&queue, 2));
        let workers = [(); 2].map(|()| on(&queue, |queue| queue.task_done().unwrap()));
        drive(queue.join());
        assert_eq!(queue.unfinished(), 0);
        workers.into_iter().for_each(Spawned::join);
        assert!(queue.task_done().is_err());
    });
}

#[test]
fn a_join_that_begins_after_a_put_is_not_ended_by_what_was_done_before() {
    explore(|| {
        let queue = two();
        assert!(try_put(&queue, 1));
        let worker = on(&queue, |queue| queue.task_done().unwrap());
        assert!(try_put(&queue, 2));
        let mut join = Waiter::waiting(ArrayQueue::join_with(queue.clone()));
        worker.join();
        assert!(!join.poll());
        queue.task_done().unwrap();
        assert!(join.poll());
    });
}

#[test]
fn i4_task_done_x_join_behind_one_that_needs_more() {
    explore(|| {
        let queue = two();
        assert!(try_put(&queue, 1));
        let mut older = Waiter::new(ArrayQueue::join_with(queue.clone()));
        let worker = on(&queue, |queue| queue.task_done().unwrap());
        assert!(try_put(&queue, 2));
        let mut younger = Waiter::waiting(ArrayQueue::join_with(queue.clone()));
        older.poll();
        worker.join();
        // The older may have missed a moment that was over before it got in line, and the next is for all.
        younger.stay();
        queue.task_done().unwrap();
        older.arrive();
        younger.arrive();
    });
}

#[test]
fn task_done_x_cancel_of_the_first_join() {
    explore(|| {
        let queue = one();
        assert!(try_put(&queue, 1));
        let [first, second] = [(); 2].map(|()| Waiter::waiting(ArrayQueue::join_with(queue.clone())));
        let worker = on(&queue, |queue| queue.task_done().unwrap());
        race();
        drop(first);
        worker.join();
        second.arrive();
    });
}

#[test]
fn task_done_x_close_now_x_join() {
    explore(|| {
        let queue = two();
        assert!(try_put(&queue, 1) && try_put(&queue, 2));
        assert_eq!(try_get(&queue), Some(1));
        let worker = on(&queue, |queue| queue.task_done().unwrap());
        let closer = on(&queue, |queue| queue.close_now());
        drive(queue.join());
        worker.join();
        assert_eq!((closer.join(), queue.unfinished()), (1, 0));
    });
}

// ---- without a limit: under loom the first ring has one slot

#[test]
fn two_unbounded_puts_both_of_which_append_a_ring() {
    explore(|| {
        let queue = Arc::new(Queue::unbounded());
        queue.try_put(Box::new(0)).unwrap();
        let other = on(&queue, |queue| queue.try_put(Box::new(1)).unwrap());
        queue.try_put(Box::new(2)).unwrap();
        other.join();
        assert_eq!(queue.len(), 3);
        let got: Vec<_> = std::iter::from_fn(|| queue.try_get().ok()).map(|item| *item).collect();
        assert!(got == [0, 1, 2] || got == [0, 2, 1]);
    });
}

#[test]
fn e1_unbounded_gets_follow_the_rings_and_see_what_was_put() {
    explore(|| {
        let (queue, data) = (Arc::new(Queue::unbounded()), Data::new());
        let putter = spawn({
            let (queue, data) = (queue.clone(), data.clone());
            move || {
                queue.try_put(Box::new(1)).unwrap();
                data.write(1);
                queue.try_put(Box::new(2)).unwrap();
            }
        });
        for expected in [1, 2] {
            assert_eq!(drive(queue.get()), Ok(Box::new(expected)));
        }
        assert_eq!(data.read(), 1);
        putter.join();
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    });
}

#[test]
fn two_unbounded_gets_on_two_rings() {
    explore(|| {
        let queue = Arc::new(Queue::unbounded());
        (1..=3).for_each(|item| queue.try_put(Box::new(item)).unwrap());
        let other = on(&queue, |queue| [(); 2].map(|()| *queue.try_get().unwrap()));
        let mine = *queue.try_get().unwrap();
        let [first, second] = other.join();
        assert!(first < second && first + second + mine == 6);
        assert_eq!(queue.len(), 0);
    });
}

#[test]
fn unbounded_close_and_a_put_that_appends() {
    explore(|| {
        let queue = Arc::new(Queue::unbounded());
        queue.try_put(Box::new(1)).unwrap();
        let waiting = on(&queue, |queue| queue.try_put(Box::new(2)).is_ok());
        assert!(queue.close());
        assert_eq!(queue.try_put(Box::new(3)), Err(TryPutError::Closed(Box::new(3))));
        let put = waiting.join();
        assert_eq!(queue.len(), 1 + usize::from(put));
        assert_eq!(queue.try_get(), Ok(Box::new(1)));
        assert_eq!(queue.try_get().is_ok(), put);
        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    });
}

#[test]
fn e3_a_getter_in_line_is_seen_by_an_unbounded_put_that_appends() {
    explore(|| {
        let queue = Arc::new(Queue::unbounded());
        queue.try_put(Box::new(1)).unwrap();
        assert!(queue.try_get().is_ok());
        queue.try_put(Box::new(2)).unwrap();
        let getter = on(&queue, |queue| [(); 2].map(|()| *drive(queue.get()).unwrap()));
        queue.try_put(Box::new(3)).unwrap();
        assert_eq!(getter.join(), [2, 3]);
    });
}

// ---- who was told

#[test]
fn a_getter_that_returns_in_vain_is_seen_by_the_next_putter() {
    explore(|| {
        let queue = one();
        let mut waiter = getter(&queue);
        assert!(try_put(&queue, 1));
        assert_eq!(try_get(&queue), Some(1)); // it was told, and finds nothing
        let poll = spawn(move || {
            waiter.poll();
            waiter
        });
        assert!(try_put(&queue, 2));
        assert_eq!(poll.join().arrive(), Ok(Box::new(2)));
    });
}

#[test]
fn a_getter_that_joins_those_who_were_told_is_seen() {
    explore(|| {
        let queue = two();
        let first = getter(&queue);
        assert!(try_put(&queue, 1)); // the first was told
        let second = get(&queue);
        assert!(try_put(&queue, 2));
        let got = [*first.arrive().unwrap(), *second.join().unwrap()];
        assert_eq!(got[0] + got[1], 3);
    });
}

// ---- behind the lock

#[test]
fn lifo_put_and_get() {
    explore(|| {
        let queue = Arc::new(Queue::lifo(1));
        let putter = on(&queue, |queue| {
            for item in [1, 2] {
                drive(queue.put(Box::new(item))).unwrap();
            }
        });
        assert_eq!(drive(queue.get()), Ok(Box::new(1)));
        assert_eq!(drive(queue.get()), Ok(Box::new(2)));
        putter.join();
    });
}

#[test]
fn lifo_close_a_put_and_a_get() {
    explore(|| {
        let queue = Arc::new(Queue::lifo(1));
        let putter = on(&queue, |queue| drive(queue.put(Box::new(1))).is_ok());
        let getter = on(&queue, |queue| drive(queue.get()).is_ok());
        queue.close();
        assert_eq!(putter.join(), getter.join());
    });
}

#[test]
fn lifo_close_now_a_put_and_a_get() {
    explore(|| {
        let queue = Arc::new(Queue::lifo(1));
        let putter = on(&queue, |queue| drive(queue.put(Box::new(1))).is_ok());
        let getter = on(&queue, |queue| drive(queue.get()).is_ok());
        let dropped = queue.close_now();
        let (put, got) = (putter.join(), getter.join());
        assert_eq!(usize::from(put), usize::from(got) + dropped);
    });
}

#[test]
fn unbounded_put_get_and_close() {
    explore(|| {
        let queue = Arc::new(Queue::unbounded());
        let putter = on(&queue, |queue| queue.try_put(Box::new(1)).is_ok());
        let getter = on(&queue, |queue| drive(queue.get()));
        queue.close();
        let put = putter.join();
        assert_eq!(getter.join().is_ok(), put);
    });
}

#[test]
fn priority_two_puts_and_a_getter_in_line() {
    explore(|| {
        let queue = Arc::new(Queue::priority(2));
        let getter = Waiter::waiting(Queue::get_with(queue.clone()));
        let other = on(&queue, |queue| queue.try_put(Box::new(1)).unwrap());
        queue.try_put(Box::new(2)).unwrap();
        other.join();
        assert_eq!(getter.arrive(), Ok(Box::new(1)));
        assert_eq!(queue.try_get(), Ok(Box::new(2)));
    });
}
