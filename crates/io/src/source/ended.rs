//! Whether a file that was read to its end still ends there: what came behind would never be read.
//!
//! files -> **ended**
//!
//! Not here: compressed files, whose end lies behind all of their bytes, and pipes.

use super::block::Packing;
use super::files::{cannot_open, open};
use super::format::Format;
use super::parquet::builder;
use crate::Trouble;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Bytes that are looked at together. Arbitrary.
const BLOCK: usize = 64 * 1024;

/// Whether there are records behind the last one, of a line and an offset. A file that had no record is looked at from its begin, where a table
/// has its header.
pub(crate) fn has_more(path: &Path, format: Format, last: Option<(u64, u64)>) -> Result<bool, Trouble> {
    if !path.is_file() {
        return Ok(false);
    }
    match format {
        Format::Parquet => {
            let builder = builder(path, open(path)?)?;
            let rows = builder.metadata().file_metadata().num_rows();
            Ok(u64::try_from(rows).unwrap_or_default() > last.map_or(0, |(line, _)| line))
        }
        Format::JsonLines(Packing::Plain) | Format::Csv(Packing::Plain) => {
            let is_table = matches!(format, Format::Csv(_));
            let is_behind_a_row = is_table || last.is_some();
            let from = last.map_or(0, |(_, offset)| offset);
            is_anything_behind(path, from, is_table, is_behind_a_row).map_err(|why| cannot_open(path, why))
        }
        Format::JsonLines(_) | Format::Csv(_) => Ok(false),
    }
}

/// Whether anything but ends of lines follows a place, or the row that begins there.
fn is_anything_behind(path: &Path, from: u64, is_table: bool, mut is_in_row: bool) -> io::Result<bool> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    // A quote opens at the begin of a field, and behind one that closed it stands for a quote.
    let (mut block, mut is_quoted, mut before) = (vec![0; BLOCK], false, b'\n');
    loop {
        let got = file.read(&mut block)?;
        if got == 0 {
            return Ok(false);
        }
        for &byte in &block[..got] {
            let opens = matches!(before, b',' | b'\n' | b'"');
            before = byte;
            match byte {
                b'"' if is_in_row => is_quoted = is_table && !is_quoted && opens,
                b'\n' if !is_quoted => is_in_row = false,
                b'\n' | b'\r' => {}
                _ if is_in_row => {}
                _ => return Ok(true),
            }
        }
    }
}
