//! Rows of numbers from CSV or Parquet, for the model commands.
//!
//! file -> **rows** (`text`, `columnar`) -> model score, model import
//!
//! Holds: columns are found by name and come in the order asked for; others are ignored and, in Parquet, not
//! decoded. A number is the f64 nearest to its text (an f32 of Parquet exactly itself); empty, null and `nan`
//! are missing (NaN). What is no number is trouble that names line and column, never its text.
//!
//! Not here: JSON lines; which columns a model wants.

mod columnar;
mod text;
pub mod write;

use crate::Trouble;
use crate::source::block::{Blocks, Packing};
use crate::source::format::Format;
use crate::source::{Meter, csv, files, parquet};
use columnar::Columnar;
use std::path::Path;
use text::Text;

/// Names that a message lists before it says how many more there are.
const LISTED_MAX: usize = 10;

/// Reads the wanted columns in batches of rows.
pub struct RowReader {
    rows: Rows,
    width: usize,
    batch: Vec<f64>,
}

enum Rows {
    Text(Box<Text>),
    Columnar(Box<Columnar>),
}

impl RowReader {
    /// Opens a file for these columns. Trouble lists every one that is absent, with the nearest name.
    pub fn open<S: AsRef<str>>(path: &Path, wanted: &[S]) -> Result<Self, Trouble> {
        let wanted: Vec<&str> = wanted.iter().map(AsRef::as_ref).collect();
        let rows = match format(path)? {
            Table::Csv(packing) => {
                let (rows, names) = csv::open(path, blocks(path, packing)?)?;
                let indices = find(path, &names, &wanted)?;
                Rows::Text(Box::new(Text::new(path, rows, names, indices)))
            }
            Table::Parquet => {
                let builder = parquet::builder(path, files::open(path)?)?;
                let names: Vec<String> = builder.schema().fields().iter().map(|f| f.name().clone()).collect();
                let indices = find(path, &names, &wanted)?;
                Rows::Columnar(Box::new(Columnar::open(path, builder, &indices)?))
            }
        };
        Ok(Self { rows, width: wanted.len(), batch: Vec::new() })
    }

    /// The names of a file's columns, in order.
    pub fn columns(path: &Path) -> Result<Vec<String>, Trouble> {
        match format(path)? {
            Table::Csv(packing) => Ok(csv::open(path, blocks(path, packing)?)?.1),
            Table::Parquet => {
                let builder = parquet::builder(path, files::open(path)?)?;
                Ok(builder.schema().fields().iter().map(|field| field.name().clone()).collect())
            }
        }
    }

    /// Empties `into` and fills it with at most `max_rows` rows, one after the other; how many, 0 at the end.
    pub fn read(&mut self, into: &mut Vec<f64>, max_rows: usize) -> Result<usize, Trouble> {
        into.clear();
        match &mut self.rows {
            Rows::Text(text) => text.read(into, max_rows.max(1)),
            Rows::Columnar(columnar) => columnar.read(into, max_rows.max(1)),
        }
    }

    /// The same in f32: each f64 rounded once, as the trainers do with a table of f64.
    pub fn read_f32(&mut self, into: &mut Vec<f32>, max_rows: usize) -> Result<usize, Trouble> {
        let mut batch = std::mem::take(&mut self.batch);
        let rows = self.read(&mut batch, max_rows);
        into.clear();
        into.extend(batch.iter().map(|value| *value as f32));
        self.batch = batch;
        rows
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }
}

enum Table {
    Csv(Packing),
    Parquet,
}

fn format(path: &Path) -> Result<Table, Trouble> {
    match Format::of(path) {
        Ok(Format::Csv(packing)) => Ok(Table::Csv(packing)),
        Ok(Format::Parquet) => Ok(Table::Parquet),
        Ok(Format::JsonLines(_)) | Err(_) => {
            Err(Trouble::at(path, "rows are read from .csv (also with .gz or .zst behind it) or .parquet"))
        }
    }
}

fn blocks(path: &Path, packing: Packing) -> Result<Blocks, Trouble> {
    Blocks::of_file(files::open(path)?, packing, Meter::default()).map_err(|e| files::cannot_open(path, e))
}

/// Where each wanted column stands.
fn find(path: &Path, names: &[String], wanted: &[&str]) -> Result<Vec<usize>, Trouble> {
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for name in wanted {
        match names.iter().position(|have| have == name) {
            Some(at) => found.push(at),
            None => absent.push(*name),
        }
    }
    if absent.is_empty() {
        return Ok(found);
    }
    let hint = |name: &str| match nearest(names, name) {
        Some(near) => format!("\"{name}\" (did you mean \"{near}\"?)"),
        None => format!("\"{name}\""),
    };
    let listed: Vec<String> = absent.iter().take(LISTED_MAX).map(|name| hint(name)).collect();
    let more = match absent.len().saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let word = if absent.len() == 1 { "column is" } else { "columns are" };
    Err(Trouble::at(path, format_args!("{word} absent: {}{more}", listed.join(", "))))
}

/// The most similar name, where it is similar at all.
fn nearest<'a>(names: &'a [String], wanted: &str) -> Option<&'a str> {
    let similar = |name: &'a String| (strsim::jaro_winkler(name, wanted), name.as_str());
    let best = names.iter().map(similar).max_by(|a, b| a.0.total_cmp(&b.0));
    // 0.8: arbitrary; "f64" and "f65" are above, "count" and "amount" below.
    best.filter(|(likeness, _)| *likeness >= 0.8).map(|(_, name)| name)
}

/// The number of a text; empty and `nan` are missing.
fn number(text: &[u8]) -> Option<f64> {
    let text = text.trim_ascii();
    match text {
        b"" => Some(f64::NAN),
        _ if text.eq_ignore_ascii_case(b"true") => Some(1.0),
        _ if text.eq_ignore_ascii_case(b"false") => Some(0.0),
        _ => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}
