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
//! | Claimed | linked | the notifier that runs its predicate; everybody else waits |
//! | Notified | in no list | its owner, without the flag; it has a [`Token`] |
//! | Done | in no list | nobody; polling panics |
//!
//! A waiter that was *offered* something (a lock) is still Waiting: it is linked, keeps its place, and has no waker.

/// Where a wait stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    Idle = 0,
    Waiting = 1,
    Claimed = 2,
    Notified = 3,
    Done = 4,
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
