//! Futures that are finished whoever waits for them, and resources that are released by a future, on one thread.

use testudo_benches::entries;
use testudo_benches::harness::{self, Row, Sample};
use testudo_benches::peers::shield::*;

fn protect<P: Protect>(n: u64, course: usize) -> Sample {
    P::run(n, Course::of(course))
}

fn scope<S: Scoped>(n: u64, _: usize) -> Sample {
    S::run(n)
}

/// The rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let courses = [
        ("shield/uncontended", "a future that is ready at its first poll"),
        ("shield/poll_pending", "a future that pends once and is ready then"),
        ("shield/cancel_waiting", "a future that pends once; its waiter is dropped then, and it is finished"),
    ];
    let mut rows: Vec<Row> = courses
        .into_iter()
        .enumerate()
        .map(|(arg, (name, what))| Row {
            arg,
            ..Row::new(
                name,
                what,
                entries![protect: Testudo, TestudoArray, Shared, Remote, Tokio, AsyncExecutor, Bare, Boxed],
            )
        })
        .collect();
    rows.push(Row::new(
        "shield/guard",
        "a resource is acquired, and released by a future that is ready",
        entries![scope: TestudoGuard, TestudoArrayGuard, BoxedRelease, PlainDrop],
    ));
    rows
}

#[allow(dead_code, reason = "counts.rs takes the rows of this file and has a main of its own")]
fn main() {
    harness::main(rows());
}
