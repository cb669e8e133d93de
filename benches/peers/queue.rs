//! Queues of items, by their two ends.
//!
//! crossbeam-queue's two have no waiters and are references: their futures are ready at once, or panic.

use std::future::{Future, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use crossbeam_queue::{ArrayQueue, SegQueue};
use embassy_sync::channel::Channel;

use crate::harness::{Peer, Role};
use crate::peers::Cs;

/// What is put: one word, or 256 bytes.
pub trait Item: Clone + Default + Send + Sync + 'static {
    /// An item that says `n`.
    fn of(n: u64) -> Self;
    /// What it says.
    fn says(&self) -> u64;
}

impl Item for u64 {
    fn of(n: u64) -> Self {
        n
    }
    fn says(&self) -> u64 {
        *self
    }
}

/// 256 bytes.
pub type Large = [u64; 32];

impl Item for Large {
    fn of(n: u64) -> Self {
        [n; 32]
    }
    fn says(&self) -> u64 {
        self[31]
    }
}

/// What the future of a get returns: the item, in the way of that crate.
pub trait Got<T> {
    /// The item.
    fn item(self) -> T;
}

impl<T> Got<T> for T {
    fn item(self) -> T {
        self
    }
}

impl<T, E> Got<T> for Result<T, E> {
    fn item(self) -> T {
        self.unwrap_or_else(|_| panic!("the queue is open"))
    }
}

impl<T> Got<T> for Option<T> {
    fn item(self) -> T {
        self.expect("the queue is open")
    }
}

/// The capacity of a queue that has none.
pub const UNBOUNDED: usize = usize::MAX;

/// A queue that tasks wait for.
pub trait Queue: Peer {
    /// What is in it.
    type Item: Item;
    /// The end that puts.
    type Tx: Clone + Send + Sync;
    /// The end that gets.
    type Rx: Send;

    /// The two ends of a queue of this capacity.
    fn open(capacity: usize) -> (Self::Tx, Self::Rx);
    /// Waits for room.
    fn put(tx: &Self::Tx, item: Self::Item) -> impl Future<Output = impl Sized>;
    /// Waits for an item.
    fn get(rx: &mut Self::Rx) -> impl Future<Output = impl Got<Self::Item>>;
    /// Puts if there is room.
    fn try_put(tx: &Self::Tx, item: Self::Item) -> bool;
    /// Gets if there is an item.
    fn try_get(rx: &mut Self::Rx) -> Option<Self::Item>;
}

/// A queue of which many may get.
pub trait Shared: Queue<Rx: Clone> {}

macro_rules! queue {
    ($(#[$doc:meta])* $adapter:ident [$(const $n:ident)?], $name:literal, $role:expr, $tx:ty, $rx:ty,
        |$capacity:ident| $open:expr, |$to:ident, $item:ident| $put:expr, $try_put:expr,
        |$from:ident| $get:expr, $try_get:expr) => {
        $(#[$doc])*
        pub struct $adapter<T $(, const $n: usize)?>(PhantomData<T>);

        impl<T $(, const $n: usize)?> Peer for $adapter<T $(, $n)?> {
            const NAME: &'static str = $name;
            const ROLE: Role = $role;
        }

        impl<T: Item $(, const $n: usize)?> Queue for $adapter<T $(, $n)?> {
            type Item = T;
            type Tx = $tx;
            type Rx = $rx;

            fn open($capacity: usize) -> (Self::Tx, Self::Rx) {
                $open
            }
            #[inline(always)]
            fn put($to: &Self::Tx, $item: T) -> impl Future<Output = impl Sized> {
                $put
            }
            #[inline(always)]
            fn get($from: &mut Self::Rx) -> impl Future<Output = impl Got<T>> {
                $get
            }
            #[inline(always)]
            fn try_put($to: &Self::Tx, $item: T) -> bool {
                $try_put
            }
            #[inline(always)]
            fn try_get($from: &mut Self::Rx) -> Option<T> {
                $try_get
            }
        }
    };
}

/// Both ends of a queue that has none of its own.
fn both<Q>(queue: Q) -> (Arc<Q>, Arc<Q>) {
    let queue = Arc::new(queue);
    (queue.clone(), queue)
}

queue!(
    /// This crate's, on the heap.
    Testudo [], "testudo Queue", Role::Own, Arc<testudo::Queue<T>>, Arc<testudo::Queue<T>>,
    |n| both(if n == UNBOUNDED { testudo::Queue::unbounded() } else { testudo::Queue::bounded(n) }),
    |tx, item| tx.put(item), tx.try_put(item).is_ok(), |rx| rx.get(), rx.try_get().ok()
);
queue!(
    /// This crate's, in place.
    TestudoArray [const N], "testudo ArrayQueue", Role::Own, Arc<testudo::ArrayQueue<T, N>>, Arc<testudo::ArrayQueue<T, N>>,
    |n| {
        assert_eq!(n, N);
        both(testudo::ArrayQueue::new())
    },
    |tx, item| tx.put(item), tx.try_put(item).is_ok(), |rx| rx.get(), rx.try_get().ok()
);
queue!(
    /// async-channel.
    AsyncChannel [], "async-channel", Role::Peer, async_channel::Sender<T>, async_channel::Receiver<T>,
    |n| if n == UNBOUNDED { async_channel::unbounded() } else { async_channel::bounded(n) },
    |tx, item| tx.send(item), tx.try_send(item).is_ok(), |rx| rx.recv(), rx.try_recv().ok()
);
queue!(
    /// flume: it loses wakeups at capacity 1.
    Flume [], "flume", Role::Peer, flume::Sender<T>, flume::Receiver<T>,
    |n| if n == UNBOUNDED { flume::unbounded() } else { flume::bounded(n) },
    |tx, item| tx.send_async(item), tx.try_send(item).is_ok(), |rx| rx.recv_async(), rx.try_recv().ok()
);
queue!(
    /// kanal: a spin lock.
    Kanal [], "kanal", Role::Peer, kanal::AsyncSender<T>, kanal::AsyncReceiver<T>,
    |n| if n == UNBOUNDED { kanal::unbounded_async() } else { kanal::bounded_async(n) },
    |tx, item| tx.send(item), matches!(tx.try_send(item), Ok(true)), |rx| rx.recv(), rx.try_recv().ok().flatten()
);
queue!(
    /// tokio: one getter.
    Tokio [], "tokio mpsc", Role::Peer, tokio::sync::mpsc::Sender<T>, tokio::sync::mpsc::Receiver<T>,
    |n| tokio::sync::mpsc::channel(n),
    |tx, item| tx.send(item), tx.try_send(item).is_ok(), |rx| rx.recv(), rx.try_recv().ok()
);
queue!(
    /// tokio, unbounded: one getter, and a put that is no future.
    TokioUnbounded [], "tokio mpsc", Role::Peer,
    tokio::sync::mpsc::UnboundedSender<T>, tokio::sync::mpsc::UnboundedReceiver<T>,
    |_n| tokio::sync::mpsc::unbounded_channel(),
    |tx, item| ready(tx.send(item)), tx.send(item).is_ok(), |rx| rx.recv(), rx.try_recv().ok()
);
queue!(
    /// thingbuf: one getter.
    Thingbuf [], "thingbuf mpsc", Role::Peer, thingbuf::mpsc::Sender<T>, thingbuf::mpsc::Receiver<T>,
    |n| thingbuf::mpsc::channel(n),
    |tx, item| tx.send(item), tx.try_send(item).is_ok(), |rx| rx.recv(), rx.try_recv().ok()
);
queue!(
    /// asyncband.
    Asyncband [], "asyncband mpmc", Role::Peer, asyncband::mpmc::BoundedSender<T>, asyncband::mpmc::BoundedReceiver<T>,
    |n| asyncband::mpmc::bounded(n),
    |tx, item| tx.send(item), tx.try_send(item).is_ok(), |rx| rx.recv(), rx.try_recv().ok()
);
queue!(
    /// asyncband, unbounded: a put is no future.
    AsyncbandUnbounded [], "asyncband mpmc", Role::Peer,
    asyncband::mpmc::UnboundedSender<T>, asyncband::mpmc::UnboundedReceiver<T>,
    |_n| asyncband::mpmc::unbounded(),
    |tx, item| ready(tx.send(item)), tx.send(item).is_ok(), |rx| rx.recv(), rx.try_recv().ok()
);
queue!(
    /// asyncband: one getter.
    AsyncbandMpsc [], "asyncband mpsc", Role::Peer, asyncband::mpsc::BoundedSender<T>, asyncband::mpsc::BoundedReceiver<T>,
    |n| asyncband::mpsc::bounded(n),
    |tx, item| tx.send(item), tx.try_send(item).is_ok(), |rx| rx.recv(), rx.try_recv().ok()
);
queue!(
    /// embassy-sync: one waker slot for getters and one for putters.
    Embassy [const N], "embassy-sync Channel (cs)", Role::Peer, Arc<Channel<Cs, T, N>>, Arc<Channel<Cs, T, N>>,
    |n| {
        assert_eq!(n, N);
        both(Channel::new())
    },
    |tx, item| tx.send(item), tx.try_send(item).is_ok(), |rx| rx.receive(), rx.try_receive().ok()
);
queue!(
    /// crossbeam-queue's bounded queue, which has no waiters.
    Crossbeam [], "crossbeam ArrayQueue", Role::Floor, Arc<ArrayQueue<T>>, Arc<ArrayQueue<T>>,
    |n| both(ArrayQueue::new(n)),
    |tx, item| ready(tx.push(item)), tx.push(item).is_ok(), |rx| ready(rx.pop()), rx.pop()
);
queue!(
    /// crossbeam-queue's unbounded queue, which has no waiters.
    CrossbeamSeg [], "crossbeam SegQueue", Role::Floor, Arc<SegQueue<T>>, Arc<SegQueue<T>>,
    |_n| both(SegQueue::new()),
    |tx, item| {
        tx.push(item);
        ready(())
    }, {
        tx.push(item);
        true
    }, |rx| ready(rx.pop()), rx.pop()
);

impl<T: Item> Shared for Testudo<T> {}
impl<T: Item, const N: usize> Shared for TestudoArray<T, N> {}
impl<T: Item> Shared for AsyncChannel<T> {}
impl<T: Item> Shared for Flume<T> {}
impl<T: Item> Shared for Kanal<T> {}
impl<T: Item> Shared for Asyncband<T> {}
impl<T: Item> Shared for AsyncbandUnbounded<T> {}
impl<T: Item, const N: usize> Shared for Embassy<T, N> {}
