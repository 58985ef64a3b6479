//! CSV with a header -> one JSON object a row.
//!
//! block -> split -> **csv** -> records
//!
//! Holds: the columns stand in their order under the header's names; a value is its text as a JSON string, an
//! empty one (quoted or not) is null; the record's line is where its row starts. A row that cannot be read
//! becomes a record that the engine rejects, with the row's place: too few or too many fields, or quotes
//! that do not match, become a text that is no JSON (`invalid_row`) and says which, without any of the row;
//! bytes that are not UTF-8 pass through (`invalid_utf8`); a row over `RECORD_BYTES_MAX` passes with its
//! first `RECORD_BYTES_MAX + 1` bytes (`too_large`).
//!
//! Not here: what a value means; other delimiters than the comma.

pub(crate) mod split;

use super::block::Blocks;
use super::{Position, Read};
use crate::{Trouble, json};
use cartguard_engine::record::{Form, Location, NO_ARRIVAL, RecordMeta, Records};
use split::{Fault, Next, Row, Splitter};
use std::collections::HashSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Rows as records.
pub(crate) struct Csv {
    path: PathBuf,
    rows: Splitter,
    row: Row,
    /// The columns' names; none until the header has come, of a pipe.
    names: Option<Vec<String>>,
    /// What stands before each value.
    heads: Vec<Vec<u8>>,
    partition: u32,
    ended: bool,
}

impl Csv {
    /// Reads the header, where it is there.
    pub(crate) fn open(path: &Path, blocks: Blocks, partition: u32) -> Result<Self, Trouble> {
        let (path, rows, row) = (path.to_path_buf(), Splitter::new(blocks), Row::default());
        let mut csv = Self { path, rows, row, names: None, heads: Vec::new(), partition, ended: false };
        csv.read_header()?;
        Ok(csv)
    }

    /// The columns' names; none while the header has not come.
    pub(crate) fn names(&self) -> &[String] {
        self.names.as_deref().unwrap_or_default()
    }

    /// Whether the header has come.
    fn read_header(&mut self) -> Result<bool, Trouble> {
        if self.names.is_none() {
            self.names = header(&self.path, &mut self.rows)?;
            let names = self.names.iter().flatten();
            self.heads = json::member_heads(names.map(String::as_str));
        }
        Ok(self.names.is_some())
    }

    pub(crate) fn position(&self) -> Position {
        Position { partition: self.partition, line: self.rows.line(), offset: self.rows.offset() }
    }

    /// Fills the emptied batch; see [`super::Source::read`].
    pub(crate) fn read(
        &mut self,
        into: &mut Records,
        max_bytes: usize,
        max_records: usize,
    ) -> io::Result<Read> {
        into.clear();
        match self.read_header() {
            Ok(true) => {}
            Ok(false) => return Ok(Read::Idle),
            Err(trouble) => {
                self.ended = true;
                return Err(io::Error::other(trouble));
            }
        }
        while !self.ended && into.len() < max_records.max(1) {
            // Reading on may wait, so only where nothing was taken yet.
            match self.rows.next(&mut self.row, into.is_empty()) {
                Ok(Next::Row) => {}
                Ok(Next::Wait) if into.is_empty() => return Ok(Read::Idle),
                Ok(Next::Wait) => break,
                Ok(Next::End) => {
                    self.ended = true;
                    break;
                }
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
            let start = into.bytes.len();
            self.push(&mut into.bytes);
            if !into.is_empty() && into.bytes.len() > max_bytes {
                into.bytes.truncate(start);
                break;
            }
            into.list.push(RecordMeta {
                start: start as u32,
                len: (into.bytes.len() - start) as u32,
                partition: self.partition,
                form: Form::Row,
                place: Location::Row { line: self.rows.line(), offset: self.rows.offset() },
                arrival_ms: NO_ARRIVAL,
            });
            self.rows.take(&self.row);
        }
        Ok(if into.is_empty() { Read::End } else { Read::More })
    }

    /// Appends the record of the row.
    fn push(&self, out: &mut Vec<u8>) {
        let (fields, columns) = (self.row.len(), self.heads.len());
        match self.row.fault() {
            Some(Fault::TooLong) => return out.extend_from_slice(self.rows.too_long()),
            Some(Fault::Quotes) => return out.extend_from_slice(b"malformed row: its quotes do not match"),
            None if fields != columns => {
                // Writing into memory does not fail.
                let _ = write!(out, "ragged row: {fields} fields, the header has {columns}");
                return;
            }
            None => {}
        }
        for (head, field) in self.heads.iter().zip(self.row.fields()) {
            out.extend_from_slice(head);
            if field.is_empty() {
                out.extend_from_slice(b"null");
            } else {
                json::push_string(out, field);
            }
        }
        out.push(b'}');
    }
}

/// Opens a CSV file and takes its header: the rows and the columns' names, each once.
pub(crate) fn open(path: &Path, blocks: Blocks) -> Result<(Splitter, Vec<String>), Trouble> {
    let mut rows = Splitter::new(blocks);
    loop {
        if let Some(names) = header(path, &mut rows)? {
            return Ok((rows, names));
        }
    }
}

/// Takes the header: the columns' names, each once; none while it has not come.
fn header(path: &Path, rows: &mut Splitter) -> Result<Option<Vec<String>>, Trouble> {
    let mut row = Row::default();
    match rows.next(&mut row, true) {
        Ok(Next::Row) => {}
        Ok(Next::Wait) => return Ok(None),
        Ok(Next::End) => {
            return Err(Trouble::at(path, "is empty; a CSV file begins with the names of its columns"));
        }
        Err(e) => return Err(Trouble::at(path, "its first line cannot be read").because(e)),
    }
    let line = rows.line();
    let refuse =
        |what: std::fmt::Arguments<'_>| Trouble::at(path, format_args!("line {line}, column names: {what}"));
    match row.fault() {
        Some(Fault::TooLong) => return Err(refuse(format_args!("longer than a record may be"))),
        Some(Fault::Quotes) => return Err(refuse(format_args!("quotes do not match"))),
        None => {}
    }
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(row.len());
    for (index, field) in row.fields().enumerate() {
        let name = std::str::from_utf8(field)
            .map_err(|e| refuse(format_args!("number {} is not UTF-8", index + 1)).because(e))?;
        if name.contains('\r') && !name.contains('\n') {
            let what = "a carriage return is within; lines end in a line feed, with or without one before it";
            return Err(refuse(format_args!("{what}")));
        }
        if !seen.insert(name) {
            return Err(refuse(format_args!("\"{name}\" occurs twice")));
        }
        names.push(name.to_owned());
    }
    rows.take(&row);
    Ok(Some(names))
}
