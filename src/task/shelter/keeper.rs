//! Futures that drive what is in a shelter.
#![allow(unsafe_code)]
// STATE       idle -> in line for the role -> keeping -> gone. One keeper of a home has the role; the others wait for it, and for
//             the home to be empty if that is what they are for.
// INVARIANTS  I1 who has the role's guard and has not left is the home's keeper (home T3, T4).
// CANCEL      keeping: what it drove is passed on to the handles that wait, then the role to the next keeper.
use core::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    ptr::{self, NonNull},
    task::{Context, Poll},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{
    exact::{Body, Exact, NoBody},
    home::{Home, is_older},
    site::Site,
    slot::{Core, set_payload},
    state::State,
};
use crate::{
    Event, MutexGuard,
    sync::{EventWait, Lock},
    sys::{Panics, catch},
    task::marker::Sendable,
    wait::POLLED_AFTER_COMPLETION,
};

pin_project! {
    /// Keeps a home while it is polled, and until it is dropped.
    pub(super) struct Keeper<'s> {
        home: &'s Home,
        #[pin]
        lock: Lock<'s, ()>,
        guard: Option<MutexGuard<'s, ()>>,
        // Waits for an empty list, and how often it had been empty before.
        #[pin]
        watch: Option<EventWait<&'s Event>>,
        since: usize,
        ready: Exact,
    }

    impl PinnedDrop for Keeper<'_> {
        fn drop(this: Pin<&mut Self>) {
            this.leave();
        }
    }
}

impl<'s> Keeper<'s> {
    pub(super) fn new(home: &'s Home) -> Self {
        Self { home, lock: home.role.lock(), guard: None, watch: None, since: 0, ready: Exact::default() }
    }

    /// Drives the body and what is in the home. Ready: both have come to their end.
    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, body: &mut impl Body) -> Poll<()> {
        if !self.ready.is_on() {
            body.poll(cx);
        }
        if body.is_done() && self.home.len() == 0 {
            self.leave();
            return Poll::Ready(());
        }
        let this = self.as_mut().project();
        if this.guard.is_none() {
            match this.lock.poll(cx) {
                Poll::Ready(guard) => {
                    *this.guard = Some(guard);
                    this.home.with(|roster| roster.keep()); // T3 of home.rs
                }
                Poll::Pending if body.is_done() => return self.watch(cx),
                Poll::Pending => return Poll::Pending,
            }
        }
        // A child that was put in by another one is looked at in the second pass; then others have their turn.
        for _ in 0..2 {
            let this = self.as_mut().project();
            this.ready.pass(this.home, cx, body);
            if body.is_done() && self.home.len() == 0 {
                self.leave();
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            match self.home.with(|roster| roster.sleep(waker)) {
                Ok(old) => {
                    drop(old);
                    return Poll::Pending;
                }
                Err(unused) => drop(unused),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits for an empty list while another keeper has the role.
    fn watch(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.as_mut().project();
        if this.watch.is_none() {
            let home = *this.home;
            *this.since = home.with(|roster| {
                roster.watchers += 1;
                roster.emptied
            });
            this.watch.set(Some(home.idle.wait()));
        }
        // In line first, then the look: it is told of what comes after. An event that was set for what came before is cleared here,
        // not by who set it, whom this task may have interrupted.
        let since = *this.since;
        loop {
            let is_told = this.watch.as_mut().as_pin_mut().is_some_and(|watch| watch.poll(cx).is_ready());
            if this.home.len() == 0 || this.home.with(|roster| roster.emptied) != since {
                self.leave();
                return Poll::Ready(());
            }
            if !is_told {
                return Poll::Pending;
            }
            this.home.idle.clear();
            this.watch.set(Some(this.home.idle.wait()));
        }
    }

    /// Keeps no longer.
    pub(super) fn leave(self: Pin<&mut Self>) {
        let mut this = self.project();
        let mut panics = Panics::new();
        if this.watch.is_some() {
            this.home.with(|roster| roster.watchers -= 1);
            panics.catch(|| this.watch.set(None));
        }
        if let Some(guard) = this.guard.take() {
            panics.catch(|| *this.ready = Exact::default()); // the parent's waker is in it
            panics.catch(|| this.home.pass_on());
            panics.catch(|| drop(guard));
        } else {
            // Out of the line: who has ended is perhaps kept, and never polled again.
            panics.catch(|| this.lock.set(this.home.role.lock()));
        }
        panics.resume();
    }
}

/// What becomes of a child that was woken.
#[cfg(feature = "alloc")]
pub(super) enum Turn {
    /// The keeper polls it.
    Now(NonNull<Core>),
    /// Somebody else polls it, and recalls it.
    Later,
    /// It has ended.
    Gone,
}

/// T1, T3 of slot.rs: all is the keeper's, and what is not being polled is polled now.
fn claim(core: &Core) -> bool {
    let was = core.go(|state| match state {
        State::Free | State::Driven | State::Kept | State::Busy => Some(State::BusyKept),
        _ => None,
    });
    matches!(was, State::Free | State::Driven | State::Kept)
}

impl Home {
    /// The keeper polls everything that is there now.
    pub(super) fn pass(&self, cx: &mut Context<'_>) {
        let end = self.with(|roster| roster.begin());
        loop {
            let next = self.with(|roster| roster.step(end, claim));
            let Some(core) = next else { return };
            self.poll_one(core, cx);
        }
    }

    /// The keeper looks at a child that was woken.
    #[cfg(feature = "alloc")]
    pub(super) fn turn(&self, seat: u32) -> Turn {
        self.with(|roster| {
            let Some(core) = roster.seated(seat) else { return Turn::Gone };
            // SAFETY: I2, I5 of home.rs.
            if claim(unsafe { core.as_ref() }) { Turn::Now(core) } else { Turn::Later }
        })
    }

    /// The keeper polls what it has claimed. True: it has ended.
    pub(super) fn poll_one(&self, core: NonNull<Core>, cx: &mut Context<'_>) -> bool {
        // SAFETY: I2 of home.rs: it has not ended, and nobody but this claim ends it.
        let site = unsafe { Site::new(core, Some(NonNull::from(self))) };
        site.core().set_driver(ptr::null_mut());
        // SAFETY: I1 of slot.rs: claimed; it has not ended, so the stage is Future.
        match catch(|| unsafe { site.poll_caught(cx) }) {
            Ok(true) => site.end(),
            Ok(false) => {
                site.rest(true);
                return false;
            }
            Err(payload) => {
                // SAFETY: I1 of slot.rs: claimed. `poll_caught` has cleared the place.
                unsafe { set_payload(core, payload) };
                site.end();
            }
        }
        true
    }

    /// T4 of home.rs: handles that wait drive from now on.
    #[cold]
    fn pass_on(&self) {
        let (waker, end) = self.with(|roster| (roster.leave(), roster.begin()));
        let mut panics = Panics::new();
        panics.catch(|| drop(waker));
        loop {
            let next = self.with(|roster| {
                roster.step(end, |core| {
                    let kept = matches!(core.state(), State::Kept | State::BusyKept);
                    if kept {
                        core.hold();
                    }
                    kept
                })
            });
            let Some(core) = next else { return panics.resume() };
            // SAFETY: I2 of slot.rs: held under the latch.
            let site = unsafe { Site::new(core, Some(NonNull::from(self))) };
            panics.catch(|| site.pass_on_kept());
            panics.catch(|| site.let_go());
        }
    }

    /// Ends everything that is there now: drops the futures. What is being polled ends when its poll returns.
    pub(super) fn abort_all(&self) {
        let end = self.with(|roster| roster.number());
        loop {
            let mut mine = false;
            let next = self.find(|core, number| {
                if !is_older(number, end) {
                    return false;
                }
                // T7 of slot.rs.
                let was = core.go(|state| (!state.is_over()).then_some(State::Read));
                mine = matches!(was, State::Free | State::Driven | State::Kept);
                mine
            });
            let Some(core) = next else { return };
            // SAFETY: I2 of home.rs: it has not ended, and nobody but this claim ends it.
            unsafe { Site::new(core, Some(NonNull::from(self))) }.abort();
        }
    }
}

pin_project! {
    /// The future of [`Shelter::run`](crate::task::Shelter::run).
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'s, B: Future, M = Sendable> {
        // Dropped first: what it leaves in the shelter is there then, and its handles are gone.
        #[pin]
        body: Option<B>,
        #[pin]
        keeper: Keeper<'s>,
        output: Option<B::Output>,
        done: bool,
        _kept: PhantomData<M>,
    }
}

impl<'s, B: Future, M> Run<'s, B, M> {
    pub(super) fn new(home: &'s Home, body: B) -> Self {
        Self { keeper: Keeper::new(home), body: Some(body), output: None, done: false, _kept: PhantomData }
    }
}

/// The body of a `Run`, and what it returned.
struct Running<'a, B: Future> {
    body: Pin<&'a mut Option<B>>,
    output: &'a mut Option<B::Output>,
}

impl<B: Future> Body for Running<'_, B> {
    fn poll(&mut self, cx: &mut Context<'_>) {
        let Some(body) = self.body.as_mut().as_pin_mut() else { return };
        if let Poll::Ready(output) = body.poll(cx) {
            *self.output = Some(output);
            self.body.set(None);
        }
    }

    fn is_done(&self) -> bool {
        self.output.is_some()
    }
}

impl<B: Future, M> Future for Run<'_, B, M> {
    type Output = B::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<B::Output> {
        let this = self.project();
        assert!(!*this.done, "{POLLED_AFTER_COMPLETION}");
        let mut running = Running { body: this.body, output: this.output };
        match this.keeper.poll(cx, &mut running) {
            Poll::Ready(()) => {
                *this.done = true;
                Poll::Ready(this.output.take().expect("the body has ended"))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<B: Future, M> FusedFuture for Run<'_, B, M> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<B: Future, M> fmt::Debug for Run<'_, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("body_ended", &self.body.is_none())
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Shelter::drain`](crate::task::Shelter::drain).
    #[must_use = "futures do nothing unless polled"]
    pub struct Drain<'s, M = Sendable> {
        #[pin]
        keeper: Keeper<'s>,
        done: bool,
        _kept: PhantomData<M>,
    }
}

impl<'s, M> Drain<'s, M> {
    pub(super) fn new(home: &'s Home) -> Self {
        Self { keeper: Keeper::new(home), done: false, _kept: PhantomData }
    }
}

impl<M> Future for Drain<'_, M> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        assert!(!*this.done, "{POLLED_AFTER_COMPLETION}");
        let poll = this.keeper.poll(cx, &mut NoBody);
        *this.done = poll.is_ready();
        poll
    }
}

impl<M> FusedFuture for Drain<'_, M> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<M> fmt::Debug for Drain<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("done", &self.done).finish_non_exhaustive()
    }
}
