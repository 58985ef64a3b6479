//! Rejects alone, behind what a file has: for sinks whose streams take no rejects.
//!
//! Holds: what the file has stays; a batch that failed is taken back, so a repeated write doubles nothing; a sync that failed is not tried again.
//! Not here: decisions and alerts, which are not looked at.

use super::file::{Lane, bytes};
use super::{Output, Sink};
use crate::disk::{Disk as _, LocalDisk};
use crate::{Level, Trouble};
use std::path::Path;

/// Writes behind a file; see the module.
pub struct RejectsFile {
    lane: Lane,
    /// Each batch is on the disk before it counts as delivered. Rejects are few.
    is_synced: bool,
    /// A sync failed: nobody knows what the disk has, and a second one would say that all is well.
    has_failed: bool,
}

impl RejectsFile {
    /// Opens the file, and makes it where it is absent; its folder has to be there.
    pub fn open(path: &Path, level: Level) -> Result<Self, Trouble> {
        let lane = Lane::open_behind(path.to_path_buf())?;
        let is_synced = level == Level::Host;
        if is_synced {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let synced = LocalDisk.sync_folder(folder.unwrap_or(Path::new(".")));
            synced.map_err(|e| Trouble::at(path, "its folder cannot be synced").because(e))?;
        }
        Ok(Self { lane, is_synced, has_failed: false })
    }
}

impl Sink for RejectsFile {
    fn write(&mut self, batch: &Output<'_>) -> Result<(), Trouble> {
        if self.has_failed {
            return Err(Trouble::stop("rejects could not be synced before: nothing more is written"));
        }
        if let Err(trouble) = self.lane.append(batch.rejects) {
            self.lane.take_back()?;
            return Err(trouble);
        }
        let bytes = bytes(batch.rejects);
        self.lane.bytes += bytes;
        if self.is_synced && bytes > 0 {
            let synced = self.lane.sync();
            self.has_failed = synced.is_err();
            return synced;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        self.lane.cut()?;
        self.lane.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;
    use std::fs;

    #[test]
    fn what_the_file_has_stays_and_the_contract_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rejects.jsonl");
        for level in [Level::Process, Level::Host] {
            fs::write(&path, "before\n").expect("written");
            let mut sink = RejectsFile::open(&path, level).expect("it opens");
            contract::check_sink(&mut sink, || {
                let text = fs::read(&path).expect("read");
                [None, None, Some(text.strip_prefix(b"before\n").expect("it stays").to_vec())]
            });
        }
    }
}
