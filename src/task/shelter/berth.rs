//! Where the release of a guard will go.
#![allow(unsafe_code)]
// The labels are those declared in slot.rs, home.rs and array.rs.
use core::{fmt, future::Future, marker::PhantomData, ptr::NonNull};

#[cfg(feature = "alloc")]
use super::heap::{LocalShelter, Shelter, ShelterOf};
use super::{
    Shielded,
    home::Home,
    site::Site,
    slot::{Core, Slot},
    ticket::Placed,
};
#[cfg(feature = "alloc")]
use crate::task::marker::Local;

/// Room for one future in a shelter: taken now, used when a guard ends. Sealed.
pub trait Berth<F: Future<Output = ()>>: sealed::Sealed {
    /// Waits for the future.
    type Handle;

    /// Puts the future in, for nobody.
    #[doc(hidden)]
    fn adopt(self, future: F);

    /// Puts the future in.
    #[doc(hidden)]
    fn shield(self, future: F) -> Self::Handle;
}

mod sealed {
    pub trait Sealed {}

    #[cfg(feature = "alloc")]
    impl<M> Sealed for &super::ShelterOf<'_, M> {}
    impl<F: core::future::Future> Sealed for super::Reserved<'_, F> {}
}

#[cfg(feature = "alloc")]
impl<'s, 'e, F> Berth<F> for &'s Shelter<'e>
where
    F: Future<Output = ()> + Send + 'e,
{
    type Handle = Shielded<'s, ()>;

    fn adopt(self, future: F) {
        Shelter::adopt(self, future);
    }

    fn shield(self, future: F) -> Self::Handle {
        Shelter::shield(self, future)
    }
}

#[cfg(feature = "alloc")]
impl<'s, 'e, F> Berth<F> for &'s LocalShelter<'e>
where
    F: Future<Output = ()> + 'e,
{
    type Handle = Shielded<'s, (), Local>;

    fn adopt(self, future: F) {
        LocalShelter::adopt(self, future);
    }

    fn shield(self, future: F) -> Self::Handle {
        LocalShelter::shield(self, future)
    }
}

/// A place of a [`ShelterArray`](super::ShelterArray) that is kept free for a guard.
pub struct Reserved<'s, F: Future> {
    /// Taken when it is used.
    slot: Option<&'s Slot<F>>,
    home: &'s Home,
    _owned: PhantomData<(F, F::Output)>,
}

// SAFETY: slot I1: nothing is in the place, and what will be is sent with its guard, or to its keeper.
unsafe impl<F: Future<Output: Send> + Send> Send for Reserved<'_, F> {}
// SAFETY: slot I1: `&Reserved` gives access to nothing.
unsafe impl<F: Future<Output: Send> + Send> Sync for Reserved<'_, F> {}

impl<'s, F: Future> Reserved<'s, F> {
    /// `slot` is empty, and in no list.
    pub(super) fn new(slot: &'s Slot<F>, home: &'s Home) -> Self {
        Self { slot: Some(slot), home, _owned: PhantomData }
    }

    /// Puts a future in.
    pub(super) fn fill(mut self, future: F, refs: usize) -> Placed {
        let slot = self.slot.take().expect("it is used once");
        slot.core().renew(refs);
        slot.fill(future);
        let core = NonNull::from(slot).cast::<Core>();
        // SAFETY: I6: it does not move; it is removed before it is given back, or with the array.
        let keeper = self.home.with(|roster| unsafe { self.home.link(roster, core) });
        // SAFETY: it borrows the array, which the caller's handle does, or is not used.
        let site = unsafe { Site::new(core, Some(NonNull::from(self.home))) };
        Placed { site, keeper }
    }

    /// Puts a future in, and returns its handle.
    pub(crate) fn shield(self, future: F) -> Shielded<'s, F::Output, F> {
        let placed = self.fill(future, 2);
        // SAFETY: I2 of slot.rs: the second reference is the handle's; it borrows the array.
        Shielded { ticket: unsafe { placed.ticket() }, _type: PhantomData }
    }
}

impl<'s, F: Future<Output = ()>> Berth<F> for Reserved<'s, F> {
    type Handle = Shielded<'s, (), F>;

    fn adopt(self, future: F) {
        self.fill(future, 1).adopt();
    }

    fn shield(self, future: F) -> Self::Handle {
        Reserved::shield(self, future)
    }
}

impl<F: Future> Drop for Reserved<'_, F> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.home.spare(slot.core());
        }
    }
}

impl<F: Future> fmt::Debug for Reserved<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").finish_non_exhaustive()
    }
}
