//! What a shelter knows: which futures are in it, and who keeps them.
#![allow(unsafe_code)]
// STATE       roster: a list of the cores whose futures have not ended, oldest first, each with a number; one keeper has the role
//                 T1 insert      at the young end; the keeper is told
//                 T2 remove      by who ends it; whoever waits for an empty shelter is told behind the last one
//                 T3 keep        a keeper comes: all that is there is its (slot T1, T3), and what comes is told to it
//                 T4 leave       the keeper goes: all that it had is passed on (slot T5)
//                 T5 seat        the keeper takes in what came: it has a number in its ready set, and a waker of its own
//                 T6 recall      what was being polled when its turn came is to be polled again
// INVARIANTS  I1 the roster is touched only under the latch, by code of this crate that does not panic.
//             I2 a core is in the list from T1 to T2. So who holds the latch and finds one may use it, and hold it for longer.
//             I3 `kept` is set while a keeper has the role; while it is, its waker is here, or it is looking, or NUDGED is set.
//             I4 the futures of what is in the list outlive the home, or are 'static.
//             I5 a core has a seat from T5 to T2 or T4, and what sits there is in the list. With seats, all from the cursor on have
//                none, and all before it have one.
// EDGES       E1 latch let go (release) -> latch taken (acquire): one sees what the last one did.
// INTERRUPT   none: with `critical-section` the latch is held with interrupts masked, for O(1) steps.
use core::{
    fmt::{self, Debug},
    ptr::{self, NonNull},
    task::Waker,
};

#[cfg(feature = "alloc")]
use super::seats::{NONE, Row, Seats};
use super::slot::{Core, Links, Stage, clear, payload};
use crate::{
    sync::{Event, Mutex},
    sys::{
        Latch, Panics,
        atomic::{AtomicUsize, Ordering::*},
        cell::UnsafeCell,
        const_fn,
    },
    wait::wake_alone,
};

/// What is told of failures that nobody has seen.
pub(super) type Hook = fn(&dyn Debug);

/// Under the latch.
pub(super) struct Roster {
    oldest: *const Core,
    newest: *const Core,
    /// Where the keeper goes on.
    cursor: *const Core,
    /// Those of its ready set, once it has one.
    #[cfg(feature = "alloc")]
    seats: Option<alloc::boxed::Box<Seats>>,
    /// Places of an array that were given back; linked through `newer`.
    pub(super) spare: *const Core,
    /// How many places of an array have been used so far.
    pub(super) used: usize,
    /// The number of the next one.
    next: usize,
    /// A keeper has the role.
    kept: bool,
    /// There is something to do for it.
    nudged: bool,
    /// Wakes it.
    keeper: Option<Waker>,
    /// How often the list became empty.
    pub(super) emptied: usize,
    /// How many wait for that and do not have the role.
    pub(super) watchers: usize,
}

/// The part of a shelter that knows no types.
pub(crate) struct Home {
    latch: Latch,
    roster: UnsafeCell<Roster>,
    len: AtomicUsize,
    /// Who has it keeps.
    pub(super) role: Mutex<()>,
    /// Set for a moment when the list becomes empty.
    pub(super) idle: Event,
    hook: Option<Hook>,
    /// A keeper of many may allocate a ready set.
    #[cfg(feature = "alloc")]
    pub(super) allocates: bool,
}

// SAFETY: I1: the roster is reached under the latch alone. What is in the list is asked for by the types that own a home.
unsafe impl Send for Home {}
// SAFETY: I1: as above.
unsafe impl Sync for Home {}

impl Home {
    const_fn! {
        pub(super) const fn new(allocates: bool) -> Self {
            let _ = allocates;
            Self {
                latch: Latch::new(),
                roster: UnsafeCell::new(Roster {
                    oldest: ptr::null(),
                    newest: ptr::null(),
                    cursor: ptr::null(),
                    #[cfg(feature = "alloc")]
                    seats: None,
                    spare: ptr::null(),
                    used: 0,
                    next: 0,
                    kept: false,
                    nudged: false,
                    keeper: None,
                    emptied: 0,
                    watchers: 0,
                }),
                len: AtomicUsize::new(0),
                role: Mutex::new(()),
                idle: Event::new(),
                hook: None,
                #[cfg(feature = "alloc")]
                allocates,
            }
        }
    }

    pub(super) const fn set_hook(&mut self, hook: Hook) {
        self.hook = Some(hook);
    }

    /// Runs `f` under the latch.
    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Roster) -> R) -> R {
        // SAFETY: I1: the latch is held.
        self.latch.with(|| self.roster.with_mut(|roster| f(unsafe { &mut *roster })))
    }

    /// How many futures have not ended.
    pub(super) fn len(&self) -> usize {
        self.len.load(Acquire) // ORDER: E1 acquire
    }

    /// T1, as a part of a step under the latch. Returns whom to wake then.
    ///
    /// # Safety
    /// (a) `core` is in no list, and stays valid until it is removed; I4 for its future.
    #[inline]
    pub(super) unsafe fn link(&self, roster: &mut Roster, core: NonNull<Core>) -> Option<Waker> {
        let at: *const Core = core.as_ptr();
        // SAFETY: (a).
        let this = unsafe { core.as_ref() };
        let links = Links { older: roster.newest, newer: ptr::null(), number: roster.next };
        this.set_links(links);
        #[cfg(feature = "alloc")]
        {
            this.set_seat(NONE);
            if roster.seats.is_some() && roster.cursor.is_null() {
                roster.cursor = at; // I5
            }
        }
        if roster.newest.is_null() {
            roster.oldest = at;
        } else {
            // SAFETY: I2.
            let older = unsafe { &*roster.newest };
            older.set_links(Links { newer: at, ..older.links() });
        }
        roster.newest = at;
        roster.next = roster.next.wrapping_add(1);
        self.count(|len| len + 1);
        roster.nudge()
    }

    /// The latch is held.
    fn count(&self, f: impl FnOnce(usize) -> usize) {
        let len = self.len.load(Relaxed); // ORDER: relaxed: only who holds the latch writes
        self.len.store(f(len), Release); // ORDER: E1 release
    }

    /// T2. The caller tells whom it has to tell when it is done with the core.
    ///
    /// # Safety
    /// (a) `core` is in this list.
    #[inline]
    pub(super) unsafe fn remove(&self, core: NonNull<Core>) -> Left<'_> {
        let at: *const Core = core.as_ptr();
        self.with(|roster| {
            // SAFETY: (a).
            let links = unsafe { core.as_ref() }.links();
            match NonNull::new(links.older.cast_mut()) {
                None => roster.oldest = links.newer,
                Some(older) => {
                    // SAFETY: I2.
                    let older = unsafe { older.as_ref() };
                    older.set_links(Links { newer: links.newer, ..older.links() });
                }
            }
            match NonNull::new(links.newer.cast_mut()) {
                None => roster.newest = links.older,
                Some(newer) => {
                    // SAFETY: I2.
                    let newer = unsafe { newer.as_ref() };
                    newer.set_links(Links { older: links.older, ..newer.links() });
                }
            }
            if ptr::eq(roster.cursor, at) {
                roster.cursor = links.newer;
            }
            #[cfg(feature = "alloc")]
            // SAFETY: (a), I2.
            if let Some((seats, seat)) = unsafe { roster.seat_of(core) } {
                seats.release(seat);
            }
            self.count(|len| len - 1);
            if !roster.oldest.is_null() {
                return Left { idle: None, keeper: None };
            }
            roster.emptied = roster.emptied.wrapping_add(1);
            Left { idle: (roster.watchers > 0).then_some(&self.idle), keeper: roster.nudge() }
        })
    }

    /// T6, and tells the keeper that there is something to do.
    ///
    /// # Safety
    /// (a) `core` is this home's, and valid.
    pub(super) unsafe fn recall(&self, core: NonNull<Core>) {
        let waker = self.with(|roster| {
            #[cfg(feature = "alloc")]
            // SAFETY: (a).
            if let Some((seats, seat)) = unsafe { roster.seat_of(core) } {
                seats.recall(seat);
            }
            #[cfg(not(feature = "alloc"))]
            let _ = core;
            roster.nudge()
        });
        tell(waker);
    }

    /// The first core in the list for which `wanted` says so, under the latch.
    pub(super) fn find(&self, mut wanted: impl FnMut(&Core, usize) -> bool) -> Option<NonNull<Core>> {
        self.with(|roster| {
            let mut at = roster.oldest;
            while let Some(core) = NonNull::new(at.cast_mut()) {
                // SAFETY: I2.
                let this = unsafe { core.as_ref() };
                let links = this.links();
                if wanted(this, links.number) {
                    return Some(core);
                }
                at = links.newer;
            }
            None
        })
    }

    /// A place of an array is free again.
    pub(super) fn spare(&self, core: &Core) {
        self.with(|roster| {
            core.set_links(Links { newer: roster.spare, ..core.links() });
            roster.spare = core;
        });
    }

    /// Tells of a failure that nobody has seen.
    fn report(&self, failure: &dyn Debug) {
        if let Some(hook) = self.hook {
            hook(failure);
        }
    }
}

/// Whether a number was given before another; numbers wrap.
pub(super) fn is_older(number: usize, than: usize) -> bool {
    (number.wrapping_sub(than) as isize) < 0
}

/// Wakes a keeper that was taken out under the latch.
#[inline]
pub(super) fn tell(keeper: Option<Waker>) {
    if let Some(waker) = keeper {
        wake_alone(waker);
    }
}

/// Who has to be told that the list has become empty; dropping it tells them.
pub(super) struct Left<'h> {
    idle: Option<&'h Event>,
    keeper: Option<Waker>,
}

impl Drop for Left<'_> {
    #[inline]
    fn drop(&mut self) {
        let Some(idle) = self.idle else { return tell(self.keeper.take()) };
        let mut panics = Panics::new();
        panics.catch(|| idle.set()); // who finds it set too late clears it
        panics.catch(|| tell(self.keeper.take()));
        panics.resume();
    }
}

impl Roster {
    /// There is something to do for the keeper, if there is one. Returns whom to wake then.
    fn nudge(&mut self) -> Option<Waker> {
        self.nudged |= self.kept;
        self.keeper.take()
    }

    /// T3: the caller has the role.
    pub(super) fn keep(&mut self) {
        (self.kept, self.nudged) = (true, true);
    }

    /// The keeper begins a pass; it ends with what is there now.
    pub(super) fn begin(&mut self) -> usize {
        self.nudged = false;
        self.cursor = self.oldest;
        self.next
    }

    /// The keeper takes what comes next, if it is older than `end`.
    pub(super) fn step(&mut self, end: usize, take: impl Fn(&Core) -> bool) -> Option<NonNull<Core>> {
        while let Some(core) = NonNull::new(self.cursor.cast_mut()) {
            // SAFETY: I2: the cursor is moved on when its core is removed.
            let this = unsafe { core.as_ref() };
            let links = this.links();
            if !is_older(links.number, end) {
                break;
            }
            self.cursor = links.newer;
            if take(this) {
                return Some(core);
            }
        }
        None
    }

    /// The keeper goes to sleep, unless it was nudged. Returns the waker that is not needed.
    pub(super) fn sleep(&mut self, waker: Waker) -> Result<Option<Waker>, Waker> {
        if self.nudged { Err(waker) } else { Ok(self.keeper.replace(waker)) }
    }

    /// T4: the keeper goes.
    pub(super) fn leave(&mut self) -> Leaving {
        (self.kept, self.nudged) = (false, false);
        let keeper = self.keeper.take();
        #[cfg(not(feature = "alloc"))]
        return Leaving { _keeper: keeper };
        #[cfg(feature = "alloc")]
        Leaving { _keeper: keeper, _seats: self.seats.take() }
    }

    pub(super) fn number(&self) -> usize {
        self.next
    }
}

/// What the keeper leaves behind, to be dropped when the latch is let go.
pub(super) struct Leaving {
    _keeper: Option<Waker>,
    #[cfg(feature = "alloc")]
    _seats: Option<alloc::boxed::Box<Seats>>,
}

#[cfg(feature = "alloc")]
impl Roster {
    /// The keeper has a ready set from now on.
    pub(super) fn furnish(&mut self, seats: alloc::boxed::Box<Seats>) {
        self.seats = Some(seats);
        self.cursor = self.oldest;
    }

    /// T5, T6: the next one that is to be polled and is no part of the ready set, or not now; if it is older than `end`. Err: room
    /// for so many is needed first.
    pub(super) fn admit(&mut self, end: usize) -> Result<Option<u32>, usize> {
        self.nudged = false;
        let Some(seats) = &mut self.seats else { return Ok(None) };
        if let Some(seat) = seats.next_recalled() {
            return Ok(Some(seat));
        }
        let Some(core) = NonNull::new(self.cursor.cast_mut()) else { return Ok(None) };
        // SAFETY: I2, I5: the cursor is moved on when its core is removed.
        let this = unsafe { core.as_ref() };
        let links = this.links();
        if !is_older(links.number, end) {
            self.nudged = true; // in the next pass
            return Ok(None);
        }
        let seat = seats.take(core)?;
        this.set_seat(seat);
        self.cursor = links.newer;
        Ok(Some(seat))
    }

    /// The room that was asked for.
    pub(super) fn add_row(&mut self, row: Row) -> Option<Row> {
        Some(self.seats.as_mut()?.add(row))
    }

    /// Who sits there.
    pub(super) fn seated(&self, seat: u32) -> Option<NonNull<Core>> {
        self.seats.as_ref()?.core(seat)
    }

    /// Its seats, and that of a core, if it has one.
    ///
    /// # Safety
    /// (a) `core` is valid.
    unsafe fn seat_of(&mut self, core: NonNull<Core>) -> Option<(&mut Seats, u32)> {
        let seats = self.seats.as_deref_mut()?;
        // SAFETY: (a).
        let seat = unsafe { core.as_ref() }.seat();
        (seats.core(seat) == Some(core)).then_some((seats, seat)) // or it is that of another keeper's set
    }
}

#[cfg(feature = "alloc")]
impl Core {
    fn set_seat(&self, seat: u32) {
        // SAFETY: I1, the latch is held.
        self.seat.with_mut(|at| unsafe { *at = seat });
    }

    fn seat(&self) -> u32 {
        // SAFETY: I1, the latch is held.
        self.seat.with(|at| unsafe { *at })
    }
}

impl Core {
    /// The latch is held, or nobody else knows of it.
    pub(super) fn links(&self) -> Links {
        // SAFETY: I1.
        self.links.with(|links| unsafe { *links })
    }

    /// As above.
    pub(super) fn set_links(&self, new: Links) {
        // SAFETY: I1.
        self.links.with_mut(|links| unsafe { *links = new });
    }
}

/// How a panic is told of.
struct Panicked<'a>(&'a str);

impl Debug for Panicked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panicked({:?})", self.0)
    }
}

/// Clears a place and gives it back; tells of a failure that nobody has seen.
///
/// # Safety
/// (a) the caller has given up the last reference (slot I2), and `home` is the core's.
#[cold]
pub(super) unsafe fn bury(core: NonNull<Core>, home: Option<NonNull<Home>>) {
    /// Gives it back, also when the hook or a drop panics.
    struct Free(NonNull<Core>, Option<NonNull<Home>>);
    impl Drop for Free {
        fn drop(&mut self) {
            // SAFETY: (a) of `bury`.
            let free = unsafe { self.0.as_ref() }.table().free;
            // SAFETY: (a) of `bury`, and `Clear` was dropped before: it is empty.
            unsafe { free(self.0, self.1) };
        }
    }
    /// Drops what is in it.
    struct Clear(NonNull<Core>);
    impl Drop for Clear {
        fn drop(&mut self) {
            // SAFETY: (a) of `bury`.
            unsafe { clear(self.0, Stage::Empty) };
        }
    }
    let _free = Free(core, home);
    // A handle may be dropped by a thread that is unwinding: a second panic must not leave this then.
    let mut panics = Panics::new();
    let clear = Clear(core);
    // SAFETY: (a).
    panics.catch(|| unsafe { tell_failure(core, home) });
    panics.catch(|| drop(clear));
    panics.resume();
}

/// Tells of a failure that nobody has seen.
///
/// # Safety
/// (a) as `bury`.
unsafe fn tell_failure(core: NonNull<Core>, home: Option<NonNull<Home>>) {
    // SAFETY: (a).
    let this = unsafe { core.as_ref() };
    // SAFETY: (a): it lives at least as long as what is in it.
    let Some(home) = home.map(|home| unsafe { home.as_ref() }) else { return };
    match this.stage() {
        Stage::Output => {
            // SAFETY: (a), slot I1: the last one.
            if let Some(failure) = unsafe { (this.table().failure)(core) } {
                // SAFETY: (a): the output is in place until `bury` clears it.
                home.report(unsafe { failure.as_ref() });
            }
        }
        Stage::Payload => {
            this.set_stage(Stage::Panicked);
            // SAFETY: (a), slot I1, and the stage was Payload.
            let payload = unsafe { payload(core) };
            home.report(&Panicked(payload.text()));
        }
        _ => {}
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").field("len", &self.len()).finish_non_exhaustive()
    }
}
