//! How a group without heap fails.
use core::{array, error::Error, fmt, iter, option};

use super::store::Errors;

/// Why a [`TaskGroupArray`](crate::task::TaskGroupArray) has no value: everything that failed in it, or that it was cancelled.
///
/// The errors of children stand in the order in which they happened; that of the body comes last. There is room for one of each
/// of `N` children and one of the body, and there are never more.
///
/// # asyncio
/// Same as the `ExceptionGroup` of a `TaskGroup`.
///
/// # Examples
/// ```
/// use core::future::{Ready, ready};
/// use testudo::{run::block_on, task::TaskGroupArray};
///
/// static TG: TaskGroupArray<Ready<Result<(), &str>>, 2> = TaskGroupArray::new();
///
/// let failed = block_on(TG.run(async {
///     drop(TG.spawn(ready(Err("no bread"))).unwrap());
///     drop(TG.spawn(ready(Err("no wine"))).unwrap());
///     Ok(())
/// }));
/// let error = failed.unwrap_err();
/// assert_eq!(error.first(), Some(&"no bread"));
/// assert_eq!(error.to_string(), "unhandled errors in a task group (2 in all), first: no bread");
/// ```
#[doc(alias = "ExceptionGroup")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupErrorArray<E, const N: usize> {
    first: Option<E>,
    /// Those behind the last one are `None`.
    rest: [Option<E>; N],
}

impl<E, const N: usize> GroupErrorArray<E, N> {
    /// Returns the error that ended the group; none, if it was cancelled.
    ///
    /// # Examples
    /// ```
    /// # use core::future::Ready;
    /// # use testudo::{run::block_on, task::TaskGroupArray};
    /// static TG: TaskGroupArray<Ready<Result<(), &str>>, 1> = TaskGroupArray::new();
    /// let failed = block_on(TG.run(async { Err::<(), _>("no") }));
    /// assert_eq!(failed.unwrap_err().first(), Some(&"no"));
    /// ```
    pub const fn first(&self) -> Option<&E> {
        self.first.as_ref()
    }

    /// Goes through the errors that came after the first.
    ///
    /// # Examples
    /// ```
    /// # use core::future::Ready;
    /// # use testudo::{run::block_on, task::TaskGroupArray};
    /// static TG: TaskGroupArray<Ready<Result<(), &str>>, 1> = TaskGroupArray::new();
    /// let failed = block_on(TG.run(async { Err::<(), _>("no") }));
    /// assert_eq!(failed.unwrap_err().rest().next(), None);
    /// ```
    pub fn rest(&self) -> impl Iterator<Item = &E> {
        self.rest.iter().flatten()
    }

    /// Goes through all errors, the first one first.
    ///
    /// # Examples
    /// ```
    /// # use core::future::Ready;
    /// # use testudo::{run::block_on, task::TaskGroupArray};
    /// static TG: TaskGroupArray<Ready<Result<(), &str>>, 1> = TaskGroupArray::new();
    /// let failed = block_on(TG.run(async { Err::<(), _>("no") }));
    /// assert!(failed.unwrap_err().iter().eq(&["no"]));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.first.iter().chain(self.rest())
    }

    /// Returns how many errors there are.
    ///
    /// # Examples
    /// ```
    /// # use core::future::Ready;
    /// # use testudo::{run::block_on, task::TaskGroupArray};
    /// static TG: TaskGroupArray<Ready<Result<(), &str>>, 1> = TaskGroupArray::new();
    /// let failed = block_on(TG.run(async { Err::<(), _>("no") }));
    /// assert_eq!(failed.unwrap_err().count(), 1);
    /// ```
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Says whether nothing failed: the group was cancelled before its body had a value.
    ///
    /// # Examples
    /// ```
    /// use core::future::{Ready, pending};
    /// use testudo::{run::block_on, task::TaskGroupArray};
    ///
    /// static TG: TaskGroupArray<Ready<Result<(), &str>>, 1> = TaskGroupArray::new();
    /// TG.cancel();
    /// let outcome = block_on(TG.run(pending::<Result<(), _>>()));
    /// assert!(outcome.unwrap_err().is_cancelled());
    /// ```
    pub const fn is_cancelled(&self) -> bool {
        self.first.is_none()
    }
}

impl<E, const N: usize> Errors<E> for GroupErrorArray<E, N> {
    fn new() -> Self {
        Self { first: None, rest: [const { None }; N] }
    }

    fn push(&mut self, error: E) {
        let mut places = iter::once(&mut self.first).chain(&mut self.rest);
        let place =
            places.find(|place| place.is_none()).expect("a child fails once, and none starts after the first error");
        *place = Some(error);
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled()
    }
}

impl<E, const N: usize> IntoIterator for GroupErrorArray<E, N> {
    type Item = E;
    type IntoIter = iter::Chain<option::IntoIter<E>, iter::Flatten<array::IntoIter<Option<E>, N>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest.into_iter().flatten())
    }
}

impl<E: fmt::Display, const N: usize> fmt::Display for GroupErrorArray<E, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.first {
            Some(first) => write!(f, "unhandled errors in a task group ({} in all), first: {first}", self.count()),
            None => f.write_str("the task group was cancelled"),
        }
    }
}

impl<E: Error + 'static, const N: usize> Error for GroupErrorArray<E, N> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.first.as_ref().map(|first| first as _)
    }
}
