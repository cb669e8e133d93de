//! Blocking work on other threads: asyncio's rules by number, pools that refuse and die, wakers, panics, memory, stress.
use core::{
    cell::{Cell, RefCell},
    future::Future,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::Poll,
    time::Duration,
};
use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
};

use futures_core::FusedFuture;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use testudo::run::{BlockingPool, Job, JobCx, Lost, Offload, Pool, Sim, block_on, offload};

use crate::support::{Probe, Rng, allocations, panics, poll_panics};

assert_impl_all!(Job: Send, Sync, Unpin);
assert_impl_all!(Offload<Cell<u8>>: Send, Sync, Unpin);
assert_not_impl_any!(Offload<std::rc::Rc<u8>>: Send, Sync);
assert_impl_all!(JobCx<'static>: Send, Sync);
assert_impl_all!(BlockingPool: Send, Sync, Copy);

fn thread_each(job: Job) {
    thread::spawn(move || job.run());
}

/// Keeps its jobs until somebody takes them.
#[derive(Default)]
struct Shelf(RefCell<Vec<Job>>);

impl Pool for Shelf {
    fn execute(&self, job: Job) -> Result<(), Job> {
        self.0.borrow_mut().push(job);
        Ok(())
    }
}

impl Shelf {
    fn take(&self) -> Job {
        self.0.borrow_mut().remove(0)
    }
}

struct Closed;

impl Pool for Closed {
    fn execute(&self, job: Job) -> Result<(), Job> {
        Err(job)
    }
}

/// Counts its drops.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    fn guard(&self) -> Guard {
        Guard(self.clone())
    }
}

struct Guard(Drops);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn exec_01_runs_in_another_thread_and_its_result_comes_back() {
    let id = block_on(offload(&thread_each, |_| thread::current().id())).unwrap();
    assert_ne!(id, thread::current().id());
    let id = block_on(offload(&BlockingPool, |_| thread::current().id())).unwrap();
    assert_ne!(id, thread::current().id());
}

#[test]
fn exec_02_errors_and_panics_come_back() {
    assert_eq!(block_on(offload(&thread_each, |_| "x".parse::<u8>().is_err())), Ok(true));
    let work = offload(&thread_each, |_| -> u8 { panic!("on a thread") });
    assert_eq!(panics(|| block_on(work)), "on a thread");
}

#[test]
fn exec_03_is_called_exactly_once() {
    let (shelf, calls) = (Shelf::default(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&calls);
    let work = offload(&shelf, move |_| counted.fetch_add(1, SeqCst));
    assert_eq!(calls.load(SeqCst), 0);
    shelf.take().run();
    assert_eq!((block_on(work), calls.load(SeqCst)), (Ok(0), 1));
}

/// All of them are at work before the first one ends.
#[test]
fn exec_04_many_run_at_the_same_time_and_results_are_in_argument_order() {
    let barrier = Arc::new(std::sync::Barrier::new(4));
    let work: Vec<_> = (0..4)
        .map(|n| {
            let barrier = Arc::clone(&barrier);
            offload(&thread_each, move |_| {
                barrier.wait();
                n
            })
        })
        .collect();
    let results: Vec<_> = work.into_iter().map(|work| block_on(work).unwrap()).collect();
    assert_eq!(results, [0, 1, 2, 3]);
}

#[test]
fn exec_05_running_call_goes_on_is_told_and_its_late_result_is_dropped_there() {
    let drops = Drops::default();
    let ((started, begun), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    let guard = drops.guard();
    let (finished, end) = mpsc::channel();
    let probe = Probe::new();
    let mut work = Box::pin(offload(
        &|job: Job| {
            let finished = finished.clone();
            thread::spawn(move || {
                job.run();
                finished.send(thread::current().id()).unwrap();
            });
        },
        move |cx| {
            started.send(cx.is_cancelled()).unwrap();
            may_go_on.recv().unwrap();
            started.send(cx.is_cancelled()).unwrap();
            guard
        },
    ));
    probe.pends(&mut work);
    assert!(!begun.recv().unwrap());
    drop(work);
    assert_eq!((probe.kept(), drops.count()), (0, 0)); // the waker is let go at once
    go_on.send(()).unwrap();
    assert!(begun.recv().unwrap());
    end.recv().unwrap();
    assert_eq!((drops.count(), probe.wakes()), (1, 0));
}

#[test]
fn exec_06_queued_call_is_withdrawn_and_never_runs() {
    for polls in [false, true] {
        let (shelf, drops, probe) = (Shelf::default(), Drops::default(), Probe::new());
        let guard = drops.guard();
        let mut work = Box::pin(offload(&shelf, move |_| {
            let _guard = guard;
            panic!("it ran");
        }));
        if polls {
            probe.pends::<Offload<()>>(&mut work);
        }
        drop(work);
        assert_eq!((drops.count(), probe.kept()), (1, 0)); // dropped here and now
        let job = shelf.take();
        assert!(job.is_cancelled());
        job.run();
        assert_eq!(probe.wakes(), 0);
    }
}

/// EXEC-10: any pool will do, also one behind a pointer.
#[test]
fn exec_10_pool_can_be_replaced() {
    let pools: [Box<dyn Pool>; 2] = [Box::new(BlockingPool), Box::new(thread_each)];
    for pool in pools {
        assert_eq!(block_on(offload(&*pool, |_| 1)), Ok(1));
    }
}

/// The pool is its owner's: who drops this one waits for what runs and what is queued.
#[test]
fn exec_11_the_owner_of_a_pool_waits_for_running_calls() {
    struct Joined(Mutex<Vec<thread::JoinHandle<()>>>);
    impl Pool for Joined {
        fn execute(&self, job: Job) -> Result<(), Job> {
            self.0.lock().unwrap().push(thread::spawn(move || job.run()));
            Ok(())
        }
    }
    impl Drop for Joined {
        fn drop(&mut self) {
            self.0.get_mut().unwrap().drain(..).for_each(|thread| thread.join().unwrap());
        }
    }
    let (ended, pool) = (Arc::new(AtomicUsize::new(0)), Joined(Mutex::default()));
    let ((started, begun), probe) = (mpsc::channel(), Probe::new());
    let theirs = Arc::clone(&ended);
    let mut work = Box::pin(offload(&pool, move |_| {
        started.send(()).unwrap();
        thread::sleep(Duration::from_millis(20));
        theirs.fetch_add(1, SeqCst)
    }));
    begun.recv().unwrap();
    drop(pool);
    assert_eq!((ended.load(SeqCst), probe.ready(&mut work)), (1, Ok(0)), "it runs to its end, and the result is there");
}

#[test]
fn exec_12_work_for_a_pool_that_is_shut_down_is_lost() {
    let drops = Drops::default();
    let guard = drops.guard();
    let work = offload(&Closed, move |_| drop(guard));
    assert_eq!(drops.count(), 1);
    assert_eq!(block_on(work), Err(Lost));
}

/// One thread, which is busy while the runtime ends; tokio drops what comes after that.
#[test]
fn work_for_a_tokio_that_has_ended_is_lost_not_stuck() {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let handle = runtime.handle().clone();
    let pool = |job: Job| drop(handle.spawn_blocking(move || job.run()));
    let ((begun, begins), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    let busy = offload(&pool, move |_| {
        begun.send(()).unwrap();
        may_go_on.recv().unwrap();
    });
    begins.recv().unwrap();
    runtime.shutdown_background();
    let late = offload(&pool, |_| ());
    go_on.send(()).unwrap();
    assert_eq!((block_on(busy), block_on(late)), (Ok(()), Err(Lost)));
}

#[test]
fn job_dropped_unrun_wakes_and_says_so() {
    let (shelf, probe) = (Shelf::default(), Probe::new());
    let mut work = Box::pin(offload(&shelf, |_| 1));
    probe.pends(&mut work);
    drop(shelf.take());
    assert_eq!((probe.wakes(), probe.kept()), (1, 0));
    assert_eq!(probe.ready(&mut work), Err(Lost));
    assert!(work.is_terminated());
    assert!(poll_panics(&mut work, &probe).contains("polled after completion"));
}

#[test]
fn only_the_last_waker_is_woken_and_once() {
    let (shelf, a, b) = (Shelf::default(), Probe::new(), Probe::new());
    let mut work = Box::pin(offload(&shelf, |_| 1));
    a.pends(&mut work);
    a.pends(&mut work);
    assert_eq!(a.clones(), 1); // the same task again: nothing to clone
    b.pends(&mut work);
    assert_eq!(a.kept(), 0);
    shelf.take().run();
    assert_eq!((a.wakes(), b.wakes(), b.kept()), (0, 1, 0));
    assert_eq!(a.ready(&mut work), Ok(1));
}

#[test]
fn one_allocation_a_job() {
    let probe = Probe::new();
    let slot = Cell::new(None);
    let (count, output) = allocations(|| {
        let mut work = core::pin::pin!(offload(&|job| slot.set(Some(job)), |_| [1_u64; 8]));
        assert!(probe.poll_pinned(work.as_mut()).is_pending());
        slot.take().unwrap().run();
        probe.poll_pinned(work)
    });
    assert_eq!((count, output), (1, Poll::Ready(Ok([1; 8]))));
    assert_eq!((size_of::<Job>(), size_of::<Offload<[u64; 8]>>()), (size_of::<usize>(), size_of::<usize>()));
}

/// A block with a closure or an output of any alignment.
#[test]
fn closures_and_outputs_of_any_alignment() {
    #[repr(align(128))]
    struct Wide(u8);
    let wide = Wide(7);
    let work = offload(&thread_each, move |_| Wide(wide.0 + 1));
    let output = block_on(work).unwrap();
    assert_eq!((output.0, (&raw const output).addr() % 128), (8, 0));
    drop(offload(&Shelf::default(), move |_| output.0)); // dropped on the shelf
}

#[test]
fn panic_that_nobody_waits_for_stays_with_the_job() {
    let shelf = Shelf::default();
    let ((started, begun), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    let work = offload(&shelf, move |_| {
        started.send(()).unwrap();
        may_go_on.recv().unwrap();
        panic!("unheard");
    });
    let job = shelf.take();
    let thread = thread::spawn(move || job.run());
    begun.recv().unwrap();
    drop::<Offload<()>>(work);
    go_on.send(()).unwrap();
    assert!(thread.join().is_ok());
}

/// Destructors that panic: of the closure, when it is withdrawn and when the pool dies; of the output, on the worker.
#[test]
fn panicking_destructors_leak_nothing_and_strand_nobody() {
    struct Bomb(Guard);
    impl Drop for Bomb {
        fn drop(&mut self) {
            let _ = &self.0;
            panic!("destructor");
        }
    }
    let (drops, probe) = (Drops::default(), Probe::new());
    let bomb = || Bomb(drops.guard());
    let shelf = Shelf::default();

    let captured = bomb();
    let work = offload(&shelf, move |_| drop(captured));
    assert_eq!(panics(|| drop(work)), "destructor");
    drop(shelf.take());
    assert_eq!(drops.count(), 1);

    let captured = bomb();
    let mut work = Box::pin(offload(&shelf, move |_| drop(captured)));
    probe.pends(&mut work);
    let job = shelf.take();
    assert_eq!(panics(|| drop(job)), "destructor");
    assert_eq!((drops.count(), probe.wakes()), (2, 1));
    assert_eq!(probe.ready(&mut work), Err(Lost));

    let (made, slot) = (bomb(), Arc::new(Mutex::new(None)));
    let own = Arc::clone(&slot);
    let work = offload(&shelf, move |_| {
        drop(own.lock().unwrap().take());
        made
    });
    *slot.lock().unwrap() = Some(work);
    let job = shelf.take();
    assert_eq!(panics(|| job.run()), "destructor");
    assert_eq!(drops.count(), 3);
}

/// The job of a future that is dropped from within it, and one that is awaited by its own waker's wake.
#[test]
fn waker_may_poll_and_drop_the_future() {
    let (shelf, probe) = (Shelf::default(), Arc::new(Probe::new()));
    let place = Arc::new(Mutex::new(Some(Box::pin(offload(&shelf, |_| 5)))));
    probe.pends(place.lock().unwrap().as_mut().unwrap());
    let seen = Arc::new(Mutex::new(None));
    let (from, to) = (Arc::clone(&place), Arc::clone(&seen));
    probe.on_wake(move || {
        let mut work = from.lock().unwrap().take().unwrap();
        let other = Probe::new();
        *to.lock().unwrap() = Some(other.ready(&mut work));
    });
    shelf.take().run();
    assert_eq!(*seen.lock().unwrap(), Some(Ok(5)));
}

/// Two hours of virtual time are at hand, and are not taken: the work runs on a thread.
#[test]
fn simulation_waits_for_work_and_its_clock_stands_still() {
    let sim = Sim::new();
    let (clock, threads) = (sim.clock(), sim.outside(thread_each));
    let sleeper = sim.clock();
    sim.spawn(async move { sleeper.sleep(Duration::from_secs(7200)).await }).detach();
    let times = sim.block_on(async {
        let mut times = vec![];
        for _ in 0..3 {
            offload(&threads, |_| thread::sleep(Duration::from_millis(5))).await.unwrap();
            times.push(clock.now());
        }
        clock.sleep(Duration::from_secs(1)).await;
        times.push(clock.now());
        times
    });
    assert_eq!(times.unwrap(), [Duration::ZERO, Duration::ZERO, Duration::ZERO, Duration::from_secs(1)]);
}

/// A result that lies ready does not hold the clock, nor does a job that was refused.
#[test]
fn simulation_goes_on_when_the_work_is_done() {
    let sim = Sim::new();
    let (clock, threads, closed) = (sim.clock(), sim.outside(thread_each), sim.outside(Closed));
    let output = sim.block_on(async {
        let lost = offload(&closed, |_| 0);
        let work = offload(&threads, |_| 1);
        clock.sleep(Duration::from_secs(3)).await;
        (lost.await, work.await)
    });
    assert_eq!((output.unwrap(), sim.now()), ((Err(Lost), Ok(1)), Duration::from_secs(3)));
}

/// Without the token a task that waits for a thread is a stall; a dead pool is not even that.
#[test]
fn simulation_reports_a_stall_only_where_nobody_is_at_work() {
    let sim = Sim::new();
    let shelf = Shelf::default();
    assert!(sim.block_on(offload(&shelf, |_| 1)).is_err());
    let outside = sim.outside(|job: Job| drop(job));
    assert_eq!(sim.block_on(offload(&outside, |_| 1)).unwrap(), Err(Lost));
}

/// Futures are polled, moved to other tasks and dropped while two threads run, drop and ignore jobs.
#[test]
fn stress_offload() {
    let rounds = crate::stress::rounds(20_000);
    let (sender, jobs) = mpsc::channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    let workers: Vec<_> = (0..2)
        .map(|seed| {
            let (jobs, mut rng) = (Arc::clone(&jobs), Rng::new(seed));
            thread::spawn(move || {
                loop {
                    let Ok(job) = jobs.lock().unwrap().recv() else { break };
                    if rng.one_in(8) { drop(job) } else { job.run() }
                }
            })
        })
        .collect();
    let (made, dropped) = (Arc::new(AtomicUsize::new(0)), Drops::default());
    let mut rng = Rng::new(99);
    let (mut done, mut lost, mut left) = (0, 0, 0);
    for n in 0..rounds {
        let (captured, made_in, outputs) = (dropped.guard(), Arc::clone(&made), dropped.clone());
        made.fetch_add(1, SeqCst);
        let mut work = Box::pin(offload(&|job| sender.send(job).unwrap(), move |_| {
            drop(captured);
            made_in.fetch_add(1, SeqCst);
            (n, outputs.guard())
        }));
        let probes = Probe::many(2);
        for _ in 0..rng.below(4) {
            if !work.is_terminated() {
                if let Poll::Ready(output) = probes[rng.below(2)].poll(&mut work) {
                    done += usize::from(output.is_ok_and(|(m, _)| m == n));
                }
            }
        }
        match rng.below(2) {
            _ if work.is_terminated() => {}
            0 => left += 1,
            _ => match block_on(work) {
                Ok((m, _)) => done += usize::from(m == n),
                Err(Lost) => lost += 1,
            },
        }
    }
    drop(sender);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(made.load(SeqCst), dropped.count(), "something is leaked, or dropped twice");
    assert!(done > 0 && lost > 0 && left > 0, "{done} done, {lost} lost, {left} left");
}

fn is_send<F: Future + Send>(_: &F) {}

#[test]
fn future_around_it_is_send() {
    is_send(&async {
        let shared = Arc::new(1);
        offload(&BlockingPool, move |_| *shared).await
    });
}
