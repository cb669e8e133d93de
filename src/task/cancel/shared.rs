//! Tokens that are owned together.
#![allow(unsafe_code)]
// INVARIANTS  I1 the child is in an `Arc` from its making to its end, and is never moved out of it.
use alloc::sync::Arc;
use core::{fmt, ops::Deref, pin::Pin};

use super::{
    CancelToken,
    child::{Hanging, Parent},
};
use crate::wait::{Handle, handle::sealed::Sealed};

impl Parent for Option<SharedToken> {
    fn parent(&self) -> &CancelToken {
        match self {
            Some(token) => token,
            None => unreachable!("a root is in no line"),
        }
    }
}

/// A [`CancelToken`] behind a reference count: cloned and moved at will, so that tasks can own it.
///
/// A clone is the same token. A [`child`](SharedToken::child) keeps its parent alive, not the other way round: it leaves
/// the tree when its last clone is dropped, and drops the parent if nobody else has it: the stack that takes grows with the
/// depth of the tree. One allocation each.
///
/// # Examples
/// ```
/// use testudo::{run::block_on, task::{Cancelled, SharedToken}};
///
/// let shutdown = SharedToken::new();
/// let child = shutdown.child();
/// let task = std::thread::spawn(move || block_on(child.run(core::future::pending::<()>())));
/// shutdown.cancel();
/// assert_eq!(task.join().unwrap(), Err(Cancelled));
/// ```
#[doc(alias = "CancellationToken")]
#[derive(Clone)]
pub struct SharedToken(Arc<Hanging<Option<SharedToken>>>);

impl SharedToken {
    /// Returns a token that is not cancelled.
    ///
    /// # Examples
    /// ```
    /// assert!(!testudo::task::SharedToken::new().is_cancelled());
    /// ```
    pub fn new() -> Self {
        Self(Arc::new(Hanging::new(None)))
    }

    /// Returns a child: cancelled with this token, or alone.
    ///
    /// # Examples
    /// ```
    /// use testudo::task::SharedToken;
    ///
    /// let parent = SharedToken::new();
    /// let (one, two) = (parent.child(), parent.child().child());
    /// one.cancel();
    /// assert!(!parent.is_cancelled());
    /// parent.cancel();
    /// assert!(two.is_cancelled());
    /// ```
    #[doc(alias = "child_token")]
    pub fn child(&self) -> Self {
        let mut child = Arc::new(Hanging::new(Some(self.clone())));
        if let Some(alone) = Arc::get_mut(&mut child) {
            // SAFETY: I1.
            unsafe { Pin::new_unchecked(alone) }.hang();
        }
        Self(child)
    }
}

impl Default for SharedToken {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for SharedToken {
    type Target = CancelToken;

    #[inline]
    fn deref(&self) -> &CancelToken {
        self.0.token()
    }
}

impl Sealed for SharedToken {}
impl Handle for SharedToken {}

impl fmt::Debug for SharedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedToken").field(&**self).finish()
    }
}
