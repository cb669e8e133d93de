//! Virtual time of `run::Sim` beside work outside, and the clock that is held: what users of paused clocks ran into.
use super::*;

/// tokio #4614: a paused clock jumped while a thread worked for the program, so that timeouts fired that should not.
#[test]
fn the_clock_does_not_jump_while_a_thread_works_for_the_program() {
    let (sim, out) = (Sim::new(), Log::default());
    let source = sim.external();
    sim.spawn(sleeper(out.clone(), sim.clock(), "timeout", 1));
    let (lines, clock) = (out.clone(), sim.clock());
    let work = work_on_a_thread(source);
    sim.block_on(async {
        work.await;
        log(&lines, "worked");
        assert_eq!(clock.now(), secs(0), "work outside takes no virtual time");
    })
    .unwrap();
    // #6242: and after that, it never jumped again.
    assert!(sim.run_until_stalled().is_none());
    assert_eq!((out.take().join(" "), sim.now()), (String::from("worked timeout@1"), secs(1)));
}

/// Is ready when a thread has done its work, during which `source` lives.
fn work_on_a_thread(source: External) -> impl Future<Output = ()> {
    let state = Arc::new(Mutex::new((false, None::<Waker>)));
    let worker = state.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        let mut state = worker.lock().unwrap();
        state.0 = true;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
        drop(source);
    });
    poll_fn(move |cx| {
        let mut state = state.lock().unwrap();
        state.1 = Some(cx.waker().clone());
        if state.0 { Poll::Ready(()) } else { Poll::Pending }
    })
}

#[test]
fn one_thread_after_another_works_and_the_clock_jumps_in_between() {
    let sim = Sim::new();
    for i in 1..4 {
        let work = work_on_a_thread(sim.external());
        let (clock, spawner) = (sim.clock(), sim.spawner());
        let inner = sim.spawn(async move {
            let sleeper = spawner.spawn(clock.sleep(secs(1)));
            work.await;
            sleeper.await.unwrap();
        });
        sim.block_on(inner).unwrap().unwrap();
        assert_eq!(sim.now(), secs(i));
    }
}

/// tokio #4522, #6113: an off switch for jumping; #3883: the next time point.
#[test]
fn a_held_clock_moves_by_hand_only() {
    let (sim, out) = (Sim::new(), Log::default());
    for d in [1, 2, 2, 5] {
        sim.spawn(sleeper(out.clone(), sim.clock(), "s", d));
    }
    let clock = sim.clock();
    let (hold, second) = (clock.hold(), clock.hold());
    let stall = sim.run_until_stalled().unwrap();
    assert_eq!((stall.now(), stall.next_deadline(), stall.blocked().len()), (secs(0), Some(secs(1)), 4));
    assert!(stall.to_string().contains("4 blocked tasks, the clock is held before 1s, "), "{stall}");
    assert_eq!((sim.now(), clock.next_deadline()), (secs(0), Some(secs(1))));
    assert_eq!(sim.advance_to_next(), Some(secs(1)));
    assert_eq!(sim.run_until_stalled().unwrap().blocked().len(), 3);
    clock.advance(Duration::from_millis(1500));
    assert_eq!(sim.run_until_stalled().unwrap().next_deadline(), Some(secs(5)));
    assert_eq!(sim.now(), Duration::from_millis(2500));
    drop(hold);
    assert!(sim.run_until_stalled().is_some(), "two holds, two drops");
    drop(second);
    assert!(sim.run_until_stalled().is_none());
    assert_eq!((sim.now(), clock.next_deadline(), sim.advance_to_next()), (secs(5), None, None));
    assert_eq!(out.take().join(" "), "s@1 s@2 s@2 s@5");
}

#[test]
fn a_task_may_move_the_clock_and_hold_it() {
    let (sim, out) = (Sim::new(), Log::default());
    sim.spawn(sleeper(out.clone(), sim.clock(), "s", 3));
    let clock = sim.clock();
    sim.block_on(async {
        let _hold = clock.hold();
        yield_now(&clock).await;
        clock.advance(secs(2));
        yield_now(&clock).await;
        assert!(out.borrow().is_empty());
        assert_eq!(clock.advance_to_next(), Some(secs(3)));
        yield_now(&clock).await;
        yield_now(&clock).await;
        assert_eq!(out.borrow().join(" "), "s@3");
    })
    .unwrap();
    assert!(sim.run_until_stalled().is_none());
}

#[test]
fn a_hold_outlives_its_simulation_without_harm() {
    let sim = Sim::new();
    let (hold, clock) = (sim.clock().hold(), sim.clock());
    assert_eq!(format!("{hold:?}"), "Hold { now: 0ns }");
    drop(sim);
    drop(hold);
    assert_eq!((clock.now(), clock.advance_to_next()), (secs(0), None));
}

#[test]
fn nanoseconds_are_exact_and_equal_deadlines_come_in_turn() {
    let (sim, out) = (Sim::new(), Log::default());
    let end = Duration::new(u64::from(u32::MAX), 999_999_999);
    for (i, before) in [0, 1, 0, 2, 1].into_iter().enumerate() {
        let (clock, out) = (sim.clock(), out.clone());
        sim.spawn(async move {
            let deadline = end - Duration::from_nanos(before);
            clock.sleep_until(deadline).await;
            assert_eq!(clock.now(), deadline);
            log(&out, i.to_string());
        });
    }
    assert!(sim.run_until_stalled().is_none());
    assert_eq!((out.take().concat(), sim.now()), (String::from("31402"), end));
}
