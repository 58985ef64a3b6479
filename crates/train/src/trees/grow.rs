//! One tree, grown node by node.
//!
//! `cuts`, gradients -> **grow** (`histogram`, `split`) -> `ensemble`

use super::cuts::{Binned, MISSING};
use super::histogram::{Histogram, Sparse};
use super::split::Split;
use super::{Gradient, Sums};
use crate::draw::Draw;
use std::ops::Range;

/// Rows up to which a node is counted feature by feature and nothing is kept for its children: with fewer rows than bins, walking over empty
/// bins is most of the work.
const SPARSE_UP_TO: usize = 1024;

/// How trees grow.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Growth {
    /// Splits between the root and a leaf, at most.
    pub(crate) depth: usize,
    /// Least sum of second derivatives in a leaf.
    pub(crate) min_child_weight: f64,
    /// L2 on leaves.
    pub(crate) lambda: f64,
    /// Share of the tree's features that a split is chosen from, in 0 to 1.
    pub(crate) node_share: f64,
    pub(crate) threads: usize,
}

/// A node of a tree; a leaf has no children.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) parent: Option<u32>,
    pub(super) children: Option<[u32; 2]>,
    pub(super) feature: u32,
    /// Values below it go left.
    pub(super) cut: f32,
    pub(super) missing_left: bool,
    pub(super) gain: f32,
    /// Sum of second derivatives.
    pub(super) cover: f32,
    /// What a leaf adds to the margin.
    pub(super) value: f32,
}

/// A tree; its first node is the root.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree {
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    /// What the tree adds to the margin of a row.
    pub(crate) fn value(&self, row: &[f32]) -> f32 {
        let mut node = &self.nodes[0];
        while let Some([left, right]) = node.children {
            let value = row[node.feature as usize];
            let goes_left = if value.is_nan() { node.missing_left } else { value < node.cut };
            node = &self.nodes[if goes_left { left } else { right } as usize];
        }
        node.value
    }

    /// Multiplies what it adds.
    pub(crate) fn scale(&mut self, factor: f32) {
        for node in &mut self.nodes {
            node.value *= factor;
        }
    }
}

/// A tree, and what it says of the rows that it was grown on.
pub(crate) struct Grown {
    pub(crate) tree: Tree,
    rows: Vec<u32>,
    leaves: Vec<(Range<usize>, u32)>,
}

impl Grown {
    /// The rows that it was grown on, by leaf, with the leaf's value.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = (&[u32], f32)> {
        let value = |node: u32| self.tree.nodes[node as usize].value;
        self.leaves.iter().map(move |(rows, node)| (&self.rows[rows.clone()], value(*node)))
    }
}

/// A node that is not decided on yet.
struct Pending {
    node: u32,
    rows: Range<usize>,
    depth: usize,
    sums: Sums,
    /// Of a node of many rows that may be split.
    histogram: Option<Histogram>,
}

/// Grows trees on the same rows, one after the other; keeps its buffers.
pub(crate) struct Grower<'a> {
    binned: &'a Binned,
    growth: &'a Growth,
    sparse: Sparse,
    bins: Vec<(u16, Sums)>,
    gathered: Vec<Gradient>,
    goes_right: Vec<u32>,
}

impl<'a> Grower<'a> {
    pub(crate) fn new(binned: &'a Binned, growth: &'a Growth) -> Self {
        Self {
            binned,
            growth,
            sparse: Sparse::default(),
            bins: Vec::new(),
            gathered: Vec::new(),
            goes_right: Vec::new(),
        }
    }

    /// Grows a tree on some rows, which rise, by some features, which rise; `gradients` has those of all rows. Leaves are worth `rate` of
    /// their weight.
    pub(crate) fn grow(
        &mut self,
        mut rows: Vec<u32>,
        features: &[usize],
        gradients: &[Gradient],
        rate: f64,
        draw: &mut Draw,
    ) -> Grown {
        let mut sums = Sums::default();
        for &row in &rows {
            sums.add(gradients[row as usize]);
        }
        let mut tree = Tree { nodes: vec![self.leaf(None, sums, rate)] };
        let mut leaves = Vec::new();
        let histogram = self.histogram(&rows, features, gradients, 0);
        let mut pending = vec![Pending { node: 0, rows: 0..rows.len(), depth: 0, sums, histogram }];
        while let Some(at) = pending.pop() {
            let Some(split) = self.split(&at, &rows[at.rows.clone()], features, gradients, draw) else {
                leaves.push((at.rows, at.node));
                continue;
            };
            let middle = at.rows.start + self.part(&mut rows[at.rows.clone()], &split);
            let first = tree.nodes.len() as u32;
            let node = &mut tree.nodes[at.node as usize];
            node.children = Some([first, first + 1]);
            node.feature = split.feature as u32;
            node.cut = self.binned.cut(split.feature, split.bin);
            node.missing_left = split.missing_left;
            node.gain = split.gain as f32;
            let child = |node, rows, sums| Pending { node, rows, depth: at.depth + 1, sums, histogram: None };
            let mut children = [
                child(first, at.rows.start..middle, split.left),
                child(first + 1, middle..at.rows.end, split.right),
            ];
            tree.nodes.extend(children.each_ref().map(|child| self.leaf(Some(at.node), child.sums, rate)));
            if let Some(histogram) = at.histogram {
                self.hand_down(histogram, &mut children, &rows, features, gradients);
            }
            // The left one last, as the last is taken next.
            pending.extend(children.into_iter().rev());
        }
        Grown { tree, rows, leaves }
    }

    fn leaf(&self, parent: Option<u32>, sums: Sums, rate: f64) -> Node {
        Node {
            parent,
            children: None,
            feature: 0,
            cut: 0.0,
            missing_left: false,
            gain: 0.0,
            cover: sums.second as f32,
            // Of the two zeros the one that a sum begins with.
            value: (sums.weight(self.growth.lambda) * rate) as f32 + 0.0,
        }
    }

    /// The best split of a node, if there is one.
    fn split(
        &mut self,
        at: &Pending,
        rows: &[u32],
        features: &[usize],
        gradients: &[Gradient],
        draw: &mut Draw,
    ) -> Option<Split> {
        let Growth { depth, min_child_weight, node_share, .. } = *self.growth;
        if at.depth >= depth || rows.len() < 2 || at.sums.second < 2.0 * min_child_weight {
            return None;
        }
        let places = sample(features.len(), node_share, draw);
        if let Some(histogram) = &at.histogram {
            return places.into_iter().fold(None, |best, place| {
                let (missing, bins) = histogram.feature(place);
                Split::better(best, Split::best(self.growth, features[place], at.sums, missing, bins))
            });
        }
        gather(&mut self.gathered, rows, gradients);
        let mut best = None;
        for place in places {
            self.sparse.count(self.binned, features[place], rows, &self.gathered);
            let missing = self.sparse.take(&mut self.bins);
            let bins = self.bins.iter().copied();
            let other = Split::best(self.growth, features[place], at.sums, missing, bins);
            best = Split::better(best, other);
        }
        best
    }

    /// Parts rows in place, each side in its order; returns how many go left.
    fn part(&mut self, rows: &mut [u32], split: &Split) -> usize {
        let column = self.binned.column(split.feature);
        // The bin of the missing is 0: one less it is above all.
        let less = u16::from(!split.missing_left);
        const { assert!(MISSING == 0) };
        self.goes_right.resize(rows.len(), 0);
        let (mut left, mut right) = (0, 0);
        // Each row is written on both sides and one of them goes on: which one is for no processor to foresee.
        for at in 0..rows.len() {
            let row = rows[at];
            let goes_left = column[row as usize].wrapping_sub(less) <= split.bin - less;
            rows[left] = row;
            self.goes_right[right] = row;
            left += usize::from(goes_left);
            right += usize::from(!goes_left);
        }
        rows[left..].copy_from_slice(&self.goes_right[..right]);
        left
    }

    /// A node's histogram, where one is of use.
    fn histogram(
        &mut self,
        rows: &[u32],
        features: &[usize],
        gradients: &[Gradient],
        depth: usize,
    ) -> Option<Histogram> {
        if rows.len() <= SPARSE_UP_TO || depth >= self.growth.depth {
            return None;
        }
        gather(&mut self.gathered, rows, gradients);
        Some(Histogram::of(self.binned, features, rows, &self.gathered, self.growth.threads))
    }

    /// Gives the children theirs, where they may be split: the larger one's is what the smaller one leaves of the parent's.
    fn hand_down(
        &mut self,
        parent: Histogram,
        children: &mut [Pending; 2],
        rows: &[u32],
        features: &[usize],
        gradients: &[Gradient],
    ) {
        let [left, right] = children;
        let (smaller, larger) =
            if right.rows.len() > left.rows.len() { (left, right) } else { (right, left) };
        if larger.depth >= self.growth.depth || larger.rows.len() <= SPARSE_UP_TO {
            return;
        }
        let rows = &rows[smaller.rows.clone()];
        gather(&mut self.gathered, rows, gradients);
        let counted = Histogram::of(self.binned, features, rows, &self.gathered, self.growth.threads);
        larger.histogram = Some(parent.without(&counted));
        if rows.len() > SPARSE_UP_TO {
            smaller.histogram = Some(counted);
        }
    }
}

fn gather(gathered: &mut Vec<Gradient>, rows: &[u32], gradients: &[Gradient]) {
    gathered.clear();
    gathered.extend(rows.iter().map(|&row| gradients[row as usize]));
}

/// A share of `0..count`, at least one, rising.
pub(crate) fn sample(count: usize, share: f64, draw: &mut Draw) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    let wanted = ((count as f64 * share).ceil() as usize).clamp(1, count);
    if wanted < count {
        for at in 0..wanted {
            places.swap(at, at + draw.below(count - at));
        }
        places.truncate(wanted);
        places.sort_unstable();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::TrainingSet;
    use crate::testing;
    use proptest::prelude::*;

    fn gradients(set: &TrainingSet) -> Vec<Gradient> {
        set.fraud().iter().map(|fraud| Gradient::logistic(0.5, *fraud, 1.0)).collect()
    }

    fn growth(depth: usize, min_child_weight: f64) -> Growth {
        Growth { depth, min_child_weight, lambda: 1.0, node_share: 1.0, threads: 1 }
    }

    fn grown(set: &TrainingSet, growth: &Growth, bins: usize) -> Grown {
        let binned = Binned::new(set, bins, 1);
        let features: Vec<usize> = (0..set.rows().width()).collect();
        let rows = (0..set.len() as u32).collect();
        Grower::new(&binned, growth).grow(rows, &features, &gradients(set), 1.0, &mut Draw::new(1))
    }

    /// The best gain over all values of all features, each row looked at again for each: what a first split must reach.
    fn best_gain(set: &TrainingSet, growth: &Growth) -> f64 {
        let gradients = gradients(set);
        let sum = |goes: &dyn Fn(usize) -> bool| {
            let mut sums = Sums::default();
            (0..set.len()).filter(|row| goes(*row)).for_each(|row| sums.add(gradients[row]));
            sums
        };
        let all = sum(&|_| true);
        let mut best = 0.0_f64;
        for feature in 0..set.rows().width() {
            let value = |row: usize| set.rows().row(row)[feature];
            for cut in (0..set.len()).map(value).filter(|cut| !cut.is_nan()).chain([f32::MAX]) {
                for missing_left in [true, false] {
                    let left = sum(&|row| {
                        if value(row).is_nan() { missing_left } else { value(row) < cut }
                    });
                    let right = all.minus(left);
                    if left.second.min(right.second) >= growth.min_child_weight {
                        let gain = left.gain(growth.lambda) + right.gain(growth.lambda);
                        best = best.max(gain - all.gain(growth.lambda));
                    }
                }
            }
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_first_split_is_the_best_there_is(rows in 4_usize..120, seed in 0_u64..1_000) {
            let (set, growth) = (testing::set(rows, 3, seed), growth(1, 1.0));
            let tree = grown(&set, &growth, rows).tree;
            let best = best_gain(&set, &growth);
            prop_assert!((f64::from(tree.nodes[0].gain) - best).abs() < 1e-4 * best.max(1.0), "{best}: {:?}", tree.nodes[0]);
        }

        /// Rows are where the tree sends them, sums are those of the rows, and no leaf is too small.
        #[test]
        fn leaves_hold_the_rows_that_the_tree_sends_there(rows in 4_usize..3_000, seed in 0_u64..1_000, bins in 4_usize..300) {
            let (set, growth) = (testing::set(rows, 4, seed), growth(5, 2.0));
            let grown = grown(&set, &growth, bins);
            let gradients = gradients(&set);
            let mut met = vec![0; rows];
            for ((range, node), (held, value)) in grown.leaves.iter().zip(grown.leaves()) {
                prop_assert_eq!(range.len(), held.len());
                prop_assert!(held.is_sorted());
                let mut sums = Sums::default();
                for &row in held {
                    met[row as usize] += 1;
                    sums.add(gradients[row as usize]);
                    prop_assert_eq!(grown.tree.value(set.rows().row(row as usize)), value);
                }
                let node = &grown.tree.nodes[*node as usize];
                prop_assert!((f64::from(node.cover) - sums.second).abs() < 1e-3);
                prop_assert!((f64::from(value) - sums.weight(1.0)).abs() < 1e-3);
                prop_assert!(grown.leaves.len() == 1 || sums.second > 2.0 - 1e-3);
            }
            prop_assert!(met.iter().all(|times| *times == 1));
        }
    }

    #[test]
    fn histograms_and_sparse_counts_find_the_same_tree() {
        // The same rows often enough to be counted with histograms: weights aside, the same splits down to the depth where these end.
        let few = testing::set(600, 4, 5);
        let times = 8;
        let rows: Vec<u32> = (0..600_u32).flat_map(|row| std::iter::repeat_n(row, times)).collect();
        let fraud = rows.iter().map(|row| few.fraud()[*row as usize]).collect();
        let many = TrainingSet::new(few.rows().select(&rows), fraud, None).expect("good rows");
        let of = |set: &TrainingSet, times: f64| {
            let growth = Growth { lambda: times, ..growth(3, times) };
            grown(set, &growth, 1_000).tree
        };
        let (few, many) = (of(&few, 1.0), of(&many, times as f64));
        assert_eq!(few.nodes.len(), many.nodes.len());
        for (few, many) in few.nodes.iter().zip(&many.nodes) {
            assert_eq!((few.feature, few.cut, few.children), (many.feature, many.cut, many.children));
        }
    }

    #[test]
    fn a_share_is_drawn_without_repeating_and_rises() {
        let mut draw = Draw::new(3);
        let drawn: Vec<Vec<usize>> = (0..20).map(|_| sample(10, 0.45, &mut draw)).collect();
        assert!(drawn.iter().all(|places| places.len() == 5 && places.is_sorted_by(|a, b| a < b)));
        assert!((0..10).all(|place| drawn.iter().any(|places| places.contains(&place))));
        assert_eq!(sample(10, 1.0, &mut draw), (0..10).collect::<Vec<_>>());
        assert_eq!(sample(3, 0.01, &mut draw).len(), 1);
    }
}
