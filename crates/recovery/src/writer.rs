//! Snapshots, as whoever stores them sees them: parts into packs, and a manifest once everything before it was delivered.
//!
//! snapshots -> **writer** -> store
//!
//! A state machine of small steps, and the hands that do them: a thread, or the caller's own.
//!
//! Holds: a manifest is stored only where all its packs are durable and everything before it was delivered; what goes is needed by no
//! kept snapshot.

use crate::history::Standing;
use crate::kill_point;
use crate::retention::{self, Gone, Packs};
use cartguard_engine::batch::snapshot::{FramePool, Head, Needed, Part};
use cartguard_history::{Manifest, Pack};
use cartguard_io::{Delivered, Segments, Store, Trouble};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// zstd's fastest common level: a snapshot's time is the recovery's length.
const COMPRESSION: i32 = 1;
/// Parts are stored together up to this: a file of its own costs each a sync, 10 ms of a common disk.
const PACK_BYTES: usize = 4 << 20;
/// Frames of 4 KiB that are kept ready while a snapshot is taken: for parts that are copied or wait, and for what is written to before its turn.
pub(crate) const FRAMES_READY: usize = 4_096;
/// How often it is looked whether outputs were delivered. Arbitrary.
const DELIVERY_PAUSE: Duration = Duration::from_millis(2);

/// What a writer is asked for.
pub(crate) enum Work {
    /// Make memory ready.
    Prepare(Needed),
    /// A snapshot begins; parts follow, then its end.
    Begin(Box<(Standing, Head)>),
    Part(Part),
    End,
}

/// What a writer has done.
pub(crate) enum Done {
    Prepared,
    /// A manifest is stored, and what is no longer needed is gone.
    Stored {
        /// What could not be removed.
        faults: Vec<Trouble>,
    },
    /// It was given up; the next one is tried when it is due.
    Failed(Trouble),
}

/// Who does the steps.
pub(crate) enum Hands {
    Thread {
        /// None once all is ending.
        work: Option<Sender<Work>>,
        done: Receiver<Done>,
        thread: Option<JoinHandle<()>>,
    },
    Caller {
        writer: Box<Writer>,
        work: VecDeque<Work>,
    },
}

impl Hands {
    pub(crate) fn thread(writer: Writer) -> Result<Self, Trouble> {
        let (to_thread, work) = unbounded();
        let (done, from_thread) = unbounded();
        let thread = thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || writer.run(&work, &done))
            .map_err(|why| Trouble::stop("the thread of snapshots cannot be started").because(why))?;
        Ok(Self::Thread { work: Some(to_thread), done: from_thread, thread: Some(thread) })
    }

    pub(crate) fn caller(writer: Writer) -> Self {
        Self::Caller { writer: Box::new(writer), work: VecDeque::new() }
    }

    pub(crate) fn send(&mut self, one: Work) {
        match self {
            // A thread that is gone has panicked, which ends the process.
            Self::Thread { work, .. } => drop(work.as_ref().map(|work| work.send(one))),
            Self::Caller { work, .. } => work.push_back(one),
        }
    }

    /// What was done, without waiting.
    pub(crate) fn done(&mut self) -> Option<Done> {
        match self {
            Self::Thread { done, .. } => done.try_recv().ok(),
            Self::Caller { writer, work } => writer.work_off(work),
        }
    }

    /// Waits until something was done; nothing where that will not be.
    pub(crate) fn wait(&mut self) -> Option<Done> {
        match self {
            Self::Thread { done, .. } => done.recv().ok(),
            Self::Caller { writer, work } => writer.work_off(work),
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        if let Self::Thread { work, thread, .. } = self {
            *work = None;
            if let Some(thread) = thread.take() {
                // A panic ended the process.
                let _ = thread.join();
            }
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

/// See the module.
pub(crate) struct Writer {
    /// What every manifest says.
    template: Manifest,
    store: Arc<dyn Store>,
    /// The order log, of which goes what no kept snapshot needs.
    old: Option<Box<dyn Segments>>,
    pool: FramePool,
    /// Frames that are kept ready in it while a snapshot is taken: never more than the state has.
    ready: usize,
    keep: usize,
    delivered: Arc<OnceLock<Delivered>>,
    /// Parts that were sent and not packed: their copies take memory.
    parts: Arc<AtomicUsize>,
    /// Packs that are known to be stored.
    stored: BTreeSet<String>,
    /// The one that is being taken; none where it was given up.
    begun: Option<Begun>,
    /// One whose packs are all stored, until everything before it was delivered.
    waiting: Option<Manifest>,
}

impl Writer {
    pub(crate) fn new(
        template: Manifest,
        (store, old): (Arc<dyn Store>, Option<Box<dyn Segments>>),
        pool: FramePool,
        keep: usize,
        delivered: Arc<OnceLock<Delivered>>,
        parts: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            template,
            store,
            old,
            pool,
            ready: 0,
            keep,
            delivered,
            parts,
            stored: BTreeSet::new(),
            begun: None,
            waiting: None,
        }
    }

    /// The thread's life. A manifest that still waits for deliveries at its end is given up: nobody would tell of them.
    fn run(mut self, work: &Receiver<Work>, done: &Sender<Done>) {
        loop {
            let told = match &self.waiting {
                None => match work.recv() {
                    Ok(work) => self.take(work),
                    Err(_) => return,
                },
                Some(_) => match work.recv_timeout(DELIVERY_PAUSE) {
                    Ok(work) => self.take(work),
                    Err(RecvTimeoutError::Timeout) => self.deliver(),
                    Err(RecvTimeoutError::Disconnected) => {
                        // Nobody hears of it, and the next start finds it.
                        self.deliver();
                        return;
                    }
                },
            };
            if told.is_some_and(|told| done.send(told).is_err()) {
                return;
            }
        }
    }

    /// The caller's turn: what there is to do, up to the first that somebody hears of.
    fn work_off(&mut self, work: &mut VecDeque<Work>) -> Option<Done> {
        while let Some(work) = work.pop_front() {
            let done = self.take(work);
            if done.is_some() {
                return done;
            }
        }
        self.deliver()
    }

    /// Does one piece of work.
    fn take(&mut self, work: Work) -> Option<Done> {
        let failed = match work {
            Work::Prepare(needed) => {
                self.ready = needed.frames.min(FRAMES_READY);
                self.pool.prepare(needed);
                return Some(Done::Prepared);
            }
            Work::Begin(cut) => {
                self.begun = Some(self.begin(*cut));
                None
            }
            Work::Part(part) => {
                let packed = self.part(part);
                self.parts.fetch_sub(1, Ordering::Relaxed);
                packed.err()
            }
            Work::End => self.end().err(),
        };
        failed.map(|trouble| {
            // What is still to come of it is passed by.
            self.begun = None;
            Done::Failed(trouble)
        })
    }

    fn begin(&self, (standing, head): (Standing, Head)) -> Begun {
        let Standing { tip, partitions, output_bytes, versions } = standing;
        let engine = serde_json::to_value(&head).expect("a head is plain data");
        let manifest = Manifest { tip, partitions, output_bytes, versions, engine, ..self.template.clone() };
        Begun { manifest, bytes: Vec::new(), parts: Vec::new() }
    }

    fn part(&mut self, part: Part) -> Result<(), Trouble> {
        let Some(begun) = &mut self.begun else { return Ok(()) };
        begun.push(part);
        // What an event finds by itself takes it milliseconds.
        self.pool.refill(self.ready);
        if begun.bytes.len() >= PACK_BYTES { self.put() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), Trouble> {
        if self.begun.as_ref().is_some_and(|begun| !begun.parts.is_empty()) {
            self.put()?;
        }
        self.waiting = self.begun.take().map(|begun| begun.manifest);
        Ok(())
    }

    /// Stores the parts so far as a pack.
    fn put(&mut self) -> Result<(), Trouble> {
        let Some(begun) = &mut self.begun else { return Ok(()) };
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

    /// Stores the manifest that waits, if everything before it was delivered.
    fn deliver(&mut self) -> Option<Done> {
        let batch = self.waiting.as_ref()?.tip.batch;
        let delivered = self.delivered.get().filter(|delivered| delivered.get() >= batch)?.clone();
        let manifest = self.waiting.take()?;
        Some(match delivered.settle().and_then(|()| self.store(&manifest)) {
            Ok(faults) => Done::Stored { faults },
            Err(trouble) => Done::Failed(trouble),
        })
    }

    fn store(&mut self, manifest: &Manifest) -> Result<Vec<Trouble>, Trouble> {
        kill_point::pass("delivered");
        self.store.put(&Manifest::file_name(manifest.tip.batch), manifest.to_text().as_bytes())?;
        kill_point::pass("manifest_stored");
        let faults = self.remove_old()?;
        kill_point::pass("old_removed");
        Ok(faults)
    }

    /// Removes what the kept snapshots do not need. What cannot be removed is told, and tried again at the next one.
    fn remove_old(&mut self) -> Result<Vec<Trouble>, Trouble> {
        let kept = retention::snapshots(self.store.as_ref(), Packs::Trusted)?;
        let Some(goes) = retention::going(self.store.as_ref(), &kept, self.keep)? else {
            return Ok(Vec::new());
        };
        let Gone { packs, mut faults, .. } = retention::remove(self.store.as_ref(), &goes);
        for pack in &packs {
            self.stored.remove(pack);
        }
        if faults.is_empty() {
            faults.extend(self.old.as_ref().and_then(|old| old.remove_before(goes.log_before).err()));
        }
        Ok(faults)
    }
}
