//! A waker that is nothing but a flag.
use std::{
    future::Future,
    pin::Pin,
    ptr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};

/// Made, cloned and dropped for free; waking counts.
#[derive(Debug)]
pub(crate) struct Flag {
    wakes: AtomicUsize,
    /// A mark for handlers: its waiter is in line.
    pub(crate) in_line: AtomicBool,
}

impl Flag {
    pub(crate) const fn new() -> Self {
        Self { wakes: AtomicUsize::new(0), in_line: AtomicBool::new(false) }
    }

    fn waker(&'static self) -> Waker {
        static VTABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), wake, wake, |_| {});
        fn wake(data: *const ()) {
            // SAFETY: `data` comes from `&'static Flag`.
            let flag = unsafe { &*data.cast::<Flag>() };
            flag.wakes.fetch_add(1, SeqCst);
        }
        // SAFETY: the data is static and `Sync`, and nothing is counted.
        unsafe { Waker::new(ptr::from_ref(self).cast(), &VTABLE) }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.wakes() > 0
    }

    /// How often since `poll` began.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.load(SeqCst)
    }

    pub(crate) fn poll<F: Future>(&'static self, future: Pin<&mut F>) -> Option<F::Output> {
        self.wakes.store(0, SeqCst);
        match future.poll(&mut Context::from_waker(&self.waker())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}
