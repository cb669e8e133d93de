//! Engine 1: waiting.
//!
//! A primitive keeps its whole state in the word of a [`WaitList`](list::WaitList) and answers the questions of
//! [`Source`](future::Source); everything else is here, once:
//!
//! | file | what |
//! |---|---|
//! | `phase.rs` | the phases of a wait and what a notification carries: read this first |
//! | `list.rs` | the word, the flag, the two lists: the only pointer code |
//! | `future.rs` | the one wait future: the only poll, unlink, and pass-on |
//! | `batch.rs` | wakers taken out under the flag, woken after it |
//! | `handle.rs` | `&P`, `Rc<P>`, `Arc<P>`: how futures and guards reach their primitive |
//! | `thread.rs` | the waker of a blocked thread |
//!
//! **Signalling never waits.** Whoever finds the flag taken leaves its request in the word; the holder looks at the word
//! again before it lets go, and does what it finds. Registering pushes with one compare-and-swap. Only cancelling, polling
//! again and parking aside take the flag, for O(1) steps without foreign code.

pub(crate) mod batch;
#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
pub(crate) mod cell;
pub(crate) mod future;
pub(crate) mod handle;
pub(crate) mod list;
pub(crate) mod phase;
#[cfg(feature = "std")]
pub(crate) mod thread;

#[cfg(test)]
pub(crate) mod stall;

pub(crate) use future::{Source, Wait, wait_future};
pub use handle::Handle;
pub(crate) use handle::Reaches;
pub(crate) use list::{Admit, Bits, Claim, Found, Held, Node, Side, Step, WaitList, Walk};
pub(crate) use phase::Token;
