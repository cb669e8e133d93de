//! OnceCell.

use std::{
    future::{Future, pending, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use testudo::OnceCell;

use crate::{
    event::cancel,
    support::{Data, Spawned, Waiter, explore, explore_within, race, spawn},
};

type Cell = Arc<OnceCell<usize>>;
type Wait = Waiter<Pin<Box<dyn Future<Output = usize>>>>;

fn new() -> Cell {
    Arc::new(OnceCell::new())
}

/// A wait for the value.
fn wait(cell: &Cell) -> Wait {
    let cell = Arc::clone(cell);
    Waiter::new(Box::pin(async move { *cell.wait().await }))
}

/// A task that initializes the cell with what `value` gives.
fn init<F: Future<Output = usize> + 'static>(cell: &Cell, value: F) -> Wait {
    let cell = Arc::clone(cell);
    Waiter::new(Box::pin(async move { *cell.get_or_init(|| value).await }))
}

/// Comes with the poll after the next.
async fn later(value: usize) -> usize {
    let mut polled = false;
    poll_fn(|_| if core::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    value
}

/// One that has begun, or is in line.
fn begun(mut waiter: Wait) -> Wait {
    assert!(!waiter.poll());
    waiter
}

/// Polls on another thread.
fn poll(mut waiter: Wait) -> Spawned<Wait> {
    spawn(move || {
        waiter.poll();
        waiter
    })
}

/// Sets on another thread.
fn set(cell: &Cell, value: usize) -> Spawned<Result<(), usize>> {
    let cell = Arc::clone(cell);
    spawn(move || cell.set(value))
}

/// Everybody arrives with this value, having been woken at most once.
fn all_get(waiters: impl IntoIterator<Item = Wait>, value: usize) {
    for waiter in waiters {
        assert!(waiter.wakes() <= 1);
        assert_eq!(waiter.arrive(), value);
    }
}

/// T3 -> get. The value itself is data, whose races loom reports.
#[test]
fn e1_set_publishes_to_get() {
    explore(|| {
        let (cell, data) = (new(), Data::new());
        let set = spawn({
            let (cell, data) = (Arc::clone(&cell), Arc::clone(&data));
            move || {
                data.write(1);
                cell.set(7).unwrap();
            }
        });
        race();
        if let Some(value) = cell.get() {
            assert_eq!((*value, data.read()), (7, 1));
        }
        race();
        if cell.is_initialized() {
            assert_eq!((cell.get(), data.read()), (Some(&7), 1));
        }
        set.join();
        assert_eq!(cell.get(), Some(&7));
    });
}

/// T3 -> wait. Also: set x wait.
#[test]
fn e1_set_publishes_to_wait() {
    explore(|| {
        let (cell, data) = (new(), Data::new());
        let set = spawn({
            let (cell, data) = (Arc::clone(&cell), Arc::clone(&data));
            move || {
                data.write(1);
                cell.set(7).unwrap();
            }
        });
        let mut waiter = wait(&cell);
        if waiter.poll() || waiter.poll() {
            assert_eq!(data.read(), 1);
        }
        set.join();
        assert_eq!(waiter.arrive(), 7);
    });
}

/// T3 -> get_or_init. Also: set x get_or_init.
#[test]
fn e1_set_publishes_to_get_or_init() {
    explore(|| {
        let (cell, data) = (new(), Data::new());
        let set = spawn({
            let (cell, data) = (Arc::clone(&cell), Arc::clone(&data));
            move || {
                data.write(1);
                cell.set(7)
            }
        });
        let mut other = init(&cell, async { 8 });
        other.poll();
        if other.is_ready() && cell.get() == Some(&7) {
            assert_eq!(data.read(), 1);
        }
        match set.join() {
            Ok(()) => assert_eq!(other.arrive(), 7),
            Err(value) => assert_eq!((value, other.arrive()), (7, 8)),
        }
    });
}

/// T3 by an initializer, which found the flag taken: the canceller tells the others.
#[test]
fn e1_merged_set_publishes() {
    explore(|| {
        let (cell, data) = (new(), Data::new());
        let first = init(&cell, {
            let data = Arc::clone(&data);
            async move {
                later(0).await;
                data.write(1);
                7
            }
        });
        let first = begun(first);
        let [a, mut b] = [0; 2].map(|_| begun(init(&cell, pending())));
        let cancel = cancel(a);
        let first = poll(first);
        if b.poll() {
            assert_eq!(data.read(), 1);
        }
        cancel.join();
        assert_eq!(first.join().arrive(), 7);
        all_get([b], 7);
    });
}

/// T2 -> T1: the next initializer sees what the last one did.
#[test]
fn e2_given_up_turn_publishes() {
    explore(|| {
        let (cell, data) = (new(), Data::new());
        let stuck = begun(init(&cell, pending()));
        let gives_up = spawn({
            let data = Arc::clone(&data);
            move || {
                data.write(1);
                drop(stuck);
            }
        });
        let mut next = init(&cell, {
            let data = Arc::clone(&data);
            async move {
                assert_eq!(data.read(), 1);
                7
            }
        });
        next.poll();
        gives_up.join();
        assert_eq!(next.arrive(), 7);
    });
}

#[test]
fn set_x_set() {
    explore(|| {
        let cell = new();
        let other = set(&cell, 1);
        let mine = cell.set(2);
        match (mine, other.join()) {
            (Ok(()), Err(1)) => assert_eq!(cell.get(), Some(&2)),
            (Err(2), Ok(())) => assert_eq!(cell.get(), Some(&1)),
            both => panic!("{both:?}"),
        }
    });
}

#[test]
fn get_or_init_x_get_or_init() {
    explore(|| {
        let cell = new();
        let a = poll(init(&cell, async { 1 }));
        let mut b = init(&cell, async { 2 });
        b.poll();
        let a = a.join();
        let value = *cell.get().unwrap();
        all_get([a, b], value);
    });
}

#[test]
fn get_or_init_x_get_or_init_x_get_or_init() {
    explore(|| {
        let cell = new();
        let (a, b) = (poll(init(&cell, async { 1 })), poll(init(&cell, async { 2 })));
        let mut c = init(&cell, async { 3 });
        c.poll();
        let (a, b) = (a.join(), b.join());
        let value = *cell.get().unwrap();
        all_get([a, b, c], value);
    });
}

#[test]
fn set_x_wait_x_wait() {
    explore(|| {
        let cell = new();
        let set = set(&cell, 7);
        let a = poll(wait(&cell));
        let mut b = wait(&cell);
        b.poll();
        set.join().unwrap();
        all_get([a.join(), b], 7);
    });
}

/// Three are told in two batches, of whom one is dropped.
fn set_x_cancel(at: usize) {
    explore(move || {
        let cell = new();
        let mut waiters: Vec<_> = (0..3).map(|_| begun(wait(&cell))).collect();
        let leaving = waiters.remove(at);
        let set = set(&cell, 7);
        drop(leaving);
        set.join().unwrap();
        all_get(waiters, 7);
    });
}

#[test]
fn set_x_cancel_of_the_first() {
    set_x_cancel(0);
}

#[test]
fn set_x_cancel_of_the_third() {
    set_x_cancel(2);
}

#[test]
fn set_x_poll() {
    explore(|| {
        let cell = new();
        let [a, b, mut c] = [0; 3].map(|_| begun(wait(&cell)));
        let set = set(&cell, 7);
        c.move_to_another_task();
        c.poll();
        set.join().unwrap();
        all_get([a, b, c], 7);
    });
}

/// An initializer ends while somebody gets in line, to initialize or for the value.
#[test]
fn finish_x_get_or_init_x_wait() {
    explore(|| {
        let cell = new();
        let first = begun(init(&cell, later(7)));
        let a = poll(init(&cell, pending()));
        let b = poll(wait(&cell));
        let mut first = first;
        assert!(first.poll());
        all_get([a.join(), b.join()], 7);
    });
}

/// An initializer ends while the one at `at` of three in line is dropped, or polled by another task.
fn finish_x(at: usize, polls: bool) {
    explore(move || {
        let cell = new();
        let first = begun(init(&cell, later(7)));
        let mut waiters: Vec<_> = [0; 3].map(|_| begun(init(&cell, pending()))).into();
        let first = poll(first);
        if polls {
            waiters[at].move_to_another_task();
            waiters[at].poll();
        } else {
            drop(waiters.remove(at));
        }
        first.join();
        all_get(waiters, 7);
    });
}

#[test]
fn finish_x_cancel_of_the_first() {
    finish_x(0, false);
}

#[test]
fn finish_x_cancel_of_the_third() {
    finish_x(2, false);
}

#[test]
fn finish_x_poll_of_the_first() {
    finish_x(0, true);
}

#[test]
fn finish_x_poll_of_the_third() {
    finish_x(2, true);
}

/// The turn is given up while the first in line is dropped: the second has it.
#[test]
fn give_up_x_cancel() {
    explore(|| {
        let cell = new();
        let stuck = begun(init(&cell, pending()));
        let [a, b] = [1, 2].map(|value| begun(init(&cell, async move { value })));
        let gives_up = cancel(stuck);
        drop(a);
        gives_up.join();
        all_get([b], 2);
    });
}

/// The turn is given up while the first in line is polled by another task.
#[test]
fn give_up_x_poll() {
    explore(|| {
        let cell = new();
        let stuck = begun(init(&cell, pending()));
        let [mut a, b] = [1, 2].map(|value| begun(init(&cell, async move { value })));
        let gives_up = cancel(stuck);
        a.move_to_another_task();
        a.poll();
        gives_up.join();
        all_get([a], 1);
        all_get([b], 1);
    });
}

/// The turn is given up while somebody else gets in line.
#[test]
fn give_up_x_get_or_init_x_wait() {
    explore(|| {
        let cell = new();
        let stuck = begun(init(&cell, pending()));
        let gives_up = cancel(stuck);
        let waits = poll(wait(&cell));
        let mut a = init(&cell, async { 1 });
        a.poll();
        gives_up.join();
        let waits = waits.join(); // it may be the one that offers the turn
        all_get([a], 1);
        all_get([waits], 1);
    });
}

/// Either the value is refused, because the initializer still was at work, or it is what everybody gets.
#[test]
fn give_up_x_set() {
    explore(|| {
        let cell = new();
        let stuck = begun(init(&cell, pending()));
        let [a, b] = [init(&cell, async { 1 }), wait(&cell)].map(begun);
        let gives_up = cancel(stuck);
        let refused = cell.set(2);
        gives_up.join();
        all_get([a], if refused.is_ok() { 2 } else { 1 });
        all_get([b], if refused.is_ok() { 2 } else { 1 });
    });
}

#[test]
fn set_x_cancel_x_wait() {
    // 2 preemptions: three threads that all take the flag.
    explore_within(2, || {
        let cell = new();
        let [a, b] = [0; 2].map(|_| begun(wait(&cell)));
        let (cancel, set) = (cancel(a), set(&cell, 7));
        let mut late = wait(&cell);
        late.poll();
        cancel.join();
        set.join().unwrap();
        all_get([b, late], 7);
    });
}
