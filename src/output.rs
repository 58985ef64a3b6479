//! The folder that a run writes into: refused before anything in it changes, and told at the end what the run came to.
//!
//! arguments -> **output** -> sink -> **output** -> `summary.json`
//!
//! Holds: a folder that is not empty is refused unless forced; one in which an input lies under the name of an output is
//! refused always, since writing would destroy it while it is read; so is one that another process writes into.
//! `summary.json` is there only where the run that wrote the rest has ended and all of it is there.
//! Not here: lines (`cartguard_io::FileSink`).

use crate::exit::Refusal;
use crate::shadow;
use anyhow::{Context, bail};
use cartguard_io::{Lock, identity};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Everything that a run writes: the lines, then what is about them.
const NAMES: [&str; 5] = ["decisions.jsonl", "alerts.jsonl", "rejects.jsonl", FEATURES, SUMMARY];
const FEATURES: &str = "features.json";
const SUMMARY: &str = "summary.json";
/// What a backtest writes, by itself, and what challengers say.
const BESIDE: [&str; 6] =
    ["scored.csv", "report.html", "report.json", shadow::SCORES, shadow::SCORES_BEFORE, shadow::FIGURES];
/// See [`Lock`].
const LOCK: &str = ".cartguard.lock";

/// A folder that is ready to be written into.
pub(crate) struct Output {
    folder: PathBuf,
    _lock: Lock,
}

impl Output {
    /// Makes the folder where it is absent; `inputs` are the files that will be read.
    pub(crate) fn open(folder: &Path, force: bool, inputs: &[PathBuf]) -> anyhow::Result<Self> {
        let name = folder.display();
        if let Some(file) = folder.ancestors().find(|path| path.metadata().is_ok_and(|found| !found.is_dir()))
        {
            let file = file.display();
            bail!(Refusal(format!("{name}: {file} is a file, and nothing can lie in it; name a folder")));
        }
        fs::create_dir_all(folder).with_context(|| format!("{name}: the folder cannot be made"))?;
        let lock = Lock::take(folder, LOCK, "writes into it")?;
        if !force && !is_empty(folder).with_context(|| format!("{name}: the folder cannot be read"))? {
            bail!(Refusal(format!("{name}: the folder is not empty; --force overwrites what is in it")));
        }
        spare(inputs, folder)?;
        Ok(Self { folder: folder.to_path_buf(), _lock: lock })
    }

    /// Removes what a run before wrote and this one does not, or only at its end; lines are overwritten where there
    /// will be `lines`.
    pub(crate) fn clear(&self, lines: bool) -> anyhow::Result<()> {
        let kept = if lines { 3 } else { 0 };
        // The summary first: from here on the rest is not what it tells of.
        NAMES[kept..].iter().rev().try_for_each(|name| self.remove(name))
    }

    /// Removes what challengers said in a run before, which this one does not go on with.
    pub(crate) fn clear_shadow(&self) -> anyhow::Result<()> {
        [shadow::FIGURES, shadow::SCORES, shadow::SCORES_BEFORE].iter().try_for_each(|name| self.remove(name))
    }

    fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                Err(why).with_context(|| format!("{}: cannot be removed", path.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
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

/// Whether nothing but a lock lies in a folder.
fn is_empty(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        if entry?.file_name() != LOCK {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Refuses inputs that are outputs too, by whatever name or link.
fn spare(inputs: &[PathBuf], folder: &Path) -> Result<(), Refusal> {
    for name in NAMES.into_iter().chain(BESIDE) {
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
