//! A snapshot made from history in files, and a history that begins with one.
//!
//! engine after a replay -> `store_seed` -> a folder of its own -> `look_at_seed` -> **seed** -> `plant` -> an empty storage -> `open`
//!
//! A seed is a manifest of batch 0 with the sequence number that comes next, of no partition and no output, and its packs.
//!
//! Holds: a storage that has a history is never planted; packs are copied first, each held to its hash, and the manifest last, so that
//! whatever stops it leaves an empty history, which can be planted again.
//! Not here: whether what the source brings begins early enough (the service).

use crate::history::Standing;
use crate::open::{Opening, restore, unpack};
use crate::snapshots::Snapshots;
use crate::storage::Storage;
use crate::{By, Settings, Versions, head_of};
use cartguard_engine::batch::Engine;
use cartguard_engine::batch::snapshot::Head;
use cartguard_history::{Manifest, Tip};
use cartguard_io::{Delivered, Trouble};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A seed that fits this pipeline.
pub struct Seed {
    from: Storage,
    manifest: Manifest,
    head: Head,
}

impl Opening {
    /// What a seed says of its source.
    pub const REBUILT: &str = "rebuilt from files";

    /// Stores the state of an engine in an empty storage, as a snapshot that a history can begin with.
    pub fn store_seed(&self, storage: &Storage, engine: &mut Engine) -> Result<(), Trouble> {
        let tip = Tip { next_sequence: engine.next_sequence(), ..Tip::default() };
        if tip == Tip::default() {
            return Err(Trouble::refuse(format!("{}: no record was read; nothing is stored", storage.name)));
        }
        let settings = Settings {
            every: Duration::MAX,
            every_records: None,
            keep: 1,
            by: By::Caller,
            no_room_pause: Settings::NO_ROOM_PAUSE,
        };
        let template = self.template(engine);
        let store = Arc::clone(&storage.store);
        let mut snapshots = Snapshots::start(settings, template, Tip::default(), store, None, self.tell)?;
        snapshots.watch(&Delivered::default());
        snapshots.finish(engine, &Standing { tip, ..Standing::default() })
    }

    /// The seed that a folder holds; refused with what differs where it is not for this pipeline. `engine` makes an empty one.
    pub fn look_at_seed(
        &self,
        from: Storage,
        engine: impl Fn() -> Result<Engine, Trouble>,
    ) -> Result<Seed, Trouble> {
        let name = &from.name;
        let Some(text) = from.store.get(&Manifest::file_name(0))? else {
            return Err(Trouble::refuse(format!(
                "{name}: holds no snapshot to begin with; `cartguard rebuild` makes one"
            )));
        };
        let manifest = Manifest::of_bytes(&text);
        let manifest = manifest.map_err(|why| Trouble::refuse(format!("{name}: its manifest: {why}")))?;
        if manifest.source != Self::REBUILT {
            return Err(Trouble::refuse(format!(
                "{name}: is the data folder of a pipeline that reads {:?}; --seed-from takes what `cartguard rebuild` made",
                manifest.source
            )));
        }
        let empty = engine()?;
        self.check(name, &Manifest { source: self.source.clone(), ..manifest.clone() }, &empty)?;
        let parts: usize = manifest.packs.iter().map(|pack| pack.parts.len()).sum();
        let head = head_of(&manifest).filter(|_| parts == empty.snapshot_parts());
        let head = head.ok_or_else(|| {
            Trouble::refuse(format!("{name}: its snapshot is of another version of cartguard"))
        })?;
        Ok(Seed { from, manifest, head })
    }

    /// Begins the history of an empty storage with a seed.
    pub fn plant(&self, seed: &Seed, storage: &Storage) -> Result<(), Trouble> {
        let (store, name) = (&storage.store, &storage.name);
        let is_begun = store.list()?.iter().any(|name| Manifest::batch_of(name).is_some());
        if is_begun || !storage.segments.list()?.is_empty() {
            return Err(Trouble::refuse(format!(
                "{name}: has a history; --seed-from begins a new one in an empty folder. To go on with this one leave it out"
            )));
        }
        for pack in &seed.manifest.packs {
            let pack_name = Manifest::pack_name(&pack.hash);
            let damaged = |why| Trouble::refuse(format!("{}: its pack {pack_name} {why}", seed.from.name));
            unpack(seed.from.store.as_ref(), pack).map_err(damaged)?;
            let bytes = seed.from.store.get(&pack_name)?.ok_or_else(|| damaged("is gone".to_owned()))?;
            // In place of what an attempt before left there, whole or not.
            store.put(&pack_name, &bytes)?;
        }
        let manifest = Manifest {
            source: self.source.clone(),
            // The first batch says what decides it.
            versions: Versions::new(),
            ..seed.manifest.clone()
        };
        store.put(&Manifest::file_name(0), manifest.to_text().as_bytes())
    }
}

impl Seed {
    /// The engine besides its parts: counts, and how far its stream time is.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The sequence number that comes next.
    pub fn next_sequence(&self) -> u64 {
        self.manifest.tip.next_sequence
    }

    /// An engine as of the seed, of an empty one.
    pub fn restore(&self, mut engine: Engine) -> Result<Engine, Trouble> {
        let damaged = |why| Trouble::refuse(format!("{}: {why}", self.from.name));
        restore(self.from.store.as_ref(), &self.manifest, &engine, By::Threads, &AtomicBool::new(false))
            .map_err(damaged)?;
        engine.resume(&self.head);
        Ok(engine)
    }
}
