//! `cartguard demo`: a synthetic shop under attack, scored while you watch.
//!
//! generator -> engine -> nowhere; a **view** of it in the terminal, or plain lines without one.

mod board;
mod view;

use crate::cli::{ConfigArguments, complain, say};
use crate::config::{Config, Flag};
use crate::exit::{Exit, Refusal};
use crate::pipeline::{self, Around, Finished, Input};
use crate::summary::Summary;
use crate::synthetic::SyntheticSource;
use crate::vitals::Vitals;
use crate::{engine, memory, signals};
use anyhow::{Context, bail, ensure};
use board::Board;
use cartguard_io::NullSink;
use clap::Args;
use loadgen::{Schedule, World};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Folder of the model that comes along, in a checkout.
const MODEL: &str = "models/demo/2";

/// The first keys take memory that is made ready while the program starts; a schedule that began before would count the wait for it. It
/// takes some 0.1 s on a virtual machine. Arbitrary.
const RESERVE_PATIENCE: Duration = Duration::from_secs(2);

/// Event time runs faster than the clock: this many events of the shop's history are one month, so that windows of days fill.
const EVENTS_A_MONTH: f64 = 600_000.0;

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// End after so many seconds
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    pub(crate) seconds: f64,
    /// End after so many events
    #[arg(long, value_name = "N")]
    pub(crate) events: Option<u64>,
    /// Events a second, or max
    #[arg(long, value_name = "R", default_value = "20000")]
    pub(crate) rate: String,
    /// Seed of the generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Threads of the engine
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
    /// Plain lines instead of the terminal view
    #[arg(long)]
    pub(crate) plain: bool,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let model = match model_folder() {
        Ok(model) => model,
        Err(why) => {
            complain(&format!("cartguard demo: {why:#}\n"));
            return Exit::Refused;
        }
    };
    let mut flags = crate::run::workers_flag(arguments.workers.as_deref());
    flags.push(Flag::own("demo", "model.path", format!("{:?}", model.display().to_string())));
    // Its shop is under attack all the time: more than one event in a hundred is an alert.
    flags.push(Flag::own("demo", "reasons.max_share", "0.05".to_owned()));
    let mut config = match ConfigArguments::default().load(flags) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    if config.engine.workers == 0 {
        // One core is the shoppers', whose thread is never idle: workers that had to share it would wait for each other.
        let cores = thread::available_parallelism().map_or(1, usize::from);
        config.engine.workers = (cores - 1).clamp(1, config.state.shards);
    }
    match demo(arguments, &config) {
        Ok(finished) => say(&closing(&Summary::of(&finished))),
        Err(why) => {
            complain(&format!("cartguard demo: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

/// The model of the checkout: here, or where the program was built.
fn model_folder() -> anyhow::Result<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL);
    let here = std::env::current_dir().context("the current folder cannot be read")?.join(MODEL);
    for folder in [here, built] {
        if folder.is_dir() {
            return Ok(folder);
        }
    }
    bail!("{MODEL} is not here; run it in a checkout of cartguard")
}

fn demo(arguments: &Arguments, config: &Config) -> anyhow::Result<Finished> {
    let seconds = arguments.seconds;
    ensure!(
        seconds > 0.0 && seconds <= 1e9,
        Refusal(format!("--seconds {seconds}: must be above 0, at most 1e9"))
    );
    let rate = match arguments.rate.as_str() {
        "max" => None,
        text => Some(text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && rate.is_finite())),
    };
    let rate = match rate {
        Some(None) => bail!(Refusal(format!("--rate {}: events a second, or max", arguments.rate))),
        Some(rate) => rate,
        None => None,
    };
    let stop = signals::listen()?.flag;
    if rate.is_some() {
        memory::small_pages();
    }
    let engine = engine::open(config, "synthetic")?;
    let settings = loadgen::Settings {
        seed: arguments.seed,
        events: arguments.events,
        rate: EVENTS_A_MONTH / (30.0 * 86_400.0),
        customers: 100_000,
        ..loadgen::Settings::new(World::Shop)
    };
    let schedule = rate.map(Schedule::constant).transpose()?;
    let asked = Instant::now();
    while rate.is_some() && !engine.has_reserve() && asked.elapsed() < RESERVE_PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
    let source = Box::new(SyntheticSource::new(&settings, schedule)?);
    let started = source.started();
    let board = Board::new(arguments, rate, started);
    let ended = AtomicBool::new(false);
    let settings = pipeline::Settings { spin: true, ..pipeline::Settings::of(config, rate.map(|_| started)) };
    let as_view = !arguments.plain && std::io::stdout().is_terminal();
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(arguments, &board, &stop, &ended, as_view));
        let finished = pipeline::run(
            Input::Once(source),
            engine,
            &mut NullSink::default(),
            settings,
            Around { stop: &stop, vitals: &Vitals::default(), switches: None, hand: None },
            |progress| {
                board.tell(progress);
            },
        );
        ended.store(true, Ordering::Release);
        let watched = watcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let finished = finished?;
        watched.map(|()| finished)
    })
}

/// Shows the board until the end, and ends the pipeline when its time is over.
fn watch(
    arguments: &Arguments,
    board: &Board,
    stop: &Arc<AtomicBool>,
    ended: &AtomicBool,
    as_view: bool,
) -> anyhow::Result<()> {
    let time = Duration::from_secs_f64(arguments.seconds);
    let is_over = || {
        // A number of events has no end of time unless both are given.
        let over = board.elapsed() >= time && arguments.events.is_none();
        if over {
            stop.store(true, Ordering::Relaxed);
        }
        ended.load(Ordering::Acquire)
    };
    if as_view {
        return view::show(board, stop, is_over);
    }
    let mut next = Duration::from_secs(1);
    while !is_over() {
        thread::sleep(Duration::from_millis(20));
        if board.elapsed() >= next {
            next += Duration::from_secs(1);
            say(&board.line());
        }
    }
    Ok(())
}

/// What is left on the screen at the end.
fn closing(summary: &Summary) -> String {
    let decided = |name| summary.decisions.get(name).copied().unwrap_or_default();
    format!(
        "{} events in {:.1} s: {:.0} events/s\n\
         latency p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us\n\
         decisions: {} approve, {} review, {} decline\n\
         alerts: {}\n",
        summary.events,
        summary.wall_seconds,
        summary.events_per_second,
        summary.latency_us.p50,
        summary.latency_us.p99,
        summary.latency_us.p99_9,
        decided("approve"),
        decided("review"),
        decided("decline"),
        summary.alerts,
    )
}
