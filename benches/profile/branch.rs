//! A few operations, so many times: ci/profile.sh counts their instructions with the feature `profile`, while nobody records,
//! and without it. By itself it says how large things are.
use std::{
    env,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use testudo::{
    Event, Mutex, Semaphore,
    run::block_on,
    task::{Cancelled, TaskGroup},
};

/// What it is, at how many places a probe would be told, and the operation so many times.
type Row = (&'static str, u64, fn(u64));

const ROWS: [Row; 5] = [
    ("event/set", 1, |n| {
        let event = Event::new();
        (0..n).for_each(|_| black_box(&event).set());
    }),
    ("mutex/try_lock", 2, |n| {
        let lock = Mutex::new(0);
        (0..n).for_each(|_| drop(black_box(&lock).try_lock()));
    }),
    ("mutex/lock", 3, |n| {
        let lock = Mutex::new(0);
        (0..n).for_each(|_| drop(ready(black_box(&lock).lock())));
    }),
    ("semaphore/acquire", 3, |n| {
        let permits = Semaphore::new(1);
        (0..n).for_each(|_| drop(ready(black_box(&permits).acquire())));
    }),
    // Eight for the child and its handle, three for the bell of the group.
    ("group/spawn", 11, |n| {
        let tg = TaskGroup::new();
        let body = async {
            for _ in 0..n {
                tg.spawn(async { Ok(()) }).await?;
            }
            Ok::<_, Cancelled>(())
        };
        assert!(block_on(tg.run(body)).is_ok());
    }),
];

fn ready<F: Future>(fut: F) -> F::Output {
    let Poll::Ready(output) = pin!(fut).poll(&mut Context::from_waker(Waker::noop())) else { unreachable!() };
    output
}

/// Somebody listens, for a moment.
#[cfg(feature = "profile")]
fn listen() -> bool {
    use testudo::probe::{self, Probe, Ring};

    static RING: Ring<16> = Ring::new();
    static PROBE: &dyn Probe = &RING;
    probe::install(&PROBE) && probe::remove(&PROBE)
}

fn size_of_output<T>(_: fn() -> T) -> usize {
    size_of::<T>()
}

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [row, n] = &args[..] {
        let (.., run) = ROWS.iter().find(|(name, ..)| name == row).expect("a row");
        return run(n.parse().expect("a number"));
    }
    #[cfg(feature = "profile")]
    assert!(listen(), "the compiler may not know that nobody ever does");
    for (name, places, _) in ROWS {
        println!("row {name} {places}");
    }
    static LOCK: Mutex<u32> = Mutex::new(0);
    static EVENT: Event = Event::new();
    static PERMITS: Semaphore = Semaphore::new(1);
    println!("size Mutex {} {}", size_of::<Mutex<u32>>(), size_of_output(|| LOCK.lock()));
    println!("size Event {} {}", size_of::<Event>(), size_of_output(|| EVENT.wait()));
    println!("size Semaphore {} {}", size_of::<Semaphore>(), size_of_output(|| PERMITS.acquire()));
    println!("size TaskGroup {} {}", size_of::<TaskGroup<'_, ()>>(), size_of::<testudo::task::TaskHandle<'_, u32>>());
}
