//! When records came past whoever stands before the streams.
//!
//! `local-kinesis --stamps` -> **stamps** -> measure
//!
//! Holds: of what came past several times the first counts, whoever sent it again.

use crate::files;
use anyhow::Context;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Names of the streams that are measured.
pub(super) struct Streams<'a> {
    pub(super) input: Option<&'a str>,
    pub(super) decisions: &'a str,
    pub(super) alerts: Option<&'a str>,
}

/// The first times, by id, µs since 1970.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    pub(super) event_put: HashMap<String, u64>,
    /// To whoever decides.
    pub(super) event_given: HashMap<String, u64>,
    pub(super) decision_put: HashMap<String, u64>,
    pub(super) alert_put: HashMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Line<'a> {
    stream: &'a str,
    way: &'a str,
    event_id: Cow<'a, str>,
    at_us: u64,
}

impl Stamps {
    /// Of a file with a line each.
    pub(super) fn read(path: &Path, streams: &Streams<'_>) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| files::name(path))?;
        let mut stamps = Self::default();
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line.with_context(|| files::name(path))?;
            let stamp: Line<'_> =
                serde_json::from_str(&line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
            let list = match stamp.way {
                "put" if streams.input == Some(stamp.stream) => &mut stamps.event_put,
                "given" if streams.input == Some(stamp.stream) => &mut stamps.event_given,
                "put" if stamp.stream == streams.decisions => &mut stamps.decision_put,
                "put" if streams.alerts == Some(stamp.stream) => &mut stamps.alert_put,
                // Given to whoever measures, or of a stream that is not measured.
                _ => continue,
            };
            let at_us = list.entry(stamp.event_id.into_owned()).or_insert(stamp.at_us);
            *at_us = stamp.at_us.min(*at_us);
        }
        Ok(stamps)
    }
}
