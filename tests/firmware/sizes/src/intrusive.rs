//! futures-intrusive, with critical sections for locks.
use futures_intrusive::{
    buffer::ArrayBuf,
    channel::GenericChannel,
    sync::{GenericManualResetEvent, GenericMutex, GenericSemaphore},
};

use crate::{CsLock, Late, job};

pub static EVENT: Late<GenericManualResetEvent<CsLock>> = Late::new();
static LOCK: Late<GenericMutex<CsLock, u32>> = Late::new();
static PERMITS: Late<GenericSemaphore<CsLock>> = Late::new();
static QUEUE: Late<GenericChannel<CsLock, u32, ArrayBuf<u32, [u32; 4]>>> = Late::new();

/// The event.
pub fn event() -> &'static GenericManualResetEvent<CsLock> {
    // SAFETY: `make_event` comes before everything.
    unsafe { EVENT.get() }
}

/// Makes the event.
pub fn make_event() {
    // SAFETY: tasks begin with it, and interrupts come after that.
    unsafe { EVENT.init(GenericManualResetEvent::new(false)) }
}

fn make_lock() {
    // SAFETY: as in `make_event`.
    unsafe { LOCK.init(GenericMutex::new(0, true)) }
}

fn make_permits() {
    // SAFETY: as in `make_event`.
    unsafe { PERMITS.init(GenericSemaphore::new(true, 0)) }
}

fn make_queue() {
    // SAFETY: as in `make_event`.
    unsafe { QUEUE.init(GenericChannel::new()) }
}

async fn lock() {
    // SAFETY: made before.
    let lock = unsafe { LOCK.get() };
    *lock.lock().await += 1;
}

async fn acquire() {
    // SAFETY: made before.
    let permits = unsafe { PERMITS.get() };
    permits.acquire(1).await.disarm();
}

fn release() {
    // SAFETY: made before.
    unsafe { PERMITS.get() }.release(1);
}

async fn pass() {
    // SAFETY: made before.
    let queue = unsafe { QUEUE.get() };
    _ = queue.send(1).await;
    _ = queue.receive().await;
}

fn put() {
    // SAFETY: made before.
    _ = unsafe { QUEUE.get() }.try_send(2);
}

fn made<F>(make: fn(), job: F) -> F {
    make();
    job
}

job!(
    Event,
    {
        make_event();
        event().wait()
    },
    event().set()
);
job!(Mutex, made(make_lock, lock()), ());
job!(Semaphore, made(make_permits, acquire()), release());
job!(Channel, made(make_queue, pass()), put());
job!(
    All,
    {
        make_event();
        make_lock();
        make_permits();
        make_queue();
        async {
            event().wait().await;
            lock().await;
            acquire().await;
            pass().await;
        }
    },
    {
        event().set();
        release();
        put();
    }
);
