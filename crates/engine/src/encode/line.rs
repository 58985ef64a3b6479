//! Write decision and alert lines.
//!
//! decide -> **line** (`plan`, `features`, `time`, `reason`) -> sinks
//!
//! Holds: members stand in the documented order; nothing is allocated once `out` has grown.

use super::features::FeatureWriter;
use super::id::Id;
use super::number::Text;
use super::plan::LinePlan;
use super::reason::Reason;
use super::reject::RejectLine;
use super::text::{push_escaped, push_one_line};
use super::time::{TIME_LEN, TimeWriter};
use crate::currency::Currency;
use crate::decide::Decision;
use crate::event::{EventRef, KeyText, KeyTexts, marks};
use crate::features::cell::{Cell, Shape};
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
    /// Whether those are known to have no line end.
    pub is_one_line: bool,
    pub event: EventRef<'a>,
    pub sequence: u64,
    /// Where a history is kept.
    pub id: Option<Id>,
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
    features: FeatureWriter,
}

impl LineWriter {
    /// A writer of lines by `plan`.
    pub fn new(plan: Arc<LinePlan>) -> Self {
        Self { time: TimeWriter::new(), features: FeatureWriter::new(&plan.features), plan }
    }

    /// Whether it writes by this very plan.
    pub fn is_of(&self, plan: &Arc<LinePlan>) -> bool {
        Arc::ptr_eq(&self.plan, plan)
    }

    /// Appends a decision line.
    pub fn decision(&mut self, out: &mut Vec<u8>, line: &Line<'_>) {
        out.reserve(line.record.len() + self.plan.features.len_max() + 512);
        self.push_head(out, line);
        let plan = &*self.plan;
        out.extend_from_slice(plan.open);
        out.extend_from_slice(self.features.write(&plan.features, line.cells));
        out.extend_from_slice(plan.close);
        if plan.event {
            out.extend_from_slice(b",\"event\":");
            push_one_line(out, line.record, line.is_one_line);
        }
        out.extend_from_slice(b"}\n");
    }

    /// Appends an alert line. `keys` are the texts of the event's keys, one an entity, as
    /// `Decoder::key_texts` gives them; a key of several parts is a list of them.
    pub fn alert(&mut self, out: &mut Vec<u8>, line: &Line<'_>, keys: &KeyTexts) {
        self.push_head(out, line);
        let head = line.event.head;
        let currency = Currency(head.currency);
        if let Some(id) = line.id {
            push_id(out, b",\"alert_id\":\"", id.alert(&self.plan.model_name));
        }
        out.extend_from_slice(b",\"amount\":");
        let amount = Text::of(Cell(head.amount_minor), Shape::Decimal { digits: currency.digits() });
        out.extend_from_slice(amount.as_bytes());
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
        for (name, key) in self.plan.entities.iter().zip(keys.iter()) {
            let Some(key) = key else { continue };
            if !first {
                out.push(b',');
            }
            first = false;
            out.extend_from_slice(name);
            push_key(out, key);
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
        let mut time = *b"\",\"event_time\":\"1970-01-01T00:00:00.000Z\",\"sequence\":";
        time[16..16 + TIME_LEN].copy_from_slice(&self.time.text(head.shown_ms));
        out.extend_from_slice(&time);
        out.extend_from_slice(itoa::Buffer::new().format(line.sequence).as_bytes());
        out.extend_from_slice(&plan.decisions[line.decision as usize]);
        push_score(out, line.score);
        out.extend_from_slice(&plan.model);
        for (at, reason) in line.reasons.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let feature = usize::from(reason.feature);
            plan.reasons[feature].push(out, reason, line.cells[feature], line.event);
        }
        if line.marks == 0 {
            out.extend_from_slice(b"],\"marks\":[]");
        } else {
            push_marks(out, line.marks);
        }
        if let Some(id) = line.id {
            push_id(out, b",\"decision_id\":\"", id);
        }
    }
}

fn push_id(out: &mut Vec<u8>, name: &[u8], id: Id) {
    out.extend_from_slice(name);
    out.extend_from_slice(&id.text());
    out.push(b'"');
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

/// One part as a text, several as a list: joined, ("a|b", "c") could be ("a", "b|c").
fn push_key(out: &mut Vec<u8>, key: KeyText<'_>) {
    let parts = key.parts();
    let is_list = parts.len() > 1;
    for (at, part) in parts.enumerate() {
        let before: &[u8] = match (is_list, at) {
            (false, _) => b"\"",
            (true, 0) => b"[\"",
            (true, _) => b",\"",
        };
        out.extend_from_slice(before);
        push_escaped(out, part);
        out.push(b'"');
    }
    if is_list {
        out.push(b']');
    }
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
