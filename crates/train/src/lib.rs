//! Fit models on rows of numbers, calibrate them, and judge them.
//!
//! rows and labels -> `Trainer` (`logistic`, `boosted`, `forest`) -> **`Trained`** -> `calibrate`, `threshold`, `metrics`
//!
//! Holds: what comes out is a model in a format of the forest crate, whose scorer is the judge: a sample is scored by it
//! and by the trainer, and one differing bit refuses the model; the same rows give the same bytes for any number of
//! threads; a fit can be watched and cancelled.
//! Not here: what a feature means, how rows come out of the engine, files, clocks, terminals.

pub mod boosted;
pub mod calibrate;
mod draw;
pub mod forest;
pub mod logistic;
pub mod metrics;
#[cfg(test)]
mod references;
pub mod rows;
#[cfg(test)]
mod testing;
pub mod threshold;
pub mod trainer;
mod trees;

pub use rows::{Rows, TrainingSet};
pub use trainer::{TrainError, Trained, Trainer, Unwatched, Watch, train};
pub use trees::{DEPTH_MAX, TREES_MAX};
