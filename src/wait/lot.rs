//! The nodes whose predicates a notifier runs in one go.
//!
//! A predicate runs outside the list flag, with its node claimed. To let go of the flag and take it again for every node
//! would cost more than most predicates do, so a notifier claims up to `LOT` nodes in one hold of it. A predicate may
//! drop waits of its own lot, and of lots that are run further up on its thread's stack: those are withdrawn.
#![allow(unsafe_code)]
// The labels are those declared in word.rs.
use core::{cell::Cell, fmt, ptr};

use super::{
    node::{Node, Tags, at},
    phase::{Phase, Token},
};
use crate::sys::{
    Panics,
    lots::{self, LOT},
};

/// Claimed nodes, in line: they stay where they are while the flag is let go, and their owners wait (I7).
pub(crate) struct Lot {
    /// Null: withdrawn.
    nodes: [Cell<*mut Node>; LOT],
    len: Cell<usize>,
    /// The first whose predicate was not run; the one before it may be running.
    next: Cell<usize>,
    /// Bit by bit: those whose predicates hold.
    yes: Cell<u32>,
    /// How many these are.
    satisfied: Cell<usize>,
    /// Bit by bit: those whose predicates panicked.
    panicked: Cell<u32>,
    /// All was run that had to be: no predicate is running.
    done: Cell<bool>,
    /// The lot, further up on the stack, one of whose predicates has begun this one.
    outer: Cell<*const Self>,
}

const _: () = assert!(LOT <= u32::BITS as usize);

impl fmt::Debug for Lot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lot").field("len", &self.len.get()).finish_non_exhaustive()
    }
}

impl Lot {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            nodes: [const { Cell::new(ptr::null_mut()) }; LOT],
            len: Cell::new(0),
            next: Cell::new(0),
            yes: Cell::new(0),
            satisfied: Cell::new(0),
            panicked: Cell::new(0),
            done: Cell::new(false),
            outer: Cell::new(ptr::null()),
        }
    }

    /// Claims linked nodes, up to `most`: `first`, and what `next` finds behind it, the flag being held.
    #[inline(always)]
    pub(super) fn claim(&self, first: *mut Node, most: usize, mut next: impl FnMut(*mut Node) -> Option<*mut Node>) {
        let (mut node, mut len) = (first, 0);
        loop {
            // SAFETY: I1: linked, and the walk that claims it holds the flag.
            unsafe { at(node) }.set_phase(Phase::CLAIMED);
            self.nodes[len].set(node);
            len += 1;
            if len == most {
                break;
            }
            let Some(behind) = next(node) else { break };
            node = behind;
        }
        self.len.set(len);
    }

    /// Runs the predicates in order, by `ask`, until `most` hold. One that panics is its owner's business, unless it unwinds
    /// through here.
    pub(crate) fn run(&self, most: usize, mut ask: impl FnMut(*const Node) -> bool) {
        // Not a lot of one: what is running is never withdrawn.
        let _entered = (self.len.get() > 1).then(|| Entered::new(self));
        loop {
            let mut panics = Panics::new();
            if panics.catch(|| self.go_on(most, &mut ask)).is_some() {
                break;
            }
            self.panicked.set(self.panicked.get() | 1 << (self.next.get() - 1));
        }
        self.done.set(true);
    }

    fn go_on(&self, most: usize, ask: &mut impl FnMut(*const Node) -> bool) {
        for (this, node) in self.nodes[..self.len.get()].iter().enumerate().skip(self.next.get()) {
            self.next.set(this + 1);
            let node = node.get();
            if !node.is_null() && ask(node) {
                self.yes.set(self.yes.get() | 1 << this);
                self.satisfied.set(self.satisfied.get() + 1);
                if self.satisfied.get() >= most {
                    return; // until one is added, there can only be fewer
                }
            }
        }
    }

    /// How many hold.
    pub(super) fn satisfied(&self) -> usize {
        self.satisfied.get()
    }

    /// Takes out a node, unless its predicate is running. False: it is not in here, or running.
    fn remove(&self, node: &Node) -> bool {
        let all = &self.nodes[..self.len.get()];
        let Some(this) = all.iter().position(|claimed| ptr::eq(claimed.get(), node)) else { return false };
        if this + 1 == self.next.get() {
            return false;
        }
        self.nodes[this].set(ptr::null_mut());
        self.satisfied.set(self.satisfied.get() - (self.yes.get() >> this & 1) as usize);
        self.yes.set(self.yes.get() & !(1 << this));
        self.panicked.set(self.panicked.get() & !(1 << this));
        node.set_phase(Phase::WAITING);
        true
    }

    /// The last whose predicate was run; it cannot have been withdrawn.
    pub(super) fn last(&self) -> *mut Node {
        let run = &self.nodes[..self.next.get()];
        run.iter().rev().map(Cell::get).find(|node| !node.is_null()).unwrap_or(ptr::null_mut())
    }

    /// Gives the nodes back, the flag being held. `told` gets in order those that are to go on, with `token` or Panicked.
    pub(super) fn give_back(&self, token: Token, mut told: impl FnMut(*mut Node, Token)) {
        for node in &self.nodes[..self.len.get()] {
            if !node.get().is_null() {
                // SAFETY: I1, I7: a claimed node stays linked.
                unsafe { at(node.get()) }.set_phase(Phase::WAITING);
            }
        }
        let mut rest = self.yes.get() | self.panicked.get(); // of nodes that were not withdrawn
        while rest != 0 {
            let this = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            told(self.nodes[this].get(), if self.yes.get() & 1 << this != 0 { token } else { Token::Panicked });
        }
    }

    /// Gives the nodes back without the flag; nobody is told but of panics, and that later.
    pub(super) fn give_up(&self) {
        if !self.done.get() {
            // It unwinds.
            self.panicked.set(self.panicked.get() | 1 << (self.next.get() - 1));
        }
        for (this, node) in self.nodes[..self.len.get()].iter().enumerate() {
            if node.get().is_null() {
                continue;
            }
            // SAFETY: I1, I7: a claimed node stays linked until Waiting is stored, the last access.
            let node = unsafe { at(node.get()) };
            if self.panicked.get() & 1 << this != 0 {
                // I2: the claim keeps everybody else away from its tags.
                node.set_tags(Tags { token: Token::Panicked, ..node.tags() });
            }
            node.set_phase(Phase::WAITING);
        }
    }
}

/// A lot is the innermost that this thread runs.
struct Entered<'l>(&'l Lot);

impl<'l> Entered<'l> {
    fn new(lot: &'l Lot) -> Self {
        lot.outer.set(lots::innermost().cast());
        lots::set_innermost(ptr::from_ref(lot).cast());
        Self(lot)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        lots::set_innermost(self.0.outer.get().cast());
    }
}

/// Gives a claimed node back to its owner, the caller, if it is in a lot that this thread runs, and its own predicate is not
/// the one that is running.
#[cold]
pub(super) fn withdraw(node: &Node) -> bool {
    let mut innermost = lots::innermost().cast::<Lot>();
    // SAFETY: I7: `Entered` takes a lot out of this thread's chain before it dies.
    while let Some(lot) = unsafe { innermost.as_ref() } {
        if lot.remove(node) {
            return true;
        }
        innermost = lot.outer.get();
    }
    false
}
