//! One job, for the size of its code: a task that waits, or gives up, and an interrupt beside it.
#![no_std]
#![no_main]

use core::{
    future::Future,
    hint::black_box,
    panic::PanicInfo,
    pin::pin,
    ptr::addr_of,
    task::{Context, Poll},
};

use cortex_m_rt::{entry, exception};
use testudo_sizes::{Job, embassy, intrusive, job, maitake, poll, testudo};

/// How often the task is polled before it gives up: nobody knows.
static mut PATIENCE: u32 = 0;

fn patience() -> u32 {
    // SAFETY: nobody writes it.
    unsafe { addr_of!(PATIENCE).read_volatile() }
}

/// What all programs have: wakers that are cloned, kept and woken, critical sections.
fn nothing(cx: &mut Context<'_>) -> Poll<()> {
    black_box(cx.waker().clone()).wake();
    critical_section::with(|_| if patience() == 7 { Poll::Ready(()) } else { Poll::Pending })
}

job!(Empty, core::future::poll_fn(nothing), critical_section::with(|_| _ = patience()));

fn run<J: Job>() {
    let mut task = pin!(J::task());
    while poll(0, task.as_mut()).is_pending() && patience() < 9 {
        cortex_m::asm::wfe();
    }
}

const fn is(name: &str) -> bool {
    let (me, name) = (env!("CARGO_BIN_NAME").as_bytes(), name.as_bytes());
    let mut i = 0;
    while i < me.len() && i < name.len() && me[i] == name[i] {
        i += 1;
    }
    me.len() == name.len() && i == me.len()
}

macro_rules! programs {
    ($($name:literal $job:ty,)*) => {
        const _: () = assert!($(is($name))||*);

        #[entry]
        fn main() -> ! {
            $(if const { is($name) } {
                run::<$job>();
            })*
            loop {
                cortex_m::asm::wfe();
            }
        }

        #[exception]
        fn SysTick() {
            $(if const { is($name) } {
                <$job>::interrupt();
            })*
        }
    };
}

programs! {
    "empty" Empty,
    "event-testudo" testudo::Event,
    "mutex-testudo" testudo::Mutex,
    "semaphore-testudo" testudo::Semaphore,
    "channel-testudo" testudo::Channel,
    "all-testudo" testudo::All,
    "event-embassy" embassy::Event,
    "watch-embassy" embassy::Watch,
    "mutex-embassy" embassy::Mutex,
    "semaphore-embassy" embassy::Semaphore,
    "fair-embassy" embassy::Fair,
    "channel-embassy" embassy::Channel,
    "all-embassy" embassy::All,
    "event-maitake" maitake::Event,
    "cell-maitake" maitake::Cell,
    "mutex-maitake" maitake::Mutex,
    "semaphore-maitake" maitake::Semaphore,
    "all-maitake" maitake::All,
    "event-intrusive" intrusive::Event,
    "mutex-intrusive" intrusive::Mutex,
    "semaphore-intrusive" intrusive::Semaphore,
    "channel-intrusive" intrusive::Channel,
    "all-intrusive" intrusive::All,
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        cortex_m::asm::wfe();
    }
}
