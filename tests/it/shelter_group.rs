//! Groups with a shelter: what is shielded survives whatever ends the group, and has ended when the group's run returns.
use core::{
    future::{pending, poll_fn},
    sync::atomic::{AtomicUsize, Ordering::*},
    task::Poll,
};
use std::{boxed::Box, rc::Rc, vec::Vec};

use futures_core::FusedFuture;
use testudo::{
    Event,
    run::{Sim, block_on},
    task::{Cancelled, GroupError, LocalShelter, LocalTaskGroup, Shelter, ShelterArray, TaskGroup, timeout},
};

use crate::support::{Probe, panics, poll_panics};

/// Acquired and released, each exactly once.
#[derive(Default)]
struct Ledger {
    acquired: AtomicUsize,
    released: AtomicUsize,
}

impl Ledger {
    fn acquire(&self) {
        self.acquired.fetch_add(1, SeqCst);
    }

    fn release(&self) {
        self.released.fetch_add(1, SeqCst);
    }

    #[track_caller]
    fn is(&self, acquired: usize, released: usize) {
        assert_eq!((self.acquired.load(SeqCst), self.released.load(SeqCst)), (acquired, released));
    }
}

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

/// Begins to write, and ends when the gate is open.
async fn write(ledger: &Ledger, gate: &Event) {
    ledger.acquire();
    gate.wait().await;
    ledger.release();
}

#[test]
fn the_first_error_cancels_the_child_and_not_what_it_has_shielded() {
    let (ledger, gate, cancelled) = (Ledger::default(), Event::new(), Event::new());
    struct Set<'a>(&'a Event);
    impl Drop for Set<'_> {
        fn drop(&mut self) {
            self.0.set();
        }
    }
    let shelter = Shelter::new();
    let tg = TaskGroup::new();
    let probe = Probe::new();
    let mut run = probe.start(
        tg.run(async {
            drop(tg.spawn(async {
                let _cancelled = Set(&cancelled);
                Ok(shelter.shield(write(&ledger, &gate)).await.is_ok())
            }));
            drop(tg.spawn(async {
                steps(1).await;
                Err::<(), _>("no bread")
            }));
            pending::<Result<(), _>>().await
        })
        .sheltered_by(&shelter),
    );
    assert!(!cancelled.is_set());
    probe.pends(&mut run);
    assert!(cancelled.is_set(), "the group has failed");
    ledger.is(1, 0);
    probe.pends(&mut run);
    gate.set();
    assert_eq!(probe.ready(&mut run).unwrap_err().first(), Some(&"no bread"));
    ledger.is(1, 1);
    assert!(run.is_terminated() && shelter.is_empty());
    assert!(poll_panics(&mut run, &probe).contains("polled after completion"));
}

#[test]
fn cancelling_the_group_leaves_what_is_shielded_and_waits_for_it() {
    let (ledger, gate) = (Ledger::default(), Event::new());
    let shelter = Shelter::new();
    let tg = TaskGroup::<&str>::new();
    let probe = Probe::new();
    let mut run = probe.start(
        tg.run(async {
            let child = tg.spawn(async { Ok(shelter.shield(write(&ledger, &gate)).await) });
            child.await.map_err(|_| "cancelled").map(drop)
        })
        .sheltered_by(&shelter),
    );
    tg.cancel();
    probe.pends(&mut run);
    ledger.is(1, 0);
    gate.set();
    assert!(probe.ready(&mut run).unwrap_err().is_cancelled());
    ledger.is(1, 1);
}

#[test]
fn a_panic_of_a_child_or_of_the_body_goes_on_when_what_is_shielded_has_ended() {
    for in_the_body in [false, true] {
        let (ledger, gate) = (Ledger::default(), Event::new());
        let shelter = Shelter::new();
        let tg = TaskGroup::<Cancelled>::new();
        let probe = Probe::new();
        let mut run = probe.start(
            tg.run(async {
                drop(tg.spawn(async { Ok(shelter.shield(write(&ledger, &gate)).await.is_ok()) }));
                drop(tg.spawn(async {
                    steps(1).await;
                    assert!(in_the_body, "a child");
                    Ok(())
                }));
                steps(1).await;
                assert!(!in_the_body, "the body");
                pending::<Result<(), _>>().await
            })
            .sheltered_by(&shelter),
        );
        probe.pends(&mut run);
        ledger.is(1, 0);
        probe.pends(&mut run);
        gate.set();
        let told = poll_panics(&mut run, &probe);
        assert_eq!(told, if in_the_body { "the body" } else { "a child" });
        ledger.is(1, 1);
        assert!(run.is_terminated() && shelter.is_empty());
    }
}

#[test]
fn when_the_run_is_dropped_the_children_are_gone_and_the_shelter_has_the_rest() {
    let (ledger, gate, children) = (Ledger::default(), Event::new(), AtomicUsize::new(0));
    struct Child<'a>(&'a AtomicUsize);
    impl Drop for Child<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let shelter = Shelter::new();
    let tg = TaskGroup::<Cancelled>::new();
    let (probe, keeper) = (Probe::new(), Probe::new());
    let run = probe.start(
        tg.run(async {
            for _ in 0..3 {
                drop(tg.spawn(async {
                    let _child = Child(&children);
                    Ok(shelter.shield(write(&ledger, &gate)).await.is_ok())
                }));
            }
            pending::<Result<(), _>>().await
        })
        .sheltered_by(&shelter),
    );
    drop(run);
    assert_eq!((children.load(SeqCst), shelter.len()), (3, 3));
    ledger.is(3, 0);
    gate.set();
    ledger.is(3, 0); // nobody keeps it
    keeper.now(shelter.drain());
    ledger.is(3, 3);
}

#[test]
fn a_timeout_around_the_run_leaves_the_rest_to_the_keeper_outside() {
    let sim = Sim::new();
    let clock = sim.clock();
    let ledger = Ledger::default();
    let shelter = LocalShelter::new();
    use core::time::Duration;
    let outcome = sim.block_on(shelter.run(async {
        let inner = LocalTaskGroup::<Cancelled>::new();
        let run = inner.run(async {
            let save = shelter.shield(async {
                ledger.acquire();
                clock.sleep(Duration::from_secs(5)).await;
                ledger.release();
            });
            Ok(save.await.is_ok())
        });
        let outcome = timeout(clock.sleep(Duration::from_secs(1)), run).await.is_err();
        ledger.is(1, 0);
        outcome
    }));
    assert!(outcome.unwrap());
    ledger.is(1, 1);
}

#[test]
fn what_a_graceful_child_shields_while_the_group_ends_is_waited_for() {
    let (ledger, gate) = (Ledger::default(), Event::new());
    let shelter = Shelter::new();
    let tg = TaskGroup::new();
    let probe = Probe::new();
    let mut run = probe.start(
        tg.run(async {
            drop(tg.spawn_graceful(async |stop| {
                stop.cancelled().await;
                shelter.adopt(write(&ledger, &gate));
                Ok(())
            }));
            drop(tg.spawn(async {
                steps(1).await;
                Err::<(), _>("no bread")
            }));
            Ok(())
        })
        .sheltered_by(&shelter),
    );
    while shelter.is_empty() {
        probe.pends(&mut run);
    }
    probe.pends(&mut run);
    ledger.is(1, 0);
    gate.set();
    assert!(probe.ready(&mut run).is_err());
    ledger.is(1, 1);
}

#[test]
fn the_value_of_the_body_comes_when_all_has_ended() {
    let (ledger, gate) = (Ledger::default(), Event::new());
    let shelter = Shelter::new();
    let tg = TaskGroup::<Cancelled>::new();
    let probe = Probe::new();
    let mut run = probe.start(
        tg.run(async {
            shelter.adopt(write(&ledger, &gate));
            Ok(42)
        })
        .sheltered_by(&shelter),
    );
    ledger.is(1, 0);
    gate.set();
    assert_eq!(probe.ready(&mut run), Ok(42));
    ledger.is(1, 1);
}

#[test]
fn a_local_group_and_an_array_keep_too() {
    let gate = Event::new();
    let done = Rc::new(core::cell::Cell::new(0));
    let array = core::pin::pin!(ShelterArray::<_, 2>::new());
    let array = array.as_ref();
    let tg = LocalTaskGroup::<&str>::new();
    let probe = Probe::new();
    let make = || {
        let (gate, done) = (&gate, done.clone());
        async move {
            gate.wait().await;
            done.set(done.get() + 1);
        }
    };
    let mut run = probe.start(
        tg.run(async {
            drop(tg.spawn(async { Ok(array.shield_pinned(make()).ok().unwrap().await) }));
            drop(tg.spawn(async { Ok(array.adopt_pinned(make()).ok().unwrap()) }));
            steps(1).await;
            Err::<(), _>("no bread")
        })
        .sheltered_by(array.get_ref()),
    );
    probe.pends(&mut run);
    assert_eq!(done.get(), 0);
    gate.set();
    assert_eq!(probe.ready(&mut run).unwrap_err().first(), Some(&"no bread"));
    assert_eq!(done.get(), 2);
}

/// A program with a group, cut at every poll: what was begun under the shield is done, once.
#[test]
fn wherever_a_group_is_dropped_each_write_that_was_begun_is_done_once() {
    for ends in ["well", "fails", "cancels", "panics"] {
        for cut in 0..30 {
            let ledger = Ledger::default();
            let shelter = Shelter::new();
            let result = {
                let tg = TaskGroup::new();
                let (tg, ledger, shelter) = (&tg, &ledger, &shelter);
                // 'c of the group is a borrow of it.
                panics_or(|| {
                    let mut run = Box::pin(sheltered(tg, ledger, shelter, ends));
                    let probe = Probe::new();
                    (0..cut).any(|_| probe.poll(&mut run).is_ready())
                })
            };
            if result != Some(false) {
                assert!(shelter.is_empty(), "{ends} {cut}: it has ended");
            }
            block_on(shelter.drain());
            let acquired = ledger.acquired.load(SeqCst);
            ledger.is(acquired, acquired);
        }
    }
}

/// `None`: it panicked.
fn panics_or<R>(f: impl FnOnce() -> R) -> Option<R> {
    let mut result = None;
    let caught = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| result = Some(f())));
    assert!(caught.is_ok() || panics(|| std::panic::resume_unwind(caught.unwrap_err())) == "a child");
    result
}

async fn sheltered<'c, 's: 'c, 'e>(
    tg: &'c TaskGroup<'c, &'static str>,
    ledger: &'e Ledger,
    shelter: &'s Shelter<'e>,
    ends: &'static str,
) -> Result<(), GroupError<&'static str>> {
    let write = move |n| async move {
        ledger.acquire();
        steps(n).await;
        ledger.release();
    };
    let body = async move {
        let handles: Vec<_> = (0..4)
            .map(|n| {
                tg.spawn(async move {
                    steps(n).await;
                    Ok(shelter.shield(write(4 - n)).await.is_ok())
                })
            })
            .collect();
        steps(3).await;
        match ends {
            "fails" => Err("it fails"),
            "cancels" => Ok(tg.cancel()),
            "panics" => Ok(drop(tg.spawn(async { panic!("a child") as Result<(), _> }))),
            _ => {
                for handle in handles {
                    handle.await.map_err(|_| "cancelled")?;
                }
                Ok(())
            }
        }
    };
    tg.run(body).sheltered_by(shelter).await
}
