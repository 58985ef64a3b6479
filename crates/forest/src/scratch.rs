//! Buffers for one thread that scores.
//!
//! Holds: made for a model by [`Model::scratch`](crate::Model::scratch), large enough that no call allocates; given
//! to another model it grows once.
//! Not here: anything that outlives a call.

use crate::evaluate::LANES;

/// Buffers for one thread that scores. Reused, so that no call allocates.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// A block of rows, feature by feature.
    pub(crate) columns: Vec<[f32; LANES]>,
    /// What `shap` keeps for each level of a tree, in f64.
    pub(crate) levels: Vec<f64>,
    /// The open way from the root to a node, for `shap`.
    pub(crate) path: Vec<crate::shap::Step>,
}
