//! Futures that are finished although whoever waited for them is gone.
//!
//! In Rust a future is cancelled by dropping it, and what it had still to do is not done. A shelter is declared outside of what
//! may be cancelled, and takes in what has to be finished:
//!
//! | what | where the futures are | for |
//! |---|---|---|
#![cfg_attr(feature = "alloc", doc = "| [`Shelter`] | a heap block each | futures of any types |")]
#![cfg_attr(feature = "alloc", doc = "| [`LocalShelter`] | a heap block each | futures that are not `Send` |")]
//! | [`ShelterArray`] | in the array | one type of futures, no allocator; `static` |
#![allow(unsafe_code)]
// The labels are those declared in slot.rs.
use core::{
    fmt::{self, Debug},
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

mod array;
mod berth;
mod exact;
#[cfg(feature = "alloc")]
mod grouped;
#[cfg(feature = "alloc")]
mod heap;
mod home;
mod keeper;
#[cfg(feature = "alloc")]
mod seats;
#[cfg(feature = "alloc")]
mod shield;
mod site;
mod slot;
mod state;
mod ticket;

use super::{Cancelled, marker::Sendable};
pub use array::ShelterArray;
pub use berth::{Berth, Reserved};
#[cfg(feature = "alloc")]
pub use grouped::{Haven, Sheltered};
#[cfg(feature = "alloc")]
pub use heap::{LocalShelter, Shelter, ShelterOf};
pub use keeper::{Drain, Run};
#[cfg(feature = "alloc")]
pub use shield::{Lost, Shield, shield, shield_local};
use ticket::Ticket;

pin_project! {
    /// The handle of a future in a shelter: waits for its result.
    ///
    /// The result is `Err(`[`Cancelled`]`)` if the shelter has aborted the future. A panic of the future goes on from the first
    /// handle that is polled behind it; the others panic too.
    ///
    /// Handles of a result that is `Clone` can be cloned; each gets a clone of the result, and the last one the result itself.
    /// When it is there, one of those that wait is woken, and wakes the next when it has taken its own. Without a keeper the one
    /// that was polled last drives the future; when it is dropped, the next one is woken and does. If it is kept but not polled,
    /// the others wait with it: let somebody keep the shelter, or do not hold a handle that you do not poll.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When polled after completion, and when the future does.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::Shelter};
    ///
    /// let shelter = Shelter::new();
    /// let handle = shelter.shield(async { String::from("saved") });
    /// let other = handle.clone();
    /// assert_eq!(block_on(handle).unwrap() + &block_on(other).unwrap(), "savedsaved");
    /// ```
    #[must_use = "the future stays in the shelter without it: use `adopt` if nobody waits for it"]
    pub struct Shielded<'s, T, M = Sendable> {
        #[pin]
        ticket: Ticket<'s, T>,
        _type: PhantomData<M>,
    }
}

// SAFETY: I1 of slot.rs: `&Shielded` gives access to atomics, and makes handles, which need `T: Send` and, for the future,
// `M: Send`; what is in the place is touched by one at a time.
unsafe impl<T: Send, M: Send> Sync for Shielded<'_, T, M> {}

impl<T, M> Shielded<'_, T, M> {
    /// Says whether the result is there, or was taken by this handle. One load.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::Shelter};
    ///
    /// let shelter = Shelter::new();
    /// let handle = shelter.shield(async {});
    /// assert!(!handle.is_finished());
    /// block_on(shelter.drain());
    /// assert!(handle.is_finished());
    /// # drop(handle);
    /// ```
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.ticket.is_finished()
    }
}

/// # Panics
/// When this handle has returned the result.
impl<T: Clone, M> Clone for Shielded<'_, T, M> {
    fn clone(&self) -> Self {
        Self { ticket: self.ticket.duplicate(), _type: PhantomData }
    }
}

impl<T, M> Future for Shielded<'_, T, M> {
    type Output = Result<T, Cancelled>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().ticket.poll(cx).map_err(|_| Cancelled)
    }
}

impl<T, M> FusedFuture for Shielded<'_, T, M> {
    fn is_terminated(&self) -> bool {
        self.ticket.is_used_up()
    }
}

impl<T, M> Debug for Shielded<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shielded").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// What does not compile.
///
/// The handle of a type is not one of its supertype, which may be cloned in another way:
/// ```compile_fail,E0308
/// use testudo::task::Shielded;
///
/// struct Own<X>(X);
/// fn general<'s>(handle: Shielded<'s, Own<for<'a> fn(&'a u8)>>) -> Shielded<'s, Own<fn(&'static u8)>> {
///     handle
/// }
/// ```
#[cfg(doctest)]
struct DoesNotCompile;
