//! Open a model folder.
//!
//! engine -> `load` -> **folder** (`manifest`, `files`, `golden`, `plan_names`) -> the engine's `Scorer`
//!
//! Holds: nothing is parsed before its size and SHA-256 are the manifest's, and nothing is used before its golden
//! rows came out bit for bit, and its features, where the manifest says what they meant in training, mean the same here.

use super::fault::Fault;
use super::files::{self, GOLDEN_BYTES_MAX, TEXT_BYTES_MAX};
use super::golden::Golden;
use super::manifest::{FileRef, Manifest, PrecisionName, Training};
use super::{meanings, names, plan_names};
use crate::drift::Baseline;
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
    training: Option<Training>,
    /// What the version says of the manifest.
    manifest_hash: String,
}

/// A model that an engine can use.
pub(crate) struct Loaded {
    /// See [`version_of`].
    pub(crate) version: String,
    pub(crate) scorer: Scorer,
    /// What it was trained on, where its manifest says so.
    pub(crate) baseline: Option<Baseline>,
}

/// The model of a folder, for an engine that computes these features.
pub(crate) fn load(path: &Path, plan: &Plan) -> Result<Loaded, Fault> {
    let name = names::of_folder(path)?;
    let folder = open(path)?;
    let version = version(&name, &folder.manifest_hash);
    let features = folder.fit(path, plan)?;
    let baseline = folder.training.and_then(|training| baseline(&name, &folder.features, training));
    let scorer = Scorer { name, model: Arc::new(folder.model), features, thresholds: folder.thresholds };
    Ok(Loaded { version, scorer, baseline })
}

/// What is wrong with a folder, whatever is computed for it.
pub(crate) fn look(path: &Path) -> Result<(), Fault> {
    names::of_folder(path)?;
    open(path).map(drop)
}

/// What the model of a folder was trained on, by its manifest alone.
pub(crate) fn baseline_of(path: &Path) -> Result<Option<Baseline>, Fault> {
    let name = names::of_folder(path)?;
    let manifest = Manifest::read(&path.join(MANIFEST))?;
    Ok(manifest.training.and_then(|training| baseline(&name, &manifest.features, training)))
}

/// Nothing where a feature has no histogram.
fn baseline(name: &str, features: &[String], training: Training) -> Option<Baseline> {
    let of =
        |feature: &String| training.histograms.iter().find(|histogram| histogram.name == *feature).cloned();
    let features: Option<Vec<_>> = features.iter().map(of).collect();
    Some(Baseline { model: name.to_owned(), features: features?, score: training.score })
}

impl Folder {
    /// For each of the model's features the plan's; refused where one is absent, or means something else than in training.
    pub(super) fn fit(&self, path: &Path, plan: &Plan) -> Result<Vec<usize>, Fault> {
        let manifest = path.join(MANIFEST);
        let computed = plan.set.features.iter().map(|feature| feature.name.as_str());
        let features =
            plan_names::find(&self.features, computed).map_err(|table| Fault::refused(&manifest, table))?;
        let Some(training) = &self.training else { return Ok(features) };
        let meant = meanings::sha256(features.iter().map(|feature| &plan.set.features[*feature]));
        if meant != training.features_sha256 {
            let what = format_args!(
                "training.features_sha256 = {:?}: name, unit and meaning of the same features are {meant} here; a feature of the same name is \
                 something else than the model was trained on (cartguard features): take the features file of the training, or train again",
                training.features_sha256
            );
            return Err(Fault::refused(&manifest, what));
        }
        Ok(features)
    }
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
    let (features, training) = (manifest.features, manifest.training);
    Ok(Folder { model, features, thresholds, training, manifest_hash: hash(&text) })
}

/// What keeps a folder from being whole: a file that is absent, or not as large as its manifest says, or other bytes. Nothing of it is
/// parsed but the manifest.
pub(super) fn not_whole(path: &Path) -> Option<Fault> {
    let whole = || {
        files::inside(path, MANIFEST)?;
        let manifest = Manifest::read(&path.join(MANIFEST))?;
        // Sizes first: what is being copied has the wrong one most of the time.
        for file in [&manifest.model, &manifest.golden] {
            sized(path, file)?;
        }
        checked(path, "model", &manifest.model, MODEL_BYTES_MAX)?;
        checked(path, "golden", &manifest.golden, GOLDEN_BYTES_MAX).map(drop)
    };
    whole().err()
}

/// The same without a look into the files.
pub(super) fn not_sized(path: &Path) -> Option<Fault> {
    let all = || {
        let manifest = Manifest::read(&path.join(MANIFEST))?;
        sized(path, &manifest.model).and_then(|()| sized(path, &manifest.golden))
    };
    all().err()
}

fn sized(folder: &Path, wanted: &FileRef) -> Result<(), Fault> {
    let path = files::inside(folder, &wanted.file)?;
    let size = files::size(&path)?;
    if size == wanted.bytes {
        return Ok(());
    }
    let what =
        format_args!("has {size} bytes, its manifest says {}: half-written, or another file", wanted.bytes);
    Err(Fault::refused(&path, what))
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
