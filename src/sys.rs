//! What differs between core, std, loom and portable atomics: the only file with such `cfg`s.
//!
//! Everything here is a leaf: atomics, a cell, the interrupt mask, spinning, panics. The algorithms in `wait/` and `sync/`
//! are the same on every target.
#![allow(unsafe_code)]
// INVARIANTS  I1 a `Mask` is dropped on the thread or core that made it, masks nest like scopes.

/// Atomic types: core's, `portable-atomic`'s or loom's.
pub(crate) mod atomic {
    #![allow(unused_imports)] // each feature uses a part
    #[cfg(not(any(testudo_loom, feature = "portable-atomic")))]
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering, fence};
    #[cfg(testudo_loom)]
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering, fence};
    #[cfg(all(feature = "portable-atomic", not(testudo_loom)))]
    pub(crate) use portable_atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering, fence};
}

/// Atomic types for statics that loom does not model: core's or `portable-atomic`'s.
#[cfg(feature = "profile")]
pub(crate) mod fixed {
    #[cfg(not(feature = "portable-atomic"))]
    pub(crate) use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
    #[cfg(feature = "portable-atomic")]
    pub(crate) use portable_atomic::{AtomicPtr, AtomicUsize, Ordering};
}

/// What comes before it, the last of it a read-modify-write, is seen by whoever is not seen by what comes after it.
///
/// On x86 the read-modify-write has done that already (as crossbeam-epoch relies on too).
#[inline(always)]
pub(crate) fn fence_after_rmw() {
    // ORDER: E1 of line.rs, both ways: of two threads that each write and then look, one sees what the other wrote
    #[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), not(testudo_loom)))]
    core::sync::atomic::compiler_fence(atomic::Ordering::SeqCst);
    #[cfg(not(all(any(target_arch = "x86", target_arch = "x86_64"), not(testudo_loom))))]
    // ORDER: the same
    atomic::fence(atomic::Ordering::SeqCst);
}

/// Declares a `const fn`, which is an ordinary `fn` under loom.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis const fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
        $(#[$meta])* #[cfg(not(testudo_loom))] $vis const fn $name($($arg: $ty),*) -> $ret $body
        $(#[$meta])* #[cfg(testudo_loom)] $vis fn $name($($arg: $ty),*) -> $ret $body
    };
}
pub(crate) use const_fn;

/// An array of a value that is made anew for each element: in a constant, but under loom.
macro_rules! array {
    ($make:expr; $n:expr) => {{
        #[cfg(not(testudo_loom))]
        let array = [const { $make }; $n];
        #[cfg(testudo_loom)]
        let array = core::array::from_fn(|_| $make);
        array
    }};
}
pub(crate) use array;

/// A cell whose content is reached through raw pointers only; loom's twin checks every access.
pub(crate) mod cell {
    #[cfg(testudo_loom)]
    pub(crate) use loom::cell::UnsafeCell;

    #[cfg(not(testudo_loom))]
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T: ?Sized>(core::cell::UnsafeCell<T>);

    #[cfg(not(testudo_loom))]
    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    #[cfg(not(testudo_loom))]
    impl<T: ?Sized> UnsafeCell<T> {
        /// Hands out the content for reading.
        #[inline(always)]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Hands out the content for writing.
        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

/// Room for a waker that one side leaves and any side takes.
#[cfg(not(testudo_loom))]
pub(crate) use atomic_waker::AtomicWaker;

/// The same with a lock, which loom sees.
#[cfg(testudo_loom)]
#[derive(Debug)]
pub(crate) struct AtomicWaker(loom::sync::Mutex<Option<core::task::Waker>>);

#[cfg(testudo_loom)]
impl AtomicWaker {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Mutex::new(None))
    }

    pub(crate) fn register(&self, waker: &core::task::Waker) {
        let old = self.0.lock().unwrap().replace(waker.clone());
        drop(old);
    }

    pub(crate) fn take(&self) -> Option<core::task::Waker> {
        self.0.lock().unwrap().take()
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = self.take() {
            waker.wake();
        }
    }
}

/// Whether code is to be small rather than quick, as on chips: transitions that only save others are left out, and there is
/// one copy of what is the same for all waits. `--cfg testudo_lean` has the tests run this form.
pub(crate) const LEAN: bool = cfg!(any(testudo_lean, not(feature = "std")));

/// How many wakers are taken out in one hold of the list flag: what a wake-all puts on the stack, in wakers. Small code, or
/// one node a masked section: one. Else half a kilobyte of stack.
#[cfg(not(testudo_loom))]
pub(crate) const BATCH: usize = if LEAN || EAGER { 1 } else { 32 };
/// The same, for models.
#[cfg(testudo_loom)]
pub(crate) const BATCH: usize = if LEAN { 1 } else { 2 };

/// The allocator, or loom's, which knows what was not freed.
#[cfg(all(feature = "alloc", not(testudo_loom)))]
pub(crate) use alloc::alloc::{alloc as allocate, dealloc as deallocate};
#[cfg(all(feature = "alloc", testudo_loom))]
pub(crate) use loom::alloc::{alloc as allocate, dealloc as deallocate};

/// How many children have their bits in one word of a ready set.
pub(crate) const CHILDREN: usize = if cfg!(testudo_loom) { 2 } else { usize::BITS as usize };
/// How many children of a vector, and how many futures of a keeper, are polled without asking who was woken: more would cost
/// more than asking. A future in a shelter is claimed for each poll.
#[cfg(feature = "alloc")]
pub(crate) const FEW: (usize, usize) = match CHILDREN - 2 {
    _ if cfg!(testudo_loom) => (0, 0),
    0..30 => (CHILDREN - 2, 16), // the set of the vector is one word
    _ => (30, 16),
};

/// How many predicates are run for one hold of the list flag, at most; and which of this thread's lots is the innermost.
#[cfg(all(any(feature = "std", testudo_loom), not(feature = "critical-section")))]
pub(crate) mod lots {
    use core::{cell::Cell, ptr};

    /// An eighth of a kilobyte of stack.
    pub(crate) const LOT: usize = if cfg!(testudo_loom) { 2 } else { 16 };

    #[cfg(testudo_loom)]
    loom::thread_local! {
        static INNERMOST: Cell<*const ()> = Cell::new(ptr::null());
    }
    #[cfg(not(testudo_loom))]
    std::thread_local! {
        static INNERMOST: Cell<*const ()> = const { Cell::new(ptr::null()) };
    }

    pub(crate) fn innermost() -> *const () {
        INNERMOST.with(Cell::get)
    }

    pub(crate) fn set_innermost(lot: *const ()) {
        INNERMOST.with(|innermost| innermost.set(lot));
    }
}
/// One predicate at a time, in a masked section of its own: there is never another to be withdrawn.
#[cfg(not(all(any(feature = "std", testudo_loom), not(feature = "critical-section"))))]
pub(crate) mod lots {
    pub(crate) const LOT: usize = 1;

    pub(crate) fn innermost() -> *const () {
        core::ptr::null()
    }

    pub(crate) fn set_innermost(_: *const ()) {}
}

/// Whether a waiter links itself in both directions as it registers (every list operation is then O(1) in the worst
/// case, and masks interrupts for that long), or leaves it to the next holder of the flag (one RMW less).
pub(crate) const EAGER: bool = cfg!(feature = "critical-section");

/// Interrupts are masked while this lives; nothing without the feature `critical-section`.
#[derive(Debug)]
pub(crate) struct Mask {
    #[cfg(feature = "critical-section")]
    restore: critical_section::RestoreState,
    _same_thread: core::marker::PhantomData<*mut ()>,
}

impl Mask {
    /// Masks interrupts.
    #[inline(always)]
    pub(crate) fn enter() -> Self {
        Self {
            // SAFETY: I1: released by `Drop`, in the reverse order.
            #[cfg(feature = "critical-section")]
            restore: unsafe { critical_section::acquire() },
            _same_thread: core::marker::PhantomData,
        }
    }

    /// Ends the masked section.
    #[inline(always)]
    pub(crate) fn leave(self) {}
}

#[cfg(feature = "critical-section")]
impl Drop for Mask {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: I1: `restore` comes from the matching `acquire`, on this thread (`Mask` is not `Send`).
        unsafe { critical_section::release(self.restore) }
    }
}

/// Waits a moment for another thread's O(1) section to end: spins, then yields the thread where there are threads.
#[derive(Debug)]
pub(crate) struct Spin(
    #[cfg(all(feature = "std", not(testudo_loom)))] crossbeam_utils::Backoff,
    /// How often it has paused.
    #[cfg(testudo_loom)]
    core::cell::Cell<usize>,
);

impl Spin {
    pub(crate) fn new() -> Self {
        Self(
            #[cfg(all(feature = "std", not(testudo_loom)))]
            crossbeam_utils::Backoff::new(),
            #[cfg(testudo_loom)]
            core::cell::Cell::new(0),
        )
    }

    #[cold]
    pub(crate) fn pause(&self) {
        #[cfg(all(feature = "std", not(testudo_loom)))]
        self.0.snooze();
        #[cfg(not(any(feature = "std", testudo_loom)))]
        core::hint::spin_loop(); // there is no thread to yield to
        #[cfg(testudo_loom)]
        {
            // Two threads that wait for a third could take turns for ever: an unfair schedule, of which a few rounds will do.
            if self.0.replace(self.0.get() + 1) >= 2 {
                loom::skip_branch();
            }
            loom::thread::yield_now();
        }
    }
}

/// A lock for a few steps of this crate's own code, which do not panic; held with interrupts masked if they have to be.
#[cfg(not(testudo_loom))]
#[derive(Debug)]
pub(crate) struct Latch(atomic::AtomicBool);

#[cfg(not(testudo_loom))]
impl Latch {
    pub(crate) const fn new() -> Self {
        Self(atomic::AtomicBool::new(false))
    }

    /// Runs `f` alone.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        use atomic::Ordering::{Acquire, Release};
        let mask = Mask::enter();
        // ORDER: one holder sees what the last one did: acquire
        if self.0.swap(true, Acquire) {
            self.wait();
        }
        let result = f();
        self.0.store(false, Release); // ORDER: the same: release
        mask.leave();
        result
    }

    #[cold]
    fn wait(&self) {
        use atomic::Ordering::{Acquire, Relaxed};
        let spin = Spin::new();
        loop {
            spin.pause();
            // ORDER: relaxed: a guess; acquire: as in `with`
            if !self.0.load(Relaxed) && !self.0.swap(true, Acquire) {
                return;
            }
        }
    }
}

/// The same, by loom's mutex: it blocks, where a spinning thread would be scheduled without end.
#[cfg(testudo_loom)]
#[derive(Debug)]
pub(crate) struct Latch(loom::sync::Mutex<()>);

#[cfg(testudo_loom)]
impl Latch {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Mutex::new(()))
    }

    /// Runs `f` alone.
    pub(crate) fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        let _guard = self.0.lock();
        f()
    }
}

/// Runs foreign code that may panic, so that what comes after it is done too; the first panic goes on afterwards.
/// Without std a panic unwinds at once, and drop guards do what is left.
#[derive(Debug)]
pub(crate) struct Panics {
    #[cfg(feature = "std")]
    first: Option<alloc::boxed::Box<dyn core::any::Any + Send>>,
}

impl Panics {
    pub(crate) const fn new() -> Self {
        Self {
            #[cfg(feature = "std")]
            first: None,
        }
    }

    /// Runs `f` and keeps its panic, or drops the panic if there is one already.
    #[inline]
    pub(crate) fn catch<R>(&mut self, f: impl FnOnce() -> R) -> Option<R> {
        #[cfg(feature = "std")]
        match std::panic::catch_unwind(core::panic::AssertUnwindSafe(f)) {
            Ok(value) => Some(value),
            Err(panic) => {
                match &self.first {
                    None => self.first = Some(panic),
                    Some(_) => Self::discard(panic),
                }
                None
            }
        }
        #[cfg(not(feature = "std"))]
        Some(f())
    }

    /// Drops what a panic carries. That may panic as well: what this one carries is left alone.
    #[cfg(feature = "std")]
    #[cold]
    fn discard(panic: alloc::boxed::Box<dyn core::any::Any + Send>) {
        core::mem::forget(std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| drop(panic))));
    }

    /// Whether there was a panic.
    pub(crate) fn has_caught(&self) -> bool {
        #[cfg(feature = "std")]
        return self.first.is_some();
        #[cfg(not(feature = "std"))]
        false
    }

    /// Lets the first panic go on, unless this thread is unwinding already.
    #[inline]
    pub(crate) fn resume(self) {
        #[cfg(feature = "std")]
        if let Some(panic) = self.first {
            if !std::thread::panicking() {
                std::panic::resume_unwind(panic);
            }
            Self::discard(panic);
        }
    }
}

/// What a panic carries. Without std none is caught, and there is none.
#[derive(Debug)]
pub(crate) struct Payload(#[cfg(feature = "std")] alloc::boxed::Box<dyn core::any::Any + Send>);

/// Whether panics can be caught.
pub(crate) const CATCHES: bool = cfg!(feature = "std");

/// Runs foreign code that may panic. Without std a panic unwinds at once.
#[inline]
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    #[cfg(feature = "std")]
    return std::panic::catch_unwind(core::panic::AssertUnwindSafe(f)).map_err(Payload);
    #[cfg(not(feature = "std"))]
    Ok(f())
}

impl Payload {
    /// Lets the panic go on.
    pub(crate) fn resume(self) -> ! {
        #[cfg(feature = "std")]
        std::panic::resume_unwind(self.0);
        #[cfg(not(feature = "std"))]
        unreachable!("no panic is caught without std")
    }

    /// The text of the panic, if it has one.
    pub(crate) fn text(&self) -> &str {
        #[cfg(feature = "std")]
        {
            let text = self.0.downcast_ref::<&str>().copied();
            text.or_else(|| self.0.downcast_ref::<alloc::string::String>().map(|text| &**text)).unwrap_or("a value")
        }
        #[cfg(not(feature = "std"))]
        ""
    }
}

/// Whether a guard was made on a thread that was not unwinding, and is dropped by one that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unwinding {
    #[cfg(feature = "std")]
    before: bool,
}

impl Unwinding {
    #[inline]
    pub(crate) fn here() -> Self {
        Self {
            #[cfg(feature = "std")]
            before: std::thread::panicking(),
        }
    }

    /// Whether this thread is unwinding; false without std.
    #[inline]
    pub(crate) fn is_on() -> bool {
        #[cfg(feature = "std")]
        return std::thread::panicking();
        #[cfg(not(feature = "std"))]
        false
    }

    /// Whether a panic began since `here`.
    #[inline]
    pub(crate) fn began(self) -> bool {
        #[cfg(feature = "std")]
        return !self.before && std::thread::panicking();
        #[cfg(not(feature = "std"))]
        false
    }
}

/// A place where a test may stop a thread that holds the list flag, or is about to take it for what it saw.
#[cfg(test)]
pub(crate) fn pause_point() {
    crate::wait::stall::here();
}
/// A place where a test may stop a thread that holds the list flag, or is about to take it for what it saw.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn pause_point() {}
