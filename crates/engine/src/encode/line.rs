//! Write decision and alert lines.
//!
//! decide -> **line** (`plan`, `number`, `time`, `reason`) -> sinks
//!
//! Nested windows often hold the same events, so of 90 features some 22 have a text of their own. The writer
//! first finds those, shape by shape and without a branch on equality (which follows no pattern), makes their
//! texts, and then lays all texts into place in blocks of fixed size, each overwriting the last one's rest.
//!
//! Holds: members stand in the documented order; nothing is allocated once `out` has grown.

use super::number::{self, Text};
use super::plan::{Column, LinePlan};
use super::real::real;
use super::reason::Reason;
use super::reject::RejectLine;
use super::text::{push_escaped, push_one_line};
use super::time::TimeWriter;
use crate::currency::Currency;
use crate::decide::Decision;
use crate::event::{EventRef, marks};
use crate::features::cell::Cell;
use std::sync::Arc;

/// A score in the type in which the model computes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScoreText {
    F32(f32),
    F64(f64),
}

/// Everything that a decision line says.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The record's own bytes: a valid JSON object.
    pub record: &'a [u8],
    pub event: EventRef<'a>,
    pub sequence: u64,
    pub decision: Decision,
    /// `None` without a model.
    pub score: Option<ScoreText>,
    /// Of [`marks`].
    pub marks: u8,
    /// One a feature.
    pub cells: &'a [Cell],
    /// Empty unless an alert.
    pub reasons: &'a [Reason],
}

/// Writes lines; owns the buffers that this needs.
#[derive(Debug)]
pub struct LineWriter {
    plan: Arc<LinePlan>,
    time: TimeWriter,
    /// The text of each column that has one of its own.
    texts: Vec<Text>,
    /// For each column the one whose text is its.
    roots: Vec<u16>,
    /// The columns whose text is to be made, by index in the list of their shape.
    todo: Vec<u16>,
    /// The features of a line; longer by a block than they can be. Zeroed once, not for each line.
    features: Vec<u8>,
}

/// Texts are laid in blocks of this many bytes; nearly all fit into one.
const BLOCK: usize = 16;

/// Names are laid in blocks of this many bytes.
const NAME_BLOCK: usize = 32;

impl LineWriter {
    /// A writer of lines by `plan`.
    pub fn new(plan: Arc<LinePlan>) -> Self {
        Self {
            time: TimeWriter::new(),
            texts: vec![Text::EMPTY; plan.columns],
            roots: vec![0; plan.columns],
            todo: vec![0; plan.columns + 1],
            features: vec![0; plan.features_len_max() + NAME_BLOCK],
            plan,
        }
    }

    /// Appends a decision line.
    pub fn decision(&mut self, out: &mut Vec<u8>, line: &Line<'_>) {
        let written = self.fill_features(line.cells);
        out.reserve(line.record.len() + written + 512);
        self.push_head(out, line);
        let plan = &*self.plan;
        out.extend_from_slice(plan.open);
        out.extend_from_slice(&self.features[..written]);
        out.extend_from_slice(plan.close);
        if plan.event {
            out.extend_from_slice(b",\"event\":");
            push_one_line(out, line.record);
        }
        out.extend_from_slice(b"}\n");
    }

    /// Appends an alert line. `keys` are the texts of the event's keys, one an entity, as
    /// `Decoder::key_texts` gives them.
    pub fn alert(&mut self, out: &mut Vec<u8>, line: &Line<'_>, keys: &[Option<String>]) {
        self.push_head(out, line);
        let head = line.event.head;
        let currency = Currency(head.currency);
        out.extend_from_slice(b",\"amount\":");
        out.extend_from_slice(number::decimal(head.amount_minor, currency.digits()).as_bytes());
        match currency.code() {
            "" => out.extend_from_slice(b",\"currency\":null"),
            code => {
                out.extend_from_slice(b",\"currency\":\"");
                push_escaped(out, code);
                out.push(b'"');
            }
        }
        out.extend_from_slice(b",\"entities\":{");
        let mut first = true;
        for (name, key) in self.plan.entities.iter().zip(keys) {
            let Some(key) = key else { continue };
            if !first {
                out.push(b',');
            }
            first = false;
            out.extend_from_slice(name);
            push_escaped(out, key);
            out.push(b'"');
        }
        out.extend_from_slice(b"}}\n");
    }

    /// Appends a reject line.
    pub fn reject(&mut self, out: &mut Vec<u8>, line: &RejectLine<'_>) {
        self.plan.subjects.push(out, line);
    }

    /// From the opening brace to the marks.
    fn push_head(&mut self, out: &mut Vec<u8>, line: &Line<'_>) {
        let head = line.event.head;
        let plan = &*self.plan;
        let id = &line.record[head.id.start as usize..][..head.id.len as usize];
        out.extend_from_slice(b"{\"event_id\":\"");
        out.extend_from_slice(id);
        out.extend_from_slice(b"\",\"event_time\":\"");
        out.extend_from_slice(&self.time.text(head.shown_ms));
        out.extend_from_slice(b"\",\"sequence\":");
        out.extend_from_slice(itoa::Buffer::new().format(line.sequence).as_bytes());
        out.extend_from_slice(&plan.decisions[line.decision as usize]);
        push_score(out, line.score);
        out.extend_from_slice(&plan.model);
        for (at, reason) in line.reasons.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let feature = usize::from(reason.feature);
            plan.reasons[feature].push(out, reason, line.cells[feature]);
        }
        if line.marks == 0 {
            out.extend_from_slice(b"],\"marks\":[]");
        } else {
            push_marks(out, line.marks);
        }
    }

    /// Writes the members or elements into `self.features`; their length, without the last comma.
    fn fill_features(&mut self, cells: &[Cell]) -> usize {
        let Self { plan, texts, roots, todo, features, .. } = self;
        assert_eq!(cells.len(), plan.features, "one cell a feature");
        if plan.columns == 0 {
            return 0;
        }
        let mut make = |list: &[Column], text: fn(i64, u32) -> Text| {
            let own = find_own(list, cells, roots, todo);
            for &index in &todo[..own] {
                let column = &list[usize::from(index)];
                let cell = cells[usize::from(column.cell)];
                texts[usize::from(column.at)] = text(cell.0, u32::from(column.digits));
            }
        };
        make(&plan.integers, |value, _| number::integer(value));
        make(&plan.decimals, number::decimal);
        make(&plan.reals, |value, _| real(Cell(value).as_real()));

        let mut end = 0;
        if plan.names.is_empty() {
            for &root in roots.iter() {
                end = lay_text(features, end, &texts[usize::from(root)]);
            }
        } else {
            let mut names = &plan.names[..];
            for (&root, &len) in roots.iter().zip(&plan.name_lens) {
                let (name, rest) = names.split_at(usize::from(len));
                end = lay_name(features, end, name);
                end = lay_text(features, end, &texts[usize::from(root)]);
                names = rest;
            }
        }
        end - 1
    }
}

/// Finds the columns of one shape whose text must be made, into the front of `todo`; their number.
fn find_own(list: &[Column], cells: &[Cell], roots: &mut [u16], todo: &mut [u16]) -> usize {
    let mut own = 0;
    for (index, column) in list.iter().enumerate() {
        let differs = cells[usize::from(column.cell)] != cells[usize::from(column.same_cell)]
            || column.at == column.same_at;
        roots[usize::from(column.at)] = if differs { column.at } else { roots[usize::from(column.same_at)] };
        todo[own] = index as u16;
        own += usize::from(differs);
    }
    own
}

/// Lays a text with its comma at `at`; where the next one begins.
#[inline]
fn lay_text(to: &mut [u8], at: usize, text: &Text) -> usize {
    let len = text.len as usize;
    to[at..at + BLOCK].copy_from_slice(&text.bytes[..BLOCK]);
    if len > BLOCK {
        to[at + BLOCK..at + text.bytes.len()].copy_from_slice(&text.bytes[BLOCK..]);
    }
    at + len
}

#[inline]
fn lay_name(to: &mut [u8], at: usize, name: &[u8]) -> usize {
    to[at..at + name.len()].copy_from_slice(name);
    at + name.len()
}

fn push_score(out: &mut Vec<u8>, score: Option<ScoreText>) {
    let mut buffer = zmij::Buffer::new();
    let text = match score {
        Some(ScoreText::F32(score)) if score.is_finite() => buffer.format_finite(score),
        Some(ScoreText::F64(score)) if score.is_finite() => buffer.format_finite(score),
        // NaN has no number in JSON; the decision (review) tells it from no model.
        Some(ScoreText::F32(_) | ScoreText::F64(_)) | None => "null",
    };
    out.extend_from_slice(text.as_bytes());
}

/// Ends the reasons and writes the marks that are set.
#[cold]
fn push_marks(out: &mut Vec<u8>, set: u8) {
    out.extend_from_slice(b"],\"marks\":[");
    let mut first = true;
    for (mark, name) in marks::NAMES {
        if set & mark != 0 {
            out.extend_from_slice(if first { b"\"" } else { b",\"" });
            out.extend_from_slice(name.as_bytes());
            out.push(b'"');
            first = false;
        }
    }
    out.push(b']');
}
