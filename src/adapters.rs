//! From a checked configuration to an open source and an open sink.
//!
//! configuration -> **adapters** -> run, verify
//!
//! Not here: what they do (`cartguard_io`, the crates of outside systems).

use crate::cli::complain;
use crate::config::{Config, Sink as SinkConfig, Source as SourceConfig};
#[cfg(feature = "aws")]
use crate::config::{KinesisSink as KinesisSinkConfig, KinesisSource as KinesisSourceConfig};
use crate::output::Output;
use crate::signals::Stop;
use crate::synthetic::SyntheticSource;
use cartguard_engine::batch::Engine;
use cartguard_io::sink::stdout::StdoutSink;
use cartguard_io::source::stdin::StdinSource;
use cartguard_io::{
    FileSink, FileSinkOptions, FileSource, Labelled, Level, Meter, NullSink, Replayable, Sink, Source,
    Trouble,
};
use std::path::PathBuf;
#[cfg(feature = "aws")]
use std::sync::Arc;
use std::time::Instant;

/// A source as it was opened.
pub(crate) enum OpenSource {
    /// Its records can be taken once.
    Once(Box<dyn Source>),
    /// Its records can be taken again.
    Again(Box<dyn Replayable>),
}

/// Files of history, with the labels that features look at in front.
pub(crate) struct OpenHistory {
    pub(crate) source: Box<dyn Source>,
    /// Of the files of history.
    pub(crate) meter: Meter,
    /// What is seldom meant, and what a user should know.
    pub(crate) warnings: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// The files that a command was given.
pub(crate) fn open_history(config: &Config, input: &[PathBuf]) -> Result<OpenHistory, Trouble> {
    let events = FileSource::open_mapped(input, &config.mapped())?;
    let (warnings, notes) = (events.warnings().to_vec(), events.notes().to_vec());
    let meter = events.meter();
    let labels = config.labels_read();
    let source: Box<dyn Source> = if labels.is_empty() {
        Box::new(events)
    } else {
        Box::new(Labelled::new(FileSource::open(labels)?, events))
    };
    Ok(OpenHistory { source, meter, warnings, notes })
}

/// The source that the configuration names, with its labels; a synthetic one starts its schedule at `started`. One that does not answer is
/// waited for until `is_over`, which is trouble with that advice.
pub(crate) fn open_source(
    config: &Config,
    started: Instant,
    is_over: &dyn Fn() -> bool,
) -> anyhow::Result<OpenSource> {
    let events = open_events(config, started, is_over)?;
    let labels = config.labels_read();
    if labels.is_empty() {
        return Ok(events);
    }
    let labels = FileSource::open(labels)?.following().checking_ends();
    Ok(match events {
        OpenSource::Once(events) => OpenSource::Once(Box::new(Labelled::new(labels, events))),
        OpenSource::Again(events) => OpenSource::Again(Box::new(Labelled::new(labels, events))),
    })
}

fn open_events(config: &Config, started: Instant, is_over: &dyn Fn() -> bool) -> anyhow::Result<OpenSource> {
    #[cfg(not(feature = "aws"))]
    let _ = is_over;
    Ok(match &config.source {
        SourceConfig::File { paths } => {
            let source = FileSource::open_mapped(paths, &config.mapped())?;
            for warning in source.warnings() {
                complain(&format!("warning: {warning}\n"));
            }
            OpenSource::Again(Box::new(source))
        }
        #[cfg(feature = "aws")]
        SourceConfig::Kinesis(settings) => OpenSource::Again(Box::new(kinesis_source(settings, is_over)?)),
        #[cfg(not(feature = "aws"))]
        SourceConfig::Kinesis(_) => unreachable!("refused by the configuration"),
        SourceConfig::Stdin => OpenSource::Once(Box::new(StdinSource::open()?)),
        SourceConfig::Synthetic(settings) => {
            OpenSource::Again(Box::new(SyntheticSource::configured(settings, started)?))
        }
    })
}

/// A sink, and the folder that it writes into, if it is one.
pub(crate) struct OpenSink {
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) output: Option<Output>,
}

/// The sink that the configuration names; a folder that is not empty is refused unless it is forced, or it goes on there.
pub(crate) fn open_sink(
    config: &Config,
    engine: &Engine,
    (force, goes_on): (bool, bool),
    stop: &Stop,
) -> anyhow::Result<OpenSink> {
    #[cfg(not(feature = "aws"))]
    let _ = stop;
    let mut output = None;
    let sink: Box<dyn Sink> = match &config.sink {
        SinkConfig::File { folder } => {
            let opened = output.insert(Output::open(folder, force || goes_on, &inputs(config))?);
            // Whether it may be written into was found out just now.
            opened.clear(true)?;
            if !goes_on {
                opened.clear_shadow()?;
            }
            let settles = level(config) == Level::Host;
            let sink = FileSink::open(folder, FileSinkOptions { force: true, sync: true, settles })?;
            if config.output.as_array {
                opened.write_features(&engine.feature_names_json())?;
            }
            Box::new(sink)
        }
        SinkConfig::Stdout => Box::new(StdoutSink::open()?),
        SinkConfig::Null => Box::new(NullSink::default()),
        #[cfg(feature = "aws")]
        SinkConfig::Kinesis(settings) => Box::new(kinesis_sink(settings, level(config), stop)?),
        #[cfg(not(feature = "aws"))]
        SinkConfig::Kinesis(_) => unreachable!("refused by the configuration"),
    };
    Ok(OpenSink { sink, output })
}

/// What bound batches survive, and so what was delivered of them.
fn level(config: &Config) -> Level {
    config.history.as_ref().map_or(Level::Process, |history| history.level)
}

/// Files that will be read.
fn inputs(config: &Config) -> Vec<PathBuf> {
    let events = match &config.source {
        SourceConfig::File { paths } => paths.clone(),
        // It may be a file that the shell opened.
        SourceConfig::Stdin => vec![PathBuf::from("/dev/stdin")],
        _ => Vec::new(),
    };
    [&events[..], &config.label_input].concat()
}

#[cfg(feature = "aws")]
fn kinesis_source(
    settings: &KinesisSourceConfig,
    is_over: &dyn Fn() -> bool,
) -> Result<cartguard_kinesis::KinesisSource, Trouble> {
    use crate::config::StreamStart;
    use cartguard_kinesis::{Begin, ClientSettings, Limits, Mode, Settings};

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
    cartguard_kinesis::open(settings, Arc::new(|text: &str| complain(&format!("note: {text}\n"))), is_over)
}

#[cfg(feature = "aws")]
fn kinesis_sink(
    settings: &KinesisSinkConfig,
    level: Level,
    stop: &Stop,
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
        Some(path) => Some(Box::new(cartguard_io::RejectsFile::open(path, level)?) as Box<dyn Sink>),
        None => None,
    };
    let tell = Arc::new(|text: &str| complain(&format!("warning: {text}\n")));
    KinesisSink::open(&sink, &client, Surroundings { stop: Arc::clone(&stop.flag), tell, rejects })
}
