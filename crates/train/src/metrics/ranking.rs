//! How well scores put fraud above the rest: ROC area, average precision, recall at a few false positives.
//!
//! scores -> **ranking** -> `judge`, `bootstrap`
//!
//! The events are sorted once; a pass over them gives all three, for any weight of each day, which is what resampling
//! needs.
//!
//! Holds: the definitions are scikit-learn's (`roc_auc_score`, `average_precision_score`, `roc_curve`), ties included: events
//! of one score are above a threshold together; sums are of whole numbers, so their order does not matter.

/// Shares of false positives at which recall is told.
pub const FALSE_POSITIVES: [f64; 3] = [0.001, 0.005, 0.01];

const FRAUD: u32 = 1 << 31;
/// The last of a score.
const LAST: u32 = 1 << 30;
const DAY: u32 = LAST - 1;

/// Events from the highest score to the lowest.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// A bit for fraud, one for the last event of a score, and the day.
    events: Vec<u32>,
    /// By day: frauds and others.
    frauds: Vec<u64>,
    legits: Vec<u64>,
}

/// What a pass comes to; NaN where a label is absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    pub auc: f64,
    pub average_precision: f64,
    /// By [`FALSE_POSITIVES`].
    pub recall: [f64; 3],
}

/// A place of the curve of precision over recall.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Point {
    pub score: f64,
    pub recall: f64,
    pub precision: f64,
    /// Share of the others that is above.
    pub false_positives: f64,
}

/// The order of events from the highest score to the lowest, ties in their own order; NaN is lowest.
pub(super) fn order(scores: &[f64]) -> Vec<u32> {
    let mut keys: Vec<(u64, u32)> =
        scores.iter().enumerate().map(|(at, score)| (descending(*score), at as u32)).collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, at)| at).collect()
}

/// Whole numbers in the opposite order of the floats; both zeros are one.
fn descending(score: f64) -> u64 {
    if score.is_nan() {
        return u64::MAX;
    }
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    !ascending
}

impl Ranking {
    /// `days` are numbers from 0 on, of which there are `day_count`.
    pub(super) fn new(scores: &[f64], fraud: &[bool], days: &[u32], day_count: usize) -> Self {
        let order = order(scores);
        let (mut frauds, mut legits) = (vec![0; day_count], vec![0; day_count]);
        let mut events = Vec::with_capacity(order.len());
        for (place, &at) in order.iter().enumerate() {
            let at = at as usize;
            let is_last = order
                .get(place + 1)
                .is_none_or(|next| descending(scores[*next as usize]) != descending(scores[at]));
            let mut event = days[at] & DAY;
            event |= if fraud[at] { FRAUD } else { 0 };
            event |= if is_last { LAST } else { 0 };
            events.push(event);
            *(if fraud[at] { &mut frauds[days[at] as usize] } else { &mut legits[days[at] as usize] }) += 1;
        }
        Self { events, frauds, legits }
    }

    /// One pass; `weights` says how often each day counts.
    pub fn pass(&self, weights: &[u32]) -> Ranked {
        let total = |counts: &[u64]| -> u64 {
            counts.iter().zip(weights).map(|(count, weight)| count * u64::from(*weight)).sum()
        };
        let (frauds, legits) = (total(&self.frauds), total(&self.legits));
        let bounds = FALSE_POSITIVES.map(|share| (share * legits as f64 + 1e-9).floor() as u64);
        let mut recalled = [0u64; 3];
        let (mut hits, mut misses) = (0u64, 0u64);
        let (mut hits_before, mut misses_before) = (0u64, 0u64);
        // Twice the number of pairs in the right order; a tie is half a pair.
        let mut pairs = 0u64;
        let mut precision = 0.0;
        for &event in &self.events {
            let weight = u64::from(weights[(event & DAY) as usize]);
            if event & FRAUD != 0 {
                hits += weight;
            } else {
                misses += weight;
            }
            if event & LAST == 0 {
                continue;
            }
            let new_hits = hits - hits_before;
            pairs += (misses - misses_before) * (2 * hits_before + new_hits);
            if new_hits > 0 {
                precision += new_hits as f64 * (hits as f64 / (hits + misses) as f64);
            }
            for (bound, recalled) in bounds.iter().zip(&mut recalled) {
                if misses <= *bound {
                    *recalled = hits;
                }
            }
            (hits_before, misses_before) = (hits, misses);
        }
        let of = |part: f64, whole: u64| if whole > 0 { part / whole as f64 } else { f64::NAN };
        Ranked {
            auc: if frauds > 0 && legits > 0 {
                pairs as f64 / (2.0 * frauds as f64 * legits as f64)
            } else {
                f64::NAN
            },
            average_precision: of(precision, frauds),
            recall: recalled.map(|hits| if legits > 0 { of(hits as f64, frauds) } else { f64::NAN }),
        }
    }
}

/// Places of the curve, at most `points` of them besides the last, spread over the recall.
pub(super) fn curve(scores: &[f64], fraud: &[bool], points: usize) -> Vec<Point> {
    let order = order(scores);
    let frauds = fraud.iter().filter(|fraud| **fraud).count();
    let legits = fraud.len() - frauds;
    if frauds == 0 {
        return Vec::new();
    }
    let step = frauds.div_ceil(points.max(1));
    let (mut curve, mut hits, mut told) = (Vec::new(), 0usize, 0usize);
    for (place, &at) in order.iter().enumerate() {
        hits += usize::from(fraud[at as usize]);
        let is_last = order.get(place + 1).is_none_or(|next| scores[*next as usize] != scores[at as usize]);
        if is_last && (hits >= told + step || (told == 0 && hits > 0)) {
            curve.push(Point {
                score: scores[at as usize],
                recall: hits as f64 / frauds as f64,
                precision: hits as f64 / (place + 1) as f64,
                false_positives: (place + 1 - hits) as f64 / legits.max(1) as f64,
            });
            told = hits;
        }
    }
    curve
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definitions, as slowly as they can be written.
    pub(crate) fn naive(scores: &[f64], fraud: &[bool]) -> Ranked {
        let both: Vec<(f64, bool)> = scores.iter().copied().zip(fraud.iter().copied()).collect();
        let count = |of: &dyn Fn(f64, bool) -> bool| both.iter().filter(|(s, f)| of(*s, *f)).count() as f64;
        let (frauds, legits) = (count(&|_, f| f), count(&|_, f| !f));
        let mut right = 0.0;
        for (a, _) in both.iter().filter(|(_, fraud)| *fraud) {
            for (b, _) in both.iter().filter(|(_, fraud)| !*fraud) {
                right += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
            }
        }
        let mut thresholds = scores.to_vec();
        thresholds.sort_by(|a, b| b.total_cmp(a));
        thresholds.dedup();
        let (mut average_precision, mut before) = (0.0, 0.0);
        let mut recall = [0.0; 3];
        for threshold in thresholds {
            let hits = count(&|s, f| f && s >= threshold);
            let above = count(&|s, _| s >= threshold);
            average_precision += (hits - before) / frauds * (hits / above);
            before = hits;
            for (share, recall) in FALSE_POSITIVES.iter().zip(&mut recall) {
                if above - hits <= share * legits {
                    *recall = hits / frauds;
                }
            }
        }
        Ranked { auc: right / (frauds * legits), average_precision, recall }
    }

    fn hold(found: Ranked, wanted: Ranked) {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(found.auc, wanted.auc), "{found:?} {wanted:?}");
        assert!(near(found.average_precision, wanted.average_precision), "{found:?} {wanted:?}");
        for (a, b) in found.recall.iter().zip(wanted.recall) {
            assert!(near(*a, b), "{found:?} {wanted:?}");
        }
    }

    proptest! {
        #[test]
        fn a_pass_is_the_definition(
            // Few different scores: many ties.
            events in prop::collection::vec((0u8..20, any::<bool>(), 0u32..3), 2..120),
            weights in prop::collection::vec(0u32..3, 3),
        ) {
            let mut repeated: Vec<(f64, bool)> = Vec::new();
            for (score, fraud, day) in &events {
                for _ in 0..weights[*day as usize] {
                    repeated.push((f64::from(*score) / 7.0, *fraud));
                }
            }
            prop_assume!(repeated.iter().any(|(_, fraud)| *fraud) && repeated.iter().any(|(_, fraud)| !fraud));
            let scores: Vec<f64> = events.iter().map(|(score, ..)| f64::from(*score) / 7.0).collect();
            let fraud: Vec<bool> = events.iter().map(|(_, fraud, _)| *fraud).collect();
            let days: Vec<u32> = events.iter().map(|(.., day)| *day).collect();
            let found = Ranking::new(&scores, &fraud, &days, 3).pass(&weights);
            let (scores, fraud): (Vec<f64>, Vec<bool>) = repeated.into_iter().unzip();
            hold(found, naive(&scores, &fraud));
        }
    }

    #[test]
    fn without_fraud_there_is_nothing_to_rank() {
        let ranked = Ranking::new(&[0.1, 0.2], &[false, false], &[0, 0], 1).pass(&[1]);
        assert!(ranked.auc.is_nan() && ranked.average_precision.is_nan() && ranked.recall[0].is_nan());
    }

    #[test]
    fn no_score_is_below_every_score() {
        assert_eq!(order(&[f64::NAN, -1.0, 0.0, 2.0, -0.0]), [3, 2, 4, 1, 0]);
    }

    #[test]
    fn the_curve_ends_with_every_fraud_found() {
        let scores = [0.9, 0.8, 0.8, 0.3, 0.1];
        let curve = curve(&scores, &[true, false, true, true, false], 100);
        let places: Vec<(f64, f64)> = curve.iter().map(|point| (point.recall, point.precision)).collect();
        assert_eq!(places, [(1.0 / 3.0, 1.0), (2.0 / 3.0, 2.0 / 3.0), (1.0, 0.75)]);
        assert_eq!(curve[2].false_positives, 0.5);
    }
}
