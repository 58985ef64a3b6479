//! What a data folder holds, told without an engine, and what of it may go.
//!
//! data folder -> **catalog** -> `snapshot list`, `inspect`, `prune`
//!
//! Holds: looking changes nothing; what goes is never the newest whole snapshot, nor anything that a kept one needs.
//! Not here: what the state says (the engine).

use crate::retention::{self, Gone, Kept, Packs};
use crate::storage::{lock, segments_of};
use cartguard_engine::batch::snapshot::Head;
use cartguard_history::{LogFault, Manifest, Tip, begins_with};
use cartguard_io::{FolderSegments, FolderStore, Segments as _, Store, Trouble};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The snapshots and the order log of a folder.
pub struct Catalog {
    folder: PathBuf,
    store: Box<dyn Store>,
    segments: FolderSegments,
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
        retention::snapshots(self.store.as_ref(), Packs::Checked)
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
    /// newer than that stays, for whoever wants to know why. What cannot be removed is told with it.
    pub fn prune(&self, keep: usize) -> Result<(Removed, Vec<Trouble>), Trouble> {
        let _lock = lock(&self.folder)?;
        let store = self.store.as_ref();
        let kept = self.snapshots()?;
        if let Some(newer) = kept.iter().find(|one| one.is_newer) {
            let (name, why) = (Manifest::file_name(newer.batch), newer.fault().unwrap_or_default());
            return Err(Trouble::refused(
                &self.folder,
                format!("nothing is removed: nobody can say what its snapshot {name} needs: {why}"),
            ));
        }
        let Some(goes) = retention::going(store, &kept, keep)? else {
            return Err(Trouble::refused(&self.folder, "has no whole snapshot; nothing is removed"));
        };
        let size = |name: &String| {
            fs::metadata(self.folder.join("snapshots").join(name)).map_or(0, |file| file.len())
        };
        let sizes: BTreeMap<&String, u64> = goes.packs.iter().map(|pack| (pack, size(pack))).collect();
        let (segments, log_bytes) = self.log_size()?;
        let Gone { manifests, packs, mut faults } = retention::remove(store, &goes);
        if faults.is_empty() {
            faults.extend(self.segments.remove_before(goes.log_before).err());
        }
        let (segments_left, log_bytes_left) = self.log_size()?;
        let removed = Removed {
            snapshots: manifests,
            packs: packs.len(),
            segments: segments - segments_left,
            bytes: packs.iter().filter_map(|pack| sizes.get(pack)).sum::<u64>() + log_bytes - log_bytes_left,
        };
        Ok((removed, faults))
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
        let (removed, _) = catalog.prune(2).expect("nobody uses it");
        assert_eq!((removed.snapshots, removed.packs, removed.segments), (1, 1, 1));
        assert_eq!(batches(&catalog), [15, 25]);
        assert_eq!(catalog.segments.list().expect("a folder"), [10, 20, 30], "15 is in the second");
        assert_eq!(catalog.prune(2).expect("nobody uses it").0, Removed::default());
    }

    #[test]
    fn the_newest_whole_one_stays_and_a_damaged_newer_one_keeps_its_packs() {
        let folder = folder(&[5, 15, 25], &[0, 10, 20]);
        let catalog = Catalog::look(folder.path()).expect("a history");
        let newest = catalog.snapshots().expect("a folder").pop().expect("three");
        let pack = Manifest::pack_name(&newest.manifest.expect("readable").packs[0].hash);
        write(&folder, &format!("snapshots/{pack}"), b"no pack");
        let (removed, _) = catalog.prune(1).expect("nobody uses it");
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

    /// A folder of which some things cannot be read, and some not be removed.
    struct Barred {
        store: FolderStore,
        unread: Vec<String>,
        unremoved: Vec<String>,
    }

    fn pass(barred: &[String], name: &str) -> Result<(), Trouble> {
        let is_barred = barred.iter().any(|barred| barred == name);
        if is_barred { Err(Trouble::stop(format!("{name}: permission denied"))) } else { Ok(()) }
    }

    fn barred(folder: &tempfile::TempDir, unread: Vec<String>, unremoved: Vec<String>) -> Catalog {
        let mut catalog = Catalog::look(folder.path()).expect("a history");
        let store = FolderStore::look(&folder.path().join("snapshots"));
        catalog.store = Box::new(Barred { store, unread, unremoved });
        catalog
    }

    impl Store for Barred {
        fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Trouble> {
            self.store.put(name, bytes)
        }

        fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool, Trouble> {
            self.store.put_if_absent(name, bytes)
        }

        fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Trouble> {
            pass(&self.unread, name).and_then(|()| self.store.get(name))
        }

        fn list(&self) -> Result<Vec<String>, Trouble> {
            self.store.list()
        }

        fn remove(&self, name: &str) -> Result<(), Trouble> {
            pass(&self.unremoved, name).and_then(|()| self.store.remove(name))
        }
    }

    fn pack_of(batch: u64) -> String {
        Manifest::pack_name(&blake3::hash(batch.to_string().as_bytes()).to_string())
    }

    #[test]
    fn every_fault_is_named_and_what_nobody_can_read_takes_nothing_with_it() {
        let folder = folder(&[5, 15, 25, 35, 45], &[0]);
        write(&folder, &format!("snapshots/{}", Manifest::file_name(15)), b"torn");
        fs::remove_file(folder.path().join("snapshots").join(pack_of(25))).expect("it is there");
        let catalog = barred(&folder, vec![Manifest::file_name(35)], Vec::new());
        let kept = catalog.snapshots().expect("a folder");
        let faults: Vec<_> =
            kept.iter().map(|one| (one.batch, one.fault().unwrap_or("").to_owned())).collect();
        assert_eq!(faults.len(), 5);
        for ((batch, fault), part) in faults.iter().zip(["", "torn", "is gone", "permission denied", ""]) {
            assert!(fault.contains(part) && fault.is_empty() == part.is_empty(), "{batch}: {fault}");
        }
        let (removed, told) = catalog.prune(1).expect("nobody uses it");
        assert_eq!((removed.snapshots, removed.packs), (1, 1));
        assert!(told.is_empty());
        // Whose the pack of 35 is nobody can say while its manifest cannot be read; nor is that of 15 known to be nobody's.
        for batch in [15, 35, 45] {
            assert!(folder.path().join("snapshots").join(pack_of(batch)).exists(), "{batch}");
        }
        assert!(!folder.path().join("snapshots").join(pack_of(5)).exists());
    }

    #[test]
    fn what_cannot_be_removed_is_named_and_the_rest_goes() {
        let folder = folder(&[5, 15, 25], &[0, 10, 20]);
        let (removed, told) =
            barred(&folder, Vec::new(), vec![Manifest::file_name(5)]).prune(1).expect("free");
        assert_eq!(
            (removed.snapshots, removed.packs, removed.segments),
            (1, 0, 0),
            "packs and log may be 5's"
        );
        assert!(told.len() == 1 && told[0].to_string().contains(&Manifest::file_name(5)), "{told:?}");
        let (removed, told) = barred(&folder, Vec::new(), vec![pack_of(5)]).prune(1).expect("free");
        assert_eq!((removed.snapshots, removed.packs, removed.segments), (1, 1, 0), "15's pack was left");
        assert!(told.len() == 1 && told[0].to_string().contains(&pack_of(5)), "{told:?}");
        let catalog = Catalog::look(folder.path()).expect("a history");
        let (removed, told) = catalog.prune(1).expect("free");
        assert_eq!((removed.snapshots, removed.packs, removed.segments), (0, 1, 2));
        assert!(told.is_empty());
        assert_eq!(batches(&catalog), [25]);
    }

    #[test]
    fn beside_a_snapshot_of_a_later_version_nothing_goes() {
        let folder = folder(&[5, 15, 25], &[0, 10, 20]);
        let catalog = Catalog::look(folder.path()).expect("a history");
        let newest = catalog.snapshots().expect("a folder").pop().expect("three");
        let later = Manifest { format: Manifest::FORMAT + 1, ..newest.manifest.expect("readable") };
        write(&folder, &format!("snapshots/{}", Manifest::file_name(25)), later.to_text().as_bytes());
        let refused = catalog.prune(1).expect_err("a later one").to_string();
        assert!(refused.contains("nothing is removed") && refused.contains("has format 2"), "{refused}");
        assert_eq!(batches(&catalog), [5, 15, 25]);
        assert!(folder.path().join("snapshots").join(pack_of(5)).exists());
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
