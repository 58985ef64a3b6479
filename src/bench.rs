//! `cartguard bench`: latency in the engine, open loop.
//!
//! Each event is due at a time of its own, whatever the engine does; its latency runs from then to its bytes being ready for the
//! output queue, so an event that waits behind a slow batch is as late as it would be for a customer. The input is
//! made before the run. The engine's thread looks at the clock itself: the hand-off from a source's thread is not part of
//! the figures.

use crate::cli::{ConfigArguments, complain, say};
use crate::config::{Config, Source as SourceConfig, Synthetic, World};
use crate::engine;
use crate::exit::{Exit, Refusal};
use crate::run::workers_flag;
use crate::synthetic::generator_settings;
use anyhow::{Context, bail, ensure};
use cartguard_engine::batch::{Engine, Outputs};
use cartguard_engine::record::Records;
use cartguard_io::{FileSource, Read, Source};
use clap::Args;
use loadgen::{Generator, Latency, Schedule};
use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::{Duration, Instant};

mod beside;
mod undisturbed;

use undisturbed::{DISTURBED, SLICE_SECONDS, Slice, Slices};

/// Events of input at most: about 1 GB.
const EVENTS_MAX: u64 = 2_000_000;
/// Steps of the search: the answer is within 2 % of the range after these.
const SEARCH_STEPS: usize = 7;

/// Arguments of `bench`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Events a second that are meant to come
    #[arg(long, value_name = "R", required_unless_present = "find_max", conflicts_with = "find_max")]
    pub(crate) rate: Option<f64>,
    /// Search the highest rate at which the latency of --p99 holds
    #[arg(long, requires = "p99")]
    pub(crate) find_max: bool,
    /// Latency that 99 of 100 events keep, such as 1ms
    #[arg(long, value_name = "DURATION", requires = "find_max")]
    pub(crate) p99: Option<String>,
    /// Seconds of a run
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// Events that fill the state before the run is timed
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(crate) warm_up: u64,
    /// Input in files instead of generated input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) input: Vec<PathBuf>,
    /// Write the histogram in HdrHistogram's text form
    #[arg(long, value_name = "FILE.hgrm", conflicts_with = "find_max")]
    pub(crate) hgrm: Option<PathBuf>,
    /// Folder of a model that scores beside; with one or more, seconds without and with them alternate
    #[arg(long, value_name = "DIR", conflicts_with_all = ["find_max", "hgrm"])]
    pub(crate) challenger: Vec<PathBuf>,
    /// Threads of the engine (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let config = match arguments.config.load(workers_flag(arguments.workers)) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    match bench(arguments, &config) {
        Ok(text) => say(&text),
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

fn bench(arguments: &Arguments, config: &Config) -> anyhow::Result<String> {
    ensure!(arguments.seconds > 0.0, Refusal(format!("--seconds {}: must be above 0", arguments.seconds)));
    let limit = arguments.p99.as_deref().map(duration).transpose()?;
    if let Some(limit) = limit.filter(|_| arguments.find_max) {
        let input = Input::make(arguments, config, EVENTS_MAX)?;
        return find_max(arguments, config, &input, limit);
    }
    let Some(rate) = arguments.rate else { bail!(Refusal("--rate R or --find-max --p99 DURATION".into())) };
    ensure!(rate > 0.0 && rate.is_finite(), Refusal(format!("--rate {rate}: must be above 0")));
    let events = arguments.warm_up + (rate * arguments.seconds).ceil() as u64;
    ensure!(
        events <= EVENTS_MAX * 4,
        Refusal(format!(
            "--rate {rate} for {} s is {events} events; at most {} are made before a run: lower --seconds",
            arguments.seconds,
            EVENTS_MAX * 4
        ))
    );
    let input = Input::make(arguments, config, events)?;
    if !arguments.challenger.is_empty() {
        return beside::compare(arguments, config, &input, rate);
    }
    let run = open_loop(engine::open(config, "synthetic")?, &input, arguments.warm_up, rate)?;
    if let Some(file) = &arguments.hgrm {
        let to = File::create(file).with_context(|| format!("{}: cannot be written", file.display()))?;
        run.latency.write_hgrm(&mut BufWriter::new(to))?;
    }
    let mut table = Vec::new();
    run.latency.write_table(&mut table)?;
    Ok(format!(
        "{} events at {rate} events/s, from the intended time to bytes ready for the output queue\n{}{}{}",
        run.events,
        String::from_utf8_lossy(&table),
        run.undisturbed(),
        run.verdict(rate)
    ))
}

/// What an open-loop run came to.
struct Run {
    latency: Latency,
    slices: Vec<Slice>,
    events: u64,
    wall: Duration,
}

impl Run {
    /// The latency while the engine's thread had its processor, in a line.
    fn undisturbed(&self) -> String {
        // What waited for the processor before a slice is done late within it.
        let follows = |at: usize| at == 0 || self.slices[at - 1].is_undisturbed();
        let undisturbed = |at: &usize| self.slices[*at].is_undisturbed() && follows(*at);
        let slices: Vec<_> = (0..self.slices.len()).filter(undisturbed).map(|at| &self.slices[at]).collect();
        let mut text = format!(
            "of {} slices of {SLICE_SECONDS} s, the {} in which, and before which, the thread was without a processor for at most {DISTURBED:?}",
            self.slices.len(),
            slices.len()
        );
        if !slices.is_empty() {
            text += &format!(":\n  {}", undisturbed::of_all(slices.into_iter()));
        }
        text + "\n"
    }

    /// Whether the engine kept up.
    fn verdict(&self, rate: f64) -> String {
        let reached = self.events as f64 / self.wall.as_secs_f64();
        if reached < rate * 0.98 {
            format!("the engine did not keep up: {reached:.0} events/s\n")
        } else {
            String::new()
        }
    }
}

/// Records made before the run, in batches as they were made.
struct Input {
    records: Vec<Records>,
}

impl Input {
    fn make(arguments: &Arguments, config: &Config, events: u64) -> anyhow::Result<Self> {
        let mut records = Vec::new();
        if !arguments.input.is_empty() {
            let mut source = FileSource::open(&arguments.input)?;
            let mut made = 0;
            while made < events {
                let mut batch = Records::default();
                if source.read(&mut batch, 1 << 20, 4_096)? == Read::End {
                    break;
                }
                made += batch.len() as u64;
                records.push(batch);
            }
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

    fn len(&self) -> u64 {
        self.records.iter().map(|batch| batch.len() as u64).sum()
    }
}

/// Takes records from the input in batches of any size.
struct Cursor<'a> {
    input: &'a Input,
    batch: usize,
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, wanted: usize, into: &mut Records) {
        into.clear();
        while into.len() < wanted && self.batch < self.input.records.len() {
            let from = &self.input.records[self.batch];
            if self.at == from.len() {
                (self.batch, self.at) = (self.batch + 1, 0);
                continue;
            }
            into.push(from.bytes_of(self.at), from.list[self.at]);
            self.at += 1;
        }
    }
}

fn open_loop(mut engine: Engine, input: &Input, warm_up: u64, rate: f64) -> anyhow::Result<Run> {
    let schedule = Schedule::constant(rate)?;
    let mut cursor = Cursor { input, batch: 0, at: 0 };
    let (mut batch, mut outputs) = (Records::default(), Outputs::default());
    let events = input.len() - warm(&mut engine, &mut cursor, warm_up);
    let mut latency = Latency::new();
    let mut slices = Slices::start();
    let mut done = 0;
    let started = Instant::now();
    while done < events {
        let due = schedule.due(started.elapsed().as_secs_f64()).min(events);
        slices.cut_if_due();
        if due == done {
            std::hint::spin_loop();
            continue;
        }
        cursor.take((due - done).min(1_024) as usize, &mut batch);
        engine.process(&mut batch, &mut outputs);
        black_box(outputs.decisions().count());
        let now = started.elapsed().as_nanos() as u64;
        for event in done..done + batch.len() as u64 {
            latency.record(schedule.offset_ns(event), now);
            slices.record(schedule.offset_ns(event), now);
        }
        done += batch.len() as u64;
    }
    Ok(Run { latency, slices: slices.end(), events, wall: started.elapsed() })
}

/// Fills the state; of how many events.
fn warm(engine: &mut Engine, cursor: &mut Cursor<'_>, warm_up: u64) -> u64 {
    let (mut batch, mut outputs) = (Records::default(), Outputs::default());
    let events = warm_up.min(cursor.input.len() / 2);
    let mut left = events;
    while left > 0 {
        cursor.take(left.min(1_024) as usize, &mut batch);
        left -= batch.len() as u64;
        engine.process(&mut batch, &mut outputs);
    }
    events
}

/// Halves the range between a rate that holds and one that does not.
fn find_max(
    arguments: &Arguments,
    config: &Config,
    input: &Input,
    limit: Duration,
) -> anyhow::Result<String> {
    let mut text = String::new();
    let (mut holds, mut fails) = (0.0, closed_loop(engine::open(config, "synthetic")?, input));
    text.push_str(&format!("closed loop, batches of 1,024: {fails:.0} events/s\n"));
    for _ in 0..SEARCH_STEPS {
        let rate = f64::midpoint(holds, fails);
        let run = open_loop(engine::open(config, "synthetic")?, input, arguments.warm_up, rate)?;
        let summary = run.latency.summary();
        let is_held = summary.p99 <= limit.as_secs_f64() * 1e6 && run.verdict(rate).is_empty();
        text.push_str(&format!(
            "{rate:.0} events/s: p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us: {}\n",
            summary.p50,
            summary.p99,
            summary.p99_9,
            if is_held { "holds" } else { "does not hold" }
        ));
        *(if is_held { &mut holds } else { &mut fails }) = rate;
    }
    text.push_str(&format!("highest rate with p99 within {:?}: {holds:.0} events/s\n", limit));
    Ok(text)
}

/// Events a second of the engine alone, as fast as it can.
fn closed_loop(mut engine: Engine, input: &Input) -> f64 {
    let (mut batch, mut outputs) = (Records::default(), Outputs::default());
    let mut cursor = Cursor { input, batch: 0, at: 0 };
    let started = Instant::now();
    loop {
        cursor.take(1_024, &mut batch);
        if batch.is_empty() {
            return input.len() as f64 / started.elapsed().as_secs_f64();
        }
        engine.process(&mut batch, &mut outputs);
    }
}

/// `1ms`, `250us`, `2s`.
fn duration(text: &str) -> Result<Duration, Refusal> {
    let refused = |what: &str| Refusal(format!("--p99 {text}: {what}"));
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return Err(refused("a number and a unit, such as 250us, 1ms or 2s")),
    };
    let number: f64 = digits.parse().map_err(|_| refused("not a number"))?;
    if number > 0.0 && number < 1e6 {
        Ok(Duration::from_secs_f64(number * unit))
    } else {
        Err(refused("must be above 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_has_a_number_and_a_unit() {
        assert_eq!(duration("1ms").expect("a duration"), Duration::from_millis(1));
        assert_eq!(duration("2.5us").expect("a duration"), Duration::from_nanos(2_500));
        for text in ["1", "ms", "1m", "-1ms", "0s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
