//! `OnceCell`.
use std::{
    cell::Cell,
    future::{Future, poll_fn},
    rc::Rc,
    task::Poll,
};

use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::sync::OnceCell;

use crate::{
    config,
    hand::{Crew, Log, Which, which},
    model::{self, once::Fate},
    regressions,
};

#[derive(Clone, Debug)]
enum Op {
    /// New waits for the value, or initializers; each is polled once.
    Begin {
        count: usize,
        initializes: bool,
    },
    Poll(usize, Which),
    Cancel(usize),
    Set,
    /// What initializers do from now on.
    Fate(Fate),
    /// A new cell, if there is a value.
    Again,
}

fn op() -> impl Strategy<Value = Op> {
    let count = prop_oneof![20 => 1..4usize, 1 => 30..70usize];
    prop_oneof![
        5 => (count, prop::bool::weighted(0.6)).prop_map(|(count, initializes)| Op::Begin { count, initializes }),
        6 => (0..64usize, which()).prop_map(|(nth, which)| Op::Poll(nth, which)),
        4 => (0..64usize).prop_map(Op::Cancel),
        1 => Just(Op::Set),
        4 => prop_oneof![4 => Just(Fate::Pends), 3 => Just(Fate::Fails), 1 => Just(Fate::Ends)].prop_map(Op::Fate),
        1 => Just(Op::Again),
    ]
}

type Wait<'a> = dyn Future<Output = Result<usize, ()>> + 'a;

struct Run<'a> {
    cell: &'a OnceCell<usize>,
    model: model::once::Once,
    fate: Rc<Cell<Fate>>,
    initializers: Vec<usize>,
    crew: Crew<Wait<'a>>,
}

impl<'a> Run<'a> {
    fn new(cell: &'a OnceCell<usize>) -> Self {
        let fate = Rc::new(Cell::new(Fate::Pends));
        Self { cell, model: Default::default(), fate, initializers: vec![], crew: Crew::new(&Log::default()) }
    }

    fn step(&mut self, op: &Op) -> TestCaseResult {
        let mut woken = Vec::new();
        match *op {
            Op::Begin { count, initializes } => {
                for _ in 0..count {
                    let (cell, who, fate) = (self.cell, self.crew.next(), self.fate.clone());
                    if initializes {
                        self.initializers.push(who);
                        let value = move || {
                            poll_fn(move |_| match fate.get() {
                                Fate::Pends => Poll::Pending,
                                Fate::Fails => Poll::Ready(Err(())),
                                Fate::Ends => Poll::Ready(Ok(who)),
                            })
                        };
                        self.crew.add(Box::pin(async move { cell.get_or_try_init(value).await.copied() }));
                    } else {
                        self.crew.add(Box::pin(async move { Ok(*cell.wait().await) }));
                    }
                    self.poll(who, Which::A, &mut woken)?;
                }
            }
            Op::Poll(nth, which) => {
                if let Some(who) = self.crew.pick(nth) {
                    self.poll(who, which, &mut woken)?;
                }
            }
            Op::Cancel(nth) => {
                if let Some(who) = self.crew.pick(nth) {
                    self.crew.cancel(who);
                    self.model.cancel(who, &mut woken);
                }
            }
            Op::Set => prop_assert_eq!(self.cell.set(usize::MAX), self.model.set(usize::MAX, &mut woken)),
            Op::Fate(fate) => self.fate.set(fate),
            Op::Again => {}
        }
        prop_assert_eq!(self.crew.seen(), woken);
        prop_assert_eq!(self.cell.get(), self.model.value.as_ref());
        prop_assert_eq!(self.cell.is_initialized(), self.model.value.is_some());
        Ok(())
    }

    fn poll(&mut self, who: usize, which: Which, woken: &mut Vec<crate::hand::Seen>) -> TestCaseResult {
        let expected = if self.initializers.contains(&who) {
            self.model.poll_init(who, which, self.fate.get(), woken)
        } else {
            self.model.poll_wait(who, which).map(Ok)
        };
        prop_assert_eq!(self.crew.poll(who, which), expected);
        Ok(())
    }
}

fn play(script: &[Op]) -> TestCaseResult {
    let mut script = script.iter().enumerate().peekable();
    while script.peek().is_some() {
        let cell = OnceCell::new();
        let mut run = Run::new(&cell);
        for (step, op) in script.by_ref() {
            run.step(op).map_err(|error| TestCaseError::fail(format!("step {step}, {op:?}: {error}")))?;
            if matches!(op, Op::Again) && run.model.value.is_some() {
                break;
            }
        }
        // Nobody wakes the one that has the turn; from the next on they end.
        run.fate.set(Fate::Ends);
        run.model.turn.map(|who| run.crew.cancel(who)).unwrap_or_default();
        run.crew.run();
        let _ = cell.set(0);
        run.crew.finish();
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(1024, regressions!("once")))]

    #[test]
    fn a_once_cell_is_as_its_model(script in vec(op(), 0..80)) {
        play(&script)?;
    }
}
