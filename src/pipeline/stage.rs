//! The engine's thread: what was bound is done again, then batches go from the source to the sink.
//!
//! source -> **stage** -> sink
//!
//! Not here: who reads and who writes (`pipeline`), what it means to be bound (`recovery`).

use super::{Ended, Input, Made, Progress, Settings, Taken, join, read_all, spawn};
use crate::recovery::{History, Retelling, kill_point, name_partitions};
use cartguard_engine::batch::{BATCH_RECORDS_MAX, Engine, Outputs};
use cartguard_engine::record::{Location, Records};
use cartguard_io::{Delivered, Source, Trouble};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often an idle engine looks for what is due besides batches. Arbitrary: a wake-up costs some 30 us.
const MEANWHILE_EVERY: Duration = Duration::from_millis(20);

/// The engine's thread.
pub(super) struct Stage<'a> {
    pub(super) engine: Engine,
    /// From when all that was bound before is done again.
    pub(super) history: Option<History>,
    /// Names of the partitions, by number.
    pub(super) partitions: Vec<String>,
    pub(super) outputs: Outputs,
    pub(super) latency: Histogram<u64>,
    pub(super) to_sink: Sender<Made>,
    pub(super) from_sink: Receiver<Outputs>,
    pub(super) settings: Settings,
    pub(super) stop: &'a AtomicBool,
    pub(super) failed: &'a AtomicBool,
}

impl<'a> Stage<'a> {
    /// Whether all is to end.
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }

    /// Does again what was bound and is not in the snapshot; the source, where new records come from. Nothing where all is to end before
    /// that: what was bound stays bound, and the next start does it again. `wanted` is the first batch that the sink wants again.
    pub(super) fn begin<'s>(
        &mut self,
        input: Input<'s>,
        delivered: Delivered,
        wanted: u64,
    ) -> Result<Option<Box<dyn Source + 's>>, Trouble> {
        let (mut source, mut history) = match input {
            Input::Once(source) => {
                self.partitions = source.partitions().to_vec();
                self.engine.set_partitions(&self.partitions);
                return Ok(Some(source));
            }
            Input::Again(source, history) => (source, history),
        };
        history.deliveries(delivered, wanted);
        let mut retelling = Retelling::begin(source.as_mut(), &mut self.engine, history.partitions())?;
        for bound in history.take_tail() {
            if self.is_over() {
                return Ok(None);
            }
            retelling.next(source.as_mut(), &mut self.engine, &bound, &mut self.outputs)?;
            history.repeat(&bound, &self.outputs, &mut self.engine)?;
            if bound.batch >= wanted && !self.release(bound.batch) {
                return Ok(None);
            }
        }
        self.partitions = retelling.into_names();
        self.history = Some(*history);
        Ok(Some(source))
    }

    /// Takes batches from the source, on a thread of its own, until it ends or all is to.
    pub(super) fn work<'scope>(
        &mut self,
        scope: &'scope thread::Scope<'scope, '_>,
        mut source: Box<dyn Source + 'scope>,
        mut tell: impl FnMut(&Progress<'_>),
    ) -> Result<Ended, Trouble>
    where
        'a: 'scope,
    {
        let (settings, stop, failed) = (self.settings, self.stop, self.failed);
        let (taken, to_engine) = bounded::<Taken>(settings.input.max(1));
        let (empty_records, from_engine) = bounded::<Records>(settings.input + 2);
        let reader = spawn(scope, "source", move || {
            read_all(source.as_mut(), &taken, &from_engine, settings, || {
                stop.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed)
            })
        });
        let mut next = None;
        let mut number = self.history.as_ref().map_or(0, History::next_batch);
        let worked = loop {
            let mut batch =
                match next.take().map_or_else(|| self.receive(&to_engine), |batch| Ok(Some(batch))) {
                    Ok(Some(batch)) => batch,
                    Ok(None) => break Ok(()),
                    Err(trouble) => break Err(trouble),
                };
            next = take_waiting(&mut batch, &to_engine, &empty_records, settings);
            if let Err(trouble) = self.process(&mut batch) {
                break Err(trouble);
            }
            record_latency(&mut self.latency, &batch, settings.paced);
            tell(&Progress { counts: self.engine.counts(), latency: &self.latency, outputs: &self.outputs });
            // The reader may have ended and need no more.
            let _ = empty_records.try_send(batch.records);
            if !self.release(number) {
                break Ok(());
            }
            number += 1;
        };
        if worked.is_err() {
            failed.store(true, Ordering::Relaxed);
        }
        // Whoever waits for room learns that nobody will make any.
        drop(to_engine);
        let read = join(reader);
        worked.and(read)
    }

    /// A batch to lines that may leave.
    fn process(&mut self, batch: &mut Taken) -> Result<(), Trouble> {
        name_partitions(&batch.changes, &mut self.partitions, &mut self.engine);
        self.engine.process(&mut batch.records, &mut self.outputs);
        let Some(history) = &mut self.history else { return Ok(()) };
        let changes = std::mem::take(&mut batch.changes);
        history.bind(changes, &batch.records, &self.outputs, &mut self.engine, self.stop)
    }

    /// Hands the lines of a batch to the sink; whether it still takes any.
    fn release(&mut self, batch: u64) -> bool {
        let outputs = std::mem::take(&mut self.outputs);
        let is_taken = self.to_sink.send(Made { batch, outputs }).is_ok();
        if self.history.is_some() {
            kill_point::pass("released");
        }
        self.outputs = self.from_sink.try_recv().unwrap_or_default();
        is_taken
    }

    /// The next batch, or nothing once the source has ended and all is taken. While there is none, what is due is done.
    fn receive(&mut self, queue: &Receiver<Taken>) -> Result<Option<Taken>, Trouble> {
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
            let is_busy = match &mut self.history {
                Some(history) => history.tick(&mut self.engine)?,
                None => false,
            };
            let patience = if is_busy { Duration::ZERO } else { MEANWHILE_EVERY };
            match queue.recv_timeout(patience) {
                Ok(batch) => return Ok(Some(batch)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }
}

/// From when each record was due, or from when its batch was taken, until now.
fn record_latency(latency: &mut Histogram<u64>, batch: &Taken, paced: Option<Instant>) {
    let since = |instant: Instant| u64::try_from(instant.elapsed().as_nanos()).unwrap_or(u64::MAX);
    match paced {
        None => latency.saturating_record_n(since(batch.at).max(1), batch.records.len() as u64),
        Some(started) => {
            let now = since(started);
            for record in &batch.records.list {
                // A synthetic source's place in its schedule.
                let Location::Row { offset: due_ns, .. } = record.place else { continue };
                latency.saturating_record(now.saturating_sub(due_ns).max(1));
            }
        }
    }
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
