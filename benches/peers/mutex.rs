//! Mutexes that protect one counter.

use std::future::Future;
use std::ops::DerefMut;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::harness::{Peer, Role};
use crate::peers::Cs;

/// What a holder of the lock does.
pub trait Held {
    /// Adds one to the counter.
    fn bump(&mut self);
}

impl<G: DerefMut<Target = u64>> Held for G {
    fn bump(&mut self) {
        **self += 1;
    }
}

/// A lock that tasks wait for.
pub trait Mutex: Peer + Sync {
    /// An unlocked mutex around zero.
    fn new() -> Self;
    /// Waits for the lock.
    fn lock(&self) -> impl Future<Output = impl Held>;
    /// Takes the lock if it is free.
    fn try_lock(&self) -> Option<impl Held>;
}

macro_rules! mutex {
    ($(#[$doc:meta])* $adapter:ident, $name:literal, $inner:ty, $new:expr) => {
        mutex!($(#[$doc])* $adapter, $name, $inner, $new, Role::Peer, |guard| guard);
    };
    ($(#[$doc:meta])* $adapter:ident, $name:literal, $inner:ty, $new:expr, $role:expr, |$guard:ident| $option:expr) => {
        $(#[$doc])*
        pub struct $adapter($inner);

        impl Peer for $adapter {
            const NAME: &'static str = $name;
            const ROLE: Role = $role;
        }

        impl Mutex for $adapter {
            fn new() -> Self {
                Self($new)
            }
            fn lock(&self) -> impl Future<Output = impl Held> {
                self.0.lock()
            }
            fn try_lock(&self) -> Option<impl Held> {
                let $guard = self.0.try_lock();
                $option
            }
        }
    };
}

mutex!(
    /// This crate's mutex.
    Testudo, "testudo Mutex", testudo::Mutex<u64>, testudo::Mutex::new(0), Role::Own, |guard| guard
);
mutex!(
    /// async-lock: barging, fair after 500 us.
    AsyncLock, "async-lock Mutex", async_lock::Mutex<u64>, async_lock::Mutex::new(0)
);
mutex!(
    /// tokio: first in, first out.
    Tokio, "tokio Mutex", tokio::sync::Mutex<u64>, tokio::sync::Mutex::new(0), Role::Peer, |guard| guard.ok()
);
mutex!(
    /// asyncband: first in, first out.
    Asyncband, "asyncband Mutex", asyncband::mutex::Mutex<u64>, asyncband::mutex::Mutex::new(0)
);
mutex!(
    /// maitake-sync: first in, first out.
    Maitake, "maitake-sync Mutex", maitake_sync::Mutex<u64>, maitake_sync::Mutex::new(0)
);
mutex!(
    /// futures-intrusive, first in, first out.
    FuturesIntrusiveFair, "futures-intrusive Mutex (fair)",
    futures_intrusive::sync::Mutex<u64>, futures_intrusive::sync::Mutex::new(0, true)
);
mutex!(
    /// futures-intrusive, barging.
    FuturesIntrusiveUnfair, "futures-intrusive Mutex (unfair)",
    futures_intrusive::sync::Mutex<u64>, futures_intrusive::sync::Mutex::new(0, false)
);
mutex!(
    /// futures-util: barging.
    FuturesUtil, "futures-util Mutex", futures_util::lock::Mutex<u64>, futures_util::lock::Mutex::new(0)
);
mutex!(
    /// embassy-sync: barging, one waker slot.
    Embassy, "embassy-sync Mutex (cs)", embassy_sync::mutex::Mutex<Cs, u64>, embassy_sync::mutex::Mutex::new(0),
    Role::Peer, |guard| guard.ok()
);

/// saa's lock, which has neither data nor a guard.
pub struct Saa {
    lock: saa::Lock,
    value: AtomicU64,
}

/// A guard for it.
struct SaaGuard<'a>(&'a Saa);

impl Held for SaaGuard<'_> {
    fn bump(&mut self) {
        self.0.value.store(self.0.value.load(Relaxed) + 1, Relaxed);
    }
}

impl Drop for SaaGuard<'_> {
    fn drop(&mut self) {
        self.0.lock.release_lock();
    }
}

impl Peer for Saa {
    const NAME: &'static str = "saa Lock";
}

impl Mutex for Saa {
    fn new() -> Self {
        Self { lock: saa::Lock::new(), value: AtomicU64::new(0) }
    }
    async fn lock(&self) -> impl Held {
        assert!(self.lock.lock_async().await, "never poisoned");
        SaaGuard(self)
    }
    fn try_lock(&self) -> Option<impl Held> {
        self.lock.try_lock().is_ok().then(|| SaaGuard(self))
    }
}

/// parking_lot's lock for threads.
pub struct ParkingLot(parking_lot::Mutex<u64>);

impl Peer for ParkingLot {
    const NAME: &'static str = "parking_lot Mutex (threads)";
    const ROLE: Role = Role::Floor;
}

impl Mutex for ParkingLot {
    fn new() -> Self {
        Self(parking_lot::Mutex::new(0))
    }
    async fn lock(&self) -> impl Held {
        self.0.lock()
    }
    fn try_lock(&self) -> Option<impl Held> {
        self.0.try_lock()
    }
}
