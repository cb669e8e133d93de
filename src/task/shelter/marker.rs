//! On how many threads what is in a shelter may be.
#[cfg(feature = "alloc")]
use core::marker::PhantomData;

/// All that is in it is `Send`.
#[derive(Debug)]
pub struct Sendable(());

/// What is in it stays on its thread.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct Local(PhantomData<*mut ()>);
