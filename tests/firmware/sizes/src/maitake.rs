//! maitake-sync, with critical sections for locks; it has no channel.
use maitake_sync::{Mutex as Lock, Semaphore as Permits, WaitCell, WaitQueue};
use mutex_traits::ConstInit;

use crate::{CsLock, job};

pub static QUEUE: WaitQueue = WaitQueue::new();
/// For one waiter.
static CELL: WaitCell = WaitCell::new();
static LOCK: Lock<u32> = Lock::new(0);
static PERMITS: Permits<CsLock> = Permits::new_with_raw_mutex(0, CsLock::INIT);

async fn wait() {
    _ = QUEUE.wait().await;
}

async fn wait_alone() {
    _ = CELL.wait().await;
}

async fn lock() {
    *LOCK.lock().await += 1;
}

async fn acquire() {
    if let Ok(permit) = PERMITS.acquire(1).await {
        permit.forget();
    }
}

job!(Event, wait(), QUEUE.wake_all());
job!(Cell, wait_alone(), _ = CELL.wake());
job!(Mutex, lock(), ());
job!(Semaphore, acquire(), PERMITS.add_permits(1));
job!(
    All,
    async {
        wait().await;
        lock().await;
        acquire().await;
    },
    {
        QUEUE.wake_all();
        PERMITS.add_permits(1);
    }
);
