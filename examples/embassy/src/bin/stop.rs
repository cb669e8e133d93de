//! A button stops the device, and each task ends in its own way: `CancelToken`. One drops what it does at once; one ends
//! its round first, and then parks its motor.
#![no_std]
#![no_main]

use core::{future::pending, pin::pin};

use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::hprintln;
use embassy_executor::Executor;
use embassy_time::Timer;
use static_cell::StaticCell;
use testudo::{
    Barrier,
    task::{CancelToken, Cancelled, timeout},
};
use testudo_firmware::{Irq, pass, start_ticks, tick};

/// The button's interrupt. Here SysTick asks for it.
const BUTTON: Irq = Irq(3);

static STOP: CancelToken = CancelToken::new();
static ENDED: Barrier = Barrier::new(3);

#[exception]
unsafe fn DefaultHandler(_: i16) {
    STOP.cancel(); // wakes all who look at it; a second time does nothing
}

#[exception]
fn SysTick() {
    if tick() >= 50 {
        BUTTON.pend();
    }
}

/// Is dropped where it stands.
#[embassy_executor::task]
async fn radio() {
    let listen = async {
        loop {
            Timer::after_ticks(7).await;
            hprintln!("radio: a packet");
        }
    };
    assert_eq!(STOP.run(listen).await, Err::<(), _>(Cancelled));
    hprintln!("radio: off");
    _ = ENDED.wait().await;
}

/// Looks at the token where it can end, and cleans up.
#[embassy_executor::task]
async fn motor() {
    let mut position = 0;
    while !STOP.is_cancelled() {
        position += 1;
        Timer::after_ticks(9).await;
        position += 1;
    }
    assert_eq!(position % 2, 0, "it ended its round");
    Timer::after_ticks(10).await;
    hprintln!("motor: parked after {}", position);
    _ = ENDED.wait().await;
}

/// A job with an end of its own, which does not stop the device, but ends with it.
#[embassy_executor::task]
async fn blink() {
    let mut job = pin!(STOP.child());
    let job = job.as_mut().token();
    if timeout(Timer::after_ticks(20), job.run(pending::<()>())).await.is_err() {
        job.cancel(); // the job, and what it has begun, alone
    }
    assert!(job.is_cancelled() && !STOP.is_cancelled());
    STOP.cancelled().await;
    _ = ENDED.wait().await;
    pass();
}

#[entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let mut core = cortex_m::Peripherals::take().unwrap();
    BUTTON.enable(&mut core.NVIC, 2);
    start_ticks(&mut core.SYST, &mut core.SCB, 12_500, 0);
    EXECUTOR.init(Executor::new()).run(|tasks| {
        tasks.spawn(radio().unwrap());
        tasks.spawn(motor().unwrap());
        tasks.spawn(blink().unwrap());
    })
}
