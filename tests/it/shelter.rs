//! Shelters: who drives, what survives, who is told.
use core::{
    cell::Cell,
    fmt::Debug,
    future::{Future, pending, poll_fn, ready},
    pin::{Pin, pin},
    sync::atomic::{AtomicUsize, Ordering::*},
    task::{Context, Poll},
};
use std::{
    boxed::Box,
    rc::Rc,
    string::String,
    sync::{Arc, Barrier, Mutex as StdMutex},
    vec::Vec,
};

use futures_core::FusedFuture;
use testudo::{
    Event,
    run::block_on,
    task::{Cancelled, Shelter, ShelterArray},
};

use crate::support::{Inline, Probe, Rng, Slot, allocations, panics, poll_panics, wakes};

/// Sets a flag when it is dropped.
struct Flag<'a>(&'a Cell<usize>);

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_ready_future_needs_one_allocation_and_leaves_nothing() {
    let shelter = Shelter::new();
    let probe = Probe::new();
    let (allocated, result) = allocations(|| probe.now(shelter.shield(async { 7 })));
    assert_eq!((allocated, result), (1, Ok(7)));
    assert_eq!((shelter.len(), probe.kept(), probe.wakes()), (0, 0, 0));
}

#[test]
fn an_array_allocates_nothing() {
    static ARRAY: ShelterArray<core::future::Ready<u8>, 1> = ShelterArray::new();
    let probe = Probe::new();
    let (allocated, ()) = allocations(|| {
        for round in 0..3 {
            let handle = pin!(ARRAY.shield(ready(round)).unwrap());
            assert_eq!(probe.poll_pinned(handle), Poll::Ready(Ok(round)));
            ARRAY.adopt(ready(9)).unwrap();
            let drain = pin!(ARRAY.drain());
            assert!(probe.poll_pinned(drain).is_ready());
        }
    });
    assert_eq!(allocated, 0);
}

#[test]
fn the_handle_drives_when_nobody_keeps() {
    let (shelter_event, shelter) = (Event::new(), Shelter::new());
    let probe = Probe::new();
    let mut handle = probe.start(shelter.shield(async {
        shelter_event.wait().await;
        5
    }));
    shelter_event.set();
    assert_eq!(probe.wakes(), 1);
    assert_eq!(probe.ready(&mut handle), Ok(5));
    assert!(handle.is_terminated());
}

#[test]
fn what_a_dropped_handle_leaves_is_finished_by_drain() {
    let (event, done) = (Event::new(), Cell::new(0));
    let done_flag = AtomicUsize::new(0);
    let shelter = Shelter::new();
    let probe = Probe::new();
    let handle = probe.start(shelter.shield(async {
        event.wait().await;
        done_flag.fetch_add(1, SeqCst);
    }));
    drop(handle);
    assert_eq!(shelter.len(), 1);
    let keeper = Probe::new();
    let mut drain = keeper.start(shelter.drain());
    event.set();
    assert_eq!((probe.wakes(), keeper.wakes()), (0, 1)); // its waker is the keeper's now
    keeper.ready(&mut drain);
    assert_eq!((done_flag.load(SeqCst), shelter.len(), done.get()), (1, 0, 0));
    done.set(1);
}

#[test]
fn a_keeper_takes_over_and_the_handle_only_waits() {
    let (event, polls) = (Event::new(), AtomicUsize::new(0));
    let mut inner = Box::pin(event.wait());
    let shelter = Shelter::new();
    let future = poll_fn(|cx| {
        polls.fetch_add(1, SeqCst);
        inner.as_mut().poll(cx)
    });
    let (owner, keeper) = (Probe::new(), Probe::new());
    let mut handle = owner.start(shelter.shield(future));
    let mut drain = keeper.start(shelter.drain());
    assert_eq!(polls.load(SeqCst), 2);
    owner.pends(&mut handle);
    assert_eq!(polls.load(SeqCst), 2, "it is kept: the handle does not poll it");
    event.set();
    assert_eq!((owner.wakes(), keeper.wakes()), (0, 1));
    keeper.ready(&mut drain);
    assert_eq!((owner.wakes(), owner.ready(&mut handle)), (1, Ok(())));
}

#[test]
fn a_handle_that_is_not_polled_does_not_hold_up_what_is_kept() {
    let (event, shelter) = (Event::new(), Shelter::new());
    let (owner, keeper) = (Probe::new(), Probe::new());
    let mut handle = owner.start(shelter.shield(async { event.wait().await }));
    let mut drain = keeper.start(shelter.drain());
    event.set();
    keeper.ready(&mut drain); // whatever the owner does
    assert!(handle.is_finished());
    assert_eq!(owner.ready(&mut handle), Ok(()));
}

#[test]
fn a_sleeping_keeper_is_woken_by_what_is_put_in() {
    let shelter = Shelter::new();
    let keeper = Probe::new();
    let mut run = keeper.start(shelter.run(pending::<()>()));
    let done = AtomicUsize::new(0);
    let outer = Shelter::new();
    drop(outer);
    let handle = shelter.shield(async { 3 });
    assert_eq!(keeper.wakes(), 1);
    keeper.pends(&mut run);
    assert!(handle.is_finished());
    assert_eq!(keeper.now(handle), Ok(3));
    assert_eq!(done.load(SeqCst), 0);
}

#[test]
fn when_the_keeper_goes_one_handle_drives() {
    let (event, shelter) = (Event::new(), Shelter::new());
    let probes = Probe::many(3);
    let handle = shelter.shield(async { event.wait().await });
    let handles: Vec<_> = probes[1..].iter().map(|probe| probe.start(handle.clone())).collect();
    let first = probes[0].start(handle);
    let keeper = Probe::new();
    let drain = keeper.start(shelter.drain());
    assert_eq!(wakes(&probes), [0, 0, 0]);
    drop(drain);
    assert_eq!(wakes(&probes).iter().sum::<usize>(), 1, "one is told to drive");
    event.set();
    assert_eq!(keeper.wakes(), 1, "the future still has the keeper's waker: whoever was told polls anyway");
    for (probe, mut handle) in probes[1..].iter().zip(handles).chain([(&probes[0], first)]) {
        assert_eq!(probe.ready(&mut handle), Ok(()));
    }
}

#[test]
fn a_completion_wakes_one_and_each_passes_it_on() {
    let (event, shelter) = (Event::new(), Shelter::new());
    let probes = Probe::many(100);
    let handle = shelter.shield(async {
        event.wait().await;
        String::from("result")
    });
    let mut handles: Vec<_> = probes.iter().map(|probe| probe.start(handle.clone())).collect();
    drop(handle);
    let before: usize = wakes(&probes).iter().sum();
    event.set();
    let driver = probes.iter().position(|probe| probe.wakes() > 0).unwrap();
    assert_eq!(wakes(&probes).iter().sum::<usize>(), before + 1);
    // The driver finds the result and tells one; each that is told tells the next.
    let mut next = driver;
    let mut left = 100;
    loop {
        let told: usize = wakes(&probes).iter().sum();
        assert_eq!(probes[next].ready(&mut handles[next]).unwrap(), "result");
        left -= 1;
        let now: usize = wakes(&probes).iter().sum();
        if left == 0 {
            assert_eq!(now, told);
            break;
        }
        assert_eq!(now, told + 1, "one wake a step");
        next = (0..100).find(|&at| probes[at].wakes() > 0 && !handles[at].is_terminated()).unwrap();
    }
}

#[test]
fn a_told_handle_that_is_dropped_tells_the_next() {
    let (event, shelter) = (Event::new(), Shelter::new());
    let probes = Probe::many(3);
    let handle = shelter.shield(async {
        event.wait().await;
        1
    });
    let mut waiting: Vec<_> = probes.iter().map(|probe| Some(probe.start(handle.clone()))).collect();
    drop(handle);
    let keeper = Probe::new();
    let mut drain = keeper.start(shelter.drain());
    event.set();
    keeper.ready(&mut drain);
    for left in (1..=3).rev() {
        let told = (0..3).find(|&at| waiting[at].is_some() && probes[at].wakes() > 0).unwrap();
        assert_eq!(wakes(&probes).iter().sum::<usize>(), 4 - left);
        waiting[told] = None;
    }
    assert_eq!(wakes(&probes), [1, 1, 1]);
}

#[test]
fn the_driver_that_is_dropped_leaves_the_work_to_one_that_waits() {
    let (event, shelter) = (Event::new(), Shelter::new());
    let (a, b) = (Probe::new(), Probe::new());
    let first = shelter.shield(async { event.wait().await });
    let second = first.clone();
    let mut second = b.start(second);
    let first = a.start(first); // drives now
    drop(first);
    assert_eq!(b.wakes(), 1);
    b.pends(&mut second);
    event.set();
    assert_eq!((a.wakes(), b.wakes()), (0, 2));
    assert_eq!(b.ready(&mut second), Ok(()));
}

#[test]
fn a_handle_that_did_not_drive_wakes_nobody_when_it_is_dropped() {
    let (event, shelter) = (Event::new(), Shelter::new());
    let (a, b) = (Probe::new(), Probe::new());
    let first = shelter.shield(async { event.wait().await });
    let second = first.clone();
    let first = a.start(first);
    let second = b.start(second); // drives now
    drop(first);
    assert_eq!(b.wakes(), 0);
    drop(second);
    assert_eq!((shelter.len(), a.kept(), b.kept()), (1, 0, 1), "the future has the last driver's waker");
    shelter.abort_all();
    assert_eq!((shelter.len(), b.kept()), (0, 0));
}

#[test]
fn the_last_handle_takes_the_result_without_a_clone() {
    #[derive(Debug)]
    struct Counted(Arc<AtomicUsize>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, SeqCst);
            Self(self.0.clone())
        }
    }
    let clones = Arc::new(AtomicUsize::new(0));
    let shelter = Shelter::new();
    let probe = Probe::new();
    let counted = Counted(clones.clone());
    let handle = shelter.shield(async move { counted });
    let others = [handle.clone(), handle.clone()];
    assert!(probe.now(handle).is_ok());
    for other in others {
        assert!(probe.now(other).is_ok());
    }
    assert_eq!(clones.load(SeqCst), 2);
    assert_eq!(Arc::strong_count(&clones), 1);
}

#[test]
fn results_and_futures_are_dropped_once_whoever_goes_first() {
    for order in 0..4 {
        let drops = Arc::new(AtomicUsize::new(0));
        let (future, result) = (Count(drops.clone()), Count(drops.clone()));
        let (event, shelter) = (Event::new(), Shelter::new());
        let handle = shelter.shield(async {
            let _future = future;
            event.wait().await;
            result
        });
        let probe = Probe::new();
        match order {
            0 => drop(handle),
            1 => {
                event.set();
                block_on(shelter.drain());
                drop(handle);
                assert_eq!(drops.load(SeqCst), 2);
            }
            2 => {
                shelter.abort_all();
                assert_eq!(drops.load(SeqCst), 2);
                assert!(probe.now(handle).is_err());
            }
            _ => {
                event.set();
                assert!(probe.now(handle).is_ok());
            }
        }
        drop(shelter);
        assert_eq!(drops.load(SeqCst), 2, "order {order}");
    }
}

#[test]
fn run_returns_when_the_body_and_all_that_it_left_have_ended() {
    let (event, shelter) = (Event::new(), Shelter::new());
    let probe = Probe::new();
    let mut run = probe.start(shelter.run(async {
        shelter.adopt(event.wait());
        drop(shelter.shield(event.wait()));
        42
    }));
    assert_eq!(shelter.len(), 2);
    event.set();
    assert_eq!(probe.ready(&mut run), 42);
    assert!(run.is_terminated() && shelter.is_empty());
    assert!(poll_panics(&mut run, &probe).contains("polled after completion"));
}

#[test]
fn what_a_sheltered_future_puts_in_is_kept_too() {
    static SHELTER: Shelter = Shelter::new();
    static DONE: AtomicUsize = AtomicUsize::new(0);
    fn deeper(depth: usize) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            if depth > 0 {
                SHELTER.adopt(deeper(depth - 1));
            }
            DONE.fetch_add(1, SeqCst);
        })
    }
    SHELTER.adopt(deeper(50));
    block_on(SHELTER.drain());
    assert_eq!(DONE.load(SeqCst), 51);
}

#[test]
fn of_two_keepers_one_drives_and_the_other_follows() {
    let (event, shelter) = (Event::new(), Shelter::new());
    shelter.adopt(event.wait());
    let (a, b, c) = (Probe::new(), Probe::new(), Probe::new());
    let first = a.start(shelter.drain());
    let mut second = b.start(shelter.drain());
    let mut third = c.start(shelter.run(ready(())));
    drop(first);
    assert_eq!(b.wakes(), 1);
    b.pends(&mut second);
    event.set();
    assert_eq!(b.wakes(), 2);
    b.ready(&mut second);
    assert!((1..=2).contains(&c.wakes()), "it is told that the shelter is empty, and that the role is free");
    c.ready(&mut third);
}

#[test]
fn a_drain_behind_a_long_run_ends_when_the_shelter_is_empty() {
    let (event, shelter) = (Event::new(), Shelter::new());
    let (a, b) = (Probe::new(), Probe::new());
    let mut run = a.start(shelter.run(pending::<()>()));
    shelter.adopt(event.wait());
    a.pends(&mut run);
    let mut drain = b.start(shelter.drain());
    event.set();
    a.pends(&mut run);
    assert_eq!(b.wakes(), 1);
    shelter.adopt(pending()); // it was empty, and that is enough
    b.ready(&mut drain);
    drop(run);
}

#[test]
fn aborting_drops_the_futures_and_tells_the_handles() {
    let drops = Arc::new(AtomicUsize::new(0));
    let shelter = Shelter::new();
    let probes = Probe::many(2);
    let count = Count(drops.clone());
    let handle = shelter.shield(async move {
        let _count = count;
        pending::<()>().await
    });
    let mut other = probes[1].start(handle.clone());
    let mut handle = probes[0].start(handle);
    shelter.abort_all();
    assert_eq!((drops.load(SeqCst), shelter.len()), (1, 0));
    assert_eq!(wakes(&probes).iter().sum::<usize>(), 1);
    assert_eq!(probes[0].ready(&mut handle), Err(Cancelled));
    assert_eq!(probes[1].ready(&mut other), Err(Cancelled));
}

#[test]
fn a_future_that_aborts_its_own_shelter_ends_when_its_poll_returns() {
    static SHELTER: Shelter = Shelter::new();
    let drops = Arc::new(AtomicUsize::new(0));
    let probe = Probe::new();
    for ends in [false, true] {
        let count = Count(drops.clone());
        let handle = SHELTER.shield(async move {
            let _count = count;
            SHELTER.abort_all();
            if !ends {
                pending::<()>().await;
            }
        });
        let mut handle = Box::pin(handle);
        if ends {
            assert_eq!(probe.ready(&mut handle), Ok(()), "a result stands");
        } else {
            assert_eq!(probe.ready(&mut handle), Err(Cancelled));
        }
    }
    assert_eq!((drops.load(SeqCst), SHELTER.len()), (2, 0));
}

#[test]
fn what_an_aborted_future_puts_in_stays() {
    static SHELTER: Shelter = Shelter::new();
    static RELEASED: Event = Event::new();
    struct Release;
    impl Drop for Release {
        fn drop(&mut self) {
            SHELTER.adopt(async { RELEASED.set() });
        }
    }
    let release = Release;
    SHELTER.adopt(async move {
        let _release = release;
        pending().await
    });
    SHELTER.abort_all();
    assert_eq!(SHELTER.len(), 1);
    block_on(SHELTER.drain());
    assert!(RELEASED.is_set());
}

#[test]
fn a_full_array_gives_the_future_back_and_a_place_is_free_again() {
    let gate = Event::new();
    let array = pin!(ShelterArray::<_, 2>::new());
    let array = array.as_ref();
    let probe = Probe::new();
    let make = |n: u32| {
        let gate = &gate;
        async move {
            gate.wait().await;
            n
        }
    };
    let first = array.shield_pinned(make(1)).ok().unwrap();
    array.adopt_pinned(make(2)).ok().unwrap();
    let Err(back) = array.shield_pinned(make(3)) else { panic!("it is full") };
    gate.set();
    assert_eq!(probe.now(back), 3, "the one that was given back can be run");
    assert_eq!(probe.now(first), Ok(1));
    let third = array.shield_pinned(make(4)).ok().unwrap();
    assert!(array.adopt_pinned(make(5)).is_err(), "the adopted one has not ended");
    probe.now(array.drain());
    assert!(third.is_finished());
    assert!(array.adopt_pinned(make(6)).is_ok());
    assert!(array.adopt_pinned(make(7)).is_err(), "a result that a handle may take keeps its place");
    drop(third);
    assert!(array.adopt_pinned(make(8)).is_ok());
}

#[test]
fn an_array_without_send_works_on_its_thread() {
    let counter = Rc::new(Cell::new(0));
    let array = pin!(ShelterArray::<_, 2>::new());
    let array = array.as_ref();
    for step in [1, 10] {
        let counter = counter.clone();
        let handle = array.shield_pinned(async move {
            counter.set(counter.get() + step);
            counter
        });
        drop(handle.ok().unwrap());
    }
    block_on(array.drain());
    assert_eq!((counter.get(), Rc::strong_count(&counter)), (11, 1));
}

#[test]
fn a_dropped_shelter_drops_what_is_in_it() {
    let drops = Cell::new(0);
    {
        let array = pin!(ShelterArray::<_, 3>::new());
        for _ in 0..3 {
            let flag = Flag(&drops);
            array.as_ref().adopt_pinned(async move { drop(flag) }).ok().unwrap();
        }
    }
    assert_eq!(drops.get(), 3);
    let drops = Arc::new(AtomicUsize::new(0));
    let shelter = Shelter::new();
    for _ in 0..3 {
        let count = Count(drops.clone());
        shelter.adopt(async move { drop(count) });
    }
    let moved = shelter; // nothing in it borrows it
    drop(moved);
    assert_eq!(drops.load(SeqCst), 3);
}

// ---- panics

async fn broken(text: &str) {
    panic!("{text}");
}

static LOG: StdMutex<Vec<String>> = StdMutex::new(Vec::new());

#[test]
fn a_panic_goes_to_whoever_polls_and_the_others_panic_too() {
    let shelter = Shelter::new();
    let handle = shelter.shield(broken("broken"));
    let other: core::pin::Pin<Box<_>> = Box::pin(handle.clone());
    let probe = Probe::new();
    let mut handle = Box::pin(handle);
    assert_eq!(panics(|| probe.poll(&mut handle).is_ready()), "broken");
    assert_eq!(shelter.len(), 0);
    let mut other = other;
    assert_eq!(panics(|| probe.poll(&mut other).is_ready()), "the shielded future panicked");
}

#[test]
fn a_panic_under_a_keeper_goes_to_the_handle_and_the_keeper_lives_on() {
    let shelter = Shelter::new();
    let probe = Probe::new();
    let done = AtomicUsize::new(0);
    let mut handle = Box::pin(shelter.shield(broken("broken 1")));
    let shelter2 = Shelter::new();
    shelter2.adopt(async {
        done.fetch_add(1, SeqCst);
    });
    probe.now(shelter.drain());
    probe.now(shelter2.drain());
    assert_eq!(done.load(SeqCst), 1);
    assert_eq!(panics(|| probe.poll(&mut handle).is_ready()), "broken 1");
}

#[test]
fn the_hook_is_told_of_what_no_handle_has_seen_and_of_nothing_else() {
    fn hook(error: &dyn Debug) {
        LOG.lock().unwrap().push(std::format!("{error:?}"));
    }
    fn told() -> Vec<String> {
        core::mem::take(&mut LOG.lock().unwrap())
    }
    let shelter = Shelter::new().on_orphan_error(hook);
    let probe = Probe::new();
    let fails = |text: &'static str| async move { Err::<u8, _>(text) };
    // seen by its handle
    assert_eq!(probe.now(shelter.try_shield(fails("seen"))), Ok(Err("seen")));
    assert!(told().is_empty());
    // the handle is dropped before the end
    drop(shelter.try_shield(fails("orphan")));
    probe.now(shelter.drain());
    assert_eq!(told(), ["\"orphan\""]);
    // a handle is left, sees it later, or does not
    let handle = shelter.try_shield(fails("late"));
    probe.now(shelter.drain());
    assert!(told().is_empty());
    drop(handle);
    assert_eq!(told(), ["\"late\""]);
    // one of two has seen it
    let handle = shelter.try_shield(fails("shared"));
    let other = handle.clone();
    assert_eq!(probe.now(handle), Ok(Err("shared")));
    drop(other);
    assert!(told().is_empty());
    // adopted; no failure; no errors asked for
    shelter.try_adopt(async { Err(5) });
    shelter.try_adopt(async { Ok::<_, u8>(()) });
    drop(shelter.shield(fails("not asked for")));
    probe.now(shelter.drain());
    assert_eq!(told(), ["5"]);
    // panics
    shelter.adopt(async { panic!("lost") });
    probe.now(shelter.drain());
    assert_eq!(told(), ["Panicked(\"lost\")"]);
    // aborted: nothing failed
    drop(shelter.try_shield(fails("aborted")));
    shelter.abort_all();
    assert!(told().is_empty());
}

#[test]
fn a_hook_that_panics_and_drops_that_panic_leave_the_shelter_in_order() {
    fn hook(_: &dyn Debug) {
        panic!("in the hook");
    }
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("in a drop");
        }
    }
    let shelter = Shelter::new().on_orphan_error(hook);
    let probe = Probe::new();
    shelter.try_adopt(async { Err(1) });
    assert_eq!(panics(|| probe.now(shelter.drain())), "in the hook");
    assert_eq!(shelter.len(), 0);
    // the future's own variables
    let bad = Bad;
    let handle = shelter.shield(async move {
        let _bad = &bad;
        3
    });
    assert_eq!(panics(|| probe.now(handle)), "in a drop");
    assert_eq!(shelter.len(), 0);
    // the result
    let handle = shelter.shield(async { Bad });
    probe.now(shelter.drain());
    assert_eq!(panics(|| drop(handle)), "in a drop");
    // aborted
    let bad = Bad;
    let handle = shelter.shield(async move {
        let _bad = bad;
        pending::<()>().await
    });
    let mut handle = probe.start(handle);
    assert_eq!(panics(|| shelter.abort_all()), "in a drop");
    assert_eq!((shelter.len(), probe.ready(&mut handle)), (0, Err(Cancelled)));
}

#[test]
fn a_result_whose_clone_panics_is_there_for_the_others() {
    #[derive(Debug)]
    struct Fragile(Arc<AtomicUsize>);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(self.0.fetch_add(1, SeqCst) > 0, "not yet");
            Self(self.0.clone())
        }
    }
    let calls = Arc::new(AtomicUsize::new(0));
    let (event, shelter) = (Event::new(), Shelter::new());
    let probes = Probe::many(2);
    let fragile = Fragile(calls.clone());
    let handle = shelter.shield(async {
        event.wait().await;
        fragile
    });
    let mut first = probes[0].start(handle.clone());
    let mut second = probes[1].start(handle);
    event.set();
    block_on(shelter.drain());
    assert_eq!(panics(|| probes[0].poll(&mut first).is_ready()), "not yet");
    assert!(probes[1].wakes() > 0);
    assert!(probes[1].ready(&mut second).is_ok());
}

/// Pending once, and wakes at once.
async fn pending_once() {
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

// ---- re-entrancy

#[test]
fn wakers_that_poll_at_once_find_the_shelter_in_order() {
    static SHELTER: Shelter = Shelter::new();
    static GATE: Event = Event::new();
    let handle = SHELTER.shield(async {
        GATE.wait().await;
        8
    });
    let results = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let (handle, results) = (handle.clone(), results.clone());
            Inline::spawn(async move {
                results.fetch_add(handle.await.unwrap(), SeqCst);
            })
        })
        .collect();
    let keeper = Inline::spawn(SHELTER.drain());
    GATE.set();
    assert!(tasks.iter().all(|task| task.is_done()) && keeper.is_done());
    assert_eq!(results.load(SeqCst), 80);
    drop(handle);
}

#[test]
fn a_handle_that_is_dropped_by_the_future_it_waits_for_is_gone() {
    static SHELTER: Shelter = Shelter::new();
    let slot = Slot::<Pin<Box<dyn Future<Output = ()> + Send>>>::empty();
    let inner = slot.clone();
    let handle = SHELTER.shield(async move {
        inner.cancel();
        7
    });
    let other = handle.clone();
    slot.put(Box::pin(Box::pin(async move {
        other.await.unwrap();
    })));
    let probe = Probe::new();
    assert_eq!(probe.now(handle), Ok(7));
    assert!(!slot.cancel());
    assert_eq!(SHELTER.len(), 0);
}

// ---- cancelling at every poll, with a ledger

/// A program with shields: `writes` are begun, each takes `steps` polls, and each has to be done exactly once.
#[test]
fn shielded_writes_are_done_exactly_once_wherever_the_program_is_cancelled() {
    async fn steps(n: usize) {
        for _ in 0..n {
            pending_once().await;
        }
    }
    for keeps in [false, true] {
        for cut in 0..40 {
            let ledger = [const { AtomicUsize::new(0) }; 4];
            let started = [const { AtomicUsize::new(0) }; 4];
            let (ledger, started) = (&ledger, &started);
            let shelter = Shelter::new();
            let write = move |n: usize| {
                started[n].fetch_add(1, SeqCst);
                async move {
                    steps(n + 1).await;
                    ledger[n].fetch_add(1, SeqCst);
                    n
                }
            };
            let program = async {
                let a = shelter.shield(write(0));
                steps(2).await;
                assert_eq!(a.await, Ok(0));
                let b = shelter.shield(write(1));
                let c = shelter.shield(write(2));
                let twin = b.clone();
                assert_eq!(b.await, Ok(1));
                assert_eq!(twin.await, Ok(1));
                drop(c);
                shelter.adopt(async move {
                    write(3).await;
                });
                steps(3).await;
            };
            let probe = Probe::new();
            {
                let mut kept = pin!(shelter.run(ready(())));
                let mut program = pin!(program);
                for _ in 0..cut {
                    if keeps && kept.as_mut().poll(&mut Context::from_waker(probe.waker())).is_ready() {
                        kept.set(shelter.run(ready(())));
                    }
                    if probe.poll_pinned(program.as_mut()).is_ready() {
                        break;
                    }
                }
            }
            block_on(shelter.drain());
            for (ledger, started) in ledger.iter().zip(started) {
                assert_eq!(ledger.load(SeqCst), started.load(SeqCst), "cut at {cut}");
            }
        }
    }
}

/// The lost wake of futures-util's `Shared` (#2706): whoever polls returns Pending and is dropped, while another saw it polling.
#[test]
fn stress_handles_that_come_and_go_on_two_threads() {
    for round in 0..crate::stress::rounds(20_000) {
        let (event, shelter) = (Event::new(), Shelter::new());
        let mut inner = Box::pin(event.wait());
        let handle = shelter.shield(poll_fn(move |cx| inner.as_mut().poll(cx)));
        let other = handle.clone();
        std::thread::scope(|s| {
            s.spawn(|| {
                let probe = Probe::new();
                let mut handle = Box::pin(handle);
                let _ = probe.poll(&mut handle);
                drop(handle);
            });
            s.spawn(|| assert_eq!(block_on(other), Ok(())));
            if round % 2 == 0 {
                std::thread::yield_now();
            }
            event.set();
        });
    }
}

#[test]
fn threads_that_shield_drop_drain_and_abort_finish_everything_once() {
    let rounds = if cfg!(miri) { 3 } else { 300 };
    for round in 0..rounds {
        let (started, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let shelter = Shelter::new();
        let mut rngs = (0..3).map(|n| Rng::new(round * 7 + n));
        std::thread::scope(|s| {
            for mut rng in rngs.by_ref().take(2) {
                let (shelter, started, ended) = (&shelter, &started, &ended);
                s.spawn(move || {
                    for _ in 0..20 {
                        let steps = rng.below(4);
                        started.fetch_add(1, SeqCst);
                        let handle = shelter.shield(async move {
                            for _ in 0..steps {
                                pending_once().await;
                            }
                            ended.fetch_add(1, SeqCst);
                        });
                        match rng.below(3) {
                            0 => drop(handle),
                            1 => assert_eq!(block_on(handle), Ok(())),
                            _ => {
                                let probe = Probe::new();
                                let twin = handle.clone();
                                let _ = probe.poll(&mut Box::pin(handle));
                                assert_eq!(block_on(twin), Ok(()));
                            }
                        }
                    }
                });
            }
            s.spawn(|| {
                for _ in 0..20 {
                    let probe = Probe::new();
                    let mut drain = Box::pin(shelter.drain());
                    for _ in 0..3 {
                        if drain.is_terminated() || probe.poll(&mut drain).is_ready() {
                            break;
                        }
                    }
                }
            });
        });
        block_on(shelter.drain());
        assert_eq!(started.load(SeqCst), ended.load(SeqCst));
    }
}

#[test]
fn a_drain_that_has_ended_and_is_kept_does_not_stand_before_the_next_keeper() {
    let (event, done) = (Event::new(), AtomicUsize::new(0));
    let shelter = Shelter::new();
    let probes = Probe::many(3);
    shelter.adopt(event.wait());
    let mut first = probes[0].start(shelter.run(pending::<()>()));
    let mut drained = probes[1].start(shelter.drain());
    let mut last = probes[2].start(shelter.run(pending::<()>()));
    event.set();
    probes[0].pends(&mut first);
    probes[1].ready(&mut drained);
    drop(first);
    assert_eq!(probes[2].wakes(), 1);
    probes[2].pends(&mut last);
    shelter.adopt(async {
        done.fetch_add(1, SeqCst);
    });
    assert_eq!(probes[2].wakes(), 2);
    probes[2].pends(&mut last);
    assert_eq!((done.load(SeqCst), drained.is_terminated()), (1, true));
}

#[test]
fn a_waker_that_panics_when_the_keeper_goes_keeps_no_other_handle_asleep() {
    let shelter = Shelter::new();
    let (one, two) = (shelter.shield(pending::<()>()), shelter.shield(pending::<()>()));
    let (keeper, probes) = (Probe::new(), Probe::many(2));
    let drain = keeper.start(shelter.drain());
    let (one, two) = (probes[0].start(one), probes[1].start(two));
    probes[0].on_wake(|| panic!("a waker"));
    assert_eq!(panics(|| drop(drain)), "a waker");
    assert_eq!(wakes(&probes), [1, 1]);
    probes[0].quiet();
    let next = keeper.start(shelter.drain());
    drop((next, one, two));
}

#[test]
fn a_waker_that_panics_when_the_shelter_is_empty_keeps_no_keeper_asleep() {
    let shelter = Shelter::new();
    shelter.adopt(pending());
    let (keeper, watcher) = (Probe::new(), Probe::new());
    let run = keeper.start(shelter.run(pending::<()>()));
    let mut drain = watcher.start(shelter.drain());
    watcher.on_wake(|| panic!("a waker"));
    assert_eq!(panics(|| shelter.abort_all()), "a waker");
    assert_eq!((keeper.wakes(), watcher.wakes()), (1, 1));
    watcher.quiet();
    watcher.ready(&mut drain);
    shelter.adopt(pending());
    let waits = watcher.start(shelter.drain()); // it does not find the shelter empty for ever
    drop((waits, run));
}

/// Its clone is begun, and ended by whoever meets it.
struct Slow {
    begun: Arc<Barrier>,
    end: Arc<Barrier>,
}

impl Clone for Slow {
    fn clone(&self) -> Self {
        self.begun.wait();
        self.end.wait();
        Self { begun: self.begun.clone(), end: self.end.clone() }
    }
}

#[test]
fn a_result_that_is_given_back_and_taken_at_once_by_another_thread_is_its_own() {
    let [go, begun, end] = [(); 3].map(|()| Arc::new(Barrier::new(2)));
    let result = Slow { begun: begun.clone(), end: end.clone() };
    let event = Event::new();
    let shelter = Shelter::new();
    let (keeper, probes) = (Probe::new(), Probe::many(3));
    let handle = shelter.shield(async {
        event.wait().await;
        result
    });
    let others = (handle.clone(), handle.clone());
    let mut drain = keeper.start(shelter.drain());
    let told = probes[0].start(handle);
    let mut taker = probes[1].start(others.0);
    let mut reader = probes[2].start(others.1);
    event.set();
    keeper.ready(&mut drain);
    probes[1].on_drop(|| panic!("a waker"));
    assert_eq!(poll_panics(&mut taker, &probes[1]), "a waker"); // it has the right to read, and has not read
    probes[1].quiet();
    let meet = go.clone();
    probes[2].on_wake(move || {
        meet.wait();
        begun.wait();
    });
    std::thread::scope(|threads| {
        threads.spawn(|| {
            go.wait();
            assert!(Probe::new().poll(&mut reader).is_ready());
        });
        let dropped = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| drop(taker)));
        end.wait();
        assert!(dropped.is_ok());
    });
    assert_eq!(shelter.len(), 0);
    assert!(probes[0].poll(&mut { told }).is_ready());
}
