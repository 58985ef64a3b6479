//! Records as a source yields them: bytes, and where they came from.
//!
//! sources -> **record** -> decode
//!
//! A batch owns one buffer of bytes; a record is a range of it. Refilling a batch allocates nothing once it
//! has grown to the size in use.

use crate::reject::Reason;

/// How a record's bytes came to be, which decides how its amount is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Form {
    /// A JSON object as the producer wrote it.
    #[default]
    Json,
    /// A JSON object made from a row of a CSV or Parquet file: numbers are binary floats of the file, so an
    /// amount within 1e-6 of a minor unit is that unit.
    Row,
    /// No event but a label of one: a JSON object with `event_id`, `label` and `known_at`, as the producer wrote it or made from a
    /// row of a table.
    Label { is_row: bool },
    /// No record could be got out of what the upstream holds at this place: a broken aggregate, a broken or too large
    /// compressed payload. It is a reject for that reason, and has no bytes.
    Refused(Reason),
}

/// Marks an arrival that the source does not know.
pub const NO_ARRIVAL: i64 = i64::MIN;

/// Where a record stands in its partition, as its upstream counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a file.
    Row {
        /// Line (from 1), row number (from 1) in a Parquet file.
        line: u64,
        /// Byte offset of the record in its (decompressed) file, 0 where there is none.
        offset: u64,
    },
    /// In a shard of a stream.
    Sequence {
        /// Range in [`Records::bytes`] of the sequence number's digits, up to 56 of them.
        start: u32,
        len: u8,
        /// Which of the records that were put as one, from 0.
        sub: u64,
    },
}

/// The place of a record as a text is written of it, without its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceRef<'a> {
    Row { line: u64, offset: u64 },
    Sequence { number: &'a [u8], sub: u64 },
}

/// One record's place in its batch and in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMeta {
    /// Range in [`Records::bytes`].
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
    /// Index into the source's list of partitions (files, shards).
    pub partition: u32,
    /// How the bytes came to be.
    pub form: Form,
    /// Where it stands in its partition.
    pub place: Location,
    /// When the upstream got it, ms UTC, or [`NO_ARRIVAL`].
    pub arrival_ms: i64,
}

/// A batch of records in the order taken.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The bytes of all records; may hold others (line ends) between them. At most 4 GiB.
    pub bytes: Vec<u8>,
    /// The records, in order.
    pub list: Vec<RecordMeta>,
}

impl Location {
    /// The same in a batch whose bytes come after so many others.
    fn moved(self, base: u32) -> Self {
        match self {
            Self::Row { .. } => self,
            Self::Sequence { start, len, sub } => Self::Sequence { start: start + base, len, sub },
        }
    }
}

impl Records {
    /// Empties the batch and keeps its buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether the batch holds no record.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The bytes of record `index`.
    pub fn bytes_of(&self, index: usize) -> &[u8] {
        let meta = &self.list[index];
        &self.bytes[meta.start as usize..(meta.start + meta.len) as usize]
    }

    /// The place of record `index`.
    pub fn place_of(&self, index: usize) -> PlaceRef<'_> {
        match self.list[index].place {
            Location::Row { line, offset } => PlaceRef::Row { line, offset },
            Location::Sequence { start, len, sub } => {
                PlaceRef::Sequence { number: &self.bytes[start as usize..][..len.into()], sub }
            }
        }
    }

    /// Appends a record whose bytes are copied in; for tests and small sources.
    pub fn push(&mut self, bytes: &[u8], mut meta: RecordMeta) {
        meta.start = self.bytes.len() as u32;
        meta.len = bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        self.list.push(meta);
    }

    /// Appends all records of another batch.
    pub fn append(&mut self, other: &Self) {
        let base = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&other.bytes);
        self.list.extend(other.list.iter().map(|meta| RecordMeta {
            start: meta.start + base,
            place: meta.place.moved(base),
            ..*meta
        }));
    }

    /// Appends a JSON record with no known arrival; line and offset count within this batch.
    pub fn push_json(&mut self, bytes: &[u8]) {
        let meta = RecordMeta {
            start: 0,
            len: 0,
            partition: 0,
            form: Form::Json,
            place: Location::Row { line: self.list.len() as u64 + 1, offset: self.bytes.len() as u64 },
            arrival_ms: NO_ARRIVAL,
        };
        self.push(bytes, meta);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joined_batch_has_the_records_of_both() {
        let (mut one, mut other) = (Records::default(), Records::default());
        one.push_json(b"a");
        one.bytes.push(b'\n');
        other.push_json(b"bc");
        other.push_json(b"d");
        one.append(&other);
        let all: Vec<&[u8]> = (0..one.len()).map(|index| one.bytes_of(index)).collect();
        assert_eq!(all, [&b"a"[..], b"bc", b"d"]);
    }

    #[test]
    fn a_place_in_a_shard_moves_with_its_bytes() {
        let (mut one, mut other) = (Records::default(), Records::default());
        one.push_json(b"a");
        other.push_json(b"bc");
        let start = other.bytes.len() as u32;
        other.bytes.extend_from_slice(b"4951");
        other.list[0].place = Location::Sequence { start, len: 4, sub: 3 };
        one.append(&other);
        assert_eq!(one.place_of(0), PlaceRef::Row { line: 1, offset: 0 });
        assert_eq!(one.place_of(1), PlaceRef::Sequence { number: b"4951", sub: 3 });
    }
}
