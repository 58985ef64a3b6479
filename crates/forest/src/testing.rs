//! Random trees for tests: every kind of split, from a seed.

use crate::tree::{CategoryRule, Node, Test, Tree};

/// A small seeded generator (splitmix); tests need no better one.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One of few values, so that rows lie on thresholds; sometimes missing, zero or huge.
    pub(crate) fn value(&mut self) -> f32 {
        match self.below(12) {
            0 => f32::NAN,
            1 => 0.0,
            2 => -0.0,
            3 => 1e-36,
            4 => [f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, 70.0, -0.5][self.below(6)],
            _ => self.below(9) as f32 - 3.0,
        }
    }
}

/// A tree of `splits` splits, grown at random leaves; `chain` always splits the last leaf.
pub(crate) fn tree(random: &mut Random, splits: usize, features: usize, chain: bool) -> Tree {
    let mut nodes = vec![leaf(random)];
    let mut leaves = vec![0];
    let words = vec![0b1011_0110, 0b1001];
    for _ in 0..splits {
        let at = if chain { leaves.len() - 1 } else { random.below(leaves.len()) };
        let node = leaves.swap_remove(at);
        let children = [nodes.len(), nodes.len() + 1];
        nodes.extend([leaf(random), leaf(random)]);
        leaves.extend(children);
        let feature = random.below(features) as i64;
        let (left, right) = (children[0] as i64, children[1] as i64);
        nodes[node] = Node::Split { feature, test: test(random), left, right, cover: 0.0 };
    }
    for node in (0..nodes.len()).rev() {
        let cover_of = |child: i64| match nodes[child as usize] {
            Node::Split { cover, .. } | Node::Leaf { cover, .. } => cover,
            Node::Deleted => 0.0,
        };
        if let Node::Split { left, right, .. } = nodes[node] {
            let sum = cover_of(left) + cover_of(right);
            if let Node::Split { cover, .. } = &mut nodes[node] {
                *cover = sum;
            }
        }
    }
    Tree::plant(0, &nodes, words, features).expect("a grown tree is valid")
}

fn leaf(random: &mut Random) -> Node {
    // A leaf without training rows now and then.
    Node::Leaf { value: random.below(1000) as f64 / 100.0 - 5.0, cover: random.below(8) as f64 }
}

fn test(random: &mut Random) -> Test {
    let (threshold, default_right) = (random.below(7) as f32 - 2.0, random.below(2) == 1);
    match random.below(5) {
        0 | 1 => Test::AtLeast { threshold, default_right },
        2 => Test::AtLeastNonzero { threshold, default_right },
        kind => {
            let rule = if kind == 3 { CategoryRule::Xgboost } else { CategoryRule::Lightgbm };
            Test::Member { start: 0, len: 2, member_right: kind == 3, default_right, rule }
        }
    }
}
