//! Engine 1: waiting.
//!
//! A primitive keeps its whole state in the word of a [`WaitList`](word::WaitList) and answers the questions of
//! [`Source`](future::Source); everything else is here, once:
//!
//! | file | what |
//! |---|---|
//! | `phase.rs` | the phases of a wait and what a notification carries: read this first |
//! | `word.rs` | the word: state, flag, registering, letting go; its header declares the labels of all pointer code |
//! | `node.rs` | a waiter's entry, and the links between entries |
//! | `held.rs` | what the holder of the flag may do with the list |
//! | `side.rs` | a second list under the same flag, and a notifier's walk through it |
//! | `lot.rs` | the nodes of a walk whose predicates are run in one go |
//! | `future.rs` | the one wait future: the only poll, unlink, and pass-on |
//! | `line.rs` | waiting for something outside the word: permits, sides of a lock, room |
//! | `front.rs` | those of a line who have been offered something, so that an offer begins behind them |
//! | `batch.rs` | wakers taken out under the flag, woken after it |
//! | `handle.rs` | `&P`, `Rc<P>`, `Arc<P>`: how futures and guards reach their primitive |
//! | `thread.rs` | the waker of a blocked thread |
//! | `cell.rs` | a cell for one waiter, which `run::Sim` and `TaskGroup` use |
//! | `stall.rs` | tests that stop a thread at work on a list |
//!
//! **Signalling never waits.** Whoever finds the flag taken leaves its request in the word; the holder looks at the word
//! again before it lets go, and does what it finds. Registering pushes with one compare-and-swap. Only cancelling, polling
//! again with another waker or for what has come, and parking aside take the flag, for a few steps (O(1), amortized over registrations, and in a
//! [`Line`](line::Line) over offers) without foreign code; whose predicate is in a notifier's [`Lot`](lot::Lot) waits for that.

pub(crate) mod batch;
pub(crate) mod cell;
mod front;
pub(crate) mod future;
pub(crate) mod handle;
pub(crate) mod held;
pub(crate) mod line;
pub(crate) mod lot;
pub(crate) mod node;
pub(crate) mod phase;
pub(crate) mod side;
#[cfg(feature = "std")]
pub(crate) mod thread;
pub(crate) mod word;

#[cfg(test)]
pub(crate) mod stall;

pub(crate) use batch::{Batch as WaitBatch, wake_alone};
pub(crate) use future::{Source, Wait, header_of, wait_future};
pub use handle::Handle;
pub(crate) use handle::Reaches;
pub(crate) use held::{Head, Held};
pub(crate) use line::{InLine, InLinePolicy, Line, Place, Stock};
pub(crate) use lot::Lot;
pub(crate) use node::Node;
pub(crate) use phase::{POLLED_AFTER_COMPLETION, Token};
pub(crate) use side::{Chain, Found, Side, Walk};
pub(crate) use word::{Admit, Bits, Step, WaitList, Word};
