//! A record that the producer library put many records into.
//!
//! raw record -> **aggregate** -> payload -> records
//!
//! `F3 89 9A C2`, a protobuf message, its MD5. Holds: all parts of an aggregate or none; a record without the magic, or whose digest
//! is another, is no aggregate. A part whose key lies outside the shard's hash keys is kept and counted: the shard was split after
//! the producer chose it, and nobody else has it.

use crate::limits::AGGREGATE_RECORDS_MAX;
use cartguard_history::lineage::HashRange;
use md5::{Digest, Md5};
use prost::Message;
use prost::bytes::Bytes;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST_BYTES: usize = 16;

/// `AggregatedRecord` of the KPL.
#[derive(Clone, PartialEq, Message)]
pub struct Aggregate {
    #[prost(string, repeated, tag = "1")]
    pub partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub explicit_hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub records: Vec<Part>,
}

/// `Record` of the KPL. Key and data are required there; prost would make up the first key for an absent one. Tags mean nothing to us.
#[derive(Clone, PartialEq, Message)]
pub struct Part {
    #[prost(uint64, optional, tag = "1")]
    pub partition_key: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub explicit_hash_key: Option<u64>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub data: Option<Bytes>,
}

/// The parts of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    pub payloads: Vec<Bytes>,
    /// How many of them have a key outside the shard's.
    pub outside: u64,
}

/// It says that it is an aggregate, its digest agrees, and its parts cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an aggregate whose parts cannot be told apart")]
pub struct Broken;

/// The parts of an aggregate; none: it is a plain record.
pub fn parts(record: &Bytes, range: Option<HashRange>) -> Result<Option<Parts>, Broken> {
    let Some(message) = message(record) else { return Ok(None) };
    let aggregate = Aggregate::decode(message).map_err(|_| Broken)?;
    if aggregate.records.len() > AGGREGATE_RECORDS_MAX {
        return Err(Broken);
    }
    let partition_keys: Vec<bool> =
        aggregate.partition_keys.iter().map(|key| is_within(hash_of(key), range)).collect();
    let explicit: Vec<bool> = aggregate
        .explicit_hash_keys
        .iter()
        .map(|key| key.parse().map(|key| is_within(key, range)).map_err(|_| Broken))
        .collect::<Result<_, _>>()?;
    let mut outside = 0;
    let mut payloads = Vec::with_capacity(aggregate.records.len());
    for part in aggregate.records {
        let by_key = *at(&partition_keys, part.partition_key.ok_or(Broken)?)?;
        let is_within = match part.explicit_hash_key {
            Some(index) => *at(&explicit, index)?,
            None => by_key,
        };
        outside += u64::from(!is_within);
        payloads.push(part.data.ok_or(Broken)?);
    }
    Ok(Some(Parts { payloads, outside }))
}

/// Makes an aggregate; for tests and loads.
pub fn aggregated(aggregate: &Aggregate) -> Vec<u8> {
    let message = aggregate.encode_to_vec();
    let digest = Md5::digest(&message);
    [&MAGIC[..], &message, digest.as_slice()].concat()
}

/// The message between magic and digest, where the digest agrees.
fn message(record: &Bytes) -> Option<Bytes> {
    if !record.starts_with(&MAGIC) || record.len() < MAGIC.len() + DIGEST_BYTES {
        return None;
    }
    let end = record.len() - DIGEST_BYTES;
    let is_whole = Md5::digest(&record[MAGIC.len()..end]).as_slice() == &record[end..];
    is_whole.then(|| record.slice(MAGIC.len()..end))
}

fn at(list: &[bool], index: u64) -> Result<&bool, Broken> {
    usize::try_from(index).ok().and_then(|index| list.get(index)).ok_or(Broken)
}

/// As the service maps a partition key.
fn hash_of(partition_key: &str) -> u128 {
    let digest: [u8; DIGEST_BYTES] = Md5::digest(partition_key.as_bytes()).into();
    u128::from_be_bytes(digest)
}

fn is_within(key: u128, range: Option<HashRange>) -> bool {
    range.is_none_or(|range| range.contains(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(partition_key: u64, explicit_hash_key: Option<u64>, data: &str) -> Part {
        let data = Some(Bytes::copy_from_slice(data.as_bytes()));
        Part { partition_key: Some(partition_key), explicit_hash_key, data }
    }

    fn sample() -> Aggregate {
        Aggregate {
            partition_keys: vec!["a".into(), "b".into()],
            explicit_hash_keys: vec!["7".into()],
            records: vec![part(0, None, "one"), part(1, Some(0), "two"), part(1, None, "")],
        }
    }

    fn read(bytes: Vec<u8>) -> Result<Option<Parts>, Broken> {
        parts(&Bytes::from(bytes), None)
    }

    #[test]
    fn parts_come_in_order_and_strangers_are_kept() {
        let range = HashRange { first: 0, last: 10 };
        let parts = parts(&Bytes::from(aggregated(&sample())), Some(range)).expect("whole").expect("one");
        assert_eq!(parts.payloads, ["one", "two", ""]);
        // MD5 of "a" and "b" is far past 10; the explicit 7 is not.
        assert_eq!(parts.outside, 2);
    }

    /// Made by the public package aws-kinesis-agg 1.2.3: user records "alpha" (key "k1") and "beta" (key "k2", hash key 42).
    #[test]
    fn an_aggregate_of_somebody_else() {
        let golden = include_bytes!("../tests/golden/kpl.bin");
        let parts = read(golden.to_vec()).expect("whole").expect("an aggregate");
        assert_eq!(parts.payloads, ["alpha", "beta"]);
    }

    #[test]
    fn another_digest_makes_it_a_plain_record() {
        let mut bytes = aggregated(&sample());
        *bytes.last_mut().expect("a digest") ^= 1;
        assert_eq!(read(bytes), Ok(None));
        assert_eq!(read(MAGIC.to_vec()), Ok(None));
        assert_eq!(read(Vec::new()), Ok(None));
    }

    #[test]
    fn one_index_outside_its_table_breaks_the_whole() {
        for part in [part(2, None, "x"), part(0, Some(1), "x"), part(u64::MAX, None, "x")] {
            let mut aggregate = sample();
            aggregate.records.push(part);
            assert_eq!(read(aggregated(&aggregate)), Err(Broken));
        }
        for part in
            [Part { partition_key: None, ..part(0, None, "x") }, Part { data: None, ..part(0, None, "x") }]
        {
            let mut aggregate = sample();
            aggregate.records.push(part);
            assert_eq!(read(aggregated(&aggregate)), Err(Broken));
        }
        let mut aggregate = sample();
        aggregate.explicit_hash_keys[0] = "no number".into();
        assert_eq!(read(aggregated(&aggregate)), Err(Broken));
    }

    #[test]
    fn too_many_parts_break_it() {
        let mut aggregate = sample();
        aggregate.records = vec![part(0, None, ""); AGGREGATE_RECORDS_MAX];
        assert!(read(aggregated(&aggregate)).is_ok());
        aggregate.records.push(part(0, None, ""));
        assert_eq!(read(aggregated(&aggregate)), Err(Broken));
    }

    proptest! {
        /// Anything under a good digest: all or nothing, never a panic.
        #[test]
        fn any_message(message: Vec<u8>) {
            let digest = Md5::digest(&message);
            let _ = read([&MAGIC[..], &message, digest.as_slice()].concat());
        }

        #[test]
        fn a_cut_message(cut in 0_usize..40) {
            let message = sample().encode_to_vec();
            let message = &message[..cut.min(message.len())];
            let digest = Md5::digest(message);
            if let Ok(Some(parts)) = read([&MAGIC[..], message, digest.as_slice()].concat()) {
                prop_assert!(parts.payloads.len() <= 3);
            }
        }
    }
}
