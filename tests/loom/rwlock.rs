//! RwLock. Its data is in a cell that loom watches: every model is one of E1 of `src/sync/sides.rs` too.

use std::{future::Future, pin::Pin, sync::Arc};

use testudo::{RwLock, RwLockReadGuard, RwLockUpgradableGuard, RwLockWriteGuard};

use crate::{
    event::cancel,
    support::{Spawned, Waiter, block_on, explore, explore_within, spawn},
};

type Shared = Arc<RwLock<usize>>;

/// What a waiter gets.
enum Guard {
    Read(RwLockReadGuard<'static, usize, Shared>),
    Write(RwLockWriteGuard<'static, usize, Shared>),
    Upgradable(RwLockUpgradableGuard<'static, usize, Shared>),
}

impl Guard {
    /// Reads, and counts if it may.
    fn look(&mut self) {
        match self {
            Self::Read(guard) => assert!(**guard < 100),
            Self::Write(guard) => **guard += 1,
            Self::Upgradable(guard) => assert!(**guard < 100),
        }
    }
}

type Wait = Waiter<Pin<Box<dyn Future<Output = Guard>>>>;

fn new() -> Shared {
    Arc::new(RwLock::new(0))
}

fn read(lock: &Shared) -> Wait {
    let fut = RwLock::read_with(Arc::clone(lock));
    Waiter::new(Box::pin(async { Guard::Read(fut.await) }))
}

fn write(lock: &Shared) -> Wait {
    let fut = RwLock::write_with(Arc::clone(lock));
    Waiter::new(Box::pin(async { Guard::Write(fut.await) }))
}

fn upgradable(lock: &Shared) -> Wait {
    let fut = RwLock::upgradable_read_with(Arc::clone(lock));
    Waiter::new(Box::pin(async { Guard::Upgradable(fut.await) }))
}

/// An upgrade by a reader that is inside.
fn upgrade(lock: &Shared) -> Wait {
    let fut = RwLock::try_upgradable_read_with(Arc::clone(lock)).unwrap().upgrade();
    Waiter::new(Box::pin(async { Guard::Write(fut.await) }))
}

fn try_read(lock: &Shared) -> Option<RwLockReadGuard<'static, usize, Shared>> {
    RwLock::try_read_with(Arc::clone(lock))
}

fn try_write(lock: &Shared) -> Option<RwLockWriteGuard<'static, usize, Shared>> {
    RwLock::try_write_with(Arc::clone(lock))
}

/// Gets it in line.
fn waiting(mut waiter: Wait) -> Wait {
    assert!(!waiter.poll(), "it does not wait");
    waiter
}

/// Polls a waiter on another thread.
fn poll(mut waiter: Wait) -> Spawned<Wait> {
    spawn(move || {
        waiter.poll();
        waiter
    })
}

/// On another thread: reads if it may at once.
fn barge_read(lock: &Shared) -> Spawned<()> {
    let lock = Arc::clone(lock);
    spawn(move || {
        if let Some(guard) = try_read(&lock) {
            assert!(*guard < 100);
        }
    })
}

/// On another thread: writes if it may at once.
fn barge_write(lock: &Shared) -> Spawned<()> {
    let lock = Arc::clone(lock);
    spawn(move || {
        if let Some(mut guard) = try_write(&lock) {
            *guard += 1;
        }
    })
}

/// On another thread.
fn leave<G: 'static>(guard: G) -> Spawned<()> {
    spawn(move || drop(guard))
}

/// All threads are done: who is inside leaves, then whoever was woken gets in, one after the other; the lock is free then.
fn all_arrive(lock: &Shared, waiters: impl IntoIterator<Item = Wait>) {
    let mut waiters = Vec::from_iter(waiters);
    while !waiters.is_empty() {
        let ready = waiters.iter().position(Wait::is_ready).or_else(|| waiters.iter().position(Wait::is_woken));
        let mut waiter = waiters.remove(ready.expect("a wake-up is lost"));
        if waiter.poll() {
            waiter.arrive().look();
        } else {
            waiters.push(waiter);
        }
    }
    assert!(!lock.is_locked() && try_write(lock).is_some(), "left locked");
}

/// T2 -> T1. Also: no wake-up is lost.
#[test]
fn e1_leaving_publishes() {
    explore(|| {
        let lock = new();
        let other = spawn({
            let lock = Arc::clone(&lock);
            move || *block_on(RwLock::write_with(lock)) += 1
        });
        let seen = *block_on(lock.read());
        *block_on(lock.write()) += 1;
        other.join();
        assert!(seen <= 1 && *try_read(&lock).unwrap() == 2);
    });
}

/// T2 of readers -> T1 of the writer: what it does is after what they did.
#[test]
fn e1_readers_leave_before_the_writer() {
    explore(|| {
        let lock = new();
        let readers = [(); 2].map(|()| {
            let reader = try_read(&lock).unwrap();
            spawn(move || assert_eq!(*reader, 0))
        });
        *block_on(lock.write()) += 1;
        readers.into_iter().for_each(Spawned::join);
        assert_eq!(*try_read(&lock).unwrap(), 1);
    });
}

/// T5 -> T1, T3.
#[test]
fn e1_downgrade_publishes() {
    for upgradable in [false, true] {
        explore(move || {
            let lock = new();
            let mut guard = try_write(&lock).unwrap();
            let other = spawn({
                let lock = Arc::clone(&lock);
                move || assert_eq!(*block_on(RwLock::read_with(lock)), 1)
            });
            *guard = 1;
            if upgradable {
                let guard = guard.downgrade_to_upgradable();
                assert_eq!(*guard, 1);
            } else {
                assert_eq!(*guard.downgrade(), 1);
            }
            other.join();
        });
    }
}

/// T2 of a reader -> T3.
#[test]
fn e1_readers_leave_before_an_upgrade() {
    explore(|| {
        let lock = new();
        let reader = try_read(&lock).unwrap();
        let other = spawn(move || assert_eq!(*reader, 0));
        let guard = RwLock::try_upgradable_read_with(Arc::clone(&lock)).unwrap();
        *block_on(guard.upgrade()) += 1;
        other.join();
        assert_eq!(*try_read(&lock).unwrap(), 1);
    });
}

#[test]
fn e1_upgrades_take_turns() {
    explore_within(2, || {
        let lock = new();
        let other = spawn({
            let lock = Arc::clone(&lock);
            move || *block_on(block_on(RwLock::upgradable_read_with(lock)).upgrade()) += 1
        });
        let reader = barge_read(&lock);
        *block_on(block_on(lock.upgradable_read()).upgrade()) += 1;
        other.join();
        reader.join();
        assert_eq!(*try_read(&lock).unwrap(), 2);
    });
}

#[test]
fn try_read_x_try_write_x_try_read() {
    explore(|| {
        let lock = new();
        let others = [barge_read(&lock), barge_write(&lock)];
        if let Some(guard) = try_read(&lock) {
            assert!(*guard <= 1);
        }
        others.into_iter().for_each(Spawned::join);
        all_arrive(&lock, []);
    });
}

#[test]
fn read_x_write_leaves() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let (a, b) = (poll(read(&lock)), poll(read(&lock)));
        drop(guard);
        all_arrive(&lock, [a.join(), b.join()]);
    });
}

#[test]
fn write_x_read_leaves() {
    explore(|| {
        let lock = new();
        let guard = try_read(&lock).unwrap();
        let (a, b) = (poll(write(&lock)), poll(read(&lock)));
        drop(guard);
        all_arrive(&lock, [a.join(), b.join()]);
    });
}

#[test]
fn upgradable_x_upgradable_leaves() {
    explore(|| {
        let lock = new();
        let guard = RwLock::try_upgradable_read_with(Arc::clone(&lock)).unwrap();
        let (a, b) = (poll(upgradable(&lock)), poll(write(&lock)));
        drop(guard);
        all_arrive(&lock, [a.join(), b.join()]);
    });
}

/// Only the last one out tells the writer.
#[test]
fn read_leaves_x_read_leaves_x_write() {
    explore(|| {
        let lock = new();
        let one = leave(try_read(&lock).unwrap());
        let guard = try_read(&lock).unwrap();
        let writer = poll(write(&lock));
        drop(guard);
        one.join();
        all_arrive(&lock, [writer.join()]);
    });
}

/// A batch is two: the walk passes the flag on, and whoever gets in meanwhile leaves the rest of it alone.
#[test]
fn a_crowd_is_offered_x_poll_of_the_first() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let [a, b, c] = [(); 3].map(|()| waiting(read(&lock)));
        let a = poll(a);
        drop(guard);
        all_arrive(&lock, [a.join(), b, c]);
    });
}

#[test]
fn a_crowd_is_offered_x_poll_of_the_last() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let [a, b, c] = [(); 3].map(|()| waiting(read(&lock)));
        let d = waiting(write(&lock));
        let c = poll(c);
        drop(guard);
        all_arrive(&lock, [a, b, c.join(), d]);
    });
}

#[test]
fn a_crowd_is_offered_x_cancel_of_the_first() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let [a, b, c] = [(); 3].map(|()| waiting(read(&lock)));
        let d = waiting(write(&lock));
        let a = cancel(a);
        drop(guard);
        a.join();
        all_arrive(&lock, [b, c, d]);
    });
}

#[test]
fn a_crowd_is_offered_x_read() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let [a, b, c] = [(); 3].map(|()| waiting(read(&lock)));
        let d = poll(read(&lock));
        drop(guard);
        all_arrive(&lock, [a, b, c, d.join()]);
    });
}

/// The writer behind a reader that is dropped.
#[test]
fn write_leaves_x_cancel_of_the_reader_before_a_writer() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let (a, b) = (waiting(read(&lock)), waiting(write(&lock)));
        let a = cancel(a);
        drop(guard);
        a.join();
        all_arrive(&lock, [b]);
    });
}

#[test]
fn write_leaves_x_poll_of_the_reader_before_a_writer() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let (a, b) = (waiting(read(&lock)), waiting(write(&lock)));
        let (a, b) = (poll(a), poll(b));
        drop(guard);
        all_arrive(&lock, [a.join(), b.join()]);
    });
}

#[test]
fn read_leaves_x_cancel_of_the_writer_before_a_reader() {
    explore(|| {
        let lock = new();
        let guard = try_read(&lock).unwrap();
        let writer = waiting(write(&lock));
        // Overtaken as often as may be: the reader has to wait for the writer.
        (0..4).for_each(|_| assert!(try_read(&lock).is_some()));
        let reader = waiting(read(&lock));
        let writer = cancel(writer);
        drop(guard);
        writer.join();
        all_arrive(&lock, [reader]);
    });
}

#[test]
fn starved_writer_x_barges() {
    explore(|| {
        let lock = new();
        let guard = try_read(&lock).unwrap();
        let writer = waiting(write(&lock));
        (0..3).for_each(|_| assert!(try_read(&lock).is_some()));
        let barges = [barge_read(&lock), barge_write(&lock)];
        drop(guard);
        barges.into_iter().for_each(Spawned::join);
        all_arrive(&lock, [writer]);
    });
}

#[test]
fn downgrade_x_read() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let a = poll(read(&lock));
        let guard = guard.downgrade();
        let a = a.join();
        assert!(a.is_ready() || a.is_woken(), "it can be had beside a reader");
        drop(guard);
        all_arrive(&lock, [a]);
    });
}

#[test]
fn downgrade_to_upgradable_x_read() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let b = waiting(read(&lock));
        let a = poll(read(&lock));
        let guard = guard.downgrade_to_upgradable();
        let a = a.join();
        assert!((a.is_ready() || a.is_woken()) && b.is_woken(), "it can be had beside a reader");
        drop(guard);
        all_arrive(&lock, [a, b]);
    });
}

#[test]
fn downgrade_x_write() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let a = poll(write(&lock));
        drop(guard.downgrade());
        all_arrive(&lock, [a.join()]);
    });
}

#[test]
fn downgrade_of_an_upgradable_x_upgradable() {
    explore(|| {
        let lock = new();
        let guard = RwLock::try_upgradable_read_with(Arc::clone(&lock)).unwrap();
        let (a, b) = (poll(upgradable(&lock)), barge_write(&lock));
        let guard = guard.downgrade();
        let a = a.join();
        b.join();
        assert!(a.is_ready() || a.is_woken(), "it can be had beside a reader");
        drop(guard);
        all_arrive(&lock, [a]);
    });
}

#[test]
fn upgrade_x_read_leaves_x_read() {
    explore(|| {
        let lock = new();
        let reader = try_read(&lock).unwrap();
        let upgrade = poll(upgrade(&lock));
        let other = poll(read(&lock));
        drop(reader);
        let (upgrade, other) = (upgrade.join(), other.join());
        assert!(upgrade.is_ready() || upgrade.is_woken() || other.is_ready());
        all_arrive(&lock, [upgrade, other]);
    });
}

#[test]
fn upgrade_x_read_leaves_x_read_leaves() {
    explore(|| {
        let lock = new();
        let readers = [try_read(&lock).unwrap(), try_read(&lock).unwrap()];
        let upgrade = poll(upgrade(&lock));
        let [a, b] = readers;
        let a = leave(a);
        drop(b);
        a.join();
        all_arrive(&lock, [upgrade.join()]);
    });
}

#[test]
fn cancel_of_an_upgrade_x_read_leaves_x_read() {
    explore(|| {
        let lock = new();
        let reader = try_read(&lock).unwrap();
        let upgrade = cancel(waiting(upgrade(&lock)));
        let other = poll(read(&lock));
        drop(reader);
        upgrade.join();
        all_arrive(&lock, [other.join()]);
    });
}

#[test]
fn cancel_of_an_upgrade_x_those_it_kept_out() {
    explore(|| {
        let lock = new();
        let reader = try_read(&lock).unwrap();
        let upgrade = waiting(upgrade(&lock));
        let (a, b) = (waiting(read(&lock)), waiting(write(&lock)));
        let (upgrade, a) = (cancel(upgrade), cancel(a));
        drop(reader);
        upgrade.join();
        a.join();
        all_arrive(&lock, [b]);
    });
}

#[test]
fn poll_of_an_upgrade_x_read_leaves_x_write() {
    explore(|| {
        let lock = new();
        let reader = try_read(&lock).unwrap();
        let upgrade = poll(waiting(upgrade(&lock)));
        let writer = poll(write(&lock));
        drop(reader);
        all_arrive(&lock, [upgrade.join(), writer.join()]);
    });
}

#[test]
fn poison_x_read() {
    explore(|| {
        let lock = new();
        let guard = try_write(&lock).unwrap();
        let reader = poll(read(&lock));
        let clear = spawn({
            let lock = Arc::clone(&lock);
            move || lock.clear_poison()
        });
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = guard;
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        clear.join();
        all_arrive(&lock, [reader.join()]);
    });
}
