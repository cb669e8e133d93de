//! What a simulation tells probes, and its own await graph.
use alloc::borrow::Cow;
#[cfg(feature = "std")]
use alloc::rc::Rc;
#[cfg(feature = "std")]
use core::cell::RefCell;
use core::panic::Location;
#[cfg(feature = "std")]
use core::time::Duration;

use super::table::Key;
use crate::probe;
#[cfg(feature = "std")]
use crate::run::graph::{Graph, Here, Live};

#[derive(Debug, Default)]
pub(super) struct Probed {
    #[cfg(feature = "std")]
    live: Rc<RefCell<Live>>,
}

impl Probed {
    /// A task was made, if it was not refused.
    pub(super) fn spawned(&self, key: Key, label: impl FnOnce() -> (Cow<'static, str>, &'static Location<'static>)) {
        let Some(task) = key.task else { return };
        let (name, location) = label();
        #[cfg(feature = "std")]
        self.live.borrow_mut().spawned(task, &name, location);
        if probe::is_on() {
            probe::spawned(task, Some(&name), location);
        }
    }

    /// The graph is kept up to date until it is dropped.
    #[cfg(feature = "std")]
    pub(super) fn enter(&self, now: Duration) -> Here {
        self.live.borrow_mut().set_now(now);
        Here::enter(&self.live)
    }

    #[cfg(feature = "std")]
    pub(super) fn graph(&self, now: Duration) -> Graph {
        let mut live = self.live.borrow_mut();
        live.set_now(now);
        Graph::of(&live, &probe::given())
    }
}
