//! `cartguard backtest`: a history scored as it would have been, by models made again and again on what was known then.
//!
//! history -> engine -> **backtest** (`schedule` -> `training`'s refits -> the engine's next model; `written`) -> `scored.csv`, report
//!
//! ```text
//! midnight      start      + every    + every       end
//!  |--- no model --|-- model 1 --|-- model 2 --|- ... -|
//! ```
//!
//! Holds: a score stands as the engine gave it when the event came, by a model that knew nothing of a later time; a model takes
//! effect between two batches, right before the first event of its step, and the state goes on.
//! Not here: trainers, calibration (`training`), metrics (crates/train).

mod schedule;
mod written;

use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::run::flags_of;
use crate::signals;
use crate::train::{EyeArguments, eye};
use crate::training::{
    self, Algorithm, Ask, Bars, Gathered, ModelReport, Passage, Refits, Refitted, Report, ScoredModel, Wish,
    ended, shown,
};
use anyhow::{anyhow, bail};
use cartguard_engine::batch::Scorer;
use cartguard_engine::decide::Thresholds;
use cartguard_engine::document::duration_text;
use cartguard_engine::record::Records;
use cartguard_train::trainer::importance;
use clap::{Args, ValueEnum};
use schedule::{Schedule, part};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use written::Scores;

/// Rows of which the importance of features is taken, at most.
const IMPORTANCE_ROWS: usize = 20_000;
/// Share of fraud wanted among what is declined, as `train` has it.
const DECLINE_PRECISION: f64 = 0.95;

/// Arguments of `backtest`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// History, one file after the other: .json(l), .csv, .parquet; text also .gz or .zst
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) input: Vec<PathBuf>,
    /// Labels (`event_id`, `label`, `known_at`) as .jsonl, .csv or .parquet (labels.input); without it [labels] column
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) labels: Vec<PathBuf>,
    /// Folder for scored.csv, report.html and report.json; refused where it is not empty
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub(crate) force: bool,
    /// Events that people can review a day, for the threshold of review [default: one of a hundred events]
    #[arg(long, value_name = "N")]
    pub(crate) alerts_per_day: Option<f64>,
    #[command(flatten)]
    pub(crate) eye: EyeArguments,
    /// Threads of engine and trainer (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let config = match arguments.config.load(flags_of(arguments.workers.as_deref(), &arguments.labels)) {
        Ok(loaded) => loaded.config.for_backtest(),
        Err(exit) => return exit,
    };
    let stop = match signals::listen() {
        Ok(stop) => stop,
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            return Exit::Failed;
        }
    };
    match backtest(arguments, &config, &Bars::new(stop.flag.clone())) {
        Ok(said) => say(&said),
        Err(why) => ended(&why, &stop),
    }
}

fn backtest(arguments: &Arguments, config: &Config, bars: &Bars) -> anyhow::Result<String> {
    let started = Instant::now();
    let wish = wish(arguments, config)?;
    let card = training::card(config, arguments.eye.card.as_deref())?;
    let output = Output::open(&arguments.output, arguments.force, &arguments.input)?;
    let mut scores = Scores::begin(&arguments.output)?;
    let ask = Ask { config, input: &arguments.input, card };
    let told = replay(ask, wish, &mut scores, bars)?;
    let Some((start, last)) = told.steps.first().zip(told.steps.last()) else {
        bail!(Refusal(format!(
            "backtest.start = {:?}: the history ends before; take more of it, or an earlier start",
            duration_text(config.backtest.start_ms)
        )));
    };
    let history = &told.history;
    let end = history.events.iter().map(|event| event.time_ms).max().unwrap_or(0) + 1;
    let eye = eye(&arguments.eye, card, (told.start_ms, end), told.start_ms);
    // The first model's thresholds: those of later models came after some of what is judged.
    let thresholds = (start.thresholds.review_at, start.thresholds.decline_at);
    let seen = training::seen(history, &eye, thresholds, |events| {
        events.iter().map(|at| told.given[*at as usize]).collect()
    })?;
    let scored = ScoredModel {
        model: &last.scorer.model,
        features: last.scorer.features.clone(),
        review_at: thresholds.0,
        decline_at: thresholds.1,
    };
    let rows = scored.rows(history, &seen.events, IMPORTANCE_ROWS);
    let shares = importance(&last.scorer.model, &rows, history.width());
    let mut named: Vec<(String, f64)> = history.names.iter().cloned().zip(shares).collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    let model = ModelReport::new("as scored".to_owned(), &seen, training::judge(&seen), named);
    let report = Report {
        title: format!("backtest: {}, a model every {}", config.backtest.algorithm, every(config)),
        about: about(&told, end),
        models: vec![model],
        differences: Vec::new(),
    };
    let rows = scores.rows();
    scores.finish(&[("report.html", training::html(&report)), ("report.json", training::json(&report))])?;
    drop(output);
    Ok(format!(
        "{}  {rows} scores and the report written to {} in {:.0} s (of them fits {:.0} s)\n",
        training::text(&report),
        arguments.output.display(),
        started.elapsed().as_secs_f64(),
        told.fits_s,
    ))
}

fn every(config: &Config) -> String {
    duration_text(config.backtest.every_ms)
}

fn wish(arguments: &Arguments, config: &Config) -> Result<Wish, Refusal> {
    if config.schema().labels.is_none() {
        return Err(Refusal("no labels: give --labels FILE, or set labels.column".to_owned()));
    }
    if arguments.eye.k == 0 {
        return Err(Refusal("--k 0: a number from 1 on is needed".to_owned()));
    }
    if let Some(alerts) = arguments.alerts_per_day.filter(|alerts| !alerts.is_finite() || *alerts < 0.0) {
        return Err(Refusal(format!("--alerts-per-day {alerts}: a number from 0 on is needed")));
    }
    let settings = &config.backtest;
    let algorithm = Algorithm::from_str(settings.algorithm, false);
    Ok(Wish {
        algorithm: algorithm.map_err(|what| Refusal(format!("backtest.algorithm: {what}")))?,
        trees: Some(settings.trees),
        depth: settings.depth,
        rate: Some(settings.rate),
        seed: settings.seed,
        balanced: false,
        threads: config.engine.workers,
        alerts_per_day: arguments.alerts_per_day,
        review_precision: None,
        decline_precision: DECLINE_PRECISION,
    })
}

/// A model in force from a time on.
struct Step {
    begin_ms: i64,
    scorer: Arc<Scorer>,
    thresholds: Thresholds,
    rows: usize,
    frauds: usize,
}

/// What came of a history.
struct Told {
    history: Gathered,
    /// The score of each event of the history; NaN before the start.
    given: Vec<f64>,
    start_ms: i64,
    steps: Vec<Step>,
    fits_s: f64,
}

/// Takes the history through the engine and puts a model in at every step.
fn replay(ask: Ask<'_>, wish: Wish, scores: &mut Scores, bars: &Bars) -> anyhow::Result<Told> {
    let config = ask.config;
    let mut passage = Passage::open(ask)?;
    let mut schedule = Schedule::new(config.schema(), config.backtest.start_ms, config.backtest.every_ms);
    let mut refits = Refits::new(wish);
    let mut told = Told {
        history: Gathered::of(training::names(config)),
        given: Vec::new(),
        start_ms: i64::MAX,
        steps: Vec::new(),
        fits_s: 0.0,
    };
    let bar = bars.growing(&passage.meter);
    let mut records = Records::default();
    while passage.read(&mut records, bars)? {
        bar.tick(&passage.meter, told.steps.len());
        let mut at = 0;
        while let Some((first, begin_ms)) = schedule.next(&records, at) {
            take(&mut passage, &mut part(&records, at..first), &mut told, scores)?;
            let begun = Instant::now();
            let name = format!("{}/{}", config.backtest.algorithm, shown(begin_ms));
            let refitted = refits
                .fit(&told.history, begin_ms, &bar)
                .map_err(|why| why.context(format!("the model of {}", shown(begin_ms))))?;
            let step = put_in(&mut passage, name, begin_ms, refitted);
            told.start_ms = told.start_ms.min(begin_ms);
            told.steps.push(step);
            told.fits_s += begun.elapsed().as_secs_f64();
            at = first;
        }
        if at > 0 {
            records = part(&records, at..records.len());
        }
        take(&mut passage, &mut records, &mut told, scores)?;
    }
    if told.history.events.is_empty() {
        bail!(Refusal("the input has no event that is accepted".to_owned()));
    }
    told.history.close(&passage);
    Ok(told)
}

/// From the next record on this model decides.
fn put_in(passage: &mut Passage<'_>, name: String, begin_ms: i64, refitted: Refitted) -> Step {
    let Refitted { model, review_at, decline_at, rows, frauds } = refitted;
    let thresholds = Thresholds { review_at, decline_at };
    let features = (0..model.feature_count()).collect();
    let scorer = Arc::new(Scorer { name, model: Arc::new(model), features, thresholds });
    passage.engine.set_scorer(Some(Arc::clone(&scorer)));
    Step { begin_ms, scorer, thresholds, rows, frauds }
}

/// Records under the model in force.
fn take(
    passage: &mut Passage<'_>,
    records: &mut Records,
    told: &mut Told,
    scores: &mut Scores,
) -> anyhow::Result<()> {
    let Told { history, given, start_ms, steps, .. } = told;
    passage.process(records, |row, passing, card| {
        history.push(row, passing, card);
        given.push(row.head.score.unwrap_or(f64::NAN));
        if passing.time_ms < *start_ms {
            return Ok(());
        }
        let step = steps.last().zip(row.head.score);
        let (step, score) =
            step.ok_or_else(|| anyhow!("{}: an event of a step without a score", passing.id))?;
        scores.push(passing.id, row.head.event.shown_ms, score, &step.scorer.name)
    })
}

fn about(told: &Told, end: i64) -> Vec<(String, String)> {
    let pair = |what: &str, value: String| (what.to_owned(), value);
    let history = &told.history;
    let mut about = vec![
        pair("history", format!("{} events, {} features", history.events.len(), history.width())),
        pair("scored", format!("{} to {}", shown(told.start_ms), shown(end))),
    ];
    if let Some((first, last)) = told.steps.first().zip(told.steps.last()) {
        let of = |step: &Step| format!("{} rows with {} frauds", step.rows, step.frauds);
        let Thresholds { review_at, decline_at } = first.thresholds;
        about.extend([
            pair(
                "models",
                format!(
                    "{}; the first ({}) of {}, the last ({}) of {}",
                    told.steps.len(),
                    shown(first.begin_ms),
                    of(first),
                    shown(last.begin_ms),
                    of(last)
                ),
            ),
            pair("thresholds", format!("the first model's: review at {review_at}, decline at {decline_at}")),
            pair("importance of features", "the last model's".to_owned()),
        ]);
    }
    if history.labels_without_event > 0 {
        about.push(pair("labels without an event", history.labels_without_event.to_string()));
    }
    about
}
