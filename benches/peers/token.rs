//! Cancellation tokens.

use testudo::task::SharedToken;
use tokio_util::sync::CancellationToken;

use crate::harness::{Peer, Role};

/// A token that is owned and has children.
pub trait Token: Peer + Clone {
    /// Makes a root.
    fn new() -> Self;
    /// Makes a child.
    fn child(&self) -> Self;
    /// Cancels it and what is below it.
    fn cancel(&self);
    /// Asks.
    fn is_cancelled(&self) -> bool;
    /// Waits.
    fn cancelled(&self) -> impl Future<Output = ()>;
    /// Runs a future until it is ready or the token cancelled.
    fn run<F: Future>(&self, future: F) -> impl Future<Output = Option<F::Output>>;
}

impl Peer for SharedToken {
    const NAME: &'static str = "testudo SharedToken";
    const ROLE: Role = Role::Own;
}

impl Token for SharedToken {
    fn new() -> Self {
        Self::new()
    }

    fn child(&self) -> Self {
        self.child()
    }

    fn cancel(&self) {
        (**self).cancel();
    }

    fn is_cancelled(&self) -> bool {
        (**self).is_cancelled()
    }

    fn cancelled(&self) -> impl Future<Output = ()> {
        (**self).cancelled()
    }

    fn run<F: Future>(&self, future: F) -> impl Future<Output = Option<F::Output>> {
        let run = (**self).run(future);
        async { run.await.ok() }
    }
}

impl Peer for CancellationToken {
    const NAME: &'static str = "tokio-util CancellationToken";
}

impl Token for CancellationToken {
    fn new() -> Self {
        Self::new()
    }

    fn child(&self) -> Self {
        self.child_token()
    }

    fn cancel(&self) {
        self.cancel();
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled()
    }

    fn cancelled(&self) -> impl Future<Output = ()> {
        self.cancelled()
    }

    fn run<F: Future>(&self, future: F) -> impl Future<Output = Option<F::Output>> {
        self.run_until_cancelled(future)
    }
}
