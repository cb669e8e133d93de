//! Two interrupts of different priority set an event, release permits and put into a queue, while tasks in thread mode and
//! (where waits are masked) in an interrupt executor wait, give up and time out. A million interrupts; nothing is lost.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};

use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::hprintln;
use embassy_futures::select::{Either, select};
use embassy_time::Timer;
use testudo::{ArrayQueue, Event, Semaphore, TryPutError};
use testudo_firmware::{Irq, count, pass, poll_urgent, run, ticks, uneven_tick};

const ROUNDS: u32 = 1_000_000;
/// Less urgent than SysTick, more than the interrupt executor.
const SIGNAL: Irq = Irq(3);

/// Set by the interrupts: one for each waiter, which clears it.
static FLAGS: [Event; 4] = [const { Event::new() }; 4];
/// How often each was set, and how much of that its waiter has seen.
static SETS: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
static SEEN: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

static PERMITS: Semaphore = Semaphore::new(0);
static RELEASED: AtomicU32 = AtomicU32::new(0);
static ACQUIRED: AtomicU32 = AtomicU32::new(0);

static QUEUE: ArrayQueue<u32, 8> = ArrayQueue::new();
static PUT: AtomicU32 = AtomicU32::new(0);
static GOT: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU32 = AtomicU32::new(0);

static TIMEOUTS: AtomicU32 = AtomicU32::new(0);
static IN_TIME: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicBool = AtomicBool::new(false);

fn signal(flag: usize) {
    count(&SETS[flag], 1);
    FLAGS[flag].set();
}

#[exception]
fn SysTick() {
    let round = uneven_tick();
    if round >= ROUNDS {
        DONE.store(true, Relaxed);
        FLAGS.iter().for_each(Event::set);
        PERMITS.close();
        QUEUE.close();
        return;
    }
    signal(round as usize % 4);
    if round % 3 == 0 {
        count(&RELEASED, 1);
        PERMITS.add_permits(1);
    }
    match QUEUE.try_put(PUT.load(Relaxed)) {
        Ok(()) => drop(count(&PUT, 1)),
        Err(TryPutError::Full(_)) => drop(count(&REFUSED, 1)),
        Err(TryPutError::Closed(_)) => unreachable!("closed by this handler alone, at the end"),
    }
    if round % 2 == 0 {
        SIGNAL.pend();
    }
}

#[exception]
unsafe fn DefaultHandler(irq: i16) {
    if irq == SIGNAL.0 as i16 {
        signal(ticks() as usize / 2 % 4);
        count(&RELEASED, 1);
        PERMITS.add_permits(1);
    } else {
        poll_urgent(irq);
    }
}

/// Sees every state that is followed by a set: whatever was counted before the set that ended its wait.
#[embassy_executor::task(pool_size = 4)]
async fn flagged(flag: usize) {
    while !DONE.load(Relaxed) {
        FLAGS[flag].wait().await;
        FLAGS[flag].clear();
        SEEN[flag].store(SETS[flag].load(Relaxed), Relaxed);
    }
}

#[embassy_executor::task(pool_size = 3)]
async fn permitted() {
    while let Ok(permit) = PERMITS.acquire_checked(1).await {
        permit.forget();
        count(&ACQUIRED, 1);
    }
}

#[embassy_executor::task]
async fn getter() {
    while let Ok(item) = QUEUE.get().await {
        assert_eq!(item, GOT.load(Relaxed), "out of order");
        GOT.store(item + 1, Relaxed);
        if item % 1000 == 0 {
            Timer::after_ticks(20).await; // meanwhile the queue gets full
        }
    }
}

/// Gives up one wait after the other, also while an interrupt signals it.
#[embassy_executor::task(pool_size = 2)]
async fn impatient(flag: usize, patience: u64) {
    while !DONE.load(Relaxed) {
        match select(FLAGS[flag].wait(), Timer::after_ticks(patience)).await {
            Either::First(()) => count(&IN_TIME, 1),
            Either::Second(()) => count(&TIMEOUTS, 1),
        };
        embassy_futures::yield_now().await;
    }
}

#[embassy_executor::task]
async fn judge() {
    while !DONE.load(Relaxed) {
        Timer::after_ticks(1000).await;
    }
    let is_idle = || (0..4).all(|flag| SETS[flag].load(Relaxed) == SEEN[flag].load(Relaxed));
    let begin = ticks();
    while !is_idle() || PUT.load(Relaxed) != GOT.load(Relaxed) {
        assert!(ticks() - begin < 1000, "a wake-up was lost: {FLAGS:?} {QUEUE:?}");
        Timer::after_ticks(1).await;
    }
    let left = PERMITS.available_permits() as u32;
    assert_eq!(RELEASED.load(Relaxed), ACQUIRED.load(Relaxed) + left, "{PERMITS:?}");
    for (what, counter) in
        [("put", &PUT), ("refused", &REFUSED), ("timeouts", &TIMEOUTS), ("in time", &IN_TIME), ("acquired", &ACQUIRED)]
    {
        hprintln!("{}: {}", what, counter.load(Relaxed));
        assert!(counter.load(Relaxed) > 100, "{what}: too few to prove anything");
    }
    pass();
}

#[entry]
fn main() -> ! {
    let mut core = cortex_m::Peripherals::take().unwrap();
    SIGNAL.enable(&mut core.NVIC, 2);
    run(core, |tasks, urgent| {
        urgent.spawn(flagged(2).unwrap());
        urgent.spawn(flagged(3).unwrap());
        urgent.spawn(permitted().unwrap());
        urgent.spawn(impatient(2, 2).unwrap());
        tasks.spawn(flagged(0).unwrap());
        tasks.spawn(flagged(1).unwrap());
        tasks.spawn(permitted().unwrap());
        tasks.spawn(permitted().unwrap());
        tasks.spawn(getter().unwrap());
        tasks.spawn(impatient(0, 2).unwrap());
        tasks.spawn(judge().unwrap());
    })
}
