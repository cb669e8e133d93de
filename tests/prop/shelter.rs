//! Shelters: random scripts of shielding, polling, cloning, dropping, keeping and aborting against a model that knows of each
//! future whether its gate is open, whether it is kept, and how it has ended.
use std::{
    cell::{Cell, RefCell},
    fmt::Debug,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::task::{Cancelled, Drain, Local, LocalShelter, Shielded};

use crate::{config, regressions};

#[derive(Clone, Debug)]
enum Op {
    /// Puts so many in, with handles; some of them will fail.
    Shield(usize, bool),
    /// Polls a handle.
    Poll(usize),
    Clone(usize),
    Drop(usize),
    /// Opens the gate of a future.
    Open(usize),
    /// Polls the keeper, which comes if there is none.
    Keep,
    /// Drops the keeper.
    Leave,
    Abort,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (1..4_usize, any::<bool>()).prop_map(|(n, fails)| Op::Shield(n, fails)),
        1 => (18..24_usize, any::<bool>()).prop_map(|(n, fails)| Op::Shield(n, fails)),
        8 => any::<usize>().prop_map(Op::Poll),
        3 => any::<usize>().prop_map(Op::Clone),
        4 => any::<usize>().prop_map(Op::Drop),
        8 => any::<usize>().prop_map(Op::Open),
        4 => Just(Op::Keep),
        1 => Just(Op::Leave),
        1 => Just(Op::Abort),
    ];
    vec(op, 1..80)
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A task: how often it was woken, and had been when it was polled last.
#[derive(Default)]
struct Task {
    count: Arc<Count>,
    seen: usize,
    polled: bool,
}

impl Task {
    fn poll<F: Future>(&mut self, future: &mut Pin<Box<F>>) -> Poll<F::Output> {
        (self.seen, self.polled) = (self.count.0.load(SeqCst), true);
        future.as_mut().poll(&mut Context::from_waker(&Waker::from(self.count.clone())))
    }

    fn is_woken(&self) -> bool {
        self.count.0.load(SeqCst) > self.seen
    }
}

/// What is acquired and released.
#[derive(Debug, Default)]
struct Ledger {
    futures: Cell<isize>,
    outputs: Cell<isize>,
}

struct Gate {
    open: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// How often its future was dropped.
    drops: Cell<usize>,
}

#[derive(Debug)]
struct Output(usize, Rc<Ledger>);

impl Output {
    fn new(n: usize, ledger: &Rc<Ledger>) -> Self {
        ledger.outputs.set(ledger.outputs.get() + 1);
        Self(n, ledger.clone())
    }
}

impl Clone for Output {
    fn clone(&self) -> Self {
        Self::new(self.0, &self.1)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.1.outputs.set(self.1.outputs.get() - 1);
    }
}

struct Gated {
    n: usize,
    fails: bool,
    gate: Rc<Gate>,
    ledger: Rc<Ledger>,
}

impl Future for Gated {
    type Output = Result<Output, usize>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.gate.open.get() {
            *self.gate.waker.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(if self.fails { Err(self.n) } else { Ok(Output::new(self.n, &self.ledger)) })
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        self.gate.drops.set(self.gate.drops.get() + 1);
        self.ledger.futures.set(self.ledger.futures.get() - 1);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Ran,
    Aborted,
}

/// What the model knows of a future.
struct Known {
    gate: Rc<Gate>,
    fails: bool,
    kept: bool,
    end: Option<End>,
    seen: bool,
}

struct Handle<'s> {
    of: usize,
    task: Task,
    future: Pin<Box<Shielded<'s, Result<Output, usize>, Local>>>,
}

thread_local! {
    static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn hook(error: &dyn Debug) {
    TOLD.with_borrow_mut(|told| told.push(format!("{error:?}")));
}

struct World<'s> {
    shelter: &'s LocalShelter<'static>,
    ledger: Rc<Ledger>,
    known: Vec<Known>,
    handles: Vec<Handle<'s>>,
    keeper: Option<(Task, Pin<Box<Drain<'s, Local>>>)>,
}

impl World<'_> {
    fn step(&mut self, op: &Op) -> TestCaseResult {
        match *op {
            Op::Shield(n, fails) => (0..n).for_each(|at| self.shield(fails && at % 2 == 0)),
            Op::Poll(at) if !self.handles.is_empty() => self.poll(at % self.handles.len())?,
            Op::Clone(at) if !self.handles.is_empty() => {
                let handle = &self.handles[at % self.handles.len()];
                let future = Box::pin(Shielded::clone(&handle.future));
                self.handles.push(Handle { of: handle.of, task: Task::default(), future });
            }
            Op::Drop(at) if !self.handles.is_empty() => drop(self.handles.swap_remove(at % self.handles.len())),
            Op::Open(at) if !self.known.is_empty() => {
                let gate = self.known[at % self.known.len()].gate.clone();
                gate.open.set(true);
                let waker = gate.waker.take();
                waker.into_iter().for_each(Waker::wake);
            }
            Op::Keep => self.keep()?,
            Op::Leave => {
                self.keeper = None;
                self.known.iter_mut().for_each(|known| known.kept = false);
            }
            Op::Abort => {
                self.shelter.abort_all();
                self.known.iter_mut().for_each(|known| known.end = known.end.or(Some(End::Aborted)));
            }
            _ => {}
        }
        self.check()
    }

    fn shield(&mut self, fails: bool) {
        let n = self.known.len();
        let gate = Rc::new(Gate { open: Cell::new(false), waker: RefCell::default(), drops: Cell::new(0) });
        self.ledger.futures.set(self.ledger.futures.get() + 1);
        let gated = Gated { n, fails, gate: gate.clone(), ledger: self.ledger.clone() };
        self.known.push(Known { gate, fails, kept: false, end: None, seen: false });
        let future = Box::pin(self.shelter.try_shield(gated));
        self.handles.push(Handle { of: n, task: Task::default(), future });
    }

    fn poll(&mut self, at: usize) -> TestCaseResult {
        let Handle { of, task, future } = &mut self.handles[at];
        let known = &mut self.known[*of];
        if known.end.is_none() && !known.kept && known.gate.open.get() {
            known.end = Some(End::Ran);
        }
        let got = match task.poll(future) {
            Poll::Pending => None,
            Poll::Ready(Ok(Ok(output))) => Some(Ok(Ok(output.0))),
            Poll::Ready(Ok(Err(n))) => Some(Ok(Err(n))),
            Poll::Ready(Err(Cancelled)) => Some(Err(Cancelled)),
        };
        let expected = known.end.map(|end| match end {
            End::Ran => Ok(if known.fails { Err(*of) } else { Ok(*of) }),
            End::Aborted => Err(Cancelled),
        });
        prop_assert_eq!(&got, &expected);
        known.seen |= got.is_some();
        if got.is_some() {
            drop(self.handles.swap_remove(at));
        }
        Ok(())
    }

    fn keep(&mut self) -> TestCaseResult {
        let (mut task, mut drain) =
            self.keeper.take().unwrap_or_else(|| (Task::default(), Box::pin(self.shelter.drain())));
        let poll = task.poll(&mut drain);
        for known in self.known.iter_mut().filter(|known| known.end.is_none()) {
            known.kept = true;
            known.end = known.gate.open.get().then_some(End::Ran);
        }
        let empty = self.known.iter().all(|known| known.end.is_some());
        prop_assert_eq!(poll.is_ready(), empty);
        self.keeper = (!empty).then_some((task, drain));
        Ok(())
    }

    fn check(&self) -> TestCaseResult {
        let live = self.known.iter().filter(|known| known.end.is_none()).count();
        prop_assert_eq!(self.shelter.len(), live);
        prop_assert_eq!(self.ledger.futures.get(), live as isize);
        let mut told = Vec::new();
        let mut outputs = 0;
        for (n, known) in self.known.iter().enumerate() {
            prop_assert_eq!(known.gate.drops.get(), usize::from(known.end.is_some()), "future {}", n);
            let handles: Vec<_> = self.handles.iter().filter(|handle| handle.of == n).collect();
            let ran = known.end == Some(End::Ran);
            if ran && known.fails && !known.seen && handles.is_empty() {
                told.push(n.to_string());
            }
            outputs += isize::from(ran && !known.fails && !handles.is_empty());
            // Somebody who waits has been told that it has ended, or that it may be driven.
            let waits = handles.iter().any(|handle| handle.task.polled);
            let due = known.end.is_some() || known.gate.open.get() && !known.kept;
            let is_told = handles.iter().any(|handle| handle.task.polled && handle.task.is_woken());
            prop_assert!(!due || !waits || is_told, "a wake-up of {} is lost", n);
            if known.kept && known.end.is_none() && known.gate.open.get() {
                prop_assert!(self.keeper.as_ref().is_none_or(|(task, _)| task.is_woken()), "the keeper sleeps");
            }
        }
        prop_assert_eq!(self.ledger.outputs.get(), outputs);
        TOLD.with_borrow_mut(|all| all.sort());
        told.sort();
        prop_assert_eq!(TOLD.with_borrow(Vec::clone), told);
        Ok(())
    }
}

fn run(script: &[Op]) -> TestCaseResult {
    TOLD.with_borrow_mut(Vec::clear);
    let ledger = Rc::new(Ledger::default());
    let shelter = LocalShelter::new().on_orphan_error(hook);
    {
        let mut world =
            World { shelter: &shelter, ledger: ledger.clone(), known: Vec::new(), handles: Vec::new(), keeper: None };
        for op in script {
            world.step(op)?;
        }
    }
    drop(shelter);
    prop_assert_eq!((ledger.futures.get(), ledger.outputs.get()), (0, 0), "each is released once");
    Ok(())
}

proptest! {
    #![proptest_config(config(if cfg!(miri) { 8 } else { 1000 }, regressions!("shelter")))]

    #[test]
    fn a_shelter_does_what_its_model_does(script in ops()) {
        run(&script)?;
    }
}
