//! The one wait future: the only poll, unlink and pass-on in the crate.
#![allow(unsafe_code)]
// STATE       the phases of phase.rs
// INVARIANTS  I1 the node is at offset 0 and aligned for the bits of a word; the future is pinned, and never Unpin.
//             I2 the node is linked only between `enroll` or `park` in a poll and the end of this future's drop.
//             I3 a header that is not empty follows the node directly, and a node's pointer reaches the whole future.
//             I4 everything in the node is reached through `&Node`; no `&mut` to a linked node exists.
// CANCEL      Waiting: place in line. Claimed: withdraws from a lot that this thread runs, else waits until it is given back.
//             Notified: the token is given back.
use core::{
    fmt,
    future::Future,
    marker::PhantomPinned,
    mem::ManuallyDrop,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_core::FusedFuture;

use super::{
    held::Held,
    lot::withdraw,
    node::Node,
    phase::{POLLED_AFTER_COMPLETION, Phase, Token},
    side::Side,
    word::{Admit, Bits, WaitList, Word},
};
use crate::sys::{EAGER, LEAN, Spin};

/// What a primitive answers about one kind of wait.
pub(crate) trait Source {
    /// What a probe is told that it waits for, or had: the type, two colons, the verb.
    #[cfg_attr(not(feature = "profile"), allow(dead_code))]
    const VERB: &'static str = "Wait";

    /// The same, while it is aside.
    #[cfg_attr(not(feature = "profile"), allow(dead_code))]
    const ASIDE: &'static str = Self::VERB;

    type Output;

    /// What somebody who has only the node finds behind it.
    type Header: Copy;

    /// The token of who took what `admit` allows.
    const ADMITTED: Token = Token::None;

    /// Bits that are not true any more when somebody gets in line.
    const JOINS_WITHOUT: Bits = Bits::NONE;

    /// Whether it waits for a predicate: who does not is never Claimed.
    const ASKS: bool = false;

    fn header(&self) -> Self::Header;

    /// Where it waits.
    fn list(&self) -> &WaitList;

    /// Where else it may be linked.
    fn side(&self) -> Option<&Side> {
        None
    }

    /// Takes it without getting in line; Err: the word that did not allow it.
    #[inline(always)]
    fn try_take(&self) -> Result<(), Word> {
        let word = self.list().load();
        match self.admit(word.bits()) {
            Admit::Take(bits) if bits == word.bits() => Ok(()),
            Admit::Take(bits) => self.list().try_change(word, bits),
            _ => Err(word),
        }
    }

    /// As `try_take`, of a first poll. Some: the output, with which nothing is left to finish or to give back.
    #[inline(always)]
    fn try_at_once(&self) -> Result<Option<Self::Output>, Word> {
        self.try_take().map(|()| None)
    }

    /// Its node was pushed. True: look again, for it may be had now.
    #[inline(always)]
    fn joined(&self) -> bool {
        false
    }

    /// A linked node is polled: takes for it what is kept outside the word.
    fn take_linked(&self, _held: &mut Held<'_>, _node: &Node) -> bool {
        false
    }

    /// The only node in line is polled, the word's bits were these: takes for it what is kept outside the word, without the
    /// flag.
    #[inline(always)]
    fn take_alone(&self, _bits: Bits) -> bool {
        false
    }

    /// Whether a linked node that was offered nothing, when polled, may find something to take; the word's bits are these.
    #[inline(always)]
    fn may_take(&self, bits: Bits) -> bool {
        self.admit(bits) != Admit::Wait
    }

    /// Whether a linked node, when polled, may take what `admit` allows.
    fn is_in_line(&self, _held: &mut Held<'_>, _node: &Node) -> bool {
        true
    }

    /// May a newcomer, or a waiter that is polled, have it in this state?
    fn admit(&self, bits: Bits) -> Admit;

    /// Does what the state owes to the waiters and lets go of the flag.
    fn settle(&self, held: Held<'_>);

    /// It was taken, or `token` came: what the future returns, or None to park aside.
    fn finish(&self, token: Token) -> Option<Self::Output>;

    /// As `finish`, for what finds more than the token in its node.
    #[inline(always)]
    fn conclude(&self, _node: &Node, token: Token) -> Option<Self::Output> {
        self.finish(token)
    }

    /// A linked node is about to be taken out by its owner: its token is passed on.
    fn leaving(&self, _held: &mut Held<'_>, _node: &Node) {}

    /// The only node in line is about to be taken out by its owner, without the flag. It may be in vain.
    #[inline(always)]
    fn leaving_alone(&self) {}

    /// Parks aside what `finish` did not finish: `link` links the node, then what was taken is given up.
    fn park(&self, _token: Token, _link: impl FnOnce(&mut Held<'_>, &Side, bool)) {
        unreachable!("only a wait with a side list parks")
    }

    /// A waiter is dropped that had got what it waited for, and `token`.
    fn give_back(&self, token: Token);
}

/// A wait on some primitive.
#[repr(C, align(16))]
pub(crate) struct Wait<S: Source> {
    node: Node,
    header: S::Header,
    source: S,
    _pinned: PhantomPinned,
}

/// The header of the wait that `node` begins.
///
/// # Safety
/// (a) `node` is the pointer by which a live [`Wait`] was linked whose header is an `X`.
pub(crate) unsafe fn header_of<X: Copy>(node: *const Node) -> X {
    let header = node.wrapping_add(1).cast::<X>();
    // SAFETY: (a), I3.
    unsafe { header.read() }
}

// SAFETY: I4: other threads reach the node through the list only, by its protocol; wakers are Send. The source is asked for.
unsafe impl<S: Source + Send> Send for Wait<S> {}
// SAFETY: I4: `&Wait` gives access to atomics alone (`is_terminated`, `Debug`); the source is asked for all the same.
unsafe impl<S: Source + Sync> Sync for Wait<S> {}

impl<S: Source> Wait<S> {
    const LAYOUT: () = {
        assert!(core::mem::offset_of!(Self, node) == 0 && align_of::<Self>() >= 16); // I1
        assert!(size_of::<S::Header>() == 0 || core::mem::offset_of!(Self, header) == size_of::<Node>()); // I3
    };

    /// A wait that has not begun. `holding`: it has what `park` gives up.
    #[inline(always)]
    pub(crate) fn new(source: S, holding: bool) -> Self {
        let () = Self::LAYOUT;
        let phase = if holding { Phase::HOLDING } else { Phase::IDLE };
        Self { node: Node::new(phase), header: source.header(), source, _pinned: PhantomPinned }
    }

    /// What it waits for.
    #[inline(always)]
    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// The source of the wait that `node` begins.
    ///
    /// # Safety
    /// (a) `node` is the pointer by which a live `Wait<S>` was linked, and it lives on while the reference is used.
    pub(crate) unsafe fn source_of<'w>(node: *const Node) -> &'w S
    where
        S: 'w,
    {
        // SAFETY: (a), I1: the node is at offset 0, and its pointer reaches the whole future (I3).
        unsafe { &(*node.cast::<Self>()).source }
    }

    /// A later poll of a linked node: take it if it can be had, or leave the waker.
    #[inline(always)]
    fn poll_linked(&self, waker: &Waker) -> Phase {
        let list = self.source.list();
        let word = list.load();
        let comes = !self.node.has_waker() || self.source.may_take(word.bits());
        if !comes && list.is_still(word) && self.node.will_wake(waker) {
            return Phase::WAITING; // I10 of word.rs
        }
        let take = |bits| match self.source.admit(bits) {
            Admit::Take(bits) => Some(bits),
            _ => None,
        };
        if WaitList::was_alone(word, &self.node) {
            if self.source.take_alone(word.bits()) {
                return self.leave_taken(word);
            }
            if take(word.bits()).is_some_and(|bits| self.source.list().try_empty(word, bits)) {
                self.note_admitted();
                drop(self.node.retire());
                return Phase::NOTIFIED;
            }
        }
        poll_held(self.shared(), waker)
    }

    /// It has what it waited for, and was alone in `word`.
    #[inline(always)]
    fn leave_taken(&self, word: Word) -> Phase {
        if self.source.list().try_empty(word, word.bits()) {
            self.node.go(Phase::NOTIFIED);
        } else {
            self.leave_taken_slowly();
        }
        drop(self.node.retire());
        Phase::NOTIFIED
    }

    /// It has what it waited for, and others came, or hold the flag.
    #[cold]
    #[inline(never)]
    fn leave_taken_slowly(&self) {
        let mut held = self.source.list().hold();
        if self.node.phase() == Phase::WAITING {
            self.source.leaving(&mut held, &self.node);
            // SAFETY: I2: Waiting, so it is linked, and sources that take so have no side list.
            unsafe { held.remove(&self.node, None) };
        } else {
            self.node.spend(); // the source was closed, too late
        }
        self.node.go(Phase::NOTIFIED); // it has it, whatever panics from here on
        self.source.settle(held);
    }

    /// It took what the state allowed, and is in no list.
    #[inline(always)]
    fn note_admitted(&self) {
        if S::ADMITTED != Token::None {
            self.node.set_token(S::ADMITTED);
        }
        self.node.go(Phase::NOTIFIED);
    }

    /// Dropped half-way.
    #[inline(never)]
    fn cancel(&self) {
        tell!(cancelled(self.source.list(), S::VERB, self.shared().linkable().addr()));
        let alone = |bits| {
            self.source.leaving_alone();
            Some(bits)
        };
        let token = if LEAN {
            leave::<dyn AnyWait>(self.shared())
        } else if self.source.list().try_leave(&self.node, alone) {
            None
        } else {
            leave(self.shared())
        };
        if let Some(token) = token {
            self.source.give_back(token);
        }
    }
}

impl<S: Source> Wait<S> {
    /// It was taken or a token came: finish, or park aside.
    #[inline(always)]
    fn arrive(&self, waker: &Waker) -> Poll<S::Output> {
        let token = self.node.token();
        // `finish` may run a predicate and `clone` a waker: if they panic, `drop` gives all of it back.
        self.node.go(Phase::HOLDING);
        if let Some(output) = self.source.conclude(&self.node, token) {
            return self.done(output);
        }
        tell!(blocked(self.source.list(), S::ASIDE, self.shared().linkable().addr()));
        let waker = waker.clone();
        self.node.spend(); // from here on it is the source's to pass on
        self.source.park(token, |held, side, asks| {
            // SAFETY: I1, I2: pinned by `poll`, in no list, and `drop` takes it out.
            unsafe { side.link(held, self.shared().linkable(), waker, asks) };
        });
        Poll::Pending
    }

    #[inline(always)]
    fn done(&self, output: S::Output) -> Poll<S::Output> {
        self.node.go(Phase::DONE);
        tell!(resumed(self.source.list(), S::VERB, self.shared().linkable().addr()));
        Poll::Ready(output)
    }

    /// Any poll of lean code.
    #[inline(never)]
    fn poll_lean(&self, waker: &Waker) -> Poll<S::Output> {
        self.come_to(poll_any(self.shared(), waker), waker)
    }

    /// A first poll that is not quick.
    #[inline(never)]
    fn poll_first(&self, seen: Word, waker: &Waker) -> Poll<S::Output> {
        let wait = self.shared();
        match get_in_line(wait, seen, waker) {
            Phase::WAITING if wait.joined() => self.poll_again(waker, Phase::WAITING),
            phase => self.come_to(phase, waker),
        }
    }

    /// A later poll that is not quick.
    #[inline(never)]
    fn poll_again(&self, waker: &Waker, phase: Phase) -> Poll<S::Output> {
        self.come_to(if phase == Phase::WAITING { self.poll_linked(waker) } else { phase }, waker)
    }

    /// What a poll returns that left the wait like this.
    #[inline(always)]
    fn come_to(&self, phase: Phase, waker: &Waker) -> Poll<S::Output> {
        match phase {
            Phase::WAITING => Poll::Pending,
            Phase::CLAIMED if S::ASKS => {
                waker.wake_by_ref();
                Poll::Pending
            }
            Phase::NOTIFIED | Phase::HOLDING => self.arrive(waker),
            _ => panic!("{POLLED_AFTER_COMPLETION}"),
        }
    }

    #[inline(always)]
    fn shared(&self) -> &Shared<S> {
        // SAFETY: transparent, both of them.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

/// A [`Wait`] that nobody drops through this type, so that `dyn AnyWait` does not keep the code for that.
#[repr(transparent)]
struct Shared<S: Source>(ManuallyDrop<Wait<S>>);

/// What the slow ways of all waits need of one. Lean code has one copy of them, over `dyn AnyWait`.
///
/// # Safety
/// (a) It begins with its node, and a reference to it is good for the whole future.
unsafe trait AnyWait {
    /// The node, as a pointer from which the whole future can be reached (I3).
    fn linkable(&self) -> *mut Node {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    fn node(&self) -> &Node {
        // SAFETY: (a), I4.
        unsafe { &*self.linkable() }
    }

    fn list(&self) -> &WaitList;
    fn side(&self) -> Option<&Side>;
    fn try_take(&self) -> Result<(), Word>;

    fn joins_without(&self) -> Bits;
    fn admit(&self, bits: Bits) -> Admit;

    /// It took what the state allowed, and is in no list.
    fn note_admitted(&self);

    /// Its node was pushed. True: look again.
    fn joined(&self) -> bool;

    /// Its node is linked: takes for it what it waits for, and takes it out.
    fn take(&self, held: &mut Held<'_>) -> bool;

    fn leaving(&self, held: &mut Held<'_>);
    fn settle(&self, held: Held<'_>);

    /// Its node is Claimed: true if it is not any more.
    fn withdraw(&self) -> bool;
}

// SAFETY: I1, transparent.
unsafe impl<S: Source> AnyWait for Shared<S> {
    #[inline(always)]
    fn list(&self) -> &WaitList {
        self.0.source.list()
    }

    #[inline(always)]
    fn side(&self) -> Option<&Side> {
        self.0.source.side()
    }

    #[inline(always)]
    fn try_take(&self) -> Result<(), Word> {
        self.0.source.try_take()
    }

    #[inline(always)]
    fn joins_without(&self) -> Bits {
        S::JOINS_WITHOUT
    }

    #[inline(always)]
    fn admit(&self, bits: Bits) -> Admit {
        self.0.source.admit(bits)
    }

    #[inline(always)]
    fn note_admitted(&self) {
        self.0.note_admitted();
    }

    #[inline(always)]
    fn joined(&self) -> bool {
        tell!(blocked(self.0.source.list(), S::VERB, self.linkable().addr()));
        self.0.source.joined()
    }

    #[inline(always)]
    fn take(&self, held: &mut Held<'_>) -> bool {
        let Wait { node, source, .. } = &*self.0;
        if source.take_linked(held, node) {
            // SAFETY: I2: Waiting, so it is linked, and sources that take so have no side list.
            unsafe { held.remove(node, None) };
            node.go(Phase::NOTIFIED); // it has it, whatever panics from here on
            return true;
        }
        let admitted = source.is_in_line(held, node) && held.take(|bits| source.admit(bits));
        if admitted {
            // SAFETY: I2: Waiting, so it is linked, and it is not aside.
            unsafe { held.remove(node, None) };
            self.0.note_admitted(); // it has it, whatever panics from here on
        }
        admitted
    }

    #[inline(always)]
    fn leaving(&self, held: &mut Held<'_>) {
        self.0.source.leaving(held, &self.0.node);
    }

    #[inline(always)]
    fn settle(&self, held: Held<'_>) {
        self.0.source.settle(held);
    }

    #[inline(always)]
    fn withdraw(&self) -> bool {
        S::ASKS && withdraw(&self.0.node)
    }
}

/// Any poll of lean code: where the wait stands then.
fn poll_any(wait: &dyn AnyWait, waker: &Waker) -> Phase {
    let mut phase = wait.node().phase();
    if phase == Phase::IDLE {
        let Err(seen) = wait.try_take() else { return Phase::NOTIFIED };
        phase = get_in_line(wait, seen, waker);
        if phase != Phase::WAITING || !wait.joined() {
            return phase;
        }
    }
    if phase == Phase::WAITING { poll_held(wait, waker) } else { phase }
}

/// An Idle node gets in line, after a look at the word that did not give it: where it stands then.
#[inline(always)]
fn get_in_line<W: AnyWait + ?Sized>(wait: &W, seen: Word, waker: &Waker) -> Phase {
    let (node, list) = (wait.node(), wait.list());
    // SAFETY: I1, I2: pinned by `poll`, Idle, and `drop` takes it out.
    if unsafe { list.enroll(seen, wait.linkable(), waker.clone(), wait.joins_without(), |bits| wait.admit(bits)) } {
        wait.note_admitted();
        drop(node.retire());
        return Phase::NOTIFIED;
    }
    if EAGER {
        let mut held = list.hold();
        held.complete();
        wait.settle(held);
    }
    Phase::WAITING
}

/// Polls a node that was linked, under the flag: where it stands then.
#[cfg_attr(feature = "std", inline(never))]
fn poll_held<W: AnyWait + ?Sized>(wait: &W, waker: &Waker) -> Phase {
    let node = wait.node();
    let mut fresh = None;
    loop {
        let mut held = wait.list().hold();
        let phase = node.phase();
        if phase != Phase::WAITING {
            wait.settle(held);
            return phase;
        }
        if wait.take(&mut held) {
            wait.settle(held);
            drop(node.retire());
            return Phase::NOTIFIED;
        }
        let (mut done, mut old) = (node.will_wake(waker), None);
        if !done {
            if let Some(waker) = fresh.take() {
                old = node.replace_waker(&mut held, waker);
                done = true;
            }
        }
        wait.settle(held);
        drop(old);
        if done {
            return Phase::WAITING;
        }
        fresh = Some(waker.clone());
    }
}

/// Takes the node out of whatever list it is in. Some: it owns what it waited for, and has this token.
#[cfg_attr(feature = "std", inline(never))]
fn leave<W: AnyWait + ?Sized>(wait: &W) -> Option<Token> {
    let node = wait.node();
    let spin = Spin::new();
    loop {
        match node.phase() {
            Phase::WAITING => {}
            Phase::CLAIMED => {
                if !wait.withdraw() {
                    spin.pause();
                }
                continue;
            }
            Phase::NOTIFIED | Phase::HOLDING => return Some(node.token()),
            _ => return None,
        }
        let mut held = wait.list().hold();
        let linked = node.phase() == Phase::WAITING;
        if linked {
            wait.leaving(&mut held);
            // SAFETY: I2: Waiting, so it is linked in one of the two; the wait outlives `held`.
            unsafe { held.remove(node, wait.side()) };
        }
        wait.settle(held);
        if linked {
            return None;
        }
    }
}

impl<S: Source> Future for Wait<S> {
    type Output = S::Output;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<S::Output> {
        let this = self.into_ref().get_ref();
        if LEAN {
            return this.poll_lean(cx.waker());
        }
        match this.node.phase() {
            Phase::IDLE => match this.source.try_at_once() {
                Ok(Some(output)) => this.done(output),
                Ok(None) => this.arrive(cx.waker()),
                Err(seen) => this.poll_first(seen, cx.waker()),
            },
            Phase::NOTIFIED => this.arrive(cx.waker()),
            phase => this.poll_again(cx.waker(), phase),
        }
    }
}

impl<S: Source> FusedFuture for Wait<S> {
    fn is_terminated(&self) -> bool {
        self.node.phase() == Phase::DONE
    }
}

impl<S: Source> Drop for Wait<S> {
    #[inline]
    fn drop(&mut self) {
        // I4: from here on only `&self.node`, as if pinned.
        let this = &*self;
        if !matches!(this.node.phase(), Phase::DONE | Phase::IDLE) {
            this.cancel();
        }
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
            pub(super) wait: $crate::wait::Wait<$source>,
        }

        impl<$($gen)*> core::future::Future for $name<$($arg)*> {
            type Output = $out;

            #[inline(always)]
            fn poll(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Self::Output> {
                #[allow(unsafe_code)]
                // SAFETY: I1 of future.rs: the only field is pinned with the struct, which has no `Drop` and is not `Unpin`.
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
