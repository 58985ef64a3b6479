//! The same report as metrics: the text format of Prometheus, which other collectors read too.
//!
//! report -> **metrics** -> standard output
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>: names in base units, totals of counters, a `# TYPE` before each. Names are a
//! contract. What the report has not is left out.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

use Kind::{Counter, Gauge};

/// Name, kind, where it stands in the report, and by what its unit there is divided.
type Figure = (&'static str, Kind, &'static str, f64);

const FIGURES: &[Figure] = &[
    ("uptime_seconds", Gauge, "/uptime_seconds", 1.0),
    ("events_total", Counter, "/counts/events", 1.0),
    ("labels_total", Counter, "/counts/labels", 1.0),
    ("accepted_total", Counter, "/counts/accepted", 1.0),
    ("duplicates_total", Counter, "/counts/duplicates", 1.0),
    ("alerts_total", Counter, "/counts/alerts", 1.0),
    ("late_total", Counter, "/counts/late", 1.0),
    ("early_total", Counter, "/counts/early", 1.0),
    ("saturated_total", Counter, "/counts/saturated", 1.0),
    ("events_degraded_total", Counter, "/counts/degraded", 1.0),
    ("scores_out_of_range_total", Counter, "/counts/scores_out_of_range", 1.0),
    ("reasons_approximate_total", Counter, "/counts/reasons_approximate", 1.0),
    ("state_bytes", Gauge, "/state/bytes", 1.0),
    ("state_bytes_max", Gauge, "/state/bytes_max", 1.0),
    ("state_resident_bytes", Gauge, "/state/resident_bytes", 1.0),
    ("state_keys", Gauge, "/state/keys", 1.0),
    ("state_entries", Gauge, "/state/entries", 1.0),
    ("state_ids", Gauge, "/state/ids", 1.0),
    ("state_waiting", Gauge, "/state/waiting", 1.0),
    ("keys_evicted_total", Counter, "/state/evicted", 1.0),
    ("labels_lost_total", Counter, "/state/lost_labels", 1.0),
    ("labels_without_event_total", Counter, "/state/labels_without_event", 1.0),
    ("undelivered_batches", Gauge, "/history/undelivered_batches", 1.0),
    ("order_log_bytes", Gauge, "/history/order_log/bytes", 1.0),
    ("snapshot_age_seconds", Gauge, "/history/snapshot/age_seconds", 1.0),
    ("snapshot_records_behind", Gauge, "/history/snapshot/records_behind", 1.0),
    ("model_switches_total", Counter, "/models/switches", 1.0),
    ("shadow_skipped_total", Counter, "/shadow/skipped", 1.0),
    ("shadow_unwritten_total", Counter, "/shadow/unwritten", 1.0),
    ("drift_events_total", Counter, "/shadow/drift/events", 1.0),
    ("drift_score_psi", Gauge, "/shadow/drift/score/psi", 1.0),
];

/// Of each in a list: the list, the label and the member that is its value, the figures.
const LISTS: &[(&str, (&str, &str), &[Figure])] = &[
    (
        "/partitions",
        ("partition", "name"),
        &[
            ("partition_lag_seconds", Gauge, "/lag_ms", 1e3),
            ("partition_records_total", Counter, "/records", 1.0),
            ("partition_bytes_total", Counter, "/bytes", 1.0),
            ("partition_throttles_total", Counter, "/throttles", 1.0),
            ("partition_reconnects_total", Counter, "/reconnects", 1.0),
        ],
    ),
    (
        "/sink/streams",
        ("output", "output"),
        &[
            ("sink_records_total", Counter, "/records", 1.0),
            ("sink_bytes_total", Counter, "/bytes", 1.0),
            ("sink_waiting_records", Gauge, "/waiting_records", 1.0),
            ("sink_oldest_seconds", Gauge, "/oldest_ms", 1e3),
            ("sink_retries_total", Counter, "/retries", 1.0),
            ("sink_throttles_total", Counter, "/throttles", 1.0),
            ("sink_failed_calls_total", Counter, "/failed_calls", 1.0),
            ("sink_refused_total", Counter, "/refused", 1.0),
        ],
    ),
    (
        "/shadow/models",
        ("model", "model"),
        &[
            ("shadow_scored_total", Counter, "/scored", 1.0),
            ("shadow_agreed_total", Counter, "/agreed", 1.0),
            ("shadow_out_of_range_total", Counter, "/out_of_range", 1.0),
        ],
    ),
    (
        "/shadow/drift/features",
        ("feature", "name"),
        &[("drift_psi", Gauge, "/psi", 1.0), ("drift_missing_share", Gauge, "/missing", 1.0)],
    ),
];

/// Of members of an object: the name, the object, the label.
const MEMBERS: &[(&str, &str, &str)] =
    &[("rejects_total", "/counts/rejects", "reason"), ("decisions_total", "/counts/decisions", "decision")];

/// Of lists that are there or not: the name, the list, the label and its member. Each is 1.
const FLAGS: &[(&str, &str, &str, &str)] = &[
    ("degraded", "/degraded", "code", "code"),
    ("model_challenger", "/models/challengers", "model", "model"),
    ("model_waiting", "/models/waiting", "model", "model"),
    ("model_refused", "/models/refused", "model", "model"),
];

const QUANTILES: &[(&str, &str)] =
    &[("0.5", "p50"), ("0.9", "p90"), ("0.99", "p99"), ("0.999", "p99_9"), ("0.9999", "p99_99")];

/// Lines of a metric, by name: all of one stand together.
#[derive(Default)]
struct Metrics(BTreeMap<&'static str, (Option<Kind>, Vec<String>)>);

/// The metrics of a report.
pub(super) fn of(report: &Value) -> String {
    let mut metrics = Metrics::default();
    for figure in FIGURES {
        metrics.push(figure, report, None);
    }
    for (list, (label, member), figures) in LISTS {
        for one in each(report, list) {
            let Some(is) = one.get(*member).and_then(Value::as_str) else { continue };
            for figure in *figures {
                metrics.push(figure, one, Some((label, is)));
            }
        }
    }
    for (name, object, label) in MEMBERS {
        for (is, count) in report.pointer(object).and_then(Value::as_object).into_iter().flatten() {
            metrics.put(name, Counter, Some((label, is)), count.as_f64());
        }
    }
    for (name, list, label, member) in FLAGS {
        let mut all: Vec<&str> =
            each(report, list).filter_map(|one| one.get(*member).and_then(Value::as_str)).collect();
        // A code may be told of each of several shards.
        all.sort_unstable();
        all.dedup();
        for is in all {
            metrics.put(name, Gauge, Some((label, is)), Some(1.0));
        }
    }
    if let Some(active) = report.pointer("/models/active").and_then(Value::as_str) {
        metrics.put("model_active", Gauge, Some(("model", active)), Some(1.0));
    }
    for (quantile, member) in QUANTILES {
        let us = report.pointer(&format!("/latency_us/{member}")).and_then(Value::as_f64);
        metrics.put("latency_seconds", Gauge, Some(("quantile", quantile)), us.map(|us| us / 1e6));
    }
    metrics.text()
}

fn each<'a>(report: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    report.pointer(list).and_then(Value::as_array).into_iter().flatten()
}

impl Metrics {
    fn push(&mut self, &(name, kind, pointer, unit): &Figure, of: &Value, label: Option<(&str, &str)>) {
        self.put(name, kind, label, of.pointer(pointer).and_then(Value::as_f64).map(|value| value / unit));
    }

    fn put(&mut self, name: &'static str, kind: Kind, label: Option<(&str, &str)>, value: Option<f64>) {
        let Some(value) = value else { return };
        let label = label.map_or_else(String::new, |(label, is)| format!("{{{label}=\"{}\"}}", escaped(is)));
        let metric = self.0.entry(name).or_default();
        metric.0 = Some(kind);
        metric.1.push(format!("cartguard_{name}{label} {value}\n"));
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for (name, (kind, lines)) in &self.0 {
            let kind = if matches!(kind, Some(Counter)) { "counter" } else { "gauge" };
            let _ = writeln!(out, "# TYPE cartguard_{name} {kind}");
            out.extend(lines.iter().map(String::as_str));
        }
        out
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_becomes_lines_of_metrics_each_under_its_type() {
        let report = json!({
            "counts": { "events": 12, "rejects": { "invalid_json": 2 }, "decisions": { "approve": 9, "review": 1 } },
            "latency_us": { "p50": 12.5, "p99": 100.0 },
            "state": null,
            "partitions": [{ "name": "a\"b", "lag_ms": 1500, "records": 3 }, { "name": "c", "lag_ms": null }],
            "models": { "active": "shop/1", "refused": [{ "model": "shop/2", "why": "no" }] },
            "shadow": { "drift": { "features": [{ "name": "amount", "psi": 0.25, "missing": 0.0 }] } },
            "degraded": [{ "code": "shard_polled", "what": "a" }, { "code": "shard_polled", "what": "b" }],
        });
        let expected = "\
# TYPE cartguard_decisions_total counter
cartguard_decisions_total{decision=\"approve\"} 9
cartguard_decisions_total{decision=\"review\"} 1
# TYPE cartguard_degraded gauge
cartguard_degraded{code=\"shard_polled\"} 1
# TYPE cartguard_drift_missing_share gauge
cartguard_drift_missing_share{feature=\"amount\"} 0
# TYPE cartguard_drift_psi gauge
cartguard_drift_psi{feature=\"amount\"} 0.25
# TYPE cartguard_events_total counter
cartguard_events_total 12
# TYPE cartguard_latency_seconds gauge
cartguard_latency_seconds{quantile=\"0.5\"} 0.0000125
cartguard_latency_seconds{quantile=\"0.99\"} 0.0001
# TYPE cartguard_model_active gauge
cartguard_model_active{model=\"shop/1\"} 1
# TYPE cartguard_model_refused gauge
cartguard_model_refused{model=\"shop/2\"} 1
# TYPE cartguard_partition_lag_seconds gauge
cartguard_partition_lag_seconds{partition=\"a\\\"b\"} 1.5
# TYPE cartguard_partition_records_total counter
cartguard_partition_records_total{partition=\"a\\\"b\"} 3
# TYPE cartguard_rejects_total counter
cartguard_rejects_total{reason=\"invalid_json\"} 2
";
        assert_eq!(of(&report), expected);
    }
}
