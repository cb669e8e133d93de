//! Children, deadlines, requests to stop, and races of all kinds of waits, without an allocator: two interrupts of different
//! priority signal them, meanwhile half of the partners live (where waits are masked) in an interrupt executor.
#![no_std]
#![no_main]

use core::{
    cell::Cell,
    future::{Ready, pending, ready},
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::*},
};

use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::hprintln;
use embassy_futures::{
    select::{Either, Either3, select, select3},
    yield_now,
};
use embassy_time::Timer;
use testudo::{
    ArrayQueue, Barrier, BoundedSemaphore, Event, Mutex, OnceCell, RwLock, Semaphore,
    task::{CancelToken, Cancelled, ReadyBlock, TaskGroupArray, gather, gather_in, timeout, try_gather, try_gather_in},
};
use testudo_firmware::{Handler, Irq, count, counted, pass, poll_urgent, run, ticks, uneven_tick};

/// Less urgent than SysTick, more than the interrupt executor.
const SIGNAL: Irq = Irq(3);

static HANDLER: Handler = Handler::new();

#[exception]
fn SysTick() {
    let round = uneven_tick();
    HANDLER.call(round);
    if round % 3 == 0 {
        SIGNAL.pend();
    }
}

#[exception]
unsafe fn DefaultHandler(irq: i16) {
    if irq == SIGNAL.0 as i16 {
        HANDLER.call(ticks() * 5 + 1);
    } else {
        poll_urgent(irq);
    }
}

/// Counted in a part of the program, which says so at its end.
struct Tally(&'static str, AtomicU32);

impl Tally {
    const fn of(what: &'static str) -> Self {
        Self(what, AtomicU32::new(0))
    }

    fn add(&self, n: u32) {
        count(&self.1, n);
    }

    fn get(&self) -> u32 {
        self.1.load(Relaxed)
    }

    fn tell(&self) {
        hprintln!("{}: {}", self.0, self.get());
        assert!(self.get() > 50, "{}: too few to prove anything", self.0);
    }
}

// ---- gather

const FLAGS: usize = 40;
static FLAGS_OF: [Event; FLAGS] = [const { Event::new() }; FLAGS];
/// For more children than a word has bits.
static READY: ReadyBlock<2> = ReadyBlock::new();

/// A child: is signalled so many times.
async fn flagged(flag: usize, times: u32) -> usize {
    for _ in 0..times {
        FLAGS_OF[flag].wait().await;
        FLAGS_OF[flag].clear();
    }
    flag
}

async fn gathered() {
    HANDLER.set(|round| FLAGS_OF[round as usize * 7 % FLAGS].set());
    for round in 0..400 {
        let few: [_; 8] = core::array::from_fn(|child| flagged(child * 5, 1 + round % 2));
        assert_eq!(gather(few).await, core::array::from_fn(|child| child * 5));
        let all = gather((flagged(1, 2), async { round }, flagged(2, 1))).await;
        assert_eq!(all, (1, round, 2));
    }
    let polls = Cell::new(0);
    for _ in 0..100 {
        let claim = READY.claim().expect("nobody else has it");
        let children: [_; FLAGS] = core::array::from_fn(|child| counted(&polls, flagged(child, 3)));
        let all = gather_in(claim, children);
        assert!(READY.claim().is_none());
        assert_eq!(all.await, core::array::from_fn(|child| child));
    }
    // One for its start, one at most for each time that it was woken.
    assert!(polls.get() <= 100 * FLAGS as u32 * 4, "{} polls", polls.get());
    hprintln!("polls of children: {}", polls.get());
}

/// Counts when it is dropped.
struct OnDrop<'a>(&'a Cell<u32>);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

static FAIL: Event = Event::new();
static FAILED: Tally = Tally::of("failed");
static SUCCEEDED: Tally = Tally::of("succeeded");

async fn errors() {
    HANDLER.set(|round| match round % 11 {
        0 => FAIL.set(),
        _ => FLAGS_OF[round as usize % 3].set(),
    });
    for round in 0..1000 {
        let dropped = Cell::new(0);
        let child = |flag, times| {
            let on_drop = OnDrop(&dropped);
            async move {
                let _on_drop = on_drop;
                match select(FAIL.wait(), flagged(flag, times)).await {
                    Either::First(()) => Err(round),
                    Either::Second(flag) => Ok(flag),
                }
            }
        };
        let result = if round % 2 == 0 {
            try_gather((child(0, 1), child(1, 2), child(2, 1))).await
        } else {
            let claim = READY.claim().expect("nobody else has it");
            try_gather_in(claim, (child(0, 1), child(1, 3), child(2, 2))).await
        };
        assert_eq!(dropped.get(), 3, "they are dropped before it returns");
        match result {
            Ok(all) => {
                assert_eq!(all, (0, 1, 2));
                SUCCEEDED.add(1);
            }
            Err(error) => {
                assert_eq!(error, round);
                FAILED.add(1);
            }
        }
        FAIL.clear();
    }
    FAILED.tell();
    SUCCEEDED.tell();
}

// ---- requests to stop

const TREES: usize = 400;
static STOPS: [CancelToken; TREES] = [const { CancelToken::new() }; TREES];
static TREE: AtomicU32 = AtomicU32::new(0);
static LEFT: Tally = Tally::of("left a token's tree");
static STAYED: Tally = Tally::of("was cancelled in it");
static STOPPED: Tally = Tally::of("partners were stopped");

fn tree() -> &'static CancelToken {
    &STOPS[TREE.load(Relaxed) as usize % TREES]
}

/// Goes from one token to the next, as the interrupts cancel them.
#[embassy_executor::task]
async fn partner() {
    for stop in &STOPS {
        assert_eq!(stop.run(pending::<()>()).await, Err(Cancelled));
        STOPPED.add(1);
    }
}

async fn stops() {
    HANDLER.set(|round| {
        if round % 16 == 15 {
            tree().cancel();
        }
    });
    for number in 0..TREES {
        TREE.store(number as u32, Relaxed);
        let stop = &STOPS[number];
        let mut child = pin!(stop.child());
        let child = child.as_mut().token();
        let mut grandchild = pin!(child.child());
        let grandchild = grandchild.as_mut().token();
        let brief = async {
            let mut brief = pin!(stop.child());
            let brief = brief.as_mut().token();
            timeout(Timer::after_ticks(number as u64 % 16), brief.cancelled()).await
        };
        let all = gather((grandchild.run(pending::<()>()), child.cancelled(), brief, stop.run(async { number })));
        let (run, (), brief, value) = all.await;
        assert_eq!((run, value), (Err(Cancelled), Ok(number)));
        assert!(grandchild.is_cancelled() && child.is_cancelled() && stop.is_cancelled());
        if brief.is_ok() { STAYED.add(1) } else { LEFT.add(1) }
    }
    LEFT.tell();
    STAYED.tell();
    while STOPPED.get() < TREES as u32 {
        Timer::after_ticks(1).await;
    }
    STOPPED.tell();
}

// ---- deadlines

const DOORS: usize = 4;
static DOOR: BoundedSemaphore = BoundedSemaphore::new(DOORS);
static OPENED: Tally = Tally::of("permits added");
static TOO_MANY: Tally = Tally::of("permits refused");
static PASSED: Tally = Tally::of("passed in time");
static LATE: Tally = Tally::of("came too late");

async fn deadlines() {
    HANDLER.set(|round| match (round / 512 % 2, round % 2) {
        (0, 0) => {} // sometimes there are too few, sometimes too many
        _ if DOOR.add_permits(1).is_ok() => OPENED.add(1),
        _ => TOO_MANY.add(1),
    });
    let visitor = async |patience| {
        for _ in 0..1500 {
            match timeout(Timer::after_ticks(patience), DOOR.acquire()).await {
                Ok(permit) => {
                    permit.forget();
                    PASSED.add(1);
                }
                Err(_) => LATE.add(1),
            }
            if patience == 3 {
                Timer::after_ticks(1).await;
            }
        }
    };
    gather([1, 1, 2, 3].map(visitor)).await;
    HANDLER.set(|_| {});
    assert_eq!(DOORS as u32 + OPENED.get(), PASSED.get() + DOOR.available_permits() as u32, "{DOOR:?}");
    for tally in [&OPENED, &TOO_MANY, &PASSED, &LATE] {
        tally.tell();
    }
}

// ---- meetings

const PARTIES: usize = 4;
const MEETINGS: u32 = 300;
static MEETING: Barrier = Barrier::new(PARTIES);
static OPEN: Event = Event::new();
static LED: AtomicU32 = AtomicU32::new(0);
static INDICES: AtomicU32 = AtomicU32::new(0);
static BROKEN: Tally = Tally::of("arrivals at a broken barrier");
static ENDED: Semaphore = Semaphore::new(0);

async fn party(pause: u64) {
    OPEN.wait().await;
    let mut met = 0;
    while met < MEETINGS {
        match MEETING.wait().await {
            Ok(turn) => {
                met += 1;
                count(&LED, turn.is_leader().into());
                count(&INDICES, turn.index as u32);
            }
            Err(_) => BROKEN.add(1),
        }
        Timer::after_ticks(pause).await;
    }
    ENDED.add_permits(1);
}

#[embassy_executor::task(pool_size = 2)]
async fn visitor(pause: u64) {
    party(pause).await;
}

async fn meetings() {
    HANDLER.set(|round| match round % 32 {
        5 => MEETING.abort(),
        6 | 19 => MEETING.reset(),
        _ => {}
    });
    OPEN.set();
    gather((party(0), party(1))).await;
    ENDED.acquire_many(PARTIES).await.forget();
    assert_eq!((LED.load(Relaxed), INDICES.load(Relaxed)), (MEETINGS, MEETINGS * 6), "a round was torn");
    hprintln!("meetings: {}", LED.load(Relaxed));
    BROKEN.tell();
}

// ---- readers and writers

static PAIR: RwLock<(u32, u32)> = RwLock::new((0, 0));
static WRITES: AtomicU32 = AtomicU32::new(0);
static WRITTEN: Tally = Tally::of("written by interrupts");
static BARRED: Tally = Tally::of("barred from writing");
static READERS: Event = Event::new();

async fn reader(times: u32, pause: u64) {
    for _ in 0..times {
        let pair = PAIR.read().await;
        let before = *pair;
        Timer::after_ticks(pause).await;
        assert!(before.0 == before.1 && before == *pair, "written while it was read");
    }
}

#[embassy_executor::task]
async fn steady_reader() {
    READERS.wait().await;
    reader(500, 1).await;
    ENDED.add_permits(1);
}

async fn readers() {
    HANDLER.set(|_| match PAIR.try_write() {
        Some(mut pair) => {
            *pair = (pair.0 + 1, pair.1 + 1);
            count(&WRITES, 1);
            WRITTEN.add(1);
        }
        None => BARRED.add(1),
    });
    READERS.set();
    let writer = async {
        for round in 0..500_u64 {
            let mut pair =
                if round % 2 == 0 { PAIR.write().await } else { PAIR.upgradable_read().await.upgrade().await };
            pair.0 += 1;
            yield_now().await;
            pair.1 += 1;
            count(&WRITES, 1);
            drop(pair);
            Timer::after_ticks(round % 7).await;
        }
    };
    gather((reader(500, 0), reader(300, 1), writer)).await;
    ENDED.acquire().await.forget();
    HANDLER.set(|_| {});
    let (pair, writes) = (*PAIR.read().await, WRITES.load(Relaxed));
    assert_eq!(pair, (writes, writes), "{PAIR:?}");
    WRITTEN.tell();
    BARRED.tell();
}

// ---- values that come once

static CELLS: [OnceCell<u32>; 300] = [const { OnceCell::new() }; 300];
static CELL: AtomicU32 = AtomicU32::new(0);
static SET: Tally = Tally::of("cells set by interrupts");
static MADE: Tally = Tally::of("cells initialized");
static GIVEN_UP: Tally = Tally::of("initializers given up");

async fn cells() {
    HANDLER.set(|round| {
        if round % 5 == 0 && CELLS[CELL.load(Relaxed) as usize].set(round).is_ok() {
            SET.add(1);
        }
    });
    for (number, cell) in (0..).zip(&CELLS) {
        CELL.store(number, Relaxed);
        if number % 2 == 0 {
            Timer::after_ticks(3).await; // nobody has begun
        }
        let patient = cell.get_or_init(async || {
            Timer::after_ticks(1).await;
            MADE.add(1);
            number
        });
        let impatient = async {
            let init = async || {
                Timer::after_ticks(9).await;
                unreachable!("nobody waits for it so long")
            };
            timeout(Timer::after_ticks(2), cell.get_or_init(init)).await.is_err()
        };
        let (given_up, waited, value) = gather((impatient, cell.wait(), patient)).await;
        assert!(waited == value && cell.get() == Some(value));
        GIVEN_UP.add(given_up.into());
    }
    assert_eq!(SET.get() + MADE.get(), CELLS.len() as u32, "each was set once");
    for tally in [&SET, &MADE, &GIVEN_UP] {
        tally.tell();
    }
}

// ---- races

static TICKETS: Semaphore = Semaphore::new(0);
static ITEMS: ArrayQueue<u32, 4> = ArrayQueue::new();
static PUT: AtomicU32 = AtomicU32::new(0);
static SOLD: Tally = Tally::of("tickets sold");
static USED: Tally = Tally::of("races won by a ticket");
static GOT: Tally = Tally::of("races won by an item");
static SEEN: Tally = Tally::of("races won by an event");
static HELD: Tally = Tally::of("races lost with a lock in sight");
static LOCK: Mutex<()> = Mutex::new(());
static RACING: Event = Event::new();
static RACED: AtomicBool = AtomicBool::new(false);

/// Holds the lock now and then, so that others wait for it.
#[embassy_executor::task]
async fn holder() {
    RACING.wait().await;
    while !RACED.load(Relaxed) {
        let guard = LOCK.lock().await;
        Timer::after_ticks(2).await;
        drop(guard);
        Timer::after_ticks(1).await;
    }
    ENDED.add_permits(1);
}

async fn races() {
    HANDLER.set(|round| match round % 3 {
        0 => {
            SOLD.add(1);
            TICKETS.add_permits(1);
        }
        1 => critical_section::with(|_| {
            if ITEMS.try_put(PUT.load(Relaxed)).is_ok() {
                count(&PUT, 1);
            }
        }),
        _ => FLAGS_OF[0].set(),
    });
    RACING.set();
    let used = async || {
        let permit = TICKETS.acquire().await;
        let _guard = LOCK.lock().await; // the permit goes back when this is given up
        permit.forget();
    };
    for _ in 0..4000 {
        match select3(used(), ITEMS.get(), FLAGS_OF[0].wait()).await {
            Either3::First(()) => USED.add(1),
            Either3::Second(item) => {
                assert_eq!(item, Ok(GOT.get()), "lost, or out of order");
                GOT.add(1);
            }
            Either3::Third(()) => {
                FLAGS_OF[0].clear();
                HELD.add(LOCK.is_locked().into());
                SEEN.add(1);
            }
        }
    }
    HANDLER.set(|_| {});
    RACED.store(true, Relaxed);
    ENDED.acquire().await.forget();
    assert_eq!(SOLD.get(), USED.get() + TICKETS.available_permits() as u32, "{TICKETS:?}");
    assert_eq!(PUT.load(Relaxed), GOT.get() + ITEMS.len() as u32, "{ITEMS:?}");
    assert!(LOCK.try_lock().is_some());
    for tally in [&USED, &GOT, &SEEN, &HELD] {
        tally.tell();
    }
}

// ---- groups

/// Its children are spawned by interrupts.
static GROUP: TaskGroupArray<Ready<Result<u32, Cancelled>>, 4> = TaskGroupArray::new();
static SPAWNED: Tally = Tally::of("spawned by interrupts");
static REFUSED: Tally = Tally::of("given back to interrupts");
static MAY_FAIL: AtomicBool = AtomicBool::new(false);
static WHOLE: Tally = Tally::of("groups that ended");
static BROKEN_OFF: Tally = Tally::of("groups that failed");
static STOPPED_EARLY: Tally = Tally::of("groups that an interrupt cancelled");
/// Those that the handler cancels now and then.
static RUNNING: TaskGroupArray<Ready<Result<u32, Cancelled>>, 1> = TaskGroupArray::new();

async fn groups() {
    HANDLER.set(|round| match round % 11 {
        0 if MAY_FAIL.load(Relaxed) => FAIL.set(),
        _ => FLAGS_OF[round as usize % 5].set(),
    });
    for round in 0..600 {
        MAY_FAIL.store(round / 2 % 2 == 0, Relaxed);
        let (dropped, polls) = (Cell::new(0), Cell::new(0));
        let tg = pin!(TaskGroupArray::<_, 4>::new());
        let tg = tg.into_ref();
        let child = |flag, times| {
            let on_drop = OnDrop(&dropped);
            counted(&polls, async move {
                let _on_drop = on_drop;
                match select(FAIL.wait(), flagged(flag, times)).await {
                    Either::First(()) => Err(round),
                    Either::Second(flag) => Ok(flag),
                }
            })
        };
        let body = async {
            let first = [0, 1, 2].map(|flag| tg.spawn_pinned(child(flag, 1 + round % 3)).ok().expect("there is room"));
            drop(tg.spawn_pinned(child(3, 1)).ok().expect("there is room"));
            assert!(tg.spawn_pinned(child(4, 1)).is_err(), "all places are taken");
            let mut sum = 0;
            for handle in first {
                sum += handle.await.map_err(|Cancelled| round)?;
            }
            drop(tg.spawn_pinned(child(4, 1)).ok().expect("three places are free again"));
            Ok(sum)
        };
        let outcome = if round % 2 == 0 {
            tg.run_pinned(body).await
        } else {
            tg.run_in_pinned(READY.claim().expect("nobody else has it"), body).await
        };
        match outcome {
            Ok(sum) => {
                assert_eq!((sum, dropped.get()), (3, 6)); // five that ran, and the one that was given back
                WHOLE.add(1);
            }
            Err(error) => {
                assert_eq!(error.first(), Some(&round));
                assert!(dropped.get() >= 5, "all are dropped before it returns");
                BROKEN_OFF.add(1);
            }
        }
        MAY_FAIL.store(false, Relaxed);
        FAIL.clear();
    }
    HANDLER.set(|round| match GROUP.spawn(ready(Ok(round))) {
        Ok(handle) => {
            drop(handle);
            SPAWNED.add(1);
        }
        Err(_) => REFUSED.add(1),
    });
    for round in 1..300 {
        let many = SPAWNED.get() + 3;
        let body = async {
            while SPAWNED.get() < many {
                yield_now().await;
            }
            Ok(round)
        };
        assert_eq!(GROUP.run(body).await.ok(), Some(round));
        assert!(GROUP.is_empty());
    }
    HANDLER.set(|round| {
        if round % 7 == 0 {
            RUNNING.cancel();
        }
    });
    for _ in 0..100 {
        assert!(RUNNING.run(pending::<Result<(), Cancelled>>()).await.is_err());
        STOPPED_EARLY.add(1);
    }
    for tally in [&SPAWNED, &REFUSED, &WHOLE, &BROKEN_OFF, &STOPPED_EARLY] {
        tally.tell();
    }
}

#[embassy_executor::task]
async fn parts() {
    gathered().await;
    errors().await;
    groups().await;
    stops().await;
    deadlines().await;
    meetings().await;
    readers().await;
    cells().await;
    races().await;
    pass();
}

#[entry]
fn main() -> ! {
    let mut core = cortex_m::Peripherals::take().unwrap();
    SIGNAL.enable(&mut core.NVIC, 2);
    run(core, |tasks, urgent| {
        urgent.spawn(partner().unwrap());
        urgent.spawn(visitor(0).unwrap());
        tasks.spawn(visitor(2).unwrap());
        urgent.spawn(steady_reader().unwrap());
        urgent.spawn(holder().unwrap());
        tasks.spawn(parts().unwrap());
    })
}
