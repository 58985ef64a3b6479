//! Which feature moved a margin by how much.
//!
//! tree -> **shap** -> contributions of a row
//!
//! `exact` computes path-dependent Shapley values in the sense of Lundberg's `TreeSHAP`, `path` the cheap path
//! contributions of Saabas, for times when alerts are many.
//!
//! Holds: all in f64; bias and contributions add up to the margin, up to the rounding of the trainer's own sum.
//! Not here: words for people (templates belong to the engine).

mod exact;
mod path;
mod quadrature;

use crate::scratch::Scratch;
use crate::simd::Detected;
use crate::tree::Tree;

pub(crate) use exact::Step;

/// What contributions need beside the trees, computed at load.
#[derive(Debug)]
pub(crate) struct Explainer {
    exact: exact::Exact,
    /// Mean value below each split of each tree, by cover.
    means: Vec<Vec<f64>>,
    /// Expected margin: base and all trees' means.
    bias: f64,
}

impl Explainer {
    pub(crate) fn new(trees: &[Tree], base: f64) -> Self {
        let means: Vec<Vec<f64>> = trees.iter().map(Tree::means).collect();
        let bias =
            trees.iter().zip(&means).fold(base, |sum, (tree, means)| sum + tree.mean(tree.root(), means));
        Self { exact: exact::Exact::new(trees), means, bias }
    }

    pub(crate) fn prepare(&self, scratch: &mut Scratch) {
        self.exact.prepare(scratch);
    }

    pub(crate) fn exact(
        &self,
        set: Detected,
        trees: &[Tree],
        row: &[f32],
        scratch: &mut Scratch,
        out: &mut [f64],
    ) -> f64 {
        out.fill(0.0);
        self.exact.prepare(scratch);
        self.exact.contributions(set, trees, row, scratch, out);
        self.bias
    }

    pub(crate) fn path(&self, trees: &[Tree], row: &[f32], out: &mut [f64]) -> f64 {
        out.fill(0.0);
        for (tree, means) in trees.iter().zip(&self.means) {
            path::contributions(tree, means, row, out);
        }
        self.bias
    }
}

#[cfg(test)]
mod tests;
