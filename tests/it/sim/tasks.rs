//! Tasks of `run::Sim`: handles, cancelling, wake-ups from outside, panics, and the end of a simulation.
use super::*;

// ---- handles

#[test]
fn a_task_is_awaited_before_and_after_its_end() {
    let sim = Sim::new();
    let before = sim.spawn(async { String::from("a") });
    assert_eq!(sim.block_on(before).unwrap().unwrap(), "a");
    let mut after = sim.spawn(async { String::from("b") });
    sim.run_until_stalled();
    assert!(after.is_finished() && !after.is_terminated());
    assert_eq!(sim.block_on(&mut after).unwrap().unwrap(), "b");
    assert!(after.is_terminated());
    assert_eq!(panics(|| sim.block_on(&mut after)), "polled after completion");
}

#[test]
fn a_dropped_handle_detaches_the_task_and_the_output_is_dropped_with_it() {
    let sim = Sim::new();
    let dropped = Rc::new(Cell::new(0));
    for _ in 0..2 {
        let dropped = dropped.clone();
        drop(sim.spawn(async move { OnDrop(move || dropped.set(dropped.get() + 1)) }));
    }
    assert_eq!(dropped.get(), 0);
    assert!(sim.run_until_stalled().is_none());
    assert_eq!(dropped.get(), 2);
}

#[test]
fn a_dropped_handle_leaves_no_waker_with_its_task() {
    let sim = Sim::new();
    let task = sim.spawn(pending::<()>());
    let count = Arc::new(());
    struct Count(#[expect(dead_code, reason = "counted")] Arc<()>);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {}
    }
    let waker = Waker::from(Arc::new(Count(count.clone())));
    let mut task = Box::pin(task);
    assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 2);
    drop(task);
    assert_eq!(Arc::strong_count(&count), 1);
}

// ---- cancelling

#[test]
fn a_cancelled_task_is_dropped_at_once() {
    let sim = Sim::new();
    let dropped = Rc::new(Cell::new(false));
    let guard = OnDrop({
        let dropped = dropped.clone();
        move || dropped.set(true)
    });
    let task = sim.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    sim.run_until_stalled();
    assert!(task.cancel() && dropped.get() && task.is_finished());
    assert!(!task.cancel());
    assert_eq!(sim.block_on(task).unwrap(), Err(Cancelled));
}

#[test]
fn a_task_cancelled_before_its_first_poll_never_runs() {
    let sim = Sim::new();
    let ran = Rc::new(Cell::new(false));
    let flag = ran.clone();
    let task = sim.spawn(async move { flag.set(true) });
    assert!(task.cancel());
    assert!(sim.run_until_stalled().is_none());
    assert!(!ran.get() && Rc::strong_count(&ran) == 1);
    assert_eq!(sim.polls(), 0);
}

#[test]
fn a_finished_task_cannot_be_cancelled() {
    let sim = Sim::new();
    let task = sim.spawn(async { 7 });
    sim.run_until_stalled();
    assert!(!task.cancel());
    assert_eq!(sim.block_on(task).unwrap(), Ok(7));
}

#[test]
fn a_task_that_cancels_itself_is_dropped_at_its_next_suspension() {
    let (sim, out) = (Sim::new(), Log::default());
    let me = Rc::new(OnceCell::<Task<()>>::new());
    let (own, lines) = (me.clone(), out.clone());
    let body = async move {
        let _guard = OnDrop(|| log(&lines, "dropped"));
        assert!(own.get().unwrap().cancel());
        assert!(own.get().unwrap().cancel(), "still possible: it has not ended");
        assert!(!own.get().unwrap().is_finished());
        log(&lines, "goes on");
        pending::<()>().await;
        log(&lines, "never");
    };
    me.set(sim.spawn(body)).unwrap();
    assert!(sim.run_until_stalled().is_none());
    assert_eq!(out.take().join(" "), "goes on dropped");
    let me = Rc::into_inner(me).expect("the task has let go").into_inner().unwrap();
    assert_eq!(sim.block_on(me).unwrap(), Err(Cancelled));
}

#[test]
fn a_task_that_cancels_itself_and_returns_is_cancelled() {
    let sim = Sim::new();
    let me = Rc::new(OnceCell::<Task<u32>>::new());
    let own = me.clone();
    let task = sim.spawn(async move {
        own.get().unwrap().cancel();
        7
    });
    me.set(task).unwrap();
    sim.run_until_stalled();
    let me = Rc::into_inner(me).unwrap().into_inner().unwrap();
    assert_eq!(sim.block_on(me).unwrap(), Err(Cancelled));
}

#[test]
fn a_task_cancelled_by_what_it_polls_is_dropped_at_the_end_of_that_poll() {
    let (sim, out) = (Sim::new(), Log::default());
    let victim = Rc::new(OnceCell::<Task<()>>::new());
    let (handle, lines) = (victim.clone(), out.clone());
    let body = async move {
        let _guard = OnDrop(|| log(&lines, "dropped"));
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            handle.get().unwrap().cancel();
            log(&lines, "still polled");
            Poll::<()>::Pending
        })
        .await;
    };
    victim.set(sim.spawn(body)).unwrap();
    assert!(sim.run_until_stalled().is_none(), "the wake of its last poll is harmless");
    assert_eq!(out.take().join(" "), "still polled dropped");
    assert_eq!(sim.polls(), 1);
    assert!(victim.get().unwrap().is_finished());
}

#[test]
fn a_queued_task_can_be_cancelled_and_its_slot_is_used_again() {
    let sim = Sim::new();
    let kept = sim.spawn(waker());
    sim.run_until_stalled();
    let old = sim.block_on(kept).unwrap().unwrap();
    for round in 0..100 {
        let a = sim.spawn(pending::<()>());
        let b = sim.spawn(async move { round });
        a.cancel();
        let c = sim.spawn(async move { round + 1 });
        old.wake_by_ref();
        assert_eq!(sim.block_on(async { (b.await, c.await) }).unwrap(), (Ok(round), Ok(round + 1)));
        assert!(!a.cancel());
    }
    assert!(format!("{sim:?}").contains("tasks: 0"));
    assert_eq!(sim.polls(), 2 + 100 * 3, "b, c, and main once a round");
}

#[test]
fn an_awaiting_task_is_woken_by_a_cancel() {
    let sim = Sim::new();
    let victim = Rc::new(RefCell::new(sim.spawn(pending::<()>())));
    let (canceller, clock) = (victim.clone(), sim.clock());
    sim.spawn(async move {
        clock.sleep(secs(1)).await;
        assert!(canceller.borrow().cancel());
    });
    let awaiting = poll_fn(|cx| pin!(&mut *victim.borrow_mut()).poll(cx));
    assert_eq!(sim.block_on(awaiting).unwrap(), Err(Cancelled));
    assert_eq!(sim.now(), secs(1));
}

// ---- wake-ups from outside

#[test]
fn a_wake_from_a_thread_resumes_a_simulation_with_an_external_source() {
    let sim = Sim::new();
    let _source = sim.external();
    let (tx, rx) = mpsc::channel::<Waker>();
    let done = Arc::new(Mutex::new(0));
    let set = done.clone();
    let worker = thread::spawn(move || {
        for waker in rx {
            thread::sleep(Duration::from_millis(5));
            *set.lock().unwrap() += 1;
            waker.wake();
        }
    });
    let main = poll_fn(|cx| {
        if *done.lock().unwrap() == 5 {
            return Poll::Ready(());
        }
        tx.send(cx.waker().clone()).unwrap();
        Poll::Pending
    });
    sim.block_on(main).unwrap();
    assert_eq!((sim.polls(), sim.now()), (6, Duration::ZERO));
    drop(tx);
    worker.join().unwrap();
}

#[test]
fn the_clock_stands_still_while_an_external_source_lives() {
    let sim = Sim::new();
    let (source, over) = (sim.external(), Arc::new(Mutex::new(false)));
    let set = over.clone();
    let worker = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        *set.lock().unwrap() = true;
        drop(source);
    });
    sim.block_on(sim.clock().sleep(secs(1))).unwrap();
    assert!(*over.lock().unwrap(), "the clock jumped before the source was dropped");
    worker.join().unwrap();
}

#[test]
fn a_simulation_stalls_when_its_last_external_source_is_dropped() {
    let sim = Sim::new();
    let (a, b) = (sim.external(), sim.external());
    let worker = thread::spawn(move || {
        drop(a);
        thread::sleep(Duration::from_millis(10));
        drop(b);
    });
    assert!(sim.block_on(pending::<()>()).is_err());
    worker.join().unwrap();
}

#[test]
fn no_wake_is_lost_between_a_source_and_its_end() {
    for round in 0..2000 {
        let sim = Sim::new();
        let mut source = Some(sim.external());
        let mut worker = None;
        let main = poll_fn(|cx| {
            let Some(source) = source.take() else { return Poll::Ready(()) };
            let waker = cx.waker().clone();
            worker = Some(thread::spawn(move || {
                waker.wake();
                drop(source);
            }));
            Poll::Pending
        });
        sim.block_on(main).unwrap_or_else(|stall| panic!("round {round}: {stall}"));
        worker.unwrap().join().unwrap();
    }
}

#[test]
fn many_threads_wake_many_tasks() {
    let (sim, rounds, threads) = (Sim::new(), 200, 4);
    let left = Arc::new(Mutex::new(Vec::<Waker>::new()));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let left = left.clone();
            let mut polls = 0;
            sim.spawn(poll_fn(move |cx| {
                polls += 1;
                if polls > rounds {
                    return Poll::Ready(());
                }
                left.lock().unwrap().push(cx.waker().clone());
                Poll::Pending
            }))
        })
        .collect();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (source, left) = (sim.external(), left.clone());
            thread::spawn(move || {
                let mut woken = 0;
                loop {
                    let wakers = core::mem::take(&mut *left.lock().unwrap());
                    woken += wakers.len();
                    wakers.into_iter().for_each(Waker::wake);
                    if Arc::strong_count(&left) <= threads + 1 {
                        drop(source);
                        return woken;
                    }
                    thread::yield_now();
                }
            })
        })
        .collect();
    assert!(sim.run_until_stalled().is_none());
    assert!(tasks.iter().all(Task::is_finished));
    let woken: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    assert_eq!(woken, 50 * rounds);
}

#[test]
fn waking_a_task_allocates_nothing() {
    let sim = Sim::new();
    let wakers = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..100 {
        let wakers = wakers.clone();
        sim.spawn(async move {
            let waker = waker().await;
            wakers.borrow_mut().push(waker);
            pending::<()>().await;
        });
    }
    sim.run_until_stalled();
    let wakers = wakers.take();
    let (count, ()) = allocations(|| wakers.iter().cloned().for_each(Waker::wake));
    assert_eq!(count, 0);
    sim.run_until_stalled();
    assert_eq!(sim.polls(), 200);
}

#[test]
fn a_waker_kept_after_the_end_does_nothing_and_holds_nothing() {
    let content = Rc::new(());
    let kept = {
        let sim = Sim::new();
        let held = content.clone();
        let task = sim.spawn(async move {
            let waker = waker().await;
            drop(held);
            waker
        });
        let kept = sim.block_on(task).unwrap().unwrap();
        let polls = sim.polls();
        kept.wake_by_ref();
        let next = sim.spawn(async { 1 });
        kept.wake_by_ref();
        assert!(sim.run_until_stalled().is_none());
        assert_eq!((sim.polls(), sim.block_on(next).unwrap()), (polls + 1, Ok(1)));
        kept
    };
    assert_eq!(Rc::strong_count(&content), 1);
    kept.wake_by_ref();
    thread::spawn(move || kept.wake()).join().unwrap();
}

#[test]
fn a_waker_kept_in_its_own_future_leaks_nothing() {
    let content = Rc::new(());
    let held = content.clone();
    let sim = Sim::new();
    sim.spawn(async move {
        let _waker = waker().await;
        pending::<()>().await;
        drop(held);
    });
    sim.run_until_stalled();
    assert_eq!(Rc::strong_count(&content), 2);
    drop(sim);
    assert_eq!(Rc::strong_count(&content), 1);
}

// ---- panics and the end

#[test]
fn a_panic_in_a_task_goes_on_from_block_on_and_spares_the_others() {
    let sim = Sim::new();
    let bad = sim.spawn(async { panic!("bad task") });
    let good = sim.spawn(async { 1 });
    assert_eq!(panics(|| sim.block_on(pending::<()>())), "bad task");
    assert!(bad.is_finished() && !good.is_finished());
    assert_eq!(sim.block_on(async { (bad.await, good.await) }).unwrap(), (Err(Cancelled), Ok(1)));
    assert_eq!(panics(|| sim.block_on(async { panic!("bad main") })), "bad main");
    assert!(sim.run_until_stalled().is_none());
}

#[test]
fn a_panic_in_a_destructor_does_not_keep_the_other_tasks_when_the_simulation_is_dropped() {
    let dropped = Rc::new(RefCell::new(Vec::new()));
    let sim = Sim::new();
    let tasks: Vec<_> = (0..5)
        .map(|i| {
            let dropped = dropped.clone();
            let guard = OnDrop(move || {
                dropped.borrow_mut().push(i);
                assert!(i % 2 == 0, "bad destructor {i}");
            });
            sim.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            })
        })
        .collect();
    sim.run_until_stalled();
    assert_eq!(panics(|| drop(sim)), "bad destructor 1");
    assert_eq!(dropped.take(), [0, 1, 2, 3, 4]);
    let other = Sim::new();
    for task in tasks {
        assert_eq!(other.block_on(task).unwrap(), Err(Cancelled));
    }
}

#[test]
fn a_panic_in_a_destructor_of_a_cancelled_task_reaches_the_canceller() {
    let sim = Sim::new();
    let guard = OnDrop(|| panic!("bad destructor"));
    let task = sim.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    sim.run_until_stalled();
    assert_eq!(panics(|| task.cancel()), "bad destructor");
    assert!(task.is_finished());
    assert_eq!(sim.block_on(task).unwrap(), Err(Cancelled));
}

#[test]
fn a_waker_that_panics_does_not_strand_the_other_sleepers() {
    struct Bad;
    impl std::task::Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("bad waker");
        }
    }
    let (sim, out) = (Sim::new(), Log::default());
    let mut foreign = Box::pin(sim.clock().sleep(secs(1)));
    let bad = Waker::from(Arc::new(Bad));
    assert!(foreign.as_mut().poll(&mut Context::from_waker(&bad)).is_pending());
    sim.spawn(sleeper(out.clone(), sim.clock(), "s", 1));
    assert_eq!(panics(|| sim.run_until_stalled()), "bad waker");
    assert!(sim.run_until_stalled().is_none());
    assert_eq!(out.take(), ["s@1"]);
}

#[test]
fn destructors_may_use_a_simulation_that_is_being_dropped() {
    let sim = Sim::new();
    let (spawner, clock) = (sim.spawner(), sim.clock());
    let late = Rc::new(Cell::new(None));
    let set = late.clone();
    let other = Rc::new(sim.spawn(pending::<()>()));
    let guard = OnDrop(move || {
        assert_eq!(clock.now(), Duration::ZERO);
        assert!(!other.cancel(), "it went first");
        set.set(Some(spawner.spawn(ready(1))));
    });
    sim.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    drop(sim);
    let task = late.take().expect("the destructor ran");
    assert!(task.is_finished());
    assert_eq!(Sim::new().block_on(task).unwrap(), Err(Cancelled));
}
