//! Waiting, waking twenty and cancelling: the stack that it takes, and the longest section with interrupts masked.
//!
//! An instruction takes 128 ns in the emulator (`-icount shift=7`), a clock of SysTick 80. SysTick comes after every instruction
//! once; how late its handler begins says for how many instructions it was kept out.
#![no_std]
#![no_main]

use core::{
    cell::Cell,
    future::Future,
    panic::PanicInfo,
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::*, compiler_fence},
};

use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::{debug, hprintln};
use testudo_sizes::{embassy, intrusive, maitake, poll, testudo};

const WAITERS: usize = 20;
/// More than is ever needed.
const PAINTED: usize = 512;
const PAINT: u32 = 0xa5a5_5a5a;
const LATEST: u32 = 0xff_ffff;

/// How many clocks of SysTick its handler came late, at most.
static LATE: AtomicU32 = AtomicU32::new(0);
static CAME: AtomicBool = AtomicBool::new(false);
static DURING: AtomicBool = AtomicBool::new(false);

#[exception]
fn SysTick() {
    // SAFETY: a register that may be read at any time.
    let late = LATEST - unsafe { (*SYST::PTR).cvr.read() };
    // SAFETY: a single register write, and nobody else is at work with it.
    unsafe { (*SYST::PTR).csr.write(0) };
    SCB::clear_pendst();
    if DURING.load(Relaxed) {
        LATE.store(LATE.load(Relaxed).max(late), Relaxed);
        CAME.store(true, Relaxed);
    }
}

/// Lets SysTick come after so many clocks, and then not again for long.
fn arm(clocks: u32) {
    // SAFETY: the program is alone, and the handler above comes later.
    let mut syst = unsafe { cortex_m::Peripherals::steal() }.SYST;
    syst.disable_counter();
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(clocks);
    syst.clear_current();
    syst.enable_interrupt();
    syst.enable_counter();
    syst.set_reload(LATEST);
}

/// The clocks that the longest masked section of `operation` takes; `round` prepares it and runs it once.
fn masked(mut round: impl FnMut(&mut dyn FnMut(&mut dyn FnMut()))) -> u32 {
    LATE.store(0, Relaxed);
    let (mut clocks, mut too_late) = (20, 0);
    while too_late < 20 {
        CAME.store(false, Relaxed);
        round(&mut |operation| {
            arm(clocks);
            DURING.store(true, Relaxed);
            operation();
            DURING.store(false, Relaxed);
        });
        too_late = if CAME.load(Relaxed) { 0 } else { too_late + 1 };
        clocks += 1;
        assert!(clocks < 50_000);
    }
    LATE.load(Relaxed)
}

/// The bytes of stack that `operation` takes.
#[inline(never)]
fn stack(operation: &mut dyn FnMut()) -> usize {
    cortex_m::interrupt::disable();
    let top = cortex_m::register::msp::read() as *mut u32;
    let bottom = top.wrapping_sub(PAINTED);
    for at in 0..PAINTED {
        // SAFETY: below the stack pointer, this loop pushes nothing, and nothing interrupts.
        unsafe { bottom.add(at).write_volatile(PAINT) };
    }
    compiler_fence(SeqCst);
    operation();
    compiler_fence(SeqCst);
    // SAFETY: as above.
    let untouched = (0..PAINTED).take_while(|at| unsafe { bottom.add(*at).read_volatile() } == PAINT).count();
    // SAFETY: they were on.
    unsafe { cortex_m::interrupt::enable() };
    assert!(untouched > 0);
    4 * (PAINTED - untouched)
}

/// What the measuring itself takes.
struct Own {
    stack: usize,
    late: u32,
}

#[inline(never)]
fn nothing() {
    for _ in 0..50 {
        cortex_m::asm::nop();
    }
}

impl Own {
    fn measure() -> Self {
        let own = Self { stack: stack(&mut nothing), late: masked(|run| run(&mut nothing)) };
        // It is to be relied on: sections of known lengths are found.
        for known in [10, 100] {
            let mut section = || {
                cortex_m::interrupt::disable();
                for _ in 0..known {
                    // SAFETY: one instruction; the loop's own come on top.
                    unsafe { core::arch::asm!("nop") };
                }
                // SAFETY: they were on.
                unsafe { cortex_m::interrupt::enable() };
            };
            let found = own.instructions(masked(|run| run(&mut section)));
            assert!(found >= known && found <= 6 * known + 4, "{found} of {known}");
        }
        own
    }

    fn instructions(&self, late: u32) -> u32 {
        ((late - self.late) * 80 + 64) / 128
    }

    /// One line: stack and masked instructions of one operation.
    fn line(&self, who: &str, what: &str, mut round: impl FnMut(&mut dyn FnMut(&mut dyn FnMut()))) {
        let depth = Cell::new(0);
        round(&mut |operation| depth.set(stack(operation).saturating_sub(self.stack)));
        let masked = self.instructions(masked(round));
        hprintln!("{} {} {} {}", who, what, depth.get(), masked);
    }

    /// A line for each operation of one crate: `wait` makes a wait for what `set` ends, `clear` makes it as new.
    fn lines<F: Future>(&self, who: &str, mut wait: impl FnMut(usize) -> F, set: impl Fn(), clear: impl Fn()) {
        let mut round = |run: &mut dyn FnMut(&mut [Pin<&mut Option<F>>])| {
            clear();
            let mut waits: [Option<F>; WAITERS] = core::array::from_fn(|number| Some(wait(number)));
            // SAFETY: the array stays where it is until the end of the round.
            let mut waits = waits.each_mut().map(|wait| unsafe { Pin::new_unchecked(wait) });
            run(&mut waits);
        };
        let begin = |(task, wait): (usize, &mut Pin<&mut Option<F>>)| {
            if let Some(wait) = wait.as_mut().as_pin_mut() {
                assert!(poll(task, wait).is_pending());
            }
        };
        self.line(who, "wait", |run| {
            round(&mut |waits| {
                let (last, others) = waits.split_last_mut().expect("there are some");
                others.iter_mut().enumerate().for_each(begin);
                run(&mut || begin((WAITERS, last)));
            });
        });
        self.line(who, "set-20", |run| {
            round(&mut |waits| {
                waits.iter_mut().enumerate().for_each(begin);
                run(&mut || set());
            });
        });
        self.line(who, "drop", |run| {
            round(&mut |waits| {
                waits.iter_mut().enumerate().for_each(begin);
                run(&mut || waits[WAITERS / 2].set(None));
            });
        });
    }
}

#[entry]
fn main() -> ! {
    let own = Own::measure();
    own.lines("testudo", |_| testudo::EVENT.wait(), || testudo::EVENT.set(), || testudo::EVENT.clear());
    let sender = embassy::WATCH.sender();
    own.lines("embassy", |_| embassy::see(), || sender.send(()), || embassy::WATCH.sender().clear());
    own.lines("maitake", |_| maitake::QUEUE.wait(), || maitake::QUEUE.wake_all(), || {});
    intrusive::make_event();
    own.lines("intrusive", |_| intrusive::event().wait(), || intrusive::event().set(), || intrusive::event().reset());
    exit(debug::EXIT_SUCCESS)
}

fn exit(status: debug::ExitStatus) -> ! {
    loop {
        debug::exit(status);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    hprintln!("{}", info);
    exit(debug::EXIT_FAILURE)
}
