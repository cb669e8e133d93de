//! What each op is in testudo: one op a line.
#![allow(clippy::unit_arg, reason = "what has no value is done")]
use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use serde_json::{Value, json};
use testudo::{
    Barrier, Condition, Event, Mutex, Semaphore,
    sync::{Closed, TryGetError, TryPutError},
};

use crate::{
    body::{Body, Held},
    host::Host,
    scenario::{Op, Outcome},
    world::{Buffer, Object, Reading, World, each_buffer},
};

macro_rules! object {
    ($self:expr, $op:expr, $kind:ident) => {
        match $self.world.object($op.text(1)) {
            Object::$kind(object) => object.clone(),
            _ => panic!("{} of another object", $op.name()),
        }
    };
}

/// Ops that are entered in `served` when they get what they wait for.
const GRANTS: [&str; 9] = [
    "event_wait",
    "lock_acquire",
    "cond_acquire",
    "cond_wait",
    "cond_wait_for",
    "sem_acquire",
    "q_put",
    "q_get",
    "barrier_wait",
];

impl<H: Host> Body<H> {
    /// Does an op that has no `timeout` around it.
    pub async fn wait(&mut self, op: Op<'_>) -> Outcome {
        let place = InLine::new(&self.world, op);
        let outcome = match op.name() {
            "sleep" => self.sleep(op.number(1) as u64).await,
            "event_wait" => done(Event::wait_with(object!(self, op, Event)).await),
            "lock_acquire" => self.hold(op.text(1), Held::Lock(Mutex::lock_with(object!(self, op, Lock)).await)),
            "cond_acquire" => self.hold(op.text(1), Held::Cond(Condition::lock_with(object!(self, op, Cond)).await)),
            "cond_wait" => self.cond_wait(op).await,
            "cond_wait_for" => self.cond_wait_for(op).await,
            "sem_acquire" => self.sem_acquire(op).await,
            "q_put" => put(object!(self, op, Queue), op.arg(2)).await,
            "q_get" => get(object!(self, op, Queue)).await,
            "q_join" => done(each_buffer!(object!(self, op, Queue), queue => queue.join().await)),
            "barrier_wait" => arrive(object!(self, op, Barrier)).await,
            "join" => self.join(op).await,
            "shield" => self.shield(op).await,
            "gather" => self.gather(op).await,
            "taskgroup" => self.taskgroup(op).await,
            "as_completed" => self.as_completed(op).await,
            "wait" => self.wait_for_some(op).await,
            _ => self.now(op),
        };
        drop(place);
        if outcome.is_served() && GRANTS.contains(&op.name()) {
            self.world.serve(op.text(1), self.id, self.at);
        }
        outcome
    }

    /// Does an op that never suspends.
    pub fn now(&mut self, op: Op<'_>) -> Outcome {
        match op.name() {
            "event_set" => done(object!(self, op, Event).set()),
            "event_clear" => done(object!(self, op, Event).clear()),
            "lock_release" | "cond_release" => self.take(op.text(1)).map_or_else(not_held, |held| done(drop(held))),
            "cond_notify" => self.notify(op, op.number(2)),
            "cond_notify_all" => self.notify(op, usize::MAX),
            "cond_push" => self.cond_push(op),
            "cond_take" => self.cond_take(op),
            "sem_release" => self.sem_release(op),
            "q_put_nowait" => try_put(object!(self, op, Queue), op.arg(2)),
            "q_get_nowait" => try_get(object!(self, op, Queue)),
            "q_task_done" => each_buffer!(object!(self, op, Queue), queue => task_done(queue.task_done().is_ok())),
            "q_shutdown" => {
                each_buffer!(object!(self, op, Queue), queue => close(op, || queue.close(), || queue.close_now()))
            }
            "barrier_reset" => done(object!(self, op, Barrier).reset()),
            "barrier_abort" => done(object!(self, op, Barrier).abort()),
            "probe" => Outcome::value(self.probe(op)),
            "try" => self.attempt(Op::of(op.arg(1))),
            "atomic" => Outcome::value(self.atomic(op)),
            "spawn" => done(self.world.start(op.number(1), None)),
            "cancel" => Outcome::value(self.world.cancel(op.number(1))),
            "tg_spawn" => self.tg_spawn(op),
            "end" => Outcome::ok(),
            "raise" => Outcome::error(op.text(1)),
            name => panic!("unknown op {name}"),
        }
    }

    async fn sleep(&mut self, k: u64) -> Outcome {
        done(self.world.host.sleep_until(self.world.op_slot(self.index, k)).await)
    }

    /// Polls an op once, and drops it if it is not ready.
    fn attempt(&mut self, op: Op<'_>) -> Outcome {
        if self.world.reading == Reading::Literal && op.is_reserved() && self.world.in_line(op, 0) > 0 {
            return Outcome::would_block(); // asyncio reserves what is free for them
        }
        match pin!(self.wait(op)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Outcome::would_block(),
        }
    }

    fn atomic(&mut self, op: Op<'_>) -> Value {
        let inner = op.arg(1).as_array().expect("a list of ops");
        inner.iter().map(|op| self.now(Op::of(op)).after(json!([]))).collect()
    }

    fn probe(&self, op: Op<'_>) -> Value {
        match self.world.object(op.text(1)) {
            Object::Event(event) => event.is_set().into(),
            Object::Lock(lock) => lock.is_locked().into(),
            Object::Sem(semaphore) => semaphore.is_locked().into(),
            Object::Bounded(semaphore) => semaphore.is_locked().into(),
            Object::Cond(cond) => json!([cond.is_locked(), self.world.length(op.text(1))]),
            Object::Queue(queue) => each_buffer!(queue, q => json!([q.len(), q.is_empty(), q.is_full()])),
            Object::Barrier(barrier) => json!([barrier.waiting(), barrier.is_broken()]),
        }
    }

    // ---- conditions

    async fn cond_wait(&mut self, op: Op<'_>) -> Outcome {
        let Some(Held::Cond(guard)) = self.take(op.text(1)) else { return not_held() };
        let guard = object!(self, op, Cond).wait(guard).await;
        self.hold(op.text(1), Held::Cond(guard))
    }

    async fn cond_wait_for(&mut self, op: Op<'_>) -> Outcome {
        let (cond, k) = (object!(self, op, Cond), op.number(2));
        let Some(Held::Cond(mut guard)) = self.take(op.text(1)) else { return not_held() };
        match self.world.reading {
            Reading::Native => guard = cond.wait_for(guard, move |list| list.len() >= k).await,
            Reading::Literal => {
                while guard.len() < k {
                    guard = cond.wait(guard).await;
                }
            }
        }
        let length = guard.len();
        self.hold(op.text(1), Held::Cond(guard));
        Outcome::value(length)
    }

    /// After a timeout around a wait for a condition the body holds the lock again.
    pub async fn lock_again(&mut self, op: Op<'_>) {
        if op.name().starts_with("cond_wait") {
            let guard = Condition::lock_with(object!(self, op, Cond)).await;
            self.hold(op.text(1), Held::Cond(guard));
        }
    }

    fn notify(&mut self, op: Op<'_>, n: usize) -> Outcome {
        let cond = object!(self, op, Cond);
        self.cond(op.text(1)).map_or_else(not_held, |guard| done(cond.notify(guard, n)))
    }

    // ---- permits

    async fn sem_acquire(&mut self, op: Op<'_>) -> Outcome {
        let permit = match self.world.object(op.text(1)) {
            Object::Sem(semaphore) => Held::Permit(Semaphore::acquire_with(semaphore.clone(), 1).await),
            Object::Bounded(semaphore) => Held::Bounded(Semaphore::acquire_with(semaphore.clone(), 1).await),
            _ => panic!("sem_acquire of another object"),
        };
        self.hold(op.text(1), permit)
    }

    fn sem_release(&mut self, op: Op<'_>) -> Outcome {
        let world = self.world.clone();
        match world.object(op.text(1)) {
            Object::Sem(semaphore) => match self.take(op.text(1)) {
                Some(permit) => drop(permit),
                None => semaphore.add_permits(1),
            },
            // It may have all its permits though this body holds one: others may have added it.
            Object::Bounded(semaphore) => match (semaphore.add_permits(1), op.text(1)) {
                (Err(_), _) => return Outcome::error("OverRelease"),
                (Ok(()), name) => self.take(name).map_or((), Held::forget),
            },
            _ => panic!("sem_release of another object"),
        }
        Outcome::ok()
    }

    fn cond_push(&mut self, op: Op<'_>) -> Outcome {
        let Some(list) = self.cond(op.text(1)) else { return not_held() };
        list.push(integer(op.arg(2)));
        let length = list.len();
        done(self.world.set_length(op.text(1), length))
    }

    fn cond_take(&mut self, op: Op<'_>) -> Outcome {
        let Some(list) = self.cond(op.text(1)) else { return not_held() };
        let k = op.number(2).min(list.len());
        let taken: Vec<_> = list.drain(..k).collect();
        let length = list.len();
        self.world.set_length(op.text(1), length);
        Outcome::value(taken)
    }
}

// ---- queues and barriers

async fn put(queue: Buffer, item: &Value) -> Outcome {
    match each_buffer!(queue, queue => queue.put(integer(item)).await) {
        Ok(()) => Outcome::ok(),
        Err(Closed(_)) => Outcome::error("ShutDown"),
    }
}

async fn get(queue: Buffer) -> Outcome {
    match each_buffer!(queue, queue => queue.get().await) {
        Ok(item) => Outcome::value(item),
        Err(Closed(())) => Outcome::error("ShutDown"),
    }
}

fn try_put(queue: Buffer, item: &Value) -> Outcome {
    match each_buffer!(queue, queue => queue.try_put(integer(item))) {
        Ok(()) => Outcome::ok(),
        Err(TryPutError::Full(_)) => Outcome::would_block(),
        Err(TryPutError::Closed(_)) => Outcome::error("ShutDown"),
    }
}

fn try_get(queue: Buffer) -> Outcome {
    match each_buffer!(queue, queue => queue.try_get()) {
        Ok(item) => Outcome::value(item),
        Err(TryGetError::Empty) => Outcome::would_block(),
        Err(TryGetError::Closed) => Outcome::error("ShutDown"),
    }
}

fn task_done(counted: bool) -> Outcome {
    if counted { Outcome::ok() } else { Outcome::error("TooManyDone") }
}

fn close(op: Op<'_>, drain: impl FnOnce() -> bool, now: impl FnOnce() -> usize) -> Outcome {
    if op.flag(2) {
        now();
    } else {
        drain();
    }
    Outcome::ok()
}

async fn arrive(barrier: Arc<Barrier>) -> Outcome {
    match Barrier::wait_with(barrier).await {
        Ok(turn) => Outcome::value(turn.index),
        Err(_) => Outcome::error("BrokenBarrier"),
    }
}

// ---- small things

fn done((): ()) -> Outcome {
    Outcome::ok()
}

fn not_held() -> Outcome {
    Outcome::error("NotHeld")
}

fn integer(value: &Value) -> i64 {
    value.as_i64().expect("an integer")
}

/// The body is in line for what asyncio reserves.
struct InLine<'s, H: Host>(Arc<World<H>>, Op<'s>);

impl<'s, H: Host> InLine<'s, H> {
    fn new(world: &Arc<World<H>>, op: Op<'s>) -> Option<Self> {
        op.is_reserved().then(|| {
            world.in_line(op, 1);
            Self(world.clone(), op)
        })
    }
}

impl<H: Host> Drop for InLine<'_, H> {
    fn drop(&mut self) {
        self.0.in_line(self.1, -1);
    }
}
