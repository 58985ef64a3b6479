//! Decisions as lines on standard output, rejects on standard error.
//!
//! engine -> **stdout** -> pipes
//!
//! Holds: each list alone on its pipe, in order, each batch handed over at once; a reader that closed the pipe
//! of decisions is no failure (`Advice::Done`). Not here: alerts, whose every member but the amount and the
//! keys stands in their decisions.

use super::file::write_pieces;
use super::{Output, Sink};
use crate::{Advice, Trouble};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};

/// Writes to pipes; see the module.
pub struct StdoutSink {
    decisions: Pipe,
    rejects: Pipe,
}

struct Pipe {
    name: &'static str,
    /// As a file: the standard library's own handle writes line by line.
    file: File,
    bytes: u64,
}

impl StdoutSink {
    /// Standard output and standard error. Nothing else in the process may write to standard output.
    pub fn open() -> Result<Self, Trouble> {
        let unopened = |e| Trouble::stop("stdout: cannot be opened").because(e);
        let decisions = io::stdout().as_fd().try_clone_to_owned().map_err(unopened)?;
        let unopened = |e| Trouble::stop("stderr: cannot be opened").because(e);
        let rejects = io::stderr().as_fd().try_clone_to_owned().map_err(unopened)?;
        Ok(Self::of(decisions, rejects))
    }

    /// Any pipes in their place.
    pub fn of(decisions: OwnedFd, rejects: OwnedFd) -> Self {
        Self {
            decisions: Pipe { name: "stdout", file: decisions.into(), bytes: 0 },
            rejects: Pipe { name: "stderr", file: rejects.into(), bytes: 0 },
        }
    }
}

impl Sink for StdoutSink {
    fn write(&mut self, batch: &Output<'_>) -> Result<(), Trouble> {
        // Rejects first: where the reader of decisions went away, they are told all the same.
        self.rejects.write(batch.rejects, Advice::Stop)?;
        self.decisions.write(batch.decisions, Advice::Done)
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(())
    }
}

impl Pipe {
    fn write(&mut self, pieces: &[&[u8]], closed: Advice) -> Result<(), Trouble> {
        let (written, cause) = match write_pieces(&mut self.file, pieces) {
            Ok(written) => {
                self.bytes += written;
                return Ok(());
            }
            Err(error) => error,
        };
        self.bytes += written;
        let (name, bytes) = (self.name, self.bytes);
        Err(match cause.kind() {
            ErrorKind::BrokenPipe => {
                Trouble::stop(format!("{name}: closed by its reader after {bytes} bytes")).with_advice(closed)
            }
            // The world's kinds are an open list.
            _ => Trouble::stop(format!("{name}: cannot be written after {bytes} bytes")),
        }
        .because(cause))
    }
}
