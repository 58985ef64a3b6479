//! Score rows of features with a trained model, with the trainer's own bits.
//!
//! bytes -> `format` -> `tree` (validated) -> **`Model`** -> `evaluate` -> `link`, `calibration` -> [`Score`]
//!
//! Holds: a model that loads scores every row of f32 without panic, error or allocation; the margin is equal
//! bit for bit to the trainer's (`XGBoost` in f32, `LightGBM` in f64), and so is the score where the trainer runs on
//! glibc; one row alone and the same row in a block give the same bits on every instruction set; contributions add
//! up to the margin. A score is the link's, or of a calibrated model its map's (`calibration`).
//! Not here: files, clocks, threads, sockets; which feature stands where (the manifest of the model folder,
//! checked by the engine); thresholds and decisions.

#![expect(
    clippy::inline_always,
    reason = "all of a kernel has to be one function, compiled for one instruction set"
)]

mod calibration;
mod error;
mod evaluate;
mod exp;
mod format;
mod limits;
mod link;
mod model;
mod narrow;
mod scratch;
mod shap;
mod simd;
#[cfg(test)]
mod testing;
mod tree;

pub use calibration::{Calibration, PLACES_MAX as CALIBRATION_PLACES_MAX};
pub use error::ModelError;
pub use format::Format;
pub use limits::MODEL_BYTES_MAX;
pub use link::{Link, Shape, logistic};
pub use model::{Model, Precision, Score, Summary};
pub use scratch::Scratch;
pub use simd::{Detected, InstructionSet, Kernel};
