//! Ready sets: whichever is used, the children make the same steps in the same order.
use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_core::Stream;
use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use testudo::task::{ReadyBlock, as_completed, as_completed_in, gather, gather_in};

use crate::{config, regressions};

/// What a child does at one step: it wakes these.
type Script = Vec<Vec<Vec<usize>>>;

/// Children that make a step only when they were woken: who polls them in vain sees nothing.
struct World {
    script: Script,
    woken: Vec<Cell<bool>>,
    steps: Vec<Cell<usize>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    log: RefCell<Vec<usize>>,
}

impl World {
    fn new(script: &Script) -> Rc<Self> {
        let n = script.len();
        Rc::new(Self {
            script: script.clone(),
            woken: vec![Cell::new(true); n],
            steps: vec![Cell::new(0); n],
            wakers: RefCell::new(vec![None; n]),
            log: RefCell::default(),
        })
    }

    fn wake(&self, child: usize) {
        let waker = self.wakers.borrow()[child].clone();
        if let Some(waker) = waker {
            self.woken[child].set(true);
            waker.wake();
        }
    }

    fn child(self: &Rc<Self>, id: usize) -> Child {
        Child { world: self.clone(), id }
    }
}

struct Child {
    world: Rc<World>,
    id: usize,
}

impl Future for Child {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let (world, id) = (&self.world, self.id);
        world.wakers.borrow_mut()[id] = Some(cx.waker().clone());
        if !world.woken[id].replace(false) {
            return Poll::Pending;
        }
        world.log.borrow_mut().push(id);
        let step = world.steps[id].get();
        let Some(wakes) = world.script[id].get(step) else { return Poll::Ready(id) };
        world.steps[id].set(step + 1);
        wakes.iter().for_each(|&other| world.wake(other % world.script.len()));
        Poll::Pending
    }
}

#[derive(Default)]
struct Parent(AtomicUsize);

impl Wake for Parent {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn claim() -> testudo::task::Claim {
    let block: &'static ReadyBlock<4> = Box::leak(Box::new(ReadyBlock::new()));
    block.claim().unwrap()
}

/// Polls when woken; when it is not, the next of `outside` is woken, then everybody in turn. What was logged, and the items.
fn run(
    world: &World,
    outside: &[usize],
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Option<usize>>,
) -> [Vec<usize>; 2] {
    let parent = Arc::new(Parent::default());
    let waker = Waker::from(parent.clone());
    let mut items = Vec::new();
    let mut outside = outside.iter().copied().chain((0..world.script.len()).cycle());
    parent.0.store(1, SeqCst);
    loop {
        while parent.0.swap(0, SeqCst) == 0 {
            world.wake(outside.next().unwrap() % world.script.len());
        }
        loop {
            match poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some(item)) => items.push(item),
                Poll::Ready(None) => return [world.log.take(), items],
                Poll::Pending => break,
            }
        }
    }
}

fn all<O: AsRef<[usize]>>(world: &World, outside: &[usize], all: impl Future<Output = O>) -> [Vec<usize>; 2] {
    let mut all = Box::pin(all);
    let mut outputs = Vec::new();
    let [log, _] = run(world, outside, |cx| {
        all.as_mut().poll(cx).map(|all| {
            outputs = all.as_ref().to_vec();
            None
        })
    });
    [log, outputs]
}

fn each(world: &World, outside: &[usize], mut each: impl Stream<Item = (usize, usize)> + Unpin) -> [Vec<usize>; 2] {
    run(world, outside, |cx| Pin::new(&mut each).poll_next(cx).map(|item| item.map(|item| item.0)))
}

fn same_order<const N: usize>(script: &Script, outside: &[usize]) -> TestCaseResult {
    let children = |world: &Rc<World>| (0..N).map(|id| world.child(id)).collect::<Vec<_>>();
    let array = |world: &Rc<World>| std::array::from_fn::<_, N, _>(|id| world.child(id));
    let world = World::new(script);
    let scan = all(&world, outside, gather(array(&world)));
    prop_assert_eq!(&scan[1], &(0..N).collect::<Vec<_>>());
    let world = World::new(script);
    prop_assert_eq!(&scan, &all(&world, outside, gather(children(&world))), "a vector");
    let world = World::new(script);
    prop_assert_eq!(&scan, &all(&world, outside, gather_in(claim(), children(&world))), "a static block");
    let world = World::new(script);
    prop_assert_eq!(&scan, &all(&world, outside, gather_in(claim(), array(&world))), "an array and a static block");
    let world = World::new(script);
    let heap = each(&world, outside, as_completed(children(&world)));
    prop_assert_eq!(heap[1].len(), N);
    let world = World::new(script);
    prop_assert_eq!(heap, each(&world, outside, as_completed_in(claim(), children(&world))), "as_completed");
    Ok(())
}

fn script(n: usize) -> impl Strategy<Value = Script> {
    vec(vec(vec(0..n, 0..4), 0..4), n)
}

proptest! {
    #![proptest_config(config(400, regressions!("children")))]

    #[test]
    fn twelve_children_make_the_same_steps_however_they_are_woken(
        script in script(12), outside in vec(0..12usize, 0..40)
    ) {
        same_order::<12>(&script, &outside)?;
    }

    #[test]
    fn seventy_children_make_the_same_steps_however_they_are_woken(
        script in script(70), outside in vec(0..70usize, 0..40)
    ) {
        same_order::<70>(&script, &outside)?;
    }
}
