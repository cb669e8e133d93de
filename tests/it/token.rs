//! `CancelToken` and `SharedToken`.
use core::{
    cell::Cell,
    future::{Future, pending, poll_fn, ready},
    pin::{Pin, pin},
    task::Poll,
};
use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicPtr, Ordering::SeqCst},
    },
};

use futures_core::FusedFuture;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use testudo::{
    run::block_on,
    task::{CancelRun, CancelToken, CancelWait, Cancelled, ChildToken, SharedToken},
};

use crate::support::{Probe, Slot, allocations, panics, wakes};

type Child<'p> = ChildToken<&'p CancelToken>;

fn child<'p>(parent: &'p CancelToken) -> Pin<Box<Child<'p>>> {
    Box::pin(parent.child())
}

#[test]
fn a_cancel_reaches_who_waits_for_a_descendant_and_nobody_else() {
    let root = CancelToken::new();
    let (mut left, mut right) = (child(&root), child(&root));
    let (left, right) = (left.as_mut().token(), right.as_mut().token());
    let mut leaf = child(left);
    let leaf = leaf.as_mut().token();
    let probes: [Probe; 4] = core::array::from_fn(|_| Probe::new());
    let mut waits: Vec<_> = [&root, left, right, leaf]
        .into_iter()
        .zip(&probes)
        .map(|(token, probe)| probe.start(token.cancelled()))
        .collect();

    left.cancel();
    assert_eq!(wakes(&probes), [0, 1, 0, 1]);
    assert_eq!([&root, left, right, leaf].map(CancelToken::is_cancelled), [false, true, false, true]);
    probes[1].ready(&mut waits[1]);
    probes[3].ready(&mut waits[3]);
    probes[0].pends(&mut waits[0]);

    root.cancel();
    assert_eq!(wakes(&probes), [1, 1, 1, 1]);
    assert!([&root, left, right, leaf].map(CancelToken::is_cancelled).iter().all(|&is| is));
    probes[0].ready(&mut waits[0]);
    probes[2].ready(&mut waits[2]);
}

#[test]
fn waiters_and_children_are_reached_in_the_order_in_which_they_came() {
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let root = CancelToken::new();
    let probes: [Probe; 4] = core::array::from_fn(|_| Probe::new());
    for (n, probe) in probes.iter().enumerate() {
        let order = order.clone();
        probe.on_wake(move || order.lock().unwrap().push(n));
    }
    let first = probes[0].start(root.cancelled());
    let mut middle = child(&root);
    let middle = middle.as_mut().token();
    let last = probes[3].start(root.cancelled());
    let below = [probes[1].start(middle.cancelled()), probes[2].start(middle.cancelled())];
    root.cancel();
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
    drop((first, last, below));
}

#[test]
fn a_child_that_is_dropped_leaves_the_tree() {
    let root = CancelToken::new();
    let mut kept = child(&root);
    assert!(!child(&root).as_mut().token().is_cancelled());
    let mut gone = child(&root);
    let probe = Probe::new();
    let wait = probe.start(gone.as_mut().token().cancelled());
    drop(wait);
    drop(gone);
    let kept = kept.as_mut().token();
    assert_eq!(format!("{root:?}"), "CancelToken { cancelled: false, waiters: true }");
    root.cancel();
    assert!(kept.is_cancelled());
    assert_eq!(probe.wakes(), 0);
    assert_eq!(probe.kept(), 0);
    assert_eq!(format!("{root:?}"), "CancelToken { cancelled: true, waiters: false }");
}

#[test]
fn a_child_of_a_cancelled_token_is_cancelled_and_a_later_look_says_so_too() {
    let root = CancelToken::new();
    let mut before = child(&root);
    root.cancel();
    root.cancel();
    let (mut after, mut below) = (child(&root), child(&root));
    assert!(before.as_mut().token().is_cancelled());
    assert!(after.as_mut().token().is_cancelled());
    let below = below.as_mut().token();
    assert!(child(below).as_mut().token().is_cancelled());
    Probe::new().now(below.cancelled());
}

#[test]
fn a_child_that_is_forgotten_may_be_cancelled_still() {
    let root = CancelToken::new();
    static LOST: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut()); // so that it is no leak
    let lost = Box::leak(Box::new(child(&root)));
    lost.as_mut().token();
    LOST.store(core::ptr::from_mut(lost).cast(), SeqCst);
    let mut kept = child(&root);
    let kept = kept.as_mut().token();
    root.cancel();
    assert!(kept.is_cancelled());
}

#[test]
fn a_wide_and_a_deep_tree_are_reached_as_a_whole() {
    let root = SharedToken::new();
    let children: Vec<_> = (0..100).map(|_| root.child()).collect();
    let mut line = vec![root.child()];
    for _ in 0..100 {
        line.push(line[line.len() - 1].child());
    }
    let probe = Probe::new();
    let all = || children.iter().chain(&line);
    let mut waits: Vec<_> = all().map(|token| probe.start(token.cancelled())).collect();
    root.cancel();
    assert!(all().all(|token| token.is_cancelled()));
    assert_eq!(probe.wakes(), 201);
    waits.iter_mut().for_each(|wait| probe.ready(wait));
}

#[test]
fn run_gives_the_value_first_and_polls_once_whatever_the_token_says() {
    let token = CancelToken::new();
    token.cancel();
    let probe = Probe::new();
    assert_eq!(probe.now(token.run(ready(1))), Ok(1));
    let polls = Cell::new(0);
    let counting = poll_fn(|_| {
        polls.set(polls.get() + 1);
        Poll::<()>::Pending
    });
    assert_eq!(probe.now(token.run(counting)), Err(Cancelled));
    assert_eq!(polls.get(), 1);
}

#[test]
fn run_drops_its_future_at_once_when_it_is_cancelled() {
    let token = CancelToken::new();
    let (probe, alive) = (Probe::new(), Rc::new(()));
    let inside = alive.clone();
    let mut run = Box::pin(token.run(async move {
        let _inside = inside;
        pending::<()>().await
    }));
    probe.pends(&mut run);
    assert!(!run.is_terminated());
    token.cancel();
    assert_eq!((probe.wakes(), Rc::strong_count(&alive)), (1, 2));
    assert_eq!(probe.ready(&mut run), Err(Cancelled));
    assert_eq!(Rc::strong_count(&alive), 1);
    assert!(run.is_terminated());
    assert_eq!(panics(|| probe.poll(&mut run).is_ready()), "polled after completion");
}

#[test]
fn a_cancelled_wait_is_fused_and_panics_when_polled_again() {
    let token = CancelToken::new();
    token.cancel();
    let (probe, mut wait) = (Probe::new(), Box::pin(token.cancelled()));
    probe.ready(&mut wait);
    assert!(wait.is_terminated());
    assert_eq!(panics(|| probe.poll(&mut wait).is_ready()), "polled after completion");
}

#[test]
fn wakers_that_reenter_find_the_tree_in_order() {
    let root = SharedToken::new();
    let child = root.child();
    let slots: [Slot<CancelWait<SharedToken>>; 3] = core::array::from_fn(|_| Slot::empty());
    let probes: [Probe; 3] = core::array::from_fn(|_| Probe::new());
    for (slot, probe) in slots.iter().zip(&probes) {
        slot.put(probe.start(CancelToken::cancelled_with(child.clone())));
    }
    // The first cancels the second, makes a child, and cancels it all again, from within its waker.
    let (second, token) = (slots[1].clone(), root.clone());
    probes[0].on_wake(move || {
        second.cancel();
        token.cancel();
        assert!(token.child().is_cancelled());
    });
    root.cancel();
    assert_eq!(probes[0].wakes() + probes[2].wakes(), 2);
    assert!(child.is_cancelled());
    slots.iter().for_each(|slot| drop(slot.take()));
    probes.iter().for_each(|probe| assert_eq!(probe.kept(), 0));
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_woken() {
    let root = SharedToken::new();
    let children: Vec<_> = (0..3).map(|_| root.child()).collect();
    let probes: Vec<_> = (0..120).map(|_| Probe::new()).collect();
    probes[1].on_wake(|| panic!("waker"));
    let waits: Vec<_> = probes.iter().enumerate().map(|(n, probe)| probe.start(children[n % 3].cancelled())).collect();
    assert_eq!(panics(|| root.cancel()), "waker");
    assert!(probes.iter().all(|probe| probe.wakes() == 1));
    drop(waits);
}

#[test]
fn tokens_need_no_memory_but_their_own() {
    let root = CancelToken::new();
    let probe = Probe::new();
    let (count, ()) = allocations(|| {
        let one = pin!(root.child());
        let one = one.token();
        let two = pin!(one.child());
        let two = two.token();
        let mut wait = pin!(two.cancelled());
        assert!(probe.poll_pinned(wait.as_mut()).is_pending());
        root.cancel();
        assert!(probe.poll_pinned(wait.as_mut()).is_ready());
    });
    assert_eq!(count, 0);
    let (count, _tokens) = allocations(|| {
        let root = SharedToken::new();
        (root.child(), root)
    });
    assert_eq!(count, 2);
}

#[test]
fn threads_that_make_cancel_and_drop_children_lose_no_wake_up() {
    for round in 0..if cfg!(miri) { 2 } else { 100 } {
        let root = SharedToken::new();
        std::thread::scope(|s| {
            for _ in 0..3 {
                let root = root.clone();
                s.spawn(move || {
                    for n in 0.. {
                        let child = root.child();
                        if n % 3 == 0 {
                            child.cancel();
                        }
                        if block_on(child.child().run(async {
                            std::thread::yield_now();
                            root.is_cancelled()
                        })) == Ok(true)
                        {
                            break;
                        }
                    }
                    block_on(root.child().cancelled());
                });
            }
            let waiting = root.child();
            s.spawn(move || assert_eq!(block_on(waiting.run(pending::<()>())), Err(Cancelled)));
            (0..round * 10).for_each(|_| core::hint::spin_loop());
            root.cancel();
        });
    }
}

#[test]
fn what_was_written_before_a_cancel_is_seen_in_a_run_of_a_static_token() {
    static TOKEN: CancelToken = CancelToken::new();
    let waiter = std::thread::spawn(|| block_on(TOKEN.cancelled()));
    TOKEN.cancel();
    waiter.join().unwrap();
    assert!(TOKEN.is_cancelled());
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_token_has_one_word_a_child_eight_and_a_wait_seven() {
    assert_eq!(size_of::<CancelToken>(), 8);
    assert_eq!(size_of::<SharedToken>(), 8);
    assert!(size_of::<CancelWait<&CancelToken>>() <= 64);
    assert!(size_of::<Child<'_>>() <= 80);
}

#[test]
fn tokens_show_themselves() {
    let root = SharedToken::new();
    assert_eq!(format!("{root:?}"), "SharedToken(CancelToken { cancelled: false, waiters: false })");
    let mut low = child(&root);
    let shown = |linked| {
        format!("ChildToken {{ token: CancelToken {{ cancelled: false, waiters: false }}, linked: {linked} }}")
    };
    assert_eq!(format!("{low:?}"), shown(false));
    low.as_mut().token();
    assert_eq!(format!("{low:?}"), shown(true));
    assert_eq!(format!("{:?}", root.run(ready(1))), "CancelRun { done: false, .. }");
}

type Fut = core::future::Ready<u8>;
type RcFut = core::future::Ready<Rc<u8>>;

assert_impl_all!(CancelToken: Send, Sync, Unpin, Default, core::panic::RefUnwindSafe);
assert_impl_all!(SharedToken: Send, Sync, Unpin, Clone, Default);
assert_impl_all!(Child<'static>: Send, Sync);
assert_not_impl_any!(Child<'static>: Unpin, Clone);
assert_not_impl_any!(ChildToken<Rc<CancelToken>>: Send, Sync);
assert_impl_all!(ChildToken<Arc<CancelToken>>: Send, Sync);
assert_impl_all!(CancelWait<SharedToken>: Send, Sync, FusedFuture);
assert_not_impl_any!(CancelWait<Rc<CancelToken>>: Send, Sync);
assert_not_impl_any!(CancelWait<&'static CancelToken>: Unpin);
assert_impl_all!(CancelRun<Fut, SharedToken>: Send, Sync, Future, FusedFuture);
assert_not_impl_any!(CancelRun<RcFut, SharedToken>: Send, Sync);
assert_impl_all!(Cancelled: Send, Sync, Copy, core::error::Error);
