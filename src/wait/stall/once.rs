//! A thread is stopped inside an operation of a cell.
use super::*;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Cancel(usize),
    PollAgain(usize),
    /// Somebody begins to wait for the value.
    Park,
    /// The one at work gives up.
    GiveUp,
    Set,
}
use Doing::*;

fn stuck(cell: &OnceCell<usize>) -> Waiter<'_, usize> {
    Waiter::begun(async { *cell.get_or_init(core::future::pending).await })
}

fn value(cell: &OnceCell<usize>) -> Waiter<'_, usize> {
    Waiter::new(async { *cell.wait().await })
}

fn case(nth: usize, doing: Doing, waiters: usize) -> bool {
    let cell = OnceCell::new();
    let mut first = Some(stuck(&cell));
    let mut line: Vec<_> = (0..waiters).map(|at| if at % 2 == 0 { stuck(&cell) } else { value(&cell) }).collect();
    line.iter_mut().for_each(|waiter| assert!(waiter.poll().is_none()));
    let mut busy = Some(match doing {
        Cancel(at) | PollAgain(at) => line.remove(at),
        _ => value(&cell),
    });
    if doing == Set {
        first = None;
    }
    let gives_up = first.take_if(|_| doing == GiveUp);
    let (shared, taken) = (&cell, &mut busy);
    let op = move || match doing {
        Cancel(_) => *taken = None,
        PollAgain(_) | Park => drop(taken.as_mut().unwrap().poll_elsewhere()),
        GiveUp => drop(gives_up),
        Set => shared.set(7).unwrap(),
    };
    let reached = stop_at(nth, op, |others| {
        if let Some(first) = first {
            assert_eq!(others.call(|| shared.set(1)), Err(1));
            assert_eq!(others.call(|| shared.get()), None);
            others.call(move || drop(first));
        }
        if doing != Set {
            assert_eq!(others.call(|| shared.set(7)), Ok(()));
        }
        assert_eq!(others.call(|| shared.set(1)), Err(1));
        assert_eq!(others.call(|| shared.get()), Some(&7));
        assert!(others.call(|| shared.is_initialized()));
    });
    assert_eq!(wakes(&line), vec![1; line.len()]);
    line.extend(busy.filter(|_| matches!(doing, PollAgain(_) | Park)));
    assert_eq!(run(&mut line), line.len());
    assert!(wakes(&line).iter().all(|&wakes| wakes <= 1));
    reached
}

fn check(doing: Doing, waiters: usize) {
    at_each_place(|nth| case(nth, doing, waiters));
}

#[test]
fn signals_pass_a_cancelled_wait() {
    (0..4).for_each(|at| check(Cancel(at), 4));
}

#[test]
fn signals_pass_a_wait_that_another_task_polls() {
    (0..4).for_each(|at| check(PollAgain(at), 4));
}

#[test]
fn signals_pass_a_wait_that_begins() {
    check(Park, 0);
    check(Park, 3);
}

#[test]
fn signals_pass_a_turn_that_is_given_up() {
    check(GiveUp, 3);
}

#[test]
fn signals_pass_a_value_that_is_set() {
    check(Set, 2 * BATCH + 2);
}
