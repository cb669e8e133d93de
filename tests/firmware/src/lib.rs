//! What the programs share: the board (QEMU's lm3s6965evb), its clock, its exit.
#![no_std]

use core::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    panic::PanicInfo,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering::*},
    task::Waker,
};

use cortex_m::peripheral::{NVIC, SCB, SYST, scb::SystemHandler, syst::SystClkSource};
use cortex_m_semihosting::{debug, hprintln};
use critical_section::Mutex;
use embassy_executor::{Executor, Spawner};
#[cfg(feature = "masked")]
use embassy_executor::{InterruptExecutor, SendSpawner};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use static_cell::StaticCell;

/// An interrupt that only software asks for.
#[derive(Clone, Copy, Debug)]
pub struct Irq(pub u16);

// SAFETY: the number is one of the board's, and stays the same.
unsafe impl cortex_m::interrupt::InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

impl Irq {
    /// Sets the priority (0 is the most urgent, 7 the least) and lets it happen.
    pub fn enable(self, nvic: &mut NVIC, priority: u8) {
        // SAFETY: no masked section relies on the priorities.
        unsafe { nvic.set_priority(self, priority << 5) };
        // SAFETY: the same.
        unsafe { NVIC::unmask(self) };
    }

    /// Asks for it.
    pub fn pend(self) {
        NVIC::pend(self);
    }
}

/// Time: interrupts of SysTick, one microsecond of embassy-time each.
pub struct Ticks {
    count: AtomicU32,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static TICKS: Ticks = Ticks {
    count: AtomicU32::new(0),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

impl Driver for Ticks {
    fn now(&self) -> u64 {
        self.count.load(Relaxed).into()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            self.queue.borrow_ref_mut(cs).schedule_wake(at, waker);
        });
    }
}

/// The SysTick handler calls this first. How many there were before.
pub fn tick() -> u32 {
    let before = TICKS.count.load(Relaxed);
    TICKS.count.store(before + 1, Relaxed);
    critical_section::with(|cs| {
        TICKS.queue.borrow_ref_mut(cs).next_expiration(u64::from(before) + 1);
    });
    before
}

/// Changes the clocks between two ticks, from the next one on.
pub fn set_period(reload: u32) {
    // SAFETY: a single register write, and SysTick's handler is the only one at work with it.
    unsafe { (*SYST::PTR).rvr.write(reload) };
}

/// As `tick`, and changes the period, so that it falls on every instruction of a task, and sometimes faster than they can go.
pub fn uneven_tick() -> u32 {
    let before = tick();
    set_period(70 + before * 7 % 200);
    before
}

/// How many there were.
pub fn ticks() -> u32 {
    TICKS.count.load(Relaxed)
}

/// Starts SysTick: an interrupt every `reload + 1` clocks, of this priority.
pub fn start_ticks(syst: &mut SYST, scb: &mut SCB, reload: u32, priority: u8) {
    // SAFETY: no masked section relies on the priorities.
    unsafe { scb.set_priority(SystemHandler::SysTick, priority << 5) };
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(reload);
    syst.clear_current();
    syst.enable_counter();
    syst.enable_interrupt();
}

/// Counts further, also in handlers that interrupt each other: thumbv6m has no add.
pub fn count(counter: &AtomicU32, n: u32) -> u32 {
    critical_section::with(|_| {
        counter.store(counter.load(Relaxed) + n, Relaxed);
        counter.load(Relaxed)
    })
}

/// Runs a future, and counts its polls.
pub async fn counted<F: Future>(polls: &Cell<u32>, fut: F) -> F::Output {
    let mut fut = pin!(fut);
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        fut.as_mut().poll(cx)
    })
    .await
}

/// What handlers do, for one part of a program after the other.
pub struct Handler(Mutex<Cell<fn(u32)>>);

impl Handler {
    /// Does nothing.
    #[allow(clippy::new_without_default)] // nobody needs it
    pub const fn new() -> Self {
        Self(Mutex::new(Cell::new(|_| {})))
    }

    /// Does `handler` from now on.
    pub fn set(&self, handler: fn(u32)) {
        critical_section::with(|cs| self.0.borrow(cs).set(handler));
    }

    /// Does it.
    pub fn call(&self, round: u32) {
        let handler = critical_section::with(|cs| self.0.borrow(cs).get());
        handler(round);
    }
}

/// Of the urgent tasks: less urgent than SysTick.
const EXECUTOR: Irq = Irq(4);

#[cfg(feature = "masked")]
static URGENT: InterruptExecutor = InterruptExecutor::new();

/// Spawns urgent tasks: interrupts may poll waits where masking was asked for. Elsewhere they are tasks as all others.
#[cfg(feature = "masked")]
pub type Urgent = SendSpawner;
/// See above.
#[cfg(not(feature = "masked"))]
pub type Urgent = Spawner;

/// What is left of a DefaultHandler: the urgent tasks' interrupt.
pub fn poll_urgent(irq: i16) {
    assert_eq!(irq, EXECUTOR.0 as i16);
    #[cfg(feature = "masked")]
    // SAFETY: started before anybody pends this interrupt.
    unsafe {
        URGENT.on_interrupt();
    }
}

/// Starts SysTick and the executors.
pub fn run(mut core: cortex_m::Peripherals, spawn: impl FnOnce(Spawner, Urgent)) -> ! {
    static TASKS: StaticCell<Executor> = StaticCell::new();
    #[cfg(feature = "masked")]
    let urgent = {
        // SAFETY: no masked section relies on the priorities.
        unsafe { core.NVIC.set_priority(EXECUTOR, 4 << 5) };
        URGENT.start(EXECUTOR)
    };
    start_ticks(&mut core.SYST, &mut core.SCB, 400, 0);
    TASKS.init(Executor::new()).run(|tasks| {
        #[cfg(not(feature = "masked"))]
        let urgent = tasks;
        spawn(tasks, urgent);
    })
}

/// Ends the program well.
pub fn pass() -> ! {
    hprintln!("pass");
    loop {
        debug::exit(debug::EXIT_SUCCESS);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    hprintln!("{}", info);
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}
