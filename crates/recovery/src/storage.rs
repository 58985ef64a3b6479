//! Where a history lies: its snapshots, its order log, and the right to use them.

use crate::versions;
use cartguard_history::{Change, Manifest, begins_with};
use cartguard_io::disk::{LocalDisk, make_folder};
use cartguard_io::{FolderSegments, FolderStore, Level, Lock, Segments, Store, Trouble};
use std::path::Path;
use std::sync::Arc;

/// See [`Lock`].
const LOCK: &str = "lock";

/// See the module.
pub struct Storage {
    /// For messages.
    pub(crate) name: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) segments: Box<dyn Segments>,
    /// Held until the end, by whoever writes.
    pub(crate) lock: Option<Lock>,
}

impl Storage {
    /// A data folder for this process alone, made where it is absent.
    pub fn open(folder: &Path, level: Level) -> Result<Self, Trouble> {
        let lock = lock(folder)?;
        Ok(Self {
            name: folder.display().to_string(),
            store: Arc::new(FolderStore::open(&folder.join("snapshots"))?),
            segments: Box::new(FolderSegments::open(&folder.join("order"), level)?),
            lock: Some(lock),
        })
    }

    /// A data folder that another process may be using, for reading.
    pub fn look(folder: &Path) -> Result<Self, Trouble> {
        Ok(Self {
            name: folder.display().to_string(),
            store: Arc::new(FolderStore::look(&folder.join("snapshots"))),
            segments: Box::new(segments_of(folder)?),
            lock: None,
        })
    }

    /// What a thing was when the last batch was bound, as far as what lies there can say. Damage is for whoever opens it to tell.
    pub fn last_version(&self, name: &str) -> Result<Option<String>, Trouble> {
        let mut begun = (0, None);
        for file in self.store.list()?.iter().rev().filter(|file| Manifest::batch_of(file).is_some()) {
            let bytes = self.store.get(file)?;
            if let Some(manifest) = bytes.and_then(|bytes| Manifest::of_bytes(&bytes).ok()) {
                begun = (manifest.tip.batch, versions::get(&manifest.versions, name).map(str::to_owned));
                break;
            }
        }
        let (from, mut last) = begun;
        let list = self.segments.list()?;
        let first = list.iter().rposition(|&first| first <= from).unwrap_or(0);
        for &segment in &list[first..] {
            let bytes = self.segments.read(segment)?;
            let Some(mut tip) = begins_with(&bytes) else { continue };
            let mut at = 0;
            while let Ok(Some((bound, next))) = tip.read(&bytes, at) {
                at = next;
                let changes = bound.changes.into_iter().filter(|_| bound.batch >= from);
                last = changes.fold(last, |last, change| match change {
                    Change::Version { name: of, is } if of == name => Some(is),
                    Change::Version { .. }
                    | Change::Open(_)
                    | Change::Finish { .. }
                    | Change::Gap { .. }
                    | Change::Quiet { .. } => last,
                });
            }
        }
        Ok(last)
    }

    /// Any other; nobody else may write there.
    pub fn of(name: &str, store: Arc<dyn Store>, segments: Box<dyn Segments>) -> Self {
        Self { name: name.to_owned(), store, segments, lock: None }
    }
}

/// The order log of a data folder that is there.
pub(crate) fn segments_of(folder: &Path) -> Result<FolderSegments, Trouble> {
    let order = folder.join("order");
    if !order.is_dir() {
        return Err(Trouble::refused(folder, "holds no history"));
    }
    Ok(FolderSegments::look(&order))
}

/// Takes a data folder for this process, until it ends.
pub(crate) fn lock(folder: &Path) -> Result<Lock, Trouble> {
    make_folder(&LocalDisk, folder)
        .map_err(|e| Trouble::at(folder, "the folder cannot be made").because(e))?;
    Lock::take(folder, LOCK, "uses it")
}
