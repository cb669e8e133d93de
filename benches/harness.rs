//! Rows, interleaved rounds, tables.

use std::env;
use std::hint::black_box;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

/// Whose code an entry runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This crate.
    Own,
    /// Another crate that does the same job.
    Peer,
    /// A reference that does less: no waiters, one thread only, or threads instead of tasks.
    Floor,
}

/// What every adapter says about itself.
pub trait Peer {
    /// The name in the tables.
    const NAME: &'static str;
    /// Whose code it is.
    const ROLE: Role = Role::Peer;
}

/// The outcome of one run of a row's body.
#[derive(Clone, Debug)]
pub struct Sample {
    /// How many operations were done.
    pub ops: u64,
    /// How long they took, set-up and tear-down left out.
    pub time: Duration,
    /// One figure for each of the row's columns.
    pub extra: Vec<f64>,
}

impl Sample {
    /// A sample of a row without further columns.
    pub fn new(ops: u64, time: Duration) -> Self {
        Self { ops, time, extra: Vec::new() }
    }
}

/// Times `n` calls of `op`, in processor time of this thread: nothing here blocks, and other programs do not count.
#[inline(always)]
pub fn time(n: u64, mut op: impl FnMut()) -> Sample {
    let start = ThreadTime::now();
    for _ in 0..n {
        op();
    }
    Sample::new(n, start.elapsed())
}

/// A row's code for one peer: how often, and the row's own number (waiters, others waiting, ...).
pub type Body = fn(u64, usize) -> Sample;

/// One line of a row's table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name of the peer.
    pub peer: &'static str,
    /// Whose code it is.
    pub role: Role,
    /// What is run.
    pub body: Body,
}

impl Entry {
    /// The entry of an adapter.
    pub fn of<P: Peer>(body: Body) -> Self {
        Self { peer: P::NAME, role: P::ROLE, body }
    }

    /// A bare reference.
    pub fn floor(peer: &'static str, body: Body) -> Self {
        Self { peer, role: Role::Floor, body }
    }
}

/// `entries![body: Adapter, Adapter; other_body: Adapter]`: the entries of a row.
#[macro_export]
macro_rules! entries {
    ($($body:ident: $($peer:ty),+);+ $(;)?) => {
        vec![$($($crate::harness::Entry::of::<$peer>($body::<$peer>)),+),+]
    };
}

/// What a row's main figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds an operation: the body runs as often as fills a slice of time.
    Nanos,
    /// Million operations a second: the body runs for so many milliseconds.
    Mops,
}

/// One workload, for all peers.
#[derive(Clone, Debug)]
pub struct Row {
    /// `file/row`, the name that filters match and that the baseline holds.
    pub name: String,
    /// What one operation is.
    pub what: &'static str,
    /// The main figure.
    pub unit: Unit,
    /// The names of the further figures.
    pub columns: &'static [&'static str],
    /// Passed on to the body.
    pub arg: usize,
    /// How often the body runs when instructions are counted; 0 leaves the row out.
    pub counted: u64,
    /// The lines.
    pub entries: Vec<Entry>,
}

impl Row {
    /// A row of nanoseconds an operation, counted over 1000 of them.
    pub fn new(name: impl Into<String>, what: &'static str, entries: Vec<Entry>) -> Self {
        Self { name: name.into(), what, unit: Unit::Nanos, columns: &[], arg: 0, counted: 1000, entries }
    }
}

/// What the command line asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rounds over all peers of a row; each figure is the median.
    pub rounds: usize,
    /// How long one peer runs in one round.
    pub slice: Duration,
    /// Tables in Markdown.
    pub markdown: bool,
    /// Only rows whose name contains one of these; empty: all rows.
    pub rows: Vec<String>,
    /// Only peers whose name contains this.
    pub peer: String,
    /// Only the names of the rows.
    pub list: bool,
    /// Few and short rounds.
    pub quick: bool,
    /// Each body once: the answer to `cargo test --benches`.
    pub smoke: bool,
    /// The flags the harness does not know, for the bench that does.
    pub rest: Vec<String>,
}

impl Options {
    /// Reads the command line.
    ///
    /// # Panics
    ///
    /// When `--rounds` or `--peer` lacks its value.
    pub fn from_args() -> Self {
        let mut options = Self {
            rounds: 9,
            slice: Duration::from_millis(4),
            markdown: false,
            rows: Vec::new(),
            peer: String::new(),
            list: false,
            quick: false,
            smoke: env::args().len() == 1,
            rest: Vec::new(),
        };
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
            match arg.as_str() {
                "--bench" => {}
                "--quick" => {
                    options.quick = true;
                    (options.rounds, options.slice) = (3, Duration::from_millis(1));
                }
                "--markdown" => options.markdown = true,
                "--list" => options.list = true,
                "--rounds" => options.rounds = value().parse().expect("--rounds needs a number"),
                "--peer" => options.peer = value(),
                flag if flag.starts_with('-') => options.rest.push(arg),
                _ => options.rows.push(arg),
            }
        }
        options
    }

    /// Whether a row of this name was asked for.
    pub fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|part| row.contains(part.as_str()))
    }
}

/// The `main` of a bench: measures the rows that the command line names and prints their tables.
///
/// # Panics
///
/// When a flag is unknown.
pub fn main(rows: Vec<Row>) {
    let options = Options::from_args();
    assert!(options.rest.is_empty(), "unknown flag {}", options.rest[0]);
    let mut summary = vec![["row", "testudo", "best peer", "ratio", "next peer"].map(str::to_owned).to_vec()];
    for mut row in rows.into_iter().filter(|row| options.wants(&row.name)) {
        row.entries.retain(|entry| entry.peer.contains(options.peer.as_str()));
        if options.list {
            println!("{}", row.name);
        } else if options.smoke {
            row.entries.iter().for_each(|entry| drop((entry.body)(1, row.arg)));
        } else {
            let lines = measure(&row, &options);
            println!("\n{}: {}", row.name, row.what);
            print(&table(&row, &lines), options.markdown);
            summary.extend(summarize(&row, &lines));
        }
    }
    if summary.len() > 1 {
        println!("\nSummary (a ratio below 1 is ahead of the best peer)");
        print(&summary, options.markdown);
    }
}

/// The medians of one entry: the main figure, then the columns'.
struct Line {
    entry: Entry,
    figures: Vec<f64>,
}

/// The figure of a round is the best of so many slices: on a shared machine the others were interrupted.
const SLICES: usize = 5;

/// A row that has taken as long as so many slices gets a third of its rounds: a million children take a second for each peer.
const PATIENCE: u32 = 1_000;

/// Runs the peers in turn, round after round, so that a slow spell of the machine hits them all.
fn measure(row: &Row, options: &Options) -> Vec<Line> {
    let start = Instant::now();
    let calls: Vec<u64> = row.entries.iter().map(|entry| calls(row, entry, options.slice)).collect();
    let mut rounds: Vec<Vec<Vec<f64>>> = vec![Vec::new(); row.entries.len()];
    for round in 0..options.rounds {
        if row.unit == Unit::Nanos && round >= options.rounds.div_ceil(3) && start.elapsed() > options.slice * PATIENCE
        {
            break;
        }
        for ((entry, &calls), rounds) in row.entries.iter().zip(&calls).zip(&mut rounds) {
            let slices = if row.unit == Unit::Mops || calls == 1 { 1 } else { SLICES };
            let slice = |_| {
                let sample = black_box(entry.body)(calls, row.arg);
                [figure(row.unit, &sample)].into_iter().chain(sample.extra).collect::<Vec<f64>>()
            };
            rounds.extend((0..slices).map(slice).min_by(|a, b| a[0].total_cmp(&b[0])));
        }
    }
    let medians = |rounds: &Vec<Vec<f64>>| {
        let column = |index: usize| median(rounds.iter().map(|figures| figures[index]).collect());
        (0..=row.columns.len()).map(column).collect()
    };
    row.entries.iter().zip(&rounds).map(|(&entry, rounds)| Line { entry, figures: medians(rounds) }).collect()
}

/// How often the body must run to fill `slice`. Stops early when the set-up alone takes longer.
fn calls(row: &Row, entry: &Entry, slice: Duration) -> u64 {
    if row.unit == Unit::Mops {
        return slice.as_millis() as u64 * 40;
    }
    let mut calls = 1;
    loop {
        let start = Instant::now();
        let time = (entry.body)(calls, row.arg).time;
        if time * 4 >= slice || start.elapsed() >= slice * 8 {
            let fill = calls as f64 * slice.as_secs_f64() / time.as_secs_f64().max(1e-9);
            return (fill as u64).clamp(1, calls * 64);
        }
        calls *= 4;
    }
}

fn figure(unit: Unit, sample: &Sample) -> f64 {
    match unit {
        Unit::Nanos => sample.time.as_secs_f64() * 1e9 / sample.ops as f64,
        Unit::Mops => sample.ops as f64 / sample.time.as_secs_f64() / 1e6,
    }
}

/// The middle one; not a number (a run that hung) counts as the worst.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The peers, best first in figure `index`, this crate and the references left out.
fn ranking(lines: &[Line], index: usize, unit: Unit) -> Vec<&Line> {
    let peers = lines.iter().filter(|line| line.entry.role == Role::Peer && !line.figures[index].is_nan());
    let mut peers: Vec<&Line> = peers.collect();
    peers.sort_by(|a, b| ratio(a.figures[index], b.figures[index], unit).total_cmp(&1.0));
    peers
}

/// How many times the cost of `other` this is, whichever way the figure counts.
fn ratio(figure: f64, other: f64, unit: Unit) -> f64 {
    if unit == Unit::Nanos { figure / other } else { other / figure }
}

fn table(row: &Row, lines: &[Line]) -> Vec<Vec<String>> {
    let unit = if row.unit == Unit::Nanos { "ns/op" } else { "Mops/s" };
    let mut header = vec!["peer".to_owned(), unit.to_owned(), "ratio".to_owned()];
    header.extend(row.columns.iter().map(|&column| column.to_owned()));
    let ranking = ranking(lines, 0, row.unit);
    let mut sorted: Vec<&Line> = lines.iter().collect();
    let key = |line: &Line| if row.unit == Unit::Nanos { line.figures[0] } else { -line.figures[0] };
    sorted.sort_by(|a, b| (a.entry.role as u8).cmp(&(b.entry.role as u8)).then(key(a).total_cmp(&key(b))));
    let mut out = vec![header];
    for line in sorted {
        let floor = if line.entry.role == Role::Floor { "reference: " } else { "" };
        let against = ranking.first().map_or(f64::NAN, |bar| ratio(line.figures[0], bar.figures[0], row.unit));
        let mut cells = vec![format!("{floor}{}", line.entry.peer), short(line.figures[0]), format!("{against:.2}")];
        cells.extend(line.figures[1..].iter().map(|&figure| short(figure)));
        out.push(cells);
    }
    out
}

/// One line for the main figure, and one for fairness where the row measures it.
fn summarize(row: &Row, lines: &[Line]) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let figures = if row.unit == Unit::Mops { 0..1 + row.columns.len() } else { 0..1 };
    for index in figures {
        let own = lines.iter().find(|line| line.entry.role == Role::Own).map(|line| line.figures[index]);
        let ranking = ranking(lines, index, row.unit);
        let name = if index == 0 { row.name.clone() } else { format!("{} {}", row.name, row.columns[index - 1]) };
        let against = own.zip(ranking.first()).map(|(own, bar)| ratio(own, bar.figures[index], row.unit));
        let peer = |place: usize| {
            let cell = |line: &&Line| format!("{} ({})", short(line.figures[index]), line.entry.peer);
            ranking.get(place).map_or("-".into(), cell)
        };
        out.push(vec![
            name,
            own.map_or("-".into(), short),
            peer(0),
            against.map_or("-".into(), |ratio| format!("{ratio:.2}")),
            peer(1),
        ]);
    }
    out
}

/// Three significant digits or so.
fn short(figure: f64) -> String {
    match figure {
        f if f.is_nan() => "stuck".into(),
        f if f >= 1000.0 => format!("{f:.0}"),
        f if f >= 100.0 => format!("{f:.1}"),
        f => format!("{f:.2}"),
    }
}

/// Prints a table whose first line is its header.
pub fn print(table: &[Vec<String>], markdown: bool) {
    let width = |column: usize| table.iter().map(|cells| cells[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
    let (left, between, right) = if markdown { ("| ", " | ", " |") } else { ("  ", "  ", "") };
    for (index, cells) in table.iter().enumerate() {
        let pad = |(column, cell): (usize, &String)| match column {
            0 => format!("{cell:<0$}", widths[0]),
            _ => format!("{cell:>0$}", widths[column]),
        };
        let cells: Vec<String> = cells.iter().enumerate().map(pad).collect();
        println!("{left}{}{right}", cells.join(between));
        if markdown && index == 0 {
            let rule = |(column, &width): (usize, &usize)| match column {
                0 => "-".repeat(width + 2),
                _ => format!("{}:", "-".repeat(width + 1)),
            };
            println!("|{}|", widths.iter().enumerate().map(rule).collect::<Vec<_>>().join("|"));
        }
    }
}
