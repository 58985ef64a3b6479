//! A manifest names everything that a snapshot is: state, positions, versions and how far outputs were delivered, in one file.
//!
//! engine, partitions, sinks -> **manifest** -> recovery
//!
//! Its text is one line of JSON and, behind it, the BLAKE3 hash of that line: a manifest that is torn or damaged is no manifest. The state's packs lie apart,
//! named by the hash of their content.
//!
//! Holds: one manifest is the only truth of its snapshot; no pack that a kept manifest names is ever removed.

use crate::order_log::Tip;
use crate::partitions::Partitions;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of cartguard that wrote it.
    pub written_by: String,
    /// Which pipeline's history this is (`history.pipeline`).
    pub pipeline: String,
    /// What the source said of itself.
    pub source: String,
    /// What the order log's next batch follows: all before it is in the state.
    pub tip: Tip,
    pub partitions: Partitions,
    /// Bytes of decisions, alerts and rejects in all batches before.
    pub output_bytes: [u64; 3],
    /// The state, in no order that means anything.
    pub packs: Vec<Pack>,
    /// What the engine is besides its parts, and what its state belongs to, in its own words.
    pub engine: serde_json::Value,
    pub identity: serde_json::Value,
    /// What decided: model, features file, configuration, by name and digest.
    pub versions: Vec<(String, String)>,
}

/// Parts of the state that are stored as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    /// What is in it, one behind the other: `keys-07` and its bytes.
    pub parts: Vec<(String, u64)>,
    /// BLAKE3 of the bytes as the engine gave them.
    pub hash: String,
    /// Bytes as the engine gave them, and as they are stored.
    pub bytes: u64,
    pub stored_bytes: u64,
}

/// Why a manifest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    #[error("it is torn")]
    Torn,
    #[error("its hash does not fit its content")]
    Damaged,
    /// It is whole, and says other things than this version knows.
    #[error("{0}")]
    Strange(String),
    /// Of a later version: whole, and nothing can be said of it, nor of what it needs.
    #[error(
        "it has format {format} and is of cartguard {written_by}, and this version reads up to {}: go on with the version that wrote it, or a \
         later one",
        Manifest::FORMAT
    )]
    Newer { format: u32, written_by: String },
}

impl Manifest {
    /// Version of the format, of its packs too. What surrounds it, a line of JSON with `format` and `written_by` and the hash behind it, stays
    /// for good, so that every version can tell a later one from damage.
    pub const FORMAT: u32 = 1;

    /// As it is stored.
    pub fn to_text(&self) -> String {
        let json = serde_json::to_string(self).expect("a manifest is plain data");
        format!("{json}\n{}\n", blake3::hash(json.as_bytes()))
    }

    /// Reads it; what is wrong with it otherwise.
    pub fn of_text(text: &str) -> Result<Self, ManifestFault> {
        let (json, rest) = text.split_once('\n').ok_or(ManifestFault::Torn)?;
        let hash = rest.strip_suffix('\n').ok_or(ManifestFault::Torn)?;
        if blake3::hash(json.as_bytes()).to_string() != hash {
            return Err(ManifestFault::Damaged);
        }
        #[derive(Deserialize)]
        struct Format {
            format: u32,
            written_by: String,
        }
        let strange = |why: serde_json::Error| ManifestFault::Strange(why.to_string());
        let Format { format, written_by } = serde_json::from_str(json).map_err(strange)?;
        if format > Self::FORMAT {
            return Err(ManifestFault::Newer { format, written_by });
        }
        if format < Self::FORMAT {
            return Err(ManifestFault::Strange(format!("it has format {format}, which never was")));
        }
        serde_json::from_str(json).map_err(strange)
    }

    /// The same of what a store gave.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, ManifestFault> {
        let text =
            std::str::from_utf8(bytes).map_err(|_| ManifestFault::Strange("it is no text".to_owned()))?;
        Self::of_text(text)
    }

    /// Name of the file: ordered as text by batch.
    pub fn file_name(batch: u64) -> String {
        format!("{batch:020}.manifest")
    }

    /// The batch of a file's name.
    pub fn batch_of(file_name: &str) -> Option<u64> {
        file_name.strip_suffix(".manifest")?.parse().ok()
    }

    /// Name under which a pack is stored.
    pub fn pack_name(hash: &str) -> String {
        format!("{hash}.pack")
    }
}

/// What may go, given what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Batches of manifests that go, oldest first. They go before the packs: a manifest without its state would be worse than state without one.
    pub manifests: Vec<u64>,
    /// Stored packs that no kept manifest names.
    pub packs: Vec<String>,
    /// Order-log records before this batch are no longer needed.
    pub log_before: u64,
}

impl Retention {
    /// Keeps the newest `keep` of the whole manifests (at least one) and everything newer. `stored` are the names of all stored packs.
    pub fn of(manifests: &[Manifest], stored: &[String], keep: usize) -> Self {
        let mut batches: Vec<u64> = manifests.iter().map(|manifest| manifest.tip.batch).collect();
        batches.sort_unstable();
        let goes = batches.len().saturating_sub(keep.max(1));
        let log_before = batches.get(goes).copied().unwrap_or(0);
        let needed: BTreeSet<String> = manifests
            .iter()
            .filter(|manifest| manifest.tip.batch >= log_before)
            .flat_map(|manifest| &manifest.packs)
            .map(|pack| Manifest::pack_name(&pack.hash))
            .collect();
        Self {
            manifests: batches[..goes].to_vec(),
            packs: stored.iter().filter(|name| !needed.contains(*name)).cloned().collect(),
            log_before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest(batch: u64, parts: &[u8]) -> Manifest {
        let part = |hash: &u8| Pack {
            parts: vec![("keys-00".into(), 1)],
            hash: hash.to_string(),
            bytes: 1,
            stored_bytes: 1,
        };
        Manifest {
            format: Manifest::FORMAT,
            written_by: "0.1.0".into(),
            pipeline: "shop".into(),
            source: "files".into(),
            tip: Tip { epoch: 3, batch, next_sequence: 9, chain: u128::MAX - 5 },
            partitions: Partitions::default(),
            output_bytes: [1, 2, 3],
            packs: parts.iter().map(part).collect(),
            engine: serde_json::json!({ "next_sequence": 9 }),
            identity: serde_json::json!({}),
            versions: vec![("model".into(), "demo/1".into())],
        }
    }

    #[test]
    fn a_manifest_reads_back_and_no_damaged_one_does() {
        let manifest = manifest(7, &[1, 2]);
        let text = manifest.to_text();
        assert_eq!(Manifest::of_text(&text), Ok(manifest));
        for length in 0..text.len() {
            assert!(Manifest::of_text(&text[..length]).is_err(), "cut to {length}");
        }
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(Manifest::of_text(&text).is_err(), "a bit at {at} flipped");
            }
        }
        assert_eq!(Manifest::batch_of(&Manifest::file_name(7)), Some(7));
    }

    #[test]
    fn a_manifest_of_a_later_version_is_told_from_damage() {
        let later = Manifest { format: 2, written_by: "9.1.0".into(), ..manifest(7, &[1]) };
        let fault = Manifest::of_text(&later.to_text()).expect_err("a later one");
        assert_eq!(fault, ManifestFault::Newer { format: 2, written_by: "9.1.0".into() });
        let told = fault.to_string();
        assert!(told.contains("format 2") && told.contains("cartguard 9.1.0"), "{told}");
        // Whatever else it says: members that came and went are no damage.
        let json = "{\"format\":3,\"written_by\":\"9.2.0\",\"shards\":[]}";
        let text = format!("{json}\n{}\n", blake3::hash(json.as_bytes()));
        assert!(matches!(Manifest::of_text(&text), Err(ManifestFault::Newer { format: 3, .. })));
    }

    proptest! {
        /// Whatever was kept before, the parts of what is kept stay.
        #[test]
        fn a_part_that_a_kept_manifest_names_is_never_removed(
            parts in prop::collection::vec(prop::collection::vec(0_u8..20, 0..6), 1..8),
            keep in 0_usize..5,
        ) {
            let manifests: Vec<_> = (0..).zip(&parts).map(|(batch, parts)| manifest(batch * 10, parts)).collect();
            let stored: Vec<_> = (0_u8..20).map(|hash| Manifest::pack_name(&hash.to_string())).collect();
            let goes = Retention::of(&manifests, &stored, keep);
            let kept: Vec<_> = manifests.iter().filter(|one| !goes.manifests.contains(&one.tip.batch)).collect();
            prop_assert_eq!(kept.len(), keep.max(1).min(manifests.len()));
            for manifest in &kept {
                prop_assert!(manifest.tip.batch >= goes.log_before);
                for part in &manifest.packs {
                    prop_assert!(!goes.packs.contains(&Manifest::pack_name(&part.hash)));
                }
            }
            let named: BTreeSet<_> = kept.iter().flat_map(|one| &one.packs).map(|pack| Manifest::pack_name(&pack.hash)).collect();
            prop_assert_eq!(goes.packs.len() + named.len(), stored.len());
        }
    }
}
