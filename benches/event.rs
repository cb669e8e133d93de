//! Events and signals on one thread: fast paths, a wait that pends, two tasks in turn, broadcast, cancellation.

use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Context;
use std::time::Duration;

use bumpalo::Bump;
use cpu_time::ThreadTime;
use testudo_benches::entries;
use testudo_benches::harness::{self, Entry, Role, Row, Sample, time};
use testudo_benches::peers::event::*;
use testudo_benches::poll::{other_waker, pending, pinned, ready, waker, wakes};

/// Sets an event that is set.
fn set<E: Event>(n: u64, _: usize) -> Sample {
    let event = E::new();
    event.set();
    time(n, || black_box(&event).set())
}

/// Sets and clears.
fn set_clear<E: Event>(n: u64, _: usize) -> Sample {
    let event = E::new();
    time(n, || {
        black_box(&event).set();
        black_box(&event).clear();
    })
}

/// Waits on an event that is set.
fn wait_set<E: Event>(n: u64, _: usize) -> Sample {
    let event = E::new();
    event.set();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || ready(pin!(black_box(&event).wait()), cx))
}

/// One waiter pends, is signalled, completes.
fn handoff<S: Signal>(n: u64, _: usize) -> Sample {
    let signal = S::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let mut wait = pin!(black_box(&signal).wait());
        pending(wait.as_mut(), cx);
        signal.signal();
        ready(wait, cx);
    })
}

/// Two tasks and two signals; one operation is a round trip. Each poll follows a wake, which is checked at the end.
fn ping_pong<S: Signal>(n: u64, _: usize) -> Sample {
    let (ping, pong) = (S::new(), S::new());
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut left = pin!(async {
        loop {
            ping.signal();
            pong.wait().await;
        }
    });
    let mut right = pin!(async {
        loop {
            ping.wait().await;
            pong.signal();
        }
    });
    pending(right.as_mut(), cx);
    let before = wakes();
    let sample = time(n, || {
        pending(left.as_mut(), cx);
        pending(right.as_mut(), cx);
    });
    assert!(wakes() - before >= 2 * n, "a task was polled without a wake");
    sample
}

/// `waiters` waits on one event are registered, released by one `set`, completed. Time for each waiter.
fn broadcast<E: Event>(n: u64, waiters: usize) -> Sample {
    let groups = 1000_usize.div_ceil(waiters);
    let events: Vec<E> = (0..groups).map(|_| E::new()).collect();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut arena = Bump::new();
    let mut phases = [Duration::ZERO; 3];
    for _ in 0..n {
        let mut waits = pinned(&arena, groups * waiters, |index| events[index / waiters].wait());
        let start = ThreadTime::now();
        waits.iter_mut().for_each(|wait| pending(wait.as_mut(), cx));
        let registered = ThreadTime::now();
        events.iter().for_each(E::set);
        let notified = ThreadTime::now();
        waits.drain(..).for_each(|mut wait| ready(wait.as_mut(), cx));
        let completed = ThreadTime::now();
        phases[0] += registered.duration_since(start);
        phases[1] += notified.duration_since(registered);
        phases[2] += completed.duration_since(notified);
        drop(waits);
        events.iter().for_each(E::clear);
        arena.reset();
    }
    let ops = n * (groups * waiters) as u64;
    let extra = phases.iter().map(|phase| phase.as_secs_f64() * 1e9 / ops as f64).collect();
    Sample { ops, time: phases.iter().sum(), extra }
}

/// A wait is registered and dropped while `others` wait.
fn cancel_waiting<E: Event>(n: u64, others: usize) -> Sample {
    let event = E::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let theirs = other_waker();
    let others_cx = &mut Context::from_waker(&theirs);
    let arena = Bump::new();
    let mut waits = pinned(&arena, others, |_| event.wait());
    waits.iter_mut().for_each(|wait| pending(wait.as_mut(), others_cx));
    time(n, || pending(pin!(black_box(&event).wait()), cx))
}

/// A registered wait is polled again with the same waker.
fn poll_pending<E: Event>(n: u64, _: usize) -> Sample {
    let event = E::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut wait = pin!(event.wait());
    pending(wait.as_mut(), cx);
    time(n, || pending(wait.as_mut(), cx))
}

/// `notify_nobody!(n, primitive, |primitive| notification)`: a notification that finds no waiter.
macro_rules! notify_nobody {
    ($peer:literal, $role:ident, $new:expr, |$primitive:ident| $notify:expr) => {
        Entry {
            peer: $peer,
            role: Role::$role,
            body: |n, _| {
                let primitive = $new;
                time(n, || {
                    let $primitive = black_box(&primitive);
                    $notify;
                })
            },
        }
    };
}

/// Notifies when nobody waits.
fn notify_nobody() -> Vec<Entry> {
    vec![
        Entry {
            peer: "testudo Condition::notify_all",
            role: Role::Own,
            body: |n, _| {
                let condition = testudo::Condition::new(0_u64);
                let guard = condition.try_lock().expect("it is free");
                time(n, || {
                    black_box(&condition).notify_all(&guard);
                })
            },
        },
        notify_nobody!("tokio Notify::notify_waiters", Peer, tokio::sync::Notify::new(), |notify| notify
            .notify_waiters()),
        notify_nobody!("maitake-sync WaitQueue::wake_all", Peer, maitake_sync::WaitQueue::new(), |queue| queue
            .wake_all()),
        notify_nobody!("event-listener notify", Peer, event_listener::Event::new(), |event| event.notify(usize::MAX)),
        notify_nobody!("async-event notify_all", Peer, async_event::Event::new(), |event| event.notify_all()),
        notify_nobody!("asyncband Condvar::notify_all", Peer, asyncband::condvar::Condvar::new(), |condvar| condvar
            .notify_all()),
        notify_nobody!("parking_lot Condvar::notify_all (threads)", Floor, parking_lot::Condvar::new(), |condvar| {
            condvar.notify_all()
        }),
        Entry::floor("one locked read-modify-write", one_rmw),
    ]
}

/// A flag without waiters, set.
fn flag_set(n: u64, _: usize) -> Sample {
    let flag = AtomicBool::new(true);
    time(n, || black_box(&flag).store(true, Ordering::Release))
}

/// A flag without waiters, set and cleared.
fn flag_set_clear(n: u64, _: usize) -> Sample {
    let flag = AtomicBool::new(false);
    time(n, || {
        black_box(&flag).store(true, Ordering::Release);
        black_box(&flag).store(false, Ordering::Release);
    })
}

/// A flag without waiters, read.
fn flag_read(n: u64, _: usize) -> Sample {
    let flag = AtomicBool::new(true);
    time(n, || assert!(black_box(&flag).load(Ordering::Acquire)))
}

/// What each atomic update costs at least on this machine.
fn one_rmw(n: u64, _: usize) -> Sample {
    let word = AtomicU64::new(0);
    time(n, || {
        black_box(&word).fetch_or(1, Ordering::AcqRel);
    })
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new("event/set", "set() of an event that is set, nobody waits", {
            let mut entries =
                entries![set: Testudo, FuturesIntrusive, Asyncband, EventListener, AsyncEvent, TokioFlag, MaitakeFlag];
            entries
                .extend([Entry::floor("AtomicBool", flag_set), Entry::floor("one locked read-modify-write", one_rmw)]);
            entries
        }),
        Row::new("event/set_clear", "set() and clear(), nobody waits", {
            let mut entries = entries![set_clear: Testudo, FuturesIntrusive, Asyncband, EventListener, AsyncEvent,
                TokioFlag, MaitakeFlag, FuturesIntrusiveLocal];
            entries.push(Entry::floor("AtomicBool", flag_set_clear));
            entries
        }),
        Row::new("event/notify_nobody", "a notification to all while nobody waits", notify_nobody()),
        Row::new("event/wait_set", "wait() on an event that is set", {
            let mut entries = entries![wait_set: Testudo, FuturesIntrusive, Asyncband, EventListener, AsyncEvent,
                TokioFlag, MaitakeFlag, FuturesIntrusiveLocal];
            entries.push(Entry::floor("AtomicBool", flag_read));
            entries
        }),
        Row::new(
            "event/handoff",
            "one waiter pends, is signalled, completes, and the event is clear again",
            entries![handoff: Turn<Testudo>, Turn<FuturesIntrusive>, Turn<Asyncband>, Turn<TokioFlag>,
                Turn<MaitakeFlag>, AsyncbandAuto, EventListener, AsyncEvent, Tokio,
                Maitake, Embassy, Saa, Turn<FuturesIntrusiveLocal>],
        ),
        Row::new(
            "event/ping_pong",
            "a round trip of two tasks over two signals (a wait takes its signal)",
            entries![ping_pong: Turn<Testudo>, AsyncbandAuto, EventListener, AsyncEvent, Tokio, Maitake, Embassy, Saa,
                Turn<FuturesIntrusiveLocal>],
        ),
        Row::new(
            "event/ping_pong_manual",
            "a round trip of two tasks over two manual-reset events",
            entries![ping_pong: Turn<Testudo>, Turn<FuturesIntrusive>, Turn<Asyncband>, Turn<EventListener>,
                Turn<AsyncEvent>, Turn<TokioFlag>, Turn<MaitakeFlag>, Turn<FuturesIntrusiveLocal>],
        ),
        Row::new(
            "event/poll_pending",
            "a second poll of a wait that pends, same waker",
            entries![poll_pending: Testudo, FuturesIntrusive, Asyncband, EventListener, AsyncEvent, TokioFlag,
                MaitakeFlag, FuturesIntrusiveLocal],
        ),
    ];
    for (waiters, counted) in [(1, 1), (100, 1), (10_000, 1), (1_000_000, 0)] {
        rows.push(Row {
            columns: &["register", "set", "complete"],
            arg: waiters,
            counted,
            ..Row::new(
                format!("event/broadcast_{waiters}"),
                "waits are registered, released by one set(), completed; time for each of them",
                entries![broadcast: Testudo, FuturesIntrusive, Asyncband, EventListener, AsyncEvent, TokioFlag,
                    MaitakeFlag, FuturesIntrusiveLocal],
            )
        });
    }
    for others in [0, 1_000, 100_000] {
        rows.push(Row {
            arg: others,
            ..Row::new(
                format!("event/cancel_waiting_{others}"),
                "a wait is registered and dropped while others wait",
                entries![cancel_waiting: Testudo, FuturesIntrusive, Asyncband, EventListener, AsyncEvent, TokioFlag,
                    MaitakeFlag, FuturesIntrusiveLocal],
            )
        });
    }
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
