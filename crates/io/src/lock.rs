//! The right to use a folder, for one process at a time.
//!
//! **lock** -> whoever writes into the folder
//!
//! A file in the folder is locked, and holds the process's id for whoever is refused. The lock ends with the process, whatever becomes of the file.

use crate::Trouble;
use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the file `name` in a folder that is there. `uses` says what its holder does with the folder: "uses it". Refused where
    /// another process holds it.
    pub fn take(folder: &Path, name: &str, uses: &str) -> Result<Self, Trouble> {
        let path = folder.join(name);
        let unlocked = |why| Trouble::at(&path, "cannot be locked").because(why);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        loop {
            let mut file = options.open(&path).map_err(unlocked)?;
            let opened = file.metadata().map_err(unlocked)?;
            if !opened.is_file() {
                return Err(Trouble::at(&path, "is no file; the lock needs one"));
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    // Only for the message.
                    let _ = file.read_to_string(&mut holder);
                    return Err(Trouble::refused(folder, format!("process {} {uses}", holder.trim())));
                }
                Err(TryLockError::Error(why)) => return Err(unlocked(why)),
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

/// What tells a file from every other, by device and number; none for what is no file.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).as_ref().map(identity_of)
}

fn identity_of(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
