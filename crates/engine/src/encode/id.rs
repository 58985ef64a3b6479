//! The id of a decision: the same for every copy that ever leaves, whatever process made it.
//!
//! record's place -> **id** -> line
//!
//! `BLAKE3(key of the partition, place)`, 128 bits of it; the key is `BLAKE3(pipeline, source, partition)`. No clock, no chance: a record at its place
//! in its shard has one id, before and after any crash.

use crate::record::PlaceRef;

/// Whose decisions they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdSettings {
    /// `history.pipeline`
    pub pipeline: String,
    /// What the source says of itself: a stream's ARN and time of creation.
    pub source: String,
}

/// The key of a partition's ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionKey([u8; 32]);

/// Of a decision, or of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id([u8; 16]);

impl IdSettings {
    /// The key of a partition.
    pub(crate) fn partition(&self, name: &str) -> PartitionKey {
        let mut hasher = blake3::Hasher::new();
        for part in [self.pipeline.as_str(), &self.source, name] {
            // Each with its length, so that no two lists of parts are one text.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        PartitionKey(*hasher.finalize().as_bytes())
    }
}

impl PartitionKey {
    /// The id of the decision on the record at a place.
    pub(crate) fn decision(&self, place: PlaceRef<'_>) -> Id {
        let mut bytes = [0; 160];
        let length = match place {
            PlaceRef::Row { line, .. } => {
                bytes[..8].copy_from_slice(&line.to_le_bytes());
                8
            }
            PlaceRef::Sequence { number, sub } => {
                let digits = number.len().min(bytes.len() - 9);
                bytes[0] = b'/';
                bytes[1..9].copy_from_slice(&sub.to_le_bytes());
                bytes[9..9 + digits].copy_from_slice(&number[..digits]);
                9 + digits
            }
        };
        Id::of(&blake3::keyed_hash(&self.0, &bytes[..length]))
    }
}

impl Id {
    /// The id of the alert that a model raised by this decision.
    pub(crate) fn alert(self, model: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(model.as_bytes());
        Self::of(&hasher.finalize())
    }

    fn of(hash: &blake3::Hash) -> Self {
        Self(std::array::from_fn(|at| hash.as_bytes()[at]))
    }

    /// As 32 hex digits.
    pub(crate) fn text(self) -> [u8; 32] {
        std::array::from_fn(|at| {
            let byte = self.0[at / 2];
            b"0123456789abcdef"[usize::from(if at % 2 == 0 { byte >> 4 } else { byte & 15 })]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_place_of_every_partition_of_every_pipeline_has_an_id_of_its_own() {
        let settings =
            |pipeline: &str, source: &str| IdSettings { pipeline: pipeline.into(), source: source.into() };
        let mut ids = HashSet::new();
        for key in [
            settings("a", "bc").partition("d"),
            settings("ab", "c").partition("d"),
            settings("a", "b").partition("cd"),
            settings("a", "bc").partition("e"),
        ] {
            for line in 1..4 {
                assert!(ids.insert(key.decision(PlaceRef::Row { line, offset: 0 }).text()));
            }
            for (number, sub) in [("1", 0), ("1", 1), ("10", 0), ("10", 1)] {
                let number = number.as_bytes();
                assert!(ids.insert(key.decision(PlaceRef::Sequence { number, sub }).text()));
            }
        }
        // Copies that left before an upgrade must be told from none after it.
        let id =
            settings("shop", "files").partition("in.jsonl").decision(PlaceRef::Row { line: 1, offset: 0 });
        assert_eq!(&id.text(), b"97faef75458dcd9520395317e58b0980");
        assert_eq!(&id.alert("demo/1").text(), b"24c41dc4ed42830cab2346a6ea48a72e");
    }
}
