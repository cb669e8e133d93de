//! Ops on other bodies, with testudo's own combinators over handles of their tasks. An owned handle cancels when it is dropped.
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_lite::{StreamExt, future};
use futures_util::FutureExt;
use serde_json::{Value, json};
use testudo::{
    Event, Queue,
    sync::EventWait,
    task::{Group, as_completed, gather, timeout, try_gather},
};

use crate::{
    body::Body,
    host::Host,
    scenario::{End, Op, Outcome},
    world::{Reading, World},
};

/// The handle of a body's task: how it ends.
pub struct Child<H: Host> {
    world: Arc<World<H>>,
    id: usize,
    ended: Pin<Box<EventWait<Arc<Event>>>>,
    owned: bool,
}

impl<H: Host> Child<H> {
    fn new(world: &Arc<World<H>>, id: usize, owned: bool) -> Self {
        let ended = Box::pin(Event::wait_with(world.ended(id)));
        Self { world: world.clone(), id, ended, owned }
    }

    /// With its task started.
    fn start(world: &Arc<World<H>>, id: usize, owned: bool) -> Self {
        world.start(id, None);
        Self::new(world, id, owned)
    }
}

impl<H: Host> Future for Child<H> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        ready!(self.ended.as_mut().poll(cx));
        self.owned = false;
        Poll::Ready(self.world.end_of(self.id).expect("it has ended"))
    }
}

impl<H: Host> Drop for Child<H> {
    fn drop(&mut self) {
        if self.owned {
            self.world.cancel(self.id);
        }
    }
}

/// Where the bodies of a task group ask for more of them.
pub type Asked<H> = Arc<Queue<Child<H>>>;

/// Whoever asks after it is gone is refused, and what was asked for and not spawned is cancelled.
struct Closing<H: Host>(Asked<H>);

impl<H: Host> Drop for Closing<H> {
    fn drop(&mut self) {
        self.0.close_now();
    }
}

/// A task group, for its block and its children.
pub struct Scope<'c, H: Host> {
    pub group: &'c Group<'c, String, H::Kind>,
    asked: Asked<H>,
}

impl<H: Host> Clone for Scope<'_, H> {
    fn clone(&self) -> Self {
        Self { group: self.group, asked: self.asked.clone() }
    }
}

/// Spawns what is asked for, until `fut` is done: whoever asks is in `fut`, or in that of another child.
async fn serve<'c, H: Host, T>(scope: &Scope<'c, H>, fut: impl Future<Output = T>) -> T {
    let mut fut = pin!(fut);
    let spawn = |child| H::spawn_in(scope.clone(), child);
    let spawn_all = async {
        while let Ok(child) = scope.asked.get().await {
            spawn(child);
        }
        future::pending().await
    };
    let output = future::or(spawn_all, fut.as_mut()).await;
    while let Ok(child) = scope.asked.try_get() {
        spawn(child);
    }
    output
}

/// What a child of a task group does: waits for its body.
pub async fn member<H: Host>(scope: Scope<'_, H>, child: Child<H>) -> Result<(), String> {
    match serve(&scope, child).await {
        End::Error(name) => Err(name),
        End::Ok | End::Cancelled => Ok(()), // who is cancelled alone has not failed
    }
}

impl<H: Host> Body<H> {
    fn children(&self, ids: &[usize], owned: bool) -> Vec<Child<H>> {
        ids.iter().map(|&id| Child::start(&self.world, id, owned)).collect()
    }

    fn results(&self, ids: &[usize]) -> Vec<Value> {
        ids.iter().map(|&id| self.world.end_of(id).expect("it has ended").of(id)).collect()
    }

    pub async fn join(&self, op: Op<'_>) -> Outcome {
        let id = op.number(1);
        Child::start(&self.world, id, op.flag(2)).await.outcome(id)
    }

    pub async fn shield(&self, op: Op<'_>) -> Outcome {
        let id = op.number(1);
        let child = Child::start(&self.world, id, false);
        self.world.host.shield(child).await.expect("its executor goes on").outcome(id)
    }

    pub async fn gather(&self, op: Op<'_>) -> Outcome {
        let ids = op.ids(1);
        if op.flag(2) {
            let ends = gather(self.children(&ids, true)).await;
            return Outcome::value(ids.iter().zip(ends).map(|(&id, end)| end.of(id)).collect::<Value>());
        }
        // asyncio leaves the others alone when one fails, and cancels all when it is cancelled itself.
        let leaves = self.world.reading == Reading::Literal && op.text(3) == "leave";
        let mut kept = if leaves { self.children(&ids, true) } else { vec![] };
        let children = self.children(&ids, !leaves).into_iter();
        let outcome = try_gather(children.map(|child| child.map(End::into_result)).collect::<Vec<_>>()).await;
        kept.iter_mut().for_each(|child| child.owned = false);
        match outcome {
            Ok(_) => Outcome::value(self.results(&ids)),
            Err(end) => end.outcome(Value::Null),
        }
    }

    pub async fn as_completed(&self, op: Op<'_>) -> Outcome {
        let ids = op.ids(1);
        let (mut some, mut rows) = (as_completed(self.children(&ids, false)), Vec::new());
        while rows.len() < op.number(2) {
            let Some((number, end)) = some.next().await else { break };
            let Value::Array(result) = end.of(ids[number]) else { unreachable!("a result is a list") };
            rows.push(Outcome(result).after(json!([self.world.host.now()])));
        }
        if op.text(3) == "cancel" {
            some.into_remaining().into_iter().for_each(|(_, mut child)| child.owned = true);
        }
        Outcome::value(rows)
    }

    pub async fn wait_for_some(&self, op: Op<'_>) -> Outcome {
        let (ids, mut done) = (op.ids(1), Vec::new());
        let mut some = as_completed(self.children(&ids, false));
        let enough = async {
            while let Some((number, end)) = some.next().await {
                done.push(ids[number]);
                if op.text(2) == "first" || op.text(2) == "exception" && matches!(end, End::Error(_)) {
                    break;
                }
            }
        };
        match op.arg(3).as_u64() {
            None => enough.await,
            Some(k) => {
                let deadline = self.world.host.sleep_until(self.world.timer_slot(self.index, k));
                timeout(deadline, enough).await.unwrap_or(());
            }
        }
        while let Some(Some((number, _))) = future::poll_once(some.next()).await {
            done.push(ids[number]);
        }
        done.sort_unstable();
        Outcome::value(json!(done))
    }

    pub async fn taskgroup(&self, op: Op<'_>) -> Outcome {
        let (ids, asked, group) = (op.ids(1), Asked::<H>::new(Queue::unbounded()), Group::new());
        let _closing = Closing(asked.clone());
        let scope = Scope { group: &group, asked: asked.clone() };
        let block = async {
            for &id in &ids {
                self.world.start(id, Some(&asked));
                H::spawn_in(scope.clone(), Child::new(&self.world, id, true));
            }
            let Some(id) = op.arg(2).as_u64().map(|id| id as usize) else { return Ok(()) };
            let host = Body::new(&self.world, self.world.index(id), Some(asked.clone()));
            serve(&scope, H::inline(host)).await;
            match self.world.end_of(id) {
                Some(End::Error(name)) => Err(name),
                _ => Ok(()),
            }
        };
        match group.run(block).await {
            Ok(()) => Outcome::value(self.results(&ids)),
            Err(errors) => {
                let mut names: Vec<_> = errors.iter().collect();
                names.sort_unstable();
                Outcome(vec!["error".into(), "Group".into(), json!(names)])
            }
        }
    }

    pub fn tg_spawn(&self, op: Op<'_>) -> Outcome {
        let Some(asked) = &self.group else { return Outcome::error("NoGroup") };
        let id = op.number(1);
        if asked.try_put(Child::new(&self.world, id, true)).is_err() {
            return Outcome::error("GroupClosed");
        }
        self.world.start(id, Some(asked));
        Outcome::ok()
    }
}
