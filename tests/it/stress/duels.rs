//! One signal a round, while a third thread works on the list.
use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};
use std::{
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::*},
    },
    thread,
};

use testudo::{Condition, Event, Mutex, run::block_on};

use super::{Watchdog, rounds, spin};
use crate::support::{Probe, Rng};

/// One thread waits, one signals it exactly once a round, and a third works on the list all the time, so that the signaller
/// finds the flag taken and leaves its request to the other.
struct Duel {
    registered: AtomicUsize,
    done: AtomicUsize,
    stop: AtomicBool,
}

impl Duel {
    /// `wait` gets in line, calls its argument, and waits; `signal` lets it go on, once; `work` is called all the time.
    fn fight(
        name: &'static str,
        usual: usize,
        wait: impl Fn(usize, &dyn Fn()) + Sync,
        signal: impl Fn(usize) + Sync,
        work: impl FnOnce(&dyn Fn() -> bool) + Send,
    ) {
        let (rounds, dog) = (rounds(usual), Watchdog::new(name));
        let duel = Self { registered: AtomicUsize::new(0), done: AtomicUsize::new(0), stop: AtomicBool::new(false) };
        let duel = &duel;
        thread::scope(|s| {
            s.spawn(|| {
                for round in 1..=rounds {
                    wait(round, &|| duel.registered.store(round, Release));
                    duel.done.store(round, Release);
                    dog.step();
                }
                duel.stop.store(true, Relaxed);
            });
            s.spawn(|| {
                for round in 1..=rounds {
                    while duel.registered.load(Acquire) < round {
                        core::hint::spin_loop();
                        thread::yield_now();
                    }
                    signal(round);
                    while duel.done.load(Acquire) < round {
                        thread::yield_now();
                    }
                }
            });
            s.spawn(|| work(&|| !duel.stop.load(Relaxed)));
        });
    }
}

/// Registers `fut`, says so, and sleeps until it is ready.
fn wait_for_signal<F: Future>(fut: F, registered: &dyn Fn()) -> F::Output {
    let mut fut = pin!(fut);
    let mut first = true;
    block_on(poll_fn(|cx| {
        let poll = fut.as_mut().poll(cx);
        if core::mem::take(&mut first) {
            registered();
        }
        poll
    }))
}

/// Polls all again and again, with two wakers in turn; those that are ready begin anew, and some are given up.
fn churn<F: Future>(going: &dyn Fn() -> bool, make: impl Fn() -> F) {
    let (mut rng, tasks) = (Rng::new(1), Probe::many(2));
    let mut futs: Vec<_> = (0..3).map(|_| Box::pin(make())).collect();
    while going() {
        for task in &tasks {
            for fut in &mut futs {
                if task.poll(fut).is_ready() || rng.one_in(16) {
                    fut.set(make());
                }
            }
        }
    }
}

#[test]
fn stress_event_signals_meet_list_work() {
    let event = Event::new();
    Duel::fight(
        "event_signals_meet_list_work",
        15_000,
        |_, registered| {
            while event.is_set() {
                thread::yield_now(); // the last one is not cleared yet
            }
            wait_for_signal(event.wait(), registered);
        },
        |_| {
            event.set();
            event.clear();
        },
        |going| churn(going, || event.wait()),
    );
}

#[test]
fn stress_mutex_signals_meet_list_work() {
    let lock = Mutex::new(());
    let held = StdMutex::new(None);
    Duel::fight(
        "mutex_signals_meet_list_work",
        50_000,
        |_, registered| {
            let guard = lock.lock_blocking();
            held.lock().unwrap().replace(guard);
            drop(wait_for_signal(lock.lock(), registered));
        },
        |_| {
            let guard = held.lock().unwrap().take();
            drop(guard);
        },
        |going| churn(going, || lock.lock()),
    );
}

#[test]
fn stress_condition_signals_meet_list_work() {
    let cond = Condition::new(0);
    Duel::fight(
        "condition_signals_meet_list_work",
        50_000,
        |round, registered| {
            if round % 2 == 0 {
                let guard = cond.lock_blocking();
                drop(wait_for_signal(cond.wait(guard), registered));
            } else {
                drop(wait_for_signal(cond.wait_until(move |n| *n == round), registered));
            }
        },
        |round| {
            let mut guard = cond.lock_blocking();
            *guard = round;
            cond.notify(&guard, 1);
        },
        |going| churn(going, || cond.wait_until(|_| false)),
    );
}

/// As above, and the third is notified too, cannot use it, and has to pass it on.
#[test]
fn stress_condition_notifications_pass_through_waiters_that_give_up() {
    let cond = Condition::new(0);
    Duel::fight(
        "condition_notifications_pass_through",
        50_000,
        |_, registered| {
            let guard = cond.lock_blocking();
            drop(wait_for_signal(cond.wait(guard), registered));
        },
        |_| {
            let guard = cond.lock_blocking();
            cond.notify(&guard, 1);
        },
        |going| {
            let (mut rng, tasks) = (Rng::new(1), Probe::many(2));
            while going() {
                let Some(guard) = cond.try_lock() else { continue };
                let mut wait = Box::pin(cond.wait(guard));
                let polls = rng.below(6);
                let got = (0..polls).any(|i| match tasks[i % 2].poll(&mut wait) {
                    Poll::Ready(guard) => {
                        cond.notify(&guard, 1);
                        true
                    }
                    Poll::Pending => false,
                });
                if !got && rng.one_in(3) {
                    spin(&mut rng);
                }
            }
        },
    );
}
