//! `summary.json`: what a run came to, for people and for programs.
//!
//! pipeline -> **summary** -> replay, run, demo

use crate::pipeline::Finished;
use crate::usage::Usage;
use cartguard_engine::batch::{Counts, StateSize};
use cartguard_engine::decide::Decision;
use cartguard_engine::reject::Reason;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

/// The figures of a run. Names are a contract.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// Records taken.
    pub(crate) events: u64,
    /// Labels of an input.
    pub(crate) labels: u64,
    /// Those that began to count when their event was not kept, or never came.
    pub(crate) labels_without_event: u64,
    /// As `state.lost_labels`: what features of labels lack.
    pub(crate) lost_labels: u64,
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    /// By reason; only those that occurred.
    pub(crate) rejects: BTreeMap<&'static str, u64>,
    pub(crate) late: u64,
    pub(crate) early: u64,
    pub(crate) saturated: u64,
    pub(crate) degraded: u64,
    /// Keys removed for want of memory.
    pub(crate) evicted: u64,
    /// Event ids forgotten for want of memory.
    pub(crate) evicted_ids: u64,
    pub(crate) decisions: BTreeMap<&'static str, u64>,
    pub(crate) alerts: u64,
    /// Scores that were NaN or outside 0 to 1, and became reviews.
    pub(crate) scores_out_of_range: u64,
    /// Alerts with reasons from path contributions.
    pub(crate) reasons_approximate: u64,
    pub(crate) wall_seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) events_per_second: f64,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) state: State,
    pub(crate) latency_us: Latency,
}

/// What the state held at the end.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct State {
    /// By the published formula.
    pub(crate) bytes: u64,
    pub(crate) keys: u64,
    pub(crate) entries: u64,
    /// Distinct values.
    pub(crate) values: u64,
    /// Ids remembered to drop duplicates.
    pub(crate) ids: u64,
    /// Bytes of the pages and tables that the keys lie in.
    pub(crate) resident_bytes: u64,
    /// Events whose label does not count yet, or that are kept for labels, and labels that do not count yet.
    pub(crate) waiting: u64,
    /// Labels, and events kept for labels, lost for want of `labels.memory`; and labels that came again when their event lay in merged entries.
    pub(crate) lost_labels: u64,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) p99_99: f64,
    pub(crate) max: f64,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: histogram.max() as f64 / 1e3,
        }
    }
}

impl Summary {
    pub(crate) fn of(finished: &Finished) -> Self {
        let usage = Usage::now();
        let wall_seconds = finished.wall.as_secs_f64();
        let counts = finished.engine.counts();
        Self::new(counts, &finished.engine.state(), Latency::of(&finished.latency), wall_seconds, usage)
    }

    fn new(counts: &Counts, state: &StateSize, latency_us: Latency, wall_seconds: f64, usage: Usage) -> Self {
        let rejects = Reason::ALL.iter().zip(counts.rejects).filter(|&(_, count)| count > 0);
        let decisions = Decision::ALL.iter().zip(counts.decisions);
        Self {
            events: counts.events,
            labels: counts.labels,
            labels_without_event: state.labels_without_event,
            lost_labels: state.lost_labels,
            accepted: counts.accepted,
            duplicates: counts.duplicates,
            rejects: rejects.map(|(reason, count)| (reason.code(), count)).collect(),
            late: counts.late,
            early: counts.early,
            saturated: counts.saturated,
            degraded: counts.degraded,
            evicted: state.evicted,
            evicted_ids: state.evicted_ids,
            decisions: decisions.map(|(decision, count)| (decision.name(), count)).collect(),
            alerts: counts.alerts,
            scores_out_of_range: counts.scores_out_of_range,
            reasons_approximate: counts.reasons_approximate,
            wall_seconds,
            cpu_seconds: usage.cpu_seconds,
            events_per_second: if wall_seconds > 0.0 { counts.events as f64 / wall_seconds } else { 0.0 },
            peak_memory_bytes: usage.peak_memory_bytes,
            state: State {
                bytes: state.bytes,
                keys: state.keys,
                entries: state.entries,
                values: state.values,
                ids: state.ids,
                resident_bytes: state.resident_bytes,
                waiting: state.waiting,
                lost_labels: state.lost_labels,
            },
            latency_us,
        }
    }

    /// The text of `summary.json`.
    pub(crate) fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("numbers and names are JSON");
        text.push('\n');
        text
    }

    /// A few lines for a person.
    pub(crate) fn to_text(&self) -> String {
        let rejected: u64 = self.rejects.values().sum();
        let reasons: Vec<_> =
            self.rejects.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        let labels = if self.labels > 0 || self.lost_labels > 0 {
            format!(
                "labels {}, without an event {}, lost {}\n",
                self.labels, self.labels_without_event, self.lost_labels
            )
        } else {
            String::new()
        };
        let decided = |name| self.decisions.get(name).copied().unwrap_or_default();
        let cost = if self.events > 0 {
            format!(" ({:.2} CPU seconds a million)", self.cpu_seconds / (self.events as f64 / 1e6))
        } else {
            String::new()
        };
        format!(
            "{} events in {:.2} s, {} events/s{cost}\n\
             accepted {}, duplicates {}, rejects {}{reasons}, late {}, saturated {}\n\
             {labels}approve {}, review {}, decline {}; alerts {}\n\
             latency p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us, max {:.1} us\n\
             state {:.1} MiB: {} keys, {} entries; peak memory {:.1} MiB\n",
            self.events,
            self.wall_seconds,
            self.events_per_second.round(),
            self.accepted,
            self.duplicates,
            rejected,
            self.late,
            self.saturated,
            decided("approve"),
            decided("review"),
            decided("decline"),
            self.alerts,
            self.latency_us.p50,
            self.latency_us.p99,
            self.latency_us.p99_9,
            self.latency_us.max,
            self.state.bytes as f64 / 1_048_576.0,
            self.state.keys,
            self.state.entries,
            self.peak_memory_bytes as f64 / 1_048_576.0,
        )
    }
}
