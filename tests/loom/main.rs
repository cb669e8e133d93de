//! Loom models: every pair of public operations, on two or three threads, in every interleaving.
//!
//! One file for each file of `src/`; a model that is there for an edge of a file header is named after it.
#![cfg(testudo_loom)]
#![allow(clippy::arc_with_non_send_sync, reason = "loom's threads are one thread, and its cells check every access")]

mod barrier;
mod children;
mod condition;
mod event;
mod group;
mod group_array;
mod list;
#[allow(dead_code, reason = "the model is made for more than these histories")]
#[path = "../prop/model/queue.rs"]
mod model;
mod mutex;
mod offload;
mod once;
mod queue;
mod ring;
mod rwlock;
mod semaphore;
mod shelter;
mod spawned;
mod support;
mod thread;
mod token;
