//! One decision tree, validated: the form that evaluators and contributions are made from.
//!
//! format -> **tree** -> evaluate, shap
//!
//! Holds: splits stand in preorder (the root is 0, a child comes after its parent), leaves from left to right;
//! every child exists and has one parent; features are below the model's count; no threshold is NaN; values and
//! covers are finite, covers not negative; depth is at most [`DEPTH_MAX`]. Nothing here recurses.
//! Not here: how the trees are summed (`model`), fast layouts (`evaluate`).

use crate::ModelError;
use crate::limits::DEPTH_MAX;

/// `LightGBM`'s "zero": `kZeroThreshold`, inclusive on both sides.
pub(crate) const ZERO: f32 = 1e-35;

/// When a row goes right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Test {
    /// `x >= threshold`; missing: as the default says.
    AtLeast { threshold: f32, default_right: bool },
    /// The same, and |x| <= [`ZERO`] is missing too.
    AtLeastNonzero { threshold: f32, default_right: bool },
    /// Membership of the category in the bit set `words[start..start + len]` of the tree.
    Member { start: u32, len: u32, member_right: bool, default_right: bool, rule: CategoryRule },
}

/// Which whole number a value stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CategoryRule {
    /// Below 0 or from 2^24: no category.
    Xgboost,
    /// Cut towards 0 first (-0.5 is category 0); below 0 or from 2^31: no category.
    Lightgbm,
}

impl CategoryRule {
    fn category(self, x: f32) -> Option<u32> {
        let last = match self {
            Self::Xgboost => 16_777_216.0,
            Self::Lightgbm => 2_147_483_648.0,
        };
        let valid = match self {
            Self::Xgboost => x >= 0.0,
            Self::Lightgbm => x > -1.0,
        };
        (valid && x < last).then_some(x as u32)
    }
}

impl Test {
    /// Whether a row with this value goes right; `words` are the tree's.
    #[inline]
    pub(crate) fn goes_right(&self, x: f32, words: &[u32]) -> bool {
        match *self {
            Self::AtLeast { threshold, default_right } => {
                if x.is_nan() {
                    default_right
                } else {
                    x >= threshold
                }
            }
            Self::AtLeastNonzero { threshold, default_right } => {
                if x.is_nan() || x.abs() <= ZERO {
                    default_right
                } else {
                    x >= threshold
                }
            }
            Self::Member { start, len, member_right, default_right, rule } => {
                if x.is_nan() {
                    return default_right;
                }
                let set = words.get(start as usize..(start + len) as usize).unwrap_or(&[]);
                let member = rule
                    .category(x)
                    .and_then(|c| set.get(c as usize / 32).map(|word| word >> (c % 32) & 1 == 1))
                    .unwrap_or(false);
                member == member_right
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Child {
    Split(u32),
    Leaf(u32),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Split {
    pub(crate) feature: u32,
    pub(crate) test: Test,
    pub(crate) left: Child,
    pub(crate) right: Child,
    /// Weight of the training rows that came here.
    pub(crate) cover: f64,
    /// Leaves of the left subtree, as a range of leaf numbers.
    pub(crate) left_leaves: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf {
    pub(crate) value: f64,
    pub(crate) cover: f64,
}

#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) splits: Vec<Split>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) words: Vec<u32>,
    pub(crate) depth: usize,
}

/// A node as a format read it: children are positions in the same list.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node {
    Split {
        feature: i64,
        test: Test,
        left: i64,
        right: i64,
        cover: f64,
    },
    Leaf {
        value: f64,
        cover: f64,
    },
    /// Pruned away by the trainer; nothing may point to it.
    Deleted,
}

impl Tree {
    /// Validates the nodes of tree number `number`, root first in the list.
    pub(crate) fn plant(
        number: usize,
        nodes: &[Node],
        words: Vec<u32>,
        feature_count: usize,
    ) -> Result<Self, ModelError> {
        Planter { number, nodes, feature_count, seen: vec![false; nodes.len()] }.plant(words)
    }

    /// The leaf of a row, by plain descent: what every evaluator is held to.
    pub(crate) fn leaf_of(&self, row: &[f32]) -> usize {
        self.leaf_by(|feature| row[feature as usize])
    }

    #[inline]
    pub(crate) fn leaf_by(&self, value: impl Fn(u32) -> f32) -> usize {
        let mut at = self.root();
        loop {
            match at {
                Child::Leaf(leaf) => return leaf as usize,
                Child::Split(split) => {
                    let split = &self.splits[split as usize];
                    let right = split.test.goes_right(value(split.feature), &self.words);
                    at = if right { split.right } else { split.left };
                }
            }
        }
    }

    pub(crate) fn root(&self) -> Child {
        if self.splits.is_empty() { Child::Leaf(0) } else { Child::Split(0) }
    }

    pub(crate) fn cover(&self, child: Child) -> f64 {
        match child {
            Child::Split(split) => self.splits[split as usize].cover,
            Child::Leaf(leaf) => self.leaves[leaf as usize].cover,
        }
    }

    /// Shares of a split's cover that went left and right. Half each where the trainer recorded none.
    pub(crate) fn shares(&self, split: &Split) -> (f64, f64) {
        let (left, right) = (self.cover(split.left), self.cover(split.right));
        let both = left + right;
        if both > 0.0 && both.is_finite() { (left / both, right / both) } else { (0.5, 0.5) }
    }

    /// Mean leaf value below each split, by cover.
    pub(crate) fn means(&self) -> Vec<f64> {
        let mut means = vec![0.0; self.splits.len()];
        for at in (0..self.splits.len()).rev() {
            let split = &self.splits[at];
            let (left, right) = self.shares(split);
            means[at] = left * self.mean(split.left, &means) + right * self.mean(split.right, &means);
        }
        means
    }

    pub(crate) fn mean(&self, child: Child, means: &[f64]) -> f64 {
        match child {
            Child::Split(split) => means[split as usize],
            Child::Leaf(leaf) => self.leaves[leaf as usize].value,
        }
    }
}

/// A place that waits for its child: which split, which side.
#[derive(Clone, Copy)]
struct Pending {
    node: i64,
    parent: Option<(usize, bool)>,
    depth: usize,
}

struct Planter<'a> {
    number: usize,
    nodes: &'a [Node],
    feature_count: usize,
    seen: Vec<bool>,
}

impl Planter<'_> {
    fn plant(mut self, words: Vec<u32>) -> Result<Tree, ModelError> {
        if self.nodes.is_empty() {
            return Err(ModelError::tree(self.number, "has no nodes"));
        }
        let mut tree = Tree { splits: Vec::new(), leaves: Vec::new(), words, depth: 0 };
        let mut pending = vec![Pending { node: 0, parent: None, depth: 0 }];
        while let Some(next) = pending.pop() {
            let node = self.visit(next, &tree)?;
            tree.depth = tree.depth.max(next.depth);
            let child = match node {
                Node::Leaf { value, cover } => {
                    self.check_numbers(next.node, value, cover)?;
                    tree.leaves.push(Leaf { value, cover });
                    Child::Leaf(tree.leaves.len() as u32 - 1)
                }
                Node::Split { feature, test, left, right, cover } => {
                    let at = tree.splits.len();
                    let feature = self.check_split(next.node, feature, test, cover)?;
                    // Children are not known yet; each sets its side when it is visited, left first.
                    let (left_leaves, hole) = ((tree.leaves.len() as u32, 0), Child::Leaf(0));
                    tree.splits.push(Split { feature, test, left: hole, right: hole, cover, left_leaves });
                    let depth = next.depth + 1;
                    pending.push(Pending { node: right, parent: Some((at, true)), depth });
                    pending.push(Pending { node: left, parent: Some((at, false)), depth });
                    Child::Split(at as u32)
                }
                Node::Deleted => {
                    return Err(self.fault(next.node, "is a deleted node, but a split leads to it"));
                }
            };
            if let Some((parent, right)) = next.parent {
                let parent = &mut tree.splits[parent];
                if right {
                    parent.right = child;
                    let before = u32::from(matches!(child, Child::Leaf(_)));
                    parent.left_leaves.1 = tree.leaves.len() as u32 - before;
                } else {
                    parent.left = child;
                }
            }
        }
        self.check_reached()?;
        Ok(tree)
    }

    fn visit(&mut self, next: Pending, tree: &Tree) -> Result<Node, ModelError> {
        let found = usize::try_from(next.node).ok().and_then(|at| self.nodes.get(at).map(|node| (at, *node)));
        let Some((at, node)) = found else {
            let parent = next.parent.map_or(0, |(split, _)| split);
            let total = self.nodes.len();
            let fault =
                format!("a split (number {parent} in preorder) leads to it, but there are {total} nodes");
            return Err(self.fault(next.node, fault));
        };
        if self.seen[at] {
            return Err(self.fault(next.node, "has two parents, or is on a cycle"));
        }
        if next.depth > DEPTH_MAX {
            return Err(self.fault(next.node, format!("lies deeper than {DEPTH_MAX} splits")));
        }
        debug_assert!(tree.splits.len() + tree.leaves.len() < self.nodes.len());
        self.seen[at] = true;
        Ok(node)
    }

    fn check_split(&self, node: i64, feature: i64, test: Test, cover: f64) -> Result<u32, ModelError> {
        let count = self.feature_count;
        let found = usize::try_from(feature).ok().filter(|feature| *feature < count);
        let Some(found) = found else {
            return Err(self.fault(node, format!("splits on feature {feature}, but the model has {count}")));
        };
        match test {
            Test::AtLeast { threshold, .. } | Test::AtLeastNonzero { threshold, .. }
                if threshold.is_nan() =>
            {
                return Err(self.fault(node, "has NaN as its threshold"));
            }
            Test::AtLeast { .. } | Test::AtLeastNonzero { .. } | Test::Member { .. } => {}
        }
        self.check_numbers(node, 0.0, cover)?;
        Ok(found as u32)
    }

    fn check_numbers(&self, node: i64, value: f64, cover: f64) -> Result<(), ModelError> {
        if !value.is_finite() {
            return Err(self.fault(node, format!("has {value} as its leaf value")));
        }
        if !(cover.is_finite() && cover >= 0.0) {
            return Err(self.fault(node, format!("has {cover} as its cover (rows or hessian)")));
        }
        Ok(())
    }

    fn check_reached(&self) -> Result<(), ModelError> {
        for (at, node) in self.nodes.iter().enumerate() {
            if !self.seen[at] && !matches!(node, Node::Deleted) {
                return Err(self.fault(at as i64, "is never reached from the root"));
            }
        }
        Ok(())
    }

    fn fault(&self, node: i64, fault: impl Into<String>) -> ModelError {
        ModelError::node(self.number, node, fault)
    }
}
