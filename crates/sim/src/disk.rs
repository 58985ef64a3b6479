//! A disk: named blobs and the segments of an order log, which outlive a process.
//!
//! recovery -> **disk**

use crate::lie::Lie;
use crate::world::{Fate, Shared, killed};
use cartguard_history::Manifest;
use cartguard_io::{Advice, Segments, Store, Trouble};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A new segment begins past this, so that a story has several.
const SEGMENT_BYTES: usize = 2_000;

#[derive(Default)]
struct Contents {
    blobs: BTreeMap<String, Vec<u8>>,
    segments: BTreeMap<u64, Vec<u8>>,
    /// Every record that was ever written whole, by batch: what a disk without end would hold.
    archive: BTreeMap<u64, Vec<u8>>,
}

impl Contents {
    /// A record is there whole, and nothing can be behind it.
    fn keep(&mut self, batch: u64, record: &[u8]) {
        self.archive.split_off(&batch);
        self.archive.insert(batch, record.to_vec());
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Disk {
    world: Shared,
    contents: Arc<Mutex<Contents>>,
}

impl Disk {
    pub(crate) fn new(world: &Shared) -> Self {
        Self { world: world.clone(), contents: Arc::default() }
    }

    /// The order log for one process.
    pub(crate) fn segments(&self) -> Box<dyn Segments> {
        Box::new(Log { disk: self.clone(), current: None, held: None })
    }

    /// All records of the order log, one behind the other.
    pub(crate) fn archive(&self) -> Vec<u8> {
        self.lock().archive.values().flatten().copied().collect()
    }

    /// The oldest snapshot that is kept.
    pub(crate) fn oldest_manifest(&self) -> Option<Manifest> {
        self.manifests().first().and_then(|name| {
            let text = String::from_utf8(self.lock().blobs.get(name)?.clone()).ok()?;
            Manifest::of_text(&text).ok()
        })
    }

    /// The batch before which the newest snapshot ends, if it can be used.
    pub(crate) fn newest_batch(&self) -> Option<u64> {
        let name = self.manifests().pop()?;
        let text = String::from_utf8(self.lock().blobs.get(&name)?.clone()).ok()?;
        Manifest::of_text(&text).ok().map(|manifest| manifest.tip.batch)
    }

    /// How many batches were ever bound.
    pub(crate) fn batches(&self) -> u64 {
        self.lock().archive.keys().next_back().map_or(0, |last| last + 1)
    }

    /// Tears the newest manifest, where there are older ones of batches from `least` on.
    pub(crate) fn tear_newest_manifest(&self, least: u64) {
        let names = self.manifests();
        let before = names.iter().rev().nth(1).and_then(|name| Manifest::batch_of(name));
        if names.len() >= 3
            && before.is_some_and(|batch| batch >= least)
            && let Some(name) = names.last()
            && let Some(blob) = self.lock().blobs.get_mut(name)
        {
            blob.truncate(blob.len() / 2);
            let mut world = self.world.lock();
            world.saw("torn manifests");
            world.note(format_args!("{name} is torn"));
        }
    }

    /// In order; whole ones and torn ones.
    fn manifests(&self) -> Vec<String> {
        self.lock().blobs.keys().filter(|name| Manifest::batch_of(name).is_some()).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a write finds room.
    fn has_room(&self) -> bool {
        let mut world = self.world.lock();
        let percent = world.mood.no_room;
        let has_room = !world.chance.percent(percent);
        if !has_room {
            world.saw("writes without room");
        }
        has_room
    }
}

fn no_room(name: &str) -> Trouble {
    Trouble::stop(format!("{name}: no room")).with_advice(Advice::Retry)
}

impl Store for Disk {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Trouble> {
        if !self.has_room() {
            return Err(no_room(name));
        }
        // A store has a blob whole or not at all.
        let fate = self.world.lock().step(format_args!("put {name}, {} bytes", bytes.len()));
        if matches!(fate, Fate::Done | Fate::Unheard) {
            self.lock().blobs.insert(name.to_owned(), bytes.to_vec());
            if Manifest::batch_of(name).is_some_and(|batch| batch > 0) {
                self.world.lock().saw("snapshots");
            }
        }
        if fate == Fate::Done { Ok(()) } else { Err(killed()) }
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool, Trouble> {
        if self.lock().blobs.contains_key(name) { Ok(false) } else { self.put(name, bytes).map(|()| true) }
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Trouble> {
        Ok(self.lock().blobs.get(name).cloned())
    }

    fn list(&self) -> Result<Vec<String>, Trouble> {
        Ok(self.lock().blobs.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> Result<(), Trouble> {
        let fate = self.world.lock().step(format_args!("remove {name}"));
        if matches!(fate, Fate::Done | Fate::Unheard) {
            self.lock().blobs.remove(name);
        }
        if fate == Fate::Done { Ok(()) } else { Err(killed()) }
    }
}

/// The order log, as one process has it open.
struct Log {
    disk: Disk,
    /// The segment that is appended to.
    current: Option<u64>,
    /// [`Lie::ReleaseBeforeBind`]: what was not written yet.
    held: Option<(u64, Vec<u8>)>,
}

impl Log {
    fn write(&mut self, batch: u64, records: &[u8]) -> Result<(), Trouble> {
        let name = self.name_of(batch);
        if !self.disk.has_room() {
            return Err(no_room(&name));
        }
        let fate = self.disk.world.lock().step(format_args!("append batch {batch}"));
        let whole = match fate {
            Fate::Done | Fate::Unheard => records.len(),
            Fate::Torn => self.disk.world.lock().chance.index(records.len()),
            Fate::Never => return Err(killed()),
        };
        let mut contents = self.disk.lock();
        let is_full = |first: &u64| contents.segments.get(first).is_none_or(|s| s.len() >= SEGMENT_BYTES);
        let first = match self.current {
            Some(first) if !is_full(&first) => first,
            _ => {
                contents.segments.insert(batch, Vec::new());
                batch
            }
        };
        self.current = Some(first);
        contents.segments.entry(first).or_default().extend_from_slice(&records[..whole]);
        if whole == records.len() {
            contents.keep(batch, records);
        } else {
            self.disk.world.lock().saw("torn records");
        }
        if fate == Fate::Done { Ok(()) } else { Err(killed()) }
    }
}

impl Segments for Log {
    fn list(&self) -> Result<Vec<u64>, Trouble> {
        if self.disk.world.lock().is_lie(Lie::SnapshotAlone) {
            return Ok(Vec::new());
        }
        Ok(self.disk.lock().segments.keys().copied().collect())
    }

    fn name_of(&self, first: u64) -> String {
        format!("segment {first}")
    }

    fn read(&self, first: u64) -> Result<Vec<u8>, Trouble> {
        Ok(self.disk.lock().segments.get(&first).cloned().unwrap_or_default())
    }

    fn continue_at(&mut self, first: u64, bytes: u64) -> Result<(), Trouble> {
        let fate = self.disk.world.lock().step(format_args!("cut segment {first} to {bytes}"));
        if matches!(fate, Fate::Done | Fate::Unheard)
            && let Some(segment) = self.disk.lock().segments.get_mut(&first)
        {
            segment.truncate(bytes as usize);
        }
        self.current = Some(first);
        if fate == Fate::Done { Ok(()) } else { Err(killed()) }
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
        let fate = self.disk.world.lock().step(format_args!("remove segments before {batch}"));
        if matches!(fate, Fate::Done | Fate::Unheard) {
            let mut contents = self.disk.lock();
            let firsts: Vec<u64> = contents.segments.keys().copied().collect();
            for pair in firsts.windows(2).filter(|pair| pair[1] <= batch) {
                contents.segments.remove(&pair[0]);
            }
        }
        if fate == Fate::Done { Ok(()) } else { Err(killed()) }
    }
}

impl Drop for Log {
    /// A process that ends by itself writes what it held.
    fn drop(&mut self) {
        if let Some((batch, records)) = self.held.take()
            && !self.disk.world.lock().is_down()
        {
            self.disk.lock().keep(batch, &records);
        }
    }
}
