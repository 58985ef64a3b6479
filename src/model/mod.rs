//! Model folders: `models/NAME/VERSION/{model file, manifest.toml, golden.jsonl}`.
//!
//! `cli` -> **model** (`import`, `score`, `deploy`) and engine -> **model** (`folder` -> `plan_names`) -> the engine's `Scorer`;
//! train -> **model** (`trained`); `arrivals`, `watch` -> pipeline
//!
//! Holds: a folder is used only where sizes and SHA-256 are the manifest's, the golden rows give the same bits on
//! both paths of the scorer, and every feature has its name; whatever the bytes are, a fault is a message that
//! names the file. A folder that exists is never changed.
//! Not here: formats and evaluation (the forest crate), what a feature means (the engine).

mod arrivals;
mod cli;
mod deploy;
mod drift;
mod fault;
mod files;
mod folder;
mod golden;
mod import;
mod known;
mod manifest;
pub(crate) mod meanings;
mod names;
mod plan_names;
mod probe;
mod score;
mod standing;
mod trained;
mod trainer_rows;
mod watch;

pub(crate) use cli::{Arguments, run};
pub(crate) use fault::Fault;
pub(crate) use folder::{Loaded, load, look, version_of};
pub(crate) use manifest::Training;
pub(crate) use standing::Standing;
pub(crate) use trained::{TrainedModel, new_name, write};
pub(crate) use watch::Watched;
