//! A line of waiters for something that is kept outside the word: permits, the sides of a lock, room in a buffer.
//!
//! First come, first offered: whoever supplies the [`Stock`] has those in front woken for whom it suffices; they keep their
//! place and take what they need when they are polled. What is offered can be taken by anybody meanwhile.
#![allow(unsafe_code)]
// STATE       word: CLOSED, DUE, TOLD, and the waiters; the stock is the primitive's
//                 T1 join       the push of word.rs, TOLD off; then a look at the stock
//                 T2 supply     more in the stock, then a look at the word
//                 T3 ask        w -> w | DUE                    somebody waits, and the flag is taken
//                 T4 offer      the wakers of those behind the front are taken and woken, who are in it then; DUE off, but
//                               between two batches; TOLD on if nobody is left. Who waits alone is the front at once
//                 T5 close      w -> w | CLOSED; all are taken out and Notified, in batches
//                 T6 return     a look at the stock under the flag; in vain: TOLD off, and the front ends before it
//                 T7 go alone   TOLD: the only one takes from the stock, and leaves by T5 of word.rs; or, as somebody came,
//                               under the flag: what is left is offered then
// INVARIANTS  I1 while the flag is free and DUE is off, what the stock has beyond what the front (front.rs) takes does not
//                suffice for the first behind it. Of those that a starved head keeps from taking, only the head is offered it.
//             I2 once CLOSED, nobody gets in line.
//             I3 a node in the word of a `Line<N>` begins a `Wait<InLine<_>>` whose header is an `N`: nobody else has its list.
//             I4 until CLOSED is seen, who is in the front leaves it before it leaves the line, or gets a waker.
//             I5 TOLD: the front reaches the newest. So there is nobody to be told of more: all come, and look at the stock.
// EDGES       E1 T1, T6 x T2: each writes, fences, and looks at what the other wrote: one of the two sees the other.
//             E2 T3 (release) -> the holder's next exchange of the word (acquire): it sees the stock as it was supplied.
use core::{marker::PhantomData, mem::ManuallyDrop, ptr, task::Waker};

use super::{
    batch::{Batch, Wakers, wake_alone},
    front::Front,
    future::{Source, header_of},
    held::{Head, Held},
    node::Node,
    phase::Token,
    word::{Admit, Bits, Step, WaitList, Word},
};
use crate::sys::{self, EAGER, LEAN, const_fn};

/// What a [`Line`] waits for.
pub(crate) trait Stock {
    /// How much a waiter needs.
    type Need: Copy;

    fn line(&self) -> &Line<Self::Need>;

    /// What is there now: a number.
    fn rest(&self) -> usize;

    /// Whether `rest` suffices for who needs `need`, and gets it.
    fn grant(rest: &mut usize, need: Self::Need) -> bool;

    /// What who needs `need` takes, as a number that adds up with that of others.
    fn share(need: Self::Need) -> usize;

    /// What remains of `rest` when those in front take their shares, `taken` in all. None: it does not suffice for them.
    fn beyond(rest: usize, taken: usize) -> Option<usize>;

    /// Whether the first in line was overtaken so often that now only it may take; ends as that one takes or leaves. While it
    /// is not so, nobody who was offered something may be refused what `grant` gives it.
    fn is_starved(&self) -> bool;

    /// The first in line goes away without having taken anything.
    fn head_leaves(&self) {}
}

/// From where somebody wants to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nobody waits.
    Alone,
    /// It is the first in line.
    Head,
    /// Others have waited longer.
    Behind,
    /// Others have waited longer; they and it have been offered what they need.
    Offered,
}

/// What a wait in line answers about itself.
pub(crate) trait InLinePolicy {
    /// As [`Source::VERB`].
    #[cfg_attr(not(feature = "profile"), allow(dead_code))]
    const VERB: &'static str = "Wait";

    type Stock: Stock;
    type Output;

    fn stock(&self) -> &Self::Stock;

    fn need(&self) -> <Self::Stock as Stock>::Need;

    /// Takes what it needs, if it is there and may be had from this place.
    fn try_take(&self, place: Place) -> bool;

    /// As `try_take`, of a first poll. Some: taken; within: the output, with which nothing is left to finish or to give back.
    #[inline(always)]
    fn try_at_once(&self, place: Place) -> Option<Option<Self::Output>> {
        self.try_take(place).then_some(None)
    }

    /// The output; `taken`: it has what it needs, else the line is closed.
    fn finish(&self, taken: bool) -> Self::Output;

    /// What it took comes back, because it is dropped before it could say so.
    fn give_back(&self);
}

type Need<P> = <<P as InLinePolicy>::Stock as Stock>::Need;

/// A [`Stock`] whose waiters say themselves what they need: the same for all types.
pub(super) trait Lender {
    /// What remains when those in front take `taken`. None: it does not suffice for them.
    fn beyond(&self, taken: usize) -> Option<usize>;

    /// Whether `rest` suffices for a waiter, and gets it: what it takes.
    ///
    /// # Safety
    /// (a) `node` is linked in the line of this stock, and the flag is held.
    unsafe fn grant(&self, rest: &mut usize, node: *const Node) -> Option<usize>;

    /// What a waiter takes.
    ///
    /// # Safety
    /// (a) as for `grant`.
    unsafe fn share(&self, node: *const Node) -> usize;

    /// As [`Stock::is_starved`].
    fn is_starved(&self) -> bool;
}

/// A stock that nobody drops through this type.
#[repr(transparent)]
struct Lent<S>(ManuallyDrop<S>);

#[inline(always)]
fn lent<S>(stock: &S) -> &Lent<S> {
    // SAFETY: transparent, both of them.
    unsafe { &*ptr::from_ref(stock).cast() }
}

impl<S: Stock> Lender for Lent<S> {
    #[inline(always)]
    fn beyond(&self, taken: usize) -> Option<usize> {
        S::beyond(self.0.rest(), taken)
    }

    #[inline(always)]
    unsafe fn grant(&self, rest: &mut usize, node: *const Node) -> Option<usize> {
        // SAFETY: (a), I3.
        let need = unsafe { header_of(node) };
        S::grant(rest, need).then(|| S::share(need))
    }

    #[inline(always)]
    unsafe fn share(&self, node: *const Node) -> usize {
        // SAFETY: (a), I3.
        S::share(unsafe { header_of(node) })
    }

    #[inline(always)]
    fn is_starved(&self) -> bool {
        self.0.is_starved()
    }
}

/// A wait in a [`Line`].
#[derive(Debug)]
pub(crate) struct InLine<P> {
    policy: P,
}

impl<P: InLinePolicy> InLine<P> {
    pub(crate) fn new(policy: P) -> Self {
        Self { policy }
    }

    fn line(&self) -> &Line<Need<P>> {
        self.policy.stock().line()
    }

    /// Whether the stock has what it needs.
    fn is_there(&self) -> bool {
        P::Stock::grant(&mut self.policy.stock().rest(), self.policy.need())
    }

    /// Whether it has what it needs, else the line is closed.
    fn is_taken(token: Token) -> bool {
        token != Token::All
    }
}

impl<P: InLinePolicy> Source for InLine<P> {
    const VERB: &'static str = P::VERB;

    type Output = P::Output;
    type Header = Need<P>;

    const JOINS_WITHOUT: Bits = TOLD; // T1, I5
    const ADMITTED: Token = Token::All; // `admit` lets only those go on whom T5 would tell

    fn header(&self) -> Need<P> {
        self.policy.need()
    }

    #[cfg_attr(feature = "std", inline(always))]
    fn list(&self) -> &WaitList {
        &self.line().row.list
    }

    #[cfg_attr(feature = "std", inline(always))]
    fn try_take(&self) -> Result<(), Word> {
        let word = self.line().look();
        let open = !Line::<Need<P>>::is_closed(word);
        if open && self.policy.try_take(Line::<Need<P>>::place(word)) { Ok(()) } else { Err(word) }
    }

    #[inline(always)]
    fn try_at_once(&self) -> Result<Option<P::Output>, Word> {
        let word = self.line().look();
        if Line::<Need<P>>::is_closed(word) {
            return Err(word);
        }
        self.policy.try_at_once(Line::<Need<P>>::place(word)).ok_or(word)
    }

    fn joined(&self) -> bool {
        sys::fence_after_rmw(); // E1
        self.is_there()
    }

    fn take_linked(&self, held: &mut Held<'_>, node: &Node) -> bool {
        if held.bits().has(CLOSED) {
            return false; // I2
        }
        sys::fence_after_rmw(); // E1: more in the stock, of which nobody was told by T2 because of TOLD, is seen here
        let oldest = held.oldest();
        let in_front = Front::has(held, node);
        let place = match (ptr::eq(oldest, node), node.is_offered(held)) {
            (true, _) => Place::Head,
            (false, true) => Place::Offered,
            (false, false) => Place::Behind,
        };
        let stock = self.policy.stock();
        // Else who follows has been offered it already, and less is left now.
        let owes = !LEAN && place == Place::Head && (EAGER || stock.is_starved());
        if self.policy.try_take(place) {
            if in_front {
                // SAFETY: I3: asked for above.
                unsafe { Front::leave(held, oldest, node, P::Stock::share(self.policy.need())) }; // I4
            }
            if owes {
                held.owe();
            }
            return true;
        }
        if in_front {
            if LEAN {
                came_in_vain::<dyn Lender>(held, node, lent(stock))
            } else {
                came_in_vain(held, node, lent(stock))
            }
        }
        if !LEAN && !stock.is_starved() && self.is_there() {
            held.owe(); // refused only because it had not been offered it yet
        }
        false
    }

    #[inline]
    fn may_take(&self, bits: Bits) -> bool {
        bits.has(CLOSED) || self.is_there()
    }

    /// T7.
    #[cfg_attr(feature = "std", inline(always))]
    fn take_alone(&self, bits: Bits) -> bool {
        bits.has(TOLD) && !bits.has(CLOSED) && self.policy.try_take(Place::Head) // I5
    }

    #[cfg_attr(feature = "std", inline(always))]
    fn admit(&self, bits: Bits) -> Admit {
        if bits.has(CLOSED) { Admit::Take(bits) } else { Admit::Wait } // I2
    }

    #[cfg_attr(feature = "std", inline(always))]
    fn settle(&self, held: Held<'_>) {
        self.line().settle(held, self.policy.stock());
    }

    fn leaving(&self, held: &mut Held<'_>, node: &Node) {
        if held.bits().has(CLOSED) {
            return;
        }
        if !LEAN && Front::ends_before_elder(held, node) {
            return; // there is no more than before for the first behind the front
        }
        let oldest = held.oldest();
        let is_head = ptr::eq(oldest, node);
        let stock = self.policy.stock();
        if is_head {
            stock.head_leaves();
        }
        let in_front = Front::has(held, node);
        if !LEAN {
            // SAFETY: I3, I4.
            let front = unsafe { Front::of(held, lent(stock)) };
            // Else there is no more than before for the first behind the front.
            if is_head || in_front || front.is_next(held, node) {
                held.owe();
            }
        }
        if in_front {
            // SAFETY: I3: asked for above.
            unsafe { Front::leave(held, oldest, node, P::Stock::share(self.policy.need())) }; // I4
        }
    }

    fn leaving_alone(&self) {
        self.policy.stock().head_leaves();
    }

    #[cfg_attr(feature = "std", inline(always))]
    fn finish(&self, token: Token) -> Option<P::Output> {
        Some(self.policy.finish(Self::is_taken(token)))
    }

    fn give_back(&self, token: Token) {
        if Self::is_taken(token) {
            self.policy.give_back();
        }
    }
}

/// T6: a linked node in the front looked at the stock in vain.
#[cfg_attr(feature = "std", inline(always))]
fn came_in_vain<L: Lender + ?Sized>(held: &mut Held<'_>, node: &Node, stock: &L) {
    while held.bits().has(TOLD) {
        let _ = held.change(held.bits().without(TOLD)); // T6, I5
    }
    // SAFETY: I3, I4.
    let front = unsafe { Front::of(held, stock) };
    // SAFETY: I3.
    unsafe { front.cut(held, node, stock) };
}

/// Waiters for a [`Stock`], each of which needs an `N`.
#[derive(Debug)]
pub(crate) struct Line<N> {
    row: Row,
    _need: PhantomData<fn() -> N>,
}

/// The same, whatever they need.
#[derive(Debug)]
struct Row {
    list: WaitList,
}

/// Who may be offered something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Head,
    All,
}

const CLOSED: Bits = Bits::own(0);
const DUE: Bits = Bits::own(1);
const TOLD: Bits = Bits::own(2);

impl<N: Copy> Line<N> {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { row: Row { list: WaitList::new(Bits::NONE) }, _need: PhantomData }
        }
    }

    /// The word now.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn look(&self) -> Word {
        self.row.list.load()
    }

    /// Whether it was closed then.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn is_closed(word: Word) -> bool {
        word.bits().has(CLOSED)
    }

    /// Where a newcomer stood then.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn place(word: Word) -> Place {
        if word.is_empty() { Place::Alone } else { Place::Behind }
    }

    /// T2, second half: to be called after the stock has grown by a read-modify-write.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn supplied(&self, stock: &impl Stock<Need = N>) {
        self.supplied_to(stock, Whom::All);
    }

    /// T2, second half, when there is nothing more than before for those behind the first in line.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn supplied_for_head(&self, stock: &impl Stock<Need = N>) {
        self.supplied_to(stock, Whom::Head);
    }

    #[cfg_attr(feature = "std", inline(always))]
    fn supplied_to(&self, stock: &impl Stock<Need = N>, whom: Whom) {
        sys::fence_after_rmw(); // E1
        let word = self.peek();
        if !word.is_empty() {
            self.ask(word, stock, whom);
        }
    }

    /// Whether there is somebody who may not have been offered what there is. While the flag is held it may be T6.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn has_to_be_told(word: Word) -> bool {
        !word.is_empty() && (word.is_held() || !word.bits().has(TOLD)) // I5
    }

    /// The word, for somebody who has seen to E1 already.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn peek(&self) -> Word {
        self.row.list.guess()
    }

    /// T2, second half, after a `peek` that found somebody.
    pub(crate) fn tell(&self, word: Word, stock: &impl Stock<Need = N>) {
        self.ask(word, stock, Whom::All);
    }

    #[inline(always)]
    fn ask(&self, word: Word, stock: &impl Stock<Need = N>, whom: Whom) {
        if LEAN { self.row.ask::<dyn Lender>(word, lent(stock), whom) } else { self.row.ask(word, lent(stock), whom) }
    }

    /// T5. False: it was closed before.
    pub(crate) fn close(&self, stock: &impl Stock<Need = N>) -> bool {
        if LEAN { self.row.close::<dyn Lender>(lent(stock)) } else { self.row.close(lent(stock)) }
    }

    /// Lets go of the flag so that I1 holds.
    #[cfg_attr(feature = "std", inline(always))]
    pub(crate) fn settle(&self, held: Held<'_>, stock: &impl Stock<Need = N>) {
        if LEAN {
            self.row.serve::<dyn Lender>(held, None, lent(stock), Whom::All); // a look at the stock more
        } else if let Some(held) = held.let_go_quietly(CLOSED.with(DUE), DUE) {
            self.row.serve(held, None, lent(stock), Whom::All);
        }
    }
}

impl Row {
    #[cold]
    fn ask<L: Lender + ?Sized>(&self, mut word: Word, stock: &L, mut whom: Whom) {
        while Line::<()>::has_to_be_told(word) {
            let tried = if word.is_held() {
                self.list.try_change(word, word.bits().with(DUE)) // T3. ORDER: E2 release
            } else {
                if word.bits().has(DUE) {
                    whom = Whom::All;
                }
                match self.list.try_hold(word, word.bits().without(DUE)) {
                    Ok(held) => return self.serve_one(held, stock, whom),
                    Err(now) => Err(now),
                }
            };
            match tried {
                Ok(()) => return,
                Err(now) => word = now,
            }
        }
    }

    /// T4 without a batch, if one at most is to be woken, as most often.
    #[cfg_attr(feature = "std", inline(always))]
    fn serve_one<L: Lender + ?Sized>(&self, mut held: Held<'_>, stock: &L, whom: Whom) {
        let (bits, mut one) = (held.bits(), None);
        // Lean code has one `offer` only.
        if LEAN || bits.has(CLOSED) {
            return self.serve(held, one, stock, whom);
        }
        let told = match Front::sole(&mut held) {
            Some(head) => Self::offer_sole(head, &mut one, stock),
            None => return self.serve_some(held, stock, whom),
        };
        self.wake_one(held, bits.with(told), one, stock, whom);
    }

    /// As `serve_one`, of several who wait, or who were offered something before.
    #[inline(never)]
    fn serve_some<L: Lender + ?Sized>(&self, mut held: Held<'_>, stock: &L, whom: Whom) {
        let (bits, mut one) = (held.bits(), None);
        match Self::offer(&mut held, &mut one, stock, whom) {
            Some(told) => self.wake_one(held, bits.with(told), one, stock, whom),
            None => self.serve(held, one, stock, whom),
        }
    }

    /// Lets go with these bits, and wakes who was offered something; goes on if somebody came.
    #[inline(always)]
    fn wake_one<L: Lender + ?Sized>(&self, held: Held<'_>, bits: Bits, one: Option<Waker>, stock: &L, whom: Whom) {
        match held.publish(bits) {
            Ok(mask) => {
                mask.leave();
                if let Some(waker) = one {
                    wake_alone(waker);
                }
            }
            Err(again) => self.serve(again, one, stock, whom),
        }
    }

    /// T5. False: it was closed before.
    fn close<L: Lender + ?Sized>(&self, stock: &L) -> bool {
        let mut word = self.list.guess();
        loop {
            if word.bits().has(CLOSED) {
                return false;
            }
            let bits = word.bits().with(CLOSED);
            let tried = if word.is_empty() || word.is_held() {
                self.list.try_change(word, bits)
            } else {
                match self.list.try_hold(word, bits) {
                    Ok(held) => {
                        self.serve(held, None, stock, Whom::All);
                        return true;
                    }
                    Err(now) => Err(now),
                }
            };
            match tried {
                Ok(()) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// T4 or T5.
    fn serve<L: Lender + ?Sized>(&self, held: Held<'_>, first: Option<Waker>, stock: &L, mut whom: Whom) {
        self.list.settle(held, first, |held, batch| {
            let bits = held.bits();
            if bits.has(DUE) {
                whom = Whom::All;
                let _ = held.change(bits.without(DUE)); // E2 acquire, before a look at the stock
                return Step::Again;
            }
            if bits.has(CLOSED) {
                let more = Self::release(held, batch);
                return if more { Step::Pass(bits) } else { Step::LetGo(bits) };
            }
            // Who holds the flag between two batches need not have anything to offer: it goes on with these.
            match Self::offer(held, batch, stock, whom) {
                Some(told) => Step::LetGo(bits.with(told)),
                None => Step::Pass(bits.with(DUE)),
            }
        });
    }

    /// T5. True: somebody is left.
    fn release(held: &mut Held<'_>, batch: &mut Batch) -> bool {
        while let Some(head) = held.head() {
            if batch.is_full() {
                return true;
            }
            batch.extend(head.hand_over(Some(Token::All)));
        }
        false
    }

    /// T4 with nobody else in line: the bits that are on from here on. O(1).
    #[inline(always)]
    fn offer_sole<L: Lender + ?Sized>(mut head: Head<'_, '_>, one: &mut Option<Waker>, stock: &L) -> Bits {
        // SAFETY: I3.
        let share = stock.beyond(0).and_then(|mut rest| unsafe { stock.grant(&mut rest, head.address()) });
        if share.is_none() {
            return Bits::NONE;
        }
        *one = head.offer_alone();
        TOLD // I5
    }

    /// T4. Some: the bits that are on from here on. None: there is more to offer. O(those who are offered something now).
    #[cfg_attr(feature = "std", inline(always))]
    fn offer<L: Lender + ?Sized>(held: &mut Held<'_>, wakers: &mut impl Wakers, stock: &L, whom: Whom) -> Option<Bits> {
        // SAFETY: I3, I4.
        let mut front = unsafe { Front::of(held, stock) };
        // One node a masked section: whoever takes it offers the rest to the next.
        let only_head = EAGER || whom == Whom::Head || stock.is_starved();
        if only_head && !front.is_empty() {
            return Some(Bits::NONE);
        }
        let Some(mut rest) = stock.beyond(front.takes()) else { return Some(Bits::NONE) };
        let (mut more, mut next) = (false, front.next(held));
        while let Some(mut head) = next {
            // SAFETY: I3.
            let Some(share) = (unsafe { stock.grant(&mut rest, head.address()) }) else { break };
            more = wakers.is_full();
            if more {
                break;
            }
            wakers.extend(front.push(&mut head, share));
            next = if only_head { None } else { head.next() };
        }
        let told = if front.reaches_newest(held) { TOLD } else { Bits::NONE }; // I5
        front.keep(held);
        (!more).then_some(told)
    }
}
