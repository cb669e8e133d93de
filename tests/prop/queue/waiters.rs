//! A queue with those who wait: every result and every wake-up, in its order, is that of two lines of the semaphore's model,
//! for items and for room, around the sequential queue; and joiners are told of every moment at which nothing is unfinished.
use std::{collections::HashMap, future::Future, pin::Pin};

use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::{ArrayQueue, Closed, Queue};

use crate::{
    config,
    hand::{Crew, Log, Seen, Which, which},
    model::{
        queue::{Kept, Model, Op as Try, Said, Verbs},
        semaphore::Semaphore,
    },
    regressions,
};

/// How often the first in line may be overtaken.
const LIMIT: u8 = 64;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put(u8),
    Get,
    Join,
}

#[derive(Clone, Debug)]
enum Op {
    /// A new wait; `begun`: it is polled once.
    Wait(Kind, bool),
    Poll(usize, Which),
    Cancel(usize),
    Try(Try),
    /// Gets an item and puts one, so many times.
    Barge(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![6 => any::<u8>().prop_map(Kind::Put), 6 => Just(Kind::Get), 1 => Just(Kind::Join)];
    let tried = prop_oneof![
        20 => any::<u8>().prop_map(Try::Put),
        20 => Just(Try::Get),
        12 => Just(Try::Done),
        1 => Just(Try::Close),
        1 => Just(Try::CloseNow),
    ];
    prop_oneof![
        10 => (kind, prop::bool::weighted(0.9)).prop_map(|(kind, begun)| Op::Wait(kind, begun)),
        10 => (0..64_usize, which()).prop_map(|(nth, which)| Op::Poll(nth, which)),
        4 => (0..64_usize).prop_map(Op::Cancel),
        6 => tried.prop_map(Op::Try),
        2 => prop_oneof![1..4_usize, 60..70_usize].prop_map(Op::Barge),
    ]
}

/// What waits, and returns what the sequential queue would say.
type Waits<'q> = dyn Future<Output = Said> + 'q;

/// The waits, for both types.
trait Queued: Verbs {
    fn wait(&self, kind: Kind) -> Pin<Box<Waits<'_>>>;
}

macro_rules! queued {
    ([$($gen:tt)*] $queue:ty) => {
        impl<$($gen)*> Queued for $queue {
            fn wait(&self, kind: Kind) -> Pin<Box<Waits<'_>>> {
                match kind {
                    Kind::Put(item) => {
                        let put = self.put(item);
                        Box::pin(async move {
                            match put.await {
                                Ok(()) => Said::Put(true),
                                Err(Closed(back)) if back == item => Said::Closed,
                                Err(_) => unreachable!("another item comes back"),
                            }
                        })
                    }
                    Kind::Get => {
                        let get = self.get();
                        Box::pin(async move { get.await.map_or(Said::Closed, Said::Got) })
                    }
                    Kind::Join => {
                        let join = self.join();
                        Box::pin(async move {
                            join.await;
                            Said::Count(0)
                        })
                    }
                }
            }
        }
    };
}
queued!([const N: usize] ArrayQueue<u8, N>);
queued!([] Queue<u8>);

/// Who joins, how many items must have been worked off at once, and whom to wake. None: told since the last poll.
struct Joiner {
    who: usize,
    need: usize,
    waker: Option<Which>,
}

struct Run<'q> {
    queue: &'q dyn Queued,
    model: Model,
    /// Its permits are the items.
    getters: Semaphore,
    /// Its permits are the room.
    putters: Semaphore,
    joiners: Vec<Joiner>,
    puts: usize,
    /// How many were put when nothing was unfinished last.
    settled: usize,
    crew: Crew<Waits<'q>>,
    kinds: HashMap<usize, (Kind, usize)>,
}

impl Run<'_> {
    fn step(&mut self, op: &Op) -> TestCaseResult {
        let mut woken = Vec::new();
        match *op {
            Op::Wait(kind, begun) => {
                let who = self.crew.add(self.queue.wait(kind));
                self.kinds.insert(who, (kind, self.puts));
                if begun {
                    self.poll(who, Which::A, &mut woken)?;
                }
            }
            Op::Poll(nth, which) => {
                if let Some(who) = self.crew.pick(nth) {
                    self.poll(who, which, &mut woken)?;
                }
            }
            Op::Cancel(nth) => {
                if let Some(who) = self.crew.pick(nth) {
                    self.crew.cancel(who);
                    match self.kinds[&who].0 {
                        Kind::Put(_) => self.putters.cancel(who, &mut woken),
                        Kind::Get => self.getters.cancel(who, &mut woken),
                        Kind::Join => self.joiners.retain(|joiner| joiner.who != who),
                    }
                }
            }
            Op::Try(tried) => self.try_it(tried, &mut woken)?,
            Op::Barge(times) => {
                for _ in 0..times {
                    self.try_it(Try::Get, &mut woken)?;
                    self.try_it(Try::Put(0), &mut woken)?;
                }
            }
        }
        prop_assert_eq!(self.crew.seen(), woken);
        prop_assert_eq!(self.queue.state(), (self.model.len(), self.model.unfinished, self.model.closed));
        Ok(())
    }

    fn poll(&mut self, who: usize, which: Which, woken: &mut Vec<Seen>) -> TestCaseResult {
        let got = self.crew.poll(who, which);
        let (kind, need) = self.kinds[&who];
        let expected = match kind {
            Kind::Put(item) => match self.putters.poll(who, 1, which, woken) {
                Some(Ok(_)) => Some(self.put(item, woken)),
                other => other.map(|_| Said::Closed),
            },
            Kind::Get => match self.getters.poll(who, 1, which, woken) {
                Some(Ok(_)) => Some(self.get(woken)),
                other => other.map(|_| Said::Closed),
            },
            Kind::Join => {
                self.joiners.retain(|joiner| joiner.who != who || self.settled < need);
                let waits = self.settled < need;
                match self.joiners.iter_mut().find(|joiner| joiner.who == who) {
                    Some(joiner) => joiner.waker = Some(which),
                    None if waits => self.joiners.push(Joiner { who, need, waker: Some(which) }),
                    None => {}
                }
                (!waits).then_some(Said::Count(0))
            }
        };
        prop_assert_eq!(got, expected, "{:?}", kind);
        Ok(())
    }

    /// An item goes in, for which there is room.
    fn put(&mut self, item: u8, woken: &mut Vec<Seen>) -> Said {
        self.puts += 1;
        self.getters.add(1, woken);
        self.model.step(Try::Put(item))
    }

    /// An item comes out, which is there.
    fn get(&mut self, woken: &mut Vec<Seen>) -> Said {
        let said = self.model.step(Try::Get);
        self.putters.add(1, woken);
        self.end(woken);
        said
    }

    /// Getters that are left when the queue is closed and drained are told.
    fn end(&mut self, woken: &mut Vec<Seen>) {
        if self.model.closed && self.model.len() == 0 {
            self.getters.close(woken);
        }
    }

    fn done(&mut self, woken: &mut Vec<Seen>) -> Said {
        let said = self.model.step(Try::Done);
        if said == Said::Put(true) && self.model.unfinished == 0 {
            self.settled = self.puts;
            for joiner in &mut self.joiners {
                assert!(joiner.need <= self.settled);
                woken.extend(joiner.waker.take().map(|waker| Seen::Woken(joiner.who, waker)));
            }
        }
        said
    }

    fn try_it(&mut self, tried: Try, woken: &mut Vec<Seen>) -> TestCaseResult {
        let said = self.queue.step(tried);
        let expected = match tried {
            Try::Put(_) if self.model.closed => Said::Closed,
            Try::Put(item) if self.putters.take(1) => self.put(item, woken),
            Try::Put(_) => Said::Full,
            Try::Get if self.getters.take(1) => self.get(woken),
            Try::Get if self.model.closed && self.model.len() == 0 => Said::Closed,
            Try::Get => Said::Empty,
            Try::Done => self.done(woken),
            Try::Close => {
                let said = self.model.step(Try::Close);
                self.putters.close(woken);
                self.end(woken);
                said
            }
            Try::CloseNow => {
                self.model.step(Try::Close);
                self.putters.close(woken);
                self.end(woken);
                let count = self.model.len();
                for _ in 0..count {
                    self.getters.free -= 1;
                    self.get(woken);
                    self.done(woken);
                }
                Said::Count(count)
            }
            Try::PutOrLeave(_) | Try::GetOrLeave => unreachable!("not in these scripts"),
        };
        prop_assert_eq!(said, expected, "{:?}", tried);
        Ok(())
    }
}

fn play(script: &[Op], queue: &dyn Queued, kept: Kept, capacity: usize) -> TestCaseResult {
    let mut run = Run {
        queue,
        model: Model::new(kept, capacity),
        getters: Semaphore::new(0, LIMIT),
        putters: Semaphore::new(capacity.min(1 << 32), LIMIT),
        joiners: vec![],
        puts: 0,
        settled: 0,
        crew: Crew::new(&Log::default()),
        kinds: HashMap::new(),
    };
    for (step, op) in script.iter().enumerate() {
        run.step(op).map_err(|error| TestCaseError::fail(format!("step {step}, {op:?}: {error}")))?;
    }
    // Everybody goes on in the end: what was got is not worked off, so that is said here.
    queue.step(Try::CloseNow);
    while queue.step(Try::Done) == Said::Put(true) {}
    run.crew.finish();
    Ok(())
}

proptest! {
    #![proptest_config(config(512, regressions!("queue_waiters")))]

    #[test]
    fn a_queue_with_waiters_is_as_its_model(script in vec(op(), 0..80)) {
        play(&script, &ArrayQueue::<_, 1>::new(), Kept::fifo(), 1)?;
        play(&script, &ArrayQueue::<_, 3>::new(), Kept::fifo(), 3)?;
        play(&script, &Queue::bounded(2), Kept::fifo(), 2)?;
        play(&script, &Queue::unbounded(), Kept::fifo(), usize::MAX)?;
        play(&script, &Queue::lifo(2), Kept::lifo(), 2)?;
        play(&script, &Queue::priority(2), Kept::heap(), 2)?;
    }
}
