//! Named places at which a crash rig has the process die, the way SIGKILL has it die: no destructor, no flush.
//!
//! `CARTGUARD_KILL_POINT=bound:37` kills it the 37th time that it comes past `bound`. It is part of the binary that ships, so that what is
//! proven is what runs; without the variable a place costs a load.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Variable of the environment.
const VARIABLE: &str = "CARTGUARD_KILL_POINT";

/// Every place, in the order in which a batch comes past them. `end_read` and `end_bound` are where a partition's end is known and not in the
/// history yet, and where it just is.
pub const PLACES: [&str; 11] = [
    "repeated",
    "processed",
    "end_read",
    "end_bound",
    "bound",
    "released",
    "cut",
    "pack_stored",
    "delivered",
    "manifest_stored",
    "old_removed",
];

struct Armed {
    place: &'static str,
    left: AtomicU64,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

/// Dies here, if it is the time for it.
///
/// # Panics
/// If the variable names no place or no number: a rig that kills nothing proves nothing.
#[inline]
pub fn pass(place: &'static str) {
    debug_assert!(PLACES.contains(&place), "{place} is not listed");
    if let Some(armed) = ARMED.get_or_init(armed)
        && armed.place == place
        && armed.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        let _ = kill(Pid::this(), Signal::SIGKILL);
    }
}

fn armed() -> Option<Armed> {
    let text = std::env::var(VARIABLE).ok()?;
    let armed = text.split_once(':').and_then(|(place, times)| {
        let place = PLACES.into_iter().find(|known| *known == place)?;
        Some(Armed { place, left: AtomicU64::new(times.parse().ok()?) })
    });
    Some(armed.unwrap_or_else(|| panic!("{VARIABLE}={text}: PLACE:TIMES, a place of {}", PLACES.join(", "))))
}
