//! Configuration: four layers of text -> one checked [`Config`], or everything that is wrong with them.
//!
//! default.toml, file, environment, flags -> `layers` -> **config** (`event`, `labels`, `features`, `adapters`, `backtest`, `settings`) -> commands
//!
//! Holds: only what was checked leaves this module; every fault is told at once, with its place, its dotted key and
//! the accepted form. Reads the configuration file and the features file, and nothing else of the world.
//! Not here: what a features file may say (the engine's `features::file`), opening models, sources and sinks.

mod adapters;
mod backtest;
mod event;
mod features;
mod kinesis;
mod labels;
mod layers;
mod models;
mod path;
mod settings;
#[cfg(test)]
mod tests;

pub(crate) use adapters::{Sink, Source, Synthetic, World};
pub(crate) use backtest::Backtest;
pub(crate) use kinesis::StreamStart;
#[cfg(feature = "aws")]
pub(crate) use kinesis::{KinesisSink, KinesisSource};
pub(crate) use layers::{Effective, Flag};
pub(crate) use models::{Scores, Start};
pub(crate) use settings::{Engine, History, Idle, Operations, Queue};

use crate::deployment::DEPLOYMENT;
use cartguard_engine::batch::rows::Share;
use cartguard_engine::batch::{
    DedupeSettings, OutputFeatures, OutputSettings, ReasonSettings, StateSettings,
};
use cartguard_engine::document::{Fault, Faults, Layer, Node, Place, Reader, Value};
use cartguard_engine::features::plan::Plan;
use cartguard_engine::features::spec::{Definition, Feature, FeatureSet};
use cartguard_engine::schema::{
    CurrencySource, Path as SchemaPath, Schema, TimeField, TimeForm, WindowScale,
};
use cartguard_io::{Mapped, MappedPath};
use features::{Mapping, read_features};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The configuration that holds where nothing else is said.
const DEFAULT: &str = include_str!("../../config/default.toml");
/// What faults and `cartguard config` call it.
const DEFAULT_NAME: &str = "built-in default";
/// What the user gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// `--config`
    pub(crate) file: Option<PathBuf>,
    /// Variables of the environment; those that do not begin with `CARTGUARD__` are not looked at.
    pub(crate) environment: Vec<(String, String)>,
    /// `--set key=value` and the flags of commands, in order.
    pub(crate) flags: Vec<Flag>,
}

/// Everything that a command needs to know, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    schema: Arc<Schema>,
    features: Arc<FeatureSet>,
    /// What the features file is called.
    pub(crate) features_name: String,
    /// `state`, and `time.lateness`.
    pub(crate) state: StateSettings,
    pub(crate) dedupe: DedupeSettings,
    pub(crate) output: OutputSettings,
    pub(crate) reasons: ReasonSettings,
    pub(crate) engine: Engine,
    pub(crate) queue: Queue,
    /// Folder of the model that decides at the start.
    pub(crate) model: Option<PathBuf>,
    /// Folder of models, whose deployment says which decides.
    pub(crate) models: Option<PathBuf>,
    /// Files of labels.
    pub(crate) label_input: Vec<PathBuf>,
    /// What a model does whose folder is copied there.
    pub(crate) model_start: Start,
    /// Where what challengers say goes.
    pub(crate) scores: Scores,
    /// Of which events drift is counted.
    pub(crate) drift_share: Option<Share>,
    pub(crate) source: Source,
    pub(crate) sink: Sink,
    /// None: a crash loses the state.
    pub(crate) history: Option<History>,
    pub(crate) snapshot: cartguard_recovery::Settings,
    pub(crate) operations: Operations,
    pub(crate) backtest: Backtest,
    /// What is allowed but seldom meant.
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Compiles the feature set.
    pub(crate) fn plan(&self) -> Plan {
        Plan::new(self.schema.clone(), self.features.clone(), self.state.lateness_ms)
    }

    /// What is mapped.
    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The same, as what a table's columns are held to.
    pub(crate) fn mapped(&self) -> Mapped {
        let schema = &self.schema;
        let mapped = |key: &str, path: &SchemaPath| MappedPath {
            key: key.to_owned(),
            path: path.0.clone(),
            is_number_of_time: false,
        };
        let time = |key: &str, time: &TimeField| MappedPath {
            is_number_of_time: time.form != TimeForm::Text,
            ..mapped(key, &time.path)
        };
        let mut required = vec![
            mapped("event.id", &schema.id),
            time("event.time", &schema.time),
            mapped("event.amount", &schema.amount),
        ];
        required.extend(schema.label_column().map(|column| mapped("labels.column", column)));
        let mut optional = Vec::new();
        if let CurrencySource::Path { path, default } = &schema.currency {
            let list = if default.is_some() { &mut optional } else { &mut required };
            list.push(mapped("event.currency", path));
        }
        optional.extend(schema.arrival.iter().map(|arrival| time("event.arrival", arrival)));
        optional.extend(schema.items.iter().map(|items| mapped("event.items", &items.path)));
        let fields = schema.fields.iter();
        optional.extend(fields.map(|field| mapped(&format!("event.fields.{}", field.name), &field.path)));
        for entity in &schema.entities {
            optional.extend(entity.key.iter().map(|part| mapped(&format!("entities.{}", entity.name), part)));
        }
        Mapped { required, optional }
    }

    /// The data folder, where a history is kept.
    pub(crate) fn history_folder(&self) -> Option<&Path> {
        self.history.as_ref().map(|history| history.folder.as_path())
    }

    /// Files of labels that features look at; with none of them, nothing has to read labels.
    pub(crate) fn labels_read(&self) -> &[PathBuf] {
        let is_of_labels = |feature: &Feature| matches!(&feature.definition, Definition::Window(window) if window.label.is_some());
        if self.features.features.iter().any(is_of_labels) { &self.label_input } else { &[] }
    }

    /// Whether lines on standard error are a sink's.
    pub(crate) fn sink_is_stdout(&self) -> bool {
        matches!(self.sink, Sink::Stdout)
    }

    /// Whether shards are to be read by subscription.
    pub(crate) fn reads_by_subscription(&self) -> bool {
        matches!(&self.source, Source::Kinesis(settings) if settings.fan_out)
    }

    /// The same with the features of backtests.
    pub(crate) fn for_backtest(mut self) -> Self {
        if let Some((name, features)) = self.backtest.features.take() {
            (self.features_name, self.features) = (name, features);
        }
        self
    }

    /// The features, in the order of their file.
    pub(crate) fn feature_set(&self) -> &Arc<FeatureSet> {
        &self.features
    }
}

/// A configuration and where each value of it comes from.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) model: Option<ModelAt>,
    pub(crate) effective: Effective,
}

/// The folder of the model that decides, and which key led there.
#[derive(Debug)]
pub(crate) struct ModelAt {
    pub(crate) folder: PathBuf,
    pub(crate) key: &'static str,
    place: Place,
}

impl ModelAt {
    fn new(models: &models::Models, effective: &Effective) -> Option<Self> {
        let key = if models.folder.is_some() { "model.folder" } else { "model.path" };
        Some(Self { folder: models.active.clone()?, key, place: effective.place_of(key) })
    }

    /// A fault of the folder, which only who opens it finds.
    pub(crate) fn fault(&self, what: impl Display) -> Fault {
        Fault { place: self.place.clone(), key: self.key.to_owned(), what: what.to_string() }
    }
}

/// A faulty configuration, and what can be looked into all the same.
#[derive(Default)]
pub(crate) struct Refused {
    pub(crate) faults: Vec<Fault>,
    pub(crate) model: Option<ModelAt>,
    /// What its features have to be among, where nothing is wrong with them.
    pub(crate) plan: Option<Arc<Plan>>,
}

/// Reads all layers and checks them.
pub(crate) fn load(given: &Given) -> Result<Loaded, Vec<Fault>> {
    read(given).map_err(|refused| refused.faults)
}

/// The same for who has more to tell than the faults.
pub(crate) fn read(given: &Given) -> Result<Loaded, Refused> {
    let Some(file) = &given.file else { return load_text(None, given) };
    let name = file.display().to_string();
    match read_file(file) {
        Ok(text) => load_text(Some((&name, &text)), given),
        Err(why) => {
            let faults = Faults::default();
            faults.add(&Place::whole(Layer::File, &name), "", format!("cannot be read: {why}"));
            beside(given, &faults);
            Err(Refused { faults: faults.take(), ..Refused::default() })
        }
    }
}

/// The same with the file's name and text.
fn load_text(file: Option<(&str, &str)>, given: &Given) -> Result<Loaded, Refused> {
    let faults = Faults::default();
    let Some(effective) = layers::merge(file, given, &faults) else {
        beside(given, &faults);
        return Err(Refused { faults: faults.take(), ..Refused::default() });
    };
    let folder = file.and_then(|(name, _)| Path::new(name).parent()).unwrap_or(Path::new(""));
    let Checked { config, model, plan } = check(&effective, folder, true, &faults);
    match config {
        Some(config) if faults.is_empty() => Ok(Loaded { config, model, effective }),
        _ => Err(Refused { faults: faults.take(), model, plan }),
    }
}

/// Adds the faults of variables and flags beside a file that cannot be read: those that hold whatever it says.
fn beside(given: &Given, faults: &Faults) {
    let found = Faults::default();
    let effective = layers::merge(None, given, &found);
    if let Some(effective) = &effective {
        check(effective, Path::new(""), false, &found);
    }
    // What a flag needs may stand in the file.
    let is_open = |key: &str| effective.as_ref().is_some_and(|effective| effective.is_default(key));
    let own =
        |fault: &Fault| matches!(fault.place.layer, Layer::Environment | Layer::Flag) && !is_open(&fault.key);
    faults.extend(found.take().into_iter().filter(own));
}

/// What came of the layers.
#[derive(Default)]
struct Checked {
    /// Nothing only where there are faults.
    config: Option<Config>,
    model: Option<ModelAt>,
    plan: Option<Arc<Plan>>,
}

/// Checks every section, and what one key says of another where the layers are `whole`.
fn check(effective: &Effective, folder: &Path, whole: bool, faults: &Faults) -> Checked {
    let root = Node { value: Value::Table(effective.table.clone()), place: effective.place.clone() };
    let mut root = Reader::new(&root, "", faults);
    let at = Relative { folder };
    let time = section(&mut root, "time", settings::time);
    let hash_seed = effective.hash_seed();
    let event = section(&mut root, "event", |table| Some(event::event(table)));
    let entities = section(&mut root, "entities", |table| Some(event::entities(table)));
    let money = section(&mut root, "money", event::money);
    let dedupe = section(&mut root, "dedupe", settings::dedupe);
    let state = section(&mut root, "state", settings::state);
    let engine = section(&mut root, "engine", settings::engine);
    let output = section(&mut root, "output", settings::output);
    let reasons = section(&mut root, "reasons", settings::reasons);
    let queue = section(&mut root, "queue", settings::queue);
    let model = section(&mut root, "model", |table| models::model(table, &at));
    let shadow = section(&mut root, "shadow", |table| models::shadow(table, &at));
    let drift = section(&mut root, "drift", models::drift);
    let source = section(&mut root, "source", |table| adapters::source(table, &at));
    let sink = section(&mut root, "sink", |table| adapters::sink(table, &at));
    let history = section(&mut root, "history", |table| settings::history(table, &at));
    let snapshot = section(&mut root, "snapshot", settings::snapshot);
    let socket = section(&mut root, "admin", |table| at.path(table, "socket"));
    let log = section(&mut root, "log", settings::log);
    let watchdog = section(&mut root, "watchdog", settings::watchdog);
    let skew_ms = time.as_ref().map_or(0, |time| time.skew_ms);
    let schema = event.zip(entities).map(|(event, entities)| {
        event::schema(event, entities, money.unwrap_or_default(), skew_ms, hash_seed, &root)
    });
    let labels = section(&mut root, "labels", |table| labels::labels(table, &at));
    if let (Some(column), Some(schema), Some(table)) =
        (labels.as_ref().and_then(|section| section.column.as_ref()), &schema, root.table("labels"))
    {
        labels::check_apart(column, schema, &table);
    }
    // Where the labels are at fault, what features ask of them is not.
    let known = labels.as_ref().map_or_else(labels::any, |section| section.labels.clone());
    let schema = schema.map(|schema| Arc::new(Schema { labels: known, ..schema }));
    let is_own = effective.place_of("event.id").layer == Layer::File;
    let mapping = Mapping {
        schema: schema.as_deref(),
        given: effective.given("event", "id").or_else(|| effective.given("entities", "")),
        is_faulty: !is_own && (faults.concern("event") || faults.concern("entities")),
    };
    let features = section(&mut root, "features", |table| read_features(table, "file", &mapping, &at));
    let backtest = section(&mut root, "backtest", |table| backtest::backtest(table, &mapping, &at));
    root.finish();
    if !whole {
        return Checked::default();
    }
    let features = features.map(|(name, features)| (name, Arc::new(features)));
    let model_at = model.as_ref().and_then(|model| ModelAt::new(model, effective));
    if let (Some(engine), Some(state)) = (&engine, &state)
        && engine.workers > state.shards
    {
        let what =
            format!("{} workers for {} shards; a worker owns whole shards", engine.workers, state.shards);
        faults.add(&effective.place_for("engine.workers", "state.shards"), "engine.workers", what);
    }
    if let (
        Some(models::Models { folder: Some(_), .. }),
        Some(OutputSettings { features: OutputFeatures::Model, as_array: true, .. }),
    ) = (&model, &output)
    {
        let key = "output.features_as";
        let what = "\"array\" with output.features = \"model\": models of model.folder read different features, and features.json names those \
                    of one; \"object\", or features = \"all\"";
        faults.add(&effective.place_of(key), key, what.to_owned());
    }
    // Of a mapping that is faulty a plan would say something else than of one that is mended.
    let is_mapped = !["event", "entities", "money", "labels"].iter().any(|section| faults.concern(section));
    let lateness_ms = time.as_ref().map_or(0, |time| time.lateness_ms);
    let plan_of = |features: &Arc<FeatureSet>| {
        let schema = schema.as_ref().filter(|_| is_mapped)?;
        Some(Arc::new(Plan::new(schema.clone(), features.clone(), lateness_ms)))
    };
    let plan = features.as_ref().and_then(|(_, features)| plan_of(features));
    let of_backtest = backtest.as_ref().and_then(|backtest| backtest.features.as_ref());
    let plans = [plan.clone(), of_backtest.and_then(|(_, features)| plan_of(features))];
    let most = plans.iter().flatten().map(|plan| plan.entries_per_key_max()).min();
    if let (Some(state), Some(most)) = (&state, most)
        && state.entries_per_key > most
    {
        let key = "state.entries_per_key";
        let what = format!(
            "{} are more than a key with these features can hold; at most {most}",
            state.entries_per_key
        );
        faults.add(&effective.place_for(key, "features.file"), key, what);
    }
    let config = || {
        let (schema, (features_name, features), model) = (schema?, features?, model?);
        let (log_ms, (stall, abort)) = (log?, watchdog?);
        let log_every = (log_ms > 0).then(|| Duration::from_millis(log_ms));
        Some(Config {
            warnings: warnings(&schema, &model),
            schema,
            features,
            features_name,
            state: StateSettings { lateness_ms: time?.lateness_ms, ..state? },
            dedupe: dedupe?,
            output: output?,
            reasons: reasons?,
            engine: engine?,
            queue: queue?,
            model: model.active,
            models: model.folder,
            model_start: model.start?,
            scores: shadow?,
            drift_share: drift?,
            label_input: labels?.input,
            source: source?,
            sink: sink?,
            history: history?,
            snapshot: snapshot?,
            operations: Operations { socket: socket?, log_every, stall, abort },
            backtest: backtest?,
        })
    };
    Checked { config: config(), model: model_at, plan }
}

/// Reads a section and refuses what nobody asked for in it.
fn section<'a, T>(
    root: &mut Reader<'a>,
    key: &str,
    read: impl FnOnce(&mut Reader<'a>) -> Option<T>,
) -> Option<T> {
    let mut table = root.table(key)?;
    let result = read(&mut table);
    table.finish();
    result
}

fn read_file(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|why| why.to_string())?;
    String::from_utf8(bytes).map_err(|why| format!("not UTF-8 at byte {}", why.utf8_error().valid_up_to()))
}

/// Paths in files are relative to the file, those of variables and flags to where the process runs.
struct Relative<'a> {
    folder: &'a Path,
}

impl Relative<'_> {
    /// The path of a key that may be none.
    #[expect(clippy::option_option, reason = "faulty, none, or a path")]
    fn path(&self, table: &mut Reader<'_>, key: &str) -> Option<Option<PathBuf>> {
        let text = table.text(key)?;
        Some((!text.is_empty()).then(|| self.resolve(table, key, &text)))
    }

    fn resolve(&self, table: &Reader<'_>, key: &str, text: &str) -> PathBuf {
        self.from(table.place_of(key), text)
    }

    fn from(&self, place: &Place, text: &str) -> PathBuf {
        if place.layer == Layer::File { self.folder.join(text) } else { PathBuf::from(text) }
    }
}

fn warnings(schema: &Schema, model: &models::Models) -> Vec<String> {
    let mut warnings = Vec::new();
    if let models::Models { active: None, folder: Some(folder), .. } = model {
        warnings.push(format!(
            "model.folder: {} names no active model, so every score is null and every decision approve; `cartguard model activate` names one",
            folder.join(DEPLOYMENT).display()
        ));
    }
    if schema.scale == WindowScale::Common && matches!(schema.currency, CurrencySource::Path { .. }) {
        warnings.push(
            "money.rates: none are set, so amounts of different currencies add in major units at a common scale \
             (10 JPY counts as 10 EUR); set rates, or event.currency = { constant = \"…\" }"
                .to_owned(),
        );
    }
    if schema.arrival.is_none() {
        warnings.push(
            "event.arrival: none is mapped, so no record of a file or of standard input is early: one with a time far in \
             the future moves stream time for all, and keys and ids are forgotten; map when the shop got it, such as \
             event.arrival = \"received_at\""
                .to_owned(),
        );
    }
    warnings
}
