//! Calls into libraries that panic on corrupt input: the panic becomes an error.
//!
//! parquet -> **guard**
//!
//! The parquet crate asserts on lengths that a corrupt page gives wrongly (tests/parquet.rs flips every byte
//! of a file and finds such). What it was called on is not used again.
//!
//! Holds: a thread says so while it is within such a call. Not here: the process's panic hook, which asks.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread at this moment is caught and becomes trouble with the input. A panic hook
/// that ends the process, or prints, should do neither then.
pub fn panic_is_caught() -> bool {
    WITHIN.get()
}

/// A panic of a library.
#[derive(Debug, thiserror::Error)]
#[error("its contents contradict each other ({0})")]
pub(crate) struct Panicked(String);

/// Makes the call; a panic is an error.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    WITHIN.set(true);
    // What the call was on is dropped by the caller, so nothing half-changed is seen.
    let result = catch_unwind(AssertUnwindSafe(call));
    WITHIN.set(false);
    result.map_err(|payload| Panicked(message(&*payload)))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_thread_says_when() {
        assert_eq!(guarded(|| (panic_is_caught(), 7)).unwrap(), (true, 7));
        let error = guarded(|| assert!(!panic_is_caught(), "no {}", "end")).unwrap_err();
        assert_eq!(error.to_string(), "its contents contradict each other (no end)");
        assert!(!panic_is_caught());
    }
}
