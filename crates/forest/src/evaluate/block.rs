//! Evaluate a block of rows, tree by tree, without a branch on data.
//!
//! tree -> **block** -> sums of `LANES` rows
//!
//! Rows stand in columns. A tree numbers its leaves from left to right and keeps a bit for each; a split has a
//! mask that clears the leaves of its left subtree. For each split and each lane, where the row goes right,
//! `alive &= mask`; the lowest bit that is left is the row's leaf. The inner loop is plain code that the compiler
//! vectorises. In the family of V-QuickScorer (Lucchese et al., SIGIR 2016) and `RapidScorer` (Ye et al., KDD 2018),
//! but tree by tree, so that the sum keeps the trainer's order.
//!
//! Holds: a tree's splits stand by kind (the order of `and` is free); leaves are padded to the mask's width.
//! Not here: trees of more than 64 leaves are walked; the instruction set (`simd`).

use super::Leaf;
use crate::Score;
use crate::link::Link;
use crate::tree::{Split, Test, Tree, ZERO};

/// Rows of a block. Measured: 32 beat 16 and 8 on AVX2 and AVX-512.
pub(crate) const LANES: usize = 32;

/// Cuts that are applied together.
const GROUP: usize = 4;

/// A split by comparison.
#[derive(Debug, Clone, Copy)]
struct Cut<M> {
    feature: u32,
    threshold: f32,
    mask: M,
}

/// A split by membership.
#[derive(Debug, Clone, Copy)]
struct Set<M> {
    split: u32,
    mask: M,
}

/// A tree of at most as many leaves as `M` has bits; ranges into the block's lists.
#[derive(Debug, Clone, Copy)]
struct Masked {
    cuts: u32,
    /// Ends, in groups of cuts, of: missing left, missing right, zero missing left, zero missing right.
    ends: [u32; 4],
    sets: (u32, u32),
    leaves: u32,
    tree: u32,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Narrow(Masked),
    Wide(Masked),
    Walked { tree: u32 },
}

#[derive(Debug)]
pub(crate) struct Block<T> {
    base: T,
    shapes: Vec<Shape>,
    narrow: Lists<u32, T, 32>,
    wide: Lists<u64, T, 64>,
    /// The trees that are walked or have sets.
    trees: Vec<Tree>,
}

#[derive(Debug)]
struct Lists<M, T, const N: usize> {
    cuts: Vec<[Cut<M>; GROUP]>,
    sets: Vec<Set<M>>,
    leaves: Vec<[T; N]>,
}

/// A word with a bit for each leaf.
trait Mask: Copy {
    const ALL: Self;
    /// All bits but those from `start` up to `end`.
    fn without(start: u32, end: u32) -> Self;
    fn and(self, other: Self) -> Self;
    fn lowest(self) -> usize;
}

macro_rules! mask {
    ($type:ty) => {
        impl Mask for $type {
            const ALL: Self = Self::MAX;

            fn without(start: u32, end: u32) -> Self {
                !((Self::MAX >> (Self::BITS - (end - start))) << start)
            }

            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }

            #[inline(always)]
            fn lowest(self) -> usize {
                self.trailing_zeros() as usize
            }
        }
    };
}

mask!(u32);
mask!(u64);

impl<T: Leaf> Block<T> {
    pub(super) fn new(trees: &[Tree], base: T) -> Self {
        let mut block = Self {
            base,
            shapes: Vec::new(),
            narrow: Lists { cuts: Vec::new(), sets: Vec::new(), leaves: Vec::new() },
            wide: Lists { cuts: Vec::new(), sets: Vec::new(), leaves: Vec::new() },
            trees: Vec::new(),
        };
        for tree in trees {
            let kept = block.trees.len() as u32;
            let shape = match tree.leaves.len() {
                0..=32 => Shape::Narrow(block.narrow.add(tree, kept)),
                33..=64 => Shape::Wide(block.wide.add(tree, kept)),
                _ => Shape::Walked { tree: kept },
            };
            let whole = match shape {
                Shape::Narrow(masked) | Shape::Wide(masked) => masked.sets.0 < masked.sets.1,
                Shape::Walked { .. } => true,
            };
            if whole {
                block.trees.push(tree.clone());
            }
            block.shapes.push(shape);
        }
        block
    }

    /// Scores the first `out.len()` lanes of the columns.
    #[inline(always)]
    pub(super) fn score(&self, columns: &[[f32; LANES]], link: Link, out: &mut [Score]) {
        let mut sums = [self.base; LANES];
        for shape in &self.shapes {
            match shape {
                Shape::Narrow(masked) => self.narrow.apply(masked, &self.trees, columns, &mut sums),
                Shape::Wide(masked) => self.wide.apply(masked, &self.trees, columns, &mut sums),
                Shape::Walked { tree } => add(&mut sums, &walk(&self.trees[*tree as usize], columns)),
            }
        }
        for (out, sum) in out.iter_mut().zip(&sums) {
            let margin = sum.widen();
            *out = Score { margin, score: link.apply(margin) };
        }
    }
}

impl<M: Mask, T: Leaf, const N: usize> Lists<M, T, N> {
    fn add(&mut self, tree: &Tree, kept: u32) -> Masked {
        let cuts = self.cuts.len() as u32;
        let mut ends = [0; 4];
        for (kind, end) in ends.iter_mut().enumerate() {
            let cuts: Vec<Cut<M>> = tree
                .splits
                .iter()
                .filter_map(|split| kind_of(split).map(|(of, threshold)| (of, threshold, split)))
                .filter(|(of, _, _)| *of == kind)
                .map(|(_, threshold, split)| Cut { feature: split.feature, threshold, mask: mask_of(split) })
                .collect();
            for cuts in cuts.chunks(GROUP) {
                // Places that no cut takes clear nothing, wherever the row goes.
                let filler = Cut { mask: M::ALL, ..cuts[0] };
                self.cuts.push(std::array::from_fn(|at| cuts.get(at).copied().unwrap_or(filler)));
            }
            *end = self.cuts.len() as u32;
        }
        let first = self.sets.len() as u32;
        for (at, split) in tree.splits.iter().enumerate() {
            if kind_of(split).is_none() {
                self.sets.push(Set { split: at as u32, mask: mask_of(split) });
            }
        }
        let mut leaves = [T::default(); N];
        for (place, leaf) in leaves.iter_mut().zip(&tree.leaves) {
            *place = T::narrow(leaf.value);
        }
        self.leaves.push(leaves);
        let sets = (first, self.sets.len() as u32);
        Masked { cuts, ends, sets, leaves: self.leaves.len() as u32 - 1, tree: kept }
    }

    #[inline(always)]
    fn apply(&self, tree: &Masked, trees: &[Tree], columns: &[[f32; LANES]], sums: &mut [T; LANES]) {
        let mut alive = [M::ALL; LANES];
        let [left, right, zero_left, zero_right] = tree.ends.map(|end| end as usize);
        for cuts in &self.cuts[tree.cuts as usize..left] {
            clear(cuts, columns, &mut alive, |x, t| x >= t);
        }
        for cuts in &self.cuts[left..right] {
            #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "true for NaN, which goes right here")]
            clear(cuts, columns, &mut alive, |x, t| !(x < t));
        }
        for cuts in &self.cuts[right..zero_left] {
            clear(cuts, columns, &mut alive, |x, t| (x >= t) & (x.abs() > ZERO));
        }
        for cuts in &self.cuts[zero_left..zero_right] {
            #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "true for NaN, which goes right here")]
            clear(cuts, columns, &mut alive, |x, t| !(x < t) | !(x.abs() > ZERO));
        }
        let (first, last) = (tree.sets.0 as usize, tree.sets.1 as usize);
        if first < last {
            let tree = &trees[tree.tree as usize];
            for set in &self.sets[first..last] {
                set.clear(tree, columns, &mut alive);
            }
        }
        let leaves = &self.leaves[tree.leaves as usize];
        let mut picked = [T::default(); LANES];
        for (picked, alive) in picked.iter_mut().zip(&alive) {
            *picked = leaves[alive.lowest() % N];
        }
        add(sums, &picked);
    }
}

#[inline(always)]
fn add<T: Leaf>(sums: &mut [T; LANES], values: &[T; LANES]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += *value;
    }
}

/// Applies the cuts of one group to all lanes.
///
/// Four cuts at a time, and for a reason beyond the fewer loads: the body of a loop over lanes with one cut is small
/// enough for the compiler to unroll it whole before it thinks of vectors, and then it makes none, with a branch for
/// each lane (measured: 10,000 ns a row instead of 250).
#[inline(always)]
fn clear<M: Mask>(
    cuts: &[Cut<M>; GROUP],
    columns: &[[f32; LANES]],
    alive: &mut [M; LANES],
    goes_right: impl Fn(f32, f32) -> bool,
) {
    let [a, b, c, d] = cuts;
    let column = |cut: &Cut<M>| &columns[cut.feature as usize];
    let (xs_a, xs_b, xs_c, xs_d) = (column(a), column(b), column(c), column(d));
    for lane in 0..LANES {
        let keep = |cut: &Cut<M>, x: f32| if goes_right(x, cut.threshold) { cut.mask } else { M::ALL };
        let first = keep(a, xs_a[lane]).and(keep(b, xs_b[lane]));
        let second = keep(c, xs_c[lane]).and(keep(d, xs_d[lane]));
        alive[lane] = alive[lane].and(first).and(second);
    }
}

impl<M: Mask> Set<M> {
    #[inline(never)]
    fn clear(&self, tree: &Tree, columns: &[[f32; LANES]], alive: &mut [M; LANES]) {
        let split = &tree.splits[self.split as usize];
        for (alive, x) in alive.iter_mut().zip(&columns[split.feature as usize]) {
            if split.test.goes_right(*x, &tree.words) {
                *alive = alive.and(self.mask);
            }
        }
    }
}

fn kind_of(split: &Split) -> Option<(usize, f32)> {
    match split.test {
        Test::AtLeast { threshold, default_right } => Some((usize::from(default_right), threshold)),
        Test::AtLeastNonzero { threshold, default_right } => {
            Some((2 + usize::from(default_right), threshold))
        }
        Test::Member { .. } => None,
    }
}

fn mask_of<M: Mask>(split: &Split) -> M {
    M::without(split.left_leaves.0, split.left_leaves.1)
}

#[inline(never)]
fn walk<T: Leaf>(tree: &Tree, columns: &[[f32; LANES]]) -> [T; LANES] {
    std::array::from_fn(|lane| {
        let leaf = tree.leaf_by(|feature| columns[feature as usize][lane]);
        T::narrow(tree.leaves[leaf].value)
    })
}
