//! `cartguard model`: import a trained model, score rows with one, choose which decides.
//!
//! main -> cli -> **model::cli** -> `import`, `score`, `deploy`
//!
//! Not here: what they do.

use super::fault::Fault;
use super::{deploy, import, score};
use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::exit::Exit;
use cartguard_engine::features::plan::Plan;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

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
    /// Every model of a folder: which decides, and whether it is whole
    List(DeployArguments),
    /// Check one model: its files, its golden rows, its features
    Check(CheckArguments),
    /// Have a model decide; a service with model.folder takes it without a restart
    Activate(ActivateArguments),
    /// Have the model before decide again
    Rollback(DeployArguments),
    /// What two models differ in
    Diff(DiffArguments),
}

/// Arguments of `model list` and `rollback`.
#[derive(Args, Debug)]
pub(crate) struct DeployArguments {
    /// Folder of models [default: model.folder of the configuration, else models]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Configuration whose features the models must find
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Arguments of `model check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    /// Model folder
    #[arg(value_name = "DIR")]
    model: PathBuf,
    /// Configuration whose features the model must find
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Arguments of `model activate`.
#[derive(Args, Debug)]
pub(crate) struct ActivateArguments {
    /// The model
    #[arg(value_name = "NAME/VERSION")]
    version: String,
    #[command(flatten)]
    at: DeployArguments,
}

/// Arguments of `model diff`.
#[derive(Args, Debug)]
pub(crate) struct DiffArguments {
    /// Model folder
    #[arg(value_name = "DIR")]
    one: PathBuf,
    /// Another
    #[arg(value_name = "DIR")]
    other: PathBuf,
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
        Command::Import(arguments) => Ok(import::import(arguments)),
        Command::Score(arguments) => Ok(score::score(arguments)),
        Command::List(at) => at.planned(deploy::list),
        Command::Check(CheckArguments { model, config }) => load(config.as_deref())
            .map(|config| deploy::check(model, config.map(|config| config.plan()).as_ref())),
        Command::Activate(ActivateArguments { version, at }) => {
            at.planned(|models, plan| deploy::activate(models, version, plan))
        }
        Command::Rollback(at) => at.planned(deploy::rollback),
        Command::Diff(DiffArguments { one, other }) => Ok(deploy::diff(one, other)),
    };
    let result = match result {
        Ok(result) => result,
        Err(exit) => return exit,
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

impl DeployArguments {
    /// Does something with a folder of models, and the features of a configuration where one is given; its faults are printed here.
    fn planned<T>(&self, act: impl FnOnce(&Path, Option<&Plan>) -> T) -> Result<T, Exit> {
        let config = load(self.config.as_deref())?;
        let configured = config.as_ref().and_then(|config| config.models.clone());
        let models = self.models.clone().or(configured).unwrap_or_else(|| PathBuf::from("models"));
        Ok(act(&models, config.map(|config| config.plan()).as_ref()))
    }
}

/// The configuration that is named; its faults are printed here.
fn load(config: Option<&Path>) -> Result<Option<Config>, Exit> {
    let Some(config) = config else { return Ok(None) };
    let arguments = ConfigArguments { config: Some(config.to_path_buf()), set: Vec::new() };
    Ok(Some(arguments.load(Vec::new())?.config))
}
