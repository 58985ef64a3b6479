//! Turn a score into a decision.
//!
//! score -> **decide** -> encode
//!
//! Holds: thresholds are compared as f32; a score that is NaN or outside 0 to 1 is never approved.
//! Not here: what a reason is (`score`), how a decision is written (`encode`).

/// What the shop is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Decision {
    /// Let the checkout pass.
    #[default]
    Approve,
    /// Let a person look at it.
    Review,
    /// Refuse it.
    Decline,
}

impl Decision {
    /// Every decision, mildest first.
    pub const ALL: [Self; 3] = [Self::Approve, Self::Review, Self::Decline];

    /// The word in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Review => "review",
            Self::Decline => "decline",
        }
    }

    /// Whether it makes an alert line.
    pub fn is_alert(self) -> bool {
        self != Self::Approve
    }
}

/// From which score on an event is reviewed or declined; of the model's manifest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    pub review_at: f32,
    pub decline_at: f32,
}

/// A decision, and whether the score was out of range (counted by the caller).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    pub decision: Decision,
    pub out_of_range: bool,
}

impl Thresholds {
    /// Decides by a score after the link; f32 scores come in widened, which loses nothing.
    pub fn decide(self, score: f64) -> Decided {
        // NaN is in no range.
        if !(0.0..=1.0).contains(&score) {
            return Decided { decision: Decision::Review, out_of_range: true };
        }
        let score = score as f32;
        let decision = if score >= self.decline_at {
            Decision::Decline
        } else if score >= self.review_at {
            Decision::Review
        } else {
            Decision::Approve
        };
        Decided { decision, out_of_range: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_threshold_holds_from_its_own_value_on() {
        let thresholds = Thresholds { review_at: 0.5, decline_at: 0.9 };
        let below = |edge: f32| f64::from(f32::from_bits(edge.to_bits() - 1));
        for (score, wanted) in [
            (0.0, Decision::Approve),
            (below(0.5), Decision::Approve),
            (0.5, Decision::Review),
            (below(0.9), Decision::Review),
            (f64::from(0.9f32), Decision::Decline),
            (1.0, Decision::Decline),
        ] {
            assert_eq!(
                thresholds.decide(score),
                Decided { decision: wanted, out_of_range: false },
                "{score}"
            );
        }
    }

    #[test]
    fn a_score_out_of_range_is_reviewed() {
        let thresholds = Thresholds { review_at: 0.5, decline_at: 0.9 };
        for score in [f64::NAN, -0.1, 1.1, f64::INFINITY, f64::NEG_INFINITY] {
            let decided = thresholds.decide(score);
            assert_eq!(decided, Decided { decision: Decision::Review, out_of_range: true }, "{score}");
        }
    }
}
