//! PARITY.md: no behaviour is left out, and what is said to show one exists.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::data;

/// The behaviours: how many there are of each object, counted from 1.
const BEHAVIOURS: [(&str, usize); 19] = [
    ("EV", 14),
    ("LOCK", 20),
    ("COND", 32),
    ("SEM", 18),
    ("BARR", 20),
    ("QUE", 31),
    ("SHUT", 11),
    ("GATH", 20),
    ("SHLD", 17),
    ("ASC", 15),
    ("WAIT", 15),
    ("TG", 31),
    ("TMO", 22),
    ("WF", 12),
    ("TASK", 25),
    ("EXEC", 13),
    ("AGEN", 21),
    ("ACM", 13),
    ("RUN", 5),
];

const VERDICTS: [&str; 4] = ["same", "stricter: ", "by design: ", "not translatable: "];

struct Row<'t> {
    id: &'t str,
    verdict: &'t str,
    tests: Vec<&'t str>,
}

/// `| id | behaviour | verdict | tests |`
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let cells: Vec<_> = line.split(" | ").collect();
        let id = cells[0].trim_start_matches("| ");
        if cells.len() == 4 && id.contains('-') && !id.starts_with("|-") {
            let tests = cells[3].split('`').skip(1).step_by(2).collect();
            rows.push(Row { id, verdict: cells[2], tests });
        }
    }
    rows
}

fn ids() -> BTreeSet<String> {
    BEHAVIOURS.iter().flat_map(|(name, n)| (1..=*n).map(move |nth| format!("{name}-{nth:02}"))).collect()
}

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)).unwrap_or_default()
}

/// Whether `tests/SUITE/FILE.rs` has the test and is part of the suite: each module on the way to it is declared.
fn is_run(suite: &str, file: &str, test: &str) -> bool {
    let mut parent = format!("{suite}/main.rs");
    let mut path = suite.to_string();
    let declared = file.split('/').all(|module| {
        let declares = source(&parent).lines().any(|line| line == format!("mod {module};"));
        path = format!("{path}/{module}");
        parent = format!("{path}.rs");
        declares
    });
    let name = format!("fn {test}(");
    let mut tests =
        source(&format!("{suite}/{file}.rs")).split("#[test]").skip(1).map(String::from).collect::<Vec<_>>();
    tests.retain(|rest| rest.trim_start().starts_with(&name));
    declared && tests.len() == 1
}

/// What is wrong with a reference, if anything is: `it FILE::TEST`, `asyncio FILE::TEST` or `profile NAME`.
fn mistake(reference: &str, profiles: &BTreeMap<String, usize>) -> Option<String> {
    let known = match reference.split_once(' ') {
        Some(("profile", name)) => profiles.get(name).is_some_and(|&programs| programs >= 100),
        Some((suite, path)) => path.split_once("::").is_some_and(|(file, test)| is_run(suite, file, test)),
        None => false,
    };
    (!known).then(|| format!("{reference} does not exist"))
}

/// All that is wrong with the table.
fn mistakes(text: &str, profiles: &BTreeMap<String, usize>) -> Vec<String> {
    let (mut mistakes, mut missing) = (Vec::new(), ids());
    for row in rows(text) {
        if !missing.remove(row.id) {
            mistakes.push(format!("{} is unknown, or comes twice", row.id));
        }
        if !VERDICTS.iter().any(|verdict| row.verdict.starts_with(verdict)) || row.verdict.ends_with(": ") {
            mistakes.push(format!("{}: {:?} is no verdict", row.id, row.verdict));
        }
        if row.tests.is_empty() && !row.verdict.starts_with("not translatable") {
            mistakes.push(format!("{}: nothing shows it", row.id));
        }
        mistakes.extend(row.tests.iter().filter_map(|test| Some(format!("{}: {}", row.id, mistake(test, profiles)?))));
    }
    mistakes.extend(missing.iter().map(|id| format!("{id} is missing")));
    mistakes
}

fn profiles() -> BTreeMap<String, usize> {
    let mut profiles = BTreeMap::new();
    for name in data::committed_names() {
        let profile = name.split('-').next().unwrap_or_default().to_string();
        *profiles.entry(profile).or_default() += 1;
    }
    profiles
}

#[test]
fn every_behaviour_of_asyncio_has_a_verdict_and_a_test_that_exists() {
    let mistakes = mistakes(&source("asyncio/PARITY.md"), &profiles());
    assert!(mistakes.is_empty(), "PARITY.md:\n{}", mistakes.join("\n"));
}

#[test]
fn a_reference_that_is_wrong_is_found_out() {
    let profiles = BTreeMap::from([("event".to_string(), 300), ("rare".to_string(), 99)]);
    let known = [
        "it event::a_new_event_is_not_set",
        "it sim/tasks::a_panic_in_a_destructor_does_not_keep_the_other_tasks_when_the_simulation_is_dropped",
        "asyncio parity::a_reference_that_is_wrong_is_found_out",
        "profile event",
    ];
    for right in known {
        assert_eq!(mistake(right, &profiles), None);
    }
    for wrong in [
        "it event::no_such_test",
        "it event::a_new_event",
        "it no_such_file::a_new_event_is_not_set",
        "it main::a_new_event_is_not_set",
        "it tasks::destructors_may_use_a_simulation_that_is_being_dropped",
        "asyncio parity::ids",
        "profile lock",
        "profile rare",
        "it event",
        "event",
    ] {
        assert!(mistake(wrong, &profiles).is_some(), "{wrong}");
    }
}

#[test]
fn a_table_that_is_wrong_is_found_out() {
    let row = |id: &str, verdict: &str, tests: &str| format!("| {id} | x | {verdict} | {tests} |\n");
    let show = "`it event::a_new_event_is_not_set`";
    let whole: Vec<_> = ids().iter().map(|id| row(id, "same", show)).collect();
    let found = |change: &dyn Fn(&mut Vec<String>)| {
        let mut rows = whole.clone();
        change(&mut rows);
        mistakes(&rows.concat(), &BTreeMap::new()).join(", ")
    };
    assert_eq!((ids().len(), found(&|_| {})), (355, String::new()));
    let first = ids().first().expect("355").clone();
    let changes = [
        (row(&first, "same", show).repeat(2), "ACM-01 is unknown, or comes twice"),
        (row(&first, "same", show) + &row("ACM-14", "same", show), "ACM-14 is unknown, or comes twice"),
        (String::new(), "ACM-01 is missing"),
        (row(&first, "alike", show), "ACM-01: \"alike\" is no verdict"),
        (row(&first, "stricter: ", show), "ACM-01: \"stricter: \" is no verdict"),
        (row(&first, "stricter: much", "-"), "ACM-01: nothing shows it"),
        (row(&first, "not translatable: no", "-"), ""),
        (row(&first, "not translatable: no", "`it event::x`"), "ACM-01: it event::x does not exist"),
    ];
    for (instead, mistake) in changes {
        assert_eq!(found(&|rows| rows[0].clone_from(&instead)), mistake);
    }
}
