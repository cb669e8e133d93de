//! A shelter without an allocator.
#![allow(unsafe_code)]
// The labels are those declared in slot.rs and home.rs.
// INVARIANTS  I6 a future is put in only by `&'static self` or `Pin<&Self>`: a place with a future does not move.
use core::{
    fmt::{self, Debug},
    future::Future,
    marker::{PhantomData, PhantomPinned},
    pin::Pin,
    ptr::NonNull,
};

use super::{
    Shielded,
    berth::Reserved,
    home::Home,
    keeper::{Drain, Run},
    slot::{Core, Kind, Slot, Stage, clear, table_of},
    ticket::Placed,
};
use crate::sys::{Panics, array, const_fn};

/// A `Shelter` with places for `N` futures of one type, which lie in it: no allocation.
///
/// A place is taken by [`shield`](ShelterArray::shield), and free again when the future has ended and the last handle is gone. When
/// all are taken, the future is given back: it is never run unshielded.
///
/// It is pinned by being `static`, or in a [`pin!`](core::pin::pin) with the methods that end in `_pinned`. What is said of
/// `Shelter` holds here too, but: a keeper that is woken polls all futures.
///
/// # Send
/// It is `Send` and `Sync` if the futures and their results are `Send`; without, it stays on its thread and works there.
///
/// # Examples
/// ```
/// use core::{future::{Ready, ready}, pin::pin};
/// use testudo::{run::block_on, task::ShelterArray};
///
/// static SHELTER: ShelterArray<Ready<u8>, 2> = ShelterArray::new();
///
/// let first = SHELTER.shield(ready(1)).unwrap();
/// let second = SHELTER.shield(ready(2)).unwrap();
/// assert!(SHELTER.shield(ready(3)).is_err()); // full
/// assert_eq!((block_on(first), block_on(second)), (Ok(1), Ok(2)));
///
/// let local = pin!(ShelterArray::<_, 1>::new());
/// assert_eq!(block_on(local.as_ref().shield_pinned(async { 4 }).ok().unwrap()), Ok(4));
/// ```
pub struct ShelterArray<F: Future, const N: usize> {
    home: Home,
    slots: [Slot<F>; N],
    /// Futures and results are in it.
    _owned: PhantomData<(F, F::Output)>,
    /// The list is of places that are here.
    _pinned: PhantomPinned,
}

// SAFETY: I1: what is in a place is touched by one at a time, from whatever thread.
unsafe impl<F: Future<Output: Send> + Send, const N: usize> Send for ShelterArray<F, N> {}
// SAFETY: I1: as above.
unsafe impl<F: Future<Output: Send> + Send, const N: usize> Sync for ShelterArray<F, N> {}

/// A slot in an array.
struct InArray;

impl<F: Future> Kind<F> for InArray {
    fn failure(_: &F::Output) -> Option<&dyn Debug> {
        None
    }

    unsafe fn free(core: NonNull<Core>, home: Option<NonNull<Home>>) {
        // SAFETY: (a): places of an array have a home.
        let Some(home) = home.map(|home| unsafe { home.as_ref() }) else { return };
        // SAFETY: (a).
        let this = unsafe { core.as_ref() };
        home.spare(this);
    }
}

impl<F: Future, const N: usize> ShelterArray<F, N> {
    const_fn! {
        /// Returns an empty shelter.
        ///
        /// # Examples
        /// ```
        /// use core::future::Ready;
        /// static SHELTER: testudo::task::ShelterArray<Ready<()>, 4> = testudo::task::ShelterArray::new();
        /// assert_eq!((SHELTER.len(), SHELTER.capacity()), (0, 4));
        /// ```
        pub const fn new() -> Self {
            Self { home: Home::new(false), slots: array![Slot::empty(table_of::<F, InArray>()); N], _owned: PhantomData, _pinned: PhantomPinned }
        }
    }

    /// Tells `hook` of each panic that no handle has seen (with `std`; it prints as `Panicked("text")`). See
    /// `Shelter::on_orphan_error`.
    ///
    /// # Examples
    /// ```
    /// use core::{fmt::Debug, future::Ready};
    /// use testudo::task::ShelterArray;
    ///
    /// fn report(failure: &dyn Debug) {
    ///     eprintln!("{failure:?}");
    /// }
    /// static SHELTER: ShelterArray<Ready<()>, 4> = ShelterArray::new().on_orphan_error(report);
    /// assert!(SHELTER.is_empty());
    /// ```
    #[must_use]
    pub const fn on_orphan_error(mut self, hook: fn(&dyn Debug)) -> Self {
        self.home.set_hook(hook);
        self
    }

    /// Puts a future in, and returns a handle that waits for its result.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Errors
    /// The future, if all places are taken.
    ///
    /// # Examples
    /// See [`ShelterArray`].
    pub fn shield(&'static self, future: F) -> Result<Shielded<'static, F::Output, F>, F> {
        Pin::static_ref(self).shield_pinned(future)
    }

    /// As [`shield`](ShelterArray::shield), in an array that is pinned otherwise than by being `static`.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Errors
    /// The future, if all places are taken.
    ///
    /// # Examples
    /// See [`ShelterArray`].
    pub fn shield_pinned<'s>(self: Pin<&'s Self>, future: F) -> Result<Shielded<'s, F::Output, F>, F> {
        let placed = self.put(future, 2)?;
        // SAFETY: I2 of slot.rs: the second reference is the handle's; it borrows the array.
        Ok(Shielded { ticket: unsafe { placed.ticket() }, _type: PhantomData })
    }

    /// Puts a future in for whose result nobody waits.
    ///
    /// # Errors
    /// The future, if all places are taken.
    ///
    /// # Examples
    /// ```
    /// use core::future::{Ready, ready};
    /// use testudo::{run::block_on, task::ShelterArray};
    ///
    /// static SHELTER: ShelterArray<Ready<()>, 1> = ShelterArray::new();
    /// SHELTER.adopt(ready(())).unwrap();
    /// assert!(SHELTER.adopt(ready(())).is_err());
    /// block_on(SHELTER.drain());
    /// assert!(SHELTER.is_empty());
    /// ```
    pub fn adopt(&'static self, future: F) -> Result<(), F> {
        Pin::static_ref(self).adopt_pinned(future)
    }

    /// As [`adopt`](ShelterArray::adopt), in an array that is pinned otherwise than by being `static`.
    ///
    /// # Errors
    /// The future, if all places are taken.
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use testudo::{run::block_on, task::ShelterArray};
    ///
    /// let shelter = pin!(ShelterArray::<_, 1>::new());
    /// assert!(shelter.as_ref().adopt_pinned(async {}).is_ok());
    /// block_on(shelter.drain());
    /// assert!(shelter.is_empty());
    /// ```
    pub fn adopt_pinned(self: Pin<&Self>, future: F) -> Result<(), F> {
        self.put(future, 1).map(Placed::adopt)
    }

    /// Keeps a place free.
    pub(crate) fn reserve<'s>(self: Pin<&'s Self>) -> Option<Reserved<'s, F>> {
        let this: &'s Self = self.get_ref();
        let slot: &'s Slot<F> = this.home.with(|roster| match NonNull::new(roster.spare.cast_mut()) {
            Some(core) => {
                // SAFETY: I5 of slot.rs: spare places are those of `self.slots`.
                let slot: &'s Slot<F> = unsafe { core.cast::<Slot<F>>().as_ref() };
                roster.spare = slot.core().links().newer;
                Some(slot)
            }
            None => {
                let slot = this.slots.get(roster.used)?;
                roster.used += 1;
                Some(slot)
            }
        })?;
        Some(Reserved::new(slot, &this.home))
    }

    fn put(self: Pin<&Self>, future: F, refs: usize) -> Result<Placed, F> {
        match self.reserve() {
            Some(place) => Ok(place.fill(future, refs)),
            None => Err(future),
        }
    }

    /// Runs `body` and, beside it, all that is in the shelter; returns `body`'s output when the shelter is empty. See
    /// `Shelter::run`.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses `body`. What is in the shelter stays in it.
    ///
    /// # Panics
    /// When polled after completion, and when `body` does; then what is in the shelter stays in it.
    ///
    /// # Examples
    /// ```
    /// use core::future::{Ready, ready};
    /// use testudo::{run::block_on, task::ShelterArray};
    ///
    /// static SHELTER: ShelterArray<Ready<()>, 1> = ShelterArray::new();
    /// block_on(SHELTER.run(async { SHELTER.adopt(ready(())).unwrap() }));
    /// assert!(SHELTER.is_empty());
    /// ```
    pub fn run<B: Future>(&self, body: B) -> Run<'_, B, (F, F::Output)> {
        Run::new(&self.home, body)
    }

    /// Runs what is in the shelter, until it is empty. See `Shelter::drain`.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// See [`adopt`](ShelterArray::adopt).
    pub fn drain(&self) -> Drain<'_, (F, F::Output)> {
        Drain::new(&self.home)
    }

    /// Says how many futures have not ended. One load.
    ///
    /// # Examples
    /// See [`new`](ShelterArray::new).
    pub fn len(&self) -> usize {
        self.home.len()
    }

    /// Says whether all futures have ended. One load.
    ///
    /// # Examples
    /// See [`adopt`](ShelterArray::adopt).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Says how many places there are.
    ///
    /// # Examples
    /// See [`new`](ShelterArray::new).
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Drops all futures that are there at this moment; their handles get [`Cancelled`](super::Cancelled). See
    /// `Shelter::abort_all`.
    ///
    /// # Panics
    /// When the drop of a future does; the others stay.
    ///
    /// # Examples
    /// ```
    /// use core::future::{Pending, pending};
    /// use testudo::{run::block_on, task::{Cancelled, ShelterArray}};
    ///
    /// static SHELTER: ShelterArray<Pending<()>, 1> = ShelterArray::new();
    /// let never = SHELTER.shield(pending()).unwrap();
    /// SHELTER.abort_all();
    /// assert_eq!(block_on(never), Err(Cancelled));
    /// ```
    #[doc(alias = "cancel")]
    pub fn abort_all(&self) {
        self.home.abort_all();
    }
}

impl<F: Future, const N: usize> Default for ShelterArray<F, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Future, const N: usize> Drop for ShelterArray<F, N> {
    fn drop(&mut self) {
        // No handle and no keeper is left, but for forgotten ones, whose results are here.
        let mut panics = Panics::new();
        let used = self.home.with(|roster| roster.used);
        for slot in &self.slots[..used] {
            let core = NonNull::from(slot).cast::<Core>();
            // SAFETY: I1: nobody else has access, for `self` is borrowed mutably; I6: it was not moved.
            panics.catch(|| unsafe { clear(core, Stage::Empty) });
        }
        panics.resume();
    }
}

impl<F: Future, const N: usize> fmt::Debug for ShelterArray<F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShelterArray").field("len", &self.len()).field("capacity", &N).finish_non_exhaustive()
    }
}
