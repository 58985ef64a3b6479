//! Bytes of CSV (RFC 4180) -> rows of fields.
//!
//! block -> **split** -> csv, rows
//!
//! Holds: a field that begins with a quote ends at the next quote that is not doubled, and may hold commas
//! and line ends; another quote is a character like any other. A quote that is not closed before the file ends, or
//! within `RECORD_BYTES_MAX` bytes, is a fault of its row, and so is text between a closing quote and the comma. Such
//! a row ends with its first line, for which of its quotes is one too many nobody knows: of the rows behind a stray
//! quote at most one is lost with it. A line that is longer than `RECORD_BYTES_MAX` is a fault too, and reading goes on
//! behind it, so memory is bounded. An empty line is counted and is no row. A byte order mark at the start is skipped. What
//! a row becomes does not depend on how the bytes arrive.
//!
//! Not here: names, JSON, numbers. The csv crate is not used: it does not tell where a row starts (its line is
//! off by one behind `\r\n`) and holds a row of any length.

use super::super::block::{Blocks, Fill};
use cartguard_engine::limits::RECORD_BYTES_MAX;
use std::io;

/// What is read at a time. Arbitrary; about what becomes half a megabyte of JSON.
const BLOCK_BYTES: usize = 256 * 1024;

/// A row must end within this: its bytes and `\r\n`.
const ROW_BYTES_MAX: usize = RECORD_BYTES_MAX + 2;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a row has no fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLong,
    Quotes,
}

/// What looking for a row came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A row stands at the front; [`Splitter::take`] goes on behind it.
    Row,
    /// Nothing whole is there now.
    Wait,
    End,
}

/// The fields of one row, unescaped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    text: Vec<u8>,
    /// Where each field ends in `text`.
    ends: Vec<usize>,
    fault: Option<Fault>,
    /// Bytes of the row with its end, and line ends among them.
    bytes: usize,
    lines: u64,
}

impl Row {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| self.field(index))
    }

    pub(crate) fn field(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.fault = None;
        self.bytes = 0;
        self.lines = 0;
    }

    fn end_field(&mut self) {
        self.ends.push(self.text.len());
    }
}

/// Finds rows in a stream of bytes.
pub(crate) struct Splitter {
    blocks: Blocks,
    raw: Vec<u8>,
    /// Where the next row starts in `raw`.
    at: usize,
    line: u64,
    offset: u64,
    /// Behind a row that was too long: up to the next line end.
    skipping: bool,
    ended: bool,
}

impl Splitter {
    pub(crate) fn new(blocks: Blocks) -> Self {
        Self { blocks, raw: Vec::new(), at: 0, line: 1, offset: 0, skipping: false, ended: false }
    }

    /// Line (from 1) of the next row.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Byte offset of the next row.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The front of the row at hand, just over the limit.
    pub(crate) fn too_long(&self) -> &[u8] {
        &self.raw[self.at..][..=RECORD_BYTES_MAX]
    }

    /// Puts the next row into `row` and stays before it; reads on only where `may_read`.
    pub(crate) fn next(&mut self, row: &mut Row, may_read: bool) -> io::Result<Next> {
        loop {
            self.skip();
            if !self.skipping && self.parse(row) {
                return Ok(Next::Row);
            }
            if self.ended {
                return Ok(Next::End);
            }
            if !may_read || !self.read_on()? {
                return Ok(Next::Wait);
            }
        }
    }

    /// Goes on behind the row.
    pub(crate) fn take(&mut self, row: &Row) {
        self.advance(row.bytes, row.lines);
        self.skipping = row.fault == Some(Fault::TooLong);
    }

    fn advance(&mut self, bytes: usize, lines: u64) {
        self.at += bytes;
        self.offset += bytes as u64;
        self.line += lines;
    }

    /// Passes by empty lines, the byte order mark, and the rest of a row that was too long.
    fn skip(&mut self) {
        if self.offset == 0 && self.raw.starts_with(BYTE_ORDER_MARK) {
            self.advance(BYTE_ORDER_MARK.len(), 0);
        }
        if self.skipping {
            let left = &self.raw[self.at..];
            let end = memchr::memchr(b'\n', left);
            self.skipping = end.is_none();
            self.advance(end.map_or(left.len(), |end| end + 1), u64::from(end.is_some()));
        }
        loop {
            match &self.raw[self.at..] {
                [b'\n', ..] => self.advance(1, 1),
                [b'\r', b'\n', ..] => self.advance(2, 1),
                _ => return,
            }
        }
    }

    /// Reads a block behind what is left; false where nothing came.
    fn read_on(&mut self) -> io::Result<bool> {
        self.raw.drain(..self.at);
        self.at = 0;
        // A row that does not end is looked at again each time, so twice as much comes each time.
        let want = self.raw.len().max(BLOCK_BYTES);
        match self.blocks.fill(&mut self.raw, want)? {
            Fill::Some => Ok(true),
            Fill::Idle => Ok(false),
            Fill::End => {
                self.ended = true;
                Ok(true)
            }
        }
    }

    /// Parses the row at hand; false where it is not whole yet.
    fn parse(&self, row: &mut Row) -> bool {
        row.clear();
        let left = &self.raw[self.at..];
        let window = &left[..left.len().min(ROW_BYTES_MAX)];
        if window.is_empty() || (self.ended && window == b"\r") {
            return false;
        }
        // At the end of the bytes a row needs no line end.
        let last = self.ended && window.len() == left.len();
        if parse_row(window, last, row) {
            return true;
        }
        let is_full = window.len() == ROW_BYTES_MAX;
        // A line end that did not end the row is within quotes.
        if (last || is_full) && end_faulty(window, last, row) {
            return true;
        }
        if is_full {
            (row.fault, row.bytes, row.lines) = (Some(Fault::TooLong), window.len(), 0);
        }
        is_full
    }
}

/// Parses one row from the front; false where its end is not there. `last`: the bytes end here.
fn parse_row(bytes: &[u8], last: bool, row: &mut Row) -> bool {
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&b'"') {
            match parse_quoted(bytes, at + 1, row) {
                Some(behind) => at = behind,
                None => return false,
            }
            match &bytes[at..] {
                [b',' | b'\n', ..] | [b'\r', b'\n', ..] => {}
                [] | [b'\r'] if last => {}
                [] | [b'\r'] => return false,
                _ => return end_faulty(bytes, last, row),
            }
        }
        let ends = memchr::memchr2(b',', b'\n', &bytes[at..]).map(|length| at + length);
        let Some(end) = ends.or_else(|| last.then_some(bytes.len())) else { return false };
        let comma = bytes.get(end) == Some(&b',');
        let text = &bytes[at..end];
        let text = if comma { text } else { text.strip_suffix(b"\r").unwrap_or(text) };
        row.text.extend_from_slice(text);
        row.end_field();
        if !comma {
            let ended = usize::from(end < bytes.len());
            row.bytes = end + ended;
            row.lines += ended as u64;
            return true;
        }
        at = end + 1;
    }
}

/// Ends a row whose quotes do not match at the end of its first line; false where that is not there.
fn end_faulty(bytes: &[u8], last: bool, row: &mut Row) -> bool {
    let end = memchr::memchr(b'\n', bytes).map(|length| length + 1);
    (row.fault, row.lines) = (Some(Fault::Quotes), u64::from(end.is_some()));
    row.bytes = end.unwrap_or(bytes.len());
    end.is_some() || last
}

/// Takes a quoted text from behind its first quote; where the byte behind its last quote is.
fn parse_quoted(bytes: &[u8], mut at: usize, row: &mut Row) -> Option<usize> {
    loop {
        let quote = at + memchr::memchr(b'"', &bytes[at..])?;
        let text = &bytes[at..quote];
        row.text.extend_from_slice(text);
        row.lines += memchr::memchr_iter(b'\n', text).count() as u64;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote + 1);
        }
        row.text.push(b'"');
        at = quote + 2;
    }
}
