//! Semaphores of a few permits, which a guard gives back.

use std::future::Future;

use embassy_sync::semaphore::Semaphore as _;

use crate::harness::{Peer, Role};
use crate::peers::Cs;

/// Permits that tasks wait for.
pub trait Semaphore: Peer + Sync {
    /// A semaphore with so many permits.
    fn new(permits: usize) -> Self;
    /// Waits for one permit; what comes gives it back when it is dropped, unless it is forgotten.
    fn acquire(&self) -> impl Future<Output = impl Sized>;
    /// Takes one permit if one is free.
    fn try_acquire(&self) -> Option<impl Sized>;
    /// Adds permits.
    fn add(&self, permits: usize);
}

macro_rules! semaphore {
    ($(#[$doc:meta])* $adapter:ident, $name:literal, $role:expr, $inner:ty, |$n:ident| $new:expr,
        |$it:ident| $acquire:expr, $try:expr, |$more:ident| $add:expr) => {
        $(#[$doc])*
        pub struct $adapter($inner);

        impl Peer for $adapter {
            const NAME: &'static str = $name;
            const ROLE: Role = $role;
        }

        impl Semaphore for $adapter {
            fn new($n: usize) -> Self {
                Self($new)
            }
            fn acquire(&self) -> impl Future<Output = impl Sized> {
                let $it = &self.0;
                $acquire
            }
            fn try_acquire(&self) -> Option<impl Sized> {
                let $it = &self.0;
                $try
            }
            fn add(&self, $more: usize) {
                let $it = &self.0;
                $add
            }
        }
    };
}

semaphore!(
    /// This crate's semaphore.
    Testudo, "testudo Semaphore", Role::Own, testudo::Semaphore, |n| testudo::Semaphore::new(n),
    |it| it.acquire(), it.try_acquire(), |n| it.add_permits(n)
);
semaphore!(
    /// tokio: first in, first out.
    Tokio, "tokio Semaphore", Role::Peer, tokio::sync::Semaphore, |n| tokio::sync::Semaphore::new(n),
    |it| it.acquire(), it.try_acquire().ok(), |n| it.add_permits(n)
);
semaphore!(
    /// async-lock: barging.
    AsyncLock, "async-lock Semaphore", Role::Peer, async_lock::Semaphore, |n| async_lock::Semaphore::new(n),
    |it| it.acquire(), it.try_acquire(), |n| it.add_permits(n)
);
semaphore!(
    /// asyncband: first in, first out.
    Asyncband, "asyncband Semaphore", Role::Peer,
    asyncband::semaphore::Semaphore, |n| asyncband::semaphore::Semaphore::new(n),
    |it| it.acquire(1), it.try_acquire(1), |n| it.release(n)
);
semaphore!(
    /// maitake-sync: first in, first out.
    Maitake, "maitake-sync Semaphore", Role::Peer, maitake_sync::Semaphore, |n| maitake_sync::Semaphore::new(n),
    |it| it.acquire(1), it.try_acquire(1).ok(), |n| it.add_permits(n)
);
semaphore!(
    /// futures-intrusive, first in, first out.
    FuturesIntrusiveFair, "futures-intrusive Semaphore (fair)", Role::Peer,
    futures_intrusive::sync::Semaphore, |n| futures_intrusive::sync::Semaphore::new(true, n),
    |it| it.acquire(1), it.try_acquire(1), |n| it.release(n)
);
semaphore!(
    /// futures-intrusive, barging.
    FuturesIntrusiveUnfair, "futures-intrusive Semaphore (unfair)", Role::Peer,
    futures_intrusive::sync::Semaphore, |n| futures_intrusive::sync::Semaphore::new(false, n),
    |it| it.acquire(1), it.try_acquire(1), |n| it.release(n)
);
semaphore!(
    /// embassy-sync: barging, one waker slot.
    Embassy, "embassy-sync GreedySemaphore (cs)", Role::Peer,
    embassy_sync::semaphore::GreedySemaphore<Cs>, |n| embassy_sync::semaphore::GreedySemaphore::new(n),
    |it| it.acquire(1), it.try_acquire(1), |n| it.release(n)
);

/// saa's semaphore of at most 63 permits, which has no guard.
pub struct Saa(saa::Semaphore);

/// A guard for it.
struct SaaPermit<'a>(&'a Saa);

impl Drop for SaaPermit<'_> {
    fn drop(&mut self) {
        self.0.0.release();
    }
}

impl Peer for Saa {
    const NAME: &'static str = "saa Semaphore";
}

impl Semaphore for Saa {
    fn new(permits: usize) -> Self {
        Self(saa::Semaphore::with_permits(permits))
    }
    async fn acquire(&self) -> impl Sized {
        self.0.acquire_async().await;
        SaaPermit(self)
    }
    fn try_acquire(&self) -> Option<impl Sized> {
        self.0.try_acquire().then(|| SaaPermit(self))
    }
    fn add(&self, permits: usize) {
        self.0.release_many(permits);
    }
}
