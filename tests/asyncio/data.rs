//! Programs and what is expected of them: the committed ones, or those of `TESTUDO_SCENARIOS` and `TESTUDO_TRACES`.
use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;

use crate::{scenario::Scenario, world::Reading};

pub struct Case {
    pub scenario: Arc<Scenario>,
    /// As it was read, for reports.
    pub source: String,
    pub expected: Expected,
}

/// A row of `oracle.py record`; or just a trace of `oracle.py run`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Expected {
    Recorded { tier: Tier, cpython: Value, any_order: bool, native: Option<Design>, literal: Option<Design> },
    Trace(Value),
}

/// Which executors CPython's trace is required of: all, those that poll in the order of wakes, none.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub enum Tier {
    A,
    B,
    C,
}

/// What testudo does where that is not what CPython does, and the names of the differences.
#[derive(Debug, Deserialize)]
pub struct Design {
    pub names: Vec<String>,
    pub trace: Value,
}

impl Expected {
    pub fn cpython(&self) -> &Value {
        match self {
            Self::Recorded { cpython, .. } => cpython,
            Self::Trace(trace) => trace,
        }
    }

    pub fn design(&self, reading: Reading) -> Option<&Design> {
        match (self, reading) {
            (Self::Recorded { native, .. }, Reading::Native) => native.as_ref(),
            (Self::Recorded { literal, .. }, Reading::Literal) => literal.as_ref(),
            (Self::Trace(_), _) => None,
        }
    }

    /// Required whatever the order in which tasks are polled.
    pub fn any_order(&self) -> bool {
        matches!(self, Self::Recorded { any_order: true, .. })
    }

    pub fn is_tier(&self, wanted: Tier) -> bool {
        matches!(self, Self::Recorded { tier, .. } if *tier == wanted)
    }
}

fn lines(path: &Path) -> impl Iterator<Item = String> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader: Box<dyn Read> = match path.extension() {
        Some(gz) if gz == "gz" => Box::new(GzDecoder::new(file)),
        _ => Box::new(file),
    };
    BufReader::new(reader).lines().map(|line| line.expect("text")).filter(|line| !line.trim().is_empty())
}

fn scenario(source: &str) -> Arc<Scenario> {
    Arc::new(serde_json::from_str(source).unwrap_or_else(|error| panic!("{error} in {source}")))
}

/// Those of `TESTUDO_SCENARIOS`, without expectations.
pub fn scenarios() -> Option<Vec<Arc<Scenario>>> {
    let path = env::var_os("TESTUDO_SCENARIOS")?;
    Some(lines(path.as_ref()).map(|line| scenario(&line)).collect())
}

/// The names of the committed programs.
pub fn committed_names() -> Vec<String> {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asyncio/data/scenarios.jsonl.gz");
    lines(&programs).map(|line| scenario(&line).name.as_str().unwrap_or_default().to_string()).collect()
}

pub fn is_committed() -> bool {
    env::var_os("TESTUDO_SCENARIOS").is_none()
}

pub fn cases() -> Vec<Case> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asyncio/data");
    let (programs, traces) = match (env::var_os("TESTUDO_SCENARIOS"), env::var_os("TESTUDO_TRACES")) {
        (Some(programs), Some(traces)) => (programs.into(), traces.into()),
        (Some(_), None) => panic!("TESTUDO_SCENARIOS goes with TESTUDO_TRACES or TESTUDO_OUT"),
        _ => (data.join("scenarios.jsonl.gz"), data.join("expected.jsonl.gz")),
    };
    let programs: Vec<_> = lines(&programs).collect();
    let traces: Vec<_> = lines(&traces).collect();
    assert_eq!(programs.len(), traces.len(), "as many traces as scenarios");
    let case = |(source, trace): (String, String)| {
        let expected = serde_json::from_str(&trace).unwrap_or_else(|error| panic!("{error} in {trace}"));
        Case { scenario: scenario(&source), source, expected }
    };
    programs.into_iter().zip(traces).map(case).collect()
}
