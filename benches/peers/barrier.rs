//! Barriers.

use std::future::Future;

use crate::harness::{Peer, Role};

/// A meeting point of a fixed number of tasks.
pub trait Barrier: Peer {
    /// A barrier for so many.
    fn new(parties: u32) -> Self;
    /// Arrives and waits; true for one of each round.
    fn wait(&self) -> impl Future<Output = bool>;
}

macro_rules! barrier {
    ($(#[$doc:meta])* $adapter:ident, $name:literal, $inner:ty, $role:expr, |$n:ident| $new:expr, |$this:ident| $wait:expr) => {
        $(#[$doc])*
        pub struct $adapter($inner);

        impl Peer for $adapter {
            const NAME: &'static str = $name;
            const ROLE: Role = $role;
        }

        impl Barrier for $adapter {
            fn new($n: u32) -> Self {
                Self($new)
            }
            async fn wait(&self) -> bool {
                let $this = &self.0;
                $wait
            }
        }
    };
}

barrier!(
    /// This crate's barrier.
    Testudo, "testudo Barrier", testudo::Barrier, Role::Own,
    |n| testudo::Barrier::new(n as usize), |barrier| barrier.wait().await.is_ok_and(|turn| turn.is_leader())
);
barrier!(
    /// async-lock: over event-listener. A cancelled arrival counts.
    AsyncLock, "async-lock Barrier", async_lock::Barrier, Role::Peer,
    |n| async_lock::Barrier::new(n as usize), |barrier| barrier.wait().await.is_leader()
);
barrier!(
    /// tokio: over a lock and a watch channel. A cancelled arrival counts.
    Tokio, "tokio Barrier", tokio::sync::Barrier, Role::Peer,
    |n| tokio::sync::Barrier::new(n as usize), |barrier| barrier.wait().await.is_leader()
);
barrier!(
    /// asyncband. A cancelled arrival counts.
    Asyncband, "asyncband Barrier", asyncband::barrier::Barrier, Role::Peer,
    |n| asyncband::barrier::Barrier::new(n), |barrier| barrier.wait().await.is_leader()
);
