//! Locks that many readers or one writer have, around one counter.

use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::harness::{Peer, Role};
use crate::peers::Cs;
use crate::peers::mutex::Held;

/// What a reader does.
pub trait Seen {
    /// The counter.
    fn get(&self) -> u64;
}

impl<G: Deref<Target = u64>> Seen for G {
    fn get(&self) -> u64 {
        **self
    }
}

/// A lock that tasks wait for.
pub trait RwLock: Peer + Sync {
    /// A free lock around zero.
    fn new() -> Self;
    /// Waits for a place as a reader.
    fn read(&self) -> impl Future<Output = impl Seen>;
    /// Waits for the place of the writer.
    fn write(&self) -> impl Future<Output = impl Held>;
}

macro_rules! rwlock {
    ($(#[$doc:meta])* $adapter:ident, $name:literal, $inner:ty, $new:expr, $role:expr) => {
        $(#[$doc])*
        pub struct $adapter($inner);

        impl Peer for $adapter {
            const NAME: &'static str = $name;
            const ROLE: Role = $role;
        }

        impl RwLock for $adapter {
            fn new() -> Self {
                Self($new)
            }
            fn read(&self) -> impl Future<Output = impl Seen> {
                self.0.read()
            }
            fn write(&self) -> impl Future<Output = impl Held> {
                self.0.write()
            }
        }
    };
}

rwlock!(
    /// This crate's lock.
    Testudo, "testudo RwLock", testudo::RwLock<u64>, testudo::RwLock::new(0), Role::Own
);
rwlock!(
    /// async-lock: prefers writers.
    AsyncLock, "async-lock RwLock", async_lock::RwLock<u64>, async_lock::RwLock::new(0), Role::Peer
);
rwlock!(
    /// tokio: first in, first out.
    Tokio, "tokio RwLock", tokio::sync::RwLock<u64>, tokio::sync::RwLock::new(0), Role::Peer
);
rwlock!(
    /// asyncband: first in, first out.
    Asyncband, "asyncband RwLock", asyncband::rwlock::RwLock<u64>, asyncband::rwlock::RwLock::new(0), Role::Peer
);
rwlock!(
    /// maitake-sync: first in, first out.
    Maitake, "maitake-sync RwLock", maitake_sync::RwLock<u64>, maitake_sync::RwLock::new(0), Role::Peer
);
rwlock!(
    /// embassy-sync: barging, one waker slot.
    Embassy, "embassy-sync RwLock (cs)", embassy_sync::rwlock::RwLock<Cs, u64>, embassy_sync::rwlock::RwLock::new(0),
    Role::Peer
);

/// saa's lock, which has neither data nor a guard.
pub struct Saa {
    lock: saa::Lock,
    value: AtomicU64,
}

/// A writer's guard for it.
struct SaaWriter<'a>(&'a Saa);

/// A reader's guard for it.
struct SaaReader<'a>(&'a Saa);

impl Held for SaaWriter<'_> {
    fn bump(&mut self) {
        self.0.value.store(self.0.value.load(Relaxed) + 1, Relaxed);
    }
}

impl Seen for SaaReader<'_> {
    fn get(&self) -> u64 {
        self.0.value.load(Relaxed)
    }
}

impl Drop for SaaWriter<'_> {
    fn drop(&mut self) {
        self.0.lock.release_lock();
    }
}

impl Drop for SaaReader<'_> {
    fn drop(&mut self) {
        self.0.lock.release_share();
    }
}

impl Peer for Saa {
    const NAME: &'static str = "saa Lock (shared)";
}

impl RwLock for Saa {
    fn new() -> Self {
        Self { lock: saa::Lock::new(), value: AtomicU64::new(0) }
    }
    async fn read(&self) -> impl Seen {
        assert!(self.lock.share_async().await, "never poisoned");
        SaaReader(self)
    }
    async fn write(&self) -> impl Held {
        assert!(self.lock.lock_async().await, "never poisoned");
        SaaWriter(self)
    }
}
