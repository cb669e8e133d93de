//! `gather` and `try_gather` of vectors and iterators.
use alloc::vec::Vec;
use core::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;

use super::{
    children::Row,
    gather::{Gather, TryGather},
    ready::Claim,
};

/// A vector of futures.
#[derive(Debug)]
pub enum ByVec {}

/// An iterator of futures.
#[derive(Debug)]
pub enum ByIterator {}

/// The future of [`gather`](super::gather()) of a `Vec` or an iterator.
#[must_use = "futures do nothing unless polled"]
pub struct AllVec<F: Future> {
    children: Row<F, F::Output>,
}

impl<F: Future> Future for AllVec<F> {
    type Output = Vec<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let children = &mut self.get_mut().children;
        match children.poll(cx, |_, output| Ok::<_, Infallible>(output)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(children.take()),
            Poll::Ready(Some(never)) => match never {},
        }
    }
}

impl<F: Future> FusedFuture for AllVec<F> {
    fn is_terminated(&self) -> bool {
        self.children.is_done()
    }
}

impl<F: Future> fmt::Debug for AllVec<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AllVec").field(&self.children).finish()
    }
}

/// The future of [`try_gather`](super::try_gather) of a `Vec` or an iterator.
#[must_use = "futures do nothing unless polled"]
pub struct TryAllVec<F: Future<Output = Result<T, E>>, T, E> {
    children: Row<F, T>,
    _error: core::marker::PhantomData<fn() -> E>,
}

impl<F: Future<Output = Result<T, E>>, T, E> TryAllVec<F, T, E> {
    /// With other children, made of these, none of which was polled.
    pub(super) fn change<G, X>(self, make: impl FnOnce(Vec<F>) -> Vec<G>) -> TryAllVec<G, T, X>
    where
        G: Future<Output = Result<T, X>>,
    {
        TryAllVec { children: self.children.change(make), _error: core::marker::PhantomData }
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> Future for TryAllVec<F, T, E> {
    type Output = Result<Vec<T>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let children = &mut self.get_mut().children;
        match children.poll(cx, |_, output| output) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Ok(children.take())),
            Poll::Ready(Some(error)) => {
                children.clear();
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> FusedFuture for TryAllVec<F, T, E> {
    fn is_terminated(&self) -> bool {
        self.children.is_done()
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> fmt::Debug for TryAllVec<F, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryAllVec").field(&self.children).finish()
    }
}

impl<F: Future> Gather<ByVec> for Vec<F> {
    type Outputs = Vec<F::Output>;
    type All = AllVec<F>;
    type AllIn = AllVec<F>;

    fn gather(self) -> AllVec<F> {
        AllVec { children: Row::new(self) }
    }

    fn gather_in(self, claim: Claim) -> AllVec<F> {
        AllVec { children: Row::with_claim(self, claim) }
    }
}

impl<I: Iterator<Item: Future>> Gather<ByIterator> for I {
    type Outputs = Vec<<I::Item as Future>::Output>;
    type All = AllVec<I::Item>;
    type AllIn = AllVec<I::Item>;

    fn gather(self) -> Self::All {
        self.collect::<Vec<_>>().gather()
    }

    fn gather_in(self, claim: Claim) -> Self::AllIn {
        self.collect::<Vec<_>>().gather_in(claim)
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> TryGather<ByVec> for Vec<F> {
    type Outputs = Vec<T>;
    type Error = E;
    type All = TryAllVec<F, T, E>;
    type AllIn = TryAllVec<F, T, E>;

    fn try_gather(self) -> Self::All {
        TryAllVec { children: Row::new(self), _error: core::marker::PhantomData }
    }

    fn try_gather_in(self, claim: Claim) -> Self::AllIn {
        TryAllVec { children: Row::with_claim(self, claim), _error: core::marker::PhantomData }
    }
}

impl<I: Iterator<Item: Future<Output = Result<T, E>>>, T, E> TryGather<ByIterator> for I {
    type Outputs = Vec<T>;
    type Error = E;
    type All = TryAllVec<I::Item, T, E>;
    type AllIn = TryAllVec<I::Item, T, E>;

    fn try_gather(self) -> Self::All {
        self.collect::<Vec<_>>().try_gather()
    }

    fn try_gather_in(self, claim: Claim) -> Self::AllIn {
        self.collect::<Vec<_>>().try_gather_in(claim)
    }
}
