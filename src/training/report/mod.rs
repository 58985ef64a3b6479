//! What came of a model: a table for the terminal, JSON, and a page with plots that needs nothing besides itself.
//!
//! `judge` -> **report** (`page`, `plot`) -> files, terminal

mod page;
mod plot;

pub(crate) use page::html;

use super::judge::Seen;
use cartguard_train::metrics::scenarios::Scenario;
use cartguard_train::metrics::{Difference, Estimate, Judgement};
use serde::Serialize;
use std::fmt::Write as _;

/// Bins of the histogram of scores, each of one in log odds, from -12 to 12.
const BINS: i32 = 24;

/// One model, or two on the same events.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) title: String,
    /// What people ask first: input, times, settings.
    pub(crate) about: Vec<(String, String)>,
    pub(crate) models: Vec<ModelReport>,
    /// What the second model has more than the first.
    pub(crate) differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ModelReport {
    pub(crate) name: String,
    pub(crate) k: usize,
    pub(crate) review_at: f64,
    pub(crate) decline_at: f64,
    pub(crate) judgement: Judgement,
    pub(crate) scores: Vec<ScoreBin>,
    /// Features and their shares of what moves the margin, largest first.
    pub(crate) importance: Vec<(String, f64)>,
    /// How soon each kind of fraud is found; empty where labels name no kinds.
    pub(crate) scenarios: Vec<Scenario>,
}

/// Scores whose log odds lie between two whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ScoreBin {
    pub(crate) log_odds_from: i32,
    pub(crate) frauds: u64,
    pub(crate) others: u64,
}

impl ModelReport {
    pub(crate) fn new(
        name: String,
        seen: &Seen,
        judgement: Judgement,
        importance: Vec<(String, f64)>,
    ) -> Self {
        let settings = seen.settings();
        Self {
            name,
            k: settings.k,
            review_at: settings.review_at,
            decline_at: settings.decline_at,
            judgement,
            scores: histogram(&seen.scores, seen.fraud()),
            importance,
            scenarios: seen.scenarios(),
        }
    }
}

fn histogram(scores: &[f64], fraud: &[bool]) -> Vec<ScoreBin> {
    let mut bins: Vec<ScoreBin> =
        (0..BINS).map(|bin| ScoreBin { log_odds_from: bin - BINS / 2, frauds: 0, others: 0 }).collect();
    for (score, fraud) in scores.iter().zip(fraud) {
        let log_odds = (score / (1.0 - score)).ln();
        let bin = (log_odds.floor() + f64::from(BINS / 2)).clamp(0.0, f64::from(BINS - 1));
        let bin = &mut bins[bin as usize];
        *(if *fraud { &mut bin.frauds } else { &mut bin.others }) += 1;
    }
    bins
}

/// The same as the page, for programs.
pub(crate) fn json(report: &Report) -> Vec<u8> {
    let mut text =
        serde_json::to_vec_pretty(report).expect("a report has no maps with other keys than texts");
    text.push(b'\n');
    text
}

/// A short table for the terminal.
pub(crate) fn text(report: &Report) -> String {
    let mut text = format!("{}\n", report.title);
    for (what, value) in &report.about {
        let _ = writeln!(text, "  {what}: {value}");
    }
    let Some(first) = report.models.first() else { return text };
    let wide = report.models.iter().map(|model| model.name.len()).max().unwrap_or(0).max(24);
    let _ = write!(text, "  {:<24}", "");
    for model in &report.models {
        let _ = write!(text, "  {:>wide$}", model.name);
    }
    text.push_str(if report.differences.is_empty() { "\n" } else { "  difference\n" });
    for (at, (name, _)) in first.judgement.estimates.iter().enumerate() {
        let estimates: Vec<Estimate> =
            report.models.iter().map(|model| model.judgement.estimates[at].1).collect();
        if estimates.iter().all(|estimate| estimate.value.is_nan()) {
            continue;
        }
        let _ = write!(text, "  {name:<24}");
        for estimate in estimates {
            let _ = write!(text, "  {:>wide$}", shown(estimate));
        }
        if let Some(difference) = report.differences.get(at) {
            let _ = write!(text, "  {}", shown(difference.difference));
        }
        text.push('\n');
    }
    for model in &report.models {
        scenarios(model, &mut text);
    }
    text
}

/// A column's name and what it shows.
type Column = (&'static str, fn(&Scenario) -> String);

/// Columns of the table of scenarios.
const SCENARIO: [Column; 9] = [
    ("events", |of| of.events.to_string()),
    ("reviewed", |of| format!("{:.3}", of.review_recall)),
    ("declined", |of| format!("{:.3}", of.decline_recall)),
    ("money caught", |of| format!("{:.3}", of.money_caught_share)),
    ("attacks", |of| of.attacks.to_string()),
    ("found", |of| of.attacks_found.to_string()),
    ("events before, p50", |of| format!("{:.0}", of.delay_events.p50)),
    ("p90", |of| format!("{:.0}", of.delay_events.p90)),
    ("money before, mean", |of| format!("{:.2}", of.delay_money.mean)),
];

fn scenarios(model: &ModelReport, text: &mut String) {
    if model.scenarios.is_empty() {
        return;
    }
    let _ = write!(text, "  {}\n  {:<24}", model.name, "kind of fraud");
    for (name, _) in SCENARIO {
        let _ = write!(text, "  {name:>8}");
    }
    for of in &model.scenarios {
        let _ = write!(text, "\n  {:<24}", of.kind);
        for (name, cell) in SCENARIO {
            let _ = write!(text, "  {:>wide$}", cell(of), wide = name.len().max(8));
        }
    }
    text.push('\n');
}

/// `.8790 [.8571 to .9030]`
fn shown(estimate: Estimate) -> String {
    if estimate.value.is_nan() {
        return "-".to_owned();
    }
    match estimate.interval {
        Some(interval) => format!("{:.4} [{:.4} to {:.4}]", estimate.value, interval.low, interval.high),
        None => format!("{:.4}", estimate.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_lie_in_bins_of_their_log_odds() {
        let bins = histogram(&[0.0, 0.5, 0.4999, 1.0, 0.99], &[false, true, false, true, false]);
        let full: Vec<_> = bins
            .iter()
            .filter(|bin| bin.frauds + bin.others > 0)
            .map(|bin| (bin.log_odds_from, bin.frauds, bin.others))
            .collect();
        assert_eq!(full, [(-12, 0, 1), (-1, 0, 1), (0, 1, 0), (4, 0, 1), (11, 1, 0)]);
    }
}
