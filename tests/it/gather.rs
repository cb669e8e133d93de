//! gather and try_gather: what asyncio's do, and what differs by design. Ids are those of the inventory of asyncio's tests.

use std::{
    future::{Future, pending, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use testudo::{
    Event, Semaphore,
    run::{Sim, block_on},
    task::{BoxTask, SpawnedGroup, gather, gather_in, try_gather, try_gather_in},
};

use crate::{
    children::{Child, Ctl, Output, claim, logged},
    support::Probe,
};

/// A child of which the control says whether it fails.
struct Fallible(Child, bool);

impl Future for Fallible {
    type Output = Result<usize, usize>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let fails = self.1;
        // SAFETY: the child is not moved out of it.
        let child = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        child.poll(cx).map(|output| if fails { Err(output.id()) } else { Ok(output.id()) })
    }
}

fn fallible(ctls: &[Ctl], failing: &[usize]) -> Vec<Fallible> {
    ctls.iter().enumerate().map(|(i, ctl)| Fallible(ctl.child(), failing.contains(&i))).collect()
}

/// GATH-01, GATH-20. Same.
#[test]
fn every_shape_of_list_gives_the_same_shape_of_outputs() {
    let probe = Probe::new();
    assert_eq!(probe.now(gather((ready(1),))), (1,));
    assert_eq!(probe.now(gather((ready(1), async { "two" }, ready('3')))), (1, "two", '3'));
    let (a, b, c, d) = (|| ready(0u8), || ready(1u16), || ready(2u32), || ready(3u64));
    let all = probe.now(gather((a(), b(), c(), d(), a(), b(), c(), d(), a(), b(), c(), d())));
    assert_eq!(all, (0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3));
    assert_eq!(probe.now(gather([1, 2, 3].map(ready))), [1, 2, 3]);
    assert_eq!(probe.now(gather(vec![ready(1), ready(2)])), [1, 2]);
    assert_eq!(probe.now(gather((0..100).map(ready))), (0..100).collect::<Vec<_>>());
    let mut borrowed = [ready(1), ready(2)];
    assert_eq!(probe.now(gather(borrowed.iter_mut())), [1, 2]);
    let boxed: Vec<Pin<Box<dyn Future<Output = i32>>>> = vec![Box::pin(ready(1)), Box::pin(async { 2 })];
    assert_eq!(probe.now(gather(boxed)), [1, 2]);
    assert_eq!(probe.now(try_gather((ready(Ok::<_, ()>(1)), ready(Ok("2"))))), Ok((1, "2")));
    assert_eq!(probe.now(try_gather((0..100).map(|i| ready(Ok::<_, ()>(i))))), Ok((0..100).collect()));
    assert_eq!(probe.now(try_gather_in(claim(), [ready(Ok::<_, ()>(1)), ready(Ok(2))])), Ok([1, 2]));
    assert_eq!(probe.now(gather_in(claim(), (0..200).map(ready))), (0..200).collect::<Vec<_>>());
}

/// GATH-03. Same.
#[test]
fn an_empty_list_is_ready_at_once() {
    let probe = Probe::new();
    assert_eq!(probe.now(gather(Vec::<std::future::Ready<()>>::new())), []);
    assert_eq!(probe.now(gather(std::iter::empty::<std::future::Pending<()>>())), []);
    assert_eq!(probe.now(gather([] as [std::future::Ready<()>; 0])), []);
    assert_eq!(probe.now(gather_in(claim(), [] as [std::future::Ready<()>; 0])), []);
    assert_eq!(probe.now(try_gather(Vec::<std::future::Ready<Result<(), ()>>>::new())), Ok(vec![]));
}

/// GATH-02, Run 1. Same.
#[test]
fn it_is_done_with_the_last_child_and_not_before() {
    let (sim, order) = (Sim::new(), std::cell::RefCell::new(Vec::new()));
    let clock = sim.clock();
    let child = |secs: u64| {
        let (clock, order) = (clock.clone(), &order);
        async move {
            clock.sleep(core::time::Duration::from_secs(secs)).await;
            order.borrow_mut().push(secs);
            secs
        }
    };
    let outputs = sim.block_on(gather([child(3), child(1), child(2)])).unwrap();
    assert_eq!((outputs, order.take()), ([3, 1, 2], vec![1, 2, 3]));
    assert_eq!(clock.now(), core::time::Duration::from_secs(3), "side by side");
}

/// GATH-04, Run 1: the first in time, not in the list. Same.
#[test]
fn the_first_to_fail_in_time_wins() {
    for n in [5, 40] {
        let (ctls, _) = Ctl::many(n);
        let probe = Probe::new();
        let mut all = Box::pin(try_gather(fallible(&ctls, &[1, 3])));
        probe.pends(&mut all);
        ctls[3].finish();
        assert_eq!(probe.ready(&mut all), Err(3));
        ctls[1].finish(); // GATH-06: nobody hears of it
    }
}

#[test]
fn of_those_that_fail_in_one_pass_the_first_of_the_list_wins() {
    for n in [5, 40] {
        let (ctls, _) = Ctl::many(n);
        let probe = Probe::new();
        let mut all = Box::pin(try_gather(fallible(&ctls, &[1, 3])));
        probe.pends(&mut all);
        ctls[3].finish();
        ctls[1].finish();
        assert_eq!(probe.ready(&mut all), Err(1));
        assert_eq!(ctls[3].polls(), 1, "it was not polled any more");
    }
}

/// GATH-05, GATH-14. Different by design: asyncio lets the others run on.
#[test]
fn the_others_are_dropped_in_order_before_the_error_is_returned() {
    for n in [5, 40] {
        let (ctls, log) = Ctl::many(n);
        let probe = Probe::new();
        let mut all = Box::pin(try_gather(fallible(&ctls, &[3])));
        ctls[1].open();
        probe.pends(&mut all);
        ctls[3].finish();
        logged(&log);
        assert_eq!(probe.ready(&mut all), Err(3));
        let rest: Vec<_> = (0..n).filter(|i| ![1, 3].contains(i)).map(|i| format!("d{i}")).collect();
        assert!(logged(&log).ends_with(&rest.join(" ")), "while the future is still there");
        assert!(ctls.iter().all(|ctl| ctl.drops() == 1));
        drop(all);
        assert_eq!(logged(&log), "", "nothing is left for its drop");
    }
}

#[test]
fn the_values_of_those_that_were_done_are_dropped_with_the_error() {
    struct Value<'a>(&'a std::cell::Cell<usize>);
    impl Drop for Value<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let (drops, probe) = (std::cell::Cell::new(0), Probe::new());
    let child = |i: usize| {
        let drops = &drops;
        async move { if i == 7 { Err(i) } else { Ok(Value(drops)) } }
    };
    let mut array = Box::pin(try_gather(std::array::from_fn::<_, 10, _>(child)));
    assert_eq!(probe.ready(&mut array).err(), Some(7));
    assert_eq!(drops.replace(0), 7);
    drop(array);
    for n in [10, 100] {
        let mut vec = Box::pin(try_gather((0..n).map(child)));
        assert_eq!(probe.ready(&mut vec).err(), Some(7));
        assert_eq!(drops.replace(0), 7);
        drop(vec);
        assert_eq!(drops.get(), 0);
    }
}

/// GATH-07, GATH-08: `return_exceptions=True`. Same.
#[test]
fn gather_of_results_returns_every_outcome() {
    let (ctls, _) = Ctl::many(3);
    let probe = Probe::new();
    let mut all = Box::pin(gather(fallible(&ctls, &[0, 2])));
    probe.pends(&mut all);
    ctls[2].finish();
    probe.pends(&mut all);
    ctls[0].finish();
    ctls[1].finish();
    assert_eq!(probe.ready(&mut all), [Err(0), Ok(1), Err(2)]);
}

/// GATH-09: a child that was cancelled is an error like any other, never mistaken for one's own cancellation.
#[test]
fn a_cancelled_child_is_an_error_of_its_own() {
    let sim = Sim::new();
    let (spawner, clock) = (sim.spawner(), sim.clock());
    let victim = spawner.spawn(pending::<()>());
    let other = spawner.spawn(async move { clock.sleep(core::time::Duration::from_secs(1)).await });
    let outcomes = sim.block_on(async move {
        victim.cancel();
        gather((victim, other)).await
    });
    let (first, second) = outcomes.unwrap();
    assert!(first.is_err() && second.is_ok());
}

/// GATH-10, GATH-11, GATH-12: dropping reaches all that are not done, at once. Same, but for asynchronous clean-up.
/// GATH-13: dropped after the last child was done, before it was polled: the outputs are lost, as asyncio's are (Run 1).
#[test]
fn dropping_it_drops_the_children_and_the_outputs() {
    for n in [5, 40] {
        let (ctls, log) = Ctl::many(n);
        let probe = Probe::new();
        let mut all = Box::pin(gather(ctls.iter().map(Ctl::child)));
        probe.pends(&mut all);
        ctls.iter().for_each(Ctl::finish);
        logged(&log);
        drop(all);
        assert!(ctls.iter().all(|ctl| ctl.drops() == 1));
        assert!(!logged(&log).contains('o'), "no output was made");
    }
}

/// GATH-19. Different: lazily, at the first poll.
#[test]
fn children_start_at_the_first_poll() {
    let (ctls, log) = Ctl::many(3);
    let all = gather(ctls.iter().map(Ctl::child));
    assert_eq!(logged(&log), "");
    drop(all);
    assert_eq!(logged(&log), "d0 d1 d2");
}

#[test]
fn tuples_poll_and_drop_in_order() {
    let (ctls, log) = Ctl::many(3);
    let probe = Probe::new();
    let mut all = Box::pin(gather((ctls[0].child(), ctls[1].child(), ctls[2].child())));
    ctls[1].open();
    probe.pends(&mut all);
    assert_eq!(logged(&log), "p0 p1 d1 p2");
    drop(all);
    assert_eq!(logged(&log), "d0 d2 o1");
    let (ctls, log) = Ctl::many(3);
    let mut all = Box::pin(gather_in(claim(), (ctls[0].child(), ctls[1].child(), ctls[2].child())));
    probe.pends(&mut all);
    ctls[2].finish();
    logged(&log);
    probe.pends(&mut all);
    assert_eq!(logged(&log), "p2 d2", "exact");
    ctls[0].finish();
    ctls[1].finish();
    let (a, b, c): (Output, Output, Output) = probe.ready(&mut all);
    assert_eq!([a.id(), b.id(), c.id()], [0, 1, 2]);
}

#[test]
fn primitives_of_this_crate_work_as_children() {
    let (event, gate) = (Event::new(), Semaphore::new(2));
    let workers = (0..50).map(|i| {
        let (event, gate) = (&event, &gate);
        async move {
            event.wait().await;
            let _permit = gate.acquire().await;
            i
        }
    });
    let outputs = testudo::run::block_on(gather((gather(workers), async { event.set() })));
    assert_eq!(outputs.0, (0..50).collect::<Vec<_>>());
}

#[test]
fn children_are_woken_from_other_threads() {
    use std::sync::Arc;
    for _ in 0..20 {
        let events: Vec<_> = (0..200).map(|_| Arc::new(Event::new())).collect();
        let setters: Vec<_> = (0..4)
            .map(|t| {
                let events = events.clone();
                std::thread::spawn(move || events.iter().skip(t).step_by(4).for_each(|event| event.set()))
            })
            .collect();
        let waits = events.iter().map(|event| Event::wait_with(event.clone()));
        assert_eq!(testudo::run::block_on(gather(waits)).len(), 200);
        setters.into_iter().for_each(|setter| setter.join().unwrap());
    }
}

/// GATH-17. Stricter: the tasks may be on several executors.
#[test]
fn tasks_of_several_executors_are_gathered() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let theirs = runtime.handle().clone();
    let tokio = SpawnedGroup::<_, ()>::new(move |task: BoxTask| drop(theirs.spawn(task)));
    let smol = SpawnedGroup::<_, ()>::new(|task: BoxTask| smol::spawn(task).detach());
    let sim = Sim::new();
    let here = SpawnedGroup::<_, ()>::new(sim.spawner());
    let [one, other] = [Arc::new(Event::new()), Arc::new(Event::new())];
    let handles = [
        tokio.spawn({
            let (one, other) = (one.clone(), other.clone());
            async move {
                one.wait().await;
                other.set();
                Ok(1)
            }
        }),
        smol.spawn(async move {
            other.wait().await;
            Ok(2)
        }),
        here.spawn(async move {
            one.set();
            Ok(3)
        }),
    ];
    sim.run_until_stalled();
    assert_eq!(block_on(gather(handles)), [Ok(1), Ok(2), Ok(3)]);
}
