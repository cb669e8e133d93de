//! Children where their parent lies: tuples and arrays.
#![allow(unsafe_code)]
// The labels are those of children.rs.
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{Mode, State, each};
use crate::task::ready::{Claim, Ready, Scan};

/// The place of one child.
pub enum Slot<F: Future, M: Mode<F::Output>> {
    /// It runs.
    Future(F),
    /// It is done.
    Output(M::Kept),
    /// There is nothing left of it.
    Gone,
}

impl<F: Future, M: Mode<F::Output>> fmt::Debug for Slot<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Future(_) => "Future",
            Self::Output(_) => "Output",
            Self::Gone => "Gone",
        })
    }
}

impl<F: Future, M: Mode<F::Output>> Slot<F, M> {
    /// children T1. Pending if it has none to poll.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        // SAFETY: children I1: nothing is moved out of it.
        let Self::Future(future) = (unsafe { self.as_mut().get_unchecked_mut() }) else { return Poll::Pending };
        // SAFETY: children I1.
        let future = unsafe { Pin::new_unchecked(future) };
        match future.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(output) => {
                let (slot, result) = match M::split(output) {
                    Ok(kept) => (Self::Output(kept), Ok(())),
                    Err(error) => (Self::Gone, Err(error)),
                };
                self.set(slot);
                Poll::Ready(result)
            }
        }
    }

    /// children T2, and drops the output too if `all`.
    fn clear(mut self: Pin<&mut Self>, all: bool) {
        if all || matches!(*self, Self::Future(_)) {
            self.set(Self::Gone);
        }
    }

    /// Moves the output out.
    #[inline(always)]
    fn take(self: Pin<&mut Self>) -> M::Kept {
        // SAFETY: children I1: there is no future in it, or this panics.
        let this = unsafe { self.get_unchecked_mut() };
        let Self::Output(output) = this else { unreachable!("not all children are done") };
        let at: *mut M::Kept = output;
        // SAFETY: `Gone` is written over it without dropping it.
        let output = unsafe { at.read() };
        // SAFETY: `this` is valid for writes.
        unsafe { core::ptr::write(this, Self::Gone) };
        output
    }
}

/// The slots of a tuple or of an array.
pub trait Slots {
    /// What `gather` returns.
    type Outputs;
    /// What `try_gather` returns instead.
    type Error;
    /// How many there are.
    const LEN: usize;

    /// Polls one of them, if it is not done.
    fn poll_one(self: Pin<&mut Self>, index: usize, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>>;

    /// Polls all of them that are not done, in their order. How many are done now.
    fn poll_each(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Result<usize, Self::Error>;

    /// Drops one future, if it is there; or `all` that is in its place.
    fn clear_one(self: Pin<&mut Self>, index: usize, all: bool);

    /// Moves all outputs out.
    fn take(self: Pin<&mut Self>) -> Self::Outputs;
}

impl<F: Future, M: Mode<F::Output>, const N: usize> Slots for [Slot<F, M>; N] {
    type Outputs = [M::Kept; N];
    type Error = M::Error;
    const LEN: usize = N;

    #[inline]
    fn poll_one(self: Pin<&mut Self>, index: usize, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        // SAFETY: children I1: elements are pinned with their array.
        unsafe { self.map_unchecked_mut(|slots| &mut slots[index]) }.poll(cx)
    }

    #[inline]
    fn poll_each(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Result<usize, M::Error> {
        let mut done = 0;
        for index in 0..N {
            if let Poll::Ready(result) = self.as_mut().poll_one(index, cx) {
                result?;
                done += 1;
            }
        }
        Ok(done)
    }

    fn clear_one(self: Pin<&mut Self>, index: usize, all: bool) {
        // SAFETY: children I1: elements are pinned with their array.
        unsafe { self.map_unchecked_mut(|slots| &mut slots[index]) }.clear(all);
    }

    #[inline]
    fn take(mut self: Pin<&mut Self>) -> Self::Outputs {
        core::array::from_fn(|index| {
            // SAFETY: children I1: elements are pinned with their array.
            unsafe { self.as_mut().map_unchecked_mut(|slots| &mut slots[index]) }.take()
        })
    }
}

macro_rules! tuple_slots {
    ($len:literal: $($F:ident $at:tt),+) => {
        impl<M, E, $($F: Future),+> Slots for ($(Slot<$F, M>,)+)
        where
            $(M: Mode<$F::Output, Error = E>),+
        {
            type Outputs = ($(<M as Mode<$F::Output>>::Kept,)+);
            type Error = E;
            const LEN: usize = $len;

            #[inline]
            fn poll_one(self: Pin<&mut Self>, index: usize, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
                match index {
                    // SAFETY: children I1: fields are pinned with their tuple.
                    $($at => unsafe { self.map_unchecked_mut(|slots| &mut slots.$at) }.poll(cx),)+
                    _ => Poll::Pending,
                }
            }

            #[inline]
            fn poll_each(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Result<usize, E> {
                let mut done = 0;
                $(
                    // SAFETY: children I1: fields are pinned with their tuple.
                    let slot = unsafe { self.as_mut().map_unchecked_mut(|slots| &mut slots.$at) };
                    if let Poll::Ready(result) = slot.poll(cx) {
                        result?;
                        done += 1;
                    }
                )+
                Ok(done)
            }

            fn clear_one(self: Pin<&mut Self>, index: usize, all: bool) {
                match index {
                    // SAFETY: children I1: fields are pinned with their tuple.
                    $($at => unsafe { self.map_unchecked_mut(|slots| &mut slots.$at) }.clear(all),)+
                    _ => {}
                }
            }

            #[inline]
            fn take(mut self: Pin<&mut Self>) -> Self::Outputs {
                // SAFETY: children I1: fields are pinned with their tuple.
                ($(unsafe { self.as_mut().map_unchecked_mut(|slots| &mut slots.$at) }.take(),)+)
            }
        }
    };
}
tuple_slots!(1: A 0);
tuple_slots!(2: A 0, B 1);
tuple_slots!(3: A 0, B 1, C 2);
tuple_slots!(4: A 0, B 1, C 2, D 3);
tuple_slots!(5: A 0, B 1, C 2, D 3, F 4);
tuple_slots!(6: A 0, B 1, C 2, D 3, F 4, G 5);
tuple_slots!(7: A 0, B 1, C 2, D 3, F 4, G 5, H 6);
tuple_slots!(8: A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7);
tuple_slots!(9: A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8);
tuple_slots!(10: A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8, K 9);
tuple_slots!(11: A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8, K 9, L 10);
tuple_slots!(12: A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8, K 9, L 10, N 11);

/// How a ready set and slots meet.
pub trait Drive {
    /// One pass. How many of the `left` children are done now.
    fn drive<S: Slots>(&mut self, slots: Pin<&mut S>, left: usize, cx: &mut Context<'_>) -> Result<usize, S::Error>;
}

impl Drive for Scan {
    #[inline(always)]
    fn drive<S: Slots>(&mut self, slots: Pin<&mut S>, _: usize, cx: &mut Context<'_>) -> Result<usize, S::Error> {
        slots.poll_each(cx)
    }
}

impl Drive for Claim {
    fn drive<S: Slots>(
        &mut self,
        mut slots: Pin<&mut S>,
        left: usize,
        cx: &mut Context<'_>,
    ) -> Result<usize, S::Error> {
        let (ready, mut done) = (self.block(), 0);
        if !ready.begin(cx.waker()) {
            return Ok(0);
        }
        while let Some(index) = ready.next() {
            if let Poll::Ready(result) = ready.poll_child(index, cx, |cx| slots.as_mut().poll_one(index, cx)) {
                ready.retire(index);
                result?;
                done += 1;
            }
        }
        if done < left {
            ready.end(cx.waker());
        }
        Ok(done)
    }
}

/// The children of a tuple or an array.
pub(crate) struct Fixed<S: Slots, R> {
    slots: S,
    ready: R,
    left: usize,
    state: State,
}

impl<S: Slots, R: Drive> Fixed<S, R> {
    pub(crate) fn new(slots: S, ready: R) -> Self {
        Self { slots, ready, left: S::LEN, state: State::New }
    }

    /// With other children, made of these, none of which was polled; it leaves none behind.
    pub(crate) fn change<P: Slots>(mut self, make: impl FnOnce(&mut S) -> P) -> Fixed<P, R> {
        self.state.assert_new();
        let slots = make(&mut self.slots);
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: children I1: there is no child in what is forgotten; the set is used further on, once.
        let ready = unsafe { core::ptr::read(&this.ready) };
        Fixed { slots, ready, left: P::LEN, state: State::New }
    }

    /// One poll of the parent.
    #[inline]
    pub(crate) fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<S::Outputs, S::Error>> {
        // SAFETY: children I1: `slots` is pinned with it, the rest is not.
        let this = unsafe { self.get_unchecked_mut() };
        this.state.begin();
        // SAFETY: children I1.
        let mut slots = unsafe { Pin::new_unchecked(&mut this.slots) };
        match this.ready.drive(slots.as_mut(), this.left, cx) {
            Ok(done) if done == this.left => {
                this.state = State::Done;
                Poll::Ready(Ok(slots.take()))
            }
            Ok(done) => {
                this.left -= done;
                this.state = State::Idle;
                Poll::Pending
            }
            Err(error) => {
                this.state = State::Done;
                clear(slots);
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<S: Slots, R> Fixed<S, R> {
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }
}

impl<S: Slots, R> Drop for Fixed<S, R> {
    fn drop(&mut self) {
        if self.state != State::Done {
            // SAFETY: children I1: it is dropped where it lies.
            clear(unsafe { Pin::new_unchecked(&mut self.slots) });
        }
    }
}

impl<S: Slots, R> fmt::Debug for Fixed<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Children").field("children", &S::LEN).field("state", &self.state).finish()
    }
}

/// children T2 for all futures in their order, then drops all outputs, whichever of them panics.
fn clear<S: Slots>(mut slots: Pin<&mut S>) {
    each(2 * S::LEN, |step| slots.as_mut().clear_one(step % S::LEN, step >= S::LEN));
}
