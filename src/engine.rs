//! From a checked configuration to an engine: compile the features, load the model.

use crate::config::Config;
use crate::deployment::Deployment;
use crate::model::{self, Fault, Loaded, Standing};
use crate::shadow::CHALLENGERS_MAX;
use cartguard_engine::batch::{
    Engine, EngineSettings, IdSettings, OutputFeatures, OutputSettings, ReasonSettings, Scorer,
};
use cartguard_engine::features::plan::Plan;
use cartguard_io::Trouble;
use cartguard_recovery::{By, MODEL, Models, Opening, Storage, Versions};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Compiles the feature set.
pub(crate) fn plan(config: &Config) -> Arc<Plan> {
    Arc::new(config.plan())
}

/// The model that the configuration names, for an engine that computes these features.
pub(crate) fn scorer(config: &Config, plan: &Plan) -> Result<Option<Scorer>, Fault> {
    let load = |folder: &Path| model::load(folder, plan).map(|loaded| loaded.scorer);
    config.model.as_deref().map(load).transpose()
}

/// The models that score beside, and what the one that decides was trained on. A challenger that cannot be loaded is told of.
pub(crate) fn standing(config: &Config, plan: &Plan, tell: fn(&str)) -> Result<Standing, Trouble> {
    let refused = |why: String| Trouble::refuse(why);
    let mut standing =
        Standing::of_active(config.model.as_deref(), plan).map_err(|fault| refused(fault.to_string()))?;
    let Some(models) = &config.models else { return Ok(standing) };
    let deployment = Deployment::read(models).map_err(refused)?;
    // A model that went on in place of a broken one may be in shadow, and does not score beside itself.
    let decides = |name: &str| config.model.as_ref() == Some(&models.join(name));
    let beside = deployment.shadow.iter().filter(|(name, _)| !decides(name));
    for (name, share) in beside.take(CHALLENGERS_MAX) {
        if let Err(fault) = standing.add(models, name, *share, plan) {
            tell(&format!("model {name} is refused, and does not score in shadow: {fault}"));
        }
    }
    Ok(standing)
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

/// What features of labels lack, for people; nothing where they lack nothing.
pub(crate) fn lost_labels(engine: &Engine) -> Option<String> {
    let lost = engine.state().lost_labels;
    (lost > 0).then(|| {
        format!(
            "{lost} labels, or events kept for labels, were lost for want of labels.memory, or came again when their event was merged; features of \
             labels lack them"
        )
    })
}

/// The configuration with a model that can decide, and what is wrong with the one that is active. A folder of models may have changed while
/// nobody ran: where its active model is no good, the one goes on that decided last, as the history in a data folder says.
pub(crate) fn deciding(config: &Config, history: Option<&Path>) -> Result<(Config, Option<String>), Trouble> {
    let (Some(root), Some(history), Some(active)) = (&config.models, history, &config.model) else {
        return Ok((config.clone(), None));
    };
    let plan = plan(config);
    let Err(fault) = model::load(active, &plan) else { return Ok((config.clone(), None)) };
    let refused = |more: String| Err(Trouble::refuse(format!("{fault}{more}")));
    let last =
        if history.join("order").is_dir() { Storage::look(history)?.last_version(MODEL)? } else { None };
    let Some(version) = last.filter(|version| version != NO_MODEL) else {
        return refused("; no model decided before, which could go on".to_owned());
    };
    let models = ModelFolders { root: root.clone(), plan };
    if let Err(why) = models.load(&version) {
        return refused(format!("; and the one that decided last: {why}"));
    }
    let name = name_of(&version);
    let told = format!(
        "the active model is refused: {fault}; {name} decides, which decided last, until it is mended"
    );
    let mut other = config.clone();
    other.model = Some(root.join(name));
    Ok((other, Some(told)))
}

/// The history of a configuration's pipeline; `source` is what the source says of itself.
pub(crate) fn history(config: &Config, source: &str, tell: fn(&str)) -> Result<Opening, Trouble> {
    let pipeline = config.history.as_ref().map_or_else(String::new, |history| history.pipeline.clone());
    let (source, versions) = (source.to_owned(), versions(config)?);
    // Those that decided before a configured one lie beside it: `models/NAME/VERSION`.
    let beside = || config.model.as_deref()?.parent()?.parent().map(Path::to_path_buf);
    let root = config.models.clone().or_else(beside).unwrap_or_else(|| PathBuf::from("models"));
    let models = Arc::new(ModelFolders { root, plan: plan(config) });
    Ok(Opening { pipeline, source, versions, models, by: By::Threads, tell, stop: Arc::default() })
}

/// What decides besides the features.
fn versions(config: &Config) -> Result<Versions, Trouble> {
    let model = config.model.as_deref().map(model::version_of).transpose();
    let model = model.map_err(|fault| Trouble::refuse(fault.to_string()))?;
    Ok(vec![
        (MODEL.to_owned(), model.unwrap_or_else(|| NO_MODEL.to_owned())),
        ("output".to_owned(), output_version(&config.output)),
        ("reasons".to_owned(), reasons_version(config.reasons)),
    ])
}

/// How lines are written, in the words of the configuration: histories are compared by it, so it never changes for the same lines.
fn output_version(output: &OutputSettings) -> String {
    let features = match output.features {
        OutputFeatures::All => "all",
        OutputFeatures::Model => "model",
        OutputFeatures::None => "none",
    };
    let features_as = if output.as_array { "array" } else { "object" };
    format!("features={features} features_as={features_as} event={}", output.event)
}

/// The same of reasons.
fn reasons_version(ReasonSettings { top, max_share }: ReasonSettings) -> String {
    format!("top={top} max_share={max_share}")
}

/// The version that says that no model decides.
const NO_MODEL: &str = "none";

/// The models that have decided, by their folders.
struct ModelFolders {
    /// Folder of models.
    root: PathBuf,
    plan: Arc<Plan>,
}

/// `NAME/VERSION` of what the order log says.
fn name_of(version: &str) -> &str {
    version.split_whitespace().next().unwrap_or_default()
}

impl Models for ModelFolders {
    fn load(&self, version: &str) -> Result<Option<Arc<Scorer>>, Trouble> {
        if version == NO_MODEL {
            return Ok(None);
        }
        let refused = |why: &dyn Display| {
            let what = format!(
                "model {version} decided batches that have to be decided again: {why}; put its folder back as it was"
            );
            Trouble::refuse(what)
        };
        let folder = self.root.join(name_of(version));
        let Loaded { version: found, scorer, .. } =
            model::load(&folder, &self.plan).map_err(|fault| refused(&fault))?;
        if found != version {
            return Err(refused(&format!("{} is {found} now", folder.display())));
        }
        Ok(Some(Arc::new(scorer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another text would have every history refused that has a tail.
    #[test]
    fn versions_are_texts_that_stay() {
        let output = OutputSettings { features: OutputFeatures::Model, as_array: true, event: false };
        assert_eq!(output_version(&output), "features=model features_as=array event=false");
        assert_eq!(reasons_version(ReasonSettings { top: 5, max_share: 0.01 }), "top=5 max_share=0.01");
    }
}
