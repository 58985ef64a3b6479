//! `cartguard bench`: latency in the engine, open loop.
//!
//! Each event is due at a time of its own, whatever the engine does; its latency runs from then to its bytes being ready for the
//! output queue, so an event that waits behind a slow batch is as late as it would be for a customer. The input is
//! made before the run. The engine's thread looks at the clock itself: the hand-off from a source's thread is not part of
//! the figures. With `[history]` they are those of a service that keeps one: order log and snapshots included.

use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::engine;
use crate::exit::{Exit, Refusal};
use crate::memory;
use crate::run::workers_flag;
use anyhow::{Context, bail, ensure};
use clap::Args;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Duration;

mod beside;
mod input;
mod open_loop;
mod undisturbed;

use input::Input;
use open_loop::{Subject, closed_loop, open_loop};

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
        memory::small_pages();
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
    // As `run` does.
    memory::small_pages();
    if !arguments.challenger.is_empty() {
        return beside::compare(arguments, config, &input, rate);
    }
    let run = open_loop(Subject::open(config)?, &input, arguments.warm_up, rate)?;
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
        let run = open_loop(Subject::alone(config)?, input, arguments.warm_up, rate)?;
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
