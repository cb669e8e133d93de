//! What a simulation consists of, and how it takes one step.
// STATE       body of a task: Idle --T1 begin--> Polling --T2 pending--> Idle
//                             Polling --T3 cancelled meanwhile--> Polling (doomed)
//                             any --T4 retire: ready, doomed, cancelled, panicked--> Gone --T5 dequeued--> slot is free
//             the future of block_on stays Main until T4: it lives on the caller's stack
// INVARIANTS  I1 nothing is borrowed while foreign code runs: futures and wakers are moved out before they are polled,
//                woken or dropped.
//             I2 a Gone task keeps its slot until its number is off the stack and out of the queue (I3 of ready.rs).
//             I3 once closed, nothing is spawned any more: a late future is dropped at once.
// CANCEL      the future is dropped outside of every borrow, when its slot has already been given up.
use alloc::{
    borrow::Cow,
    boxed::Box,
    collections::VecDeque,
    format,
    rc::Rc,
    sync::Arc,
    vec::{self, Vec},
};
use core::{
    cell::{Ref, RefCell, RefMut},
    future::Future,
    mem,
    panic::Location,
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use super::{
    clock::Timers,
    policy::Picker,
    ready::{Header, Ready},
    stall::{Blocked, Stall},
    task::Task,
};
use crate::sys::Panics;

/// A task's future; its output goes the way of `task::Promise`.
pub(super) type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Which task: its slot, and the number that no other task of this world has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) slot: usize,
    id: u64,
}

enum Body {
    Idle(BoxFuture),
    Main,
    Polling { doomed: bool },
    Gone,
}

struct Entry {
    id: u64,
    name: Option<Cow<'static, str>>,
    location: &'static Location<'static>,
    polls: u64,
    since: Duration,
    header: Arc<Header>,
    body: Body,
}

/// What [`World::cancel`] found: a future to drop, one that is being polled, or none.
pub(super) enum Doom {
    Now(BoxFuture),
    Later,
    Never,
}

pub(super) struct World {
    pub(super) ready: Arc<Ready>,
    tasks: RefCell<Tasks>,
    timers: RefCell<Timers>,
}

struct Tasks {
    slots: Vec<Option<Entry>>,
    free: Vec<usize>,
    queue: VecDeque<usize>,
    pushed: Vec<usize>,
    picker: Picker,
    spawned: u64,
    polls: u64,
    hash: u64,
    running: bool,
    closed: bool,
}

impl Tasks {
    fn entry(&mut self, slot: usize) -> &mut Entry {
        self.slots[slot].as_mut().expect("I2: a task in use has its slot")
    }

    /// T4. Takes the body out; the slot is free at once, or when it is dequeued (I2).
    fn retire(&mut self, slot: usize) -> Body {
        let entry = self.entry(slot);
        let body = mem::replace(&mut entry.body, Body::Gone);
        if !entry.header.retire() {
            self.release(slot);
        }
        body
    }

    /// T5.
    fn release(&mut self, slot: usize) {
        self.slots[slot] = None;
        self.free.push(slot);
    }
}

/// FNV-1a over the number of the task that is polled.
fn fold(hash: u64, id: u64) -> u64 {
    id.to_le_bytes().iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl World {
    pub(super) fn new(picker: Picker) -> Rc<Self> {
        let tasks = Tasks {
            slots: Vec::new(),
            free: Vec::new(),
            queue: VecDeque::new(),
            pushed: Vec::new(),
            picker,
            spawned: 0,
            polls: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            running: false,
            closed: false,
        };
        Rc::new(Self { ready: Arc::new(Ready::new()), tasks: RefCell::new(tasks), timers: RefCell::default() })
    }

    pub(super) fn timers(&self) -> Ref<'_, Timers> {
        self.timers.borrow()
    }

    pub(super) fn timers_mut(&self) -> RefMut<'_, Timers> {
        self.timers.borrow_mut()
    }

    /// Number of polls so far, and their hash.
    pub(super) fn history(&self) -> (u64, u64) {
        let tasks = self.tasks.borrow();
        (tasks.polls, tasks.hash)
    }

    /// Number of tasks that have not ended.
    pub(super) fn len(&self) -> usize {
        self.tasks.borrow().slots.iter().flatten().filter(|entry| !matches!(entry.body, Body::Gone)).count()
    }

    pub(super) fn spawn<F>(
        self: &Rc<Self>,
        name: Option<Cow<'static, str>>,
        location: &'static Location<'static>,
        fut: F,
    ) -> Task<F::Output>
    where
        F: Future + 'static,
    {
        Task::new(self, fut, |fut| self.add(name, location, Body::Idle(fut)))
    }

    /// Adds a task, which is queued.
    fn add(&self, name: Option<Cow<'static, str>>, location: &'static Location<'static>, body: Body) -> Key {
        let mut tasks = self.tasks.borrow_mut();
        tasks.spawned += 1;
        let id = tasks.spawned;
        if tasks.closed {
            drop(tasks); // I1: before `body`, which I3 drops
            return Key { slot: usize::MAX, id };
        }
        let slot = tasks.free.pop().unwrap_or_else(|| {
            tasks.slots.push(None);
            tasks.slots.len() - 1
        });
        let header = Arc::new(Header::new(slot, Arc::clone(&self.ready)));
        let waker = Waker::from(Arc::clone(&header));
        tasks.slots[slot] = Some(Entry { id, name, location, polls: 0, since: self.timers().now(), header, body });
        waker.wake();
        Key { slot, id }
    }

    /// Ends a task that is not being polled, or marks the one that is (T3).
    pub(super) fn cancel(&self, key: Key) -> Doom {
        let mut tasks = self.tasks.borrow_mut();
        let Some(Some(entry)) = tasks.slots.get_mut(key.slot) else { return Doom::Never };
        if entry.id != key.id {
            return Doom::Never;
        }
        match &mut entry.body {
            Body::Polling { doomed } => {
                *doomed = true;
                Doom::Later
            }
            Body::Idle(_) => match tasks.retire(key.slot) {
                Body::Idle(fut) => Doom::Now(fut),
                _ => Doom::Never,
            },
            Body::Main | Body::Gone => Doom::Never,
        }
    }
}

/// One step.
impl World {
    /// Takes the task to be polled next out of the queue.
    pub(super) fn next(&self) -> Option<usize> {
        let tasks = &mut *self.tasks.borrow_mut();
        loop {
            let slots = &tasks.slots;
            self.ready.drain(&mut tasks.pushed, |slot| &slots[slot].as_ref().expect("I3 of ready.rs").header);
            tasks.queue.extend(tasks.pushed.drain(..).rev());
            let slot = tasks.picker.pick(&mut tasks.queue)?;
            if !matches!(tasks.entry(slot).body, Body::Gone) {
                return Some(slot);
            }
            tasks.release(slot);
        }
    }

    /// T1: counts the poll that follows, with this waker; the future of a spawned task is handed out.
    pub(super) fn begin(&self, slot: usize) -> (Waker, Option<BoxFuture>) {
        let now = self.timers().now();
        let tasks = &mut *self.tasks.borrow_mut();
        let entry = tasks.entry(slot);
        entry.header.begin();
        entry.polls += 1;
        entry.since = now;
        let waker = Waker::from(Arc::clone(&entry.header));
        let fut = match mem::replace(&mut entry.body, Body::Polling { doomed: false }) {
            Body::Idle(fut) => Some(fut),
            other => {
                entry.body = other;
                None
            }
        };
        let id = entry.id;
        tasks.polls += 1;
        tasks.hash = fold(tasks.hash, id);
        (waker, fut)
    }

    /// Polls a spawned task once.
    pub(super) fn poll(&self, slot: usize) {
        let (waker, Some(fut)) = self.begin(slot) else { return };
        let retire = Retire { world: self, slot };
        let mut fut = fut; // dropped before `retire`, also when the poll panics
        if fut.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return;
        }
        let tasks = &mut *self.tasks.borrow_mut();
        let entry = tasks.entry(slot);
        if matches!(entry.body, Body::Polling { doomed: false }) {
            entry.body = Body::Idle(fut); // T2
            mem::forget(retire);
        }
    }

    /// Nothing is queued: waits for the world outside, or lets time pass. Returns false when neither helps.
    pub(super) fn idle(&self) -> bool {
        if self.ready.has_external() {
            self.ready.sleep();
            return true;
        }
        if !self.ready.is_empty() {
            return true; // pushed by the last external source, see E3 of ready.rs
        }
        let Some(deadline) = self.timers().next() else { return false };
        self.advance_to(deadline);
        true
    }

    /// Moves the clock on and wakes the sleepers that are due.
    pub(super) fn advance_to(&self, now: Duration) {
        let due = self.timers_mut().advance(now);
        for_each(due, Waker::wake);
    }

    /// Lists the tasks that have not ended, by number.
    pub(super) fn stall(&self) -> Stall {
        let tasks = self.tasks.borrow();
        let mut left: Vec<_> = tasks.slots.iter().flatten().filter(|entry| !matches!(entry.body, Body::Gone)).collect();
        left.sort_unstable_by_key(|entry| entry.id);
        let blocked = left.iter().map(|entry| Blocked {
            name: entry.name.clone().unwrap_or_else(|| format!("task-{}", entry.id).into()),
            location: entry.location,
            polls: entry.polls,
            since: entry.since,
        });
        Stall::new(self.timers().now(), blocked.collect())
    }
}

/// Beginning and end.
impl World {
    /// Marks the world as running until the guard is dropped.
    pub(super) fn enter(&self, verb: &str) -> Running<'_> {
        let was = mem::replace(&mut self.tasks.borrow_mut().running, true);
        assert!(!was, "Sim::{verb} called inside a task of the same Sim");
        Running { world: self }
    }

    /// Adds the future of `block_on` as a task, until the guard is dropped.
    pub(super) fn main(&self, location: &'static Location<'static>) -> Retire<'_> {
        let slot = self.add(Some("main".into()), location, Body::Main).slot;
        Retire { world: self, slot }
    }

    /// Drops all tasks, in the order in which they were spawned, then the timers of futures elsewhere; a task that panics
    /// does not keep the others (I3).
    pub(super) fn close(&self) {
        let mut left = Vec::new();
        {
            let tasks = &mut *self.tasks.borrow_mut();
            tasks.closed = true;
            for slot in 0..tasks.slots.len() {
                let Some(id) = tasks.slots[slot].as_ref().map(|entry| entry.id) else { continue };
                if let Body::Idle(fut) = tasks.retire(slot) {
                    left.push((id, fut));
                }
            }
        }
        left.sort_unstable_by_key(|(id, _)| *id);
        for_each(left, drop);
        let unset = self.timers_mut().clear();
        for_each(unset, drop);
    }
}

pub(super) struct Running<'a> {
    world: &'a World,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.world.tasks.borrow_mut().running = false;
    }
}

/// T4, when dropped.
pub(super) struct Retire<'a> {
    world: &'a World,
    pub(super) slot: usize,
}

impl Drop for Retire<'_> {
    fn drop(&mut self) {
        let body = self.world.tasks.borrow_mut().retire(self.slot);
        drop(body); // I1
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
