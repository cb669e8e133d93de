//! The order in which woken children are polled: one pass through their numbers for each poll of the parent.
// STATE       a pass looks at [start, end) and then at [0, start), where start is behind the child that was polled last if
//             the pass before was broken off (`as_completed` and groups do), and 0 otherwise
// INVARIANTS  I1 `current` holds children of `group` that were taken (T5 of block.rs) and not polled yet, all at or behind
//                `cursor`: they belong to this pass.
//             I2 a child that is woken behind the cursor is polled in this pass, at or before it in the next one.
use core::task::{Context, Waker};

use super::{
    Open, Ready,
    block::{ALL, BITS, ChildWaker, Memory, ReadyBlock},
};

/// A ready set with exact wake-ups: who was woken is polled, nobody else.
pub(crate) struct Block {
    memory: Memory,
    /// The next child to look at.
    cursor: usize,
    /// Where the pass began.
    start: usize,
    /// Whether the pass is in its second part.
    wrapped: bool,
    /// The next group to look at.
    from: usize,
    /// The group that was looked at last, and those of it that are still to be polled.
    group: usize,
    current: usize,
    /// Whether others of it may be waiting: it was popped again since, or some are left for the next pass; it stays marked then,
    /// so that nobody pushes it.
    rest: bool,
}

/// No group.
const NONE: usize = usize::MAX;

impl Block {
    fn of(memory: Memory) -> Self {
        Self { memory, cursor: 0, start: 0, wrapped: false, from: 0, group: NONE, current: 0, rest: false }
    }

    /// Children `0..len`, all to be polled.
    fn filled(mut self, len: usize) -> Self {
        for group in 0..self.memory.groups() {
            let bits = below(len.saturating_sub(group * BITS));
            self.memory.set_live(group, bits);
            if bits != 0 {
                self.memory.add(group, bits);
            }
        }
        self
    }

    /// On the heap, for children `0..len`, all of them to be polled. One allocation.
    #[cfg(feature = "alloc")]
    pub(crate) fn fixed(len: usize) -> Self {
        Self::of(Memory::allocate(len.div_ceil(BITS).max(1), false)).filled(len)
    }

    /// On the heap, without children; grows by doubling. One allocation, and one for each doubling.
    #[cfg(feature = "alloc")]
    pub(crate) fn growing() -> Self {
        Self::of(Memory::allocate(1, true))
    }

    /// The waker of child `index`, on loan.
    #[inline(always)]
    pub(crate) fn waker(&self, index: usize) -> ChildWaker<'_> {
        self.memory.shared().waker(index)
    }

    /// Whether child `index` is there.
    #[cfg(feature = "alloc")]
    pub(crate) fn is_live(&self, index: usize) -> bool {
        index / BITS < self.memory.groups() && self.memory.live(index / BITS) >> (index % BITS) & 1 != 0
    }

    /// Begins the second part of the pass. False: there is none, the pass is over.
    fn wrap(&mut self) -> bool {
        if self.wrapped || self.start == 0 {
            (self.cursor, self.wrapped, self.group) = (0, false, NONE);
            return false;
        }
        (self.cursor, self.wrapped, self.from, self.group) = (0, true, 0, NONE);
        true
    }

    /// Those of a group that this part of the pass may still look at.
    fn in_reach(&self, group: usize) -> usize {
        let low = ALL & !below(self.cursor.saturating_sub(group * BITS));
        if self.wrapped { low & below(self.start.saturating_sub(group * BITS)) } else { low }
    }

    /// Takes from the group that was looked at last who was woken since and is in reach.
    fn look_again(&mut self) {
        let group = self.group;
        self.rest = group != NONE && self.memory.is_marked(group);
        if self.rest && self.memory.peek(group) & self.in_reach(group) != 0 {
            self.look_at(group);
        }
    }

    /// Takes from a group what is in reach (I1).
    fn look_at(&mut self, group: usize) {
        let taken = self.memory.take(group, self.in_reach(group));
        self.group = group;
        self.current |= taken & self.memory.live(group);
        self.rest = self.memory.is_marked(group);
    }
}

/// The lowest `n` bits of a group.
fn below(n: usize) -> usize {
    if n >= BITS { ALL } else { (1 << n) - 1 }
}

impl Ready for Block {
    #[inline]
    fn begin(&mut self, waker: &Waker) -> bool {
        if self.current == 0 && self.memory.marked() == 0 && self.memory.is_armed_by(waker) {
            return false;
        }
        let Self { memory, group, rest, .. } = self;
        memory.collect(|index| *rest |= index == *group);
        (self.start, self.wrapped, self.from) = (self.cursor, false, self.cursor / BITS);
        true
    }

    #[inline]
    fn next(&mut self) -> Option<usize> {
        loop {
            if self.memory.is_pushed() {
                let Self { memory, group, rest, .. } = self;
                memory.collect(|index| *rest |= index == *group); // I2
            }
            if self.rest {
                self.look_again(); // I2
            }
            if self.current != 0 {
                let index = self.group * BITS + self.current.trailing_zeros() as usize;
                self.current &= self.current - 1;
                self.cursor = index + 1;
                return Some(index);
            }
            match self.memory.find(self.from) {
                Some(group) if !self.wrapped || group * BITS < self.start => {
                    self.from = group + 1;
                    self.look_at(group);
                }
                _ => {
                    if !self.wrap() {
                        return None;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn poll_child<R>(&self, index: usize, _: &mut Context<'_>, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        f(&mut Context::from_waker(&self.waker(index)))
    }

    #[inline]
    fn retire(&mut self, index: usize) {
        let (group, bit) = (index / BITS, 1 << (index % BITS));
        self.memory.set_live(group, self.memory.live(group) & !bit);
        if group == self.group {
            self.current &= !bit;
        }
    }

    fn end(&mut self, waker: &Waker) {
        if self.current != 0 {
            return waker.wake_by_ref(); // I1: the pass was broken off, and nobody pushes those who were taken
        }
        self.memory.arm(waker);
    }
}

impl Open for Block {
    const STEADY: bool = true;

    fn insert(&mut self, index: usize) -> Option<Waker> {
        let (group, bit) = (index / BITS, 1 << (index % BITS));
        #[cfg(feature = "alloc")]
        while group >= self.memory.groups() {
            self.memory.grow();
        }
        self.memory.set_live(group, self.memory.live(group) | bit);
        self.memory.add(group, bit);
        self.rest |= group == self.group;
        self.memory.disarm()
    }
}

impl core::fmt::Debug for Block {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Block").field("capacity", &(self.memory.groups() * BITS)).finish_non_exhaustive()
    }
}

impl<const GROUPS: usize> ReadyBlock<GROUPS> {
    /// Takes the block for one set of children, until that is dropped. `None`: somebody has it.
    ///
    /// # Interrupts
    /// May be called from interrupts.
    ///
    /// # Examples
    /// ```
    /// static READY: testudo::task::ReadyBlock<1> = testudo::task::ReadyBlock::new();
    ///
    /// let claim = READY.claim().unwrap();
    /// assert!(READY.claim().is_none());
    /// drop(claim);
    /// assert!(READY.claim().is_some());
    /// ```
    #[must_use = "the block is free again as soon as this is dropped"]
    pub fn claim(&'static self) -> Option<Claim> {
        self.memory().map(|memory| Claim { block: Block::of(memory) })
    }
}

/// The right to use a [`ReadyBlock`].
#[derive(Debug)]
pub struct Claim {
    block: Block,
}

impl Claim {
    /// Children `0..len`, all to be polled.
    pub(crate) fn fill(self, len: usize) -> Self {
        assert!(len <= self.block.memory.groups() * BITS, "more children than the block has room for");
        Self { block: self.block.filled(len) }
    }

    /// For children that come and go, with numbers up to `len`.
    pub(crate) fn open(self, len: usize) -> Self {
        assert!(len <= self.block.memory.groups() * BITS, "more children than the block has room for");
        self
    }

    /// The ready set.
    pub(crate) fn block(&mut self) -> &mut Block {
        &mut self.block
    }

    /// The ready set.
    #[cfg(feature = "alloc")]
    pub(crate) fn into_block(self) -> Block {
        self.block
    }
}

impl Ready for Claim {
    fn begin(&mut self, waker: &Waker) -> bool {
        self.block.begin(waker)
    }

    fn next(&mut self) -> Option<usize> {
        self.block.next()
    }

    fn poll_child<R>(&self, index: usize, cx: &mut Context<'_>, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        self.block.poll_child(index, cx, f)
    }

    fn retire(&mut self, index: usize) {
        self.block.retire(index);
    }

    fn end(&mut self, waker: &Waker) {
        self.block.end(waker);
    }
}

impl Open for Claim {
    const STEADY: bool = true;

    fn insert(&mut self, index: usize) -> Option<Waker> {
        self.block.insert(index)
    }
}

#[cfg(all(test, feature = "std", not(testudo_loom)))]
mod tests {
    use std::{sync::Arc, task::Wake, vec::Vec};

    use super::*;

    struct Silent;
    impl Wake for Silent {
        fn wake(self: Arc<Self>) {}
    }

    fn pass(block: &mut Block, waker: &Waker) -> Vec<usize> {
        let mut order = Vec::new();
        if block.begin(waker) {
            order.extend(core::iter::from_fn(|| block.next()));
            block.end(waker);
        }
        order
    }

    #[test]
    fn a_block_grows_and_its_numbers_may_be_used_again() {
        let (mut block, waker) = (Block::growing(), Waker::from(Arc::new(Silent)));
        let shared = block.memory.shared().clone();
        assert!((0..1000).all(|index| block.insert(index).is_none()));
        assert_eq!(pass(&mut block, &waker), (0..1000).collect::<Vec<_>>());
        for index in [999, 63, 64, 500, 127, 128] {
            shared.waker(index).wake_by_ref();
        }
        assert_eq!(pass(&mut block, &waker), [63, 64, 127, 128, 500, 999]);
        block.retire(64);
        for index in [64, 65] {
            shared.waker(index).wake_by_ref();
        }
        assert_eq!(pass(&mut block, &waker), [65]);
        assert!(block.insert(64).is_some_and(|parent| parent.will_wake(&waker)), "the parent waits");
        assert!(block.insert(5000).is_none(), "it is awake now");
        assert_eq!(pass(&mut block, &waker), [64, 5000]);
        assert!(!block.begin(&waker), "nobody was woken");
        let kept = shared.waker(5000).clone();
        drop((block, shared));
        kept.wake();
    }
}
