//! Futures that are finished whoever waits for them.

use std::fmt::Debug;
use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use async_executor::LocalExecutor;
use cpu_time::ThreadTime;
use futures_util::FutureExt;
use testudo::flow::Exit;
use testudo::task::{Shelter, ShelterArray};

use crate::harness::{Peer, Role, Sample, time};
use crate::poll::{pending, ready, waker};

/// What is protected: 72 bytes that pend so often, and wake at once.
pub struct Work {
    data: [u64; 8],
    pends: usize,
}

impl Work {
    /// One that pends `pends` times.
    pub fn new(pends: usize) -> Self {
        Self { data: black_box([1; 8]), pends }
    }
}

impl Future for Work {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        if self.pends > 0 {
            self.pends -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.data.iter().sum())
    }
}

/// How a future goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Ready at its first poll.
    Ready,
    /// Pending once, then ready.
    Yields,
    /// Pending once; whoever waits is dropped then, and it is finished all the same.
    Cancelled,
}

impl Course {
    /// By the number of a row.
    pub fn of(arg: usize) -> Self {
        [Self::Ready, Self::Yields, Self::Cancelled][arg]
    }

    fn work(self) -> Work {
        Work::new(usize::from(self != Self::Ready))
    }
}

/// A way to protect a future.
pub trait Protect: Peer {
    /// `n` futures, one after the other.
    fn run(n: u64, course: Course) -> Sample;
}

macro_rules! adapter {
    ($(#[$doc:meta])* $adapter:ident, $name:literal, $role:expr, |$n:ident, $course:ident| $body:expr) => {
        $(#[$doc])*
        pub struct $adapter;

        impl Peer for $adapter {
            const NAME: &'static str = $name;
            const ROLE: Role = $role;
        }

        impl Protect for $adapter {
            fn run($n: u64, $course: Course) -> Sample {
                $body
            }
        }
    };
}

/// Polls each future where it is, as often as it takes.
fn polled<F: Future<Output = u64>>(n: u64, course: Course, make: impl Fn(Work) -> F) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let mut work = pin!(black_box(make(course.work())));
        if course != Course::Ready {
            pending(work.as_mut(), cx);
        }
        assert_eq!(ready(work, cx), 8);
    })
}

adapter!(
    /// Not protected: polled where it is.
    Bare, "a bare poll", Role::Floor, |n, course| polled(n, course, |work| work)
);

adapter!(
    /// Not protected: in a box, of a type that is not known.
    Boxed, "Pin<Box<dyn Future>>", Role::Floor, |n, course| {
        polled(n, course, |work| -> Pin<Box<dyn Future<Output = u64>>> { Box::pin(work) })
    }
);

/// Shields each future and waits for its handle, or drops that and drains the shelter.
fn shielded<E: Debug + PartialEq, H: Future<Output = Result<u64, E>>, D: Future>(
    n: u64,
    course: Course,
    shield: impl Fn(Work) -> Option<H>,
    drain: impl Fn() -> D,
) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || {
        let mut handle = pin!(shield(course.work()));
        if course != Course::Ready {
            pending(handle.as_mut().as_pin_mut().expect("a handle"), cx);
        }
        if course == Course::Cancelled {
            handle.set(None);
            ready(pin!(drain()), cx);
        } else {
            assert_eq!(ready(handle.as_mut().as_pin_mut().expect("a handle"), cx), Ok(8));
        }
    })
}

adapter!(
    /// This crate's shelter.
    Testudo, "testudo Shelter", Role::Own, |n, course| {
        let shelter = Shelter::new();
        shielded(n, course, |work| Some(black_box(&shelter).shield(work)), || shelter.drain())
    }
);

adapter!(
    /// This crate's shelter without an allocator.
    TestudoArray, "testudo ShelterArray", Role::Own, |n, course| {
        let shelter = pin!(ShelterArray::<Work, 4>::new());
        let shelter = shelter.as_ref();
        shielded(n, course, |work| black_box(shelter).shield_pinned(work).ok(), || shelter.drain())
    }
);

adapter!(
    /// futures-util: a second clone finishes what the first one leaves.
    Shared, "futures Shared", Role::Peer, |n, course| {
        let waker = waker();
        let cx = &mut Context::from_waker(&waker);
        time(n, || {
            let mut first = Some(black_box(course.work()).shared());
            let second = (course == Course::Cancelled).then(|| first.clone()).flatten();
            if course != Course::Ready {
                pending(pin!(first.as_mut().expect("a handle")), cx);
            }
            if let Some(mut second) = second {
                drop(first.take());
                assert_eq!(ready(pin!(&mut second), cx), 8);
            }
            if let Some(first) = &mut first {
                assert_eq!(ready(pin!(first), cx), 8);
            }
        })
    }
);

adapter!(
    /// futures-util: both halves are polled by hand.
    Remote, "futures RemoteHandle", Role::Peer, |n, course| {
        let waker = waker();
        let cx = &mut Context::from_waker(&waker);
        time(n, || {
            let (remote, handle) = black_box(course.work()).remote_handle();
            let (mut remote, mut handle) = (pin!(remote), Some(handle));
            if course != Course::Ready {
                pending(remote.as_mut(), cx);
            }
            if course == Course::Cancelled {
                handle.take().expect("a handle").forget();
            }
            ready(remote, cx);
            if let Some(handle) = handle {
                assert_eq!(ready(pin!(handle), cx), 8);
            }
        })
    }
);

adapter!(
    /// tokio: a task of its own, on the same thread.
    Tokio, "tokio spawn + JoinHandle", Role::Peer, |n, course| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let start = ThreadTime::now();
            for _ in 0..n {
                let handle = tokio::spawn(black_box(course.work()));
                if course == Course::Cancelled {
                    drop(handle);
                    tokio::task::yield_now().await;
                    tokio::task::yield_now().await;
                } else {
                    assert_eq!(handle.await.expect("a result"), 8);
                }
            }
            Sample::new(n, start.elapsed())
        })
    }
);

adapter!(
    /// async-executor: a task of its own, on the same thread.
    AsyncExecutor, "async-executor Task", Role::Peer, |n, course| {
        let executor = LocalExecutor::new();
        let theirs = &executor;
        let run = executor.run(async {
            let start = ThreadTime::now();
            for _ in 0..n {
                let task = theirs.spawn(black_box(course.work()));
                if course == Course::Cancelled {
                    task.detach();
                    theirs.spawn(Work::new(1)).await;
                } else {
                    assert_eq!(task.await, 8);
                }
            }
            Sample::new(n, start.elapsed())
        });
        testudo::run::block_on(run)
    }
);

/// A resource whose release is a future.
pub trait Scoped: Peer {
    /// `n` resources, acquired and released.
    fn run(n: u64) -> Sample;
}

/// Acquires each resource, and releases it by a future that is ready.
fn released<F: Future>(n: u64, acquire: impl Fn() -> F) -> Sample {
    let waker = waker();
    let cx = &mut Context::from_waker(&waker);
    time(n, || drop(ready(pin!(acquire()), cx)))
}

async fn release(resource: u64, _: Exit) {
    black_box(resource);
}

/// This crate's guard.
pub struct TestudoGuard;

impl Peer for TestudoGuard {
    const NAME: &'static str = "testudo Guard::close";
    const ROLE: Role = Role::Own;
}

impl Scoped for TestudoGuard {
    fn run(n: u64) -> Sample {
        let shelter = Shelter::new();
        released(n, || black_box(&shelter).guard(black_box(7), release).close())
    }
}

/// This crate's guard in an array.
pub struct TestudoArrayGuard;

impl Peer for TestudoArrayGuard {
    const NAME: &'static str = "testudo ArrayGuard::close";
    const ROLE: Role = Role::Own;
}

impl Scoped for TestudoArrayGuard {
    fn run(n: u64) -> Sample {
        let shelter = pin!(ShelterArray::<_, 1>::new());
        let shelter = shelter.as_ref();
        released(n, || black_box(shelter).guard_pinned(black_box(7), release).ok().expect("a place").close())
    }
}

/// A boxed release that is awaited, and lost when it is cancelled.
pub struct BoxedRelease;

impl Peer for BoxedRelease {
    const NAME: &'static str = "a boxed release, awaited";
}

impl Scoped for BoxedRelease {
    fn run(n: u64) -> Sample {
        released(n, || -> Pin<Box<dyn Future<Output = ()>>> {
            black_box(Box::pin(release(black_box(7), Exit::Closed)))
        })
    }
}

/// A destructor, which cannot wait.
pub struct PlainDrop(u64);

impl Drop for PlainDrop {
    fn drop(&mut self) {
        black_box(self.0);
    }
}

impl Peer for PlainDrop {
    const NAME: &'static str = "plain Drop";
    const ROLE: Role = Role::Floor;
}

impl Scoped for PlainDrop {
    fn run(n: u64) -> Sample {
        time(n, || drop(black_box(Self(black_box(7)))))
    }
}
