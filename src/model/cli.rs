//! `cartguard model`: import a trained model, score rows with one, choose which decides.
//!
//! main -> cli -> **model::cli** -> `import`, `score`, `deploy`
//!
//! Not here: what they do.

use super::fault::Fault;
use super::{deploy, drift, import, score};
use crate::cli::{ConfigArguments, complain, say};
use crate::config::Config;
use crate::exit::Exit;
use crate::shadow::{Incomparable, SCORES, compare};
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
    /// Have a model score beside the one that decides, or see how such models did
    Shadow(ShadowArguments),
    /// How far what comes has moved from what the model was trained on
    Drift(DriftArguments),
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

/// Arguments of `model shadow`.
#[derive(Args, Debug)]
pub(crate) struct ShadowArguments {
    /// The model
    #[arg(value_name = "NAME/VERSION", required_unless_present = "report", conflicts_with = "report")]
    version: Option<String>,
    /// Share of the events that it scores, above 0 up to 1; the same events every time, by a hash of their id
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    share: f64,
    /// Take it out
    #[arg(long, conflicts_with = "share")]
    off: bool,
    /// Compare what models in shadow said with what was decided: a folder with decisions.jsonl and shadow.jsonl
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// With --report: file of the scores, where shadow.path names one
    #[arg(long, value_name = "FILE", requires = "report")]
    scores: Option<PathBuf>,
    /// With --report: as JSON
    #[arg(long, requires = "report")]
    json: bool,
    #[command(flatten)]
    at: DeployArguments,
}

/// Arguments of `model drift`.
#[derive(Args, Debug)]
pub(crate) struct DriftArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Decisions to look at instead of a running process: decisions.jsonl, or a folder with one
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) decisions: Option<PathBuf>,
    /// With --decisions: folder of the model whose training they are compared with
    #[arg(long, value_name = "DIR", requires = "decisions")]
    pub(crate) model: Option<PathBuf>,
    /// The admin socket of the process, instead of that of the configuration
    #[arg(long, value_name = "PATH", conflicts_with = "decisions")]
    pub(crate) socket: Option<PathBuf>,
    /// Features to show, those that moved most first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
    /// As JSON, with all features
    #[arg(long)]
    pub(crate) json: bool,
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
        Command::Shadow(arguments) => shadow(arguments),
        Command::Drift(arguments) => return drift::run(arguments),
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

fn shadow(arguments: &ShadowArguments) -> Result<Result<String, Fault>, Exit> {
    let ShadowArguments { version, share, off, report, scores, json, at } = arguments;
    if let Some(folder) = report {
        let scores = scores.clone().unwrap_or_else(|| folder.join(SCORES));
        let compared = compare(&folder.join("decisions.jsonl"), &scores);
        let compared = compared.map_err(|Incomparable { file, what }| Fault::Refused { file, what });
        return Ok(compared.map(|compared| if *json { compared.to_json() } else { compared.to_text() }));
    }
    let version = version.as_deref().unwrap_or_default();
    if *off {
        return at.planned(|models, _| deploy::shadow_off(models, version));
    }
    if !(*share > 0.0 && *share <= 1.0) {
        complain(&format!("cartguard model: --share {share}: a number above 0 and up to 1 is needed\n"));
        return Err(Exit::Refused);
    }
    at.planned(|models, plan| deploy::shadow(models, version, *share, plan))
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
