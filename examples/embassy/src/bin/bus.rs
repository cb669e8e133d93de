//! Two tasks share a bus: `Mutex`, whose guard is kept across waits. Whoever gives up half-way lets the bus go, and the next
//! in line has it.
#![no_std]
#![no_main]

use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::hprintln;
use embassy_executor::Executor;
use embassy_time::Timer;
use static_cell::StaticCell;
use testudo::{Barrier, Mutex, task::timeout};
use testudo_firmware::{pass, start_ticks, tick};

/// The bus's registers, which belong to whoever has the lock.
struct Bus {
    transfers: u32,
}

impl Bus {
    async fn transfer(&mut self, bytes: u64) {
        Timer::after_ticks(bytes).await; // on a board: until the interrupt of the bus comes
        self.transfers += 1;
    }
}

static BUS: Mutex<Bus> = Mutex::new(Bus { transfers: 0 });
static END: Barrier = Barrier::new(2);

#[exception]
fn SysTick() {
    tick();
}

/// Needs two transfers in a row.
#[embassy_executor::task]
async fn display() {
    for frame in 1..=5 {
        let mut bus = BUS.lock().await;
        bus.transfer(3).await; // the command
        bus.transfer(8).await; // the data
        drop(bus);
        hprintln!("frame {}", frame);
    }
    _ = END.wait().await;
}

/// Would rather skip a measurement than be late.
#[embassy_executor::task]
async fn thermometer() {
    let (mut read, mut skipped) = (0, 0);
    while read + skipped < 10 {
        let measurement = async { BUS.lock().await.transfer(2).await };
        match timeout(Timer::after_ticks(9), measurement).await {
            Ok(()) => read += 1,
            Err(_) => skipped += 1,
        }
        Timer::after_ticks(1).await;
    }
    _ = END.wait().await;
    let bus = BUS.try_lock().expect("nobody kept it");
    assert_eq!(bus.transfers, 2 * 5 + read);
    hprintln!("read {}, skipped {}", read, skipped);
    pass();
}

#[entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let mut core = cortex_m::Peripherals::take().unwrap();
    start_ticks(&mut core.SYST, &mut core.SCB, 12_500, 0);
    EXECUTOR.init(Executor::new()).run(|tasks| {
        tasks.spawn(display().unwrap());
        tasks.spawn(thermometer().unwrap());
    })
}
