//! What must be finished is, without an allocator: holders of a bus that are cancelled by an interrupt, whose release goes on
//! in the keeper of a static shelter (where waits are masked, in an interrupt executor), and writes that outlive their handles.
#![no_std]
#![no_main]

use core::{
    cell::Cell,
    future::{Future, pending},
    pin::{Pin, pin},
    sync::atomic::{AtomicU32, Ordering::*},
    task::{Context, Poll, ready},
};

use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::hprintln;
use embassy_time::Timer;
use testudo::{
    Event, Mutex, MutexGuard, Semaphore,
    flow::Exit,
    task::{CancelToken, ShelterArray, gather, timeout},
};
use testudo_firmware::{Handler, count, pass, poll_urgent, run, uneven_tick};

static HANDLER: Handler = Handler::new();

#[exception]
fn SysTick() {
    let round = uneven_tick();
    HANDLER.call(round);
}

#[exception]
unsafe fn DefaultHandler(irq: i16) {
    poll_urgent(irq);
}

// ---- guards

/// A device that has to be let off the line, which takes time, before another one may be selected.
struct Bus {
    selected: Option<usize>,
    transfers: u32,
}

static BUS: Mutex<Bus> = Mutex::new(Bus { selected: None, transfers: 0 });

type Held = MutexGuard<'static, Bus>;

/// Lets the device off the line, and then the bus go.
struct Release {
    bus: Option<Held>,
    settled: Timer,
}

fn release(mut bus: Held, exit: Exit) -> Release {
    bus.transfers += 1;
    count(if exit == Exit::Closed { &CLOSED } else { &CANCELLED }, 1);
    Release { bus: Some(bus), settled: Timer::after_ticks(1) }
}

impl Future for Release {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(Pin::new(&mut self.settled).poll(cx));
        let mut bus = self.bus.take().expect("it is polled until it is done");
        assert!(bus.selected.take().is_some(), "released twice");
        count(&RELEASED, 1);
        Poll::Ready(())
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        assert!(self.bus.is_none(), "a release was not finished");
    }
}

const HOLDERS: usize = 3;
const JOBS: usize = 200;
/// Less than there are holders, so that it is full at times.
static SHELTER: ShelterArray<Release, 2> = ShelterArray::new();
/// A token for each job.
static STOPS: [[CancelToken; JOBS]; HOLDERS] = [const { [const { CancelToken::new() }; JOBS] }; HOLDERS];
/// Which job a holder is at.
static AT: [AtomicU32; HOLDERS] = [const { AtomicU32::new(0) }; HOLDERS];
static OPENED: AtomicU32 = AtomicU32::new(0);
static CLOSED: AtomicU32 = AtomicU32::new(0);
static CANCELLED: AtomicU32 = AtomicU32::new(0);
static RELEASED: AtomicU32 = AtomicU32::new(0);
static FULL: AtomicU32 = AtomicU32::new(0);
static DONE: Semaphore = Semaphore::new(0);

/// Selects a device, and talks to it.
async fn job(me: usize) {
    let bus = BUS.lock().await;
    let mut guarded = SHELTER.guard(bus, release);
    let mut bus = loop {
        match guarded {
            Ok(guard) => break guard,
            Err((bus, release)) => {
                count(&FULL, 1);
                // Another one must be able to give its place back: the bus is free meanwhile.
                drop(bus);
                Timer::after_ticks(1).await;
                guarded = SHELTER.guard(BUS.lock().await, release);
            }
        }
    };
    count(&OPENED, 1);
    assert_eq!(bus.selected, None, "the device before it was not released");
    bus.selected = Some(me);
    for _ in 0..3 {
        Timer::after_ticks(1).await; // a transfer: here it is cancelled
        assert_eq!(bus.selected, Some(me));
    }
    bus.close().await; // and here
}

#[embassy_executor::task(pool_size = HOLDERS)]
async fn holder(me: usize) {
    for (number, stop) in (0..).zip(&STOPS[me]) {
        AT[me].store(number, Relaxed);
        _ = stop.run(job(me)).await;
    }
    DONE.add_permits(1);
}

/// Keeps all places for itself now and then, and uses none.
#[embassy_executor::task]
async fn squatter() {
    while DONE.available_permits() < HOLDERS {
        let places = [(); 2].map(|()| SHELTER.guard((), |(), _| unreachable!("it is never closed nor dropped")));
        Timer::after_ticks(3).await;
        for guard in places.into_iter().flatten() {
            let () = guard.defuse();
        }
        Timer::after_ticks(5).await;
    }
    DONE.add_permits(1);
}

/// Drives what is in the shelter, for ever.
#[embassy_executor::task]
async fn keeper() {
    SHELTER.run(pending::<()>()).await;
}

async fn guards() {
    HANDLER.set(|round| {
        let holder = round as usize % HOLDERS;
        if round % 7 == 0 {
            STOPS[holder][AT[holder].load(Relaxed) as usize % JOBS].cancel();
        }
    });
    DONE.acquire_many(HOLDERS + 1).await.forget();
    while !SHELTER.is_empty() {
        Timer::after_ticks(1).await;
    }
    let bus = BUS.lock().await;
    assert_eq!(bus.selected, None);
    let [opened, closed, cancelled, released] = [&OPENED, &CLOSED, &CANCELLED, &RELEASED].map(|of| of.load(Relaxed));
    assert!(opened == closed + cancelled && opened == released && opened == bus.transfers);
    let full = FULL.load(Relaxed);
    hprintln!("guards: {}, closed: {}, cancelled: {}, full: {}", opened, closed, cancelled, full);
    assert!([closed, cancelled, full].iter().all(|n| *n > 20), "too few to prove anything");
}

// ---- shielded writes

static WRITTEN: Event = Event::new();
static BEGUN: AtomicU32 = AtomicU32::new(0);
static FINISHED: AtomicU32 = AtomicU32::new(0);

/// An interrupt says that it is in the memory.
async fn write(page: u32) -> u32 {
    count(&BEGUN, 1);
    for _ in 0..2 {
        WRITTEN.wait().await;
        WRITTEN.clear();
    }
    count(&FINISHED, 1);
    page
}

async fn writes() {
    HANDLER.set(|round| {
        if round % 2 == 0 {
            WRITTEN.set();
        }
    });
    let flash = pin!(ShelterArray::<_, 2>::new());
    let flash = flash.as_ref();
    let [left, returned, refused] = [const { Cell::new(0_u32) }; 3];
    let add = |to: &Cell<u32>| to.set(to.get() + 1);
    let writer = async |patience: u64| {
        for page in 0..300 {
            match flash.shield_pinned(write(page)) {
                Ok(handle) => match timeout(Timer::after_ticks(patience), handle).await {
                    Ok(result) => {
                        assert_eq!(result, Ok(page));
                        add(&returned);
                    }
                    Err(_) => add(&left), // and it goes on
                },
                Err(write) => {
                    add(&refused);
                    drop(write); // it was not begun
                    Timer::after_ticks(1).await;
                }
            }
        }
    };
    flash.run(gather((writer(1), writer(3), writer(9)))).await;
    assert!(flash.is_empty());
    // Without a keeper a handle drives; what it leaves stands still until somebody drains, who may be cancelled too.
    let unfinished = Cell::new(0);
    for page in 0..800 {
        let patience = Timer::after_ticks(u64::from(page) % 6);
        match flash.shield_pinned(write(page)) {
            Ok(handle) => drop(timeout(patience, handle).await),
            Err(_) if timeout(patience, flash.drain()).await.is_err() => add(&unfinished),
            Err(_) => assert!(flash.is_empty()),
        }
    }
    flash.drain().await;
    let (begun, finished) = (BEGUN.load(Relaxed), FINISHED.load(Relaxed));
    assert_eq!(begun, finished, "{flash:?}");
    let [left, returned, refused, unfinished] = [left, returned, refused, unfinished].map(|cell| cell.get());
    hprintln!("writes: {}, left: {}, returned: {}, refused: {}", begun, left, returned, refused);
    hprintln!("drains given up: {}", unfinished);
    assert!([left, returned, refused, unfinished].iter().all(|n| *n > 20), "too few to prove anything");
}

#[embassy_executor::task]
async fn parts() {
    guards().await;
    writes().await;
    pass();
}

#[entry]
fn main() -> ! {
    run(cortex_m::Peripherals::take().unwrap(), |tasks, urgent| {
        urgent.spawn(keeper().unwrap());
        for me in 0..HOLDERS {
            tasks.spawn(holder(me).unwrap());
        }
        tasks.spawn(squatter().unwrap());
        tasks.spawn(parts().unwrap());
    })
}
