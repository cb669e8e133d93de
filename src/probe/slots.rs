//! Which probes are installed, and which task runs here.
#![allow(unsafe_code)]
// STATE       a slot: null --T1 install--> a probe --T2 remove--> null
//             ON: how many slots are taken; T3 counts up after T1, T4 counts down after T2
// INVARIANTS  I1 what is in a slot is null or was a `&'static &'static dyn Probe`.
// EDGES       E1 T1 (release) -> emit (acquire): what was written before a probe was installed is seen when it is told.
// INTERRUPT   emit: if the probes may.
use core::ptr;

use super::{Event, Probe, Subject, TaskId};
use crate::sys::fixed::{AtomicPtr, AtomicUsize, Ordering::*};

/// How many probes there may be at a time.
const SLOTS: usize = 4;

static PROBES: [AtomicPtr<&'static dyn Probe>; SLOTS] = [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS];
static ON: AtomicUsize = AtomicUsize::new(0);

/// Whether anybody is told anything.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    // ORDER: relaxed: a probe installed elsewhere may miss the first events
    ON.load(Relaxed) != 0
}

/// T1, T3. False: all slots are taken.
pub(super) fn install(probe: &'static &'static dyn Probe) -> bool {
    let probe = ptr::from_ref(probe).cast_mut();
    // ORDER: E1 release
    let free = |slot: &&AtomicPtr<_>| slot.compare_exchange(ptr::null_mut(), probe, Release, Relaxed).is_ok();
    let found = PROBES.iter().find(free).is_some();
    if found {
        // ORDER: relaxed: a count
        ON.fetch_add(1, Relaxed);
    }
    found
}

/// T2, T4. False: it is in no slot.
pub(super) fn remove(probe: &'static &'static dyn Probe) -> bool {
    let probe = ptr::from_ref(probe).cast_mut();
    // ORDER: relaxed: it lives on, whoever still tells it something
    let its = |slot: &&AtomicPtr<_>| slot.compare_exchange(probe, ptr::null_mut(), Relaxed, Relaxed).is_ok();
    let found = PROBES.iter().any(|slot| its(&slot));
    if found {
        // ORDER: relaxed: a count
        ON.fetch_sub(1, Relaxed);
    }
    found
}

/// Whether a child that is made here becomes a task.
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#[cold]
pub(super) fn wants_children() -> bool {
    let wanted = core::cell::Cell::new(false);
    each(|probe| wanted.set(wanted.get() || probe.wants_children()));
    wanted.get()
}

fn each(f: impl Fn(&'static dyn Probe)) {
    for slot in &PROBES {
        // ORDER: E1 acquire
        let probe = slot.load(Acquire);
        if !probe.is_null() {
            // SAFETY: I1.
            f(unsafe { *probe });
        }
    }
}

#[cold]
pub(super) fn emit(event: &Event) {
    each(|probe| probe.event(event));
}

#[cold]
pub(super) fn name(subject: Subject, name: &str) {
    each(|probe| probe.name(subject, name));
}

/// The task that runs on this thread.
#[cfg(feature = "std")]
mod current {
    use core::cell::Cell;

    use super::TaskId;

    std::thread_local! {
        static CURRENT: Cell<Option<TaskId>> = const { Cell::new(None) };
    }

    pub(crate) fn get() -> Option<TaskId> {
        CURRENT.try_with(Cell::get).ok().flatten()
    }

    pub(crate) fn replace(task: Option<TaskId>) -> Option<TaskId> {
        CURRENT.try_with(|current| current.replace(task)).ok().flatten()
    }
}
/// The task that runs on this core. An interrupt finds the one that it interrupted.
#[cfg(not(feature = "std"))]
mod current {
    use super::{AtomicUsize, Relaxed, TaskId};

    static CURRENT: AtomicUsize = AtomicUsize::new(0);

    pub(crate) fn get() -> Option<TaskId> {
        // ORDER: relaxed: one core writes it
        TaskId::from_number(CURRENT.load(Relaxed))
    }

    pub(crate) fn replace(task: Option<TaskId>) -> Option<TaskId> {
        // ORDER: relaxed: one core writes it
        TaskId::from_number(CURRENT.swap(task.map_or(0, TaskId::number), Relaxed))
    }
}
pub(crate) use current::{get as current, replace as replace_current};
