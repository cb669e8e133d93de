//! Shelters: handle and keeper, handle and handle, dropping, waking, aborting. The edges are those of `slot.rs` and `home.rs`.
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use loom::sync::Mutex;
use testudo::task::{BoxTask, Cancelled, Lost, Shelter, Shielded, shield};

use crate::support::{Data, Spawned, Waiter, block_on, explore, explore_within, spawn};

/// A future that is ready once it was opened; it keeps the waker of its last poll, as futures do.
#[derive(Default)]
struct Gate(Mutex<(bool, Option<Waker>)>);

impl Gate {
    fn open(&self) {
        let waker = {
            let mut gate = self.0.lock().unwrap();
            gate.0 = true;
            gate.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Opened(Arc<Gate>, Arc<Data>);

// SAFETY: loom's threads are one thread, and `Data` is there to have its accesses checked.
unsafe impl Send for Opened {}

impl Future for Opened {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let old;
        {
            let mut gate = self.0.0.lock().unwrap();
            if !gate.0 {
                old = gate.1.replace(cx.waker().clone());
                drop(gate);
                drop(old);
                self.1.write(self.1.read() + 1); // loom reports two polls at a time
                return Poll::Pending;
            }
        }
        self.1.write(self.1.read() + 1);
        Poll::Ready(7)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.1.write(100);
    }
}

/// A shelter with one shut gate in it. The shelter is leaked on purpose in no model: threads borrow it through an `Arc`.
struct World {
    shelter: Shelter<'static>,
    gate: Arc<Gate>,
    data: Arc<Data>,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self { shelter: Shelter::new(), gate: Arc::new(Gate::default()), data: Data::new() })
    }

    fn shield(&self) -> Shielded<'_, usize> {
        self.shelter.shield(Opened(self.gate.clone(), self.data.clone()))
    }

    /// A thread that keeps the shelter, or watches who does, until it was empty.
    fn drained(self: &Arc<Self>) -> Spawned<()> {
        let world = self.clone();
        spawn(move || block_on(world.shelter.drain()))
    }
}

/// A handle that owns its world: what a thread needs.
struct Owned {
    // Dropped before the world.
    handle: Option<Pin<Box<Shielded<'static, usize>>>>,
    _world: Arc<World>,
}

impl Owned {
    fn new(world: &Arc<World>) -> Self {
        // SAFETY: the world outlives the handle, which is dropped first.
        let kept: &'static World = unsafe { &*Arc::as_ptr(world) };
        Self { handle: Some(Box::pin(kept.shield())), _world: world.clone() }
    }

    fn another(&self) -> Self {
        let handle = self.handle.as_ref().map(|handle| Box::pin(Shielded::clone(handle)));
        Self { handle, _world: self._world.clone() }
    }
}

impl Future for Owned {
    type Output = Result<usize, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.handle.as_mut().unwrap().as_mut().poll(cx)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.handle = None;
    }
}

/// T2 -> T1: a handle on one thread, its keeper on another; whoever drives finishes it, and both come to an end.
#[test]
fn e1_handle_and_keeper_drive_one_after_the_other() {
    explore_within(2, || {
        let world = World::new();
        let handle = Owned::new(&world);
        let theirs = spawn(move || block_on(handle));
        let keeper = world.drained();
        world.gate.open();
        assert_eq!(theirs.join(), Ok(7));
        keeper.join();
        assert_eq!((world.shelter.len(), world.data.read()), (0, 100));
    });
}

/// T4 -> T1: the keeper finishes it while the handle gets in line; the result is seen, no wake is lost.
#[test]
fn e2_the_keeper_ends_what_a_handle_waits_for() {
    explore(|| {
        let world = World::new();
        let handle = Owned::new(&world);
        world.gate.open();
        let keeper = world.drained();
        assert_eq!(block_on(handle), Ok(7));
        keeper.join();
    });
}

/// futures-util #2706: whoever polls returns Pending and is dropped, while another handle saw it polling.
#[test]
fn a_driver_that_is_dropped_is_succeeded() {
    explore_within(2, || {
        let world = World::new();
        let handle = Owned::new(&world);
        let other = handle.another();
        let gate = world.gate.clone();
        let driver = spawn(move || {
            let mut driver = Waiter::new(handle);
            driver.poll();
            drop(driver);
        });
        let waiter = spawn(move || block_on(other));
        gate.open();
        assert_eq!(waiter.join(), Ok(7));
        driver.join();
    });
}

/// Two handles wait on two threads, and a third opens: each is told, one by the other.
#[test]
fn both_handles_are_told() {
    explore_within(2, || {
        let world = World::new();
        let handle = Owned::new(&world);
        let other = handle.another();
        let one = spawn(move || block_on(handle));
        let two = spawn(move || block_on(other));
        world.gate.open();
        assert_eq!((one.join(), two.join()), (Ok(7), Ok(7)));
        assert_eq!(world.shelter.len(), 0);
    });
}

/// T5: the told handle is dropped as the result comes; the other one is told.
#[test]
fn a_told_handle_passes_it_on() {
    explore(|| {
        let world = World::new();
        let handle = Owned::new(&world);
        let other = handle.another();
        let first = Waiter::waiting(handle);
        let second = Waiter::waiting(other);
        world.gate.open();
        let keeper = world.drained();
        drop(first);
        keeper.join();
        assert_eq!(second.arrive(), Ok(7));
    });
}

/// E3: the last handle is dropped while the keeper ends it: one of them frees it.
#[test]
fn e3_the_last_one_frees() {
    explore(|| {
        let world = World::new();
        let handle = Owned::new(&world);
        world.gate.open();
        let keeper = world.drained();
        drop(handle);
        keeper.join();
        assert_eq!((world.shelter.len(), world.data.read()), (0, 100));
    });
}

/// T3 -> T2: a keeper comes while a handle polls, and goes again: the handle drives on.
#[test]
fn a_keeper_that_comes_and_goes_leaves_the_work_to_the_handle() {
    explore_within(2, || {
        let world = World::new();
        let handle = Owned::new(&world);
        let kept = world.clone();
        let keeper = spawn(move || {
            let mut drain = Waiter::new(async move { kept.shelter.drain().await });
            drain.poll();
            drop(drain);
        });
        // Not on this thread: loom takes an unpark that comes late for the end of a thread that is joined.
        let theirs = spawn(move || block_on(handle));
        world.gate.open();
        assert_eq!(theirs.join(), Ok(7));
        keeper.join();
    });
}

/// T7: aborting while a handle polls; it gets the result or the news, and the future is dropped once.
#[test]
fn abort_meets_a_poll() {
    explore(|| {
        let world = World::new();
        let handle = Owned::new(&world);
        world.gate.open();
        let theirs = spawn(move || block_on(handle));
        world.shelter.abort_all();
        assert!(matches!(theirs.join(), Ok(7) | Err(Cancelled)));
        assert_eq!((world.shelter.len(), world.data.read()), (0, 100));
    });
}

/// T7: aborting while a handle waits that nobody else would wake.
#[test]
fn abort_tells_a_handle_that_waits() {
    explore(|| {
        let world = World::new();
        let handle = Owned::new(&world);
        let theirs = spawn(move || block_on(handle));
        let kept = world.clone();
        let aborts = spawn(move || kept.shelter.abort_all());
        assert_eq!(theirs.join(), Err(Cancelled));
        aborts.join();
    });
}

/// home T2 while it is seated: aborting meets the keeper's turn, and the wake that leads to it.
#[test]
fn abort_meets_a_keeper_that_is_woken() {
    explore_within(2, || {
        let world = World::new();
        drop(Owned::new(&world));
        let keeper = world.drained();
        let gate = world.gate.clone();
        let opener = spawn(move || gate.open());
        world.shelter.abort_all();
        keeper.join();
        opener.join();
        assert_eq!((world.shelter.len(), world.data.read()), (0, 100));
    });
}

/// home E1: what is put in while a keeper goes to sleep is seen by it.
#[test]
fn home_e1_a_keeper_sees_what_is_put_in() {
    explore(|| {
        let world = World::new();
        world.gate.open();
        let first = Owned::new(&world);
        drop(first);
        let kept = world.clone();
        let keeper = spawn(move || {
            let mut rounds = 0;
            block_on(std::future::poll_fn(|cx| {
                // A body that ends when both were finished.
                rounds += 1;
                let mut run = Box::pin(kept.shelter.drain());
                run.as_mut().poll(cx)
            }));
            rounds
        });
        let data = world.data.clone();
        let second = world.shelter.shield(Opened(world.gate.clone(), data));
        drop(second);
        keeper.join();
        block_on(world.shelter.drain());
        assert_eq!(world.shelter.len(), 0);
    });
}

/// home T2: one keeps and one watches, or both in turn; each is told that it was empty.
#[test]
fn two_keepers_see_that_the_shelter_is_empty() {
    explore_within(2, || {
        let world = World::new();
        drop(Owned::new(&world));
        let (one, two) = (world.drained(), world.drained());
        world.gate.open();
        one.join();
        two.join();
        assert_eq!((world.shelter.len(), world.data.read()), (0, 100));
    });
}

/// home T2 twice: a watcher may find the event of the first time set, and clears it, while it is set for the second time.
#[test]
fn a_watcher_is_told_though_the_shelter_was_empty_before_it_came() {
    explore_within(2, || {
        let world = World::new();
        world.gate.open();
        drop(Owned::new(&world));
        let (one, two) = (world.drained(), world.drained());
        drop(Owned::new(&world));
        one.join(); // before `block_on`: loom lets a late unpark end a join
        two.join();
        block_on(world.shelter.drain());
        assert_eq!(world.shelter.len(), 0);
    });
}

/// home T1: a keeper with a body that never ends sleeps; what is put in wakes it.
#[test]
fn a_sleeping_keeper_is_woken() {
    explore(|| {
        let world = World::new();
        world.gate.open();
        let kept = world.clone();
        let stop = Arc::new(Gate::default());
        let ends = Opened(stop.clone(), Data::new());
        let keeper = spawn(move || block_on(async { kept.shelter.run(ends).await }));
        let handle = Owned::new(&world);
        let mut handle = Waiter::new(handle);
        if handle.poll() {
            stop.open();
            assert_eq!(keeper.join(), 7);
        } else {
            // It is kept: the keeper ends it, or passes it on when it goes.
            stop.open();
            assert_eq!(keeper.join(), 7);
            assert_eq!(handle.arrive(), Ok(7));
        }
    });
}

/// The task of a shield is dropped while its handle gets in line.
#[test]
fn a_dropped_task_is_lost() {
    explore(|| {
        let kept = Arc::new(std::sync::Mutex::new(None));
        let theirs = kept.clone();
        let gate = Arc::new(Gate::default());
        let work = shield(&move |task: BoxTask| *theirs.lock().unwrap() = Some(task), Opened(gate, Data::new()));
        let task = kept.lock().unwrap().take();
        let dropper = spawn(move || drop(task));
        assert_eq!(block_on(work), Err(Lost));
        dropper.join();
    });
}

/// The task of a shield ends while one handle waits and another is dropped.
#[test]
fn a_shield_tells_who_is_left() {
    explore(|| {
        let kept = Arc::new(std::sync::Mutex::new(None));
        let theirs = kept.clone();
        let gate = Arc::new(Gate::default());
        gate.open();
        let work = shield(&move |task: BoxTask| *theirs.lock().unwrap() = Some(task), Opened(gate, Data::new()));
        let first = Waiter::waiting(work.clone());
        let task = kept.lock().unwrap().take().unwrap();
        let runner = spawn(move || block_on(task));
        drop(first);
        assert_eq!(block_on(work), Ok(7));
        runner.join();
    });
}
