//! A thread is stopped inside an operation of a barrier.
use super::*;
use crate::{BarrierTurn, BrokenBarrier};
use std::panic::{AssertUnwindSafe, catch_unwind};

type Turn = Result<BarrierTurn, BrokenBarrier>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Cancel(usize),
    PollAgain(usize),
    Arrive,
    /// The last one of the round arrives.
    Trip,
    Abort,
    Reset,
}
use Doing::*;

/// Whether each call breaks the barrier for good.
const CALLS: [&[bool]; 6] = [&[], &[true], &[false], &[true, false], &[false, true], &[true, false, true, false]];

fn case(nth: usize, doing: Doing, waiters: usize, calls: &[bool]) -> bool {
    let barrier = Barrier::new(waiters + if doing == Trip { 1 } else { 3 });
    let mut line: Vec<Waiter<'_, Turn>> = (0..waiters).map(|_| Waiter::begun(barrier.wait())).collect();
    let (mut busy, mut arrived) = (Waiter::new(barrier.wait()), None);
    if let Cancel(at) | PollAgain(at) = doing {
        busy = line.remove(at);
    }
    let mut busy = Some(busy);
    let (shared, taken, turn) = (&barrier, &mut busy, &mut arrived);
    let op = move || match doing {
        Cancel(_) => *taken = None,
        PollAgain(_) | Arrive | Trip => *turn = taken.as_mut().unwrap().poll_elsewhere(),
        Abort => shared.abort(),
        Reset => shared.reset(),
    };
    let reached = stop_at(nth, op, |others| {
        others.call(|| shared.waiting());
        for &aborts in calls {
            others.call(move || if aborts { shared.abort() } else { shared.reset() });
            assert_eq!(others.call(|| shared.is_broken()), aborts);
            assert_eq!(others.call(|| shared.waiting()), 0);
        }
    });
    let broken = calls.last().copied().unwrap_or(doing == Abort);
    assert_eq!(barrier.is_broken(), broken);
    let told = !calls.is_empty() || matches!(doing, Trip | Abort | Reset);
    assert_eq!(wakes(&line), vec![usize::from(told); line.len()]);
    let turns: Vec<_> = line.iter_mut().filter_map(|waiter| waiter.poll()).collect();
    if doing == Trip {
        // All of the round got the same, but for one that came after it was broken.
        assert!(turns.iter().all(|turn| turn.is_ok() == turns[0].is_ok()));
        assert!(turns[0].is_ok() || !matches!(arrived, Some(Ok(_))));
    } else {
        assert!(turns.iter().all(Result::is_err));
    }
    barrier.abort();
    line.extend(busy.filter(|busy| !busy.is_done() && matches!(doing, PollAgain(_) | Arrive | Trip)));
    run(&mut line);
    assert!(line.iter().all(|waiter| waiter.is_done() && waiter.wakes.count() <= 1));
    barrier.reset();
    assert_eq!(barrier.waiting(), 0);
    reached
}

fn check(doing: Doing, waiters: usize) {
    for calls in CALLS {
        at_each_place(|nth| case(nth, doing, waiters, calls));
    }
}

#[test]
fn signals_pass_a_cancelled_wait() {
    (0..3).for_each(|at| check(Cancel(at), 3));
}

#[test]
fn signals_pass_a_wait_that_another_task_polls() {
    (0..3).for_each(|at| check(PollAgain(at), 3));
}

#[test]
fn signals_pass_an_arrival() {
    check(Arrive, 0);
    check(Arrive, 3);
}

#[test]
fn signals_pass_a_round_that_is_released() {
    check(Trip, 1);
    check(Trip, 2 * BATCH + 1);
}

#[test]
fn signals_pass_signals() {
    check(Abort, 2 * BATCH + 1);
    check(Reset, 2 * BATCH + 1);
}

struct Hook<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Hook<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// Waits with `hook` for a waker.
fn arrive(
    future: Pin<&mut (impl Future<Output = Turn> + ?Sized)>,
    hook: impl Fn() + Send + Sync + 'static,
) -> Poll<Turn> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::new(Hook(hook)))))
}

/// It saw that all others had come, and is stopped; another comes first. While that one releases the round, it goes on, finds
/// the round complete, and wakes the rest of it, one of whom panics: it has not arrived.
#[test]
fn who_is_not_the_last_after_all_has_no_turn_when_a_waker_panics() {
    const OTHERS: usize = 2 * BATCH + 2;
    let (barrier, gate) = (Barrier::new(OTHERS + 1), Gate::new(0));
    let mut line: Vec<_> = (0..OTHERS).map(|_| Box::pin(barrier.wait())).collect();
    for (nth, wait) in line.iter_mut().enumerate() {
        let gate = gate.clone();
        let polled = arrive(wait.as_mut(), move || match nth {
            0 => {
                gate.update(|state| state.open = true);
                let waits = |state: &mut State| state.stage != Stage::Done;
                let waited = gate.changed.wait_timeout_while(gate.state.lock().unwrap(), AT_ONCE, waits);
                assert!(!waited.unwrap().1.timed_out(), "it does not go on");
            }
            nth if nth == BATCH + 1 => panic!("bad waker"),
            _ => {}
        });
        assert!(polled.is_pending());
    }
    let (mut busy, mut last) = (Box::pin(barrier.wait()), Box::pin(barrier.wait()));
    thread::scope(|scope| {
        let opener = Opener(&gate);
        let goes_on = scope.spawn(|| gate.run(|| catch_unwind(AssertUnwindSafe(|| arrive(busy.as_mut(), || ())))));
        assert!(gate.reached());
        assert!(matches!(arrive(last.as_mut(), || ()), Poll::Ready(Ok(turn)) if turn.index == OTHERS));
        drop(opener);
        assert!(goes_on.join().unwrap().is_err(), "it was to wake the one that panics");
    });
    assert_eq!(barrier.waiting(), 0);
    assert!(arrive(busy.as_mut(), || ()).is_pending(), "it belongs to the next round");
    assert_eq!(barrier.waiting(), 1);
    assert!(line.iter_mut().all(|wait| matches!(arrive(wait.as_mut(), || ()), Poll::Ready(Ok(_)))));
}
