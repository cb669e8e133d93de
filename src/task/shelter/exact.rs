//! What a keeper polls at a wake: of few futures all, of many those that were woken.
// STATE       few, polled by the keeper's waker --more than a few are there, and the home allocates--> many, with a ready set
// INVARIANTS  I1 with a ready set, the body is its child 0 and the core in seat n its child n + 1; a child without a core is retired
//                when it is met. Everything is polled once behind the change, with its own waker.
use core::task::Context;
#[cfg(feature = "alloc")]
use core::task::Waker;

use super::home::Home;
#[cfg(feature = "alloc")]
use super::{
    keeper::Turn,
    seats::{Row, Seats},
};
#[cfg(feature = "alloc")]
use crate::{
    sys::FEW,
    task::ready::{Block, Open, Ready},
};

/// What a keeper drives beside its home.
pub(super) trait Body {
    /// Polls it, unless it has ended.
    fn poll(&mut self, cx: &mut Context<'_>);

    /// Whether it has ended: what is left is to empty the home.
    fn is_done(&self) -> bool;
}

/// None.
pub(super) struct NoBody;

impl Body for NoBody {
    fn poll(&mut self, _: &mut Context<'_>) {}

    fn is_done(&self) -> bool {
        true
    }
}

/// The ready set of a keeper of many; nothing without an allocator.
#[derive(Debug, Default)]
pub(super) struct Exact {
    #[cfg(feature = "alloc")]
    ready: Option<Block>,
}

#[cfg(not(feature = "alloc"))]
impl Exact {
    pub(super) fn is_on(&self) -> bool {
        false
    }

    pub(super) fn pass(&mut self, home: &Home, cx: &mut Context<'_>, _: &mut impl Body) {
        home.pass(cx);
    }
}

#[cfg(feature = "alloc")]
impl Exact {
    /// Whether the body is polled by `pass`.
    pub(super) fn is_on(&self) -> bool {
        self.ready.is_some()
    }

    /// The keeper, which has the role, polls.
    pub(super) fn pass(&mut self, home: &Home, cx: &mut Context<'_>, body: &mut impl Body) {
        let ready = match &mut self.ready {
            Some(ready) => ready,
            None if home.allocates && home.len() > FEW.1 => self.ready.insert(begin(home)),
            None => return home.pass(cx),
        };
        admit(home, ready);
        if !ready.begin(cx.waker()) {
            return;
        }
        while let Some(child) = ready.next() {
            let ended = match child.checked_sub(1) {
                None => {
                    ready.poll_child(child, cx, |cx| body.poll(cx));
                    body.is_done()
                }
                Some(seat) => match home.turn(seat as u32) {
                    Turn::Now(core) => ready.poll_child(child, cx, |cx| home.poll_one(core, cx)),
                    Turn::Later => false,
                    Turn::Gone => true,
                },
            };
            if ended {
                ready.retire(child);
            }
        }
        ready.end(cx.waker());
    }
}

/// A ready set with the body in it.
#[cfg(feature = "alloc")]
fn begin(home: &Home) -> Block {
    let mut ready = Block::growing();
    let nobody: Option<Waker> = ready.insert(0);
    debug_assert!(nobody.is_none());
    let seats = Seats::new();
    home.with(|roster| roster.furnish(seats));
    ready
}

/// Home T5, T6: what came since is woken.
#[cfg(feature = "alloc")]
fn admit(home: &Home, ready: &mut Block) {
    let end = home.with(|roster| roster.number());
    let mut room = None;
    loop {
        let (unused, next) = home.with(|roster| (room.take().and_then(|row| roster.add_row(row)), roster.admit(end)));
        drop(unused);
        match next {
            // The waker that it returns is that of this very poll.
            Ok(Some(seat)) => drop(ready.insert(seat as usize + 1)),
            Ok(None) => return,
            Err(seats) => room = Some(Row::new(seats)),
        }
    }
}
