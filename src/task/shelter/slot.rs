//! A place for a future and then its result, and the right to poll the one or read the other.
//!
//! The place is the same wherever it lies: in a heap block of its own ([`Shelter`](super::Shelter), `shield`) or in an array
//! ([`ShelterArray`](super::ShelterArray)). Whoever reaches it through a [`Core`] knows nothing of the future's type.
#![allow(unsafe_code)]
// STATE       word: one of eight states (state.rs), and the handles that wait
//                 T1 claim       Free, Driven -> Busy; Free, Driven, Kept -> BusyKept; Done, Told -> Read
//                 T2 let go      Busy -> Driven; BusyKept -> Kept, by the claim's owner whose poll was pending
//                 T3 ask         Busy -> BusyKept: a keeper came while a handle polls
//                 T4 end         any claimed -> Done, or Read if it reads the result itself, by the claim's owner
//                 T5 pass on     Driven -> Free; Told -> Done: who drove, or was told, is gone. Kept -> Free, BusyKept -> Busy:
//                                the keeper is gone. Read -> Done: it was read
//                 T6 tell        Free -> Driven, Done -> Told: the first in line is taken out and woken
//                 T7 abort       Free, Driven, Kept -> Read, claimed; Busy, BusyKept -> Read: the poller ends it
//             Free --T1--> Busy --T2--> Driven --T1--> Busy --T4--> Done --T6--> Told --T1--> Read --T5--> Done
// INVARIANTS  I1 the claim (Busy, BusyKept, Read) has one owner: only that one touches the stage and what is in the place.
//             I2 refs counts the handles, one more until it has ended, and keepers that look: who takes the last one clears the
//                place and frees it. A handle makes handles only, so one that is alone stays alone.
//             I3 while Free or Done and the flag is not held, nobody is in line: somebody was told (T6).
//             I4 a future is in the place from the beginning until its end, at one address, and is dropped there.
//             I5 a core is the first field of its slot, and its pointer reaches the whole slot; the table is that slot's.
// EDGES       E1 T2, T5 (release) -> T1 (acquire): one poller sees what the last one did.
//             E2 T4 (release) -> T1 to Read (acquire): the result is seen.
//             E3 a reference given up (release) -> the last one given up (acquire): all were done with the place.
// CANCEL      a handle that waits: place in line. One that drove, or was told: T5, so that the next one does.
// INTERRUPT   none of it: tasks only. Wakers of sheltered futures are the drivers' own, and work in interrupts if those do.
use core::{
    fmt::Debug,
    future::Future,
    mem::ManuallyDrop,
    pin::Pin,
    ptr::{self, NonNull},
    task::{Context, Poll},
};

use super::state::State;
use crate::{
    sys::{
        Payload,
        atomic::{AtomicPtr, AtomicUsize, Ordering::*},
        cell::UnsafeCell,
        const_fn,
    },
    wait::{Held, Step, Token, WaitList},
};

/// What is in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing: the result was taken, or there never was anything.
    Empty,
    /// The future.
    Future,
    /// Its output, which nobody has seen.
    Output,
    /// Its output, of which somebody got a clone.
    Seen,
    /// Nothing: it was aborted, or its executor has dropped it.
    Aborted,
    /// Nothing: it panicked.
    Panicked,
    /// What it panicked with, for the first handle.
    Payload,
}

/// What there is to know of the future's type.
pub(super) struct Table {
    /// Polls the future. True: it is dropped, and its output is where the pointer says, or in the place if that is null.
    pub(super) poll: unsafe fn(NonNull<Core>, &mut Context<'_>, *mut ()) -> bool,
    /// Drops the future.
    pub(super) drop_future: unsafe fn(NonNull<Core>),
    /// Drops the output.
    pub(super) drop_output: unsafe fn(NonNull<Core>),
    /// Where the output lies.
    pub(super) output: unsafe fn(NonNull<Core>) -> *mut (),
    /// The output, if it is a failure.
    pub(super) failure: unsafe fn(NonNull<Core>) -> Option<NonNull<dyn Debug>>,
    /// Gives the place back, in which nothing is.
    pub(super) free: unsafe fn(NonNull<Core>, Option<NonNull<super::home::Home>>),
}

/// The neighbours in a [`Home`](super::home::Home)'s list: its latch's holder's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    pub(super) older: *const Core,
    pub(super) newer: *const Core,
    /// Younger ones have higher numbers.
    pub(super) number: usize,
}

/// A place, without the future's type.
#[repr(C)]
pub(super) struct Core {
    pub(super) list: WaitList,
    refs: AtomicUsize,
    /// The handle whose task the future wakes: its address, which is all that is used of it.
    driver: AtomicPtr<()>,
    /// How to clone the output: a `fn(&T) -> T`; null while there was never a second handle.
    duplicate: AtomicPtr<()>,
    pub(super) links: UnsafeCell<Links>,
    table: &'static Table,
    stage: UnsafeCell<Stage>,
    /// The home's latch's holder's: its number in the keeper's ready set.
    #[cfg(feature = "alloc")]
    pub(super) seat: UnsafeCell<u32>,
}

impl Core {
    const_fn! {
        pub(super) const fn new(table: &'static Table, refs: usize, state: State) -> Self {
            Self {
                list: WaitList::new(state.bits()),
                refs: AtomicUsize::new(refs),
                driver: AtomicPtr::new(ptr::null_mut()),
                duplicate: AtomicPtr::new(ptr::null_mut()),
                links: UnsafeCell::new(Links { older: ptr::null(), newer: ptr::null(), number: 0 }),
                table,
                stage: UnsafeCell::new(Stage::Empty),
                #[cfg(feature = "alloc")]
                seat: UnsafeCell::new(super::seats::NONE),
            }
        }
    }

    pub(super) fn table(&self) -> &'static Table {
        self.table
    }

    /// What is in the place.
    pub(super) fn stage(&self) -> Stage {
        // SAFETY: I1: the caller has the claim, or is the last.
        self.stage.with(|stage| unsafe { *stage })
    }

    /// Says what is in the place.
    pub(super) fn set_stage(&self, stage: Stage) {
        // SAFETY: I1: as in `stage`.
        self.stage.with_mut(|at| unsafe { *at = stage });
    }

    /// The state now.
    pub(super) fn state(&self) -> State {
        State::of(self.list.load().bits()) // ORDER: E2 acquire
    }

    /// Changes the state, where `next` says to what. Returns what it was.
    pub(super) fn go(&self, next: impl Fn(State) -> Option<State>) -> State {
        let mut word = self.list.guess();
        loop {
            let state = State::of(word.bits());
            let Some(next) = next(state) else { return state };
            match self.list.try_change(word, next.put(word.bits())) {
                Ok(()) => return state, // ORDER: E1, E2 release and acquire
                Err(now) => word = now,
            }
        }
    }

    /// T2, T4, T5: changes the state to one in which somebody has to be told, and tells the first in line (T6).
    pub(super) fn go_and_tell(&self, next: impl Fn(State) -> Option<State>) -> State {
        let mut word = self.list.guess();
        loop {
            let state = State::of(word.bits());
            let Some(next) = next(state) else { return state };
            let bits = next.put(word.bits());
            // Nobody is there, or who holds the flag looks at the word again: I3.
            if word.is_empty() || word.is_held() {
                match self.list.try_change(word, bits) {
                    Ok(()) => return state,
                    Err(now) => word = now,
                }
            } else {
                match self.list.try_hold(word, bits) {
                    Ok(held) => {
                        self.settle(held);
                        return state;
                    }
                    Err(now) => word = now,
                }
            }
        }
    }

    /// T6 if it is owed, and lets go of the flag.
    pub(super) fn settle(&self, held: Held<'_>) {
        self.list.settle(held, None, |held, batch| {
            let bits = held.bits();
            let told = match State::of(bits) {
                State::Free => State::Driven,
                State::Done => State::Told,
                _ => return Step::LetGo(bits),
            };
            if held.head().is_none() {
                return Step::LetGo(bits);
            }
            if batch.is_full() {
                return Step::Pass(bits);
            }
            if !held.change(told.put(bits)) {
                return Step::Again;
            }
            // The flag is held since: whoever was in line is there still.
            batch.extend(held.head().and_then(|head| head.hand_over(Some(Token::One))));
            Step::LetGo(held.bits())
        });
    }

    /// Another reference, for somebody who has one or holds the latch of the list that this is in.
    pub(super) fn hold(&self) {
        self.refs.fetch_add(1, Relaxed); // ORDER: relaxed: one that is there already keeps the place
    }

    /// Whether nobody but the caller's handle has a reference, and the future is in no list.
    pub(super) fn is_sole(&self, refs: usize) -> bool {
        self.refs.load(Acquire) == refs // ORDER: E3 acquire
    }

    /// One reference less. True: it was the last one.
    #[must_use]
    pub(super) fn let_go(&self) -> bool {
        // ORDER: E3 release and acquire
        self.refs.fetch_sub(1, AcqRel) == 1
    }

    pub(super) fn set_duplicate(&self, duplicate: *mut ()) {
        self.duplicate.store(duplicate, Relaxed); // ORDER: relaxed: whoever takes has made the other handles, or was made so
    }

    pub(super) fn duplicate(&self) -> *mut () {
        self.duplicate.load(Relaxed) // ORDER: relaxed: as above
    }

    /// The future will wake the task of the handle at `address`, which the caller polls; null: a keeper's.
    pub(super) fn set_driver(&self, address: *mut ()) {
        self.driver.store(address, Relaxed); // ORDER: relaxed: only a handle that finds itself uses it
    }

    pub(super) fn is_driver(&self, address: *mut ()) -> bool {
        self.driver.load(Relaxed) == address // ORDER: relaxed: its own store or a later one is seen, by coherence
    }

    /// Makes a place that was given back ready for another future.
    pub(super) fn renew(&self, refs: usize) {
        let mut word = self.list.guess();
        while let Err(now) = self.list.try_change(word, State::Free.put(word.bits())) {
            word = now;
        }
        self.refs.store(refs, Relaxed); // ORDER: relaxed: nobody else knows of the place yet
        self.driver.store(ptr::null_mut(), Relaxed); // ORDER: relaxed: as above
        self.duplicate.store(ptr::null_mut(), Relaxed); // ORDER: relaxed: as above
    }
}

/// What a place holds, one at a time: reached by pointers to the one it is, since all begin where it begins.
#[repr(C)]
union Content<F: Future> {
    empty: (),
    future: ManuallyDrop<F>,
    _output: ManuallyDrop<F::Output>,
    _payload: ManuallyDrop<Payload>,
}

/// A place for an `F`.
#[repr(C)]
pub(super) struct Slot<F: Future> {
    core: Core,
    content: UnsafeCell<Content<F>>,
}

/// Where the slots of a kind lie, and how one looks at their outputs.
pub(super) trait Kind<F: Future> {
    /// The failure in an output.
    fn failure(output: &F::Output) -> Option<&dyn Debug>;

    /// Gives a place back in which nothing is.
    ///
    /// # Safety
    /// (a) `core` is that of a `Slot<F>` of this kind, of which nobody knows any more, and `home` is its home.
    unsafe fn free(core: NonNull<Core>, home: Option<NonNull<super::home::Home>>);
}

/// The table of a kind.
struct TableOf<F, K>(core::marker::PhantomData<(F, K)>);

impl<F: Future, K: Kind<F>> TableOf<F, K> {
    const TABLE: &'static Table = &Table {
        poll: Self::poll,
        drop_future: Self::drop_future,
        drop_output: Self::drop_output,
        output: Self::output,
        failure: Self::failure,
        free: K::free,
    };

    fn content<R>(core: NonNull<Core>, f: impl FnOnce(*mut Content<F>) -> R) -> R {
        // SAFETY: I5: all of the functions of a table are called with a core that has it.
        let slot = unsafe { core.cast::<Slot<F>>().as_ref() };
        slot.content.with_mut(f)
    }

    /// # Safety
    /// (a) the caller has the claim, and the stage is Future. `to` is null, or may be written an output to.
    unsafe fn poll(core: NonNull<Core>, cx: &mut Context<'_>, to: *mut ()) -> bool {
        Self::content(core, |content| {
            // SAFETY: (a), I1: the future is there, and only this touches it.
            let future = unsafe { &mut *content.cast::<F>() };
            // SAFETY: I4.
            let future = unsafe { Pin::new_unchecked(future) };
            let Poll::Ready(output) = future.poll(cx) else { return false };
            let output = ManuallyDrop::new(output);
            // SAFETY: I5.
            unsafe { core.as_ref() }.set_stage(Stage::Panicked); // if the drop panics
            let output = Kept(output);
            // SAFETY: (a), I4: it is dropped in place, once: the stage is no longer Future.
            unsafe { content.cast::<F>().drop_in_place() };
            let output = output.take();
            if to.is_null() {
                // SAFETY: I1: the place is empty.
                unsafe { content.cast::<F::Output>().write(output) };
                // SAFETY: I5.
                unsafe { core.as_ref() }.set_stage(Stage::Output);
            } else {
                // SAFETY: (a).
                unsafe { to.cast::<F::Output>().write(output) };
                // SAFETY: I5.
                unsafe { core.as_ref() }.set_stage(Stage::Empty);
            }
            true
        })
    }

    /// # Safety
    /// (a) the caller has the claim or is the last, and has found the stage to be Future, which it no longer is.
    unsafe fn drop_future(core: NonNull<Core>) {
        // SAFETY: (a), I1, I4.
        Self::content(core, |content| unsafe { content.cast::<F>().drop_in_place() });
    }

    /// # Safety
    /// (a) as `drop_future`, for the stages Output and Seen.
    unsafe fn drop_output(core: NonNull<Core>) {
        // SAFETY: (a), I1.
        Self::content(core, |content| unsafe { content.cast::<F::Output>().drop_in_place() });
    }

    /// # Safety
    /// (a) the caller has the claim or is the last, for as long as it uses the pointer.
    unsafe fn output(core: NonNull<Core>) -> *mut () {
        Self::content(core, <*mut Content<F>>::cast)
    }

    /// # Safety
    /// (a) the caller is the last, the stage is Output, and the pointer is used while it is.
    unsafe fn failure(core: NonNull<Core>) -> Option<NonNull<dyn Debug>> {
        Self::content(core, |content| {
            // SAFETY: (a), I1.
            let output = unsafe { &*content.cast::<F::Output>() };
            // The lifetime of what an output borrows is forgotten: the pointer is used while it lives, (a).
            K::failure(output).map(|failure| {
                let failure: *const (dyn Debug + '_) = failure;
                // SAFETY: the same fat pointer with another lifetime bound.
                unsafe { core::mem::transmute::<*const (dyn Debug + '_), NonNull<dyn Debug>>(failure) }
            })
        })
    }
}

/// An output that is dropped if the drop of its future panics.
struct Kept<T>(ManuallyDrop<T>);

impl<T> Kept<T> {
    fn take(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: I1: taken once, and `this` is not dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        // SAFETY: I1: `take` forgets it.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

impl<F: Future> Slot<F> {
    const_fn! {
        /// An empty place.
        pub(super) const fn empty(table: &'static Table) -> Self {
            Self { core: Core::new(table, 0, State::Free), content: UnsafeCell::new(Content { empty: () }) }
        }
    }

    /// A place with a future in it, of which nobody knows yet.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(super) fn with(future: F, table: &'static Table, refs: usize, state: State) -> Self {
        let core = Core::new(table, refs, state);
        core.set_stage(Stage::Future);
        Self { core, content: UnsafeCell::new(Content { future: ManuallyDrop::new(future) }) }
    }

    /// Puts a future in a place that is empty and that nobody else knows of.
    pub(super) fn fill(&self, future: F) {
        // SAFETY: I1: nobody knows of the place, so this has the claim.
        self.content.with_mut(|content| unsafe { content.cast::<F>().write(future) });
        self.core.set_stage(Stage::Future);
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }
}

/// The table of slots of a kind.
pub(super) const fn table_of<F: Future, K: Kind<F>>() -> &'static Table {
    TableOf::<F, K>::TABLE
}

/// Drops what is in the place, whatever it is, and leaves `after`.
///
/// # Safety
/// (a) the caller has the claim or is the last.
pub(super) unsafe fn clear(core: NonNull<Core>, after: Stage) {
    // SAFETY: I5.
    let this = unsafe { core.as_ref() };
    let stage = this.stage();
    this.set_stage(after);
    match stage {
        // SAFETY: (a), and the stage was Future.
        Stage::Future => unsafe { (this.table().drop_future)(core) },
        // SAFETY: (a), and the stage was Output or Seen.
        Stage::Output | Stage::Seen => unsafe { (this.table().drop_output)(core) },
        Stage::Payload => {
            // SAFETY: (a), and the stage was Payload.
            let _payload = unsafe { payload(core) };
        }
        Stage::Empty | Stage::Aborted | Stage::Panicked => {}
    }
}

/// Takes the payload out.
///
/// # Safety
/// (a) the caller has the claim or is the last, and has found the stage to be Payload, which it no longer is.
pub(super) unsafe fn payload(core: NonNull<Core>) -> Payload {
    // SAFETY: I5.
    let table = unsafe { core.as_ref() }.table();
    // SAFETY: (a): it is the union's, which has room for it and is aligned for it.
    let at = unsafe { (table.output)(core) }.cast::<Payload>();
    // SAFETY: (a).
    unsafe { at.read() }
}

/// Puts a payload in.
///
/// # Safety
/// (a) the caller has the claim, and nothing is in the place.
pub(super) unsafe fn set_payload(core: NonNull<Core>, payload: Payload) {
    // SAFETY: I5.
    let this = unsafe { core.as_ref() };
    // SAFETY: (a): as in `payload`.
    let at = unsafe { (this.table().output)(core) }.cast::<Payload>();
    // SAFETY: (a).
    unsafe { at.write(payload) };
    this.set_stage(Stage::Payload);
}
