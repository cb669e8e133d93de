//! Twenty tasks on one mutex, held across a wait; consumers that wait on a condition, each for an amount of its own; a
//! barrier and a lock for many readers. Without an allocator, while interrupts come.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::*};

use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::hprintln;
use embassy_executor::Executor;
use embassy_futures::yield_now;
use embassy_time::Timer;
use static_cell::StaticCell;
use testudo::{Barrier, Condition, Event, Mutex, OnceCell, RwLock};
use testudo_firmware::{count, pass, start_ticks, tick};

const TASKS: usize = 20;
const TURNS: u32 = 200;
const CONSUMERS: u32 = 6;

/// How often each task had the lock.
static COUNTERS: Mutex<[u32; TASKS]> = Mutex::new([0; TASKS]);
static TAKEN_TURNS: AtomicU32 = AtomicU32::new(0);
static START: Barrier = Barrier::new(TASKS);
static FINISHED: AtomicU32 = AtomicU32::new(0);
static ALL: Event = Event::new();

static STOCK: Condition<u32> = Condition::new(0);
static TAKEN: AtomicU32 = AtomicU32::new(0);

static TABLE: RwLock<[u32; 4]> = RwLock::new([0; 4]);
static LIMIT: OnceCell<u32> = OnceCell::new();

fn finished() {
    if count(&FINISHED, 1) == TASKS as u32 + CONSUMERS {
        ALL.set();
    }
}

#[exception]
fn SysTick() {
    tick();
    if let Some(mut stock) = STOCK.try_lock() {
        *stock += 1;
        STOCK.notify(&stock, 1);
    }
}

#[embassy_executor::task(pool_size = TASKS)]
async fn worker(me: usize) {
    START.wait().await.unwrap();
    for turn in 0..TURNS {
        let before = TAKEN_TURNS.load(Relaxed);
        let mut counters = COUNTERS.lock().await;
        // Whoever was ahead of it in line was overtaken four times at most, and so was it.
        let passed = TAKEN_TURNS.load(Relaxed) - before;
        assert!(passed <= 5 * TASKS as u32, "{me} was overtaken {passed} times");
        count(&TAKEN_TURNS, 1);
        counters[me] += 1;
        if turn % 8 == 0 {
            yield_now().await; // the others wait
        }
        drop(counters);
        if me == 0 {
            TABLE.write().await.iter_mut().for_each(|entry| *entry += 1);
        } else {
            let table = TABLE.read().await;
            yield_now().await;
            assert!(table.iter().all(|entry| *entry == table[0]), "seen half-written");
        }
    }
    finished();
}

/// Takes `amount` at a time: nobody else's notification is spent on it.
#[embassy_executor::task(pool_size = CONSUMERS as usize)]
async fn consumer(amount: u32) {
    let limit = *LIMIT
        .get_or_init(async || {
            Timer::after_ticks(5).await;
            40
        })
        .await;
    for _ in 0..limit / amount {
        let mut stock = STOCK.wait_until(move |stock| *stock >= amount).await;
        *stock -= amount;
        count(&TAKEN, amount);
        let left = *stock;
        STOCK.notify(&stock, left as usize);
    }
    finished();
}

#[embassy_executor::task]
async fn judge() {
    ALL.wait().await;
    let counters = COUNTERS.lock().await;
    assert!(counters.iter().all(|turns| *turns == TURNS), "{:?}", *counters);
    assert_eq!(*TABLE.read().await, [TURNS; 4]);
    let taken: u32 = (1..=CONSUMERS).map(|amount| 40 / amount * amount).sum();
    assert_eq!(TAKEN.load(Relaxed), taken);
    hprintln!("{} turns, {} taken", TASKS as u32 * TURNS, taken);
    pass();
}

#[entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let mut core = cortex_m::Peripherals::take().unwrap();
    start_ticks(&mut core.SYST, &mut core.SCB, 300, 0);
    EXECUTOR.init(Executor::new()).run(|tasks| {
        for me in 0..TASKS {
            tasks.spawn(worker(me).unwrap());
        }
        for amount in 1..=CONSUMERS {
            tasks.spawn(consumer(amount).unwrap());
        }
        tasks.spawn(judge().unwrap());
    })
}
