//! From a checked configuration to an engine: compile the features, load the model.

use crate::config::Config;
use crate::exit::Refusal;
use crate::model::{self, Fault};
use cartguard_engine::batch::{Engine, EngineSettings, IdSettings, Scorer};
use cartguard_engine::features::plan::Plan;
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
pub(crate) fn open(config: &Config, source: &str) -> Result<Engine, Refusal> {
    let plan = plan(config);
    let scorer = scorer(config, &plan).map_err(|fault| Refusal(fault.to_string()))?;
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
