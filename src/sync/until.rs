//! The waits of a [`Condition`]: for its lock, for a notification, for a predicate.
#![allow(unsafe_code)]
// The labels are those declared in condition.rs.
use core::marker::PhantomData;

use super::{
    condition::{Adopted, Condition, ConditionGuard},
    mutex::{ASKED, Mutex},
};
use crate::{
    sys::{Unwinding, cell::UnsafeCell},
    wait::{
        Admit, Bits, Handle, Held, Lot, Node, Reaches, Side, Source, Token, Wait, WaitList, Word, header_of,
        wait_future,
    },
};

/// The predicates of a lot are run for `n` notifications that are left. If one unwinds through here, or the flag cannot be
/// taken again, the lot is given up, the walk ends, and the rest is asked for.
pub(super) struct Running<'c, T: ?Sized> {
    lot: &'c Lot,
    condition: &'c Condition<T>,
    n: usize,
}

impl<'c, T: ?Sized> Running<'c, T> {
    pub(super) fn new(lot: &'c Lot, condition: &'c Condition<T>, n: usize) -> Self {
        Self { lot, condition, n }
    }

    /// Runs the predicates until `n` hold. Those that panic are for their owners to see to.
    pub(super) fn ask(&self, data: &T) {
        self.lot.run(self.n, |node| {
            // SAFETY: I2: claimed, so linked and in place; what asks has a `Call` for this condition's `T` as its header.
            let call = unsafe { header_of::<Call<T>>(node) };
            // SAFETY: I2: the lot gives the predicate to this notifier alone; the header is that of this wait.
            unsafe { call(node, data) }
        });
    }

    /// The flag is held again: the caller gives the lot back.
    pub(super) fn done(self) {
        core::mem::forget(self);
    }
}

impl<T: ?Sized> Drop for Running<'_, T> {
    fn drop(&mut self) {
        self.condition.walk.abandon(self.lot);
        self.condition.ask(self.n);
    }
}

/// When a wait that got the lock is over.
pub(super) trait Until<T: ?Sized> {
    /// What a notifier finds behind the node.
    type Header: Copy;

    /// Whether a notifier has to run a predicate first.
    const ASKS: bool;

    /// As `Source::VERB`.
    #[cfg_attr(not(feature = "profile"), allow(dead_code))]
    const VERB: &'static str;

    fn header<H: Handle<Target = Condition<T>>>() -> Self::Header;

    /// Whether it is over; the lock is held, `token` came.
    fn holds(&self, data: &T, token: Token) -> bool;
}

/// At once.
pub(super) struct Locked;

impl<T: ?Sized> Until<T> for Locked {
    type Header = ();

    const ASKS: bool = false;
    const VERB: &'static str = "Condition::lock";

    fn header<H: Handle<Target = Condition<T>>>() {}

    fn holds(&self, _: &T, _: Token) -> bool {
        true
    }
}

/// When it was notified.
pub(super) struct Notified;

impl<T: ?Sized> Until<T> for Notified {
    type Header = ();

    const ASKS: bool = false;
    const VERB: &'static str = "Condition::wait";

    fn header<H: Handle<Target = Condition<T>>>() {}

    fn holds(&self, _: &T, token: Token) -> bool {
        token != Token::None
    }
}

/// Runs the predicate of the wait that a node begins.
pub(super) type Call<T> = unsafe fn(*const Node, &T) -> bool;

/// When a predicate holds.
pub(super) struct When<P>(UnsafeCell<P>);

impl<P> When<P> {
    pub(super) fn new(predicate: P) -> Self {
        Self(UnsafeCell::new(predicate))
    }
}

/// Runs the predicate of the wait that `node` begins.
///
/// # Safety
/// (a) `node` is that of a live `Wait<Waiting<T, When<P>, H>>`, (b) whose predicate nobody else runs.
unsafe fn call<T: ?Sized, P: FnMut(&T) -> bool, H: Handle<Target = Condition<T>>>(node: *const Node, data: &T) -> bool {
    // SAFETY: (a).
    let waiting = unsafe { Wait::<Waiting<'_, T, When<P>, H>>::source_of(node) };
    // SAFETY: (b).
    waiting.until.0.with_mut(|predicate| unsafe { (*predicate)(data) })
}

impl<T: ?Sized, P: FnMut(&T) -> bool> Until<T> for When<P> {
    type Header = Call<T>;

    const ASKS: bool = true;
    const VERB: &'static str = "Condition::wait_for";

    fn header<H: Handle<Target = Condition<T>>>() -> Call<T> {
        call::<T, P, H>
    }

    fn holds(&self, data: &T, token: Token) -> bool {
        // SAFETY: I2: its owner asks, and the node is in no list.
        let holds = self.0.with_mut(|predicate| unsafe { (*predicate)(data) });
        assert!(token != Token::Panicked, "the predicate of this wait panicked when a notifier called it");
        holds
    }
}

/// A wait for the lock, and then for `until`.
pub(super) struct Waiting<'a, T: ?Sized, U, H> {
    until: U,
    handle: H,
    _type: Reaches<'a, T>,
}

impl<T: ?Sized, U, H> Waiting<'_, T, U, H> {
    pub(super) fn new(until: U, handle: H) -> Self {
        Self { until, handle, _type: PhantomData }
    }
}

impl<'a, T: ?Sized, U: Until<T>, H: Handle<Target = Condition<T>>> Source for Waiting<'a, T, U, H> {
    const ASKS: bool = U::ASKS;
    const VERB: &'static str = "Condition::lock";
    const ASIDE: &'static str = U::VERB;

    type Output = ConditionGuard<'a, T, H>;
    type Header = U::Header;

    fn header(&self) -> U::Header {
        U::header::<H>()
    }

    #[inline(always)]
    fn list(&self) -> &WaitList {
        self.handle.list()
    }

    fn side(&self) -> Option<&Side> {
        Some(&self.handle.side)
    }

    #[inline(always)]
    fn try_take(&self) -> Result<(), Word> {
        self.handle.mutex.try_take()
    }

    #[inline(always)]
    fn admit(&self, bits: Bits) -> Admit {
        Mutex::<T>::admit(bits)
    }

    fn settle(&self, held: Held<'_>) {
        self.handle.settle(held);
    }

    fn is_in_line(&self, held: &mut Held<'_>, node: &Node) -> bool {
        !node.is_aside(held)
    }

    fn leaving(&self, held: &mut Held<'_>, node: &Node) {
        if node.linked_token(held) == Token::One {
            self.handle.ask(1); // I4; whoever lets go of the flag sees to it, I3
        }
        self.handle.walk.avoid(held, &self.handle.side, node);
    }

    #[inline]
    fn finish(&self, token: Token) -> Option<Self::Output> {
        // SAFETY: mutex I2: this wait has LOCKED.
        let data = unsafe { self.handle.mutex.data() };
        self.until.holds(data, token).then(|| ConditionGuard::new(self.handle.clone()))
    }

    fn park(&self, token: Token, link: impl FnOnce(&mut Held<'_>, &Side, bool)) {
        let condition = &*self.handle;
        tell!(released(condition.list(), "Condition", 1));
        if token == Token::One {
            condition.ask(1); // I4: not spent
        }
        loop {
            let mut held = condition.list().hold();
            if held.bits().has(ASKED) {
                // SAFETY: mutex I2: this wait has LOCKED.
                condition.carry_out(held, unsafe { condition.mutex.data() });
                continue;
            }
            link(&mut held, &condition.side, U::ASKS);
            return condition.mutex.release(held, Adopted::new(condition).cell());
        }
    }

    fn give_back(&self, token: Token) {
        if token == Token::One {
            self.handle.ask(1); // I4
        }
        self.handle.unlock(Unwinding::here());
    }
}

wait_future! {
    /// The future of [`Condition::lock`].
    pub struct ConditionLock['a, T: ?Sized, H: Handle<Target = Condition<T>> = &'a Condition<T>]
        ['a, T: ?Sized, H: Handle<Target = Condition<T>>]['a, T, H](Waiting<'a, T, Locked, H>) -> ConditionGuard<'a, T, H>
}

wait_future! {
    /// The future of [`Condition::wait`].
    pub struct ConditionWait['a, T: ?Sized, H: Handle<Target = Condition<T>> = &'a Condition<T>]
        ['a, T: ?Sized, H: Handle<Target = Condition<T>>]['a, T, H](Waiting<'a, T, Notified, H>) -> ConditionGuard<'a, T, H>
}

wait_future! {
    /// The future of [`Condition::wait_for`] and [`Condition::wait_until`].
    pub struct ConditionWaitFor[
        'a, T: ?Sized, P: FnMut(&T) -> bool + Send, H: Handle<Target = Condition<T>> = &'a Condition<T>
    ]['a, T: ?Sized, P: FnMut(&T) -> bool + Send, H: Handle<Target = Condition<T>>]['a, T, P, H](
        Waiting<'a, T, When<P>, H>
    ) -> ConditionGuard<'a, T, H>
}
