//! `RwLock`.
use core::{future::Future, pin::Pin, time::Duration};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::*},
    },
    thread,
};

use futures_util::FutureExt;
use testudo::{
    RwLock, RwLockReadGuard, RwLockUpgradableGuard, RwLockWriteGuard,
    run::{Sim, block_on},
    sync::{Read, UpgradableRead, Upgrade, Write},
};

use crate::support::{Inline, Probe, Slot, allocations, panics, permutations, poll_panics, wakes};

type Shared = Arc<RwLock<u32>>;

fn shown(readers: usize, write_locked: bool, waiters: bool) -> String {
    format!("RwLock {{ readers: {readers}, write_locked: {write_locked}, waiters: {waiters}, .. }}")
}

#[track_caller]
fn is_free<T>(lock: &RwLock<T>) {
    assert_eq!(format!("{lock:?}"), shown(0, false, false));
    assert!(!lock.is_locked());
    drop(lock.try_write().expect("free"));
}

// ---- who may be inside with whom

#[test]
fn readers_share_and_a_writer_is_alone() {
    let (lock, task) = (RwLock::new(0), Probe::new());
    let readers = [task.now(lock.read()), lock.try_read().unwrap(), lock.read_blocking()];
    assert_eq!(lock.readers(), 3);
    assert!(lock.is_locked() && !lock.is_write_locked() && lock.try_write().is_none());
    drop(readers);
    let mut writer = task.now(lock.write());
    *writer += 1;
    assert!(lock.try_read().is_none() && lock.try_write().is_none() && lock.try_upgradable_read().is_none());
    assert!(lock.is_locked() && lock.is_write_locked());
    drop(writer);
    assert_eq!(*lock.read_blocking(), 1);
    drop(lock.write_blocking());
    is_free(&lock);
}

#[test]
fn an_upgradable_reader_shares_with_readers_only() {
    let (lock, task) = (RwLock::new(0), Probe::new());
    let before = lock.try_read();
    let upgradable = task.now(lock.upgradable_read());
    assert!(before.is_some() && lock.try_read().is_some());
    assert!(lock.try_upgradable_read().is_none() && lock.try_write().is_none());
    assert_eq!(format!("{lock:?}"), shown(2, false, false));
    drop(upgradable);
    assert!(lock.try_upgradable_read().is_some());
    drop(before);
    drop(lock.upgradable_read_blocking());
    is_free(&lock);
}

#[test]
fn upgrades_and_downgrades_keep_writers_out() {
    let (lock, task) = (RwLock::new(1), Probe::new());
    let mut waiting = Box::pin(lock.write());
    let guard = lock.try_write().unwrap();
    task.pends(&mut waiting);
    let guard = guard.downgrade_to_upgradable();
    let reader = lock.try_read().unwrap();
    let guard = guard.try_upgrade().unwrap_err();
    drop(reader);
    let mut guard = guard.try_upgrade().unwrap();
    *guard += 1;
    let guard = guard.downgrade();
    assert_eq!((*guard, lock.readers()), (2, 1));
    task.pends(&mut waiting);
    assert_eq!(task.wakes(), 0);
    drop(guard);
    assert_eq!(task.wakes(), 1);
    *task.ready(&mut waiting) += 1;
    let reader = lock.try_upgradable_read().unwrap().downgrade();
    assert!(lock.try_upgradable_read().is_some() && lock.try_write().is_none());
    assert_eq!(*reader, 3);
    drop(reader);
    is_free(&lock);
}

#[test]
fn conversions_keep_the_handle() {
    let (lock, task) = (Arc::new(RwLock::new(1)), Probe::new());
    let guard = RwLock::try_write_with(lock.clone()).unwrap().downgrade_to_upgradable();
    assert_eq!(Arc::strong_count(&lock), 2);
    let guard = guard.try_upgrade().unwrap().downgrade_to_upgradable();
    let guard = task.now(guard.upgrade()).downgrade_to_upgradable().downgrade();
    assert!(Arc::ptr_eq(RwLockReadGuard::handle(&guard), &lock));
    assert_eq!(Arc::strong_count(&lock), 2);
    drop(guard);
    drop(RwLock::try_upgradable_read_with(lock.clone()).unwrap().upgrade()); // never polled
    assert_eq!(Arc::strong_count(&lock), 1);
    is_free(&*lock);
    let rc = Rc::new(RwLock::new(1));
    assert_eq!(*RwLock::try_read_with(rc.clone()).unwrap(), 1);
    assert_eq!(*RwLock::try_upgradable_read_with(rc).unwrap(), 1);
}

#[test]
fn data_of_any_size_is_inside() {
    let mut lock = RwLock::from([1, 2]);
    lock.get_mut()[0] = 3;
    let unsized_lock: &RwLock<[i32]> = &lock;
    unsized_lock.try_write().unwrap()[1] = 4;
    assert_eq!(unsized_lock.try_read().unwrap()[..], [3, 4]);
    assert_eq!(format!("{:?}", lock.try_upgradable_read().unwrap()), "[3, 4]");
    assert_eq!(RwLock::<u8>::default().into_inner(), 0);
    let lock = RwLock::new(5);
    assert_eq!(format!("{}{:?}", lock.try_read().unwrap(), lock.try_read().unwrap()), "55");
    assert_eq!(format!("{}", lock.try_write().unwrap()), "5");
}

#[test]
fn debug_shows_no_data_and_takes_no_lock() {
    let lock = RwLock::new("secret");
    assert_eq!(format!("{lock:?}"), shown(0, false, false));
    let task = Probe::new();
    let guard = lock.try_write();
    let wait = task.start(lock.read());
    assert_eq!(format!("{lock:?}"), shown(0, true, true));
    assert_eq!(format!("{wait:?}"), "Read { wait: Wait { phase: Waiting, .. } }");
    drop(guard);
}

// ---- waiting

#[test]
fn a_crowd_of_readers_is_released_in_one_walk() {
    for reverse in [false, true] {
        let (lock, tasks) = (RwLock::new(0), Probe::many(100));
        let last = Probe::new();
        let guard = lock.try_write();
        let mut reads: Vec<_> = tasks.iter().map(|task| task.start(lock.read())).collect();
        let mut writer = last.start(lock.write());
        drop(guard);
        assert_eq!(wakes(&tasks), [1; 100], "all at once");
        assert_eq!(last.wakes(), 0);
        let mut order: Vec<_> = (0..100).collect();
        if reverse {
            order.reverse(); // whoever was offered the lock gets in, in any order
        }
        let guards: Vec<_> = order.iter().map(|&i| tasks[i].ready(&mut reads[i])).collect();
        assert_eq!((wakes(&tasks), lock.readers()), (vec![1; 100], 100));
        drop(guards);
        assert_eq!(last.wakes(), 1);
        drop(last.ready(&mut writer));
        assert!(tasks.iter().all(|task| task.clones() == 1 && task.kept() == 0));
        is_free(&lock);
    }
}

#[test]
fn a_walk_stops_at_a_writer_and_at_a_second_upgradable_reader() {
    let (lock, tasks) = (RwLock::new(()), Probe::many(5));
    let guard = lock.try_write();
    let mut one = tasks[0].start(lock.read());
    let mut upgradable = tasks[1].start(lock.upgradable_read());
    let mut second = tasks[2].start(lock.upgradable_read());
    let mut two = tasks[3].start(lock.read());
    let mut writer = tasks[4].start(lock.write());
    drop(guard);
    assert_eq!(wakes(&tasks), [1, 1, 0, 0, 0]);
    let one = tasks[0].ready(&mut one);
    drop(tasks[1].ready(&mut upgradable));
    assert_eq!(wakes(&tasks), [1, 1, 1, 1, 0]);
    let two = tasks[3].ready(&mut two);
    drop(tasks[2].ready(&mut second));
    drop(one);
    assert_eq!(tasks[4].wakes(), 0);
    drop(two);
    drop(tasks[4].ready(&mut writer));
    assert_eq!(wakes(&tasks), [1; 5]);
    is_free(&lock);
}

#[test]
fn only_the_last_reader_wakes_the_writer() {
    let (lock, task) = (RwLock::new(()), Probe::new());
    let mut readers: Vec<_> = (0..10).map(|_| lock.try_read().unwrap()).collect();
    let mut writer = task.start(lock.write());
    while readers.pop().is_some() {
        assert_eq!(task.wakes(), usize::from(readers.is_empty()));
    }
    drop(task.ready(&mut writer));
    assert_eq!((task.wakes(), task.clones()), (1, 1));
}

#[test]
fn nothing_is_allocated_and_nobody_is_woken_or_polled_too_often() {
    let tasks = Probe::many(4);
    let (n, ()) = allocations(|| {
        let lock = RwLock::new(0);
        for _ in 0..3 {
            let guard = tasks[0].now(lock.write());
            let mut read = core::pin::pin!(lock.read());
            let mut upgradable = core::pin::pin!(lock.upgradable_read());
            let mut write = core::pin::pin!(lock.write());
            assert!(tasks[1].poll_pinned(read.as_mut()).is_pending());
            assert!(tasks[2].poll_pinned(upgradable.as_mut()).is_pending());
            assert!(tasks[3].poll_pinned(write.as_mut()).is_pending());
            drop(guard);
            let core::task::Poll::Ready(reader) = tasks[1].poll_pinned(read) else { panic!() };
            let core::task::Poll::Ready(guard) = tasks[2].poll_pinned(upgradable) else { panic!() };
            let mut upgrade = core::pin::pin!(guard.upgrade());
            assert!(tasks[2].poll_pinned(upgrade.as_mut()).is_pending());
            drop(reader);
            let core::task::Poll::Ready(guard) = tasks[2].poll_pinned(upgrade) else { panic!() };
            drop(guard);
            let core::task::Poll::Ready(guard) = tasks[3].poll_pinned(write) else { panic!() };
            drop(guard);
        }
        drop((lock.try_read(), lock.try_upgradable_read(), tasks[0].now(lock.read())));
    });
    assert_eq!(n, 0);
    assert_eq!(wakes(&tasks), [0, 3, 6, 3]);
    assert_eq!(tasks.iter().map(Probe::clones).collect::<Vec<_>>(), [0, 3, 6, 3]);
}

// ---- fairness

#[test]
fn readers_get_in_before_a_writer_that_is_first_in_line_four_times() {
    let (lock, task) = (RwLock::new(()), Probe::new());
    let mut inside = vec![lock.try_read().unwrap()];
    let mut writer = task.start(lock.write());
    inside.extend(core::iter::from_fn(|| lock.try_read()).take(1000));
    assert_eq!(inside.len(), 5);
    let other = Probe::new();
    let mut late = other.start(lock.read());
    task.pends(&mut writer);
    drop(inside);
    assert!(lock.try_read().is_none() && lock.try_write().is_none() && lock.try_upgradable_read().is_none());
    assert_eq!((task.wakes(), other.wakes()), (1, 0));
    let guard = task.ready(&mut writer);
    drop(guard);
    drop(other.ready(&mut late));
    assert_eq!(other.wakes(), 1);
    is_free(&lock);
}

#[test]
fn a_stream_of_readers_does_not_starve_a_writer() {
    let (sim, lock) = (Sim::new(), Rc::new(RwLock::new(0)));
    for start in 0..3 {
        let (lock, clock) = (lock.clone(), sim.clock());
        sim.spawn(async move {
            clock.sleep(Duration::from_millis(start)).await;
            while *lock.read().await < 10 {
                let guard = lock.read().await;
                clock.sleep(Duration::from_millis(3)).await;
                drop(guard);
            }
        })
        .detach();
    }
    let clock = sim.clock();
    let done = sim.block_on(async {
        for _ in 0..10 {
            *lock.write().await += 1;
            clock.sleep(Duration::from_millis(1)).await;
        }
        clock.now()
    });
    assert!(done.unwrap() <= Duration::from_millis(200), "some overtakings each");
    assert!(sim.run_until_stalled().is_none());
}

#[test]
fn writers_get_in_before_a_reader_that_is_first_in_line_four_times() {
    let (lock, tasks) = (RwLock::new(()), Probe::many(2));
    let guard = lock.try_write();
    let mut reader = tasks[0].start(lock.read());
    drop(guard);
    let overtakes = (0..1000).filter(|_| lock.try_write().is_some()).count();
    assert_eq!(overtakes, 4);
    let mut writer = tasks[1].start(lock.write());
    let guard = tasks[0].ready(&mut reader);
    drop(guard);
    drop(tasks[1].ready(&mut writer));
    assert_eq!(wakes(&tasks), [1, 1]);
    assert_eq!((0..1000).filter(|_| lock.try_write().is_some()).count(), 1000);
}

#[test]
fn each_head_is_counted_anew_also_after_one_that_went() {
    for cancelled in [false, true] {
        let (lock, tasks) = (RwLock::new(()), Probe::many(2));
        let guard = lock.try_write();
        let mut one = Some(tasks[0].start(lock.write()));
        let mut other = tasks[1].start(lock.write());
        drop(guard);
        assert_eq!((0..9).filter(|_| lock.try_read().is_some()).count(), 4);
        if !cancelled {
            drop(tasks[0].ready(one.as_mut().unwrap()));
        }
        one = None;
        assert!(one.is_none() && tasks[1].wakes() == 1);
        assert_eq!((0..9).filter(|_| lock.try_read().is_some()).count(), 4);
        drop(tasks[1].ready(&mut other));
        // Alone, and gone without a trace.
        let guard = lock.try_write();
        let alone = tasks[0].start(lock.write());
        drop(guard);
        assert_eq!((0..9).filter(|_| lock.try_read().is_some()).count(), 4);
        drop(alone);
        let guard = lock.try_write();
        let mut alone = tasks[0].start(lock.write());
        drop(guard);
        assert_eq!((0..9).filter(|_| lock.try_read().is_some()).count(), 4);
        drop(tasks[0].ready(&mut alone));
        is_free(&lock);
    }
}

/// Readers behind a reader that nobody polls: they delay no writer, so they need not wait for it, and do not spin either.
#[test]
fn readers_get_in_beside_a_reader_that_is_never_polled() {
    let (lock, tasks) = (RwLock::new(()), Probe::many(2));
    let guard = lock.try_write();
    let kept = tasks[0].start(lock.read());
    drop(guard);
    for i in 0..20 {
        let mut late = Box::pin(lock.read());
        let polled = tasks[1].poll(&mut late);
        let overtaken = i >= 4;
        assert_eq!(polled.is_pending(), overtaken);
        if overtaken {
            drop(tasks[1].ready(&mut late));
        }
    }
    assert_eq!(wakes(&tasks), [1, 16]);
    drop(kept);
    is_free(&lock);
}

/// A writer behind a reader that nobody polls is not woken in vain again and again.
#[test]
fn a_waiter_that_is_refused_is_not_woken_until_something_changes() {
    let (lock, tasks) = (RwLock::new(()), Probe::many(2));
    let guard = lock.try_write();
    let mut kept = tasks[0].start(lock.read());
    drop(guard);
    (0..4).for_each(|_| drop(lock.try_write().unwrap()));
    let mut writer = tasks[1].start(lock.write());
    (0..5).for_each(|_| tasks[1].pends(&mut writer));
    assert_eq!(wakes(&tasks), [1, 0]);
    drop(tasks[0].ready(&mut kept));
    assert_eq!(wakes(&tasks), [1, 1]);
    drop(tasks[1].ready(&mut writer));
}

// ---- futurelock

/// The program of Oxide's RFD 609 with a reader that is kept and not polled.
#[test]
fn the_program_of_rfd_609_finishes() {
    for kept_reads in [true, false] {
        for other_reads in [true, false] {
            for late in [0, 10] {
                let (sim, lock) = (Sim::new(), Rc::new(RwLock::new(vec![])));
                let (clock, background, timer) = (sim.clock(), lock.clone(), sim.clock());
                sim.spawn(async move {
                    background.write().await.push("background");
                    let guard = background.write().await;
                    timer.sleep(Duration::from_secs(5)).await;
                    drop(guard);
                })
                .detach();
                let enter = async |reads: bool, name| {
                    if reads {
                        drop(lock.read().await);
                        return;
                    }
                    lock.write().await.push(name);
                };
                let done = sim.block_on(async {
                    clock.sleep(Duration::from_millis(1)).await;
                    let mut kept = Box::pin(enter(kept_reads, "kept").fuse());
                    let mut half = Box::pin(clock.sleep(Duration::from_millis(500)).fuse());
                    futures_util::select_biased! {
                        () = kept => panic!("the lock is not free yet"),
                        () = half => {
                            clock.sleep(Duration::from_secs(late)).await;
                            enter(other_reads, "other").await;
                        }
                    }
                    kept.await;
                });
                assert!(done.is_ok(), "futurelock: {kept_reads} {other_reads} {late}");
            }
        }
    }
}

// ---- upgrades

#[test]
fn an_upgrade_waits_for_the_readers_and_keeps_everybody_out() {
    let (lock, tasks) = (RwLock::new(1), Probe::many(4));
    let readers = [lock.try_read().unwrap(), lock.try_read().unwrap()];
    let mut writer = tasks[0].start(lock.write());
    let mut upgrade = tasks[1].start(lock.try_upgradable_read().unwrap().upgrade());
    assert!(lock.try_read().is_none() && lock.try_upgradable_read().is_none() && lock.try_write().is_none());
    let mut read = tasks[2].start(lock.read());
    let mut other = tasks[3].start(lock.upgradable_read());
    tasks[1].pends(&mut upgrade);
    let [one, two] = readers;
    drop(one);
    assert_eq!(wakes(&tasks), [0; 4]);
    drop(two);
    assert_eq!(wakes(&tasks), [0, 1, 0, 0], "the one that upgrades comes before all others");
    assert!(lock.try_read().is_none());
    *tasks[1].ready(&mut upgrade) += 1;
    assert_eq!(wakes(&tasks), [1, 1, 0, 0]);
    *tasks[0].ready(&mut writer) += 1;
    assert_eq!(wakes(&tasks), [1, 1, 1, 1]);
    assert_eq!(*tasks[2].ready(&mut read), 3);
    assert_eq!(*tasks[3].ready(&mut other), 3);
    is_free(&lock);
}

#[test]
fn an_upgrade_alone_is_ready_at_once() {
    let (lock, task) = (RwLock::new(1), Probe::new());
    let mut guard = task.now(task.now(lock.upgradable_read()).upgrade());
    *guard = 2;
    assert!(lock.is_write_locked());
    drop(guard);
    *lock.upgradable_read_blocking().upgrade_blocking() += 1;
    assert_eq!((lock.into_inner(), task.clones()), (3, 0));
}

#[test]
fn an_upgrade_that_is_dropped_leaves_and_lets_those_in_whom_it_kept_out() {
    for phase in ["idle", "waiting", "offered"] {
        let (lock, tasks) = (RwLock::new(1), Probe::many(4));
        let reader = lock.try_read().unwrap();
        let mut upgrade = Box::pin(lock.try_upgradable_read().unwrap().upgrade());
        if phase == "idle" {
            assert!(lock.try_read().is_some(), "not begun: it keeps nobody out");
            let mut other = tasks[0].start(lock.upgradable_read());
            drop(upgrade);
            drop(tasks[0].ready(&mut other));
            drop(reader);
            is_free(&lock);
            continue;
        }
        tasks[0].pends(&mut upgrade);
        let mut read = tasks[1].start(lock.read());
        let mut other = tasks[2].start(lock.upgradable_read());
        let mut write = tasks[3].start(lock.write());
        let mut reader = Some(reader);
        if phase == "offered" {
            reader = None;
            assert_eq!(tasks[0].wakes(), 1);
        }
        drop(upgrade);
        assert_eq!(tasks[0].kept(), 0);
        assert_eq!(wakes(&tasks)[1..], [1, 1, 0]);
        drop((tasks[1].ready(&mut read), tasks[2].ready(&mut other), reader));
        drop(tasks[3].ready(&mut write));
        assert_eq!(wakes(&tasks)[1..], [1, 1, 1]);
        is_free(&lock);
    }
}

// ---- dropped half-way

enum Wait<'a> {
    Read(Pin<Box<Read<'a, u32>>>),
    Write(Pin<Box<Write<'a, u32>>>),
    Upgradable(Pin<Box<UpgradableRead<'a, u32>>>),
}

impl<'a> Wait<'a> {
    fn new(lock: &'a RwLock<u32>, kind: usize) -> Self {
        match kind {
            0 => Self::Read(Box::pin(lock.read())),
            1 => Self::Write(Box::pin(lock.write())),
            _ => Self::Upgradable(Box::pin(lock.upgradable_read())),
        }
    }

    /// Polls it; what it gets is given up at once.
    fn poll(&mut self, task: &Probe) -> bool {
        match self {
            Self::Read(fut) => task.poll(fut).is_ready(),
            Self::Write(fut) => task.poll(fut).is_ready(),
            Self::Upgradable(fut) => task.poll(fut).is_ready(),
        }
    }
}

/// Lines of three waiters of all kinds, of which some are dropped before or after they were offered the lock, in all orders:
/// everybody else gets it.
#[test]
fn waiters_dropped_in_any_order_leave_no_gap() {
    for kinds in 0..27_usize {
        for order in permutations(3) {
            for gone in 0..8 {
                for release_at in 0..=3 {
                    let (lock, tasks) = (RwLock::new(0), Probe::many(3));
                    let mut guard = lock.try_write();
                    let kind = |i: usize| kinds / 3_usize.pow(i as u32) % 3;
                    let mut waits: Vec<_> = (0..3).map(|i| Some(Wait::new(&lock, kind(i)))).collect();
                    (0..3).for_each(|i| assert!(!waits[i].as_mut().unwrap().poll(&tasks[i])));
                    for (step, &i) in order.iter().enumerate() {
                        if step == release_at {
                            guard = None;
                        }
                        if gone & 1 << i != 0 || waits[i].as_mut().unwrap().poll(&tasks[i]) {
                            waits[i] = None;
                        }
                    }
                    drop(guard);
                    let mut seen = [0; 3];
                    while let Some(i) = (0..3).find(|&i| waits[i].is_some() && tasks[i].wakes() > seen[i]) {
                        seen[i] = tasks[i].wakes();
                        if waits[i].as_mut().unwrap().poll(&tasks[i]) {
                            waits[i] = None;
                        }
                    }
                    let story = format!("{kinds} {order:?} {gone} {release_at}");
                    assert!(waits.iter().all(Option::is_none), "left behind: {story}");
                    assert!(tasks.iter().all(|task| task.kept() == 0), "{story}");
                    is_free(&lock);
                }
            }
        }
    }
}

#[test]
fn futures_that_were_not_polled_or_are_done_owe_nothing() {
    let (lock, task) = (Arc::new(RwLock::new(0)), Probe::new());
    drop((
        RwLock::read_with(lock.clone()),
        RwLock::write_with(lock.clone()),
        RwLock::upgradable_read_with(lock.clone()),
    ));
    assert_eq!((Arc::strong_count(&lock), task.clones()), (1, 0));
    let guard = lock.try_write();
    let mut read = task.start(lock.read());
    drop(guard);
    let guard = task.ready(&mut read);
    drop(read);
    assert_eq!(lock.readers(), 1);
    drop(guard);
    is_free(&*lock);
}

#[test]
fn polling_after_completion_panics_and_harms_nobody() {
    let (lock, task) = (RwLock::new(0), Probe::new());
    let mut fut = Box::pin(lock.read());
    drop(task.ready(&mut fut));
    assert!(poll_panics(&mut fut, &task).contains("polled after completion"));
    let mut fut = Box::pin(lock.write());
    drop(task.ready(&mut fut));
    assert!(poll_panics(&mut fut, &task).contains("polled after completion"));
    let mut fut = Box::pin(lock.try_upgradable_read().unwrap().upgrade());
    drop(task.ready(&mut fut));
    assert!(poll_panics(&mut fut, &task).contains("polled after completion"));
    drop(fut);
    is_free(&lock);
}

#[test]
fn a_wait_goes_with_the_task_that_polled_it_last() {
    let (lock, tasks) = (RwLock::new(0), Probe::many(2));
    let guard = lock.try_read();
    let mut write = tasks[0].start(lock.write());
    tasks[1].pends(&mut write);
    let mut upgrade = tasks[0].start(lock.try_upgradable_read().unwrap().upgrade());
    tasks[1].pends(&mut upgrade);
    assert_eq!(tasks[0].kept(), 0);
    drop(guard);
    assert_eq!(wakes(&tasks), [0, 1]);
    drop(tasks[1].ready(&mut upgrade));
    assert_eq!(wakes(&tasks), [0, 2]);
    drop(tasks[1].ready(&mut write));
}

// ---- wakers that call back, wakers that panic

#[test]
fn a_waker_may_call_back() {
    type OwnedRead = Read<'static, u32, Shared>;
    for act in 0..7 {
        for from in 0..3 {
            let lock: Shared = Arc::new(RwLock::new(0));
            let (tasks, other) = (Probe::many(40), Probe::new());
            let reads: Vec<Slot<OwnedRead>> =
                tasks.iter().map(|_| Slot::new(RwLock::read_with(lock.clone()))).collect();
            let called = Arc::new(AtomicUsize::new(0));
            let hook = {
                let (lock, victim, count, other) =
                    (lock.clone(), reads[35].clone(), called.clone(), other.waker().clone());
                move || {
                    if count.fetch_add(1, SeqCst) > 2 {
                        return;
                    }
                    match act {
                        0 => drop(lock.try_read()),
                        1 => drop(lock.try_write()),
                        2 => drop(lock.try_upgradable_read().map(RwLockUpgradableGuard::try_upgrade)),
                        3 => _ = victim.cancel(),
                        4 => _ = Slot::new(RwLock::write_with(lock.clone())).poll(&other),
                        5 => drop(lock.try_write().map(RwLockWriteGuard::downgrade)),
                        _ => _ = victim.poll(&other),
                    }
                }
            };
            match from {
                0 => tasks[3].on_wake(hook),
                1 => tasks[3].on_clone(hook),
                _ => tasks[3].on_drop(hook),
            }
            let guard = lock.try_write();
            for (task, read) in tasks.iter().zip(&reads) {
                assert!(read.poll(task.waker()).is_none_or(|poll| poll.is_pending()));
            }
            if from == 2 {
                reads[3].cancel();
            }
            drop(guard);
            for (i, (task, read)) in tasks.iter().zip(&reads).enumerate() {
                if let Some(poll) = read.poll(task.waker()) {
                    assert!(poll.is_ready(), "{act} {from}: {i} was left behind");
                }
            }
            assert!(called.load(SeqCst) > 0, "{act} {from}");
            tasks[3].quiet();
            is_free(&*lock);
        }
    }
}

#[test]
fn a_task_may_be_polled_inside_its_waker() {
    let lock: Shared = Arc::new(RwLock::new(0));
    let guard = RwLock::try_write_with(lock.clone());
    let tasks: Vec<_> = (0..30)
        .map(|i| {
            let lock = lock.clone();
            Inline::spawn(async move {
                match i % 3 {
                    0 => *lock.write().await += 1,
                    1 => drop(lock.read().await),
                    _ => *lock.upgradable_read().await.upgrade().await += 1,
                }
            })
        })
        .collect();
    drop(guard);
    assert!(tasks.iter().all(|task| task.is_done()));
    assert_eq!(*lock.try_read().unwrap(), 20);
    is_free(&*lock);
}

#[test]
fn a_waker_that_panics_strands_nobody() {
    let (lock, tasks) = (RwLock::new(0), Probe::many(70));
    let guard = lock.try_write();
    let mut reads: Vec<_> = tasks.iter().map(|task| task.start(lock.read())).collect();
    for i in [0, 33, 69] {
        tasks[i].on_wake(move || panic!("waker {i}"));
    }
    assert_eq!(panics(|| drop(guard)), "waker 0");
    assert!(!lock.is_poisoned(), "the writer had left");
    assert_eq!(wakes(&tasks), [1; 70]);
    let guards: Vec<_> = tasks.iter().zip(&mut reads).map(|(task, read)| task.ready(read)).collect();
    assert_eq!(lock.readers(), 70);
    drop(guards);
    is_free(&lock);
}

#[test]
fn a_waker_that_panics_at_a_downgrade_or_an_upgrade_leaves_the_lock_usable() {
    let (lock, task) = (RwLock::new(0), Probe::new());
    task.on_wake(|| panic!("waker"));
    for way in 0..4 {
        let guard = lock.try_write().unwrap();
        let mut read = task.start(lock.upgradable_read());
        let text = match way {
            0 => panics(|| guard.downgrade()),
            1 => {
                let other = Probe::new();
                let guard = guard.downgrade_to_upgradable();
                let write = other.start(lock.write());
                let text = panics(|| guard.downgrade());
                drop(write);
                text
            }
            2 => panics(|| drop(guard.downgrade_to_upgradable())),
            _ => panics(|| drop(guard)),
        };
        assert_eq!(text, "waker");
        drop(task.ready(&mut read));
        is_free(&lock);
    }
    let reader = lock.try_read();
    let mut upgrade = task.start(lock.try_upgradable_read().unwrap().upgrade());
    assert_eq!(panics(|| drop(reader)), "waker");
    drop(task.ready(&mut upgrade));
    let reader = lock.try_read();
    let upgrade = task.start(lock.try_upgradable_read().unwrap().upgrade());
    let mut other = task.start(lock.upgradable_read());
    assert_eq!(panics(|| drop(upgrade)), "waker");
    drop((task.ready(&mut other), reader));
    is_free(&lock);
}

// ---- panics of those inside

#[test]
fn a_panic_poisons_when_a_writer_is_dropped_by_it_and_keeps_nobody_out() {
    let lock = RwLock::new(0);
    for kind in 0..5 {
        let text = panics(|| {
            let guard = (kind == 0).then(|| lock.try_write());
            let other = (kind == 1).then(|| lock.try_read());
            let third = (kind == 2).then(|| lock.try_upgradable_read());
            let fourth = (kind == 3).then(|| lock.try_write().unwrap().downgrade());
            let fifth = (kind == 4).then(|| lock.try_upgradable_read().unwrap().try_upgrade().unwrap());
            let _guards = (guard, other, third, fourth, fifth);
            panic!("half-way");
        });
        assert_eq!(text, "half-way");
        assert_eq!(lock.is_poisoned(), kind == 0 || kind == 4, "{kind}");
        lock.clear_poison();
        assert!(!lock.is_poisoned());
        is_free(&lock);
    }
    drop(panics(|| {
        let _guard = lock.try_write();
        panic!();
    }));
    drop((lock.try_read().unwrap(), lock.try_upgradable_read().unwrap()));
    assert!(lock.is_poisoned());
    is_free(&lock);
}

#[test]
fn a_guard_dropped_while_panicking_wakes_the_waiters() {
    let (lock, task) = (RwLock::new(0), Probe::new());
    for way in 0..2 {
        let mut wait = Box::pin(lock.write());
        drop(panics(|| {
            let guards = if way == 0 { (lock.try_write(), None) } else { (None, lock.try_read()) };
            task.pends(&mut wait);
            let _guards = guards;
            panic!();
        }));
        *task.ready(&mut wait) += 1;
    }
    assert_eq!((task.wakes(), *lock.try_read().unwrap()), (2, 2));
}

#[test]
fn a_guard_dropped_in_a_drop_that_a_panic_runs_poisons_nothing() {
    struct Late<'a>(&'a RwLock<u32>);
    impl Drop for Late<'_> {
        fn drop(&mut self) {
            *self.0.try_write().unwrap() += 1;
            drop(self.0.try_write().unwrap().downgrade());
        }
    }
    let lock = RwLock::new(0);
    drop(panics(|| {
        let _late = Late(&lock);
        panic!();
    }));
    assert!(!lock.is_poisoned() && lock.into_inner() == 1);
}

// ---- threads

#[test]
fn blocking_forms_wait_for_each_other() {
    let (lock, total) = (RwLock::new(0), AtomicUsize::new(0));
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| (0..1000).for_each(|_| *lock.write_blocking() += 1));
            s.spawn(|| (0..1000).for_each(|_| *lock.upgradable_read_blocking().upgrade_blocking() += 1));
            s.spawn(|| {
                (0..1000).for_each(|_| {
                    total.fetch_max(*lock.read_blocking(), Relaxed);
                });
            });
        }
    });
    assert!(total.load(Relaxed) <= 4000);
    assert_eq!(lock.into_inner(), 4000);
}

#[test]
fn guards_go_to_other_threads() {
    let lock = Arc::new(RwLock::new(String::new()));
    let mut guard = block_on(RwLock::write_with(lock.clone()));
    thread::spawn(move || guard.push('x')).join().unwrap();
    let guard = block_on(RwLock::read_with(lock.clone()));
    thread::spawn(move || assert_eq!(*guard, "x")).join().unwrap();
    let guard = block_on(RwLock::upgradable_read_with(lock.clone()));
    let upgrade: Upgrade<'static, String, Arc<RwLock<String>>> = guard.upgrade();
    thread::spawn(move || block_on(upgrade).push('y')).join().unwrap();
    assert_eq!(*block_on(lock.read()), "xy");
    assert_eq!(Arc::strong_count(&lock), 1);
}

/// The last handle may go with a wait or a guard.
#[test]
fn the_last_handle_may_go_with_a_future() {
    let seen = Rc::new(RefCell::new(()));
    let lock = Rc::new(RwLock::new(seen.clone()));
    let task = Probe::new();
    let reader = RwLock::try_read_with(lock.clone()).unwrap();
    let upgrade = task.start(RwLock::try_upgradable_read_with(lock.clone()).unwrap().upgrade());
    let wait = task.start(RwLock::write_with(lock));
    drop(reader);
    drop(wait);
    assert_eq!(Rc::strong_count(&seen), 2);
    drop(upgrade);
    assert_eq!((Rc::strong_count(&seen), task.kept()), (1, 0));
    fn is_future<F: Future>(_: &F) {}
    is_future(&RwLock::new(1).read());
}
