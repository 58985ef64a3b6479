//! One history: every batch is bound before its outputs leave, and a process that was killed goes on as if it had not been.
//!
//! storage -> `open` -> **recovery** -> `processor` -> pipeline; engine -> `history` -> order log; engine -> `snapshots`, `writer` -> store
//!
//! A storage is a store of snapshots (manifests and packs) and the segments of an order log; on disk it is a data folder with
//! `order/` and `snapshots/`, which one process at a time uses.
//!
//! Holds: no output leaves before the record of its batch is in the order log; a recovery that comes to other bytes than were bound
//! says so and sends nothing; a manifest is stored only where everything before it was delivered. Not here: how the bytes are laid out
//! (`cartguard_history`), how they get to disk (`cartguard_io`), threads of a pipeline (the service). Nothing but the pauses of a full
//! disk and the time between two snapshots reads a clock, so that `crates/sim` can put a faulty world around all of it.

mod catalog;
mod history;
pub mod kill_point;
mod open;
mod processor;
mod retell;
mod retention;
mod seed;
mod snapshots;
mod storage;
mod versions;
mod writer;

pub use catalog::{Catalog, Removed, head_of};
pub use history::{History, Look, SnapshotLook};
pub use open::{Found, Opening, Which};
pub use processor::{Begun, Processor};
pub use retell::Retelling;
pub use retention::Kept;
pub use seed::Seed;
pub use storage::Storage;
pub use versions::{MODEL, Models, Versions};

use std::time::Duration;

/// How a history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Time between two snapshots.
    pub every: Duration,
    /// Records between two snapshots; none: by time alone.
    pub every_records: Option<u64>,
    /// Snapshots that are kept.
    pub keep: usize,
    /// Who stores snapshots, and restores them.
    pub by: By,
    /// Pause before a write to the order log is tried again that found no room.
    pub no_room_pause: Duration,
}

/// Who does what the engine's thread need not wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Threads of their own.
    Threads,
    /// The engine's thread, a piece between two batches: where the order of all steps has to be the same every time.
    Caller,
}

impl Settings {
    /// Arbitrary: soon after there is room again.
    pub const NO_ROOM_PAUSE: Duration = Duration::from_millis(200);
}
