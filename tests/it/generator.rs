//! Generators: items, ends, cancelled nexts, wakers, panics, memory. `asyncio.rs` has asyncio's rules, `peers.rs` the
//! defects of other crates.
use core::{
    cell::{Cell, RefCell},
    future::{Future, pending, poll_fn, ready},
    pin::{Pin, pin},
    task::{Context, Poll},
};
use std::rc::Rc;

use futures_core::{FusedFuture, FusedStream, Stream};
use futures_util::{StreamExt, stream::FuturesUnordered};
use testudo::{
    Event, Queue,
    flow::{AsyncGen, BoxGen, Closed, Emit, Emitter, Stop, generator, generator_boxed, next, try_generator},
    run::{Sim, block_on},
    task::LocalShelter,
};

use crate::support::{Probe, allocations, panics};

mod asyncio;
mod peers;

/// Pends once.
fn pause() -> impl Future<Output = ()> {
    let mut polled = false;
    poll_fn(move |_| if core::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending })
}

/// Polls a generator.
fn poll<G: Stream + ?Sized>(probe: &Probe, stream: &mut Pin<&mut G>) -> Poll<Option<G::Item>> {
    stream.as_mut().poll_next(&mut Context::from_waker(probe.waker()))
}

/// Says when it is dropped.
struct Says<'a>(&'static str, &'a RefCell<Vec<&'static str>>);

impl Drop for Says<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

#[test]
fn body_stands_still_until_it_is_polled_and_between_items() {
    let steps = Cell::new(0);
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y| {
        for n in 0..3 {
            steps.set(steps.get() + 1);
            y.emit(n).await?;
        }
        Ok(())
    }));
    assert_eq!(steps.get(), 0);
    for n in 0..3 {
        assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(n)));
        assert_eq!(steps.get(), n + 1);
    }
    assert!(!numbers.is_terminated());
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
    assert!(numbers.is_terminated());
    assert_eq!(numbers.size_hint(), (0, Some(0)));
    assert_eq!((probe.wakes(), probe.clones()), (0, 0)); // handing an item over takes no waker
}

#[test]
fn next_that_is_cancelled_at_any_poll_loses_nothing() {
    for cancel_at in 0..12 {
        let probe = Probe::new();
        let mut numbers = pin!(generator(async |mut y| {
            for n in 0..3 {
                pause().await;
                pause().await;
                y.emit(n).await?;
                pause().await;
            }
            Ok(())
        }));
        let (mut seen, mut polls) = (vec![], 0);
        'next: loop {
            let mut fut = Box::pin(next(&mut numbers));
            loop {
                polls += 1;
                match probe.poll(&mut fut) {
                    Poll::Ready(Some(n)) => {
                        seen.push(n);
                        continue 'next;
                    }
                    Poll::Ready(None) => break 'next,
                    Poll::Pending if polls == cancel_at => continue 'next,
                    Poll::Pending => {}
                }
            }
        }
        assert_eq!(seen, [0, 1, 2], "cancelled at poll {cancel_at}");
    }
}

/// The body awaits its clean-up in three places; whoever polls goes on with it, and no item comes in between.
#[test]
fn aclose_that_is_cancelled_at_any_poll_is_completed_by_the_next_one_or_by_next() {
    for cancel_at in 1..=3 {
        for goes_on_by_next in [false, true] {
            let (probe, steps) = (Probe::new(), Cell::new(0));
            let mut numbers = pin!(generator(async |mut y| {
                let refused = y.emit(1).await;
                for _ in 0..3 {
                    pause().await;
                    steps.set(steps.get() + 1);
                }
                refused
            }));
            assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
            let mut close = Box::pin(numbers.aclose());
            (0..cancel_at).for_each(|_| probe.pends(&mut close));
            drop(close);
            assert_eq!(steps.get(), cancel_at - 1);
            if goes_on_by_next {
                (cancel_at..3).for_each(|_| assert!(poll(&probe, &mut numbers).is_pending()));
            } else {
                let mut close = Box::pin(numbers.aclose());
                (cancel_at..3).for_each(|_| probe.pends(&mut close));
                probe.ready(&mut close);
            }
            assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
            assert_eq!(steps.get(), 3);
        }
    }
}

#[test]
fn aclose_in_the_middle_of_an_await_goes_on_to_the_next_emit() {
    let event = Event::new();
    let probe = Probe::new();
    let log = RefCell::new(vec![]);
    let mut numbers = pin!(generator(async |mut y| {
        event.wait().await;
        log.borrow_mut().push("waited");
        assert!(y.is_closing());
        let refused = y.emit(1).await;
        log.borrow_mut().push(if refused == Err(Closed) { "refused" } else { "taken" });
        refused
    }));
    assert!(poll(&probe, &mut numbers).is_pending());
    {
        let mut fut = Box::pin(numbers.aclose());
        probe.pends(&mut fut);
        event.set();
        assert_eq!(probe.wakes(), 1);
        probe.ready(&mut fut);
    }
    assert_eq!(*log.borrow(), ["waited", "refused"]);
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
}

#[test]
fn error_of_the_clean_up_is_the_one_item_after_aclose() {
    let probe = Probe::new();
    let mut numbers = pin!(try_generator(async |mut y| {
        y.emit(1).await.ok();
        pause().await;
        Err(Stop::Failed("clean-up"))
    }));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(Ok(1))));
    let mut fut = Box::pin(numbers.aclose());
    probe.pends(&mut fut);
    probe.ready(&mut fut);
    drop(fut);
    assert!(!numbers.is_terminated());
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(Err("clean-up"))));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
}

#[test]
fn question_mark_converts_errors() {
    #[derive(Debug, PartialEq)]
    struct Mine(String);
    impl From<core::num::ParseIntError> for Mine {
        fn from(error: core::num::ParseIntError) -> Self {
            Self(error.to_string())
        }
    }
    let mut numbers = Box::pin(try_generator(async |mut y| {
        for word in ["1", "x", "3"] {
            y.emit(word.parse::<u8>()?).await?;
        }
        Ok(())
    }));
    let all: Vec<Result<u8, Mine>> = block_on(numbers.by_ref().collect());
    assert_eq!(all, [Ok(1), Err(Mine("invalid digit found in string".into()))]);
    assert!(numbers.is_terminated());
}

/// A part of the body with a waker of its own is polled only if that is woken: the emitter does it.
#[test]
fn emit_within_a_set_of_futures_goes_on() {
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y| {
        let mut parts = FuturesUnordered::new();
        parts.push(async {
            for n in 0..3 {
                y.emit(n).await?;
            }
            Ok::<(), Closed>(())
        });
        while let Some(part) = parts.next().await {
            part?;
        }
        Ok(())
    }));
    for n in 0..3 {
        assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(n)));
    }
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
}

#[test]
fn aclose_reaches_an_emit_within_a_set_of_futures() {
    let (probe, told) = (Probe::new(), Cell::new(false));
    let mut numbers = pin!(generator(async |mut y| {
        let mut parts = FuturesUnordered::from_iter([async {
            let refused = y.emit(1).await;
            told.set(refused.is_err());
            refused
        }]);
        parts.next().await.unwrap()
    }));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
    probe.now(numbers.aclose());
    assert!(told.get());
}

#[test]
fn consumer_may_move_to_another_task_between_items() {
    let (a, b, event) = (Probe::new(), Probe::new(), Event::new());
    let mut numbers = pin!(generator(async |mut y| {
        y.emit(1).await?;
        event.wait().await;
        y.emit(2).await
    }));
    assert_eq!(poll(&a, &mut numbers), Poll::Ready(Some(1)));
    assert!(poll(&a, &mut numbers).is_pending());
    assert!(poll(&b, &mut numbers).is_pending());
    event.set();
    assert_eq!((a.wakes(), b.wakes()), (0, 1));
    assert_eq!(poll(&b, &mut numbers), Poll::Ready(Some(2)));
}

#[test]
fn panic_of_the_body_ends_it_and_drops_what_it_has() {
    let log = RefCell::new(vec![]);
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y| {
        let _says = Says("dropped", &log);
        y.emit(1).await?;
        panic!("at two");
    }));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
    assert_eq!(panics(|| poll(&probe, &mut numbers).is_ready()), "at two");
    assert_eq!(*log.borrow(), ["dropped"]);
    assert!(numbers.is_terminated());
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
    probe.now(numbers.aclose());
}

#[test]
fn item_on_its_way_survives_the_panic_of_the_body() {
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y: Emitter<'_, u8>| {
        let mut cx = Context::from_waker(probe.waker());
        let _ = pin!(y.emit(1)).poll(&mut cx);
        panic!("after it");
    }));
    assert_eq!(panics(|| poll(&probe, &mut numbers).is_ready()), "after it");
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
}

#[test]
fn panic_of_the_clean_up_ends_the_close() {
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y| {
        let _ = y.emit(1).await;
        panic!("clean-up");
    }));
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
    assert_eq!(panics(|| probe.now(numbers.aclose())), "clean-up");
    probe.now(numbers.aclose());
    assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
}

/// An emit that completed is polled once more: after it was taken, and after it was refused.
#[test]
fn emit_polled_after_completion_panics() {
    for closes in [false, true] {
        let (probe, text) = (Probe::new(), RefCell::new(String::new()));
        let mut numbers = pin!(generator(async |mut y| {
            let mut emit = pin!(y.emit(1));
            let output = emit.as_mut().await;
            assert!(emit.is_terminated());
            let mut cx = Context::from_waker(probe.waker());
            *text.borrow_mut() = panics(|| emit.as_mut().poll(&mut cx).is_ready());
            output
        }));
        assert_eq!(poll(&probe, &mut numbers), Poll::Ready(Some(1)));
        if closes {
            probe.now(numbers.aclose());
        } else {
            assert_eq!(poll(&probe, &mut numbers), Poll::Ready(None));
        }
        assert!(text.borrow().contains("polled after completion"), "{text:?}");
    }
}

#[test]
fn futures_polled_after_completion_panic() {
    let probe = Probe::new();
    let mut numbers = pin!(generator(async |mut y| y.emit(1).await));
    let mut fut = Box::pin(next(&mut numbers));
    assert_eq!(probe.ready(&mut fut), Some(1));
    assert!(fut.is_terminated());
    assert!(panics(|| probe.poll(&mut fut).is_ready()).contains("polled after completion"));
    drop(fut);
    let mut fut = Box::pin(numbers.aclose());
    probe.ready(&mut fut);
    assert!(fut.is_terminated());
    assert!(panics(|| probe.poll(&mut fut).is_ready()).contains("polled after completion"));
}

#[test]
fn nothing_is_allocated() {
    let probe = Probe::new();
    let (count, sum) = allocations(|| {
        let mut numbers = pin!(generator(async |mut y| {
            for n in 0..100_u64 {
                y.emit(n).await?;
            }
            Ok(())
        }));
        let mut sum = 0;
        while let Poll::Ready(Some(n)) = poll(&probe, &mut numbers) {
            sum += n;
            if n == 90 {
                probe.now(numbers.aclose());
            }
        }
        sum
    });
    assert_eq!((count, sum), (0, 90 * 91 / 2));
}

#[test]
fn boxed_generator_allocates_itself_and_its_body() {
    let probe = Probe::new();
    let (count, _) = allocations(|| {
        let mut numbers = generator_boxed(|mut y| {
            Box::pin(async move {
                for n in 0..100 {
                    y.emit(n).await?;
                }
                Ok(())
            })
        });
        while probe.now(next(&mut numbers)).is_some() {}
    });
    assert_eq!(count, 2);
}

/// Four words beside the body, which has the emitter, the item that waits, and its own state.
#[cfg(target_pointer_width = "64")]
#[test]
fn generator_is_small() {
    let numbers = generator(async |mut y| {
        y.emit(1_u64).await?;
        Ok(())
    });
    assert!(size_of_val(&numbers) <= 88, "{}", size_of_val(&numbers));
    assert_eq!((size_of::<Emitter<'static, u64>>(), size_of::<Emit<'static, u64>>()), (8, 24));
}

fn is_send<T: Send>(_: &T) {}

/// That it is not where the body or the items are not: the examples that do not compile, in src/flow/generator.rs.
#[test]
fn generator_is_send_if_its_body_is() {
    let numbers = generator(async |mut y| {
        pause().await;
        y.emit(String::new()).await
    });
    is_send(&numbers);
    let fails = try_generator::<Box<u8>, String, _>(async |mut y| y.emit(Box::new(1)).await);
    is_send(&fails);
}

/// The future around the generator, in which items borrow: rust-lang/rust#126350 stands in the way of the unboxed one.
#[test]
fn future_around_a_boxed_generator_of_borrowed_items_is_send() {
    fn words<'a>(text: &'a str) -> BoxGen<'a, &'a str> {
        generator_boxed(move |mut y| {
            Box::pin(async move {
                for word in text.split(' ') {
                    pause().await;
                    y.emit(word).await?;
                }
                Ok(())
            })
        })
    }
    let text = String::from("a b c");
    let task = async {
        let mut all = vec![];
        let mut words = words(&text);
        while let Some(word) = next(&mut words).await {
            all.push(word);
        }
        words.aclose().await;
        all
    };
    is_send(&task);
    let probe = Probe::new();
    let mut task = Box::pin(task);
    let all = loop {
        if let Poll::Ready(all) = probe.poll(&mut task) {
            break all;
        }
    };
    assert_eq!(all, ["a", "b", "c"]);
}

#[test]
fn unboxed_generator_of_plain_items_is_sent_to_a_thread_and_back() {
    let numbers = Box::pin(generator(async |mut y| {
        for n in 0..4 {
            pause().await;
            y.emit(vec![n]).await?;
        }
        Ok(())
    }));
    let turn = |mut numbers: Pin<Box<_>>| {
        let probe = Probe::new();
        let mut fut = Box::pin(next::<Pin<Box<_>>>(&mut numbers));
        probe.pends(&mut fut);
        let item = probe.ready(&mut fut);
        drop(fut);
        (numbers, item)
    };
    let (numbers, first) = std::thread::spawn(move || turn(numbers)).join().unwrap();
    let (_, second) = turn(numbers);
    assert_eq!((first, second), (Some(vec![0]), Some(vec![1])));
}
