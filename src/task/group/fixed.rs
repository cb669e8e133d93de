//! The children in places (place.rs) that a run has taken over, and the turn that a run has.
#![allow(unsafe_code)]
// STATE       turn: false --T1 enter--> true --T2 leave--> false
// INVARIANTS  I1 a run has the turn from its first poll until all its children are dropped: nobody else polls what is in the group.
//             I2 each child here has a place of the group for itself: there are never more than N.
//             I3 children are futures, values and errors of types that are Send if the run is.
//             I4 a group does not go away during a turn: the program ends instead. So a future that was polled is dropped first,
//                or stays for ever, also if its run is forgotten.
// EDGES       E1 T2 (release) -> T1 (acquire): places and inbox are as the run before has left them.
use core::marker::PhantomData;

use super::{
    failures::GroupErrorArray,
    inbox::{Chain, Inbox},
    job::Child,
    store::{BELL, BODY, FIRST, Store},
};
use crate::{
    sys::{
        Panics, array,
        atomic::{AtomicBool, Ordering::*},
        const_fn,
    },
    task::ready::Open,
};

/// Says whether somebody runs the group.
pub(super) struct Turn(AtomicBool);

impl Turn {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self(AtomicBool::new(false))
        }
    }

    /// Whether somebody has it at this moment.
    pub(super) fn is_taken(&self) -> bool {
        self.0.load(Relaxed) // ORDER: relaxed: a moment's view
    }
}

/// I4.
impl Drop for Turn {
    fn drop(&mut self) {
        extern "C" fn end_of_program() -> ! {
            panic!("a task group was dropped whose run was forgotten") // which aborts here
        }
        if self.is_taken() {
            end_of_program();
        }
    }
}

/// The turn, or not yet. T2 when it is dropped.
struct MyTurn<'c> {
    turn: &'c Turn,
    is_mine: bool,
}

impl Drop for MyTurn<'_> {
    fn drop(&mut self) {
        if self.is_mine {
            self.turn.0.store(false, Release); // ORDER: E1 release
        }
    }
}

/// The children that were taken over.
pub(super) struct Fixed<'c, F, T, E, W, const N: usize> {
    ready: W,
    slots: [Option<Child<E>>; N],
    live: usize,
    spawned: usize,
    /// How many slots have been used so far.
    used: usize,
    /// A slot was used again: their order is not that of the children any more.
    shuffled: bool,
    _owned: PhantomData<(F, T)>,
    /// Dropped last.
    turn: MyTurn<'c>,
}

// SAFETY: I3: what a child reaches is a future, its value or its error; the wakers and the rest are Send.
unsafe impl<F: Send, T: Send, E: Send, W: Send, const N: usize> Send for Fixed<'_, F, T, E, W, N> {}

impl<'c, F, T, E, W: Open, const N: usize> Fixed<'c, F, T, E, W, N> {
    pub(super) fn new(turn: &'c Turn, mut ready: W) -> Self {
        for number in [BODY, BELL] {
            drop(ready.insert(number)); // nobody waits yet
        }
        Self {
            ready,
            slots: array![None; N],
            live: 0,
            spawned: 0,
            used: 0,
            shuffled: false,
            _owned: PhantomData,
            turn: MyTurn { turn, is_mine: false },
        }
    }

    fn start(&mut self, child: Child<E>) {
        let slot = self.slots.iter().position(Option::is_none).expect("I2");
        self.shuffled |= slot < self.used;
        self.used = self.used.max(slot + 1);
        self.slots[slot] = Some(child);
        self.live += 1;
        if let Some(parent) = self.ready.insert(slot + FIRST) {
            parent.wake();
        }
    }

    /// The slot of the child that was spawned first.
    fn oldest(&self) -> Option<usize> {
        let number = |slot: &usize| self.slots[*slot].as_ref().map(|child| child.header().number.get());
        (0..self.used).filter(|slot| number(slot).is_some()).min_by_key(number)
    }
}

impl<F, T, E, W: Open, const N: usize> Store for Fixed<'_, F, T, E, W, N> {
    type Error = E;
    type Errors = GroupErrorArray<E, N>;
    type Ready = W;

    /// T1.
    fn enter(&mut self, inbox: &Inbox<E>) {
        // ORDER: E1 acquire
        assert!(!self.turn.turn.0.swap(true, Acquire), "a task group is run by one at a time");
        self.turn.is_mine = true;
        inbox.reopen();
    }

    fn ready(&mut self) -> &mut W {
        &mut self.ready
    }

    fn parts(&mut self, slot: usize) -> (&W, Option<&mut Child<E>>) {
        (&self.ready, self.slots.get_mut(slot).and_then(Option::as_mut))
    }

    fn len(&self) -> usize {
        self.live
    }

    fn admit(&mut self, chain: Chain<E>) {
        for child in chain {
            child.header().number.set(self.spawned);
            self.spawned = self.spawned.wrapping_add(1);
            self.start(child);
        }
    }

    fn remove(&mut self, slot: usize) -> Option<Child<E>> {
        let child = self.slots[slot].take()?;
        self.ready.retire(slot + FIRST);
        self.live -= 1;
        Some(child)
    }

    fn start_next(&mut self) {}

    fn ask_to_end(&self) {}

    fn cancel(&mut self, panics: &mut Panics, _: bool) {
        for slot in 0..self.used {
            let Some(slot) = (if self.shuffled { self.oldest() } else { Some(slot) }) else { return };
            let child = self.remove(slot);
            panics.catch(|| drop(child));
        }
    }
}
