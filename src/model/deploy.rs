//! `cartguard model list|check|activate|rollback|shadow|diff`: the models of a folder, and which of them decides.
//!
//! `models/NAME/VERSION` -> **deploy** -> `deployment.toml`, standard output
//!
//! Holds: what is activated was checked first, bytes and golden rows, and against the features of the configuration where one is given.

use super::fault::Fault;
use super::folder::{self, Folder, MANIFEST, not_whole};
use super::manifest::Manifest;
use super::names;
use crate::deployment::{self, Act, DEPLOYMENT, Deployment};
use crate::shadow::CHALLENGERS_MAX;
use cartguard_engine::features::plan::Plan;
use cartguard_io::Lock;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// For whoever asked.
const TAKEN: &str = "a service with model.folder takes it within a second";

/// Every model of a folder, a line each.
pub(super) fn list(models: &Path, plan: Option<&Plan>) -> Result<String, Fault> {
    let deployment = read(models)?;
    let mut text = String::new();
    for version in versions(models)? {
        let state = match check_folder(&models.join(&version), plan) {
            Ok(folder) => format!("{} features", folder.features.len()),
            Err(fault) => match not_whole(&models.join(&version)) {
                Some(fault) => {
                    format!("waiting (a service has it refused once it stays so for a minute): {fault}")
                }
                None => format!("refused: {fault}"),
            },
        };
        let role = match &version {
            version if deployment.active.as_ref() == Some(version) => "active",
            version if deployment.shadow.contains_key(version) => "shadow",
            version if deployment.previous.as_ref() == Some(version) => "previous",
            _ => "",
        };
        let _ = writeln!(text, "{role:9} {version:30} {state}");
    }
    if text.is_empty() {
        return Err(Fault::refused(models, "holds no model; `cartguard model import` makes one"));
    }
    Ok(text)
}

/// Checks a model folder.
pub(super) fn check(path: &Path, plan: Option<&Plan>) -> Result<String, Fault> {
    let name = names::of_folder(path)?;
    let folder = check_folder(path, plan)?;
    let against = if plan.is_some() { ", each of which is computed" } else { "" };
    Ok(format!("model {name} is good: {} features{against}, all golden rows equal\n", folder.features.len()))
}

/// Makes a model the one that decides.
pub(super) fn activate(models: &Path, version: &str, plan: Option<&Plan>) -> Result<String, Fault> {
    check_folder(&known(models, version)?, plan)?;
    let _lock = lock(models)?;
    let now = read(models)?;
    if now.active.as_deref() == Some(version) {
        return Ok(format!("{version} is active already\n"));
    }
    replace(models, &now, &now.with_active(version), "activate")
}

/// Has a model score beside the one that decides, from a share of the events.
pub(super) fn shadow(models: &Path, version: &str, share: f64, plan: Option<&Plan>) -> Result<String, Fault> {
    check_folder(&known(models, version)?, plan)?;
    let _lock = lock(models)?;
    let now = read(models)?;
    if now.active.as_deref() == Some(version) {
        let what = format_args!("active = {version:?}: it decides, and need not score beside itself");
        return Err(Fault::refused(&models.join(DEPLOYMENT), what));
    }
    let next = now.with_shadow(version, share);
    if next.shadow.len() > CHALLENGERS_MAX {
        let what =
            format_args!("names {CHALLENGERS_MAX} models in shadow, and no more; take one out with --off");
        return Err(Fault::refused(&models.join(DEPLOYMENT), what));
    }
    if next == now {
        return Ok(format!("{version} is in shadow already\n"));
    }
    let act = Act { action: "shadow", model: Some(version), by: "command" };
    now.replace(models, &next, act).map_err(|why| Fault::refused(models, why))?;
    Ok(format!("{version} scores {share} of all events in shadow; {TAKEN}\n"))
}

/// Takes a model out of the shadow, which need not be there any more.
pub(super) fn shadow_off(models: &Path, version: &str) -> Result<String, Fault> {
    let _lock = lock(models)?;
    let now = read(models)?;
    if !now.shadow.contains_key(version) {
        let names: Vec<&str> = now.shadow.keys().map(String::as_str).collect();
        let names =
            if names.is_empty() { "none is".to_owned() } else { format!("there are {}", names.join(", ")) };
        let what = format_args!("has no {version:?} in shadow; {names}");
        return Err(Fault::refused(&models.join(DEPLOYMENT), what));
    }
    let act = Act { action: "shadow_off", model: Some(version), by: "command" };
    now.replace(models, &now.without_shadow(version), act).map_err(|why| Fault::refused(models, why))?;
    Ok(format!("{version} scores no more; {TAKEN}\n"))
}

/// The folder of a model that is there.
fn known(models: &Path, version: &str) -> Result<PathBuf, Fault> {
    let known = versions(models)?;
    if known.contains(version) {
        return Ok(models.join(version));
    }
    let near =
        known.iter().max_by(|one, other| strsim::jaro(version, one).total_cmp(&strsim::jaro(version, other)));
    let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    let what =
        format_args!("has no model {version:?}, NAME/VERSION as `cartguard model list` shows it{hint}");
    Err(Fault::refused(models, what))
}

/// Goes back to the model before.
pub(super) fn rollback(models: &Path, plan: Option<&Plan>) -> Result<String, Fault> {
    let _lock = lock(models)?;
    let now = read(models)?;
    let Some(next) = now.rolled_back() else {
        return Err(Fault::refused(&models.join(DEPLOYMENT), "names no previous model to go back to"));
    };
    if let Some(folder) = next.folder(models) {
        check_folder(&folder, plan)?;
    }
    replace(models, &now, &next, "rollback")
}

/// What two models differ in.
pub(super) fn diff(one: &Path, other: &Path) -> Result<String, Fault> {
    let [left, right] = [one, other].map(|path| Manifest::read(&path.join(MANIFEST)));
    let (left, right) = (left?, right?);
    let mut text = String::new();
    let mut differs = |what: &str, left: String, right: String| {
        if left != right {
            let _ = writeln!(text, "{what}: {left} -> {right}");
        }
    };
    differs("format", format!("{:?}", left.format), format!("{:?}", right.format));
    differs("model sha256", left.model.sha256.clone(), right.model.sha256.clone());
    differs("model bytes", left.model.bytes.to_string(), right.model.bytes.to_string());
    let thresholds = |manifest: &Manifest| {
        format!("review {} decline {}", manifest.thresholds.review_at, manifest.thresholds.decline_at)
    };
    differs("thresholds", thresholds(&left), thresholds(&right));
    let [before, after] = [&left, &right].map(|manifest| manifest.features.iter().collect::<BTreeSet<_>>());
    for (sign, list) in [("-", before.difference(&after)), ("+", after.difference(&before))] {
        for feature in list {
            let _ = writeln!(text, "{sign} {feature}");
        }
    }
    Ok(if text.is_empty() { "no difference\n".to_owned() } else { text })
}

/// One command at a time writes the deployment.
fn lock(models: &Path) -> Result<Lock, Fault> {
    deployment::lock(models).map_err(|why| Fault::refused(models, why))
}

fn read(models: &Path) -> Result<Deployment, Fault> {
    Deployment::read(models).map_err(|why| Fault::refused(models, why))
}

fn replace(models: &Path, now: &Deployment, next: &Deployment, action: &str) -> Result<String, Fault> {
    let act = Act { action, model: None, by: "command" };
    now.replace(models, next, act).map_err(|why| Fault::refused(models, why))?;
    let [from, to] = [now, next].map(|one| one.active.as_deref().unwrap_or("none"));
    Ok(format!("{from} -> {to}; {TAKEN}\n"))
}

fn check_folder(path: &Path, plan: Option<&Plan>) -> Result<Folder, Fault> {
    let folder = folder::open(path)?;
    if let Some(plan) = plan {
        folder.fit(path, plan)?;
    }
    Ok(folder)
}

/// `NAME/VERSION` of everything that looks like a model folder.
fn versions(models: &Path) -> Result<BTreeSet<String>, Fault> {
    let mut versions = named(models)?;
    versions.retain(|version| models.join(version).join(MANIFEST).exists());
    Ok(versions)
}

/// The same of folders that are called like one.
pub(super) fn named(models: &Path) -> Result<BTreeSet<String>, Fault> {
    let mut named = BTreeSet::new();
    for name in folders(models)? {
        for version in folders(&name)? {
            named.extend(names::of_folder(&version).ok());
        }
    }
    Ok(named)
}

fn folders(path: &Path) -> Result<Vec<PathBuf>, Fault> {
    let read = || {
        let mut list = Vec::new();
        for entry in fs::read_dir(path)? {
            list.push(entry?.path());
        }
        Ok::<_, std::io::Error>(list)
    };
    let list = read().map_err(|cause| Fault::world(path, "cannot be read", cause))?;
    Ok(list.into_iter().filter(|path| path.is_dir()).collect())
}
