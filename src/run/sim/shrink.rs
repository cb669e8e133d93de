//! Making a failing schedule short.
// INVARIANTS  I1 the schedule that is kept is one that a run recorded when it failed, with the same kind of cause.
//             I2 each schedule that is kept comes before the one it replaces: fewer steps, or the same number and
//                smaller ones; so this ends.
use alloc::vec::Vec;
use core::mem::discriminant;

use super::{
    check::Outcome,
    schedule::{Act, Schedule, Step},
};

/// How many runs leaving out steps may take, trying single ones, and trying pairs: each one of these numbers.
const RUNS: usize = 1_000;
/// How many polls in all, so that long programs do not take for ever.
const POLLS: u64 = 10_000_000;

struct Shrink<'a> {
    least: Outcome,
    run: &'a mut dyn FnMut(&Schedule) -> Outcome,
    runs: usize,
    limit: usize,
    polls: u64,
}

/// Returns the run with the shortest schedule that was found, and after how many runs.
pub(super) fn shrink(failed: Outcome, run: &mut dyn FnMut(&Schedule) -> Outcome) -> (Outcome, usize) {
    let mut shrink = Shrink { least: failed, run, runs: 0, limit: RUNS, polls: 0 };
    if shrink.steps().is_empty() || shrink.try_steps(Vec::new()) {
        return (shrink.least, shrink.runs);
    }
    shrink.prefix();
    while shrink.remove() || shrink.lower() {}
    if shrink.steps().len() > 1 {
        shrink.limit = shrink.runs + RUNS;
        shrink.single();
    }
    if shrink.steps().len() > 2 {
        shrink.limit = shrink.runs + RUNS;
        shrink.double();
    }
    shrink.limit = shrink.runs + RUNS;
    while shrink.remove() || shrink.lower() {}
    (shrink.least, shrink.runs)
}

impl Shrink<'_> {
    fn steps(&self) -> &[Step] {
        self.least.schedule.steps()
    }

    fn has_budget(&self) -> bool {
        self.runs < self.limit && self.polls < POLLS
    }

    /// Runs it with other steps; keeps what was recorded if it fails in the same way and is less (I1, I2).
    fn try_steps(&mut self, steps: Vec<Step>) -> bool {
        if !self.has_budget() {
            return false;
        }
        let schedule = Schedule::new(self.least.schedule.seed(), steps);
        let outcome = (self.run)(&schedule);
        self.runs += 1;
        self.polls += outcome.polls;
        let same = match (&outcome.cause, &self.least.cause) {
            (Some(new), Some(old)) => discriminant(new) == discriminant(old),
            _ => false,
        };
        let kept = same && weight(outcome.schedule.steps()) < weight(self.steps());
        if kept {
            self.least = outcome;
        }
        kept
    }

    /// Looks for a short beginning that is enough: most runs go on for long after the mistake was made.
    fn prefix(&mut self) {
        let mut n = 1;
        while n < self.steps().len() {
            if self.try_steps(self.steps()[..n].to_vec()) {
                return;
            }
            n *= 2;
        }
    }

    /// Leaves out steps: half of them, a quarter, and so on down to one. Returns whether that ever worked.
    fn remove(&mut self) -> bool {
        let mut any = false;
        let mut size = self.steps().len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.steps().len() {
                let mut steps = self.steps().to_vec();
                steps.drain(from..steps.len().min(from + size));
                if self.try_steps(steps) {
                    any = true;
                } else {
                    from += size;
                }
            }
            size /= 2;
        }
        any
    }

    /// Makes each step smaller and earlier. Returns whether that ever worked.
    fn lower(&mut self) -> bool {
        let mut any = false;
        let mut i = 0;
        while i < self.steps().len() {
            let Step { at, act } = self.steps()[i];
            let smaller = match act {
                Act::Take(skipped) if skipped > 1 => Some(Step { at, act: Act::Take(1) }),
                _ => None,
            };
            let earlier = at.checked_sub(1).map(|at| Step { at, act });
            let lowered = smaller.into_iter().chain(earlier).any(|step| {
                let mut steps = self.steps().to_vec();
                steps[i] = step;
                self.try_steps(steps)
            });
            any |= lowered;
            i += usize::from(!lowered);
        }
        any
    }

    /// Tries each schedule of one step: often one is enough, and not among those of the run that failed.
    fn single(&mut self) {
        let acts = [Act::Hold, Act::Take(1), Act::Take(2), Act::Take(3)];
        for at in 0..self.least.polls {
            for act in acts {
                if !self.has_budget() || self.try_steps([Step { at, act }].to_vec()) {
                    return;
                }
            }
        }
    }

    /// Tries those of two steps, the early ones first.
    fn double(&mut self) {
        let acts = [Act::Hold, Act::Take(1)];
        let steps = |end| (0..end).flat_map(move |at| acts.map(|act| Step { at, act }));
        for second in steps(self.least.polls) {
            for first in steps(second.at + 1) {
                if !self.has_budget() || self.try_steps([first, second].to_vec()) {
                    return;
                }
            }
        }
    }
}

/// What orders schedules: the number of steps, then the sizes and the times of them.
fn weight(steps: &[Step]) -> (usize, u64) {
    let size = |step: &Step| step.at + if let Act::Take(skipped) = step.act { skipped } else { 0 };
    (steps.len(), steps.iter().map(size).fold(0, u64::saturating_add))
}
