//! What the bodies of a scenario share: the objects, the clock's ticks, the records.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex as StdMutex},
};

use serde_json::{Value, json};
use testudo::{ArrayQueue, Barrier, BoundedSemaphore, Condition, Event, Mutex, Queue, Semaphore};

use crate::{
    body::Body,
    children::Asked,
    host::Host,
    scenario::{End, Kind, Op, Outcome, Scenario, Spec},
};

/// How an op of asyncio is said in testudo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// As one writes it in testudo: a wait brings its predicate, whoever tries may take what is only offered.
    Native,
    /// asyncio's own algorithms over testudo: `wait_for` is a loop around `wait`, whoever tries lets those in line go first.
    Literal,
}

pub enum Object {
    Event(Arc<Event>),
    Lock(Arc<Mutex<()>>),
    Cond(Arc<Condition<Vec<i64>>>),
    Sem(Arc<Semaphore>),
    Bounded(Arc<BoundedSemaphore>),
    Queue(Buffer),
    Barrier(Arc<Barrier>),
}

/// A queue of either sort; [`each_buffer`] is for all of them.
#[derive(Clone)]
pub enum Buffer {
    Heap(Arc<Queue<i64>>),
    One(Arc<ArrayQueue<i64, 1>>),
    Two(Arc<ArrayQueue<i64, 2>>),
    Three(Arc<ArrayQueue<i64, 3>>),
}

macro_rules! each_buffer {
    ($buffer:expr, $queue:ident => $do:expr) => {
        match $buffer {
            $crate::world::Buffer::Heap($queue) => $do,
            $crate::world::Buffer::One($queue) => $do,
            $crate::world::Buffer::Two($queue) => $do,
            $crate::world::Buffer::Three($queue) => $do,
        }
    };
}
pub(crate) use each_buffer;

impl Object {
    fn new(spec: &Spec, reading: Reading) -> Self {
        match *spec {
            Spec::Event => Self::Event(Arc::default()),
            Spec::Lock => Self::Lock(Arc::default()),
            Spec::Cond => Self::Cond(Arc::default()),
            Spec::Sem { value, bounded: false } => Self::Sem(Arc::new(Semaphore::new(value))),
            Spec::Sem { value, bounded: true } => Self::Bounded(Arc::new(BoundedSemaphore::new(value))),
            Spec::Queue { kind, maxsize } => Self::Queue(Buffer::new(kind, maxsize, reading)),
            Spec::Barrier { parties } => Self::Barrier(Arc::new(Barrier::new(parties))),
        }
    }
}

impl Buffer {
    fn new(kind: Kind, maxsize: usize, reading: Reading) -> Self {
        let most = if maxsize == 0 { usize::MAX } else { maxsize };
        match (kind, maxsize, reading) {
            (Kind::Fifo, 1, Reading::Literal) => Self::One(Arc::new(ArrayQueue::new())),
            (Kind::Fifo, 2, Reading::Literal) => Self::Two(Arc::new(ArrayQueue::new())),
            (Kind::Fifo, 3, Reading::Literal) => Self::Three(Arc::new(ArrayQueue::new())),
            (Kind::Fifo, 0, _) => Self::Heap(Arc::new(Queue::unbounded())),
            (Kind::Fifo, ..) => Self::Heap(Arc::new(Queue::bounded(most))),
            (Kind::Lifo, ..) => Self::Heap(Arc::new(Queue::lifo(most))),
            (Kind::Priority, ..) => Self::Heap(Arc::new(Queue::priority(most))),
        }
    }
}

/// Time, body and op of a wait that was served.
type Served = (u64, usize, usize);

/// What is known of a body from outside.
#[derive(Default)]
struct Known {
    /// The op that it is in.
    at: usize,
    begun: bool,
    end: Option<End>,
    /// Set when it has ended.
    ended: Arc<Event>,
    records: Vec<Value>,
}

pub struct World<H: Host> {
    pub scenario: Arc<Scenario>,
    pub reading: Reading,
    pub host: H,
    objects: BTreeMap<String, Object>,
    known: StdMutex<Vec<Known>>,
    /// Of each object, the waits that were served.
    served: StdMutex<BTreeMap<String, Vec<Served>>>,
    /// How many wait, by op and object: the literal reading asks.
    in_line: StdMutex<BTreeMap<(String, String), usize>>,
    /// How long the list of each condition is.
    lengths: StdMutex<BTreeMap<String, usize>>,
    handles: StdMutex<BTreeMap<usize, H::Handle>>,
}

impl<H: Host> World<H> {
    pub fn new(scenario: Arc<Scenario>, reading: Reading, host: H) -> Arc<Self> {
        let objects = scenario.objects.iter().map(|(name, spec)| (name.clone(), Object::new(spec, reading))).collect();
        let known = scenario.bodies.iter().map(|_| Known::default()).collect();
        Arc::new(Self {
            scenario,
            reading,
            host,
            objects,
            known: StdMutex::new(known),
            served: StdMutex::default(),
            in_line: StdMutex::default(),
            lengths: StdMutex::default(),
            handles: StdMutex::default(),
        })
    }

    pub fn object(&self, name: &str) -> &Object {
        &self.objects[name]
    }

    /// Counts who is in line for what an op asks for.
    pub fn in_line(&self, op: Op<'_>, change: isize) -> usize {
        let mut in_line = self.in_line.lock().unwrap();
        let count = in_line.entry((op.name().into(), op.text(1).into())).or_default();
        *count = count.checked_add_signed(change).expect("who leaves had come");
        *count
    }

    pub fn length(&self, cond: &str) -> usize {
        self.lengths.lock().unwrap().get(cond).copied().unwrap_or(0)
    }

    pub fn set_length(&self, cond: &str, length: usize) {
        self.lengths.lock().unwrap().insert(cond.into(), length);
    }

    // ---- time

    fn slot(&self, residue: u64, k: u64) -> u64 {
        let (now, period) = (self.host.now(), 2 * (self.scenario.bodies.len() as u64 + 1));
        let ahead = (residue + period - now % period) % period;
        now + if ahead == 0 { period } else { ahead } + (k - 1) * period
    }

    /// The k-th op tick of a body after now.
    pub fn op_slot(&self, index: usize, k: u64) -> u64 {
        self.slot(2 * (index as u64 + 1), k)
    }

    /// The k-th timer tick of a body after now.
    pub fn timer_slot(&self, index: usize, k: u64) -> u64 {
        self.slot(2 * (index as u64 + 1) + 1, k)
    }

    // ---- records

    pub fn is_at(&self, index: usize, at: usize) {
        let known = &mut self.known.lock().unwrap()[index];
        (known.at, known.begun) = (at, true);
    }

    pub fn record(&self, index: usize, at: usize, outcome: Outcome) {
        let row = outcome.after(json!([self.host.now(), at]));
        self.known.lock().unwrap()[index].records.push(row);
    }

    pub fn serve(&self, object: &str, id: usize, at: usize) {
        let row = (self.host.now(), id, at);
        self.served.lock().unwrap().entry(object.into()).or_default().push(row);
    }

    pub fn trace(&self) -> Value {
        let mut bodies = BTreeMap::new();
        for (script, known) in self.scenario.bodies.iter().zip(self.known.lock().unwrap().iter()) {
            let mut records = known.records.clone();
            if known.begun && known.end.is_none() {
                records.push(json!([null, known.at, "pending"]));
            }
            bodies.insert(script.id.to_string(), records);
        }
        let mut served = self.served.lock().unwrap().clone();
        let served: BTreeMap<_, Vec<_>> = served
            .iter_mut()
            .map(|(name, log)| {
                log.sort_unstable();
                (name, log.iter().map(|(_, id, at)| (id, at)).collect())
            })
            .collect();
        json!({"name": self.scenario.name, "bodies": bodies, "served": served, "end": self.host.now()})
    }

    // ---- bodies

    pub fn index(&self, id: usize) -> usize {
        self.scenario.bodies.iter().position(|script| script.id == id).expect("a body of that id")
    }

    pub fn is_started(&self, id: usize) -> bool {
        self.handles.lock().unwrap().contains_key(&id)
    }

    /// Starts a body, once.
    pub fn start(self: &Arc<Self>, id: usize, group: Option<&Asked<H>>) {
        if !self.is_started(id) {
            let handle = H::start(&self.host, Body::new(self, self.index(id), group.cloned()));
            self.handles.lock().unwrap().insert(id, handle);
        }
    }

    pub fn cancel(&self, id: usize) -> bool {
        if !self.is_started(id) || self.end_of(id).is_some() {
            return false;
        }
        let handle = self.handles.lock().unwrap().get(&id).cloned();
        handle.is_some_and(|handle| H::cancel(&handle))
    }

    pub fn end(&self, index: usize, end: End) {
        let mut known = self.known.lock().unwrap();
        known[index].end = Some(end);
        let ended = known[index].ended.clone();
        drop(known);
        ended.set();
    }

    /// How a body has ended.
    pub fn end_of(&self, id: usize) -> Option<End> {
        self.known.lock().unwrap()[self.index(id)].end.clone()
    }

    /// What is set when a body has ended.
    pub fn ended(&self, id: usize) -> Arc<Event> {
        self.known.lock().unwrap()[self.index(id)].ended.clone()
    }
}
