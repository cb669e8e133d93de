//! Groups: children that are ready at once, and children that yield once.

use std::hint::black_box;

use testudo_benches::entries;
use testudo_benches::harness::{self, Row, Sample, time};
use testudo_benches::peers::group::*;

/// Children are spawned and joined. Counts children.
fn spawn_join<G: Group>(n: u64, children: usize, yields: usize) -> Sample {
    let executor = G::executor();
    let mut sample = time(n.div_ceil(children as u64), || {
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

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for children in [1, 8, 64, 1_024, 100_000, 1_000_000] {
        let counted = (children as u64).max(1_000) * u64::from(children < 100_000);
        let mut entries = entries![yield_once: Testudo, TestudoSpawned, JoinSet, TaskTracker, Unordered, Moro];
        entries.extend(match children {
            1 => entries![yield_once: TestudoArray<1>],
            8 => entries![yield_once: TestudoArray<8>],
            64 => entries![yield_once: TestudoArray<64>],
            _ => Vec::new(),
        });
        let what = "N children are spawned, yield once, and are joined: for each child";
        rows.push(Row { arg: children, counted, ..Row::new(format!("group/yield_once_{children}"), what, entries) });
        let mut entries = entries![all_ready: Testudo, TestudoSpawned, JoinSet, TaskTracker, Unordered, Moro];
        entries.extend(match children {
            1 => entries![all_ready: TestudoArray<1>],
            8 => entries![all_ready: TestudoArray<8>],
            64 => entries![all_ready: TestudoArray<64>],
            _ => Vec::new(),
        });
        let what = "N children are spawned, are ready at once, and are joined: for each child";
        rows.push(Row { arg: children, counted, ..Row::new(format!("group/all_ready_{children}"), what, entries) });
    }
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
