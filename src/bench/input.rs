//! What a bench feeds to the engine, made before the run.
//!
//! loadgen, files -> **input** -> `open_loop`, `beside`

use super::Arguments;
use crate::config::{Config, Source as SourceConfig, Synthetic, World};
use crate::exit::Refusal;
use crate::synthetic::generator_settings;
use anyhow::ensure;
use cartguard_engine::record::{Location, RecordMeta, Records};
use cartguard_io::{FileSource, Read, Source};
use loadgen::Generator;
use std::thread;
use std::time::Duration;

/// What a run is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// Events that fill the state before.
    pub(super) warm_up: u64,
    /// Events a second.
    pub(super) rate: f64,
    pub(super) seconds: f64,
}

impl Asked {
    /// How many are measured where the input has so many.
    pub(super) fn events(&self) -> u64 {
        (self.rate * self.seconds).ceil() as u64
    }

    /// What filled the state before, in words.
    pub(super) fn filled(&self, warmed: u64, total: u64) -> String {
        let less = if warmed < self.warm_up {
            format!(", not the {} of --warm-up: half of the {total} of the input is the most", self.warm_up)
        } else {
            String::new()
        };
        format!("{warmed} events filled the state before{less}\n")
    }

    /// That the input had not enough for --seconds, where so many were measured.
    pub(super) fn ended_early(&self, measured: u64) -> String {
        if measured >= self.events() {
            return String::new();
        }
        let seconds = measured as f64 / self.rate;
        format!("the input ended after {seconds:.2} s, before the {} s of --seconds\n", self.seconds)
    }
}

/// Records made before the run, in batches as they were made.
pub(super) struct Input {
    records: Vec<Records>,
}

impl Input {
    pub(super) fn make(arguments: &Arguments, config: &Config, events: u64) -> anyhow::Result<Self> {
        let mut records = Vec::new();
        if !arguments.input.is_empty() {
            let mut source = FileSource::open(&arguments.input)?;
            let mut made = 0;
            while made < events {
                let mut batch = Records::default();
                if source.read(&mut batch, 1 << 20, 4_096)? == Read::End {
                    break;
                }
                // A pipe may have none yet.
                if batch.is_empty() {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                made += batch.len() as u64;
                records.push(batch);
            }
            ensure!(made > 0, Refusal("--input: there is no record in it".into()));
            return Ok(Self { records });
        }
        let settings = match &config.source {
            SourceConfig::Synthetic(settings) => settings.clone(),
            SourceConfig::File { .. } | SourceConfig::Stdin | SourceConfig::Kinesis(_) => {
                Synthetic { world: World::Shop, events: None, rate: None, seed: 1 }
            }
        };
        let settings = loadgen::Settings { events: Some(events), ..generator_settings(&settings) };
        let mut generator = Generator::new(&settings)?;
        let mut text = Vec::new();
        let mut batch = Records::default();
        while generator.next_event(&mut text).is_some() {
            batch.push_json(&text);
            text.clear();
            if batch.len() == 4_096 {
                records.push(std::mem::take(&mut batch));
            }
        }
        records.push(batch);
        Ok(Self { records })
    }

    pub(super) fn len(&self) -> u64 {
        self.records.iter().map(|batch| batch.len() as u64).sum()
    }
}

/// Takes records from the input in batches of any size.
pub(super) struct Cursor<'a> {
    input: &'a Input,
    batch: usize,
    at: usize,
    /// Records so far.
    taken: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(input: &'a Input) -> Self {
        Self { input, batch: 0, at: 0, taken: 0 }
    }

    /// Records of the whole input.
    pub(super) fn total(&self) -> u64 {
        self.input.len()
    }

    pub(super) fn take(&mut self, wanted: usize, into: &mut Records) {
        into.clear();
        while into.len() < wanted && self.batch < self.input.records.len() {
            let from = &self.input.records[self.batch];
            if self.at == from.len() {
                (self.batch, self.at) = (self.batch + 1, 0);
                continue;
            }
            self.taken += 1;
            // One file, whatever it was made of: an order log wants places that go on.
            let place = Location::Row { line: self.taken, offset: 0 };
            into.push(from.bytes_of(self.at), RecordMeta { partition: 0, place, ..from.list[self.at] });
            self.at += 1;
        }
    }
}
