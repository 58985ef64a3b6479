//! Whether a score is the probability that it says: calibration, Brier score, log loss.
//!
//! scores -> **honesty** -> `judge`

use serde::Serialize;

/// Where bins of scores begin; the last ends with 1. In steps of a half to a third of what is left to an end, since that
/// is how people read shares of fraud.
pub const EDGES: [f64; 13] = [0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95];

/// Scores of one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    pub from: f64,
    pub until: f64,
    pub events: u64,
    pub frauds: u64,
    /// Mean of the scores.
    pub said: f64,
    /// Share of fraud.
    pub seen: f64,
}

/// The bins that hold events.
pub(super) fn bins(scores: &[f64], fraud: &[bool]) -> Vec<Bin> {
    let mut bins: Vec<Bin> = EDGES
        .iter()
        .enumerate()
        .map(|(at, &from)| Bin { from, until: EDGES.get(at + 1).copied().unwrap_or(1.0), ..Bin::default() })
        .collect();
    for (&score, &fraud) in scores.iter().zip(fraud) {
        let at = EDGES.partition_point(|edge| *edge <= score).saturating_sub(1);
        let bin = &mut bins[at];
        bin.events += 1;
        bin.frauds += u64::from(fraud);
        bin.said += score;
    }
    bins.retain(|bin| bin.events > 0);
    for bin in &mut bins {
        bin.said /= bin.events as f64;
        bin.seen = bin.frauds as f64 / bin.events as f64;
    }
    bins
}

/// An event's part of the Brier score.
pub(super) fn square(score: f64, fraud: bool) -> f64 {
    let off = score - f64::from(u8::from(fraud));
    off * off
}

/// An event's part of the log loss; scores are held off 0 and 1 by 1e-15, or one event would be all of it.
pub(super) fn surprise(score: f64, fraud: bool) -> f64 {
    let score = score.clamp(1e-15, 1.0 - 1e-15);
    if fraud { -score.ln() } else { -(-score).ln_1p() }
}

/// Mean log loss.
pub fn log_loss(scores: &[f64], fraud: &[bool]) -> f64 {
    let sum: f64 = scores.iter().zip(fraud).map(|(score, fraud)| surprise(*score, *fraud)).sum();
    sum / scores.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_has_its_lower_edge() {
        let bins = bins(&[0.0, 0.001, 0.0015, 0.95, 1.0], &[false, true, false, true, true]);
        let shown: Vec<_> = bins.iter().map(|bin| (bin.from, bin.until, bin.events, bin.frauds)).collect();
        assert_eq!(shown, [(0.0, 0.001, 1, 0), (0.001, 0.002, 2, 1), (0.95, 1.0, 2, 2)]);
        assert_eq!((bins[1].said, bins[1].seen), (0.00125, 0.5));
    }

    #[test]
    fn a_certain_mistake_is_dear_but_finite() {
        assert!((30.0..40.0).contains(&surprise(0.0, true)));
        assert!((30.0..40.0).contains(&surprise(1.0, false)));
        assert!((surprise(0.25, true) - 4f64.ln()).abs() < 1e-12);
        assert_eq!(square(0.25, true), 0.5625);
    }
}
