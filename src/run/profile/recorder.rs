//! What happens, kept in one buffer a thread.
// STATE       RUNNING: 0, or the number of the recording; T1 start  0 -> n   T2 stop  n -> 0
// INVARIANTS  I1 a buffer belongs to one recording and one thread; its lock is taken by others only in `stop`.
// EDGES       E1 T1 (release) -> event (acquire): the recording's start and room are seen.
// INTERRUPT   not while primitives are used in signal handlers: buffers grow, and locks are taken.
use alloc::{borrow::ToOwned, string::String, sync::Arc, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    fmt, mem,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::Instant,
};

use super::model::Profile;
use crate::probe::{self, Event, Names, Probe, Subject};

/// An event, with the nanoseconds since the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamped {
    pub(super) at: u64,
    pub(super) event: Event,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Stamped>() == 56); // what `Recorder` says

/// How many events a buffer may take before it asks for more room.
const CHUNK: usize = 1024;

type Buffer = Mutex<Vec<Stamped>>;

/// What one recording has.
struct Shared {
    number: u64,
    start: Instant,
    /// In virtual time: the thread whose simulation it records.
    only: Option<ThreadId>,
    room: AtomicUsize,
    dropped: AtomicU64,
    buffers: Mutex<Vec<Arc<Buffer>>>,
    /// Names of before, and since.
    given: Names,
    names: Mutex<Vec<(Subject, String)>>,
}

/// The number of the recording, or 0.
static RUNNING: AtomicU64 = AtomicU64::new(0);
static SHARED: Mutex<Option<Arc<Shared>>> = Mutex::new(None);
static PROBE: &dyn Probe = &Recorder::PROBE;

/// This thread's part.
struct Local {
    shared: Arc<Shared>,
    buffer: Arc<Buffer>,
    room: Cell<usize>,
    virtual_now: Cell<u64>,
}

std::thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Settings of a recording.
///
/// There is one recording at a time. Each event is 56 bytes (on a 64-bit machine) in the buffer of its thread.
///
/// # Examples
/// ```
/// use core::time::Duration;
/// use testudo::{Event, run::{Sim, profile::Recorder}};
///
/// let sim = Sim::new();
/// let recording = Recorder::new().virtual_time().start().unwrap();
/// let clock = sim.clock();
/// sim.block_on(async move { clock.sleep(Duration::from_secs(5)).await }).unwrap();
/// let profile = recording.stop();
/// assert_eq!(profile.resources()[0].waited(), Duration::from_secs(5));
/// assert_eq!(profile.dropped(), 0);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a recorder does nothing until `start`"]
pub struct Recorder {
    capacity: usize,
    is_virtual: bool,
}

impl Recorder {
    const PROBE: Sink = Sink(());

    /// Returns the default settings: real time, at most 4 million events.
    ///
    /// # Examples
    /// ```
    /// assert!(format!("{:?}", testudo::run::profile::Recorder::new()).contains("4194304"));
    /// ```
    pub const fn new() -> Self {
        Self { capacity: 1 << 22, is_virtual: false }
    }

    /// Sets how many events are kept, over all threads; what comes later is counted.
    ///
    /// # Examples
    /// ```
    /// use testudo::{Mutex, run::profile::Recorder};
    ///
    /// let recording = Recorder::new().capacity(1).start().unwrap();
    /// drop(Mutex::new(()).try_lock()); // taken, released
    /// assert_eq!(recording.stop().dropped(), 1);
    /// ```
    pub const fn capacity(self, events: usize) -> Self {
        Self { capacity: events, ..self }
    }

    /// Has it record in the virtual time of the simulation on this thread, and this thread only.
    pub const fn virtual_time(self) -> Self {
        Self { is_virtual: true, ..self }
    }

    /// Starts to record; None while another recording runs, or if there are four probes already.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::profile::Recorder;
    ///
    /// let recording = Recorder::new().start().unwrap();
    /// assert!(Recorder::new().start().is_none());
    /// drop(recording);
    /// assert!(Recorder::new().start().is_some());
    /// ```
    pub fn start(self) -> Option<Recording> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let mut slot = lock(&SHARED);
        if slot.is_some() || !probe::install(&PROBE) {
            return None;
        }
        let shared = Arc::new(Shared {
            // ORDER: relaxed: a count
            number: NUMBERS.fetch_add(1, Relaxed),
            start: Instant::now(),
            only: self.is_virtual.then(|| thread::current().id()),
            room: AtomicUsize::new(self.capacity),
            dropped: AtomicU64::new(0),
            buffers: Mutex::default(),
            given: probe::given(),
            names: Mutex::default(),
        });
        *slot = Some(Arc::clone(&shared));
        // T1. ORDER: E1 release
        RUNNING.store(shared.number, Release);
        Some(Recording { shared, stopped: AtomicBool::new(false) })
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

/// A recording that runs; dropping it throws away what it has.
#[must_use = "dropping a recording throws it away"]
pub struct Recording {
    shared: Arc<Shared>,
    stopped: AtomicBool,
}

impl Recording {
    /// Ends it and returns what it has.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::profile::Recorder;
    ///
    /// let profile = Recorder::new().start().unwrap().stop();
    /// assert_eq!(profile.dropped(), 0);
    /// ```
    pub fn stop(self) -> Profile {
        let end = self.end();
        let shared = &self.shared;
        let buffers = mem::take(&mut *lock(&shared.buffers));
        let events: Vec<Vec<Stamped>> = buffers.iter().map(|buffer| mem::take(&mut *lock(buffer))).collect();
        // ORDER: relaxed: a count
        let dropped = shared.dropped.load(Relaxed);
        Profile::new(events, shared.given.clone(), &lock(&shared.names), end, dropped)
    }

    /// T2. Returns what time it is.
    fn end(&self) -> u64 {
        // ORDER: relaxed: asked again by this thread only
        if self.stopped.swap(true, Relaxed) {
            return 0;
        }
        let end = self.shared.start.elapsed();
        probe::remove(&PROBE);
        // ORDER: relaxed: who still finds it running finds the buffers
        RUNNING.store(0, Relaxed);
        *lock(&SHARED) = None;
        if self.shared.only.is_none() {
            return u64::try_from(end.as_nanos()).unwrap_or(u64::MAX);
        }
        let its = |local: &&Local| local.shared.number == self.shared.number;
        let now =
            LOCAL.try_with(|local| local.borrow().as_ref().filter(its).map_or(0, |local| local.virtual_now.get()));
        now.unwrap_or(0)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("virtual_time", &self.shared.only.is_some()).finish_non_exhaustive()
    }
}

impl Local {
    fn new(shared: Arc<Shared>) -> Self {
        let buffer = Arc::<Buffer>::default();
        if shared.only.is_none_or(|only| only == thread::current().id()) {
            lock(&shared.buffers).push(Arc::clone(&buffer));
        }
        Self { shared, buffer, room: Cell::new(0), virtual_now: Cell::new(0) }
    }

    fn push(&self, event: &Event) {
        let shared = &*self.shared;
        let at = match (shared.only, event) {
            (None, _) => u64::try_from(shared.start.elapsed().as_nanos()).unwrap_or(u64::MAX),
            (Some(only), _) if only != thread::current().id() => return,
            (Some(_), Event::Clock { now }) => {
                let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
                return self.virtual_now.set(now);
            }
            (Some(_), _) => self.virtual_now.get(),
        };
        if let Event::Clock { .. } = event {
            return;
        }
        if self.room.get() == 0 {
            // ORDER: relaxed: a count
            let _ = shared.room.fetch_update(Relaxed, Relaxed, |room| {
                self.room.set(room.min(CHUNK));
                Some(room - room.min(CHUNK))
            });
        }
        match self.room.get() {
            0 => {
                // ORDER: relaxed: a count
                shared.dropped.fetch_add(1, Relaxed);
            }
            room => {
                self.room.set(room - 1);
                lock(&self.buffer).push(Stamped { at, event: *event });
            }
        }
    }
}

/// The probe.
struct Sink(());

impl Probe for Sink {
    fn event(&self, event: &Event) {
        // ORDER: E1 acquire
        let number = RUNNING.load(Acquire);
        if number == 0 {
            return;
        }
        let _ = LOCAL.try_with(|local| {
            let Ok(mut local) = local.try_borrow_mut() else { return };
            if local.as_ref().is_none_or(|local| local.shared.number != number) {
                let Some(shared) = lock(&SHARED).clone() else { return };
                *local = Some(Local::new(shared));
            }
            if let Some(local) = &*local {
                local.push(event);
            }
        });
    }

    fn name(&self, subject: Subject, name: &str) {
        if let Some(shared) = &*lock(&SHARED) {
            lock(&shared.names).push((subject, name.to_owned()));
        }
    }
}
