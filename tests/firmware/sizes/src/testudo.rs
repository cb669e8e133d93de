//! This crate.
use testudo::{ArrayQueue, Event as Flag, Mutex as Lock, Semaphore as Permits};

use crate::job;

pub static EVENT: Flag = Flag::new();
static LOCK: Lock<u32> = Lock::new(0);
static PERMITS: Permits = Permits::new(0);
static QUEUE: ArrayQueue<u32, 4> = ArrayQueue::new();

async fn lock() {
    *LOCK.lock().await += 1;
}

async fn acquire() {
    PERMITS.acquire().await.forget();
}

async fn pass() {
    _ = QUEUE.put(1).await;
    _ = QUEUE.get().await;
}

fn put() {
    _ = QUEUE.try_put(2);
}

job!(Event, EVENT.wait(), EVENT.set());
job!(Mutex, lock(), ());
job!(Semaphore, acquire(), PERMITS.add_permits(1));
job!(Channel, pass(), put());
job!(
    All,
    async {
        EVENT.wait().await;
        lock().await;
        acquire().await;
        pass().await;
    },
    {
        EVENT.set();
        PERMITS.add_permits(1);
        put();
    }
);
