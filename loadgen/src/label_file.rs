//! Labels as a file: `event_id`, `label`, `known_at`, `kind`, `attack`.
//!
//! generator -> **label file** -> trainer, feedback
//!
//! Holds: one row a label, in order of the events; `known_at` is RFC 3339 with ms and Z, in Parquet a
//! UTC timestamp in ms; `attack` says which events belong together, and is left out (in CSV empty, in Parquet null) where one stands alone.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{StringBuilder, TimestampMillisecondBuilder, UInt64Builder},
};
use loadgen::Label;

use crate::args::Refusal;
use crate::files;
use crate::table::Batches;

/// Rows of a Parquet batch.
const ROWS: usize = 64 * 1024;

pub(crate) struct LabelFile {
    path: PathBuf,
    format: Format,
    written: u64,
}

/// How labels are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Lines,
    Csv,
    Parquet,
}

impl Form {
    /// By a file's ending.
    pub(crate) fn of(path: &Path) -> Result<Self, Refusal> {
        match files::ending(path).as_str() {
            "jsonl" | "json" => Ok(Self::Lines),
            "csv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            _ => Err(Refusal(anyhow!("{}: labels are written as .jsonl, .csv or .parquet", path.display()))),
        }
    }
}

enum Format {
    Lines(BufWriter<File>),
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Parquet(Box<Columns>),
}

impl LabelFile {
    pub(crate) fn create(path: &Path, form: Form, force: bool) -> anyhow::Result<Self> {
        let format = match form {
            Form::Lines => Format::Lines(files::buffered(path, force)?),
            Form::Csv => {
                let mut to = csv::Writer::from_writer(files::buffered(path, force)?);
                to.write_record(["event_id", "label", "known_at", "kind", "attack"])
                    .with_context(|| files::name(path))?;
                Format::Csv(Box::new(to))
            }
            Form::Parquet => Format::Parquet(Box::new(Columns::create(path, force)?)),
        };
        Ok(Self { path: path.to_owned(), format, written: 0 })
    }

    pub(crate) fn write(&mut self, label: &Label) -> anyhow::Result<()> {
        self.written += 1;
        self.put(label).with_context(|| files::name(&self.path))
    }

    /// Rows written, once the file is whole.
    pub(crate) fn finish(self) -> anyhow::Result<u64> {
        let done = match self.format {
            Format::Lines(mut to) => to.flush().map_err(anyhow::Error::new),
            Format::Csv(mut to) => to.flush().map_err(anyhow::Error::new),
            Format::Parquet(columns) => columns.finish(),
        };
        done.with_context(|| files::name(&self.path))?;
        Ok(self.written)
    }

    fn put(&mut self, label: &Label) -> anyhow::Result<()> {
        match &mut self.format {
            Format::Lines(to) => {
                let (id, known_at) = (label.event_id, time(label.known_at_ms)?);
                let (word, kind) = (label.word(), label.kind);
                write!(
                    to,
                    "{{\"event_id\":\"{id}\",\"label\":\"{word}\",\"known_at\":\"{known_at}\",\"kind\":\"{kind}\""
                )?;
                if let Some(attack) = label.attack {
                    write!(to, ",\"attack\":{attack}")?;
                }
                to.write_all(b"}\n")?;
            }
            Format::Csv(to) => {
                let known_at = time(label.known_at_ms)?;
                let attack = label.attack.map_or_else(String::new, |attack| attack.to_string());
                to.write_record([&label.event_id.to_string(), label.word(), &known_at, label.kind, &attack])?;
            }
            Format::Parquet(columns) => columns.push(label)?,
        }
        Ok(())
    }
}

fn time(ms: i64) -> anyhow::Result<String> {
    Ok(format!("{:.3}", jiff::Timestamp::from_millisecond(ms)?))
}

struct Columns {
    batches: Batches,
    ids: StringBuilder,
    labels: StringBuilder,
    known_at: TimestampMillisecondBuilder,
    kinds: StringBuilder,
    attacks: UInt64Builder,
    rows: usize,
}

impl Columns {
    fn create(path: &Path, force: bool) -> anyhow::Result<Self> {
        Ok(Self {
            batches: Batches::create(path, force)?,
            ids: StringBuilder::new(),
            labels: StringBuilder::new(),
            known_at: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            kinds: StringBuilder::new(),
            attacks: UInt64Builder::new(),
            rows: 0,
        })
    }

    fn push(&mut self, label: &Label) -> anyhow::Result<()> {
        self.ids.append_value(label.event_id.to_string());
        self.labels.append_value(label.word());
        self.known_at.append_value(label.known_at_ms);
        self.kinds.append_value(label.kind);
        self.attacks.append_option(label.attack);
        self.rows += 1;
        if self.rows == ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> anyhow::Result<()> {
        self.rows = 0;
        let columns: [(&str, ArrayRef); 5] = [
            ("event_id", Arc::new(self.ids.finish())),
            ("label", Arc::new(self.labels.finish())),
            ("known_at", Arc::new(self.known_at.finish())),
            ("kind", Arc::new(self.kinds.finish())),
            ("attack", Arc::new(self.attacks.finish())),
        ];
        self.batches.write(&RecordBatch::try_from_iter(columns)?)
    }

    fn finish(mut self) -> anyhow::Result<()> {
        // Also where there are none: an empty table has its columns.
        self.write()?;
        self.batches.finish()
    }
}
