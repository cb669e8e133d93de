//! The table of tasks: their slots, the queue, and what was polled so far.
// STATE       body of a task: Idle --T1 begin--> Polling --T2 pending--> Idle
//                             Polling --T3 cancelled meanwhile--> Polling (doomed)
//                             any --T4 retire: ready, doomed, cancelled, panicked--> Gone --T5 dequeued--> slot is free
//             the future of block_on stays Main until T4: it lives on the caller's stack
// INVARIANTS  I1 a Gone task keeps its slot until its number is off the stack and out of the queue (I3 of ready.rs).
//             I2 once closed, no task is added any more.
use alloc::{borrow::Cow, boxed::Box, collections::VecDeque, format, sync::Arc, vec::Vec};
use core::{future::Future, mem, panic::Location, pin::Pin, task::Waker, time::Duration};

use super::{
    policy::Picker,
    ready::{Header, Ready},
    stall::Blocked,
};

/// A task's future; its output goes the way of `task::Promise`.
pub(super) type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Which task: its slot, and the number that no other task of this world has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) slot: usize,
    id: u64,
}

/// Where a task's future is.
pub(super) enum Body {
    Idle(BoxFuture),
    Main,
    Polling { doomed: bool },
    Gone,
}

/// What reports say about a task.
pub(super) struct Label {
    pub(super) name: Option<Cow<'static, str>>,
    pub(super) location: &'static Location<'static>,
}

struct Entry {
    id: u64,
    label: Label,
    polls: u64,
    since: Duration,
    header: Arc<Header>,
    body: Body,
}

/// What [`Tasks::cancel`] found: a future to drop, one that is being polled, or none.
pub(super) enum Doom {
    Now(BoxFuture),
    Later,
    Never,
}

pub(super) struct Tasks {
    slots: Vec<Option<Entry>>,
    free: Vec<usize>,
    queue: VecDeque<usize>,
    /// Empty, but for its memory.
    pushed: Vec<usize>,
    picker: Picker,
    spawned: u64,
    pub(super) polls: u64,
    pub(super) hash: u64,
    pub(super) running: bool,
    closed: bool,
}

impl Tasks {
    pub(super) fn new(picker: Picker) -> Self {
        Self {
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
        }
    }

    fn entry(&mut self, slot: usize) -> &mut Entry {
        self.slots[slot].as_mut().expect("I1: a task in use has its slot")
    }

    fn left(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten().filter(|entry| !matches!(entry.body, Body::Gone))
    }

    /// Number of tasks that have not ended.
    pub(super) fn len(&self) -> usize {
        self.left().count()
    }

    /// Adds a task, which is queued; or gives the body back (I2).
    pub(super) fn add(&mut self, label: Label, body: Body, now: Duration, ready: &Arc<Ready>) -> (Key, Option<Body>) {
        self.spawned += 1;
        let id = self.spawned;
        if self.closed {
            return (Key { slot: usize::MAX, id }, Some(body));
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let header = Arc::new(Header::new(slot, Arc::clone(ready)));
        let waker = Waker::from(Arc::clone(&header));
        self.slots[slot] = Some(Entry { id, label, polls: 0, since: now, header, body });
        waker.wake();
        (Key { slot, id }, None)
    }

    /// Takes the task to be polled next out of the queue.
    pub(super) fn next(&mut self, ready: &Ready) -> Option<usize> {
        loop {
            let slots = &self.slots;
            ready.drain(&mut self.pushed, |slot| &slots[slot].as_ref().expect("I3 of ready.rs").header);
            self.queue.extend(self.pushed.drain(..).rev());
            let slot = self.picker.pick(&mut self.queue)?;
            if !matches!(self.entry(slot).body, Body::Gone) {
                return Some(slot);
            }
            self.release(slot);
        }
    }

    /// T1: counts the poll that follows, with this waker; the future of a spawned task is handed out.
    pub(super) fn begin(&mut self, slot: usize, now: Duration) -> (Waker, Option<BoxFuture>) {
        let entry = self.entry(slot);
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
        self.polls += 1;
        self.hash = fold(self.hash, id);
        (waker, fut)
    }

    /// T2, unless the task is doomed: then the future is given back, to be dropped.
    pub(super) fn end(&mut self, slot: usize, fut: BoxFuture) -> Option<BoxFuture> {
        let entry = self.entry(slot);
        if !matches!(entry.body, Body::Polling { doomed: false }) {
            return Some(fut);
        }
        entry.body = Body::Idle(fut);
        None
    }

    /// Ends a task that is not being polled (T4), or marks the one that is (T3).
    pub(super) fn cancel(&mut self, key: Key) -> Doom {
        let Some(Some(entry)) = self.slots.get_mut(key.slot) else { return Doom::Never };
        if entry.id != key.id {
            return Doom::Never;
        }
        match &mut entry.body {
            Body::Polling { doomed } => {
                *doomed = true;
                Doom::Later
            }
            Body::Idle(_) => match self.retire(key.slot) {
                Body::Idle(fut) => Doom::Now(fut),
                _ => Doom::Never,
            },
            Body::Main | Body::Gone => Doom::Never,
        }
    }

    /// T4. Takes the body out; the slot is free at once, or when it is dequeued (I1).
    pub(super) fn retire(&mut self, slot: usize) -> Body {
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

    /// Takes all futures out, in the order in which they were spawned (I2).
    pub(super) fn close(&mut self) -> Vec<BoxFuture> {
        self.closed = true;
        let mut left: Vec<_> = self.left().map(|entry| (entry.id, entry.header.slot())).collect();
        left.sort_unstable();
        let bodies = left.into_iter().map(|(_, slot)| self.retire(slot));
        bodies.filter_map(|body| if let Body::Idle(fut) = body { Some(fut) } else { None }).collect()
    }

    /// Lists the tasks that have not ended, in the order in which they were spawned.
    pub(super) fn blocked(&self) -> Vec<Blocked> {
        let mut left: Vec<_> = self.left().collect();
        left.sort_unstable_by_key(|entry| entry.id);
        let blocked = left.into_iter().map(|Entry { id, label, polls, since, .. }| Blocked {
            name: label.name.clone().unwrap_or_else(|| format!("task-{id}").into()),
            location: label.location,
            polls: *polls,
            since: *since,
        });
        blocked.collect()
    }
}

/// FNV-1a over the number of the task that is polled.
fn fold(hash: u64, id: u64) -> u64 {
    id.to_le_bytes().iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
