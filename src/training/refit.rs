//! One model after the other, each on what is known by its time.
//!
//! `gather` -> **refit** (`fit`'s trainer, set, thresholds) -> the model of a step
//!
//! A step fits once, on everything before it whose label is known by then, but for the youngest events where fraud is known earlier than that an order
//! is genuine: of those only frauds have labels, and neither a model nor a map learns from them alone. The calibration map and the thresholds come of scores that
//! earlier models gave to events they had not seen, once their labels are known; before the first step there are none, so a model
//! of the first part of what is known scores the last part for it.
//!
//! Holds: nothing that became known after a step's begin, and no event behind it, has a say in its model; no model is calibrated on
//! rows that it was fitted on.

use super::fit::{Wish, chosen, scores, set, thresholds, trainer};
use super::gather::Gathered;
use super::judge::midnight;
use super::split::{DAY_MS, Said, Split};
use anyhow::Context;
use cartguard_forest::Model;
use cartguard_train::calibrate::{self, Margins};
use cartguard_train::{Trainer, Watch, train};

/// Makes the models of a backtest.
pub(crate) struct Refits {
    wish: Wish,
    trainer: Box<dyn Trainer>,
    /// Events and the margins that a model gave them which had not seen them.
    unseen: Vec<(u32, f64)>,
    /// The model in force, without its map, and the first event that it scores.
    in_force: Option<(Model, u32)>,
}

/// The model of a step.
pub(crate) struct Refitted {
    /// Its scores are calibrated.
    pub(crate) model: Model,
    pub(crate) review_at: f32,
    pub(crate) decline_at: f32,
    pub(crate) rows: usize,
    pub(crate) frauds: usize,
}

impl Refits {
    pub(crate) fn new(wish: Wish) -> Self {
        Self { trainer: trainer(&wish), wish, unseen: Vec::new(), in_force: None }
    }

    /// Fits on the events so far whose label was known at a time, and which are old enough for either; the model is for those that come.
    pub(crate) fn fit(
        &mut self,
        history: &Gathered,
        at_ms: i64,
        watch: &dyn Watch,
    ) -> anyhow::Result<Refitted> {
        let known = at_ms;
        let settled = at_ms.saturating_sub(history.settled_after(known));
        let events = chosen(history, (i64::MIN, at_ms.min(settled.saturating_add(1))), known);
        match self.in_force.take() {
            Some((model, first)) => {
                let given: Vec<u32> = (first..history.events.len() as u32).collect();
                self.keep(&model, history, &given);
            }
            None => self.begin(history, &events, known, watch)?,
        }
        let (set, _) = set(history, &events, known, &self.wish)?;
        let frauds = set.fraud().iter().filter(|fraud| **fraud).count();
        let trained = train(self.trainer.as_ref(), &set, watch)?;
        let labelled = self
            .unseen
            .iter()
            .filter(|(event, _)| history.events[*event as usize].time_ms <= settled)
            .filter_map(|&(event, margin)| Some((event, margin, history.truth_at(event as usize, known)?)));
        let (mut margins, mut fraud, mut days) = (Vec::new(), Vec::new(), Vec::new());
        for (event, margin, is_fraud) in labelled {
            margins.push(margin);
            fraud.push(is_fraud);
            days.push(midnight(history.events[event as usize].time_ms) / DAY_MS);
        }
        let map = calibrate::fit(Margins { margins: &margins, fraud: &fraud, days: &days })
            .context("scores of events that the models had not seen")?
            .map;
        let scores: Vec<f64> = margins.iter().map(|margin| map.score_of(*margin)).collect();
        days.sort_unstable();
        days.dedup();
        let (review_at, decline_at) = thresholds(&scores, &fraud, days.len() as f64, &self.wish);
        let model = Model::from_bytes(trained.format, &trained.bytes)?.calibrated(map);
        self.in_force = Some((trained.model, history.events.len() as u32));
        Ok(Refitted { model, review_at, decline_at, rows: events.len(), frauds })
    }

    /// Before the first step: scores of the last part of what is known, by a model of the first.
    fn begin(
        &mut self,
        history: &Gathered,
        events: &[u32],
        known: i64,
        watch: &dyn Watch,
    ) -> anyhow::Result<()> {
        let times = || events.iter().map(|at| history.events[*at as usize].time_ms);
        let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let split = Split::of(first, last, Said { no_test: true, ..Said::default() });
        let split = split.map_err(anyhow::Error::msg)?;
        let (set, _) = set(history, &chosen(history, split.fit, known), known, &self.wish)?;
        let one = train(self.trainer.as_ref(), &set, watch)?;
        self.keep(&one.model, history, &chosen(history, split.calibrate, known));
        Ok(())
    }

    fn keep(&mut self, model: &Model, history: &Gathered, events: &[u32]) {
        let scores = scores(model, history, events);
        self.unseen.extend(events.iter().copied().zip(scores.iter().map(|score| score.margin)));
    }
}
