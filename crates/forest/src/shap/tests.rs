//! Contributions against Shapley's sum over all subsets of features, and against their own sum.

use super::Explainer;
use crate::scratch::Scratch;
use crate::simd::{Detected, InstructionSet};
use crate::testing::{Random, tree};
use crate::tree::{Child, Tree};

const FEATURES: usize = 7;

/// Expected value of a tree where the features of `known` have the row's values: Lundberg's definition.
fn expected(tree: &Tree, at: Child, row: &[f32], known: usize) -> f64 {
    let split = match at {
        Child::Leaf(leaf) => return tree.leaves[leaf as usize].value,
        Child::Split(split) => &tree.splits[split as usize],
    };
    let (left, right) = (expected(tree, split.left, row, known), expected(tree, split.right, row, known));
    if known.checked_shr(split.feature).unwrap_or(0) & 1 == 1 {
        if split.test.goes_right(row[split.feature as usize], &tree.words) { right } else { left }
    } else {
        let (left_share, right_share) = tree.shares(split);
        left_share * left + right_share * right
    }
}

/// Shapley's formula as it is written.
fn shapley(tree: &Tree, row: &[f32], feature: usize) -> f64 {
    let factorial = |n: usize| (1..=n).product::<usize>() as f64;
    let subsets = (0..1 << FEATURES).filter(|known: &usize| known >> feature & 1 == 0);
    subsets
        .map(|known| {
            let size = known.count_ones() as usize;
            let weight = factorial(size) * factorial(FEATURES - size - 1) / factorial(FEATURES);
            let with = expected(tree, tree.root(), row, known | 1 << feature);
            weight * (with - expected(tree, tree.root(), row, known))
        })
        .sum()
}

fn exact(trees: &[Tree], row: &[f32], set: InstructionSet) -> (f64, Vec<f64>) {
    let (mut scratch, mut out) = (Scratch::default(), vec![f64::NAN; row.len()]);
    let set = Detected::best().at_most(set);
    let bias = Explainer::new(trees, 0.25).exact(set, trees, row, &mut scratch, &mut out);
    (bias, out)
}

#[test]
fn they_are_shapleys_sums_over_all_subsets() {
    let random = &mut Random(1);
    for case in 0..300 {
        let (splits, chain) = (random.below(24), random.below(3) == 0);
        let tree = [tree(random, splits, FEATURES, chain)];
        let row: Vec<f32> = (0..FEATURES).map(|_| random.value()).collect();
        let (_, found) = exact(&tree, &row, InstructionSet::Avx512);
        for (feature, found) in found.iter().enumerate() {
            let expected = shapley(&tree[0], &row, feature);
            assert!(
                (found - expected).abs() < 1e-9,
                "case {case}, feature {feature}: {found}, sum {expected}"
            );
        }
    }
}

#[test]
fn bias_is_the_expected_value_and_all_add_up() {
    let random = &mut Random(2);
    // Chains of 500 splits over 600 features: the depth where unwinding loses its digits.
    for (splits, features, chain) in [(20, 5, false), (200, 40, false), (60, 600, true), (500, 600, true)] {
        for _ in 0..10 {
            let trees: Vec<Tree> = (0..3).map(|_| tree(random, splits, features, chain)).collect();
            let row: Vec<f32> = (0..features).map(|_| random.value()).collect();
            let margin: f64 =
                0.25 + trees.iter().map(|tree| tree.leaves[tree.leaf_of(&row)].value).sum::<f64>();
            let mean: f64 = trees.iter().map(|tree| expected(tree, tree.root(), &row, 0)).sum();
            let (bias, found) = exact(&trees, &row, InstructionSet::Avx512);
            assert!((bias - 0.25 - mean).abs() < 1e-9, "{bias} {mean}");
            let sum = bias + found.iter().sum::<f64>();
            assert!((sum - margin).abs() < 1e-9, "{splits} splits: {sum}, margin {margin}");
            let mut path = vec![0.0; features];
            let bias = Explainer::new(&trees, 0.25).path(&trees, &row, &mut path);
            let sum = bias + path.iter().sum::<f64>();
            assert!((sum - margin).abs() < 1e-9, "{splits} splits: path {sum}, margin {margin}");
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let random = &mut Random(3);
    let trees: Vec<Tree> = (0..20).map(|_| tree(random, 30, FEATURES, false)).collect();
    for _ in 0..50 {
        let row: Vec<f32> = (0..FEATURES).map(|_| random.value()).collect();
        let bits = |set| exact(&trees, &row, set).1.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(InstructionSet::Baseline), bits(InstructionSet::Avx2));
        assert_eq!(bits(InstructionSet::Baseline), bits(InstructionSet::Avx512));
    }
}
