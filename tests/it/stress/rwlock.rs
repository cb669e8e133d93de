//! Readers, upgradable readers and writers of one lock.
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::*},
    },
    thread,
};

use testudo::{RwLock, RwLockReadGuard, RwLockUpgradableGuard, RwLockWriteGuard, run::block_on};

use super::{Watchdog, perhaps, rounds, spin};
use crate::support::{Probe, Rng};

/// Counts who is inside: never a writer beside anybody, never two upgradable readers.
#[derive(Default)]
struct Inside {
    readers: AtomicUsize,
    upgradable: AtomicUsize,
    writers: AtomicUsize,
    total: AtomicUsize,
}

impl Inside {
    fn read(&self, guard: RwLockReadGuard<'_, [usize; 2]>, rng: &mut Rng) {
        self.readers.fetch_add(1, SeqCst);
        spin(rng);
        assert_eq!(self.writers.load(SeqCst), 0, "a writer beside a reader");
        assert_eq!(guard[0], guard[1]);
        self.readers.fetch_sub(1, SeqCst);
    }

    fn write<'a>(
        &self,
        mut guard: RwLockWriteGuard<'a, [usize; 2]>,
        rng: &mut Rng,
    ) -> RwLockWriteGuard<'a, [usize; 2]> {
        assert_eq!(self.writers.fetch_add(1, SeqCst), 0, "two writers");
        assert_eq!(self.readers.load(SeqCst) + self.upgradable.load(SeqCst), 0, "a reader beside a writer");
        guard[0] += 1;
        spin(rng);
        guard[1] += 1;
        self.total.fetch_add(1, Relaxed);
        self.writers.fetch_sub(1, SeqCst);
        guard
    }

    fn upgradable(&self, guard: RwLockUpgradableGuard<'_, [usize; 2]>, rng: &mut Rng) {
        assert_eq!(self.upgradable.fetch_add(1, SeqCst), 0, "two upgradable readers");
        assert_eq!(self.writers.load(SeqCst), 0, "a writer beside a reader");
        let seen = guard[0];
        spin(rng);
        assert_eq!(guard[1], seen);
        self.upgradable.fetch_sub(1, SeqCst);
        let guard = match rng.below(4) {
            0 => return self.read(guard.downgrade(), rng),
            1 => block_on(perhaps(guard.upgrade(), 2, rng)),
            2 => guard.try_upgrade().ok(),
            _ => return,
        };
        if let Some(guard) = guard {
            assert_eq!(guard[0], seen, "somebody wrote before the upgrade");
            drop(self.write(guard, rng));
        }
    }
}

/// Every way in, every way out, and of giving up: the counts are right, the data is whole, and nobody is left behind.
#[test]
fn stress_rwlock() {
    let (rounds, dog) = (rounds(40_000), Watchdog::new("rwlock"));
    let lock = Arc::new(RwLock::new([0_usize; 2]));
    let inside = Inside::default();
    thread::scope(|s| {
        for id in 0..4 {
            let (lock, inside, dog) = (&lock, &inside, &dog);
            s.spawn(move || {
                let mut rng = Rng::new(id + 1);
                for _ in 0..rounds {
                    match rng.below(12) {
                        0 => inside.read(lock.read_blocking(), &mut rng),
                        1 => inside.read(block_on(lock.read()), &mut rng),
                        2 => _ = lock.try_read().map(|guard| inside.read(guard, &mut rng)),
                        3 | 4 => {
                            let guard = block_on(perhaps(lock.read(), 4, &mut rng));
                            let _ = guard.map(|guard| inside.read(guard, &mut rng));
                        }
                        5 => drop(inside.write(lock.write_blocking(), &mut rng)),
                        6 => drop(lock.try_write().map(|guard| inside.write(guard, &mut rng))),
                        7 => {
                            let guard = block_on(perhaps(lock.write(), 4, &mut rng));
                            drop(guard.map(|guard| inside.write(guard, &mut rng)));
                        }
                        8 => {
                            let guard = inside.write(block_on(lock.write()), &mut rng);
                            if rng.one_in(2) {
                                inside.read(guard.downgrade(), &mut rng);
                            } else {
                                inside.upgradable(guard.downgrade_to_upgradable(), &mut rng);
                            }
                        }
                        9 => inside.upgradable(lock.upgradable_read_blocking(), &mut rng),
                        10 => {
                            if let Some(guard) = block_on(perhaps(lock.upgradable_read(), 4, &mut rng)) {
                                inside.upgradable(guard, &mut rng);
                            }
                        }
                        _ => _ = Probe::new().poll(&mut Box::pin(RwLock::write_with(lock.clone()))).is_ready(),
                    }
                    dog.step();
                }
            });
        }
    });
    let data = lock.try_read().unwrap();
    assert_eq!(*data, [inside.total.load(Relaxed); 2]);
    drop(data);
    assert_eq!(format!("{lock:?}"), "RwLock { readers: 0, write_locked: false, waiters: false, .. }");
}

/// Crowds of readers that several threads poll in any order, while a writer comes and goes.
#[test]
fn stress_rwlock_crowds() {
    let (rounds, dog) = (rounds(4_000), Watchdog::new("rwlock_crowds"));
    let lock = RwLock::new(0_usize);
    thread::scope(|s| {
        for id in 0..3 {
            let (lock, dog) = (&lock, &dog);
            s.spawn(move || {
                let mut rng = Rng::new(id + 1);
                for _ in 0..rounds {
                    if id == 0 {
                        *block_on(lock.write()) += 1;
                        spin(&mut rng);
                    } else {
                        let crowd: Vec<_> = (0..1 + rng.below(70)).map(|_| Box::pin(lock.read())).collect();
                        let tasks = Probe::many(crowd.len());
                        let mut crowd: Vec<_> = crowd.into_iter().zip(&tasks).collect();
                        crowd.retain_mut(|(read, task)| task.poll(read).is_pending());
                        while !crowd.is_empty() {
                            let at = rng.below(crowd.len());
                            let (read, task) = &mut crowd[at];
                            if rng.one_in(20) || task.poll(read).is_ready() {
                                drop(crowd.swap_remove(at));
                            }
                            dog.step();
                        }
                        // A notifier on another thread may be about to wake, and so to drop, the waker that it took.
                        while tasks.iter().any(|task| task.kept() != 0) {
                            thread::yield_now();
                        }
                    }
                }
            });
        }
    });
    assert_eq!(lock.into_inner(), rounds);
}
