//! The way from a waker back to its simulation: a lock-free stack of slot numbers that any thread may push to.
//!
//! What is pushed is the number of the task's slot, not a pointer, so the stack needs neither memory nor `unsafe`.
// STATE       queued: false --T1 wake--> true (and pushed) --T2 its poll begins--> false
//                     T3 the task has ended: true, so a waker kept too long does nothing
//                     T6 no such waker is left: false, for the next task of the slot
//             head: EMPTY, or the slot pushed last; T4 push, T5 drain takes all of them
//             external: how many `External` are alive
// INVARIANTS  I1 only who did T1 pushes: a slot is at most once on the stack or in the queue.
//             I2 `next` belongs to who did T1 until T5 has read it.
//             I3 a slot is given to another task only when it is on neither: a pushed number always finds its header.
// EDGES       E1 T1 (release) -> T2 (acquire): what was written before a wake is seen by the poll that follows it.
//             E2 T4 (release) -> T5 (acquire): the links.
//             E3 drop of an External (release) -> has_external (acquire): wakes before it are on the stack by then.
// INTERRUPT   wake: yes; T1 is O(1), T4 is lock-free.
use alloc::{sync::Arc, task::Wake, vec::Vec};

#[cfg(feature = "profile")]
use crate::probe::TaskId;
use crate::{
    sys::atomic::{AtomicBool, AtomicUsize, Ordering::*, fence},
    wait::cell::WaitCell,
};

const EMPTY: usize = usize::MAX;

/// What a simulation shares with its wakers and with other threads.
#[derive(Debug)]
pub(super) struct Ready {
    head: AtomicUsize,
    external: AtomicUsize,
    /// The thread of the simulation, while it sleeps.
    idle: WaitCell,
}

impl Ready {
    pub(super) fn new() -> Self {
        Self { head: AtomicUsize::new(EMPTY), external: AtomicUsize::new(0), idle: WaitCell::new() }
    }

    /// T4.
    fn push(&self, header: &Header) {
        // ORDER: relaxed: the exchange checks it
        let mut head = self.head.load(Relaxed);
        loop {
            // I1, I2. ORDER: relaxed: E2 publishes it
            header.next.store(head, Relaxed);
            // ORDER: E2 release
            match self.head.compare_exchange_weak(head, header.slot, Release, Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        if head == EMPTY {
            self.idle.wake();
        }
    }

    /// T5: appends what was pushed to `list`, the newest first.
    pub(super) fn drain<'a>(&self, list: &mut Vec<usize>, header: impl Fn(usize) -> &'a Header) {
        if self.is_empty() {
            return;
        }
        // ORDER: E2 acquire
        let mut slot = self.head.swap(EMPTY, Acquire);
        while slot != EMPTY {
            list.push(slot);
            // I2, I3. ORDER: relaxed: E2 published it
            slot = header(slot).next.load(Relaxed);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        // ORDER: relaxed: T5 follows, or E3 came before
        self.head.load(Relaxed) == EMPTY
    }

    pub(super) fn has_external(&self) -> bool {
        // ORDER: E3 acquire
        self.external.load(Acquire) != 0
    }

    /// Sleeps until something was pushed or no external source is left.
    #[cfg(feature = "std")]
    pub(super) fn sleep(&self) {
        use core::{future::poll_fn, task::Poll};

        crate::wait::thread::park_until_ready(poll_fn(|cx| {
            self.idle.register(cx.waker());
            if self.is_empty() && self.has_external() { Poll::Pending } else { Poll::Ready(()) }
        }));
        drop(self.idle.take());
    }

    /// Spins until something was pushed or no external source is left.
    #[cfg(not(feature = "std"))]
    pub(super) fn sleep(&self) {
        while self.is_empty() && self.has_external() {
            core::hint::spin_loop();
        }
    }
}

/// The part of a task that its wakers keep: it outlives the task, not more than these words.
#[derive(Debug)]
pub(super) struct Header {
    slot: usize,
    /// The number of the probes for the task: T6 hands a header on to another.
    #[cfg(feature = "profile")]
    task: AtomicUsize,
    queued: AtomicBool,
    next: AtomicUsize,
    ready: Arc<Ready>,
}

impl Header {
    pub(super) fn new(slot: usize, ready: Arc<Ready>) -> Self {
        Self {
            slot,
            #[cfg(feature = "profile")]
            task: AtomicUsize::new(0),
            queued: AtomicBool::new(false),
            next: AtomicUsize::new(EMPTY),
            ready,
        }
    }

    pub(super) fn slot(&self) -> usize {
        self.slot
    }

    /// Gives a task that is not yet queued its number for probes.
    #[cfg(feature = "profile")]
    pub(super) fn enlist(&self) -> TaskId {
        let task = TaskId::next();
        // ORDER: relaxed: no waker of this task is out yet
        self.task.store(task.number(), Relaxed);
        task
    }

    /// What probes call the task.
    #[cfg(feature = "profile")]
    pub(super) fn task(&self) -> TaskId {
        // ORDER: relaxed: whoever has a waker got it after `enlist`
        TaskId::from_number(self.task.load(Relaxed)).expect("a task has its number before it has a waker")
    }

    /// T2.
    pub(super) fn begin(&self) {
        // ORDER: E1 acquire
        self.queued.swap(false, Acquire);
    }

    /// T1, but for the push: returns whether the caller has to queue the slot.
    pub(super) fn claim(&self) -> bool {
        // ORDER: relaxed: the bit itself counts, nothing was written for this wake
        !self.queued.swap(true, Relaxed)
    }

    /// T6, if the caller has the last two references. Returns whether that is so.
    pub(super) fn renew(this: &Arc<Self>) -> bool {
        if Arc::strong_count(this) != 2 {
            return false;
        }
        // ORDER: acquire: what others did with their references came before they dropped them, with release, in `Arc`
        fence(Acquire);
        // ORDER: relaxed: nobody else can reach it
        this.queued.store(false, Relaxed);
        true
    }

    /// T3. Returns whether the slot is still on the stack or in the queue.
    pub(super) fn retire(&self) -> bool {
        // ORDER: relaxed: only the bit itself counts
        self.queued.swap(true, Relaxed)
    }
}

impl Wake for Header {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        tell!(woken(self.task()));
        // T1. ORDER: E1 release
        if !self.queued.swap(true, Release) {
            self.ready.push(self);
        }
    }
}

/// Says that something outside a [`Sim`](super::Sim) may still wake its tasks.
///
/// Made by [`Sim::external`](super::Sim::external). While one is alive and no task can run, the simulation sleeps until
/// a task is woken or the last one is dropped; its clock stands still: work outside takes no virtual time. May be sent
/// to the thread that does the work.
///
/// # Interrupts
/// Without std the simulation spins; wakers of its tasks may be woken from interrupts.
///
/// # Examples
/// ```
/// use core::{future::poll_fn, task::Poll};
/// use testudo::run::Sim;
///
/// let sim = Sim::new();
/// let mut source = Some(sim.external());
/// sim.block_on(poll_fn(|cx| {
///     let Some(source) = source.take() else { return Poll::Ready(()) };
///     let waker = cx.waker().clone();
///     std::thread::spawn(move || {
///         waker.wake();
///         drop(source);
///     });
///     Poll::Pending
/// })).unwrap();
/// assert_eq!(sim.polls(), 2);
/// ```
#[derive(Debug)]
#[must_use = "the simulation waits for outside wake-ups only while this is alive"]
pub struct External {
    ready: Arc<Ready>,
}

impl External {
    pub(super) fn new(ready: Arc<Ready>) -> Self {
        // ORDER: relaxed: counted by the thread that asks, or sent to it
        ready.external.fetch_add(1, Relaxed);
        Self { ready }
    }
}

impl Drop for External {
    fn drop(&mut self) {
        // ORDER: E3 release
        if self.ready.external.fetch_sub(1, Release) == 1 {
            self.ready.idle.wake();
        }
    }
}
