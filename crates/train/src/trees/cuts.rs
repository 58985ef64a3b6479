//! Where the values of a feature are parted, and the rows in these parts.
//!
//! rows -> **cuts** -> `histogram`
//!
//! Holds: a cut lies between two values that occur; each label has half of the say in where cuts lie, for where the few frauds are is
//! where a tree must be able to look closely (of 1,024 bins without it, the tail of the amounts gets a handful).

use super::in_order;
use crate::rows::TrainingSet;

/// Bins of a feature at most: they are told apart by 16 bits, of which one value is for the missing.
pub(crate) const BINS_MAX: usize = u16::MAX as usize;

/// The bin of missing values. Those of values are numbered from 1.
pub(super) const MISSING: u16 = 0;

/// The rows of a training set, by feature, each value as the number of its bin.
#[derive(Debug)]
pub(crate) struct Binned {
    /// By feature: bin `b` holds the values below `cuts[b - 1]` that no earlier bin holds. The last is above all values, and no tree is cut
    /// there.
    cuts: Vec<Vec<f32>>,
    /// By feature, by row.
    columns: Vec<Vec<u16>>,
}

impl Binned {
    /// At most `bins` bins a feature, and one for what is missing.
    pub(crate) fn new(set: &TrainingSet, bins: usize, threads: usize) -> Self {
        let share = Shares::of(set);
        let both = in_order(threads, set.rows().width(), |feature| {
            let cuts = cuts(set, feature, &share, bins);
            let column = (0..set.len()).map(|row| bin(&cuts, set.rows().row(row)[feature])).collect();
            (cuts, column)
        });
        let (cuts, columns) = both.into_iter().unzip();
        Self { cuts, columns }
    }

    /// Bins of a feature, that of the missing included.
    pub(super) fn bins(&self, feature: usize) -> usize {
        self.cuts[feature].len() + 1
    }

    /// A feature's bins, by row.
    pub(super) fn column(&self, feature: usize) -> &[u16] {
        &self.columns[feature]
    }

    /// What the values of a bin and of those before it are below, and no other; no value is below that of the missing.
    pub(super) fn cut(&self, feature: usize, bin: u16) -> f32 {
        usize::from(bin).checked_sub(1).map_or(f32::MIN, |bin| self.cuts[feature][bin])
    }
}

/// How much a row counts where cuts are placed: the rows of each label count half.
struct Shares {
    of_fraud: f64,
    of_legit: f64,
}

impl Shares {
    fn of(set: &TrainingSet) -> Self {
        let (mut fraud, mut legit) = (0.0, 0.0);
        for (row, is_fraud) in set.fraud().iter().enumerate() {
            *if *is_fraud { &mut fraud } else { &mut legit } += set.weight(row);
        }
        Self { of_fraud: 0.5 / fraud, of_legit: 0.5 / legit }
    }

    fn row(&self, set: &TrainingSet, row: usize) -> f64 {
        set.weight(row) * if set.fraud()[row] { self.of_fraud } else { self.of_legit }
    }
}

fn bin(cuts: &[f32], value: f32) -> u16 {
    if value.is_nan() {
        return MISSING;
    }
    let before = cuts.partition_point(|cut| *cut <= value);
    (before.min(cuts.len() - 1) + 1) as u16
}

/// The cuts of a feature, rising, of which the last lies above all values; one where there is one value or none.
fn cuts(set: &TrainingSet, feature: usize, shares: &Shares, bins: usize) -> Vec<f32> {
    let mut values: Vec<(f32, f64)> = (0..set.len())
        // Of the two zeros one.
        .map(|row| (set.rows().row(row)[feature] + 0.0, shares.row(set, row)))
        .filter(|(value, _)| !value.is_nan())
        .collect();
    // Rows of the same value stay in their order, so that sums of shares are the same each time.
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    values.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            kept.1 += next.1;
        }
        is_same
    });
    let mut cuts = Vec::with_capacity(values.len().min(bins));
    let whole: f64 = values.iter().map(|(_, share)| share).sum();
    let mut so_far = 0.0;
    for pair in values.windows(2) {
        so_far += pair[0].1;
        // Every value has a bin of its own, or each bin the same share as far as values go.
        let is_due = || cuts.len() + 1 < bins && so_far >= whole * (cuts.len() + 1) as f64 / bins as f64;
        if values.len() <= bins || is_due() {
            cuts.push(between(pair[0].0, pair[1].0));
        }
    }
    cuts.push(f32::INFINITY);
    cuts
}

/// A number above the first and not above the second.
fn between(low: f32, high: f32) -> f32 {
    let middle = (f64::from(low) + (f64::from(high) - f64::from(low)) / 2.0) as f32;
    if middle > low { middle } else { high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Rows;
    use crate::testing;
    use proptest::prelude::*;

    fn set(values: &[f32], frauds: &[usize]) -> TrainingSet {
        let fraud = (0..values.len()).map(|row| frauds.contains(&row)).collect();
        TrainingSet::new(Rows::new(vec!["a".into()], values.to_vec()), fraud, None).expect("good rows")
    }

    #[test]
    fn few_values_have_a_bin_each_and_missing_ones_their_own() {
        let binned = Binned::new(&set(&[3.0, f32::NAN, 1.0, 3.0, -0.0, 0.0], &[0]), 8, 1);
        assert_eq!(binned.cuts[0], [0.5, 2.0, f32::INFINITY]);
        assert_eq!(binned.column(0), [3, MISSING, 2, 3, 1, 1]);
        assert_eq!(binned.bins(0), 4);
    }

    #[test]
    fn a_feature_that_is_always_missing_has_one_empty_bin() {
        let binned = Binned::new(&set(&[f32::NAN, f32::NAN], &[0]), 8, 1);
        assert_eq!((binned.bins(0), binned.column(0)), (2, &[MISSING, MISSING][..]));
    }

    #[test]
    fn half_of_the_cuts_lie_where_the_frauds_are() {
        // Of 10,000 values the 20 frauds are the largest.
        let values: Vec<f32> = (0..10_000).map(|at| at as f32).collect();
        let frauds: Vec<usize> = (9_980..10_000).collect();
        let binned = Binned::new(&set(&values, &frauds), 32, 1);
        let among_frauds = binned.cuts[0].iter().filter(|cut| **cut > 9_979.0).count();
        assert!((14..=20).contains(&among_frauds), "{among_frauds} of {:?}", binned.cuts[0]);
        assert!(binned.bins(0) <= 33);
    }

    #[test]
    fn a_share_that_vanishes_beside_the_others_makes_no_bin_too_many() {
        let rows = Rows::new(vec!["a".into()], (0..9).map(|at| at as f32).collect());
        let weights = (0..9).map(|at| if at == 8 { 1e-30 } else { 1e10 }).collect();
        let fraud = (0..9).map(|at| at % 2 == 1).collect();
        let set = TrainingSet::new(rows, fraud, Some(weights)).expect("good rows");
        assert_eq!(Binned::new(&set, 4, 1).bins(0), 5);
    }

    #[test]
    fn neighbours_among_numbers_are_parted() {
        let low = 1.0_f32;
        let cut = between(low, low.next_up());
        assert!(low < cut && cut <= low.next_up());
    }

    proptest! {
        #[test]
        fn bins_follow_the_values(rows in 3_usize..200, bins in 2_usize..12, seed in 0_u64..1_000) {
            let set = testing::set(rows, 3, seed);
            let binned = Binned::new(&set, bins, 1);
            for feature in 0..3 {
                let cuts = &binned.cuts[feature];
                prop_assert!(cuts.len() <= bins && cuts.is_sorted_by(|a, b| a < b));
                for row in 0..rows {
                    let (value, bin) = (set.rows().row(row)[feature], binned.column(feature)[row]);
                    if value.is_nan() {
                        prop_assert_eq!(bin, MISSING);
                    } else {
                        prop_assert!(value < binned.cut(feature, bin));
                        prop_assert!(bin == 1 || value >= binned.cut(feature, bin - 1));
                    }
                }
            }
        }
    }
}
