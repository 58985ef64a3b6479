//! Rows of features to Parquet, for people who train with tools of their own.
//!
//! train -> **write** -> file
//!
//! Columns: `event_id` (text), `event_time` (timestamp, ms, UTC), `event_amount` (f64, major units), `event_currency` (text), `label` (1 fraud,
//! 0 legit, null unknown), `label_known_at` (timestamp, null where unknown), then each feature by its name (f32, null is
//! missing).
//!
//! Holds: the file appears whole under its name or not at all.

use crate::Trouble;
use arrow_array::builder::{
    Float32Builder, Float64Builder, Int8Builder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a group. Arbitrary: some 30 MB of 100 features.
const GROUP: usize = 1 << 16;
/// The columns in front of the features.
pub const COLUMNS: [&str; 6] =
    ["event_id", "event_time", "event_amount", "event_currency", "label", "label_known_at"];

/// What stands in front of an event's features.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub event_id: &'a str,
    pub time_ms: i64,
    pub amount: f64,
    pub currency: &'a str,
    /// Whether it is fraud, and since when that is known, ms UTC.
    pub label: Option<(bool, i64)>,
}

/// Writes rows; see the module.
pub struct RowWriter {
    path: PathBuf,
    unfinished: Option<PathBuf>,
    writer: Option<ArrowWriter<File>>,
    schema: Arc<Schema>,
    ids: StringBuilder,
    times: TimestampMillisecondBuilder,
    amounts: Float64Builder,
    currencies: StringBuilder,
    labels: Int8Builder,
    known: TimestampMillisecondBuilder,
    features: Vec<Float32Builder>,
    rows: usize,
}

impl RowWriter {
    /// Begins a file; trouble where it exists, unless it is `force`d.
    pub fn create(path: &Path, features: &[String], force: bool) -> Result<Self, Trouble> {
        if let Some(name) = features.iter().find(|name| COLUMNS.contains(&name.as_str())) {
            return Err(Trouble::refused(
                path,
                format_args!("a feature is called {name:?}, as a column before it"),
            ));
        }
        if !force && path.symlink_metadata().is_ok() {
            return Err(Trouble::refused(path, "exists; --force replaces it"));
        }
        let time = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let kinds = [DataType::Utf8, time(), DataType::Float64, DataType::Utf8, DataType::Int8, time()];
        let mut fields: Vec<Field> =
            COLUMNS.iter().zip(kinds).map(|(name, kind)| Field::new(*name, kind, true)).collect();
        fields.extend(features.iter().map(|name| Field::new(name, DataType::Float32, true)));
        let schema = Arc::new(Schema::new(fields));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = path.with_file_name(format!(".{name}.{}.unfinished", std::process::id()));
        let unwritable = |cause: std::io::Error| Trouble::at(path, "cannot be written").because(cause);
        let file = File::create_new(&unfinished).map_err(unwritable)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let unfinished = Some(unfinished);
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(|cause| Trouble::at(path, "cannot be written").because(cause))?;
        let utc = || TimestampMillisecondBuilder::new().with_timezone("UTC");
        Ok(Self {
            path: path.to_path_buf(),
            unfinished,
            writer: Some(writer),
            schema,
            ids: StringBuilder::new(),
            times: utc(),
            amounts: Float64Builder::new(),
            currencies: StringBuilder::new(),
            labels: Int8Builder::new(),
            known: utc(),
            features: features.iter().map(|_| Float32Builder::new()).collect(),
            rows: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Panics
    /// Where it has not as many features as there are names.
    pub fn push(&mut self, about: &About<'_>, features: &[f32]) -> Result<(), Trouble> {
        assert_eq!(features.len(), self.features.len(), "a value for each name");
        self.ids.append_value(about.event_id);
        self.times.append_value(about.time_ms);
        self.amounts.append_value(about.amount);
        self.currencies.append_value(about.currency);
        self.labels.append_option(about.label.map(|(fraud, _)| i8::from(fraud)));
        self.known.append_option(about.label.map(|(_, known)| known));
        for (builder, value) in self.features.iter_mut().zip(features) {
            builder.append_option((!value.is_nan()).then_some(*value));
        }
        self.rows += 1;
        if self.rows == GROUP { self.flush() } else { Ok(()) }
    }

    /// Ends the file and gives it its name.
    pub fn finish(mut self) -> Result<(), Trouble> {
        self.flush()?;
        let path = self.path.clone();
        if let Some(writer) = self.writer.take() {
            writer.close().map_err(|cause| Trouble::at(&path, "cannot be written").because(cause))?;
        }
        if let Some(unfinished) = &self.unfinished {
            fs::rename(unfinished, &path)
                .map_err(|cause| Trouble::at(&path, "cannot be written").because(cause))?;
        }
        self.unfinished = None;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.ids.finish()),
            Arc::new(self.times.finish()),
            Arc::new(self.amounts.finish()),
            Arc::new(self.currencies.finish()),
            Arc::new(self.labels.finish()),
            Arc::new(self.known.finish()),
        ];
        columns.extend(self.features.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        let unwritable = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Trouble::at(&self.path, "cannot be written").because(cause)
        };
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|cause| unwritable(cause.into()))?;
        match &mut self.writer {
            Some(writer) => writer.write(&batch).map_err(|cause| unwritable(cause.into())),
            None => Ok(()),
        }
    }
}

impl Drop for RowWriter {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            // The first fault is what is told.
            let _ = fs::remove_file(unfinished);
        }
    }
}
