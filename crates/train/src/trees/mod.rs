//! Trees of gradients, grown on histograms: what boosting and random forests are made of.
//!
//! rows -> `cuts` (bins) -> **trees** (`histogram`, `split`, `grow`) -> `ensemble` (XGBoost JSON) -> `boosted`, `forest`
//!
//! The method is that of Chen and Guestrin, "XGBoost: A Scalable Tree Boosting System" (KDD 2016), with histograms as in Ke et al.,
//! "LightGBM" (NIPS 2017): a node splits where the regularised second-order gain is highest, rows with a missing value go to the side
//! where they gain more, and of two children only the smaller one is counted, the other is what is left of the parent.
//!
//! Holds: the same rows, settings and seed give the same trees on every machine and for any number of threads: a sum is always taken by
//! one thread in the order of rows, and no function of the platform's library is used.
//! Why not a library: docs/decisions/trees.md.

mod cuts;
mod ensemble;
mod grow;
mod histogram;
mod split;

pub(crate) use cuts::Binned;
pub(crate) use ensemble::fitted;
pub(crate) use grow::{Grower, Growth, sample};

use self::cuts::BINS_MAX;
use crate::draw::Draw;
use crate::trainer::TrainError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Cuts of a feature, unless asked for otherwise: of few, the tail of the amounts gets too few (256 bins: average precision .635 on the
/// Handbook's week, 1,024: .667).
pub(crate) const BINS: usize = 1024;

/// Trees of a model, at most. Arbitrary: more than anybody scores.
pub const TREES_MAX: usize = 100_000;
/// Splits between the root of a tree and a leaf, at most. Arbitrary: rows that 64 splits do not part are alike; the scorer reads 512.
pub const DEPTH_MAX: usize = 64;

/// First and second derivative of the loss in the margin, of one row, times its weight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Gradient {
    pub(crate) first: f32,
    pub(crate) second: f32,
}

impl Gradient {
    /// Least second derivative: at a certain score it would be nothing, and a leaf infinite.
    const SECOND_MIN: f64 = 1e-16;

    /// Of the logistic loss at a score in 0 to 1.
    #[inline]
    pub(crate) fn logistic(score: f64, is_fraud: bool, weight: f64) -> Self {
        let first = score - f64::from(u8::from(is_fraud));
        let second = (score * (1.0 - score) * weight).max(Self::SECOND_MIN);
        Self { first: (first * weight) as f32, second: second as f32 }
    }
}

/// Sums of gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    first: f64,
    second: f64,
}

impl Sums {
    #[inline]
    fn add(&mut self, gradient: Gradient) {
        self.first += f64::from(gradient.first);
        self.second += f64::from(gradient.second);
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        Self { first: self.first + other.first, second: self.second + other.second }
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        Self { first: self.first - other.first, second: self.second - other.second }
    }

    /// What a leaf of these rows is worth, twice: `G^2 / (H + lambda)`; Chen and Guestrin, equation 6.
    #[inline]
    fn gain(self, lambda: f64) -> f64 {
        self.first * self.first / (self.second + lambda)
    }

    /// The margin that a leaf of these rows adds: `-G / (H + lambda)`; their equation 5.
    fn weight(self, lambda: f64) -> f64 {
        -self.first / (self.second + lambda)
    }
}

/// Refuses what no tree can be grown with; `parameters` are those of a trainer, by name.
pub(crate) fn check(trainer: &'static str, parameters: &BTreeMap<String, f64>) -> Result<(), TrainError> {
    for (name, &value) in parameters {
        let (is_good, wanted) = match name.as_str() {
            "trees" => ((1.0..=TREES_MAX as f64).contains(&value), "1 to 100000"),
            "depth" => ((1.0..=DEPTH_MAX as f64).contains(&value), "1 to 64"),
            "bins" => ((2.0..=BINS_MAX as f64).contains(&value), "2 to 65535"),
            "rate" => (value > 0.0 && value.is_finite(), "a number above 0"),
            "row_share" | "feature_share" => (value > 0.0 && value <= 1.0, "above 0, at most 1"),
            "min_child_weight" | "lambda" => (value >= 0.0 && value.is_finite(), "a number, 0 or more"),
            _ => (true, ""),
        };
        if !is_good {
            return Err(TrainError::library(trainer, format!("{name} = {value}: {wanted} is needed")));
        }
    }
    Ok(())
}

/// Rows that a tree sees: each with this chance, and at least one.
pub(crate) fn sample_rows(rows: usize, share: f64, draw: &mut Draw) -> Vec<u32> {
    if share >= 1.0 {
        return (0..rows as u32).collect();
    }
    let mut drawn: Vec<u32> = (0..rows as u32).filter(|_| draw.share() < share).collect();
    if drawn.is_empty() {
        drawn.push(draw.below(rows) as u32);
    }
    drawn
}

/// Threads for so many, of which 0 is as many as there are cores.
pub(crate) fn threads(wanted: usize) -> usize {
    if wanted > 0 { wanted } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

/// Sets each of `values`, whose index `set` is given, by several threads.
pub(crate) fn by_chunks<T: Send>(threads: usize, values: &mut [T], set: impl Fn(usize, &mut T) + Sync) {
    let chunk = values.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (at, values) in values.chunks_mut(chunk).enumerate() {
            let set = &set;
            let mut each = move || {
                for (offset, value) in values.iter_mut().enumerate() {
                    set(at * chunk + offset, value);
                }
            };
            // Few are sooner done than a thread is there.
            if threads == 1 || chunk < 10_000 { each() } else { drop(scope.spawn(each)) }
        }
    });
}

/// Does `work` for each of `0..count`, by several threads, and gives the results in order.
fn in_order<T: Send>(threads: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if threads <= 1 || count <= 1 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, T)> = Vec::with_capacity(count);
    std::thread::scope(|scope| {
        let own = || {
            let mut own = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    return own;
                }
                own.push((at, work(at)));
            }
        };
        let threads: Vec<_> = (0..threads.min(count)).map(|_| scope.spawn(own)).collect();
        for thread in threads {
            match thread.join() {
                Ok(own) => done.extend(own),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
