//! A disk: a store of snapshots and an order log, as the service has them, over files that outlive a process.
//!
//! recovery -> **disk** -> `files`

use crate::files::Files;
use crate::lie::Lie;
use crate::world::Shared;
use cartguard_history::{Manifest, begins_with};
use cartguard_io::disk::make_folder;
use cartguard_io::{FolderSegments, FolderStore, Level, Segments, Store, Trouble};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A new segment begins past this, so that a story has several.
const SEGMENT_BYTES: u64 = 2_000;
const SNAPSHOTS: &str = "data/snapshots";
const ORDER: &str = "data/order";

/// Every record that was ever written whole, by batch: what an order log without end would hold.
type Archive = BTreeMap<u64, Vec<u8>>;

/// See the module.
#[derive(Clone)]
pub(crate) struct Disk {
    world: Shared,
    files: Files,
    archive: Arc<Mutex<Archive>>,
}

impl Disk {
    pub(crate) fn new(world: &Shared) -> Self {
        Self { world: world.clone(), files: Files::new(world), archive: Arc::default() }
    }

    /// The snapshots for one process.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, Trouble> {
        // As whoever takes the data folder does.
        make_folder(&self.files, Path::new("data"))
            .map_err(|why| Trouble::stop("data cannot be made").because(why))?;
        Ok(Arc::new(FolderStore::open_on(Arc::new(self.files.clone()), Path::new(SNAPSHOTS))?))
    }

    /// The order log for one process.
    pub(crate) fn segments(&self) -> Result<Box<dyn Segments>, Trouble> {
        let level = if self.world.lock().mood.is_host { Level::Host } else { Level::Process };
        let files = Arc::new(self.files.clone());
        let inner = FolderSegments::open_on(files, Path::new(ORDER), level, SEGMENT_BYTES)?;
        Ok(Box::new(Log { disk: self.clone(), inner, held: None }))
    }

    /// All records of the order log, one behind the other.
    pub(crate) fn archive(&self) -> Vec<u8> {
        self.lock().values().flatten().copied().collect()
    }

    /// The oldest snapshot that is kept.
    pub(crate) fn oldest_manifest(&self) -> Option<Manifest> {
        self.manifest(self.manifests().first()?)
    }

    /// The batch before which the newest snapshot ends, if it can be used.
    pub(crate) fn newest_batch(&self) -> Option<u64> {
        self.manifest(self.manifests().last()?).map(|manifest| manifest.tip.batch)
    }

    /// The batches before which the snapshots end that can be used.
    pub(crate) fn kept_batches(&self) -> Vec<u64> {
        let manifests = self.manifests();
        manifests.iter().filter_map(|name| Some(self.manifest(name)?.tip.batch)).collect()
    }

    /// How many batches were ever bound.
    pub(crate) fn batches(&self) -> u64 {
        self.lock().keys().next_back().map_or(0, |last| last + 1)
    }

    /// Tears the newest manifest, where there are older ones of batches from `least` on.
    pub(crate) fn tear_newest_manifest(&self, least: u64) {
        let names = self.manifests();
        let before = names.iter().rev().nth(1).and_then(|name| Manifest::batch_of(name));
        if names.len() >= 3
            && before.is_some_and(|batch| batch >= least)
            && let Some(name) = names.last()
        {
            self.files.tear(&Path::new(SNAPSHOTS).join(name));
            let mut world = self.world.lock();
            world.saw("torn manifests");
            world.note(format_args!("{name} is torn"));
        }
    }

    /// The machine goes down. What is not there any more of the order log was never bound, since at level `host` nothing of it had left.
    pub(crate) fn lose_power(&self) {
        self.files.lose_power();
        let mut next = 0;
        for first in self.firsts() {
            let segment = self.files.get(&path_of(first)).unwrap_or_default();
            let Some(mut tip) = begins_with(&segment) else { continue };
            let mut at = 0;
            while let Ok(Some((_, end))) = tip.read(&segment, at) {
                at = end;
            }
            next = tip.batch;
        }
        drop(self.lock().split_off(&next));
    }

    fn manifest(&self, name: &str) -> Option<Manifest> {
        let text = String::from_utf8(self.files.get(&Path::new(SNAPSHOTS).join(name))?).ok()?;
        Manifest::of_text(&text).ok()
    }

    /// In order; whole ones and torn ones.
    fn manifests(&self) -> Vec<String> {
        let mut names = self.files.list(Path::new(SNAPSHOTS));
        names.retain(|name| Manifest::batch_of(name).is_some());
        names
    }

    /// First batches of the segments, in order.
    fn firsts(&self) -> Vec<u64> {
        let names = self.files.list(Path::new(ORDER));
        names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect()
    }

    /// A record is there whole, and nothing can be behind it.
    fn keep(&self, batch: u64, record: &[u8]) {
        let mut archive = self.lock();
        archive.split_off(&batch);
        archive.insert(batch, record.to_vec());
    }

    fn lock(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path_of(first: u64) -> PathBuf {
    Path::new(ORDER).join(format!("{first:020}.log"))
}

/// Whether a segment ends within a record.
fn is_torn(segment: &[u8]) -> bool {
    let Some(mut tip) = begins_with(segment) else { return !segment.is_empty() };
    let mut at = 0;
    loop {
        match tip.read(segment, at) {
            Ok(Some((_, end))) => at = end,
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// The order log, as one process has it open.
struct Log {
    disk: Disk,
    inner: FolderSegments,
    /// [`Lie::ReleaseBeforeBind`]: what was not written yet.
    held: Option<(u64, Vec<u8>)>,
}

impl Log {
    fn write(&mut self, batch: u64, record: &[u8]) -> Result<(), Trouble> {
        let done = self.inner.append(batch, record);
        // Who is killed behind the write does not hear of it.
        let segment = self.disk.firsts().last().and_then(|&first| self.disk.files.get(&path_of(first)));
        if segment.as_ref().is_some_and(|segment| segment.ends_with(record)) {
            self.disk.keep(batch, record);
        } else if segment.is_some_and(|segment| is_torn(&segment)) {
            self.disk.world.lock().saw("torn records");
        }
        done
    }
}

impl Segments for Log {
    fn list(&self) -> Result<Vec<u64>, Trouble> {
        if self.disk.world.lock().is_lie(Lie::SnapshotAlone) {
            return Ok(Vec::new());
        }
        self.inner.list()
    }

    fn name_of(&self, first: u64) -> String {
        self.inner.name_of(first)
    }

    fn read(&self, first: u64) -> Result<Vec<u8>, Trouble> {
        self.inner.read(first)
    }

    fn continue_at(&mut self, first: u64, bytes: u64) -> Result<(), Trouble> {
        let is_trusted = self.disk.world.lock().is_lie(Lie::TrustedMemory);
        self.disk.files.is_numb.store(is_trusted, Ordering::Relaxed);
        let done = self.inner.continue_at(first, bytes);
        self.disk.files.is_numb.store(false, Ordering::Relaxed);
        done
    }

    fn append(&mut self, batch: u64, records: &[u8]) -> Result<(), Trouble> {
        if !self.disk.world.lock().is_lie(Lie::ReleaseBeforeBind) {
            return self.write(batch, records);
        }
        if let Some((late, held)) = self.held.take()
            && let Err(trouble) = self.write(late, &held)
        {
            self.held = Some((late, held));
            return Err(trouble);
        }
        self.held = Some((batch, records.to_vec()));
        Ok(())
    }

    fn remove_before(&self, batch: u64) -> Result<(), Trouble> {
        self.inner.remove_before(batch)
    }

    fn beside(&self) -> Box<dyn Segments> {
        self.inner.beside()
    }
}

impl Drop for Log {
    /// A process that ends by itself writes what it held.
    fn drop(&mut self) {
        if let Some((batch, records)) = self.held.take()
            && !self.disk.world.lock().is_down()
        {
            // Whatever comes of it: this one lies.
            let _ = self.write(batch, &records);
        }
    }
}
