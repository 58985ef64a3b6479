//! The order log's bytes on disk: segments, each a file named by the first batch in it.
//!
//! order log -> **segments** -> recovery
//!
//! Holds: bytes that were appended survive the end of the process, and at level `host` that of the machine; a write that failed is
//! taken back whole; a failed sync is never tried again, since the system may have dropped what it could not write. Not here: what
//! the bytes say (`cartguard_history`).

use crate::{Advice, Trouble};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A new segment begins past this: old ones go whole once no snapshot needs them.
const SEGMENT_BYTES: u64 = 64 << 20;

/// What bound batches survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The end of the process: they are with the system.
    Process,
    /// The end of the machine: they are on the disk.
    Host,
}

/// Where an order log lies. A segment has the name of its first batch.
pub trait Segments: Send {
    /// First batches of all segments, in order.
    fn list(&self) -> Result<Vec<u64>, Trouble>;

    /// The name of a segment, for messages.
    fn name_of(&self, first: u64) -> String;

    /// The bytes of a segment.
    fn read(&self, first: u64) -> Result<Vec<u8>, Trouble>;

    /// Cuts a torn end off a segment, and appends to it from there on.
    fn continue_at(&mut self, first: u64, bytes: u64) -> Result<(), Trouble>;

    /// Appends records, the first of which is of `batch`, to the newest segment or a new one. With [`Advice::Retry`] nothing was
    /// appended, and there may be room later.
    fn append(&mut self, batch: u64, records: &[u8]) -> Result<(), Trouble>;

    /// Removes the segments whose batches are all before `batch`.
    fn remove_before(&self, batch: u64) -> Result<(), Trouble>;
}

/// Files of a folder.
#[derive(Debug)]
pub struct FolderSegments {
    folder: PathBuf,
    level: Level,
    current: Option<Current>,
    segment_bytes: u64,
}

#[derive(Debug)]
struct Current {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl FolderSegments {
    /// Makes the folder where it is absent. Only one process may append.
    pub fn open(folder: &Path, level: Level) -> Result<Self, Trouble> {
        fs::create_dir_all(folder)
            .map_err(|e| Trouble::at(folder, "the folder cannot be made").because(e))?;
        Ok(Self { folder: folder.to_path_buf(), level, current: None, segment_bytes: SEGMENT_BYTES })
    }

    /// The path of a segment.
    pub fn path_of(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{first:020}.log"))
    }

    fn begin(&self, batch: u64) -> Result<Current, Trouble> {
        let path = self.path_of(batch);
        let open = || {
            let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
            if self.level == Level::Host {
                File::open(&self.folder)?.sync_all()?;
            }
            Ok::<_, std::io::Error>(file)
        };
        let file = open().map_err(|why| {
            let advice = if why.kind() == ErrorKind::StorageFull { Advice::Retry } else { Advice::Stop };
            Trouble::at(&path, "cannot be begun").because(why).with_advice(advice)
        })?;
        Ok(Current { path, file, bytes: 0 })
    }
}

impl Segments for FolderSegments {
    fn list(&self) -> Result<Vec<u64>, Trouble> {
        let read = || {
            let mut list = Vec::new();
            for entry in fs::read_dir(&self.folder)? {
                let name = entry?.file_name();
                list.extend(name.to_str().and_then(batch_of));
            }
            list.sort_unstable();
            Ok::<_, std::io::Error>(list)
        };
        read().map_err(|e| Trouble::at(&self.folder, "the folder cannot be read").because(e))
    }

    fn name_of(&self, first: u64) -> String {
        self.path_of(first).display().to_string()
    }

    fn read(&self, first: u64) -> Result<Vec<u8>, Trouble> {
        let path = self.path_of(first);
        fs::read(&path).map_err(|e| Trouble::at(&path, "cannot be read").because(e))
    }

    fn continue_at(&mut self, first: u64, bytes: u64) -> Result<(), Trouble> {
        let path = self.path_of(first);
        let open = || {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            Ok::<_, std::io::Error>(file)
        };
        let file =
            open().map_err(|e| Trouble::at(&path, format!("cannot be cut to {bytes} bytes")).because(e))?;
        self.current = Some(Current { path, file, bytes });
        Ok(())
    }

    fn append(&mut self, batch: u64, records: &[u8]) -> Result<(), Trouble> {
        if self.current.as_ref().is_none_or(|current| current.bytes >= self.segment_bytes) {
            self.current = Some(self.begin(batch)?);
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        if let Err(why) = current.file.write_all(records) {
            // Part of it may be there.
            let back = current.file.set_len(current.bytes);
            let back = back.and_then(|()| current.file.seek(SeekFrom::Start(current.bytes)));
            back.map_err(|e| {
                Trouble::at(&current.path, "cannot be taken back to its last record").because(e)
            })?;
            let advice = match why.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Advice::Retry,
                _ => Advice::Stop,
            };
            let what =
                format!("{} bytes cannot be written behind the first {}", records.len(), current.bytes);
            return Err(Trouble::at(&current.path, what).because(why).with_advice(advice));
        }
        current.bytes += records.len() as u64;
        if self.level == Level::Host {
            let synced = current.file.sync_data();
            synced.map_err(|e| Trouble::at(&current.path, "cannot be synced").because(e))?;
        }
        Ok(())
    }

    fn remove_before(&self, batch: u64) -> Result<(), Trouble> {
        let list = self.list()?;
        for pair in list.windows(2) {
            if pair[1] <= batch {
                let path = self.path_of(pair[0]);
                fs::remove_file(&path).map_err(|e| Trouble::at(&path, "cannot be removed").because(e))?;
            }
        }
        Ok(())
    }
}

fn batch_of(name: &str) -> Option<u64> {
    name.strip_suffix(".log")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_told_by_their_first_batch_and_go_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut segments = FolderSegments::open(folder.path(), Level::Host).expect("an empty folder");
        segments.segment_bytes = 4;
        for (batch, text) in [(0, "ab"), (1, "cd"), (2, "ef"), (3, "gh"), (4, "ij")] {
            segments.append(batch, text.as_bytes()).expect("there is room");
        }
        assert_eq!(segments.list().expect("a folder"), [0, 2, 4]);
        assert_eq!(segments.read(2).expect("a segment"), b"efgh");
        segments.continue_at(4, 1).expect("a segment");
        segments.append(5, b"k").expect("there is room");
        assert_eq!(segments.read(4).expect("a segment"), b"ik");
        segments.remove_before(3).expect("a folder");
        assert_eq!(segments.list().expect("a folder"), [2, 4], "batch 3 is in the second");
    }
}
