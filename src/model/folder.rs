//! Open a model folder.
//!
//! engine -> `load` -> **folder** (`manifest`, `files`, `golden`, `plan_names`) -> the engine's `Scorer`
//!
//! Holds: nothing is parsed before its size and SHA-256 are the manifest's, and nothing is used before its golden
//! rows came out bit for bit.

use super::fault::Fault;
use super::files::{self, GOLDEN_BYTES_MAX, TEXT_BYTES_MAX};
use super::golden::Golden;
use super::manifest::{FileRef, Manifest, PrecisionName};
use super::{names, plan_names};
use cartguard_engine::batch::Scorer;
use cartguard_engine::decide::Thresholds;
use cartguard_engine::features::plan::Plan;
use cartguard_forest::{MODEL_BYTES_MAX, Model};
use std::path::Path;
use std::sync::Arc;

/// The name of the manifest.
pub(super) const MANIFEST: &str = "manifest.toml";
/// The name under which an import writes golden rows.
pub(super) const GOLDEN: &str = "golden.jsonl";

/// A folder whose every file was checked.
pub(super) struct Folder {
    pub(super) model: Model,
    pub(super) features: Vec<String>,
    pub(super) thresholds: Thresholds,
    /// What the version says of the manifest.
    manifest_hash: String,
}

/// The model of a folder, for an engine that computes these features, and its version (see [`version_of`]).
pub(crate) fn load(path: &Path, plan: &Plan) -> Result<(String, Scorer), Fault> {
    let name = names::of_folder(path)?;
    let folder = open(path)?;
    let version = version(&name, &folder.manifest_hash);
    let computed = plan.set.features.iter().map(|feature| feature.name.as_str());
    let features = plan_names::find(&folder.features, computed)
        .map_err(|table| Fault::refused(&path.join(MANIFEST), table))?;
    let scorer = Scorer { name, model: Arc::new(folder.model), features, thresholds: folder.thresholds };
    Ok((version, scorer))
}

/// What tells the model of a folder from every other: its name and version, and the BLAKE3 hash of its manifest, which has those of
/// everything else.
pub(crate) fn version_of(path: &Path) -> Result<String, Fault> {
    let name = names::of_folder(path)?;
    let manifest = files::read_text(&files::inside(path, MANIFEST)?, TEXT_BYTES_MAX)?;
    Ok(version(&name, &hash(&manifest)))
}

fn version(name: &str, manifest_hash: &str) -> String {
    format!("{name} {manifest_hash}")
}

fn hash(manifest: &str) -> String {
    blake3::hash(manifest.as_bytes()).to_string()
}

/// Reads and checks a folder, whatever it is called.
pub(super) fn open(path: &Path) -> Result<Folder, Fault> {
    if !path.is_dir() {
        // Says which: nothing there, a circle of links, not allowed.
        std::fs::metadata(path).map_err(|cause| Fault::world(path, "no model folder", cause))?;
        return Err(Fault::refused(path, "is a file; a model folder is needed (see cartguard model import)"));
    }
    let manifest_path = path.join(MANIFEST);
    files::inside(path, MANIFEST)?;
    // Read once, so that what is checked is what the version names.
    let text = files::read_text(&manifest_path, TEXT_BYTES_MAX)?;
    let manifest = Manifest::parse(&manifest_path, &text)?;
    let thresholds = manifest.thresholds.check().map_err(|what| Fault::refused(&manifest_path, what))?;

    let bytes = checked(path, "model", &manifest.model, MODEL_BYTES_MAX)?;
    let model_path = path.join(&manifest.model.file);
    let model = Model::from_bytes(manifest.format.format(), &bytes)
        .map_err(|error| Fault::model(&model_path, &error))?;
    if model.feature_count() != manifest.features.len() {
        let (named, counted) = (manifest.features.len(), model.feature_count());
        let what = format_args!("features: has {named} names, the model has {counted} features");
        return Err(Fault::refused(&manifest_path, what));
    }
    let precision = PrecisionName::from(model.precision());
    if precision != manifest.precision {
        let what = format_args!("precision = {:?}: the model's is {precision:?}", manifest.precision);
        return Err(Fault::refused(&manifest_path, what));
    }

    let model = match &manifest.calibration {
        Some(numbers) => {
            model.calibrated(numbers.map().map_err(|error| Fault::model(&manifest_path, &error))?)
        }
        None => model,
    };

    let bytes = checked(path, "golden", &manifest.golden, GOLDEN_BYTES_MAX)?;
    let golden_path = path.join(&manifest.golden.file);
    let golden = Golden::parse(&golden_path, &bytes, model.precision(), model.feature_count())?;
    golden.verify(&golden_path, &model)?;
    Ok(Folder { model, features: manifest.features, thresholds, manifest_hash: hash(&text) })
}

/// Reads a file of the folder; `key` is its table in the manifest.
fn checked(folder: &Path, key: &str, wanted: &FileRef, max: usize) -> Result<Vec<u8>, Fault> {
    let path = files::inside(folder, &wanted.file)?;
    let size = files::size(&path)?;
    if size != wanted.bytes {
        let what = format_args!(
            "has {size} bytes, {key}.bytes in {MANIFEST} says {}: half-written, or another file",
            wanted.bytes
        );
        return Err(Fault::refused(&path, what));
    }
    let bytes = files::read(&path, max)?;
    let hash = files::sha256(&bytes);
    if hash != wanted.sha256 {
        let what = format_args!("has SHA-256 {hash}, {key}.sha256 in {MANIFEST} says {}", wanted.sha256);
        return Err(Fault::refused(&path, what));
    }
    Ok(bytes)
}
