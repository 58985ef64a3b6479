//! `cartguard evaluate`: one model, or two side by side, on history whose truth is known.
//!
//! history -> engine -> rows -> models -> **evaluate** -> table, JSON, page

use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::exit::{Exit, Refusal};
use crate::run::flags_of;
use crate::train::{EyeArguments, eye};
use crate::training::{self, Ask, Bars, ModelReport, Report, ScoredModel, ended};
use crate::{engine, model, signals};
use anyhow::{Context, bail};
use cartguard_train::metrics;
use cartguard_train::trainer::importance;
use clap::Args;
use std::fs;
use std::path::PathBuf;

/// Rows of which the importance of features is taken, at most.
const IMPORTANCE_ROWS: usize = 20_000;

/// Arguments of `evaluate`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Model folder; twice for two models side by side
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) model: Vec<PathBuf>,
    /// History, one file after the other: .json(l), .csv, .parquet; text also .gz or .zst
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) input: Vec<PathBuf>,
    /// Labels (`event_id`, `label`, `known_at`) as .jsonl, .csv or .parquet (labels.input); without it [labels] column
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) labels: Vec<PathBuf>,
    /// First time that is judged on [default: the first event's]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<i64>,
    /// Time before which is judged on [default: the end]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Option<i64>,
    /// Page with plots to write
    #[arg(long, value_name = "FILE.html")]
    pub(crate) html: Option<PathBuf>,
    /// The same as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(crate) json: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) eye: EyeArguments,
    /// Threads of the engine (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
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
    match evaluate(arguments, &config, &Bars::new(stop.flag.clone())) {
        Ok(said) => say(&said),
        Err(why) => ended(&why, &stop),
    }
}

fn evaluate(arguments: &Arguments, config: &Config, bars: &Bars) -> anyhow::Result<String> {
    if arguments.model.len() > 2 {
        bail!(Refusal(format!("--model was given {} times; one or two are compared", arguments.model.len())));
    }
    if arguments.eye.k == 0 {
        bail!(Refusal("--k 0: a number from 1 on is needed".to_owned()));
    }
    if config.schema().labels.is_none() {
        bail!(Refusal("no labels: give --labels FILE, or set labels.column".to_owned()));
    }
    let plan = engine::plan(config);
    let mut scorers = Vec::new();
    for folder in &arguments.model {
        scorers.push(
            model::load(folder, &plan)
                .map(|loaded| loaded.scorer)
                .map_err(|fault| Refusal(fault.to_string()))?,
        );
    }
    let card = training::card(config, arguments.eye.card.as_deref())?;
    let ask = Ask { config, input: &arguments.input, card };
    let history = training::gather(ask, bars)?;
    let times = || history.events.iter().map(|event| event.time_ms);
    let from = arguments.from.unwrap_or_else(|| times().min().unwrap_or(0));
    let until = arguments.until.unwrap_or_else(|| times().max().unwrap_or(0) + 1);
    let eye = eye(&arguments.eye, card, (from, until), i64::MIN / 2);
    let (mut seen, mut models) = (Vec::new(), Vec::new());
    for scorer in &scorers {
        let scored = ScoredModel {
            model: &scorer.model,
            features: scorer.features.clone(),
            review_at: scorer.thresholds.review_at,
            decline_at: scorer.thresholds.decline_at,
        };
        let of = training::scored(&history, &scored, &eye)?;
        let rows = scored.rows(&history, &of.events, IMPORTANCE_ROWS);
        let shares = importance(&scorer.model, &rows, scorer.features.len());
        let names = scorer.features.iter().map(|feature| history.names[*feature].clone());
        let mut named: Vec<(String, f64)> = names.zip(shares).collect();
        named.sort_by(|a, b| b.1.total_cmp(&a.1));
        models.push(ModelReport::new(scorer.name.clone(), &of, training::judge(&of), named));
        seen.push(of);
    }
    let differences = match seen.as_slice() {
        [first, second] => {
            metrics::compare(&first.scored(), &second.scored(), [first.settings(), second.settings()])
        }
        _ => Vec::new(),
    };
    let names: Vec<&str> = scorers.iter().map(|scorer| scorer.name.as_str()).collect();
    let judged = seen.first().map_or(0, |of| of.events.len());
    let mut about = vec![
        ("judged on".to_owned(), format!("{} to {}", training::shown(from), training::shown(until))),
        (
            "events".to_owned(),
            format!("{judged} with a label are judged of {} of the history", history.events.len()),
        ),
    ];
    if history.labels_without_event > 0 {
        about.push(("labels without an event".to_owned(), history.labels_without_event.to_string()));
    }
    let report = Report { title: names.join(" and "), about, models, differences };
    for (file, bytes) in
        [(&arguments.html, training::html(&report)), (&arguments.json, training::json(&report))]
    {
        if let Some(file) = file {
            fs::write(file, bytes).with_context(|| format!("{}: cannot be written", file.display()))?;
        }
    }
    Ok(training::text(&report))
}
