//! Gradients of a node's rows, summed by bin.
//!
//! `cuts` -> **histogram** -> `split`

use super::cuts::{Binned, MISSING};
use super::{Gradient, Sums};

/// Bins to count, rows times features, from which threads share the work: a thread costs some 50 us, and this much work 300.
const SHARED_FROM: usize = 1 << 18;

/// What a tree splits at, and where the sums of each feature lie in its histograms.
#[derive(Debug)]
pub(super) struct Places<'a> {
    pub(super) features: &'a [usize],
    /// By feature, and the end.
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn new(binned: &Binned, features: &'a [usize]) -> Self {
        let mut starts = vec![0];
        for &feature in features {
            starts.push(starts[starts.len() - 1] + binned.bins(feature));
        }
        Self { features, starts }
    }
}

/// Sums by bin of each feature that a tree may split at, feature after feature.
#[derive(Debug)]
pub(super) struct Histogram(Vec<Sums>);

impl Histogram {
    /// Counts rows, of which `gradients` has the gradients in the same order. Threads share out the features, not the rows, so that each sum
    /// is taken in the order of rows.
    pub(super) fn of(
        binned: &Binned,
        places: &Places<'_>,
        rows: &[u32],
        gradients: &[Gradient],
        threads: usize,
    ) -> Self {
        let Places { features, starts } = places;
        let mut sums = vec![Sums::default(); starts[features.len()]];
        let threads = if rows.len() * features.len() < SHARED_FROM { 1 } else { threads };
        let share = features.len().div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let mut rest = &mut sums[..];
            for (features, starts) in features.chunks(share).zip(starts.chunks(share)) {
                let end = starts[0] + features.iter().map(|feature| binned.bins(*feature)).sum::<usize>();
                let (own, others) = rest.split_at_mut(end - starts[0]);
                rest = others;
                let mut work = move || count(binned, features, starts, rows, gradients, own);
                if share == places.features.len() { work() } else { drop(scope.spawn(work)) }
            }
        });
        Self(sums)
    }

    /// What is left of a node without one of its children: the other child.
    pub(super) fn without(mut self, child: &Self) -> Self {
        for (sum, less) in self.0.iter_mut().zip(&child.0) {
            *sum = sum.minus(*less);
        }
        self
    }

    /// Of the feature at a place: the sum of the missing, then those of its bins.
    pub(super) fn feature(
        &self,
        places: &Places<'_>,
        place: usize,
    ) -> (Sums, impl Iterator<Item = (u16, Sums)>) {
        let sums = &self.0[places.starts[place]..places.starts[place + 1]];
        (sums[0], sums.iter().enumerate().skip(1).map(|(bin, sum)| (bin as u16, *sum)))
    }
}

/// Counts some features, whose sums begin at `starts` less the first of them.
fn count(
    binned: &Binned,
    features: &[usize],
    starts: &[usize],
    rows: &[u32],
    gradients: &[Gradient],
    sums: &mut [Sums],
) {
    let first = starts[0];
    for (&row, &gradient) in rows.iter().zip(gradients) {
        let bins = binned.row(row);
        for (&feature, &start) in features.iter().zip(starts) {
            sums[start - first + usize::from(bins[feature])].add(gradient);
        }
    }
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
        for (&row, &gradient) in rows.iter().zip(gradients) {
            let bin = usize::from(binned.row(row)[feature]);
            self.sums[bin].add(gradient);
            self.met[bin / 64] |= 1 << (bin % 64);
        }
    }

    /// The sum of the missing, and gives the others into `bins` in their order. Nothing is left.
    pub(super) fn take(&mut self, bins: &mut Vec<(u16, Sums)>) -> Sums {
        bins.clear();
        let mut missing = Sums::default();
        for (at, word) in self.met.iter_mut().enumerate() {
            while *word != 0 {
                let bin = at * 64 + word.trailing_zeros() as usize;
                *word &= *word - 1;
                let sums = std::mem::take(&mut self.sums[bin]);
                if bin == usize::from(MISSING) { missing = sums } else { bins.push((bin as u16, sums)) }
            }
        }
        missing
    }
}
