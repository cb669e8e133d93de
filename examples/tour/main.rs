//! A tour of testudo: programs of an asyncio textbook, run on several executors and compared with what CPython 3.11 and
//! 3.13 print; then a TCP service with real sockets.
//!
//! Each program is written once, for any executor. On `sim` the clock is virtual, and every line has to come at CPython's
//! time; on the others it is real but faster, and the order has to be CPython's. Downloads are made over HTTP, from a server
//! on loopback.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "examples have std")]

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::{
    CommandFactory, Parser, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
};

mod completed;
mod condition;
mod context;
mod echo;
mod event;
mod executors;
mod gather;
mod generator;
mod group;
mod offload;
mod profile;
mod queue;
mod shield;
mod timeline;
mod uvloop;
mod watchdog;
mod web;

use executors::{Executor, Pace, Played};
use timeline::{Order, Step, differences, is_late};

/// Runs the programs of an asyncio textbook on testudo, and compares what they print with CPython.
#[derive(Parser)]
#[command(name = "tour", after_help = "Example: cargo run --example tour -- --section condition --executor tokio")]
struct Args {
    /// What to run
    #[arg(long, value_name = "NAME", default_value = "all", value_parser = chosen::<Section>())]
    section: Chosen<Section>,
    /// What to run it on
    #[arg(long, value_name = "NAME", default_value = "all", value_parser = chosen::<Executor>())]
    executor: Chosen<Executor>,
    /// Records what is run, and writes the profile there in all formats
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// A producer, and three consumers that wait for 5, 3 and 2 items
    Condition,
    /// Three workers that wait for an initialization
    Event,
    /// Five downloads side by side, over HTTP, also with one host down; and three tasks of which one fails
    Gather,
    /// A task group of which one task fails
    Group,
    /// A producer, and a consumer that works on five items at a time; with a sentinel, with `close`, and by `chunks`
    Queue,
    /// Three results in the order in which they come
    Completed,
    /// An asynchronous generator; and one that is left half-way and closed, with a clean-up that awaits
    Generator,
    /// Three workers that sleep, on a loop that is not asyncio's own
    Uvloop,
    /// Three blocking operations on threads
    Offload,
    /// A critical task that is shielded while a regular one, or both, are cancelled
    Shield,
    /// A connection whose close is awaited, also when the scope is cancelled
    Context,
    /// A TCP service with a pool of eight resources and 200 clients; on smol only
    Echo,
}

/// Its title, what CPython prints, and what plays it.
type Program = (&'static str, &'static [Step], fn(Executor, Pace) -> Played);

impl Section {
    /// The programs that CPython has too.
    fn programs(self) -> &'static [Program] {
        match self {
            Self::Condition => &[("15.2.1 Condition", condition::CPYTHON, condition::play)],
            Self::Event => &[("15.3.1 Event", event::CPYTHON, event::play)],
            Self::Gather => &[
                ("15.5.1 gather, downloads over HTTP", gather::CPYTHON_DOWNLOADS, gather::play_downloads),
                ("15.5.1 gather, one host is down", gather::CPYTHON_HOST_DOWN, gather::play_host_down),
                ("15.6.1 gather, a failure drops the others", gather::CPYTHON_FAILURE, gather::play_failure),
                ("15.6.1 gather, the others run on", gather::CPYTHON_LEFT, gather::play_left),
                ("15.6.2 gather, every outcome", gather::CPYTHON_OUTCOMES, gather::play_outcomes),
            ],
            Self::Group => &[("15.8.1 TaskGroup", group::CPYTHON, group::play)],
            Self::Queue => &[
                ("15.10.1 Queue, the last item is a sentinel", queue::CPYTHON, queue::play_sentinel),
                ("15.10.1 Queue, bounded, and closed by the producer", queue::CPYTHON, queue::play_close),
                ("15.10.1 Queue, as a stream of chunks", queue::CPYTHON, queue::play_chunks),
            ],
            Self::Completed => &[("15.10.2 as_completed", completed::CPYTHON, completed::play)],
            Self::Generator => &[
                ("15.9.1 Asynchronous generator", generator::CPYTHON, generator::play_all),
                (
                    "15.9.1 Asynchronous generator, left by break, and closed",
                    generator::CPYTHON_CLOSED,
                    generator::play_closed,
                ),
            ],
            Self::Uvloop => &[("15.11.1 Another loop", uvloop::CPYTHON, uvloop::play)],
            Self::Offload => &[("15.11.2 run_in_executor", offload::CPYTHON, offload::play)],
            Self::Shield => &[
                ("15.7.1 shield, the regular task is cancelled", shield::CPYTHON_GATHERED, shield::play_gathered),
                ("15.7.1 shield, both are cancelled", shield::CPYTHON_CANCELLED, shield::play_cancelled),
            ],
            Self::Context => &[("Context manager", context::CPYTHON, context::play)],
            Self::Echo => &[],
        }
    }
}

/// One value of `T`, or all of them.
#[derive(Clone)]
struct Chosen<T>(Vec<T>);

fn chosen<T: ValueEnum + Send + Sync + 'static>() -> impl TypedValueParser<Value = Chosen<T>> {
    let names = T::value_variants().iter().filter_map(T::to_possible_value);
    PossibleValuesParser::new(names.chain([PossibleValue::new("all").help("All of these")])).map(|name| {
        let all = || T::value_variants().to_vec();
        Chosen(T::from_str(&name, false).map_or_else(|_| all(), |one| vec![one]))
    })
}

/// What the runs came to.
#[derive(Default)]
struct Tally {
    sections: usize,
    compared: usize,
    served: usize,
    failed: usize,
}

impl Tally {
    /// The last line of the tour.
    fn summary(&self) -> String {
        let runs = self.compared + self.served;
        let mut line = format!("tour: {}, {}", count(self.sections, "section"), count(runs, "run"));
        if self.failed > 0 {
            return line + &format!(", {} FAILED", self.failed);
        }
        if self.compared > 0 {
            line += ", all as CPython";
        }
        if self.served > 0 {
            line += ", nothing lost";
        }
        line
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn main() -> ExitCode {
    let Args { section: Chosen(mut sections), executor: Chosen(executors), profile } = Args::parse();
    if !executors.contains(&Executor::Smol) {
        if sections == [Section::Echo] {
            let text = "the section `echo` runs on smol only";
            Args::command().error(ErrorKind::ArgumentConflict, text).exit();
        }
        sections.retain(|&section| section != Section::Echo);
    }
    let recording = profile.as_ref().map(|_| profile::start());
    let mut tally = Tally { sections: sections.len(), ..Tally::default() };
    for section in sections {
        for &(title, cpython, play) in section.programs() {
            compare(title, cpython, play, &executors, &mut tally);
        }
        if section == Section::Echo {
            serve(&mut tally);
        }
        println!();
    }
    if let (Some(recording), Some(dir)) = (recording, profile) {
        if let Err(error) = profile::write(recording.stop(), &dir) {
            eprintln!("{}: {error}", dir.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{}", tally.summary());
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays a program on each of the executors and compares what it says with CPython's output.
fn compare(title: &str, cpython: &[Step], play: fn(Executor, Pace) -> Played, on: &[Executor], tally: &mut Tally) {
    println!("{title}");
    for &executor in on {
        let since = Instant::now();
        tally.compared += 1;
        let outcome = match executor {
            Executor::Sim => exactly(cpython, play(executor, Pace::REAL)),
            _ => in_order(cpython, |pace| play(executor, pace)),
        };
        let (name, took) = (executor.name(), since.elapsed().as_secs_f64());
        match outcome {
            Ok(how) => println!("  {name:<20} as CPython in {took:.3} s: {how}"),
            Err(text) => {
                tally.failed += 1;
                println!("  {name:<20} DIFFERS from CPython (-)\n{text}");
            }
        }
    }
}

/// In virtual time: the same lines, in the same order, at the same times.
fn exactly(cpython: &[Step], (lines, stall): Played) -> Result<String, String> {
    differences(cpython, &lines, Order::Exact).map_err(|text| text + &stall.unwrap_or_default())?;
    let mut how = format!("{} lines, to the moment", lines.len());
    for line in &lines {
        how += &format!("\n    {line}");
    }
    Ok(how)
}

/// In real time: the same lines, in an order that the program allows. A busy machine may be so late that a whole step of
/// the program is overtaken by the next one: then once more, slower.
fn in_order(cpython: &[Step], play: impl Fn(Pace) -> Played) -> Result<String, String> {
    let mut pace = Pace::FAST;
    loop {
        let (lines, _) = play(pace);
        match differences(cpython, &lines, Order::Causal) {
            Ok(()) => return Ok(format!("{} lines in order, {pace}", lines.len())),
            Err(_) if is_late(cpython, &lines) && pace != Pace::REAL => pace = pace.slower(),
            Err(text) => return Err(text),
        }
    }
}

/// Runs the TCP service.
fn serve(tally: &mut Tally) {
    println!("TCP echo service, {} resources for {} clients", echo::RESOURCES, echo::CLIENTS);
    tally.served += 1;
    match echo::run() {
        Ok(report) => println!("{report}"),
        Err(text) => {
            tally.failed += 1;
            println!("  FAILED: {text}");
        }
    }
}
