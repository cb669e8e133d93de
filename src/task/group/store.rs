//! What a run asks of the children that it has taken over, wherever they lie.
use core::task::{Context, Poll};

use super::{
    inbox::{Chain, Inbox},
    job::Child,
};
use crate::{
    sys::Panics,
    task::ready::{Open, Ready},
};

/// The numbers in the ready set: the body, the bell, and the children behind them.
pub(super) const BODY: usize = 0;
pub(super) const BELL: usize = 1;
pub(super) const FIRST: usize = 2;

/// The children of a group, and who of them was woken.
pub(super) trait Store {
    /// What a child fails with.
    type Error;
    /// What the group fails with.
    type Errors: Errors<Self::Error>;
    /// Who was woken.
    type Ready: Open;

    /// The run begins.
    fn enter(&mut self, inbox: &Inbox<Self::Error>);

    /// The ready set.
    fn ready(&mut self) -> &mut Self::Ready;

    /// The ready set, and the child in a slot.
    fn parts(&mut self, slot: usize) -> (&Self::Ready, Option<&mut Child<Self::Error>>);

    /// How many there are.
    fn len(&self) -> usize;

    /// Takes over what was spawned; it starts if there is room.
    fn admit(&mut self, chain: Chain<Self::Error>);

    /// Takes a child out of its slot.
    fn remove(&mut self, slot: usize) -> Option<Child<Self::Error>>;

    /// A slot is free: the next one starts.
    fn start_next(&mut self);

    /// Asks the graceful ones to end.
    fn ask_to_end(&self);

    /// Cancels all, or all that are not graceful, in the order in which they were spawned.
    fn cancel(&mut self, panics: &mut Panics, all: bool);

    /// Polls the child in a slot. None: there is none. What panics has ended, without an error.
    #[inline(always)]
    fn poll_child(
        &mut self,
        slot: usize,
        cx: &mut Context<'_>,
        panics: &mut Panics,
    ) -> Option<Poll<Option<Self::Error>>> {
        let (ready, child) = self.parts(slot);
        let child = child?;
        let steady = Self::Ready::STEADY;
        Some(
            ready
                .poll_child(slot + FIRST, cx, |cx| panics.catch(|| child.poll(cx, steady)))
                .unwrap_or(Poll::Ready(None)),
        )
    }
}

/// The errors of a group.
pub(super) trait Errors<E> {
    /// None yet.
    fn new() -> Self;

    /// One more.
    fn push(&mut self, error: E);

    /// Whether there are none.
    fn is_cancelled(&self) -> bool;
}
