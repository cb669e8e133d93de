//! Which place has which number in its keeper's ready set.
// STATE       a seat: free (in the list of the free ones) --take--> taken --release--> free
//                 taken --recall--> taken, and in the list of those that are to be polled again --next_recalled--> taken
// INVARIANTS  I1 a seat is in one list at most; one that is released while it was recalled is free when it is taken out.
//             I2 rows never move: taking, releasing and recalling are O(1), and allocate nothing.
use alloc::{boxed::Box, vec::Vec};
use core::ptr::{self, NonNull};

use super::slot::Core;

/// No seat: the end of a list.
pub(super) const NONE: u32 = u32::MAX;
/// In no list.
const OUT: u32 = NONE - 1;
/// The seats of the first row; each further one has twice as many.
const FIRST: usize = 64;
/// So many that numbers do not run out before memory.
const ROWS: usize = 25;

#[derive(Clone, Copy, Debug)]
struct Seat {
    /// Null while it is free.
    core: *const Core,
    /// The next one in its list, or `OUT`.
    next: u32,
}

/// Seats to come.
#[derive(Debug)]
pub(super) struct Row(Vec<Seat>);

impl Row {
    pub(super) fn new(room: usize) -> Self {
        Self(Vec::with_capacity(room))
    }
}

/// The seats of a keeper: under the latch of its home.
#[derive(Debug)]
pub(super) struct Seats {
    rows: [Vec<Seat>; ROWS],
    /// How many were ever taken.
    used: usize,
    free: u32,
    recalled: u32,
}

impl Seats {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self { rows: [const { Vec::new() }; ROWS], used: 0, free: NONE, recalled: NONE })
    }

    /// The row of a seat, and how many are in the rows before it.
    fn row(seat: usize) -> (usize, usize) {
        let row = (seat / FIRST + 1).ilog2() as usize;
        (row, FIRST * ((1 << row) - 1))
    }

    fn seat(&mut self, seat: u32) -> &mut Seat {
        let (row, before) = Self::row(seat as usize);
        &mut self.rows[row][seat as usize - before]
    }

    /// Gives a core a seat. Err: a row of so many seats is needed first.
    pub(super) fn take(&mut self, core: NonNull<Core>) -> Result<u32, usize> {
        let new = Seat { core: core.as_ptr(), next: OUT };
        if self.free != NONE {
            let seat = self.free;
            self.free = core::mem::replace(self.seat(seat), new).next;
            return Ok(seat);
        }
        let (row, _) = Self::row(self.used);
        if self.rows[row].len() == self.rows[row].capacity() {
            return Err(FIRST << row);
        }
        self.rows[row].push(new); // I2: there is room
        self.used += 1;
        Ok((self.used - 1) as u32)
    }

    /// The row that was asked for. Returns what it replaces, which has no memory.
    pub(super) fn add(&mut self, new: Row) -> Row {
        let (row, _) = Self::row(self.used);
        Row(core::mem::replace(&mut self.rows[row], new.0))
    }

    /// The seat is free again, once it is in no list.
    pub(super) fn release(&mut self, seat: u32) {
        let free = self.free;
        let at = self.seat(seat);
        at.core = ptr::null();
        if at.next == OUT {
            at.next = free;
            self.free = seat;
        }
    }

    /// Who sits there, if somebody does.
    pub(super) fn core(&self, seat: u32) -> Option<NonNull<Core>> {
        let (row, before) = Self::row(seat as usize);
        let at = self.rows.get(row)?.get(seat as usize - before)?;
        NonNull::new(at.core.cast_mut())
    }

    /// The core is to be polled again.
    pub(super) fn recall(&mut self, seat: u32) {
        let recalled = self.recalled;
        let at = self.seat(seat);
        if at.next == OUT {
            at.next = recalled;
            self.recalled = seat;
        }
    }

    /// One of those that are to be polled again.
    pub(super) fn next_recalled(&mut self) -> Option<u32> {
        while self.recalled != NONE {
            let seat = self.recalled;
            let at = self.seat(seat);
            let next = core::mem::replace(&mut at.next, OUT);
            let core = at.core;
            self.recalled = next;
            if !core.is_null() {
                return Some(seat);
            }
            self.release(seat); // I1
        }
        None
    }
}
