//! Executors of several threads, with one of two clocks. The virtual one goes on when every body waits: nothing sleeps for
//! real, so a busy machine changes the order in which bodies run, and nothing else. The real one goes on by itself, a tick
//! every so often: a run in which something that belongs to a tick is not over before the next one proves nothing.
use std::{
    collections::BTreeMap,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use testudo::task::{BoxTask, Sendable, Shield, shield};

use crate::{
    body::Body,
    children::{Child, Scope, member},
    compare::ops,
    host::Host,
    scenario::{End, Scenario},
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
    /// For scenarios in which several things are one step: one body runs at a time.
    turn: Option<Mutex<()>>,
    clock: Clock,
}

/// The clock of a run.
#[derive(Clone, Copy)]
enum Clock {
    Virtual,
    Real { begin: Instant, tick: Duration },
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

    /// The tick that it is.
    fn now(&self, time: &Time) -> u64 {
        match self.clock {
            Clock::Virtual => time.now,
            Clock::Real { begin, tick } => (begin.elapsed().as_nanos() / tick.as_nanos()) as u64,
        }
    }

    /// Waits until every body waits.
    fn idle(&self) -> MutexGuard<'_, Time> {
        self.all_wait.wait_while(self.time(), |time| time.busy > 0).unwrap()
    }

    /// Lets time pass, until a tick.
    fn pass_until(&self, tick: u64) {
        match self.clock {
            Clock::Virtual => self.time().now = tick,
            Clock::Real { begin, tick: each } => {
                thread::sleep((begin + each * tick as u32).saturating_duration_since(Instant::now()));
            }
        }
    }

    fn one_more_waits(&self) {
        let mut time = self.time();
        time.busy -= 1;
        if time.busy == 0 {
            self.all_wait.notify_all();
        }
    }
}

/// A task, for wakers and those who cancel it.
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

/// A task as the executor polls it.
struct Tracked {
    node: Arc<Node>,
    task: Option<Task>,
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
        let task = self.task.as_mut().expect("polled before it was done");
        if cancelled || task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.task = None;
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
        if shared.now(&time) >= self.tick {
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

impl OnThreads {
    /// Spawns a task, for which the clock waits.
    fn track(&self, task: Task) -> Arc<Node> {
        self.shared.time().busy += 1;
        let state = Mutex::new(State { phase: Phase::Queued, cancelled: false, waker: None });
        let node = Arc::new(Node { shared: self.shared.clone(), state });
        (self.spawn)(Box::pin(Tracked { node: node.clone(), task: Some(task) }));
        node
    }
}

impl Host for OnThreads {
    type Handle = Arc<Node>;
    type Sleep = Sleep;
    type Inline = Task;
    type Kind = Sendable;

    fn now(&self) -> u64 {
        self.shared.now(&self.shared.time())
    }

    fn sleep_until(&self, tick: u64) -> Sleep {
        Sleep { shared: self.shared.clone(), tick, set: None }
    }

    fn start(&self, body: Body<Self>) -> Arc<Node> {
        self.track(Box::pin(body.run()))
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

    fn shield(&self, child: Child<Self>) -> Shield<End> {
        shield(&|task: BoxTask| drop(self.track(task)), child)
    }

    fn spawn_in(scope: Scope<'_, Self>, child: Child<Self>) {
        drop(scope.group.spawn(member(scope.clone(), child)));
    }
}

/// Runs a scenario to its end on an executor, by the virtual clock. Returns its trace.
pub fn run(spawn: &Spawn, scenario: &Arc<Scenario>, reading: Reading) -> Value {
    run_by(Clock::Virtual, spawn, scenario, reading).expect("it is never late")
}

/// As [`run`], by a real clock of that tick. None if the machine was too slow for it.
pub fn run_for_real(tick: Duration, spawn: &Spawn, scenario: &Arc<Scenario>, reading: Reading) -> Option<Value> {
    run_by(Clock::Real { begin: Instant::now(), tick }, spawn, scenario, reading)
}

/// Ops that do several things in one step. Those with children cancel several: what one of them held must not get to another.
const STEPS: [&str; 4] = ["atomic", "gather", "taskgroup", "as_completed"];

fn run_by(clock: Clock, spawn: &Spawn, scenario: &Arc<Scenario>, reading: Reading) -> Option<Value> {
    let turn = ops(scenario).iter().any(|name| STEPS.contains(&name.as_str())).then(Mutex::default);
    let shared = Arc::new(Shared { time: Mutex::default(), all_wait: Condvar::new(), turn, clock });
    let world = World::new(scenario.clone(), reading, OnThreads { shared: shared.clone(), spawn: spawn.clone() });
    shared.time().busy += 1; // until all are started
    for script in scenario.bodies.iter().filter(|script| script.start) {
        world.start(script.id, None);
    }
    shared.one_more_waits();
    let mut tick = 0;
    let trace = loop {
        let mut time = shared.idle();
        if shared.now(&time) != tick {
            break None; // late
        }
        let Some(timer) = time.timers.first_entry() else {
            drop(time);
            let trace = world.trace();
            break (shared.now(&shared.time()) == tick).then_some(trace);
        };
        let ((next, _), waker) = timer.remove_entry();
        drop(time);
        tick = next;
        shared.pass_until(tick);
        waker.wake();
    };
    for script in &scenario.bodies {
        world.cancel(script.id);
    }
    drop(shared.idle());
    trace
}
