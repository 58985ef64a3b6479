//! Which model decides, and which score beside it: `deployment.toml` in the folder of models, and `audit.jsonl` beside it.
//!
//! `model activate|rollback|shadow`, `model::watch` -> **deployment** -> configuration, `model::watch`
//!
//! ```toml
//! active = "checkout/7"
//! previous = "checkout/6"    # what a rollback goes back to
//!
//! [shadow]                   # models that score beside and decide nothing, each of a share of the events
//! "checkout/8" = 1.0
//! "checkout/9" = 0.25
//! ```
//!
//! Holds: whoever reads it reads a whole one; one at a time writes it ([`lock`]): a command, or a service that a folder was copied to; each
//! change leaves a line in the audit log first.
//! Not here: whether a model is any good (`model`).

use cartguard_io::{Lock, Trouble};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Its name in the folder of models.
pub(crate) const DEPLOYMENT: &str = "deployment.toml";
const AUDIT: &str = "audit.jsonl";
const HEAD: &str =
    "# Written by `cartguard model activate`, `rollback` and `shadow`: they check a model first.\n";

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deployment {
    /// `NAME/VERSION`; none: no model decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) active: Option<String>,
    /// The one that was active before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<String>,
    /// Models that score beside, each with its share of the events.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) shadow: BTreeMap<String, f64>,
}

/// Who changes a deployment, and what is done, for the audit log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act<'a> {
    /// `activate`, `rollback`, `shadow`, `shadow_off`.
    pub(crate) action: &'a str,
    /// The model that it is done to, where it is not the one that decides.
    pub(crate) model: Option<&'a str>,
    /// `command`, or `service`, which a folder was copied to.
    pub(crate) by: &'a str,
}

/// A line of the audit log.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    time: String,
    action: &'a str,
    from: Option<&'a str>,
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    by: &'a str,
    /// Who asked for it, as the environment says.
    user: Option<String>,
}

/// One at a time changes the deployment of a folder of models; who does, otherwise.
pub(crate) fn lock(models: &Path) -> Result<Lock, Trouble> {
    Lock::take(models, ".deployment.lock", "changes the deployment")
}

impl Deployment {
    /// Of a folder of models; an empty one where nothing was ever activated. What is wrong with it otherwise.
    pub(crate) fn read(models: &Path) -> Result<Self, String> {
        let path = models.join(DEPLOYMENT);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let read: Self =
                    toml::from_str(&text).map_err(|why| format!("{}: {}", path.display(), why.message()))?;
                match read.shadow.iter().find(|(_, share)| !(**share > 0.0 && **share <= 1.0)) {
                    Some((model, share)) => Err(format!(
                        "{}: shadow.{model:?} = {share}: a share above 0 and up to 1 is needed",
                        path.display()
                    )),
                    None => Ok(read),
                }
            }
            Err(why) if why.kind() == ErrorKind::NotFound && models.is_dir() => Ok(Self::default()),
            Err(why) => Err(format!("{}: cannot be read: {why}", path.display())),
        }
    }

    /// The folder of the active model.
    pub(crate) fn folder(&self, models: &Path) -> Option<PathBuf> {
        self.active.as_ref().map(|active| models.join(active))
    }

    /// The next deployment, in which another model is active.
    pub(crate) fn with_active(&self, active: &str) -> Self {
        let mut next = Self {
            active: Some(active.to_owned()),
            previous: self.active.clone(),
            shadow: self.shadow.clone(),
        };
        // What decides needs nobody to score beside it what it scores itself.
        next.shadow.remove(active);
        next
    }

    /// The next deployment, in which a model scores beside.
    pub(crate) fn with_shadow(&self, model: &str, share: f64) -> Self {
        let mut next = self.clone();
        next.shadow.insert(model.to_owned(), share);
        next
    }

    /// The next deployment, in which a model no longer scores beside.
    pub(crate) fn without_shadow(&self, model: &str) -> Self {
        let mut next = self.clone();
        next.shadow.remove(model);
        next
    }

    /// The deployment in which the model before is active again. There is none before it: a rollback is not rolled back by another.
    pub(crate) fn rolled_back(&self) -> Option<Self> {
        let previous = self.previous.as_deref()?;
        Some(Self { previous: None, ..self.with_active(previous) })
    }

    /// Puts it in the place of the one before, `self` being what it was.
    pub(crate) fn replace(&self, models: &Path, next: &Self, act: Act<'_>) -> Result<(), String> {
        let entry = Entry {
            time: Timestamp::now().to_string(),
            action: act.action,
            from: self.active.as_deref(),
            to: next.active.as_deref(),
            model: act.model,
            share: act.model.and_then(|model| next.shadow.get(model).copied()),
            by: act.by,
            user: std::env::var("USER").ok(),
        };
        let (audit, path) = (models.join(AUDIT), models.join(DEPLOYMENT));
        let told = |path: &Path, why: io::Error| format!("{}: cannot be written: {why}", path.display());
        append(&audit, &entry).map_err(|why| told(&audit, why))?;
        put(&path, &next.to_text()).map_err(|why| told(&path, why))
    }

    fn to_text(&self) -> String {
        HEAD.to_owned() + &toml::to_string(self).expect("names and numbers are plain data")
    }
}

fn append(path: &Path, entry: &Entry<'_>) -> io::Result<()> {
    let line = serde_json::to_string(entry).expect("plain data") + "\n";
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// Every model that a deployment, or what its audit log has of those before, names. What cannot be read names none.
pub(crate) fn named(models: &Path) -> BTreeSet<String> {
    let now = Deployment::read(models).unwrap_or_default();
    let mut names: BTreeSet<String> = now.active.into_iter().chain(now.previous).collect();
    names.extend(now.shadow.into_keys());
    let audit = fs::read_to_string(models.join(AUDIT)).unwrap_or_default();
    for line in audit.lines() {
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let about = ["from", "to", "model"].into_iter().filter_map(|member| line[member].as_str());
        names.extend(about.map(str::to_owned));
    }
    names
}

/// Whole or not at all.
pub(crate) fn put(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!("{name}.{}.unfinished", std::process::id()));
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_active_is_what_a_rollback_goes_back_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let models = folder.path();
        let nothing = Deployment::read(models).expect("nothing was activated");
        assert_eq!(nothing, Deployment::default());
        let first = nothing.with_active("checkout/1");
        let act = Act { action: "activate", model: None, by: "command" };
        nothing.replace(models, &first, act).expect("a folder");
        let second = first.with_active("checkout/2");
        first.replace(models, &second, act).expect("a folder");
        let read = Deployment::read(models).expect("whole");
        assert_eq!(read.previous.as_deref(), Some("checkout/1"));
        assert_eq!(read.folder(models), Some(models.join("checkout/2")));
        let back = read.rolled_back().expect("there is one before");
        assert_eq!((back.active.as_deref(), back.rolled_back()), (Some("checkout/1"), None));
        let audit = fs::read_to_string(models.join(AUDIT)).expect("a log");
        assert_eq!(audit.lines().count(), 2);
        assert!(audit.lines().nth(1).expect("two").contains("\"from\":\"checkout/1\",\"to\":\"checkout/2\""));
    }

    #[test]
    fn models_score_beside_until_they_decide_or_are_taken_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let models = folder.path();
        let start = Deployment::default().with_active("a/1").with_shadow("a/2", 1.0).with_shadow("a/3", 0.25);
        let act = Act { action: "shadow", model: Some("a/3"), by: "service" };
        Deployment::default().replace(models, &start, act).expect("a folder");
        let read = Deployment::read(models).expect("whole");
        assert_eq!(read, start);
        let audit = fs::read_to_string(models.join(AUDIT)).expect("a log");
        assert!(audit.contains(
            r#""action":"shadow","from":null,"to":"a/1","model":"a/3","share":0.25,"by":"service""#
        ));
        let second = read.with_active("a/2");
        assert_eq!(second.shadow.keys().collect::<Vec<_>>(), ["a/3"], "what decides does not score beside");
        let back = second.rolled_back().expect("there is one before");
        assert_eq!((back.active.as_deref(), back.shadow.len()), (Some("a/1"), 1));
        assert_eq!(back.without_shadow("a/3").shadow.len(), 0);
        fs::write(models.join(DEPLOYMENT), "[shadow]\n'a/2' = 1.5\n").expect("written");
        let why = Deployment::read(models).expect_err("no share");
        assert!(why.contains("\"a/2\" = 1.5") && why.contains("up to 1"), "{why}");
    }

    #[test]
    fn what_is_no_deployment_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(DEPLOYMENT), "activ = \"a/1\"").expect("written");
        let why = Deployment::read(folder.path()).expect_err("a typing error");
        assert!(why.contains(DEPLOYMENT) && why.contains("activ"), "{why}");
        let why = Deployment::read(&folder.path().join("nowhere")).expect_err("no folder");
        assert!(why.contains("nowhere"), "{why}");
    }
}
