//! Flows without an allocator: generators that interrupts feed, consumers that give up a wait and come back, ends that await,
//! and queues whose items are counted until they are worked off.
#![no_std]
#![no_main]

use core::{
    error::Error,
    fmt,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering::*},
};

use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::hprintln;
use embassy_time::Timer;
use testudo::{
    ArrayQueue, Event, Semaphore,
    flow::{AsyncGen, Closed, Emitter, Stop, generator, next, try_generator},
    task::{gather, timeout},
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

// ---- a sensor

static SAMPLES: ArrayQueue<u32, 4> = ArrayQueue::new();
static TAKEN: AtomicU32 = AtomicU32::new(0);
static DROPPED: AtomicU32 = AtomicU32::new(0);
/// The sensor is switched on by whoever reads it, and off in the end.
static POWER: Semaphore = Semaphore::new(1);
static SWITCHED_OFF: AtomicU32 = AtomicU32::new(0);

fn sample(_: u32) {
    match SAMPLES.try_put(TAKEN.load(Relaxed)) {
        Ok(()) => count(&TAKEN, 1),
        Err(_) => count(&DROPPED, 1),
    };
}

/// Emits pairs of samples, until the generator is closed; then takes its time to switch the sensor off.
async fn pairs(mut y: Emitter<'_, (u32, u32)>) -> Result<(), Closed> {
    let permit = POWER.try_acquire().expect("one at a time");
    let end = loop {
        let (Ok(first), Ok(second)) = (SAMPLES.get().await, SAMPLES.get().await) else { break Ok(()) };
        if let Err(end) = y.emit((first, second)).await {
            break Err(end);
        }
    };
    Timer::after_ticks(2).await;
    count(&SWITCHED_OFF, 1);
    drop(permit);
    end
}

/// Reads by a consumer that loses its patience, and comes back; sometimes it loses that in the end, too.
async fn sensor() {
    HANDLER.set(sample);
    let (mut expected, mut impatient, mut unclosed) = (0, 0, 0);
    for round in 0..600 {
        let mut all = pin!(generator(pairs));
        for wanted in 0..8_u64 {
            let pair = loop {
                match timeout(Timer::after_ticks(wanted % 3), next(&mut all)).await {
                    Ok(pair) => break pair,
                    Err(_) => impatient += 1,
                }
            };
            // A pair that was made when it was closed is nobody's; otherwise none is missing.
            let (first, second) = pair.expect("it has no end");
            assert!(first >= expected && second == first + 1, "{first} {second}, after {expected}");
            assert!(wanted == 0 || first == expected, "a pair was lost: {first}, not {expected}");
            expected = second + 1;
        }
        if timeout(Timer::after_ticks(round % 3), all.aclose()).await.is_err() {
            unclosed += 1;
            all.aclose().await;
        }
        assert_eq!(SWITCHED_OFF.load(Relaxed) as u64, round + 1);
        assert_eq!(next(&mut all).await, None);
    }
    hprintln!("samples: {}, impatient: {}, closed in two steps: {}", expected, impatient, unclosed);
    assert!(impatient > 50 && unclosed > 20, "too few to prove anything");
}

// ---- errors

#[derive(Debug, PartialEq)]
struct Overheated(u32);

impl fmt::Display for Overheated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "overheated after {}", self.0)
    }
}

impl Error for Overheated {}

static TICK: Event = Event::new();

async fn errors() {
    HANDLER.set(|_| TICK.set());
    for limit in 0..50 {
        let measure = |n| if n < limit { Ok(n) } else { Err(Overheated(n)) };
        let mut all = pin!(try_generator::<u32, Overheated, _>(async |mut y| {
            for n in 0.. {
                TICK.wait().await;
                TICK.clear();
                y.emit(measure(n)?).await?;
            }
            Err(Stop::Closed)
        }));
        // One generator in another one.
        let mut doubled = pin!(generator(async |mut y| {
            while let Some(item) = next(&mut all).await {
                y.emit(item.map(|n| 2 * n)).await?;
            }
            Ok(())
        }));
        for n in 0..limit {
            assert_eq!(next(&mut doubled).await, Some(Ok(2 * n)));
        }
        assert_eq!(next(&mut doubled).await, Some(Err(Overheated(limit))));
        assert_eq!(next(&mut doubled).await, None);
    }
    hprintln!("errors: 50");
}

// ---- items that are worked off

const JOBS: u32 = 600;
static JOBS_TO_DO: ArrayQueue<u32, 4> = ArrayQueue::new();
static BEGUN: ArrayQueue<u32, 8> = ArrayQueue::new();
static SUM: AtomicU32 = AtomicU32::new(0);

/// Hands a job to the device, whose interrupt says when it is done.
#[embassy_executor::task(pool_size = 2)]
async fn worker() {
    let mut jobs = pin!(JOBS_TO_DO.stream());
    while let Some(job) = next(&mut jobs).await {
        BEGUN.put(job).await.unwrap();
    }
}

async fn jobs() {
    HANDLER.set(|round| {
        if round % 3 != 0 {
            return;
        }
        if let Ok(job) = BEGUN.try_get() {
            count(&SUM, job);
            JOBS_TO_DO.task_done().unwrap();
        }
    });
    for first in (0..JOBS).step_by(100) {
        // Two put at once, and are kept waiting.
        let half = |from| JOBS_TO_DO.put_all(from..from + 50);
        assert_eq!(gather((half(first), half(first + 50))).await, (Ok(50), Ok(50)));
        JOBS_TO_DO.join().await;
        let done = first + 100;
        assert_eq!((JOBS_TO_DO.unfinished(), SUM.load(Relaxed)), (0, done * (done - 1) / 2));
    }
    JOBS_TO_DO.close();
    assert!(JOBS_TO_DO.put(0).await.is_err());
    hprintln!("jobs: {}", JOBS);
}

#[embassy_executor::task]
async fn parts() {
    sensor().await;
    errors().await;
    jobs().await;
    pass();
}

#[entry]
fn main() -> ! {
    run(cortex_m::Peripherals::take().unwrap(), |tasks, urgent| {
        urgent.spawn(worker().unwrap());
        tasks.spawn(worker().unwrap());
        tasks.spawn(parts().unwrap());
    })
}
