//! One history: what was taken, in which order, and how far it was delivered, as pure state machines.
//!
//! sources -> **partitions** -> **order log** -> **manifest** -> recovery
//!
//! Nothing here reads a clock, a socket or a file: bytes go in and come out, so that the simulator can put every fault
//! between them that the world has. `cartguard_io` keeps the bytes on disk; the service joins the two.
//!
//! The words: a *place* is how far a partition was taken, in its upstream's own words · a *run* is the records of one
//! partition that were taken one after the other · a *change* is what happened to partitions themselves (a shard opened, ended,
//! lost records to retention) · a *bound* batch is one whose record in the order log was written, so that its outputs may leave.

pub mod lineage;
mod manifest;
mod order_log;
mod partitions;
mod place;

pub use manifest::{Manifest, ManifestFault, Pack, Retention};
pub use order_log::{Bound, LOG_FORMAT, LogFault, OutputHash, Tip, begins_with};
pub use partitions::{Beyond, Change, Fault, Opened, PartitionState, Partitions, Run, Start};
pub use place::{NoPlace, Place, SequenceNumber};
