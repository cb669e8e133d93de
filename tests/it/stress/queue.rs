//! Items on their way through queues while both sides give up now and then.
use std::sync::{
    Arc, Mutex as StdMutex,
    atomic::{AtomicUsize, Ordering::*},
};
use std::thread;

use testudo::{ArrayQueue, Closed, Queue, TryGetError, TryPutError, run::block_on};

use super::{Watchdog, perhaps, rounds, spin};
use crate::support::Rng;

/// The verbs, for both types.
trait Passage: Sync {
    async fn put(&self, item: Item) -> Result<(), Closed<Item>>;
    async fn get(&self) -> Result<Item, Closed>;
    fn try_put(&self, item: Item) -> Result<(), TryPutError<Item>>;
    fn try_get(&self) -> Result<Item, TryGetError>;
    fn put_blocking(&self, item: Item) -> Result<(), Closed<Item>>;
    fn get_blocking(&self) -> Result<Item, Closed>;
    fn done(&self) -> bool;
    fn close(&self);
}

macro_rules! passage {
    ([$($gen:tt)*] $queue:ty) => {
        impl<$($gen)*> Passage for $queue {
            async fn put(&self, item: Item) -> Result<(), Closed<Item>> {
                self.put(item).await
            }
            async fn get(&self) -> Result<Item, Closed> {
                self.get().await
            }
            fn try_put(&self, item: Item) -> Result<(), TryPutError<Item>> {
                self.try_put(item)
            }
            fn try_get(&self) -> Result<Item, TryGetError> {
                self.try_get()
            }
            fn put_blocking(&self, item: Item) -> Result<(), Closed<Item>> {
                self.put_blocking(item)
            }
            fn get_blocking(&self) -> Result<Item, Closed> {
                self.get_blocking()
            }
            fn done(&self) -> bool {
                self.task_done().is_ok()
            }
            fn close(&self) {
                self.close();
            }
        }
    };
}
passage!([const N: usize] ArrayQueue<Item, N>);
passage!([] Queue<Item>);

/// Who put it, and the how manieth it is.
type Item = (usize, Box<usize>);

/// `putters` threads put `each` items, `getters` threads get them. `ordered`: those of one putter come in order.
fn transfer(queue: &impl Passage, putters: usize, getters: usize, each: usize, ordered: bool, dog: &Watchdog) -> usize {
    let got = StdMutex::new(vec![vec![]; putters]);
    let (left, cancelled) = (AtomicUsize::new(putters), AtomicUsize::new(0));
    thread::scope(|s| {
        for id in 0..putters {
            let (left, cancelled) = (&left, &cancelled);
            s.spawn(move || {
                let mut rng = Rng::new(id as u64 + 1);
                let mut n = 0;
                while n < each {
                    let item = (id, Box::new(n));
                    let put = match rng.below(4) {
                        0 => queue.try_put(item).is_ok(),
                        1 => queue.put_blocking(item).is_ok(),
                        2 => block_on(queue.put(item)).is_ok(),
                        // What is given up was not put, and is put again.
                        _ => block_on(perhaps(queue.put(item), 4, &mut rng)).is_some(),
                    };
                    if put {
                        n += 1;
                        dog.step();
                    } else {
                        cancelled.fetch_add(1, Relaxed);
                    }
                    if rng.one_in(64) {
                        spin(&mut rng);
                    }
                }
                if left.fetch_sub(1, AcqRel) == 1 {
                    queue.close();
                }
            });
        }
        for id in 0..getters {
            let (got, cancelled) = (&got, &cancelled);
            s.spawn(move || {
                let mut rng = Rng::new(id as u64 + 100);
                let mut mine = vec![vec![]; putters];
                loop {
                    let item = match rng.below(4) {
                        0 => match queue.try_get() {
                            Ok(item) => Some(item),
                            Err(TryGetError::Empty) => None,
                            Err(TryGetError::Closed) => break,
                        },
                        1 => match queue.get_blocking() {
                            Ok(item) => Some(item),
                            Err(Closed(())) => break,
                        },
                        2 => match block_on(queue.get()) {
                            Ok(item) => Some(item),
                            Err(Closed(())) => break,
                        },
                        _ => match block_on(perhaps(queue.get(), 4, &mut rng)) {
                            Some(Ok(item)) => Some(item),
                            Some(Err(Closed(()))) => break,
                            None => None,
                        },
                    };
                    match item {
                        Some((from, n)) => {
                            mine[from].push(*n);
                            assert!(queue.done());
                        }
                        None => {
                            cancelled.fetch_add(1, Relaxed);
                        }
                    }
                    dog.step();
                    if rng.one_in(64) {
                        spin(&mut rng);
                    }
                }
                let mut got = got.lock().unwrap();
                for (all, mine) in got.iter_mut().zip(mine) {
                    assert!(!ordered || mine.is_sorted(), "items of one putter came out of order");
                    all.extend(mine);
                }
            });
        }
    });
    for mut all in got.into_inner().unwrap() {
        all.sort_unstable();
        assert!(all.into_iter().eq(0..each), "lost or doubled");
    }
    assert!(!queue.done(), "all were done");
    cancelled.into_inner()
}

/// Every item arrives exactly once, and in order for each who put.
#[test]
fn stress_queue_transfer() {
    let (each, dog) = (rounds(250_000), Watchdog::new("queue_transfer"));
    let mut cancelled = 0;
    cancelled += transfer(&Queue::bounded(64), 2, 2, each, true, &dog);
    cancelled += transfer(&Queue::unbounded(), 2, 2, each / 2, true, &dog);
    cancelled += transfer(&ArrayQueue::<_, 16>::new(), 1, 1, each / 2, true, &dog);
    // With little room most puts and gets wait.
    cancelled += transfer(&ArrayQueue::<_, 1>::new(), 2, 2, each / 16, true, &dog);
    cancelled += transfer(&ArrayQueue::<_, 2>::new(), 2, 2, each / 16, true, &dog);
    cancelled += transfer(&Queue::bounded(3), 3, 1, each / 16, true, &dog);
    cancelled += transfer(&Queue::lifo(4), 2, 2, each / 16, false, &dog);
    cancelled += transfer(&Queue::priority(4), 2, 2, each / 16, false, &dog);
    assert!(cancelled > 0);
}

/// What was put can be got, whoever closes when; who is refused gets the item back.
#[test]
fn stress_queue_close() {
    let (rounds, dog) = (rounds(20_000), Watchdog::new("queue_close"));
    let mut rng = Rng::new(5);
    for round in 0..rounds {
        let (queue, each) = if round % 5 == 4 { (Queue::unbounded(), 12) } else { (Queue::bounded(1 + round % 3), 4) };
        let queue = Arc::new(queue);
        let now = round % 4 == 0;
        let pause = rng.below(200);
        let (put, got, dropped) = thread::scope(|s| {
            let putters = [(); 2]
                .map(|()| s.spawn(|| (0..each).filter(|&item| queue.put_blocking(Box::new(item)).is_ok()).count()));
            let getter = s.spawn(|| core::iter::from_fn(|| queue.get_blocking().ok()).count());
            (0..pause).for_each(|_| core::hint::spin_loop());
            let dropped = if now { queue.close_now() } else { usize::from(!queue.close()) };
            let put: usize = putters.map(|putter| putter.join().unwrap()).into_iter().sum();
            (put, getter.join().unwrap(), dropped)
        });
        assert_eq!(put, got + dropped);
        assert_eq!(queue.unfinished(), got);
        dog.step();
    }
}

/// Nobody who joins is left behind, and nobody goes on before its own item was worked off.
#[test]
fn stress_queue_join() {
    let (rounds, dog) = (rounds(20_000), Watchdog::new("queue_join"));
    let queue = ArrayQueue::<Arc<AtomicUsize>, 2>::new();
    thread::scope(|s| {
        for id in 0..2 {
            let (queue, dog) = (&queue, &dog);
            s.spawn(move || {
                let mut rng = Rng::new(id + 1);
                for _ in 0..rounds {
                    let item = Arc::new(AtomicUsize::new(0));
                    queue.put_blocking(item.clone()).unwrap();
                    while block_on(perhaps(queue.join(), 2, &mut rng)).is_none() {}
                    assert_eq!(item.load(Relaxed), 1);
                    dog.step();
                }
            });
        }
        s.spawn(|| {
            for _ in 0..2 * rounds {
                queue.get_blocking().unwrap().store(1, Relaxed);
                queue.task_done().unwrap();
            }
        });
    });
}
