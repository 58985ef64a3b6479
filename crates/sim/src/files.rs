//! A file system that loses power: what was not synced may be there afterwards, or not, or in part.
//!
//! `FolderStore`, `FolderSegments` -> **files**
//!
//! Of a file: bytes that were written are in memory until they are synced; where a sync fails the system counts them as written all the same,
//! and a later sync does not bring them to the disk. Of a folder: names, which a later sync does bring there. Losing power leaves of what was not synced any part,
//! in any order.

use crate::lie::Lie;
use crate::world::{Chance, Fate, Shared};
use cartguard_history::Manifest;
use cartguard_io::disk::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the system says of a disk that fails.
const EIO: i32 = 5;

/// A change of a file that is in memory alone.
#[derive(Clone, Copy, Debug)]
enum Unsynced {
    Written { at: usize, bytes: usize },
    Cut { to: usize },
}

#[derive(Debug, Default)]
struct Node {
    /// As processes see it.
    bytes: Vec<u8>,
    /// As it is after losing power, at least.
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

impl Node {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[at..end].copy_from_slice(bytes);
        self.unsynced.push(Unsynced::Written { at, bytes: bytes.len() });
    }

    fn cut(&mut self, to: usize) {
        self.bytes.resize(to, 0);
        self.unsynced.push(Unsynced::Cut { to });
    }

    /// A change comes to the disk, the first `share` of a thousand of it.
    fn settle(&mut self, change: Unsynced, share: usize) {
        match change {
            Unsynced::Written { at, bytes } => {
                let end = (at + bytes * share / 1_000).min(self.bytes.len());
                if self.durable.len() < end {
                    // What lies between was never written there.
                    self.durable.resize(end, 0);
                }
                if at < end {
                    self.durable[at..end].copy_from_slice(&self.bytes[at..end]);
                }
            }
            Unsynced::Cut { to } => self.durable.resize(to, 0),
        }
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            self.settle(change, 1_000);
        }
    }

    fn lose_power(&mut self, chance: &mut Chance) {
        let how = chance.below(4);
        for change in std::mem::take(&mut self.unsynced) {
            let share = match how {
                0 => 0,
                1 => 1_000,
                _ => [0, 1_000, chance.index(1_000)][chance.index(3)],
            };
            if share > 0 {
                self.settle(change, share);
            }
        }
        self.bytes.clone_from(&self.durable);
    }
}

/// Files by name; a folder has no node.
type Names = BTreeMap<PathBuf, Option<usize>>;

#[derive(Debug, Default)]
struct Contents {
    nodes: Vec<Node>,
    names: Names,
    durable: Names,
}

/// See the module. Clones are the same.
#[derive(Clone)]
pub(crate) struct Files {
    world: Shared,
    contents: Arc<Mutex<Contents>>,
    /// [`Lie::TrustedMemory`]: nothing is brought to the disk.
    pub(crate) is_numb: Arc<AtomicBool>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

impl Files {
    pub(crate) fn new(world: &Shared) -> Self {
        Self { world: world.clone(), contents: Arc::default(), is_numb: Arc::default() }
    }

    /// Nobody runs any more, and what was in memory is gone, or not.
    pub(crate) fn lose_power(&self) {
        let world = &mut *self.world.lock();
        let contents = &mut *self.lock();
        let mut names: Vec<PathBuf> = contents.names.keys().chain(contents.durable.keys()).cloned().collect();
        names.sort();
        names.dedup();
        let mut left = Names::new();
        for name in names {
            let (now, durable) = (contents.names.get(&name), contents.durable.get(&name));
            let found = if now != durable && world.chance.percent(50) { durable } else { now };
            let above = name.parent().filter(|above| !above.as_os_str().is_empty());
            if let Some(found) = found
                && above.is_none_or(|above| left.contains_key(above))
            {
                left.insert(name, *found);
            }
        }
        for node in &mut contents.nodes {
            node.lose_power(&mut world.chance);
        }
        contents.names.clone_from(&left);
        contents.durable = left;
        world.saw("power cuts");
        world.note(format_args!("the power is gone"));
    }

    /// What a file holds, as processes see it.
    pub(crate) fn get(&self, path: &Path) -> Option<Vec<u8>> {
        let contents = self.lock();
        let node = (*contents.names.get(path)?)?;
        Some(contents.nodes[node].bytes.clone())
    }

    /// Files in a folder, in order.
    pub(crate) fn list(&self, folder: &Path) -> Vec<String> {
        let contents = self.lock();
        let within =
            contents.names.iter().filter(|(path, node)| path.parent() == Some(folder) && node.is_some());
        within.filter_map(|(path, _)| path.file_name()?.to_str().map(str::to_owned)).collect()
    }

    /// A file is what it was up to there, durably: how somebody tears it on purpose.
    pub(crate) fn tear(&self, path: &Path) {
        let contents = &mut *self.lock();
        if let Some(Some(node)) = contents.names.get(path).copied() {
            let node = &mut contents.nodes[node];
            node.cut(node.bytes.len() / 2);
            node.sync();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a write finds room.
    fn has_room(&self) -> io::Result<()> {
        let mut world = self.world.lock();
        let percent = world.mood.no_room;
        if !world.is_down() && world.chance.percent(percent) {
            world.saw("writes without room");
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// A change of names: done, or not.
    fn change(&self, what: std::fmt::Arguments<'_>, change: impl FnOnce(&mut Contents)) -> io::Result<()> {
        let fate = self.world.lock().step(what);
        if matches!(fate, Fate::Done | Fate::Unheard) {
            change(&mut self.lock());
        }
        heard(fate)
    }

    /// A sync: done, failed, or not come to.
    fn sync(&self, what: std::fmt::Arguments<'_>, sync: impl FnOnce(&mut Contents, bool)) -> io::Result<()> {
        if self.is_numb.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (fate, is_failing, is_tried_again) = {
            let mut world = self.world.lock();
            let fate = world.step(what);
            let percent = world.mood.sync_fails;
            let is_failing = fate == Fate::Done && world.chance.percent(percent);
            if is_failing {
                world.fail_sync();
            }
            (fate, is_failing, world.is_lie(Lie::SyncedAgain))
        };
        if matches!(fate, Fate::Done | Fate::Unheard) {
            sync(&mut self.lock(), is_failing);
        }
        if is_failing && !is_tried_again {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        heard(fate)
    }
}

fn heard(fate: Fate) -> io::Result<()> {
    if fate == Fate::Done { Ok(()) } else { Err(io::Error::other("the process was killed")) }
}

fn absent(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{}: no such file", path.display()))
}

impl Disk for Files {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.change(format_args!("make {}", path.display()), |contents| {
            contents.names.insert(path.to_path_buf(), None);
        })
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.lock().names.get(path).is_some_and(Option::is_none)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        if self.is_folder(folder) { Ok(self.list(folder)) } else { Err(absent(folder)) }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.get(path).ok_or_else(|| absent(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.has_room()?;
        let mut node = 0;
        self.change(format_args!("create {}", path.display()), |contents| {
            node = contents.nodes.len();
            contents.nodes.push(Node::default());
            contents.names.insert(path.to_path_buf(), Some(node));
        })?;
        Ok(Box::new(OpenFile { files: self.clone(), path: path.to_path_buf(), node }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let node = self.lock().names.get(path).copied().flatten().ok_or_else(|| absent(path))?;
        Ok(Box::new(OpenFile { files: self.clone(), path: path.to_path_buf(), node }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.lock().names.get(from).copied().ok_or_else(|| absent(from))?;
        self.change(format_args!("rename to {}", to.display()), |contents| {
            contents.names.remove(from);
            contents.names.insert(to.to_path_buf(), node);
        })?;
        let name = to.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if Manifest::batch_of(name).is_some_and(|batch| batch > 0) {
            self.world.lock().saw("snapshots");
        }
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.lock().names.get(from).copied().ok_or_else(|| absent(from))?;
        if self.lock().names.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.change(format_args!("link {}", to.display()), |contents| {
            contents.names.insert(to.to_path_buf(), node);
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if !self.lock().names.contains_key(path) {
            return Err(absent(path));
        }
        self.change(format_args!("remove {}", path.display()), |contents| {
            contents.names.remove(path);
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if self.world.lock().is_lie(Lie::UnsyncedNames) {
            return Ok(());
        }
        self.sync(format_args!("sync names of {}", path.display()), |contents, is_failing| {
            if is_failing {
                return;
            }
            // The folder that everything is in has no name.
            let above = if path == Path::new(".") { Path::new("") } else { path };
            let is_within = |name: &PathBuf| name.parent() == Some(above);
            contents.durable.retain(|name, _| !is_within(name));
            let now = contents.names.iter().filter(|(name, _)| is_within(name));
            contents.durable.extend(now.map(|(name, node)| (name.clone(), *node)));
        })
    }
}

/// A file, as one process has it open.
#[derive(Debug)]
struct OpenFile {
    files: Files,
    path: PathBuf,
    node: usize,
}

impl DiskFile for OpenFile {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.files.is_numb.load(Ordering::Relaxed) {
            return Ok(());
        }
        // What is there already has its room.
        let is_new = offset as usize + bytes.len() > self.files.lock().nodes[self.node].bytes.len();
        let room = if is_new { self.files.has_room() } else { Ok(()) };
        let fate = self.files.world.lock().step(format_args!(
            "write {} bytes at {offset} of {}",
            bytes.len(),
            self.path.display()
        ));
        let written = match fate {
            Fate::Never => 0,
            // What there was room for.
            Fate::Done | Fate::Unheard if room.is_ok() => bytes.len(),
            Fate::Torn | Fate::Done | Fate::Unheard => {
                self.files.world.lock().chance.index(bytes.len().max(1))
            }
        };
        if written > 0 {
            self.files.lock().nodes[self.node].write(offset as usize, &bytes[..written]);
        }
        heard(fate).and(room)
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.files.change(format_args!("cut {} to {bytes}", self.path.display()), |contents| {
            contents.nodes[self.node].cut(bytes as usize);
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.files.world.lock().is_lie(Lie::UnsyncedBytes) {
            return Ok(());
        }
        let node = self.node;
        self.files.sync(format_args!("sync {}", self.path.display()), |contents, is_failing| {
            let node = &mut contents.nodes[node];
            if is_failing {
                // Counted as written, and it is not.
                node.unsynced.clear();
            } else {
                node.sync();
            }
        })
    }
}
