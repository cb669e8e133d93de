//! Panics that are looked for: not printed, but for the place where they happened, which is kept.
// INVARIANTS  I1 the hook is installed once; on every thread that is not in `quietly` it does what the hook before did.
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
};
use core::{any::Any, cell::RefCell, mem, panic::AssertUnwindSafe};
use std::{
    panic::{PanicHookInfo, catch_unwind, set_hook, take_hook},
    sync::Once,
    thread,
};

std::thread_local! {
    /// Some while this thread is quiet: the place of the last panic.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn hook(info: &PanicHookInfo<'_>) -> bool {
    let keep = |place: &RefCell<Option<String>>| match (&mut *place.borrow_mut(), info.location()) {
        (Some(place), Some(at)) => {
            *place = at.to_string();
            true
        }
        (place, _) => place.is_some(),
    };
    PLACE.try_with(keep).unwrap_or(false)
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !hook(info) {
                before(info); // I1
            }
        }));
    });
}

/// Runs `f`; a panic becomes its text and, when it was not to be printed (`quiet`), its place.
pub(super) fn catch<R>(quiet: bool, f: impl FnOnce() -> R) -> Result<R, String> {
    let quiet = quiet && !thread::panicking();
    let was = if quiet {
        install();
        PLACE.replace(Some(String::new()))
    } else {
        PLACE.take()
    };
    let result = catch_unwind(AssertUnwindSafe(f));
    let place = PLACE.with(|place| mem::replace(&mut *place.borrow_mut(), was)).unwrap_or_default();
    result.map_err(|payload| match &*place {
        "" => text(payload),
        place => format!("{} (at {place})", text(payload)),
    })
}

fn text(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<&str>() {
        Ok(text) => text.to_string(),
        Err(payload) => payload.downcast::<String>().map_or_else(|_| "not a text".into(), |text| *text),
    }
}
