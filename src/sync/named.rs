//! Where the waiters of a primitive are: what `probe::name` names.
use super::{Barrier, BoundedSemaphore, Condition, Event, Mutex, OnceCell, RwLock, Semaphore};
use crate::probe::{sealed::Spanned, span_of};

macro_rules! spanned {
    ($([$($gen:tt)*] $type:ty, $this:ident => $waiters:expr;)*) => { $(
        impl<$($gen)*> Spanned for $type {
            fn span(&self) -> (usize, usize) {
                let $this = self;
                span_of($waiters)
            }
        }
    )* };
}
// Not the data inside: it may hold other primitives.
spanned! {
    [] Event, this => this;
    [] Semaphore, this => this;
    [] BoundedSemaphore, this => this;
    [] Barrier, this => this;
    [T: ?Sized] Mutex<T>, this => &this.list;
    [T: ?Sized] Condition<T>, this => this.list();
    [T: ?Sized] RwLock<T>, this => &this.entry;
    [T] OnceCell<T>, this => this;
    [T, const N: usize] super::ArrayQueue<T, N>, this => this;
}
#[cfg(feature = "alloc")]
spanned! {
    [T] super::Queue<T>, this => this;
}
