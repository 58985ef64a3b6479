//! What decides besides the features, by name: the model, how outputs are written.
//!
//! configuration, deployment -> **versions** -> order log, manifest
//!
//! Holds: a batch is decided by one version of each thing, and the order log says from which batch on.

use cartguard_engine::batch::Scorer;
use cartguard_history::Change;
use cartguard_io::Trouble;
use std::sync::Arc;

/// The name of what [`Models`] has.
pub const MODEL: &str = "model";

/// Name and what it is, each.
pub type Versions = Vec<(String, String)>;

/// Whoever has the models that have decided.
pub trait Models: Send + Sync {
    /// The model of a version as an earlier process wrote it down; none: no model decides. Trouble where it is not to be had as it was.
    fn load(&self, version: &str) -> Result<Option<Arc<Scorer>>, Trouble>;
}

/// What a thing is.
pub(crate) fn get<'a>(versions: &'a Versions, name: &str) -> Option<&'a str> {
    versions.iter().find(|(known, _)| known == name).map(|(_, is)| is.as_str())
}

/// What a thing is from now on.
pub(crate) fn set(versions: &mut Versions, name: &str, is: &str) {
    match versions.iter_mut().find(|(known, _)| known == name) {
        Some((_, was)) => is.clone_into(was),
        None => versions.push((name.to_owned(), is.to_owned())),
    }
}

/// What has changed from `was` to `is`.
pub(crate) fn changes(was: &Versions, is: &Versions) -> Vec<Change> {
    let changed = is.iter().filter(|(name, is)| get(was, name) != Some(is));
    changed.map(|(name, is)| Change::Version { name: name.clone(), is: is.clone() }).collect()
}
