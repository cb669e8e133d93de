//! Queues: quick puts and gets, two tasks on one thread, two threads, many getters, and cancellation.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::task::Context;
use std::thread;
use std::time::Duration;

use bumpalo::Bump;
use testudo_benches::entries;
use testudo_benches::harness::{self, Row, Sample, Unit, time};
use testudo_benches::peers::queue::*;
use testudo_benches::poll::{ReadySet, other_waker, pending, pinned, ready, waker};
use testudo_benches::threads;

/// An item is put into an empty queue and got again, each by a future that is polled once.
fn pair<Q: Queue>(n: u64, capacity: usize) -> Sample {
    let (tx, mut rx) = Q::open(capacity);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        ready(pin!(Q::put(black_box(&tx), Q::Item::of(7))), cx);
        assert_eq!(ready(pin!(Q::get(black_box(&mut rx))), cx).item().says(), 7);
    })
}

/// The same without futures.
fn try_pair<Q: Queue>(n: u64, capacity: usize) -> Sample {
    let (tx, mut rx) = Q::open(capacity);
    time(n, || {
        assert!(Q::try_put(black_box(&tx), Q::Item::of(7)));
        assert_eq!(Q::try_get(black_box(&mut rx)).expect("one was put").says(), 7);
    })
}

/// A getter pends, an item is put, the getter has it.
fn handoff<Q: Queue>(n: u64, capacity: usize) -> Sample {
    let (tx, mut rx) = Q::open(capacity);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let mut get = pin!(Q::get(black_box(&mut rx)));
        pending(get.as_mut(), cx);
        assert!(Q::try_put(black_box(&tx), Q::Item::of(7)));
        assert_eq!(ready(get, cx).item().says(), 7);
    })
}

/// A task that puts and a task that gets, on one thread: each goes on until it has to wait.
fn one_thread<Q: Queue>(n: u64, capacity: usize) -> Sample {
    let (tx, mut rx) = Q::open(capacity);
    let (set, wakers) = ReadySet::new(2);
    let mut put = pin!(async {
        for i in 0..n {
            Q::put(&tx, Q::Item::of(i)).await;
        }
    });
    let mut get = pin!(async {
        for i in 0..n {
            assert_eq!(Q::get(&mut rx).await.item().says(), i);
        }
    });
    let mut tasks: [Option<Pin<&mut dyn Future<Output = ()>>>; 2] = [Some(put.as_mut()), Some(get.as_mut())];
    let mut sample = time(1, || {
        wakers.iter().for_each(std::task::Waker::wake_by_ref);
        set.drain(|index| {
            let cx = &mut Context::from_waker(&wakers[index]);
            if tasks[index].as_mut().is_some_and(|task| task.as_mut().poll(cx).is_ready()) {
                tasks[index] = None;
            }
        });
    });
    assert!(tasks.iter().all(Option::is_none), "a wakeup was lost");
    sample.ops = n;
    sample
}

/// Says 0: whoever gets it ends.
const LAST: u64 = 0;

/// Tasks of one thread put, as many of another get, each with an end of its own. Counts what is got until time is up.
fn two_threads<Q: Queue>(millis: u64, tx: &Q::Tx, ends: Vec<Q::Rx>) -> Sample {
    let (tasks, ends) = (ends.len(), Mutex::new(ends));
    let (stop, putter) = (&AtomicBool::new(false), OnceLock::new());
    let task = || {
        let me = thread::current().id();
        let puts = *putter.get_or_init(|| me) == me;
        let rx = if puts { None } else { ends.lock().expect("nobody panics").pop() };
        async move {
            let Some(mut rx) = rx else {
                while !stop.load(Ordering::Relaxed) {
                    Q::put(tx, Q::Item::of(7)).await;
                }
                Q::put(tx, Q::Item::of(LAST)).await;
                return 0;
            };
            let mut items = 0;
            while Q::get(&mut rx).await.item().says() != LAST {
                items += u64::from(!stop.load(Ordering::Relaxed));
            }
            items
        }
    };
    match threads::run(2, tasks, Duration::from_millis(millis), stop, task) {
        Some((each, time)) => Sample::new(each.iter().sum(), time),
        None => Sample::new(0, Duration::ZERO),
    }
}

fn spsc<Q: Queue>(millis: u64, capacity: usize) -> Sample {
    let (tx, rx) = Q::open(capacity);
    two_threads::<Q>(millis, &tx, vec![rx])
}

fn mpmc_2x2<Q: Shared>(millis: u64, capacity: usize) -> Sample {
    let (tx, rx) = Q::open(capacity);
    two_threads::<Q>(millis, &tx, vec![rx.clone(), rx])
}

/// A put is registered at a full queue and dropped while `others` wait.
fn cancel_waiting<Q: Queue>(n: u64, others: usize) -> Sample {
    let (tx, _rx) = Q::open(1);
    while Q::try_put(&tx, Q::Item::of(7)) {}
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let theirs = other_waker();
    let others_cx = &mut Context::from_waker(&theirs);
    let arena = Bump::new();
    let mut waits = pinned(&arena, others, |_| Q::put(&tx, Q::Item::of(7)));
    waits.iter_mut().for_each(|wait| pending(wait.as_mut(), others_cx));
    time(n, || pending(pin!(Q::put(black_box(&tx), Q::Item::of(7))), cx))
}

/// A get that pends is polled again with the same waker.
fn poll_pending<Q: Queue>(n: u64, capacity: usize) -> Sample {
    let (_tx, mut rx) = Q::open(capacity);
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut wait = pin!(Q::get(&mut rx));
    pending(wait.as_mut(), cx);
    time(n, || pending(wait.as_mut(), cx))
}

/// The adapters of bounded queues of `$n` items, behind others that are given.
macro_rules! bounded {
    ($body:ident, $n:literal, $item:ty $(, $more:ty)*) => {
        entries![$body: TestudoArray<$item, $n>, Testudo<$item>, AsyncChannel<$item>, Kanal<$item>, Tokio<$item>,
            Thingbuf<$item>, Asyncband<$item>, AsyncbandMpsc<$item>, Embassy<$item, $n> $(, $more)*]
    };
}

macro_rules! unbounded {
    ($body:ident, $item:ty $(, $more:ty)*) => {
        entries![$body: Testudo<$item>, AsyncChannel<$item>, Flume<$item>, Kanal<$item>, TokioUnbounded<$item>,
            AsyncbandUnbounded<$item> $(, $more)*]
    };
}

/// Rows of one thread, in nanoseconds.
fn quick_rows() -> Vec<Row> {
    let pair_what = "put() and get() of an item, each polled once";
    let try_what = "try_put() and try_get() of an item";
    let task_what = "a task that puts and one that gets, on one thread: for each item";
    let row = |name: &str, what, capacity, entries| Row { arg: capacity, ..Row::new(name, what, entries) };
    vec![
        row("queue/pair_1", pair_what, 1, bounded!(pair, 1, u64, Crossbeam<u64>)),
        row("queue/pair_64", pair_what, 64, bounded!(pair, 64, u64, Flume<u64>, Crossbeam<u64>)),
        row("queue/pair_1024", pair_what, 1024, bounded!(pair, 1024, u64, Flume<u64>, Crossbeam<u64>)),
        row("queue/pair_unbounded", pair_what, UNBOUNDED, unbounded!(pair, u64, CrossbeamSeg<u64>)),
        row("queue/pair_64_of_256_bytes", pair_what, 64, bounded!(pair, 64, Large, Flume<Large>, Crossbeam<Large>)),
        row("queue/pair_unbounded_of_256_bytes", pair_what, UNBOUNDED, unbounded!(pair, Large, CrossbeamSeg<Large>)),
        row("queue/try_1", try_what, 1, bounded!(try_pair, 1, u64, Crossbeam<u64>)),
        row("queue/try_64", try_what, 64, bounded!(try_pair, 64, u64, Flume<u64>, Crossbeam<u64>)),
        row("queue/try_unbounded", try_what, UNBOUNDED, unbounded!(try_pair, u64, CrossbeamSeg<u64>)),
        row("queue/try_64_of_256_bytes", try_what, 64, bounded!(try_pair, 64, Large, Flume<Large>, Crossbeam<Large>)),
        row("queue/one_thread_1", task_what, 1, bounded!(one_thread, 1, u64)),
        row("queue/one_thread_64", task_what, 64, bounded!(one_thread, 64, u64, Flume<u64>)),
        row("queue/one_thread_1024", task_what, 1024, bounded!(one_thread, 1024, u64, Flume<u64>)),
        row("queue/one_thread_unbounded", task_what, UNBOUNDED, unbounded!(one_thread, u64)),
        row(
            "queue/handoff",
            "a getter pends, an item is put, the getter has it",
            64,
            bounded!(handoff, 64, u64, Flume<u64>),
        ),
        row(
            "queue/poll_pending",
            "a second poll of a get that pends, same waker",
            64,
            bounded!(poll_pending, 64, u64, Flume<u64>),
        ),
    ]
}

/// The adapters of which many may get.
macro_rules! shared {
    ($n:literal $(, $more:ty)*) => {
        entries![mpmc_2x2: TestudoArray<u64, $n>, Testudo<u64>, AsyncChannel<u64>, Kanal<u64>, Asyncband<u64>,
            Embassy<u64, $n> $(, $more)*]
    };
}

/// Rows of two threads, in million items a second.
fn thread_rows() -> Vec<Row> {
    let spsc_what = "a task that puts and one that gets, on two threads: items";
    let mpmc_what = "2 tasks that put on one thread and 2 that get on another: items";
    let row = |name: &str, what, capacity, entries| Row {
        unit: Unit::Mops,
        arg: capacity,
        counted: 0,
        ..Row::new(name, what, entries)
    };
    vec![
        row("queue/spsc_1", spsc_what, 1, bounded!(spsc, 1, u64)),
        row("queue/spsc_64", spsc_what, 64, bounded!(spsc, 64, u64, Flume<u64>)),
        row("queue/spsc_1024", spsc_what, 1024, bounded!(spsc, 1024, u64, Flume<u64>)),
        row("queue/spsc_unbounded", spsc_what, UNBOUNDED, unbounded!(spsc, u64)),
        row("queue/spsc_64_of_256_bytes", spsc_what, 64, bounded!(spsc, 64, Large, Flume<Large>)),
        row("queue/mpmc_2x2_1", mpmc_what, 1, shared!(1)),
        row("queue/mpmc_2x2_64", mpmc_what, 64, shared!(64, Flume<u64>)),
        row("queue/mpmc_2x2_1024", mpmc_what, 1024, shared!(1024, Flume<u64>)),
        row(
            "queue/mpmc_2x2_unbounded",
            mpmc_what,
            UNBOUNDED,
            entries![mpmc_2x2: Testudo<u64>, AsyncChannel<u64>, Flume<u64>, Kanal<u64>, AsyncbandUnbounded<u64>],
        ),
    ]
}

/// The rows of this file. flume is left out where the capacity is 1: there it loses wakeups.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = quick_rows();
    for others in [0, 1_000, 100_000] {
        let mut entries = entries![cancel_waiting: TestudoArray<u64, 1>, Testudo<u64>, AsyncChannel<u64>, Kanal<u64>,
            Tokio<u64>, Thingbuf<u64>, Asyncband<u64>, AsyncbandMpsc<u64>];
        if others == 0 {
            entries.extend(entries![cancel_waiting: Embassy<u64, 1>]); // one slot: of many who wait it knows the last
        }
        let what = "a put is registered at a full queue and dropped while others wait";
        rows.push(Row { arg: others, ..Row::new(format!("queue/cancel_waiting_{others}"), what, entries) });
    }
    rows.extend(thread_rows());
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
