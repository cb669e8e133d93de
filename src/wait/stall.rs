//! x
pub(crate) fn here() {}
