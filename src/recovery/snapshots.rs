//! Snapshots: when one is due, its copies from the engine's thread, and the thread that writes them out.
//!
//! engine -> **snapshots** -> store
//!
//! due -> memory is made ready by the thread -> the cut -> copies, a few between batches -> parts compressed and stored by the thread -> all
//! outputs of the batches before the cut delivered -> manifest -> what is no longer needed goes.
//!
//! Holds: the engine waits for none of it but the copying, 128 KiB at a time; a manifest is stored only where all its packs are durable and everything
//! before it was delivered.

use super::{Standing, kill_point};
use crate::config::Snapshot as Settings;
use anyhow::Context;
use cartguard_engine::batch::Engine;
use cartguard_engine::batch::snapshot::{FramePool, Head, Part};
use cartguard_history::{Manifest, Pack, Retention, Tip};
use cartguard_io::{Advice, Delivered, Store, Trouble};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Frames of 4 KiB copied between two batches: some 30 us.
const FRAMES_AT_ONCE: usize = 32;
/// zstd's fastest common level: a snapshot's time is the recovery's length.
const COMPRESSION: i32 = 1;
/// Parts are stored together up to this: a file of its own costs each a sync, 10 ms of a common disk.
const PACK_BYTES: usize = 4 << 20;
/// How often it is looked whether outputs were delivered. Arbitrary.
const DELIVERY_PAUSE: Duration = Duration::from_millis(2);

/// What the thread is asked for.
enum Work {
    /// Make memory ready for so many frames.
    Prepare(usize),
    /// A snapshot begins; parts follow, then its end.
    Begin(Box<(Standing, Head)>),
    Part(Part),
    End,
}

/// What the thread has done.
enum Done {
    Prepared,
    /// A manifest is stored; order-log records before this batch are no longer needed.
    Stored {
        log_before: u64,
    },
    /// It was given up; the next one is tried when it is due.
    Failed(Trouble),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Preparing,
    Copying,
    Storing,
}

/// See the module.
pub(super) struct Snapshots {
    settings: Settings,
    phase: Phase,
    last: Instant,
    /// Where the last cut was, and where the last snapshot stands that is stored.
    last_tip: Tip,
    stored_tip: Tip,
    pool: FramePool,
    to_thread: Option<Sender<Work>>,
    from_thread: Receiver<Done>,
    watched: Sender<Delivered>,
    thread: Option<JoinHandle<()>>,
    /// Nothing more will be delivered.
    ending: Arc<AtomicBool>,
    tell: fn(&str),
}

impl Snapshots {
    /// `template` is what every manifest says, `tip` where the last one stands.
    pub(super) fn start(
        settings: Settings,
        template: Manifest,
        tip: Tip,
        store: Arc<dyn Store>,
        tell: fn(&str),
    ) -> anyhow::Result<Self> {
        let (to_thread, work) = unbounded();
        let (done, from_thread) = unbounded();
        let (watched, deliveries) = unbounded();
        let pool = FramePool::default();
        let ending = Arc::new(AtomicBool::new(false));
        let mut writer = Writer {
            template,
            store,
            pool: pool.clone(),
            keep: settings.keep,
            deliveries,
            delivered: None,
            ending: ending.clone(),
            stored: BTreeSet::new(),
        };
        let thread = thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || writer.run(&work, &done))
            .context("the thread of snapshots cannot be started")?;
        Ok(Self {
            settings,
            phase: Phase::Idle,
            last: Instant::now(),
            last_tip: tip,
            stored_tip: tip,
            pool,
            to_thread: Some(to_thread),
            from_thread,
            watched,
            thread: Some(thread),
            ending,
            tell,
        })
    }

    /// Where deliveries are told of.
    pub(super) fn watch(&self, delivered: Delivered) {
        let _ = self.watched.send(delivered);
    }

    /// Whether the engine still has something to copy.
    pub(super) fn is_copying(&self) -> bool {
        self.phase == Phase::Copying
    }

    /// Between two batches: does what is due, at most some 30 us of it. The batch before which the order log is no longer needed, if that has
    /// changed.
    pub(super) fn tick(&mut self, engine: &mut Engine, now: &Standing) -> Result<Option<u64>, Trouble> {
        let mut log_before = None;
        while let Ok(done) = self.from_thread.try_recv() {
            log_before = self.note(done, engine, now)?.or(log_before);
        }
        match self.phase {
            Phase::Idle if self.is_due(&now.tip) => {
                self.phase = Phase::Preparing;
                self.send(Work::Prepare(engine.snapshot_frames()));
            }
            Phase::Copying => self.copy(engine, FRAMES_AT_ONCE),
            Phase::Idle | Phase::Preparing | Phase::Storing => {}
        }
        Ok(log_before)
    }

    /// A snapshot of where all stands now, stored when this returns.
    pub(super) fn finish(&mut self, engine: &mut Engine, now: &Standing) -> Result<Option<u64>, Trouble> {
        let mut log_before = None;
        loop {
            match self.phase {
                Phase::Idle if self.stored_tip == now.tip => return Ok(log_before),
                Phase::Idle => self.cut(engine, now),
                Phase::Copying => self.copy(engine, usize::MAX),
                Phase::Preparing | Phase::Storing => {
                    let Ok(done) = self.from_thread.recv() else { return Ok(log_before) };
                    if let Done::Failed(trouble) = done {
                        return Err(trouble);
                    }
                    log_before = self.note(done, engine, now)?.or(log_before);
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

    fn note(&mut self, done: Done, engine: &mut Engine, now: &Standing) -> Result<Option<u64>, Trouble> {
        match done {
            Done::Prepared => self.cut(engine, now),
            Done::Stored { log_before } => {
                self.phase = Phase::Idle;
                self.stored_tip = self.last_tip;
                return Ok(Some(log_before));
            }
            // A snapshot that fails is one that comes later; what cannot be synced may be lost without a word.
            Done::Failed(trouble) if trouble.advice() == Advice::Retry => {
                engine.abandon_snapshot();
                self.phase = Phase::Idle;
                (self.tell)(&format!("no snapshot: {trouble}; the next one is tried when it is due"));
            }
            Done::Failed(trouble) => return Err(trouble),
        }
        Ok(None)
    }

    fn cut(&mut self, engine: &mut Engine, now: &Standing) {
        let head = engine.begin_snapshot(&self.pool);
        kill_point::pass("cut");
        self.send(Work::Begin(Box::new((now.clone(), head))));
        self.phase = Phase::Copying;
        self.last = Instant::now();
        self.last_tip = now.tip;
    }

    fn copy(&mut self, engine: &mut Engine, frames: usize) {
        engine.continue_snapshot(frames, |part| self.send(Work::Part(part)));
        if !engine.is_taking_snapshot() {
            self.send(Work::End);
            self.phase = Phase::Storing;
        }
    }

    /// A thread that is gone has panicked, which ends the process.
    fn send(&self, work: Work) {
        if let Some(thread) = &self.to_thread {
            let _ = thread.send(work);
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.to_thread = None;
        self.ending.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A snapshot on its way to the store.
struct Begun {
    manifest: Manifest,
    /// Parts that are not stored yet, one behind the other.
    bytes: Vec<u8>,
    parts: Vec<(String, u64)>,
}

impl Begun {
    fn push(&mut self, part: Part) {
        let before = self.bytes.len();
        part.push_bytes(&mut self.bytes);
        self.parts.push((part.name(), (self.bytes.len() - before) as u64));
    }
}

/// The thread's side.
struct Writer {
    /// What every manifest says.
    template: Manifest,
    store: Arc<dyn Store>,
    pool: FramePool,
    keep: usize,
    deliveries: Receiver<Delivered>,
    delivered: Option<Delivered>,
    ending: Arc<AtomicBool>,
    /// Packs that are known to be stored.
    stored: BTreeSet<String>,
}

impl Writer {
    fn run(&mut self, work: &Receiver<Work>, done: &Sender<Done>) {
        // The one that is being taken; none where it was given up.
        let mut begun: Option<Begun> = None;
        for work in work {
            let told = match work {
                Work::Prepare(frames) => {
                    self.pool.prepare(frames);
                    Some(Done::Prepared)
                }
                Work::Begin(cut) => {
                    begun = Some(self.begin(*cut));
                    None
                }
                Work::Part(part) => begun.as_mut().and_then(|begun| {
                    begun.push(part);
                    let put = if begun.bytes.len() >= PACK_BYTES { self.put(begun) } else { Ok(()) };
                    put.err().map(Done::Failed)
                }),
                Work::End => begun.take().and_then(|begun| match self.store(begun) {
                    Ok(Some(log_before)) => Some(Done::Stored { log_before }),
                    Ok(None) => None,
                    Err(trouble) => Some(Done::Failed(trouble)),
                }),
            };
            if matches!(told, Some(Done::Failed(_))) {
                // What is still to come of it is passed by.
                begun = None;
            }
            if told.is_some_and(|told| done.send(told).is_err()) {
                return;
            }
        }
    }

    fn begin(&self, (standing, head): (Standing, Head)) -> Begun {
        let Standing { tip, partitions, output_bytes } = standing;
        let engine = serde_json::to_value(&head).expect("a head is plain data");
        let manifest = Manifest { tip, partitions, output_bytes, engine, ..self.template.clone() };
        Begun { manifest, bytes: Vec::new(), parts: Vec::new() }
    }

    /// Stores the parts so far as a pack.
    fn put(&mut self, begun: &mut Begun) -> Result<(), Trouble> {
        let hash = blake3::hash(&begun.bytes).to_string();
        let name = Manifest::pack_name(&hash);
        let packed = zstd::bulk::compress(&begun.bytes, COMPRESSION)
            .map_err(|e| Trouble::stop(format!("{name}: cannot be compressed")).because(e))?;
        if !self.stored.contains(&name) {
            self.store.put(&name, &packed)?;
            self.stored.insert(name);
            kill_point::pass("pack_stored");
        }
        begun.manifest.packs.push(Pack {
            parts: std::mem::take(&mut begun.parts),
            hash,
            bytes: begun.bytes.len() as u64,
            stored_bytes: packed.len() as u64,
        });
        begun.bytes.clear();
        Ok(())
    }

    /// Stores the manifest once everything before it was delivered; nothing where all ends before that.
    fn store(&mut self, mut begun: Begun) -> Result<Option<u64>, Trouble> {
        if !begun.parts.is_empty() {
            self.put(&mut begun)?;
        }
        let manifest = &begun.manifest;
        if !self.wait_for_delivery(manifest.tip.batch) {
            return Ok(None);
        }
        kill_point::pass("delivered");
        self.store.put(&Manifest::file_name(manifest.tip.batch), manifest.to_text().as_bytes())?;
        kill_point::pass("manifest_stored");
        let log_before = self.remove_old()?;
        kill_point::pass("old_removed");
        // Between two snapshots the state's size is not needed a second time.
        self.pool.clear();
        Ok(Some(log_before))
    }

    /// Whether it came; not where whoever would tell of it is gone.
    fn wait_for_delivery(&mut self, batch: u64) -> bool {
        loop {
            while let Ok(delivered) = self.deliveries.try_recv() {
                self.delivered = Some(delivered);
            }
            match &self.delivered {
                Some(delivered) if delivered.get() >= batch => return true,
                _ if self.ending.load(Ordering::Acquire) => return false,
                _ => thread::sleep(DELIVERY_PAUSE),
            }
        }
    }

    /// Removes what the kept snapshots do not need: manifests first.
    fn remove_old(&mut self) -> Result<u64, Trouble> {
        let names = self.store.list()?;
        let mut manifests = Vec::new();
        for name in names.iter().filter(|name| Manifest::batch_of(name).is_some()) {
            let text = self.store.get(name)?.and_then(|bytes| String::from_utf8(bytes).ok());
            // One that cannot be read keeps nothing, and stays for whoever wants to know why.
            manifests.extend(text.and_then(|text| Manifest::of_text(&text).ok()));
        }
        let packs: Vec<String> =
            names.into_iter().filter(|name| name.strip_suffix(".pack").is_some()).collect();
        let goes = Retention::of(&manifests, &packs, self.keep);
        for batch in &goes.manifests {
            self.store.remove(&Manifest::file_name(*batch))?;
        }
        for pack in &goes.packs {
            self.store.remove(pack)?;
            self.stored.remove(pack);
        }
        Ok(goes.log_before)
    }
}
