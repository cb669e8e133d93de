//! `run::block_on`: the thread parker.
use core::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use std::{
    panic::catch_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use testudo::run::block_on;

use crate::support::allocations;

/// Is ready once the flag is set; hands its waker to `at_first` in the first poll.
fn flag<'a>(set: &'a AtomicBool, at_first: impl FnOnce(Waker) + 'a) -> impl Future<Output = ()> + 'a {
    let mut at_first = Some(at_first);
    poll_fn(move |cx| {
        if let Some(at_first) = at_first.take() {
            at_first(cx.waker().clone());
        }
        if set.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// Waits for the waker that `block_on` hands out.
fn own_waker() -> Waker {
    block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone())))
}

#[test]
fn a_future_that_is_ready_is_not_waited_for() {
    assert_eq!(block_on(async { 1 + 1 }), 2);
}

#[test]
fn a_wake_from_another_thread_resumes_it() {
    let set = Arc::new(AtomicBool::new(false));
    let setter = set.clone();
    block_on(flag(&set, move |waker| {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            setter.store(true, Ordering::Release);
            waker.wake();
        });
    }));
}

#[test]
fn a_wake_before_the_park_is_not_lost() {
    let mut polls = 0;
    block_on(poll_fn(|cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        cx.waker().wake_by_ref();
        if polls == 1000 { Poll::Ready(()) } else { Poll::Pending }
    }));
    assert_eq!(polls, 1000);
}

/// pollster 1.0.1 hangs here: the channel of std parks the same thread, and uses up the token that the wake had left.
#[test]
fn a_channel_that_eats_the_token_of_the_thread_does_not_hang_it() {
    let mut polls = 0;
    block_on(poll_fn(|cx| {
        polls += 1;
        if polls == 2 {
            return Poll::Ready(());
        }
        let (tx, rx) = mpsc::channel();
        let waker = cx.waker().clone();
        let sender = thread::spawn(move || {
            waker.wake();
            thread::sleep(Duration::from_millis(20));
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
        sender.join().unwrap();
        thread::park_timeout(Duration::from_millis(1));
        Poll::Pending
    }));
}

#[test]
fn a_token_left_by_others_is_no_wake() {
    let set = Arc::new(AtomicBool::new(false));
    let setter = set.clone();
    let polls = Cell::new(0);
    let counted = async {
        let mut inner = Box::pin(flag(&set, move |waker| {
            let thread = thread::current();
            thread::spawn(move || {
                for _ in 0..20 {
                    thread.unpark();
                    thread::sleep(Duration::from_millis(1));
                }
                setter.store(true, Ordering::Release);
                waker.wake();
            });
        }));
        poll_fn(|cx| {
            polls.set(polls.get() + 1);
            inner.as_mut().poll(cx)
        })
        .await;
    };
    block_on(counted);
    assert_eq!(polls.get(), 2);
}

#[test]
fn it_can_be_nested_and_the_inner_one_has_a_waker_of_its_own() {
    let outer = block_on(async {
        let inner = own_waker();
        poll_fn(move |cx| {
            assert!(!cx.waker().will_wake(&inner));
            inner.wake_by_ref();
            Poll::Ready(block_on(async { block_on(async { 3 }) }))
        })
        .await
    });
    assert_eq!(outer, 3);
}

#[test]
fn a_thread_has_one_waker_for_all_its_waits() {
    thread::spawn(|| {
        let first = own_waker();
        for _ in 0..10 {
            assert!(first.will_wake(&own_waker()));
        }
        block_on(async { own_waker() });
        let panicked = catch_unwind(|| block_on(async { panic!("bad future") }));
        assert!(panicked.is_err());
        first.wake_by_ref();
        block_on(async {});
    })
    .join()
    .unwrap();
    assert!(!own_waker().will_wake(&thread::spawn(own_waker).join().unwrap()));
}

#[test]
fn only_the_first_wait_of_a_thread_allocates() {
    fn wait() -> usize {
        let mut polls = 0;
        let wait = poll_fn(|cx| {
            polls += 1;
            let waker = cx.waker().clone();
            waker.wake();
            if polls == 5 { Poll::Ready(()) } else { Poll::Pending }
        });
        allocations(|| block_on(wait)).0
    }
    thread::spawn(|| {
        assert!(wait() <= 1);
        assert_eq!([(); 9].map(|()| wait()), [0; 9]);
        assert_eq!(block_on(async { [wait(), wait()] }), [1, 0], "the outer one has the cached waker");
        assert_eq!(wait(), 0);
    })
    .join()
    .unwrap();
}

#[test]
fn a_panic_goes_on_and_the_thread_can_wait_again() {
    let panicked = catch_unwind(|| block_on(async { panic!("bad future") }));
    assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "bad future");
    assert_eq!(block_on(async { 5 }), 5);
}

#[test]
fn the_future_is_dropped_before_it_returns() {
    struct Count<'a>(&'a Cell<u32>);
    impl Drop for Count<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    struct Holds<'a>(#[expect(dead_code, reason = "dropped")] Count<'a>);
    impl Future for Holds<'_> {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let count = Cell::new(0);
    block_on(Holds(Count(&count)));
    assert_eq!(count.get(), 1);
}

#[test]
fn a_destructor_of_a_thread_local_may_wait() {
    struct Late(mpsc::Sender<u32>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.0.send(block_on(async { 9 })).unwrap();
        }
    }
    thread_local! {
        static LATE: Cell<Option<Late>> = const { Cell::new(None) };
    }
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        LATE.set(Some(Late(tx)));
        block_on(async {});
    })
    .join()
    .unwrap();
    assert_eq!(rx.recv().unwrap(), 9);
}

#[test]
fn wakes_that_race_with_the_park_are_not_lost() {
    let turn = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = mpsc::channel::<Waker>();
    let other = turn.clone();
    let pinger = thread::spawn(move || {
        for waker in rx {
            other.fetch_add(1, Ordering::Release);
            waker.wake();
        }
    });
    for round in 1..=20_000 {
        let mut sent = false;
        block_on(poll_fn(|cx| {
            if !sent {
                sent = true;
                tx.send(cx.waker().clone()).unwrap();
            }
            if turn.load(Ordering::Acquire) == round { Poll::Ready(()) } else { Poll::Pending }
        }));
    }
    drop(tx);
    pinger.join().unwrap();
}
