//! The await graph: which task waits for what, who has it, since when. Features `profile` and `std`.
//!
//! [`watch`] keeps it up to date for the whole program, on any executor; [`snapshot`] takes a copy, which a timer or another
//! thread can print when the program hangs. A [`Sim`](super::Sim) watches its own tasks, and its `Stall` prints the graph.
//!
//! Tasks are those of a `Sim`, futures that were [`profiled`](super::profile::ProfileExt::profiled), children of groups, and
//! futures in a [`Shelter`](crate::task::Shelter).
//!
//! # Examples
//! A program that says why it hangs, when it does:
//! ```
//! use std::{thread, time::Duration};
//! use testudo::{Mutex, graph, run::{block_on, profile::ProfileExt}};
//!
//! static STOCK: Mutex<u32> = Mutex::new(0);
//!
//! let _watch = graph::watch(); // from the beginning
//! let timer = thread::spawn(|| {
//!     while graph::snapshot().cycles().is_empty() {
//!         thread::sleep(Duration::from_millis(10));
//!     }
//!     graph::snapshot().to_string() // to stderr, say; a handler of signals would wake this thread
//! });
//! let clerk = async {
//!     let _guard = STOCK.lock().await;
//!     *STOCK.lock().await += 1; // has it already
//! };
//! thread::spawn(|| block_on(clerk.profiled("clerk")));
//! assert!(timer.join().unwrap().contains("cycle: clerk waits for Mutex #1, which clerk has"));
//! ```
// STATE       WATCHED: how many need the probe, and what is the case while somebody watches; HERE: the same for the
//             simulation that runs on this thread
use alloc::rc::Rc;
use core::{
    cell::RefCell,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

mod build;
mod live;
mod write;

pub use build::{Cycle, Graph, Link};
pub(crate) use live::Live;

use crate::probe::{self, Event, Probe, Subject};

struct Global {
    users: usize,
    watches: usize,
    live: Option<(Instant, Live)>,
}

static WATCHED: Mutex<Global> = Mutex::new(Global { users: 0, watches: 0, live: None });
/// Whether there is a `live`.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

std::thread_local! {
    static HERE: RefCell<Option<Rc<RefCell<Live>>>> = const { RefCell::new(None) };
}

struct Watcher;

static PROBE: &dyn Probe = &Watcher;

fn global() -> MutexGuard<'static, Global> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What this thread's simulation sees.
fn here<R>(f: impl FnOnce(&mut Live) -> R) -> Option<R> {
    let live = HERE.try_with(|here| here.try_borrow().ok()?.clone()).ok().flatten()?;
    Some(f(&mut live.borrow_mut()))
}

impl Watcher {
    fn tell(f: impl Fn(&mut Live)) {
        here(&f);
        // ORDER: relaxed: the lock says what there is
        if !IS_WATCHED.load(Relaxed) {
            return;
        }
        if let Some((start, live)) = &mut global().live {
            live.set_now(start.elapsed());
            f(live);
        }
    }
}

impl Probe for Watcher {
    fn event(&self, event: &Event) {
        match event {
            Event::PollEnd { .. } | Event::Woken { .. } => {}
            Event::Clock { .. } => drop(here(|live| live.apply(event))),
            _ => Self::tell(|live| live.apply(event)),
        }
    }

    fn name(&self, subject: Subject, name: &str) {
        Self::tell(|live| live.name(subject, name));
    }

    /// Simulations of other threads do not.
    fn wants_children(&self) -> bool {
        // ORDER: relaxed: the lock says what there is
        IS_WATCHED.load(Relaxed) || here(|_| ()).is_some()
    }
}

/// Counts one more user; the first installs the probe.
fn enter(mut global: MutexGuard<'static, Global>) {
    global.users += 1;
    if global.users == 1 {
        probe::install(&PROBE);
    }
}

fn leave(mut global: MutexGuard<'static, Global>) {
    global.users -= 1;
    if global.users == 0 {
        probe::remove(&PROBE);
    }
}

/// Keeps the await graph of the whole program up to date until it is dropped.
#[derive(Debug)]
#[must_use = "the graph is kept up to date only while this is alive"]
pub struct Watch(());

/// Begins to watch what waits for what; waits that began before are not seen.
///
/// Every event takes a lock of the whole program from now on: this is for finding a hang. Not while primitives are used in
/// signal handlers.
///
/// # Examples
/// ```
/// use testudo::{Event, graph, run::{block_on, profile::ProfileExt}};
///
/// static DONE: Event = Event::new();
///
/// let watch = graph::watch();
/// let waiter = std::thread::spawn(|| block_on(DONE.wait().profiled("waiter")));
/// while graph::snapshot().is_empty() {
///     std::thread::yield_now();
/// }
/// assert!(graph::snapshot().tasks().any(|task| task == "waiter"));
/// DONE.set();
/// waiter.join().unwrap();
/// drop(watch);
/// ```
pub fn watch() -> Watch {
    let mut global = global();
    global.watches += 1;
    global.live.get_or_insert_with(|| (Instant::now(), Live::default()));
    // ORDER: relaxed: the lock says what there is
    IS_WATCHED.store(true, Relaxed);
    enter(global);
    Watch(())
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut global = global();
        global.watches -= 1;
        let mut live = None;
        if global.watches == 0 {
            // ORDER: relaxed: as above
            IS_WATCHED.store(false, Relaxed);
            live = global.live.take();
        }
        leave(global);
        drop(live);
    }
}

/// Returns the await graph as it is now: that of the simulation that runs on this thread, else that of the program, which
/// is empty unless somebody [watches](watch).
///
/// # Examples
/// ```
/// assert_eq!(testudo::graph::snapshot().cycles().len(), 0);
/// ```
pub fn snapshot() -> Graph {
    if let Some(graph) = here(|live| Graph::of(live, &probe::given())) {
        return graph;
    }
    let live = match &global().live {
        Some((start, live)) => {
            let mut live = live.clone();
            live.set_now(start.elapsed());
            live
        }
        None => Live::default(),
    };
    Graph::of(&live, &probe::given())
}

/// Has the events of this thread applied to what a simulation knows, until it is dropped.
#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
pub(crate) struct Here {
    outer: Option<Rc<RefCell<Live>>>,
    _this_thread: core::marker::PhantomData<Rc<()>>,
}

#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
impl Here {
    pub(crate) fn enter(live: &Rc<RefCell<Live>>) -> Self {
        enter(global());
        let outer = HERE.with(|here| here.replace(Some(Rc::clone(live))));
        Self { outer, _this_thread: core::marker::PhantomData }
    }
}

#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
impl Drop for Here {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let live = HERE.with(|here| here.replace(outer));
        leave(global());
        drop(live);
    }
}

#[cfg(all(feature = "sim", target_has_atomic = "ptr"))]
impl core::fmt::Debug for Here {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Here").finish_non_exhaustive()
    }
}
