//! The folder that a run writes into: refused before anything in it changes, and told at the end what the run came to.
//!
//! arguments -> **output** -> sink -> **output** -> `summary.json`
//!
//! Holds: a folder that is not empty is refused unless forced; one in which an input lies under the name of an output is
//! refused always, since writing would destroy it while it is read; so is one that another process writes into.
//! `summary.json` is there only where the run that wrote the rest has ended and all of it is there.
//! Not here: lines (`cartguard_io::FileSink`).

use crate::exit::Refusal;
use anyhow::{Context, bail, ensure};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Everything that a run writes: the lines, then what is about them.
const NAMES: [&str; 5] = ["decisions.jsonl", "alerts.jsonl", "rejects.jsonl", FEATURES, SUMMARY];
const FEATURES: &str = "features.json";
const SUMMARY: &str = "summary.json";
/// Locked, and holds the process's id, while it writes. The lock ends with the process, whatever becomes of the file.
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
        let lock = Lock::take(folder)?;
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
        for name in NAMES[kept..].iter().rev() {
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => {
                    return Err(why).with_context(|| format!("{}: cannot be removed", path.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
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

/// The right to write into a folder, until it is dropped or the process ends.
struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    fn take(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(LOCK);
        let unlocked = || format!("{}: cannot be locked", path.display());
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        loop {
            let mut file = options.open(&path).with_context(unlocked)?;
            let opened = file.metadata().with_context(unlocked)?;
            ensure!(opened.is_file(), "{}: is no file; the lock needs one", path.display());
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    // Only for the message.
                    let _ = file.read_to_string(&mut holder);
                    bail!(Refusal(format!("{}: process {} writes into it", folder.display(), holder.trim())));
                }
                Err(TryLockError::Error(why)) => return Err(why).with_context(unlocked),
            }
            // Between the two calls its last holder may have removed the name; a lock without one locks nobody out.
            if identity(&path) == Some(identity_of(&opened)) {
                // Only for a message: on a full disk the lock holds without it.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                return Ok(Self { path, file });
            }
        }
    }
}

impl Drop for Lock {
    /// Removes the name while the lock still holds. Where that fails a file stays that locks nobody out.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
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
    fs::metadata(path).ok().filter(fs::Metadata::is_file).as_ref().map(identity_of)
}

fn identity_of(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
