//! A counter whose waiters each wait for a value of their own.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::task::{Poll, Waker};

use event_listener::listener;
use futures_intrusive::channel::{StateBroadcastChannel, StateId};

use crate::harness::{Peer, Role};
use crate::peers::Cs;

/// The counter.
pub trait Board: Peer {
    /// A counter at zero.
    fn new() -> Self;
    /// Adds one and tells those who wait.
    fn step(&self);
    /// Waits until the counter has reached `threshold`.
    fn reached(&self, threshold: u64) -> impl Future<Output = ()>;
}

/// An atomic counter and something to wait on.
#[derive(Default)]
struct Counter<W> {
    value: AtomicU64,
    waiters: W,
}

impl<W> Counter<W> {
    /// There is one producer, so a load and a store do.
    fn step(&self) {
        self.value.store(self.value.load(Relaxed) + 1, Release);
    }
    fn has(&self, threshold: u64) -> bool {
        self.value.load(Acquire) >= threshold
    }
}

/// This crate's condition.
pub struct Testudo(testudo::Condition<u64>);

impl Peer for Testudo {
    const NAME: &'static str = "testudo Condition";
    const ROLE: Role = Role::Own;
}

impl Board for Testudo {
    fn new() -> Self {
        Self(testudo::Condition::new(0))
    }
    fn step(&self) {
        let mut guard = self.0.try_lock().expect("nobody holds it between steps");
        *guard += 1;
        self.0.notify_all(&guard);
    }
    async fn reached(&self, threshold: u64) {
        drop(self.0.wait_until(move |value: &u64| *value >= threshold).await);
    }
}

/// asyncband's condition variable and its mutex.
pub struct Asyncband {
    value: asyncband::mutex::Mutex<u64>,
    changed: asyncband::condvar::Condvar,
}

impl Peer for Asyncband {
    const NAME: &'static str = "asyncband Condvar";
}

impl Board for Asyncband {
    fn new() -> Self {
        Self { value: asyncband::mutex::Mutex::new(0), changed: asyncband::condvar::Condvar::new() }
    }
    fn step(&self) {
        let mut guard = self.value.try_lock().expect("nobody holds it between steps");
        *guard += 1;
        drop(guard);
        self.changed.notify_all();
    }
    async fn reached(&self, threshold: u64) {
        let guard = self.value.lock().await;
        drop(self.changed.wait_while(guard, |value| *value < threshold).await);
    }
}

/// async-event's predicate wait.
pub struct AsyncEvent(Counter<async_event::Event>);

impl Peer for AsyncEvent {
    const NAME: &'static str = "async-event wait_until";
}

impl Board for AsyncEvent {
    fn new() -> Self {
        Self(Counter::default())
    }
    fn step(&self) {
        self.0.step();
        self.0.waiters.notify_all();
    }
    fn reached(&self, threshold: u64) -> impl Future<Output = ()> {
        self.0.waiters.wait_until(move || self.0.has(threshold).then_some(()))
    }
}

/// embassy-sync's watch, for 1000 receivers at most.
pub struct Embassy(embassy_sync::watch::Watch<Cs, u64, 1000>);

impl Peer for Embassy {
    const NAME: &'static str = "embassy-sync Watch (cs) get_and";
}

impl Board for Embassy {
    fn new() -> Self {
        Self(embassy_sync::watch::Watch::new_with(0))
    }
    fn step(&self) {
        self.0.sender().send_modify(|value| *value.as_mut().expect("it began at zero") += 1);
    }
    async fn reached(&self, threshold: u64) {
        let mut receiver = self.0.receiver().expect("1000 receivers at most");
        receiver.get_and(|value| *value >= threshold).await;
    }
}

/// futures-intrusive's broadcast of a state.
pub struct FuturesIntrusive(Counter<StateBroadcastChannel<u64>>);

impl Peer for FuturesIntrusive {
    const NAME: &'static str = "futures-intrusive StateBroadcastChannel";
}

impl Board for FuturesIntrusive {
    fn new() -> Self {
        Self(Counter { value: AtomicU64::new(0), waiters: StateBroadcastChannel::new() })
    }
    fn step(&self) {
        self.0.step();
        self.0.waiters.send(self.0.value.load(Relaxed)).expect("never closed");
    }
    async fn reached(&self, threshold: u64) {
        let mut seen = StateId::new();
        loop {
            let (id, value) = self.0.waiters.receive(seen).await.expect("never closed");
            if value >= threshold {
                return;
            }
            seen = id;
        }
    }
}

/// futures-intrusive's event, set and reset at each step.
pub struct FuturesIntrusiveEvent(Counter<futures_intrusive::sync::ManualResetEvent>);

impl Peer for FuturesIntrusiveEvent {
    const NAME: &'static str = "futures-intrusive ManualResetEvent";
}

impl Board for FuturesIntrusiveEvent {
    fn new() -> Self {
        Self(Counter { value: AtomicU64::new(0), waiters: futures_intrusive::sync::ManualResetEvent::new(false) })
    }
    fn step(&self) {
        self.0.step();
        self.0.waiters.set();
        self.0.waiters.reset();
    }
    async fn reached(&self, threshold: u64) {
        while !self.0.has(threshold) {
            self.0.waiters.wait().await;
        }
    }
}

/// tokio `Notify` in a loop.
pub struct TokioNotify(Counter<tokio::sync::Notify>);

impl Peer for TokioNotify {
    const NAME: &'static str = "tokio Notify";
}

impl Board for TokioNotify {
    fn new() -> Self {
        Self(Counter::default())
    }
    fn step(&self) {
        self.0.step();
        self.0.waiters.notify_waiters();
    }
    async fn reached(&self, threshold: u64) {
        loop {
            let notified = pin!(self.0.waiters.notified());
            if self.0.has(threshold) {
                return;
            }
            notified.await;
        }
    }
}

/// tokio's watch channel.
pub struct TokioWatch(tokio::sync::watch::Sender<u64>);

impl Peer for TokioWatch {
    const NAME: &'static str = "tokio watch wait_for";
}

impl Board for TokioWatch {
    fn new() -> Self {
        Self(tokio::sync::watch::Sender::new(0))
    }
    fn step(&self) {
        self.0.send_modify(|value| *value += 1);
    }
    async fn reached(&self, threshold: u64) {
        self.0.subscribe().wait_for(|value| *value >= threshold).await.expect("the sender lives");
    }
}

/// maitake-sync's predicate wait.
pub struct Maitake(Counter<maitake_sync::WaitQueue>);

impl Peer for Maitake {
    const NAME: &'static str = "maitake-sync WaitQueue::wait_for";
}

impl Board for Maitake {
    fn new() -> Self {
        Self(Counter { value: AtomicU64::new(0), waiters: maitake_sync::WaitQueue::new() })
    }
    fn step(&self) {
        self.0.step();
        self.0.waiters.wake_all();
    }
    async fn reached(&self, threshold: u64) {
        self.0.waiters.wait_for(|| self.0.has(threshold)).await.expect("never closed");
    }
}

/// event-listener in a loop.
pub struct EventListener(Counter<event_listener::Event>);

impl Peer for EventListener {
    const NAME: &'static str = "event-listener";
}

impl Board for EventListener {
    fn new() -> Self {
        Self(Counter { value: AtomicU64::new(0), waiters: event_listener::Event::new() })
    }
    fn step(&self) {
        self.0.step();
        self.0.waiters.notify(usize::MAX);
    }
    async fn reached(&self, threshold: u64) {
        while !self.0.has(threshold) {
            listener!(self.0.waiters => listener);
            if self.0.has(threshold) {
                return;
            }
            listener.await;
        }
    }
}

/// What waking only the right one costs when the waiters are sorted by threshold, under a thread lock.
#[derive(Default)]
pub struct Sorted(parking_lot::Mutex<(u64, BTreeMap<u64, Waker>)>);

impl Peer for Sorted {
    const NAME: &'static str = "counter + sorted map of wakers";
    const ROLE: Role = Role::Floor;
}

impl Board for Sorted {
    fn new() -> Self {
        Self::default()
    }
    fn step(&self) {
        let mut guard = self.0.lock();
        guard.0 += 1;
        let value = guard.0;
        let waker = guard.1.remove(&value);
        drop(guard);
        waker.into_iter().for_each(Waker::wake);
    }
    fn reached(&self, threshold: u64) -> impl Future<Output = ()> {
        poll_fn(move |cx| {
            let mut guard = self.0.lock();
            if guard.0 >= threshold {
                return Poll::Ready(());
            }
            guard.1.insert(threshold, cx.waker().clone());
            Poll::Pending
        })
    }
}
