//! The folder that a run writes into: refused before anything in it changes, and told at the end what the run came to.
//!
//! arguments -> **output** -> sink -> **output** -> `summary.json`
//!
//! Holds: a folder that is not empty is refused unless forced; one in which an input lies under the name of an output is
//! refused always, since writing would destroy it while it is read.
//! Not here: lines (`cartguard_io::FileSink`).

use crate::exit::Refusal;
use anyhow::{Context, bail};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Everything that a run writes.
const NAMES: [&str; 5] = ["decisions.jsonl", "alerts.jsonl", "rejects.jsonl", FEATURES, SUMMARY];
const FEATURES: &str = "features.json";
const SUMMARY: &str = "summary.json";

/// A folder that is ready to be written into.
pub(crate) struct Output {
    folder: PathBuf,
}

impl Output {
    /// Makes the folder where it is absent; `inputs` are the files that will be read.
    pub(crate) fn open(folder: &Path, force: bool, inputs: &[PathBuf]) -> anyhow::Result<Self> {
        let name = folder.display();
        fs::create_dir_all(folder).with_context(|| format!("{name}: the folder cannot be made"))?;
        let mut entries =
            fs::read_dir(folder).with_context(|| format!("{name}: the folder cannot be read"))?;
        if !force && entries.next().is_some() {
            bail!(Refusal(format!("{name}: the folder is not empty; --force overwrites what is in it")));
        }
        spare(inputs, folder)?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    /// Writes the names of the features, where decisions carry values alone.
    pub(crate) fn write_features(&self, json: &[u8]) -> anyhow::Result<()> {
        self.write(FEATURES, json)
    }

    /// Writes what the run came to.
    pub(crate) fn write_summary(&self, json: &str) -> anyhow::Result<()> {
        self.write(SUMMARY, json.as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("{}: cannot be written", path.display()))
    }
}

/// Refuses inputs that are outputs too, by whatever name or link.
fn spare(inputs: &[PathBuf], folder: &Path) -> Result<(), Refusal> {
    for name in NAMES {
        let output = folder.join(name);
        let Some(overwritten) = identity(&output) else { continue };
        if let Some(input) = inputs.iter().find(|input| identity(input) == Some(overwritten)) {
            return Err(Refusal(format!(
                "{}: is an input, and would be overwritten as {}; write into another folder",
                input.display(),
                output.display()
            )));
        }
    }
    Ok(())
}

/// What tells a file from every other, by device and number; none for what is no file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((file.dev(), file.ino()))
}
