//! Path contributions (Saabas): each split on a row's way gives its feature the change of the expected value.
//!
//! Holds: they add up to leaf less mean of the tree. Not here: fairness between features; a split near the root
//! gets less than it would by Shapley's rule.

use crate::tree::{Child, Tree};

pub(super) fn contributions(tree: &Tree, means: &[f64], row: &[f32], out: &mut [f64]) {
    let mut at = tree.root();
    while let Child::Split(split) = at {
        let before = means[split as usize];
        let split = &tree.splits[split as usize];
        let right = split.test.goes_right(row[split.feature as usize], &tree.words);
        at = if right { split.right } else { split.left };
        out[split.feature as usize] += tree.mean(at, means) - before;
    }
}
