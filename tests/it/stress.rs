//! Threads, cancellations and chance. A lost wake-up is a thread that waits for ever: a watchdog ends the process then.
//!
//! `TESTUDO_ROUNDS` is a multiplier of the rounds, or "small" for a twentieth of them.
use core::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use std::{
    io::{Write, stderr},
    process::abort,
    sync::{
        Arc, Barrier, Mutex as StdMutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*},
        mpsc,
    },
    thread,
    time::Instant,
};

use futures_util::future::join_all;
use testudo::{Condition, Event, Mutex, Semaphore, run::block_on};

use crate::support::{Probe, Rng};

mod duels;
mod queue;
mod rwlock;

pub fn rounds(usual: usize) -> usize {
    let times = match std::env::var("TESTUDO_ROUNDS").as_deref() {
        Err(_) if cfg!(miri) => 0.005,
        Err(_) => 1.0,
        Ok("small") => 0.05,
        Ok(number) => number.parse().expect("TESTUDO_ROUNDS is a number or \"small\""),
    };
    ((usual as f64 * times) as usize).max(2)
}

/// Ends the process when nothing has happened for a minute.
struct Watchdog {
    steps: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
}

impl Watchdog {
    fn new(name: &'static str) -> Self {
        let (steps, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, end) = (steps.clone(), done.clone());
        thread::spawn(move || {
            let (mut last, mut since) = (0, Instant::now());
            while !end.load(Relaxed) {
                thread::sleep(Duration::from_millis(50));
                let now = seen.load(Relaxed);
                if now != last {
                    (last, since) = (now, Instant::now());
                } else if since.elapsed() > Duration::from_secs(60) {
                    // Not eprintln, which the test harness would keep to itself.
                    let _ = writeln!(stderr(), "stress_{name}: nothing happened for 60 s after {now} steps");
                    abort();
                }
            }
        });
        Self { steps, done }
    }

    fn step(&self) {
        self.steps.fetch_add(1, Relaxed);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.done.store(true, Relaxed);
    }
}

/// Polls `fut` a few times, at once or after others had a turn, and drops it if it is not ready then.
async fn within<F: Future>(fut: F, mut polls: usize, rng: &mut Rng) -> Option<F::Output> {
    let mut fut = pin!(fut);
    poll_fn(|cx| {
        if let Poll::Ready(output) = fut.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        if rng.one_in(2) {
            thread::yield_now();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// As [`within`], but once in `n` it waits to the end.
async fn perhaps<F: Future>(fut: F, n: usize, rng: &mut Rng) -> Option<F::Output> {
    if rng.one_in(n) {
        return Some(fut.await);
    }
    let polls = rng.below(4);
    within(fut, polls, rng).await
}

fn spin(rng: &mut Rng) {
    match rng.below(4) {
        0 => thread::yield_now(),
        1 => (0..rng.below(200)).for_each(|_| core::hint::spin_loop()),
        _ => {}
    }
}

// ---- Event

/// Everybody who is in line before a pulse is released by it, whoever cancels, comes and polls again meanwhile.
#[test]
fn stress_event_pulse() {
    let (rounds, dog) = (rounds(8_000), Watchdog::new("event_pulse"));
    let (event, turn, stop) = (Event::new(), Barrier::new(4), AtomicBool::new(false));
    thread::scope(|s| {
        for id in 0..2 {
            let (event, turn, dog) = (&event, &turn, &dog);
            s.spawn(move || {
                let mut rng = Rng::new(id + 1);
                for _ in 0..rounds {
                    let n = 1 + rng.below(40);
                    let (tasks, others) = (Probe::many(n), Probe::many(n));
                    let mut waits: Vec<_> = tasks.iter().map(|task| Some(task.start(event.wait()))).collect();
                    turn.wait(); // the pulses come between here
                    for _ in 0..n / 2 {
                        let i = rng.below(n);
                        let gone =
                            waits[i].as_mut().is_some_and(|wait| rng.one_in(2) || others[i].poll(wait).is_ready());
                        if gone {
                            waits[i] = None;
                        }
                        spin(&mut rng);
                    }
                    turn.wait(); // and here
                    for ((task, other), wait) in tasks.iter().zip(&others).zip(&mut waits) {
                        if let Some(wait) = wait {
                            assert!(task.wakes() + other.wakes() > 0, "not woken");
                            other.ready(wait);
                        }
                        assert_eq!((task.kept(), other.kept()), (0, 0));
                    }
                    dog.step();
                    turn.wait();
                }
            });
        }
        for id in 0..2 {
            let (event, turn, stop) = (&event, &turn, &stop);
            s.spawn(move || {
                let mut rng = Rng::new(id + 10);
                for _ in 0..rounds {
                    turn.wait();
                    spin(&mut rng);
                    for _ in 0..1 + rng.below(3) {
                        event.set();
                        event.clear();
                        // A waiter that comes and goes.
                        block_on(within(event.wait(), rng.below(3), &mut rng));
                    }
                    turn.wait();
                    turn.wait();
                }
                stop.store(true, Relaxed);
            });
        }
    });
    assert_eq!(format!("{event:?}"), "Event { set: false, waiters: false }");
}

/// A ring of threads, each of which waits for its own event and sets the next. What was written before is seen after.
#[test]
fn stress_event_ring() {
    let (rounds, dog) = (rounds(50_000), Watchdog::new("event_ring"));
    let events: [Event; 4] = Default::default();
    let data = AtomicUsize::new(0);
    events[0].set();
    thread::scope(|s| {
        for id in 0..4 {
            let (events, data, dog) = (&events, &data, &dog);
            s.spawn(move || {
                let mut rng = Rng::new(id as u64 + 1);
                for round in 0..rounds {
                    match rng.below(3) {
                        0 => events[id].wait_blocking(),
                        1 => block_on(events[id].wait()),
                        _ => block_on(async { while perhaps(events[id].wait(), 3, &mut rng).await.is_none() {} }),
                    }
                    events[id].clear();
                    assert_eq!(data.load(Relaxed), 4 * round + id);
                    data.store(4 * round + id + 1, Relaxed);
                    events[(id + 1) % 4].set();
                    dog.step();
                }
            });
        }
    });
    assert!(events[0].is_set());
}

/// The setters and the waiters race from the first poll on, without a turn to take; the last one frees the event.
#[test]
fn stress_event_set_and_free() {
    let (rounds, dog) = (rounds(40_000), Watchdog::new("event_set_and_free"));
    let mut waiters = vec![];
    for id in 0..2 {
        let (tx, rx) = mpsc::sync_channel::<(Arc<Event>, Arc<AtomicUsize>)>(4);
        let thread = thread::spawn(move || {
            let mut rng = Rng::new(id + 1);
            for (event, data) in rx {
                block_on(async { while perhaps(Event::wait_with(event.clone()), 2, &mut rng).await.is_none() {} });
                drop(event);
                assert_eq!(data.load(Relaxed), 7);
            }
        });
        waiters.push((tx, thread));
    }
    let (tx, rx) = mpsc::sync_channel::<Arc<Event>>(4);
    let setter = thread::spawn(move || rx.into_iter().for_each(|event| event.set()));
    let mut rng = Rng::new(9);
    for _ in 0..rounds {
        let (event, data) = (Arc::new(Event::new()), Arc::new(AtomicUsize::new(0)));
        waiters.iter().for_each(|(tx, _)| tx.send((event.clone(), data.clone())).unwrap());
        spin(&mut rng);
        data.store(7, Relaxed);
        tx.send(event.clone()).unwrap();
        event.set();
        dog.step();
    }
    drop(tx);
    setter.join().unwrap();
    for (tx, thread) in waiters {
        drop(tx);
        thread.join().unwrap();
    }
}

// ---- Mutex

/// Every way to get the lock, and of giving up on it: the data is changed by one at a time, and nobody is left behind.
#[test]
fn stress_mutex_counter() {
    let (rounds, dog) = (rounds(80_000), Watchdog::new("mutex_counter"));
    let lock = Arc::new(Mutex::new(0_usize));
    let (inside, total) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|s| {
        for id in 0..4 {
            let (lock, inside, total, dog) = (&lock, &inside, &total, &dog);
            s.spawn(move || {
                let mut rng = Rng::new(id + 1);
                let count = |data: &mut usize, rng: &mut Rng| {
                    assert!(!inside.swap(true, Relaxed), "two are inside");
                    let before = *data;
                    if rng.one_in(8) {
                        thread::yield_now();
                    }
                    *data = before + 1;
                    assert!(inside.swap(false, Relaxed));
                    total.fetch_add(1, Relaxed);
                };
                for _ in 0..rounds {
                    match rng.below(6) {
                        0 => count(&mut lock.lock_blocking(), &mut rng),
                        1 => count(&mut block_on(lock.lock()), &mut rng),
                        2 => count(&mut block_on(Mutex::lock_with(lock.clone())), &mut rng),
                        3 => {
                            if let Some(mut guard) = lock.try_lock() {
                                count(&mut guard, &mut rng);
                            }
                        }
                        4 => {
                            if let Some(mut guard) = block_on(perhaps(lock.lock(), 4, &mut rng)) {
                                count(&mut guard, &mut rng);
                            }
                        }
                        _ => drop(Probe::new().poll(&mut Box::pin(lock.lock()))),
                    }
                    dog.step();
                }
            });
        }
    });
    assert_eq!(*lock.try_lock().unwrap(), total.load(Relaxed));
    assert_eq!(format!("{lock:?}"), "Mutex { locked: false, waiters: false, .. }");
}

/// Each thread has several places in the line, gives some up, and polls the others with different tasks.
#[test]
fn stress_mutex_many_places() {
    let (rounds, dog) = (rounds(16_000), Watchdog::new("mutex_many_places"));
    let lock = Mutex::new(0_usize);
    let total = AtomicUsize::new(0);
    thread::scope(|s| {
        for id in 0..3 {
            let (lock, total, dog) = (&lock, &total, &dog);
            s.spawn(move || {
                let mut rng = Rng::new(id + 1);
                for _ in 0..rounds {
                    let mut futs: Vec<_> = (0..1 + rng.below(12)).map(|_| Some(Box::pin(lock.lock()))).collect();
                    let task = Probe::new();
                    block_on(poll_fn(|cx| {
                        let mut left = 0;
                        for fut in &mut futs {
                            let Some(place) = fut else { continue };
                            // Sometimes by another task first; the last waker is ours.
                            if rng.one_in(8) {
                                let _ = task.poll(place).map(|mut guard| *guard += 1).map(|()| {
                                    total.fetch_add(1, Relaxed);
                                    *fut = None;
                                });
                            } else if rng.one_in(8) {
                                *fut = None;
                            }
                            let Some(place) = fut else { continue };
                            match place.as_mut().poll(cx) {
                                Poll::Ready(mut guard) => {
                                    *guard += 1;
                                    total.fetch_add(1, Relaxed);
                                    drop(guard);
                                    *fut = None;
                                }
                                Poll::Pending => left += 1,
                            }
                        }
                        dog.step();
                        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
                    }));
                    // A notifier on another thread may be about to wake, and so to drop, the waker that it took.
                    while task.kept() != 0 {
                        thread::yield_now();
                    }
                }
            });
        }
    });
    assert_eq!(*lock.try_lock().unwrap(), total.load(Relaxed));
}

/// Futures that wait in one thread are finished by another, and guards are dropped there.
#[test]
fn stress_mutex_moved_between_threads() {
    let (rounds, dog) = (rounds(40_000), Watchdog::new("mutex_moved"));
    let lock = Arc::new(Mutex::new(0_usize));
    type Moved = Pin<Box<testudo::sync::Lock<'static, usize, Arc<Mutex<usize>>>>>;
    let (tx, rx) = mpsc::sync_channel::<Moved>(3);
    let (rx, given_up) = (Arc::new(StdMutex::new(rx)), Arc::new(AtomicUsize::new(0)));
    let mut threads = vec![];
    for id in 0..2 {
        let (lock, tx) = (lock.clone(), tx.clone());
        threads.push(thread::spawn(move || {
            let (mut rng, task) = (Rng::new(id + 1), Probe::new());
            for _ in 0..rounds {
                let guard = rng.one_in(2).then(|| lock.try_lock()).flatten();
                let mut fut = Box::pin(Mutex::lock_with(lock.clone()));
                match task.poll(&mut fut) {
                    Poll::Ready(mut guard) => *guard += 1,
                    Poll::Pending => tx.send(fut).unwrap(),
                }
                drop(guard);
            }
        }));
        let (rx, dog, given_up) = (rx.clone(), dog.steps.clone(), given_up.clone());
        threads.push(thread::spawn(move || {
            let (mut rng, task, mut held) = (Rng::new(id + 10), Probe::new(), vec![]);
            loop {
                // All are polled again and again: one that is not would keep the others from being served.
                let got = rx.lock().unwrap().recv_timeout(Duration::from_micros(50));
                match got {
                    Ok(fut) if rng.one_in(4) => {
                        drop(fut);
                        given_up.fetch_add(1, Relaxed);
                    }
                    Ok(fut) => held.push(fut),
                    Err(mpsc::RecvTimeoutError::Disconnected) if held.is_empty() => return,
                    Err(_) => {}
                }
                held.retain_mut(|fut: &mut Moved| task.poll(fut).map(|mut guard| *guard += 1).is_pending());
                dog.fetch_add(1, Relaxed);
            }
        }));
    }
    drop((tx, rx));
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*lock.try_lock().unwrap() + given_up.load(Relaxed), 2 * rounds);
}

// ---- Condition

/// A bounded buffer with one condition for both sides, which `notify(1)` is enough for; every item arrives once.
#[test]
fn stress_condition_buffer() {
    const ROOM: usize = 3;
    let (rounds, dog) = (rounds(60_000), Watchdog::new("condition_buffer"));
    let cond = Condition::new(Vec::<usize>::new());
    let got = StdMutex::new(vec![0_u8; 2 * rounds]);
    thread::scope(|s| {
        for id in 0..2 {
            let (cond, got, dog) = (&cond, &got, &dog);
            s.spawn(move || {
                let mut rng = Rng::new(id as u64 + 1);
                for i in 0..rounds {
                    let mut items = match rng.below(4) {
                        0 => cond.wait_until_blocking(|items| items.len() < ROOM),
                        1 => block_on(async {
                            let guard = cond.lock().await;
                            cond.wait_for(guard, |items| items.len() < ROOM).await
                        }),
                        _ => block_on(async {
                            loop {
                                let wait = cond.wait_until(|items: &Vec<usize>| items.len() < ROOM);
                                if let Some(items) = perhaps(wait, 3, &mut rng).await {
                                    break items;
                                }
                            }
                        }),
                    };
                    assert!(items.len() < ROOM);
                    items.push(2 * i + id);
                    cond.notify(&items, 1);
                    drop(items);
                    dog.step();
                }
            });
            s.spawn(move || {
                let mut rng = Rng::new(id as u64 + 10);
                for _ in 0..rounds {
                    let mut items = match rng.below(4) {
                        0 => cond.wait_until_blocking(|items| !items.is_empty()),
                        1 => block_on(async {
                            let guard = cond.lock().await;
                            cond.wait_for(guard, |items| !items.is_empty()).await
                        }),
                        _ => block_on(async {
                            loop {
                                let wait = cond.wait_until(|items: &Vec<usize>| !items.is_empty());
                                if let Some(items) = perhaps(wait, 3, &mut rng).await {
                                    break items;
                                }
                            }
                        }),
                    };
                    let item = items.remove(0);
                    cond.notify(&items, 1);
                    drop(items);
                    got.lock().unwrap()[item] += 1;
                    dog.step();
                }
            });
        }
    });
    assert!(got.into_inner().unwrap().iter().all(|&n| n == 1));
    assert_eq!(format!("{cond:?}"), "Condition { locked: false, waiters: false, .. }");
}

/// Exact accounting of notifications: as many waiters return as were notified, however many are cancelled meanwhile.
#[test]
fn stress_condition_notifications_are_conserved() {
    const WAITERS: usize = 12;
    #[derive(Default)]
    struct State {
        registered: usize,
        returned: usize,
    }
    let (rounds, dog) = (rounds(8_000), Watchdog::new("condition_conserved"));
    let cond = Condition::new(State::default());
    let (turn, busy) = (Barrier::new(4), AtomicUsize::new(0));
    let quiet = AtomicBool::new(false);
    thread::scope(|s| {
        let (cond, turn, busy, quiet, dog) = (&cond, &turn, &busy, &quiet, &dog);
        for _ in 0..2 {
            s.spawn(move || {
                for _ in 0..rounds {
                    turn.wait();
                    block_on(join_all((0..WAITERS / 2).map(|i| async move {
                        let mut guard = cond.lock().await;
                        guard.registered += 1;
                        let mut guard = if i % 2 == 0 {
                            cond.wait(guard).await
                        } else {
                            let mut asked = 0;
                            let later = move |_: &State| {
                                asked += 1;
                                asked > 1
                            };
                            cond.wait_for(guard, later).await
                        };
                        guard.returned += 1;
                    })));
                    turn.wait();
                }
            });
        }
        // Waits, is notified now and then, and gives up most of the time; what it gets to see it gives back.
        s.spawn(move || {
            let mut rng = Rng::new(5);
            for _ in 0..rounds {
                turn.wait();
                while !quiet.load(Acquire) {
                    busy.store(1, SeqCst);
                    if !quiet.load(SeqCst) {
                        let guard = cond.lock_blocking();
                        if let Some(guard) = block_on(within(cond.wait(guard), rng.below(6), &mut rng)) {
                            cond.notify(&guard, 1);
                        }
                    }
                    busy.store(0, SeqCst);
                    spin(&mut rng);
                }
                turn.wait();
            }
        });
        s.spawn(move || {
            let mut rng = Rng::new(6);
            for _ in 0..rounds {
                quiet.store(false, SeqCst);
                *cond.lock_blocking() = State::default();
                turn.wait();
                while cond.lock_blocking().registered < WAITERS {
                    thread::yield_now();
                }
                // All but one are notified, one by one or a few at a time.
                let mut left = WAITERS - 1;
                while left > 0 {
                    let guard = cond.lock_blocking();
                    let n = 1 + rng.below(left.min(3));
                    cond.notify(&guard, n);
                    left -= n;
                    drop(guard);
                    spin(&mut rng);
                }
                while cond.lock_blocking().returned < WAITERS - 1 {
                    thread::yield_now();
                    assert!(cond.lock_blocking().returned < WAITERS, "a notification was doubled");
                }
                quiet.store(true, SeqCst);
                while busy.load(SeqCst) == 1 {
                    thread::yield_now();
                }
                (0..3).for_each(|_| thread::yield_now());
                let guard = cond.lock_blocking();
                assert_eq!(guard.returned, WAITERS - 1, "a notification was doubled");
                cond.notify(&guard, 1);
                drop(guard);
                turn.wait();
                dog.step();
            }
        });
    });
}

/// Two threads notify with references to one guard, while a third cancels waiters and polls others again.
#[test]
fn stress_condition_shared_guard() {
    let (rounds, dog) = (rounds(1_000), Watchdog::new("condition_shared_guard"));
    let mut rng = Rng::new(1);
    let turn = Barrier::new(3);
    for _ in 0..rounds {
        let cond = Condition::new(false);
        let n = 4 + rng.below(20);
        let tasks = Probe::many(n);
        let mut plain = vec![];
        let mut asking = vec![];
        for (i, task) in tasks.iter().enumerate() {
            let guard = cond.try_lock().unwrap();
            if i % 3 == 0 {
                plain.push((i, task.start(cond.wait(guard))));
            } else {
                drop(guard);
                asking.push((i, task.start(cond.wait_until(|go| *go))));
            }
        }
        let mut guard = cond.try_lock().unwrap();
        *guard = true;
        let (shared, turn, cond, tasks) = (&guard, &turn, &cond, &tasks);
        let told = AtomicUsize::new(0);
        let seed = rng.next();
        let (mut plain, mut asking) = thread::scope(|s| {
            for id in 0..2 {
                let told = &told;
                s.spawn(move || {
                    let mut rng = Rng::new(seed + id);
                    turn.wait();
                    for _ in 0..1 + rng.below(4) {
                        let n = 1 + rng.below(2);
                        cond.notify(shared, n);
                        told.fetch_add(n, Relaxed);
                        spin(&mut rng);
                    }
                });
            }
            s.spawn(move || {
                let mut rng = Rng::new(seed + 2);
                turn.wait();
                for _ in 0..rng.below(12) {
                    match rng.below(4) {
                        0 => drop((!asking.is_empty()).then(|| asking.swap_remove(rng.below(asking.len())))),
                        1 => drop((!plain.is_empty()).then(|| plain.swap_remove(rng.below(plain.len())))),
                        _ if !asking.is_empty() => {
                            let at = rng.below(asking.len());
                            let (i, fut) = &mut asking[at];
                            tasks[*i].pends(fut);
                        }
                        _ => spin(&mut rng),
                    }
                }
                (plain, asking)
            })
            .join()
            .unwrap()
        });
        drop(guard);
        let left = plain.len() + asking.len();
        let mut returned = 0;
        // Whoever got the lock lets the next one in. Polling in any order does no harm.
        for _ in 0..=left {
            plain.retain_mut(|(i, fut)| tasks[*i].poll(fut).map(|_guard| returned += 1).is_pending());
            asking.retain_mut(|(i, fut)| tasks[*i].poll(fut).map(|_guard| returned += 1).is_pending());
        }
        assert_eq!(returned, told.into_inner().min(left));
        assert!(!cond.is_locked());
        dog.step();
    }
}

/// Four threads take turns, by blocking and by waiting, and each hands over with one notification.
#[test]
fn stress_condition_turns() {
    let (rounds, dog) = (rounds(12_000), Watchdog::new("condition_turns"));
    let cond = Arc::new(Condition::new(0_usize));
    thread::scope(|s| {
        for id in 0..4 {
            let (cond, dog) = (&cond, &dog);
            s.spawn(move || {
                let mut rng = Rng::new(id as u64 + 1);
                for round in 0..rounds {
                    let mine = 4 * round + id;
                    match rng.below(5) {
                        0 => {
                            let mut guard = cond.wait_until_blocking(move |turn| *turn == mine);
                            *guard += 1;
                            cond.notify(&guard, 1);
                        }
                        1 => {
                            let mut guard = cond.lock_blocking();
                            while *guard != mine {
                                // Without a predicate it may be told in another's stead: it tells the next.
                                guard = cond.wait_blocking(guard);
                                if *guard != mine {
                                    cond.notify_all(&guard);
                                }
                            }
                            *guard += 1;
                            cond.notify_all(&guard);
                        }
                        2 => block_on(async {
                            let mut guard = Condition::wait_until_with(cond.clone(), move |turn| *turn == mine).await;
                            *guard += 1;
                            cond.notify(&guard, 1);
                        }),
                        3 => block_on(async {
                            let guard = cond.lock().await;
                            let mut guard = cond.wait_for(guard, move |turn| *turn == mine).await;
                            *guard += 1;
                            cond.notify(&guard, 1);
                        }),
                        _ => block_on(async {
                            let mut guard = loop {
                                let wait = cond.wait_until(move |turn: &usize| *turn == mine);
                                if let Some(guard) = perhaps(wait, 3, &mut rng).await {
                                    break guard;
                                }
                            };
                            *guard += 1;
                            cond.notify(&guard, 1);
                        }),
                    }
                    dog.step();
                }
            });
        }
    });
    assert_eq!(*cond.lock_blocking(), 4 * rounds);
}

/// Waits are polled on one thread and cancelled on another while the lock is handed about and notifications fly.
#[test]
fn stress_condition_cancelled_by_another_thread() {
    let (rounds, dog) = (rounds(40_000), Watchdog::new("condition_cancelled"));
    let cond = Arc::new(Condition::new(0_usize));
    type Sent = Pin<Box<dyn Future<Output = ()> + Send>>;
    let (tx, rx) = mpsc::sync_channel::<Sent>(8);
    let stop = Arc::new(AtomicBool::new(false));
    let canceller = thread::spawn(move || {
        let mut rng = Rng::new(3);
        let mut held = vec![];
        for fut in rx {
            held.push(fut);
            if held.len() > 6 {
                drop(held.swap_remove(rng.below(held.len())));
            }
            // Some are polled here, with a waker that nobody listens to.
            let task = Probe::new();
            held.retain_mut(|fut| rng.one_in(2) || task.poll(fut).is_pending());
        }
    });
    let notifier = {
        let (cond, stop) = (cond.clone(), stop.clone());
        thread::spawn(move || {
            let mut rng = Rng::new(4);
            while !stop.load(Relaxed) {
                let mut guard = cond.lock_blocking();
                *guard += 1;
                match rng.below(3) {
                    0 => cond.notify_all(&guard),
                    n => cond.notify(&guard, n),
                }
                drop(guard);
                spin(&mut rng);
            }
        })
    };
    let (mut rng, task) = (Rng::new(5), Probe::new());
    for round in 0..rounds {
        let cond2 = cond.clone();
        let mut fut: Sent = match rng.below(4) {
            0 => Box::pin(async move { drop(Condition::lock_with(cond2).await) }),
            1 => Box::pin(async move { drop(Condition::wait_until_with(cond2, move |n| n % 7 == round % 7).await) }),
            2 => Box::pin(async move { drop(Condition::wait_until_with(cond2, |_| false).await) }),
            _ => Box::pin(async move {
                let guard = Condition::lock_with(cond2.clone()).await;
                drop(cond2.wait(guard).await);
            }),
        };
        if task.poll(&mut fut).is_pending() {
            tx.send(fut).unwrap();
        }
        dog.step();
    }
    drop(tx);
    canceller.join().unwrap();
    stop.store(true, Relaxed);
    notifier.join().unwrap();
    assert_eq!(task.kept(), 0);
    assert_eq!(format!("{cond:?}"), "Condition { locked: false, waiters: false, .. }");
    let mut check = pin!(cond.lock());
    assert!(check.as_mut().poll(&mut Context::from_waker(task.waker())).is_ready());
}

/// Permits are conserved: taken singly and in numbers, given back whole and in parts, by acquires that are cancelled.
#[test]
fn stress_semaphore_permits_are_conserved() {
    const PERMITS: usize = 5;
    let watchdog = Arc::new(Watchdog::new("semaphore_permits_are_conserved"));
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let out = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..4)
        .map(|seed| {
            let (semaphore, out, watchdog) = (semaphore.clone(), out.clone(), watchdog.clone());
            thread::spawn(move || {
                let mut rng = Rng::new(seed + 1);
                for _ in 0..rounds(20_000) {
                    let n = if rng.one_in(4) { rng.below(PERMITS) + 1 } else { 1 };
                    let permit = match rng.below(8) {
                        0 => semaphore.try_acquire_many(n),
                        1 => Some(semaphore.acquire_many_blocking(n)),
                        _ => block_on(perhaps(semaphore.acquire_many(n), 3, &mut rng)),
                    };
                    let Some(mut permit) = permit else { continue };
                    assert!(out.fetch_add(n, SeqCst) + n <= PERMITS, "more permits than there are");
                    spin(&mut rng);
                    out.fetch_sub(n, SeqCst);
                    match rng.below(4) {
                        0 => drop(permit.split(n / 2)),
                        1 => {
                            permit.forget();
                            semaphore.add_permits(n);
                        }
                        _ => {}
                    }
                    watchdog.step();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(format!("{semaphore:?}"), "Semaphore { available_permits: 5, waiters: false, closed: false }");
}

/// A semaphore is closed while others take, release and cancel: everybody is told, and nothing is taken from then on.
#[test]
fn stress_semaphore_close() {
    let watchdog = Watchdog::new("semaphore_close");
    for round in 0..rounds(2_000) {
        let semaphore = Arc::new(Semaphore::new(2));
        let out = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..3)
            .map(|seed| {
                let (semaphore, out) = (semaphore.clone(), out.clone());
                thread::spawn(move || {
                    let mut rng = Rng::new(seed + 3 * round as u64 + 1);
                    loop {
                        match block_on(perhaps(semaphore.acquire_checked(1), 2, &mut rng)) {
                            Some(Ok(permit)) => {
                                out.fetch_add(1, SeqCst);
                                spin(&mut rng);
                                out.fetch_sub(1, SeqCst);
                                drop(permit);
                            }
                            Some(Err(_)) => return,
                            None => {}
                        }
                    }
                })
            })
            .collect();
        (0..round % 50).for_each(|_| thread::yield_now());
        assert!(semaphore.close());
        while semaphore.available_permits() < 2 {
            thread::yield_now();
        }
        for _ in 0..10 {
            assert_eq!((semaphore.available_permits(), out.load(SeqCst)), (2, 0), "taken after it was closed");
        }
        for thread in threads {
            thread.join().unwrap();
        }
        watchdog.step();
    }
}
