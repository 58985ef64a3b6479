//! SIGTERM and SIGINT: the first asks to finish what was taken and end, the second ends at once.

use crate::exit::Exit;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Code of a process that a second signal ended, as a shell has it for SIGTERM.
const ENDED_AT_ONCE: i32 = 143;

/// What signals have asked for.
pub(crate) struct Stop {
    /// Set by the first.
    pub(crate) flag: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

/// Begins to listen.
pub(crate) fn listen() -> anyhow::Result<Stop> {
    let stop = Stop { flag: Arc::default(), signal: Arc::default() };
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag unset and only sets it, and whoever sees it set knows which came.
        flag::register_conditional_shutdown(signal, ENDED_AT_ONCE, Arc::clone(&stop.flag))?;
        flag::register_usize(signal, Arc::clone(&stop.signal), signal as usize)?;
        flag::register(signal, Arc::clone(&stop.flag))?;
    }
    Ok(stop)
}

impl Stop {
    /// The signal that came, and the code of a command that it kept from its end; as a shell counts, 128 and the signal.
    pub(crate) fn signal(&self) -> Option<(&'static str, Exit)> {
        match self.signal.load(Ordering::SeqCst) as i32 {
            SIGINT => Some(("SIGINT", Exit::Interrupted)),
            SIGTERM => Some(("SIGTERM", Exit::Terminated)),
            _ => None,
        }
    }
}
