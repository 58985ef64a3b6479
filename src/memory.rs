//! How the system gives this process its memory.
//!
//! Not here: how much of it there may be (`config`, and the engine's own budgets).

/// From here on memory comes in small pages, to every thread; what was touched before stays as it is.
///
/// The allocator asks for huge ones, and the first touch of each has the kernel clear 2 MiB in one fault: 8 to 12 ms on a virtual machine,
/// on whichever thread needs the next buffer (`benches/runs/2026-11-28-end-to-end.md`). Large states are some 4 % faster in huge ones, so whoever
/// waits for no single event keeps them.
pub(crate) fn small_pages() {
    // A system that does not know of it has no huge pages to give.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
}
