//! Children that live as long as a scope: in one task, borrowing from it.
//!
//! | file | what |
//! |---|---|
//! | `heap.rs` | the group whose children lie on the heap; `children.rs`: those its run has taken over |
//! | `array.rs` | the group whose children lie in it; `place.rs`: where; `fixed.rs`: those its run has taken over |
//! | `inbox.rs` | spawning and cancelling |
//! | `job.rs` | a child and its handle |
//! | `run.rs` | driving the body and the children; `store.rs`: what that asks of either kind |
//! | `error.rs`, `failures.rs` | how a group fails, with and without heap |
use crate::{sync::Event, sys::const_fn};

mod array;
#[cfg(feature = "alloc")]
mod children;
#[cfg(feature = "alloc")]
mod error;
mod failures;
mod fixed;
#[cfg(feature = "alloc")]
mod heap;
mod inbox;
mod job;
mod place;
mod run;
mod store;

use self::inbox::{Inbox, Ring};
pub use self::{
    array::{GroupRunArray, Outcome, TaskGroupArray},
    failures::GroupErrorArray,
    job::TaskHandle,
};
#[cfg(feature = "alloc")]
pub use self::{
    error::GroupError,
    heap::{Group, LocalTaskGroup, TaskGroup},
    run::GroupRun,
};

/// What any group is, wherever its children lie.
struct Shared<E> {
    inbox: Inbox<E>,
    /// Set when something comes in while the run sleeps.
    bell: Event,
}

impl<E> Shared<E> {
    const_fn! {
        const fn new() -> Self {
            Self { inbox: Inbox::new(), bell: Event::new() }
        }
    }

    fn ring(&self, ring: Ring) {
        if ring.0 {
            self.bell.set();
        }
    }

    fn cancel(&self) {
        let ring = self.inbox.cancel();
        self.ring(ring);
    }
}
