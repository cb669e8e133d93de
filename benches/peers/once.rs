//! Cells that are written once.

use std::future::Future;

use futures_util::FutureExt;

use crate::harness::{Peer, Role};

/// A cell that the first of several tasks initializes.
pub trait Once: Peer {
    /// An empty cell.
    fn new() -> Self;
    /// The value, if there is one.
    fn get(&self) -> Option<&u64>;
    /// Sets the value of an empty cell.
    fn set(&self, value: u64) -> bool;
    /// The value, made by `init` if there is none.
    fn get_or_init<F: Future<Output = u64>>(&self, init: F) -> impl Future<Output = u64>;
}

macro_rules! once {
    ($(#[$doc:meta])* $adapter:ident, $name:literal, $inner:ty, $role:expr, $set:ident) => {
        $(#[$doc])*
        pub struct $adapter($inner);

        impl Peer for $adapter {
            const NAME: &'static str = $name;
            const ROLE: Role = $role;
        }

        impl Once for $adapter {
            fn new() -> Self {
                Self(<$inner>::new())
            }
            fn get(&self) -> Option<&u64> {
                self.0.get()
            }
            fn set(&self, value: u64) -> bool {
                self.0.$set(value).is_ok()
            }
            async fn get_or_init<F: Future<Output = u64>>(&self, init: F) -> u64 {
                *self.0.get_or_init(|| init).await
            }
        }
    };
}

once!(
    /// This crate's cell.
    Testudo, "testudo OnceCell", testudo::OnceCell<u64>, Role::Own, set
);
once!(
    /// tokio: over its semaphore.
    Tokio, "tokio OnceCell", tokio::sync::OnceCell<u64>, Role::Peer, set
);
once!(
    /// async-lock: over event-listener.
    AsyncLock, "async-lock OnceCell", async_lock::OnceCell<u64>, Role::Peer, try_set
);

/// asyncband: over its semaphore. Its `set` waits.
pub struct Asyncband(asyncband::once::OnceCell<u64>);

impl Peer for Asyncband {
    const NAME: &'static str = "asyncband OnceCell";
}

impl Once for Asyncband {
    fn new() -> Self {
        Self(asyncband::once::OnceCell::new())
    }
    fn get(&self) -> Option<&u64> {
        self.0.get()
    }
    fn set(&self, value: u64) -> bool {
        self.0.set(value).now_or_never().is_some_and(|set| set.is_ok())
    }
    async fn get_or_init<F: Future<Output = u64>>(&self, init: F) -> u64 {
        *self.0.get_or_init(async || init.await).await
    }
}
