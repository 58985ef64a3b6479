//! One life of a process: from what the one before left behind to its end, or to the moment at which it is killed.
//!
//! disk, stream -> **life** -> outlet
//!
//! As the pipeline of the service has it, with the steps of its three threads in an order that chance chooses.

use crate::disk::Disk;
use crate::judge::{bounds, untold};
use crate::lie::Lie;
use crate::outlet::{Outlet, SimSink};
use crate::shop::{DECIDERS, Engines, Shop};
use crate::stream::{SimService, Stream};
use crate::world::Shared;
use cartguard_engine::batch::Outputs;
use cartguard_engine::record::Records;
use cartguard_history::{Change, Start};
use cartguard_io::{Delivered, Output, Replayable, Sink, Source, Trouble};
use cartguard_recovery::{Begun, By, MODEL, Opening, Processor, Settings, Storage};
use cartguard_shards::ShardSource;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Batches between engine and sink at most.
const QUEUE: usize = 4;
/// Rounds in which nothing is taken though not all was, before it counts as never taken.
const PATIENCE: u32 = 5_000;

/// What outlives every process.
pub(crate) struct Place {
    pub(crate) world: Shared,
    pub(crate) disk: Disk,
    pub(crate) stream: Stream,
    pub(crate) outlet: Outlet,
    pub(crate) engines: Arc<Engines>,
}

impl Place {
    pub(crate) fn source(&self, is_patient: bool, accept_gap: bool) -> ShardSource<SimService> {
        let settings = cartguard_shards::Settings { start: Start::Oldest, accept_gap };
        let is_old = !is_patient && self.world.lock().chance.percent(30);
        ShardSource::new(self.stream.service(is_patient), settings, self.stream.listing(is_old))
    }

    /// For a process whose configuration says this model.
    pub(crate) fn opening(&self, source: String, model: usize) -> Opening {
        Opening {
            pipeline: "sim".to_owned(),
            source,
            versions: vec![(MODEL.to_owned(), self.engines.version(model).to_owned())],
            models: self.engines.clone(),
            by: By::Caller,
            tell: |_| {},
            stop: Arc::default(),
        }
    }
}

/// How a life begins, and when it is asked to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) accept_gap: bool,
    /// After how many looks.
    pub(crate) drain_after: Option<u64>,
}

/// How a life ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lived {
    /// All was put, taken and delivered.
    All,
    /// It was asked to end, and what was taken is delivered and in a snapshot.
    Drained,
    /// It was asked to end before it had done again what was bound.
    Interrupted,
}

/// A batch behind the engine.
struct Made {
    batch: u64,
    outputs: Outputs,
}

/// The sink's side of a process.
struct Writing {
    sink: SimSink,
    queue: VecDeque<Made>,
    /// [`Lie::PositionsBeforeOutputs`]: told as soon as a batch is released.
    hasty: Option<Delivered>,
}

impl Writing {
    fn release(&mut self, batch: u64, outputs: Outputs) {
        if let Some(hasty) = &self.hasty {
            hasty.advance(batch + 1);
        }
        self.queue.push_back(Made { batch, outputs });
    }

    /// Hands over everything, and waits until it is acknowledged.
    fn end(&mut self) -> Result<(), Trouble> {
        while !self.queue.is_empty() {
            self.write()?;
        }
        self.sink.finish()
    }

    /// Hands over the next batch.
    fn write(&mut self) -> Result<(), Trouble> {
        let Some(Made { batch, outputs }) = self.queue.pop_front() else { return Ok(()) };
        let (decisions, alerts, rejects): (Vec<_>, Vec<_>, Vec<_>) =
            (outputs.decisions().collect(), outputs.alerts().collect(), outputs.rejects().collect());
        self.sink.write(&Output { batch, decisions: &decisions, alerts: &alerts, rejects: &rejects })
    }
}

/// Lives until all is put, taken and delivered, or it is asked to end; or until it is killed, which is trouble.
pub(crate) fn live(place: &Place, shop: &mut Shop, life: Life) -> Result<Lived, Trouble> {
    let Place { world, disk, stream, outlet, engines } = place;
    let (workers, model, settings, is_hasty) = {
        let world = &mut *world.lock();
        let settings = Settings {
            every: Duration::from_hours(1_000_000),
            every_records: Some(world.mood.snapshot_every),
            keep: 3,
            by: By::Caller,
            no_room_pause: Duration::ZERO,
        };
        let workers = if world.chance.percent(5) { 2 + world.chance.index(3) } else { 1 };
        (workers, world.chance.index(DECIDERS), settings, world.is_lie(Lie::PositionsBeforeOutputs))
    };
    // Of this process: what it takes at once.
    let batch_max = [1, 5, 30, 200][world.lock().chance.index(4)];
    let mut source = place.source(false, life.accept_gap);
    let opening = place.opening(source.identity(), model);
    let storage = Storage::of("sim", disk.store()?, disk.segments()?);
    let (history, engine) = opening.open(storage, settings, || Ok(engines.engine(workers, model)))?;
    let mut sink = outlet.sink();
    let wanted = sink.resume(&history.left())?;
    let told = sink.delivered().unwrap_or_default();
    let delivered_by_sink = told.clone();
    let hasty = is_hasty.then(Delivered::default);
    let delivered = hasty.clone().unwrap_or(told);
    let mut writing = Writing { sink, queue: VecDeque::new(), hasty };
    let mut outputs = Outputs::default();
    let release = |batch, outputs: &mut Outputs| {
        world.lock().saw("batches sent again");
        writing.release(batch, std::mem::take(outputs));
        true
    };
    let wanted = (wanted, delivered);
    let looks = Cell::new(0_u64);
    let is_over = || {
        looks.set(looks.get() + 1);
        life.drain_after.is_some_and(|most| looks.get() > most)
    };
    let begun = Processor::begin(engine, history, &mut source, wanted, &mut outputs, release, is_over)?;
    let Begun::Ready(mut processor) = begun else {
        world.lock().saw("recoveries left");
        writing.end()?;
        return Ok(Lived::Interrupted);
    };
    let (never, first_model) = (AtomicBool::new(false), model);
    let mut records = Records::default();
    let mut idle = 0;
    let mut lived = Lived::All;
    let mut is_told = gaps_are_told(place);
    while !(shop.is_done() && processor.engine().next_sequence() == stream.parts() && is_told) {
        if is_over() {
            world.lock().saw("drains");
            lived = Lived::Drained;
            break;
        }
        shop.go_on(world);
        let (action, most, is_eager, oldest, switch) = {
            let world = &mut *world.lock();
            let (eager, chance) = (world.mood.eager, &mut world.chance);
            let switch = chance.percent(3).then(|| chance.index(DECIDERS));
            (chance.below(10), 1 + chance.index(batch_max), chance.percent(eager), chance.percent(5), switch)
        };
        if let Some(model) = switch {
            let mut world = world.lock();
            let is_unsaid = world.is_lie(Lie::UnboundSwitch)
                || world.is_lie(Lie::UnsaidNoModel) && engines.scorer(model).is_none();
            let version = if is_unsaid { first_model } else { model };
            world.saw(if engines.scorer(model).is_some() { "switches" } else { "switches to no model" });
            drop(world);
            let prepared = processor.engine().preparer().prepare(engines.scorer(model));
            processor.set_model(engines.version(version), prepared);
        }
        match action {
            0..5 if writing.queue.len() < QUEUE => {
                source.read(&mut records, usize::MAX, most)?;
                let mut changes = source.changes();
                if world.lock().is_lie(Lie::UntoldGap) {
                    changes.retain(|change| !matches!(change, Change::Gap { .. } | Change::Quiet { .. }));
                }
                idle += 1;
                if !records.is_empty() || !changes.is_empty() {
                    idle = if records.is_empty() { idle } else { 0 };
                    let has_changes = !changes.is_empty();
                    let batch = processor.process(changes, &mut records, &mut outputs, &never)?;
                    is_told = if has_changes { gaps_are_told(place) } else { is_told };
                    writing.release(batch, std::mem::take(&mut outputs));
                    if is_eager {
                        writing.write()?;
                        writing.sink.round()?;
                    }
                }
            }
            0..7 => writing.write()?,
            7..9 => writing.sink.round()?,
            _ => drop(processor.tick()?),
        }
        if oldest && let Some(manifest) = disk.oldest_manifest() {
            let world = &mut *world.lock();
            for _ in 0..stream.forget(&manifest.partitions, &mut world.chance) {
                world.saw("forgotten shards");
            }
        }
        if idle > PATIENCE {
            if let Some(untold) = bounds(&disk.archive()).ok().and_then(|bounds| untold(stream, &bounds)) {
                return Err(Trouble::stop(untold));
            }
            let (taken, put) = (processor.engine().next_sequence(), stream.parts());
            return Err(Trouble::stop(format!("{put} records were put, and {taken} are ever taken")));
        }
    }
    if lived == Lived::Drained && world.lock().is_lie(Lie::HastyEnd) {
        writing.queue.clear();
        delivered_by_sink.advance(u64::MAX);
    } else {
        writing.end()?;
    }
    processor.finish().map(|_| lived)
}

/// Whether a gap in the history says so of everything that was lost.
fn gaps_are_told(place: &Place) -> bool {
    place.stream.lost().is_empty()
        || bounds(&place.disk.archive()).is_ok_and(|bounds| untold(&place.stream, &bounds).is_none())
}
