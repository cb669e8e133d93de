//! Children of [`try_gather`](super::try_gather) that run on when one of them has failed.
// STATE       list, not polled --orphans_to: each child is put in the shelter, in order--> handles, side by side as in gather
//                 --the first error, or dropped--> no handles, children in the shelter
// CANCEL      the handles are dropped in their order; the children stay in the shelter, in the order of the list.
#[cfg(feature = "alloc")]
use alloc::vec::Vec;
#[cfg(feature = "alloc")]
use core::fmt::Debug;
use core::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{
    Cancelled, ShelterArray, Shielded, TryAll,
    children::{Drive, First, Slot, Slots},
    shelter::Reserved,
};
#[cfg(feature = "alloc")]
use super::{
    LocalShelter, Shelter, TryAllVec,
    marker::{Local, Sendable},
};

/// Where orphans find a home: a reference to a shelter. Sealed.
pub trait Orphanage<F: Future>: Copy + sealed::Sealed {
    /// Waits for the child.
    type Handle: Future<Output = Result<F::Output, Cancelled>>;

    /// Puts the child in.
    #[doc(hidden)]
    fn take_in(self, child: F) -> Self::Handle;
}

mod sealed {
    pub trait Sealed {}

    #[cfg(feature = "alloc")]
    impl<M> Sealed for &crate::task::ShelterOf<'_, M> {}
}

#[cfg(feature = "alloc")]
impl<'s, 'e, F, T, E> Orphanage<F> for &'s Shelter<'e>
where
    F: Future<Output = Result<T, E>> + Send + 'e,
    T: Send,
    E: Debug + Send,
{
    type Handle = Shielded<'s, Result<T, E>, Sendable>;

    fn take_in(self, child: F) -> Self::Handle {
        self.try_shield(child)
    }
}

#[cfg(feature = "alloc")]
impl<'s, 'e, F, T, E> Orphanage<F> for &'s LocalShelter<'e>
where
    F: Future<Output = Result<T, E>> + 'e,
    E: Debug,
{
    type Handle = Shielded<'s, Result<T, E>, Local>;

    fn take_in(self, child: F) -> Self::Handle {
        self.try_shield(child)
    }
}

/// Why there are not all values.
#[derive(Debug)]
pub enum Stop<E> {
    /// A child failed.
    Failed(E),
    /// The shelter has aborted a child.
    Aborted,
}

pin_project! {
    /// A child in a shelter, for the gathering that waits for it.
    #[derive(Debug)]
    pub struct Ward<H> {
        #[pin]
        handle: H,
    }
}

impl<H: Future<Output = Result<Result<T, E>, Cancelled>>, T, E> Future for Ward<H> {
    type Output = Result<T, Stop<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().handle.poll(cx).map(|result| match result {
            Ok(output) => output.map_err(Stop::Failed),
            Err(Cancelled) => Err(Stop::Aborted),
        })
    }
}

/// Slots whose children may be put in an `O`.
pub trait HandOver<O>: Slots {
    /// The slots of their handles.
    type Wards: Slots<Outputs = Self::Outputs, Error = Stop<Self::Error>>;

    /// Puts them in, in order.
    fn hand_over(&mut self, to: O) -> Self::Wards;
}

/// One of them. It was not polled: its set is new.
fn hand_over<F, O, T, E>(slot: &mut Slot<F, First>, to: O) -> Slot<Ward<O::Handle>, First>
where
    F: Future<Output = Result<T, E>>,
    O: Orphanage<F>,
{
    match mem::replace(slot, Slot::Gone) {
        Slot::Future(child) => Slot::Future(Ward { handle: to.take_in(child) }),
        Slot::Output(_) | Slot::Gone => unreachable!("no child of a new set is done"),
    }
}

impl<F, O, T, E, const N: usize> HandOver<O> for [Slot<F, First>; N]
where
    F: Future<Output = Result<T, E>>,
    O: Orphanage<F>,
{
    type Wards = [Slot<Ward<O::Handle>, First>; N];

    fn hand_over(&mut self, to: O) -> Self::Wards {
        self.each_mut().map(|slot| hand_over(slot, to))
    }
}

macro_rules! tuples {
    ($($($F:ident $T:ident $at:tt),+;)+) => {$(
        impl<O: Copy, X, $($F: Future<Output = Result<$T, X>>, $T),+> HandOver<O> for ($(Slot<$F, First>,)+)
        where
            $(O: Orphanage<$F>),+
        {
            type Wards = ($(Slot<Ward<<O as Orphanage<$F>>::Handle>, First>,)+);

            fn hand_over(&mut self, to: O) -> Self::Wards {
                ($(hand_over(&mut self.$at, to),)+)
            }
        }
    )+};
}
tuples! {
    A A1 0;
    A A1 0, B B1 1;
    A A1 0, B B1 1, C C1 2;
    A A1 0, B B1 1, C C1 2, D D1 3;
    A A1 0, B B1 1, C C1 2, D D1 3, F F1 4;
    A A1 0, B B1 1, C C1 2, D D1 3, F F1 4, G G1 5;
    A A1 0, B B1 1, C C1 2, D D1 3, F F1 4, G G1 5, H H1 6;
    A A1 0, B B1 1, C C1 2, D D1 3, F F1 4, G G1 5, H H1 6, I I1 7;
    A A1 0, B B1 1, C C1 2, D D1 3, F F1 4, G G1 5, H H1 6, I I1 7, J J1 8;
    A A1 0, B B1 1, C C1 2, D D1 3, F F1 4, G G1 5, H H1 6, I I1 7, J J1 8, K K1 9;
    A A1 0, B B1 1, C C1 2, D D1 3, F F1 4, G G1 5, H H1 6, I I1 7, J J1 8, K K1 9, L L1 10;
    A A1 0, B B1 1, C C1 2, D D1 3, F F1 4, G G1 5, H H1 6, I I1 7, J J1 8, K K1 9, L L1 10, N N1 11;
}

impl<S: Slots, R: Drive> TryAll<S, R> {
    /// Lets the children run on when one of them fails: they are put in `shelter` now, in order, and the first error drops their
    /// handles instead of them.
    ///
    /// What they return then is dropped; their errors and panics are told to the hook of
    /// `on_orphan_error`, but for the error that is returned. Whoever polls drives the children: this
    /// future, or the shelter's keeper; behind the first error, or when this future is dropped, only the keeper.
    ///
    /// `shelter` is a reference to a `Shelter`, or to a `LocalShelter` if the children are not `Send`. One allocation for each
    /// child, and one for a `Vec` of them.
    ///
    /// # asyncio
    /// Same as `asyncio.gather` without `return_exceptions`: the first error is raised, the others run on. Differs in that
    /// dropping it does not cancel the children either.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the outputs of the children that were done. The others stay in the shelter.
    ///
    /// # Errors
    /// [`Cancelled`], if the shelter aborts a child that has not ended; inside of it, the first error of a child.
    ///
    /// # Panics
    /// When it was polled before. Later: when a child does, and when polled after completion.
    ///
    /// # Examples
    /// ```
    /// use testudo::{Event, run::block_on, task::{Shelter, try_gather}};
    ///
    /// let (failed, saved) = (Event::new(), Event::new());
    /// let shelter = Shelter::new();
    /// let save = async { Ok::<_, &str>((failed.wait().await, saved.set())) };
    /// let fails = async { Err::<(), _>("no bread") };
    ///
    /// let both = block_on(try_gather((save, fails)).orphans_to(&shelter));
    /// assert_eq!(both, Ok(Err("no bread")));
    /// failed.set();
    /// block_on(shelter.drain());
    /// assert!(saved.is_set());
    /// ```
    #[doc(alias = "gather")]
    pub fn orphans_to<O>(self, shelter: O) -> WithOrphans<TryAll<S::Wards, R>>
    where
        S: HandOver<O>,
    {
        WithOrphans { all: self.change(|slots| slots.hand_over(shelter)) }
    }
}

/// The children of an array in those of a [`ShelterArray`].
type InArray<'s, F, R, const N: usize> =
    WithOrphans<TryAll<[Slot<Ward<Shielded<'s, <F as Future>::Output, F>>, First>; N], R>>;

impl<F: Future<Output = Result<T, E>>, T, E, R: Drive, const N: usize> TryAll<[Slot<F, First>; N], R> {
    /// Lets the children run on when one of them fails, in places of a [`ShelterArray`]: nothing is allocated.
    ///
    /// As `orphans_to`, but errors of children that nobody sees are dropped; of the hook's calls there are those for panics.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the outputs of the children that were done. The others stay in the shelter.
    ///
    /// # Errors
    /// The children, if there are not places for all: none is put in. Later: [`Cancelled`], if the shelter aborts a child that has
    /// not ended; inside of it, the first error of a child.
    ///
    /// # Panics
    /// When it was polled before. Later: when a child does, and when polled after completion.
    ///
    /// # Examples
    /// ```
    /// use core::{future::{Ready, ready}, pin::Pin};
    /// use testudo::{run::block_on, task::{ShelterArray, try_gather}};
    ///
    /// static SHELTER: ShelterArray<Ready<Result<u8, &str>>, 2> = ShelterArray::new();
    ///
    /// let shelter = Pin::static_ref(&SHELTER);
    /// let both = try_gather([ready(Err("no bread")), ready(Ok(2))]).orphans_in(shelter).ok().unwrap();
    /// assert!(try_gather([ready(Ok(3))]).orphans_in(shelter).is_err()); // full
    /// assert_eq!(block_on(both), Ok(Err("no bread")));
    /// assert_eq!(SHELTER.len(), 1);
    /// block_on(SHELTER.drain());
    /// ```
    pub fn orphans_in<'s, const PLACES: usize>(
        self,
        shelter: Pin<&'s ShelterArray<F, PLACES>>,
    ) -> Result<InArray<'s, F, R, N>, Self> {
        let places: [Option<Reserved<'s, F>>; N] = core::array::from_fn(|_| shelter.reserve());
        if places.iter().any(Option::is_none) {
            return Err(self);
        }
        let mut places = places.into_iter().flatten();
        let all = self.change(|slots| {
            slots.each_mut().map(|slot| match (mem::replace(slot, Slot::Gone), places.next()) {
                (Slot::Future(child), Some(place)) => Slot::Future(Ward { handle: place.shield(child) }),
                _ => unreachable!("no child of a new set is done, and there are places for all"),
            })
        });
        Ok(WithOrphans { all })
    }
}

#[cfg(feature = "alloc")]
impl<F: Future<Output = Result<T, E>>, T, E> TryAllVec<F, T, E> {
    /// As [`TryAll::orphans_to`].
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the outputs of the children that were done. The others stay in the shelter.
    ///
    /// # Errors
    /// [`Cancelled`], if the shelter aborts a child that has not ended; inside of it, the first error of a child.
    ///
    /// # Panics
    /// When it was polled before. Later: when a child does, and when polled after completion.
    ///
    /// # Examples
    /// ```
    /// use testudo::{Semaphore, run::block_on, task::{Shelter, try_gather}};
    ///
    /// let done = Semaphore::new(0);
    /// let shelter = Shelter::new();
    /// let list = (0..5).map(|n| {
    ///     let done = &done;
    ///     async move { if n == 0 { Err("the first") } else { Ok(done.add_permits(n)) } }
    /// });
    /// assert_eq!(block_on(try_gather(list).orphans_to(&shelter)), Ok(Err("the first")));
    /// block_on(shelter.drain());
    /// assert_eq!(done.available_permits(), 1 + 2 + 3 + 4);
    /// ```
    pub fn orphans_to<O: Orphanage<F>>(self, shelter: O) -> WithOrphans<TryAllVec<Ward<O::Handle>, T, Stop<E>>> {
        let put = |child| Ward { handle: shelter.take_in(child) };
        WithOrphans { all: self.change(|children: Vec<F>| children.into_iter().map(put).collect()) }
    }
}

pin_project! {
    /// The future of [`TryAll::orphans_to`]; `A` is a [`TryAll`] or a `TryAllVec` of handles.
    #[must_use = "the children run on in the shelter without it"]
    pub struct WithOrphans<A> {
        #[pin]
        all: A,
    }
}

impl<A: Future<Output = Result<T, Stop<E>>>, T, E> Future for WithOrphans<A> {
    type Output = Result<Result<T, E>, Cancelled>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().all.poll(cx).map(|result| match result {
            Ok(outputs) => Ok(Ok(outputs)),
            Err(Stop::Failed(error)) => Ok(Err(error)),
            Err(Stop::Aborted) => Err(Cancelled),
        })
    }
}

impl<A: FusedFuture<Output = Result<T, Stop<E>>>, T, E> FusedFuture for WithOrphans<A> {
    fn is_terminated(&self) -> bool {
        self.all.is_terminated()
    }
}

impl<A: fmt::Debug> fmt::Debug for WithOrphans<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WithOrphans").field(&self.all).finish()
    }
}
