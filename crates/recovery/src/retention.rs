//! What a store holds, and what of it may go: the one rule for whoever clears up, a running process or `snapshot prune`.
//!
//! store -> `snapshots` -> **retention** -> `writer`, `catalog`
//!
//! Holds: manifests go first, then the packs that no manifest which stays names; a manifest that cannot be read just now may name any, so that
//! beside one only packs go that a manifest names which goes. What cannot be read or removed is named, and the rest goes on.
//! Not here: which are kept (`cartguard_history::Retention`), the order log.

use crate::open::unpack;
use cartguard_history::{Manifest, ManifestFault, Retention};
use cartguard_io::{Store, Trouble};
use std::collections::BTreeSet;
use std::error::Error as _;

/// A snapshot, as far as it can be read.
pub struct Kept {
    pub batch: u64,
    /// What is wrong with the manifest otherwise.
    pub manifest: Result<Manifest, String>,
    /// What is wrong with its packs.
    pub damage: Option<String>,
    /// The manifest is there, and cannot be read by now, or not by this version: it may be whole.
    pub is_unreadable: bool,
    /// It is of a later version.
    pub is_newer: bool,
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

/// Whether packs are read and held to their hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packs {
    Checked,
    Trusted,
}

/// All snapshots, oldest first.
pub(crate) fn snapshots(store: &dyn Store, packs: Packs) -> Result<Vec<Kept>, Trouble> {
    let mut kept = Vec::new();
    // Snapshots share no packs often enough to be worth more than their names.
    let mut whole = BTreeSet::new();
    for name in store.list()? {
        let Some(batch) = Manifest::batch_of(&name) else { continue };
        let text = match store.get(&name) {
            Ok(Some(text)) => text,
            // A process that uses the folder may have removed it just now.
            Ok(None) => continue,
            Err(trouble) => {
                let manifest = Err(in_full(&trouble));
                kept.push(Kept { batch, manifest, damage: None, is_unreadable: true, is_newer: false });
                continue;
            }
        };
        let manifest = Manifest::of_bytes(&text);
        let is_newer = matches!(manifest, Err(ManifestFault::Newer { .. }));
        let manifest = manifest.map_err(|why| why.to_string());
        let named = manifest.iter().flat_map(|manifest| &manifest.packs);
        let mut faults = Vec::new();
        for pack in named.filter(|_| packs == Packs::Checked) {
            if whole.contains(&pack.hash) {
                continue;
            }
            match unpack(store, pack) {
                Ok(_) => drop(whole.insert(pack.hash.clone())),
                Err(why) => faults.push(format!("its pack {} {why}", Manifest::pack_name(&pack.hash))),
            }
        }
        let damage = (!faults.is_empty()).then(|| faults.join("; "));
        // Packs go after their manifest: one that is gone with it was removed while we read, by a process that uses the folder.
        if damage.is_none() || !matches!(store.get(&name), Ok(None)) {
            kept.push(Kept { batch, manifest, damage, is_unreadable: is_newer, is_newer });
        }
    }
    Ok(kept)
}

/// What may go so that the newest `keep` whole snapshots stay, and everything that is newer; none where nothing is whole.
pub(crate) fn going(store: &dyn Store, kept: &[Kept], keep: usize) -> Result<Option<Retention>, Trouble> {
    let manifests: Vec<Manifest> = kept.iter().filter_map(Kept::whole).cloned().collect();
    if manifests.is_empty() {
        return Ok(None);
    }
    let names = store.list()?;
    let packs: Vec<String> = names.into_iter().filter(|name| name.strip_suffix(".pack").is_some()).collect();
    let mut goes = Retention::of(&manifests, &packs, keep);
    let named = |goes_too: bool| -> BTreeSet<String> {
        let some = kept.iter().filter(|one| goes.manifests.contains(&one.batch) == goes_too);
        let packs = some.flat_map(|one| one.manifest.iter().flat_map(|manifest| &manifest.packs));
        packs.map(|pack| Manifest::pack_name(&pack.hash)).collect()
    };
    // A damaged one may be damaged for a moment only: its packs stay with it.
    let (stays, went) = (named(false), named(true));
    let is_blind = kept.iter().any(|one| one.is_unreadable);
    goes.packs.retain(|pack| !stays.contains(pack) && (!is_blind || went.contains(pack)));
    Ok(Some(goes))
}

/// What a removal came to.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    pub(crate) manifests: usize,
    pub(crate) packs: Vec<String>,
    /// What could not be removed.
    pub(crate) faults: Vec<Trouble>,
}

/// Removes it. A pack whose manifest could not be removed stays.
pub(crate) fn remove(store: &dyn Store, goes: &Retention) -> Gone {
    let mut gone = Gone::default();
    for batch in &goes.manifests {
        match store.remove(&Manifest::file_name(*batch)) {
            Ok(()) => gone.manifests += 1,
            Err(trouble) => gone.faults.push(trouble),
        }
    }
    if !gone.faults.is_empty() {
        return gone;
    }
    for pack in &goes.packs {
        match store.remove(pack) {
            Ok(()) => gone.packs.push(pack.clone()),
            Err(trouble) => gone.faults.push(trouble),
        }
    }
    gone
}

/// Trouble with its causes, in one line.
pub(crate) fn in_full(trouble: &Trouble) -> String {
    let mut text = trouble.to_string();
    let mut cause = trouble.source();
    while let Some(why) = cause {
        text += &format!(": {why}");
        cause = why.source();
    }
    text
}
