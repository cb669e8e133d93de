//! The sides of an [`RwLock`](crate::RwLock): who is inside and who waits to get in, without the data.
// STATE       state: readers, an upgradable one among them | POISONED | UPGRADING | UPGRADABLE | WRITER | BARGED: how often
//             somebody got in before the first in line
//                 T1 take       w -> w + what the need adds, if those inside allow it; for the first in line: BARGED = 0, for
//                               who comes before it: BARGED += 1 up to LIMIT
//                 T2 release    what T1 added goes; the last one out tells the line (T2 of line.rs)
//                 T3 upgrade    UPGRADABLE -> WRITER, if it is the only reader; else UPGRADING, which keeps newcomers out
//                 T4 give up    UPGRADING off, then T2
//                 T5 downgrade  WRITER -> UPGRADABLE or a reader, UPGRADABLE -> a reader; the line is told
//             line: those who wait to get in; in a line of its own: the one that upgrades
// INVARIANTS  I1 WRITER: nobody else is inside. UPGRADABLE: one reader at most. UPGRADING: it, and it alone is waited for.
//             I2 the first in line is overtaken at most LIMIT times: then nobody gets in before it, but those of I3.
//             I3 before one that was offered its turn are only those who can be inside with it: it keeps none of them out.
//             I4 the count of readers stops at MAX_READERS, it never wraps.
// EDGES       E1 T2, T5 (release) -> T1, T3 (acquire): a writer sees what all before it did, readers what writers did.
// CANCEL      in line: the place; an offer goes to the next. Upgrading: T4.
// INTERRUPT   T1 without a wait, T2: yes, O(waiters offered).
use crate::{
    sys::{
        atomic::{AtomicUsize, Ordering::*},
        const_fn,
    },
    wait::{Line, Place, Stock},
};

/// What somebody wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Read,
    Upgradable,
    Write,
}

/// A waiter that was overtaken this often is served next.
const LIMIT: usize = 4;

/// Low bits: how often the first in line was overtaken.
const BARGED: usize = 0b111;
const WRITER: usize = 1 << 3;
const UPGRADABLE: usize = 1 << 4;
const UPGRADING: usize = 1 << 5;
const POISONED: usize = 1 << 6;
/// One reader.
const READER: usize = 1 << 7;

/// How many readers there may be.
pub(super) const MAX_READERS: usize = usize::MAX / READER;

impl Need {
    /// What is added to the state when it gets in.
    #[inline(always)]
    const fn adds(self) -> usize {
        match self {
            Self::Read => READER,
            Self::Upgradable => READER | UPGRADABLE,
            Self::Write => WRITER,
        }
    }

    /// The state with one more inside, if those inside allow it.
    #[inline(always)]
    fn join(self, state: usize) -> Option<usize> {
        let bars = match self {
            Self::Read => WRITER | UPGRADING,
            Self::Upgradable => WRITER | UPGRADABLE, // I1
            Self::Write => !(BARGED | POISONED),
        };
        if state & bars == 0 { state.checked_add(self.adds()) } else { None } // I4
    }
}

/// Who is inside, and who waits to get in.
#[derive(Debug)]
pub(super) struct Sides {
    pub(super) line: Line<Need>,
    state: AtomicUsize,
}

impl Sides {
    #[inline(always)]
    fn load(&self) -> usize {
        self.state.load(Acquire) // ORDER: E1 acquire
    }

    /// T1.
    #[inline]
    pub(super) fn try_take(&self, need: Need, place: Place) -> bool {
        let mut now = self.state.load(Relaxed); // ORDER: relaxed: only a guess, checked by compare-and-swap
        loop {
            if place == Place::Behind && now & BARGED >= LIMIT {
                return false; // I2
            }
            let Some(then) = need.join(now) else { return false };
            let then = match place {
                Place::Alone => then,
                Place::Head => then & !BARGED,
                Place::Behind => then + 1,
                Place::Offered => then, // I3
            };
            // ORDER: E1 acquire
            match self.state.compare_exchange_weak(now, then, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
    }

    /// Those in front are offered what is there now.
    #[inline]
    pub(super) fn tell(&self) {
        self.line.supplied(self);
    }
}

impl Stock for Sides {
    type Need = Need;

    #[inline(always)]
    fn line(&self) -> &Line<Need> {
        &self.line
    }

    fn rest(&self) -> usize {
        self.load()
    }

    fn grant(rest: &mut usize, need: Need) -> bool {
        need.join(*rest).map(|left| *rest = left).is_some()
    }

    fn share(need: Need) -> usize {
        need.adds()
    }

    /// Of those in front the first may be a writer, with nobody behind it; else one at most is upgradable.
    fn beyond(rest: usize, taken: usize) -> Option<usize> {
        let bars = if taken & UPGRADABLE == 0 { WRITER | UPGRADING } else { WRITER | UPGRADABLE };
        if taken == 0 {
            Some(rest)
        } else if taken & WRITER != 0 || rest & bars != 0 {
            None
        } else {
            rest.checked_add(taken) // I4
        }
    }

    fn is_starved(&self) -> bool {
        false // I3: those who were offered their turn get in beside it
    }

    fn head_leaves(&self) {
        self.state.fetch_and(!BARGED, AcqRel); // I2: counted anew for the next. ORDER: E1 goes through
    }
}

/// The [`Sides`], and the one that upgrades.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) sides: Sides,
    upgrades: Line<()>,
}

impl Entry {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { sides: Sides { line: Line::new(), state: AtomicUsize::new(0) }, upgrades: Line::new() }
        }
    }

    /// T1 without waiting.
    #[inline]
    pub(super) fn try_take(&self, need: Need) -> bool {
        self.sides.try_take(need, Line::<Need>::place(self.sides.line.look()))
    }

    /// T2.
    #[inline]
    pub(super) fn release(&self, need: Need) {
        let left = self.sides.state.fetch_sub(need.adds(), AcqRel).wrapping_sub(need.adds()); // ORDER: E1 release
        if need != Need::Read {
            self.sides.tell();
        } else if left < READER {
            // Only a writer could not share the lock with the one that leaves, and it is offered the lock as the first alone.
            self.sides.line.supplied_for_head(&self.sides);
        } else if left & UPGRADING != 0 {
            if left / READER == 1 {
                self.upgrades.supplied(self); // I1
            }
        } else if left / READER >= MAX_READERS / 2 {
            self.sides.tell(); // I4: some may wait for the count alone
        }
    }

    /// T5: who is inside stays as something else.
    #[inline]
    pub(super) fn change(&self, from: Need, to: Need) {
        self.sides.state.fetch_add(to.adds().wrapping_sub(from.adds()), AcqRel); // ORDER: E1 release
        self.sides.tell();
    }

    /// T3. `insists`: if there are other readers, nobody else gets in any more.
    #[inline]
    pub(super) fn try_upgrade(&self, insists: bool) -> bool {
        let mut now = self.sides.state.load(Relaxed); // ORDER: relaxed: only a guess, checked by compare-and-swap
        loop {
            let alone = now / READER == 1;
            let then = if alone {
                (now & !UPGRADING) - Need::Upgradable.adds() + WRITER
            } else if insists && now & UPGRADING == 0 {
                now | UPGRADING
            } else {
                return false;
            };
            // ORDER: E1 acquire
            match self.sides.state.compare_exchange_weak(now, then, AcqRel, Relaxed) {
                Ok(_) => return alone,
                Err(other) => now = other,
            }
        }
    }

    /// T4.
    pub(super) fn give_up(&self) {
        self.sides.state.fetch_and(!UPGRADING, AcqRel); // ORDER: E1 goes through; whom it kept out is told by the release
        self.release(Need::Upgradable);
    }

    pub(super) fn poison(&self, poisoned: bool) {
        if poisoned {
            self.sides.state.fetch_or(POISONED, AcqRel); // ORDER: relaxed would do: T2 or T5 follows, E1
        } else {
            self.sides.state.fetch_and(!POISONED, AcqRel); // ORDER: as every change of the state, so that E1 goes through
        }
    }

    /// As if there were so many readers.
    #[cfg(test)]
    pub(super) fn set_readers(&self, readers: usize) {
        self.sides.state.store(readers * READER, Relaxed); // ORDER: relaxed: one thread
    }

    /// The state, to look at.
    pub(super) fn look(&self) -> View {
        let state = self.sides.load();
        View { state, waiters: !self.sides.line.look().is_empty() }
    }
}

impl Stock for Entry {
    type Need = ();

    #[inline(always)]
    fn line(&self) -> &Line<()> {
        &self.upgrades
    }

    /// 1: the upgrading reader is the only one left.
    fn rest(&self) -> usize {
        self.sides.load() / READER
    }

    fn grant(rest: &mut usize, (): ()) -> bool {
        *rest == 1
    }

    fn share((): ()) -> usize {
        0
    }

    fn beyond(rest: usize, _: usize) -> Option<usize> {
        Some(rest)
    }

    fn is_starved(&self) -> bool {
        false // there is never a second
    }
}

/// How things stood at some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    state: usize,
    /// Somebody waits to get in.
    pub(super) waiters: bool,
}

impl View {
    pub(super) fn is_locked(self) -> bool {
        self.state & !(BARGED | POISONED) != 0
    }

    pub(super) fn is_write_locked(self) -> bool {
        self.state & WRITER != 0
    }

    pub(super) fn readers(self) -> usize {
        self.state / READER
    }

    #[cfg(feature = "std")]
    pub(super) fn is_poisoned(self) -> bool {
        self.state & POISONED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It may come after the first in line, having looked before.
    #[test]
    fn who_found_nobody_in_line_does_not_end_the_count() {
        let Entry { sides, .. } = Entry::new();
        for _ in 0..LIMIT {
            assert!(sides.try_take(Need::Read, Place::Behind));
        }
        assert!(sides.try_take(Need::Read, Place::Alone));
        assert!(!sides.try_take(Need::Read, Place::Behind));
    }

    #[test]
    fn readers_never_wrap() {
        let entry = Entry::new();
        entry.sides.state.store((MAX_READERS - 1) * READER, Relaxed); // ORDER: relaxed: one thread
        assert!(entry.try_take(Need::Upgradable) && entry.look().readers() == MAX_READERS);
        assert!(!entry.try_take(Need::Read) && !entry.try_take(Need::Write) && !entry.try_take(Need::Upgradable));
        entry.change(Need::Upgradable, Need::Read);
        assert!(!entry.try_take(Need::Read) && !entry.try_take(Need::Upgradable));
        entry.release(Need::Read);
        assert!(entry.try_take(Need::Read) && entry.look().readers() == MAX_READERS);
    }
}
