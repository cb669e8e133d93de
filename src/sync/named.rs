//! Where the waiters of a primitive are, and how their verbs call it: what `probe::name` names.
use super::{Barrier, BoundedSemaphore, Condition, Event, Mutex, OnceCell, RwLock, Semaphore};
use crate::probe::{Span, sealed::Spanned};

macro_rules! spanned {
    ($([$($gen:tt)*] $type:ty, $kind:literal, $this:ident => $waiters:expr;)*) => { $(
        impl<$($gen)*> Spanned for $type {
            fn span(&self) -> Span {
                let $this = self;
                Span::of($waiters, $kind)
            }
        }
    )* };
}
// Not the data inside: it may hold other primitives.
spanned! {
    [] Event, "Event", this => this;
    [] Semaphore, "Semaphore", this => this;
    [] BoundedSemaphore, "Semaphore", this => this;
    [] Barrier, "Barrier", this => this;
    [T: ?Sized] Mutex<T>, "Mutex", this => &this.list;
    [T: ?Sized] Condition<T>, "Condition", this => this.list();
    [T: ?Sized] RwLock<T>, "RwLock", this => &this.entry;
    [T] OnceCell<T>, "OnceCell", this => this;
    [T, const N: usize] super::ArrayQueue<T, N>, "Queue", this => this;
}
#[cfg(feature = "alloc")]
spanned! {
    [T] super::Queue<T>, "Queue", this => this;
}
