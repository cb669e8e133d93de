//! CancelToken: a tree of tokens, their waiters, and who comes and goes while it is cancelled.

use testudo::task::{CancelToken, CancelWait, SharedToken};

use crate::{
    event::cancel as drop_elsewhere,
    support::{Data, Spawned, Waiter, block_on, explore, explore_within, race, spawn},
};

type Wait = Waiter<CancelWait<SharedToken>>;

/// A wait in line.
fn waiting(token: &SharedToken) -> Wait {
    Waiter::waiting(CancelToken::cancelled_with(token.clone()))
}

/// Cancels on another thread.
fn cancel(token: &SharedToken) -> Spawned<()> {
    let token = token.clone();
    spawn(move || token.cancel())
}

/// T1, T2 -> is_cancelled, of the token itself and of a child.
#[test]
fn e1_cancel_publishes_to_who_looks() {
    explore(|| {
        let (root, data) = (SharedToken::new(), Data::new());
        let child = root.child();
        let writer = {
            let (root, data) = (root.clone(), data.clone());
            spawn(move || {
                data.write(7);
                root.cancel();
            })
        };
        race();
        if child.is_cancelled() || root.is_cancelled() {
            assert_eq!(data.read(), 7);
        }
        writer.join();
        assert!(child.is_cancelled());
    });
}

/// T2 -> cancelled, through a parent.
#[test]
fn e1_cancel_publishes_to_who_waits() {
    explore(|| {
        let (root, data) = (SharedToken::new(), Data::new());
        let waiter = {
            let (child, data) = (root.child(), data.clone());
            spawn(move || {
                block_on(child.cancelled());
                assert_eq!(data.read(), 7);
            })
        };
        data.write(7);
        root.cancel();
        waiter.join();
    });
}

#[test]
fn a_wait_that_begins_during_a_cancel_is_released() {
    explore(|| {
        let root = SharedToken::new();
        let child = root.child();
        let old = waiting(&child);
        let canceller = cancel(&root);
        let mut new = Waiter::new(CancelToken::cancelled_with(child));
        new.poll();
        canceller.join();
        assert!(old.wakes() == 1 && new.wakes() <= 1);
        old.arrive();
        new.arrive();
    });
}

#[test]
fn a_wait_that_is_dropped_during_a_cancel_keeps_nobody_from_being_woken() {
    explore(|| {
        let root = SharedToken::new();
        let child = root.child();
        let [first, second, third] = [&child, &child, &root].map(waiting);
        let canceller = cancel(&root);
        let dropper = drop_elsewhere(first);
        canceller.join();
        dropper.join();
        assert!(second.wakes() == 1 && third.wakes() == 1);
        second.arrive();
        third.arrive();
    });
}

#[test]
fn a_child_that_is_dropped_during_a_cancel_is_not_touched_afterwards() {
    explore(|| {
        let root = SharedToken::new();
        let (gone, kept) = (root.child(), root.child());
        let wait = waiting(&kept);
        let canceller = cancel(&root);
        let dropper = drop_elsewhere(gone);
        canceller.join();
        dropper.join();
        assert!(kept.is_cancelled());
        wait.arrive();
    });
}

#[test]
fn a_child_and_its_wait_that_are_dropped_during_a_cancel_leave_nothing() {
    explore_within(2, || {
        let root = SharedToken::new();
        let child = root.child();
        let wait = waiting(&child);
        let canceller = cancel(&root);
        let dropper = spawn(move || {
            drop(child);
            drop(wait); // the last reference
        });
        canceller.join();
        dropper.join();
        assert!(root.is_cancelled());
    });
}

#[test]
fn a_child_that_is_made_during_a_cancel_is_cancelled() {
    explore(|| {
        let root = SharedToken::new();
        let old = root.child();
        let canceller = cancel(&root);
        let new = root.child();
        let mut wait = Waiter::new(CancelToken::cancelled_with(new.clone()));
        wait.poll();
        canceller.join();
        assert!(old.is_cancelled() && new.is_cancelled());
        wait.arrive();
    });
}

/// A parent and its child, at once: whoever finds the flag taken leaves the rest to its holder.
#[test]
fn two_cancels_of_one_tree_wake_everybody_once() {
    explore(|| {
        let root = SharedToken::new();
        let child = root.child();
        let leaf = child.child();
        let waits = [&root, &child, &leaf].map(waiting);
        let (one, two) = (cancel(&root), cancel(&child));
        one.join();
        two.join();
        assert!(root.is_cancelled() && child.is_cancelled() && leaf.is_cancelled());
        for wait in waits {
            assert_eq!(wait.wakes(), 1);
            wait.arrive();
        }
    });
}

#[test]
fn two_cancels_of_one_token_wake_everybody_once() {
    explore(|| {
        let root = SharedToken::new();
        let child = root.child();
        let waits = [&child, &root, &child].map(waiting);
        let (one, two) = (cancel(&root), cancel(&root));
        one.join();
        two.join();
        for wait in waits {
            assert_eq!(wait.wakes(), 1);
            wait.arrive();
        }
    });
}

/// A waiter of the child that leaves holds its flag when the parent's cancel comes by.
#[test]
fn a_cancel_that_finds_the_childs_flag_taken_is_finished_by_its_holder() {
    explore_within(2, || {
        let root = SharedToken::new();
        let child = root.child();
        let [first, second, third] = [&child, &child, &child].map(waiting);
        let canceller = cancel(&root);
        let dropper = drop_elsewhere(second);
        canceller.join();
        dropper.join();
        assert!(child.is_cancelled());
        first.arrive();
        third.arrive();
    });
}

#[test]
fn a_sibling_that_leaves_as_another_comes_keeps_the_line_whole() {
    explore(|| {
        let root = SharedToken::new();
        let (first, gone) = (root.child(), root.child());
        let dropper = drop_elsewhere(gone);
        let new = root.child();
        dropper.join();
        root.cancel();
        assert!(first.is_cancelled() && new.is_cancelled());
    });
}
