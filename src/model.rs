//! `cartguard model`: import a trained model, score rows with one.

use crate::cli::complain;
use crate::exit::Exit;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `model`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do with a model.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
    /// Folder to make, models/NAME/VERSION
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Feature names, one a line, by position; they win over the file's own
    #[arg(long, value_name = "FILE")]
    pub(crate) feature_names: Option<PathBuf>,
    /// Score from which a decision is review
    #[arg(long, value_name = "X")]
    pub(crate) review_at: Option<f32>,
    /// Score from which a decision is decline
    #[arg(long, value_name = "Y")]
    pub(crate) decline_at: Option<f32>,
    /// Rows with the trainer's score; a difference refuses the import
    #[arg(long, value_name = "ROWS")]
    pub(crate) golden: Option<PathBuf>,
}

/// Arguments of `model score`.
#[derive(Args, Debug)]
pub(crate) struct ScoreArguments {
    /// Model folder
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Rows of features, CSV or Parquet, columns by name, empty is missing
    #[arg(long, value_name = "ROWS")]
    pub(crate) input: PathBuf,
    /// CSV to write: score and margin
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) output: PathBuf,
}

/// Runs it.
pub(crate) fn run(_arguments: &Arguments) -> Exit {
    complain("cartguard model: not built yet\n");
    Exit::Failed
}

/// Loads a model folder for a plan.
pub(crate) fn load(folder: &std::path::Path, _plan: &cartguard_engine::features::plan::Plan) -> anyhow::Result<cartguard_engine::batch::Scorer> {
    anyhow::bail!("{}: model folders are not built yet", folder.display())
}
