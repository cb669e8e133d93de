//! The block that a job shares with its future: each pair of what the two sides do.

use std::{cell::Cell, sync::Arc};

use loom::{
    alloc::Track,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};
use testudo::run::{Job, JobCx, Lost, Offload, offload};

use crate::support::{Data, Waiter, explore, race, spawn};

/// A job in hand, and its future. loom reports a closure or an output that is not dropped.
fn make<T: Send + 'static>(work: impl FnOnce(&JobCx<'_>) -> T + Send + 'static) -> (Job, Waiter<Offload<Leak<T>>>) {
    let (job, track) = (Cell::new(None), Leak(Track::new(())));
    let future = offload(&|new| job.set(Some(new)), move |cx| {
        drop(track);
        Leak(Track::new(work(cx)))
    });
    (job.into_inner().unwrap(), Waiter::new(future))
}

struct Leak<T>(Track<T>);

// SAFETY: loom's threads are one thread.
unsafe impl<T> Send for Leak<T> {}

/// Two halves of `Data` that are written before and read after.
fn shared() -> (Arc<Data>, SendData) {
    let data = Data::new();
    (Arc::clone(&data), SendData(data))
}

struct SendData(Arc<Data>);

// SAFETY: loom checks every access.
unsafe impl Send for SendData {}

impl SendData {
    fn write(&self, value: usize) {
        self.0.write(value);
    }
}

/// T2 -> take.
#[test]
fn e1_done_publishes() {
    explore(|| {
        let (data, write) = shared();
        let (job, mut waiter) = make(move |_| {
            write.write(1);
            7
        });
        let run = spawn(move || job.run());
        if waiter.poll() || waiter.poll() {
            assert_eq!(data.read(), 1);
        }
        assert_eq!(waiter_output(waiter, || run.join()), 7);
        assert_eq!(data.read(), 1);
    });
}

/// Ready in time, and with a wake-up if it was pending.
fn waiter_output<T>(waiter: Waiter<Offload<Leak<T>>>, join: impl FnOnce()) -> T {
    join();
    let Ok(output) = waiter.arrive() else { panic!("lost") };
    output.0.into_inner()
}

/// T3 -> T2: the waker that is registered while the job ends is woken, or not needed. Three polls, two tasks.
#[test]
fn e2_registered_waker_is_woken() {
    explore(|| {
        let (job, mut waiter) = make(|_| 7);
        waiter.poll();
        let run = spawn(move || job.run());
        waiter.move_to_another_task();
        waiter.poll();
        waiter.poll();
        assert_eq!(waiter_output(waiter, || run.join()), 7);
    });
}

/// T5 -> T5. Also: run x drop, before the first poll; the closure runs at most once and everything is dropped once.
#[test]
fn e3_last_one_frees() {
    explore(|| {
        let (job, waiter) = make(|_| 7);
        let run = spawn(move || job.run());
        race();
        drop(waiter);
        run.join();
    });
}

#[test]
fn run_x_drop_of_a_waiting_future() {
    explore(|| {
        let (job, mut waiter) = make(|_| 7);
        assert!(!waiter.poll());
        let run = spawn(move || job.run());
        race();
        drop(waiter);
        run.join();
    });
}

#[test]
fn run_x_poll_then_drop() {
    explore(|| {
        let (job, mut waiter) = make(|_| 7);
        let run = spawn(move || job.run());
        waiter.poll();
        race();
        drop(waiter);
        run.join();
    });
}

/// The job runs for two steps; it is told, or it is not yet. What it was told once stays.
#[test]
fn asking_x_drop() {
    explore(|| {
        let (job, mut waiter) = make(|cx| {
            race();
            let first = cx.is_cancelled();
            race();
            assert!(cx.is_cancelled() || !first);
        });
        waiter.poll();
        let run = spawn(move || job.run());
        race();
        drop(waiter);
        run.join();
    });
}

/// A job that nobody wants when a thread gets to it never runs.
#[test]
fn dropped_future_before_the_run() {
    explore(|| {
        let ran = Arc::new(AtomicBool::new(false));
        let (job, mut waiter) = make({
            let ran = Arc::clone(&ran);
            move |_| ran.store(true, Relaxed)
        });
        waiter.poll();
        drop(waiter);
        assert!(job.is_cancelled());
        spawn(move || job.run()).join();
        assert!(!ran.load(Relaxed));
    });
}

#[test]
fn dying_pool_x_poll() {
    explore(|| {
        let (job, mut waiter) = make(|_| 7);
        let pool = spawn(move || drop(job));
        waiter.poll();
        waiter.move_to_another_task();
        waiter.poll();
        pool.join();
        assert!(matches!(waiter.arrive(), Err(Lost)));
    });
}

#[test]
fn dying_pool_x_drop() {
    explore(|| {
        let (job, mut waiter) = make(|_| 7);
        waiter.poll();
        let pool = spawn(move || drop(job));
        race();
        drop(waiter);
        pool.join();
    });
}
