//! From a checked configuration to an engine: compile the features, load the model.

use crate::config::Config;
use crate::model::{self, Fault};
use cartguard_engine::batch::{Engine, EngineSettings, IdSettings, Scorer};
use cartguard_engine::features::plan::Plan;
use cartguard_io::Trouble;
use cartguard_recovery::{By, Opening, Versions};
use std::fs;
use std::sync::Arc;

/// Compiles the feature set.
pub(crate) fn plan(config: &Config) -> Arc<Plan> {
    Arc::new(Plan::new(config.schema().clone(), config.feature_set().clone(), config.state.lateness_ms))
}

/// The model that the configuration names, for an engine that computes these features.
pub(crate) fn scorer(config: &Config, plan: &Plan) -> Result<Option<Scorer>, Fault> {
    config.model.as_deref().map(|folder| model::load(folder, plan)).transpose()
}

/// An engine with an empty state, and the model that the configuration names. `source` is what the source says of itself: where a history is kept
/// decisions have ids that depend on it.
pub(crate) fn open(config: &Config, source: &str) -> Result<Engine, Trouble> {
    let plan = plan(config);
    let scorer = scorer(config, &plan).map_err(|fault| Trouble::refuse(fault.to_string()))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers =
        if config.engine.workers == 0 { cores.min(config.state.shards) } else { config.engine.workers };
    let settings = EngineSettings {
        workers,
        state: config.state.clone(),
        dedupe: config.dedupe.clone(),
        output: config.output.clone(),
        reasons: config.reasons,
        ids: config
            .history
            .as_ref()
            .map(|history| IdSettings { pipeline: history.pipeline.clone(), source: source.to_owned() }),
    };
    Ok(Engine::new(plan, settings, scorer.map(Arc::new)))
}

/// The history of a configuration's pipeline; `source` is what the source says of itself.
pub(crate) fn history(config: &Config, source: &str, tell: fn(&str)) -> Result<Opening, Trouble> {
    let pipeline = config.history.as_ref().map_or_else(String::new, |history| history.pipeline.clone());
    let (source, versions) = (source.to_owned(), versions(config)?);
    Ok(Opening { pipeline, source, versions, by: By::Threads, tell })
}

/// What decides besides the features.
fn versions(config: &Config) -> Result<Versions, Trouble> {
    let model = match &config.model {
        None => "none".to_owned(),
        Some(folder) => {
            let path = folder.join("manifest.toml");
            let bytes = fs::read(&path).map_err(|why| Trouble::at(&path, "cannot be read").because(why))?;
            blake3::hash(&bytes).to_string()
        }
    };
    Ok(vec![
        ("model".to_owned(), model),
        ("output".to_owned(), format!("{:?}", config.output)),
        ("reasons".to_owned(), format!("{:?}", config.reasons)),
    ])
}
