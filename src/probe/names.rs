//! The names that were given to primitives so far.
use alloc::{borrow::ToOwned, collections::BTreeMap, string::String};
use std::sync::{Mutex, PoisonError};

use super::{Resource, Span};

static GIVEN: Mutex<Names> = Mutex::new(Names(BTreeMap::new()));

/// Keeps a name for reports that are made later.
pub(super) fn give(span: Span, name: &str) {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).add(span, name);
}

/// Those that were given so far.
pub(crate) fn given() -> Names {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The names of primitives, by their addresses. Another kind of primitive that comes to lie there later does not have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<usize, (Span, String)>);

impl Names {
    pub(crate) fn add(&mut self, span: Span, name: &str) {
        self.0.insert(span.start, (span, name.to_owned()));
    }

    /// Where the primitive begins, if it has a name, and that.
    pub(crate) fn find(&self, on: Resource) -> Option<(usize, &str)> {
        let (&start, (span, name)) = self.0.range(..=on.address()).next_back()?;
        (on.address() - start < span.len && on.kind() == span.kind).then_some((start, name))
    }

    /// One address for each primitive.
    pub(crate) fn canonical(&self, on: Resource) -> usize {
        self.find(on).map_or(on.address(), |(start, _)| start)
    }
}
