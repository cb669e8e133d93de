//! Wakers that tell of wakes.
pub(crate) use cache::WakerCache;

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod cache {
    use alloc::{sync::Arc, task::Wake};
    use core::task::{Context, Poll, Waker};

    use crate::probe::TaskId;

    struct Telling {
        task: TaskId,
        inner: Waker,
    }

    impl Wake for Telling {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            tell!(woken(self.task));
            self.inner.wake_by_ref();
        }
    }

    /// The wrapped waker of the last poll, and which it wraps.
    pub(crate) struct WakerCache(Option<(Waker, Waker)>);

    impl WakerCache {
        pub(crate) const fn new() -> Self {
            Self(None)
        }

        pub(crate) fn poll<R>(
            &mut self,
            task: TaskId,
            cx: &mut Context<'_>,
            poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
        ) -> Poll<R> {
            if !self.0.as_ref().is_some_and(|(inner, _)| inner.will_wake(cx.waker())) {
                let inner = cx.waker().clone();
                let telling = Waker::from(Arc::new(Telling { task, inner: inner.clone() }));
                self.0 = Some((inner, telling));
            }
            match &self.0 {
                Some((_, telling)) => poll(&mut Context::from_waker(telling)),
                None => poll(cx),
            }
        }
    }
}
/// Without alloc the wakers are passed on as they are.
#[cfg(not(all(feature = "alloc", target_has_atomic = "ptr")))]
mod cache {
    use core::task::{Context, Poll};

    use crate::probe::TaskId;

    pub(crate) struct WakerCache;

    impl WakerCache {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) fn poll<R>(
            &mut self,
            _: TaskId,
            cx: &mut Context<'_>,
            poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
        ) -> Poll<R> {
            poll(cx)
        }
    }
}
