//! Dropping each public future in each phase: Idle, Waiting, offered, handed over, Done.
use core::{future::Future, pin::Pin};
use std::{cell::RefCell, rc::Rc, sync::Arc};

use testudo::{ArrayQueue, Barrier, BoundedSemaphore, Condition, Event, Mutex, OnceCell, Queue, RwLock, Semaphore};

use crate::support::{Probe, permutations, wakes};

type Waiter = Pin<Box<dyn Future<Output = ()>>>;

/// One way to wait in line. Each waiter gives up what it got as soon as it has it.
struct Line {
    name: &'static str,
    wait: Box<dyn Fn() -> Waiter>,
    /// All are in line.
    ready: Box<dyn Fn()>,
    /// Lets all go on, one after another.
    go: Box<dyn Fn()>,
    /// Nothing is held, nothing is owed.
    idle: Box<dyn Fn() -> bool>,
}

fn event_line() -> Line {
    let event = Arc::new(Event::new());
    let (waits, sets, idle) = (event.clone(), event.clone(), event);
    Line {
        name: "Event::wait",
        wait: Box::new(move || Box::pin(Event::wait_with(waits.clone()))),
        ready: Box::new(|| ()),
        go: Box::new(move || {
            sets.set();
            sets.clear();
        }),
        idle: Box::new(move || format!("{idle:?}").contains("waiters: false")),
    }
}

/// They are told of an error, one after the other.
fn barrier_line() -> Line {
    let barrier = Arc::new(Barrier::new(1000));
    let (waits, resets, idle) = (barrier.clone(), barrier.clone(), barrier);
    Line {
        name: "Barrier::wait",
        wait: Box::new(move || {
            let barrier = waits.clone();
            Box::pin(async move { assert!(Barrier::wait_with(barrier).await.is_err()) })
        }),
        ready: Box::new(|| ()),
        go: Box::new(move || resets.reset()),
        idle: Box::new(move || idle.waiting() == 0),
    }
}

fn value_line() -> Line {
    let cell = Arc::new(OnceCell::new());
    let (waits, sets, idle) = (cell.clone(), cell.clone(), cell);
    Line {
        name: "OnceCell::wait",
        wait: Box::new(move || {
            let cell = waits.clone();
            Box::pin(async move { *cell.wait().await })
        }),
        ready: Box::new(|| ()),
        go: Box::new(move || sets.set(()).unwrap()),
        idle: Box::new(move || idle.is_initialized()),
    }
}

/// Each has the turn in turn, and fails.
fn turn_line() -> Line {
    let cell = Arc::new(OnceCell::<()>::new());
    let (waits, first, idle) = (cell.clone(), cell.clone(), cell);
    let stuck = async move { *first.get_or_init(core::future::pending).await };
    let stuck = RefCell::new(Some(Probe::new().start(stuck)));
    Line {
        name: "OnceCell::get_or_try_init",
        wait: Box::new(move || {
            let cell = waits.clone();
            Box::pin(async move { assert_eq!(cell.get_or_try_init(async || Err(())).await, Err(())) })
        }),
        ready: Box::new(|| ()),
        go: Box::new(move || drop(stuck.take())),
        idle: Box::new(move || idle.set(()).is_ok()),
    }
}

fn mutex_line() -> Line {
    let lock = Arc::new(Mutex::new(()));
    let (waits, idle) = (lock.clone(), lock.clone());
    let guard = RefCell::new(Mutex::try_lock_with(lock));
    Line {
        name: "Mutex::lock",
        wait: Box::new(move || {
            let lock = waits.clone();
            Box::pin(async move { drop(Mutex::lock_with(lock).await) })
        }),
        ready: Box::new(|| ()),
        go: Box::new(move || drop(guard.take())),
        idle: Box::new(move || !idle.is_locked()),
    }
}

fn condition_lock_line() -> Line {
    let cond = Arc::new(Condition::new(()));
    let (waits, idle) = (cond.clone(), cond.clone());
    let guard = RefCell::new(Some(Probe::new().now(Condition::lock_with(cond))));
    Line {
        name: "Condition::lock",
        wait: Box::new(move || {
            let cond = waits.clone();
            Box::pin(async move { drop(Condition::lock_with(cond).await) })
        }),
        ready: Box::new(|| ()),
        go: Box::new(move || drop(guard.take())),
        idle: Box::new(move || !idle.is_locked()),
    }
}

#[derive(Clone, Copy)]
enum Way {
    Wait,
    WaitFor,
    WaitUntil,
}

/// `early`: they are notified as soon as all are in line, and queue for the lock.
fn condition_line(name: &'static str, way: Way, early: bool) -> Line {
    let cond = Arc::new(Condition::new(false));
    let (waits, goes, idle) = (cond.clone(), cond.clone(), cond.clone());
    let guard = Rc::new(RefCell::new(None));
    let held = guard.clone();
    let notify = move || {
        let mut guard = Probe::new().now(Condition::lock_with(cond.clone()));
        *guard = true;
        cond.notify_all(&guard);
        guard
    };
    let ready: Box<dyn Fn()> = if early {
        Box::new(move || {
            held.replace(Some(notify()));
        })
    } else {
        Box::new(|| ())
    };
    Line {
        name,
        wait: Box::new(move || {
            let cond = waits.clone();
            match way {
                Way::Wait => Box::pin(async move {
                    let guard = Condition::lock_with(cond.clone()).await;
                    drop(cond.wait(guard).await);
                }),
                Way::WaitFor => Box::pin(async move {
                    let guard = Condition::lock_with(cond.clone()).await;
                    drop(cond.wait_for(guard, |go| *go).await);
                }),
                Way::WaitUntil => Box::pin(async move { drop(Condition::wait_until_with(cond, |go| *go).await) }),
            }
        }),
        ready,
        go: Box::new(move || match guard.take() {
            Some(guard) => drop(guard),
            None => {
                let mut guard = goes.try_lock().unwrap();
                *guard = true;
                goes.notify_all(&guard);
            }
        }),
        idle: Box::new(move || !idle.is_locked() && format!("{idle:?}").contains("waiters: false")),
    }
}

/// `permits` that all go free at once; each waiter needs `need`.
fn semaphore_line(name: &'static str, permits: usize, need: usize) -> Line {
    let semaphore = Arc::new(Semaphore::new(permits));
    let (waits, idle) = (semaphore.clone(), semaphore.clone());
    let held = RefCell::new(Semaphore::try_acquire_with(semaphore, permits));
    Line {
        name,
        wait: Box::new(move || {
            let semaphore = waits.clone();
            Box::pin(async move { drop(Semaphore::acquire_with(semaphore, need).await) })
        }),
        ready: Box::new(|| ()),
        go: Box::new(move || drop(held.take())),
        idle: Box::new(move || idle.available_permits() == permits && format!("{idle:?}").contains("waiters: false")),
    }
}

/// As [`semaphore_line`], of one permit.
fn bounded_line() -> Line {
    let semaphore = Arc::new(BoundedSemaphore::new(1));
    let (waits, idle) = (semaphore.clone(), semaphore.clone());
    let held = RefCell::new(Some(Probe::new().now(Semaphore::acquire_with(semaphore, 1))));
    Line {
        name: "BoundedSemaphore::acquire",
        wait: Box::new(move || {
            let semaphore = waits.clone();
            Box::pin(async move { drop(Semaphore::acquire_with(semaphore, 1).await) })
        }),
        ready: Box::new(|| ()),
        go: Box::new(move || drop(held.take())),
        idle: Box::new(move || idle.available_permits() == 1),
    }
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
    UpgradableRead,
}

/// `held_by`: who has the lock before.
fn rwlock_line(name: &'static str, access: Access, held_by: Access) -> Line {
    let lock = Arc::new(RwLock::new(()));
    let (waits, idle) = (lock.clone(), lock.clone());
    let (reader, writer) = match held_by {
        Access::Write => (None, RwLock::try_write_with(lock)),
        _ => (RwLock::try_read_with(lock), None),
    };
    let held = RefCell::new((reader, writer));
    Line {
        name,
        wait: Box::new(move || {
            let lock = waits.clone();
            match access {
                Access::Read => Box::pin(async move { drop(RwLock::read_with(lock).await) }),
                Access::Write => Box::pin(async move { drop(RwLock::write_with(lock).await) }),
                Access::UpgradableRead => Box::pin(async move { drop(RwLock::upgradable_read_with(lock).await) }),
            }
        }),
        ready: Box::new(|| ()),
        go: Box::new(move || held.replace((None, None)).0.map_or((), drop)),
        idle: Box::new(move || !idle.is_locked()),
    }
}

/// Getters and putters of one place; each puts back what it got, or gets back what it put. And those who wait for all to be done.
macro_rules! queue_lines {
    ($name:literal, $queue:expr, $put_with:path, $get_with:path, $join_with:path) => {{
        let getters = {
            let queue = Arc::new($queue);
            let (waits, puts, idle) = (queue.clone(), queue.clone(), queue);
            Line {
                name: concat!($name, "::get"),
                wait: Box::new(move || {
                    let queue = waits.clone();
                    Box::pin(async move {
                        let item = $get_with(queue.clone()).await.unwrap();
                        queue.try_put(item).unwrap();
                    })
                }),
                ready: Box::new(|| ()),
                go: Box::new(move || puts.try_put(7).unwrap()),
                idle: Box::new(move || idle.try_get() == Ok(7) && idle.is_empty()),
            }
        };
        let putters = {
            let queue = Arc::new($queue);
            queue.try_put(7).unwrap();
            let (waits, gets, idle) = (queue.clone(), queue.clone(), queue);
            Line {
                name: concat!($name, "::put"),
                wait: Box::new(move || {
                    let queue = waits.clone();
                    Box::pin(async move {
                        $put_with(queue.clone(), 8).await.unwrap();
                        assert_eq!(queue.try_get(), Ok(8));
                    })
                }),
                ready: Box::new(|| ()),
                go: Box::new(move || assert_eq!(gets.try_get(), Ok(7))),
                idle: Box::new(move || idle.is_empty()),
            }
        };
        let joiners = {
            let queue = Arc::new($queue);
            queue.try_put(7).unwrap();
            let (waits, done, idle) = (queue.clone(), queue.clone(), queue);
            Line {
                name: concat!($name, "::join"),
                wait: Box::new(move || Box::pin($join_with(waits.clone()))),
                ready: Box::new(|| ()),
                go: Box::new(move || done.task_done().unwrap()),
                idle: Box::new(move || idle.unfinished() == 0),
            }
        };
        [getters, putters, joiners]
    }};
}

fn lines() -> Vec<Line> {
    let queues = [
        queue_lines!(
            "ArrayQueue",
            ArrayQueue::<u32, 1>::new(),
            ArrayQueue::put_with,
            ArrayQueue::get_with,
            ArrayQueue::join_with
        ),
        queue_lines!("Queue", Queue::bounded(1), Queue::put_with, Queue::get_with, Queue::join_with),
        queue_lines!("Queue, priority", Queue::priority(1), Queue::put_with, Queue::get_with, Queue::join_with),
    ];
    let mut lines = primitive_lines();
    lines.extend(queues.into_iter().flatten());
    lines
}

fn primitive_lines() -> Vec<Line> {
    vec![
        event_line(),
        barrier_line(),
        value_line(),
        turn_line(),
        mutex_line(),
        semaphore_line("Semaphore::acquire", 1, 1),
        semaphore_line("Semaphore::acquire_many", 3, 3),
        semaphore_line("Semaphore::acquire, of many", 200, 1),
        bounded_line(),
        rwlock_line("RwLock::read", Access::Read, Access::Write),
        rwlock_line("RwLock::write", Access::Write, Access::Read),
        rwlock_line("RwLock::write, behind a writer", Access::Write, Access::Write),
        rwlock_line("RwLock::upgradable_read", Access::UpgradableRead, Access::Write),
        condition_lock_line(),
        condition_line("Condition::wait", Way::Wait, false),
        condition_line("Condition::wait, notified", Way::Wait, true),
        condition_line("Condition::wait_for", Way::WaitFor, false),
        condition_line("Condition::wait_for, notified", Way::WaitFor, true),
        condition_line("Condition::wait_until", Way::WaitUntil, false),
        condition_line("Condition::wait_until, notified", Way::WaitUntil, true),
    ]
}

/// Waiters in a line, and who was served in which order.
struct Party {
    tasks: Vec<Probe>,
    waiters: Vec<Option<Waiter>>,
    seen: Vec<usize>,
    served: Vec<usize>,
}

impl Party {
    fn new(line: &Line, n: usize) -> Self {
        let tasks = Probe::many(n);
        let mut waiters: Vec<_> = (0..n).map(|_| (line.wait)()).collect();
        for (task, waiter) in tasks.iter().zip(&mut waiters) {
            task.pends(waiter);
        }
        (line.ready)();
        Self { tasks, waiters: waiters.into_iter().map(Some).collect(), seen: vec![0; n], served: vec![] }
    }

    fn cancel(&mut self, i: usize) {
        self.waiters[i] = None;
        assert_eq!(self.tasks[i].kept(), 0, "a waker of {i} was kept");
    }

    fn poll(&mut self, i: usize) {
        let Some(waiter) = &mut self.waiters[i] else { return };
        self.seen[i] = self.tasks[i].wakes();
        if self.tasks[i].poll(waiter).is_ready() {
            self.served.push(i);
            self.waiters[i] = None;
        }
    }

    /// Polls whoever was woken until nobody is left to poll.
    fn run(&mut self) {
        while let Some(i) =
            (0..self.tasks.len()).find(|&i| self.waiters[i].is_some() && self.tasks[i].wakes() > self.seen[i])
        {
            self.poll(i);
        }
    }

    /// Everybody but `gone` was served, in order.
    fn check(&mut self, line: &Line, gone: &[usize], story: &str) {
        self.run();
        let rest: Vec<_> = (0..self.tasks.len()).filter(|i| !gone.contains(i)).collect();
        assert_eq!(self.served, rest, "{}: {story} {gone:?}", line.name);
        assert!((line.idle)(), "{}: {story} {gone:?}", line.name);
        assert!(self.tasks.iter().all(|task| task.kept() == 0 && task.wakes() <= 1), "{}: {story}", line.name);
    }
}

/// Sets of waiters to drop, in the order given: one, all but one, all, every second, of a line of `n`.
fn choices(n: usize) -> Vec<Vec<usize>> {
    if n <= 4 {
        return permutations(n).into_iter().flat_map(|order| (0..=n).map(move |k| order[..k].to_vec())).collect();
    }
    let places = [0, 1, n / 2, n - 2, n - 1];
    let mut all: Vec<_> = places.iter().map(|&i| vec![i]).collect();
    all.extend(places.iter().map(|&stays| (0..n).filter(|&i| i != stays).collect()));
    all.push((0..n).collect());
    all.push((0..n).rev().collect());
    all.push((0..n).step_by(2).collect());
    all.push((0..n).skip(1).step_by(2).rev().collect());
    all.push((n / 2..n).chain(0..n / 2).collect());
    all
}

#[test]
fn waiters_dropped_while_they_wait_leave_no_gap() {
    for n in [1, 2, 3, 4, 100] {
        for gone in choices(n) {
            for line in lines() {
                let mut party = Party::new(&line, n);
                gone.iter().for_each(|&i| party.cancel(i));
                (line.go)();
                party.check(&line, &gone, "dropped, then signalled:");
            }
        }
    }
}

#[test]
fn waiters_dropped_after_the_signal_pass_on_what_they_got() {
    for n in [1, 2, 3, 4, 100] {
        for gone in choices(n) {
            for line in lines() {
                let mut party = Party::new(&line, n);
                (line.go)();
                gone.iter().for_each(|&i| party.cancel(i));
                party.check(&line, &gone, "signalled, then dropped:");
            }
        }
    }
}

#[test]
fn waiters_dropped_and_polled_in_any_order_leave_no_gap() {
    for order in permutations(4) {
        for dropped in 0..16 {
            for signal_at in 0..=4 {
                for line in lines() {
                    let mut party = Party::new(&line, 4);
                    let mut gone = vec![];
                    for (step, &i) in order.iter().enumerate() {
                        if step == signal_at {
                            (line.go)();
                        }
                        if dropped & 1 << i != 0 && party.waiters[i].is_some() {
                            party.cancel(i);
                            gone.push(i);
                        } else {
                            party.poll(i);
                        }
                    }
                    if signal_at == 4 {
                        (line.go)();
                    }
                    party.run();
                    // Released event waiters may be polled in any order.
                    party.served.sort_unstable();
                    party.check(&line, &gone, "in any order:");
                }
            }
        }
    }
}

#[test]
fn waiters_dropped_between_two_turns_leave_no_gap() {
    for gone in 0..100 {
        for line in lines() {
            let mut party = Party::new(&line, 100);
            (line.go)();
            for i in 0..gone.min(50) {
                party.poll(i);
            }
            if party.waiters[gone].is_none() {
                continue;
            }
            party.cancel(gone);
            party.check(&line, &[gone], "between two turns:");
        }
    }
}

// ---- Idle

#[test]
fn futures_that_were_not_polled_owe_nothing() {
    let (event, lock, cond) = (Event::new(), Mutex::new(()), Condition::new(()));
    let task = Probe::new();
    drop(event.wait());
    drop(lock.lock());
    drop(cond.lock());
    drop(cond.wait_until(|()| false));
    let semaphore = Arc::new(Semaphore::new(1));
    drop((semaphore.acquire(), semaphore.acquire_checked(1), Semaphore::acquire_with(semaphore.clone(), 1)));
    assert_eq!((semaphore.available_permits(), Arc::strong_count(&semaphore)), (1, 1));
    let queue = Arc::new(ArrayQueue::<_, 1>::new());
    drop((queue.get(), ArrayQueue::get_with(queue.clone()), queue.join(), queue.put(Arc::new(())), queue.stream()));
    assert!(queue.is_empty() && Arc::strong_count(&queue) == 1);
    let shared = (Arc::new(Event::new()), Arc::new(Mutex::new(())), Arc::new(Condition::new(())));
    drop(Event::wait_with(shared.0.clone()));
    drop(Mutex::lock_with(shared.1.clone()));
    drop(Condition::lock_with(shared.2.clone()));
    drop(Condition::wait_until_with(shared.2.clone(), |()| false));
    assert_eq!([Arc::strong_count(&shared.0), Arc::strong_count(&shared.1), Arc::strong_count(&shared.2)], [1; 3]);
    assert!(!lock.is_locked() && !cond.is_locked() && task.clones() == 0);
}

#[test]
fn a_lock_that_was_not_polled_does_not_give_up_somebody_elses() {
    let (lock, cond) = (Mutex::new(()), Condition::new(()));
    let _guards = (lock.try_lock().unwrap(), cond.try_lock().unwrap());
    drop(lock.lock());
    drop(cond.lock());
    drop(cond.wait_until(|()| true));
    assert!(lock.is_locked() && cond.is_locked());
}

#[test]
fn a_wait_that_was_not_polled_frees_the_lock_it_was_given() {
    let (cond, task) = (Arc::new(Condition::new(())), Probe::new());
    let mut queued = vec![];
    drop(cond.wait(cond.try_lock().unwrap()));
    assert!(!cond.is_locked());
    drop(cond.wait_for(cond.try_lock().unwrap(), |()| true));
    assert!(!cond.is_locked());
    for way in 0..2 {
        let guard = task.now(Condition::lock_with(cond.clone()));
        queued.push(task.start(cond.lock()));
        if way == 0 {
            drop(cond.wait(guard));
        } else {
            drop(cond.wait_for(guard, |()| true));
        }
        assert_eq!(task.wakes(), way + 1);
        drop(task.ready(queued.last_mut().unwrap()));
    }
    assert_eq!(Arc::strong_count(&cond), 1);
}

// ---- Done

#[test]
fn futures_dropped_after_completion_owe_nothing() {
    let (event, lock, cond) = (Event::new(), Mutex::new(()), Condition::new(()));
    let task = Probe::new();
    let mut wait = task.start(event.wait());
    event.set();
    task.ready(&mut wait);
    drop(wait);

    let guard = lock.try_lock().unwrap();
    let mut fut = task.start(lock.lock());
    drop(guard);
    let guard = task.ready(&mut fut);
    drop(fut);
    assert!(lock.is_locked());
    drop(guard);

    let semaphore = Semaphore::new(0);
    let mut fut = task.start(semaphore.acquire());
    semaphore.add_permits(1);
    let permit = task.ready(&mut fut);
    drop(fut);
    assert!(semaphore.is_locked());
    drop(permit);
    assert_eq!(semaphore.available_permits(), 1);

    let mut fut = task.start(cond.wait(cond.try_lock().unwrap()));
    let mut other = task.start(cond.wait_until(|()| false));
    cond.notify(&cond.try_lock().unwrap(), 1);
    let guard = task.ready(&mut fut);
    drop(fut);
    assert!(cond.is_locked());
    drop(guard);
    assert!(!cond.is_locked());
    task.pends(&mut other);
}

// ---- handed over

/// Overtakes the first in line until it is handed the lock.
macro_rules! starve {
    ($lock:expr) => {
        for _ in 0..4 {
            drop($lock.try_lock().expect("offered"));
        }
        assert!($lock.try_lock().is_none(), "handed over");
    };
}

#[test]
fn a_lock_that_was_handed_over_and_not_taken_goes_to_the_next() {
    let (lock, cond, tasks) = (Mutex::new(()), Condition::new(()), Probe::many(3));
    let guard = lock.try_lock().unwrap();
    let mut locks: Vec<_> = tasks.iter().map(|task| Some(task.start(lock.lock()))).collect();
    drop(guard);
    starve!(lock);
    locks[0] = None;
    assert_eq!(wakes(&tasks), [1, 1, 0]);
    starve!(lock);
    drop(tasks[1].ready(locks[1].as_mut().unwrap()));
    drop(tasks[2].ready(locks[2].as_mut().unwrap()));
    assert!(!lock.is_locked());

    let tasks = Probe::many(2);
    let guard = cond.try_lock().unwrap();
    let gone = tasks[0].start(cond.lock());
    let mut stays = tasks[1].start(cond.lock());
    drop(guard);
    starve!(cond);
    drop(gone);
    assert_eq!(wakes(&tasks), [1, 1]);
    drop(tasks[1].ready(&mut stays));
    assert!(!cond.is_locked());
}

#[test]
fn the_last_handle_may_go_with_a_future_that_was_handed_the_lock() {
    let (lock, task) = (Arc::new(Mutex::new(Arc::new(()))), Probe::new());
    let data = lock.try_lock().unwrap().clone();
    let guard = Mutex::try_lock_with(lock.clone()).unwrap();
    let fut = task.start(Mutex::lock_with(lock.clone()));
    drop(guard);
    starve!(lock);
    drop(lock);
    drop(fut);
    assert_eq!(Arc::strong_count(&data), 1);
    assert_eq!(task.kept(), 0);
}

// ---- notifications

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// The lock is still held: they queue for it.
    Queued,
    /// The first was offered the lock.
    Offered,
    /// The first was handed the lock.
    HandedOver,
}

/// Notifies `n` of 8, drops those in `gone`, and says who returns.
fn notified_and_dropped(n: usize, gone: &[usize], when: When, plain: bool) -> Vec<usize> {
    let (cond, tasks) = (Condition::new(()), Probe::many(8));
    let mut waits: Vec<_> = tasks
        .iter()
        .map(|task| {
            let wait: Pin<Box<dyn Future<Output = _> + '_>> = if plain {
                task.start(cond.wait(cond.try_lock().unwrap()))
            } else {
                let mut calls = 0;
                task.start(cond.wait_for(cond.try_lock().unwrap(), move |()| {
                    calls += 1;
                    calls > 1
                }))
            };
            Some(wait)
        })
        .collect();
    let guard = cond.try_lock().unwrap();
    cond.notify(&guard, n);
    let mut guard = Some(guard);
    if when != When::Queued {
        guard = None;
        if when == When::HandedOver {
            starve!(cond);
        }
    }
    for &i in gone {
        waits[i] = None;
    }
    drop(guard);
    let mut returned = vec![];
    while let Some(i) = (0..8).find(|&i| waits[i].is_some() && tasks[i].wakes() > 0) {
        drop(tasks[i].ready(waits[i].as_mut().unwrap()));
        waits[i] = None;
        returned.push(i);
    }
    assert!(!cond.is_locked());
    returned
}

#[test]
fn each_notification_of_a_dropped_waiter_is_passed_on_exactly_once() {
    for when in [When::Queued, When::Offered, When::HandedOver] {
        for plain in [true, false] {
            for order in permutations(3) {
                for k in 0..=3 {
                    // Three are notified, `k` of them are dropped: three return, those that were dropped are replaced.
                    let gone = &order[..k];
                    let returned = notified_and_dropped(3, gone, when, plain);
                    let mut sorted = returned.clone();
                    sorted.sort_unstable();
                    let expected: Vec<_> = (0..3 + k).filter(|i| !gone.contains(i)).collect();
                    assert_eq!(sorted, expected, "{when:?} {plain} {gone:?}: {returned:?}");
                }
            }
        }
    }
}

#[test]
fn a_notification_that_nobody_is_left_for_is_forgotten() {
    for when in [When::Queued, When::Offered, When::HandedOver] {
        assert_eq!(notified_and_dropped(1, &[0, 1, 2, 3, 4, 5, 6], when, true), [7]);
        assert!(notified_and_dropped(1, &[0, 1, 2, 3, 4, 5, 6, 7], when, true).is_empty());
        assert!(notified_and_dropped(3, &[7, 6, 5, 4, 3, 2, 1, 0], when, false).is_empty());
    }
}

#[test]
fn a_notification_of_everybody_is_not_passed_on() {
    for early in [false, true] {
        let (cond, tasks) = (Condition::new(()), Probe::many(4));
        let first = tasks[0].start(cond.wait(cond.try_lock().unwrap()));
        let mut second = tasks[1].start(cond.wait(cond.try_lock().unwrap()));
        let guard = cond.try_lock().unwrap();
        cond.notify_all(&guard);
        let mut late = tasks[2].start(cond.wait(guard));
        if early {
            drop(first);
        } else {
            drop(cond.try_lock().unwrap());
            drop(first);
        }
        drop(tasks[1].ready(&mut second));
        tasks[2].pends(&mut late);
        assert_eq!(wakes(&tasks), [1, 1, 0, 0]);
    }
}

#[test]
fn a_passed_on_notification_skips_waiters_whose_predicate_is_false() {
    for when in [When::Queued, When::Offered, When::HandedOver] {
        let (cond, tasks) = (Condition::new(1), Probe::many(4));
        let first = tasks[0].start(cond.wait(cond.try_lock().unwrap()));
        let mut never = tasks[1].start(cond.wait_until(|n| *n == 7));
        let mut fits = tasks[2].start(cond.wait_until(|n| *n == 2));
        let mut last = tasks[3].start(cond.wait_until(|n| *n == 2));
        let mut guard = cond.try_lock().unwrap();
        cond.notify(&guard, 1);
        *guard = 2;
        let guard = Some(guard).filter(|_| when == When::Queued);
        if when == When::HandedOver {
            starve!(cond);
        }
        drop(first);
        drop(guard);
        assert_eq!(wakes(&tasks), [usize::from(when != When::Queued), 0, 1, 0], "{when:?}");
        drop(tasks[2].ready(&mut fits));
        tasks[1].pends(&mut never);
        tasks[3].pends(&mut last);
    }
}

#[test]
fn the_lock_is_free_again_when_a_passed_on_notification_has_found_nobody() {
    let (cond, tasks) = (Condition::new(0), Probe::many(3));
    let first = tasks[0].start(cond.wait(cond.try_lock().unwrap()));
    let mut never = tasks[1].start(cond.wait_until(|n| *n == 7));
    let guard = cond.try_lock().unwrap();
    cond.notify(&guard, 1);
    let mut queued = tasks[2].start(cond.lock());
    drop(first);
    drop(guard);
    assert_eq!(wakes(&tasks), [0, 0, 1]);
    drop(tasks[2].ready(&mut queued));
    tasks[1].pends(&mut never);
    assert!(!cond.is_locked());
}
