//! Once cells on one thread: reading, setting, initializing, many that wait for one initializer.

use std::future::{pending as never, ready as at_once};
use std::hint::black_box;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Context;

use bumpalo::Bump;
use testudo_benches::entries;
use testudo_benches::harness::{self, Entry, Row, Sample, time};
use testudo_benches::peers::once::*;
use testudo_benches::poll::{other_waker, pending, pinned, ready, waker};

/// Reads a cell that is set.
fn get<O: Once>(n: u64, _: usize) -> Sample {
    let cell = O::new();
    assert!(cell.set(7));
    time(n, || assert_eq!(black_box(&cell).get(), Some(&7)))
}

/// The same of the standard library's.
fn std_get(n: u64, _: usize) -> Sample {
    let cell = OnceLock::from(7_u64);
    time(n, || assert_eq!(black_box(&cell).get(), Some(&7)))
}

/// Makes a cell, sets and drops it.
fn set<O: Once>(n: u64, _: usize) -> Sample {
    time(n, || {
        let cell = O::new();
        assert!(black_box(&cell).set(7));
    })
}

/// Makes a cell and initializes it with a future that is ready.
fn uncontended<O: Once>(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let cell = O::new();
        assert_eq!(ready(pin!(black_box(&cell).get_or_init(at_once(7))), cx), 7);
    })
}

/// One initializer pends, another waits for its turn, the first is dropped, the second initializes.
fn handoff<O: Once>(n: u64, _: usize) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let cell = O::new();
        let mut second = pin!(cell.get_or_init(at_once(7)));
        {
            let mut first = pin!(cell.get_or_init(never()));
            pending(first.as_mut(), cx);
            pending(second.as_mut(), cx);
        }
        assert_eq!(ready(second, cx), 7);
    })
}

/// A wait for the turn is registered and dropped while `others` wait.
fn cancel_waiting<O: Once>(n: u64, others: usize) -> Sample {
    let cell = O::new();
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let theirs = other_waker();
    let others_cx = &mut Context::from_waker(&theirs);
    let arena = Bump::new();
    let mut waits = pinned(&arena, others + 1, |_| cell.get_or_init(never()));
    waits.iter_mut().for_each(|wait| pending(wait.as_mut(), others_cx));
    time(n, || pending(pin!(black_box(&cell).get_or_init(never())), cx))
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new("once/get", "get() of a cell that is set", {
            let mut entries = entries![get: Testudo, Tokio, AsyncLock, Asyncband];
            entries.push(Entry::floor("std OnceLock", std_get));
            entries
        }),
        Row::new("once/set", "a new cell is set and dropped", entries![set: Testudo, Tokio, AsyncLock, Asyncband]),
        Row::new(
            "once/uncontended",
            "a new cell is initialized by a future that is ready, and dropped",
            entries![uncontended: Testudo, Tokio, AsyncLock, Asyncband],
        ),
        Row::new(
            "once/handoff",
            "one initializer pends and is dropped, another that waits for it initializes",
            entries![handoff: Testudo, Tokio, AsyncLock, Asyncband],
        ),
    ];
    for others in [0, 1_000] {
        rows.push(Row {
            arg: others,
            ..Row::new(
                format!("once/cancel_waiting_{others}"),
                "a wait for the turn is registered and dropped while others wait",
                entries![cancel_waiting: Testudo, Tokio, AsyncLock, Asyncband],
            )
        });
    }
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
