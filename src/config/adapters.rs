//! `[source]` and `[sink]`: where events come from and where decisions go.

use super::Relative;
use super::kinesis::{self, KinesisSink, KinesisSource};
use cartguard_engine::document::Reader;
use std::path::PathBuf;

/// Where `run` takes its events from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// Files, one after the other.
    File {
        paths: Vec<PathBuf>,
    },
    Stdin,
    Synthetic(Synthetic),
    /// A stream; only with the feature `aws`.
    Kinesis(Box<KinesisSource>),
}

/// The built-in generator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Synthetic {
    pub(crate) world: World,
    /// None: without end.
    pub(crate) events: Option<u64>,
    /// Events a second; none: all it can.
    pub(crate) rate: Option<f64>,
    pub(crate) seed: u64,
}

/// What the generator makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    Shop,
    Workload,
    Handbook,
}

/// Where `run` puts its decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    /// Files in a folder.
    File {
        folder: PathBuf,
    },
    Stdout,
    Null,
    /// Streams; only with the feature `aws`.
    Kinesis(Box<KinesisSink>),
}

/// Adapters that people ask for and this version lacks.
const ABSENT_SOURCES: [&str; 2] = ["kinesis", "kafka"];
const ABSENT_SINKS: [&str; 4] = ["kinesis", "s3", "kafka", "webhook"];
/// The last one of each needs the feature `aws`.
const SOURCES: [&str; 4] = ["file", "stdin", "synthetic", "kinesis"];
const SINKS: [&str; 4] = ["file", "stdout", "null", "kinesis"];

pub(super) fn source(table: &mut Reader<'_>, at: &Relative<'_>) -> Option<Source> {
    let kind = if cfg!(feature = "aws") {
        kind(table, &SOURCES, &ABSENT_SOURCES[1..])
    } else {
        kind(table, &SOURCES[..3], &ABSENT_SOURCES)
    };
    let paths = table
        .texts("paths")
        .map(|paths| paths.into_iter().map(|(text, place)| at.from(place, &text)).collect::<Vec<_>>());
    let world = table.one_of("world", &["shop", "workload", "handbook"]);
    let events = table.integer("events", 0..=i64::MAX);
    // Past a thousand million a second the gap between two events is below a nanosecond.
    let rate = table.number("rate", 0.0..=1e9);
    let seed = table.integer("seed", 0..=i64::MAX);
    let stream = kinesis::source(table, kind == Some(3));
    match kind? {
        0 => {
            let paths = paths?;
            if paths.is_empty() {
                table.needed("paths", "type", "is empty; the files to read, such as [\"events.jsonl.gz\"]");
            }
            stream.map(|_| Source::File { paths })
        }
        // A key that is read for one type is right or wrong for all.
        1 => stream.map(|_| Source::Stdin),
        3 => stream.map(|stream| Source::Kinesis(Box::new(stream))),
        _ => stream.and(Some(Source::Synthetic(Synthetic {
            world: [World::Shop, World::Workload, World::Handbook][world?],
            events: events.map(|events| (events > 0).then_some(events as u64))?,
            rate: rate.map(|rate| (rate > 0.0).then_some(rate))?,
            seed: seed? as u64,
        }))),
    }
}

pub(super) fn sink(table: &mut Reader<'_>, at: &Relative<'_>) -> Option<Sink> {
    let kind = if cfg!(feature = "aws") {
        kind(table, &SINKS, &ABSENT_SINKS[1..])
    } else {
        kind(table, &SINKS[..3], &ABSENT_SINKS)
    };
    let folder = at.path(table, "path");
    let streams = kinesis::sink(table, at, kind == Some(3));
    match kind? {
        0 => {
            let folder = folder?;
            if folder.is_none() {
                table.needed("path", "type", "is empty; the folder to write into");
            }
            streams.and(folder).map(|folder| Sink::File { folder })
        }
        1 => streams.map(|_| Sink::Stdout),
        2 => streams.map(|_| Sink::Null),
        _ => streams.map(|streams| Sink::Kinesis(Box::new(streams))),
    }
}

/// The type of an adapter, by index.
fn kind(table: &mut Reader<'_>, here: &[&str], absent: &[&str]) -> Option<usize> {
    let word = table.text("type")?;
    if absent.contains(&word.as_str()) {
        let why = match word.as_str() {
            "kinesis" => {
                "kinesis needs a build with the feature aws (cargo build --release --features aws)".to_owned()
            }
            word => format!("this version has no adapter for {word}"),
        };
        table.fault("type", format!("{why}; one of {}", here.join(", ")));
        return None;
    }
    table.one_of("type", here)
}
