//! From a data folder to where its history stands: the newest whole snapshot, and what the order log has behind it.
//!
//! data folder -> **open** -> engine, history
//!
//! Holds: a snapshot of another pipeline, source or set of features is refused with what differs; one that is torn or damaged is passed by for the
//! one before, and told of; damage of the order log that is no torn end is refused.

use super::snapshots::Snapshots;
use super::{History, Standing};
use crate::config::{Config, History as Settings};
use crate::exit::Refusal;
use crate::lock::Lock;
use anyhow::{Context, bail};
use cartguard_engine::batch::Engine;
use cartguard_engine::batch::snapshot::{Head, Identity};
use cartguard_history::{Bound, LogFault, Manifest, Pack, Tip, begins_with};
use cartguard_io::{Delivered, FolderStore, Segments, Store};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What decides besides the features: name and digest each.
type Versions = Vec<(String, String)>;

/// See [`Lock`].
const LOCK: &str = "lock";

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Newest,
    /// As much as is kept.
    Oldest,
    /// With no state at all, at the first batch.
    Empty,
}

/// What a data folder holds from a snapshot on.
pub(crate) struct Found {
    pub(crate) manifest: Option<Manifest>,
    /// As of the snapshot.
    pub(crate) engine: Engine,
    /// Batches behind it.
    pub(crate) tail: Vec<Bound>,
    /// Segment and byte behind the last whole record.
    append_at: Option<(u64, u64)>,
}

/// Bound batches, and segment and byte behind the last of them.
type Tail = (Vec<Bound>, Option<(u64, u64)>);

/// How to open a history.
pub(crate) struct Opening<'a> {
    config: &'a Config,
    settings: &'a Settings,
    source: String,
    versions: Versions,
    tell: fn(&str),
}

impl<'a> Opening<'a> {
    /// `source` is what the source says of itself.
    pub(crate) fn new(
        config: &'a Config,
        settings: &'a Settings,
        source: String,
        tell: fn(&str),
    ) -> anyhow::Result<Self> {
        Ok(Self { config, settings, source, versions: versions(config)?, tell })
    }

    /// The history, and an engine as of its snapshot; `engine` makes an empty one.
    pub(crate) fn open(
        &self,
        engine: impl Fn() -> anyhow::Result<Engine>,
    ) -> anyhow::Result<(History, Engine)> {
        let folder = &self.settings.folder;
        let lock = lock(folder)?;
        let store: Arc<dyn Store> = Arc::new(FolderStore::open(&folder.join("snapshots"))?);
        let mut segments = Segments::open(&folder.join("order"), self.settings.level)?;
        let Found { manifest, engine, tail, append_at } =
            self.find(store.as_ref(), &segments, Which::Newest, &engine)?;
        if let Some((segment, bytes)) = append_at {
            segments.continue_at(segment, bytes)?;
        }
        let standing = manifest.as_ref().map(Standing::of).unwrap_or_default();
        let epoch = tail.last().map_or(standing.tip.epoch, |bound| bound.epoch) + 1;
        let template = self.template(&engine)?;
        if manifest.is_none() && tail.is_empty() {
            // An empty state, so that the folder says from the start whose it is.
            store.put(&Manifest::file_name(0), template.to_text().as_bytes())?;
        }
        let snapshots = Snapshots::start(self.config.snapshot, template, standing.tip, store, self.tell)?;
        let history = History {
            epoch,
            standing,
            segments,
            snapshots,
            delivered: Delivered::default(),
            was_begun: manifest.is_some() || !tail.is_empty(),
            tail,
            record: Vec::new(),
            tell: self.tell,
            _lock: lock,
        };
        Ok((history, engine))
    }

    /// What the folder holds from a snapshot on, without taking it for this process or changing anything in it.
    pub(crate) fn look(
        &self,
        which: Which,
        engine: impl Fn() -> anyhow::Result<Engine>,
    ) -> anyhow::Result<Found> {
        let folder = &self.settings.folder;
        if !folder.join("order").is_dir() {
            bail!(Refusal(format!("{}: holds no history", folder.display())));
        }
        let store = FolderStore::look(&folder.join("snapshots"));
        let segments = Segments::open(&folder.join("order"), self.settings.level)?;
        self.find(&store, &segments, which, &engine)
    }

    /// A snapshot, an engine as of it, and what the order log has behind it.
    fn find(
        &self,
        store: &dyn Store,
        segments: &Segments,
        which: Which,
        engine: &impl Fn() -> anyhow::Result<Engine>,
    ) -> anyhow::Result<Found> {
        let (manifest, mut engine) = match which {
            Which::Newest | Which::Oldest => self.snapshot(store, which, engine)?,
            Which::Empty => (None, engine()?),
        };
        if let Some(manifest) = manifest.as_ref().filter(|manifest| !manifest.packs.is_empty()) {
            let head: Head = serde_json::from_value(manifest.engine.clone())
                .context("the snapshot's head is of another version of cartguard")?;
            engine.resume(&head);
        }
        let from = manifest.as_ref().map_or_else(Tip::default, |manifest| manifest.tip);
        let (tail, append_at) = self.tail(segments, from)?;
        if let (Some(manifest), false) = (&manifest, tail.is_empty())
            && manifest.versions != self.versions
        {
            let list = |versions: &Versions| {
                let list: Vec<_> = versions.iter().map(|(name, digest)| format!("{name} {digest}")).collect();
                list.join(", ")
            };
            bail!(Refusal(format!(
                "{}: {} batches behind the snapshot were decided by {}, and now it would be {}; start once as before and end it with \
                 SIGTERM, then change",
                self.settings.folder.display(),
                tail.len(),
                list(&manifest.versions),
                list(&self.versions)
            )));
        }
        Ok(Found { manifest, engine, tail, append_at })
    }

    /// What every manifest of this history says: that of an empty state.
    fn template(&self, engine: &Engine) -> anyhow::Result<Manifest> {
        let Standing { tip, partitions, output_bytes } = Standing::default();
        Ok(Manifest {
            format: Manifest::FORMAT,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            pipeline: self.settings.pipeline.clone(),
            source: self.source.clone(),
            tip,
            partitions,
            output_bytes,
            packs: Vec::new(),
            engine: serde_json::Value::Null,
            identity: serde_json::to_value(engine.identity())?,
            versions: self.versions.clone(),
        })
    }

    /// The newest or oldest snapshot that is whole, and an engine restored from it, or an empty one.
    fn snapshot(
        &self,
        store: &dyn Store,
        which: Which,
        make: &impl Fn() -> anyhow::Result<Engine>,
    ) -> anyhow::Result<(Option<Manifest>, Engine)> {
        let mut names: Vec<String> =
            store.list()?.into_iter().filter(|name| Manifest::batch_of(name).is_some()).collect();
        if which == Which::Newest {
            names.reverse();
        }
        let other = if which == Which::Newest { "the one before" } else { "the next one" };
        for name in &names {
            let text = store.get(name)?.unwrap_or_default();
            let read = String::from_utf8(text).map_err(|_| "it is no text".to_owned());
            let manifest = match read.and_then(|text| Manifest::of_text(&text)) {
                Ok(manifest) => manifest,
                Err(why) => {
                    (self.tell)(&format!("snapshot {name}: {why}; {other} is used"));
                    continue;
                }
            };
            let engine = make()?;
            self.check(&manifest, &engine)?;
            if manifest.packs.is_empty() {
                // The first one, of an empty state.
                return Ok((Some(manifest), engine));
            }
            match restore(store, &manifest, &engine) {
                Ok(()) => return Ok((Some(manifest), engine)),
                Err(why) => (self.tell)(&format!("snapshot {name}: {why}; {other} is used")),
            }
        }
        if names.is_empty() {
            return Ok((None, make()?));
        }
        bail!(Refusal(format!(
            "{}: none of its {} snapshots can be used",
            self.settings.folder.display(),
            names.len()
        )))
    }

    /// Whether a snapshot is of this pipeline.
    fn check(&self, manifest: &Manifest, engine: &Engine) -> anyhow::Result<()> {
        let folder = self.settings.folder.display();
        for (what, was, is) in [
            ("pipeline", &manifest.pipeline, &self.settings.pipeline),
            ("source", &manifest.source, &self.source),
        ] {
            if was != is {
                bail!(Refusal(format!(
                    "{folder}: its snapshots are of the {what} {was:?}, and this is {is:?}"
                )));
            }
        }
        let identity: Identity = serde_json::from_value(manifest.identity.clone())
            .context("the snapshot is of another version of cartguard")?;
        let differences = identity.differences(&engine.identity());
        if !differences.is_empty() {
            bail!(Refusal(format!(
                "{folder}: its snapshots are of another configuration:\n  {}\n`cartguard rebuild` makes a snapshot for this one from history",
                differences.join("\n  ")
            )));
        }
        Ok(())
    }

    /// What the order log has behind a snapshot, and where it ends: a segment and the bytes of it that are whole.
    fn tail(&self, segments: &Segments, from: Tip) -> anyhow::Result<Tail> {
        let list = segments.list()?;
        let first = list.iter().rposition(|&first| first <= from.batch).unwrap_or(0);
        let mut tail = Vec::new();
        let mut append_at = None;
        let mut tip: Option<Tip> = None;
        for (number, &name) in list.iter().enumerate().skip(first) {
            let bytes = segments.read(name)?;
            let path = segments.path_of(name);
            let damaged = |why: String| Refusal(format!("{}: {why}", path.display()));
            let is_last = number + 1 == list.len();
            let mut at = 0;
            let Some(mut standing) = tip.or_else(|| begins_with(&bytes)) else {
                // Not even its first record is whole: torn, if nothing whole follows.
                match Tip::default().read(&bytes, 0) {
                    Ok(_) | Err(LogFault::Torn(_)) if is_last => {
                        append_at = Some((name, 0));
                        break;
                    }
                    Err(fault) => bail!(damaged(fault.to_string())),
                    Ok(_) => bail!(damaged("is empty, and a segment follows it".to_owned())),
                }
            };
            if standing.batch > from.batch && tail.is_empty() {
                bail!(damaged(format!(
                    "begins with batch {}, and the snapshot ends before batch {}: segments between were removed",
                    standing.batch, from.batch
                )));
            }
            loop {
                if standing.batch == from.batch && standing.chain != from.chain && tail.is_empty() {
                    bail!(damaged(format!("batch {} does not follow the snapshot", from.batch)));
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
                            "{}: its last record is torn and was never released; it ends at byte {at}",
                            path.display()
                        ));
                        break;
                    }
                    Err(fault) => bail!(damaged(fault.to_string())),
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

/// Every part of a snapshot into an engine, by several threads.
fn restore(store: &dyn Store, manifest: &Manifest, engine: &Engine) -> Result<(), String> {
    let parts: usize = manifest.packs.iter().map(|pack| pack.parts.len()).sum();
    if parts != engine.snapshot_parts() {
        return Err(format!("it has {parts} parts of {}", engine.snapshot_parts()));
    }
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<String>> = Mutex::new(None);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(pack) = manifest.packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = restore_pack(store, pack, engine) {
                        let why = format!("its pack {} {why}", Manifest::pack_name(&pack.hash));
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
pub(super) fn unpack(store: &dyn Store, pack: &Pack) -> Result<Vec<u8>, String> {
    let packed = store.get(&Manifest::pack_name(&pack.hash)).map_err(|e| e.to_string())?.ok_or("is gone")?;
    let bytes = zstd::bulk::decompress(&packed, pack.bytes as usize)
        .map_err(|e| format!("cannot be decompressed: {e}"))?;
    if blake3::hash(&bytes).to_string() != pack.hash {
        return Err("is damaged: its hash does not fit".to_owned());
    }
    Ok(bytes)
}

/// Takes the folder for this process, until it ends.
pub(super) fn lock(folder: &Path) -> anyhow::Result<Lock> {
    fs::create_dir_all(folder).with_context(|| format!("{}: the folder cannot be made", folder.display()))?;
    Lock::take(folder, LOCK, "uses it")
}

/// What decides besides the features.
fn versions(config: &Config) -> anyhow::Result<Versions> {
    let model = match &config.model {
        None => "none".to_owned(),
        Some(folder) => {
            let path = folder.join("manifest.toml");
            let bytes = fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
            blake3::hash(&bytes).to_string()
        }
    };
    Ok(vec![
        ("model".to_owned(), model),
        ("output".to_owned(), format!("{:?}", config.output)),
        ("reasons".to_owned(), format!("{:?}", config.reasons)),
    ])
}
