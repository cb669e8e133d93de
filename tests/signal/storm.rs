//! At random instants, as often as the system delivers signals: one thread is interrupted, then two that are in each
//! other's way besides. One second, or as many as `TESTUDO_SIGNAL_SECS` says.
use std::{
    array, hint, mem,
    os::unix::thread::JoinHandleExt,
    pin::{Pin, pin},
    process,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use testudo::{
    Event, Mutex, MutexGuard,
    sync::{EventWait, Lock},
};

use crate::{flag::Flag, install, seconds};

static EVENT: Event = Event::new();
static LOCK: Mutex<()> = Mutex::new(());
/// Somebody has the lock.
static INSIDE: AtomicBool = AtomicBool::new(false);

/// How often the handler ran, and how often it got the lock.
static RUNS: AtomicUsize = AtomicUsize::new(0);
static LOCKED: AtomicUsize = AtomicUsize::new(0);
/// The sets of the handler: how many began, and the latest that has returned.
static BEGUN: AtomicUsize = AtomicUsize::new(0);
static RETURNED: AtomicUsize = AtomicUsize::new(0);
/// How often a set returned and left waking to the code that it had interrupted; counted while that is one thread's.
static LEFT: AtomicUsize = AtomicUsize::new(0);
static ALONE: AtomicBool = AtomicBool::new(false);
/// How many waits were released by a set that found them in line.
static RELEASED: AtomicUsize = AtomicUsize::new(0);
/// What the workers did so far.
static ROUNDS: AtomicUsize = AtomicUsize::new(0);
static STOP: AtomicBool = AtomicBool::new(false);
/// Of each thread: three waiters', and a second one for one of them.
static FLAGS: [[Flag; 4]; 2] = [const { [const { Flag::new() }; 4] }; 2];

/// After this it is woken. A thread that is alone does not wait: whatever it left undone in a handler is done.
fn expect(flag: &Flag) {
    let begin = Instant::now();
    while !flag.is_woken() {
        check(!ALONE.load(SeqCst), "a wake-up is lost");
        check(begin.elapsed() < Duration::from_secs(10), "a wake-up is lost, or late");
        thread::yield_now();
    }
}

/// A panic in a worker would leave the others spinning.
fn check(holds: bool, what: &str) {
    if !holds {
        eprintln!("{what}: {EVENT:?}, {LOCK:?}, {RUNS:?} runs, {ROUNDS:?} rounds");
        process::abort();
    }
}

fn enter() {
    check(!INSIDE.swap(true, SeqCst), "two owners of one lock");
}

fn leave(guard: MutexGuard<'_, ()>) {
    INSIDE.store(false, SeqCst);
    drop(guard);
}

extern "C" fn handler(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let run = RUNS.fetch_add(1, SeqCst);
    if let Some(guard) = LOCK.try_lock() {
        LOCKED.fetch_add(1, SeqCst);
        enter();
        leave(guard);
    }
    let waits = |flag: &Flag| flag.in_line.load(SeqCst) && !flag.is_woken();
    let before: [bool; 4] = array::from_fn(|nth| waits(&FLAGS[0][nth]));
    let number = BEGUN.fetch_add(1, SeqCst) + 1;
    EVENT.set();
    RETURNED.fetch_max(number, SeqCst);
    if ALONE.load(SeqCst) && (0..4).any(|nth| before[nth] && waits(&FLAGS[0][nth])) {
        LEFT.fetch_add(1, SeqCst);
    }
    if run % 4 != 0 {
        EVENT.clear();
    }
}

/// A wait for the event.
struct Waiter<'p> {
    wait: Pin<&'p mut Option<EventWait<&'static Event>>>,
    flag: &'static Flag,
    /// Sets with a higher number find it in line.
    since: usize,
}

impl<'p> Waiter<'p> {
    fn begin(mut wait: Pin<&'p mut Option<EventWait<&'static Event>>>, flag: &'static Flag) -> Self {
        wait.set(Some(EVENT.wait()));
        let mut this = Self { wait, flag, since: 0 };
        this.poll(flag);
        this.since = BEGUN.load(SeqCst);
        this
    }

    /// Polls it, perhaps with another waker.
    fn poll(&mut self, flag: &'static Flag) {
        self.flag.in_line.store(false, SeqCst);
        self.flag = flag;
        if let Some(wait) = self.wait.as_mut().as_pin_mut() {
            match flag.poll(wait) {
                Some(()) => self.wait.set(None),
                None => flag.in_line.store(true, SeqCst),
            }
        }
    }

    fn cancel(&mut self) {
        self.flag.in_line.store(false, SeqCst);
        self.wait.set(None);
    }

    /// If a set has found it in line, it is woken and released, whether or not the event was cleared since.
    fn check(&mut self) {
        if self.wait.is_some() && RETURNED.load(SeqCst) > self.since {
            expect(self.flag);
            self.poll(self.flag);
            check(self.wait.is_none(), "woken, but not released");
            RELEASED.fetch_add(1, SeqCst);
        }
    }
}

/// Three waits: one is cancelled, one gets another waker.
fn event_round(round: usize, [a, b, c, d]: &'static [Flag; 4]) {
    let (mut one, mut two, mut three) = (pin!(None), pin!(None), pin!(None));
    EVENT.clear();
    let mut line = [Waiter::begin(one.as_mut(), a), Waiter::begin(two.as_mut(), b), Waiter::begin(three.as_mut(), c)];
    line[round % 3].cancel();
    line[(round + 1) % 3].poll(d);
    line.iter_mut().for_each(Waiter::check);
    line[(round / 3) % 3].cancel();
    line.iter_mut().for_each(Waiter::check);
    line.iter_mut().for_each(Waiter::cancel);
}

/// Polls until it has the lock, each time after a wake-up.
fn finish(mut lock: Pin<&mut Lock<'static, ()>>, flag: &'static Flag) {
    loop {
        expect(flag);
        if let Some(guard) = flag.poll(lock.as_mut()) {
            enter();
            return leave(guard);
        }
        check(!ALONE.load(SeqCst), "woken, and the lock is not to be had");
    }
}

/// Three get in line for a lock, one is cancelled, one gets another waker, and two are served.
fn lock_round(round: usize, [a, b, c, d]: &'static [Flag; 4]) {
    let guard = LOCK.try_lock();
    check(guard.is_some() || !ALONE.load(SeqCst), "the lock is gone");
    if guard.is_some() {
        enter();
    }
    let mut line = [pin!(Some(LOCK.lock())), pin!(Some(LOCK.lock())), pin!(Some(LOCK.lock()))];
    let mut flags = [a, b, c];
    let poll = |line: &mut [Pin<&mut Option<_>>; 3], nth: usize, flag: &'static Flag| {
        if let Some(guard) = line[nth].as_mut().as_pin_mut().and_then(|lock| flag.poll(lock)) {
            enter();
            leave(guard);
            line[nth].set(None);
        }
    };
    for (nth, flag) in flags.into_iter().enumerate() {
        poll(&mut line, nth, flag);
    }
    line[round % 3].set(None);
    let again = (round + 1) % 3;
    flags[again] = d;
    poll(&mut line, again, d);
    if let Some(guard) = guard {
        leave(guard);
    }
    // The handler takes and frees the lock meanwhile, too.
    for (lock, flag) in line.iter_mut().zip(flags) {
        if let Some(lock) = lock.as_mut().as_pin_mut() {
            finish(lock, flag);
        }
    }
}

fn worker(number: usize) {
    let flags = &FLAGS[number];
    for round in 0.. {
        event_round(round, flags);
        // In line for a lock the two wait for each other's turn.
        if ALONE.load(SeqCst) || round % 16 == 0 {
            lock_round(round, flags);
        }
        ROUNDS.fetch_add(1, SeqCst);
        if STOP.load(SeqCst) {
            return;
        }
    }
}

/// Interrupts them, as often as they take it, for this long and a thousand times at least.
fn interrupt(workers: &[JoinHandle<()>], time: Duration) {
    let (begin, runs) = (Instant::now(), RUNS.load(SeqCst));
    let (mut progress, mut rounds, mut pause) = (begin, 0, 1_usize);
    while begin.elapsed() < time || RUNS.load(SeqCst) - runs < 1000 {
        for worker in workers {
            // SAFETY: it is not joined yet.
            let error = unsafe { libc::pthread_kill(worker.as_pthread_t(), libc::SIGUSR1) };
            assert_eq!(error, 0);
        }
        pause = pause.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (0..pause >> 56).for_each(|_| hint::spin_loop());
        if mem::replace(&mut rounds, ROUNDS.load(SeqCst)) != rounds {
            progress = Instant::now();
        }
        check(progress.elapsed() < Duration::from_secs(30), "it hangs");
    }
}

#[test]
fn a_signal_handler_signals_the_thread_that_it_interrupts() {
    install(libc::SIGUSR1, handler);
    for workers in [1, 2] {
        ALONE.store(workers == 1, SeqCst);
        STOP.store(false, SeqCst);
        let workers: Vec<_> = (0..workers).map(|number| thread::spawn(move || worker(number))).collect();
        interrupt(&workers, seconds() / 2);
        STOP.store(true, SeqCst);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        println!(
            "{RUNS:?} runs of the handler in {ROUNDS:?} rounds, {LOCKED:?} with the lock; {RELEASED:?} waits released; \
             {LEFT:?} sets left the waking to what they interrupted"
        );
    }
    assert!(RUNS.load(SeqCst) > 1000);
    assert!(LEFT.load(SeqCst) > 0, "never interrupted with the list flag taken");
    assert!(RELEASED.load(SeqCst) > 0);
}
