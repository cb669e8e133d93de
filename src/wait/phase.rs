//! The phases of a wait, and what a notification carries. The first thing to read of the engine.
//!
//! ```text
//!              register            notify                 poll
//!   Idle ----------------> Waiting ----------> Notified ----------> Done
//!     \                    |  ^                                      ^
//!      \         claim (a  v  |  the predicate                       |
//!       \      predicate)  Claimed  returned                         |
//!        \------------------ found it free at the first poll --------/
//! ```
//! | phase | the node is | who may act on the node |
//! |---|---|---|
//! | Idle | in no list | its owner |
//! | Waiting | linked | whoever holds the list flag; its owner takes the flag first |
//! | Claimed | linked, in a lot | the notifier that runs the lot, or its owner from in there; everybody else waits |
//! | Notified | in no list | its owner, without the flag; it has a [`Token`] |
//! | Holding | in no list | its owner, which has what this wait gives up when it parks (a lock) |
//! | Done | in no list | nobody; polling panics |
//!
//! A waiter that was *offered* something (a lock) is still Waiting: it is linked, keeps its place, and has no waker.

use core::fmt;

/// Where a wait stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Phase(pub(super) u8);

impl Phase {
    pub(crate) const IDLE: Self = Self(0);
    pub(crate) const WAITING: Self = Self(1);
    pub(crate) const CLAIMED: Self = Self(2);
    pub(crate) const NOTIFIED: Self = Self(3);
    pub(crate) const HOLDING: Self = Self(4);
    pub(crate) const DONE: Self = Self(5);
}

impl fmt::Debug for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["Idle", "Waiting", "Claimed", "Notified", "Holding", "Done"];
        f.write_str(names[usize::from(self.0)])
    }
}

/// What a waiter was told, so that it can be passed on if the waiter is dropped before it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Token {
    /// Nothing yet.
    None = 0,
    /// Everybody was told: nobody else is owed it.
    All = 1,
    /// One of a counted number of notifications: goes to the next waiter.
    One = 2,
    /// A notifier's call of this waiter's predicate panicked.
    Panicked = 3,
}

/// The text of the panic of a future that is polled again after it was ready.
pub(crate) const POLLED_AFTER_COMPLETION: &str = "polled after completion";
