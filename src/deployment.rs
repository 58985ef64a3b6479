//! Which model decides: `deployment.toml` in the folder of models, and `audit.jsonl` beside it.
//!
//! `model activate|rollback` -> **deployment** -> configuration, `model::watch`
//!
//! ```toml
//! active = "checkout/7"
//! previous = "checkout/6"    # what a rollback goes back to
//! ```
//!
//! Holds: whoever reads it reads a whole one; only the commands write it, and each change leaves a line in the audit log first.
//! Not here: whether a model is any good (`model`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Its name in the folder of models.
pub(crate) const DEPLOYMENT: &str = "deployment.toml";
const AUDIT: &str = "audit.jsonl";
const HEAD: &str = "# Written by `cartguard model activate` and `rollback`: they check a model first.\n";

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deployment {
    /// `NAME/VERSION`; none: no model decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) active: Option<String>,
    /// The one that was active before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<String>,
}

/// A line of the audit log.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    time: String,
    action: &'a str,
    from: Option<&'a str>,
    to: Option<&'a str>,
    /// Who asked for it, as the environment says.
    user: Option<String>,
}

impl Deployment {
    /// Of a folder of models; an empty one where nothing was ever activated. What is wrong with it otherwise.
    pub(crate) fn read(models: &Path) -> Result<Self, String> {
        let path = models.join(DEPLOYMENT);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|why| format!("{}: {}", path.display(), why.message())),
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
        Self { active: Some(active.to_owned()), previous: self.active.clone() }
    }

    /// The deployment in which the model before is active again. There is none before it: a rollback is not rolled back by another.
    pub(crate) fn rolled_back(&self) -> Option<Self> {
        self.previous.clone().map(|previous| Self { active: Some(previous), previous: None })
    }

    /// Puts it in the place of the one before, `self` being what it was.
    pub(crate) fn replace(&self, models: &Path, by: &Self, action: &str) -> Result<(), String> {
        let entry = Entry {
            time: Timestamp::now().to_string(),
            action,
            from: self.active.as_deref(),
            to: by.active.as_deref(),
            user: std::env::var("USER").ok(),
        };
        let (audit, path) = (models.join(AUDIT), models.join(DEPLOYMENT));
        let told = |path: &Path, why: io::Error| format!("{}: cannot be written: {why}", path.display());
        append(&audit, &entry).map_err(|why| told(&audit, why))?;
        put(&path, &by.to_text()).map_err(|why| told(&path, why))
    }

    fn to_text(&self) -> String {
        HEAD.to_owned() + &toml::to_string(self).expect("two names are plain data")
    }
}

fn append(path: &Path, entry: &Entry<'_>) -> io::Result<()> {
    let line = serde_json::to_string(entry).expect("plain data") + "\n";
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// Whole or not at all.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension(format!("toml.{}.unfinished", std::process::id()));
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
        nothing.replace(models, &first, "activate").expect("a folder");
        let second = first.with_active("checkout/2");
        first.replace(models, &second, "activate").expect("a folder");
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
    fn what_is_no_deployment_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(DEPLOYMENT), "activ = \"a/1\"").expect("written");
        let why = Deployment::read(folder.path()).expect_err("a typing error");
        assert!(why.contains(DEPLOYMENT) && why.contains("activ"), "{why}");
        let why = Deployment::read(&folder.path().join("nowhere")).expect_err("no folder");
        assert!(why.contains("nowhere"), "{why}");
    }
}
