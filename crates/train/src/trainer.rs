//! What a trainer is, and what is held against what it made.
//!
//! `rows` -> **trainer** -> the forest crate's `Model`
//!
//! Holds: a model that is given out loads in our scorer, and of a sample of the rows both paths of the scorer give the
//! trainer's own bits.

use crate::rows::TrainingSet;
use cartguard_forest::{Format, Model, ModelError, Score};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use thiserror::Error;

/// Rows of the sample that is scored twice, at most. Arbitrary: some milliseconds, and every tree is met.
const SAMPLE: usize = 2_000;

/// Why there is no model.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The rows cannot be trained on.
    #[error("{0}")]
    Rows(String),
    #[error("the training was cancelled")]
    Cancelled,
    /// The library behind a trainer gave up.
    #[error("{trainer}: {what}")]
    Library { trainer: &'static str, what: String },
    /// What the trainer wrote does not load.
    #[error("the trained model is refused: {0}")]
    Model(#[from] ModelError),
    /// Our scorer and the trainer disagree.
    #[error(
        "the trained model is refused: row {row}: the scorer gives margin {margin} and score {score}, the trainer {theirs_margin} \
         and {theirs_score}"
    )]
    Differs { row: usize, margin: f64, score: f64, theirs_margin: f64, theirs_score: f64 },
}

impl TrainError {
    pub(crate) fn library(trainer: &'static str, what: impl ToString) -> Self {
        Self::Library { trainer, what: what.to_string() }
    }
}

/// Whoever waits for a fit.
pub trait Watch: Sync {
    /// So many of so many steps are done. `Break` cancels.
    fn step(&self, done: usize, of: usize) -> ControlFlow<()>;
}

/// Nobody does.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn step(&self, _: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// A way to make a model of rows.
pub trait Trainer {
    /// As in `--algorithm`.
    fn name(&self) -> &'static str;

    /// What a manifest says of how it was trained.
    fn parameters(&self) -> BTreeMap<String, f64>;

    /// Fits a model.
    fn fit(&self, set: &TrainingSet, watch: &dyn Watch) -> Result<Fitted, TrainError>;
}

/// What came of a fit, before it is held to our scorer.
pub struct Fitted {
    pub format: Format,
    /// The model's file.
    pub bytes: Vec<u8>,
    /// What the trainer itself says of rows.
    pub own: Box<dyn OwnScores>,
}

/// A trainer's own scores of rows.
pub trait OwnScores {
    /// Margins and scores of rows that lie one after the other, in the type of the format.
    fn score(&self, rows: &[f32]) -> Result<Vec<Score>, TrainError>;
}

/// A model that scores as its trainer does.
#[derive(Debug)]
pub struct Trained {
    pub format: Format,
    pub bytes: Vec<u8>,
    pub model: Model,
}

/// Fits a model and holds it to our scorer.
pub fn train(trainer: &dyn Trainer, set: &TrainingSet, watch: &dyn Watch) -> Result<Trained, TrainError> {
    let Fitted { format, bytes, own } = trainer.fit(set, watch)?;
    let model = Model::from_bytes(format, &bytes)?;
    hold(&model, own.as_ref(), set)?;
    Ok(Trained { format, bytes, model })
}

/// Scores a sample both ways.
fn hold(model: &Model, own: &dyn OwnScores, set: &TrainingSet) -> Result<(), TrainError> {
    let rows = set.rows();
    // Every row of fraud that there is room for, and of all rows each so many-th.
    let stride = (set.len() / (SAMPLE / 2)).max(1);
    let frauds = (0..set.len()).filter(|at| set.fraud()[*at]).take(SAMPLE / 2);
    let sample: Vec<u32> = frauds.chain((0..set.len()).step_by(stride)).map(|at| at as u32).collect();
    let values = rows.select(&sample);
    let theirs = own.score(values.values())?;
    let mut scratch = model.scratch();
    let mut ours = vec![Score::default(); sample.len()];
    model.score_rows(values.values(), rows.width(), &mut scratch, &mut ours);
    for (at, (&row, theirs)) in sample.iter().zip(theirs).enumerate() {
        for ours in [ours[at], model.score_one(values.row(at), &mut scratch)] {
            if ours.margin.to_bits() != theirs.margin.to_bits()
                || ours.score.to_bits() != theirs.score.to_bits()
            {
                return Err(TrainError::Differs {
                    row: row as usize + 1,
                    margin: ours.margin,
                    score: ours.score,
                    theirs_margin: theirs.margin,
                    theirs_score: theirs.score,
                });
            }
        }
    }
    Ok(())
}

/// Mean absolute contribution of each feature to the margin over rows, of a sum of 1: what a model leans on.
pub fn importance(model: &Model, rows: &[f32], width: usize) -> Vec<f64> {
    let mut scratch = model.scratch();
    let mut sums = vec![0.0; width];
    let mut out = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        model.path_contributions(row, &mut scratch, &mut out);
        for (sum, contribution) in sums.iter_mut().zip(&out) {
            *sum += contribution.abs();
        }
    }
    let total: f64 = sums.iter().sum();
    if total > 0.0 {
        for sum in &mut sums {
            *sum /= total;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// A model whose trainer claims something else of one row.
    struct Liar {
        margin_off: bool,
    }

    struct Lies(bool);

    impl OwnScores for Lies {
        fn score(&self, rows: &[f32]) -> Result<Vec<Score>, TrainError> {
            let model = Model::from_bytes(Format::LogisticJson, LIAR.as_bytes())?;
            let mut scratch = model.scratch();
            let mut scores: Vec<Score> =
                rows.chunks_exact(2).map(|row| model.score_one(row, &mut scratch)).collect();
            let last = scores.last_mut().expect("rows");
            let lie = if self.0 { &mut last.margin } else { &mut last.score };
            *lie = lie.next_up();
            Ok(scores)
        }
    }

    const LIAR: &str = r#"{"format":"cartguard.logistic","version":1,"features":["a","b"],"weights":[0.5,1.5],"intercept":-1.0}"#;

    impl Trainer for Liar {
        fn name(&self) -> &'static str {
            "liar"
        }

        fn parameters(&self) -> BTreeMap<String, f64> {
            BTreeMap::new()
        }

        fn fit(&self, _: &TrainingSet, _: &dyn Watch) -> Result<Fitted, TrainError> {
            let own = Box::new(Lies(self.margin_off));
            Ok(Fitted { format: Format::LogisticJson, bytes: LIAR.as_bytes().to_vec(), own })
        }
    }

    #[test]
    fn one_differing_bit_refuses_a_model() {
        let set = testing::set(200, 2, 1);
        for margin_off in [true, false] {
            let error = train(&Liar { margin_off }, &set, &Unwatched).expect_err("a lie");
            assert!(matches!(error, TrainError::Differs { .. }), "{error}");
            assert!(error.to_string().contains("the trained model is refused: row 200:"), "{error}");
        }
    }
}
