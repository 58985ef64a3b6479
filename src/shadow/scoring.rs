//! The thread of the challengers: rows -> scores, lines, figures, drift.
//!
//! `hand` -> **scoring** -> `lines`, `figures`
//!
//! A challenger that panics is a bug of ours: the model was checked before it came here. Yet it decides nothing, so it is put out, told of
//! and counted, and neither the process nor the other challengers end with it; anywhere else a panic ends the process (`panics`). A score
//! that is NaN or outside 0 to 1 counts as review, as it does where it decides, and is counted.

use super::FIGURES;
use super::figures::{Figures, Told};
use super::hand::{Buffer, Head};
use super::lines::Lines;
use super::roster::{Challenger, Roster};
use crate::drift::Seen;
use cartguard_engine::decide::Decision;
use cartguard_forest::{Score, Scratch};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows that are scored at once: some 200 KB, which lie in a second-level cache.
const BLOCK: usize = 256;
/// How often `shadow.json` is written. Arbitrary: for people, and for what a crash leaves.
const FIGURES_EVERY: Duration = Duration::from_secs(10);

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread at this moment puts a challenger out and nothing else.
pub(crate) fn is_guarded() -> bool {
    GUARDED.get()
}

/// See the module.
pub(super) struct Scoring {
    lines: Lines,
    figures: Arc<Figures>,
    tell: fn(&str),
    roster: Option<Arc<Roster>>,
    /// One a challenger of the roster.
    each: Vec<Each>,
    /// Challengers that panicked, by name.
    out: BTreeSet<String>,
    /// The first that could not be written, since the last that could.
    unwritten: Option<String>,
    written: Instant,
}

/// What a challenger has of its own.
#[derive(Default)]
struct Each {
    scratch: Scratch,
    values: Vec<f32>,
    /// Places of its rows in the buffer, and their scores.
    rows: Vec<usize>,
    scores: Vec<Score>,
}

impl Scoring {
    pub(super) fn new(lines: Lines, figures: Arc<Figures>, tell: fn(&str)) -> Self {
        Self {
            lines,
            figures,
            tell,
            roster: None,
            each: Vec::new(),
            out: BTreeSet::new(),
            unwritten: None,
            written: Instant::now(),
        }
    }

    /// Until no more rows come; what could not be written, if anything.
    pub(super) fn run(mut self, full: &Receiver<Buffer>, emptied: &Sender<Buffer>) -> Result<(), String> {
        // The engine's threads come first; where the system does not let us, they share. Elsewhere it would slow the whole process.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(19);
        let mut lost = None;
        loop {
            match full.recv_timeout(FIGURES_EVERY) {
                Ok(mut buffer) => {
                    self.score(&buffer);
                    if let Some(why) = self.write() {
                        lost.get_or_insert(why);
                    }
                    buffer.clear();
                    // There is room for all buffers; whoever fills them may be gone.
                    let _ = emptied.try_send(buffer);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.written.elapsed() >= FIGURES_EVERY {
                self.write_figures();
            }
        }
        self.write_figures();
        lost.map_or(Ok(()), Err)
    }

    fn score(&mut self, buffer: &Buffer) {
        let Some(roster) = &buffer.roster else { return };
        if self.roster.as_ref().is_none_or(|known| !Arc::ptr_eq(known, roster)) {
            self.follow(roster);
        }
        let width = buffer.values.len() / buffer.heads.len().max(1);
        for (challenger, each) in roster.challengers.iter().zip(&mut self.each) {
            let name = &challenger.scorer.name;
            if self.out.contains(name) {
                each.rows.clear();
                continue;
            }
            GUARDED.set(true);
            let scored =
                catch_unwind(AssertUnwindSafe(|| each.score(challenger, buffer, width, &self.figures)));
            GUARDED.set(false);
            if let Err(panic) = scored {
                each.rows.clear();
                (self.tell)(&format!(
                    "model {name} panicked in shadow, which is a bug of cartguard's: {}; it scores no more until the process starts again",
                    words(panic.as_ref())
                ));
                self.out.insert(name.clone());
                if let Some(of) = self.figures.told().models.get_mut(name) {
                    of.has_panicked = true;
                }
            }
        }
        self.push_lines(&roster.challengers, &buffer.heads);
        let mut told = self.figures.told();
        if let (Some(drift), Some(seen)) = (&roster.drift, &mut told.drift) {
            for (head, row) in buffer.heads.iter().zip(buffer.values.chunks_exact(width.max(1))) {
                if drift.share.has(head.id_hash) {
                    seen.count(drift.columns.iter().map(|column| row[*column]), head.score);
                }
            }
        }
    }

    /// Other challengers from now on.
    fn follow(&mut self, roster: &Arc<Roster>) {
        let each =
            |challenger: &Challenger| Each { scratch: challenger.scorer.model.scratch(), ..Each::default() };
        self.each = roster.challengers.iter().map(each).collect();
        let mut told = self.figures.told();
        let Told { models, drift, .. } = &mut *told;
        for of in models.values_mut() {
            of.is_in_shadow = false;
        }
        for challenger in &roster.challengers {
            models.entry(challenger.scorer.name.clone()).or_default().is_in_shadow = true;
        }
        let baseline = roster.drift.as_ref().map(|drift| &drift.baseline);
        if drift.as_ref().map(|seen| &seen.baseline().model) != baseline.map(|baseline| &baseline.model) {
            *drift = baseline.map(|baseline| Seen::new(Arc::clone(baseline)));
        }
        self.roster = Some(Arc::clone(roster));
    }

    /// In sequence order, and of an event in the order of the challengers.
    fn push_lines(&mut self, challengers: &[Challenger], heads: &[Head]) {
        let mut next = vec![0; challengers.len()];
        for (at, head) in heads.iter().enumerate() {
            for ((challenger, each), next) in challengers.iter().zip(&self.each).zip(&mut next) {
                if each.rows.get(*next) == Some(&at) {
                    let (scorer, score) = (&challenger.scorer, each.scores[*next].score);
                    let decision = scorer.thresholds.decide(score).decision;
                    let score = (score, scorer.model.precision());
                    self.lines.push(head.sequence, &scorer.name, score, decision);
                    *next += 1;
                }
            }
        }
    }

    /// Writes the lines; what kept it from that, told once until it passes.
    fn write(&mut self) -> Option<String> {
        match self.lines.write() {
            Ok(()) => {
                self.unwritten = None;
                None
            }
            Err((lines, why)) => {
                self.figures.told().unwritten += lines;
                if self.unwritten.is_none() {
                    (self.tell)(&format!(
                        "{why}; scores of challengers are lost until it can be, and decisions go on"
                    ));
                    self.unwritten = Some(why.clone());
                }
                Some(why)
            }
        }
    }

    fn write_figures(&mut self) {
        self.written = Instant::now();
        let Some(scores) = self.lines.path().filter(|scores| scores.exists()) else { return };
        let (path, beside) =
            (scores.with_file_name(FIGURES), scores.with_file_name(".shadow.json.unfinished"));
        let text = format!("{:#}\n", self.figures.to_json(usize::MAX));
        // Figures for people: whoever cannot write them cannot write scores either, and tells of those.
        let _ = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path));
    }
}

impl Each {
    fn score(&mut self, challenger: &Challenger, buffer: &Buffer, width: usize, figures: &Figures) {
        let Challenger { scorer, share, columns } = challenger;
        self.rows.clear();
        let places = buffer.heads.iter().enumerate().filter(|(_, head)| share.has(head.id_hash));
        self.rows.extend(places.map(|(at, _)| at));
        self.scores.clear();
        self.scores.resize(self.rows.len(), Score::default());
        for (rows, scores) in self.rows.chunks(BLOCK).zip(self.scores.chunks_mut(BLOCK)) {
            let started = Instant::now();
            self.values.clear();
            for &at in rows {
                let row = &buffer.values[at * width..(at + 1) * width];
                self.values.extend(columns.iter().map(|column| row[*column]));
            }
            scorer.model.score_rows(&self.values, columns.len(), &mut self.scratch, scores);
            let count = rows.len() as u64;
            let ns = started.elapsed().as_nanos() as u64 / count;
            let mut told = figures.told();
            let Some(of) = told.models.get_mut(&scorer.name) else { continue };
            of.latency.saturating_record_n(ns.max(1), count);
            of.scored += count;
            for (at, score) in rows.iter().zip(scores.iter()) {
                let decided: Decision = scorer.thresholds.decide(score.score).decision;
                of.agreed += u64::from(decided == buffer.heads[*at].decision);
                of.out_of_range += u64::from(!(0.0..=1.0).contains(&score.score));
            }
        }
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::config::{Given, load};
    use crate::engine;
    use cartguard_engine::batch::Scorer;
    use cartguard_engine::batch::rows::Share;
    use cartguard_engine::decide::Thresholds;
    use cartguard_engine::features::plan::Plan;
    use cartguard_forest::{Format, Model};

    pub(crate) fn plan() -> Arc<Plan> {
        let loaded = load(&Given::default()).map_err(|faults| format!("{faults:?}"));
        engine::plan(&loaded.expect("defaults").config)
    }

    /// Reads the plan's first two features: its margin is their difference.
    pub(crate) fn scorer(name: &str) -> Arc<Scorer> {
        let text = r#"{"format":"cartguard.logistic","version":1,"features":["a","b"],"weights":[1.0,-1.0],"intercept":0.0}"#;
        Arc::new(Scorer {
            name: name.to_owned(),
            model: Arc::new(Model::from_bytes(Format::LogisticJson, text.as_bytes()).expect("a model")),
            features: vec![0, 1],
            thresholds: Thresholds { review_at: 0.5, decline_at: 0.9 },
        })
    }

    /// Of so many challengers, `shop/2` and on.
    pub(crate) fn roster(plan: &Plan, challengers: usize) -> Arc<Roster> {
        let all: Vec<_> =
            (2..challengers + 2).map(|at| (scorer(&format!("shop/{at}")), Share::ALL)).collect();
        Roster::new(plan, &all, None).expect("challengers")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::testing::{plan, roster, scorer};
    use super::*;
    use crate::drift::{Baseline, Histogram};
    use cartguard_engine::batch::rows::Share;
    use std::path::Path;

    fn scoring(path: Option<&Path>) -> Scoring {
        let path = path.map(Path::to_path_buf);
        Scoring::new(Lines::new(Settings { path, ..Settings::default() }), Arc::default(), |_| {})
    }

    fn buffer(roster: &Arc<Roster>, rows: &[[f32; 2]]) -> Buffer {
        let head =
            |sequence| Head { sequence, id_hash: sequence, score: Some(0.25), decision: Decision::Approve };
        Buffer {
            roster: Some(Arc::clone(roster)),
            heads: (0..rows.len() as u64).map(head).collect(),
            values: rows.concat(),
        }
    }

    #[test]
    fn a_score_that_is_nan_is_a_review_and_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shadow.jsonl");
        let mut scoring = scoring(Some(&path));
        scoring
            .score(&buffer(&roster(&plan(), 1), &[[1.0, 3.0], [f32::INFINITY, f32::INFINITY], [9.0, 1.0]]));
        assert_eq!(scoring.write(), None);
        let lines = fs::read_to_string(&path).expect("lines");
        let decided: Vec<_> =
            lines.lines().map(|line| line.split("\"score\":").nth(1).expect("a score")).collect();
        assert_eq!(decided[1], "null,\"decision\":\"review\"}");
        assert!(decided[0].ends_with("\"approve\"}") && decided[2].ends_with("\"decline\"}"), "{lines}");
        let told = scoring.figures.told();
        let of = &told.models["shop/2"];
        assert_eq!((of.scored, of.agreed, of.out_of_range), (3, 1, 1));
    }

    /// M7, O5: a bug of ours in scoring, here a column that the row has not.
    #[test]
    fn a_challenger_that_panics_is_out_and_the_others_go_on() {
        let plan = plan();
        let both = [(scorer("shop/2"), Share::ALL), (scorer("shop/3"), Share::ALL)];
        let mut whole =
            Arc::try_unwrap(Roster::new(&plan, &both, None).expect("two")).expect("nobody else has it");
        whole.challengers[0].columns[1] = 7;
        let whole = Arc::new(whole);
        let mut scoring = scoring(None);
        for _ in 0..2 {
            scoring.score(&buffer(&whole, &[[1.0, 3.0]; 300]));
        }
        assert!(!is_guarded());
        // Neither is it in again where the roster is made anew.
        scoring.score(&buffer(&roster(&plan, 2), &[[1.0, 3.0]; 300]));
        let told = scoring.figures.told();
        let figures = |name: &str| (told.models[name].scored, told.models[name].has_panicked);
        assert_eq!((figures("shop/2"), figures("shop/3")), ((0, true), (900, false)));
    }

    #[test]
    fn of_a_share_and_of_drift_each_counts_its_own_events() {
        let plan = plan();
        let half = Share::of(0.5).expect("a share");
        let features = vec![
            Histogram::of(&plan.set.features[0].name, (0..100).map(|at| at as f32)),
            Histogram::of(&plan.set.features[1].name, (0..100).map(|at| at as f32)),
        ];
        let score = Histogram::of("score", (0..100).map(|at| at as f32 / 100.0));
        let baseline = Arc::new(Baseline { model: "shop/1".to_owned(), features, score });
        let one = [(scorer("shop/2"), half)];
        let roster = Roster::new(&plan, &one, Some((&[0, 1], baseline, Share::ALL))).expect("both");
        let mut scoring = scoring(None);
        let rows: Vec<_> =
            (0..1_000_u16).map(|at| [f32::from(at % 100), f32::from(at % 100) + 50.0]).collect();
        let mut buffer = buffer(&roster, &rows);
        for head in &mut buffer.heads {
            head.id_hash = head.sequence.wrapping_mul(0x2545_f491_4f6c_dd1d);
        }
        scoring.score(&buffer);
        let told = scoring.figures.told();
        let scored = told.models["shop/2"].scored;
        assert_eq!(scored, buffer.heads.iter().filter(|head| half.has(head.id_hash)).count() as u64);
        assert!((400..600).contains(&scored), "{scored}");
        let seen = told.drift.as_ref().expect("a baseline");
        let (score, features) = seen.shifts();
        assert_eq!(seen.events(), 1_000);
        assert!(features[0].index > 1.0 && features[1].index < 1e-9, "{features:?}");
        assert!(score.expect("scores").index > 1.0);
    }

    #[test]
    fn scores_that_cannot_be_written_end_nothing_and_are_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut scoring = scoring(Some(folder.path()));
        for _ in 0..2 {
            scoring.score(&buffer(&roster(&plan(), 2), &[[1.0, 3.0]; 10]));
            assert!(scoring.write().is_some_and(|why| why.contains("cannot be written")));
        }
        assert_eq!(scoring.figures.told().unwritten, 40);
    }
}
