//! Evaluate one row: eight trees at a time, each a step down in turn, so that their waits overlap.
//!
//! tree -> **single** -> sum of one row
//!
//! Holds: a node is 8 bytes, children stand side by side, a leaf leads to itself: a group of trees takes as many
//! steps as its deepest, without asking whether a leaf was reached.
//! Not here: trees with categorical splits or too many nodes for 8 bytes are walked plainly.

use super::Leaf;
use crate::tree::{Child, Test, Tree, ZERO};

/// Trees that step down together. Measured: see the benches of 2026-11.
const GROUP: usize = 8;

/// Bits of [`Node::rest`]: feature, default, zero, way to the children.
const FEATURE_BITS: u32 = 16;
const MISSING_RIGHT: u32 = 1 << 16;
const ZERO_MISSING: u32 = 1 << 17;
const STEP_SHIFT: u32 = 18;

#[derive(Debug, Clone, Copy)]
struct Node {
    /// NaN for a leaf: nothing is at least NaN.
    threshold: f32,
    /// Feature, flags, and how far on the left child stands (0: a leaf).
    rest: u32,
}

#[derive(Debug)]
pub(crate) struct Single<T> {
    base: T,
    nodes: Vec<Node>,
    /// The value of each node that is a leaf.
    values: Vec<T>,
    runs: Vec<Run>,
    /// Trees that are walked plainly.
    trees: Vec<Tree>,
}

/// Neighbouring trees that are evaluated in one way.
#[derive(Debug)]
enum Run {
    Group { roots: [u32; GROUP], used: usize, steps: usize, zero: bool },
    Walked { tree: u32 },
}

impl<T: Leaf> Single<T> {
    pub(super) fn new(trees: &[Tree], base: T) -> Self {
        let mut single =
            Self { base, nodes: Vec::new(), values: Vec::new(), runs: Vec::new(), trees: Vec::new() };
        for tree in trees {
            if let Some(root) = single.lay_out(tree) {
                single.join(root, tree);
            } else {
                single.runs.push(Run::Walked { tree: single.trees.len() as u32 });
                single.trees.push(tree.clone());
            }
        }
        single
    }

    fn join(&mut self, root: u32, tree: &Tree) {
        let has_zero = tree.splits.iter().any(|split| matches!(split.test, Test::AtLeastNonzero { .. }));
        if let Some(Run::Group { roots, used, steps, zero }) = self.runs.last_mut()
            && *used < GROUP
        {
            roots[*used] = root;
            *used += 1;
            *steps = (*steps).max(tree.depth);
            *zero |= has_zero;
            return;
        }
        // Places that no tree takes repeat the first one; their leaves are not added.
        self.runs.push(Run::Group { roots: [root; GROUP], used: 1, steps: tree.depth, zero: has_zero });
    }

    /// Appends a tree level by level; `None` where it does not fit the 8-byte form.
    fn lay_out(&mut self, tree: &Tree) -> Option<u32> {
        let (nodes, values) = (self.nodes.len(), self.values.len());
        let root = u32::try_from(nodes).ok()?;
        let mut level = std::collections::VecDeque::from([tree.root()]);
        let mut next = nodes + 1;
        while let Some(child) = level.pop_front() {
            let at = self.nodes.len();
            let node = match child {
                Child::Leaf(leaf) => {
                    self.values.push(T::narrow(tree.leaves[leaf as usize].value));
                    Some(Node { threshold: f32::NAN, rest: 0 })
                }
                Child::Split(split) => {
                    let split = &tree.splits[split as usize];
                    self.values.push(T::default());
                    level.push_back(split.left);
                    level.push_back(split.right);
                    let step = next - at;
                    next += 2;
                    node(split.test, split.feature, step)
                }
            };
            let Some(node) = node else {
                self.nodes.truncate(nodes);
                self.values.truncate(values);
                return None;
            };
            self.nodes.push(node);
        }
        Some(root)
    }

    #[inline(always)]
    pub(super) fn margin(&self, row: &[f32]) -> T {
        let mut sum = self.base;
        for run in &self.runs {
            match run {
                Run::Group { roots, used, steps, zero } => {
                    let leaves = match zero {
                        false => self.descend(*roots, *steps, row, |_, missing| missing),
                        true => self.descend(*roots, *steps, row, |node, missing| {
                            missing | ((node.1 & ZERO_MISSING != 0) & (node.0.abs() <= ZERO))
                        }),
                    };
                    for leaf in &leaves[..*used] {
                        sum += self.values[*leaf as usize];
                    }
                }
                Run::Walked { tree } => {
                    let tree = &self.trees[*tree as usize];
                    sum += T::narrow(tree.leaves[tree.leaf_of(row)].value);
                }
            }
        }
        sum
    }

    #[inline(always)]
    #[expect(clippy::needless_bitwise_bool, reason = "no branch on data")]
    fn descend(
        &self,
        mut at: [u32; GROUP],
        steps: usize,
        row: &[f32],
        is_missing: impl Fn((f32, u32), bool) -> bool,
    ) -> [u32; GROUP] {
        for _ in 0..steps {
            for at in &mut at {
                let node = self.nodes[*at as usize];
                // A leaf reads feature 0, which exists where any tree has a split.
                let x = row[(node.rest & ((1 << FEATURE_BITS) - 1)) as usize];
                let missing = is_missing((x, node.rest), x.is_nan());
                let right = (x >= node.threshold) & !missing | missing & (node.rest & MISSING_RIGHT != 0);
                *at += (node.rest >> STEP_SHIFT) + u32::from(right);
            }
        }
        at
    }
}

fn node(test: Test, feature: u32, step: usize) -> Option<Node> {
    let (threshold, default_right, zero) = match test {
        Test::AtLeast { threshold, default_right } => (threshold, default_right, false),
        Test::AtLeastNonzero { threshold, default_right } => (threshold, default_right, true),
        Test::Member { .. } => return None,
    };
    let step = u32::try_from(step).ok().filter(|step| *step < 1 << (32 - STEP_SHIFT))?;
    let flags = if default_right { MISSING_RIGHT } else { 0 } | if zero { ZERO_MISSING } else { 0 };
    Some(Node { threshold, rest: feature | flags | step << STEP_SHIFT })
}
