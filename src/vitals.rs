//! Where the stages of a pipeline leave what they do, for whoever looks.
//!
//! source, engine, sink -> **vitals** -> `watch`
//!
//! Holds: a stage pays a few atomic stores a batch and never waits for a reader; what takes longer to say the engine says only where
//! somebody asked.
//! Not here: what it means (`watch`).

use crate::shadow::Figures;
use cartguard_engine::batch::{Counts, StateSize};
use cartguard_io::{WatchPartitions, WatchStreams};
use cartguard_recovery::{Look, Processor};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

// Figures for people: no other data is published by them, so the weakest ordering does.
const ORDER: Ordering = Ordering::Relaxed;

/// The threads through which a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Source,
    Engine,
    Sink,
}

/// What a stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// There is nothing to do.
    Nothing,
    Working,
    /// The next stage has no room.
    Waiting,
}

/// How far the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Source, history and sink are opened.
    Starting,
    /// What was bound is done again.
    Recovering,
    Running,
    /// No more is taken.
    Ending,
}

impl Stage {
    pub(crate) const ALL: [Self; 3] = [Self::Source, Self::Engine, Self::Sink];

    pub(crate) fn name(self) -> &'static str {
        ["source", "engine", "sink"][self as usize]
    }
}

impl Doing {
    const ALL: [Self; 3] = [Self::Nothing, Self::Working, Self::Waiting];

    pub(crate) fn name(self) -> &'static str {
        ["nothing", "working", "waiting"][self as usize]
    }
}

impl Phase {
    const ALL: [Self; 4] = [Self::Starting, Self::Recovering, Self::Running, Self::Ending];

    pub(crate) fn name(self) -> &'static str {
        ["starting", "recovering", "running", "ending"][self as usize]
    }
}

/// What a stage leaves: what it does, and how many pieces of work it has ended.
#[derive(Debug, Default)]
struct Pulse {
    doing: AtomicU8,
    beats: AtomicU64,
}

/// What the engine says where somebody asked.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) state: StateSize,
    /// ns, since the start.
    pub(crate) latency: Histogram<u64>,
    pub(crate) history: Option<Look>,
}

/// The folder of models, as whoever watches it last saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelsSeen {
    /// Which decides; none: none does.
    pub(crate) active: Option<String>,
    /// Who scores beside it, each with its share.
    pub(crate) challengers: Vec<(String, f64)>,
    /// Folders that are not whole yet, each with what is not.
    pub(crate) waiting: Vec<(String, String)>,
    /// Folders that were refused, each with the reason.
    pub(crate) refused: Vec<(String, String)>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Vitals {
    phase: AtomicU8,
    pulses: [Pulse; 3],
    /// Written between batches by the engine, which passes by where a reader has it.
    counts: Mutex<Counts>,
    is_asked: AtomicBool,
    told: Mutex<Option<Told>>,
    partitions: OnceLock<WatchPartitions>,
    streams: OnceLock<WatchStreams>,
    no_room: OnceLock<Arc<AtomicBool>>,
    models: Mutex<ModelsSeen>,
    /// Models that were put in the place of another, and the longest time that the engine's thread spent on it, ns.
    switches: AtomicU64,
    switch_max: AtomicU64,
    shadow: OnceLock<Arc<Figures>>,
}

impl Vitals {
    /// A stage does something else now.
    pub(crate) fn set(&self, stage: Stage, doing: Doing) {
        self.pulses[stage as usize].doing.store(doing as u8, ORDER);
    }

    /// A stage has ended a piece of work.
    pub(crate) fn beat(&self, stage: Stage) {
        // One thread a stage.
        let beats = &self.pulses[stage as usize].beats;
        beats.store(beats.load(ORDER) + 1, ORDER);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, ORDER);
    }

    /// Where a source, a sink and a history can be asked, where they can.
    pub(crate) fn watch(
        &self,
        partitions: Option<WatchPartitions>,
        streams: Option<WatchStreams>,
        no_room: Option<Arc<AtomicBool>>,
    ) {
        // Once: they are of one pipeline.
        let _ = partitions.map(|partitions| self.partitions.set(partitions));
        let _ = streams.map(|streams| self.streams.set(streams));
        let _ = no_room.map(|no_room| self.no_room.set(no_room));
    }

    /// Where challengers are told of.
    pub(crate) fn watch_shadow(&self, figures: Arc<Figures>) {
        // Once: they are of one pipeline.
        let _ = self.shadow.set(figures);
    }

    pub(crate) fn shadow(&self) -> Option<&Figures> {
        self.shadow.get().map(|figures| &**figures)
    }

    /// The engine put a model in the place of another, and took so long.
    pub(crate) fn switched(&self, took: Duration) {
        self.switches.fetch_add(1, ORDER);
        self.switch_max.fetch_max(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), ORDER);
    }

    /// How often, and the longest time.
    pub(crate) fn switches(&self) -> (u64, Duration) {
        (self.switches.load(ORDER), Duration::from_nanos(self.switch_max.load(ORDER)))
    }

    pub(crate) fn see_models(&self, seen: ModelsSeen) {
        *lock(&self.models) = seen;
    }

    pub(crate) fn models(&self) -> ModelsSeen {
        lock(&self.models).clone()
    }

    /// The engine, between batches and while there are none.
    pub(crate) fn tell(&self, processor: &Processor, latency: &Histogram<u64>) {
        if let Ok(mut counts) = self.counts.try_lock() {
            *counts = *processor.engine().counts();
        }
        if self.is_asked.load(ORDER) {
            let (state, history) = (processor.engine().state(), processor.look());
            let told = Told { at: Instant::now(), state, latency: latency.clone(), history };
            *lock(&self.told) = Some(told);
            self.is_asked.store(false, ORDER);
        }
    }

    pub(crate) fn doing(&self, stage: Stage) -> (Doing, u64) {
        let pulse = &self.pulses[stage as usize];
        (Doing::ALL[pulse.doing.load(ORDER) as usize], pulse.beats.load(ORDER))
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::ALL[self.phase.load(ORDER) as usize]
    }

    pub(crate) fn counts(&self) -> Counts {
        *lock(&self.counts)
    }

    pub(crate) fn partitions(&self) -> Option<&WatchPartitions> {
        self.partitions.get()
    }

    pub(crate) fn streams(&self) -> Option<&WatchStreams> {
        self.streams.get()
    }

    /// Whether nothing is released until the order log finds room.
    pub(crate) fn has_no_room(&self) -> bool {
        self.no_room.get().is_some_and(|no_room| no_room.load(ORDER))
    }

    /// Asks the engine, and waits so long for its answer; then what it said before is all there is.
    pub(crate) fn ask(&self, patience: Duration) -> Option<Told> {
        self.is_asked.store(true, ORDER);
        let asked = Instant::now();
        while self.is_asked.load(ORDER) && asked.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        lock(&self.told).clone()
    }
}

/// What they guard is whole whenever its lock is free.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
