//! Which of the runnable tasks comes next.
use alloc::collections::VecDeque;

/// Which of the runnable tasks a [`Sim`](super::Sim) polls next.
///
/// | policy | next task | for |
/// |---|---|---|
/// | `Fifo` | the one that became runnable first, as in asyncio | examples, traces |
/// | `Random` | any, drawn by the seed | finding orders nobody thought of |
///
/// Whatever the policy, the same program with the same seed runs in the same order.
///
/// # Examples
/// ```
/// use testudo::run::{Policy, Sim};
///
/// let sim = Sim::builder().policy(Policy::Random).seed(7).build();
/// assert_eq!(sim.block_on(async { 1 + 1 }).unwrap(), 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// In the order in which they became runnable.
    #[default]
    Fifo,
    /// Any of them, drawn anew for each poll.
    Random,
}

/// A policy at work.
#[derive(Debug)]
pub(super) struct Picker {
    policy: Policy,
    random: SplitMix64,
}

impl Picker {
    pub(super) fn new(policy: Policy, seed: u64) -> Self {
        Self { policy, random: SplitMix64(seed) }
    }

    /// Takes the next one out of the queue: every policy is a line here.
    pub(super) fn pick(&mut self, queue: &mut VecDeque<usize>) -> Option<usize> {
        match self.policy {
            Policy::Random if queue.len() > 1 => queue.swap_remove_back(self.random.below(queue.len())),
            Policy::Fifo | Policy::Random => queue.pop_front(),
        }
    }
}

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), with Vigna's constants.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `n`, by Lemire's multiplication: the same on 32-bit and 64-bit targets.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::SplitMix64;

    #[test]
    fn splitmix64_gives_the_published_numbers() {
        let mut random = SplitMix64(1234567);
        let first = [random.next(), random.next(), random.next()];
        assert_eq!(first, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }
}
