//! `cartguard model list|check|activate|rollback|diff`: the models of a folder, and which of them decides.
//!
//! `models/NAME/VERSION` -> **deploy** -> `deployment.toml`, standard output
//!
//! Holds: what is activated was checked first, bytes and golden rows, and against the features of the configuration where one is given.

use super::fault::Fault;
use super::folder::{self, Folder, MANIFEST};
use super::manifest::Manifest;
use super::{names, plan_names};
use crate::deployment::{DEPLOYMENT, Deployment};
use cartguard_engine::features::plan::Plan;
use cartguard_io::Lock;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Every model of a folder, a line each.
pub(super) fn list(models: &Path, plan: Option<&Plan>) -> Result<String, Fault> {
    let deployment = read(models)?;
    let mut text = String::new();
    for version in versions(models)? {
        let state = match check_folder(&models.join(&version), plan) {
            Ok(folder) => format!("{} features", folder.features.len()),
            Err(fault) => format!("refused: {fault}"),
        };
        let role = match &version {
            version if deployment.active.as_ref() == Some(version) => "active",
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
    let known = versions(models)?;
    if !known.contains(version) {
        let near = known
            .iter()
            .max_by(|one, other| strsim::jaro(version, one).total_cmp(&strsim::jaro(version, other)));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        let what =
            format_args!("has no model {version:?}, NAME/VERSION as `cartguard model list` shows it{hint}");
        return Err(Fault::refused(models, what));
    }
    check_folder(&models.join(version), plan)?;
    let _lock = lock(models)?;
    let now = read(models)?;
    if now.active.as_deref() == Some(version) {
        return Ok(format!("{version} is active already\n"));
    }
    replace(models, &now, &now.with_active(version), "activate")
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
    Lock::take(models, ".deployment.lock", "changes the deployment")
        .map_err(|why| Fault::refused(models, why))
}

fn read(models: &Path) -> Result<Deployment, Fault> {
    Deployment::read(models).map_err(|why| Fault::refused(models, why))
}

fn replace(models: &Path, now: &Deployment, next: &Deployment, action: &str) -> Result<String, Fault> {
    now.replace(models, next, action).map_err(|why| Fault::refused(models, why))?;
    let [from, to] = [now, next].map(|one| one.active.as_deref().unwrap_or("none"));
    Ok(format!("{from} -> {to}; a service with model.folder takes it within a second\n"))
}

fn check_folder(path: &Path, plan: Option<&Plan>) -> Result<Folder, Fault> {
    let folder = folder::open(path)?;
    if let Some(plan) = plan {
        let computed = plan.set.features.iter().map(|feature| feature.name.as_str());
        plan_names::find(&folder.features, computed)
            .map_err(|table| Fault::refused(&path.join(MANIFEST), table))?;
    }
    Ok(folder)
}

/// `NAME/VERSION` of everything that looks like a model folder.
fn versions(models: &Path) -> Result<BTreeSet<String>, Fault> {
    let mut versions = BTreeSet::new();
    for name in folders(models)? {
        for version in folders(&name)? {
            if version.join(MANIFEST).exists() {
                versions.extend(names::of_folder(&version).ok());
            }
        }
    }
    Ok(versions)
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
