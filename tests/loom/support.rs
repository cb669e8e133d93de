//! What the models share: exploring, threads, tasks that are polled by hand, a task that sleeps.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use loom::{
    alloc::Track,
    cell::UnsafeCell,
    model::Builder,
    sync::atomic::{AtomicBool, Ordering::*},
    thread::{self, JoinHandle, Thread},
};

/// Runs `model` in every interleaving with at most `LOOM_MAX_PREEMPTIONS` preemptions, 3 if that is unset.
pub fn explore(model: impl Fn() + Send + Sync + 'static) {
    explore_builder(Builder::new(), model);
}

/// As [`explore`], with at most `bound` preemptions: for models that take minutes with 3, or need more if there is time.
pub fn explore_within(bound: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    let asked = builder.preemption_bound.filter(|&asked| asked < 3);
    builder.preemption_bound = Some(asked.map_or(bound, |asked| bound.min(asked)));
    explore_builder(builder, model);
}

fn explore_builder(mut builder: Builder, model: impl Fn() + Send + Sync + 'static) {
    builder.preemption_bound.get_or_insert(3);
    builder.max_branches = 10_000;
    builder.check(move || {
        race(); // Made here, so that it orders nothing.
        model();
    });
}

/// Makes loom try both orders of this point and those of other threads.
///
/// It forgets that a thread has loaded an atomic when another one loads it before it writes it, as all of `src/` does; so
/// an operation that only loads needs this before it.
pub fn race() {
    loom::lazy_static! {
        static ref RACE: AtomicBool = AtomicBool::new(false);
    }
    RACE.swap(true, Relaxed);
}

/// Starts a thread.
pub fn spawn<T: 'static>(f: impl FnOnce() -> T + 'static) -> Spawned<T> {
    Spawned(thread::spawn(|| {
        race();
        f()
    }))
}

/// A thread of the model.
pub struct Spawned<T>(JoinHandle<T>);

impl<T> Spawned<T> {
    /// Waits for its end.
    pub fn join(self) -> T {
        self.0.join().unwrap()
    }
}

/// Data that is shared without a lock: loom reports every race for it.
pub struct Data(UnsafeCell<usize>);

impl Data {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(UnsafeCell::new(0)))
    }

    pub fn write(&self, value: usize) {
        // SAFETY: loom has found no other access that is not ordered with this one, or has panicked.
        self.0.with_mut(|data| unsafe { *data = value });
    }

    pub fn read(&self) -> usize {
        // SAFETY: as in `write`.
        self.0.with(|data| unsafe { *data })
    }
}

/// Counts how often it was woken, invisibly for loom: a waker that orders nothing. Looked at when all threads are done.
struct Count {
    wakes: AtomicUsize,
    /// loom reports it if a waker is never dropped.
    _leak: Track<()>,
}

impl Count {
    fn new() -> Arc<Self> {
        Arc::new(Self { wakes: AtomicUsize::new(0), _leak: Track::new(()) })
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, SeqCst);
    }
}

/// A future polled by hand, and whether it was woken since.
pub struct Waiter<F: Future> {
    future: Pin<Box<F>>,
    count: Arc<Count>,
    /// How often it had been woken when the last poll began.
    seen: usize,
    pending: bool,
    output: Option<F::Output>,
}

impl<F: Future> Waiter<F> {
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), count: Count::new(), seen: 0, pending: false, output: None }
    }

    /// Gets it in line.
    pub fn waiting(future: F) -> Self {
        let mut this = Self::new(future);
        assert!(!this.poll(), "it does not wait");
        this
    }

    /// Polls it, unless it has arrived. True: it has.
    pub fn poll(&mut self) -> bool {
        if self.output.is_none() {
            race();
            self.seen = self.count.wakes.load(SeqCst);
            let waker = Waker::from(Arc::clone(&self.count));
            self.output = match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            };
            self.pending = self.output.is_none();
        }
        self.output.is_some()
    }

    /// Moves it to another task: from the next poll on it is that one which has to be woken.
    pub fn move_to_another_task(&mut self) {
        self.count = Count::new();
        self.seen = 0;
    }

    /// Whether it has arrived.
    pub fn is_ready(&self) -> bool {
        self.output.is_some()
    }

    /// Whether it was woken since the last poll began.
    pub fn is_woken(&self) -> bool {
        self.count.wakes.load(SeqCst) > self.seen
    }

    /// How often it was woken.
    pub fn wakes(&self) -> usize {
        self.count.wakes.load(SeqCst)
    }

    /// It must have been woken if it was pending, and be ready now: what an executor would find.
    pub fn arrive(mut self) -> F::Output {
        assert!(!self.pending || self.is_woken(), "a wake-up is lost");
        assert!(self.poll(), "it was woken for nothing");
        self.output.take().unwrap()
    }

    /// It must not have been released.
    pub fn stay(&mut self) {
        assert!(self.pending && !self.is_woken(), "it was woken for nothing");
        assert!(!self.poll(), "it was released for nothing");
    }
}

/// The waker of a sleeping thread: the protocol of `src/wait/thread.rs`.
pub struct Sleeper {
    thread: Thread,
    notified: AtomicBool,
    _leak: Track<()>,
}

impl Sleeper {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), notified: AtomicBool::new(false), _leak: Track::new(()) })
    }

    /// Before each poll. Says whether somebody woke it.
    pub fn begin(&self) -> bool {
        self.notified.swap(false, Acquire)
    }

    /// After each poll. Returns when somebody has woken it.
    pub fn sleep(&self) {
        while !self.notified.load(Relaxed) {
            thread::park();
        }
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        if !self.notified.swap(true, Release) {
            self.thread.unpark();
        }
    }
}

/// Drives a future on a thread that sleeps while it is pending: a lost wake-up is a deadlock, which loom reports.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let sleeper = Sleeper::new();
    let waker = Waker::from(Arc::clone(&sleeper));
    loop {
        sleeper.begin();
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        sleeper.sleep();
    }
}
