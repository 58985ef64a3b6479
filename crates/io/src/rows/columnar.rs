//! Rows of numbers from Parquet.
//!
//! parquet -> **columnar** -> rows
//!
//! Holds: a column is turned to f64 as a whole. Integers round to the nearest f64, decimals and texts are read
//! from their digits; times, lists and structs are refused when the file is opened.

use super::number;
use crate::Trouble;
use crate::guard::guarded;
use crate::source::parquet;
use crate::source::parquet::cell::Cells;
use crate::source::parquet::shape::Shape;
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

pub(super) struct Columnar {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    /// For each number of a row, where its column stands among those that are decoded.
    order: Vec<usize>,
    batch: Option<RecordBatch>,
    /// The batch's columns.
    columns: Vec<Vec<f64>>,
    /// Rows taken of the batch, and of the file.
    at: usize,
    taken: u64,
}

impl Columnar {
    pub(super) fn open(
        path: &Path,
        builder: ParquetRecordBatchReaderBuilder<File>,
        indices: &[usize],
    ) -> Result<Self, Trouble> {
        let schema = builder.schema().clone();
        for index in indices {
            let field = schema.field(*index);
            if !is_number(field.data_type()) {
                let what = format!("column \"{}\" ({}) is not of numbers", field.name(), field.data_type());
                return Err(Trouble::at(path, what));
            }
        }
        // Decoded in the file's order, each once.
        let mut decoded = indices.to_vec();
        decoded.sort_unstable();
        decoded.dedup();
        let order = indices.iter().filter_map(|index| decoded.binary_search(index).ok()).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), decoded.iter().copied());
        let reader = parquet::build(path, builder.with_projection(mask))?;
        Ok(Self {
            path: path.to_path_buf(),
            reader,
            order,
            batch: None,
            columns: Vec::new(),
            at: 0,
            taken: 0,
        })
    }

    pub(super) fn read(&mut self, into: &mut Vec<f64>, max_rows: usize) -> Result<usize, Trouble> {
        let mut rows = 0;
        while rows < max_rows {
            let left = self.batch.as_ref().map_or(0, |batch| batch.num_rows() - self.at);
            if left == 0 {
                if !self.next_batch()? {
                    break;
                }
                continue;
            }
            let some = left.min(max_rows - rows);
            for row in self.at..self.at + some {
                into.extend(self.order.iter().map(|column| self.columns[*column][row]));
            }
            self.at += some;
            self.taken += some as u64;
            rows += some;
        }
        Ok(rows)
    }

    fn next_batch(&mut self) -> Result<bool, Trouble> {
        let refuse = |cause: Box<dyn Error + Send + Sync>| {
            Trouble::at(&self.path, format_args!("cannot be read on from row {}", self.taken + 1))
                .because(cause)
        };
        let batch = guarded(|| self.reader.next().transpose()).map_err(|e| refuse(e.into()))?;
        self.batch = batch.map_err(|e| refuse(e.into()))?;
        self.at = 0;
        let Some(batch) = &self.batch else { return Ok(false) };
        self.columns.resize(batch.num_columns(), Vec::new());
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.clear();
            if let Err(row) = push_column(batch.column(index), column) {
                let what = format!(
                    "row {}: column \"{}\" is not a number",
                    self.taken + row as u64 + 1,
                    batch.schema().field(index).name()
                );
                return Err(Trouble::at(&self.path, what));
            }
        }
        Ok(true)
    }
}

fn is_number(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, held) => is_number(held),
        _ => {
            kind.is_numeric()
                || matches!(
                    kind,
                    DataType::Boolean
                        | DataType::Null
                        | DataType::Utf8
                        | DataType::LargeUtf8
                        | DataType::Utf8View
                )
        }
    }
}

/// Turns a column to f64; the row that is no number is the error.
fn push_column(array: &dyn Array, out: &mut Vec<f64>) -> Result<(), usize> {
    match array.data_type() {
        DataType::Float32 => push_primitive::<Float32Type>(array, f64::from, out),
        DataType::Float64 => push_primitive::<Float64Type>(array, |value| value, out),
        DataType::Int8 => push_primitive::<Int8Type>(array, f64::from, out),
        DataType::Int16 => push_primitive::<Int16Type>(array, f64::from, out),
        DataType::Int32 => push_primitive::<Int32Type>(array, f64::from, out),
        DataType::Int64 => push_primitive::<Int64Type>(array, |value| value as f64, out),
        DataType::UInt8 => push_primitive::<UInt8Type>(array, f64::from, out),
        DataType::UInt16 => push_primitive::<UInt16Type>(array, f64::from, out),
        DataType::UInt32 => push_primitive::<UInt32Type>(array, f64::from, out),
        DataType::UInt64 => push_primitive::<UInt64Type>(array, |value| value as f64, out),
        _ => return push_texts(array, out),
    }
    Ok(())
}

fn push_primitive<T: ArrowPrimitiveType>(
    array: &dyn Array,
    number: impl Fn(T::Native) -> f64,
    out: &mut Vec<f64>,
) {
    let array = array.as_primitive::<T>();
    out.extend(array.iter().map(|value| value.map_or(f64::NAN, &number)));
}

/// Through the text of each value: exact for decimals, and for numbers that lie as texts.
fn push_texts(array: &dyn Array, out: &mut Vec<f64>) -> Result<(), usize> {
    let Ok(shape) = Shape::of(array.data_type()) else { return Err(0) };
    let cells = Cells::of(array, &shape);
    let mut text = Vec::new();
    for row in 0..array.len() {
        text.clear();
        cells.push(row, &mut text);
        let text: &[u8] = match text.as_slice() {
            b"null" => b"",
            [b'"', inner @ .., b'"'] => inner,
            text => text,
        };
        out.push(number(text).ok_or(row)?);
    }
    Ok(())
}
