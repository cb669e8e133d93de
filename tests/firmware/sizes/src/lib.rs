//! The same jobs, done by this crate and by its peers, each in the best form that it offers on a chip without an allocator.
#![no_std]

use core::{
    cell::UnsafeCell,
    future::Future,
    mem::MaybeUninit,
    pin::Pin,
    ptr,
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};

pub mod embassy;
pub mod intrusive;
pub mod maitake;
pub mod testudo;

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |task| RawWaker::new(task, &VTABLE),
    |_| cortex_m::asm::sev(),
    |_| cortex_m::asm::sev(),
    |_| {},
);

/// Polls with the waker of a task that has this number, which ends a `wfe`.
pub fn poll<F: Future>(task: usize, fut: Pin<&mut F>) -> Poll<F::Output> {
    // SAFETY: the functions of the table do not look at the pointer.
    let waker = unsafe { Waker::from_raw(RawWaker::new(ptr::without_provenance(task), &VTABLE)) };
    fut.poll(&mut Context::from_waker(&waker))
}

/// A lock that masks interrupts, for the crates that take one from their user.
pub struct CsLock(UnsafeCell<critical_section::RestoreState>);

// SAFETY: the cell is used by the holder alone, which no other code on this core interrupts.
unsafe impl Send for CsLock {}
// SAFETY: the same.
unsafe impl Sync for CsLock {}

impl CsLock {
    const NEW: Self = Self(UnsafeCell::new(critical_section::RestoreState::invalid()));

    fn acquire(&self) {
        // SAFETY: `release` gives back what is kept here.
        let state = unsafe { critical_section::acquire() };
        // SAFETY: held from here on.
        unsafe { *self.0.get() = state };
    }

    /// # Safety
    /// (a) Held by the caller.
    unsafe fn release(&self) {
        // SAFETY: (a).
        let state = unsafe { *self.0.get() };
        // SAFETY: (a): made by the matching `acquire`.
        unsafe { critical_section::release(state) };
    }
}

// SAFETY: interrupts are masked while it is held, and there is one core.
unsafe impl lock_api::RawMutex for CsLock {
    #[allow(clippy::declare_interior_mutable_const)] // as the trait wants it
    const INIT: Self = Self::NEW;
    type GuardMarker = lock_api::GuardNoSend;

    fn lock(&self) {
        self.acquire();
    }
    fn try_lock(&self) -> bool {
        self.acquire();
        true
    }
    unsafe fn unlock(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.release() };
    }
}

impl mutex_traits::ConstInit for CsLock {
    #[allow(clippy::declare_interior_mutable_const)] // as the trait wants it
    const INIT: Self = Self::NEW;
}

// SAFETY: interrupts are masked while it is held, and there is one core.
unsafe impl mutex_traits::RawMutex for CsLock {
    type GuardMarker = *mut ();

    fn lock(&self) {
        self.acquire();
    }
    fn try_lock(&self) -> bool {
        self.acquire();
        true
    }
    unsafe fn unlock(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.release() };
    }
    fn is_locked(&self) -> bool {
        false
    }
}

/// A static of what has no `const` constructor: made at first use, which is before any interrupt's.
pub struct Late<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: given out as `&T` only.
unsafe impl<T: Sync> Sync for Late<T> {}

impl<T> Late<T> {
    #[allow(clippy::new_without_default)] // nobody needs it
    pub const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// # Safety
    /// (a) Nobody uses it yet, and everybody else comes later.
    pub unsafe fn init(&'static self, value: T) {
        // SAFETY: (a).
        unsafe { (*self.0.get()).write(value) };
    }

    /// # Safety
    /// (a) It was made.
    pub unsafe fn get(&'static self) -> &'static T {
        // SAFETY: (a).
        unsafe { (*self.0.get()).assume_init_ref() }
    }
}

/// `struct $name`: a job, a future of a task, and what an interrupt does beside it.
#[macro_export]
macro_rules! job {
    ($name:ident, $task:expr, $interrupt:expr) => {
        pub struct $name;
        impl $crate::Job for $name {
            fn task() -> impl Future<Output = ()> {
                $task
            }
            fn interrupt() {
                $interrupt
            }
        }
    };
}

/// What a program does.
pub trait Job {
    /// The task.
    fn task() -> impl Future<Output = ()>;
    /// The interrupt beside it.
    fn interrupt();
}
