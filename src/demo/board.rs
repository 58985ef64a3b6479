//! What the demo knows of the running pipeline, between the thread that works and the one that shows.
//!
//! pipeline -> **board** -> view, plain lines

use super::Arguments;
use crate::pipeline::Progress;
use crate::summary::Latency;
use cartguard_engine::batch::Counts;
use serde::Deserialize;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Alerts that are kept to be shown.
const ALERTS: usize = 40;
/// Latency is read from the histogram this often: it takes a walk over its buckets.
const REFRESH: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Board {
    started: Instant,
    pub(super) rate: Option<f64>,
    /// What ends the demo: a number of events, or seconds.
    pub(super) events: Option<u64>,
    pub(super) seconds: f64,
    /// Written after batches, read by the view.
    now: Mutex<Now>,
}

/// The state of things.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    pub(super) counts: Counts,
    pub(super) latency: Option<Latency>,
    /// Lines of the last alerts, newest last.
    pub(super) alerts: VecDeque<Vec<u8>>,
    refreshed: Option<Instant>,
    /// Events a second over the last stretch.
    pub(super) speed: f64,
    last: Option<(Instant, u64)>,
}

/// An alert as the view reads it.
#[derive(Debug, Deserialize)]
pub(super) struct Alert {
    pub(super) event_id: String,
    pub(super) event_time: String,
    pub(super) decision: String,
    pub(super) score: Option<f64>,
    pub(super) amount: serde_json::Value,
    pub(super) currency: Option<String>,
    pub(super) reasons: Vec<AlertReason>,
}

/// Why.
#[derive(Debug, Deserialize)]
pub(super) struct AlertReason {
    pub(super) text: String,
}

impl Board {
    pub(super) fn new(arguments: &Arguments, rate: Option<f64>, started: Instant) -> Self {
        Self { started, rate, events: arguments.events, seconds: arguments.seconds, now: Mutex::default() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes note of a batch; on the engine's thread, so it does little.
    pub(super) fn tell(&self, progress: &Progress<'_>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.counts = *progress.counts;
        for line in progress.outputs.alerts().flat_map(|piece| piece.split_inclusive(|&byte| byte == b'\n')) {
            if now.alerts.len() == ALERTS {
                now.alerts.pop_front();
            }
            now.alerts.push_back(line.to_vec());
        }
        if now.refreshed.is_none_or(|at| at.elapsed() >= REFRESH) {
            now.refreshed = Some(Instant::now());
            now.latency = Some(Latency::of(progress.latency));
            let events = progress.counts.events;
            let (at, before) = now.last.unwrap_or((self.started, 0));
            let elapsed = at.elapsed().as_secs_f64();
            if elapsed >= 0.5 {
                now.speed = (events - before) as f64 / elapsed;
                now.last = Some((Instant::now(), events));
            }
        }
    }

    /// A copy of the state of things.
    pub(super) fn now(&self) -> Now {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The share of the demo that is done.
    pub(super) fn done(&self, now: &Now) -> f64 {
        let done = match self.events {
            Some(events) => now.counts.events as f64 / events.max(1) as f64,
            None => self.elapsed().as_secs_f64() / self.seconds,
        };
        done.clamp(0.0, 1.0)
    }

    /// The state of things in a line, and the last alert in another.
    pub(super) fn line(&self) -> String {
        let now = self.now();
        let mut text = format!(
            "{:5.1} s  {:>9} events  {:>8.0} events/s",
            self.elapsed().as_secs_f64(),
            now.counts.events,
            now.speed
        );
        if let Some(latency) = now.latency {
            let _ = write!(
                text,
                "  p50 {:.0} us  p99 {:.0} us  p99.9 {:.0} us",
                latency.p50, latency.p99, latency.p99_9
            );
        }
        let _ = writeln!(text, "  {} alerts", now.counts.alerts);
        if let Some(alert) = now.alerts.back().and_then(|line| Alert::read(line)) {
            let reasons: Vec<_> = alert.reasons.iter().take(2).map(|reason| reason.text.as_str()).collect();
            let _ = writeln!(
                text,
                "         {} {} {}: {}",
                alert.decision,
                alert.event_id,
                alert.price(),
                reasons.join("; ")
            );
        }
        text
    }
}

impl Alert {
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// `12.34 EUR`
    pub(super) fn price(&self) -> String {
        let amount = self.amount.as_str().map_or_else(|| self.amount.to_string(), str::to_owned);
        format!("{amount} {}", self.currency.as_deref().unwrap_or_default())
    }
}
