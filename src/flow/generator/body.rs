//! What a generator consists of: a body, and the slot through which its items go.
#![allow(unsafe_code)]
// STATE       body: Fresh --T1 first poll--> Running --T2 it returns, panics, is closed--> Done, or Last item --> Done
//                   Fresh --T3 closed--> Done
//             slot: Idle --T4 the consumer polls--> a Turn --T5 emit, or the poll ends--> Idle
//                   Idle --T9 a part of the body waits for T4--> Part --T10 it is woken--> Idle
//                   Idle, Part --T6 aclose--> Closing --T7 an emit is told--> Told --T8 another emit--> Over, which is T2
// INVARIANTS  I1 a Gen is not moved once its body is Running; the body is dropped in place, and before the slot.
//             I2 an emitter lives in the body that it was made for, and nowhere else: its lifetime is any that the body can
//                name, and outlives nothing that it cannot.
//             I3 the slot is used by one at a time: the Gen, while the body is not polled, or the body's only emitter.
//             I4 a Turn in the slot is on the stack of the poll_next that is running, and its item is None.
// CANCEL      next: the body stands still. emit: what the Turn has is delivered. Dropped: the body's destructors, no more.
use core::{
    cell::{Cell, UnsafeCell},
    fmt,
    future::Future,
    marker::{PhantomData, PhantomPinned},
    mem,
    pin::Pin,
    ptr,
    task::{Context, Poll, Waker},
};

use futures_core::{FusedFuture, FusedStream, Stream};

use super::{AsyncGen, Closed, Stop, TryEmitter};
#[cfg(feature = "alloc")]
use super::{BoxEmitter, BoxGen, boxed::BoxBody};
use crate::wait::POLLED_AFTER_COMPLETION;

/// Where the item of one poll goes.
type Turn<T> = UnsafeCell<Option<T>>;

/// The way of an item from the body to the consumer.
struct Slot<T> {
    /// A Turn, or one of the addresses below.
    turn: Cell<*const Turn<T>>,
    /// Where the consumer's waker was in the last poll, for comparison: it is polled by itself.
    consumer: Cell<*const Waker>,
    /// The waker of a part of the body that has one of its own, and waits for the next T4.
    part: Cell<Option<Waker>>,
}

/// Nobody polls, or there is an item already.
const IDLE: usize = 0;
/// The same, and a part of the body waits.
const PART: usize = 1;
const CLOSING: usize = 2;
const TOLD: usize = 3;
const OVER: usize = 4;

// SAFETY: I4: between polls it holds no Turn, and the consumer is never looked at. T: Send, for the Turns.
unsafe impl<T: Send> Send for Slot<T> {}

impl<T> Slot<T> {
    const fn new() -> Self {
        Self { turn: Cell::new(ptr::null()), consumer: Cell::new(ptr::null()), part: Cell::new(None) }
    }

    #[inline(always)]
    fn state(&self) -> usize {
        self.turn.get().addr()
    }

    #[inline(always)]
    fn set(&self, state: usize) {
        self.turn.set(ptr::without_provenance(state));
    }

    /// T10.
    fn wake_part(&self) {
        if self.state() == PART {
            self.set(IDLE);
        }
        if let Some(part) = self.part.take() {
            part.wake();
        }
    }

    /// T9.
    #[cold]
    fn wait(&self, waker: &Waker) {
        self.part.set(Some(waker.clone()));
        if self.state() == IDLE {
            self.set(PART);
        }
    }
}

/// The end of a generator's body at which items go in.
///
/// Each body gets one, which cannot leave it: its lifetime is the body's own.
///
/// ```compile_fail,E0521
/// # use std::cell::Cell;
/// # use testudo::flow::{Emitter, generator};
/// thread_local!(static LEAKED: Cell<Option<Emitter<'static, u32>>> = Cell::new(None));
///
/// generator(async |y| {
///     LEAKED.set(Some(y));
///     Ok(())
/// });
/// ```
pub struct Emitter<'g, T> {
    slot: *const Slot<T>,
    _body: PhantomData<fn(&'g ()) -> &'g ()>,
}

// SAFETY: I3: whoever has the emitter is in the body that the Gen polls, on its thread; an item goes along: T: Send.
unsafe impl<T: Send> Send for Emitter<'_, T> {}

#[cfg(feature = "alloc")]
impl<T> Emitter<'static, T> {
    /// The same emitter, with a shorter life (I2).
    pub(super) fn within<'g>(self) -> Emitter<'g, T> {
        Emitter { slot: self.slot, _body: PhantomData }
    }
}

impl<T> Emitter<'_, T> {
    #[inline(always)]
    fn slot(&self) -> &Slot<T> {
        // SAFETY: I2, I1: the slot outlives the body. It is shared only (I3).
        unsafe { &*self.slot }
    }

    /// Gives an item to the consumer, and goes on when the consumer comes back for the next one.
    ///
    /// The item is on its way with this call. If the one before is still on its way, because its future was dropped
    /// without waiting, this one follows when the consumer comes back. The future borrows the emitter: there are never
    /// two.
    ///
    /// ```compile_fail,E0499
    /// # testudo::flow::generator(async |mut y| {
    /// let (one, two) = (y.emit(1), y.emit(2));
    /// # one.await?; two.await
    /// # });
    /// ```
    ///
    /// # asyncio
    /// Same as `yield`. Differs in that being closed is an error to be passed on with `?`, instead of GeneratorExit.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the item, if the one before it is still on its way.
    ///
    /// # Errors
    /// [`Closed`] when the generator is being closed. The item is dropped; clean up, which may await, and return. Another
    /// `emit` after that never returns: the body is dropped at it.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use testudo::{flow::{generator, next}, run::block_on};
    ///
    /// let mut squares = pin!(generator(async |mut y| {
    ///     for n in 1_u32.. {
    ///         y.emit(n * n).await?;
    ///     }
    ///     Ok(())
    /// }));
    /// assert_eq!(block_on(next(&mut squares)), Some(1));
    /// assert_eq!(block_on(next(&mut squares)), Some(4));
    /// ```
    #[doc(alias = "yield")]
    #[inline(always)]
    pub fn emit(&mut self, item: T) -> Emit<'_, T> {
        self.emit_as(item)
    }

    #[inline(always)]
    pub(super) fn emit_as<X: Refusal>(&mut self, item: T) -> Emit<'_, T, X> {
        let emitter = Emitter { slot: self.slot, _body: PhantomData };
        let slot = emitter.slot();
        let item = if slot.state() > OVER {
            // SAFETY: I4.
            let turn = unsafe { &*slot.turn.get() };
            // SAFETY: I3, I4: None before; and nobody else has a reference to it.
            unsafe { turn.get().write(Some(item)) }
            slot.set(IDLE); // T5
            Item::Sent
        } else {
            Item::Here(item)
        };
        Emit { emitter, item, _refusal: PhantomData }
    }

    /// Says whether the generator is being closed, so that the next [`emit`](Emitter::emit) will be refused.
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use testudo::{flow::{AsyncGen, generator, next}, run::block_on};
    ///
    /// let mut closed = None;
    /// {
    ///     let mut numbers = pin!(generator(async |mut y| {
    ///         let refused = y.emit(1).await;
    ///         closed = Some(y.is_closing());
    ///         refused
    ///     }));
    ///     block_on(next(&mut numbers));
    ///     block_on(numbers.aclose());
    /// }
    /// assert_eq!(closed, Some(true));
    /// ```
    pub fn is_closing(&self) -> bool {
        (CLOSING..=OVER).contains(&self.slot().state())
    }
}

impl<T> fmt::Debug for Emitter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter").field("closing", &self.is_closing()).finish()
    }
}

/// What an emitter says when nobody wants its item.
pub trait Refusal {
    /// Made when the generator is being closed.
    fn closed() -> Self;
}

impl Refusal for Closed {
    #[inline(always)]
    fn closed() -> Self {
        Closed
    }
}

enum Item<T> {
    /// On its way, or taken.
    Sent,
    /// It waits for the one before.
    Here(T),
    Done,
}

/// The future of [`Emitter::emit`].
#[must_use = "the body should wait until the item is taken, and has to end when it is refused"]
pub struct Emit<'e, T, X = Closed> {
    emitter: Emitter<'e, T>,
    item: Item<T>,
    _refusal: PhantomData<fn() -> X>,
}

/// The item is moved out when it is sent, and pinned nowhere.
impl<T, X> Unpin for Emit<'_, T, X> {}

impl<T, X: Refusal> Future for Emit<'_, T, X> {
    type Output = Result<(), X>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let slot = this.emitter.slot();
        if let Item::Sent = this.item {
            if slot.state() > OVER {
                this.item = Item::Done;
                return Poll::Ready(Ok(()));
            }
            if slot.state() == IDLE && ptr::eq(slot.consumer.get(), cx.waker()) {
                return Poll::Pending;
            }
        }
        this.poll_else(cx)
    }
}

impl<T, X: Refusal> Emit<'_, T, X> {
    #[cold]
    fn poll_else(&mut self, cx: &Context<'_>) -> Poll<Result<(), X>> {
        let slot = self.emitter.slot();
        match slot.state() {
            _ if matches!(self.item, Item::Done) => panic!("{POLLED_AFTER_COMPLETION}"),
            CLOSING => {
                slot.set(TOLD); // T7
                self.item = Item::Done;
                return Poll::Ready(Err(X::closed()));
            }
            TOLD => slot.set(OVER), // T8
            IDLE | PART | OVER => slot.wait(cx.waker()),
            _ => {
                let Item::Here(item) = mem::replace(&mut self.item, Item::Sent) else { unreachable!("see poll") };
                // SAFETY: I4.
                let turn = unsafe { &*slot.turn.get() };
                // SAFETY: I3, I4: None before; and nobody else has a reference to it.
                unsafe { turn.get().write(Some(item)) }
                slot.set(IDLE); // T5
                if !ptr::eq(slot.consumer.get(), cx.waker()) {
                    self.emitter.slot().wait(cx.waker());
                }
            }
        }
        Poll::Pending
    }
}

impl<T, X: Refusal> FusedFuture for Emit<'_, T, X> {
    fn is_terminated(&self) -> bool {
        matches!(self.item, Item::Done)
    }
}

impl<T, X> fmt::Debug for Emit<'_, T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = matches!(self.item, Item::Sent);
        f.debug_struct("Emit").field("sent", &sent).finish_non_exhaustive()
    }
}

/// What a body returns: nothing, or a last item.
pub(super) trait Ending<T> {
    fn last(self) -> Option<T>;
}

impl<T> Ending<T> for Result<(), Closed> {
    #[inline(always)]
    fn last(self) -> Option<T> {
        None
    }
}

/// A generator whose body takes an emitter of any lifetime, so that it does not outlive the future it returns.
pub(super) fn plain<T, F>(body: F) -> impl AsyncGen<Item = T>
where
    F: for<'g> AsyncFnOnce(Emitter<'g, T>) -> Result<(), Closed>,
{
    // SAFETY: I2: (a) is the bound of F.
    unsafe { Gen::new(|emitter: Emitter<'static, T>| body(emitter)) }
}

/// The same for results.
pub(super) fn fallible<T, E, F>(body: F) -> impl AsyncGen<Item = Result<T, E>>
where
    F: for<'g> AsyncFnOnce(TryEmitter<'g, T, E>) -> Result<(), Stop<E>>,
{
    // SAFETY: I2: (a) is the bound of F.
    unsafe { Gen::new(|emitter: Emitter<'static, Result<T, E>>| body(TryEmitter(emitter))) }
}

/// The same for a body in a box; its lifetime is any within 'e.
#[cfg(feature = "alloc")]
pub(super) fn boxed<'e, T, F>(body: F) -> BoxGen<'e, T>
where
    T: Send + 'e,
    F: for<'g> FnOnce(BoxEmitter<'g, 'e, T>) -> BoxBody<'g> + Send + 'e,
{
    let start = |emitter: Emitter<'static, T>| body(BoxEmitter::<'e, 'e, T>::new(emitter));
    // SAFETY: I2: (a) is the bound of F.
    alloc::boxed::Box::pin(unsafe { Gen::new(start) })
}

enum Body<T, S, B> {
    Fresh(S),
    Running(B),
    Last(T),
    Done,
}

/// A generator: `S` makes its body, a `B`.
struct Gen<T, S, B> {
    body: Body<T, S, B>,
    slot: Slot<T>,
    /// The body has pointers to the slot.
    _pinned: PhantomPinned,
}

impl<T, S, B> Gen<T, S, B>
where
    S: FnOnce(Emitter<'static, T>) -> B,
    B: Future,
    B::Output: Ending<T>,
{
    /// Makes one that runs `start` with its first poll.
    ///
    /// # Safety
    /// (a) `start` takes an emitter of any lifetime, and its body lives no longer than that.
    unsafe fn new(start: S) -> Self {
        Self { body: Body::Fresh(start), slot: Slot::new(), _pinned: PhantomPinned }
    }

    /// T1.
    #[inline(always)]
    fn start(&mut self) {
        if let Body::Fresh(start) = mem::replace(&mut self.body, Body::Done) {
            self.body = Body::Running(start(Emitter { slot: &raw const self.slot, _body: PhantomData }));
        }
    }

    /// Polls a Running body for an item; the slot is Idle.
    #[inline(always)]
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let turn = Turn::new(None);
        self.slot.consumer.set(cx.waker());
        self.slot.turn.set(&raw const turn); // T4
        let end = End { body: &mut self.body, slot: &self.slot, turn: &turn };
        let Body::Running(body) = &mut *end.body else { unreachable!("the caller has looked") };
        // SAFETY: I1.
        let poll = unsafe { Pin::new_unchecked(body) }.poll(cx);
        if let Poll::Ready(output) = poll {
            return Poll::Ready(end.last(output.last()));
        }
        mem::forget(end);
        match turn.into_inner() {
            None => {
                self.slot.set(IDLE); // T5
                Poll::Pending
            }
            item => Poll::Ready(item),
        }
    }

    /// A poll of one that has not begun, has ended, is being closed, or has a part that waits.
    #[cold]
    fn poll_else(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Body::Fresh(_) = self.body {
            self.start();
        }
        if let Body::Running(_) = self.body {
            if self.slot.state() <= PART {
                self.slot.wake_part();
                return self.poll_item(cx);
            }
            if self.close(cx).is_pending() {
                return Poll::Pending;
            }
        }
        match mem::replace(&mut self.body, Body::Done) {
            Body::Last(item) => Poll::Ready(Some(item)),
            _ => Poll::Ready(None),
        }
    }

    fn close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.body {
            Body::Last(_) | Body::Done => return Poll::Ready(()),
            Body::Fresh(_) => {
                self.body = Body::Done; // T3
                return Poll::Ready(());
            }
            Body::Running(_) => {}
        }
        self.slot.wake_part();
        if self.slot.state() == IDLE {
            self.slot.set(CLOSING); // T6
        }
        self.slot.consumer.set(cx.waker());
        let turn = Turn::new(None);
        let end = End { body: &mut self.body, slot: &self.slot, turn: &turn };
        let Body::Running(body) = &mut *end.body else { unreachable!("looked at above") };
        // SAFETY: I1.
        match unsafe { Pin::new_unchecked(body) }.poll(cx) {
            Poll::Ready(output) => {
                set(&turn, output.last());
                drop(end); // T2: Last, if there is one
            }
            Poll::Pending if self.slot.state() == OVER => drop(end), // T2
            Poll::Pending => {
                mem::forget(end);
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

/// Puts an item into a Turn that is not in the slot any more.
fn set<T>(turn: &Turn<T>, item: Option<T>) {
    // SAFETY: I4: of the poll that calls; the body has ended, and nobody else has a reference to it.
    unsafe { *turn.get() = item }
}

/// Takes the item of such a Turn.
fn take<T>(turn: &Turn<T>) -> Option<T> {
    // SAFETY: I4: as in `set`.
    unsafe { &mut *turn.get() }.take()
}

/// Ends a body (T2), also by a panic: drops it in place, and keeps the item of this turn.
struct End<'a, T, S, B> {
    body: &'a mut Body<T, S, B>,
    slot: &'a Slot<T>,
    turn: &'a Turn<T>,
}

impl<T, S, B> End<'_, T, S, B> {
    /// The body has returned: gives the item of this turn and keeps the last one, or gives the last one.
    #[inline(always)]
    fn last(self, last: Option<T>) -> Option<T> {
        let item = take(self.turn);
        if item.is_none() {
            drop(self);
            return last;
        }
        set(self.turn, last);
        drop(self);
        item
    }
}

impl<T, S, B> Drop for End<'_, T, S, B> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.slot.state() > OVER {
            self.slot.set(IDLE); // T5
        }
        *self.body = Body::Done;
        if let Some(item) = take(self.turn) {
            *self.body = Body::Last(item);
        }
    }
}

impl<T, S, B> Stream for Gen<T, S, B>
where
    S: FnOnce(Emitter<'static, T>) -> B,
    B: Future,
    B::Output: Ending<T>,
{
    type Item = T;

    #[inline(always)]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        // SAFETY: I1: nothing is moved but what the body is made of, and a last item.
        let this = unsafe { self.get_unchecked_mut() };
        if matches!(this.body, Body::Running(_)) && this.slot.state() == IDLE {
            this.poll_item(cx)
        } else {
            this.poll_else(cx)
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.body {
            Body::Last(_) => (1, Some(1)),
            Body::Done => (0, Some(0)),
            _ => (0, None),
        }
    }
}

impl<T, S, B> FusedStream for Gen<T, S, B>
where
    S: FnOnce(Emitter<'static, T>) -> B,
    B: Future,
    B::Output: Ending<T>,
{
    fn is_terminated(&self) -> bool {
        matches!(self.body, Body::Done)
    }
}

impl<T, S, B> AsyncGen for Gen<T, S, B>
where
    S: FnOnce(Emitter<'static, T>) -> B,
    B: Future,
    B::Output: Ending<T>,
{
    fn poll_aclose(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: I1: as in `poll_next`.
        unsafe { self.get_unchecked_mut() }.close(cx)
    }
}

impl<T, S, B> fmt::Debug for Gen<T, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match self.body {
            Body::Fresh(_) => "Fresh",
            Body::Running(_) => "Running",
            Body::Last(_) => "Last",
            Body::Done => "Done",
        };
        f.debug_struct("Generator").field("body", &body).field("closing", &(self.slot.state() != IDLE)).finish()
    }
}
