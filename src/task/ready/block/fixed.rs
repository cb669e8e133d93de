//! A block in a static.
#![allow(unsafe_code)]
// The labels are those of block.rs.
use core::{
    fmt,
    ptr::{self, NonNull},
};

use super::{BITS, Group, Header, Memory, STATIC, Shared};
use crate::sys::{array, atomic::Ordering::*, const_fn};

/// Memory in a `static` for sets of children: no heap, and wakers that interrupts may wake, keep and drop.
///
/// Has room for `GROUPS * usize::BITS` children (64 a group, 32 on 32-bit targets). One set uses it at a time; a waker
/// that was kept from an earlier one costs a later one a poll, nothing more.
///
/// # Interrupts
/// The wakers of the children may be woken, cloned and dropped in interrupts, if the parent's may.
///
/// # Examples
/// ```
/// use testudo::task::{ReadyBlock, gather_in};
///
/// static READY: ReadyBlock<1> = ReadyBlock::new();
///
/// # testudo::run::block_on(async {
/// let claim = READY.claim().unwrap();
/// assert_eq!(gather_in(claim, [1, 2].map(core::future::ready)).await, [1, 2]);
/// # });
/// ```
#[repr(C)]
pub struct ReadyBlock<const GROUPS: usize> {
    header: Header,
    groups: [Group; GROUPS],
}

// SAFETY: block I2, block I3, block I4: as for `Shared`.
unsafe impl<const GROUPS: usize> Sync for ReadyBlock<GROUPS> {}
// SAFETY: the same; nothing in it belongs to a thread.
unsafe impl<const GROUPS: usize> Send for ReadyBlock<GROUPS> {}

impl<const GROUPS: usize> ReadyBlock<GROUPS> {
    const_fn! {
        /// Returns a block that nobody uses.
        ///
        /// # Examples
        /// ```
        /// static READY: testudo::task::ReadyBlock<2> = testudo::task::ReadyBlock::new();
        /// assert_eq!(READY.capacity(), 2 * usize::BITS as usize);
        /// ```
        pub const fn new() -> Self {
            let mut groups = array![Group::new(0, ptr::null()); GROUPS];
            let mut index = 0;
            while index < GROUPS {
                groups[index].index = index;
                index += 1;
            }
            Self { header: Header::new(GROUPS, ptr::null(), 0), groups }
        }
    }

    /// Says for how many children there is room.
    ///
    /// # Examples
    /// ```
    /// static READY: testudo::task::ReadyBlock<1> = testudo::task::ReadyBlock::new();
    /// assert!(READY.capacity() >= 32);
    /// ```
    pub const fn capacity(&self) -> usize {
        GROUPS * BITS
    }

    /// The consumer's end, unless somebody has it.
    pub(in crate::task::ready) fn memory(&'static self) -> Option<Memory> {
        // ORDER: block E7 acquire
        if GROUPS == 0 || self.header.refs.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            return None;
        }
        let header = NonNull::from(self).cast();
        let mut memory = Memory::new(Shared { header, table: &STATIC }, GROUPS);
        memory.lent = true; // until seen otherwise: a block T3 for the one before may be under way
        memory.collect(|_| ());
        Some(memory)
    }
}

impl<const GROUPS: usize> Default for ReadyBlock<GROUPS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const GROUPS: usize> fmt::Debug for ReadyBlock<GROUPS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDER: relaxed: a look
        let claimed = self.header.refs.load(Relaxed) != 0;
        f.debug_struct("ReadyBlock").field("capacity", &self.capacity()).field("claimed", &claimed).finish()
    }
}
