//! From a storage to where its history stands: the newest whole snapshot, and what the order log has behind it.
//!
//! storage -> **open** -> engine, history
//!
//! Holds: a snapshot of another pipeline, source or set of features is refused with what differs; one that is torn or damaged is passed by for the
//! one before, and told of; damage of the order log that is no torn end is refused.

use crate::history::{History, Standing};
use crate::snapshots::Snapshots;
use crate::storage::Storage;
use crate::versions::{self, MODEL, Models, Versions};
use crate::{By, Settings};
use cartguard_engine::batch::snapshot::{Head, Identity};
use cartguard_engine::batch::{Engine, Scorer};
use cartguard_history::{Bound, Change, LogFault, Manifest, ManifestFault, Pack, Tip, begins_with};
use cartguard_io::{Delivered, Segments, Store, Trouble};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Newest,
    /// As much as is kept.
    Oldest,
    /// The one before this batch, and no other: for the simulator, which goes on from each that is kept.
    At(u64),
    /// As the given engine is, at the first batch.
    Empty,
}

/// What a storage holds from a snapshot on.
pub struct Found {
    pub manifest: Option<Manifest>,
    /// As of the snapshot.
    pub engine: Engine,
    /// The model that decides now; the engine has the one that decided then.
    pub(crate) scorer: Option<Arc<Scorer>>,
    /// Batches behind it.
    pub tail: Vec<Bound>,
    /// Segment and byte behind the last whole record.
    append_at: Option<(u64, u64)>,
}

/// Bound batches, and segment and byte behind the last of them.
type Tail = (Vec<Bound>, Option<(u64, u64)>);

/// Whose history it is, and how it is told what is found.
pub struct Opening {
    /// Name of the pipeline.
    pub pipeline: String,
    /// What the source says of itself.
    pub source: String,
    /// What decides now.
    pub versions: Versions,
    /// Those that decided before.
    pub models: Arc<dyn Models>,
    /// Who restores a snapshot.
    pub by: By,
    pub tell: fn(&str),
    /// Set once all is to end: what is being restored is left then.
    pub stop: Arc<AtomicBool>,
}

impl Opening {
    /// The history, and an engine as of its snapshot; `engine` makes an empty one.
    pub fn open(
        &self,
        storage: Storage,
        settings: Settings,
        engine: impl Fn() -> Result<Engine, Trouble>,
    ) -> Result<(History, Engine), Trouble> {
        let Found { manifest, engine, scorer, tail, append_at } =
            self.find(&storage, Which::Newest, &engine)?;
        let Storage { store, mut segments, lock, .. } = storage;
        if let Some((segment, bytes)) = append_at {
            segments.continue_at(segment, bytes)?;
        }
        let standing = manifest.as_ref().map(Standing::of).unwrap_or_default();
        let epoch = tail.last().map_or(standing.tip.epoch, |bound| bound.epoch) + 1;
        let template = self.template(&engine);
        if manifest.is_none() && tail.is_empty() {
            // An empty state, so that the storage says from the start whose it is.
            store.put(&Manifest::file_name(0), template.to_text().as_bytes())?;
        }
        let old = Some(segments.beside());
        let snapshots = Snapshots::start(settings, template, standing.tip, store, old, self.tell)?;
        let history = History {
            epoch,
            standing,
            segments,
            snapshots,
            versions: self.versions.clone(),
            models: Arc::clone(&self.models),
            scorer,
            delivered: Delivered::default(),
            was_begun: manifest.is_some() || !tail.is_empty(),
            tail,
            record: Vec::new(),
            no_room_pause: settings.no_room_pause,
            no_room: Arc::default(),
            tell: self.tell,
            _lock: lock,
        };
        Ok((history, engine))
    }

    /// What the storage holds from a snapshot on; changes nothing in it.
    pub fn look(
        &self,
        storage: &Storage,
        which: Which,
        engine: impl Fn() -> Result<Engine, Trouble>,
    ) -> Result<Found, Trouble> {
        self.find(storage, which, &engine)
    }

    /// A snapshot, an engine as of it, and what the order log has behind it.
    fn find(
        &self,
        storage: &Storage,
        which: Which,
        engine: &impl Fn() -> Result<Engine, Trouble>,
    ) -> Result<Found, Trouble> {
        let (manifest, mut engine) = match which {
            Which::Newest | Which::Oldest | Which::At(_) => self.snapshot(storage, which, engine)?,
            Which::Empty => (None, engine()?),
        };
        if let Some(manifest) = manifest.as_ref().filter(|manifest| !manifest.packs.is_empty()) {
            let head: Head = serde_json::from_value(manifest.engine.clone()).map_err(|why| {
                Trouble::stop("the snapshot's head is of another version of cartguard").because(why)
            })?;
            engine.resume(&head);
        }
        let from = manifest.as_ref().map_or_else(Tip::default, |manifest| manifest.tip);
        let (tail, append_at) = self.tail(storage.segments.as_ref(), from)?;
        if let Some(first) = tail.first().filter(|first| {
            which == Which::Empty && first.batch == 0 && first.first_sequence != engine.next_sequence()
        }) {
            return Err(Trouble::refuse(format!(
                "{}: its first batch begins with sequence number {}, and the state with {}: the history began with a snapshot that \
                 `cartguard rebuild` made, which --seed-from names",
                storage.name,
                first.first_sequence,
                engine.next_sequence()
            )));
        }
        let scorer = engine.scorer();
        if !tail.is_empty() {
            let began = manifest.as_ref().map_or_else(Versions::new, |manifest| manifest.versions.clone());
            self.check_versions(&storage.name, &began, &tail)?;
            if let Some(model) = versions::get(&began, MODEL)
                && versions::get(&self.versions, MODEL) != Some(model)
            {
                engine.set_scorer(self.models.load(model)?);
            }
        }
        Ok(Found { manifest, engine, scorer, tail, append_at })
    }

    /// Whether the tail can be decided again: models come back by name, of anything else there is what is configured.
    fn check_versions(&self, storage: &str, began: &Versions, tail: &[Bound]) -> Result<(), Trouble> {
        let later = tail.iter().flat_map(|bound| &bound.changes).filter_map(|change| match change {
            Change::Version { name, is } => Some((name, is)),
            _ => None,
        });
        let mut decided = began.iter().map(|(name, is)| (name, is)).chain(later);
        let other = decided.find(|(name, is)| {
            *name != MODEL && versions::get(&self.versions, name).is_some_and(|now| now != is.as_str())
        });
        let Some((name, is)) = other else { return Ok(()) };
        let now = versions::get(&self.versions, name).unwrap_or_default();
        Err(Trouble::refuse(format!(
            "{storage}: {} batches behind the snapshot were decided with {name} = {is}, and now it would be {now}; start once as before \
             and end it with SIGTERM, then change",
            tail.len()
        )))
    }

    /// What every manifest of this history says: that of an empty state.
    pub(crate) fn template(&self, engine: &Engine) -> Manifest {
        let Standing { tip, partitions, output_bytes, versions } = Standing::default();
        Manifest {
            format: Manifest::FORMAT,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            pipeline: self.pipeline.clone(),
            source: self.source.clone(),
            tip,
            partitions,
            output_bytes,
            packs: Vec::new(),
            engine: serde_json::Value::Null,
            identity: serde_json::to_value(engine.identity()).expect("an identity is plain data"),
            versions,
        }
    }

    /// The newest or oldest snapshot that is whole, or the one that is wanted, and an engine restored from it, or an empty one.
    fn snapshot(
        &self,
        storage: &Storage,
        which: Which,
        make: &impl Fn() -> Result<Engine, Trouble>,
    ) -> Result<(Option<Manifest>, Engine), Trouble> {
        let store = storage.store.as_ref();
        let mut names: Vec<String> =
            store.list()?.into_iter().filter(|name| Manifest::batch_of(name).is_some()).collect();
        let unusable = |name: &str, why: &dyn fmt::Display| {
            Trouble::refuse(format!("{}: its snapshot {name}: {why}", storage.name))
        };
        match which {
            Which::Newest => names.reverse(),
            Which::Oldest => {
                // Who begins with an old one never comes to a later version's.
                for name in &names {
                    let text = store.get(name)?.unwrap_or_default();
                    if let Err(why @ ManifestFault::Newer { .. }) = Manifest::of_bytes(&text) {
                        return Err(unusable(name, &why));
                    }
                }
            }
            Which::At(batch) => names.retain(|name| Manifest::batch_of(name) == Some(batch)),
            Which::Empty => names.clear(),
        }
        let pass_by = |name: &str, why: &dyn fmt::Display| {
            let other = match which {
                Which::Newest => "the one before",
                Which::Oldest => "the next one",
                // There is no other.
                Which::At(_) | Which::Empty => return Err(unusable(name, why)),
            };
            (self.tell)(&format!("snapshot {name}: {why}; {other} is used"));
            Ok(())
        };
        for name in &names {
            let text = store.get(name)?.unwrap_or_default();
            let manifest = match Manifest::of_bytes(&text) {
                Ok(manifest) => manifest,
                // Not passed by: it is whole, and what is before it may be needed by it.
                Err(why @ ManifestFault::Newer { .. }) => return Err(unusable(name, &why)),
                Err(why) => {
                    pass_by(name, &why)?;
                    continue;
                }
            };
            let engine = make()?;
            self.check(&storage.name, &manifest, &engine)?;
            if manifest.packs.is_empty() {
                // The first one, of an empty state.
                return Ok((Some(manifest), engine));
            }
            match restore(store, &manifest, &engine, self.by, &self.stop) {
                Ok(()) => return Ok((Some(manifest), engine)),
                Err(_) if self.stop.load(Ordering::Relaxed) => {
                    return Err(Trouble::over(format!("snapshot {name} was restored")));
                }
                Err(why) => pass_by(name, &why)?,
            }
        }
        let name = &storage.name;
        if names.is_empty() {
            return match which {
                Which::At(batch) => {
                    Err(Trouble::refuse(format!("{name}: holds no snapshot before batch {batch}")))
                }
                Which::Newest | Which::Oldest | Which::Empty => Ok((None, make()?)),
            };
        }
        Err(Trouble::refuse(format!("{name}: none of its {} snapshots can be used", names.len())))
    }

    /// Whether a snapshot is of this pipeline.
    pub(crate) fn check(&self, name: &str, manifest: &Manifest, engine: &Engine) -> Result<(), Trouble> {
        for (what, was, is) in
            [("pipeline", &manifest.pipeline, &self.pipeline), ("source", &manifest.source, &self.source)]
        {
            if was != is {
                let what = format!("{name}: its snapshots are of the {what} {was:?}, and this is {is:?}");
                return Err(Trouble::refuse(what));
            }
        }
        let identity: Identity = serde_json::from_value(manifest.identity.clone())
            .map_err(|why| Trouble::stop("the snapshot is of another version of cartguard").because(why))?;
        let differences = identity.differences(&engine.identity());
        if !differences.is_empty() {
            return Err(Trouble::refuse(format!(
                "{name}: its snapshots are of another configuration:\n  {}\n`cartguard rebuild` makes a snapshot for this one from history",
                differences.join("\n  ")
            )));
        }
        Ok(())
    }

    /// What the order log has behind a snapshot, and where it ends: a segment and the bytes of it that are whole.
    fn tail(&self, segments: &dyn Segments, from: Tip) -> Result<Tail, Trouble> {
        let list = segments.list()?;
        let first = list.iter().rposition(|&first| first <= from.batch).unwrap_or(0);
        let mut tail = Vec::new();
        let mut append_at = None;
        let mut tip: Option<Tip> = None;
        for (number, &name) in list.iter().enumerate().skip(first) {
            let bytes = segments.read(name)?;
            let path = segments.name_of(name);
            let damaged = |why: String| Err(Trouble::refuse(format!("{path}: {why}")));
            let is_last = number + 1 == list.len();
            let mut at = 0;
            let Some(mut standing) = tip.or_else(|| begins_with(&bytes)) else {
                // Not even its first record is whole: torn, if nothing whole follows.
                match Tip::default().read(&bytes, 0) {
                    Ok(_) | Err(LogFault::Torn(_)) if is_last => {
                        append_at = Some((name, 0));
                        break;
                    }
                    Err(fault) => return damaged(fault.to_string()),
                    Ok(_) => return damaged("is empty, and a segment follows it".to_owned()),
                }
            };
            if standing.batch > from.batch && tail.is_empty() {
                return damaged(format!(
                    "begins with batch {}, and the snapshot ends before batch {}: segments between were removed",
                    standing.batch, from.batch
                ));
            }
            loop {
                if standing.batch == from.batch && standing.chain != from.chain && tail.is_empty() {
                    return damaged(format!("batch {} does not follow the snapshot", from.batch));
                }
                match standing.read(&bytes, at) {
                    Ok(Some((bound, next))) => {
                        at = next;
                        if bound.batch >= from.batch {
                            tail.push(bound);
                        }
                    }
                    Ok(None) => break,
                    Err(LogFault::Torn(_)) if is_last => {
                        (self.tell)(&format!(
                            "{path}: its last record is torn and was never released; it ends at byte {at}"
                        ));
                        break;
                    }
                    Err(fault) => return damaged(fault.to_string()),
                }
            }
            // A log that ends before the snapshot was lost with the machine; the snapshot has it all.
            if is_last && standing.batch >= from.batch {
                append_at = Some((name, at as u64));
            }
            tip = Some(standing);
        }
        Ok((tail, append_at))
    }
}

/// Every part of a snapshot into an engine, by several threads unless the caller is to do it.
pub(crate) fn restore(
    store: &dyn Store,
    manifest: &Manifest,
    engine: &Engine,
    by: By,
    stop: &AtomicBool,
) -> Result<(), String> {
    let parts: usize = manifest.packs.iter().map(|pack| pack.parts.len()).sum();
    if parts != engine.snapshot_parts() {
        return Err(format!("it has {parts} parts of {}", engine.snapshot_parts()));
    }
    if by == By::Caller {
        return manifest.packs.iter().try_for_each(|pack| restore_pack(store, pack, engine));
    }
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<String>> = Mutex::new(None);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(pack) = manifest.packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let is_over = stop.load(Ordering::Relaxed);
                    let restored =
                        if is_over { Err("was left".to_owned()) } else { restore_pack(store, pack, engine) };
                    if let Err(why) = restored {
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                        return;
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn restore_pack(store: &dyn Store, pack: &Pack, engine: &Engine) -> Result<(), String> {
    restore_parts(store, pack, engine)
        .map_err(|why| format!("its pack {} {why}", Manifest::pack_name(&pack.hash)))
}

fn restore_parts(store: &dyn Store, pack: &Pack, engine: &Engine) -> Result<(), String> {
    let bytes = unpack(store, pack)?;
    let mut rest = &bytes[..];
    for (name, length) in &pack.parts {
        let (part, behind) = rest.split_at_checked(*length as usize).ok_or("is shorter than its parts")?;
        engine.restore_part(part).map_err(|why| format!("with {name}: {why}"))?;
        rest = behind;
    }
    Ok(())
}

/// The bytes of a pack, held to its hash; what is wrong with it otherwise.
pub(crate) fn unpack(store: &dyn Store, pack: &Pack) -> Result<Vec<u8>, String> {
    let packed = store.get(&Manifest::pack_name(&pack.hash)).map_err(|e| e.to_string())?.ok_or("is gone")?;
    let bytes = zstd::bulk::decompress(&packed, pack.bytes as usize)
        .map_err(|e| format!("cannot be decompressed: {e}"))?;
    if blake3::hash(&bytes).to_string() != pack.hash {
        return Err("is damaged: its hash does not fit".to_owned());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct NoModels;

    impl Models for NoModels {
        fn load(&self, _: &str) -> Result<Option<Arc<Scorer>>, Trouble> {
            unreachable!("nothing is decided")
        }
    }

    #[test]
    fn a_wanted_snapshot_that_is_damaged_is_told_of_by_its_own_fault() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["order", "snapshots"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        for batch in [5, 15] {
            let path = folder.path().join("snapshots").join(Manifest::file_name(batch));
            fs::write(path, "no manifest").expect("written");
        }
        let opening = Opening {
            pipeline: "shop".to_owned(),
            source: "files".to_owned(),
            versions: Versions::new(),
            models: Arc::new(NoModels),
            by: By::Caller,
            tell: |text| panic!("no other is used: {text}"),
            stop: Arc::default(),
        };
        let storage = Storage::look(folder.path()).expect("a history");
        let found = opening.look(&storage, Which::At(5), || unreachable!("nothing to restore"));
        let trouble = found.err().expect("damaged").to_string();
        let fault = Manifest::of_bytes(b"no manifest").expect_err("damaged");
        assert!(trouble.ends_with(&format!("snapshot {}: {fault}", Manifest::file_name(5))), "{trouble}");
    }
}
