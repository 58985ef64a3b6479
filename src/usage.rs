//! What the process has used: CPU time and memory, as the system counts them.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Of the whole process since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time, s.
    pub(crate) cpu_seconds: f64,
    /// Largest resident set, bytes.
    pub(crate) peak_memory_bytes: u64,
}

impl Usage {
    /// As of now; zeros where the system does not tell.
    pub(crate) fn now() -> Self {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
            return Self::default();
        };
        let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        // Linux counts in KiB, macOS in bytes.
        let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
        Self { cpu_seconds: microseconds as f64 / 1e6, peak_memory_bytes: usage.max_rss() as u64 * unit }
    }
}

/// For how long this thread has had a processor; zero where the system does not tell.
pub(crate) fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
