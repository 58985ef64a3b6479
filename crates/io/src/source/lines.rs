//! Blocks of bytes -> one record a line, without copying a line.
//!
//! block -> **lines** -> records
//!
//! Holds: a block lies in the batch's own buffer and a record is a range of it; only what follows the last
//! record taken is carried over (most often a partial line). An empty line is counted and is no record;
//! `\r\n` ends a line like `\n`; the last line needs no end. A line longer than `RECORD_BYTES_MAX` becomes a
//! record of its first `RECORD_BYTES_MAX + 1` bytes, which the engine rejects as too large; the rest of it is
//! never held. What a line becomes does not depend on the limits of a read.
//!
//! Not here: whether a line is JSON.

use super::block::{Blocks, Fill};
use super::{Position, Read};
use cartguard_engine::limits::RECORD_BYTES_MAX;
use cartguard_engine::record::{Form, Location, NO_ARRIVAL, RecordMeta, Records};
use std::io;

/// The longest record that leaves here.
const CUT_BYTES: usize = RECORD_BYTES_MAX + 1;

/// The least that is read at a time, so that tiny limits do not mean tiny reads.
const BLOCK_BYTES_MIN: usize = 16 * 1024;

/// The most that is read at a time: a record's range is 32 bits.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// The lines of one stream of bytes.
pub(crate) struct Lines {
    blocks: Blocks,
    next: Place,
    /// Bytes that were read and not taken, from `carry_at` on.
    carry: Vec<u8>,
    carry_at: usize,
    /// Whether the carry may hold a whole line: the last read stopped at a limit.
    carry_whole: bool,
    /// Within the rest of a line that was too long.
    skipping: bool,
    ended: bool,
}

/// Where the next line starts.
struct Place {
    partition: u32,
    line: u64,
    offset: u64,
}

/// What may go into one batch.
#[derive(Clone, Copy)]
struct Limits {
    bytes: usize,
    records: usize,
}

impl Lines {
    pub(crate) fn new(blocks: Blocks, partition: u32) -> Self {
        Self {
            blocks,
            next: Place { partition, line: 1, offset: 0 },
            carry: Vec::new(),
            carry_at: 0,
            carry_whole: false,
            skipping: false,
            ended: false,
        }
    }

    pub(crate) fn position(&self) -> Position {
        Position { partition: self.next.partition, line: self.next.line, offset: self.next.offset }
    }

    /// Fills the emptied batch; see [`super::Source::read`].
    pub(crate) fn read(
        &mut self,
        into: &mut Records,
        max_bytes: usize,
        max_records: usize,
    ) -> io::Result<Read> {
        let limits = Limits { bytes: max_bytes.clamp(1, BLOCK_BYTES_MAX), records: max_records.max(1) };
        into.clear();
        if self.carry_whole && self.take_carried(into, limits) {
            // Alone they would be a small batch after each that stopped at the limit of records.
            let is_full = self.carry_whole || into.len() >= limits.records;
            if is_full || !self.blocks.is_file() {
                return Ok(Read::More);
            }
            return self.fill_up(into, limits);
        }
        into.bytes.clear();
        self.restore_carry(into);
        self.read_blocks(into, limits)
    }

    /// Takes whole lines that an earlier read left behind.
    fn take_carried(&mut self, into: &mut Records, limits: Limits) -> bool {
        let left = &self.carry[self.carry_at..];
        let (taken, stopped) = self.next.cut(left, (0, 0), &mut into.list, limits);
        into.bytes.extend_from_slice(&left[..taken]);
        self.carry_at += taken;
        self.carry_whole = stopped;
        !into.is_empty()
    }

    /// Takes more of a file behind the lines that were carried: what one read gives.
    fn fill_up(&mut self, into: &mut Records, limits: Limits) -> io::Result<Read> {
        let start = into.bytes.len();
        self.restore_carry(into);
        let known = into.bytes.len();
        let want = limits.bytes.saturating_sub(known).max(BLOCK_BYTES_MIN);
        let (taken, stopped) = match self.blocks.fill(&mut into.bytes, want) {
            Ok(Fill::Some) => self.next.cut(&into.bytes, (start, known), &mut into.list, limits),
            // The next read comes to it again.
            Ok(Fill::Idle | Fill::End) | Err(_) => (start, false),
        };
        self.keep(into, taken);
        self.carry_whole = stopped;
        Ok(Read::More)
    }

    /// Puts what was carried (no whole line) behind what is in the batch.
    fn restore_carry(&mut self, into: &mut Records) {
        into.bytes.extend_from_slice(&self.carry[self.carry_at..]);
        self.carry.clear();
        self.carry_at = 0;
    }

    fn read_blocks(&mut self, into: &mut Records, limits: Limits) -> io::Result<Read> {
        loop {
            let known = into.bytes.len();
            // Two more than a record may have: `\r` may still be part of the line's end.
            if known > CUT_BYTES + 1 {
                self.cut_long(into);
                return Ok(Read::More);
            }
            if self.ended {
                return Ok(Read::End);
            }
            let want = limits.bytes.saturating_sub(known).max(BLOCK_BYTES_MIN);
            match self.blocks.fill(&mut into.bytes, want) {
                Ok(Fill::Some) => {}
                Ok(Fill::Idle) => {
                    self.keep(into, 0);
                    return Ok(Read::Idle);
                }
                Ok(Fill::End) => {
                    self.ended = true;
                    return Ok(self.last_line(into));
                }
                Err(error) => {
                    self.ended = true;
                    into.clear();
                    return Err(error);
                }
            }
            if self.skipping && !self.skip(into) {
                continue;
            }
            let (taken, stopped) = self.next.cut(&into.bytes, (0, known), &mut into.list, limits);
            if into.is_empty() {
                // Empty lines, or no line end yet: go on behind what is left.
                into.bytes.drain(..taken);
                continue;
            }
            self.keep(into, taken);
            self.carry_whole = stopped;
            return Ok(Read::More);
        }
    }

    /// Carries what follows `taken`.
    fn keep(&mut self, into: &mut Records, taken: usize) {
        self.carry.clear();
        self.carry.extend_from_slice(&into.bytes[taken..]);
        self.carry_at = 0;
        self.carry_whole = false;
        into.bytes.truncate(taken);
    }

    /// Makes a record of the front of a line without end.
    fn cut_long(&mut self, into: &mut Records) {
        let line_bytes = into.bytes.len();
        into.bytes.truncate(CUT_BYTES);
        self.next.push(0, CUT_BYTES, &mut into.list);
        self.next.offset += line_bytes as u64;
        self.skipping = true;
    }

    /// Drops the rest of a line that was too long; false while its end was not seen.
    fn skip(&mut self, into: &mut Records) -> bool {
        let end = memchr::memchr(b'\n', &into.bytes).map(|at| at + 1);
        let dropped = end.unwrap_or(into.bytes.len());
        into.bytes.drain(..dropped);
        self.next.offset += dropped as u64;
        self.next.line += u64::from(end.is_some());
        self.skipping = end.is_none();
        !self.skipping
    }

    /// The line before the end of the bytes, which has no line end.
    fn last_line(&mut self, into: &mut Records) -> Read {
        let bytes = into.bytes.len();
        let len = content(&into.bytes);
        if len > 0 {
            self.next.push(0, len, &mut into.list);
        }
        self.next.offset += bytes as u64;
        self.next.line += u64::from(bytes > 0);
        if into.is_empty() { Read::End } else { Read::More }
    }
}

impl Place {
    /// Cuts whole lines off `bytes` from `start` on; no line ends before `known`: how many bytes are taken, and
    /// whether a limit stopped it.
    fn cut(
        &mut self,
        bytes: &[u8],
        (mut start, known): (usize, usize),
        list: &mut Vec<RecordMeta>,
        limits: Limits,
    ) -> (usize, bool) {
        for end in memchr::memchr_iter(b'\n', &bytes[known..]) {
            let next = known + end + 1;
            let len = content(&bytes[start..next - 1]);
            if len > 0 {
                if list.len() == limits.records || (next > limits.bytes && !list.is_empty()) {
                    return (start, true);
                }
                self.push(start, len, list);
            }
            self.line += 1;
            self.offset += (next - start) as u64;
            start = next;
        }
        (start, false)
    }

    fn push(&self, start: usize, len: usize, list: &mut Vec<RecordMeta>) {
        list.push(RecordMeta {
            start: start as u32,
            len: len.min(CUT_BYTES) as u32,
            partition: self.partition,
            form: Form::Json,
            place: Location::Row { line: self.line, offset: self.offset },
            arrival_ms: NO_ARRIVAL,
        });
    }
}

/// Length of a line without the `\r` of its end.
fn content(line: &[u8]) -> usize {
    line.len() - usize::from(line.last() == Some(&b'\r'))
}
