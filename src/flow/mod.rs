//! Flows: values that come one after the other, and resources with an end that must be awaited.
//!
//! | what | for |
//! |---|---|
