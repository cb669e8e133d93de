//! Futures that are tasks to probes without anybody's doing: children of groups, and what is in shelters.
// STATE       untold: no probe wanted it when it was made, and it never is a task
//             told: --T1 a poll--> ... --T2 ready: completed--> --T3 dropped, with what it holds: released, gone
// INVARIANTS  I1 a Tag outlives its future, and says nothing of it but who it is.
// CANCEL      T3 comes after the drop of the future itself: its waits are over by then.
use alloc::{boxed::Box, sync::Arc};
use core::{
    future::Future,
    ops::Range,
    panic::Location,
    pin::Pin,
    ptr,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{
    Event, Polling, Resource, TaskId, WakerCache, completed, dropped, is_on, join_blocked, join_cancelled,
    join_resumed, slots, spawned,
};
use crate::sys::fixed::{AtomicUsize, Ordering::*};

pin_project! {
    /// A future that is a task to probes, if one was installed when it was made.
    pub(crate) struct Told<F> {
        #[pin]
        fut: F,
        life: Option<Box<Life>>,
    }
}

/// Who a told future is.
#[derive(Debug)]
struct Label {
    task: TaskId,
    /// How others wait for it.
    verb: &'static str,
    /// What is had by it: the address, or 0.
    held: AtomicUsize,
    /// Whether its handle waits, and that was told: 0 or 1.
    waits: AtomicUsize,
}

/// A task from its first poll to its end.
struct Life {
    label: Arc<Label>,
    waker: WakerCache,
}

/// Who a future is to probes, if anybody: for those who wait for it.
#[derive(Clone, Debug)]
pub(crate) struct Tag(Option<Arc<Label>>);

/// Makes a future a task with this name, for which others wait by `verb`.
#[inline(always)]
#[track_caller]
pub(crate) fn told<F>(fut: F, name: &'static str, verb: &'static str) -> (Told<F>, Tag) {
    let tag = if is_on() && slots::wants_children() { Tag::new(name, verb, Location::caller()) } else { Tag::none() };
    let life = tag.life();
    (Told { fut, life }, tag)
}

impl Tag {
    /// That of a future that is no task.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    #[cold]
    fn new(name: &str, verb: &'static str, location: &'static Location<'static>) -> Self {
        let task = TaskId::next();
        spawned(task, Some(name), location);
        Self(Some(Arc::new(Label { task, verb, held: AtomicUsize::new(0), waits: AtomicUsize::new(0) })))
    }

    #[inline(always)]
    fn life(&self) -> Option<Box<Life>> {
        let label = self.0.as_ref()?;
        Some(Box::new(Life { label: Arc::clone(label), waker: WakerCache::new() }))
    }

    /// The future's handle waits for its end.
    #[inline(always)]
    pub(crate) fn awaited(&self) {
        self.tell(join_blocked, 0..1, 1);
    }

    /// The handle sees its end.
    #[inline(always)]
    pub(crate) fn joined(&self) {
        self.tell(join_resumed, 0..2, 0);
    }

    /// The handle is gone, and waits no more.
    #[inline(always)]
    pub(crate) fn left(&self) {
        self.tell(join_cancelled, 1..2, 0);
    }

    /// If the handle waits as `before` says, and `after` afterwards.
    #[inline(always)]
    fn tell(&self, what: fn(Option<TaskId>, usize), before: Range<usize>, after: usize) {
        if let Some(label) = self.0.as_ref().filter(|_| is_on()) {
            label.tell(what, before, after);
        }
    }

    /// Who waits at this address waits for the future, until it is dropped.
    #[inline(always)]
    pub(crate) fn holds<T>(&self, at: &T) {
        if let Some(label) = &self.0 {
            label.holds(ptr::from_ref(at).addr());
        }
    }
}

impl Label {
    #[cold]
    fn holds(&self, address: usize) {
        // ORDER: relaxed: read by whoever drops the future, which nobody else has by now
        self.held.store(address, Relaxed);
        let on = Resource::new(address, self.verb);
        slots::emit(&Event::Acquired { task: Some(self.task), on, n: 1 });
    }

    #[cold]
    fn tell(&self, what: fn(Option<TaskId>, usize), before: Range<usize>, after: usize) {
        // ORDER: relaxed: the handle alone has it
        if before.contains(&self.waits.load(Relaxed)) {
            // ORDER: relaxed: as above
            self.waits.store(after, Relaxed);
            what(Some(self.task), ptr::from_ref(self).addr());
        }
    }
}

impl Life {
    /// T1, T2.
    #[cold]
    fn poll<R>(&mut self, cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
        let task = self.label.task;
        let _polling = Polling::begin(task);
        let polled = self.waker.poll(task, cx, poll);
        if polled.is_ready() && is_on() {
            completed(task);
        }
        polled
    }
}

impl Drop for Life {
    /// T3.
    fn drop(&mut self) {
        if !is_on() {
            return;
        }
        let Label { task, verb, ref held, .. } = *self.label;
        // ORDER: relaxed: as in `holds`
        let address = held.load(Relaxed);
        if address != 0 {
            slots::emit(&Event::Released { task: Some(task), on: Resource::new(address, verb), n: 1 });
        }
        dropped(task);
    }
}

impl<F: Future> Future for Told<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.life {
            None => this.fut.poll(cx),
            Some(life) => life.poll(cx, |cx| this.fut.poll(cx)),
        }
    }
}
