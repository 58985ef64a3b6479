//! `cartguard bench`: latency in the engine, open loop.
//!
//! Each event is due at a time of its own, whatever the engine does; its latency runs from then to its bytes being ready for the
//! output queue, so an event that waits behind a slow batch is as late as it would be for a customer. The input is
//! made before the run. The engine's thread looks at the clock itself: the hand-off from a source's thread is not part of
//! the figures. With `[history]` they are those of a service that keeps one: order log and snapshots included.

use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::exit::{Exit, Refusal};
use crate::memory;
use crate::run::workers_flag;
use anyhow::{Context, bail, ensure};
use clap::Args;
use loadgen::Latency;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

mod beside;
mod find_max;
mod input;
mod open_loop;
mod undisturbed;

use find_max::find_max;
use input::{Asked, Input};
use open_loop::{Subject, open_loop};

/// Events of input at most: about 1 GB.
const EVENTS_MAX: u64 = 2_000_000;
/// Seconds of a run, and of a step of a search, of which there are seven: a search is over in about a minute.
const SECONDS: f64 = 10.0;
const STEP_SECONDS: f64 = 5.0;

/// Arguments of `bench`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Events a second that are meant to come
    #[arg(long, value_name = "R", required_unless_present = "find_max", conflicts_with = "find_max")]
    pub(crate) rate: Option<f64>,
    /// Search the highest rate at which the latency of --p99 holds, in 7 steps; a history is left out
    #[arg(long, requires = "p99")]
    pub(crate) find_max: bool,
    /// Latency that 99 of 100 events keep, such as 1ms
    #[arg(long, value_name = "DURATION", requires = "find_max")]
    pub(crate) p99: Option<String>,
    /// Seconds of a run, or of each step of --find-max [default: 10, of a step 5]
    #[arg(long, value_name = "N")]
    pub(crate) seconds: Option<f64>,
    /// Events that fill the state before the run is timed; half of the input at most
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(crate) warm_up: u64,
    /// Input in files instead of generated input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) input: Vec<PathBuf>,
    /// Write the histogram in HdrHistogram's text form; of --find-max that of the highest rate that held
    #[arg(long, value_name = "FILE.hgrm")]
    pub(crate) hgrm: Option<PathBuf>,
    /// Folder of a model that scores beside; with one or more, seconds without and with them alternate
    #[arg(long, value_name = "DIR", conflicts_with_all = ["find_max", "hgrm"])]
    pub(crate) challenger: Vec<PathBuf>,
    /// Threads of the engine (engine.workers)
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let config = match arguments.config.load(workers_flag(arguments.workers.as_deref())) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    match bench(arguments, &config) {
        Ok(exit) => exit,
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

fn bench(arguments: &Arguments, config: &Config) -> anyhow::Result<Exit> {
    let seconds = arguments.seconds.unwrap_or(if arguments.find_max { STEP_SECONDS } else { SECONDS });
    ensure!(
        seconds > 0.0 && seconds.is_finite(),
        Refusal(format!("--seconds {seconds}: must be a number above 0"))
    );
    let limit = arguments.p99.as_deref().map(duration).transpose()?;
    if let Some(limit) = limit.filter(|_| arguments.find_max) {
        let input = Input::make(arguments, config, EVENTS_MAX)?;
        memory::small_pages();
        let asked = Asked { warm_up: arguments.warm_up, rate: f64::INFINITY, seconds };
        return find_max(config, &input, asked, limit, arguments.hgrm.as_deref());
    }
    let Some(rate) = arguments.rate else { bail!(Refusal("--rate R or --find-max --p99 DURATION".into())) };
    ensure!(
        (1e-3..=1e9).contains(&rate),
        Refusal(format!("--rate {rate}: events a second, 0.001 to 1,000,000,000"))
    );
    let asked = Asked { warm_up: arguments.warm_up, rate, seconds };
    let events = arguments.warm_up.saturating_add(asked.events());
    ensure!(
        events <= EVENTS_MAX * 4,
        Refusal(format!(
            "--rate {rate} for {seconds} s after --warm-up {} is {events} events; at most {} are made before a run: lower --seconds",
            arguments.warm_up,
            EVENTS_MAX * 4
        ))
    );
    let input = Input::make(arguments, config, events)?;
    // As `run` does.
    memory::small_pages();
    if !arguments.challenger.is_empty() {
        return Ok(say(&beside::compare(arguments, config, &input, asked)?));
    }
    let run = open_loop(Subject::open(config)?, &input, asked)?;
    if let Some(file) = &arguments.hgrm {
        write_hgrm(file, &run.latency)?;
    }
    let mut table = Vec::new();
    run.latency.write_table(&mut table)?;
    Ok(say(&format!(
        "{} events at {rate} events/s, from the intended time to bytes ready for the output queue\n{}{}{}{}{}",
        run.events,
        String::from_utf8_lossy(&table),
        asked.filled(run.warmed, input.len()),
        asked.ended_early(run.events),
        run.undisturbed(),
        run.verdict(rate)
    )))
}

/// In HdrHistogram's text form.
fn write_hgrm(file: &Path, latency: &Latency) -> anyhow::Result<()> {
    let unwritable = || format!("{}: cannot be written", file.display());
    let mut to = BufWriter::new(File::create(file).with_context(unwritable)?);
    latency.write_hgrm(&mut to).and_then(|()| to.flush()).with_context(unwritable)
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
