//! A thread is stopped at work on a line: of a semaphore, of a lock for readers and writers, of a queue.
use super::*;
use crate::{ArrayQueue, Permit, RwLock, Semaphore};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Cancel(usize),
    PollAgain(usize),
    /// What they wait for comes, for so many.
    Supply(usize),
    Close,
}
use Doing::*;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Supply(usize),
    /// Takes something, if it is there, and gives it back.
    Barge,
    /// Somebody gets in line, who needs no flag for that.
    Come,
    Close,
}

const CALLS: [&[Call]; 8] = [
    &[],
    &[Call::Come],
    &[Call::Supply(1)],
    &[Call::Supply(1), Call::Come, Call::Supply(1)],
    &[Call::Come, Call::Barge, Call::Supply(2), Call::Barge],
    &[Call::Supply(2), Call::Supply(2), Call::Supply(2)],
    &[Call::Close],
    &[Call::Supply(1), Call::Close, Call::Come],
];

/// Waiters in line, one of whom is busy when a thread is stopped, and one who comes later.
struct Line<'a> {
    rest: Vec<Waiter<'a, ()>>,
    busy: Option<(usize, Waiter<'a, ()>)>,
    late: Waiter<'a, ()>,
}

impl<'a> Line<'a> {
    fn new(doing: Doing, mut line: Vec<Waiter<'a, ()>>, late: Waiter<'a, ()>) -> Self {
        let busy = match doing {
            Cancel(at) | PollAgain(at) => Some((at, line.remove(at))),
            _ => None,
        };
        Self { rest: line, busy, late }
    }

    /// Who waits now, in order.
    fn join(mut self, came: bool) -> Vec<Waiter<'a, ()>> {
        assert!(wakes(&self.rest).iter().all(|&wakes| wakes <= 1));
        if let Some((at, busy)) = self.busy {
            self.rest.insert(at, busy);
        }
        self.rest.extend(came.then_some(self.late));
        self.rest.retain(|waiter| !waiter.is_done());
        self.rest
    }
}

/// Everything is quiet: those in front for whom there is something were woken; all of it is taken.
fn finish(mut line: Vec<Waiter<'_, ()>>, there: usize, closed: bool) {
    let served = if closed { line.len() } else { there.min(line.len()) };
    assert!(line[..served].iter().all(Waiter::is_due), "a wake-up is lost");
    assert_eq!(run(&mut line), served);
}

/// Each combination, stopped at each place in turn.
fn check(waiters: usize, case: impl Fn(usize, Doing, usize, &[Call]) -> bool) {
    let doings = [Cancel(0), Cancel(1), Cancel(waiters - 1), PollAgain(0), PollAgain(1), PollAgain(waiters - 1)];
    for (doing, before) in doings.into_iter().flat_map(|doing| [0, 1, 2].map(|before| (doing, before))) {
        CALLS.iter().for_each(|calls| at_each_place(|nth| case(nth, doing, before, calls)));
    }
    for doing in [Supply(1), Supply(2), Supply(waiters + 1), Close] {
        CALLS.iter().for_each(|calls| at_each_place(|nth| case(nth, doing, 0, calls)));
    }
}

fn comes(calls: &[Call]) -> bool {
    !EAGER && calls.contains(&Call::Come)
}

fn closes(doing: Doing, calls: &[Call]) -> bool {
    doing == Close || calls.contains(&Call::Close)
}

/// Calls the steps on other threads; Come: `come` is polled.
fn call_all<'env>(
    others: &Others<'_, 'env>,
    calls: &[Call],
    mut come: Option<&'env mut Waiter<'_, ()>>,
    call: impl Fn(Call) + Copy + Send + 'env,
) {
    for &step in calls {
        match step {
            Call::Come if EAGER => {}
            Call::Come => {
                let come = come.take().unwrap();
                others.call(|| come.poll()).unwrap_or_default();
            }
            step => others.call(move || call(step)),
        }
    }
}

mod semaphore {
    use super::*;

    const WAITERS: usize = 2 * BATCH + 2;

    fn case(nth: usize, doing: Doing, before: usize, calls: &[Call]) -> bool {
        let semaphore = Semaphore::new(0);
        let wait = || async { semaphore.acquire_checked(1).await.map_or((), Permit::forget) };
        let line = (0..WAITERS).map(|_| Waiter::begun(wait())).collect();
        let mut line = Line::new(doing, line, Waiter::new(wait()));
        semaphore.add_permits(before);
        let (shared, busy, late) = (&semaphore, &mut line.busy, &mut line.late);
        let op = move || match doing {
            Cancel(_) => *busy = None,
            PollAgain(_) => drop(busy.as_mut().unwrap().1.poll_elsewhere()),
            Supply(n) => shared.add_permits(n),
            Close => drop(shared.close()),
        };
        let reached = stop_at(nth, op, |others| {
            call_all(others, calls, Some(late), |call| match call {
                Call::Supply(n) => shared.add_permits(n),
                Call::Barge => drop(shared.try_acquire()),
                Call::Come => unreachable!("polled by itself"),
                Call::Close => drop(shared.close()),
            });
        });
        finish(line.join(comes(calls)), semaphore.available_permits(), closes(doing, calls));
        reached
    }

    #[test]
    fn signals_pass_whoever_works_on_the_line() {
        check(WAITERS, case);
    }
}

mod queue {
    use super::*;

    const WAITERS: usize = 2 * BATCH + 2;
    const ROOM: usize = WAITERS + 16;

    type Queue = ArrayQueue<u8, ROOM>;

    fn put(queue: &Queue, n: usize) {
        (0..n).for_each(|_| queue.try_put(0).unwrap_or_default()); // or it is closed
    }

    fn case(nth: usize, doing: Doing, before: usize, calls: &[Call]) -> bool {
        let queue = Queue::new();
        let wait = || async { queue.get().await.map_or((), |item| assert_eq!(item, 0)) };
        let line = (0..WAITERS).map(|_| Waiter::begun(wait())).collect();
        let mut line = Line::new(doing, line, Waiter::new(wait()));
        put(&queue, before);
        let (shared, busy, late) = (&queue, &mut line.busy, &mut line.late);
        let op = move || match doing {
            Cancel(_) => *busy = None,
            PollAgain(_) => drop(busy.as_mut().unwrap().1.poll_elsewhere()),
            Supply(n) => put(shared, n),
            Close => drop(shared.close()),
        };
        let reached = stop_at(nth, op, |others| {
            call_all(others, calls, Some(late), |call| match call {
                Call::Supply(n) => put(shared, n),
                Call::Barge => shared.try_get().map_or((), |item| shared.try_put(item).unwrap_or_default()),
                Call::Come => unreachable!("polled by itself"),
                Call::Close => drop(shared.close()),
            });
        });
        let line = line.join(comes(calls));
        if closes(doing, calls) {
            // Getters drain: they are told when the last item is gone.
            let (mut line, items) = (line, queue.len());
            assert!(line[..items.min(line.len())].iter().all(Waiter::is_due), "a wake-up is lost");
            assert_eq!(run(&mut line), line.len());
        } else {
            finish(line, queue.len(), false);
        }
        reached
    }

    #[test]
    fn signals_pass_whoever_works_on_the_getters_line() {
        check(WAITERS, case);
    }

    #[test]
    fn signals_pass_whoever_works_on_the_putters_line() {
        for (doing, gets) in
            [Cancel(0), Cancel(1), PollAgain(0), PollAgain(1)].into_iter().flat_map(|d| [(d, 0), (d, 1), (d, 2)])
        {
            at_each_place(|nth| {
                let queue = ArrayQueue::<u8, 2>::new();
                (0..2).for_each(|_| queue.try_put(0).unwrap());
                let wait = || async { queue.put(1).await.unwrap() };
                let line = (0..3).map(|_| Waiter::begun(wait())).collect();
                let mut line = Line::new(doing, line, Waiter::new(wait()));
                let (shared, busy, late) = (&queue, &mut line.busy, &mut line.late);
                let op = move || match doing {
                    Cancel(_) => *busy = None,
                    _ => drop(busy.as_mut().unwrap().1.poll_elsewhere()),
                };
                let reached = stop_at(nth, op, |others| {
                    call_all(others, &[Call::Come], Some(late), |_| unreachable!("polled by itself"));
                    (0..gets).for_each(|_| assert_eq!(others.call(|| shared.try_get()), Ok(0)));
                });
                finish(line.join(!EAGER), 2 - queue.len(), false);
                reached
            });
        }
    }
}

mod rwlock {
    use super::*;

    #[derive(Clone, Copy)]
    enum As {
        Reader,
        Upgradable,
        Writer,
    }

    const LINES: [&[As]; 4] = [
        &[As::Writer, As::Reader, As::Reader, As::Writer],
        &[As::Reader, As::Reader, As::Upgradable, As::Upgradable, As::Reader],
        &[As::Reader, As::Writer, As::Reader],
        &[As::Upgradable, As::Reader, As::Writer, As::Reader],
    ];

    fn enter(lock: &RwLock<u8>, what: As) -> Waiter<'_, ()> {
        Waiter::new(async move {
            match what {
                As::Reader => drop(lock.read().await),
                As::Upgradable => drop(lock.upgradable_read().await),
                As::Writer => drop(lock.write().await),
            }
        })
    }

    /// `free`: the lock is offered already when the operation begins.
    fn case(nth: usize, doing: Doing, line: &[As], free: bool) -> bool {
        let lock = RwLock::new(0);
        let mut guard = lock.try_write();
        let mut waiters: Vec<_> = line.iter().map(|&what| enter(&lock, what)).collect();
        waiters.iter_mut().for_each(|waiter| assert!(waiter.poll().is_none()));
        let mut line = Line::new(doing, waiters, enter(&lock, As::Reader));
        if free || matches!(doing, Supply(_)) {
            guard.take_if(|_| free);
        }
        let releases = guard.take_if(|_| matches!(doing, Supply(_)));
        let (shared, busy, late) = (&lock, &mut line.busy, &mut line.late);
        let op = move || match doing {
            Cancel(_) => *busy = None,
            PollAgain(_) => drop(busy.as_mut().unwrap().1.poll_elsewhere()),
            _ => drop(releases),
        };
        let reached = stop_at(nth, op, |others| {
            call_all(others, &[Call::Come], Some(late), |_| unreachable!("polled by itself"));
            others.call(|| drop(shared.try_read()));
            if let Some(guard) = guard {
                others.call(move || drop(guard.downgrade()));
            }
            others.call(|| drop(shared.try_write()));
            others.call(|| drop(shared.try_upgradable_read()));
        });
        let mut line = line.join(!EAGER);
        assert!(line.first().is_none_or(Waiter::is_due), "a wake-up is lost");
        assert_eq!(run(&mut line), line.len());
        assert!(!lock.is_locked());
        reached
    }

    #[test]
    fn signals_pass_whoever_works_on_the_line() {
        for line in LINES {
            for at in 0..line.len() {
                for (doing, free) in
                    [(Cancel(at), false), (Cancel(at), true), (PollAgain(at), false), (PollAgain(at), true)]
                {
                    at_each_place(|nth| case(nth, doing, line, free));
                }
            }
            at_each_place(|nth| case(nth, Supply(1), line, false));
        }
    }
}
