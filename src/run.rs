//! `cartguard run`: the engine on a stream, until it ends or a signal comes.

use crate::cli::{ConfigArguments, complain};
use crate::config::{Config, Flag, Sink as SinkConfig, Source as SourceConfig};
#[cfg(feature = "aws")]
use crate::config::{KinesisSink as KinesisConfig, KinesisSource as StreamConfig};
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::pipeline::{self, Ended, Finished, Input};
use crate::recovery::{Opening, Versions};
use crate::summary::Summary;
use crate::synthetic::SyntheticSource;
use crate::{engine, signals};
use anyhow::{Context, bail};
use cartguard_engine::batch::Engine;
use cartguard_io::sink::stdout::StdoutSink;
use cartguard_io::source::stdin::StdinSource;
use cartguard_io::{FileSink, FileSinkOptions, FileSource, NullSink, Replayable, Sink, Trouble};
use clap::Args;
use std::error::Error as _;
use std::path::PathBuf;
#[cfg(feature = "aws")]
use std::sync::Arc;
use std::time::Instant;

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Threads of the engine (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub(crate) force: bool,
    /// Go on though records of the stream were lost to its retention (source.accept_gap)
    #[arg(long)]
    pub(crate) accept_gap: bool,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let mut flags = workers_flag(arguments.workers);
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
    match serve(&config, arguments.force) {
        Ok(finished) => {
            if let Ended::Closed(closed) = &finished.ended {
                complain(&format!("note: {closed}; what came later was not delivered\n"));
            }
            // Standard output may carry the decisions.
            complain(&Summary::of(&finished).to_text());
            Exit::Done
        }
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

/// `--workers N` as a setting.
pub(crate) fn workers_flag(workers: Option<usize>) -> Vec<Flag> {
    let flag = |workers: usize| Flag::own("--workers", "engine.workers", workers.to_string());
    workers.map(flag).into_iter().collect()
}

fn serve(config: &Config, force: bool) -> anyhow::Result<Finished> {
    let stop = signals::listen()?;
    let started = Instant::now();
    let mut paced = None;
    let (input, engine) = match &config.source {
        SourceConfig::File { paths } => with_history(config, Box::new(FileSource::open(paths)?))?,
        SourceConfig::Stdin => {
            if config.history.is_some() {
                bail!(Refusal("history.folder: what comes from stdin cannot be read again after a crash; take it from a file or a stream".to_owned()));
            }
            (Input::Once(Box::new(StdinSource::open()?)), engine::open(config)?)
        }
        SourceConfig::Synthetic(settings) => {
            paced = settings.rate.map(|_| started);
            with_history(config, Box::new(SyntheticSource::configured(settings, started)?))?
        }
        #[cfg(feature = "aws")]
        SourceConfig::Kinesis(settings) => with_history(config, Box::new(kinesis_source(settings)?))?,
        #[cfg(not(feature = "aws"))]
        SourceConfig::Kinesis(_) => unreachable!("refused by the configuration"),
    };
    let force = force || input.goes_on();
    let mut output = None;
    let mut sink: Box<dyn Sink> = match &config.sink {
        SinkConfig::File { folder } => {
            let opened = output.insert(Output::open(folder, force, &inputs(config))?);
            // Whether it may be written into was found out just now.
            opened.clear(true)?;
            let sink = FileSink::open(folder, FileSinkOptions { force: true, sync: true })?;
            if config.output.as_array {
                opened.write_features(&engine.feature_names_json())?;
            }
            Box::new(sink)
        }
        SinkConfig::Stdout => Box::new(StdoutSink::open()?),
        SinkConfig::Null => Box::new(NullSink::default()),
        #[cfg(feature = "aws")]
        SinkConfig::Kinesis(settings) => Box::new(kinesis_sink(settings, &stop)?),
        #[cfg(not(feature = "aws"))]
        SinkConfig::Kinesis(_) => unreachable!("refused by the configuration"),
    };
    let settings = pipeline::Settings { retrying: Some(tell), ..pipeline::Settings::of(config, paced) };
    let finished = pipeline::run(input, engine, sink.as_mut(), settings, &stop.flag, |_| {})?;
    if let Some(output) = output {
        output.write_summary(&Summary::of(&finished).to_json())?;
    }
    Ok(finished)
}

/// The source with its history, where one is configured, and an engine as of its snapshot.
fn with_history<'a>(
    config: &Config,
    source: Box<dyn Replayable + 'a>,
) -> anyhow::Result<(Input<'a>, Engine)> {
    let Some(settings) = &config.history else {
        return Ok((Input::Once(source), engine::open(config)?));
    };
    let opening = Opening {
        config,
        settings,
        source: source.identity(),
        versions: versions(config)?,
        tell: |what| complain(&format!("note: {what}\n")),
    };
    let (history, engine) = opening.open(|| Ok(engine::open(config)?))?;
    Ok((Input::Again(source, Box::new(history)), engine))
}

/// What decides besides the features.
fn versions(config: &Config) -> anyhow::Result<Versions> {
    let model = match &config.model {
        None => "none".to_owned(),
        Some(folder) => {
            let path = folder.join("manifest.toml");
            let bytes =
                std::fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
            blake3::hash(&bytes).to_string()
        }
    };
    Ok(vec![
        ("model".to_owned(), model),
        ("output".to_owned(), format!("{:?}", config.output)),
        ("reasons".to_owned(), format!("{:?}", config.reasons)),
    ])
}

#[cfg(feature = "aws")]
fn kinesis_source(settings: &StreamConfig) -> Result<cartguard_kinesis::KinesisSource, Trouble> {
    use crate::config::StreamStart;
    use cartguard_kinesis::{Begin, ClientSettings, KinesisSource, Limits, Mode, Settings};

    let settings = Settings {
        access: ClientSettings {
            region: settings.region.clone(),
            profile: settings.profile.clone(),
            endpoint_url: settings.endpoint_url.clone(),
            assume_role: settings.assume_role.clone(),
        },
        stream: settings.stream.clone(),
        mode: if settings.fan_out { Mode::FanOut } else { Mode::Polling },
        consumer: settings.consumer.clone(),
        begin: match settings.start {
            StreamStart::TrimHorizon => Begin::Oldest,
            StreamStart::Latest => Begin::Latest,
            StreamStart::AtTimestamp(ms) => Begin::At(ms),
        },
        accept_gap: settings.accept_gap,
        limits: Limits {
            calls_per_second: settings.calls_per_second,
            bytes_per_second: settings.bytes_per_second,
            records_per_call: settings.call_records,
            buffer_bytes: settings.buffer,
            buffer_records: settings.buffer_records,
            subscription: settings.subscription,
            heartbeat: settings.heartbeat,
            call_timeout: settings.timeout,
            backoff_max: settings.backoff_max,
        },
    };
    KinesisSource::open(settings, Arc::new(|text: &str| complain(&format!("note: {text}\n"))))
}

#[cfg(feature = "aws")]
fn kinesis_sink(
    settings: &KinesisConfig,
    stop: &signals::Stop,
) -> Result<cartguard_kinesis::KinesisSink, Trouble> {
    use cartguard_kinesis::sink::Surroundings;
    use cartguard_kinesis::{ClientSettings, KinesisSink, SinkSettings};

    let client = ClientSettings {
        region: settings.region.clone(),
        profile: settings.profile.clone(),
        endpoint_url: settings.endpoint_url.clone(),
        assume_role: settings.assume_role.clone(),
    };
    let sink = SinkSettings {
        decisions: settings.decisions.clone(),
        alerts: settings.alerts.clone(),
        rejects: settings.rejects.clone(),
        key: settings.key.clone(),
        ordered: settings.ordered,
        linger: settings.linger,
        call_records: settings.call_records,
        call_bytes: settings.call_bytes,
        calls: settings.calls,
        record_bytes: Some(settings.record_max),
        buffer: settings.buffer,
        timeout: settings.timeout,
        drain: settings.drain,
    };
    let rejects = match &settings.rejects_file {
        Some(path) => Some(Box::new(cartguard_io::RejectsFile::open(path)?) as Box<dyn Sink>),
        None => None,
    };
    let tell = Arc::new(|text: &str| complain(&format!("warning: {text}\n")));
    KinesisSink::open(&sink, &client, Surroundings { stop: Arc::clone(&stop.flag), tell, rejects })
}

/// Files that will be read.
fn inputs(config: &Config) -> Vec<PathBuf> {
    match &config.source {
        SourceConfig::File { paths } => paths.clone(),
        // It may be a file that the shell opened.
        SourceConfig::Stdin => vec![PathBuf::from("/dev/stdin")],
        SourceConfig::Synthetic(_) | SourceConfig::Kinesis(_) => Vec::new(),
    }
}

fn tell(trouble: &Trouble) {
    let cause = trouble.source().map_or_else(String::new, |cause| format!(": {cause}"));
    complain(&format!(
        "warning: {trouble}{cause}; it is tried again until there is room, or a signal comes\n"
    ));
}
