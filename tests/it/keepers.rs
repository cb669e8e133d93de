//! Keepers of many futures: who is polled at a wake; what panics while somebody is told.
use core::{
    cell::Cell,
    fmt::Debug,
    future::{Future, pending, poll_fn, ready},
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering::*},
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};
use std::{
    boxed::Box,
    string::String,
    sync::{Arc, Mutex},
    vec::Vec,
};

use testudo::{
    Event,
    flow::ExitStack,
    run::block_on,
    task::{Cancelled, LocalShelter, Shelter, ShelterArray},
};

use crate::support::{Inline, Probe, Rng, allocations, in_a_child, panics};

/// A gate for each of `N` futures, which count their polls.
struct Gates {
    gates: Vec<Event>,
    polls: Vec<AtomicUsize>,
}

impl Gates {
    fn new(n: usize) -> Self {
        Self { gates: (0..n).map(|_| Event::new()).collect(), polls: (0..n).map(|_| AtomicUsize::new(0)).collect() }
    }

    /// Ends when its gate is open.
    fn future(&self, at: usize) -> impl Future<Output = usize> + Send {
        let mut wait = Box::pin(self.gates[at].wait());
        poll_fn(move |cx| {
            self.polls[at].fetch_add(1, SeqCst);
            wait.as_mut().poll(cx).map(|()| at)
        })
    }

    /// How often all of them were polled since the last look.
    fn polled(&self) -> Vec<usize> {
        let polls = self.polls.iter().enumerate();
        polls.flat_map(|(at, polls)| core::iter::repeat_n(at, polls.swap(0, SeqCst))).collect()
    }
}

#[test]
fn a_keeper_of_a_thousand_polls_those_that_were_woken_and_nobody_else() {
    const N: usize = 1000;
    let gates = Gates::new(N);
    let shelter = Shelter::new();
    let handles: Vec<_> = (0..N).map(|at| shelter.shield(gates.future(at))).collect();
    let keeper = Probe::new();
    let mut drain = keeper.start(shelter.drain());
    assert_eq!(gates.polled(), (0..N).collect::<Vec<_>>(), "all of them, once");
    keeper.pends(&mut drain);
    assert_eq!(gates.polled(), [0; 0], "nobody was woken");
    let mut seen = keeper.wakes();
    for woken in [vec![0], vec![999], vec![17, 18, 500], (100..200).collect()] {
        woken.iter().for_each(|&at| gates.gates[at].set());
        seen += 1;
        assert_eq!(keeper.wakes(), seen, "they wake it once");
        keeper.pends(&mut drain);
        assert_eq!(gates.polled(), woken);
        assert!(woken.iter().all(|&at| handles[at].is_finished()));
    }
    gates.gates.iter().for_each(Event::set);
    keeper.ready(&mut drain);
    assert_eq!(gates.polled().len(), N - 105);
    for (at, handle) in handles.into_iter().enumerate() {
        assert_eq!(block_on(handle), Ok(at));
    }
}

#[test]
fn a_keeper_of_few_needs_no_memory_and_a_keeper_of_many_some_once() {
    let gates = Gates::new(100);
    let shelter = Shelter::new();
    let keeper = Probe::new();
    for at in 0..16 {
        shelter.adopt(ignore(gates.future(at)));
    }
    let mut run = Box::pin(shelter.run(pending::<()>()));
    let (few, ()) = allocations(|| keeper.pends(&mut run));
    assert_eq!(few, 0);
    for at in 16..100 {
        shelter.adopt(ignore(gates.future(at)));
    }
    let (many, ()) = allocations(|| keeper.pends(&mut run));
    assert!((1..=6).contains(&many), "{many}");
    let (more, ()) = allocations(|| {
        for round in 0..100 {
            gates.gates[round].set();
            keeper.pends(&mut run);
        }
    });
    assert_eq!((more, shelter.len()), (0, 0));
}

async fn ignore(future: impl Future<Output = usize>) {
    future.await;
}

#[test]
fn the_body_is_polled_when_it_was_woken() {
    let gates = Gates::new(101);
    let shelter = Shelter::new();
    for at in 0..100 {
        shelter.adopt(ignore(gates.future(at)));
    }
    let keeper = Probe::new();
    let mut run = keeper.start(shelter.run(gates.future(100)));
    keeper.pends(&mut run);
    gates.polled();
    gates.gates[7].set();
    keeper.pends(&mut run);
    assert_eq!(gates.polled(), [7]);
    gates.gates[100].set();
    keeper.pends(&mut run);
    assert_eq!(gates.polled(), [100]);
    gates.gates.iter().for_each(Event::set);
    assert_eq!(keeper.ready(&mut run), 100);
    assert_eq!(gates.polled().len(), 99);
}

#[test]
fn what_comes_and_goes_while_many_are_kept_is_polled_when_it_is_woken() {
    let gates = Gates::new(600);
    let shelter = Shelter::new();
    let keeper = Probe::new();
    let mut run = keeper.start(shelter.run(pending::<()>()));
    let mut rng = Rng::new(5);
    let (mut next, mut inside, mut many) = (0, Vec::new(), false);
    while next < gates.gates.len() || !inside.is_empty() {
        gates.polled();
        let mut expected = Vec::new();
        if next < gates.gates.len() && rng.below(10) < 6 {
            shelter.adopt(ignore(gates.future(next)));
            expected.push(next);
            inside.push(next);
            next += 1;
        } else if !inside.is_empty() {
            let at = inside.swap_remove(rng.below(inside.len()));
            gates.gates[at].set();
            expected.push(at);
        }
        keeper.pends(&mut run);
        if many {
            assert_eq!(gates.polled(), expected);
        }
        many |= inside.len() > 16;
        assert_eq!(shelter.len(), inside.len());
    }
    assert!(many);
}

#[test]
fn what_is_aborted_while_many_are_kept_leaves_its_number_to_others() {
    let gates = Gates::new(300);
    let shelter = Shelter::new();
    let keeper = Probe::new();
    let mut run = keeper.start(shelter.run(pending::<()>()));
    for round in 0..3 {
        let handles: Vec<_> = (0..100).map(|at| shelter.shield(gates.future(round * 100 + at))).collect();
        keeper.pends(&mut run);
        gates.polled();
        gates.gates[round * 100 + 50].set(); // woken, and gone before it is polled
        shelter.abort_all();
        assert_eq!(shelter.len(), 0);
        keeper.pends(&mut run);
        assert_eq!(gates.polled(), [0; 0]);
        for handle in handles {
            assert_eq!(block_on(handle), Err(Cancelled));
        }
    }
}

#[test]
fn the_next_keeper_of_many_takes_over_all_of_them() {
    let gates = Gates::new(100);
    let shelter = Shelter::new();
    for at in 0..100 {
        shelter.adopt(ignore(gates.future(at)));
    }
    let probes = Probe::many(3);
    let mut first = probes[0].start(shelter.drain());
    gates.gates[3].set();
    probes[0].pends(&mut first);
    let mut second = probes[1].start(shelter.drain());
    drop(first);
    gates.polled();
    gates.gates[4].set();
    probes[1].pends(&mut second);
    let rest: Vec<_> = (0..100).filter(|&at| at != 3).collect();
    assert_eq!(gates.polled(), rest, "each has the new keeper's waker");
    gates.gates[5].set();
    probes[1].pends(&mut second);
    assert_eq!(gates.polled(), [5]);
    drop(second);
    gates.gates.iter().for_each(Event::set);
    probes[2].now(shelter.drain());
}

#[test]
fn one_that_a_handle_polls_when_its_turn_comes_is_polled_by_the_keeper_afterwards() {
    static SHELTER: Shelter = Shelter::new();
    static GATE: Event = Event::new();
    // The future polls the keeper, while a handle polls it.
    type Keeper = Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>;
    let keeper: Arc<Keeper> = Arc::new(Mutex::new(None));
    let (owner, probe) = (Probe::new(), Arc::new(Probe::new()));
    for _ in 0..40 {
        SHELTER.adopt(GATE.wait());
    }
    let (theirs, keeps) = (keeper.clone(), probe.clone());
    let mut wait = Box::pin(GATE.wait());
    let mut polls = 0;
    let handle = SHELTER.shield(poll_fn(move |cx| {
        polls += 1;
        if polls == 1 {
            let mut drain: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(SHELTER.drain());
            assert!(keeps.poll(&mut drain).is_pending());
            *theirs.lock().unwrap() = Some(drain);
        }
        wait.as_mut().poll(cx).map(|()| polls)
    }));
    let mut handle = owner.start(handle);
    let mut drain = keeper.lock().unwrap().take().unwrap();
    assert_eq!(probe.wakes(), 1, "it is recalled");
    probe.pends(&mut drain);
    GATE.set();
    assert_eq!((owner.wakes(), probe.wakes()), (0, 2));
    probe.ready(&mut drain);
    assert_eq!(owner.ready(&mut handle), Ok(3));
}

#[test]
fn wakers_that_poll_at_once_find_a_keeper_of_many_in_order() {
    static SHELTER: Shelter = Shelter::new();
    static GATES: [Event; 64] = [const { Event::new() }; 64];
    let ended = Arc::new(AtomicUsize::new(0));
    for gate in &GATES {
        let ended = ended.clone();
        SHELTER.adopt(async move {
            gate.wait().await;
            ended.fetch_add(1, SeqCst);
        });
    }
    let keeper = Inline::spawn(SHELTER.drain());
    for (at, gate) in GATES.iter().enumerate() {
        gate.set();
        assert_eq!(ended.load(SeqCst), at + 1);
    }
    assert!(keeper.is_done());
}

#[test]
fn threads_that_wake_and_abort_what_a_keeper_of_many_has_end_it() {
    for round in 0..if cfg!(miri) { 2 } else { 200 } {
        let gates = Gates::new(60);
        let ended = AtomicUsize::new(0);
        let shelter = Shelter::new();
        for at in 0..60 {
            let (future, ended) = (gates.future(at), &ended);
            shelter.adopt(async move {
                future.await;
                ended.fetch_add(1, SeqCst);
            });
        }
        std::thread::scope(|s| {
            s.spawn(|| block_on(shelter.drain()));
            s.spawn(|| gates.gates[..30].iter().for_each(Event::set));
            s.spawn(|| gates.gates[30..].iter().rev().for_each(Event::set));
            if round % 2 == 0 {
                s.spawn(|| shelter.abort_all());
            }
        });
        assert_eq!(shelter.len(), 0);
        assert!(round % 2 == 0 || ended.load(SeqCst) == 60);
    }
}

// ---- panics of whoever is told

struct Count<'a>(&'a AtomicUsize);

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_keeper_whose_waker_panics_when_it_is_told_of_a_shield_loses_no_result() {
    let drops = AtomicUsize::new(0);
    let shelter = Shelter::new();
    let keeper = Probe::new();
    let mut run = keeper.start(shelter.run(pending::<()>()));
    keeper.on_wake(|| panic!("a waker"));
    let count = Count(&drops);
    assert_eq!(panics(|| drop(shelter.shield(async { count }))), "a waker");
    keeper.quiet();
    assert_eq!(shelter.len(), 1, "it is in the shelter");
    keeper.pends(&mut run);
    assert_eq!((shelter.len(), drops.load(SeqCst)), (0, 1), "nobody has a handle, so the result is dropped");
}

#[test]
fn a_place_of_an_array_whose_keeper_panics_when_it_is_told_is_free_again() {
    static ARRAY: ShelterArray<core::future::Ready<u8>, 1> = ShelterArray::new();
    let keeper = Probe::new();
    let mut run = keeper.start(ARRAY.run(pending::<()>()));
    keeper.on_wake(|| panic!("a waker"));
    assert_eq!(panics(|| drop(ARRAY.shield(ready(1)))), "a waker");
    keeper.quiet();
    keeper.pends(&mut run);
    assert_eq!(keeper.now(ARRAY.shield(ready(2)).expect("the place is free")), Ok(2));
    drop(run);
}

#[test]
fn a_hook_that_panics_while_a_thread_unwinds_is_not_heard() {
    in_a_child("keepers::a_hook_that_panics_while_a_thread_unwinds_is_not_heard", || {
        fn hook(_: &dyn Debug) {
            CALLS.fetch_add(1, SeqCst);
            panic!("in the hook");
        }
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let shelter = Shelter::new().on_orphan_error(hook);
        let handle = shelter.try_shield(async { Err::<(), _>("unseen") });
        block_on(shelter.drain());
        let told = panics(|| {
            let _handle = handle; // dropped on the way
            panic!("the first");
        });
        assert_eq!((told.as_str(), CALLS.load(SeqCst)), ("the first", 1));
        // Without another panic on the way it goes on.
        let handle = shelter.try_shield(async { Err::<(), _>("unseen") });
        block_on(shelter.drain());
        assert_eq!(panics(|| drop(handle)), "in the hook");
    });
}

#[test]
fn a_hook_and_a_result_that_both_panic_end_no_process() {
    in_a_child("keepers::a_hook_and_a_result_that_both_panic_end_no_process", || {
        #[derive(Debug)]
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("in a drop");
            }
        }
        fn hook(_: &dyn Debug) {
            panic!("in the hook");
        }
        let shelter = Shelter::new().on_orphan_error(hook);
        shelter.try_adopt(async { Err(Bad) });
        assert_eq!(panics(|| block_on(shelter.drain())), "in the hook");
        assert_eq!(shelter.len(), 0);
    });
}

#[test]
fn a_stack_whose_keeper_panics_while_a_thread_unwinds_ends_no_process() {
    in_a_child("keepers::a_stack_whose_keeper_panics_while_a_thread_unwinds_ends_no_process", || {
        let released = AtomicUsize::new(0);
        let shelter = Shelter::new();
        let keeper = Probe::new();
        let mut run = keeper.start(shelter.run(pending::<()>()));
        let told = panics(|| {
            let mut stack = ExitStack::new(&shelter);
            let released = &released;
            stack.push(move |_| async move {
                released.fetch_add(1, SeqCst);
            });
            keeper.on_wake(|| panic!("a waker"));
            panic!("the first");
        });
        keeper.quiet();
        keeper.pends(&mut run);
        assert_eq!((told.as_str(), released.load(SeqCst)), ("the first", 1));
    });
}

// ---- stacks

#[test]
fn a_local_stack_releases_in_reverse_order_closed_or_dropped() {
    for closes in [true, false] {
        let log = std::rc::Rc::new(core::cell::RefCell::new(Vec::<(String, _)>::new()));
        let shelter = LocalShelter::new();
        let mut stack = ExitStack::new(&shelter);
        for name in ["a", "b", "c"] {
            let log = log.clone();
            stack.push(move |exit| async move { log.borrow_mut().push((name.into(), exit)) });
        }
        if closes {
            Probe::new().now(stack.close());
        } else {
            drop(stack);
            assert_eq!((shelter.len(), log.borrow().len()), (1, 0));
            block_on(shelter.drain());
        }
        let exit = if closes { testudo::flow::Exit::Closed } else { testudo::flow::Exit::Cancelled };
        let names: Vec<_> = log.borrow().iter().map(|(name, why)| (name.clone(), *why == exit)).collect();
        assert_eq!(names, [("c".into(), true), ("b".into(), true), ("a".into(), true)]);
        assert_eq!(std::rc::Rc::strong_count(&log), 1);
    }
}

/// A waker that panics when it is dropped, if `BOOM` says so.
fn booming() -> Waker {
    const TABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &TABLE), |_| {}, |_| {}, |_| boom());
    fn boom() {
        assert!(!BOOM.replace(false), "the waker is dropped");
    }
    // SAFETY: it has no data.
    unsafe { Waker::from_raw(RawWaker::new(core::ptr::null(), &TABLE)) }
}

std::thread_local! {
    static BOOM: Cell<bool> = const { Cell::new(false) };
}

#[test]
fn a_keeper_whose_waker_panics_when_dropped_passes_on_what_it_kept() {
    for n in [3, 20, 40] {
        let (gate, shelter, probe) = (Event::new(), Shelter::new(), Probe::new());
        (0..n).for_each(|_| shelter.adopt(async { gate.wait().await }));
        let mut handle = Box::pin(shelter.shield(async { gate.wait().await }));
        let mut keeper = Box::pin(shelter.drain());
        let waker = booming();
        assert!(keeper.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(probe.poll(&mut handle).is_pending());
        BOOM.set(true);
        assert_eq!(panics(|| drop(keeper)), "the waker is dropped");
        gate.set();
        // Nobody keeps it: the handle drives it.
        assert_eq!(probe.poll(&mut handle), Poll::Ready(Ok(())), "{n}");
        block_on(shelter.drain());
    }
}

/// As a task that interrupts the one that empties the shelter: it is polled before that goes on, and finds something in it again.
#[test]
fn one_who_watches_another_keeper_and_is_polled_as_it_is_woken_sees_that_the_shelter_was_empty() {
    static SHELTER: Shelter = Shelter::new();
    static GATE: Event = Event::new();
    SHELTER.adopt(async { GATE.wait().await });
    let probe = Probe::new();
    let mut keeper = Box::pin(SHELTER.drain());
    assert!(probe.poll(&mut keeper).is_pending());
    let (mut watcher, mut polls) = (Box::pin(SHELTER.drain()), 0);
    let watching = Inline::spawn(poll_fn(move |cx| {
        polls += 1;
        if polls == 2 {
            SHELTER.adopt(GATE.wait());
            GATE.clear();
        }
        watcher.as_mut().poll(cx)
    }));
    assert!(!watching.is_done());
    GATE.set();
    assert!(probe.poll(&mut keeper).is_pending(), "there is something in it again");
    assert!(watching.is_done());
    GATE.set();
    block_on(keeper);
}
