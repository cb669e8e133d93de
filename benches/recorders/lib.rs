//! Two tasks that take a lock and yield while they have it, and those who are told of it.
//!
//! | who is told | by whom |
//! |---|---|
//! | [`Ring`], [`Recorder`] | this crate's lock and its tasks |
//! | tracing-chrome | the same program, with a span around each wait and each hold |
//! | console-subscriber | tokio's lock and tasks, which make spans and events of their own; its aggregator has a thread |
//!
//! `time.rs` says what that costs in time, `heap.rs` in memory, which takes an allocator that counts and is slower.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{env, fs, process};

use futures_lite::future::{yield_now, zip};
use testudo::Mutex;
use testudo::probe::{self, Probe, Ring};
use testudo::run::block_on;
use testudo::run::profile::{ProfileExt, Recorder};
use tracing::span::{Attributes, Id};
use tracing::{Instrument, Level, Subscriber, span, subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

pub mod console;

/// How often each of the two tasks takes the lock.
pub const LOCKS: u32 = 50_000;

/// Runs what it is given, and reads a clock or a counter before and after.
pub type Measure<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

/// What one run told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Of this crate: the events; of tracing: spans made, entered, left and closed, and events.
    pub events: u64,
    /// Bytes of the file that was written meanwhile.
    pub written: u64,
}

/// Somebody who is told.
#[derive(Clone, Copy, Debug)]
pub struct Recording {
    /// Who.
    pub name: &'static str,
    /// The same program, while nobody is.
    pub alone: fn(),
    /// The program, with what the recording does until it has everything.
    pub run: fn(Measure<'_>) -> Told,
}

/// All of them.
pub const RECORDINGS: [Recording; 5] = [
    Recording { name: "testudo probe::Ring", alone: program, run: ring },
    Recording { name: "testudo Recorder", alone: program, run: recorder },
    Recording { name: "tracing + tracing-chrome, to a file", alone: traced, run: chrome },
    Recording { name: "tokio + console-subscriber", alone: console::program, run: console::by_default },
    Recording { name: "  with room for everything", alone: console::program, run: console::of_all },
];

/// The program on this crate's lock.
pub fn program() {
    let lock = Mutex::new(0_u32);
    let task = || async {
        for _ in 0..LOCKS {
            let mut guard = lock.lock().await;
            yield_now().await;
            *guard += 1;
        }
    };
    block_on(zip(task().profiled("one"), task().profiled("two")));
    assert_eq!(lock.into_inner(), 2 * LOCKS);
}

/// The same with spans, for tracing.
fn traced() {
    let lock = Mutex::new(0_u32);
    let task = || async {
        for _ in 0..LOCKS {
            let mut guard = lock.lock().instrument(span!(Level::INFO, "Mutex::lock")).await;
            yield_now().instrument(span!(Level::INFO, "Mutex")).await;
            *guard += 1;
        }
    };
    let (one, two) = (span!(Level::INFO, "one"), span!(Level::INFO, "two"));
    block_on(zip(task().instrument(one), task().instrument(two)));
    assert_eq!(lock.into_inner(), 2 * LOCKS);
}

/// Counts what it is told.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    fn one_more(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Probe for Count {
    fn event(&self, _: &probe::Event) {
        self.one_more();
    }
}

impl<S: Subscriber> Layer<S> for &'static Count {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.one_more();
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        self.one_more();
    }

    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        self.one_more();
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        self.one_more();
    }

    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        self.one_more();
    }
}

/// How often a tracing subscriber is called for one run of `program`.
fn calls(program: fn()) -> u64 {
    static COUNT: Count = Count::new();
    COUNT.0.store(0, Relaxed);
    subscriber::with_default(tracing_subscriber::registry().with(&COUNT), program);
    COUNT.0.load(Relaxed)
}

fn ring(measure: Measure<'_>) -> Told {
    static RING: Ring<1024> = Ring::new();
    static PROBE: &dyn Probe = &RING;
    assert!(probe::install(&PROBE));
    measure(&mut program);
    assert!(probe::remove(&PROBE));
    assert_eq!(RING.len(), 1024);

    static COUNT: Count = Count::new();
    static COUNTS: &dyn Probe = &COUNT;
    COUNT.0.store(0, Relaxed);
    assert!(probe::install(&COUNTS));
    program();
    assert!(probe::remove(&COUNTS));
    Told { events: COUNT.0.load(Relaxed), written: 0 }
}

fn recorder(measure: Measure<'_>) -> Told {
    let recording = Recorder::new().start().expect("no other");
    measure(&mut program);
    let profile = recording.stop();
    assert_eq!(profile.dropped(), 0);
    Told { events: profile.events() as u64, written: 0 }
}

fn chrome(measure: Measure<'_>) -> Told {
    let file = env::temp_dir().join(format!("testudo-recorders-{}.json", process::id()));
    measure(&mut || {
        let (layer, writer) = tracing_chrome::ChromeLayerBuilder::new().file(&file).build();
        subscriber::with_default(tracing_subscriber::registry().with(layer), traced);
        drop(writer); // waits until the file is there
    });
    let json = fs::read_to_string(&file).expect("it was written");
    let _ = fs::remove_file(&file);
    assert!(json.lines().count() > 8 * LOCKS as usize); // each span was entered and left
    Told { events: calls(traced), written: json.len() as u64 }
}
