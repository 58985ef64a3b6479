//! The best place to part a node's rows by one feature.
//!
//! `histogram` -> **split** -> `grow`

use super::cuts::MISSING;
use super::{Growth, Sums};

/// Gain that is worth a split, at least: below it there is rounding only.
const GAIN_MIN: f64 = 1e-6;

/// Share of a node's second derivatives that is nothing: what two subtractions leave of an empty bin is some 1e-16 of it.
const NOTHING: f64 = 1e-12;

/// Where a node's rows part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Split {
    pub(super) feature: usize,
    /// Rows of this bin and of those before it go left; of [`MISSING`] those without a value alone, and every value goes right, such as no row
    /// had too.
    pub(super) bin: u16,
    /// Whether rows go left whose value is missing.
    pub(super) missing_left: bool,
    /// Chen and Guestrin, equation 7, twice and without gamma.
    pub(super) gain: f64,
    pub(super) left: Sums,
    pub(super) right: Sums,
}

impl Split {
    /// The better of two; of equals the first.
    pub(super) fn better(best: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (best, other) {
            (Some(best), Some(other)) if other.gain > best.gain => Some(other),
            (None, other) => other,
            (best, _) => best,
        }
    }

    /// The best split of a node by one feature, if any gains and leaves enough on both sides: `missing` and `bins`, in their order, add
    /// up to `total`.
    pub(super) fn best(
        growth: &Growth,
        feature: usize,
        total: Sums,
        missing: Sums,
        bins: impl Iterator<Item = (u16, Sums)>,
    ) -> Option<Self> {
        let is_some = |sums: Sums| sums.second > total.second * NOTHING;
        let has_missing = is_some(missing);
        let unsplit = total.gain(growth.lambda);
        let is_enough = |sums: Sums| sums.second >= growth.min_child_weight && sums.second > 0.0;
        let mut best: Option<Self> = None;
        let mut consider = |bin: u16, missing_left: bool, left: Sums| {
            let right = total.minus(left);
            if !is_enough(left) || !is_enough(right) {
                return;
            }
            let gain = left.gain(growth.lambda) + right.gain(growth.lambda) - unsplit;
            if gain > best.map_or(GAIN_MIN, |best| best.gain) {
                best = Some(Self { feature, bin, missing_left, gain, left, right });
            }
        };
        if has_missing {
            consider(MISSING, true, missing);
        }
        let values = total.minus(missing);
        let mut left = Sums::default();
        for (bin, sums) in bins {
            left = left.plus(sums);
            if !is_some(values.minus(left)) {
                break;
            }
            if has_missing {
                consider(bin, false, left);
                consider(bin, true, left.plus(missing));
            } else {
                // A value that no row lacks may be lacking later: it goes where most rows go.
                consider(bin, left.second * 2.0 >= total.second, left);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth() -> Growth {
        Growth { depth: 6, min_child_weight: 1.0, lambda: 1.0, node_share: 1.0, threads: 1 }
    }

    fn sums(first: f64, second: f64) -> Sums {
        Sums { first, second }
    }

    #[test]
    fn it_is_the_best_by_the_formula_and_missing_rows_go_where_they_gain() {
        // By hand: frauds (first derivative below 0) in bins 3 and 4 and among the missing.
        let bins = [(1, sums(4.0, 4.0)), (2, sums(3.0, 3.0)), (3, sums(-2.0, 2.0)), (4, sums(-3.0, 2.0))];
        let missing = sums(-2.0, 1.0);
        let total = sums(0.0, 12.0);
        let split = Split::best(&growth(), 7, total, missing, bins.into_iter()).expect("a split");
        assert_eq!((split.feature, split.bin, split.missing_left), (7, 2, false));
        assert!((split.gain - (49.0 / 8.0 + 49.0 / 6.0)).abs() < 1e-12, "{}", split.gain);
        assert_eq!((split.left, split.right), (sums(7.0, 7.0), sums(-7.0, 5.0)));
    }

    #[test]
    fn rows_may_part_by_whether_there_is_a_value() {
        let bins = [(1, sums(2.0, 2.0)), (5, sums(2.0, 2.0))];
        let split = Split::best(&growth(), 0, sums(0.0, 8.0), sums(-4.0, 4.0), bins.into_iter());
        assert_eq!(split.map(|split| (split.bin, split.missing_left)), Some((MISSING, true)));
    }

    #[test]
    fn what_a_subtraction_leaves_of_no_row_is_nothing() {
        let bins = [(1, sums(-2.0, 1.0)), (2, sums(3.0, 8.0)), (3, sums(1e-14, -1e-15))];
        for rest in [1e-14, -1e-14] {
            let split = Split::best(&growth(), 0, sums(1.0, 9.0), sums(rest, rest), bins.into_iter())
                .expect("a split");
            // Most rows go right, and so would a missing value.
            assert_eq!((split.bin, split.missing_left), (1, false));
        }
    }

    #[test]
    fn a_side_with_too_little_or_no_gain_is_no_split() {
        let bins = [(1, sums(-3.0, 0.9)), (2, sums(3.0, 3.0))];
        assert_eq!(Split::best(&growth(), 0, sums(0.0, 3.9), Sums::default(), bins.into_iter()), None);
        let alike = [(1, sums(1.0, 2.0)), (2, sums(1.0, 2.0))];
        let without_penalty = Growth { lambda: 0.0, ..growth() };
        assert_eq!(
            Split::best(&without_penalty, 0, sums(2.0, 4.0), Sums::default(), alike.into_iter()),
            None
        );
    }
}
