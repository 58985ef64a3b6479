//! The engine's thread: what was bound is done again, then batches go from the source to the sink.
//!
//! source -> **stage** -> sink
//!
//! Not here: who reads and who writes (`pipeline`), in which order a batch is bound and released (`cartguard_recovery::Processor`).

use super::{
    Ended, Input, Made, Place, Progress, Settings, Switch, Switches, Taken, join, new_histogram, read_all,
    spawn,
};
use crate::shadow::Hand;
use crate::vitals::{Doing, Phase, Stage as At, Vitals};
use cartguard_engine::batch::{BATCH_RECORDS_MAX, Engine, Outputs};
use cartguard_engine::record::{Form, Location, RecordMeta, Records};
use cartguard_io::{Delivered, Source, Trouble};
use cartguard_recovery::{Begun, Processor, kill_point};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often an idle engine looks for what is due besides batches. Arbitrary: a wake-up costs some 30 us.
const MEANWHILE_EVERY: Duration = Duration::from_millis(20);

/// Where the lines of a batch go, and where emptied ones come back.
pub(super) struct Outlet {
    pub(super) outputs: Outputs,
    pub(super) to_sink: Sender<Made>,
    pub(super) from_sink: Receiver<Outputs>,
}

impl Outlet {
    /// Hands the lines of a batch to the sink; whether it still takes any.
    fn release(&mut self, batch: u64) -> bool {
        let outputs = std::mem::take(&mut self.outputs);
        self.pass(batch, outputs)
    }

    fn pass(&mut self, batch: u64, outputs: Outputs) -> bool {
        let is_taken = self.to_sink.send(Made { batch, outputs }).is_ok();
        self.outputs = self.from_sink.try_recv().unwrap_or_default();
        is_taken
    }
}

/// The engine's thread.
pub(super) struct Stage<'a> {
    processor: Processor,
    outlet: Outlet,
    latency: Histogram<u64>,
    settings: Settings,
    stop: &'a AtomicBool,
    failed: &'a AtomicBool,
    vitals: &'a Vitals,
}

/// What is left of a stage: its processor, the latencies, why it ended.
pub(super) type Worked = (Processor, Histogram<u64>, Ended);

impl<'a> Stage<'a> {
    /// Does again what was bound and is not in the snapshot; the source, where new records come from. None where all is to end before
    /// that. `wanted` is the first batch that the sink wants again, and where it tells of deliveries.
    pub(super) fn begin<'s>(
        input: Input<'s>,
        engine: Engine,
        wanted: (u64, Delivered),
        mut outlet: Outlet,
        settings: Settings,
        [stop, failed]: [&'a AtomicBool; 2],
        vitals: &'a Vitals,
    ) -> Result<(Self, Option<Box<dyn Source + 's>>), Trouble> {
        let (processor, source): (_, Option<Box<dyn Source>>) = match input {
            Input::Once(source) => (Processor::new(engine, source.partitions()), Some(source)),
            Input::Again(mut source, history) => {
                let release = |batch, outputs: &mut Outputs| {
                    let is_taken = outlet.pass(batch, std::mem::take(outputs));
                    kill_point::pass("released");
                    std::mem::swap(outputs, &mut outlet.outputs);
                    is_taken
                };
                vitals.enter(Phase::Recovering);
                vitals.set(At::Engine, Doing::Working);
                // Asked before every batch, and while its records are waited for.
                let is_over = || {
                    vitals.beat(At::Engine);
                    stop.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed)
                };
                let mut outputs = Outputs::default();
                let begun = Processor::begin(
                    engine,
                    *history,
                    source.as_mut(),
                    wanted,
                    &mut outputs,
                    release,
                    is_over,
                )?;
                match begun {
                    Begun::Ready(processor) => (*processor, Some(source)),
                    Begun::Interrupted(engine) => (Processor::new(*engine, &[]), None),
                }
            }
        };
        vitals.enter(if source.is_some() { Phase::Running } else { Phase::Ending });
        vitals.set(At::Engine, Doing::Nothing);
        Ok((Self { processor, outlet, latency: new_histogram(), settings, stop, failed, vitals }, source))
    }

    /// Takes batches from the source, on a thread of its own, until it ends or all is to.
    pub(super) fn work<'scope>(
        mut self,
        scope: &'scope thread::Scope<'scope, '_>,
        source: Option<Box<dyn Source + 'scope>>,
        (switches, mut hand): (Option<&Switches>, Option<&mut Hand>),
        mut tell: impl FnMut(&Progress<'_>),
    ) -> Result<Worked, Trouble>
    where
        'a: 'scope,
    {
        let Some(mut source) = source else {
            return Ok((self.processor, self.latency, Ended::Stopped(Place::default())));
        };
        let (settings, stop, failed, vitals) = (self.settings, self.stop, self.failed, self.vitals);
        let (taken, to_engine) = bounded::<Taken>(settings.input.max(1));
        let (empty_records, from_engine) = bounded::<Records>(settings.input + 2);
        let reader = spawn(scope, "source", move || {
            read_all(source.as_mut(), &taken, &from_engine, settings, vitals, || {
                stop.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed)
            })
        });
        if let Some(hand) = &mut hand {
            // What was bound before and done again was scored then, or is not scored: its rows are not wanted twice.
            self.processor.hand_out(hand.rows());
        }
        let worked = self.take_all(&to_engine, &empty_records, (switches, hand), &mut tell);
        if worked.is_err() {
            failed.store(true, Ordering::Relaxed);
        }
        // Whoever waits for room learns that nobody will make any.
        drop(to_engine);
        let read = join(reader);
        worked?;
        Ok((self.processor, self.latency, read?))
    }

    /// Batches from the queue to the sink, until no more come or none are taken.
    fn take_all(
        &mut self,
        waiting: &Receiver<Taken>,
        empty: &Sender<Records>,
        (switches, mut hand): (Option<&Switches>, Option<&mut Hand>),
        tell: &mut impl FnMut(&Progress<'_>),
    ) -> Result<(), Trouble> {
        let mut next = None;
        loop {
            let mut batch = match next.take() {
                Some(batch) => batch,
                None => match self.receive(waiting, &mut hand)? {
                    Some(batch) => batch,
                    None => return Ok(()),
                },
            };
            self.vitals.set(At::Engine, Doing::Working);
            next = take_waiting(&mut batch, waiting, empty, self.settings);
            if let Some(switches) = switches {
                self.switch(switches, &mut hand);
            }
            let first_sequence = self.processor.engine().next_sequence();
            let changes = std::mem::take(&mut batch.changes);
            let outputs = &mut self.outlet.outputs;
            let number = self.processor.process(changes, &mut batch.records, outputs, self.stop)?;
            record_latency(&mut self.latency, &batch, self.settings.paced);
            tell(&Progress { counts: self.processor.engine().counts(), latency: &self.latency, outputs });
            if let Some(hand) = &mut hand {
                hand.take(outputs);
            }
            self.vitals.beat(At::Engine);
            self.vitals.tell(&self.processor, &self.latency);
            self.vitals.set(At::Engine, Doing::Waiting);
            // The reader may have ended and need no more.
            let _ = empty.try_send(batch.records);
            if !self.outlet.release(number) {
                return Ok(());
            }
            if self.processor.has_history() {
                kill_point::pass("released");
            }
            if let Some(hand) = &mut hand {
                hand.give(first_sequence);
            }
        }
    }

    /// What changes between two batches.
    fn switch(&mut self, switches: &Switches, hand: &mut Option<&mut Hand>) {
        let Some(waiting) = switches.take() else { return };
        let began = Instant::now();
        if let Some(Switch { version, prepared }) = waiting.model {
            switches.retire(self.processor.set_model(&version, prepared));
            self.vitals.switched(began.elapsed());
        }
        if let (Some(roster), Some(hand)) = (waiting.roster, hand) {
            self.processor.hand_out(hand.follow(roster));
        }
    }

    /// The next batch, or nothing once the source has ended and all is taken. While there is none, what is due is done.
    fn receive(
        &mut self,
        queue: &Receiver<Taken>,
        hand: &mut Option<&mut Hand>,
    ) -> Result<Option<Taken>, Trouble> {
        self.vitals.set(At::Engine, Doing::Nothing);
        loop {
            if self.settings.spin {
                // A parked thread costs 25 to 30 us to wake; a spinning one costs a core.
                for _ in 0..200_000 {
                    match queue.try_recv() {
                        Ok(batch) => return Ok(Some(batch)),
                        Err(TryRecvError::Disconnected) => return Ok(None),
                        Err(TryRecvError::Empty) => std::hint::spin_loop(),
                    }
                }
            }
            let is_busy = self.processor.tick()?;
            self.vitals.tell(&self.processor, &self.latency);
            let patience = if is_busy { Duration::ZERO } else { MEANWHILE_EVERY };
            match queue.recv_timeout(patience) {
                Ok(batch) => return Ok(Some(batch)),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(hand) = hand {
                        hand.idle();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

/// From when each record was due, or from when its batch was taken, until now.
fn record_latency(latency: &mut Histogram<u64>, batch: &Taken, paced: Option<Instant>) {
    let since = |instant: Instant| u64::try_from(instant.elapsed().as_nanos()).unwrap_or(u64::MAX);
    match paced {
        None => {
            let events = batch.records.list.iter().filter(|record| !is_label(record)).count();
            latency.saturating_record_n(since(batch.at).max(1), events as u64);
        }
        Some(started) => {
            let now = since(started);
            for record in batch.records.list.iter().filter(|record| !is_label(record)) {
                // A synthetic source's place in its schedule.
                let Location::Row { offset: due_ns, .. } = record.place else { continue };
                latency.saturating_record(now.saturating_sub(due_ns).max(1));
            }
        }
    }
}

/// Labels wait for nobody's answer.
fn is_label(record: &RecordMeta) -> bool {
    matches!(record.form, Form::Label { .. })
}

/// Joins what else is waiting to a batch, up to the size of one; the batch that no longer fits, if there is one. A source
/// that hands over single records must not make an engine that has fallen behind take them one by one.
fn take_waiting(
    batch: &mut Taken,
    waiting: &Receiver<Taken>,
    empty: &Sender<Records>,
    settings: Settings,
) -> Option<Taken> {
    let records_max = settings.batch_max.min(BATCH_RECORDS_MAX);
    loop {
        let mut next = waiting.try_recv().ok()?;
        let joined = batch.records.len() + next.records.len();
        // Changes stand before the records of a batch.
        let fits = next.changes.is_empty()
            && joined <= records_max
            && batch.records.bytes.len() + next.records.bytes.len() <= settings.batch_bytes;
        if !fits {
            return Some(next);
        }
        batch.records.append(&next.records);
        next.records.clear();
        let _ = empty.try_send(next.records);
    }
}
