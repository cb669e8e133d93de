//! Executors of several threads, in virtual time too: the clock goes on when every body waits.
//!
//! Nothing sleeps for real, so a busy machine changes the order in which bodies run, and nothing else.
use std::{
    collections::BTreeMap,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    task::{Context, Poll, Wake, Waker},
};

use serde_json::Value;

use crate::{
    body::Body,
    host::Host,
    scenario::Scenario,
    world::{Reading, World},
};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Spawns on some executor.
pub type Spawn = Arc<dyn Fn(Task) + Send + Sync>;

pub struct OnThreads {
    shared: Arc<Shared>,
    spawn: Spawn,
}

struct Shared {
    time: Mutex<Time>,
    all_wait: Condvar,
    /// For scenarios with atomics: one body runs at a time.
    turn: Option<Mutex<()>>,
}

#[derive(Default)]
struct Time {
    now: u64,
    /// How many bodies run, or will run before the clock goes on.
    busy: usize,
    timers: BTreeMap<(u64, usize), Waker>,
    set: usize,
}

impl Shared {
    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap()
    }

    fn one_more_waits(&self) {
        let mut time = self.time();
        time.busy -= 1;
        if time.busy == 0 {
            self.all_wait.notify_all();
        }
    }
}

/// A body's task, for wakers and those who cancel it.
pub struct Node {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    cancelled: bool,
    waker: Option<Waker>,
}

/// Queued and Running are counted as busy.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Queued,
    Running,
    Waiting,
    Done,
}

impl Wake for Node {
    fn wake(self: Arc<Self>) {
        let mut state = self.state.lock().unwrap();
        match state.phase {
            Phase::Done => return,
            Phase::Waiting => self.shared.time().busy += 1,
            Phase::Queued | Phase::Running => {}
        }
        state.phase = Phase::Queued;
        let waker = state.waker.clone();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A body as the executor polls it.
struct Tracked {
    node: Arc<Node>,
    body: Option<Task>,
}

impl Future for Tracked {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let node = self.node.clone();
        let turn = node.shared.turn.as_ref().map(|turn| turn.lock().unwrap());
        let cancelled = {
            let mut state = node.state.lock().unwrap();
            if mem::replace(&mut state.phase, Phase::Running) == Phase::Waiting {
                node.shared.time().busy += 1;
            }
            state.waker = Some(cx.waker().clone());
            state.cancelled
        };
        let waker = Waker::from(node.clone());
        let body = self.body.as_mut().expect("polled before it was done");
        if cancelled || body.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.body = None;
            node.state.lock().unwrap().phase = Phase::Done;
            drop(turn);
            node.shared.one_more_waits();
            return Poll::Ready(());
        }
        drop(turn);
        let mut state = node.state.lock().unwrap();
        if state.phase == Phase::Running {
            state.phase = Phase::Waiting;
            drop(state);
            node.shared.one_more_waits();
        }
        Poll::Pending
    }
}

/// A sleep by the shared clock.
pub struct Sleep {
    shared: Arc<Shared>,
    tick: u64,
    set: Option<usize>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = self.shared.clone();
        let mut time = shared.time();
        if time.now >= self.tick {
            return Poll::Ready(());
        }
        time.set += 1;
        let set = *self.set.get_or_insert(time.set);
        time.timers.insert((self.tick, set), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(set) = self.set {
            self.shared.time().timers.remove(&(self.tick, set));
        }
    }
}

impl Host for OnThreads {
    type Handle = Arc<Node>;
    type Sleep = Sleep;
    type Inline = Task;

    fn now(&self) -> u64 {
        self.shared.time().now
    }

    fn sleep_until(&self, tick: u64) -> Sleep {
        Sleep { shared: self.shared.clone(), tick, set: None }
    }

    fn start(&self, body: Body<Self>) -> Arc<Node> {
        self.shared.time().busy += 1;
        let state = Mutex::new(State { phase: Phase::Queued, cancelled: false, waker: None });
        let node = Arc::new(Node { shared: self.shared.clone(), state });
        (self.spawn)(Box::pin(Tracked { node: node.clone(), body: Some(Box::pin(body.run())) }));
        node
    }

    fn cancel(node: &Arc<Node>) -> bool {
        let mut state = node.state.lock().unwrap();
        state.cancelled = true;
        let possible = state.phase != Phase::Done;
        drop(state);
        node.wake_by_ref();
        possible
    }

    fn inline(body: Body<Self>) -> Task {
        Box::pin(body.run())
    }
}

/// Runs a scenario to its end on an executor. Returns its trace.
pub fn run(spawn: &Spawn, scenario: &Arc<Scenario>, reading: Reading) -> Value {
    let atomics = scenario.bodies.iter().flat_map(|script| &script.ops).any(|row| row[1] == "atomic");
    let turn = atomics.then(Mutex::default);
    let shared = Arc::new(Shared { time: Mutex::default(), all_wait: Condvar::new(), turn });
    let world = World::new(scenario.clone(), reading, OnThreads { shared: shared.clone(), spawn: spawn.clone() });
    shared.time().busy += 1; // until all are started
    for script in scenario.bodies.iter().filter(|script| script.start) {
        world.start(script.id, None);
    }
    shared.one_more_waits();
    let idle = || shared.all_wait.wait_while(shared.time(), |time| time.busy > 0).unwrap();
    loop {
        let mut time = idle();
        let Some(timer) = time.timers.first_entry() else { break };
        let ((tick, _), waker) = timer.remove_entry();
        time.now = tick;
        drop(time);
        waker.wake();
    }
    let trace = world.trace();
    for script in &scenario.bodies {
        world.cancel(script.id);
    }
    drop(idle());
    trace
}
