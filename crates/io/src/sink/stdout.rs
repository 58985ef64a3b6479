//! Decisions as lines on standard output.
//!
//! engine -> **stdout** -> pipe
//!
//! Holds: decisions alone, in order, each batch handed over at once; a reader that closed the pipe is no
//! failure (`Advice::Done`). Not here: alerts and rejects, which would mix with the decisions.

use super::file::write_pieces;
use super::{Output, Sink};
use crate::{Advice, Trouble};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};

/// Writes to a pipe; see the module.
pub struct StdoutSink {
    name: String,
    /// As a file: the standard library's own handle writes line by line.
    pipe: File,
    bytes: u64,
}

impl StdoutSink {
    /// Standard output. Nothing else in the process may write to it.
    pub fn open() -> Result<Self, Trouble> {
        let fd = io::stdout().as_fd().try_clone_to_owned();
        Ok(Self::of("stdout", fd.map_err(|e| Trouble::stop("stdout: cannot be opened").because(e))?))
    }

    /// Any pipe, under a name.
    pub fn of(name: &str, fd: OwnedFd) -> Self {
        Self { name: name.to_owned(), pipe: fd.into(), bytes: 0 }
    }
}

impl Sink for StdoutSink {
    fn write(&mut self, batch: &Output<'_>) -> Result<(), Trouble> {
        let (written, cause) = match write_pieces(&mut self.pipe, batch.decisions) {
            Ok(written) => {
                self.bytes += written;
                return Ok(());
            }
            Err(error) => error,
        };
        self.bytes += written;
        let (name, bytes) = (&self.name, self.bytes);
        Err(match cause.kind() {
            ErrorKind::BrokenPipe => {
                Trouble::stop(format!("{name}: closed by its reader after {bytes} bytes"))
                    .with_advice(Advice::Done)
            }
            // The world's kinds are an open list.
            _ => Trouble::stop(format!("{name}: cannot be written after {bytes} bytes")),
        }
        .because(cause))
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(())
    }
}
