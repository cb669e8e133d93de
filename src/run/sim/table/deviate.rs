//! Where a policy leaves the order of asyncio, and how that is recorded.
// INVARIANTS  I1 nothing happens here but steps of a schedule, and each is recorded: so the schedule repeats the run.
//             I2 a step counts places in the line of those that have not ended: the stack is empty, the line purged.
use alloc::{borrow::Cow, format, string::String};

use super::{Body, Entry, Free, Tasks};
use crate::run::sim::{policy::Before, schedule::Act};

impl Tasks {
    /// Lets the policy wake a task for nothing, and bring its choice to the head of the line.
    #[cold]
    pub(super) fn deviate(&mut self) {
        self.purge(); // I2
        if self.queue.is_empty() {
            return;
        }
        while let Some(before) = self.picker.before(self.polls, self.slots.len()) {
            match before {
                Before::Wake(id) => self.wake(0, |entry| entry.id == id),
                Before::WakeFrom(start) => {
                    if self.earned {
                        self.wake(start, |_| true);
                    }
                    break;
                }
                Before::Hold => self.hold(),
            }
        }
        let index = self.picker.pick(self.polls, &self.queue);
        if index > 0 {
            let (taken, first) = (self.queue[index], self.queue[0]);
            self.record(Act::Take(index as u64), |tasks| {
                format!("{} goes before {}", tasks.name(taken), tasks.name(first))
            });
            self.queue.rotate_left(index);
        }
    }

    /// I1.
    fn record(&mut self, act: Act, words: impl FnOnce(&Self) -> String) {
        let words = self.recorder.told().then(|| format!("before poll {} {}", self.polls, words(self)));
        self.recorder.push(self.polls, act, words);
    }

    fn name(&self, slot: usize) -> Cow<'static, str> {
        self.slots[slot].as_ref().map(|entry| entry.label.name(entry.id)).unwrap_or_default()
    }

    /// Wakes the first task, from this slot on, that is meant and blocked: T1 of ready.rs, and it is queued.
    fn wake(&mut self, start: usize, meant: impl Fn(&Entry) -> bool) {
        let n = self.slots.len();
        let blocked = |&slot: &usize| self.slots[slot].as_ref().is_some_and(|e| meant(e) && e.header.claim());
        let Some(slot) = (start..start + n).map(|i| i % n).find(blocked) else { return };
        self.picker.came(slot, false);
        self.queue.push_back(slot);
        self.earned = false;
        let entry = self.entry(slot);
        entry.noise = true;
        let id = entry.id;
        self.record(Act::Wake(id), |tasks| format!("{} is woken for nothing", tasks.name(slot)));
    }

    /// Puts the first in line aside, if it is not the only one.
    fn hold(&mut self) {
        if self.queue.len() < 2 {
            return;
        }
        let Some(first) = self.queue.pop_front() else { return };
        self.held.push(first);
        self.record(Act::Hold, |tasks| format!("{} is put aside until no other can run", tasks.name(first)));
    }

    /// T5 of table.rs for all that are gone, so that they do not count (I2).
    fn purge(&mut self) {
        if self.gone == 0 {
            return;
        }
        let (slots, free, left) = (&mut self.slots, &mut self.free, &mut self.gone);
        self.queue.retain(|&slot| {
            let gone = slots[slot].as_ref().is_some_and(|entry| matches!(entry.body, Body::Gone));
            if gone {
                free.extend(slots[slot].take().map(Free::of));
                *left -= 1;
            }
            !gone
        });
    }
}
