//! What an event costs in time: the CPU time of the process, so that a writer's or an aggregator's thread counts too.

use std::io::{self, Write};

use cpu_time::ProcessTime;
use testudo::run::profile::{Cpu, Profile, Recorder};
use testudo_benches_recorders::{LOCKS, Measure, RECORDINGS, Recording, console, program};

/// Each figure is the best of so many.
const ROUNDS: usize = 5;

/// Nanoseconds of what `run` measures, the best.
fn best(mut run: impl FnMut(Measure<'_>)) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        run(&mut |measured| {
            let start = ProcessTime::now();
            measured();
            best = best.min(start.elapsed().as_nanos() as f64);
        });
    }
    best
}

fn row(what: &str, cells: [String; 3]) {
    println!("| {what:<36} | {:>8} | {:>8} | {:>11} |", cells[0], cells[1], cells[2]);
}

/// The program alone, and what it costs more for each event and each lock when somebody is told.
fn line(recording: &Recording) {
    let alone = best(|measure| measure(&mut || (recording.alone)()));
    let mut events = 0.0;
    let told = best(|measure| events = (recording.run)(measure).events as f64);
    let locks = f64::from(2 * LOCKS);
    let nanos = |figure: f64| format!("{figure:.1}");
    row(
        recording.name,
        [nanos((told - alone) / events), nanos((told - alone) / locks), format!("{:.2}", events / locks)],
    );
    row("  the program alone", [String::new(), nanos(alone / locks), String::new()]);
}

#[derive(Default)]
struct Counted(u64);

impl Write for &mut Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
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

fn record() -> testudo::run::profile::Recording {
    let recording = Recorder::new().start().expect("no other");
    program();
    recording
}

/// What comes after a recording.
fn afterwards() {
    let mut profile = record().stop();
    let events = profile.events() as f64;
    let stopped = best(|measure| {
        let mut recording = Some(record());
        measure(&mut || profile = recording.take().expect("once").stop());
    });
    println!("\n| {:<36} | {:>8} | {:>8} |", "afterwards, for each event", "ns", "bytes");
    println!("|{:-<38}|---------:|---------:|", "");
    println!("| {:<36} | {:>8.1} | {:>8} |", "Recorder: to stop and sort it out", stopped / events, "");
    for (what, write) in FORMATS {
        let mut size = Counted::default();
        let written = best(|measure| {
            size = Counted::default();
            measure(&mut || write(&profile, &mut size));
        });
        println!(
            "| {:<36} | {:>8.1} | {:>8.1} |",
            format!("to write {what}"),
            written / events,
            size.0 as f64 / events
        );
    }
}

fn main() {
    row("best of 5, more than alone", ["ns/event", "ns/lock", "events/lock"].map(str::to_owned));
    println!("|{:-<38}|---------:|---------:|------------:|", "");
    RECORDINGS.iter().for_each(line);
    afterwards();
    let seen = console::watched();
    let all = seen.operations + seen.polls + seen.dropped;
    println!(
        "\n{} locks; a client of console-subscriber saw, by default, {seen:?}: {:.1} % dropped",
        2 * LOCKS,
        100.0 * seen.dropped as f64 / all as f64
    );
}
