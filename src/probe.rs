//! What primitives, tasks and executors tell about themselves. Feature `profile`.
//!
//! A [`Probe`] is told every [`Event`]. With std there are two: `run::profile::Recorder` keeps what happens, `graph` what is
//! the case now. A [`Ring`] keeps the last N events without std and without allocation, for firmware to dump.
//!
//! Without the feature nothing of this exists and nothing is told: no code, no bytes. With it, and no probe installed, each
//! place that could tell something costs a load and a branch.
use core::{fmt, num::NonZeroUsize, panic::Location, ptr, time::Duration};

#[cfg(feature = "std")]
mod names;
mod ring;
mod slots;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod told;
mod waker;

#[cfg(feature = "std")]
pub(crate) use names::{Names, given};
pub use ring::Ring;
pub(crate) use slots::{current, is_on};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) use told::{Tag, Told, told};
pub(crate) use waker::WakerCache;

use crate::sys::fixed::{AtomicUsize, Ordering::*};

/// Is told what happens.
///
/// Probes run in the middle of what they are told about, on any thread and, if primitives are used there, in interrupts. No
/// flag of a list is held meanwhile. They must not panic, nor use the primitives of this crate, of which they would be told.
///
/// # Examples
/// ```
/// use std::sync::Mutex;
/// use testudo::probe::{self, Event, Probe};
///
/// struct Waits(Mutex<usize>);
///
/// impl Probe for Waits {
///     fn event(&self, event: &Event) {
///         if let Event::Blocked { .. } = event {
///             *self.0.lock().unwrap() += 1;
///         }
///     }
/// }
///
/// static WAITS: Waits = Waits(Mutex::new(0));
/// static PROBE: &dyn Probe = &WAITS;
///
/// assert!(probe::install(&PROBE));
/// let sim = testudo::run::Sim::new();
/// sim.spawn(async { testudo::Event::new().wait().await });
/// sim.run_until_stalled();
/// assert_eq!(*WAITS.0.lock().unwrap(), 1);
/// assert!(probe::remove(&PROBE));
/// ```
pub trait Probe: Sync {
    /// Something happened, now and on this thread.
    fn event(&self, event: &Event);

    /// Something was given a name. Not told again to probes that come later.
    fn name(&self, _subject: Subject, _name: &str) {}

    /// Says whether it wants to know of children that are made on this thread now; if no probe does, they are no tasks.
    fn wants_children(&self) -> bool {
        true
    }
}

/// Has a probe told what happens from now on; false if there are four already.
///
/// # Examples
/// ```
/// use testudo::probe::{self, Probe, Ring};
///
/// static RING: Ring<64> = Ring::new();
/// static PROBE: &dyn Probe = &RING;
///
/// assert!(probe::install(&PROBE));
/// drop(testudo::Mutex::new(()).try_lock());
/// assert_eq!(RING.len(), 2); // taken, released
/// # probe::remove(&PROBE);
/// ```
pub fn install(probe: &'static &'static dyn Probe) -> bool {
    slots::install(probe)
}

/// Has a probe told nothing any more; false if it was not installed. Other threads may be telling it something still.
///
/// # Examples
/// ```
/// use testudo::probe::{self, Probe, Ring};
///
/// static RING: Ring<64> = Ring::new();
/// static PROBE: &dyn Probe = &RING;
///
/// probe::install(&PROBE);
/// assert!(probe::remove(&PROBE) && !probe::remove(&PROBE));
/// ```
pub fn remove(probe: &'static &'static dyn Probe) -> bool {
    slots::remove(probe)
}

/// Which task: a number that no other has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(NonZeroUsize);

impl TaskId {
    /// The next one.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        // ORDER: relaxed: a count
        let number = NEXT.fetch_add(1, Relaxed);
        Self(NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MAX))
    }

    pub(crate) fn from_number(number: usize) -> Option<Self> {
        NonZeroUsize::new(number).map(Self)
    }

    /// Returns the number, counted from 1 over the whole program.
    pub fn number(self) -> usize {
        self.0.get()
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.0)
    }
}

/// What a task waits for or has: an address, and how it got there, such as `Mutex::lock`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    address: usize,
    verb: &'static str,
}

/// The verb of who waits for a task to end.
pub(crate) const JOIN: &str = "Task::join";

impl Resource {
    pub(crate) fn new(address: usize, verb: &'static str) -> Self {
        Self { address, verb }
    }

    /// Returns the address of its waiters, within the primitive.
    pub fn address(self) -> usize {
        self.address
    }

    /// Returns how it is waited for, or taken: `Mutex::lock`.
    pub fn verb(self) -> &'static str {
        self.verb
    }

    /// Returns what it is: the verb up to the colons.
    pub fn kind(self) -> &'static str {
        self.verb.split("::").next().unwrap_or(self.verb)
    }

    /// Whether who waits there waits for children, which have it.
    #[cfg(feature = "std")]
    pub(crate) fn is_children(self) -> bool {
        matches!(self.kind(), "TaskGroup" | "SpawnedGroup" | "Shelter")
    }

    /// Returns the task, if the wait is for a task to end.
    pub fn task(self) -> Option<TaskId> {
        TaskId::from_number(self.address).filter(|_| self.verb == JOIN)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:#x}", self.verb, self.address)
    }
}

/// Something that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A task.
    Task(TaskId),
    /// What lies at these addresses: a primitive.
    Span(Span),
}

/// Where a primitive lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: usize,
    len: usize,
    kind: &'static str,
}

impl Span {
    pub(crate) fn of<T: ?Sized>(waiters: &T, kind: &'static str) -> Self {
        Self { start: ptr::from_ref(waiters).addr(), len: size_of_val(waiters), kind }
    }

    /// Returns the first address of its waiters.
    pub fn start(self) -> usize {
        self.start
    }

    /// Returns how many bytes.
    pub fn len(self) -> usize {
        self.len
    }

    /// Says whether there is none: never.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Returns what it is: `Mutex`.
    pub fn kind(self) -> &'static str {
        self.kind
    }
}

/// What happened. `task` is the one that runs here, where it is not said otherwise; `wait` is unique while the wait lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A task was made.
    Spawned {
        /// The new one.
        task: TaskId,
        /// Who made it.
        parent: Option<TaskId>,
        /// Where.
        location: &'static Location<'static>,
    },
    /// A poll begins.
    PollBegin {
        /// Who is polled.
        task: TaskId,
        /// Within whose poll.
        within: Option<TaskId>,
    },
    /// A poll ends.
    PollEnd {
        /// Who was polled.
        task: TaskId,
    },
    /// A task was woken: it is to be polled.
    Woken {
        /// Who was woken.
        task: TaskId,
        /// By whom.
        by: Option<TaskId>,
    },
    /// A wait has begun in earnest: it is in line.
    Blocked {
        /// Who waits.
        task: Option<TaskId>,
        /// What for.
        on: Resource,
        /// Which wait.
        wait: usize,
    },
    /// A wait is over. Without a `Blocked` before: it did not have to wait.
    Resumed {
        /// Who goes on.
        task: Option<TaskId>,
        /// What it waited for.
        on: Resource,
        /// Which wait.
        wait: usize,
    },
    /// A wait was dropped half-way.
    Cancelled {
        /// Who dropped it.
        task: Option<TaskId>,
        /// What it waited for.
        on: Resource,
        /// Which wait.
        wait: usize,
    },
    /// A lock, a permit, a turn was taken.
    Acquired {
        /// Who has it now.
        task: Option<TaskId>,
        /// What.
        on: Resource,
        /// How many of it.
        n: usize,
    },
    /// It is about to be given back.
    Released {
        /// Who gives it back.
        task: Option<TaskId>,
        /// What.
        on: Resource,
        /// How many of it.
        n: usize,
    },
    /// Waiters were told: an event was set, a condition notified.
    Notified {
        /// Who told them.
        task: Option<TaskId>,
        /// On what.
        on: Resource,
        /// How many at most.
        n: usize,
    },
    /// A task has returned.
    Completed {
        /// Who.
        task: TaskId,
    },
    /// A task's future is gone, whether it had returned or not.
    Dropped {
        /// Who.
        task: TaskId,
    },
    /// A simulation's clock on this thread shows this.
    Clock {
        /// The virtual time.
        now: Duration,
    },
}

/// What can be named in reports: the primitives of this crate.
pub trait Named: sealed::Spanned {}

impl<P: sealed::Spanned + ?Sized> Named for P {}

pub(crate) mod sealed {
    /// Where its waiters are.
    pub trait Spanned {
        fn span(&self) -> super::Span;
    }
}

/// Gives a primitive a name, which the probes that are installed by now are told. With std it is kept for later ones too.
///
/// It is the address that has the name, for this kind of primitive and until another is given to it: do it where the primitive
/// stays.
///
/// # Examples
/// ```
/// use testudo::{Mutex, probe, run::Sim};
///
/// static STOCK: Mutex<u32> = Mutex::new(0);
///
/// probe::name(&STOCK, "stock");
/// let sim = Sim::new();
/// sim.spawn_named("buyer", async {
///     let _guard = STOCK.lock().await;
///     STOCK.lock().await; // has it already
/// });
/// let stall = sim.run_until_stalled().unwrap();
/// assert!(stall.to_string().contains("Mutex `stock`"));
/// ```
pub fn name<P: Named + ?Sized>(primitive: &P, name: &str) {
    let span = primitive.span();
    #[cfg(feature = "std")]
    names::give(span, name);
    if is_on() {
        slots::name(Subject::Span(span), name);
    }
}

/// What `tell!` calls.
macro_rules! tellers {
    ($($(#[$meta:meta])* $name:ident => $event:ident { $last:ident };)*) => { $(
        $(#[$meta])*
        #[cold]
        pub(crate) fn $name<T>(at: &T, verb: &'static str, $last: usize) {
            let on = Resource::new(ptr::from_ref(at).addr(), verb);
            slots::emit(&Event::$event { task: current(), on, $last });
        }
    )* };
}
tellers! {
    blocked => Blocked { wait };
    resumed => Resumed { wait };
    cancelled => Cancelled { wait };
    acquired => Acquired { n };
    released => Released { n };
    notified => Notified { n };
}

/// Who waits for a task to end; None: one that never was.
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
macro_rules! join_tellers {
    ($($name:ident => $event:ident;)*) => { $(
        #[cold]
        pub(crate) fn $name(task: Option<TaskId>, wait: usize) {
            let Some(task) = task else { return };
            slots::emit(&Event::$event { task: current(), on: Resource::new(task.number(), JOIN), wait });
        }
    )* };
}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
join_tellers! {
    join_blocked => Blocked;
    join_resumed => Resumed;
    join_cancelled => Cancelled;
}

pub(crate) fn spawned(task: TaskId, name: Option<&str>, location: &'static Location<'static>) {
    slots::emit(&Event::Spawned { task, parent: current(), location });
    if let Some(name) = name {
        slots::name(Subject::Task(task), name);
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) fn woken(task: TaskId) {
    slots::emit(&Event::Woken { task, by: current() });
}

pub(crate) fn completed(task: TaskId) {
    slots::emit(&Event::Completed { task });
}

pub(crate) fn dropped(task: TaskId) {
    slots::emit(&Event::Dropped { task });
}

#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
pub(crate) fn clock(now: Duration) {
    slots::emit(&Event::Clock { now });
}

#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
pub(crate) fn dropped_by_key(task: Option<TaskId>) {
    if let Some(task) = task {
        dropped(task);
    }
}

/// A poll: this task is the current one until it is dropped.
#[derive(Debug)]
pub(crate) struct Polling {
    task: TaskId,
    outer: Option<TaskId>,
}

impl Polling {
    pub(crate) fn begin(task: TaskId) -> Self {
        let outer = slots::replace_current(Some(task));
        if is_on() {
            slots::emit(&Event::PollBegin { task, within: outer });
        }
        Self { task, outer }
    }

    /// Who is polled.
    #[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
    pub(crate) fn task(&self) -> TaskId {
        self.task
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        if is_on() {
            slots::emit(&Event::PollEnd { task: self.task });
        }
        slots::replace_current(self.outer);
    }
}
