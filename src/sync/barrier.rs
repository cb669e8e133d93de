//! A meeting point for a fixed number of tasks.

// STATE       word: BROKEN, DUE; it never holds a node. line: the waiters. count: how many, or RELEASED and whom they are
//                 T1 arrive      in line, count + 1                                 with the flag
//                 T2 trip        the last one is there: count = RELEASED            with the flag
//                 T3 break       BROKEN or not; count = RELEASED | ERROR            with the flag
//                 T4 ask         BROKEN or not, DUE: the holder does T3             the flag is taken
//                 T5 tell        the next of a released line is notified; count + 1 if it tripped; 0 behind the last
//                 T6 withdraw    out of line, count - 1, or T5's count + 1          by its owner, with the flag
// INVARIANTS  I1 nobody gets in a line that is released: who takes the flag first tells those who are left (T5). So a line is
//                of one round.
//             I2 who holds the flag does not let go for good while the line is released, nor at all while DUE.
//             I3 the numbers that a line is told are distinct, and its last number goes to the last one that is left.
// EDGES       E1 T1 (release) -> T2 (acquire), T5: what was written before a wait is seen after every wait of that round.
//             E2 T3, T4 (release) -> wait (acquire): what was written before abort() or reset() is seen after the error.
// CANCEL      Waiting: the arrival is withdrawn. Notified: it had its turn, nobody else is owed it.
// INTERRUPT   abort, reset, is_broken, waiting: yes; abort and reset are O(waiters), the others O(1). wait: tasks only.
use core::{error::Error, fmt};

use crate::{
    sys::{
        atomic::{AtomicUsize, Ordering::*},
        const_fn,
    },
    wait::{Admit, Bits, Handle, Held, Node, Side, Source, Step, Token, Wait, WaitList, Word, wait_future},
};

/// A meeting point: whoever comes waits until a fixed number of tasks is there, then all of them go on.
///
/// It can be used again at once: who comes after the last one belongs to the next round.
///
/// # asyncio
/// Same as `asyncio.Barrier`, but: indices stay distinct when somebody was cancelled; a round that is complete is released
/// for good, whatever [`reset`](Barrier::reset) and [`abort`](Barrier::abort) do before its tasks have run; there is no
/// "draining" in which newcomers are held up.
///
/// # Examples
/// ```
/// use testudo::{Barrier, run::block_on};
///
/// static START: Barrier = Barrier::new(3);
///
/// let runners: Vec<_> = (0..3).map(|_| std::thread::spawn(|| block_on(START.wait()).unwrap())).collect();
/// let turns = runners.into_iter().map(|runner| runner.join().unwrap());
/// assert_eq!(turns.filter(|turn| turn.is_leader()).count(), 1);
/// ```
#[doc(alias = "CyclicBarrier")]
#[doc(alias = "rendezvous")]
pub struct Barrier {
    list: WaitList,
    line: Side,
    count: AtomicUsize,
    parties: usize,
}

const BROKEN: Bits = Bits::own(0);
const DUE: Bits = Bits::own(1);

/// In `count`: the line is being told; the rest is the next index, or ERROR.
const RELEASED: usize = !(usize::MAX >> 1);
/// A message: the barrier broke.
const ERROR: usize = usize::MAX >> 1;
/// In `count`: the whole line is told ERROR.
const ALL_ERRORS: usize = RELEASED | ERROR;

impl Barrier {
    const_fn! {
        /// Returns a barrier for `parties` tasks.
        ///
        /// # Panics
        /// If `parties` is 0 (at compile time in a `static`), or over `isize::MAX - 1`.
        ///
        /// # Examples
        /// ```
        /// static BARRIER: testudo::Barrier = testudo::Barrier::new(2);
        /// assert_eq!(BARRIER.parties(), 2);
        /// ```
        pub const fn new(parties: usize) -> Self {
            assert!(parties > 0, "a barrier needs at least one party");
            assert!(parties < ERROR, "too many parties for a barrier");
            Self { list: WaitList::new(Bits::NONE), line: Side::new(), count: AtomicUsize::new(0), parties }
        }
    }

    /// Arrives, and waits until all parties have.
    ///
    /// Arrives at the first poll. The last one is ready then and there, and wakes the others.
    ///
    /// # asyncio
    /// `Barrier.wait`, which returns the index alone. A cancelled or timed-out wait is taken off the count there too, and the
    /// barrier is not broken by it.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Memory ordering
    /// What any party wrote before its wait is seen by all parties after theirs.
    ///
    /// # Errors
    /// [`BrokenBarrier`] if the barrier is broken, or is reset or broken before the round is complete.
    ///
    /// # Panics
    /// When polled after completion. If a waker panics; all others of the round are woken first.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let barrier = testudo::Barrier::new(2);
    /// let (one, other) = futures_util::join!(barrier.wait(), barrier.wait());
    /// assert_eq!((one.unwrap().index, other.unwrap().index), (0, 1));
    /// # });
    /// ```
    #[doc(alias = "arrive_and_wait")]
    #[inline]
    pub fn wait(&self) -> BarrierWait<&Self> {
        Self::wait_with(self)
    }

    /// Waits as [`wait`](Barrier::wait) does, through any handle: the future of an `Arc<Barrier>` is `'static`.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Errors
    /// As [`wait`](Barrier::wait).
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use testudo::{Barrier, run::block_on};
    ///
    /// let barrier = Arc::new(Barrier::new(2));
    /// let waiting = Barrier::wait_with(Arc::clone(&barrier));
    /// let other = std::thread::spawn(|| block_on(waiting));
    /// assert!(block_on(barrier.wait()).is_ok() && other.join().unwrap().is_ok());
    /// ```
    #[inline]
    pub fn wait_with<H: Handle<Target = Self>>(this: H) -> BarrierWait<H> {
        BarrierWait { wait: Wait::new(BarrierSource(this), false) }
    }

    /// Arrives, and blocks this thread until all parties have.
    ///
    /// # Errors
    /// As [`wait`](Barrier::wait).
    ///
    /// # Examples
    /// ```
    /// let barrier = testudo::Barrier::new(2);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| barrier.wait_blocking());
    ///     assert!(barrier.wait_blocking().is_ok());
    /// });
    /// ```
    #[cfg(feature = "std")]
    pub fn wait_blocking(&self) -> Result<BarrierTurn, BrokenBarrier> {
        crate::wait::thread::park_until_ready(self.wait())
    }

    /// Breaks the barrier: whoever waits, and whoever comes, gets an error, until [`reset`](Barrier::reset).
    ///
    /// A round that is complete already is not touched. Never waits: if another thread or an interrupted task is at work on the
    /// line, that one does the rest. O(waiters) otherwise.
    ///
    /// # Interrupts
    /// May be called from interrupts and signal handlers, if the wakers may.
    ///
    /// # Memory ordering
    /// What was written before `abort` is seen after the `wait` that it broke.
    ///
    /// # Panics
    /// If a waker panics; all waiters are woken first.
    ///
    /// # Examples
    /// ```
    /// let barrier = testudo::Barrier::new(2);
    /// barrier.abort();
    /// assert!(barrier.is_broken() && testudo::run::block_on(barrier.wait()).is_err());
    /// ```
    #[doc(alias = "close")]
    pub fn abort(&self) {
        self.break_line(BROKEN);
    }

    /// Makes the barrier as new: whoever waits gets an error, later waits form a new round, also after
    /// [`abort`](Barrier::abort).
    ///
    /// Without waiters, of a barrier that is not broken, it changes nothing. A round that is complete already is not
    /// touched. Never waits, as [`abort`](Barrier::abort).
    ///
    /// # Interrupts
    /// May be called from interrupts and signal handlers, if the wakers may.
    ///
    /// # Memory ordering
    /// What was written before `reset` is seen after the `wait` that it broke.
    ///
    /// # Panics
    /// If a waker panics; all waiters are woken first.
    ///
    /// # Examples
    /// ```
    /// let barrier = testudo::Barrier::new(1);
    /// barrier.abort();
    /// barrier.reset();
    /// assert!(testudo::run::block_on(barrier.wait()).is_ok());
    /// ```
    pub fn reset(&self) {
        self.break_line(Bits::NONE);
    }

    /// Returns how many tasks make a round.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::Barrier::new(3).parties(), 3);
    /// ```
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// Returns how many wait for the round to be complete; 0 as soon as it is.
    ///
    /// # Interrupts
    /// May be called from interrupts. O(1).
    ///
    /// # Examples
    /// ```
    /// assert_eq!(testudo::Barrier::new(3).waiting(), 0);
    /// ```
    #[doc(alias = "n_waiting")]
    pub fn waiting(&self) -> usize {
        let word = self.list.load(); // before the count: a line that T4 broke is not counted when it was told
        match self.count() {
            count if count & RELEASED != 0 || word.bits().has(DUE) => 0,
            count => count,
        }
    }

    /// Says whether the barrier was broken by [`abort`](Barrier::abort). One load.
    ///
    /// # Interrupts
    /// May be called from interrupts.
    ///
    /// # Memory ordering
    /// If true, what was written before the `abort` is seen.
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::Barrier::new(3).is_broken());
    /// ```
    #[doc(alias = "broken")]
    pub fn is_broken(&self) -> bool {
        self.list.load().bits().has(BROKEN) // ORDER: E2 acquire
    }

    /// T3, or T4.
    fn break_line(&self, broken: Bits) {
        let mut word = self.list.guess();
        loop {
            let bits = word.bits().without(BROKEN).with(broken).with(DUE);
            let tried = if word.is_held() {
                self.list.try_change(word, bits) // T4. ORDER: E2 release
            } else {
                match self.list.try_hold(word, bits) {
                    Ok(held) => return self.settle(held), // T3. ORDER: E2 release
                    Err(now) => Err(now),
                }
            };
            match tried {
                Ok(()) => return,
                Err(now) => word = now,
            }
        }
    }

    #[inline(always)]
    fn count(&self) -> usize {
        self.count.load(Relaxed) // ORDER: relaxed: under the flag E2 of word.rs carries it; a guess without
    }

    #[inline(always)]
    fn set_count(&self, count: usize) {
        self.count.store(count, Relaxed); // ORDER: relaxed: under the flag, E2 of word.rs carries it
    }

    /// Whether the line is released, under the flag.
    #[inline(always)]
    fn is_released(&self) -> bool {
        self.count() & RELEASED != 0
    }

    /// The last one is there, if nobody else came in between: T2.
    fn try_trip(&self, word: Word, node: &Node) -> bool {
        let Ok(held) = self.list.try_hold(word, word.bits()) else { return false }; // ORDER: E1 acquire
        // What was a guess may have come true for another round, but DUE and BROKEN are as they were: off.
        let is_last = self.count() == self.parties - 1;
        if is_last {
            node.tell(Token::All, self.parties - 1); // first: a waker may panic
            self.set_count(RELEASED);
        }
        self.settle(held);
        is_last
    }

    /// T1; with it T2 or T3, if others were faster.
    fn arrive(&self, link: impl FnOnce(&mut Held<'_>, &Side, bool)) {
        let mut held = self.list.hold();
        while self.owes(held.bits()) {
            self.serve(held); // I1
            held = self.list.hold();
        }
        link(&mut held, &self.line, false);
        self.set_count(match self.count() + 1 {
            _ if held.bits().has(BROKEN) => ALL_ERRORS,
            count if count == self.parties => RELEASED,
            count => count,
        });
        self.settle(held); // ORDER: E1 release
    }

    /// T6. A number of a line that is being told goes with it, so that the last one gets the last (I3).
    fn withdraw(&self) {
        match self.count() {
            ALL_ERRORS => {}
            count if count & RELEASED != 0 => self.set_count(count + 1),
            count => self.set_count(count - 1),
        }
    }

    /// Whether the flag may not be let go yet (I2).
    #[inline(always)]
    fn owes(&self, bits: Bits) -> bool {
        bits.has(DUE) || self.is_released()
    }

    #[inline(always)]
    fn settle(&self, held: Held<'_>) {
        if let Some(held) = held.let_go_unless(|bits| self.owes(bits)) {
            self.serve(held);
        }
    }

    /// T3 for a T4, and T5.
    fn serve(&self, held: Held<'_>) {
        self.list.settle(held, None, |held, batch| {
            let bits = held.bits().without(DUE);
            if held.bits().has(DUE) && !self.is_released() {
                self.set_count(ALL_ERRORS); // T3; a line that was released before is not touched
            }
            if !self.is_released() {
                return Step::LetGo(bits);
            }
            let more = self.line.notify_each(held, batch, |node| {
                let count = self.count();
                node.tell(Token::All, count & !RELEASED); // T5
                self.set_count(count.saturating_add(1));
            });
            if more {
                return Step::Pass(bits);
            }
            self.set_count(0);
            Step::LetGo(bits)
        });
    }

    /// What a waiter was told.
    fn turn(&self, message: usize) -> Result<BarrierTurn, BrokenBarrier> {
        match message {
            ERROR => Err(BrokenBarrier(())),
            index => Ok(BarrierTurn { index, parties: self.parties }),
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties)
            .field("waiting", &self.waiting())
            .field("broken", &self.is_broken())
            .finish()
    }
}

/// What one party of a complete round got.
///
/// # Examples
/// ```
/// let barrier = testudo::Barrier::new(1);
/// let turn = testudo::run::block_on(barrier.wait()).unwrap();
/// assert!(turn.index == 0 && turn.is_leader());
/// ```
#[doc(alias = "BarrierWaitResult")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BarrierTurn {
    /// Its place in the order of arrival, from 0 on; different for each party of a round.
    pub index: usize,
    parties: usize,
}

impl BarrierTurn {
    /// Says whether this is the last one that came: one party of each round.
    ///
    /// # Examples
    /// ```
    /// # testudo::run::block_on(async {
    /// let barrier = testudo::Barrier::new(2);
    /// let (one, other) = futures_util::join!(barrier.wait(), barrier.wait());
    /// assert!(!one.unwrap().is_leader() && other.unwrap().is_leader());
    /// # });
    /// ```
    pub fn is_leader(&self) -> bool {
        self.index == self.parties - 1
    }
}

/// The error of a wait whose barrier was broken or reset.
///
/// # Examples
/// ```
/// let barrier = testudo::Barrier::new(2);
/// barrier.abort();
/// let error = testudo::run::block_on(barrier.wait()).unwrap_err();
/// assert_eq!(error.to_string(), "the barrier was broken or reset");
/// ```
#[doc(alias = "BrokenBarrierError")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BrokenBarrier(());

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the barrier was broken or reset")
    }
}

impl Error for BrokenBarrier {}

pub(super) struct BarrierSource<H>(H);

impl<H: Handle<Target = Barrier>> Source for BarrierSource<H> {
    const VERB: &'static str = "Barrier::wait";

    type Output = Result<BarrierTurn, BrokenBarrier>;
    type Header = ();

    fn header(&self) {}

    #[inline(always)]
    fn list(&self) -> &WaitList {
        &self.0.list
    }

    fn side(&self) -> Option<&Side> {
        Some(&self.0.line)
    }

    /// All begin by arriving, in `conclude` or in `park`.
    #[inline(always)]
    fn try_take(&self) -> Result<(), Word> {
        Ok(())
    }

    fn admit(&self, _: Bits) -> Admit {
        Admit::Wait // who is in line is told
    }

    fn settle(&self, held: Held<'_>) {
        self.0.settle(held);
    }

    fn finish(&self, _: Token) -> Option<Self::Output> {
        unreachable!("what it was told is in its node")
    }

    #[inline]
    fn conclude(&self, node: &Node, token: Token) -> Option<Self::Output> {
        let barrier = &*self.0;
        if token != Token::None {
            return Some(barrier.turn(node.message()));
        }
        let word = barrier.list.load(); // ORDER: E2 acquire
        if word.bits().has(BROKEN) {
            return Some(barrier.turn(ERROR));
        }
        let last = barrier.parties - 1;
        if last > 0 {
            if word.is_held() || barrier.count() != last {
                return None;
            }
            crate::sys::pause_point();
            if !barrier.try_trip(word, node) {
                return None;
            }
        }
        Some(barrier.turn(last))
    }

    fn leaving(&self, _: &mut Held<'_>, _: &Node) {
        self.0.withdraw();
    }

    fn park(&self, _: Token, link: impl FnOnce(&mut Held<'_>, &Side, bool)) {
        self.0.arrive(link);
    }

    fn give_back(&self, _: Token) {} // it had its turn
}

wait_future! {
    /// The future of [`Barrier::wait`].
    pub struct BarrierWait[H: Handle<Target = Barrier>][H: Handle<Target = Barrier>][H](BarrierSource<H>)
        -> Result<BarrierTurn, BrokenBarrier>
}
