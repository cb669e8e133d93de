//! Schedules as a strategy of proptest.
use alloc::vec::Vec;

use proptest::{collection::vec, prelude::*};

use super::schedule::{Act, Schedule, Step};

/// How many steps a schedule has, at most.
const STEPS: usize = 48;

/// A strategy of the `proptest` crate whose values are schedules, to be run with [`Policy::Replay`](super::Policy).
///
/// They shrink to the order of asyncio: to fewer steps, which come earlier and let fewer tasks wait. Their seed is drawn
/// too, and shrinks to 0. There are no spurious polls in them; see [`SimBuilder::spurious_polls`](super::SimBuilder).
///
/// # Examples
/// ```
/// use proptest::prelude::*;
/// use testudo::run::{Policy, Sim, schedules};
///
/// proptest!(|(schedule in schedules(), n in 1..5_u32)| {
///     let sim = Sim::builder().policy(Policy::Replay(schedule)).build();
///     let tasks: Vec<_> = (0..n).map(|i| sim.spawn(async move { i })).collect();
///     let sum = sim.block_on(async {
///         let mut sum = 0;
///         for task in tasks {
///             sum += task.await.unwrap();
///         }
///         sum
///     });
///     prop_assert_eq!(sum.unwrap(), n * (n - 1) / 2);
/// });
/// ```
pub fn schedules() -> impl Strategy<Value = Schedule> {
    // Most mistakes are made early; and the first in line of few waits more often than the fifth of many.
    let at = prop_oneof![4 => 0..16_u64, 2 => 0..64_u64, 1 => 0..512_u64];
    let skipped = prop_oneof![6 => 1..3_u64, 1 => 1..32_u64];
    let act = prop_oneof![3 => skipped.prop_map(Act::Take), 1 => Just(Act::Hold)];
    let step = (at, act).prop_map(|(at, act)| Step { at, act });
    let seed = prop_oneof![1 => Just(0_u64), 1 => any::<u64>()];
    (seed, vec(step, 0..STEPS)).prop_map(|(seed, steps): (u64, Vec<Step>)| Schedule::new(seed, steps))
}
