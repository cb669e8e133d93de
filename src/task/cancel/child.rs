//! A token that hangs in another one's line.
#![allow(unsafe_code)]
// The labels are those declared in cancel.rs.
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Waker},
};

use super::{Below, CancelToken, admit};
use crate::wait::{Admit, Bits, Handle, Held, Node, Source, Token, Wait, WaitList};

/// How a child reaches its parent.
pub(super) trait Parent {
    fn parent(&self) -> &CancelToken;
}

impl<H: Handle<Target = CancelToken>> Parent for H {
    fn parent(&self) -> &CancelToken {
        self
    }
}

/// The wait of a child in its parent's line.
pub(super) struct Link<P> {
    token: CancelToken,
    parent: P,
}

impl<P: Parent> Link<P> {
    /// The token of the link that `node` begins.
    ///
    /// # Safety
    /// (a) as for [`Wait::source_of`], with a live `Wait<Link<P>>`.
    unsafe fn token_of(node: *const Node) -> *const CancelToken {
        // SAFETY: (a).
        &raw const unsafe { Wait::<Self>::source_of(node) }.token
    }
}

impl<P: Parent> Source for Link<P> {
    const VERB: &'static str = "CancelToken::child";

    type Output = ();
    type Header = Below;

    fn header(&self) -> Below {
        Some(Self::token_of)
    }

    fn list(&self) -> &WaitList {
        &self.parent.parent().list
    }

    fn admit(&self, bits: Bits) -> Admit {
        admit(bits)
    }

    fn settle(&self, held: Held<'_>) {
        self.parent.parent().settle(held);
    }

    fn finish(&self, _: Token) -> Option<()> {
        Some(())
    }

    fn give_back(&self, _: Token) {} // nobody else was owed it
}

pin_project_lite::pin_project! {
    /// A token and its link.
    pub(super) struct Hanging<P>
    where
        P: Parent,
    {
        #[pin]
        link: Wait<Link<P>>,
        linked: bool,
    }
}

impl<P: Parent> Hanging<P> {
    pub(super) fn new(parent: P) -> Self {
        Self { link: Wait::new(Link { token: CancelToken::new(), parent }, false), linked: false }
    }

    /// Gets it in the parent's line, once; cancels it, if the parent is.
    pub(super) fn hang(self: Pin<&mut Self>) -> &CancelToken {
        let this = self.project();
        let mut link = this.link;
        if !core::mem::replace(this.linked, true) {
            // The first poll gets it in line, or finds the parent cancelled; there is no other.
            let cx = &mut Context::from_waker(Waker::noop());
            if link.as_mut().poll(cx).is_ready() {
                link.source().token.cancel();
            }
        }
        &link.into_ref().get_ref().source().token
    }

    /// The token, in a tree or not.
    pub(super) fn token(&self) -> &CancelToken {
        &self.link.source().token
    }
}

pin_project_lite::pin_project! {
    /// A child of a [`CancelToken`], made by [`CancelToken::child`].
    ///
    /// Its memory is its own: pin it where it is to live, and take its [`token`](ChildToken::token). Dropping it takes it out of
    /// the tree; the parent goes on without it.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping it gives up its place in the tree and nothing else.
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use testudo::task::CancelToken;
    ///
    /// let parent = CancelToken::new();
    /// let child = pin!(parent.child());
    /// let child = child.token();
    /// child.cancel();
    /// assert!(!parent.is_cancelled());
    /// ```
    #[must_use = "a child takes part in its tree once its `token` is taken"]
    pub struct ChildToken<H>
    where
        H: Handle<Target = CancelToken>,
    {
        #[pin]
        hanging: Hanging<H>,
    }
}

impl<H: Handle<Target = CancelToken>> ChildToken<H> {
    pub(super) fn new(parent: H) -> Self {
        Self { hanging: Hanging::new(parent) }
    }

    /// Returns the token, which is part of the parent's tree from now on; cancelled, if the parent is.
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use testudo::task::CancelToken;
    ///
    /// let parent = CancelToken::new();
    /// parent.cancel();
    /// let child = pin!(parent.child());
    /// assert!(child.token().is_cancelled());
    /// ```
    ///
    /// A child that is not pinned has no token:
    /// ```compile_fail,E0599
    /// let parent = testudo::task::CancelToken::new();
    /// let child = parent.child();
    /// child.token();
    /// ```
    pub fn token(self: Pin<&mut Self>) -> &CancelToken {
        self.project().hanging.hang()
    }
}

impl<H: Handle<Target = CancelToken>> fmt::Debug for ChildToken<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hanging { linked, .. } = self.hanging;
        f.debug_struct("ChildToken").field("token", self.hanging.token()).field("linked", &linked).finish()
    }
}
