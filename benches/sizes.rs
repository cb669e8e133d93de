//! Bytes and allocations: what a primitive, a wait and a waiter take. Counted, not timed.

use std::alloc::System;
use std::pin::pin;
use std::task::Context;

use bumpalo::Bump;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use testudo_benches::harness::{self, Options, Peer, Role};
use testudo_benches::peers::{barrier, children, condition, event, group, mutex, once, queue, rwlock, semaphore};
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

fn semaphore<S: semaphore::Semaphore>(waits: [usize; 3]) -> Vec<String> {
    let since = Region::new(ALLOCATOR);
    let semaphore = S::new(0);
    line::<S, _>(size_of::<S>(), since, waits, || semaphore.acquire())
}

fn barrier<B: barrier::Barrier>(waits: [usize; 3]) -> Vec<String> {
    let since = Region::new(ALLOCATOR);
    let barrier = B::new(100_000);
    line::<B, _>(size_of::<B>(), since, waits, || barrier.wait())
}

fn once<O: once::Once>(waits: [usize; 3]) -> Vec<String> {
    let since = Region::new(ALLOCATOR);
    let cell = O::new();
    let waker = waker();
    let mut init = pin!(cell.get_or_init(std::future::pending()));
    pending(init.as_mut(), &mut Context::from_waker(&waker));
    line::<O, _>(size_of::<O>(), since, waits, || cell.get_or_init(std::future::pending()))
}

/// How many items the queues of these tables have room for.
const ROOM: usize = 64;

/// Its bytes are those of the two ends; they and the items are on the heap.
fn put<Q: queue::Queue>(waits: [usize; 3]) -> Vec<String> {
    let since = Region::new(ALLOCATOR);
    let (tx, _rx) = Q::open(ROOM);
    while Q::try_put(&tx, queue::Item::of(1)) {}
    line::<Q, _>(size_of::<Q::Tx>() + size_of::<Q::Rx>(), since, waits, || Q::put(&tx, queue::Item::of(1)))
}

/// As `put`; each wait has an end of its own.
fn get<Q: queue::Shared>(waits: [usize; 3]) -> Vec<String> {
    let arena = Bump::with_capacity(4096); // the first waits' ends are not to be counted
    let since = Region::new(ALLOCATOR);
    let (tx, rx) = Q::open(ROOM);
    let end = || arena.alloc(rx.clone());
    let cells = line::<Q, _>(size_of::<Q::Tx>() + size_of::<Q::Rx>(), since, waits, || Q::get(end()));
    drop(tx);
    cells
}

/// A queue as a plain value, which has no ends: what the tables above cannot show of it.
fn in_place() {
    use testudo::ArrayQueue;
    let of = |name: &str, size: usize, put: usize, get: usize| {
        [name.to_owned(), size.to_string(), put.to_string(), get.to_string()].to_vec()
    };
    let header = ["this crate's", "bytes", "put", "get"].map(str::to_owned).to_vec();
    let (small, large) = (ArrayQueue::<u64, ROOM>::new(), ArrayQueue::<queue::Large, ROOM>::new());
    let (word, words) = (testudo::Queue::<u64>::bounded(ROOM), testudo::Queue::<queue::Large>::bounded(ROOM));
    let lines = vec![
        header,
        of("ArrayQueue<u64, 64>", size_of_val(&small), size_of_val(&small.put(1)), size_of_val(&small.get())),
        of(
            "ArrayQueue<[u64; 32], 64>",
            size_of_val(&large),
            size_of_val(&large.put([1; 32])),
            size_of_val(&large.get()),
        ),
        of("Queue<u64>", size_of_val(&word), size_of_val(&word.put(1)), size_of_val(&word.get())),
        of("Queue<[u64; 32]>", size_of_val(&words), size_of_val(&words.put([1; 32])), size_of_val(&words.get())),
    ];
    println!("\nsizes/queue: bytes of queues and their futures");
    harness::print(&lines, Options::from_args().markdown);
}

fn board<B: condition::Board>(waits: [usize; 3]) -> Vec<String> {
    let since = Region::new(ALLOCATOR);
    let board = B::new();
    line::<B, _>(size_of::<B>(), since, waits, || board.reached(1))
}

/// How many children there are in the columns of the tables of children.
const CHILDREN: [usize; 3] = [1, 64, 10_000];

/// The name of a peer, then what `run` allocates for each of so many children: how often, and how many bytes.
fn per_child(name: &str, run: impl Fn(usize) -> Stats) -> Vec<String> {
    let figures = CHILDREN.into_iter().flat_map(|count| {
        let change = run(count);
        let each = |total: usize| format!("{:.2}", total as f64 / count as f64);
        [each(change.allocations + change.reallocations), each(change.bytes_allocated)]
    });
    [name.to_owned()].into_iter().chain(figures).collect()
}

/// A set made of a vector, which is not counted; each child yields once.
fn set<J: children::Join>() -> Vec<String> {
    let waker = waker();
    per_child(J::NAME, |count| {
        let futures: Vec<_> = (0..count).map(|_| yield_once()).collect();
        let region = Region::new(ALLOCATOR);
        let mut all = pin!(J::join(futures));
        while all.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {}
        region.change()
    })
}

async fn yield_once() -> usize {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(1);
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await
}

/// A group of children that yield once; the vector of handles is counted, where there is one.
fn spawned<G: group::Group>() -> Vec<String> {
    let executor = G::executor();
    G::run(&executor, 1, 1);
    per_child(G::NAME, |count| {
        let region = Region::new(ALLOCATOR);
        G::run(&executor, count, 1);
        region.change()
    })
}

/// The tables of children.
fn of_children(options: &Options) {
    let header = ["peer", "allocs/1", "bytes/1", "allocs/64", "bytes/64", "allocs/many", "bytes/many"];
    let header = header.map(str::to_owned).to_vec();
    let title = |row: &str, what: &str| {
        let wanted = options.wants(row);
        if wanted {
            println!("\n{row}: {what}");
        }
        wanted
    };
    if title("sizes/gather", "what a set of N children allocates from its beginning to its end, for each child") {
        use children::{Buffered, Concurrency, Futures, Testudo, Unordered};
        let peers =
            vec![set::<Testudo>(), set::<Futures>(), set::<Unordered>(), set::<Buffered>(), set::<Concurrency>()];
        harness::print(&[vec![header.clone()], peers].concat(), options.markdown);
    }
    if title("sizes/group", "what a group of N children allocates from its beginning to its end, for each child") {
        use group::{JoinSet, Moro, TaskTracker, Testudo, TestudoArray, TestudoSpawned, Unordered};
        let array = spawned_in_places::<TestudoArray<1>, TestudoArray<64>>();
        assert!(array.iter().skip(1).all(|cell| cell == "0.00" || cell == "-"), "sizes/group: it allocates nothing");
        let peers = vec![
            spawned::<Testudo>(),
            array,
            spawned::<TestudoSpawned>(),
            spawned::<JoinSet>(),
            spawned::<TaskTracker>(),
            spawned::<Unordered>(),
            spawned::<Moro>(),
        ];
        harness::print(&[vec![header], peers].concat(), options.markdown);
    }
}

/// As `spawned`, with one place and with 64.
fn spawned_in_places<One: group::Group<Executor = ()>, Many: group::Group<Executor = ()>>() -> Vec<String> {
    One::run(&(), 1, 1); // the thread's waker
    let mut cells = vec![One::NAME.to_owned()];
    for (run, count) in [(One::run as fn(&(), usize, usize) -> usize, 1), (Many::run, 64)] {
        let region = Region::new(ALLOCATOR);
        run(&(), count, 1);
        let change = region.change();
        cells.extend([change.allocations, change.bytes_allocated].map(|n| format!("{:.2}", n as f64 / count as f64)));
    }
    cells.extend(["-", "-"].map(str::to_owned));
    cells
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
                    // The ends of a queue share it on the heap.
                    let unasked = if $row.starts_with("sizes/queue") { 4 } else { 2 };
                    let allocated = lines.last().is_some_and(|line| line.iter().enumerate().any(|(column, cell)| column >= unasked && column != 3 && cell != "0"));
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
    table!(options, "sizes/semaphore", "semaphores",
        semaphore WAITERS => semaphore::Testudo, semaphore::AsyncLock, semaphore::Tokio, semaphore::Asyncband,
            semaphore::Maitake, semaphore::FuturesIntrusiveFair, semaphore::FuturesIntrusiveUnfair;
        semaphore [1, 1, 1] => semaphore::Embassy, semaphore::Saa;
    );
    table!(options, "sizes/barrier", "barriers",
        barrier WAITERS => barrier::Testudo, barrier::AsyncLock, barrier::Tokio, barrier::Asyncband;
    );
    table!(options, "sizes/once", "cells of a u64, and waits for whoever initializes them",
        once WAITERS => once::Testudo, once::Tokio, once::AsyncLock, once::Asyncband;
    );
    table!(options, "sizes/queue_put", "the two ends of a queue of 64 u64, and puts",
        put WAITERS => queue::TestudoArray<u64, ROOM>, queue::Testudo<u64>, queue::AsyncChannel<u64>, queue::Flume<u64>,
            queue::Kanal<u64>, queue::Tokio<u64>, queue::Thingbuf<u64>, queue::Asyncband<u64>, queue::AsyncbandMpsc<u64>;
        put [1, 1, 1] => queue::Embassy<u64, ROOM>;
    );
    table!(options, "sizes/queue_get", "the two ends of a queue of 64 u64, and gets",
        get WAITERS => queue::TestudoArray<u64, ROOM>, queue::Testudo<u64>, queue::AsyncChannel<u64>, queue::Flume<u64>,
            queue::Kanal<u64>, queue::Asyncband<u64>;
        get [1, 1, 1] => queue::Embassy<u64, ROOM>;
    );
    if options.wants("sizes/queue") {
        in_place();
    }
    of_children(&options);
}
