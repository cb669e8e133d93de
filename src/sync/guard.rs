//! What all guards have in common.

/// Guards print as their data does.
macro_rules! prints_as_data {
    ($guard:ident, $lock:ident) => {
        impl<T: ?Sized + core::fmt::Debug, H: Handle<Target = $lock<T>>> core::fmt::Debug for $guard<'_, T, H> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Debug::fmt(&**self, f)
            }
        }

        impl<T: ?Sized + core::fmt::Display, H: Handle<Target = $lock<T>>> core::fmt::Display for $guard<'_, T, H> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&**self, f)
            }
        }
    };
}
pub(super) use prints_as_data;
