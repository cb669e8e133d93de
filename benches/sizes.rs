//! Bytes and allocations: what a primitive, a wait and a waiter take. Counted, not timed.

use std::alloc::System;
use std::pin::pin;
use std::task::Context;

use bumpalo::Bump;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use testudo_benches::harness::{self, Options, Peer, Role};
use testudo_benches::peers::{condition, event, mutex, rwlock};
use testudo_benches::poll::{Pinned, pending, pinned, ready, waker};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Heap allocations and heap bytes still held since `region` began.
fn heap(region: &Region<'_, System>) -> (usize, isize) {
    let change = region.change();
    let bytes = change.bytes_allocated as isize - change.bytes_deallocated as isize;
    (change.allocations + change.reallocations, bytes)
}

/// One line: the primitive and the heap it holds after its first wait, that wait, allocations of the first and the
/// second wait, heap bytes for each of N waiters.
fn line<P: Peer, F: Future>(
    size: usize,
    since: Region<'_, System>,
    waits: [usize; 3],
    mut wait: impl FnMut() -> F,
) -> Vec<String> {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    let mut allocations = [0; 2];
    for count in &mut allocations {
        let region = Region::new(ALLOCATOR);
        pending(pin!(wait()), cx);
        *count = heap(&region).0;
    }
    let own = heap(&since).1;
    let cells = [size, own as usize, size_of::<F>(), allocations[0], allocations[1]].map(|cell| cell.to_string());
    let mut cells: Vec<String> = [P::NAME.to_owned()].into_iter().chain(cells).collect();
    for count in waits {
        let arena = Bump::new();
        let mut waits: Vec<Pinned<'_, F>> = pinned(&arena, count, |_| wait());
        let region = Region::new(ALLOCATOR);
        waits.iter_mut().for_each(|wait| pending(wait.as_mut(), cx));
        cells.push(format!("{:.0}", heap(&region).1 as f64 / count as f64));
    }
    cells
}

fn event<E: event::Event>(waits: [usize; 3]) -> Vec<String> {
    let since = Region::new(ALLOCATOR);
    let event = E::new();
    line::<E, _>(size_of::<E>(), since, waits, || event.wait())
}

fn signal<S: event::Signal>(waits: [usize; 3]) -> Vec<String> {
    let since = Region::new(ALLOCATOR);
    let signal = S::new();
    line::<S, _>(size_of::<S>(), since, waits, || signal.wait())
}

fn mutex<M: mutex::Mutex>(waits: [usize; 3]) -> Vec<String> {
    let since = Region::new(ALLOCATOR);
    let mutex = M::new();
    let _held = mutex.try_lock().expect("it is free");
    line::<M, _>(size_of::<M>(), since, waits, || mutex.lock())
}

fn rwlock<L: rwlock::RwLock>(waits: [usize; 3]) -> Vec<String> {
    let since = Region::new(ALLOCATOR);
    let lock = L::new();
    let waker = waker();
    let _held = ready(pin!(lock.write()), &mut Context::from_waker(&waker));
    line::<L, _>(size_of::<L>(), since, waits, || lock.read())
}

fn board<B: condition::Board>(waits: [usize; 3]) -> Vec<String> {
    let since = Region::new(ALLOCATOR);
    let board = B::new();
    line::<B, _>(size_of::<B>(), since, waits, || board.reached(1))
}

/// How many wait at once in the last three columns (fewer where a peer cannot).
const WAITERS: [usize; 3] = [1, 100, 10_000];

/// Prints one table: its title and the lines of these adapters.
macro_rules! table {
    ($options:expr, $row:literal, $what:literal, $($line:ident $waits:expr => $($peer:ty),+);+ $(;)?) => {
        if $options.wants($row) {
            let header = ["peer", "bytes", "own heap", "wait", "1st wait", "2nd wait"].map(str::to_owned);
            let columns = ["heap/1", "heap/100", "heap/many"].map(str::to_owned);
            let mut lines = vec![header.into_iter().chain(columns).collect::<Vec<_>>()];
            $($(
                lines.push($line::<$peer>($waits));
                if <$peer>::ROLE == Role::Own {
                    let allocated = lines.last().is_some_and(|line| line.iter().enumerate().any(|(column, cell)| ![0, 1, 3].contains(&column) && cell != "0"));
                    assert!(!allocated, "{}: this crate allocates nothing", $row);
                }
            )+)+
            println!("\n{}: {}", $row, $what);
            harness::print(&lines, $options.markdown);
        }
    };
}

fn main() {
    let options = Options::from_args();
    table!(options, "sizes/event", "manual-reset events",
        event WAITERS => event::Testudo, event::FuturesIntrusive, event::Asyncband, event::EventListener,
            event::AsyncEvent, event::TokioFlag, event::MaitakeFlag;
    );
    table!(options, "sizes/signal", "signals that one wait takes",
        signal WAITERS => event::AsyncbandAuto, event::Tokio, event::Maitake;
        signal [1, 1, 1] => event::Embassy, event::Saa;
    );
    table!(options, "sizes/mutex", "mutexes around a u64",
        mutex WAITERS => mutex::Testudo, mutex::AsyncLock, mutex::Tokio, mutex::Asyncband, mutex::Maitake,
            mutex::FuturesIntrusiveFair, mutex::FuturesUtil, mutex::Embassy;
        mutex [1, 1, 1] => mutex::Saa;
    );
    table!(options, "sizes/rwlock", "readers-writer locks around a u64, and reads",
        rwlock WAITERS => rwlock::Testudo, rwlock::AsyncLock, rwlock::Tokio, rwlock::Asyncband, rwlock::Maitake;
        rwlock [1, 1, 1] => rwlock::Embassy, rwlock::Saa;
    );
    table!(options, "sizes/condition", "a u64 and waits for a value",
        board [1, 100, 1_000] => condition::Testudo, condition::Asyncband, condition::AsyncEvent, condition::Embassy,
            condition::FuturesIntrusive, condition::FuturesIntrusiveEvent, condition::TokioNotify,
            condition::TokioWatch, condition::Maitake, condition::EventListener;
    );
}
