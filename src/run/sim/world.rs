//! What a simulation consists of, and how it takes one step.
// STATE       see table.rs (tasks), ready.rs (wake-ups), clock.rs (timers)
// INVARIANTS  I1 nothing is borrowed while foreign code runs: futures and wakers are moved out before they are polled,
//                woken or dropped.
// CANCEL      a future is dropped outside of every borrow, after its slot was given up; a doomed one before.
use alloc::{
    rc::Rc,
    sync::Arc,
    vec::{self, Vec},
};
use core::{
    cell::{Cell, Ref, RefCell, RefMut},
    future::Future,
    mem,
    task::{Context, Waker},
    time::Duration,
};

use super::{
    clock::Timers,
    policy::Picker,
    ready::Ready,
    stall::Stall,
    table::{Body, Doom, Key, Label, Tasks},
    task::Task,
};
use crate::sys::Panics;

pub(super) struct World {
    pub(super) ready: Arc<Ready>,
    pub(super) seed: u64,
    /// Whether there was ever a source outside: then the order may depend on it.
    pub(super) outside: Cell<bool>,
    tasks: RefCell<Tasks>,
    timers: RefCell<Timers>,
    #[cfg(feature = "profile")]
    pub(super) probed: super::probed::Probed,
}

impl World {
    pub(super) fn new(picker: Picker, seed: u64, max_polls: u64) -> Rc<Self> {
        let (tasks, timers) = (RefCell::new(Tasks::new(picker, max_polls)), RefCell::default());
        Rc::new(Self {
            ready: Arc::new(Ready::new()),
            seed,
            outside: Cell::new(false),
            tasks,
            timers,
            #[cfg(feature = "profile")]
            probed: Default::default(),
        })
    }

    pub(super) fn tasks(&self) -> Ref<'_, Tasks> {
        self.tasks.borrow()
    }

    pub(super) fn tasks_mut(&self) -> RefMut<'_, Tasks> {
        self.tasks.borrow_mut()
    }

    pub(super) fn timers(&self) -> Ref<'_, Timers> {
        self.timers.borrow()
    }

    pub(super) fn timers_mut(&self) -> RefMut<'_, Timers> {
        self.timers.borrow_mut()
    }

    pub(super) fn now(&self) -> Duration {
        self.timers().now()
    }

    pub(super) fn spawn<F>(self: &Rc<Self>, label: Label, fut: F) -> Task<F::Output>
    where
        F: Future + 'static,
    {
        Task::new(self, fut, |fut| self.add(label, Body::Idle(fut)))
    }

    fn add(&self, label: Label, body: Body) -> Key {
        let now = self.now();
        let (key, late) = self.tasks.borrow_mut().add(label, body, now, &self.ready);
        drop(late); // I1
        #[cfg(feature = "profile")]
        self.probed.spawned(key, || self.tasks.borrow_mut().label(key.slot));
        key
    }

    /// Cancels a task, or finds out why not; the caller drops the future (I1).
    pub(super) fn cancel(&self, key: Key) -> Doom {
        self.tasks.borrow_mut().cancel(key)
    }

    /// Takes the task to be polled next out of the queue.
    pub(super) fn next(&self) -> Option<usize> {
        self.tasks.borrow_mut().next(&self.ready)
    }

    /// Begins a poll of the future of `block_on`, with this waker.
    pub(super) fn begin_main(&self, slot: usize) -> Waker {
        let now = self.now();
        self.tasks.borrow_mut().begin(slot, now).0
    }

    /// Ends a poll of the future of `block_on`.
    pub(super) fn end_main(&self, slot: usize, waker: Waker) {
        self.tasks.borrow_mut().end_main(slot, waker);
    }

    /// Polls a spawned task once.
    pub(super) fn poll(&self, slot: usize) {
        let now = self.now();
        let (waker, Some(fut)) = self.tasks.borrow_mut().begin(slot, now) else { return };
        #[cfg(feature = "profile")]
        let polling = self.polling(slot);
        let retire = Retire { world: self, slot };
        let mut fut = fut; // dropped before `retire`, also when the poll panics
        if fut.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            tell!(completed(polling.task()));
            drop(fut); // I1
            self.tasks.borrow_mut().finish(slot, waker);
            mem::forget(retire);
            tell!(dropped(polling.task()));
            return;
        }
        let doomed = self.tasks.borrow_mut().end(slot, fut, waker);
        match doomed {
            None => mem::forget(retire),
            Some(fut) => drop(fut), // I1
        }
    }

    /// Tells probes of a poll until it is dropped.
    #[cfg(feature = "profile")]
    pub(super) fn polling(&self, slot: usize) -> crate::probe::Polling {
        let task = self.tasks.borrow_mut().task(slot);
        crate::probe::Polling::begin(task)
    }

    /// Nothing is queued: waits for the world outside, or lets time pass. Returns false when neither helps.
    pub(super) fn idle(&self) -> bool {
        if self.ready.has_external() {
            self.ready.sleep();
            return true;
        }
        if !self.ready.is_empty() {
            return true; // pushed by the last external source: E3 of ready.rs
        }
        !self.timers().is_held() && self.advance_to_next()
    }

    /// Moves the clock on to the next deadline, if there is one.
    pub(super) fn advance_to_next(&self) -> bool {
        let next = self.timers().next();
        next.is_some_and(|deadline| {
            self.advance_to(deadline);
            true
        })
    }

    /// Moves the clock on and wakes the sleepers that are due.
    pub(super) fn advance_to(&self, now: Duration) {
        let due = self.timers_mut().advance(now);
        tell!(clock(self.now()));
        for_each(due, Waker::wake); // I1
    }

    /// Reports the tasks that have not ended.
    pub(super) fn stall(&self) -> Stall {
        let (timers, blocked) = (self.timers(), self.tasks().blocked());
        Stall::new(
            timers.now(),
            timers.next(),
            blocked,
            #[cfg(all(feature = "profile", feature = "std"))]
            self.probed.graph(timers.now()),
        )
    }

    /// Marks the world as running until the guard is dropped.
    pub(super) fn enter(&self, verb: &str) -> Running<'_> {
        let was = mem::replace(&mut self.tasks.borrow_mut().running, true);
        assert!(!was, "Sim::{verb} called inside a task of the same Sim");
        tell!(clock(self.now()));
        Running {
            world: self,
            #[cfg(all(feature = "profile", feature = "std"))]
            _here: self.probed.enter(self.now()),
        }
    }

    /// Adds the future of `block_on` as a task, until the guard is dropped.
    pub(super) fn main(&self, label: Label) -> Retire<'_> {
        Retire { world: self, slot: self.add(label, Body::Main).slot }
    }

    /// Drops all tasks, in the order in which they were spawned, then the timers of futures elsewhere. A task that
    /// panics does not keep the others.
    pub(super) fn close(&self) {
        let left = self.tasks.borrow_mut().close();
        for_each(left, drop); // I1
        let unset = self.timers_mut().clear();
        for_each(unset, drop); // I1
    }
}

/// See [`World::enter`].
pub(super) struct Running<'a> {
    world: &'a World,
    #[cfg(all(feature = "profile", feature = "std"))]
    _here: crate::run::graph::Here,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.world.tasks.borrow_mut().running = false;
    }
}

/// Gives up the slot of a task when dropped.
pub(super) struct Retire<'a> {
    world: &'a World,
    pub(super) slot: usize,
}

impl Drop for Retire<'_> {
    fn drop(&mut self) {
        #[cfg(feature = "profile")]
        let task = self.world.tasks.borrow_mut().task(self.slot);
        let body = self.world.tasks.borrow_mut().retire(self.slot);
        drop(body); // I1
        tell!(dropped(task));
    }
}

/// Hands each item to foreign code; a panic there does not keep it from the others, and goes on afterwards.
fn for_each<T>(items: Vec<T>, f: fn(T)) {
    struct Rest<T>(vec::IntoIter<T>, fn(T));

    impl<T> Drop for Rest<T> {
        fn drop(&mut self) {
            // Empty, unless a panic could not be caught.
            self.0.by_ref().for_each(self.1);
        }
    }

    let mut rest = Rest(items.into_iter(), f);
    let mut panics = Panics::new();
    for item in rest.0.by_ref() {
        panics.catch(|| f(item));
    }
    panics.resume();
}
