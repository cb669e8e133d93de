//! Places for the children of a group without heap: room for one job each.
#![allow(unsafe_code)]
// STATE       taken: false --T1 claim--> true --T2 give back--> false
// INVARIANTS  I1 between T1 and T2 there is one owner: who claimed it until a job is put in, then the job's two ends, as job.rs
//                says, and at last who frees it.
//             I2 a place with a job neither moves nor goes away before T2, unless its future was never polled: (b) of `spawn`.
//             I3 the job is at offset 0 of its place, and its pointer may reach all of that.
// EDGES       E1 T2 (release) -> T1 (acquire): what was there before is gone.
// INTERRUPT   all of it.
use core::{cell::UnsafeCell, future::Future, mem::MaybeUninit, ptr::NonNull};

use super::{
    inbox::{Inbox, Ring},
    job::{Child, Header, Job, Table, TaskHandle},
};
use crate::{
    sys::{
        array,
        atomic::{AtomicBool, Ordering::*},
        cell, const_fn,
    },
    tell::Tag,
};

/// Room for a child. It has nothing to drop: what is in it when it goes away is leaked.
#[repr(C)]
pub(super) struct Place<F, T, E> {
    job: UnsafeCell<MaybeUninit<Job<F, T, E>>>,
    taken: AtomicBool,
    /// Tells loom who writes to it.
    owner: cell::UnsafeCell<()>,
}

impl<F, T, E> Place<F, T, E> {
    const_fn! {
        const fn new() -> Self {
            Self {
                job: UnsafeCell::new(MaybeUninit::uninit()),
                taken: AtomicBool::new(false),
                owner: cell::UnsafeCell::new(()),
            }
        }
    }

    /// T1.
    fn claim(&self) -> bool {
        // ORDER: relaxed: a first look; E1 acquire
        !self.taken.load(Relaxed) && !self.taken.swap(true, Acquire)
    }

    /// T2, of a place in which nothing is any more.
    fn give_back(&self) {
        self.owner.with_mut(|_| ()); // loom: I1
        self.taken.store(false, Release); // ORDER: E1 release
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> Place<F, T, E> {
    const TABLE: Table = Job::<F, T, E>::table(Self::free);

    fn at(&self) -> NonNull<Job<F, T, E>> {
        NonNull::from(self).cast() // I3
    }

    /// Makes it a job, and returns its two ends.
    ///
    /// # Safety
    /// (a), (b) of `Places::spawn`; (c) the caller has claimed it.
    unsafe fn fill<'c>(&self, fut: F) -> (Child<E>, TaskHandle<'c, T>) {
        self.owner.with_mut(|_| ()); // loom: I1
        let at = self.at();
        // SAFETY: (c), I3: there is room for it.
        unsafe { at.write(Job::new(&Self::TABLE, fut, false, Tag::none())) };
        // SAFETY: (a), (b), I2: it is a job, with the table of places.
        unsafe { Child::of(at.cast()) }
    }

    /// Takes the future out again, which was never polled, and gives the place back.
    ///
    /// # Safety
    /// (a) the caller has the job alone.
    unsafe fn withdraw(&self) -> F {
        // SAFETY: (a), I3: it is not used any more.
        let job = unsafe { self.at().read() };
        self.give_back();
        job.into_future()
    }

    /// Drops what is left in a place and gives that back.
    ///
    /// # Safety
    /// (a) `this` is a job in a place, and both its ends are gone.
    unsafe fn free(this: *mut Header) {
        /// T2, whether a drop panics or not.
        struct GiveBack<'p, F, T, E>(&'p Place<F, T, E>);
        impl<F, T, E> Drop for GiveBack<'_, F, T, E> {
            fn drop(&mut self) {
                self.0.give_back();
            }
        }
        // SAFETY: (a), I2, I3.
        let _back = GiveBack(unsafe { &*this.cast::<Self>() });
        // SAFETY: (a), I1.
        unsafe { this.cast::<Job<F, T, E>>().drop_in_place() };
    }
}

/// The places of a group.
pub(super) struct Places<F, T, E, const N: usize>([Place<F, T, E>; N]);

impl<F: Future<Output = Result<T, E>>, T, E, const N: usize> Places<F, T, E, N> {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self(array![Place::new(); N])
        }
    }

    /// Puts a child into a free place and then into the inbox; or returns its future, if there is no place or the inbox is closed.
    ///
    /// # Safety
    /// (a) the handle is used no longer than the places are there. (b) once the future was polled, they neither move nor go away
    /// before T2.
    pub(super) unsafe fn spawn<'c>(&self, inbox: &Inbox<E>, fut: F) -> Result<(TaskHandle<'c, T>, Ring), F> {
        if inbox.is_closed() {
            return Err(fut);
        }
        let Some(place) = self.0.iter().find(|place| place.claim()) else { return Err(fut) };
        // SAFETY: (a), (b), I1: claimed just now.
        let (child, handle) = unsafe { place.fill(fut) };
        match inbox.push(child) {
            Ok(ring) => Ok((handle, ring)),
            Err(child) => {
                core::mem::forget((child, handle));
                // SAFETY: I1: nobody else has seen the job, and its two ends are forgotten.
                Err(unsafe { place.withdraw() })
            }
        }
    }

    /// How many are taken at this moment.
    pub(super) fn taken(&self) -> usize {
        // ORDER: relaxed: a moment's view
        self.0.iter().filter(|place| place.taken.load(Relaxed)).count()
    }
}
