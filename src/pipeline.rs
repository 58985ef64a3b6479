//! The story of the service: a source, the engine and a sink, joined in data order.
//!
//! source --bounded--> engine --bounded--> sink
//!
//! Three threads. The queues are bounded, so a slow sink slows the engine and a slow engine the source; nothing is
//! dropped anywhere. Batches go round: what the writer has written the engine fills again, so a steady state
//! allocates nothing. A batch is whatever the source had: nobody waits to fill one.
//!
//! With a history (`cartguard_recovery`) a batch is bound before its outputs go on to the sink, and what was bound and is not in the snapshot is done
//! again first.
//!
//! Holds: every record taken from the source has its lines in the sink, in sequence order, before `run` returns `Ok`,
//! unless the sink's reader went away.
//! Not here: what a record means (engine), signals (`run`), what is printed (`replay`, `demo`).

mod stage;
mod switch;
#[cfg(test)]
mod tests;

pub(crate) use self::switch::{Step, Switch, Switcher, Switches};

use self::stage::{Outlet, Stage};
use crate::config::{Config, Idle};
use crate::shadow::Hand;
use crate::vitals::{Doing, Phase, Stage as At, Vitals};
use cartguard_engine::batch::{BATCH_RECORDS_MAX, Counts, Engine, Outputs};
use cartguard_engine::record::Records;
use cartguard_history::Change;
use cartguard_io::{Advice, Delivered, Output, Read, Replayable, Sink, Source, Trouble};
use cartguard_recovery::History;
use crossbeam_channel::{Receiver, Sender, bounded};
use hdrhistogram::Histogram;
use std::fmt::{self, Display};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of records in a batch at most where somebody waits for the answers: some 2 ms of work.
const BATCH_BYTES: usize = 512 * 1024;
/// The same where nobody does. Workers wait for each other at every phase of a batch, so larger ones lose less: on two workers 450
/// thousand events a second with 512 KiB, 503 with 1 MiB, and with 2 MiB a twelfth more than that (pairs of runs).
const BATCH_BYTES_OF_HISTORY: usize = 2 * 1024 * 1024;
/// The longest pause before a batch is tried again. Arbitrary.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often trouble that lasts is told. Arbitrary: seen by whoever looks, and no flood.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// How soon a pause ends once all is to end. Arbitrary: at once, for a person.
const NOTICE: Duration = Duration::from_millis(50);

/// How a pipeline is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Batches waiting for the engine, and for the sink.
    pub(crate) input: usize,
    pub(crate) output: usize,
    /// Records in a batch at most.
    pub(crate) batch_max: usize,
    /// Bytes of records in a batch at most.
    pub(crate) batch_bytes: usize,
    /// Whether a thread without work stays awake for a while.
    pub(crate) spin: bool,
    /// Start of the schedule by which a synthetic source's records are due; their latency counts from then.
    pub(crate) paced: Option<Instant>,
    /// Hears of trouble with the sink that may pass, while the batch is tried again; none: such trouble ends it.
    pub(crate) retrying: Option<fn(&Trouble)>,
}

impl Settings {
    /// Of a configuration; trouble with the sink ends it.
    pub(crate) fn of(config: &Config, paced: Option<Instant>) -> Self {
        Self {
            input: config.queue.input,
            output: config.queue.output,
            batch_max: config.engine.batch_max,
            batch_bytes: BATCH_BYTES,
            spin: config.engine.idle == Idle::Spin,
            paced,
            retrying: None,
        }
    }

    /// For history: as much as can be done in a second, however late the first of a batch is done.
    pub(crate) fn of_history(config: &Config) -> Self {
        Self { batch_bytes: BATCH_BYTES_OF_HISTORY, ..Self::of(config, None) }
    }
}

/// What the rest of the process lends a pipeline.
pub(crate) struct Around<'a> {
    /// Set once all is to end.
    pub(crate) stop: &'a AtomicBool,
    /// Where the stages leave what they do.
    pub(crate) vitals: &'a Vitals,
    /// Models that are to decide from the next batch on.
    pub(crate) switches: Option<&'a Switches>,
    /// Where rows go that others score too.
    pub(crate) hand: Option<&'a mut Hand>,
}

/// How far a pipeline is, told after every batch.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    pub(crate) counts: &'a Counts,
    pub(crate) latency: &'a Histogram<u64>,
    /// The lines of the batch.
    pub(crate) outputs: &'a Outputs,
}

/// What came of a pipeline.
pub(crate) struct Finished {
    pub(crate) engine: Engine,
    /// From a record's place in the input queue to its lines in the output queue, ns.
    pub(crate) latency: Histogram<u64>,
    pub(crate) wall: Duration,
    pub(crate) ended: Ended,
}

/// Why no more was taken.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The source has no more.
    Source,
    /// It was asked to stop, and took nothing from this place on.
    Stopped(Place),
    /// Whoever read the sink's lines wants no more of them.
    Closed(Trouble),
}

/// Where a source stood.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Name of the partition.
    partition: String,
    /// From 1.
    line: u64,
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.partition, self.line)
    }
}

/// Records on their way to the engine, and what happened to their partitions before them.
struct Taken {
    changes: Vec<Change>,
    records: Records,
    at: Instant,
}

/// Lines on their way to the sink.
struct Made {
    batch: u64,
    outputs: Outputs,
}

/// Where records come from.
pub(crate) enum Input<'a> {
    /// Records that are taken once.
    Once(Box<dyn Source + 'a>),
    /// Records that can be read again, and the history of those that were.
    Again(Box<dyn Replayable + 'a>, Box<History>),
}

impl Input<'_> {
    /// Whether a process before this one wrote outputs, which are written on.
    pub(crate) fn goes_on(&self) -> bool {
        match self {
            Self::Once(_) => false,
            Self::Again(_, history) => history.goes_on(),
        }
    }
}

/// Runs until the source ends or `stop` is set; then everything taken is finished and delivered. `switches` brings models that decide from
/// the next batch on.
pub(crate) fn run(
    input: Input<'_>,
    engine: Engine,
    sink: &mut dyn Sink,
    settings: Settings,
    around: Around<'_>,
    tell: impl FnMut(&Progress<'_>),
) -> Result<Finished, Trouble> {
    let Around { stop, vitals, switches, hand } = around;
    let (partitions, no_room) = match &input {
        Input::Once(source) => (source.watch(), None),
        Input::Again(source, history) => (source.watch(), Some(history.no_room())),
    };
    vitals.watch(partitions, sink.figures(), no_room);
    let (finished, to_sink) = bounded::<Made>(settings.output.max(1));
    let (empty_outputs, from_sink) = bounded::<Outputs>(settings.output + 2);
    let started = Instant::now();
    let wanted = match &input {
        Input::Once(_) => 0,
        Input::Again(_, history) => sink.resume(&history.left())?,
    };
    // What a sink has delivered it says itself, or it is what was written.
    let says = sink.delivered();
    let delivered = says.clone().unwrap_or_default();
    let written = says.is_none().then(|| delivered.clone());
    // Set when a stage fails, so that the others end too.
    let failed = AtomicBool::new(false);
    let outlet = Outlet { outputs: Outputs::default(), to_sink: finished, from_sink };
    let (worked, written) = thread::scope(|scope| {
        let failed = &failed;
        let writer = spawn(scope, "sink", move || {
            let written =
                write_all(sink, &to_sink, &empty_outputs, written.as_ref(), settings.retrying, stop, vitals);
            if written.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            written
        });
        // The stage goes with its outlet, so that the writer learns that no more lines come.
        let worked =
            Stage::begin(input, engine, (wanted, delivered), outlet, settings, [stop, failed], vitals)
                .and_then(|(stage, source)| stage.work(scope, source, (switches, hand), tell));
        (worked, join(writer))
    });
    let (processor, latency, ended) = match written {
        Err(closed) if closed.advice() == Advice::Done => {
            worked.map(|(processor, latency, _)| (processor, latency, Ended::Closed(closed)))
        }
        written => written.and(worked),
    }?;
    let engine = match ended {
        Ended::Closed(_) => processor.into_engine(),
        Ended::Source | Ended::Stopped(_) => processor.finish()?,
    };
    Ok(Finished { engine, latency, wall: started.elapsed(), ended })
}

/// An empty histogram of ns, three digits, up to an hour.
pub(crate) fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("constant bounds are valid")
}

/// The source's thread.
fn read_all(
    source: &mut dyn Source,
    taken: &Sender<Taken>,
    empty: &Receiver<Records>,
    settings: Settings,
    vitals: &Vitals,
    should_stop: impl Fn() -> bool,
) -> Result<Ended, Trouble> {
    let records_max = settings.batch_max.min(BATCH_RECORDS_MAX);
    while !should_stop() {
        let mut records = empty.try_recv().unwrap_or_default();
        vitals.set(At::Source, Doing::Working);
        let read = source.read(&mut records, settings.batch_bytes, records_max)?;
        vitals.beat(At::Source);
        vitals.set(At::Source, if read == Read::More { Doing::Waiting } else { Doing::Nothing });
        match read {
            Read::More => {
                let changes = source.changes();
                if taken.send(Taken { changes, records, at: Instant::now() }).is_err() {
                    break;
                }
            }
            read @ (Read::Idle | Read::End) => {
                let changes = source.changes();
                if !changes.is_empty() && taken.send(Taken { changes, records, at: Instant::now() }).is_err()
                {
                    break;
                }
                if read == Read::End {
                    return Ok(Ended::Source);
                }
            }
        }
    }
    vitals.enter(Phase::Ending);
    vitals.set(At::Source, Doing::Nothing);
    let at = source.position();
    let partition = source.partitions().get(at.partition as usize).cloned().unwrap_or_default();
    Ok(Ended::Stopped(Place { partition, line: at.line }))
}

/// The sink's thread.
fn write_all(
    sink: &mut dyn Sink,
    finished: &Receiver<Made>,
    empty: &Sender<Outputs>,
    delivered: Option<&Delivered>,
    retrying: Option<fn(&Trouble)>,
    stop: &AtomicBool,
    vitals: &Vitals,
) -> Result<(), Trouble> {
    for Made { batch, outputs } in finished {
        vitals.set(At::Sink, Doing::Working);
        if let Err(trouble) = write_batch(sink, batch, &outputs, retrying, stop) {
            // All is ending, so what was taken ends soon: whoever hears of the trouble hears what it cost.
            let is_given_up = retrying.is_some() && trouble.advice() == Advice::Retry;
            return Err(if is_given_up { undelivered(trouble, outputs, finished) } else { trouble });
        }
        vitals.beat(At::Sink);
        vitals.set(At::Sink, Doing::Nothing);
        let _ = empty.try_send(outputs);
        if let Some(delivered) = delivered {
            delivered.advance(batch + 1);
        }
    }
    vitals.set(At::Sink, Doing::Working);
    let finished = sink.finish();
    vitals.set(At::Sink, Doing::Nothing);
    finished
}

/// One batch into the sink; trouble that passes is waited for until all is to end.
fn write_batch(
    sink: &mut dyn Sink,
    batch: u64,
    outputs: &Outputs,
    retrying: Option<fn(&Trouble)>,
    stop: &AtomicBool,
) -> Result<(), Trouble> {
    let decisions: Vec<&[u8]> = outputs.decisions().collect();
    let alerts: Vec<&[u8]> = outputs.alerts().collect();
    let rejects: Vec<&[u8]> = outputs.rejects().collect();
    let batch = Output { batch, decisions: &decisions, alerts: &alerts, rejects: &rejects };
    let mut pause = Duration::from_millis(10);
    let mut told: Option<Instant> = None;
    loop {
        let Err(trouble) = sink.write(&batch) else { return Ok(()) };
        let (Advice::Retry, Some(tell)) = (trouble.advice(), retrying) else { return Err(trouble) };
        if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            told = Some(Instant::now());
            tell(&trouble);
        }
        if !wait(pause, stop) {
            return Err(trouble);
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether the pause passed before all is to end.
fn wait(pause: Duration, stop: &AtomicBool) -> bool {
    let started = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let left = pause.saturating_sub(started.elapsed());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(NOTICE));
    }
    false
}

/// The trouble, and how many lines it kept back: those of this batch and of everything that is still to come.
fn undelivered(trouble: Trouble, first: Outputs, rest: &Receiver<Made>) -> Trouble {
    fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> usize {
        pieces.map(|piece| piece.split(|&byte| byte == b'\n').count() - 1).sum()
    }
    let (mut decisions, mut alerts, mut rejects) = (0, 0, 0);
    for outputs in std::iter::once(first).chain(rest.iter().map(|made| made.outputs)) {
        decisions += lines(outputs.decisions());
        alerts += lines(outputs.alerts());
        rejects += lines(outputs.rejects());
    }
    Trouble::stop(format!("{decisions} decisions, {alerts} alerts and {rejects} rejects were not delivered"))
        .because(trouble)
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> thread::ScopedJoinHandle<'scope, T> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
        .expect("the system has room for a thread")
}

/// A panic of a stage is a bug of ours and stops the process the way it stopped the stage.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
