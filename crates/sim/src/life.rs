//! One life of a process: from what the one before left behind to its end, or to the moment at which it is killed.
//!
//! disk, stream -> **life** -> outlet
//!
//! As the pipeline of the service has it, with the steps of its three threads in an order that chance chooses.

use crate::disk::Disk;
use crate::lie::Lie;
use crate::outlet::{Outlet, SimSink};
use crate::shop::{Engines, Shop};
use crate::stream::{SimService, Stream};
use crate::world::Shared;
use cartguard_engine::batch::Outputs;
use cartguard_engine::record::Records;
use cartguard_history::Start;
use cartguard_io::{Delivered, Output, Replayable, Sink, Source, Trouble};
use cartguard_recovery::{Begun, By, MODEL, Opening, Processor, Settings, Storage};
use cartguard_shards::ShardSource;
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
    pub(crate) fn source(&self, is_patient: bool) -> ShardSource<SimService> {
        let settings = cartguard_shards::Settings { start: Start::Oldest, accept_gap: false };
        let is_old = !is_patient && self.world.lock().chance.percent(30);
        ShardSource::new(self.stream.service(is_patient), settings, self.stream.listing(is_old))
    }
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

    /// Hands over the next batch.
    fn write(&mut self) -> Result<(), Trouble> {
        let Some(Made { batch, outputs }) = self.queue.pop_front() else { return Ok(()) };
        let (decisions, alerts, rejects): (Vec<_>, Vec<_>, Vec<_>) =
            (outputs.decisions().collect(), outputs.alerts().collect(), outputs.rejects().collect());
        self.sink.write(&Output { batch, decisions: &decisions, alerts: &alerts, rejects: &rejects })
    }
}

/// Lives until all is put, taken and delivered; or until it is killed, which is trouble.
pub(crate) fn live(place: &Place, shop: &mut Shop) -> Result<(), Trouble> {
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
        let workers = if world.chance.percent(5) { 2 } else { 1 };
        (workers, world.chance.index(3), settings, world.is_lie(Lie::PositionsBeforeOutputs))
    };
    let mut source = place.source(false);
    let opening = Opening {
        pipeline: "sim".to_owned(),
        source: source.identity(),
        versions: vec![(MODEL.to_owned(), engines.version(model).to_owned())],
        models: engines.clone(),
        by: By::Caller,
        tell: |_| {},
    };
    let storage = Storage::of("sim", Arc::new(disk.clone()), disk.segments());
    let (history, engine) = opening.open(storage, settings, || Ok(engines.engine(workers, model)))?;
    let mut sink = outlet.sink();
    let wanted = sink.resume(&history.left())?;
    let told = sink.delivered().unwrap_or_default();
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
    let begun = Processor::begin(engine, history, &mut source, wanted, &mut outputs, release, || false)?;
    let Begun::Ready(mut processor) = begun else { unreachable!("nobody tells it to end") };
    let (never, first_model) = (AtomicBool::new(false), model);
    let mut records = Records::default();
    let mut idle = 0;
    while !(shop.is_done() && processor.engine().next_sequence() == stream.parts()) {
        shop.go_on(world);
        let (action, most, is_eager, oldest, switch) = {
            let world = &mut *world.lock();
            let (eager, chance) = (world.mood.eager, &mut world.chance);
            let switch = chance.percent(3).then(|| chance.index(3));
            (chance.below(10), 1 + chance.index(30), chance.percent(eager), chance.percent(5), switch)
        };
        if let Some(model) = switch {
            let version = if world.lock().is_lie(Lie::UnboundSwitch) { first_model } else { model };
            world.lock().saw("switches");
            let prepared = processor.engine().preparer().prepare(Some(engines.scorer(model)));
            processor.set_model(engines.version(version), prepared);
        }
        match action {
            0..5 if writing.queue.len() < QUEUE => {
                source.read(&mut records, usize::MAX, most)?;
                let changes = source.changes();
                idle += 1;
                if !records.is_empty() || !changes.is_empty() {
                    idle = if records.is_empty() { idle } else { 0 };
                    let batch = processor.process(changes, &mut records, &mut outputs, &never)?;
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
            let (taken, put) = (processor.engine().next_sequence(), stream.parts());
            return Err(Trouble::stop(format!("{put} records were put, and {taken} are ever taken")));
        }
    }
    while !writing.queue.is_empty() {
        writing.write()?;
    }
    writing.sink.finish()?;
    processor.finish().map(|_| ())
}
