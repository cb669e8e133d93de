//! Events: a manual-reset form ([`Event`]) and a form in which one wait takes one signal ([`Signal`]).

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};

use event_listener::listener;

use crate::harness::{Peer, Role};
use crate::peers::Cs;

/// A flag that tasks wait for.
pub trait Event: Peer {
    /// A cleared event.
    fn new() -> Self;
    /// Sets the flag and releases all who wait.
    fn set(&self);
    /// Clears the flag.
    fn clear(&self);
    /// Waits for the flag.
    fn wait(&self) -> impl Future<Output = ()>;
}

/// A signal that one wait takes.
pub trait Signal: Peer {
    /// Nothing signalled.
    fn new() -> Self;
    /// Releases one wait, now or later.
    fn signal(&self);
    /// Waits for a signal and takes it.
    fn wait(&self) -> impl Future<Output = ()>;
}

/// An event as a signal: the waiter clears it.
pub struct Turn<E>(E);

impl<E: Event> Peer for Turn<E> {
    const NAME: &'static str = E::NAME;
    const ROLE: Role = E::ROLE;
}

impl<E: Event> Signal for Turn<E> {
    fn new() -> Self {
        Self(E::new())
    }
    fn signal(&self) {
        self.0.set();
    }
    async fn wait(&self) {
        self.0.wait().await;
        self.0.clear();
    }
}

/// This crate's event.
pub struct Testudo(testudo::Event);

impl Peer for Testudo {
    const NAME: &'static str = "testudo Event";
    const ROLE: Role = Role::Own;
}

impl Event for Testudo {
    fn new() -> Self {
        Self(testudo::Event::new())
    }
    fn set(&self) {
        self.0.set();
    }
    fn clear(&self) {
        self.0.clear();
    }
    fn wait(&self) -> impl Future<Output = ()> {
        self.0.wait()
    }
}

/// futures-intrusive, manual reset.
pub struct FuturesIntrusive(futures_intrusive::sync::ManualResetEvent);

impl Peer for FuturesIntrusive {
    const NAME: &'static str = "futures-intrusive ManualResetEvent";
}

impl Event for FuturesIntrusive {
    fn new() -> Self {
        Self(futures_intrusive::sync::ManualResetEvent::new(false))
    }
    fn set(&self) {
        self.0.set();
    }
    fn clear(&self) {
        self.0.reset();
    }
    fn wait(&self) -> impl Future<Output = ()> {
        self.0.wait()
    }
}

/// The same list without its lock: what one thread alone could have.
pub struct FuturesIntrusiveLocal(futures_intrusive::sync::LocalManualResetEvent);

impl Peer for FuturesIntrusiveLocal {
    const NAME: &'static str = "futures-intrusive LocalManualResetEvent";
    const ROLE: Role = Role::Floor;
}

impl Event for FuturesIntrusiveLocal {
    fn new() -> Self {
        Self(futures_intrusive::sync::LocalManualResetEvent::new(false))
    }
    fn set(&self) {
        self.0.set();
    }
    fn clear(&self) {
        self.0.reset();
    }
    fn wait(&self) -> impl Future<Output = ()> {
        self.0.wait()
    }
}

/// asyncband, manual reset.
pub struct Asyncband(asyncband::event::ManualResetEvent);

impl Peer for Asyncband {
    const NAME: &'static str = "asyncband ManualResetEvent";
}

impl Event for Asyncband {
    fn new() -> Self {
        Self(asyncband::event::ManualResetEvent::new())
    }
    fn set(&self) {
        self.0.set();
    }
    fn clear(&self) {
        self.0.reset();
    }
    fn wait(&self) -> impl Future<Output = ()> {
        self.0.wait()
    }
}

/// asyncband, auto reset.
pub struct AsyncbandAuto(asyncband::event::AutoResetEvent);

impl Peer for AsyncbandAuto {
    const NAME: &'static str = "asyncband AutoResetEvent";
}

impl Signal for AsyncbandAuto {
    fn new() -> Self {
        Self(asyncband::event::AutoResetEvent::new())
    }
    fn signal(&self) {
        self.0.set();
    }
    fn wait(&self) -> impl Future<Output = ()> {
        self.0.wait()
    }
}

/// event-listener with its stack listener.
pub struct EventListener {
    flag: AtomicBool,
    event: event_listener::Event,
}

impl Peer for EventListener {
    const NAME: &'static str = "event-listener + flag";
}

impl Event for EventListener {
    fn new() -> Self {
        Self { flag: AtomicBool::new(false), event: event_listener::Event::new() }
    }
    fn set(&self) {
        self.flag.store(true, Release);
        self.event.notify(usize::MAX);
    }
    fn clear(&self) {
        self.flag.store(false, Relaxed);
    }
    async fn wait(&self) {
        if self.flag.load(Acquire) {
            return;
        }
        listener!(self.event => listener);
        if !self.flag.load(Acquire) {
            listener.await;
        }
    }
}

impl Signal for EventListener {
    fn new() -> Self {
        Event::new()
    }
    fn signal(&self) {
        self.flag.store(true, Release);
        self.event.notify(1);
    }
    async fn wait(&self) {
        while !self.flag.swap(false, Acquire) {
            listener!(self.event => listener);
            if self.flag.swap(false, Acquire) {
                return;
            }
            listener.await;
        }
    }
}

/// async-event.
pub struct AsyncEvent {
    flag: AtomicBool,
    event: async_event::Event,
}

impl Peer for AsyncEvent {
    const NAME: &'static str = "async-event + flag";
}

impl Event for AsyncEvent {
    fn new() -> Self {
        Self { flag: AtomicBool::new(false), event: async_event::Event::new() }
    }
    fn set(&self) {
        self.flag.store(true, Release);
        self.event.notify_all();
    }
    fn clear(&self) {
        self.flag.store(false, Relaxed);
    }
    fn wait(&self) -> impl Future<Output = ()> {
        self.event.wait_until(|| self.flag.load(Acquire).then_some(()))
    }
}

impl Signal for AsyncEvent {
    fn new() -> Self {
        Event::new()
    }
    fn signal(&self) {
        self.flag.store(true, Release);
        self.event.notify_one();
    }
    fn wait(&self) -> impl Future<Output = ()> {
        self.event.wait_until(|| self.flag.swap(false, Acquire).then_some(()))
    }
}

/// tokio `Notify`, all waiters at once.
pub struct TokioFlag {
    flag: AtomicBool,
    notify: tokio::sync::Notify,
}

impl Peer for TokioFlag {
    const NAME: &'static str = "tokio Notify + flag";
}

impl Event for TokioFlag {
    fn new() -> Self {
        Self { flag: AtomicBool::new(false), notify: tokio::sync::Notify::new() }
    }
    fn set(&self) {
        self.flag.store(true, Release);
        self.notify.notify_waiters();
    }
    fn clear(&self) {
        self.flag.store(false, Relaxed);
    }
    async fn wait(&self) {
        if self.flag.load(Acquire) {
            return;
        }
        let notified = pin!(self.notify.notified());
        if !self.flag.load(Acquire) {
            notified.await;
        }
    }
}

/// tokio `Notify`, one waiter.
pub struct Tokio(tokio::sync::Notify);

impl Peer for Tokio {
    const NAME: &'static str = "tokio Notify";
}

impl Signal for Tokio {
    fn new() -> Self {
        Self(tokio::sync::Notify::new())
    }
    fn signal(&self) {
        self.0.notify_one();
    }
    fn wait(&self) -> impl Future<Output = ()> {
        self.0.notified()
    }
}

/// maitake-sync `WaitQueue`, all waiters at once.
pub struct MaitakeFlag {
    flag: AtomicBool,
    queue: maitake_sync::WaitQueue,
}

impl Peer for MaitakeFlag {
    const NAME: &'static str = "maitake-sync WaitQueue + flag";
}

impl Event for MaitakeFlag {
    fn new() -> Self {
        Self { flag: AtomicBool::new(false), queue: maitake_sync::WaitQueue::new() }
    }
    fn set(&self) {
        self.flag.store(true, Release);
        self.queue.wake_all();
    }
    fn clear(&self) {
        self.flag.store(false, Relaxed);
    }
    async fn wait(&self) {
        if self.flag.load(Acquire) {
            return;
        }
        let wait = pin!(self.queue.wait());
        if !self.flag.load(Acquire) {
            wait.await.expect("never closed");
        }
    }
}

/// maitake-sync `WaitQueue`, one waiter.
pub struct Maitake(maitake_sync::WaitQueue);

impl Peer for Maitake {
    const NAME: &'static str = "maitake-sync WaitQueue";
}

impl Signal for Maitake {
    fn new() -> Self {
        Self(maitake_sync::WaitQueue::new())
    }
    fn signal(&self) {
        self.0.wake();
    }
    async fn wait(&self) {
        self.0.wait().await.expect("never closed");
    }
}

/// embassy-sync `Signal`: one waiter at most.
pub struct Embassy(embassy_sync::signal::Signal<Cs, ()>);

impl Peer for Embassy {
    const NAME: &'static str = "embassy-sync Signal (cs)";
}

impl Signal for Embassy {
    fn new() -> Self {
        Self(embassy_sync::signal::Signal::new())
    }
    fn signal(&self) {
        self.0.signal(());
    }
    fn wait(&self) -> impl Future<Output = ()> {
        self.0.wait()
    }
}

/// saa's semaphore with no permit; its `Gate` cannot be closed again.
pub struct Saa(saa::Semaphore);

impl Peer for Saa {
    const NAME: &'static str = "saa Semaphore(0)";
}

impl Signal for Saa {
    fn new() -> Self {
        Self(saa::Semaphore::with_permits(0))
    }
    fn signal(&self) {
        self.0.release();
    }
    fn wait(&self) -> impl Future<Output = ()> {
        self.0.acquire_async()
    }
}
