//! Random forests.
//!
//! rows -> **forest** (`hess`) -> XGBoost JSON
//!
//! A forest is one round of boosting, and a round tells nothing of its progress; so it is trained in parts of ten trees, each
//! with a seed of its own, and the parts are put together: the margin is the mean over all trees.
//!
//! Holds: depth and least leaf keep it small (without them 100 trees on 60 days of the Handbook are 129 MB, with them 4).

use crate::hess;
use crate::rows::TrainingSet;
use crate::trainer::{Fitted, TrainError, Trainer, Watch};
use hessboost::objective::RegLoss;
use hessboost::prelude::{BoostedModel, Objective, TrainingParams, TreeMethod, train};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Trees of a part: what is trained between two looks at whoever waits.
const PART: usize = 10;

/// How a forest is grown.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// A multiple of ten.
    pub trees: usize,
    pub depth: usize,
    /// Least sum of second derivatives in a leaf: a quarter of a row each.
    pub min_child_weight: f64,
    /// Share of rows that a tree sees.
    pub row_share: f64,
    /// Share of features that a split is chosen from.
    pub feature_share: f64,
    pub bins: usize,
    pub seed: u64,
    /// 0: as many as there are cores. The model is the same for any.
    pub threads: usize,
}

impl Default for Forest {
    fn default() -> Self {
        Self {
            trees: 100,
            depth: 20,
            min_child_weight: 5.0,
            // As many rows as a sample with replacement has different ones.
            row_share: 0.632,
            // Measured on the Handbook's week: average precision .666, with the square root of 15 features .630.
            feature_share: 0.5,
            bins: hess::BINS,
            seed: 1,
            threads: 0,
        }
    }
}

impl Trainer for Forest {
    fn name(&self) -> &'static str {
        "forest"
    }

    fn parameters(&self) -> BTreeMap<String, f64> {
        [
            ("trees", self.trees as f64),
            ("depth", self.depth as f64),
            ("min_child_weight", self.min_child_weight),
            ("row_share", self.row_share),
            ("feature_share", self.feature_share),
            ("bins", self.bins as f64),
            ("seed", self.seed as f64),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    fn fit(&self, set: &TrainingSet, watch: &dyn Watch) -> Result<Fitted, TrainError> {
        let told = hess::told(self.name());
        if self.trees == 0 || !self.trees.is_multiple_of(PART) {
            let what = format!("trees = {}: a multiple of {PART}, above 0, is needed", self.trees);
            return Err(TrainError::library(self.name(), what));
        }
        let matrix = hess::matrix(self.name(), set)?;
        let mut parts = Vec::new();
        for part in 0..self.trees / PART {
            let mut params = TrainingParams::builder()
                .objective(Objective::BinaryLogistic(RegLoss::default()))
                .tree_method(TreeMethod::Hist)
                .num_parallel_tree(PART)
                .max_bin(self.bins)
                .max_depth(self.depth)
                .eta(1.0)
                .min_child_weight(self.min_child_weight)
                // A penalty on leaves would forbid the splits that find a few frauds among many events.
                .lambda(0.0)
                .subsample(self.row_share)
                .colsample_bynode(self.feature_share)
                .base_score(0.5)
                .seed(self.seed.wrapping_mul(1_000_003).wrapping_add(part as u64));
            if self.threads > 0 {
                params = params.nthread(self.threads);
            }
            let params = params.build().map_err(&told)?;
            parts.push(train(&params, &matrix, 1).map_err(&told)?);
            if watch.step((part + 1) * PART, self.trees) == ControlFlow::Break(()) {
                return Err(TrainError::Cancelled);
            }
        }
        hess::fitted(self.name(), BoostedModel::average(&parts).map_err(&told)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use crate::trainer::{self, Unwatched};

    #[test]
    fn the_same_rows_give_the_same_bytes_for_any_number_of_threads() {
        let set = testing::set(3_000, 6, 3);
        let bytes = |threads, seed| {
            let forest = Forest { trees: 20, threads, seed, ..Forest::default() };
            trainer::train(&forest, &set, &Unwatched).expect("a model").bytes
        };
        let one = bytes(1, 5);
        assert_eq!(one, bytes(2, 5));
        assert_eq!(one, bytes(3, 5));
        assert_ne!(one, bytes(1, 6), "the seed has no effect");
    }

    #[test]
    fn the_parts_are_all_there_and_each_is_its_own() {
        let set = testing::set(3_000, 6, 3);
        let forest = Forest { trees: 20, ..Forest::default() };
        let trained = trainer::train(&forest, &set, &Unwatched).expect("a model");
        assert_eq!(trained.model.summary().trees, 20);
        // Two parts of one seed would be one part twice.
        let ten =
            trainer::train(&Forest { trees: 10, ..Forest::default() }, &set, &Unwatched).expect("a model");
        let rows = set.rows();
        let mut scratch = trained.model.scratch();
        let differ = (0..100).any(|at| {
            trained.model.score_one(rows.row(at), &mut scratch).margin
                != ten.model.score_one(rows.row(at), &mut scratch).margin
        });
        assert!(differ, "the second part is the first again");
    }

    #[test]
    fn a_number_of_trees_that_is_no_multiple_is_refused() {
        let set = testing::set(50, 2, 3);
        let error = trainer::train(&Forest { trees: 15, ..Forest::default() }, &set, &Unwatched);
        assert!(error.expect_err("refused").to_string().contains("trees = 15: a multiple of 10"));
    }
}
