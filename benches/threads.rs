//! A small executor: each thread polls its own tasks first in, first out, and parks when none is ready.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

/// A parked thread looks this often whether the run should have ended.
const PARK: Duration = Duration::from_millis(50);
/// A run that goes on this long after it was told to stop is stuck: some task was never woken.
const GRACE: Duration = Duration::from_secs(2);

/// What the wakers of one thread's tasks reach.
struct Home {
    ready: ArrayQueue<usize>,
    asleep: AtomicBool,
    thread: Thread,
}

struct Task {
    home: Arc<Home>,
    index: usize,
    queued: AtomicBool,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        self.home.ready.push(self.index).expect("a task is queued once");
        fence(Ordering::SeqCst);
        if self.home.asleep.load(Ordering::Relaxed) {
            self.home.thread.unpark();
        }
    }
}

/// What each task returned, and how long they ran until they were told to stop; `None` when a task was never woken.
pub type Run = Option<(Vec<u64>, Duration)>;

/// Runs `tasks` futures on each of `threads` threads and raises `stop` after `wall`. A task ends when it sees `stop`.
pub fn run<F: Future<Output = u64>>(
    threads: usize,
    tasks: usize,
    wall: Duration,
    stop: &AtomicBool,
    make: impl Fn() -> F + Sync,
) -> Run {
    let start = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let local = || {
            let futures = (0..tasks).map(|_| Box::pin(make())).collect();
            start.wait();
            run_local(futures, stop)
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(local)).collect();
        start.wait();
        let began = Instant::now();
        thread::sleep(wall);
        stop.store(true, Ordering::Relaxed);
        let took = began.elapsed();
        let mut outputs = Vec::new();
        for worker in workers {
            outputs.extend(worker.join().expect("a worker panicked")?);
        }
        Some((outputs, took))
    })
}

fn run_local<F: Future<Output = u64>>(mut futures: Vec<Pin<Box<F>>>, stop: &AtomicBool) -> Option<Vec<u64>> {
    let home = Arc::new(Home {
        ready: ArrayQueue::new(futures.len()),
        asleep: AtomicBool::new(false),
        thread: thread::current(),
    });
    let task = |index| Arc::new(Task { home: home.clone(), index, queued: AtomicBool::new(false) });
    let tasks: Vec<Arc<Task>> = (0..futures.len()).map(task).collect();
    let wakers: Vec<Waker> = tasks.iter().map(|task| Waker::from(task.clone())).collect();
    let mut outputs = vec![None; futures.len()];
    let mut running = futures.len();
    let mut told = None;
    wakers.iter().for_each(Waker::wake_by_ref);
    while running > 0 {
        let Some(index) = next(&home) else {
            if stop.load(Ordering::Relaxed) && told.get_or_insert_with(Instant::now).elapsed() > GRACE {
                return None;
            }
            continue;
        };
        tasks[index].queued.store(false, Ordering::Release);
        if outputs[index].is_none()
            && let Poll::Ready(output) = futures[index].as_mut().poll(&mut Context::from_waker(&wakers[index]))
        {
            outputs[index] = Some(output);
            running -= 1;
        }
    }
    outputs.into_iter().collect()
}

/// The task that became ready first; parks once when there is none.
fn next(home: &Home) -> Option<usize> {
    home.ready.pop().or_else(|| {
        home.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let index = home.ready.pop().or_else(|| {
            thread::park_timeout(PARK);
            home.ready.pop()
        });
        home.asleep.store(false, Ordering::Relaxed);
        index
    })
}

/// Lets the other ready tasks of this thread run first.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Jain's fairness index: 1 when all had the same share, 1/n when one had everything.
pub fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|&share| share as f64).sum();
    let squares: f64 = shares.iter().map(|&share| (share as f64).powi(2)).sum();
    sum * sum / (shares.len() as f64 * squares)
}
