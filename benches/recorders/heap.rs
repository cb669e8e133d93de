//! What an event costs in heap memory.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use testudo_benches_recorders::{LOCKS, Measure, RECORDINGS, Told};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn count<T>(run: impl FnOnce(Measure<'_>) -> T) -> (T, Stats) {
    let mut change = Stats::default();
    let out = run(&mut |measured| {
        let region = Region::new(ALLOCATOR);
        measured();
        change = region.change();
    });
    (out, change)
}

fn main() {
    println!(
        "| {:<36} | allocations/event | bytes/event | bytes kept/event | bytes kept/lock | file bytes/event |",
        ""
    );
    println!("|{:-<38}|---:|---:|---:|---:|---:|", "");
    for recording in RECORDINGS {
        let _warm = count(|measure| measure(&mut || (recording.alone)()));
        let ((), alone) = count(|measure| measure(&mut || (recording.alone)()));
        let (told, with) = count(recording.run);
        let Told { events, written } = told;
        let each = |bytes: f64| bytes / events as f64;
        let kept = |stats: Stats| stats.bytes_allocated as f64 - stats.bytes_deallocated as f64;
        let figures = [
            each((with.allocations + with.reallocations) as f64 - (alone.allocations + alone.reallocations) as f64),
            each(with.bytes_allocated as f64 - alone.bytes_allocated as f64),
            each(kept(with) - kept(alone)),
            (kept(with) - kept(alone)) / f64::from(2 * LOCKS),
            each(written as f64),
        ];
        let cells = figures.map(|figure| format!("{figure:.2}"));
        println!("| {:<36} | {} |", recording.name, cells.join(" | "));
    }
}
