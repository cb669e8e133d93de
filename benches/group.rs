//! Groups: children that are ready at once, and children that yield once.

use std::hint::black_box;

use testudo_benches::entries;
use testudo_benches::harness::{self, Entry, Row, Sample};
use testudo_benches::peers::group::*;

/// Children are spawned and joined. Counts children.
fn spawn_join<G: Group>(n: u64, children: usize, yields: usize) -> Sample {
    let executor = G::executor();
    let mut sample = G::time(n.div_ceil(children as u64), || {
        let sum = G::run(black_box(&executor), children, yields);
        assert_eq!(sum, children * (children - 1) / 2);
    });
    sample.ops *= children as u64;
    sample
}

fn all_ready<G: Group>(n: u64, children: usize) -> Sample {
    spawn_join::<G>(n, children, 0)
}

fn yield_once<G: Group>(n: u64, children: usize) -> Sample {
    spawn_join::<G>(n, children, 1)
}

/// The peers that can have so many children: an array has its places in its type, a blocked thread is for few.
macro_rules! groups {
    ($body:ident, $children:expr) => {{
        let mut entries: Vec<Entry> = match $children {
            1 => entries![$body: TestudoArray<1>, Scoped],
            8 => entries![$body: TestudoArray<8>, Scoped],
            64 => entries![$body: TestudoArray<64>, Scoped],
            1_024 => entries![$body: Scoped],
            _ => Vec::new(),
        };
        entries.splice(..0, entries![$body: Testudo, TestudoSpawned, JoinSet, TaskTracker, Unordered, Moro]);
        entries
    }};
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for children in [1, 8, 64, 1_024, 100_000, 1_000_000] {
        for (name, what, entries) in [
            (
                "yield_once",
                "N children are spawned, yield once, and are joined: for each child",
                groups!(yield_once, children),
            ),
            (
                "all_ready",
                "N children are spawned, are ready at once, and are joined: for each child",
                groups!(all_ready, children),
            ),
        ] {
            let row = Row::new(format!("group/{name}_{children}"), what, entries);
            let counted = (children as u64).max(1_000) * u64::from(children < 100_000);
            rows.push(Row { arg: children, counted, ..row });
        }
    }
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
