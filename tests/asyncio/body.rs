//! A body: a script, what it holds, and what becomes of that when it ends or is dropped.
use std::{future::ready, sync::Arc};

use testudo::{
    BoundedSemaphore, Condition, ConditionGuard, Mutex, MutexGuard, Semaphore,
    sync::Permit,
    task::{Elapsed, timeout},
};

use crate::{
    children::Asked,
    host::Host,
    scenario::{End, Op, Outcome},
    world::World,
};

pub type CondGuard = ConditionGuard<'static, Vec<i64>, Arc<Condition<Vec<i64>>>>;

/// What gives itself back when it is dropped.
pub enum Held {
    Lock(#[allow(dead_code, reason = "dropping it is its use")] MutexGuard<'static, (), Arc<Mutex<()>>>),
    Cond(CondGuard),
    Permit(Permit<Arc<Semaphore>>),
    Bounded(Permit<Arc<BoundedSemaphore>>),
}

impl Held {
    /// Does not give it back.
    pub fn forget(self) {
        match self {
            Self::Permit(permit) => permit.forget(),
            Self::Bounded(permit) => permit.forget(),
            _ => panic!("no permit"),
        }
    }
}

pub struct Body<H: Host> {
    pub world: Arc<World<H>>,
    pub index: usize,
    pub id: usize,
    pub at: usize,
    pub group: Option<Asked<H>>,
    /// By the names of the objects, in the order in which it got them.
    held: Vec<(String, Held)>,
    end: Option<End>,
}

impl<H: Host> Body<H> {
    pub fn new(world: &Arc<World<H>>, index: usize, group: Option<Asked<H>>) -> Self {
        let id = world.scenario.bodies[index].id;
        Self { world: world.clone(), index, id, at: 0, group, held: Vec::new(), end: None }
    }

    pub async fn run(mut self) {
        let world = self.world.clone();
        for (at, row) in world.scenario.bodies[self.index].ops.iter().enumerate() {
            self.at = at;
            world.is_at(self.index, at);
            let slot = world.op_slot(self.index, row[0].as_u64().expect("a delay"));
            world.host.sleep_until(slot).await;
            let op = Op(&row[1..]);
            let outcome = self.perform(op).await;
            world.record(self.index, at, outcome);
            if op.name() == "raise" {
                self.end = Some(End::Error(op.text(1).into()));
                return;
            }
        }
        self.end = Some(End::Ok);
    }

    /// Does an op, with all `timeout` around it.
    async fn perform(&mut self, op: Op<'_>) -> Outcome {
        // Timeouts around timeouts begin together: the shortest one counts.
        let (mut inner, mut shortest) = (op, None);
        while inner.name() == "timeout" {
            let k = inner.number(1) as u64;
            shortest = Some(shortest.map_or(k, |other| k.min(other)));
            inner = Op::of(inner.arg(2));
        }
        let Some(k) = shortest else { return self.wait(op).await };
        let world = self.world.clone();
        let in_time = match k {
            0 => timeout(ready(()), self.wait(inner)).await,
            _ => {
                let deadline = world.host.sleep_until(world.timer_slot(self.index, k));
                timeout(deadline, self.wait(inner)).await
            }
        };
        match in_time {
            Ok(outcome) => outcome,
            Err(Elapsed) => {
                self.lock_again(inner).await;
                Outcome::timeout()
            }
        }
    }

    // ---- what it holds

    pub fn hold(&mut self, object: &str, held: Held) -> Outcome {
        self.held.push((object.into(), held));
        Outcome::ok()
    }

    /// The last one that it got from the object.
    pub fn take(&mut self, object: &str) -> Option<Held> {
        let at = self.held.iter().rposition(|(name, _)| name == object)?;
        Some(self.held.remove(at).1)
    }

    pub fn cond(&mut self, object: &str) -> Option<&mut CondGuard> {
        self.held.iter_mut().find_map(|(name, held)| match held {
            Held::Cond(guard) if name == object => Some(guard),
            _ => None,
        })
    }
}

impl<H: Host> Drop for Body<H> {
    fn drop(&mut self) {
        let end = self.end.take().unwrap_or(End::Cancelled);
        if end == End::Cancelled {
            self.world.record(self.index, self.at, Outcome::cancelled());
        }
        while let Some((_, held)) = self.held.pop() {
            drop(held);
        }
        self.world.end(self.index, end);
    }
}
