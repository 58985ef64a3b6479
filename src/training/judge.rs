//! Models on events whose truth is known.
//!
//! rows, model -> **judge** (crates/train's metrics) -> `report`
//!
//! Holds: what is judged has a label by all that is known now, and lies in the time asked for; scores are those that the engine
//! gives.

use super::fit::scores;
use super::gather::Gathered;
use super::split::DAY_MS;
use anyhow::anyhow;
use cartguard_forest::Model;
use cartguard_train::metrics::daily::without_known_cards;
use cartguard_train::metrics::scenarios::{Scenario, Story, scenarios};
use cartguard_train::metrics::{self, Judgement, Scored, Settings};

/// How it is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Eye {
    /// Events, from the first time on and before the second.
    pub(crate) time: (i64, i64),
    /// Events and cards looked at a day.
    pub(crate) k: usize,
    /// A card leaves once a fraud of it is known, if that fraud was at this time or later.
    pub(crate) leave_from: Option<i64>,
    pub(crate) cards: bool,
}

/// A model and what it decides from.
pub(crate) struct ScoredModel<'a> {
    pub(crate) model: &'a Model,
    /// For each of the model's features its place in the rows.
    pub(crate) features: Vec<usize>,
    pub(crate) review_at: f32,
    pub(crate) decline_at: f32,
}

impl ScoredModel<'_> {
    /// The model's rows of some events, spread over all.
    pub(crate) fn rows(&self, history: &Gathered, events: &[u32], most: usize) -> Vec<f32> {
        let width = history.width();
        let mut rows = Vec::new();
        for at in events.iter().step_by(events.len().div_ceil(most).max(1)) {
            let values = &history.values[*at as usize * width..][..width];
            rows.extend(self.features.iter().map(|feature| values[*feature]));
        }
        rows
    }
}

/// Events with one model's scores.
pub(crate) struct Seen {
    pub(crate) events: Vec<u32>,
    pub(crate) scores: Vec<f64>,
    fraud: Vec<bool>,
    time_ms: Vec<i64>,
    amount: Vec<f64>,
    cards: Vec<u64>,
    /// Of every event where labels name kinds of fraud; else empty.
    stories: Vec<Story>,
    kinds: Vec<String>,
    settings: Settings,
}

impl Seen {
    pub(crate) fn scored(&self) -> Scored<'_> {
        let Self { scores, fraud, time_ms, amount, cards, .. } = self;
        Scored { scores, fraud, time_ms, amount, cards }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn fraud(&self) -> &[bool] {
        &self.fraud
    }

    /// How soon each kind of fraud is found; none where labels name no kinds.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        if self.kinds.is_empty() {
            return Vec::new();
        }
        let thresholds = (self.settings.review_at, self.settings.decline_at);
        scenarios(&self.scored(), &self.stories, &self.kinds, thresholds)
    }
}

/// Scores what is looked at.
pub(crate) fn scored(history: &Gathered, model: &ScoredModel<'_>, eye: &Eye) -> anyhow::Result<Seen> {
    seen(history, eye, (model.review_at, model.decline_at), |events| model_scores(history, model, events))
}

/// What is looked at, with scores that may have been given long ago, and the thresholds that go with them.
pub(crate) fn seen(
    history: &Gathered,
    eye: &Eye,
    (review_at, decline_at): (f32, f32),
    scores: impl FnOnce(&[u32]) -> Vec<f64>,
) -> anyhow::Result<Seen> {
    let (from, until) = eye.time;
    let mut events: Vec<u32> = (0..history.events.len() as u32)
        .filter(|at| (from..until).contains(&history.events[*at as usize].time_ms))
        .filter(|at| history.truth(*at as usize).is_some())
        .collect();
    if let Some(leave_from) = eye.leave_from {
        let known = (0..history.events.len()).filter(|at| history.events[*at].time_ms >= leave_from);
        let known = known.filter_map(|at| Some((history.events[at].card, history.fraud_known_at(at)?)));
        let times: Vec<i64> = events.iter().map(|at| history.events[*at as usize].time_ms).collect();
        let cards: Vec<u64> = events.iter().map(|at| history.events[*at as usize].card).collect();
        let mut left = without_known_cards(&times, &cards, known).into_iter();
        events.retain(|_| left.next() == Some(true));
    }
    let fraud: Vec<bool> = events.iter().map(|at| history.truth(*at as usize) == Some(true)).collect();
    let frauds = fraud.iter().filter(|fraud| **fraud).count();
    if frauds == 0 || frauds == fraud.len() {
        return Err(anyhow!(
            "{} events with a label are to be judged on, {frauds} of them fraud: both kinds are needed",
            fraud.len()
        ));
    }
    let of = |at: &u32| history.events[*at as usize];
    Ok(Seen {
        scores: scores(&events),
        fraud,
        time_ms: events.iter().map(|at| of(at).time_ms).collect(),
        amount: events.iter().map(|at| of(at).amount).collect(),
        cards: if eye.cards { events.iter().map(|at| of(at).card).collect() } else { Vec::new() },
        stories: if history.kinds.is_empty() {
            Vec::new()
        } else {
            events.iter().map(|at| history.story(*at as usize)).collect()
        },
        kinds: history.kinds.clone(),
        settings: Settings { k: eye.k, review_at: f64::from(review_at), decline_at: f64::from(decline_at) },
        events,
    })
}

/// Scores by a model that may read other features, in another order.
fn model_scores(history: &Gathered, model: &ScoredModel<'_>, events: &[u32]) -> Vec<f64> {
    if model.features.iter().copied().eq(0..history.width()) {
        return scores(model.model, history, events).iter().map(|score| score.score).collect();
    }
    let (width, mut scratch) = (history.width(), model.model.scratch());
    let mut row = Vec::new();
    let score = |at: &u32| {
        row.clear();
        let values = &history.values[*at as usize * width..][..width];
        row.extend(model.features.iter().map(|feature| values[*feature]));
        model.model.score_one(&row, &mut scratch).score
    };
    events.iter().map(score).collect()
}

/// Judges what was scored.
pub(crate) fn judge(seen: &Seen) -> Judgement {
    metrics::judge(&seen.scored(), &seen.settings)
}

/// Midnight UTC of the day.
pub(crate) fn midnight(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS) * DAY_MS
}
