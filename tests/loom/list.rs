//! The wait list: its edges. `Event` is the shortest way to reach it.

use std::sync::Arc;

use testudo::{Event, Mutex};

use crate::{
    event::{cancel, line},
    support::{Waiter, explore, spawn},
};

/// T1 -> T2: who takes the flag reads the links and wakers of nodes that other threads have pushed.
#[test]
fn e1_push_shows_the_node_to_the_next_holder() {
    explore(|| {
        let event = Arc::new(Event::new());
        let [old] = line(&event);
        let push = spawn({
            let mut waiter = Waiter::new(Event::wait_with(Arc::clone(&event)));
            move || {
                waiter.poll();
                waiter
            }
        });
        event.set();
        let new = push.join();
        old.arrive();
        new.arrive();
    });
}

/// T1 -> T2, with a push on top of a push.
#[test]
fn e1_push_on_a_push() {
    explore(|| {
        let mutex = Arc::new(Mutex::new(()));
        let guard = mutex.try_lock().unwrap();
        let push = || {
            let mut waiter = Waiter::new(Mutex::lock_with(Arc::clone(&mutex)));
            spawn(move || {
                waiter.poll();
                waiter
            })
        };
        let (a, b) = (push(), push());
        drop(guard);
        let (mut a, mut b) = (a.join(), b.join());
        let first = if a.poll() {
            a
        } else if b.poll() {
            b
        } else {
            panic!("nobody got the lock")
        };
        drop(first);
    });
}

/// T3 -> T2: three holders, one after the other, work on the links that the one before has left.
#[test]
fn e2_publish_shows_the_links_to_the_next_holder() {
    explore(|| {
        let event = Arc::new(Event::new());
        let [a, b, c, d] = line(&event);
        let one = cancel(b);
        let other = cancel(c);
        drop(a);
        one.join();
        other.join();
        event.set();
        d.arrive();
    });
}

/// Notified -> the owner's load: the owner reads the token and frees the node, which the notifier has just used.
#[test]
fn e3_notified_ends_the_notifiers_access() {
    explore(|| {
        let event = Arc::new(Event::new());
        let [mut a, b] = line(&event);
        let set = spawn({
            let event = Arc::clone(&event);
            move || event.set()
        });
        a.poll();
        drop(a);
        set.join();
        b.arrive();
    });
}
