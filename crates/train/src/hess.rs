//! hessboost behind our trait: its matrix, its XGBoost JSON, its own scores.
//!
//! **hess** -> `boosted`, `forest`
//!
//! Holds: nothing of its model is used but the XGBoost JSON that it writes; its bins are many, since of few the tail of
//! the amounts gets too few cuts (256 bins: average precision .635 on the Handbook's week, 1,024: .667).

use crate::rows::TrainingSet;
use crate::trainer::{Fitted, OwnScores, TrainError};
use cartguard_forest::{Format, Score};
use hessboost::error::HessboostError;
use hessboost::prelude::{BoostedModel, DMatrix, Iterations, ModelFormat};

/// Cuts of a feature.
pub(crate) const BINS: usize = 1024;

/// What a library says, as ours.
pub(crate) fn told(trainer: &'static str) -> impl Fn(HessboostError) -> TrainError {
    move |error| TrainError::library(trainer, error)
}

/// The rows as hessboost takes them.
pub(crate) fn matrix(trainer: &'static str, set: &TrainingSet) -> Result<DMatrix, TrainError> {
    let labels: Vec<f32> = set.fraud().iter().map(|fraud| f32::from(u8::from(*fraud))).collect();
    let rows = set.rows();
    let matrix = DMatrix::from_dense(rows.values(), rows.len(), rows.width())
        .and_then(|matrix| matrix.with_labels(&labels))
        .map_err(told(trainer))?;
    match set.weights() {
        Some(weights) => matrix.with_weights(weights).map_err(told(trainer)),
        None => Ok(matrix),
    }
}

/// What is given out of a model.
pub(crate) fn fitted(trainer: &'static str, model: BoostedModel) -> Result<Fitted, TrainError> {
    let json = model.encode(ModelFormat::XgboostJson).map_err(told(trainer))?;
    let own = Box::new(Own { trainer, model });
    Ok(Fitted { format: Format::XgboostJson, bytes: without_blanks(&json), own })
}

/// The same JSON without the blanks between its words, which are half of it.
fn without_blanks(json: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(json.len() / 2);
    let (mut in_text, mut is_escaped) = (false, false);
    for &byte in json {
        if in_text || !byte.is_ascii_whitespace() {
            bytes.push(byte);
        }
        if byte == b'"' && !is_escaped {
            in_text = !in_text;
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    bytes
}

struct Own {
    trainer: &'static str,
    model: BoostedModel,
}

impl OwnScores for Own {
    fn score(&self, rows: &[f32]) -> Result<Vec<Score>, TrainError> {
        let margins = self.model.predict_margin_rows(rows, Iterations::Best).map_err(told(self.trainer))?;
        let scores = self.model.predict_rows(rows, Iterations::Best).map_err(told(self.trainer))?;
        let both = margins.as_slice().iter().zip(scores.as_slice());
        Ok(both.map(|(&margin, &score)| Score { margin: margin.into(), score: score.into() }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::without_blanks;

    #[test]
    fn only_blanks_between_words_go() {
        let json = b"{\n  \"a b\": [ 1,\n 2 ],\n \"c\\\" d\\\\\": \"  \"\n}";
        assert_eq!(without_blanks(json), b"{\"a b\":[1,2],\"c\\\" d\\\\\":\"  \"}");
    }
}
