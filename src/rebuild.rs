//! `cartguard rebuild`: a snapshot from history in files, for a history that begins with it (`run --seed-from`).
//!
//! files -> engine -> **rebuild** -> a folder with one snapshot

use crate::adapters::{OpenHistory, open_history};
use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::exit::{Exit, Refusal};
use crate::pipeline::{self, Around, Ended, Input};
use crate::run::flags_of;
use crate::vitals::Vitals;
use crate::{engine, signals};
use anyhow::bail;
use cartguard_io::{Level, NullSink};
use cartguard_recovery::{Opening, Storage};
use clap::Args;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `rebuild`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Files of history, oldest first, one after the other: .json(l), .csv, .parquet; text also .gz or .zst
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    input: Vec<PathBuf>,
    /// Labels (`event_id`, `label`, `known_at`) as .jsonl, .csv or .parquet, for features of labels (labels.input)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    labels: Vec<PathBuf>,
    /// Folder of the snapshot; refused where it is not empty
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Threads of the engine (engine.workers)
    #[arg(long, value_name = "N")]
    workers: Option<String>,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let config = match arguments.config.load(flags_of(arguments.workers.as_deref(), &arguments.labels)) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    for warning in &config.warnings {
        complain(&format!("warning: {warning}\n"));
    }
    match rebuild(arguments, &config) {
        Ok(exit) => exit,
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

fn rebuild(arguments: &Arguments, config: &Config) -> anyhow::Result<Exit> {
    if config.history.is_none() {
        bail!(Refusal(
            "history.folder: is empty; a snapshot is for a pipeline that keeps a history, and has its name"
                .to_owned()
        ));
    }
    let name = arguments.output.display();
    if fs::read_dir(&arguments.output).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(Refusal(format!("{name}: is not empty; a snapshot has a folder of its own")));
    }
    let started = Instant::now();
    let stop = signals::listen()?;
    let OpenHistory { source, warnings, .. } = open_history(config, &arguments.input)?;
    for warning in warnings {
        complain(&format!("warning: {warning}\n"));
    }
    let opening = engine::history(config, Opening::REBUILT, |what| complain(&format!("note: {what}\n")))?;
    let engine = engine::open(config, Opening::REBUILT)?;
    let finished = pipeline::run(
        Input::Once(source),
        engine,
        &mut NullSink::default(),
        pipeline::Settings::of_history(config),
        Around { stop: &stop.flag, vitals: &Vitals::default(), switches: None, hand: None },
        |_| {},
    )?;
    if let (Ended::Stopped(place), Some((signal, exit))) = (&finished.ended, stop.signal()) {
        complain(&format!("cartguard: {signal}: stopped before {place}; no snapshot is stored\n"));
        return Ok(exit);
    }
    // Only now: a folder that something is in is refused.
    let storage = Storage::open(&arguments.output, Level::Process)?;
    let mut engine = finished.engine;
    opening.store_seed(&storage, &mut engine)?;
    let (counts, state) = (engine.counts(), engine.state());
    if state.evicted_ids > 0 {
        complain(&format!(
            "warning: {} event ids were forgotten before dedupe.span for want of dedupe.memory; what of them comes again is decided again\n",
            state.evicted_ids
        ));
    }
    if let Some(lost) = engine::lost_labels(&engine) {
        complain(&format!("warning: {lost}\n"));
    }
    Ok(say(&format!(
        "{} events in {:.2} s: {} accepted, {} rejects; {} keys, {} ids in {name}\n",
        counts.events,
        started.elapsed().as_secs_f64(),
        counts.accepted,
        counts.rejected(),
        state.keys,
        state.ids
    )))
}
