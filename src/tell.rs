//! How the rest of the crate tells probes something: one line, which is nothing without the feature `profile`.

/// `tell!(blocked(list, verb, node))`: calls that function of `probe` if a probe is installed.
macro_rules! tell {
    ($what:ident($($arg:expr),* $(,)?)) => {{
        #[cfg(feature = "profile")]
        if $crate::probe::is_on() {
            $crate::probe::$what($($arg),*);
        }
    }};
}

#[cfg(all(feature = "profile", feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) use crate::probe::{Tag, Told, told};
#[cfg(not(all(feature = "profile", feature = "alloc", target_has_atomic = "ptr")))]
pub(crate) use untold::Tag;
#[cfg(all(feature = "alloc", not(all(feature = "profile", target_has_atomic = "ptr"))))]
pub(crate) use untold::{Told, told};

/// Without the feature, or the memory for it, a future is told by leaving it as it is.
#[cfg(not(all(feature = "profile", feature = "alloc", target_has_atomic = "ptr")))]
mod untold {
    #[cfg(feature = "alloc")]
    pub(crate) type Told<F> = F;

    #[derive(Clone, Debug)]
    pub(crate) struct Tag;

    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(crate) fn told<F>(fut: F, _name: &str, _verb: &str) -> (F, Tag) {
        (fut, Tag)
    }

    impl Tag {
        pub(crate) const fn none() -> Self {
            Self
        }

        #[cfg(feature = "alloc")]
        #[inline(always)]
        pub(crate) fn holds<T>(&self, _at: &T) {}

        #[inline(always)]
        pub(crate) fn awaited(&self) {}

        #[inline(always)]
        pub(crate) fn joined(&self) {}

        #[inline(always)]
        pub(crate) fn left(&self) {}
    }
}
