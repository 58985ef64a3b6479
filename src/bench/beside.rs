//! Latency without and with challengers, in one run: one engine, whose seconds alternate, so that both meet the same machine.
//!
//! **beside** -> standard output

use super::Arguments;
use super::input::{Asked, Cursor, Input};
use super::open_loop::warm;
use super::undisturbed::{Clock, DISTURBED, SLICE_SECONDS, Slice, of_all, together};
use crate::config::Config;
use crate::engine;
use crate::exit::Refusal;
use crate::model;
use crate::shadow::{self, Roster, Shadow, WhenFull};
use anyhow::{anyhow, ensure};
use cartguard_engine::batch::Outputs;
use cartguard_engine::batch::rows::Share;
use cartguard_engine::record::Records;
use loadgen::{Latency, Schedule};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Between two turns, in which challengers end what they have.
const PAUSE: Duration = Duration::from_millis(50);

/// Both latencies.
pub(super) fn compare(
    arguments: &Arguments,
    config: &Config,
    input: &Input,
    asked: Asked,
) -> anyhow::Result<String> {
    let mut engine = engine::open(config, "synthetic")?;
    let plan = engine.preparer().plan().clone();
    let mut challengers = Vec::new();
    for folder in &arguments.challenger {
        let loaded = model::load(folder, &plan).map_err(|fault| anyhow!(Refusal(fault.to_string())))?;
        challengers.push((Arc::new(loaded.scorer), Share::ALL));
    }
    let roster = Roster::new(&plan, &challengers, None);
    let (shadow, mut hand, figures) = Shadow::start(shadow::Settings::default(), WhenFull::Skip, |_| {})?;
    let rate = asked.rate;
    let schedule = Schedule::constant(rate)?;
    let mut cursor = Cursor::new(input);
    let (mut batch, mut outputs) = (Records::default(), Outputs::default());
    let warmed = warm(&mut cursor, asked.warm_up, |cursor, wanted| {
        cursor.take(wanted.min(1_024) as usize, &mut batch);
        engine.process(&mut batch, &mut outputs);
        Ok::<_, Infallible>(batch.len() as u64)
    })?;
    let measured = asked.events().min(input.len() - warmed);
    let mut left = measured;
    let events = (rate * SLICE_SECONDS).ceil() as u64;
    let mut turn = |roster: Option<Arc<Roster>>| {
        engine.hand_out(hand.follow(roster));
        thread::sleep(PAUSE);
        let mut latency = Latency::new();
        let (mut done, started) = (0, Clock::start());
        while done < events {
            let due = schedule.due(started.elapsed().as_secs_f64()).min(events);
            if due == done {
                std::hint::spin_loop();
                continue;
            }
            cursor.take((due - done).min(1_024) as usize, &mut batch);
            let first_sequence = engine.next_sequence();
            engine.process(&mut batch, &mut outputs);
            hand.take(&mut outputs);
            black_box(outputs.decisions().count());
            let now = started.elapsed().as_nanos() as u64;
            for event in done..done + batch.len() as u64 {
                latency.record(schedule.offset_ns(event), now);
            }
            done += batch.len() as u64;
            // As in a pipeline: once the lines are on their way.
            hand.give(first_sequence);
        }
        started.end(latency)
    };
    ensure!(
        left >= 2 * events,
        Refusal(format!(
            "--challenger: {left} events are left of the input, and a pair of turns takes {}: raise --seconds, or give more --input",
            2 * events
        ))
    );
    let mut pairs = Vec::new();
    while left >= 2 * events {
        pairs.push([turn(None), turn(roster.clone())]);
        left -= 2 * events;
    }
    drop(hand);
    shadow.finish().map_err(|why| anyhow!(why))?;
    Ok(format!(
        "{}{}{}in shadow: {}\n",
        report(rate, challengers.len(), &pairs),
        asked.filled(warmed, input.len()),
        asked.ended_early(measured),
        figures.to_json(0)
    ))
}

fn report(rate: f64, challengers: usize, pairs: &[[Slice; 2]]) -> String {
    let mut text = format!(
        "{rate} events/s, {} pairs of turns of {SLICE_SECONDS} s each, from the intended time to bytes ready for the output queue\n",
        pairs.len()
    );
    let undisturbed: Vec<_> = pairs.iter().filter(|pair| pair.iter().all(Slice::is_undisturbed)).collect();
    let _ = writeln!(text, "all turns");
    push_both(&mut text, challengers, &pairs.iter().collect::<Vec<_>>());
    let _ = writeln!(
        text,
        "the {} pairs in which the thread was without a processor for at most {DISTURBED:?} a turn",
        undisturbed.len()
    );
    if !undisturbed.is_empty() {
        push_both(&mut text, challengers, &undisturbed);
    }
    // What other processes do to a turn is no difference between the two.
    let quietest = [0, 1].map(|with| {
        let mut p99: Vec<_> = pairs.iter().map(|pair| pair[with].latency.summary().p99).collect();
        p99.sort_by(f64::total_cmp);
        p99.truncate(p99.len().div_ceil(4));
        p99.iter().sum::<f64>() / p99.len() as f64
    });
    let _ = writeln!(
        text,
        "p99 of the quietest quarter of the turns, mean: {:.1} us without, {:.1} us with: {}",
        quietest[0],
        quietest[1],
        change(quietest[1] / quietest[0])
    );
    let p99 = |turn: &Slice| turn.latency.summary().p99;
    let mut changes: Vec<f64> = pairs.iter().map(|[without, with]| p99(with) / p99(without)).collect();
    changes.sort_by(f64::total_cmp);
    if let Some(median) = changes.get(changes.len() / 2) {
        let _ = writeln!(
            text,
            "p99 of a turn with them to the turn before, median of the pairs: {}",
            change(*median)
        );
    }
    text
}

/// The turns of some pairs as one.
fn push_both(text: &mut String, challengers: usize, pairs: &[&[Slice; 2]]) {
    for (name, with) in [("without", 0), ("with", 1)] {
        let _ = writeln!(text, "  {name:<8} {}", of_all(pairs.iter().map(|pair| &pair[with])));
    }
    let [without, with] = [0, 1].map(|with| together(pairs.iter().map(|pair| &pair[with])).summary().p99);
    let _ = writeln!(text, "  p99 with {challengers} challengers: {}", change(with / without));
}

fn change(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}
