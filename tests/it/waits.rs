//! `asyncio.wait`: asyncio's behaviours by their ids in the inventory (WAIT-..), over handles of tasks, which detach when they are
//! dropped. There is no function of that name: `gather` waits for all, `as_completed` for the first, for a failure, for some time.
use core::{cell::Cell, time::Duration};
use std::rc::Rc;

use futures_lite::{StreamExt, future::poll_once};
use testudo::{
    run::{Sim, Task},
    task::{Cancelled, Elapsed, as_completed, gather},
};

use crate::support::Probe;

type Failing = Result<u64, &'static str>;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A task for each time; those of odd times fail.
struct Tasks {
    sim: Sim,
    ended: Rc<Cell<u64>>,
}

impl Tasks {
    fn new() -> Self {
        Self { sim: Sim::new(), ended: Rc::default() }
    }

    fn start(&self, time: u64) -> Task<Failing> {
        let (clock, ended) = (self.sim.clock(), self.ended.clone());
        self.sim.spawn(async move {
            clock.sleep(secs(time)).await;
            ended.set(ended.get() + 1);
            if time % 2 == 0 { Ok(time) } else { Err("odd") }
        })
    }

    fn many<const N: usize>(&self, times: [u64; N]) -> [Task<Failing>; N] {
        times.map(|time| self.start(time))
    }

    /// How many have ended, and when it was over with all.
    fn at_last(&self) -> (u64, Duration) {
        self.sim.run_until_stalled();
        (self.ended.get(), self.sim.now())
    }
}

/// WAIT-01, WAIT-03. Every outcome is a value: nothing is raised.
#[test]
fn all_is_a_gather_of_handles_whose_errors_are_values() {
    let tasks = Tasks::new();
    let all = tasks.sim.block_on(gather(tasks.many([2, 1, 4])));
    assert_eq!((all.unwrap(), tasks.sim.now()), ([Ok(Ok(2)), Ok(Err("odd")), Ok(Ok(4))], secs(4)));
}

/// WAIT-02. Those that are done come without passing of time; the rest is waited for by a second call.
#[test]
fn tasks_that_are_done_cost_no_time_and_the_rest_can_be_waited_for_again() {
    let tasks = Tasks::new();
    let (short, long) = (tasks.many([2, 4]), tasks.many([6, 8]));
    let clock = tasks.sim.clock();
    let body = async {
        clock.sleep(secs(5)).await;
        let mut some = as_completed(short.into_iter().chain(long));
        let first: Vec<_> = [some.next().await, some.next().await].into_iter().flatten().map(|item| item.0).collect();
        let (then, rest) = (clock.now(), some.into_remaining());
        let again = gather(rest.into_iter().map(|(_, task)| task).collect::<Vec<_>>()).await;
        (first, then, again)
    };
    assert_eq!(tasks.sim.block_on(body).unwrap(), (vec![0, 1], secs(5), vec![Ok(Ok(6)), Ok(Ok(8))]));
    assert_eq!(tasks.sim.now(), secs(8));
}

/// WAIT-04, WAIT-10: dropping the stream, also in the middle of a wait, lets the handles go.
#[test]
fn the_first_is_one_item_and_the_others_go_on() {
    let tasks = Tasks::new();
    let mut some = as_completed(tasks.many([6, 2, 4]));
    assert_eq!(tasks.sim.block_on(some.next()).unwrap(), Some((1, Ok(Ok(2)))));
    drop(some);
    drop(Probe::new().start(async { as_completed(tasks.many([6, 8])).next().await }));
    assert_eq!(tasks.at_last(), (5, secs(10)));
}

/// WAIT-05. What else is done by then comes at once.
#[test]
fn what_else_is_done_is_there_without_waiting() {
    let tasks = Tasks::new();
    let done = tasks.sim.block_on(async {
        let mut some = as_completed(tasks.many([2, 4, 2]));
        let first = some.next().await;
        [first, poll_once(some.next()).await.flatten(), poll_once(some.next()).await.flatten()]
    });
    assert_eq!(done.unwrap(), [Some((0, Ok(Ok(2)))), Some((2, Ok(Ok(2)))), None]);
}

/// The number of the first that fails; None if none does.
async fn first_failure(tasks: impl IntoIterator<Item = Task<Failing>>) -> Option<usize> {
    let mut some = as_completed(tasks);
    while let Some((number, outcome)) = some.next().await {
        if let Ok(Err(_)) = outcome {
            return Some(number);
        }
    }
    None
}

/// WAIT-06. Also one that had failed before; without failure it ends with the last.
#[test]
fn the_first_failure_ends_it_also_an_old_one_and_otherwise_the_last() {
    let tasks = Tasks::new();
    let fails = tasks.many([8, 3, 2]);
    assert_eq!((tasks.sim.block_on(first_failure(fails)).unwrap(), tasks.sim.now()), (Some(1), secs(3)));
    let [old, long] = tasks.many([1, 20]);
    tasks.sim.block_on(async {}).unwrap(); // they begin
    tasks.sim.advance(secs(2));
    tasks.sim.block_on(async {}).unwrap();
    let before = tasks.sim.now();
    assert_eq!((tasks.sim.block_on(first_failure([long, old])).unwrap(), tasks.sim.now()), (Some(1), before));
    let none = tasks.many([4, 2]);
    assert_eq!((tasks.sim.block_on(first_failure(none)).unwrap(), tasks.sim.now()), (None, before + secs(4)));
}

/// WAIT-07. Being cancelled is another error than failing.
#[test]
fn a_cancelled_task_is_no_failure() {
    let tasks = Tasks::new();
    let [short, long] = tasks.many([2, 4]);
    assert!(short.cancel());
    assert_eq!((tasks.sim.block_on(first_failure([short, long])).unwrap(), tasks.sim.now()), (None, secs(4)));
    let cancelled = tasks.start(2);
    assert!(cancelled.cancel());
    assert_eq!(tasks.sim.block_on(as_completed([cancelled]).next()).unwrap(), Some((0, Err(Cancelled))));
}

/// Those that are done by a time, in order.
async fn by(tasks: &Tasks, time: u64, list: impl IntoIterator<Item = Task<Failing>>) -> Vec<usize> {
    let (mut some, mut done) = (as_completed(list), Vec::new());
    let all = async {
        while let Some((number, _)) = some.next().await {
            done.push(number);
        }
    };
    let in_time = tasks.sim.clock().timeout(secs(time), all).await;
    assert_eq!(in_time, if some.is_empty() { Ok(()) } else { Err(Elapsed) });
    done
}

/// WAIT-08, WAIT-09. What is done at the very moment counts as done; nothing is cancelled.
#[test]
fn a_timeout_gives_what_is_done_and_cancels_nothing() {
    let tasks = Tasks::new();
    let list = tasks.many([2, 8, 5, 4]);
    assert_eq!(tasks.sim.block_on(by(&tasks, 5, list)).unwrap(), [0, 3, 2]);
    assert_eq!((tasks.sim.now(), tasks.at_last()), (secs(5), (4, secs(8))));
}

/// WAIT-12. Differs: it is no error.
#[test]
fn nothing_to_wait_for_ends_at_once() {
    let (tasks, probe) = (Tasks::new(), Probe::new());
    assert_eq!(probe.now(as_completed(tasks.many([])).next()), None);
    assert_eq!(probe.now(gather(tasks.many([]))), []);
}

/// WAIT-15. Same.
#[test]
fn any_iterator_will_do() {
    let tasks = Tasks::new();
    let some = as_completed((1..=3).map(|n| tasks.start(2 * n)));
    let numbers = tasks.sim.block_on(some.map(|item| item.0).collect::<Vec<_>>());
    assert_eq!(numbers.unwrap(), [0, 1, 2]);
    let all = tasks.sim.block_on(gather((1..=2).rev().map(|n| tasks.start(2 * n)).collect::<Vec<_>>()));
    assert_eq!(all.unwrap(), [Ok(Ok(4)), Ok(Ok(2))]);
}
