//! The rules of asyncio's asynchronous generators that have a meaning here, by number.
use super::*;
use core::time::Duration;

const STEP: Duration = Duration::from_millis(100);

/// AGEN-01.
#[test]
fn agen_01_items_come_in_order_with_awaits_in_between() {
    let sim = Sim::new();
    let clock = sim.clock();
    let seen = sim.block_on(async {
        let mut numbers = pin!(generator(async |mut y| {
            for n in 0..10 {
                clock.sleep(STEP).await;
                y.emit(n).await?;
            }
            Ok(())
        }));
        let mut seen = vec![];
        while let Some(n) = next(&mut numbers).await {
            seen.push((n, clock.now()));
        }
        seen
    });
    let expected: Vec<_> = (0..10).map(|n| (n, STEP * (n + 1))).collect();
    assert_eq!(seen.unwrap(), expected);
}

/// AGEN-02, and AGEN-03 for it.
#[test]
fn agen_02_an_error_ends_it_and_reaches_the_consumer() {
    let mut numbers = Box::pin(try_generator(async |mut y| {
        y.emit(1).await?;
        pause().await;
        Err(Stop::Failed(2))
    }));
    let probe = Probe::new();
    let mut fut = Box::pin(async { [next(&mut numbers).await, next(&mut numbers).await, next(&mut numbers).await] });
    probe.pends(&mut fut);
    assert_eq!(probe.ready(&mut fut), [Some(Ok(1)), Some(Err(2)), None]);
}

#[test]
fn agen_03_once_exhausted_it_stays_exhausted() {
    let mut numbers = Box::pin(generator(async |mut y| y.emit(1).await));
    let probe = Probe::new();
    assert_eq!(probe.now(next(&mut numbers)), Some(1));
    for _ in 0..3 {
        assert_eq!(probe.now(next(&mut numbers)), None);
    }
}

#[test]
fn agen_04_aclose_runs_the_clean_up_awaits_included_and_nothing_after_it() {
    let sim = Sim::new();
    let (clock, log) = (sim.clock(), RefCell::new(vec![]));
    let closed_at = sim.block_on(async {
        let mut numbers = pin!(generator(async |mut y| {
            let body = async {
                y.emit(1).await?;
                log.borrow_mut().push("after the emit");
                y.emit(2).await
            };
            let output = body.await;
            clock.sleep(STEP).await;
            log.borrow_mut().push("cleaned up");
            output
        }));
        assert_eq!(next(&mut numbers).await, Some(1));
        numbers.aclose().await;
        log.borrow_mut().push("closed");
        assert_eq!(next(&mut numbers).await, None);
        clock.now()
    });
    assert_eq!(closed_at.unwrap(), STEP);
    assert_eq!(*log.borrow(), ["cleaned up", "closed"]);
}

#[test]
fn agen_05_the_clean_up_may_await_a_task_it_started_and_handle_its_error() {
    let sim = Sim::new();
    let (clock, spawner) = (sim.clock(), sim.spawner());
    let handled = Cell::new(None);
    sim.block_on(async {
        let mut numbers = pin!(generator(async |mut y| {
            let sleeper = clock.clone();
            let task = spawner.spawn(async move {
                sleeper.sleep(STEP).await;
                Err::<(), _>("failed")
            });
            let output = y.emit(1).await;
            handled.set(task.await.unwrap().err());
            output
        }));
        next(&mut numbers).await;
        numbers.aclose().await;
    })
    .unwrap();
    assert_eq!((handled.get(), sim.now()), (Some("failed"), STEP));
}

/// asyncio raises RuntimeError; here the body ends at that emit.
#[test]
fn agen_06_a_body_that_emits_again_while_being_closed_ends_there() {
    let log = RefCell::new(vec![]);
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y| {
        let _says = Says("dropped", &log);
        loop {
            let taken = y.emit(1).await.is_ok();
            log.borrow_mut().push(if taken { "taken" } else { "refused" });
        }
    }));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
    probe.now(numbers.aclose());
    assert_eq!(*log.borrow(), ["taken", "refused", "dropped"]);
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
}

#[test]
fn agen_07_swallowing_the_request_and_returning_is_fine() {
    let mut numbers = Box::pin(generator(async |mut y| {
        let _ = y.emit(1).await;
        Ok(())
    }));
    let probe = Probe::new();
    assert_eq!(probe.now(next(&mut numbers)), Some(1));
    probe.now(numbers.aclose());
    assert_eq!(probe.now(next(&mut numbers)), None);
}

#[test]
fn agen_08_closing_one_that_never_started_runs_nothing_and_drops_what_it_captured() {
    let (own, ran) = (Rc::new(()), Cell::new(false));
    let captured = Rc::clone(&own);
    let ran_in = &ran;
    let mut numbers = pin!(generator(async move |mut y| {
        ran_in.set(true);
        drop(captured);
        y.emit(1).await
    }));
    let probe = Probe::new();
    assert_eq!(Rc::strong_count(&own), 2);
    probe.now(numbers.aclose());
    assert_eq!((ran.get(), Rc::strong_count(&own)), (false, 1));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
    assert!(numbers.is_terminated());
}

#[test]
fn agen_09_closing_twice_or_after_the_end_does_nothing() {
    let ends = Cell::new(0);
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y| {
        let output = y.emit(1).await;
        ends.set(ends.get() + 1);
        output
    }));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
    probe.now(numbers.aclose());
    probe.now(numbers.aclose());
    assert_eq!(ends.get(), 1);
}

/// asyncio's is closed some time later, by a task; here the body is dropped where the stream is.
#[test]
fn agen_10_break_and_drop_end_the_body_at_once_inner_locals_first() {
    let log = RefCell::new(vec![]);
    let probe = Probe::new();
    {
        let mut numbers = pin!(generator(async |mut y| {
            let _outer = Says("outer", &log);
            let _inner = Says("inner", &log);
            loop {
                y.emit(1).await?;
            }
        }));
        assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
        assert!(log.borrow().is_empty());
    }
    log.borrow_mut().push("after the loop");
    assert_eq!(*log.borrow(), ["inner", "outer", "after the loop"]);
}

#[test]
fn agen_13_one_that_is_send_may_be_dropped_on_another_thread() {
    struct Here(std::sync::mpsc::Sender<std::thread::ThreadId>);
    impl Drop for Here {
        fn drop(&mut self) {
            self.0.send(std::thread::current().id()).unwrap();
        }
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let here = Here(sender);
    let mut numbers = Box::pin(generator(async move |mut y| {
        let _here = here;
        y.emit(1).await
    }));
    assert_eq!(Probe::new().now(next(&mut numbers)), Some(1));
    let thread = std::thread::spawn(move || drop(numbers));
    let id = thread.thread().id();
    thread.join().unwrap();
    assert_eq!(receiver.recv().unwrap(), id);
}

/// asyncio runs the clean-up first, awaits included; here the destructors, at once. The generator that is not owned by
/// the consumer is not touched at all.
#[test]
fn agen_14_consumer_cancelled_while_the_generator_awaits() {
    let (log, probe) = (RefCell::new(vec![]), Probe::new());
    let make = || {
        generator(async |mut y| {
            let _says = Says("body", &log);
            pending::<()>().await;
            y.emit(1).await
        })
    };
    let owner = probe.start(async {
        let _says = Says("consumer", &log);
        next(&mut pin!(make())).await;
    });
    drop(owner);
    assert_eq!(*log.borrow(), ["body", "consumer"]);
    let mut kept = pin!(make());
    let user = probe.start(async { next(&mut kept).await });
    drop(user);
    assert_eq!(log.borrow().len(), 2);
}

#[test]
fn agen_15_consumer_cancelled_in_the_loop_body_drops_the_generator() {
    let (log, probe) = (RefCell::new(vec![]), Probe::new());
    let consumer = probe.start(async {
        let mut numbers = pin!(generator(async |mut y| {
            let _says = Says("body", &log);
            y.emit(1).await
        }));
        while next(&mut numbers).await.is_some() {
            pending::<()>().await;
        }
    });
    assert!(log.borrow().is_empty());
    drop(consumer);
    assert_eq!(*log.borrow(), ["body"]);
}

/// `asend`: a queue beside the generator.
#[test]
fn agen_16_values_go_in_by_a_queue() {
    let questions = Queue::unbounded();
    let probe = Probe::new();
    let mut answers = pin!(generator(async |mut y| {
        while let Ok(n) = questions.get().await {
            y.emit(n * n).await?;
        }
        Ok(())
    }));
    for n in [3, 5] {
        questions.try_put(n).unwrap();
        assert_eq!(poll(&probe, &mut answers), Poll::Ready(Some(n * n)));
    }
    assert!(poll(&probe, &mut answers).is_pending());
    questions.close();
    assert_eq!((probe.wakes(), poll(&probe, &mut answers)), (1, Poll::Ready(None)));
}

/// Generator expressions and comprehensions: the adapters of streams.
#[test]
fn agen_20_adapters_and_generators_over_generators_compose() {
    let probe = Probe::new();
    let numbers = || {
        generator(async |mut y| {
            for n in 0..6 {
                pause().await;
                y.emit(n).await?;
            }
            Ok(())
        })
    };
    let squares = generator(async |mut y| {
        let mut numbers = pin!(numbers());
        while let Some(n) = next(&mut numbers).await {
            y.emit(n * n).await?;
        }
        Ok(())
    });
    let mut odd = Box::pin(squares.filter(|n| core::future::ready(n % 2 == 1)).zip(numbers()).collect::<Vec<_>>());
    let mut polls = 0;
    let all = loop {
        polls += 1;
        if let Poll::Ready(all) = probe.poll(&mut odd) {
            break all;
        }
    };
    assert_eq!((all, polls > 6), (vec![(1, 0), (9, 1), (25, 2)], true));
}

/// `aclosing`: a guard closes it behind the block, also when that is left with an error, and before what follows.
#[test]
fn agen_21_a_guard_closes_it_at_the_end_of_a_block_before_what_follows() {
    for fails in [false, true] {
        let (log, shelter) = (RefCell::new(vec![]), LocalShelter::new());
        let probe = Probe::new();
        let numbers = Box::pin(generator(async |mut y| {
            let output = y.emit(1).await;
            pause().await;
            log.borrow_mut().push("cleaned up");
            output
        }));
        let block = async {
            let mut open = shelter.guard(numbers, |mut numbers, _| async move { numbers.as_mut().aclose().await });
            assert_eq!(next(&mut open.as_mut()).await, Some(1));
            if fails {
                return Err("failed");
            }
            open.close().await;
            Ok(())
        };
        let mut program = Box::pin(async {
            let result = shelter.run(block).await;
            log.borrow_mut().push("after");
            result
        });
        probe.pends(&mut program);
        assert_eq!(probe.ready(&mut program), if fails { Err("failed") } else { Ok(()) });
        drop(program);
        assert_eq!(*log.borrow(), ["cleaned up", "after"]);
    }
}
