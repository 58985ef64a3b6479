//! Challengers: models that score what comes beside the one that decides, and change nothing.
//!
//! ```text
//! engine's thread                     a thread of its own, of the lowest priority
//! rows of a batch ► hand ─bounded─►   challengers ► shadow.jsonl
//!                    ▲  └──empty──◄   drift       ► figures ► status, shadow.json
//!                 roster (model::watch)
//! ```
//!
//! The engine hands out rows of features beside a batch's lines; they go on once the lines have gone to the sink.
//!
//! Holds: nothing of a challenger reaches a decision, an alert or a line of the sink; the engine's thread copies rows and never waits,
//! and what finds no room is skipped and counted (a replay, in which nobody waits for an answer, waits instead); a challenger that panics
//! is out until the process starts again and ends nothing; a file that cannot be written is told and counted and ends no run.
//! Not here: which models are challengers (`deployment`, `model::watch`).

mod figures;
mod hand;
mod lines;
mod report;
mod roster;
mod scoring;

pub(crate) use figures::{Figures, drift};
pub(crate) use hand::{Hand, WhenFull};
pub(crate) use report::{Incomparable, compare};
pub(crate) use roster::Roster;
pub(crate) use scoring::is_guarded;

use self::lines::{Lines, rotated};
use self::scoring::Scoring;
use anyhow::Context;
use crossbeam_channel::bounded;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Scores, in the folder of the lines.
pub(crate) const SCORES: &str = "shadow.jsonl";
/// Those before them, where there were too many for one file.
pub(crate) const SCORES_BEFORE: &str = "shadow.1.jsonl";
/// Figures beside them.
pub(crate) const FIGURES: &str = "shadow.json";

/// Challengers in shadow at most. Arbitrary: each costs about as much as the model that decides, on a thread for all.
pub(crate) const CHALLENGERS_MAX: usize = 8;

/// Where scores go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// A file of scores; none: they are counted only. Figures lie beside it.
    pub(crate) path: Option<PathBuf>,
    /// Bytes at which the file is put aside, in the place of the one before, and another is begun; none: never.
    pub(crate) max_bytes: Option<u64>,
    /// Behind what a process before this one wrote.
    pub(crate) append: bool,
}

/// The thread.
pub(crate) struct Shadow {
    thread: JoinHandle<Result<(), String>>,
}

impl Shadow {
    /// Starts it; the hand is for whoever has the rows.
    pub(crate) fn start(
        settings: Settings,
        when_full: WhenFull,
        tell: fn(&str),
    ) -> anyhow::Result<(Self, Hand, Arc<Figures>)> {
        let figures = Arc::<Figures>::default();
        let (full, to_score) = bounded(hand::BUFFERS);
        let (emptied, empty) = bounded(hand::BUFFERS);
        for _ in 0..hand::BUFFERS - 1 {
            // There is room for all of them.
            let _ = emptied.try_send(hand::Buffer::default());
        }
        let hand = Hand::new(full, empty, when_full, Arc::clone(&figures));
        let lines = Lines::new(settings);
        let scoring = Scoring::new(lines, Arc::clone(&figures), tell);
        let thread = thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || scoring.run(&to_score, &emptied))
            .context("the thread of the challengers cannot be started")?;
        Ok((Self { thread }, hand, figures))
    }

    /// Waits until everything that was handed over is scored; its hand must be gone. What could not be written, if anything.
    pub(crate) fn finish(self) -> Result<(), String> {
        match self.thread.join() {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
