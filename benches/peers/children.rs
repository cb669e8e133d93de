//! Sets of futures: all outputs of a vector, and outputs as they come.

use std::future::Future;
use std::pin::pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::harness::{Peer, Role};

/// Waits for all of a vector of futures. The output is the sum of theirs.
pub trait Join: Peer {
    /// Joins them.
    fn join<F: Future<Output = usize>>(futures: Vec<F>) -> impl Future<Output = usize>;
}

/// The same for futures that cannot fail, through the form that stops at the first error.
pub trait TryJoin: Peer {
    /// Joins them.
    fn join<F: Future<Output = Result<usize, ()>>>(futures: Vec<F>) -> impl Future<Output = usize>;
}

/// Gives the outputs in the order in which they come. The output is their sum.
pub trait Completed: Peer {
    /// Takes them one by one.
    fn each<F: Future<Output = usize>>(futures: Vec<F>) -> impl Future<Output = usize>;
}

/// Runs each future as a task of a runtime of one thread.
pub trait Spawn: Peer {
    /// Spawns all, waits for all.
    fn join<F: Future<Output = usize> + Send + 'static>(futures: Vec<F>) -> impl Future<Output = usize>;
}

macro_rules! peer {
    ($(#[$doc:meta])* $adapter:ident, $name:literal, $role:expr) => {
        $(#[$doc])*
        pub struct $adapter;

        impl Peer for $adapter {
            const NAME: &'static str = $name;
            const ROLE: Role = $role;
        }
    };
}

peer!(
    /// `gather`, `try_gather`, `as_completed`.
    Testudo,
    "testudo",
    Role::Own
);
impl Join for Testudo {
    async fn join<F: Future<Output = usize>>(futures: Vec<F>) -> usize {
        testudo::task::gather(futures).await.into_iter().sum()
    }
}
impl TryJoin for Testudo {
    async fn join<F: Future<Output = Result<usize, ()>>>(futures: Vec<F>) -> usize {
        testudo::task::try_gather(futures).await.into_iter().flatten().sum()
    }
}
impl Completed for Testudo {
    async fn each<F: Future<Output = usize>>(futures: Vec<F>) -> usize {
        let mut stream = testudo::task::as_completed(futures);
        let mut sum = 0;
        while let Some((_, output)) = stream.next().await {
            sum += output;
        }
        sum
    }
}

peer!(
    /// `join_all`, `try_join_all`.
    Futures,
    "futures join_all",
    Role::Peer
);
impl Join for Futures {
    async fn join<F: Future<Output = usize>>(futures: Vec<F>) -> usize {
        futures_util::future::join_all(futures).await.into_iter().sum()
    }
}
impl TryJoin for Futures {
    async fn join<F: Future<Output = Result<usize, ()>>>(futures: Vec<F>) -> usize {
        futures_util::future::try_join_all(futures).await.into_iter().flatten().sum()
    }
}

peer!(
    /// `FuturesUnordered`.
    Unordered,
    "FuturesUnordered",
    Role::Peer
);
impl Completed for Unordered {
    async fn each<F: Future<Output = usize>>(futures: Vec<F>) -> usize {
        let mut stream = futures.into_iter().collect::<FuturesUnordered<F>>();
        let mut sum = 0;
        while let Some(output) = stream.next().await {
            sum += output;
        }
        sum
    }
}
impl Join for Unordered {
    async fn join<F: Future<Output = usize>>(futures: Vec<F>) -> usize {
        Self::each(futures).await
    }
}

peer!(
    /// `join_all`, `try_join_all`, `FuturesUnorderedBounded`.
    Buffered,
    "futures-buffered",
    Role::Peer
);
impl Join for Buffered {
    async fn join<F: Future<Output = usize>>(futures: Vec<F>) -> usize {
        futures_buffered::join_all(futures).await.into_iter().sum()
    }
}
impl TryJoin for Buffered {
    async fn join<F: Future<Output = Result<usize, ()>>>(futures: Vec<F>) -> usize {
        futures_buffered::try_join_all(futures).await.into_iter().flatten().sum()
    }
}
impl Completed for Buffered {
    async fn each<F: Future<Output = usize>>(futures: Vec<F>) -> usize {
        let mut stream = pin!(futures.into_iter().collect::<futures_buffered::FuturesUnorderedBounded<F>>());
        let mut sum = 0;
        while let Some(output) = stream.next().await {
            sum += output;
        }
        sum
    }
}

peer!(
    /// `Join`, `TryJoin`, `FutureGroup`.
    Concurrency,
    "futures-concurrency",
    Role::Peer
);
impl Join for Concurrency {
    async fn join<F: Future<Output = usize>>(futures: Vec<F>) -> usize {
        futures_concurrency::future::Join::join(futures).await.into_iter().sum()
    }
}
impl TryJoin for Concurrency {
    async fn join<F: Future<Output = Result<usize, ()>>>(futures: Vec<F>) -> usize {
        futures_concurrency::future::TryJoin::try_join(futures).await.into_iter().flatten().sum()
    }
}
impl Completed for Concurrency {
    async fn each<F: Future<Output = usize>>(futures: Vec<F>) -> usize {
        let mut stream = pin!(futures.into_iter().collect::<futures_concurrency::future::FutureGroup<F>>());
        let mut sum = 0;
        while let Some(output) = stream.next().await {
            sum += output;
        }
        sum
    }
}

peer!(
    /// `JoinSet`, on a runtime of one thread.
    JoinSet,
    "tokio JoinSet",
    Role::Peer
);
impl Spawn for JoinSet {
    async fn join<F: Future<Output = usize> + Send + 'static>(futures: Vec<F>) -> usize {
        let mut set = futures.into_iter().collect::<tokio::task::JoinSet<usize>>();
        let mut sum = 0;
        while let Some(output) = set.join_next().await {
            sum += output.expect("nobody panics");
        }
        sum
    }
}

peer!(
    /// `TaskTracker` and the handles of its tasks, on a runtime of one thread.
    TaskTracker,
    "tokio-util TaskTracker",
    Role::Peer
);
impl Spawn for TaskTracker {
    async fn join<F: Future<Output = usize> + Send + 'static>(futures: Vec<F>) -> usize {
        let tracker = tokio_util::task::TaskTracker::new();
        let handles: Vec<_> = futures.into_iter().map(|future| tracker.spawn(future)).collect();
        tracker.close();
        tracker.wait().await;
        let mut sum = 0;
        for handle in handles {
            sum += handle.await.expect("nobody panics");
        }
        sum
    }
}
impl Spawn for Testudo {
    async fn join<F: Future<Output = usize> + Send + 'static>(futures: Vec<F>) -> usize {
        <Self as Join>::join(futures).await
    }
}
