//! The children of a vector, in the memory that they came in.
#![allow(unsafe_code)]
// The labels are those of children.rs.
use alloc::vec::Vec;
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{State, each};
use crate::{
    sys::FEW,
    task::ready::{Block, Claim, Few, Ready},
};

/// The ready set of a vector.
enum Mem {
    Few(Few),
    Block(Block),
}

impl Mem {
    fn is_live(&self, index: usize) -> bool {
        match self {
            Self::Few(few) => few.is_live(index),
            Self::Block(block) => block.is_live(index),
        }
    }
}

/// The children of a vector.
pub(crate) struct Row<F: Future, T> {
    futures: Vec<F>,
    outputs: Vec<T>,
    len: usize,
    left: usize,
    /// The child whose output was handed out.
    hole: usize,
    state: State,
    mem: Mem,
}

// No future lies in it, only in its buffer (children I2).
impl<F: Future, T> Unpin for Row<F, T> {}

impl<F: Future, T> Row<F, T> {
    pub(crate) fn new(futures: Vec<F>) -> Self {
        let len = futures.len();
        let mem = if len <= FEW.0 { Mem::Few(Few::new(len)) } else { Mem::Block(Block::fixed(len)) };
        Self::with(futures, mem)
    }

    /// With the memory of a claim, which has to have room for them.
    pub(crate) fn with_claim(futures: Vec<F>, claim: Claim) -> Self {
        let block = claim.fill(futures.len()).into_block();
        Self::with(futures, Mem::Block(block))
    }

    fn with(mut futures: Vec<F>, mem: Mem) -> Self {
        let len = futures.len();
        let outputs = Vec::with_capacity(len);
        // SAFETY: children I2: 0 is not more than there are; `drop` drops them.
        unsafe { futures.set_len(0) };
        Self { futures, outputs, len, left: len, hole: usize::MAX, state: State::New, mem }
    }

    /// With as many other children, made of these, none of which was polled.
    pub(crate) fn change<G: Future>(mut self, make: impl FnOnce(Vec<F>) -> Vec<G>) -> Row<G, T> {
        self.state.assert_new();
        let len = core::mem::take(&mut self.len);
        let mut futures = core::mem::take(&mut self.futures);
        // SAFETY: children I3: all of them are there, and `len` is 0 from now on.
        unsafe { futures.set_len(len) };
        let futures = make(futures);
        debug_assert_eq!(futures.len(), len);
        Row::with(futures, core::mem::replace(&mut self.mem, Mem::Few(Few::new(0))))
    }

    /// How many are not done.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// One poll of the parent. `keep` stores an output or hands it out; `None`: all children are done.
    #[inline]
    pub(crate) fn poll<B>(
        &mut self,
        cx: &mut Context<'_>,
        keep: impl FnMut(usize, F::Output) -> Result<T, B>,
    ) -> Poll<Option<B>> {
        self.state.begin();
        let Self { mem, futures, outputs, left, hole, state, .. } = self;
        let mut places = Places { futures, outputs, left, hole, keep };
        let poll = match mem {
            Mem::Few(few) => places.pass(few, cx),
            Mem::Block(block) => places.pass(block, cx),
        };
        *state = if matches!(poll, Poll::Ready(None)) { State::Done } else { State::Idle };
        poll
    }

    /// All outputs, once all children are done and none was handed out.
    pub(crate) fn take(&mut self) -> Vec<T> {
        assert!(self.left == 0 && self.hole == usize::MAX, "not all children are done");
        // SAFETY: children I4, and no child is live (children I3).
        unsafe { self.outputs.set_len(self.len) };
        self.len = 0;
        core::mem::take(&mut self.outputs)
    }

    /// Drops what is left: children T2 in order, then the outputs.
    pub(crate) fn clear(&mut self) {
        self.state = State::Done;
        let len = core::mem::take(&mut self.len);
        let Self { mem, futures, outputs, hole, .. } = self;
        let futures = futures.as_mut_ptr();
        let outputs = outputs.as_mut_ptr();
        let drop_outputs = || {
            each(len, |index| {
                if !mem.is_live(index) && index != *hole {
                    // SAFETY: children I4: there is room for it.
                    let at = unsafe { outputs.add(index) };
                    // SAFETY: children I4: it was written, and `len` is 0 from now on.
                    unsafe { at.drop_in_place() };
                }
            });
        };
        let _then = OnDrop(if core::mem::needs_drop::<T>() { Some(drop_outputs) } else { None });
        each(len, |index| {
            if mem.is_live(index) {
                // SAFETY: children I2: it lies in the buffer.
                let at = unsafe { futures.add(index) };
                // SAFETY: children I3, and `len` is 0 from now on.
                unsafe { at.drop_in_place() };
            }
        });
    }

    /// Moves what is left out, with its numbers.
    pub(crate) fn into_futures(mut self) -> Vec<(usize, F)>
    where
        F: Unpin,
    {
        let mut rest = Vec::with_capacity(self.left);
        let len = core::mem::take(&mut self.len);
        for index in (0..len).filter(|&index| self.mem.is_live(index)) {
            // SAFETY: children I2: it lies in the buffer.
            let at = unsafe { self.futures.as_mut_ptr().add(index) };
            // SAFETY: children I3, and `len` is 0 from now on; it is Unpin.
            rest.push((index, unsafe { at.read() }));
        }
        rest
    }
}

/// Calls it when dropped.
struct OnDrop<F: FnMut()>(Option<F>);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = &mut self.0 {
            f();
        }
    }
}

/// A [`Row`] without its ready set.
struct Places<'a, F, T, K> {
    futures: &'a mut Vec<F>,
    outputs: &'a mut Vec<T>,
    left: &'a mut usize,
    hole: &'a mut usize,
    keep: K,
}

impl<F: Future, T, K> Places<'_, F, T, K> {
    #[inline(always)]
    fn pass<B>(&mut self, ready: &mut impl Ready, cx: &mut Context<'_>) -> Poll<Option<B>>
    where
        K: FnMut(usize, F::Output) -> Result<T, B>,
    {
        if *self.left == 0 {
            return Poll::Ready(None);
        }
        if !ready.begin(cx.waker()) {
            return Poll::Pending;
        }
        while let Some(index) = ready.next() {
            // SAFETY: children I2, children I3: the ready set names live children only.
            let at = unsafe { self.futures.as_mut_ptr().add(index) };
            // SAFETY: children I2, children I3.
            let future = unsafe { &mut *at };
            // SAFETY: children I2.
            let future = unsafe { Pin::new_unchecked(future) };
            let Poll::Ready(output) = ready.poll_child(index, cx, |cx| future.poll(cx)) else { continue };
            let handed_out = match (self.keep)(index, output) {
                Ok(output) => {
                    // SAFETY: children I4: there is room for it.
                    let place = unsafe { self.outputs.as_mut_ptr().add(index) };
                    // SAFETY: the same.
                    unsafe { place.write(output) };
                    None
                }
                Err(output) => {
                    *self.hole = index;
                    Some(output)
                }
            };
            ready.retire(index);
            *self.left -= 1;
            // SAFETY: children I3: it is live no more.
            unsafe { at.drop_in_place() };
            if handed_out.is_some() {
                return Poll::Ready(handed_out);
            }
            if *self.left == 0 {
                return Poll::Ready(None);
            }
        }
        ready.end(cx.waker());
        Poll::Pending
    }
}

impl<F: Future, T> Drop for Row<F, T> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<F: Future, T> fmt::Debug for Row<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Children").field("left", &self.left).field("state", &self.state).finish()
    }
}
