//! The handle of a sheltered future, whatever it is called: waits for the result, and drives when nobody else does.
#![allow(unsafe_code)]
// The labels are those declared in slot.rs.
use core::{
    fmt,
    future::Future,
    marker::PhantomData,
    mem::MaybeUninit,
    pin::Pin,
    ptr,
    task::{Context, Poll, Waker},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{
    home::tell,
    site::Site,
    slot::{Stage, payload},
    state::State,
};
use crate::{
    sys::atomic::{AtomicBool, Ordering::*},
    wait::{Admit, Bits, Held, POLLED_AFTER_COMPLETION, Source, Token, Wait, WaitList},
};

/// Why there is no result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

pin_project! {
    /// A reference to a place, and a wait in its line.
    pub(super) struct Ticket<'s, T> {
        #[pin]
        wait: Wait<TurnSource>,
        hold: Hold<'s, T>,
    }
}

/// The reference; dropped after the wait. The home has to be there then, and what the result borrows.
///
/// Invariant: a subtype may have another `Clone` (`for<'a> fn(&'a ())` and `fn(&'static ())`), which `duplicate` would leave
/// for handles of this type.
struct Hold<'s, T>(Option<Site>, PhantomData<Holds<'s, T>>);

type Holds<'s, T> = (&'s (), T, fn(T) -> T);

impl<T> Hold<'_, T> {
    /// What names this handle as the driver: it is pinned by then.
    fn address(&self) -> *mut () {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn finish(&mut self) {
        if let Some(site) = self.0.take() {
            site.let_go();
        }
    }
}

impl<T> Drop for Hold<'_, T> {
    #[inline]
    fn drop(&mut self) {
        struct LetGo(Site);
        impl Drop for LetGo {
            fn drop(&mut self) {
                self.0.let_go();
            }
        }
        if let Some(site) = self.0 {
            let _last = LetGo(site);
            if site.core().is_driver(self.address()) {
                site.core().set_driver(ptr::null_mut());
                // T5. That the state is still Driven is checked there; by another driver at worst, and then it polls once more.
                site.core().go_and_tell(|state| (state == State::Driven).then_some(State::Free));
            }
        }
    }
}

/// A future that was just put in, and the keeper that is to be told of it.
#[must_use = "the keeper has to be told"]
pub(super) struct Placed {
    pub(super) site: Site,
    pub(super) keeper: Option<Waker>,
}

impl Placed {
    /// Nobody waits for it.
    #[inline]
    pub(super) fn adopt(self) {
        tell(self.keeper);
    }

    /// The handle is there before the keeper is told: its reference is given up if that panics.
    ///
    /// # Safety
    /// (a) as `Ticket::new`.
    #[inline]
    pub(super) unsafe fn ticket<'s, T>(self) -> Ticket<'s, T> {
        // SAFETY: (a).
        let ticket = unsafe { Ticket::new(self.site) };
        tell(self.keeper);
        ticket
    }
}

/// A result that is being read: T5 when this is dropped.
struct Reading(Site);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.give_up_reading();
    }
}

impl<'s, T> Ticket<'s, T> {
    /// # Safety
    /// (a) the caller has a reference for it, and the place's outputs are `T`s.
    #[inline]
    pub(super) unsafe fn new(site: Site) -> Self {
        Self { wait: Wait::new(TurnSource::new(site), false), hold: Hold(Some(site), PhantomData) }
    }

    /// Another one for the same place.
    pub(super) fn duplicate(&self) -> Self
    where
        T: Clone,
    {
        let site = self.hold.0.expect("a handle that was used up is not cloned");
        let clone: fn(&T) -> T = T::clone;
        site.core().set_duplicate(clone as *mut ());
        site.core().hold();
        // SAFETY: I2: counted just now; the same place.
        unsafe { Self::new(site) }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.hold.0.is_none_or(|site| site.core().state().is_over())
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.hold.0.is_none()
    }

    pub(super) fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Gone>> {
        let mut this = self.project();
        let Some(site) = this.hold.0 else { panic!("{POLLED_AFTER_COMPLETION}") };
        this.wait.source().set_fresh(true);
        loop {
            let Poll::Ready(turn) = this.wait.as_mut().poll(cx) else { return Poll::Pending };
            if turn == Turn::Claimed {
                if site.core().stage() != Stage::Future {
                    return Poll::Ready(Self::read(this.hold, site));
                }
                if let Poll::Ready(result) = Self::drive(this.hold, site, cx) {
                    return Poll::Ready(result);
                }
            }
            this.wait.set(Wait::new(TurnSource::new(site), false));
            // It has just polled, and so waits; unless it was told to drive, or the future has ended (T1 to Read).
            this.wait.source().set_fresh(turn == Turn::Told);
        }
    }

    /// Polls the future.
    #[inline]
    fn drive(hold: &mut Hold<'s, T>, site: Site, cx: &mut Context<'_>) -> Poll<Result<T, Gone>> {
        let mut output = MaybeUninit::<T>::uninit();
        site.core().set_driver(hold.address());
        // SAFETY: I1: claimed, and the stage is Future.
        if !unsafe { site.poll(cx, output.as_mut_ptr().cast()) } {
            site.rest(false);
            return Poll::Pending;
        }
        // SAFETY: it was written.
        let output = unsafe { output.assume_init() };
        let left = site.leave_home();
        // I2: the second reference is that of what has not ended, which is this claim's.
        if site.core().is_sole(2) {
            hold.0 = None;
            // SAFETY: I2: no handle but this one, no list, and the place is empty.
            unsafe { site.free() };
            drop(left);
            return Poll::Ready(Ok(output));
        }
        // SAFETY: I1: claimed.
        let at = unsafe { (site.core().table().output)(site.at()) }.cast::<T>();
        // SAFETY: I1: the place is empty, and has room for a `T`.
        unsafe { at.write(output) };
        site.core().set_stage(Stage::Output);
        // T4, and T1 for this handle: others may see that it has ended, and are told when this one has its part.
        site.core().go(|_| Some(State::Read));
        site.let_go(); // not the last: that is this handle's
        let _left = left;
        Poll::Ready(Self::read(hold, site))
    }

    /// Takes the result, or a clone of it. The claim is given up, and so is the reference.
    fn read(hold: &mut Hold<'s, T>, site: Site) -> Result<T, Gone> {
        // Dropped last: first the reading ends.
        struct Finish<'h, 's, T>(&'h mut Hold<'s, T>);
        impl<T> Drop for Finish<'_, '_, T> {
            fn drop(&mut self) {
                self.0.finish();
            }
        }
        let _finish = Finish(hold);
        let _reading = Reading(site);
        let core = site.core();
        match core.stage() {
            Stage::Output | Stage::Seen => {
                // SAFETY: I1: claimed.
                let at = unsafe { (core.table().output)(site.at()) }.cast::<T>();
                let duplicate = core.duplicate();
                if duplicate.is_null() || core.is_sole(1) {
                    core.set_stage(Stage::Empty);
                    // SAFETY: I1: claimed, the stage was Output or Seen.
                    return Ok(unsafe { at.read() });
                }
                // SAFETY: `duplicate` put it there, for the same `T`.
                let clone = unsafe { core::mem::transmute::<*mut (), fn(&T) -> T>(duplicate) };
                // SAFETY: I1: claimed, the stage is Output or Seen.
                let output = clone(unsafe { &*at });
                core.set_stage(Stage::Seen);
                Ok(output)
            }
            Stage::Payload => {
                core.set_stage(Stage::Panicked);
                // SAFETY: I1: claimed, the stage was Payload.
                unsafe { payload(site.at()) }.resume()
            }
            Stage::Panicked => panic!("the shielded future panicked"),
            Stage::Aborted => Err(Gone),
            Stage::Empty | Stage::Future => unreachable!("a result is taken by the last handle"),
        }
    }
}

impl<T> fmt::Debug for Ticket<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// What a handle waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has the claim.
    Claimed,
    /// It has been told to look again.
    Told,
}

/// Waits for the claim.
pub(super) struct TurnSource {
    site: Site,
    /// It has not polled the future since its task was woken, and so may.
    fresh: AtomicBool,
}

impl TurnSource {
    #[inline(always)]
    fn new(site: Site) -> Self {
        Self { site, fresh: AtomicBool::new(true) }
    }

    #[inline(always)]
    fn set_fresh(&self, fresh: bool) {
        self.fresh.store(fresh, Relaxed); // ORDER: relaxed: the owner's alone
    }
}

impl Source for TurnSource {
    const VERB: &'static str = "Shelter::shield";

    type Output = Turn;
    type Header = ();

    fn header(&self) {}

    #[inline(always)]
    fn list(&self) -> &WaitList {
        &self.site.core().list
    }

    #[inline(always)]
    fn admit(&self, bits: Bits) -> Admit {
        let fresh = self.fresh.load(Relaxed); // ORDER: relaxed: the owner's alone
        match State::of(bits) {
            State::Free => Admit::Take(State::Busy.put(bits)), // T1. ORDER: E1 acquire
            State::Driven if fresh => Admit::Take(State::Busy.put(bits)), // T1. ORDER: E1 acquire
            State::Done | State::Told => Admit::Take(State::Read.put(bits)), // T1. ORDER: E2 acquire
            _ => Admit::Wait,
        }
    }

    fn settle(&self, held: Held<'_>) {
        self.site.core().settle(held);
    }

    #[inline(always)]
    fn finish(&self, token: Token) -> Option<Turn> {
        Some(if token == Token::One { Turn::Told } else { Turn::Claimed })
    }

    fn give_back(&self, token: Token) {
        match token {
            Token::One => self.site.pass_on(),
            _ => self.site.unclaim(),
        }
    }
}

impl<T> FusedFuture for Ticket<'_, T> {
    fn is_terminated(&self) -> bool {
        self.is_used_up()
    }
}

impl<T> Future for Ticket<'_, T> {
    type Output = Result<T, Gone>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Self::poll(self, cx)
    }
}
