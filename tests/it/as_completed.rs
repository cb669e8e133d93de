//! as_completed: what asyncio's does, and what differs by design. Ids are those of the inventory of asyncio's tests.

use std::{
    cell::RefCell,
    future::{pending, ready},
    task::{Context, Poll},
    time::Duration,
};

use futures_core::{FusedStream, Stream};
use futures_lite::StreamExt;
use testudo::{
    Mutex, Semaphore,
    run::Sim,
    task::{AsCompleted, as_completed, as_completed_in, gather},
};

use crate::{
    children::{Child, Ctl, claim, logged},
    support::{Probe, panics},
};

fn next(done: &mut AsCompleted<Child>, probe: &Probe) -> Option<usize> {
    match done.poll_next(&mut Context::from_waker(probe.waker())) {
        Poll::Ready(item) => {
            let (number, output) = item.expect("not at its end");
            assert_eq!(number, output.id());
            Some(number)
        }
        Poll::Pending => None,
    }
}

/// The sets that are scanned and those with a block.
fn kinds(ctls: &[Ctl]) -> [AsCompleted<Child>; 2] {
    [as_completed(ctls.iter().map(Ctl::child)), as_completed_in(claim(), ctls.iter().map(Ctl::child))]
}

/// ASC-01, ASC-02, Run 6. Same.
#[test]
fn results_come_in_the_order_of_completion_with_their_numbers() {
    let sim = Sim::new();
    let clock = sim.clock();
    let sleeps = [3, 1, 2].map(|secs| {
        let clock = clock.clone();
        async move {
            clock.sleep(Duration::from_secs(secs)).await;
            secs
        }
    });
    let order = sim.block_on(as_completed(sleeps).collect::<Vec<_>>()).unwrap();
    assert_eq!(order, [(1, 1), (2, 2), (0, 3)]);
}

/// Run 6: asyncio's order is arbitrary here. Stricter.
#[test]
fn those_that_are_done_already_come_in_the_order_of_the_list() {
    let probe = Probe::new();
    for n in [8, 200] {
        let order = probe.now(as_completed((0..n).map(ready)).collect::<Vec<_>>());
        assert_eq!(order, (0..n).map(|i| (i, i)).collect::<Vec<_>>());
    }
}

/// ASC-03, ASC-08: one can stop between two items and go on. Same.
#[test]
fn each_poll_gives_one_item_and_polls_no_child_in_vain() {
    for n in [10, 100] {
        let (ctls, log) = Ctl::many(n);
        for (kind, mut done) in kinds(&ctls).into_iter().enumerate() {
            let probe = Probe::new();
            for ctl in &ctls {
                ctl.open();
            }
            logged(&log);
            for i in 0..n {
                assert_eq!(next(&mut done, &probe), Some(i));
                assert_eq!(done.len(), n - 1 - i);
                assert_eq!(done.size_hint(), (n - 1 - i, Some(n - 1 - i)));
            }
            assert_eq!(logged(&log).matches('p').count(), n, "kind {kind}");
            assert!(done.is_terminated() && done.is_empty());
            assert!(done.poll_next(&mut Context::from_waker(probe.waker())).is_ready(), "fused");
            assert_eq!(probe.now(done.next()).map(|item| item.0), None);
            assert_eq!(probe.wakes(), 0);
        }
    }
}

/// ASC-15. Same.
#[test]
fn without_futures_it_ends_at_once() {
    assert_eq!(Probe::new().now(as_completed(Vec::<std::future::Ready<()>>::new()).next()), None);
}

/// ASC-12. Different: at the first poll.
#[test]
fn all_start_at_the_first_poll_even_if_one_is_done() {
    let (ctls, log) = Ctl::many(20);
    let probe = Probe::new();
    for mut done in kinds(&ctls) {
        logged(&log);
        ctls[0].open();
        assert_eq!(next(&mut done, &probe), Some(0));
        assert_eq!(next(&mut done, &probe), None);
        let log = logged(&log);
        assert!((0..20).all(|i| log.contains(&format!("p{i}"))), "{log}");
    }
}

/// FuturesUnordered and a plain scan from 0 would give only the low ones.
#[test]
fn low_numbers_do_not_keep_high_ones_from_their_turn() {
    for n in [10, 100] {
        for kind in 0..2 {
            let (ctls, _) = Ctl::many(n);
            let mut done = kinds(&ctls).into_iter().nth(kind).unwrap();
            let probe = Probe::new();
            assert_eq!(next(&mut done, &probe), None);
            [5, 7].into_iter().for_each(|i| ctls[i].finish());
            assert_eq!(next(&mut done, &probe), Some(5));
            [1, 8].into_iter().for_each(|i| ctls[i].finish());
            assert_eq!(next(&mut done, &probe), Some(7));
            ctls[2].finish();
            assert_eq!(next(&mut done, &probe), Some(8), "woken before 2, and further on");
            assert_eq!(next(&mut done, &probe), Some(1), "round again");
            assert_eq!(next(&mut done, &probe), Some(2));
            assert_eq!(next(&mut done, &probe), None);
            let wakes = probe.wakes();
            ctls[3].finish();
            assert_eq!(probe.wakes(), wakes + 1, "it waits");
            assert_eq!(next(&mut done, &probe), Some(3));
        }
    }
}

/// ASC-10. Same: the error is an item, and the rest goes on.
#[test]
fn a_failing_child_is_an_item_and_the_others_go_on() {
    let list = [Ok(1), Err("no"), Ok(3)].map(ready);
    let items = Probe::new().now(as_completed(list).map(|item| item.1).collect::<Vec<_>>());
    assert_eq!(items, [Ok(1), Err("no"), Ok(3)]);
}

/// ASC-05, ASC-06. What was given stays given, the rest stays in the stream. Same.
#[test]
fn a_next_that_is_given_up_loses_nothing() {
    let (sim, got) = (Sim::new(), RefCell::new(Vec::new()));
    let clock = sim.clock();
    let sleeps = [1, 3].map(|secs| {
        let clock = clock.clone();
        async move { clock.sleep(Duration::from_secs(secs)).await }
    });
    let body = async {
        let mut done = as_completed(sleeps);
        for _ in 0..2 {
            let late = async {
                clock.sleep(Duration::from_secs(2)).await;
                None
            };
            let item = futures_lite::future::or(done.next(), late).await;
            got.borrow_mut().push(item.map(|item| item.0));
        }
        let item = done.next().await.map(|item| item.0);
        got.borrow_mut().push(item);
    };
    sim.block_on(body).unwrap();
    assert_eq!(got.take(), [Some(0), Some(1), None]);
    assert_eq!(clock.now(), Duration::from_secs(3));
}

/// ASC-07. Same: and the timer is gone.
#[test]
fn a_deadline_that_was_not_needed_is_taken_back() {
    let sim = Sim::new();
    let clock = sim.clock();
    let sleeps = [1, 2].map(|secs| clock.sleep(Duration::from_secs(secs)));
    let all = sim.block_on(clock.timeout(Duration::from_secs(9), as_completed(sleeps).count()));
    assert_eq!((all.unwrap(), sim.now()), (Ok(2), Duration::from_secs(2)));
    assert!(format!("{sim:?}").contains("timers: 0"), "{sim:?}");
}

/// ASC-04. Different: `next` takes `&mut self`; several consumers share a lock, and each item goes to one.
#[test]
fn several_consumers_share_it_behind_a_lock() {
    let (sim, got) = (Sim::new(), RefCell::new(Vec::new()));
    let clock = sim.clock();
    let sleeps = (0..6).map(|n| clock.sleep(Duration::from_secs(6 - n)));
    let done = Mutex::new(as_completed(sleeps));
    let consumer = async |name| {
        while let Some((number, ())) = { done.lock().await.next().await } {
            got.borrow_mut().push((name, number));
        }
    };
    sim.block_on(gather([consumer('a'), consumer('b')])).unwrap();
    let got = got.take();
    assert_eq!(got.iter().map(|item| item.1).collect::<Vec<_>>(), [5, 4, 3, 2, 1, 0]);
    assert!(['a', 'b'].iter().all(|name| got.iter().any(|item| item.0 == *name)), "{got:?}");
}

/// ASC-11. Different by design: those that are left are dropped with it, in order, or taken out.
#[test]
fn dropped_half_way_it_drops_the_rest() {
    for n in [5, 50] {
        let (ctls, log) = Ctl::many(n);
        let probe = Probe::new();
        let [mut done, other] = kinds(&ctls);
        drop(other);
        ctls[1].open();
        assert_eq!(next(&mut done, &probe), Some(1));
        logged(&log);
        drop(done);
        let rest: Vec<_> = (0..n).filter(|&i| i != 1).map(|i| format!("d{i}")).collect();
        assert_eq!(logged(&log), rest.join(" "));
    }
}

#[test]
fn what_is_left_may_be_taken_out_and_goes_on_elsewhere() {
    for n in [5, 50] {
        let (ctls, _) = Ctl::many(n);
        let probe = Probe::new();
        let mut done = as_completed(ctls.iter().map(|ctl| Box::pin(ctl.child())));
        assert!(done.poll_next(&mut Context::from_waker(probe.waker())).is_pending());
        [2, 3].into_iter().for_each(|i| ctls[i].finish());
        assert_eq!(probe.now(done.next()).unwrap().0, 2);
        let rest = done.into_remaining();
        let numbers: Vec<_> = rest.iter().map(|child| child.0).collect();
        assert_eq!(numbers, (0..n).filter(|&i| i != 2).collect::<Vec<_>>());
        assert_eq!(ctls[2].drops(), 1);
        assert_eq!(ctls[4].drops(), 0);
        let again = as_completed(rest.into_iter().map(|(number, child)| async move { (number, child.await.id()) }));
        let mut again = Box::pin(again);
        assert_eq!(probe.now(again.next()), Some((2, (3, 3))), "it was woken, and its wake-up is not lost");
        drop(again);
        assert!(ctls.iter().all(|ctl| ctl.drops() == 1));
        ctls.iter().for_each(Ctl::forget);
        assert_eq!(probe.kept(), 0);
    }
}

/// P11: with FuturesUnordered and a fair semaphore the permit goes to a child that stands still, and the consumer hangs.
#[test]
fn a_child_that_stands_still_does_not_own_the_permit_that_it_waits_for() {
    let sim = Sim::new();
    let gate = Semaphore::new(1);
    let served = sim.block_on(async {
        let workers = (0..20).map(|i| {
            let gate = &gate;
            async move {
                let permit = gate.acquire().await;
                drop(permit);
                i
            }
        });
        let mut done = as_completed(workers);
        let mut served = 0;
        let mut held = Some(gate.acquire().await);
        assert!(futures_lite::future::poll_once(done.next()).await.is_none(), "all wait");
        held.take(); // offered to a child, which is not polled now
        drop(gate.acquire().await);
        while done.next().await.is_some() {
            served += 1;
            drop(gate.acquire().await);
        }
        served
    });
    assert_eq!(served.unwrap(), 20);
}

#[test]
fn a_child_that_panics_stops_the_stream_and_not_the_drop_of_the_others() {
    let (ctls, _) = Ctl::many(30);
    let probe = Probe::new();
    let mut done = as_completed(ctls.iter().map(Ctl::child));
    assert_eq!(next(&mut done, &probe), None);
    ctls[4].panic();
    ctls[4].wake();
    assert_eq!(panics(|| next(&mut done, &probe)), "child 4 panics");
    assert_eq!(panics(|| next(&mut done, &probe)), "polled after a child panicked");
    drop(done);
    assert!(ctls.iter().all(|ctl| ctl.drops() == 1));
    drop(as_completed([pending::<()>()]));
}
