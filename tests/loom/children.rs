//! Ready sets. A group has two children here, so that three of them make two groups; and every vector has a block.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use testudo::task::{AllVec, ReadyBlock, gather, gather_in};

use crate::support::{Data, Spawned, Waiter, explore, explore_within, race, spawn};

/// Pending at its first poll, then ready with what was written before its wake: it reads that unguarded.
struct Child {
    waker: Arc<Mutex<Option<Waker>>>,
    data: Arc<Data>,
    polls: usize,
}

impl Future for Child {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        self.polls += 1;
        if self.polls == 1 {
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(self.data.read())
    }
}

/// A child's waker, and what it wants to read.
struct Remote {
    waker: Arc<Mutex<Option<Waker>>>,
    data: Arc<Data>,
}

impl Remote {
    fn child(&self) -> Child {
        Child { waker: self.waker.clone(), data: self.data.clone(), polls: 0 }
    }

    fn take(&self) -> Waker {
        self.waker.lock().unwrap().take().expect("it was polled")
    }

    /// Writes and wakes on another thread.
    fn finish(&self) -> Spawned<()> {
        let (waker, data) = (self.take(), self.data.clone());
        spawn(move || {
            data.write(7);
            waker.wake();
        })
    }
}

fn remotes<const N: usize>() -> [Remote; N] {
    std::array::from_fn(|_| Remote { waker: Arc::default(), data: Data::new() })
}

fn waiting(remotes: &[Remote]) -> Waiter<AllVec<Child>> {
    Waiter::waiting(gather(remotes.iter().map(Remote::child)))
}

/// T1 -> T5. Also: two wakes of one group x poll, no child is lost.
#[test]
fn e1_wake_publishes() {
    explore(|| {
        let remotes = remotes::<2>();
        let mut set = waiting(&remotes);
        let threads = [remotes[0].finish(), remotes[1].finish()];
        set.poll();
        threads.into_iter().for_each(Spawned::join);
        assert_eq!(set.arrive(), [7, 7]);
    });
}

/// T2 -> T4: two groups are pushed while the consumer pops.
#[test]
fn e2_pushes_of_two_groups_are_found() {
    explore(|| {
        let remotes = remotes::<3>();
        let mut set = waiting(&remotes);
        remotes[1].data.write(7);
        remotes[1].take().wake();
        let threads = [remotes[0].finish(), remotes[2].finish()];
        set.poll();
        threads.into_iter().for_each(Spawned::join);
        assert_eq!(set.arrive(), [7, 7, 7]);
    });
}

/// T6 -> T2 -> T3: the parent is woken through the cell, once for each time it waited, also when it polls meanwhile.
#[test]
fn e3_e4_the_parents_waker_is_handed_over_and_back() {
    explore(|| {
        let remotes = remotes::<2>();
        let mut set = waiting(&remotes);
        let first = remotes[0].finish();
        set.poll();
        let second = remotes[1].finish();
        set.poll();
        first.join();
        second.join();
        assert!(set.wakes() <= 4, "woken for nothing");
        assert_eq!(set.arrive(), [7, 7]);
    });
}

/// The parent moves to another task while a child of it is woken: the new task is woken.
#[test]
fn wake_x_poll_by_another_task() {
    explore(|| {
        let remotes = remotes::<2>();
        let mut set = waiting(&remotes);
        let first = remotes[0].finish();
        set.move_to_another_task();
        set.poll();
        let second = remotes[1].finish();
        first.join();
        second.join();
        assert_eq!(set.arrive(), [7, 7]);
    });
}

/// The set is dropped while its children are woken: who is last frees the block.
#[test]
fn e5_wake_x_wake_x_drop() {
    explore(|| {
        let remotes = remotes::<3>();
        let set = waiting(&remotes);
        let threads = [remotes[0].finish(), remotes[2].finish()];
        drop(set);
        drop(remotes[1].take());
        threads.into_iter().for_each(Spawned::join);
    });
}

/// The same, while a waker is cloned and dropped.
#[test]
fn e5_clone_x_wake_x_drop() {
    explore(|| {
        let remotes = remotes::<1>();
        let set = waiting(&remotes);
        let waker = remotes[0].take();
        let other = waker.clone();
        let cloner = spawn(move || {
            let third = waker.clone();
            drop(waker);
            third.wake_by_ref();
        });
        race();
        drop(set);
        other.wake();
        cloner.join();
    });
}

/// A set is done, and dropped, by the wake of its last child, while another of its wakers is dropped.
#[test]
fn completion_x_stale_wake() {
    explore(|| {
        let remotes = remotes::<1>();
        let set = waiting(&remotes);
        let stale = remotes[0].waker.lock().unwrap().clone().unwrap();
        let done = remotes[0].finish();
        let stale = spawn(move || drop(stale));
        done.join();
        assert_eq!(set.arrive(), [7]);
        stale.join();
    });
}

fn block<const GROUPS: usize>() -> &'static ReadyBlock<GROUPS> {
    Box::leak(Box::new(ReadyBlock::new()))
}

/// A waker of an earlier set is woken while a later one takes the same block: that is polled in vain at most, and completes.
#[test]
fn stale_wake_x_claim_x_wake() {
    explore_within(2, || {
        let block = block::<1>();
        let (old, new) = (remotes::<1>(), remotes::<2>());
        let first = Waiter::waiting(gather_in(block.claim().unwrap(), old.iter().map(Remote::child)));
        let stale = old[0].take();
        let stale = spawn(move || stale.wake());
        drop(first);
        // The first poll of a child may come with the stale wake.
        let mut set = Waiter::new(gather_in(block.claim().unwrap(), new.iter().map(Twice::of)));
        set.poll();
        stale.join();
        while new.iter().any(|remote| remote.waker.lock().unwrap().is_none()) {
            assert!(set.is_woken(), "a wake-up is lost");
            set.poll();
        }
        let threads = [&new[0], &new[1]].map(|remote| {
            let (waker, data) = (remote.take(), remote.data.clone());
            spawn(move || {
                data.write(7);
                waker.wake();
            })
        });
        set.poll();
        threads.into_iter().for_each(Spawned::join);
        while !set.is_ready() {
            assert!(set.is_woken(), "a wake-up is lost");
            set.poll();
        }
    });
}

/// A child that bears spurious polls: it is ready when it is polled with nobody holding its waker.
struct Twice {
    waker: Arc<Mutex<Option<Waker>>>,
    given: bool,
}

impl Twice {
    fn of(remote: &Remote) -> Self {
        Self { waker: remote.waker.clone(), given: false }
    }
}

impl Future for Twice {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut waker = self.waker.lock().unwrap();
        if !self.given {
            *waker = Some(cx.waker().clone());
            drop(waker);
            self.given = true;
            return Poll::Pending;
        }
        if waker.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// A block given up on one thread is claimed on another, and never by two.
#[test]
fn e7_claim_x_claim() {
    explore(|| {
        let block = block::<1>();
        let use_it = move || {
            let claim = block.claim();
            claim.map(|claim| {
                let mut set = Waiter::new(gather_in(claim, [std::future::ready(1)]));
                assert!(set.poll());
            })
        };
        let other = spawn(move || use_it().is_some());
        let own = use_it().is_some();
        assert!(other.join() || own, "one of them had it");
        assert!(block.claim().is_some());
    });
}
