//! The one wait future: the only poll, unlink and pass-on in the crate.
#![allow(unsafe_code)]
// STATE       the phases of phase.rs; `holding` beside Idle: this wait has the lock that it is about to give up
// INVARIANTS  I1 the node is at offset 0 and aligned for the bits of a word; the future is pinned, and never Unpin.
//             I2 the node is linked only between `enroll` or `park` in a poll and the end of this future's drop.
//             I3 the source follows the node directly, and what a notifier calls comes first in it.
//             I4 everything in the node is reached through `&Node`; no `&mut` to a linked node exists.
// CANCEL      Waiting: place in line. Claimed: waits for the predicate to return. Notified: the token is given back.
use core::{
    fmt,
    future::Future,
    marker::PhantomPinned,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_core::FusedFuture;

use super::{
    list::{Admit, Bits, Held, Node, Side, WaitList},
    phase::{POLLED_AFTER_COMPLETION, Phase, Token},
};
use crate::sys::{EAGER, Spin};

/// What a primitive answers about one kind of wait.
pub(crate) trait Source {
    type Output;

    /// Where it waits.
    fn list(&self) -> &WaitList;

    /// Where else it may be linked.
    fn side(&self) -> Option<&Side> {
        None
    }

    /// May a newcomer, or the first in line, have it in this state?
    fn admit(&self, bits: Bits) -> Admit;

    /// Does what the state owes to the waiters and lets go of the flag.
    fn settle(&self, held: Held<'_>);

    /// It was taken, or `token` came: what the future returns, or None to park aside.
    fn finish(&self, token: Token) -> Option<Self::Output>;

    /// A linked node is about to be taken out by its owner.
    fn leaving(&self, _held: &mut Held<'_>, _node: &Node) {}

    /// Parks aside what `finish` did not finish: `link` links the node, then what was taken is given up.
    fn park(&self, _token: Token, _link: impl FnOnce(&mut Held<'_>, &Side, bool)) {
        unreachable!("only a wait with a side list parks")
    }

    /// A waiter is dropped that had got `token` and, if `owns`, what it waited for.
    fn give_back(&self, token: Token, owns: bool);
}

/// A wait on some primitive.
#[repr(C, align(16))]
pub(crate) struct Wait<S: Source> {
    node: Node,
    source: S,
    _pinned: PhantomPinned,
}

// SAFETY: I4: other threads reach the node through the list only, by its protocol; wakers are Send. The source is asked for.
unsafe impl<S: Source + Send> Send for Wait<S> {}
// SAFETY: `&Wait` gives access to atomics alone (`is_terminated`, `Debug`); the source is asked for all the same.
unsafe impl<S: Source + Sync> Sync for Wait<S> {}

impl<S: Source> Wait<S> {
    const LAYOUT: () = {
        assert!(core::mem::offset_of!(Self, node) == 0 && align_of::<Self>() >= 16); // I1
        assert!(core::mem::offset_of!(Self, source) == size_of::<Node>()); // I3
    };

    /// A wait that has not begun. `holding`: it has what `park` gives up.
    #[inline]
    pub(crate) fn new(source: S, holding: bool) -> Self {
        let () = Self::LAYOUT;
        let node = Node::new();
        node.holding().set(holding);
        Self { node, source, _pinned: PhantomPinned }
    }

    /// The node, as a pointer from which the whole future can be reached (I3).
    fn linkable(&self) -> *mut Node {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// The first poll: take it, or get in line. No flag.
    #[inline]
    fn begin(&self, waker: &Waker) -> Phase {
        let list = self.source.list();
        let word = list.load();
        if let Admit::Take(bits) = self.source.admit(word.bits()) {
            if word.bits() == bits || list.try_change(word, bits).is_ok() {
                return Phase::Notified;
            }
        }
        // SAFETY: I1, I2: pinned by `poll`, Idle, and `drop` takes it out.
        if unsafe { list.enroll(self.linkable(), waker.clone(), |bits| self.source.admit(bits)) } {
            drop(self.node.retire());
            return Phase::Notified;
        }
        if EAGER {
            let mut held = list.hold();
            held.complete();
            self.source.settle(held);
        }
        Phase::Waiting
    }

    /// A later poll of a linked node: take it when it is first in line, or leave the waker.
    fn poll_linked(&self, waker: &Waker) -> Phase {
        let mut fresh = None;
        let old = loop {
            let mut held = self.source.list().hold();
            match self.node.phase() {
                Phase::Waiting => {}
                other => {
                    self.source.settle(held);
                    return other;
                }
            }
            // SAFETY: I2: Waiting, so it is linked; a node aside is never the first in the list.
            match unsafe { held.take(&self.node, |bits| self.source.admit(bits)) } {
                Ok(rest) => {
                    if let Some(held) = rest {
                        self.source.settle(held);
                    }
                    drop(self.node.retire());
                    return Phase::Notified;
                }
                Err(back) => held = back,
            }
            let known = self.node.will_wake(&mut held, waker);
            let done = match fresh.take() {
                Some(waker) if !known => Some(self.node.replace_waker(&mut held, waker)),
                unused => known.then_some(unused),
            };
            self.source.settle(held);
            match done {
                Some(old) => break old,
                None => fresh = Some(waker.clone()),
            }
        };
        drop(old);
        Phase::Waiting
    }

    /// Takes the node out of whatever list it is in. Says whether it owns what it waited for, and its token.
    fn leave(&self) -> (Token, bool) {
        let spin = Spin::new();
        loop {
            match self.node.phase() {
                Phase::Waiting if self.source.list().try_leave(&self.node) => return (Token::None, false),
                Phase::Waiting => {}
                Phase::Claimed => {
                    spin.pause();
                    continue;
                }
                Phase::Notified => return (self.node.token(), true),
                Phase::Idle => return (self.node.token(), self.node.holding().get()),
                Phase::Done => return (Token::None, false),
            }
            let mut held = self.source.list().hold();
            if self.node.phase() != Phase::Waiting {
                self.source.settle(held);
                continue;
            }
            let token = self.node.linked_token(&mut held);
            self.source.leaving(&mut held, &self.node);
            // SAFETY: I2: Waiting, so it is linked in one of the two; `self` outlives `held`.
            unsafe { held.remove(&self.node, self.source.side()) };
            self.source.settle(held);
            return (token, false);
        }
    }
}

impl<S: Source> Wait<S> {
    /// It was taken or a token came: finish, or park aside.
    #[inline]
    fn arrive(&self, waker: &Waker) -> Option<S::Output> {
        let token = self.node.token();
        // `finish` may run a predicate and `clone` a waker: if they panic, `drop` gives all of it back.
        self.node.holding().set(true);
        self.node.set_phase(Phase::Idle);
        let output = self.source.finish(token);
        if output.is_some() {
            self.node.holding().set(false);
            self.node.set_phase(Phase::Done);
            return output;
        }
        let waker = waker.clone();
        self.source.park(token, |held, side, asks| {
            self.node.holding().set(false);
            // SAFETY: I1, I2: pinned by `poll`, Idle, and `drop` takes it out.
            unsafe { side.link(held, self.linkable(), waker, asks) };
        });
        None
    }
}

impl<S: Source> Future for Wait<S> {
    type Output = S::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<S::Output> {
        let this = self.into_ref().get_ref();
        let mut phase = this.node.phase();
        loop {
            phase = match phase {
                Phase::Idle if this.node.holding().get() => Phase::Notified,
                Phase::Idle => this.begin(cx.waker()),
                Phase::Waiting => this.poll_linked(cx.waker()),
                Phase::Claimed => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Phase::Notified => match this.arrive(cx.waker()) {
                    Some(output) => return Poll::Ready(output),
                    None => return Poll::Pending,
                },
                Phase::Done => panic!("{POLLED_AFTER_COMPLETION}"),
            };
            if phase == Phase::Waiting {
                return Poll::Pending;
            }
        }
    }
}

impl<S: Source> FusedFuture for Wait<S> {
    fn is_terminated(&self) -> bool {
        self.node.phase() == Phase::Done
    }
}

impl<S: Source> Drop for Wait<S> {
    #[inline]
    fn drop(&mut self) {
        // I4: from here on only `&self.node`, as if pinned.
        let this = &*self;
        let (token, owns) = this.leave();
        let waker = this.node.retire();
        if owns || token == Token::One {
            this.source.give_back(token, owns);
        }
        drop(waker);
    }
}

impl<S: Source> fmt::Debug for Wait<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("phase", &self.node.phase()).finish_non_exhaustive()
    }
}

/// Declares the public future over a [`Wait`]: its own type, so that it can be named and stored.
macro_rules! wait_future {
    ($(#[$meta:meta])* pub struct $name:ident [$($decl:tt)*] [$($gen:tt)*] [$($arg:tt)*] ($source:ty) -> $out:ty) => {
        $(#[$meta])*
        #[must_use = "futures do nothing unless polled"]
        pub struct $name<$($decl)*> {
            wait: $crate::wait::Wait<$source>,
        }

        impl<$($gen)*> core::future::Future for $name<$($arg)*> {
            type Output = $out;

            #[inline]
            fn poll(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Self::Output> {
                #[allow(unsafe_code)]
                // SAFETY: the only field is pinned with the struct, which has no `Drop` and is not `Unpin` either.
                unsafe { self.map_unchecked_mut(|this| &mut this.wait) }.poll(cx)
            }
        }

        impl<$($gen)*> futures_core::FusedFuture for $name<$($arg)*> {
            fn is_terminated(&self) -> bool {
                self.wait.is_terminated()
            }
        }

        impl<$($gen)*> core::fmt::Debug for $name<$($arg)*> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name)).field("wait", &self.wait).finish()
            }
        }
    };
}
pub(crate) use wait_future;
