//! What a data folder holds, told without an engine, and what of it may go.
//!
//! data folder -> **catalog** -> `snapshot list`, `inspect`, `prune`
//!
//! Holds: looking changes nothing; what goes is never the newest whole snapshot, nor anything that a kept one needs.
//! Not here: what the state says (the engine).

use crate::open::unpack;
use crate::storage::{lock, segments_of};
use cartguard_engine::batch::snapshot::Head;
use cartguard_history::{LogFault, Manifest, Retention, Tip, begins_with};
use cartguard_io::{FolderSegments, FolderStore, Segments as _, Store, Trouble};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The snapshots and the order log of a folder.
pub struct Catalog {
    folder: PathBuf,
    store: Box<dyn Store>,
    segments: FolderSegments,
}

/// A snapshot, as far as it can be read.
pub struct Kept {
    pub batch: u64,
    /// What is wrong with the manifest otherwise.
    pub manifest: Result<Manifest, String>,
    /// What is wrong with its packs.
    pub damage: Option<String>,
}

/// What a clean-up removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub snapshots: usize,
    pub packs: usize,
    pub segments: usize,
    /// Bytes of packs and segments.
    pub bytes: u64,
}

impl Kept {
    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<&str> {
        self.manifest.as_ref().err().or(self.damage.as_ref()).map(String::as_str)
    }

    /// The manifest, where all of it can be used.
    pub fn whole(&self) -> Option<&Manifest> {
        self.manifest.as_ref().ok().filter(|_| self.damage.is_none())
    }
}

/// The engine besides its parts, in a manifest that has one.
pub fn head_of(manifest: &Manifest) -> Option<Head> {
    serde_json::from_value(manifest.engine.clone()).ok()
}

impl Catalog {
    /// Of a data folder that another process may be using.
    pub fn look(folder: &Path) -> Result<Self, Trouble> {
        let segments = segments_of(folder)?;
        let store = FolderStore::look(&folder.join("snapshots"));
        Ok(Self { folder: folder.to_path_buf(), store: Box::new(store), segments })
    }

    /// All snapshots, oldest first, every pack of each read and held to its hash.
    pub fn snapshots(&self) -> Result<Vec<Kept>, Trouble> {
        let mut kept = Vec::new();
        // Snapshots share no packs often enough to be worth more than their names.
        let mut whole = BTreeSet::new();
        for name in self.store.list()? {
            let Some(batch) = Manifest::batch_of(&name) else { continue };
            // A process that uses the folder may have removed it just now.
            let Some(text) = self.store.get(&name)? else { continue };
            let manifest = String::from_utf8(text).map_err(|_| "it is no text".to_owned());
            let manifest = manifest.and_then(|text| Manifest::of_text(&text));
            let mut damage = None;
            for pack in manifest.iter().flat_map(|manifest| &manifest.packs) {
                if whole.contains(&pack.hash) {
                    continue;
                }
                match unpack(self.store.as_ref(), pack) {
                    Ok(_) => drop(whole.insert(pack.hash.clone())),
                    Err(why) => {
                        damage = Some(format!("its pack {} {why}", Manifest::pack_name(&pack.hash)));
                        break;
                    }
                }
            }
            // Packs go after their manifest: one that is gone with it was removed while we read, by a process that uses the folder.
            if damage.is_none() || self.store.get(&name)?.is_some() {
                kept.push(Kept { batch, manifest, damage });
            }
        }
        Ok(kept)
    }

    /// Where the order log ends; none where it holds no whole record.
    pub fn log_end(&self) -> Result<Option<Tip>, Trouble> {
        for &first in self.segments.list()?.iter().rev() {
            let bytes = self.segments.read(first)?;
            let damaged = |fault: LogFault| Trouble::at(&self.segments.path_of(first), fault);
            let Some(mut tip) = begins_with(&bytes) else {
                // Not even its first record is whole: torn, if nothing whole follows.
                match Tip::default().read(&bytes, 0) {
                    Ok(_) | Err(LogFault::Torn(_)) => continue,
                    Err(fault) => return Err(damaged(fault)),
                }
            };
            let mut at = 0;
            loop {
                match tip.read(&bytes, at) {
                    Ok(Some((_, next))) => at = next,
                    Ok(None) | Err(LogFault::Torn(_)) => return Ok(Some(tip)),
                    Err(fault) => return Err(damaged(fault)),
                }
            }
        }
        Ok(None)
    }

    /// Segments of the order log, and their bytes.
    pub fn log_size(&self) -> Result<(usize, u64), Trouble> {
        let list = self.segments.list()?;
        let bytes = |first: &u64| fs::metadata(self.segments.path_of(*first)).map_or(0, |file| file.len());
        Ok((list.len(), list.iter().map(bytes).sum()))
    }

    /// Removes all but the newest `keep` whole snapshots, and the part of the order log that only those needed. What cannot be used and is
    /// newer than that stays, for whoever wants to know why.
    pub fn prune(&self, keep: usize) -> Result<Removed, Trouble> {
        let _lock = lock(&self.folder)?;
        let kept = self.snapshots()?;
        let manifests: Vec<Manifest> = kept.iter().filter_map(Kept::whole).cloned().collect();
        if manifests.is_empty() {
            return Err(Trouble::refused(&self.folder, "has no whole snapshot; nothing is removed"));
        }
        let names = self.store.list()?;
        let packs: Vec<String> =
            names.into_iter().filter(|name| name.strip_suffix(".pack").is_some()).collect();
        let mut goes = Retention::of(&manifests, &packs, keep);
        // A damaged one may be damaged for a moment only: its packs stay with it.
        let staying = kept.iter().filter(|one| !goes.manifests.contains(&one.batch));
        let needed: BTreeSet<String> = staying
            .flat_map(|one| one.manifest.iter().flat_map(|manifest| &manifest.packs))
            .map(|pack| Manifest::pack_name(&pack.hash))
            .collect();
        goes.packs.retain(|pack| !needed.contains(pack));
        let (segments, log_bytes) = self.log_size()?;
        let mut removed =
            Removed { snapshots: goes.manifests.len(), packs: goes.packs.len(), ..Removed::default() };
        for batch in &goes.manifests {
            self.store.remove(&Manifest::file_name(*batch))?;
        }
        for pack in &goes.packs {
            let file = self.folder.join("snapshots").join(pack);
            removed.bytes += fs::metadata(file).map_or(0, |file| file.len());
            self.store.remove(pack)?;
        }
        self.segments.remove_before(goes.log_before)?;
        let (segments_left, log_bytes_left) = self.log_size()?;
        removed.segments = segments - segments_left;
        removed.bytes += log_bytes - log_bytes_left;
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cartguard_history::{Pack, Partitions};

    /// A folder with a snapshot before each of these batches, each with a pack of its own, and these segments.
    fn folder(batches: &[u64], segments: &[u64]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["order", "snapshots"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        for &batch in batches {
            let bytes = batch.to_string().into_bytes();
            let packed = zstd::bulk::compress(&bytes, 1).expect("few bytes");
            let hash = blake3::hash(&bytes).to_string();
            write(&folder, &format!("snapshots/{}", Manifest::pack_name(&hash)), &packed);
            let length = bytes.len() as u64;
            let pack = Pack { parts: Vec::new(), hash, bytes: length, stored_bytes: packed.len() as u64 };
            let manifest = Manifest {
                format: Manifest::FORMAT,
                written_by: String::new(),
                pipeline: "shop".to_owned(),
                source: "files".to_owned(),
                tip: Tip { batch, ..Tip::default() },
                partitions: Partitions::default(),
                output_bytes: [0; 3],
                packs: vec![pack],
                engine: serde_json::Value::Null,
                identity: serde_json::Value::Null,
                versions: Vec::new(),
            };
            write(
                &folder,
                &format!("snapshots/{}", Manifest::file_name(batch)),
                manifest.to_text().as_bytes(),
            );
        }
        for first in segments {
            write(&folder, &format!("order/{first:020}.log"), b"four");
        }
        folder
    }

    fn write(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) {
        fs::write(folder.path().join(name), bytes).expect("written");
    }

    fn batches(catalog: &Catalog) -> Vec<u64> {
        catalog.snapshots().expect("a folder").iter().map(|kept| kept.batch).collect()
    }

    #[test]
    fn what_goes_is_old_and_takes_the_log_that_only_it_needed() {
        let folder = folder(&[5, 15, 25], &[0, 10, 20, 30]);
        let catalog = Catalog::look(folder.path()).expect("a history");
        let removed = catalog.prune(2).expect("nobody uses it");
        assert_eq!((removed.snapshots, removed.packs, removed.segments), (1, 1, 1));
        assert_eq!(batches(&catalog), [15, 25]);
        assert_eq!(catalog.segments.list().expect("a folder"), [10, 20, 30], "15 is in the second");
        assert_eq!(catalog.prune(2).expect("nobody uses it"), Removed::default());
    }

    #[test]
    fn the_newest_whole_one_stays_and_a_damaged_newer_one_keeps_its_packs() {
        let folder = folder(&[5, 15, 25], &[0, 10, 20]);
        let catalog = Catalog::look(folder.path()).expect("a history");
        let newest = catalog.snapshots().expect("a folder").pop().expect("three");
        let pack = Manifest::pack_name(&newest.manifest.expect("readable").packs[0].hash);
        write(&folder, &format!("snapshots/{pack}"), b"no pack");
        let removed = catalog.prune(1).expect("nobody uses it");
        assert_eq!((removed.snapshots, removed.packs, removed.segments), (1, 1, 1));
        assert_eq!(batches(&catalog), [15, 25]);
        assert!(folder.path().join("snapshots").join(pack).exists());
        let kept = catalog.snapshots().expect("a folder");
        assert_eq!(kept[0].fault(), None);
        assert!(kept[1].fault().is_some_and(|why| why.contains("cannot be decompressed")));
    }

    /// A folder in which a process removes what an old snapshot had, once somebody has read its manifest.
    struct Busy(FolderStore, [String; 2]);

    impl Store for Busy {
        fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Trouble> {
            self.0.put(name, bytes)
        }

        fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool, Trouble> {
            self.0.put_if_absent(name, bytes)
        }

        fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Trouble> {
            let found = self.0.get(name);
            if self.1[0] == name {
                self.1.iter().try_for_each(|name| self.0.remove(name))?;
            }
            found
        }

        fn list(&self) -> Result<Vec<String>, Trouble> {
            self.0.list()
        }

        fn remove(&self, name: &str) -> Result<(), Trouble> {
            self.0.remove(name)
        }
    }

    #[test]
    fn what_is_removed_while_it_is_looked_at_is_no_damage() {
        let folder = folder(&[5, 15], &[0]);
        let mut catalog = Catalog::look(folder.path()).expect("a history");
        let oldest = catalog.snapshots().expect("a folder").remove(0);
        let pack = Manifest::pack_name(&oldest.manifest.expect("readable").packs[0].hash);
        let goes = [Manifest::file_name(5), pack];
        catalog.store = Box::new(Busy(FolderStore::look(&folder.path().join("snapshots")), goes));
        let kept = catalog.snapshots().expect("a folder");
        let found: Vec<_> = kept.iter().map(|kept| (kept.batch, kept.fault())).collect();
        assert_eq!(found, [(15, None)]);
    }

    #[test]
    fn nothing_goes_while_it_is_used_or_nothing_is_whole() {
        let folder = folder(&[5], &[0]);
        let catalog = Catalog::look(folder.path()).expect("a history");
        let held = lock(folder.path()).expect("nobody uses it");
        let refused = catalog.prune(1).expect_err("it is used").to_string();
        assert!(refused.contains("uses it"), "{refused}");
        drop(held);
        write(&folder, &format!("snapshots/{}", Manifest::file_name(5)), b"torn");
        let refused = catalog.prune(1).expect_err("none is whole").to_string();
        assert!(refused.contains("nothing is removed"), "{refused}");
    }
}
