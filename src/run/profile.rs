//! Profiles: what ran, what waited, for what, and for how long. Feature `profile`; recording needs std.
//!
//! A [`Recorder`] keeps what happens until it is stopped; the [`Profile`] it returns is written for a viewer:
//!
//! | writer | opens in |
//! |---|---|
//! | [`write_chrome`](Profile::write_chrome) | ui.perfetto.dev, chrome://tracing |
//! | [`write_folded`](Profile::write_folded) | inferno, flamegraph.pl: on-CPU and off-CPU |
//! | [`write_speedscope`](Profile::write_speedscope) | speedscope.app |
//! | [`write_pstats`](Profile::write_pstats) | Python's pstats, snakeviz |
//! | [`write_summary`](Profile::write_summary) | a terminal |
//! | [`write_graph`](Profile::write_graph) | the await graph of the end: a terminal |
//!
//! Tasks are those of a [`Sim`](super::Sim); on any executor futures that were [`profiled`](ProfileExt::profiled), children of a
//! [`TaskGroup`](crate::task::TaskGroup) or [`SpawnedGroup`](crate::task::SpawnedGroup), and futures in a
//! [`Shelter`](crate::task::Shelter), if they were made while somebody recorded. Those of a
//! [`ShelterArray`](crate::task::ShelterArray), which has no memory for that, are if they are `profiled`.
#[cfg(feature = "std")]
mod fold;
#[cfg(feature = "std")]
mod model;
mod profiled;
#[cfg(feature = "std")]
mod pstats;
#[cfg(feature = "std")]
mod recorder;
#[cfg(feature = "alloc")]
mod spawner;
#[cfg(feature = "std")]
mod stats;
#[cfg(feature = "std")]
mod summary;
#[cfg(feature = "std")]
mod write;

#[cfg(feature = "std")]
pub use model::Profile;
pub use profiled::{ProfileExt, Profiled};
#[cfg(feature = "std")]
pub use recorder::{Recorder, Recording};
#[cfg(feature = "alloc")]
pub use spawner::ProfiledSpawner;
#[cfg(feature = "std")]
pub use stats::{ResourceStats, TaskStats};
#[cfg(feature = "std")]
pub use write::Cpu;

pub use crate::probe::name;
