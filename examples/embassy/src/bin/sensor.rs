//! A sensor's interrupt wakes a task: `Event`. Two tasks may wait for it, and one that has no time gives up.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::*};

use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::hprintln;
use embassy_executor::Executor;
use embassy_time::Timer;
use static_cell::StaticCell;
use testudo::{Event, task::timeout};
use testudo_firmware::{Irq, pass, start_ticks, tick};

/// The sensor's interrupt. Here SysTick asks for it; on a board the sensor does.
const SENSOR: Irq = Irq(3);

static SAMPLE: AtomicU32 = AtomicU32::new(0);
static READY: Event = Event::new();

#[exception]
unsafe fn DefaultHandler(_: i16) {
    SAMPLE.store(SAMPLE.load(Relaxed) + 1, Relaxed);
    READY.set(); // never waits, masks nothing where there is compare-and-swap
}

#[exception]
fn SysTick() {
    if tick() % 5 == 4 {
        SENSOR.pend();
    }
}

/// Reads each sample.
#[embassy_executor::task]
async fn reader() {
    for expected in 1..=10 {
        READY.wait().await;
        READY.clear(); // before the look: what comes after it sets the event again
        assert_eq!(SAMPLE.load(Relaxed), expected);
        hprintln!("sample {}", expected);
    }
    pass();
}

/// Has patience for two ticks only; the next wait is a new one, nothing is lost by giving up.
#[embassy_executor::task]
async fn watchdog() {
    loop {
        if timeout(Timer::after_ticks(2), READY.wait()).await.is_err() {
            hprintln!("nothing yet");
        }
        Timer::after_ticks(7).await;
    }
}

#[entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let mut core = cortex_m::Peripherals::take().unwrap();
    SENSOR.enable(&mut core.NVIC, 2);
    start_ticks(&mut core.SYST, &mut core.SCB, 12_500, 0);
    EXECUTOR.init(Executor::new()).run(|tasks| {
        tasks.spawn(reader().unwrap());
        tasks.spawn(watchdog().unwrap());
    })
}
