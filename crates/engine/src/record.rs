//! Records as a source yields them: bytes, and where they came from.
//!
//! sources -> **record** -> decode
//!
//! A batch owns one buffer of bytes; a record is a range of it. Refilling a batch allocates nothing once it
//! has grown to the size in use.

/// How a record's bytes came to be, which decides how its amount is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Form {
    /// A JSON object as the producer wrote it.
    #[default]
    Json,
    /// A JSON object made from a row of a CSV or Parquet file: numbers are binary floats of the file, so an
    /// amount within 1e-6 of a minor unit is that unit.
    Row,
}

/// Marks an arrival that the source does not know.
pub const NO_ARRIVAL: i64 = i64::MIN;

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
    /// Line (from 1) in a file, row number (from 1) in a Parquet file.
    pub line: u64,
    /// Byte offset of the record in its (decompressed) file, 0 where there is none.
    pub offset: u64,
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
        self.list.extend(other.list.iter().map(|meta| RecordMeta { start: meta.start + base, ..*meta }));
    }

    /// Appends a JSON record with no known arrival; line and offset count within this batch.
    pub fn push_json(&mut self, bytes: &[u8]) {
        let meta = RecordMeta {
            start: 0,
            len: 0,
            partition: 0,
            form: Form::Json,
            line: self.list.len() as u64 + 1,
            offset: self.bytes.len() as u64,
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
}
