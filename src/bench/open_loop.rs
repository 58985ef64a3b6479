//! Events that are due at times of their own, through the engine on this thread.
//!
//! `input` -> **open_loop** -> `undisturbed`
//!
//! Where the configuration has a history it is one as `run` has it: batches are bound in the order log before they count as done, and
//! snapshots are taken when they are due, by the same code; only source and sink are none.

use super::input::{Asked, Cursor, Input};
use super::undisturbed::{Slice, Slices, together, told};
use crate::cli::complain;
use crate::config::Config;
use crate::engine;
use crate::exit::Refusal;
use crate::synthetic::SyntheticSource;
use anyhow::bail;
use cartguard_engine::batch::{Engine, Outputs};
use cartguard_engine::record::Records;
use cartguard_history::{Change, Opened, Start};
use cartguard_io::{Delivered, Trouble};
use cartguard_recovery::{Begun, Processor, Storage};
use loadgen::{Latency, Schedule};
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Name of the one partition.
const PARTITION: &str = "bench";

/// An engine with its history, and nobody who takes its outputs.
pub(super) struct Subject {
    processor: Processor,
    delivered: Delivered,
    changes: Vec<Change>,
    batch: Records,
    outputs: Outputs,
    stop: AtomicBool,
    /// Nothing is due besides batches until the next one.
    is_idle: bool,
}

impl Subject {
    /// Of a configuration; a history that was begun before is refused.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let Some(settings) = &config.history else { return Self::alone(config) };
        let opening = engine::history(config, PARTITION, |what| complain(&format!("note: {what}\n")))?;
        let storage = Storage::open(&settings.folder, settings.level)?;
        let (history, engine) = opening.open(storage, config.snapshot, || engine::open(config, PARTITION))?;
        if history.goes_on() {
            bail!(Refusal(format!(
                "history.folder: {} holds a history already; a bench begins one of its own",
                settings.folder.display()
            )));
        }
        let delivered = Delivered::default();
        let nothing = loadgen::Settings { events: Some(0), ..loadgen::Settings::new(loadgen::World::Shop) };
        let mut source = SyntheticSource::new(&nothing, None)?;
        let known = (0, delivered.clone());
        let mut outputs = Outputs::default();
        match Processor::begin(engine, history, &mut source, known, &mut outputs, |_, _| true, || false)? {
            Begun::Ready(processor) => Ok(Self::of(*processor, delivered)),
            Begun::Interrupted(_) => unreachable!("nothing is to be done again, and nobody ends it"),
        }
    }

    /// Without a history, whatever the configuration says.
    pub(super) fn alone(config: &Config) -> anyhow::Result<Self> {
        Ok(Self::of(Processor::new(engine::open(config, PARTITION)?, &[]), Delivered::default()))
    }

    fn of(processor: Processor, delivered: Delivered) -> Self {
        let opened = Opened::new(PARTITION, Start::Oldest);
        Self {
            processor,
            delivered,
            changes: vec![Change::Open(opened)],
            batch: Records::default(),
            outputs: Outputs::default(),
            stop: AtomicBool::new(false),
            is_idle: false,
        }
    }

    /// So many records, or the rest; of how many.
    fn process(&mut self, cursor: &mut Cursor<'_>, wanted: u64) -> Result<u64, Trouble> {
        cursor.take(wanted.min(1_024) as usize, &mut self.batch);
        let records = self.batch.len() as u64;
        let changes = std::mem::take(&mut self.changes);
        let number = self.processor.process(changes, &mut self.batch, &mut self.outputs, &self.stop)?;
        black_box(self.outputs.decisions().count());
        self.delivered.advance(number + 1);
        self.is_idle = false;
        Ok(records)
    }

    /// As the engine's thread of `run` does while there is no batch.
    fn idle(&mut self) -> Result<(), Trouble> {
        if self.is_idle {
            std::hint::spin_loop();
        } else {
            self.is_idle = !self.processor.tick()?;
        }
        Ok(())
    }

    /// Whether this thread has a part in a snapshot that is taken.
    fn is_copying(&self) -> bool {
        self.processor.engine().is_taking_snapshot()
    }

    fn is_taking_snapshot(&self) -> bool {
        self.processor.look().is_some_and(|look| look.snapshot.taking != "none")
    }
}

/// What an open-loop run came to.
pub(super) struct Run {
    pub(super) latency: Latency,
    slices: Vec<Slice>,
    /// Events that filled the state before.
    pub(super) warmed: u64,
    /// Events that were measured.
    pub(super) events: u64,
    wall: Duration,
}

impl Run {
    /// Whether the engine kept up.
    pub(super) fn verdict(&self, rate: f64) -> String {
        let reached = self.events as f64 / self.wall.as_secs_f64();
        if reached < rate * 0.98 {
            format!("the engine did not keep up: {reached:.0} events/s\n")
        } else {
            String::new()
        }
    }

    /// The latency while the thread had its processor.
    pub(super) fn undisturbed(&self) -> String {
        told(&self.slices)
    }
}

/// As much of the input as is asked for, or all that it has.
pub(super) fn open_loop(mut subject: Subject, input: &Input, asked: Asked) -> anyhow::Result<Run> {
    let schedule = Schedule::constant(asked.rate)?;
    let mut cursor = Cursor::new(input);
    let warmed = warm(&mut cursor, asked.warm_up, |cursor, wanted| subject.process(cursor, wanted))?;
    let events = asked.events().min(input.len() - warmed);
    let mut slices = Slices::start(events);
    let mut done = 0;
    let started = Instant::now();
    while done < events {
        let due = schedule.due(started.elapsed().as_secs_f64()).min(events);
        slices.cut_if_due(|| subject.is_taking_snapshot());
        if due == done {
            subject.idle()?;
            continue;
        }
        let records = subject.process(&mut cursor, due - done)?;
        slices.see_snapshot(subject.is_copying());
        let now = started.elapsed().as_nanos() as u64;
        for event in done..done + records {
            slices.record(schedule.offset_ns(event), now);
        }
        done += records;
    }
    let wall = started.elapsed();
    let slices = slices.end(subject.is_taking_snapshot());
    Ok(Run { latency: together(slices.iter()), slices, warmed, events, wall })
}

/// Fills the state with up to half of the input; of how many events. `process` takes up to so many.
pub(super) fn warm<E>(
    cursor: &mut Cursor<'_>,
    warm_up: u64,
    mut process: impl FnMut(&mut Cursor<'_>, u64) -> Result<u64, E>,
) -> Result<u64, E> {
    let events = warm_up.min(cursor.total() / 2);
    let mut left = events;
    while left > 0 {
        left -= process(cursor, left)?;
    }
    Ok(events)
}

/// Events a second of the engine alone, as fast as it can for at most so many seconds, and how many filled the state before.
pub(super) fn closed_loop(mut engine: Engine, input: &Input, asked: Asked) -> anyhow::Result<(f64, u64)> {
    let (mut batch, mut outputs) = (Records::default(), Outputs::default());
    let mut cursor = Cursor::new(input);
    let mut process = |cursor: &mut Cursor<'_>, wanted: u64| {
        cursor.take(wanted.min(1_024) as usize, &mut batch);
        engine.process(&mut batch, &mut outputs);
        batch.len() as u64
    };
    let warmed =
        warm(&mut cursor, asked.warm_up, |cursor, wanted| Ok::<_, Infallible>(process(cursor, wanted)))?;
    let started = Instant::now();
    let mut done = 0;
    loop {
        let records = process(&mut cursor, u64::MAX);
        done += records;
        let elapsed = started.elapsed().as_secs_f64();
        if records == 0 || elapsed >= asked.seconds {
            return Ok((done as f64 / elapsed, warmed));
        }
    }
}
