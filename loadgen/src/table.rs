//! The Handbook as CSV or Parquet.
//!
//! Holds: columns `transaction_id`, `tx_datetime`, `customer_id`, `terminal_id`, `tx_amount`,
//! `tx_fraud`, as the published file has them; times are UTC (CSV: RFC 3339; Parquet: µs, no zone).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use arrow_array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use loadgen::handbook::Transaction;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::files;

/// Rows of a Parquet batch.
const ROWS: usize = 64 * 1024;

/// How a table is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Csv,
    Parquet,
}

pub(crate) struct Table {
    path: PathBuf,
    format: Format,
}

enum Format {
    Csv(BufWriter<File>),
    Parquet { rows: Vec<Transaction>, batches: Batches },
}

impl Table {
    pub(crate) fn create(path: &Path, form: Form, force: bool) -> anyhow::Result<Self> {
        let format = match form {
            Form::Csv => {
                let mut to = files::buffered(path, force)?;
                writeln!(to, "transaction_id,tx_datetime,customer_id,terminal_id,tx_amount,tx_fraud")
                    .with_context(|| files::name(path))?;
                Format::Csv(to)
            }
            Form::Parquet => {
                Format::Parquet { rows: Vec::with_capacity(ROWS), batches: Batches::create(path, force)? }
            }
        };
        Ok(Self { path: path.to_owned(), format })
    }

    pub(crate) fn write(&mut self, row: Transaction) -> anyhow::Result<()> {
        self.put(row).with_context(|| files::name(&self.path))
    }

    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let done = match self.format {
            Format::Csv(mut to) => to.flush().map_err(anyhow::Error::new),
            Format::Parquet { rows, mut batches } => {
                batches.write(&batch(&rows)?).and_then(|()| batches.finish())
            }
        };
        done.with_context(|| files::name(&self.path))
    }

    fn put(&mut self, row: Transaction) -> anyhow::Result<()> {
        match &mut self.format {
            Format::Csv(to) => {
                let time = jiff::Timestamp::from_second(row.time_s)?;
                let fraud = u8::from(row.scenario > 0);
                let (id, customer, terminal, cents) = (row.id, row.customer, row.terminal, row.cents);
                writeln!(to, "{id},{time},{customer},{terminal},{}.{:02},{fraud}", cents / 100, cents % 100)?;
            }
            Format::Parquet { rows, batches } => {
                rows.push(row);
                if rows.len() == ROWS {
                    batches.write(&batch(rows)?)?;
                    rows.clear();
                }
            }
        }
        Ok(())
    }
}

fn batch(rows: &[Transaction]) -> anyhow::Result<RecordBatch> {
    let integers =
        |of: fn(&Transaction) -> i64| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<Int64Array>()) };
    let times: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.time_s * 1_000_000)).collect();
    let amounts: Float64Array = rows.iter().map(|row| f64::from(row.cents) / 100.0).collect();
    let frauds: Int32Array = rows.iter().map(|row| i32::from(row.scenario > 0)).collect();
    Ok(RecordBatch::try_from_iter([
        ("transaction_id", integers(|row| row.id as i64)),
        ("tx_datetime", Arc::new(times) as ArrayRef),
        ("customer_id", integers(|row| i64::from(row.customer))),
        ("terminal_id", integers(|row| i64::from(row.terminal))),
        ("tx_amount", Arc::new(amounts)),
        ("tx_fraud", Arc::new(frauds)),
    ])?)
}

/// A Parquet file; its first batch gives it the schema.
pub(crate) enum Batches {
    Empty(Option<File>),
    Open(Box<ArrowWriter<File>>),
}

impl Batches {
    pub(crate) fn create(path: &Path, force: bool) -> anyhow::Result<Self> {
        files::create(path, force).map(|file| Batches::Empty(Some(file)))
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        if let Batches::Empty(file) = self {
            let file = file.take().context("its first batch could not be written")?;
            let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
            *self = Batches::Open(Box::new(ArrowWriter::try_new(file, batch.schema(), Some(properties))?));
        }
        if let Batches::Open(writer) = self {
            writer.write(batch)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> anyhow::Result<()> {
        if let Batches::Open(writer) = self {
            writer.close()?;
        }
        Ok(())
    }
}
