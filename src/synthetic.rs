//! The built-in generator as a source.
//!
//! loadgen -> **synthetic** -> pipeline
//!
//! Open loop: with a schedule each record is due at a time of its own, and comes no earlier; when the engine was slow, all that
//! are overdue come at once. A record's `offset` is the time at which it was due, ns after the start; without a
//! schedule it is the byte offset in what was generated.

use crate::config::{Synthetic, World};
use cartguard_engine::record::{Form, Location, NO_ARRIVAL, RecordMeta, Records};
use cartguard_history::{Change, Opened, Partitions, Place, Run, Start};
use cartguard_io::{Advice, Position, Read, Replayable, Source, Trouble};
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
    /// Made by a process before this one: due before the schedule began.
    resumed_at: u64,
    changes: Vec<Change>,
    identity: String,
}

impl SyntheticSource {
    /// A source that starts its schedule now that its world is made.
    pub(crate) fn new(settings: &loadgen::Settings, schedule: Option<Schedule>) -> anyhow::Result<Self> {
        let generator = Generator::new(settings)?;
        let names = ["synthetic".to_owned()];
        let opened = Opened::new(names[0].as_str(), Start::Oldest);
        Ok(Self {
            names,
            generator,
            schedule,
            started: Instant::now(),
            made: 0,
            bytes: 0,
            resumed_at: 0,
            changes: vec![Change::Open(opened)],
            identity: format!("synthetic {:?} {}", settings.world, settings.seed),
        })
    }

    /// Of `[source]`; starts its schedule at `started`.
    pub(crate) fn configured(settings: &Synthetic, started: Instant) -> anyhow::Result<Self> {
        let schedule = settings.rate.map(Schedule::constant).transpose()?;
        Ok(Self { started, ..Self::new(&generator_settings(settings), schedule)? })
    }

    /// When its schedule started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// How many records are due, and how long until the next is.
    fn due(&self, schedule: &Schedule) -> (u64, Duration) {
        let elapsed = self.started.elapsed();
        let due = schedule.due(elapsed.as_secs_f64());
        let next = Duration::from_nanos(schedule.offset_ns(self.made - self.resumed_at));
        (due.saturating_sub(self.made - self.resumed_at), next.saturating_sub(elapsed))
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
            self.push(start, into);
        }
        Ok(if into.is_empty() { Read::End } else { Read::More })
    }

    fn position(&self) -> Position {
        Position { partition: 0, line: self.made + 1, offset: self.bytes }
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }
}

impl Replayable for SyntheticSource {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn resume(&mut self, taken: &Partitions) -> Result<(), Trouble> {
        let Some(partition) = taken.list().first() else { return Ok(()) };
        self.changes.clear();
        let mut passed = Records::default();
        while let Some(&Place::Row { line: last, .. }) = partition.place.as_ref()
            && self.made < last
        {
            passed.clear();
            let before = self.made;
            self.make_up_to(&Place::Row { line: last.min(self.made + 4_096), offset: 0 }, &mut passed)?;
            if self.made == before {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, run: &Run, into: &mut Records, _: &dyn Fn() -> bool) -> Result<(), Trouble> {
        into.clear();
        self.make_up_to(&run.end, into)?;
        if into.len() != run.records as usize {
            let what = format!("the synthetic source has no {} events up to {}", run.records, run.end);
            return Err(Trouble::stop(what).with_advice(Advice::Refuse));
        }
        Ok(())
    }

    fn apply(&mut self, _: &Change) -> Result<(), Trouble> {
        self.changes.clear();
        Ok(())
    }

    fn go_on(&mut self, _: &dyn Fn() -> bool) -> Result<(), Trouble> {
        Ok(())
    }
}

impl SyntheticSource {
    /// Makes the events up to a place that was taken before; none of them is waited for.
    fn make_up_to(&mut self, place: &Place, into: &mut Records) -> Result<(), Trouble> {
        let &Place::Row { line: last, .. } = place else {
            return Err(Trouble::stop(format!("{place} is no place of the synthetic source"))
                .with_advice(Advice::Refuse));
        };
        while self.made < last {
            let start = into.bytes.len();
            if self.generator.next_event(&mut into.bytes).is_none() {
                break;
            }
            self.push(start, into);
            self.resumed_at = self.made;
        }
        Ok(())
    }

    /// Appends the event whose bytes begin at `start`.
    fn push(&mut self, start: usize, into: &mut Records) {
        let len = into.bytes.len() - start;
        let due = self.made - self.resumed_at;
        let offset = self.schedule.as_ref().map_or(self.bytes, |schedule| schedule.offset_ns(due));
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
}
