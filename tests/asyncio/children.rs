//! Ops on other bodies: starting them, waiting for some of them, taking them along when the wait is dropped.
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex as StdMutex},
};

use serde_json::{Value, json};

use crate::{
    body::{Body, or_late},
    host::Host,
    scenario::{End, Op, Outcome},
    world::{Ends, World},
};

/// The bodies of a task group.
#[derive(Clone, Default)]
pub struct Group(Arc<StdMutex<Members>>);

#[derive(Default)]
struct Members {
    ids: Vec<usize>,
    closed: bool,
}

impl Group {
    fn ids(&self) -> Vec<usize> {
        self.0.lock().unwrap().ids.clone()
    }

    /// Says whether it takes new members.
    fn add(&self, id: usize) -> bool {
        let mut members = self.0.lock().unwrap();
        if !members.closed {
            members.ids.push(id);
        }
        !members.closed
    }

    fn close(&self) {
        self.0.lock().unwrap().closed = true;
    }
}

/// Cancels bodies when it is dropped.
struct Owned<H: Host, I: Fn() -> Vec<usize>> {
    world: Arc<World<H>>,
    ids: Option<I>,
}

impl<H: Host, I: Fn() -> Vec<usize>> Owned<H, I> {
    fn new(world: &Arc<World<H>>, ids: I) -> Self {
        Self { world: world.clone(), ids: Some(ids) }
    }

    fn release(mut self) {
        self.ids = None;
    }
}

impl<H: Host, I: Fn() -> Vec<usize>> Drop for Owned<H, I> {
    fn drop(&mut self) {
        for id in self.ids.take().iter().flat_map(|ids| ids()) {
            self.world.cancel(id);
        }
    }
}

fn how(ends: &Ends, id: usize) -> Option<&End> {
    ends.iter().find(|(ended, _)| *ended == id).map(|(_, end)| end)
}

fn all(ends: &Ends, ids: &[usize]) -> bool {
    ids.iter().all(|&id| how(ends, id).is_some())
}

fn results(ends: &Ends, ids: &[usize]) -> Vec<Value> {
    ids.iter().map(|&id| how(ends, id).expect("it has ended").of(id)).collect()
}

impl<H: Host> Body<H> {
    fn start_all(&self, ids: &[usize]) {
        for &id in ids {
            self.world.start(id, None);
        }
    }

    async fn until_ended(&self, enough: impl Fn(&Ends) -> bool) -> Ends {
        self.world.until_ended(enough).await;
        self.world.ends()
    }

    pub async fn join(&self, op: Op<'_>) -> Outcome {
        let id = op.number(1);
        self.world.start(id, None);
        let owned = Owned::new(&self.world, || if op.flag(2) { vec![id] } else { vec![] });
        let ends = self.until_ended(|ends| how(ends, id).is_some()).await;
        owned.release();
        how(&ends, id).expect("it has ended").outcome(id)
    }

    pub async fn shield(&self, op: Op<'_>) -> Outcome {
        let id = op.number(1);
        self.world.start(id, None);
        let ends = self.until_ended(|ends| how(ends, id).is_some()).await;
        how(&ends, id).expect("it has ended").outcome(id)
    }

    pub async fn gather(&self, op: Op<'_>) -> Outcome {
        let (ids, every_outcome) = (op.ids(1), op.flag(2));
        self.start_all(&ids);
        let failure = |ends: &Ends| {
            let failed = |(id, end): &&(usize, End)| !every_outcome && ids.contains(id) && *end != End::Ok;
            ends.iter().find(failed).cloned()
        };
        let owned = Owned::new(&self.world, || ids.clone());
        let ends = self.until_ended(|ends| failure(ends).is_some() || all(ends, &ids)).await;
        match failure(&ends) {
            Some((_, end)) => {
                if op.text(3) == "leave" {
                    owned.release();
                }
                end.outcome(Value::Null)
            }
            None => {
                owned.release();
                Outcome::value(results(&ends, &ids))
            }
        }
    }

    pub async fn as_completed(&self, op: Op<'_>) -> Outcome {
        let (mut left, take) = (op.ids(1), op.number(2));
        self.start_all(&left);
        let mut rows = Vec::new();
        for _ in 0..take.min(left.len()) {
            let ends = self.until_ended(|ends| left.iter().any(|&id| how(ends, id).is_some())).await;
            let next = left.iter().copied().filter(|&id| how(&ends, id).is_some()).min().expect("one has ended");
            left.retain(|&id| id != next);
            let Value::Array(result) = how(&ends, next).expect("it has ended").of(next) else { unreachable!() };
            rows.push(Outcome(result).after(json!([self.world.host.now()])));
        }
        if op.text(3) == "cancel" {
            drop(Owned::new(&self.world, || left.clone()));
        }
        Outcome::value(rows)
    }

    pub async fn wait_for_some(&self, op: Op<'_>) -> Outcome {
        let ids = op.ids(1);
        self.start_all(&ids);
        let enough = |ends: &Ends| {
            let failed = |id: &usize| matches!(how(ends, *id), Some(End::Error(_)));
            all(ends, &ids)
                || match op.text(2) {
                    "first" => ids.iter().any(|&id| how(ends, id).is_some()),
                    "exception" => ids.iter().any(failed),
                    _ => false,
                }
        };
        let wait = pin!(self.world.until_ended(enough));
        match op.arg(3).as_u64() {
            None => wait.await,
            Some(k) => {
                let deadline = self.world.host.sleep_until(self.world.timer_slot(self.index, k));
                or_late(wait, pin!(deadline)).await.unwrap_or(())
            }
        }
        let ends = self.world.ends();
        let mut done: Vec<_> = ids.iter().filter(|&&id| how(&ends, id).is_some()).collect();
        done.sort_unstable();
        Outcome::value(json!(done))
    }

    pub async fn taskgroup(&self, op: Op<'_>) -> Outcome {
        let (group, ids) = (Group::default(), op.ids(1));
        let host = op.arg(2).as_u64().map(|id| id as usize);
        let owned = Owned::new(&self.world, || group.ids());
        for &id in &ids {
            self.world.start(id, Some(&group));
            group.add(id);
        }
        let mut block = host.map(|id| H::inline(Body::new(&self.world, self.world.index(id), Some(group.clone()))));
        let members = || group.ids().into_iter().chain(host).collect::<Vec<_>>();
        let failures = |ends: &Ends| {
            let failed = members().into_iter().filter_map(|id| match how(ends, id) {
                Some(End::Error(name)) => Some(name.clone()),
                _ => None,
            });
            failed.collect::<Vec<_>>()
        };
        let mut over = pin!(self.until_ended(|ends| !failures(ends).is_empty() || all(ends, &members())));
        let ends = poll_fn(|cx| {
            if let Some(fut) = &mut block {
                if Pin::new(fut).poll(cx).is_ready() {
                    block = None;
                }
            }
            over.as_mut().poll(cx)
        })
        .await;
        group.close();
        let mut names = failures(&ends);
        if names.is_empty() {
            owned.release();
            return Outcome::value(results(&ends, &ids));
        }
        block = None;
        drop((block, owned)); // cancels all that are left
        let ends = self.until_ended(|ends| all(ends, &members())).await;
        names = failures(&ends);
        names.sort_unstable();
        Outcome(vec!["error".into(), "Group".into(), json!(names)])
    }

    pub fn tg_spawn(&self, op: Op<'_>) -> Outcome {
        let id = op.number(1);
        match &self.group {
            None => Outcome::error("NoGroup"),
            Some(group) if group.add(id) => {
                self.world.start(id, Some(group));
                Outcome::ok()
            }
            Some(_) => Outcome::error("GroupClosed"),
        }
    }
}
