//! A future that ends with a token.
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;

use super::{CancelToken, CancelWait, Cancelled};
use crate::{
    task::timeout::{Elapsed, Timeout, timeout},
    wait::Handle,
};

pin_project_lite::pin_project! {
    /// The future of [`CancelToken::run`]: a timeout with the token as its deadline.
    #[must_use = "futures do nothing unless polled"]
    pub struct CancelRun<F, H>
    where
        H: Handle<Target = CancelToken>,
    {
        #[pin]
        inner: Timeout<CancelWait<H>, F>,
    }
}

impl<F: Future, H: Handle<Target = CancelToken>> CancelRun<F, H> {
    pub(super) fn new(fut: F, cancelled: CancelWait<H>) -> Self {
        Self { inner: timeout(cancelled, fut) }
    }
}

impl<F: Future, H: Handle<Target = CancelToken>> Future for CancelRun<F, H> {
    type Output = Result<F::Output, Cancelled>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx).map_err(|Elapsed| Cancelled)
    }
}

impl<F: Future, H: Handle<Target = CancelToken>> FusedFuture for CancelRun<F, H> {
    fn is_terminated(&self) -> bool {
        self.inner.is_terminated()
    }
}

impl<F: Future, H: Handle<Target = CancelToken>> fmt::Debug for CancelRun<F, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelRun").field("done", &self.inner.is_terminated()).finish_non_exhaustive()
    }
}
