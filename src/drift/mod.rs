//! How far what comes has moved from what a model was trained on.
//!
//! manifest -> [`Histogram`]s -> **drift** (`seen`) -> status, `model drift`
//!
//! The population stability index of a feature (or of the score) with training shares p and seen shares q of its bins, of which missing is
//! one, is the sum over the bins of (q - p) · ln(q / p): Naeem Siddiqi, Credit Risk Scorecards (2006), chapter 8; as a divergence it is
//! Jeffreys' of 1946. A bin that is empty on one side counts as half an event there, for the logarithm's sake. By custom below 0.1 is no
//! shift, above 0.25 a large one. Of n seen events in b bins even the same population has about (b - 1) / n.
//!
//! Holds: a pure function of counts.
//! Not here: which events are counted, and when (`shadow`).

mod seen;

pub(crate) use seen::{Baseline, Seen, Shift};

use serde::{Deserialize, Serialize};

/// From here on a shift is large. The field's custom, see the module.
pub(crate) const LARGE: f64 = 0.25;
/// Bins, about: of a twentieth of the values each.
const BINS: usize = 20;
/// Values that the edges come of, at most.
const SAMPLE: usize = 50_000;
/// Edges of a histogram that is read, at most. Arbitrary: bins beyond some hundred hold chance alone.
const EDGES_MAX: usize = 4_096;

/// Values of one feature, or scores: `counts[i]` are those below `edges[i]` and not below the edge before; the last count is of
/// the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Histogram {
    pub(crate) name: String,
    pub(crate) edges: Vec<f32>,
    pub(crate) counts: Vec<u64>,
    pub(crate) missing: u64,
}

impl Histogram {
    /// Of values in any order; NaN is missing. Edges are quantiles of a spread of them, each once.
    pub(crate) fn of(name: &str, values: impl Iterator<Item = f32> + Clone) -> Self {
        let count = values.clone().filter(|value| !value.is_nan()).count();
        let stride = count.div_ceil(SAMPLE).max(1);
        let mut sample: Vec<f32> = values.clone().filter(|value| !value.is_nan()).step_by(stride).collect();
        sample.sort_by(f32::total_cmp);
        let mut edges: Vec<f32> = Vec::new();
        for bin in 1..BINS {
            let Some(&edge) = sample.get(bin * sample.len() / BINS) else { break };
            // A bin below the least value would stay empty.
            if sample.first().is_some_and(|least| edge > *least)
                && edges.last().is_none_or(|last| edge > *last)
            {
                edges.push(edge);
            }
        }
        let mut histogram =
            Self { name: name.to_owned(), counts: vec![0; edges.len() + 1], edges, missing: 0 };
        for value in values {
            let bin = histogram.bin(value);
            match histogram.counts.get_mut(bin) {
                Some(count) => *count += 1,
                None => histogram.missing += 1,
            }
        }
        histogram
    }

    /// What is wrong with one that was read.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { name, edges, counts, .. } = self;
        if edges.len() > EDGES_MAX {
            return Err(format!("the histogram of {name} has {} edges; at most {EDGES_MAX}", edges.len()));
        }
        if counts.len() != edges.len() + 1 {
            let (edges, counts) = (edges.len(), counts.len());
            return Err(format!(
                "the histogram of {name} has {counts} counts for {edges} edges; one more than edges is needed"
            ));
        }
        if edges.iter().any(|edge| edge.is_nan()) || edges.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(format!("the edges of the histogram of {name} do not rise"));
        }
        let total =
            counts.iter().chain([&self.missing]).try_fold(0_u64, |sum, count| sum.checked_add(*count));
        total.map(|_| ()).ok_or_else(|| format!("the counts of the histogram of {name} are too large"))
    }

    /// Bins, the one of missing values among them, which is the last.
    fn bins(&self) -> usize {
        self.counts.len() + 1
    }

    /// The bin of a value.
    #[inline]
    pub(crate) fn bin(&self, value: f32) -> usize {
        if value.is_nan() { self.counts.len() } else { self.edges.partition_point(|edge| *edge <= value) }
    }

    /// The index of what was counted by [`Histogram::bin`] against this.
    pub(crate) fn shift(&self, seen: &[u64]) -> Option<f64> {
        stability_index(self.counts.iter().chain([&self.missing]).copied(), seen.iter().copied())
    }

    /// Share of missing values.
    fn missing_share(&self) -> f64 {
        share(self.missing, self.counts.iter().sum::<u64>() + self.missing)
    }
}

/// See the module; nothing where one side has no events.
pub(crate) fn stability_index(
    trained: impl Iterator<Item = u64> + Clone,
    seen: impl Iterator<Item = u64> + Clone,
) -> Option<f64> {
    let (of_trained, of_seen) = (trained.clone().sum::<u64>(), seen.clone().sum::<u64>());
    if of_trained == 0 || of_seen == 0 {
        return None;
    }
    let part = |count: u64, of: u64| (count as f64).max(0.5) / of as f64;
    let bins = trained.zip(seen).filter(|counts| *counts != (0, 0));
    Some(
        bins.map(|(trained, seen)| (part(trained, of_trained), part(seen, of_seen)))
            .map(|(p, q)| (q - p) * (q / p).ln())
            .sum(),
    )
}

fn share(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_alike_full_and_values_of_one_kind_lie_in_one() {
        let spread = Histogram::of("a", (0..1_000).map(|at| at as f32));
        assert_eq!(spread.edges.len(), 19);
        assert_eq!(spread.counts, [50; 20]);
        let flag = Histogram::of("b", (0..100).map(|at| if at % 4 == 0 { 1.0 } else { 0.0 }));
        assert_eq!((flag.edges, flag.counts), (vec![1.0], vec![75, 25]));
        let same = Histogram::of("c", [f32::NAN, 7.0, 7.0].into_iter());
        assert_eq!((same.edges, same.counts, same.missing), (vec![], vec![2], 1));
        let never = Histogram::of("d", [f32::NAN].into_iter());
        assert_eq!((never.edges, never.counts, never.missing), (vec![], vec![0], 1));
    }

    #[test]
    fn the_index_is_that_of_the_book() {
        // Shares 0.5, 0.3, 0.2 and 0.4, 0.3, 0.3: -0.1·ln 0.8 + 0.1·ln 1.5.
        let index = stability_index([500, 300, 200].into_iter(), [40, 30, 30].into_iter()).expect("events");
        assert!((index - 0.062_860_865_942_237_4).abs() < 1e-12, "{index}");
        let same = stability_index([500, 300, 200].into_iter(), [5, 3, 2].into_iter());
        assert_eq!(same, Some(0.0));
        assert_eq!(stability_index([1, 2].into_iter(), [0, 0].into_iter()), None);
        assert_eq!(stability_index([0, 0].into_iter(), [1, 0].into_iter()), None);
        // Empty on one side: half an event; on both: nothing.
        let new = stability_index([100, 0, 0].into_iter(), [50, 50, 0].into_iter()).expect("events");
        let wanted = (0.5 - 1.0) * 0.5_f64.ln() + (0.5 - 0.005) * (0.5 / 0.005_f64).ln();
        assert!((new - wanted).abs() < 1e-12, "{new}");
    }

    #[test]
    fn what_is_no_histogram_is_told() {
        let good =
            Histogram { name: "a".to_owned(), edges: vec![1.0, 2.0], counts: vec![1, 2, 3], missing: 4 };
        assert_eq!(good.check(), Ok(()));
        assert_eq!(
            [0.0, 1.0, 1.5, 2.0, f32::INFINITY, f32::NAN].map(|value| good.bin(value)),
            [0, 1, 1, 2, 2, 3]
        );
        let fault = |change: &dyn Fn(&mut Histogram)| {
            let mut bad = good.clone();
            change(&mut bad);
            bad.check().expect_err("it is bad")
        };
        assert!(fault(&|bad| bad.counts.truncate(2)).contains("2 counts for 2 edges"));
        assert!(fault(&|bad| bad.edges = vec![2.0, 2.0]).contains("do not rise"));
        assert!(fault(&|bad| bad.edges = vec![f32::NAN, 2.0]).contains("do not rise"));
        assert!(fault(&|bad| bad.counts = vec![u64::MAX, 1, 1]).contains("too large"));
        assert!(fault(&|bad| bad.edges = vec![0.0; 5_000]).contains("5000 edges"));
    }
}
