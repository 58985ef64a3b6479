//! The manifest of a model folder.
//!
//! `manifest.toml` -> **manifest** -> `folder`; `import` -> **manifest** -> `manifest.toml`
//!
//! ```toml
//! format = "xgboost-json"    # or xgboost-ubj, lightgbm-text, logistic-json
//! precision = "f32"          # type of margin and score: f32 (XGBoost) or f64
//! features = ["amount", "customer.count_1h"]  # by position in the model's rows
//!
//! [model]                    # [golden] is alike
//! file = "model.json"
//! bytes = 123456
//! sha256 = "…"
//!
//! [thresholds]               # compared as f32, in 0 to 1
//! review_at = 0.5
//! decline_at = 0.9
//!
//! [calibration]              # of a model that was trained here: score = logistic(line(margin)), see forest's `calibration`
//! method = "isotonic"        # or platt: for people
//! margin_at = [-4.1, …]
//! log_odds = [-6.9, …]
//!
//! [provenance]               # for people: nothing of it is checked
//! created_by = "cartguard 0.1.0"
//! source = "model.json"
//! golden = "trainer"         # whose scores the golden rows carry: trainer or cartguard
//! trainer = "xgboost"
//! version = "3.2.0"
//! data = { … }
//! metrics = { … }
//!
//! [training]                 # of a model that was trained here
//! features_sha256 = "…"      # of name, unit and meaning of each feature, a line each
//! rows_blake3 = "…"          # of the rows, labels and times that it was trained on
//! parameters = { … }
//! score = { … }              # histogram of scores of events that were not trained on
//! histograms = [ { name = "amount", edges = [ … ], counts = [ … ], missing = 0 } ]
//! ```
//!
//! Holds: unknown keys are refused; what comes out was checked as far as it can be without the other files.

use super::fault::Fault;
use super::{files, names};
use crate::drift::Histogram;
use cartguard_engine::decide::Thresholds;
use cartguard_forest::{Calibration, Format, ModelError, Precision};
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: FormatName,
    pub(super) precision: PrecisionName,
    pub(super) features: Vec<String>,
    pub(super) model: FileRef,
    pub(super) golden: FileRef,
    pub(super) thresholds: ThresholdNumbers,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) calibration: Option<CalibrationNumbers>,
    #[serde(default)]
    pub(super) provenance: Provenance,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) training: Option<Training>,
}

/// The map from margins to scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalibrationNumbers {
    method: String,
    margin_at: Vec<f64>,
    log_odds: Vec<f64>,
}

/// What a model was trained on, for drift and for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Training {
    pub(crate) features_sha256: String,
    pub(crate) rows_blake3: String,
    pub(crate) parameters: toml::Table,
    pub(crate) score: Histogram,
    pub(crate) histograms: Vec<Histogram>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRef {
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Numbers as they stand in the file; [`Thresholds`] are f32.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ThresholdNumbers {
    pub(super) review_at: f32,
    pub(super) decline_at: f32,
}

/// Where a model comes from.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provenance {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) created_by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) source: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) golden: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) trainer: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) version: String,
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub(super) data: toml::Table,
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub(super) metrics: toml::Table,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FormatName {
    XgboostJson,
    XgboostUbj,
    LightgbmText,
    LogisticJson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PrecisionName {
    F32,
    F64,
}

impl Manifest {
    /// Reads and checks it.
    pub(super) fn read(path: &Path) -> Result<Self, Fault> {
        Self::parse(path, &files::read_text(path, files::TEXT_BYTES_MAX)?)
    }

    /// Of the text of a file; `path` is for messages.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Fault> {
        let manifest: Self = toml::from_str(text).map_err(|error| Fault::refused(path, error))?;
        manifest.thresholds.check().map_err(|what| Fault::refused(path, what))?;
        if let Err((at, what)) = names::check_features(&manifest.features) {
            return Err(Fault::refused(path, format_args!("features, {}: {what}", at + 1)));
        }
        for histogram in
            manifest.training.iter().flat_map(|training| training.histograms.iter().chain([&training.score]))
        {
            histogram.check().map_err(|what| Fault::refused(path, format_args!("training: {what}")))?;
        }
        Ok(manifest)
    }

    /// As text for the file.
    pub(super) fn text(&self) -> Result<String, toml::ser::Error> {
        let body = toml::to_string_pretty(self)?;
        Ok(format!("# A model folder of cartguard: see models/README.md.\n{body}"))
    }
}

impl CalibrationNumbers {
    pub(super) fn of(method: &str, map: &Calibration) -> Self {
        Self {
            method: method.to_owned(),
            margin_at: map.margin_at().to_vec(),
            log_odds: map.log_odds().to_vec(),
        }
    }

    pub(super) fn map(&self) -> Result<Calibration, ModelError> {
        Calibration::new(self.margin_at.clone(), self.log_odds.clone())
    }
}

impl ThresholdNumbers {
    /// What is wrong with them.
    pub(super) fn check(self) -> Result<Thresholds, String> {
        let Self { review_at, decline_at } = self;
        for (key, value) in [("review_at", review_at), ("decline_at", decline_at)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("thresholds.{key} = {value}: a number from 0 to 1 is needed"));
            }
        }
        if review_at > decline_at {
            return Err(format!(
                "thresholds.review_at = {review_at} is above decline_at = {decline_at}: nothing would be reviewed"
            ));
        }
        Ok(Thresholds { review_at, decline_at })
    }
}

impl FormatName {
    pub(super) fn format(self) -> Format {
        match self {
            Self::XgboostJson => Format::XgboostJson,
            Self::XgboostUbj => Format::XgboostUbj,
            Self::LightgbmText => Format::LightgbmText,
            Self::LogisticJson => Format::LogisticJson,
        }
    }

    /// What the model's file is called.
    pub(super) fn file_name(self) -> &'static str {
        match self {
            Self::XgboostJson | Self::LogisticJson => "model.json",
            Self::XgboostUbj => "model.ubj",
            Self::LightgbmText => "model.txt",
        }
    }

    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::XgboostJson => "XGBoost JSON",
            Self::XgboostUbj => "XGBoost UBJ",
            Self::LightgbmText => "LightGBM text",
            Self::LogisticJson => "logistic JSON",
        }
    }
}

impl From<Format> for FormatName {
    fn from(format: Format) -> Self {
        match format {
            Format::XgboostJson => Self::XgboostJson,
            Format::XgboostUbj => Self::XgboostUbj,
            Format::LightgbmText => Self::LightgbmText,
            Format::LogisticJson => Self::LogisticJson,
        }
    }
}

impl From<Precision> for PrecisionName {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::F64 => Self::F64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_in_order_and_in_range() {
        let check = |review_at, decline_at| ThresholdNumbers { review_at, decline_at }.check().map(|_| ());
        assert_eq!(check(0.5, 0.9), Ok(()));
        assert_eq!(check(0.0, 1.0), Ok(()));
        assert_eq!(check(0.7, 0.7), Ok(()));
        for (review_at, decline_at) in
            [(0.9, 0.5), (-0.1, 0.5), (0.5, 1.1), (f32::NAN, 0.5), (0.5, f32::NAN), (0.5, f32::INFINITY)]
        {
            assert!(check(review_at, decline_at).is_err(), "{review_at} {decline_at}");
        }
    }
}
