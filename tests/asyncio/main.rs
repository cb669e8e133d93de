//! CPython as the oracle: programs over asyncio's objects, run on testudo, end as they ended in CPython 3.13.
//!
//! FORMAT.md says what a program and a trace are, README.md how they come about and what differs by design, PARITY.md what
//! became of each behaviour of asyncio's own tests. `cargo test --test asyncio` needs no Python: the traces are committed.
//!
//! | set | and then |
//! |---|---|
//! | `TESTUDO_SCENARIOS`, `TESTUDO_TRACES` | those are run and compared; traces of `oracle.py run` or rows of `oracle.py record` |
//! | `TESTUDO_SCENARIOS`, `TESTUDO_OUT` | testudo's traces are written, for `oracle.py check`; with `TESTUDO_READING=native` the other reading's |
//!
//! Each of these mistakes, one by one, in the primitives (mutants/, `ci/asyncio.sh --mutants`) is found by the committed programs:
//!
//! | mutants/ | the mistake |
//! |---|---|
//! | `set_is_only_a_pulse` | a set that finds waiters releases them and is forgotten |
//! | `offered_lock_is_lost` | who was offered the lock and is dropped does not pass the offer on |
//! | `offered_permit_is_lost` | the first in line for permits, items or room is dropped, and nobody looks at what it was offered |
//! | `a_dropped_permit_exceeds_the_bound` | a permit that comes back may be one too many |
//! | `notification_is_lost` | a notified wait that is dropped passes nothing on |
//! | `notification_is_spent_on_the_unsatisfied` | `notify(n)` counts waiters whose predicate is false |
//! | `arrival_is_not_withdrawn` | a cancelled arrival at a barrier still counts |
//! | `close_now_leaves_items_unfinished` | dropped items stay unfinished |
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, reason = "tests have std")]

mod body;
mod children;
mod compare;
mod data;
mod host;
mod ops;
mod parity;
mod scenario;
mod threads;
mod world;

use std::{env, fs, sync::Arc, thread, time::Duration};

use testudo::run::{Policy, Sim};

use compare::Tally;
use data::Tier;
use world::Reading;

/// Besides first come first polled.
const POLICIES: [fn() -> Policy; 3] = [|| Policy::Random, || Policy::Lifo, || Policy::Pct { depth: 3 }];

const READINGS: [Reading; 2] = [Reading::Native, Reading::Literal];

/// The differences by design (README.md); examples.jsonl has a program of that name for each.
const NAMES: [&str; 7] = ["drops", "everybody", "skips", "offers", "at_once", "withdraws", "siblings"];

/// Whether this run only writes traces: then it has, and there is nothing to compare.
fn only_writes() -> bool {
    let (Some(out), Some(scenarios)) = (env::var_os("TESTUDO_OUT"), data::scenarios()) else { return false };
    let reading = match env::var("TESTUDO_READING").as_deref() {
        Ok("native") => Reading::Native,
        _ => Reading::Literal,
    };
    let line = |scenario| host::simulate(&Sim::new(), scenario, reading).to_string() + "\n";
    fs::write(out, scenarios.iter().map(line).collect::<String>()).expect("TESTUDO_OUT can be written");
    true
}

#[test]
fn every_recorded_program_ends_as_in_cpython_or_as_the_named_designs_say() {
    if only_writes() {
        return;
    }
    let cases = data::cases();
    for reading in READINGS {
        let mut tally = Tally::default();
        for case in &cases {
            tally.enter(case, reading, &host::simulate(&Sim::new(), &case.scenario, reading));
        }
        if data::is_committed() {
            assert!(cases.iter().filter(|case| !case.expected.is_tier(Tier::C)).count() >= 3000);
            let names =
                NAMES.iter().filter(|&name| !["skips", "siblings"].contains(name) || reading == Reading::Native);
            for name in names {
                let example = cases.iter().find(|case| case.scenario.name == *name).expect("examples.jsonl");
                let design = example.expected.design(reading);
                let shown = design.is_some_and(|design| design.names.iter().any(|shown| shown == name));
                assert!(shown || *name == "offers" && reading == Reading::Literal, "{name} in {reading:?}");
            }
        }
        tally.finish(&format!("{reading:?}, first come first polled"));
    }
}

/// Those that do not depend on the order in which bodies are polled. None if this run only writes traces, or has bare ones:
/// `oracle.py record` says which those are.
fn in_any_order() -> Option<Vec<data::Case>> {
    if env::var_os("TESTUDO_OUT").is_some() {
        return None;
    }
    let mut cases = data::cases();
    cases.retain(|case| case.expected.any_order());
    if cases.is_empty() {
        assert!(!data::is_committed());
        println!("nothing is known to be the same in any order");
        return None;
    }
    Some(cases)
}

#[test]
fn programs_that_do_not_depend_on_the_order_of_polls_end_so_in_any_order() {
    let Some(cases) = in_any_order() else { return };
    for (round, policy) in POLICIES.into_iter().cycle().take(2 * POLICIES.len()).enumerate() {
        for reading in READINGS {
            let mut tally = Tally::default();
            for (seed, case) in cases.iter().enumerate() {
                let sim = Sim::builder().policy(policy()).seed((round * cases.len() + seed) as u64).build();
                tally.enter(case, reading, &host::simulate(&sim, &case.scenario, reading));
            }
            tally.finish(&format!("{reading:?}, {:?}, round {round}", policy()));
        }
    }
}

fn on_threads(name: &str, spawn: &threads::Spawn) {
    let Some(cases) = in_any_order() else { return };
    for_real(name, spawn, &cases);
    for reading in READINGS {
        let mut tally = Tally::default();
        for case in &cases {
            tally.enter(case, reading, &threads::run(spawn, &case.scenario, reading));
        }
        tally.finish(&format!("{reading:?}, {name}"));
    }
}

/// Twenty of the short ones by a real clock, whose tick is made longer where the machine is busy: a late run is not judged.
fn for_real(name: &str, spawn: &threads::Spawn, cases: &[data::Case]) {
    let short: Vec<_> = cases.iter().filter(|case| case.expected.cpython()["end"].as_u64() <= Some(60)).collect();
    let mut tally = Tally::default();
    let (mut chosen, mut judged) = (0, 0);
    for (case, reading) in short.iter().step_by(short.len().div_ceil(20).max(1)).zip(READINGS.into_iter().cycle()) {
        chosen += 1;
        let ticks = (0..7).map(|n| Duration::from_millis(1 << n));
        if let Some(trace) = { ticks }.find_map(|tick| threads::run_for_real(tick, spawn, &case.scenario, reading)) {
            tally.enter(case, reading, &trace);
            judged += 1;
        }
    }
    println!("{name}, by a real clock: {judged} of {chosen}");
    assert!(judged > 0, "the machine is too busy for a tick of 64 ms");
    tally.finish(&format!("{name}, by a real clock"));
}

#[test]
fn programs_that_do_not_depend_on_the_order_of_polls_end_so_on_tokio_with_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    let handle = runtime.handle().clone();
    let spawn: threads::Spawn = Arc::new(move |task| drop(handle.spawn(task)));
    on_threads("tokio", &spawn);
}

#[test]
fn programs_that_do_not_depend_on_the_order_of_polls_end_so_on_async_executor_with_threads() {
    let executor = Arc::new(async_executor::Executor::new());
    let stop = testudo::Event::new();
    thread::scope(|threads| {
        let _stop = SetOnDrop(&stop);
        for _ in 0..2 {
            threads.spawn(|| testudo::run::block_on(executor.run(stop.wait())));
        }
        let tasks = executor.clone();
        let spawn: threads::Spawn = Arc::new(move |task| tasks.spawn(task).detach());
        on_threads("async-executor", &spawn);
    });
}

/// The threads end, also when the test fails.
struct SetOnDrop<'e>(&'e testudo::Event);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}
