//! Pick the scores from which an event is reviewed and declined.
//!
//! scores of events that the model was not trained on -> **threshold** -> thresholds
//!
//! Holds: a threshold is a score that occurred, as f32, which is what decisions compare with; at or above it lie at most the
//! alerts of the budget, or at least the precision asked for.

/// Alerts above a threshold that a precision must rest on. Arbitrary: of fewer, a precision of .95 is known to a tenth at best.
pub const ALERTS_MIN: usize = 30;

/// The lowest score with at most `alerts` events at or above it; above every score where even the highest is too common.
pub fn of_budget(scores: &[f64], alerts: usize) -> f32 {
    let sorted = descending(scores);
    let Some(&beyond) = sorted.get(alerts) else {
        return sorted.last().copied().unwrap_or(0.0);
    };
    // What has the score of the first event beyond the budget is beyond it as a whole.
    let fits = sorted[..alerts].iter().rev().find(|score| **score > beyond);
    fits.copied().unwrap_or_else(|| beyond.next_up().min(1.0))
}

/// The lowest score at or above which the share of fraud is at least `precision`, of [`ALERTS_MIN`] events or more; nothing
/// where there is none.
pub fn of_precision(scores: &[f64], fraud: &[bool], precision: f64) -> Option<f32> {
    let mut order: Vec<(f32, bool)> =
        scores.iter().map(|score| *score as f32).zip(fraud.iter().copied()).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut hits, mut found) = (0, None);
    for (place, (score, fraud)) in order.iter().enumerate() {
        hits += usize::from(*fraud);
        let alerts = place + 1;
        let is_last = order.get(alerts).is_none_or(|next| next.0 < *score);
        if is_last && alerts >= ALERTS_MIN && hits as f64 >= precision * alerts as f64 {
            found = Some(*score);
        }
    }
    found
}

fn descending(scores: &[f64]) -> Vec<f32> {
    let mut sorted: Vec<f32> = scores.iter().map(|score| *score as f32).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_budget_is_kept_and_used(scores in prop::collection::vec(0u8..30, 1..200), alerts in 0usize..220) {
            let scores: Vec<f64> = scores.iter().map(|score| f64::from(*score) / 30.0).collect();
            let at = of_budget(&scores, alerts);
            let above = |at: f32| scores.iter().filter(|score| **score as f32 >= at).count();
            prop_assert!(above(at) <= alerts, "{at}");
            // The next score below would be too many.
            let below = scores.iter().map(|score| *score as f32).filter(|score| *score < at).fold(f32::NAN, f32::max);
            if !below.is_nan() {
                prop_assert!(above(below) > alerts);
            }
        }

        #[test]
        fn a_precision_is_reached_by_the_lowest_score_that_can(
            events in prop::collection::vec((0u8..40, any::<bool>()), 1..300),
            precision in 0.1f64..1.0,
        ) {
            let scores: Vec<f64> = events.iter().map(|(score, _)| f64::from(*score) / 40.0).collect();
            let fraud: Vec<bool> = events.iter().map(|(_, fraud)| *fraud).collect();
            let reaches = |at: f32| {
                let above: Vec<bool> =
                    (0..scores.len()).filter(|i| scores[*i] as f32 >= at).map(|i| fraud[i]).collect();
                let hits = above.iter().filter(|fraud| **fraud).count();
                above.len() >= ALERTS_MIN && hits as f64 >= precision * above.len() as f64
            };
            let mut candidates: Vec<f32> = scores.iter().map(|score| *score as f32).filter(|at| reaches(*at)).collect();
            candidates.sort_by(f32::total_cmp);
            prop_assert_eq!(of_precision(&scores, &fraud, precision), candidates.first().copied());
        }
    }

    #[test]
    fn a_budget_of_everything_takes_everything() {
        assert_eq!(of_budget(&[0.25, 0.5], 5), 0.25);
        assert_eq!(of_budget(&[], 5), 0.0);
        assert_eq!(of_budget(&[1.0, 1.0], 1), 1.0, "no score is above 1");
    }
}
