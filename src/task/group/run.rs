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

use super::{
    Shared,
    children::{BELL, BODY, Children, FIRST},
    error::GroupError,
    inbox::Chain,
};
use crate::{
    sync::{Event, EventWait},
    sys::Panics,
    task::ready::Ready,
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
struct State<'c, R, E, K> {
    group: &'c Shared<E>,
    phase: Phase,
    value: Option<R>,
    errors: GroupError<E>,
    body_error: Option<E>,
    panics: Panics,
    children: Option<Children<E, K>>,
}

impl<R, E, K> State<'_, R, E, K> {
    /// Polls a child; what comes of it is noted.
    fn poll_child(&mut self, number: usize) {
        let Some(children) = &mut self.children else { return };
        let slot = number - FIRST;
        let Some(child) = children.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        let waker = children.wakers.waker(number);
        match self.panics.catch(|| child.poll(&mut Context::from_waker(&waker))) {
            Some(Poll::Pending) => return,
            Some(Poll::Ready(error)) => error.into_iter().for_each(|error| self.errors.push(error)),
            None => {}
        }
        let child = children.remove(slot);
        self.panics.catch(|| drop(child)); // I1
        if self.phase == Phase::Running && !self.has_failed() {
            self.children.iter_mut().for_each(Children::start_next);
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
        let Self { group, panics, children, .. } = self;
        panics.catch(|| group.token.cancel());
        if let Some(children) = children {
            children.cancel(panics, |child| child.header().graceful);
        }
        drop_all(unborn, panics);
        panics.catch(|| body.set(None));
    }

    /// T3, T4: the outcome, if there is nothing left to do.
    fn finish(&mut self, body_is_done: bool) -> Option<Result<R, GroupError<E>>> {
        if !body_is_done || !self.children.as_ref().is_none_or(Children::is_empty) {
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
            _ => Some(Err(core::mem::replace(&mut self.errors, GroupError::new()))),
        }
    }
}

/// Cancels what never started.
fn drop_all<E>(unborn: Chain<E>, panics: &mut Panics) {
    for child in unborn {
        panics.catch(|| drop(child));
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Group::run`](crate::task::Group::run).
    #[must_use = "futures do nothing unless polled"]
    pub struct GroupRun<'c, B, R, E, K> {
        #[pin]
        body: Option<B>,
        #[pin]
        bell: Option<EventWait<&'c Event>>,
        state: State<'c, R, E, K>,
    }

    impl<'c, B, R, E, K> PinnedDrop for GroupRun<'c, B, R, E, K> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let state = this.state;
            if matches!(state.phase, Phase::Running | Phase::Ending) {
                let unborn = state.group.inbox.close();
                let State { group, panics, children, .. } = state;
                panics.catch(|| group.token.cancel());
                panics.catch(|| this.body.set(None));
                if let Some(children) = children {
                    children.cancel(panics, |_| false);
                }
                drop_all(unborn, panics);
                core::mem::replace(panics, Panics::new()).resume();
            }
        }
    }
}

impl<'c, B, R, E, K> GroupRun<'c, B, R, E, K> {
    pub(super) fn new(group: &'c Shared<E>, body: B) -> Self {
        let state = State {
            group,
            phase: Phase::New,
            value: None,
            errors: GroupError::new(),
            body_error: None,
            panics: Panics::new(),
            children: None,
        };
        Self { body: Some(body), bell: None, state }
    }
}

impl<B, R, E, K> GroupRun<'_, B, R, E, K>
where
    B: Future<Output = Result<R, E>>,
{
    /// T1, or wakes up. False: nobody was woken.
    fn begin(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let state = self.project().state;
        match state.phase {
            Phase::New => {
                assert!(state.group.inbox.wake(true), "a task group runs once");
                state.phase = Phase::Running;
                state.children = Some(Children::new(state.group.limit));
            }
            Phase::Running | Phase::Ending => {}
            Phase::Done => panic!("{POLLED_AFTER_COMPLETION}"),
        }
        let woken = state.children.as_mut().is_some_and(|children| children.ready.begin(cx.waker()));
        if woken {
            state.group.inbox.wake(false);
        }
        woken
    }

    fn poll_body(self: Pin<&mut Self>) {
        let mut this = self.project();
        let (Some(body), Some(children)) = (this.body.as_mut().as_pin_mut(), &this.state.children) else { return };
        let waker = children.wakers.waker(BODY);
        match this.state.panics.catch(|| body.poll(&mut Context::from_waker(&waker))) {
            Some(Poll::Pending) => return,
            Some(Poll::Ready(Ok(value))) => this.state.value = Some(value),
            Some(Poll::Ready(Err(error))) => this.state.body_error = Some(error),
            None => {}
        }
        this.state.panics.catch(|| this.body.set(None));
    }

    /// Gets in line for the bell; it may have been rung.
    fn poll_bell(self: Pin<&mut Self>) {
        let mut this = self.project();
        let (event, Some(children)) = (&this.state.group.bell, &this.state.children) else { return };
        let waker = children.wakers.waker(BELL);
        loop {
            if this.bell.is_none() {
                this.bell.set(Some(event.wait()));
            }
            let Some(bell) = this.bell.as_mut().as_pin_mut() else { return };
            if bell.poll(&mut Context::from_waker(&waker)).is_pending() {
                return;
            }
            event.clear();
            this.bell.set(None);
        }
    }

    /// One pass through those who were woken.
    fn pass(mut self: Pin<&mut Self>) {
        while let Some(number) = self.as_mut().project().state.children.as_mut().and_then(|c| c.ready.next()) {
            match number {
                BODY => self.as_mut().poll_body(),
                BELL => self.as_mut().poll_bell(),
                child => self.as_mut().project().state.poll_child(child),
            }
            let state = self.as_mut().project().state;
            state.admit();
            if state.phase == Phase::Running && state.must_stop() {
                return;
            }
        }
    }
}

impl<B, R, E, K> Future for GroupRun<'_, B, R, E, K>
where
    B: Future<Output = Result<R, E>>,
{
    type Output = Result<R, GroupError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.as_mut().begin(cx) {
            return Poll::Pending;
        }
        self.as_mut().pass();
        let this = self.project();
        let (mut body, state) = (this.body, this.state);
        loop {
            if state.phase == Phase::Running && state.has_failed() {
                state.abort(body.as_mut());
            }
            if let Some(outcome) = state.finish(body.is_none()) {
                return Poll::Ready(outcome);
            }
            if state.group.inbox.sleep(state.phase == Phase::Running) {
                break;
            }
            state.admit();
        }
        if let Some(children) = &mut state.children {
            children.ready.end(cx.waker());
        }
        Poll::Pending
    }
}

impl<B, R, E, K> FusedFuture for GroupRun<'_, B, R, E, K>
where
    B: Future<Output = Result<R, E>>,
{
    fn is_terminated(&self) -> bool {
        self.state.phase == Phase::Done
    }
}

impl<B, R, E, K> fmt::Debug for GroupRun<'_, B, R, E, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = self.state.children.as_ref().map_or(0, |children| children.live + children.waiting.len());
        f.debug_struct("GroupRun").field("phase", &self.state.phase).field("children", &live).finish_non_exhaustive()
    }
}
