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
