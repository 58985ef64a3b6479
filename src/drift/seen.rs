//! What was seen of a model's features and scores lately, bin by bin.
//!
//! rows -> **seen** -> [`Shift`]s
//!
//! Holds: it tells of the newest [`HALF`] to 2 · [`HALF`] events that were counted, so that a shift shows soon and a past one passes.

use super::{Histogram, share};
use std::cmp::Ordering;
use std::sync::Arc;

/// Events after which the older half is forgotten. Derived: of 21 bins chance then brings 0.0004 to the index, which is far below what
/// anybody looks at; at 10 events a second and a share of 0.1 it is half a day.
const HALF: u64 = 50_000;

/// What a model was trained on.
#[derive(Debug)]
pub(crate) struct Baseline {
    /// `NAME/VERSION`
    pub(crate) model: String,
    /// One a feature of the model, in its order; its name is the feature's.
    pub(crate) features: Vec<Histogram>,
    pub(crate) score: Histogram,
}

/// How far one of them has moved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shift {
    pub(crate) name: String,
    /// Population stability index.
    pub(crate) index: f64,
    /// Shares of missing values, in training and lately.
    pub(crate) missing_trained: f64,
    pub(crate) missing: f64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Seen {
    baseline: Arc<Baseline>,
    /// First bin of each feature in counts, then of the score, then the end.
    places: Vec<usize>,
    now: Half,
    before: Half,
}

#[derive(Clone, Debug, Default)]
struct Half {
    events: u64,
    counts: Vec<u64>,
}

impl Seen {
    pub(crate) fn new(baseline: Arc<Baseline>) -> Self {
        let mut places = vec![0];
        for histogram in baseline.features.iter().chain([&baseline.score]) {
            places.push(places.last().copied().unwrap_or_default() + histogram.bins());
        }
        let bins = places.last().copied().unwrap_or_default();
        let half = Half { events: 0, counts: vec![0; bins] };
        Self { baseline, places, now: half.clone(), before: half }
    }

    pub(crate) fn baseline(&self) -> &Arc<Baseline> {
        &self.baseline
    }

    /// Counts an event: the values of the model's features in its order, and its score.
    pub(crate) fn count(&mut self, values: impl Iterator<Item = f32>, score: Option<f64>) {
        if self.now.events == HALF {
            std::mem::swap(&mut self.now, &mut self.before);
            self.now.events = 0;
            self.now.counts.fill(0);
        }
        self.now.events += 1;
        let baseline = &self.baseline;
        let score = score.map_or(f32::NAN, |score| score as f32);
        for ((histogram, place), value) in
            baseline.features.iter().chain([&baseline.score]).zip(&self.places).zip(values.chain([score]))
        {
            self.now.counts[place + histogram.bin(value)] += 1;
        }
    }

    /// Events of which it tells.
    pub(crate) fn events(&self) -> u64 {
        self.now.events + self.before.events
    }

    /// The score's, and those of the features, the largest first; nothing where nothing was seen, or the training had none.
    pub(crate) fn shifts(&self) -> (Option<Shift>, Vec<Shift>) {
        let all = self.baseline.features.iter().chain([&self.baseline.score]).zip(self.places.windows(2));
        let mut shifts: Vec<Option<Shift>> = all
            .map(|(histogram, place)| {
                let seen: Vec<u64> =
                    (place[0]..place[1]).map(|bin| self.now.counts[bin] + self.before.counts[bin]).collect();
                let missing = seen.last().copied().unwrap_or_default();
                Some(Shift {
                    name: histogram.name.clone(),
                    index: histogram.shift(&seen)?,
                    missing_trained: histogram.missing_share(),
                    missing: share(missing, self.events()),
                })
            })
            .collect();
        let score = shifts.pop().flatten();
        let mut features: Vec<Shift> = shifts.into_iter().flatten().collect();
        let order = |one: &Shift, other: &Shift| match other.index.total_cmp(&one.index) {
            Ordering::Equal => one.name.cmp(&other.name),
            order => order,
        };
        features.sort_by(order);
        (score, features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline() -> Arc<Baseline> {
        let features = vec![
            Histogram::of("steady", (0..1_000).map(|at| at as f32)),
            Histogram::of("moved", (0..1_000).map(|at| at as f32)),
            Histogram::of("gone", (0..1_000).map(|at| if at < 10 { f32::NAN } else { 1.0 })),
        ];
        let score = Histogram::of("score", (0..1_000).map(|at| at as f32 / 1_000.0));
        Arc::new(Baseline { model: "m/1".to_owned(), features, score })
    }

    fn fill(seen: &mut Seen, events: u64, by: f32) {
        for at in 0..events {
            let value = (at % 1_000) as f32;
            seen.count([value, value + by, f32::NAN].into_iter(), Some(f64::from(value / 1_000.0)));
        }
    }

    #[test]
    fn what_moved_most_comes_first_and_missing_is_a_bin() {
        let mut seen = Seen::new(baseline());
        assert_eq!((seen.events(), seen.shifts()), (0, (None, vec![])));
        fill(&mut seen, 2_000, 300.0);
        let (score, features) = seen.shifts();
        let names: Vec<_> = features.iter().map(|shift| shift.name.as_str()).collect();
        assert_eq!(names, ["gone", "moved", "steady"]);
        assert!(features[1].index > 1.0 && features[2].index < 1e-9, "{features:?}");
        assert_eq!((features[0].missing_trained, features[0].missing), (0.01, 1.0));
        assert!(score.expect("scores").index < 1e-9);
    }

    #[test]
    fn what_is_past_passes() {
        let mut seen = Seen::new(baseline());
        fill(&mut seen, HALF, 300.0);
        assert!(seen.shifts().1.iter().any(|shift| shift.name == "moved" && shift.index > 1.0));
        fill(&mut seen, 2 * HALF, 0.0);
        assert_eq!(seen.events(), 2 * HALF);
        assert!(seen.shifts().1.iter().any(|shift| shift.name == "moved" && shift.index < 1e-6));
    }
}
