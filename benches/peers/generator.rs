//! Generators: streams of numbers, written as code that yields.

use std::pin::Pin;
use std::task::{Context, Poll};

use async_fn_stream::fn_stream;
use async_stream::stream;
use futures_util::Stream;
use futures_util::stream::{iter, unfold};
use testudo::flow::{BoxGen, generator, generator_boxed};

use crate::harness::{Peer, Role};

/// Is pending once, and not woken: the consumer polls again by itself.
pub struct Pause(bool);

impl Pause {
    /// One that has not been polled.
    pub fn new() -> Self {
        Self(false)
    }
}

impl Default for Pause {
    fn default() -> Self {
        Self::new()
    }
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The streams of the rows.
pub trait Generator: Peer {
    /// `0..n`, nothing awaited in between.
    fn numbers(n: u64) -> impl Stream<Item = u64>;
    /// The same, with a [`Pause`] before each one.
    fn pauses(n: u64) -> impl Stream<Item = u64>;
    /// The same without pauses, items of 256 bytes.
    fn wide(n: u64) -> impl Stream<Item = [u64; 32]>;
}

macro_rules! generators {
    ($($(#[$doc:meta])* $adapter:ident, $name:literal, $role:expr, |$n:ident| $numbers:expr, $pauses:expr, $wide:expr;)+) => {$(
        $(#[$doc])*
        pub struct $adapter;

        impl Peer for $adapter {
            const NAME: &'static str = $name;
            const ROLE: Role = $role;
        }

        impl Generator for $adapter {
            fn numbers($n: u64) -> impl Stream<Item = u64> {
                $numbers
            }
            fn pauses($n: u64) -> impl Stream<Item = u64> {
                $pauses
            }
            fn wide($n: u64) -> impl Stream<Item = [u64; 32]> {
                $wide
            }
        }
    )+};
}

generators! {
    /// This crate's generator.
    Testudo, "testudo generator", Role::Own, |n|
        generator(async move |mut y| {
            for item in 0..n {
                y.emit(item).await?;
            }
            Ok(())
        }),
        generator(async move |mut y| {
            for item in 0..n {
                Pause::new().await;
                y.emit(item).await?;
            }
            Ok(())
        }),
        generator(async move |mut y| {
            for item in 0..n {
                y.emit([item; 32]).await?;
            }
            Ok(())
        });
    /// async-stream: a macro and a thread-local.
    AsyncStream, "async-stream stream!", Role::Peer, |n|
        stream! {
            for item in 0..n {
                yield item;
            }
        },
        stream! {
            for item in 0..n {
                Pause::new().await;
                yield item;
            }
        },
        stream! {
            for item in 0..n {
                yield [item; 32];
            }
        };
    /// async-fn-stream: a reference-counted slot.
    AsyncFnStream, "async-fn-stream fn_stream", Role::Peer, |n|
        fn_stream(|emitter| async move {
            for item in 0..n {
                emitter.emit(item).await;
            }
        }),
        fn_stream(|emitter| async move {
            for item in 0..n {
                Pause::new().await;
                emitter.emit(item).await;
            }
        }),
        fn_stream(|emitter| async move {
            for item in 0..n {
                emitter.emit([item; 32]).await;
            }
        });
    /// asynk-strim: through the waker.
    AsynkStrim, "asynk-strim stream_fn", Role::Peer, |n|
        asynk_strim::stream_fn(async move |mut y| {
            for item in 0..n {
                y.yield_item(item).await;
            }
        }),
        asynk_strim::stream_fn(async move |mut y| {
            for item in 0..n {
                Pause::new().await;
                y.yield_item(item).await;
            }
        }),
        asynk_strim::stream_fn(async move |mut y| {
            for item in 0..n {
                y.yield_item([item; 32]).await;
            }
        });
    /// genawaiter: an Rc.
    Genawaiter, "genawaiter rc", Role::Peer, |n|
        genawaiter::rc::Gen::new(|co| async move {
            for item in 0..n {
                co.yield_(item).await;
            }
        }),
        genawaiter_pauses(n),
        genawaiter::rc::Gen::new(|co| async move {
            for item in 0..n {
                co.yield_([item; 32]).await;
            }
        });
    /// futures: a state and a future for each item.
    Unfold, "futures unfold", Role::Peer, |n|
        unfold(0, move |item| async move { (item < n).then_some((item, item + 1)) }),
        unfold(0, move |item| async move {
            Pause::new().await;
            (item < n).then_some((item, item + 1))
        }),
        unfold(0, move |item| async move { (item < n).then_some(([item; 32], item + 1)) });
    /// This crate's generator on the heap.
    Boxed, "testudo generator_boxed", Role::Floor, |n|
        boxed(n),
        generator_boxed(move |mut y| Box::pin(async move {
            for item in 0..n {
                Pause::new().await;
                y.emit(item).await?;
            }
            Ok(())
        })),
        generator_boxed(move |mut y| Box::pin(async move {
            for item in 0..n {
                y.emit([item; 32]).await?;
            }
            Ok(())
        }));
    /// A plain iterator, as a stream; it has nothing to await.
    Iterator, "iterator (stream::iter)", Role::Floor, |n|
        iter(0..n),
        iter(0..n),
        iter((0..n).map(|item| [item; 32]));
}

fn boxed(n: u64) -> BoxGen<'static, u64> {
    generator_boxed(move |mut y| {
        Box::pin(async move {
            for item in 0..n {
                y.emit(item).await?;
            }
            Ok(())
        })
    })
}

fn genawaiter_pauses(n: u64) -> impl Stream<Item = u64> {
    genawaiter::rc::Gen::new(move |co| async move {
        for item in 0..n {
            Pause::new().await;
            co.yield_(item).await;
        }
    })
}
