//! Where snapshots lie: named blobs, each there whole or not at all.
//!
//! snapshots -> **store** -> a folder, later S3
//!
//! Holds for every store (`contract` proves it): after `put` returns the blob survives a crash of the machine; a crash during it leaves the
//! old blob or none; names come back from `list` in order. Not here: what a blob says.

use crate::Trouble;
use crate::disk::{Disk, LocalDisk, make_folder};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Named blobs. A name is letters, digits, `.`, `-` and `_`.
pub trait Store: Send + Sync {
    /// Stores a blob, in place of the one of that name if there is one.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Trouble>;

    /// The same where no blob has the name; false where one has. Of several that try at once one succeeds.
    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool, Trouble>;

    /// A blob; none where there is none of that name.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Trouble>;

    /// All names, in the order of their bytes.
    fn list(&self) -> Result<Vec<String>, Trouble>;

    /// Removes a blob, if it is there.
    fn remove(&self, name: &str) -> Result<(), Trouble>;
}

/// A folder of this machine.
#[derive(Debug)]
pub struct FolderStore {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// Blobs begun: of several that are written at once under one name each has a file of its own.
    begun: AtomicU64,
}

/// What a blob is called while it is written. Left behind by a crash, it is no blob and is removed at the next start.
const UNFINISHED: &str = ".unfinished";

impl FolderStore {
    /// Makes the folder where it is absent. Only one process may use it.
    pub fn open(folder: &Path) -> Result<Self, Trouble> {
        Self::open_on(Arc::new(LocalDisk), folder)
    }

    /// The same on another disk.
    pub fn open_on(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, Trouble> {
        make_folder(disk.as_ref(), folder)
            .map_err(|e| Trouble::at(folder, "the folder cannot be made").because(e))?;
        let store = Self { disk, folder: folder.to_path_buf(), begun: AtomicU64::new(0) };
        for name in store.names()?.iter().filter(|name| name.ends_with(UNFINISHED)) {
            store.remove(name)?;
        }
        // A process before may have been killed between a name and its sync; what is found here is built on.
        store.sync()?;
        Ok(store)
    }

    /// The blobs of a folder that another process may be using: for reading.
    pub fn look(folder: &Path) -> Self {
        Self { disk: Arc::new(LocalDisk), folder: folder.to_path_buf(), begun: AtomicU64::new(0) }
    }

    /// Writes a file beside the blobs, durable.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Trouble> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{name}.{number}{UNFINISHED}"));
        let write = || {
            let mut file = self.disk.create(&path)?;
            file.write_all_at(bytes, 0)?;
            // One that failed is not asked again: the file goes, and with it what nobody can be sure of.
            file.sync()
        };
        write().map_err(|why| {
            // What is left of it says nothing, and may be why there is no room.
            let _ = self.disk.remove(&path);
            let what = format!("{} bytes cannot be written", bytes.len());
            let trouble = Trouble::at(&path, what).because(why_of(&why));
            match why.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    trouble.with_advice(crate::Advice::Retry)
                }
                _ => trouble,
            }
        })?;
        Ok(path)
    }

    /// Makes the names durable.
    fn sync(&self) -> Result<(), Trouble> {
        let synced = self.disk.sync_folder(&self.folder);
        synced.map_err(|e| Trouble::at(&self.folder, "the folder cannot be synced").because(e))
    }

    fn names(&self) -> Result<Vec<String>, Trouble> {
        let names = self.disk.names(&self.folder);
        names.map_err(|e| Trouble::at(&self.folder, "the folder cannot be read").because(e))
    }
}

/// The error again: it is looked at and passed on.
fn why_of(why: &io::Error) -> io::Error {
    match why.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(why.kind(), why.to_string()),
    }
}

impl Store for FolderStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Trouble> {
        let from = self.write(name, bytes)?;
        let to = self.folder.join(name);
        self.disk.rename(&from, &to).map_err(|e| Trouble::at(&to, "cannot be given its name").because(e))?;
        self.sync()
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool, Trouble> {
        let to = self.folder.join(name);
        if self.names()?.iter().any(|has| has == name) {
            return Ok(false);
        }
        let from = self.write(name, bytes)?;
        let linked = self.disk.link(&from, &to);
        self.disk.remove(&from).map_err(|e| Trouble::at(&from, "cannot be removed").because(e))?;
        match linked {
            Ok(()) => self.sync().map(|()| true),
            Err(why) if why.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(why) => Err(Trouble::at(&to, "cannot be given its name").because(why)),
        }
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let path = self.folder.join(name);
        match self.disk.read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
            Err(why) => Err(Trouble::at(&path, "cannot be read").because(why)),
        }
    }

    fn list(&self) -> Result<Vec<String>, Trouble> {
        let mut names = self.names()?;
        names.retain(|name| !name.ends_with(UNFINISHED));
        Ok(names)
    }

    fn remove(&self, name: &str) -> Result<(), Trouble> {
        let path = self.folder.join(name);
        match self.disk.remove(&path) {
            Err(why) if why.kind() != ErrorKind::NotFound => {
                Err(Trouble::at(&path, "cannot be removed").because(why))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
