//! `cancel_at_every_poll`, alone and in a simulation, on a planted mistake and on the crate's own primitives.
use std::collections::VecDeque;

use testudo::{
    Barrier, Condition, Event, Mutex as Lock, Queue, RwLock, Semaphore,
    run::{CancelAfter, cancel_after, cancel_at_every_poll, cancel_before},
};

use super::*;
use crate::support::Probe;

#[test]
fn a_future_is_cancelled_before_each_of_its_polls() {
    let clock = Sim::new().clock();
    let seen = RefCell::new(Vec::new());
    let polls = Cell::new(0);
    let make = || async {
        for _ in 0..3 {
            polls.set(polls.get() + 1);
            yield_now(&clock).await;
        }
    };
    let places = cancel_at_every_poll(make, |k| seen.borrow_mut().push((k, polls.take())));
    assert_eq!(places, 4);
    assert_eq!(seen.take(), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3)]);
    let ready = cancel_at_every_poll(|| async {}, |k| seen.borrow_mut().push((k, 0)));
    assert_eq!((ready, seen.take()), (1, vec![(0, 0), (1, 0)]));
    let blocked = cancel_at_every_poll(pending::<()>, |k| seen.borrow_mut().push((k, 0)));
    assert_eq!((blocked, seen.take().len()), (2, 2), "before its poll, and after it, when nobody wakes it");
}

#[test]
fn a_future_that_wakes_itself_for_ever_is_given_up() {
    let spins = || {
        poll_fn(|cx| -> Poll<()> {
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    };
    assert_eq!(panics(|| cancel_at_every_poll(spins, |_| ())), "still not ready after 10000 polls");
}

#[test]
fn a_planted_cancellation_bug_is_found_by_cancelling_at_every_poll() {
    let clock = Sim::new().clock();
    let balance = Cell::new(10);
    let transfer = || async {
        balance.set(balance.get() - 1);
        yield_now(&clock).await;
        balance.set(balance.get() + 1);
    };
    let at = Cell::new(None);
    let text = panics(|| {
        cancel_at_every_poll(transfer, |k| {
            at.set(Some(k));
            assert_eq!(balance.get(), 10, "cancelled after {k} polls");
        })
    });
    assert!(text.contains("cancelled after 1 polls"), "{text}");
    assert_eq!(at.get(), Some(1), "the first place that shows it");
}

#[test]
fn cancel_after_and_cancel_before_count_polls() {
    let sim = Sim::new();
    let clock = sim.clock();
    let three = || {
        let clock = clock.clone();
        async move {
            yield_now(&clock).await;
            yield_now(&clock).await;
            7
        }
    };
    for k in 0..5 {
        let expected = (k >= 3).then_some(7);
        let polls = sim.polls();
        assert_eq!(sim.block_on(cancel_after(k, three())).unwrap(), expected);
        assert_eq!(sim.polls() - polls, k.clamp(1, 3) as u64, "it is dropped in its last poll");
        let polls = sim.polls();
        assert_eq!(sim.block_on(cancel_before(k, three())).unwrap(), expected);
        assert_eq!(sim.polls() - polls, k.min(2) as u64 + 1, "it is dropped in place of a poll");
    }
    let probe = Probe::new();
    let mut over = Box::pin(cancel_after(1, ready(3)));
    assert_eq!((probe.ready(&mut over), over.is_terminated()), (Some(3), true));
    assert_eq!(crate::support::poll_panics(&mut over, &probe), "polled after completion");
    assert_eq!(format!("{:?}", cancel_after(2, ready(3))), "CancelAfter { polls_left: 2, done: false }");
    assert_impl_all!(CancelAfter<core::future::Ready<()>>: Send, Sync, Unpin);
    assert_not_impl_any!(CancelAfter<core::marker::PhantomPinned>: Unpin);
}

/// Whether it was given the permit, and its waker.
type Node = Rc<(Cell<bool>, Waker)>;

/// A semaphore as people write it: a release takes the waiter out of line and gives it the permit, and nobody takes
/// the permit back when the waiter is dropped before it was polled again.
#[derive(Default)]
struct Handed {
    permits: Cell<usize>,
    line: RefCell<VecDeque<Node>>,
}

impl Handed {
    async fn acquire(&self) {
        let mut node = None::<Node>;
        poll_fn(|cx| {
            match &node {
                Some(node) if node.0.get() => return Poll::Ready(()),
                Some(_) => return Poll::Pending,
                None if self.permits.get() > 0 => {
                    self.permits.set(self.permits.get() - 1);
                    return Poll::Ready(());
                }
                None => {}
            }
            let new = Rc::new((Cell::new(false), cx.waker().clone()));
            self.line.borrow_mut().push_back(new.clone());
            node = Some(new);
            Poll::Pending
        })
        .await;
    }

    fn release(&self) {
        let next = self.line.borrow_mut().pop_front();
        match next {
            Some(node) => {
                node.0.set(true);
                node.1.wake_by_ref();
            }
            None => self.permits.set(self.permits.get() + 1),
        }
    }
}

#[test]
fn a_permit_handed_to_a_cancelled_waiter_is_found() {
    let permits = RefCell::new(Rc::new(Handed::default()));
    let run = || {
        Sim::builder().cancel_at_every_poll(
            |sim| {
                *permits.borrow_mut() = Rc::new(Handed::default());
                let (own, other) = (permits.borrow().clone(), permits.borrow().clone());
                sim.spawn(async move { other.release() });
                let clock = sim.clock();
                async move {
                    own.acquire().await;
                    yield_now(&clock).await;
                    own.release();
                }
            },
            |_, k| assert_eq!(permits.borrow().permits.get(), 1, "after {k} polls"),
        )
    };
    let text = panics(run);
    assert!(text.contains("after 1 polls"), "{text}");
}

/// Each primitive, with a rival beside the future that is cancelled, under many schedules and spurious polls.
fn survives<F: Future>(make: impl Fn(&Sim) -> F, check: impl Fn(&Sim)) {
    let mut all = 0;
    for seed in 0..24 {
        let policy = [Policy::Fifo, Policy::Lifo, Policy::Random, Policy::Pct { depth: 2 }][seed % 4].clone();
        let builder = Sim::builder().policy(policy).seed(seed as u64).spurious_polls(0.2);
        let places = builder.cancel_at_every_poll(&make, |sim, k| {
            let stall = sim.run_until_stalled();
            assert!(stall.is_none(), "cancelled after {k} polls, schedule {}: {}", sim.schedule(), stall.unwrap());
            check(sim);
        });
        all += places;
    }
    assert!(all >= 48, "it was cancelled {all} times");
}

#[test]
fn the_locks_of_this_crate_survive_a_cancel_at_every_poll() {
    let lock = Rc::new(Lock::new(0));
    survives(
        |sim| {
            for _ in 0..2 {
                let (lock, clock) = (lock.clone(), sim.clock());
                sim.spawn(async move {
                    let mut n = lock.lock().await;
                    yield_now(&clock).await;
                    *n += 1;
                });
            }
            let (lock, clock) = (lock.clone(), sim.clock());
            async move {
                let _guard = lock.lock().await;
                yield_now(&clock).await;
            }
        },
        |_| assert!(lock.try_lock().is_some()),
    );
    let lock = Rc::new(RwLock::new(0));
    survives(
        |sim| {
            let (own, clock) = (lock.clone(), sim.clock());
            sim.spawn(async move {
                let _reader = own.read().await;
                yield_now(&clock).await;
            });
            let own = lock.clone();
            sim.spawn(async move { *own.write().await += 1 });
            let (lock, clock) = (lock.clone(), sim.clock());
            async move {
                let _writer = lock.write().await;
                yield_now(&clock).await;
            }
        },
        |_| assert!(lock.try_write().is_some()),
    );
    let permits = Rc::new(Semaphore::new(2));
    survives(
        |sim| {
            for n in 1..3 {
                let (permits, clock) = (permits.clone(), sim.clock());
                sim.spawn(async move {
                    let _permits = permits.acquire_many(n).await;
                    yield_now(&clock).await;
                });
            }
            let (permits, clock) = (permits.clone(), sim.clock());
            async move {
                let _permits = permits.acquire_many(2).await;
                yield_now(&clock).await;
            }
        },
        |_| assert_eq!(permits.available_permits(), 2),
    );
}

#[test]
fn the_signals_of_this_crate_survive_a_cancel_at_every_poll() {
    survives(
        |sim| {
            let event = Rc::new(Event::new());
            let (rival, setter, clock) = (event.clone(), event.clone(), sim.clock());
            sim.spawn(async move { rival.wait().await });
            sim.spawn(async move {
                yield_now(&clock).await;
                setter.set();
            });
            async move { event.wait().await }
        },
        |_| (),
    );
    survives(
        |sim| {
            let board = Rc::new(Condition::new(0));
            for n in 1..3 {
                let board = board.clone();
                sim.spawn(async move { drop(board.wait_until(move |&at: &i32| at >= n).await) });
            }
            let (counter, clock) = (board.clone(), sim.clock());
            sim.spawn(async move {
                for _ in 0..2 {
                    yield_now(&clock).await;
                    let mut guard = counter.lock().await;
                    *guard += 1;
                    Condition::notify(&counter, &guard, 2);
                }
            });
            async move { drop(board.wait_until(|&at: &i32| at >= 1).await) }
        },
        |_| (),
    );
    survives(
        |sim| {
            let queue = Rc::new(Queue::bounded(1));
            let (producer, clock) = (queue.clone(), sim.clock());
            sim.spawn(async move {
                for i in 0..3 {
                    producer.put(i).await.unwrap();
                    yield_now(&clock).await;
                }
                producer.close();
            });
            let rival = queue.clone();
            sim.spawn(async move { while rival.get().await.is_ok() {} });
            async move { queue.get().await.is_ok() }
        },
        |_| (),
    );
    survives(
        |sim| {
            let barrier = Rc::new(Barrier::new(2));
            for _ in 0..2 {
                let barrier = barrier.clone();
                sim.spawn(async move { barrier.wait().await.is_ok() });
            }
            let (own, aborter, clock) = (barrier.clone(), barrier, sim.clock());
            sim.spawn(async move {
                for _ in 0..8 {
                    yield_now(&clock).await;
                }
                aborter.abort();
            });
            async move { own.wait().await.is_ok() }
        },
        |_| (),
    );
}
