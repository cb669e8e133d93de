//! A flag that tasks wait for.

// STATE       word: SET, DUE, and the waiters; side: waiters that a set() has released, until they are woken
//             (lean code leaves them in the word's list: side is the newest of them, and when that one goes, its elder)
//                 T1 set, nobody to tell  w -> w | SET (it was SET, or the word has no node)
//                 T2 set                  all waiters are detached into side, SET; they are notified in batches
//                 T3 set, flag taken      w -> w | SET | DUE; the holder does T2 before it lets go, and DUE goes off
//                 T4 clear                w -> w & !SET
// INVARIANTS  I1 nobody gets in line while SET or DUE: those in the word and not in side are of one moment.
//             I2 a node in side stays there until it is told or leaves: clear() does not reach it.
//             I3 who holds the flag does not let go for good while side is not empty.
// EDGES       E1 T1, T2, T3 (release) -> wait (acquire): what was written before set() is seen after wait.
// CANCEL      Waiting: place in line. Notified: everybody was told, nobody else was owed it.
// INTERRUPT   set, clear, is_set: yes; set is O(waiters), the others O(1). wait: tasks only.
use core::{fmt, task::Waker};

use crate::{
    sys::{LEAN, const_fn},
    wait::{
        Admit, Bits, Chain, Handle, Held, Node, Side, Source, Step, Token, Wait, WaitList, Word, wait_future,
        wake_alone,
    },
};

/// A flag that any number of tasks wait for.
///
/// [`set`](Event::set) releases everybody who waits at that moment, even if [`clear`](Event::clear) runs before they do;
/// later waits return at once until the event is cleared.
///
/// # asyncio
/// Same as `asyncio.Event`; besides, it may be signalled from any thread and from interrupts.
///
/// # Examples
/// ```
/// use testudo::{Event, run::block_on};
///
/// static READY: Event = Event::new();
///
/// let waiter = std::thread::spawn(|| block_on(READY.wait()));
/// READY.set();
/// waiter.join().unwrap();
/// assert!(READY.is_set());
/// ```
#[doc(alias = "ManualResetEvent")]
#[doc(alias = "Notify")]
pub struct Event {
    list: WaitList,
    side: Side,
}

const SET: Bits = Bits::own(0);
const DUE: Bits = Bits::own(1);

impl Event {
    const_fn! {
        /// Returns an event that is not set.
        ///
        /// # Examples
        /// ```
        /// static STOP: testudo::Event = testudo::Event::new();
        /// assert!(!STOP.is_set());
        /// ```
        pub const fn new() -> Self {
            Self { list: WaitList::new(Bits::NONE), side: Side::new() }
        }
    }

    /// Where its waiters are, to probes.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(crate) fn waiters(&self) -> &WaitList {
        &self.list
    }

    /// Sets the flag and releases everybody who waits, in the order in which they came.
    ///
    /// Never waits: if another thread or an interrupted task is at work on the list, that one does the rest. O(waiters)
    /// otherwise.
    ///
    /// # Interrupts
    /// May be called from interrupts and signal handlers, if the wakers may.
    ///
    /// # Memory ordering
    /// What was written before `set` is seen after the `wait` that it released.
    ///
    /// # Panics
    /// If a waker panics; all waiters are woken first.
    ///
    /// # Examples
    /// ```
    /// let event = testudo::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    #[inline]
    pub fn set(&self) {
        tell!(notified(&self.list, "Event::set", usize::MAX));
        let mut word = self.list.guess();
        loop {
            let bits = word.bits().with(SET);
            let tried = if word.is_empty() || (LEAN && word.bits().has(SET)) {
                self.list.try_change(word, bits) // T1. ORDER: E1 release
            } else if word.is_held() {
                self.list.try_change(word, bits.with(DUE)) // T3. ORDER: E1 release
            } else {
                match self.try_release(word, bits) {
                    Ok(()) => return,
                    Err(now) => Err(now),
                }
            };
            match tried {
                Ok(()) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Clears the flag: later waits wait. Those that a `set` has released stay released.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(1).
    ///
    /// # Examples
    /// ```
    /// let event = testudo::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    #[doc(alias = "reset")]
    #[inline]
    pub fn clear(&self) {
        // Most often it is set, and so nobody waits: no look before.
        let mut word = Word::empty(SET);
        while word.bits().has(SET) {
            match self.list.try_change(word, word.bits().without(SET)) {
                // T4
                Ok(()) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Says whether the flag is set. One load.
    ///
    /// # Interrupts
    /// May be called from interrupts.
    ///
    /// # Memory ordering
    /// If true, what was written before the `set` is seen.
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::Event::new().is_set());
    /// ```
    #[inline]
    pub fn is_set(&self) -> bool {
        self.list.load().bits().has(SET) // ORDER: E1 acquire
    }

    /// Waits until the flag is set.
    ///
    /// Gets in line at the first poll. Is released by the `set` that finds it in line, even if `clear` runs before it is
    /// polled again.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let event = testudo::Event::new();
    /// event.set();
    /// event.wait().await;
    /// # });
    /// ```
    #[inline]
    pub fn wait(&self) -> EventWait<&Self> {
        Self::wait_with(self)
    }

    /// Waits as [`wait`](Event::wait) does, through any handle: the future of an `Arc<Event>` is `'static`.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use testudo::Event;
    ///
    /// let event = Arc::new(Event::new());
    /// let waiting = Event::wait_with(Arc::clone(&event));
    /// event.set();
    /// std::thread::spawn(|| testudo::run::block_on(waiting)).join().unwrap();
    /// ```
    #[inline]
    pub fn wait_with<H: Handle<Target = Self>>(this: H) -> EventWait<H> {
        EventWait { wait: Wait::new(EventSource(this), false) }
    }

    /// Blocks this thread until the flag is set.
    ///
    /// # Examples
    /// ```
    /// let event = testudo::Event::new();
    /// std::thread::scope(|s| {
    ///     s.spawn(|| event.set());
    ///     event.wait_blocking();
    /// });
    /// ```
    #[cfg(feature = "std")]
    pub fn wait_blocking(&self) {
        crate::wait::thread::park_until_ready(self.wait());
    }

    /// T2.
    #[inline(always)]
    fn try_release(&self, word: Word, bits: Bits) -> Result<(), Word> {
        if LEAN {
            let mut held = self.list.try_hold(word, bits)?; // ORDER: E1 release
            self.side.mark(&mut held);
            self.serve(held, None);
        } else {
            let (held, chain) = self.list.try_detach(word, bits)?; // ORDER: E1 release
            self.release(held, chain);
        }
        Ok(())
    }

    /// T2: notifies those who waited.
    #[inline]
    fn release(&self, mut held: Held<'_>, chain: Chain) {
        match chain.notify_sole(&mut held, Token::All) {
            Ok(waker) => self.let_go(held, waker),
            Err(chain) => {
                self.side.append(&mut held, chain); // I2
                self.serve(held, None);
            }
        }
    }

    /// Does what is owed and lets go of the flag, then wakes.
    #[cfg_attr(feature = "std", inline(always))]
    fn let_go(&self, held: Held<'_>, waker: Option<Waker>) {
        if LEAN {
            return self.serve(held, waker);
        }
        match held.let_go_unless(|bits| self.owes(bits)) {
            None => waker.map_or((), wake_alone),
            Some(held) => self.serve(held, waker),
        }
    }

    /// Whether the flag may not be let go yet (I3).
    #[inline(always)]
    fn owes(&self, bits: Bits) -> bool {
        bits.has(DUE) || !self.side.is_empty()
    }

    /// Does what is owed: T2 for a T3, and what is in side.
    fn serve(&self, held: Held<'_>, first: Option<Waker>) {
        self.list.settle(held, first, |held, batch| {
            let bits = held.bits();
            if LEAN && bits.has(DUE) {
                self.side.mark(held); // before there can be newcomers, I1
                let _ = held.change(bits.without(DUE));
                return Step::Again;
            }
            if bits.has(DUE) {
                if let Some(chain) = held.detach(bits.without(DUE)) {
                    self.side.append(held, chain);
                }
                return Step::Again;
            }
            if LEAN && self.side.notify_oldest(held, batch, Token::All) {
                return Step::Again; // T3 may have come as it was taken out of the word
            }
            let more = if LEAN { !self.side.is_empty() } else { self.side.notify_batch(held, batch, Token::All) };
            if more { Step::Pass(bits) } else { Step::LetGo(bits) }
        });
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.list.guess();
        f.debug_struct("Event")
            .field("set", &word.bits().has(SET))
            .field("waiters", &!(word.is_empty() && self.side.is_empty()))
            .finish()
    }
}

pub(super) struct EventSource<H>(H);

impl<H: Handle<Target = Event>> Source for EventSource<H> {
    const VERB: &'static str = "Event::wait";

    type Output = ();
    type Header = ();

    fn header(&self) {}

    #[inline(always)]
    fn list(&self) -> &WaitList {
        &self.0.list
    }

    fn side(&self) -> Option<&Side> {
        (!LEAN).then_some(&self.0.side)
    }

    fn leaving(&self, held: &mut Held<'_>, node: &Node) {
        if LEAN {
            self.0.side.unmark(held, node);
        }
    }

    #[inline(always)]
    fn admit(&self, bits: Bits) -> Admit {
        if bits.has(SET) {
            Admit::Take(bits)
        } else if bits.has(DUE) {
            Admit::Pause // I1
        } else {
            Admit::Wait
        }
    }

    fn may_take(&self, _: Bits) -> bool {
        false // a set() that finds it notifies it
    }

    fn is_in_line(&self, _: &mut Held<'_>, _: &Node) -> bool {
        false // the same
    }

    #[inline(always)]
    fn settle(&self, held: Held<'_>) {
        self.0.let_go(held, None);
    }

    #[inline(always)]
    fn finish(&self, _: Token) -> Option<()> {
        Some(())
    }

    fn give_back(&self, _: Token) {} // everybody was told
}

wait_future! {
    /// The future of [`Event::wait`].
    pub struct EventWait[H: Handle<Target = Event>][H: Handle<Target = Event>][H](EventSource<H>) -> ()
}
