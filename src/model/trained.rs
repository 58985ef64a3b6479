//! The folder of a model that was trained here.
//!
//! train -> **trained** -> `models/NAME/VERSION`
//!
//! Holds: as for an import, the folder appears whole or not at all, and was opened once as the engine will open it; golden rows
//! are of the training, with the calibrated scores.

use super::fault::Fault;
use super::folder::{GOLDEN, MANIFEST};
use super::golden::Golden;
use super::import::{file_ref, write_folder};
use super::manifest::{
    CalibrationNumbers, FormatName, Manifest, PrecisionName, Provenance, ThresholdNumbers, Training,
};
use super::names;
use cartguard_forest::{Format, Model, Score};
use std::path::Path;

/// What goes into the folder.
pub(crate) struct TrainedModel<'a> {
    pub(crate) format: Format,
    pub(crate) bytes: &'a [u8],
    /// With its map.
    pub(crate) model: &'a Model,
    pub(crate) features: &'a [String],
    pub(crate) review_at: f32,
    pub(crate) decline_at: f32,
    /// `platt` or `isotonic`.
    pub(crate) calibration: &'a str,
    /// `logistic`, `forest` or `boosted`.
    pub(crate) algorithm: &'a str,
    pub(crate) data: toml::Table,
    pub(crate) metrics: toml::Table,
    pub(crate) training: Training,
    /// Rows that may become golden, one after the other.
    pub(crate) rows: &'a [f32],
    /// Files besides: name and bytes.
    pub(crate) reports: &'a [(&'a str, Vec<u8>)],
}

/// The name of a model that will lie there; refused where something does already.
pub(crate) fn new_name(output: &Path) -> Result<String, Fault> {
    let name = names::of_folder(output)?;
    if output.symlink_metadata().is_ok() {
        let what = "exists; a version is never changed: take another one, or remove it first";
        return Err(Fault::refused(output, what));
    }
    Ok(name)
}

/// Writes the folder.
pub(crate) fn write(output: &Path, trained: TrainedModel<'_>) -> Result<(), Fault> {
    let model = trained.model;
    let form = FormatName::from(trained.format);
    let golden = golden(model, trained.rows).text(model.precision());
    let bytes = trained.bytes.to_vec();
    let manifest = Manifest {
        format: form,
        precision: PrecisionName::from(model.precision()),
        features: trained.features.to_vec(),
        model: file_ref(form.file_name(), &bytes),
        golden: file_ref(GOLDEN, &golden),
        thresholds: ThresholdNumbers { review_at: trained.review_at, decline_at: trained.decline_at },
        calibration: model.calibration().map(|map| CalibrationNumbers::of(trained.calibration, map)),
        provenance: Provenance {
            created_by: format!("cartguard {}", env!("CARGO_PKG_VERSION")),
            source: "cartguard train".to_owned(),
            golden: "cartguard".to_owned(),
            trainer: trained.algorithm.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data: trained.data,
            metrics: trained.metrics,
        },
        training: Some(trained.training),
    };
    let text = manifest.text().map_err(|error| Fault::refused(output, error))?.into_bytes();
    let mut parts = vec![(form.file_name(), &bytes), (GOLDEN, &golden), (MANIFEST, &text)];
    parts.extend(trained.reports.iter().map(|(name, bytes)| (*name, bytes)));
    write_folder(output, &parts)
}

fn golden(model: &Model, rows: &[f32]) -> Golden {
    let width = model.feature_count();
    let count = rows.len() / width.max(1);
    let most = Golden::rows_max(width);
    let stride = count.div_ceil(most).max(1);
    let mut scratch = model.scratch();
    let mut golden = Golden::new(width);
    for row in rows.chunks_exact(width.max(1)).step_by(stride) {
        let score: Score = model.score_one(row, &mut scratch);
        golden.push(row, score);
    }
    golden
}
