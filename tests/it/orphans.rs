//! `try_gather` whose children run on when one has failed: in the shelter, in order, each told of or seen once.
use core::{
    fmt::Debug,
    future::{Future, pending, poll_fn},
    pin::{Pin, pin},
    sync::atomic::{AtomicUsize, Ordering::*},
    task::Poll,
};
use std::{boxed::Box, cell::RefCell, format, rc::Rc, string::String, sync::Mutex, vec::Vec};

use futures_core::FusedFuture;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use testudo::{
    run::block_on,
    task::{Cancelled, LocalShelter, ReadyBlock, Shelter, ShelterArray, try_gather, try_gather_in},
};

use crate::support::{Probe, allocations, panics, poll_panics};

async fn steps(n: usize) {
    for _ in 0..n {
        let mut first = true;
        poll_fn(|cx| {
            if core::mem::take(&mut first) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }
}

type Step = Result<usize, String>;

/// Ends after `n` steps, or fails then.
async fn child(log: &Mutex<Vec<usize>>, n: usize, fails: bool) -> Step {
    steps(n).await;
    log.lock().unwrap().push(n);
    if fails { Err(format!("child {n}")) } else { Ok(n) }
}

#[test]
fn when_one_fails_the_others_run_on_in_the_shelter() {
    let log = Mutex::new(Vec::new());
    let shelter = Shelter::new();
    let (log, probe) = (&log, Probe::new());
    // A vector, more than a ready set of a few, an array, a tuple, an iterator.
    type Sum<'s> = Pin<Box<dyn Future<Output = Result<Step, Cancelled>> + 's>>;
    let lists: [(usize, Sum<'_>); 5] = [
        (4, Box::pin(sum(try_gather((0..4).map(|n| child(log, n, n == 1)).collect::<Vec<_>>()).orphans_to(&shelter)))),
        (40, Box::pin(sum(try_gather((0..40).map(|n| child(log, n, n == 1))).orphans_to(&shelter)))),
        (4, {
            let list = [0, 1, 2, 3].map(|n| child(log, n, n == 1));
            let all = try_gather(list).orphans_to(&shelter);
            Box::pin(async { all.await.map(|result| result.map(|n| n.iter().sum())) })
        }),
        (3, {
            let all =
                try_gather((child(log, 0, false), child(log, 1, true), child(log, 2, false))).orphans_to(&shelter);
            Box::pin(async { all.await.map(|result| result.map(|(a, b, c)| a + b + c)) })
        }),
        (1, Box::pin(sum(try_gather(core::iter::once(child(log, 1, true))).orphans_to(&shelter)))),
    ];
    let total: usize = lists.iter().map(|(len, _)| len).sum();
    assert_eq!(shelter.len(), total, "all are in the shelter before the first poll");
    for (_, mut all) in lists {
        let result = loop {
            if let Poll::Ready(result) = probe.poll(&mut all) {
                break result;
            }
        };
        assert_eq!(result, Ok(Err("child 1".into())));
    }
    block_on(shelter.drain());
    let mut all = core::mem::take(&mut *log.lock().unwrap());
    all.sort_unstable();
    let mut expected: Vec<usize> = (0..4).chain(0..40).chain(0..4).chain(0..3).chain([1]).collect();
    expected.sort_unstable();
    assert_eq!(all, expected, "each child has come to its end, once");
}

async fn sum(all: impl Future<Output = Result<Result<Vec<usize>, String>, Cancelled>>) -> Result<Step, Cancelled> {
    all.await.map(|result| result.map(|n| n.iter().sum()))
}

#[test]
fn without_a_failure_it_is_try_gather() {
    let log = Mutex::new(Vec::new());
    let shelter = Shelter::new().on_orphan_error(|_| panic!("none is an orphan"));
    let list = [3, 0, 2].map(|n| child(&log, n, false));
    assert_eq!(block_on(try_gather(list).orphans_to(&shelter)), Ok(Ok([3, 0, 2])));
    assert_eq!(block_on(try_gather(Vec::<core::future::Ready<Step>>::new()).orphans_to(&shelter)), Ok(Ok(Vec::new())));
    assert!(shelter.is_empty());
    let none: [core::future::Ready<Step>; 0] = [];
    assert_eq!(block_on(try_gather(none).orphans_to(&shelter)), Ok(Ok([])));
}

#[test]
fn an_error_is_returned_or_told_to_the_hook_and_never_both() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    fn hook(error: &dyn Debug) {
        TOLD.lock().unwrap().push(format!("{error:?}"));
    }
    let log = Mutex::new(Vec::new());
    let shelter = Shelter::new().on_orphan_error(hook);
    // 1 and the second 1 fail in the same pass; 3 fails later; 2 does not fail.
    let list = [(2, false), (1, true), (1, true), (3, true)].map(|(n, fails)| child(&log, n, fails));
    assert_eq!(block_on(try_gather(list).orphans_to(&shelter)), Ok(Err("child 1".into())));
    assert!(TOLD.lock().unwrap().is_empty());
    block_on(shelter.drain());
    assert_eq!(*TOLD.lock().unwrap(), ["\"child 1\"", "\"child 3\""]);
}

#[test]
fn when_it_is_dropped_the_children_run_on_too() {
    let log = Mutex::new(Vec::new());
    let shelter = Shelter::new();
    let probe = Probe::new();
    let all = try_gather([2, 1].map(|n| child(&log, n, false))).orphans_to(&shelter);
    drop(all); // never polled
    let all = probe.start(try_gather([4, 3].map(|n| child(&log, n, false))).orphans_to(&shelter));
    drop(all);
    assert_eq!(shelter.len(), 4);
    block_on(shelter.drain());
    assert_eq!(log.lock().unwrap().len(), 4);
}

#[test]
fn children_that_are_kept_are_driven_by_the_keeper_in_the_order_of_the_list() {
    let log = Mutex::new(Vec::new());
    let shelter = Shelter::new();
    let (probe, keeper) = (Probe::new(), Probe::new());
    let first = |name: usize| {
        let log = &log;
        async move {
            log.lock().unwrap().push(name);
            pending::<Result<(), ()>>().await
        }
    };
    let mut all = Box::pin(try_gather((0..30).map(first)).orphans_to(&shelter));
    let drain = keeper.start(shelter.drain());
    assert_eq!(*log.lock().unwrap(), (0..30).collect::<Vec<_>>());
    probe.pends(&mut all);
    drop(drain);
    shelter.abort_all();
    assert_eq!(probe.ready(&mut all), Err(Cancelled), "aborted: neither values nor an error");
    assert!(all.is_terminated());
    assert!(poll_panics(&mut all, &probe).contains("polled after completion"));
}

#[test]
fn a_panic_goes_on_and_the_others_run_on() {
    let log = Mutex::new(Vec::new());
    let shelter = Shelter::new();
    async fn breaks() -> Step {
        steps(1).await;
        panic!("a child")
    }
    let mut all = Box::pin(try_gather((child(&log, 3, false), breaks(), child(&log, 2, false))).orphans_to(&shelter));
    let probe = Probe::new();
    probe.pends(&mut all);
    assert_eq!(poll_panics(&mut all, &probe), "a child");
    drop(all);
    assert_eq!(shelter.len(), 2);
    block_on(shelter.drain());
    assert_eq!(*log.lock().unwrap(), [3, 2]);
}

#[test]
fn a_set_that_was_polled_is_refused() {
    let shelter = Shelter::new();
    let probe = Probe::new();
    let mut all = try_gather([pending::<Step>(), pending()]);
    assert!(probe.poll_pinned(Pin::new(&mut all)).is_pending());
    assert_eq!(panics(|| drop(all.orphans_to(&shelter))), "polled before");
    let mut all = try_gather((0..2).map(|_| async { pending::<Step>().await }));
    assert!(probe.poll_pinned(Pin::new(&mut all)).is_pending());
    assert_eq!(panics(|| drop(all.orphans_to(&shelter))), "polled before");
    assert!(shelter.is_empty());
}

#[test]
fn a_keeper_that_panics_when_it_is_told_of_a_child_drops_the_rest_and_keeps_the_first() {
    let log = Mutex::new(Vec::new());
    let shelter = Shelter::new();
    let keeper = Probe::new();
    for vector in [false, true] {
        let mut run = keeper.start(shelter.run(pending::<()>()));
        keeper.on_wake(|| panic!("a waker"));
        let list = [1, 2, 3].map(|n| child(&log, n, false));
        let told = panics(|| {
            if vector {
                drop(try_gather(Vec::from(list)).orphans_to(&shelter));
            } else {
                drop(try_gather(list).orphans_to(&shelter));
            }
        });
        keeper.quiet();
        assert_eq!((told.as_str(), shelter.len()), ("a waker", 1));
        while !shelter.is_empty() {
            keeper.pends(&mut run);
        }
        assert_eq!(core::mem::take(&mut *log.lock().unwrap()), [1]);
    }
}

#[test]
fn local_children_and_a_claim_work_too_and_each_child_is_one_allocation() {
    static READY: ReadyBlock<1> = ReadyBlock::new();
    let log = Rc::new(RefCell::new(Vec::new()));
    let shelter = LocalShelter::new();
    let probe = Probe::new();
    let child = |n: usize| {
        let log = log.clone();
        async move {
            steps(n).await;
            log.borrow_mut().push(n);
            if n == 1 { Err("one") } else { Ok(n) }
        }
    };
    let claim = READY.claim().unwrap();
    let list = [2, 1, 0].map(child);
    let (allocated, all) = allocations(|| try_gather_in(claim, list).orphans_to(&shelter));
    assert_eq!(allocated, 3);
    let mut all = pin!(all);
    assert!(probe.poll_pinned(all.as_mut()).is_pending());
    assert_eq!(probe.poll_pinned(all), Poll::Ready(Ok(Err("one"))));
    assert!(READY.claim().is_none());
    block_on(shelter.drain());
    assert_eq!(*log.borrow(), [0, 1, 2]);
}

#[test]
fn an_array_takes_all_children_or_none_and_allocates_nothing() {
    let log = Mutex::new(Vec::new());
    let log = &log;
    let array = pin!(ShelterArray::<_, 3>::new());
    let array = array.as_ref();
    let probe = Probe::new();
    let list = [2, 1, 3].map(|n| child(log, n, n == 1));
    let (allocated, all) = allocations(|| try_gather(list).orphans_in(array).ok().unwrap());
    assert_eq!((allocated, array.len()), (0, 3));
    let Err(back) = try_gather([0].map(|n| child(log, n, n == 1))).orphans_in(array) else { panic!("it is full") };
    assert_eq!(block_on(back), Ok([0]), "they are given back");
    let mut all = Box::pin(all);
    probe.pends(&mut all);
    assert_eq!(probe.ready(&mut all), Ok(Err("child 1".into())));
    assert_eq!(array.len(), 2);
    let Err(back) = try_gather([7, 8].map(|n| child(log, n, n == 1))).orphans_in(array) else { panic!("one is free") };
    drop(back);
    block_on(array.drain());
    assert_eq!(core::mem::take(&mut *log.lock().unwrap()), [0, 1, 2, 3]);
    let again = try_gather([5, 4, 6].map(|n| child(log, n, n == 1)))
        .orphans_in(array)
        .unwrap_or_else(|_| panic!("all are free"));
    assert_eq!(block_on(again), Ok(Ok([5, 4, 6])));
    assert!(array.is_empty());
}

/// Cut at every poll: each child that is in the shelter is finished, once.
#[test]
fn wherever_it_is_dropped_each_child_is_finished_once() {
    for fails in 0..5 {
        for cut in 0..8 {
            let ended: [AtomicUsize; 4] = Default::default();
            let shelter = Shelter::new();
            {
                let list = [0, 1, 2, 3].map(|n| {
                    let ended = &ended;
                    async move {
                        steps(n).await;
                        ended[n].fetch_add(1, SeqCst);
                        if n == fails { Err(n) } else { Ok(n) }
                    }
                });
                let mut all = Box::pin(try_gather(list).orphans_to(&shelter));
                let probe = Probe::new();
                let _ = (0..cut).any(|_| probe.poll(&mut all).is_ready());
            }
            block_on(shelter.drain());
            assert!(ended.iter().all(|ended| ended.load(SeqCst) == 1), "{fails} {cut}");
        }
    }
}

#[test]
fn it_is_send_if_the_shelter_is() {
    fn with<'s, F>(list: Vec<F>, shelter: &'s Shelter<'s>) -> impl FusedFuture
    where
        F: Future<Output = Step> + Send + 's,
    {
        let all = try_gather(list).orphans_to(shelter);
        is_send(&all);
        all
    }
    fn is_send(_: &(impl Send + Debug)) {}
    static SHELTER: Shelter = Shelter::new();
    drop(with(Vec::<core::future::Ready<Step>>::new(), &SHELTER));
    type Handle<'s> = testudo::task::Shielded<'s, Step, testudo::task::Local>;
    assert_not_impl_any!(Handle<'static>: Send);
    assert_impl_all!(testudo::task::Shielded<'static, Step>: Send);
}
