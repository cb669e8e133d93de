//! The table of tasks: their slots, the queue, and what was polled so far.
// STATE       body of a task: Idle --T1 begin--> Polling --T2 pending--> Idle
//                             Polling --T3 cancelled meanwhile--> Polling (doomed)
//                             any --T4 retire: ready, doomed, cancelled, panicked--> Gone --T5 dequeued--> slot is free
//             the future of block_on stays Main until T4: it lives on the caller's stack
// INVARIANTS  I1 a Gone task keeps its slot until its number is off the stack and out of the queue (I3 of ready.rs).
//             I2 once closed, no task is added any more.
use alloc::{borrow::Cow, boxed::Box, collections::VecDeque, format, sync::Arc, vec::Vec};
use core::{future::Future, mem, panic::Location, pin::Pin, task::Waker, time::Duration};

mod deviate;

use super::{
    policy::{Picker, Recorder},
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
    /// None: it was refused.
    #[cfg(feature = "profile")]
    pub(super) task: Option<crate::probe::TaskId>,
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

impl Label {
    /// What reports call the task.
    fn name(&self, id: u64) -> Cow<'static, str> {
        self.name.clone().unwrap_or_else(|| format!("task-{id}").into())
    }
}

struct Entry {
    id: u64,
    label: Label,
    polls: u64,
    since: Duration,
    /// Queued for nothing.
    noise: bool,
    header: Arc<Header>,
    /// None while the task is polled.
    waker: Option<Waker>,
    body: Body,
}

/// A slot without a task, and the header of the last one if no waker of that is left: it need not be made again.
struct Free {
    slot: usize,
    header: Option<(Arc<Header>, Waker)>,
}

impl Free {
    fn of(entry: Entry) -> Self {
        let Entry { header, waker, .. } = entry;
        let slot = header.slot();
        Self { slot, header: waker.filter(|_| Header::renew(&header)).map(|waker| (header, waker)) }
    }
}

/// What [`Tasks::cancel`] found: a future to drop, one that is being polled, or none.
pub(super) enum Doom {
    Now(BoxFuture),
    Later,
    Never,
}

pub(super) struct Tasks {
    slots: Vec<Option<Entry>>,
    free: Vec<Free>,
    queue: VecDeque<usize>,
    /// Put aside: they are queued again when the queue is empty.
    held: Vec<usize>,
    /// Empty, but for its memory.
    pushed: Vec<usize>,
    picker: Picker,
    pub(super) recorder: Recorder,
    /// The slot polled last, until the line is looked at again.
    last: Option<usize>,
    /// A task was polled for a reason since the last one was woken for nothing: so that comes to an end, too.
    earned: bool,
    /// How many are gone, and still on the stack or in the queue.
    gone: usize,
    max_polls: u64,
    spawned: u64,
    pub(super) polls: u64,
    pub(super) hash: u64,
    pub(super) running: bool,
    closed: bool,
}

impl Tasks {
    pub(super) fn new(picker: Picker, max_polls: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            queue: VecDeque::new(),
            held: Vec::new(),
            pushed: Vec::new(),
            picker,
            recorder: Recorder::default(),
            last: None,
            earned: false,
            gone: 0,
            max_polls,
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
            let key = Key {
                slot: usize::MAX,
                id,
                #[cfg(feature = "profile")]
                task: None,
            };
            return (key, Some(body));
        }
        let Free { slot, header } = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Free { slot: self.slots.len() - 1, header: None }
        });
        let (header, waker) = header.unwrap_or_else(|| {
            let header = Arc::new(Header::new(slot, Arc::clone(ready)));
            (Arc::clone(&header), header.into())
        });
        #[cfg(feature = "profile")]
        let task = header.enlist();
        waker.wake_by_ref();
        let waker = Some(waker);
        self.slots[slot] = Some(Entry { id, label, polls: 0, since: now, noise: false, header, waker, body });
        self.picker.born(slot);
        let key = Key {
            slot,
            id,
            #[cfg(feature = "profile")]
            task: Some(task),
        };
        (key, None)
    }

    /// What probes call it.
    #[cfg(feature = "profile")]
    pub(super) fn task(&mut self, slot: usize) -> crate::probe::TaskId {
        self.entry(slot).header.task()
    }

    /// What reports call it.
    #[cfg(feature = "profile")]
    pub(super) fn label(&mut self, slot: usize) -> (Cow<'static, str>, &'static Location<'static>) {
        let Entry { id, label, .. } = self.entry(slot);
        (label.name(*id), label.location)
    }

    /// Takes the task to be polled next out of the queue.
    pub(super) fn next(&mut self, ready: &Ready) -> Option<usize> {
        loop {
            let deviates = self.picker.may_deviate(self.polls);
            // What was pushed comes after what is queued, so it can wait until it matters.
            if self.queue.is_empty() || deviates {
                self.drain(ready);
            }
            if deviates {
                self.deviate();
            }
            let slot = *self.queue.front()?;
            let gone = matches!(self.entry(slot).body, Body::Gone);
            assert!(gone || self.polls < self.max_polls, "the simulation still runs after {} polls", self.polls);
            self.queue.pop_front();
            if !gone {
                return Some(slot);
            }
            self.gone -= 1;
            self.release(slot); // T5
        }
    }

    /// Queues what was pushed; and what was put aside, if that is all.
    fn drain(&mut self, ready: &Ready) {
        let slots = &self.slots;
        ready.drain(&mut self.pushed, |slot| &slots[slot].as_ref().expect("I3 of ready.rs").header);
        if self.picker.ranks() {
            for &slot in self.pushed.iter().rev() {
                self.picker.came(slot, self.last == Some(slot));
            }
            self.last = None;
        }
        self.queue.extend(self.pushed.drain(..).rev());
        if self.queue.is_empty() {
            self.queue.extend(self.held.drain(..));
        }
    }

    /// T1: counts the poll that follows, with this waker; the future of a spawned task is handed out.
    pub(super) fn begin(&mut self, slot: usize, now: Duration) -> (Waker, Option<BoxFuture>) {
        let entry = self.entry(slot);
        entry.header.begin();
        entry.polls += 1;
        entry.since = now;
        let waker = entry.waker.take().expect("it is not being polled");
        let fut = match mem::replace(&mut entry.body, Body::Polling { doomed: false }) {
            Body::Idle(fut) => Some(fut),
            other => {
                entry.body = other;
                None
            }
        };
        let (id, noise) = (entry.id, mem::take(&mut entry.noise));
        self.earned |= !noise;
        self.last = Some(slot);
        self.polls += 1;
        self.hash = fold(self.hash, id);
        (waker, fut)
    }

    /// T2, unless the task is doomed: then the future is given back, to be dropped.
    pub(super) fn end(&mut self, slot: usize, fut: BoxFuture, waker: Waker) -> Option<BoxFuture> {
        let entry = self.entry(slot);
        entry.waker = Some(waker);
        if !matches!(entry.body, Body::Polling { doomed: false }) {
            return Some(fut);
        }
        entry.body = Body::Idle(fut);
        None
    }

    /// Ends a poll of the future of `block_on`.
    pub(super) fn end_main(&mut self, slot: usize, waker: Waker) {
        self.entry(slot).waker = Some(waker);
    }

    /// T4 for a task that was ready, and whose future is dropped.
    pub(super) fn finish(&mut self, slot: usize, waker: Waker) {
        self.entry(slot).waker = Some(waker);
        self.retire(slot);
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
        if entry.header.retire() {
            self.gone += 1;
        } else {
            self.release(slot);
        }
        body
    }

    fn release(&mut self, slot: usize) {
        self.free.extend(self.slots[slot].take().map(Free::of));
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
            name: label.name(*id),
            location: label.location,
            polls: *polls,
            since: *since,
        });
        blocked.collect()
    }
}

/// FNV-1a over the number of the task that is polled, 8 bytes, lowest first. The high ones are 0 in most numbers, so
/// their steps, which only multiply, are one.
fn fold(mut hash: u64, mut id: u64) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut rest = 8;
    while id != 0 {
        hash = (hash ^ (id & 0xff)).wrapping_mul(PRIME);
        id >>= 8;
        rest -= 1;
    }
    const POWERS: [u64; 9] = {
        let mut powers = [1_u64; 9];
        let mut i = 1;
        while i < 9 {
            powers[i] = powers[i - 1].wrapping_mul(PRIME);
            i += 1;
        }
        powers
    };
    hash.wrapping_mul(POWERS[rest])
}
