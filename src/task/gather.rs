//! Running futures side by side until all are done, or until one fails.
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{
    children::{Drive, Every, First, Fixed, Mode, Slot, Slots},
    ready::{Claim, Scan},
};

/// Runs futures side by side on this task and returns their outputs, in the order of the futures.
///
/// Takes a tuple of up to 12 futures, an array, a `Vec` or any iterator of futures; returns a tuple, an array or a `Vec`.
/// Each poll makes one pass through the children, by number; in a vector of more than 30 only those that were woken are
/// polled. Outputs of type `Result` are returned as they are: see [`try_gather`].
///
/// | list | heap | a wake-up costs |
/// |---|---|---|
/// | tuple, array | none | a poll of each child that is not done |
/// | `Vec`, iterator, up to 30 | the outputs | the same |
/// | `Vec`, iterator | the outputs and one block, a byte for each child | a poll of the child that was woken |
/// | any, with [`gather_in`] | none, or the outputs | a poll of the child that was woken |
///
/// # asyncio
/// Same as `asyncio.gather(..., return_exceptions=True)`, with `Result`s for the exceptions. Differs in that the children
/// start at the first poll, not at the call, and that dropping it drops them, in their order.
///
/// # Cancel safety
/// Not cancel safe: dropping this future loses the outputs of the children that were done.
///
/// # Interrupts
/// A child of a `Vec` of more than 30 must not be woken from an interrupt, as that may free memory: use [`gather_in`].
///
/// # Panics
/// When a child does; its siblings are dropped with the future, which panics if it is polled again. When polled after
/// completion.
///
/// # Examples
/// ```
/// use testudo::task::gather;
///
/// # testudo::run::block_on(async {
/// let (n, text) = gather((async { 1 }, async { "one" })).await;
/// assert_eq!((n, text), (1, "one"));
///
/// let squares = gather((0..100).map(|n| async move { n * n })).await;
/// assert_eq!(squares[99], 9801);
/// # });
/// ```
#[doc(alias("join", "join_all", "wait"))]
pub fn gather<M, L: Gather<M>>(list: L) -> L::All {
    list.gather()
}

/// Runs futures as [`gather`] does, with the memory of a [`ReadyBlock`](super::ReadyBlock): exact wake-ups without heap.
///
/// # Cancel safety
/// Not cancel safe: dropping this future loses the outputs of the children that were done.
///
/// # Interrupts
/// The children's wakers may be woken, cloned and dropped in interrupts, if the parent's may.
///
/// # Panics
/// When there are more futures than the block has room for. Later: as [`gather`].
///
/// # Examples
/// ```
/// use testudo::task::{ReadyBlock, gather_in};
///
/// static READY: ReadyBlock<1> = ReadyBlock::new();
///
/// # testudo::run::block_on(async {
/// let claim = READY.claim().expect("nobody else uses it");
/// assert_eq!(gather_in(claim, (async { 'a' }, async { 2 })).await, ('a', 2));
/// # });
/// ```
pub fn gather_in<M, L: Gather<M>>(claim: Claim, list: L) -> L::AllIn {
    list.gather_in(claim)
}

/// Runs futures side by side until all have returned `Ok` or one has returned `Err`.
///
/// The error is that of the child that failed first in time; of those that fail in the same pass, the one with the lowest
/// number. The other children are dropped before it is returned. Takes and returns the same lists as [`gather`].
///
/// # asyncio
/// As `asyncio.gather` without `return_exceptions`. Differs in that the other children do not run on: they are dropped,
/// in their order, before the error is returned. With `orphans_to(&shelter)` they do.
///
/// # Cancel safety
/// Not cancel safe: dropping this future loses the outputs of the children that were done.
///
/// # Interrupts
/// A child of a `Vec` of more than 30 must not be woken from an interrupt, as that may free memory: use
/// [`try_gather_in`].
///
/// # Errors
/// The first error of a child.
///
/// # Panics
/// When a child does; its siblings are dropped with the future, which panics if it is polled again. When polled after
/// completion.
///
/// # Examples
/// ```
/// use core::future::pending;
/// use testudo::task::try_gather;
///
/// # testudo::run::block_on(async {
/// let both = try_gather((async { "1".parse::<i32>() }, async { "2".parse::<u8>() })).await;
/// assert_eq!(both, Ok((1, 2)));
///
/// let failed = try_gather((pending::<Result<(), i32>>(), async { Err::<(), i32>(7) })).await;
/// assert_eq!(failed, Err(7));
/// # });
/// ```
#[doc(alias("try_join", "try_join_all"))]
pub fn try_gather<M, L: TryGather<M>>(list: L) -> L::All {
    list.try_gather()
}

/// Runs futures as [`try_gather`] does, with the memory of a [`ReadyBlock`](super::ReadyBlock): exact wake-ups without
/// heap.
///
/// # Cancel safety
/// Not cancel safe: dropping this future loses the outputs of the children that were done.
///
/// # Interrupts
/// The children's wakers may be woken, cloned and dropped in interrupts, if the parent's may.
///
/// # Errors
/// The first error of a child.
///
/// # Panics
/// When there are more futures than the block has room for. Later: as [`try_gather`].
///
/// # Examples
/// ```
/// use core::future::ready;
/// use testudo::task::{ReadyBlock, try_gather_in};
///
/// static READY: ReadyBlock<1> = ReadyBlock::new();
///
/// # testudo::run::block_on(async {
/// let claim = READY.claim().expect("nobody else uses it");
/// assert_eq!(try_gather_in(claim, [ready(Ok(1)), ready(Err("no"))]).await, Err("no"));
/// # });
/// ```
pub fn try_gather_in<M, L: TryGather<M>>(claim: Claim, list: L) -> L::AllIn {
    list.try_gather_in(claim)
}

/// Lists that [`gather`] takes; `M` says which kind of list it is, and is inferred.
///
/// # Examples
/// ```
/// use testudo::task::{Gather, gather};
///
/// async fn sum<M>(list: impl Gather<M, Outputs = Vec<u64>>) -> u64 {
///     gather(list).await.iter().sum()
/// }
/// assert_eq!(testudo::run::block_on(sum((1..=4).map(core::future::ready))), 10);
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` is no tuple, array, `Vec` or iterator of futures")]
pub trait Gather<M> {
    /// The outputs, in the same shape.
    type Outputs;
    /// The future that [`gather`] returns.
    type All: Future<Output = Self::Outputs> + FusedFuture;
    /// The future that [`gather_in`] returns.
    type AllIn: Future<Output = Self::Outputs> + FusedFuture;

    /// See [`gather`].
    ///
    /// # Examples
    /// ```
    /// use testudo::task::Gather;
    /// assert_eq!(testudo::run::block_on([async { 1 }].gather()), [1]);
    /// ```
    fn gather(self) -> Self::All;

    /// See [`gather_in`].
    ///
    /// # Panics
    /// When there are more futures than the block has room for.
    ///
    /// # Examples
    /// ```
    /// use testudo::task::{Gather, ReadyBlock};
    /// static READY: ReadyBlock<1> = ReadyBlock::new();
    /// let all = [async { 1 }].gather_in(READY.claim().unwrap());
    /// assert_eq!(testudo::run::block_on(all), [1]);
    /// ```
    fn gather_in(self, claim: Claim) -> Self::AllIn;
}

/// Lists of futures of `Result`s, which [`try_gather`] takes; `M` says which kind of list it is, and is inferred.
///
/// # Examples
/// ```
/// use testudo::task::{TryGather, try_gather};
///
/// async fn count<M, T>(list: impl TryGather<M, Outputs = Vec<T>, Error = String>) -> Result<usize, String> {
///     Ok(try_gather(list).await?.len())
/// }
/// let list = (0..3).map(|n| async move { Ok(n) });
/// assert_eq!(testudo::run::block_on(count(list)), Ok(3));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tuple, array, `Vec` or iterator of futures of `Result`s with one type of error"
)]
pub trait TryGather<M> {
    /// The values of `Ok`, in the same shape.
    type Outputs;
    /// What a child fails with.
    type Error;
    /// The future that [`try_gather`] returns.
    type All: Future<Output = Result<Self::Outputs, Self::Error>> + FusedFuture;
    /// The future that [`try_gather_in`] returns.
    type AllIn: Future<Output = Result<Self::Outputs, Self::Error>> + FusedFuture;

    /// See [`try_gather`].
    ///
    /// # Examples
    /// ```
    /// use testudo::task::TryGather;
    /// assert_eq!(testudo::run::block_on([async { Err::<(), _>(1) }].try_gather()), Err(1));
    /// ```
    fn try_gather(self) -> Self::All;

    /// See [`try_gather_in`].
    ///
    /// # Panics
    /// When there are more futures than the block has room for.
    ///
    /// # Examples
    /// ```
    /// use testudo::task::{ReadyBlock, TryGather};
    /// static READY: ReadyBlock<1> = ReadyBlock::new();
    /// let all = [async { Err::<(), _>(1) }].try_gather_in(READY.claim().unwrap());
    /// assert_eq!(testudo::run::block_on(all), Err(1));
    /// ```
    fn try_gather_in(self, claim: Claim) -> Self::AllIn;
}

/// A tuple of futures.
#[derive(Debug)]
pub enum ByTuple {}

/// An array of futures.
#[derive(Debug)]
pub enum ByArray {}

macro_rules! futures {
    ($($(#[$doc:meta])* $name:ident ($S:ident: $($bound:tt)+) -> $output:ty, |$result:ident| $map:expr;)+) => {$(
        pin_project! {
            $(#[$doc])*
            #[must_use = "futures do nothing unless polled"]
            pub struct $name<S: Slots, R> {
                #[pin]
                children: Fixed<S, R>,
            }
        }

        impl<$S: $($bound)+, R: Drive> Future for $name<$S, R> {
            type Output = $output;

            #[inline]
            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                self.project().children.poll(cx).map(|$result| $map)
            }
        }

        impl<$S: $($bound)+, R: Drive> FusedFuture for $name<$S, R> {
            fn is_terminated(&self) -> bool {
                self.children.is_done()
            }
        }

        impl<S: Slots, R> fmt::Debug for $name<S, R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.children).finish()
            }
        }
    )+};
}
futures! {
    /// The future of [`gather`] of a tuple or an array.
    All(S: Slots<Error = core::convert::Infallible>) -> S::Outputs, |result| match result {
        Ok(outputs) => outputs,
        Err(never) => match never {},
    };
    /// The future of [`try_gather`] of a tuple or an array.
    TryAll(S: Slots) -> Result<S::Outputs, S::Error>, |result| result;
}

impl<S: Slots, R: Drive> TryAll<S, R> {
    /// With other children, made of these, none of which was polled.
    pub(super) fn change<P: Slots>(self, make: impl FnOnce(&mut S) -> P) -> TryAll<P, R> {
        TryAll { children: self.children.change(make) }
    }
}

impl<F: Future, const N: usize> Gather<ByArray> for [F; N] {
    type Outputs = [F::Output; N];
    type All = All<[Slot<F, Every>; N], Scan>;
    type AllIn = All<[Slot<F, Every>; N], Claim>;

    fn gather(self) -> Self::All {
        All { children: Fixed::new(self.map(Slot::Future), Scan) }
    }

    fn gather_in(self, claim: Claim) -> Self::AllIn {
        All { children: Fixed::new(self.map(Slot::Future), claim.fill(N)) }
    }
}

impl<F: Future<Output = Result<T, E>>, T, E, const N: usize> TryGather<ByArray> for [F; N] {
    type Outputs = [T; N];
    type Error = E;
    type All = TryAll<[Slot<F, First>; N], Scan>;
    type AllIn = TryAll<[Slot<F, First>; N], Claim>;

    fn try_gather(self) -> Self::All {
        TryAll { children: Fixed::new(self.map(Slot::Future), Scan) }
    }

    fn try_gather_in(self, claim: Claim) -> Self::AllIn {
        TryAll { children: Fixed::new(self.map(Slot::Future), claim.fill(N)) }
    }
}

macro_rules! tuples {
    ($($len:literal: $($F:ident $at:tt),+;)+) => {$(
        impl<$($F: Future),+> Gather<ByTuple> for ($($F,)+) {
            type Outputs = ($($F::Output,)+);
            type All = All<($(Slot<$F, Every>,)+), Scan>;
            type AllIn = All<($(Slot<$F, Every>,)+), Claim>;

            fn gather(self) -> Self::All {
                All { children: Fixed::new(($(Slot::Future(self.$at),)+), Scan) }
            }

            fn gather_in(self, claim: Claim) -> Self::AllIn {
                All { children: Fixed::new(($(Slot::Future(self.$at),)+), claim.fill($len)) }
            }
        }

        impl<X, $($F: Future),+> TryGather<ByTuple> for ($($F,)+)
        where
            $(First: Mode<$F::Output, Error = X>),+
        {
            type Outputs = ($(<First as Mode<$F::Output>>::Kept,)+);
            type Error = X;
            type All = TryAll<($(Slot<$F, First>,)+), Scan>;
            type AllIn = TryAll<($(Slot<$F, First>,)+), Claim>;

            fn try_gather(self) -> Self::All {
                TryAll { children: Fixed::new(($(Slot::Future(self.$at),)+), Scan) }
            }

            fn try_gather_in(self, claim: Claim) -> Self::AllIn {
                TryAll { children: Fixed::new(($(Slot::Future(self.$at),)+), claim.fill($len)) }
            }
        }
    )+};
}
tuples! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, F 4;
    6: A 0, B 1, C 2, D 3, F 4, G 5;
    7: A 0, B 1, C 2, D 3, F 4, G 5, H 6;
    8: A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7;
    9: A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8;
    10: A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8, K 9;
    11: A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8, K 9, L 10;
    12: A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8, K 9, L 10, N 11;
}
