//! `cartguard replay`: the engine over history in files.

use crate::adapters::{OpenHistory, OpenSource, open_history, open_source};
use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::pipeline::{self, Around, Ended, Finished, Input};
use crate::run::flags_of;
use crate::shadow::{self, Hand, Shadow, WhenFull};
use crate::summary::Summary;
use crate::vitals::Vitals;
use crate::{engine, signals};
use anyhow::bail;
use cartguard_engine::batch::{Engine, Outputs};
use cartguard_history::Partitions;
use cartguard_io::{FileSink, FileSinkOptions, FileSource, Meter, NullSink, Output as Lines, Sink, Trouble};
use cartguard_recovery::{Found, Retelling, Storage, Which};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Arguments of `replay`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Files, one after the other: .json(l), .csv, .parquet; text also .gz or .zst
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "order_log", conflicts_with = "order_log")]
    pub(crate) input: Vec<PathBuf>,
    /// Labels (`event_id`, `label`, `known_at`) as .jsonl, .csv or .parquet, for features of labels (labels.input)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) labels: Vec<PathBuf>,
    /// Data folder (history.folder) whose order log is told again from its first batch, with the configured source: the run that
    /// nobody disturbed
    #[arg(long, value_name = "DIR")]
    pub(crate) order_log: Option<PathBuf>,
    /// With --order-log: the snapshot with which that history began (run --seed-from)
    #[arg(long, value_name = "SNAPSHOT", requires = "order_log")]
    pub(crate) seed_from: Option<PathBuf>,
    /// Folder to write into; refused where it is not empty
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub(crate) force: bool,
    /// Do all the work and write summary.json only
    #[arg(long)]
    pub(crate) discard: bool,
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
    for warning in &config.warnings {
        complain(&format!("warning: {warning}\n"));
    }
    let replayed = match &arguments.order_log {
        Some(folder) => replay_order_log(arguments, &config, folder),
        None => replay(arguments, &config),
    };
    match replayed {
        Ok(exit) => exit,
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

fn replay(arguments: &Arguments, config: &Config) -> anyhow::Result<Exit> {
    let engine = engine::open(config, FileSource::IDENTITY)?;
    let stop = signals::listen()?;
    let OpenHistory { source, meter, warnings, notes } = open_history(config, &arguments.input)?;
    for warning in warnings {
        complain(&format!("warning: {warning}\n"));
    }
    for note in notes {
        complain(&format!("note: {note}\n"));
    }
    if !config.label_input.is_empty() && config.labels_read().is_empty() {
        complain("note: labels.input: no feature looks at labels, so none are read\n");
    }
    let bar = Bar::new(meter);
    let (output, mut sink) = open_output(arguments, config, &engine)?;
    let settings = pipeline::Settings::of_history(config);
    let (shadow, mut hand) = match open_shadow(arguments, config, &engine)? {
        Some((shadow, hand)) => (Some(shadow), Some(hand)),
        None => (None, None),
    };
    let vitals = Vitals::default();
    let around = Around { stop: &stop.flag, vitals: &vitals, switches: None, hand: hand.as_mut() };
    let finished = pipeline::run(Input::Once(source), engine, sink.as_mut(), settings, around, |_| {
        bar.tick();
    });
    drop(hand);
    let written = shadow.map_or(Ok(()), Shadow::finish);
    let finished = finished?;
    bar.finish();
    if let (Ended::Stopped(place), Some((name, exit))) = (&finished.ended, stop.signal()) {
        complain(&format!(
            "cartguard: {name}: stopped before {place}; what came before it is delivered, and no summary.json is written\n"
        ));
        return Ok(exit);
    }
    written.map_err(Trouble::stop)?;
    tell_losses(&finished.engine);
    let summary = Summary::of(&finished);
    output.write_summary(&summary.to_json())?;
    Ok(say(&summary.to_text()))
}

/// The challengers of the folder of models, where there are any: here they score every event of their share.
fn open_shadow(
    arguments: &Arguments,
    config: &Config,
    engine: &Engine,
) -> anyhow::Result<Option<(Shadow, Hand)>> {
    let plan = engine.preparer().plan().clone();
    let tell = |what: &str| complain(&format!("warning: {what}\n"));
    let standing = engine::standing(config, &plan, tell)?;
    // Drift alone would be told to nobody.
    let Some(roster) = standing.roster(&plan, config.drift_share).filter(|_| standing.has_challengers())
    else {
        return Ok(None);
    };
    let path = (!arguments.discard).then(|| arguments.output.join(shadow::SCORES));
    // As long as the decisions: a history ends.
    let settings = shadow::Settings { path, max_bytes: None, append: false };
    let (shadow, mut hand, _) = Shadow::start(settings, WhenFull::Wait, tell)?;
    hand.follow(Some(roster));
    Ok(Some((shadow, hand)))
}

/// What an order log has, in its order, with its batches.
fn replay_order_log(arguments: &Arguments, config: &Config, folder: &Path) -> anyhow::Result<Exit> {
    let started = Instant::now();
    // Each batch is decided by its own model; the one that is active now may be no good.
    let (config, refused) = &engine::deciding(config, Some(folder))?;
    if let Some(what) = refused {
        complain(&format!("warning: {what}\n"));
    }
    let OpenSource::Again(mut source) = open_source(config, started, &|| false)? else {
        bail!(Refusal("what came from stdin cannot be read again".to_owned()));
    };
    let identity = source.identity();
    let opening = engine::history(config, &identity, |what| complain(&format!("note: {what}\n")))?;
    let make = || engine::open(config, &identity);
    let seed = arguments.seed_from.as_deref().map(|seed| opening.look_at_seed(Storage::look(seed)?, make));
    let seed = seed.transpose()?;
    let begun = || match &seed {
        Some(seed) => seed.restore(make()?),
        None => make(),
    };
    let Found { mut engine, tail, .. } = opening.look(&Storage::look(folder)?, Which::Empty, begun)?;
    let (output, mut sink) = open_output(arguments, config, &engine)?;
    let mut retelling =
        Retelling::begin(source.as_mut(), &mut engine, &Partitions::default(), opening.models)?;
    let mut outputs = Outputs::default();
    for bound in &tail {
        retelling.next(source.as_mut(), &mut engine, bound, &mut outputs, &|| false)?;
        let lists: [Vec<&[u8]>; 3] =
            [outputs.decisions().collect(), outputs.alerts().collect(), outputs.rejects().collect()];
        let [decisions, alerts, rejects] = &lists;
        sink.write(&Lines { batch: bound.batch, decisions, alerts, rejects })?;
    }
    sink.finish()?;
    let finished = Finished {
        engine,
        latency: pipeline::new_histogram(),
        wall: started.elapsed(),
        ended: Ended::Source,
    };
    tell_losses(&finished.engine);
    let summary = Summary::of(&finished);
    output.write_summary(&summary.to_json())?;
    Ok(say(&summary.to_text()))
}

fn tell_losses(engine: &Engine) {
    if let Some(lost) = engine::lost_labels(engine) {
        complain(&format!("warning: {lost}\n"));
    }
}

/// The folder, ready to be written into, and the sink that does.
fn open_output(
    arguments: &Arguments,
    config: &Config,
    engine: &Engine,
) -> anyhow::Result<(Output, Box<dyn Sink>)> {
    let inputs = [&arguments.input[..], &config.label_input].concat();
    let output = Output::open(&arguments.output, arguments.force, &inputs)?;
    output.clear(!arguments.discard)?;
    output.clear_shadow()?;
    if arguments.discard {
        return Ok((output, Box::new(NullSink::default())));
    }
    // Whether it may be written into was found out above.
    let options = FileSinkOptions { force: true, sync: false, settles: false };
    let sink = FileSink::open(&arguments.output, options)?;
    if config.output.as_array {
        output.write_features(&engine.feature_names_json())?;
    }
    Ok((output, Box::new(sink)))
}

/// A progress bar on a terminal, by bytes of the input.
struct Bar {
    bar: ProgressBar,
    meter: Meter,
}

impl Bar {
    fn new(meter: Meter) -> Self {
        let bar = ProgressBar::with_draw_target(Some(meter.total()), ProgressDrawTarget::stderr_with_hz(10));
        let style = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, meter }
    }

    fn tick(&self) {
        if !self.bar.is_hidden() {
            self.bar.set_position(self.meter.done());
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
