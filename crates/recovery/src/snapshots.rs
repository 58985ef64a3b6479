//! Snapshots, as the engine's thread sees them: when one is due, the cut, its copies between batches.
//!
//! engine -> **snapshots** -> `writer` -> store
//!
//! due -> memory is made ready by the writer -> the cut -> copies, a few between batches -> parts compressed and stored by the writer -> all
//! outputs of the batches before the cut delivered -> manifest -> what is no longer needed goes.
//!
//! Holds: with a writer on a thread of its own the engine waits for none of it but the copying, 128 KiB at a time.

use crate::history::{SnapshotLook, Standing};
use crate::kill_point;
use crate::retention::in_full;
use crate::writer::{Done, FRAMES_READY, Hands, Work, Writer};
use crate::{By, Settings};
use cartguard_engine::batch::Engine;
use cartguard_engine::batch::snapshot::{FramePool, Needed};
use cartguard_history::{Manifest, Tip};
use cartguard_io::{Advice, Delivered, Segments, Store, Trouble};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// Frames of 4 KiB copied between two batches: some 30 us.
const FRAMES_AT_ONCE: usize = 32;
/// Parts that may wait for the writer, of some hundred: with more the copies of a snapshot would take the state's size a second time.
const PARTS_AHEAD: usize = 2;
/// How long the last snapshot waits before it looks at the writer again. Arbitrary: a part takes the writer some ms.
const WRITER_WAIT: Duration = Duration::from_millis(1);
/// The share of the state whose size is made ready for the copies of the first snapshot besides what the writer keeps ready; a later one has what the
/// one before it took.
const READY_SHARE: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Preparing,
    Copying,
    Storing,
}

/// See the module.
pub(crate) struct Snapshots {
    settings: Settings,
    phase: Phase,
    last: Instant,
    /// Where the last cut was, and where the last snapshot stands that is stored.
    last_tip: Tip,
    stored_tip: Tip,
    stored: Option<Instant>,
    pool: FramePool,
    hands: Hands,
    /// Parts that the writer has not packed.
    parts: Arc<AtomicUsize>,
    delivered: Arc<OnceLock<Delivered>>,
    tell: fn(&str),
}

impl Snapshots {
    /// `template` is what every manifest says, `tip` where the last one stands, `old` the order log where there is one.
    pub(crate) fn start(
        settings: Settings,
        template: Manifest,
        tip: Tip,
        store: Arc<dyn Store>,
        old: Option<Box<dyn Segments>>,
        tell: fn(&str),
    ) -> Result<Self, Trouble> {
        let pool = FramePool::default();
        let delivered = Arc::new(OnceLock::new());
        let parts = Arc::<AtomicUsize>::default();
        let (watched, sent) = (Arc::clone(&delivered), Arc::clone(&parts));
        let writer = Writer::new(template, (store, old), pool.clone(), settings.keep, watched, sent);
        let hands = match settings.by {
            By::Threads => Hands::thread(writer)?,
            By::Caller => Hands::caller(writer),
        };
        Ok(Self {
            settings,
            phase: Phase::Idle,
            last: Instant::now(),
            last_tip: tip,
            stored_tip: tip,
            stored: None,
            pool,
            hands,
            parts,
            delivered,
            tell,
        })
    }

    /// Where deliveries are told of: once.
    pub(crate) fn watch(&self, delivered: &Delivered) {
        let _ = self.delivered.set(delivered.clone());
    }

    /// For people.
    pub(crate) fn look(&self) -> SnapshotLook {
        let taking = match self.phase {
            Phase::Idle => "none",
            Phase::Preparing => "preparing",
            Phase::Copying => "copying",
            Phase::Storing => "storing",
        };
        let Tip { batch, next_sequence, .. } = self.stored_tip;
        SnapshotLook { batch, sequence: next_sequence, stored: self.stored, taking }
    }

    /// Whether the engine still has something to copy, and the writer is not behind.
    pub(crate) fn is_copying(&self) -> bool {
        self.phase == Phase::Copying && self.parts.load(Ordering::Relaxed) < PARTS_AHEAD
    }

    /// Between two batches: does what is due, at most some 30 us of it.
    pub(crate) fn tick(&mut self, engine: &mut Engine, now: &Standing) -> Result<(), Trouble> {
        while let Some(done) = self.hands.done() {
            self.note(done, engine, now)?;
        }
        match self.phase {
            Phase::Idle if self.is_due(&now.tip) => {
                self.phase = Phase::Preparing;
                let needed = engine.snapshot_needs();
                let frames = needed.frames.min(needed.frames / READY_SHARE + FRAMES_READY);
                self.hands.send(Work::Prepare(Needed { frames, ..needed }));
            }
            Phase::Copying if self.is_copying() => self.copy(engine, FRAMES_AT_ONCE),
            Phase::Copying | Phase::Idle | Phase::Preparing | Phase::Storing => {}
        }
        Ok(())
    }

    /// A snapshot of where all stands now, stored when this returns.
    pub(crate) fn finish(&mut self, engine: &mut Engine, now: &Standing) -> Result<(), Trouble> {
        loop {
            match self.phase {
                Phase::Idle if self.stored_tip == now.tip => return Ok(()),
                Phase::Idle => self.cut(engine, now),
                Phase::Copying if self.is_copying() => self.copy(engine, FRAMES_AT_ONCE),
                // The writer is behind: copies of all of the state would double the memory.
                Phase::Copying => match self.hands.done() {
                    Some(Done::Failed(trouble)) => return Err(trouble),
                    Some(done) => self.note(done, engine, now)?,
                    None => thread::sleep(WRITER_WAIT),
                },
                Phase::Preparing | Phase::Storing => {
                    let Some(done) = self.hands.wait() else { return Ok(()) };
                    if let Done::Failed(trouble) = done {
                        return Err(trouble);
                    }
                    self.note(done, engine, now)?;
                }
            }
        }
    }

    fn is_due(&self, tip: &Tip) -> bool {
        let records = tip.next_sequence - self.last_tip.next_sequence;
        *tip != self.last_tip
            && (self.settings.every_records.is_some_and(|most| records >= most)
                || self.last.elapsed() >= self.settings.every)
    }

    fn note(&mut self, done: Done, engine: &mut Engine, now: &Standing) -> Result<(), Trouble> {
        match done {
            Done::Prepared => self.cut(engine, now),
            Done::Stored { faults } => {
                for fault in &faults {
                    (self.tell)(&format!(
                        "old snapshots: {}; it is tried again at the next one",
                        in_full(fault)
                    ));
                }
                self.phase = Phase::Idle;
                self.stored_tip = self.last_tip;
                self.stored = Some(Instant::now());
            }
            // A snapshot that fails is one that comes later; what cannot be synced may be lost without a word.
            Done::Failed(trouble) if trouble.advice() == Advice::Retry => {
                engine.abandon_snapshot();
                self.phase = Phase::Idle;
                (self.tell)(&format!("no snapshot: {trouble}; the next one is tried when it is due"));
            }
            Done::Failed(trouble) => return Err(trouble),
        }
        Ok(())
    }

    fn cut(&mut self, engine: &mut Engine, now: &Standing) {
        let head = engine.begin_snapshot(&self.pool);
        kill_point::pass("cut");
        self.hands.send(Work::Begin(Box::new((now.clone(), head))));
        self.phase = Phase::Copying;
        self.last = Instant::now();
        self.last_tip = now.tip;
    }

    fn copy(&mut self, engine: &mut Engine, frames: usize) {
        engine.continue_snapshot(frames, |part| {
            self.parts.fetch_add(1, Ordering::Relaxed);
            self.hands.send(Work::Part(part));
        });
        if !engine.is_taking_snapshot() {
            self.hands.send(Work::End);
            self.phase = Phase::Storing;
        }
    }
}
