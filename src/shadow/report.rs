//! How models in shadow did: what they said beside what was decided.
//!
//! `decisions.jsonl`, `shadow.jsonl`, `shadow.json` -> **report** -> `model shadow --report`
//!
//! Both files are in sequence order, so each is read once, side by side; of scores that grew past their most bytes those that were put aside come
//! first. Decisions are each model's own, by its own thresholds. The shift is
//! the population stability index (`drift`) of the challenger's scores against those of the model that decided, of the same events.

use super::{FIGURES, rotated};
use crate::drift::{Histogram, LARGE};
use cartguard_engine::decide::Decision;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};

/// Quantiles that are told.
const QUANTILES: [(&str, f64); 5] = [("p1", 0.01), ("p10", 0.1), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// Why there is nothing to compare.
#[derive(Debug)]
pub(crate) struct Incomparable {
    pub(crate) file: PathBuf,
    pub(crate) what: String,
}

/// What came of it.
pub(crate) struct Compared {
    /// By the model that decided, and the challenger.
    pairs: BTreeMap<(String, String), Pair>,
    /// Scores whose event has no decision.
    undecided: u64,
    /// `shadow.json`, where it is there.
    figures: Option<Value>,
}

/// A challenger beside a model that decided.
#[derive(Default)]
struct Pair {
    /// First and last sequence number, and how many decisions came before each.
    first: (u64, u64),
    last: (u64, u64),
    /// By what was decided, and what the challenger would have.
    decided: [[u64; 3]; 3],
    /// Theirs and ours, of the same events; NaN where there is none.
    active: Vec<f32>,
    challenger: Vec<f32>,
}

#[derive(Deserialize)]
struct Decided {
    sequence: u64,
    decision: String,
    score: Option<f64>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct Scored {
    sequence: u64,
    decision: String,
    score: Option<f64>,
    model: String,
}

/// Lines of a file, with their number for faults, and of those behind it.
struct Reading {
    file: PathBuf,
    lines: Lines<BufReader<File>>,
    number: u64,
    rest: Vec<PathBuf>,
}

impl Reading {
    fn open(file: &Path) -> Result<Self, Incomparable> {
        let opened = File::open(file).map_err(|why| incomparable(file, format!("cannot be read: {why}")))?;
        Ok(Self {
            file: file.to_path_buf(),
            lines: BufReader::new(opened).lines(),
            number: 0,
            rest: Vec::new(),
        })
    }

    fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<Option<T>, Incomparable> {
        let line = loop {
            match (self.lines.next(), self.rest.pop()) {
                (Some(line), behind) => {
                    self.rest.extend(behind);
                    break line;
                }
                (None, Some(behind)) => {
                    *self = Self { rest: std::mem::take(&mut self.rest), ..Self::open(&behind)? }
                }
                (None, None) => return Ok(None),
            }
        };
        self.number += 1;
        let told = |why: String| incomparable(&self.file, format!("line {}: {why}", self.number));
        let line = line.map_err(|why| told(why.to_string()))?;
        serde_json::from_str(&line).map(Some).map_err(|why| told(why.to_string()))
    }
}

fn incomparable(file: &Path, what: impl Into<String>) -> Incomparable {
    Incomparable { file: file.to_path_buf(), what: what.into() }
}

/// Reads both.
pub(crate) fn compare(decisions: &Path, scores: &Path) -> Result<Compared, Incomparable> {
    let mut decided = Reading::open(decisions)?;
    let before = rotated(scores);
    let mut scored = if before.exists() {
        // The other one is there from the next score on.
        let rest = if scores.exists() { vec![scores.to_path_buf()] } else { Vec::new() };
        Reading { rest, ..Reading::open(&before)? }
    } else {
        Reading::open(scores)?
    };
    let figures = fs::read_to_string(scores.with_file_name(FIGURES)).ok();
    let figures = figures.and_then(|text| serde_json::from_str(&text).ok());
    let mut compared = Compared { pairs: BTreeMap::new(), undecided: 0, figures };
    let mut now: Option<Decided> = decided.next()?;
    // Decisions before the one at hand.
    let mut before = 0;
    while let Some(score) = scored.next::<Scored>()? {
        while now.as_ref().is_some_and(|now| now.sequence < score.sequence) {
            now = decided.next()?;
            before += 1;
        }
        match now.as_ref().filter(|now| now.sequence == score.sequence) {
            None => compared.undecided += 1,
            Some(now) => compared.add(now, &score, before).map_err(|what| incomparable(scores, what))?,
        }
    }
    if compared.pairs.is_empty() {
        return Err(incomparable(scores, "has no score of an event that was decided"));
    }
    Ok(compared)
}

impl Compared {
    fn add(&mut self, now: &Decided, score: &Scored, before: u64) -> Result<(), String> {
        let of = |name: &str| {
            let found = Decision::ALL.iter().position(|decision| decision.name() == name);
            found.ok_or_else(|| format!("sequence {}: {name:?} is no decision", now.sequence))
        };
        let key = (now.model.clone().unwrap_or_else(|| "none".to_owned()), score.model.clone());
        let pair = self.pairs.entry(key).or_default();
        if pair.active.is_empty() {
            pair.first = (now.sequence, before);
        }
        pair.last = (now.sequence, before);
        pair.decided[of(&now.decision)?][of(&score.decision)?] += 1;
        pair.active.push(now.score.map_or(f32::NAN, |score| score as f32));
        pair.challenger.push(score.score.map_or(f32::NAN, |score| score as f32));
        Ok(())
    }

    /// A member of `shadow.json` about a challenger.
    fn figure(&self, challenger: &str, pointer: &str) -> Option<&Value> {
        let models = self.figures.as_ref()?.get("models")?.as_array()?;
        models.iter().find(|of| of["model"] == challenger)?.pointer(pointer)
    }

    /// For a person.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        for ((active, challenger), pair) in &self.pairs {
            let _ = writeln!(
                out,
                "{challenger} beside {active}: {} of {} events, sequence {} to {}",
                pair.events(),
                pair.spanned(),
                pair.first.0,
                pair.last.0
            );
            let agreed = pair.agreed();
            let share = agreed as f64 / pair.events() as f64 * 100.0;
            let _ = writeln!(out, "  decides alike   {agreed} ({share:.2} %)");
            let names = Decision::ALL.map(Decision::name);
            let _ = writeln!(
                out,
                "  {:<14}{:>10}{:>10}{:>10}  in shadow",
                "decided", names[0], names[1], names[2]
            );
            for (name, row) in names.iter().zip(&pair.decided) {
                let _ = writeln!(out, "  {name:<14}{:>10}{:>10}{:>10}", row[0], row[1], row[2]);
            }
            let heads: String = QUANTILES.iter().map(|(name, _)| format!("{name:>10}")).collect();
            let _ = writeln!(out, "  {:<14}{:>10}{heads}", "score", "mean");
            for (name, scores) in [(active, &pair.active), (challenger, &pair.challenger)] {
                let Some((mean, quantiles)) = spread(scores) else { continue };
                let quantiles: String =
                    quantiles.iter().map(|quantile| format!("{quantile:>10.5}")).collect();
                let _ = writeln!(out, "  {name:<14}{mean:>10.5}{quantiles}");
            }
            if let Some(index) = pair.shift() {
                let word = if index >= LARGE { ", which is large" } else { "" };
                let _ = writeln!(out, "  shift (PSI)     {index:.4}{word}");
            }
            if let (Some(p50), Some(p99)) =
                (self.figure(challenger, "/latency_us/p50"), self.figure(challenger, "/latency_us/p99"))
            {
                let _ = writeln!(out, "  scoring         {p50} us an event (p50), {p99} us (p99)");
            }
            if let Some(count) =
                self.figure(challenger, "/out_of_range").and_then(Value::as_u64).filter(|n| *n > 0)
            {
                let _ = writeln!(out, "  out of range    {count} scores were NaN or outside 0 to 1");
            }
            if self.figure(challenger, "/panicked") == Some(&Value::Bool(true)) {
                out += "  panicked        it was put out\n";
            }
        }
        let of = |name: &str| self.figures.as_ref().and_then(|figures| figures[name].as_u64());
        match (of("skipped"), of("unwritten")) {
            (Some(skipped), Some(unwritten)) => {
                let _ = writeln!(
                    out,
                    "skipped {skipped} events for want of room, {unwritten} scores for want of a file"
                );
            }
            _ => {
                let what =
                    "how many events were skipped is not known: there is no shadow.json beside the scores";
                let _ = writeln!(out, "{what}");
            }
        }
        if self.undecided > 0 {
            let _ = writeln!(out, "{} scores are of events without a decision here", self.undecided);
        }
        out
    }

    /// The same, for programs.
    pub(crate) fn to_json(&self) -> String {
        let pairs = self.pairs.iter().map(|((active, challenger), pair)| {
            let scores = |scores: &[f32]| {
                spread(scores).map(|(mean, quantiles)| {
                    let quantiles = QUANTILES.iter().zip(quantiles);
                    let mut all: serde_json::Map<String, Value> =
                        quantiles.map(|((name, _), value)| ((*name).to_owned(), value.into())).collect();
                    all.insert("mean".to_owned(), mean.into());
                    all
                })
            };
            let names = Decision::ALL.map(Decision::name);
            let decided: Vec<Value> = (0..9)
                .map(|at| (at / 3, at % 3))
                .filter(|(one, other)| pair.decided[*one][*other] > 0)
                .map(|(one, other)| {
                    json!({ "decided": names[one], "in_shadow": names[other], "events": pair.decided[one][other] })
                })
                .collect();
            json!({
                "active": active, "challenger": challenger, "events": pair.events(), "decided": pair.spanned(),
                "sequence": { "first": pair.first.0, "last": pair.last.0 }, "agreed": pair.agreed(), "decisions": decided,
                "scores": { "active": scores(&pair.active), "challenger": scores(&pair.challenger) },
                "psi": pair.shift(), "latency_us": self.figure(challenger, "/latency_us"),
                "out_of_range": self.figure(challenger, "/out_of_range"), "panicked": self.figure(challenger, "/panicked"),
            })
        });
        let of = |name: &str| self.figures.as_ref().map(|figures| figures[name].clone());
        let report = json!({
            "pairs": pairs.collect::<Vec<_>>(), "skipped": of("skipped"), "unwritten": of("unwritten"),
            "without_decision": self.undecided,
        });
        format!("{report:#}\n")
    }
}

impl Pair {
    fn events(&self) -> u64 {
        self.active.len() as u64
    }

    /// Decisions from the first to the last.
    fn spanned(&self) -> u64 {
        self.last.1 - self.first.1 + 1
    }

    fn agreed(&self) -> u64 {
        (0..3).map(|at| self.decided[at][at]).sum()
    }

    /// Nothing where nobody scored.
    fn shift(&self) -> Option<f64> {
        if self.active.iter().all(|score| score.is_nan()) {
            return None;
        }
        let active = Histogram::of("score", self.active.iter().copied());
        let mut seen = vec![0; active.counts.len() + 1];
        for score in &self.challenger {
            seen[active.bin(*score)] += 1;
        }
        active.shift(&seen)
    }
}

/// Mean and quantiles of what is not NaN; nothing of nothing.
fn spread(scores: &[f32]) -> Option<(f64, Vec<f64>)> {
    let mut scores: Vec<f32> = scores.iter().copied().filter(|score| !score.is_nan()).collect();
    scores.sort_by(f32::total_cmp);
    let last = scores.len().checked_sub(1)?;
    let mean = scores.iter().map(|score| f64::from(*score)).sum::<f64>() / scores.len() as f64;
    let at = |quantile: f64| f64::from(scores[(quantile * last as f64).round() as usize]);
    Some((mean, QUANTILES.iter().map(|(_, quantile)| at(*quantile)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).expect("written");
        path
    }

    #[test]
    fn decisions_and_scores_are_compared_event_by_event() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let decided = |sequence: u64, score: f64, decision: &str, model: &str| {
            format!(
                r#"{{"event_id":"e","sequence":{sequence},"decision":"{decision}","score":{score},"model":"{model}"}}"#
            ) + "\n"
        };
        let scored = |sequence: u64, score: &str, decision: &str| {
            format!(r#"{{"sequence":{sequence},"model":"a/2","score":{score},"decision":"{decision}"}}"#)
                + "\n"
        };
        // Of sequence 1 there is no decision, and of 5 no score; at 7 another model decides.
        let decisions = [
            decided(0, 0.1, "approve", "a/1"),
            decided(3, 0.6, "review", "a/1"),
            decided(5, 0.2, "approve", "a/1"),
            decided(6, 0.95, "decline", "a/1"),
            decided(7, 0.1, "approve", "a/3"),
        ];
        let scores = [
            scored(0, "0.2", "approve"),
            scored(1, "0.2", "approve"),
            scored(3, "0.1", "approve"),
            scored(6, "null", "review"),
            scored(7, "0.7", "review"),
        ];
        let decisions = written(folder, "decisions.jsonl", &decisions.concat());
        let scores = written(folder, "shadow.jsonl", &scores.concat());
        let compared = compare(&decisions, &scores).map_err(|why| why.what).expect("both are there");
        let pair = &compared.pairs[&("a/1".to_owned(), "a/2".to_owned())];
        assert_eq!((pair.events(), pair.spanned(), pair.agreed()), (3, 4, 1));
        assert_eq!(pair.decided, [[1, 0, 0], [1, 0, 0], [0, 1, 0]]);
        assert_eq!(compared.undecided, 1);
        let text = compared.to_text();
        for part in [
            "a/2 beside a/1: 3 of 4 events",
            "1 (33.33 %)",
            "a/2 beside a/3: 1 of 1",
            "not known",
            "1 scores are of events without",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json: Value = serde_json::from_str(&compared.to_json()).expect("JSON");
        assert_eq!(
            json["pairs"][0]["decisions"][2],
            json!({ "decided": "decline", "in_shadow": "review", "events": 1 })
        );
        assert!(
            (json["pairs"][0]["scores"]["challenger"]["mean"].as_f64().expect("a mean") - 0.15).abs() < 1e-7
        );

        // Put aside in part, it says the same.
        let text = fs::read_to_string(&scores).expect("lines");
        let (first, rest) = text.split_at(text.find("{\"sequence\":3").expect("the third"));
        written(folder, "split.1.jsonl", first);
        let split = written(folder, "split.jsonl", rest);
        let apart = compare(&decisions, &split).map_err(|why| why.what).expect("both are there");
        assert_eq!(apart.to_json(), compared.to_json());

        let broken = written(folder, "broken.jsonl", &(scored(0, "0.2", "approve") + "{\"sequence\":1"));
        let why = compare(&decisions, &broken).err().expect("a torn line");
        assert!(why.file.ends_with("broken.jsonl") && why.what.starts_with("line 2: "), "{}", why.what);
        let none = written(folder, "none.jsonl", &scored(1, "0.2", "approve"));
        assert!(compare(&decisions, &none).is_err());
    }
}
