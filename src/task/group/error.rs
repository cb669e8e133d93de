//! How a group fails.
use alloc::vec::Vec;
use core::{error::Error, fmt};

use super::store::Errors;

/// Why a group has no value: everything that failed in it, or that it was cancelled.
///
/// The errors of children stand in the order in which they happened; that of the body comes last. One error needs no
/// memory beyond itself. It is an [`Error`] if `E` is one, which `String` and `Box<dyn Error>` are not: for `?` write
/// `.map_err(|group| group.to_string())?`, or take the first error.
///
/// # asyncio
/// Same as the `ExceptionGroup` of a `TaskGroup`. A nested group's error is an error of the outer one if the body says so.
///
/// # Examples
/// ```
/// use testudo::{run::block_on, task::TaskGroup};
///
/// let tg = TaskGroup::new();
/// let failed = block_on(tg.run(async {
///     drop(tg.spawn(async { Err::<(), _>("no bread") }));
///     drop(tg.spawn(async { Err::<(), _>("no wine") }));
///     Ok(())
/// }));
/// let error = failed.unwrap_err();
/// assert_eq!(error.first(), Some(&"no bread"));
/// assert_eq!(error.to_string(), "unhandled errors in a task group (2 in all), first: no bread");
/// ```
#[doc(alias = "ExceptionGroup")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupError<E> {
    first: Option<E>,
    rest: Vec<E>,
    lost: usize,
}

impl<E> GroupError<E> {
    pub(crate) const fn new() -> Self {
        Self { first: None, rest: Vec::new(), lost: 0 }
    }

    #[cfg(target_has_atomic = "ptr")]
    pub(crate) const fn of_lost(lost: usize) -> Self {
        Self { first: None, rest: Vec::new(), lost }
    }

    pub(crate) fn push(&mut self, error: E) {
        match self.first {
            None => self.first = Some(error),
            Some(_) => self.rest.push(error),
        }
    }

    /// Returns the error that ended the group; none, if it was cancelled.
    ///
    /// # Examples
    /// ```
    /// # use testudo::{run::block_on, task::TaskGroup};
    /// let tg = TaskGroup::new();
    /// let failed = block_on(tg.run(async { Err::<(), _>("no") }));
    /// assert_eq!(failed.unwrap_err().first(), Some(&"no"));
    /// ```
    pub fn first(&self) -> Option<&E> {
        self.first.as_ref()
    }

    /// Returns the errors that came after the first.
    ///
    /// # Examples
    /// ```
    /// # use testudo::{run::block_on, task::TaskGroup};
    /// let tg = TaskGroup::new();
    /// let failed = block_on(tg.run(async { Err::<(), _>("no") }));
    /// assert!(failed.unwrap_err().rest().is_empty());
    /// ```
    pub fn rest(&self) -> &[E] {
        &self.rest
    }

    /// Returns how many errors there are.
    ///
    /// # Examples
    /// ```
    /// # use testudo::{run::block_on, task::TaskGroup};
    /// let tg = TaskGroup::new();
    /// let failed = block_on(tg.run(async { Err::<(), _>("no") }));
    /// assert_eq!(failed.unwrap_err().count(), 1);
    /// ```
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Says whether nothing failed: the group was cancelled before its body had a value.
    ///
    /// # Examples
    /// ```
    /// use core::{convert::Infallible, future::pending};
    /// use testudo::{run::block_on, task::TaskGroup};
    ///
    /// let tg = TaskGroup::new();
    /// tg.cancel();
    /// let outcome = block_on(tg.run(pending::<Result<(), Infallible>>()));
    /// assert!(outcome.unwrap_err().is_cancelled());
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.first.is_none() && self.lost == 0
    }

    /// Returns how many children of a [`SpawnedGroup`](crate::task::SpawnedGroup) were dropped or refused by their executor.
    ///
    /// # Examples
    /// ```
    /// use testudo::{run::block_on, task::{BoxTask, SpawnedGroup}};
    ///
    /// let group = SpawnedGroup::<_, ()>::new(|task: BoxTask| drop(task));
    /// let child = group.spawn(async { Ok(()) });
    /// assert_eq!(block_on(group.join()).unwrap_err().lost(), 1);
    /// assert!(child.is_finished());
    /// ```
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Goes through all errors, the first one first.
    ///
    /// # Examples
    /// ```
    /// # use testudo::{run::block_on, task::TaskGroup};
    /// let tg = TaskGroup::new();
    /// let failed = block_on(tg.run(async { Err::<(), _>("no") }));
    /// let error = failed.unwrap_err();
    /// assert!(error.iter().eq(&["no"]));
    /// for error in &error {
    ///     assert_eq!(*error, "no");
    /// }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.into_iter()
    }
}

impl<E> Errors<E> for GroupError<E> {
    fn new() -> Self {
        Self::new()
    }

    fn push(&mut self, error: E) {
        self.push(error);
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled()
    }
}

impl<E> IntoIterator for GroupError<E> {
    type Item = E;
    type IntoIter = core::iter::Chain<core::option::IntoIter<E>, alloc::vec::IntoIter<E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

/// As [`iter`](GroupError::iter).
impl<'a, E> IntoIterator for &'a GroupError<E> {
    type Item = &'a E;
    type IntoIter = core::iter::Chain<core::option::Iter<'a, E>, core::slice::Iter<'a, E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.iter().chain(&self.rest)
    }
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.first {
            Some(first) => write!(f, "unhandled errors in a task group ({} in all), first: {first}", self.count()),
            None if self.lost > 0 => f.write_str("a task group has lost tasks"),
            None => f.write_str("the task group was cancelled"),
        }?;
        if self.lost > 0 { write!(f, " ({} dropped by the executor)", self.lost) } else { Ok(()) }
    }
}

impl<E: Error + 'static> Error for GroupError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.first.as_ref().map(|first| first as _)
    }
}
