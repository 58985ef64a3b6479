//! Past its bound a history's oldest neighbours become spans (docs/semantics.md, 4).
//!
//! write -> **merge**
//!
//! A rebuild of the whole key: some 20 us at 4,096 rows, once in about 2,000 insertions of a hot key.

use crate::window::history::{ChunkHead, column_value};
use crate::window::layout::{CHUNK_ROWS, Layout, SPAN_COLUMN, SPAN_FIXED};
use crate::window::totals::{ColumnTotals, Totals};
use crate::window::write::{Entry, HistoryMut};

/// Merged neighbours.
#[derive(Clone, Debug)]
struct Span {
    first_ms: i64,
    last_ms: i64,
    totals: Totals,
}

/// A key's rows taken out of their chunks; buffers are reused.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    spans: Vec<Span>,
    /// Entries that stay, row by row.
    entries: Vec<u64>,
}

/// Turns the oldest half of the entries into spans, and merges spans.
pub(crate) fn merge_neighbours(history: &mut HistoryMut<'_>) {
    let mut gathered = std::mem::take(&mut history.scratch.merge);
    let fold = (history.slot.entries as usize).div_ceil(2);
    gather(history, &mut gathered, fold);
    merge_spans(&mut gathered.spans, history.slot.newest_ms);
    rebuild(history, &gathered);
    history.scratch.merge = gathered;
}

/// Takes a late event into the spans; false where it belongs to the entries.
pub(crate) fn insert_into_spans(history: &mut HistoryMut<'_>, entry: &Entry) -> bool {
    let time_ms = entry.time_ms;
    let read = history.read();
    let later = read.after(time_ms, read.end());
    if later == read.end() || !read.chunk(later.chunk).spans {
        return false;
    }
    let mut gathered = std::mem::take(&mut history.scratch.merge);
    gather(history, &mut gathered, 0);
    let index = gathered.spans.partition_point(|span| span.last_ms < time_ms);
    let mut alone = Totals::new(history.layout);
    alone.set(&entry.columns, entry.conditions);
    let span = &mut gathered.spans[index];
    if span.first_ms <= time_ms {
        absorb(&mut span.totals, &alone);
    } else {
        gathered.spans.insert(index, Span { first_ms: time_ms, last_ms: time_ms, totals: alone });
    }
    rebuild(history, &gathered);
    history.scratch.merge = gathered;
    true
}

/// Fills the chunks anew where a directory has no room for another; changes no value.
pub(crate) fn repack(history: &mut HistoryMut<'_>) {
    let mut gathered = std::mem::take(&mut history.scratch.merge);
    gather(history, &mut gathered, 0);
    rebuild(history, &gathered);
    history.scratch.merge = gathered;
}

/// Takes out all rows; the oldest `fold` entries as spans.
fn gather(history: &HistoryMut<'_>, gathered: &mut Gathered, fold: usize) {
    gathered.spans.clear();
    gathered.entries.clear();
    let read = history.read();
    let layout = history.layout;
    let mut folded = 0;
    for index in 0..read.chunks() {
        let chunk = read.chunk(index);
        for row in if index == 0 { history.slot.head_row as usize } else { 0 }..chunk.rows {
            let mut totals = Totals::new(layout);
            if chunk.spans || folded < fold {
                folded += usize::from(!chunk.spans);
                chunk.total(layout, row, row + 1, &mut totals);
                complete(&mut totals, layout, &chunk, row);
                gathered.spans.push(Span {
                    first_ms: chunk.first_ms(row),
                    last_ms: chunk.time_ms(row),
                    totals,
                });
            } else {
                let width = layout.sizes.entry;
                gathered.entries.extend((0..width).map(|column| chunk.words[column * chunk.room + row]));
            }
        }
    }
}

/// Totals of a single entry leave out what no feature asks for; a span keeps all.
fn complete(totals: &mut Totals, layout: &Layout, chunk: &crate::window::history::Chunk<'_>, row: usize) {
    if chunk.spans {
        return;
    }
    for index in 0..layout.columns.len() {
        totals.columns[index] = ColumnTotals::NOTHING;
        if let Some(value) = column_value(chunk, index, row) {
            totals.columns[index].add(value);
        }
    }
}

fn absorb(into: &mut Totals, other: &Totals) {
    into.count += other.count;
    for (column, more) in into.columns.iter_mut().zip(&other.columns) {
        column.merge(more);
    }
    for (count, more) in into.conditions.iter_mut().zip(&other.conditions) {
        *count += more;
    }
}

/// From the oldest on, merges a span with its next while it is at most 1 % of its age wide.
fn merge_spans(spans: &mut Vec<Span>, newest_ms: i64) {
    let mut kept = 0;
    for index in 1..spans.len() {
        let (before, rest) = spans.split_at_mut(index);
        let (span, next) = (&mut before[kept], &rest[0]);
        if 100 * (next.last_ms - span.first_ms) <= newest_ms - next.last_ms {
            absorb(&mut span.totals, &next.totals);
            span.last_ms = next.last_ms;
        } else {
            kept += 1;
            spans.swap(kept, index);
        }
    }
    spans.truncate(kept + 1);
}

/// Writes the rows back into chunks.
fn rebuild(history: &mut HistoryMut<'_>, gathered: &Gathered) {
    let layout = history.layout;
    let mut heads = Vec::with_capacity((gathered.spans.len() + gathered.entries.len()) / CHUNK_ROWS + 2);
    for spans in gathered.spans.chunks(CHUNK_ROWS) {
        let handle = history.allocate_chunk(true);
        let block = history.arena.words_mut(handle, CHUNK_ROWS * layout.sizes.span);
        for (row, span) in spans.iter().enumerate() {
            block[row] = span.last_ms as u64;
            block[CHUNK_ROWS + row] = span.first_ms as u64;
            block[2 * CHUNK_ROWS + row] = span.totals.count;
            for (index, column) in span.totals.columns.iter().enumerate() {
                column.store(&mut block[(SPAN_FIXED + index * SPAN_COLUMN) * CHUNK_ROWS + row..], CHUNK_ROWS);
            }
            for (condition, &count) in span.totals.conditions.iter().enumerate() {
                let at = SPAN_FIXED + layout.columns.len() * SPAN_COLUMN + condition;
                block[at * CHUNK_ROWS + row] = count;
            }
        }
        heads.push(ChunkHead { handle, rows: spans.len(), spans: true });
    }
    let width = layout.sizes.entry;
    for entries in gathered.entries.chunks(CHUNK_ROWS * width) {
        let handle = history.allocate_chunk(false);
        let block = history.arena.words_mut(handle, CHUNK_ROWS * width);
        for (row, words) in entries.chunks(width).enumerate() {
            for (column, &word) in words.iter().enumerate() {
                block[column * CHUNK_ROWS + row] = word;
            }
        }
        heads.push(ChunkHead { handle, rows: entries.len() / width, spans: false });
    }
    history.make_big_for(heads.len());
    history.replace_chunks(&heads);
    history.slot.spans = gathered.spans.len() as u32;
    history.slot.entries = (gathered.entries.len() / width) as u32;
}
