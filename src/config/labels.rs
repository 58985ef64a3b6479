//! `[labels]`: where the later truth of history stands.

use super::Schema;
use cartguard_engine::document::Reader;

const DAY_MS: i64 = 86_400_000;

/// `[labels]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// The member of a record, part by part, that says whether it was fraud; none: labels come from a file.
    pub(crate) column: Option<Vec<String>>,
    /// How long after an event its column is known, ms.
    pub(crate) delay_ms: i64,
}

/// Features must not reach what they are to foretell, so a column that is mapped is refused.
pub(super) fn labels(table: &mut Reader<'_>, schema: Option<&Schema>) -> Option<Labels> {
    let column = table.text("column");
    let delay_ms = table.duration("delay", 0..=400 * DAY_MS);
    let column = column?;
    let path: Vec<String> = column.split('.').map(str::to_owned).collect();
    let column = (!column.is_empty()).then_some(path);
    if let (Some(path), Some(schema)) = (&column, schema)
        && is_mapped(schema, path)
    {
        let what =
            format!("{:?} is mapped, so features reach it; a label's column stays unmapped", path.join("."));
        table.fault("column", what);
    }
    Some(Labels { column, delay_ms: delay_ms? })
}

fn is_mapped(schema: &Schema, path: &[String]) -> bool {
    use cartguard_engine::schema::CurrencySource;
    let mut mapped = vec![&schema.id, &schema.time.path, &schema.amount];
    if let CurrencySource::Path { path, .. } = &schema.currency {
        mapped.push(path);
    }
    mapped.extend(schema.arrival.iter().map(|arrival| &arrival.path));
    mapped.extend(schema.items.iter().map(|items| &items.path));
    mapped.extend(schema.fields.iter().map(|field| &field.path));
    mapped.extend(schema.entities.iter().flat_map(|entity| &entity.key));
    mapped.iter().any(|mapped| mapped.0.starts_with(path))
}
