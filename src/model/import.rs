//! `cartguard model import`: a trainer's file -> a model folder.
//!
//! trainer's file -> **import** (`names`, `trainer_rows` or `probe`, `manifest`) -> folder
//!
//! Holds: the folder appears whole under its name or not at all, and was opened once as the engine will open it.
//! Not here: features files: a model may be imported before there is one.

use super::cli::ImportArguments;
use super::fault::Fault;
use super::folder::{self, GOLDEN, MANIFEST};
use super::manifest::{FileRef, FormatName, Manifest, PrecisionName, Provenance, ThresholdNumbers};
use super::{files, names, probe, trainer_rows};
use cartguard_forest::{Format, MODEL_BYTES_MAX, Model, Shape};
use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Thresholds where none are given: arbitrary, and the message says so.
const REVIEW_AT: f32 = 0.5;
const DECLINE_AT: f32 = 0.9;

/// Makes the folder and says what it is.
pub(super) fn import(arguments: &ImportArguments) -> Result<String, Fault> {
    let output = &arguments.output;
    let name = names::of_folder(output)?;
    if output.symlink_metadata().is_ok() {
        let what = "exists; a version is never changed: take another one, or remove it first";
        return Err(Fault::refused(output, what));
    }
    let thresholds = thresholds(arguments)?;
    let from = &arguments.from;
    let bytes = files::read(from, MODEL_BYTES_MAX)?;
    let format = Format::sniff(&bytes).map_err(|error| Fault::model(from, &error))?;
    let model = Model::from_bytes(format, &bytes).map_err(|error| Fault::model(from, &error))?;
    let features = feature_names(arguments, &model)?;
    let mut provenance = provenance(arguments)?;

    let mut notes = Vec::new();
    if let Some(best) = model.best_rounds() {
        let all = model.summary().trees;
        notes.push(format!(
            "early stopping found the first {best} rounds best; all its {all} trees are scored, as `Booster.predict` does, while \
             scikit-learn's wrapper scores with those rounds: to have these, save `booster[:{best}]`"
        ));
    }
    if features.iter().enumerate().all(|(at, name)| *name == format!("Column_{at}")) {
        notes.push(
            "features have the names that LightGBM makes up for columns without names; a service finds them by name, \
             which --feature-names FILE gives"
                .to_owned(),
        );
    }
    let golden = match &arguments.golden {
        Some(rows) => {
            let compared = trainer_rows::compare(rows, format, &model, &features)?;
            provenance.golden = "trainer".to_owned();
            notes.push(agreement(&compared));
            compared.golden
        }
        None => {
            provenance.golden = "cartguard".to_owned();
            notes.push(
                "golden rows carry cartguard's own scores, which guard later loads; --golden ROWS holds them to \
                 the trainer's"
                    .to_owned(),
            );
            probe::golden(&model)
        }
    };
    if arguments.review_at.is_none() || arguments.decline_at.is_none() {
        notes.push(format!(
            "thresholds: review_at = {}, decline_at = {}; what was not given is a default that knows nothing of \
             this model",
            thresholds.review_at, thresholds.decline_at
        ));
    }
    if model.link().shape == Shape::Identity {
        notes.push(
            "the model has no link: its score is its margin, and one outside 0 to 1 is reviewed".to_owned(),
        );
    }

    let form = FormatName::from(format);
    let golden = golden.text(model.precision());
    let manifest = Manifest {
        format: form,
        precision: PrecisionName::from(model.precision()),
        features,
        model: file_ref(form.file_name(), &bytes),
        golden: file_ref(GOLDEN, &golden),
        thresholds,
        calibration: None,
        provenance,
        training: None,
    };
    let text = manifest.text().map_err(|error| Fault::refused(output, error))?;
    let parts = [(form.file_name(), &bytes), (GOLDEN, &golden), (MANIFEST, &text.into_bytes())];
    write_folder(output, &parts)?;
    Ok(report(&name, output, &model, form, &notes))
}

fn thresholds(arguments: &ImportArguments) -> Result<ThresholdNumbers, Fault> {
    let (review_at, decline_at) = match (arguments.review_at, arguments.decline_at) {
        (Some(review_at), Some(decline_at)) => (review_at, decline_at),
        // The default gives way to what was given.
        (Some(review_at), None) => (review_at, DECLINE_AT.max(review_at)),
        (None, Some(decline_at)) => (REVIEW_AT.min(decline_at), decline_at),
        (None, None) => (REVIEW_AT, DECLINE_AT),
    };
    let thresholds = ThresholdNumbers { review_at, decline_at };
    match thresholds.check() {
        Ok(_) => Ok(thresholds),
        Err(what) => {
            Err(Fault::refused(&arguments.output, format_args!("--review-at and --decline-at: {what}")))
        }
    }
}

fn feature_names(arguments: &ImportArguments, model: &Model) -> Result<Vec<String>, Fault> {
    let from = &arguments.from;
    let count = model.feature_count();
    if let Some(file) = &arguments.feature_names {
        let names = names::of_file(file)?;
        if names.len() != count {
            let what = format_args!(
                "has {} names, the model in {} has {count} features",
                names.len(),
                from.display()
            );
            return Err(Fault::refused(file, what));
        }
        return Ok(names);
    }
    let Some(names) = model.feature_names() else {
        let what = format_args!(
            "has no feature names: give --feature-names FILE with {count} lines, one name a line, in the order of \
             the columns that the model was trained on (or name them before training, as a pandas table does)"
        );
        return Err(Fault::refused(from, what));
    };
    match names::check_features(names) {
        Ok(()) => Ok(names.to_vec()),
        Err((_, what)) => Err(Fault::refused(
            from,
            format_args!("feature names: {what}; give others by --feature-names FILE"),
        )),
    }
}

fn provenance(arguments: &ImportArguments) -> Result<Provenance, Fault> {
    let given = match &arguments.provenance {
        Some(path) => {
            let text = files::read_text(path, files::TEXT_BYTES_MAX)?;
            toml::from_str(&text).map_err(|error| Fault::refused(path, error))?
        }
        None => Provenance::default(),
    };
    let source = arguments.from.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Provenance { created_by: format!("cartguard {}", env!("CARGO_PKG_VERSION")), source, ..given })
}

fn agreement(compared: &trainer_rows::Compared) -> String {
    let mut text = format!(
        "{} rows score as the trainer says, {} of them are kept as golden rows",
        compared.rows,
        compared.golden.scores.len()
    );
    if compared.last_place > 0 {
        let _ = write!(
            text,
            "; {} scores (not margins) are one unit in the last place away: another exponential",
            compared.last_place
        );
    }
    text
}

pub(super) fn file_ref(name: &str, bytes: &[u8]) -> FileRef {
    FileRef { file: name.to_owned(), bytes: bytes.len() as u64, sha256: files::sha256(bytes) }
}

/// Writes all files into a folder beside, opens it, gives it its name.
pub(super) fn write_folder(output: &Path, parts: &[(&str, &Vec<u8>)]) -> Result<(), Fault> {
    let parent = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let unmade = |path: &Path| {
        let path = path.to_path_buf();
        move |cause| Fault::world(&path, "the folder cannot be made", cause)
    };
    fs::create_dir_all(parent).map_err(unmade(parent))?;
    let unfinished = Unfinished(files::beside(output));
    let folder = &unfinished.0;
    fs::create_dir(folder).map_err(unmade(folder))?;
    for (name, bytes) in parts {
        files::write_new(&folder.join(name), bytes)?;
    }
    folder::open(folder)?;
    let sync = |path: &Path| File::open(path).and_then(|folder| folder.sync_all());
    sync(folder).map_err(unmade(folder))?;
    fs::rename(folder, output).and_then(|()| sync(parent)).map_err(unmade(output))
}

/// A folder that is removed unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Not there any more where all went well; else the first fault is what is told.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn report(name: &str, output: &Path, model: &Model, form: FormatName, notes: &[String]) -> String {
    let size = model.summary();
    let mut text = format!("{name}: {}, {} features", form.words(), model.feature_count());
    if size.trees > 0 {
        let _ = write!(text, ", {} trees, {} leaves, depth {}", size.trees, size.leaves, size.depth);
    }
    for note in notes {
        let _ = write!(text, "\n  {note}");
    }
    let _ = writeln!(text, "\n  written to {}", output.display());
    text
}
