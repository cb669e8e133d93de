//! What is a difference, and what is one by design.
use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::{
    data::{Case, Expected},
    scenario::{Op, Scenario, Spec},
    world::Reading,
};

/// How many traces were as in CPython, and how many as the designs of those names say.
#[derive(Default)]
pub struct Tally {
    pub same: usize,
    pub by_design: BTreeMap<String, usize>,
    differences: Vec<String>,
}

impl Tally {
    /// Enters a trace of testudo.
    pub fn enter(&mut self, case: &Case, reading: Reading, trace: &Value) {
        let design = case.expected.design(reading);
        let wanted = design.map_or(case.expected.cpython(), |design| &design.trace);
        if trace == wanted {
            match design {
                None => self.same += 1,
                Some(design) => self.count(&design.names),
            }
            return;
        }
        let names = match &case.expected {
            Expected::Trace(_) => may_differ_by(&case.scenario, reading),
            Expected::Recorded { .. } => vec![],
        };
        if names.is_empty() {
            self.differences.push(difference(case, reading, wanted, trace));
        } else {
            // A bare trace of CPython does not say what is by design: `oracle.py record` does.
            self.count(&names.into_iter().map(|name| format!("{name}?")).collect::<Vec<_>>());
        }
    }

    fn count(&mut self, names: &[String]) {
        for name in names {
            *self.by_design.entry(name.clone()).or_default() += 1;
        }
    }

    #[track_caller]
    pub fn finish(self, what: &str) {
        let total = self.same + self.differences.len();
        println!("{what}: {} as in CPython, by design {:?}", self.same, self.by_design);
        let first = self.differences.iter().take(3).map(String::as_str).collect::<String>();
        assert!(self.differences.is_empty(), "{what}: {} of {total} differ\n{first}", self.differences.len());
    }
}

fn difference(case: &Case, reading: Reading, wanted: &Value, got: &Value) -> String {
    let mut text = String::new();
    writeln!(text, "{} ({reading:?}): {}", case.scenario.name, case.source).unwrap();
    for part in ["bodies", "served"] {
        let both = [wanted, got].map(|trace| trace[part].as_object().cloned().unwrap_or_default());
        for key in both[0].keys().chain(both[1].keys().filter(|key| !both[0].contains_key(*key))) {
            if both[0].get(key) != both[1].get(key) {
                let [wanted, got] = both.each_ref().map(|rows| rows.get(key).unwrap_or(&Value::Null));
                writeln!(text, "  {part} {key}\n    wanted {wanted}\n    got    {got}").unwrap();
            }
        }
    }
    if wanted["end"] != got["end"] {
        writeln!(text, "  end: wanted {}, got {}", wanted["end"], got["end"]).unwrap();
    }
    text
}

/// The names of the differences by design that a scenario has the ops for.
fn may_differ_by(scenario: &Scenario, reading: Reading) -> Vec<&'static str> {
    let names = ops(scenario);
    let has = |name: &str| names.iter().any(|known| known == name);
    let cancels = has("cancel") || has("timeout");
    let waits = has("cond_wait") || has("cond_wait_for");
    let bounded = scenario.objects.values().any(|spec| matches!(spec, Spec::Sem { bounded: true, .. }));
    let rules = [
        ("drops", waits && cancels),
        ("everybody", waits && cancels && has("cond_notify_all")),
        ("skips", reading == Reading::Native && has("cond_wait_for")),
        ("offers", reading == Reading::Native && has("try")),
        ("at_once", bounded && has("atomic") && has("cancel") && has("sem_release")),
        ("withdraws", has("barrier_wait") && cancels),
        ("siblings", reading == Reading::Native && has("gather")),
    ];
    rules.into_iter().filter(|(_, applies)| *applies).map(|(name, _)| name).collect()
}

/// The names of its ops, also of those inside others.
pub fn ops(scenario: &Scenario) -> Vec<String> {
    let mut names = Vec::new();
    scenario.bodies.iter().flat_map(|script| &script.ops).for_each(|row| collect(Op(&row[1..]), &mut names));
    names
}

fn collect(op: Op<'_>, names: &mut Vec<String>) {
    names.push(op.name().into());
    match op.name() {
        "timeout" => collect(Op::of(op.arg(2)), names),
        "try" => collect(Op::of(op.arg(1)), names),
        "atomic" => op.arg(1).as_array().into_iter().flatten().for_each(|inner| collect(Op::of(inner), names)),
        _ => {}
    }
}
