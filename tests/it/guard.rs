//! Guards and exit stacks: released once, whatever happens to the scope.
use core::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering::*},
    task::Poll,
};
use std::{format, string::String, sync::Mutex, vec, vec::Vec};

use testudo::{
    Event,
    flow::{Exit, ExitStack},
    run::{Sim, block_on},
    task::{BoxTask, Lost, Shelter, ShelterArray, Spawn, shield, shield_local},
};

use crate::support::{Probe, allocations, panics, wakes};

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

/// What was acquired and released, in order.
#[derive(Default)]
struct Ledger(Mutex<Vec<String>>);

impl Ledger {
    fn say(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        core::mem::take(&mut self.0.lock().unwrap())
    }
}

#[test]
fn a_closed_guard_releases_once_and_waits_for_it() {
    let (gate, ledger) = (Event::new(), Ledger::default());
    let (gate, ledger) = (&gate, &ledger);
    let shelter = Shelter::new();
    let probe = Probe::new();
    let mut guard = shelter.guard(vec![1], |r, exit| async move {
        gate.wait().await;
        ledger.say(format!("{r:?} {exit:?}"));
    });
    guard.push(2);
    let mut close = probe.start(guard.close());
    gate.set();
    probe.ready(&mut close);
    assert_eq!(ledger.take(), ["[1, 2] Closed"]);
    assert!(shelter.is_empty());
}

#[test]
fn a_dropped_guard_is_released_by_the_shelter() {
    let ledger = Ledger::default();
    let shelter = Shelter::new();
    drop(shelter.guard(7, |r, exit| {
        let ledger = &ledger;
        async move { ledger.say(format!("{r} {exit:?}")) }
    }));
    assert!(ledger.take().is_empty() && shelter.len() == 1);
    block_on(shelter.drain());
    assert_eq!(ledger.take(), ["7 Cancelled"]);
}

#[test]
fn a_second_cancel_during_close_does_not_stop_the_release() {
    let (gate, ledger) = (Event::new(), Ledger::default());
    let (gate, ledger) = (&gate, &ledger);
    let shelter = Shelter::new();
    let probe = Probe::new();
    let scope = async {
        let guard = shelter.guard("C 8", |r, exit| async move {
            gate.wait().await;
            ledger.say(format!("{r} {exit:?}"));
        });
        guard.close().await;
    };
    drop(probe.start(scope)); // cancelled while it closes
    drop(probe.start(shelter.drain())); // and the keeper is cancelled too
    assert_eq!(shelter.len(), 1);
    gate.set();
    block_on(shelter.drain());
    assert_eq!(ledger.take(), ["C 8 Closed"]);
}

#[test]
fn exit_says_unwinding_when_a_panic_drops_the_guard() {
    let ledger = Ledger::default();
    let shelter = Shelter::new();
    let text = panics(|| {
        let _guard = shelter.guard(1, |r, exit| {
            let ledger = &ledger;
            async move { ledger.say(format!("{r} {exit:?}")) }
        });
        let mut stack = ExitStack::new(&shelter);
        let ledger = &ledger;
        stack.push(move |exit| async move { ledger.say(format!("stack {exit:?}")) });
        panic!("in the scope");
    });
    assert_eq!(text, "in the scope");
    block_on(shelter.drain());
    assert_eq!(ledger.take(), ["stack Unwinding", "1 Unwinding"]);
}

#[test]
fn a_panic_in_the_release_goes_to_close_or_to_the_hook_and_stops_nobody_else() {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let ledger = Ledger::default();
    let shelter = Shelter::new().on_orphan_error(|_| {
        TOLD.fetch_add(1, SeqCst);
    });
    let probe = Probe::new();
    let bad = || shelter.guard((), |(), _| async { panic!("in the release") });
    assert_eq!(panics(|| probe.now(bad().close())), "in the release");
    assert_eq!(TOLD.load(SeqCst), 0);
    drop(bad());
    drop(shelter.guard((), |(), _| async { ledger.say("the other".into()) }));
    block_on(shelter.drain());
    assert_eq!((TOLD.load(SeqCst), ledger.take()), (1, vec!["the other".into()]));
    // the closure itself
    let guard = shelter.guard((), |(), _| -> core::future::Ready<()> { panic!("in the closure") });
    assert_eq!(panics(|| drop(guard)), "in the closure");
    let text = panics(|| {
        let _guard = shelter.guard((), |(), _| -> core::future::Ready<()> { panic!("in the closure") });
        panic!("first");
    });
    assert_eq!(text, "first");
    assert!(shelter.is_empty());
}

#[test]
fn a_guard_allocates_when_it_ends_and_one_in_an_array_never() {
    let shelter = Shelter::new();
    let probe = Probe::new();
    let open = Cell::new(0);
    let (made, guard) = allocations(|| shelter.guard(1, |_, _| async {}));
    let (closed, ()) = allocations(|| probe.now(guard.close()));
    assert_eq!((made, closed), (0, 1));
    let open = &open;
    let array = pin!(ShelterArray::<_, 1>::new());
    let array = array.as_ref();
    let release = |n, _| async move { open.set(open.get() - n) };
    let (made, ()) = allocations(|| {
        for _ in 0..3 {
            open.set(open.get() + 1);
            let guard = array.guard_pinned(1, release).ok().unwrap();
            assert!(array.guard_pinned(1, release).is_err(), "its place is taken from the beginning");
            probe.now(guard.close());
            open.set(open.get() + 1);
            drop(array.guard_pinned(1, release).ok().unwrap());
            probe.now(array.drain());
            assert_eq!(array.guard_pinned(1, release).ok().unwrap().defuse(), 1);
        }
    });
    assert_eq!((made, open.get()), (0, 0));
}

#[test]
fn a_stack_releases_in_reverse_order_one_behind_the_other() {
    let ledger = Ledger::default();
    for cancelled in [false, true] {
        let shelter = Shelter::new();
        let mut stack = ExitStack::new(&shelter);
        for n in 0..3 {
            let ledger = &ledger;
            stack.push(move |exit| async move {
                ledger.say(format!("{n} begins {exit:?}"));
                steps(2).await;
                ledger.say(format!("{n} ends"));
            });
        }
        assert_eq!(stack.len(), 3);
        let exit = if cancelled { "Cancelled" } else { "Closed" };
        if cancelled {
            drop(stack);
            block_on(shelter.drain());
        } else {
            block_on(stack.close());
        }
        let expected: Vec<_> = (0..3).rev().flat_map(|n| [format!("{n} begins {exit}"), format!("{n} ends")]).collect();
        assert_eq!(ledger.take(), expected);
    }
}

#[test]
fn a_panic_in_one_release_of_a_stack_comes_behind_the_others() {
    let ledger = Ledger::default();
    let shelter = Shelter::new();
    let mut stack = ExitStack::new(&shelter);
    stack.push(|_| async { ledger.say("first in".into()) });
    stack.push(|_| async { panic!("second in") });
    stack.push(|_| -> core::future::Ready<()> { panic!("third in") });
    let probe = Probe::new();
    assert_eq!(panics(|| probe.now(stack.close())), "third in");
    assert_eq!(ledger.take(), ["first in"]);
}

#[test]
fn every_acquire_is_released_once_wherever_the_scope_is_cancelled() {
    for cut in 0..60 {
        let (acquired, released) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let order = Mutex::new(vec![]);
        let (acquired, released, order) = (&acquired, &released, &order);
        let shelter = Shelter::new();
        let acquire = move |n: usize| async move {
            steps(1).await;
            acquired.fetch_add(1 << (8 * n), SeqCst);
            n
        };
        let release = move |n: usize, exit: Exit| async move {
            steps(2).await;
            released.fetch_add(1 << (8 * n), SeqCst);
            order.lock().unwrap().push((n, exit));
        };
        let scope = async {
            let a = shelter.guard(acquire(0).await, release);
            steps(1).await;
            {
                let b = shelter.guard(acquire(1).await, release);
                steps(1).await;
                b.close().await;
            }
            let mut stack = ExitStack::new(&shelter);
            for n in 2..5 {
                let r = acquire(n).await;
                stack.push(move |exit| release(r, exit));
            }
            steps(2).await;
            stack.close().await;
            a.close().await;
        };
        let probe = Probe::new();
        let mut ended = false;
        {
            let mut scope = pin!(scope);
            for _ in 0..cut {
                ended = probe.poll_pinned(scope.as_mut()).is_ready();
                if ended {
                    break;
                }
            }
        }
        block_on(shelter.drain());
        assert_eq!(acquired.load(SeqCst), released.load(SeqCst), "cut at {cut}");
        let order = order.lock().unwrap();
        if ended {
            assert!(order.iter().all(|&(_, exit)| exit == Exit::Closed));
            assert_eq!(order.iter().map(|&(n, _)| n).collect::<Vec<_>>(), [1, 4, 3, 2, 0]);
        }
        assert!(cut < 40 || ended);
    }
}

#[test]
fn a_scope_with_guards_can_be_spawned() {
    static SHELTER: Shelter = Shelter::new();
    static RELEASED: AtomicUsize = AtomicUsize::new(0);
    fn spawnable<F: Future + Send + 'static>(future: F) -> F {
        future
    }
    let scope = spawnable(async {
        let mut guard = SHELTER.guard(String::from("a"), |r, _| async move {
            RELEASED.fetch_add(r.len(), SeqCst);
        });
        steps(1).await;
        guard.push('b');
        guard.close().await;
    });
    std::thread::spawn(|| block_on(scope)).join().unwrap();
    assert_eq!(RELEASED.load(SeqCst), 2);
}

// ---- shield on an executor

#[test]
fn shield_starts_at_once_and_outlives_its_handle() {
    let sim = Sim::new();
    let done = std::sync::Arc::new(AtomicUsize::new(0));
    let (clock, theirs) = (sim.clock(), done.clone());
    drop(shield_local(&sim.spawner(), async move {
        clock.sleep(core::time::Duration::from_secs(5)).await;
        theirs.fetch_add(1, SeqCst);
    }));
    sim.run_until_stalled();
    sim.block_on(async {}).unwrap();
    sim.advance(core::time::Duration::from_secs(5));
    sim.run_until_stalled();
    assert_eq!(done.load(SeqCst), 1);
}

#[test]
fn the_result_of_a_shield_is_reached_by_a_clone_after_a_cancel() {
    let sim = Sim::new();
    let clock = sim.clock();
    let work = shield_local(&sim.spawner(), async move {
        clock.sleep(core::time::Duration::from_secs(1)).await;
        String::from("saved")
    });
    let probe = Probe::new();
    let cancelled = probe.start(work.clone());
    drop(cancelled);
    assert_eq!(sim.block_on(work).unwrap().unwrap(), "saved");
    assert_eq!(probe.wakes(), 0);
}

#[test]
fn a_shield_whose_task_is_dropped_or_refused_is_lost() {
    struct Full;
    impl Spawn<BoxTask> for Full {
        fn spawn(&self, task: BoxTask) -> Result<(), BoxTask> {
            Err(task)
        }
    }
    let probe = Probe::new();
    assert_eq!(probe.now(shield(&Full, async { 1 })), Err(Lost));
    let kept = Mutex::new(None);
    let work = shield(&|task: BoxTask| *kept.lock().unwrap() = Some(task), async {
        pending::<()>().await;
        1
    });
    let probes = Probe::many(2);
    let mut handles: Vec<_> = probes.iter().map(|probe| probe.start(work.clone())).collect();
    drop(work);
    drop(kept.lock().unwrap().take());
    assert_eq!(wakes(&probes).iter().sum::<usize>(), 1);
    for (probe, handle) in probes.iter().zip(&mut handles) {
        assert_eq!(probe.ready(handle), Err(Lost));
    }
}

#[test]
fn a_panic_in_a_shield_goes_to_its_handle() {
    let kept = Mutex::new(None);
    let work = shield(&|task: BoxTask| *kept.lock().unwrap() = Some(task), async { panic!("in the task") });
    let probe = Probe::new();
    let mut task = kept.lock().unwrap().take().unwrap();
    assert!(task.as_mut().poll(&mut core::task::Context::from_waker(probe.waker())).is_ready());
    let work: testudo::task::Shield<()> = work;
    assert_eq!(panics(|| probe.now(work).is_ok()), "in the task");
}
