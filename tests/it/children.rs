//! Children that are told what to do, and what holds for every set of them.

use std::{
    cell::Cell,
    future::Future,
    marker::PhantomPinned,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

use futures_core::{FusedFuture, Stream};
use testudo::task::{ReadyBlock, as_completed, as_completed_in, gather, gather_in, try_gather, try_gather_in};

use crate::support::{Inline, Probe, Rng, allocations, panics, poll_panics};

/// What the children have done, in order.
pub type Log = Arc<Mutex<Vec<String>>>;

type Hook = Option<Arc<dyn Fn() + Send + Sync>>;

struct Inner {
    id: usize,
    open: AtomicBool,
    panic: AtomicBool,
    panic_in_drop: AtomicBool,
    polls: AtomicUsize,
    drops: AtomicUsize,
    wakers: Mutex<Vec<Waker>>,
    on_poll: Mutex<Hook>,
    on_drop: Mutex<Hook>,
    log: Log,
}

/// The remote control of a [`Child`].
#[derive(Clone)]
pub struct Ctl(Arc<Inner>);

impl Ctl {
    pub fn new(id: usize, log: &Log) -> Self {
        Self(Arc::new(Inner {
            id,
            open: AtomicBool::new(false),
            panic: AtomicBool::new(false),
            panic_in_drop: AtomicBool::new(false),
            polls: AtomicUsize::new(0),
            drops: AtomicUsize::new(0),
            wakers: Mutex::new(Vec::new()),
            on_poll: Mutex::new(None),
            on_drop: Mutex::new(None),
            log: log.clone(),
        }))
    }

    pub fn many(n: usize) -> (Vec<Self>, Log) {
        let log = Log::default();
        ((0..n).map(|id| Self::new(id, &log)).collect(), log)
    }

    pub fn child(&self) -> Child {
        Child { ctl: self.clone(), at: Cell::new(0), _pin: PhantomPinned }
    }

    pub fn polls(&self) -> usize {
        self.0.polls.load(SeqCst)
    }

    pub fn drops(&self) -> usize {
        self.0.drops.load(SeqCst)
    }

    /// Its waker, as it was given at the last poll. Keeps it.
    pub fn waker(&self) -> Waker {
        self.0.wakers.lock().unwrap().last().expect("it was polled").clone()
    }

    pub fn wake(&self) {
        let waker = self.waker();
        waker.wake();
    }

    /// Forgets all its wakers.
    pub fn forget(&self) {
        let wakers = std::mem::take(&mut *self.0.wakers.lock().unwrap());
        drop(wakers);
    }

    /// It will be ready at its next poll.
    pub fn open(&self) -> &Self {
        self.0.open.store(true, SeqCst);
        self
    }

    /// It is ready, and says so.
    pub fn finish(&self) {
        self.open().wake();
    }

    pub fn panic(&self) {
        self.0.panic.store(true, SeqCst);
    }

    pub fn panic_in_drop(&self) {
        self.0.panic_in_drop.store(true, SeqCst);
    }

    pub fn on_poll(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.0.on_poll.lock().unwrap() = Some(Arc::new(hook));
    }

    pub fn on_drop(&self, hook: impl Fn() + Send + Sync + 'static) {
        *self.0.on_drop.lock().unwrap() = Some(Arc::new(hook));
    }

    fn log(&self, what: &str) {
        self.0.log.lock().unwrap().push(format!("{what}{}", self.0.id));
    }
}

/// A future that is done when its [`Ctl`] says so, and sees to it that it is not moved. Its output logs its drop.
pub struct Child {
    ctl: Ctl,
    at: Cell<usize>,
    _pin: PhantomPinned,
}

impl Future for Child {
    type Output = Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        let at = std::ptr::from_ref(&*self).addr();
        assert!(self.at.get() == 0 || self.at.get() == at, "it was moved");
        self.at.set(at);
        let ctl = &self.ctl;
        ctl.0.polls.fetch_add(1, SeqCst);
        ctl.log("p");
        ctl.0.wakers.lock().unwrap().push(cx.waker().clone());
        let hook = ctl.0.on_poll.lock().unwrap().clone();
        if let Some(hook) = hook {
            hook();
        }
        assert!(!ctl.0.panic.load(SeqCst), "child {} panics", ctl.0.id);
        if ctl.0.open.load(SeqCst) { Poll::Ready(Output(ctl.clone())) } else { Poll::Pending }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let at = std::ptr::from_ref(self).addr();
        assert!(self.at.get() == 0 || self.at.get() == at, "it was moved");
        self.ctl.0.drops.fetch_add(1, SeqCst);
        self.ctl.log("d");
        let hook = self.ctl.0.on_drop.lock().unwrap().clone();
        if let Some(hook) = hook {
            hook();
        }
        assert!(!self.ctl.0.panic_in_drop.load(SeqCst), "child {} panics in its drop", self.ctl.0.id);
    }
}

/// What a [`Child`] returns.
pub struct Output(Ctl);

impl Output {
    pub fn id(&self) -> usize {
        self.0.0.id
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.log("o");
    }
}

/// What was logged since the last look.
pub fn logged(log: &Log) -> String {
    std::mem::take(&mut *log.lock().unwrap()).join(" ")
}

/// A set of children, whatever it is: ready with the ids of the outputs.
pub type Set = Pin<Box<dyn Future<Output = Vec<usize>> + Send>>;

/// Makes a set of children of each kind that has room for `N`: scanned and with a block, on the heap and in a static.
pub fn kinds<const N: usize>(ctls: &[Ctl]) -> Vec<(&'static str, Set)> {
    assert_eq!(ctls.len(), N);
    let ids = |outputs: Vec<Output>| outputs.iter().map(Output::id).collect::<Vec<_>>();
    let array = || std::array::from_fn::<Child, N, _>(|i| ctls[i].child());
    let vec = || ctls.iter().map(Ctl::child).collect::<Vec<_>>();
    let (a, v, i) = (array(), vec(), vec());
    let (ac, vc) = (claim(), claim());
    let (b, w) = (array(), vec());
    vec![
        ("array", Box::pin(async move { ids(gather(a).await.into()) })),
        ("vec", Box::pin(async move { ids(gather(v).await) })),
        ("iterator", Box::pin(async move { ids(gather(i.into_iter()).await) })),
        ("static array", Box::pin(async move { ids(gather_in(ac, b).await.into()) })),
        ("static vec", Box::pin(async move { ids(gather_in(vc, w).await) })),
    ]
}

/// A block for up to 256 children: one that nobody has any more, or a new one.
pub fn claim() -> testudo::task::Claim {
    static BLOCKS: Mutex<Vec<&'static ReadyBlock<4>>> = Mutex::new(Vec::new());
    let mut blocks = BLOCKS.lock().unwrap();
    blocks.iter().find_map(|block| block.claim()).unwrap_or_else(|| {
        let block = Box::leak(Box::new(ReadyBlock::new()));
        blocks.push(block);
        block.claim().unwrap()
    })
}

/// Calls `test` with each kind of set, of 5, 16 and 100 children; anew each time.
fn each_kind(test: impl Fn(&str, Vec<Ctl>, &Log, Set)) {
    fn one<const N: usize>(test: &impl Fn(&str, Vec<Ctl>, &Log, Set)) {
        for at in 0..kinds::<N>(&Ctl::many(N).0).len() {
            let (ctls, log) = Ctl::many(N);
            let mut kinds = kinds::<N>(&ctls);
            let (kind, set) = kinds.swap_remove(at);
            drop(kinds);
            logged(&log);
            ctls.iter().for_each(|ctl| ctl.0.drops.store(0, SeqCst));
            test(kind, ctls, &log, set);
        }
    }
    one::<5>(&test);
    one::<16>(&test);
    one::<100>(&test);
}

/// Whether a set of this kind and size polls only who was woken.
fn exact(kind: &str, n: usize) -> bool {
    kind.starts_with("static") || (n > 16 && kind != "array")
}

#[test]
fn nothing_runs_before_the_first_poll_and_then_all_in_order() {
    each_kind(|kind, ctls, log, mut set| {
        assert_eq!(logged(log), "", "{kind}");
        let probe = Probe::new();
        probe.pends(&mut set);
        let order: Vec<_> = (0..ctls.len()).map(|i| format!("p{i}")).collect();
        assert_eq!(logged(log), order.join(" "), "{kind}");
        assert_eq!(probe.wakes(), 0, "{kind}");
    });
}

#[test]
fn outputs_come_in_the_order_of_the_list_whatever_the_order_of_completion() {
    each_kind(|kind, ctls, log, mut set| {
        let probe = Probe::new();
        probe.pends(&mut set);
        let mut order: Vec<usize> = (0..ctls.len()).collect();
        let mut rng = Rng::new(7);
        for i in (1..order.len()).rev() {
            order.swap(i, rng.below(i + 1));
        }
        for (n, &i) in order.iter().enumerate() {
            let wakes = probe.wakes();
            ctls[i].finish();
            assert_eq!(probe.wakes(), wakes + 1, "{kind}");
            if n + 1 < order.len() {
                probe.pends(&mut set);
                assert_eq!(ctls[i].drops(), 1, "{kind}: dropped as soon as it is done");
            }
        }
        logged(log);
        assert_eq!(probe.ready(&mut set), (0..ctls.len()).collect::<Vec<_>>(), "{kind}");
        ctls.iter().for_each(Ctl::forget);
        assert_eq!(probe.kept(), 0, "{kind}");
        assert!(poll_panics(&mut set, &probe).contains("`async fn` resumed after completion"));
    });
}

#[test]
fn only_those_that_were_woken_are_polled() {
    each_kind(|kind, ctls, log, mut set| {
        let probe = Probe::new();
        probe.pends(&mut set);
        logged(log);
        let n = ctls.len();
        if !exact(kind, n) {
            ctls[1].wake();
            probe.pends(&mut set);
            assert_eq!(logged(log), (0..n).map(|i| format!("p{i}")).collect::<Vec<_>>().join(" "), "{kind}");
            return;
        }
        probe.pends(&mut set);
        assert_eq!(logged(log), "", "{kind}: nobody was woken");
        let before = probe.wakes();
        for i in [n - 1, 0, 3, 0] {
            ctls[i].wake();
        }
        assert_eq!(probe.wakes(), before + 1, "{kind}: one wake for all");
        probe.pends(&mut set);
        assert_eq!(logged(log), format!("p0 p3 p{}", n - 1), "{kind}");
        assert_eq!(probe.wakes(), before + 1, "{kind}");
    });
}

#[test]
fn a_later_one_that_is_woken_in_a_pass_is_polled_in_it_and_an_earlier_one_in_the_next() {
    each_kind(|kind, ctls, log, mut set| {
        let n = ctls.len();
        let probe = Probe::new();
        probe.pends(&mut set);
        let (first, own, last, next) = (ctls[0].clone(), ctls[2].clone(), ctls[n - 1].clone(), ctls[3].clone());
        let once = AtomicBool::new(false);
        ctls[2].on_poll(move || {
            if !once.swap(true, SeqCst) {
                [&first, &own, &last, &next].into_iter().for_each(Ctl::wake);
            }
        });
        ctls[2].wake();
        logged(log);
        let before = probe.wakes();
        probe.pends(&mut set);
        if exact(kind, n) {
            assert_eq!(logged(log), format!("p2 p3 p{}", n - 1), "{kind}");
            assert_eq!(probe.wakes(), before + 1, "{kind}: for 0 and 2");
            probe.pends(&mut set);
            assert_eq!(logged(log), "p0 p2", "{kind}");
            assert_eq!(probe.wakes(), before + 1, "{kind}");
        } else {
            assert!(probe.wakes() > before, "{kind}");
        }
        *ctls[2].0.on_poll.lock().unwrap() = None; // which has the remote controls
    });
}

#[test]
fn the_task_that_polled_last_is_the_one_that_is_woken() {
    each_kind(|kind, ctls, _, mut set| {
        let [a, b] = [Probe::new(), Probe::new()];
        a.pends(&mut set);
        b.pends(&mut set);
        ctls[1].wake();
        let exact = exact(kind, ctls.len());
        assert_eq!((a.wakes(), b.wakes()), (0, 1), "{kind}");
        a.pends(&mut set);
        if exact {
            ctls[4].wake();
            assert_eq!((a.wakes(), b.wakes()), (1, 1), "{kind}: also an older waker of a child leads to it");
        }
        drop(set);
        ctls.iter().for_each(Ctl::forget);
        assert_eq!((a.kept(), b.kept()), (0, 0), "{kind}");
    });
}

#[test]
fn dropped_children_are_dropped_in_order_and_before_the_outputs() {
    each_kind(|kind, ctls, log, mut set| {
        let probe = Probe::new();
        ctls[1].open();
        probe.pends(&mut set);
        logged(log);
        drop(set);
        let n = ctls.len();
        let order: Vec<_> = (0..n).filter(|&i| i != 1).map(|i| format!("d{i}")).chain(["o1".into()]).collect();
        assert_eq!(logged(log), order.join(" "), "{kind}");
        assert!(ctls.iter().all(|ctl| ctl.drops() == 1), "{kind}");
        ctls.iter().for_each(Ctl::wake);
        ctls.iter().for_each(Ctl::forget);
        assert_eq!(probe.kept(), 0, "{kind}");
        if exact(kind, n) {
            assert_eq!(probe.wakes(), 0, "{kind}: there is nobody left to be woken");
        }
    });
}

#[test]
fn a_set_may_be_dropped_after_every_poll() {
    for stop in 0..8 {
        each_kind(|kind, ctls, log, mut set| {
            let probe = Probe::new();
            for step in 0..stop.min(ctls.len()) {
                probe.pends(&mut set);
                ctls[(step * 3) % 5].finish();
            }
            drop(set);
            ctls.iter().for_each(|ctl| assert_eq!(ctl.drops(), 1, "{kind}, {stop} polls"));
            let log = logged(log);
            let made = log.split(' ').filter(|entry| entry.starts_with('o')).count();
            assert!(made <= stop, "{kind}: {log}");
            ctls.iter().for_each(Ctl::forget);
            assert_eq!(probe.kept(), 0, "{kind}, {stop} polls");
        });
    }
}

/// P8: after a panic of a child, futures-buffered and futures-concurrency stay pending for ever.
#[test]
fn after_a_child_has_panicked_polling_again_panics_too_and_dropping_drops_all() {
    fn check<F: Future + ?Sized>(kind: &str, mut set: Pin<Box<F>>, ctls: &[Ctl]) {
        let probe = Probe::new();
        probe.pends(&mut set);
        ctls[3].panic();
        ctls[3].wake();
        assert_eq!(poll_panics(&mut set, &probe), "child 3 panics", "{kind}");
        assert_eq!(poll_panics(&mut set, &probe), "polled after a child panicked", "{kind}");
        drop(set);
        assert!(ctls.iter().all(|ctl| ctl.drops() == 1), "{kind}");
        ctls.iter().for_each(Ctl::forget);
        assert_eq!(probe.kept(), 0, "{kind}");
    }
    let (ctls, _) = Ctl::many(5);
    check("array", Box::pin(gather(std::array::from_fn::<_, 5, _>(|i| ctls[i].child()))), &ctls);
    let (ctls, _) = Ctl::many(4);
    check("tuple", Box::pin(gather((ctls[0].child(), ctls[1].child(), ctls[2].child(), ctls[3].child()))), &ctls);
    for n in [5, 40] {
        let (ctls, _) = Ctl::many(n);
        check("vec", Box::pin(gather(ctls.iter().map(Ctl::child))), &ctls);
        let (ctls, _) = Ctl::many(n);
        check("static", Box::pin(gather_in(claim(), ctls.iter().map(Ctl::child))), &ctls);
        let (ctls, _) = Ctl::many(n);
        let mut done = Box::pin(as_completed(ctls.iter().map(Ctl::child)));
        let next = std::future::poll_fn(move |cx| done.as_mut().poll_next(cx));
        check("as_completed", Box::pin(next), &ctls);
    }
}

#[test]
fn polled_after_completion_it_panics_and_says_before_that_it_is_terminated() {
    let probe = Probe::new();
    let mut array = Box::pin(gather([async { 1 }]));
    assert!(!array.is_terminated());
    assert_eq!(probe.ready(&mut array), [1]);
    assert!(array.is_terminated());
    assert_eq!(poll_panics(&mut array, &probe), "polled after completion");
    let mut vec = Box::pin(gather(vec![async { 1 }]));
    assert!(!vec.is_terminated());
    assert_eq!(probe.ready(&mut vec), [1]);
    assert!(vec.is_terminated());
    assert_eq!(poll_panics(&mut vec, &probe), "polled after completion");
    let mut array = Box::pin(try_gather([Err::<(), _>(1), Ok(())].map(std::future::ready)));
    assert_eq!(probe.ready(&mut array), Err(1));
    assert!(array.is_terminated());
    assert_eq!(poll_panics(&mut array, &probe), "polled after completion");
    let mut vec = Box::pin(try_gather(vec![async { Err::<(), _>(1) }]));
    assert_eq!(probe.ready(&mut vec), Err(1));
    assert!(vec.is_terminated());
    assert_eq!(poll_panics(&mut vec, &probe), "polled after completion");
}

#[test]
fn a_child_that_panics_when_dropped_does_not_keep_the_others_from_being_dropped() {
    each_kind(|kind, ctls, log, mut set| {
        let probe = Probe::new();
        ctls[4].open();
        probe.pends(&mut set);
        ctls[2].panic_in_drop();
        logged(log);
        assert_eq!(panics(|| drop(set)), "child 2 panics in its drop", "{kind}");
        assert!(ctls.iter().all(|ctl| ctl.drops() == 1), "{kind}");
        assert!(logged(log).ends_with(" o4"), "{kind}");
    });
}

#[test]
fn a_child_that_panics_when_dropped_as_it_is_done_loses_nobody() {
    each_kind(|kind, ctls, log, mut set| {
        let probe = Probe::new();
        probe.pends(&mut set);
        ctls[2].panic_in_drop();
        ctls[2].finish();
        assert_eq!(poll_panics(&mut set, &probe), "child 2 panics in its drop", "{kind}");
        drop(set);
        assert!(ctls.iter().all(|ctl| ctl.drops() == 1), "{kind}");
        assert!(logged(log).ends_with(" o2"), "{kind}: its output is dropped once");
    });
}

#[test]
fn wakers_outlive_the_set_and_are_then_harmless() {
    each_kind(|kind, ctls, _, mut set| {
        let probe = Probe::new();
        probe.pends(&mut set);
        let kept: Vec<_> = ctls.iter().map(Ctl::waker).collect();
        drop(set);
        for waker in kept {
            waker.wake_by_ref();
            drop(waker.clone());
            waker.wake();
        }
        let threads: Vec<_> = ctls.into_iter().take(3).map(|ctl| std::thread::spawn(move || ctl.wake())).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        if exact(kind, 100) && kind != "vec" && kind != "iterator" {
            assert_eq!(probe.wakes(), 0, "{kind}");
        }
    });
}

#[test]
fn children_may_wake_each_other_in_polls_and_drops() {
    each_kind(|kind, ctls, _, mut set| {
        let probe = Probe::new();
        probe.pends(&mut set);
        for ctl in &ctls {
            let all = ctls.iter().map(|ctl| ctl.waker()).collect::<Vec<_>>();
            ctl.on_poll({
                let all = all.clone();
                move || all.iter().for_each(Waker::wake_by_ref)
            });
            ctl.on_drop(move || all.iter().for_each(Waker::wake_by_ref));
        }
        ctls[0].wake();
        probe.pends(&mut set);
        probe.pends(&mut set);
        assert!(
            ctls.iter().all(|ctl| ctl.polls() == 3),
            "{kind}: {:?}",
            ctls.iter().map(Ctl::polls).collect::<Vec<_>>()
        );
        ctls[1].open();
        probe.pends(&mut set);
        drop(set);
        assert!(ctls.iter().all(|ctl| ctl.drops() == 1), "{kind}");
        for ctl in &ctls {
            *ctl.0.on_poll.lock().unwrap() = None;
            *ctl.0.on_drop.lock().unwrap() = None;
            ctl.forget();
        }
        assert_eq!(probe.kept(), 0, "{kind}");
    });
}

#[test]
fn a_parent_that_is_polled_by_its_waker_may_be_done_and_gone_when_the_wake_returns() {
    each_kind(|kind, ctls, _, set| {
        let task = Inline::spawn(async move {
            set.await;
        });
        for ctl in &ctls {
            let waker = { std::mem::take(&mut *ctl.0.wakers.lock().unwrap()).pop().unwrap() };
            ctl.open();
            waker.wake(); // the last one drops the set while it is in `wake`
        }
        assert!(task.is_done(), "{kind}");
        assert!(ctls.iter().all(|ctl| ctl.drops() == 1), "{kind}");
    });
}

#[test]
fn a_block_is_for_one_set_at_a_time_and_a_stale_waker_costs_a_poll_at_most() {
    static READY: ReadyBlock<2> = ReadyBlock::new();
    let probe = Probe::new();
    let (old, _) = Ctl::many(70);
    let mut set = Box::pin(gather_in(READY.claim().unwrap(), old.iter().map(Ctl::child)));
    assert!(READY.claim().is_none());
    probe.pends(&mut set);
    old[3].wake();
    old[65].wake();
    drop(set);
    old[66].wake();
    old[4].wake();

    let (new, log) = Ctl::many(68);
    let mut set = Box::pin(gather_in(READY.claim().unwrap(), new.iter().map(Ctl::child)));
    probe.pends(&mut set);
    assert!(new.iter().all(|ctl| ctl.polls() == 1), "all once, whatever was left of the other set");
    logged(&log);
    let wakes = probe.wakes();
    old[5].wake();
    old[69].wake(); // there is no such child
    assert_eq!(probe.wakes(), wakes + 1);
    probe.pends(&mut set);
    assert_eq!(logged(&log), "p5", "spurious, and nothing else");
    new.iter().for_each(Ctl::finish);
    assert_eq!(probe.ready(&mut set).len(), 68);
    drop(set);
    let text = panics(|| drop(gather_in(READY.claim().unwrap(), (0..129).map(|_| async {}))));
    assert_eq!(text, "more children than the block has room for");
    assert!(READY.claim().is_some());
}

#[test]
fn a_million_children_are_polled_only_when_woken() {
    const N: usize = 1 << 20;
    let (flags, probe) = (Arc::new((0..N).map(|_| AtomicUsize::new(0)).collect::<Vec<_>>()), Probe::new());
    let wakers = Arc::new(Mutex::new(Vec::with_capacity(N)));
    let child = |i: usize| {
        let (flags, wakers) = (flags.clone(), wakers.clone());
        std::future::poll_fn(move |cx| match flags[i].fetch_add(1, SeqCst) {
            0 => {
                wakers.lock().unwrap().push(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(i),
        })
    };
    let mut set = Box::pin(gather((0..N).map(child)));
    probe.pends(&mut set);
    let mut wakers = std::mem::take(&mut *wakers.lock().unwrap());
    let mut rng = Rng::new(1);
    for i in (1..N).rev() {
        wakers.swap(i, rng.below(i + 1));
    }
    let mut left = wakers.len();
    while left > 0 {
        for waker in wakers.drain(left.saturating_sub(1000)..) {
            waker.wake();
        }
        left = wakers.len();
        if left > 0 {
            probe.pends(&mut set);
        }
    }
    let outputs = probe.ready(&mut set);
    assert!(outputs.iter().enumerate().all(|(i, &output)| i == output));
    assert!(flags.iter().all(|polls| polls.load(SeqCst) == 2), "twice each, no more");
    assert_eq!(probe.wakes(), N.div_ceil(1000));
}

#[test]
fn allocations_are_the_outputs_and_one_block() {
    let probe = Probe::new();
    let cost = |n: usize| {
        let futures: Vec<_> = (0..n).map(|i| async move { i }).collect();
        let (count, _) = allocations(|| probe.now(gather(futures)));
        count
    };
    assert_eq!([cost(0), cost(1), cost(30)], [0, 1, 1]);
    assert_eq!([cost(31), cost(1000), cost(100_000)], [2, 2, 2]);
    assert_eq!(allocations(|| probe.now(gather([1, 2].map(std::future::ready)))).0, 0);
    assert_eq!(allocations(|| probe.now(gather((async { 1 }, async { 2 })))).0, 0);
    let claimed = claim();
    assert_eq!(allocations(|| probe.now(gather_in(claimed, [1, 2].map(std::future::ready)))).0, 0);
    let futures: Vec<_> = (0..1000).map(|i| async move { if i < 2000 { Ok(i) } else { Err(()) } }).collect();
    assert_eq!(allocations(|| probe.now(try_gather(futures))).0, 2);
    let futures: Vec<_> = (0..1000).map(|i| async move { i }).collect();
    let (count, mut done) = allocations(|| Box::pin(as_completed(futures)));
    assert_eq!(count, 2, "the block, and this test's box");
    let mut next = 0;
    let (count, ()) = allocations(|| {
        while let Poll::Ready(Some((i, _))) = done.as_mut().poll_next(&mut Context::from_waker(probe.waker())) {
            assert_eq!(i, next);
            next += 1;
        }
    });
    assert_eq!((count, next), (0, 1000));
}

#[test]
fn waking_and_polling_allocate_nothing() {
    let (ctls, log) = Ctl::many(100);
    let probe = Probe::new();
    let mut set = Box::pin(gather(ctls.iter().map(Ctl::child)));
    probe.pends(&mut set);
    let wakers: Vec<_> = ctls.iter().map(Ctl::waker).collect();
    ctls.iter().for_each(Ctl::forget);
    let woken = allocations(|| wakers.iter().for_each(|waker| drop(waker.clone()))).0;
    assert_eq!(woken, 0);
    assert_eq!(allocations(|| wakers.into_iter().for_each(Waker::wake)).0, 0);
    logged(&log);
}

#[test]
fn sizes() {
    use std::mem::size_of_val;
    let ready = std::future::ready::<u64>;
    assert_eq!(size_of_val(&gather((ready(1), ready(2)))), 2 * 16 + 16);
    assert_eq!(size_of_val(&gather([ready(1), ready(2), ready(3)])), 3 * 16 + 16);
    assert!(size_of_val(&gather(vec![ready(1)])) <= 208, "{}", size_of_val(&gather(vec![ready(1)])));
    assert!(size_of_val(&as_completed(vec![ready(1)])) <= 208);
    assert_eq!(size_of::<ReadyBlock<1>>(), 128);
    assert_eq!(size_of::<ReadyBlock<16>>(), 64 + 16 * 64);
}

mod auto_traits {
    use std::{future::Ready, rc::Rc};

    use static_assertions::{assert_impl_all, assert_not_impl_any};
    use testudo::task::{AllVec, AsCompleted, Claim, Gather, ReadyBlock, TryAllVec, TryGather};

    type Local = std::future::Pending<Rc<()>>;
    type Pinned = super::Child;
    type LocalTry = std::future::Pending<Result<Rc<()>, ()>>;

    assert_impl_all!(ReadyBlock<1>: Send, Sync, Unpin);
    assert_impl_all!(Claim: Send, Sync, Unpin);
    assert_impl_all!(AllVec<Ready<u8>>: Send, Sync, Unpin);
    assert_impl_all!(AsCompleted<Ready<u8>>: Send, Sync, Unpin);
    assert_impl_all!(TryAllVec<Ready<Result<u8, u8>>, u8, u8>: Send, Sync, Unpin);
    assert_impl_all!(<[Ready<u8>; 2] as Gather<testudo::task::ByArray>>::All: Send, Sync, Unpin);
    assert_impl_all!(<(Ready<u8>, Ready<u16>) as Gather<testudo::task::ByTuple>>::All: Send, Sync, Unpin);
    assert_impl_all!(<[Ready<u8>; 2] as Gather<testudo::task::ByArray>>::AllIn: Send, Sync, Unpin);
    // The futures of a vector do not move with it.
    assert_impl_all!(AllVec<Pinned>: Send, Unpin);
    assert_impl_all!(AsCompleted<Pinned>: Send, Unpin);
    assert_not_impl_any!(<[Pinned; 2] as Gather<testudo::task::ByArray>>::All: Unpin);
    assert_not_impl_any!(AllVec<Local>: Send, Sync);
    assert_not_impl_any!(AsCompleted<Ready<Rc<()>>>: Send, Sync);
    assert_not_impl_any!(<[Ready<Rc<()>>; 2] as Gather<testudo::task::ByArray>>::All: Send, Sync);
    assert_not_impl_any!(<(Ready<u8>, Ready<Rc<()>>) as Gather<testudo::task::ByTuple>>::All: Send, Sync);
    assert_not_impl_any!(<[LocalTry; 2] as TryGather<testudo::task::ByArray>>::AllIn: Send, Sync);
}

#[test]
fn debug_says_how_many_are_left() {
    let (ctls, _) = Ctl::many(40);
    let set = gather(ctls.iter().map(Ctl::child));
    assert_eq!(format!("{set:?}"), "AllVec(Children { left: 40, state: New })");
    let set = gather([async {}]);
    assert_eq!(format!("{set:?}"), "All(Children { children: 1, state: New })");
    let done = as_completed([async {}]);
    assert_eq!(format!("{done:?}"), "AsCompleted(Children { left: 1, state: New })");
    static READY: ReadyBlock<1> = ReadyBlock::new();
    let claim = READY.claim();
    assert_eq!(format!("{READY:?}"), "ReadyBlock { capacity: 64, claimed: true }");
    drop(claim);
    drop((try_gather([async { Ok::<_, ()>(()) }]), try_gather_in(READY.claim().unwrap(), [async { Ok::<_, ()>(()) }])));
    drop(as_completed_in(READY.claim().unwrap(), [async {}]));
    assert_eq!(format!("{READY:?}"), "ReadyBlock { capacity: 64, claimed: false }");
}
