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

/// Under this heading a row may stand without a test.
const OPEN: &str = "# Shown by the tests of task, flow and run";

const VERDICTS: [&str; 4] = ["same", "stricter: ", "by design: ", "not translatable: "];

struct Row<'t> {
    id: &'t str,
    verdict: &'t str,
    tests: Vec<&'t str>,
    open: bool,
}

/// `| id | behaviour | verdict | tests |`
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut open = false;
    let mut rows = Vec::new();
    for line in text.lines() {
        open |= line == OPEN;
        let cells: Vec<_> = line.split(" | ").collect();
        let id = cells[0].trim_start_matches("| ");
        if cells.len() == 4 && id.contains('-') && !id.starts_with("|-") {
            let tests = cells[3].split('`').skip(1).step_by(2).collect();
            rows.push(Row { id, verdict: cells[2], tests, open });
        }
    }
    rows
}

fn ids() -> BTreeSet<String> {
    BEHAVIOURS.iter().flat_map(|(name, n)| (1..=*n).map(move |nth| format!("{name}-{nth:02}"))).collect()
}

/// What is wrong with a reference, if anything is: `it FILE::TEST`, `asyncio TEST` or `profile NAME`.
fn mistake(reference: &str, profiles: &BTreeMap<String, usize>) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let has_test = |path: &str, test: &str| {
        let source = fs::read_to_string(root.join(path)).unwrap_or_default();
        let name = format!("fn {test}(");
        source.split("#[test]").skip(1).any(|rest| rest.trim_start().starts_with(&name))
    };
    let known = match reference.split_once(' ') {
        Some(("profile", name)) => profiles.get(name).is_some_and(|&programs| programs >= 100),
        Some((suite, path)) => match path.split_once("::") {
            Some((file, test)) => has_test(&format!("tests/{suite}/{file}.rs"), test),
            None => false,
        },
        None => false,
    };
    (!known).then(|| format!("{reference} does not exist"))
}

#[test]
fn every_behaviour_of_asyncio_has_a_verdict_and_a_test_that_exists() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asyncio/PARITY.md")).unwrap();
    let rows = rows(&text);
    let mut mistakes = Vec::new();
    let mut missing = ids();
    let mut profiles = BTreeMap::new();
    for name in data::committed_names() {
        let profile = name.split('-').next().unwrap_or_default().to_string();
        *profiles.entry(profile).or_default() += 1;
    }
    for row in &rows {
        if !missing.remove(row.id) {
            mistakes.push(format!("{} is unknown, or comes twice", row.id));
        }
        if !VERDICTS.iter().any(|verdict| row.verdict.starts_with(verdict)) || row.verdict.ends_with(": ") {
            mistakes.push(format!("{}: {:?} is no verdict", row.id, row.verdict));
        }
        if row.tests.is_empty() && !row.open && !row.verdict.starts_with("not translatable") {
            mistakes.push(format!("{}: nothing shows it", row.id));
        }
        mistakes.extend(row.tests.iter().filter_map(|test| Some(format!("{}: {}", row.id, mistake(test, &profiles)?))));
    }
    mistakes.extend(missing.iter().map(|id| format!("{id} is missing")));
    assert!(mistakes.is_empty(), "PARITY.md:\n{}", mistakes.join("\n"));
}

#[test]
fn a_row_that_is_wrong_is_found_out() {
    let profiles = BTreeMap::from([("event".to_string(), 300)]);
    assert_eq!(mistake("it event::a_new_event_is_not_set", &profiles), None);
    assert_eq!(mistake("profile event", &profiles), None);
    for wrong in
        ["it event::no_such_test", "it no_such_file::a_new_event_is_not_set", "profile lock", "it event", "event"]
    {
        assert!(mistake(wrong, &profiles).is_some(), "{wrong}");
    }
    assert_eq!(ids().len(), 355);
}
