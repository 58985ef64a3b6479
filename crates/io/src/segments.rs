//! The order log's bytes on disk: segments, each a file named by the first batch in it.
//!
//! order log -> **segments** -> recovery
//!
//! Holds: bytes that were appended survive the end of the process, and at level `host` that of the machine; a write that failed is
//! taken back whole; a failed sync is never tried again, since the system may have dropped what it could not write, and for the same
//! reason what a process before has left is written again before anything is built on it. Not here: what the bytes say
//! (`cartguard_history`).

use crate::disk::{Disk, DiskFile, LocalDisk, make_folder};
use crate::{Advice, Trouble};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

    /// The same segments for another thread, which appends nothing: to remove one of 64 MiB takes the system milliseconds.
    fn beside(&self) -> Box<dyn Segments>;
}

/// Files of a folder.
#[derive(Debug)]
pub struct FolderSegments {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    level: Level,
    current: Option<Current>,
    segment_bytes: u64,
}

#[derive(Debug)]
struct Current {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    bytes: u64,
}

impl FolderSegments {
    /// Makes the folder where it is absent. Only one process may append.
    pub fn open(folder: &Path, level: Level) -> Result<Self, Trouble> {
        Self::open_on(Arc::new(LocalDisk), folder, level, SEGMENT_BYTES)
    }

    /// The same on another disk, with segments of other lengths.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        folder: &Path,
        level: Level,
        segment_bytes: u64,
    ) -> Result<Self, Trouble> {
        make_folder(disk.as_ref(), folder)
            .map_err(|e| Trouble::at(folder, "the folder cannot be made").because(e))?;
        Ok(Self { disk, folder: folder.to_path_buf(), level, current: None, segment_bytes })
    }

    /// Those of a folder that another process may be using: for reading.
    pub fn look(folder: &Path) -> Self {
        Self {
            disk: Arc::new(LocalDisk),
            folder: folder.to_path_buf(),
            level: Level::Process,
            current: None,
            segment_bytes: SEGMENT_BYTES,
        }
    }

    /// The path of a segment.
    pub fn path_of(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{first:020}.log"))
    }

    fn begin(&self, batch: u64) -> Result<Current, Trouble> {
        let path = self.path_of(batch);
        let file = self.disk.create(&path).map_err(|why| {
            let advice = advice_of(&why);
            Trouble::at(&path, "cannot be begun").because(why).with_advice(advice)
        })?;
        self.sync_names()?;
        Ok(Current { path, file, bytes: 0 })
    }

    /// A segment without what is behind so many bytes.
    fn cut(&self, path: &Path, bytes: u64) -> Result<Box<dyn DiskFile>, Trouble> {
        let open = || {
            let mut file = self.disk.open(path)?;
            file.set_len(bytes)?;
            Ok::<_, io::Error>(file)
        };
        open().map_err(|why| {
            let advice = advice_of(&why);
            Trouble::at(path, format!("cannot be cut to {bytes} bytes")).because(why).with_advice(advice)
        })
    }

    /// A segment that has these bytes and no others, durably. What could be read may be nowhere but in memory: of a process that was killed before
    /// its sync, or whose sync failed, which the system then counts as written. Written again it is not.
    fn write_again(&self, first: u64, whole: &[u8]) -> Result<Box<dyn DiskFile>, Trouble> {
        let path = self.path_of(first);
        let mut file = self.cut(&path, whole.len() as u64)?;
        file.write_all_at(whole, 0).map_err(|why| {
            let advice = advice_of(&why);
            Trouble::at(&path, "cannot be written again").because(why).with_advice(advice)
        })?;
        file.sync().map_err(|e| Trouble::at(&path, "cannot be synced").because(e))?;
        Ok(file)
    }

    /// Makes the names of the segments durable, where the level asks for it. What fails is not tried again, whatever the reason.
    fn sync_names(&self) -> Result<(), Trouble> {
        if self.level == Level::Process {
            return Ok(());
        }
        let synced = self.disk.sync_folder(&self.folder);
        synced.map_err(|e| Trouble::at(&self.folder, "the folder cannot be synced").because(e))
    }
}

impl Segments for FolderSegments {
    fn list(&self) -> Result<Vec<u64>, Trouble> {
        let names = self.disk.names(&self.folder);
        let names = names.map_err(|e| Trouble::at(&self.folder, "the folder cannot be read").because(e))?;
        let mut list: Vec<u64> = names.iter().filter_map(|name| batch_of(name)).collect();
        list.sort_unstable();
        Ok(list)
    }

    fn name_of(&self, first: u64) -> String {
        self.path_of(first).display().to_string()
    }

    fn read(&self, first: u64) -> Result<Vec<u8>, Trouble> {
        let path = self.path_of(first);
        self.disk.read(&path).map_err(|e| Trouble::at(&path, "cannot be read").because(e))
    }

    fn continue_at(&mut self, first: u64, bytes: u64) -> Result<(), Trouble> {
        if self.level == Level::Host {
            // Those before it were synced, if by a process of this level.
            for before in self.list()?.into_iter().filter(|before| *before < first) {
                let whole = self.read(before)?;
                self.write_again(before, &whole)?;
            }
        }
        let path = self.path_of(first);
        let file = match self.level {
            Level::Process => self.cut(&path, bytes)?,
            Level::Host => {
                let whole = self.read(first)?;
                self.write_again(first, &whole[..whole.len().min(bytes as usize)])?
            }
        };
        self.sync_names()?;
        self.current = Some(Current { path, file, bytes });
        Ok(())
    }

    fn append(&mut self, batch: u64, records: &[u8]) -> Result<(), Trouble> {
        if self.current.as_ref().is_none_or(|current| current.bytes >= self.segment_bytes) {
            self.current = Some(self.begin(batch)?);
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        if let Err(why) = current.file.write_all_at(records, current.bytes) {
            // Part of it may be there.
            current.file.set_len(current.bytes).map_err(|e| {
                Trouble::at(&current.path, "cannot be taken back to its last record").because(e)
            })?;
            let advice = advice_of(&why);
            let what =
                format!("{} bytes cannot be written behind the first {}", records.len(), current.bytes);
            return Err(Trouble::at(&current.path, what).because(why).with_advice(advice));
        }
        current.bytes += records.len() as u64;
        if self.level == Level::Host {
            current.file.sync().map_err(|e| Trouble::at(&current.path, "cannot be synced").because(e))?;
        }
        Ok(())
    }

    fn remove_before(&self, batch: u64) -> Result<(), Trouble> {
        let list = self.list()?;
        for pair in list.windows(2) {
            if pair[1] <= batch {
                let path = self.path_of(pair[0]);
                self.disk.remove(&path).map_err(|e| Trouble::at(&path, "cannot be removed").because(e))?;
            }
        }
        Ok(())
    }

    fn beside(&self) -> Box<dyn Segments> {
        Box::new(Self {
            disk: Arc::clone(&self.disk),
            folder: self.folder.clone(),
            level: self.level,
            current: None,
            segment_bytes: self.segment_bytes,
        })
    }
}

/// Of a write that failed: room may come back. The system's kinds are an open list.
fn advice_of(why: &io::Error) -> Advice {
    match why.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Advice::Retry,
        _ => Advice::Stop,
    }
}

fn batch_of(name: &str) -> Option<u64> {
    name.strip_suffix(".log")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// The system's disk, and what was done to files on it.
    #[derive(Clone, Debug, Default)]
    struct Watched(Arc<Mutex<Vec<(PathBuf, Step)>>>);

    #[derive(Clone, Debug, PartialEq)]
    enum Step {
        Written(String),
        Synced,
    }

    #[derive(Debug)]
    struct WatchedFile(Box<dyn DiskFile>, PathBuf, Watched);

    impl WatchedFile {
        fn note(&self, step: Step) {
            self.2.0.lock().expect("no panic").push((self.1.clone(), step));
        }
    }

    impl DiskFile for WatchedFile {
        fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.note(Step::Written(String::from_utf8_lossy(bytes).into_owned()));
            self.0.write_all_at(bytes, offset)
        }

        fn set_len(&mut self, bytes: u64) -> io::Result<()> {
            self.0.set_len(bytes)
        }

        fn sync(&mut self) -> io::Result<()> {
            self.note(Step::Synced);
            self.0.sync()
        }
    }

    impl Disk for Watched {
        fn make_folder(&self, path: &Path) -> io::Result<()> {
            LocalDisk.make_folder(path)
        }

        fn is_folder(&self, path: &Path) -> bool {
            LocalDisk.is_folder(path)
        }

        fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
            LocalDisk.names(folder)
        }

        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            LocalDisk.read(path)
        }

        fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
            Ok(Box::new(WatchedFile(LocalDisk.create(path)?, path.to_path_buf(), self.clone())))
        }

        fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
            Ok(Box::new(WatchedFile(LocalDisk.open(path)?, path.to_path_buf(), self.clone())))
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            LocalDisk.rename(from, to)
        }

        fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
            LocalDisk.link(from, to)
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            LocalDisk.remove(path)
        }

        fn sync_folder(&self, path: &Path) -> io::Result<()> {
            LocalDisk.sync_folder(path)
        }
    }

    /// Written again, too: a sync may have failed before, and the system then takes bytes for written that are not on the disk.
    #[test]
    fn what_a_process_of_the_lower_level_left_is_written_again_and_synced_before_it_is_built_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let watched = Watched::default();
        let open = |level| {
            FolderSegments::open_on(Arc::new(watched.clone()), folder.path(), level, 2).expect("a folder")
        };
        let mut before = open(Level::Process);
        for (batch, text) in [(0, "ab"), (1, "cd"), (2, "ef")] {
            before.append(batch, text.as_bytes()).expect("there is room");
        }
        let steps = || std::mem::take(&mut *watched.0.lock().expect("no panic"));
        assert!(steps().iter().all(|(_, step)| *step != Step::Synced));
        let mut now = open(Level::Host);
        now.continue_at(2, 2).expect("a segment");
        let again = [(0, "ab"), (1, "cd"), (2, "ef")].map(|(batch, text)| {
            [Step::Written(text.to_owned()), Step::Synced].map(|step| (now.path_of(batch), step))
        });
        assert_eq!(steps(), again.concat());
        assert_eq!([0, 1, 2].map(|batch| now.read(batch).expect("a segment")), [b"ab", b"cd", b"ef"]);
    }

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
        segments.beside().remove_before(3).expect("a folder");
        assert_eq!(segments.list().expect("a folder"), [2, 4], "batch 3 is in the second");
        segments.append(6, b"l").expect("there is room");
        assert_eq!(
            segments.read(4).expect("a segment"),
            b"ikl",
            "who appends is not in the way of who removes"
        );
    }
}
