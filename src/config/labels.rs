//! `[labels]`: what is known of events later.

use super::Relative;
use super::path::path;
use cartguard_engine::document::{Reader, duration_text};
use cartguard_engine::limits::LABEL_AHEAD_MS_MAX;
use cartguard_engine::schema::{Labels, LabelsFrom, Path, Schema};
use std::path::PathBuf;

const DAY_MS: i64 = 86_400_000;
/// A label that comes later than this is of no use to anybody.
const DELAY_MS_MAX: i64 = LABEL_AHEAD_MS_MAX;

/// The section, checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    /// None where no label is ever known.
    pub(super) labels: Option<Labels>,
    /// Files of labels; with them the column is not read.
    pub(super) input: Vec<PathBuf>,
    /// The column, read or not: no feature may reach it.
    pub(super) column: Option<Path>,
}

/// Labels in the place of faulty ones, of which nothing but that they are there is looked at.
pub(super) fn any() -> Option<Labels> {
    let from = LabelsFrom::Input { span_ms: DELAY_MS_MAX };
    Some(Labels { from, maturity_ms: None, memory_bytes: 0 })
}

pub(super) fn labels(table: &mut Reader<'_>, at: &Relative<'_>) -> Option<Section> {
    let column = table.text("column");
    let input = table
        .texts("input")
        .map(|paths| paths.into_iter().map(|(text, place)| at.from(place, &text)).collect::<Vec<PathBuf>>());
    let delay_ms = table.duration("delay", 0..=DELAY_MS_MAX);
    let maturity_ms = match table.node("maturity") {
        Some(node) if node.word() == Some("") => Some(None),
        _ => table.duration("maturity", 1..=DELAY_MS_MAX).map(Some),
    };
    let span_ms = table.duration("span", DAY_MS..=DELAY_MS_MAX);
    // 64 KiB: an event or two in each of 64 parts.
    let memory_bytes = table.size("memory", 1 << 16..=1 << 44);
    // What one key says of another is told whatever is wrong with the rest.
    let is_none = column.as_deref() == Some("") && input.as_ref().is_some_and(Vec::is_empty);
    if is_none && matches!(maturity_ms, Some(Some(_))) {
        table.fault(
            "maturity",
            "says when an event without a label is genuine, and there are no labels; give labels.column or labels.input",
        );
    }
    if let (Some(Some(maturity_ms)), Some(span_ms)) = (maturity_ms, span_ms)
        && maturity_ms > span_ms
        && input.as_ref().is_some_and(|input| !input.is_empty())
    {
        let what = format!(
            "{} is longer than labels.span, {}: events are not kept for so long",
            duration_text(maturity_ms),
            duration_text(span_ms)
        );
        table.fault("maturity", what);
    }
    let column = column.map(|column| match column.as_str() {
        "" => Some(None),
        column => path(column, table.place_of("column"), &table.key("column"), table.faults()).map(Some),
    });
    let (column, input, delay_ms, maturity_ms) = (column??, input?, delay_ms?, maturity_ms?);
    let (span_ms, memory_bytes) = (span_ms?, memory_bytes?);
    if is_none {
        return Some(Section::default());
    }
    let from = match &column {
        Some(path) if input.is_empty() => LabelsFrom::Column { path: path.clone(), delay_ms },
        _ => LabelsFrom::Input { span_ms },
    };
    Some(Section { labels: Some(Labels { from, maturity_ms, memory_bytes }), input, column })
}

/// Refuses a label that is mapped as something else too: a feature could then reach it.
pub(super) fn check_apart(column: &Path, schema: &Schema, table: &Reader<'_>) {
    let times = std::iter::once(&schema.time).chain(&schema.arrival).map(|time| &time.path);
    let fields = schema.fields.iter().map(|field| &field.path);
    let keys = schema.entities.iter().flat_map(|entity| &entity.key);
    let items = schema.items.iter().map(|items| &items.path);
    let others: Vec<&Path> = [&schema.id, &schema.amount]
        .into_iter()
        .chain(times)
        .chain(fields)
        .chain(keys)
        .chain(items)
        .collect();
    if let Some(other) =
        others.into_iter().find(|other| column.0.starts_with(&other.0) || other.0.starts_with(&column.0))
    {
        let what = format!(
            "{:?} is the label, and {:?} is mapped too; a feature must not reach the label",
            column.dotted(),
            other.dotted()
        );
        table.fault("column", what);
    }
}
