//! A seeded simulator: everything that keeps one history, in one thread, around it a world that fails.
//!
//! ```text
//! stream (reshards, repeated puts, stale listings) -> ShardSource -> Processor (engine, order log, snapshots) -> Lane -> outlet
//!                                                        FolderStore, FolderSegments -> files                 (partial failures,
//!                                                        (torn writes, no room, failed syncs, power cuts)      lost answers)
//! ```
//!
//! Real: the engine, `cartguard_history`, `cartguard_recovery`, `cartguard_shards`, the folders of `cartguard_io`. Simulated: what lies under
//! their traits, the order of all steps, and the moments at which the process is killed: before, in the middle of, or behind any write to the
//! disk or the stream. At level `host` the machine may lose power whenever a process has ended, and with it what was not synced.
//! One seed is one story, the same every time: all chance comes from it, and the trace of steps has a hash.
//!
//! Held at the end of a story (`judge`): every record that was put has one decision or one reject; all copies under an id are equal, and
//! equal to those of a run over the same order log that nobody disturbed; the records of a key were decided in the order in which they were
//! put, whatever was split and merged between; every feature equals a naive sum over the decided order; from every snapshot that is kept the
//! same outputs follow. And beside the stories (`reshard`): the same records through a stream that is never resharded come to the same.
//!
//! Tests of the test: a [`Lie`] breaks one rule at one of the seams, and must be found out within some seeds (`tests/lies.rs`).
//!
//! Not here: what a service does to single calls (expired iterators, throttling, half-open sockets), which the fault proxy of
//! `crates/kinesis-tests` does to the real SDK; threads, which the crash rigs have.

mod disk;
mod files;
mod judge;
mod lie;
mod life;
mod outlet;
mod reshard;
mod shop;
mod story;
mod stream;
mod world;

pub use lie::Lie;
pub use reshard::{Resharded, reshard};
pub use story::{Failure, Story, tell};
