//! Gradients of a node's rows, summed by bin.
//!
//! `cuts` -> **histogram** -> `split`

use super::cuts::Binned;
use super::{Gradient, Sums, in_order};

/// Sums by bin of each feature that a tree may split at.
#[derive(Debug)]
pub(super) struct Histogram {
    /// By place in the tree's features.
    features: Vec<Vec<Sums>>,
}

/// Bins to count, rows times features, from which threads share the work: handing it out costs some 50 us, and this much work 300.
const SHARED_FROM: usize = 1 << 18;

impl Histogram {
    /// Counts rows, of which `gradients` has the gradients in the same order.
    pub(super) fn of(
        binned: &Binned,
        features: &[usize],
        rows: &[u32],
        gradients: &[Gradient],
        threads: usize,
    ) -> Self {
        let threads = if rows.len() * features.len() < SHARED_FROM { 1 } else { threads };
        let pairs = in_order(threads, features.len().div_ceil(2), |pair| {
            let features = &features[pair * 2..features.len().min(pair * 2 + 2)];
            count(binned, features, rows, gradients)
        });
        Self { features: pairs.into_iter().flatten().collect() }
    }

    /// What is left of a node without one of its children: the other child.
    pub(super) fn without(mut self, child: &Self) -> Self {
        for (sums, less) in self.features.iter_mut().zip(&child.features) {
            for (sum, less) in sums.iter_mut().zip(less) {
                *sum = sum.minus(*less);
            }
        }
        self
    }

    /// Of the feature at a place: the sum of the missing, then those of its bins.
    pub(super) fn feature(&self, place: usize) -> (Sums, impl Iterator<Item = (u16, Sums)>) {
        let sums = &self.features[place];
        (sums[0], sums.iter().enumerate().skip(1).map(|(bin, sum)| (bin as u16, *sum)))
    }
}

/// Counts one feature, or two at once: rows and gradients are then read half as often, and both features' sums still fit the nearest cache.
fn count(binned: &Binned, features: &[usize], rows: &[u32], gradients: &[Gradient]) -> Vec<Vec<Sums>> {
    let mut sums: Vec<_> =
        features.iter().map(|&feature| vec![Sums::default(); binned.bins(feature)]).collect();
    match (&mut sums[..], features) {
        ([first, second], &[one, other]) => {
            let (one, other) = (binned.column(one), binned.column(other));
            for (&row, &gradient) in rows.iter().zip(gradients) {
                first[usize::from(one[row as usize])].add(gradient);
                second[usize::from(other[row as usize])].add(gradient);
            }
        }
        _ => {
            for (sums, &feature) in sums.iter_mut().zip(features) {
                let column = binned.column(feature);
                for (&row, &gradient) in rows.iter().zip(gradients) {
                    sums[usize::from(column[row as usize])].add(gradient);
                }
            }
        }
    }
    sums
}

/// Sums of one feature at a time over few rows, of which most bins have none: these are passed by.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    sums: Vec<Sums>,
    /// A bit a bin that has a row.
    met: Vec<u64>,
}

impl Sparse {
    /// Counts a feature of some rows; afterwards [`Self::take`] must empty it.
    pub(super) fn count(&mut self, binned: &Binned, feature: usize, rows: &[u32], gradients: &[Gradient]) {
        let bins = binned.bins(feature);
        if self.sums.len() < bins {
            self.sums.resize(bins, Sums::default());
            self.met.resize(bins.div_ceil(64), 0);
        }
        let column = binned.column(feature);
        for (&row, &gradient) in rows.iter().zip(gradients) {
            let bin = usize::from(column[row as usize]);
            self.sums[bin].add(gradient);
            self.met[bin / 64] |= 1 << (bin % 64);
        }
    }

    /// The sum of the missing, and gives the others into `bins` in their order. Nothing is left.
    pub(super) fn take(&mut self, bins: &mut Vec<(u16, Sums)>) -> Sums {
        bins.clear();
        for (at, word) in self.met.iter_mut().enumerate() {
            while *word != 0 {
                let bin = at * 64 + word.trailing_zeros() as usize;
                *word &= *word - 1;
                bins.push((bin as u16, std::mem::take(&mut self.sums[bin])));
            }
        }
        match bins.first() {
            Some(&(0, missing)) => {
                bins.remove(0);
                missing
            }
            _ => Sums::default(),
        }
    }
}
