//! From margin to score.
//!
//! evaluate -> **link** -> score
//!
//! Holds: the same bits on every machine: exponentials are our own, of fixed order of operations.
//! Not here: what a score means.

use crate::exp::{exp, exp_f32, ln_f32};

/// What turns a margin into a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// What the margin is divided by first: the number of trees where the trainer averages them (`LightGBM`'s
    /// random forests, whose raw score is the sum), else 1.
    pub divisor: f64,
    pub shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// The score is the margin.
    Identity,
    /// `XGBoost`'s logistic function, in f32.
    SigmoidF32,
    /// `1 / (1 + exp(-slope * margin))` in f64: `LightGBM` (`sigmoid`) and logistic models (slope 1).
    Sigmoid { slope: f64 },
    /// `LightGBM`'s `reg_sqrt`: the square, with the margin's sign.
    SignedSquare,
}

impl Link {
    pub(crate) fn new(shape: Shape) -> Self {
        Self { divisor: 1.0, shape }
    }

    /// The score of a margin.
    #[inline(always)]
    pub fn apply(self, margin: f64) -> f64 {
        let margin = margin / self.divisor;
        match self.shape {
            Shape::Identity => margin,
            Shape::SigmoidF32 => f64::from(sigmoid_f32(margin as f32)),
            Shape::Sigmoid { slope } => 1.0 / (1.0 + exp(-slope * margin)),
            Shape::SignedSquare => {
                f64::from(i8::from(margin > 0.0) - i8::from(margin < 0.0)) * margin * margin
            }
        }
    }
}

/// `1 / (1 + exp(-margin))` with the same bits on every machine.
pub fn logistic(margin: f64) -> f64 {
    1.0 / (1.0 + exp(-margin))
}

/// The trainer's: the exponent is held below overflow.
#[inline(always)]
fn sigmoid_f32(margin: f32) -> f32 {
    let exponent = if -margin > 88.7 { 88.7 } else { -margin };
    1.0 / (exp_f32(exponent) + 1.0)
}

/// Log odds as the trainer computes them for its base score.
pub(crate) fn logit_f32(score: f32) -> f32 {
    -ln_f32(1.0 / score - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_function_is_the_trainers_at_its_edges() {
        // Values of XGBoost 3.2.0 for these margins.
        for (margin, score) in [(0.0, 0.5), (-1.0, 0.268_941_43_f32), (1.0, 0.731_058_6), (20.0, 1.0)] {
            assert_eq!(sigmoid_f32(margin).to_bits(), score.to_bits(), "{margin}");
        }
        assert!(sigmoid_f32(-1e30) > 0.0);
        assert!(sigmoid_f32(f32::NAN).is_nan());
    }

    #[test]
    fn an_average_is_taken_before_the_link() {
        let link = Link { divisor: 4.0, shape: Shape::Sigmoid { slope: 2.0 } };
        assert_eq!(link.apply(6.0).to_bits(), (1.0 / (1.0 + exp(-3.0))).to_bits());
    }
}
