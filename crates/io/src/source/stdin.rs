//! JSON lines from standard input, or any other pipe.
//!
//! pipe -> **stdin** -> lines -> records
//!
//! Holds: a read takes what is there and does not wait to fill a batch; on silence it says `Idle` after a
//! moment, so that the thread that reads can be asked to stop.

use super::block::Blocks;
use super::lines::Lines;
use super::{Position, Read, Source};
use crate::Trouble;
use cartguard_engine::record::Records;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Reads a pipe; see the module.
pub struct StdinSource {
    names: [String; 1],
    lines: Lines,
}

impl StdinSource {
    /// Standard input. Nothing else in the process may read it.
    pub fn open() -> Result<Self, Trouble> {
        let fd = io::stdin().as_fd().try_clone_to_owned();
        Ok(Self::of("stdin", fd.map_err(|e| Trouble::stop("stdin: cannot be opened").because(e))?))
    }

    /// Any pipe, under a name.
    pub fn of(name: &str, fd: OwnedFd) -> Self {
        Self { names: [name.to_owned()], lines: Lines::new(Blocks::of_pipe(fd), 0) }
    }
}

impl Source for StdinSource {
    fn partitions(&self) -> &[String] {
        &self.names
    }

    fn read(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> Result<Read, Trouble> {
        self.lines.read(into, max_bytes, max_records).map_err(|cause| {
            let Position { line, offset, .. } = self.lines.position();
            let what = format!("{}: cannot be read on from line {line}, byte {offset}", self.names[0]);
            Trouble::stop(what).because(cause)
        })
    }

    fn position(&self) -> Position {
        self.lines.position()
    }
}
