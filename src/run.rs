//! `cartguard run`: the engine on a stream, until it ends or a signal comes.

use crate::adapters::{OpenSink, OpenSource, open_sink, open_source};
use crate::cli::{ConfigArguments, complain};
use crate::config::{Config, Flag, Sink as SinkConfig, Source as SourceConfig};
use crate::exit::{Exit, Refusal};
use crate::model::{Standing, Watched};
use crate::pipeline::{self, Around, Ended, Finished, Input};
use crate::shadow::{self, Shadow, WhenFull};
use crate::signals::Stop;
use crate::summary::Summary;
use crate::vitals::{ModelsSeen, Vitals};
use crate::watch::{self, Watcher};
use crate::{engine, memory, overlap, panics, signals};
use anyhow::bail;
use cartguard_engine::batch::{Engine, Preparer};
use cartguard_io::{Advice, Replayable, Trouble};
use cartguard_recovery::{Opening, Storage};
use clap::Args;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Threads of the engine (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub(crate) force: bool,
    /// Go on though records of the stream were lost to its retention (source.accept_gap)
    #[arg(long)]
    pub(crate) accept_gap: bool,
    /// Begin an empty data folder with a snapshot that `cartguard rebuild` made
    #[arg(long, value_name = "SNAPSHOT")]
    pub(crate) seed_from: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    panics::leave_no_dump();
    let mut flags = workers_flag(arguments.workers.as_deref());
    if arguments.accept_gap {
        flags.push(Flag::own("--accept-gap", "source.accept_gap", "true".to_owned()));
    }
    let config = match arguments.config.load(flags) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    for warning in &config.warnings {
        complain(&format!("warning: {warning}\n"));
    }
    match serve(&config, arguments) {
        Ok(finished) => {
            if let Ended::Closed(closed) = &finished.ended {
                complain(&format!("note: {closed}; what came later was not delivered\n"));
            }
            // Standard output may carry the decisions.
            complain(&Summary::of(&finished).to_text());
            Exit::Done
        }
        Err(why) if is_over(&why) => {
            complain(&format!("note: a signal came while {why}; nothing was taken, and nothing is lost\n"));
            Exit::Done
        }
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

/// Whether it ended because it was asked to, before there was anything to finish.
fn is_over(why: &anyhow::Error) -> bool {
    why.downcast_ref::<Trouble>().is_some_and(|trouble| trouble.advice() == Advice::Over)
}

/// `--workers N` as a setting, whose range the configuration knows.
pub(crate) fn workers_flag(workers: Option<&str>) -> Vec<Flag> {
    let flag = |workers: &str| Flag::own("--workers", "engine.workers", workers.to_owned());
    workers.map(flag).into_iter().collect()
}

/// `--labels FILE...` as a setting.
pub(crate) fn labels_flag(labels: &[PathBuf]) -> Vec<Flag> {
    if labels.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = labels.iter().map(|path| format!("{:?}", path.display().to_string())).collect();
    vec![Flag::own("--labels", "labels.input", format!("[{}]", names.join(", ")))]
}

/// Both.
pub(crate) fn flags_of(workers: Option<&str>, labels: &[PathBuf]) -> Vec<Flag> {
    [workers_flag(workers), labels_flag(labels)].concat()
}

fn serve(config: &Config, arguments: &Arguments) -> anyhow::Result<Finished> {
    let stop = signals::listen()?;
    let started = Instant::now();
    let is_paced = matches!(&config.source, SourceConfig::Synthetic(settings) if settings.rate.is_some());
    let is_over = || stop.flag.load(Ordering::Relaxed);
    let vitals = Arc::new(Vitals::default());
    let watcher = Watcher::start(Arc::clone(&vitals), watch::Settings::of(config));
    let (config, refused) = &engine::deciding(config, config.history_folder())?;
    if let Some(what) = refused {
        complain(&format!("warning: {what}\n"));
    }
    let (input, engine) = match open_source(config, started, &is_over)? {
        OpenSource::Again(source) => with_history(config, source, arguments.seed_from.as_deref(), &stop)?,
        OpenSource::Once(_) if config.history.is_some() => {
            bail!(Refusal(
                "history.folder: what comes from stdin cannot be read again after a crash; take it from a file or a stream".to_owned()
            ));
        }
        OpenSource::Once(source) => (Input::Once(source), engine::open(config, "")?),
    };
    let goes_on = input.goes_on();
    let OpenSink { mut sink, output } = open_sink(config, &engine, (arguments.force, goes_on), &stop)?;
    let paced = is_paced.then_some(started);
    let settings = pipeline::Settings { retrying: Some(tell), ..pipeline::Settings::of(config, paced) };
    let active = engine.scorer().map(|scorer| scorer.name.clone());
    vitals.see_models(ModelsSeen { active, ..ModelsSeen::default() });
    let plan = engine.preparer().plan().clone();
    let standing = engine::standing(config, &plan, note)?;
    // Where there is a folder of models challengers may come at any time.
    let roster = standing.roster(&plan, config.drift_share);
    let shadow = if config.models.is_some() || roster.is_some() {
        let settings = shadow::Settings {
            path: scores(config),
            max_bytes: Some(config.scores.max_bytes),
            append: goes_on,
        };
        Some(Shadow::start(settings, WhenFull::Skip, note)?)
    } else {
        None
    };
    let (shadow, mut hand) = match shadow {
        Some((shadow, mut hand, figures)) => {
            hand.follow(roster);
            vitals.watch_shadow(figures);
            (Some(shadow), Some(hand))
        }
        None => (None, None),
    };
    let watched = watched(config, standing, engine.preparer(), Arc::clone(&vitals));
    let switches = watched.map(Watched::start).transpose()?;
    let around =
        Around { stop: &stop.flag, vitals: &vitals, switches: switches.as_ref(), hand: hand.as_mut() };
    // The state of a snapshot is there by now, in huge pages; what comes from here on must not wait for one.
    memory::small_pages();
    let finished = pipeline::run(input, engine, sink.as_mut(), settings, around, |_| {});
    drop((watcher, hand));
    // What it could not write was told when it was so, and is no fault of the run.
    let _ = shadow.map(Shadow::finish);
    let finished = finished?;
    if let Some(output) = output {
        output.write_summary(&Summary::of(&finished).to_json())?;
    }
    Ok(finished)
}

fn note(what: &str) {
    complain(&format!("note: {what}\n"));
}

/// Where challengers write: beside the lines, or where there is no folder of them beside the history.
fn scores(config: &Config) -> Option<PathBuf> {
    let history = || config.history.as_ref().map(|history| &history.folder);
    let folder = match &config.sink {
        SinkConfig::File { folder } => Some(folder),
        SinkConfig::Stdout | SinkConfig::Null | SinkConfig::Kinesis(_) => history(),
    };
    config.scores.path.clone().or_else(|| Some(folder?.join(shadow::SCORES)))
}

/// The folder of models, where the configuration names one.
fn watched(config: &Config, standing: Standing, preparer: Preparer, vitals: Arc<Vitals>) -> Option<Watched> {
    let models = config.models.clone()?;
    // What the configuration found there when it was read.
    let active = config.model.as_ref().and_then(|folder| folder.strip_prefix(&models).ok());
    let active = active.map(|active| active.display().to_string());
    let (start, drift) = (config.model_start, config.drift_share);
    Some(Watched { models, active, standing, preparer, start, drift, vitals, tell: note })
}

/// The source with its history, where one is configured, and an engine as of its snapshot.
fn with_history(
    config: &Config,
    source: Box<dyn Replayable>,
    seed: Option<&Path>,
    stop: &Stop,
) -> anyhow::Result<(Input<'static>, Engine)> {
    let identity = source.identity();
    let Some(settings) = &config.history else {
        if seed.is_some() {
            bail!(Refusal("--seed-from: history.folder is empty; the snapshot begins a history".to_owned()));
        }
        return Ok((Input::Once(source), engine::open(config, &identity)?));
    };
    let mut opening = engine::history(config, &identity, |what| complain(&format!("note: {what}\n")))?;
    opening.stop = Arc::clone(&stop.flag);
    let storage = Storage::open(&settings.folder, settings.level)?;
    if let Some(folder) = seed {
        plant(config, &opening, &storage, folder, &identity)?;
    }
    let (history, engine) = opening.open(storage, config.snapshot, || engine::open(config, &identity))?;
    Ok((Input::Again(source, Box::new(history)), engine))
}

/// Begins an empty data folder with a rebuilt snapshot.
fn plant(
    config: &Config,
    opening: &Opening,
    storage: &Storage,
    folder: &Path,
    identity: &str,
) -> anyhow::Result<()> {
    let seed = opening.look_at_seed(Storage::look(folder)?, || engine::open(config, identity))?;
    match overlap::check(config, seed.head().stream_ms) {
        Ok(told) => told.iter().for_each(|told| complain(&format!("note: {told}\n"))),
        Err(why) => bail!(Refusal(why)),
    }
    opening.plant(&seed, storage)?;
    let records = seed.next_sequence();
    complain(&format!(
        "note: the history begins with {}, the state behind {records} records\n",
        folder.display()
    ));
    Ok(())
}

fn tell(trouble: &Trouble) {
    let cause = trouble.source().map_or_else(String::new, |cause| format!(": {cause}"));
    complain(&format!(
        "warning: {trouble}{cause}; it is tried again until there is room, or a signal comes\n"
    ));
}
