//! A future that is a task to probes, on any executor.
use core::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use crate::{
    probe::{self, Polling, TaskId, WakerCache},
    wait::POLLED_AFTER_COMPLETION,
};

/// `profiled`, for every future.
pub trait ProfileExt: Future + Sized {
    /// Makes this future a task of its own in profiles and graphs: with this name, and the location of this call.
    ///
    /// With `alloc` its wakers are wrapped, so that wakes are seen: one allocation, and one more for each other waker it is
    /// polled with.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping this future gives up its place in line and nothing else.
    ///
    /// # Panics
    /// The future does when polled after completion.
    ///
    /// # Examples
    /// ```
    /// use testudo::run::{block_on, profile::{ProfileExt, Recorder}};
    ///
    /// let recording = Recorder::new().start().unwrap();
    /// block_on(async { 1 }.profiled("one"));
    /// let profile = recording.stop();
    /// assert!(profile.tasks().iter().any(|task| task.name() == "one" && task.polls() == 1));
    /// ```
    #[track_caller]
    fn profiled(self, name: &'static str) -> Profiled<Self> {
        Profiled::new(self, name, Location::caller())
    }
}

impl<F: Future> ProfileExt for F {}

pin_project! {
    /// The future of [`profiled`](ProfileExt::profiled).
    #[must_use = "futures do nothing unless polled"]
    pub struct Profiled<F> {
        #[pin]
        fut: F,
        label: Label,
        waker: WakerCache,
        done: bool,
    }

    impl<F> PinnedDrop for Profiled<F> {
        fn drop(this: Pin<&mut Self>) {
            tell!(dropped(this.label.task));
        }
    }
}

struct Label {
    task: TaskId,
    name: &'static str,
    location: &'static Location<'static>,
    /// Whether a probe was told.
    told: bool,
}

impl Label {
    fn tell(&mut self) {
        if !self.told && probe::is_on() {
            self.told = true;
            probe::spawned(self.task, Some(self.name), self.location);
        }
    }
}

impl<F: Future> Profiled<F> {
    pub(super) fn new(fut: F, name: &'static str, location: &'static Location<'static>) -> Self {
        let mut label = Label { task: TaskId::next(), name, location, told: false };
        label.tell();
        Self { fut, label, waker: WakerCache::new(), done: false }
    }

    /// Returns what probes call it.
    pub fn id(&self) -> TaskId {
        self.label.task
    }
}

impl<F: Future> Future for Profiled<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        assert!(!*this.done, "{POLLED_AFTER_COMPLETION}");
        this.label.tell();
        let task = this.label.task;
        let _polling = Polling::begin(task);
        let polled = this.waker.poll(task, cx, |cx| this.fut.poll(cx));
        if polled.is_ready() {
            *this.done = true;
            tell!(completed(task));
        }
        polled
    }
}

impl<F: Future> FusedFuture for Profiled<F> {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

impl<F> fmt::Debug for Profiled<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiled").field("name", &self.label.name).field("done", &self.done).finish_non_exhaustive()
    }
}
