//! Rows with labels -> a calibrated model with thresholds.
//!
//! `gather`, `split` -> **fit** -> `judge`, the model folder
//!
//! 1. A model of the first part of the training scores the last part, which it has not seen.
//! 2. Of these margins come the calibration map and the thresholds.
//! 3. The same trainer on all of the training gives the model that is kept.
//!
//! Holds: nothing here looks at what is judged on.

use super::bars::Bars;
use super::gather::Gathered;
use super::split::{DAY_MS, Split};
use anyhow::{Context, anyhow};
use cartguard_forest::{Model, Score};
use cartguard_train::boosted::Boosted;
use cartguard_train::calibrate::{self, Margins};
use cartguard_train::forest::Forest;
use cartguard_train::logistic::Logistic;
use cartguard_train::rows::balanced_weights;
use cartguard_train::{Rows, Trained, Trainer, TrainingSet, threshold, train};
use clap::ValueEnum;

/// Which trainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Algorithm {
    /// Logistic regression
    Logistic,
    /// Random forest
    Forest,
    /// Gradient boosted trees
    Boosted,
}

/// What is wanted of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Wish {
    pub(crate) algorithm: Algorithm,
    pub(crate) trees: Option<usize>,
    pub(crate) depth: Option<usize>,
    pub(crate) rate: Option<f64>,
    pub(crate) seed: u64,
    /// Both labels count alike in sum.
    pub(crate) balanced: bool,
    pub(crate) threads: usize,
    /// Events to review a day; none: one of a hundred.
    pub(crate) alerts_per_day: Option<f64>,
    /// Precision of what is reviewed, instead of a budget.
    pub(crate) review_precision: Option<f64>,
    /// Precision of what is declined.
    pub(crate) decline_precision: f64,
}

/// Of all events, what is reviewed where nothing is said.
const ALERT_SHARE: f64 = 0.01;

/// A model that is ready for its folder.
pub(crate) struct Fitted {
    /// Scores without the map.
    pub(crate) trained: Trained,
    pub(crate) trainer: Box<dyn Trainer>,
    pub(crate) calibration: calibrate::Fit,
    pub(crate) review_at: f32,
    pub(crate) decline_at: f32,
    /// The rows that it was trained on, by event.
    pub(crate) rows: Vec<u32>,
    pub(crate) frauds: usize,
    /// Calibrated scores of the part that the map comes of, by a model that had not seen it.
    pub(crate) unseen: Vec<f64>,
    /// Features that had infinite values, which count as missing, and how many.
    pub(crate) infinite: usize,
}

impl Fitted {
    /// The model as it scores in the engine.
    pub(crate) fn model(&self) -> anyhow::Result<Model> {
        let model = Model::from_bytes(self.trained.format, &self.trained.bytes)?;
        Ok(model.calibrated(self.calibration.map.clone()))
    }
}

/// Fits, calibrates, picks thresholds, fits again.
pub(crate) fn fit(history: &Gathered, split: &Split, wish: &Wish, bars: &Bars) -> anyhow::Result<Fitted> {
    let trainer = trainer(wish);
    let known = split.known_until();
    let first = chosen(history, split.fit, known);
    let part = chosen(history, split.calibrate, known);
    let whole = chosen(history, split.training(), known);
    let (set, _) =
        set(history, &first, known, wish).context("the part of the training before the calibration")?;
    let one = train(trainer.as_ref(), &set, &bars.steps("fit 1 of 2"))?;
    drop(set);
    let margins: Vec<f64> = scores(&one.model, history, &part).iter().map(|score| score.margin).collect();
    let fraud: Vec<bool> =
        part.iter().map(|at| history.truth_at(*at as usize, known) == Some(true)).collect();
    let days: Vec<i64> =
        part.iter().map(|at| history.events[*at as usize].time_ms.div_euclid(DAY_MS)).collect();
    let calibration = calibrate::fit(Margins { margins: &margins, fraud: &fraud, days: &days })
        .with_context(|| {
            let days = (history.settled_after(known) as f64 / DAY_MS as f64).ceil();
            format!(
                "the part of the training that is calibrated on (nine of ten genuine events are known to be so after {days} days: with a longer --gap, \
                 or an earlier --until, younger ones are left out)"
            )
        })?;
    let unseen: Vec<f64> = margins.iter().map(|margin| calibration.map.score_of(*margin)).collect();
    let span = (split.calibrate.1 - split.calibrate.0) as f64 / DAY_MS as f64;
    let (review_at, decline_at) = thresholds(&unseen, &fraud, span, wish);
    let (set, infinite) = self::set(history, &whole, known, wish)?;
    let trained = train(trainer.as_ref(), &set, &bars.steps("fit 2 of 2"))?;
    let frauds = set.fraud().iter().filter(|fraud| **fraud).count();
    Ok(Fitted { trained, trainer, calibration, review_at, decline_at, rows: whole, frauds, unseen, infinite })
}

pub(super) fn trainer(wish: &Wish) -> Box<dyn Trainer> {
    let Wish { trees, depth, rate, seed, threads, .. } = *wish;
    match wish.algorithm {
        Algorithm::Logistic => Box::new(Logistic { threads, ..Logistic::default() }),
        Algorithm::Forest => {
            let base = Forest::default();
            let (trees, depth) = (trees.unwrap_or(base.trees), depth.unwrap_or(base.depth));
            Box::new(Forest { trees, depth, seed, threads, ..base })
        }
        Algorithm::Boosted => {
            let base = Boosted::default();
            let (trees, depth) = (trees.unwrap_or(base.trees), depth.unwrap_or(base.depth));
            Box::new(Boosted { trees, depth, rate: rate.unwrap_or(base.rate), seed, threads, ..base })
        }
    }
}

/// The events of a time whose label was known.
pub(super) fn chosen(history: &Gathered, (from, until): (i64, i64), known: i64) -> Vec<u32> {
    let in_time = |at: &u32| (from..until).contains(&history.events[*at as usize].time_ms);
    let labelled = |at: &u32| history.truth_at(*at as usize, known).is_some();
    (0..history.events.len() as u32).filter(in_time).filter(labelled).collect()
}

/// Their rows; an infinite value, which no trainer takes, counts as missing.
pub(super) fn set(
    history: &Gathered,
    events: &[u32],
    known: i64,
    wish: &Wish,
) -> anyhow::Result<(TrainingSet, usize)> {
    let width = history.width();
    let mut values = Vec::with_capacity(events.len() * width);
    for &at in events {
        values.extend_from_slice(&history.values[at as usize * width..][..width]);
    }
    let mut infinite = 0;
    for value in values.iter_mut().filter(|value| value.is_infinite()) {
        *value = f32::NAN;
        infinite += 1;
    }
    let fraud: Vec<bool> =
        events.iter().map(|at| history.truth_at(*at as usize, known) == Some(true)).collect();
    let weights = wish.balanced.then(|| balanced_weights(&fraud));
    let set = TrainingSet::new(Rows::new(history.names.clone(), values), fraud, weights);
    Ok((set.map_err(|why| anyhow!(why))?, infinite))
}

/// Scores of events as the engine gives them.
pub(super) fn scores(model: &Model, history: &Gathered, events: &[u32]) -> Vec<Score> {
    let width = history.width();
    let mut scratch = model.scratch();
    let (mut rows, mut scores) = (Vec::new(), vec![Score::default(); events.len()]);
    for (events, out) in events.chunks(4_096).zip(scores.chunks_mut(4_096)) {
        rows.clear();
        for &at in events {
            rows.extend_from_slice(&history.values[at as usize * width..][..width]);
        }
        model.score_rows(&rows, width, &mut scratch, out);
    }
    scores
}

/// From which score on is reviewed and declined, by scores of so many days.
pub(super) fn thresholds(scores: &[f64], fraud: &[bool], days: f64, wish: &Wish) -> (f32, f32) {
    let budget = match wish.alerts_per_day {
        Some(alerts) => (alerts * days) as usize,
        None => (scores.len() as f64 * ALERT_SHARE) as usize,
    };
    let of_budget = threshold::of_budget(scores, budget);
    let review = match wish.review_precision {
        Some(precision) => threshold::of_precision(scores, fraud, precision).unwrap_or(of_budget),
        None => of_budget,
    };
    // Where no score is sure enough nothing is declined: 1 is above what the map gives.
    let decline = threshold::of_precision(scores, fraud, wish.decline_precision).unwrap_or(1.0);
    (review.clamp(0.0, 1.0), decline.clamp(review.clamp(0.0, 1.0), 1.0))
}
