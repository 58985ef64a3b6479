//! What a manifest says of a training.
//!
//! `gather`, `fit` -> **notes** -> `model`

use super::fit::Fitted;
use super::gather::Gathered;
use crate::config::Config;
use crate::drift::Histogram;
use crate::model::{Training, meanings};

/// `[training]` of the manifest.
pub(crate) fn training(config: &Config, history: &Gathered, fitted: &Fitted) -> Training {
    let parameters = fitted.trainer.parameters().into_iter();
    let width = history.width();
    let column =
        |column: usize| fitted.rows.iter().map(move |row| history.values[*row as usize * width + column]);
    let histograms = history.names.iter().enumerate().map(|(at, name)| Histogram::of(name, column(at)));
    Training {
        features_sha256: meanings::sha256(config.feature_set().features.iter()),
        rows_blake3: fingerprint(history, &fitted.rows),
        parameters: parameters.map(|(key, value)| (key, number(value))).collect(),
        score: Histogram::of("score", fitted.unseen.iter().map(|score| *score as f32)),
        histograms: histograms.collect(),
    }
}

/// Whole numbers are written as such.
fn number(value: f64) -> toml::Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { (value as i64).into() } else { value.into() }
}

/// BLAKE3 of times, labels and values of rows.
fn fingerprint(history: &Gathered, rows: &[u32]) -> String {
    let (width, mut hasher, mut bytes) = (history.width(), blake3::Hasher::new(), Vec::new());
    for chunk in rows.chunks(1_024) {
        bytes.clear();
        for &row in chunk {
            let row = row as usize;
            bytes.extend_from_slice(&history.events[row].time_ms.to_le_bytes());
            bytes.push(match history.truth(row) {
                None => 2,
                Some(fraud) => u8::from(fraud),
            });
            for value in &history.values[row * width..(row + 1) * width] {
                bytes.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
        hasher.update(&bytes);
    }
    hasher.finalize().to_string()
}
