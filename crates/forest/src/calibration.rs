//! From a margin to the probability that is shown as the score.
//!
//! margin -> **calibration** -> score
//!
//! A map is a chain of straight lines from margins to log odds, and the logistic function behind it:
//!
//! ```text
//! z = log_odds[i] + (margin - margin_at[i]) * (log_odds[i + 1] - log_odds[i]) / (margin_at[i + 1] - margin_at[i])
//! score = 1 / (1 + exp(-z))
//! ```
//!
//! where i is the last place with `margin_at[i] <= margin`, and the first and the last line go on beyond their ends. Platt's
//! map is one line; an isotonic one has a place for each of its steps. Lines that rise keep the order of events, and no two
//! margins come to one score where they did not before, as they would on the steps.
//!
//! Holds: the map rises; the operations above are done in f64 in this order, with the exponential of this crate, so the bits are the same
//! on every machine.
//! Not here: how a map is fitted.

use crate::ModelError;
use crate::link::logistic;

/// Places of a map at most. Arbitrary: far more than a fit gives.
pub const PLACES_MAX: usize = 1_024;

/// A map; see the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    margin_at: Vec<f64>,
    log_odds: Vec<f64>,
}

impl Calibration {
    /// Two places at least, in rising order, all finite.
    pub fn new(margin_at: Vec<f64>, log_odds: Vec<f64>) -> Result<Self, ModelError> {
        let places = margin_at.len();
        if !(2..=PLACES_MAX).contains(&places) {
            let what = format!("has {places} places; 2 to {PLACES_MAX} are needed");
            return Err(ModelError::field("calibration.margin_at", what));
        }
        if log_odds.len() != places {
            let what = format!("has {} places, margin_at {places}", log_odds.len());
            return Err(ModelError::field("calibration.log_odds", what));
        }
        for (key, list) in [("margin_at", &margin_at), ("log_odds", &log_odds)] {
            if let Some(at) = list.iter().position(|number| !number.is_finite()) {
                return Err(ModelError::field(format!("calibration.{key}[{at}]"), "is not finite"));
            }
            if let Some(at) = list.windows(2).position(|pair| pair[0] >= pair[1]) {
                let what = "is not above the one before";
                return Err(ModelError::field(format!("calibration.{key}[{}]", at + 1), what));
            }
        }
        Ok(Self { margin_at, log_odds })
    }

    /// The margins of its places.
    pub fn margin_at(&self) -> &[f64] {
        &self.margin_at
    }

    /// The log odds at them.
    pub fn log_odds(&self) -> &[f64] {
        &self.log_odds
    }

    /// The log odds of a margin; NaN for NaN.
    pub fn log_odds_of(&self, margin: f64) -> f64 {
        let last_line = self.margin_at.len() - 2;
        let i = self.margin_at.partition_point(|at| *at <= margin).saturating_sub(1).min(last_line);
        let rise = self.log_odds[i + 1] - self.log_odds[i];
        let run = self.margin_at[i + 1] - self.margin_at[i];
        self.log_odds[i] + (margin - self.margin_at[i]) * rise / run
    }

    /// The score of a margin.
    pub fn score_of(&self, margin: f64) -> f64 {
        logistic(self.log_odds_of(margin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_meet_at_their_places_and_go_on_beyond_the_ends() {
        let map = Calibration::new(vec![-1.0, 0.0, 2.0], vec![-6.0, -2.0, 0.0]).expect("a map");
        for (margin, log_odds) in
            [(-2.0, -10.0), (-1.0, -6.0), (-0.5, -4.0), (0.0, -2.0), (1.0, -1.0), (2.0, 0.0), (4.0, 2.0)]
        {
            assert_eq!(map.log_odds_of(margin), log_odds, "{margin}");
        }
        assert_eq!(map.score_of(2.0), 0.5);
        assert!(map.score_of(f64::NAN).is_nan());
    }

    #[test]
    fn a_map_that_does_not_rise_is_refused() {
        let fault = |margin_at: &[f64], log_odds: &[f64]| {
            Calibration::new(margin_at.to_vec(), log_odds.to_vec()).expect_err("refused").to_string()
        };
        assert!(fault(&[0.0], &[0.0]).contains("has 1 places; 2 to 1024"));
        assert!(fault(&[0.0, 1.0], &[0.0]).contains("has 1 places, margin_at 2"));
        assert!(fault(&[0.0, 0.0], &[0.0, 1.0]).contains("calibration.margin_at[1]"));
        assert!(fault(&[0.0, 1.0], &[0.0, -1.0]).contains("calibration.log_odds[1]"));
        assert!(fault(&[0.0, f64::INFINITY], &[0.0, 1.0]).contains("calibration.margin_at[1]"));
        assert!(fault(&[0.0, 1.0], &[f64::NAN, 1.0]).contains("calibration.log_odds[0]"));
    }

    #[test]
    fn order_is_kept() {
        let map = Calibration::new(vec![-3.0, -0.5, 0.25, 2.0], vec![-7.0, -4.5, -1.0, 1.5]).expect("a map");
        let margins: Vec<f64> = (-800..800).map(|at| f64::from(at) / 100.0).collect();
        for pair in margins.windows(2) {
            assert!(map.score_of(pair[0]) < map.score_of(pair[1]), "{pair:?}");
        }
    }
}
