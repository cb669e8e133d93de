//! `timeout`: asyncio's behaviours by their ids in the inventory (TMO-.., WF-..). "Same": as CPython 3.13.
use core::{
    cell::Cell,
    future::{Future, IntoFuture, pending, poll_fn, ready},
    task::Poll,
    time::Duration,
};
use std::rc::Rc;

use futures_core::FusedFuture;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use testudo::{
    Event,
    run::{Sim, Sleep},
    task::{Elapsed, Timeout, timeout},
};

use crate::support::{Probe, panics};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// TMO-01, WF-02, TMO-12. Same.
#[test]
fn a_future_is_dropped_when_its_time_is_up_and_its_task_goes_on() {
    let sim = Sim::new();
    let (clock, alive) = (sim.clock(), Rc::new(()));
    let value = sim.block_on(async {
        let inside = alive.clone();
        let late = clock.timeout(ms(10), async move {
            let _inside = inside;
            pending::<()>().await
        });
        assert_eq!(late.await, Err(Elapsed));
        assert_eq!(Rc::strong_count(&alive), 1);
        clock.sleep(ms(5)).await;
        3
    });
    assert_eq!((value.unwrap(), sim.now()), (3, ms(15)));
}

/// TMO-02. Same.
#[test]
fn a_deadline_may_be_a_moment() {
    let sim = Sim::new();
    sim.advance(ms(7));
    let late = sim.block_on(sim.clock().timeout_at(ms(10), pending::<()>()));
    assert_eq!((late.unwrap(), sim.now()), (Err(Elapsed), ms(10)));
    let past = sim.block_on(sim.clock().timeout_at(ms(1), pending::<()>()));
    assert_eq!((past.unwrap(), sim.now()), (Err(Elapsed), ms(10)));
}

/// TMO-03, WF-01, WF-11. Same: and the timer is taken back at once.
#[test]
fn a_future_in_time_gives_its_value_and_the_timer_is_gone() {
    let sim = Sim::new();
    let clock = sim.clock();
    let probe = Probe::new();
    let mut prompt = Box::pin(clock.timeout(ms(1000), clock.sleep(ms(10))));
    probe.pends(&mut prompt);
    sim.advance(ms(10));
    assert_eq!(probe.ready(&mut prompt), Ok(()));
    assert!(format!("{sim:?}").contains("timers: 0"), "{sim:?}");
    assert!(prompt.is_terminated());
    assert_eq!(panics(|| probe.poll(&mut prompt).is_ready()), "polled after completion");
}

/// TMO-04. Same: no deadline.
#[test]
fn a_deadline_may_be_never() {
    let sim = Sim::new();
    let value = sim.block_on(timeout(pending::<()>(), sim.clock().sleep(ms(50))));
    assert_eq!((value.unwrap(), sim.now()), (Ok(()), ms(50)));
}

/// TMO-05, WF-04. Same as `timeout(0)`; WF-05 differs: `wait_for(coro, 0)` never starts it.
#[test]
fn a_deadline_that_has_passed_lets_the_future_go_to_its_first_wait() {
    let (probe, polls) = (Probe::new(), Cell::new(0));
    let yields = poll_fn(|cx| {
        polls.set(polls.get() + 1);
        cx.waker().wake_by_ref();
        if polls.get() > 1 { Poll::Ready(()) } else { Poll::Pending }
    });
    assert_eq!(probe.now(timeout(ready(()), yields)), Err(Elapsed));
    assert_eq!(polls.get(), 1);
}

/// TMO-06. Same: a "deadline first" timeout fails this.
#[test]
fn a_future_that_never_waits_is_not_interrupted() {
    assert_eq!(Probe::new().now(timeout(ready(()), async { 7 })), Ok(7));
}

/// TMO-07 differs: of equal deadlines the inner one reports; the outer one finds its future ready.
#[test]
fn of_equal_nested_deadlines_the_inner_one_is_reported() {
    let sim = Sim::new();
    let clock = sim.clock();
    let both = sim.block_on(clock.timeout(ms(10), clock.timeout(ms(10), pending::<()>())));
    assert_eq!(both.unwrap(), Ok(Err(Elapsed)));
}

/// TMO-08. Same.
#[test]
fn of_two_overdue_deadlines_the_inner_one_fires_and_then_the_outer_one() {
    let sim = Sim::new();
    let clock = sim.clock();
    let (probe, reached) = (Probe::new(), Cell::new(false));
    let mut outer = Box::pin(clock.timeout(ms(20), async {
        assert_eq!(clock.timeout(ms(10), pending::<()>()).await, Err(Elapsed));
        reached.set(true);
        pending::<()>().await
    }));
    probe.pends(&mut outer);
    sim.advance(ms(30)); // the loop was busy
    assert_eq!(probe.ready(&mut outer), Err(Elapsed));
    assert!(reached.get());
}

/// TMO-09. Same.
#[test]
fn an_error_of_the_future_passes_unchanged() {
    let failing = timeout(pending::<()>(), async { Err::<(), _>("no") });
    assert_eq!(Probe::new().now(failing), Ok(Err("no")));
}

/// TMO-11, WF-09. Same.
#[test]
fn dropping_a_timeout_drops_both_and_their_wakers() {
    let (deadline, event, probe) = (Event::new(), Event::new(), Probe::new());
    let waiting = probe.start(timeout(deadline.wait(), event.wait()));
    assert_eq!(probe.kept(), 2);
    drop(waiting);
    assert_eq!(probe.kept(), 0);
}

/// TMO-13, TMO-14. Same, but that it is no error to be too late.
#[test]
fn a_deadline_is_moved_while_the_future_runs_and_given_back_when_it_is_too_late() {
    let sim = Sim::new();
    let (clock, probe) = (sim.clock(), Probe::new());
    let mut late = Box::pin(clock.timeout(ms(10), pending::<()>()));
    probe.pends(&mut late);
    late.as_mut().reschedule(clock.sleep(ms(30))).unwrap();
    probe.pends(&mut late);
    sim.advance(ms(20));
    probe.pends(&mut late);
    sim.advance(ms(10));
    assert_eq!(probe.ready(&mut late), Err(Elapsed));
    assert!(late.as_mut().reschedule(clock.sleep(ms(30))).is_err());
}

/// WF-06. Differs: a running future is dropped, which is done when the timeout returns; nothing is waited for.
#[test]
fn a_running_future_whose_deadline_has_passed_is_dropped_before_it_returns() {
    let (probe, alive) = (Probe::new(), Rc::new(()));
    let inside = alive.clone();
    let mut running = probe.start(async move {
        let _inside = inside;
        pending::<()>().await
    });
    assert_eq!(probe.now(timeout(ready(()), running.as_mut())), Err(Elapsed));
    assert_eq!(Rc::strong_count(&alive), 2, "lent: its owner may go on with it");
    assert_eq!(probe.now(timeout(ready(()), running)), Err(Elapsed));
    assert_eq!(Rc::strong_count(&alive), 1);
}

/// WF-12. Differs: an output that nobody has taken is dropped with the future; that of a task stays with its handle.
#[test]
fn the_output_of_a_dropped_timeout_is_dropped_and_that_of_a_task_is_not() {
    let (sim, probe, output) = (Sim::new(), Probe::new(), Rc::new(()));
    let (theirs, clock) = (output.clone(), sim.clock());
    let mut task = sim.spawn(async move {
        clock.sleep(ms(5)).await;
        theirs
    });
    let caller = probe.start(sim.clock().timeout(ms(10), &mut task));
    sim.block_on(async {}).unwrap(); // it begins
    sim.advance(ms(5));
    sim.block_on(async {}).unwrap();
    assert_eq!((probe.wakes(), Rc::strong_count(&output)), (1, 2), "done, and nobody has looked");
    drop(caller);
    assert!(sim.block_on(task).unwrap().is_ok());
    let theirs = output.clone();
    drop(Box::pin(sim.clock().timeout(ms(10), ready(theirs))));
    assert_eq!(Rc::strong_count(&output), 1);
}

/// TMO-22. Same.
#[test]
fn a_timeout_shows_whether_it_is_done() {
    let mut prompt = Box::pin(timeout(pending::<()>(), ready(1)));
    assert_eq!(format!("{prompt:?}"), "Timeout { done: false, .. }");
    let _ = Probe::new().ready(&mut prompt);
    assert_eq!(format!("{prompt:?}"), "Timeout { done: true, .. }");
}

/// Run 5: the deadline and a value of the same moment.
#[test]
fn a_value_of_the_same_moment_wins() {
    let sim = Sim::new();
    let clock = sim.clock();
    assert_eq!(sim.block_on(clock.timeout(ms(10), clock.sleep(ms(10)))).unwrap(), Ok(()));
}

#[test]
fn a_permit_that_comes_with_the_deadline_is_not_lost() {
    let (semaphore, deadline, probe) = (testudo::Semaphore::new(0), Event::new(), Probe::new());
    let mut late = Box::pin(timeout(deadline.wait(), semaphore.acquire()));
    probe.pends(&mut late);
    deadline.set();
    semaphore.add_permits(1);
    let permit = probe.ready(&mut late);
    assert!(permit.is_ok());
    drop(permit);
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn the_sleeps_of_other_runtimes_are_deadlines() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let late = runtime.block_on(async { timeout(tokio::time::sleep(ms(1)), pending::<()>()).await });
    assert_eq!(late, Err(Elapsed));
    let late = smol::block_on(timeout(smol::Timer::after(ms(1)), pending::<()>()));
    assert_eq!(late, Err(Elapsed));
}

#[test]
fn what_can_become_a_future_can_be_timed() {
    struct Answer;
    impl IntoFuture for Answer {
        type Output = i32;
        type IntoFuture = core::future::Ready<i32>;

        fn into_future(self) -> Self::IntoFuture {
            ready(42)
        }
    }
    assert_eq!(Probe::new().now(timeout(pending::<()>(), Answer)), Ok(42));
}

type Fut = core::future::Ready<u8>;
type RcFut = core::future::Ready<Rc<u8>>;

assert_impl_all!(Timeout<Fut, Fut>: Send, Sync, Unpin, Future, FusedFuture);
assert_not_impl_any!(Timeout<Fut, RcFut>: Send, Sync);
assert_not_impl_any!(Timeout<Sleep, Fut>: Send, Sync);
assert_impl_all!(Elapsed: Send, Sync, Copy, core::error::Error);
