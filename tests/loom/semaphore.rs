//! Semaphore, and with it the line of waiters. A permit of the only one there is guards data that loom watches.

use std::sync::Arc;

use testudo::{
    Permit, Semaphore, SemaphoreClosed,
    sync::{Acquire, AcquireChecked},
};

use crate::{
    event::cancel,
    support::{Data, Spawned, Waiter, block_on, explore, explore_within, spawn},
};

type Shared = Arc<Semaphore>;
type Wait = Waiter<Acquire<Shared>>;
type Checked = Waiter<AcquireChecked<Shared>>;

fn new(permits: usize) -> Shared {
    Arc::new(Semaphore::new(permits))
}

/// A wait that has not begun.
fn acquire(semaphore: &Shared, n: usize) -> Wait {
    Waiter::new(Semaphore::acquire_with(Arc::clone(semaphore), n))
}

/// Waiters in line, one for each of `needs`.
fn line<const N: usize>(semaphore: &Shared, needs: [usize; N]) -> [Wait; N] {
    needs.map(|n| Waiter::waiting(Semaphore::acquire_with(Arc::clone(semaphore), n)))
}

fn checked(semaphore: &Shared) -> Checked {
    Waiter::new(Semaphore::acquire_checked_with(Arc::clone(semaphore), 1))
}

/// Polls a waiter on another thread.
fn poll(mut waiter: Wait) -> Spawned<Wait> {
    spawn(move || {
        waiter.poll();
        waiter
    })
}

fn poll_checked(mut waiter: Checked) -> Spawned<Checked> {
    spawn(move || {
        waiter.poll();
        waiter
    })
}

fn add(semaphore: &Shared, n: usize) -> Spawned<()> {
    let semaphore = Arc::clone(semaphore);
    spawn(move || semaphore.add_permits(n))
}

/// Takes a permit on another thread if there is one, and gives it back.
fn barge(semaphore: &Shared) -> Spawned<()> {
    let semaphore = Arc::clone(semaphore);
    spawn(move || drop(semaphore.try_acquire()))
}

fn close(semaphore: &Shared) -> Spawned<bool> {
    let semaphore = Arc::clone(semaphore);
    spawn(move || semaphore.close())
}

/// All threads are done: those that were woken take their permits and keep them, as an executor would find them, until
/// nobody is left; then `left` permits are free.
fn all_arrive(semaphore: &Shared, waiters: impl IntoIterator<Item = Wait>, left: usize) {
    let mut waiters = Vec::from_iter(waiters);
    while !waiters.is_empty() {
        let ready = waiters.iter().position(Wait::is_ready).or_else(|| waiters.iter().position(Wait::is_woken));
        waiters.remove(ready.expect("a wake-up is lost")).arrive().forget();
    }
    assert_eq!(semaphore.available_permits(), left);
}

/// As `all_arrive`, one after the other: each gives back what it had.
fn all_take_turns(semaphore: &Shared, waiters: impl IntoIterator<Item = Wait>, left: usize) {
    let mut waiters = Vec::from_iter(waiters);
    while !waiters.is_empty() {
        let ready = waiters.iter().position(Wait::is_ready).or_else(|| waiters.iter().position(Wait::is_woken));
        drop(waiters.remove(ready.expect("a wake-up is lost")).arrive());
    }
    assert_eq!(semaphore.available_permits(), left);
}

/// All threads are done and the semaphore is closed: nobody waits any longer; those who got a permit give it back.
fn all_are_told(semaphore: &Shared, waiters: impl IntoIterator<Item = Checked>, left: usize) {
    for waiter in waiters {
        drop::<Result<Permit<Shared>, SemaphoreClosed>>(waiter.arrive());
    }
    assert!(semaphore.is_closed() && semaphore.try_acquire().is_none());
    assert_eq!(semaphore.available_permits(), left);
}

// ---- edges

/// T2 -> T1 of semaphore.rs. Also: no wake-up is lost.
#[test]
fn e1_release_publishes() {
    explore(|| {
        let (semaphore, data) = (new(1), Data::new());
        let other = spawn({
            let (semaphore, data) = (Arc::clone(&semaphore), Arc::clone(&data));
            move || {
                let permit = block_on(Semaphore::acquire_with(semaphore, 1));
                data.write(data.read() + 1);
                drop(permit);
            }
        });
        let permit = block_on(semaphore.acquire());
        data.write(data.read() + 1);
        drop(permit);
        other.join();
        let _permit = semaphore.try_acquire().unwrap();
        assert_eq!(data.read(), 2);
    });
}

/// A release by one thread, another release or a shut after it, then a take: the chain holds.
#[test]
fn e1_release_publishes_through_other_changes() {
    explore(|| {
        let (semaphore, data) = (new(0), Data::new());
        let writer = spawn({
            let (semaphore, data) = (Arc::clone(&semaphore), Arc::clone(&data));
            move || {
                data.write(1);
                semaphore.add_permits(1);
            }
        });
        let other = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || {
                semaphore.add_permits(1);
                semaphore.forget_permits(0);
            }
        });
        if semaphore.try_acquire_many(2).is_some() {
            assert_eq!(data.read(), 1);
        }
        writer.join();
        other.join();
    });
}

/// E1 of line.rs: a waiter gets in line as permits come.
#[test]
fn e1_join_x_supply() {
    explore(|| {
        let semaphore = new(0);
        let push = poll(acquire(&semaphore, 1));
        semaphore.add_permits(1);
        all_arrive(&semaphore, [push.join()], 0);
    });
}

/// The same behind somebody else.
#[test]
fn e1_join_behind_others_x_supply() {
    explore(|| {
        let semaphore = new(0);
        let [head] = line(&semaphore, [1]);
        let push = poll(acquire(&semaphore, 1));
        semaphore.add_permits(2);
        all_arrive(&semaphore, [head, push.join()], 0);
    });
}

/// The same, two at once.
#[test]
fn e1_join_x_join_x_supply() {
    explore(|| {
        let semaphore = new(0);
        let (a, b) = (poll(acquire(&semaphore, 1)), poll(acquire(&semaphore, 1)));
        semaphore.add_permits(2);
        all_arrive(&semaphore, [a.join(), b.join()], 0);
    });
}

/// E2 of line.rs: permits come while somebody works on the line, who sees to it.
#[test]
fn e2_supply_x_poll_of_the_head() {
    explore(|| {
        let semaphore = new(0);
        let [head, next] = line(&semaphore, [1, 1]);
        let head = poll(head);
        semaphore.add_permits(2);
        all_arrive(&semaphore, [head.join(), next], 0);
    });
}

#[test]
fn e2_supply_x_poll_of_the_second() {
    explore(|| {
        let semaphore = new(0);
        let [head, next] = line(&semaphore, [1, 1]);
        let next = poll(next);
        semaphore.add_permits(2);
        all_arrive(&semaphore, [head, next.join()], 0);
    });
}

#[test]
fn e2_supply_x_supply_x_poll_of_the_head() {
    // Within 2: over 40 s with 3.
    explore_within(2, || {
        let semaphore = new(0);
        let [head, next] = line(&semaphore, [1, 2]);
        let (head, other) = (poll(head), add(&semaphore, 2));
        semaphore.add_permits(1);
        other.join();
        all_arrive(&semaphore, [head.join(), next], 0);
    });
}

/// Batches hold two wakers under loom: between two of them somebody else has the flag, and owes nothing.
#[test]
fn i1_more_than_a_batch_x_poll() {
    explore(|| {
        let semaphore = new(0);
        let [a, b, c] = line(&semaphore, [1, 1, 1]);
        let b = poll(b);
        semaphore.add_permits(3);
        all_arrive(&semaphore, [a, b.join(), c], 0);
    });
}

#[test]
fn i1_more_than_a_batch_x_poll_of_the_last() {
    explore(|| {
        let semaphore = new(0);
        let [a, b, c, d] = line(&semaphore, [1, 1, 1, 1]);
        let c = poll(c);
        semaphore.add_permits(4);
        all_arrive(&semaphore, [a, b, c.join(), d], 0);
    });
}

// ---- pairs

#[test]
fn supply_x_cancel_of_the_only_waiter() {
    explore(|| {
        let semaphore = new(0);
        let [only] = line(&semaphore, [1]);
        let cancel = cancel(only);
        semaphore.add_permits(1);
        cancel.join();
        all_arrive(
            &semaphore,
            [acquire(&semaphore, 1)].map(|mut wait| {
                wait.poll();
                wait
            }),
            0,
        );
    });
}

#[test]
fn supply_x_cancel_of_the_head() {
    explore(|| {
        let semaphore = new(0);
        let [head, next, last] = line(&semaphore, [1, 1, 1]);
        let cancel = cancel(head);
        semaphore.add_permits(1);
        cancel.join();
        assert!(!last.is_woken());
        all_take_turns(&semaphore, [next, last], 1);
    });
}

#[test]
fn supply_x_cancel_of_a_large_head() {
    explore(|| {
        let semaphore = new(0);
        let [head, next, last] = line(&semaphore, [3, 1, 1]);
        let cancel = cancel(head);
        semaphore.add_permits(2);
        cancel.join();
        all_arrive(&semaphore, [next, last], 0);
    });
}

#[test]
fn supply_x_cancel_of_the_second() {
    explore(|| {
        let semaphore = new(0);
        let [head, large, last] = line(&semaphore, [1, 5, 1]);
        let cancel = cancel(large);
        semaphore.add_permits(2);
        cancel.join();
        all_arrive(&semaphore, [head, last], 0);
    });
}

#[test]
fn supply_x_cancel_of_the_last() {
    explore(|| {
        let semaphore = new(0);
        let [head, last] = line(&semaphore, [1, 1]);
        let cancel = cancel(last);
        semaphore.add_permits(2);
        cancel.join();
        all_arrive(&semaphore, [head], 1);
    });
}

#[test]
fn cancel_of_the_offered_head_x_cancel_of_the_offered_second() {
    explore(|| {
        let semaphore = new(0);
        let [head, next, last] = line(&semaphore, [1, 1, 2]);
        semaphore.add_permits(2);
        let cancel = cancel(head);
        drop(next);
        cancel.join();
        all_arrive(&semaphore, [last], 0);
    });
}

#[test]
fn cancel_of_the_offered_head_x_try_acquire() {
    explore(|| {
        let semaphore = new(0);
        let [head, next] = line(&semaphore, [1, 1]);
        semaphore.add_permits(1);
        let cancel = cancel(head);
        drop(semaphore.try_acquire());
        cancel.join();
        all_arrive(&semaphore, [next], 0);
    });
}

#[test]
fn cancel_of_the_offered_only_waiter_x_join() {
    explore(|| {
        let semaphore = new(0);
        let [only] = line(&semaphore, [1]);
        semaphore.add_permits(1);
        let push = poll(acquire(&semaphore, 1));
        drop(only);
        all_arrive(&semaphore, [push.join()], 0);
    });
}

#[test]
fn poll_of_the_offered_head_x_try_acquire() {
    explore(|| {
        let semaphore = new(0);
        let [head, next] = line(&semaphore, [1, 1]);
        semaphore.add_permits(1);
        let barge = barge(&semaphore);
        let mut head = head;
        head.poll();
        barge.join();
        all_take_turns(&semaphore, [head, next], 1);
    });
}

#[test]
fn poll_of_the_offered_head_x_join_x_supply() {
    explore_within(2, || {
        let semaphore = new(0);
        let [head] = line(&semaphore, [1]);
        semaphore.add_permits(1);
        let (head, push) = (poll(head), poll(acquire(&semaphore, 1)));
        semaphore.add_permits(1);
        all_arrive(&semaphore, [head.join(), push.join()], 0);
    });
}

#[test]
fn poll_of_the_offered_head_x_poll_of_the_offered_second() {
    explore(|| {
        let semaphore = new(0);
        let [head, next, last] = line(&semaphore, [1, 1, 1]);
        semaphore.add_permits(2);
        let next = poll(next);
        let mut head = head;
        head.poll();
        all_take_turns(&semaphore, [head, next.join(), last], 2);
    });
}

#[test]
fn poll_of_the_offered_second_x_cancel_of_the_offered_head() {
    explore(|| {
        let semaphore = new(0);
        let [head, next] = line(&semaphore, [2, 2]);
        semaphore.add_permits(2);
        let next = poll(next);
        drop(head);
        all_arrive(&semaphore, [next.join()], 0);
    });
}

/// T7 of line.rs: the only one in line has what it needs before it has left, and somebody gets in line behind it.
#[test]
fn poll_of_the_offered_only_waiter_x_join() {
    explore(|| {
        let semaphore = new(0);
        let [only] = line(&semaphore, [1]);
        semaphore.add_permits(3);
        let push = poll(acquire(&semaphore, 2));
        let mut only = only;
        assert!(only.poll());
        all_arrive(&semaphore, [only, push.join()], 0);
    });
}

/// T6 x T2 of line.rs: what one found gone comes back while it leaves a waker. All in line had been woken before.
#[test]
fn e1_return_of_an_offered_x_supply() {
    explore(|| {
        let semaphore = new(0);
        let [head, next] = line(&semaphore, [1, 1]);
        semaphore.add_permits(2);
        semaphore.try_acquire_many(2).unwrap().forget();
        let next = poll(next);
        semaphore.add_permits(2);
        all_arrive(&semaphore, [head, next.join()], 0);
    });
}

/// The same, alone in line.
#[test]
fn e1_return_of_the_offered_only_waiter_x_supply() {
    explore(|| {
        let semaphore = new(0);
        let [only] = line(&semaphore, [1]);
        semaphore.add_permits(1);
        semaphore.try_acquire().unwrap().forget();
        let poll = poll(only);
        semaphore.add_permits(1);
        all_arrive(&semaphore, [poll.join()], 0);
    });
}

/// The head was overtaken four times: those behind are refused until it has gone on, then they are woken.
#[test]
fn i2_starved_head_takes_x_join() {
    explore(|| {
        let semaphore = new(0);
        let [head] = line(&semaphore, [1]);
        semaphore.add_permits(2);
        (0..4).for_each(|_| drop(semaphore.try_acquire().unwrap()));
        assert!(semaphore.try_acquire().is_none());
        let push = poll(acquire(&semaphore, 1));
        let mut head = head;
        assert!(head.poll());
        all_arrive(&semaphore, [head, push.join()], 0);
    });
}

#[test]
fn i2_starved_head_leaves_x_poll_of_the_second() {
    explore(|| {
        let semaphore = new(0);
        let [head, next] = line(&semaphore, [1, 1]);
        semaphore.add_permits(2);
        (0..4).for_each(|_| drop(semaphore.try_acquire().unwrap()));
        let next = poll(next);
        drop(head);
        all_arrive(&semaphore, [next.join()], 1);
    });
}

/// It becomes starved as those behind it are polled.
#[test]
fn i2_the_last_overtaking_x_poll_of_the_second_x_poll_of_the_head() {
    explore_within(2, || {
        let semaphore = new(0);
        let [head, next] = line(&semaphore, [1, 1]);
        semaphore.add_permits(2);
        (0..3).for_each(|_| drop(semaphore.try_acquire().unwrap()));
        let (next, barge) = (poll(next), barge(&semaphore));
        let mut head = head;
        head.poll();
        barge.join();
        all_arrive(&semaphore, [head, next.join()], 0);
    });
}

#[test]
fn try_acquire_x_release_x_try_acquire() {
    explore(|| {
        let semaphore = new(1);
        let barges = [barge(&semaphore), barge(&semaphore)];
        drop(semaphore.try_acquire());
        barges.into_iter().for_each(Spawned::join);
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn acquire_many_x_acquire_many_take_turns() {
    explore(|| {
        let semaphore = new(2);
        let other = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || drop(block_on(Semaphore::acquire_with(semaphore, 2)))
        });
        drop(block_on(semaphore.acquire_many(2)));
        other.join();
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn three_threads_take_turns() {
    explore_within(2, || {
        let semaphore = new(1);
        let others = [(); 2].map(|()| {
            let semaphore = Arc::clone(&semaphore);
            spawn(move || drop(block_on(Semaphore::acquire_with(semaphore, 1))))
        });
        drop(block_on(semaphore.acquire()));
        others.into_iter().for_each(Spawned::join);
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn forget_permits_x_supply_x_try_acquire() {
    explore(|| {
        let semaphore = new(1);
        let other = add(&semaphore, 1);
        let barge = barge(&semaphore);
        let gone = semaphore.forget_permits(2);
        other.join();
        barge.join();
        assert_eq!(gone + semaphore.available_permits(), 2);
    });
}

#[test]
fn forget_permits_x_poll_of_the_offered_head() {
    explore(|| {
        let semaphore = new(0);
        let [head] = line(&semaphore, [1]);
        semaphore.add_permits(1);
        let head = poll(head);
        let gone = semaphore.forget_permits(1);
        let mut head = head.join();
        assert_eq!(head.is_ready(), gone == 0);
        if gone == 1 {
            head.stay();
            semaphore.add_permits(1);
        }
        all_arrive(&semaphore, [head], 0);
    });
}

// ---- close

#[test]
fn close_x_join() {
    explore(|| {
        let semaphore = new(0);
        let push = poll_checked(checked(&semaphore));
        assert!(semaphore.close());
        all_are_told(&semaphore, [push.join()], 0);
    });
}

/// Once `close` has returned, no permit is taken: T3 of semaphore.rs.
#[test]
fn close_x_acquire_of_a_free_permit() {
    explore(|| {
        let semaphore = new(1);
        let push = spawn({
            let semaphore = Arc::clone(&semaphore);
            move || Semaphore::try_acquire_with(semaphore, 1)
        });
        semaphore.close();
        let free = semaphore.available_permits();
        let permit = push.join();
        assert_eq!(free, usize::from(permit.is_none()));
    });
}

#[test]
fn close_x_close() {
    explore(|| {
        let semaphore = new(0);
        let waiters = [checked(&semaphore), checked(&semaphore)].map(|mut wait| {
            wait.poll();
            wait
        });
        let other = close(&semaphore);
        assert!(semaphore.close() ^ other.join());
        all_are_told(&semaphore, waiters, 0);
    });
}

#[test]
fn close_x_supply() {
    explore(|| {
        let semaphore = new(0);
        let mut waiters = [checked(&semaphore), checked(&semaphore), checked(&semaphore)];
        waiters.iter_mut().for_each(|wait| assert!(!wait.poll()));
        let other = close(&semaphore);
        semaphore.add_permits(2);
        other.join();
        all_are_told(&semaphore, waiters, 2);
    });
}

#[test]
fn close_x_cancel() {
    explore(|| {
        let semaphore = new(0);
        let mut waiters = [checked(&semaphore), checked(&semaphore), checked(&semaphore)];
        waiters.iter_mut().for_each(|wait| assert!(!wait.poll()));
        let other = close(&semaphore);
        let [a, b, c] = waiters;
        drop(b);
        other.join();
        all_are_told(&semaphore, [a, c], 0);
    });
}

#[test]
fn close_x_cancel_of_the_offered_only_waiter() {
    explore(|| {
        let semaphore = new(0);
        let mut wait = checked(&semaphore);
        assert!(!wait.poll());
        semaphore.add_permits(1);
        let other = close(&semaphore);
        drop(wait);
        other.join();
        all_are_told(&semaphore, [], 1);
    });
}

#[test]
fn close_x_poll_of_the_offered_head() {
    explore(|| {
        let semaphore = new(0);
        let mut waiters = [checked(&semaphore), checked(&semaphore)];
        waiters.iter_mut().for_each(|wait| assert!(!wait.poll()));
        semaphore.add_permits(1);
        let [head, next] = waiters;
        let head = poll_checked(head);
        semaphore.close();
        let free = semaphore.available_permits();
        let head = head.join();
        let taken = head.is_ready() && free == 0;
        drop(head);
        assert!(taken || free == 1);
        all_are_told(&semaphore, [next], 1);
    });
}

/// It may have its permit, and be told before it has left that there is nothing more to be had.
#[test]
fn close_x_poll_of_the_offered_only_waiter() {
    explore(|| {
        let semaphore = new(0);
        let mut only = checked(&semaphore);
        assert!(!only.poll());
        semaphore.add_permits(1);
        let poll = poll_checked(only);
        semaphore.close();
        all_are_told(&semaphore, [poll.join()], 1);
    });
}

#[test]
fn close_x_forget_x_supply() {
    explore(|| {
        let semaphore = new(1);
        let other = close(&semaphore);
        let add = add(&semaphore, 1);
        let gone = semaphore.forget_permits(2);
        other.join();
        add.join();
        all_are_told(&semaphore, [], 2 - gone);
    });
}

#[test]
fn close_x_starved_head_leaves() {
    explore(|| {
        let semaphore = new(0);
        let mut waiters = [checked(&semaphore), checked(&semaphore)];
        waiters.iter_mut().for_each(|wait| assert!(!wait.poll()));
        semaphore.add_permits(1);
        (0..4).for_each(|_| drop(semaphore.try_acquire().unwrap()));
        let other = close(&semaphore);
        let [head, next] = waiters;
        drop(head);
        other.join();
        all_are_told(&semaphore, [next], 1);
    });
}
