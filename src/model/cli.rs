//! `cartguard model`: import a trained model, score rows with one.
//!
//! main -> cli -> **model::cli** -> `import`, `score`
//!
//! Not here: what they do.

use super::fault::Fault;
use super::{import, score};
use crate::cli::{complain, say};
use crate::exit::Exit;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `model`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What to do with a model.
#[derive(Debug, Subcommand)]
enum Command {
    /// Make a model folder of a trainer's file
    Import(ImportArguments),
    /// Score rows of features as they stand
    Score(ScoreArguments),
}

/// Arguments of `model import`.
#[derive(Args, Debug)]
pub(crate) struct ImportArguments {
    /// The trainer's file: XGBoost JSON or UBJ, `LightGBM` text, logistic JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
    /// Folder to make, models/NAME/VERSION; refused where it exists
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Feature names, one a line, by position; they win over the file's own
    #[arg(long, value_name = "FILE")]
    pub(crate) feature_names: Option<PathBuf>,
    /// Score from which a decision is review [default: 0.5]
    #[arg(long, value_name = "X")]
    pub(crate) review_at: Option<f32>,
    /// Score from which a decision is decline [default: 0.9]
    #[arg(long, value_name = "Y")]
    pub(crate) decline_at: Option<f32>,
    /// Rows (CSV or Parquet) with the trainer's `score`, and its `margin` if there is one; a difference refuses
    /// the import
    #[arg(long, value_name = "ROWS")]
    pub(crate) golden: Option<PathBuf>,
    /// TOML kept in the manifest: `trainer`, `version`, and tables `data` and `metrics`
    #[arg(long, value_name = "FILE")]
    pub(crate) provenance: Option<PathBuf>,
}

/// Arguments of `model score`.
#[derive(Args, Debug)]
pub(crate) struct ScoreArguments {
    /// Model folder
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Rows of features, CSV or Parquet, columns by name, empty is missing, others are ignored
    #[arg(long, value_name = "ROWS")]
    pub(crate) input: PathBuf,
    /// CSV to write: score and margin
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) output: PathBuf,
    /// Replace the output where it exists
    #[arg(long)]
    pub(crate) force: bool,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Exit {
    let result = match &arguments.command {
        Command::Import(arguments) => import::import(arguments),
        Command::Score(arguments) => score::score(arguments),
    };
    match result {
        Ok(said) => say(&said),
        Err(fault) => {
            complain(&format!("cartguard model: {fault}\n"));
            match fault {
                Fault::World { .. } => Exit::Failed,
                Fault::Refused { .. } => Exit::Refused,
            }
        }
    }
}
