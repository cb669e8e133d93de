//! On how many threads what is in a group or in a shelter may be.
#[cfg(feature = "alloc")]
use core::marker::PhantomData;

/// The children of a `TaskGroup`, and what is in a `Shelter`, are `Send`, and so is what drives them.
#[derive(Debug)]
pub enum Sendable {}

/// The children of a `LocalTaskGroup`, and what is in a `LocalShelter`, need not be `Send`: they stay on their thread.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct Local(PhantomData<*mut ()>);
