//! Where a unit test stops a thread in the middle of a list operation: right after it took the list flag.
//!
//! The tests here do that to every operation that takes the flag, at every place where it does, and call meanwhile on
//! other threads what may be called from interrupts: that comes back at once, and no wake-up is lost or made twice.
use alloc::{boxed::Box, sync::Arc, task::Wake, vec, vec::Vec};
use core::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use std::{
    sync::{self, Condvar, mpsc},
    thread::{self, Scope},
};

use super::node::numbered;
use crate::{
    sync::{Barrier, Condition, Event, Mutex, OnceCell},
    sys::{BATCH, EAGER},
};

std::thread_local! {
    static GATE: RefCell<Option<Arc<Gate>>> = const { RefCell::new(None) };
}

/// Called with the flag just taken: stops this thread if that is where its gate is.
pub(crate) fn here() {
    // A thread that is ending has no gate any more.
    let gate = GATE.try_with(|gate| gate.borrow().clone()).ok().flatten();
    if let Some(gate) = gate {
        gate.pass();
    }
}

/// Lets a thread pass some places and stops it at the next, until it is opened.
struct Gate {
    state: sync::Mutex<State>,
    changed: Condvar,
}

struct State {
    passes: usize,
    open: bool,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Stopped,
    Done,
}

/// How long anything may take that does not wait.
const AT_ONCE: Duration = Duration::from_secs(5);

impl Gate {
    fn new(passes: usize) -> Arc<Self> {
        let state = State { passes, open: false, stage: Stage::Running };
        Arc::new(Self { state: sync::Mutex::new(state), changed: Condvar::new() })
    }

    /// Runs `op` on this thread, with the gate in its way.
    fn run<R>(self: &Arc<Self>, op: impl FnOnce() -> R) -> R {
        GATE.set(Some(self.clone()));
        let result = op();
        self.update(|state| state.stage = Stage::Done);
        result
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        if state.passes > 0 {
            state.passes -= 1;
            return;
        }
        if state.open {
            return;
        }
        state.stage = Stage::Stopped;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.open).unwrap());
    }

    /// Waits for the thread to stop, or to be done. Says whether it stopped.
    fn reached(&self) -> bool {
        let running = |state: &mut State| state.stage == Stage::Running;
        let (state, out) = self.changed.wait_timeout_while(self.state.lock().unwrap(), AT_ONCE, running).unwrap();
        assert!(!out.timed_out(), "the thread neither stops nor ends");
        state.stage == Stage::Stopped
    }
}

/// Opens the gate when a test goes on, or fails.
struct Opener<'g>(&'g Gate);

impl Drop for Opener<'_> {
    fn drop(&mut self) {
        self.0.update(|state| state.open = true);
    }
}

/// The other threads, while one is stopped.
struct Others<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    /// Whether one is stopped: at the last place, it was done instead.
    stopped: bool,
}

impl<'scope> Others<'scope, '_> {
    /// Calls `f`, which comes back at once.
    #[track_caller]
    fn call<R: Send + 'scope>(&self, f: impl FnOnce() -> R + Send + 'scope) -> R {
        let (done, result) = mpsc::channel();
        self.start(move || drop(done.send(f())));
        result.recv_timeout(AT_ONCE).expect("it waits for the thread that is stopped")
    }

    /// Calls `f`, which may wait.
    fn start(&self, f: impl FnOnce() + Send + 'scope) {
        self.scope.spawn(f);
    }
}

/// Stops `op` at its place number `nth`, runs `meanwhile`, and lets `op` finish. Says whether there is such a place.
fn stop_at<'env>(
    nth: usize,
    op: impl FnOnce() + Send + 'env,
    meanwhile: impl for<'scope> FnOnce(&Others<'scope, 'env>),
) -> bool {
    let gate = Gate::new(nth);
    thread::scope(|scope| {
        let opener = Opener(&gate);
        let armed = gate.clone();
        scope.spawn(move || armed.run(op));
        let stopped = gate.reached();
        meanwhile(&Others { scope, stopped });
        drop(opener);
        stopped
    })
}

/// Runs `case` for each place in turn, and once more without a stop.
fn at_each_place(mut case: impl FnMut(usize) -> bool) {
    let places = (0..).take_while(|&nth| case(nth)).count();
    assert!(places > 0, "it never takes the flag");
}

#[derive(Default)]
struct Wakes(sync::Mutex<usize>);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() += 1;
    }
}

impl Wakes {
    fn count(&self) -> usize {
        *self.0.lock().unwrap()
    }
}

/// A future, polled by hand.
struct Waiter<'a, T> {
    future: Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>,
    wakes: Arc<Wakes>,
    seen: usize,
}

impl<'a, T> Waiter<'a, T> {
    fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self { future: Some(Box::pin(future)), wakes: Arc::default(), seen: 0 }
    }

    /// In line.
    fn begun(future: impl Future<Output = T> + Send + 'a) -> Self {
        let mut waiter = Self::new(future);
        assert!(waiter.poll().is_none());
        waiter
    }

    fn poll(&mut self) -> Option<T> {
        self.seen = self.wakes.count();
        let waker = Waker::from(self.wakes.clone());
        match self.future.as_mut()?.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => None,
            Poll::Ready(output) => {
                self.future = None;
                Some(output)
            }
        }
    }

    /// As another task: its waker is new, for which the flag is needed.
    fn poll_elsewhere(&mut self) -> Option<T> {
        self.wakes = Arc::default();
        self.poll()
    }

    fn is_done(&self) -> bool {
        self.future.is_none()
    }

    fn is_due(&self) -> bool {
        !self.is_done() && self.wakes.count() > self.seen
    }
}

/// Polls those that were woken, as an executor does, until there is none. Says how many are done then.
fn run<T>(line: &mut [Waiter<'_, T>]) -> usize {
    while let Some(waiter) = line.iter_mut().find(|waiter| waiter.is_due()) {
        drop(waiter.poll());
    }
    line.iter().filter(|waiter| waiter.is_done()).count()
}

/// How often each was woken.
fn wakes<T>(line: &[Waiter<'_, T>]) -> Vec<usize> {
    line.iter().map(|waiter| waiter.wakes.count()).collect()
}

mod event {
    use super::*;

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Doing {
        Cancel(usize),
        PollAgain(usize),
        Set,
    }
    use Doing::*;

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Call {
        Set,
        Clear,
        /// Somebody gets in line; after waiting for the flag if it comes after a set.
        Come,
    }

    /// What happens meanwhile; the one who comes is released by it, or not.
    const CALLS: [(&[Call], bool); 8] = [
        (&[Call::Come], false),
        (&[Call::Clear], false),
        (&[Call::Clear, Call::Come, Call::Set], true),
        (&[Call::Set], false),
        (&[Call::Set, Call::Clear], false),
        (&[Call::Set, Call::Clear, Call::Come], false),
        (&[Call::Set, Call::Clear, Call::Come, Call::Set], true),
        (&[Call::Clear, Call::Come, Call::Set, Call::Clear, Call::Set], true),
    ];

    fn check(doing: Doing, waiters: usize) {
        for (calls, late_is_released) in CALLS {
            at_each_place(|nth| case(nth, doing, waiters, calls, late_is_released));
        }
    }

    fn case(nth: usize, doing: Doing, waiters: usize, calls: &[Call], late_is_released: bool) -> bool {
        let event = Event::new();
        let mut line: Vec<_> = (0..waiters).map(|_| Waiter::begun(event.wait())).collect();
        let mut late = Waiter::new(event.wait());
        let comes = calls.contains(&Call::Come);
        let mut busy = match doing {
            Cancel(at) | PollAgain(at) => Some(line.remove(at)),
            Set => None,
        };
        let (shared, come, taken) = (&event, &mut late, &mut busy);
        let op = move || match doing {
            Cancel(_) => *taken = None,
            PollAgain(_) => drop(taken.as_mut().unwrap().poll_elsewhere()),
            Set => shared.set(),
        };
        let reached = stop_at(nth, op, |others| {
            let mut come = Some(come);
            for (nth, call) in calls.iter().enumerate() {
                match call {
                    Call::Set => others.call(|| shared.set()),
                    Call::Clear => others.call(|| shared.clear()),
                    Call::Come => {
                        let come = come.take().unwrap();
                        if EAGER || calls[..nth].contains(&Call::Set) {
                            others.start(|| come.poll().unwrap_or_default());
                        } else {
                            others.call(|| come.poll());
                        }
                    }
                }
                if *call != Call::Come {
                    assert_eq!(others.call(|| shared.is_set()), *call == Call::Set);
                }
            }
        });
        let is_set = calls.contains(&Call::Set) || doing == Set;
        assert_eq!(wakes(&line), vec![usize::from(is_set); line.len()]);
        if let Some(busy) = busy.as_mut().filter(|busy| !busy.is_done()) {
            assert_eq!(busy.wakes.count(), usize::from(is_set));
        }
        if comes {
            let late_is_released = late_is_released || doing == Set && !calls.contains(&Call::Clear);
            // It may have come after the last set, and found it so.
            assert_eq!(late.is_done() || late.is_due(), late_is_released);
            assert!(late.wakes.count() <= usize::from(late_is_released));
        }
        event.set();
        line.extend(busy);
        line.extend(comes.then_some(late));
        assert!(wakes(&line).iter().all(|&wakes| wakes <= 1));
        assert_eq!(run(&mut line), line.len());
        reached
    }

    #[test]
    fn signals_pass_a_cancelled_wait() {
        (0..3).for_each(|at| check(Cancel(at), 3));
    }

    #[test]
    fn signals_pass_a_wait_that_another_task_polls() {
        (0..3).for_each(|at| check(PollAgain(at), 3));
    }

    /// E4 of word.rs, between the two looks, which loom does not tell apart: it forgets a load that the next writer repeats.
    #[test]
    fn e4_a_set_meets_a_poll_by_a_task_whose_waker_looks_like_nothing() {
        fn poll(wait: &mut Pin<Box<impl Future>>, task: usize) -> bool {
            wait.as_mut().poll(&mut Context::from_waker(&numbered::waker(task))).is_ready()
        }
        at_each_place(|nth| {
            let event = Event::new();
            let (mut wait, mut done) = (Box::pin(event.wait()), false);
            assert!(!poll(&mut wait, 5));
            let op = || done = poll(&mut wait, 0);
            let reached = stop_at(nth, op, |others| others.call(|| event.set()));
            let woken = numbered::woken();
            assert!(done || woken == Some(0), "a wake-up is lost");
            assert!(done || poll(&mut wait, 0));
            reached
        });
    }

    #[test]
    fn signals_pass_a_broadcast() {
        check(Set, 1);
        check(Set, 2 * BATCH + 1);
    }
}

mod lock {
    use super::*;

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Doing {
        Cancel,
        PollAgain,
    }

    /// `offered`: the lock is free already when the operation begins. `kept`: somebody has it when it goes on.
    fn case(nth: usize, doing: Doing, at: usize, offered: bool, kept: bool) -> bool {
        let mutex = Mutex::new(0);
        let mut guard = mutex.try_lock();
        let mut line: Vec<_> = (0..3).map(|_| Waiter::begun(mutex.lock())).collect();
        if offered {
            guard = None;
        }
        let (mut barger, mut got) = (None, None);
        let mut busy = Some(line.remove(at));
        let mut late = Waiter::new(mutex.lock());
        let (shared, keep, come) = (&mutex, &mut barger, &mut late);
        let op = || match doing {
            Doing::Cancel => busy = None,
            Doing::PollAgain => got = busy.as_mut().unwrap().poll_elsewhere(),
        };
        let reached = stop_at(nth, op, |others| {
            if let Some(guard) = guard {
                assert!(others.call(|| shared.try_lock()).is_none());
                if !EAGER {
                    // Gets in line behind the others, for which it needs no flag.
                    assert!(others.call(|| come.poll()).is_none());
                }
                others.call(move || drop(guard));
            }
            let Some(guard) = others.call(|| shared.try_lock()) else {
                return assert!(!others.stopped, "the lock was freed");
            };
            assert!(others.call(|| shared.try_lock()).is_none());
            assert!(shared.is_locked());
            match kept {
                true => *keep = Some(guard),
                false => others.call(move || drop(guard)),
            }
        });
        drop((barger, got));
        if doing == Doing::PollAgain {
            line.insert(at, busy.unwrap());
        }
        line.extend((!EAGER && !offered).then_some(late));
        // One at a time, in their order.
        for first in 0..line.len() {
            let woken: Vec<_> = (0..line.len()).filter(|&nth| line[nth].is_due()).collect();
            if !line[first].is_done() {
                assert_eq!(woken, [first]);
                drop(line[first].poll().expect("the lock is free"));
            }
        }
        assert!(!mutex.is_locked());
        reached
    }

    fn check(doing: Doing) {
        for (at, offered, kept) in
            (0..3).flat_map(|at| [(at, false, false), (at, false, true), (at, true, false), (at, true, true)])
        {
            at_each_place(|nth| case(nth, doing, at, offered, kept));
        }
    }

    #[test]
    fn an_unlock_passes_a_cancelled_lock() {
        check(Doing::Cancel);
    }

    #[test]
    fn an_unlock_passes_a_lock_that_another_task_polls() {
        check(Doing::PollAgain);
    }

    #[test]
    fn a_try_lock_passes_an_unlock() {
        at_each_place(|nth| {
            let mutex = Mutex::new(0);
            let guard = mutex.try_lock();
            let mut line: Vec<_> = (0..3).map(|_| Waiter::begun(mutex.lock())).collect();
            let mut late = Waiter::new(mutex.lock());
            let (shared, come) = (&mutex, &mut late);
            let reached = stop_at(
                nth,
                || drop(guard),
                |others| {
                    assert_eq!(others.call(|| shared.try_lock()).is_none(), others.stopped);
                    if others.stopped && !EAGER {
                        assert!(others.call(|| come.poll()).is_none());
                    }
                },
            );
            assert_eq!(wakes(&line), [1, 0, 0]);
            line.extend((reached && !EAGER).then_some(late));
            assert_eq!(run(&mut line), line.len());
            reached
        });
    }
}

mod condition {
    use super::*;
    use crate::ConditionGuard;

    type Guard<'a> = ConditionGuard<'a, u32>;

    /// Who is lined up: with no predicate, with one that holds once the data is 1, with one that does not.
    const LINE: [Option<u32>; 5] = [None, Some(1), Some(9), None, Some(1)];
    const ALL: usize = usize::MAX;

    fn lock(condition: &Condition<u32>) -> Guard<'_> {
        condition.try_lock().expect("the lock is free")
    }

    fn wait(condition: &Condition<u32>, level: Option<u32>) -> Waiter<'_, Guard<'_>> {
        let guard = lock(condition);
        match level {
            None => Waiter::begun(condition.wait(guard)),
            Some(level) => Waiter::begun(condition.wait_for(guard, move |data| *data >= level)),
        }
    }

    fn line_up(condition: &Condition<u32>) -> Vec<(Option<u32>, Waiter<'_, Guard<'_>>)> {
        let line = LINE.into_iter().map(|level| (level, wait(condition, level))).collect();
        *lock(condition) = 1;
        line
    }

    fn notify(condition: &Condition<u32>, guard: &Guard<'_>, n: usize) {
        match n {
            ALL => condition.notify_all(guard),
            n => condition.notify(guard, n),
        }
    }

    /// Polls whoever is woken: `told` of them go on, in their order, and the others were not woken.
    #[track_caller]
    fn expect(condition: &Condition<u32>, mut line: Vec<(Option<u32>, Waiter<'_, Guard<'_>>)>, mut told: usize) {
        line.retain_mut(|(level, waiter)| {
            run(core::slice::from_mut(waiter));
            let goes_on = told > 0 && *level != Some(9);
            told -= usize::from(goes_on);
            assert_eq!((waiter.is_done(), waiter.wakes.count()), (goes_on, usize::from(goes_on)));
            !goes_on
        });
        let mut guard = lock(condition);
        *guard = 9;
        condition.notify_all(&guard);
        drop(guard);
        let mut rest: Vec<_> = line.into_iter().map(|(_, waiter)| waiter).collect();
        assert_eq!(run(&mut rest), rest.len());
        drop(lock(condition));
    }

    /// Cancels number `at`, after `told` notifications. `held`: the lock is not freed before that.
    fn cancel(nth: usize, at: usize, told: usize, held: bool, n: usize) -> bool {
        let condition = Condition::new(0);
        let mut line = line_up(&condition);
        let mut guard = Some(lock(&condition));
        notify(&condition, guard.as_ref().unwrap(), told);
        if !held {
            guard = None;
        }
        let busy = line.remove(at);
        let (shared, mut told_later) = (&condition, 0);
        let reached = stop_at(
            nth,
            || drop(busy),
            |others| {
                assert!(!held || others.call(|| shared.try_lock()).is_none());
                // From its second place on, who passes a notification on may have the lock itself.
                let Some(guard) = guard.or_else(|| others.call(|| shared.try_lock())) else { return assert!(nth > 0) };
                others.call(move || {
                    notify(shared, &guard, n);
                    drop(guard);
                });
                told_later = n;
                assert!(!shared.is_locked());
            },
        );
        // A counted notification is passed on; everybody was told of the others.
        expect(&condition, line, told.saturating_add(told_later));
        reached
    }

    #[test]
    fn signals_pass_a_cancelled_wait() {
        for (at, held) in (0..LINE.len()).flat_map(|at| [(at, false), (at, true)]) {
            for (told, n) in [(0, 0), (0, 1), (0, 2), (0, ALL), (1, 0), (1, 1), (2, 0), (2, 1), (1, ALL), (ALL, 1)] {
                at_each_place(|nth| cancel(nth, at, told, held, n));
            }
        }
    }

    #[test]
    fn a_try_lock_passes_a_wait_that_parks() {
        at_each_place(|nth| {
            let condition = Condition::new(0);
            let mut line = line_up(&condition);
            let guard = lock(&condition);
            let mut next = [Waiter::begun(condition.lock())];
            let mut parks = Waiter::new(condition.wait(guard));
            let (shared, parked) = (&condition, &mut parks);
            let reached = stop_at(
                nth,
                || drop(parked.poll()),
                |others| {
                    let guard = others.call(|| shared.try_lock());
                    assert!(!others.stopped || guard.is_none());
                    others.call(|| shared.is_locked());
                },
            );
            assert_eq!(run(&mut next), 1);
            line.push((None, parks));
            notify(&condition, &lock(&condition), 5);
            expect(&condition, line, 5);
            reached
        });
    }

    /// Notified, and then no longer satisfied: what it passes on is not lost, whoever signals meanwhile.
    #[test]
    fn signals_pass_a_wait_that_parks_again() {
        for n in [0, 1, 2] {
            at_each_place(|nth| {
                let condition = Condition::new(0);
                let mut first = wait(&condition, Some(9));
                let mut line = line_up(&condition);
                let mut guard = lock(&condition);
                *guard = 9;
                condition.notify(&guard, 1);
                *guard = 1;
                drop(guard);
                let (shared, parked, mut told) = (&condition, &mut first, 1);
                let reached = stop_at(
                    nth,
                    || drop(parked.poll()),
                    |others| {
                        let Some(guard) = others.call(|| shared.try_lock()) else { return };
                        others.call(move || {
                            notify(shared, &guard, n);
                            drop(guard);
                        });
                        told += n;
                    },
                );
                assert!(!first.is_done() && !first.is_due());
                first.wakes = Arc::default(); // it was woken, and parked
                first.poll();
                line.push((Some(9), first));
                expect(&condition, line, told);
                reached
            });
        }
    }

    #[test]
    fn a_notify_passes_a_notify_by_the_same_guard() {
        for (n, more) in [(1, 1), (2, 1), (3, 2), (1, ALL), (ALL, 1)] {
            at_each_place(|nth| {
                let condition = Condition::new(0);
                let line = line_up(&condition);
                let guard = lock(&condition);
                let (shared, both) = (&condition, &guard);
                let reached = stop_at(
                    nth,
                    || notify(shared, both, n),
                    |others| {
                        others.call(|| notify(shared, both, more));
                        assert!(others.call(|| shared.try_lock()).is_none());
                    },
                );
                drop(guard);
                expect(&condition, line, n.saturating_add(more));
                reached
            });
        }
    }

    /// The notifier has let go of the flag to call a predicate, and does not get it back.
    #[test]
    fn a_notify_passes_a_cancelled_wait_that_begins_meanwhile() {
        if EAGER {
            return; // nobody begins meanwhile: interrupts are masked
        }
        for n in [1, 2, 3, ALL] {
            let (condition, gate) = (Condition::new(0), Gate::new(0));
            let (go, gone) = mpsc::channel();
            let (mut go, watched) = (Some(go), gate.clone());
            let first = Waiter::begun(condition.wait_for(lock(&condition), move |data| {
                if let Some(go) = go.take_if(|_| *data == 1) {
                    go.send(()).unwrap();
                    assert!(watched.reached());
                }
                *data == 1
            }));
            let mut line = line_up(&condition);
            let (_, busy) = line.remove(3);
            line.insert(0, (Some(1), first));
            thread::scope(|scope| {
                let opener = Opener(&gate);
                let cancels = gate.clone();
                scope.spawn(move || gone.recv().map(|()| cancels.run(|| drop(busy))));
                let others = Others { scope, stopped: true };
                let (shared, guard) = (&condition, lock(&condition));
                others.call(move || {
                    notify(shared, &guard, n);
                    drop(guard);
                });
                drop(opener);
            });
            expect(&condition, line, n);
        }
    }

    #[test]
    fn a_try_lock_passes_an_unlock() {
        at_each_place(|nth| {
            let condition = Condition::new(0);
            let line = line_up(&condition);
            let guard = lock(&condition);
            condition.notify(&guard, 3);
            let reached = stop_at(nth, || drop(guard), |others| drop(others.call(|| condition.try_lock())));
            expect(&condition, line, 3);
            reached
        });
    }
}

mod barrier;

mod line;

mod once;
