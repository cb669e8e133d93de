//! What runs the bodies: virtual time, tasks, and cancelling them.
use std::{future::Future, pin::Pin, rc::Rc, sync::Arc, time::Duration};

use serde_json::Value;
use testudo::{
    run::{Clock, Sim, Sleep, Spawner, Task},
    task::{Local, Shield, shield_local},
};

use crate::{
    body::Body,
    children::{Child, Scope, member},
    scenario::{End, Scenario},
    world::{Reading, World},
};

/// An executor and a clock. Types say whether bodies must be `Send`.
pub trait Host: Sized + 'static {
    type Handle: Clone;
    type Sleep: Future<Output = ()>;
    /// A body that runs inside another one.
    type Inline: Future<Output = ()> + Unpin;
    /// Of its task groups: whether children must be `Send`.
    type Kind;

    fn now(&self) -> u64;
    fn sleep_until(&self, tick: u64) -> Self::Sleep;
    fn start(&self, body: Body<Self>) -> Self::Handle;
    /// Drops the body, now or when the executor next comes round. Says whether that was still possible.
    fn cancel(handle: &Self::Handle) -> bool;
    fn inline(body: Body<Self>) -> Self::Inline;
    fn shield(&self, child: Child<Self>) -> Shield<End>;
    /// Makes it a member of a task group.
    fn spawn_in(scope: Scope<'_, Self>, child: Child<Self>);
}

/// testudo's own simulation: its clock, its tasks; cancelling drops at once.
pub struct OnSim {
    clock: Clock,
    spawner: Spawner,
}

const TICK: Duration = Duration::from_millis(1);

impl Host for OnSim {
    type Handle = Rc<Task<()>>;
    type Sleep = Sleep;
    type Inline = Pin<Box<dyn Future<Output = ()>>>;
    type Kind = Local;

    fn now(&self) -> u64 {
        (self.clock.now().as_nanos() / TICK.as_nanos()) as u64
    }

    fn sleep_until(&self, tick: u64) -> Sleep {
        self.clock.sleep(TICK * (tick - self.now()) as u32)
    }

    fn start(&self, body: Body<Self>) -> Self::Handle {
        Rc::new(self.spawner.spawn(body.run()))
    }

    fn cancel(handle: &Self::Handle) -> bool {
        handle.cancel()
    }

    fn inline(body: Body<Self>) -> Self::Inline {
        Box::pin(body.run())
    }

    fn shield(&self, child: Child<Self>) -> Shield<End> {
        shield_local(&self.spawner, child)
    }

    fn spawn_in(scope: Scope<'_, Self>, child: Child<Self>) {
        drop(scope.group.spawn(member(scope.clone(), child)));
    }
}

/// Runs a scenario to its end. Returns its trace.
pub fn simulate(sim: &Sim, scenario: &Arc<Scenario>, reading: Reading) -> Value {
    let world = World::new(scenario.clone(), reading, OnSim { clock: sim.clock(), spawner: sim.spawner() });
    for script in scenario.bodies.iter().filter(|script| script.start) {
        world.start(script.id, None);
    }
    let _stall = sim.run_until_stalled();
    world.trace()
}
