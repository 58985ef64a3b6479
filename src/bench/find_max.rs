//! The highest rate at which a latency holds.
//!
//! `input`, `open_loop` -> **find max** -> a line a step, said when it is known

use super::input::{Asked, Input};
use super::open_loop::{Subject, closed_loop, open_loop};
use super::write_hgrm;
use crate::cli::say;
use crate::config::Config;
use crate::engine;
use crate::exit::Exit;
use std::path::Path;
use std::time::Duration;

/// Steps of the search: the answer is within 1 % of what the engine does at most after these.
const STEPS: usize = 7;

/// Halves the range between a rate that holds and one that does not. `asked` has the length of a step; `hgrm` has the latency of the last
/// rate that held.
pub(super) fn find_max(
    config: &Config,
    input: &Input,
    asked: Asked,
    limit: Duration,
    hgrm: Option<&Path>,
) -> anyhow::Result<Exit> {
    let (closed, warmed) = closed_loop(engine::open(config, "synthetic")?, input, asked)?;
    let filled = asked.filled(warmed, input.len());
    let mut exit =
        say(&format!("closed loop, batches of 1,024: {closed:.0} events/s\nin each step {filled}"));
    let (mut holds, mut fails) = (None, closed);
    for _ in 0..STEPS {
        if exit != Exit::Done {
            return Ok(exit);
        }
        let rate = f64::midpoint(holds.unwrap_or(0.0), fails);
        let asked = Asked { rate, ..asked };
        let run = open_loop(Subject::alone(config)?, input, asked)?;
        let summary = run.latency.summary();
        let is_within = summary.p99 <= limit.as_secs_f64() * 1e6;
        let verdict = run.verdict(rate);
        let is_held = is_within && verdict.is_empty();
        if is_held {
            holds = Some(rate);
            if let Some(file) = hgrm {
                write_hgrm(file, &run.latency)?;
            }
        } else {
            fails = rate;
        }
        exit = say(&format!(
            "{rate:.0} events/s for {:.1} s{}: p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us: {}{}\n",
            run.events as f64 / rate,
            if run.events < asked.events() { " (the input ended)" } else { "" },
            summary.p50,
            summary.p99,
            summary.p99_9,
            if is_held { "holds" } else { "does not hold" },
            // Else the latency says why.
            if is_within && !is_held { format!(", {}", verdict.trim_end()) } else { String::new() }
        ));
    }
    if exit != Exit::Done {
        return Ok(exit);
    }
    let unwritten = hgrm.map(|file| format!("; {} is not written", file.display())).unwrap_or_default();
    Ok(say(&match holds {
        Some(rate) => format!("highest rate with p99 within {limit:?}: {rate:.0} events/s\n"),
        None => format!("none of these rates holds p99 within {limit:?}{unwritten}\n"),
    }))
}
