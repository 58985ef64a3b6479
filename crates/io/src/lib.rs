//! The world's edge: records in from files and pipes, finished lines out to files and pipes.
//!
//! **sources** -> engine -> **sinks**, and **rows** of numbers for the model commands
//!
//! Blocking and without threads of its own: the service runs each source and each sink on a thread.
//!
//! Holds: a source yields every record exactly once and in order, with its place, whatever the limits of a
//! read; memory is bounded by the limits of a read and the longest record, whatever the input; a message of
//! trouble names the thing. Not here: what a record means (the engine), outside systems (crates of their
//! own, behind features), the synthetic source (loadgen).

pub mod contract;
pub mod dedupe;
pub mod disk;
mod guard;
mod json;
mod lock;
pub mod member;
pub mod rows;
mod segments;
pub mod sink;
pub mod source;
mod store;
mod trouble;
mod watch;

pub use guard::panic_is_caught;
pub use lock::{Lock, identity};
pub use rows::RowReader;
pub use segments::{FolderSegments, Level, Segments};
pub use sink::file::{FileSink, FileSinkOptions};
pub use sink::null::NullSink;
pub use sink::rejects::RejectsFile;
pub use sink::{Delivered, Left, Output, Sink};
pub use source::files::FileSource;
pub use source::{Labelled, Mapped, MappedPath, Meter, Position, Read, Replayable, Source};
pub use store::{FolderStore, Store};
pub use trouble::{Advice, Trouble};
pub use watch::{PartitionFigures, StreamFigures, WatchPartitions, WatchStreams};
