//! Instructions an operation, counted by valgrind: (I(2N) - I(N)) / N, so that start-up and set-up drop out.
//!
//! By itself it counts this crate's rows and shows them beside `baseline.txt`. `--gate` fails when one costs more than
//! that, `--update` rewrites the file, `--self-test` proves that the gate can fail, `--peers` counts the peers as well.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, ExitCode};
use std::{env, fs, thread};

use testudo_benches::harness::{self, Entry, Options, Role, Row};

#[path = "barrier.rs"]
mod barrier;
#[path = "children.rs"]
mod children;
#[path = "condition.rs"]
mod condition;
#[path = "event.rs"]
mod event;
#[path = "generator.rs"]
mod generator;
#[path = "mutex.rs"]
mod mutex;
#[path = "offload.rs"]
mod offload;
#[path = "once.rs"]
mod once;
#[path = "queue.rs"]
mod queue;
#[path = "rwlock.rs"]
mod rwlock;
#[path = "semaphore.rs"]
mod semaphore;
#[path = "shield.rs"]
mod shield;

/// How much more than its baseline a row may cost.
const TOLERANCE: f64 = 0.02;
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");
const FLAGS: [&str; 4] = ["--peers", "--gate", "--update", "--self-test"];

/// Instructions an operation, by row.
type Counts = BTreeMap<String, f64>;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [flag, row, peer, n] = &args[..]
        && flag == "--child"
    {
        child(row, peer, n.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    let options = Options::from_args();
    let has = |flag: &str| options.rest.iter().any(|given| given == flag);
    let passed = if let Some(flag) = options.rest.iter().find(|flag| !FLAGS.contains(&flag.as_str())) {
        println!("unknown flag {flag}");
        false
    } else if options.list {
        rows(&options).iter().for_each(|row| println!("{}", row.name));
        true
    } else if options.smoke || options.quick || Command::new("valgrind").arg("--version").output().is_err() {
        println!("counts: SKIP, asked for a quick look or valgrind is missing");
        !has("--gate") && !has("--self-test")
    } else {
        let counts = if has("--peers") { compare(&options) } else { count(&options) };
        let mut baseline = fs::read_to_string(BASELINE).unwrap_or_default();
        if has("--update") {
            let mut rows = parse(&baseline);
            rows.retain(|row, _| !options.wants(row));
            rows.extend(counts.clone());
            baseline = render(&rows);
            fs::write(BASELINE, &baseline).expect("the baseline can be written");
        }
        let passed = gate(&counts, &baseline, &options) || !has("--gate");
        passed && (!has("--self-test") || self_test(&counts))
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn rows(options: &Options) -> Vec<Row> {
    let rows = [
        event::rows(),
        mutex::rows(),
        rwlock::rows(),
        semaphore::rows(),
        condition::rows(),
        barrier::rows(),
        once::rows(),
        children::rows(),
        generator::rows(),
        offload::rows(),
        queue::rows(),
        shield::rows(),
    ]
    .into_iter()
    .flatten();
    rows.filter(|row| row.counted > 0 && options.wants(&row.name)).collect()
}

/// Runs under valgrind: one body so many times, and nothing else.
fn child(row: &str, peer: &str, n: u64) {
    let rows = [
        event::rows(),
        mutex::rows(),
        rwlock::rows(),
        semaphore::rows(),
        condition::rows(),
        barrier::rows(),
        once::rows(),
        children::rows(),
        generator::rows(),
        offload::rows(),
        queue::rows(),
        shield::rows(),
    ]
    .into_iter()
    .flatten();
    let row = rows.into_iter().find(|candidate| candidate.name == row).expect("a row");
    let entry = row.entries.iter().find(|entry| entry.peer == peer).expect("a peer");
    println!("ops {}", (entry.body)(n, row.arg).ops);
}

/// Instructions and operations of one run of a child.
fn run(row: &Row, entry: &Entry, n: u64) -> (f64, f64) {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().expect("it has a path"))
        .args(["--child", &row.name, entry.peer, &n.to_string()])
        .output()
        .expect("valgrind starts");
    let field = |text: &[u8], name: &str| -> f64 {
        let text = String::from_utf8_lossy(text).into_owned();
        let found = text.split_once(name).and_then(|(_, rest)| rest.split_whitespace().find(|word| *word != ":"));
        let missing = || panic!("{} ({}): no {name:?} in {text}", row.name, entry.peer);
        found.and_then(|word| word.parse().ok()).unwrap_or_else(missing)
    };
    (field(&output.stderr, "Collected"), field(&output.stdout, "ops"))
}

fn per_op(row: &Row, entry: &Entry) -> f64 {
    let (once, twice) = thread::scope(|threads| {
        let twice = threads.spawn(|| run(row, entry, 2 * row.counted));
        (run(row, entry, row.counted), twice.join().expect("it counts"))
    });
    (twice.0 - once.0) / (twice.1 - once.1)
}

/// The name of an entry of this crate: the row's, and its own where it is not the first of that row.
fn name(row: &Row, entry: &Entry) -> String {
    let first = row.entries.iter().find(|entry| entry.role == Role::Own);
    let is_first = first.is_some_and(|first| first.peer == entry.peer);
    if is_first { row.name.clone() } else { format!("{} ({})", row.name, entry.peer) }
}

/// This crate's rows.
fn count(options: &Options) -> Counts {
    let own = |row: Row| {
        let entries = row.entries.iter().filter(|entry| entry.role == Role::Own);
        entries.map(|entry| (name(&row, entry), per_op(&row, entry))).collect::<Vec<_>>()
    };
    rows(options).into_iter().flat_map(own).collect()
}

/// saa spins, and calls the scheduler, for tens of microseconds before a wait registers: nothing to count.
fn spins(row: &Row, entry: &Entry) -> bool {
    entry.peer.starts_with("saa ")
        && !["mutex/uncontended", "mutex/try_lock", "rwlock/uncontended_read", "rwlock/uncontended_write"]
            .contains(&row.name.as_str())
}

/// All peers' rows, printed; returns this crate's.
fn compare(options: &Options) -> Counts {
    let mut own = Counts::new();
    let mut summary = vec![["row", "testudo", "best peer", "ratio"].map(str::to_owned).to_vec()];
    for row in rows(options) {
        let entries = row.entries.iter().filter(|entry| entry.role != Role::Floor && !spins(&row, entry));
        let mut costs: Vec<(f64, &Entry)> = entries.map(|entry| (per_op(&row, entry), entry)).collect();
        costs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best = costs.iter().find(|(_, entry)| entry.role == Role::Peer).expect("every row has a peer");
        let mut lines = vec![["peer", "instructions", "ratio"].map(str::to_owned).to_vec()];
        for (cost, entry) in &costs {
            let ratio = format!("{:.2}", cost / best.0);
            lines.push(vec![entry.peer.to_owned(), format!("{cost:.1}"), ratio.clone()]);
            if entry.role == Role::Own {
                own.insert(name(&row, entry), *cost);
                let best = format!("{:.1} ({})", best.0, best.1.peer);
                summary.push(vec![name(&row, entry), format!("{cost:.1}"), best, ratio]);
            }
        }
        println!("\n{}: {}", row.name, row.what);
        harness::print(&lines, options.markdown);
    }
    println!("\nSummary (a ratio below 1 is ahead of the best peer)");
    harness::print(&summary, options.markdown);
    println!();
    own
}

fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output.map_or_else(|_| "rustc unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn render(counts: &Counts) -> String {
    let lines = counts.iter().map(|(row, cost)| format!("{row} {cost:.2}\n"));
    format!("# row, instructions an operation; {}\n{}", rustc(), lines.collect::<String>())
}

fn parse(baseline: &str) -> Counts {
    let lines = baseline.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let (row, cost) = line.rsplit_once(' ').expect("a row and a number");
        (row.to_owned(), cost.parse().expect("a number"))
    };
    lines.map(pair).collect()
}

/// A line for each row of either, and whether the gate lets them pass: no row costs more than its baseline allows,
/// every row has one, and there is a row at all.
fn judge(counts: &Counts, baseline: &Counts) -> (Vec<Vec<String>>, bool) {
    let mut lines = vec![["row", "instructions", "baseline", "change", "verdict"].map(str::to_owned).to_vec()];
    let mut passed = !counts.is_empty();
    for row in baseline.keys().chain(counts.keys()).collect::<BTreeSet<_>>() {
        let (new, old) = (counts.get(row).copied(), baseline.get(row).copied());
        let verdict = match (new, old) {
            (Some(new), Some(old)) if new <= old * (1.0 + TOLERANCE) => "ok",
            (Some(_), Some(_)) => "FAIL: costs more",
            (Some(_), None) => "FAIL: no baseline, run --update",
            _ => "FAIL: in the baseline, not counted",
        };
        passed &= verdict == "ok";
        let cell = |cost: Option<f64>| cost.map_or("-".into(), |cost| format!("{cost:.2}"));
        let change = new.zip(old).map_or("-".into(), |(new, old)| format!("{:+.2} %", (new / old - 1.0) * 100.0));
        lines.push(vec![row.clone(), cell(new), cell(old), change, verdict.to_owned()]);
    }
    (lines, passed)
}

fn gate(counts: &Counts, baseline: &str, options: &Options) -> bool {
    let mut old = parse(baseline);
    old.retain(|row, _| options.wants(row));
    let (lines, passed) = judge(counts, &old);
    harness::print(&lines, options.markdown);
    let made = baseline.lines().next().and_then(|line| line.rsplit_once("; ")).map_or("nothing", |(_, made)| made);
    if made != rustc() {
        println!("The baseline was made with {made}, this is {}: another compiler alone can move the counts.", rustc());
    }
    println!(
        "counts: {} rows, {}",
        counts.len(),
        if passed { "within the baseline" } else { "NOT within the baseline" }
    );
    passed
}

/// What was just counted passes against itself; it fails against 5 % less, and against a baseline that lacks a row; a
/// count without a row, and one without a single row, fail as well.
fn self_test(counts: &Counts) -> bool {
    let lower: Counts = counts.iter().map(|(row, cost)| (row.clone(), cost * 0.95)).collect();
    let fewer: Counts = counts.clone().into_iter().skip(1).collect();
    let cases = [
        ("itself", counts, counts, true),
        ("a baseline 5 % lower", counts, &lower, false),
        ("a baseline without one row", counts, &fewer, false),
        ("a count without one row", &fewer, counts, false),
        ("no rows at all", &Counts::new(), &Counts::new(), false),
    ];
    cases.iter().all(|(what, counts, baseline, expected)| {
        let (_, passed) = judge(counts, baseline);
        println!("self-test: {what}: {}", if passed == *expected { "as expected" } else { "FAILED" });
        passed == *expected
    })
}
