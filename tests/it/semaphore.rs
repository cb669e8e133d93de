//! `Semaphore` and `BoundedSemaphore`: the behaviours of asyncio's, by their ids in the inventory.
use core::{
    future::IntoFuture,
    pin::{Pin, pin},
};
use std::{rc::Rc, sync::Arc, thread};

use futures_core::FusedFuture;
use static_assertions::assert_not_impl_any;
use testudo::{
    BoundedSemaphore, Permit, Semaphore, SemaphoreClosed,
    run::block_on,
    sync::{Acquire, AcquireChecked},
};

use crate::support::{Probe, Slot, allocations, panics, poll_panics, wakes};

type Waits<'a> = Vec<Option<Pin<Box<Acquire<&'a Semaphore>>>>>;

/// One waiter for each of `needs`, in this order.
fn line<'a>(semaphore: &'a Semaphore, tasks: &[Probe], needs: &[usize]) -> Waits<'a> {
    tasks.iter().zip(needs).map(|(task, &n)| Some(task.start(semaphore.acquire_many(n)))).collect()
}

fn take<'a>(waits: &mut Waits<'a>, tasks: &[Probe], i: usize) -> Permit<&'a Semaphore> {
    tasks[i].ready(waits[i].as_mut().unwrap())
}

fn pends(waits: &mut Waits<'_>, tasks: &[Probe], i: usize) {
    tasks[i].pends(waits[i].as_mut().unwrap());
}

/// Takes `n` permits and gives them back at once.
fn barge(semaphore: &Semaphore, n: usize) -> bool {
    semaphore.try_acquire_many(n).is_some()
}

// SEM-01, SEM-02
#[test]
fn a_semaphore_begins_with_its_permits() {
    for n in [0, 1, 5] {
        let semaphore = Semaphore::new(n);
        assert_eq!((semaphore.available_permits(), semaphore.is_locked()), (n, n == 0));
        assert_eq!(semaphore.try_acquire().is_some(), n > 0);
    }
}

// SEM-03
#[test]
fn a_free_permit_takes_one_poll_and_no_waker() {
    let (semaphore, task) = (Semaphore::new(2), Probe::new());
    let one = task.now(semaphore.acquire());
    let _two = task.now(semaphore.acquire());
    assert_eq!((task.clones(), semaphore.available_permits()), (0, 0));
    drop(one);
    assert_eq!(semaphore.available_permits(), 1);
}

// SEM-04
#[test]
fn one_release_lets_one_waiter_in() {
    let (semaphore, tasks) = (Semaphore::new(1), Probe::many(3));
    let permit = semaphore.try_acquire().unwrap();
    let mut waits = line(&semaphore, &tasks, &[1, 1, 1]);
    drop(permit);
    assert_eq!(wakes(&tasks), [1, 0, 0]);
    let permit = take(&mut waits, &tasks, 0);
    pends(&mut waits, &tasks, 1);
    drop(permit);
    assert_eq!(wakes(&tasks), [1, 1, 0]);
    let _permit = take(&mut waits, &tasks, 1);
    pends(&mut waits, &tasks, 2);
}

// SEM-05, SEM-06 deviate by design: permits are offered, not reserved
#[test]
fn an_offered_permit_can_be_taken_by_others() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(1));
    let mut waits = line(&semaphore, &tasks, &[1]);
    semaphore.add_permits(1);
    assert_eq!((semaphore.available_permits(), semaphore.is_locked()), (1, false));
    let permit = semaphore.try_acquire().expect("offered, not handed over");
    pends(&mut waits, &tasks, 0);
    drop(permit);
    assert_eq!(tasks[0].wakes(), 2);
    drop(take(&mut waits, &tasks, 0));
}

// SEM-07
#[test]
fn waiters_are_served_in_the_order_in_which_they_came() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(10));
    let mut waits = line(&semaphore, &tasks, &[1; 10]);
    for i in 0..10 {
        semaphore.add_permits(1);
        assert_eq!(wakes(&tasks), (0..10).map(|k| usize::from(k <= i)).collect::<Vec<_>>());
        take(&mut waits, &tasks, i).forget();
    }
}

// SEM-07
#[test]
fn a_task_that_releases_and_acquires_again_goes_behind() {
    let (semaphore, tasks) = (Semaphore::new(1), Probe::many(2));
    let mine = tasks[0].now(semaphore.acquire());
    let mut waits = line(&semaphore, &tasks[1..], &[1]);
    drop(mine);
    let his = take(&mut waits, &tasks[1..], 0);
    let mut again = tasks[0].start(semaphore.acquire());
    drop(his);
    drop(tasks[0].ready(&mut again));
}

// SEM-08
#[test]
fn a_cancelled_first_waiter_does_not_block_the_others() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(2));
    let mut waits = line(&semaphore, &tasks, &[2, 1]);
    semaphore.add_permits(1);
    assert_eq!(wakes(&tasks), [0, 0]);
    waits[0] = None;
    assert_eq!(wakes(&tasks), [0, 1]);
    drop(take(&mut waits, &tasks, 1));
}

// SEM-08: the large request that kept others waiting leaves
#[test]
fn those_behind_a_large_request_go_on_as_it_leaves() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(4));
    let mut waits = line(&semaphore, &tasks, &[5, 1, 2, 1]);
    semaphore.add_permits(3);
    assert_eq!(wakes(&tasks), [0; 4]);
    waits[0] = None;
    assert_eq!(wakes(&tasks), [0, 1, 1, 0]);
    take(&mut waits, &tasks, 1).forget();
    waits[2] = None;
    assert_eq!(wakes(&tasks), [0, 1, 1, 1]);
}

#[test]
fn those_behind_one_in_the_middle_go_on_as_it_leaves() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(3));
    let mut waits = line(&semaphore, &tasks, &[1, 5, 1]);
    semaphore.add_permits(2);
    assert_eq!(wakes(&tasks), [1, 0, 0]);
    waits[1] = None;
    assert_eq!(wakes(&tasks), [1, 0, 1]);
    drop(take(&mut waits, &tasks, 2));
    drop(take(&mut waits, &tasks, 0));
}

// SEM-09
#[test]
fn an_offer_that_is_dropped_goes_to_the_next_and_only_to_him() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(4));
    let mut waits = line(&semaphore, &tasks, &[1; 4]);
    semaphore.add_permits(1);
    waits[0] = None;
    assert_eq!(wakes(&tasks), [1, 1, 0, 0]);
    waits[1] = None;
    assert_eq!(wakes(&tasks), [1, 1, 1, 0]);
    let permit = take(&mut waits, &tasks, 2);
    pends(&mut waits, &tasks, 3);
    drop(permit);
    waits[3] = None;
    assert_eq!(semaphore.available_permits(), 1);
}

// SEM-10
#[test]
fn ten_permits_wake_exactly_the_ten_in_front_in_one_go() {
    for singly in [false, true] {
        let (semaphore, tasks) = (Semaphore::new(0), Probe::many(40));
        let mut waits = line(&semaphore, &tasks, &[1; 40]);
        if singly {
            (0..10).for_each(|_| semaphore.add_permits(1));
        } else {
            semaphore.add_permits(10);
        }
        let ten: Vec<_> = (0..40).map(|i| usize::from(i < 10)).collect();
        assert_eq!(wakes(&tasks), ten);
        let permits: Vec<_> = (0..10).map(|i| take(&mut waits, &tasks, i)).collect();
        assert_eq!(wakes(&tasks), ten);
        pends(&mut waits, &tasks, 10);
        drop(permits);
        assert_eq!(wakes(&tasks), (0..40).map(|i| usize::from(i < 20)).collect::<Vec<_>>());
    }
}

// SEM-10, SEM-16
#[test]
fn permits_go_to_those_in_front_for_whom_they_suffice() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(4));
    let mut waits = line(&semaphore, &tasks, &[2, 3, 1, 4]);
    semaphore.add_permits(1);
    assert_eq!(wakes(&tasks), [0; 4]);
    semaphore.add_permits(3);
    assert_eq!(wakes(&tasks), [1, 0, 0, 0]);
    semaphore.add_permits(2);
    assert_eq!(wakes(&tasks), [1, 1, 1, 0]);
    for i in 0..3 {
        take(&mut waits, &tasks, i).forget();
    }
    pends(&mut waits, &tasks, 3);
    assert_eq!((semaphore.available_permits(), wakes(&tasks)[3]), (0, 0));
}

// SEM-11
#[test]
fn a_dropped_waiter_is_forgotten_at_once() {
    let (semaphore, gone, stays) = (Semaphore::new(0), Probe::new(), Probe::new());
    let first = gone.start(semaphore.acquire());
    let mut second = stays.start(semaphore.acquire());
    drop(first);
    assert_eq!(gone.kept(), 0);
    semaphore.add_permits(1);
    assert_eq!((gone.wakes(), stays.wakes()), (0, 1));
    drop(stays.ready(&mut second));
}

// SEM-12, SEM-13
#[test]
fn anybody_may_add_permits_beyond_those_it_began_with() {
    let semaphore = Semaphore::new(1);
    semaphore.add_permits(2);
    assert_eq!(semaphore.try_acquire_many(3).unwrap().count(), 3);
    assert_eq!(semaphore.available_permits(), 3);
    semaphore.add_permits(0);
    assert_eq!(semaphore.available_permits(), 3);
}

// SEM-14
#[test]
fn a_permit_comes_back_after_an_error_a_panic_and_a_cancellation() {
    let semaphore = Semaphore::new(1);
    let failed = block_on(async {
        let _permit = semaphore.acquire().await;
        Err::<(), _>("error")?;
        Ok::<_, &str>(())
    });
    assert!(failed.is_err() && semaphore.available_permits() == 1);
    drop(Probe::new().start(async {
        let _permit = semaphore.acquire().await;
        core::future::pending::<()>().await;
    }));
    assert_eq!(semaphore.available_permits(), 1);
    let text = panics(|| {
        block_on(async {
            let _permit = semaphore.acquire().await;
            panic!("half-way");
        })
    });
    assert_eq!((text.as_str(), semaphore.available_permits()), ("half-way", 1));
}

// SEM-14: `async with` needs the permit, not the semaphore
#[test]
fn the_semaphore_itself_cannot_be_awaited() {
    assert_not_impl_any!(Semaphore: IntoFuture);
    assert_not_impl_any!(BoundedSemaphore: IntoFuture);
    assert_not_impl_any!(Permit<&'static Semaphore>: IntoFuture, Clone);
}

// SEM-17, SEM-18
#[test]
fn a_bounded_semaphore_refuses_a_permit_too_many_and_names_both_counts() {
    let semaphore = BoundedSemaphore::new(2);
    let error = semaphore.add_permits(3).unwrap_err();
    assert_eq!((error.permits, error.max), (5, 2));
    assert_eq!(error.to_string(), "5 permits would be free, of which there are 2");
    assert_eq!((semaphore.available_permits(), semaphore.max_permits()), (2, 2));
    // What is compared is how many are free now.
    let permit = semaphore.try_acquire().unwrap();
    semaphore.add_permits(1).unwrap();
    assert!(semaphore.add_permits(1).is_err());
    permit.forget();
    assert_eq!(semaphore.available_permits(), 2);
    assert_eq!(semaphore.add_permits(usize::MAX).unwrap_err().permits, usize::MAX);
}

#[test]
fn a_permit_of_a_bounded_semaphore_that_was_replaced_is_lost_when_it_is_dropped() {
    let (semaphore, task) = (BoundedSemaphore::new(2), Probe::new());
    let (one, other) = (semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap());
    semaphore.add_permits(1).unwrap();
    drop(one);
    drop(other);
    assert_eq!(semaphore.available_permits(), 2);
    // Also one that a future was handed or took and never gave out.
    let held = semaphore.try_acquire_many(2).unwrap();
    let wait = task.start(semaphore.acquire_many(2));
    drop(held);
    drop(wait);
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn waiters_of_a_bounded_semaphore_wait_as_those_of_any() {
    let (semaphore, task) = (BoundedSemaphore::new(2), Probe::new());
    let permits = task.now(semaphore.acquire_many(2));
    let mut one = task.start(semaphore.acquire());
    let mut checked = task.start(semaphore.acquire_checked(2));
    drop(permits);
    drop(task.ready(&mut one));
    drop(task.ready(&mut checked).unwrap());
    assert_eq!(semaphore.acquire_many_blocking(2).count(), 2);
    let text = panics(|| drop(semaphore.acquire_many(3)));
    assert!(text.contains("3 permits are wanted, there are never more than 2"), "{text}");
    drop((one, checked));
    let shared = Rc::new(semaphore);
    assert!(panics(|| drop(Semaphore::acquire_with(shared.clone(), 3))).contains("never more than 2"));
    assert_eq!(shared.forget_permits(1), 1);
    assert!(!shared.is_locked() && !shared.is_closed() && shared.close() && shared.is_closed());
    assert!(shared.try_acquire_many(1).is_none() && shared.try_acquire().is_none());
}

// ---- overtaking

#[test]
fn a_large_request_is_overtaken_four_times_by_small_ones() {
    for through_the_line in [false, true] {
        let (semaphore, tasks, other) = (Semaphore::new(4), Probe::many(1), Probe::new());
        let mut small: Vec<_> = (0..4).map(|_| Some(semaphore.try_acquire().unwrap())).collect();
        let mut waits = line(&semaphore, &tasks, &[4]);
        // Always three are out: the large request would never see four.
        let overtaken = (0..100)
            .take_while(|i| {
                small[i % 4] = None;
                small[i % 4] = if through_the_line {
                    let mut slot = Some(Box::pin(semaphore.acquire()));
                    let polled = other.poll(slot.as_mut().unwrap());
                    if let core::task::Poll::Ready(permit) = polled { Some(permit) } else { None }
                } else {
                    semaphore.try_acquire()
                };
                small[i % 4].is_some()
            })
            .count();
        assert_eq!(overtaken, 4);
        drop(small);
        assert_eq!(tasks[0].wakes(), 1);
        assert!(!barge(&semaphore, 1), "kept for the first in line");
        assert_eq!(take(&mut waits, &tasks, 0).count(), 4);
        assert!(barge(&semaphore, 4));
    }
}

#[test]
fn waiters_that_overtake_in_the_line_do_so_four_times() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(9));
    let mut waits = line(&semaphore, &tasks, &[1; 9]);
    semaphore.add_permits(4);
    assert_eq!(wakes(&tasks), [1, 1, 1, 1, 0, 0, 0, 0, 0]);
    // Those that were not offered a permit take those of the others.
    for i in [8, 4, 6, 5] {
        take(&mut waits, &tasks, i).forget();
    }
    semaphore.add_permits(4);
    pends(&mut waits, &tasks, 2);
    pends(&mut waits, &tasks, 7);
    assert_eq!(wakes(&tasks), [1, 1, 1, 1, 0, 0, 0, 0, 0]);
    // Who was refused is woken as soon as the first in line has gone on, if it is its turn.
    take(&mut waits, &tasks, 0).forget();
    assert_eq!(wakes(&tasks), [1, 1, 2, 1, 0, 0, 0, 0, 0]);
    for i in [3, 2, 1] {
        take(&mut waits, &tasks, i).forget();
    }
    pends(&mut waits, &tasks, 7);
}

#[test]
fn those_who_were_offered_permits_too_overtake_nobody() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(9));
    let mut waits = line(&semaphore, &tasks, &[1; 9]);
    semaphore.add_permits(9);
    for i in (1..9).rev() {
        take(&mut waits, &tasks, i).forget();
    }
    assert_eq!((0..9).filter(|_| barge(&semaphore, 1)).count(), 4, "the first in line was not overtaken before");
    take(&mut waits, &tasks, 0).forget();
}

#[test]
fn an_offer_begins_behind_those_who_were_offered_something_before() {
    // Whoever leaves from there, and however: the next permit is for the next.
    for leaves in [None, Some(0), Some(1), Some(2)] {
        for takes in [false, true] {
            let (semaphore, tasks) = (Semaphore::new(0), Probe::many(6));
            let mut waits = line(&semaphore, &tasks, &[1, 2, 1, 3, 1, 1]);
            (0..4).for_each(|_| semaphore.add_permits(1));
            assert_eq!(wakes(&tasks), [1, 1, 1, 0, 0, 0]);
            let need = [1, 2, 1];
            let mut left = 3;
            if let Some(i) = leaves {
                if takes {
                    take(&mut waits, &tasks, i).forget();
                } else {
                    left -= need[i];
                }
                waits[i] = None;
            }
            for _ in 1..left {
                semaphore.add_permits(1);
                assert_eq!(wakes(&tasks), [1, 1, 1, 0, 0, 0], "{leaves:?} {takes}");
            }
            semaphore.add_permits(1);
            assert_eq!(wakes(&tasks), [1, 1, 1, 1, 0, 0], "{leaves:?} {takes}");
            semaphore.add_permits(1);
            assert_eq!(wakes(&tasks), [1, 1, 1, 1, 1, 0], "{leaves:?} {takes}");
            for i in (0..5).rev() {
                if waits[i].is_some() {
                    take(&mut waits, &tasks, i).forget();
                }
            }
            assert_eq!(semaphore.available_permits(), 0);
        }
    }
}

#[test]
fn who_comes_in_vain_is_offered_something_again_before_those_behind() {
    for at in 0..3 {
        let (semaphore, tasks) = (Semaphore::new(0), Probe::many(5));
        let mut waits = line(&semaphore, &tasks, &[1; 5]);
        semaphore.add_permits(3);
        let stolen = semaphore.try_acquire_many(3).unwrap();
        pends(&mut waits, &tasks, at);
        let mut expected = [1, 1, 1, 0, 0];
        for i in 0..3 {
            semaphore.add_permits(1);
            expected[at] += usize::from(i == at);
            assert_eq!(wakes(&tasks), expected, "{at}");
        }
        drop(stolen);
        assert_eq!(wakes(&tasks), [expected[0], expected[1], expected[2], 1, 1]);
        for i in (0..5).rev() {
            take(&mut waits, &tasks, i).forget();
        }
    }
}

#[test]
fn a_waiter_refused_for_a_starved_one_is_not_woken_until_that_one_has_gone_on() {
    for leaves in [false, true] {
        let (semaphore, tasks) = (Semaphore::new(0), Probe::many(3));
        let mut waits = line(&semaphore, &tasks[..1], &[1]);
        semaphore.add_permits(3);
        for _ in 0..4 {
            assert!(barge(&semaphore, 1));
        }
        assert!(!barge(&semaphore, 1));
        waits.extend(line(&semaphore, &tasks[1..], &[1, 1]));
        for _ in 0..10 {
            pends(&mut waits, &tasks, 2);
        }
        semaphore.add_permits(1);
        assert_eq!(wakes(&tasks), [1, 0, 0]);
        if leaves {
            waits[0] = None;
        } else {
            take(&mut waits, &tasks, 0).forget();
        }
        assert_eq!(wakes(&tasks), [1, 1, 1]);
        take(&mut waits, &tasks, 2).forget();
        take(&mut waits, &tasks, 1).forget();
    }
}

#[test]
fn each_first_in_line_has_a_count_of_its_own() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(3));
    // It was the only one, then one of two.
    for n in 1..3 {
        let mut waits = line(&semaphore, &tasks[..n], &[1, 1]);
        semaphore.add_permits(1);
        assert_eq!((0..9).filter(|_| barge(&semaphore, 1)).count(), 4);
        waits[0] = None;
        if n == 2 {
            assert_eq!((0..9).filter(|_| barge(&semaphore, 1)).count(), 4);
            drop(take(&mut waits, &tasks, 1));
        }
        drop(waits);
        assert_eq!((0..9).filter(|_| barge(&semaphore, 1)).count(), 9);
        assert_eq!(semaphore.forget_permits(9), 1);
    }
    let mut waits = line(&semaphore, &tasks, &[1; 3]);
    for i in 0..3 {
        semaphore.add_permits(1);
        assert_eq!((0..9).filter(|_| barge(&semaphore, 1)).count(), 4);
        take(&mut waits, &tasks, i).forget();
    }
}

#[test]
fn a_task_gets_a_permit_though_an_arm_of_it_that_it_does_not_poll_is_first_in_line() {
    let (semaphore, task) = (Semaphore::new(1), Probe::new());
    let permit = semaphore.try_acquire().unwrap();
    let kept = task.start(semaphore.acquire());
    drop(permit);
    let got = block_on(async {
        // Never polled again, and alive: `select!` over `&mut kept`.
        let permit = semaphore.acquire().await;
        permit.count()
    });
    assert_eq!(got, 1);
    let mut queued = {
        let held = semaphore.try_acquire().unwrap();
        let queued = task.start(semaphore.acquire());
        drop(held);
        queued
    };
    drop(task.ready(&mut queued));
    drop(kept);
    assert_eq!(semaphore.available_permits(), 1);
}

// ---- permits

#[test]
fn permits_are_split_merged_and_forgotten() {
    let (semaphore, tasks) = (Semaphore::new(5), Probe::many(1));
    let mut all = semaphore.try_acquire_many(5).unwrap();
    let mut waits = line(&semaphore, &tasks, &[3]);
    assert!(all.split(6).is_none());
    let two = all.split(2).unwrap();
    assert_eq!((all.count(), two.count(), all.split(0).unwrap().count()), (3, 2, 0));
    drop(two);
    assert_eq!((semaphore.available_permits(), tasks[0].wakes()), (2, 0));
    let one = all.split(1).unwrap();
    drop(one);
    assert_eq!(tasks[0].wakes(), 1);
    let mut three = take(&mut waits, &tasks, 0);
    three.merge(all);
    assert_eq!((three.count(), semaphore.available_permits()), (5, 0));
    three.split(4).unwrap().forget();
    drop(three);
    assert_eq!(semaphore.available_permits(), 1);
    assert_eq!((semaphore.forget_permits(3), semaphore.forget_permits(3)), (1, 0));
    assert!(semaphore.try_acquire_many(0).is_some());
}

#[test]
fn merging_permits_of_two_semaphores_panics_and_gives_both_back() {
    let (one, other) = (Semaphore::new(1), Semaphore::new(1));
    let mut permit = one.try_acquire().unwrap();
    let text = panics(|| permit.merge(other.try_acquire().unwrap()));
    assert!(
        text.contains(&format!("{:p}", &raw const one)) && text.contains(&format!("{:p}", &raw const other)),
        "{text}"
    );
    drop(permit);
    assert_eq!((one.available_permits(), other.available_permits()), (1, 1));
}

#[test]
fn counts_do_not_overflow() {
    const MAX: usize = Semaphore::MAX_PERMITS;
    assert!(panics(|| Semaphore::new(MAX + 1)).contains("MAX_PERMITS"));
    let semaphore = Semaphore::new(MAX);
    assert!(panics(|| semaphore.add_permits(1)).contains("MAX_PERMITS"));
    assert!(panics(|| semaphore.add_permits(usize::MAX)).contains("MAX_PERMITS"));
    assert!(panics(|| drop(semaphore.acquire_many(MAX + 1))).contains("never more than"));
    assert!(semaphore.try_acquire_many(usize::MAX).is_none() && semaphore.try_acquire_many(MAX + 1).is_none());
    assert_eq!(semaphore.available_permits(), MAX);
    let mut all = semaphore.try_acquire_many(MAX).unwrap();
    for _ in 0..20 {
        semaphore.add_permits(MAX);
        all.merge(semaphore.try_acquire_many(MAX).unwrap());
    }
    assert_eq!((all.count(), semaphore.available_permits()), (usize::MAX, 0));
    semaphore.add_permits(7);
    drop(all);
    assert_eq!(semaphore.available_permits(), MAX);
    assert_eq!(semaphore.forget_permits(usize::MAX), MAX);
}

// ---- close

#[test]
fn a_closed_semaphore_gives_nothing_and_stays_closed() {
    let (semaphore, task) = (Semaphore::new(2), Probe::new());
    let (kept, forgotten) = (semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap());
    assert!(!semaphore.is_closed() && semaphore.close() && !semaphore.close() && semaphore.is_closed());
    // tokio #8021: forgetting must not open it again.
    forgotten.forget();
    drop(kept);
    semaphore.add_permits(3);
    assert_eq!(semaphore.forget_permits(1), 1);
    assert!(semaphore.is_closed());
    assert_eq!(semaphore.available_permits(), 3);
    assert!(semaphore.try_acquire().is_none() && semaphore.try_acquire_many(0).is_none());
    let error: SemaphoreClosed = task.now(semaphore.acquire_checked(1)).unwrap_err();
    assert_eq!(error.to_string(), "the semaphore is closed");
    let mut late = Box::pin(semaphore.acquire());
    assert_eq!(poll_panics(&mut late, &task), "Semaphore::acquire: the semaphore is closed");
    assert_eq!(panics(|| semaphore.acquire_blocking()), "Semaphore::acquire: the semaphore is closed");
    drop(late);
    assert_eq!((semaphore.available_permits(), task.kept()), (3, 0));
}

#[test]
fn closing_tells_everybody_who_waits_offered_or_not() {
    for offered in [0, 1, 20, 40] {
        let (semaphore, tasks) = (Semaphore::new(0), Probe::many(40));
        let mut waits: Vec<_> = tasks.iter().map(|task| task.start(semaphore.acquire_checked(1))).collect();
        semaphore.add_permits(offered);
        assert!(semaphore.close());
        assert_eq!(wakes(&tasks), [1; 40]);
        for (i, (task, wait)) in tasks.iter().zip(&mut waits).enumerate() {
            if i % 3 > 0 {
                assert!(task.ready(wait).is_err());
                assert!(wait.is_terminated());
            }
        }
        drop(waits);
        assert_eq!(semaphore.available_permits(), offered);
        assert!(tasks.iter().all(|task| task.kept() == 0));
    }
}

#[test]
fn a_waker_that_panics_as_it_is_told_strands_nobody() {
    for (closes, bad) in [(true, 0), (true, 20), (true, 39), (false, 0), (false, 20), (false, 39)] {
        let (semaphore, tasks) = (Semaphore::new(0), Probe::many(40));
        let mut waits: Vec<_> = tasks.iter().map(|task| task.start(semaphore.acquire_checked(1))).collect();
        tasks[bad].on_wake(|| panic!("a bad waker"));
        let text = panics(|| if closes { _ = semaphore.close() } else { semaphore.add_permits(40) });
        assert_eq!(text, "a bad waker");
        assert_eq!(wakes(&tasks), [1; 40]);
        for (task, wait) in tasks.iter().zip(&mut waits) {
            assert_eq!(task.ready(wait).map(Permit::forget).is_err(), closes);
        }
        assert_eq!((semaphore.is_closed(), semaphore.available_permits()), (closes, 0));
    }
}

#[test]
fn a_permit_dropped_while_unwinding_wakes_the_next_though_a_waker_panics() {
    let (semaphore, tasks) = (Semaphore::new(3), Probe::many(3));
    let permits = semaphore.try_acquire_many(3).unwrap();
    let mut waits = line(&semaphore, &tasks, &[1, 1, 1]);
    tasks[0].on_wake(|| panic!("a bad waker"));
    let text = panics(|| {
        let _permits = permits;
        panic!("the first");
    });
    assert_eq!((text.as_str(), wakes(&tasks)), ("the first", vec![1, 1, 1]));
    for i in 0..3 {
        take(&mut waits, &tasks, i).forget();
    }
}

#[test]
fn a_permit_that_was_taken_in_a_poll_that_panicked_comes_back() {
    // The first leaves an offer to pass on as it takes: its poll wakes the second, whose waker panics.
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(2));
    let mut waits = line(&semaphore, &tasks[..1], &[1]);
    semaphore.add_permits(2);
    while barge(&semaphore, 1) {}
    waits.extend(line(&semaphore, &tasks[1..], &[1]));
    tasks[1].on_wake(|| panic!("a bad waker"));
    assert_eq!(poll_panics(waits[0].as_mut().unwrap(), &tasks[0]), "a bad waker");
    assert_eq!(semaphore.available_permits(), 1, "it has its own");
    waits[0] = None;
    assert_eq!(semaphore.available_permits(), 2);
    take(&mut waits, &tasks, 1).forget();
    // A waker whose clone panics: nothing has happened.
    let (semaphore, task) = (Semaphore::new(0), Probe::new());
    task.on_clone(|| panic!("a bad clone"));
    let mut fut = Box::pin(semaphore.acquire());
    assert_eq!(poll_panics(&mut fut, &task), "a bad clone");
    task.quiet();
    task.pends(&mut fut);
    semaphore.add_permits(1);
    drop(task.ready(&mut fut));
}

#[test]
fn futures_panic_when_polled_after_completion() {
    let (semaphore, task) = (Semaphore::new(1), Probe::new());
    let mut fut = Box::pin(semaphore.acquire());
    assert!(!fut.is_terminated());
    drop(task.ready(&mut fut));
    assert!(fut.is_terminated());
    assert!(poll_panics(&mut fut, &task).contains("polled after completion"));
    semaphore.close();
    let mut fut = Box::pin(semaphore.acquire_checked(1));
    assert!(task.ready(&mut fut).is_err());
    assert!(poll_panics(&mut fut, &task).contains("polled after completion"));
}

// ---- exact costs

#[test]
fn nothing_allocates_and_each_waiter_costs_two_polls_one_clone_and_one_wake() {
    for n in [1, 2, 33, 100] {
        let (semaphore, tasks) = (Semaphore::new(0), Probe::many(n));
        let mut waits: Vec<_> = (0..n).map(|_| Box::pin(semaphore.acquire())).collect();
        block_on(async {});
        let (count, ()) = allocations(|| {
            for (task, wait) in tasks.iter().zip(&mut waits) {
                task.pends(wait);
            }
            semaphore.add_permits(n);
            for (task, wait) in tasks.iter().zip(&mut waits) {
                task.ready(wait).forget();
            }
            semaphore.add_permits(2);
            drop(semaphore.try_acquire());
            drop(tasks[0].now(semaphore.acquire_many(2)));
            drop(semaphore.acquire_blocking());
            semaphore.close();
        });
        assert_eq!(count, 0);
        assert!(tasks.iter().all(|task| task.clones() == 1 && task.wakes() == 1 && task.kept() == 0));
    }
}

#[test]
fn polling_again_costs_a_clone_only_for_another_task() {
    let (semaphore, tasks) = (Semaphore::new(0), Probe::many(2));
    let mut fut = tasks[0].start(semaphore.acquire());
    tasks[0].pends(&mut fut);
    assert_eq!(tasks[0].clones(), 1);
    tasks[1].pends(&mut fut);
    assert_eq!((tasks[0].kept(), tasks[1].kept()), (0, 1));
    semaphore.add_permits(1);
    assert_eq!(wakes(&tasks), [0, 1]);
    drop(tasks[0].ready(&mut fut));
}

#[test]
fn a_waker_may_release_take_close_and_cancel() {
    type Act = fn(&Arc<Semaphore>, &Slot<AcquireChecked<Arc<Semaphore>>>);
    let acts: [Act; 5] = [
        |semaphore, _| semaphore.add_permits(1),
        |semaphore, _| drop(semaphore.try_acquire()),
        |semaphore, _| _ = semaphore.close(),
        |_, victim| _ = victim.cancel(),
        |semaphore, _| assert!(format!("{semaphore:?}").starts_with("Semaphore")),
    ];
    for act in acts {
        for on in 0..3 {
            let semaphore = Arc::new(Semaphore::new(0));
            let (tasks, calls) = (Probe::many(40), Probe::new());
            let wait = || Semaphore::acquire_checked_with(semaphore.clone(), 1);
            let victim = Slot::new(wait());
            let (shared, slot) = (semaphore.clone(), victim.clone());
            let call = move || act(&shared, &slot);
            match on {
                0 => calls.on_wake(call),
                1 => calls.on_clone(call),
                _ => calls.on_drop(call),
            }
            let mine = Slot::new(wait());
            let mut others: Vec<_> = vec![];
            for (i, task) in tasks.iter().enumerate() {
                if semaphore.is_closed() {
                    break;
                }
                if i == 3 {
                    let _ = mine.poll(calls.waker());
                    continue;
                }
                if i == 35 {
                    let _ = victim.poll(task.waker());
                    continue;
                }
                let mut fut = Box::pin(wait());
                if task.poll(&mut fut).is_pending() {
                    others.push((task, fut));
                }
            }
            semaphore.add_permits(60);
            mine.cancel();
            victim.cancel();
            calls.quiet();
            for (task, mut fut) in others {
                assert_eq!(task.wakes(), 1);
                assert_eq!(task.ready(&mut fut).map(Permit::forget).is_err(), semaphore.is_closed());
            }
        }
    }
}

// ---- handles, threads

#[test]
fn permits_and_futures_may_own_their_semaphore() {
    let task = Probe::new();
    let semaphore = Arc::new(Semaphore::new(1));
    let mut permit = Semaphore::try_acquire_with(semaphore.clone(), 1).unwrap();
    assert!(Arc::ptr_eq(permit.handle(), &semaphore));
    let mut fut = task.start(Semaphore::acquire_with(semaphore.clone(), 1));
    drop(permit.split(1));
    assert!(Semaphore::try_acquire_with(semaphore.clone(), 2).is_none());
    let got = task.ready(&mut fut);
    drop((fut, permit));
    assert_eq!(Arc::strong_count(&semaphore), 2);
    thread::spawn(move || drop(got)).join().unwrap();
    assert_eq!((Arc::strong_count(&semaphore), semaphore.available_permits()), (1, 1));

    let semaphore = Rc::new(BoundedSemaphore::new(1));
    let permit = task.now(Semaphore::acquire_checked_with(semaphore.clone(), 1)).unwrap();
    drop(semaphore);
    assert_eq!(permit.handle().available_permits(), 0);
}

#[test]
fn the_last_handle_may_go_with_a_future_that_was_offered_or_closed() {
    for closed in [false, true] {
        let (semaphore, task) = (Arc::new(Semaphore::new(0)), Probe::new());
        let futs = [
            task.start(Semaphore::acquire_with(semaphore.clone(), 1)),
            task.start(Semaphore::acquire_with(semaphore.clone(), 1)),
        ];
        if closed {
            semaphore.close();
        } else {
            semaphore.add_permits(1);
        }
        drop(semaphore);
        drop(futs);
        assert_eq!(task.kept(), 0);
    }
}

#[test]
fn blocking_and_async_waiters_wait_in_one_line() {
    let (semaphore, task) = (Arc::new(Semaphore::new(0)), Probe::new());
    let mut fut = task.start(semaphore.acquire());
    let blocked: Vec<_> = (1..4)
        .map(|n| {
            let semaphore = semaphore.clone();
            thread::spawn(move || semaphore.acquire_many_blocking(n).forget())
        })
        .collect();
    thread::yield_now();
    semaphore.add_permits(7);
    task.ready(&mut fut).forget();
    for thread in blocked {
        thread.join().unwrap();
    }
    assert_eq!(semaphore.available_permits(), 0);
}

#[test]
fn an_acquire_that_was_not_polled_owes_nothing() {
    let semaphore = Semaphore::new(1);
    drop(semaphore.acquire());
    drop(semaphore.acquire_checked(1));
    let _unpolled = pin!(semaphore.acquire());
    assert_eq!(semaphore.try_acquire().unwrap().count(), 1);
}
