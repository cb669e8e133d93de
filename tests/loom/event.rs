//! Event.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
};

use testudo::{Event, sync::EventWait};

use crate::support::{Data, Spawned, Waiter, explore, explore_within, race, spawn};

type Wait = Waiter<EventWait<Arc<Event>>>;

fn new() -> Arc<Event> {
    Arc::new(Event::new())
}

/// A wait that has not begun.
fn wait(event: &Arc<Event>) -> Wait {
    Waiter::new(Event::wait_with(Arc::clone(event)))
}

/// Waiters, in line.
pub fn line<const N: usize>(event: &Arc<Event>) -> [Wait; N] {
    std::array::from_fn(|_| Waiter::waiting(Event::wait_with(Arc::clone(event))))
}

/// Drops something on another thread.
pub fn cancel<T: 'static>(what: T) -> Spawned<()> {
    spawn(move || drop(what))
}

/// Sets the event on another thread.
fn set(event: &Arc<Event>) -> Spawned<()> {
    let event = Arc::clone(event);
    spawn(move || event.set())
}

/// Begins a wait on another thread.
fn push(event: &Arc<Event>) -> Spawned<Wait> {
    let mut waiter = wait(event);
    spawn(move || {
        waiter.poll();
        waiter
    })
}

/// Everybody arrives, having been woken at most once.
fn all_arrive(waiters: impl IntoIterator<Item = Wait>) {
    for waiter in waiters {
        assert!(waiter.wakes() <= 1);
        waiter.arrive();
    }
}

/// T1, T2 -> wait. Also: set x wait, no wake-up is lost.
#[test]
fn e1_set_publishes() {
    explore(|| {
        let (event, data) = (new(), Data::new());
        let set = spawn({
            let (event, data) = (Arc::clone(&event), Arc::clone(&data));
            move || {
                data.write(1);
                event.set();
            }
        });
        let mut waiter = wait(&event);
        if waiter.poll() || waiter.poll() {
            assert_eq!(data.read(), 1);
        }
        set.join();
        waiter.arrive();
    });
}

/// T1, T2 -> is_set.
#[test]
fn e1_set_publishes_to_is_set() {
    explore(|| {
        let (event, data) = (new(), Data::new());
        let set = spawn({
            let (event, data) = (Arc::clone(&event), Arc::clone(&data));
            move || {
                data.write(1);
                event.set();
            }
        });
        race();
        if event.is_set() {
            assert_eq!(data.read(), 1);
        }
        set.join();
        assert!(event.is_set());
    });
}

/// T3 -> wait: a set() that found the flag taken is carried out by the canceller.
#[test]
fn e1_merged_set_publishes() {
    explore(|| {
        let (event, data) = (new(), Data::new());
        let [a, mut b] = line(&event);
        let cancel = cancel(a);
        let set = spawn({
            let (event, data) = (Arc::clone(&event), Arc::clone(&data));
            move || {
                data.write(1);
                event.set();
            }
        });
        if b.poll() {
            assert_eq!(data.read(), 1);
        }
        cancel.join();
        set.join();
        b.arrive();
    });
}

#[test]
fn set_x_set() {
    explore(|| {
        let event = new();
        let waiters = line::<2>(&event);
        let other = set(&event);
        event.set();
        other.join();
        all_arrive(waiters);
    });
}

/// In line before set: released. Begun after clear: not by that set.
#[test]
fn set_then_clear_then_wait() {
    explore(|| {
        let event = new();
        let [a, b, mut c] = line(&event);
        let others = spawn({
            let event = Arc::clone(&event);
            move || {
                event.set();
                event.clear();
                let mut late = wait(&event);
                assert!(!late.poll(), "begun after clear()");
                late
            }
        });
        drop(a);
        c.poll();
        let mut late = others.join();
        all_arrive([b, c]);
        late.stay();
        event.set();
        late.arrive();
    });
}

/// The same through the merged path: `late` begins on the thread of the canceller or not at all.
#[test]
fn merged_set_then_clear_then_wait() {
    explore(|| {
        let event = new();
        let [a, b] = line(&event);
        let others = spawn({
            let event = Arc::clone(&event);
            move || {
                event.set();
                event.clear();
                let mut late = wait(&event);
                assert!(!late.poll(), "begun after clear()");
                late
            }
        });
        drop(b);
        let mut late = others.join();
        a.arrive();
        late.stay();
        event.set();
        late.arrive();
    });
}

/// Two sets with a clear between them, against a canceller and a newcomer: nobody is left out, nobody gets in twice.
#[test]
fn set_clear_set_x_cancel_x_wait() {
    explore(|| {
        let event = new();
        let [a, b] = line(&event);
        let cancel = cancel(a);
        let push = push(&event);
        event.set();
        event.clear();
        event.set();
        cancel.join();
        all_arrive([b, push.join()]);
    });
}

/// Whoever waits when all is done was overlooked by no set: it is released by the next one.
#[test]
fn set_x_clear_x_wait() {
    explore(|| {
        let event = new();
        let [old] = line(&event);
        let set = set(&event);
        let clear = spawn({
            let event = Arc::clone(&event);
            move || event.clear()
        });
        let mut new = wait(&event);
        new.poll();
        set.join();
        clear.join();
        old.arrive();
        if event.is_set() || new.is_woken() {
            new.arrive();
        } else {
            new.poll();
            event.set();
            new.arrive();
        }
    });
}

#[test]
fn clear_x_clear_x_set() {
    explore(|| {
        let event = new();
        event.set();
        let other = spawn({
            let event = Arc::clone(&event);
            move || event.clear()
        });
        let set = set(&event);
        event.clear();
        other.join();
        set.join();
        // Set by nobody but `set`, cleared by nobody but the two: consistent with some order, and the word is intact.
        let mut waiter = wait(&event);
        assert_eq!(waiter.poll(), event.is_set());
        event.set();
        waiter.arrive();
    });
}

#[test]
fn clear_x_clear() {
    explore(|| {
        let event = new();
        event.set();
        let other = spawn({
            let event = Arc::clone(&event);
            move || event.clear()
        });
        event.clear();
        assert!(!event.is_set());
        other.join();
        let [waiter] = line(&event);
        event.set();
        waiter.arrive();
    });
}

#[test]
fn set_x_cancel_of_the_only_waiter() {
    explore(|| {
        let event = new();
        let [a] = line(&event);
        let set = set(&event);
        drop(a);
        set.join();
        assert!(wait(&event).poll());
    });
}

/// The waiter at `at` of three is dropped while all are released.
fn set_x_cancel(at: usize) {
    explore(move || {
        let event = new();
        let mut waiters = Vec::from(line::<3>(&event));
        let leaving = waiters.remove(at);
        let set = set(&event);
        drop(leaving);
        set.join();
        all_arrive(waiters);
    });
}

#[test]
fn set_x_cancel_of_the_first() {
    set_x_cancel(0);
}

#[test]
fn set_x_cancel_of_the_second() {
    set_x_cancel(1);
}

#[test]
fn set_x_cancel_of_the_third() {
    set_x_cancel(2);
}

/// A walk in two batches: the third waits in the side list while the first two are woken.
#[test]
fn set_x_set_x_cancel_of_the_third() {
    explore(|| {
        let event = new();
        let [a, b, c] = line(&event);
        let other = set(&event);
        let cancel = cancel(c);
        event.set();
        other.join();
        cancel.join();
        all_arrive([a, b]);
    });
}

/// A walk in two batches while the third is polled again by another task and the second is dropped.
#[test]
fn set_x_poll_of_the_third_x_cancel_of_the_second() {
    // 2 preemptions: three threads that all take the flag.
    explore_within(2, || {
        let event = new();
        let [a, b, mut c] = line(&event);
        let set = set(&event);
        let cancel = cancel(b);
        c.move_to_another_task();
        c.poll();
        set.join();
        cancel.join();
        all_arrive([a, c]);
    });
}

#[test]
fn wait_x_wait_x_set() {
    explore(|| {
        let event = new();
        let (a, b) = (push(&event), push(&event));
        event.set();
        all_arrive([a.join(), b.join()]);
    });
}

#[test]
fn wait_x_set_then_clear() {
    explore(|| {
        let event = new();
        let [old] = line(&event);
        let push = push(&event);
        event.set();
        event.clear();
        let mut new = push.join();
        old.arrive();
        if !new.is_woken() && !new.poll() {
            // It came after clear().
            new.stay();
            event.set();
        }
        new.arrive();
    });
}

/// From the poll on it is the new task that is woken.
#[test]
fn set_x_poll_by_another_task() {
    explore(|| {
        let event = new();
        let [mut a, b] = line(&event);
        let set = set(&event);
        a.move_to_another_task();
        a.poll();
        set.join();
        all_arrive([a, b]);
    });
}

#[test]
fn set_x_poll_of_the_only_waiter_by_another_task() {
    explore(|| {
        let event = new();
        let [mut a] = line(&event);
        let set = set(&event);
        a.move_to_another_task();
        a.poll();
        set.join();
        all_arrive([a]);
    });
}

/// A set() that has taken out the only waiter, and not let go of the flag yet.
#[test]
fn set_x_set_then_clear_then_wait() {
    explore(|| {
        let event = new();
        let [a] = line(&event);
        let set = set(&event);
        event.set();
        event.clear();
        let mut new = wait(&event);
        new.poll();
        set.join();
        a.arrive();
        if !event.is_set() && !new.is_ready() && !new.is_woken() {
            new.stay();
            event.set();
        }
        new.arrive();
    });
}

/// Two of three are dropped at once; the third is still in line.
fn cancel_x_cancel(at: usize, other: usize) {
    explore(move || {
        let event = new();
        let mut waiters = Vec::from(line::<3>(&event));
        let one = waiters.remove(at.max(other));
        let other = waiters.remove(at.min(other));
        let cancel = cancel(one);
        drop(other);
        cancel.join();
        event.set();
        all_arrive(waiters);
    });
}

#[test]
fn cancel_of_the_first_x_cancel_of_the_second() {
    cancel_x_cancel(0, 1);
}

#[test]
fn cancel_of_the_first_x_cancel_of_the_third() {
    cancel_x_cancel(0, 2);
}

#[test]
fn cancel_of_the_second_x_cancel_of_the_third() {
    cancel_x_cancel(1, 2);
}

#[test]
fn cancel_x_cancel_of_all() {
    explore(|| {
        let event = new();
        let [a, b] = line(&event);
        let cancel = cancel(a);
        drop(b);
        cancel.join();
        event.set();
        assert!(event.is_set());
    });
}

#[test]
fn cancel_x_cancel_x_cancel() {
    explore(|| {
        let event = new();
        let [a, b, c, d] = line(&event);
        let (one, two) = (cancel(a), cancel(b));
        drop(d);
        one.join();
        two.join();
        event.set();
        c.arrive();
    });
}

/// T5 against a push on the node that leaves.
#[test]
fn cancel_of_the_only_waiter_x_wait() {
    explore(|| {
        let event = new();
        let [a] = line(&event);
        let push = push(&event);
        drop(a);
        let b = push.join();
        event.set();
        b.arrive();
    });
}

/// A node that is the newest when it is taken out, and no longer so when the flag is let go.
#[test]
fn cancel_of_the_newest_x_wait_x_set() {
    explore(|| {
        let event = new();
        let [a, b] = line(&event);
        let push = push(&event);
        let set = set(&event);
        drop(b);
        set.join();
        all_arrive([a, push.join()]);
    });
}

#[test]
fn cancel_of_the_newest_x_two_waits() {
    explore(|| {
        let event = new();
        let [a, b] = line(&event);
        let (c, d) = (push(&event), push(&event));
        drop(b);
        let (c, d) = (c.join(), d.join());
        event.set();
        all_arrive([a, c, d]);
    });
}

/// A wait that is begun and dropped at once, against a set and a canceller.
#[test]
fn short_wait_x_set_x_cancel() {
    // 2 preemptions: three threads that all take the flag.
    explore_within(2, || {
        let event = new();
        let [a, b] = line(&event);
        let set = set(&event);
        let cancel = cancel(a);
        let mut short = wait(&event);
        short.poll();
        drop(short);
        set.join();
        cancel.join();
        b.arrive();
    });
}

/// When woken, clears the event and waits for it again.
struct WaitsAgain {
    event: Arc<Event>,
    again: Mutex<Option<Wait>>,
}

impl Wake for WaitsAgain {
    fn wake(self: Arc<Self>) {
        self.event.clear();
        let mut wait = wait(&self.event);
        assert!(!wait.poll(), "begun after clear()");
        *self.again.lock().unwrap() = Some(wait);
    }
}

/// A waiter that comes back while a set() still wakes others is not released by it.
#[test]
fn wait_again_during_a_walk() {
    explore(|| {
        let event = new();
        let again = Arc::new(WaitsAgain { event: Arc::clone(&event), again: Mutex::new(None) });
        let waker = Waker::from(Arc::clone(&again));
        let mut first = Box::pin(Event::wait_with(Arc::clone(&event)));
        assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let [a, b, c] = line(&event);
        let cancel = cancel(b);
        event.set();
        cancel.join();
        all_arrive([a, c]);
        assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        let mut back = again.again.lock().unwrap().take().unwrap();
        back.stay();
        event.set();
        back.arrive();
    });
}
