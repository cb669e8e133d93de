//! Generators that are allocated: they have a name, can be stored and moved, and are `Send` whatever their items borrow.
use alloc::boxed::Box;
use core::{
    fmt,
    future::Future,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    pin::Pin,
};

use super::{AsyncGen, Closed, Emitter, body};

/// A generator on the heap, made by [`generator_boxed`](super::generator_boxed()): a stream, `Send` and `Unpin`.
pub type BoxGen<'e, T> = Pin<Box<dyn AsyncGen<Item = T> + Send + 'e>>;

/// Returns a generator on the heap: a type that can be named, moved while it runs, and sent, also if `T` borrows.
///
/// The body is boxed by whoever writes it, so that rustc looks at it there and then, and not where it is used. Two
/// allocations: the generator, and with the first poll the body. As for the rest, see [`generator`](super::generator()).
///
/// # Examples
/// ```
/// use testudo::{flow::{BoxGen, generator_boxed, next}, run::block_on};
///
/// fn words(text: &str) -> BoxGen<'_, &str> {
///     generator_boxed(move |mut y| {
///         Box::pin(async move {
///             for word in text.split(' ') {
///                 y.emit(word).await?;
///             }
///             Ok(())
///         })
///     })
/// }
///
/// let text = String::from("a b");
/// let mut words = words(&text);
/// std::thread::scope(|threads| {
///     threads.spawn(|| assert_eq!(block_on(next(&mut words)), Some("a")));
/// });
/// assert_eq!(block_on(next(&mut words)), Some("b"));
/// ```
pub fn generator_boxed<'e, T, F>(body: F) -> BoxGen<'e, T>
where
    T: Send + 'e,
    F: for<'g> FnOnce(BoxEmitter<'g, 'e, T>) -> BoxBody<'g> + Send + 'e,
{
    body::boxed(body)
}

/// The body of a [`generator_boxed`](super::generator_boxed()).
pub type BoxBody<'g> = Pin<Box<dyn Future<Output = Result<(), Closed>> + Send + 'g>>;

/// The [`Emitter`] of a boxed generator, which it dereferences to: `'e` is what the generator may borrow.
pub struct BoxEmitter<'g, 'e, T> {
    emitter: Emitter<'g, T>,
    /// Says that 'e outlives 'g, so that a body of any 'g may borrow for 'e.
    _outside: PhantomData<&'g &'e ()>,
}

impl<'g, T> BoxEmitter<'g, '_, T> {
    pub(super) fn new(emitter: Emitter<'static, T>) -> Self {
        Self { emitter: emitter.within(), _outside: PhantomData }
    }
}

impl<'g, T> Deref for BoxEmitter<'g, '_, T> {
    type Target = Emitter<'g, T>;

    fn deref(&self) -> &Emitter<'g, T> {
        &self.emitter
    }
}

impl<T> DerefMut for BoxEmitter<'_, '_, T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.emitter
    }
}

impl<T> fmt::Debug for BoxEmitter<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.emitter.fmt(f)
    }
}
