//! What an event costs: two tasks that take a lock and yield while they have it, told to the recorder, to a ring, to nobody,
//! and, with a span for each wait and each hold, to tracing with tracing-chrome. CPU time of the process, so that a writer's
//! thread counts too.
use std::{fs, io::Write};

use cpu_time::ProcessTime;
use futures_lite::future::{yield_now, zip};
use testudo::{
    Mutex,
    probe::{self, Probe, Ring},
    run::{
        block_on,
        profile::{Cpu, Profile, ProfileExt, Recorder},
    },
};
use tracing::{Instrument, Level, span};
use tracing_subscriber::layer::SubscriberExt;

const LOCKS: u32 = 50_000;

fn program() {
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

/// Nanoseconds, the best of five.
fn measure(mut run: impl FnMut()) -> f64 {
    let once = |run: &mut dyn FnMut()| {
        let start = ProcessTime::now();
        run();
        start.elapsed().as_nanos() as f64
    };
    (0..5).map(|_| once(&mut run)).fold(f64::INFINITY, f64::min)
}

fn row(what: &str, ns: f64, bytes: f64) {
    println!("  {what:<44} {ns:>9.1} {bytes:>9.1}");
}

#[derive(Default)]
struct Counted(u64);

impl Write for &mut Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

type Writer = fn(&Profile, &mut Counted);

const FORMATS: [(&str, Writer); 5] = [
    ("Chrome JSON", |profile, out| profile.write_chrome(out).expect("counts")),
    ("speedscope JSON", |profile, out| profile.write_speedscope(out).expect("counts")),
    ("pstats", |profile, out| profile.write_pstats(out).expect("counts")),
    ("on-CPU stacks", |profile, out| profile.write_folded(Cpu::On, out).expect("counts")),
    ("off-CPU stacks", |profile, out| profile.write_folded(Cpu::Off, out).expect("counts")),
];

fn main() {
    println!("  {:<44} {:>9} {:>9}", "an event, best of 5", "ns", "bytes");
    let off = measure(program);
    let (mut profile, mut recorded) = (None, f64::INFINITY);
    let stopped = measure(|| {
        let recording = Recorder::new().start().expect("no other");
        let start = ProcessTime::now();
        program();
        recorded = recorded.min(start.elapsed().as_nanos() as f64);
        profile = Some(recording.stop());
    });
    let profile = profile.expect("five");
    let events = profile.events() as f64;
    row("no probe: the program, for scale", off / events, 0.0);
    static RING: Ring<1024> = Ring::new();
    static PROBE: &dyn Probe = &RING;
    assert!(probe::install(&PROBE));
    row("probe::Ring", (measure(program) - off) / events, 0.0);
    assert!(probe::remove(&PROBE));
    row("Recorder", (recorded - off) / events, 56.0);
    row("  and to stop and sort it out", (stopped - recorded) / events, 0.0);
    for (what, write) in FORMATS {
        let mut size = Counted::default();
        let written = measure(|| {
            size = Counted::default();
            write(&profile, &mut size);
        });
        row(&format!("  and to write {what} of it"), written / events, size.0 as f64 / events);
    }
    let plain = measure(traced);
    let file = std::env::temp_dir().join(format!("testudo-profile-{}.json", std::process::id()));
    let mut json = String::new();
    let chrome = measure(|| {
        let (layer, guard) = tracing_chrome::ChromeLayerBuilder::new().file(&file).build();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), traced);
        drop(guard);
    });
    json.extend(fs::read_to_string(&file));
    let _ = fs::remove_file(&file);
    let lines = json.lines().count() as f64;
    row("tracing + tracing-chrome, JSON to a file", (chrome - plain) / lines, json.len() as f64 / lines);
    println!("  {events} events; {lines} of tracing-chrome");
}
