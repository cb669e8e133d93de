//! Generators of results, whose body ends with `?`.
use core::fmt;

use super::{
    AsyncGen, Emit, Emitter,
    body::{self, Ending, Refusal},
};

/// Returns a generator of results: what `body` emits comes as `Ok`, and an error that ends the body as the last item.
///
/// In the body, `?` passes on whatever is an [`Error`](core::error::Error) and converts into `E`; for another type write
/// `.map_err(Stop::Failed)?`. As for the rest, see [`generator`](super::generator()).
///
/// # asyncio
/// Same as an `async def` with `yield` that raises. An error of the clean-up, which `aclose` would raise, is the one item
/// that comes after [`aclose`](AsyncGen::aclose).
///
/// # Examples
/// ```
/// use core::{num::ParseIntError, pin::pin};
/// use testudo::{flow::{next, try_generator}, run::block_on};
///
/// let text = "1 2 x 4";
/// let mut numbers = pin!(try_generator(async |mut y| {
///     for word in text.split(' ') {
///         y.emit(word.parse::<u32>()?).await?;
///     }
///     Ok(())
/// }));
/// let mut all: Vec<Result<u32, ParseIntError>> = vec![];
/// while let Some(item) = block_on(next(&mut numbers)) {
///     all.push(item);
/// }
/// assert_eq!(all[..2], [Ok(1), Ok(2)]);
/// assert!(all[2].is_err() && all.len() == 3);
/// ```
pub fn try_generator<T, E, F>(body: F) -> impl AsyncGen<Item = Result<T, E>>
where
    F: for<'g> AsyncFnOnce(TryEmitter<'g, T, E>) -> Result<(), Stop<E>>,
{
    body::fallible(body)
}

/// The [`Emitter`] of a generator of results.
pub struct TryEmitter<'g, T, E>(pub(super) Emitter<'g, Result<T, E>>);

impl<T, E> TryEmitter<'_, T, E> {
    /// Gives an `Ok` item to the consumer, as [`Emitter::emit`] does.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping this future loses the item, if the one before it is still on its way.
    ///
    /// # Errors
    /// [`Stop::Closed`] when the generator is being closed.
    ///
    /// # Panics
    /// When polled after completion.
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use testudo::{flow::{Stop, next, try_generator}, run::block_on};
    ///
    /// let mut one = pin!(try_generator(async |mut y| {
    ///     y.emit(1).await?;
    ///     Err(Stop::Failed("no more"))
    /// }));
    /// assert_eq!(block_on(next(&mut one)), Some(Ok(1)));
    /// assert_eq!(block_on(next(&mut one)), Some(Err("no more")));
    /// assert_eq!(block_on(next(&mut one)), None);
    /// ```
    #[doc(alias = "yield")]
    #[inline(always)]
    pub fn emit(&mut self, item: T) -> Emit<'_, Result<T, E>, Stop<E>> {
        self.0.emit_as(Ok(item))
    }

    /// Says whether the generator is being closed.
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use testudo::{flow::{next, try_generator}, run::block_on};
    ///
    /// let mut all = pin!(try_generator::<bool, std::io::Error, _>(async |mut y| {
    ///     y.emit(y.is_closing()).await
    /// }));
    /// assert!(matches!(block_on(next(&mut all)), Some(Ok(false))));
    /// ```
    pub fn is_closing(&self) -> bool {
        self.0.is_closing()
    }
}

impl<T, E> fmt::Debug for TryEmitter<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryEmitter").field("closing", &self.is_closing()).finish()
    }
}

/// Why the body of a [`try_generator`](super::try_generator()) ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop<E> {
    /// The generator is being closed.
    Closed,
    /// It has failed; this is the last item.
    Failed(E),
}

/// For `?`. `Stop` itself is no `Error`, so that this does not meet `From<T> for T`.
impl<E: From<X>, X: core::error::Error> From<X> for Stop<E> {
    fn from(error: X) -> Self {
        Self::Failed(E::from(error))
    }
}

impl<E> Refusal for Stop<E> {
    #[inline(always)]
    fn closed() -> Self {
        Self::Closed
    }
}

impl<T, E> Ending<Result<T, E>> for Result<(), Stop<E>> {
    #[inline(always)]
    fn last(self) -> Option<Result<T, E>> {
        match self {
            Ok(()) | Err(Stop::Closed) => None,
            Err(Stop::Failed(error)) => Some(Err(error)),
        }
    }
}
