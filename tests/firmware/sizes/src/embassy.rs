//! embassy-sync, its interrupts masked by critical sections.
use embassy_sync::{
    blocking_mutex::raw::CriticalSectionRawMutex as Cs,
    channel::Channel as Queue,
    mutex::Mutex as Lock,
    semaphore::{FairSemaphore, GreedySemaphore, Semaphore as _},
    signal::Signal,
    watch,
};

use crate::job;

/// For one waiter.
pub static SIGNAL: Signal<Cs, ()> = Signal::new();
/// For as many as it has places.
pub static WATCH: watch::Watch<Cs, (), 20> = watch::Watch::new();
static LOCK: Lock<Cs, u32> = Lock::new(0);
static PERMITS: GreedySemaphore<Cs> = GreedySemaphore::new(0);
static FAIR: FairSemaphore<Cs, 4> = FairSemaphore::new(0);
static QUEUE: Queue<Cs, u32, 4> = Queue::new();

/// Waits in a place of its own.
pub async fn see() {
    if let Some(mut receiver) = WATCH.receiver() {
        receiver.get().await;
    }
}

async fn lock() {
    *LOCK.lock().await += 1;
}

async fn acquire() {
    let Ok(permit) = PERMITS.acquire(1).await;
    permit.disarm();
}

async fn acquire_fair() {
    if let Ok(permit) = FAIR.acquire(1).await {
        permit.disarm();
    }
}

async fn pass() {
    QUEUE.send(1).await;
    QUEUE.receive().await;
}

fn put() {
    _ = QUEUE.try_send(2);
}

job!(Event, SIGNAL.wait(), SIGNAL.signal(()));
job!(Watch, see(), WATCH.sender().send(()));
job!(Mutex, lock(), ());
job!(Semaphore, acquire(), PERMITS.release(1));
job!(Fair, acquire_fair(), FAIR.release(1));
job!(Channel, pass(), put());
job!(
    All,
    async {
        SIGNAL.wait().await;
        lock().await;
        acquire().await;
        pass().await;
    },
    {
        SIGNAL.signal(());
        PERMITS.release(1);
        put();
    }
);
