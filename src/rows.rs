//! `cartguard rows`: the training rows, for people who train with tools of their own.
//!
//! history -> engine -> **rows** -> Parquet

use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::exit::Exit;
use crate::run::flags_of;
use crate::signals;
use crate::training::{Ask, Bars, ended, names, pass};
use cartguard_io::rows::write::{About, RowWriter};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `rows`.
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
    /// Parquet to write: `event_id`, `event_time`, `event_amount`, `event_currency`, label, `label_known_at`, and every feature
    #[arg(long, value_name = "FILE.parquet")]
    pub(crate) output: PathBuf,
    /// Replace the output where it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Threads of the engine (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
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
    match write(arguments, &config, &Bars::new(stop.flag.clone())) {
        Ok(said) => say(&said),
        Err(why) => ended(&why, &stop),
    }
}

fn write(arguments: &Arguments, config: &Config, bars: &Bars) -> anyhow::Result<String> {
    let features = names(config);
    let mut writer = RowWriter::create(&arguments.output, &features, arguments.force)?;
    let ask = Ask { config, input: &arguments.input, card: None };
    let (mut rows, mut labelled, mut frauds) = (0u64, 0u64, 0u64);
    let without_event = pass(ask, bars, |event| {
        // The last label that is known by now.
        let label = event.known.last();
        rows += 1;
        labelled += u64::from(label.is_some());
        frauds += u64::from(label.is_some_and(|label| label.fraud));
        let about = About {
            event_id: event.id,
            time_ms: event.time_ms,
            amount: event.amount,
            currency: event.currency,
            label: label.map(|label| (label.fraud, label.at_ms)),
        };
        Ok(writer.push(&about, event.values)?)
    })?;
    writer.finish()?;
    let mut said = format!(
        "{rows} rows of {} features, {labelled} with a label, {frauds} of them fraud; written to {}\n",
        features.len(),
        arguments.output.display()
    );
    if without_event > 0 {
        said.push_str(&format!("  {without_event} events that have labels are not in the history\n"));
    }
    Ok(said)
}
