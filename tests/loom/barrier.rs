//! Barrier.

use std::sync::Arc;

use testudo::{Barrier, BarrierTurn, BrokenBarrier, sync::BarrierWait};

use crate::{
    event::cancel,
    support::{Data, Spawned, Waiter, block_on, explore, explore_within, race, spawn},
};

type Wait = Waiter<BarrierWait<Arc<Barrier>>>;
type Turn = Result<BarrierTurn, BrokenBarrier>;

fn new(parties: usize) -> Arc<Barrier> {
    Arc::new(Barrier::new(parties))
}

/// A wait that has not begun.
fn wait(barrier: &Arc<Barrier>) -> Wait {
    Waiter::new(Barrier::wait_with(Arc::clone(barrier)))
}

/// Waiters, in line.
fn line<const N: usize>(barrier: &Arc<Barrier>) -> [Wait; N] {
    std::array::from_fn(|_| Waiter::waiting(Barrier::wait_with(Arc::clone(barrier))))
}

/// Arrives on another thread.
fn arrive(barrier: &Arc<Barrier>) -> Spawned<Wait> {
    let mut waiter = wait(barrier);
    spawn(move || {
        waiter.poll();
        waiter
    })
}

/// Calls `f` on another thread.
fn call(barrier: &Arc<Barrier>, f: fn(&Barrier)) -> Spawned<()> {
    let barrier = Arc::clone(barrier);
    spawn(move || f(&barrier))
}

/// What all of them were told, who were woken at most once.
fn turns(waiters: impl IntoIterator<Item = Wait>) -> Vec<Turn> {
    let told = |waiter: Wait| {
        assert!(waiter.wakes() <= 1);
        waiter.arrive()
    };
    waiters.into_iter().map(told).collect()
}

/// They made a round of `parties`, of which all but `gone` are left: distinct indices, one leader.
fn is_round(turns: Vec<Turn>, parties: usize, gone: usize) {
    let turns: Vec<_> = turns.into_iter().map(Result::unwrap).collect();
    let mut indices: Vec<_> = turns.iter().map(|turn| turn.index).collect();
    indices.sort_unstable();
    indices.dedup();
    assert_eq!(indices.len(), parties - gone, "indices are not distinct");
    assert_eq!(*indices.last().unwrap(), parties - 1);
    assert_eq!(turns.iter().filter(|turn| turn.is_leader()).count(), 1);
}

/// The next round works: nothing is left of those before.
fn is_as_new(barrier: &Arc<Barrier>) {
    assert_eq!(barrier.waiting(), 0);
    let parties = barrier.parties();
    let mut waiters: Vec<_> = (0..parties).map(|_| wait(barrier)).collect();
    for (at, waiter) in waiters.iter_mut().enumerate() {
        assert_eq!(barrier.waiting(), at);
        assert_eq!(waiter.poll(), at + 1 == parties);
    }
    is_round(turns(waiters), parties, 0);
}

/// T1 -> T2, T5: what each party wrote is seen by both. Also: wait x wait.
#[test]
fn e1_arrivals_publish() {
    explore(|| {
        let (barrier, ours, theirs) = (new(2), Data::new(), Data::new());
        let other = spawn({
            let (barrier, ours, theirs) = (Arc::clone(&barrier), Arc::clone(&ours), Arc::clone(&theirs));
            move || {
                theirs.write(1);
                let turn = block_on(Barrier::wait_with(barrier));
                assert_eq!(ours.read(), 1);
                turn
            }
        });
        ours.write(1);
        let turn = block_on(Barrier::wait_with(Arc::clone(&barrier)));
        assert_eq!(theirs.read(), 1);
        is_round(vec![turn, other.join()], 2, 0);
        assert_eq!(barrier.waiting(), 0);
    });
}

/// T1 -> T5, of one who comes neither first nor last.
#[test]
fn e1_arrivals_publish_among_three() {
    explore(|| {
        let (barrier, data) = (new(3), Data::new());
        let [mut first] = line(&barrier);
        let second = spawn({
            let (barrier, data) = (Arc::clone(&barrier), Arc::clone(&data));
            move || {
                data.write(1);
                let mut waiter = wait(&barrier);
                waiter.poll();
                waiter
            }
        });
        let mut third = wait(&barrier);
        if third.poll() || first.poll() {
            assert_eq!(data.read(), 1);
        }
        let second = second.join();
        is_round(vec![first.arrive(), second.arrive(), third.arrive()], 3, 0);
        is_as_new(&barrier);
    });
}

/// A round after a round: they do not mix.
#[test]
fn two_rounds_of_wait_x_wait() {
    // 2 preemptions: each thread arrives twice, and sleeps.
    explore_within(2, || {
        let (barrier, data) = (new(2), [Data::new(), Data::new()]);
        let other = spawn({
            let (barrier, data) = (Arc::clone(&barrier), data.clone());
            move || {
                for data in &data {
                    data.write(1);
                    block_on(Barrier::wait_with(Arc::clone(&barrier))).unwrap();
                }
            }
        });
        for data in &data {
            block_on(Barrier::wait_with(Arc::clone(&barrier))).unwrap();
            assert_eq!(data.read(), 1);
        }
        other.join();
        assert_eq!(barrier.waiting(), 0);
    });
}

#[test]
fn wait_x_wait_x_wait() {
    explore(|| {
        let barrier = new(3);
        let (a, b) = (arrive(&barrier), arrive(&barrier));
        let mut c = wait(&barrier);
        c.poll();
        is_round(turns([a.join(), b.join(), c]), 3, 0);
        is_as_new(&barrier);
    });
}

/// A round that is told in two batches, and a newcomer, who belongs to the next.
#[test]
fn trip_x_wait_for_the_next_round() {
    explore(|| {
        let barrier = new(4);
        let mut round = Vec::from(line::<3>(&barrier));
        let mut last = wait(&barrier);
        let mut next = wait(&barrier);
        let trip = spawn(move || {
            last.poll();
            last
        });
        next.poll();
        let mut last = trip.join();
        // Whoever came first of the two completed the round.
        if next.is_ready() || next.is_woken() {
            std::mem::swap(&mut last, &mut next);
        }
        round.push(last);
        is_round(turns(round), 4, 0);
        next.stay();
        assert_eq!(barrier.waiting(), 1);
        drop(next);
        is_as_new(&barrier);
    });
}

/// Withdrawn, or released before: never a lone waiter that passes.
#[test]
fn wait_x_cancel() {
    explore(|| {
        let barrier = new(2);
        let [a] = line(&barrier);
        let cancel = cancel(a);
        let mut b = wait(&barrier);
        b.poll();
        cancel.join();
        if b.is_ready() {
            is_round(vec![b.arrive()], 2, 1);
        } else {
            b.stay();
            assert_eq!(barrier.waiting(), 1);
            let mut c = wait(&barrier);
            assert!(c.poll());
            is_round(turns([b, c]), 2, 0);
        }
        is_as_new(&barrier);
    });
}

#[test]
fn wait_x_cancel_x_wait() {
    // 2 preemptions: three threads that all take the flag.
    explore_within(2, || {
        let barrier = new(3);
        let [a] = line(&barrier);
        let (cancel, b) = (cancel(a), arrive(&barrier));
        let mut c = wait(&barrier);
        c.poll();
        cancel.join();
        let mut b = b.join();
        if b.is_ready() || c.is_ready() || b.is_woken() || c.is_woken() {
            is_round(turns([b, c]), 3, 1);
        } else {
            b.stay();
            c.stay();
            assert_eq!(barrier.waiting(), 2);
            drop((b, c));
        }
        is_as_new(&barrier);
    });
}

#[test]
fn cancel_x_cancel() {
    explore(|| {
        let barrier = new(4);
        let [a, b, c] = line(&barrier);
        let cancel = cancel(a);
        drop(c);
        cancel.join();
        assert_eq!(barrier.waiting(), 1);
        drop(b);
        is_as_new(&barrier);
    });
}

/// The waiter at `at` of three is dropped while a round of four is told, in two batches.
fn trip_x_cancel(at: usize) {
    explore(move || {
        let barrier = new(4);
        let mut waiters = Vec::from(line::<3>(&barrier));
        let leaving = waiters.remove(at);
        let last = arrive(&barrier);
        drop(leaving);
        let mut last = last.join();
        if last.is_ready() {
            waiters.push(last);
            is_round(turns(waiters), 4, 1);
        } else {
            last.stay();
            assert_eq!(barrier.waiting(), 3);
            drop((last, waiters));
        }
        is_as_new(&barrier);
    });
}

#[test]
fn trip_x_cancel_of_the_first() {
    trip_x_cancel(0);
}

#[test]
fn trip_x_cancel_of_the_second() {
    trip_x_cancel(1);
}

#[test]
fn trip_x_cancel_of_the_third() {
    trip_x_cancel(2);
}

/// A round that is complete while the third is polled by another task.
#[test]
fn trip_x_poll() {
    explore(|| {
        let barrier = new(4);
        let [a, b, mut c] = line(&barrier);
        let last = arrive(&barrier);
        c.move_to_another_task();
        c.poll();
        is_round(turns([a, b, c, last.join()]), 4, 0);
        is_as_new(&barrier);
    });
}

#[test]
fn cancel_x_poll() {
    explore(|| {
        let barrier = new(3);
        let [a, mut b] = line(&barrier);
        let cancel = cancel(a);
        b.move_to_another_task();
        assert!(!b.poll());
        cancel.join();
        b.stay();
        assert_eq!(barrier.waiting(), 1);
        drop(b);
        is_as_new(&barrier);
    });
}

/// T3 -> wait, is_broken.
#[test]
fn e2_abort_publishes() {
    explore(|| {
        let (barrier, data) = (new(2), Data::new());
        let abort = spawn({
            let (barrier, data) = (Arc::clone(&barrier), Arc::clone(&data));
            move || {
                data.write(1);
                barrier.abort();
            }
        });
        let mut a = wait(&barrier);
        if a.poll() || a.poll() {
            assert_eq!(data.read(), 1);
        }
        race();
        if barrier.is_broken() {
            assert_eq!(data.read(), 1);
        }
        abort.join();
        assert!(a.arrive().is_err());
        assert!(wait(&barrier).poll());
        barrier.reset();
        is_as_new(&barrier);
    });
}

/// T4 -> wait: an abort() or reset() that found the flag taken is carried out by the canceller.
fn merged_break_publishes(f: fn(&Barrier)) {
    explore(move || {
        let (barrier, data) = (new(3), Data::new());
        let [a, mut b] = line(&barrier);
        let cancel = cancel(a);
        let breaks = spawn({
            let (barrier, data) = (Arc::clone(&barrier), Arc::clone(&data));
            move || {
                data.write(1);
                f(&barrier);
                assert_eq!(barrier.waiting(), 0);
            }
        });
        if b.poll() {
            assert_eq!(data.read(), 1);
        }
        cancel.join();
        breaks.join();
        assert!(b.arrive().is_err());
        barrier.reset();
        is_as_new(&barrier);
    });
}

#[test]
fn e2_merged_abort_publishes() {
    merged_break_publishes(Barrier::abort);
}

#[test]
fn e2_merged_reset_publishes() {
    merged_break_publishes(Barrier::reset);
}

/// All of a round get the same.
#[test]
fn abort_x_last_wait() {
    explore(|| {
        let barrier = new(2);
        let [a] = line(&barrier);
        let abort = call(&barrier, Barrier::abort);
        let mut b = wait(&barrier);
        b.poll();
        abort.join();
        let turns = turns([a, b]);
        assert!(barrier.is_broken());
        if turns[0].is_ok() {
            is_round(turns, 2, 0);
        } else {
            assert!(turns[1].is_err());
        }
        barrier.reset();
        is_as_new(&barrier);
    });
}

/// All of a round get the same; or the last one came after the reset, and waits on.
#[test]
fn reset_x_last_wait() {
    explore(|| {
        let barrier = new(2);
        let [a] = line(&barrier);
        let reset = call(&barrier, Barrier::reset);
        let mut b = wait(&barrier);
        b.poll();
        reset.join();
        match a.arrive() {
            Ok(_) => assert!(b.arrive().unwrap().is_leader()),
            Err(_) if b.is_ready() || b.is_woken() => assert!(b.arrive().is_err()),
            Err(_) => {
                b.stay();
                assert_eq!(barrier.waiting(), 1);
                drop(b);
            }
        }
        is_as_new(&barrier);
    });
}

#[test]
fn abort_x_first_wait() {
    explore(|| {
        let barrier = new(3);
        let abort = call(&barrier, Barrier::abort);
        let mut a = wait(&barrier);
        a.poll();
        abort.join();
        assert!(a.arrive().is_err());
        barrier.reset();
        is_as_new(&barrier);
    });
}

#[test]
fn reset_x_first_wait() {
    explore(|| {
        let barrier = new(3);
        let reset = call(&barrier, Barrier::reset);
        let mut a = wait(&barrier);
        a.poll();
        reset.join();
        if a.is_woken() {
            assert!(a.arrive().is_err());
        } else {
            a.stay();
            assert_eq!(barrier.waiting(), 1);
            drop(a);
        }
        is_as_new(&barrier);
    });
}

/// Who comes after a reset is not reached by it, whoever carries it out.
#[test]
fn reset_then_wait_x_cancel() {
    explore(|| {
        let barrier = new(3);
        let [a, b] = line(&barrier);
        let cancel = cancel(a);
        barrier.reset();
        let mut late = wait(&barrier);
        assert!(!late.poll());
        cancel.join();
        assert!(b.arrive().is_err());
        late.stay();
        assert_eq!(barrier.waiting(), 1);
        drop(late);
        is_as_new(&barrier);
    });
}

/// A round of four, told in two batches: broken as a whole, or not at all.
fn trip_x_break(f: fn(&Barrier)) {
    explore(move || {
        let barrier = new(4);
        let waiters = Vec::from(line::<3>(&barrier));
        let breaks = call(&barrier, f);
        let mut last = wait(&barrier);
        last.poll();
        breaks.join();
        let mut turns = turns(waiters);
        if turns[0].is_ok() {
            turns.push(last.arrive());
            is_round(turns, 4, 0);
        } else {
            assert!(turns.iter().all(Result::is_err));
            if last.is_ready() || last.is_woken() {
                assert!(last.arrive().is_err());
            } else {
                last.stay();
            }
        }
        barrier.reset();
        is_as_new(&barrier);
    });
}

#[test]
fn trip_x_abort() {
    trip_x_break(Barrier::abort);
}

#[test]
fn trip_x_reset() {
    trip_x_break(Barrier::reset);
}

/// Three waiters are told of the error in two batches, while two more calls of the same kind or the other come in.
fn break_x_break(f: fn(&Barrier), g: fn(&Barrier)) {
    explore(move || {
        let barrier = new(4);
        let waiters = line::<3>(&barrier);
        let other = call(&barrier, f);
        g(&barrier);
        other.join();
        assert!(turns(waiters).iter().all(Result::is_err));
        assert_eq!(barrier.waiting(), 0);
        barrier.reset();
        is_as_new(&barrier);
    });
}

#[test]
fn abort_x_abort() {
    break_x_break(Barrier::abort, Barrier::abort);
}

#[test]
fn abort_x_reset() {
    break_x_break(Barrier::abort, Barrier::reset);
}

#[test]
fn reset_x_reset() {
    break_x_break(Barrier::reset, Barrier::reset);
}

/// Two wait, one of them is dropped or polled by another task.
fn break_x(f: fn(&Barrier), polls: bool) {
    explore(move || {
        let barrier = new(4);
        let [a, b, mut c] = line(&barrier);
        let breaks = call(&barrier, f);
        if polls {
            c.move_to_another_task();
            c.poll();
            breaks.join();
            assert!(c.arrive().is_err());
        } else {
            drop(c);
            breaks.join();
        }
        assert!(turns([a, b]).iter().all(Result::is_err));
        barrier.reset();
        is_as_new(&barrier);
    });
}

#[test]
fn abort_x_cancel() {
    break_x(Barrier::abort, false);
}

#[test]
fn reset_x_cancel() {
    break_x(Barrier::reset, false);
}

#[test]
fn abort_x_poll() {
    break_x(Barrier::abort, true);
}

#[test]
fn reset_x_poll() {
    break_x(Barrier::reset, true);
}

/// The last one, a canceller and a reset at once.
#[test]
fn trip_x_cancel_x_reset() {
    // 2 preemptions: three threads that all take the flag.
    explore_within(2, || {
        let barrier = new(3);
        let [a, b] = line(&barrier);
        let (cancel, reset) = (cancel(a), call(&barrier, Barrier::reset));
        let mut last = wait(&barrier);
        last.poll();
        cancel.join();
        reset.join();
        for mut waiter in [b, last] {
            if !(waiter.is_ready() || waiter.is_woken()) {
                waiter.stay();
            }
        }
        is_as_new(&barrier);
    });
}

/// `waiting` counts those who are in line: never those of a round that is complete, or that was broken before.
#[test]
fn waiting_x_wait_x_abort() {
    explore(|| {
        let barrier = new(2);
        let [a] = line(&barrier);
        let other = call(&barrier, |barrier| {
            assert!(barrier.waiting() <= 1);
            barrier.abort();
            assert_eq!((barrier.waiting(), barrier.is_broken()), (0, true));
        });
        let mut b = wait(&barrier);
        if b.poll() {
            assert_eq!(barrier.waiting(), 0);
        }
        other.join();
        assert_eq!(a.arrive().is_ok(), b.arrive().is_ok());
    });
}

#[test]
fn waiting_x_cancel() {
    explore(|| {
        let barrier = new(3);
        let [a, b] = line(&barrier);
        let cancel = cancel(a);
        race();
        assert!((1..=2).contains(&barrier.waiting()));
        cancel.join();
        assert_eq!(barrier.waiting(), 1);
        drop(b);
    });
}
