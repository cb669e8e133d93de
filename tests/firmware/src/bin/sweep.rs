//! An interrupt after every single instruction of each list operation: what is stopped half-way keeps nobody asleep, and the
//! handler's signal is not lost. The emulator counts instructions, of which one takes longer than a clock of SysTick.
#![no_std]
#![no_main]

use core::{
    cell::Cell,
    future::Future,
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, AtomicU32, Ordering::*},
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};

use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::hprintln;
use critical_section::Mutex as Masked;
use testudo::{ArrayQueue, Condition, Event, Mutex, RwLock, Semaphore};
use testudo_firmware::{pass, start_ticks, tick};

static HANDLER: Masked<Cell<fn()>> = Masked::new(Cell::new(|| {}));
/// The operation is under way.
static DURING: AtomicBool = AtomicBool::new(false);
/// How often the interrupt came during an operation.
static HITS: AtomicU32 = AtomicU32::new(0);
static WAKES: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // SAFETY: a single register write, and nobody else is at work with it.
    unsafe { (*SYST::PTR).csr.write(0) };
    SCB::clear_pendst(); // it may have ticked again before that
    tick();
    if DURING.load(Relaxed) {
        HITS.store(HITS.load(Relaxed) + 1, Relaxed);
    }
    critical_section::with(|cs| HANDLER.borrow(cs).get())();
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| RawWaker::new(data, &VTABLE),
    |_| WAKES.store(WAKES.load(Relaxed) + 1, Relaxed),
    |_| WAKES.store(WAKES.load(Relaxed) + 1, Relaxed),
    |_| {},
);

fn poll<F: Future>(fut: Pin<&mut F>) -> Poll<F::Output> {
    // SAFETY: the functions of the table do not look at the pointer.
    let waker = unsafe { Waker::from_raw(RawWaker::new(core::ptr::null(), &VTABLE)) };
    fut.poll(&mut Context::from_waker(&waker))
}

/// Runs `round` with the interrupt one clock later each time, until it came too late for the operation often enough.
fn sweep(what: &str, handler: fn(), mut round: impl FnMut(&mut dyn FnMut(&mut dyn FnMut()))) {
    critical_section::with(|cs| HANDLER.borrow(cs).set(handler));
    let (before, mut late) = (HITS.load(Relaxed), 0);
    let mut clocks = 1;
    while late < 20 {
        let hits = HITS.load(Relaxed);
        round(&mut |operation| {
            let mut core = CORE.take();
            start_ticks(&mut core.SYST, &mut core.SCB, clocks, 0);
            DURING.store(true, Relaxed);
            operation();
            DURING.store(false, Relaxed);
            while core.SYST.is_counter_enabled() {}
        });
        late = if HITS.load(Relaxed) == hits { late + 1 } else { 0 };
        clocks += 1;
        assert!(clocks < 100_000, "{what}: the operation does not end");
    }
    let hits = HITS.load(Relaxed) - before;
    hprintln!("{}: interrupted at {} instants", what, hits);
    assert!(hits > 30, "{what}: too few to prove anything");
}

/// The core's registers, anew for each use: the program is alone.
struct Core;
static CORE: Core = Core;
impl Core {
    fn take(&self) -> cortex_m::Peripherals {
        // SAFETY: the handler above writes one register of SysTick's, at the end of what this is used for.
        unsafe { cortex_m::Peripherals::steal() }
    }
}

static EVENT: Event = Event::new();
static PERMITS: Semaphore = Semaphore::new(0);
static LOCK: Mutex<u32> = Mutex::new(0);
static SHARED: RwLock<u32> = RwLock::new(0);
static BOARD: Condition<u32> = Condition::new(0);
static QUEUE: ArrayQueue<u32, 2> = ArrayQueue::new();

fn events() {
    sweep(
        "wait x set",
        || EVENT.set(),
        |interrupted| {
            EVENT.clear();
            let mut wait = pin!(EVENT.wait());
            let (mut first, wakes) = (Poll::Pending, WAKES.load(Relaxed));
            interrupted(&mut || first = poll(wait.as_mut()));
            if first.is_pending() {
                assert_eq!(WAKES.load(Relaxed), wakes + 1, "lost");
                assert!(poll(wait).is_ready());
            }
        },
    );
    sweep(
        "drop x set",
        || EVENT.set(),
        |interrupted| {
            EVENT.clear();
            let mut others = [const { None }; 3].map(|_: Option<()>| EVENT.wait());
            // SAFETY: the array stays where it is until the end of the round.
            let mut others = others.each_mut().map(|wait| unsafe { Pin::new_unchecked(wait) });
            for wait in &mut others[..2] {
                assert!(poll(wait.as_mut()).is_pending());
            }
            {
                let mut dropped = core::pin::pin!(Some(EVENT.wait()));
                assert!(poll(dropped.as_mut().as_pin_mut().unwrap()).is_pending());
                assert!(poll(others[2].as_mut()).is_pending());
                interrupted(&mut || dropped.set(None));
            }
            for wait in others {
                assert!(poll(wait).is_ready(), "lost");
            }
        },
    );
    sweep(
        "set x set and clear",
        || {
            EVENT.set();
            EVENT.clear()
        },
        |interrupted| {
            EVENT.clear();
            let (mut one, mut two) = (pin!(EVENT.wait()), pin!(EVENT.wait()));
            assert!(poll(one.as_mut()).is_pending() && poll(two.as_mut()).is_pending());
            interrupted(&mut || EVENT.set());
            assert!(poll(one).is_ready() && poll(two).is_ready(), "lost");
        },
    );
}

fn locks() {
    sweep(
        "acquire x add_permits",
        || PERMITS.add_permits(1),
        |interrupted| {
            let mut acquire = pin!(PERMITS.acquire());
            let mut first = None;
            interrupted(&mut || {
                if let Poll::Ready(permit) = poll(acquire.as_mut()) {
                    first = Some(permit)
                }
            });
            let permit = first.or_else(|| match poll(acquire) {
                Poll::Ready(permit) => Some(permit),
                Poll::Pending => None,
            });
            permit.expect("lost").forget();
            assert_eq!(PERMITS.available_permits(), 0);
        },
    );
    sweep(
        "unlock x try_lock",
        || {
            if let Some(mut lock) = LOCK.try_lock() {
                *lock += 1
            }
        },
        |interrupted| {
            let mut guard = LOCK.try_lock();
            assert!(guard.is_some());
            let mut wait = pin!(LOCK.lock());
            assert!(poll(wait.as_mut()).is_pending());
            interrupted(&mut || guard = None);
            assert!(poll(wait).is_ready(), "lost");
        },
    );
    sweep(
        "read x try_write",
        || {
            if let Some(mut lock) = SHARED.try_write() {
                *lock += 1
            }
        },
        |interrupted| {
            let mut wait = pin!(SHARED.read());
            let mut first = Poll::Pending;
            interrupted(&mut || first = poll(wait.as_mut()).map(drop));
            assert!(first.is_ready() || poll(wait).is_ready(), "lost");
        },
    );
    sweep(
        "wait_for x notify",
        || {
            if let Some(mut board) = BOARD.try_lock() {
                *board += 1;
                BOARD.notify(&board, 1)
            }
        },
        |interrupted| {
            *BOARD.try_lock().unwrap() = 0;
            let mut wait = pin!(BOARD.wait_until(|board| *board > 0));
            let mut first = Poll::Pending;
            interrupted(&mut || first = poll(wait.as_mut()).map(drop));
            if first.is_pending() {
                let mut board = BOARD.try_lock().unwrap(); // the handler may have found it locked
                *board += 1;
                BOARD.notify(&board, 1);
                drop(board);
                assert!(poll(wait).is_ready(), "lost");
            }
        },
    );
}

fn queues() {
    sweep(
        "get x try_put",
        || QUEUE.try_put(7).unwrap(),
        |interrupted| {
            let mut get = pin!(QUEUE.get());
            let mut first = Poll::Pending;
            interrupted(&mut || first = poll(get.as_mut()));
            let got = if first.is_ready() { first } else { poll(get) };
            assert!(matches!(got, Poll::Ready(Ok(7))), "lost");
        },
    );
    sweep(
        "put x try_get",
        || assert!(QUEUE.try_get().is_ok()),
        |interrupted| {
            QUEUE.try_put(1).unwrap();
            QUEUE.try_put(2).unwrap();
            let mut put = pin!(QUEUE.put(3));
            let mut first = Poll::Pending;
            interrupted(&mut || first = poll(put.as_mut()));
            assert!(first.is_ready() || poll(put).is_ready(), "lost");
            while QUEUE.try_get().is_ok() {}
        },
    );
}

/// The handler waits and gives up itself, in the line that it has interrupted.
#[cfg(feature = "masked")]
fn urgent() {
    let come_and_go = || assert!(poll(pin!(EVENT.wait())).is_pending());
    sweep("wait x wait and drop", come_and_go, |interrupted| {
        EVENT.clear();
        let mut wait = pin!(EVENT.wait());
        interrupted(&mut || assert!(poll(wait.as_mut()).is_pending()));
        EVENT.set();
        assert!(poll(wait).is_ready(), "lost");
    });
    sweep("drop x wait and drop", come_and_go, |interrupted| {
        EVENT.clear();
        let (mut one, mut two) = (pin!(Some(EVENT.wait())), pin!(EVENT.wait()));
        assert!(poll(one.as_mut().as_pin_mut().unwrap()).is_pending() && poll(two.as_mut()).is_pending());
        interrupted(&mut || one.set(None));
        EVENT.set();
        assert!(poll(two).is_ready(), "lost");
    });
}

#[entry]
fn main() -> ! {
    events();
    locks();
    queues();
    #[cfg(feature = "masked")]
    urgent();
    pass();
}
