//! What a store and an order log ask of a file system.
//!
//! store, segments -> **disk** -> the system's, or one of `crates/sim` that loses power
//!
//! Holds: nothing is durable before it is synced: bytes of a file by its own sync, names by that of their folder.
//! Not here: which bytes, under which names (`store`, `segments`).

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Files and folders.
pub trait Disk: Debug + Send + Sync {
    /// Makes a folder that is absent. The one above it is there.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    fn is_folder(&self, path: &Path) -> bool;

    /// Names in a folder, in order.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;

    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// A file without content, whatever it had.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// A file that is there.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// In place of what has the name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// A second name, where nothing has it.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// A file that is written to.
pub trait DiskFile: Debug + Send {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    fn set_len(&mut self, bytes: u64) -> io::Result<()>;

    /// Makes its bytes durable. Once that has failed they may be lost though a second call succeeds: the system counts them as written.
    fn sync(&mut self) -> io::Result<()>;
}

/// Makes a folder where it is absent, with those above it, and its name durable.
pub fn make_folder(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    if !disk.is_folder(path) {
        // Its name first, so that one below is never durable without it.
        if let Some(above) = above {
            make_folder(disk, above)?;
        }
        disk.make_folder(path)?;
    }
    // Also where it was there: whoever made it may have been killed before this.
    match disk.sync_folder(above.unwrap_or(Path::new("."))) {
        // Nobody makes a name there, so it was not this process or one before it.
        Err(why) if why.kind() == ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The system's.
#[derive(Clone, Copy, Debug)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(why) if why.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            made => made,
        }
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl DiskFile for File {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        (self as &File).write_all_at(bytes, offset)
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        (self as &File).set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        // Of its metadata only what reading it back needs, its length too.
        self.sync_data()
    }
}
