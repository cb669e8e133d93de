//! What drives a group: its body and its children, in one future.
// STATE       New --T1 first poll--> Running --T2 a failure, or cancelled: abort--> Ending --T3 nobody is left--> Done
//                                    Running --T4 the body has a value, nobody is left, nothing is in the inbox--> Done
// INVARIANTS  I1 no child is polled or dropped while anything is borrowed that its code can reach.
//             I2 what T2 or the drop of this future has begun is brought to its end whoever panics (with std).
// CANCEL      New: nothing. Else: the body is dropped, then the children in the order in which they were spawned.
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{
    Shared,
    array::GroupRunArray,
    failures::GroupErrorArray,
    fixed::Fixed,
    inbox::Chain,
    store::{BELL, BODY, Errors, FIRST, Store},
};
#[cfg(feature = "alloc")]
use super::{children::Children, error::GroupError};
use crate::{
    sync::{Event, EventWait},
    sys::Panics,
    task::ready::{Open, Ready},
    wait::POLLED_AFTER_COMPLETION,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    New,
    Running,
    Ending,
    Done,
}

/// All but the two futures that are pinned.
struct State<'c, R, S: Store> {
    group: &'c Shared<S::Error>,
    phase: Phase,
    value: Option<R>,
    errors: S::Errors,
    body_error: Option<S::Error>,
    panics: Panics,
    /// Until the end.
    children: Option<S>,
}

impl<R, S: Store> State<'_, R, S> {
    /// Polls a child; what comes of it is noted.
    fn poll_child(&mut self, number: usize, cx: &mut Context<'_>) {
        let Self { children: Some(children), panics, .. } = self else { return };
        let slot = number - FIRST;
        match children.poll_child(slot, cx, panics) {
            Some(Poll::Ready(error)) => error.into_iter().for_each(|error| self.errors.push(error)),
            Some(Poll::Pending) | None => return,
        }
        let child = children.remove(slot);
        self.panics.catch(|| drop(child)); // I1
        if self.phase == Phase::Running && !self.has_failed() {
            self.children.iter_mut().for_each(S::start_next);
        }
    }

    /// Takes over what was spawned, unless something failed: then it never starts.
    fn admit(&mut self) {
        if self.phase == Phase::Running && !self.has_failed() && self.group.inbox.has_children() {
            if let Some(children) = &mut self.children {
                children.admit(self.group.inbox.drain());
            }
        }
    }

    fn has_failed(&self) -> bool {
        !self.errors.is_cancelled() || self.must_stop()
    }

    /// Whether nobody else is to be polled: those who are woken at the same time as one who fails are.
    fn must_stop(&self) -> bool {
        self.body_error.is_some() || self.panics.has_caught() || self.group.inbox.is_cancelled()
    }

    /// T2: nobody can spawn any more, children are cancelled, then the body. The graceful ones are asked to end.
    fn abort<B>(&mut self, mut body: Pin<&mut Option<B>>) {
        self.phase = Phase::Ending;
        let unborn = self.group.inbox.close();
        let Self { panics, children, .. } = self;
        if let Some(children) = children {
            panics.catch(|| children.ask_to_end());
            children.cancel(panics, false);
        }
        drop_all(unborn, panics);
        panics.catch(|| body.set(None));
    }

    /// T3, T4: the outcome, if there is nothing left to do.
    fn finish(&mut self, body_is_done: bool) -> Option<Result<R, S::Errors>> {
        if !body_is_done || self.children.as_ref().is_some_and(|children| children.len() > 0) {
            return None;
        }
        if self.phase == Phase::Running && !self.group.inbox.close_empty() {
            return None;
        }
        self.phase = Phase::Done;
        self.children = None;
        core::mem::replace(&mut self.panics, Panics::new()).resume();
        if let Some(error) = self.body_error.take() {
            self.errors.push(error);
        }
        match self.value.take() {
            Some(value) if self.errors.is_cancelled() => Some(Ok(value)),
            _ => Some(Err(core::mem::replace(&mut self.errors, S::Errors::new()))),
        }
    }
}

/// Cancels what never started.
fn drop_all<E>(unborn: Chain<E>, panics: &mut Panics) {
    for child in unborn {
        panics.catch(|| drop(child));
    }
}

pin_project! {
    /// The run of any group.
    pub(super) struct Drive<'c, B, R, S: Store> {
        #[pin]
        body: Option<B>,
        #[pin]
        bell: Option<EventWait<&'c Event>>,
        state: State<'c, R, S>,
    }

    impl<'c, B, R, S: Store> PinnedDrop for Drive<'c, B, R, S> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let state = this.state;
            if matches!(state.phase, Phase::Running | Phase::Ending) {
                let unborn = state.group.inbox.close();
                let State { panics, children, .. } = state;
                if let Some(children) = children {
                    panics.catch(|| children.ask_to_end());
                }
                panics.catch(|| this.body.set(None));
                if let Some(children) = children {
                    children.cancel(panics, true);
                }
                drop_all(unborn, panics);
                core::mem::replace(panics, Panics::new()).resume();
            }
        }
    }
}

impl<'c, B, R, S: Store> Drive<'c, B, R, S> {
    fn new(group: &'c Shared<S::Error>, body: B, children: S) -> Self {
        let state = State {
            group,
            phase: Phase::New,
            value: None,
            errors: S::Errors::new(),
            body_error: None,
            panics: Panics::new(),
            children: Some(children),
        };
        Self { body: Some(body), bell: None, state }
    }

    fn is_done(&self) -> bool {
        self.state.phase == Phase::Done
    }
}

impl<B, R, S: Store> Drive<'_, B, R, S>
where
    B: Future<Output = Result<R, S::Error>>,
{
    /// T1, or wakes up. False: nobody was woken.
    fn begin(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let state = self.project().state;
        match state.phase {
            Phase::New => {
                let inbox = &state.group.inbox;
                state.children.iter_mut().for_each(|children| children.enter(inbox));
                assert!(inbox.wake(true), "a task group runs once");
                state.phase = Phase::Running;
            }
            Phase::Running | Phase::Ending => {}
            Phase::Done => panic!("{POLLED_AFTER_COMPLETION}"),
        }
        let woken = state.children.as_mut().is_some_and(|children| children.ready().begin(cx.waker()));
        if woken {
            state.group.inbox.wake(false);
        }
        woken
    }

    fn poll_body(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        let State { children: Some(children), panics, .. } = this.state else { return };
        let Some(body) = this.body.as_mut().as_pin_mut() else { return };
        match children.ready().poll_child(BODY, cx, |cx| panics.catch(|| body.poll(cx))) {
            Some(Poll::Pending) => return,
            Some(Poll::Ready(Ok(value))) => this.state.value = Some(value),
            Some(Poll::Ready(Err(error))) => this.state.body_error = Some(error),
            None => {}
        }
        this.state.panics.catch(|| this.body.set(None));
    }

    /// Gets in line for the bell; it may have been rung.
    fn poll_bell(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        let State { children: Some(children), group, .. } = this.state else { return };
        let (ready, event) = (children.ready(), &group.bell);
        loop {
            if this.bell.is_none() {
                this.bell.set(Some(event.wait()));
            }
            let Some(bell) = this.bell.as_mut().as_pin_mut() else { return };
            if ready.poll_child(BELL, cx, |cx| bell.poll(cx)).is_pending() {
                return;
            }
            event.clear();
            this.bell.set(None);
        }
    }

    /// One pass through those who were woken.
    fn pass(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        while let Some(number) = self.as_mut().project().state.children.as_mut().and_then(|c| c.ready().next()) {
            match number {
                BODY => self.as_mut().poll_body(cx),
                BELL => self.as_mut().poll_bell(cx),
                child => self.as_mut().project().state.poll_child(child, cx),
            }
            let state = self.as_mut().project().state;
            state.admit();
            if state.phase == Phase::Running && state.must_stop() {
                return;
            }
        }
    }

    /// One poll of the parent.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R, S::Errors>> {
        if !self.as_mut().begin(cx) {
            return Poll::Pending;
        }
        self.as_mut().pass(cx);
        let this = self.project();
        let (mut body, mut bell, state) = (this.body, this.bell, this.state);
        loop {
            if state.phase == Phase::Running && state.has_failed() {
                state.abort(body.as_mut());
            }
            if let Some(outcome) = state.finish(body.is_none()) {
                bell.set(None);
                return Poll::Ready(outcome);
            }
            if state.group.inbox.sleep(state.phase == Phase::Running) {
                break;
            }
            state.admit();
        }
        if let Some(children) = &mut state.children {
            children.ready().end(cx.waker());
        }
        Poll::Pending
    }
}

impl<B, R, S: Store> fmt::Debug for Drive<'_, B, R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = self.state.children.as_ref().map_or(0, Store::len);
        f.debug_struct("GroupRun").field("phase", &self.state.phase).field("children", &live).finish_non_exhaustive()
    }
}

/// The futures of the two kinds of groups.
macro_rules! runs {
    ($(
        $(#[$meta:meta])*
        $name:ident[$($param:tt)*][$($arg:tt)*] => $store:ty, $error:ty;
    )+) => {$(
        $(#[$meta])*
        impl<'c, B, R, $($param)*> Future for $name<'c, B, R, $($arg)*>
        where
            B: Future<Output = Result<R, E>>,
        {
            type Output = Result<R, $error>;

            #[inline]
            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                self.drive().poll(cx)
            }
        }

        $(#[$meta])*
        impl<'c, B, R, $($param)*> FusedFuture for $name<'c, B, R, $($arg)*>
        where
            B: Future<Output = Result<R, E>>,
        {
            fn is_terminated(&self) -> bool {
                self.drive.is_done()
            }
        }

        $(#[$meta])*
        impl<'c, B, R, $($param)*> fmt::Debug for $name<'c, B, R, $($arg)*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.drive.fmt(f)
            }
        }

        $(#[$meta])*
        impl<'c, B, R, $($param)*> $name<'c, B, R, $($arg)*> {
            pub(super) fn new(group: &'c Shared<E>, body: B, children: $store) -> Self {
                Self { drive: Drive::new(group, body, children) }
            }
        }
    )+};
}
runs! {
    #[cfg(feature = "alloc")]
    GroupRun[E, K][E, K] => Children<'c, E, K>, GroupError<E>;
    GroupRunArray[T, E, F: Future<Output = Result<T, E>>, const N: usize, W: Open][F, N, W] => Fixed<'c, F, T, E, W, N>, GroupErrorArray<E, N>;
}

#[cfg(feature = "alloc")]
pin_project! {
    /// The future of [`Group::run`](crate::task::Group::run).
    #[must_use = "futures do nothing unless polled"]
    pub struct GroupRun<'c, B, R, E, K> {
        #[pin]
        drive: Drive<'c, B, R, Children<'c, E, K>>,
    }
}

#[cfg(feature = "alloc")]
impl<'c, B, R, E, K> GroupRun<'c, B, R, E, K> {
    fn drive(self: Pin<&mut Self>) -> Pin<&mut Drive<'c, B, R, Children<'c, E, K>>> {
        self.project().drive
    }
}
