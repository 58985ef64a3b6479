//! Latency without and with challengers, in one run: one engine, whose seconds alternate, so that both meet the same machine.
//!
//! **beside** -> standard output

use super::{Arguments, Cursor, Input, warm};
use crate::config::Config;
use crate::engine;
use crate::exit::Refusal;
use crate::model;
use crate::shadow::{self, Roster, Shadow, WhenFull};
use anyhow::anyhow;
use cartguard_engine::batch::Outputs;
use cartguard_engine::batch::rows::Share;
use cartguard_engine::record::Records;
use loadgen::{Latency, Schedule};
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A turn without them or with them: short, so that some of each have the machine for themselves.
const TURN_SECONDS: f64 = 0.25;
/// Between two turns, in which challengers end what they have.
const PAUSE: Duration = Duration::from_millis(50);

/// Both latencies.
pub(super) fn compare(
    arguments: &Arguments,
    config: &Config,
    input: &Input,
    rate: f64,
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
    let schedule = Schedule::constant(rate)?;
    let mut cursor = Cursor { input, batch: 0, at: 0 };
    let mut left = input.len() - warm(&mut engine, &mut cursor, arguments.warm_up);
    let turn = (rate * TURN_SECONDS).ceil() as u64;
    let (mut batch, mut outputs) = (Records::default(), Outputs::default());
    let mut both = [Latency::new(), Latency::new()];
    let mut turns: [Vec<f64>; 2] = Default::default();
    let mut with = 0;
    // Only whole pairs: the machine of a pair is the same.
    while with == 1 || left >= 2 * turn {
        engine.hand_out(hand.follow(roster.clone().filter(|_| with == 1)));
        thread::sleep(PAUSE);
        let mut latency = Latency::new();
        let (mut done, started) = (0, Instant::now());
        while done < turn {
            let due = schedule.due(started.elapsed().as_secs_f64()).min(turn);
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
                both[with].record(schedule.offset_ns(event), now);
            }
            done += batch.len() as u64;
            // As in a pipeline: once the lines are on their way.
            hand.give(first_sequence);
        }
        turns[with].push(latency.summary().p99);
        left -= turn;
        with = 1 - with;
    }
    drop(hand);
    shadow.finish().map_err(|why| anyhow!(why))?;
    let mut text = format!(
        "{rate} events/s, {} pairs of turns of {TURN_SECONDS} s each, from the intended time to bytes ready for the output queue\n",
        turns[0].len()
    );
    for (name, latency) in ["without", "with"].iter().zip(&both) {
        let all = latency.summary();
        let _ = writeln!(
            text,
            "{name:<8} p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us, max {:.1} us",
            all.p50, all.p99, all.p99_9, all.max
        );
    }
    let ratio = both[1].summary().p99 / both[0].summary().p99;
    let _ = writeln!(text, "p99 with {} challengers: {:+.1} %", challengers.len(), (ratio - 1.0) * 100.0);
    // What other processes do to a turn is no difference between the two.
    let quietest = turns.clone().map(|mut turns| {
        turns.sort_by(f64::total_cmp);
        turns[..turns.len().div_ceil(4)].iter().sum::<f64>() / turns.len().div_ceil(4) as f64
    });
    let _ = writeln!(
        text,
        "p99 of the quietest quarter of the turns, mean: {:.1} us without, {:.1} us with: {:+.1} %",
        quietest[0],
        quietest[1],
        (quietest[1] / quietest[0] - 1.0) * 100.0
    );
    let mut changes: Vec<f64> =
        turns[1].iter().zip(&turns[0]).map(|(with, without)| with / without).collect();
    changes.sort_by(f64::total_cmp);
    if let Some(median) = changes.get(changes.len() / 2) {
        let _ = writeln!(
            text,
            "p99 of a turn with them to the turn before, median of the pairs: {:+.1} %",
            (median - 1.0) * 100.0
        );
    }
    let _ = writeln!(text, "in shadow: {}", figures.to_json(0));
    Ok(text)
}
