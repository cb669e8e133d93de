//! What whoever has the claim on a place does: poll, let go, end.
#![allow(unsafe_code)]
// The labels are those declared in slot.rs.
use core::{
    ptr::{self, NonNull},
    task::Context,
};

use super::{
    home::{Home, Left, bury},
    slot::{Core, Stage, clear},
    state::State,
};
use crate::sys::{CATCHES, Panics};

/// A place and its home, if it has one. Whoever has one has a reference (I2), or the latch of the home.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    core: NonNull<Core>,
    home: Option<NonNull<Home>>,
}

// SAFETY: I1, I2: what is in the place is asked for by the types that have a site.
unsafe impl Send for Site {}
// SAFETY: I1, I2: as above; `&Site` gives access to atomics alone.
unsafe impl Sync for Site {}

/// Ends a future whose poll panics.
struct Bomb {
    site: Site,
    /// Nobody catches the panic, so it ends here.
    ends: bool,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        // This thread is unwinding: a second panic must not leave this.
        let mut panics = Panics::new();
        // SAFETY: I1: the poll was made with the claim.
        panics.catch(|| unsafe { clear(self.site.core, Stage::Panicked) });
        if self.ends {
            panics.catch(|| self.site.end());
        }
        panics.resume();
    }
}

/// One reference less when this is dropped.
struct Last(Site);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

impl Site {
    /// # Safety
    /// (a) the caller has a reference to the core, which is that of a place, for as long as the site is used; the home, if any,
    /// lives longer.
    #[inline]
    pub(super) unsafe fn new(core: NonNull<Core>, home: Option<NonNull<Home>>) -> Self {
        Self { core, home }
    }

    #[inline(always)]
    pub(super) fn core(&self) -> &Core {
        // SAFETY: (a) of `new`.
        unsafe { self.core.as_ref() }
    }

    #[inline(always)]
    pub(super) fn at(&self) -> NonNull<Core> {
        self.core
    }

    #[inline(always)]
    pub(super) fn home(&self) -> Option<&Home> {
        // SAFETY: (a) of `new`.
        self.home.map(|home| unsafe { home.as_ref() })
    }

    /// Polls the future. True: it has ended, and its output is where `to` says, or in the place if that is null. The claim stays.
    ///
    /// # Safety
    /// (a) the caller has the claim, and the stage is Future. `to` is null, or may be written an output to.
    #[inline]
    pub(super) unsafe fn poll(self, cx: &mut Context<'_>, to: *mut ()) -> bool {
        let bomb = Bomb { site: self, ends: true };
        // SAFETY: (a).
        let ready = unsafe { (self.core().table().poll)(self.core, cx, to) };
        core::mem::forget(bomb);
        ready
    }

    /// As `poll`, into the place; a panic leaves an empty place and the claim.
    ///
    /// # Safety
    /// (a) the caller has the claim, and the stage is Future.
    pub(super) unsafe fn poll_caught(self, cx: &mut Context<'_>) -> bool {
        let bomb = Bomb { site: self, ends: !CATCHES };
        // SAFETY: (a).
        let ready = unsafe { (self.core().table().poll)(self.core, cx, ptr::null_mut()) };
        core::mem::forget(bomb);
        ready
    }

    /// T2: the poll was pending. The claim is given up.
    pub(super) fn rest(self, by_keeper: bool) {
        let was = self.core().go(|state| match state {
            State::Busy => Some(State::Driven),
            State::BusyKept => Some(State::Kept),
            _ => None,
        });
        match was {
            // T3 of slot.rs came: the keeper polls it with its own waker.
            State::BusyKept if !by_keeper => self.recall(),
            State::Read => self.abort(), // T7 of slot.rs came
            _ => {}
        }
    }

    /// The keeper found it busy, and polls it with its own waker. Not to be looked at: it may have ended.
    #[cold]
    fn recall(self) {
        if let Some(home) = self.home() {
            // SAFETY: (a) of `new`: the caller has a reference.
            unsafe { home.recall(self.core) };
        }
    }

    /// The claim is given up by somebody who did not use it.
    pub(super) fn unclaim(self) {
        // Not to be looked at again: the claim may be another's then.
        let ended = self.core().stage() != Stage::Future;
        let was = self.core().go_and_tell(|state| match state {
            State::Busy => Some(State::Free),
            State::BusyKept => Some(State::Kept),
            State::Read if ended => Some(State::Done),
            _ => None,
        });
        match was {
            State::BusyKept => self.recall(),
            State::Read if !ended => self.abort(), // T7 of slot.rs came
            _ => {}
        }
    }

    /// Drops the future and ends it. The claim is given up.
    #[cold]
    pub(super) fn abort(self) {
        struct End(Site);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.end();
            }
        }
        let _end = End(self);
        // SAFETY: I1: the caller has the claim.
        unsafe { clear(self.core, Stage::Aborted) };
    }

    /// Takes it out of its home's list.
    #[inline]
    pub(super) fn leave_home(&self) -> Option<Left<'_>> {
        // SAFETY: I2: it has not ended, so it is in the list.
        self.home().map(|home| unsafe { home.remove(self.core) })
    }

    /// T4: what is in the place is the result. The claim is given up, and so is the reference of what has not ended.
    pub(super) fn end(self) {
        let _left = self.leave_home();
        let _last = Last(self);
        self.core().go_and_tell(|_| Some(State::Done));
    }

    /// T5: the result was read.
    pub(super) fn give_up_reading(self) {
        self.core().go_and_tell(|_| Some(State::Done));
    }

    /// T5: who drove, or was told, is gone.
    pub(super) fn pass_on(self) {
        self.core().go_and_tell(|state| match state {
            State::Driven => Some(State::Free),
            State::Told => Some(State::Done),
            _ => None,
        });
    }

    /// T5: the keeper is gone.
    pub(super) fn pass_on_kept(self) {
        self.core().go_and_tell(|state| match state {
            State::Kept => Some(State::Free),
            State::BusyKept => Some(State::Busy),
            _ => None,
        });
    }

    /// Gives up a reference.
    #[inline]
    pub(super) fn let_go(self) {
        if self.core().let_go() {
            // SAFETY: I2: it was the last one.
            unsafe { bury(self.core, self.home) };
        }
    }

    /// Gives back a place that is empty and that nobody else knows of.
    ///
    /// # Safety
    /// (a) so it is.
    #[inline]
    pub(super) unsafe fn free(self) {
        let free = self.core().table().free;
        // SAFETY: (a).
        unsafe { free(self.core, self.home) };
    }
}
