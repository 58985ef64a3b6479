//! Both layouts against the plain descent, on random trees of every kind of split and every width of mask.

use super::{Evaluator, LANES, Rows};
use crate::Score;
use crate::format::Sum;
use crate::link::{Link, Shape};
use crate::scratch::Scratch;
use crate::simd::{Detected, InstructionSet};
use crate::testing::{Random, tree};
use crate::tree::Tree;

const FEATURES: usize = 6;
const SETS: [InstructionSet; 3] = [InstructionSet::Baseline, InstructionSet::Avx2, InstructionSet::Avx512];

/// The sum by plain descent, in the trainer's type and order.
fn plain(trees: &[Tree], sum: Sum, row: &[f32]) -> f64 {
    let leaves = trees.iter().map(|tree| tree.leaves[tree.leaf_of(row)].value);
    match sum {
        Sum::F32 { base } => f64::from(leaves.fold(base, |sum, leaf| sum + leaf as f32)),
        Sum::F64 => leaves.fold(0.0, |sum, leaf| sum + leaf),
    }
}

fn check(trees: &[Tree], random: &mut Random) {
    let count = 2 * LANES + random.below(LANES);
    let rows: Vec<f32> = (0..count * FEATURES).map(|_| random.value()).collect();
    for sum in [Sum::F32 { base: 0.3 }, Sum::F64] {
        let evaluator = Evaluator::new(trees, sum);
        for set in SETS.map(|set| Detected::best().at_most(set)) {
            let (mut scratch, mut out) = (Scratch::default(), vec![Score::default(); count]);
            Evaluator::prepare(FEATURES, &mut scratch);
            let table = Rows { values: &rows, width: FEATURES, features: FEATURES };
            evaluator.score_rows(set, table, Link::new(Shape::Identity), &mut scratch, &mut out);
            for (row, score) in rows.chunks_exact(FEATURES).zip(&out) {
                let expected = plain(trees, sum, row).to_bits();
                assert_eq!(score.margin.to_bits(), expected, "block, {set:?}, {row:?}");
                assert_eq!(evaluator.margin(set, row).to_bits(), expected, "single, {set:?}, {row:?}");
            }
        }
    }
}

#[test]
fn all_layouts_descend_as_the_plain_one() {
    let random = &mut Random(1);
    for _ in 0..60 {
        // 31 and 63 splits fill a mask; more than 63 are walked.
        let sizes = [0, 1, 5, 26, 31, 32, 40, 63, 64, 200];
        let count = random.below(20);
        let sizes: Vec<usize> = (0..count).map(|_| sizes[random.below(sizes.len())]).collect();
        let trees: Vec<Tree> = sizes.iter().map(|splits| tree(random, *splits, FEATURES, false)).collect();
        check(&trees, random);
    }
}

#[test]
fn chains_of_full_masks_are_no_exception() {
    let random = &mut Random(2);
    for splits in [31, 63, 64, 300] {
        let trees: Vec<Tree> = (0..9).map(|_| tree(random, splits, FEATURES, true)).collect();
        check(&trees, random);
    }
}
