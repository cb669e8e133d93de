//! Groups of children: spawn `n` and join them all.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use async_scoped::TokioScope;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use testudo::run::block_on;
use tokio::runtime::{Builder, Runtime};

use crate::harness::{self, Peer, Role, Sample};

/// A crate's way to start children and to wait for them, on one thread.
pub trait Group: Peer {
    /// What outlives the group: an executor.
    type Executor;

    /// Makes it.
    fn executor() -> Self::Executor;

    /// Starts `n` children, of which each yields `yields` times, waits for all, and returns the sum of what they return.
    fn run(executor: &Self::Executor, n: usize, yields: usize) -> usize;

    /// Times `n` groups. In processor time of this thread, where all is done on it.
    fn time(n: u64, group: impl FnMut()) -> Sample {
        harness::time(n, group)
    }
}

/// A child.
async fn child(n: usize, yields: usize) -> usize {
    let mut left = yields;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    n
}

#[allow(clippy::manual_async_fn, reason = "says that it is Send")]
fn fine(n: usize, yields: usize) -> impl Future<Output = Result<usize, Infallible>> + Send {
    async move { Ok(child(n, yields).await) }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

macro_rules! peer {
    ($(#[$doc:meta])* $peer:ident, $name:literal, $role:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $peer;

        impl Peer for $peer {
            const NAME: &'static str = $name;
            const ROLE: Role = Role::$role;
        }
    };
}

peer! {
    /// `TaskGroup`.
    Testudo, "testudo TaskGroup", Own
}

impl Group for Testudo {
    type Executor = ();

    fn executor() {}

    fn run((): &(), n: usize, yields: usize) -> usize {
        let tg = testudo::task::TaskGroup::new();
        let sum = block_on(tg.run(async {
            let handles: Vec<_> = (0..n).map(|n| tg.spawn(fine(n, yields))).collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.unwrap_or(0);
            }
            Ok::<_, Infallible>(sum)
        }));
        sum.unwrap_or(0)
    }
}

/// `TaskGroupArray` with `N` places, on the stack.
#[derive(Debug)]
pub struct TestudoArray<const N: usize>;

impl<const N: usize> Peer for TestudoArray<N> {
    const NAME: &'static str = "testudo TaskGroupArray";
    const ROLE: Role = Role::Own;
}

impl<const N: usize> Group for TestudoArray<N> {
    type Executor = ();

    fn executor() {}

    fn run((): &(), n: usize, yields: usize) -> usize {
        let tg = pin!(testudo::task::TaskGroupArray::<_, N>::new());
        let tg = tg.into_ref();
        let sum = block_on(tg.run_pinned(async {
            let mut handles: [Option<_>; N] = [const { None }; N];
            for (n, handle) in (0..n).zip(&mut handles) {
                *handle = tg.spawn_pinned(fine(n, yields)).ok();
            }
            let mut sum = 0;
            for handle in handles.into_iter().flatten() {
                sum += handle.await.unwrap_or(0);
            }
            Ok::<_, Infallible>(sum)
        }));
        sum.unwrap_or(0)
    }
}

peer! {
    /// `SpawnedGroup` on tokio's current-thread runtime.
    TestudoSpawned, "testudo SpawnedGroup on tokio", Own
}

impl Group for TestudoSpawned {
    type Executor = Runtime;

    fn executor() -> Runtime {
        runtime()
    }

    fn run(runtime: &Runtime, n: usize, yields: usize) -> usize {
        runtime.block_on(async {
            let group = testudo::task::SpawnedGroup::new(|task: testudo::task::BoxTask| {
                tokio::spawn(task);
            });
            let handles: Vec<_> = (0..n).map(|n| group.spawn(fine(n, yields))).collect();
            group.join().await.expect("infallible");
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.unwrap_or(0);
            }
            sum
        })
    }
}

peer! {
    /// `tokio::task::JoinSet` on the current-thread runtime.
    JoinSet, "tokio JoinSet", Peer
}

impl Group for JoinSet {
    type Executor = Runtime;

    fn executor() -> Runtime {
        runtime()
    }

    fn run(runtime: &Runtime, n: usize, yields: usize) -> usize {
        runtime.block_on(async {
            let mut set = tokio::task::JoinSet::new();
            (0..n).for_each(|n| drop(set.spawn(child(n, yields))));
            let mut sum = 0;
            while let Some(outcome) = set.join_next().await {
                sum += outcome.expect("no panic");
            }
            sum
        })
    }
}

peer! {
    /// `tokio_util::task::TaskTracker` on the current-thread runtime.
    TaskTracker, "tokio-util TaskTracker", Peer
}

impl Group for TaskTracker {
    type Executor = Runtime;

    fn executor() -> Runtime {
        runtime()
    }

    fn run(runtime: &Runtime, n: usize, yields: usize) -> usize {
        runtime.block_on(async {
            let tracker = tokio_util::task::TaskTracker::new();
            let handles: Vec<_> = (0..n).map(|n| tracker.spawn(child(n, yields))).collect();
            tracker.close();
            tracker.wait().await;
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.expect("no panic");
            }
            sum
        })
    }
}

peer! {
    /// `FuturesUnordered`.
    Unordered, "futures FuturesUnordered", Peer
}

impl Group for Unordered {
    type Executor = ();

    fn executor() {}

    fn run((): &(), n: usize, yields: usize) -> usize {
        let mut set: FuturesUnordered<_> = (0..n).map(|n| child(n, yields)).collect();
        block_on(async {
            let mut sum = 0;
            while let Some(value) = set.next().await {
                sum += value;
            }
            sum
        })
    }
}

peer! {
    /// `moro::async_scope!`.
    Moro, "moro", Peer
}

impl Group for Moro {
    type Executor = ();

    fn executor() {}

    fn run((): &(), n: usize, yields: usize) -> usize {
        block_on(moro::async_scope!(|scope| {
            let jobs: Vec<_> = (0..n).map(|n| scope.spawn(child(n, yields))).collect();
            let mut sum = 0;
            for job in jobs {
                sum += job.await;
            }
            sum
        }))
    }
}

peer! {
    /// `async_scoped::TokioScope`: the children run on a worker thread, and the one that spawned them is blocked until all are done.
    Scoped, "async-scoped (blocks its thread)", Peer
}

impl Group for Scoped {
    type Executor = Runtime;

    /// Of several threads, which it insists on, that is to say of one beside this one.
    fn executor() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).build().expect("a runtime")
    }

    fn run(runtime: &Runtime, n: usize, yields: usize) -> usize {
        let _inside = runtime.enter();
        let ((), outcomes) = TokioScope::scope_and_block(|scope| {
            (0..n).for_each(|n| scope.spawn(child(n, yields)));
        });
        outcomes.into_iter().map(|outcome| outcome.expect("no panic")).sum()
    }

    /// In real time: two threads share the work, and the time of either leaves out what the other does.
    fn time(n: u64, mut group: impl FnMut()) -> Sample {
        let start = Instant::now();
        (0..n).for_each(|_| group());
        Sample::new(n, start.elapsed())
    }
}
