//! What the tests share: wakers that count and call back, an allocator that counts, small drivers.
use core::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering::*},
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    task::Wake,
};

// ---- allocations

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count_one() {
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread allocates while `f` runs.
pub fn allocations<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = ALLOCATIONS.get();
    let result = f();
    (ALLOCATIONS.get() - before, result)
}

// ---- wakers

type Hook = Mutex<Option<Arc<dyn Fn() + Send + Sync>>>;

#[derive(Default)]
struct Inner {
    wakes: AtomicUsize,
    clones: AtomicUsize,
    drops: AtomicUsize,
    consumed: AtomicUsize,
    on_wake: Hook,
    on_clone: Hook,
    on_drop: Hook,
}

fn call(hook: &Hook) {
    let hook = hook.lock().unwrap().clone();
    if let Some(hook) = hook {
        hook();
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |at| {
        // SAFETY: `at` came from `Arc::into_raw`, and the waker that is cloned keeps one count.
        let inner = unsafe { &*at.cast::<Inner>() };
        inner.clones.fetch_add(1, SeqCst);
        call(&inner.on_clone);
        // SAFETY: as above.
        unsafe { Arc::increment_strong_count(at.cast::<Inner>()) };
        RawWaker::new(at, &VTABLE)
    },
    |at| {
        // SAFETY: the count of the waker that is consumed.
        let inner = unsafe { Arc::from_raw(at.cast::<Inner>()) };
        inner.consumed.fetch_add(1, SeqCst);
        inner.wakes.fetch_add(1, SeqCst);
        call(&inner.on_wake);
    },
    |at| {
        // SAFETY: the waker that is woken by reference keeps one count.
        let inner = unsafe { &*at.cast::<Inner>() };
        inner.wakes.fetch_add(1, SeqCst);
        call(&inner.on_wake);
    },
    |at| {
        // SAFETY: the count of the waker that is dropped.
        let inner = unsafe { Arc::from_raw(at.cast::<Inner>()) };
        inner.drops.fetch_add(1, SeqCst);
        call(&inner.on_drop);
    },
);

/// A task, as far as a primitive can see it: counts what is done to its waker, and calls back.
pub struct Probe {
    waker: Waker,
    inner: Arc<Inner>,
}

impl Probe {
    pub fn new() -> Self {
        let inner = Arc::new(Inner::default());
        let raw = RawWaker::new(Arc::into_raw(inner.clone()).cast(), &VTABLE);
        // SAFETY: the table keeps the contract of wakers; `Inner` is Send and Sync.
        let waker = unsafe { Waker::from_raw(raw) };
        Self { waker, inner }
    }

    pub fn many(n: usize) -> Vec<Self> {
        (0..n).map(|_| Self::new()).collect()
    }

    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    pub fn wakes(&self) -> usize {
        self.inner.wakes.load(SeqCst)
    }

    pub fn clones(&self) -> usize {
        self.inner.clones.load(SeqCst)
    }

    /// How many clones somebody still keeps.
    pub fn kept(&self) -> usize {
        self.clones() - self.inner.drops.load(SeqCst) - self.inner.consumed.load(SeqCst)
    }

    pub fn on_wake(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.inner.on_wake.lock().unwrap() = Some(Arc::new(hook));
    }

    pub fn on_clone(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.inner.on_clone.lock().unwrap() = Some(Arc::new(hook));
    }

    pub fn on_drop(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.inner.on_drop.lock().unwrap() = Some(Arc::new(hook));
    }

    /// From now on the waker only counts.
    pub fn quiet(&self) {
        for hook in [&self.inner.on_wake, &self.inner.on_clone, &self.inner.on_drop] {
            let hook = hook.lock().unwrap().take();
            drop(hook);
        }
    }

    pub fn poll<F: Future + ?Sized>(&self, fut: &mut Pin<Box<F>>) -> Poll<F::Output> {
        fut.as_mut().poll(&mut Context::from_waker(&self.waker))
    }

    /// Polls a future that lies on the stack.
    pub fn poll_pinned<F: Future + ?Sized>(&self, fut: Pin<&mut F>) -> Poll<F::Output> {
        fut.poll(&mut Context::from_waker(&self.waker))
    }

    /// Polls a future that has to be pending.
    pub fn pends<F: Future + ?Sized>(&self, fut: &mut Pin<Box<F>>) {
        assert!(self.poll(fut).is_pending(), "ready, but should be pending");
    }

    /// Polls a future that has to be ready.
    #[track_caller]
    pub fn ready<F: Future + ?Sized>(&self, fut: &mut Pin<Box<F>>) -> F::Output {
        match self.poll(fut) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("pending, but should be ready"),
        }
    }

    /// Puts a future in line: polls it once, it has to be pending.
    #[track_caller]
    pub fn start<F: Future>(&self, fut: F) -> Pin<Box<F>> {
        let mut fut = Box::pin(fut);
        assert!(self.poll(&mut fut).is_pending(), "ready, but should be pending");
        fut
    }

    /// Runs a future that has to be ready at its first poll.
    #[track_caller]
    pub fn now<F: Future>(&self, fut: F) -> F::Output {
        let mut fut = core::pin::pin!(fut);
        match self.poll_pinned(fut.as_mut()) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("pending, but should be ready"),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.quiet();
    }
}

/// How often each was woken.
pub fn wakes(probes: &[Probe]) -> Vec<usize> {
    probes.iter().map(Probe::wakes).collect()
}

/// A place for a future that wakers reach too.
pub struct Slot<F>(Arc<Mutex<Option<Pin<Box<F>>>>>);

impl<F> Clone for Slot<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: Future> Slot<F> {
    pub fn empty() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    pub fn new(fut: F) -> Self {
        Self::of(Box::pin(fut))
    }

    pub fn of(fut: Pin<Box<F>>) -> Self {
        Self(Arc::new(Mutex::new(Some(fut))))
    }

    pub fn put(&self, fut: Pin<Box<F>>) {
        let old = self.0.lock().unwrap().replace(fut);
        drop(old);
    }

    /// Polls it, unless it is being polled or gone; it is gone once it was ready.
    pub fn poll(&self, waker: &Waker) -> Option<Poll<F::Output>> {
        let mut fut = self.0.lock().unwrap().take()?;
        let poll = fut.as_mut().poll(&mut Context::from_waker(waker));
        if poll.is_pending() {
            self.put(fut);
        }
        Some(poll)
    }

    /// Drops it. Says whether it was there.
    pub fn cancel(&self) -> bool {
        self.take().is_some()
    }

    pub fn take(&self) -> Option<Pin<Box<F>>> {
        self.0.lock().unwrap().take()
    }
}

// ---- panics

/// The text of the panic of `f`.
#[track_caller]
pub fn panics<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("no panic") };
    match payload.downcast::<&str>() {
        Ok(text) => (*text).into(),
        Err(payload) => *payload.downcast::<String>().expect("a text"),
    }
}

/// Polls it, which has to panic.
#[track_caller]
pub fn poll_panics<F: Future + ?Sized>(fut: &mut Pin<Box<F>>, probe: &Probe) -> String {
    panics(|| probe.poll(fut).is_ready())
}

/// Runs `f`, which would end the process if it went wrong, in a process of its own. `test` is the name of the calling test.
#[track_caller]
pub fn in_a_child(test: &str, f: impl FnOnce()) {
    const CHILD: &str = "TESTUDO_CHILD";
    if cfg!(miri) || std::env::var_os(CHILD).is_some() {
        return f();
    }
    let this = std::env::current_exe().unwrap();
    let child = std::process::Command::new(this).args(["--exact", test]).env(CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    let last: Vec<_> = text.lines().filter(|line| line.starts_with("thread ")).collect();
    assert!(text.contains("running 1 test"), "no such test: {test}");
    assert!(child.status.success(), "{}: {last:#?}", child.status);
}

// ---- orders

/// All orders of `0..n`.
pub fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for shorter in permutations(n - 1) {
        for at in 0..n {
            let mut order = shorter.clone();
            order.insert(at, n - 1);
            all.push(order);
        }
    }
    all
}

/// Random numbers that repeat: xorshift64*.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

// ---- an executor that polls inside wake()

/// A task that is polled by its waker, on the waker's stack.
pub struct Inline {
    state: Mutex<InlineState>,
}

struct InlineState {
    fut: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    running: bool,
    again: bool,
}

impl Inline {
    /// Polls it for the first time.
    pub fn spawn(fut: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        let state = InlineState { fut: Some(Box::pin(fut)), running: false, again: false };
        let task = Arc::new(Self { state: Mutex::new(state) });
        Wake::wake_by_ref(&task);
        task
    }

    pub fn is_done(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.fut.is_none() && !state.running
    }
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state.lock().unwrap();
        state.again = true;
        if state.running {
            return;
        }
        while core::mem::take(&mut state.again) {
            let Some(mut fut) = state.fut.take() else { return };
            state.running = true;
            drop(state);
            let done = fut.as_mut().poll(&mut Context::from_waker(&Waker::from(self.clone()))).is_ready();
            let rest = (!done).then_some(fut);
            state = self.state.lock().unwrap();
            state.running = false;
            state.fut = rest;
        }
    }
}
