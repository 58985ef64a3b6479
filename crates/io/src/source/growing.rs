//! A plain file that grows: its whole lines as they come, and whether it still is what was taken of it.
//!
//! file -> **growing** -> block
//!
//! Holds: a line is given once its end is there (one that is longer than a read is given as it is there); what stands before the place that was
//! reached is never passed by unseen where it changed: a file that was cut, that is gone, or in whose place another stands which has other bytes
//! before that place is an error. A file that was written anew with the same bytes, and more behind them, goes on.
//! Not here: a change further before the place than [`TAIL`], and what to do about any (files).

use super::block::{Fill, retried};
use super::meter::Meter;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What is remembered of what was given, bytes: a few dozen labels, which no other file has.
const TAIL: usize = 4_096;

/// It is not what was taken of it any more.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Changed(String);

/// See the module.
pub(crate) struct Growing {
    path: PathBuf,
    file: File,
    meter: Meter,
    /// Bytes that were given, and the last of them.
    given: u64,
    tail: Vec<u8>,
}

impl Growing {
    pub(crate) fn new(path: &Path, file: File, meter: Meter) -> Self {
        Self { path: path.to_path_buf(), file, meter, given: 0, tail: Vec::new() }
    }

    /// Appends whole lines of about `want` bytes, for which there is room, to `into`.
    pub(crate) fn fill(&mut self, into: &mut Vec<u8>, want: usize) -> io::Result<Fill> {
        let before = into.len();
        loop {
            let got =
                retried(|| rustix::io::pread(&self.file, rustix::buffer::spare_capacity(into), self.given))?;
            let whole = memchr::memrchr(b'\n', &into[before..]).map(|end| end + 1);
            let whole = whole.unwrap_or(if got < want { 0 } else { got });
            into.truncate(before + whole);
            if whole == 0 {
                if self.is_another()? {
                    continue;
                }
                return Ok(Fill::Idle);
            }
            // It may have been cut and written anew since the last look.
            if !self.has_tail(&self.file)? {
                into.truncate(before);
                return Err(changed("has other lines than were taken of it".to_owned()));
            }
            self.give(&into[before..]);
            return Ok(Fill::Some);
        }
    }

    fn give(&mut self, bytes: &[u8]) {
        self.given += bytes.len() as u64;
        self.meter.advance(bytes.len() as u64);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }

    /// Whether another file stands in its place by now, which goes on where this one ended.
    fn is_another(&mut self) -> io::Result<bool> {
        let cut = |about: &Metadata| {
            let (length, given) = (about.len(), self.given);
            changed(format!("has {length} bytes, and {given} were taken of it: it was cut or written anew"))
        };
        let about = self.file.metadata()?;
        if about.len() < self.given {
            return Err(cut(&about));
        }
        let now = match self.path.metadata() {
            Err(why) if why.kind() == ErrorKind::NotFound => return Err(changed("is gone".to_owned())),
            now => now?,
        };
        if (now.dev(), now.ino()) == (about.dev(), about.ino()) {
            return Ok(false);
        }
        if now.len() < self.given {
            return Err(cut(&now));
        }
        let other = File::open(&self.path)?;
        if !self.has_tail(&other)? {
            return Err(changed("is another file now, with other lines than were taken".to_owned()));
        }
        self.file = other;
        Ok(true)
    }

    /// Whether a file has the last bytes that were given where they stood.
    fn has_tail(&self, file: &File) -> io::Result<bool> {
        let mut found = vec![0; self.tail.len()];
        let (mut read, from) = (0, self.given - self.tail.len() as u64);
        while read < found.len() {
            let got = retried(|| rustix::io::pread(file, &mut found[read..], from + read as u64))?;
            if got == 0 {
                return Ok(false);
            }
            read += got;
        }
        Ok(found == self.tail)
    }
}

fn changed(what: String) -> io::Error {
    io::Error::other(Changed(what))
}
