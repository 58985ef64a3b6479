//! Parquet -> one JSON object a row.
//!
//! file -> **parquet** (`shape`, `cell`, `time`) -> records
//!
//! Holds: the columns stand in their order under their names; a record's line is its row number (from 1), its
//! offset 0. A column of a type that has no JSON text here (map, interval …) is left out whole and noted. At most about [`BATCH_BYTES`] of values are decoded at a time, whatever the row groups.
//!
//! Not here: other objects of a lake (partition folders, deletes), encrypted files.

pub(crate) mod cell;
pub(crate) mod shape;
mod time;

use super::{Meter, Position, Read};
use crate::Trouble;
use crate::guard::guarded;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Fields};
use cartguard_engine::record::{Form, Location, NO_ARRIVAL, RecordMeta, Records};
use cell::Cells;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use shape::Shape;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Values decoded at a time, bytes, judged by the file's mean row. Measured: from 1 to 8 MiB the speed is the
/// same.
const BATCH_BYTES: usize = 1024 * 1024;

/// Rows decoded at a time, least and most.
const BATCH_ROWS: std::ops::RangeInclusive<usize> = 16..=8_192;

/// Rows as records.
pub(crate) struct Parquet {
    reader: ParquetRecordBatchReader,
    /// Of the columns that are read.
    shape: Shape,
    /// The columns that are read.
    columns: Fields,
    left_out: Vec<String>,
    batch: Option<RecordBatch>,
    /// Why there is no further batch, told once the rows before it were taken.
    failed: Option<io::Error>,
    /// Rows taken of the batch.
    at: usize,
    /// Rows taken of the file.
    rows: u64,
    partition: u32,
    progress: Progress,
}

/// Rows -> bytes of the meter.
struct Progress {
    meter: Meter,
    rows: u64,
    bytes: u64,
    told: u64,
}

impl Parquet {
    /// Reads the schema, at the end of the file.
    pub(crate) fn open(path: &Path, file: File, partition: u32, meter: Meter) -> Result<Self, Trouble> {
        let bytes = file.metadata().map_err(|e| super::files::cannot_open(path, e))?.len();
        let builder = builder(path, file)?;
        let schema = builder.schema().clone();
        let mut seen = HashSet::new();
        if let Some(field) = schema.fields().iter().find(|field| !seen.insert(field.name())) {
            return Err(Trouble::at(path, format_args!("column \"{}\" occurs twice", field.name())));
        }
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for (index, field) in schema.fields().iter().enumerate() {
            match Shape::of(field.data_type()) {
                Ok(_) => kept.push(index),
                Err(kind) => left_out.push(format!("column \"{}\" ({kind}) is left out", field.name())),
            }
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), kept.iter().copied());
        let shape = Shape::of_members(kept.iter().map(|index| schema.field(*index)))
            .map_err(|kind| Trouble::at(path, format_args!("a column of type {kind}")))?;
        let rows = builder.metadata().file_metadata().num_rows().max(0) as u64;
        let reader = build(path, builder.with_projection(mask))?;
        let progress = Progress { meter, rows, bytes, told: 0 };
        let columns = kept.iter().map(|index| Arc::clone(&schema.fields()[*index])).collect();
        Ok(Self {
            reader,
            shape,
            columns,
            left_out,
            batch: None,
            failed: None,
            at: 0,
            rows: 0,
            partition,
            progress,
        })
    }

    /// Adds what a user should know about the columns.
    pub(crate) fn note_left_out(&self, path: &Path, notes: &mut Vec<String>) {
        notes.extend(self.left_out.iter().map(|note| format!("{}: {note}", path.display())));
    }

    /// The names of the columns that are read.
    pub(crate) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|field| field.name().clone()).collect()
    }

    /// Whether a path leads to a column, or into one.
    pub(crate) fn has(&self, path: &[String]) -> bool {
        self.type_at(path).is_some()
    }

    /// Whether it leads to times.
    pub(crate) fn holds_times(&self, path: &[String]) -> bool {
        use DataType::{Date32, Date64, Timestamp};
        matches!(self.type_at(path), Some(Timestamp(..) | Date32 | Date64))
    }

    fn type_at(&self, path: &[String]) -> Option<&DataType> {
        let [first, rest @ ..] = path else { return None };
        let mut column = self.columns.iter().find(|field| field.name() == first);
        for name in rest {
            column = match column.map(|field| field.data_type()) {
                Some(DataType::Struct(members)) => members.iter().find(|field| field.name() == name),
                Some(_) | None => None,
            };
        }
        column.map(|field| field.data_type())
    }

    pub(crate) fn position(&self) -> Position {
        Position { partition: self.partition, line: self.rows + 1, offset: 0 }
    }

    /// Fills the emptied batch; see [`super::Source::read`].
    pub(crate) fn read(
        &mut self,
        into: &mut Records,
        max_bytes: usize,
        max_records: usize,
    ) -> io::Result<Read> {
        into.clear();
        loop {
            if self.batch.is_none() {
                self.next_batch();
            }
            let Some(batch) = &self.batch else { break };
            let taken = push_rows(batch, self.at, &self.shape, into, max_bytes, max_records, |meta| {
                self.rows += 1;
                RecordMeta {
                    partition: self.partition,
                    place: Location::Row { line: self.rows, offset: 0 },
                    ..meta
                }
            });
            self.at += taken;
            self.progress.tell(self.rows);
            if self.at < batch.num_rows() {
                return Ok(Read::More);
            }
            self.batch = None;
        }
        if into.is_empty() {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            self.progress.tell(self.progress.rows);
            return Ok(Read::End);
        }
        Ok(Read::More)
    }

    fn next_batch(&mut self) {
        self.at = 0;
        if self.failed.is_none() {
            match guarded(|| self.reader.next().transpose()) {
                Ok(Ok(batch)) => self.batch = batch,
                Ok(Err(error)) => self.failed = Some(io::Error::other(error)),
                Err(panicked) => self.failed = Some(io::Error::other(panicked)),
            }
        }
    }
}

/// Appends records of rows from `first` on, until a limit or the end of the rows; how many.
fn push_rows(
    rows: &RecordBatch,
    first: usize,
    shape: &Shape,
    into: &mut Records,
    max_bytes: usize,
    max_records: usize,
    mut place: impl FnMut(RecordMeta) -> RecordMeta,
) -> usize {
    let columns: Vec<Cells<'_>> =
        rows.columns().iter().zip(&shape.members).map(|(column, shape)| Cells::of(column, shape)).collect();
    for row in first..rows.num_rows() {
        if into.len() >= max_records.max(1) {
            return row - first;
        }
        let start = into.bytes.len();
        cell::push_object(&shape.heads, &columns, row, &mut into.bytes);
        if into.bytes.len() > max_bytes && !into.is_empty() {
            into.bytes.truncate(start);
            return row - first;
        }
        into.list.push(place(RecordMeta {
            start: start as u32,
            len: (into.bytes.len() - start) as u32,
            partition: 0,
            form: Form::Row,
            place: Location::Row { line: 0, offset: 0 },
            arrival_ms: NO_ARRIVAL,
        }));
    }
    rows.num_rows() - first
}

impl Progress {
    fn tell(&mut self, rows: u64) {
        let share = u128::from(self.bytes) * u128::from(rows) / u128::from(self.rows.max(1));
        let bytes = if self.rows == 0 { self.bytes } else { share as u64 };
        self.meter.advance(bytes.saturating_sub(self.told));
        self.told = self.told.max(bytes);
    }
}

/// Reads a file's schema.
pub(crate) fn builder(path: &Path, file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, Trouble> {
    let refuse = || Trouble::at(path, "is not a whole Parquet file");
    let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new(file))
        .map_err(|e| refuse().because(e))?
        .map_err(|e| refuse().because(e))?;
    let columns = builder.metadata().row_groups().iter().flat_map(|group| group.columns());
    match columns.map(|column| column.compression()).find(|codec| !is_readable(*codec)) {
        Some(codec) => {
            // Its level is nobody's concern.
            let codec = codec.to_string();
            let codec = codec.split('(').next().unwrap_or_default();
            Err(Trouble::refused(
                path,
                format_args!(
                    "is packed with {codec}; readable are gzip, lz4, snappy, zstd and unpacked files"
                ),
            ))
        }
        None => Ok(builder),
    }
}

fn is_readable(codec: Compression) -> bool {
    match codec {
        Compression::UNCOMPRESSED
        | Compression::SNAPPY
        | Compression::GZIP(_)
        | Compression::LZ4
        | Compression::LZ4_RAW
        | Compression::ZSTD(_) => true,
        Compression::LZO | Compression::BROTLI(_) => false,
    }
}

/// Makes a reader of batches of a bounded size.
pub(crate) fn build(
    path: &Path,
    builder: ParquetRecordBatchReaderBuilder<File>,
) -> Result<ParquetRecordBatchReader, Trouble> {
    let groups = builder.metadata().row_groups();
    let rows: i64 = groups.iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).sum();
    let bytes: i64 = groups.iter().map(parquet::file::metadata::RowGroupMetaData::total_byte_size).sum();
    let mean = (bytes / rows.max(1)).max(1) as usize;
    let batch = (BATCH_BYTES / mean).clamp(*BATCH_ROWS.start(), *BATCH_ROWS.end());
    let refuse = || Trouble::at(path, "its columns cannot be read");
    guarded(|| builder.with_batch_size(batch).build())
        .map_err(|e| refuse().because(e))?
        .map_err(|e| refuse().because(e))
}
