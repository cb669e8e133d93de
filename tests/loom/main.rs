//! Loom models: every pair of public operations, on two or three threads, in every interleaving.
//!
//! One file for each file of `src/`; a model that is there for an edge of a file header is named after it.
#![cfg(testudo_loom)]

mod condition;
mod event;
mod list;
mod mutex;
mod support;
mod thread;
