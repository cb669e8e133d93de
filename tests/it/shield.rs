//! `shield`: asyncio's behaviours by their ids in the inventory (SHLD-..), on `Sim`. "Same": as CPython 3.13.
use core::{
    cell::Cell,
    future::{Future, pending, ready},
    time::Duration,
};
use std::rc::Rc;

use testudo::{
    run::{Clock, Sim, Spawner},
    task::{Cancelled, Elapsed, LocalBoxTask, Lost, Shield, Spawn, gather, shield_local, timeout},
};

use crate::support::Probe;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What a shielded future has come to.
#[derive(Clone, Default)]
struct Work(Rc<Cell<u64>>);

impl Work {
    /// Ends after a second with a value, and says so.
    fn start(&self, sim: &Sim) -> Shield<u64> {
        shield_local(&sim.spawner(), self.future(sim.clock()))
    }

    fn future(&self, clock: Clock) -> impl Future<Output = u64> + use<> {
        let done = self.0.clone();
        async move {
            clock.sleep(secs(1)).await;
            done.set(done.get() + 1);
            7
        }
    }

    fn done(&self) -> u64 {
        self.0.get()
    }
}

/// SHLD-01. Same.
#[test]
fn it_passes_the_result_on() {
    let sim = Sim::new();
    assert_eq!(sim.block_on(Work::default().start(&sim)).unwrap(), Ok(7));
    assert_eq!(sim.now(), secs(1));
}

/// SHLD-02. Same: an error is a result.
#[test]
fn it_passes_the_error_on() {
    let sim = Sim::new();
    let work = shield_local(&sim.spawner(), async { Err::<(), _>("failed") });
    assert_eq!(sim.block_on(work).unwrap(), Ok(Err("failed")));
}

/// SHLD-03, SHLD-04. Same: who waits is cancelled at once, the future goes on to its end.
#[test]
fn cancelling_the_one_who_waits_leaves_the_future_alone() {
    let (sim, work) = (Sim::new(), Work::default());
    let waiter = sim.spawn(work.start(&sim));
    assert!(waiter.cancel());
    assert_eq!((sim.block_on(waiter).unwrap(), sim.now(), work.done()), (Err(Cancelled), secs(0), 0));
    sim.run_until_stalled();
    assert_eq!((work.done(), sim.now()), (1, secs(1)));
}

/// SHLD-05. Differs: the error is a value of its own, never taken for the cancellation of who waits.
#[test]
fn a_future_that_others_cancel_is_an_error_for_the_one_who_waits() {
    let sim = Sim::new();
    let inner = sim.spawn(pending::<()>());
    assert!(inner.cancel());
    let waiter = sim.spawn(shield_local(&sim.spawner(), inner));
    assert_eq!(sim.block_on(waiter).unwrap(), Ok(Ok(Err(Cancelled))));
    let dropped = shield_local(&|task: LocalBoxTask| drop(task), pending::<()>());
    assert_eq!(sim.block_on(dropped).unwrap(), Err(Lost));
}

/// SHLD-06. Same.
#[test]
fn of_a_future_that_is_done_the_result_is_there_at_once() {
    let (sim, work, probe) = (Sim::new(), Work::default(), Probe::new());
    let handle = work.start(&sim);
    sim.run_until_stalled();
    assert!(handle.is_finished());
    assert_eq!((probe.now(handle), probe.clones()), (Ok(7), 0));
}

/// SHLD-07. Same.
#[test]
fn a_shield_around_a_gather_protects_it_and_its_children() {
    let (sim, works) = (Sim::new(), [Work::default(), Work::default()]);
    let all = shield_local(&sim.spawner(), gather(works.each_ref().map(|work| work.future(sim.clock()))));
    drop(Probe::new().start(all.clone()));
    assert_eq!((sim.block_on(all).unwrap(), works.map(|work| work.done())), (Ok([7, 7]), [1, 1]));
}

/// SHLD-08. Same.
#[test]
fn a_gather_of_shields_that_is_cancelled_leaves_the_futures_alone() {
    let (sim, works) = (Sim::new(), [Work::default(), Work::default()]);
    drop(Probe::new().start(gather(works.each_ref().map(|work| work.start(&sim)))));
    sim.run_until_stalled();
    assert_eq!(works.map(|work| work.done()), [1, 1]);
}

/// SHLD-09. Same.
#[test]
fn a_cancelled_wait_leaves_no_waker_behind() {
    let (sim, work, probe) = (Sim::new(), Work::default(), Probe::new());
    drop(probe.start(work.start(&sim)));
    assert_eq!(probe.kept(), 0);
    sim.run_until_stalled();
    assert_eq!((work.done(), probe.wakes()), (1, 0));
}

/// SHLD-10. Same, but that the executor is an argument; one that refuses is an error of the handle's.
#[test]
fn it_starts_when_it_is_called_on_the_executor_that_was_said() {
    struct Full;
    impl Spawn<LocalBoxTask> for Full {
        fn spawn(&self, task: LocalBoxTask) -> Result<(), LocalBoxTask> {
            Err(task)
        }
    }
    let (sim, work) = (Sim::new(), Work::default());
    let handle = work.start(&sim);
    sim.run_until_stalled();
    assert_eq!((work.done(), handle.is_finished()), (1, true), "nobody has polled the handle");
    assert_eq!(Probe::new().now(shield_local(&Full, ready(1))), Err(Lost));
}

/// SHLD-11. Differs: there is no log; the error goes with the last handle, and a clone still reaches it.
#[test]
fn an_error_behind_a_cancelled_wait_is_kept_as_long_as_a_handle() {
    let (sim, error) = (Sim::new(), Rc::new("failed"));
    let start = |spawner: &Spawner| {
        let (clock, error) = (sim.clock(), error.clone());
        let fails = async move {
            clock.sleep(secs(1)).await;
            Err::<(), _>(error)
        };
        shield_local(spawner, fails)
    };
    let (kept, left) = (start(&sim.spawner()), start(&sim.spawner()));
    drop(Probe::new().start(kept.clone()));
    drop(Probe::new().start(left));
    sim.run_until_stalled();
    assert_eq!(Rc::strong_count(&error), 2, "that of the one with a handle");
    assert_eq!(Probe::new().now(kept), Ok(Err(error.clone())));
    assert_eq!(Rc::strong_count(&error), 1);
}

/// SHLD-12. Stricter: its executor owns it.
#[test]
fn nobody_has_to_keep_a_handle() {
    let (sim, work) = (Sim::new(), Work::default());
    drop(work.start(&sim));
    sim.run_until_stalled();
    assert_eq!(work.done(), 1);
}

/// SHLD-14. Stricter: the handle is a future, and any future can be a task.
#[test]
fn a_shield_can_be_spawned() {
    let sim = Sim::new();
    let task = sim.spawn(Work::default().start(&sim));
    assert_eq!(sim.block_on(task).unwrap(), Ok(Ok(7)));
}

/// SHLD-15. Same.
#[test]
fn a_timeout_around_a_shield_leaves_the_future_alone_and_it_can_be_awaited_later() {
    let (sim, work) = (Sim::new(), Work::default());
    let (handle, clock) = (work.start(&sim), sim.clock());
    let body = async {
        let late = clock.timeout(secs(1) / 2, handle.clone()).await;
        (late, clock.now(), handle.await, clock.now())
    };
    assert_eq!(sim.block_on(body).unwrap(), (Err(Elapsed), secs(1) / 2, Ok(7), secs(1)));
}

/// SHLD-16. Same.
#[test]
fn a_deadline_that_has_passed_leaves_the_future_alone() {
    let (sim, work, probe) = (Sim::new(), Work::default(), Probe::new());
    assert_eq!(probe.now(timeout(ready(()), work.start(&sim))), Err(Elapsed));
    sim.run_until_stalled();
    assert_eq!(work.done(), 1);
}

/// SHLD-17. Same.
#[test]
fn without_a_deadline_it_is_waited_for() {
    let sim = Sim::new();
    let value = sim.block_on(timeout(pending::<()>(), Work::default().start(&sim)));
    assert_eq!(value.unwrap(), Ok(Ok(7)));
}

/// SHLD-13. Same: an executor that ends drops what it runs, and its handles say so.
#[test]
fn the_end_of_the_executor_is_the_end_of_the_future() {
    let (sim, work, probe) = (Sim::new(), Work::default(), Probe::new());
    let mut handle = probe.start(work.start(&sim));
    sim.block_on(async {}).unwrap(); // it begins
    assert_eq!(Rc::strong_count(&work.0), 2);
    drop(sim);
    assert_eq!((probe.wakes(), Rc::strong_count(&work.0)), (1, 1));
    assert_eq!((probe.ready(&mut handle), work.done()), (Err(Lost), 0));
}
