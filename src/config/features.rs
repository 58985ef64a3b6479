//! The features file that a key names: `features.file`, `backtest.features`.
//!
//! layers -> **features** -> the engine's `features::file`
//!
//! Not here: what a features file may say.

use super::{Relative, read_file};
use cartguard_engine::document::{Layer, Place, Reader};
use cartguard_engine::features::file;
use cartguard_engine::features::spec::FeatureSet;
use cartguard_engine::schema::Schema;

/// The features files that are compiled in, by what `features.file` calls them.
const BUILTIN_FEATURES: [(&str, &str); 1] =
    [("builtin:checkout", include_str!("../../config/features/checkout.toml"))];

/// What features are read for.
pub(super) struct Mapping<'a> {
    pub(super) schema: Option<&'a Schema>,
    /// Where the user said what is mapped, if anywhere.
    pub(super) given: Option<Place>,
    /// Whether a field or an entity is absent from the schema because it is faulty.
    pub(super) is_faulty: bool,
}

/// The features file that a key names, and what it is called.
pub(super) fn read_features(
    table: &mut Reader<'_>,
    key: &str,
    mapping: &Mapping<'_>,
    at: &Relative<'_>,
) -> Option<(String, FeatureSet)> {
    let given = table.text(key)?;
    let schema = mapping.schema;
    let faults = table.faults();
    if let Some((name, text)) = BUILTIN_FEATURES.iter().find(|(name, _)| *name == given) {
        return match file::read(text, Layer::Default, name, schema?) {
            Ok(features) => Some(((*name).to_owned(), features)),
            Err(found) => {
                // Where what it lacks was mapped and faulty, it has been told.
                if !mapping.is_faulty {
                    let first = found.first().map_or(String::new(), ToString::to_string);
                    let what = format!(
                        "{name} is for the schema checkout v1 and does not fit this one ({} faults, the first: {first}); \
                         name a features file of your own",
                        found.len()
                    );
                    let own = table.place_of(key);
                    let place = if own.layer == Layer::Default { mapping.given.as_ref() } else { None };
                    faults.add(place.unwrap_or(own), &table.key(key), what);
                }
                None
            }
        };
    }
    if given.is_empty() || given.starts_with("builtin:") {
        let names: Vec<_> = BUILTIN_FEATURES.iter().map(|(name, _)| *name).collect();
        table.fault(key, format!("{given:?} is no features file; a path, or {}", names.join(", ")));
        return None;
    }
    let path = at.resolve(table, key, &given);
    let name = path.display().to_string();
    let text = match read_file(&path) {
        Ok(text) => text,
        Err(why) => {
            table.fault(key, format!("{name:?} cannot be read: {why}"));
            return None;
        }
    };
    match file::read(&text, Layer::File, &name, schema?) {
        Ok(features) => Some((name, features)),
        Err(found) => {
            faults.extend(found);
            None
        }
    }
}
