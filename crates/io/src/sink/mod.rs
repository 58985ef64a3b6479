//! Where finished lines go.
//!
//! engine -> **sink**
//!
//! Holds for every sink (`contract` proves it): bytes arrive in the order given; a write that failed with
//! `Retry` delivered nothing that a repeated write would double; after `finish` everything is where it was
//! asked to be. Not here: what a line says.

pub mod file;
pub mod null;
pub mod rejects;
pub mod stdout;

use crate::{Trouble, WatchStreams};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The finished bytes of a batch: whole lines, each list in order, cut into pieces as it suited the engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output<'a> {
    /// Number of the batch, from 0; the next write has the next number.
    pub batch: u64,
    /// A line for each accepted event.
    pub decisions: &'a [&'a [u8]],
    /// A line for each decision that is not approve.
    pub alerts: &'a [&'a [u8]],
    /// A line for each record that got no decision.
    pub rejects: &'a [&'a [u8]],
}

/// Takes the output of batches, in order.
pub trait Sink: Send {
    /// Hands over a batch. Nothing is held back for a later call.
    fn write(&mut self, batch: &Output<'_>) -> Result<(), Trouble>;

    /// Makes everything written so far durable. Nothing may be written after it.
    fn finish(&mut self) -> Result<(), Trouble>;

    /// Goes on after a process that ended before, and returns the first batch that is still wanted: some before it may come again with the
    /// same bytes, all from it on must. Before the first write.
    fn resume(&mut self, left: &Left) -> Result<u64, Trouble> {
        Ok(left.delivered)
    }

    /// How far batches are delivered, where that is not known when `write` returns; none: what was written is delivered.
    fn delivered(&self) -> Option<Delivered> {
        None
    }

    /// Figures of where its lines go, for any thread; none where there is nothing to tell.
    fn figures(&self) -> Option<WatchStreams> {
        None
    }
}

/// What a process left behind that wrote the same outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The first batch that is not in the snapshot.
    pub batch: u64,
    /// Bytes of decisions, alerts and rejects in all batches before it.
    pub bytes: [u64; 3],
    /// The first batch that was not known to be delivered; at least `batch`.
    pub delivered: u64,
    /// The first batch that was never bound. Those before it come with the bytes that they had.
    pub next: u64,
}

/// The frontier of a sink: every batch before it was acknowledged, whatever came back first. Clones watch the same sink.
#[derive(Clone, Default)]
pub struct Delivered {
    frontier: Arc<AtomicU64>,
    settle: Option<Arc<Settle>>,
}

/// Makes durable what a sink has delivered so far.
type Settle = dyn Fn() -> Result<(), Trouble> + Send + Sync;

impl Delivered {
    /// Of a sink whose deliveries survive the machine only once this was called.
    pub fn settled_by(settle: impl Fn() -> Result<(), Trouble> + Send + Sync + 'static) -> Self {
        Self { settle: Some(Arc::new(settle)), ..Self::default() }
    }

    /// The first batch that is not delivered.
    pub fn get(&self) -> u64 {
        self.frontier.load(Ordering::Acquire)
    }

    /// All batches before `batch` are delivered. Never goes back.
    pub fn advance(&self, batch: u64) {
        self.frontier.fetch_max(batch, Ordering::AcqRel);
    }

    /// When this returns, what was delivered before it survives what bound batches survive.
    pub fn settle(&self) -> Result<(), Trouble> {
        self.settle.as_ref().map_or(Ok(()), |settle| settle())
    }
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivered({})", self.get())
    }
}
