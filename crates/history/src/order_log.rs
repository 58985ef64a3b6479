//! The order log: which records made each batch, and what came of it, written before any of its outputs may leave.
//!
//! engine -> **order log** -> recovery, verify
//!
//! A segment is records one after the other:
//!
//! ```text
//! length of the body u24 | format u8 | CRC-32 of the body (and of the format, from 1 on) u32 | body
//! body: chain 16 B | epoch u64 | batch u64 | first sequence u64 | outputs 16 B | delivered u64
//!       | changes: bytes u32, JSON | runs u32, each: partition u32, records u32, place u8 + text
//! ```
//!
//! Integers are little-endian. The format is 0; a process that finds another one does not guess: it is a later version's. Whatever changes in
//! a body, a new kind of change included, is another format. The chain is the hash of the body before, so that a record fits behind one record only.
//!
//! Holds: batches and sequence numbers follow one another; a torn record at the very end is told from damage in the middle, which is never
//! passed over.

use crate::partitions::{Change, Run};
use crate::place::Place;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Longest body that is believed: a batch has at most 8,192 records, and a run at most one place.
const BODY_BYTES_MAX: usize = 4 << 20;
const PREFIX_BYTES: usize = 8;

/// Of the records that are written, and of the newest that are read.
pub const LOG_FORMAT: u8 = 0;

/// A bound batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Which start of the process wrote it; never goes back.
    pub epoch: u64,
    /// From 0.
    pub batch: u64,
    /// Sequence number of its first record, or of the next one where it has none.
    pub first_sequence: u64,
    /// What happened to partitions before its records.
    pub changes: Vec<Change>,
    /// Its records, in order.
    pub runs: Vec<Run>,
    /// Hash of its output bytes ([`OutputHash`]).
    pub outputs: u128,
    /// The first batch that was not known to be delivered when this was written.
    pub delivered: u64,
}

impl Bound {
    pub fn records(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.records)).sum()
    }
}

/// Where the log stands: what the next record must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Tip {
    pub epoch: u64,
    /// Number of the next batch.
    pub batch: u64,
    pub next_sequence: u64,
    /// Hash of the last body.
    #[serde(with = "hex")]
    pub chain: u128,
}

mod hex {
    //! JSON numbers end at 53 bits in many readers.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{value:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = String::deserialize(from)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// Why a segment cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFault {
    /// Nothing whole follows: the write was cut off. What stands before it holds, and nothing of the torn record was released.
    #[error("torn at byte {0}")]
    Torn(usize),
    /// The record is whole, and of a later version: nothing can be said of it.
    #[error(
        "the record at byte {at} has format {format}, and this version of cartguard reads up to {}: go on with the version that wrote \
         it, or a later one",
        LOG_FORMAT
    )]
    Newer { at: usize, format: u8 },
    /// Something whole follows, or the record is whole and does not fit: not a torn end.
    #[error("damaged at byte {at}: {what}")]
    Damaged { at: usize, what: String },
}

impl Tip {
    /// Appends a record to `out` and moves on.
    ///
    /// # Panics
    /// If the batch does not follow: the caller counts wrongly. If the record is longer than is believed when it is read.
    pub fn append(&mut self, bound: &Bound, out: &mut Vec<u8>) {
        assert!(
            (bound.batch, bound.first_sequence) == (self.batch, self.next_sequence),
            "batch {} of sequence {} after a log that ends before {} and {}",
            bound.batch,
            bound.first_sequence,
            self.batch,
            self.next_sequence
        );
        let start = out.len();
        out.extend_from_slice(&[0; PREFIX_BYTES]);
        out.extend_from_slice(&self.chain.to_le_bytes());
        for word in [bound.epoch, bound.batch, bound.first_sequence] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&bound.outputs.to_le_bytes());
        out.extend_from_slice(&bound.delivered.to_le_bytes());
        let changes = if bound.changes.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(&bound.changes).expect("changes are plain data")
        };
        out.extend_from_slice(&(changes.len() as u32).to_le_bytes());
        out.extend_from_slice(&changes);
        out.extend_from_slice(&(bound.runs.len() as u32).to_le_bytes());
        for run in &bound.runs {
            out.extend_from_slice(&run.partition.to_le_bytes());
            out.extend_from_slice(&run.records.to_le_bytes());
            let place = run.end.to_string();
            out.push(place.len() as u8);
            out.extend_from_slice(place.as_bytes());
        }
        let body = start + PREFIX_BYTES..out.len();
        assert!(body.len() <= BODY_BYTES_MAX, "the record of batch {} has {} bytes", bound.batch, body.len());
        let (length, crc) = (body.len() as u32, crc_of(LOG_FORMAT, &out[body.clone()]));
        self.follow(bound, &out[body]);
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }

    /// The record at byte `at` of a segment and the byte behind it; none at the end.
    pub fn read(&mut self, segment: &[u8], at: usize) -> Result<Option<(Bound, usize)>, LogFault> {
        if at == segment.len() {
            return Ok(None);
        }
        let Some((format, body)) = whole(segment, at) else {
            return Err(match (at + 1..segment.len()).find(|&later| whole(segment, later).is_some()) {
                // The CRC of garbage fits once in 2^32, and an empty length never.
                Some(later) => {
                    LogFault::Damaged { at, what: format!("a whole record follows at byte {later}") }
                }
                None => LogFault::Torn(at),
            });
        };
        if format != LOG_FORMAT {
            return Err(LogFault::Newer { at, format });
        }
        let damaged = |what: &str| LogFault::Damaged { at, what: what.to_owned() };
        let (chain, bound) = parse(body).ok_or_else(|| damaged("a record that cannot be read"))?;
        if chain != self.chain {
            return Err(damaged("a record that follows another one than the last"));
        }
        if (bound.batch, bound.first_sequence) != (self.batch, self.next_sequence) {
            return Err(LogFault::Damaged {
                at,
                what: format!("batch {} where {} was expected", bound.batch, self.batch),
            });
        }
        if bound.epoch < self.epoch {
            return Err(LogFault::Damaged {
                at,
                what: format!("epoch {} after {}", bound.epoch, self.epoch),
            });
        }
        self.follow(&bound, body);
        Ok(Some((bound, at + PREFIX_BYTES + body.len())))
    }

    fn follow(&mut self, bound: &Bound, body: &[u8]) {
        self.epoch = bound.epoch;
        self.batch = bound.batch + 1;
        self.next_sequence = bound.first_sequence + bound.records();
        self.chain = xxh3_128(body);
    }
}

/// The batch and first sequence with which a segment begins, before it is known what it follows.
pub fn begins_with(segment: &[u8]) -> Option<Tip> {
    let (_, body) = whole(segment, 0).filter(|(format, _)| *format == LOG_FORMAT)?;
    let (chain, bound) = parse(body)?;
    Some(Tip { epoch: bound.epoch, batch: bound.batch, next_sequence: bound.first_sequence, chain })
}

/// Format and body of a record that is whole.
fn whole(segment: &[u8], at: usize) -> Option<(u8, &[u8])> {
    let mut rest = segment.get(at..)?;
    let [low, middle, high, format] = take(&mut rest)?;
    let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
    let crc = u32::from_le_bytes(take(&mut rest)?);
    if length == 0 || length > BODY_BYTES_MAX {
        return None;
    }
    let body = rest.get(..length)?;
    (crc_of(format, body) == crc).then_some((format, body))
}

/// With the format in it a flipped bit of that is damage, and no later version.
fn crc_of(format: u8, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(body);
    if format > 0 {
        crc.update(&[format]);
    }
    crc.finalize()
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*first)
}

fn parse(mut body: &[u8]) -> Option<(u128, Bound)> {
    let from = &mut body;
    let chain = u128::from_le_bytes(take(from)?);
    let [epoch, batch, first_sequence] = [take(from)?, take(from)?, take(from)?].map(u64::from_le_bytes);
    let outputs = u128::from_le_bytes(take(from)?);
    let delivered = u64::from_le_bytes(take(from)?);
    let length = u32::from_le_bytes(take(from)?) as usize;
    let (json, rest) = from.split_at_checked(length)?;
    *from = rest;
    let changes = if json.is_empty() { Vec::new() } else { serde_json::from_slice(json).ok()? };
    let count = u32::from_le_bytes(take(from)?);
    let mut runs = Vec::new();
    for _ in 0..count {
        let partition = u32::from_le_bytes(take(from)?);
        let records = u32::from_le_bytes(take(from)?);
        let [length] = take(from)?;
        let (place, rest) = from.split_at_checked(length.into())?;
        *from = rest;
        let end: Place = std::str::from_utf8(place).ok()?.parse().ok()?;
        runs.push(Run { partition, records, end });
    }
    from.is_empty()
        .then_some((chain, Bound { epoch, batch, first_sequence, changes, runs, outputs, delivered }))
}

/// The hash of a batch's outputs: its lists of lines, told apart, however they are cut into pieces.
#[derive(Clone, Default)]
pub struct OutputHash(Xxh3);

impl OutputHash {
    /// Adds a list of lines.
    pub fn list<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) {
        let mut bytes = 0_u64;
        for piece in pieces {
            self.0.update(piece);
            bytes += piece.len() as u64;
        }
        self.0.update(&bytes.to_le_bytes());
    }

    pub fn finish(&self) -> u128 {
        self.0.digest128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partitions::{Opened, Start};
    use proptest::prelude::*;

    fn bound(batch: u64, first_sequence: u64, records: u32) -> Bound {
        let open = Opened::new("a.jsonl", Start::Oldest);
        let end = Place::Row { line: first_sequence + u64::from(records), offset: 7 };
        Bound {
            epoch: 1 + batch / 3,
            batch,
            first_sequence,
            changes: if batch == 0 { vec![Change::Open(open)] } else { Vec::new() },
            runs: if records == 0 { Vec::new() } else { vec![Run { partition: 0, records, end }] },
            outputs: u128::from(batch) << 64 | 5,
            delivered: batch / 2,
        }
    }

    /// Some batches, the segment, and where each record ends.
    fn segment() -> (Vec<Bound>, Vec<u8>, Vec<usize>) {
        let (mut tip, mut bytes, mut ends, mut list) = (Tip::default(), Vec::new(), vec![0], Vec::new());
        for batch in 0..8 {
            let next = bound(batch, tip.next_sequence, (batch as u32 * 7) % 5);
            tip.append(&next, &mut bytes);
            ends.push(bytes.len());
            list.push(next);
        }
        (list, bytes, ends)
    }

    fn read_all(segment: &[u8]) -> (Vec<Bound>, Result<(), LogFault>) {
        let (mut tip, mut at, mut list) = (Tip::default(), 0, Vec::new());
        loop {
            match tip.read(segment, at) {
                Ok(Some((bound, next))) => {
                    list.push(bound);
                    at = next;
                }
                Ok(None) => return (list, Ok(())),
                Err(fault) => return (list, Err(fault)),
            }
        }
    }

    #[test]
    fn a_segment_reads_back_whole_and_is_cut_where_it_was_torn() {
        let (list, bytes, ends) = segment();
        assert_eq!(read_all(&bytes), (list.clone(), Ok(())));
        for length in 0..bytes.len() {
            let whole = ends.iter().filter(|&&end| end > 0 && end <= length).count();
            let (read, end) = read_all(&bytes[..length]);
            assert_eq!(read, list[..whole], "cut to {length}");
            let expected = if ends.contains(&length) { Ok(()) } else { Err(LogFault::Torn(ends[whole])) };
            assert_eq!(end, expected, "cut to {length}");
        }
        assert_eq!(begins_with(&bytes).map(|tip| tip.batch), Some(0));
    }

    /// The same batch, sequence and length, as another life of the history bound it.
    #[test]
    fn a_record_does_not_follow_one_of_another_history() {
        let (list, bytes, ends) = segment();
        let (mut tip, mut other) = (Tip::default(), Vec::new());
        for bound in &list[..3] {
            let outputs = if bound.batch == 2 { 99 } else { bound.outputs };
            tip.append(&Bound { outputs, ..bound.clone() }, &mut other);
        }
        assert_eq!(other.len(), ends[3]);
        let (read, end) = read_all(&[&other[..], &bytes[ends[3]..]].concat());
        assert_eq!(read.len(), 3);
        let what = "a record that follows another one than the last".to_owned();
        assert_eq!(end, Err(LogFault::Damaged { at: ends[3], what }));
    }

    /// As a later version might write it: neither torn nor damaged, wherever it stands.
    #[test]
    fn a_record_of_a_later_version_is_refused_by_name() {
        let (list, bytes, ends) = segment();
        for at in [0, ends[3], ends[7]] {
            let mut later = bytes.clone();
            let body = at + PREFIX_BYTES..*ends.iter().find(|&&end| end > at).expect("a record");
            later[at + 3] = 7;
            let crc = crc_of(7, &later[body]);
            later[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
            let (read, end) = read_all(&later);
            assert_eq!(end, Err(LogFault::Newer { at, format: 7 }));
            assert!(list.starts_with(&read));
            assert!(end.expect_err("a later one").to_string().contains("has format 7"), "{at}");
            assert!(at > 0 || begins_with(&later).is_none(), "what it begins with is not known");
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_never_read_as_something_else(bit in 0_usize..8_000) {
            let (list, mut bytes, ends) = segment();
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (read, end) = read_all(&bytes);
            prop_assert!(list.starts_with(&read));
            let last = ends[ends.len() - 2];
            match end {
                Ok(()) => prop_assert!(false, "nobody noticed"),
                // Only of the last record it cannot be told from a torn write.
                Err(LogFault::Torn(at)) => prop_assert_eq!(at, last),
                Err(LogFault::Damaged { .. }) => prop_assert!(bit / 8 < last),
                Err(LogFault::Newer { .. }) => prop_assert!(false, "a flipped bit is no later version"),
            }
        }

        #[test]
        fn how_outputs_are_cut_into_pieces_does_not_matter(text in "[a-c\n]{0,60}", cut in 0_usize..60, other in "[a-c]{0,3}") {
            let cut = cut.min(text.len());
            let mut whole = OutputHash::default();
            whole.list([text.as_bytes()]);
            whole.list([other.as_bytes()]);
            let mut pieces = OutputHash::default();
            pieces.list([&text.as_bytes()[..cut], &text.as_bytes()[cut..]]);
            pieces.list([other.as_bytes()]);
            prop_assert_eq!(whole.finish(), pieces.finish());
            if !other.is_empty() {
                let mut moved = OutputHash::default();
                moved.list([text.as_bytes(), other.as_bytes()]);
                moved.list([]);
                prop_assert_ne!(whole.finish(), moved.finish());
            }
        }
    }
}
