//! What came of challengers so far, for people: in status, in `shadow.json`.
//!
//! `hand`, `scoring` -> **figures** -> `watch`, `report`
//!
//! Holds: the engine's thread touches one counter of it and no lock. Names are a contract.

use crate::drift::{LARGE, Seen, Shift};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Default)]
pub(crate) struct Figures {
    skipped: AtomicU64,
    told: Mutex<Told>,
}

/// What the thread of the challengers tells.
#[derive(Default)]
pub(super) struct Told {
    pub(super) models: BTreeMap<String, OfModel>,
    /// Of the model that decides, where its manifest says what it was trained on.
    pub(super) drift: Option<Seen>,
    /// Scores that no file took.
    pub(super) unwritten: u64,
}

/// One challenger.
pub(super) struct OfModel {
    pub(super) is_in_shadow: bool,
    pub(super) has_panicked: bool,
    pub(super) scored: u64,
    /// Of them, those that it decides as the model that decides.
    pub(super) agreed: u64,
    /// NaN, or outside 0 to 1.
    pub(super) out_of_range: u64,
    /// ns an event.
    pub(super) latency: Histogram<u64>,
}

impl Default for OfModel {
    fn default() -> Self {
        // Up to a minute, three digits.
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("constant bounds are valid");
        Self { is_in_shadow: true, has_panicked: false, scored: 0, agreed: 0, out_of_range: 0, latency }
    }
}

impl Figures {
    /// So many events had no room.
    pub(super) fn skip(&self, events: u64) {
        self.skipped.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        // What it guards is whole whenever its lock is free.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events that challengers should have scored, and had no room.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// All of it, with so many features that moved most.
    pub(crate) fn to_json(&self, features: usize) -> Value {
        let told = self.told();
        let models = told.models.iter().map(|(name, of)| {
            let us = |quantile| of.latency.value_at_quantile(quantile) as f64 / 1e3;
            json!({
                "model": name, "in_shadow": of.is_in_shadow, "panicked": of.has_panicked, "scored": of.scored,
                "agreed": of.agreed, "out_of_range": of.out_of_range,
                "latency_us": { "p50": us(0.5), "p99": us(0.99), "max": of.latency.max() as f64 / 1e3 },
            })
        });
        json!({
            "skipped": self.skipped(),
            "unwritten": told.unwritten,
            "models": models.collect::<Vec<_>>(),
            "drift": told.drift.as_ref().map(|seen| drift(seen, features)),
        })
    }
}

/// What a model's features and scores have moved by, for status and `model drift`.
pub(crate) fn drift(seen: &Seen, most: usize) -> Value {
    let (score, features) = seen.shifts();
    json!({
        "model": seen.baseline().model,
        "events": seen.events(),
        "score": score.as_ref().map(shift),
        "large": features.iter().filter(|feature| feature.index >= LARGE).count(),
        "features": features.iter().take(most).map(shift).collect::<Vec<_>>(),
    })
}

fn shift(shift: &Shift) -> Value {
    let digits = |number: f64| (number * 1e6).round() / 1e6;
    json!({
        "name": shift.name, "psi": digits(shift.index), "missing": digits(shift.missing),
        "missing_trained": digits(shift.missing_trained),
    })
}
