//! Sizes, and Send, Sync and Unpin in both directions, of every public type.
use core::{
    cell::{Cell, RefCell},
    fmt::Debug,
    marker::PhantomData,
};
use std::{rc::Rc, sync::Arc};

use futures_core::FusedFuture;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use testudo::{
    ArrayQueue, Barrier, BarrierTurn, BoundedSemaphore, BrokenBarrier, Closed, Condition, ConditionGuard, Event,
    Handle, Mutex, MutexGuard, OnceCell, Permit, Queue, RwLock, RwLockReadGuard, RwLockUpgradableGuard,
    RwLockWriteGuard, Semaphore, SemaphoreClosed, TooManyPermits, TryGetError, TryPutError,
    sync::{
        Acquire, AcquireChecked, BarrierWait, ConditionLock, ConditionWait, ConditionWaitFor, EventWait, Get, Lock,
        OnceWait, Permits, Put, PutAll, QueueJoin, QueueStream, Read, UpgradableRead, Upgrade, Write,
    },
};

/// Sync and not Send, like a guard of the standard library.
type SyncNotSend = std::sync::MutexGuard<'static, u8>;
/// Neither.
type Neither = Rc<u8>;
/// Send and not Sync.
type SendNotSync = Cell<u8>;

type A<T> = Arc<T>;
type R<T> = &'static T;
type P<T> = fn(&T) -> bool;

// ---- sizes

#[cfg(target_pointer_width = "64")]
#[test]
fn primitives_have_two_words_and_a_condition_four() {
    assert!(size_of::<Event>() <= 16);
    assert!(size_of::<Mutex<()>>() <= 16);
    assert!(size_of::<Condition<()>>() <= 32);
    assert!(size_of::<Semaphore>() <= 16);
    assert!(size_of::<BoundedSemaphore>() <= 24);
    assert!(size_of::<Mutex<u64>>() <= 16 + 8);
    assert!(size_of::<Condition<u64>>() <= 32 + 8);
    assert!(size_of::<Barrier>() <= 32);
    assert!(size_of::<OnceCell<()>>() <= 16);
    assert!(size_of::<OnceCell<u64>>() <= 16 + 8);
    assert!(size_of::<BarrierTurn>() <= 16 && size_of::<Result<(), BrokenBarrier>>() <= 1);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn futures_have_six_words() {
    assert!(size_of::<EventWait<R<Event>>>() <= 48);
    assert!(size_of::<EventWait<A<Event>>>() <= 48);
    assert!(size_of::<Lock<'static, ()>>() <= 48);
    assert!(size_of::<Lock<'static, [u64; 100], A<Mutex<[u64; 100]>>>>() <= 48);
    assert!(size_of::<ConditionLock<'static, ()>>() <= 48);
    assert!(size_of::<ConditionLock<'static, (), A<Condition<()>>>>() <= 48);
    assert!(size_of::<ConditionWait<'static, ()>>() <= 48);
    assert!(size_of::<ConditionWait<'static, (), A<Condition<()>>>>() <= 48);
    assert!(size_of::<BarrierWait<R<Barrier>>>() <= 48);
    assert!(size_of::<BarrierWait<A<Barrier>>>() <= 48);
    assert!(size_of::<OnceWait<'static, [u64; 100]>>() <= 48);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn an_initializer_adds_its_own_size_and_little_more() {
    let cell = OnceCell::<u64>::new();
    assert!(size_of_val(&cell.get_or_init(async || 1)) <= 112);
    let bytes = [0_u8; 1000];
    // The closure, then its future.
    assert!(size_of_val(&cell.get_or_init(async move || u64::from(bytes[0]))) <= 112 + 2 * 1000);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn an_acquire_has_eight_words_and_a_permit_two() {
    assert!(size_of::<Acquire<R<Semaphore>>>() <= 64);
    assert!(size_of::<Acquire<A<BoundedSemaphore>>>() <= 64);
    assert!(size_of::<AcquireChecked<A<Semaphore>>>() <= 64);
    assert!(size_of::<Permit<R<Semaphore>>>() <= 16);
    assert!(size_of::<Option<Permit<A<Semaphore>>>>() <= 16);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_readers_writer_lock_has_four_words_and_its_futures_eight() {
    assert_eq!(size_of::<RwLock<()>>(), 24);
    assert_eq!(size_of::<RwLock<u64>>(), 32);
    assert!(size_of::<Read<'static, ()>>() <= 64);
    assert!(size_of::<Write<'static, [u64; 100], A<RwLock<[u64; 100]>>>>() <= 64);
    assert!(size_of::<UpgradableRead<'static, ()>>() <= 64);
    assert!(size_of::<Upgrade<'static, (), A<RwLock<()>>>>() <= 64);
    assert!(size_of::<RwLockReadGuard<'static, ()>>() == 8 && size_of::<RwLockUpgradableGuard<'static, ()>>() == 8);
    assert!(size_of::<Option<RwLockWriteGuard<'static, ()>>>() <= 16);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_predicate_adds_its_own_size_and_a_word() {
    fn check<T: FnMut(&()) -> bool + Send + 'static>(predicate: T) {
        let cond = Condition::new(());
        let size = size_of_val(&cond.wait_until(predicate));
        let limit = (56 + size_of::<T>()).next_multiple_of(16);
        assert!(size <= limit, "{size} > {limit} for {}", size_of::<T>());
    }
    check(|()| true);
    let word = 1_u64;
    check(move |()| word == 0);
    let many = [1_u64; 10];
    check(move |()| many[0] == 0);
    let byte = 1_u8;
    check(move |()| byte == 0);
    check((|()| true) as P<()>);
}

#[test]
fn guards_are_a_handle_and_a_flag() {
    assert!(size_of::<MutexGuard<'static, ()>>() <= 2 * size_of::<usize>());
    assert!(size_of::<ConditionGuard<'static, ()>>() <= 2 * size_of::<usize>());
    assert!(size_of::<Option<MutexGuard<'static, ()>>>() <= 2 * size_of::<usize>());
}

// ---- Send and Sync: primitives

assert_impl_all!(Event: Send, Sync, Unpin, Debug, Default);

assert_impl_all!(Mutex<u8>: Send, Sync, Unpin, Debug, Default, From<u8>);
assert_impl_all!(Mutex<SendNotSync>: Send, Sync);
assert_not_impl_any!(Mutex<Neither>: Send, Sync);
assert_not_impl_any!(Mutex<SyncNotSend>: Send, Sync);
assert_not_impl_any!(Mutex<*const u8>: Send, Sync);
assert_impl_all!(Mutex<dyn Debug + Send>: Send, Sync);
assert_not_impl_any!(Mutex<dyn Debug + Sync>: Send, Sync);

assert_impl_all!(Condition<u8>: Send, Sync, Unpin, Debug, Default, From<u8>);
assert_impl_all!(Condition<SendNotSync>: Send, Sync);
assert_not_impl_any!(Condition<Neither>: Send, Sync);
assert_not_impl_any!(Condition<SyncNotSend>: Send, Sync);
assert_not_impl_any!(Condition<*const u8>: Send, Sync);
assert_impl_all!(Condition<[SendNotSync]>: Send, Sync);

assert_impl_all!(Semaphore: Send, Sync, Unpin, Debug, Permits, core::panic::RefUnwindSafe);
assert_impl_all!(BoundedSemaphore: Send, Sync, Unpin, Debug, Permits, core::panic::RefUnwindSafe);
assert_not_impl_any!(Semaphore: Clone, Copy, Default);
assert_impl_all!(SemaphoreClosed: Send, Sync, Copy, core::error::Error);
assert_impl_all!(TooManyPermits: Send, Sync, Copy, core::error::Error);
// Readers on several threads share the data, and a writer may move it to its own: Sync needs both.
assert_impl_all!(RwLock<u8>: Send, Sync, Unpin, Debug, Default, From<u8>);
assert_impl_all!(RwLock<SendNotSync>: Send);
assert_not_impl_any!(RwLock<SendNotSync>: Sync);
assert_not_impl_any!(RwLock<SyncNotSend>: Send, Sync);
assert_not_impl_any!(RwLock<Neither>: Send, Sync);
assert_impl_all!(RwLock<dyn Debug + Send + Sync>: Send, Sync);
assert_not_impl_any!(RwLock<dyn Debug + Send>: Sync);
assert_not_impl_any!(RwLock<dyn Debug + Sync>: Send, Sync);
assert_impl_all!(Barrier: Send, Sync, Unpin, Debug);
assert_impl_all!(BarrierTurn: Send, Sync, Unpin, Debug, Copy);
assert_impl_all!(BrokenBarrier: Send, Sync, Unpin, Debug, Copy, core::error::Error);

// All threads may look at the value, and any may put it in or drop it.
assert_impl_all!(OnceCell<u8>: Send, Sync, Unpin, Debug, Default, From<u8>, Clone);
assert_impl_all!(OnceCell<SendNotSync>: Send);
assert_not_impl_any!(OnceCell<SendNotSync>: Sync);
assert_not_impl_any!(OnceCell<SyncNotSend>: Send, Sync);
assert_not_impl_any!(OnceCell<Neither>: Send, Sync);
assert_not_impl_any!(OnceCell<*const u8>: Send, Sync);
assert_impl_all!(OnceCell<Neither>: Unpin, Default);
assert_impl_all!(ArrayQueue<u8, 1>: Send, Sync, Unpin, Debug, Default);
assert_impl_all!(ArrayQueue<SendNotSync, 1>: Send, Sync);
assert_not_impl_any!(ArrayQueue<Neither, 1>: Send, Sync);
assert_not_impl_any!(ArrayQueue<SyncNotSend, 1>: Send, Sync);
assert_not_impl_any!(ArrayQueue<*const u8, 1>: Send, Sync);
assert_impl_all!(Queue<u8>: Send, Sync, Unpin, Debug);
assert_impl_all!(Queue<SendNotSync>: Send, Sync);
assert_not_impl_any!(Queue<Neither>: Send, Sync);
assert_not_impl_any!(Queue<SyncNotSend>: Send, Sync);
assert_not_impl_any!(Queue<*const u8>: Send, Sync);
assert_impl_all!(Closed<u8>: Send, Sync, Debug, core::error::Error);
assert_impl_all!(TryPutError<u8>: Send, Sync, Debug, core::error::Error);
assert_impl_all!(TryGetError: Send, Sync, Debug, core::error::Error);

// ---- Send and Sync: guards

assert_impl_all!(Permit<R<Semaphore>>: Send, Sync, Unpin, Debug);
assert_impl_all!(Permit<A<Semaphore>>: Send, Sync, Unpin, Debug);
assert_impl_all!(Permit<A<BoundedSemaphore>>: Send, Sync);
assert_not_impl_any!(Permit<Rc<Semaphore>>: Send, Sync);
assert_not_impl_any!(Permit<R<Semaphore>>: Clone, Copy);

assert_impl_all!(MutexGuard<'static, u8>: Send, Sync, Debug);
assert_impl_all!(MutexGuard<'static, SendNotSync>: Send);
assert_not_impl_any!(MutexGuard<'static, SendNotSync>: Sync);
assert_not_impl_any!(MutexGuard<'static, Neither>: Send, Sync);
// A shared guard leads to the lock, and the lock to the data by value: Sync is not enough.
assert_not_impl_any!(MutexGuard<'static, SyncNotSend>: Send, Sync);
assert_impl_all!(MutexGuard<'static, u8, A<Mutex<u8>>>: Send, Sync);
assert_impl_all!(MutexGuard<'static, SendNotSync, A<Mutex<SendNotSync>>>: Send);
assert_not_impl_any!(MutexGuard<'static, SendNotSync, A<Mutex<SendNotSync>>>: Sync);
assert_not_impl_any!(MutexGuard<'static, SyncNotSend, A<Mutex<SyncNotSend>>>: Send, Sync);
assert_not_impl_any!(MutexGuard<'static, u8, Rc<Mutex<u8>>>: Send, Sync);
// A guard of a lock around a guard.
assert_impl_all!(MutexGuard<'static, MutexGuard<'static, SendNotSync>>: Send);
assert_not_impl_any!(MutexGuard<'static, MutexGuard<'static, SendNotSync>>: Sync);

assert_impl_all!(ConditionGuard<'static, u8>: Send, Sync, Debug);
assert_impl_all!(ConditionGuard<'static, SendNotSync>: Send);
assert_not_impl_any!(ConditionGuard<'static, SendNotSync>: Sync);
assert_not_impl_any!(ConditionGuard<'static, Neither>: Send, Sync);
assert_not_impl_any!(ConditionGuard<'static, SyncNotSend>: Send, Sync);
assert_impl_all!(ConditionGuard<'static, u8, A<Condition<u8>>>: Send, Sync);
assert_impl_all!(ConditionGuard<'static, SendNotSync, A<Condition<SendNotSync>>>: Send);
assert_not_impl_any!(ConditionGuard<'static, SendNotSync, A<Condition<SendNotSync>>>: Sync);
assert_not_impl_any!(ConditionGuard<'static, u8, Rc<Condition<u8>>>: Send, Sync);

macro_rules! guards_and_futures_of_a_readers_writer_lock {
    ($($guard:ident)+; $($future:ident)+) => {
        $(assert_impl_all!($guard<'static, u8>: Send, Sync, Debug);
        assert_impl_all!($guard<'static, u8, A<RwLock<u8>>>: Send, Sync);
        // It leads to the lock, and the lock to the data of a reader on another thread, and by value to that of a writer.
        assert_not_impl_any!($guard<'static, SendNotSync>: Send, Sync);
        assert_not_impl_any!($guard<'static, SendNotSync, A<RwLock<SendNotSync>>>: Send, Sync);
        assert_not_impl_any!($guard<'static, SyncNotSend>: Send, Sync);
        assert_not_impl_any!($guard<'static, SyncNotSend, A<RwLock<SyncNotSend>>>: Send, Sync);
        assert_not_impl_any!($guard<'static, Neither>: Send, Sync);
        assert_not_impl_any!($guard<'static, u8, Rc<RwLock<u8>>>: Send, Sync);)+
        $(assert_impl_all!($future<'static, u8>: Send, Sync, FusedFuture, Debug);
        assert_impl_all!($future<'static, u8, A<RwLock<u8>>>: Send, Sync);
        assert_not_impl_any!($future<'static, SendNotSync>: Send, Sync);
        assert_not_impl_any!($future<'static, SendNotSync, A<RwLock<SendNotSync>>>: Send, Sync);
        assert_not_impl_any!($future<'static, SyncNotSend>: Send, Sync);
        assert_not_impl_any!($future<'static, Neither>: Send, Sync);
        assert_not_impl_any!($future<'static, u8, Rc<RwLock<u8>>>: Send, Sync);
        assert_not_impl_any!($future<'static, u8>: Unpin);
        assert_not_impl_any!($future<'static, u8, A<RwLock<u8>>>: Unpin);)+
    };
}
guards_and_futures_of_a_readers_writer_lock! {
    RwLockReadGuard RwLockWriteGuard RwLockUpgradableGuard; Read Write UpgradableRead Upgrade
}

// ---- Send, Sync and Unpin: futures

assert_impl_all!(EventWait<R<Event>>: Send, Sync, FusedFuture, Debug);
assert_impl_all!(EventWait<A<Event>>: Send, Sync, FusedFuture, Debug);
assert_not_impl_any!(EventWait<Rc<Event>>: Send, Sync);
assert_not_impl_any!(EventWait<R<Event>>: Unpin);
assert_not_impl_any!(EventWait<A<Event>>: Unpin);

assert_impl_all!(Acquire<R<Semaphore>>: Send, Sync, FusedFuture, Debug);
assert_impl_all!(Acquire<A<Semaphore>>: Send, Sync, FusedFuture, Debug);
assert_impl_all!(Acquire<A<BoundedSemaphore>>: Send, Sync);
assert_not_impl_any!(Acquire<Rc<Semaphore>>: Send, Sync);
assert_not_impl_any!(Acquire<R<Semaphore>>: Unpin);
assert_impl_all!(AcquireChecked<R<Semaphore>>: Send, Sync, FusedFuture, Debug);
assert_impl_all!(AcquireChecked<A<Semaphore>>: Send, Sync);
assert_not_impl_any!(AcquireChecked<Rc<Semaphore>>: Send, Sync);
assert_not_impl_any!(AcquireChecked<R<Semaphore>>: Unpin);
assert_impl_all!(BarrierWait<R<Barrier>>: Send, Sync, FusedFuture, Debug);
assert_impl_all!(BarrierWait<A<Barrier>>: Send, Sync, FusedFuture, Debug);
assert_not_impl_any!(BarrierWait<Rc<Barrier>>: Send, Sync);
assert_not_impl_any!(BarrierWait<R<Barrier>>: Unpin);
assert_not_impl_any!(BarrierWait<A<Barrier>>: Unpin);

assert_impl_all!(OnceWait<'static, u8>: Send, Sync, FusedFuture, Debug);
assert_not_impl_any!(OnceWait<'static, SendNotSync>: Send, Sync);
assert_not_impl_any!(OnceWait<'static, SyncNotSend>: Send, Sync);
assert_not_impl_any!(OnceWait<'static, Neither>: Send, Sync);
assert_not_impl_any!(OnceWait<'static, u8>: Unpin);

assert_impl_all!(Lock<'static, u8>: Send, Sync, FusedFuture, Debug);
assert_impl_all!(Lock<'static, SendNotSync>: Send);
assert_impl_all!(Lock<'static, SendNotSync, A<Mutex<SendNotSync>>>: Send);
assert_not_impl_any!(Lock<'static, Neither>: Send, Sync);
assert_not_impl_any!(Lock<'static, SyncNotSend>: Send, Sync);
assert_not_impl_any!(Lock<'static, u8, Rc<Mutex<u8>>>: Send, Sync);
assert_not_impl_any!(Lock<'static, u8>: Unpin);
assert_not_impl_any!(Lock<'static, u8, A<Mutex<u8>>>: Unpin);

assert_impl_all!(ConditionLock<'static, u8>: Send, Sync, FusedFuture, Debug);
assert_impl_all!(ConditionLock<'static, SendNotSync>: Send);
assert_not_impl_any!(ConditionLock<'static, Neither>: Send, Sync);
assert_not_impl_any!(ConditionLock<'static, SyncNotSend>: Send, Sync);
assert_not_impl_any!(ConditionLock<'static, u8, Rc<Condition<u8>>>: Send, Sync);
assert_not_impl_any!(ConditionLock<'static, u8>: Unpin);

assert_impl_all!(ConditionWait<'static, u8>: Send, Sync, FusedFuture, Debug);
assert_impl_all!(ConditionWait<'static, SendNotSync>: Send);
assert_not_impl_any!(ConditionWait<'static, Neither>: Send, Sync);
assert_not_impl_any!(ConditionWait<'static, SyncNotSend>: Send, Sync);
assert_not_impl_any!(ConditionWait<'static, u8, Rc<Condition<u8>>>: Send, Sync);
assert_not_impl_any!(ConditionWait<'static, u8>: Unpin);

assert_impl_all!(ConditionWaitFor<'static, u8, P<u8>>: Send, FusedFuture, Debug);
assert_impl_all!(ConditionWaitFor<'static, SendNotSync, P<SendNotSync>>: Send);
assert_impl_all!(ConditionWaitFor<'static, u8, P<u8>, A<Condition<u8>>>: Send);
assert_not_impl_any!(ConditionWaitFor<'static, Neither, P<Neither>>: Send, Sync);
assert_not_impl_any!(ConditionWaitFor<'static, SyncNotSend, P<SyncNotSend>>: Send, Sync);
assert_not_impl_any!(ConditionWaitFor<'static, u8, P<u8>, Rc<Condition<u8>>>: Send, Sync);
assert_not_impl_any!(ConditionWaitFor<'static, u8, P<u8>>: Unpin);

assert_impl_all!(Put<R<Queue<u8>>>: Send, Sync, FusedFuture, Debug);
assert_impl_all!(Put<A<Queue<SendNotSync>>>: Send, Sync);
assert_not_impl_any!(Put<R<Queue<Neither>>>: Send, Sync);
assert_not_impl_any!(Put<R<Queue<SyncNotSend>>>: Send, Sync);
assert_not_impl_any!(Put<Rc<Queue<u8>>>: Send, Sync);
assert_not_impl_any!(Put<R<Queue<u8>>>: Unpin);
assert_impl_all!(Get<R<ArrayQueue<u8, 1>>>: Send, Sync, FusedFuture, Debug);
assert_impl_all!(Get<A<ArrayQueue<SendNotSync, 1>>>: Send, Sync);
assert_not_impl_any!(Get<R<ArrayQueue<Neither, 1>>>: Send, Sync);
assert_not_impl_any!(Get<R<ArrayQueue<SyncNotSend, 1>>>: Send, Sync);
assert_not_impl_any!(Get<Rc<ArrayQueue<u8, 1>>>: Send, Sync);
assert_not_impl_any!(Get<R<ArrayQueue<u8, 1>>>: Unpin);
assert_impl_all!(QueueJoin<A<Queue<u8>>>: Send, Sync, FusedFuture, Debug);
assert_not_impl_any!(QueueJoin<A<Queue<Neither>>>: Send, Sync);
assert_not_impl_any!(QueueJoin<R<Queue<u8>>>: Unpin);
assert_impl_all!(QueueStream<A<Queue<u8>>>: Send, Sync, futures_core::FusedStream, Debug);
assert_not_impl_any!(QueueStream<A<Queue<Neither>>>: Send, Sync);
assert_not_impl_any!(QueueStream<R<Queue<u8>>>: Unpin);
assert_impl_all!(PutAll<A<Queue<u8>>, core::ops::Range<u8>>: Send, Sync, FusedFuture, Debug);
assert_not_impl_any!(PutAll<A<Queue<Neither>>, core::iter::Empty<Neither>>: Send, Sync);
assert_not_impl_any!(PutAll<R<Queue<u8>>, core::ops::Range<u8>>: Unpin);

/// A predicate that is Send and not Sync makes a future that is Send; no predicate makes one that is shared.
#[test]
fn a_wait_with_a_predicate_is_send() {
    fn is_send<T: Send>(_: &T) {}
    let cond = Condition::new(0_u8);
    let state = Cell::new(0);
    is_send(&cond.wait_until(move |n| state.replace(*n) == *n));
    let shared = Arc::new(Condition::new(0_u8));
    let state = RefCell::new(0);
    is_send(&Condition::wait_until_with(shared, move |n| *state.borrow() == *n));
}

#[test]
fn futures_of_owned_handles_outlive_everything() {
    fn is_static<T: 'static + Send>(_: T) {}
    is_static(Event::wait_with(Arc::new(Event::new())));
    is_static(Mutex::lock_with(Arc::new(Mutex::new(1))));
    is_static(Semaphore::acquire_with(Arc::new(Semaphore::new(1)), 1));
    is_static(Semaphore::try_acquire_with(Arc::new(BoundedSemaphore::new(1)), 1));
    is_static(Mutex::try_lock_with(Arc::new(Mutex::new(1))));
    is_static(RwLock::read_with(Arc::new(RwLock::new(1))));
    is_static(RwLock::try_upgradable_read_with(Arc::new(RwLock::new(1))).map(RwLockUpgradableGuard::upgrade));
    is_static(Condition::lock_with(Arc::new(Condition::new(1))));
    is_static(Condition::wait_until_with(Arc::new(Condition::new(1)), |_| true));
}

assert_impl_all!(A<Event>: Handle);
assert_impl_all!(Rc<Event>: Handle);
assert_impl_all!(R<Event>: Handle);
assert_not_impl_any!(Box<Event>: Handle);
assert_not_impl_any!(core::pin::Pin<&'static Event>: Handle);
assert_not_impl_any!(&'static mut Event: Handle);

// ---- const

static EVENT: Event = Event::new();
static QUEUE: ArrayQueue<Vec<u8>, 3> = ArrayQueue::new();
static MUTEX: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static CONDITION: Condition<Option<Box<u8>>> = Condition::new(None);
static SEMAPHORE: Semaphore = Semaphore::new(3);
static BOUNDED: BoundedSemaphore = BoundedSemaphore::new(2);
static BARRIER: Barrier = Barrier::new(1);
static ONCE: OnceCell<Vec<u8>> = OnceCell::new();
static PHANTOM: Mutex<PhantomData<u8>> = Mutex::new(PhantomData);

#[test]
fn constructors_are_const() {
    EVENT.set();
    assert!(EVENT.is_set());
    QUEUE.try_put(vec![1]).unwrap();
    assert_eq!(QUEUE.try_get(), Ok(vec![1]));
    MUTEX.try_lock().unwrap().push(1);
    assert_eq!(MUTEX.try_lock().unwrap().len(), 1);
    *CONDITION.try_lock().unwrap() = Some(Box::new(2));
    assert_eq!(CONDITION.try_lock().unwrap().as_deref(), Some(&2));
    assert_eq!((SEMAPHORE.available_permits(), BOUNDED.available_permits()), (3, 2));
    let lines = [const { Event::new() }; 3];
    lines[0].set();
    assert!(lines[0].is_set() && !lines[1].is_set());
    drop(PHANTOM.try_lock());
    assert_eq!(BARRIER.waiting(), 0);
    assert!(ONCE.set(vec![1]).is_ok());
}

#[test]
fn a_guard_of_shared_data_can_be_shared() {
    fn is_sync<T: Sync>(_: &T) {}
    let lock = Mutex::new(1_u8);
    is_sync(&lock.try_lock().unwrap());
}
