//! How sure a metric is: intervals by resampling days.
//!
//! `judge` -> **bootstrap** -> intervals
//!
//! Whole days are drawn, with replacement, as many as there are. Fraud comes in bursts: of a stolen card or a broken
//! terminal one event says much of the next, and intervals that take events for independent are too narrow; a day keeps most
//! of a burst together, and the metrics per day need whole days anyway. Below [`DAYS_MIN`] days nothing can be said, and
//! nothing is.
//!
//! Holds: the seed is fixed, so the same scores give the same interval on any number of threads; two models are
//! compared on the same draws.

use crate::draw::Draw;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Fewer days tell nothing of how days differ.
pub const DAYS_MIN: usize = 5;
/// Draws. Arbitrary: the ends of an interval are known to a tenth of its width.
pub const DRAWS: usize = 200;
const SEED: u64 = 20_261_124;

/// From 2.5 to 97.5 of 100 draws.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// How often each of `days` days comes up in a draw.
pub(super) fn weights(days: usize, draw: usize) -> Vec<u32> {
    // Through one step, or the numbers of a draw would be those of the one before, moved by one.
    let mut numbers = Draw::new(Draw::new(SEED.wrapping_add(draw as u64)).next());
    let mut weights = vec![0; days];
    for _ in 0..days {
        weights[numbers.below(days)] += 1;
    }
    weights
}

/// The metrics of every draw; none where there are too few days.
pub(super) fn draws<const N: usize>(
    days: usize,
    measure: impl Fn(&[u32]) -> [f64; N] + Sync,
) -> Vec<[f64; N]> {
    if days < DAYS_MIN {
        return Vec::new();
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(DRAWS);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(vec![[f64::NAN; N]; DRAWS]);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let draw = next.fetch_add(1, Ordering::Relaxed);
                    if draw >= DRAWS {
                        return;
                    }
                    let values = measure(&weights(days, draw));
                    done.lock().unwrap_or_else(PoisonError::into_inner)[draw] = values;
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The interval of a metric over draws; nothing where there are none, or one of them has no value.
pub(super) fn interval(mut values: Vec<f64>) -> Option<Interval> {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    values.sort_by(f64::total_cmp);
    // Between the two nearest, as numpy's percentile does.
    let at = |share: f64| {
        let place = share * (values.len() - 1) as f64;
        let (below, above) = (place.floor() as usize, place.ceil() as usize);
        values[below] + (values[above] - values[below]) * (place - below as f64)
    };
    Some(Interval { low: at(0.025), high: at(0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_has_as_many_days_as_there_are_and_is_always_the_same() {
        let first = weights(30, 0);
        assert_eq!(first.iter().sum::<u32>(), 30);
        assert_eq!(first, weights(30, 0));
        assert_ne!(first, weights(30, 1));
        // Every day is drawn in the end, about as often as any other.
        let mut sums = [0; 30];
        for draw in 0..DRAWS {
            for (sum, weight) in sums.iter_mut().zip(weights(30, draw)) {
                *sum += weight;
            }
        }
        assert!(sums.iter().all(|sum| (130..270).contains(sum)), "{sums:?}");
    }

    #[test]
    fn an_interval_leaves_a_fortieth_on_each_side() {
        let values: Vec<f64> = (0..=200).rev().map(f64::from).collect();
        assert_eq!(interval(values), Some(Interval { low: 5.0, high: 195.0 }));
        assert_eq!(interval(vec![1.0, f64::NAN]), None);
        assert_eq!(interval(Vec::new()), None);
    }

    #[test]
    fn too_few_days_give_nothing() {
        assert!(draws(DAYS_MIN - 1, |_| [0.0]).is_empty());
        assert_eq!(draws(DAYS_MIN, |weights| [f64::from(weights[0])]).len(), DRAWS);
    }
}
