//! The built-in generator as a source.
//!
//! loadgen -> **synthetic** -> pipeline
//!
//! Open loop: with a schedule each record is due at a time of its own, and comes no earlier; when the engine was slow, all that
//! are overdue come at once. A record's `offset` is the time at which it was due, ns after the start; without a
//! schedule it is the byte offset in what was generated.

use crate::config::{Synthetic, World};
use cartguard_engine::record::{Form, Location, NO_ARRIVAL, RecordMeta, Records};
use cartguard_io::{Position, Read, Source, Trouble};
use loadgen::{Generator, Schedule};
use std::thread;
use std::time::{Duration, Instant};

/// Below this the thread spins instead of sleeping, for a sleep oversleeps by about as much.
const SPIN_BELOW: Duration = Duration::from_micros(120);
/// A read returns after this even where nothing is due, so that it can be asked to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// Generates records; see the module.
pub(crate) struct SyntheticSource {
    names: [String; 1],
    generator: Generator,
    schedule: Option<Schedule>,
    started: Instant,
    made: u64,
    bytes: u64,
}

impl SyntheticSource {
    /// A source that starts its schedule at `started`.
    pub(crate) fn new(
        settings: &loadgen::Settings,
        schedule: Option<Schedule>,
        started: Instant,
    ) -> anyhow::Result<Self> {
        let generator = Generator::new(settings)?;
        Ok(Self { names: ["synthetic".to_owned()], generator, schedule, started, made: 0, bytes: 0 })
    }

    /// Of `[source]`.
    pub(crate) fn configured(settings: &Synthetic, started: Instant) -> anyhow::Result<Self> {
        let schedule = settings.rate.map(Schedule::constant).transpose()?;
        Self::new(&generator_settings(settings), schedule, started)
    }

    /// How many records are due, and how long until the next is.
    fn due(&self, schedule: &Schedule) -> (u64, Duration) {
        let elapsed = self.started.elapsed();
        let due = schedule.due(elapsed.as_secs_f64());
        let next = Duration::from_nanos(schedule.offset_ns(self.made));
        (due.saturating_sub(self.made), next.saturating_sub(elapsed))
    }
}

/// The generator's settings for `[source]`.
pub(crate) fn generator_settings(settings: &Synthetic) -> loadgen::Settings {
    let world = match settings.world {
        World::Shop => loadgen::World::Shop,
        World::Workload => loadgen::World::Workload,
        World::Handbook => loadgen::World::Handbook,
    };
    loadgen::Settings { seed: settings.seed, events: settings.events, ..loadgen::Settings::new(world) }
}

impl Source for SyntheticSource {
    fn partitions(&self) -> &[String] {
        &self.names
    }

    fn read(&mut self, into: &mut Records, max_bytes: usize, max_records: usize) -> Result<Read, Trouble> {
        into.clear();
        let mut wanted = max_records as u64;
        if let Some(schedule) = &self.schedule {
            let asked = Instant::now();
            loop {
                let (due, wait) = self.due(schedule);
                if due > 0 || wait.is_zero() {
                    wanted = wanted.min(due.max(1));
                    break;
                }
                if asked.elapsed() > PATIENCE {
                    return Ok(Read::Idle);
                }
                if wait > SPIN_BELOW {
                    thread::sleep(wait.saturating_sub(SPIN_BELOW).min(PATIENCE));
                } else {
                    std::hint::spin_loop();
                }
            }
        }
        while (into.len() as u64) < wanted && into.bytes.len() < max_bytes {
            let start = into.bytes.len();
            if self.generator.next_event(&mut into.bytes).is_none() {
                break;
            }
            let len = into.bytes.len() - start;
            let offset = self.schedule.as_ref().map_or(self.bytes, |schedule| schedule.offset_ns(self.made));
            self.made += 1;
            self.bytes += len as u64 + 1;
            into.list.push(RecordMeta {
                start: start as u32,
                len: len as u32,
                partition: 0,
                form: Form::Json,
                place: Location::Row { line: self.made, offset },
                arrival_ms: NO_ARRIVAL,
            });
        }
        Ok(if into.is_empty() { Read::End } else { Read::More })
    }

    fn position(&self) -> Position {
        Position { partition: 0, line: self.made + 1, offset: self.bytes }
    }
}
