//! The names that were given to primitives so far.
use alloc::{borrow::ToOwned, collections::BTreeMap, string::String};
use std::sync::{Mutex, PoisonError};

static GIVEN: Mutex<Names> = Mutex::new(Names(BTreeMap::new()));

/// Keeps a name for reports that are made later.
pub(super) fn give(start: usize, len: usize, name: &str) {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).add(start, len, name);
}

/// Those that were given so far.
pub(crate) fn given() -> Names {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The names of primitives, by their addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<usize, (usize, String)>);

impl Names {
    pub(crate) fn add(&mut self, start: usize, len: usize, name: &str) {
        self.0.insert(start, (start.saturating_add(len), name.to_owned()));
    }

    /// Where the primitive begins, if it has a name, and that.
    pub(crate) fn find(&self, address: usize) -> Option<(usize, &str)> {
        let (&start, (end, name)) = self.0.range(..=address).next_back()?;
        (address < *end).then_some((start, name))
    }

    /// One address for each primitive.
    pub(crate) fn canonical(&self, address: usize) -> usize {
        self.find(address).map_or(address, |(start, _)| start)
    }
}
