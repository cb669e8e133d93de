//! How futures and guards reach their primitive.

use core::{marker::PhantomData, ops::Deref};

/// A way to reach a primitive: `&P`, `Rc<P>` or `Arc<P>`.
///
/// Futures and guards are generic over it, so that those which borrow and those which own share one implementation. It is
/// sealed: a handle must lead to the same primitive for as long as it lives, wherever it is moved.
pub trait Handle: Deref + Clone + sealed::Sealed {}

pub(crate) mod sealed {
    pub trait Sealed {}

    impl<P: ?Sized> Sealed for &P {}
    #[cfg(feature = "alloc")]
    impl<P: ?Sized> Sealed for alloc::rc::Rc<P> {}
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    impl<P: ?Sized> Sealed for alloc::sync::Arc<P> {}
}

impl<P: ?Sized> Handle for &P {}
#[cfg(feature = "alloc")]
impl<P: ?Sized> Handle for alloc::rc::Rc<P> {}
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<P: ?Sized> Handle for alloc::sync::Arc<P> {}

/// Marks a type that reaches a `T` for `'a` through a handle, and owns none.
pub(crate) type Reaches<'a, T> = PhantomData<(&'a (), fn() -> *const T)>;
