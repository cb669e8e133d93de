//! Who may touch what is in a place, in the word that its waiters are in.
use crate::wait::Bits;

// The labels are those declared in slot.rs.

/// The state of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody drives: whoever polls a handle does.
    Free,
    /// The future wakes a handle's task, or a handle was told to drive.
    Driven,
    /// The future wakes its keeper: handles only wait.
    Kept,
    /// Somebody polls the future with a handle.
    Busy,
    /// It is being polled, and is its keeper's afterwards.
    BusyKept,
    /// It has ended, nobody reads the result, and a handle was told of it.
    Told,
    /// It has ended and nobody reads the result.
    Done,
    /// Somebody reads the result; or it was aborted, and whoever polls it or aborted it has to end it.
    Read,
}

const LOW: Bits = Bits::own(0);
const MID: Bits = Bits::own(1);
const TOP: Bits = Bits::own(2);
const ALL: Bits = LOW.with(MID).with(TOP);

impl State {
    #[inline(always)]
    pub(super) const fn of(bits: Bits) -> Self {
        match (bits.has(TOP), bits.has(MID), bits.has(LOW)) {
            (false, false, false) => Self::Free,
            (false, false, true) => Self::Driven,
            (false, true, false) => Self::Kept,
            (false, true, true) => Self::Busy,
            (true, false, false) => Self::BusyKept,
            (true, false, true) => Self::Told,
            (true, true, false) => Self::Done,
            (true, true, true) => Self::Read,
        }
    }

    /// As the bits of an empty word.
    #[inline(always)]
    pub(super) const fn bits(self) -> Bits {
        match self {
            Self::Free => Bits::NONE,
            Self::Driven => LOW,
            Self::Kept => MID,
            Self::Busy => MID.with(LOW),
            Self::BusyKept => TOP,
            Self::Told => TOP.with(LOW),
            Self::Done => TOP.with(MID),
            Self::Read => ALL,
        }
    }

    /// In place of the state in `bits`.
    #[inline(always)]
    pub(super) const fn put(self, bits: Bits) -> Bits {
        bits.without(ALL).with(self.bits())
    }

    /// Whether the future has ended, or was aborted.
    pub(super) const fn is_over(self) -> bool {
        matches!(self, Self::Told | Self::Done | Self::Read)
    }
}
