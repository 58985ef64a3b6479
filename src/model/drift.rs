//! `cartguard model drift`: how far what comes has moved from what a model was trained on.
//!
//! admin socket, or `decisions.jsonl` and a manifest -> **drift** -> standard output
//!
//! Holds: of a file the values are those that the model scored: a decision has a text that reads back to each.
//! Not here: the index (`crate::drift`), what a running process counts (`shadow`).

use super::cli::DriftArguments;
use super::fault::Fault;
use super::folder::baseline_of;
use crate::cli::{complain, say};
use crate::drift::Seen;
use crate::exit::{Exit, Refusal};
use crate::shadow::drift;
use crate::watch;
use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

/// What of a decision is looked at.
#[derive(Deserialize)]
struct Decided {
    score: Option<f64>,
    features: Option<Features>,
}

/// As `output.features_as` has it. A number is read as f64: rounding it to f32 gives what its text would.
#[derive(Deserialize)]
#[serde(untagged)]
enum Features {
    Named(HashMap<String, Option<f64>>),
    Listed(Vec<Option<f64>>),
}

/// Runs it.
pub(super) fn run(arguments: &DriftArguments) -> Exit {
    match found(arguments) {
        Ok(found) if arguments.json => say(&format!("{found:#}\n")),
        Ok(found) => say(&text(&found, arguments.top)),
        Err(why) => {
            complain(&format!("cartguard: {why:#}\n"));
            Exit::of(&why)
        }
    }
}

fn found(arguments: &DriftArguments) -> anyhow::Result<Value> {
    if let (Some(decisions), Some(model)) = (&arguments.decisions, &arguments.model) {
        return of_file(decisions, model);
    }
    let socket = match &arguments.socket {
        Some(socket) => Some(socket.clone()),
        None => match arguments.config.load(Vec::new()) {
            Ok(loaded) => watch::Settings::of(&loaded.config).socket,
            Err(_) => bail!(Refusal("nothing was asked".to_owned())),
        },
    };
    let mut report = watch::ask(socket.as_deref())?;
    match report.pointer_mut("/shadow/drift") {
        Some(drift) if !drift.is_null() => Ok(drift.take()),
        _ => bail!(Refusal(
            "the process counts no drift: drift.share is 0, or the manifest of the model that decides has no [training], \
             which cartguard train writes"
                .to_owned()
        )),
    }
}

/// Of decisions that lie there.
fn of_file(decisions: &Path, model: &Path) -> anyhow::Result<Value> {
    let refused = |fault: Fault| match fault {
        Fault::Refused { .. } => anyhow!(Refusal(fault.to_string())),
        Fault::World { .. } => anyhow!(fault.to_string()),
    };
    let Some(baseline) = baseline_of(model).map_err(refused)? else {
        bail!(Refusal(format!(
            "{}: its manifest has no [training] with a histogram of each feature; cartguard train writes one",
            model.display()
        )));
    };
    let file = if decisions.is_dir() { decisions.join("decisions.jsonl") } else { decisions.to_path_buf() };
    let name = file.display().to_string();
    let beside = file.with_file_name("features.json");
    // Where decisions are lists, their names lie beside.
    let names: Option<Vec<String>> =
        fs::read_to_string(&beside).ok().and_then(|text| serde_json::from_str(&text).ok());
    let mut seen = Seen::new(Arc::new(baseline));
    let lines = BufReader::new(File::open(&file).with_context(|| name.clone())?).lines();
    for (number, line) in (1..).zip(lines) {
        let line = line.with_context(|| format!("{name}: line {number}"))?;
        let decided: Decided = serde_json::from_str(&line)
            .map_err(|why| Refusal(format!("{name}: line {number}: is no decision: {why}")))?;
        let features = match (decided.features, &names) {
            (Some(Features::Named(features)), _) => features,
            (Some(Features::Listed(list)), Some(names)) => names.iter().cloned().zip(list).collect(),
            (Some(Features::Listed(_)), None) => {
                bail!(Refusal(format!("{}: is not there; it names the features of {name}", beside.display())))
            }
            (None, _) => {
                bail!(Refusal(format!("{name}: line {number}: has no features; output.features writes them")))
            }
        };
        let baseline = Arc::clone(seen.baseline());
        if let Some(absent) = baseline.features.iter().find(|one| !features.contains_key(&one.name)) {
            bail!(Refusal(format!(
                "{name}: line {number}: has no feature {}, which the model reads",
                absent.name
            )));
        }
        let value =
            |name: &String| features.get(name).copied().flatten().map_or(f32::NAN, |value| value as f32);
        seen.count(baseline.features.iter().map(|one| value(&one.name)), decided.score);
    }
    Ok(drift(&seen, usize::MAX))
}

/// For a person.
fn text(found: &Value, top: usize) -> String {
    let mut out = String::new();
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let _ = writeln!(
        out,
        "{}: {} events against the training; {} features moved by a PSI of 0.25 or more",
        found["model"].as_str().unwrap_or("no model"),
        found["events"],
        found["large"]
    );
    let _ = writeln!(out, "{:>8}  {:>8}  {:>8}", "PSI", "missing", "trained");
    let features = found["features"].as_array().into_iter().flatten();
    for one in [&found["score"]].into_iter().filter(|score| !score.is_null()).chain(features.take(top)) {
        let _ = writeln!(
            out,
            "{:>8.4}  {:>8.4}  {:>8.4}  {}",
            number(&one["psi"]),
            number(&one["missing"]),
            number(&one["missing_trained"]),
            one["name"].as_str().unwrap_or_default()
        );
    }
    out
}
