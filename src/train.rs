//! `cartguard train`: history and labels -> a model folder.
//!
//! history -> engine -> `training` (rows, split, fit) -> **train** -> `model`
//!
//! Holds: nothing is written before everything is done; a folder that exists is never changed.

use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::exit::{Exit, Refusal};
use crate::model::{self, TrainedModel};
use crate::run::flags_of;
use crate::signals;
use crate::training::{
    self, Algorithm, Ask, Bars, Eye, Fitted, Gathered, ModelReport, Report, Said, ScoredModel, Split, Wish,
    ended,
};
use anyhow::anyhow;
use cartguard_engine::schema::LabelsFrom;
use cartguard_train::metrics::Judgement;
use cartguard_train::trainer::importance;
use cartguard_train::{DEPTH_MAX, TREES_MAX};
use clap::Args;
use std::path::PathBuf;
use std::time::Instant;

/// Rows of which the importance of features is taken, at most. Arbitrary: a fraction of a second.
const IMPORTANCE_ROWS: usize = 20_000;
/// Rows from which golden rows are taken, at most.
const GOLDEN_ROWS: usize = 1_000;

/// Arguments of `train`.
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
    /// Which trainer
    #[arg(long, value_enum)]
    pub(crate) algorithm: Algorithm,
    /// Folder to make, models/NAME/VERSION; refused where it exists
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// First time that is trained on, such as 2018-07-25 [default: the first event's]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<i64>,
    /// Time before which is trained on [default: a gap before the last fifth]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Option<i64>,
    /// Time before which is judged on [default: the end]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) test_until: Option<i64>,
    /// Time left out between what is trained on and what is judged on [default: labels.delay with a column, else 1d]
    #[arg(long, value_name = "DURATION", value_parser = training::duration)]
    pub(crate) gap: Option<i64>,
    /// Train on everything and judge nothing
    #[arg(long)]
    pub(crate) no_test: bool,
    /// Events that people can review a day, for the threshold of review [default: one of a hundred events]
    #[arg(long, value_name = "N", conflicts_with = "review_precision")]
    pub(crate) alerts_per_day: Option<f64>,
    /// Share of fraud wanted among what is reviewed, instead of a budget
    #[arg(long, value_name = "SHARE")]
    pub(crate) review_precision: Option<f64>,
    /// Share of fraud wanted among what is declined
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub(crate) decline_precision: f64,
    /// Trees of a forest or of boosting [default: 100]
    #[arg(long, value_name = "N")]
    pub(crate) trees: Option<usize>,
    /// Depth of a tree [default: boosted 6, forest 20]
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
    /// What of a boosted tree's answer counts [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    pub(crate) rate: Option<f64>,
    /// Seed of what is drawn by chance; the same seed and data give the same model
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Let both labels count alike in sum
    #[arg(long)]
    pub(crate) balanced: bool,
    #[command(flatten)]
    pub(crate) eye: EyeArguments,
    /// Threads of engine and trainer (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
}

/// How a model is looked at; the same for `train` and `evaluate`.
#[derive(Args, Clone, Debug)]
pub(crate) struct EyeArguments {
    /// Events, and cards, that people look at a day, for precision@k
    #[arg(long, value_name = "K", default_value_t = 100)]
    pub(crate) k: usize,
    /// Entity whose keys are cards [default: customer, or card]
    #[arg(long, value_name = "ENTITY")]
    pub(crate) card: Option<String>,
    /// A card leaves what is judged from the day on before which a fraud of it was known
    #[arg(long)]
    pub(crate) known_cards_leave: bool,
}

fn time(text: &str) -> Result<i64, String> {
    training::time(text)
        .ok_or_else(|| format!("{text:?} is no time; such as 2018-07-25 or 2018-07-25T12:00:00Z"))
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let config = match arguments.config.load(flags_of(arguments.workers.as_deref(), &arguments.labels)) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    let stop = match signals::listen() {
        Ok(stop) => stop,
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            return Exit::Failed;
        }
    };
    match train(arguments, &config, &Bars::new(stop.flag.clone())) {
        Ok(said) => say(&said),
        Err(why) => ended(&why, &stop),
    }
}

fn train(arguments: &Arguments, config: &Config, bars: &Bars) -> anyhow::Result<String> {
    let started = Instant::now();
    let wish = wish(arguments, config)?;
    let name = model::new_name(&arguments.output).map_err(|fault| Refusal(fault.to_string()))?;
    let card = training::card(config, arguments.eye.card.as_deref())?;
    let ask = Ask { config, input: &arguments.input, card };
    let history = training::gather(ask, bars)?;
    let read = started.elapsed();
    let begun = Instant::now();
    let split = split(arguments, config, &history)?;
    let fitted = training::fit(&history, &split, &wish, bars)?;
    let fit = begun.elapsed();
    let model = fitted.model()?;
    let rows = spread(&history, &fitted.rows, IMPORTANCE_ROWS);
    let shares = importance(&model, &rows, history.width());
    let mut named: Vec<(String, f64)> = history.names.iter().cloned().zip(shares).collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    let scored = ScoredModel {
        model: &model,
        features: (0..history.width()).collect(),
        review_at: fitted.review_at,
        decline_at: fitted.decline_at,
    };
    let mut models = Vec::new();
    if split.test.0 < split.test.1 {
        let eye = eye(&arguments.eye, card, split.test, split.training().0);
        let seen = training::scored(&history, &scored, &eye)?;
        models.push(ModelReport::new(name.clone(), &seen, training::judge(&seen), named));
    }
    let metrics = models.first().map_or_else(toml::Table::new, |of| metrics(&of.judgement));
    let report = Report {
        title: format!("{name}: {}", fitted.trainer.name()),
        about: about(&history, &split, &fitted),
        models,
        differences: Vec::new(),
    };
    let golden = spread(&history, &fitted.rows, GOLDEN_ROWS);
    let trained = TrainedModel {
        format: fitted.trained.format,
        bytes: &fitted.trained.bytes,
        model: &model,
        features: &history.names,
        review_at: fitted.review_at,
        decline_at: fitted.decline_at,
        calibration: fitted.calibration.method,
        algorithm: fitted.trainer.name(),
        data: data(&history, &split, &fitted),
        metrics,
        training: training::training(config, &history, &fitted),
        rows: &golden,
        reports: &[("report.html", training::html(&report)), ("report.json", training::json(&report))],
    };
    model::write(&arguments.output, trained)?;
    Ok(format!(
        "{}  written to {} in {:.1} s (history {:.1} s, fits {:.1} s)\n",
        training::text(&report),
        arguments.output.display(),
        started.elapsed().as_secs_f64(),
        read.as_secs_f64(),
        fit.as_secs_f64()
    ))
}

fn wish(arguments: &Arguments, config: &Config) -> Result<Wish, Refusal> {
    let shares = [
        ("--review-precision", arguments.review_precision),
        ("--decline-precision", Some(arguments.decline_precision)),
        ("--rate", arguments.rate),
    ];
    for (flag, share) in shares {
        if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share) || *share == 0.0) {
            return Err(Refusal(format!("{flag} {share}: a number above 0 and up to 1 is needed")));
        }
    }
    if let Some(alerts) = arguments.alerts_per_day.filter(|alerts| !alerts.is_finite() || *alerts < 0.0) {
        return Err(Refusal(format!("--alerts-per-day {alerts}: a number from 0 on is needed")));
    }
    let numbers = [
        ("--trees", arguments.trees, TREES_MAX),
        ("--depth", arguments.depth, DEPTH_MAX),
        ("--k", Some(arguments.eye.k), usize::MAX),
    ];
    for (flag, number, most) in numbers {
        if let Some(number) = number.filter(|number| !(1..=most).contains(number)) {
            let wanted =
                if most == usize::MAX { "from 1 on".to_owned() } else { format!("from 1 to {most}") };
            return Err(Refusal(format!("{flag} {number}: a number {wanted} is needed")));
        }
    }
    if config.schema().labels.is_none() {
        return Err(Refusal("no labels: give --labels FILE, or set labels.column".to_owned()));
    }
    Ok(Wish {
        algorithm: arguments.algorithm,
        trees: arguments.trees,
        depth: arguments.depth,
        rate: arguments.rate,
        seed: arguments.seed,
        balanced: arguments.balanced,
        threads: config.engine.workers,
        alerts_per_day: arguments.alerts_per_day,
        review_precision: arguments.review_precision,
        decline_precision: arguments.decline_precision,
    })
}

fn split(arguments: &Arguments, config: &Config, history: &Gathered) -> anyhow::Result<Split> {
    let delay = match config.schema().labels.as_ref().map(|labels| &labels.from) {
        Some(LabelsFrom::Column { delay_ms, .. }) => *delay_ms,
        Some(LabelsFrom::Input { .. }) | None => 86_400_000,
    };
    let said = Said {
        from: arguments.from,
        until: arguments.until,
        test_until: arguments.test_until,
        gap_ms: arguments.gap.unwrap_or(delay),
        no_test: arguments.no_test,
    };
    let times = || history.events.iter().map(|event| event.time_ms);
    let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    Split::of(first, last, said).map_err(|what| anyhow!(Refusal(what)))
}

/// How the events of a time are looked at.
pub(crate) fn eye(arguments: &EyeArguments, card: Option<usize>, time: (i64, i64), from: i64) -> Eye {
    let leave_from = (arguments.known_cards_leave && card.is_some()).then(|| training::midnight(from));
    Eye { time, k: arguments.k, leave_from, cards: card.is_some() }
}

/// Some rows, spread over all.
fn spread(history: &Gathered, rows: &[u32], most: usize) -> Vec<f32> {
    let width = history.width();
    let mut values = Vec::new();
    for row in rows.iter().step_by(rows.len().div_ceil(most).max(1)) {
        values.extend_from_slice(&history.values[*row as usize * width..][..width]);
    }
    values
}

fn span((from, until): (i64, i64)) -> String {
    format!("{} to {}", training::shown(from), training::shown(until))
}

fn about(history: &Gathered, split: &Split, fitted: &Fitted) -> Vec<(String, String)> {
    let pair = |what: &str, value: String| (what.to_owned(), value);
    let losses: Vec<String> =
        fitted.calibration.log_loss.iter().map(|(name, loss)| format!("{name} {loss:.6}")).collect();
    let mut about = vec![
        pair("history", format!("{} events, {} features", history.events.len(), history.width())),
        pair(
            "trained on",
            format!(
                "{}: {} rows, {} of them fraud",
                span(split.training()),
                fitted.rows.len(),
                fitted.frauds
            ),
        ),
        pair(
            "calibrated on",
            format!(
                "{}, {}; log loss on days not seen: {}",
                span(split.calibrate),
                fitted.calibration.method,
                losses.join(", ")
            ),
        ),
        pair("thresholds", format!("review at {}, decline at {}", fitted.review_at, fitted.decline_at)),
    ];
    if split.test.0 < split.test.1 {
        about.push(pair("judged on", span(split.test)));
    }
    if fitted.infinite > 0 {
        about.push(pair("infinite values", format!("{}, trained on as missing", fitted.infinite)));
    }
    if history.labels_without_event > 0 {
        let count = history.labels_without_event;
        about.push(pair("labels without an event", count.to_string()));
    }
    about
}

fn data(history: &Gathered, split: &Split, fitted: &Fitted) -> toml::Table {
    let shown = |ms: i64| toml::Value::from(training::shown(ms));
    let count = |count: usize| toml::Value::from(count as i64);
    [
        ("events", count(history.events.len())),
        ("rows", count(fitted.rows.len())),
        ("frauds", count(fitted.frauds)),
        ("from", shown(split.training().0)),
        ("until", shown(split.training().1)),
        ("labels_known_until", shown(split.known_until())),
        ("calibrated_from", shown(split.calibrate.0)),
        ("judged_from", shown(split.test.0)),
        ("judged_until", shown(split.test.1)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

fn metrics(judgement: &Judgement) -> toml::Table {
    let estimates = judgement.estimates.iter().filter(|(_, estimate)| estimate.value.is_finite());
    let mut table: toml::Table =
        estimates.map(|(name, estimate)| ((*name).to_owned(), estimate.value.into())).collect();
    table.insert("events".to_owned(), (judgement.events as i64).into());
    table.insert("frauds".to_owned(), (judgement.frauds as i64).into());
    table
}
