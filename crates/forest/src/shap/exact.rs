//! Exact path-dependent Shapley values of a tree, in time linear in its nodes.
//!
//! The value of a tree for a set S of known features is the sum over leaves of `v * prod(o or z)`, with `o` = 1
//! where the row passes all tests of a feature on the way to the leaf and 0 where not (S knows it), and `z` = the
//! share of training rows that pass (S does not know it): Lundberg's path-dependent expectation. With
//! `s! (d - 1 - s)! / d!` written as the integral of `t^s (1 - t)^(d - 1 - s)` over 0..1, feature i gets
//!
//! `sum over leaves of v * integral of (o_i - z_i) * prod over j != i of (o_j t + z_j (1 - t))`
//!
//! which is a polynomial of degree d - 1 in t, so that d / 2 Gauss-Legendre points give it exactly. All factors
//! are positive: nothing cancels, however deep the tree (Lundberg's own unwinding divides and subtracts). Going
//! down, a node's product follows from its parent's; coming back up, sums of leaves are shared by all splits above
//! (as in Linear `TreeSHAP`, Yu et al., 2022).
//!
//! Holds: no recursion, no allocation; features that are not on a way do not matter to it.
//! Not here: the bias (`Explainer`).

use super::quadrature::gauss_legendre;
use crate::limits::DEPTH_MAX;
use crate::scratch::Scratch;
use crate::simd::{Detected, Kernel};
use crate::tree::{Child, Tree};

/// Feature of the root's step: no split has it.
const NO_FEATURE: u32 = u32::MAX;

/// A split on the open way, and the edge that led to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    split: u32,
    /// Children that were begun: 0, 1, 2.
    begun: u8,
    goes_right: bool,
    edge: Edge,
}

/// All tests of one feature on the way so far, taken together.
#[derive(Debug, Clone, Copy)]
struct Edge {
    feature: u32,
    tests: Tests,
    /// The same without the last of them, where there were others.
    old: Option<Tests>,
}

#[derive(Debug, Clone, Copy)]
struct Tests {
    /// Whether the row passes them all.
    hot: bool,
    /// Share of training rows that pass, one test after the other.
    share: f64,
}

#[derive(Debug)]
pub(crate) struct Exact {
    points: Points,
    depth: usize,
    /// Shares that went left and right at each split of each tree.
    shares: Vec<Vec<[f64; 2]>>,
}

/// Enough points for the longest way of the model.
#[derive(Debug)]
enum Points {
    P4(Rule<4>),
    P8(Rule<8>),
    P16(Box<Rule<16>>),
    P256(Box<Rule<256>>),
}

const _: () = assert!(2 * 256 >= DEPTH_MAX);

#[derive(Debug)]
struct Rule<const N: usize> {
    points: [f64; N],
    weights: [f64; N],
    /// `-1 / (1 - t)`.
    cold: [f64; N],
}

impl Exact {
    pub(crate) fn new(trees: &[Tree]) -> Self {
        let depth = trees.iter().map(|tree| tree.depth).max().unwrap_or(0);
        let points = match depth {
            0..=8 => Points::P4(Rule::new()),
            9..=16 => Points::P8(Rule::new()),
            17..=32 => Points::P16(Box::new(Rule::new())),
            _ => Points::P256(Box::new(Rule::new())),
        };
        let shares =
            trees.iter().map(|tree| tree.splits.iter().map(|split| tree.shares(split).into()).collect());
        Self { points, depth, shares: shares.collect() }
    }

    pub(crate) fn prepare(&self, scratch: &mut Scratch) {
        let width = match &self.points {
            Points::P4(_) => 4,
            Points::P8(_) => 8,
            Points::P16(_) => 16,
            Points::P256(_) => 256,
        };
        let levels = 2 * (self.depth + 1) * width;
        if scratch.levels.len() < levels {
            scratch.levels.resize(levels, 0.0);
        }
        if scratch.path.capacity() < self.depth + 1 {
            scratch.path.reserve(self.depth + 1 - scratch.path.len());
        }
    }

    pub(crate) fn contributions(
        &self,
        set: Detected,
        trees: &[Tree],
        row: &[f32],
        scratch: &mut Scratch,
        out: &mut [f64],
    ) {
        let shares = &self.shares;
        match &self.points {
            Points::P4(rule) => set.run(Forest { rule, trees, shares, row, scratch, out }),
            Points::P8(rule) => set.run(Forest { rule, trees, shares, row, scratch, out }),
            Points::P16(rule) => set.run(Forest { rule, trees, shares, row, scratch, out }),
            Points::P256(rule) => set.run(Forest { rule, trees, shares, row, scratch, out }),
        }
    }
}

struct Forest<'a, const N: usize> {
    rule: &'a Rule<N>,
    trees: &'a [Tree],
    shares: &'a [Vec<[f64; 2]>],
    row: &'a [f32],
    scratch: &'a mut Scratch,
    out: &'a mut [f64],
}

impl<const N: usize> Kernel for Forest<'_, N> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        for (tree, shares) in self.trees.iter().zip(self.shares) {
            self.rule.tree(tree, shares, self.row, self.scratch, self.out);
        }
    }
}

impl<const N: usize> Rule<N> {
    fn new() -> Self {
        let (points, weights) = gauss_legendre::<N>();
        Self { points, weights, cold: points.map(|t| -1.0 / (1.0 - t)) }
    }

    #[inline(always)]
    fn tree(&self, tree: &Tree, shares: &[[f64; 2]], row: &[f32], scratch: &mut Scratch, out: &mut [f64]) {
        if tree.splits.is_empty() {
            return;
        }
        // Two vectors a level: the product down to its split, and the sum over the leaves below that are done.
        let (levels, _) = scratch.levels.as_chunks_mut::<N>();
        let path = &mut scratch.path;
        let goes_right = |split: u32| {
            let split = &tree.splits[split as usize];
            split.test.goes_right(row[split.feature as usize], &tree.words)
        };
        let root = Edge { feature: NO_FEATURE, tests: Tests { hot: true, share: 1.0 }, old: None };
        path.clear();
        path.push(Step { split: 0, begun: 0, goes_right: goes_right(0), edge: root });
        levels[0] = self.weights;
        levels[1] = [0.0; N];
        while let Some(step) = path.last_mut() {
            let (at, begun, went_right) = (step.split, step.begun, step.goes_right);
            step.begun += 1;
            let level = 2 * (path.len() - 1);
            if begun == 2 {
                let done = path.pop();
                if let Some(done) = done.filter(|_| level > 0) {
                    let sum = levels[level + 1];
                    out[done.edge.feature as usize] += self.weigh(&sum, done.edge);
                    add(&mut levels[level - 1], &sum);
                }
                continue;
            }
            let right = begun == 1;
            let split = &tree.splits[at as usize];
            let edge =
                edge(path, split.feature, right == went_right, shares[at as usize][usize::from(right)]);
            if !edge.tests.hot && edge.tests.share <= 0.0 {
                // No training row came here and this one does not either: it counts nowhere.
                continue;
            }
            let product = self.extend(&levels[level], edge);
            match if right { split.right } else { split.left } {
                Child::Leaf(leaf) => {
                    let value = tree.leaves[leaf as usize].value;
                    let sum = product.map(|product| product * value);
                    out[edge.feature as usize] += self.weigh(&sum, edge);
                    add(&mut levels[level + 1], &sum);
                }
                Child::Split(child) => {
                    levels[level + 2] = product;
                    levels[level + 3] = [0.0; N];
                    path.push(Step { split: child, begun: 0, goes_right: goes_right(child), edge });
                }
            }
        }
    }

    /// The product below an edge: the feature's old factor is taken out, its new one put in.
    #[inline(always)]
    fn extend(&self, product: &[f64; N], edge: Edge) -> [f64; N] {
        let Tests { hot, share } = edge.tests;
        let factor = |t: f64| if hot { t + share * (1.0 - t) } else { share * (1.0 - t) };
        match edge.old {
            None => std::array::from_fn(|at| product[at] * factor(self.points[at])),
            Some(old) if old.hot => std::array::from_fn(|at| {
                let t = self.points[at];
                product[at] * (factor(t) / (t + old.share * (1.0 - t)))
            }),
            // Failed before, fails now: only the share changes, and the old one is above 0.
            Some(old) => product.map(|product| product * (share / old.share)),
        }
    }

    /// What the leaves below an edge give its feature beyond what the tests above it gave.
    #[inline(always)]
    fn weigh(&self, sum: &[f64; N], edge: Edge) -> f64 {
        let hot = |t: f64, share: f64| (1.0 - share) / (t + share * (1.0 - t));
        let new =
            |at: usize| if edge.tests.hot { hot(self.points[at], edge.tests.share) } else { self.cold[at] };
        match edge.old {
            None => (0..N).fold(0.0, |total, at| total + sum[at] * new(at)),
            Some(old) if old.hot => {
                (0..N).fold(0.0, |total, at| total + sum[at] * (new(at) - hot(self.points[at], old.share)))
            }
            // Known to fail before: nothing changes.
            Some(_) => 0.0,
        }
    }
}

/// The edge to a child, together with earlier tests of the same feature.
#[inline(always)]
fn edge(path: &[Step], feature: u32, hot: bool, share: f64) -> Edge {
    let old = path.iter().rev().find(|step| step.edge.feature == feature).map(|step| step.edge.tests);
    let tests = match old {
        None => Tests { hot, share },
        Some(old) => Tests { hot: hot && old.hot, share: share * old.share },
    };
    Edge { feature, tests, old }
}

#[inline(always)]
fn add<const N: usize>(to: &mut [f64; N], values: &[f64; N]) {
    for (to, value) in to.iter_mut().zip(values) {
        *to += value;
    }
}
