//! `[labels]`: what is known of events later.

use super::path::path;
use cartguard_engine::document::Reader;
use cartguard_engine::schema::{Labels, Path, Schema};

const DAY_MS: i64 = 86_400_000;
/// A label that comes later than this is of no use to anybody.
const DELAY_MS_MAX: i64 = 400 * DAY_MS;

/// None where no column is named.
#[expect(clippy::option_option, reason = "faulty, none, or labels")]
pub(super) fn labels(table: &mut Reader<'_>) -> Option<Option<Labels>> {
    let column = table.text("column")?;
    let delay_ms = table.duration("delay", 0..=DELAY_MS_MAX);
    let maturity_ms = match table.node("maturity") {
        Some(node) if node.word() != Some("") => table.duration("maturity", 1..=DELAY_MS_MAX).map(Some),
        _ => Some(None),
    };
    // 64 KiB: an event or two in each of 64 parts.
    let memory_bytes = table.size("memory", 1 << 16..=1 << 44);
    let (delay_ms, maturity_ms, memory_bytes) = (delay_ms?, maturity_ms?, memory_bytes?);
    if column.is_empty() {
        if maturity_ms.is_some() {
            table.fault(
                "maturity",
                "says when an event without a label is genuine, and there are no labels; give labels.column",
            );
        }
        return Some(None);
    }
    let column = path(&column, table.place_of("column"), &table.key("column"), table.faults())?;
    Some(Some(Labels { column, delay_ms, maturity_ms, memory_bytes }))
}

/// Refuses a label that is mapped as something else too: a feature could then reach it.
pub(super) fn check_apart(schema: &Schema, table: &Reader<'_>) {
    let Some(labels) = &schema.labels else { return };
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
    let column = &labels.column;
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
