//! Random forests.
//!
//! rows -> **forest** (`trees`) -> XGBoost JSON
//!
//! Breiman, "Random Forests" (2001), with leaves of the second order as in boosting: every tree is grown from the same scores of a half, on
//! rows of its own, and the margin is the mean over all trees.
//!
//! Holds: depth and least leaf keep it small (without them 100 trees on 60 days of the Handbook are 129 MB, with them 4); a tree depends on
//! the seed and its number only, so that any thread may grow it.

use crate::draw::Draw;
use crate::rows::TrainingSet;
use crate::trainer::{Fitted, TrainError, Trainer, Watch};
use crate::trees::{self, BINS, Binned, Gradient, Grower, Growth};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// How a forest is grown.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
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
            bins: BINS,
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
        trees::check(self.name(), &self.parameters())?;
        let threads = trees::threads(self.threads);
        let growth = Growth {
            depth: self.depth,
            min_child_weight: self.min_child_weight,
            // A penalty on leaves would forbid the splits that find a few frauds among many events.
            lambda: 0.0,
            node_share: self.feature_share,
            threads: 1,
        };
        let binned = Binned::new(set, self.bins, threads);
        let gradients: Vec<Gradient> =
            (0..set.len()).map(|row| Gradient::logistic(0.5, set.fraud()[row], set.weight(row))).collect();
        let features: Vec<usize> = (0..set.rows().width()).collect();
        // Through a step each: else the numbers of a tree would be those of the one before, moved by one, and the trees of a seed those of the
        // seed before.
        let seed = Draw::new(self.seed).next();
        let grow = |grower: &mut Grower<'_>, tree: usize| {
            let mut draw = Draw::new(Draw::new(seed.wrapping_add(tree as u64)).next());
            let rows = trees::sample_rows(set.len(), self.row_share, &mut draw);
            let mut tree = grower.grow(rows, &features, &gradients, 1.0, &mut draw).tree;
            tree.scale(1.0 / self.trees as f32);
            tree
        };
        let (next, is_cancelled) = (AtomicUsize::new(0), AtomicBool::new(false));
        let mut grown: Vec<(usize, _)> = Vec::with_capacity(self.trees);
        std::thread::scope(|scope| {
            let (done, trees) = mpsc::channel();
            for _ in 0..threads.min(self.trees) {
                let done = done.clone();
                let (binned, growth, grow, next, is_cancelled) =
                    (&binned, &growth, &grow, &next, &is_cancelled);
                scope.spawn(move || {
                    let mut grower = Grower::new(binned, growth);
                    loop {
                        let tree = next.fetch_add(1, Ordering::Relaxed);
                        // Nobody listens any more where the other end is gone.
                        if tree >= self.trees
                            || is_cancelled.load(Ordering::Relaxed)
                            || done.send((tree, grow(&mut grower, tree))).is_err()
                        {
                            return;
                        }
                    }
                });
            }
            drop(done);
            for tree in trees {
                grown.push(tree);
                if watch.step(grown.len(), self.trees) == ControlFlow::Break(()) {
                    is_cancelled.store(true, Ordering::Relaxed);
                    return;
                }
            }
        });
        if is_cancelled.into_inner() {
            return Err(TrainError::Cancelled);
        }
        grown.sort_unstable_by_key(|(tree, _)| *tree);
        trees::fitted(self.name(), set, grown.into_iter().map(|(_, tree)| tree).collect())
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
    fn seeds_that_are_neighbours_share_no_tree() {
        let set = testing::set(2_000, 6, 3);
        let trees = |seed| {
            let forest = Forest { trees: 12, seed, ..Forest::default() };
            let bytes = trainer::train(&forest, &set, &Unwatched).expect("a model").bytes;
            let model: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            let trees =
                model["learner"]["gradient_booster"]["model"]["trees"].as_array().expect("trees").clone();
            trees.into_iter().map(|tree| tree["split_conditions"].to_string()).collect::<Vec<_>>()
        };
        let (one, two) = (trees(1), trees(2));
        assert_eq!((one.len(), two.len()), (12, 12));
        assert!(one.iter().all(|tree| !two.contains(tree)));
    }

    #[test]
    fn every_tree_is_its_own_and_the_margin_is_their_mean() {
        let set = testing::set(3_000, 6, 3);
        let grown = |trees| {
            let forest = Forest { trees, ..Forest::default() };
            trainer::train(&forest, &set, &Unwatched).expect("a model").model
        };
        let (one, two, seven) = (grown(1), grown(2), grown(7));
        assert_eq!(seven.summary().trees, 7);
        let margin = |model: &cartguard_forest::Model, at| {
            model.score_one(set.rows().row(at), &mut model.scratch()).margin
        };
        // The second of two, from what they say together.
        let differ = (0..100).filter(|at| (margin(&two, *at) * 2.0 - margin(&one, *at)) != margin(&one, *at));
        assert!(differ.count() > 50, "the second tree is the first again");
        // A leaf says -2 to 2: what a step from a score of a half can.
        assert!((0..100).all(|at| margin(&seven, at).abs() <= 2.0));
    }

    #[test]
    fn it_ends_when_it_is_cancelled_and_without_trees_it_is_refused() {
        struct Once;
        impl Watch for Once {
            fn step(&self, done: usize, of: usize) -> ControlFlow<()> {
                assert_eq!((done, of), (1, 30));
                ControlFlow::Break(())
            }
        }
        let set = testing::set(500, 2, 3);
        let cut = trainer::train(&Forest { trees: 30, ..Forest::default() }, &set, &Once);
        assert!(matches!(cut, Err(TrainError::Cancelled)));
        let none = trainer::train(&Forest { trees: 0, ..Forest::default() }, &set, &Unwatched);
        assert!(none.expect_err("refused").to_string().contains("forest: trees = 0: 1 to 100000"));
    }
}
