//! Flows: values that come one after the other, and resources with an end that must be awaited.
//!
//! | what | for | needs |
//! |---|---|---|
//! | [`generator`] | a stream written as an async closure, with an end that may await | |
//! | [`try_generator`] | the same for results; errors end it by `?` | |
#![cfg_attr(
    feature = "alloc",
    doc = "| [`generator_boxed`] | the same with a name, movable, `Send` also where items borrow | alloc |"
)]
//! | [`next`] | the next item of any stream | |
#![cfg_attr(
    feature = "alloc",
    doc = "| [`chunks`], [`chunks_timeout`] | so many items at a time; nothing lost on cancel | alloc |"
)]
#![cfg_attr(
    all(feature = "alloc", target_has_atomic = "ptr"),
    doc = "| [`buffered`], [`buffer_unordered`] | the futures of a stream, `n` at a time, driven by a group | alloc |"
)]
//! | [`Guard`] | a resource that is released by a future: `async with` | |
#![cfg_attr(feature = "alloc", doc = "| [`ExitStack`] | any number of releases, in reverse order | alloc |")]

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod buffered;
#[cfg(feature = "alloc")]
mod chunks;
#[cfg(feature = "alloc")]
mod exit_stack;
mod generator;
mod guard;

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use self::buffered::{BufferUnordered, Buffered, buffer_unordered, buffered};
#[cfg(feature = "alloc")]
pub use self::chunks::{Chunks, ChunksTimeout, chunks, chunks_timeout};

#[cfg(feature = "alloc")]
pub use self::exit_stack::ExitStack;
pub use self::generator::{
    Aclose, AsyncGen, Closed, Emit, Emitter, Next, Stop, TryEmitter, generator, next, try_generator,
};
#[cfg(feature = "alloc")]
pub use self::generator::{BoxBody, BoxEmitter, BoxGen, generator_boxed};
pub use self::guard::{ArrayGuard, Close, Exit, Guard};
