//! Trees together: their own scores, and their file.
//!
//! `grow` -> **ensemble** -> XGBoost JSON
//!
//! Holds: the file says all that the trees know; the margin is the base's and then each tree's in order, all in f32.

use super::grow::Tree;
use crate::rows::TrainingSet;
use crate::trainer::{Fitted, OwnScores, TrainError};
use cartguard_forest::{Format, Link, Score, Shape};
use serde::Serialize;

/// What a root has in place of a parent.
const NO_PARENT: u32 = 0x7fff_ffff;
/// What a leaf has in place of children.
const NO_CHILD: i64 = -1;
/// The version of XGBoost whose format it is; tests/round_trip.rs reads it with that.
const VERSION: [u32; 3] = [3, 2, 0];

/// Trees whose values are added up, from a score of a half, whose margin is 0.
#[derive(Debug)]
pub(crate) struct Ensemble {
    pub(crate) trees: Vec<Tree>,
    width: usize,
}

impl OwnScores for Ensemble {
    fn score(&self, rows: &[f32]) -> Result<Vec<Score>, TrainError> {
        let link = Link { divisor: 1.0, shape: Shape::SigmoidF32 };
        let score = |row: &[f32]| {
            let margin = self.trees.iter().fold(0.0, |margin, tree| margin + tree.value(row));
            Score { margin: f64::from(margin), score: link.apply(f64::from(margin)) }
        };
        Ok(rows.chunks_exact(self.width).map(score).collect())
    }
}

/// What is given out of trees.
pub(crate) fn fitted(
    trainer: &'static str,
    set: &TrainingSet,
    trees: Vec<Tree>,
) -> Result<Fitted, TrainError> {
    let own = Ensemble { trees, width: set.rows().width() };
    let bytes = serde_json::to_vec(&File::of(&own)).map_err(|error| TrainError::library(trainer, error))?;
    Ok(Fitted { format: Format::XgboostJson, bytes, own: Box::new(own) })
}

// The members of XGBoost's JSON, of which doc/model.schema in its repository tells.

#[derive(Serialize)]
struct File {
    learner: Learner,
    version: [u32; 3],
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the format's")]
struct Learner {
    attributes: Empty,
    feature_names: [(); 0],
    feature_types: [(); 0],
    gradient_booster: Booster,
    learner_model_param: LearnerParam,
    objective: Objective,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Booster {
    model: Model,
    name: &'static str,
}

#[derive(Serialize)]
struct Model {
    gbtree_model_param: BoosterParam,
    iteration_indptr: Vec<usize>,
    tree_info: Vec<u8>,
    trees: Vec<TreeColumns>,
}

#[derive(Serialize)]
struct BoosterParam {
    num_parallel_tree: &'static str,
    num_trees: String,
}

#[derive(Serialize)]
struct LearnerParam {
    base_score: &'static str,
    boost_from_average: &'static str,
    num_class: &'static str,
    num_feature: String,
    num_target: &'static str,
}

#[derive(Serialize)]
struct Objective {
    name: &'static str,
    reg_loss_param: LossParam,
}

#[derive(Serialize)]
struct LossParam {
    scale_pos_weight: &'static str,
}

/// A value a node in each.
#[derive(Default, Serialize)]
struct TreeColumns {
    base_weights: Vec<f32>,
    categories: [(); 0],
    categories_nodes: [(); 0],
    categories_segments: [(); 0],
    categories_sizes: [(); 0],
    default_left: Vec<u8>,
    id: usize,
    left_children: Vec<i64>,
    loss_changes: Vec<f32>,
    parents: Vec<u32>,
    right_children: Vec<i64>,
    split_conditions: Vec<f32>,
    split_indices: Vec<u32>,
    split_type: Vec<u8>,
    sum_hessian: Vec<f32>,
    tree_param: TreeParam,
}

#[derive(Default, Serialize)]
struct TreeParam {
    num_deleted: String,
    num_feature: String,
    num_nodes: String,
    size_leaf_vector: String,
}

impl File {
    fn of(ensemble: &Ensemble) -> Self {
        let trees = &ensemble.trees;
        let model = Model {
            gbtree_model_param: BoosterParam { num_parallel_tree: "1", num_trees: trees.len().to_string() },
            iteration_indptr: (0..=trees.len()).collect(),
            tree_info: vec![0; trees.len()],
            trees: trees
                .iter()
                .enumerate()
                .map(|(id, tree)| TreeColumns::of(id, tree, ensemble.width))
                .collect(),
        };
        let learner = Learner {
            attributes: Empty {},
            feature_names: [],
            feature_types: [],
            gradient_booster: Booster { model, name: "gbtree" },
            learner_model_param: LearnerParam {
                base_score: "[0.5]",
                boost_from_average: "0",
                num_class: "0",
                num_feature: ensemble.width.to_string(),
                num_target: "1",
            },
            objective: Objective {
                name: "binary:logistic",
                reg_loss_param: LossParam { scale_pos_weight: "1" },
            },
        };
        Self { learner, version: VERSION }
    }
}

impl TreeColumns {
    fn of(id: usize, tree: &Tree, width: usize) -> Self {
        let nodes = &tree.nodes;
        let child = |side: usize| {
            let of = |children: Option<[u32; 2]>| children.map_or(NO_CHILD, |pair| i64::from(pair[side]));
            nodes.iter().map(|node| of(node.children)).collect()
        };
        Self {
            base_weights: nodes.iter().map(|node| node.value).collect(),
            default_left: nodes.iter().map(|node| u8::from(node.missing_left)).collect(),
            id,
            left_children: child(0),
            loss_changes: nodes.iter().map(|node| node.gain).collect(),
            parents: nodes.iter().map(|node| node.parent.unwrap_or(NO_PARENT)).collect(),
            right_children: child(1),
            // A leaf's value is where the others have their condition.
            split_conditions: nodes
                .iter()
                .map(|node| if node.children.is_some() { node.cut } else { node.value })
                .collect(),
            split_indices: nodes.iter().map(|node| node.feature).collect(),
            split_type: vec![0; nodes.len()],
            sum_hessian: nodes.iter().map(|node| node.cover).collect(),
            tree_param: TreeParam {
                num_deleted: "0".into(),
                num_feature: width.to_string(),
                num_nodes: nodes.len().to_string(),
                size_leaf_vector: "1".into(),
            },
            ..Self::default()
        }
    }
}
