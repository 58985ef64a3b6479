//! Logistic regression.
//!
//! rows -> **logistic** (`scaling` -> `plain` or `newton`) -> our logistic JSON
//!
//! Without weights linfa fits it (`plain`), up to [`LINFA_NUMBERS_MAX`] numbers. linfa ignores weights without a word, and its
//! L-BFGS takes long on many correlated features (1.3 million rows of 49 features: 8 CPU minutes, a Newton step 15 s); there it is
//! a Newton step of our own (`newton`), which tests hold to linfa's result.
//!
//! Holds: features are scaled to mean 0 and deviation 1, and a missing value counts as the mean, so that it adds nothing;
//! the penalty is `penalty / 2 * |weights|^2` on the sum of losses, as scikit-learn's `C = 1 / penalty`, without the intercept.

mod newton;
mod plain;
mod scaling;

use crate::rows::TrainingSet;
use crate::trainer::{Fitted, OwnScores, TrainError, Trainer, Watch};
use cartguard_forest::{Format, Score, logistic as link};
use scaling::Scaling;
use serde::Serialize;
use std::collections::BTreeMap;

/// How it is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// L2, on the sum of losses.
    pub penalty: f64,
    /// Steps at most: of linfa's L-BFGS, and of Newton.
    pub steps: usize,
    /// 0: as many as there are cores. The model is the same for any.
    pub threads: usize,
}

impl Default for Logistic {
    fn default() -> Self {
        Self { penalty: 1.0, steps: 200, threads: 0 }
    }
}

/// Rows times features that linfa fits at most: some ten seconds, in which it cannot be stopped.
const LINFA_NUMBERS_MAX: usize = 10_000_000;

/// What a fit comes to, of scaled rows.
#[derive(Clone, Debug, PartialEq)]
struct Solution {
    weights: Vec<f64>,
    intercept: f64,
}

impl Trainer for Logistic {
    fn name(&self) -> &'static str {
        "logistic"
    }

    fn parameters(&self) -> BTreeMap<String, f64> {
        let list = [("penalty", self.penalty), ("steps", self.steps as f64)];
        list.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn fit(&self, set: &TrainingSet, watch: &dyn Watch) -> Result<Fitted, TrainError> {
        let scaling = Scaling::of(set);
        let for_linfa = set.weights().is_none() && set.rows().values().len() <= LINFA_NUMBERS_MAX;
        let fit = if for_linfa { plain::fit } else { newton::fit };
        let solution = fit(self, set, &scaling, watch)?;
        let file = File {
            format: "cartguard.logistic",
            version: 1,
            features: set.rows().names().to_vec(),
            weights: solution.weights,
            intercept: solution.intercept,
            mean: scaling.mean,
            scale: scaling.scale,
        };
        let bytes = serde_json::to_vec(&file).map_err(|error| TrainError::library(self.name(), error))?;
        Ok(Fitted { format: Format::LogisticJson, bytes, own: Box::new(file) })
    }
}

/// As the forest crate reads it.
#[derive(Debug, Serialize)]
struct File {
    format: &'static str,
    version: u32,
    features: Vec<String>,
    weights: Vec<f64>,
    intercept: f64,
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl OwnScores for File {
    /// From the numbers that were fitted, not from the file that was written of them.
    fn score(&self, rows: &[f32]) -> Result<Vec<Score>, TrainError> {
        let margin = |row: &[f32]| {
            let mut margin = self.intercept;
            for (at, &x) in row.iter().enumerate() {
                let x = if x.is_nan() { self.mean[at] } else { f64::from(x) };
                margin += self.weights[at] * (x - self.mean[at]) / self.scale[at];
            }
            margin
        };
        let margins = rows.chunks_exact(self.features.len()).map(margin);
        Ok(margins.map(|margin| Score { margin, score: link(margin) }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{TrainingSet, balanced_weights};
    use crate::testing;
    use crate::trainer::{Unwatched, train};

    fn solutions(set: &TrainingSet, penalty: f64) -> (Solution, Solution) {
        let trainer = Logistic { penalty, ..Logistic::default() };
        let scaling = Scaling::of(set);
        let plain = plain::fit(&trainer, set, &scaling, &Unwatched).expect("linfa's");
        let newton = newton::fit(&trainer, set, &scaling, &Unwatched).expect("ours");
        (plain, newton)
    }

    fn hold_near(one: &Solution, other: &Solution, tolerance: f64) {
        let pairs = one.weights.iter().zip(&other.weights).chain([(&one.intercept, &other.intercept)]);
        for (a, b) in pairs {
            assert!((a - b).abs() <= tolerance * a.abs().max(1.0), "{one:?}\n{other:?}");
        }
    }

    #[test]
    fn the_newton_step_finds_what_linfa_finds() {
        for (seed, penalty) in [(1, 1.0), (2, 0.1), (3, 50.0)] {
            let (plain, newton) = solutions(&testing::set(3_000, 5, seed), penalty);
            hold_near(&newton, &plain, 1e-4);
        }
    }

    #[test]
    fn fraud_is_the_positive_side_even_where_it_is_the_frequent_one() {
        let set = testing::set(2_000, 3, 9);
        let flipped =
            TrainingSet::new(set.rows().clone(), set.fraud().iter().map(|fraud| !fraud).collect(), None);
        let (plain, newton) = solutions(&flipped.expect("both labels"), 1.0);
        hold_near(&newton, &plain, 1e-4);
        let (as_it_was, _) = solutions(&set, 1.0);
        assert!(as_it_was.weights[0] > 0.1 && plain.weights[0] < -0.1, "{plain:?}");
    }

    #[test]
    fn a_weight_of_two_is_the_row_twice() {
        let set = testing::set(800, 4, 5);
        let weights: Vec<f32> = (0..set.len()).map(|at| if at % 3 == 0 { 2.0 } else { 1.0 }).collect();
        let twice: Vec<u32> = (0..set.len() as u32)
            .flat_map(|at| std::iter::repeat_n(at, 1 + usize::from(at % 3 == 0)))
            .collect();
        let fraud = twice.iter().map(|at| set.fraud()[*at as usize]).collect();
        let weighted = TrainingSet::new(set.rows().clone(), set.fraud().to_vec(), Some(weights));
        let doubled = TrainingSet::new(set.rows().select(&twice), fraud, None).expect("a set");
        let weighted = weighted.expect("a set");
        let (trainer, scaling) = (Logistic::default(), Scaling::of(&doubled));
        let of_weights = newton::fit(&trainer, &weighted, &scaling, &Unwatched).expect("fits");
        let of_rows = newton::fit(&trainer, &doubled, &scaling, &Unwatched).expect("fits");
        hold_near(&of_weights, &of_rows, 1e-9);
        let near = Scaling::of(&weighted);
        for (a, b) in near.mean.iter().chain(&near.scale).zip(scaling.mean.iter().chain(&scaling.scale)) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }

    #[test]
    fn balanced_weights_raise_the_margin_of_all() {
        let set = testing::set(3_000, 3, 6);
        let weights = balanced_weights(set.fraud());
        let balanced =
            TrainingSet::new(set.rows().clone(), set.fraud().to_vec(), Some(weights)).expect("a set");
        let trainer = Logistic::default();
        let plain = train(&trainer, &set, &Unwatched).expect("a model");
        let raised = train(&trainer, &balanced, &Unwatched).expect("a model");
        let mean = |model: &cartguard_forest::Model| {
            let mut scratch = model.scratch();
            (0..100).map(|at| model.score_one(set.rows().row(at), &mut scratch).score).sum::<f64>() / 100.0
        };
        assert!(mean(&raised.model) > mean(&plain.model) + 0.05);
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bytes() {
        let set = testing::set(40_000, 4, 7);
        let weighted =
            TrainingSet::new(set.rows().clone(), set.fraud().to_vec(), Some(balanced_weights(set.fraud())));
        let weighted = weighted.expect("a set");
        let bytes = |threads| {
            let trainer = Logistic { threads, ..Logistic::default() };
            train(&trainer, &weighted, &Unwatched).expect("a model").bytes
        };
        let one = bytes(1);
        assert_eq!(one, bytes(2));
        assert_eq!(one, bytes(5));
    }
}
