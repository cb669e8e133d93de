//! Streams of futures that run as children of a group.
use core::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::Poll,
};

use futures_util::stream;
use testudo::{
    Event,
    flow::{buffer_unordered, buffered, next},
    task::{Cancelled, TaskGroup},
};

use crate::support::{Probe, panics};

/// Gives way to the other children, so many times.
async fn turns(n: usize) {
    for _ in 0..n {
        let mut polled = false;
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if core::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Polls until it is ready; it has to be woken each time.
#[track_caller]
fn drive<F: Future>(fut: F) -> F::Output {
    let (probe, mut fut) = (Probe::new(), Box::pin(fut));
    loop {
        let before = probe.wakes();
        if let Poll::Ready(output) = probe.poll(&mut fut) {
            return output;
        }
        assert!(probe.wakes() > before, "it hangs");
    }
}

#[test]
fn size_of_zero_is_refused_at_once() {
    let tg = TaskGroup::<()>::new();
    let none = || stream::iter([core::future::ready(1)]);
    assert!(panics(|| buffered(&tg, none(), 0)).contains("room for one"));
    assert!(panics(|| buffer_unordered(&tg, none(), 0)).contains("room for one"));
}

/// futures-rs#2387, and P11: the consumer of `buffered` awaits something that a buffered future has to do. There it stands
/// still for ever; here the group drives it.
#[test]
fn p11_no_child_stands_still_while_the_consumer_awaits() {
    for ordered in [true, false] {
        let (first, second) = (Event::new(), Event::new());
        let tg = TaskGroup::new();
        let all = drive(tg.run(async {
            let work = stream::iter(0..2).map(|n| {
                let (first, second) = (&first, &second);
                async move {
                    if n == 0 {
                        first.set();
                    } else {
                        turns(3).await;
                        second.set();
                    }
                    n
                }
            });
            let consume = async |mut outputs: Pin<&mut dyn futures_core::Stream<Item = Result<i32, Cancelled>>>| {
                let mut all = vec![];
                while let Some(output) = next(&mut outputs).await {
                    second.wait().await; // nobody polls the stream meanwhile
                    all.push(output?);
                }
                Ok::<_, Cancelled>(all)
            };
            use futures_util::StreamExt as _;
            if ordered {
                consume(pin!(buffered(&tg, work, 2))).await
            } else {
                consume(pin!(buffer_unordered(&tg, work, 2))).await
            }
        }));
        assert_eq!(all.unwrap(), [0, 1]);
    }
}

#[test]
fn no_more_than_so_many_run_and_the_order_is_that_of_the_stream() {
    for size in 1..4 {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let tg = TaskGroup::new();
        let all = drive(tg.run(async {
            let (running, most) = (&running, &most);
            let work = (0..10).map(|n: usize| async move {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                turns(10 - n).await;
                running.fetch_sub(1, SeqCst);
                n
            });
            let mut outputs = pin!(buffered(&tg, stream::iter(work), size));
            let mut all = vec![];
            while let Some(output) = next(&mut outputs).await {
                all.push(output?);
            }
            assert_eq!(next(&mut outputs).await, None);
            Ok::<_, Cancelled>(all)
        }));
        assert_eq!(all.unwrap(), (0..10).collect::<Vec<_>>());
        assert_eq!(most.into_inner(), size);
    }
}

#[test]
fn unordered_outputs_come_as_they_are_ready_and_no_more_than_so_many_run() {
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let tg = TaskGroup::new();
    let all = drive(tg.run(async {
        let (running, most) = (&running, &most);
        let work = [9, 1, 5, 1, 1].map(|n| async move {
            most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
            turns(n).await;
            running.fetch_sub(1, SeqCst);
            n
        });
        let mut outputs = pin!(buffer_unordered(&tg, stream::iter(work), 3));
        let mut all = vec![];
        while let Some(output) = next(&mut outputs).await {
            all.push(output?);
        }
        Ok::<_, Cancelled>(all)
    }));
    assert_eq!(all.unwrap(), [1, 1, 1, 5, 9]);
    assert_eq!(most.into_inner(), 3);
}

/// The consumer's `next` is dropped after each poll.
#[test]
fn next_that_is_cancelled_at_any_poll_loses_nothing() {
    for ordered in [true, false] {
        let tg = TaskGroup::new();
        let mut all = drive(tg.run(async {
            let work = stream::iter((0..6).map(|n| async move {
                turns(n % 3).await;
                n
            }));
            let mut outputs: Pin<Box<dyn futures_core::Stream<Item = Result<usize, Cancelled>> + Send>> =
                if ordered { Box::pin(buffered(&tg, work, 2)) } else { Box::pin(buffer_unordered(&tg, work, 2)) };
            let mut all = vec![];
            loop {
                let once = poll_fn(|cx| Poll::Ready(pin!(next(&mut outputs)).poll(cx))).await;
                match once {
                    Poll::Ready(Some(output)) => all.push(output?),
                    Poll::Ready(None) => return Ok::<_, Cancelled>(all),
                    Poll::Pending => turns(1).await,
                }
            }
        }))
        .unwrap();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn dropped_stream_cancels_its_children() {
    for ordered in [true, false] {
        let dropped = AtomicUsize::new(0);
        struct Drops<'a>(&'a AtomicUsize);
        impl Drop for Drops<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        let tg = TaskGroup::new();
        drive(tg.run(async {
            let work = stream::iter((0..2).map(|_| {
                let drops = Drops(&dropped);
                async move {
                    let _drops = drops;
                    core::future::pending::<()>().await;
                }
            }));
            let polls = async |mut outputs: Pin<&mut dyn futures_core::Stream<Item = Result<(), Cancelled>>>| {
                let first = poll_fn(|cx| Poll::Ready(pin!(next(&mut outputs)).poll(cx))).await;
                assert!(first.is_pending());
                turns(2).await;
            };
            if ordered {
                polls(pin!(buffered(&tg, work, 2))).await;
            } else {
                polls(pin!(buffer_unordered(&tg, work, 2))).await;
            }
            Ok::<_, Cancelled>(()) // the group waits for its children, and so ends only if these are gone
        }))
        .unwrap();
        assert_eq!(dropped.into_inner(), 2);
    }
}

#[test]
fn what_runs_can_be_taken_out_and_nothing_is_lost() {
    let order = RefCell::new(vec![]);
    let tg = TaskGroup::new();
    let all = drive(tg.run(async {
        let work = (0..3).map(|n| async move {
            turns(n).await;
            n
        });
        let mut all = vec![];
        let rest = {
            let mut outputs = Box::pin(buffered(&tg, stream::iter(work), 3));
            all.extend(next(&mut outputs).await.unwrap());
            outputs.as_mut().take_running()
        };
        order.borrow_mut().push(rest.len());
        for child in rest {
            all.push(child.await?);
        }
        Ok::<_, Cancelled>(all)
    }));
    assert_eq!((all.unwrap(), order.into_inner()), (vec![0, 1, 2], vec![2]));
}

#[test]
fn children_of_a_cancelled_group_say_so() {
    let tg = TaskGroup::new();
    let mut outputs = Box::pin(buffer_unordered(&tg, stream::iter([core::future::ready(1)]), 1));
    let ended = drive(tg.run(async { Ok::<_, Cancelled>(()) }));
    assert!(ended.is_ok());
    assert_eq!(Probe::new().now(next(&mut outputs)), Some(Err(Cancelled)));
    assert_eq!(Probe::new().now(next(&mut outputs)), None);
}
