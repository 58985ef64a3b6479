//! Rejects alone, behind what a file has: for sinks whose streams take no rejects.
//!
//! Holds: what the file has stays; a batch that failed is taken back, so a repeated write doubles nothing.
//! Not here: decisions and alerts, which are not looked at.

use super::file::{Lane, bytes};
use super::{Output, Sink};
use crate::Trouble;
use std::path::Path;

/// Writes behind a file; see the module.
pub struct RejectsFile(Lane);

impl RejectsFile {
    /// Opens the file, and makes it where it is absent; its folder has to be there.
    pub fn open(path: &Path) -> Result<Self, Trouble> {
        Lane::open_behind(path.to_path_buf()).map(Self)
    }
}

impl Sink for RejectsFile {
    fn write(&mut self, batch: &Output<'_>) -> Result<(), Trouble> {
        if let Err(trouble) = self.0.append(batch.rejects) {
            self.0.take_back()?;
            return Err(trouble);
        }
        self.0.bytes += bytes(batch.rejects);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        self.0.cut()?;
        self.0.sync()
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
        fs::write(&path, "before\n").expect("written");
        let mut sink = RejectsFile::open(&path).expect("it opens");
        contract::check_sink(&mut sink, || {
            let text = fs::read(&path).expect("read");
            [None, None, Some(text.strip_prefix(b"before\n").expect("it stays").to_vec())]
        });
    }
}
